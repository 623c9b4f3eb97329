"""Outgoing legs: one INVITE to each telephone of a line, the first answer wins.  RFC 3261 9, 13.2, 16.7.

A telephone with several flows is called over one; where that one is gone (430 of its edge proxy, no connection, no answer at all) the
next is taken (RFC 5626 5.3.1, 6).

Each contact is called in a fork with a Call-ID of its own: a telephone that is registered twice would
refuse a second INVITE with the same one as merged (8.2.2.2).
"""

from firmware.proto.sip.causes import cause_of_reason, cause_of_status, phrase, reason_value
from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.headers import Address
from firmware.proto.sip.message import SIPMessage
from firmware.proto.sip.referring import name_referrer
from firmware.proto.sip.reliable import ReliableReceiver, dump_early, load_early
from firmware.proto.sip.session import ALERTING, CALLING, CALL_WAITING, CONFIRMED, ENDED, Session
from firmware.proto.sip.session_timer import LONGEST_S, min_se
from firmware.proto.sip.text import display, octet_text
from firmware.proto.sip.transaction import NOBODY, PROCEEDING
from firmware.proto.sip.transport import transport_of
from firmware.proto.sip.uri import user_uri

ANSWERED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'     # RFC 3326 2: no missed call is shown
FLOW_FAILED = 430                # RFC 5626 11.6
_NO_PREFERENCE = 4               # responses that say nothing of the callee: 16.7 step 6


class Fork:
    """The INVITE to one contact."""
    __slots__ = ("number", "dialog", "request", "transaction", "destination", "provisional", "cancelled", "done",
                 "cancel_reason", "early", "flows", "refused")

    def __init__(self, number, dialog, request, destination):
        self.number = number
        self.dialog = dialog
        self.request = request
        self.destination = destination
        self.transaction = None
        self.provisional = False
        self.cancelled = False
        self.cancel_reason = None
        self.done = False
        self.early = {}              # To tag -> [Dialog, last RSeq]: reliable.py
        self.flows = []              # other ways to the same telephone
        self.refused = {}            # To tag of a 2xx that was ended -> its ACK, as Session.acknowledgement

    def dump(self):
        """JSON-able copy."""
        return {"number": self.number, "dialog": self.dialog.dump(), "transaction": self.transaction.dump(),
                "destination": list(self.destination), "provisional": self.provisional,
                "cancelled": self.cancelled, "done": self.done, "early": dump_early(self.early), "refused": self.refused}

    @classmethod
    def restore(cls, record):
        """The inverse of dump(), without transaction and request."""
        fork = cls(record["number"], Dialog.restore(record["dialog"]), None, tuple(record["destination"]))
        fork.provisional = record["provisional"]
        fork.cancelled = record["cancelled"]
        fork.done = record["done"]
        fork.early = load_early(record.get("early"))
        fork.refused = record.get("refused") or {}
        return fork


class OutgoingSession(ReliableReceiver, Session):
    """A leg that we call."""

    __slots__ = ("forks", "best", "early_sdp", "order")
    direction = "out"
    replaceable = (CALLING, ALERTING, CONFIRMED)
    table = {
        (CALLING, "release_request"): ("do_cancel", None),
        (CALLING, "reinvite_response"): ("do_reinvite_response", None),
        (ALERTING, "release_request"): ("do_cancel", None),
        (ALERTING, "reinvite_response"): ("do_reinvite_response", None),
        (CONFIRMED, "release_request"): ("do_bye", None),
        (CONFIRMED, "reinvite_request"): ("do_reinvite", None),
        (CONFIRMED, "probe_request"): ("do_probe", None),
        (CONFIRMED, "info_request"): ("do_info", None),
        (CONFIRMED, "refer_outcome"): ("do_refer_outcome", None),
        (CONFIRMED, "reinvite_response"): ("do_reinvite_response", None),
    }

    def __init__(self, agent, leg, line):
        Session.__init__(self, agent, leg, line)
        self.forks = []
        self.best = None             # (status, cause, text, contacts) of the best refusal
        self.early_sdp = None
        self.order = {}              # the invite_request; not stored, for an INVITE of a process before is not sent anew

    def start(self, request, telephones, now_ms):
        """Send the INVITEs.  telephones: [[(URI text, (host, port), behind NAT, [Route values])]], the first of each is called."""
        agent = self.agent
        identity = agent.identity
        self.order = request
        name = octet_text(request.get("caller_name") or "")
        caller = user_uri(octet_text(request.get("caller") or "anonymous"), identity.address, None)
        for flows in telephones:
            uri, destination, nat, path = flows[0]
            callee = user_uri(octet_text(self.line), identity.address) if self.line else uri
            dialog = Dialog(identity.call_id(), identity.tag(), str(Address(caller, name)), "<%s>" % callee, uri)
            if nat:
                dialog.peer = destination
            dialog.routes = list(path)
            message = dialog.request("INVITE", identity, hop=destination)
            self.fill(message, request["sdp_web"] if request.get("sdp_web") and transport_of(destination) in ("WS", "WSS") else request["sdp"])
            self.dress(message)
            fork = Fork(len(self.forks), dialog, message, destination)
            fork.flows = list(flows[1:])
            self.forks.append(fork)
            agent.learn(dialog, self)
        for fork in self.forks:
            fork.transaction = agent.transactions.request(fork.request, fork.destination, self, now_ms)

    def dress(self, message):
        """What the INVITE bears besides, each time that it is sent."""
        identity = self.agent.identity
        if self.order.get("auto_answer"):
            # No RFC has it: what telephones of several makers take; answer-after is of the Call-Info of RFC 3261 20.9.
            message.add("Call-Info", "<sip:%s>;answer-after=0" % identity.address)
            message.add("Alert-Info", "<http://%s>;info=alert-autoanswer;delay=0" % identity.address)
        if self.order.get("waiting"):
            message.add("Alert-Info", CALL_WAITING)
        name_referrer(message, self.order.get("referred_by"), identity)

    def dialog_for(self, tag):
        """The dialog of a far end's tag: ours, or one that rings."""
        return Session.dialog_for(self, tag) or (self.early_dialog(tag) if self.dialog is None else None)

    def is_settled(self):
        """An answer came reliably, perhaps before the call is answered (RFC 3311 5.1)."""
        return self.state == CONFIRMED or (self.state == ALERTING and self.early_sdp is not None
                                           and any([fork.early for fork in self.forks]))

    def fork_of(self, transaction):
        """The fork whose INVITE a transaction is, or None."""
        for fork in self.forks:
            if fork.transaction is transaction:
                return fork
        return None

    # release before the answer

    def do_cancel(self, request, now_ms):
        """End a leg that has not answered."""
        cause = request.get("cause") or 16
        self.refuse_pending(now_ms)
        self.end("near", cause, now_ms)
        self.cancel_all(ANSWERED_ELSEWHERE if cause == 26 else reason_value(cause), now_ms)

    def cancel_all(self, reason, now_ms, spare=None):
        """CANCEL every fork but one."""
        for fork in self.forks:
            if fork is not spare and not fork.done and not fork.cancelled:
                fork.cancelled = True
                fork.cancel_reason = reason
                if fork.provisional:
                    self.send_cancel(fork, now_ms)

    def move_to(self, dialog, now_ms):
        """Who takes over what rings has answered it; the telephones that ring are told so."""
        if self.dialog is not None:
            Session.move_to(self, dialog, now_ms)
            return
        self.dialog, self.state = dialog, CONFIRMED
        self.agent.learn(dialog, self)
        self.cancel_all(ANSWERED_ELSEWHERE, now_ms)
        self.agent.emit({"kind": "taken", "leg": self.leg})

    def send_cancel(self, fork, now_ms):
        """CANCEL: the INVITE's own branch, number and way (9.1); only after a provisional response."""
        invite = fork.transaction.request
        message = SIPMessage("CANCEL", invite.uri)
        for name in ("Via", "Route", "From", "To", "Call-ID"):
            for value in invite.all(name):
                message.add(name, value)
        message.add("CSeq", "%d CANCEL" % invite.cseq[0])
        message.add("Max-Forwards", "70")
        if fork.cancel_reason:
            message.add("Reason", fork.cancel_reason)
        self.agent.transactions.request(message, fork.destination, NOBODY, now_ms)
        fork.transaction.give_up_after_b(now_ms)

    # responses

    def response(self, transaction, response, now_ms):
        """A response to an INVITE of ours, or to what came after it."""
        fork = self.fork_of(transaction)
        if fork is None:
            Session.response(self, transaction, response, now_ms)
            return
        status = response.status
        if status < 200:
            self.progress(fork, response, now_ms)
        elif status < 300:
            self.success(fork, response, fork.destination, now_ms)
        else:
            self.refusal(fork, response, now_ms)
        self.agent.touch(self)

    def progress(self, fork, response, now_ms):
        """A provisional response."""
        if not fork.provisional:
            fork.provisional = True
            if fork.cancelled:
                self.send_cancel(fork, now_ms)
        if response.status == 100 or fork.cancelled or self.state not in (CALLING, ALERTING):
            return
        if not self.take_reliable(fork, response, now_ms):
            return
        self.state = ALERTING
        sdp = response.body or None
        if sdp is not None:
            self.early_sdp = sdp
        self.agent.emit({"kind": "alerting", "leg": self.leg, "status": response.status, "sdp": sdp})

    def success(self, fork, response, source, now_ms):
        """A 2xx.  Ours is the first one; another one is acknowledged and ended (13.2.2.4)."""
        if self.dialog is fork.dialog and response.to_tag == fork.dialog.remote_tag:
            self.repeat_ack(response, self.acknowledgement)
            return
        if self.dialog is None and self.state in (CALLING, ALERTING) and not fork.cancelled:
            fork.done = True
            early = fork.early.get(response.to_tag)
            if early is not None:
                early[0].local_tag = fork.dialog.local_tag
                fork.dialog = early[0]           # its numbers go on from our PRACK
            fork.dialog.established(response, source)
            self.dialog = fork.dialog
            self.state = CONFIRMED
            self.acknowledgement = self.send_ack(self.dialog, response.cseq[0], fork.transaction.request, now_ms)
            fork.request, self.order = None, {}         # nothing will be asked for again
            self.accept_timer(response, now_ms)
            self.agent.emit({"kind": "answered", "leg": self.leg, "sdp": response.body or self.early_sdp,
                             "host": source[0] if source else None})
            self.cancel_all(ANSWERED_ELSEWHERE, now_ms, fork)
            return
        self.refuse_success(fork, response, source, now_ms)

    def refuse_success(self, fork, response, source, now_ms):
        """ACK and BYE to a 2xx that comes too late, or of a second far end; where it comes again, only its ACK was lost (RFC 6026 7.1)."""
        if response.to_tag in fork.refused:
            self.repeat_ack(response, fork.refused[response.to_tag])
            return
        dialog = Dialog.restore(fork.dialog.dump())
        dialog.local_cseq = response.cseq[0]
        dialog.remote_tag = None
        dialog.established(response, source)
        fork.done = True
        fork.refused[response.to_tag] = self.send_ack(dialog, response.cseq[0], None if fork.transaction is None else fork.transaction.request, now_ms)
        message = dialog.request("BYE", self.agent.identity)
        message.add("Reason", reason_value(16))
        self.agent.transactions.request(message, dialog.next_hop(), NOBODY, now_ms)

    def refusal(self, fork, response, now_ms):
        """A final response of 300 and above."""
        authorization = None if fork.cancelled else self.authorization(response, fork.transaction.request, now_ms)
        longer = (response.status == 422 and not fork.cancelled and self.wanted_s and min_se(response) > self.least_s
                  and min_se(response) <= LONGEST_S)
        if authorization is not None or longer:
            if longer:
                self.least_s = min_se(response)
            message = fork.dialog.request("INVITE", self.agent.identity, hop=fork.destination)
            self.dress(message)
            self.fill(message, fork.request.body)
            if authorization is not None:
                message.add(authorization[0], authorization[1])
            fork.early = {}
            fork.request = message
            fork.provisional = False
            fork.transaction = self.agent.transactions.request(message, fork.destination, self, now_ms)
            return
        if response.status == FLOW_FAILED:
            self.agent.flow_failed(self.line, fork.dialog.target, (fork.destination, fork.dialog.routes), now_ms)
            if self._next_flow(fork, now_ms):
                return
        contacts = []
        if response.status < 400:
            contacts = [address.uri for address in response.contacts()]
        self.fork_failed(fork, response.status, cause_of_reason(response.all("Reason")),
                         display(response.reason[:80]), contacts, now_ms)

    def _next_flow(self, fork, now_ms):
        """Call the same telephone over its next flow.  False: there is none, or the call has gone on."""
        if not fork.flows or fork.cancelled or self.state not in (CALLING, ALERTING):
            return False
        agent, (uri, destination, nat, path) = self.agent, fork.flows.pop(0)
        agent.count("next_flows")
        dialog = fork.dialog
        dialog.target, dialog.routes, dialog.peer = uri, list(path), destination if nat else None
        message = dialog.request("INVITE", agent.identity, hop=destination)
        self.fill(message, fork.request.body)
        self.dress(message)
        fork.early, fork.provisional = {}, False
        fork.destination, fork.request = destination, message
        fork.transaction = agent.transactions.request(message, destination, self, now_ms)
        return True

    def fork_failed(self, fork, status, cause, words, contacts, now_ms):
        """One fork is over; the last one, or a 6xx, ends the leg."""
        fork.done = True
        if self.state not in (CALLING, ALERTING):
            return
        if cause is None:
            cause = cause_of_status(status)
        if self.best is None or _rank(status) < _rank(self.best[0]):
            self.best = (status, cause, words, contacts)
        if status >= 600:
            self.cancel_all(None, now_ms, fork)
        elif any([not other.done for other in self.forks]):
            return
        self.state = ENDED
        self.agent.emit({"kind": "rejected", "leg": self.leg, "status": self.best[0], "cause": self.best[1],
                         "text": self.best[2], "contacts": self.best[3]})

    def failed(self, transaction, status, now_ms):
        """No final response came."""
        fork = self.fork_of(transaction)
        if fork is None:
            Session.failed(self, transaction, status, now_ms)
            return
        if not fork.provisional and self.line is not None:
            self.agent.unanswered(self.line, fork.dialog.target, now_ms, (fork.destination, fork.dialog.routes))
            if self._next_flow(fork, now_ms):
                self.agent.touch(self)
                return
        self.fork_failed(fork, status, None, phrase(status), [], now_ms)
        self.agent.touch(self)

    def finished(self, transaction, now_ms):
        """A transaction ended; an INVITE that can change nothing any more is forgotten."""
        fork = self.fork_of(transaction)
        if fork is not None and fork.done and self.state not in (CALLING, ALERTING):
            fork.transaction = fork.request = None
        Session.finished(self, transaction, now_ms)

    def late_success(self, response, source, now_ms):
        """A 2xx without its transaction: after a restart, or of a second far end behind a proxy."""
        if self.dialog is not None and response.call_id == self.dialog.call_id \
                and response.to_tag == self.dialog.remote_tag:
            Session.late_success(self, response, source, now_ms)
            return
        for fork in self.forks:
            if fork.dialog.call_id == response.call_id and fork.dialog.local_tag == response.from_tag:
                self.success(fork, response, source, now_ms)
                self.agent.touch(self)
                return

    def is_finished(self):
        """Ended, and no INVITE can bring a 2xx any more."""
        return Session.is_finished(self) and not self._under_way()

    def is_stored(self):
        """Not where it is over and only the 2xx of its own dialog may come once more: a process that does not know it lets that pass."""
        return not Session.is_finished(self) or any([fork.dialog is not self.dialog for fork in self._under_way()])

    def _under_way(self):
        """Forks whose INVITE may still bring something."""
        live = self.agent.transactions.clients
        return [fork for fork in self.forks if fork.transaction is not None and live.get(fork.transaction.key) is fork.transaction]

    # persistence

    def dump(self):
        """JSON-able record; forks only while an INVITE of theirs is under way."""
        record = Session.dump(self)
        record["forks"] = [fork.dump() for fork in self._under_way()]
        return record

    def load(self, record, now_ms):
        """Take over what dump() made."""
        Session.load(self, record, now_ms)
        for fork_record in record["forks"]:
            fork = Fork.restore(fork_record)
            if self.dialog is not None and fork.dialog.call_id == self.dialog.call_id:
                fork.dialog = self.dialog
            self.forks.append(fork)
            self.agent.learn(fork.dialog, self)
            fork.transaction = self.agent.transactions.restore_client(fork_record["transaction"], self, now_ms)
            fork.request = fork.transaction.request

    def resume(self, record, now_ms):
        """An INVITE that was under way is cancelled; the core offers the call anew."""
        if self.state in (CALLING, ALERTING):
            self.end("failure", 41, now_ms)
        if self.state == ENDED or self.dialog is not None:
            for fork in self.forks:
                if not fork.done:
                    fork.cancelled = True
                    fork.cancel_reason = reason_value(41) if self.state == ENDED else ANSWERED_ELSEWHERE
                    if fork.provisional and fork.transaction.state == PROCEEDING:
                        self.send_cancel(fork, now_ms)
        Session.resume(self, record, now_ms)


def _rank(status):
    """Order of refusals: 6xx, then what the callee itself said, then the rest; low is better."""
    if status >= 600:
        return 0
    if status in (486, 480, 484, 404, 410, 603):
        return 1
    if status < 400:
        return 2
    return 3 if status not in (401, 407, 408, 503) else _NO_PREFERENCE
