"""The switchboard: what the exchange decides, as one pure, event-sourced object.

Nothing here does I/O, reads a clock or draws a random number.  The control
process feeds events from the adapters (PRI, SIP, media, API), commits the
records that come out to the journal, and only then carries out the actions:

    sb = Switchboard(config, ids)            # config: CONTRACT section 7, plain data
    for record in journal: sb.apply(record)  # after a restart: replay, nothing else
    sb.resume(audit, live_legs, now_ms)      # on EVERY start, the first one too
    accepted = sb.handle(event, now_ms)      # False: late, unknown or meaningless event, ignored
    sb.expire(now_ms)                        # when deadline_ms() has come
    records, actions = sb.take()             # commit records first, then act
    sb.deadline_ms()                         # wall-clock UTC ms, or None
    sb.snapshot(now_ms)                      # for the API
    sb.checkpoint(now_ms)                    # one record "core.checkpoint" holding the whole state
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
  leg.offered  leg tech("pri"|"sip") trunk_group span timeslot caller caller_presentation("allowed"|
               "restricted"|"unavailable") called called_complete redirecting line(SIP: the calling line)
  leg.digits   leg called(ALL digits so far) called_complete(true also when T302 has run out)
  leg.alerting leg | leg.progress leg inband | leg.held leg | leg.retrieved leg
  leg.answered leg                     an outbound leg was answered (for inbound legs it is ignored)
  leg.released leg cause by("far"|"near"|"failure") sip_status?    the leg is gone; ALSO the answer to every
               leg.release action (an adapter must always send it; after 60 s without, the leg is written off)
  media.signal_complete leg token reason | media.digit leg digit
  media.record_closed recording octets duration_ms | media.record_failed recording error
  media.rtp_timeout leg | media.rtp_started leg | media.lost | media.back (audit?)
  agent.status agent status("available"|"on_break"|"logged_out") reason?
  line.registered line | line.unregistered line
  span.state span state alarms
  command.hangup call

Actions (dict with "do"; all may be repeated, the adapters make them idempotent)
  leg.proceeding leg | leg.need_more_digits leg | leg.alerting leg | leg.answer leg
  leg.release leg cause                any leg: DISCONNECT, RELEASE_COMPLETE, CANCEL, BYE or an error response, as fits
  leg.create leg tech("sip") line caller caller_name call
  media.signal leg token items repeat  items: {"prompt": name, "language": l} {"number": n, "language": l}
                                       {"music": name} {"tone": name} {"silence_ms": n}; repeat 0: for ever
  media.stop leg                       whatever plays towards that leg
  media.detect leg dtmf
  media.bridge bridge legs             legs []: remove the bridge
  media.record recording path left right          path relative: recordings/2025/07/31/c17-r3.wav (site's day)
  media.record_stop recording
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

snapshot(now_ms) -> {"calls": [...], "queues": [...], "agents": [...], "lines": [...], "trunk_groups": [...]}
  call   call state("collecting"|"ivr"|"queued"|"ringing"|"talking"|"closing"|"clearing") caller called redirecting
         trunk_group span timeslot application target language node queue position waiting_since_ms agent offered_agent
         started_ms answered_ms agent_answered_ms recording(id or None) legs([{leg role tech state line span timeslot}])
  queue  name label waiting longest_wait_ms longest_since_ms agents agents_ready service_level(0..1 or None)
         service_level_s offered answered abandoned short_abandoned (today, site's day)
  agent  name label line registered status reason state("idle"|"offered"|"talking"|"wrap_up") since_ms call queues
  line   name registered agent call
"""
