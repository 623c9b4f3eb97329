"""The confirmed half of a leg: BYE, re-INVITE both ways, UPDATE, INFO, a dialog that takes its place.  RFC 3261 13-15, 3311, 3891, 6086.

Session is the base of OutgoingSession and IncomingSession, which bring it to "confirmed".  States:
calling, alerting (before the answer), accepted (we answered, no ACK yet), confirmed, ended.
An ended session stays until its last transactions are done; control does not see it any more.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.sip.causes import cause_of_reason, reason_value
from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.digest import answer_challenge
from firmware.proto.sip.headers import media_type, parse_list
from firmware.proto.sip.info import DigitsByINFO
from firmware.proto.sip.referring import Referring
from firmware.proto.sip.session_timer import MIN_SE_S, SessionTimer, too_brief
from firmware.proto.sip.text import hexadecimal
from firmware.proto.sip.text import octets as to_octets
from firmware.proto.sip.text import text as to_text
from firmware.proto.sip.transaction import NOBODY

CALLING = "calling"
ALERTING = "alerting"
ACCEPTED = "accepted"
CONFIRMED = "confirmed"
ENDED = "ended"

SDP = "application/sdp"
CALL_WAITING = "<urn:alert:service:call-waiting>"       # RFC 7462: of the INVITE to a telephone that talks, and of the 180 to who calls it
PROBE_MS = 4000                  # ours: OPTIONS in the dialog unanswered for so long; timer F takes 32 s
GLARE_TRIES = 5                  # ours: how often a re-INVITE is tried again after 491


class Session(SessionTimer, Referring, DigitsByINFO):
    """One leg.  agent: the endpoint (send, transactions, timers, identity, emit, touch).  trunk: name of its SIP trunk, or None."""

    # what every leg has; the halves' attributes, which few legs set, have defaults in their classes
    __slots__ = ("agent", "leg", "line", "trunk", "state", "dialog", "acknowledgement", "answer", "answer_offered", "pending", "successor",
                 "ours", "ours_sdp", "glare", "bye", "bye_cause", "probe", "probe_timer", "probe_until_ms", "last_cause", "challenged",
                 "retransmit", "waiting", "interval_ms")
    direction = None
    table = {}                   # (state, primitive) -> (method name, next state), of the subclass
    replaceable = (CONFIRMED,)   # states in which another telephone of the line may take the leg over

    def __init__(self, agent, leg, line):
        self.agent = agent
        self.leg = leg
        self.line = line
        self.trunk = None
        self.state = CALLING
        self.dialog = None
        self.acknowledgement = None   # [CSeq, octet text, destination] of the last ACK to a 2xx of ours
        self.answer = None            # server INVITE transaction whose 2xx waits for its ACK
        self.answer_offered = False   # our 2xx carried an offer: its ACK carries the answer
        self.pending = None           # server transaction of a re-INVITE or UPDATE that control owes an answer
        self.successor = None         # dialog of an INVITE with Replaces that is pending
        self.ours = None              # client transaction of our own re-INVITE
        self.ours_sdp = None
        self.glare = 0
        self.bye = None               # client transaction of our BYE
        self.bye_cause = None         # a BYE that waits for the ACK of our 2xx
        self.probe = None             # client transaction of our OPTIONS; not stored, control asks again
        self.probe_timer = None
        self.probe_until_ms = 0
        self.last_cause = 16
        self.challenged = {}
        self.retransmit = None
        self.waiting = None
        self.interval_ms = 0

    # what control asks for

    def primitive(self, request, now_ms):
        """Take a primitive through the table.  Raises LocalError where it does not fit."""
        kind = request["kind"]
        row = self.table.get((self.state, kind))
        if row is None:
            raise LocalError("leg %s: %s does not fit its state %s" % (self.leg, kind, self.state))
        method, state = row
        getattr(self, method)(request, now_ms)
        if state is not None and self.state != ENDED:
            self.state = state
        self.agent.touch(self)

    def do_bye(self, request, now_ms):
        """End a confirmed session."""
        cause = request.get("cause") or 16
        self.refuse_pending(now_ms)
        self.end("near", cause, now_ms)
        self.send_bye(cause, now_ms)

    def take_pending(self):
        """(transaction, dialog that takes over or None, our tag) of what waited for control's answer, and does no longer."""
        transaction, successor = self.pending, self.successor
        self.pending = self.successor = None
        return transaction, successor, transaction.request.to_tag if successor is None else successor.local_tag

    def refuse_pending(self, now_ms):
        """The leg ends: what waits for control's answer gets none (15.1.2)."""
        if self.pending is not None:
            transaction, _, tag = self.take_pending()
            self.agent.respond(transaction, 487, now_ms, tag=tag)

    def do_reinvite_response(self, request, now_ms):
        """Answer the far end's re-INVITE or UPDATE."""
        if self.pending is None:
            raise LocalError("leg %s: no re-INVITE waits for an answer" % self.leg)
        transaction, successor, tag = self.take_pending()
        if request.get("sdp") is None:
            self.agent.respond(transaction, request.get("status") or 488, now_ms, tag=tag)
            return
        response = self.agent.response(transaction.request, 200, tag, transaction.source)
        if successor is not None:
            self.move_to(successor, now_ms)
            self.copy_routes(transaction.request, response)
        self.fill(response, request["sdp"])
        if self.state == CONFIRMED:
            self.grant_timer(transaction.request, response, now_ms)
        if transaction.method == "INVITE":
            self.send_answer(transaction, response, not transaction.request.body, now_ms)
        else:
            transaction.reply(response, now_ms)
        if self.ours_sdp is not None and self.ours is None:
            self.ours_sdp = None          # ours met theirs (491) and waited: it was made before theirs was taken
            self.agent.emit({"kind": "reinvite_failed", "leg": self.leg, "status": 491})

    def take_over(self, message, source, now_ms):
        """An INVITE of the same line replaces the dialog, or what rings (RFC 3891 3): the leg stays, its far end is another.  Raises RemoteError."""
        dialog = Dialog.from_request(message, self.agent.identity.tag(), source)
        transaction = self.agent.serve(message, source, self)
        if self.state not in self.replaceable:
            self.agent.respond(transaction, 481, now_ms, tag=dialog.local_tag)
        elif self.pending is not None or self.answer is not None or self.ours is not None:
            self.agent.respond(transaction, 500, now_ms, tag=dialog.local_tag, headers=(("Retry-After", "2"),))
        else:
            self.agent.respond(transaction, 100, now_ms)
            self.pending, self.successor = transaction, dialog
            self.ask_pending()
        self.agent.touch(self)

    def ask_pending(self):
        """Have control answer what is pending."""
        event = {"kind": "reinvite", "leg": self.leg, "sdp": self.pending.request.body or None}
        if self.successor is not None:
            event["host"] = self.pending.source[0]
        self.agent.emit(event)

    def move_to(self, dialog, now_ms):
        """The successor is the dialog from now on; who had the one before gets a BYE, where it can still be reached."""
        bye = self.dialog.request("BYE", self.agent.identity)
        destination = self.dialog.hop()
        if destination is not None:
            self.agent.transactions.request(bye, destination, NOBODY, now_ms)
        self.agent.forget_dialog(self.dialog)
        self.dialog = dialog
        self.agent.learn(dialog, self)

    @staticmethod
    def copy_routes(request, response):
        """What proxies want of a dialog that begins (RFC 3261 12.1.1)."""
        for route in parse_list(request.all("Record-Route"), "Record-Route"):
            response.add("Record-Route", route)

    def do_reinvite(self, request, now_ms):
        """Send our own re-INVITE."""
        if self.ours is not None or self.pending is not None or self.answer is not None:
            raise LocalError("leg %s: another offer is under way; wait for its answer" % self.leg)
        self.ours_sdp = request["sdp"]
        self.glare = 0
        self.send_reinvite(None, now_ms)

    def do_probe(self, request, now_ms):
        """Ask by OPTIONS whether the far end still has the dialog; 481, or silence that lasts until until_ms, ends the leg (12.2.1.2).

        Another question takes the place of one that is out."""
        self.probe_until_ms = request.get("until_ms", 0)
        self.agent.timers.cancel(self.probe_timer)
        message = self.dialog.request("OPTIONS", self.agent.identity)
        message.add("Accept", SDP)
        self.probe = self.send_request(message, now_ms)
        self.probe_timer = self.agent.timers.start(now_ms + PROBE_MS, self, "no sign of life")

    def probed(self, status, now_ms):
        """The outcome of our OPTIONS; a refusal is a sign of life too, but not an edge proxy's word that the flow is gone (RFC 5626 11.6)."""
        self.probe = None
        self.agent.timers.cancel(self.probe_timer)
        if self.state == ENDED or (status in (408, 430) and now_ms < self.probe_until_ms):
            return
        if status not in (408, 430, 481):
            self.agent.emit({"kind": "alive", "leg": self.leg})
        else:
            self.agent.count("lost_far_ends")
            self.end("failure", 41, now_ms, status)
            self.send_bye(41, now_ms)

    # sending

    def fill(self, message, sdp):
        """Body, Contact and capabilities of an INVITE, or of a response to one."""
        message.replace("Contact", self.agent.identity.contact_of(message.via.transport))
        message.replace("Allow", self.agent.allow)
        if self.line is not None:
            message.add("Supported", "replaces, join")
        if sdp:
            message.replace("Content-Type", SDP)
            message.body = sdp

    def send_request(self, message, now_ms):
        """Send a request of the dialog in its own transaction; None where it has no address."""
        try:
            destination = self.dialog.next_hop()
        except RemoteError as error:
            self.agent.fault("unroutable", str(error), None)
            return None
        return self.agent.transactions.request(message, destination, self, now_ms)

    def send_bye(self, cause, now_ms, authorization=None):
        """Send BYE (15.1.1)."""
        self.last_cause = cause
        message = self.dialog.request("BYE", self.agent.identity)
        message.add("Reason", reason_value(cause))
        if authorization:
            message.add(authorization[0], authorization[1])
        self.bye = self.send_request(message, now_ms)

    def send_reinvite(self, authorization, now_ms):
        """Send or repeat our re-INVITE (14.1)."""
        message = self.dialog.request("INVITE", self.agent.identity)
        self.fill(message, self.ours_sdp)
        if self.timer_s:
            message.add("Supported", "timer")
            self.ask_timer(message)
        if authorization:
            message.add(authorization[0], authorization[1])
        self.ours = self.send_request(message, now_ms)
        if self.ours is None:
            self.agent.emit({"kind": "reinvite_failed", "leg": self.leg, "status": 503})

    def send_ack(self, dialog, cseq, request, now_ms):
        """ACK to a 2xx, a request of its own (13.2.2.4); credentials are those of the INVITE."""
        message = dialog.request("ACK", self.agent.identity, cseq)
        for name in ("Authorization", "Proxy-Authorization"):
            for value in request.all(name) if request is not None else ():
                message.add(name, value)
        octets = message.serialise()
        destination = dialog.next_hop()
        self.agent.send(octets, destination)
        return [cseq, to_text(octets), list(destination)]

    def send_answer(self, transaction, response, offered, now_ms):
        """Send a 2xx to an INVITE, again and again until its ACK comes (13.3.1.4)."""
        transaction.reply(response, now_ms)
        self.answer = transaction
        self.answer_offered = offered
        self.watch_answer(now_ms)

    def watch_answer(self, now_ms):
        """Start the timers of an answer that waits for its ACK."""
        self.interval_ms = self.agent.durations["T1"]
        self.retransmit = self.agent.timers.start(now_ms + self.interval_ms, self, "answer again")
        self.waiting = self.agent.timers.start(now_ms + self.agent.durations["H"][0], self, "no ack")

    def fire(self, name, now_ms):
        """A timer of the session came."""
        if name == "session timer":
            self.timer_due(now_ms)
        elif name == "answer again" and self.answer is not None:
            self.agent.count("retransmissions")
            self.agent.send(self.answer.octets, self.answer.destination)
            self.interval_ms = min(self.interval_ms * 2, self.agent.durations["T2"])
            self.retransmit = self.agent.timers.start(now_ms + self.interval_ms, self, name)
        elif name == "no ack" and self.answer is not None:
            self.answer = None
            self.agent.timers.cancel(self.retransmit)
            if self.state != ENDED:
                self.end("failure", 102, now_ms, 408)
                self.send_bye(102, now_ms)
            elif self.bye_cause is not None:
                self.send_bye(self.bye_cause, now_ms)
            self.bye_cause = None
        elif name == "no sign of life":
            self.probed(408, now_ms)
        elif name == "glare" and self.state == CONFIRMED and self.ours_sdp is not None and self.ours is None:
            if self.pending is None and self.answer is None:
                self.send_reinvite(None, now_ms)
            else:
                self.agent.timers.start(now_ms + self.agent.durations["T1"], self, name)
        self.agent.touch(self)

    # ending

    def end(self, by, cause, now_ms, sip_status=None):
        """Tell control that the leg is over.  What is still to be sent goes on without it."""
        if self.state == ENDED:
            return
        self.state = ENDED
        self.stop_timer()
        event = {"kind": "released", "leg": self.leg, "cause": cause, "by": by}
        if sip_status:
            event["sip_status"] = sip_status
        self.agent.emit(event)

    def is_finished(self):
        """True where nothing of an ended session remains to be done."""
        return (self.state == ENDED and self.bye is None and self.answer is None and self.pending is None
                and self.bye_cause is None)

    def is_stored(self):
        """Whether a process that begins after this one must know of it."""
        return True

    # requests of the far end in the dialog

    def receive_ack(self, message, now_ms):
        """ACK to our 2xx."""
        if self.answer is None or message.cseq[0] != self.answer.request.cseq[0]:
            return
        self.answer.fold()
        self.answer = None
        self.agent.timers.cancel(self.retransmit)
        self.agent.timers.cancel(self.waiting)
        if self.state == ENDED:
            if self.bye_cause is not None:
                cause, self.bye_cause = self.bye_cause, None
                self.send_bye(cause, now_ms)
        else:
            self.state = CONFIRMED
            if self.answer_offered and message.body:
                self.agent.emit({"kind": "sdp_answer", "leg": self.leg, "sdp": message.body})
        self.agent.touch(self)

    def receive_request(self, message, source, now_ms):
        """A request with our tags, not ACK and not CANCEL (12.2.2)."""
        dialog = self.dialog_for(message.from_tag)
        if dialog.remote_cseq is not None and message.cseq[0] <= dialog.remote_cseq:
            self.agent.reply(message, source, 500, now_ms, tag=dialog.local_tag)
            return
        dialog.remote_cseq = message.cseq[0]
        if dialog.peer is not None or (len(source) > 2 and self.trunk is None):
            dialog.peer = source          # the NAT may have bound the telephone anew, or it has opened another connection
        transaction = self.agent.serve(message, source, self)
        method = message.method
        if self.state == ENDED and method != "BYE":
            self.agent.respond(transaction, 481, now_ms, tag=dialog.local_tag)
        elif method == "BYE":
            self.receive_bye(transaction, now_ms)
        elif method == "REFER":
            self.receive_refer(transaction, now_ms)
        elif method == "PRACK":
            self.receive_prack(transaction, now_ms)
        elif method in ("INVITE", "UPDATE"):
            self.receive_offer(transaction, now_ms)
        elif method == "INFO":
            self.receive_info(transaction, now_ms)
        elif method == "OPTIONS":
            response = self.agent.response(message, 200, dialog.local_tag, source)
            response.add("Allow", self.agent.allow)
            response.add("Accept", SDP)
            transaction.reply(response, now_ms)
        else:
            self.agent.respond(transaction, 405, now_ms, tag=dialog.local_tag)
        self.agent.touch(self)

    def dialog_for(self, tag):
        """The dialog that a request of the far end's tag belongs to, or None."""
        return self.dialog if self.dialog is not None and self.dialog.remote_tag == tag else None

    def receive_prack(self, transaction, now_ms):
        """PRACK where no provisional response waits for one."""
        self.agent.respond(transaction, 481, now_ms, tag=transaction.request.to_tag)

    def is_settled(self):
        """Whether the first offer and answer are done: another offer may come."""
        return self.state == CONFIRMED

    def receive_bye(self, transaction, now_ms):
        """15.1.2: what is pending is answered 487, then the session ends."""
        self.agent.respond(transaction, 200, now_ms, tag=transaction.request.to_tag)
        self.refuse_pending(now_ms)
        self.answer = None
        self.bye_cause = None
        self.agent.timers.cancel(self.retransmit)
        self.agent.timers.cancel(self.waiting)
        self.end("far", cause_of_reason(transaction.request.all("Reason")) or 16, now_ms)

    def receive_offer(self, transaction, now_ms):
        """A re-INVITE or UPDATE (14.2; RFC 3311 5.2).  One without an offer in an UPDATE only refreshes."""
        message = transaction.request
        dialog = self.dialog_for(message.from_tag)
        tag = dialog.local_tag
        if too_brief(message):
            self.agent.respond(transaction, 422, now_ms, tag=tag, headers=(("Min-SE", "%d" % MIN_SE_S),))
            return
        if self.pending is not None or self.answer is not None:
            self.agent.respond(transaction, 500, now_ms, tag=tag, headers=(("Retry-After", "2"),))
            return
        if self.ours is not None or (self.state != CONFIRMED and message.method == "INVITE"):
            self.agent.respond(transaction, 491, now_ms, tag=tag)
            return
        if message.body and media_type(message.get("Content-Type") or "") != SDP:
            self.agent.respond(transaction, 415, now_ms, tag=tag, headers=(("Accept", SDP),))
            return
        contacts = message.contacts()
        if contacts:
            dialog.target = contacts[0].uri
        if message.method == "UPDATE" and not message.body:
            response = self.agent.response(message, 200, tag, transaction.source)
            self.fill(response, None)
            if self.state == CONFIRMED:
                self.grant_timer(message, response, now_ms)
            transaction.reply(response, now_ms)
            return
        if not self.is_settled():
            self.agent.respond(transaction, 500, now_ms, tag=tag, headers=(("Retry-After", "2"),))
            return
        if message.method == "INVITE":
            self.agent.respond(transaction, 100, now_ms)
        self.pending = transaction
        self.ask_pending()

    # outcomes of our own requests

    def authorization(self, response, message, now_ms):
        """(header, value) that answers a 401 or 407, or None.  Each method is challenged twice at most."""
        tries = self.challenged.get(message.method, 0)
        if response.status not in (401, 407) or tries >= 2:
            return None
        self.challenged[message.method] = tries + 1
        proxy = response.status == 407
        value = answer_challenge(response.all("Proxy-Authenticate" if proxy else "WWW-Authenticate"), message.method,
                                 message.uri, self.agent.credentials_of(self), self.agent.hash_functions,
                                 hexadecimal(self.agent.random(8)))
        return None if value is None else ("Proxy-Authorization" if proxy else "Authorization", value)

    def response(self, transaction, response, now_ms):
        """A response to our BYE or re-INVITE."""
        if transaction is self.bye:
            if response.status >= 200:
                authorization = self.authorization(response, transaction.request, now_ms)
                self.bye = None
                if authorization is not None:
                    self.send_bye(self.last_cause, now_ms, authorization)
        elif transaction is self.refresh:
            self.updated(response, now_ms)
        elif transaction is self.telling:
            self.digit_told(response, now_ms)
        elif transaction.method == "OPTIONS":
            if transaction is self.probe and response.status >= 200:
                self.probed(response.status, now_ms)
        elif transaction.method == "INVITE":
            self.reinvite_response(transaction, response, now_ms)
        self.agent.touch(self)

    def reinvite_response(self, transaction, response, now_ms):
        """14.1: 491 is tried again, 481 and 408 end the dialog, other refusals leave it as it was."""
        status = response.status
        if status < 200:
            return
        if status < 300:
            if transaction is self.ours:
                self.ours = None
                self.ours_sdp = None
                contacts = response.contacts()
                if contacts:
                    self.dialog.target = contacts[0].uri
                self.acknowledgement = self.send_ack(self.dialog, transaction.request.cseq[0], transaction.request,
                                                     now_ms)
                if self.state != ENDED:
                    self.accept_timer(response, now_ms)
                    self.agent.emit({"kind": "reinvited", "leg": self.leg, "sdp": response.body or None})
            else:
                self.repeat_ack(response, self.acknowledgement)
            return
        if transaction is not self.ours:
            return
        self.ours = None
        authorization = self.authorization(response, transaction.request, now_ms)
        if self.state == ENDED:
            return
        if authorization is not None:
            self.send_reinvite(authorization, now_ms)
        elif status == 491 and self.glare < GLARE_TRIES:
            self.glare += 1
            # the owner of the Call-ID waits 2.1 to 4 s, the other up to 2 s, in steps of 10 ms
            drawn = self.agent.random(1)[0]
            wait_ms = 2100 + drawn % 191 * 10 if self.direction == "out" else drawn % 201 * 10
            self.agent.timers.start(now_ms + wait_ms, self, "glare")
        else:
            self.ours_sdp = None
            if status in (408, 481):
                self.end("failure", 41 if status == 481 else 102, now_ms, status)
                self.send_bye(41, now_ms)
            else:
                self.agent.emit({"kind": "reinvite_failed", "leg": self.leg, "status": status})

    def repeat_ack(self, response, stored):
        """A 2xx came again: its ACK was lost.  stored: as acknowledgement."""
        if stored is not None and stored[0] == response.cseq[0]:
            self.agent.count("retransmissions")
            self.agent.send(to_octets(stored[1]), tuple(stored[2]))

    def late_success(self, response, source, now_ms):
        """A 2xx to an INVITE whose transaction is gone (after a restart, or another branch)."""
        if self.dialog is None or response.to_tag != self.dialog.remote_tag:
            return
        cseq = response.cseq[0]
        if self.acknowledgement is not None and self.acknowledgement[0] >= cseq:
            self.repeat_ack(response, self.acknowledgement)
        elif cseq <= self.dialog.local_cseq:
            # the answer to a re-INVITE of the process before this one; it counted as failed there
            self.acknowledgement = self.send_ack(self.dialog, cseq, None, now_ms)
            self.agent.touch(self)

    def failed(self, transaction, status, now_ms):
        """Our BYE or re-INVITE was not answered at all."""
        if transaction is self.bye:
            self.bye = None
        elif transaction is self.telling:
            self.digit_told(None, now_ms)
        elif transaction is self.refresh:
            self.refresh = None
            if self.state != ENDED:
                self.end("failure", 102, now_ms, status)
                self.send_bye(102, now_ms)
        elif transaction is self.ours:
            self.ours = None
            self.ours_sdp = None
            if self.state != ENDED:
                self.end("failure", 102, now_ms, status)
                self.send_bye(102, now_ms)
        self.agent.touch(self)

    def unacknowledged(self, transaction, now_ms):
        """A refusal of ours was never acknowledged: nothing to do."""

    def finished(self, transaction, now_ms):
        """A transaction ended."""
        self.agent.touch(self)

    # persistence

    def dump(self):
        """JSON-able record of the leg."""
        return {"direction": self.direction, "leg": self.leg, "line": self.line, "trunk": self.trunk, "state": self.state,
                "timer": self.dump_timer(),
                "dialog": None if self.dialog is None else self.dialog.dump(),
                "acknowledgement": self.acknowledgement, "answer_offered": self.answer_offered,
                "answer": None if self.answer is None else self.answer.dump(),
                "pending": None if self.pending is None else self.pending.dump(),
                "successor": None if self.successor is None else self.successor.dump(),
                "ours": None if self.ours_sdp is None else to_text(self.ours_sdp),
                "bye": self.bye is not None, "bye_cause": self.bye_cause, "last_cause": self.last_cause}

    def load(self, record, now_ms):
        """Take over what dump() made."""
        self.state = record["state"]
        self.trunk = record.get("trunk")
        self.load_timer(record.get("timer"))
        if record["dialog"] is not None:
            self.dialog = Dialog.restore(record["dialog"])
        self.acknowledgement = record["acknowledgement"]
        self.answer_offered = record["answer_offered"]
        self.bye_cause = record["bye_cause"]
        self.last_cause = record["last_cause"]
        transactions = self.agent.transactions
        if record["answer"] is not None:
            self.answer = transactions.restore_server(record["answer"], self, now_ms)
        if record["pending"] is not None:
            self.pending = transactions.restore_server(record["pending"], self, now_ms)
        if record.get("successor") is not None:
            self.successor = Dialog.restore(record["successor"])

    def resume(self, record, now_ms):
        """After a restart: go on with what was under way.  Our own re-INVITE counts as failed."""
        if self.answer is not None:
            self.watch_answer(now_ms)
        if record["bye"] and self.dialog is not None:
            self.send_bye(self.last_cause, now_ms)
        if self.state == ENDED:
            self.refuse_pending(now_ms)
            return
        if record["ours"] is not None:
            self.agent.emit({"kind": "reinvite_failed", "leg": self.leg, "status": 500})
        if self.pending is not None:
            self.ask_pending()
