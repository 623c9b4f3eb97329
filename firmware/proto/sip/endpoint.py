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

from firmware.errors import LocalError, RemoteError
from firmware.proto.sip.causes import phrase
from firmware.proto.sip.dialog import Identity, destination_of
from firmware.proto.sip.digest import MISSING, OK, STALE, DigestServer, ha1, hash_text
from firmware.proto.sip.headers import media_type
from firmware.proto.sip.incoming import IncomingSession
from firmware.proto.sip.message import MAX_MESSAGE_OCTETS, SIPMessage, parse
from firmware.proto.sip.outgoing import OutgoingSession
from firmware.proto.sip.registrar import Registrar
from firmware.proto.sip.session import ENDED, SDP
from firmware.proto.sip.text import octet_text, split_outside
from firmware.proto.sip.timers import T1_MS, T2_MS, T4_MS, TimerQueue, durations_ms
from firmware.proto.sip.transaction import ACCEPTED, NOBODY, PROCEEDING, TransactionLayer, kind_of
from firmware.proto.sip.uri import bare_host, parse_uri

DEFAULTS = {
    "user_agent": "Strowger",
    # RFC 8760 wants SHA-256 offered first; telephones in the field (libre up to 1.x among them) give up
    # at a challenge of an algorithm they do not know, in any order, so an installer asks for it
    "digest_algorithms": ("MD5",),
    "digest_max_age_ms": 300000,        # ours: a telephone registers every few minutes at most
    "register_min_s": 60, "register_default_s": 600, "register_max_s": 3600,     # ours
    "contacts_per_line": 8,             # ours
    "max_legs": 4096,                   # 1,920 trunk circuits and 2,000 lines
    "max_transactions": 65536,          # 64 s of 1,000 requests a second
    "max_message_octets": MAX_MESSAGE_OCTETS,
    "credentials": {},
    "t1_ms": T1_MS, "t2_ms": T2_MS, "t4_ms": T4_MS,
}
MAX_FAULTS = 1000                       # kept (name, source) pairs, so that each is told once only

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE"
SERVED = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "INFO", "UPDATE")
KNOWN = SERVED + ("PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "REFER")
_RELEASES = ("release_request", "bye_request", "cancel_request")
_FIELDS = {                             # what a primitive must bring besides its leg
    "invite_request": ("sdp",), "answer_request": ("sdp",), "reinvite_request": ("sdp",), "alerting_request": (),
    "reject_request": (), "release_request": (), "reinvite_response": (),
}


class SIPEndpoint:
    """See the top of this module."""

    def __init__(self, config, random, hash_functions, new_leg):
        self.config = dict(DEFAULTS)
        self.config.update(config)
        config = self.config
        self.random = random
        self.hash_functions = hash_functions
        self.new_leg = new_leg
        self.credentials = config["credentials"]
        self.identity = Identity(config["address"], config["port"], config["user_agent"], random)
        self.allow = ALLOW
        self.durations = durations_ms(config["t1_ms"], config["t2_ms"], config["t4_ms"])
        self.timers = TimerQueue()
        self.counters = {}
        self.transactions = TransactionLayer(self.send, self.timers, self.durations, self.count)
        self.digest = DigestServer(config["realm"], config["digest_algorithms"], hash_functions, random,
                                   config["digest_max_age_ms"])
        self.registrar = Registrar(config)
        self.sessions = {}
        self._dialogs = {}               # (Call-ID, our tag) -> session
        self._session_dialogs = {}       # leg -> [those keys]
        self._secrets = {}
        self._lines = dict(config.get("lines") or {})
        self._line_timers = {}
        self._tag_key = random(16)
        self._output = []
        self._events = []
        self._changed = {}
        self._faults = []
        self._fault_keys = set()
        self._restored = []

    # surface

    def receive(self, octets, source, now_ms):
        """One datagram from source (host, port).  Returns events; never raises."""
        self.count("received")
        try:
            self._receive(octets, source, now_ms)
        except RemoteError as error:
            self.fault("dropped", str(error), source)
        except Exception as error:       # a fault of ours must cost one message, not the service
            self.fault("internal_error", "%s: %s" % (type(error).__name__, error), source)
        return self._take_events()

    def request(self, primitive, now_ms):
        """One primitive of control.  Returns events.  Raises LocalError."""
        kind = primitive.get("kind")
        leg = primitive.get("leg")
        if kind in _RELEASES:
            primitive = dict(primitive)
            primitive["kind"] = kind = "release_request"
        if kind not in _FIELDS or not leg:
            raise LocalError("SIP primitive %r is not known or names no leg" % (kind,))
        for name in _FIELDS[kind]:
            if not primitive.get(name):
                raise LocalError("leg %s: %s lacks %s" % (leg, kind, name))
        if kind == "invite_request":
            self._invite(primitive, now_ms)
        else:
            session = self.sessions.get(leg)
            if session is None or session.state == ENDED:
                if kind != "release_request":
                    raise LocalError("leg %s: %s for a leg that is not there" % (leg, kind))
            else:
                session.primitive(primitive, now_ms)
        return self._take_events()

    def expire(self, now_ms):
        """Let all timers that are due take effect.  Returns events; never raises."""
        while True:
            try:
                self.timers.fire(now_ms)
                break
            except Exception as error:   # the timer that failed has left the queue; the rest goes on
                self.fault("internal_error", "timer: %s: %s" % (type(error).__name__, error), None)
        return self._take_events()

    def deadline_ms(self):
        """When expire is to be called next, or None."""
        return self.timers.deadline_ms()

    def take_output(self):
        """Datagrams to send since the last call: [(octets, (host, port))]."""
        output = self._output
        self._output = []
        return output

    def take_changes(self):
        """Records that changed since the last call: {key: record, or None for removed}."""
        changed = self._changed
        self._changed = {}
        out = {}
        for key in changed:
            out[key] = self._record(key)
        return out

    def take_faults(self):
        """[(name, sentence, source)] since the last call, each name and source host once."""
        faults = self._faults
        self._faults = []
        return faults

    def dump(self):
        """All records that restore() needs: {key: JSON-able dict}."""
        out = {}
        for leg in self.sessions:
            out["leg/" + leg] = self.sessions[leg].dump()
        for line in self.registrar.bindings:
            out["line/" + line] = self.registrar.dump_line(line)
        return out

    @classmethod
    def restore(cls, dump, config, random, hash_functions, new_leg, now_ms):
        """Rebuild from dump() or from the rows of take_changes().  Then call resume()."""
        endpoint = cls(config, random, hash_functions, new_leg)
        for key in sorted(dump):
            record = dump[key]
            kind, _, name = key.partition("/")
            if record is None:
                continue
            if kind == "line" and name in endpoint._lines:
                endpoint.registrar.restore_line(name, record, now_ms)
                endpoint._watch_line(name)
                if name not in endpoint.registrar.bindings:
                    endpoint._changed[key] = True
            elif kind == "line":
                endpoint._changed[key] = True
            elif kind == "leg":
                make = OutgoingSession if record["direction"] == "out" else IncomingSession
                session = make(endpoint, name, record["line"])
                session.load(record, now_ms)
                endpoint.sessions[name] = session
                if session.dialog is not None:
                    endpoint.learn(session.dialog, session)
                endpoint._restored.append((session, record))
        return endpoint

    def resume(self, now_ms):
        """After restore(): take up what was under way.  Returns events."""
        restored, self._restored = self._restored, []
        for session, record in restored:
            try:
                session.resume(record, now_ms)
            except RemoteError as error:
                self.fault("dropped", str(error), None)
            self.touch(session)
        return self._take_events()

    def live_legs(self):
        """[{leg, direction, state, line}] of the legs that control may still use."""
        out = []
        for leg in sorted(self.sessions):
            session = self.sessions[leg]
            if session.state != ENDED:
                out.append({"leg": leg, "direction": session.direction, "state": session.state,
                            "line": session.line})
        return out

    def contacts(self, line):
        """Contacts of a line, as in line_registered."""
        return self.registrar.contacts(line)

    def registered_lines(self):
        """Names of all lines with a contact, sorted."""
        return sorted(self.registrar.bindings)

    def set_lines(self, lines, now_ms):
        """New table of lines; bindings of lines that are gone go too.  Returns events."""
        self._lines = dict(lines)
        self._secrets = {}
        for line in self.registered_lines():
            if line not in self._lines:
                self.registrar.remove(line)
                self._line_changed(line)
        return self._take_events()

    # what sessions and transactions use

    def send(self, octets, destination):
        """Put a datagram out."""
        self.count("sent")
        self._output.append((octets, destination))

    def emit(self, event):
        """Tell control."""
        self._events.append(event)

    def count(self, name):
        """Count an occurrence."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def fault(self, name, sentence, source):
        """Count a fault; the first of each name and host is told."""
        self.count(name)
        key = (name, None if source is None else source[0])
        if key not in self._fault_keys and len(self._fault_keys) < MAX_FAULTS:
            self._fault_keys.add(key)
            self._faults.append((name, sentence, source))

    def learn(self, dialog, session):
        """Find a session by a dialog of its from now on."""
        key = (dialog.call_id, dialog.local_tag)
        self._dialogs[key] = session
        self._session_dialogs.setdefault(session.leg, []).append(key)

    def touch(self, session):
        """A session changed: its record is to be stored; a finished one goes."""
        if self.sessions.get(session.leg) is not session:
            return
        self._changed["leg/" + session.leg] = True
        if session.is_finished():
            del self.sessions[session.leg]
            for key in self._session_dialogs.pop(session.leg, ()):
                self._dialogs.pop(key, None)

    def serve(self, message, source, owner):
        """Server transaction for a request."""
        return self.transactions.serve(message, source, self._reply_address(message, source), owner)

    def response(self, request, status, tag, source):
        """A response with the headers that every response copies (8.2.6)."""
        response = SIPMessage(status=status, reason=phrase(status))
        first = True
        for name, value in request.headers:
            if name == "Via":
                response.add("Via", _received(request, value, source) if first else value)
                first = False
        for name in ("From", "To", "Call-ID", "CSeq"):
            value = request.get(name)
            if value is not None:
                if name == "To" and tag and status > 100 and not _has_tag(request):
                    value = "%s;tag=%s" % (value, tag)
                response.add(name, value)
        response.add("Server", self.identity.user_agent)
        return response

    def respond(self, transaction, status, now_ms, tag=None, headers=()):
        """Answer a request without a body through its transaction."""
        response = self.response(transaction.request, status, tag or self._plain_tag(transaction.request),
                                 transaction.source)
        for name, value in headers:
            response.add(name, value)
        if status == 405:
            response.add("Allow", ALLOW)
        transaction.reply(response, now_ms)

    def reply(self, message, source, status, now_ms, tag=None, headers=()):
        """Answer without state (8.2.7): a request that comes again gets the same answer."""
        self.count("reply_%d" % status)
        response = self.response(message, status, tag or self._plain_tag(message), source)
        for name, value in headers:
            response.add(name, value)
        if status in (405, 501):
            response.add("Allow", ALLOW)
        self.send(response.serialise(), self._reply_address(message, source))

    # inside

    def _take_events(self):
        events = self._events
        self._events = []
        return events

    def _record(self, key):
        kind, _, name = key.partition("/")
        if kind == "line":
            return self.registrar.dump_line(name)
        session = self.sessions.get(name)
        return None if session is None else session.dump()

    def _plain_tag(self, message):
        """A To tag that is the same each time the same request comes (8.2.7)."""
        function = self.hash_functions.get("MD5") or self.hash_functions["SHA-256"]
        words = "%s|%s|%s" % (message.call_id, message.get("From"), message.get("CSeq"))
        return hash_text(function, "".join([chr(octet) for octet in self._tag_key]) + words)[:16]

    def _reply_address(self, message, source):
        """Where a response goes: RFC 3261 18.2.2, RFC 3581 4.  maddr is not followed: it would let
        anyone aim our responses."""
        try:
            via = message.via
        except RemoteError:
            return source
        if via.parameter("rport") is not None:
            return source
        return (source[0], via.port or 5060)

    def _receive(self, octets, source, now_ms):
        if not octets.strip(b"\r\n\0 "):
            self.count("keep_alives")
            return
        if len(octets) > self.config["max_message_octets"]:
            self.fault("too_long", "a message of %d octets was dropped" % len(octets), source)
            return
        message = parse(octets)
        if message.status is not None:
            self._receive_response(message, source, now_ms)
        elif message.method is None:
            self.fault("not_sip", message.fault[1], source)
        else:
            self._receive_request(message, source, now_ms)

    def _receive_response(self, message, source, now_ms):
        if message.fault is not None:
            self.fault("bad_response", message.fault[1], source)
            return
        transaction = self.transactions.find_client(message)
        if transaction is not None:
            transaction.step(kind_of(message.status), message, now_ms)
            return
        session = self._dialogs.get((message.call_id, message.from_tag))
        if session is not None and message.cseq[1] == "INVITE" and 200 <= message.status < 300:
            session.late_success(message, source, now_ms)
        else:
            self.count("stray_responses")

    def _receive_request(self, message, source, now_ms):
        method = message.method
        if message.fault is not None:
            self.fault("bad_request", message.fault[1], source)
            if method != "ACK" and message.get("Via") is not None:
                self.reply(message, source, message.fault[0], now_ms)
            return
        if method == "ACK":
            self._receive_ack(message, now_ms)
            return
        transaction = self.transactions.find_server(message)
        if transaction is not None:
            self.count("requests_again")
            transaction.step("request", message, now_ms)
            return
        if method not in SERVED:
            self.reply(message, source, 405 if method in KNOWN else 501, now_ms)
            return
        if method == "CANCEL":
            self._receive_cancel(message, source, now_ms)
            return
        try:
            parse_uri(message.uri)
        except RemoteError as error:
            self.reply(message, source, error.status, now_ms)
            return
        required = message.tokens("Require")
        if required:
            self.reply(message, source, 420, now_ms, headers=(("Unsupported", ", ".join(required)),))
            return
        if len(self.transactions.servers) >= self.config["max_transactions"]:
            self.reply(message, source, 503, now_ms, headers=(("Retry-After", "10"),))
            return
        if message.to_tag:
            session = self._dialogs.get((message.call_id, message.to_tag))
            if session is None or session.dialog is None or session.dialog.remote_tag != message.from_tag:
                self.reply(message, source, 481, now_ms)
            else:
                session.receive_request(message, source, now_ms)
        elif self.transactions.merged(message):
            self.reply(message, source, 482, now_ms)
        elif method == "REGISTER":
            self._receive_register(message, source, now_ms)
        elif method == "INVITE":
            self._receive_invite(message, source, now_ms)
        elif method == "OPTIONS":
            self.reply(message, source, 200, now_ms, headers=(("Allow", ALLOW), ("Accept", SDP)))
        else:
            self.reply(message, source, 481, now_ms)

    def _receive_ack(self, message, now_ms):
        transaction = self.transactions.find_server(message)
        if transaction is not None and transaction.state != ACCEPTED:
            transaction.step("ACK", message, now_ms)
            return
        session = self._dialogs.get((message.call_id, message.to_tag))
        if session is not None:
            session.receive_ack(message, now_ms)

    def _receive_cancel(self, message, source, now_ms):
        invite = self.transactions.find_cancelled(message)
        if invite is None:
            self.reply(message, source, 481, now_ms)
            return
        owner = invite.owner
        cancel = self.serve(message, source, NOBODY)
        self.respond(cancel, 200, now_ms, tag=owner.dialog.local_tag)
        if invite.state == PROCEEDING and isinstance(owner, IncomingSession):
            owner.receive_cancel(message, now_ms)

    def _secret_of(self, user, algorithm):
        """HA1 of a line, or None; computed once from its password."""
        secrets = self._secrets.get(user)
        if secrets is None:
            given = self._lines.get(user)
            if given is None:
                return None
            if isinstance(given, str):
                secrets = {}
                for name in self.digest.algorithms:
                    secrets[name] = ha1(self.hash_functions[name], octet_text(user), self.config["realm"],
                                        octet_text(given))
            else:
                secrets = given
            self._secrets[user] = secrets
        return secrets.get(algorithm)

    def _authenticated(self, message, line, source, now_ms):
        """True where the credentials are those of the line; else the challenge is out (22.1)."""
        values = message.all("Authorization")
        try:
            verdict = self.digest.verify(values, message.method, message.uri, line, self._secret_of, now_ms)
        except RemoteError:
            self.reply(message, source, 400, now_ms)
            return False
        if verdict == OK:
            return True
        if verdict not in (MISSING, STALE):
            self.fault("authentication_failed", "wrong credentials for a %s" % message.method, source)
        headers = [("WWW-Authenticate", value) for value in self.digest.challenges(now_ms, verdict == STALE)]
        self.reply(message, source, 401, now_ms, headers=headers)
        return False

    def _receive_register(self, message, source, now_ms):
        try:
            line = parse_uri(message.to_address.uri).plain_user()
        except RemoteError:
            # an address-of-record of another scheme: RFC 4475 3.3.4
            self.reply(message, source, 400, now_ms)
            return
        if not self._authenticated(message, line, source, now_ms):
            return
        transaction = self.serve(message, source, NOBODY)
        headers = []
        try:
            known = bool(self.registrar.contacts(line))
            changed = self.registrar.register(message, line, source, now_ms)
        except RemoteError as error:
            if error.status == 423:
                headers.append(("Min-Expires", "%d" % self.config["register_min_s"]))
            status = error.status if error.status != 416 else 400
            self.respond(transaction, status, now_ms, headers=headers)
            return
        response = self.response(message, 200, self._plain_tag(message), source)
        for value in self.registrar.response_contacts(line, now_ms):
            response.add("Contact", value)
        transaction.reply(response, now_ms)
        if message.get("Contact") is not None:
            self._changed["line/" + line] = True
            self._watch_line(line)
        if changed:
            self._tell_line(line, known)

    def _tell_line(self, line, known):
        contacts = self.registrar.contacts(line)
        if contacts:
            self.emit({"kind": "line_registered", "line": line, "contacts": contacts})
        elif known:
            self.emit({"kind": "line_unregistered", "line": line, "contacts": []})

    def _line_changed(self, line):
        self._changed["line/" + line] = True
        self._watch_line(line)
        self._tell_line(line, True)

    def _watch_line(self, line):
        """One timer a line, at its first expiry."""
        self.timers.cancel(self._line_timers.pop(line, None))
        expiry_ms = self.registrar.next_expiry_ms(line)
        if expiry_ms is not None:
            self._line_timers[line] = self.timers.start(expiry_ms, self, line)

    def fire(self, name, now_ms):
        """A contact of a line expired (timers of the endpoint itself bear a line's name)."""
        if self.registrar.expire(name, now_ms):
            self._line_changed(name)
        else:
            self._watch_line(name)

    def _receive_invite(self, message, source, now_ms):
        if len(self.sessions) >= self.config["max_legs"]:
            # before authentication: an overloaded switch spends nothing on what it refuses
            self.reply(message, source, 503, now_ms, headers=(("Retry-After", "10"),))
            return
        try:
            line = parse_uri(message.from_address.uri).plain_user()
        except RemoteError:
            line = ""
        if not self._authenticated(message, line, source, now_ms):
            return
        refusal = _unfit_invite(message)
        if refusal is not None:
            self.reply(message, source, refusal[0], now_ms, headers=refusal[1])
            return
        leg = self.new_leg()
        session = IncomingSession(self, leg, line)
        self.sessions[leg] = session
        try:
            session.start(message, source, now_ms)
        except RemoteError as error:
            del self.sessions[leg]
            self.reply(message, source, error.status if error.status != 416 else 400, now_ms)
            return
        self.touch(session)

    def _invite(self, primitive, now_ms):
        leg = primitive["leg"]
        if leg in self.sessions:
            raise LocalError("leg %s is there already; every leg id is used once" % leg)
        line = primitive.get("line")
        if line is not None:
            targets = self.registrar.targets(line)
        else:
            uri = primitive.get("uri")
            if not uri:
                raise LocalError("leg %s: invite_request lacks line or uri" % leg)
            try:
                destination = primitive.get("destination") or destination_of(parse_uri(uri))
                parse_uri(uri)
            except RemoteError as error:
                raise LocalError("leg %s: invite_request: %s" % (leg, error))
            targets = [(uri, tuple(destination), primitive.get("destination") is not None)]
        if not targets:
            self.emit({"kind": "rejected", "leg": leg, "status": 480, "cause": 20,
                       "text": "the line is not registered", "contacts": []})
            return
        session = OutgoingSession(self, leg, line)
        self.sessions[leg] = session
        session.start(primitive, targets, now_ms)
        self.touch(session)


def _has_tag(request):
    try:
        return bool(request.to_tag)
    except RemoteError:
        return True


def _received(request, value, source):
    """The topmost Via with received and rport (RFC 3261 18.2.1, RFC 3581 4)."""
    try:
        via = request.via
    except RemoteError:
        return value.split(";")[0].rstrip()
    out = type(via)(via.transport, via.host, via.port, via.parameters)
    if via.parameter("rport") is not None:
        out.set_parameter("rport", "%d" % source[1])
        out.set_parameter("received", source[0])
    elif bare_host(via.host) != source[0]:
        out.set_parameter("received", source[0])
    rest = split_outside(value, ",")[1:]
    return ",".join([str(out)] + rest)


def _unfit_invite(message):
    """(status, headers) where a new INVITE cannot be served (8.2.3), or None."""
    accepted = message.tokens("Accept")
    if accepted and not any([media_type(item) in (SDP, "application/*", "*/*") for item in accepted]):
        return 406, ()
    if message.body:
        kind = media_type(message.get("Content-Type") or "")
        if kind != SDP:
            return 415, (("Accept", SDP),)
        if message.get("Content-Encoding") not in (None, "identity"):
            return 415, (("Accept-Encoding", "identity"),)
    return None
