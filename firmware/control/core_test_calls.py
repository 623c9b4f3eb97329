"""Test calls: what proves to an installer that a span carries calls, each way.

    out   command.test_call: the box calls a number over one span.  Nobody is on the caller's side (a leg of tech "none", which no
          adapter and no media know) until the number answers
    in    a number of ours whose application is "test" was called: answered at once

Either way the call is then "testing", and the box's own business: chassis/test_calls.py plays to the leg and measures what comes
back.  It ends when that is done, when the far end hangs up, or after the limit.  A restart of control ends it, since who measured
is gone.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call import outside
from firmware.control import core_outside
from firmware.control.core_base import NORMAL, SWITCH, TEMPORARY_FAILURE
from firmware.control.core_ending import clear

RING_MS = 60_000            # how long the far end may take to answer; invented
LIMIT_MS = {"out": 60_000, "in": 600_000}       # of the conversation: a carrier may measure our tone for a while; invented
TRUNKS_MOST = 2             # of the span that are tried; invented


def command(core, event):
    """Call a number over a span.  event: span number.  Answer: {"call"}"""
    span, number = event["span"], event["number"]
    row = None
    for entry in core.config.get("spans") or []:
        if entry["span"] == span and entry.get("enabled", True):
            row = entry
    if row is None or row.get("signalling", "pri") == "none":
        return core.refuse("span %s carries no calls" % (span,))
    if not number:
        return core.refuse("no number is given that answers test calls")
    if core.router.outside(number, (outside.EMERGENCY,)) is not None:
        return core.refuse("%s is an emergency number" % number)
    if not core.state.media_up:
        return core.refuse("media is not there")
    if not core.span_is_up(span):
        return core.refuse("span %d is not up" % span)
    call = core.ids.next("c")
    core.emit("test.begun", call=call, leg=core.ids.next("l"), order=core.state.order + 1, number=number, span=span)
    core.emit("call.dialling", call=call, leg=core.state.calls[call].caller_leg, digits=number, route="test", cls=outside.NATIONAL,
              ways=[{"trunk_group": row["trunk_group"], "number": number, "type": "unknown", "plan": "isdn"}], limit=TRUNKS_MOST, failed=None,
              ring_ms=RING_MS, span=span)
    core_outside.hunt(core, core.state.calls[call])
    core.answer = {"call": call}
    return True


def answered(core, call, leg):
    """The number that we called is there."""
    core.emit("leg.answered", call=call.id, leg=leg.id, by="far", connects=False)
    core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="answered", cause=None)
    core_outside.undo_cut_through(core, call)
    absent = call.caller_leg
    core.emit("test.joined", call=call.id, leg=leg.id, way="out", sound=None, deadline_ms=core.now_ms + LIMIT_MS["out"])
    core.emit("leg.released", call=call.id, leg=absent, cause=NORMAL, by="near", sip_status=None)


def enter(core, call, sound):
    """A caller has dialled a test number of ours, and is answered."""
    core.emit("test.joined", call=call.id, leg=call.caller_leg, way="in", sound=sound, deadline_ms=core.now_ms + LIMIT_MS["in"])


def timeout(core, call):
    """It has lasted long enough."""
    if call.state != calls.TESTING:
        return False
    clear(core, call, NORMAL, SWITCH, "self_service", "a test call ends after its limit")
    return True


def resume(core, call):
    """After a restart: who measured is gone."""
    leg = core.state.legs.get(call.caller_leg)
    if leg is not None and leg.state != legs.RELEASING:
        clear(core, call, TEMPORARY_FAILURE, SWITCH, "self_service", "a test call ends with the process that measures")
