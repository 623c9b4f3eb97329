"""Noise reduction: the reference, every instruction set, and what it does to speech in (synthetic) noise.

Figures of one run (floor of each assertion is below): see the table that
`pytest -s -k quality` prints: reduction in pauses, segmental SNR and STOI before
and after.  Tolerance against the reference: 2 units of 16 bits on mixtures; on
clean speech bins at the rounding of NOISE_LOWEST may decide otherwise, there
-40 dB of the signal.
"""

import numpy as np
import pytest

from dsp import isa, noise
from tests.dsp import noises

KERNEL = "_noise"


def run(x, level=None, slots=None):
    """x: (n, samples) through the kernel."""
    n = len(x)
    slots = list(range(n)) if slots is None else slots
    state, y = noise.new_state(max(slots) + 1, level), np.clip(np.rint(x), -32768, 32767).astype(np.int16)
    for at in range(0, y.shape[1] // 80 * 80, 80):
        block = np.ascontiguousarray(y[:, at:at + 80])
        noise.reduce(state, block, slots, level)
        y[:, at:at + 80] = block
    return y


@pytest.fixture(scope="module")
def talkers(speech):
    names = {"vm-options.wav", "conf-adminmenu-18.wav"}
    english = [x for name, x in speech if name in names][:2]
    return [noises.at_dbm0(np.concatenate([np.full(12000, 8), x, np.full(6000, 8)])[:240000], -20) for x in english]


def mixtures(talkers, speech, snr_db):
    """[(kind, speech, mixture, noise)]"""
    others = [(name, x) for name, x in speech if name.startswith("demo")][1:]
    found = []
    for kind in ("white", "car", "babble"):
        for x in talkers:
            z = noises.babble(len(x), others) if kind == "babble" else getattr(noises, kind)(len(x))
            found.append((kind, x, *noises.noisy(x, z, snr_db)))
    return found


def segmental_snr(clean, test):
    on = noises.speech_blocks(clean)
    n = len(on) // 2 * 2
    c, d = clean[:n * 80].reshape(-1, 160), (clean - test)[:n * 80].reshape(-1, 160)
    ratio = 10 * np.log10((c**2).sum(1) / ((d**2).sum(1) + 1e-9) + 1e-9)
    return np.clip(ratio, -10, 35)[on[:n].reshape(-1, 2).all(1)].mean()


def pauses(x):
    """Blocks 120 ms away from speech, without the first second."""
    near = np.convolve(noises.speech_blocks(x), np.ones(25), "same") > 0
    near[:100] = True
    return ~near


@pytest.mark.parametrize("snr_db", (10, 20))
def test_quality(talkers, speech, snr_db):
    """At least 12 dB less stationary noise in pauses; segmental SNR and STOI not below the input's, in babble, too."""
    pystoi = pytest.importorskip("pystoi", reason="pystoi (PyPI) is the independent STOI of this test")
    found = {}
    for kind, x, mixed, z in mixtures(talkers, speech, snr_db):
        y = run(mixed[None])[0].astype(float)
        late = noise.DELAY_SAMPLES
        y, x, mixed, z = y[late:], x[:-late], mixed[:-late], z[:-late]
        off = pauses(x)
        found.setdefault(kind, []).append((
            10 * np.log10(noises.energies(z)[off].mean() / noises.energies(y)[off].mean()),
            segmental_snr(x, mixed), segmental_snr(x, y), pystoi.stoi(x, mixed, 8000), pystoi.stoi(x, y, 8000)))
    for kind, figures in found.items():
        less, snr_in, snr_out, stoi_in, stoi_out = np.mean(figures, 0)
        print(f"\n{kind:7} {snr_db} dB: noise -{less:.1f} dB, segmental SNR {snr_in:.1f} -> {snr_out:.1f} dB, STOI {stoi_in:.3f} -> {stoi_out:.3f}")
        assert less >= (12 if kind != "babble" else 2)
        assert snr_out >= snr_in
        assert stoi_out >= stoi_in


def test_equals_the_reference(level, talkers):
    x = np.stack([noises.noisy(talkers[0][:64000], make(64000), snr)[0] for make in (noises.white, noises.car) for snr in (5, 20)])
    slots = [0, 3, 17, 18]      # groups that are not full
    y = run(x, level, slots)
    reference, given = noise.Reference(len(x)), np.clip(np.rint(x), -32768, 32767).astype(np.int16)
    expected = np.hstack([reference.feed(given[:, at:at + 80]) for at in range(0, 64000, 80)])
    difference = np.abs(y.astype(int) - expected)
    assert (difference > 2).mean() < 1e-3 and np.sqrt((difference**2.0).mean()) < 0.5
    assert (difference.max() / np.abs(expected).max()) < 0.01


def test_delay_is_ten_milliseconds_and_speech_passes(talkers):
    x = talkers[0]
    y = run(x[None])[0].astype(float)
    window = slice(80000, 120000)
    best = max(range(0, 240), key=lambda late: np.dot(x[window], y[80000 + late:120000 + late]))
    assert best == noise.DELAY_SAMPLES
    error = y[80:] - x[:-80]
    on = noises.speech_blocks(x)[:len(error) // 80]
    assert 10 * np.log10(noises.energies(x)[:len(on)][on].mean() / noises.energies(error)[:len(on)][on].mean()) > 20


def test_a_louder_noise_is_learnt():
    """20 dB more from one moment to the next: reduced again by 12 dB within 8 s."""
    x = noises.white(160000) * 50
    x[40000:] *= 10
    y = run(x[None])[0].astype(float)
    assert 20 * np.log10(x[120000:].std() / y[120000:].std()) > 12


def test_slots_not_named_keep_their_state(level):
    state = noise.new_state(20, level)
    x = np.random.default_rng(1).integers(-9000, 9000, (20, 80)).astype(np.int16)
    noise.reduce(state, x.copy(), at=level)
    alone, whole = state.copy(), isa.aligned(state.size)
    whole[:] = state
    noise.reduce(whole, x[:3].copy(), [2, 5, 19], at=level)
    lanes = isa.load(KERNEL, level).LANES
    changed = (alone.view(np.int32).reshape(-1, isa.load(KERNEL, level).GROUP_OCTETS // 4 // lanes, lanes)
               != whole.view(np.int32).reshape(-1, isa.load(KERNEL, level).GROUP_OCTETS // 4 // lanes, lanes)).any(1).reshape(-1)
    assert np.flatnonzero(changed).tolist() == [2, 5, 19]


@pytest.mark.parametrize("value", (0, -32768, 32767, 8))
def test_any_samples_are_legal(level, value):
    x = np.full((2, 8000), value, np.int16)
    x[1, ::2] = -x[1, ::2] - 1
    y = run(x, level)
    assert np.abs(y[:, -4000:].astype(int)).max() <= 32768


def test_state_is_small(level):
    assert noise.slot_octets(level) <= 1100
