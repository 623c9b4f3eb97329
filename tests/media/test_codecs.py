"""RTP in G.722, G.726 and Opus: against coders that are not ours (FFmpeg's), with loss, reordering, and payloads that are none."""

import itertools
import random
import socket
import struct
import subprocess
import time

import numpy
import pytest

from dsp import g711
from firmware.media import _engine
from hil.probes import align

ids = itertools.count(1)
# name: (FFmpeg's encoder and its format, decoder's demuxer, rate, octets of 20 ms or None)
FAR = {"G722": ("g722", "g722", 16000, 160), "G726-32": ("g726le", "g726le", 8000, 80), "AAL2-G726-32": ("g726", "g726", 8000, 80)}
CLOCK = {"OPUS": 6}


def speech(seconds=2.0, seed=5):
    """Noise of voice's spectrum in syllables: nothing in it resembles another piece."""
    rng = numpy.random.default_rng(seed)
    n = int(8000 * seconds)
    hz = numpy.fft.rfftfreq(n, 1 / 8000)
    shape = numpy.where((hz > 200) & (hz < 3200), 1 / (1 + (hz / 500) ** 4), 0)
    x = numpy.fft.irfft(numpy.fft.rfft(rng.normal(size=n)) * shape, n)
    x *= 0.55 + 0.45 * numpy.sin(2 * numpy.pi * 4 * numpy.arange(n) / 8000)
    return (x / numpy.abs(x).max() * 14000).astype(numpy.int16)


def ffmpeg(octets, *options):
    return subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", *options], input=octets, capture_output=True, check=True).stdout


def far_encode(name, x):
    """Payloads of 20 ms by a coder that is not ours."""
    codec, form, rate, octets = FAR[name]
    more = ["-code_size", "4"] if codec.startswith("g726") else []
    whole = ffmpeg(x.tobytes(), "-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-", "-ar", str(rate), "-c:a", codec, *more, "-f", form, "-")
    return [whole[at:at + octets] for at in range(0, len(whole) - octets + 1, octets)]


def far_decode(name, payloads):
    codec, form, rate, _ = FAR[name]
    more = ["-code_size", "4"] if codec.startswith("g726") else []
    given = ["-ar", str(rate), "-ac", "1"] if codec.startswith("g726") else []
    return numpy.frombuffer(ffmpeg(b"".join(payloads), "-f", form, *given, *more, "-i", "-", "-f", "s16le", "-ar", "8000", "-ac", "1", "-"), "<i2")


def opus_payloads(x):
    """FFmpeg's libopus in Ogg, without its two headers: pages of packets (RFC 3533)."""
    whole = ffmpeg(x.tobytes(), "-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-", "-c:a", "libopus", "-b:a", "24k", "-application", "voip", "-f", "ogg", "-")
    packets, part, at = [], b"", 0
    while at < len(whole):
        count = whole[at + 26]
        lengths, body = whole[at + 27:at + 27 + count], at + 27 + count
        for length in lengths:
            part += whole[body:body + length]
            body += length
            if length < 255:
                packets.append(part)
                part = b""
        at = body
    return packets[2:]


def opus_decode(payloads):
    """The same way back: pages of one packet each."""
    table = []
    for i in range(256):
        crc = i << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
        table.append(crc)
    pages, place = [], 0
    heads = [b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 8000, 0, 0), b"OpusTags" + struct.pack("<I", 1) + b"x" + struct.pack("<I", 0)]
    for number, packet in enumerate(heads + payloads):
        place += 960 if number > 1 else 0
        lengths = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
        page = struct.pack("<4sBBqIIIB", b"OggS", 0, 2 if number == 0 else 0, place, 7, number, 0, len(lengths)) + lengths + packet
        crc = 0
        for octet in page:
            crc = (crc << 8 & 0xFFFFFFFF) ^ table[crc >> 24 ^ octet]
        pages.append(page[:22] + struct.pack("<I", crc) + page[26:])
    return numpy.frombuffer(ffmpeg(b"".join(pages), "-f", "ogg", "-i", "-", "-f", "s16le", "-ar", "8000", "-ac", "1", "-"), "<i2")


def assert_heard(match, codec, overlap):
    """What a coder leaves of speech.  A tick that a host kept from running costs the board 10 ms, and a window of 50 ms across
    such a place is like nothing (seen: 0.1 in two of 40, all others 0.99): most windows must be as the coder leaves them, and the
    whole may be as much worse as a few lost ticks make it."""
    assert numpy.median([value for _, _, value in match.windows]) > (0.95 if codec == "OPUS" else 0.98), match
    assert match.correlation > (0.9 if codec == "OPUS" else 0.97) or match.gaps and match.correlation > 0.8, match
    assert match.overlap > overlap, match


@pytest.fixture
def leg(control):
    """function(codec) -> (socket of the far end, leg's address, timeslot it is bridged with)."""
    made = []

    def start(codec, payload_type=96):
        number = next(ids)
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.bind(("127.0.0.1", 0))
        far.settimeout(10)
        made.append(far)
        address = ("127.0.0.1", control.do("add", id=f"r{number}", kind="rtp", address="127.0.0.1")["port"])
        control.do("modify", id=f"r{number}", remote=list(far.getsockname()), payload_type=payload_type, codec=codec)
        control.do("add", id=f"t{number}", kind="timeslot", span=9, timeslot=number, law="A")
        control.do("bridge", id=f"b{number}", legs=[f"r{number}", f"t{number}"])
        return far, address, number
    yield start
    for sock in made:
        sock.close()


def send(far, address, payloads, clock, payload_type=96, lose=(), swap=(), first=65500, source=77):
    """Payloads at their pace; lose, swap: places that do not come, or come after their successor."""
    order = list(range(len(payloads)))
    for place in swap:
        order[place], order[place + 1] = order[place + 1], order[place]
    due = time.monotonic()
    for turn, place in enumerate(order):
        due += 0.02
        time.sleep(max(0, due - time.monotonic()))
        if place not in lose:
            head = struct.pack(">BBHII", 0x80, payload_type, (first + place) & 0xFFFF, (0xFFFFF000 + place * 160 * clock) & 0xFFFFFFFF, source)
            far.sendto(head + payloads[place], address)


def receive(far, payload_type, count):
    found = {}
    while len(found) < count:
        packet = far.recv(2048)
        assert packet[1] & 127 == payload_type
        found[struct.unpack(">H", packet[2:4])[0]] = packet
    return list(found.values())


def drain(far):
    """What has come until now is not wanted."""
    far.setblocking(False)
    try:
        while far.recv(2048):
            pass
    except BlockingIOError:
        far.settimeout(10)


TRANSCODED = [name for name in _engine.CODECS if name != "G729"]       # that is passed on


@pytest.mark.parametrize("codec", TRANSCODED)
def test_both_ways_against_coders_that_are_not_ours(board, control, leg, codec):
    """From the far end, with one packet in 20 swapped with its successor; and to it, with RTP's clock of the codec."""
    clock = CLOCK.get(codec, 1)
    far, address, number = leg(codec)
    x = speech(1.3)
    payloads = opus_payloads(x) if codec == "OPUS" else far_encode(codec, x)
    drain(far)
    board.listen(9, number)
    board.say(9, number, g711.compress(x, 0).tobytes())
    send(far, address, payloads, clock, swap=range(5, len(payloads) - 1, 20))
    time.sleep(0.3)
    heard = g711.expand(numpy.frombuffer(board.said(9, number), numpy.uint8), 0)
    match = align.compare(x, heard)
    assert_heard(match, codec, 4000)
    row = next(row for row in control.audit()["terminations"] if row["id"] == f"r{number}")
    assert row["codec"] == codec and row["stats"]["garbage"] == 0 and row["coder"]["failed_packets"] == 0, row
    assert row["stats"]["reordered"] >= 3 and row["stats"]["lost"] == 0, row
    packets = receive(far, 96, len(payloads) + 10)
    times = [struct.unpack(">I", packet[4:8])[0] for packet in packets]
    assert {(b - a) & 0xFFFFFFFF for a, b in zip(times, times[1:])} == {160 * clock}
    payloads = [packet[12:] for packet in packets]
    heard = opus_decode(payloads) if codec == "OPUS" else far_decode(codec, payloads)
    match = align.compare(x, heard.astype(numpy.int16))
    assert_heard(match, codec, 5000)


def test_opus_recovers_what_was_lost(board, control, leg):
    """One packet in ten does not come: what its successor carries of it is used, the rest is concealed; nothing else slips."""
    far, address, number = leg("OPUS")
    x = speech(1.2, 6)
    send(far, address, opus_payloads(x), 6, lose=range(7, 60, 10))
    row = next(row for row in control.audit()["terminations"] if row["id"] == f"r{number}")
    assert row["stats"]["lost"] >= 5 and row["coder"]["recovered_samples"] >= 5 * 160, row


@pytest.mark.parametrize("codec", ("G722", "OPUS"))
def test_another_source_with_lower_numbers_is_heard(board, control, leg, codec):
    """A gateway that puts the call to another of its ends: a new SSRC, and numbers that the one before had long passed."""
    clock = CLOCK.get(codec, 1)
    far, address, number = leg(codec)
    x, y = speech(0.4, 7), speech(1.3, 8)
    coded = [opus_payloads(z) if codec == "OPUS" else far_encode(codec, z) for z in (x, y)]
    send(far, address, coded[0], clock, first=5000)
    time.sleep(0.3)                             # a source that still sends is not left for another
    board.listen(9, number)
    send(far, address, coded[1], clock, first=4500, source=78)
    time.sleep(0.3)
    match = align.compare(y, g711.expand(numpy.frombuffer(board.said(9, number), numpy.uint8), 0))
    assert_heard(match, codec, 4000)
    row = next(row for row in control.audit()["terminations"] if row["id"] == f"r{number}")
    assert row["stats"]["late"] < 10 and row["coder"]["failed_packets"] == 0, row       # a host that stands still makes some late


def test_what_is_no_speech_of_the_codec(control, leg):
    """Any octets, any length, any order: counted, and the leg goes on."""
    rng = random.Random(3)
    for codec in TRANSCODED:
        far, address, number = leg(codec)
        for place in range(300):
            head = struct.pack(">BBHII", 0x80, 96, rng.choice((place, rng.randrange(65536))), rng.choice((place * 160, rng.randrange(1 << 32))), 5)
            far.sendto(head + rng.randbytes(rng.choice((0, 1, 3, 39, 80, 160, 163, 700, 1276, 1277, 1900))), address)
            if place % 16 == 0:
                time.sleep(0.01)
        assert control.do("stats")["ok"]
        packet = receive(far, 96, 3)[0]
        assert len(packet) > 12
    for wrong in ({"codec": "G723"}, {"codec": "OPUS", "ptime_ms": 30}, {"codec": "G722", "payload_type": 128}, {"codec": 5}, {"payload_type": 9}):
        reply = control.raw("modify", id=f"r{number}", **{"codec": None, "payload_type": 8, **wrong})
        assert not reply["ok"] and "modify:" in reply["error"], (wrong, reply)


def test_a_leg_changes_its_codec_in_a_call_and_admission_counts_it(board, control, leg):
    far, address, number = leg("G722")
    receive(far, 96, 2)
    before = control.do("stats")["admission"]
    control.do("modify", id=f"r{number}", codec=None, payload_type=8)
    while far.recv(2048)[1] & 127 != 8:
        pass
    after = control.do("stats")["admission"]
    assert after["reserved_us"] < before["reserved_us"] and set(after["codecs_ns"]) == set(_engine.CODECS)
    control.do("modify", id=f"r{number}", codec="OPUS", payload_type=111)
    while far.recv(2048)[1] & 127 != 111:
        pass
