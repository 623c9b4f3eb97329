"""Strategies: which of the ready agents gets the call.

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

    name; level: tier in this queue, 1 is asked first; idle_since_ms, idle_order: from acd.agent."""

    __slots__ = ("name", "level", "idle_since_ms", "idle_order")

    def __init__(self, name, level, idle_since_ms, idle_order):
        self.name = name
        self.level = level
        self.idle_since_ms = idle_since_ms
        self.idle_order = idle_order


def longest_idle(candidates, queue):
    """The agent whose last work ended earliest."""
    best = None
    for candidate in candidates:
        key = (candidate.idle_since_ms, candidate.idle_order, candidate.name)
        if best is None or key < best[0]:
            best = (key, candidate)
    return best[1]


def linear(candidates, queue):
    """The first in the configured order: callers come with that order already."""
    return candidates[0]


STRATEGIES = {"longest_idle": longest_idle, "linear": linear}


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
