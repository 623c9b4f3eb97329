"""Packet-loss concealment against the reference; what it is worth on speech."""

import ctypes
import ctypes.util

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import isa, plc

KERNEL = "_plc"


def run(x, lost, level):
    """x: int16 (n * 80); lost: n truth values. The concealed signal."""
    state = plc.new_state(1, level)
    out = x.reshape(-1, 80).copy()
    for i, missing in enumerate(lost):
        if missing:
            out[i] = 12345  # must not matter
        plc.conceal(state, out[i:i + 1], [missing], at=level)
    return out.reshape(-1)


def run_reference(x, lost):
    stream = plc.Reference()
    return np.concatenate([stream.feed(None if missing else block) for block, missing in zip(x.reshape(-1, 80), lost)])


def test_without_loss_it_is_a_delay_of_30_samples(level):
    x = np.random.default_rng(0).integers(-32768, 32768, 8000).astype(np.int16)
    out = run(x, [0] * 100, level)
    assert np.array_equal(out[30:], x[:-30]) and not out[:30].any()


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 2**32 - 1), st.sampled_from(["noise", "tone", "loud", "zeros"]))
@settings(max_examples=80, deadline=None)
def test_any_pattern_of_loss_equals_the_reference(lost, seed, kind):
    rng = np.random.default_rng(seed)
    t = np.arange(80 * len(lost))
    x = {"noise": lambda: rng.normal(size=t.size) * 3000,
         "tone": lambda: 9000 * np.sign(np.sin(2 * np.pi * rng.uniform(60, 250) / 8000 * t)) + rng.normal(size=t.size) * 300,
         "loud": lambda: rng.choice([-32768, 32767], t.size), "zeros": lambda: np.zeros(t.size)}[kind]().clip(-32768, 32767).astype(np.int16)
    expected = run_reference(x, lost)
    for level in isa.built_levels(KERNEL):
        assert np.array_equal(run(x, lost, level), expected)


def test_speech_with_losses_equals_the_reference(level, speech):
    x = speech[0][1][:80 * 600]
    lost = np.random.default_rng(5).random(len(x) // 80) < 0.1
    x = x[:len(x) // 80 * 80]
    assert np.array_equal(run(x, lost, level), run_reference(x, lost))


def test_a_steady_voice_is_continued(level):
    """A periodic signal of 100 Hz: 10 ms missing are made within 1 % (40 dB)."""
    t = np.arange(8000)
    x = sum(3000 / k * np.sin(2 * np.pi * 100 * k / 8000 * t + k) for k in range(1, 12)).astype(np.int16)
    lost = np.zeros(100, bool)
    lost[50] = True
    error = (run(x, lost, level)[30:].astype(float) - x[:-30])
    assert 10 * np.log10((x.astype(float)**2).mean() / ((error[3900:4200]**2).mean() + 1e-9)) > 40


def test_it_fades_to_silence_at_60_ms_and_comes_back(level):
    x = (10000 * np.sin(2 * np.pi * 200 / 8000 * np.arange(8000))).astype(np.int16)
    lost = np.zeros(100, bool)
    lost[30:45] = True
    out = run(x, lost, level).astype(float)
    begin = 30 * 80 + 30
    power = [np.sqrt((out[begin + 80 * k:begin + 80 * k + 80]**2).mean()) for k in range(15)]
    assert power[0] > 6500 and all(a > b for a, b in zip(power[:6], power[1:7])) and not any(power[6:])
    assert np.array_equal(out[46 * 80 + 30:], x[46 * 80:-30])


def spectral_distance_db(x, y, blocks):
    """Mean log-spectral distance of two signals around the given blocks."""
    found = []
    for begin in 80 * np.flatnonzero(blocks) - 40:
        if 0 <= begin <= len(x) - 160:
            a, b = (np.abs(np.fft.rfft(z[begin:begin + 160] * np.hanning(160)))**2 + 1e4 for z in (x, y))
            found.append(np.sqrt(((10 * np.log10(a / b))**2).mean()))
    return np.mean(found)


def spandsp_run(x, lost):
    """The same losses through spandsp's concealer, which is not Appendix I but serves the same end."""
    library = ctypes.CDLL(ctypes.util.find_library("spandsp"))
    library.plc_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(library.plc_init(None))
    out = x.reshape(-1, 80).copy()
    for block, missing in zip(out, lost):
        (library.plc_fillin if missing else library.plc_rx)(state, block.ctypes.data_as(ctypes.c_void_p), 80)
    library.plc_free(state)
    return out.reshape(-1)


def test_it_is_nearer_to_the_speech_than_silence_and_than_spandsp(speech):
    """5 % of blocks lost: log-spectral distance (measured: 7.8 dB, spandsp 8.5, silence 10.6) and waveform error."""
    x = np.concatenate([samples for _, samples in speech])
    x = x[:len(x) // 80 * 80]
    lost = np.random.default_rng(9).random(len(x) // 80) < 0.05
    ours = np.concatenate([run(x, lost, isa.level())[30:], np.zeros(30, np.int16)])
    theirs, muted = spandsp_run(x, lost), np.where(np.repeat(lost, 80), 0, x)
    distance = [spectral_distance_db(x, y, lost) for y in (ours, theirs, muted)]
    print("log-spectral distance, dB: ours %.1f, spandsp %.1f, silence %.1f" % tuple(distance))
    assert distance[0] < distance[1] - 0.3 and distance[0] < distance[2] - 2
    assert ((ours.astype(float) - x)**2).sum() < ((theirs.astype(float) - x)**2).sum()


def test_slots_do_not_touch_each_other(level):
    rng = np.random.default_rng(2)
    x = (rng.normal(size=(5, 80 * 30)) * 4000).astype(np.int16)
    lost = rng.random((5, 30)) < 0.3
    slots = np.int32([7, 2, 9, 0, 4])
    state = plc.new_state(10, level)
    out = np.empty_like(x)
    for i in range(30):
        block = np.ascontiguousarray(x[:, 80 * i:80 * i + 80])
        plc.conceal(state, block, lost[:, i], slots, level)
        out[:, 80 * i:80 * i + 80] = block
    for k in range(5):
        assert np.array_equal(out[k], run_reference(x[k], lost[k]))
    isa.load(KERNEL, level).call_reset(state, 9)
    assert not state[9 * plc.SLOT_OCTETS:].any()
