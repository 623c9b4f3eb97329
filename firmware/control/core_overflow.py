"""Which of a queue's overflow rules fits (acd/overflow.py), and whether its target takes the caller.

A target that is closed, full, gone, or (for "no_agents") deserted itself does not take
callers: then the next rule is looked at, and a caller whom nobody takes waits on.
core_queues carries the rule out.
"""

from firmware.acd import agent as agents
from firmware.acd import overflow
from firmware.call import calendar
from firmware.call.outside import is_open
from firmware.control.core_ahead import Ahead
from firmware.control.core_base import civil_date

# Invented: how often a target that did not take a waiting caller is asked again.
AGAIN_MS = 10000
# Later than any caller: the rank of who comes now.
LAST_MS = 1 << 53
# Invented: overflows of a call in one moment; more is rules that lead back to each other.
MOST_HOPS = 10


def rules_of(core, queue):
    """The rules of a queue, in order."""
    return (core.queue_configs.get(queue) or {}).get("overflow") or []


def is_queue_open(core, queue, now_ms=None):
    """Whether a queue takes callers at this hour of the site; without hours always.  now_ms: else the event's."""
    now_ms = core.now_ms if now_ms is None else now_ms
    config = core.queue_configs.get(queue) or {}
    hours = config.get("hours") or []
    minutes = (now_ms + core.utc_offset_ms(now_ms)) // 60000
    days = core.calendars.get(config.get("calendar"))
    day = calendar.day_of(days, civil_date(minutes // 1440)) if days else None
    if day is not None:
        return calendar.is_open(day, minutes % 1440)
    weekday = (minutes // 1440 + 3) % 7 + 1             # 1970-01-01 was a Thursday
    return not hours or True in [is_open(row, weekday, minutes % 1440) for row in hours]


def expected_ms(core, queue):
    """The wait that is expected of who comes now, without needs and priority of their own: 0 where somebody is ready, None: unknown."""
    if not core.state.queues.get(queue) and core.ready.of(queue):
        return 0
    if queue not in core.state.paces:
        return None
    config = core.queue_configs.get(queue) or {}
    rank = (-(config.get("priority") or 0), LAST_MS, 0)
    return core.state.paces[queue].estimate_ms(Ahead(core).load(queue, rank, config.get("skills") or {}))


def expected_of_ms(core, call):
    """The wait from now on of a caller who waits, or None."""
    entry = core.state.queue(call.queue).find(call.id)
    if entry is None or call.queue not in core.state.paces:
        return None
    return core.state.paces[call.queue].estimate_ms(Ahead(core).load(call.queue, entry.rank(), call.skills or {}))


def is_full(core, queue):
    """Whether as many wait as may."""
    limit = (core.queue_configs.get(queue) or {}).get("max_waiting") or 0
    return limit > 0 and len(core.state.queues.get(queue) or ()) >= limit


def logged_in(core, queue):
    """How many agents of a queue are logged in, on a break or not."""
    return len([row for row in core.members.get(queue) or [] if core.state.agent(row[0]).status != agents.LOGGED_OUT])


def in_circles(core, call):
    """Whether this moment has given the call on too often."""
    return call.hops_ms == core.now_ms and (call.hops or 0) >= MOST_HOPS


def _takes(core, queue, rule):
    target = rule["target"]
    if rule["to"] == "flow":
        return target in core.flows
    if rule["to"] in ("mailbox", "duty"):
        return target in (core.mailbox_rows if rule["to"] == "mailbox" else core.duty_rows)
    return (target != queue and target in core.queue_configs and is_queue_open(core, target) and not is_full(core, target)
            and (rule["when"] != overflow.NO_AGENTS or logged_in(core, target) > 0))


def _first(core, queue, rules):
    for rule in rules:
        if _takes(core, queue, rule):
            return rule
    return None


def at_entry(core, queue):
    """(None, None): the caller may join.  Else why not, and the rule to carry out, None: there is none."""
    rules = rules_of(core, queue)
    for when, holds in ((overflow.CLOSED, not is_queue_open(core, queue)), (overflow.FULL, is_full(core, queue))):
        if holds:
            return when, _first(core, queue, overflow.rules_when(rules, when))
    if not rules:
        return None, None
    waiting = core.state.queues.get(queue) or ()        # made by records only, not by looking
    since_ms = waiting.longest_since_ms() if waiting else None
    rule = _first(core, queue, overflow.reasons_at_entry(rules, len(waiting), 0 if since_ms is None else core.now_ms - since_ms,
                                                         logged_in(core, queue), expected_ms(core, queue)))
    return (None, None) if rule is None else (rule["when"], rule)


def first_look_ms(core, queue):
    """When a caller who joins now may first be given on for the wait, or None."""
    return overflow.next_wait_ms(rules_of(core, queue), core.now_ms, core.now_ms)


def _due(core, call):
    return overflow.rules_waited(rules_of(core, call.queue), core.now_ms - call.queue_entered_ms)


def is_waited(core, call):
    """Whether the wait of a caller fits a rule."""
    return bool(_due(core, call))


def waited(core, call):
    """(rule, None): to carry out now.  (None, ms): look again then; (None, None): never."""
    due = _due(core, call)
    rule = _first(core, call.queue, due)
    if rule is not None:
        return rule, None
    next_ms = overflow.next_wait_ms(rules_of(core, call.queue), call.queue_entered_ms, core.now_ms)
    if due and (next_ms is None or next_ms > core.now_ms + AGAIN_MS):
        next_ms = core.now_ms + AGAIN_MS
    return None, next_ms


def asks_for_agents(core, queue):
    """Whether a queue has a rule for when nobody is logged in."""
    return bool(overflow.rules_when(rules_of(core, queue), overflow.NO_AGENTS))


def without_agents(core, queue):
    """The rule to carry out because nobody is logged in, or None."""
    if logged_in(core, queue) > 0:
        return None
    return _first(core, queue, overflow.rules_when(rules_of(core, queue), overflow.NO_AGENTS))
