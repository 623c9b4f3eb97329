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
    if not (digits.isascii() and digits.isdigit()) or len(digits) < LEAST_DIGITS:
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


def plain(text, country):
    """A number, or the pattern of a list, as it is dialled in the country: with no code of the country, abroad as 00."""
    if text[:1] == "+":
        text = "00" + text[1:]
    inside = text.startswith("00" + country)
    if inside:
        text = text[2 + len(country):]
    if country != "86":
        return text
    if text[:2] == "01" and text[2:3] in tuple("3456789"):      # some write the 0 before a mobile number, too
        return text[1:]
    if inside and (text[:1] in tuple("23456789") or text[:2] == "10"):     # an area code that has lost its 0 abroad
        return "0" + text
    return text


def never_called(rows, country):
    """Lists of treatment do_not_call as they are looked up: whole numbers by index, in any way of writing them."""
    whole, open_ones = {}, []
    for row in rows:
        for pattern in row["numbers"]:
            pattern = plain(pattern, country)
            if "x" in pattern or "." in pattern:
                open_ones.append((pattern, row))
            else:
                whole.setdefault(pattern, row)
    return {"whole": whole, "open": open_ones, "country": country}


def never(core, number):
    """The list of callers who are never called by campaigns that has a number, or None."""
    lists = core.do_not_call
    number = plain(number, lists["country"])
    if number in lists["whole"]:
        return lists["whole"][number]
    for pattern, row in lists["open"]:
        if calendar.matches(pattern, number):
            return row
    return None


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
    """Of callers who are being dialled and shall come to a ready agent, those of one queue and the same needs together: ([ready agents who would do], [how many callers])."""
    alike = {}
    for row in core.state.callbacks.values():
        call = core.state.calls.get(row["call"])
        if call is not None and call.state == calls.RINGING and core.is_absent(call):
            place = (row["queue"], skills.key(row["skills"] or {}))
            alike[place] = alike.get(place, 0) + 1
    found, places = [], sorted(alike)
    for queue, needs in places:
        there = core.ready.of(queue)
        found.append(dict([(agent, True) for agent in there if skills.fits(there[agent].has, dict(needs))]))
    return found, [alike[place] for place in places]


def spare(core):
    """{agent: True} of the ready agents whom no caller who is being dialled needs, over all queues; None: nobody is dialled."""
    found, counts = claims(core)
    if not found:
        return None
    ready = {}
    for queue in core.queue_names:
        ready.update(core.ready.of(queue))
    return acd_claims.spare(found, sorted(ready), counts)


def look_again(core):
    """Agents who were kept for a dialled caller may be free for callers of any queue."""
    for queue in core.queue_names:
        if core.state.queues.get(queue):
            core.touched[queue] = True          # no touch(): of campaigns nothing is new
