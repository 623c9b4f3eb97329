"""Call-progress detector: the tones of a country by frequency and cadence.

Blocks of 10 ms are correlated with the plan's frequencies (up to eight; those
nearer than 60 Hz to each other count as one, a block cannot part them).  A set
of frequencies that a tone uses is a *signal*; it is there when it holds SHARE
of the energy of a block and the one before (two tones 40 Hz apart beat: a
single block may lie in a null).  Runs of signal and silence are then compared with the
cadences: a tone is on when a whole period has been heard, beginning anywhere;
a continuous tone after CONTINUOUS_MS or 1.2 times the longest pulse of that
signal.  A tone is off when a run is too long or fits no step.  Two blocks of
disturbance are bridged.  A tone with "segments" (special information tone, E.180 6) is a
sequence: on when its last segment is over, whatever follows, each segment right within
SEQUENCE_MS, gaps of up to SHORT_GAP blocks between them left out.  Where two tones share
frequencies and cadence the first of the plan is reported, "sit" before another name.
Frequency tolerance about 35 Hz, lowest level LOWEST_DBM0: the plan of China
asks 450 +/- 25 Hz.  Source of the approach: ITU-T E.180; thresholds invented.
"""

import numpy as np

from dsp import isa
from dsp.dtmf import BLOCK, POWER_SCALE, RATE_HZ, ZERO_DBM0_PEAK

MOST_BINS, MOST_SIGNALS, MOST_TONES, MOST_STEPS = 8, 8, 32, 16
NEAR_HZ = 60
SHARE, EACH = 0.6, 0.15                      # of the energy: in a signal's frequencies, in each of them
DROP = 1 / 16                                # a block 12 dB below the one before is the end of a tone
LOWEST_DBM0 = -40
TOLERANCE, TOLERANCE_BLOCKS = 0.08, 1
CONTINUOUS_MS = 1500
SETTLE = 3                                   # blocks until a change counts
SEQUENCE_MS, SHORT_GAP = 100, 6              # E.180: 330 +/- 70 ms, gaps of up to 30 ms, and the grain of the blocks; blocks

EVENT_DTYPE = np.dtype([("slot", "<i4"), ("tone", "<i2"), ("on", "u1"), ("zero", "u1")])
TONE_DTYPE = np.dtype([("signal", "<i4"), ("n_steps", "<i4"), ("least", "<i4", MOST_STEPS), ("most", "<i4", MOST_STEPS), ("step", "<i2", MOST_STEPS),
                       ("once", "<i4"), ("zero", "<i4")])
TABLE_DTYPE = np.dtype([("n_tones", "<i4"), ("n_signals", "<i4"), ("mask", "u1", MOST_SIGNALS), ("zero", "u1", 48),
                        ("pairs", "<i2", (BLOCK // 2, 16, 2)), ("tones", TONE_DTYPE, MOST_TONES)])
SLOT_OCTETS = 128
LOWEST_ENERGY = np.float32(BLOCK / 2 * (ZERO_DBM0_PEAK * 10 ** (LOWEST_DBM0 / 20)) ** 2 / 64)
CONSTANTS = np.array([POWER_SCALE, LOWEST_ENERGY, SHARE, EACH, DROP], np.float32)


def _steps(tone):
    """[(frequencies, ms)]: of a cadence, of a sequence without its short and its last silence, one of 0 ms where it is continuous."""
    if tone.get("segments"):
        steps = [(one["frequencies_hz"], one["duration_ms"]) if isinstance(one, dict) else (one[1], one[0]) for one in tone["segments"]]
        steps = [step for step in steps if step[0] or step[1] > 10 * SHORT_GAP]
        return steps if steps[-1][0] else steps[:-1]
    return [([] if i % 2 else tone["frequencies_hz"], ms) for i, ms in enumerate(tone.get("cadence_ms") or [0])]


def _heard(plan):
    """The tones that can be detected: those with frequencies; of equal sequences only one."""
    first, rest = {}, {}
    for name in sorted(plan, key=lambda name: name != "sit"):       # stable
        tone = plan[name]
        if tone.get("segments"):
            key = repr(_steps(tone))
            if key not in first:
                first[key] = name
                rest[name] = tone
        elif tone.get("frequencies_hz"):
            rest[name] = tone
    return {name: rest[name] for name in plan if name in rest}


def _bins(plan):
    """{frequency: bin number} and the bins' frequencies, near ones joined."""
    hertz = sorted({f for tone in plan.values() for frequencies, _ in _steps(tone) for f in frequencies})
    groups = []
    for f in hertz:
        if groups and f - groups[-1][0] < NEAR_HZ:
            groups[-1].append(f)
        else:
            groups.append([f])
    if len(groups) > MOST_BINS:
        raise ValueError(f"progress: the plan has {len(groups)} frequencies; {MOST_BINS} can be told apart")
    return {f: i for i, group in enumerate(groups) for f in group}, [sum(group) / len(group) for group in groups]


def compile_plan(plan):
    """plan: as of tone.compile_plan. Returns (table: aligned uint8 array, {name: tone number}).

    Raises ValueError where the plan has too much of something."""
    plan = _heard(plan)
    if len(plan) > MOST_TONES:
        raise ValueError(f"progress: {len(plan)} tones; at most {MOST_TONES}")
    number, centres = _bins(plan)
    mask = lambda frequencies: sum({1 << number[f] for f in frequencies})
    steps = {name: [(mask(frequencies), ms) for frequencies, ms in _steps(tone)] for name, tone in plan.items()}
    signals = list(dict.fromkeys(m for one in steps.values() for m, _ in one if m))
    if len(signals) > MOST_SIGNALS:
        raise ValueError(f"progress: {len(signals)} sets of frequencies; at most {MOST_SIGNALS}")
    raw = isa.aligned(TABLE_DTYPE.itemsize)
    table = raw.view(TABLE_DTYPE)[0]
    table["n_tones"], table["n_signals"] = len(plan), len(signals)
    table["mask"][:len(signals)] = signals
    angle = 2 * np.pi * np.outer(np.arange(BLOCK), np.array([*centres, *[0] * (MOST_BINS - len(centres))])) / RATE_HZ
    waves = np.rint(1024 * np.hstack([np.cos(angle), np.sin(angle)])).astype(np.int16)
    table["pairs"] = waves.reshape(BLOCK // 2, 2, 16).transpose(0, 2, 1)
    longest = {}
    for one in steps.values():
        for m, ms in one:
            longest[m] = max(longest.get(m, 0), ms)
    for i, (name, tone) in enumerate(plan.items()):
        _compile(table["tones"][i], name, bool(tone.get("segments")), [(signals.index(m) if m else -1, ms) for m, ms in steps[name]],
                 longest[steps[name][0][0]])
    return raw, {name: i for i, name in enumerate(plan)}


def _compile(entry, name, once, steps, longest_ms):
    """steps: [(signal or -1, ms)]."""
    if len(steps) > MOST_STEPS or (len(steps) % 2 and steps[0][1] and not once):
        raise ValueError(f"progress: tone {name!r} has {len(steps)} cadence steps; give pairs of on and off, at most {MOST_STEPS}")
    entry["signal"], entry["once"] = steps[0][0], once
    if not steps[0][1]:
        entry["least"][0] = round(max(CONTINUOUS_MS, 1.2 * longest_ms) / 10)
        return
    entry["n_steps"] = len(steps)
    for k, (signal, ms) in enumerate(steps):
        blocks = ms / 10
        entry["step"][k] = signal
        entry["least"][k] = int(blocks - SEQUENCE_MS / 10) if once else int(blocks * (1 - TOLERANCE) - TOLERANCE_BLOCKS)
        entry["most"][k] = int(blocks + SEQUENCE_MS / 10) if once else int(blocks * (1 + TOLERANCE) + TOLERANCE_BLOCKS) + 1


def new_state(n_slots, at=None):
    """Detectors for slots 0 to n_slots - 1: uint8, aligned."""
    kernel = isa.load("_progress", at)
    assert kernel.SLOT_OCTETS == SLOT_OCTETS and kernel.TABLE_OCTETS == TABLE_DTYPE.itemsize
    state = isa.aligned(n_slots * SLOT_OCTETS)
    for slot in range(n_slots):
        kernel.call_reset(state, slot)
    return state


def detect(table, state, x, slots=None, at=None):
    """x: int16 (n, 80), row i of slot slots[i] (default i). Returns events, EVENT_DTYPE."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    events = np.empty(2 * len(slots), EVENT_DTYPE)
    count = isa.load("_progress", at).call_detect(table, state, slots, np.arange(len(x), dtype=np.int32), x, events.view(np.uint8))
    return events[:count]


class Reference:
    """One detector, plainly; feed() takes a block and returns [(tone, on)]."""

    def __init__(self, table):
        self.table = table.view(TABLE_DTYPE)[0]
        self.signal = self.pending = self.tone = -1
        self.run = self.waiting = 0
        self.runs = []                       # (signal, blocks), oldest first
        self.energy, self.powers = np.float32(0), [np.float32(0)] * 8

    def feed(self, x):
        signal, events = self._classify(x.astype(np.int64)), []
        self.run += 1
        if signal == self.signal:
            self.waiting = 0
        else:
            self.waiting = self.waiting + 1 if signal == self.pending else 1
            self.pending = signal
        if self.waiting == SETTLE:
            self.runs = (self.runs + [(self.signal, self.run - SETTLE)])[-MOST_STEPS:]
            self.signal, self.run, self.waiting = signal, SETTLE, 0
            self._change(next((t for t in range(self.table["n_tones"]) if self._fits(t)), -1), events)
        elif self.tone >= 0:
            steps = self.table["tones"][self.tone]
            n = steps["n_steps"]
            if steps["once"]:
                if self.run > 2 * steps["most"][0]:
                    self._change(-1, events)
            elif n and self.run > max(steps["most"][k] for k in range(self.signal < 0, n, 2)):
                self._change(-1, events)
        if self.tone < 0 and self.signal >= 0:
            for t in range(self.table["n_tones"]):
                entry = self.table["tones"][t]
                if entry["n_steps"] == 0 and entry["signal"] == self.signal and self.run >= entry["least"][0]:
                    self._change(t, events)
                    break
        return events

    def _change(self, tone, events):
        if tone != self.tone:
            if self.tone >= 0:
                events.append((self.tone, 0))
            if tone >= 0:
                events.append((tone, 1))
            self.tone = tone

    def _classify(self, x):
        now = np.float32(int(((x >> 3) ** 2).sum()))
        waves = self.table["pairs"].transpose(0, 2, 1).reshape(BLOCK, 16).astype(np.int64)
        sums = (x @ waves).astype(np.float32)
        powers = [(sums[k] * sums[k] + sums[k + 8] * sums[k + 8]) * POWER_SCALE for k in range(8)]
        energy, power = now + self.energy, [a + b for a, b in zip(powers, self.powers)]
        quiet = now < LOWEST_ENERGY or now < self.energy * np.float32(DROP)
        self.energy, self.powers = now, powers
        if quiet:
            return -1
        best, most = -1, np.float32(0)
        for i in range(self.table["n_signals"]):
            mask = int(self.table["mask"][i])
            inside = [power[k] for k in range(8) if mask >> k & 1]
            total = np.float32(0)
            for p in inside:
                total = total + p
            if total >= np.float32(SHARE) * energy and total > most and min(inside) >= np.float32(EACH) * energy:
                best, most = i, total
        return best

    def _fits(self, tone):
        """Do the last runs make up a period, beginning at any step?"""
        entry = self.table["tones"][tone]
        n = int(entry["n_steps"])
        if n == 0 or len(self.runs) < n:
            return False
        if entry["once"]:
            return self._follows(entry, n)
        last = self.runs[-n:]
        for first in range(n):
            if all(signal == entry["step"][(first + k) % n]
                   and entry["least"][(first + k) % n] <= blocks <= entry["most"][(first + k) % n]
                   for k, (signal, blocks) in enumerate(last)):
                return True
        return False

    def _follows(self, entry, n):
        """Do the last runs make up the sequence, short gaps left out?"""
        at = len(self.runs) - 1
        for k in reversed(range(n)):
            if k < n - 1 and at >= 0 and self.runs[at][0] < 0 and self.runs[at][1] <= SHORT_GAP:
                at -= 1
            if at < 0 or self.runs[at][0] != entry["step"][k] or not entry["least"][k] <= self.runs[at][1] <= entry["most"][k]:
                return False
            at -= 1
        return True
