"""Tones of fax machines and modems, and when they switch voice processing off.

Heard, by blocks of 10 ms: CNG (1100 Hz, 0.5 s; T.30 4.1), V.25's calling tone (1300 Hz,
0.5 to 0.7 s), answer tone 2100 Hz (CED, ANS; T.30, V.25), its form with 15 Hz amplitude
modulation (ANSam, V.8), its form with phase reversals each 450 ms (V.25, G.168 7), and the flags
of V.21 channel 2 that begin every T.30 command (mark 1650, space 1850 Hz).
How each is told:
  bursts     the frequency holds SHARE of the energy (the loss by a deviation up to 38 Hz made
             good from the phase advance) for a length the standard allows; reported at its end
  ANS        so for 300 ms (G.164: 300 +/- 100 ms), within some 30 Hz, 2 lost blocks bridged
  ANSam      the block levels correlated with 15 Hz, over about 200 ms: a depth of 10 to 35 % (V.8: 20)
  reversal   the phase against that of two blocks ago, its usual advance taken out, turned by more than
             132 degrees (must 155, must not 110: G.165 4.2), after 300 ms of steady tone
  flags      six marks and two spaces are a period of 26.67 ms: (mark - space) correlated with 37.5 Hz

`control` by slot is the state of the disabler (G.168 7.1): TONE from ANS on: non-linear
processor, noise reduction, level control and VAD off; CANCELLER from the first reversal on:
canceller off too.  Both stay while HELD: until the level is below -36 dBm0 for 250 ms (G.164: 250 +/-
150 ms).  A slot sees one direction: who switches a canceller gives each direction a
slot, takes TONE and CANCELLER from either, and restores when neither is HELD.

Sources as named; the limits between must and must not are ours.  Kernel and Reference
agree bit by bit (integer correlations, then IEEE single in a fixed order).
"""

import numpy as np

from dsp import isa
from dsp.dtmf import BLOCK, POWER_SCALE, RATE_HZ, ZERO_DBM0_PEAK

CNG, CALLING, ANS, ANSAM, REVERSAL, FLAGS = range(6)
NAMES = ("cng", "calling", "ans", "ansam", "reversal", "flags")
TONE, CANCELLER, HELD = 1, 2, 4
BINS_HZ = (1100, 1300, 2100, 1650, 1850)

SHARE, SHARE_2100, SHARE_FLAGS = 0.7, 0.6, 0.6
LOWEST_BURST_DBM0, LOWEST_2100_DBM0, HOLD_DBM0 = -43, -34, -36
LIMIT_2100 = np.cos(2 * np.pi * 30 * BLOCK / RATE_HZ)
BURST_BLOCKS = ((38, 62), (44, 76))          # CNG 425 to 575 ms, calling tone 500 to 700 ms, and the blocks' grain
BURST_GONE = 500                             # blocks after which a tone in bursts is over
ANS_BLOCKS, ANS_GONE, STEADY_BLOCKS, REFRACTORY = 30, 6, 30, 20
TURNED = np.cos(np.radians(132))
AM_BLOCKS, AM_DEPTH, AM_HIGHEST, AM_KEEP = 45, 0.12, 0.35, 0.95
FLAG_BLOCKS, FLAG_SWING, FLAG_KEEP, FLAG_GONE = 15, 0.35, 0.9, 6
HOLD_BLOCKS = 25

EVENT_DTYPE = np.dtype([("slot", "<i4"), ("tone", "u1"), ("on", "u1"), ("zero", "<i2")])
SLOT_OCTETS = 128


def _lowest(dbm0):
    return BLOCK / 2 * (ZERO_DBM0_PEAK * 10 ** (dbm0 / 20)) ** 2 / 64


def _coefficients():
    """int16 (80, 16): cosine of the frequencies in columns 0 to 4, minus sine in 8 to 12."""
    waves = np.zeros((BLOCK, 16), np.int16)
    angle = 2 * np.pi * np.outer(np.arange(BLOCK), BINS_HZ) / RATE_HZ
    waves[:, :5], waves[:, 8:13] = np.rint(1024 * np.cos(angle)), np.rint(-1024 * np.sin(angle))
    return waves


COEFFICIENTS = _coefficients()
_turn = lambda hz: (np.cos(2 * np.pi * hz / 100), -np.sin(2 * np.pi * hz / 100))
CONSTANTS = np.array([POWER_SCALE, SHARE, SHARE_2100, SHARE_FLAGS, _lowest(LOWEST_BURST_DBM0), _lowest(LOWEST_2100_DBM0), _lowest(HOLD_DBM0),
                      LIMIT_2100, TURNED, AM_DEPTH, AM_HIGHEST, AM_KEEP, FLAG_SWING, FLAG_KEEP, *_turn(15), *_turn(37.5), 1 / 3, 1 / 12, 0.25, 0.5], np.float32)


def plan():
    """Tones to send, for tone.compile_plan: "cng", "ced" (3 s), "ans", "ans_pr", "ansam", "ansam_pr" (until stopped), "calling".

    Levels -11 dBm0 (T.30: -12 +/- 3 dBm at the line), a sideband of ANSam 20 dB below its carrier: depth 0.2."""
    am = {"frequencies_hz": [2100, 2085, 2115], "level_dbm0": [-11, -31, -31]}
    plain = {"frequencies_hz": [2100], "level_dbm0": -11}
    return {"cng": {"frequencies_hz": [1100], "level_dbm0": -11, "cadence_ms": [500, 3000]},
            "calling": {"frequencies_hz": [1300], "level_dbm0": -11, "cadence_ms": [600, 1700]},
            "ced": {**plain, "cadence_ms": [3000, 75], "repeat": 1}, "ans": plain, "ans_pr": {**plain, "reverse_ms": 450},
            "ansam": am, "ansam_pr": {**am, "reverse_ms": 450}}


def new_state(n_slots, at=None):
    """Detectors for slots 0 to n_slots - 1: uint8, aligned."""
    kernel = isa.load("_modem", at)
    assert kernel.SLOT_OCTETS == SLOT_OCTETS
    state = isa.aligned(n_slots * SLOT_OCTETS)
    for slot in range(n_slots):
        kernel.call_reset(state, slot)
    return state


def detect(state, x, slots=None, control=None, at=None):
    """x: int16 (n, 80), row i of slot slots[i] (default i). control: uint8 by slot, written where given. Returns events, EVENT_DTYPE."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    events = np.empty(6 * len(slots), EVENT_DTYPE)
    count = isa.load("_modem", at).call_detect(state, slots, np.arange(len(x), dtype=np.int32), x, control, events.view(np.uint8))
    return events[:count]


def tones_of(x, at=None):
    """Tones in a run of samples: [(name, on, ms)] and control by block. For tests and tools."""
    state, control, found, states = new_state(1, at), np.zeros(1, np.uint8), [], []
    for block in range(len(x) // BLOCK):
        row = np.ascontiguousarray(x[None, block * BLOCK:(block + 1) * BLOCK], np.int16)
        found += [(NAMES[e["tone"]], int(e["on"]), 10 * (block + 1)) for e in detect(state, row, control=control, at=at)]
        states.append(int(control[0]))
    return found, np.array(states)


class Reference:
    """One detector, plainly; feed() takes a block and returns [(tone, on)]. control: as above."""

    def __init__(self):
        zero = np.float32(0)
        self.tones = [(zero, zero)] * 3      # of the block before: 1100, 1300, 2100 Hz
        self.older = (zero, zero)            # 2100 Hz, one more block back
        self.run, self.missed, self.gone, self.on = [0, 0, 0], [0, 0, 0], [0, 0], [0] * 6
        self.advance, self.level = (np.float32(1), zero), zero
        self.since = self.control = 0
        self.quiet = HOLD_BLOCKS
        self.mean, self.am = zero, (zero, zero)
        self.swing, self.inside, self.flag_run, self.flag_missed = (zero, zero), zero, 0, 0

    def feed(self, x):
        x = x.astype(np.int64)
        c = dict(zip(("scale", "share", "share_2100", "share_flags", "low_burst", "low_2100", "hold", "limit", "turned", "depth", "highest", "am_keep",
                      "swing", "flag_keep", "am_re", "am_im", "flag_re", "flag_im", "third", "twelfth", "quarter", "half"), CONSTANTS))
        energy = np.float32(int(((x >> 3) ** 2).sum()))
        sums = (x @ COEFFICIENTS.astype(np.int64)).astype(np.float32)
        now = [(sums[k], sums[k + 8]) for k in range(5)]
        power = [(re * re + im * im) * c["scale"] for re, im in now]
        events = []
        good, cosine = [], np.float32(0)
        for k in range(3):
            (are, aim), (bre, bim) = now[k], self.tones[k]
            size = (are * are + aim * aim) * (bre * bre + bim * bim)
            cosine = (are * bre + aim * bim) / np.sqrt(size) if size > 0 else np.float32(0)
            y = np.float32(1) - cosine
            gain = np.float32(1) + (y + y + y * y * c["third"]) * c["twelfth"]
            share, low = (c["share_2100"], c["low_2100"]) if k == 2 else (c["share"], c["low_burst"])
            good.append(bool(power[k] >= low and power[k] * gain >= share * energy))
        good[2] = bool(good[2] and cosine >= c["limit"])
        for k in (CNG, CALLING):
            self._burst(k, good[k], events)
        self._answer(c, now[2], power[2], good[2], events)
        self._flags(c, power, energy, events)
        self.older, self.tones = self.tones[2], now[:3]
        self._hold(c, energy)
        return events

    def _set(self, tone, on, events):
        if self.on[tone] != on:
            self.on[tone] = on
            events.append((tone, on))

    def _burst(self, k, good, events):
        """Runs with one lost block bridged."""
        if good:
            self.run[k], self.missed[k] = self.run[k] + 1 + (self.missed[k] if self.run[k] else 0), 0
        elif self.run[k]:
            self.missed[k] += 1
            if self.missed[k] == 2:
                if BURST_BLOCKS[k][0] <= self.run[k] + 1 <= BURST_BLOCKS[k][1]:
                    self.gone[k] = 0
                    self._set(k, 1, events)
                self.run[k] = self.missed[k] = 0
        if self.on[k]:
            self.gone[k] += 1
            if self.gone[k] > BURST_GONE:
                self._set(k, 0, events)

    def _answer(self, c, now, power, good, events):
        if good:
            self.run[2], self.missed[2] = min(self.run[2] + 1, 1000000), 0
            (are, aim), (bre, bim) = now, self.tones[2]
            re, im = are * bre + aim * bim, aim * bre - are * bim
            size = np.sqrt(re * re + im * im)
            usual = re * self.advance[0] + im * self.advance[1] >= c["half"] * size
            if size > 0 and (usual or self.run[2] < STEADY_BLOCKS):
                self.advance = (self.advance[0] + (re / size - self.advance[0]) * c["quarter"], self.advance[1] + (im / size - self.advance[1]) * c["quarter"])
            self.level = self.level + (power - self.level) * c["quarter"]
            self._modulation(c, np.sqrt(power))
        elif self.run[2]:
            self.missed[2] += 1
            if self.missed[2] == ANS_GONE:
                self.run[2] = self.missed[2] = 0
                self.mean = self.level = np.float32(0)
                self.am = (self.mean, self.mean)
                for tone in (REVERSAL, ANSAM, ANS):
                    self._set(tone, 0, events)
        self.since = min(self.since + 1, 1000000)
        if self.run[2] >= ANS_BLOCKS:
            self._set(ANS, 1, events)
        if self.run[2] >= AM_BLOCKS:
            z = np.sqrt(self.am[0] * self.am[0] + self.am[1] * self.am[1]) * np.float32(2)
            if z >= c["depth"] * self.mean and z <= c["highest"] * self.mean:
                self._set(ANSAM, 1, events)
        if self.run[2] >= STEADY_BLOCKS and self.since > REFRACTORY and power >= c["quarter"] * self.level:
            (are, aim), (bre, bim), (rre, rim) = now, self.older, self.advance
            re, im = are * bre + aim * bim, aim * bre - are * bim
            sre, sim = rre * rre - rim * rim, np.float32(2) * rre * rim
            real, imag = re * sre + im * sim, im * sre - re * sim
            size = np.sqrt(real * real + imag * imag)
            if size > 0 and real <= c["turned"] * size:
                self.since = 0
                self._set(REVERSAL, 1, events)

    def _modulation(self, c, amplitude):
        step = np.float32(1) - c["am_keep"]
        if self.mean == 0:
            self.mean = amplitude
        self.mean = self.mean + (amplitude - self.mean) * step
        re, im = self.am
        d = (amplitude - self.mean) * step
        self.am = (c["am_keep"] * (re * c["am_re"] - im * c["am_im"]) + d, c["am_keep"] * (re * c["am_im"] + im * c["am_re"]))

    def _flags(self, c, power, energy, events):
        step = np.float32(1) - c["flag_keep"]
        d = inside = np.float32(0)
        if energy >= c["low_burst"]:
            d, inside = (power[3] - power[4]) / energy, (power[3] + power[4]) / energy
        self.inside = self.inside + (inside - self.inside) * step
        re, im = self.swing
        self.swing = (c["flag_keep"] * (re * c["flag_re"] - im * c["flag_im"]) + d * step, c["flag_keep"] * (re * c["flag_im"] + im * c["flag_re"]))
        re, im = self.swing
        z = np.sqrt(re * re + im * im) * np.float32(2)
        if z >= c["swing"] and self.inside >= c["share_flags"]:
            self.flag_run, self.flag_missed = min(self.flag_run + 1, 1000000), 0
            if self.flag_run >= FLAG_BLOCKS:
                self._set(FLAGS, 1, events)
        else:
            self.flag_missed += 1
            if self.flag_missed >= FLAG_GONE:
                self.flag_run = self.flag_missed = 0
                self._set(FLAGS, 0, events)

    def _hold(self, c, energy):
        self.quiet = 0 if energy >= c["hold"] else min(self.quiet + 1, HOLD_BLOCKS)
        if self.quiet >= HOLD_BLOCKS:
            self.control = 0
        else:
            self.control |= HELD | (TONE if self.on[ANS] else 0) | (CANCELLER if self.on[REVERSAL] else 0)
