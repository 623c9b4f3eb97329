"""Conference rooms of flows: callers who give the same name talk together.

The first one waits with music (state parked, without a place); the second makes a conversation of it, further ones are its
members.  Everybody's leg moves into the first one's call, his own call ends; who leaves, leaves as from any
conference (core_parties.left).  A room is there as long as somebody is in it.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_floor, core_ivr, core_operations, core_parties
from firmware.control.core_base import BUSY, NORMAL, SWITCH
from firmware.control.core_ending import clear


def from_flow(core, call, command):
    """A node of the flow: {"room", "most", "tones", "failed"}; who begins a room says whether tones tell who comes and goes (None: as configured)."""
    room = command["room"]
    there = [other for other in core.state.calls_in_order()
             if other.room == room and other.id != call.id and other.state in (calls.PARKED, calls.TALKING)]
    if not there:
        core.emit("call.room", call=call.id, leg=call.caller_leg, room=room)
        if command.get("tones") is not None:
            core_floor.set_tones(core, call, command["tones"])
        core_parties.hold_music(core, call)
        return
    host = there[0]
    if host.state == calls.PARKED:
        core.emit("call.unparked", call=host.id, outcome="fetched")
        core_operations.take(core, host, call)
    elif 2 + len(host.members or []) >= command["most"] or not core_floor.has_room(core, host):
        core_ivr.not_reached(core, call, command["failed"], BUSY, "busy", "room %s is full" % room)
    else:
        _join(core, host, call)


def _join(core, host, call):
    leg = core.state.legs[call.caller_leg]
    core.silence(call)
    core_parties.move(core, call, host, leg, legs.CALLEE)
    core.emit("call.joined", call=host.id, leg=leg.id, agent=core.agent_on(leg.line))
    core_parties.wire(core, host)
    core_floor.told(core, host, leg, "conference_in")
    clear(core, call, NORMAL, SWITCH, "self_service", "went into call %s" % host.id)
