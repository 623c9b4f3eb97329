"""Decisions about a call: set-up, direct ringing, conversation, and legs that are gone.

Functions take the Core (core_base.py) and return True when the event meant something.
Where the call goes from here: core_ivr.py, core_queues.py; how it ends: core_ending.py.
"""

from firmware.call import arriving, calendar
from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call.number_plan import MATCH, MORE
from firmware.call.routing import CAUSES
from firmware.control import core_absence, core_announcements, core_callbacks, core_desk, core_dispatch, core_emergency, core_ivr, core_listening, core_mailboxes, core_outside, core_overlap, core_parties, core_queues, core_recordings
from firmware.control.core_base import AGENT, BUSY, CALLEE, CALLER, NO_ANSWER, NORMAL, SUBSCRIBER_ABSENT, SWITCH, TEMPORARY_FAILURE
from firmware.control import core_ending
from firmware.control.core_ending import clear, close_now, end_if_done, fail, free_agents, result_of

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
    # A telephone that holds its call itself may make another one: to ask somebody, or to transfer (leg.transfer).
    line_was_free = False not in [state.legs[leg].held for leg in state.line_legs.get(line) or []]
    call_id = core.ids.next("c")
    group = core.group_rows.get(event.get("trunk_group")) if event["tech"] != "sip" else None
    caller, caller_type, received = arriving.caller_of((group or {}).get("caller_rules"), event.get("caller") or "", event.get("caller_type"))
    core.emit("leg.offered", call=call_id, leg=event["leg"], agent=agent, tech=event["tech"], trunk_group=event.get("trunk_group"),
              span=event.get("span"), timeslot=event.get("timeslot"), caller=caller,
              caller_presentation=event.get("caller_presentation") or "allowed", called=event.get("called") or "",
              called_complete=bool(event.get("called_complete")) or event["tech"] == "sip", redirecting=event.get("redirecting"),
              caller_type=caller_type, bearer=event.get("bearer"), line=line, order=state.order + 1, carried=event.get("carried"),
              **({"received": received} if received else {}))
    call = state.calls[call_id]
    if not state.media_up:
        clear(core, call, TEMPORARY_FAILURE, SWITCH, "failed", "media is not there")
    elif not line_was_free and not core_emergency.asked(core, line, None, call.called):
        clear(core, call, BUSY, SWITCH, "busy", "the calling line is in another call")
    else:
        if _is_blocked(core, call):
            return True
        if event.get("joins") or event.get("replaces"):
            core.ways_on["named"](core, call, event)
            return True
        if agent is not None and state.agent(agent).call is None and core.router.feature(call.called, line is not None) is None:
            core_queues.take_line(core, agent, call, "talking")
        if not _route(core, call):
            core.act("leg.need_more_digits", leg=call.caller_leg)
            if event.get("dial_tone") and not call.called:
                core.play(call, "dial", [{"tone": "dial"}], 0)
    return True


def _is_blocked(core, call, whole=False):
    """Refuse a caller of a list of blocked ones, unless the number is an emergency number, or may still become one.  Whether it was so.

    whole: the number is known by now."""
    leg = core.state.legs[call.caller_leg]
    row = calendar.blocks(core.screening, call.caller) if leg.line is None and call.caller_presentation == "allowed" else None
    if row is None or core_emergency.asked(core, None, leg.trunk_group, call.called):
        return False
    if not whole and not call.called_complete and core_emergency.may_become(core, leg.trunk_group, call.called):
        return False
    _refuse_blocked(core, call, row)
    return True


def _refuse_blocked(core, call, row):
    """A caller of a list of blocked ones: refused, or told and cleared."""
    core.emit("call.blocked", call=call.id, leg=call.caller_leg, list=row["name"])
    if not row.get("prompt"):
        clear(core, call, 21, SWITCH, "rejected", "the caller is on the list %s" % row["name"])
        return
    core.emit("leg.proceeding", call=call.id, leg=call.caller_leg)
    core.act("leg.proceeding", leg=call.caller_leg)
    answer(core, call)
    languages = core.site.get("languages") or ["en"]
    core_ending.close(core, call, NORMAL, [{"prompt": row["prompt"], "language": language} for language in languages], "rejected",
                      "the caller is on the list %s" % row["name"])


def digits(core, event):
    """More digits of the called number have come, or the inter-digit timer has run out."""
    call = core.call_of(event["leg"])
    collecting = call is not None and call.state == calls.COLLECTING
    if call is None or not (collecting or core_overlap.is_open(call)) or event["leg"] != call.caller_leg:
        return False
    called = event.get("called") or ""
    complete = bool(event.get("called_complete"))
    if called == call.called and complete == call.called_complete:
        return False
    if not collecting:
        return core_overlap.more(core, call, called, complete)
    core.silence(call)                      # dial tone, for who gets one
    core.emit("leg.digits", call=call.id, leg=call.caller_leg, called=called, called_complete=complete)
    if _is_blocked(core, call):
        return True
    if not _route(core, call) and core.state.legs[call.caller_leg].tech == "r2":
        core.act("leg.need_more_digits", leg=call.caller_leg)       # a compelled register asks for each digit (Q.440)
    return True


def _route(core, call):
    """Find the application.  False: more digits are needed."""
    leg = core.state.legs[call.caller_leg]
    internal = leg.line is not None
    if core_overlap.begin(core, call, core_outside.dial, core_outside.forbidden):
        return True
    feature = None if internal else core.ways_on["feature_begun"](core, call)
    verdict, route = (MATCH, feature) if feature is not None else core.found(call.called, call.called_complete, leg.line, leg.trunk_group)
    if verdict == MORE:
        return False
    if verdict != MATCH:
        clear(core, call, CAUSES[verdict], SWITCH, "rejected", "nothing answers the number %s" % call.called)
        return True
    if not call.called_complete and _is_blocked(core, call, True):
        return True
    why_not = core_outside.forbidden(core, call, route)
    if why_not is not None:
        core_outside.refuse(core, call, why_not)
        return True
    application, target = route["application"], route["target"]
    if call.is_data and (application != "outside" or not core_outside.carries_data(core, leg.trunk_group)):
        clear(core, call, core_outside.refused_bearer(core, leg), SWITCH, "rejected", "a data call came for %s" % application)
        return True
    flow = core.flows.get(target) if application == "ivr" else None
    languages = flow["languages"] if flow else core.site.get("languages") or ["en"]
    core.emit("call.routed", call=call.id, application=application, target=target, number=route["number"], label=route["label"],
              languages=languages)
    core.emit("leg.proceeding", call=call.id, leg=call.caller_leg)
    core.act("leg.proceeding", leg=call.caller_leg)
    notice = core_announcements.due(core, call, number=route["number"]) if route["number"] in core.number_rows else None
    if notice is not None:
        answer(core, call)
        core_announcements.begin(core, call, notice, {"number": call.called})
    else:
        follow(core, call, route)
    return True


def announced(core, call):
    """The announcement is over: the caller goes on, or has heard all there is."""
    to = call.announcing["to"]
    if call.announcing["then"] == "clear":
        clear(core, call, NORMAL, SWITCH, "self_service", "announcement %s is on" % call.announcing["name"])
    elif "queue" in to:
        core_queues.enter(core, call, to["queue"], to["overflow"], to["given"])
    else:
        verdict, route = core.router.find(to["number"], True, core.state.legs[call.caller_leg].line is not None)
        if verdict == MATCH:
            follow(core, call, route)
        else:
            fail(core, call, CAUSES[verdict], "nothing answers the number %s any more" % to["number"])


def follow(core, call, route):
    """The call goes where a route says.  route: of call/routing.py."""
    application, target = route["application"], route["target"]
    if application == "ivr":
        answer(core, call)
        core_ivr.enter_flow(core, call, target, core.flows[target])
    elif application == "queue":
        answer(core, call)
        core_queues.enter(core, call, target, None)
    elif application == "outside":
        core_outside.dial(core, call, route, None)
    elif application == "duty":
        answer(core, call)
        core.ways_on["duty"](core, call, {"duty": target})
    elif application == "mailbox":
        answer(core, call)
        core_mailboxes.enter(core, call, target)
    elif application == "test":
        answer(core, call)
        core.ways_on["test"](core, call, target)
    elif application == "feature":
        core.ways_on["feature"](core, call, route)
    else:
        ring(core, call, application, target, None)


def answer(core, call, connected=None):
    """Answer the caller, once; from here on the caller pays.  connected: {"number", "type", "presentation"} of who answered, or None."""
    if core.state.legs[call.caller_leg].state in (legs.OFFERED, legs.PROCEEDING, legs.ALERTING):
        core.emit("leg.answered", call=call.id, leg=call.caller_leg, by="near", connects=False)
        core.act("leg.answer", leg=call.caller_leg, **({} if connected is None else {"connected": connected}))
        core.listen(call)


# What the caller hears has ended.

def signal_complete(core, event):
    """What we played to the caller has ended."""
    call = core.call_of(event["leg"])
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
    elif call.state == calls.ANNOUNCING:
        announced(core, call)
    elif call.state == calls.MAILBOX:
        core_mailboxes.signal_ended(core, call)
    elif call.state == calls.HOME:
        core.ways_on["home_played"](core, call)
    elif call.state == calls.IVR:
        core_ivr.prompted(core, call, reason)
    elif call.state == calls.QUEUED:
        if purpose == "announcement":
            core_queues.music(core, call)
        elif purpose == "music":
            core.play(call, "ringback", [{"tone": "ringback"}], 0)      # the music is missing; silence would sound dead


# Direct ringing of an agent or a line.

def ring(core, call, kind, target, failed, ring_ms=RING_MS):
    """Call a telephone.  failed: node of the flow to go to if it does not answer."""
    line = target if kind == "line" else core.line_of(target)
    if line is None or not core.is_registered(line):
        not_taken(core, call, line, failed, SUBSCRIBER_ABSENT, "no_answer", "line %s is not registered" % line)
        return
    if not core.takes_call(line):
        not_taken(core, call, line, failed, BUSY, "busy", "line %s is busy" % line)
        return
    agent, waiting = core.agent_on(line), line in core.state.line_legs
    leg, tech = core.phone_leg(line)
    caller_name = call.shown_name()
    if not caller_name and call.label is not None and core.state.legs[call.caller_leg].line is None:
        caller_name = call.label
    core.emit("leg.created", call=call.id, leg=leg, agent=agent, role=legs.CALLEE, tech=tech, line=line,
              caller=call.shown_caller(), caller_name=caller_name)
    if agent is not None and not waiting:       # who talks, talks on
        core_queues.take_line(core, agent, call, "offered")
    core.emit("call.ringing", call=call.id, leg=leg, agent=agent, deadline_ms=core.now_ms + ring_ms, failed=failed)
    core.act("leg.create", leg=leg, tech=tech, line=line, caller=call.shown_caller(), caller_name=caller_name, call=call.id, **({"waiting": True} if waiting else {}))
    core_desk.pop(core, call, agent, leg)
    if call.answered_ms is not None:
        core.play(call, "ringback", [{"tone": "ringback"}], 0)


def not_taken(core, call, line, failed, cause, outcome, why):
    """A telephone of ours was not reached: where neither the flow nor who gave the call away says more, its mailbox takes the call."""
    mailbox = core_mailboxes.of_line(core, line) if failed is None and call.recall is None and call.duty is None else None
    if mailbox is None or core.state.legs[call.caller_leg].state == legs.RELEASING:
        core_ivr.not_reached(core, call, failed, cause, outcome, why)
    else:
        core.silence(call)
        answer(core, call)
        core_mailboxes.enter(core, call, mailbox)


def ring_timeout(core, call):
    """The called telephone rang long enough."""
    if call.target_leg is None:
        return False
    if call.screening is not None:
        core_listening.screened(core, call, "unsure")
    else:
        ring_failed(core, call, NO_ANSWER)
    return True


def ring_failed(core, call, cause, line=None):
    """The called telephone did not answer, refused, or is out of reach.  line: of a leg that is gone already."""
    leg = core.state.legs.get(call.target_leg)
    outcome = "busy" if cause in (BUSY, 21) else "no_answer" if cause in (18, NO_ANSWER, SUBSCRIBER_ABSENT) else "failed"
    line = leg.line if leg is not None else line
    core.emit("call.ringing_ended", call=call.id, leg=call.target_leg, outcome=outcome, cause=cause)
    if leg is not None:
        core.release_leg(leg, NO_ANSWER)
    free_agents(core, call, but=core.state.legs[call.caller_leg].line)
    core_outside.undo_cut_through(core, call)
    not_taken(core, call, line, call.failed, cause, outcome, "not answered")


# Conversation.

def alerting(core, event):
    """A telephone rings."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    if call is None or leg.role == legs.CALLER or leg.state != legs.CREATED:
        return False
    core.emit("leg.alerting", call=call.id, leg=leg.id, agent=core.agent_on(leg.line))
    core_listening.before_answer(core, call, leg)
    if call.application == "home":
        core.ways_on["home_alerting"](core, call)
    core_outside.alert_caller(core, call, leg, bool(event.get("inband")))
    return True


def progress(core, event):
    """The far side says that something is going on; where it can be heard, the caller shall hear it."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    if call is None or leg.role == legs.CALLER or leg.state not in (legs.CREATED, legs.ALERTING):
        return False
    core.emit("leg.progress", call=call.id, leg=leg.id, inband=bool(event.get("inband")))
    if event.get("inband") and leg.span is not None:
        core_outside.progress(core, call, leg)
        core_listening.before_answer(core, call, leg)
    return True


def answered(core, event):
    """A telephone that we called was answered."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    if call is None or leg.role == legs.CALLER or leg.state == legs.ANSWERED:
        return False
    if leg.state == legs.RELEASING:
        core.act("leg.release", leg=leg.id, cause=leg.cause)      # crossed with our CANCEL: end it now
        return True
    agent = core.agent_on(leg.line)
    core_overlap.over(core, call, leg)
    if core.is_absent(call) and call.application == "test":
        core.ways_on["test_answered"](core, call, leg)
    elif core.is_absent(call) and call.application == "home":
        core.ways_on["home_answered"](core, call, leg)
    elif core.is_absent(call) and call.application == "fax":
        core.ways_on["fax_answered"](core, call, leg)
    elif core.is_absent(call) and leg.id == call.target_leg:
        if core_listening.group_screens(core, leg):
            core.emit("leg.answered", call=call.id, leg=leg.id, by="far", connects=False)
        if not core_listening.screens(core, call, leg):
            core_callbacks.caller_answered(core, call, leg)
    elif core.is_absent(call) and call.offer_at(leg.id) is not None:
        core.emit("leg.answered", call=call.id, leg=leg.id, agent=agent, by="far", connects=False)
        core_callbacks.agent_answered(core, call, leg)
    elif call.offer_at(leg.id) is not None:
        core.emit("leg.answered", call=call.id, leg=leg.id, agent=agent, by="far", connects=True)
        connect(core, call, leg.id, core_dispatch.connected(core, call, leg.id))
    elif call.target_leg == leg.id and call.duty is not None:
        core.emit("leg.answered", call=call.id, leg=leg.id, agent=agent, by="far", connects=False)
        if not core.ways_on["duty_asks"](core, call, leg):
            taken(core, call, leg)
    elif call.target_leg == leg.id:
        screens = core_listening.group_screens(core, leg)
        told = {"connected": event["connected"]} if event.get("connected") else {}
        core.emit("leg.answered", call=call.id, leg=leg.id, agent=agent, by="far", connects=not screens, **told)
        if not core_listening.screens(core, call, leg):
            taken(core, call, leg)
    elif call.consult is not None and call.consult["leg"] == leg.id:
        core_parties.consulted(core, call, leg)
    elif leg.role == legs.MONITOR:
        core.ways_on["monitored"](core, call, leg)
    else:
        return False
    return True


def taken(core, call, leg):
    """The called party has the call: they talk."""
    agent = core.agent_on(leg.line)
    core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="answered", cause=None)
    answer(core, call, core_outside.connected(core, call, leg))
    if agent is not None and core.state.agent(agent).call in (None, call.id):       # else it has waited, and the call before, held by the telephone, is the agent's
        core.emit("agent.busy", call=call.id, leg=leg.id, agent=agent, state="talking")
    connect(core, call, leg.id, agent if leg.line is not None else core.agent_on(core.state.legs[call.caller_leg].line))


def connect(core, call, leg, agent):
    """Join caller and agent (or called line), and record them."""
    core.silence(call)
    bridge = call.bridge or core.ids.next("b")      # they hear each other already where the path was cut through
    core.emit("call.bridged", call=call.id, leg=leg, agent=agent, queue=call.queue, bridge=bridge, legs=[call.caller_leg, leg])
    core_parties.wire(core, call)
    core.ways_on["fax_attend"](core, call)
    if call.callback is not None:
        core_callbacks.reached(core, call)
    record(core, call)


def record(core, call):
    """Record the two who talk, if the configuration or a person wants it: in a new file, or on in the one that stands."""
    setting, wished = core.config.get("recording") or {}, call.recorded_as
    if call.is_data or wished == "off" or wished is None and not setting.get("enabled", True):
        return
    left, right = call.caller_leg, call.agent_leg
    if call.recording is not None and core.state.recordings[call.recording]["state"] == "open":
        core_recordings.segment(core, call, left, right)
        return
    recording = core.ids.next("r")
    form = {name: value for name, value in (wished or {"format": setting.get("format", "alaw"), "channels": setting.get("channels", "stereo")}).items()
            if value != core_recordings.USUAL[name]}
    path = core.recording_path(call.id, recording, ".vox" if form.get("format") == "vox" else ".wav")
    core.emit("recording.started", call=call.id, agent=call.agent, recording=recording, path=path, left=left, right=right, **form)
    core.act("media.record", recording=recording, path=path, left=left, right=right, call=call.id, **form)


def held(core, event):
    """A party holds, or comes back."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    holds = event["kind"] == "leg.held"
    if call is None or leg.held == holds or leg.state != legs.ANSWERED:
        return False
    core.emit(event["kind"], call=call.id, leg=leg.id, agent=core.agent_on(leg.line))
    return True


def rtp(core, event):
    """RTP of a leg stopped or came.

    A telephone may be silent for good reasons (hold, silence suppression) and a network may be back in a minute, so this ends
    nothing; whose telephone gives no sign of life any more is the adapter's to say (links/sip_probe.py)."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    lost = event["kind"] == "media.rtp_timeout"
    if call is None or leg.rtp_lost == lost or leg.state != legs.ANSWERED:
        return False
    core.emit("leg.rtp_lost" if lost else "leg.rtp_back", call=call.id, leg=leg.id)
    return True


def audio(core, event):
    """One direction of a leg's sound is missing, or is back.  Held legs are silent by right."""
    call = core.call_of(event["leg"])
    leg = core.state.legs.get(event["leg"])
    direction, missing = event["direction"], event["missing"]
    if (call is None or leg.state != legs.ANSWERED or (missing and leg.held) or direction not in ("in", "out")
            or missing == (direction in (leg.missing or []))):
        return False
    core.emit("leg.audio_missing" if missing else "leg.audio_back", call=call.id, leg=leg.id, agent=core.agent_on(leg.line),
              direction=direction, line=leg.line, **({"reason": event["reason"]} if missing else {}))
    return True


def quality(core, event):
    """Media's last word on a leg; its call may have ended already."""
    if event["call"] is None:
        return False
    core.emit("leg.quality", call=event["call"], leg=event["leg"], quality=event["quality"])
    return True


def line(core, event):
    """A telephone has come or gone."""
    name = event["line"]
    here = event["kind"] == "line.registered"
    if core.is_registered(name) == here:
        return False
    agent = core.agent_on(name)
    core.emit(event["kind"], agent=agent, line=name)
    if agent is not None:
        core.touch_agent(agent)
    return True


# The end of a leg.

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
    core_outside.unanswered(core, leg)
    core.emit("leg.released", call=leg.call, leg=leg.id, agent=agent, cause=cause, by=by, sip_status=event.get("sip_status"))
    if by == "failure" and not was_releasing:
        core.act("leg.release", leg=leg.id, cause=cause)    # whatever failed, its adapter shall not keep half a leg
    if call is not None:
        if core_parties.left(core, call, leg, cause, by):
            pass
        elif leg.id == call.caller_leg:
            clear(core, call, cause, CALLER if by == "far" else SWITCH, result_of(call, CALLER if by == "far" else SWITCH))
        elif call.state == calls.CLEARING:
            pass
        elif call.offer_at(leg.id) is not None:
            core_dispatch.offer_failed(core, call, call.offer_at(leg.id), cause, bool(event.get("short")))
        elif call.target_leg == leg.id:
            if not core_outside.hunt_on(core, call, leg, cause, by):
                ring_failed(core, call, cause, leg.line)
        elif call.agent_leg == leg.id and call.state == calls.TALKING:
            if by != "failure" and core_parties.end_of_talk(core, call, cause):
                pass
            elif by == "far" and core.ways_on["rings_again"](core, call, leg):
                pass
            elif by == "far" and call.after is not None:
                core_ivr.after_talk(core, call, leg)
            elif by == "far" and leg.span is not None:
                clear(core, call, cause, CALLEE, "answered")
            elif by == "far":
                clear(core, call, NORMAL, AGENT, "answered")
            elif not core_absence.lost(core, call, leg):
                fail(core, call, cause, "the called leg failed", "answered")
        end_if_done(core, call)
    core.act("media.subtract", leg=leg.id)
    core_emergency.freed(core, leg)
    if agent is not None:
        core.touch_agent(agent)
    return True
