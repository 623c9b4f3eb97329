"""G.826 counting, against a counter that was written apart from it, second by second."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.chassis.performance import COUNTS, DAY_S, QUARTER_S, Performance
from firmware.errors import LocalError

NOON_S = 1_700_006_400 // DAY_S * DAY_S + 43_200


def total(span, name):
    return sum(counts[name] for length, _, counts in span.flush() if length == "quarter")


def seconds(span, rows, start_s=NOON_S):
    for n, row in enumerate(rows):
        counters, defects = row if isinstance(row, tuple) else ({"crc_errors": row}, ())
        span.second(start_s + n, counters, defects)
    sums = dict.fromkeys(COUNTS, 0)
    for length, _, counts in span.flush():
        if length == "quarter":
            for name in COUNTS:
                sums[name] += counts[name]
    return sums


def recount(errors):
    """An independent count of whole runs: {"es", "ses", "bbe", "uas"}; errors: errored blocks each second, of 1000.

    Availability is found in two passes over the whole list, not by a machine."""
    bad = [value >= 300 for value in errors]
    unavailable, state, at = [False] * len(errors), False, 0
    while at < len(errors):
        window = bad[at:at + 10]
        if len(window) == 10 and (all(window) if not state else not any(window)):
            state = not state
            for place in range(at, at + 10):
                unavailable[place] = state
            at += 10
        else:
            unavailable[at] = state
            at += 1
    up = [n for n in range(len(errors)) if not unavailable[n]]
    return {"es": sum(errors[n] > 0 for n in up), "ses": sum(bad[n] for n in up),
            "bbe": sum(errors[n] for n in up if not bad[n]), "uas": sum(unavailable)}


@pytest.mark.conformance("G.826", "3.1", "ES, SES and BBE of a 2048 kbit/s path with CRC-4")
def test_errored_seconds():
    sums = seconds(Performance(), [0, 1, 5, 299, 300, 1000, 0, 0])
    assert sums == {**dict.fromkeys(COUNTS, 0), "seconds": 8, "es": 5, "ses": 2, "bbe": 305, "blocks_errored": 1605}


@pytest.mark.conformance("G.826", "annex A", "unavailable time begins and ends with ten seconds, which belong to it")
def test_unavailable_time():
    assert seconds(Performance(), [0] * 5 + [1000] * 9 + [0] * 5)["uas"] == 0
    sums = seconds(Performance(), [0] * 5 + [1000] * 9 + [0] * 5)
    assert (sums["ses"], sums["es"]) == (9, 9)
    span = Performance()
    sums = seconds(span, [0] * 5 + [1000] * 10 + [0, 7] * 4 + [1000] + [0] * 12)
    assert (sums["uas"], sums["ses"], sums["es"]) == (19, 0, 0) and span.available
    sums = seconds(Performance(), [0] * 5 + [({}, ("los",))] * 60 + [2] * 10 + [0] * 3)
    assert (sums["uas"], sums["es"], sums["bbe"], sums["blocks_errored"]) == (60, 10, 20, 20)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 0, 3, 299, 300, 900]), st.integers(1, 25)), max_size=25))
def test_against_another_counter(runs):
    errors = [value for value, count in runs for _ in range(count)] + [0] * 20
    sums = seconds(Performance(), errors)
    assert {name: sums[name] for name in ("es", "ses", "bbe", "uas")} == recount(errors)


def test_a_day_is_the_sum_of_its_quarters():
    generator = random.Random(4)
    span, start_s = Performance(), NOON_S - NOON_S % DAY_S
    quarters, days = {}, {}
    for at_s in range(start_s, start_s + 3 * QUARTER_S):
        span.second(at_s, {"crc_errors": generator.choice((0, 0, 0, 2, 400)), "slips": at_s % 700 == 0})
        if at_s % 60 == 59:
            for length, bin_s, counts in span.flush():
                (quarters if length == "quarter" else days)[bin_s] = counts
    assert sorted(quarters) == [start_s, start_s + 900, start_s + 1800] and sorted(days) == [start_s]
    for name in COUNTS:
        assert days[start_s][name] == sum(counts[name] for counts in quarters.values())
    assert all(counts["seconds"] == 900 for counts in quarters.values()) and days[start_s]["slips"] == 4


def test_unavailable_time_over_a_boundary_is_counted_in_both_bins():
    span, start_s = Performance(), NOON_S - 4
    sums = {}
    for n in range(30):
        span.second(start_s + n, {}, ("ais",) if n < 15 else ())
        sums.update({bin_s: counts for length, bin_s, counts in span.flush() if length == "quarter"})
    assert [sums[bin_s]["uas"] for bin_s in sorted(sums)] == [4, 11]


def test_what_a_restart_loses_is_seen():
    span = Performance()
    for n in range(100):
        span.second(NOON_S + n, {"crc_errors": 1})
    kept = span.flush()
    again = Performance()
    again.load(kept)
    for n in range(130, 900):                       # 30 s nobody counted
        again.second(NOON_S + n, {})
    counts = again.current()["quarter"][1]
    assert (counts["seconds"], counts["es"]) == (870, 100)


def test_the_far_end():
    sums = seconds(Performance(), [({"e_bits": 2}, ()), ({"e_bits": 400}, ()), ({}, ("rai",)), ({"e_bits": 9}, ("los",)), ({}, ())])
    assert {name: sums[name] for name in ("fe_es", "fe_ses", "fe_bbe", "fe_uas")} == {"fe_es": 3, "fe_ses": 2, "fe_bbe": 2, "fe_uas": 0}


def test_the_other_framings():
    sums = seconds(Performance("e1"), [({"fas_errors": n}, ()) for n in (0, 1, 27, 28, 0)])
    assert (sums["es"], sums["ses"], sums["bbe"]) == (3, 1, 28)
    sums = seconds(Performance("t1_esf"), [({"crc_errors": n}, ()) for n in (319, 320, 333, 0)])
    assert (sums["es"], sums["ses"]) == (3, 2)
    with pytest.raises(LocalError, match="no counting"):
        Performance("e3")


def test_64_spans_for_an_hour_keep_little_in_memory():
    span = Performance()
    for at_s in range(NOON_S, NOON_S + 3600):
        span.second(at_s, {})
        if at_s % 60 == 0:
            span.flush()
    span.flush()
    assert len(span._bins) <= 4


def test_a_lost_signal_that_is_found_is_no_bad_line():
    """Unavailable for ten seconds more (annex A), and yet no line that works badly."""
    performance = Performance()
    for at_s in range(60):
        performance.second(at_s, {}, {"los"} if 5 <= at_s < 40 else ())
        assert not performance.spoilt and performance.available == (at_s < 14 or at_s >= 49)
    for at_s in range(60, 80):
        performance.second(at_s, {"crc_errors": 500})
        assert performance.spoilt == (at_s >= 69)
    performance.second(80, {}, {"ais"})
    assert not performance.spoilt


@pytest.mark.parametrize("shown, available, spoilt", [(((), {"crc_errors": 500}), False, True), ((("los",), {}), False, False), (((), {}), True, False)])
def test_what_a_killed_process_knew_is_believed_where_the_line_still_says_so(shown, available, spoilt):
    performance = Performance(failed=True)
    performance.second(0, shown[1], shown[0])
    assert (performance.available, performance.spoilt) == (available, spoilt)
    assert performance.quarter(0)["uas"] == (not available)
