"""What the settings of a queue say about callbacks: which numbers, when, how many at a time (core_callbacks.py)."""

from firmware.call import call as calls
from firmware.call.outside import EMERGENCY, is_open

# Defaults of the queue's setting "callback"; the schema gives them too.
DEFAULTS = {"enabled": False, "key": "", "first": "agent", "attempts": 3, "retry_s": 900, "expires_s": 86400, "prefix": "", "ring_s": 45, "blend": "equal",
            "classes": ["local", "national"], "hours": []}


def setting(core, queue, name):
    """A setting of a queue's callbacks."""
    value = ((core.queue_configs.get(queue) or {}).get("callback") or {}).get(name)
    return DEFAULTS[name] if value is None else value


def permitted(core, queue, number):
    """(route, None), or (None, why a number may not be called back)."""
    digits = setting(core, queue, "prefix") + number
    route = core.router.outside(digits) if number else None
    if route is None:
        return None, "no route takes %s to the outside" % digits
    for kind in route.get("classes") or ():
        if kind == EMERGENCY or kind not in setting(core, queue, "classes"):
            return None, "queue %s may not call %s numbers back" % (queue, kind)
    return route, None


def waiting_for(core, queue, number):
    """The callback of a number in a queue, or None."""
    for name in sorted(core.state.callbacks):
        row = core.state.callbacks[name]
        if row["queue"] == queue and row["number"] == number:
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


def outstanding(core, queue):
    """How many callers are being dialled who shall come to the ready agents of a queue."""
    count = 0
    for row in core.state.callbacks.values():
        call = core.state.calls.get(row["call"])
        if row["queue"] == queue and call is not None and call.state == calls.RINGING and core.is_absent(call):
            count += 1
    return count
