"""Admission: what a leg costs is reserved, and a leg too many is refused with a reason."""

import threading
import time

import pytest

from firmware.errors import LocalError
from firmware.media import admission, settings, stats
from firmware.media.__main__ import helpers_wanted
from firmware.media.settings import ENHANCE_OFF

COSTS = {"echo": 2500, "echo_128": 4500, "noise": 500, "level": 100, "vad": 200, "dtmf": 100, "modem": 150, "amd": 50, "progress": 120, "fsk": 800, "echo_fresh": 3000, "echo_128_fresh": 5000}
ALL = {"echo": True, "long_tail": False, "noise": True, "level": "agc", "vad": True}


class Machine:
    """A clock, and what the tick has to do."""

    def __init__(self, work_ns=0, longest_ns=0):
        self.now, self.load = 0.0, (work_ns, longest_ns)
        self.desk = admission.Admission(COSTS, lambda: self.load, clock=lambda: self.now)


def test_the_kernels_cost_something_and_less_than_a_tick():
    costs = admission.measure()
    assert set(costs) == set(COSTS) and all(0 < ns < 100_000 for ns in costs.values()), costs
    assert costs["echo"] > costs["vad"]


def test_both_cancellers_are_measured_on_the_same_echo(monkeypatch):
    """The second found none, which the first had taken off, slept, and seemed to cost less."""
    heard, cancel = {}, admission.echo.cancel

    def watched(state, slots, far, near, flags=None, far_rows=None, near_rows=None, partitions=admission.echo.TAIL_64_MS):
        if flags is None:
            heard.setdefault(partitions, []).append(near[near_rows].copy())
        cancel(state, slots, far, near, flags, far_rows, near_rows, partitions)
    monkeypatch.setattr(admission.echo, "cancel", watched)
    admission.measure_alone()
    short, long = heard[admission.echo.TAIL_64_MS], heard[admission.echo.TAIL_128_MS]
    assert len(short) == len(long) and all((a == b).all() for a, b in zip(short, long))


def test_legs_are_reserved_released_and_refused():
    desk = Machine().desk
    cost = desk.cost("timeslot", ALL)
    assert cost == admission.PLAIN_NS["timeslot"] + sum(COSTS[name] for name in ("echo", "noise", "level", "vad", "dtmf"))
    assert desk.cost("timeslot", dict(ALL, long_tail=True)) - cost == COSTS["echo_128"] - COSTS["echo"]
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


def test_a_bench_in_a_slow_world_is_refused_nothing():
    machine = Machine(9_000_000, 9_900_000)
    with pytest.raises(LocalError):
        machine.desk.reserve(0, 20_000, "add")
    machine.desk.refuses = False
    machine.desk.reserve(0, 20_000_000, "add")
    assert machine.desk.figures()["reserved_us"] == 20_000, "but it is counted"


def test_a_hot_box_takes_fewer_and_throws_nobody_out():
    desk = Machine().desk
    cost = desk.cost("timeslot", ALL)
    room = desk.limit_ns // cost
    for _ in range(room // 2 + 10):
        desk.reserve(0, cost, "add")
    desk.derate(50)
    with pytest.raises(LocalError, match="the box is too hot and takes 50 % of its calls") as refusal:
        desk.reserve(0, cost, "add")
    assert refusal.value.cause == 47 and desk.figures()["percent"] == 50 and desk.reserved_ns == cost * (room // 2 + 10)
    desk.derate(100)
    desk.reserve(0, cost, "add")


def test_an_emergency_call_is_refused_by_nothing_but_the_end_of_the_tick():
    machine = Machine(7_000_000, 9_500_000)             # full, and late already
    machine.desk.derate(50)                             # and too hot
    with pytest.raises(LocalError):
        machine.desk.reserve(0, 20_000, "add")
    room = 0
    with pytest.raises(LocalError):
        while room < 1000:
            machine.desk.reserve(0, 20_000, "add", emergency=True)
            room += 1
    assert room == 100, "9 of 10 ms"
    with pytest.raises(LocalError):
        machine.desk.reserve(0, 20_000, "add")


@pytest.mark.parametrize("threads", (1, 2))
def test_a_tick_that_is_busy_for_other_reasons_counts(threads):
    machine = Machine(6_999_000)
    machine.desk.threads = threads
    if threads == 2:
        machine.desk.reserve(0, 2000, "add")
        machine.load = (round(6_999_000 * machine.desk.gain()), 0)
    with pytest.raises(LocalError, match="us of a tick are in use and this needs 3"):
        machine.desk.reserve(0, 3000, "add")
    machine.desk.realtime(False)
    assert machine.desk.limit_ns == 4_000_000


def test_what_is_reserved_counts_until_the_measured_load_shows_it():
    """6.5 ms of work that nobody reserved, then legs in one second: the seventh of 80 us is one too many, though the load is the old one still."""
    machine = Machine(6_500_000)
    for _ in range(6):
        machine.desk.reserve(0, 80_000, "add")
    with pytest.raises(LocalError):
        machine.desk.reserve(0, 80_000, "add")
    machine.now += stats.SECONDS        # now it would show, and they turn out to cost nothing
    for _ in range(6):
        machine.desk.reserve(0, 80_000, "add")


def test_a_canceller_counts_with_all_its_learning_while_it_is_fresh():
    """1,300 legs of 5.4 us in a second would fit by their price; in the first 12 s each learns in every block."""
    machine = Machine()
    desk, cost, fresh = machine.desk, machine.desk.cost("timeslot", ALL), machine.desk.fresh(ALL)
    assert fresh == COSTS["echo_fresh"] and desk.fresh(dict(ALL, long_tail=True)) == COSTS["echo_128_fresh"] and desk.fresh(ENHANCE_OFF) == 0
    taken = 0
    with pytest.raises(LocalError, match="us of a tick are in use"):
        while taken < 2000:
            desk.reserve(0, cost, "add", fresh_ns=fresh)
            taken += 1
    assert taken == desk.limit_ns // (cost + fresh)
    machine.now += stats.SECONDS
    machine.load = (taken * (cost + fresh), 6_000_000)
    assert desk.figures()["dearer"] == 1, "they cost what was expected of fresh ones"
    machine.now += admission.FRESH_S
    machine.load = (taken * cost, 6_000_000)
    for _ in range((desk.limit_ns - taken * cost) // (cost + fresh)):
        desk.reserve(0, cost, "add", fresh_ns=fresh)
    with pytest.raises(LocalError):
        desk.reserve(0, cost, "add", fresh_ns=fresh)


def test_legs_that_cost_more_than_their_price_are_priced_by_what_they_cost():
    machine = Machine()
    for _ in range(100):
        machine.desk.reserve(0, 20_000, "add")
    machine.now += stats.SECONDS
    machine.load = (4_000_000, 6_000_000)       # twice what was reserved
    assert machine.desk.figures()["dearer"] == 2
    for _ in range(75):
        machine.desk.reserve(0, 20_000, "add")
    with pytest.raises(LocalError, match="7000 of 7000 us of a tick are in use and this needs 40 more"):
        machine.desk.reserve(0, 20_000, "add")


def test_legs_that_cost_less_than_their_price_leave_no_room():
    """They are at rest; when they talk they cost what was reserved, and nobody can be sent away then."""
    machine = Machine()
    for _ in range(350):
        machine.desk.reserve(0, 20_000, "add")
    machine.now += stats.SECONDS
    machine.load = (3_500_000, 4_000_000)       # half of what was reserved
    with pytest.raises(LocalError, match="7000 of 7000 us of a tick are in use"):
        machine.desk.reserve(0, 20_000, "add")
    machine.load = (9_000_000, 9_500_000)       # what talks has become dearer: nobody more, and nobody is thrown out
    with pytest.raises(LocalError):
        machine.desk.reserve(0, 20_000, "add")
    assert machine.desk.reserved_ns == 350 * 20_000


def test_time_that_the_host_took_is_no_work(monkeypatch):
    """A tick of 3 ms of processor time that took 9.5 by the clock: there is room, and the figures by the clock tell the rest."""
    engine, now = Engine(), [1.0]
    monkeypatch.setattr(stats.time, "monotonic", lambda: now[0])
    seen = stats.TickStats(engine)
    seen.tid = threading.get_native_id()
    seen.sample()
    desk = admission.Admission(COSTS, lambda: (seen.work_ns, seen.longest_ns), clock=lambda: now[0])
    for _ in range(6):
        now[0] += 1.01
        engine.second(3_000_000, stolen_ns=6_500_000)
        seen.sample()
    assert seen.work_ns == 3_000_000 and seen.longest_ns < 3_100_000
    desk.reserve(0, 3_900_000, "add")
    for _ in range(6):
        now[0] += 1.01
        engine.second(9_500_000)            # the same by the clock, but computed
        seen.sample()
    with pytest.raises(LocalError):
        desk.reserve(0, 20_000, "add")


def test_ticks_that_are_long_refuse_whatever_the_sums_say():
    machine = Machine(1_000_000, 8_600_000)
    machine.desk.reserve(0, 3_000_000, "add")           # a machine with hardly any load: its long ticks are the host's
    with pytest.raises(LocalError, match="one tick in a hundred takes 8.6 of its 10 ms"):
        machine.desk.reserve(0, 20_000, "add")
    machine.load = (3_000_000, 8_400_000)
    machine.desk.reserve(0, 20_000, "add")


def test_ticks_near_their_end_refuse_when_they_are_more_than_one_in_a_thousand():
    near, machine = [2], Machine(3_000_000, 5_000_000)
    desk = admission.Admission(COSTS, lambda: machine.load, clock=lambda: machine.now, near=lambda: near[0])
    desk.reserve(0, 3_000_000, "add")
    near[0] = 3
    with pytest.raises(LocalError, match="in 3 of the last 20 seconds a tick took 80 %") as refusal:
        desk.reserve(0, 20_000, "add")
    assert refusal.value.cause == 47
    desk.reserve(0, 20_000, "add", emergency=True)
    desk.reserve(1_000_000, 900_000, "enhance")         # less is always granted


class Engine:
    """What stats.py asks of one."""

    def __init__(self):
        self.ticks, self.cpu_ns, self.helped_cpu_ns, self.histogram = 0, 0, 0, [0] * 2048
        self.wall_ns, self.wall_histogram = 0, [0] * 2048

    def figures(self):
        return {"ticks": self.ticks, "cpu_ns": self.cpu_ns, "helped_cpu_ns": self.helped_cpu_ns, "cpu_histogram": list(self.histogram),
                "busy_ns": self.wall_ns, "helped_ns": self.helped_cpu_ns, "histogram": list(self.wall_histogram)}

    def second(self, tick_ns, helped_ns=0, long_ns=None, long=0, stolen_ns=0):
        for n in range(100):
            took = long_ns if n < long else tick_ns
            self.ticks, self.cpu_ns, self.helped_cpu_ns = self.ticks + 1, self.cpu_ns + took, self.helped_cpu_ns + helped_ns
            self.histogram[min(took // 10_000, 2047)] += 1
            self.wall_ns += took + stolen_ns
            self.wall_histogram[min((took + stolen_ns) // 10_000, 2047)] += 1


def test_seconds_that_the_host_spoilt_do_not_count_and_an_overload_does(monkeypatch):
    engine, now = Engine(), [1.0]
    monkeypatch.setattr(stats.time, "monotonic", lambda: now[0])
    seen = stats.TickStats(engine)
    seen.tid = threading.get_native_id()
    seen.sample()
    desk = admission.Admission(COSTS, lambda: (seen.work_ns, seen.longest_ns), clock=lambda: now[0])

    def second(*args, **more):
        now[0] += 1.01
        engine.second(*args, **more)
        seen.sample()

    for tick_ns in (5_000_000, 5_000_000, 5_000_000, 5_800_000 + 30_000_000, 80_000_000, 5_000_000):
        second(tick_ns)
        desk.reserve(0, 1000, "add")            # refused where one second counted
        assert seen.work_ns in (0, 5_000_000)
    for _ in range(3):
        second(7_500_000)
    with pytest.raises(LocalError, match="750. of 7000 us"):
        desk.reserve(0, 1000, "add")
    for _ in range(3):
        second(100_000)
    desk.reserve(0, 1000, "add")
    for _ in range(3):
        second(3_000_000, helped_ns=1_500_000, long_ns=9_000_000, long=3)       # 3 of 100 ticks are long
    assert seen.work_ns == 3_180_000 + 1_500_000 and 8_900_000 < seen.longest_ns < 9_100_000
    assert seen.near_seconds == 5, "two spoilt, three long"
    for _ in range(stats.NEAR_SECONDS - 2):
        second(3_000_000, helped_ns=1_500_000)
    assert seen.near_seconds == 2, "the last two long ones are still among them"
    for _ in range(3):
        second(3_000_000, helped_ns=1_500_000, long_ns=9_000_000, long=3)
    engine.cpu_ns, engine.histogram = 0, [0] * 2048     # somebody cleared them
    second(3_000_000)
    assert seen.work_ns == 4_680_000


@pytest.mark.parametrize("processors, wanted, helpers", ((1, "", 0), (2, "", 1), (3, "", 1), (4, "", 2), (16, "", 3), (2, "0", 0), (2, "3", 3), (2, "many", 1)))
def test_helpers_of_the_tick(processors, wanted, helpers):
    assert helpers_wanted(processors, wanted) == helpers


def leg(n):
    """The nth leg with everything on: all timeslots of a full board, then RTP streams."""
    if n < 1984:
        return dict(id=f"t{n}", kind="timeslot", span=n // 31 + 1, timeslot=n % 31 + 1, law="A", enhance=ALL)
    return dict(id=f"t{n}", kind="rtp", address="127.0.0.1", enhance=ALL)


def test_media_refuses_what_it_cannot_serve_and_goes_on(control):
    """Real process: legs with everything on until it says no; then one that goes makes room for another."""
    figures = control.do("stats")["admission"]
    assert figures["reserved_us"] == 0 and figures["limit_us"] >= 4000
    n = 0
    while (reply := control.raw("add", **leg(n)))["ok"]:
        n += 1
        assert n < 4096 or pytest.skip("this machine serves a full box")
    if "rtp: " in reply["error"]:               # no more ports: then each hears all that there is to be heard
        for k in range(n):
            if not (reply := control.raw("detect", id=f"t{k}", dtmf=True, modem=True, answer={}, caller_id="v23"))["ok"]:
                break
        else:
            pytest.skip("this machine serves more than the test has ports for")
    assert reply["cause"] == 47 and ("us of a tick" in reply["error"] or "one tick in a hundred" in reply["error"] or "of the last 20 seconds" in reply["error"]) and n > 100
    assert control.do("stats")["admission"]["refused"] == 1
    assert len(control.audit()["terminations"]) == n
    control.do("enhance", id="t0", noise=False, level="off", echo=False, vad=False)
    figures = control.do("stats")
    if figures["admission"]["threads"] > 1 and figures["admission"]["busy_us"] > 4000:
        assert figures["tick"]["helped_units"] > 0      # the tick's second thread takes its part
    for k in range(0, n, 2):
        control.do("subtract", id=f"t{k}")
    deadline = time.monotonic() + 30            # the median of five seconds counts, too
    while not control.raw("add", **dict(leg(0), id="again"))["ok"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
