"""Overflow: where a caller goes whom a queue cannot serve, or not soon enough.

A queue has rules, in order; the first that fits and whose target takes the caller is
carried out.  A rule is {"when", "limit", "to": "queue"|"flow"|"mailbox"|"duty", "target"}:

    closed          at the entry: outside the queue's hours
    full            at the entry: max_waiting callers are there already
    waiting         at the entry: limit callers or more wait
    longest_wait    at the entry: somebody waits for limit seconds or more
    expected_wait   at the entry: the wait that is expected is limit seconds or longer (acd/expected.py)
    no_agents       at the entry, and when the last agent logs out: nobody is logged in
    wait            the caller has waited limit seconds in this queue

Between queues the caller keeps the waiting time, hence the place by it.  What brought a caller
is not asked again at the target: of its rules only no_agents (later) and wait then count.
"""

CLOSED = "closed"
FULL = "full"
WAITING = "waiting"
LONGEST_WAIT = "longest_wait"
NO_AGENTS = "no_agents"
EXPECTED_WAIT = "expected_wait"
WAIT = "wait"
WHEN = (WAIT, WAITING, LONGEST_WAIT, EXPECTED_WAIT, NO_AGENTS, CLOSED, FULL)
LIMITED = (WAIT, WAITING, LONGEST_WAIT, EXPECTED_WAIT)     # those that need a limit


def reasons_at_entry(rules, waiting, longest_wait_ms, logged_in, expected_ms=None):
    """The rules that fit a caller who comes to an open queue that is not full, in order.  expected_ms: the wait, None: unknown."""
    found = []
    for rule in rules:
        when = rule["when"]
        if when == WAITING and waiting >= rule["limit"] or \
                when == LONGEST_WAIT and waiting > 0 and longest_wait_ms >= rule["limit"] * 1000 or \
                when == EXPECTED_WAIT and expected_ms is not None and expected_ms >= rule["limit"] * 1000 or \
                when == NO_AGENTS and logged_in == 0:
            found.append(rule)
    return found


def rules_when(rules, when):
    """The rules of one kind, in order."""
    return [rule for rule in rules if rule["when"] == when]


def rules_waited(rules, waited_ms):
    """The rules "wait" whose time has come, in order."""
    return [rule for rule in rules if rule["when"] == WAIT and waited_ms >= rule["limit"] * 1000]


def next_wait_ms(rules, entered_ms, now_ms):
    """The next moment after now_ms at which a rule "wait" fits, or None."""
    best = None
    for rule in rules:
        at_ms = entered_ms + rule["limit"] * 1000
        if rule["when"] == WAIT and at_ms > now_ms and (best is None or at_ms < best):
            best = at_ms
    return best
