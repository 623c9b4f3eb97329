"""A world for SIP tests: virtual time, a lossy network, a telephone that is scripted by hand.

The telephone here builds its messages as text on its own and hashes with hashlib: it shares no
code with what it tests.
"""

import hashlib
import heapq
import random as random_module

from firmware.proto import sdp
from firmware.proto.sip.endpoint import SIPEndpoint

HASHES = {"MD5": lambda octets: hashlib.md5(octets).digest(), "SHA-256": lambda octets: hashlib.sha256(octets).digest()}
SWITCH = ("127.0.0.1", 15060)
OFFER = sdp.offer({"address": "127.0.0.1", "port": 20000, "session": 1, "version": 1})
ANSWER = sdp.answer(OFFER, {"address": "127.0.0.1", "port": 30000, "session": 2, "version": 1})[0]


class Ids:
    """Leg ids that do not repeat."""

    def __init__(self, first=1000):
        self.number = first

    def __call__(self):
        self.number += 1
        return "l%d" % self.number


def endpoint(lines=None, seed=1, address=SWITCH, **config):
    """A switch with a repeatable random source."""
    source = random_module.Random(seed)
    settings = {"address": address[0], "port": address[1], "realm": "strowger",
                "digest_algorithms": ("SHA-256", "MD5"), "lines": {"1001": "secret-1", "1002": "secret-2"} if lines is None else lines}
    settings.update(config)
    return SIPEndpoint(settings, source.randbytes, HASHES, Ids(seed * 1000))


def restart(old, seed, now_ms, **config):
    """What a new control process makes of the records of a killed one, through JSON."""
    import json
    source = random_module.Random(seed)
    settings = dict(old.config)
    settings.update(config)
    records = json.loads(json.dumps(old.dump()))
    return SIPEndpoint.restore(records, settings, source.randbytes, HASHES, Ids(seed * 1000), now_ms)


def digest(challenge, method, uri, user, password, nc=1, cnonce="0a4f113b"):
    """Authorization value for a challenge, computed here with hashlib."""
    fields = {}
    for piece in challenge.split(" ", 1)[1].split(", "):
        name, _, value = piece.partition("=")
        fields[name] = value.strip('"')
    function = hashlib.sha256 if fields.get("algorithm") == "SHA-256" else hashlib.md5

    def h(string):
        return function(string.encode("latin-1")).hexdigest()
    ha1 = h("%s:%s:%s" % (user, fields["realm"], password))
    ha2 = h("%s:%s" % (method, uri))
    response = h("%s:%s:%08x:%s:auth:%s" % (ha1, fields["nonce"], nc, cnonce, ha2))
    return ('Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=%s, qop=auth, '
            'nc=%08x, cnonce="%s"' % (user, fields["realm"], fields["nonce"], uri, response,
                                      fields.get("algorithm", "MD5"), nc, cnonce))


def kinds(events):
    """Of events, in their order."""
    return [event["kind"] for event in events]


def header(octets, name):
    """First value of a header of raw octets, or None; full names only."""
    for line in octets.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name.lower():
            return value.strip()
    return None


def headers(octets, name):
    """All values of a header of raw octets."""
    out = []
    for line in octets.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name.lower():
            out.append(value.strip())
    return out


def status(octets):
    """Status code of raw octets, or None for a request."""
    first = octets.split(b"\r\n")[0].decode("latin-1").split(" ")
    return int(first[1]) if first[0] == "SIP/2.0" else None


def method(octets):
    """Method of raw octets, or None for a response."""
    return None if octets.startswith(b"SIP/2.0 ") else octets.split(b" ")[0].decode()


def message(first, fields, body=b""):
    """Raw octets of a message."""
    lines = [first] + ["%s: %s" % field for field in fields] + ["Content-Length: %d" % len(body)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


class Phone:
    """A telephone by hand, at one address."""

    def __init__(self, switch, line="1001", password="secret-1", address=("127.0.0.1", 15070)):
        self.switch = switch
        self.line = line
        self.password = password
        self.address = address
        self.cseq = 0
        self.branches = 0
        self.call_id = "call-%s@phone" % line
        self.now_ms = 1000000

    def send(self, octets):
        """Give octets to the switch; returns (events, [octets sent to us])."""
        events = self.switch.receive(octets, self.address, self.now_ms)
        return events, [octets for octets, destination in self.switch.take_output() if destination == self.address]

    def contact(self):
        """Our Contact URI."""
        return "sip:%s@%s:%d" % (self.line, self.address[0], self.address[1])

    def request(self, name, uri, extra=(), body=b"", to=None, call_id=None, cseq=None, branch=None, tag="phone-tag"):
        """Octets of a request."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        if branch is None:
            self.branches += 1
            branch = "z9hG4bKphone%s-%d" % (self.line, self.branches)
        fields = [("Via", "SIP/2.0/UDP %s:%d;branch=%s;rport" % (self.address[0], self.address[1], branch)),
                  ("Max-Forwards", "70"), ("From", "<sip:%s@strowger>;tag=%s" % (self.line, tag)),
                  ("To", to or "<%s>" % uri), ("Call-ID", call_id or self.call_id),
                  ("CSeq", "%d %s" % (cseq, name))] + list(extra)
        return message("%s %s SIP/2.0" % (name, uri), fields, body)

    def challenged(self, name, uri, extra=(), body=b"", to=None, call_id=None, algorithm="MD5"):
        """Send a request, answer its challenge.  Returns (events, output, Authorization)."""
        _, output = self.send(self.request(name, uri, extra, body, to, call_id))
        assert status(output[0]) == 401, output
        challenge = [value for value in headers(output[0], "WWW-Authenticate") if "algorithm=" + algorithm in value][0]
        credentials = digest(challenge, name, uri, self.line, self.password)
        events, output = self.send(self.request(name, uri, list(extra) + [("Authorization", credentials)], body, to,
                                                call_id))
        return events, output, credentials

    def register(self, expires=600, contact=None, algorithm="MD5"):
        """Register; returns (events, the final response)."""
        events, output, _ = self.challenged(
            "REGISTER", "sip:strowger", [("Contact", contact or "<%s>;expires=%d" % (self.contact(), expires))],
            to="<sip:%s@strowger>" % self.line, call_id="register-%s" % self.line, algorithm=algorithm)
        return events, output[0]

    def invite(self, called="9", body=OFFER, fields=()):
        """Call; returns (events, output)."""
        extra = [("Contact", "<%s>" % self.contact()), *fields]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        events, output, _ = self.challenged("INVITE", "sip:%s@strowger" % called, extra, body)
        return events, output

    def respond(self, request, code, reason="X", tag="phone-tag", body=b"", extra=()):
        """Octets of a response to a request of the switch."""
        to = header(request, "To")
        if tag and ";tag=" not in to:
            to += ";tag=" + tag
        fields = [("Via", header(request, "Via")), ("From", header(request, "From")), ("To", to),
                  ("Call-ID", header(request, "Call-ID")), ("CSeq", header(request, "CSeq"))]
        fields.extend([("Record-Route", value) for value in headers(request, "Record-Route")])
        if code < 300 and "INVITE" in header(request, "CSeq"):
            fields.append(("Contact", "<%s>" % self.contact()))
        if body:
            fields.append(("Content-Type", "application/sdp"))
        return message("SIP/2.0 %d %s" % (code, reason), fields + list(extra), body)

    def in_dialog(self, of, name, extra=(), body=b"", cseq=None):
        """A request in the dialog of a message that the switch sent: INVITE of it, or its 2xx."""
        if method(of):
            ours, theirs = header(of, "To"), header(of, "From")
            if ";tag=" not in ours:
                ours += ";tag=phone-tag"
        else:
            ours, theirs = header(of, "From"), header(of, "To")
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        self.branches += 1
        fields = [("Via", "SIP/2.0/UDP %s:%d;branch=z9hG4bKind%s-%d" % (self.address[0], self.address[1], self.line,
                                                                        self.branches)),
                  ("Max-Forwards", "70"), ("From", ours), ("To", theirs), ("Call-ID", header(of, "Call-ID")),
                  ("CSeq", "%d %s" % (cseq, name))] + list(extra)
        if body:
            fields.append(("Content-Type", "application/sdp"))
        target = header(of, "Contact").split("<")[1].split(">")[0]
        return message("%s %s SIP/2.0" % (name, target), fields, body)


class Network:
    """Nodes with receive/take_output/deadline_ms/expire joined by a network that loses and delays."""

    def __init__(self, seed=1, loss=0.0, delay_ms=(1, 5), duplicate=0.0):
        self.random = random_module.Random(seed)
        self.loss = loss
        self.delay_ms = delay_ms
        self.duplicate = duplicate
        self.now_ms = 1000000
        self.nodes = {}
        self.events = {}
        self.queue = []
        self.number = 0
        self.on_event = None
        self.sent = 0

    def add(self, address, node):
        """Join a node."""
        self.nodes[address] = node
        self.events.setdefault(address, [])

    def pump(self, address, events):
        """Take events and output of a node."""
        node = self.nodes[address]
        while True:
            for octets, destination in node.take_output():
                self.sent += 1
                for _ in range(2 if self.random.random() < self.duplicate else 1):
                    if self.random.random() >= self.loss:
                        self.number += 1
                        due = self.now_ms + self.random.randint(*self.delay_ms)
                        heapq.heappush(self.queue, (due, self.number, address, destination, octets))
            if not events:
                return
            pending, events = events, []
            for event in pending:
                self.events[address].append(event)
                if self.on_event is not None:
                    for primitive in self.on_event(address, event) or ():
                        events.extend(node.request(primitive, self.now_ms))

    def request(self, address, primitive):
        """A primitive to a node."""
        self.pump(address, self.nodes[address].request(primitive, self.now_ms))

    def run(self, duration_ms):
        """Let the world go on."""
        end = self.now_ms + duration_ms
        while True:
            due = [(self.queue[0][0], 0, None)] if self.queue else []
            for index, address in enumerate(sorted(self.nodes)):
                deadline = self.nodes[address].deadline_ms()
                if deadline is not None:
                    due.append((deadline, index + 1, address))
            if not due or min(due)[0] > end:
                self.now_ms = end
                return
            at, _, address = min(due)
            self.now_ms = max(self.now_ms, at)
            if address is None:
                _, _, source, destination, octets = heapq.heappop(self.queue)
                if destination in self.nodes:
                    self.pump(destination, self.nodes[destination].receive(octets, source, self.now_ms))
            else:
                self.pump(address, self.nodes[address].expire(self.now_ms))
