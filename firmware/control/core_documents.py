"""Documents that flows send or receive by fax (node fax): fax.started, fax.page for each page that was confirmed, fax.ended.

The modems are media's streaming process; they go on while control is away, and what they told meanwhile is told again."""


def started(core, call, token, request):
    """A document is on its way."""
    core.emit("fax.started", call=call.id, leg=call.caller_leg, token=token, document=request["document"], role=request["role"])


def page(core, event):
    """A page of a document has arrived: call token pages."""
    call = core.state.calls.get(event["call"])
    if call is None or call.request is None or call.request["token"] != event["token"]:
        return False
    core.emit("fax.page", call=call.id, leg=call.caller_leg, token=event["token"], pages=event["pages"])
    return True


def ended(core, call, ok, event):
    """What became of a document.  event: ivr.answer, with fax {pages, rate, ecm, station} where the machines spoke."""
    known = event.get("fax") or {}
    station = known.get("station")      # T.30 lets blanks stand in it; without them it is a number that an erasure finds
    core.emit("fax.ended", call=call.id, leg=call.caller_leg, token=event["token"], ok=ok, why=None if ok else str(event["result"])[:200],
              pages=known.get("pages"), rate=known.get("rate"), ecm=known.get("ecm"), station=station.replace(" ", "") if station else station)
