"""Journal records of calls, and the CDR computed from them.

A record is one state change: {"kind", "ts_ms", "call", "leg", "agent", "queue",
"data"}; the store adds "seq".  Records are the only truth: state, CDRs and
figures are folds over them, so replaying the journal gives them back unchanged.

CDRProjection folds records into call detail records.  Feed it every record in
order; it returns the finished CDR at the record that ends a call, else None.  A
"core.checkpoint" record carries the open CDRs too, so a replay may begin there.

CDR: {call, started_ms, answered_ms, ended_ms, caller, caller_presentation, called, redirecting,
trunk_group, span, timeslot, line, application, queue, queue_entered_ms, wait_ms, agent,
agent_answered_ms, talk_ms, cause, released_by("caller"|"agent"|"callee"|"switch"), language,
recording:[ids], result, dialled, out_trunk_group, out_span, out_timeslot, out_attempts,
quality:{leg: how its RTP went, media/client.py}, charged?:{leg: units of metering pulses that came}, connected?:{number, type, presentation}
of who answered a call to the outside (COLP, as the far end said it), audio_missing:[{leg, direction, reason, at_ms}], transfers, agents,
fax?:[{document, ok, pages, why, rate?, ecm?, station?}], t38?:[{leg, state, by, why, at_ms}] of SIP legs (what became of the pages: quality[leg].t38)};
times UTC ms or None.  ended_ms is the moment the
caller's leg began to be released, which is what a carrier bills to.  The out_ fields are those of the leg to the
outside (the last one tried), dialled the number that it sent, agent_answered_ms also its answer.
agent: the last one; agents: all who talked with the caller, in order; transfers: how often the call was given on;
talk_ms: the sum of all its conversations.  ended_ms of a caller who left a conference that went on: that moment.
result: answered (an agent or line spoke with the caller), abandoned (the caller
left while waiting or ringing), overflow (longest wait passed), self_service (ended
inside the IVR), voicemail, callback (left for one, or the waiting place of one that was given up), busy, no_answer, rejected (number unknown or incomplete), failed.
The quality of a leg is told after its end, so often after the call's: a finished CDR is then
amended, by late_quality().  The CDR is what GET /v1/calls gives.
"""

KINDS = {
    # legs
    "leg.offered": "tech trunk_group span timeslot caller caller_presentation caller_type called called_complete redirecting bearer line "
                   "agent? order carried?(carriage.py) received?{number type}(the caller as it came, where caller_rules rewrote it)",
    "leg.digits": "called called_complete",
    "leg.created": "role(agent|callee) tech line caller caller_name; to the outside: trunk_group span timeslot called{number type plan} cls?(of the route)",
    "leg.seized": "span timeslot(another channel than was asked for)",
    "leg.proceeding": "",
    "leg.alerting": "inband?(to the caller: something is to be heard)",
    "leg.progress": "inband",
    "leg.answered": "by(near: we answered the caller|far) connects(true: conversation begins) connected?{number type presentation}(who answered)",
    "leg.network": "verb(hold|retrieve|transfer: at the network, EN 300 141 and EN 300 369) outcome(asked|done|failed) why? by?",
    "leg.malicious": "outcome(asked|registered|failed: MCID of EN 300 130 at the network; told: the far end says it of its caller) why? by?",
    "leg.held": "",
    "leg.retrieved": "",
    "leg.moved": "from(the call that it was in) role",
    "leg.rtp_lost": "",
    "leg.rtp_back": "",
    "leg.away": "holds(true: the other party hears music because of it)",
    "leg.back": "",
    "leg.audio_missing": "direction(in: from the far side|out: to it) line reason(nothing|foreign|type|sent|silent|unheard|refused)",
    "leg.audio_back": "direction line",
    "leg.fax_heard": "tone(cng: a calling fax machine|calling|ans|ansam: a modem, or a machine that answers|flags: T.30 signals) to(number of ours "
                     "to which the call goes for it, or None)",
    "leg.t38": "state(on: the leg carries a fax as packets|off: sound again|refused: the fax goes on as sound) by(us|far: who asked) why(sentence or None)",
    "fax.started": "token document role(calls|answers|receives: who we are by T.30; receives: the document comes)",
    "fax.page": "token pages(that the other machine has confirmed so far)",
    "fax.ended": "token ok why(sentence where not ok) pages rate(bit/s) ecm station(who the other machine says it is); None: no machine spoke",
    "leg.listening": "wishes{modem progress answer caller_id r1 quiet}(what is listened for, beside digits, from now on)",
    "leg.enhanced": "effects{echo long_tail noise level vad}(what works on its sound by command, from now on)",
    "leg.streaming": "stream service other(leg on its second channel) on(its audio goes to a speech service by command, from now on, or no longer)",
    "leg.streamed": "stream what(opened|interrupted|failed|speech|text|message|ended) value{text confidence}|{error}|{message}",
    "leg.sent": "item(what was played to it by command)",
    "leg.heard": "what(progress|answer|caller_id|r1|quiet|refused|charge|operator) value{tone on}|{who ms hz words}|{fields}|{error}|{signal}|"
                 "{quiet ms}(nobody speaks there, for so long; or again)|{units last}(metering pulses so far)|{count}",
    "leg.quality": "quality{in out round_trip_ms rtcp codec} (after leg.released; the call may have ended)",
    "leg.releasing": "cause guard_ms",
    "leg.released": "cause by sip_status",
    # calls
    "call.routed": "application target number label languages",
    "call.signal": "token purpose items repeat deadline_ms(None: plays for ever)",
    "call.signal_ended": "token reason",
    "call.dialling": "digits route cls ways[{trunk_group number type plan}] limit failed ring_ms overlap?(true: digits follow) span?(this one alone)",
    "call.more_digits": "digits(all that were dialled) suffix(the new ones, sent on) complete(no more will come)",
    "call.dialled": "(the far end has all the digits that it wants)",
    "call.hunted": "way(index of the next) cause trunk([span, timeslot] that failed, timeslot None: the whole span; None: none was free) locked?(an emergency call begins anew, with circuits that are out of service)",
    "call.preempting": "victim(the call that loses its circuit to this emergency call) of(its leg) way trunk[span, timeslot](kept for this call) count deadline_ms",
    "call.seeking": "victim of(its leg) trunk[span, timeslot](kept for this call) group target(an emergency number that the agent consults) join count late deadline_ms",
    "call.sought": "outcome(freed|late|given_up)",
    "call.preempted": "outcome(freed|late: the circuit was not given back in time)",
    "call.cut_through": "bridge legs(the caller hears the called side before the answer)",
    "call.ringing": "leg deadline_ms failed(node or None)",
    "call.ringing_ended": "outcome cause",
    "call.screening": "deadline_ms(the called leg was answered; by whom is not known yet)",
    "call.screened": "who(person|machine|silence|unsure) connects",
    "call.bridged": "bridge legs",
    "call.unbridged": "bridge",
    "call.dead_air": "legs ms(nobody of those who talk has spoken for so long)",
    "call.dead_air_over": "",
    # what is done with calls that are up
    "call.held": "by(agent; the caller hears music)",
    "call.retrieved": "",
    "call.consulting": "to target bridge join deadline_ms (leg: of the party who is asked)",
    "call.consulted": "(it has answered)",
    "call.changed_over": "waits(true: leg, who was asked, waits with music, and the agent talks with the caller; false: the other way round)",
    "call.register": "step(dialling|refused|key, after a hook flash of leg; None: over) input(dialled so far) deadline_ms why?(refused)",
    "call.consult_ended": "outcome(answered|dropped|no_answer|busy|failed|left|transferred|joined) cause",
    "call.joined": "(leg is a further party of the conversation)",
    "call.parted": "",
    "call.turned": "caller_leg agent_leg why caller? gone?(the caller who began the call has left it)",
    "call.detached": "by recall(agent who gets the call back, or None) why(transfer|park|take_over|hook: hung up while somebody waits|lost: the telephone failed)",
    "call.transferred": "by to(agent|line|queue|flow|outside|call) target carried?",
    "call.parked": "place deadline_ms",
    "call.room": "room (of a flow; waits there for others)",
    "call.unparked": "outcome(fetched|recalled|ended)",
    "call.monitoring": "mode(listen|whisper|barge) by level_db?(of the supervisor's voice)",
    "call.monitor_ended": "",
    "call.secret": "tries deadline_ms (digits are asked for that are written nowhere)",
    "call.feature": "code action argument done(true|false) why",
    "call.announcing": "name then(go_on|clear) to{number} or {queue overflow given}(where the call goes on)",
    "call.announced": "name(heard while waiting)",
    "call.closing": "cause released_by result deadline_ms",
    "call.clearing": "cause released_by result reason",
    "call.ended": "",
    # IVR
    "flow.loaded": "flow key definition (once for each version that a call uses) used(keys that are wanted though no call has them yet)",
    "ivr.entered": "flow key keys{flow: key}(all that it leads into)",
    "ivr.moved": "position(what differs from a bare one) input deadline_ms(None: waits for the prompt) set?{variable: value} unset?[variables]",
    "ivr.left": "node outcome after?(node at which the caller goes on when the agent has hung up)",
    "ivr.asked": "token ask(http|sql|agi|cti|recognize|speak|fax) service data?(for a program on the CTI link)",
    "ivr.told": "token result(of what a program on the CTI link wanted)",
    "ivr.survey": "survey question answer",
    "ivr.recording": "recording(the caller's words)",
    # ACD
    "queue.entered": "priority order overflow max_wait_until_ms announce_at_ms service_level_ms short_abandon_ms overflow_at_ms "
                     "since_ms(the wait that counts; ts_ms unless another queue gave the call on) skills relax[[at_ms, less]] given{priority? skills?} "
                     "callback?(id: no further caller) talked_ms?(back from agents whose telephones failed, with whom the caller has talked so long: no further caller) comfort?[[at_ms, prompt, every_ms]] tiers?[[at_ms, level]](levels of agents that are asked from then on) "
                     "expected_ms?(the wait expected) load?(what was before the caller: acd/expected.py; both only where nobody was ready) reserved?[agent, until_ms](until then this agent alone is asked; "": nobody, while looks_up? is asked)",
    "queue.relaxed": "skills(needed from now on) relax(still to come)",
    "queue.tiers": "tiers(still to come)",
    "queue.owner": "owner(None: nobody known) lookup error unknown(a name that is no agent of the queue) reserved",
    "queue.unreserved": "(anybody may take the call)",
    "queue.overflow_at": "at_ms(when to look again: no target took the caller)",
    "queue.announced": "position minutes(None: not told) announce_at_ms",
    "queue.comforted": "prompt(None: something else is being said) comfort(still to come)",
    "queue.overdue": "(the longest wait passed while an agent's phone rang; that phone rings on)",
    "queue.left": "reason(answered|abandoned|overflow|failed|callback) wait_ms(in this queue) total_ms(over all queues) to{queue|flow|number: name}? when?",
    "queue.refused": "reason(closed|full|waiting|longest_wait|expected_wait|no_agents|loop) to{queue|flow: name}?",
    "call.blocked": "list(of callers)",
    # persons on duty (control/core_duty.py)
    "duty.begun": "duty",
    "duty.step": "duty tried(how many) to target",
    "duty.asked": "duty deadline_ms (leg: of who shall press the key)",
    "duty.ended": "duty outcome(taken|nobody)",
    # voicemail (control/core_mailboxes.py)
    "mailbox.entered": "mailbox mode(leave|listen)",
    "mailbox.moved": "step deadline_ms recording? path? tries? index? list?",
    "mailbox.greeting": "mailbox path(that the owner recorded)",
    "mailbox.code": "mailbox right(the code that a caller gave)",
    "message.begun": "message mailbox recording path caller called",
    "message.dropped": "mailbox recording(the caller begins anew)",
    "message.left": "message mailbox duration_ms(None: unknown) mail(is to be sent) delete_at_ms",
    "message.state": "message mailbox state(new|read) by",
    "message.deleted": "message mailbox recording path reason by",
    "message.mailed": "message mailbox ok error again_ms(None: not again) to?(recipients whom the server took)",
    # callbacks (control/core_callbacks.py)
    "callback.asked": "callback number by(key|entered|api|campaign) campaign?[name, row] first? attempts? priority since_ms order skills given called language languages due_ms(None: now) note "
                      "expires_ms",
    "callback.refused": "why",
    "callback.waits": "callback order caller caller_presentation called languages look_at_ms campaign? (call: begins; leg: of nobody)",
    "callback.looked": "callback look_at_ms",
    "callback.dialled": "callback first(agent: leg is the agent's, who hears it ring|caller)",
    "callback.joined": "callback (leg: the caller's, who is there)",
    "callback.failed": "callback attempts cause due_ms",
    "callback.ended": "callback number outcome(reached|exhausted|expired|cancelled|removed|forbidden; of a campaign: paused|later|not_called|do_not_call) campaign?",
    # campaigns (control/core_campaigns.py); each number that is called is a callback
    "campaign.loaded": "campaign mode(progressive|preview) rows[[number, note]] by", "campaign.moved": "campaign state(running|paused|stopped|done) by",
    "campaign.passed": "campaign row outcome(do_not_call|forbidden) why", "campaign.removed": "campaign by",
    # documents sent to numbers (control/core_faxes.py); what the machines did: fax.started, fax.page, fax.ended above
    "fax.asked": "fax document number station header by note order due_ms expires_ms (call: in which a caller asked, or None)",
    "fax.dialled": "fax order number languages (call: begins; leg: of nobody)",
    "fax.joined": "fax (leg: of who answered)",
    "fax.failed": "fax attempts why cause due_ms(when it is tried again)",
    "fax.finished": "fax document number outcome(sent|exhausted|expired|cancelled|forbidden) why(None: sent)",
    # test calls (control/core_test_calls.py)
    "test.begun": "order number span (call: begins; leg: of nobody)",
    "test.joined": "way(out|in) sound(milliwatt_1004|milliwatt_1020|loop: what the caller of ours hears; None: out) deadline_ms (leg: that is tested)",
    # home agents' telephones (control/core_home.py)
    "home.called": "order line number serves(leg that waits for it; None: the leg stays up) languages (call: begins; leg: of nobody)",
    "home.joined": "line asks(none|key|pin) deadline_ms (leg: the person's)", "home.asked": "line tries deadline_ms(a wrong code)",
    "home.up": "line (it is the person)", "home.serves": "line (leg: of a caller's call)", "home.freed": "line", "home.down": "line why cause",
    "home.removed": "line", "home.refused": "line why",
    "announcement.switched": "name on by",
    "agent.status": "status reason by(agent|supervisor|switch|configuration) locked?(only a supervisor may change it)",
    "agent.assigned": "queues[{queue level weight}](None: the configured ones) by",
    "agent.seated": "line(where the person has logged in)",
    "agent.unseated": "",
    "agent.offered": "deadline_ms",
    "agent.offer_ended": "outcome(no_answer|rejected|failed|cancelled|withdrawn|interrupted|elsewhere) cause missed?(in a row) rest_until_ms?",
    "agent.rested": "",
    "agent.busy": "state(offered|talking: with a call that is not from a queue)",
    "agent.connected": "remember?(true: the caller shall come to this agent again) again?(true: the queue has answered this caller before, whose agent's telephone failed) customer?[day, caller] share?[at, pass](acd/strategy.py)",
    "agent.wrap_up": "deadline_ms",
    "agent.wrap_up_extended": "deadline_ms",
    "agent.idle": "reset(true: counts as newly idle)",
    "line.registered": "line",
    "line.unregistered": "line",
    # recordings
    "recording.started": "recording path left right format? channels?(where they are not alaw and stereo)",
    "recording.wished": "as(off|{format channels}: what a person asked for, for the rest of the call) by",
    "recording.paused": "recording by", "recording.resumed": "recording by",
    "recording.segment": "recording left right(other legs in the same file from now on; None: nobody for the time being)",
    "recording.stopping": "recording guard_ms",
    "recording.closed": "recording octets duration_ms reason(closed|media_lost|unconfirmed|not_found)",
    "recording.failed": "recording error",
    # what people play into calls, conferences
    "play.started": "token what items repeat start_ms volume_db speed by",
    "play.changed": "token paused volume_db speed seek_ms by",
    "play.ended": "token reason(done|stopped|replaced|error|lost) position_ms error",
    "conference.set": "loudest gain_db{leg: dB} muted[legs] by",
    "conference.tones": "tones(whether tones tell who comes and goes) by",
    # the desk (control/core_desk.py): persons by keys only, texts in storage/desk.py
    "call.customer_asked": "lookup(None: our own list only)",
    "call.customer": "customer(key, None: nobody known) others(how many more have the number) source(own|lookup|none) key?(of the text that the lookup "
                     "gave) error?",
    "agent.popped": "customer source key? (the agent's telephone rings or has the call, and it is known who calls)",
    "call.noted": "key by",
    "call.disposed": "code by key?",
    "call.undisposed": "by(who ended after-call work without the code that the queue wants)",
    "agent.wrap_up_waits": "(its time is over; the queue wants a disposition first)",
    "ticket.opened": "ticket template state owner customer priority due_ms key by",
    "ticket.changed": "ticket revision changes{state owner queue customer priority due_ms key} comment?(key) by",
    "desk.changed": "what(customer|customers|article|shifts|document) id revision by change(written|erased|removed|imported) count?",
    "broadcast.sent": "broadcast text agents(who get it) by urgent expires_ms",
    "broadcast.seen": "broadcast", "broadcast.ended": "broadcast why(withdrawn|expired) by agents(who have not seen it)",
    "threshold.crossed": "threshold value limit severity(nothing is raised before for_s is over)", "threshold.back": "threshold value limit severity",
    "threshold.raised": "threshold value limit severity since_ms", "threshold.escalated": "threshold step mail agents teams value",
    "threshold.acknowledged": "threshold by note", "threshold.cleared": "threshold value why(over|removed)",
    "notice.queued": "notice to subject text(a mail)", "notice.mailed": "notice ok error again_ms(None: not again) to(who is still to get it)",
    "access.denied": "user role what(that the role does not allow)",
    "recording.heard": "recording by(user)",
    "configuration.changed": "revision paths(what differs, CHANGED_MOST at most; values stand in the file's history) count(None: not known) by(user, or file: it was replaced while control was down) back_to?(the revision that it is again)",
    "alarm.raised": "alarm(id) fault(its kind) severity text members(of the box: chassis/alarms.py; as it was then) detail{member: sentence} raised_ms repeats acked?",
    "alarm.changed": "alarm joined[members] left[members] detail{member: sentence}(what is new of it) repeats acked?(false: nobody's again)", "alarm.acknowledged": "alarm by note",
    "alarm.cleared": "alarm fault",
    # timeslots (control/timeslots.py)
    "timeslots.service": "span timeslots state(in_service|locked|blocked|alarm|down|out_of_service|unconfigured) why", "timeslots.restarted": "span timeslots by(in: the far end|out: we)",
    # what is kept (control/core_kept.py)
    "journal.pruned": "before_ms rows cdrs documents?(received faxes)",
    "person.erasing": "erasure forms(of the number; erased with the rest) by reason waits?(for the end of a call)",
    "person.erased": "erasure records calls recordings texts documents?(received faxes) trace?(records of the signalling trace) files?(places in logs and files set aside)",
    # the house
    "span.state": "span state alarms",
    "media.lost": "",
    "media.back": "",
    "core.timer_dropped": "timer name (nobody wanted it any more)",
    "core.resumed": "calls",
    "core.checkpoint": "state cdrs statistics",
}


def make(kind, ts_ms, call=None, leg=None, agent=None, queue=None, data=None):
    """Build one record; the shape is the same for all kinds."""
    return {"kind": kind, "ts_ms": ts_ms, "call": call, "leg": leg, "agent": agent, "queue": queue,
            "data": {} if data is None else data}


CDR_FIELDS = ("call", "started_ms", "answered_ms", "ended_ms", "caller", "caller_presentation", "called", "redirecting",
              "trunk_group", "span",
              "timeslot", "application", "queue", "queue_entered_ms", "wait_ms", "agent", "agent_answered_ms", "talk_ms",
              "cause", "released_by", "language", "recording", "result",
              "line", "dialled", "out_trunk_group", "out_span", "out_timeslot", "out_attempts", "quality", "audio_missing",
              "transfers", "agents")

# What the CDR takes from leg.offered.  caller_presentation: Q.931 4.5.10, "allowed", "restricted", "unavailable".
_OFFERED = ("caller", "caller_presentation", "called", "redirecting", "trunk_group", "span", "timeslot", "line")


class CDRProjection:
    """Fold records into CDRs.

    apply(record) -> the finished CDR (a dict with CDR_FIELDS) or None.  Records of
    calls that began before the fold did are passed over."""

    def __init__(self):
        self._open = {}

    def apply(self, record):
        """Take one record; return the CDR that it finishes, or None."""
        kind = record["kind"]
        if kind == "core.checkpoint":
            self.load(record["data"]["cdrs"])
            return None
        call = record["call"]
        if call is None:
            return None
        if kind in ("leg.offered", "callback.waits", "test.begun", "home.called", "fax.dialled"):
            self._open[call] = self._begin(record)
            return None
        cdr = self._open.get(call)
        if cdr is None:
            return None
        fold = getattr(self, "_" + kind.replace(".", "_"), None)
        if fold is not None:
            fold(cdr, record, record["data"])
        if kind == "call.ended":
            del self._open[call]
            cdr.pop("talking_since_ms", None)
            return cdr
        return None

    def late_quality(self, record):
        """(call, leg, quality) of a record that amends a finished CDR, else None."""
        if record["kind"] != "leg.quality" or record["call"] in self._open:
            return None
        return record["call"], record["leg"], record["data"]["quality"]

    def dump(self):
        """The open CDRs, {call: cdr}."""
        copy = {}
        for call in self._open:
            copy[call] = dict(self._open[call])
            for name in ("recording", "agents"):
                copy[call][name] = list(self._open[call].get(name) or ())
            copy[call]["quality"] = dict(self._open[call].get("quality") or {})
            copy[call]["audio_missing"] = list(self._open[call].get("audio_missing") or [])
        return copy

    def load(self, dumped):
        """Take the open CDRs back from dump()."""
        self._open = {}
        for call in dumped:
            self._open[call] = dict(dumped[call])
            for name in ("recording", "agents"):
                self._open[call][name] = list(dumped[call].get(name) or ())
            self._open[call]["quality"] = dict(dumped[call].get("quality") or {})
            self._open[call]["audio_missing"] = list(dumped[call].get("audio_missing") or [])

    def _begin(self, record):
        data = record["data"]
        cdr = {}
        for name in CDR_FIELDS:
            cdr[name] = data.get(name) if name in _OFFERED else None
        cdr["call"] = record["call"]
        if record["kind"] == "callback.waits":
            cdr["application"] = "callback" if data.get("campaign") is None else "campaign"
            if data.get("campaign") is not None:
                cdr["campaign"] = data["campaign"]
        elif record["kind"] == "test.begun":
            cdr["application"] = "test"
        elif record["kind"] == "fax.dialled":
            cdr["application"], cdr["called"] = "fax", data["number"]
        elif record["kind"] == "home.called":
            cdr["application"], cdr["called"], cdr["line"], cdr["agent"] = "home", data["number"], data["line"], record["agent"]
        cdr["started_ms"] = record["ts_ms"]
        cdr["recording"], cdr["agents"] = [], []
        cdr["transfers"] = 0
        cdr["quality"] = {}
        cdr["audio_missing"] = []
        return cdr

    def _leg_digits(self, cdr, record, data):
        cdr["called"] = data["called"]

    def _leg_created(self, cdr, record, data):
        if data.get("span") is not None:
            cdr["dialled"] = data["called"]["number"]
            cdr["out_trunk_group"] = data["trunk_group"]
            cdr["out_attempts"] = (cdr.get("out_attempts") or 0) + 1
            self._leg_seized(cdr, record, data)

    def _call_more_digits(self, cdr, record, data):
        if cdr["dialled"] is not None:
            cdr["dialled"] += data["suffix"]

    def _leg_seized(self, cdr, record, data):
        cdr["out_span"] = data["span"]
        cdr["out_timeslot"] = data["timeslot"]

    def _call_routed(self, cdr, record, data):
        cdr["application"] = data["application"]

    def _leg_answered(self, cdr, record, data):
        if data.get("connected"):
            cdr["connected"] = dict(data["connected"])
        if data["by"] == "near":
            cdr["answered_ms"] = record["ts_ms"]
        elif cdr["agent_answered_ms"] is None and data.get("connects"):
            cdr["agent_answered_ms"] = record["ts_ms"]

    def _call_screened(self, cdr, record, data):
        if data["connects"] and cdr["agent_answered_ms"] is None:
            cdr["agent_answered_ms"] = record["ts_ms"]

    def _duty_ended(self, cdr, record, data):
        if data["outcome"] == "taken" and cdr["agent_answered_ms"] is None:
            cdr["agent_answered_ms"] = record["ts_ms"]

    def _ivr_moved(self, cdr, record, data):
        cdr["language"] = data["position"]["language"]

    def _test_joined(self, cdr, record, data):
        if cdr["answered_ms"] is None:
            cdr["answered_ms"] = record["ts_ms"]

    def _fax_joined(self, cdr, record, data):
        cdr["answered_ms"] = record["ts_ms"]

    def _home_joined(self, cdr, record, data):
        cdr["answered_ms"] = record["ts_ms"]

    def _queue_entered(self, cdr, record, data):
        cdr["queue"] = record["queue"]
        cdr["queue_entered_ms"] = data.get("since_ms", record["ts_ms"])
        cdr["wait_ms"] = None

    def _queue_left(self, cdr, record, data):
        cdr["wait_ms"] = data.get("total_ms", data["wait_ms"])

    def _call_bridged(self, cdr, record, data):
        self._with(cdr, record["agent"])
        if cdr.get("talking_since_ms") is None:
            cdr["talking_since_ms"] = record["ts_ms"]

    def _with(self, cdr, agent):
        cdr["agent"] = agent
        if agent is not None and agent not in cdr["agents"]:
            cdr["agents"].append(agent)

    def _call_joined(self, cdr, record, data):
        if record["agent"] is not None and record["agent"] not in cdr["agents"]:
            cdr["agents"].append(record["agent"])

    def _call_turned(self, cdr, record, data):
        self._with(cdr, record["agent"])
        if data.get("gone") and cdr["ended_ms"] is None:
            cdr["ended_ms"] = record["ts_ms"]

    def _call_transferred(self, cdr, record, data):
        cdr["transfers"] = (cdr.get("transfers") or 0) + 1

    def _recording_started(self, cdr, record, data):
        cdr["recording"].append(data["recording"])

    def _call_unbridged(self, cdr, record, data):
        # Without the key: an open CDR of before there was one.
        since_ms = cdr.get("talking_since_ms", cdr["agent_answered_ms"] if cdr["talk_ms"] is None else None)
        if since_ms is not None:
            cdr["talk_ms"] = (cdr["talk_ms"] or 0) + max(0, record["ts_ms"] - since_ms)
            cdr["talking_since_ms"] = None

    def _leg_quality(self, cdr, record, data):
        cdr["quality"][record["leg"]] = data["quality"]

    def _leg_heard(self, cdr, record, data):
        # Metering pulses (SS7 of China): each tells the sum of its leg; a call may have had several legs.
        if data["what"] == "charge":
            charged = dict(cdr.get("charged") or {})
            charged[record["leg"]] = data["value"]["units"]
            cdr["charged"] = charged

    def _leg_t38(self, cdr, record, data):
        cdr["t38"] = (cdr.get("t38") or []) + [{"leg": record["leg"], "state": data["state"], "by": data["by"], "why": data["why"], "at_ms": record["ts_ms"]}]

    def _fax_started(self, cdr, record, data):
        cdr["fax"] = (cdr.get("fax") or []) + [{"document": data["document"], "ok": False, "pages": 0, "why": "the call ended"}]

    def _fax_page(self, cdr, record, data):
        self._fax(cdr, {"pages": data["pages"]})

    def _fax_ended(self, cdr, record, data):
        told = dict([(name, data[name]) for name in ("ok", "why", "pages", "rate", "ecm", "station") if name in ("ok", "why") or data[name] is not None])
        self._fax(cdr, told)

    @staticmethod
    def _fax(cdr, more):
        if cdr.get("fax"):
            cdr["fax"] = cdr["fax"][:-1] + [dict(cdr["fax"][-1], **more)]

    def _leg_audio_missing(self, cdr, record, data):
        cdr["audio_missing"].append({"leg": record["leg"], "direction": data["direction"], "reason": data["reason"],
                                     "at_ms": record["ts_ms"]})

    def _call_clearing(self, cdr, record, data):
        if cdr["ended_ms"] is None:
            cdr["ended_ms"] = record["ts_ms"]
        cdr["cause"] = data["cause"]
        cdr["released_by"] = data["released_by"]
        cdr["result"] = data["result"]
