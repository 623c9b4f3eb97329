"""Noise reduction of many channels: spectral weighting, 10 ms at a time.

Why it is hard: a weight that is right for the noise makes speech hollow, and a
weight that follows each bin's chance makes the rest of the noise tinkle.  So
  1. 256 samples, 80 new each time, are windowed and transformed (31 Hz a bin);
  2. for each bin the probability of speech p comes from |Y|^2 over the noise
     power, with a fixed a-priori ratio (Gerkmann, Hendriks 2012, "Unbiased
     MMSE-based noise power estimation"): no minimum search, no memory of minima;
     the noise power takes p of itself and 1 - p of |Y|^2;
  3. the share s of bins with speech tells whether this frame is speech at all: it rises at once, falls in 100 ms,
     and goes through a curve that leaves chance bins of a pause (a few) without effect and ends of words with nearly all;
  4. the a-priori ratio is decision directed (Ephraim, Malah 1984), but where the
     bin and the frame are speech it forgets sooner, so onsets are kept;
  5. Wiener weight, with a floor that goes from FLOOR_PAUSE_DB to FLOOR_SPEECH_DB
     with s: pauses become quiet, speech keeps what makes it understood.
The analysis window is longer than the synthesis window (its last 160 samples),
whose product is a Hann window of 160: resolution of 32 ms at a delay of
DELAY_SAMPLES = 80 samples (10 ms).  Constants were chosen by segmental SNR and
STOI on mixtures, see tests/dsp/test_noise.py.

reduce() works in place on int16 x (n, 80).  A slot that is not named keeps its
state; slots that are neighbours and come in ascending order are cheap, since
LANES of them are one group.  When a leg is switched off and on again: reset().
Powers are kept with 8 bits of mantissa, in Reference, too; it differs from the
kernel by double precision and no rough reciprocals: 2 units of 16 bits at most on
nearly all samples of the test's mixtures, which states the rest.
"""

import numpy as np

from dsp import isa

BLOCK, FRAME, BINS = 80, 256, 129
DELAY_SAMPLES = 80
FLOOR_PAUSE_DB, FLOOR_SPEECH_DB = -26.0, -6.0
XI_SPEECH = 10 ** 1.3        # a-priori ratio of a bin with speech in step 2
NOISE_KEEP, LEARN_KEEP, LEARN_FRAMES = 0.95, 0.5, 10     # 200 ms: what follows faster takes the ends of words, and a babble's talkers, for noise
NOISE_RISE = 0.12           # where p is 1 the noise power rises by 0.6 % (0.026 dB) a frame: a louder noise is learnt, speech is too short
MEAN_BINS = (4, 110)        # 125 Hz to 3400 Hz
SHARE_KEEP, SHARE_PAUSE, SHARE_SPEECH = 0.9, 0.11, 0.35
PAST_PAUSE, PAST_SPEECH = 0.98, 0.40    # weight of the last frame in the a-priori ratio
OVER_PAUSE = 0.8            # the noise power is taken 1.8 times in pauses
NOISE_LOWEST = 10.0         # below the noise of rounding to 16 bits
RATIO_HIGHEST = 1000.0
EXPONENT_HIGHEST = 80.0


def windows():
    """(analysis, synthesis), float64 (256,); their product over the last 160 samples is a Hann window."""
    quarter = np.pi / 2
    fall = np.cos(quarter * (np.arange(80) + 0.5) / 80)
    analysis = np.concatenate([np.sin(quarter * (np.arange(176) + 0.5) / 176), fall])
    rise = fall[::-1] ** 2 / analysis[96:176]
    return analysis, np.concatenate([np.zeros(96), rise, fall])


ANALYSIS, SYNTHESIS = windows()


def new_state(n_slots, at=None):
    """State for slots 0 to n_slots - 1: uint8, aligned; slot_octets(at) each, in whole groups."""
    kernel = isa.load("_noise", at)
    state = isa.aligned(-(-n_slots // kernel.LANES) * kernel.GROUP_OCTETS)
    for slot in range(-(-n_slots // kernel.LANES) * kernel.LANES):
        kernel.call_reset(state, slot)
    return state


def slot_octets(at=None):
    kernel = isa.load("_noise", at)
    return kernel.GROUP_OCTETS // kernel.LANES


def reduce(state, x, slots=None, at=None):
    """x: int16 (n, 80), row i of slot slots[i] (default i), changed in place."""
    slots = np.arange(len(x), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    if len(x):
        isa.load("_noise", at).call_reduce(state, slots, np.arange(len(x), dtype=np.int32), x)


def reset(state, slot, at=None):
    """Forget everything about a slot; its next frames are taken for noise."""
    isa.load("_noise", at).call_reset(state, slot)


def short(x):
    """x rounded to 8 bits of mantissa, as the state holds powers."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x8000) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(float)


class Reference:
    """n channels, plainly; feed() takes int16 (n, 80) and returns int16 (n, 80)."""

    def __init__(self, n):
        self.history = np.zeros((n, FRAME - BLOCK))
        self.tail = np.zeros((n, BLOCK))
        self.noise = np.full((n, BINS), NOISE_LOWEST)
        self.clean = np.zeros((n, BINS))
        self.share = np.zeros((n, 1))
        self.frames = 0

    def weights(self, power):
        """power: |Y|^2, (n, 129). Returns the weight of each bin."""
        slope = XI_SPEECH / (1 + XI_SPEECH)
        p = 1 / (1 + (1 + XI_SPEECH) * np.exp(-np.minimum(power / self.noise * slope, EXPONENT_HIGHEST)))
        learning = self.frames < LEARN_FRAMES
        expected = power if learning else p * self.noise * (1 + NOISE_RISE) + (1 - p) * power
        keep = LEARN_KEEP if learning else NOISE_KEEP
        noise_power = np.maximum(keep * self.noise + (1 - keep) * expected, NOISE_LOWEST)
        self.noise = short(noise_power)
        self.frames += 1
        mean = p[:, slice(*MEAN_BINS)].mean(1, keepdims=True)
        self.share = np.maximum(mean, SHARE_KEEP * self.share + (1 - SHARE_KEEP) * mean)
        s = np.clip((self.share - SHARE_PAUSE) / (SHARE_SPEECH - SHARE_PAUSE), 0, 1)
        s = s * s * (3 - 2 * s)
        noise = noise_power * (1 + OVER_PAUSE * (1 - s))
        past = PAST_PAUSE - (PAST_PAUSE - PAST_SPEECH) * s * p
        ratio = np.minimum(power / noise, RATIO_HIGHEST)
        xi = past * self.clean / noise + (1 - past) * np.maximum(ratio - 1, 0)
        wiener = xi / (1 + xi)
        self.clean = short(wiener**2 * power)
        floor = 10 ** ((FLOOR_PAUSE_DB + (FLOOR_SPEECH_DB - FLOOR_PAUSE_DB) * s) / 20)
        return np.maximum(wiener * (s + (1 - s) * wiener), floor)

    def feed(self, x):
        frame = np.hstack([self.history, x])
        self.history = frame[:, BLOCK:]
        spectrum = np.fft.rfft(frame * ANALYSIS)
        y = np.fft.irfft(spectrum * self.weights(np.abs(spectrum) ** 2)) * SYNTHESIS
        out = self.tail + y[:, 96:176]
        self.tail = np.rint(y[:, 176:])
        return np.clip(np.rint(out), -32768, 32767).astype(np.int16)
