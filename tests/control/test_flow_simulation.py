"""The simulation of the real flows: where Erlang's formula holds it agrees with it; where there are flows it follows them, and says which."""

import time

import pytest

from firmware.acd import staffing
from firmware.control.flow_simulation import simulate
from tests.conftest import WHOLE_ONLY
from tests.control.switchboard_rig import FLOW
from tests.control.test_faxes import ON_DEMAND

BEGIN_MS = 1753920000000                # Thursday 2025-07-31 08:00 in Shanghai
MENU = {**FLOW, "version": 7}


def question(agents=9, calls=None, flow=MENU, queue=None, **more):
    names = ["a%d" % n for n in range(agents)]
    config = {"site": {"timezone": "Asia/Shanghai", "languages": ["en"]}, "spans": [{"span": 1, "d_timeslot": 16, "trunk_group": "carrier"}], "trunk_groups": [{"name": "carrier"}],
              "numbers": [{"number": "1000", "application": "queue", "target": "sales"}, {"number": "2000", "application": "ivr", "target": "main"}],
              "ivr": {"main": flow}, "queues": [{"name": "sales", **(queue or {})}, {"name": "service"}, {"name": "operator"}],
              "agents": [{"name": name, "queues": [{"queue": "sales"}, {"queue": "operator"}], "wrap_up_s": 30} for name in names], "lines": []}
    return {"config": config, "begin_ms": BEGIN_MS, "calls": calls or {"1000": 200}, "agents": names, "length_s": 3600, "runs": 1, "handle_s": {"": 180.0}, "patience_s": 120,
            "within_s": 20, "pick_up_s": 0, **more}


def near(agents, runs, deviation):
    found = simulate(question(agents, runs=runs))
    row, wanted = found["queues"][0], staffing.erlang_a(agents, 200 / 3600, 180, 20, 120)
    assert row["service_level"] == pytest.approx(wanted["service_level"], abs=deviation) and row["abandons"] == pytest.approx(wanted["abandons"], abs=deviation)
    assert found["occupancy"] == pytest.approx(wanted["occupancy"], abs=deviation) and found["flows"] == [] and found["assumed"] == []


def test_a_plain_queue_without_a_flow_is_erlangs_a():
    """600 calls: the deviation of a share is about 0.03 with what callers of one hour have in common."""
    near(9, 3, 0.1)


@WHOLE_ONLY
@pytest.mark.parametrize("agents", (8, 9, 12))
def test_a_plain_queue_is_erlangs_a_closely(agents):
    """8,000 calls."""
    near(agents, 40, 0.025)


def test_callers_take_the_ways_of_the_flow_and_it_says_which_version():
    shares = {"main": {"menu": {"1": 6, "2": 3, "": 1}}}
    asked = question(12, {"2000": 60}, runs=2, shares=shares, prompt_s={"greeting": 4, "menu": 8})
    found = simulate(asked)
    (flow,) = found["flows"]
    assert (flow["flow"], flow["version"]) == ("main", "7") and 40 < flow["calls"] < 85 and found["assumed"] == []
    ways = {way["node"]: way["calls"] for way in found["ways"]}
    assert set(ways) <= {"sales", "service", "operator"} and 0.5 < ways["sales"] / sum(ways.values()) < 0.8
    assert 4 < flow["seconds"] < 30             # the prompts, and some who hear the menu again
    calls = {row["queue"]: row["calls"] for row in found["queues"]}
    assert calls["service"] > 0 and next(row for row in found["queues"] if row["queue"] == "service")["service_level"] == 0         # nobody serves it
    assert simulate(asked) == found


def test_what_is_not_known_is_assumed_and_told():
    flow = {"version": 2, "languages": ["en"], "start": "ask", "nodes": {
        "ask": {"type": "collect", "prompts": ["which"], "into": "number", "length": 4, "min_length": 4, "check": "value == '1111'", "next": "look", "failed": "bye"},
        "look": {"type": "http", "service": "crm", "path": "/", "into": "found", "next": "menu", "failed": "line"},
        "menu": {"type": "menu", "prompts": ["menu"], "choices": {"1": "queue", "2": "line"}, "exhausted": "bye"},
        "queue": {"type": "queue", "queue": "sales", "overflow": "bye", "after": "bye"}, "line": {"type": "agent", "agent": "a0", "failed": "queue"},
        "bye": {"type": "hangup", "prompts": ["bye"]}}}
    found = simulate(question(3, {"2000": 40}, flow))
    assert {(row["node"], row["what"].split()[0]) for row in found["assumed"]} == {("ask", "the"), ("look", "the")}
    assert {way["node"] for way in found["ways"]} == {"line", "queue", "bye"}
    answers, entered = {"main": {"look": {"ok": 1.0, "result": {"status": 200, "body": {}}}}}, {"main": {"ask": "2222"}}
    known = simulate(question(3, {"2000": 40}, flow, answers=answers))
    assert {row["node"] for row in known["assumed"]} == {"ask", "menu"}
    wrong = simulate(question(3, {"2000": 40}, flow, entered=entered, answers=answers))
    assert [way["outcome"] for way in wrong["ways"]] == ["hangup"] and sum(row["calls"] for row in wrong["queues"]) == 0


def test_opening_hours_and_overflow_are_the_switchboards():
    queue = {"overflow": [{"when": "wait", "limit": 30, "to": "queue", "target": "service"}], "max_wait_s": 600}
    asked = question(1, queue=queue, patience_s=None, calls={"1000": 100})
    asked["config"]["agents"].append({"name": "s0", "queues": [{"queue": "service"}], "wrap_up_s": 0})
    asked["agents"].append("s0")
    found = {row["queue"]: row for row in simulate(asked)["queues"]}
    assert found["sales"]["overflowed"] > 30 < found["service"]["calls"] and found["service"]["service_level"] < 1
    shut = {**asked, "config": {**asked["config"], "queues": [dict(row, hours=[{"days": "7"}]) for row in asked["config"]["queues"]]}}
    assert sum(row["calls"] for row in simulate(shut)["queues"]) == 0           # it is a Thursday


def test_documents_that_a_flow_sends_to_numbers_are_asked_for_and_sent_by_nobody():
    """The caller goes where the document will be sent; its call is none of the answer, however many there are (1,000 may wait in the house)."""
    asked = question(agents=1, calls={"2000": 1500}, flow=ON_DEMAND, entered={"main": {"ask": "139123456789"}})
    asked["config"].update(fax={"enabled": True, "prefix": "9"}, routes=[{"number": "9.", "choices": [{"trunk_group": "carrier", "strip": 1}], "classes": ["national"]}])
    found = simulate(asked)
    assert [row["flow"] for row in found["flows"]] == ["main"] and {(way["flow"], way["node"]) for way in found["ways"]} == {("main", "thanks")} and found["assumed"] == []
