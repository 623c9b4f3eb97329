"""Campaigns: numbers that agents of a queue call between its callers; never more than agents, never a number twice, over kills.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import pytest

from firmware.control import core_campaigns
from firmware.control.api_campaigns import parse
from firmware.control.commands import Problem
from tests.control.test_acd import SALES
from tests.control.test_callbacks import away, created, here, world

NUMBERS = ["1310000", "1320000", "1330000", "1340000"]


def loaded(rig, mode="progressive", numbers=NUMBERS, start=True):
    assert rig.command("command.campaign_load", campaign="spring", queue="sales", mode=mode, rows=[[number, "note"] for number in numbers]) is None
    if start:
        assert rig.command("command.campaign", campaign="spring", action="start") is None


def states(rig):
    return [row["state"] for row in core_campaigns.told(rig.sb.core, "spring")["numbers"]]


def state(rig):
    return core_campaigns.snapshot(rig.sb.core)[0]["state"]


def calls_to(rig):
    """The numbers that were dialled, in order."""
    return [action["called"]["number"] for action in rig.actions_of("leg.create") if action.get("called")]


def talk(rig, leg):
    """The number answers, its agent takes the call, and the conversation ends."""
    rig.do("leg.answered", leg=leg)
    line, agent_leg = created(rig)
    rig.do("leg.answered", leg=agent_leg)
    assert sorted(list(rig.media["bridges"].values())[0]) == sorted([agent_leg, leg])
    rig.hang_up(leg)
    return line


def test_progressive_never_more_than_agents_and_never_twice_over_kills():
    rig = world()
    loaded(rig)
    assert calls_to(rig) == [] and state(rig) == "running"          # nobody is there
    here(rig, "1001")
    assert calls_to(rig) == ["1310000"]
    rig.kill(sip_restores=False)            # while it rings
    assert calls_to(rig) == ["1310000"]
    here(rig, "1002")
    assert calls_to(rig) == ["1310000", "1320000"] and states(rig) == ["out", "out", "new", "new"]
    away(rig, "1002")
    first, second = [action["leg"] for action in rig.actions_of("leg.create")]
    rig.do("leg.released", leg=second, cause=17, by="far")         # busy: again later, another number has the room
    assert states(rig)[1] == "new" and core_campaigns.told(rig.sb.core, "spring")["numbers"][1]["attempts"] == 1
    assert talk(rig, first) == "1001" and states(rig)[0] == "reached"
    assert rig.cdrs[-1]["application"] == "campaign" and rig.cdrs[-1]["campaign"] == "spring" and rig.cdrs[-1]["agent"] == "1001"
    assert calls_to(rig) == ["1310000", "1320000", "1330000"]
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    talk(rig, created(rig)[1])
    assert calls_to(rig)[-1] == "1340000"
    talk(rig, created(rig)[1])
    assert state(rig) == "running" and states(rig) == ["reached", "new", "reached", "reached"]
    rig.kill()
    rig.wait(60000)
    assert calls_to(rig)[-1] == "1320000" and len(calls_to(rig)) == 5
    rig.do("leg.released", leg=created(rig)[1], cause=19, by="far")
    assert states(rig)[1] == "exhausted" and state(rig) == "done"
    rig.wait(10**6)
    assert len(calls_to(rig)) == 5 and rig.queue("sales")["waiting"] == 0


def test_preview_shows_the_number_to_the_agent_who_then_calls_it():
    rig = world()
    loaded(rig, "preview")
    here(rig, "1001")
    line, agent_leg = created(rig)
    assert line == "1001" and rig.last("leg.create")["caller"] == "1310000" and calls_to(rig) == []
    rig.do("leg.answered", leg=agent_leg)
    assert calls_to(rig) == ["1310000"]
    rig.do("leg.answered", leg=created(rig)[1])
    rig.hang_up(agent_leg)
    assert states(rig)[0] == "reached" and created(rig)[0] == "1001"


def test_callers_and_numbers_share_the_agents():
    rig = world(blend="inbound_first")
    loaded(rig)
    rig.offer("p9", called=SALES, timeslot=9, caller="13912345678")
    here(rig, "1001")
    assert created(rig)[0] == "1001" and rig.last("leg.create")["caller"] == "13912345678" and calls_to(rig) == []       # who waits comes first
    rig.hang_up("p9")
    assert calls_to(rig) == ["1310000"]


def test_pause_stop_and_remove():
    rig = world()
    loaded(rig)
    here(rig, "1001")
    here(rig, "1002")
    leg = rig.actions_of("leg.create")[0]["leg"]
    assert rig.command("command.campaign", campaign="spring", action="pause") is None
    assert "is paused" in rig.command("command.campaign", campaign="spring", action="pause") and "stop it first" in rig.command("command.campaign", campaign="spring", action="remove")
    rig.kill(sip_restores=False)
    rig.do("leg.released", leg=rig.actions_of("leg.create")[1]["leg"], cause=17, by="far")
    talk(rig, leg)                          # what was being called goes on
    rig.wait(10**6)
    assert len(calls_to(rig)) == 2 and states(rig) == ["reached", "new", "new", "new"] and rig.queue("sales")["waiting"] == 0
    assert rig.command("command.campaign", campaign="spring", action="start") is None
    assert calls_to(rig)[2:] == ["1320000", "1330000"]          # in the order, attempts are kept
    assert core_campaigns.told(rig.sb.core, "spring")["numbers"][1]["attempts"] == 1
    assert rig.command("command.campaign", campaign="spring", action="stop") is None
    for action in rig.actions_of("leg.create")[-2:]:
        rig.do("leg.released", leg=action["leg"], cause=17, by="far")
    assert states(rig)[0] == "reached" and set(states(rig)[2:]) == {"not_called"} and state(rig) == "stopped"
    rig.wait(10**6)
    assert len(calls_to(rig)) == 4
    assert rig.command("command.campaign", campaign="spring", action="remove") is None and core_campaigns.snapshot(rig.sb.core) == []
    assert "no campaign" in rig.command("command.campaign", campaign="spring", action="start")


def test_numbers_that_are_never_called_and_hours():
    rig = world(hours=[{"days": "1234567", "from": "10:00", "to": "18:00"}])        # it is eight
    rig.config["caller_lists"] = [{"name": "robinson", "treatment": "do_not_call", "numbers": ["132."]}]
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    loaded(rig, numbers=["1320000", "0044123456", "1330000"])
    here(rig, "1001")
    assert states(rig) == ["do_not_call", "forbidden", "out"] and calls_to(rig) == []
    rig.wait(2 * 3600 * 1000)
    assert calls_to(rig) == ["1330000"]
    rig.config["caller_lists"][0]["numbers"].append("1330000")
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    rig.do("leg.released", leg=created(rig)[1], cause=17, by="far")
    rig.wait(60000)
    assert states(rig)[2] == "do_not_call" and state(rig) == "done" and len(calls_to(rig)) == 1         # it came on the list between two attempts


def test_media_that_dies_costs_no_attempt():
    rig = world()
    loaded(rig, numbers=["1310000"])
    here(rig, "1001")
    rig.do("media.lost")
    rig.do("media.back", audit=rig.audit())
    rig.wait(31000)
    row = core_campaigns.told(rig.sb.core, "spring")["numbers"][0]
    assert row["attempts"] == 0 and calls_to(rig).count("1310000") == 2


def test_an_erasure_takes_a_number_out():
    rig = world()
    loaded(rig)
    rig.command("command.erase", forms=["1320000"])
    here(rig, "1001")
    talk(rig, created(rig)[1])
    assert states(rig)[1] == "erased" and calls_to(rig) == ["1310000", "1330000"] and "1320000" not in str(rig.sb.core.state.dump()["campaigns"])


def test_what_cannot_be_loaded_says_why():
    rig = world()
    assert "no queue" in rig.command("command.campaign_load", campaign="a", queue="x", mode="preview", rows=[["1310000", ""]])
    assert "no mode" in rig.command("command.campaign_load", campaign="a", queue="sales", mode="fast", rows=[["1310000", ""]])
    assert "calls nobody" in rig.command("command.campaign_load", campaign="a", queue="service", mode="preview", rows=[["1310000", ""]])
    assert "1 to 5000" in rig.command("command.campaign_load", campaign="a", queue="sales", mode="preview", rows=[])
    loaded(rig)
    assert "already" in rig.command("command.campaign_load", campaign="spring", queue="sales", mode="preview", rows=[["1310000", ""]])
    for number in range(core_campaigns.MOST):
        refused = rig.command("command.campaign_load", campaign="c%d" % number, queue="sales", mode="preview", rows=[["1310000", ""]])
    assert "at most" in refused


def test_a_file_is_taken_whole_or_not_at_all():
    assert parse("\ufeffnumber,note\r\n139 1234-5678,Li\r\n\r\n\"+8613900001111\",\"a, b\"\r\n") == [["13912345678", "Li"], ["+8613900001111", "a, b"]]
    with pytest.raises(Problem) as caught:
        parse("number,note\n12,x\n13912345678,ok\n13912345678,again\nabc,\n1391234567\n")
    assert [(row["line"], row["field"]) for row in caught.value.document["errors"]] == [(2, "number"), (4, "number"), (5, "number"), (6, "(line)")]
    for text, words in (("", "number: is missing"), ("number,color\n1,2", "is no column"), ("number\n", "has 0 numbers"), ('number\n"13912345678', "is no CSV"),
                        ("number,note\n13912345678," + "x" * 300, "at most 200"), ("number\n" + "\n".join("1391%07d" % n for n in range(5001)), "1 to 5000")):
        with pytest.raises(Problem, match=words.replace("(", r"\(")):
            parse(text)
