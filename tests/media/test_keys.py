"""Key presses from leg to leg: tones, telephone-events (RFC 4733) and what signalling says, each way into the others.

The far ends are written here; tones are looked for by hil/probes/dtmf.py, which knows nothing of dsp/dtmf.py."""

import struct
import time

import numpy
import pytest

from dsp import g711
from hil.probes import dtmf
from tests.media.test_rtp_legs import Peer, noise, pair, wait_blocks     # noqa: F401  pair is a fixture

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
PAD = "123A456B789C*0#D"
CODES = "0123456789*#ABCD"
LEFT_MS = 40        # dsp/dtmf.py: a tone of 36 ms is always found, in the block after which it is


def tone(digit, ms):
    """A key in linear samples, -9 dBm0 a frequency or so."""
    row, column = divmod(PAD.index(digit), 4)
    t = numpy.arange(ms * 8) / 8000
    return 6000 * (numpy.sin(2 * numpy.pi * ROWS[row] * t) + numpy.sin(2 * numpy.pi * COLUMNS[column] * t))


def keys(digits, on_ms=100, off_ms=80, before_ms=200):
    """A-law octets of silence and keys."""
    pieces = [numpy.zeros(before_ms * 8)]
    for digit in digits:
        pieces += [tone(digit, on_ms), numpy.zeros(off_ms * 8)]
    x = numpy.concatenate(pieces).astype(numpy.int16)
    return g711.compress(numpy.concatenate([x, numpy.zeros(-len(x) % 160, numpy.int16)]), 0).tobytes()


def presses(peer, payload_type=101):
    """[(digit, ms)] of the telephone-events that came, each as RFC 4733 2.5 wants it."""
    found = []
    for packet in list(peer.packets):
        if packet[1] & 127 != payload_type:
            continue
        ts, (code, flags, duration) = packet[4:8], struct.unpack("!BBH", packet[12:])
        if not found or found[-1]["ts"] != ts:
            assert packet[1] & 0x80, "the first packet of a key has the marker"
            found.append({"ts": ts, "code": code, "durations": [], "ends": 0})
        else:
            assert not packet[1] & 0x80
        row = found[-1]
        assert code == row["code"] and flags & 63 == 10 and (flags & 0x80 or not row["ends"])
        row["durations"].append(duration)
        row["ends"] += flags >> 7
    assert all(row["ends"] == 3 and sorted(row["durations"]) == row["durations"] and len(set(row["durations"][-3:])) == 1 for row in found), found
    return [(CODES[row["code"]], row["durations"][-1] // 8) for row in found]


def sound(peer):
    """Samples of the sound that came."""
    octets = b"".join(packet[12:] for packet in list(peer.packets) if packet[1] & 127 == 8)
    return g711.expand(numpy.frombuffer(octets, numpy.uint8), 0)


def in_order(peer):
    numbers = [struct.unpack("!H", packet[2:4])[0] for packet in list(peer.packets)]
    return all((b - a) & 0xFFFF == 1 for a, b in zip(numbers, numbers[1:]))


@pytest.mark.parametrize("digits", ("5", "5", "1159#"))
def test_a_tone_of_a_timeslot_leaves_as_events_and_not_as_sound(board, control, pair, digits):
    control.do("modify", id="r", keys="event")
    octets = keys(digits)
    board.say(11, 1, octets)
    wait_blocks(board, len(octets) // 80 + 40)
    found = presses(pair)
    assert "".join(digit for digit, _ in found) == digits and all(60 <= ms <= 140 for _, ms in found), found
    left_ms = numpy.count_nonzero(numpy.abs(sound(pair)) > 200) / 8 / len(digits)
    assert left_ms <= LEFT_MS, "of each tone so much is in the sound, until it is found"
    assert in_order(pair)


def test_a_far_end_without_events_hears_the_tone(board, control, pair):
    control.do("modify", id="r", keys="sound")
    octets = keys("47")
    board.say(11, 1, octets)
    wait_blocks(board, len(octets) // 80 + 30)
    assert presses(pair) == [] and dtmf.text(sound(pair)) == "47"
    assert "dtmf_payload_type" in control.raw("modify", id="r", keys="event", dtmf_payload_type=None)["error"]
    assert "keys" in control.raw("modify", id="r", keys="smoke")["error"]


def test_control_is_told_of_keys_and_the_far_end_hears_silence(board, control, pair):
    control.do("modify", id="r", keys="control")
    octets = keys("38")
    board.say(11, 1, octets)
    for digit in "38":
        event = control.event("key", id="r")
        assert event["digit"] == digit and 60 <= event["duration_ms"] <= 140
    wait_blocks(board, 30)
    assert presses(pair) == [] and dtmf.text(sound(pair)) == ""
    control.do("stats")
    assert not [event for event in control.events if event["kind"] in ("digit", "key")], "nobody has asked for digits of the timeslot"


def test_a_key_that_signalling_tells_is_a_tone_for_the_timeslot(board, control, pair):
    board.listen(11, 1)
    pair.stream(noise(3, 1600))
    control.do("detect", id="r", dtmf=True)
    control.do("press", id="r", digit="7", duration_ms=120)
    wait_blocks(board, 60)
    heard = g711.expand(numpy.frombuffer(board.said(11, 1), numpy.uint8), 0)
    assert dtmf.text(heard[-4800:]) == "7"
    control.do("stats")
    assert not [event for event in control.events if event["kind"] == "digit"], "control knows it"
    pair.stream(keys("2"), seq=200, ts=40000)
    time.sleep(0.2)
    control.do("stats")
    assert not [event for event in control.events if event["kind"] == "digit"], "who tells keys so is not listened to for tones"
    for wrong in ({"digit": "77"}, {"digit": "!"}, {"digit": "5", "duration_ms": 5}, {"id": "t", "digit": "5"}):
        assert "press" in control.raw("press", **{"id": "r", "duration_ms": 100, **wrong})["error"]


def test_tones_are_no_digits_where_they_shall_not_be(board, control, pair):
    control.do("modify", id="r", tones=False)
    control.do("detect", id="r", dtmf=True)
    pair.stream(keys("26"))
    time.sleep(0.2)
    control.do("stats")
    assert not [event for event in control.events if event["kind"] == "digit"]


@pytest.mark.parametrize("third", (False, True))
def test_events_go_on_as_events_of_the_other_leg(board, control, pair, third):
    """Other payload types; beside a third party, who hears the tone; and a key that control tells goes on as event, too."""
    port = control.do("add", id="q", kind="rtp", address="127.0.0.1")["port"]
    other = Peer(("127.0.0.1", port))
    try:
        control.do("modify", id="q", remote=other.address, payload_type=8, dtmf_payload_type=96, keys="event")
        control.do("modify", id="r", keys="event")
        control.do("bridge", id="b", legs=["r", "q"] + (["t"] if third else []))
        board.listen(11, 1)
        pair.stream(noise(10, 1600))
        seq, ts = 110, 5000 + 1600
        for code, ticks in ((4, 5), (9, 8)):
            for tick in range(1, ticks + 1):
                pair.send(pair.packet(seq, ts, struct.pack("!BBH", code, 10, 160 * tick), 101, tick == 1))
                seq += 1
                time.sleep(0.02)
            for _ in range(3):
                pair.send(pair.packet(seq, ts, struct.pack("!BBH", code, 0x8A, 160 * ticks), 101))
                seq += 1
            ts += 160 * (ticks + 5)
            time.sleep(0.1)
        control.do("press", id="r", digit="#", duration_ms=100)
        wait_blocks(board, 40)
        found = presses(other, 96)
        assert "".join(digit for digit, _ in found) == "49#" and all(40 <= ms <= 260 for _, ms in found), found
        assert presses(pair) == [] and in_order(other), "who presses is not told of it"
        if third:
            assert dtmf.text(g711.expand(numpy.frombuffer(board.said(11, 1), numpy.uint8), 0)) == "49#"
    finally:
        other.close()
