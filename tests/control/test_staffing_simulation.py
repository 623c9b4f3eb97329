"""The simulation of queues: where Erlang's formulas hold it agrees with them; where they do not, it follows the ACD's rules."""

import random

import pytest

from firmware.acd import staffing
from firmware.control.staffing_simulation import LEFT, WARM, Run, simulate


def question(agents=14, rate=200 / 3600, queues=None, serves=None, **more):
    rows = queues or [{"name": "sales", "rate": rate, "handle_s": 180, "within_s": 20, "config": {}}]
    return {"queues": rows, "agents": serves or [{"queues": {"sales": 1}, "skills": {}}] * agents, "length_s": 40_000, "runs": 5, **more}


def test_one_queue_with_equal_agents_is_erlangs_c():
    """The vector of numbers-and-tones.md: 200 calls an hour of 180 s, 14 agents, 20 s: 0.888; about 11,000 calls, so 0.02 is more than four deviations."""
    found = simulate(question())
    wanted = staffing.erlang_c(14, 200 / 3600, 180, 20)
    row, = found["queues"]
    assert round(wanted["service_level"], 3) == 0.888
    assert row["service_level"] == pytest.approx(wanted["service_level"], abs=0.02) and row["waits"] == pytest.approx(wanted["waits"], abs=0.03)
    assert row["speed_of_answer_s"] == pytest.approx(wanted["speed_of_answer_s"], rel=0.25) and found["occupancy"] == pytest.approx(10 / 14, abs=0.02)
    assert simulate(question()) == found != simulate(question(seed=2))


def test_with_patience_it_is_erlangs_a():
    rows = [{"name": "sales", "rate": 200 / 3600, "handle_s": 180, "patience_s": 120, "within_s": 20, "config": {}}]
    row, = simulate(question(agents=9, queues=rows, runs=20))["queues"]     # 44,000 calls
    wanted = staffing.erlang_a(9, 200 / 3600, 180, 20, 120)
    assert row["service_level"] == pytest.approx(wanted["service_level"], abs=0.02) and row["abandons"] == pytest.approx(wanted["abandons"], abs=0.02)


def test_shared_agents_priority_skills_and_overflow_are_followed():
    """Two queues pooled: as one of twice the calls; the one with priority waits less; a skill that few have costs its queue; a rule gives on."""
    def rows(**configs):
        return [{"name": name, "rate": 100 / 3600, "handle_s": 180, "within_s": 20, "config": configs.get(name, {})} for name in ("a", "b")]
    both = [{"queues": {"a": 1, "b": 1}, "skills": {"expert": 5} if n < 3 else {}} for n in range(12)]
    pooled = {row["queue"]: row for row in simulate(question(queues=rows(), serves=both))["queues"]}
    wanted = staffing.erlang_c(12, 200 / 3600, 180, 20)["service_level"]
    assert pooled["a"]["service_level"] == pytest.approx(wanted, abs=0.05) == pooled["b"]["service_level"]
    first = {row["queue"]: row for row in simulate(question(queues=rows(a={"priority": 5}), serves=both))["queues"]}
    assert first["a"]["speed_of_answer_s"] < 0.5 * first["b"]["speed_of_answer_s"]
    few = {row["queue"]: row for row in simulate(question(queues=rows(a={"skills": {"expert": 3}, "max_wait_s": 300}), serves=both))["queues"]}
    assert few["a"]["service_level"] < 0.5 < few["b"]["service_level"]
    relaxed = {row["queue"]: row for row in simulate(question(queues=rows(a={"skills": {"expert": 3}, "relax": [{"after_s": 10, "less": 3}]}), serves=both))["queues"]}
    assert relaxed["a"]["service_level"] > 2 * few["a"]["service_level"]
    alone = [{"queues": {"a": 1}, "skills": {}}] * 2 + [{"queues": {"b": 1}, "skills": {}}] * 12
    given = simulate(question(queues=rows(a={"overflow": [{"when": "wait", "limit": 30, "to": "queue", "target": "b"}]}), serves=alone))["queues"]
    assert given[0]["overflowed"] > 0.4 * given[0]["calls"] and given[1]["service_level"] < 1


def test_queues_that_give_on_to_each_other_come_to_an_end():
    """A skill that nobody has, and 30 s later always the other queue: the callers of a stretch are never served, the run ends none the less."""
    def needs(other):
        return {"skills": {"expert": 3}, "overflow": [{"when": "wait", "limit": 30, "to": "queue", "target": other}]}
    rows = [{"name": name, "rate": 20 / 600, "handle_s": 180, "within_s": 20, "config": needs(other)} for name, other in (("a", "b"), ("b", "a"))]
    asked = question(queues=rows, serves=[{"queues": {"a": 1, "b": 1}, "skills": {}}] * 3)
    run = Run({**asked, "length_s": 600}, random.Random(1)).run()
    assert run.now <= 600 * (1 + WARM + LEFT)
    found = simulate({**asked, "length_s": 600, "runs": 2})
    assert sum(row["unanswered"] for row in found["queues"]) == sum(row["calls"] for row in found["queues"]) > 10
    assert all(row["service_level"] == 0 for row in found["queues"])


def test_callers_stand_in_their_order():
    run = Run(question(agents=0, queues=[{"name": "sales", "rate": 0.5, "handle_s": 180, "within_s": 20, "config": {"priority": 1}}]) | {"length_s": 800}, random.Random(3)).run()
    ranks = [run._rank(caller) for caller in run.waiting["sales"]]
    assert len(ranks) > 300 and ranks == sorted(ranks)
