"""Tones against the reference; frequency and level measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import isa, tone

KERNEL = "_tone"
CHINA = {
    "dial": {"frequencies_hz": [450], "level_dbm0": -10},
    "ringback": {"frequencies_hz": [450], "level_dbm0": -10, "cadence_ms": [1000, 4000]},
    "busy": {"frequencies_hz": [450], "level_dbm0": -10, "cadence_ms": [350, 350]},
    "vacant": {"frequencies_hz": [450], "level_dbm0": -10, "cadence_ms": [100, 100, 100, 100, 100, 100, 400, 400]},
    "us_dial": {"frequencies_hz": [350, 440], "level_dbm0": -13},
    "four": {"frequencies_hz": [400, 700, 1900, 3300], "level_dbm0": [-10, -12, -14, -16], "cadence_ms": [13, 7], "repeat": 3},
    "one": {"frequencies_hz": [600], "level_dbm0": 0, "cadence_ms": [30, 10], "repeat": 2},
    "end": {"frequencies_hz": [600, 610], "cadence_ms": [25], "repeat": 3},
    "reversed": {"frequencies_hz": [2100, 2085, 2115], "level_dbm0": [-12, -32, -32], "reverse_ms": 450},
    "as_boardconfig": {"segments": [{"duration_ms": 330, "frequencies_hz": [950]}, {"duration_ms": 20, "frequencies_hz": []}], "frequencies_hz": [950]},
    "sit": {"segments": [[330, [950]], [330, [1400]], [330, [1800]], [1000, []]], "level_dbm0": -14, "repeat": 1},
}
TABLE, NUMBERS = tone.compile_plan(CHINA)


def made(name, n_samples, level, position=0, block=80):
    state = tone.new_state(1, level)
    tone.start(state, 0, NUMBERS[name], position, level)
    return np.concatenate([tone.generate(TABLE, state, block, at=level)[0][0] for _ in range(-(-n_samples // block))])[:n_samples]


@pytest.mark.parametrize("name", [*CHINA, "dtmf_5", "dtmf_D", "dtmf_*", "dtmf_#"])
def test_every_tone_equals_the_reference(level, name):
    """Block by block, over the end of a period, and the silence after its end."""
    assert np.array_equal(made(name, 48000, level), tone.reference(TABLE, NUMBERS[name], 0, 48000))


@given(st.sampled_from(list(NUMBERS)), st.integers(0, 2**44), st.integers(1, 400), st.sampled_from([1, 80, 160, 333]))
@settings(max_examples=80, deadline=None)
def test_any_position_and_block_length(name, position, n_samples, block):
    """Also a position days ahead: the phase does not wear out."""
    expected = tone.reference(TABLE, NUMBERS[name], position, n_samples)
    for level in isa.built_levels(KERNEL):
        assert np.array_equal(made(name, n_samples, level, position, block), expected)


@pytest.mark.parametrize("name, hertz, dbm0", (("dial", [450], [-10]), ("us_dial", [350, 440], [-13, -13]),
                                               ("dtmf_1", [697, 1209], [-11, -9])))
def test_frequency_and_level_as_measured(level, name, hertz, dbm0):
    """A correlation over 50 or 100 ms that is a whole number of periods, or nearly: level within 0.1 dB."""
    n_samples = 560 if name.startswith("dtmf") else 8000
    x = made(name, n_samples, level).astype(float)
    t = np.arange(n_samples) / 8000
    basis = np.concatenate([[np.sin(2 * np.pi * f * t), np.cos(2 * np.pi * f * t)] for f in hertz]).T
    x, basis = x[16:-16], basis[16:-16]      # without the ramps
    fit, residual, *_ = np.linalg.lstsq(basis, x, rcond=None)
    for i, expected in enumerate(dbm0):
        peak = np.hypot(fit[2 * i], fit[2 * i + 1])
        assert abs(20 * np.log10(peak / 22826) - expected) < 0.02
    assert np.sqrt(((x - basis @ fit) ** 2).mean()) < 0.3  # rounding only


def test_cadence_is_exact_to_the_sample(level):
    x = made("busy", 11200, level)
    sounding = x.reshape(-1, 80).any(1)
    assert sounding.tolist() == ([True] * 35 + [False] * 35) * 2


def test_a_digit_ends_and_says_how_much_it_made(level):
    state = tone.new_state(3, level)
    tone.start(state, 2, NUMBERS["dtmf_9"], at=level)
    total = 0
    while True:
        x, produced = tone.generate(TABLE, state, 240, at=level)
        assert not x[:2].any() and not produced[:2].any()
        total += produced[2]
        if produced[2] < 240:
            break
    assert total == 1120 and tone.state_view(state)["tone"][2] == -1


def test_the_digital_milliwatt_is_zero_dbm0():
    """G.711 table 5: the sequence of 0 dBm0 has this power."""
    from dsp import g711
    x = g711.expand(np.uint8([0x34, 0x21, 0x21, 0x34, 0xB4, 0xA1, 0xA1, 0xB4]), g711.A).astype(float)
    assert abs(np.sqrt(2 * (x**2).mean()) - tone.amplitude_of(0)) < 10


def test_no_edge_clicks(level):
    """At each edge the energy above 2 kHz of a 600 Hz tone stays 40 dB below it (a cut tone: 20 dB)."""
    from scipy import signal
    high = signal.butter(8, 2000, "high", fs=8000, output="sos")
    x = made("one", 640, level).astype(float)
    assert not x[240:320].any() and not x[560:].any() and np.abs(x[230:240]).max() < 15000
    loud = lambda y: np.sqrt(np.convolve(signal.sosfilt(high, y)**2, np.ones(40) / 40).max())
    cut = np.where(np.abs(x) > 0, 22826 * np.sin(2 * np.pi * 600 / 8000 * np.arange(640) + 1), 0)
    assert 20 * np.log10(loud(x) / 16140) < -40 < 20 * np.log10(loud(cut) / 16140)


def test_phase_turns_by_180_degrees(level):
    x = made("reversed", 8000, level).astype(float)
    t = np.arange(8000) / 8000
    phase = np.angle((x * np.exp(-2j * np.pi * 2100 * t)).reshape(-1, 400).mean(1))
    turns = np.abs(np.angle(np.exp(1j * (phase[2:] - phase[:-2]))))
    assert (turns[7:9] > 3).all() and (turns[:7] < 0.1).all() and (turns[16:18] > 3).all() and (turns[9:16] < 0.1).all()


def test_a_number_outside_the_table_is_silence(level):
    state = tone.new_state(2, level)
    tone.start(state, 0, 9999, at=level)
    tone.start(state, 1, -5, at=level)
    assert not tone.generate(TABLE, state, 80, at=level)[0].any()


@pytest.mark.parametrize("bad, words", (
    ({"frequencies_hz": [1, 2, 3, 4, 5]}, "frequencies"), ({"frequencies_hz": [4000]}, "out of range"),
    ({"frequencies_hz": [450], "cadence_ms": [0, 10]}, "cadence"), ({"frequencies_hz": [450], "level_dbm0": [1, 2]}, "level"),
    ({"level_dbm0": -10}, "frequencies"), ({"frequencies_hz": [450], "cadence_ms": [10] * 40}, "at most"),
    ({"frequencies_hz": [450], "level_dbm0": 20}, "out of range"), ({"frequencies_hz": ["x"]}, "str")))
def test_a_wrong_plan_says_where(bad, words):
    with pytest.raises(ValueError, match="tone 'ringback'.*" + words):
        tone.compile_plan({"ringback": bad})
