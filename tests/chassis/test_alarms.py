"""The alarm list, with time passed in: persistence, clearing, grouping, flapping, restart."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.framer import base
from firmware.chassis import alarms as module
from firmware.chassis.alarm_table import CONSEQUENT, KINDS, SEVERITIES
from firmware.chassis.alarms import Alarms
from firmware.errors import LocalError

LINE = tuple(base.ALARM_NAMES)


class Run:
    """Feeds a list of alarms every STEP_MS as the framer watch does; shows: {source: set of kinds} at a time."""

    STEP_MS = 200

    def __init__(self, alarms=None):
        self.alarms, self.now_ms, self.events = alarms or Alarms(), 0, []

    def until(self, end_ms, shows):
        while self.now_ms < end_ms:
            for source, kinds in (shows(self.now_ms) if callable(shows) else shows).items():
                self.alarms.report(source, kinds, LINE, self.now_ms)
            self.alarms.expire(self.now_ms)
            self.events += [(self.now_ms, event["do"], event["alarm"]["kind"], len(event["alarm"]["members"]))
                            for event in self.alarms.take()]
            self.now_ms += self.STEP_MS
        return self.events


def test_the_table_covers_the_framer_and_x733():
    assert set(LINE) <= set(KINDS)
    for name, severity, *_ in base.ALARMS:
        assert KINDS[name]["severity"] == severity
    for row in KINDS.values():
        assert row["severity"] in SEVERITIES[:4] and row["type"] in (
            "communications", "qualityOfService", "equipment", "environmental", "processingError")
        assert row["text"] and row["advice"]


@pytest.mark.conformance("T1.231", "DS1 failures", "a failure is declared after 2.5 s +/- 0.5 s and cleared after 10 s +/- 0.5 s")
@pytest.mark.parametrize("kind", ["los", "lfa", "ais", "rai"])
def test_declared_after_2_5_s_and_cleared_after_10_s(kind):
    run = Run()
    run.until(10_000, {"span 1": {kind}})
    run.until(30_000, {"span 1": set()})
    (raised, what, _, _), (cleared, end, _, _) = run.events
    assert (what, end) == ("raise", "clear")
    assert 2000 <= raised <= 3000 and 9500 <= cleared - 10_000 <= 10_500
    assert run.alarms.active() == []


def test_a_short_defect_is_no_failure_and_a_gap_restarts_the_clearing():
    run = Run()
    run.until(2000, {"span 1": {"los"}})
    run.until(20_000, {"span 1": set()})
    assert run.events == []
    run.until(25_000, {"span 1": {"los"}})
    run.until(33_000, {"span 1": set()})
    run.until(33_400, {"span 1": {"los"}})       # 8 s without, then again: still the same failure
    run.until(42_800, {"span 1": set()})
    assert [row[1] for row in run.events] == ["raise"]
    run.until(45_000, {"span 1": set()})
    assert [row[1] for row in run.events] == ["raise", "clear"]


def test_64_spans_together_are_one_alarm_with_64_members():
    run = Run()
    spans = {"span %d" % n: {"los"} for n in range(1, 65)}
    run.until(6000, spans)
    assert [row[1:] for row in run.events] == [("raise", "los", 64)]
    alarm, = run.alarms.active()
    assert alarm["members"][:3] == ["span 1", "span 2", "span 3"] and alarm["members"][-1] == "span 64"
    run.until(20_000, {**spans, "span 7": set()})
    assert run.events[-1][1:] == ("change", "los", 63)
    run.until(40_000, {name: set() for name in spans})
    assert run.events[-1][1:3] == ("clear", "los") and run.alarms.active() == []
    assert len(run.events) <= 4


def test_two_spans_are_two_alarms_and_a_late_one_joins_a_group():
    run = Run()
    run.until(6000, {"span 1": {"los"}, "span 2": {"los"}})
    assert [row[1] for row in run.events] == ["raise", "raise"]
    run = Run()
    run.until(6000, {"span %d" % n: {"los"} for n in range(1, 5)})
    run.until(15_000, {"span %d" % n: {"los"} for n in range(1, 7)})
    assert [row[1:] for row in run.events] == [("raise", "los", 4), ("change", "los", 6)]


def test_an_alarm_that_was_acknowledged_is_nobody_s_again_with_a_new_member():
    run, anna = Run(), {"by": "anna", "ts_ms": 1, "note": "the cable"}
    run.until(6000, {"span %d" % n: {"los"} for n in range(1, 5)})
    (alarm,) = run.alarms.active()
    run.alarms.acknowledge(alarm["id"], anna)
    run.until(20_000, {"span %d" % n: {"los"} for n in range(1, 4)})
    run.until(30_000, {"span %d" % n: {"los"} for n in range(1, 5)})
    assert alarm["members"] == ["span 1", "span 2", "span 3", "span 4"] and alarm["acked"] == anna     # span 4 went and came: anna knows it
    run.until(40_000, {"span %d" % n: {"los"} for n in range(1, 6)})
    assert alarm["members"][-1] == "span 5" and alarm["acked"] is None


def test_a_span_that_flaps_fast_is_one_alarm():
    run = Run()
    run.until(600_000, lambda now: {"span 1": {"los"} if now // 1000 % 2 else set()})     # never 2.5 s long
    assert [row[1:3] for row in run.events if row[1] != "change"] == [("raise", "flapping")]
    assert "comes and goes" in run.alarms.active()[0]["detail"]["span 1"]
    run.until(700_000, {"span 1": set()})
    assert run.events[-1][1:3] == ("clear", "flapping") and run.alarms.active() == []


def test_a_plug_that_is_pulled_each_few_seconds_is_told_as_that():
    """Four seconds out, four in: declared as no signal, and said to come and go, until it has lasted for a minute."""
    def shows(now):
        return {"span 1": {"los": "the cable is not plugged in"} if now // 4000 % 2 else {}, "span 2": {"ais": None} if now // 3000 % 2 else {}}
    run = Run()
    run.until(12_000, shows)
    assert {alarm["detail"].get("span 1") for alarm in run.alarms.active() if alarm["kind"] == "los"} == {"the cable is not plugged in"}
    run.until(150_000, shows)
    detail = {alarm["kind"]: alarm["detail"] for alarm in run.alarms.active()}
    assert detail["los"]["span 1"] == "comes and goes: 16 times in 2 minutes, a loose plug or patch cable"
    assert detail["ais"]["span 2"] == "comes and goes: 16 times in 2 minutes"
    assert run.alarms.comings("span 1", 0, run.now_ms) == 19 and run.alarms.comings("span 1", 100_000, run.now_ms) == 7
    changes = len(run.events)
    assert changes < 12                                     # told when it has doubled, not each time
    run.until(240_000, {"span 1": {"los": "the cable is not plugged in"}, "span 2": {}})
    assert {alarm["kind"]: alarm["detail"] for alarm in run.alarms.active()}["los"]["span 1"] == "the cable is not plugged in"
    assert run.alarms.comings("span 1", 0, run.now_ms) == 0


def test_after_a_restart_a_line_that_stays_is_not_said_to_come_and_go():
    run = Run()
    run.until(150_000, lambda now: {"span 2": {"ais": None} if now // 3000 % 2 else {}})
    again = Alarms(json.loads(json.dumps(run.alarms.dump())))
    assert [alarm["detail"] for alarm in again.active()] == [{"span 2": "comes and goes: 16 times in 2 minutes"}]
    for now_ms in range(150_000, 212_000, 200):
        again.report("span 2", {"ais": None}, ("ais",), now_ms)
        again.expire(now_ms)
    assert [(alarm["kind"], alarm["detail"]) for alarm in again.active()] == [("ais", {})]


def test_64_spans_at_1_hz_for_ten_minutes_are_few_alarms():
    run = Run()
    run.until(600_000, lambda now: {"span %d" % n: {"los"} if now // 600 % 2 else set() for n in range(1, 65)})
    assert [row[1:] for row in run.events if row[1] == "raise"] == [("raise", "flapping", 64)]


def test_two_spans_that_begin_to_flap_before_the_others_are_in_the_one_alarm():
    run = Run()
    run.until(30_000, lambda now: {"span %d" % n: {"los"} if (now > 2000 or n < 3) and now // 600 % 2 else set() for n in range(1, 65)})
    assert [row[1:3] for row in run.events if row[1] == "raise"] == [("raise", "flapping")]
    assert [len(alarm["members"]) for alarm in run.alarms.active()] == [64]


def test_spans_that_begin_and_cease_to_flap_one_by_one_are_one_alarm():
    """As under load, when a look misses some of the short faults: each span flaps for 90 s of each four minutes, another one each 4 s."""
    run = Run()
    run.until(900_000, lambda now: {"span %d" % n: {"los"} if (now + 4000 * n) % 240_000 < 90_000 and now // 1000 % 2 else set() for n in range(1, 65)})
    assert [row[1:3] for row in run.events if row[1] == "raise"] == [("raise", "flapping")]
    assert len(run.alarms.active()) == 1 and 20 < len(run.alarms.active()[0]["members"]) < 64


def test_a_failure_that_returns_waits_longer_to_clear():
    run = Run()
    run.until(3_600_000, lambda now: {"span 1": {"los"} if now % 20_000 < 5000 else set()})     # 180 times an hour
    raised = [row for row in run.events if row[1] == "raise"]
    assert len(raised) <= 4 and [alarm["kind"] for alarm in run.alarms.active()] == ["los"]
    run.until(3_600_000 + 3 * module.CLEAR_MOST_MS, {"span 1": set()})
    assert run.alarms.active() == []


def test_alarms_survive_a_restart_and_end_after_it():
    run = Run()
    run.until(6000, {"span %d" % n: {"ais"} for n in range(1, 9)})
    dump = json.loads(json.dumps(run.alarms.dump()))
    again = Run(Alarms(copy.deepcopy(dump)))
    again.now_ms = 9000
    again.until(15_000, {"span %d" % n: {"ais"} for n in range(1, 9)})
    assert again.events == [] and again.alarms.active()[0]["id"] == 1      # not told twice
    again.until(30_000, {"span %d" % n: set() for n in range(1, 9)})
    assert again.events[-1][1] == "clear"
    assert Alarms({"alarms": [{**dump["alarms"][0], "kind": "of a newer version"}], "last_id": 9}).active() == []


def test_a_span_taken_out_ends_its_alarms():
    run = Run()
    run.until(6000, {"span 1": {"los"}})
    run.alarms.forget("span 1", run.now_ms)
    assert run.alarms.active() == [] and run.alarms.take()[0]["do"] == "clear"


def test_severities_are_ordered_and_kinds_checked():
    alarms = Alarms()
    assert alarms.worst() == "cleared"
    alarms.report("psu 1", {"psu_failed": "no or low mains"}, ("psu_failed", "psu_absent"), 0)
    alarms.report("span 1", {"los"}, LINE, 0)
    for now_ms in range(0, 5000, 200):
        alarms.expire(now_ms)
    assert [alarm["severity"] for alarm in alarms.active()] == ["critical", "major"] and alarms.worst() == "critical"
    assert alarms.active()[1]["detail"] == {"psu 1": "no or low mains"}
    with pytest.raises(LocalError, match="not of the family"):
        alarms.report("span 1", {"psu_failed"}, LINE, 0)


@pytest.mark.conformance("G.732", "table 2", "which faults send RAI and block the circuits")
def test_consequent_actions_are_those_of_the_framer_driver():
    from drivers.framer.base import BLOCKING
    assert {kind for kind, actions in CONSEQUENT.items() if "block" in actions and not kind.startswith("cas")} == BLOCKING
    assert {kind for kind, actions in CONSEQUENT.items() if "rai" in actions} == {"los", "lfa", "ais"}    # FMR2.AXRA


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["los", "lfa", "ais", None]), st.integers(1, 40)), max_size=20))
def test_whatever_happens_every_alarm_ends_when_all_is_quiet(steps):
    run = Run()
    shows = {}
    for span, kind, count in steps:
        shows["span %d" % span] = {kind} if kind else set()
        run.until(run.now_ms + count * 200, shows)
    run.until(run.now_ms + 2 * module.CLEAR_MOST_MS, {name: set() for name in shows})
    assert run.alarms.active() == []
    raised = sum(row[1] == "raise" for row in run.events)
    assert raised == sum(row[1] == "clear" for row in run.events)
