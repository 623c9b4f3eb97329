"""Property tests of SIP: any octets, any loss, any moment of death."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.errors import RemoteError
from firmware.proto import sdp
from firmware.proto.sip.headers import parse_address
from firmware.proto.sip.message import SIPMessage, parse
from firmware.proto.sip.text import octets as to_octets
from firmware.proto.sip.text import quote, split_outside, text, unescape, unquote
from firmware.proto.sip.timers import TimerQueue
from firmware.proto.sip.uri import parse_uri
from tests.proto.sip_world import (ANSWER, OFFER, Network, Phone, endpoint, headers, method, restart, status)

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OCTET_TEXT = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=60)


def samples():
    """Whole messages of both kinds to mutate: what a call puts on the wire, both ways."""
    switch = endpoint()
    phone = Phone(switch)
    out = []
    real = switch.receive

    def tap(octets, source, now_ms):
        out.append(octets)
        return real(octets, source, now_ms)
    switch.receive = tap
    phone.register()
    events, _ = phone.invite()
    switch.request({"kind": "answer_request", "leg": events[0]["leg"], "sdp": ANSWER}, phone.now_ms)
    ok = switch.take_output()[0][0]
    out.append(ok)
    phone.send(phone.in_dialog(ok, "ACK", cseq=phone.cseq))
    phone.send(phone.in_dialog(ok, "INFO", body=b"Signal=5"))
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "1"}, phone.now_ms)
    invite = switch.take_output()[0][0]
    out.append(invite)
    phone.send(phone.respond(invite, 180))
    phone.send(phone.respond(invite, 200, body=ANSWER))
    phone.send(phone.in_dialog(invite, "BYE"))
    return out


SAMPLES = samples()


@QUICK
@given(st.binary(max_size=300))
def test_any_octets(octets):
    parse(octets)
    switch = endpoint()
    assert switch.receive(octets, ("10.0.0.1", 5060), 0) == []
    assert "internal_error" not in switch.counters


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(SAMPLES) - 1), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2000),
                                                            st.binary(min_size=1, max_size=4)), min_size=1, max_size=6))
def test_mutations_of_real_messages(which, changes):
    octets = bytearray(SAMPLES[which])
    for kind, where, what in changes:
        where %= len(octets) + 1
        if kind == 0:
            octets[where:where + len(what)] = what
        elif kind == 1:
            octets[where:where] = what
        elif kind == 2:
            del octets[where:where + len(what)]
        else:
            octets[where:where] = octets[:len(what) * 20]
    switch = endpoint()
    phone = Phone(switch)
    phone.register()
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "1"}, phone.now_ms)
    switch.take_output()
    switch.receive(bytes(octets), phone.address, phone.now_ms)
    for answer, _ in switch.take_output():
        assert parse(answer).fault is None or parse(bytes(octets)).fault is not None
    for _ in range(5):
        if switch.deadline_ms() is not None:
            switch.expire(switch.deadline_ms())
    assert "internal_error" not in switch.counters, switch.take_faults()


TOKEN = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=12)
NAME = st.one_of(st.sampled_from(["Subject", "X-Own", "Route-Hint", "Accept", "Supported"]), TOKEN)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=40)


@QUICK
@given(TOKEN, st.lists(st.tuples(NAME, VALUE), max_size=6), st.binary(max_size=80))
def test_parse_and_serialise_are_inverse(name, extra, body):
    message = SIPMessage(name, "sip:1001@10.0.0.1", body=body)
    message.headers = [("Via", "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1"), ("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"),
                       ("Call-ID", "x@y"), ("CSeq", "1 " + name)]
    from firmware.proto.sip.headers import SINGLE, canonical
    for key, value in extra:
        if canonical(key) not in SINGLE and canonical(key) not in ("Via", "Contact", "Route", "Record-Route", "Path"):
            message.add(canonical(key), value.strip(" \t\xa0\x85\x1c\x1d\x1e\x1f").strip())
    again = parse(message.serialise())
    assert again.fault is None, again.fault
    assert (again.method, again.uri, again.body) == (name, message.uri, body)
    assert [h for h in again.headers if h[0] != "Content-Length"] == message.headers
    assert parse(again.serialise()).serialise() == again.serialise()


def split_plainly(string, separator):
    """What split_outside() says, a character at a time."""
    parts, quoted, escaped, bracketed = [""], False, False, False
    for character in string:
        if character == separator and not quoted and not bracketed:
            parts.append("")
            continue
        parts[-1] += character
        if quoted:
            quoted = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            quoted = True
        elif character in "<>":
            bracketed = character == "<"
    return None if quoted or bracketed else parts


@settings(QUICK, max_examples=1500)
@given(st.text('a,;"<>\\', max_size=12))
def test_lists_are_split_outside_of_quotes_and_brackets(string):
    for separator in ",;":
        assert split_outside(string, separator) == split_plainly(string, separator)


@QUICK
@given(OCTET_TEXT)
def test_text_helpers(string):
    assert text(to_octets(string)) == string
    assert unquote(quote(string)) == "".join(" " if c < " " or c == "\x7f" else c for c in string)
    split_outside(string, ",")
    unescape(string)
    for function in (parse_uri, lambda s: parse_address(s, "From")):
        try:
            function(string)
        except RemoteError:
            pass


@QUICK
@given(st.binary(max_size=200))
def test_any_octets_as_sdp(octets):
    for candidate in (octets, b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=" + octets):
        try:
            sdp.answer(candidate, {"address": "127.0.0.1", "port": 1, "session": 1, "version": 1})
        except RemoteError:
            pass


@QUICK
@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=60))
def test_timer_queue_fires_in_order(items):
    queue = TimerQueue()
    fired = []

    class Target:
        def fire(self, name, now_ms):
            fired.append(name)
    entries = []
    for number, (deadline, cancel) in enumerate(items):
        entries.append((deadline, number, cancel, queue.start(deadline, Target(), (deadline, number))))
    for _, _, cancel, entry in entries:
        if cancel:
            queue.cancel(entry)
    queue.fire(1000)
    assert fired == sorted((deadline, number) for deadline, number, cancel, _ in entries if not cancel)
    assert queue.deadline_ms() is None


def test_cancelled_timers_do_not_pile_up():
    """Those of a call are cancelled within a second and were set for half a minute: with 100 calls a second they would be the most of control's memory."""
    queue, fired, longest = TimerQueue(), [], 0

    class Target:
        def fire(self, name, now_ms):
            fired.append(name)
    for now_ms in range(0, 60000, 10):
        entries = [queue.start(now_ms + wait_ms, Target(), (now_ms + wait_ms, number)) for number, wait_ms in enumerate((500, 32000, 32000, 60000))]
        for entry in entries[1:]:
            queue.cancel(entry)
            queue.cancel(entry)
        queue.fire(now_ms)
        longest = max(longest, len(queue))
    queue.fire(10 ** 9)
    assert longest < 4 * 50         # 50 run at any time
    assert fired == sorted(fired) and len(fired) == 6000 and len(queue) == 0


# two endpoints with a bad network between them

SWITCH = ("127.0.0.1", 15060)
FAR = ("127.0.0.1", 15080)


class Callee:
    """Scripted control of the far endpoint: rings, answers after a while."""

    def __call__(self, address, event):
        if event["kind"] == "invite_indication":
            return [{"kind": "alerting_request", "leg": event["leg"]},
                    {"kind": "answer_request", "leg": event["leg"], "sdp": ANSWER}]
        if event["kind"] == "reinvite":
            return [{"kind": "reinvite_response", "leg": event["leg"], "sdp": ANSWER}]
        return ()


def lossy_world(seed, loss):
    network = Network(seed, loss, (1, 300), duplicate=loss)
    network.add(SWITCH, endpoint(seed=seed, credentials={"far": ["box", "pw"]}))
    network.add(FAR, endpoint({"box": "pw", "caller": "pw"}, seed=seed + 5000, address=FAR, realm="far"))
    network.on_event = Callee()
    return network


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
def test_calls_over_a_lossy_network(loss):
    """Every call is set up once, held, and cleared on both sides; nothing stays behind."""
    answered = 0
    for seed in range(1, 26):
        network = lossy_world(seed, loss)
        network.request(SWITCH, {"kind": "invite_request", "leg": "l1", "uri": "sip:555@127.0.0.1:15080", "sdp": OFFER,
                                 "caller": "box"})
        network.run(40000)
        near = [event["kind"] for event in network.events[SWITCH]]
        indications = [event for event in network.events[FAR] if event["kind"] == "invite_indication"]
        assert len(indications) <= 1
        if "answered" in near:
            answered += 1
            assert near.count("answered") == 1
            if "released" not in near:
                network.request(SWITCH, {"kind": "reinvite_request", "leg": "l1", "sdp": OFFER})
                network.run(40000)
                network.request(SWITCH, {"kind": "release_request", "leg": "l1"})
        network.run(120000)
        near = [event["kind"] for event in network.events[SWITCH]]
        assert near.count("released") + near.count("rejected") == 1
        far = [event["kind"] for event in network.events[FAR]]
        assert far.count("released") == len(indications)
        for address in (SWITCH, FAR):
            node = network.nodes[address]
            assert node.sessions == {} and not node.transactions.clients and not node.transactions.servers
            assert "internal_error" not in node.counters, node.take_faults()
            assert not node._dialogs and node.deadline_ms() is None
    assert answered == 25 if loss < 0.1 else answered >= 23


@pytest.mark.parametrize("direction", ["out", "in"])
def test_death_at_any_moment(direction):
    """The switch is killed and restarted after its n-th datagram, at 10 % loss: the far end ends too."""
    for seed in range(1, 31):
        network = lossy_world(seed, 0.1)
        choice = random.Random(seed)
        asks, answers = (SWITCH, FAR) if direction == "out" else (FAR, SWITCH)
        if direction == "in":
            network.nodes[SWITCH].set_lines({"box": "pw"}, 0)
            network.nodes[FAR].credentials = {"strowger": ["box", "pw"]}
        network.request(asks, {"kind": "invite_request", "leg": "l1", "caller": "box", "sdp": OFFER,
                               "uri": "sip:555@%s:%d" % answers})
        network.run(choice.randint(0, 3000))
        new = restart(network.nodes[SWITCH], seed + 9000, network.now_ms)
        network.nodes[SWITCH] = new
        network.pump(SWITCH, new.resume(network.now_ms))
        for leg in new.live_legs():
            # control may have died before it heard of the leg: an incoming one is answered now
            if leg["direction"] == "in" and leg["state"] in ("calling", "alerting"):
                network.request(SWITCH, {"kind": "answer_request", "leg": leg["leg"], "sdp": ANSWER})
        network.run(40000)
        for leg in network.nodes[SWITCH].live_legs():
            network.request(SWITCH, {"kind": "release_request", "leg": leg["leg"]})
        network.run(120000)
        for address in (SWITCH, FAR):
            node = network.nodes[address]
            assert node.sessions == {} and not node.transactions.clients and not node.transactions.servers, (seed, address)
            assert "internal_error" not in node.counters, node.take_faults()


def test_random_words_do_not_repeat_after_a_restart():
    switch = endpoint(seed=1)
    phone = Phone(switch)
    phone.register()
    seen = set()
    for seed in range(2, 12):
        switch.request({"kind": "invite_request", "leg": "l%d" % seed, "line": "1001", "sdp": OFFER, "caller": "1"},
                       phone.now_ms)
        for octets, _ in switch.take_output():
            if method(octets) == "INVITE":
                words = (headers(octets, "Call-ID")[0], headers(octets, "Via")[0], headers(octets, "From")[0])
                assert not seen.intersection(words)
                seen.update(words)
        assert status(phone.send(phone.request("OPTIONS", "sip:x@y"))[1][0]) == 200
        switch = phone.switch = restart(switch, seed, phone.now_ms)
        switch.resume(phone.now_ms)
        switch.take_output()
