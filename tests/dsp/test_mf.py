"""Two-of-six signals: the limits of Q.455 and Q.323, the reference bit by bit, speech, the keypad, and spandsp beside us."""

import ctypes
import ctypes.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import dtmf, isa, mf, tone

KERNEL = "_mf"
PEAK = 22826  # 0 dBm0
R2 = ("r2_forward", "r2_backward")
TABLE, NUMBERS = tone.compile_plan(mf.plan())
spandsp = ctypes.CDLL(ctypes.util.find_library("spandsp"))
spandsp.r2_mf_rx_init.restype = spandsp.bell_mf_rx_init.restype = ctypes.c_void_p


def burst(kind, signal, on_ms=60, level=None, twist=0, off=(0, 0), lead=0, phase=0.3, tail=800, gap=None):
    """A signal after 20 ms of silence; twist: the second against the first in dB; off: Hz; gap: (at ms, ms)."""
    i, j = mf.PAIRS[signal - 1]
    hz, t = mf.FREQUENCIES_HZ[kind], np.arange(round(on_ms * 8)) / 8000
    level = (-7 if kind == "r1" else -11.5) if level is None else level
    x = PEAK * 10 ** (level / 20) * (np.sin(2 * np.pi * (hz[i] + off[0]) * t + phase)
                                     + 10 ** (twist / 20) * np.sin(2 * np.pi * (hz[j] + off[1]) * t + 1.1))
    if gap:
        x[gap[0] * 8:(gap[0] + gap[1]) * 8] = 0
    return np.concatenate([np.zeros(160 + lead), x, np.zeros(tail)])


def samples(x):
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def measured(kind, n=30, noise_db=None, **changes):
    """(share found exactly once, latest operate ms, latest release ms, greatest error of place ms)."""
    rng, found, times = np.random.default_rng(3), 0, [(0, 0, 0)]
    for i in range(n):
        lead = int(rng.integers(0, 80))
        x = burst(kind, i % 15 + 1, lead=lead, phase=rng.uniform(0, 6.28), **changes)
        if noise_db is not None:
            x = x + rng.normal(size=len(x)) * PEAK * 10 ** (changes.get("level", -11.5) / 20) * 10 ** (-noise_db / 20)
        begin, end = 160 + lead, 160 + lead + round(changes.get("on_ms", 60) * 8)
        seen = mf.signals_of(kind, samples(x))
        if [one[0] for one in seen] == [i % 15 + 1]:
            found += 1
            _, first, last, told, ended = seen[0]
            times.append(((told - begin) / 8, (ended - end) / 8, max(abs(first - begin), abs(last - end)) / 8))
    return found / n, *np.max(times, 0)


MUST = [dict(off=(a, b)) for a in (-10, 10) for b in (-10, 10)] + [dict(level=v) for v in (-35, -5)] + [
    dict(twist=v) for v in (-7, -5, 5, 7)] + [dict(level=-28, twist=-7, off=(10, -10)), dict(level=-35, twist=7, off=(-10, 10))]
MUST_NOT = [dict(on_ms=7, level=-5), dict(on_ms=15, level=-5), dict(level=-42), dict(level=-25, twist=20), dict(off=(60, 0)), dict(off=(0, -60))]


@pytest.mark.conformance("Q.455", "4.5.1", "R2 receiver: level, twist, frequency; operate and release within 80 ms")
@pytest.mark.parametrize("changes", MUST, ids=str)
@pytest.mark.parametrize("kind", R2)
def test_what_must_be_a_signal(kind, changes):
    share, operate, release, place = measured(kind, **changes)
    assert share == 1 and operate <= 37 and release <= 33 and operate + release < 80 and place < 7


@pytest.mark.conformance("Q.455", "4.5.1", "R2 receiver: bursts, faint, skew and foreign pairs are nothing")
@pytest.mark.parametrize("changes", MUST_NOT, ids=str)
@pytest.mark.parametrize("kind", R2)
def test_what_must_not_be_a_signal(kind, changes):
    assert measured(kind, **changes)[0] == 0


@pytest.mark.parametrize("kind", R2)
def test_noise_gaps_and_third_tones(kind):
    assert measured(kind, noise_db=13)[0] == 1 and measured(kind, noise_db=10)[0] == 1
    for at in range(35, 50, 3):
        assert measured(kind, on_ms=120, gap=(at, 7))[0] == 1
    for third in range(2, 6):
        hz = mf.FREQUENCIES_HZ[kind][third]
        x = burst(kind, 1, on_ms=100)
        x += PEAK * 10 ** (-11.5 / 20) * np.sin(2 * np.pi * hz / 8000 * np.arange(len(x)))
        assert mf.signals_of(kind, samples(x)) == []


@pytest.mark.conformance("Q.323", "3.2", "R1 receiver: levels, twist, frequency, 30 ms on, 25 ms off, locked before KP")
@pytest.mark.parametrize("changes", [dict(), dict(level=-3), dict(level=-22), dict(twist=6, level=-12), dict(twist=-6), dict(off=1), dict(off=-1)], ids=str)
def test_r1_within_its_limits(level, changes):
    hz = mf.FREQUENCIES_HZ["r1"]
    sign, changes = changes.get("off", 0), {k: v for k, v in changes.items() if k != "off"}
    parts, sent = [], [mf.KP, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, mf.ST]
    for signal in sent:
        off = tuple(sign * (0.015 * hz[k] + 5) for k in mf.PAIRS[signal - 1])
        parts.append(burst("r1", signal, 56 if signal == mf.KP else 30, off=off, tail=200, **changes)[160:])
    x = samples(np.concatenate([np.zeros(100), *parts, np.zeros(800)]))
    assert [one[0] for one in mf.signals_of("r1", x, level)] == sent


def test_r1_without_key_pulse_is_nothing():
    digits = [burst("r1", s, 68, tail=544)[160:] for s in (1, 5, 9, mf.ST)]
    assert mf.signals_of("r1", samples(np.concatenate(digits))) == []
    assert mf.signals_of("r1", samples(burst("r1", mf.KP, 30))) == []


@pytest.mark.parametrize("kind, prefix", (("r2_forward", "r2f_"), ("r2_backward", "r2b_"), ("r2_backward", "r2b_pulse_"), ("r1", "r1_")))
def test_what_we_send_is_what_we_hear_and_as_the_standards_say(kind, prefix):
    """Q.454: +/-4 Hz, -11.5 +/- 1 dBm0, a difference below 1 dB; Q.322: -7 +/- 1 dBm0. Fitted over the tone."""
    for signal, pair in enumerate(mf.PAIRS, 1):
        name = prefix + (mf.R1_NAMES[signal - 1] if kind == "r1" else str(signal))
        x = tone.reference(TABLE, NUMBERS[name], 0, 2400).astype(float)
        t = np.arange(480) / 8000
        basis = np.concatenate([[np.sin(2 * np.pi * mf.FREQUENCIES_HZ[kind][k] * t), np.cos(2 * np.pi * mf.FREQUENCIES_HZ[kind][k] * t)] for k in pair]).T
        fit, *_ = np.linalg.lstsq(basis[40:440], x[40:440], rcond=None)
        levels = 20 * np.log10(np.hypot(fit[::2], fit[1::2]) / PEAK)
        assert np.abs(levels - (-7 if kind == "r1" else -11.5)).max() < 0.05
        assert np.std(x[40:440] - basis[40:440] @ fit) < 0.5
        on_ms = {"r1_": 100 if name.startswith("r1_KP") else 68, "r2b_pulse_": 150}.get(prefix)
        if on_ms:
            assert abs(np.flatnonzero(x)[-1] / 8 - on_ms) < 1
        if kind != "r1":
            assert [one[0] for one in mf.signals_of(kind, np.concatenate([x[:600], np.zeros(400)]).astype(np.int16))] == [signal]


def test_a_compelled_cycle_keeps_its_rhythm():
    """The two ends in a loop with 10 ms of delay each way: a cycle within what Q.457 allows (some 0.3 s); each signal once."""
    ends = {"r2_forward": [3, 3, 10, 1, 15], "r2_backward": [1, 1, 5, 1, 3]}
    states, tables = {k: mf.new_state(1) for k in R2}, {k: mf.table(k) for k in R2}
    sending, heard, index, blocks = {"r2_forward": 1, "r2_backward": 0}, {k: [] for k in R2}, dict.fromkeys(R2, 0), 0
    sounds = {k: [tone.reference(TABLE, NUMBERS[f"{'r2f_' if k == R2[0] else 'r2b_'}{s}"], 0, 8000) for s in ends[k]] for k in R2}
    line = {k: [np.zeros(80, np.int16)] * 2 for k in R2}
    position = dict.fromkeys(R2, 0)
    while len(heard["r2_backward"]) < 5 and blocks < 400:
        blocks += 1
        for kind in R2:
            y = np.zeros(80, np.int16)
            if sending[kind] and index[kind] < 5:
                y = sounds[kind][index[kind]][position[kind]:position[kind] + 80]
                position[kind] += 80
            line[kind].append(y)
            for e in mf.detect(tables[kind], states[kind], line[kind].pop(0)[None].copy()):
                other = R2[1 - R2.index(kind)]
                if e["on"]:
                    heard[kind].append(int(e["signal"]))
                if kind == "r2_forward":             # heard by the incoming register: answer while it sounds
                    sending[other] = int(e["on"])
                    if not e["on"]:
                        index[other], position[other] = index[other] + 1, 0
                else:                                # heard by the outgoing one: stop, then the next
                    sending[other] = int(not e["on"])
                    if not e["on"]:
                        index[other], position[other] = index[other] + 1, 0
    assert heard["r2_forward"] == ends["r2_forward"] and heard["r2_backward"] == ends["r2_backward"]
    assert blocks * 10 / 5 < 300


def test_no_signal_in_speech_nor_keypad(speech):
    """14.5 minutes of speech at two levels and two positions for each receiver, 1 hour each, and every key of the keypad."""
    x = np.concatenate([y for _, y in speech])
    keys = np.concatenate([tone.digit_samples(d, on_ms, 60) for d in dtmf.DIGITS for on_ms in (45, 70, 120, 500)])
    variants = np.stack([samples(np.roll(x, -shift) * gain) for gain in (0.5, 2.0) for shift in (0, 40)])
    counts = {}
    for kind in mf.FREQUENCIES_HZ:
        receiver, state, found = mf.table(kind), mf.new_state(len(variants)), 0
        for i in range(len(x) // 80):
            events = mf.detect(receiver, state, np.ascontiguousarray(variants[:, 80 * i:80 * i + 80]))
            found += int(events["on"].sum()) if len(events) else 0
        counts[kind] = found
        assert mf.signals_of(kind, keys) == []
    print("false signals in 1 h each:", counts, "spandsp in a minute:", {kind: len(theirs(kind, x[:480000])) for kind in R2})
    assert counts == dict.fromkeys(counts, 0)


def theirs(kind, x):
    """The signals spandsp hears: R2 as a call each 10 ms, R1 as digits."""
    x = samples(x)
    if kind == "r1":
        state, buffer = ctypes.c_void_p(spandsp.bell_mf_rx_init(None, None, None)), ctypes.create_string_buffer(200)
        spandsp.bell_mf_rx(state, x.ctypes.data_as(ctypes.c_void_p), len(x))
        n = spandsp.bell_mf_rx_get(state, buffer, 128)
        spandsp.bell_mf_rx_free(state)
        return ["1234567890BC*A#".index(chr(c)) + 1 for c in buffer.raw[:n]]
    state, found, last = ctypes.c_void_p(spandsp.r2_mf_rx_init(None, int(kind == "r2_forward"), None, None)), [], 0
    for i in range(0, len(x) - 79, 80):
        spandsp.r2_mf_rx(state, x[i:i + 80].copy().ctypes.data_as(ctypes.c_void_p), 80)
        now = spandsp.r2_mf_rx_get(state)
        if now and now != last:
            found.append("1234567890BCDEF".index(chr(now)) + 1)
        last = now
    spandsp.r2_mf_rx_free(state)
    return found


def test_side_by_side_with_spandsp():
    """Both hear what the standards ask; where spandsp misses, we do not."""
    for kind in R2:
        for changes in [dict(level=v) for v in range(-34, -4, 6)] + [dict(twist=v) for v in (-6, -3, 3, 6)] + [dict(off=(9, -9)), dict(on_ms=40)]:
            rng, them = np.random.default_rng(3), 0
            for i in range(15):
                them += theirs(kind, burst(kind, i + 1, lead=int(rng.integers(0, 80)), **changes)) == [i + 1]
            us = measured(kind, 15, **changes)[0]
            print(kind, changes, "ours", us, "spandsp", them / 15)
            assert us == 1
    sent = [mf.KP, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, mf.ST]
    x = np.concatenate([tone.reference(TABLE, NUMBERS["r1_" + mf.R1_NAMES[s - 1]], 0, 1400)[:1088 if s != mf.KP else 1344] for s in sent])
    assert theirs("r1", x) == sent == [one[0] for one in mf.signals_of("r1", np.concatenate([x, np.zeros(800)]))]


def test_spandsp_sender_is_heard():
    """What spandsp sends in both directions is heard as what it is."""
    spandsp.r2_mf_tx_init.restype = ctypes.c_void_p
    for kind in R2:
        for number, name in enumerate("1234567890BCDEF", 1):
            state, out = ctypes.c_void_p(spandsp.r2_mf_tx_init(None, int(kind == "r2_forward"))), np.zeros(1600, np.int16)
            spandsp.r2_mf_tx_put(state, ctypes.c_char(name.encode()))
            spandsp.r2_mf_tx(state, out.ctypes.data_as(ctypes.c_void_p), 800)
            spandsp.r2_mf_tx_free(state)
            assert [one[0] for one in mf.signals_of(kind, out)] == [number]


@given(st.sampled_from(list(mf.FREQUENCIES_HZ)),
       st.lists(st.tuples(st.integers(1, 15), st.integers(5, 120), st.integers(-44, 0), st.floats(-12, 12), st.floats(-40, 40), st.integers(0, 600)),
                min_size=1, max_size=5), st.sampled_from([0, 5, 300, 3000]), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_kernel_equals_the_reference(kind, parts, noise, seed):
    x = np.concatenate([burst(kind, mf.KP, 80, tail=300)] + [burst(kind, s, on, v, tw, (f, -f), tail=gap)[100:] for s, on, v, tw, f, gap in parts] + [np.zeros(800)])
    compare_with_reference(kind, samples(x + np.random.default_rng(seed).normal(size=len(x)) * noise))


def compare_with_reference(kind, x):
    receiver = mf.table(kind)
    reference = mf.Reference(receiver)
    expected = [event for i in range(len(x) // 80) for event in reference.feed(x[80 * i:80 * i + 80])]
    for level in isa.built_levels(KERNEL):
        state, found = mf.new_state(1, level), []
        for i in range(len(x) // 80):
            found += [(int(e["signal"]), int(e["on"]), int(e["at"])) for e in mf.detect(receiver, state, x[None, 80 * i:80 * i + 80].copy(), at=level)]
        assert found == expected


@pytest.mark.parametrize("peak", (32767, -32768))
def test_any_input_is_legal(peak):
    """The loudest square waves, and noise over the full range: no overflow, the reference agrees."""
    t = np.arange(800)
    for hz in mf.FREQUENCIES_HZ["r1"]:
        compare_with_reference("r1", np.where(np.sin(2 * np.pi * hz / 8000 * t) >= 0, peak, -peak - 1).astype(np.int16))
    compare_with_reference("r2_forward", np.random.default_rng(1).integers(-32768, 32768, 4000).astype(np.int16))
    assert np.abs(mf.table("r1").view(mf.TABLE_DTYPE)["rise"].astype(int)).sum((1, 3)).max() * 32768 < 2**31


def test_few_slots_of_many_and_reset(level):
    state, receiver = mf.new_state(9, level), mf.table("r2_forward")
    x = samples(np.stack([burst("r2_forward", 4), burst("r2_forward", 9)]))
    events = [e for i in range(8) for e in mf.detect(receiver, state, np.ascontiguousarray(x[:, 80 * i:80 * i + 80]), [7, 2], level).tolist()]
    assert [e[:3] for e in events] == [(7, 4, 1), (2, 9, 1)]
    before = state.copy()
    isa.load(KERNEL, level).call_reset(state, 7)
    assert (state != before).reshape(9, -1).any(1).tolist() == [i == 7 for i in range(9)]
