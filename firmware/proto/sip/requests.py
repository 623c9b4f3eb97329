"""What comes in from the network: the order of checks of RFC 3261 8.2, and who serves what passes them.

Nothing is kept for a request before its sender is authenticated: challenges and refusals go out without state (8.2.7).
"""

from firmware.errors import RemoteError
from firmware.proto.sip import bulk
from firmware.proto.sip.answering import ALLOW, Answering
from firmware.proto.sip.causes import reason_value
from firmware.proto.sip.digest import MISSING, OK, STALE, named_by
from firmware.proto.sip.headers import media_type
from firmware.proto.sip.incoming import IncomingSession
from firmware.proto.sip.joining import OPTIONS as NAMING, named_call
from firmware.proto.sip.message import parse
from firmware.proto.sip.parties import called_of, is_anonymous
from firmware.proto.sip.registrar import asks_flow, keeps_flow
from firmware.proto.sip.session import SDP
from firmware.proto.sip.session_timer import MIN_SE_S, too_brief
from firmware.proto.sip.transaction import ACCEPTED, NOBODY, PROCEEDING, kind_of
from firmware.proto.sip.uri import parse_uri

SERVED = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "INFO", "UPDATE", "PRACK", "REFER", "SUBSCRIBE", "PUBLISH")
EXTENSIONS = ("100rel", "timer", "path", "outbound", "replaces")       # option tags that a Require may name
KNOWN = SERVED + ("NOTIFY", "MESSAGE")

FLOW_TIMER_S = "120"                   # RFC 5626 4.4.1: our connections stand longer; a dead one is noticed in this time

NO_CIRCUIT, SWITCH_CONGESTION = 34, 42      # Q.850


class Requests(Answering):
    """The receiving half of SIPEndpoint.  config, digest, registrar, sessions, new_leg: set by the endpoint."""

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
            try:
                self._receive_request(message, source, now_ms)
            except RemoteError as error:
                # a header that only the one who serves the request looks at
                self.fault("bad_request", str(error), source)
                if message.method != "ACK":
                    self.reply(message, source, 413 if error.status == 413 else 400, now_ms)

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
        known = EXTENSIONS + {"REGISTER": (bulk.GIN,), "INVITE": NAMING}.get(method, ())
        required = [token for token in message.tokens("Require") + (message.tokens("Proxy-Require") if method == "REGISTER" else [])
                    if token.lower() not in known]
        if required:
            self.reply(message, source, 420, now_ms, headers=(("Unsupported", ", ".join(required)),))
            return
        if len(self.transactions.servers) >= self.config["max_transactions"]:
            self.reply(message, source, 503, now_ms, headers=(("Retry-After", "10"),))
            return
        if message.to_tag:
            session = self._dialogs.get((message.call_id, message.to_tag))
            if session is None or session.dialog_for(message.from_tag) is None:
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
        elif method == "SUBSCRIBE":
            self._receive_subscribe(message, source, now_ms)
        elif method == "PUBLISH":
            self._receive_publish(message, source, now_ms)
        elif method == "REFER":
            self.reply(message, source, 403, now_ms)        # only of who is in a call
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

    def _authenticated(self, message, line, source, now_ms, secret_of=None):
        """True where the credentials are those of the line; else the challenge is out (22.1).

        secret_of(user, algorithm): HA1 or None, for others than lines."""
        values = message.all("Authorization")
        try:
            verdict = self.digest.verify(values, message.method, message.uri, line, secret_of or self._secret_of, now_ms,
                                         source[0])
        except RemoteError:
            self.reply(message, source, 400, now_ms)
            return False
        if verdict == OK:
            self.guard.right(source, now_ms)
            return True
        if self.digest.guessed:
            self.guard.guessed(source, now_ms)
        if verdict not in (MISSING, STALE):
            self.fault("authentication_failed", "wrong credentials for a %s" % message.method, source)
        headers = [("WWW-Authenticate", value) for value in self.digest.challenges(now_ms, verdict == STALE, source[0])]
        self.reply(message, source, 401, now_ms, headers=headers)
        return False

    def _receive_register(self, message, source, now_ms):
        try:
            line = parse_uri(message.to_address.uri).plain_user()
        except RemoteError:
            # an address-of-record of another scheme: RFC 4475 3.3.4
            self.reply(message, source, 400, now_ms)
            return
        if bulk.is_bulk(message):
            self._receive_bulk(message, line, source, now_ms)
            return
        if not self._authenticated(message, line, source, now_ms):
            return
        if asks_flow(message) and not keeps_flow(message):
            self.reply(message, source, 439, now_ms)         # RFC 5626 6: its first proxy knows nothing of flows
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
        path = message.all("Path")
        if "path" in [token.lower() for token in message.tokens("Supported")]:
            for value in path:
                response.add("Path", value)                  # RFC 3327 5.3
        if asks_flow(message) and (len(source) > 2 or path):
            response.add("Require", "outbound")
            if not path:
                response.add("Flow-Timer", FLOW_TIMER_S)     # else the edge's matter
        transaction.reply(response, now_ms)
        if message.get("Contact") is not None:
            if self._without_flow and len(source) > 2:
                self.flow_opened(line, [address.uri for address in message.contacts()], source)
            self._changed["line/" + line] = True
            self._watch_line(line)
            self.qualifier.watch(line, now_ms)
        if changed:
            self._tell_line(line, known, line not in self.registrar.bindings)

    def _receive_bulk(self, message, user, source, now_ms):
        """A PBX registers for all its numbers (RFC 6140).  A user that is not there gets the challenge that all get."""
        trunk = None
        for known in self.trunks.values():
            if known.row["kind"] == "pbx" and known.row.get("incoming_user") == user:
                trunk = known
        if not self._authenticated(message, user, source, now_ms, _nobody if trunk is None else trunk.secret):
            return
        transaction = self.serve(message, source, NOBODY)
        try:
            seconds = bulk.bind(trunk, message, source, now_ms)
        except RemoteError as error:
            headers = (("Min-Expires", "%d" % bulk.LEAST_S),) if error.status == 423 else ()
            self.fault("bad_request", str(error), source)
            self.respond(transaction, error.status if error.status in (423, 500) else 400, now_ms, headers=headers)
            return
        response = self.response(message, 200, self._plain_tag(message), source)
        if seconds:
            contact = message.contacts()[0]
            response.add("Contact", "<%s>;expires=%d" % (contact.uri, seconds))
            for value in message.all("Path"):
                response.add("Path", value)
        transaction.reply(response, now_ms)

    def _line_that_asks(self, message, source, now_ms):
        """The line in From, or in the credentials where From names nobody, where it has shown its password; else None, and the challenge is out."""
        try:
            sender = message.from_address
            line = named_by(message.all("Authorization")) if is_anonymous(sender) else parse_uri(sender.uri).plain_user()
        except RemoteError:
            line = ""
        return line if self._authenticated(message, line, source, now_ms) else None

    def _receive_subscribe(self, message, source, now_ms):
        line = self._line_that_asks(message, source, now_ms)
        if line is not None:
            self.subscriptions.subscribe(message, line, source, now_ms)

    def _receive_publish(self, message, source, now_ms):
        if not self.publications.enabled:
            self.reply(message, source, 405, now_ms)
            return
        line = self._line_that_asks(message, source, now_ms)
        if line is not None:
            self.publications.receive(message, line, source, now_ms)

    def _receive_invite(self, message, source, now_ms):
        trunk = self.trunk_of(message, source)
        if trunk is not None:
            self._receive_trunk_call(trunk, message, source, now_ms)
            return
        if len(self.standing) >= self.config["max_legs"] and not self._is_urgent(message, {}):
            # before authentication: an overloaded switch spends nothing on what it refuses
            self.reply(message, source, 503, now_ms, headers=(("Retry-After", "10"),))
            return
        line = self._line_that_asks(message, source, now_ms)
        if line is None:
            return
        try:
            named = named_call(self, message)
        except RemoteError as error:
            self.fault("bad_request", str(error), source)
            self.reply(message, source, error.status, now_ms)
            return
        own = self.sessions.get(named.get("replaces"))
        if own is not None and own.line == line:
            self._take_over(own, message, source, now_ms)
        else:
            self._begin_session(message, line, None, source, now_ms, named)

    def _take_over(self, session, message, source, now_ms):
        """An INVITE that takes the place of a dialog of its own line (RFC 3891 3), as a page that was loaded anew."""
        refusal = _unfit_invite(message)
        try:
            if refusal is None:
                session.take_over(message, source, now_ms)
        except RemoteError as error:
            refusal = (error.status if error.status != 416 else 400, ())
        if refusal is not None:
            self.reply(message, source, refusal[0], now_ms, headers=refusal[1])

    def _is_urgent(self, message, row):
        """Whether an INVITE calls an emergency number, for which no limit holds.  row: of its trunk."""
        return called_of(message, row).encode() in self.guard.emergency

    def _receive_trunk_call(self, trunk, message, source, now_ms):
        """An INVITE of a SIP trunk.  A call that is too much is refused by itself: a 503 would keep all calls of the carrier away."""
        row = trunk.row
        naming = [token for token in message.tokens("Require") if token.lower() in NAMING]
        if naming:                      # of lines only
            self.reply(message, source, 420, now_ms, headers=(("Unsupported", ", ".join(naming)),))
        elif len(self.standing) >= self.config["max_legs"] and not self._is_urgent(message, row):
            self.reply(message, source, 480, now_ms, headers=(("Reason", reason_value(SWITCH_CONGESTION)),))
        elif self.trunk_load(trunk.name) >= row["channels"] and not self._is_urgent(message, row):
            self.count("trunk_full")
            self.reply(message, source, 486, now_ms, headers=(("Reason", reason_value(NO_CIRCUIT)),))
        elif row.get("incoming_user") and not self._authenticated(message, row["incoming_user"], source, now_ms, trunk.secret):
            return
        elif row.get("reliable") == "required" and "100rel" not in [token.lower() for token in message.tokens("Supported")
                                                                    + message.tokens("Require")]:
            self.reply(message, source, 421, now_ms, headers=(("Require", "100rel"),))
        elif "replaces" in [token.lower() for token in message.tokens("Require")]:
            self.reply(message, source, 420, now_ms, headers=(("Unsupported", "replaces"),))        # a carrier takes no dialog of ours over
        else:
            self._begin_session(message, None, trunk, source, now_ms)

    def _begin_session(self, message, line, trunk, source, now_ms, named=None):
        """A new incoming leg, its sender being authenticated.  named: of named_call()."""
        refusal = _unfit_invite(message)
        if refusal is not None:
            self.reply(message, source, refusal[0], now_ms, headers=refusal[1])
            return
        leg = self.new_leg()
        session = IncomingSession(self, leg, line)
        if trunk is not None:
            session.trunk = trunk.name
            session.wanted_s = trunk.row.get("session_s") or 0
        self.sessions[leg] = session
        try:
            session.start(message, source, now_ms, None if trunk is None else trunk.parties(message),
                          "off" if trunk is None else trunk.row.get("reliable", "off"), named)
        except RemoteError as error:
            del self.sessions[leg]
            self.touch(session)
            self.reply(message, source, error.status if error.status != 416 else 400, now_ms)
            return
        self.touch(session)


def _nobody(user, algorithm):
    """The secret of a user that is not there."""


def _unfit_invite(message):
    """(status, headers) where a new INVITE cannot be served (8.2.3), or None."""
    accepted = message.tokens("Accept")
    if accepted and not any([media_type(item) in (SDP, "application/*", "*/*") for item in accepted]):
        return 406, ()
    if too_brief(message):
        return 422, (("Min-SE", "%d" % MIN_SE_S),)
    if message.body:
        kind = media_type(message.get("Content-Type") or "")
        if kind != SDP:
            return 415, (("Accept", SDP),)
        if message.get("Content-Encoding") not in (None, "identity"):
            return 415, (("Accept-Encoding", "identity"),)
    return None
