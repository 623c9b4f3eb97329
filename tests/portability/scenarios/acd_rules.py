"""Scenarios of skills, overflow rules and the strategies; run under CPython and MicroPython."""

from firmware.acd import comfort
from firmware.acd import overflow, report, skills
from firmware.acd.agent import AVAILABLE, Agent, load
from firmware.acd.statistics import Statistics
from firmware.acd.strategy import LAG, STRATEGIES, STRIDE, Ask, Candidate, effective_pass, open_level, select, several
from firmware.call.records import make
from firmware.call.routing import Router


def needs():
    assert skills.fits({}, {}) and skills.fits({"a": 3}, {"a": 3}) and not skills.fits({"a": 2}, {"a": 3})
    assert not skills.fits({"a": 9}, {"a": 1, "b": 1})
    assert skills.relaxed({"a": 3, "b": 1}, 1) == {"a": 2} and skills.relaxed({"a": 1}, 5) == {}
    assert skills.proficiency({"a": 3, "b": 2, "c": 9}, {"a": 1, "b": 1}) == 5
    assert skills.key({"b": 1, "a": 2}) == skills.key({"a": 2, "b": 1})
    steps = skills.schedule([{"after_s": 60, "less": 2}, {"after_s": 30, "less": 1}], 1000)
    assert steps == [[31000, 1], [61000, 2]]
    assert skills.step_on({"a": 4}, steps, 30999) == ({"a": 4}, steps)
    assert skills.step_on({"a": 4}, steps, 31000) == ({"a": 3}, [[61000, 2]])
    assert skills.step_on({"a": 4}, steps, 99000) == ({"a": 1}, [])
    assert skills.step_on({"a": 1}, steps, 31000) == ({}, [])           # nothing left to relax
    return steps


def rules():
    rows = [{"when": "wait", "limit": 20, "to": "queue", "target": "b"}, {"when": "waiting", "limit": 2, "to": "queue", "target": "c"},
            {"when": "longest_wait", "limit": 30, "to": "flow", "target": "f"}, {"when": "no_agents", "limit": 0, "to": "queue", "target": "d"},
            {"when": "wait", "limit": 60, "to": "flow", "target": "g"}]
    found = []
    for waiting, longest_ms, logged_in in ((0, 0, 1), (1, 29999, 1), (2, 0, 1), (1, 30000, 1), (0, 0, 0), (5, 90000, 0)):
        found.append([rule["target"] for rule in overflow.reasons_at_entry(rows, waiting, longest_ms, logged_in)])
    assert found == [[], [], ["c"], ["f"], ["d"], ["c", "f", "d"]]
    assert [rule["target"] for rule in overflow.rules_waited(rows, 20000)] == ["b"] and overflow.rules_waited(rows, 19999) == []
    assert overflow.next_wait_ms(rows, 1000, 1000) == 21000 and overflow.next_wait_ms(rows, 1000, 21000) == 61000
    assert overflow.next_wait_ms(rows, 1000, 61000) is None and overflow.next_wait_ms([], 0, 0) is None
    return found


def choices():
    candidates = [Candidate("a", 1, 0, 30, 300, 1, {"en": 5}, 4, 900, 100, 0), Candidate("b", 1, 1, 10, 200, 2, {"en": 9}, 2, 500, 500, 0),
                  Candidate("c", 1, 2, 10, 100, 3, {"en": 5}, 2, 700, 300, 0), Candidate("d", 2, 3, 10, 0, 0, {"en": 10}, 0, 0, 1000, 0)]
    ask = Ask(0, {"en": 2}, 0, 4, {"a": 1, "b": 3, "c": 2}, {"a": 4 * 84000, "b": 252000, "c": 504000}, 252000)
    chosen = dict([(name, select(candidates, STRATEGIES[name], ask).name) for name in sorted(STRATEGIES)])
    assert chosen == {"longest_idle": "c", "least_calls": "c", "least_occupied": "b", "round_robin": "b", "linear": "a",
                      "most_skilled": "b", "least_skilled": "c", "fewest_customers": "a", "weighted_share": "b", "ring_all": "c"}
    assert [one.name for one in several(candidates, 3)] == ["c", "b", "a"] and len(several(candidates, 9)) == 4
    assert [open_level(rows) for rows in ([], [[1, 2], [5, 4]], [[5, 4]])] == [None, 1, 3]
    return [chosen[name] for name in sorted(chosen)]


def shares():
    """Weights 3 and 1, both ready always: 3 to 1; who was away does not get all that was missed."""
    one, other = Candidate("a", 1, 0, 30, 0, 1), Candidate("b", 1, 1, 10, 0, 2)
    ask = Ask(0, members=2)
    taken = []

    def take(candidates):
        chosen = select(candidates, STRATEGIES["weighted_share"], ask)
        ask.at = effective_pass(chosen.name, chosen.weight, ask)
        ask.passes[chosen.name] = ask.at + STRIDE // chosen.weight
        taken.append(chosen.name)
    for count in range(40):
        take([one, other])
        assert abs(taken.count("a") - 3 * taken.count("b")) <= 3
    for count in range(50):
        take([one])
    del taken[:]
    for count in range(30):
        take([one, other])
    assert taken.count("b") <= 7 + LAG + 1
    return taken.count("b")


def loads():
    fold = Statistics()
    for kind, ts_ms, call, data in (("agent.status", 0, None, {"status": "available"}), ("agent.offered", 10000, "c1", {}),
                                    ("agent.connected", 15000, "c1", {}), ("agent.wrap_up", 25000, "c1", {}), ("agent.idle", 30000, None, {})):
        fold.apply(make(kind, ts_ms, call, agent="1", queue="q", data=data))
    assert fold.agent_load("1", 30000) == (1, 500000)                   # 15 s of 30: ringing counts as available
    assert fold.agent_load("1", 60000) == (1, 250000) and fold.agent_load("2", 60000) == (0, 0)
    assert fold.agent_load("1", 86400000 + 5000) == (0, 0)              # another day
    again = Statistics()
    again.load(fold.dump())
    assert again.agent_load("1", 60000) == fold.agent_load("1", 60000)
    assert fold.agent_figures("1", 60000)["connected"] == 1
    return fold.agent_load("1", 45000)


def sums():
    """The fold of reports: a quarter's sums, what runs, and what a report makes of them."""
    fold = Statistics(None, 900000, kept=None)
    for kind, ts_ms, call, leg, data in (
            ("leg.offered", 0, "c1", "l1", {"span": 1, "trunk_group": "g"}), ("leg.answered", 1000, "c1", "l1", {"by": "near"}),
            ("queue.entered", 1000, "c1", None, {"service_level_ms": 20000, "short_abandon_ms": 5000}),
            ("queue.left", 11000, "c1", None, {"reason": "answered", "wait_ms": 10000})):
        fold.apply(make(kind, ts_ms, call, leg, queue="q" if kind[0] == "q" else None, data=data))
    assert fold.running(1800000)["trunk_groups"]["g"][1]["seized_ms"] == 900000 and not fold.take()["agents"]
    fold.apply(make("leg.released", 1000000, "c1", "l1", data={}))
    taken = fold.take()["trunk_groups"]["g"]
    assert [taken[bucket]["seized_ms"] for bucket in (0, 1)] == [900000, 100000]
    figures = report.figures("queues", {"events": 100, "events_answered": 70, "events_abandoned": 10, "queued": 120, "abandoned": 12}, "ignore", 900)
    assert round(figures["service_level"] * 1000) == 778 and figures["abandon_rate"] == 0.1 and figures["average_handle_time_ms"] is None
    assert report.figures("trunk_groups", taken[0], None, 900)["erlang"] == 1.0
    return [taken[0]["seized_ms"], taken[1]["seized_ms"]]


def seats():
    """A rest after a missed offer; feature codes by the longest match."""
    agent = Agent("1", AVAILABLE)
    agent.rests = True
    assert not agent.is_ready(True) and load(agent.dump()).rests
    old = agent.dump()
    del old["rests"]
    assert load(old).is_ready(True)
    router = Router({"feature_codes": [{"code": "*4", "action": "log_in"}, {"code": "*43", "action": "break"}]})
    assert router.feature("*43")[0]["action"] == "break" and router.feature("*431001")[1] == "31001"
    assert router.feature("*4") is None and router.feature("*43", False) is None and router.find("*43", True, True)[1]["application"] == "feature"
    return router.feature("*41001")[1]


def comforted():
    """Messages of who waits: in order, again, and later where something else is being said."""
    plan = comfort.schedule([{"prompt": "web", "after_s": 30, "every_s": 60}, {"prompt": "sorry", "after_s": 10}], 1000)
    assert plan == [[11000, "sorry", 0], [31000, "web", 60000]]
    prompt, plan = comfort.step(plan, 11000, True)
    assert prompt is None and plan == [[16000, "sorry", 0], [31000, "web", 60000]]
    said = []
    while plan and len(said) < 3:
        now_ms = plan[0][0]
        prompt, plan = comfort.step(plan, now_ms, False)
        said.append([now_ms, prompt])
    assert said == [[16000, "sorry"], [31000, "web"], [91000, "web"]]
    return said


def run():
    return [comforted(), needs(), rules(), choices(), shares(), loads(), sums(), seats()]
