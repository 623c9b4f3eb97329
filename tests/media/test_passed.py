"""G.729 from one RTP leg to the other of its bridge as it came: octets, order, loss, time, key presses; nobody else hears it."""

import itertools
import random
import socket
import struct
import time

import pytest

from firmware.media import _engine
from tests.conftest import WHOLE_ONLY

ids = itertools.count(1)
SOURCE, FIRST, CLOCK = 4711, 65500, 0xFFFFF000


@pytest.fixture
def legs(control):
    """function(number, **settings) -> [(socket of the far end, address of the leg, its id)]."""
    made = []

    def start(count=2, payload_types=(18, 96), events=(101, 97), **more):
        found = []
        for place in range(count):
            far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            far.bind(("127.0.0.1", 0))
            far.settimeout(10)
            made.append(far)
            name = "p%d" % next(ids)
            address = ("127.0.0.1", control.do("add", id=name, kind="rtp", address="127.0.0.1")["port"])
            control.do("modify", id=name, remote=list(far.getsockname()), payload_type=payload_types[place % 2], dtmf_payload_type=events[place % 2],
                       codec="G729", **more)
            found.append((far, address, name))
        return found
    yield start
    for sock in made:
        sock.close()


def frames(count, seed):
    """Payloads of 20 ms: two frames of 10 octets, which only a decoder could tell from any others."""
    rng = random.Random(seed)
    return [rng.randbytes(20) for _ in range(count)]


def packet(place, payload, payload_type=18, marker=False, source=SOURCE, time_=None):
    return struct.pack(">BBHII", 0x80, payload_type | (128 if marker else 0), (FIRST + place) & 0xFFFF,
                       (CLOCK + (place if time_ is None else time_) * 160) & 0xFFFFFFFF, source) + payload


def say(far, address, payloads, order=None, **more):
    for place in order if order is not None else range(len(payloads)):
        far.sendto(packet(place, payloads[place], **more), address)
        time.sleep(0.02)


def take(far, wait_s=0.3, most_s=1.5):
    """[(payload type, marker, number, time, source, payload)] of all that comes until nothing does, or for so long."""
    found, end = [], time.monotonic() + most_s
    far.settimeout(wait_s)
    while True:
        if time.monotonic() > end:
            return found
        try:
            data = far.recv(2048)
        except TimeoutError:
            return found
        kind, number, clock, source = struct.unpack(">BHII", data[1:12])
        found.append((kind & 127, kind >> 7, number, clock, source, data[12:]))


def test_octets_order_and_time_go_on(control, legs):
    """Both ways at once: payload types and source of each leg's own, numbers and times moved by a constant, what is lost stays lost."""
    (a, to_a, one), (b, to_b, other) = legs()
    control.do("bridge", id="b1", legs=[one, other])
    first, second = frames(40, 1), frames(40, 2)
    order = [place for place in range(40) if place not in (7, 8, 20)]
    order[30], order[31] = order[31], order[30]
    for place in range(40):
        if place < len(order):
            a.sendto(packet(order[place], first[order[place]]), to_a)
        b.sendto(packet(place, second[place], payload_type=96, source=99), to_b)
        time.sleep(0.02)
    at_b, at_a = take(b), take(a)
    assert [row[5] for row in at_b] == [first[place] for place in order] and [row[5] for row in at_a] == second
    assert {row[0] for row in at_b} == {96} and {row[0] for row in at_a} == {18}
    assert len({row[4] for row in at_b}) == len({row[4] for row in at_a}) == 1 and SOURCE not in {row[4] for row in at_b}
    assert len({(row[2] - place) & 0xFFFF for row, place in zip(at_b, order)}) == 1, "numbers move by a constant"
    assert len({(row[3] - 160 * place) & 0xFFFFFFFF for row, place in zip(at_b, order)}) == 1, "so do times"
    assert [row[1] for row in at_b].index(1) == 0 and sum(row[1] for row in at_b) == 1, "the first packet is marked"
    rows = {row["id"]: row for row in control.audit()["terminations"]}
    assert rows[other]["coder"] == {"codec": "G729", "recovered_samples": 0, "failed_packets": 0, "passed": len(order)}
    assert (rows[one]["stats"]["reordered"], rows[one]["stats"]["lost"]) == (1, 3), rows[one]["stats"]


@WHOLE_ONLY
def test_key_presses_go_along_and_are_told(control, legs):
    """RFC 4733, under the other leg's payload type, at its place in the stream."""
    (a, to_a, one), (b, _, other) = legs()
    control.do("bridge", id="b2", legs=[one, other])
    control.do("detect", id=one, dtmf=True)
    sound = frames(12, 3)
    say(a, to_a, sound[:6])
    for place, (ended, duration) in enumerate(((0, 160), (0, 320), (0x80, 480), (0x80, 480), (0x80, 480)), 6):
        a.sendto(packet(place, struct.pack(">BBH", 5, ended | 10, duration), payload_type=101, marker=place == 6, time_=6), to_a)
        time.sleep(0.02)
    a.sendto(packet(11, sound[11]), to_a)
    found = take(b)
    assert [row[0] for row in found] == [96] * 6 + [97] * 5 + [96]
    assert len({row[3] for row in found[6:11]}) == 1 and (found[6][3] - found[5][3]) & 0xFFFFFFFF == 160 and found[6][1] == 1
    assert [row[5][0] for row in found[6:11]] == [5] * 5
    assert control.event("digit", id=one)["digit"] == "5"


@WHOLE_ONLY
def test_who_is_not_meant_to_hear_gets_nothing(control, legs, board):
    """A third party, a timeslot, a leg of the other law, a blocked direction: no packet of it goes there, and it goes on where two are left."""
    (a, to_a, one), (b, to_b, other), (c, _, third) = legs(3)
    sound = frames(30, 4)
    say(a, to_a, sound[:5])
    assert not take(b, 0.2), "no bridge"
    control.do("bridge", id="b3", legs=[one, other, third])
    say(a, to_a, sound[:5])
    assert not take(b, 0.2) and not take(c, 0.1), "three parties are mixed, and this cannot be"
    control.do("bridge", id="b3", legs=[one, other])
    control.do("topology", bridge="b3", **{"from": one, "to": other, "way": "one"})
    for place in range(10, 15):
        a.sendto(packet(place, sound[place]), to_a)
        b.sendto(packet(place, sound[place], payload_type=96, source=5), to_b)
        time.sleep(0.02)
    assert sorted(len(take(far, 0.2)) for far in (a, b)) == [0, 5], "one way"
    control.do("topology", bridge="b3", **{"from": one, "to": other, "way": "both"})
    control.do("modify", id=other, codec=None, payload_type=8)
    say(a, to_a, sound[15:20], order=None)
    assert {row[0] for row in take(b, 0.2)} <= {8}, "G.711 of silence, and nothing of the other kind"
    control.do("modify", id=other, codec="G729", payload_type=96)
    take(b, 0.1)
    for place in range(20, 25):
        a.sendto(packet(place, sound[place]), to_a)
        time.sleep(0.02)
    assert [row[5] for row in take(b, 0.3) if row[0] == 96] == sound[20:25]


@WHOLE_ONLY
def test_any_octets_and_a_new_source(control, legs):
    """What is too long is counted; a far end that begins anew is followed, its numbers go on from ours."""
    (a, to_a, one), (b, _, other) = legs()
    control.do("bridge", id="b4", legs=[one, other])
    rng = random.Random(5)
    for place in range(60):
        a.sendto(packet(place, rng.randbytes(rng.choice((0, 1, 2, 10, 20, 60, 480, 481, 1900)))), to_a)
        if place % 4 == 3:
            time.sleep(0.012)
    before = take(b)
    assert before and all(0 < len(row[5]) <= 480 for row in before)
    sound = frames(10, 6)
    time.sleep(0.2)
    for place in range(10):
        a.sendto(packet(place + 30000, sound[place], source=1234), to_a)
        time.sleep(0.02)
    after = take(b)
    assert [row[5] for row in after] == sound[-len(after):] and len(after) >= 8
    assert after[0][2] - max(before, key=lambda row: (row[2] - before[0][2]) & 0xFFFF)[2] & 0xFFFF < 100 and after[0][1] == 1
    assert control.do("stats")["admission"]["codecs_ns"]["G729"] == 0 and "G729" in _engine.CODECS
