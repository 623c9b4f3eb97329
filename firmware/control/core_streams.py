"""Streams by command: a leg's audio to a speech service and back, for as long as the leg stands or until it is stopped.

    stream    start: a service of kind speech gets what the leg says (with both: what the other side says beside it, as a second
              channel); what the service sends is played to the leg where nothing else plays.  stop: no more
    told      what becomes of it: record leg.streamed (opened, interrupted, failed, text, message)

Texts that a service recognised stand in the journal (leg.streamed), where CTI and REST read them, and in no log."""

from firmware.call import call as calls
from firmware.control.core_listening import leg_of

MOST = 4                        # of one leg; ours


def command(core, event):
    """event: call action leg? service? both? stream?"""
    call, leg = leg_of(core, event)
    if leg is None:
        return False
    if event["action"] == "stop":
        names = [name for name in sorted(leg.streams) if event.get("stream") in (None, name)]
        if not names:
            return core.refuse("leg %s has no such stream" % leg.id)
        for name in names:
            _stop(core, call, leg, name)
        return True
    service = core.services.get(event.get("service"))
    if service != "speech":
        return core.refuse("there is no service %s of kind speech; add it to services" % (event.get("service") or "(none)"))
    if len(leg.streams) >= MOST:
        return core.refuse("leg %s has %d streams already" % (leg.id, MOST))
    other = None
    if event.get("both"):
        other = call.agent_leg if leg.id == call.caller_leg else call.caller_leg
        if call.state != calls.TALKING or other is None or other == leg.id:
            return core.refuse("nobody talks with leg %s now; leave both out" % leg.id)
    name = "%s-s%d" % (leg.id, core.now_ms % 100000000)
    if name in leg.streams:
        return core.refuse("leg %s got a stream this very moment; try again" % leg.id)
    core.emit("leg.streaming", call=call.id, leg=leg.id, agent=leg.agent, stream=name, service=event["service"], other=other, on=True)
    core.act("ivr.stream", leg=leg.id, call=call.id, stream=name, service=event["service"], other=other, on=True)
    if not (leg.id == call.caller_leg and call.signal is not None):     # what we play to the caller goes first
        core.act("media.signal", leg=leg.id, token=name, items=[{"stream": name}], repeat=1)
    core.answer = {"stream": name}
    return True


def _stop(core, call, leg, name):
    service = leg.streams[name]["service"]
    core.emit("leg.streaming", call=call.id, leg=leg.id, agent=leg.agent, stream=name, service=service, other=None, on=False)
    core.act("media.stop", leg=leg.id, token=name)
    core.act("ivr.stream", leg=leg.id, call=call.id, stream=name, service=service, on=False)


def told(core, event):
    """stream leg what value."""
    leg = core.state.legs.get(event["leg"])
    call = core.call_of(event["leg"])
    if leg is None or call is None or event["stream"] not in leg.streams:
        return False
    core.emit("leg.streamed", call=call.id, leg=leg.id, agent=leg.agent, stream=event["stream"], what=event["what"], value=event["value"])
    if event["what"] == "failed":
        core.emit("leg.streaming", call=call.id, leg=leg.id, agent=leg.agent, stream=event["stream"], service=leg.streams[event["stream"]]["service"],
                  other=None, on=False)
    return True
