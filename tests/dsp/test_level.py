"""Level control: levels reached, noise left alone, nothing clipped; the reference at every instruction set."""

import numpy as np
import pytest

from dsp import level as control
from dsp import vad
from tests.dsp import noises

KERNEL = "_level"


def samples(x):
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def run(x, preset="agc", at_level=None):
    """(y, detector's decisions, gains) of (n, samples)."""
    n = len(x)
    detector, state, speech = vad.new_state(n, at_level), control.new_state(n, preset, at_level), np.zeros(n, np.uint8)
    y, decisions, gains = [], [], []
    for at in range(0, x.shape[1] // 80 * 80, 80):
        block = np.ascontiguousarray(x[:, at:at + 80])
        vad.detect(detector, block, speech, at=at_level)
        control.control(state, block, speech, at=at_level)
        y.append(block)
        decisions.append(speech.copy())
        gains.append(control.view(state)["gain"].copy())
    return np.hstack(y), np.array(decisions), np.array(gains)


@pytest.fixture(scope="module")
def talker(speech):
    return np.concatenate([x for name, x in speech if name in ("vm-options.wav", "conf-adminmenu-18.wav")][:2]).astype(float)[:400000]


def speech_level(x, clean, after_blocks=300):
    """dBm0 over the speech blocks, without the first ones (3 s of speech), when the gain still moves."""
    on = noises.speech_blocks(clean)[:len(x) // 80]
    on[:np.searchsorted(np.cumsum(on), after_blocks)] = False
    return 10 * np.log10(noises.energies(x)[:len(on)][on].mean() / control.FULL_0_DBM0)


def test_level_error_is_at_most_2_db_over_40_db(talker):
    levels = (-45, -35, -25, -15, -5)
    y, _, _ = run(np.stack([samples(noises.at_dbm0(talker, level)) for level in levels]))
    target = control.PRESETS["agc"]["target_dbm0"]
    found = [speech_level(row, talker) for row in y]
    print("\nAGC:", "  ".join(f"{level} -> {out:.1f}" for level, out in zip(levels, found)), "dBm0")
    assert max(abs(level - target) for level in found) <= 2


def test_alc_keeps_to_its_range(talker):
    y, _, gains = run(np.stack([samples(noises.at_dbm0(talker, level)) for level in (-40, -26, -12)]), "alc")
    found = [speech_level(row, talker, 1200) for row in y]
    assert abs(found[1] + 19) < 2 and abs(found[2] + 19) < 2 and abs(found[0] + 28) < 2     # 12 dB is the most it gives
    assert gains.max() <= control.ratio(12) * 1.001


def test_noise_is_not_raised_in_pauses(talker):
    """Speech at -38 dBm0 over noise at -62 dBm0 with pauses of 4 s: gain for the speech, none for what is between."""
    gap = np.zeros(32000)
    clean = np.concatenate([gap, talker[:80000], gap, talker[80000:160000], gap])
    scaled = noises.at_dbm0(clean, -38)
    noise = noises.white(len(scaled)) * np.sqrt(control.FULL_0_DBM0) * control.ratio(-62)
    y, decisions, gains = run(samples(scaled + noise)[None])
    in_pause = slice((32000 + 80000) // 80 + 200, (32000 + 80000 + 32000) // 80 - 5)    # after 2 s of pause
    level_in, level_out = (10 * np.log10(noises.energies(row)[in_pause].mean() / control.FULL_0_DBM0) for row in (samples(noise), y[0]))
    assert level_out <= max(level_in, control.QUIET_DBM0) + 1.5
    assert gains.max() > control.ratio(12)


def test_silence_and_noise_alone_do_not_move_the_gain():
    n = 80000
    x = np.stack([np.zeros(n), np.full(n, 8), noises.white(n) * 30, noises.car(n) * 300])
    _, decisions, gains = run(samples(x))
    assert np.abs(20 * np.log10(gains)).max() < 1


def test_limiter_never_clips_and_changes_gain_smoothly(talker):
    """Speech at -45 dBm0 that jumps to 0 dBm0."""
    x = np.concatenate([noises.at_dbm0(talker[:160000], -45), noises.at_dbm0(talker[160000:320000], -2)])
    y, _, gains = run(samples(x)[None])
    assert np.abs(y.astype(int)).max() <= round(control.LIMIT) + 1
    assert abs(speech_level(y[0][160000:], x[160000:]) - control.PRESETS["agc"]["target_dbm0"]) < 3


def test_full_scale_square_is_limited(at=None):
    x = np.tile(np.repeat([32767, -32768], 20), 400).astype(np.int16)[None]
    state = control.new_state(1)
    control.view(state)["gain"][:] = control.view(state)["wanted"][:] = 30
    block = np.ascontiguousarray(x[:, :80])
    control.control(state, block)
    assert np.abs(block.astype(int)).max() <= round(control.LIMIT) + 1


def test_equals_the_reference(level, talker):
    x = samples(np.stack([noises.at_dbm0(talker[:120000], db) for db in (-40, -20, -3)]))
    x[2, 60000:] = samples(x[2, 60000:].astype(float) * 8)
    detector, state, speech = vad.new_state(40, level), control.new_state(40, at=level), np.zeros(40, np.uint8)
    slots, references = [33, 2, 17], [control.Reference() for _ in range(3)]      # any order
    for at in range(0, 120000, 80):
        block = np.ascontiguousarray(x[:, at:at + 80])
        vad.detect(detector, block, speech, slots, at=level)
        expected = np.stack([reference.feed(row, speech[slot]) for reference, row, slot in zip(references, block, slots)])
        control.control(state, block, speech, slots, level)
        allowed = 1 + np.abs(expected.astype(int)) * 1e-4
        assert (np.abs(block.astype(int) - expected) <= allowed).all()
    assert control.view(state)["heard"][0] == 0
