"""Responses of the endpoint: what they copy, where they go; faults and counters.  RFC 3261 8.2.6, 18.2."""

from firmware.errors import RemoteError
from firmware.proto.sip.causes import phrase
from firmware.proto.sip.digest import hash_text
from firmware.proto.sip.message import SIPMessage
from firmware.proto.sip.text import split_outside
from firmware.proto.sip.uri import bare_host

MAX_FAULTS = 1000                       # kept (name, source) pairs, so that each is told once only

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, PRACK, REFER, SUBSCRIBE, PUBLISH"


class Answering:
    """Base of SIPEndpoint.  transactions: TransactionLayer; identity: Identity; set by the endpoint."""

    allow = ALLOW

    def __init__(self, hash_functions, random):
        self.hash_functions = hash_functions
        self.random = random
        self.counters = {}
        self.identity = None
        self.transactions = None
        self._tag_key = random(16)
        self._output = []
        self._events = []
        self._faults = []
        self._fault_keys = set()

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
        if len(source) > 2 or via.parameter("rport") is not None:
            return source       # over the connection that it came on: 18.2.2
        return (source[0], via.port or 5060)


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
