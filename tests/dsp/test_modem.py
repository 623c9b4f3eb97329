"""Fax and modem tones: the limits of T.30, V.25, V.8, G.164, G.165 and G.168, the reference bit by bit, speech, spandsp beside us."""

import ctypes
import ctypes.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import isa, modem, tone

KERNEL = "_modem"
PEAK = 22826  # 0 dBm0
TABLE, NUMBERS = tone.compile_plan(modem.plan())
spandsp = ctypes.CDLL(ctypes.util.find_library("spandsp"))
for name in ("modem_connect_tones_tx_init", "modem_connect_tones_rx_init"):
    getattr(spandsp, name).restype = ctypes.c_void_p


def sine(hz, seconds, level=-12, depth=0.0, turn_ms=None, degrees=180):
    t = np.arange(round(seconds * 8000)) / 8000
    phase = 2 * np.pi * hz * t
    if turn_ms:
        phase = phase + np.radians(degrees) * np.floor(t / (turn_ms / 1000))
    return PEAK * 10 ** (level / 20) * (1 + depth * np.sin(2 * np.pi * 15 * t)) * np.sin(phase)


def v21(bits, level=-12):
    """V.21 channel 2 with continuous phase, 300 bit/s."""
    hz = np.where(np.repeat(bits, 80)[::3], 1650.0, 1850.0)      # 26.67 samples a bit
    return PEAK * 10 ** (level / 20) * np.sin(2 * np.pi * np.cumsum(hz) / 8000)


def samples(x, noise_db=None, lead=1600, seed=1):
    """x after some silence and before a second of it; noise_db: a sine of -12 dBm0 against the noise."""
    x = np.concatenate([np.zeros(lead), x, np.zeros(8000)])
    if noise_db is not None:
        x = x + np.random.default_rng(seed).normal(size=len(x)) * PEAK / np.sqrt(2) * 10 ** ((-12 - noise_db) / 20)
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def heard(x, level=None, **how):
    """{tone: ms from the begin of the signal to its report}."""
    lead = how.get("lead", 1600)
    return {name: ms - lead / 8 for name, on, ms in reversed(modem.tones_of(samples(x, **how), level)[0]) if on}


@pytest.mark.conformance("T.30", "4.1", "CNG: 1100 Hz +/- 38 Hz, 0.5 s +/- 15 %")
def test_cng_within_and_without_its_limits(level):
    for hz in (1062, 1100, 1138):
        for seconds in (0.425, 0.5, 0.575):
            for dbm0 in (0, -12, -40):
                assert list(heard(sine(hz, seconds, dbm0), level, lead=1600 + int(seconds * 100))) == ["cng"], (hz, seconds, dbm0)
    for hz, seconds, dbm0 in ((1040, 0.5, -12), (1160, 0.5, -12), (1100, 0.33, -12), (1100, 0.66, -12), (1100, 3, -12), (1100, 0.5, -46)):
        assert heard(sine(hz, seconds, dbm0), level) == {}
    assert list(heard(sine(1300, 0.6), level)) == ["calling"]
    x = np.concatenate([sine(1100, 0.5), np.zeros(24000), sine(1100, 0.5), np.zeros(48000)])
    assert [(name, on) for name, on, _ in modem.tones_of(samples(x), level)[0]] == [("cng", 1), ("cng", 0)]


@pytest.mark.conformance("G.164", "5", "2100 Hz: +/- 21 Hz, -31 dBm0 and up, within 300 +/- 100 ms")
def test_answer_tone_within_and_without_its_limits(level):
    for hz in (2079, 2100, 2121):
        for dbm0 in (0, -12, -31):
            for lead in (1600, 1623, 1661):
                found = heard(sine(hz, 1, dbm0), level, lead=lead)
                assert list(found) == ["ans"] and 200 <= found["ans"] <= 400
    for hz in (1950, 2040, 2160, 2225):
        assert heard(sine(hz, 2), level) == {}
    assert heard(sine(2100, 2, -37), level) == {} and heard(sine(2100, 0.2), level) == {}
    assert list(heard(sine(2100, 2), level, noise_db=6)) == ["ans"]


@pytest.mark.conformance("G.168", "7", "phase reversals of 180 +/- 25 degrees each 450 +/- 25 ms disable, of 110 do not, within a second")
def test_phase_reversals(level):
    for degrees in (155, 180, 205):
        for every in (425, 450, 475):
            for hz, lead in ((2079, 1600), (2100, 1633), (2121, 1671), (2121, 1610)):
                found = heard(sine(hz, 2, -12, 0, every, degrees), level, lead=lead)
                assert found.get("reversal", 9999) <= 1000, (degrees, every, hz, lead)
    for degrees in (0, 60, 110, 250):
        for lead in range(1600, 1680, 16):
            assert "reversal" not in heard(sine(2100, 3, -12, 0, 450, degrees), level, lead=lead)
    assert "reversal" in heard(sine(2100, 3, -12, 0, 450), level, noise_db=11)


@pytest.mark.conformance("V.8", "ANSam", "ANSam: 15 Hz modulation of 20 % is told from a plain answer tone")
def test_modulated_answer_tone(level):
    for turn in (None, 450):
        for noise in (None, 20, 12):
            for seed in range(4):
                found = heard(sine(2100, 3, -12, 0.2, turn), level, noise_db=noise, seed=seed, lead=1600 + 17 * seed)
                assert found.get("ansam", 9999) <= 1000 and ("reversal" in found) == (turn is not None)
                assert "ansam" not in heard(sine(2100, 3, -12, 0, turn), level, noise_db=noise, seed=seed, lead=1600 + 17 * seed)


@pytest.mark.conformance("G.168", "7.4, 7.8", "the disabler holds over dropouts of 100 ms, restores 250 +/- 150 ms after the signal is gone")
def test_the_disabler_holds_and_restores(level):
    data = np.random.default_rng(2).normal(size=40000) * PEAK * 10 ** (-25 / 20)
    x = np.concatenate([sine(2100, 1.5, -12, 0, 450), np.zeros(600), data])
    control = modem.tones_of(samples(x), level)[1]
    end = (1600 + len(x)) // 80
    assert not control[:20].any() and (control[120:end] == modem.TONE | modem.CANCELLER | modem.HELD).all()
    gone = int(np.flatnonzero(control[end:] == 0)[0]) * 10
    assert 100 <= gone <= 400
    x = np.concatenate([sine(2100, 1.5), np.zeros(800), data, np.zeros(4000), data[:8000]])
    control = modem.tones_of(samples(x), level)[1]
    assert (control[60:20 + 150 + 10 + 500] == modem.TONE | modem.HELD).all()      # no reversal: the canceller stays
    assert control[20 + 150 + 10 + 500 + 60] == modem.HELD                         # after the pause it is forgotten
    assert modem.TONE | modem.CANCELLER not in control


def test_v21_flags(level):
    flag = [0, 1, 1, 1, 1, 1, 1, 0]
    for level_dbm0, lead in ((-12, 1600), (-40, 1611), (0, 1655)):
        found = heard(v21(flag * 37, level_dbm0), level, lead=lead)        # 1 s
        assert list(found) == ["flags"] and found["flags"] <= 600
    rng = np.random.default_rng(5)
    assert heard(v21(rng.integers(0, 2, 1500)), level) == {}               # data without flags
    assert heard(v21([1] * 600), level) == {} and heard(v21([0] * 600), level) == {} and heard(v21([0, 1] * 300), level) == {}


def test_what_we_send_is_what_we_hear():
    for name, wanted in (("cng", {"cng"}), ("calling", {"calling"}), ("ced", {"ans"}), ("ans", {"ans"}), ("ans_pr", {"ans", "reversal"}),
                         ("ansam", {"ans", "ansam"}), ("ansam_pr", {"ans", "ansam", "reversal"})):
        assert set(heard(tone.reference(TABLE, NUMBERS[name], 0, 24000))) == wanted
    am = tone.reference(TABLE, NUMBERS["ansam"], 0, 8000).astype(float)
    spectrum = 2 * np.abs(np.fft.rfft(am[16:] * np.exp(0), 8000)) / 8000 / PEAK
    assert abs(20 * np.log10(spectrum[2100]) + 11) < 0.1 and np.abs(spectrum[[2085, 2115]] / spectrum[2100] - 0.1).max() < 0.005


SENT = {"cng": (1, {"cng"}), "ans": (2, {"ans"}), "ans_pr": (3, {"ans", "reversal"}), "ansam": (4, {"ans", "ansam"}), "ansam_pr": (5, {"ans", "ansam", "reversal"})}


@pytest.mark.parametrize("name", SENT)
def test_what_spandsp_sends_is_heard(name):
    kind, wanted = SENT[name]
    state, out = ctypes.c_void_p(spandsp.modem_connect_tones_tx_init(None, kind)), np.zeros(28000, np.int16)
    n = spandsp.modem_connect_tones_tx(state, out.ctypes.data_as(ctypes.c_void_p), len(out))
    spandsp.modem_connect_tones_tx_free(state)
    assert set(heard(out[:n])) == wanted


def spandsp_hears(kind, x):
    state = ctypes.c_void_p(spandsp.modem_connect_tones_rx_init(None, kind, None, None))
    count = 0
    for i in range(0, len(x) - 79, 80):
        spandsp.modem_connect_tones_rx(state, np.ascontiguousarray(x[i:i + 80]).ctypes.data_as(ctypes.c_void_p), 80)
        count += spandsp.modem_connect_tones_rx_get(state) > 0
    spandsp.modem_connect_tones_rx_free(state)
    return count


def test_what_we_send_spandsp_hears():
    for name, kind in (("cng", 1), ("ans", 2), ("ans_pr", 3), ("ansam", 2), ("ansam_pr", 3)):
        assert spandsp_hears(kind, samples(tone.reference(TABLE, NUMBERS[name], 0, 40000))) > 0
    assert spandsp_hears(6, samples(v21([0, 1, 1, 1, 1, 1, 1, 0] * 60))) > 0


def test_no_tone_in_speech(speech):
    """14.5 minutes of speech at two positions of the blocks: nothing."""
    x = np.concatenate([y for _, y in speech])
    rows, state = np.stack([x, np.roll(x, -40)]), modem.new_state(2)
    found = [event for i in range(len(x) // 80) for event in modem.detect(state, np.ascontiguousarray(rows[:, 80 * i:80 * i + 80])).tolist()]
    print("false tones: ours", found, "spandsp's CNG, ANS:", [spandsp_hears(kind, x[:1600000]) for kind in (1, 2)])
    assert found == []


@given(st.lists(st.tuples(st.sampled_from([1100, 1300, 2100, 2110, 2085, 1650]), st.floats(0.05, 0.9), st.integers(-45, 0), st.sampled_from([0, 0.2, 0.3]),
                          st.sampled_from([None, 450, 100]), st.integers(0, 200), st.integers(0, 1200)), min_size=1, max_size=5),
       st.sampled_from([0, 5, 300, 3000]), st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_kernel_equals_the_reference(parts, noise, seed):
    rng = np.random.default_rng(seed)
    x = [np.concatenate([sine(hz, s, v, depth, turn, deg), np.zeros(gap)]) for hz, s, v, depth, turn, deg, gap in parts]
    x = np.concatenate([v21(rng.integers(0, 2, 60)), v21([0, 1, 1, 1, 1, 1, 1, 0] * 12), *x, np.zeros(3000)])
    compare_with_reference(np.clip(np.rint(x + rng.normal(size=len(x)) * noise), -32768, 32767).astype(np.int16))


def compare_with_reference(x):
    reference = modem.Reference()
    expected = [(i, *event, ) for i in range(len(x) // 80) for event in [(reference.feed(x[80 * i:80 * i + 80]), reference.control)]]
    for level in isa.built_levels(KERNEL):
        state, control = modem.new_state(1, level), np.zeros(1, np.uint8)
        for i in range(len(x) // 80):
            events = modem.detect(state, x[None, 80 * i:80 * i + 80].copy(), control=control, at=level)
            assert (i, [(int(e["tone"]), int(e["on"])) for e in events], int(control[0])) == expected[i]


def test_any_input_is_legal():
    rng = np.random.default_rng(1)
    t = np.arange(1600)
    compare_with_reference(np.concatenate([np.where(np.sin(2 * np.pi * hz / 8000 * t) >= 0, 32767, -32768) for hz in modem.BINS_HZ]
                                          + [rng.integers(-32768, 32768, 1600), np.full(800, -32768), np.zeros(800)]).astype(np.int16))
