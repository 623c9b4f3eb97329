"""G.722 at 64, 56 and 48 kbit/s: 7 kHz audio, 16,000 samples a second, 8,000 octets.

Source: ITU-T G.722 (09/2012) clauses 3 to 6, with the block names of clause 6.2;
checked against the test sequences of Appendix II and of G.191.  An octet has the two bits of the
higher sub-band on top, then the six of the lower.  Mode 1 hears all six, mode 2
five and mode 3 four; the rest may carry data, which the decoder then ignores.

x: int16 (n_channels, n_samples) at 16 kHz, n_samples even; octets: uint8
(n_channels, n_samples / 2).  With bands=True the filters are left out and x has
the lower and the higher sub-band by turns, 15 bits each (Appendix II).

C functions of `_g722` (index arrays x_row, octets_row: NULL is 0, 1, 2, ...; slots of one call are all different)
    encode(bands, state, slot, x, x_stride, x_row, octets, octets_stride, octets_row, n, n_samples)
    decode(bands, mode, state, slot, octets, octets_stride, octets_row, x, x_stride, x_row, n, n_samples)
    reset(state, slot)
"""

import numpy as np

from dsp import isa

STATE_OCTETS = 128

# Table 11: every second of the 24 filter coefficients (times 8192); the others are the same backwards.
FILTER = (3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11)
# Tables 14, 17, 18, 19, 20, 21: decision values, inverse quantisers, scale factors.
DECISIONS = (35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
             1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919)
HIGH_DECISION = 564
_QM4 = (20456, 12896, 8968, 6288, 4240, 2584, 1200)
QM4 = (0, *(-q for q in _QM4), *_QM4, 0)
_QM5 = (23352, 17560, 14120, 11664, 9752, 8184, 6864, 5712, 4696, 3784, 2960, 2208, 1520, 880)
QM5 = (-280, -280, *(-q for q in _QM5), *_QM5, 280, -280)
_QM6 = (24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944,
        4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728)
QM6 = (-136, -136, -136, -136, *(-q for q in _QM6), *_QM6, 432, 136, -432, -136)
QM2 = (-7408, -1616, 7408, 1616)
_WL = (-60, -30, 58, 172, 334, 538, 1198, 3042)
WEIGHTS = tuple(_WL[i] for i in (0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0))       # by the four bits
HIGH_WEIGHTS = (798, -214, 798, -214)
POWERS = (2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960,
          3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008)

# Words of a state record: for each band B1-B6, A1-A2, D1-D6, R1-R2, P1-P2, NB, DET; then 22 samples of the filter.
RESET = np.int16([0] * 19 + [32] + [0] * 19 + [8] + [0] * 24)


def new_state(n_slots):
    """State of n_slots coders (each for one direction), all reset."""
    state = isa.aligned(STATE_OCTETS * n_slots)
    state.view(np.int16).reshape(n_slots, -1)[:] = RESET
    return state


def encode(x, state=None, bands=False, at=None):
    """x: int16 (n, n_samples even). Returns octets (n, n_samples / 2); state: new_state(n), updated, or None."""
    x = np.ascontiguousarray(x, np.int16)
    if x.ndim != 2 or x.shape[1] % 2:
        raise ValueError(f"g722.encode: x has shape {x.shape}; give (channels, an even number of samples)")
    octets = np.empty((x.shape[0], x.shape[1] // 2), np.uint8)
    if octets.size:
        isa.load("_g722", at).call_encode(int(bands), *_slots(state, len(x)), x, octets)
    return octets


def decode(octets, mode=1, state=None, bands=False, at=None):
    """octets: uint8 (n, n_octets); mode 1 (64 kbit/s), 2 (56), 3 (48). Returns int16 (n, 2 n_octets)."""
    octets = np.ascontiguousarray(octets, np.uint8)
    if octets.ndim != 2 or mode not in (1, 2, 3):
        raise ValueError(f"g722.decode: octets of shape {octets.shape}, mode {mode}; give (channels, octets) and mode 1, 2 or 3")
    x = np.empty((octets.shape[0], octets.shape[1] * 2), np.int16)
    if x.size:
        isa.load("_g722", at).call_decode(int(bands), mode, *_slots(state, len(x)), octets, x)
    return x


def _slots(state, n):
    state = new_state(n) if state is None else state
    if len(state) < STATE_OCTETS * n:
        raise ValueError(f"g722: state has room for {len(state) // STATE_OCTETS} channels, {n} are given; make it with new_state({n})")
    return state, np.arange(n, dtype=np.int32)


def _saturated(value):
    return np.clip(value, -32768, 32767)


class Band:
    """One sub-band of the reference, block by block; n channels."""

    def __init__(self, n, high):
        zero = np.zeros(n, np.int64)
        self.high = high
        self.b, self.a, self.d = [zero] * 6, [zero] * 2, [zero] * 6
        self.r, self.p = [zero] * 2, [zero] * 2
        self.nb, self.det = zero, zero + (8 if high else 32)

    def predict(self):
        """FILTEP, FILTEZ, PREDIC."""
        sp = _saturated(sum(a * _saturated(2 * r) >> 15 for a, r in zip(self.a, self.r)))
        self.sz = _saturated(sum(b * _saturated(2 * d) >> 15 for b, d in zip(self.b, self.d)))
        self.s = _saturated(sp + self.sz)

    def quantise(self, x):
        """SUBTRA, QUANTL or QUANTH."""
        e = _saturated(x - self.s)
        size = np.where(e < 0, ~e, e)
        above = sum((size >= (q * self.det >> 12)).astype(np.int64) for q in ((HIGH_DECISION,) if self.high else DECISIONS))
        if self.high:
            return np.where(e < 0, 1 - above, 3 - above)
        return np.where(e < 0, np.where(above < 2, 63 - above, 33 - above), 61 - above)

    def inverse(self, table, code):
        return self.det * np.array(table)[code] >> 15

    def update(self, d, weight):
        """LOGSCL, SCALEL, RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, DELAYA."""
        self.nb = np.clip((self.nb * 127 >> 7) + weight, 0, 22528 if self.high else 18432)
        power, shift = np.array(POWERS)[self.nb >> 6 & 31], (10 if self.high else 8) - (self.nb >> 11)
        self.det = np.where(shift < 0, power << np.maximum(-shift, 0), power >> np.maximum(shift, 0)) << 2
        r, p = _saturated(self.s + d), _saturated(d + self.sz)
        same1, same2 = (p < 0) == (self.p[0] < 0), (p < 0) == (self.p[1] < 0)
        a1, a2 = self.a
        wd1 = _saturated(a1 << 2)
        wd2 = np.where(same1, np.minimum(-wd1, 32767), wd1)
        a2 = np.clip((wd2 >> 7) + np.where(same2, 128, -128) + (a2 * 32512 >> 15), -12288, 12288)
        limit = 15360 - a2
        a1 = np.clip(np.where(same1, 192, -192) + (a1 * 32640 >> 15), -limit, limit)
        step = np.where(d == 0, 0, 128)
        self.b = [_saturated(np.where((old < 0) == (d < 0), step, -step) + (b * 32640 >> 15)) for b, old in zip(self.b, self.d)]
        self.a, self.d, self.r, self.p = [a1, a2], [d, *self.d[:5]], [r, self.r[0]], [p, self.p[0]]


class Reference:
    """The Recommendation with numpy integers; slow.  encode and decode go on where the last call ended."""

    def __init__(self, n):
        self.low, self.high = Band(n, False), Band(n, True)
        self.history = np.zeros((n, 22), np.int64)

    def encode(self, x, bands=False):
        if not bands:
            x, self.history = np.hstack([self.history, x]), np.hstack([self.history, x])[:, -22:]
        octets = np.empty((len(x), x.shape[1] // 2 if bands else x.shape[1] // 2 - 11), np.uint8)
        for k in range(octets.shape[1]):
            if bands:
                low, high = x[:, 2 * k].astype(np.int64), x[:, 2 * k + 1].astype(np.int64)
            else:
                odd = sum(h * x[:, 2 * (k + i)] for i, h in enumerate(FILTER))
                even = sum(h * x[:, 2 * (k + 11 - i) + 1] for i, h in enumerate(FILTER))
                low, high = np.clip(even + odd >> 14, -16384, 16383), np.clip(even - odd >> 14, -16384, 16383)
            self.low.predict()
            self.high.predict()
            il, ih = self.low.quantise(low), self.high.quantise(high)
            self._update(il, ih)
            octets[:, k] = ih << 6 | il
        return octets

    def decode(self, octets, mode=1, bands=False):
        x = np.empty((len(octets), 2 * octets.shape[1]), np.int16)
        for k in range(octets.shape[1]):
            il, ih = octets[:, k].astype(np.int64) & 63, octets[:, k].astype(np.int64) >> 6
            self.low.predict()
            self.high.predict()
            heard = self.low.inverse((QM6, QM5, QM4)[mode - 1], il >> (mode - 1))
            low = np.clip(self.low.s + heard, -16384, 16383)
            high = np.clip(self.high.s + self.high.inverse(QM2, ih), -16384, 16383)
            self._update(il, ih)
            if bands:
                x[:, 2 * k], x[:, 2 * k + 1] = low, high
                continue
            taps = np.hstack([self.history, np.stack([low + high, low - high], 1)])     # sums and differences by turns
            self.history = taps[:, 2:]
            x[:, 2 * k + 1] = _saturated(sum(h * taps[:, 2 * i] for i, h in enumerate(FILTER)) >> 11)
            x[:, 2 * k] = _saturated(sum(h * taps[:, 23 - 2 * i] for i, h in enumerate(FILTER)) >> 11)
        return x

    def _update(self, il, ih):
        self.low.update(self.low.inverse(QM4, il >> 2), np.array(WEIGHTS)[il >> 2])
        self.high.update(self.high.inverse(QM2, ih), np.array(HIGH_WEIGHTS)[ih])
