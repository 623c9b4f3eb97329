"""Numbers that go out digit by digit, as they come in (overlap sending, Q.931 5.1.3 and 5.2.4).

    a caller's digits settle on a route of which a way sends digits one by one
        -> the trunk is seized with what there is; the caller is not told "proceeding", so more digits may come
        each further digit, judged as the whole number would be -> leg.digits to the trunk
        T302 or "Sending complete" of the caller -> complete
    the far end has enough (CALL PROCEEDING, ALERTING, CONNECT) -> call.dialled; the caller is told

Callers of trunks dial so by their protocol; one of our telephones sends what it has dialled, hears the far end's dial tone where
that asks for more, and its keys are the further digits, # the last.  Where the call stands is in the journal and the digits that
the far end has not asked for yet in the adapter's dump, so a kill of control in the middle loses none.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call.outside import CLASSES, LONGEST_NUMBER
from firmware.control.core_base import SWITCH
from firmware.control.core_ending import clear

REJECTED = 21


def mode(core, way):
    """One of outside.OVERLAPS of a way's trunk group."""
    return (core.group_rows.get(way["trunk_group"]) or {}).get("overlap_sending", "off")


def sends(core, call, way):
    """Whether a way takes the digits of this caller one by one."""
    internal = core.state.legs[call.caller_leg].line is not None
    return mode(core, way) in (("telephones",) if internal else ("trunks", "telephones"))


def begin(core, call, dial, forbidden):
    """Dial with the digits that are there, if these are enough to know the way and the way takes more.  Whether it was so."""
    leg = core.state.legs[call.caller_leg]
    internal = leg.line is not None
    if call.called_complete and not internal:
        return False
    route = core.router.begun(call.called, internal, CLASSES if internal else core.classes_of_group(leg.trunk_group))
    if route is None or not [choice for choice in route["row"]["choices"] if sends(core, call, choice)]:
        return False
    if internal and forbidden(core, call, route) is not None:
        return False                    # refused as any other number
    core.emit("call.routed", call=call.id, application="outside", target=route["target"], number=route["number"], label=route["label"],
              languages=core.site.get("languages") or ["en"])
    if internal:
        core.emit("leg.digits", call=call.id, leg=leg.id, called=call.called, called_complete=False)
        core.emit("leg.proceeding", call=call.id, leg=leg.id)
        core.act("leg.proceeding", leg=leg.id)
    else:
        core.act("leg.need_more_digits", leg=leg.id)
    dial(core, call, route, None, overlap=True)
    return True


def is_open(call):
    """Whether further digits of a call are wanted."""
    return call.state == calls.RINGING and call.outside is not None and bool(call.outside.get("overlap")) and not call.called_complete


def more(core, call, called, complete):
    """More digits have come.  called: all of them."""
    leg, known = core.state.legs[call.caller_leg], call.outside["digits"]
    if called[:len(known)] != known or len(called) > LONGEST_NUMBER:
        return False
    core.emit("leg.digits", call=call.id, leg=leg.id, called=called, called_complete=complete)
    internal = leg.line is not None
    classes = core.classes_of_line(leg.line) if internal else core.classes_of_group(leg.trunk_group)
    if core.router.begun(called, internal, classes) is None:
        clear(core, call, REJECTED, SWITCH, "rejected", "the digits that followed lead where this caller may not call")
        return True
    suffix = called[len(known):]
    core.emit("call.more_digits", call=call.id, leg=call.target_leg, digits=called, suffix=suffix, complete=complete)
    if call.target_leg is not None:
        core.act("leg.digits", leg=call.target_leg, digits=suffix, complete=complete)
    if not complete and core.state.legs[call.caller_leg].tech == "r2":
        core.act("leg.need_more_digits", leg=leg.id)        # a compelled register asks for each digit
    return True


def key(core, call, leg, digit):
    """A key of our own telephone while the far end takes digits."""
    if not is_open(call) or leg != call.caller_leg or core.state.legs[leg].line is None or digit not in "0123456789#":
        return False
    return more(core, call, call.called + digit.replace("#", ""), digit == "#")


def wanted(core, event):
    """The far end asks for more digits (SETUP ACKNOWLEDGE); its dial tone may be heard."""
    call, leg = core.call_of(event["leg"]), core.state.legs.get(event["leg"])
    if call is None or leg.id != call.target_leg or not is_open(call):
        return False
    core.emit("leg.progress", call=call.id, leg=leg.id, inband=bool(event.get("inband")))
    caller = core.state.legs[call.caller_leg]
    if caller.line is not None:
        core.act("media.detect", leg=caller.id, dtmf=True)
    if event.get("inband") or caller.line is not None:
        core.ways_on["progress"](core, call, leg)
    return True


def accepted(core, event):
    """The far end needs no more digits (CALL PROCEEDING)."""
    call, leg = core.call_of(event["leg"]), core.state.legs.get(event["leg"])
    return call is not None and over(core, call, leg)


def over(core, call, leg):
    """Digits are no longer wanted: the caller is told.  Whether they were."""
    if call.outside is None or not call.outside.get("overlap") or leg.id != call.target_leg:
        return False
    core.emit("call.dialled", call=call.id, leg=leg.id)
    caller = core.state.legs.get(call.caller_leg)
    if caller is not None and caller.state == legs.OFFERED:
        core.emit("leg.proceeding", call=call.id, leg=caller.id)
        core.act("leg.proceeding", leg=caller.id)
    return True
