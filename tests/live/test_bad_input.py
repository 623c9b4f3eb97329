"""A call goes on whatever else arrives: malformed RTP, SIP, LAPD and Q.931 from the wires of a running house.

While each sort of rubbish comes in, both parties of a talking call send known octets, and every one of
them must arrive unchanged.  No process of the product may end or be started anew, no traceback may stand in a log, and
the next call must work.  What the standards answer to each message is proven in tests/proto; here it counts that
the whole house takes no harm.
"""

import random
import socket
import struct
import time

import pytest

from hil.probes import exact
from tests.corpus import FOLDER, needs
from tests.live import probe_moves

pytestmark = pytest.mark.live
SEED = 20261121

TORTURE = FOLDER / "sip-torture"
NEEDS = needs("sip-torture")

# Q.931 table 4-2
ALERTING, PROGRESS, SETUP, CONNECT, SETUP_ACKNOWLEDGE = 0x01, 0x03, 0x05, 0x07, 0x0D
DISCONNECT, RESTART, RELEASE, RELEASE_COMPLETE = 0x45, 0x46, 0x4D, 0x5A
FACILITY, NOTIFY, STATUS_ENQUIRY, INFORMATION, STATUS, NOBODYS = 0x62, 0x6E, 0x75, 0x7B, 0x7D, 0x66
UNKNOWN_REFERENCE = 0x7ABC


@pytest.fixture(scope="module")
def phone(house):
    with probe_moves.probe_agent(house) as phone:
        yield phone


def tracebacks(house):
    """Lines of the product's logs that tell of an exception nobody expected."""
    found = []
    for path in sorted((house.data_dir / "log").glob("*.log")):
        text = path.read_text(errors="replace")
        found += [f"{path.name}: {line}" for line in text.splitlines()
                  if line.startswith("Traceback") or "internal_error" in line or "Segmentation" in line]
    return found


def survive(house, phone, trouble, seconds):
    """A talking call of `seconds` s, both ways known octets, while trouble(name, reference) goes on."""
    path = house.folder / f"bad-{seconds}.wav"
    caller = probe_moves.material(61, seconds, path)
    agent = probe_moves.material(62, seconds)

    def measure():
        pids, mark = house.pids(), house.far.mark()
        name, call = probe_moves.talk(house, phone)
        reference = house.far.events("message", since=mark, name="SETUP", direction="tx")[0]["call_reference"]
        try:
            house.far.play(name, path)
            play = phone.play(agent)
            time.sleep(0.2)
            began = time.monotonic()
            trouble(name, reference)
            assert time.monotonic() - began < seconds - 0.5, "the trouble fits into the talk: else give it more seconds"
            assert [c["call"] for c in house.state()["calls"]] == [call], "the call goes on, no other came of it"
            play.wait(seconds + 5)
            house.far.wait_for("play_done", seconds + 5, id=name)
            time.sleep(0.3)
            packets, breaks = list(phone.packets), phone.breaks()
        finally:
            heard, _ = probe_moves.end(house, name)
        assert house.pids() == pids, "no process was started anew"
        assert tracebacks(house) == []
        # libpri clears with the cause that a STATUS of ours told it before, 16 where there was none.
        said = house.far.events("message", since=mark, name="DISCONNECT", direction="tx", call_reference=reference)
        assert house.cdr(call)["cdr"]["cause"] == said[-1]["cause"]
        house.wait_idle()
        assert breaks == []
        to_phone = exact.match(caller, b"".join(packet.payload for packet in packets))
        assert to_phone.exact, f"trunk to phone: {to_phone}"
        to_caller = exact.match(agent, heard)
        assert to_caller.exact, f"phone to trunk: {to_caller}"

    probe_moves.undisturbed(measure, house, phone)
    again, call = probe_moves.talk(house, phone)
    probe_moves.end(house, again)
    assert house.cdr(call)["cdr"]["result"] == "answered", "a new call works"
    house.wait_idle()


# -- RTP ---------------------------------------------------------------------------

def rtp_rubbish(stream, chance):
    """Datagrams that are no audio of this call."""
    seq, timestamp, ssrc = stream.position
    audio = bytes(chance.randrange(256) for _ in range(160))
    head = struct.pack("!BBHII", 0x80, 8, seq, timestamp, ssrc)
    for size in list(range(12)) + [13, 60]:
        yield (b"\x00" + head)[:size]                                       # truncated, and version 0
    yield from (head[:size] for size in range(1, 12))                       # truncated, right as far as it goes
    for first in (0x00, 0x40, 0xC0):                                        # versions 0, 1, 3
        yield stream.packet(audio, seq=seq, timestamp=timestamp, first=first)
    for payload_type in (0, 3, 18, 34, 72, 73, 96, 101, 127):
        yield stream.packet(audio, payload_type, seq, timestamp)
    yield stream.packet(b"\x00" * 20, seq=seq, timestamp=timestamp, first=0x8F)     # 15 CSRCs that are not there
    yield stream.packet(b"\xbe\xde\xff\xff" + audio, seq=seq, timestamp=timestamp, first=0x90)   # extension beyond the end
    yield stream.packet(audio + b"\x00", seq=seq, timestamp=timestamp, first=0xA0)   # padding of none
    yield stream.packet(b"\xff" * 20, seq=seq, timestamp=timestamp, first=0xA0)      # padding longer than the packet
    for _ in range(100):
        rubbish = bytearray(chance.randrange(256) for _ in range(chance.randrange(1500)))
        if rubbish:
            rubbish[0] &= 0x7F                 # no version 2: what has one may be a new stream of our own phone
        yield bytes(rubbish)
    yield bytes(9000)


def test_malformed_rtp(house, phone):
    def trouble(name, reference):
        chance = random.Random(SEED)
        for octets in rtp_rubbish(phone.stream, chance):
            phone.inject(octets)
            phone.inject(octets, stranger=True)
            time.sleep(0.005)
        # A stranger with faultless packets of its own, faster and longer than any probation.
        for number in range(150):
            phone.inject(phone.stream.packet(bytes([0x2A] * 160), seq=number, timestamp=160 * number, ssrc=0xBADBAD),
                         stranger=True)
            time.sleep(0.004)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for _ in range(100):               # RTCP's port
                octets = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
                control.sendto(octets, (phone.stream.remote[0], phone.stream.remote[1] + 1))

    survive(house, phone, trouble, 6)


def test_one_packet_of_another_source_from_the_phones_own_port(house, phone):
    """RFC 3550 A.1: a source is one after two packets in sequence; a single one is no new stream."""
    def trouble(name, reference):
        chance = random.Random(SEED + 1)
        for _ in range(20):
            phone.inject(phone.stream.packet(bytes([0x2A] * 160), seq=chance.randrange(65536),
                                             timestamp=chance.randrange(1 << 32), ssrc=chance.randrange(1 << 32)))
            time.sleep(0.07)

    survive(house, phone, trouble, 4)


# -- SIP ---------------------------------------------------------------------------

def sip_rubbish(phone, chance):
    """Datagrams for the SIP port: noise, the phone's own messages cut and spoilt."""
    yield from (b"", b"\r\n\r\n", b"\0" * 100, b"\xff" * 2000, b"SIP/2.0", b"INVITE", b"A" * 65000, b"SIP/2.0 200 OK\r\n\r\n")
    for _ in range(60):
        yield bytes(chance.randrange(256) for _ in range(chance.randrange(1, 1400)))
    for _, way, octets in list(phone.log):
        if octets.startswith((b"BYE", b"SIP/2.0 4")):
            continue                            # a BYE that still parses may end a call rightly
        for size in range(0, len(octets), 37):
            yield octets[:size]
        for _ in range(10):
            spoilt = bytearray(octets)
            # The start line and the identity of the dialog stay away: a faultless CANCEL or BYE it must not become.
            for _ in range(chance.randrange(1, 6)):
                spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
            yield bytes(spoilt)
    yield (b"INVITE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\n"
           + b"X: y\r\n" * 5000 + b"\r\n")
    yield b"OPTIONS sip:x SIP/2.0\r\n" + b"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKy\r\n" * 300 + b"\r\n"


def foreign_byes(phone, port):
    """BYE and CANCEL that know something of the dialog, but not all of it."""
    invite = phone._call.invite
    for method in ("BYE", "CANCEL", "INVITE", "UPDATE"):
        for to_tag, from_tag in (("x", "y"), (invite.tag("from"), "y"), ("x", phone._call.tag)):
            yield (f"{method} {invite.uri('contact')} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{random.random()}\r\n"
                   f"Max-Forwards: 70\r\nFrom: <sip:a@b>;tag={from_tag}\r\nTo: <sip:c@d>;tag={to_tag}\r\n"
                   f"Call-ID: {invite.get('call-id')}\r\nCSeq: 77 {method}\r\nContent-Length: 0\r\n\r\n").encode()


def options_is_answered(house):
    """The SIP port still answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.bind(("127.0.0.1", 0))
        asker.settimeout(2)
        port = asker.getsockname()[1]
        asker.sendto((f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKask{port}\r\n"
                      f"Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: ask{port}\r\n"
                      "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").encode(), ("127.0.0.1", house.sip_port))
        return asker.recv(65535).startswith(b"SIP/2.0 200")


def test_malformed_sip(house, phone):
    def trouble(name, reference):
        chance = random.Random(SEED + 2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))
            for octets in sip_rubbish(phone, chance):
                sender.sendto(octets[:65000], ("127.0.0.1", house.sip_port))
                time.sleep(0.003)
            for octets in foreign_byes(phone, sender.getsockname()[1]):
                sender.sendto(octets, ("127.0.0.1", house.sip_port))
                time.sleep(0.01)
        assert options_is_answered(house)

    survive(house, phone, trouble, 8)


@NEEDS
def test_torture_messages(house, phone):
    """RFC 4475 and RFC 5118, each as it stands, from a foreign port."""
    files = sorted(TORTURE.glob("rfc4475/*.dat")) + sorted(TORTURE.glob("rfc5118-wire/*.sip"))
    assert len(files) >= 61

    def trouble(name, reference):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))
            for _ in range(2):
                for file in files:
                    sender.sendto(file.read_bytes(), ("127.0.0.1", house.sip_port))
                    time.sleep(0.02)
        assert options_is_answered(house)

    survive(house, phone, trouble, 6)


# -- LAPD and Q.931 ----------------------------------------------------------------

def lapd_rubbish(chance):
    """(frame, with a wrong FCS): what Q.921 2.9 calls invalid or what is for nobody here; to be thrown away."""
    yield from ((bytes(chance.randrange(256) for _ in range(size)), True) for size in (3, 4, 5, 20, 100, 250))
    for octets in (b"\x02", b"\x00", b"\xff", b"\x02\x01", b"\x02\x00\x7f", b"\x03\x01\x7f", b"\x02\x00", b"\x00\x00\x00\x00"):
        yield octets, False                                     # too short, or an address that does not end
    for tei in (1, 5, 63, 64, 126):
        yield bytes([0x02, tei << 1 | 1, 0x00, 0x00]) + b"\x08\x02\x00\x01\x05", False       # another terminal
    for sapi in (1, 16, 62):
        yield bytes([sapi << 2 | 2, 0x01, 0x03]) + b"\x08\x02\x00\x01\x05", False            # another service
    yield b"\xfe\xff\x03\x0f\x12\x34\x02\xff", False                                         # TEI management
    for size in (1, 2, 4, 30, 200):                                                          # UI frames
        yield b"\x02\xff\x03" + bytes(chance.randrange(256) for _ in range(size)), False
        yield b"\x02\x01\x03" + bytes(chance.randrange(256) for _ in range(size)), False
    yield bytes(chance.randrange(1, 255) | 1 for _ in range(300)), True


def test_malformed_lapd(house, phone):
    """Invalid frames are thrown away: the data link does not even notice."""
    def trouble(name, reference):
        mark = house.far.mark()
        for octets, bad_fcs in lapd_rubbish(random.Random(SEED + 3)):
            house.far.frame(1, octets, bad_fcs=bad_fcs)
            time.sleep(0.03)
        time.sleep(0.3)
        seen = [e for e in house.far.events("layer2", since=mark)] + house.far.events("link_down", since=mark)
        assert seen == [], f"the data link was disturbed: {seen}"

    survive(house, phone, trouble, 5)


def test_frames_that_reset_the_data_link(house, phone):
    """Frame rejection (Q.921 3.6.11, 5.8.5): the link may be set up anew; the call in the active state lives on (Q.931 5.8.8)."""
    def trouble(name, reference):
        for octets in (b"\x02\x01\xe3", b"\x02\x01\x0f", b"\x02\x01\x01\xfe",      # undefined control, N(R) beyond V(S)
                       b"\x00\x01\x87\x00\x00\x00\x00\x00", b"\x02\x01\x05"):      # FRMR; RNR without its second octet
            house.far.frame(1, octets)
            time.sleep(0.7)
        status = next(s for s in house.far.status()["spans"] if s["span"] == 1)
        assert status["link"], "the data link is up (again)"

    survive(house, phone, trouble, 6)


def message(reference, kind, elements=b""):
    """Octets of a Q.931 message; reference: two octets, flag of the originating side 0."""
    return struct.pack("!BBHB", 8, 2, reference, kind) + elements


GOOD_SETUP = (b"\xa1\x04\x03\x80\x90\xa3\x18\x03\xa1\x83\x8a\x6c\x0d\x21\x8313912345678"
              b"\x70\x0c\xa102150801000")


def q931_rubbish(chance, reference):
    """Contents of I frames that must not harm the call with this reference."""
    for kind in (ALERTING, CONNECT, DISCONNECT, RELEASE, RELEASE_COMPLETE, STATUS_ENQUIRY, INFORMATION, NOBODYS):
        yield message(UNKNOWN_REFERENCE, kind)
    yield message(UNKNOWN_REFERENCE, STATUS, b"\x08\x02\x80\x9e\x14\x01\x0a")
    yield from (b"\x08", b"\x08\x02", b"\x08\x02\x00", b"\x08\x00", b"\x08\x00\x05", b"\x08\x0f" + b"\x01" * 16,
                b"\x00\x02\x00\x01\x05", b"\x43\x02\x00\x01\x05", b"\x08\xf2\x00\x01\x05")
    yield message(0, RESTART)                                           # its mandatory Restart indicator is not there
    yield message(0, RESTART, b"\x79\x01\x85")                         # a class that does not exist
    yield message(0, SETUP, GOOD_SETUP)                                 # the global reference
    for kind in (NOBODYS, 0xFF, 0x00):                                  # nobody's message types
        yield message(reference, kind, b"\x08\x02\x80\x90")
    yield message(reference, SETUP, GOOD_SETUP)                         # the reference is taken
    yield message(reference, CONNECT)                                   # not expected in the active state
    yield message(reference, SETUP_ACKNOWLEDGE)
    yield message(reference, STATUS_ENQUIRY)
    yield message(reference, NOTIFY)                                    # its mandatory indicator is not there
    yield message(reference, PROGRESS, b"\x1e\x00")
    yield message(reference, FACILITY, b"\x1c\x7f\x91")                 # element longer than the message
    yield message(reference, INFORMATION, b"\x70\xff" + b"1" * 20)
    yield message(reference, INFORMATION, bytes(chance.randrange(256) for _ in range(200)))
    yield message(reference, NOTIFY, b"\x27\x01\xf1" * 20 + b"\x05\x01\x00" + b"\x7f\x03abc")
    whole = message(UNKNOWN_REFERENCE + 1, SETUP, GOOD_SETUP)
    yield from (whole[:size] for size in range(5, len(whole) - 1, 4))   # truncated SETUP
    for _ in range(10):
        yield bytes(chance.randrange(256) for _ in range(chance.randrange(5, 250)))


def test_malformed_q931(house, phone):
    """Each takes the place of a SETUP of another call, so that layer 2 keeps its numbering."""
    def trouble(name, reference):
        mark = house.far.mark()
        for number, contents in enumerate(q931_rubbish(random.Random(SEED + 4), reference)):
            victim = f"bad{time.monotonic_ns()}"
            house.far.command("replace_next", span=1, octets=contents.hex())
            house.far.call(victim, span=1, called="02150801000", caller="13912345678")
            time.sleep(0.06)
            house.far.hangup(victim)
            house.far.wait_for("released", 6, id=victim)
        house.wait(lambda s: len(s["calls"]) == 1, 8, "the end of what the spoilt SETUPs began")
        seen = house.far.events("link_down", since=mark) + [e for e in house.far.events("layer2", since=mark)]
        assert seen == [], f"the data link was disturbed: {seen}"
        causes = {e.get("cause") for e in house.far.events("message", since=mark, direction="rx")}
        # Q.931 5.8.3.2 a), 5.8.4 (97 or 98), 5.8.6.1: invalid reference, no such message, mandatory element missing.
        assert 81 in causes and causes & {97, 98} and 96 in causes, causes

    survive(house, phone, trouble, 14)
