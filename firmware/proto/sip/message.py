"""SIP messages: octets to SIPMessage and back.  RFC 3261 7, 18.3, 20; verdicts of RFC 4475.

parse() raises nothing: what is wrong with a message is in message.fault, (status, sentence),
and message.answerable says whether a response to it can be addressed.  A start line that is
neither request nor response makes both method and status None.
"""

from firmware.errors import RemoteError
from firmware.proto.sip.headers import (CANONICAL, SINGLE, canonical, parse_address, parse_addresses, parse_cseq, parse_list,
                                        parse_via)
from firmware.proto.sip.text import is_token, is_word, number, octets, split_outside, text
from firmware.proto.sip.uri import parse_uri

MAX_MESSAGE_OCTETS = 32768       # ours: the longest real INVITE seen is near 4 kB
MAX_HEADERS = 256                # ours
MAX_VIA = 70                     # a request beyond Max-Forwards' default has looped
NO_BODY = b""


class SIPMessage:
    """One request (method, uri) or response (status, reason); headers: [(canonical name, value text)]."""
    __slots__ = ("method", "uri", "status", "reason", "headers", "body", "fault", "_via", "_from", "_to", "_cseq")

    def __init__(self, method=None, uri=None, status=None, reason="", headers=None, body=NO_BODY):
        self.method = method
        self.uri = uri
        self.status = status
        self.reason = reason
        self.headers = headers if headers is not None else []
        self.body = body
        self.fault = None
        self._via = self._from = self._to = self._cseq = None

    def get(self, name):
        """First value of a header (canonical name), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def all(self, name):
        """All values of a header (canonical name), in order."""
        return [value for key, value in self.headers if key == name]

    def add(self, name, value):
        """Append a header."""
        self.headers.append((name, value))

    def replace(self, name, value):
        """Replace the first header of this name, or append it."""
        for index, (key, _) in enumerate(self.headers):
            if key == name:
                self.headers[index] = (name, value)
                return
        self.headers.append((name, value))

    @property
    def via(self):
        """Topmost Via, parsed.  Raises RemoteError."""
        if self._via is None:
            value = self.get("Via")
            if value is None:
                raise RemoteError("no Via", status=400)
            pieces = split_outside(value, ",")
            if pieces is None:
                raise RemoteError("Via: a quote is not closed", status=400)
            self._via = parse_via(pieces[0].strip())
        return self._via

    @property
    def from_address(self):
        """From, parsed.  Raises RemoteError."""
        if self._from is None:
            self._from = parse_address(self.get("From") or "", "From")
        return self._from

    @property
    def to_address(self):
        """To, parsed.  Raises RemoteError."""
        if self._to is None:
            self._to = parse_address(self.get("To") or "", "To")
        return self._to

    @property
    def cseq(self):
        """(number, method).  Raises RemoteError."""
        if self._cseq is None:
            self._cseq = parse_cseq(self.get("CSeq") or "")
        return self._cseq

    @property
    def call_id(self):
        """Call-ID text ("" where there is none)."""
        return self.get("Call-ID") or ""

    @property
    def from_tag(self):
        """Tag of From, "" where there is none (RFC 2543 clients)."""
        return self.from_address.parameter("tag") or ""

    @property
    def to_tag(self):
        """Tag of To, "" where there is none."""
        return self.to_address.parameter("tag") or ""

    def contacts(self):
        """Contact addresses; [] for none and for "*".  Raises RemoteError."""
        values = self.all("Contact")
        if [value.strip() for value in values] == ["*"]:
            return []
        return parse_addresses(values, "Contact")

    def tokens(self, name):
        """Comma-separated values of a header."""
        return parse_list(self.all(name), name)

    def head_text(self):
        """Start line and headers as they go out, without Content-Length."""
        if self.method is not None:
            lines = ["%s %s SIP/2.0" % (self.method, self.uri)]
        else:
            lines = ["SIP/2.0 %d %s" % (self.status, self.reason)]
        for name, value in self.headers:
            if name != "Content-Length":
                lines.append("%s: %s" % (name, value))
        return "\r\n".join(lines)

    def serialise(self):
        """Octets to send; Content-Length is written from the body."""
        return octets("%s\r\nContent-Length: %d\r\n\r\n" % (self.head_text(), len(self.body))) + self.body


def parse(datagram):
    """Octets of one datagram to SIPMessage (RFC 3261 7.3, 7.5, 18.3).  Never raises."""
    message = SIPMessage()
    start = 0
    while datagram[start:start + 2] == b"\r\n":
        start += 2
    end = datagram.find(b"\r\n\r\n", start)
    if end < 0:
        message.fault = (400, "the message ends before its blank line")
        head = text(datagram[start:])
        body = NO_BODY
    else:
        head = text(datagram[start:end])
        body = datagram[end + 4:]
    lines = head.split("\r\n")
    _start_line(message, lines[0])
    _header_lines(message, lines)
    message.body = body
    if message.fault is None:
        try:
            _check(message)
        except RemoteError as error:
            message.fault = (error.status, str(error))
    return message


def _fault(message, sentence, status=400):
    if message.fault is None:
        message.fault = (status, sentence)


def _start_line(message, line):
    if line[:4].upper() == "SIP/":
        pieces = line.split(" ", 2)
        if pieces[0].upper() != "SIP/2.0" or len(pieces) < 2 or len(pieces[1]) != 3 or not number(pieces[1], 699):
            _fault(message, "bad status line")
            # kept apart from requests: a response is never answered
            message.status = 0
            return
        message.status = int(pieces[1])
        message.reason = pieces[2] if len(pieces) == 3 else ""
        if message.status < 100:
            _fault(message, "status below 100")
        return
    pieces = line.split(" ")
    method = pieces[0]
    if not is_token(method) or len(pieces) < 2:
        _fault(message, "not a SIP message")
        return
    message.method = method
    message.uri = " ".join(pieces[1:-1]) if len(pieces) > 2 else pieces[1]
    version = pieces[-1]
    if len(pieces) != 3 or not pieces[1]:
        _fault(message, "the request line is not method, URI and version with one space between")
    elif version.upper() != "SIP/2.0":
        if version[:4].upper() == "SIP/":
            _fault(message, "SIP version is not 2.0", 505)
        else:
            _fault(message, "bad version in the request line")


def _header_lines(message, lines):
    headers = message.headers
    for index in range(1, len(lines)):
        line = lines[index]
        if line[:1] in (" ", "\t"):
            if headers:
                name, value = headers[-1]
                headers[-1] = (name, (value + " " + line.strip(" \t")).strip(" \t"))
            continue
        colon = line.find(":")
        name = line[:colon].rstrip(" \t") if colon > 0 else ""
        known = CANONICAL.get(name)
        if known is None and not is_token(name):
            if line:
                _fault(message, "bad header line")
            continue
        if len(headers) >= MAX_HEADERS:
            _fault(message, "more than %d headers" % MAX_HEADERS)
            return
        value = line[colon + 1:].strip(" \t")
        if "\r" in value or "\n" in value:
            _fault(message, "a bare CR or LF in a header")
            value = value.replace("\r", " ").replace("\n", " ")
        headers.append((known or canonical(name), value))


def _check(message):
    """The checks that every message must pass before anyone looks at it."""
    seen = set()
    count_via = 0
    for name, value in message.headers:
        if name in SINGLE:
            if name in seen:
                raise RemoteError("%s stands twice" % name, status=400)
            seen.add(name)
        elif name == "Via":
            count_via += value.count(",") + 1
    if count_via > MAX_VIA:
        raise RemoteError("more than %d Via values" % MAX_VIA, status=400)
    for name in ("From", "To", "Call-ID", "CSeq"):
        if name not in seen:
            raise RemoteError("%s is missing" % name, status=400)
    _check_lists(message)
    if message.from_address.parameter("tag") == "" or message.to_address.parameter("tag") == "":
        raise RemoteError("an empty tag", status=400)
    local, at, host = message.call_id.partition("@")
    if not is_word(local) or (at and not is_word(host)):
        raise RemoteError("bad Call-ID", status=400)
    sequence, method = message.cseq
    if message.method is not None:
        if method != message.method:
            raise RemoteError("CSeq names another method", status=400)
        hops = message.get("Max-Forwards")
        if hops is not None and number(hops, 255) is None:
            raise RemoteError("Max-Forwards: not 0 to 255", status=400)
        _check_request_uri(message.uri)
    length = message.get("Content-Length")
    if length is not None:
        octets_announced = number(length, 2 ** 31)
        if octets_announced is None:
            raise RemoteError("Content-Length: not a number", status=400)
        if octets_announced > len(message.body):
            raise RemoteError("the body is shorter than its Content-Length", status=400)
        # what follows in a datagram is not part of the message: RFC 3261 18.3
        message.body = message.body[:octets_announced]


def _check_lists(message):
    message.via
    first = True
    for value in message.all("Via"):
        pieces = split_outside(value, ",")
        if pieces is None:
            raise RemoteError("Via: a quote is not closed", status=400)
        for piece in pieces[1:] if first else pieces:
            parse_via(piece.strip())
        first = False
    message.contacts()
    for name in ("Route", "Record-Route", "Path"):
        values = message.all(name)
        if values:
            parse_addresses(values, name)


def _check_request_uri(string):
    """The Request-URI alone: other schemes are well-formed; the user agent answers 416."""
    if string[:1] == "<" or " " in string or '"' in string:
        raise RemoteError("bad Request-URI", status=400)
    try:
        uri = parse_uri(string)
    except RemoteError as error:
        if error.status == 416:
            return
        raise
    if uri.headers:
        raise RemoteError("headers in the Request-URI", status=400)
