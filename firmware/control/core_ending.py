"""Every way to end a call, and what it lets go of.

The rules that run through all of it:

  - a leg is gone only at leg.released; until then release_leg() waits for it;
  - clear() is the one way to end a call, from any state; it takes apart what there is
    (queue place, offer, ringing, bridge, recording, agents), then releases every leg;
  - a caller who was answered hears something before the end that we decide: fail()
    gives busy tone for a defined time, close() a prompt;
  - the call ends (call.ended, hence exactly one CDR) with its last leg.

Whatever decides about calls may end one, so this module imports none of the others.
"""

from firmware.acd import agent as agents
from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control.core_base import CALLER, NORMAL, RECORDING_GUARD_MS, SWITCH

# Invented: how long busy tone is heard before the release (Q.931 leaves it to the network).
BUSY_TONE_MS = 5000
# Invented: longest goodbye.
CLOSING_GUARD_MS = 60000
# Default of an agent's setting (seconds); the schema gives it too.
WRAP_UP_S = 0


# The end.

def result_of(call, by):
    """The CDR's result for a call that ends now."""
    if call.closing is not None:
        return call.closing["result"]
    if call.agent_answered_ms is not None:
        return "answered"
    if call.mailbox is not None and call.mailbox["mode"] == "leave":
        return "voicemail"
    if call.result is not None:
        return call.result
    if call.state in (calls.QUEUED, calls.RINGING, calls.COLLECTING):
        return "abandoned" if by == CALLER else "failed"
    return "self_service"


def fail(core, call, cause, reason, result=None):
    """End a call that cannot go on: busy tone for who was answered, then the release."""
    if call.agent_answered_ms is not None:
        result = "answered"
    close(core, call, cause, [{"tone": "busy"}], result or "failed", reason)


def close(core, call, cause, items, result, reason=None):
    """Say items to the caller, then release.  A tone is heard for BUSY_TONE_MS."""
    caller = core.state.legs.get(call.caller_leg)
    if not items or not core.state.media_up or caller is None or caller.state != legs.ANSWERED or caller.tech == "none" or call.is_data:
        clear(core, call, cause, SWITCH, result, reason)
        return
    take_apart(core, call, "failed")
    tone = "tone" in items[0]
    core.emit("call.closing", call=call.id, cause=cause, released_by=SWITCH, result=result, reason=reason,
              deadline_ms=core.now_ms + (BUSY_TONE_MS if tone else CLOSING_GUARD_MS))
    core.play(call, "busy" if tone else "goodbye", items, 0 if tone else 1)
    for leg in list(call.legs):
        if leg != call.caller_leg:
            core.release_leg(core.state.legs[leg], NORMAL)


def close_now(core, call):
    """The goodbye is said, or the tone was heard long enough."""
    closing = call.closing
    if call.state != calls.CLOSING:
        return False
    clear(core, call, closing["cause"], closing["released_by"], closing["result"])
    return True


def clear(core, call, cause, by, result, reason=None):
    """End a call from any state, once: take it apart and release every leg."""
    if call.state == calls.CLEARING:
        end_if_done(core, call)
        return
    core.private.pop(call.id, None)
    take_apart(core, call, "abandoned" if by == CALLER else "failed")
    if call.signal is not None:
        core.act("media.stop", leg=call.caller_leg)
    core.emit("call.clearing", call=call.id, agent=call.agent, queue=call.queue, cause=cause, released_by=by, result=result, reason=reason)
    if call.application == "home":
        core.ways_on["home_clearing"](core, call, cause, reason)
    for leg in list(call.legs):
        core.release_leg(core.state.legs[leg], cause)
    end_if_done(core, call)


def end_if_done(core, call):
    """call.ended, once every leg of a cleared call is gone."""
    if call.state == calls.CLEARING and not call.legs and call.id in core.state.calls:
        core.emit("call.ended", call=call.id, agent=call.agent, queue=call.queue)
        if call.callback is not None:
            core.ways_on["callback_ended"](core, call)
        if call.application == "fax":
            core.ways_on["fax_over"](core, call)


def take_apart(core, call, left):
    """Leave queue, offer, ringing, bridge and recording.  left: reason of queue.left."""
    leave(core, call, left)
    withdraw(core, call, "cancelled")
    if call.target_leg is not None:
        core.emit("call.ringing_ended", call=call.id, leg=call.target_leg, outcome="cancelled", cause=None)
    if call.recording is not None and core.state.recordings[call.recording]["state"] == "open":
        stop_recording(core, call.recording)
    if call.consult is not None:
        consult = call.consult
        core.emit("call.consult_ended", call=call.id, leg=consult["leg"], agent=consult["agent"], outcome="dropped", cause=None)
        if consult["state"] == "talking" and not consult["join"]:
            core.act("media.bridge", bridge=consult["bridge"], legs=[])
    if call.place is not None:
        core.emit("call.unparked", call=call.id, outcome="ended")
    if call.bridge is not None:
        bridge = call.bridge
        core.emit("call.unbridged", call=call.id, agent=call.agent, bridge=bridge)
        core.act("media.bridge", bridge=bridge, legs=[])
    free_agents(core, call)


def stop_recording(core, recording):
    """Have media close a recording; recording.closed follows."""
    core.emit("recording.stopping", call=core.state.recordings[recording]["call"], recording=recording,
              guard_ms=core.now_ms + RECORDING_GUARD_MS)
    core.act("media.record_stop", recording=recording)


# What a call lets go of.

def leave(core, call, reason, **more):
    """Leave the queue, if the call is in one.  more: what else the record says."""
    if call.state == calls.QUEUED:
        queue = core.state.queue(call.queue)
        if queue.find(call.id) is not None:
            total_ms = core.now_ms - call.waits_since_ms - (call.talked[0] if call.talked else 0)
            core.emit("queue.left", call=call.id, leg=call.caller_leg, queue=call.queue, reason=reason,
                      wait_ms=max(0, core.now_ms - call.queue_entered_ms), total_ms=max(0, total_ms), **more)


def withdraw(core, call, outcome, cause=NORMAL):
    """Take the offers back, if there are any."""
    for offer in list(call.offers):
        withdraw_one(core, call, offer, outcome, cause)


def withdraw_one(core, call, offer, outcome, cause=NORMAL, **more):
    """Take one offer back.  more: what else the record says."""
    name, leg = offer["agent"], core.state.legs.get(offer["leg"])
    core.emit("agent.offer_ended", call=call.id, leg=offer["leg"], agent=name, queue=call.queue, outcome=outcome, cause=cause, **more)
    leave_seat(core, name)
    if leg is not None:
        core.release_leg(leg, cause)
    core.touch_agent(name)


def free_agents(core, call, but=None):
    """The agents of a call have done with it: wrap-up after a queue's call, else idle.

    but: line whose agent stays.  Offers of a queue end by withdraw()."""
    done = [name for name in core.state.agents if core.state.agents[name].call == call.id]
    for name in sorted(done):
        agent = core.state.agents[name]
        if agent.state in (agents.TALKING, agents.OFFERED) and (but is None or core.line_of(name) != but):
            free_agent(core, call, name)


def wrap_up_s(core, name, queue):
    """After-call work of an agent after a call of a queue: the queue's setting, else the agent's."""
    seconds = (core.queue_configs.get(queue) or {}).get("wrap_up_s", -1)
    return (core.agent_configs.get(name) or {}).get("wrap_up_s", WRAP_UP_S) if seconds < 0 else seconds


def free_agent(core, call, name):
    """One agent has done with a call."""
    agent = core.state.agents[name]
    seconds = wrap_up_s(core, name, agent.queue)
    owes = agent.queue is not None and agent.state == agents.TALKING and core.owes(name, call.id)
    if agent.queue is not None and (seconds > 0 or owes):
        core.emit("agent.wrap_up", call=call.id, agent=name, queue=agent.queue, deadline_ms=core.now_ms + seconds * 1000 if seconds > 0 else None)
    else:
        idle(core, name, agent.queue, agent.state == agents.TALKING)


def idle(core, name, queue, reset):
    """An agent is idle, or has the other call that the telephone holds or that waits there; who logged out meanwhile leaves the place."""
    other = _other_leg(core, name)
    core.emit("agent.idle", agent=name, queue=queue, reset=reset)
    if other is not None:
        rings = other.role != legs.CALLER and other.state != legs.ANSWERED
        core.emit("agent.busy", call=other.call, leg=other.id, agent=name, state="offered" if rings else "talking")
    leave_seat(core, name)
    core.touch_agent(name)


def _other_leg(core, name):
    """What an agent's telephone is in besides the call that the agent has done with, or None."""
    agent = core.state.agent(name)
    for leg in core.state.line_legs.get(core.line_of(name)) or []:
        leg = core.state.legs[leg]
        if leg.call not in (agent.call, agent.wrapped) and leg.state != legs.RELEASING:
            return leg
    return None


def leave_seat(core, name):
    """Who is logged out and does nothing any more is at no line."""
    agent = core.state.agent(name)
    if agent.seat is not None and agent.status == agents.LOGGED_OUT and agent.state == agents.IDLE:
        core.emit("agent.unseated", agent=name)
