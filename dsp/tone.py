"""Tones: up to four frequencies with a cadence, from a table made of plain data.

A plan is what boardconfig holds for a country:
    {"ringback": {"frequencies_hz": [450], "level_dbm0": -10, "cadence_ms": [1000, 4000]}, ...}
cadence_ms is on, off, on, off ...; absent or empty is a continuous tone.
level_dbm0 is that of each frequency (a number, or one for each).  "repeat": n
ends the tone after n periods; absent or 0 is for ever.  For tones that follow
each other (special information tone) "segments" replaces cadence_ms:
    [[330, [950]], [330, [1400]], [330, [1800]], [1000, []]]
(also as boardconfig writes them: {"duration_ms": 330, "frequencies_hz": [950]}).
"reverse_ms": 450 turns the phase of a continuous tone by 180 degrees each 450 ms.
A tone rises and falls over RAMP (2 ms, raised cosine), so no edge clicks.
Every table also has the digits of the keypad, "dtmf_0" and so on.

Phase is a 32-bit fraction of a turn, position times increment: continuous over
blocks, exact for ever, and a tone can be begun at any position (seek).  The
sine is a polynomial in single precision, in a fixed order without contraction:
all builds equal `reference` bit by bit, the error is below one step of 16 bits.
Sources: ITU-T Q.23 for the digits, Q.35/E.180 for what a plan is.
"""

import math

import numpy as np

from dsp import isa
from dsp.dtmf import COLUMNS_HZ, DIGITS, ROWS_HZ, ZERO_DBM0_PEAK

RATE_HZ = 8000
RAMP = np.sin(np.pi / 2 * (np.arange(16) + 0.5) / 16).astype(np.float32) ** 2      # invented: 2 ms
REVERSED = 0x80                              # bit of a segment's mask
MOST_FREQUENCIES, MOST_SEGMENTS = 4, 32
DIGIT_ON_MS, DIGIT_OFF_MS = 70, 70
DIGIT_LOW_DBM0, DIGIT_HIGH_DBM0 = -11, -9   # the high one stronger, as lines weaken it more

ENTRY_DTYPE = np.dtype({
    "names": ["increment", "amplitude", "period", "total", "n_segments", "end", "mask"],
    "formats": [("<u4", 4), ("<f4", 4), "<i8", "<i8", "<i4", ("<i4", MOST_SEGMENTS), ("u1", MOST_SEGMENTS)],
    "offsets": [0, 16, 32, 40, 48, 64, 192], "itemsize": 256})
STATE_DTYPE = np.dtype([("tone", "<i4"), ("zero", "<i4"), ("position", "<i8")])
HEADER_OCTETS = 64


def _quarter_sine():
    """Odd polynomial for sin(u pi/2), 0 <= u <= 1, four terms, by least squares at Chebyshev points; error 6e-7."""
    u = (1 + np.cos(np.pi * (np.arange(64) + 0.5) / 64)) / 2
    powers = np.stack([u, u**3, u**5, u**7], 1)
    return np.linalg.lstsq(powers, np.sin(u * np.pi / 2), rcond=None)[0].astype(np.float32)


SINE = _quarter_sine()


def amplitude_of(level_dbm0):
    """Peak of a sine of that level on the 16-bit scale."""
    return ZERO_DBM0_PEAK * 10 ** (level_dbm0 / 20)


def _digit_plan():
    return {f"dtmf_{digit}": {"frequencies_hz": [ROWS_HZ[i // 4], COLUMNS_HZ[i % 4]],
                              "level_dbm0": [DIGIT_LOW_DBM0, DIGIT_HIGH_DBM0],
                              "cadence_ms": [DIGIT_ON_MS, DIGIT_OFF_MS], "repeat": 1}
            for i, digit in enumerate(DIGITS)}


def compile_plan(plan):
    """plan: dict as above. Returns (table: aligned uint8 array, {name: number}).

    Raises ValueError naming the tone and what is wrong with it."""
    tones = {**plan, **_digit_plan()}
    table = isa.aligned(HEADER_OCTETS + len(tones) * ENTRY_DTYPE.itemsize)
    table[:4].view("<i4")[0] = len(tones)
    entries = entries_of(table)
    for number, (name, tone) in enumerate(tones.items()):
        try:
            _compile(entries[number:number + 1][0], tone)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"tone {name!r}: {error}") from error
    return table, {name: number for number, name in enumerate(tones)}


def entries_of(table):
    """Structured view of a table."""
    return table[HEADER_OCTETS:].view(ENTRY_DTYPE)


def _segments(tone):
    """[(milliseconds, [frequencies])] of a tone."""
    if tone.get("segments"):
        return [(one["duration_ms"], list(one["frequencies_hz"])) if isinstance(one, dict) else (one[0], list(one[1])) for one in tone["segments"]]
    if tone.get("reverse_ms"):
        return [(tone["reverse_ms"], list(tone["frequencies_hz"]))] * 2
    cadence, frequencies = tone.get("cadence_ms") or [1000], list(tone["frequencies_hz"])
    return [(ms, [] if i % 2 else frequencies) for i, ms in enumerate(cadence)]


def _compile(entry, tone):
    segments = _segments(tone)
    hertz = list(dict.fromkeys([*(tone.get("frequencies_hz") or []), *(f for _, one in segments for f in one)]))
    if len(hertz) > MOST_FREQUENCIES or not hertz:
        raise ValueError(f"has {len(hertz)} frequencies; give 1 to {MOST_FREQUENCIES}")
    if len(segments) > MOST_SEGMENTS:
        raise ValueError(f"has {len(segments)} cadence steps; give at most {MOST_SEGMENTS}")
    level = tone.get("level_dbm0", -10)
    levels = list(level) if isinstance(level, (list, tuple)) else [level] * len(hertz)
    if len(levels) != len(hertz):
        raise ValueError("has not one level for each frequency")
    for i, frequency in enumerate(hertz):
        if not 0 < frequency < RATE_HZ / 2 or not -60 <= levels[i] <= 3:
            raise ValueError(f"{frequency} Hz at {levels[i]} dBm0 is out of range (0 to 4000 Hz, -60 to +3 dBm0)")
        entry["increment"][i] = round(frequency / RATE_HZ * 2**32)
        entry["amplitude"][i] = amplitude_of(levels[i])
    end = 0
    for i, (ms, frequencies) in enumerate(segments):
        if not 0 < ms <= 600_000:
            raise ValueError(f"cadence step of {ms} ms; give 1 ms to 10 minutes")
        end += round(ms * RATE_HZ / 1000)
        entry["end"][i] = end
        entry["mask"][i] = sum(1 << hertz.index(frequency) for frequency in frequencies)
    if tone.get("reverse_ms"):
        entry["mask"][1] |= REVERSED
    entry["n_segments"], entry["period"] = len(segments), end
    entry["total"] = end * int(tone.get("repeat") or 0)


def new_state(n_slots, at=None):
    """Generators for slots 0 to n_slots - 1, silent: uint8, aligned."""
    assert isa.load("_tone", at).SLOT_OCTETS == STATE_DTYPE.itemsize
    state = isa.aligned(n_slots * STATE_DTYPE.itemsize)
    state.view(STATE_DTYPE)["tone"] = -1
    return state


def state_view(state):
    """tone and position (samples) of each slot."""
    return state.view(STATE_DTYPE)


def start(state, slot, tone, position=0, at=None):
    """Let a slot begin a tone at a position in samples."""
    isa.load("_tone", at).call_start(state, slot, tone, position)


def generate(table, state, n_samples, slots=None, at=None):
    """Returns (x int16 (n, n_samples), produced int32 (n)): what the slots sound next."""
    slots = np.arange(len(state_view(state)), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    x, produced = np.empty((len(slots), n_samples), np.int16), np.empty(len(slots), np.int32)
    isa.load("_tone", at).call_generate(table, state, slots, np.arange(len(slots), dtype=np.int32), x, produced)
    return x, produced


def reference(table, number, position, n_samples):
    """Samples position to position + n_samples of a tone, one frequency after the other."""
    entry = entries_of(table)[number]
    p = position + np.arange(n_samples, dtype=np.int64)
    segment = np.searchsorted(entry["end"][:entry["n_segments"]], p % entry["period"], side="right")
    mask = entry["mask"][segment]
    if entry["total"]:
        mask = np.where(p < entry["total"], mask, 0)
    one, quarter = np.float32(1), np.float32(0.25)
    total = np.zeros(n_samples, np.float32)
    for i in range(MOST_FREQUENCIES):
        phase = (p * int(entry["increment"][i]) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
        turn = phase.astype(np.float32) * np.float32(2.0**-32)
        u = one - np.abs(np.abs(turn) - quarter) * np.float32(4)
        square = u * u
        sine = u * (SINE[0] + square * (SINE[1] + square * (SINE[2] + square * SINE[3])))
        sine = np.where(phase < 0, -sine, sine)
        total = np.where(mask >> i & 1, total + sine * entry["amplitude"][i], total)
    total = np.where(mask & REVERSED, -total, total) * _ramp_up(entry, p) * _ramp_down(entry, p)
    return np.clip(np.floor(total + np.float32(0.5)), -32768, 32767).astype(np.int16)


def _ramp_up(entry, p):
    """Factor at each position: below 1 where the tone rises."""
    n, segment, place = int(entry["n_segments"]), _segment_of(entry, p), p % entry["period"]
    begin = np.where(segment > 0, entry["end"][segment - 1], 0)
    edge = (entry["mask"][segment] ^ entry["mask"][segment - 1 + n * (segment == 0)]) & 0x7F
    since = np.where(edge, place - begin, np.where(p < len(RAMP), p, len(RAMP)))
    return np.where(since < len(RAMP), RAMP[np.minimum(since, len(RAMP) - 1)], np.float32(1))


def _ramp_down(entry, p):
    """Factor at each position: below 1 where the tone falls."""
    n, segment, place = int(entry["n_segments"]), _segment_of(entry, p), p % entry["period"]
    edge = (entry["mask"][segment] ^ entry["mask"][(segment + 1) % n]) & 0x7F
    left = entry["end"][segment] - place
    until = np.where(edge | (p + left >= entry["total"] if entry["total"] else False), left, len(RAMP) + 1)
    return np.where(until <= len(RAMP), RAMP[np.clip(until - 1, 0, len(RAMP) - 1)], np.float32(1))


def _segment_of(entry, p):
    return np.searchsorted(entry["end"][:entry["n_segments"]], p % entry["period"], side="right")


def digit_samples(digit, on_ms=DIGIT_ON_MS, off_ms=DIGIT_OFF_MS, low_dbm0=DIGIT_LOW_DBM0, high_dbm0=DIGIT_HIGH_DBM0):
    """A digit as int16 samples; for tests and tools."""
    i = DIGITS.index(digit)
    t = np.arange(on_ms * RATE_HZ // 1000) / RATE_HZ
    x = (amplitude_of(low_dbm0) * np.sin(2 * math.pi * ROWS_HZ[i // 4] * t)
         + amplitude_of(high_dbm0) * np.sin(2 * math.pi * COLUMNS_HZ[i % 4] * t))
    return np.concatenate([np.rint(x), np.zeros(off_ms * RATE_HZ // 1000)]).clip(-32768, 32767).astype(np.int16)
