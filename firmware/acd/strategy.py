"""Strategies: which of the ready agents gets the call.

Only agents who have the skills that the call needs are candidates (acd/skills.py).

A strategy is a function (candidate, ask) -> key; the candidate with the lowest key is chosen, among equals the one who
has been idle longest.  STRATEGIES names them, and the configuration chooses by name.  Candidate and Ask bring
everything that a strategy may look at, so that the same journal always gives the same decision, in whatever order the
candidates come.

Tiers come first, whatever the strategy: agents of level 1 are asked before agents of level 2; the strategy only
chooses within the best level that has a ready agent.  Levels may open later: open_level() says up to which one.

Ring all is no choice: the telephones of many ready agents ring at once (RING_ALL); where there are more than may ring,
those who have been idle longest do.

Weighted share is stride scheduling (Waldspurger and Weihl, 1995): each agent of a queue has a pass, which grows by
STRIDE / weight with each call; the lowest pass is next.  Who was away does not get all the calls that were missed: a
pass counts as at most LAG calls behind the one that was served last.
"""

from firmware.errors import ConfigError

# Least common multiple of 1 to 10 times a thousand, so that the usual weights divide it.
STRIDE = 2520000
# Invented: the calls that who was away gets before the others.
LAG = 3
RING_ALL = "ring_all"


class Candidate:
    """A ready agent of a queue as a strategy sees it.

    name; level: tier in this queue, 1 is asked first; place: among the members in the configured order; weight: of the
    weighted share; idle_since_ms, idle_order: from acd.agent; has: {skill: level}; calls: taken today; handle_ms,
    available_ms: of today until since_ms, from which on the agent is available."""

    __slots__ = ("name", "level", "place", "weight", "idle_since_ms", "idle_order", "has", "calls", "handle_ms", "available_ms", "since_ms")

    def __init__(self, name, level, place, weight, idle_since_ms, idle_order, has=None, calls=0, handle_ms=0, available_ms=0, since_ms=0):
        self.name = name
        self.level = level
        self.place = place
        self.weight = weight
        self.idle_since_ms = idle_since_ms
        self.idle_order = idle_order
        self.has = has or {}
        self.calls = calls
        self.handle_ms = handle_ms
        self.available_ms = available_ms
        self.since_ms = since_ms


class Ask:
    """What a strategy may look at besides the candidates.

    now_ms; needs: {skill: level} of the call; after: place of the member who was asked last, -1: nobody; members: how
    many there are; customers: {agent: customers of today}; passes: {agent: pass}, at: pass of who was served last."""

    __slots__ = ("now_ms", "needs", "after", "members", "customers", "passes", "at")

    def __init__(self, now_ms, needs=None, after=-1, members=1, customers=None, passes=None, at=0):
        self.now_ms = now_ms
        self.needs = needs or {}
        self.after = after
        self.members = members
        self.customers = customers or {}
        self.passes = passes or {}
        self.at = at


def longest_idle(candidate, ask):
    """The agent whose last work ended earliest."""
    return 0


def least_calls(candidate, ask):
    """The agent who has taken the fewest calls of queues today (the site's day)."""
    return candidate.calls


def load(candidate, now_ms):
    """Today's occupancy, handle / (handle + available), in parts in a million."""
    whole_ms = candidate.handle_ms + candidate.available_ms
    if now_ms > candidate.since_ms:
        whole_ms += now_ms - candidate.since_ms
    return candidate.handle_ms * 1000000 // whole_ms if whole_ms else 0


def least_occupied(candidate, ask):
    """The agent with the lowest occupancy today."""
    return load(candidate, ask.now_ms)


def round_robin(candidate, ask):
    """One after the other in the configured order, on from the one whom this queue asked last."""
    return (candidate.place - ask.after - 1) % ask.members


def linear(candidate, ask):
    """The first in the configured order."""
    return candidate.place


def _skill(candidate, ask):
    total = 0
    for skill in ask.needs:
        total += candidate.has.get(skill, 0)
    return total


def most_skilled(candidate, ask):
    """The agent with the highest levels in what the call needs."""
    return -_skill(candidate, ask)


def least_skilled(candidate, ask):
    """The agent with the lowest levels that suffice: who can do more stays free for harder calls."""
    return _skill(candidate, ask)


def fewest_customers(candidate, ask):
    """The agent with the fewest different customers today: a caller who comes again is no further one."""
    return ask.customers.get(candidate.name, 0)


def effective_pass(name, weight, ask):
    """The pass that counts for an agent."""
    return max(ask.passes.get(name, 0), ask.at - LAG * STRIDE // weight)


def weighted_share(candidate, ask):
    """The agent who is furthest behind the share of calls that the weight gives."""
    return effective_pass(candidate.name, candidate.weight, ask)


STRATEGIES = {"longest_idle": longest_idle, "least_calls": least_calls, "least_occupied": least_occupied, "round_robin": round_robin,
              "linear": linear, "most_skilled": most_skilled, "least_skilled": least_skilled, "fewest_customers": fewest_customers,
              "weighted_share": weighted_share, RING_ALL: longest_idle}
MEASURED = ("least_calls", "least_occupied")        # those that look at today's figures


def strategy_of(name, path):
    """The function of a name.  Raises ConfigError(path)."""
    strategy = STRATEGIES.get(name)
    if strategy is None:
        raise ConfigError(path, "strategy %r is not known; choose one of %s" % (name, ", ".join(sorted(STRATEGIES))))
    return strategy


def open_level(tiers):
    """The highest level that is asked by now, None: all.  tiers: [[at_ms, level], ...] still to come."""
    lowest = None
    for at_ms, level in tiers:
        if lowest is None or level < lowest:
            lowest = level
    return None if lowest is None else lowest - 1


def select(candidates, strategy, ask):
    """The candidate whom the next call goes to, or None if there is none."""
    best = None
    if strategy is longest_idle:        # of a thousand agents in half the time
        for candidate in candidates:
            if best is None or candidate.level < best.level or candidate.level == best.level and (
                    candidate.idle_since_ms < best.idle_since_ms or candidate.idle_since_ms == best.idle_since_ms and (
                        candidate.idle_order, candidate.name) < (best.idle_order, best.name)):
                best = candidate
        return best
    best_key = None
    for candidate in candidates:
        if best is not None and candidate.level > best.level:
            continue
        key = strategy(candidate, ask)
        if best is None or candidate.level < best.level or key < best_key or key == best_key and (
                candidate.idle_since_ms, candidate.idle_order, candidate.name) < (best.idle_since_ms, best.idle_order, best.name):
            best, best_key = candidate, key
    return best


def several(candidates, most):
    """Up to `most` candidates, best level and longest idle first: those who ring all at once."""
    return sorted(candidates, key=_rank)[:most]


def _rank(candidate):
    return (candidate.level, candidate.idle_since_ms, candidate.idle_order, candidate.name)
