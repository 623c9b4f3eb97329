"""Erlang B, C and A: against the definitions summed directly, against simulation, and at the borders.

10 Erlang and 14 agents, 17.4 % wait, 88.8 % within 20 s, 7.8 s: the usual worked example (100 calls in half an hour of 180 s)."""

import heapq
import math
import random
from fractions import Fraction

import pytest

from firmware.acd.staffing import agents_for, erlang_a, erlang_b, erlang_c, forecast, with_shrinkage
from firmware.errors import LocalError


@pytest.mark.parametrize("agents, load", [(1, 0.5), (5, 3), (10, 10), (14, 10), (40, 35)])
def test_erlang_b_and_c_are_the_sums_of_the_definition(agents, load):
    load = Fraction(load).limit_denominator(100)
    terms = [load ** k / math.factorial(k) for k in range(agents + 1)]
    assert erlang_b(agents, float(load)) == pytest.approx(float(terms[-1] / sum(terms)), rel=1e-12)
    if load < agents:
        top = terms[-1] * agents / (agents - load)
        assert erlang_c(agents, float(load) / 180, 180, 20)["waits"] == pytest.approx(float(top / (sum(terms[:-1]) + top)), rel=1e-12)


def test_the_worked_example():
    found = erlang_c(14, 200 / 3600, 180, 20)
    assert [round(found[name], 3) for name in ("waits", "service_level", "occupancy")] == [0.174, 0.888, 0.714]
    assert round(found["speed_of_answer_s"], 1) == 7.8 and found["load_erlang"] == pytest.approx(10)
    agents, figures = agents_for(0.8, 20, 200 / 3600, 180)
    assert agents == 14 and erlang_c(13, 200 / 3600, 180, 20)["service_level"] < 0.8 and figures == found
    assert with_shrinkage(14, 0.3) == 20 and with_shrinkage(7, 0.3) == 10


def test_erlang_a_becomes_c_with_endless_patience_and_b_with_none():
    endless, usual = erlang_a(14, 200 / 3600, 180, 20, 1e9), erlang_c(14, 200 / 3600, 180, 20)
    for name in ("waits", "service_level", "speed_of_answer_s"):
        assert endless[name] == pytest.approx(usual[name], rel=1e-4)
    assert erlang_a(10, 10 / 180, 180, 20, 1e-7)["abandons"] == pytest.approx(erlang_b(10, 10), rel=1e-4)


@pytest.mark.parametrize("agents, calls_s, handle_s, patience_s", [(8, 0.07, 120, 90), (8, 0.05, 120, 300), (30, 0.2, 180, 60)])
def test_erlang_a_agrees_with_a_simulation(agents, calls_s, handle_s, patience_s):
    draw, now, busy, waiting = random.Random(5), 0.0, [], []
    count = answered = in_time = gone = waited = 0
    wait_sum = 0.0
    arrival = 0.0
    while count < 30000:
        if busy and busy[0] <= arrival:
            now = heapq.heappop(busy)
            while waiting and waiting[0][1] < now:
                waiting.pop(0)
                gone += 1
            if waiting:
                came, _ = waiting.pop(0)
                answered, wait_sum, in_time = answered + 1, wait_sum + now - came, in_time + (now - came <= 20)
                heapq.heappush(busy, now + draw.expovariate(1 / handle_s))
            continue
        now, count = arrival, count + 1
        arrival += draw.expovariate(calls_s)
        if len(busy) < agents:
            answered, in_time = answered + 1, in_time + 1
            heapq.heappush(busy, now + draw.expovariate(1 / handle_s))
        else:
            waited += 1
            waiting.append((now, now + draw.expovariate(1 / patience_s)))
    found = erlang_a(agents, calls_s, handle_s, 20, patience_s)
    assert found["waits"] == pytest.approx(waited / count, abs=0.03) and found["abandons"] == pytest.approx(gone / count, abs=0.02)
    assert found["service_level"] == pytest.approx(in_time / count, abs=0.03)
    assert found["speed_of_answer_s"] == pytest.approx(wait_sum / answered, rel=0.1, abs=0.3)


@pytest.mark.parametrize("agents, calls_s, handle_s, patience_s", [(8, 0.07, 120, 90), (30, 0.2, 180, 60), (3, 0.001, 50, 10)])
def test_erlang_a_is_the_birth_and_death_process(agents, calls_s, handle_s, patience_s):
    """Steady state by the balance of neighbours; what leaves busy agents is what was not given up."""
    terms = [1.0]
    for state in range(1, 3000):
        terms.append(terms[-1] * calls_s / (min(state, agents) / handle_s + max(0, state - agents) / patience_s))
    whole = sum(terms)
    share = [term / whole for term in terms]
    found = erlang_a(agents, calls_s, handle_s, 20, patience_s)
    assert found["waits"] == pytest.approx(sum(share[agents:]), rel=1e-9)
    served_s = sum(min(state, agents) * part for state, part in enumerate(share)) / handle_s
    assert 1 - found["abandons"] == pytest.approx(served_s / calls_s, rel=1e-9)
    assert found["occupancy"] == pytest.approx(served_s * handle_s / agents, rel=1e-9)
    certain = erlang_a(agents, calls_s, handle_s, 1e7, patience_s)["service_level"]         # within any time: all but those who gave up
    assert certain == pytest.approx(1 - found["abandons"], rel=1e-9)


def test_borders():
    assert erlang_c(5, 5 / 100, 100, 20)["service_level"] == 0.0 and erlang_c(5, 6 / 100, 100, 20)["speed_of_answer_s"] is None
    assert erlang_a(5, 0, 100, 20, 60)["service_level"] == 1.0
    assert 0.4 < erlang_a(1000, 1800 / 180, 180, 20, 60)["abandons"] < 0.45        # 1,800 Erlang for 1,000 agents: the rest gives up
    for call in (lambda: erlang_c(0, 1, 1, 1), lambda: erlang_a(1, 1, 1, 1, 0), lambda: agents_for(1.0, 20, 1, 1), lambda: agents_for(0.8, 20, 1000, 1000)):
        with pytest.raises(LocalError):
            call()
    assert forecast([]) == (0.0, None) and forecast([(10, 8, 80000), (40, 10, 200000)]) == (20.0, pytest.approx(180000 / 13000))
