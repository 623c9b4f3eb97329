"""DTMF receiver for many channels, by blocks of 10 ms.

Why it is hard: speech and music contain pairs of tones for a moment, and a
digit may be distorted by 10 dB of twist, 1.5 % of frequency, noise, and gaps.
What tells them apart is time: a digit's two tones hold nearly all the energy,
keep their frequency and keep their level.  So each block of 80 samples that is not too
DULL for it is correlated with the eight frequencies, and a *hit* is a pair of neighbouring
blocks with
  - the same strongest row and column in both, their mutual leakage removed,
  - FRACTION of the energy of each block in these two tones,
  - a phase advance from block to block that is right within a third of the way from
    the accepted (1.5 % + 2 Hz) to the refused (3.5 %) deviation,
  - steady levels, and a twist between -10 dB and +6 dB (high against low).
Two hits in a row begin a digit (a tone of 36 ms always does, one of 25 ms never
does) when the tones hold SURE of their energy altogether, which a clean digit does and
chance in speech and music seldom; LONG_HITS in a row begin it with LONG.  What tells the rest
of speech and music: a key press begins, so the energy just before (its least of late, which may
rise by RISE a block) is below ONSET of the digit's; pairs that come out of a sound as loud must
last LATE_HITS and hold LATE.  And a tone with its second harmonic passes for 2, 6 or C where both deviate: in these
twice the row's advance equals the column's, in no digit.  Four blocks
without its hit end it, so a gap of 10 ms is bridged and a pause of 30 ms is seen.  Source: ITU-T Q.23, Q.24 annex A (the strictest of the
administrations there, except non-operation level: tones below -36 dBm0 are
not digits).  FRACTION and the rates of change are measured compromises: see
tests/dsp/test_dtmf.py (talk-off, noise).

The correlations are counted from the middle of the block and integer (products of 16 bits of halved samples,
coefficients of +/-2048, sums within 32 bits for any input); what follows is IEEE single in a fixed
order without contraction, so all builds and `Reference` agree bit by bit.
"""

import math

import numpy as np

from dsp import isa

ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
DIGITS = "123A456B789C*0#D"
BLOCK, RATE_HZ = 80, 8000
EVENT_DTYPE = np.dtype([("slot", "<i4"), ("digit", "u1"), ("on", "u1"), ("duration_ms", "<u2")])

ZERO_DBM0_PEAK = 22826      # of a sine, 16-bit scale: G.711, 3.14 dBm0 below 32768
LOWEST_DBM0 = -36           # of each tone (invented within Q.24: operation to -29, here with margin)
HIGH_ABOVE_LOW = 4.0        # 6 dB as power; Q.24 asks 4 dB
LOW_ABOVE_HIGH = 10.0       # 10 dB as power; Q.24 asks 8 dB, Australia 10 dB
DULL = 0.91                 # share of the energy in products of neighbours: the dullest digit with as much of a hum as FRACTION allows has 0.885
CANDIDATE = 0.55            # energy in the two tones before the frequency is known
FRACTION, SURE, LONG, LATE = 0.75, 0.87, 0.8, 0.95      # after the loss by a frequency deviation is made good: of a block, of all blocks so far, of LONG_HITS or more
STEADY = 2.5                # power ratio of neighbouring blocks, 4 dB
BEGIN_HITS, LONG_HITS, LATE_HITS, END_MISSES = 2, 4, 10, 4
ONSET, RISE = 0.5, 1.5
OCTAVE = np.cos(np.radians(20))             # by which twice the row's advance in a block must differ from the column's: 5.6 Hz
BELOW = -0.4                                # sine of the row's deviation in a block: then it is 6.5 Hz too low


def _tables():
    """The constants that kernel and reference share.

    coefficients: int16 (40, 16): cosine and sine of each of the 8 frequencies by turns, from the middle of the block on.
    leakage: float32 (8, 8): what tone j (amplitude 1 in its own bin) adds to bin i.
    turn: float32 (8, 2): the advance of each frequency in a block, conjugated, complex.
    limit: float32 (8): cosine of the greatest deviation of that advance."""
    omega = 2 * np.pi * np.array(ROWS_HZ + COLUMNS_HZ) / RATE_HZ
    angle = np.outer(np.arange(BLOCK // 2) + 0.5, omega)
    coefficients = np.rint(2048 * np.stack([np.cos(angle), -np.sin(angle)], -1)).astype(np.int16).reshape(BLOCK // 2, 16)
    difference = omega[None, :] - omega[:, None]
    leak = np.cos(difference[..., None] * (np.arange(BLOCK // 2) + 0.5)).mean(-1).astype(np.float32)
    turn = np.exp(-1j * omega * BLOCK)
    hz = omega * RATE_HZ / (2 * np.pi)
    deviation_hz = 0.7 * (0.015 * hz + 2) + 0.3 * 0.035 * hz
    limit = np.cos(2 * np.pi * deviation_hz * BLOCK / RATE_HZ)
    pair = lambda z: np.ascontiguousarray(np.stack([z.real, z.imag], -1), np.float32)
    return coefficients, leak, pair(turn), limit.astype(np.float32)


COEFFICIENTS, LEAKAGE, TURN, LIMIT = _tables()
# |sum|^2 times this is the energy of the tone in units of the energy sum, (x >> 3)^2.
POWER_SCALE = np.float32(1 / (1024.0 ** 2 * (BLOCK / 2) * 64))
LOWEST_POWER = np.float32(BLOCK / 2 * (ZERO_DBM0_PEAK * 10 ** (LOWEST_DBM0 / 20)) ** 2 / 64)
CONSTANTS = np.array([POWER_SCALE, LOWEST_POWER, HIGH_ABOVE_LOW, LOW_ABOVE_HIGH, CANDIDATE, FRACTION, STEADY, SURE, LONG, ONSET, RISE, LATE, OCTAVE, BELOW, DULL], np.float32)


def new_state(n_slots, at=None):
    """Receivers for slots 0 to n_slots - 1: uint8, aligned."""
    kernel = isa.load("_dtmf", at)
    state = isa.aligned(-(-n_slots // kernel.GROUP_SLOTS) * kernel.GROUP_OCTETS)
    for slot in range(n_slots):
        kernel.call_reset(state, slot)
    return state


def detect(state, x, slots=None, present=None, at=None):
    """x: int16 (n, 80), row i of slot slots[i] (default i), each slot once.

    Returns the events as an array of EVENT_DTYPE; present (uint8, by slot) is updated where given."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    events = np.empty(2 * len(slots), EVENT_DTYPE)
    count = isa.load("_dtmf", at).call_detect(state, slots, np.arange(len(x), dtype=np.int32), x, present, events.view(np.uint8))
    return events[:count]


def digits_of(x, at=None):
    """Digits in a run of samples: [(digit, begin_block)]. For tests and tools."""
    state = new_state(1, at)
    found = []
    for block in range(len(x) // BLOCK):
        row = np.ascontiguousarray(x[None, block * BLOCK:(block + 1) * BLOCK], np.int16)
        found += [(chr(e["digit"]), block) for e in detect(state, row, at=at) if e["on"]]
    return found


def _multiply(a, b):
    """Complex product of float32 pairs, in the kernel's order."""
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


class Reference:
    """One receiver, plainly; feed() takes a block and returns its events as (digit, on, duration_ms)."""

    def __init__(self):
        self.candidate = self.hit = self.digit = -1
        self.misses = self.blocks = self.hits = 0
        self.power_sum = self.energy_sum = self.floor = np.float32(0)

    def feed(self, x):
        before = (self.candidate, getattr(self, "tones", None), getattr(self, "powers", None), getattr(self, "energy", None))
        self.candidate = -1
        x = x.astype(np.int64)
        low = x >> 3
        self.energy, lag = np.float32(int((low ** 2).sum())), np.float32(int((low[1:] * low[:-1]).sum()))
        after, before_middle = x[BLOCK // 2:] >> 1, x[BLOCK // 2 - 1::-1] >> 1
        table = COEFFICIENTS.astype(np.int64)
        re, im = (after + before_middle) @ table[:, 0::2], (after - before_middle) @ table[:, 1::2]
        if self.energy >= LOWEST_POWER and lag < np.float32(DULL) * self.energy:
            self._find(re.astype(np.float32), im.astype(np.float32))
        found = self._matches(*before[1:]) if self.candidate >= 0 and self.candidate == before[0] else None
        return self._advance(-1 if found is None else self.candidate, found, before[3])

    def _find(self, re, im):
        bins = list(zip(re, im))
        power = [(a * a + b * b) * POWER_SCALE for a, b in bins]
        row = max(range(4), key=lambda k: (power[k], -k))
        column = max(range(4, 8), key=lambda k: (power[k], -k))
        if power[row] + power[column] < np.float32(CANDIDATE) * self.energy:
            return
        share = LEAKAGE[row, column]
        self.tones = [tuple(a - share * b for a, b in zip(bins[row], bins[column])), tuple(b - share * a for a, b in zip(bins[row], bins[column]))]
        self.powers = [(a * a + b * b) * POWER_SCALE for a, b in self.tones]
        low, high = self.powers
        if low < LOWEST_POWER or high < LOWEST_POWER:
            return
        if high > low * np.float32(HIGH_ABOVE_LOW) or low > high * np.float32(LOW_ABOVE_HIGH):
            return
        self.candidate = 4 * row + column - 4

    def _matches(self, tones, powers, energy):
        one, third, twelfth = np.float32(1), np.float32(1 / 3), np.float32(1 / 12)
        now, then, advances = np.float32(0), np.float32(0), []
        for i, k in enumerate((self.candidate >> 2, 4 + (self.candidate & 3))):
            p, q = self.powers[i], powers[i]
            if p > q * np.float32(STEADY) or q > p * np.float32(STEADY):
                return None
            a, b = self.tones[i], tones[i]
            size = np.sqrt((a[0] * a[0] + a[1] * a[1]) * (b[0] * b[0] + b[1] * b[1]))
            advances.append(((a[0] * b[0] + a[1] * b[1]) / size, (a[1] * b[0] - a[0] * b[1]) / size))
            cosine = _multiply(advances[i], TURN[k])[0]
            if cosine < LIMIT[k]:
                return None
            y = one - cosine
            gain = one + (y + y + y * y * third) * twelfth
            now, then = now + p * gain, then + q * gain
        (x, y), (u, v) = advances
        deviation = x * TURN[self.candidate >> 2][1] + y * TURN[self.candidate >> 2][0]
        if self.candidate % 5 == 1 and deviation < np.float32(BELOW) and (x * x - y * y) * u + (x * y + x * y) * v > np.float32(OCTAVE):
            return None
        return (now, then) if now >= np.float32(FRACTION) * self.energy and then >= np.float32(FRACTION) * energy else None

    def _advance(self, hit, found, energy_before):
        events = []
        same = hit >= 0 and hit == self.hit
        self.hit = hit
        if hit < 0:
            self.floor = min(self.floor * np.float32(RISE) + LOWEST_POWER * np.float32(1 / 64), self.energy)
        if same:
            self.hits, self.power_sum, self.energy_sum = self.hits + 1, self.power_sum + found[0], self.energy_sum + self.energy
        elif hit >= 0:
            self.hits, self.power_sum, self.energy_sum = 1, found[0] + found[1], self.energy + energy_before
        if self.floor * np.float32(self.hits + 1) <= np.float32(ONSET) * self.energy_sum:
            sure = same and self.power_sum >= np.float32(LONG if self.hits >= LONG_HITS else SURE) * self.energy_sum
        else:
            sure = same and self.hits >= LATE_HITS and self.power_sum >= np.float32(LATE) * self.energy_sum
        if self.digit >= 0:
            self.blocks += 1
            self.misses = 0 if hit == self.digit else self.misses + 1
            if self.misses == END_MISSES or (same and hit != self.digit):
                events.append((DIGITS[self.digit], 0, 10 * (self.blocks - self.misses)))
                self.digit = -1
        if self.digit < 0 and sure:
            self.digit, self.misses, self.blocks = hit, 0, self.hits + 1
            events.append((DIGITS[hit], 1, 0))
        return events
