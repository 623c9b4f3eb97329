"""Conferences on live timeslots, against sums made with numpy."""

import time

import numpy
import pytest

from dsp import g711

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
