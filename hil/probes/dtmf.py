"""Find DTMF digits in a recording: a plain Goertzel bank in numpy, nothing of ours.

    [Digit('1', start=8000, samples=640), ...] = digits(samples)

Frequencies, tolerances and least lengths after Q.23 and Q.24; the thresholds
are chosen for clean lines and state what counts as a digit to a checker, not to a product.
"""

import numpy as np

LOW_HZ = (697, 770, 852, 941)
HIGH_HZ = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
RATE_HZ = 8000

WINDOW = 160            # 20 ms: separates the rows (73 Hz apart) by their main lobe's half
HOP = 40                # 5 ms
LEAST_RMS = 60.0        # 16-bit scale, about -48 dBm0 in both tones together
SHARE = 0.75            # of the window's energy that the two tones must hold (invented)
TWIST_DB = 10.0
LEAST_SAMPLES = 200     # 25 ms; Q.24 asks a receiver to refuse less than 24 ms


class Digit:
    """One key press: digit, start (sample), samples (length)."""

    __slots__ = ("digit", "start", "samples")

    def __init__(self, digit, start, samples):
        self.digit, self.start, self.samples = digit, start, samples

    def __repr__(self):
        return f"Digit({self.digit!r}, start={self.start}, samples={self.samples})"


def _bank():
    n = np.arange(WINDOW)
    shape = np.hanning(WINDOW)
    return np.array([shape * np.exp(-2j * np.pi * f * n / RATE_HZ) for f in LOW_HZ + HIGH_HZ]), shape


_BANK, _SHAPE = _bank()


def digits(samples):
    """All key presses in int16 samples (8 kHz), in order."""
    x = np.asarray(samples, float)
    if len(x) < WINDOW:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(x, WINDOW)[::HOP]
    tone = np.abs(frames @ _BANK.T) ** 2                     # (frames, 8)
    # A full tone of amplitude a gives (a * sum(shape) / 2)^2; its windowed energy is a^2/2 * sum(shape^2).
    energy = tone * (2 * np.sum(_SHAPE ** 2) / np.sum(_SHAPE) ** 2)
    whole = np.sum((frames * _SHAPE) ** 2, axis=1) + 1e-9
    low, high = np.argmax(tone[:, :4], axis=1), np.argmax(tone[:, 4:], axis=1)
    index = np.arange(len(frames))
    e_low, e_high = energy[index, low], energy[index, 4 + high]
    twist = np.abs(10 * np.log10((e_low + 1e-9) / (e_high + 1e-9)))
    loud = np.sqrt(np.mean(frames ** 2, axis=1)) > LEAST_RMS
    valid = (e_low + e_high > SHARE * whole) & (twist < TWIST_DB) & loud
    key = np.where(valid, low * 4 + high, -1)

    found, start = [], 0
    for i in range(1, len(key) + 1):
        if i < len(key) and key[i] == key[start]:
            continue
        if key[start] >= 0:
            # The ends of a tone fill half a window before they count.
            length = (i - start - 1) * HOP + WINDOW // 2
            if length >= LEAST_SAMPLES:
                low_key, high_key = divmod(int(key[start]), 4)
                found.append(Digit(KEYS[low_key][high_key], start * HOP + WINDOW // 4, length))
        start = i
    return _join(found)


def _join(found):
    """One press whose tone was broken by less than 15 ms is one press."""
    joined = []
    for digit in found:
        last = joined[-1] if joined else None
        if last and last.digit == digit.digit and digit.start - (last.start + last.samples) < 120:
            last.samples = digit.start + digit.samples - last.start
        else:
            joined.append(digit)
    return joined


def text(samples):
    """The digits alone, as text."""
    return "".join(d.digit for d in digits(samples))
