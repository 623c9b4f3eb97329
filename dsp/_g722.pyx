# distutils: include_dirs = dsp
# distutils: depends = dsp/lanes.h dsp/ints.h
# distutils: extra_compile_args = -Wno-psabi
"""G.722 of rows; the public side, the tables and the reference are dsp/g722.py.

Channels side by side in 32-bit integers.  The filters run over a block of 80
pairs first (or last), the two ADPCM coders then have 15-bit bands to work on.
The state of a slot is 64 words of 16 bits, turned to lanes like samples.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy

import numpy as np

from dsp import g722 as _tables

cdef extern from *:
    """
    #include "ints.h"

    #define LANES SQUARE_LANES       /* channels of one go; two vectors of integers */
    #define RUN 80                   /* octets, or pairs of samples, of one go */
    #define HISTORY 22
    #define STATE_WORDS 64

    static int32_t taps[12], decisions[29];
    static int32_t low_table[3][64], weight_table[16] __attribute__((aligned(64))), power_table[32];
    static int32_t qm4_table[16] __attribute__((aligned(64))), qm2_table[16] __attribute__((aligned(64)));
    static int32_t high_weight_table[16] __attribute__((aligned(64)));

    static int32_t *const tables[9] = {taps, decisions, low_table[0], low_table[1], low_table[2], weight_table, power_table, qm2_table, high_weight_table};
    static void set_table(int table, int i, int value)
    {
        tables[table][i] = value;
        if (table == 4) qm4_table[i] = value;
    }

    typedef struct { ints b[6], a[2], d[6], r[2], p[2], nb, det; } band;
    typedef struct { ints s, sz; } prediction;

    /* FILTEP, FILTEZ, PREDIC */
    INLINE prediction predict(const band *f)
    {
        prediction p;
        ints sum = {0};
        for (int i = 0; i < 6; i++) sum += (f->b[i] * saturated(f->d[i] * 2)) >> 15;
        p.sz = saturated(sum);
        sum = ((f->a[0] * saturated(f->r[0] * 2)) >> 15) + ((f->a[1] * saturated(f->r[1] * 2)) >> 15);
        p.s = saturated(saturated(sum) + p.sz);
        return p;
    }

    INLINE ints scaled(ints det, ints value) { return (det * value) >> 15; }

    /* SUBTRA, QUANTL */
    INLINE ints quantise_low(const band *f, prediction p, ints x)
    {
        ints e = saturated(x - p.s), negative = e >> 31, size = e ^ negative, above = {0};
        for (int i = 0; i < 29; i++) above -= (ints)(size >= (f->det * decisions[i]) >> 12);
        return choose(negative, choose((ints)(above < 2), 63 - above, 33 - above), 61 - above);
    }

    /* SUBTRA, QUANTH; 564 is the one decision value */
    INLINE ints quantise_high(const band *f, prediction p, ints x)
    {
        ints e = saturated(x - p.s), negative = e >> 31;
        return (ints)((e ^ negative) >= (f->det * 564) >> 12) + 3 + (negative & -2);
    }

    /* LOGSCL, SCALEL, RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, DELAYA */
    INLINE void update(int high, band *f, prediction p, ints d, ints weight)
    {
        ints nb = clamp(((f->nb * 127) >> 7) + weight, (ints){0}, (ints){0} + (high ? 22528 : 18432));
        f->nb = nb;
        /* to the left by up to 1, in the lower band: doubled first, then always to the right */
        f->det = ((gather(power_table, (nb >> 6) & 31) << 1) >> ((high ? 11 : 9) - (nb >> 11))) << 2;
        ints r = saturated(p.s + d), sum = saturated(d + p.sz), sign = sum >> 31;
        ints differs1 = sign ^ (f->p[0] >> 31), differs2 = sign ^ (f->p[1] >> 31);
        ints four = saturated(f->a[0] << 2);
        ints a2 = (smaller(negated(four, ~differs1), (ints){0} + 32767) >> 7) + negated((ints){0} + 128, differs2) + ((f->a[1] * 32512) >> 15);
        a2 = clamp(a2, (ints){0} - 12288, (ints){0} + 12288);
        ints a1 = negated((ints){0} + 192, differs1) + ((f->a[0] * 32640) >> 15);
        f->a[0] = clamp(a1, a2 - 15360, 15360 - a2);
        f->a[1] = a2;
        ints moving = (ints)(d != 0) & 128;
        for (int i = 0; i < 6; i++)
            f->b[i] = saturated(negated(moving, (d ^ f->d[i]) >> 31) + ((f->b[i] * 32640) >> 15));
        for (int i = 5; i > 0; i--) f->d[i] = f->d[i - 1];
        f->d[0] = d;
        f->r[1] = f->r[0];
        f->r[0] = r;
        f->p[1] = f->p[0];
        f->p[0] = sum;
    }

    INLINE void update_both(band *low, band *high, prediction pl, prediction ph, ints il, ints ih)
    {
        ints top = il >> 2;
        update(0, low, pl, scaled(low->det, look_up(qm4_table, top)), look_up(weight_table, top));
        update(1, high, ph, scaled(high->det, look_up(qm2_table, ih)), look_up(high_weight_table, ih));
    }

    INLINE ints in_15_bits(ints a) { return clamp(a, (ints){0} - 16384, (ints){0} + 16383); }

    /* Codes are octets, two in a word.  x: pairs of lower and higher band. */
    static void encode_bands(band *state, const uint16_t *x, uint16_t *codes, int64_t n)
    {
        band low = state[0], high = state[1];
        ints first = {0};
        for (int64_t i = 0; i < n; i++) {
            prediction pl = predict(&low), ph = predict(&high);
            ints il = quantise_low(&low, pl, from_narrow(x + 2 * i * LANES));
            ints ih = quantise_high(&high, ph, from_narrow(x + (2 * i + 1) * LANES));
            update_both(&low, &high, pl, ph, il, ih);
            ints octet = il | ih << 6;
            to_narrow(codes + i / 2 * LANES, i & 1 ? first | octet << 8 : octet);
            first = octet;
        }
        state[0] = low;
        state[1] = high;
    }

    static void decode_bands(int mode, band *state, const uint16_t *codes, uint16_t *x, int64_t n)
    {
        band low = state[0], high = state[1];
        for (int64_t i = 0; i < n; i++) {
            ints octet = (from_unsigned(codes + i / 2 * LANES) >> (i & 1 ? 8 : 0)) & 255, il = octet & 63, ih = octet >> 6;
            prediction pl = predict(&low), ph = predict(&high);
            ints heard = gather(low_table[mode - 1], il >> (mode - 1));
            to_narrow(x + 2 * i * LANES, in_15_bits(pl.s + scaled(low.det, heard)));
            to_narrow(x + (2 * i + 1) * LANES, in_15_bits(ph.s + scaled(high.det, look_up(qm2_table, ih))));
            update_both(&low, &high, pl, ph, il, ih);
        }
        state[0] = low;
        state[1] = high;
    }

    /* Transmit filter: x begins with 22 samples of history, 2 n more follow; pairs of bands to y. */
    static void split(const uint16_t *x, uint16_t *y, int64_t n)
    {
        for (int64_t k = 0; k < n; k++) {
            ints odd = {0}, even = {0};
            for (int i = 0; i < 12; i++) {
                odd += from_narrow(x + 2 * (k + i) * LANES) * taps[i];
                even += from_narrow(x + (2 * (k + 11 - i) + 1) * LANES) * taps[i];
            }
            to_narrow(y + 2 * k * LANES, in_15_bits((even + odd) >> 14));
            to_narrow(y + (2 * k + 1) * LANES, in_15_bits((even - odd) >> 14));
        }
    }

    /* Receive filter: y begins with 22 words of history (sum and difference by turns), n pairs of bands
       follow and become sums and differences; 2 n samples to x. */
    static void join(uint16_t *y, uint16_t *x, int64_t n)
    {
        for (int64_t k = 0; k < n; k++) {
            uint16_t *pair = y + (HISTORY + 2 * k) * LANES;
            ints low = from_narrow(pair), high = from_narrow(pair + LANES), odd = {0}, even = {0};
            to_narrow(pair, low + high);
            to_narrow(pair + LANES, low - high);
            for (int i = 0; i < 12; i++) {
                odd += from_narrow(y + 2 * (k + i) * LANES) * taps[i];
                even += from_narrow(y + (2 * (k + 11 - i) + 1) * LANES) * taps[i];
            }
            to_narrow(x + 2 * k * LANES, saturated(even >> 11));
            to_narrow(x + (2 * k + 1) * LANES, saturated(odd >> 11));
        }
    }

    /* mode 0 encodes, 1 to 3 decode; bands: without the filters. */
    static void code_rows(int mode, int bands, int16_t *state, const int32_t *slot, uint8_t *octet, int64_t octets_stride,
        const int32_t *octets_row, int16_t *x, int64_t x_stride, const int32_t *x_row, int64_t n, int64_t n_samples)
    {
        enum { SPACE = (HISTORY + 2 * RUN + 8) * LANES };
        uint16_t outer[SPACE] __attribute__((aligned(64))), inner[SPACE] __attribute__((aligned(64)));
        uint16_t code_lane[(RUN / 2 + 8) * LANES] __attribute__((aligned(64))), state_lane[STATE_WORDS * LANES] __attribute__((aligned(64)));
        for (int64_t first = 0; first < n; first += LANES) {
            int channels = n - first < LANES ? n - first : LANES;
            uint8_t *s[LANES], *x_at[LANES], *octets_at[LANES];
            band now[2][2];
            for (int i = 0; i < LANES; i++) {       /* lanes beyond the last read its row and are not written */
                int64_t k = first + (i < channels ? i : channels - 1);
                s[i] = (uint8_t *)(state + STATE_WORDS * (int64_t)slot[k]);
                x_at[i] = (uint8_t *)(x + x_stride * (x_row ? x_row[k] : k));
                octets_at[i] = octet + octets_stride * (octets_row ? octets_row[k] : k);
            }
            rows_to_lanes((const uint8_t *const *)s, 2 * STATE_WORDS, state_lane, LANES);
            for (int half = 0; half < 2; half++)
                for (int i = 0; i < 40; i++) ((ints *)now[half])[i] = from_narrow(state_lane + i * LANES + half * INT_LANES);
            /* history stays before the samples (encoder) or the bands (decoder) */
            uint16_t *filtered = mode ? inner : outer, *x_lane = mode || bands ? outer : outer + HISTORY * LANES;
            uint16_t *band_lane = bands ? outer : mode ? inner + HISTORY * LANES : inner;
            memcpy(filtered, state_lane + 40 * LANES, 2 * HISTORY * LANES);
            for (int64_t at = 0; at < n_samples; at += 2 * RUN) {
                int64_t run = n_samples - at < 2 * RUN ? n_samples - at : 2 * RUN;
                if (mode) rows_to_lanes((const uint8_t *const *)octets_at, run / 2, code_lane, LANES);
                else rows_to_lanes((const uint8_t *const *)x_at, 2 * run, x_lane, LANES);
                for (int half = 0; half < 2; half++) {
                    int part = half * INT_LANES;
                    if (!mode && !bands) split(outer + part, inner + part, run / 2);
                    if (mode) decode_bands(mode, now[half], code_lane + part, band_lane + part, run / 2);
                    else encode_bands(now[half], band_lane + part, code_lane + part, run / 2);
                    if (mode && !bands) join(inner + part, outer + part, run / 2);
                    if (channels <= INT_LANES) break;
                }
                if (!bands) memmove(filtered, filtered + run * LANES, 2 * HISTORY * LANES);
                if (mode) lanes_to_rows(x_lane, LANES, x_at, 2 * run, channels);
                else lanes_to_rows(code_lane, LANES, octets_at, run / 2, channels);
                for (int i = 0; i < LANES; i++) { x_at[i] += 2 * run; octets_at[i] += run / 2; }
            }
            for (int half = 0; half < 2; half++)
                for (int i = 0; i < 40; i++) to_narrow(state_lane + i * LANES + half * INT_LANES, ((ints *)now[half])[i]);
            if (!bands) memcpy(state_lane + 40 * LANES, filtered, 2 * HISTORY * LANES);
            lanes_to_rows(state_lane, LANES, s, 2 * STATE_WORDS, channels);
        }
    }

    static void code(int mode, int bands, void *state, const int32_t *slot, uint8_t *octet, int64_t octets_stride,
        const int32_t *octets_row, int16_t *x, int64_t x_stride, const int32_t *x_row, int64_t n, int64_t n_samples)
    {
        #define PASSED (int16_t *)state, slot, octet, octets_stride, octets_row, x, x_stride, x_row, n, n_samples & ~(int64_t)1
        code_rows(mode, bands, PASSED);
    }
    """
    void set_table(int table, int i, int value)
    void code(int mode, int bands, void *state, const int32_t *slot, uint8_t *octet, int64_t octets_stride, const int32_t *octets_row,
              int16_t *x, int64_t x_stride, const int32_t *x_row, int64_t n, int64_t n_samples) noexcept nogil

cdef int which, place
for which, _values in enumerate((_tables.FILTER, _tables.DECISIONS, _tables.QM6, _tables.QM5, _tables.QM4, _tables.WEIGHTS,
                                 _tables.POWERS, _tables.QM2, _tables.HIGH_WEIGHTS)):
    for place in range(len(_values)):
        set_table(which, place, _values[place])

cdef uint8_t reset_record[128]
for place in range(128):
    reset_record[place] = _tables.RESET.astype("<i2").view(np.uint8)[place]


cdef void encode(int32_t bands, void *state, const int32_t *slot, const int16_t *x, int64_t x_stride, const int32_t *x_row,
                 uint8_t *octets, int64_t octets_stride, const int32_t *octets_row, int64_t n, int64_t n_samples) noexcept nogil:
    code(0, bands, state, slot, octets, octets_stride, octets_row, <int16_t *>x, x_stride, x_row, n, n_samples)


cdef void decode(int32_t bands, int32_t mode, void *state, const int32_t *slot, const uint8_t *octets, int64_t octets_stride,
                 const int32_t *octets_row, int16_t *x, int64_t x_stride, const int32_t *x_row, int64_t n, int64_t n_samples) noexcept nogil:
    if 1 <= mode <= 3:
        code(mode, bands, state, slot, <uint8_t *>octets, octets_stride, octets_row, x, x_stride, x_row, n, n_samples)


cdef void reset(void *state, int32_t slot) noexcept nogil:
    memcpy(<uint8_t *>state + 128 * <int64_t>slot, reset_record, 128)


capi = {
    "encode": PyCapsule_New(<void *>encode, "void (int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, int64_t, int64_t)", NULL),
    "decode": PyCapsule_New(<void *>decode, "void (int32_t, int32_t, void *, const int32_t *, const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, int64_t, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}


def call_encode(int bands, uint8_t[::1] state, const int32_t[::1] slot, const int16_t[:, ::1] x, uint8_t[:, ::1] octets):
    """x: int16 (n, n_samples), n_samples even; octets: uint8 (n, n_samples / 2), written."""
    with nogil:
        encode(bands, &state[0], &slot[0], &x[0, 0], x.shape[1], NULL, &octets[0, 0], octets.shape[1], NULL, x.shape[0], x.shape[1])


def call_decode(int bands, int mode, uint8_t[::1] state, const int32_t[::1] slot, const uint8_t[:, ::1] octets, int16_t[:, ::1] x):
    """octets: uint8 (n, n_samples / 2); x: int16 (n, n_samples), written."""
    with nogil:
        decode(bands, mode, &state[0], &slot[0], &octets[0, 0], octets.shape[1], NULL, &x[0, 0], x.shape[1], NULL, x.shape[0], x.shape[1])
