"""Fax machines and modems on calls that come in over trunks.

Media tells the tones it hears where the trunk group's fax_detection is on; each is recorded once for each leg.  A
calling machine (CNG, ITU-T T.30 4.1) does not choose from a menu and helps no agent: as long as nobody talks with it,
it goes to the number that the dialled number names as fax_to.

T.38: where we may ask the far end of a SIP leg for it, both sides of the conversation are listened to.  What is heard goes to the SIP legs (leg.fax), whose
adapter knows what to do; one leg that went over to packets, or back, takes another SIP leg along.  Signals of T.30 (flags) end all work on the sound of
both, which harms modems: a fax that is refused as packets goes on as sound.
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
    _tell_sip(core, call, None, tone, True)
    if tone == "flags":
        _untouched(core, call)
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


# T.38.

def _talking(core, call):
    """The legs of a conversation, or of a caller alone."""
    found = [core.state.legs.get(name) for name in (call.caller_leg, call.agent_leg) if name is not None]
    return [leg for leg in found if leg is not None and leg.state == legs.ANSWERED]


def _tell_sip(core, call, but, tone, on):
    """SIP legs of a call hear of a fax.  but: a leg that knows."""
    for leg in _talking(core, call):
        if leg.tech == "sip" and leg.id != but:
            core.act("leg.fax", leg=leg.id, tone=tone, on=on)


def attend(core, call):
    """A conversation begins: both sides are listened to where one of them may go over to T.38."""
    pair = _talking(core, call)
    if not call.is_data and [leg for leg in pair if core.may_t38(leg)]:
        for leg in pair:
            if not leg.hears.get("modem"):
                wishes = dict(leg.hears, modem=True)
                core.emit("leg.listening", call=call.id, leg=leg.id, agent=leg.agent, wishes=wishes)
                core.act("media.listen", leg=leg.id, wishes=wishes)


def switched(core, event):
    """A SIP leg carries packets from now on, or sound again, or its far end refuses."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    if call is None or leg is None or leg.state == legs.RELEASING or event["state"] not in ("on", "off", "refused"):
        return False
    core.emit("leg.t38", call=call.id, leg=leg.id, agent=leg.agent, state=event["state"], by=event["by"], why=event.get("why"))
    if event["state"] != "refused":
        _tell_sip(core, call, leg.id, "t38", event["state"] == "on")
    return True


def _untouched(core, call):
    """Nothing works on the sound of modems."""
    for leg in _talking(core, call):
        row = core.line_rows.get(leg.line) or core.group_rows.get(leg.trunk_group) or {}
        wanted = dict(row.get("enhancement") or {})
        wanted.update(leg.enhance)
        if [name for name in wanted if wanted[name] not in (False, "off")]:
            effects = dict(leg.enhance, echo=False, long_tail=False, noise=False, level="off")
            core.emit("leg.enhanced", call=call.id, leg=leg.id, agent=leg.agent, effects=effects)
            core.act("media.enhance", leg=leg.id, effects=effects)
