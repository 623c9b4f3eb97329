"""Incoming legs: an INVITE of a line, from the indication to its ACK.  RFC 3261 9.2, 13.3."""

from firmware.proto.sip.causes import cause_of_reason, reason_value, status_of_cause
from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.parties import is_anonymous, wants_privacy
from firmware.proto.sip.referring import referrer_of
from firmware.proto.sip.reliable import ReliableSender
from firmware.proto.sip.session import ACCEPTED, ALERTING, CALLING, CALL_WAITING, CONFIRMED, ENDED, Session
from firmware.proto.sip.text import display
from firmware.proto.sip.timers import PROVISIONAL_MS
from firmware.proto.sip.uri import parse_uri


class IncomingSession(ReliableSender, Session):
    """A leg that calls us.  state "calling": indicated, 100 Trying is out."""

    __slots__ = ("invite", "ringing", "last_1xx")
    direction = "in"
    table = {
        (CALLING, "alerting_request"): ("do_alert", ALERTING),
        (ALERTING, "alerting_request"): ("do_alert", None),
        (CALLING, "answer_request"): ("do_answer", ACCEPTED),
        (ALERTING, "answer_request"): ("do_answer", ACCEPTED),
        (ALERTING, "reinvite_response"): ("do_reinvite_response", None),
        (ACCEPTED, "reinvite_response"): ("do_reinvite_response", None),
        (CALLING, "reject_request"): ("do_reject", None),
        (ALERTING, "reject_request"): ("do_reject", None),
        (CALLING, "release_request"): ("do_reject", None),
        (ALERTING, "release_request"): ("do_reject", None),
        (ACCEPTED, "release_request"): ("do_late_bye", None),
        (CONFIRMED, "release_request"): ("do_bye", None),
        (CONFIRMED, "reinvite_request"): ("do_reinvite", None),
        (CONFIRMED, "probe_request"): ("do_probe", None),
        (CONFIRMED, "info_request"): ("do_info", None),
        (CONFIRMED, "refer_outcome"): ("do_refer_outcome", None),
        (CONFIRMED, "reinvite_response"): ("do_reinvite_response", None),
    }

    def __init__(self, agent, leg, line):
        Session.__init__(self, agent, leg, line)
        self.invite = None           # its server transaction, until the final response
        self.ringing = None
        self.last_1xx = 180
        self.waiting_told = False    # who is called talks: the caller is told so while it rings

    def start(self, message, source, now_ms, parties=None, policy="off", named=None):
        """Take the INVITE.  Raises RemoteError(400) where no dialog can come of it.

        parties: {"called", "caller", ...} of a trunk's call, for the event.  policy: of reliable.py.
        named: the leg that it names (joining.py), for the event, too."""
        self.dialog = Dialog.from_request(message, self.agent.identity.tag(), source)
        self.invite = self.agent.serve(message, source, self)
        self.agent.learn(self.dialog, self)
        self.agent.respond(self.invite, 100, now_ms)
        self.begin_reliable(message, policy)
        self.note_allow(message)
        caller = message.from_address
        event = {"kind": "invite_indication", "leg": self.leg, "line": self.line, "sdp": message.body or None,
                 "host": self.invite.source[0]}
        if parties is None:
            parties = {"called": display(parse_uri(message.uri).plain_user().split(";")[0]),
                       "caller": display(parse_uri(caller.uri).plain_user()), "caller_name": display(caller.display)}
            referrer = referrer_of(message)
            if referrer is not None:
                parties["carried"] = {"referred_by": referrer}
            if wants_privacy(message):
                parties["caller_presentation"] = "restricted"
                if is_anonymous(caller):        # who it is, the switch knows by the password
                    parties.update(caller=self.line, caller_name="")
        event.update(parties)
        event.update(named or {})
        self.agent.emit(event)

    def _response(self, status, sdp):
        response = self.agent.response(self.invite.request, status, self.dialog.local_tag, self.invite.source)
        self.copy_routes(self.invite.request, response)
        self.fill(response, sdp)
        if self.waiting_told and status < 200:
            response.add("Alert-Info", CALL_WAITING)
        return response

    def do_alert(self, request, now_ms):
        """180, or what status says; sent again each minute."""
        status = request.get("status") or 180
        self.last_1xx = status
        self.waiting_told = bool(request.get("waiting"))
        if self.reliably:
            self.send_reliably(status, request.get("sdp"), now_ms)
        else:
            self.invite.reply(self._response(status, request.get("sdp")), now_ms)
        self.agent.timers.cancel(self.ringing)
        self.ringing = self.agent.timers.start(now_ms + PROVISIONAL_MS, self, "ringing")

    def do_answer(self, request, now_ms):
        """200 with the session description."""
        if self.unacknowledged is not None and self.unacknowledged[2]:
            self.waiting_answer = request["sdp"]        # RFC 3262 5: after the PRACK
            return
        self.stop_reliable()
        response = self._response(200, request["sdp"])
        self.grant_timer(self.invite.request, response, now_ms)
        transaction, self.invite = self.invite, None
        self.agent.timers.cancel(self.ringing)
        self.send_answer(transaction, response, not transaction.request.body, now_ms)

    def do_reject(self, request, now_ms):
        """A final error; status and cause come from each other where one is missing."""
        cause = request.get("cause")
        self.refuse(request.get("status") or status_of_cause(cause or 31), cause, "near", now_ms)

    def refuse(self, status, cause, by, now_ms):
        """The final error."""
        self.stop_reliable()
        transaction, self.invite = self.invite, None
        self.agent.timers.cancel(self.ringing)
        headers = (("Reason", reason_value(cause)),) if cause else ()
        self.agent.respond(transaction, status, now_ms, tag=self.dialog.local_tag, headers=headers)
        self.end(by, cause or 16, now_ms, status)

    def do_late_bye(self, request, now_ms):
        """Answered, but not acknowledged: BYE must wait for the ACK (15)."""
        if self.waiting_answer is not None:
            self.waiting_answer = None
            self.do_reject(request, now_ms)
            return
        self.bye_cause = request.get("cause") or 16
        self.end("near", self.bye_cause, now_ms)

    def fire(self, name, now_ms):
        """A timer of the session came."""
        if name == "ringing":
            if self.invite is not None and self.state == ALERTING:
                if self.reliably:
                    self.send_reliably(self.last_1xx, None, now_ms)
                else:
                    self.agent.send(self.invite.octets, self.invite.destination)
                self.ringing = self.agent.timers.start(now_ms + PROVISIONAL_MS, self, name)
            return
        if name in ("1xx again", "no prack"):
            self.fire_reliable(name, now_ms)
        Session.fire(self, name, now_ms)

    def receive_cancel(self, message, now_ms):
        """CANCEL of the INVITE: 487, unless it was answered already."""
        if self.invite is None:
            return
        transaction, self.invite = self.invite, None
        self.stop_reliable()
        self.waiting_answer = None
        self.agent.timers.cancel(self.ringing)
        self.agent.respond(transaction, 487, now_ms, tag=self.dialog.local_tag)
        self.end("far", cause_of_reason(message.all("Reason")) or 16, now_ms, 487)
        self.agent.touch(self)

    def receive_bye(self, transaction, now_ms):
        """BYE may come before the answer too (15.1.2)."""
        if self.invite is not None:
            invite, self.invite = self.invite, None
            self.stop_reliable()
            self.waiting_answer = None
            self.agent.timers.cancel(self.ringing)
            self.agent.respond(invite, 487, now_ms, tag=self.dialog.local_tag)
        Session.receive_bye(self, transaction, now_ms)

    def is_settled(self):
        """Our answer is out and acknowledged, perhaps before the call is answered (RFC 3311 5.1)."""
        return self.state == CONFIRMED or (self.sdp_settled and self.state != ENDED)

    def is_finished(self):
        """Ended, and no final response waits to be given."""
        return self.invite is None and Session.is_finished(self)

    # persistence

    def dump(self):
        """JSON-able record of the leg."""
        record = Session.dump(self)
        record["reliable"] = self.dump_reliable()
        record["last_1xx"] = self.last_1xx
        record["invite"] = None if self.invite is None else self.invite.dump()
        return record

    def load(self, record, now_ms):
        """Take over what dump() made."""
        Session.load(self, record, now_ms)
        self.last_1xx = record.get("last_1xx") or 180
        self.load_reliable(record.get("reliable"), now_ms)
        if record["invite"] is not None:
            self.invite = self.agent.transactions.restore_server(record["invite"], self, now_ms)

    def resume(self, record, now_ms):
        """An INVITE that waits goes on waiting."""
        if self.invite is not None and self.state == ALERTING:
            self.ringing = self.agent.timers.start(now_ms + PROVISIONAL_MS, self, "ringing")
        Session.resume(self, record, now_ms)
