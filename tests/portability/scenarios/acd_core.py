"""Scenarios of queues, agents, strategies and statistics; run under CPython and MicroPython."""

import json

from firmware.acd import agent as agents
from firmware.acd import queue as queues
from firmware.acd import statistics
from firmware.acd.statistics import DAY_MS, IGNORE, NEGATIVE, POSITIVE, Statistics
from firmware.acd.strategy import Ask, Candidate, linear, longest_idle, select, strategy_of
from firmware.call.records import make
from firmware.errors import ConfigError


def order():
    queue = queues.Queue("q")
    for call, priority, entered, number in (("c1", 0, 100, 1), ("c2", 0, 100, 2), ("c3", 5, 300, 3), ("c4", 0, 50, 4)):
        queue.enter(call, priority, entered, number)
    queue.enter("c1", 9, 0, 9)                                          # again: nothing
    assert [entry.call for entry in queue] == ["c3", "c4", "c1", "c2"]
    assert queue.position("c1") == 3 and queue.position("c9") is None and queue.longest_since_ms() == 50
    again = queues.load("q", json.loads(json.dumps(queue.dump())))
    assert again.dump() == queue.dump()
    queue.leave("c4")
    queue.leave("c4")
    assert queue.position("c2") == 3 and len(queue) == 3 and queues.Queue("e").longest_since_ms() is None


def readiness():
    agent = agents.Agent("1", agents.AVAILABLE)
    assert agent.is_ready(True) and not agent.is_ready(False)
    agent.leg = "l1"
    assert not agent.is_ready(True)
    agent.leg = None
    for state in (agents.OFFERED, agents.TALKING, agents.WRAP_UP):
        agent.state = state
        assert not agent.is_ready(True)
    assert agents.load(json.loads(json.dumps(agent.dump()))).dump() == agent.dump()


def choice():
    candidates = [Candidate("a", 2, 0, 10, 0, 1), Candidate("b", 1, 1, 10, 500, 2), Candidate("c", 1, 2, 10, 400, 9),
                  Candidate("d", 1, 3, 10, 400, 3)]
    ask = Ask(1000, members=4)
    assert select(candidates, longest_idle, ask).name == "d"
    assert select(candidates, linear, ask).name == "b"
    assert select(candidates[:1], longest_idle, ask).name == "a" and select([], longest_idle, ask) is None
    assert strategy_of("longest_idle", "x") is longest_idle
    try:
        strategy_of("dice", "queues[0].strategy")
    except ConfigError as error:
        assert error.path == "queues[0].strategy"
    else:
        raise AssertionError("no ConfigError")


def formulas():
    """The vectors of the definitions."""
    assert round(statistics.service_level(70, 10, 100, IGNORE) * 1000) == 778
    assert statistics.service_level(70, 10, 100, NEGATIVE) == 0.7 and statistics.service_level(70, 10, 100, POSITIVE) == 0.8
    assert statistics.service_level(0, 0, 0) is None and statistics.service_level(0, 5, 5) is None
    assert statistics.occupancy(20, 20) == 0.5 and statistics.utilization(20, 20, 80) == 0.5
    assert statistics.abandon_rate(3, 12) == 0.25 and statistics.average_handle_time_ms(300, 3) == 100


def caller(fold, call, entered, left, reason, ms=20000):
    fold.apply(make("queue.entered", entered, call, queue="q", data={"service_level_ms": ms, "short_abandon_ms": 5000}))
    if left is not None:
        fold.apply(make("queue.left", left, call, queue="q", data={"reason": reason, "wait_ms": left - entered}))


def queue_figures():
    fold = Statistics()
    caller(fold, "c1", 0, 10000, "answered")            # N
    caller(fold, "c2", 0, 30000, "answered")            # past T
    caller(fold, "c3", 0, 12000, "abandoned")           # A
    caller(fold, "c4", 0, 4000, "abandoned")            # short: no event
    caller(fold, "c5", 0, 25000, "abandoned")           # past T, and abandoned
    caller(fold, "c6", 0, 15000, "overflow")            # none of the three
    caller(fold, "c7", 0, None, None)
    figures = fold.queue_figures("q", 20000)
    assert (figures["events"], figures["events_answered"], figures["events_abandoned"]) == (4, 1, 1)    # c7 is not past T yet
    figures = fold.queue_figures("q", 20001)
    assert figures["events"] == 5 and figures["service_level"] == 0.25
    assert (figures["queued"], figures["answered"], figures["abandoned"], figures["short_abandoned"], figures["overflowed"]) == (7, 2, 2, 1, 1)
    assert figures["average_speed_of_answer_ms"] == 20000
    again = Statistics()
    again.load(json.loads(json.dumps(fold.dump())))
    for one in (fold, again):
        one.apply(make("queue.left", 50000, "c7", queue="q", data={"reason": "answered", "wait_ms": 50000}))
        assert one.queue_figures("q", 50000)["events"] == 5             # not a second time
    assert fold.dump() == again.dump() and fold.queue_figures("other", 0)["service_level"] is None
    counted = Statistics(None, DAY_MS, True)
    caller(counted, "c4", 0, 4000, "abandoned")
    assert counted.queue_figures("q", 0)["events"] == 1


def days():
    """Events are booked where they happen; days are the site's; two are kept."""
    fold = Statistics(lambda ms: 8 * 3600000)
    midnight = 16 * 3600000
    caller(fold, "c1", midnight - 10000, midnight + 30000, "answered")
    assert fold.queue_figures("q", midnight - 1)["queued"] == 1 and fold.queue_figures("q", midnight - 1)["answered"] == 0
    today = fold.queue_figures("q", midnight)
    assert (today["queued"], today["answered"], today["events"]) == (0, 1, 1)
    for day in range(1, 6):
        caller(fold, "d%d" % day, midnight + day * DAY_MS, midnight + day * DAY_MS + 1, "answered")
    assert len(fold.dump()["queues"]) == 2


def agent_figures():
    fold = Statistics()
    events = [(0, "agent.status", {"status": "available"}), (20000, "agent.offered", {}), (25000, "agent.connected", {}),
              (65000, "leg.held", {}), (75000, "leg.retrieved", {}), (85000, "agent.wrap_up", {}), (90000, "agent.idle", {}),
              (100000, "agent.offered", {}), (110000, "agent.offer_ended", {"outcome": "no_answer"}),
              (110000, "agent.status", {"status": "on_break"})]
    for at_ms, kind, data in events:
        fold.apply(make(kind, at_ms, "c1", "l2", "1001", "q", data))
    figures = fold.agent_figures("1001", 130000)
    assert (figures["available_ms"], figures["talking_ms"], figures["holding_ms"], figures["wrap_up_ms"]) == (45000, 50000, 10000, 5000)
    assert (figures["on_break_ms"], figures["offered"], figures["missed"], figures["handled"]) == (20000, 2, 1, 1)
    assert figures["average_handle_time_ms"] == 65000 == fold.queue_figures("q", 130000)["average_handle_time_ms"]
    assert abs(figures["occupancy"] - 65000 / 110000) < 1e-9
    fold.apply(make("agent.status", DAY_MS + 1000, None, None, "1001", None, {"status": "logged_out"}))
    assert fold.agent_figures("1001", DAY_MS - 1)["on_break_ms"] == DAY_MS - 110000
    assert fold.agent_figures("1001", DAY_MS + 9000)["on_break_ms"] == 1000


def run():
    order()
    readiness()
    choice()
    formulas()
    queue_figures()
    days()
    agent_figures()
