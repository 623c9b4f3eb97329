"""The four transaction machines of RFC 3261 17, with the corrections of RFC 6026.

A transaction stands between one request and the wire: it sends again what may be lost, and
swallows what arrives twice.  Its owner (a session, the registrar) sees each message once.
State tables are data: (state, input) -> (actions, next state).  An input that the table does not
list in a state is ignored, as 17 says for stray messages; it is counted.

An owner has response(transaction, message, now_ms) and failed(transaction, status, now_ms) for a
client transaction, unacknowledged(transaction, now_ms) for a server INVITE transaction, and
finished(transaction, now_ms) for all.
"""

from firmware.proto.sip.message import SIPMessage, parse
from firmware.proto.sip.text import octets as to_octets
from firmware.proto.sip.text import text as to_text
from firmware.proto.sip.transport import is_reliable

COOKIE = "z9hG4bK"

CALLING = "calling"
TRYING = "trying"
PROCEEDING = "proceeding"
COMPLETED = "completed"
CONFIRMED = "confirmed"
ACCEPTED = "accepted"
TERMINATED = "terminated"

RETRANSMITS = "AEG"              # the timers that send again; a transaction has one of them at most

INVITE_CLIENT = {                                                   # Figure 5 as redrawn in RFC 6026 8.4
    (CALLING, "start"): (("send", "start A", "start B"), CALLING),
    (CALLING, "A"): (("send", "double A"), CALLING),
    (CALLING, "B"): (("fail",), TERMINATED),
    (CALLING, "1xx"): (("stop", "pass"), PROCEEDING),
    (CALLING, "2xx"): (("stop", "pass", "start M"), ACCEPTED),
    (CALLING, "refusal"): (("stop", "acknowledge", "pass", "start D"), COMPLETED),
    (PROCEEDING, "1xx"): (("pass",), PROCEEDING),
    (PROCEEDING, "2xx"): (("pass", "start M"), ACCEPTED),
    (PROCEEDING, "refusal"): (("acknowledge", "pass", "start D"), COMPLETED),
    (PROCEEDING, "B"): (("fail",), TERMINATED),                     # a cancelled one that stays silent: 9.1
    (COMPLETED, "refusal"): (("acknowledge",), COMPLETED),
    (COMPLETED, "D"): ((), TERMINATED),
    (ACCEPTED, "2xx"): (("pass",), ACCEPTED),
    (ACCEPTED, "M"): ((), TERMINATED),
}
CLIENT = {                                                          # Figure 6
    (TRYING, "start"): (("send", "start E", "start F"), TRYING),
    (TRYING, "E"): (("send", "double E"), TRYING),
    (TRYING, "F"): (("fail",), TERMINATED),
    (TRYING, "1xx"): (("pass",), PROCEEDING),
    (TRYING, "2xx"): (("stop", "pass", "start K"), COMPLETED),
    (TRYING, "refusal"): (("stop", "pass", "start K"), COMPLETED),
    (PROCEEDING, "E"): (("send", "slow E"), PROCEEDING),
    (PROCEEDING, "F"): (("fail",), TERMINATED),
    (PROCEEDING, "1xx"): (("pass",), PROCEEDING),
    (PROCEEDING, "2xx"): (("stop", "pass", "start K"), COMPLETED),
    (PROCEEDING, "refusal"): (("stop", "pass", "start K"), COMPLETED),
    (COMPLETED, "K"): ((), TERMINATED),
}
INVITE_SERVER = {                                                   # Figure 7 as redrawn in RFC 6026 8.7
    (PROCEEDING, "request"): (("send",), PROCEEDING),
    (PROCEEDING, "reply 1xx"): (("send",), PROCEEDING),
    (PROCEEDING, "reply 2xx"): (("send", "start L"), ACCEPTED),
    (PROCEEDING, "reply refusal"): (("send", "start G", "start H"), COMPLETED),
    (COMPLETED, "request"): (("send",), COMPLETED),
    (COMPLETED, "G"): (("send", "double G"), COMPLETED),
    (COMPLETED, "H"): (("unacknowledged",), TERMINATED),
    (COMPLETED, "ACK"): (("stop", "start I"), CONFIRMED),
    (CONFIRMED, "request"): ((), CONFIRMED),
    (CONFIRMED, "ACK"): ((), CONFIRMED),
    (CONFIRMED, "I"): ((), TERMINATED),
    (ACCEPTED, "request"): ((), ACCEPTED),
    (ACCEPTED, "reply 2xx"): (("send",), ACCEPTED),
    (ACCEPTED, "L"): ((), TERMINATED),
}
SERVER = {                                                          # Figure 8
    (TRYING, "request"): ((), TRYING),
    (TRYING, "reply 1xx"): (("send",), PROCEEDING),
    (TRYING, "reply 2xx"): (("send", "start J"), COMPLETED),
    (TRYING, "reply refusal"): (("send", "start J"), COMPLETED),
    (PROCEEDING, "request"): (("send",), PROCEEDING),
    (PROCEEDING, "reply 1xx"): (("send",), PROCEEDING),
    (PROCEEDING, "reply 2xx"): (("send", "start J"), COMPLETED),
    (PROCEEDING, "reply refusal"): (("send", "start J"), COMPLETED),
    (COMPLETED, "request"): (("send",), COMPLETED),
    (COMPLETED, "J"): ((), TERMINATED),
}


class Nobody:
    """Owner of a transaction whose outcome matters to no one."""

    def response(self, transaction, message, now_ms):
        """Ignored."""

    def failed(self, transaction, status, now_ms):
        """Ignored."""

    def unacknowledged(self, transaction, now_ms):
        """Ignored."""

    def finished(self, transaction, now_ms):
        """Ignored."""


NOBODY = Nobody()


class Transaction:
    """One transaction.  octets: what "send" sends, the request or the last reply.  interval_ms: of its retransmission timer."""
    __slots__ = ("layer", "table", "key", "method", "state", "_request", "octets", "destination", "source",
                 "reliable", "owner", "timers", "interval_ms", "merge_key", "text")

    def __init__(self, layer, table, state, key, request, destination, owner):
        self.layer = layer
        self.table = table
        self.state = state
        self.key = key
        self.method = request.method
        self._request = request
        self.octets = self.text = None
        self.destination = destination
        self.source = None
        self.owner = owner
        self.reliable = is_reliable(destination)
        self.timers = {}
        self.interval_ms = 0
        self.merge_key = None

    @property
    def request(self):
        """The request; after fold() it is read anew."""
        return parse(to_octets(self.text)) if self._request is None else self._request

    def fold(self):
        """What comes now are copies that nobody looks into: for the 32 s that they may come in, text is kept instead of a message."""
        self.text = self._as_text()
        self._request = self.octets = None

    def step(self, what, message, now_ms):
        """Take one input through the table."""
        row = self.table.get((self.state, what))
        if row is None:
            self.layer.count("stray_" + what.replace(" ", "_"))
            return False
        actions, state = row
        self.state = state
        for action in actions:
            verb, _, timer = action.partition(" ")
            if verb == "send":
                if self.octets is not None:
                    self.layer.send(self.octets, self.destination)
            elif verb == "pass":
                self.owner.response(self, message, now_ms)
            elif verb == "start":
                self._start(timer, now_ms)
            elif verb == "double":
                self._again(timer, now_ms, True)
            elif verb == "slow":
                self._again(timer, now_ms, False)
            elif verb == "stop":
                self._stop()
            elif verb == "acknowledge":
                self._acknowledge(message)
            elif verb == "fail":
                self.owner.failed(self, 408, now_ms)
            elif verb == "unacknowledged":
                self.owner.unacknowledged(self, now_ms)
        if self.state == TERMINATED:
            self._stop()
            self.layer.forget(self)
            self.owner.finished(self, now_ms)
        elif self.state == ACCEPTED and self.table is INVITE_CLIENT:
            self.fold()
        return True

    def fire(self, name, now_ms):
        """A timer came."""
        if self.state != TERMINATED:
            self.step(name, None, now_ms)

    def _start(self, letter, now_ms):
        wait_ms = self.layer.durations[letter][1 if self.reliable else 0]
        if wait_ms is None:
            return
        if letter in RETRANSMITS:
            self.interval_ms = wait_ms
        self.timers[letter] = self.layer.timers.start(now_ms + wait_ms, self, letter)

    def _again(self, letter, now_ms, double):
        """Restart a retransmission timer: doubled (E and G up to T2), or at T2 at once."""
        self.layer.count("retransmissions")
        highest = self.layer.durations["T2"]
        wait_ms = self.interval_ms * 2 if double else highest
        if letter != "A" and wait_ms > highest:
            wait_ms = highest
        self.interval_ms = wait_ms
        self.timers[letter] = self.layer.timers.start(now_ms + wait_ms, self, letter)

    def _stop(self):
        for letter in self.timers:
            self.layer.timers.cancel(self.timers[letter])
        self.timers = {}

    def _acknowledge(self, response):
        """ACK to a refusal: same branch, To of the response (17.1.1.3)."""
        request = self.request
        acknowledgement = SIPMessage("ACK", request.uri)
        acknowledgement.add("Via", request.get("Via"))
        for route in request.all("Route"):
            acknowledgement.add("Route", route)
        acknowledgement.add("From", request.get("From"))
        acknowledgement.add("To", response.get("To"))
        acknowledgement.add("Call-ID", request.call_id)
        acknowledgement.add("CSeq", "%d ACK" % request.cseq[0])
        acknowledgement.add("Max-Forwards", "70")
        self.layer.send(acknowledgement.serialise(), self.destination)

    def reply(self, response, now_ms):
        """Server side: send a response through the machine."""
        self.octets = response.serialise()
        return self.step("reply " + kind_of(response.status), response, now_ms)

    def give_up_after_b(self, now_ms):
        """Client INVITE, CANCEL sent: end by B's length even where no final response comes (9.1)."""
        if self.state == PROCEEDING:
            self._stop()
            self._start("B", now_ms)

    def _is_client(self):
        return self.table in (CLIENT, INVITE_CLIENT)

    def _as_text(self):
        """The request as text, made once."""
        if self.text is not None:
            return self.text
        return to_text(self.octets if self._is_client() and self.octets is not None else self._request.serialise())

    def dump(self):
        """JSON-able copy, for the leg's record.  What a client sends is its request, so it stands once."""
        self.text = self._as_text()     # a request does not change any more
        client = self._is_client()
        return {"request": self.text, "destination": list(self.destination),
                "state": self.state, "octets": None if client or self.octets is None else to_text(self.octets),
                "source": None if self.source is None else list(self.source)}


def kind_of(status):
    """"1xx", "2xx" or "refusal"."""
    return "1xx" if status < 200 else "2xx" if status < 300 else "refusal"


class TransactionLayer:
    """All running transactions of one endpoint.

    send(octets, destination): puts a datagram out; timers: TimerQueue; count(name)."""

    def __init__(self, send, timers, durations, count):
        self.send = send
        self.timers = timers
        self.durations = durations
        self.count = count
        self.clients = {}
        self.servers = {}
        self.merging = {}

    def forget(self, transaction):
        """A transaction ended."""
        table = self.clients if transaction.table in (CLIENT, INVITE_CLIENT) else self.servers
        if table.get(transaction.key) is transaction:
            del table[transaction.key]
        if transaction.merge_key is not None and self.merging.get(transaction.merge_key) is transaction:
            del self.merging[transaction.merge_key]

    def unreachable(self, destination, now_ms):
        """An address cannot be sent to: its client transactions without an answer have failed (17.1.4)."""
        for transaction in [t for t in self.clients.values() if t.destination == destination]:
            if transaction.state in (CALLING, TRYING, PROCEEDING) and self.clients.get(transaction.key) is transaction:
                transaction.state = TERMINATED
                transaction._stop()
                self.forget(transaction)
                transaction.owner.failed(transaction, 503, now_ms)
                transaction.owner.finished(transaction, now_ms)

    # client side

    def request(self, message, destination, owner, now_ms):
        """Send a request (its top Via carries our branch) in a new client transaction."""
        transaction = self._client(message, destination, owner)
        transaction.octets = message.serialise()
        transaction.step("start", None, now_ms)
        return transaction

    def _client(self, message, destination, owner):
        invite = message.method == "INVITE"
        key = (message.via.parameter("branch"), message.method)
        transaction = Transaction(self, INVITE_CLIENT if invite else CLIENT, CALLING if invite else TRYING, key,
                                  message, destination, owner)
        self.clients[key] = transaction
        return transaction

    def restore_client(self, record, owner, now_ms):
        """Client INVITE transaction from Transaction.dump(): it waits, B long, for a final response."""
        transaction = self._client(parse(to_octets(record["request"])), tuple(record["destination"]), owner)
        transaction.octets = to_octets(record["request"])
        transaction.state = record["state"]
        for letter in {CALLING: "AB", PROCEEDING: "B", COMPLETED: "D", ACCEPTED: "M"}[transaction.state]:
            transaction._start(letter, now_ms)
        return transaction

    def find_client(self, response):
        """Client transaction that a response belongs to, or None (17.1.3)."""
        return self.clients.get((response.via.parameter("branch"), response.cseq[1]))

    # server side

    def server_key(self, message):
        """Key of the server transaction of a request; an ACK finds its INVITE (17.2.3)."""
        via = message.via
        branch = via.parameter("branch") or ""
        method = "INVITE" if message.method == "ACK" else message.method
        if branch.startswith(COOKIE) and len(branch) > len(COOKIE):
            return (branch, via.host, via.port or 5060, method)
        # RFC 2543 matching; To is left out, as its tag differs between INVITE and ACK
        return (message.uri, message.from_tag, message.call_id, message.cseq[0], str(via), method)

    def find_server(self, message):
        """Server transaction that a request repeats, or None."""
        return self.servers.get(self.server_key(message))

    def find_cancelled(self, message):
        """The INVITE server transaction that a CANCEL means, or None (9.2)."""
        via = message.via
        branch = via.parameter("branch") or ""
        if branch.startswith(COOKIE) and len(branch) > len(COOKIE):
            return self.servers.get((branch, via.host, via.port or 5060, "INVITE"))
        return self.servers.get((message.uri, message.from_tag, message.call_id, message.cseq[0], str(via), "INVITE"))

    def merged(self, message):
        """True where the same request is already here by another way (8.2.2.2)."""
        return (message.call_id, message.from_tag, message.cseq) in self.merging

    def serve(self, message, source, destination, owner):
        """New server transaction for a request.  destination: where its responses go."""
        invite = message.method == "INVITE"
        transaction = Transaction(self, INVITE_SERVER if invite else SERVER, PROCEEDING if invite else TRYING,
                                  self.server_key(message), message, destination, owner)
        transaction.source = source
        self.servers[transaction.key] = transaction
        if not message.to_tag:
            transaction.merge_key = (message.call_id, message.from_tag, message.cseq)
            self.merging[transaction.merge_key] = transaction
        return transaction

    def restore_server(self, record, owner, now_ms):
        """Server INVITE transaction from Transaction.dump(); its last reply is not sent again by itself."""
        transaction = self.serve(parse(to_octets(record["request"])), tuple(record["source"]),
                                 tuple(record["destination"]), owner)
        transaction.octets = to_octets(record["octets"]) if record["octets"] else None
        transaction.state = record["state"]
        if transaction.state == ACCEPTED:
            transaction._start("L", now_ms)
        elif transaction.state == COMPLETED:
            transaction._start("G", now_ms)
            transaction._start("H", now_ms)
        elif transaction.state == CONFIRMED:
            transaction._start("I", now_ms)
        return transaction
