"""The expected wait: said, shown, ruled by, and how wrong it is."""

import random

import pytest

from firmware.acd.expected import Expected, load_of, minutes
from firmware.acd.report import figures
from firmware.acd.statistics import Statistics
from firmware.storage.database import migrations
from tests.control.test_acd import SALES, SERVICE, answer, ring, to, world


def busy(sales=None, serves=(), **more):
    """A queue with one agent, who takes 60 s a caller; four callers were served in a row, so that the pace is known."""
    rig = world({"1001": {"queues": [{"queue": "sales"}] + [{"queue": name} for name in serves]}, "1002": {"queues": []}, "1003": {"queues": []}},
                dict({"max_wait_s": 3600}, **sales or {}), **more)
    for count in range(1, 6):
        rig.offer("p%d" % count, called=SALES, timeslot=count)
        rig.played("p%d" % count)
    for count in range(1, 6):
        answer(rig)
        rig.wait(60000)
        rig.hang_up("p%d" % count)
    return rig


def test_the_estimate_is_shown_recorded_and_outlives_kill_and_checkpoint():
    rig = busy()
    assert rig.queue("sales")["expected_wait_ms"] == 0              # somebody is ready
    ring(rig, "p6")
    answer(rig)
    assert ring(rig, "p7") is None and ring(rig, "p8") is None
    waits = [call["expected_wait_ms"] for call in rig.sb.snapshot(rig.now)["calls"][1:]]
    assert 1.4 * waits[0] <= waits[1] <= 2.5 * waits[0] and 30000 <= waits[0] <= 90000, waits
    assert rig.queue("sales")["expected_wait_ms"] == pytest.approx(2 * waits[1] - waits[0], abs=3)      # a line
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    rig.kill()
    assert [call["expected_wait_ms"] for call in rig.sb.snapshot(rig.now)["calls"][1:]] == waits


def test_callers_of_another_queue_with_the_same_agents_are_before_one():
    """The place in the queue says 2 in both cases; who is served earlier says 2 and 4.  A caller whose telephone rings already is before nobody."""
    def told(beside):
        rig = busy(serves=["service"])
        ring(rig, "p6")
        answer(rig)
        for leg in ("p8", "p9")[:beside]:
            assert ring(rig, leg, called=SERVICE) is None
        ring(rig, "p7")
        return [call["expected_wait_ms"] for call in rig.sb.snapshot(rig.now)["calls"] if call["queue"] == "sales"][-1]
    alone, beside = told(0), told(2)
    assert 2 * alone < beside < 4 * alone, (alone, beside)


def test_it_is_announced_in_minutes_and_only_when_known():
    rig = world({"1002": {"queues": []}, "1003": {"queues": []}}, {"announce": "wait"})
    rig.config["queues"][0]["announce_position_s"] = 20
    rig.do("agent.status", agent="1001", status="on_break", reason="r")
    rig.offer("p1", called=SALES)
    rig.played()
    rig.wait(21000)
    assert rig.heard() == ["default"]                               # nobody knows yet
    rig = busy({"announce": "both"})
    rig.config["queues"][0]["announce_position_s"] = 20
    ring(rig, "p6")
    answer(rig)
    ring(rig, "p7")
    rig.played("p7")
    rig.wait(20000)
    heard = rig.heard("p7")
    assert heard[:5] == ["position_before zh_CN", "1 zh_CN", "position_after zh_CN", "wait_before zh_CN", "%s zh_CN" % heard[4].split()[0]]
    assert heard[11] in ("wait_after en", "wait_after_one en") and 1 <= int(heard[4].split()[0]) <= 2
    assert [minutes(ms) for ms in (0, 60000, 60001, 600000, 600001, 1800000)] == [1, 1, 2, 10, 15, 30]


def test_a_rule_gives_on_who_would_wait_too_long():
    rig = busy({"overflow": [to("expected_wait", "service", 130)]})
    ring(rig, "p6")
    answer(rig)
    for leg in ("p7", "p8", "p9"):
        ring(rig, leg)
    assert [call["queue"] for call in rig.sb.snapshot(rig.now)["calls"]] == ["sales", "sales", "sales", "service"]
    assert [record["data"]["reason"] for record in rig.journal if record["kind"] == "queue.refused"] == ["expected_wait"]


def test_how_wrong_it_is_with_many_agents_and_callers_who_give_up():
    """Eight agents of 120 s (exponential), 5 % more calls than they can take, one in four gives up after 4 minutes: by replay of the
    machine's own fold.  The mean wait is the yardstick: always saying it would err by the mean deviation from it."""
    draw, pace = random.Random(7), Expected()
    free, waiting, busy_until, now = 8, [], [], 0
    errors, waits, arrival = [], [], 0
    while len(errors) < 1500:
        events = [arrival] + busy_until[:1] + sorted(row[2] for row in waiting)[:1]
        now = min(events)
        if waiting and min(row[2] for row in waiting) <= now:
            waiting = [row for row in waiting if row[2] > now]
        elif busy_until and busy_until[0] <= now:
            busy_until.pop(0)
            free += 1
        else:
            arrival = now + max(1, int(draw.expovariate(1.05 * 8 / 120000)))
            place = len(waiting) + 1 if not free else None
            load = load_of(1000 * place, 8) if place else None
            said = pace.estimate_ms(load) if place else None
            waiting.append((now, said, now + (240000 if draw.random() < 0.25 else 10 ** 9), load))
        while free and waiting:
            entered, said, _, load = waiting.pop(0)
            free -= 1
            busy_until = sorted(busy_until + [now + max(1, int(draw.expovariate(1 / 120000)))])
            if load is not None:
                pace.answered(load, now - entered)
            if said is not None:
                errors.append(now - entered - said)
                waits.append(now - entered)
    mean = sum(waits) / len(waits)
    deviation = sum(abs(wait - mean) for wait in waits) / len(waits)
    error = sum(map(abs, errors)) / len(errors)
    assert error < 0.7 * deviation and abs(sum(errors) / len(errors)) < 0.15 * mean, (error, deviation, mean)


def test_the_error_is_a_figure_of_the_report():
    rig = busy()
    fold = Statistics(kept=None)
    for record in rig.journal:
        fold.apply(record)
    counts = {}
    for row in fold.take()["queues"]["sales"].values():
        for name in row:
            counts[name] = counts.get(name, 0) + row[name]
    entered = {record["call"]: record for record in rig.journal if record["kind"] == "queue.entered"}
    rows = [(record["data"]["wait_ms"], entered[record["call"]]["data"].get("expected_ms")) for record in rig.journal
            if record["kind"] == "queue.left" and record["data"]["reason"] == "answered"]
    known = [(wait, said) for wait, said in rows if said is not None]
    assert counts["expected"] == len(known) and counts["expected_error_ms"] == sum(abs(wait - said) for wait, said in known)
    made = figures("queues", dict(counts, expected=4, expected_error_ms=100, expected_bias_ms=-40), "ignore", 900)
    assert (made["expected_wait_error_ms"], made["expected_wait_bias_ms"]) == (25, -10)
    assert figures("queues", {}, "ignore", 900)["expected_wait_error_ms"] is None and migrations()
