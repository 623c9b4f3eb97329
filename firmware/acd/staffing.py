"""How many agents a number of calls needs: Erlang C (nobody gives up) and Erlang A (callers have patience).

    erlang_c(14, 200 / 3600, 180, 20) -> {"waits": 0.174, "service_level": 0.888, "speed_of_answer_s": 7.8, "occupancy": 0.714, ...}
    erlang_a(...)                     the same with patience_s; "abandons" besides
    agents_for(0.8, 20, 200 / 3600, 180)        the fewest agents with that service level

Model: calls come as a Poisson stream of `rate` a second, each takes handle_s on average, exponentially, one queue, first
come first served; patience is exponential as well.  Sources: A. K. Erlang 1917 (waiting system); C. Palm 1946 and Garnett,
Mandelbaum, Reiman 2002 (M/M/n+M).  The distribution of the wait before k callers who may give up is that of the k-th
smallest of exponential times, hence an incomplete beta function, here by its recursion.
"""

import math

from firmware.errors import LocalError

MOST_AGENTS = 5000
TAIL = 1e-12            # what is left out of the sum over the queue's length


def _check(agents, rate, handle_s):
    if not (isinstance(agents, int) and 1 <= agents <= MOST_AGENTS and rate >= 0 and handle_s > 0):
        raise LocalError("staffing: give 1 to %d agents, a rate of 0 or more and a handle time above 0" % MOST_AGENTS)


def erlang_b(agents, load):
    """The share of calls that find all agents busy, where nobody waits."""
    blocked = 1.0
    for count in range(1, agents + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(agents, rate, handle_s, within_s):
    """Figures of a queue whose callers all wait.  With a load of `agents` or more the wait has no end: service level 0, speed None."""
    _check(agents, rate, handle_s)
    load = rate * handle_s
    if load >= agents:
        return {"load_erlang": load, "waits": 1.0, "service_level": 0.0, "speed_of_answer_s": None, "occupancy": 1.0, "abandons": 0.0}
    blocked = erlang_b(agents, load)
    waits = agents * blocked / (agents - load * (1 - blocked))
    return {"load_erlang": load, "waits": waits, "service_level": 1 - waits * math.exp(-(agents - load) * within_s / handle_s),
            "speed_of_answer_s": waits * handle_s / (agents - load), "occupancy": load / agents, "abandons": 0.0}


def erlang_a(agents, rate, handle_s, within_s, patience_s):
    """Figures of a queue whose callers give up after patience_s on average.  speed_of_answer_s: of those answered.

    service_level: answered within_s / all who came."""
    _check(agents, rate, handle_s)
    if patience_s <= 0:
        raise LocalError("staffing: give a patience above 0 s")
    if rate == 0:
        return {"load_erlang": 0.0, "waits": 0.0, "service_level": 1.0, "speed_of_answer_s": 0.0, "occupancy": 0.0, "abandons": 0.0}
    load, serve, give_up = rate * handle_s, 1.0 / handle_s, 1.0 / patience_s
    # Probabilities of the states relative to that of "all agents busy, nobody waits", so that nothing overflows.
    below, term = 0.0, 1.0
    for count in range(agents, 0, -1):
        term = term * count / load
        below += term
        if term < TAIL * below:
            break
    queue, term = [1.0], 1.0
    while len(queue) < 200000:
        term *= rate / (agents * serve + len(queue) * give_up)
        queue.append(term)
        if term < TAIL and len(queue) > load - agents:
            break
    whole = below + sum(queue)
    waiting = sum([count * queue[count] for count in range(len(queue))]) / whole
    abandons = give_up * waiting / rate
    # Before `count` others: served at all with probability (agents serve) / (agents serve + (count + 1) give_up), and then in time.
    first = agents * serve / give_up + 1
    in_time = 1 - math.exp(-give_up * within_s)
    rest = 1.0                                      # I_x(0, b)
    step = math.exp(first * math.log(1 - in_time)) if in_time < 1 else 0.0     # x^0 (1-x)^b G(b) / (G(1) G(b))
    served_in_time = below / whole
    for count in range(len(queue)):
        rest -= step                                # I_x(count + 1, b)
        step *= in_time * (first + count) / (count + 1)
        served = agents * serve / (agents * serve + (count + 1) * give_up)
        served_in_time += queue[count] / whole * served * max(0.0, rest)
    # The time that answered callers waited: all waiting time less that of those who gave up.
    answered = 1 - abandons
    return {"load_erlang": load, "waits": sum(queue) / whole, "service_level": served_in_time, "occupancy": load * answered / agents,
            "abandons": abandons, "speed_of_answer_s": _wait_of_answered(queue, whole, agents * serve, give_up) / answered}


def _wait_of_answered(queue, whole, drain, give_up):
    """Mean of (wait, 0 for who gives up).  Before k others the wait of who is served is a sum of exponential times of rates drain + i give_up,
    i = 1 to k + 1, under the condition of being served."""
    total = mean = 0.0
    for count in range(len(queue)):
        mean += 1.0 / (drain + (count + 1) * give_up)
        total += queue[count] / whole * drain / (drain + (count + 1) * give_up) * mean
    return total


def agents_for(target, within_s, rate, handle_s, patience_s=None, most_abandons=None):
    """(agents, figures): the fewest whose service level reaches target, and whose abandons stay below most_abandons.

    Raises LocalError where more than MOST_AGENTS would be needed."""
    if not 0 < target < 1:
        raise LocalError("staffing: the service level is a number between 0 and 1, for example 0.8")

    def figures(agents):
        return erlang_a(agents, rate, handle_s, within_s, patience_s) if patience_s else erlang_c(agents, rate, handle_s, within_s)

    def enough(agents):
        found = figures(agents)
        return found["service_level"] >= target and (most_abandons is None or found["abandons"] <= most_abandons)
    high = 1
    while not enough(high):
        if high >= MOST_AGENTS:
            raise LocalError("staffing: more than %d agents would be needed; lower the service level or the calls" % MOST_AGENTS)
        high = min(MOST_AGENTS, high * 2)
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high, figures(high)


def with_shrinkage(agents, shrinkage):
    """How many persons are to be planned so that `agents` are there: shrinkage is the share of paid time in which they are not."""
    return int(math.ceil(agents / (1 - shrinkage) - 1e-9))


def forecast(history, weights=None):
    """(calls, handle_s) of an interval from the same interval of weeks before, the newest first: [(queued, handled, handle_ms)].

    The newer the week the more it counts (weights, invented: 1, 1/2, 1/3, ...).  (0, None) where there is nothing."""
    whole = calls = handled = handle_ms = 0.0
    for place in range(len(history)):
        weight = weights[place] if weights else 1.0 / (place + 1)
        whole += weight
        calls += weight * history[place][0]
        handled += weight * history[place][1]
        handle_ms += weight * history[place][2]
    return (calls / whole if whole else 0.0), (handle_ms / handled / 1000 if handled else None)
