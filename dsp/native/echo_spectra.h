/* Spectra of the echo canceller: filtering by the taps of a partition (steps 2 and 3 of dsp/echo.py) and their change (the end
   of step 5).

   256 real values have their spectrum taken at odd multiples of half a bin, exp(-i pi n (4 m - 1) / 256): of these 128 points one
   of each conjugate pair, and all are alike.  Sample n and sample n + 128 are real and imaginary part of a point that is turned by
   exp(i pi n / 256), and a complex transform of 128 points is all of it: there is nothing to separate as there is in a
   spectrum at whole bins.  What a product of two such spectra wraps around it wraps with the other sign; overlap-save throws that
   away in either case.

   The turn is done in the first pass, where four points stand 32 apart: what they have in common goes into the pass's own factors
   (odd_turn), what is left are turns by multiples of 22.5 degrees.  Order of the bins: as the passes leave them, see fft128.h. */
#ifndef STROWGER_ECHO_SPECTRA_H
#define STROWGER_ECHO_SPECTRA_H
#include "echo_state.h"

static float odd_turn[32][4][2];        /* exp(-i pi j (4 r - 1) / 256) */
static float scaled_turn[32][4][2];     /* the same / 128, which undoes the scale of a way back */
static const float STEP[4][2] = {{1, 0}, {0.923879533f, 0.382683432f}, {0.707106781f, 0.707106781f}, {0.382683432f, 0.923879533f}};   /* exp(i pi r / 8) */

static void echo_prepare(void)
{
    fft_prepare();
    for (int j = 0; j < 32; j++)
        for (int r = 0; r < 4; r++) {
            odd_turn[j][r][0] = (float)cos(M_PI * j * (4 * r - 1) / 256);
            odd_turn[j][r][1] = (float)-sin(M_PI * j * (4 * r - 1) / 256);
            scaled_turn[j][r][0] = odd_turn[j][r][0] / 128;
            scaled_turn[j][r][1] = odd_turn[j][r][1] / 128;
        }
}

static inline point product(point a, point b) { return (point){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
static inline point by(point a, const float *t) { return (point){a.re * t[0] - a.im * t[1], a.re * t[1] + a.im * t[0]}; }
static inline point back_by(point a, const float *t) { return (point){a.re * t[0] + a.im * t[1], a.im * t[0] - a.re * t[1]}; }
static inline point sum_of(int first, point old, point a) { return first ? a : sum(old, a); }
static inline point plus_i(point a, point b) { return (point){a.re - b.im, a.im + b.re}; }      /* a + i b */
static inline point minus_i(point a, point b) { return (point){a.re + b.im, a.im - b.re}; }

/* The first pass, for points j, j + 32, j + 64, j + 96, which STEP has turned; and the way back. */
static inline __attribute__((always_inline)) void odd_butterfly(point *z, const float turn[4][2], const point *in)
{
    point t0 = sum(in[0], in[2]), t1 = difference(in[0], in[2]), t2 = sum(in[1], in[3]), u = difference(in[1], in[3]);
    z[0] = by(sum(t0, t2), turn[0]);
    z[32] = by(minus_i(t1, u), turn[1]);
    z[64] = by(difference(t0, t2), turn[2]);
    z[96] = by(plus_i(t1, u), turn[3]);
}
static inline __attribute__((always_inline)) void odd_butterfly_back(const point *z, int j, point *out)
{
    point a = back_by(z[0], odd_turn[j][0]), b = back_by(z[32], odd_turn[j][1]), c = back_by(z[64], odd_turn[j][2]), d = back_by(z[96], odd_turn[j][3]);
    point t0 = sum(a, c), t1 = difference(a, c), t2 = sum(b, d), u = difference(b, d);
    out[0] = sum(t0, t2);
    out[1] = plus_i(t1, u);
    out[2] = difference(t0, t2);
    out[3] = minus_i(t1, u);
}

/* The second pass of 32 points, and the way back. */
static inline void inner_pass(point *z)
{
    for (int j = 0; j < 8; j++)
        butterfly(z + j, 8, 4 * j, z[j], z[j + 8], z[j + 16], z[j + 24]);
}
static inline void inner_pass_back(point *z)
{
    point out[4];
    for (int j = 0; j < 8; j++) {
        butterfly_back(z + j, 8, 4 * j, out);
        for (int i = 0; i < 4; i++) z[j + 8 * i] = out[i];
    }
}

/* The last pass: 8 points, in registers; and the way back.  Factors are exp(-i pi / 4) and its powers. */
static inline __attribute__((always_inline)) point eighth(point a) { return (point){(a.re + a.im) * STEP[2][0], (a.im - a.re) * STEP[2][0]}; }
static inline __attribute__((always_inline)) point eighth_back(point a) { return (point){(a.re - a.im) * STEP[2][0], (a.im + a.re) * STEP[2][0]}; }
static inline __attribute__((always_inline)) void last_pass(const point *p, point *out)
{
    for (int k = 0; k < 2; k++) {
        point t0 = sum(p[k], p[k + 4]), t1 = difference(p[k], p[k + 4]), t2 = sum(p[k + 2], p[k + 6]), u = difference(p[k + 2], p[k + 6]);
        out[k] = sum(t0, t2);
        out[k + 2] = minus_i(t1, u);
        out[k + 4] = difference(t0, t2);
        out[k + 6] = plus_i(t1, u);
    }
    point v[4] = {out[1], eighth(out[3]), {out[5].im, -out[5].re}, eighth((point){out[7].im, -out[7].re})};
    for (int k = 0; k < 4; k++) {
        point a = out[2 * k];
        out[2 * k] = sum(a, v[k]);
        out[2 * k + 1] = difference(a, v[k]);
    }
}
static inline __attribute__((always_inline)) void last_pass_back(const point *in, point *p)
{
    point v[8], w;
    for (int k = 0; k < 8; k += 2) {
        v[k] = sum(in[k], in[k + 1]);
        v[k + 1] = difference(in[k], in[k + 1]);
    }
    v[3] = eighth_back(v[3]);
    v[5] = (point){-v[5].im, v[5].re};
    w = eighth_back(v[7]);
    v[7] = (point){-w.im, w.re};
    for (int k = 0; k < 2; k++) {
        point t0 = sum(v[k], v[k + 4]), t1 = difference(v[k], v[k + 4]), t2 = sum(v[k + 2], v[k + 6]), u = difference(v[k + 2], v[k + 6]);
        p[k] = sum(t0, t2);
        p[k + 2] = plus_i(t1, u);
        p[k + 4] = difference(t0, t2);
        p[k + 6] = minus_i(t1, u);
    }
}

/* Two points of the first pass, j and j + 1, from pairs of samples: those of 32 i + j and of 128 + 32 i + j. */
static inline __attribute__((always_inline)) void turned_points(lanes_int near, lanes_int far, int i, point *even, point *odd)
{
    *even = (point){even_samples(near), even_samples(far)};
    *odd = (point){odd_samples(near), odd_samples(far)};
    if (i) {
        *even = i == 2 ? eighth_back(*even) : by(*even, STEP[i]);
        *odd = i == 2 ? eighth_back(*odd) : by(*odd, STEP[i]);
    }
}

static inline void fetch(const void *at)
{
    for (unsigned i = 0; i < sizeof(tap); i += 64) __builtin_prefetch((const char *)at + i, 1, 2);
}

/* Steps 2 and 3, one partition: the spectrum of 128 pairs of the ring from `start` on, times the taps, goes to the sums; with
   `back` also by itself to x; back NULL: fore only.  ahead: octets to the same place of the next
   group, which is fetched meanwhile, little by little: the state of 4,096 channels is far larger than any cache.
   record: what else of it is fetched, control values and ring in three parts. */
enum { FETCHED = 10 * 4 * LANES };     /* octets for each of 16 pairs of butterflies: 480 lanes, 406 are needed */
static inline __attribute__((always_inline)) void filter(point *x, const lanes_int *far, int start, int ring, const tap *fore, point *fore_sum,
                                                         const tap *back, point *back_sum, int first, int64_t ahead, const char *record)
{
    point z[FRAME_PAIRS];
    for (int j = 0; j < 16; j++) {
        point even[4], odd[4];
        for (int i = 0; i < FETCHED; i += 64)
            __builtin_prefetch(record + FETCHED * j + i, 1, 2);
        for (int i = 0; i < 4; i++) {
            int at = start + j + 16 * i, further = at + 64;
            turned_points(far[at < ring ? at : at - ring], far[further < ring ? further : further - ring], i, even + i, odd + i);
        }
        odd_butterfly(z + 2 * j, odd_turn[2 * j], even);
        odd_butterfly(z + 2 * j + 1, odd_turn[2 * j + 1], odd);
    }
    for (int at = 0; at < FRAME_PAIRS; at += 8) {
        if (at % 32 == 0)
            inner_pass(z + at);
        point bins[8];
        last_pass(z + at, bins);
        for (int k = 0; k < 8; k++) {
            fetch((const char *)&fore[at + k] + ahead);
            fore_sum[at + k] = sum_of(first, fore_sum[at + k], product(bins[k], wide(fore[at + k])));
            if (back) {
                x[at + k] = bins[k];
                fetch((const char *)&back[at + k] + ahead);
                back_sum[at + k] = sum_of(first, back_sum[at + k], product(bins[k], wide(back[at + k])));
            }
        }
    }
}

/* One copy of each in the code, because together they would not fit the instruction cache. */
static __attribute__((noinline)) void filter_once(const lanes_int *far, int start, int ring, const tap *fore, point *fore_sum, int first, int64_t ahead, const char *record)
{
    filter(NULL, far, start, ring, fore, fore_sum, NULL, NULL, first, ahead, record);
}
static __attribute__((noinline)) void filter_twice(point *x, const lanes_int *far, int start, int ring, const tap *fore, point *fore_sum,
                                                   const tap *back, point *back_sum, int first, int64_t ahead, const char *record)
{
    filter(x, far, start, ring, fore, fore_sum, back, back_sum, first, ahead, record);
}

/* Back, but for the last pass. */
static inline __attribute__((always_inline)) void most_of_the_way_back(point *z)
{
    for (int at = 0; at < FRAME_PAIRS; at += 32) {
        for (int in = at; in < at + 32; in += 8) {
            point bins[8];
            for (int k = 0; k < 8; k++) bins[k] = z[in + k];
            last_pass_back(bins, z + in);
        }
        inner_pass_back(z + at);
    }
}

/* The last 80 of 256 values, 128 times too large; z is spent. */
static __attribute__((noinline)) void values_of_block(point *z, lanes *values)
{
    most_of_the_way_back(z);
    for (int j = 0; j < 32; j++) {
        point out[4];
        odd_butterfly_back(z + j, j, out);
        for (int i = 1; i < 4; i++)
            if (j + 32 * i >= 48)
                values[j + 32 * i - 48] = out[i].im * STEP[i][0] - out[i].re * STEP[i][1];
    }
}

/* The spectrum of 256 values of which the last 80 are given, the others zero; times a factor. */
static __attribute__((noinline)) void spectrum_of_block(const lanes *values, lanes factor, point *z)
{
    for (int j = 0; j < 32; j++) {
        point in[4] = {{{0}, {0}}, {{0}, {0}}, {{0}, {0}}, {{0}, {0}}};
        for (int i = 1; i < 4; i++)
            if (j + 32 * i >= 48) {
                lanes v = values[j + 32 * i - 48] * factor;
                in[i] = (point){v * -STEP[i][1], v * STEP[i][0]};
            }
        odd_butterfly(z + j, odd_turn[j], in);
    }
    for (int at = 0; at < FRAME_PAIRS; at += 8) {
        point bins[8];
        if (at % 32 == 0)
            inner_pass(z + at);
        last_pass(z + at, bins);
        for (int k = 0; k < 8; k++) z[at + k] = bins[k];
    }
}

/* Step 5, one partition: taps += x* z, constrained to the 176 taps of 256 that the canceller may use.  The sum is
   constrained, not what is added to it, so that what rounding leaves outside does not gather.  Adds their size. */
static __attribute__((noinline)) void learn(tap *taps, const point *x, const point *z, lanes *size_of)
{
    point w[FRAME_PAIRS];
    for (int at = 0; at < FRAME_PAIRS; at += 32) {
        for (int in = at; in < at + 32; in += 8) {
            point bins[8];
            for (int k = 0; k < 8; k++) {
                point a = x[in + k], b = z[in + k], old = wide(taps[in + k]);
                bins[k] = (point){old.re + a.re * b.re + a.im * b.im, old.im + a.re * b.im - a.im * b.re};
            }
            last_pass_back(bins, w + in);
        }
        inner_pass_back(w + at);
    }
    lanes size = {0};
    for (int j = 0; j < 32; j++) {
        point out[4];
        odd_butterfly_back(w + j, j, out);
        size += out[0].re * out[0].re + out[0].im * out[0].im;
        for (int i = 1; i < 4; i++)
            if (j + 32 * i >= 48) {         /* the imaginary part is one of the last 80: only the real one stays */
                lanes v = out[i].re * STEP[i][0] + out[i].im * STEP[i][1];
                out[i] = (point){v * STEP[i][0], v * STEP[i][1]};
                size += v * v;
            } else
                size += out[i].re * out[i].re + out[i].im * out[i].im;
        odd_butterfly(w + j, scaled_turn[j], out);
    }
    size *= 1.0f / 128;         /* of the spectrum, too: no tap is larger than the root of that */
    const int small = none_of(~(size < LARGEST * LARGEST));
    for (int at = 0; at < FRAME_PAIRS; at += 8) {
        point bins[8];
        if (at % 32 == 0)
            inner_pass(w + at);
        last_pass(w + at, bins);
        for (int k = 0; k < 8; k++) {
            taps[at + k] = small ? narrow(bins[k]) : narrow(limited(bins[k]));
        }
    }
    *size_of += size;
}

/* The 176 taps of a partition; for who wants to look at them. */
static void taps_of(const tap *taps, lanes *values)
{
    point z[FRAME_PAIRS];
    for (int k = 0; k < FRAME_PAIRS; k++) z[k] = wide(taps[k]);
    most_of_the_way_back(z);
    for (int j = 0; j < 32; j++) {
        point out[4];
        odd_butterfly_back(z + j, j, out);
        for (int i = 0; i < 4; i++) {
            point a = back_by(out[i], STEP[i]);
            values[j + 32 * i] = a.re * (1.0f / 256);
            if (j + 32 * i + 128 < TAPS)
                values[j + 32 * i + 128] = a.im * (1.0f / 256);
        }
    }
}
#endif
