"""Decisions about a call: set-up, direct ringing, conversation, and every way to end.

Functions take the Core (core_base.py) and return True when the event meant
something.  The rules that run through all of them:

  - a leg is gone only at leg.released; until then release_leg() waits for it;
  - clear() is the one way to end a call, from any state; it takes apart what there is
    (queue place, offer, ringing, bridge, recording, agents), then releases every leg;
  - a caller who was answered hears something before the end that we decide: fail()
    gives busy tone for a defined time, close() a prompt;
  - the call ends (call.ended, hence exactly one CDR) with its last leg.

This module, core_ivr and core_queues call each other: what ends a call takes it out of its
queue, and a queue or a flow may end a call.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call.number_plan import MATCH, MORE
from firmware.call.routing import CAUSES
from firmware.control import core_ivr, core_queues
from firmware.control.core_base import (AGENT, BUSY, CALLER, NO_ANSWER, NORMAL, RECORDING_GUARD_MS, SUBSCRIBER_ABSENT, SWITCH,
                                        TEMPORARY_FAILURE)
from firmware.ivr import interpreter

# Invented: how long busy tone is heard before the release (Q.931 leaves it to the network).
BUSY_TONE_MS = 5000
# Invented: longest goodbye.
CLOSING_GUARD_MS = 60000
# Invented: how long a directly called telephone rings.
RING_MS = 60000


# Set-up.

def offered(core, event):
    """A far side wants a call."""
    state = core.state
    if event["leg"] in state.legs:
        return False
    line = event.get("line")
    agent = core.agent_on(line)
    line_was_free = line is None or line not in state.line_legs
    call_id = core.ids.next("c")
    core.emit("leg.offered", call=call_id, leg=event["leg"], agent=agent, tech=event["tech"], trunk_group=event.get("trunk_group"),
              span=event.get("span"), timeslot=event.get("timeslot"), caller=event.get("caller") or "",
              caller_presentation=event.get("caller_presentation") or "allowed", called=event.get("called") or "",
              called_complete=bool(event.get("called_complete")) or event["tech"] == "sip", redirecting=event.get("redirecting"),
              line=line, order=state.order + 1)
    call = state.calls[call_id]
    if not state.media_up:
        clear(core, call, TEMPORARY_FAILURE, SWITCH, "failed", "media is not there")
    elif not line_was_free:
        clear(core, call, BUSY, SWITCH, "busy", "the calling line is in another call")
    else:
        if agent is not None:
            core_queues.take_line(core, agent, call, "talking")
        if not _route(core, call):
            core.act("leg.need_more_digits", leg=call.caller_leg)
    return True


def digits(core, event):
    """More digits of the called number have come, or the inter-digit timer has run out."""
    call = call_of(core, event)
    if call is None or call.state != calls.COLLECTING or event["leg"] != call.caller_leg:
        return False
    called = event.get("called") or ""
    complete = bool(event.get("called_complete"))
    if called == call.called and complete == call.called_complete:
        return False
    core.emit("leg.digits", call=call.id, leg=call.caller_leg, called=called, called_complete=complete)
    _route(core, call)
    return True


def _route(core, call):
    """Find the application.  False: more digits are needed."""
    internal = core.state.legs[call.caller_leg].line is not None
    verdict, route = core.router.find(call.called, call.called_complete, internal)
    if verdict == MORE:
        return False
    if verdict != MATCH:
        clear(core, call, CAUSES[verdict], SWITCH, "rejected", "nothing answers the number %s" % call.called)
        return True
    application, target = route["application"], route["target"]
    flow = core.flows.get(target) if application == "ivr" else None
    languages = flow["languages"] if flow else core.site.get("languages") or ["en"]
    core.emit("call.routed", call=call.id, application=application, target=target, number=route["number"], label=route["label"],
              languages=languages)
    core.emit("leg.proceeding", call=call.id, leg=call.caller_leg)
    core.act("leg.proceeding", leg=call.caller_leg)
    if application == "ivr":
        answer(core, call)
        core_ivr.enter_flow(core, call, target, flow)
    elif application == "queue":
        answer(core, call)
        core_queues.enter(core, call, target, None)
    else:
        ring(core, call, application, target, None)
    return True


def answer(core, call):
    """Answer the caller, once; from here on the caller pays."""
    if core.state.legs[call.caller_leg].state in (legs.OFFERED, legs.PROCEEDING, legs.ALERTING):
        core.emit("leg.answered", call=call.id, leg=call.caller_leg, by="near", connects=False)
        core.act("leg.answer", leg=call.caller_leg)
        core.act("media.detect", leg=call.caller_leg, dtmf=True)


# What the caller hears has ended.

def signal_complete(core, event):
    """What we played to the caller has ended."""
    call = call_of(core, event)
    if call is None or call.signal is None or call.signal["token"] != event.get("token"):
        return False
    signal_ended(core, call, event.get("reason") or "done")
    return True


def signal_ended(core, call, reason):
    """The present signal is over: go on with what it was for."""
    purpose = call.signal["purpose"]
    core.emit("call.signal_ended", call=call.id, leg=call.caller_leg, token=call.signal["token"], reason=reason)
    if call.state == calls.CLOSING:
        if purpose == "goodbye":
            close_now(core, call)
    elif call.state == calls.IVR:
        flow = core_ivr.flow_of(core, call)
        if flow is None:
            fail(core, call, TEMPORARY_FAILURE, "the flow of the call is gone")
        else:
            core_ivr.step(core, call, interpreter.done(flow, call.position, reason == "error"), {"prompt": reason})
    elif call.state == calls.QUEUED:
        if purpose == "announcement":
            core_queues.music(core, call)
        elif purpose == "music":
            core.play(call, "ringback", [{"tone": "ringback"}], 0)      # the music is missing; silence would sound dead


# Direct ringing of an agent or a line.

def ring(core, call, kind, target, failed):
    """Call a telephone.  failed: node of the flow to go to if it does not answer."""
    line = target if kind == "line" else (core.agent_configs.get(target) or {}).get("line")
    if line is None or not core.is_registered(line):
        _not_reached(core, call, failed, SUBSCRIBER_ABSENT, "no_answer", "line %s is not registered" % line)
        return
    if line in core.state.line_legs:
        _not_reached(core, call, failed, BUSY, "busy", "line %s is busy" % line)
        return
    agent = core.agent_on(line)
    leg = core.ids.next("l")
    caller_name = call.label if call.label is not None and core.state.legs[call.caller_leg].line is None else ""
    core.emit("leg.created", call=call.id, leg=leg, agent=agent, role=legs.CALLEE, tech="sip", line=line,
              caller=shown_caller(call), caller_name=caller_name)
    if agent is not None:
        core_queues.take_line(core, agent, call, "offered")
    core.emit("call.ringing", call=call.id, leg=leg, agent=agent, deadline_ms=core.now_ms + RING_MS, failed=failed)
    core.act("leg.create", leg=leg, tech="sip", line=line, caller=shown_caller(call), caller_name=caller_name, call=call.id)
    if call.answered_ms is not None:
        core.play(call, "ringback", [{"tone": "ringback"}], 0)


def shown_caller(call):
    """The number that a telephone may show."""
    return call.caller if call.caller_presentation == "allowed" and call.caller else "anonymous"


def ring_timeout(core, call):
    """The called telephone rang long enough."""
    if call.target_leg is None:
        return False
    ring_failed(core, call, NO_ANSWER)
    return True


def ring_failed(core, call, cause):
    """The called telephone did not answer, refused, or is out of reach."""
    leg = core.state.legs.get(call.target_leg)
    outcome = "busy" if cause in (BUSY, 21) else "no_answer" if cause in (18, NO_ANSWER, SUBSCRIBER_ABSENT) else "failed"
    core.emit("call.ringing_ended", call=call.id, leg=call.target_leg, outcome=outcome, cause=cause)
    if leg is not None:
        core.release_leg(leg, NO_ANSWER)
    core_queues.free_agents(core, call, but=core.state.legs[call.caller_leg].line)
    _not_reached(core, call, call.failed, cause, outcome, "not answered")


def _not_reached(core, call, failed, cause, result, why):
    if core_ivr.jump(core, call, failed, result):
        return
    fail(core, call, cause, why, result)


# Conversation.

def alerting(core, event):
    """A telephone rings."""
    call = call_of(core, event)
    leg = core.state.legs.get(event["leg"])
    if call is None or leg.role == legs.CALLER or leg.state != legs.CREATED:
        return False
    core.emit("leg.alerting", call=call.id, leg=leg.id, agent=core.agent_on(leg.line))
    caller = core.state.legs.get(call.caller_leg)
    if leg.id == call.target_leg and caller is not None and caller.state == legs.PROCEEDING:
        core.emit("leg.alerting", call=call.id, leg=caller.id)
        core.act("leg.alerting", leg=caller.id)
    return True


def progress(core, event):
    """The far side says that something is going on; noted, nothing to decide."""
    call = call_of(core, event)
    if call is None or core.state.legs[event["leg"]].state not in (legs.CREATED, legs.ALERTING):
        return False
    core.emit("leg.progress", call=call.id, leg=event["leg"], inband=bool(event.get("inband")))
    return True


def answered(core, event):
    """A telephone that we called was answered."""
    call = call_of(core, event)
    leg = core.state.legs.get(event["leg"])
    if call is None or leg.role == legs.CALLER or leg.state == legs.ANSWERED:
        return False
    if leg.state == legs.RELEASING:
        core.act("leg.release", leg=leg.id, cause=leg.cause)      # crossed with our CANCEL: end it now
        return True
    agent = core.agent_on(leg.line)
    if call.offer is not None and call.offer["leg"] == leg.id:
        core.emit("leg.answered", call=call.id, leg=leg.id, agent=agent, by="far", connects=True)
        core_queues.connected(core, call)
    elif call.target_leg == leg.id:
        core.emit("leg.answered", call=call.id, leg=leg.id, agent=agent, by="far", connects=True)
        core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="answered", cause=None)
        answer(core, call)
        if agent is not None:
            core.emit("agent.busy", call=call.id, leg=leg.id, agent=agent, state="talking")
        connect(core, call, leg.id, agent)
    else:
        return False
    return True


def connect(core, call, leg, agent):
    """Join caller and agent (or called line), and record them."""
    core.silence(call)
    bridge = core.ids.next("b")
    core.emit("call.bridged", call=call.id, leg=leg, agent=agent, queue=call.queue, bridge=bridge, legs=[call.caller_leg, leg])
    core.act("media.bridge", bridge=bridge, legs=[call.caller_leg, leg])
    record(core, call)


def record(core, call):
    """Begin a recording of the two who talk, if the configuration wants it."""
    if not (core.config.get("recording") or {}).get("enabled", True):
        return
    recording = core.ids.next("r")
    path = core.recording_path(call.id, recording)
    core.emit("recording.started", call=call.id, agent=call.agent, recording=recording, path=path, left=call.caller_leg,
              right=call.agent_leg)
    core.act("media.record", recording=recording, path=path, left=call.caller_leg, right=call.agent_leg, call=call.id)


def held(core, event):
    """A party holds, or comes back."""
    call = call_of(core, event)
    leg = core.state.legs.get(event["leg"])
    holds = event["kind"] == "leg.held"
    if call is None or leg.held == holds or leg.state != legs.ANSWERED:
        return False
    core.emit(event["kind"], call=call.id, leg=leg.id, agent=core.agent_on(leg.line))
    return True


def rtp(core, event):
    """RTP of a leg stopped or came.

    A telephone may be silent for good reasons (hold, silence suppression), so this alone ends
    nothing; it does once the line's registration is gone too."""
    call = call_of(core, event)
    leg = core.state.legs.get(event["leg"])
    lost = event["kind"] == "media.rtp_timeout"
    if call is None or leg.rtp_lost == lost or leg.state != legs.ANSWERED:
        return False
    core.emit("leg.rtp_lost" if lost else "leg.rtp_back", call=call.id, leg=leg.id)
    if lost:
        telephone_gone(core, leg)
    return True


def telephone_gone(core, leg):
    """End a conversation with a telephone that neither sends nor is registered."""
    call = core.state.calls.get(leg.call)
    if (call is None or not leg.rtp_lost or leg.held or leg.line is None or core.is_registered(leg.line)
            or call.state != calls.TALKING):
        return
    if leg.id == call.caller_leg:
        clear(core, call, TEMPORARY_FAILURE, SWITCH, "answered", "the telephone is gone")
    else:
        fail(core, call, TEMPORARY_FAILURE, "the telephone is gone")


# The end.

def released(core, event):
    """A leg is gone."""
    leg = core.state.legs.get(event["leg"])
    if leg is None:
        return False
    call = core.state.calls.get(leg.call)
    agent = core.agent_on(leg.line)
    cause = event.get("cause") or NORMAL
    by = event.get("by") or "far"
    was_releasing = leg.state == legs.RELEASING
    core.emit("leg.released", call=leg.call, leg=leg.id, agent=agent, cause=cause, by=by, sip_status=event.get("sip_status"))
    if by == "failure" and not was_releasing:
        core.act("leg.release", leg=leg.id, cause=cause)    # whatever failed, its adapter shall not keep half a leg
    if call is not None:
        if leg.id == call.caller_leg:
            clear(core, call, cause, CALLER if by == "far" else SWITCH, result_of(call, CALLER if by == "far" else SWITCH))
        elif call.state == calls.CLEARING:
            pass
        elif call.offer is not None and call.offer["leg"] == leg.id:
            core_queues.offer_failed(core, call, cause)
        elif call.target_leg == leg.id:
            ring_failed(core, call, cause)
        elif call.agent_leg == leg.id and call.state == calls.TALKING:
            if by == "far":
                clear(core, call, NORMAL, AGENT, "answered")
            else:
                fail(core, call, cause, "the agent's leg failed", "answered")
        _end_if_done(core, call)
    core.act("media.subtract", leg=leg.id)
    if agent is not None:
        core.touch_agent(agent)
    return True


def result_of(call, by):
    """The CDR's result for a call that ends now."""
    if call.closing is not None:
        return call.closing["result"]
    if call.agent_answered_ms is not None:
        return "answered"
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
    if not items or not core.state.media_up or caller is None or caller.state != legs.ANSWERED:
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


def take_apart(core, call, left):
    """Leave queue, offer, ringing, bridge and recording.  left: reason of queue.left."""
    core_queues.leave(core, call, left)
    core_queues.withdraw(core, call, "cancelled")
    if call.target_leg is not None:
        core.emit("call.ringing_ended", call=call.id, leg=call.target_leg, outcome="cancelled", cause=None)
    if call.recording is not None and core.state.recordings[call.recording]["state"] == "open":
        stop_recording(core, call.recording)
    if call.bridge is not None:
        bridge = call.bridge
        core.emit("call.unbridged", call=call.id, agent=call.agent, bridge=bridge)
        core.act("media.bridge", bridge=bridge, legs=[])
    core_queues.free_agents(core, call)


def stop_recording(core, recording):
    """Have media close a recording; recording.closed follows."""
    core.emit("recording.stopping", call=core.state.recordings[recording]["call"], recording=recording,
              guard_ms=core.now_ms + RECORDING_GUARD_MS)
    core.act("media.record_stop", recording=recording)


def clear(core, call, cause, by, result, reason=None):
    """End a call from any state, once: take it apart and release every leg."""
    if call.state == calls.CLEARING:
        _end_if_done(core, call)
        return
    take_apart(core, call, "abandoned" if by == CALLER else "failed")
    if call.signal is not None:
        core.act("media.stop", leg=call.caller_leg)
    core.emit("call.clearing", call=call.id, agent=call.agent, queue=call.queue, cause=cause, released_by=by, result=result, reason=reason)
    for leg in list(call.legs):
        core.release_leg(core.state.legs[leg], cause)
    _end_if_done(core, call)


def _end_if_done(core, call):
    if call.state == calls.CLEARING and not call.legs and call.id in core.state.calls:
        core.emit("call.ended", call=call.id, agent=call.agent, queue=call.queue)


def call_of(core, event):
    """The call of an event's leg, or None."""
    leg = core.state.legs.get(event["leg"])
    return core.state.calls.get(leg.call) if leg is not None else None
