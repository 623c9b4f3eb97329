"""Level control: AGC for talkers, ALC for trunks, one kernel with two presets.

Why it is hard: speech is quiet half of the time and a control that follows its
energy lifts the noise in each pause.  So the level is the mean power of those
blocks that voice activity detection calls speech (dsp/vad.py), and
  - the *wanted* gain brings that level to the target, within its limits and
    rates, and stands still in pauses and hangovers;
  - in pauses the *applied* gain goes down by 20 dB/s, but not below 0 dB and only
    as far as the amplified noise stays under QUIET_DBM0; when speech comes it is
    back at 2 dB a block.  Noise is never amplified beyond that, nor is silence;
  - the limiter keeps every sample below LIMIT: gain is a line between nodes
    16 samples apart, no node above what the loudest sample on either side
    allows.  Only a block whose first 2 ms are too loud already begins with a
    step of gain; nothing is ever clipped, and nothing is delayed.
DELAY_SAMPLES is 0.  speech is what vad.detect wrote, by slot (NULL: all is
speech).  Kernel and Reference differ by single against double precision: at
most 1 part in 10,000 and 1 unit after rounding.
"""

import numpy as np

from dsp import isa

BLOCK, RUN = 80, 16
DELAY_SAMPLES = 0
FULL_0_DBM0 = 16140.0 ** 2          # mean square of 0 dBm0
LIMIT = 29204.0                     # 1 dB below full scale
MEAN_BLOCKS = 150.0                 # the level is a mean over 1.5 s of speech
START_BLOCKS, START_RISE_DB = 100.0, 0.5    # in the first second of speech the gain may rise by 50 dB/s
NOISE_SHARE = 0.05
RECOVER_DB, PAUSE_FALL_DB = 2.0, 0.2        # a block
QUIET_DBM0 = -60.0
PRESETS = {     # target, greatest and least gain in dB; rise and fall in dB/s
    "agc": {"target_dbm0": -19.0, "highest_db": 30.0, "lowest_db": -24.0, "rise_db_s": 10.0, "fall_db_s": 40.0},
    "alc": {"target_dbm0": -19.0, "highest_db": 12.0, "lowest_db": -12.0, "rise_db_s": 3.0, "fall_db_s": 6.0},
}
FIELDS = ("gain", "wanted", "level", "noise", "heard", "target", "highest", "lowest", "rise", "fall")
SLOT_OCTETS = 64
STATE_DTYPE = np.dtype({"names": FIELDS, "formats": ["<f4"] * len(FIELDS), "itemsize": SLOT_OCTETS})


def ratio(decibels):
    """Factor of amplitude."""
    return 10 ** (decibels / 20)


def parameters(target_dbm0, highest_db, lowest_db, rise_db_s, fall_db_s):
    """The five numbers of a slot, in the order that configure() takes them: power, then factors (a block)."""
    return (FULL_0_DBM0 * ratio(target_dbm0) ** 2, ratio(highest_db), ratio(lowest_db), ratio(rise_db_s / 100), ratio(-fall_db_s / 100))


def new_state(n_slots, preset="agc", at=None):
    """State for slots 0 to n_slots - 1: uint8, aligned, all set to a preset."""
    state = isa.aligned(n_slots * SLOT_OCTETS)
    for slot in range(n_slots):
        configure(state, slot, at=at, **PRESETS[preset])
    return state


def configure(state, slot, at=None, **wanted):
    """Set a slot's parameters (keys of a preset; all of them) and forget its past: gain 0 dB."""
    isa.load("_level", at).call_configure(state, slot, *parameters(**wanted))


def control(state, x, speech=None, slots=None, at=None):
    """x: int16 (n, 80), row i of slot slots[i] (default i), changed in place; speech: uint8 by slot from vad.detect."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    if len(x):
        isa.load("_level", at).call_control(state, slots, np.arange(len(x), dtype=np.int32), x, speech)


def view(state):
    """The state as STATE_DTYPE records: gain, level, ... of each slot (for statistics)."""
    return state.view(STATE_DTYPE)


class Reference:
    """One channel, plainly; feed() takes int16 (80) and 0, 1 or 2 of the detector, and returns int16 (80)."""

    def __init__(self, preset="agc"):
        self.target, self.highest, self.lowest, self.rise, self.fall = parameters(**PRESETS[preset])
        self.gain = self.wanted = 1.0
        self.level = self.noise = self.heard = 0.0

    def feed(self, x, speech=2):
        x = x.astype(float)
        power = np.mean(x**2)
        if speech == 2 and power >= 1:
            rise = ratio(START_RISE_DB) if self.heard < START_BLOCKS else self.rise
            self.heard = min(self.heard + 1, MEAN_BLOCKS)
            self.level += (power - self.level) / self.heard
            ideal = np.clip(np.sqrt(self.target / self.level), self.lowest, self.highest)
            self.wanted = np.clip(ideal, self.wanted * self.fall, self.wanted * rise)
        goal = self.wanted
        if speech == 0:
            self.noise += NOISE_SHARE * (power - self.noise)
            quiet = np.sqrt(FULL_0_DBM0 * ratio(QUIET_DBM0) ** 2 / max(self.noise, 1e-3))
            goal = max(min(goal, max(1, quiet)), min(goal, self.gain * ratio(-PAUSE_FALL_DB)))
        end = min(goal, self.gain * ratio(RECOVER_DB))
        line = self.gain + (end - self.gain) * np.arange(6) / 5
        peaks = np.abs(x).reshape(5, RUN).max(1)
        allowed = LIMIT / np.maximum(peaks, 1)
        nodes = np.minimum(line, np.minimum(np.append(allowed, allowed[-1]), np.append(allowed[0], allowed)))
        self.gain = nodes[-1]
        gains = np.interp(np.arange(BLOCK) / RUN, np.arange(6), nodes)
        return np.rint(x * gains).astype(np.int16)
