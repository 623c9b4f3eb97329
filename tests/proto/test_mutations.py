"""Mutations of valid messages into each machine and parser that has no such test of its own: no exception, alive afterwards, memory flat.

Q.931 and ISUP: test_q931_random.py, test_isup_random.py, test_isup_messages.py; R2 and robbed bits:
test_r2_circuit.py, test_cas_t1.py.
STROWGER_MUTATIONS says how many each; `make conformance` takes 100,000."""

import gc
import json
import os
import pathlib
import random

import pytest

from firmware.errors import RemoteError
from firmware.proto import mtp2_units as units
from firmware.proto import q921_frames, sdp
from firmware.proto.mtp2 import MTP2Link
from firmware.proto.mtp3 import messages as mtp3
from firmware.proto.q921 import Q921Link
from firmware.proto.q931 import maintenance
from firmware.proto.q931.link import Q931Link
from firmware.proto.sip import headers as sip_headers
from firmware.proto.sip import message as sip
from firmware.proto.sip import uri as sip_uri
from tests.proto.mtp3_rig import Rig as MTP3Rig
from tests.proto import sip_world
from tests.proto.test_mtp3_messages import ALL, whole
from tests.proto.test_sip_properties import samples

MUTATIONS = int(os.environ.get("STROWGER_MUTATIONS", "2000"))
INVITE = (b"INVITE sip:100@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\nFrom: \"A\" <sip:200@10.0.0.2>;tag=1\r\n"
          b"To: <sip:100@10.0.0.1>\r\nCall-ID: 1@10.0.0.2\r\nCSeq: 1 INVITE\r\nContact: <sip:200@10.0.0.2>\r\nDiversion: <sip:300@10.0.0.2>;reason=user-busy;counter=2\r\n"
          b"Content-Type: application/sdp\r\nContent-Length: 0\r\n\r\n")
SDP = (b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\n"
       b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n")


def mutated(rng, octets):
    """One to five changes: an octet, a bit, some gone, some more, a piece twice."""
    octets = bytearray(octets)
    for _ in range(rng.choice((1, 1, 2, 5))):
        what, at = rng.randrange(5), rng.randrange(len(octets) + 1)
        if what == 0:
            octets[at:at + 1] = bytes([rng.randrange(256)])
        elif what == 1 and at < len(octets):
            octets[at] ^= 1 << rng.randrange(8)
        elif what == 2:
            del octets[at:at + rng.randrange(1, 6)]
        elif what == 3:
            octets[at:at] = rng.randbytes(rng.randrange(1, 6))
        else:
            octets[at:at] = octets[at:at + rng.randrange(1, 30)]
    return bytes(octets)


@pytest.mark.conformance("bad input", "Q.921 frames", "mutations of valid input: no exception, alive afterwards, memory flat")
def test_q921():
    """A link in any state: it comes up again whenever the far end wants it, and holds no more than a window."""
    rng, now = random.Random(921), 0
    link = Q921Link("user", keep_up_ms=5000)
    seeds = [q921_frames.encode(q921_frames.Frame(kind, command, 1, 0, 0, b"\x08\x02\x00\x01\x45" if kind in ("I", "UI") else b""), True)
             for kind, command in (("SABME", True), ("DISC", True), ("UA", False), ("DM", False), ("I", True), ("RR", True), ("RR", False), ("RNR", True),
                                   ("REJ", False), ("UI", True), ("XID", True))]
    for turn in range(MUTATIONS):
        now += rng.choice((0, 10, 300, 1100))
        link.expire(now)
        link.receive(mutated(rng, rng.choice(seeds)), now)
        if link.established and link.queued_frames < 5:
            link.request("dl_data_request", now, b"\x08")
        for octets in link.take_output():
            q921_frames.decode(octets, False)
        if turn % 500 == 499:
            link.receive(seeds[1], now)
            link.receive(seeds[0], now)
            link.receive(seeds[2], now)
            assert link.established
    assert link.queued_frames <= 12


@pytest.mark.conformance("bad input", "SERVICE", "mutations of valid input: no exception, alive afterwards, memory flat")
def test_maintenance():
    """SERVICE of both discriminators."""
    rng, now = random.Random(43), 0
    link = Q931Link("user", "ni2")
    link.link_up(0)
    channel = {"selection": "indicated", "exclusive": True, "channels": [3]}
    seeds = [maintenance.encode(discriminator, kind, 0, status, channel) for discriminator in (0x43, 0x03) for kind in ("SERVICE", "SERVICE_ACKNOWLEDGE")
             for status in maintenance.STATUSES]
    for _ in range(MUTATIONS):
        now += rng.choice((0, 100, 2000))
        link.receive(mutated(rng, rng.choice(seeds)), now)
        link.expire(now)
        link.take_output()
    assert len(json.dumps(link.dump())) < 20000


@pytest.mark.conformance("bad input", "Q.703 signal units", "mutations of valid input: no exception, alive afterwards, memory flat")
@pytest.mark.parametrize("correction", ["basic", "pcr"])
def test_mtp2(correction):
    """Signal units of every kind: after all of it the link aligns."""
    rng, now = random.Random(correction), 0
    link = MTP2Link(correction=correction)
    link.request("power_on", 0)
    link.request("start", 0)
    seeds = [units.encode(units.Unit(kind, 127, 1, 127, 1, b"")) for kind in ("FISU", "SIO", "SIN", "SIE", "SIOS", "SIPO", "SIB")]
    seeds += [units.encode(units.Unit("MSU", 127, 1, fsn, 1, bytes.fromhex("85c80000010102030405"))) for fsn in (0, 1, 5)]
    for _ in range(MUTATIONS):
        now += rng.choice((0, 10, 100, 5000))
        link.expire(now)
        link.receive(mutated(rng, rng.choice(seeds)), now)
        for octets in link.take_output():
            units.decode(octets)
        if rng.random() < 0.02:
            link.request("start", now)
    link.request("stop", now)
    link.take_output()                  # what is repeated already is not given again
    link.request("start", now)
    assert [units.decode(octets).kind for octets in link.take_output()][-1] in ("SIO", "SIN", "SIE")


@pytest.mark.conformance("bad input", "Q.704 messages", "mutations of valid input: no exception, alive afterwards, memory flat")
@pytest.mark.parametrize("variant", mtp3.VARIANTS)
def test_mtp3_messages(variant):
    rng = random.Random(variant)
    seeds = [whole(variant, name) for name in ALL]
    for _ in range(MUTATIONS):
        try:
            label, rest = mtp3.decode(variant, mutated(rng, rng.choice(seeds)))
            mtp3.decode_management(variant, label.si if label.si < 3 else 0, rest)
        except mtp3.MessageError:
            pass


@pytest.mark.conformance("bad input", "Q.704 node", "mutations of valid input: no exception, alive afterwards, memory flat")
def test_mtp3_node():
    """Every management and test message, mutated, on any link: the links carry traffic in the end."""
    rng = random.Random(704)
    rig = MTP3Rig()
    rig._after(rig.node.start(0))
    links, seeds = sorted(rig.node.links), [whole("itu", name) for name in ALL]
    for turn in range(MUTATIONS // 4):
        rig.event(rng.choice(links), "message", mutated(rng, rng.choice(seeds)))
        if turn % 50 == 0:
            rig.wait(rng.choice((100, 2000)))
    assert len(json.dumps(rig.node.dump())) < 100000


@pytest.mark.conformance("bad input", "SIP and SDP", "mutations of valid input: no exception, alive afterwards, memory flat")
@pytest.mark.parametrize("what, seed, parse", [("message", INVITE, sip.parse), ("sdp", SDP, sdp.read)])
def test_sip(what, seed, parse):
    rng = random.Random(what)
    seeds = [seed, seed.replace(b"INVITE", b"BYE"), seed.replace(b"\r\n", b"\n")]
    for path in sorted((pathlib.Path(__file__).parent / "sip_torture").glob("*.dat"))[:20] if what == "message" else []:
        seeds.append(path.read_bytes())
    for _ in range(MUTATIONS):
        try:
            parse(mutated(rng, rng.choice(seeds)))
        except RemoteError:
            pass


@pytest.mark.conformance("bad input", "SIP endpoint", "mutations of a call's own messages: no exception, a call afterwards, memory flat")
def test_sip_endpoint():
    """A registered telephone, its peer and a stranger send what a call has on the wire, spoilt; every indicated call is answered or refused.
    When its timers have run out the switch holds what it held after the first tenth."""
    rng, switch = random.Random(3261), sip_world.endpoint()
    phone, seeds, held = sip_world.Phone(switch), samples(), []
    phone.register()
    for turn in range(1, MUTATIONS + 1):
        source = rng.choice((phone.address, phone.address, ("10.9.8.7", 5060), ("10.9.8.7", 5062, "tcp")))
        for event in switch.receive(mutated(rng, rng.choice(seeds)), source, phone.now_ms):
            if event["kind"] == "invite_indication":
                request = {"kind": "answer_request", "sdp": sip_world.ANSWER} if rng.random() < 0.5 else {"kind": "reject_request", "status": 486}
                switch.request(dict(request, leg=event["leg"]), phone.now_ms)
        switch.take_output()
        switch.take_changes()
        phone.now_ms += rng.choice((0, 1, 50))
        switch.expire(phone.now_ms)
        if turn in (MUTATIONS // 10, MUTATIONS):
            for session in [leg["leg"] for leg in switch.live_legs()]:
                switch.request({"kind": "release_request", "leg": session}, phone.now_ms)
            for _ in range(40):
                phone.now_ms += 16000
                switch.expire(phone.now_ms)
                switch.take_output()
            switch.take_changes()
            switch.take_faults()
            for memory in (sip_uri, sip_headers):
                memory._known.clear()           # of what was parsed lately; it has its own bound
            gc.collect()
            held.append(len(gc.get_objects()))
    assert "internal_error" not in switch.counters, switch.counters
    assert not switch.live_legs() and held[1] - held[0] < 500, held
    phone.register()
    events, output = phone.invite("5001")
    assert [event["kind"] for event in events] == ["invite_indication"]
