"""Who answered: a person or a machine?  Speech and silence after the answer, and the beep.

A person says one or two short words and waits; a machine talks on, and beeps.  Fed
each 10 ms with the decision of dsp/vad.py, a slot decides once:
  - nothing said for INITIAL_SILENCE: SILENCE (nobody, or a machine that waits)
  - speech (pauses up to WORD_PAUSE bridged) that lasts GREETING in all, or more than
    WORDS words: MACHINE
  - a pause of AFTER_SILENCE after a short greeting: PERSON
  - nothing of it within TOTAL: UNSURE
A sound that is never louder than FAINT_DBM0 is no speech: a line that was silent and begins to
hiss is taken for speech by the detector for a while.  The times are parameters by slot (`PARAMETERS`, ms).  A beep is told at any time, also
after the decision, since a message is left after it: a single tone of 350 to 2,200 Hz that
keeps its frequency within 15 Hz for BEEP_BLOCKS.  How a pure tone is known without
knowing its frequency: x[n] + x[n-2] = 2 cos(w) x[n-1] holds exactly for it; the error of the
best cos(w) over a block, against the energy, is below PURE.

The approach is the usual one of outbound dialers; the numbers are invented and
measured on synthetic calls only (tests/dsp/answers.py): of 36 persons 34 are told as
such and 2 as machines, of 32 machines all, of 29 beeps all and no other.  Real calls
are harder: measure there before a campaign hangs up on it.
Kernel and Reference agree bit by bit (integer sums, then IEEE double).
"""

import numpy as np

from dsp import isa
from dsp.dtmf import BLOCK, RATE_HZ, ZERO_DBM0_PEAK

UNSURE, PERSON, MACHINE, SILENCE, BEEP, BEEP_END = range(1, 7)
NAMES = {UNSURE: "unsure", PERSON: "person", MACHINE: "machine", SILENCE: "silence", BEEP: "beep", BEEP_END: "beep_end"}
PARAMETERS = {"initial_silence_ms": 2500, "greeting_ms": 1700, "after_silence_ms": 900, "word_pause_ms": 150, "least_word_ms": 90, "words": 5, "total_ms": 6000}
BEEP_HZ, BEEP_BLOCKS, BEEP_MISSES, DRIFT_HZ = (350, 2200), 14, 3, 15
PURE = 0.03
LOWEST_DBM0, FAINT_DBM0 = -38, -44

EVENT_DTYPE = np.dtype([("slot", "<i4"), ("kind", "u1"), ("words", "u1"), ("hz_or_ms", "<u2")])
SLOT_OCTETS = 64
# In integers of (x >> 3); the cosines grow as the frequency falls.
LOWEST = BLOCK / 2 * (ZERO_DBM0_PEAK * 10 ** (LOWEST_DBM0 / 20)) ** 2 / 64
CONSTANTS = np.array([PURE, LOWEST, np.cos(2 * np.pi * BEEP_HZ[0] / RATE_HZ), np.cos(2 * np.pi * BEEP_HZ[1] / RATE_HZ), RATE_HZ / (2 * np.pi), DRIFT_HZ, LOWEST * 10 ** ((FAINT_DBM0 - LOWEST_DBM0) / 10)])


def new_state(n_slots, at=None):
    """Slots 0 to n_slots - 1, idle: uint8, aligned. `start` each when its call is answered."""
    assert isa.load("_amd", at).SLOT_OCTETS == SLOT_OCTETS
    return isa.aligned(n_slots * SLOT_OCTETS)


def start(state, slot, at=None, **parameters):
    """Forget, and decide anew with these parameters (PARAMETERS where not given). Raises ValueError."""
    unknown = set(parameters) - set(PARAMETERS)
    values = {**PARAMETERS, **parameters}
    if unknown or not all(1 <= value <= 60_000 for value in values.values()):
        raise ValueError(f"amd: {sorted(unknown) or values}; give {', '.join(PARAMETERS)} as 1 to 60000 (ms)")
    blocks = [value if name == "words" else -(-value // 10) for name, value in values.items()]
    isa.load("_amd", at).call_start(state, slot, np.array(blocks, np.int32))


def detect(state, x, speech, slots=None, at=None):
    """x: int16 (n, 80), row i of slot slots[i] (default i). speech: uint8 by slot, as dsp.vad writes it. Returns events, EVENT_DTYPE:
    hz_or_ms is the beep's frequency, its length at BEEP_END, else ms since the start."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    events = np.empty(2 * len(slots), EVENT_DTYPE)
    count = isa.load("_amd", at).call_detect(state, slots, np.arange(len(x), dtype=np.int32), x, speech, events.view(np.uint8))
    return events[:count]


class Reference:
    """One slot, plainly; feed(block, speech) returns [(kind, words, hz_or_ms)]."""

    def __init__(self, **parameters):
        values = {**PARAMETERS, **parameters}
        self.p = {name: value if name == "words" else -(-value // 10) for name, value in values.items()}
        self.decided, self.blocks, self.speech, self.word, self.pause, self.words = False, 0, 0, 0, 0, 0
        self.beep, self.hz, self.run, self.misses, self.loud = False, 0.0, 0, 0, False

    def feed(self, x, speech):
        events = []
        if not self.decided:
            self.loud = bool(speech) and (self.loud or float(((x[1:-1].astype(np.int64) >> 3) ** 2).sum()) >= CONSTANTS[6])
            self._decide(self.loud, events)
        self._beep(self._tone(x), events)
        return events

    def _tell(self, kind, events):
        self.decided = True
        events.append((kind, min(self.words, 255), min(10 * self.blocks, 65535)))

    def _decide(self, on, events):
        p = self.p
        self.blocks += 1
        if on:
            self.word += 1
            if self.word == p["least_word_ms"]:
                self.words += 1
                self.speech += self.word + (self.pause if self.words > 1 and self.pause <= p["word_pause_ms"] else 0)
            elif self.word > p["least_word_ms"]:
                self.speech += 1
            if self.word >= p["least_word_ms"]:
                self.pause = 0
        else:
            if self.word < p["least_word_ms"]:
                self.pause += self.word      # a click is a part of the pause
                self.word = 0
            self.pause += 1
            if self.pause > p["word_pause_ms"]:
                self.word = 0
        if self.words == 0:
            if self.blocks >= p["initial_silence_ms"] and self.word == 0:
                self._tell(SILENCE, events)
        elif self.speech >= p["greeting_ms"] or self.words > p["words"]:
            self._tell(MACHINE, events)
        elif self.pause >= p["after_silence_ms"]:
            self._tell(PERSON, events)
        if not self.decided and self.blocks >= p["total_ms"]:
            self._tell(UNSURE, events)

    @staticmethod
    def _tone(x):
        """Frequency of a pure tone, or 0."""
        y = (x.astype(np.int64) >> 3)
        a, b = y[2:] + y[:-2], y[1:-1]
        cross, middle, outer = float((a * b).sum()), float((b * b).sum()), float((a * a).sum())
        pure, lowest, most, least, to_hz = CONSTANTS[:5]
        if middle < lowest:
            return 0.0
        c = cross / (2 * middle)
        if c > most or c < least or outer - 2 * c * cross > pure * middle:
            return 0.0
        return float(to_hz * np.arccos(c))

    def _beep(self, hz, events):
        if hz and (self.run == 0 or abs(hz - self.hz) <= DRIFT_HZ):
            self.hz = self.hz + (hz - self.hz) * 0.25 if self.run else hz
            self.run += 1 + self.misses
            self.misses = 0
        elif self.run:
            self.misses += 1
            if not self.beep or self.misses >= BEEP_MISSES:
                if self.beep:
                    events.append((BEEP_END, 0, min(10 * self.run, 65535)))
                self.beep, self.run, self.misses = False, int(bool(hz)), 0
                self.hz = hz
        if self.run >= BEEP_BLOCKS and not self.beep:
            self.beep = True
            events.append((BEEP, 0, int(self.hz + 0.5)))
