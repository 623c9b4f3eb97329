"""The switchboard: what the exchange decides, as one pure, event-sourced object.

Nothing here does I/O, reads a clock or draws a random number.  The control
process feeds events from the adapters (PRI, SIP, media, API), commits the
records that come out to the journal, and only then carries out the actions:

    sb = Switchboard(config, ids)            # config: plain data checked by firmware/config/schema.py
    for record in journal: sb.apply(record)  # after a restart: replay, nothing else
    sb.resume(audit, live_legs, now_ms)      # on EVERY start, the first one too
    accepted = sb.handle(event, now_ms)      # False: late, unknown or meaningless event, ignored
    sb.expire(now_ms)                        # when deadline_ms() has come
    records, actions = sb.take()             # commit records first, then act
    sb.deadline_ms()                         # wall-clock UTC ms, or None
    sb.snapshot(now_ms)                      # for the API
    sb.checkpoint(now_ms)                    # one record "core.checkpoint" holding the whole state
    sb.explain(digits, line, trunk_group, now_ms)    # what would become of a number; core_explain.explain
    sb.configure(config, now_ms)             # a new configuration; calls inside keep their IVR flow

`ids.next("c")` -> "c17": an id that never repeats, over restarts too.  Used for
calls "c", legs "l" (the ones that we create), bridges "b", recordings "r".

How it works: handle() reads the state and decides; each decision is emitted as
a record; apply(record) is the only code that changes state.  Live work and
replay run the same apply, so a replayed switchboard is equal to the one that
died, deadlines included (they are wall-clock ms inside the records).

Replay: all records in seq order from the last "core.checkpoint" on (that record
included), or from the first record if there is none.  Take a checkpoint after
resume and then, say, each 10,000 records: it bounds the replay.

Events (dict with "kind"; other keys are ignored)
  leg.offered  leg tech("pri"|"ss7"|"r2"|"cas"|"sip") trunk_group span timeslot caller caller_presentation("allowed"|
               "restricted"|"unavailable") caller_type called called_complete redirecting bearer line(SIP: the calling line)
               joins?|replaces?(a leg whose call it names, core_join.py) dial_tone?(a telephone at a channel bank wants to hear that it may dial)
  leg.digits   leg called(ALL digits so far) called_complete(true also when T302 has run out)
  leg.alerting leg inband? | leg.progress leg inband | leg.held leg | leg.retrieved leg
               inband: something is to be heard from that side (progress description 1 or 8)
  leg.away leg | leg.back leg          a browser's page is gone, and may come back; its sound is there again (core_absence.py)
  leg.network   leg verb("hold"|"retrieve"|"transfer") outcome("done"|"failed") why?     of the network's hold and transfer (EN 300 141, EN 300 369)
  leg.malicious leg outcome("registered"|"failed"|"told") why?        of MCID (EN 300 130)
  leg.wants_digits leg inband? | leg.accepted leg      the far end of a call out asks for more digits; it has enough
  leg.seized   leg span timeslot       an outgoing trunk leg has another channel than leg.create said
  leg.answered leg                     an outbound leg was answered (for inbound legs it is ignored)
  leg.released leg cause by("far"|"near"|"failure") sip_status?    the leg is gone; ALSO the answer to every
               leg.release action (an adapter must always send it; after 60 s without, the leg is written off)
  media.signal_complete leg token reason | media.digit leg digit("!": a hook flash)
  media.record_closed recording octets duration_ms | media.record_failed recording error
  media.audio leg direction("in": from the far end|"out": to it) missing reason | media.leg_quality leg call quality
  media.modem_tone leg tone on         tone as in media's event
  media.heard leg what("progress"|"answer"|"caller_id"|"r1"|"quiet": value as media's event; "refused": value{error})
  media.rtp_timeout leg | media.rtp_started leg | media.lost | media.back (audit?)
  recording.room                       recordings had failed, and the disk takes data again
  line.registered line | line.unregistered line
  ivr.answer call token ok result fax? of an ivr.ask; ok false: result is a sentence
  ivr.speech call token                the caller begins to speak to a service
  fax.page call token pages            the caller's fax machine has confirmed so many pages of a document
  stream.told stream what ...          of a stream by command (core_streams.py)
  leg.t38 leg state("on"|"off"|"refused") by("us"|"far") why      a SIP leg went over to T.38, back to sound, or its far end will not
  ivr.operate call token operation     what an AGI program wants (ivr/program.py)
  span.state span state alarms         span: number, or name of a SIP trunk
  figures.look counted?            each second: how the sums of the last minutes stand, {queue: {minutes: counts}}
  notice.mailed notice ok error? again_ms?     what became of a mail of the state's notices
  customer.found call customer source("own"|"lookup"|"none") others? key? error?     the answer of customer.ask
  agent.status, command.*, leg.transfer     what users and telephones ask for: core_commands.py

Actions (dict with "do"; all may be repeated, the adapters make them idempotent)
  leg.proceeding leg | leg.need_more_digits leg | leg.alerting leg inband waiting?(who is called talks, and is told) | leg.progress leg inband | leg.answer leg
               inband: the caller is to listen: the path is through, or we play ringing tone
  leg.digits leg digits complete       further digits of a call that was created with complete false (core_overlap.py)
  leg.fax leg tone on                  a SIP leg: a fax machine is heard in its call (tone), or the other leg is T.38 (tone "t38") from now on, or no longer
  leg.release leg cause                any leg: DISCONNECT, RELEASE_COMPLETE, CANCEL, BYE or an error response, as fits
  leg.create leg tech("sip") line caller caller_name call auto_answer?(the telephone may answer by itself) waiting?(it talks)
  leg.create leg tech("pri"|"ss7"|"r2"|"cas"|"sip": span is the name of a SIP trunk) line(None) trunk_group call span timeslot exclusive called{number type plan} caller{number type presentation}|None
             redirecting{number type presentation reason}|None bearer
  media.signal leg token items repeat  items: {"prompt": name, "language": l} {"number": n, "language": l}
                                       {"music": name} {"tone": name} {"silence_ms": n}; repeat 0: for ever
  media.stop leg                       whatever plays towards that leg
  media.detect leg dtmf modem?(tones of fax machines too)
  media.listen leg wishes | media.enhance leg effects       the whole of both: core_listening.py
  media.bridge bridge legs             legs []: remove the bridge
  media.topology bridge from to way | media.conference bridge loudest gain_db? muted?     as media's commands
  media.player leg token pause volume_db speed seek?{id ms}      of what plays; media.signal has start_ms volume_db speed too
  media.record recording path left right call format? channels?    path relative: recordings/2025/07/31/c17-r3.wav (site's day)
  media.record_stop recording | media.record_pause recording pause text | media.record_legs recording left right text
  lookup.ask call lookup caller called a question to a system of the house; the answer is lookup.answered call lookup agent error
  customer.ask call lookup caller called     who is it: our own list, and the question `lookup`; customer.found is due
  line.messages line new old           messages that wait for a line: its lamp
  ivr.ask leg call token ask request caller    a service is asked, or a program gets the call (ivr/requests.py); ivr.answer is due
  ivr.stream leg call stream on service right      a leg's audio to a service by command
  ivr.tell leg call token result       to the AGI program: what became of its operation
  media.subtract leg                   the leg is over; also for strays that an audit showed
Control adds the termination of a leg by itself: a trunk's at leg.offered, a SIP
leg's when it makes or gets the offer; it does so before it passes leg.offered on.
No media.* action is issued between media.lost and media.back.

Records: {"kind", "ts_ms", "call", "leg", "agent", "queue", "data"}; ids that do not
apply are None.  ts_ms is the now_ms of the decision: THE STORE MUST KEEP IT and
adds only "seq".  Kinds and their data: firmware/call/records.py, table KINDS.

resume(audit, live_legs, now_ms)
  audit      reply of media's audit command (terminations, bridges, signals, recordings), or None if
             media is not there (then a media.lost event must follow or have gone before)
  live_legs  {leg: {"state": "setup"|"alerting"|"answered"|"releasing"}} of the restored adapters;
             a list or set of leg ids will do ("state" only lets a lost leg.answer be repeated)

snapshot(now_ms) -> {"calls": [...], "queues": [...], "agents": [...], "lines": [...], "trunk_groups": [...],
                     "announcements": [...]: core_announcements.snapshot, "callbacks": [...]: core_callbacks.snapshot,
                     "mailboxes": [...]: core_mailboxes.snapshot}
  call   call state("collecting"|"announcing"|"ivr"|"queued"|"ringing"|"talking"|"parked"|"testing"|"home"|"closing"|"clearing") caller called redirecting
         trunk_group span timeslot application target dialled language node queue position waiting_since_ms agent offered_agent
         started_ms answered_ms agent_answered_ms recording(id or None) priority skills({skill: level} needed now) expected_wait_ms(from now on)
         held dead_air(since when nobody speaks, or None) caller_received(where caller_rules rewrote it) place(where it is parked) consult({leg state to target agent} or None) members([leg]) monitors([{leg mode agent line}])
         legs([{leg role tech state line trunk_group span timeslot audio_missing fax([tones heard]) t38("on"|"off"|"refused"|None) listens enhance heard{what: value}}])
  queue  name label waiting longest_wait_ms longest_since_ms agents agents_ready service_level(0..1 or None)
         service_level_s offered answered abandoned short_abandoned overflowed (today, site's day) strategy open
         expected_wait_ms(of who comes now; None: unknown) expected_error_ms(mean, today) agents_logged_in service_level_abandons("ignore"|"negative"|"positive": how service_level counts them)
  agent  name label line registered home(as of its line) status reason state("idle"|"offered"|"talking"|"wrap_up") since_ms call queues
         seat(the line at which the person has logged in, or None) missed(offers in a row) rests wrap_up_until_ms
  line   name registered agent call home({number mode state("calling"|"asking"|"up"|"down") call leg why} of an ordinary telephone, or None)
"""

from firmware.call import call as calls
from firmware.call.records import make
from firmware.control import (core_agents, core_announcements, core_callbacks, core_calls, core_campaigns, core_conference, core_desk, core_dispatch, core_documents, core_duty, core_emergency, core_ending, core_fax, core_faxes, core_features, core_flash, core_floor, core_home, core_ivr, core_join, core_listening, core_mailboxes, core_monitor, core_operations, core_outside, core_overlap, core_parties,
                              core_queues, core_recordings, core_recovery, core_streams, core_test_calls)
from firmware.control import core_absence, core_broadcasts, core_explain, core_warnings
from firmware.control.core_base import Core
from firmware.control.core_commands import COMMANDS
from firmware.control.core_snapshot import snapshot

# What an event must carry to be looked at.
NEEDS = {
    "leg.offered": ("leg", "tech"), "leg.digits": ("leg",), "leg.alerting": ("leg",), "leg.progress": ("leg",), "leg.malicious": ("leg", "outcome"), "leg.network": ("leg", "verb", "outcome"), "leg.wants_digits": ("leg",), "leg.accepted": ("leg",),
    "leg.seized": ("leg", "span", "timeslot"), "leg.answered": ("leg",), "leg.released": ("leg",), "leg.held": ("leg",), "leg.retrieved": ("leg",),
    "leg.away": ("leg",), "leg.back": ("leg",),
    "media.signal_complete": ("leg", "token"), "media.digit": ("leg", "digit"), "media.record_closed": ("recording",),
    "media.record_failed": ("recording",), "media.rtp_timeout": ("leg",), "media.rtp_started": ("leg",), "media.lost": (),
    "media.audio": ("leg", "direction", "missing", "reason"), "media.leg_quality": ("leg", "call", "quality"),
    "leg.t38": ("leg", "state", "by"),
    "media.modem_tone": ("leg", "tone", "on"), "media.heard": ("leg", "what", "value"),
    "media.modem_tone": ("leg", "tone", "on"), "message.mailed": ("message", "ok"), "lookup.answered": ("call", "lookup"),
    "figures.look": (), "notice.mailed": ("notice", "ok"), "customer.found": ("call", "source"), "media.back": (), "recording.room": (), "line.registered": ("line",), "line.unregistered": ("line",),
    "span.state": ("span", "state"), "ivr.speech": ("call", "token"), "fax.page": ("call", "token", "pages"), "stream.told": ("stream", "leg", "what", "value"), "ivr.answer": ("call", "token", "ok"), "ivr.operate": ("call", "token", "operation"),
}
for _kind in COMMANDS:
    NEEDS[_kind] = COMMANDS[_kind][0]

# Where a flow may send a call, by the interpreter's command; and what decides above the modules that call it.
WAYS_ON = {
    "recall": core_operations.recall, "complete": core_operations.complete, "rings_again": core_flash.hung_up, "named": core_join.named, "feature": core_features.dialled, "feature_begun": core_features.begun,
    "monitored": core_monitor.answered, "record": core_calls.record, "wire": core_parties.wire,
    "voicemail": lambda core, call, command: (core_calls.answer(core, call), core_mailboxes.enter(core, call, command["mailbox"])),
    "duty": lambda core, call, command: (core_calls.answer(core, call), core_duty.begin(core, call, command["duty"])),
    "duty_next": core_duty.step_on, "duty_asks": core_duty.asks,
    "conference": core_conference.from_flow,
    "test": core_test_calls.enter, "test_answered": core_test_calls.answered,
    "home_alerting": core_home.alerting, "home_answered": core_home.answered, "home_played": core_home.played, "home_clearing": core_home.clearing,
    "home_status": core_home.status,
    "outside": core_outside.from_flow, "callback": core_callbacks.from_flow,
    "callback_dial": core_callbacks.dial_caller, "callback_ended": core_callbacks.ended,
    "fax_wanted": core_faxes.from_flow, "fax_answered": core_faxes.answered, "fax_over": core_faxes.ended, "fax_look": core_faxes.look,
    "fax_attend": core_fax.attend, "ring_failed": core_calls.ring_failed, "alerting": core_calls.alerting, "taken": core_calls.taken, "undo_cut_through": core_outside.undo_cut_through,
    "hunt": core_outside.hunt, "sought": core_operations.sought, "caller_answered": core_callbacks.caller_answered, "progress": core_outside.progress,
    "queue": lambda core, call, command: core_queues.enter(core, call, command["queue"], command["overflow"], command.get("given")),
    "agent": lambda core, call, command: core_calls.ring(core, call, "agent", command["target"], command["failed"]),
    "line": lambda core, call, command: core_calls.ring(core, call, "line", command["target"], command["failed"]),
}


class Switchboard:
    """See the module's docstring.

    utc_offset_ms: function(utc_ms) -> offset of the site's time in ms; without it zones that have
    no summer time are known by name, others count as UTC.  Raises ConfigError."""

    def __init__(self, config, ids, utc_offset_ms=None):
        self.unusable = tuple   # function: {(span, timeslot)} that take no call though their span is up, which only their machines know (house.py)
        self.core = Core(config, ids, utc_offset_ms, WAYS_ON, lambda: self.unusable())
        self.ignored = {}       # event kind -> how many meant nothing
        self.refusal = None     # why the last event was refused, as a sentence, or None
        self.answer = None      # what the last command found out, a dict, or None

    def handle(self, event, now_ms):
        """Decide on one event.  Returns whether it meant something; never raises on what an event says."""
        kind = event.get("kind")
        needs = NEEDS.get(kind)
        core = self.core
        core.now_ms = now_ms
        if kind in COMMANDS:
            self.refusal = self.answer = core.refusal = core.answer = None
        accepted = False
        if needs is not None and None not in [event.get(key) for key in needs]:
            accepted = bool(_HANDLERS[kind](core, self._served(event)))
            _finish(core)
        if kind in COMMANDS:
            self.refusal, self.answer = None if accepted else core.refusal, core.answer
        if not accepted:
            self.ignored[kind] = self.ignored.get(kind, 0) + 1
        return accepted

    def _served(self, event):
        """What the telephone of a home agent hears counts for the caller's leg that it serves."""
        core = self.core
        if not core.state.serving or event["kind"] not in core_home.SERVED and event["kind"] != "media.signal_complete":
            return event
        call = core.call_of(event["leg"])
        row = core.state.homes.get(call.target) if call is not None and call.state == calls.HOME else None
        served = core.state.legs.get(row["serves"]) if row is not None and row["call"] == call.id else None
        own = call is not None and event["kind"] == "media.signal_complete" and call.signal is not None and call.signal["token"] == event.get("token")
        return event if own or served is None or served.state != "answered" else dict(event, leg=served.id)

    def expire(self, now_ms):
        """Act on all deadlines that are over."""
        core = self.core
        core.now_ms = now_ms
        while True:
            due = core.state.timers.due(now_ms)
            if due is None:
                return
            at_ms, kind, name = due
            _expired(core, kind, name)
            if core.state.timers.get(kind, name) == at_ms:
                core.emit("core.timer_dropped", timer=kind, name=name)
            _finish(core)

    def deadline_ms(self):
        """When expire() is wanted next, or None."""
        return self.core.state.timers.next_ms()

    def take(self):
        """Records and actions decided since the last time, in order."""
        records, actions = self.core.records, self.core.actions
        self.core.records, self.core.actions = [], []
        return records, actions

    def apply(self, record):
        """Take a record of the journal (replay)."""
        self.core.state.apply(record)
        if record["kind"] in ("agent.assigned", "core.checkpoint"):
            self.core.make_members()
        self.core.ready.mark_all()

    def resume(self, audit, live_legs, now_ms, guard=core_recovery.unguarded):
        """After the replay, at every start: heal what the restart has torn.  guard: core_recovery.resume."""
        self.core.now_ms = now_ms
        core_recovery.resume(self.core, audit, live_legs, guard)
        for what, function in (("queues that are gone", core_queues.leave_removed), ("lamps", core_mailboxes.show_all), ("who calls", core_desk.ask_again), ("documents to send", core_faxes.look),
                               ("waiting callers", _finish)):
            guard("healing: %s" % what, None, function, self.core)

    def configure(self, config, now_ms):
        """Take a new configuration.  Raises ConfigError and keeps the old one if it cannot route."""
        self.core.now_ms = now_ms
        self.core.configure(config)
        for name in self.core.agent_names:
            agent = self.core.state.agent(name)
            if not agent.status_known:
                self.core.emit("agent.status", agent=name, status=agent.status, reason=None, by="configuration")
        core_announcements.forget(self.core)
        core_agents.release_undone(self.core)
        core_mailboxes.show_all(self.core)
        core_queues.leave_removed(self.core)
        core_home.look(self.core)
        core_faxes.look(self.core)
        _finish(self.core)

    def checkpoint(self, now_ms):
        """Emit a record that holds the whole state: a replay may begin with it."""
        core = self.core
        core.now_ms = now_ms
        core.records.append(make("core.checkpoint", now_ms, data=self.whole(now_ms)))

    def whole(self, now_ms):
        """The data of a checkpoint as of now: copies, which later events leave as they are."""
        state = self.core.state
        state.last_ts_ms = now_ms           # as applying the record would; its data is what we already are
        return {"state": state.dump(), "cdrs": state.cdrs.dump(), "statistics": state.statistics.dump()}

    def snapshot(self, now_ms=None):
        """The view for the API; without now_ms as of the last record."""
        return snapshot(self.core, self.core.state.last_ts_ms if now_ms is None else now_ms)

    def explain(self, digits, line, trunk_group, now_ms, caller=None, out_of_service=()):
        """What would become of dialled digits at a moment, which need not be now: plain data, shape in core_explain.explain."""
        present_ms, self.core.now_ms = self.core.now_ms, now_ms
        try:
            return core_explain.explain(self.core, digits, line, trunk_group, caller, out_of_service)
        finally:
            self.core.now_ms = present_ms

    def may_join(self, line, watched):
        """Whether a line's telephones may name calls of a line in their INVITEs: their own, and those that core_join.py lets them come into."""
        return line == watched or core_join.may(self.core, line, watched)

    def dump(self):
        """The whole state as plain data, for comparison."""
        state = self.core.state
        return {"state": state.dump(), "cdrs": state.cdrs.dump(), "statistics": state.statistics.dump()}


def _finish(core):
    """The end of an event: home telephones do what was asked of them, and waiting callers are given to who is ready."""
    core_home.settle(core)
    core_campaigns.look(core)
    core_dispatch.dispatch(core)
    while core.home_due:
        core_home.settle(core)
        core_dispatch.dispatch(core)


def _expired(core, kind, name):
    """One deadline is over: name is a call, a leg (release), an agent (wrap_up) or a recording."""
    if kind == "release":
        leg = core.state.legs.get(name)
        if leg is not None:
            core_calls.released(core, {"leg": name, "cause": leg.cause, "by": "failure"})
    elif kind == "offer":
        if name in core.state.legs:
            core_dispatch.offer_timeout(core, core.state.legs[name])
    elif kind == "preempt":
        core_emergency.due(core, name)
    elif kind == "broadcast":
        core_broadcasts.expired(core, name)
    elif kind == "message":
        core_mailboxes.expired(core, name)
    elif kind == "callback":
        core_callbacks.timer(core, name)
    elif kind == "callback_end":
        core_callbacks.expired(core, name)
    elif kind == "fax":
        core_faxes.timer(core, name)
    elif kind == "campaign":
        core_campaigns.timer(core, name)
    elif kind == "wrap_up":
        core_agents.wrap_up_over(core, name)
    elif kind == "rest":
        core_agents.rested(core, name)
    elif kind == "recording":
        _close_recording(core, name, "recording.closed", {"octets": None, "duration_ms": None, "reason": "unconfirmed"})
    else:
        call = core.state.calls.get(name)
        if call is not None:
            _CALL_TIMERS[kind](core, call)


def _signal_lost(core, call):
    if call.signal is not None:
        core_calls.signal_ended(core, call, "lost")


_CALL_TIMERS = {"ivr": core_ivr.timeout, "signal": _signal_lost, "announce": core_queues.announce, "comfort": core_queues.comfort, "wait": core_queues.max_wait,
                "relax": core_queues.relax, "tier": core_queues.open_tier, "mailbox": core_mailboxes.timeout, "reserve": core_queues.unreserve, "overflow": core_queues.overflow_due,
                "ring": core_calls.ring_timeout, "closing": core_ending.close_now,
                "consult": core_operations.consult_timeout, "park": core_operations.park_timeout, "secret": core_features.timeout, "register": core_flash.timeout, "test": core_test_calls.timeout, "home": core_home.timeout}


def _close_recording(core, recording, kind, data):
    known = core.state.recordings.get(recording)
    if known is None:
        return False
    core.emit(kind, call=known["call"], recording=recording, **data)
    core_mailboxes.recording_closed(core, recording, data.get("duration_ms"))
    call = core.state.calls.get(known["call"])
    if call is not None and call.message == recording:
        core_ivr.recorded(core, call, recording, known["path"], data.get("duration_ms"), data.get("error"))
    return True


def _record_closed(core, event):
    return _close_recording(core, event["recording"], "recording.closed",
                            {"octets": event.get("octets"), "duration_ms": event.get("duration_ms"), "reason": "closed"})


def _record_failed(core, event):
    return _close_recording(core, event["recording"], "recording.failed", {"error": event.get("error")})


def _span_state(core, event):
    alarms = event.get("alarms") or []
    known = core.state.spans.get(event["span"])
    if known is not None and known["state"] == event["state"] and known["alarms"] == alarms:
        return False
    core.emit("span.state", span=event["span"], state=event["state"], alarms=alarms)
    if event["state"] == "up" and core.home_rows:
        core_home.look(core)
    return True


def _digit(core, event):
    if event["digit"] == core_flash.FLASH:
        return core_flash.flashed(core, event)
    call = core.call_of(event["leg"])
    if call is not None and core_flash.digit(core, call, event["leg"], event["digit"]):
        return True
    if call is not None and core_overlap.key(core, call, event["leg"], event["digit"]):
        return True
    if call is not None and call.secret is not None and event["leg"] == call.caller_leg:
        return core_features.digit(core, call, event["digit"])
    if call is not None and call.state == calls.HOME:
        return core_home.digit(core, call, event["digit"])
    if call is not None and core_duty.is_asked(core, call, event["leg"]):
        return core_duty.digit(core, call, core.state.legs[event["leg"]], event["digit"])
    if call is not None and call.state == calls.MAILBOX and event["leg"] == call.caller_leg:
        return core_mailboxes.digit(core, call, event["digit"])
    if call is not None and call.state == calls.QUEUED and event["leg"] == call.caller_leg:
        return core_callbacks.key(core, call, event["digit"])
    return core_ivr.digit(core, event)


_HANDLERS = {
    "leg.offered": core_calls.offered, "leg.digits": core_calls.digits, "leg.alerting": core_calls.alerting,
    "leg.malicious": core_outside.malicious_told, "leg.network": core_outside.network_told, "leg.wants_digits": core_overlap.wanted, "leg.accepted": core_overlap.accepted,
    "leg.progress": core_calls.progress, "leg.seized": core_outside.seized, "leg.answered": core_calls.answered, "leg.released": core_calls.released,
    "leg.held": core_calls.held, "leg.retrieved": core_calls.held, "media.signal_complete": lambda core, event: core_floor.over(core, event) or core_calls.signal_complete(core, event),
    "media.digit": _digit, "media.record_closed": _record_closed, "media.record_failed": _record_failed,
    "media.rtp_timeout": core_calls.rtp, "media.rtp_started": core_calls.rtp, "leg.away": core_absence.away, "leg.back": core_absence.back,
    "leg.t38": core_fax.switched,
    "media.modem_tone": core_fax.heard, "fax.page": core_documents.page, "media.heard": core_listening.heard,
    "media.modem_tone": core_fax.heard, "message.mailed": core_mailboxes.mailed, "lookup.answered": core_queues.looked_up,
    "media.audio": core_calls.audio, "media.leg_quality": core_calls.quality,
    "media.lost": lambda core, event: core_recovery.media_lost(core), "media.back": core_recovery.media_back,
    "line.registered": core_calls.line, "line.unregistered": core_calls.line,
    "figures.look": core_warnings.look, "notice.mailed": core_warnings.mailed, "customer.found": core_desk.found, "ivr.answer": core_ivr.answered, "ivr.operate": core_ivr.operated,
    "ivr.speech": core_ivr.spoken_to, "stream.told": core_streams.told,
    "span.state": _span_state, "recording.room": lambda core, event: core_recordings.room(core, core_calls.record),
}
for _kind in COMMANDS:
    _HANDLERS[_kind] = COMMANDS[_kind][1]
