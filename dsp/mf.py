"""Multi-frequency signals between registers: R2 forward and backward, R1; two of six frequencies.

Why it is hard: R2's frequencies lie 120 Hz apart, a compelled cycle wants a
quick answer, and a register must not take speech or a keypad for a signal.
Blocks of 80 samples are seen through a Hann window of two blocks (20 ms, a new
one each 10 ms): a neighbour is 31 dB down in it.  A window is a *candidate* when
  - its two strongest frequencies hold FRACTION of the windowed energy,
  - the third is 13 dB below the weaker of the two,
  - each is above the lowest level, and their twist is within the limit.
Two windows in a row with the same pair, levels within 6 dB and a phase advance
within the tolerance begin a signal; two windows without it end it.

What follows (tests/dsp/test_mf.py measures it): R2 operates within 37 ms and
releases within 33 ms, together less than the 80 ms of Q.455; a burst of 15 ms is
nothing and a gap of 7 ms ends nothing; R1 hears 30 ms on, 25 ms off.  Begin and
end are reported with their place in samples, told from the energies of the
blocks; the two tones beat, so it is true to 7 ms, mostly to 3.
R1's receiver is locked until it hears KP for 55 ms and locks again after ST
(Q.323): the keypad's 3 is R1's 7 within the tolerances, only KP parts them.

Sources: ITU-T Q.441 (frequencies, signals), Q.454 (sender), Q.455 (receiver:
-35 to -5 dBm0, +/-10 Hz, 5 and 7 dB of twist, 7 ms, 80 ms, nothing at -42 dBm0); Q.320
to Q.323 for R1 (+/-(1.5 % + 5 Hz), 6 dB of twist, 30 and 55 ms); the limits between
must and must not are ours.  Kernel and Reference agree bit by bit: integer
correlations, then IEEE single in a fixed order.
"""

import numpy as np

from dsp import isa
from dsp.dtmf import BLOCK, RATE_HZ, ZERO_DBM0_PEAK

FREQUENCIES_HZ = {"r2_forward": (1380, 1500, 1620, 1740, 1860, 1980), "r2_backward": (1140, 1020, 900, 780, 660, 540),
                  "r1": (700, 900, 1100, 1300, 1500, 1700)}
PAIRS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4), (1, 4), (2, 4), (3, 4), (0, 5), (1, 5), (2, 5), (3, 5), (4, 5))
R1_NAMES = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "CODE_11", "CODE_12", "KP", "KP2", "ST")
KP, KP2, ST = 13, 14, 15

R2_LEVEL_DBM0, R1_LEVEL_DBM0 = -11.5, -7     # of each frequency: Q.454, Q.322
R2_PULSE_MS, R1_MS, R1_KP_MS = 150, 68, 100  # Q.442; Q.322

# For a pair that is not, and that is adjacent: those beat within the window, and R1 may be 30 Hz off, which costs 2 dB in it.
FRACTION = {"r2_forward": (0.8, 0.7), "r2_backward": (0.85, 0.72), "r1": (0.55, 0.5)}
THIRD, STEADY, KEEP = 0.05, 4.0, 0.125
FULL, REST = 0.7, 0.1                        # share of the signal's energy: a block is full of it, holds its end
BEGIN_WINDOWS, KP_WINDOWS, END_WINDOWS = 2, 4, 2
LOWEST_DBM0 = {"r2_forward": -38.5, "r2_backward": -38.5, "r1": -28}
TWIST = {"r2_forward": 10.0, "r2_backward": 10.0, "r1": 8.0}          # as power: 10 and 9 dB

EVENT_DTYPE = np.dtype([("slot", "<i4"), ("signal", "u1"), ("on", "u1"), ("at", "<i2")])
TABLE_DTYPE = np.dtype([("lowest", "<f4"), ("twist", "<f4"), ("locked", "<i4"), ("fraction", "<f4"), ("limit", "<f4", 6),
                        ("turn", "<f4", (6, 2)), ("signal", "u1", 64), ("pad", "u1", 36), ("adjacent", "<f4"), ("rise", "<i2", (BLOCK // 2, 16, 2)),
                        ("fall", "<i2", (BLOCK // 2, 16, 2)), ("window", "<i2", 2 * BLOCK)])
SLOT_OCTETS = 128
# A tone of amplitude A: |sum| = A / 2 * 80 * 1024, windowed energy 30 A^2, in units of (x / 8)^2.
POWER_SCALE = np.float32(30 / 64 / (40 * 1024.0) ** 2)
CONSTANTS = np.array([POWER_SCALE, THIRD, STEADY, KEEP, FULL, REST], np.float32)


def table(kind):
    """The receiver's table for "r2_forward", "r2_backward" or "r1": aligned uint8 array."""
    raw = isa.aligned(TABLE_DTYPE.itemsize)
    entry = raw.view(TABLE_DTYPE)[0]
    hz = np.array(FREQUENCIES_HZ[kind], float)
    n = np.arange(2 * BLOCK)
    window = 0.5 - 0.5 * np.cos(np.pi * (n + 0.5) / BLOCK)
    angle = 2 * np.pi * np.outer(n, hz) / RATE_HZ
    waves = np.zeros((2 * BLOCK, 16), np.int16)
    waves[:, :6] = np.rint(1024 * window[:, None] * np.cos(angle))
    waves[:, 8:14] = np.rint(-1024 * window[:, None] * np.sin(angle))
    for name, part in (("rise", waves[:BLOCK]), ("fall", waves[BLOCK:])):
        entry[name] = part.reshape(BLOCK // 2, 2, 16).transpose(0, 2, 1)
    entry["window"] = np.rint(8192 * window)
    entry["lowest"] = 30 / 64 * (ZERO_DBM0_PEAK * 10 ** (LOWEST_DBM0[kind] / 20)) ** 2
    entry["twist"], entry["locked"], entry["fraction"], entry["adjacent"] = TWIST[kind], kind == "r1", *FRACTION[kind]
    tolerance_hz = 0.015 * hz + 13 if kind == "r1" else np.full(6, 22.0)
    entry["limit"] = np.cos(2 * np.pi * tolerance_hz * BLOCK / RATE_HZ)
    turn = np.exp(-2j * np.pi * hz * BLOCK / RATE_HZ)
    entry["turn"] = np.stack([turn.real, turn.imag], -1)
    for signal, (i, j) in enumerate(PAIRS):
        entry["signal"][8 * i + j] = entry["signal"][8 * j + i] = signal + 1
    return raw


def plan():
    """Tones to send, for tone.compile_plan: "r2f_1" to "r2f_15" and "r2b_1" to "r2b_15" (until stopped), "r2b_pulse_1" ... (150 ms),
    "r1_1" ... "r1_0", "r1_KP", "r1_ST" (68 or 100 ms, and 68 ms of silence)."""
    tones = {}
    for number, (i, j) in enumerate(PAIRS, 1):
        for prefix, kind in (("r2f_", "r2_forward"), ("r2b_", "r2_backward")):
            hz = FREQUENCIES_HZ[kind]
            tones[f"{prefix}{number}"] = {"frequencies_hz": [hz[i], hz[j]], "level_dbm0": R2_LEVEL_DBM0}
        tones[f"r2b_pulse_{number}"] = {**tones[f"r2b_{number}"], "cadence_ms": [R2_PULSE_MS, R2_PULSE_MS], "repeat": 1}
        hz, name = FREQUENCIES_HZ["r1"], R1_NAMES[number - 1]
        tones[f"r1_{name}"] = {"frequencies_hz": [hz[i], hz[j]], "level_dbm0": R1_LEVEL_DBM0,
                               "cadence_ms": [R1_KP_MS if name.startswith("KP") else R1_MS, R1_MS], "repeat": 1}
    return tones


def new_state(n_slots, at=None):
    """Receivers for slots 0 to n_slots - 1: uint8, aligned. A slot is reset before it listens with another table."""
    kernel = isa.load("_mf", at)
    assert kernel.SLOT_OCTETS == SLOT_OCTETS and kernel.TABLE_OCTETS == TABLE_DTYPE.itemsize
    state = isa.aligned(n_slots * SLOT_OCTETS)
    for slot in range(n_slots):
        kernel.call_reset(state, slot)
    return state


def detect(receiver, state, x, slots=None, at=None):
    """receiver: table(kind). x: int16 (n, 80), row i of slot slots[i] (default i). Returns events, EVENT_DTYPE:
    signal 1 to 15, on 1 or 0, at: samples from the first of this block (negative: before it)."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    events = np.empty(2 * len(slots), EVENT_DTYPE)
    count = isa.load("_mf", at).call_detect(receiver, state, slots, np.arange(len(x), dtype=np.int32), x, events.view(np.uint8))
    return events[:count]


def signals_of(kind, x, at=None):
    """Signals in a run of samples: [(signal, begin, end, told_begin, told_end)] in samples; told: when the event came. For tests and tools."""
    receiver, state, found = table(kind), new_state(1, at), []
    for block in range(len(x) // BLOCK):
        row = np.ascontiguousarray(x[None, block * BLOCK:(block + 1) * BLOCK], np.int16)
        for e in detect(receiver, state, row, at=at):
            place, told = block * BLOCK + int(e["at"]), (block + 1) * BLOCK
            if e["on"]:
                found.append([int(e["signal"]), place, None, told, None])
            else:
                found[-1][2], found[-1][4] = place, told
    return [tuple(one) for one in found]


class Reference:
    """One receiver, plainly; feed() takes a block and returns [(signal, on, at)]."""

    def __init__(self, receiver):
        self.table = receiver.view(TABLE_DTYPE)[0]
        waves = [self.table[name].transpose(0, 2, 1).reshape(BLOCK, 16).astype(np.int64) for name in ("rise", "fall")]
        self.rise, self.fall = waves
        zero = np.float32(0)
        self.sums, self.weighted, self.energies = np.zeros(16, np.int64), 0, [zero] * 6
        self.pair, self.tones, self.powers = -1, None, (zero, zero)
        self.pending, self.run, self.signal, self.misses, self.lock = 0, 0, 0, 0, True
        self.full = self.level = zero

    def feed(self, x):
        x = x.astype(np.int64)
        window = self.table["window"].astype(np.int64)
        sums = (self.sums + x @ self.fall).astype(np.float32)
        energy = np.float32(self.weighted + int(((x * window[BLOCK:] >> 16) ** 2).sum()))
        self.sums, self.weighted = x @ self.rise, int(((x * window[:BLOCK] >> 16) ** 2).sum())
        self.energies = [*self.energies[1:], np.float32(int(((x >> 3) ** 2).sum()))]
        re, im = sums[:6], sums[8:14]
        power = (re * re + im * im) * POWER_SCALE
        order = sorted(range(6), key=lambda k: (-power[k], k))
        a, b = sorted(order[:2])
        before = (self.pair, self.tones, self.powers)
        here = 8 * a + b
        self.tones, self.powers = ((re[a], im[a]), (re[b], im[b])), (power[a], power[b])
        total, weaker = power[a] + power[b], min(power[a], power[b])
        good = (weaker >= self.table["lowest"] and total >= self.table["fraction" if b - a > 1 else "adjacent"] * energy and power[order[2]] <= np.float32(THIRD) * weaker
                and max(power[a], power[b]) <= weaker * self.table["twist"])
        self.pair = here if good else -1
        hit = int(self.table["signal"][here]) if good and before[0] == here and self._matches((a, b), *before[1:]) else 0
        return self._advance(hit, int(self.table["signal"][here]), total)

    def _matches(self, pair, tones, powers):
        for i, k in enumerate(pair):
            p, q = self.powers[i], powers[i]
            if p > q * np.float32(STEADY) or q > p * np.float32(STEADY):
                return False
            (are, aim), (bre, bim) = self.tones[i], tones[i]
            re, im = are * bre + aim * bim, aim * bre - are * bim
            turn = self.table["turn"][k]
            cosine = (re * turn[0] - im * turn[1]) / np.sqrt((are * are + aim * aim) * (bre * bre + bim * bim))
            if cosine < self.table["limit"][k]:
                return False
        return True

    def _advance(self, hit, strongest, total):
        events = []
        self.run = self.run + 1 if hit and hit == self.pending else 1
        self.pending = hit
        if self.signal:
            held = strongest == self.signal and total >= np.float32(KEEP) * self.level
            self.misses = 0 if held else self.misses + 1
            other = hit and hit != self.signal
            if self.misses == END_WINDOWS or other:
                events.append((self.signal, 0, self._begin(BEGIN_WINDOWS) if other else self._end()))
                self.lock, self.signal = self.signal == ST, 0
        if not self.signal and hit:
            needed = BEGIN_WINDOWS
            if self.table["locked"] and self.lock:
                needed = KP_WINDOWS if hit in (KP, KP2) else 0x7FFFFFFF
            if self.run + 1 >= needed:
                self.signal, self.misses, self.level, self.full, self.lock = hit, 0, total, max(self.energies[4:]), False
                events.append((hit, 1, self._begin(needed)))
        return events

    def _begin(self, windows):
        """The blocks of the newer halves of the windows are full; walk back over at most two more."""
        now = max(self.energies[4:])
        for j in (5 - windows, 4 - windows):
            if self.energies[j] < np.float32(FULL) * now:
                return BLOCK * (j - 4) - int(np.float32(BLOCK) * self.energies[j] / now)
        return BLOCK * (j - 5)

    def _end(self):
        """In the last block that holds a tenth of the energy, as far as its share goes."""
        for j in (4, 3, 2):
            if self.energies[j] >= np.float32(REST) * self.full:
                return BLOCK * (j - 5) + int(np.float32(BLOCK) * min(self.energies[j] / self.full, np.float32(1)))
        return -3 * BLOCK
