"""G.726 ADPCM at 16, 24, 32 and 40 kbit/s: 2 to 5 bits a sample.

Source: ITU-T G.726 (12/1990) clause 4 with the block names of clause 4.2 and
Annex A (linear input and output); packing of codes as RFC 3551 clause 4.5.4.
Checked against the test sequences of G.191 (bit exact, after reset and after
the homing sequences).

bits: 2, 3, 4 or 5 a sample.  x: int16 (n_channels, n_samples), 16 bits left aligned as
dsp/g711.py gives them: a companded leg is expanded, then encoded, and the codes
are those that the Recommendation wants for its law.  In the decoder the law
matters (synchronous coding adjustment, clause 4.2.8): `decode_law` gives G.711
octets of law A or MU, `decode` linear samples (Annex A).
packing of codes in octets; the samples of a call are a multiple of 8 (of 1 for APART):
    APART        one code an octet, in its low bits
    LOW_FIRST    the first code in the lowest bits (RTP "G726-xx")
    HIGH_FIRST   the first code in the highest bits (AAL2, RTP "AAL2-G726-xx", WAV format 0x45 of FFmpeg)

C functions of `_g726` (index arrays x_row, octets_row, codes_row: NULL is 0, 1, 2, ...;
slots of one call are all different)
    encode(bits, packing, state, slot, x, x_stride, x_row, codes, codes_stride, codes_row, n, n_samples)
    decode(bits, packing, state, slot, codes, codes_stride, codes_row, x, x_stride, x_row, n, n_samples)
    decode_law(bits, packing, law, state, slot, codes, codes_stride, codes_row, octets, octets_stride, octets_row, n, n_samples)
    reset(state, slot)
An encoder and a decoder have one slot each; the rate may change from call to call.
"""

import numpy as np

from dsp import g711, isa

A, MU, LINEAR = g711.A, g711.MU, 2
APART, LOW_FIRST, HIGH_FIRST = 0, 1, 2
STATE_OCTETS = 48

# By bits: decision values of QUAN (128 log2), output of RECONST, W of FUNCTW, F of
# FUNCTF; the last three by the magnitude of the code.  Tables 6 to 9, 11 to 14, and
# clause 4.2.4.  -2048 is the logarithm of zero.
DECISIONS = {
    2: (261,),
    3: (8, 218, 331),
    4: (-124, 80, 178, 246, 300, 349, 400),
    5: (-122, -16, 68, 139, 198, 250, 298, 339, 378, 413, 445, 475, 502, 528, 553)}
OUTPUTS = {
    2: (116, 365),
    3: (-2048, 135, 273, 373),
    4: (-2048, 4, 135, 213, 273, 323, 373, 425),
    5: (-2048, -66, 28, 104, 169, 224, 274, 318, 358, 395, 429, 459, 488, 514, 539, 566)}
WEIGHTS = {
    2: (-22, 439),
    3: (-4, 30, 137, 582),
    4: (-12, 18, 41, 64, 112, 198, 355, 1122),
    5: (14, 14, 24, 39, 40, 41, 58, 100, 141, 179, 219, 280, 358, 440, 529, 696)}
SPEEDS = {
    2: (0, 7),
    3: (0, 1, 2, 7),
    4: (0, 0, 0, 1, 1, 1, 3, 7),
    5: (0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6)}

# Words of a state record, 16 bits each: B1-B6, A1, A2, DQ1-DQ6 and SR1-SR2 (upper half of a
# float), YU, YL low and high, DMS, DML, AP, flags TD + 2 PK1 + 4 PK2, zero.
RESET = np.uint16([0] * 8 + [0x3F00] * 8 + [544, 34816, 0, 0, 0, 0, 0, 0])


def new_state(n_slots):
    """State of n_slots coders (each for one direction), all reset."""
    state = isa.aligned(STATE_OCTETS * n_slots)
    state.view(np.uint16).reshape(n_slots, -1)[:] = RESET
    return state


def encode(x, bits, packing=APART, state=None, at=None):
    """x: int16 (n, n_samples). Returns uint8 (n, octets); state: new_state(n), updated, or None."""
    x = np.ascontiguousarray(x, np.int16)
    _check(x, bits, packing, 1)
    codes = np.empty((x.shape[0], x.shape[1] * (bits if packing else 8) // 8), np.uint8)
    if codes.size:
        isa.load("_g726", at).call_encode(bits, packing, *_slots(state, len(x)), x, codes)
    return codes


def decode(codes, bits, packing=APART, law=LINEAR, state=None, at=None):
    """codes: uint8 (n, octets). Returns int16 (n, n_samples), or with law A or MU G.711 octets, uint8 (n, n_samples)."""
    codes = np.ascontiguousarray(codes, np.uint8)
    _check(codes, bits, packing, bits)
    n_samples = codes.shape[1] * 8 // bits if packing else codes.shape[1]
    out = np.empty((codes.shape[0], n_samples), np.int16 if law == LINEAR else np.uint8)
    if out.size:
        kernel = isa.load("_g726", at)
        if law == LINEAR:
            kernel.call_decode(bits, packing, *_slots(state, len(out)), codes, out)
        else:
            kernel.call_decode_law(bits, packing, law, *_slots(state, len(out)), codes, out)
    return out


def _check(array, bits, packing, octets):
    if bits not in DECISIONS:
        raise ValueError(f"g726: {bits} bits a sample; give 2, 3, 4 or 5 (16, 24, 32, 40 kbit/s)")
    if array.ndim != 2:
        raise ValueError(f"g726: an array of shape {array.shape}; give (channels, samples or octets)")
    of = 8 if octets == 1 else octets
    if packing and array.shape[1] % of:
        raise ValueError(f"g726: {array.shape[1]} is no whole number of packed groups; give a multiple of {of}")


def _slots(state, n):
    state = new_state(n) if state is None else state
    if len(state) < STATE_OCTETS * n:
        raise ValueError(f"g726: state has room for {len(state) // STATE_OCTETS} channels, {n} are given; make it with new_state({n})")
    return state, np.arange(n, dtype=np.int32)


class Reference:
    """The Recommendation block by block, one numpy integer a channel; slow.

    reference.encode(x) and decode(codes, law) go on where the last call ended."""

    def __init__(self, n, bits):
        zero = np.zeros(n, np.int64)
        self.bits, self.leak = bits, 9 if bits == 5 else 8
        self.b, self.a = [zero] * 6, [zero] * 2
        self.dq, self.sr = [(zero, zero, zero + 32)] * 6, [(zero, zero, zero + 32)] * 2      # sign, exponent, mantissa
        self.yu, self.yl = zero + 544, zero + 34816
        self.dms = self.dml = self.ap = self.td = zero
        self.pk = [zero, zero]

    def encode(self, x):
        codes = np.empty(x.shape, np.uint8)
        for k in range(x.shape[1]):
            self._predict()
            codes[:, k] = code = self._quantise((x[:, k].astype(np.int64) >> 2) - self.se)
            self._update(code)
        return codes

    def decode(self, codes, law=LINEAR):
        out = np.empty(codes.shape, np.int16 if law == LINEAR else np.uint8)
        for k in range(codes.shape[1]):
            self._predict()
            code = codes[:, k].astype(np.int64) & ((1 << self.bits) - 1)
            self._update(code)
            out[:, k] = np.clip(self.signal, -8192, 8191) << 2 if law == LINEAR else self._adjust(code, law)
        return out

    def _quantise(self, d):
        """LOG, SUBTB, QUAN."""
        magnitude = np.abs(d)
        exponent = _bit_length(magnitude | 1) - 1
        dl = (exponent << 7) + ((magnitude << 7 >> exponent) & 127)
        m = np.searchsorted(DECISIONS[self.bits], dl - (self.y >> 2), side="right")
        ones = (1 << self.bits) - 1
        negative = (d < 0) | ((m == 0) & (self.bits > 2))        # zero is sent as all ones, but not at 16 kbit/s
        return np.where(negative, ones - m, m)

    def _predict(self):
        """FMULT, ACCUM; LIMA, MIX."""
        sezi = sum(_fmult(b, dq) for b, dq in zip(self.b, self.dq))
        sei = sezi + sum(_fmult(a, sr) for a, sr in zip(self.a, self.sr))
        self.sez, self.se = _signed16(sezi) >> 1, _signed16(sei) >> 1
        al = np.minimum(self.ap >> 2, 64)
        difference = self.yu - (self.yl >> 6)
        self.y = (self.yl >> 6) + np.sign(difference) * (np.abs(difference) * al >> 6)

    def _update(self, code):
        """Everything from RECONST to the delays; the reconstructed signal is left in self.signal."""
        ones = (1 << self.bits) - 1
        dqs = code >> (self.bits - 1)
        m = np.where(dqs, ones - code, code)
        dql = np.array(OUTPUTS[self.bits])[m] + (self.y >> 2)
        magnitude = np.where(dql < 0, 0, ((dql & 127) + 128 << 7) >> (14 - np.clip(dql >> 7, 0, 14)))
        dq = np.where(dqs, -magnitude, magnitude)
        self.signal = sr = _signed16(self.se + dq)
        # TRANS
        whole, part = self.yl >> 15, (self.yl >> 10) & 31
        threshold = np.where(whole > 9, 31 << 10, (32 + part) << whole)
        tr = (self.td == 1) & (magnitude > (threshold + (threshold >> 1) >> 1))
        # FILTD, LIMB, FILTE
        self.yu = np.clip(self.y + ((np.array(WEIGHTS[self.bits])[m] << 5) - self.y >> 5), 544, 5120)
        self.yl = self.yl + self.yu + (-self.yl >> 6)
        # ADDC, UPA2, LIMC, UPA1, LIMD, TONE
        dqsez = _signed16(dq + self.sez)
        pk0, silent = (dqsez < 0).astype(np.int64), dqsez == 0
        a1, a2 = self.a
        same1, same2 = pk0 == self.pk[0], pk0 == self.pk[1]
        fa1 = np.clip(a1, -8191, 8191) << 2
        uga2 = (np.where(same2, 16384, -16384) + np.where(same1, -fa1, fa1)) >> 7
        a2p = np.clip(a2 + np.where(silent, 0, uga2) - (a2 >> 7), -12288, 12288)
        a1p = a1 + np.where(silent, 0, np.where(same1, 192, -192)) - (a1 >> 8)
        a1p = np.clip(a1p, a2p - 15360, 15360 - a2p)
        tdp = (a2p < -11776).astype(np.int64)
        # UPB
        step = [np.where(magnitude == 0, 0, np.where(dqs == old[0], 128, -128)) for old in self.dq]
        b = [_signed16(b + u - (b >> self.leak)) for b, u in zip(self.b, step)]
        self.a, self.b = [np.where(tr, 0, a1p), np.where(tr, 0, a2p)], [np.where(tr, 0, value) for value in b]
        # FILTA, FILTB, SUBTC, FILTC, TRIGA
        f = np.array(SPEEDS[self.bits])[m]
        self.dms = self.dms + ((f << 9) - self.dms >> 5)
        self.dml = self.dml + ((f << 11) - self.dml >> 7)
        fast = (self.y < 1536) | (np.abs((self.dms << 2) - self.dml) >= (self.dml >> 3)) | (tdp == 1)
        self.ap = np.where(tr, 256, self.ap + ((fast * 512) - self.ap >> 4))
        self.td = np.where(tr, 0, tdp)
        self.pk = [pk0, self.pk[0]]
        self.dq = [_float(dqs, magnitude), *self.dq[:5]]
        self.sr = [_float((sr < 0).astype(np.int64), np.abs(sr) & 32767), self.sr[0]]

    def _adjust(self, code, law):
        """COMPRESS, EXPAND, SUBTA, LOG, SUBTB, SYNC."""
        x = np.clip(self.signal, -8191, 8191) << 2
        x -= (x < 0) & (law == MU)       # a decision value below zero belongs to the outer step in mu-law, the inner in A-law
        x = np.where(self.signal == -32768, -1, x)      # its magnitude has 15 bits: zero, and negative
        sp = g711.compress_reference(x, law)
        again = self._quantise((g711.expand_reference(sp, law).astype(np.int64) >> 2) - self.se)
        half = 1 << (self.bits - 1)
        up, down = (again ^ half) < (code ^ half), (again ^ half) > (code ^ half)
        line = sp ^ (0x55 if law == A else 0x7F)
        negative, m = line < 128, line & 127
        outward = np.where(negative, down, up)
        inward = np.where(negative, up, down)
        cross = inward & (m == 0)
        m = np.where(outward, np.minimum(m + 1, 127), np.where(cross, int(law == MU), np.where(inward, m - 1, m)))
        return (m | np.where(negative ^ cross, 0, 128)) ^ (0x55 if law == A else 0x7F)


def _bit_length(value):
    return np.frexp(value.astype(float))[1].astype(np.int64)


def _signed16(value):
    return (value + 32768 & 65535) - 32768


def _float(sign, magnitude):
    """FLOATA, FLOATB."""
    exponent = _bit_length(magnitude)
    return sign, exponent, np.where(magnitude == 0, 32, magnitude << 6 >> exponent)


def _fmult(a, number):
    """Coefficient times number, the latter (sign, exponent, mantissa)."""
    sign, exponent, mantissa = number
    magnitude = np.abs(a >> 2) & 8191       # 13 bits: -32768, which B can wrap to, counts as 0
    a_exponent = _bit_length(magnitude)
    a_mantissa = np.where(magnitude == 0, 32, magnitude << 6 >> a_exponent)
    e, w = exponent + a_exponent, a_mantissa * mantissa + 48 >> 4
    result = np.where(e <= 26, w << 7 >> np.maximum(26 - e, 0), (w << 7 << np.maximum(e - 26, 0)) & 32767)
    return np.where(sign ^ (a < 0), -result, result)
