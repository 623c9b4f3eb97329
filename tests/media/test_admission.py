"""Admission: what a leg costs is reserved, and a leg too many is refused with a reason."""

import threading
import time

import pytest

from firmware.errors import LocalError
from firmware.media import admission, settings, stats
from firmware.media.settings import ENHANCE_OFF

COSTS = {"echo": 2500, "noise": 500, "level": 100, "vad": 200, "dtmf": 100, "modem": 150, "amd": 50, "progress": 120, "fsk": 800}
ALL = {"echo": True, "noise": True, "level": "agc", "vad": True}


def test_the_kernels_cost_something_and_less_than_a_tick():
    costs = admission.measure()
    assert set(costs) == set(COSTS) and all(0 < ns < 100_000 for ns in costs.values()), costs
    assert costs["echo"] > costs["vad"]


def test_legs_are_reserved_released_and_refused():
    desk = admission.Admission(COSTS, lambda: 0)
    cost = desk.cost("timeslot", ALL)
    voice = sum(COSTS[name] for name in ("echo", "noise", "level", "vad", "dtmf"))
    assert cost == admission.PLAIN_NS["timeslot"] + voice
    heard = dict(settings.HEARS_NOTHING, modem=True, progress=True, answer={}, caller_id="v23")
    assert desk.cost("timeslot", ALL, None, heard) == admission.PLAIN_NS["timeslot"] + sum(COSTS.values())     # speech detection once
    assert desk.cost("timeslot", ENHANCE_OFF, None, heard) == admission.PLAIN_NS["timeslot"] + sum(COSTS[name] for name in ("dtmf", "vad", "modem", "amd", "progress", "fsk"))
    assert desk.cost("timeslot", dict(ENHANCE_OFF, vad=True)) - desk.cost("timeslot", ENHANCE_OFF) == COSTS["vad"]
    room = desk.limit_ns // cost
    for _ in range(room):
        desk.reserve(0, cost, "add")
    with pytest.raises(LocalError, match="late for the calls") as refusal:
        desk.reserve(0, cost, "add")
    assert refusal.value.cause == 47 and desk.figures()["refused"] == 1
    desk.reserve(cost, desk.cost("timeslot", ENHANCE_OFF), "enhance")       # less is always granted
    desk.release(cost)
    desk.reserve(0, cost, "add")


def test_a_tick_that_is_busy_for_other_reasons_counts():
    desk = admission.Admission(COSTS, lambda: 6_999_000)
    with pytest.raises(LocalError, match="6999 of 7000 us"):
        desk.reserve(0, 2000, "add")
    desk.realtime(False)
    assert desk.limit_ns == 4_000_000


def test_seconds_that_the_host_spoilt_do_not_count_and_an_overload_does(monkeypatch):
    class Engine:
        ticks = busy_ns = 0

        def figures(self):
            return {"ticks": self.ticks, "busy_ns": self.busy_ns}

    engine, now = Engine(), [1.0]
    monkeypatch.setattr(stats.time, "monotonic", lambda: now[0])
    seen = stats.TickStats(engine)
    seen.tid = threading.get_native_id()
    desk = admission.Admission(COSTS, lambda: seen.busy_ns)

    def second(tick_ns):
        now[0] += 1.01
        engine.ticks, engine.busy_ns = engine.ticks + 100, engine.busy_ns + 100 * tick_ns
        seen.sample()

    for tick_ns in (5_000_000, 5_000_000, 5_000_000, 5_800_000 + 30_000_000, 80_000_000, 5_000_000):
        second(tick_ns)
        desk.reserve(0, 1000, "add")            # refused where one second counted
        assert seen.busy_ns in (0, 5_000_000)
    for _ in range(3):
        second(7_500_000)
    with pytest.raises(LocalError, match="7500 of 7000 us"):
        desk.reserve(0, 1000, "add")
    for _ in range(3):
        second(100_000)
    desk.reserve(0, 1000, "add")


def test_media_refuses_what_it_cannot_serve_and_goes_on(control):
    """Real process: legs with everything on until it says no; then one that goes makes room for another."""
    figures = control.do("stats")["admission"]
    assert figures["reserved_us"] == 0 and figures["limit_us"] >= 4000
    n = 0
    while (reply := control.raw("add", id=f"t{n}", kind="timeslot", span=n // 31 + 1, timeslot=n % 31 + 1, law="A",
                                enhance=ALL))["ok"]:
        n += 1
        assert n < 1984 or pytest.skip("this machine serves a full board")
    assert reply["cause"] == 47 and "us of a tick" in reply["error"] and n > 100
    assert control.do("stats")["admission"]["refused"] == 1
    assert f"t{n}" not in [row["id"] for row in control.audit()["terminations"]]
    control.do("enhance", id="t0", noise=False, level="off", echo=False, vad=False)
    if control.do("stats")["admission"]["threads"] > 1 and n > 400:
        assert control.do("stats")["tick"]["helped_units"] > 0       # the tick's second thread takes its part
    for k in range(0, n, 2):
        control.do("subtract", id=f"t{k}")
    deadline = time.monotonic() + 8             # the median of five seconds counts, too
    while not control.raw("add", id="again", kind="timeslot", span=64, timeslot=31, law="A", enhance=ALL)["ok"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
