"""Packet-loss concealment for G.711: ITU-T G.711 Appendix I (09/1999), per stream.

What is missing is made from what was last heard: its pitch is found, and one,
later two and three periods of it are repeated, so that it does not buzz, and
faded out from 10 ms on until it is silent at 60 ms.  Joints overlap by a
quarter of a period; because the joint at the begin of a loss reaches back that
far, everything is delayed by 30 samples (3.75 ms).  After the loss the made
signal overlaps the true one for 4 ms longer per lost block, at most 10 ms.
Without a loss the output is the input, 30 samples late, bit by bit.

Deviation from the Appendix: the search for the pitch correlates samples
shifted right by 4, so that 32 bits hold the sums at every input.
Blocks are 80 samples.  Sums are integer, weights double in a fixed order:
`Reference` is equal bit by bit.
"""

import numpy as np

from dsp import isa

BLOCK, DELAY, HISTORY = 80, 30, 390
PITCH_LEAST, PITCH_MOST, WINDOW = 40, 120, 160      # samples: 200 Hz to 66 Hz, 20 ms
LEAST_ENERGY = 250 * 2
MORE_OVERLAP = 32                                    # samples per lost block after the first
FADE = 0.2                                           # of full scale in 10 ms
SILENT_BLOCKS = 6
SLOT_OCTETS = 1920


def new_state(n_slots, at=None):
    """Concealers for slots 0 to n_slots - 1, with silence behind them: uint8, aligned."""
    assert isa.load("_plc", at).SLOT_OCTETS == SLOT_OCTETS
    return isa.aligned(n_slots * SLOT_OCTETS)


def conceal(state, x, lost, slots=None, at=None):
    """x: int16 (n, 80), changed in place; lost: truth value for each row; row i of slot slots[i] (default i)."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    isa.load("_plc", at).call_conceal(state, slots, np.arange(len(x), dtype=np.int32), np.asarray(lost, np.uint8), x)


def _round(x):
    return np.clip(np.floor(x + 0.5), -32768, 32767).astype(np.int16)


def _blend(out_going, in_coming):
    """Cross-fade of two runs of the same length."""
    n = len(out_going)
    weight = (np.arange(n) + 1.0) / (n + 1.0)
    return _round(out_going * (1.0 - weight) + in_coming * weight)


class Reference:
    """One stream, plainly; feed() takes a block or None for a lost one and returns the delayed block."""

    def __init__(self):
        self.history = np.zeros(HISTORY, np.int16)
        self.lost = 0

    def feed(self, x):
        block = self._made() if x is None else self._after(np.asarray(x, np.int16))
        self.history = np.concatenate([self.history[BLOCK:], block])
        return self.history[-BLOCK - DELAY:-DELAY].copy()

    def _after(self, x):
        """The first good block after a loss is faded in."""
        if self.lost:
            n = min(self.overlap + MORE_OVERLAP * (self.lost - 1), BLOCK)
            gain = 0.0 if self.lost >= SILENT_BLOCKS else 1.0 - FADE * (self.lost - 1)
            x = x.copy()
            x[:n] = _blend(_round(self._synthesised(n) * gain), x[:n])
            self.lost = 0
        return x

    def _made(self):
        if self.lost == 0:
            self.pitch = self._find_pitch()
            self.overlap, self.periods, self.offset = self.pitch // 4, 1, 0
            self.source = self.history.copy()
            self.tail = self.source[-self.overlap:].copy()
            self._join()
            self.history[-self.overlap:] = self.source[-self.overlap:]
            block = self._synthesised(BLOCK)
        elif self.lost < SILENT_BLOCKS:
            if self.lost < 3:
                old = self._synthesised(self.overlap, keep=True)
                self.periods += 1
                self._join()
                block = self._synthesised(BLOCK)
                block[:self.overlap] = _blend(old, block[:self.overlap])
            else:
                block = self._synthesised(BLOCK)
            gain = 1.0 - FADE * (self.lost - 1) - np.arange(BLOCK) * (FADE / BLOCK)
            block = _round(block * gain)
        else:
            block = np.zeros(BLOCK, np.int16)
        self.lost += 1
        return block

    def _join(self):
        """Let the end of the source lead into where the repetition begins."""
        n, back = self.overlap, self.overlap + self.periods * self.pitch
        self.source[-n:] = _blend(self.tail, self.source[HISTORY - back:HISTORY - back + n])

    def _synthesised(self, n, keep=False):
        length = self.periods * self.pitch
        x = self.source[HISTORY - length + (self.offset + np.arange(n)) % length]
        if not keep:
            self.offset = (self.offset + n) % length
        return x

    def _find_pitch(self):
        coarse = max(range(PITCH_LEAST, PITCH_MOST + 1, 2), key=lambda lag: (self._likeness(lag, 2), -lag))
        fine = range(max(coarse - 1, PITCH_LEAST), min(coarse + 1, PITCH_MOST) + 1)
        return max(fine, key=lambda lag: (self._likeness(lag, 1), -lag))

    def _likeness(self, lag, step):
        x = self.history.astype(np.int64) >> 4
        recent, earlier = x[HISTORY - WINDOW::step], x[HISTORY - WINDOW - lag:HISTORY - lag:step]
        energy = max(int((earlier * earlier).sum()), LEAST_ENERGY)
        return float((recent * earlier).sum()) / np.sqrt(float(energy))
