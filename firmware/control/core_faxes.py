"""Documents that the box sends to a number by fax.

    asked     by a person (REST, CLI), or by a flow's node send_fax: to the caller's number, or one that was keyed (fax on demand by a call back)
    waits     a row of state.faxes, until it is due and fewer than at_once are on their way
    called    a call of the box's own, application "fax": nobody is on the caller's side (a leg of tech "none") until the number answers; hunted,
              permitted and billed as any call out
    sends     the machine that answered is in a flow of one node, fax, as a caller who asked for a document is: so modems, T.38, pages and restarts are the same
    fails     busy, no answer, no fax machine, pages missing: again after retry_s, `attempts` times; no trunk free, media gone: again soon, not counted
    ends      sent | exhausted | expired | cancelled | forbidden (the number may not be called any more)

What may be called are the classes of the setting `fax`, checked when it is asked for and again before each call.  All is in the journal: a kill -9 of control
loses none and calls nobody twice, an attempt under way goes on.  The newest rows that ended stay in the state, to be looked at; an erasure takes them."""

from firmware.call import call as calls
from firmware.call.outside import EMERGENCY
from firmware.control import core_callback_rules, core_ivr, core_outside
from firmware.control.core_base import NORMAL, SWITCH
from firmware.control.core_ending import clear
from firmware.ivr.requests import is_document

# Defaults of the configuration's section "fax"; the schema gives them too.
DEFAULTS = {"enabled": False, "prefix": "", "classes": ["local", "national"], "attempts": 3, "retry_s": 300, "expires_s": 86400, "ring_s": 60, "at_once": 2,
            "station": "", "header": ""}
SOON_MS = 30000             # after an attempt that failed at our side; invented
MOST = 1000                 # that wait at once; invented
OF_ONE_CALL = 5             # that one caller may ask for; invented
NOT_REACHED = "the number was not reached"


def setting(core, name):
    """A setting of the section "fax"."""
    value = (core.config.get("fax") or {}).get(name)
    return DEFAULTS[name] if value is None else value


def permitted(core, number):
    """(route, None), or (None, why no document may be sent to a number)."""
    if not setting(core, "enabled"):
        return None, "documents are not sent to numbers; switch the setting fax.enabled on"
    why = core_callback_rules.no_number(number)
    if why is not None:
        return None, why
    digits = setting(core, "prefix") + number
    route = core.router.outside(digits)
    if route is None:
        return None, "no route takes %s to the outside" % digits
    for kind in route.get("classes") or ():
        if kind == EMERGENCY or kind not in setting(core, "classes"):
            return None, "no fax may be sent to %s numbers" % kind
    return route, None


# Asking.

def command(core, event):
    """A person wants a document to be sent.  event: document number station? header? at_ms? by? note?  Answer: {"fax"}"""
    why = _ask(core, None, event, event.get("by") or "api")
    return True if why is None else core.refuse(why)


def from_flow(core, call, request):
    """A node of a flow wants it.  request: of ivr/requests.py.  Returns (ok, {"fax"} or a sentence)."""
    asked = len([1 for row in core.state.faxes.values() if row["asked_in"] == call.id])
    number = request["number"] or (call.caller if call.caller_presentation == "allowed" else "")
    why = "a caller may ask for %d documents" % OF_ONE_CALL if asked >= OF_ONE_CALL else _ask(core, call, dict(request, number=number), "flow")
    return (True, dict(core.answer)) if why is None else (False, why)


def _ask(core, call, wanted, by):
    """Why not, as a sentence, or None; core.answer then has the id."""
    number, document = wanted["number"], wanted["document"]
    why = permitted(core, number)[1]
    if why is None and not is_document(document):
        why = "%r is no name of a document" % document[:40]
    waiting = [row for row in core.state.faxes.values() if row["outcome"] is None]
    if why is None and len(waiting) >= MOST:
        why = "%d documents wait to be sent already" % MOST
    if why is not None:
        return why
    at_ms = max(core.now_ms, wanted.get("at_ms") or 0)
    name = core.ids.next("f")
    core.emit("fax.asked", call=call.id if call is not None else None, fax=name, document=document, number=number, station=wanted.get("station") or "",
              header=wanted.get("header") or "", by=by, note=wanted.get("note"), order=core.state.order + 1, due_ms=at_ms,
              expires_ms=at_ms + setting(core, "expires_s") * 1000)
    look(core)
    core.answer = {"fax": name}
    return None


def cancel(core, event):
    """It is not wanted any more; one that is on its way is ended.  event: fax by?"""
    row = core.state.faxes.get(event["fax"])
    if row is None or row["outcome"] is not None:
        return core.refuse("fax %s does not wait" % event["fax"] if row is None else "fax %s is over: %s" % (event["fax"], row["outcome"]))
    _finish(core, row, "cancelled", "cancelled by %s" % (event.get("by") or "api"))
    call = core.state.calls.get(row["call"])
    if call is not None and call.state != calls.CLEARING:
        clear(core, call, NORMAL, SWITCH, "self_service", "the fax is cancelled")
    return True


def forget(core, forms):
    """A person is to be erased: what is still to be sent to the number is not sent."""
    for name in sorted(core.state.faxes):
        row = core.state.faxes[name]
        if row["number"].lstrip("+") in forms and row["outcome"] is None:
            cancel(core, {"fax": name, "by": "erasure"})


# Sending.

def look(core):
    """Begin what is due, as many as may be under way."""
    if not core.state.media_up:
        return
    waiting = [row for row in core.state.faxes.values() if row["outcome"] is None]
    free = setting(core, "at_once") - len([1 for row in waiting if row["call"] is not None])
    for row in sorted(waiting, key=lambda row: row["order"]):
        if row["call"] is None and row["expires_ms"] <= core.now_ms:
            _finish(core, row, "expired", _why(row))
        elif free > 0 and row["call"] is None and row["due_ms"] <= core.now_ms:
            free -= 1
            _dial(core, row)


def timer(core, name):
    """One is due, or all of its time is over."""
    row = core.state.faxes.get(name)
    if row is None or row["outcome"] is not None:
        return
    if row["call"] is None and core.now_ms >= row["expires_ms"]:
        _finish(core, row, "expired", _why(row))
    else:
        look(core)


def _dial(core, row):
    route, why = permitted(core, row["number"])
    if route is None:
        _finish(core, row, "forbidden", why)
        return
    call = core.ids.next("c")
    core.emit("fax.dialled", call=call, leg=core.ids.next("l"), fax=row["id"], number=row["number"], languages=core.site.get("languages") or ["en"],
              order=core.state.order + 1)
    core_outside.dial(core, core.state.calls[call], route, None, setting(core, "ring_s") * 1000)


def answered(core, call, leg):
    """The number that we called is there: it gets the document."""
    core.emit("leg.answered", call=call.id, leg=leg.id, by="far", connects=False)
    core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="answered", cause=None)
    core_outside.undo_cut_through(core, call)
    absent, row = call.caller_leg, core.state.faxes.get(call.target)
    core.emit("fax.joined", call=call.id, leg=leg.id, fax=call.target)
    core.emit("leg.released", call=call.id, leg=absent, cause=NORMAL, by="near", sip_status=None)
    if row is None or row["call"] != call.id:
        clear(core, call, NORMAL, SWITCH, "self_service", "the fax is not wanted any more")
        return
    core.listen(call)
    core_ivr.enter_flow(core, call, "send-%s" % row["id"], _flow(core, row))


def _flow(core, row):
    """The flow of one node in which a machine that answered is."""
    return {"version": 1, "languages": core.site.get("languages") or ["en"], "start": "send", "nodes": {
        "send": {"type": "fax", "document": row["document"], "role": "calls", "station": row["station"] or setting(core, "station"),
                 "header": row["header"] or setting(core, "header"), "next": "end", "failed": "end"},
        "end": {"type": "hangup"}}}


def ended(core, call):
    """A call of ours is over: the document has arrived, or is tried again."""
    row = core.state.faxes.get(call.target)
    if row is not None and row["outcome"] is None and row["call"] == call.id:
        told, cause = row["told"], (call.outside or {}).get("cause") if call.failed_cause is None else call.failed_cause
        if told is not None and told["ok"]:
            _finish(core, row, "sent", None)
        else:
            tried = told is not None or cause is not None and cause not in core_callback_rules.UNTRIED
            attempts = row["attempts"] + (1 if tried else 0)
            why = told["why"] if told is not None else "%s (cause %s)" % (NOT_REACHED, cause) if cause is not None else NOT_REACHED
            due_ms = core.now_ms + (setting(core, "retry_s") * 1000 if tried else SOON_MS)
            core.emit("fax.failed", call=call.id, fax=row["id"], attempts=attempts, why=why, cause=cause, due_ms=due_ms)
            if attempts >= setting(core, "attempts"):
                _finish(core, core.state.faxes[row["id"]], "exhausted", why)
            elif due_ms >= row["expires_ms"]:
                _finish(core, core.state.faxes[row["id"]], "expired", why)
    look(core)


def _why(row):
    return row["why"] or "it could not be sent in its time"


def _finish(core, row, outcome, why):
    core.emit("fax.finished", call=row["call"], fax=row["id"], document=row["document"], number=row["number"], outcome=outcome, why=why)


def snapshot(core):
    """[{fax document number station header state("waiting"|"calling"|"sending"|"sent"|"exhausted"|"expired"|"cancelled"|"forbidden") asked_ms due_ms expires_ms
    ended_ms attempts pages rate why by note call}], the newest first; those that are over: the last ones."""
    found = []
    for row in sorted(core.state.faxes.values(), key=lambda row: -row["order"]):
        call = core.state.calls.get(row["call"]) if row["outcome"] is None else None
        state = row["outcome"] or ("waiting" if call is None else "sending" if call.state == calls.IVR else "calling")
        told = row["told"] or {}
        found.append({"fax": row["id"], "document": row["document"], "number": row["number"], "station": row["station"], "header": row["header"], "state": state,
                      "asked_ms": row["asked_ms"], "due_ms": row["due_ms"], "expires_ms": row["expires_ms"], "ended_ms": row["ended_ms"], "attempts": row["attempts"],
                      "pages": told.get("pages") or 0, "rate": told.get("rate"), "why": row["why"], "by": row["by"], "note": row["note"], "call": row["call"]})
    return found
