"""What the settings of a queue say about callbacks: which numbers, when, how many at a time (core_callbacks.py)."""

from firmware.acd import claims as acd_claims
from firmware.acd import skills
from firmware.call import calendar
from firmware.call import call as calls
from firmware.call.outside import EMERGENCY, is_open

# Defaults of the queue's setting "callback"; the schema gives them too.
DEFAULTS = {"enabled": False, "key": "", "first": "agent", "attempts": 3, "retry_s": 900, "expires_s": 86400, "prefix": "", "ring_s": 45, "blend": "equal",
            "classes": ["local", "national"], "hours": []}


LEAST_DIGITS = 5            # of a number that is a person's, as an erasure takes (keeping.py): fewer are services and extensions; invented
UNTRIED = (34, 38, 41, 42, 44, 47)      # Q.850: the number was not reached for want of a way


def no_number(number):
    """Why a text cannot be the telephone number of somebody outside, as a sentence, or None."""
    digits = number[1:] if number[:1] == "+" else number
    if not digits:
        return "no number is known"
    if not digits.isdigit() or len(digits) < LEAST_DIGITS:
        return "%s is no telephone number: give all of its digits, at least %d" % (number[:40], LEAST_DIGITS)
    return None


def setting(core, queue, name):
    """A setting of a queue's callbacks."""
    value = ((core.queue_configs.get(queue) or {}).get("callback") or {}).get(name)
    return DEFAULTS[name] if value is None else value


def permitted(core, queue, number):
    """(route, None), or (None, why a number may not be called back)."""
    why = no_number(number)
    if why is not None:
        return None, why
    digits = setting(core, queue, "prefix") + number
    route = core.router.outside(digits)
    if route is None:
        return None, "no route takes %s to the outside" % digits
    for kind in route.get("classes") or ():
        if kind == EMERGENCY or kind not in setting(core, queue, "classes"):
            return None, "queue %s may not call %s numbers back" % (queue, kind)
    return route, None


def never(core, number):
    """The list of callers who are never called by campaigns that has a number, or None."""
    return calendar.treatment(core.do_not_call, number)


def first(core, call, queue):
    """Who is called first for a callback: the row's own word (of a campaign), else the queue's setting."""
    return (core.state.callbacks.get(call.callback) or {}).get("first") or setting(core, queue, "first")


def waiting_for(core, queue, number):
    """The callback of a number in a queue, or None."""
    for name in sorted(core.state.callbacks):
        row = core.state.callbacks[name]
        if row["queue"] == queue and row["number"] == number and row.get("campaign") is None:
            return row
    return None


def next_opening_ms(core, queue):
    """The next moment after now at which the hours for calling back begin, None: they have no beginning."""
    hours = setting(core, queue, "hours")
    if not hours:
        return None
    local_ms = core.now_ms + core.utc_offset_ms(core.now_ms)
    midnight_ms, best = local_ms // 86400000 * 86400000, None
    for day in range(9):
        for row in hours:
            begins = [int(part) for part in (row.get("from") or "00:00").split(":")]
            at_ms = midnight_ms + day * 86400000 + (begins[0] * 60 + begins[1]) * 60000
            weekday = (at_ms // 86400000 + 3) % 7 + 1
            if at_ms > local_ms and str(weekday) in (row.get("days") or "1234567") and (best is None or at_ms < best):
                best = at_ms
    return None if best is None else best - core.utc_offset_ms(core.now_ms)


def is_time(core, queue):
    """Whether the hours of the queue's callbacks allow a call now."""
    hours = setting(core, queue, "hours")
    weekday, minute = core.local_time()
    return not hours or True in [is_open(row, weekday, minute) for row in hours]


def claims(core):
    """Of each caller who is being dialled and shall come to a ready agent: the ready agents who would do, [{agent: Candidate}]."""
    found = []
    for name in sorted(core.state.callbacks):
        row = core.state.callbacks[name]
        call = core.state.calls.get(row["call"])
        if call is not None and call.state == calls.RINGING and core.is_absent(call):
            there, needs = core.ready.of(row["queue"]), row["skills"] or {}
            found.append(dict([(agent, there[agent]) for agent in there if skills.fits(there[agent].has, needs)]))
    return found


def spare(core):
    """{agent: True} of the ready agents whom no caller who is being dialled needs, over all queues; None: nobody is dialled."""
    found = claims(core)
    if not found:
        return None
    ready = {}
    for queue in core.queue_names:
        ready.update(core.ready.of(queue))
    return acd_claims.spare(found, sorted(ready))


def look_again(core):
    """Agents who were kept for a dialled caller may be free for callers of any queue."""
    for queue in core.queue_names:
        if core.state.queues.get(queue):
            core.touch(queue)
