"""What arrived, held against what was sent: correlation, gaps, level, delay.

All by cross-correlation of windows: each window of the received audio is
looked for in the sent audio; where it is found again and again at one lag,
that is the path's delay, and a change of the lag is a sample that is missing
or was inserted.  Imports nothing of the product.
"""

import math
import pathlib
import struct

import numpy as np

RATE_HZ = 8000
WINDOW = 2400            # samples in a window: 300 ms
FOUND = 0.90             # correlation of a window that counts as found
LOUD_DBFS = -45.0        # windows quieter than this prove nothing
ALAW, ULAW, PCM = 6, 7, 1


def _alaw_table():
    code = np.arange(256) ^ 0x55
    segment, mantissa = (code >> 4) & 7, code & 15
    value = np.where(segment == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, value, -value) / 32768.0


def _ulaw_table():
    code = ~np.arange(256) & 0xFF
    value = (((code & 15) << 3) + 0x84 << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -value, value) / 32768.0


def read_octets(octets):
    """A WAV file's samples in -1..1: shape (n,) mono, (n, 2) stereo.  A-law, mu-law or 16-bit PCM, 8 kHz."""
    if octets[:4] != b"RIFF" or octets[8:12] != b"WAVE":
        raise ValueError("This is no WAV file.")
    at, form, data = 12, None, None
    while at + 8 <= len(octets):
        name, size = octets[at:at + 4], struct.unpack_from("<I", octets, at + 4)[0]
        if name == b"fmt ":
            form = struct.unpack_from("<HHIIHH", octets, at + 8)
        elif name == b"data":
            data = octets[at + 8: at + 8 + size]
            break
        at += 8 + size + (size & 1)
    if form is None or data is None:
        raise ValueError("The WAV file has no fmt or no data chunk.")
    kind, channels, rate = form[:3]
    if rate != RATE_HZ:
        raise ValueError(f"The WAV file has {rate} samples a second; 8000 are expected.")
    if kind == PCM and form[5] == 16:
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2") / 32768.0
    elif kind in (ALAW, ULAW):
        samples = (_alaw_table() if kind == ALAW else _ulaw_table())[np.frombuffer(data, np.uint8)]
    else:
        raise ValueError(f"WAV format {kind} is not known here.")
    return samples if channels == 1 else samples[: len(samples) // channels * channels].reshape(-1, channels)


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


ROWS_HZ, COLUMNS_HZ, KEYS = (697, 770, 852, 941), (1209, 1336, 1477, 1633), "123A456B789C*0#D"


def dtmf(samples, least_ms=30):
    """Key presses in the samples: [(key, first sample, milliseconds)].  A plain short-time
    spectrum at the eight frequencies, 10 ms steps; for clean recordings."""
    length, step = 205, 80
    time = np.arange(length) / RATE_HZ
    basis = np.exp(-2j * np.pi * np.outer(ROWS_HZ + COLUMNS_HZ, time)) * np.hanning(length)
    pressed, current = [], None
    for start in range(0, len(samples) - length, step):
        piece = np.asarray(samples[start: start + length], float)
        power = np.abs(basis @ piece) ** 2
        total = np.sum((piece * np.hanning(length)) ** 2) * length * 0.375
        row, column = int(np.argmax(power[:4])), int(np.argmax(power[4:]))
        tone = power[row] + power[4 + column]
        others = (np.sort(power[:4])[-2] + np.sort(power[4:])[-2])
        clean = (level_dbfs(piece) > -40 and tone > 10 * others and tone > 0.35 * total
                 and 0.08 < power[row] / max(power[4 + column], 1e-12) < 12)
        key = KEYS[row * 4 + column] if clean else None
        if current and key != current[0]:
            if (start - current[1]) / 8 >= least_ms:
                pressed.append((current[0], current[1], (start - current[1]) / 8))
            current = None
        if key and current is None:
            current = (key, start)
    return pressed
