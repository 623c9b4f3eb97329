"""Strategies: which of the ready agents gets the call.

Only agents who have the skills that the call needs are candidates (acd/skills.py).

A strategy is a function (candidates, queue) -> candidate; STRATEGIES names them,
and the configuration chooses by name.  Candidates come with everything that a
strategy may look at, so that it needs no other state and the same journal always
gives the same decision.

Tiers come first, whatever the strategy: agents of level 1 are asked before agents of
level 2; the strategy only chooses within the best level that has a ready agent.
"""

from firmware.errors import ConfigError


class Candidate:
    """A ready agent as a strategy sees it.

    name; level: tier in this queue, 1 is asked first; idle_since_ms, idle_order: from acd.agent.
    skill: sum of the levels in what the call needs; calls: taken today; load: parts in a million of
    today's time that went into calls; turn: how many members of the queue come before, counted on
    from the one who was asked last."""

    __slots__ = ("name", "level", "idle_since_ms", "idle_order", "skill", "calls", "load", "turn")

    def __init__(self, name, level, idle_since_ms, idle_order, skill=0, calls=0, load=0, turn=0):
        self.name = name
        self.level = level
        self.idle_since_ms = idle_since_ms
        self.idle_order = idle_order
        self.skill = skill
        self.calls = calls
        self.load = load
        self.turn = turn


def _idle(candidate):
    return (candidate.idle_since_ms, candidate.idle_order, candidate.name)


def _least(candidates, first):
    """The candidate with the lowest first(candidate); among equals the longest idle."""
    best = best_key = None
    for candidate in candidates:
        key = (first(candidate), _idle(candidate))
        if best is None or key < best_key:
            best, best_key = candidate, key
    return best


def longest_idle(candidates, queue):
    """The agent whose last work ended earliest."""
    return _least(candidates, lambda candidate: 0)


def least_calls(candidates, queue):
    """The agent who has taken the fewest calls of queues today (the site's day)."""
    return _least(candidates, lambda candidate: candidate.calls)


def least_occupied(candidates, queue):
    """The agent with the lowest occupancy today: handle / (handle + available)."""
    return _least(candidates, lambda candidate: candidate.load)


def round_robin(candidates, queue):
    """One after the other in the configured order, on from the one whom this queue asked last."""
    return _least(candidates, lambda candidate: candidate.turn)


def linear(candidates, queue):
    """The first in the configured order: callers come with that order already."""
    return candidates[0]


def most_skilled(candidates, queue):
    """The agent with the highest levels in what the call needs."""
    return _least(candidates, lambda candidate: -candidate.skill)


def least_skilled(candidates, queue):
    """The agent with the lowest levels that suffice: who can do more stays free for harder calls."""
    return _least(candidates, lambda candidate: candidate.skill)


STRATEGIES = {"longest_idle": longest_idle, "least_calls": least_calls, "least_occupied": least_occupied, "round_robin": round_robin,
              "linear": linear, "most_skilled": most_skilled, "least_skilled": least_skilled}
MEASURED = (least_calls, least_occupied)        # those that look at today's figures


def strategy_of(name, path):
    """The function of a name.  Raises ConfigError(path)."""
    strategy = STRATEGIES.get(name)
    if strategy is None:
        raise ConfigError(path, "strategy %r is not known; choose one of %s" % (name, ", ".join(sorted(STRATEGIES))))
    return strategy


def select(candidates, queue, strategy):
    """The agent to offer the next call of `queue` to, or None if nobody is ready.

    candidates: list of Candidate in the configured order."""
    best_level = None
    for candidate in candidates:
        if best_level is None or candidate.level < best_level:
            best_level = candidate.level
    if best_level is None:
        return None
    return strategy([candidate for candidate in candidates if candidate.level == best_level], queue)
