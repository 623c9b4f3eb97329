"""The playout buffer in virtual time: hours of clock skew in seconds."""

import random

import numpy
import pytest

from dsp import g711
from firmware.media import _engine
from firmware.media.kernels import Kernels

BLOCK = 80


@pytest.fixture(scope="module")
def engine():
    """An engine that does not run: its kernels are used."""
    return _engine.Engine(Kernels())


def make(engine, jitter_ms=40):
    leg = _engine.RtpLeg(-1, -1, 8, 0, 0, 1)
    return leg, _engine.Playout(engine, leg, 7, jitter_ms)


def voice(samples):
    """Syllables of a harmonic sound with pauses, A-law."""
    t = numpy.arange(samples) / 8000
    pitch = 120 + 10 * numpy.sin(2 * numpy.pi * 0.7 * t)
    phase = 2 * numpy.pi * numpy.cumsum(pitch) / 8000
    sound = sum(numpy.sin(k * phase) / k for k in range(1, 8))
    loud = numpy.clip(numpy.sin(2 * numpy.pi * 0.8 * t) * 3, 0, 1)
    return g711.compress((4000 * sound * loud).astype(numpy.int16), 0).tobytes()


def run(playout, octets, packets, ticks):
    """packets: [(arrival tick, index)], sorted; returns what was played."""
    heard, at = [], 0
    for tick in range(ticks):
        while at < len(packets) and packets[at][0] <= tick:
            n = packets[at][1]
            playout.insert(1000 + 160 * n, octets[160 * n:160 * n + 160])
            at += 1
        heard.append(playout.block())
    return b"".join(heard)


def test_a_steady_stream_passes_unchanged_for_an_hour(engine):
    leg, playout = make(engine)
    octets = bytes(random.Random(1).choices([o for o in range(256) if o != 0xD5], k=160 * 2000))
    octets *= 90                                      # one hour
    heard = run(playout, octets, [(2 * n, n) for n in range(len(octets) // 160)], len(octets) // 80 + 8)
    assert heard.startswith(octets, 320)
    figures = leg.stats()
    assert figures["concealed_samples"] == figures["inserted_samples"] == figures["removed_samples"] == 0


@pytest.mark.parametrize("jitter_ticks", [1, 2, 3, 6])
def test_jitter_costs_a_few_concealments_and_then_none(engine, jitter_ticks):
    leg, playout = make(engine)
    octets = voice(8000 * 60)
    rng = random.Random(jitter_ticks)
    packets = sorted((2 * n + rng.randrange(jitter_ticks + 1), n) for n in range(len(octets) // 160))
    run(playout, octets, packets[:1500], 3000)
    early = leg.stats()["concealed_samples"]
    rest = [(tick - 3000, n) for tick, n in packets[1500:]]
    run(playout, octets, rest, 3000)
    figures = leg.stats()
    assert figures["concealed_samples"] - early <= (160 if jitter_ticks < 6 else 480), figures
    assert early <= 80 * (jitter_ticks + 2) and figures["late"] <= jitter_ticks


@pytest.mark.parametrize("ppm", [-200, -50, 50, 200])
def test_clock_skew_is_followed_without_concealment(engine, ppm):
    """The far clock is fast (+) or slow (-) by ppm; ten minutes of speech."""
    leg, playout = make(engine)
    minute = voice(8000 * 60)
    octets = minute * 10
    count = len(octets) // 160
    packets = [(int(2 * n / (1 + ppm / 1e6) + 0.5), n) for n in range(count)]
    heard = run(playout, octets, packets, packets[-1][0])
    figures = leg.stats()
    drift = abs(ppm) / 1e6 * count * 160
    assert figures["concealed_samples"] <= 160, figures
    moved = figures["removed_samples"] if ppm > 0 else figures["inserted_samples"]
    assert drift - 700 <= moved <= drift + 700, (figures, drift)
    assert (figures["inserted_samples"] if ppm > 0 else figures["removed_samples"]) == 0
    # No step that the voice itself has not.
    own = numpy.abs(numpy.diff(g711.expand(numpy.frombuffer(minute, numpy.uint8), 0).astype(int))).max()
    got = numpy.abs(numpy.diff(g711.expand(numpy.frombuffer(heard, numpy.uint8), 0).astype(int))).max()
    assert got <= 1.3 * own, (got, own)


def test_delay_comes_back_after_a_burst_of_jitter(engine):
    leg, playout = make(engine)
    octets = voice(8000 * 60)
    packets = []
    for n in range(len(octets) // 160):
        late = 12 if 500 <= n < 506 else 0            # 120 ms, six packets
        packets.append((2 * n + late, n))
    packets.sort()
    run(playout, octets, packets[:530], 1060)
    high = leg.stats()["delay_ms"]
    run(playout, octets, [(tick - 1060, n) for tick, n in packets[530:]], 4900)
    assert high >= 100 and leg.stats()["delay_ms"] <= 90, (high, leg.stats())
    assert leg.stats()["late"] == 0


def test_any_order_of_timestamps_is_survived(engine):
    leg, playout = make(engine)
    rng = random.Random(3)
    ts = 0
    for _ in range(20000):
        ts = rng.choice([ts + 160, ts + 160, ts + 160, ts - 160, ts + rng.randrange(-5000, 5000), rng.randrange(1 << 32)])
        playout.insert(ts, bytes(rng.randrange(1, 1921)))
        for _ in range(rng.randrange(4)):
            assert len(playout.block()) == BLOCK


def delay_ms(playout, tick):
    """From sending to playing, of a stream whose packet n is sent at tick 2n with timestamp 1000 + 160n."""
    return tick * 10 - (playout.position - 1000) / 8


def test_a_standstill_of_the_network_is_cut_at_the_ceiling_and_the_delay_comes_back(engine):
    """400 ms nothing, then all at once: at most 200 ms of it are played, and in half a minute it is over."""
    leg, playout = make(engine)
    octets = voice(8000 * 60)
    packets = sorted((max(2 * n, 1240) if 600 <= n < 620 else 2 * n, n) for n in range(3000))
    run(playout, octets, [p for p in packets if p[0] < 1250], 1250)
    assert delay_ms(playout, 1250) <= 210, delay_ms(playout, 1250)
    assert 1000 <= leg.stats()["skipped_samples"] <= 2000
    run(playout, octets, [(tick - 1250, n) for tick, n in packets if tick >= 1250], 4000)
    assert delay_ms(playout, 5250) <= 70, delay_ms(playout, 5250)


def test_after_a_pause_the_delay_is_what_the_stream_needed_before(engine):
    """Silence suppression on a network with 80 ms of jitter: the second spurt is not cut."""
    leg, playout = make(engine)
    octets = voice(8000 * 60)
    rng = random.Random(5)
    spurts = [(2 * n + rng.randrange(9), n) for n in (*range(500), *range(600, 1000))]
    spurts.sort()
    run(playout, octets, [p for p in spurts if p[0] < 1190], 1190)
    before = leg.stats()["concealed_samples"]
    run(playout, octets, [(tick - 1190, n) for tick, n in spurts if tick >= 1190], 820)
    assert leg.stats()["concealed_samples"] - before <= 160, leg.stats()


@pytest.mark.parametrize("least_ms", [10, 200])
def test_the_floor_is_kept(engine, least_ms):
    leg, playout = make(engine, least_ms)
    octets = voice(8000 * 60)
    run(playout, octets, [(2 * n, n) for n in range(2990)], 5980)
    assert least_ms <= delay_ms(playout, 5980) <= least_ms + 20
    assert leg.stats()["concealed_samples"] == 0


def test_no_worse_than_speexdsp_on_any_trace(engine):
    """R of G.107 from what had to be concealed and from the delay; see firmware/media/bench_jitter.py."""
    bench_jitter = pytest.importorskip("firmware.media.bench_jitter")
    for trace, ours, theirs in bench_jitter.measure(40):
        print(trace, ours, theirs)
        assert theirs is None or ours["r"] >= theirs["r"] - 0.3, (trace, ours, theirs)


def test_an_hour_of_clock_difference_has_no_click(engine):
    """100 ppm for an hour of a tone of 200 Hz: every repair joins where the wave repeats itself.

    A click is a step that a tone of that level has not; 360 ms of drift are made up for in some 40 repairs."""
    leg, playout = make(engine)
    tone = (8000 * numpy.sin(2 * numpy.pi * 200 * numpy.arange(8000) / 8000)).astype(numpy.int16)
    octets = g711.compress(tone, 0).tobytes()
    worst, count, at = 0, 3600 * 50, 0
    heard = []
    last = -1
    for tick in range(int(count * 2 * (1 - 1e-4))):
        while at < count and 2 * at / (1 + 1e-4) <= tick:
            playout.insert(1000 + 160 * at, octets[160 * (at % 50):160 * (at % 50) + 160])
            at += 1
        heard.append(playout.block())
        if len(heard) == 6000:
            x = g711.expand(numpy.frombuffer(b"".join(heard), numpy.uint8), 0).astype(int)[480 if last < 0 else 0:]
            worst, last = max(worst, int(numpy.abs(numpy.diff(x)).max())), 0
            heard = heard[-1:]
    own = int(numpy.abs(numpy.diff(g711.expand(numpy.frombuffer(octets, numpy.uint8), 0).astype(int))).max())
    stats = leg.stats()
    assert stats["concealed_samples"] == 0 and stats["removed_samples"] >= 2400, stats
    assert worst <= 1.1 * own, (worst, own)
