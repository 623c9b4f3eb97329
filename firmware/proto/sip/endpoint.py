"""One SIP user agent with its registrar: everything control needs of SIP.

Sans-I/O and portable: octets and the time come in as parameters, octets go out
through take_output().  receive(), request() and expire() never raise for what
the far end did; request() raises LocalError when our own caller asks for
something that cannot be (unknown leg, wrong state, missing field).

    endpoint = SIPEndpoint(config, random, hash_functions, new_leg)
    endpoint = SIPEndpoint.restore(dump, config, random, hash_functions, new_leg, now_ms)
    events   = endpoint.receive(octets, (host, port), now_ms)
    events   = endpoint.request({"kind": ..., "leg": ...}, now_ms)
    events   = endpoint.expire(now_ms)           # when deadline_ms() has come
    changes  = endpoint.take_changes()           # persist these FIRST ...
    output   = endpoint.take_output()            # ... then send [(octets, (host, port))]

config: {"address": own IP address in Via and Contact, "port": own UDP port,
  "realm": digest realm, "lines": {name: password, or {"MD5": HA1, "SHA-256": HA1} in hex},
  optional: "user_agent", "digest_algorithms" (order of the challenges), "digest_max_age_ms",
  "register_min_s", "register_default_s", "register_max_s", "contacts_per_line", "max_legs",
  "max_message_octets", "credentials": {realm: [user, password]} for challenges put to us,
  "t1_ms", "t2_ms", "t4_ms"}.  DEFAULTS below holds every default with its reason.
random(n): n random octets (os.urandom).  hash_functions: {"MD5": f, "SHA-256": f}, f(octets) ->
digest octets.  new_leg(): a leg id for an incoming INVITE (ids.next("l")); never repeats.
now_ms: one clock for everything, UTC milliseconds, so that restored bindings expire rightly.

Primitives (request); sdp is bytes.  Every leg primitive needs "leg".
  invite_request   {leg, line | uri, sdp, caller, caller_name?, destination?}  calls every contact of a
                   line at once (first answer wins), or one uri; the host of uri must be an IP
                   address unless destination [host, port] is given
  alerting_request {leg, sdp?}        180 to an incoming INVITE (183 with status: 183)
  answer_request   {leg, sdp}         200 to an incoming INVITE
  reject_request   {leg, status?, cause?}   final error; each is derived from the other when missing
  release_request  {leg, cause?}      ends a leg in whatever state: CANCEL, BYE or reject as fits;
                   the Reason header carries the Q.850 cause.  bye_request and cancel_request are
                   other names of it.  Returns the released event (by "near") at once; the rest
                   (late 200: ACK and BYE) is done here.  cause 26: CANCEL says "answered elsewhere"
  reinvite_response {leg, sdp} | {leg, status}   answers a reinvite event
  reinvite_request {leg, sdp}         our own re-INVITE (hold, new media address)

Events (plain dicts, "kind" first):
  line_registered   {line, contacts: [{uri, source, expires_ms, user_agent}]}  contact set is new
                    or changed (not on a mere refresh)
  line_unregistered {line, contacts: []}      the last contact went or expired
  invite_indication {leg, line, called, caller, caller_name, sdp | None}  from a registered line,
                    digest checked; 100 Trying is already out.  sdp None: answer_request carries
                    the offer and the far end's answer comes as sdp_answer
  alerting          {leg, status: 180..199, sdp | None}
  answered          {leg, sdp}                 the ACK is out
  rejected          {leg, status, cause, text, contacts}  an outgoing leg ended before its answer; cause is
                    the Q.850 Reason of the far end, else mapped (causes.py); contacts of a 3xx
  released          {leg, cause, by: "far" | "near" | "failure", sip_status?}
  reinvite          {leg, sdp | None}          owes a reinvite_response
  reinvited         {leg, sdp}                 our re-INVITE was accepted
  reinvite_failed   {leg, status}              ... was refused; the session is as it was
  sdp_answer        {leg, sdp}                 answer that came in an ACK
  dtmf              {leg, digit, duration_ms}  INFO application/dtmf-relay or application/dtmf
Exactly one of rejected, released ends a leg; afterwards its id is unknown here.

Persistence: dump() -> {key: JSON-able dict}; keys "leg/<leg>" and "line/<name>".
take_changes() -> {key: dict, or None for removed} since the last call: store them in one row each,
in the same transaction as the journal.  restore(dump, ...) rebuilds; then resume(now_ms) -> events:
confirmed and incoming legs live on, a pending outgoing INVITE is cancelled (released, by
"failure", cause 41), an unfinished BYE is sent again.  live_legs() -> [{leg, direction
"in" | "out", state "calling" | "alerting" | "accepted" | "confirmed", line}].

set_lines(lines, now_ms) -> events: new table of lines, bindings of removed ones go.
contacts(line) -> list as in line_registered.  counters: {name: number} of faults, dropped messages,
retransmissions; take_faults() -> [(name, sentence, source)], the first of each name and source.

Grows with the IP-side issue: an address may become (host, port, transport, flow); transactions
already take reliable=True.
Sources: RFC 3261, 3264, 3326, 3581, 6026, 7616, 8760.
"""
