"""Callbacks: asked for by key, flow and API; in the old place; first the agent, or first the caller; over kills.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from firmware.acd.statistics import Statistics
from firmware.config.schema import check
from tests.control.switchboard_rig import Rig
from tests.control.test_acd import SALES
from tests.control.test_outside import config as outside_config
from tests.control.test_switchboard_properties import INDEX, STEP, Player


def config(**callback):
    made = copy.deepcopy(outside_config())
    made["queues"][0].update(announce_position_s=0, callback=dict({"enabled": True, "key": "*", "prefix": "9", "retry_s": 60, "attempts": 2}, **callback))
    for agent in made["agents"]:
        agent["queues"] = [{"queue": "sales"}]
        agent["wrap_up_s"] = 0
    return made


def world(checks=True, lazy=False, **callback):
    rig = Rig(config(**callback), checks=checks, lazy=lazy)
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    for name in ("1001", "1002", "1003"):
        away(rig, name)
    return rig


def away(rig, name):
    rig.do("agent.status", agent=name, status="on_break", reason="r")


def here(rig, name):
    rig.do("agent.status", agent=name, status="available")


def wait_in_line(rig, *callers):
    for count, caller in enumerate(callers, 1):
        rig.offer("p%d" % count, called=SALES, timeslot=count, caller=caller)
        rig.played("p%d" % count)


def asked(rig, leg):
    rig.press("*", leg)
    rig.played(leg)


def created(rig):
    """The last leg that was made: (line or number, leg)."""
    action = rig.last("leg.create")
    return action["line"] or action["called"]["number"], action["leg"]


def results(rig):
    return [(cdr["caller"], cdr["application"], cdr["result"], cdr["agent"]) for cdr in rig.cdrs]


def test_agent_first_the_place_is_kept_over_a_kill():
    rig = world()
    wait_in_line(rig, "1310000", "1320000", "1330000")
    asked(rig, "p2")
    assert rig.cdrs[0]["result"] == "callback" and rig.queue("sales")["waiting"] == 3
    row, = rig.sb.snapshot(rig.now)["callbacks"]
    assert (row["number"], row["state"], row["position"], row["attempts"]) == ("1320000", "waiting", 2, 0)
    rig.wait(30000)
    rig.kill()
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    here(rig, "1001")
    assert created(rig)[0] == "1001" and rig.call()["caller"] == "1310000"
    rig.hang_up("p1")                               # the one before gives up: now it is the callback's turn
    line, agent_leg = created(rig)
    assert line == "1001" and rig.last("leg.create")["caller"] == "1320000"
    rig.do("leg.answered", leg=agent_leg)
    number, leg = created(rig)
    assert number == "1320000" and rig.last("leg.create")["caller"]["number"] == SALES and rig.last("leg.create")["redirecting"] is None
    assert rig.agent("1001")["state"] == "talking"
    rig.do("leg.alerting", leg=leg)
    assert rig.heard(agent_leg) == ["ringback"]
    rig.kill(sip_restores=False)                    # a set-up to the outside goes on
    rig.do("leg.answered", leg=leg)
    assert sorted(list(rig.media["bridges"].values())[0]) == sorted([agent_leg, leg])
    assert rig.sb.snapshot(rig.now)["callbacks"] == []
    rig.wait(5000)
    rig.do("leg.released", leg=leg, cause=16, by="far")
    assert results(rig)[-1] == ("1320000", "callback", "answered", "1001") and rig.cdrs[-1]["talk_ms"] == 5000
    assert rig.call()["caller"] == "1330000" and created(rig)[0] == "1001"
    rig.hang_up("p3")
    rig.wait(100000)
    assert not rig.sb.core.state.calls and not rig.media["bridges"]


def test_caller_first_at_the_old_place_and_never_more_than_agents_ready():
    rig = world(first="caller")
    wait_in_line(rig, "1310000", "1320000", "1330000", "1340000")
    for leg in ("p1", "p2", "p3"):
        asked(rig, leg)
    here(rig, "1001")
    number, leg = created(rig)
    assert number == "1310000" and len(rig.actions_of("leg.create")) == 1       # one agent, one call; who came later waits
    rig.kill(sip_restores=False)
    assert rig.agent("1001")["state"] == "idle" and len(rig.actions_of("leg.create")) == 1
    here(rig, "1002")
    assert created(rig)[0] == "1320000" and len(rig.actions_of("leg.create")) == 2
    rig.do("leg.answered", leg=leg)
    assert rig.heard(leg) == ["callback_hello zh_CN", "callback_hello en"]
    line, agent_leg = created(rig)
    assert line == "1001"
    rig.do("leg.answered", leg=agent_leg)
    assert sorted(list(rig.media["bridges"].values())[0]) == sorted([agent_leg, leg])
    rig.hang_up(leg)
    assert results(rig)[-1] == ("1310000", "callback", "answered", "1001")
    assert created(rig)[0] == "1330000"                                         # 1001 is free again, for the third


def shared(skills=False):
    """Two queues with callbacks that share agent 1001; 1002 serves sales alone, 1003 service alone."""
    made = config(first="caller")
    made["queues"][1].update(announce_position_s=0, max_wait_s=1800, callback=dict(made["queues"][0]["callback"]))
    for agent, queues in zip(made["agents"], (("sales", "service"), ("sales",), ("service",))):
        agent["queues"] = [{"queue": queue} for queue in queues]
    rig = Rig(made)
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    for name in ("1001", "1002", "1003"):
        away(rig, name)
    return rig


def test_agents_of_several_queues_are_promised_once():
    rig = shared()
    for queue, number in (("sales", "1310000"), ("service", "1320000"), ("service", "1330000"), ("sales", "1340000")):
        assert rig.command("command.callback", queue=queue, number=number) is None
    here(rig, "1001")
    number, leg = created(rig)
    assert number == "1310000" and len(rig.actions_of("leg.create")) == 1       # 1001 would do for 132 as well, but is one agent
    here(rig, "1003")
    assert created(rig)[0] == "1320000" and len(rig.actions_of("leg.create")) == 2
    here(rig, "1002")                               # now 131 may rest on 1002, and 1001 is free for either
    assert created(rig)[0] == "1330000" and len(rig.actions_of("leg.create")) == 3
    away(rig, "1002")
    rig.do("leg.released", leg=created(rig)[1], cause=19, by="far")
    assert len(rig.actions_of("leg.create")) == 3                           # 131 and 132 take both who are left
    rig.offer("p9", called=SALES, timeslot=9, caller="1390000")
    rig.played("p9")
    assert len(rig.actions_of("leg.create")) == 3                           # nobody else gets them either
    rig.do("leg.released", leg=leg, cause=19, by="far")
    assert created(rig)[0] == "1001" or created(rig)[0] == "1340000"
    offered = [row["data"] for row in rig.journal if row["kind"] == "agent.offered"]
    ringing = [row for row in rig.sb.snapshot(rig.now)["callbacks"] if row["state"] == "calling"]
    assert len(ringing) + len(offered) <= 2


def test_busy_no_answer_and_hours():
    rig = world(first="caller", hours=[{"days": "1234567", "from": "08:00", "to": "08:10"}])
    wait_in_line(rig, "1310000")
    asked(rig, "p1")
    here(rig, "1001")
    rig.do("leg.released", leg=created(rig)[1], cause=17, by="far")
    rig.wait(5000)
    row, = rig.sb.snapshot(rig.now)["callbacks"]
    assert (row["state"], row["attempts"]) == ("later", 1) and row["due_ms"] > rig.now
    count = len(rig.actions_of("leg.create"))
    rig.wait(50000)
    assert len(rig.actions_of("leg.create")) == count
    away(rig, "1001")
    rig.wait(20000)
    rig.wait(600000)                                # 08:11: too late for today
    here(rig, "1001")
    assert len(rig.actions_of("leg.create")) == count
    rig.kill()
    rig.wait(23 * 3600000 + 49 * 60000)
    assert len(rig.actions_of("leg.create")) == count + 1       # 08:00 of the next day, by itself
    rig.do("leg.released", leg=created(rig)[1], cause=19, by="far")
    rig.wait(60000)
    assert rig.sb.snapshot(rig.now)["callbacks"] == []
    assert [record["data"]["outcome"] for record in rig.journal if record["kind"] == "callback.ended"] == ["exhausted"]
    assert not rig.sb.core.state.calls


def test_the_agent_hangs_up_or_does_not_answer_it_is_tried_again():
    rig = world()
    wait_in_line(rig, "1310000")
    asked(rig, "p1")
    here(rig, "1001")
    rig.do("leg.alerting", leg=created(rig)[1])
    rig.wait(16000)                                 # does not answer: set away, the place stays
    assert rig.agent("1001")["status"] == "on_break" and rig.queue("sales")["waiting"] == 1
    here(rig, "1002")
    leg = created(rig)[1]
    rig.do("leg.answered", leg=leg)
    rig.hang_up(leg)                                # while it rings
    assert [row["attempts"] for row in rig.sb.snapshot(rig.now)["callbacks"]] == [0]
    rig.wait(31000)
    assert created(rig)[0] == "1002"
    rig.do("leg.answered", leg=created(rig)[1])
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="down", alarms=[])
    rig.do("leg.released", leg=created(rig)[1], cause=34, by="far")         # no way out: not the caller's fault
    rig.wait(6000)
    assert [row["attempts"] for row in rig.sb.snapshot(rig.now)["callbacks"]] == [0]


def test_who_may_not_be_called_is_told_and_waits_on():
    rig = world(classes=["local"])
    wait_in_line(rig, "1310000", "")
    for leg in ("p1", "p2"):
        rig.press("*", leg)
        assert rig.heard(leg) == ["not_possible zh_CN", "not_possible en"] and rig.queue("sales")["waiting"] == 2
    why = [record["data"]["why"] for record in rig.journal if record["kind"] == "callback.refused"]
    assert why == ["queue sales may not call national numbers back", "no number is known"]
    assert not rig.press("7", "p1")
    rig = world()
    rig.offer("p1", called=SALES, caller="00441234")
    rig.press("*", "p1")
    assert rig.queue("sales")["waiting"] == 1 and "international" in [
        record["data"]["why"] for record in rig.journal if record["kind"] == "callback.refused"][0]


def test_asked_by_a_person_at_a_time_for_an_agent_and_cancelled():
    rig = world()
    rig.config["queues"][0]["owner_wait_s"] = 60
    at_ms = rig.now + 3600000
    assert rig.command("command.callback", queue="sales", number="1390000", agent="1002", at_ms=at_ms, note="contract") is None
    name = rig.sb.answer["callback"]
    assert "waits in queue sales already" in rig.command("command.callback", queue="sales", number="1390000")
    assert "does not serve" in rig.command("command.callback", queue="sales", number="1380000", agent="nobody")
    assert "takes no callbacks" in rig.command("command.callback", queue="service", number="1380000")
    here(rig, "1001")
    here(rig, "1002")
    rig.kill()
    assert rig.actions_of("leg.create") == []
    rig.wait(3600000)
    assert created(rig)[0] == "1002"
    rig.do("leg.answered", leg=created(rig)[1])
    assert "is being made" in rig.command("command.callback_cancel", callback=name)
    rig.hang_up(created(rig)[1])
    away(rig, "1001")
    away(rig, "1002")
    assert rig.command("command.callback", queue="sales", number="1360000") is None
    name = rig.sb.answer["callback"]
    assert rig.command("command.callback_cancel", callback=name) is None
    assert "no callback" in rig.command("command.callback_cancel", callback=name)


def test_it_expires_the_queue_goes_media_dies():
    rig = world(expires_s=600)
    wait_in_line(rig, "1310000")
    asked(rig, "p1")
    rig.do("media.lost")
    assert rig.queue("sales")["waiting"] == 1                   # nobody is on that call
    here(rig, "1001")
    assert rig.actions_of("leg.create") == []
    rig.do("media.back")
    assert created(rig)[0] == "1001"
    away(rig, "1001")
    rig.wait(600000)
    assert rig.sb.snapshot(rig.now)["callbacks"] == [] and not rig.sb.core.state.calls
    wait_in_line(rig, "1320000")
    asked(rig, "p1")
    rig.config = copy.deepcopy(rig.config)
    rig.config["queues"] = [queue for queue in rig.config["queues"] if queue["name"] != "sales"]
    rig.config["numbers"] = [row for row in rig.config["numbers"] if row["target"] != "sales"]
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    outcomes = [record["data"]["outcome"] for record in rig.journal if record["kind"] == "callback.ended"]
    assert outcomes == ["expired", "removed"] and not rig.sb.core.state.calls


def test_the_report_counts_who_left_and_who_was_reached_and_no_caller_twice():
    rig = world()
    wait_in_line(rig, "1310000", "1320000")
    asked(rig, "p1")
    here(rig, "1001")
    rig.do("leg.answered", leg=created(rig)[1])
    rig.do("leg.answered", leg=created(rig)[1])
    rig.hang_up(created(rig)[1])
    rig.hang_up("p2")
    fold = Statistics(kept=None)
    for record in rig.journal:
        fold.apply(record)
    counts, = fold.take()["queues"]["sales"].values()
    assert (counts["queued"], counts["callbacks"], counts["callbacks_reached"], counts["handled"]) == (2, 1, 1, 1)
    assert counts["answered"] + counts["abandoned"] + counts["short_abandoned"] == 1


@pytest.mark.parametrize("row, path, words", [
    ({"key": "12"}, "key", "one key"), ({"first": "both"}, "first", "choose one of"), ({"classes": ["internal"]}, "classes[0]", "not known"),
    ({"hours": [{"from": "25:00"}]}, "hours[0].from", "08:30"), ({"attempts": 0}, "attempts", "1 to 20")])
def test_what_cannot_be_is_said(row, path, words):
    errors = check({"queues": [{"name": "q", "callback": row}]})[1]
    assert [error.path for error in errors] == ["queues[0].callback." + path] and words in errors[0].advice
    assert check({"queues": [{"name": "q"}]})[0]["queues"][0]["callback"]["enabled"] is False


ANY = st.one_of(STEP, st.tuples(st.just("offer"), INDEX, st.just(SALES), st.just(True)), st.tuples(st.just("offer"), INDEX, st.just(SALES), st.just(True)),
                st.tuples(st.just("press"), INDEX, st.just("*")), st.tuples(st.just("press"), INDEX, st.just("*")),
                st.tuples(st.just("status"), st.sampled_from(("1001", "1002", "1003")), st.sampled_from(("available", "on_break"))),
                st.tuples(st.just("span"), st.sampled_from((1, 2, 3)), st.booleans()), st.tuples(st.just("kill"), st.booleans()),
                st.tuples(st.just("wait"), st.sampled_from((400, 5000, 61000))))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(("agent", "caller")), st.booleans(), st.lists(ANY, min_size=5, max_size=35))
def test_whatever_comes_each_callback_ends_once_and_no_more_are_dialled_than_agents_ready(first, lazy, steps):
    player = Player(lazy, config=config(first=first, expires_s=300))
    rig = player.rig
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    for step in steps:
        player.step(step)
    for name in ("1001", "1002", "1003"):
        away(rig, name)
    for _ in range(6):
        rig.confirm()
        for leg in sorted(rig.adapter):
            if leg in rig.adapter:
                rig.do("leg.released", leg=leg, cause=16, by="far")
        rig.confirm()
        rig.wait(200000)
    state = rig.sb.core.state
    assert not state.callbacks and not state.calls and not state.legs and not rig.media["bridges"]
    begun = [record["data"]["callback"] for record in rig.journal if record["kind"] == "callback.asked"]
    assert sorted(begun) == sorted(record["data"]["callback"] for record in rig.journal if record["kind"] == "callback.ended")
    waits = [record["call"] for record in rig.journal if record["kind"] in ("callback.waits", "leg.offered")]
    assert sorted(waits) == sorted(cdr["call"] for cdr in rig.cdrs)


@pytest.mark.parametrize("who", ("person", "machine"))
def test_a_machine_that_answers_is_no_caller_where_people_are_wanted(who):
    """Caller first: answering machine detection before anybody is given the call; over a kill."""
    made = config(first="caller")
    for row in made["trunk_groups"]:
        row["answer_detection"] = "people"
    rig = Rig(made)
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    for name in ("1001", "1002", "1003"):
        away(rig, name)
    wait_in_line(rig, "1310000")
    asked(rig, "p1")
    here(rig, "1001")
    number, leg = created(rig)
    assert number.endswith("1310000")
    rig.do("leg.answered", leg=leg)
    rig.kill()
    assert rig.last("media.listen") == {"do": "media.listen", "leg": leg, "wishes": {"answer": True}}
    rig.do("media.heard", leg=leg, what="answer", value={"who": who, "ms": 1200, "words": 1})
    row = rig.sb.snapshot(rig.now)["callbacks"][0]
    if who == "machine":
        assert leg not in rig.adapter and row["attempts"] == 1 and row["state"] == "later"
    else:
        assert created(rig)[0] == "1001" and row["state"] == "calling"
    rig.do("media.lost")
