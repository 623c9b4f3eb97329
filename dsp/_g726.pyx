# distutils: include_dirs = dsp
# distutils: depends = dsp/lanes.h dsp/ints.h
# distutils: extra_compile_args = -Wno-psabi
"""G.726 of rows; the public side, the tables and the reference are dsp/g726.py.

Channels side by side in 32-bit integers.  The Recommendation's small floats
(sign, exponent, 6 bits of mantissa) are the upper half of an IEEE float whose
value is 2^-6 of theirs times 2^exponent: converting an integer finds exponent and mantissa in
one instruction, and the mantissa 32 that stands for zero is the float 0.5.
The state of a slot is 24 words of 16 bits, turned to lanes like samples.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy

import numpy as np

from dsp import g726 as _tables

cdef extern from *:
    """
    #include "ints.h"

    #define LANES SQUARE_LANES       /* channels of one go; two vectors of integers */
    #define RUN 80
    #define STATE_WORDS 24

    static int32_t decisions[6][16];
    /* by bits and magnitude: output of RECONST << 16 | (W + 32) << 4 | F */
    static int32_t responses[6][16] __attribute__((aligned(64)));

    static void set_tables(int bits, int m, int decision, int output, int w, int f)
    {
        decisions[bits][m] = decision;
        responses[bits][m] = (int32_t)((uint32_t)output << 16) | (w + 32) << 4 | f;
    }

    typedef struct { ints b[6], a[2], dq[6], sr[2], yu, yl, dms, dml, ap, td, pk1, pk2; } state_lanes;
    typedef struct { ints se, sez, y; } prediction;

    /* FLOATA, FLOATB: sign of `sign`, magnitude up to 32767, mantissa cut to 6 bits with the leading one. */
    INLINE ints small_float(ints sign, ints magnitude)
    {
        ints bits = (ints)at_least_half(__builtin_convertvector(magnitude, floats));
        return (bits & 0x7FFC0000) | (sign & ((ints){0} + (int32_t)0x80000000));
    }

    /* FMULT.  The shift by 26 - exponents may go either way; by two places more it goes right always. */
    INLINE ints multiply(ints coefficient, ints number)
    {
        ints scaled = coefficient >> 2;
        ints bits = (ints)at_least_half(__builtin_convertvector(absolute(scaled) & 8191, floats));
        ints mantissa = ((bits >> 18) & 31) | 32, other = ((number >> 18) & 31) | 32;
        ints shift = 28 + 2 * 126 - (bits >> 23) - ((number >> 23) & 255);
        ints magnitude = (((product(mantissa, other) + 48) & ~15) << 5) >> shift & 32767;
        return negated(magnitude, (scaled ^ number) >> 31);
    }

    /* FMULT and ACCUM; LIMA and MIX. */
    INLINE prediction predict(const state_lanes *s)
    {
        prediction p;
        ints total = {0};
        for (int i = 0; i < 6; i++) total += multiply(s->b[i], s->dq[i]);
        p.sez = signed16(total) >> 1;
        p.se = signed16(total + multiply(s->a[0], s->sr[0]) + multiply(s->a[1], s->sr[1])) >> 1;
        ints slow = s->yl >> 6, difference = s->yu - slow, al = smaller(s->ap >> 2, (ints){0} + 64);
        ints part = (absolute(difference) * al) >> 6;
        p.y = slow + negated(part, difference >> 31);
        return p;
    }

    /* LOG, SUBTB, QUAN: the code of a difference. */
    INLINE ints quantise(int bits, ints d, ints y)
    {
        ints dl = (float_bits(larger(absolute(d), (ints){0} + 1)) >> 16) - (127 << 7);
        ints dln = dl - (y >> 2), m = {0};
        for (int k = 0; k < (1 << (bits - 1)) - 1; k++) m -= (ints)(dln >= decisions[bits][k]);
        ints negative = d >> 31;
        if (bits > 2) negative |= (ints)(m == 0);       /* zero is sent as all ones, except at 16 kbit/s */
        return m ^ (negative & ((1 << bits) - 1));
    }

    /* RECONST to the delays, from the code.  Returns SR. */
    INLINE ints update(int bits, state_lanes *s, prediction p, ints code)
    {
        ints dqs = -(code >> (bits - 1)), m = code ^ (dqs & ((1 << bits) - 1));
        ints response = look_up(responses[bits], m), w = ((response >> 4) & 4095) - 32, f = response & 15;
        ints dql = (response >> 16) + (p.y >> 2);
        ints magnitude = ((((dql & 127) | 128) << 7) >> ((14 - (dql >> 7)) & 31)) & ~(dql >> 31);
        ints dq = negated(magnitude, dqs), sr = signed16(p.se + dq);
        /* TRANS */
        ints whole = s->yl >> 15, part = (s->yl >> 10) & 31;
        ints threshold = choose((ints)(whole > 9), (ints){0} + (31 << 10), (32 + part) << whole);
        ints tr = -s->td & (ints)(magnitude > (threshold + (threshold >> 1)) >> 1);
        /* FILTD, LIMB, FILTE */
        s->yu = clamp(p.y + (((w << 5) - p.y) >> 5), (ints){0} + 544, (ints){0} + 5120);
        s->yl += s->yu + (-s->yl >> 6);
        /* ADDC, UPA2, LIMC, UPA1, LIMD, TONE */
        ints sum = signed16(dq + p.sez), pk0 = sum >> 31, sounding = (ints)(sum != 0);
        ints differs1 = pk0 ^ s->pk1, differs2 = pk0 ^ s->pk2;
        ints fa1 = clamp(s->a[0], (ints){0} - 8191, (ints){0} + 8191) << 2;
        ints uga2 = (negated((ints){0} + 16384, differs2) - negated(fa1, differs1)) >> 7;
        ints a2 = clamp(s->a[1] + (uga2 & sounding) - (s->a[1] >> 7), (ints){0} - 12288, (ints){0} + 12288);
        ints a1 = s->a[0] + (negated((ints){0} + 192, differs1) & sounding) - (s->a[0] >> 8);
        a1 = clamp(a1, a2 - 15360, 15360 - a2);
        ints tdp = (ints)(a2 < -11776);
        s->a[0] = a1 & ~tr;
        s->a[1] = a2 & ~tr;
        /* UPB */
        ints moving = (ints)(magnitude != 0) & 128;
        for (int i = 0; i < 6; i++) {
            ints step = negated(moving, dqs ^ (s->dq[i] >> 31));
            s->b[i] = signed16(s->b[i] + step - (s->b[i] >> (bits == 5 ? 9 : 8))) & ~tr;
        }
        /* FILTA, FILTB, SUBTC, FILTC, TRIGA, TRIGB */
        s->dms += ((f << 9) - s->dms) >> 5;
        s->dml += ((f << 11) - s->dml) >> 7;
        ints fast = (ints)(p.y < 1536) | (ints)(absolute((s->dms << 2) - s->dml) >= s->dml >> 3) | tdp;
        s->ap = choose(tr, (ints){0} + 256, s->ap + (((fast & 512) - s->ap) >> 4));
        s->td = -tdp & ~tr;
        s->pk2 = s->pk1;
        s->pk1 = pk0;
        for (int i = 5; i > 0; i--) s->dq[i] = s->dq[i - 1];
        s->dq[0] = small_float(dqs, magnitude);
        s->sr[1] = s->sr[0];
        s->sr[0] = small_float(sr, absolute(sr) & 32767);
        return sr;
    }

    /* COMPRESS, EXPAND, SUBTA, LOG, SUBTB, SYNC.  Returns the octet of the line.  A decision value
       below zero belongs to the inner step in A-law and to the outer in mu-law;
       the magnitude has 15 bits, so that -32768 counts as the negative zero. */
    INLINE ints adjusted(int bits, int law, prediction p, ints sr, ints code)
    {
        ints negative = sr >> 31, m, value;
        if (law == 0) {
            ints v = clamp(((absolute(sr) & 32767) + negative) >> 2, (ints){0}, (ints){0} + 2047);
            m = choose((ints)(v < 32), v, (float_bits(v) >> 19) - (130 << 4));
            ints segment = m >> 4, base = (m & 15) * 2 + 1;
            value = choose((ints)(segment == 0), base << 1, (base + 32) << segment);
        } else {
            m = (float_bits(smaller((absolute(sr) & 32767) + 33, (ints){0} + 8191)) >> 19) - (132 << 4);
            value = (((m & 15) * 2 + 33) << (m >> 4)) - 33;
        }
        ints half = {0}, again = quantise(bits, negated(value, negative) - p.se, p.y);
        half += 1 << (bits - 1);
        ints up = (ints)((again ^ half) < (code ^ half)), down = (ints)((again ^ half) > (code ^ half));
        ints outward = choose(negative, down, up), inward = choose(negative, up, down), cross = inward & (ints)(m == 0);
        m = smaller(m - outward, (ints){0} + 127) + (inward & ~cross);
        if (law) m -= cross;                    /* mu-law has two zeros: past the other one */
        return (m | (~(negative ^ cross) & 128)) ^ (law ? 0x7F : 0x55);
    }

    INLINE ints swapped(ints a) { return ((a >> 8) & 255) | (a & 255) << 8; }

    static void load_state(state_lanes *s, const uint16_t *lane)
    {
        ints *word = (ints *)s;
        for (int i = 0; i < 8; i++) word[i] = from_narrow(lane + i * LANES);
        for (int i = 8; i < 16; i++) word[i] = from_unsigned(lane + i * LANES) << 16;
        s->yu = from_unsigned(lane + 16 * LANES);
        s->yl = from_unsigned(lane + 17 * LANES) | from_unsigned(lane + 18 * LANES) << 16;
        s->dms = from_unsigned(lane + 19 * LANES);
        s->dml = from_unsigned(lane + 20 * LANES);
        s->ap = from_unsigned(lane + 21 * LANES);
        ints flags = from_unsigned(lane + 22 * LANES);
        s->td = flags & 1;
        s->pk1 = -(flags >> 1 & 1);
        s->pk2 = -(flags >> 2 & 1);
    }

    static void store_state(const state_lanes *s, uint16_t *lane)
    {
        const ints *word = (const ints *)s;
        for (int i = 0; i < 8; i++) to_narrow(lane + i * LANES, word[i]);
        for (int i = 8; i < 16; i++) to_narrow(lane + i * LANES, word[i] >> 16);
        to_narrow(lane + 16 * LANES, s->yu);
        to_narrow(lane + 17 * LANES, s->yl);
        to_narrow(lane + 18 * LANES, s->yl >> 16);
        to_narrow(lane + 19 * LANES, s->dms);
        to_narrow(lane + 20 * LANES, s->dml);
        to_narrow(lane + 21 * LANES, s->ap);
        to_narrow(lane + 22 * LANES, s->td | (s->pk1 & 2) | (s->pk2 & 4));
    }

    /* Codes to and from words of 16 bits, `width` bits each; first code lowest, or highest (then octets are swapped). */
    INLINE void encode_run(int bits, int high_first, int width, state_lanes *state, const uint16_t *x, uint16_t *codes, int64_t n)
    {
        state_lanes s = *state;
        ints held = {0};
        int fill = 0;
        for (int64_t i = 0; i < n; i++) {
            prediction p = predict(&s);
            ints code = quantise(bits, (from_narrow(x + i * LANES) >> 2) - p.se, p.y);
            update(bits, &s, p, code);
            held = high_first ? held << width | code : held | code << fill;
            fill += width;
            if (fill >= 16) {
                fill -= 16;
                to_narrow(codes, high_first ? swapped(held >> fill) : held);
                if (!high_first) held >>= 16;
                codes += LANES;
            }
        }
        if (fill) to_narrow(codes, high_first ? swapped(held << (16 - fill)) : held);
        *state = s;
    }

    /* law 0, 1: octets of the line, two in a word; 2: linear samples. */
    INLINE void decode_run(int bits, int high_first, int width, int law, state_lanes *state, const uint16_t *codes, uint16_t *x, int64_t n)
    {
        state_lanes s = *state;
        ints held = {0}, first = {0};
        int fill = 0;
        for (int64_t i = 0; i < n; i++) {
            if (fill < width) {
                ints word = from_unsigned(codes);
                codes += LANES;
                held = high_first ? held << 16 | swapped(word) : held | word << fill;
                fill += 16;
            }
            fill -= width;
            ints code = (high_first ? held >> fill : held) & ((1 << bits) - 1);
            if (!high_first) held = (held >> width) & ((1 << fill) - 1);    /* >> keeps the sign, the mask drops it */
            prediction p = predict(&s);
            ints sr = update(bits, &s, p, code);
            if (law == 2)       /* LIMO */
                to_narrow(x + i * LANES, clamp(sr, (ints){0} - 8192, (ints){0} + 8191) << 2);
            else {
                ints octet = law ? adjusted(bits, 1, p, sr, code) : adjusted(bits, 0, p, sr, code);
                if (i & 1) to_narrow(x + i / 2 * LANES, first | octet << 8);
                else if (i == n - 1) to_narrow(x + i / 2 * LANES, octet);
                first = octet;
            }
        }
        *state = s;
    }

    /* One copy a rate: its number of decisions is unrolled. */
    #define EACH(name, call, ...) static void name(int bits, int high_first, int width, __VA_ARGS__) \\
    { switch (bits) { case 2: call(2) break; case 3: call(3) break; case 4: call(4) break; default: call(5) } }
    #define ENCODE(bits) encode_run(bits, high_first, width, state, x, codes, n);
    #define DECODE(bits) decode_run(bits, high_first, width, law, state, codes, x, n);
    EACH(encode_lanes, ENCODE, state_lanes *state, const uint16_t *x, uint16_t *codes, int64_t n)
    EACH(decode_lanes, DECODE, int law, state_lanes *state, const uint16_t *codes, uint16_t *x, int64_t n)

    /* law 0, 1, 2: decode to that; -1: encode. */
    static void code_rows(int bits, int packing, int law, void *state, const int32_t *slot, uint8_t *codes, int64_t codes_stride,
        const int32_t *codes_row, void *x, int64_t x_stride, const int32_t *x_row, int64_t n, int64_t n_samples)
    {
        uint16_t x_lane[(RUN + 8) * LANES] __attribute__((aligned(64))), code_lane[48 * LANES] __attribute__((aligned(64)));
        uint16_t state_lane[STATE_WORDS * LANES] __attribute__((aligned(64)));
        const int width = packing ? bits : 8, sample = law == 0 || law == 1 ? 1 : 2, high_first = packing == 2;
        if (bits < 2 || bits > 5) return;
        if (packing) n_samples &= ~(int64_t)7;
        for (int64_t first = 0; first < n; first += LANES) {
            int channels = n - first < LANES ? n - first : LANES;
            uint8_t *s[LANES], *x_at[LANES], *codes_at[LANES];
            state_lanes now[2];
            for (int i = 0; i < LANES; i++) {       /* lanes beyond the last read its row and are not written */
                int64_t k = first + (i < channels ? i : channels - 1);
                s[i] = (uint8_t *)state + 2 * STATE_WORDS * (int64_t)slot[k];
                x_at[i] = (uint8_t *)x + sample * x_stride * (x_row ? x_row[k] : k);
                codes_at[i] = codes + codes_stride * (codes_row ? codes_row[k] : k);
            }
            rows_to_lanes((const uint8_t *const *)s, 2 * STATE_WORDS, state_lane, LANES);
            load_state(&now[0], state_lane);
            load_state(&now[1], state_lane + INT_LANES);
            for (int64_t at = 0; at < n_samples; at += RUN) {
                int64_t run = n_samples - at < RUN ? n_samples - at : RUN, octets = run * width / 8;
                rows_to_lanes(law < 0 ? (const uint8_t *const *)x_at : (const uint8_t *const *)codes_at,
                              law < 0 ? 2 * run : octets, law < 0 ? x_lane : code_lane, LANES);
                for (int half = 0; half < 2; half++) {
                    uint16_t *c = code_lane + half * INT_LANES, *y = x_lane + half * INT_LANES;
                    if (law < 0) encode_lanes(bits, high_first, width, &now[half], y, c, run);
                    else decode_lanes(bits, high_first, width, law, &now[half], c, y, run);
                    if (channels <= INT_LANES) break;
                }
                lanes_to_rows(law < 0 ? code_lane : x_lane, LANES, law < 0 ? codes_at : x_at, law < 0 ? octets : sample * run, channels);
                for (int i = 0; i < LANES; i++) { x_at[i] += sample * run; codes_at[i] += octets; }
            }
            store_state(&now[0], state_lane);
            store_state(&now[1], state_lane + INT_LANES);
            lanes_to_rows(state_lane, LANES, s, 2 * STATE_WORDS - 2, channels);
        }
    }

    """
    void code_rows(int bits, int packing, int law, void *state, const int32_t *slot, uint8_t *codes, int64_t codes_stride,
                   const int32_t *codes_row, void *x, int64_t x_stride, const int32_t *x_row, int64_t n, int64_t n_samples) noexcept nogil
    void set_tables(int bits, int m, int decision, int output, int w, int f)

cdef int bits_, m_
for bits_ in range(2, 6):
    for m_ in range(1 << (bits_ - 1)):
        set_tables(bits_, m_, (*_tables.DECISIONS[bits_], 0)[m_], _tables.OUTPUTS[bits_][m_], _tables.WEIGHTS[bits_][m_],
                   _tables.SPEEDS[bits_][m_])

cdef uint8_t reset_record[48]
for m_ in range(48):
    reset_record[m_] = _tables.RESET.astype("<u2").view(np.uint8)[m_]


cdef void encode(int32_t bits, int32_t packing, void *state, const int32_t *slot, const int16_t *x, int64_t x_stride,
                 const int32_t *x_row, uint8_t *codes, int64_t codes_stride, const int32_t *codes_row,
                 int64_t n, int64_t n_samples) noexcept nogil:
    code_rows(bits, packing, -1, state, slot, codes, codes_stride, codes_row, <void *>x, x_stride, x_row, n, n_samples)


cdef void decode(int32_t bits, int32_t packing, void *state, const int32_t *slot, const uint8_t *codes, int64_t codes_stride,
                 const int32_t *codes_row, int16_t *x, int64_t x_stride, const int32_t *x_row,
                 int64_t n, int64_t n_samples) noexcept nogil:
    code_rows(bits, packing, 2, state, slot, <uint8_t *>codes, codes_stride, codes_row, x, x_stride, x_row, n, n_samples)


cdef void decode_law(int32_t bits, int32_t packing, int32_t law, void *state, const int32_t *slot, const uint8_t *codes,
                     int64_t codes_stride, const int32_t *codes_row, uint8_t *octets, int64_t octets_stride,
                     const int32_t *octets_row, int64_t n, int64_t n_samples) noexcept nogil:
    code_rows(bits, packing, 1 if law else 0, state, slot, <uint8_t *>codes, codes_stride, codes_row, octets, octets_stride, octets_row, n, n_samples)


cdef void reset(void *state, int32_t slot) noexcept nogil:
    memcpy(<uint8_t *>state + 48 * <int64_t>slot, reset_record, 48)


capi = {
    "encode": PyCapsule_New(<void *>encode, "void (int32_t, int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, int64_t, int64_t)", NULL),
    "decode": PyCapsule_New(<void *>decode, "void (int32_t, int32_t, void *, const int32_t *, const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, int64_t, int64_t)", NULL),
    "decode_law": PyCapsule_New(<void *>decode_law, "void (int32_t, int32_t, int32_t, void *, const int32_t *, const uint8_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, int64_t, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}


def call_encode(int bits, int packing, uint8_t[::1] state, const int32_t[::1] slot, const int16_t[:, ::1] x, uint8_t[:, ::1] codes):
    """x: int16 (n, n_samples); codes: uint8 (n, octets), written."""
    with nogil:
        encode(bits, packing, &state[0], &slot[0], &x[0, 0], x.shape[1], NULL, &codes[0, 0], codes.shape[1], NULL, x.shape[0], x.shape[1])


def call_decode(int bits, int packing, uint8_t[::1] state, const int32_t[::1] slot, const uint8_t[:, ::1] codes, int16_t[:, ::1] x):
    """codes: uint8 (n, octets); x: int16 (n, n_samples), written."""
    with nogil:
        decode(bits, packing, &state[0], &slot[0], &codes[0, 0], codes.shape[1], NULL, &x[0, 0], x.shape[1], NULL, x.shape[0], x.shape[1])


def call_decode_law(int bits, int packing, int law, uint8_t[::1] state, const int32_t[::1] slot, const uint8_t[:, ::1] codes,
                    uint8_t[:, ::1] octets):
    """codes: uint8 (n, octets); octets: uint8 (n, n_samples), written."""
    with nogil:
        decode_law(bits, packing, law, &state[0], &slot[0], &codes[0, 0], codes.shape[1], NULL, &octets[0, 0], octets.shape[1],
                   NULL, octets.shape[0], octets.shape[1])
