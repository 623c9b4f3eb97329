"""Announcements that a person switches on: what has happened, said to all callers of a number, a queue or the house.

    switched on   recorded in the journal; stays on over restarts until it is switched off or taken out of the configuration
    a caller      of such a number, or on the way into such a queue, is answered and hears it whole; then the call goes on
                  (core_calls.announced) or is cleared.  Nobody hears the same one twice in a call
    who waits     already when it is switched on, or comes from another queue by overflow, hears it in place of the music and
                  keeps the place; or is cleared with it
"""

from firmware.call import call as calls
from firmware.call.number_plan import MATCH
from firmware.control.core_base import NORMAL
from firmware.control.core_ending import close, leave, withdraw


def switch(core, event):
    """On or off; again what it is already: nothing.  event: name on by?"""
    name = event["name"]
    if name not in core.announcement_rows:
        return core.refuse("there is no announcement %s; add it to announcements" % name)
    on = bool(event["on"])
    if on != (name in core.state.announcements):
        core.emit("announcement.switched", name=name, on=on, by=event.get("by"))
        for call in core.state.calls_in_order() if on else ():
            tell_waiting(core, call)
    return True


def forget(core):
    """What the configuration no longer has is off: the same name shall not be on one day because it once was."""
    for name in sorted(core.state.announcements):
        if name not in core.announcement_rows:
            core.emit("announcement.switched", name=name, on=False, by="configuration")


def due(core, call, number=None, queue=None):
    """The first announcement that is on for a number or a queue and that this caller has not heard, or None."""
    for name in core.announcement_rows if core.state.announcements else ():
        row = core.announcement_rows[name]
        numbers, queues = row.get("numbers") or [], row.get("queues") or []
        fits = queue in queues if number is None else number in numbers or not numbers and not queues
        if fits and name in core.state.announcements and name not in (call.announced or ()):
            return row
    return None


def tell_waiting(core, call):
    """Let a caller who waits in a queue hear what is on and was not heard yet."""
    if call.state != calls.QUEUED or core.is_absent(call):
        return
    row = due(core, call, queue=call.queue)
    if row is None:
        verdict, route = core.router.find(call.called or "", True)
        number = route["number"] if verdict == MATCH else None
        row = due(core, call, number=number) if number in core.number_rows else None
    if row is None:
        return
    core.emit("call.announced", call=call.id, leg=call.caller_leg, queue=call.queue, name=row["name"])
    items = [{"prompt": row["prompt"], "language": language} for language in call.spoken()]
    if (row.get("then") or "go_on") == "clear":
        withdraw(core, call, "withdrawn")
        leave(core, call, "overflow")
        close(core, call, NORMAL, items, "overflow", "announcement %s is on" % row["name"])
    else:
        core.play(call, "announcement", items)


def begin(core, call, row, to):
    """Let an answered caller hear it.  to: where the call goes on, as in the record."""
    core.emit("call.announcing", call=call.id, leg=call.caller_leg, name=row["name"], then=row.get("then") or "go_on", to=to)
    core.play(call, "notice", [{"prompt": row["prompt"], "language": language} for language in call.spoken()])


def snapshot(core):
    """[{name label on since_ms by prompt then numbers queues}] in the configuration's order."""
    found = []
    for name in core.announcement_rows:
        row, on = core.announcement_rows[name], core.state.announcements.get(name)
        found.append({"name": name, "label": row.get("label") or name, "on": on is not None, "since_ms": on["since_ms"] if on else None,
                      "by": on["by"] if on else None, "prompt": row["prompt"], "then": row.get("then") or "go_on",
                      "numbers": row.get("numbers") or [], "queues": row.get("queues") or []})
    return found
