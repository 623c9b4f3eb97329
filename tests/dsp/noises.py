"""Synthetic noises, mixtures and speech labels, the same at each run. For tests and benches of the enhancement kernels.

The corpus has no noise recordings: what is here is made, and the figures that
come from it are of synthetic noise.
  white   Gaussian
  car     Gaussian noise falling 9 dB an octave above 60 Hz (rolling), with engine
          orders of 27 Hz that wander by 3 % (invented, by eye of published spectra)
  babble  eight other talkers of the corpus at the same level, half of them without pauses
Labels: what is speech in clean speech is told from its energy, 10 ms at a time.
"""

import numpy as np
from scipy import signal

RATE_HZ, BLOCK = 8000, 80
FULL_0_DBM0_RMS = 16140.0   # of a sine of 0 dBm0 (peak 22826), 16-bit scale


def white(n, seed=1):
    return np.random.default_rng(seed).normal(size=n)


def car(n, seed=2):
    rng = np.random.default_rng(seed)
    f = np.fft.rfftfreq(n, 1 / RATE_HZ)
    shape = (60 / np.maximum(f, 60)) ** 1.5
    rolling = np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * shape, n)
    wander = signal.lfilter([1e-4], [1, -1 + 1e-4], rng.normal(size=n))
    phase = 2 * np.pi * np.cumsum(27 * (1 + 0.03 * wander / wander.std())) / RATE_HZ
    engine = sum(np.sin(k * phase + k) / k for k in (2, 4, 6))
    return rolling / rolling.std() + 0.5 * engine / engine.std()


def babble(n, speech, seed=3, talkers=8):
    """speech: [(name, samples)] of the talkers; they repeat where they are too short or too few."""
    rng = np.random.default_rng(seed)
    total = np.zeros(n)
    for k in range(talkers):
        x = speech[k % len(speech)][1].astype(float)
        x = x[:len(x) // BLOCK * BLOCK]
        x = x[speech_blocks(x).repeat(BLOCK)] if k % 2 else x      # half of them never pause
        x = np.tile(x, n // len(x) + 2)
        begin = rng.integers(0, len(x) - n)
        total += x[begin:begin + n] / np.sqrt(np.mean(x**2))
    return total / total.std()


def energies(x):
    """Mean square of each whole block of 10 ms."""
    n = len(x) // BLOCK
    return np.mean(np.asarray(x[:n * BLOCK], float).reshape(n, BLOCK) ** 2, 1)


def speech_blocks(x, range_db=30):
    """Labels of clean speech, bool by block: within range_db of its loud blocks (95th percentile), gaps up to 50 ms filled."""
    energy = energies(x)
    loud = np.percentile(energy[energy > 100], 95) if (energy > 100).any() else 1
    on = energy > max(loud * 10 ** (-range_db / 10), 100)
    filled = on.copy()
    last = -100
    for i, now in enumerate(on):
        if now:
            if 1 < i - last <= 6:
                filled[last:i] = True
            last = i
    return filled


def active_rms(x):
    """Root mean square over the blocks that are speech."""
    on = speech_blocks(x)
    return np.sqrt(energies(x)[on].mean())


def at_dbm0(x, level):
    """x scaled so that its speech blocks have this level."""
    return x * (FULL_0_DBM0_RMS * 10 ** (level / 20) / active_rms(x))


def noisy(x, noise, snr_db):
    """(x + noise, the noise at its level) with the ratio taken over the speech blocks."""
    noise = noise[:len(x)]
    noise = noise * (active_rms(x) / 10 ** (snr_db / 20) / np.sqrt(np.mean(noise**2)))
    return x + noise, noise
