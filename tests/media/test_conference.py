"""Conferences on live timeslots, against sums made with numpy."""

import socket
import threading
import time
import types

import numpy
import pytest

from dsp import g711
from firmware.media import _engine
from firmware.media.board import BoardFollower
from firmware.media.kernels import Kernels
from tests.conftest import WHOLE_ONLY
from tests.media.test_enhance import talker

BLOCK = 80


def alaw(x):
    return g711.compress(numpy.clip(numpy.rint(x), -32768, 32767).astype(numpy.int16), 0)


class Talker:
    """Says the same octets round and round, one block after the other."""

    def __init__(self, x):
        self.octets = alaw(x).reshape(-1, BLOCK)
        self.linear = g711.expand(self.octets.reshape(-1), 0).astype(int).reshape(-1, BLOCK)
        self.at = 0

    def __call__(self, _):
        block = self.octets[self.at % len(self.octets)]
        self.at += 1
        return block


def join(board, control, talkers, others=0):
    """A bridge of talkers and silent others on spans 10 and up; returns the leg ids."""
    legs = []
    for n in range(len(talkers) + others):
        legs.append(f"p{n}")
        control.do("add", id=legs[-1], kind="timeslot", span=10 + n // 31, timeslot=n % 31 + 1, law="A")
    control.do("bridge", id="c", legs=legs)
    with board.lock:
        board.far_end = {(10 + n // 31, n % 31 + 1): talker for n, talker in enumerate(talkers)}
    return legs


def hear(board, n, blocks=30, settle=15):
    """What party n hears: whole blocks of samples."""
    def wait(count):
        target = board.blocks + count
        while board.blocks < target:
            time.sleep(0.005)
    wait(settle)
    board.listen(10 + n // 31, n % 31 + 1)
    wait(blocks)
    return numpy.frombuffer(board.said(10 + n // 31, n % 31 + 1), numpy.uint8).reshape(-1, BLOCK)


def matches(heard, sums):
    """How many heard blocks are, octet by octet, the block of the sum at one and the same distance."""
    wanted = alaw(sums).reshape(-1, BLOCK)
    place = {bytes(block): i for i, block in enumerate(wanted)}
    places = [place.get(bytes(block)) for block in heard]
    shifts = [(p - i) % len(wanted) for i, p in enumerate(places) if p is not None]
    return max((shifts.count(s) for s in set(shifts)), default=0)


@pytest.fixture(autouse=True)
def quiet_again(board):
    yield
    with board.lock:
        board.far_end = {}
        board.rx[:, 9:14] = 0xD5       # else the ring says it again


def noises(count, size, seed=1):
    rng = numpy.random.default_rng(seed)
    return [Talker(rng.normal(0, size, BLOCK * 50)) for _ in range(count)]


def sum_of(talkers, gains=None):
    x = sum((t.linear * 1024 if gains is None else t.linear * round(1024 * 10 ** (g / 20))) >> 10
            for t, g in zip(talkers, gains or [0] * len(talkers)))
    return numpy.clip(x, -32768, 32767)


def test_128_parties_hear_the_exact_sum_of_the_others(board, control):
    talkers = noises(6, 600)
    legs = join(board, control, talkers, 122)
    assert len(control.audit()["bridges"][0]["legs"]) == 128
    control.do("conference", bridge="c", loudest=0)
    others = [[t for m, t in enumerate(talkers) if m != n] for n in range(7)]
    for n, leg in ((0, "p0"), (5, "p5"), (6, "p127")):
        heard = hear(board, int(leg[1:]))
        # 122 silent parties say octet 0xD5, which is 8 of 32768, each
        silent = 8 * (122 if n < 6 else 121)
        assert matches(heard, sum_of(others[n]) + silent) > 15, leg
    reply = control.raw("bridge", id="c", legs=legs + ["p1x"])
    assert not reply["ok"] and "128" in reply["error"]


def test_gain_mute_topology_and_the_loudest(board, control):
    talkers = [Talker(numpy.random.default_rng(n).normal(0, size, BLOCK * 50)) for n, size in enumerate((900, 700, 500, 60, 50))]
    join(board, control, talkers, 1)
    control.do("conference", bridge="c", loudest=3, gain_db={"p1": -6, "p2": 3}, muted=[])
    (row,) = control.audit()["bridges"]
    assert row["conference"] == {"loudest": 3, "gain_db": {"p1": -6, "p2": 3}, "muted": []}
    assert matches(hear(board, 5), sum_of(talkers[:3], [0, -6, 3])) > 15      # the quiet ones are not in it
    assert matches(hear(board, 0), sum_of(talkers[1:3], [-6, 3])) > 15
    control.do("conference", bridge="c", loudest=3, gain_db={"p1": -6}, muted=["p0"])
    assert matches(hear(board, 5, settle=40), sum_of([talkers[1], talkers[2], talkers[3]], [-6, 0, 0])) > 15
    assert matches(hear(board, 0), sum_of(talkers[1:4], [-6, 0, 0])) > 15             # who is muted listens
    # Whisper: p5 hears all, p1 is heard by p5 only.
    for leg in ("p0", "p2", "p3", "p4"):
        control.do("topology", bridge="c", **{"from": leg, "to": "p1", "way": "one"})
    assert matches(hear(board, 5), sum_of(talkers[1:4], [-6, 0, 0])) > 15
    assert matches(hear(board, 4), sum_of(talkers[2:4])) > 15
    control.do("conference", bridge="c", loudest=None)
    assert control.audit()["bridges"][0]["conference"] is None


def test_noise_takes_no_talkers_place_where_speech_is_detected(board, control):
    """A street that is 6 dB louder than the one who talks: among the loudest one without the speech detector, not with it."""
    said = talker(2)[:BLOCK * 200]
    street, person = Talker(numpy.random.default_rng(7).normal(0, 2 * said.std(), BLOCK * 200)), Talker(said)
    join(board, control, [street, person], 1)
    control.do("conference", bridge="c", loudest=1)
    assert matches(hear(board, 2, settle=300), sum_of([street])) > 15
    for leg in ("p0", "p1"):
        control.do("enhance", id=leg, vad=True)
    heard = hear(board, 2, settle=500, blocks=100)
    assert matches(heard, sum_of([person])) > 60
    control.do("enhance", id="p0", vad=False)
    assert matches(hear(board, 2, settle=300), sum_of([street])) > 15


def test_loud_parties_are_not_clipped(board, control):
    t = numpy.arange(8000) / 8000
    talkers = [Talker(12000 * numpy.sin(2 * numpy.pi * hz * t)) for hz in (400, 500, 700, 1100)]
    join(board, control, talkers, 1)
    control.do("conference", bridge="c", loudest=0, gain_db={"p0": 6})
    heard = g711.expand(hear(board, 4, 60, 30).reshape(-1), 0).astype(float)[-1600:]
    assert 20000 < numpy.abs(heard).max() <= 32256
    spectrum = numpy.abs(numpy.fft.rfft(heard * numpy.hanning(1600))) ** 2
    tones = sum(spectrum[hz // 5 - 3:hz // 5 + 4].sum() for hz in (400, 500, 700, 1100))
    assert 10 * numpy.log10(tones / (spectrum.sum() - tones)) > 20       # clipping would leave some 8 dB


@pytest.mark.parametrize("wrong, words", [({"loudest": 17}, "0 to 16"), ({"gain_db": {"p0": 13}}, "-40 to 12"),
                                          ({"muted": ["nobody"]}, "no termination"), ({"muted": "p0"}, "list"),
                                          ({"bridge": "d"}, "no bridge")])
def test_a_wrong_conference_is_refused(board, control, wrong, words):
    join(board, control, [], 2)
    reply = control.raw("conference", **{"bridge": "c", "loudest": 3, **wrong})
    assert not reply["ok"] and words in reply["error"]


@WHOLE_ONLY
@pytest.mark.conformance("mission", "4096 parties", "4,096 parties in 32 conferences of 128 at the same time, each hearing the exact sum of the others")
def test_4096_parties_hear_the_exact_sums_of_their_own_conferences(tools, tmp_path):
    """All timeslots of 64 spans and 2,112 RTP legs, of which one in each conference has a far end (the engine alone: admission
    counts what so many legs cost with everything else).  Four talk in each; a talker, the first and the last who
    only listen at timeslots, and the RTP leg's far end are compared octet by octet.  The board waits for each tick."""
    engine, board = _engine.Engine(Kernels()), tools.Board(tmp_path)
    thread = threading.Thread(target=engine.run, daemon=True)
    thread.start()
    rows = [(span, timeslot) for span in range(1, 65) for timeslot in range(1, 32)]
    sockets = [[socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2)] for _ in range(32)]
    for pair in sockets:
        for sock in pair:
            sock.bind(("127.0.0.1", 0))

    def advance(blocks):
        for _ in range(blocks):
            before = engine.ticks()
            board.step()
            deadline = time.monotonic() + 30
            while engine.ticks() == before:
                assert time.monotonic() < deadline, "the tick stands still"
                time.sleep(0.002)

    def done():
        number = engine.commit()
        while engine.done() < number:
            advance(1)
    try:
        BoardFollower(engine, str(board.path)).follow(types.SimpleNamespace(later=lambda function: engine.commit()))
        legs, members, talkers = [], {}, {}
        for slot in range(4096):
            members.setdefault(slot % 32, []).append(slot)
            if slot < len(rows):
                span, timeslot = rows[slot]
                engine.add_timeslot(slot, 1 + slot, (span - 1) * 32 + timeslot, 0)
            else:
                legs.append(_engine.RtpLeg(sockets[slot % 32][0].fileno() if slot >= 4064 else -1, -1, 8, 0, 0, 1 + slot))
                engine.add_rtp(slot, 1 + slot, legs[-1])
                if slot >= 4064:
                    engine.set_rtp(slot, (0x7F000001, sockets[slot % 32][1].getsockname()[1]), 8, 255, 20, 40, 0, 1, 0)
            if slot % 128 == 127:
                done()
        for bridge, slots in members.items():
            engine.set_bridge(bridge, slots)
            engine.set_conference(bridge, 0, [1024] * len(slots))
            done()
            talkers[bridge] = noises(4, 900, seed=100 + bridge)
            board.far_end.update({rows[slot]: talker for slot, talker in zip(slots, talkers[bridge])})
        assert {len(slots) for slots in members.values()} == {128}
        hearers = {(bridge, place): rows[slots[place]] for bridge, slots in members.items() for place in (0, 4, 61)}
        advance(10)
        for key in hearers.values():
            board.listen(*key)
        advance(25)
        right = {}
        for (bridge, place), key in hearers.items():
            heard = numpy.frombuffer(board.said(*key), numpy.uint8).reshape(-1, BLOCK)
            others = [talker for n, talker in enumerate(talkers[bridge]) if n != place]
            right[bridge, place] = matches(heard, sum_of(others) + 8 * (127 - len(others)))      # idle octets are worth 8 of 32768, each
        for bridge, (_, far) in enumerate(sockets):
            heard = []
            while True:
                try:
                    heard.append(numpy.frombuffer(far.recv(2048)[12:], numpy.uint8))
                except BlockingIOError:
                    break
            right[bridge, "rtp"] = matches(numpy.concatenate(heard[-12:]).reshape(-1, BLOCK), sum_of(talkers[bridge]) + 8 * 123)
        assert len(right) == 128 and min(right.values()) > 15, right
    finally:
        engine.stop()
        thread.join(5)
        for sock in sum(sockets, []):
            sock.close()
