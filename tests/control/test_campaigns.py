"""Campaigns: numbers that agents of a queue call between its callers; never more than agents, never a number twice, over kills.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import asyncio
import types

import pytest

from firmware.control import core_campaigns, people, roles
from firmware.control.api_campaigns import CampaignsAPI, parse
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


def test_a_number_for_which_a_telephone_rings_is_in_a_call_for_an_erasure():
    rig = world()
    loaded(rig, mode="preview")
    here(rig, "1001")
    assert "is in call" in rig.command("command.erase", forms=["1310000"])


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


def test_a_paused_campaign_asks_no_further_agent():
    rig = world()
    loaded(rig, "preview")
    here(rig, "1001")
    leg = created(rig)[1]
    assert rig.command("command.campaign", campaign="spring", action="pause") is None
    rig.do("leg.released", leg=leg, cause=17, by="far")         # the agent who was asked does not want it
    here(rig, "1002")
    rig.wait(10**6)
    assert calls_to(rig) == [] and created(rig)[1] == leg and states(rig) == ["new"] * 4 and rig.queue("sales")["waiting"] == 0
    rig.command("command.campaign", campaign="spring", action="start")
    assert created(rig)[1] != leg


def test_hours_that_end_while_the_agents_telephone_rings():
    rig = world(hours=[{"days": "1234567", "from": "08:00", "to": "08:01"}])
    loaded(rig, "preview", numbers=["1310000"])
    rig.wait(59000)
    here(rig, "1001")
    rig.wait(2000)
    rig.do("leg.answered", leg=created(rig)[1])
    rig.hang_up(created(rig)[1])
    rig.wait(3600 * 1000)
    assert calls_to(rig) == [] and core_campaigns.told(rig.sb.core, "spring")["numbers"][0]["attempts"] == 0
    rig.wait(24 * 3600 * 1000 - 3600 * 1000 - 56000)      # five seconds past eight
    rig.do("leg.answered", leg=created(rig)[1])
    assert calls_to(rig) == ["1310000"]


@pytest.mark.parametrize("listed, number", [("13912345678", "+8613912345678"), ("+8613912345678", "13912345678"), ("013912345678", "13912345678"), ("0086139xxxx5678", "013912345678"),
                                            ("02150801234", "+862150801234"), ("+4930.", "004930123456"), ("13912345678", "13912345678")])
def test_a_list_has_a_number_however_it_is_written(listed, number):
    rig = world()
    rig.config["caller_lists"] = [{"name": "robinson", "treatment": "do_not_call", "numbers": ["1399", listed]}]
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    loaded(rig, numbers=[number, "1310000"])
    here(rig, "1001")
    assert states(rig) == ["do_not_call", "out"] and calls_to(rig) == ["1310000"]


def test_a_list_has_no_other_number():
    rig = world()
    rig.config["caller_lists"] = [{"name": "robinson", "treatment": "do_not_call", "numbers": ["00.", "0.", "1391234567", "13912345679"]}]
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    loaded(rig, numbers=["13912345678"])
    here(rig, "1001")
    assert states(rig) == ["out"]


def test_who_is_being_called_is_erased_after_it_and_in_any_way_of_writing():
    rig = world(prefix="")
    rig.config["routes"].append({"number": "+86.", "class": "national", "choices": [{"trunk_group": "carrier", "strip": 3}]})
    rig.sb.configure(rig.config, rig.now)
    loaded(rig, numbers=["+861310000", "+861320000"])
    here(rig, "1001")
    forms = ["1310000", "01310000", "861310000", "00861310000"]
    assert "just now" in rig.command("command.erase", forms=forms)
    assert rig.command("command.erase", forms=["1320000", "861320000"]) is None and states(rig) == ["out", "erased"]
    rig.do("leg.released", leg=created(rig)[1], cause=17, by="far")
    away(rig, "1001")
    assert rig.command("command.erase", forms=forms) is None and states(rig) == ["erased", "erased"]
    assert "31310000" not in str(rig.sb.core.state.dump()["campaigns"]) and "1320000" not in str(rig.sb.core.state.dump()["campaigns"])


def test_a_queue_whose_setting_is_switched_off_calls_no_further_number():
    rig = world()
    loaded(rig)
    here(rig, "1001")
    for enabled, numbers in ((False, ["1310000"]), (True, ["1310000", "1320000"])):
        rig.config["queues"][0]["callback"]["enabled"] = enabled
        rig.sb.configure(rig.config, rig.now)
        rig.settle()
        here(rig, "1002")
        assert calls_to(rig) == numbers


def test_a_campaign_goes_when_its_calls_are_over():
    rig = world()
    loaded(rig, numbers=["1310000"])
    here(rig, "1001")
    rig.command("command.campaign", campaign="spring", action="stop")
    assert "1 numbers of campaign spring are being called" in rig.command("command.campaign", campaign="spring", action="remove")
    rig.do("leg.released", leg=created(rig)[1], cause=17, by="far")
    assert rig.command("command.campaign", campaign="spring", action="remove") is None


def test_agents_are_counted_only_where_something_happened_to_the_queue(monkeypatch):
    """A call that has nothing to do with the queue of a campaign costs no look at its agents."""
    rig = world()
    loaded(rig)
    here(rig, "1001")
    looked, plain = [], core_campaigns._feed
    monkeypatch.setattr(core_campaigns, "_feed", lambda core, row: looked.append(row["id"]) or plain(core, row))
    rig.do("span.state", span=1, state="up", alarms=[])
    assert looked == []
    here(rig, "1002")
    assert looked and calls_to(rig) == ["1310000", "1320000"]


def test_many_agents_do_not_make_one_long_moment(monkeypatch):
    monkeypatch.setattr(core_campaigns, "AT_ONCE", 1)
    rig = world()
    for name in ("1001", "1002"):
        here(rig, name)
    loaded(rig)
    assert len(calls_to(rig)) == 1
    rig.do("leg.alerting", leg=created(rig)[1])         # whatever happens next
    assert len(calls_to(rig)) == 2


def test_no_trunk_free_lets_no_other_number_in():
    """Else every number of the list would be tried for one that is free, again and again."""
    rig = world()
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="down", alarms=[])
    loaded(rig)
    here(rig, "1001")
    assert states(rig) == ["out", "new", "new", "new"]
    rig.wait(10000)
    assert len([record for record in rig.journal if record["kind"] == "callback.asked"]) == 1
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    rig.wait(31000)
    assert calls_to(rig) == ["1310000"]


def test_a_mode_that_is_no_text_and_campaigns_of_other_teams():
    with pytest.raises(Problem, match="mode must be"):
        asyncio.run(CampaignsAPI(types.SimpleNamespace(house=None)).load("spring", {}, {"queue": "sales", "csv": "number\n13912345678", "mode": ["preview"]}))
    rig = world()
    loaded(rig)
    config = {"teams": [{"name": "a", "agents": [], "queues": ["service"]}, {"name": "b", "agents": [], "queues": ["sales"]}]}
    house = types.SimpleNamespace(switchboard=rig.sb, clock=types.SimpleNamespace(now_ms=lambda: 0), command=None, config=types.SimpleNamespace(running=lambda: config))
    api, seen = types.SimpleNamespace(house=house), []
    for team in "ab":
        who = people.Person("s", "supervisor", teams=[team])
        token = roles.WHO.set(who)
        seen.append((len(asyncio.run(CampaignsAPI(api).campaigns({}, {}))["campaigns"]), asyncio.run(roles._campaign(api, who, ["campaigns", "spring"], {}, {}))))
        roles.WHO.reset(token)
    assert seen == [(0, "of the own queues"), (1, None)]
    assert ("GET", ("campaigns", None), roles._campaign) in [(row[0], row[1], row[4]) for row in roles.RULES]


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
    with pytest.raises(Problem) as caught:          # one person
        parse("number\n13912345678\n+86 139 1234 5678\n013912345678\n")
    assert [(row["line"], row["advice"]) for row in caught.value.document["errors"]] == [(3, "+8613912345678 stands in line 2 already; leave one out"),
                                                                                         (4, "013912345678 stands in line 2 already; leave one out")]
    for text, words in (("", "number: is missing"), ("number,color\n1,2", "is no column"), ("number\n", "has 0 numbers"), ('number\n"13912345678', "is no CSV"),
                        ("number,note\n13912345678," + "x" * 300, "at most 200"), ("number\n" + "\n".join("1391%07d" % n for n in range(5001)), "1 to 5000")):
        with pytest.raises(Problem, match=words.replace("(", r"\(")):
            parse(text)
