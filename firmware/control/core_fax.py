"""Fax machines and modems on calls that come in over trunks.

Media tells the tones it hears where the trunk group's fax_detection is on; each is recorded once for each leg.  A
calling machine (CNG, ITU-T T.30 4.1) does not choose from a menu and helps no agent: as long as nobody talks with it,
it goes to the number that the dialled number names as fax_to.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call.number_plan import MATCH
from firmware.control import core_calls
from firmware.control.core_ending import leave, withdraw

# What is worth a record: a reversal or the end of a tone says nothing more.
KINDS = ("cng", "calling", "ans", "ansam", "flags")


def heard(core, event):
    """A tone began on a leg."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    tone = event["tone"]
    if call is None or not event["on"] or tone not in KINDS or tone in leg.fax or leg.state != legs.ANSWERED:
        return False
    route = _route(core, call) if tone == "cng" and leg.id == call.caller_leg and call.state in (calls.ANNOUNCING, calls.IVR, calls.QUEUED) else None
    core.emit("leg.fax_heard", call=call.id, leg=leg.id, tone=tone, to=route["number"] if route else None)
    if route is not None:
        _give(core, call, route)
    return True


def _route(core, call):
    """Where a fax machine goes that called this number, or None."""
    verdict, route = core.router.find(call.called, True)
    row = core.number_rows.get(route["number"]) if verdict == MATCH else None
    number = (row or {}).get("fax_to")
    verdict, route = core.router.find(number, True) if number else (None, None)
    return route if verdict == MATCH and number in core.number_rows else None


def _give(core, call, route):
    if call.state == calls.QUEUED:
        withdraw(core, call, "withdrawn")
        leave(core, call, "overflow", to={"number": route["number"]}, when="fax")
    elif call.state == calls.IVR:
        core.emit("ivr.left", call=call.id, node=call.position["node"] if call.position else None, outcome="fax")
    core.silence(call)
    core.emit("call.routed", call=call.id, application=route["application"], target=route["target"], number=route["number"],
              label=route["label"], languages=list(call.languages))
    core_calls.follow(core, call, route)
