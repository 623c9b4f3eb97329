"""Voice activity: is there speech in a block of 10 ms?

Why it is hard: a noise may be loud and speech faint, a car's noise lies where
voices have their energy, and weak sounds begin and end words.  So
  1. a tree of half-band filters (two first-order all-passes each) parts the
     block into seven bands, BANDS_HZ, and their energies are taken;
  2. each band has a noise power; where speech is likely it is held and only
     creeps upwards (NOISE_RISE), so a noise that becomes louder is learnt;
  3. the score is the weighted log likelihood ratio of the bands (Sohn, Kim, Sung
     1999, "A statistical model-based voice activity detection") with the
     decision-directed a-priori ratio of Ephraim and Malah, smoothed;
  4. score above THRESHOLD is speech; after BURST_BLOCKS of it the decision holds
     for HANGOVER_BLOCKS more, which keeps the ends of words.
Result by slot: SPEECH (2) now, HANGOVER (1), or NONE (0): true for the caller
either way, while level control adapts at SPEECH only.  Weights, threshold and
times were searched on synthetic mixtures; hit and false-alarm rates beside
others are in tests/dsp/test_vad.py.

The filter's two coefficients are those of a fifth-order elliptic half-band
(stop band 40 dB beyond 0.6 of the band).  Kernel and Reference differ by single
against double precision: the score by 1e-3 at most, so a decision may differ
only where the score is that near to the threshold.
"""

import numpy as np

from dsp import isa

BLOCK, BANDS = 80, 7
BANDS_HZ = ((60, 250), (250, 500), (500, 1000), (1000, 1500), (1500, 2000), (2000, 3000), (3000, 4000))
NONE, HANGOVER, SPEECH = 0, 1, 2
ALL_PASS = (0.1413486, 0.5898)
HIGH_PASS = (0.75, 0.5)             # gain and pole of the first-order high-pass in the lowest band
WEIGHTS = np.array([0.2, 1, 1.2, 1, 0.8, 0.8, 0.5]) / 5.5
ENERGY_KEEP, RATIO_KEEP, SCORE_KEEP, NOISE_KEEP = 0.3, 0.9, 0.5, 0.95
LEARN_KEEP, LEARN_BLOCKS = 0.5, 10
NOISE_RISE, NOISE_LOWEST = 0.06, 200.0      # lowest: mean square 2.5 in a band, -68 dBm0
SURE = 0.2                          # score at which a block is half speech for the noise power
RATIO_HIGHEST, LIKELIHOOD_HIGHEST = 1000.0, 20.0
THRESHOLD, BURST_BLOCKS, HANGOVER_BLOCKS = 0.2, 3, 8


def new_state(n_slots, at=None):
    """State for slots 0 to n_slots - 1: uint8, aligned, in whole groups of LANES slots."""
    kernel = isa.load("_vad", at)
    state = isa.aligned(-(-n_slots // kernel.LANES) * kernel.GROUP_OCTETS)
    for slot in range(-(-n_slots // kernel.LANES) * kernel.LANES):
        kernel.call_reset(state, slot)
    return state


def slot_octets(at=None):
    kernel = isa.load("_vad", at)
    return kernel.GROUP_OCTETS // kernel.LANES


def detect(state, x, speech, slots=None, score=None, at=None):
    """x: int16 (n, 80), row i of slot slots[i] (default i). speech: uint8 by slot, written; score: float32 by slot or None."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    if len(x):
        isa.load("_vad", at).call_detect(state, slots, np.arange(len(x), dtype=np.int32), x, speech, score)


def reset(state, slot, at=None):
    """Forget everything about a slot; its first LEARN_BLOCKS are taken for noise."""
    isa.load("_vad", at).call_reset(state, slot)


class _Split:
    """Half-band filter with two outputs, n channels."""

    def __init__(self, n):
        self.x = np.zeros((3, n))   # last even sample, last and last but one odd sample
        self.y = np.zeros((2, n))

    def feed(self, x):
        """x: (n_samples, n). Returns the lower and the upper half, half as many samples; the upper is mirrored."""
        low, high = np.empty((2, len(x) // 2, x.shape[1]))
        for i in range(len(x) // 2):
            even, odd = x[2 * i], x[2 * i + 1]
            a = ALL_PASS[0] * (even - self.y[0]) + self.x[0]
            b = ALL_PASS[1] * (self.x[1] - self.y[1]) + self.x[2]
            self.x, self.y = np.stack([even, odd, self.x[1]]), np.stack([a, b])
            low[i], high[i] = (a + b) / 2, (a - b) / 2
        return low, high


class Reference:
    """n channels, plainly; feed() takes int16 (n, 80) and returns uint8 (n): NONE, HANGOVER or SPEECH. score: (n)."""

    def __init__(self, n):
        self.splits = [_Split(n) for _ in range(6)]
        self.high_pass = np.zeros((2, n))
        self.energy, self.ratio = np.zeros((BANDS, n)), np.zeros((BANDS, n))
        self.noise = np.full((BANDS, n), NOISE_LOWEST)
        self.score, self.run, self.hold = np.zeros(n), np.zeros(n), np.zeros(n)
        self.blocks = 0

    def bands(self, x):
        """Energies (7, n) of a block."""
        low, high = self.splits[0].feed(x.T.astype(float))
        to_1000, to_2000 = self.splits[1].feed(low)
        to_4000, to_3000 = self.splits[2].feed(high)
        to_500, from_500 = self.splits[3].feed(to_1000)
        from_1500, from_1000 = self.splits[4].feed(to_2000)
        lowest, from_250 = self.splits[5].feed(to_500)
        for i, now in enumerate(lowest.copy()):
            self.high_pass[:] = now, HIGH_PASS[0] * (now - self.high_pass[0]) + HIGH_PASS[1] * self.high_pass[1]
            lowest[i] = self.high_pass[1]
        parts = (lowest, from_250, from_500, from_1000, from_1500, to_3000, to_4000)
        return np.stack([(part**2).sum(0) * (BLOCK / len(part)) for part in parts])

    def feed(self, x):
        now = self.bands(x)
        self.energy = ENERGY_KEEP * self.energy + (1 - ENERGY_KEEP) * now
        gamma = np.minimum(self.energy / self.noise, RATIO_HIGHEST)
        xi = RATIO_KEEP * self.ratio + (1 - RATIO_KEEP) * np.maximum(gamma - 1, 0)
        self.ratio = xi / (1 + xi) * gamma
        likelihood = np.minimum(self.ratio - np.log(1 + xi), LIKELIHOOD_HIGHEST)
        self.score = SCORE_KEEP * self.score + (1 - SCORE_KEEP) * (WEIGHTS @ likelihood)
        square = np.maximum(self.score, 0) ** 2
        p = square / (square + SURE**2)
        fresh = LEARN_KEEP if self.blocks < LEARN_BLOCKS else 1 - NOISE_KEEP
        if self.blocks < LEARN_BLOCKS:
            p = np.zeros_like(p)
        expected = now + p * (self.noise * (1 + NOISE_RISE) - now)
        self.noise = np.maximum(self.noise + fresh * (expected - self.noise), NOISE_LOWEST)
        self.blocks += 1
        on = (self.score > THRESHOLD) & (self.blocks > LEARN_BLOCKS)
        self.run = np.where(on, self.run + 1, 0)
        self.hold = np.where(on & (self.run >= BURST_BLOCKS), HANGOVER_BLOCKS, np.maximum(self.hold - ~on, 0))
        return np.where(on, SPEECH, np.where(self.hold > 0, HANGOVER, NONE)).astype(np.uint8)
