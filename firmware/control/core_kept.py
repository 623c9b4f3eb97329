"""Decisions about what is kept: a person's data are to be erased; records of what was pruned and erased.

command.erase cancels the person's callbacks and deletes the messages that the person left, and forgets whom the person talked with
last; what is on the disk follows beside the calls (control/erasure.py), and `erasures` in the state says what is still to be done, so
that a killed process goes on.  A number that is in a call just now is refused, or (later) waits in `erasures` until it is in none."""

from firmware.call import call as calls
from firmware.control import core_callbacks, core_faxes, core_mailboxes

RECORDED = {"journal.pruned": ("before_ms", "rows", "cdrs"), "person.erased": ("erasure", "records", "calls", "recordings", "texts")}


def record(core, event):
    """What control's housekeeping has done.  event: record data"""
    kind, data = event["record"], event["data"]
    if kind not in RECORDED or [name for name in RECORDED[kind] if name not in data]:
        return core.refuse("%s is no record of housekeeping" % kind)
    core.emit(kind, **data)
    return True


def in_calls(core, forms):
    """{form: the call that it is in just now, or that is being made to it}; each call is looked through once for all of them."""
    found = {}
    for call in core.state.calls_in_order() if forms else ():
        if not (core.is_absent(call) and call.state == calls.QUEUED and not call.offers):       # a callback that waits is cancelled
            told = str(call.dump())
            for form in forms:
                if "'%s'" % form in told or "'+%s'" % form in told:
                    found.setdefault(form, call.id)
    return found


def erase(core, event):
    """event: forms(of the number) by? reason? later?(wait for the end of a call) erasure?(one that waited).  Answer: {"erasure", "waits_for"?}"""
    forms, erasure = event["forms"], event.get("erasure")
    if erasure is not None and erasure not in core.state.erasures:
        return core.refuse("there is no erasure %s" % erasure)
    busy = next(iter(in_calls(core, forms).values()), None)
    if busy is not None:
        if event.get("later") and erasure is None:
            for name in sorted(core.state.erasures):        # asked again: one is enough
                if core.state.erasures[name]["waits"] and set(forms) <= set(core.state.erasures[name]["forms"]):
                    core.answer = {"erasure": name, "waits_for": busy}
                    return True
            erasure = core.ids.next("e")
            core.emit("person.erasing", erasure=erasure, forms=list(forms), by=event.get("by"), reason=event.get("reason"), waits=True)
            core.answer = {"erasure": erasure, "waits_for": busy}
            return True
        return core.refuse("the number is in call %s just now; ask again when it is over" % busy)
    for name in sorted(core.state.callbacks):
        row = core.state.callbacks[name]
        if row["number"].lstrip("+") in forms:
            core_callbacks.cancel(core, {"callback": name})
    core_faxes.forget(core, forms)
    for name in sorted(core.state.messages):
        row = core.state.messages[name]
        if (row["caller"] or "").lstrip("+") in forms and row["state"] != "recording":
            core_mailboxes.delete(core, row, "the person is erased", event.get("by") or "api")
    if erasure is None:
        erasure = core.ids.next("e")
    core.emit("person.erasing", erasure=erasure, forms=list(forms), by=event.get("by"), reason=event.get("reason"), waits=False)
    core.answer = {"erasure": erasure}
    return True
