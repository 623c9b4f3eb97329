"""A telephone's call that names another call (SIP Join and Replaces): it comes into that one, or in the place of its party.

    join      everybody hears who comes, as after a supervisor's barging in; the leg is a monitor of the call
    replace   of a telephone that rings: picked up; of one that talks: its party goes on at this telephone

Both are for whom the person at the line looks after: users with that agent, of role supervisor or admin, one of whose teams have the other agent.  What
rings may be picked up besides by whoever may dial a code for it.  Another telephone of the same line needs no leave and
does not come here: its dialog takes the place of the leg's, talking or ringing (proto/sip/session.py).
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_calls, core_floor, core_operations, core_parties
from firmware.control.core_base import NORMAL, SWITCH
from firmware.control.core_ending import clear
from firmware.control.people import person, reaches

REJECTED = 21


def may(core, line, watched):
    """Whether who sits at a line may come into calls of another one."""
    name, other = core.agent_on(line), core.agent_on(watched)
    if name is None or other is None:
        return False
    users = [row["name"] for row in core.config.get("users") or [] if row["agent"] == name and row["role"] in ("supervisor", "admin")]
    return any(reaches(core.config, person(core.config, user), [other]) for user in users)


def named(core, call, event):
    """A line's new call names the call of a leg: event has "joins" or "replaces"."""
    leg = core.state.legs.get(event.get("joins") or event.get("replaces"))
    other = core.state.calls.get(leg.call) if leg is not None else None
    core.refusal = None
    if other is None or other is call:
        core.refuse("the call that it names is over")
    elif event.get("joins"):
        _join(core, call, other, leg)
    elif leg.state in (legs.CREATED, legs.ALERTING):
        _pick_up(core, call, other, leg)
    else:
        _replace(core, call, other, leg)
    if core.refusal is not None:
        why, core.refusal = core.refusal, None
        clear(core, call, REJECTED, SWITCH, "rejected", why)


def _talks(core, call, other, leg):
    """Whether the leg's conversation is one that this telephone may come into; else refused."""
    line = core.state.legs[call.caller_leg].line
    if not may(core, line, leg.line):
        return core.refuse("line %s may not come into calls of line %s" % (line, leg.line))
    if other.is_data:
        return core.refuse(core_parties.CARRIES_DATA % other.id)
    if other.state != calls.TALKING or leg.state != legs.ANSWERED:
        return core.refuse("call %s is not in conversation, it is %s" % (other.id, other.state))
    return True


def _move(core, call, other, role):
    """The leg of the telephone comes from its own call, which ends, into the other one.  Returns the leg."""
    leg = core.state.legs[call.caller_leg]
    core_calls.answer(core, call)
    core_parties.move(core, call, other, leg, role)
    return leg


def _over(core, call, other):
    clear(core, call, NORMAL, SWITCH, "self_service", "went into call %s" % other.id)


def _join(core, call, other, leg):
    if not _talks(core, call, other, leg) or not core_floor.has_room(core, other):
        return
    own = _move(core, call, other, legs.MONITOR)
    core.emit("call.monitoring", call=other.id, leg=own.id, agent=core.agent_on(own.line), mode=core_parties.BARGE, by=own.line)
    core_parties.wire(core, other)
    _over(core, call, other)


def _pick_up(core, call, other, leg):
    line = core.state.legs[call.caller_leg].line
    if not may(core, line, leg.line) and not [row for row in core.config.get("feature_codes") or [] if row["action"] == "pick_up"]:
        core.refuse("line %s may not pick up what rings at line %s; there is no feature code for it either" % (line, leg.line))
    else:
        core_operations.pick_up(core, {"call": other.id, "own": call})


def _replace(core, call, other, leg):
    if not _talks(core, call, other, leg):
        return
    if leg.id not in (other.caller_leg, other.agent_leg):
        core.refuse("line %s is not one of the two who began call %s" % (leg.line, other.id))
    elif other.consult is not None or other.members:
        core.refuse("call %s is in consultation or a conference" % other.id)
    elif core_parties.acting(core, other, leg.id):
        own = _move(core, call, other, legs.CALLEE)
        core_parties.unhold(core, other)
        core_parties.detach(core, other, "take_over", apart=False)
        core_calls.connect(core, other, own.id, core.agent_on(own.line))
        _over(core, call, other)
