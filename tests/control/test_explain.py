"""Why a number would go where it goes: each step that decides, and that the calls then do as they were told."""

import pytest

from firmware.call.calendar import day_runs, days_said
from firmware.call.trunk_group import SELECTIONS
from firmware.control import commands, core_explain
from tests.control.switchboard_rig import Rig
from tests.control.test_outside import WORKDAY_08, config, world

HOUR_MS = 3600_000


def steps_of(told):
    return [(step["result"], step["key"]) for step in told["steps"]]


def test_each_step_is_told_in_the_order_in_which_it_decides():
    rig = world(up=(2, 3))
    told = rig.sb.explain("9001234567890", "2001", None, rig.now)
    assert steps_of(told) == [("info", "moment"), ("info", "screening.line"), ("ok", "plan.route"), ("info", "plan.shorter"), ("ok", "class.ok"), ("ok", "choice.open")]
    assert told["steps"][2]["text"] == "route 900. is the longest that fits" and told["steps"][3]["arguments"] == {"number": "9."}
    assert told["steps"][4]["text"] == "international calls; allowed are: internal, local, national, international"
    way = told["ways"][0]
    assert (way["choice"], way["stripped"], way["prefix"], way["number"]) == (1, "9", "", "001234567890")
    assert way["shown"] == {"number": "02150802001", "type": "unknown", "presentation": "restricted"}
    assert steps_of(rig.sb.explain("9001234567890", "1001", None, rig.now))[-1] == ("no", "class.no")
    assert steps_of(rig.sb.explain("110", "1001", None, rig.now))[2:4] == [("ok", "plan.route"), ("ok", "class.free")]
    assert steps_of(rig.sb.explain("02150801009", None, "carrier", rig.now, "139"))[1:4] == [("ok", "screening.passed"), ("ok", "plan.number"), ("ok", "class.own")]
    assert steps_of(rig.sb.explain("1002", "1001", None, rig.now))[2:] == [("ok", "plan.internal"), ("ok", "class.ok")]
    assert steps_of(rig.sb.explain("4", None, "carrier", rig.now))[-1] == ("no", "plan.none")


def test_the_moment_may_be_another_one():
    rig = world(up=(2, 3))
    for at_ms, open_choices in ((WORKDAY_08 - HOUR_MS, ["carrier", "second"]), (WORKDAY_08, ["second"]), (WORKDAY_08 + 10 * HOUR_MS, ["carrier", "second"])):
        told = rig.sb.explain("98123", "1001", None, at_ms)
        assert [way["trunk_group"] for way in told["ways"]] == open_choices
    assert told["at"] == {"weekday": 4, "minute": 18 * 60} and told["steps"][0]["text"] == "Thursday, 18:00 at the site"
    closed = rig.sb.explain("98123", "1001", None, WORKDAY_08)
    assert closed["steps"][-2]["text"] == "choice 1 (carrier) is closed then; it is open Monday to Friday, 18:00 to 08:00"
    before = rig.sb.dump()
    assert rig.sb.core.now_ms == rig.now and rig.sb.dump() == before and not rig.sb.take()[0], "nothing was decided, and it is now again"


def test_hours_of_a_queue_at_that_moment():
    changed = config()
    changed["queues"][0]["hours"] = [{"days": "12345", "from": "08:00", "to": "18:00"}]
    changed["numbers"].append({"number": "800", "application": "queue", "target": changed["queues"][0]["name"]})
    rig = Rig(changed)
    assert steps_of(rig.sb.explain("800", None, "carrier", WORKDAY_08))[-1] == ("ok", "hours.open")
    assert steps_of(rig.sb.explain("800", None, "carrier", WORKDAY_08 - HOUR_MS))[-1] == ("info", "hours.closed")


def tandem(rig, timeslot):
    """A caller of span 3 dials through.  Returns the leg.create."""
    rig.do("leg.offered", leg="p%d" % timeslot, tech="pri", trunk_group="second", span=3, timeslot=timeslot, caller="139%d" % timeslot, caller_presentation="allowed",
           called="913912345678", called_complete=True)
    return rig.last("leg.create")


@pytest.mark.parametrize("selection", SELECTIONS)
def test_calls_take_the_circuits_in_the_order_that_was_told(selection):
    rig = world(up=(2, 3), carrier={"selection": selection}, second={"classes": ["national"]})
    used = [tandem(rig, timeslot) for timeslot in (1, 2, 3)]             # so that "last" and "longest idle" have something to say
    rig.do("leg.released", leg=used[0]["leg"], cause=16, by="far")
    told = rig.sb.explain("913912345678", None, "second", rig.now)["ways"][0]
    assert told["selection"] == selection and told["first"] == [2, next(c["timeslot"] for c in told["circuits"] if c["state"] == "next")]
    assert {(c["span"], c["timeslot"]) for c in told["circuits"] if c["state"] == "busy" and c["call"]} == {(2, create["timeslot"]) for create in used[1:]}
    assert {c["span"] for c in told["circuits"] if c["state"] == "down"} == {1}
    free = [c["timeslot"] for c in told["circuits"] if c["state"] in ("next", "free")]
    assert [tandem(rig, timeslot)["timeslot"] for timeslot in (4, 5, 6)] == free[:3]


def test_what_is_kept_and_out_of_service_is_told_of_each_circuit():
    rig = world(up=(2,), carrier={"reserved": 29})
    told = rig.sb.explain("913912345678", "1001", None, rig.now, out_of_service={(2, 31), (2, 30)})["ways"][0]
    states = {c["timeslot"]: c["state"] for c in told["circuits"] if c["span"] == 2}
    assert (states[31], states[30], states[29]) == ("out_of_service", "out_of_service", "kept") and told["first"] is None and "reserved: 29" in told["why"]
    assert len(told["circuits"]) <= core_explain.CIRCUITS_SHOWN


def test_of_very_many_circuits_the_one_that_is_taken_is_shown(monkeypatch):
    monkeypatch.setattr(core_explain, "CIRCUITS_SHOWN", 8)
    for up, first in (((2,), [2, 31]), ((1,), [1, 31]), ((1, 2), [2, 31])):
        rig = world(up=up, carrier={"selection": "descending"})
        way = rig.sb.explain("913912345678", "1001", None, rig.now)["ways"][0]
        assert way["first"] == first and len(way["circuits"]) == 8 and [c["state"] for c in way["circuits"]].count("next") == 1


def test_a_moment_is_one_that_clocks_know():
    assert commands.moment_of("1970-01-02T08:00", "Asia/Shanghai") == 86400_000
    assert commands.moment_of("2199-12-31T23:59", "UTC") == 7_258_118_340_000
    for text in ("0001-01-01T00:00", "9999-12-31T23:59", "1969-12-31T23:59", "20261123T220000Z", "2026-11-23", "2026-13-01T00:00", "x" * 500, ""):
        with pytest.raises(commands.Problem, match="from 1970 to 2199"):
            commands.moment_of(text, "Asia/Shanghai")


@pytest.mark.parametrize("days, said", [("67", "Saturday to Sunday"), ("1", "Monday"), ("72154", "Monday to Tuesday, Thursday to Friday, Sunday"), ("1234567", "Monday to Sunday")])
def test_days_are_said_as_words(days, said):
    assert days_said(day_runs(days)) == said
