"""A telephone line for echo cancellers: echo path models, test signals, levels, and G.168's meters.

Nothing here comes from the canceller.  The composite source signal follows the
timing of G.168 Annex C (48.62 ms voiced, 200 ms noise, 101.38 ms pause, sign
alternating; double-talk 72.69 + 200 + 127.31 ms); its voiced part is synthetic
(pulses through three formants), its noise has 5 dB per octave fall within 200 Hz to
3.6 kHz: the Recommendation's own samples were not at hand.
"""

import numpy as np
from scipy import signal

PEAK = 22826  # of a sine of 0 dBm0


def models(corpus):
    """{"d2": impulse response with 0 dB of loss, ...} of G.168 Annex D."""
    found = {}
    for line in (corpus / "g168/echo_paths.tsv").read_text().splitlines():
        if not line.startswith(("#", "model")):
            name, gain, _, taps = line.split("\t")
            found[name] = np.array(taps.split(","), float) * float(gain)
    return found


def path(model, erl_db, delay=0):
    return np.concatenate([np.zeros(delay), model]) * 10 ** (-erl_db / 20)


def at_level(x, dbm0):
    """x of unit power at a level."""
    return x * PEAK / np.sqrt(2) * 10 ** (dbm0 / 20)


def level(x):
    """dBm0 of the power of x."""
    return 10 * np.log10(np.mean(np.asarray(x, float) ** 2) / (PEAK ** 2 / 2) + 1e-12)


def css(seconds, seed=1, double_talk=False):
    """Composite source signal; unit power while it sounds."""
    rng = np.random.default_rng(seed)
    voiced_samples, pause, pitch = (582, 1018, 50) if double_talk else (389, 811, 76)
    voiced = np.zeros(voiced_samples)
    voiced[::pitch] = 1
    for hz, width in ((500, 80), (1500, 120), (2500, 160)):
        r = np.exp(-np.pi * width / 8000)
        voiced = signal.lfilter([1], [1, -2 * r * np.cos(2 * np.pi * hz / 8000), r * r], voiced)
    voiced = signal.lfilter([1, -0.5], [1], voiced)
    hz = np.fft.rfftfreq(8192, 1 / 8000)
    size = ((hz > 200) & (hz < 3600)) * np.maximum(hz / 500, 1) ** (-5 / 6.02)
    noise = np.fft.irfft(size * np.exp(2j * np.pi * rng.uniform(size=len(hz))))[:1600]
    one = np.concatenate([voiced / voiced.std(), noise / noise.std(), np.zeros(pause)])
    n = round(seconds * 8000)
    return np.concatenate([one * (-1) ** i for i in range(n // len(one) + 1)])[:n]


def hoth(seconds, seed=2):
    """Noise that falls with 5 dB per octave, as of a room; unit power."""
    n = round(seconds * 8000)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=n))
    hz = np.fft.rfftfreq(n, 1 / 8000)
    x = np.fft.irfft(spectrum * np.maximum(hz, 100) ** (-5 / 6.02), n)
    return x / x.std()


def active_speech(x):
    """x from its first loud block on, unit power over its loud blocks."""
    x = np.asarray(x, float)
    power = (x[:len(x) // 80 * 80].reshape(-1, 80) ** 2).mean(1)
    begin = 80 * int(np.argmax(power > 1e-2 * power.max()))
    return x[begin:] / np.sqrt(power[power > 10 ** -3.5 * power.max()].mean())


def meter(x, seconds=0.035):
    """Level in dBm0 over a sliding window of 35 ms, one value each 10 ms (G.168 6.4.1.2)."""
    n = round(seconds * 8000)
    power = np.convolve(np.asarray(x, float) ** 2, np.ones(n) / n, "valid")[::80]
    return 10 * np.log10(power / (PEAK ** 2 / 2) + 1e-12)


def erle(echo, residual, at_s, seconds=0.5):
    """Echo against residual over the blocks of a window in which the echo is heard, dB."""
    cut = slice(round(at_s * 8000), round((at_s + seconds) * 8000))
    a, b = (np.asarray(v[cut], float).reshape(-1, 80) for v in (echo, residual))
    heard = (a ** 2).mean(1) > 1e-3 * (a ** 2).mean(1).max()
    return 10 * np.log10((a[heard] ** 2).sum() / ((b[heard] ** 2).sum() + 1e-9))
