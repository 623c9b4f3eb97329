"""The clock doctor: offsets from slips, and each finding from the pattern that makes it."""

import random

import pytest

from firmware.chassis.clock_doctor import SLIP_PPM, ClockDoctor


def watch(offsets, seconds=120, reference="span 1", mode="locked", errors=(), both_ways=()):
    """A doctor that has watched spans with offsets {span: ppm} against the box."""
    doctor, rng = ClockDoctor(), random.Random(4)
    phase = {span: rng.random() for span in range(1, 65)}
    doctor.reference(reference, mode, 0)
    for second in range(seconds + 1):
        for span, ppm in offsets.items():
            phase[span] += abs(ppm) / SLIP_PPM
            slips, phase[span] = int(phase[span]), phase[span] % 1
            faster = ppm > 0 if span not in both_ways else second % 2
            doctor.second(span, second * 1000, slips if faster else 0, 0 if faster else slips, span in errors and second % 3 == 0)
    return doctor.examine(seconds * 1000)


def found(answer):
    return [(row["finding"], row["spans"]) for row in answer["findings"]]


@pytest.mark.parametrize("ppm", [50.0, -50.0, 12.5, -3.0])
def test_the_offset_is_measured(ppm):
    row = watch({1: 0, 2: ppm}, seconds=890)["spans"]["2"]
    assert abs(row["ppm"] - ppm) <= max(row["within_ppm"], 0.01 * abs(ppm)) and row["within_ppm"] < 0.5


def test_one_clock():
    answer = watch({span: 0 for span in range(1, 9)}, seconds=600)
    assert found(answer) == [("one_clock", list(range(1, 9)))] and "All 8 spans" in answer["findings"][0]["text"] and "0.21 ppm" in answer["findings"][0]["text"]


@pytest.mark.parametrize("offsets, more, expected", [
    ({1: 0, 2: 30, 3: 0}, {}, [("own_clock", [2])]),
    ({1: 0, 2: 30, 3: 30.5, 4: 0, 5: -20}, {}, [("own_clock", [2, 3]), ("own_clock", [5])]),
    ({1: 0, 2: -40, 3: -40, 4: -40}, {}, [("odd_reference", [2, 3, 4])]),
    ({1: 25, 2: 0}, {}, [("not_followed", [1])]),
    ({1: 20, 2: 20, 3: 20}, {"reference": None, "mode": "freerun"}, [("no_reference", [1, 2, 3])]),
    ({1: 20, 2: -35}, {"reference": None, "mode": "holdover"}, [("own_clock", [1]), ("own_clock", [2])]),
    ({1: 0, 2: 30, 3: 0}, {"errors": (2,)}, [("bad_line", [2])]),
    ({1: 0, 2: 30, 3: 0}, {"both_ways": (2,)}, [("restless", [2])]),
    ({1: 0, 2: 30}, {"reference": "external"}, [("own_clock", [2])]),
    ({7: 30}, {"reference": None, "mode": "freerun"}, [("no_reference", [7])])])
def test_findings(offsets, more, expected):
    answer = watch(offsets, **more)
    assert sorted(found(answer)) == sorted(expected), answer["findings"]
    assert all(row["text"].endswith(".") and row["advice"] for row in answer["findings"])


def test_a_new_clock_of_the_box_begins_anew():
    doctor = ClockDoctor()
    doctor.reference("span 1", "locked", 0)
    for second in range(60):
        doctor.second(2, second * 1000, 1, 0, False)
    assert found(doctor.examine(60_000)) == [("own_clock", [2])]
    doctor.reference("span 2", "locked", 60_000)
    assert doctor.examine(60_000)["findings"] == []
    for second in range(60, 100):
        doctor.second(2, second * 1000, second == 60, 0, False)      # the slip of the second that ended is of before
    assert found(doctor.examine(100_000)) == [("one_clock", [2])]


def test_an_offset_that_changed_is_the_new_one():
    doctor = ClockDoctor()
    doctor.reference("span 1", "locked", 0)
    for second in range(120):
        doctor.second(2, second * 1000, 16 if second < 5 else 2 if second > 60 else 0, 0, False)
    assert 200 < doctor.examine(120_000)["spans"]["2"]["ppm"] < 300


def test_a_span_that_was_out_of_frame_is_judged_anew():
    doctor = ClockDoctor()
    for second in range(20):
        doctor.second(3, second * 1000, 1, 0, False)
    doctor.gone(3)
    assert doctor.examine(20_000)["spans"] == {}


def test_errors_of_a_weak_signal_are_the_cables():
    doctor = ClockDoctor()
    doctor.level(2, 20.4, True)
    for second in range(120):
        doctor.second(2, second * 1000, 1 if second % 10 == 5 else 0, 0, second % 3 == 0)
    finding = doctor.examine(120_000)["findings"][0]
    assert (finding["finding"], finding["key"]) == ("bad_line", "bad_line.weak") and "20 dB below nominal" in finding["text"]
    doctor.level(2, 3.0, False)
    assert doctor.examine(120_000)["findings"][0]["key"] == "bad_line"


def test_a_span_that_comes_and_goes_is_named_beside_what_else_is_found():
    doctor = ClockDoctor()
    answer = doctor.examine(0, {3: 9})
    assert found(answer) == [("unsteady", [3])] and "9 times in ten minutes" in answer["findings"][0]["text"] and "loose plug" in answer["findings"][0]["advice"]
