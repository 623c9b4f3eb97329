"""What arrived, held against what was sent: correlation, gaps, level, delay.

All by cross-correlation of windows: each window of the received audio is
looked for in the sent audio; where it is found again and again at one lag,
that is the path's delay, and a change of the lag is a sample that is missing
or was inserted.  Imports nothing of the product.
"""

import math
import pathlib

import numpy as np

from hil.probes import wav

RATE_HZ = 8000
WINDOW = 2400            # samples in a window: 300 ms
FOUND = 0.90             # correlation of a window that counts as found
LOUD_DBFS = -45.0        # windows quieter than this prove nothing


def read_octets(octets):
    """The samples of a WAV file's octets in -1..1: shape (n,) mono, (n, 2) stereo.  Raises ValueError."""
    samples, rate_hz = wav.parse(octets)
    if rate_hz != RATE_HZ:
        raise ValueError(f"The WAV file has {rate_hz} samples a second; 8000 are expected.")
    return (samples[:, 0] if samples.shape[1] == 1 else samples) / 32768.0


def read(path):
    """The samples of a WAV file; see read_octets."""
    return read_octets(pathlib.Path(path).read_bytes())


def level_dbfs(samples):
    """RMS level against a full-scale sine."""
    rms = math.sqrt(float(np.mean(np.square(samples)))) if len(samples) else 0.0
    return 20 * math.log10(rms * math.sqrt(2)) if rms > 1e-9 else -120.0


def _correlations(pattern, sent, energy, spectrum, size):
    """Normalised correlation of a pattern with every place of `sent`."""
    product = np.fft.irfft(spectrum * np.conj(np.fft.rfft(pattern, size)), size)[: len(sent) - len(pattern) + 1]
    norm = np.sqrt(np.dot(pattern, pattern) * energy)
    return product / np.maximum(norm, 1e-9)


class Quality:
    """How well the received audio is the sent one.

    correlation: over the whole stretch that was found, aligned once.  level_db: received against sent.
    gaps: changes of the lag and windows not found inside the stretch.  lag: sent index - received index.
    first, last: the stretch, in received samples.  windows: how many were found.  shifts: each
    change as (received sample, samples)."""

    def __init__(self, correlation, level_db, gaps, lag, first, last, windows, shifts):
        self.correlation, self.level_db, self.gaps, self.lag = correlation, level_db, gaps, lag
        self.first, self.last, self.windows, self.shifts = first, last, windows, shifts

    @property
    def seconds(self):
        return (self.last - self.first) / RATE_HZ

    def __repr__(self):
        return (f"correlation {self.correlation:.4f}, level {self.level_db:+.2f} dB, {self.gaps} gaps, lag {self.lag}, "
                f"{self.seconds:.2f} s from sample {self.first}, shifts {self.shifts}")


NOTHING = Quality(0.0, 0.0, 0, 0, 0, 0, 0, [])


def compare(sent, received):
    """Find the sent audio in the received one.  Both: samples of one direction.  Returns Quality."""
    sent, received = np.asarray(sent, float), np.asarray(received, float)
    if len(sent) < WINDOW or len(received) < WINDOW:
        return NOTHING
    size = 1 << (len(sent) + WINDOW - 1).bit_length()
    spectrum = np.fft.rfft(sent, size)
    sums = np.concatenate(([0.0], np.cumsum(sent ** 2)))
    energy = sums[WINDOW:] - sums[:-WINDOW]
    found, missed = [], []
    for start in range(0, len(received) - WINDOW + 1, WINDOW):
        window = received[start: start + WINDOW]
        if level_dbfs(window) < LOUD_DBFS:
            continue
        correlations = _correlations(window, sent, energy, spectrum, size)
        place = int(np.argmax(correlations))
        (found if correlations[place] >= FOUND else missed).append((start, place - start))
    if not found:
        return NOTHING
    lags = [lag for _, lag in found]
    main = max(set(lags), key=lags.count)
    stretch = [start for start, lag in found if abs(lag - main) < RATE_HZ]
    first, last = min(stretch), max(stretch) + WINDOW
    shifts, lag = [], None
    for start, here in found:
        if abs(here - main) < RATE_HZ:
            if lag is not None and here != lag:
                shifts.append((start, here - lag))
            lag = here
    inside = [start for start, _ in missed if first < start < last]
    aligned = sent[first + main: last + main]
    part = received[first: first + len(aligned)]
    correlation = float(np.dot(aligned, part) / max(np.sqrt(np.dot(aligned, aligned) * np.dot(part, part)), 1e-9))
    return Quality(correlation, level_dbfs(part) - level_dbfs(aligned), len(shifts) + len(inside), main, first, last,
                   len(found), shifts + [(start, 0) for start in inside])


def crosstalk(other, received, quality):
    """Greatest correlation, at any lag within half a second of the stretch's own, of what
    was received with the other direction's speech over the stretch that quality describes."""
    received = np.asarray(received, float)[quality.first: quality.last]
    other = np.asarray(other, float)
    if len(received) < RATE_HZ or len(other) < RATE_HZ:
        return 0.0
    size = 1 << (len(other) + len(received)).bit_length()
    product = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(received, size)), size)
    norm = math.sqrt(float(np.dot(received, received))) * math.sqrt(float(np.dot(other, other)))
    overlap = min(len(received), len(other)) / max(len(received), len(other))
    return float(np.max(np.abs(product)) / max(norm * math.sqrt(overlap), 1e-9))


def longest_silence_ms(samples, threshold_dbfs=-60.0):
    """The longest run of 20 ms pieces below the threshold."""
    longest = run = 0
    for start in range(0, len(samples) - 159, 160):
        run = run + 1 if level_dbfs(samples[start: start + 160]) < threshold_dbfs else 0
        longest = max(longest, run)
    return longest * 20

