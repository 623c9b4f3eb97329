"""Scenarios of SIP: registration with digest, a call to the telephone and its end; run under CPython and MicroPython.

The hash is not MD5 but a toy that both interpreters have: the endpoint takes its hash from outside, and what is
checked here is that it behaves the same, not that the digest is secure."""

import json

from firmware.proto import sdp
from firmware.proto.sip.endpoint import SIPEndpoint

PHONE = ("127.0.0.1", 15070)
OFFER = sdp.offer({"address": "127.0.0.1", "port": 20000, "session": 1, "version": 1})
ANSWER = sdp.answer(OFFER, {"address": "127.0.0.1", "port": 30000, "session": 2, "version": 1})[0]
CONFIG = {"address": "127.0.0.1", "port": 15060, "realm": "strowger", "lines": {"1001": "secret"}, "digest_algorithms": ["MD5"]}


def toy_hash(octets):
    """16 octets from any octets."""
    value = 0x811C9DC5
    out = []
    for turn in range(16):
        for octet in octets:
            value = (value ^ octet ^ turn) * 0x01000193 & 0xFFFFFFFF
        out.append(value >> 24)
    return bytes(out)


class Source:
    """Repeatable "random" octets and leg ids."""

    def __init__(self):
        self.turn = 0

    def octets(self, number):
        self.turn += 1
        return (toy_hash(b"%d" % self.turn) * 4)[:number]

    def leg(self):
        self.turn += 1
        return "l%d" % (1000 + self.turn)


def new(source, saved=None, now_ms=0):
    hashes = {"MD5": toy_hash}
    if saved is None:
        return SIPEndpoint(CONFIG, source.octets, hashes, source.leg)
    return SIPEndpoint.restore(saved, CONFIG, source.octets, hashes, source.leg, now_ms)


def text(first, fields, body=b""):
    lines = [first] + ["%s: %s" % field for field in fields] + ["Content-Length: %d" % len(body)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def header(octets, name):
    for line in octets.decode().split("\r\n\r\n")[0].split("\r\n")[1:]:
        if line.lower().startswith(name.lower() + ":"):
            return line[len(name) + 1:].strip()
    raise AssertionError("no %s" % name)


def answer_to(request, code, body=b""):
    to = header(request, "To")
    if "tag=" not in to:
        to += ";tag=phone"
    fields = [("Via", header(request, "Via")), ("From", header(request, "From")), ("To", to),
              ("Call-ID", header(request, "Call-ID")), ("CSeq", header(request, "CSeq")),
              ("Contact", "<sip:1001@127.0.0.1:15070>")]
    if body:
        fields.append(("Content-Type", "application/sdp"))
    return text("SIP/2.0 %d X" % code, fields, body)


def register(number, extra):
    return text("REGISTER sip:strowger SIP/2.0", [
        ("Via", "SIP/2.0/UDP 127.0.0.1:15070;branch=z9hG4bK%d;rport" % number), ("Max-Forwards", "70"),
        ("From", "<sip:1001@strowger>;tag=a"), ("To", "<sip:1001@strowger>"), ("Call-ID", "r@phone"),
        ("CSeq", "%d REGISTER" % number), ("Contact", "<sip:1001@127.0.0.1:15070>;expires=600")] + extra)


def credentials(challenge):
    fields = {}
    for piece in challenge.split(" ", 1)[1].split(", "):
        name, value = piece.split("=", 1)
        fields[name] = value.strip('"')

    def digest(words):
        return toy_hash(words.encode()).hex()
    first, second = digest("1001:strowger:secret"), digest("REGISTER:sip:strowger")
    response = digest("%s:%s:00000001:abc:auth:%s" % (first, fields["nonce"], second))
    return ('Digest username="1001", realm="strowger", nonce="%s", uri="sip:strowger", response="%s", algorithm=MD5, '
            'qop=auth, nc=00000001, cnonce="abc"' % (fields["nonce"], response))


def run():
    source, trace, now_ms = Source(), [], 1000000
    switch = new(source)

    def give(octets):
        events = switch.receive(octets, PHONE, now_ms)
        output = [octets for octets, _ in switch.take_output()]
        trace.append([[event["kind"] for event in events], [octets.decode() for octets in output]])
        return events, output

    _, output = give(register(1, []))
    assert output[0].startswith(b"SIP/2.0 401")
    events, output = give(register(2, [("Authorization", credentials(header(output[0], "WWW-Authenticate")))]))
    assert output[0].startswith(b"SIP/2.0 200") and [event["kind"] for event in events] == ["line_registered"]
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "13912345678"}, now_ms)
    invite = switch.take_output()[0][0]
    now_ms = switch.deadline_ms()
    switch.expire(now_ms)
    assert switch.take_output()[0][0] == invite                         # Timer A
    assert [event["kind"] for event in give(answer_to(invite, 180))[0]] == ["alerting"]
    events, output = give(answer_to(invite, 200, ANSWER))
    assert [event["kind"] for event in events] == ["answered"] and output[0].startswith(b"ACK ")
    switch = new(source, json.loads(json.dumps(switch.dump())), now_ms)   # kill -9 of control
    assert [leg["leg"] for leg in switch.live_legs()] == ["l1"]
    assert [event["kind"] for event in switch.request({"kind": "release_request", "leg": "l1", "cause": 16}, now_ms)] == ["released"]
    bye = [octets for octets, _ in switch.take_output()][0]
    assert bye.startswith(b"BYE ")
    give(answer_to(bye, 200))
    for octets in (b"", b"\r\n\r\n", b"\x00\xff" * 50, b"INVITE\r\n", invite[:200], invite.replace(b"SIP/2.0", b"SIP/9.9")):
        give(octets)
    while switch.deadline_ms() is not None and now_ms < 2000000:
        now_ms = switch.deadline_ms()
        trace.append([now_ms, [event["kind"] for event in switch.expire(now_ms)]])
        switch.take_output()
    assert switch.live_legs() == []
    return trace
