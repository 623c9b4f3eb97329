/* Spectra of the echo canceller: filtering by the taps of a partition (steps 2 and 3 of dsp/echo.py) and their change (the end
   of step 5). */
#ifndef STROWGER_ECHO_SPECTRA_H
#define STROWGER_ECHO_SPECTRA_H
#include "echo_state.h"

static float turn256[65][2];

static void echo_prepare(void)
{
    fft_prepare();
    for (int k = 0; k <= 64; k++) {
        turn256[k][0] = (float)cos(2 * M_PI * k / 256);
        turn256[k][1] = (float)-sin(2 * M_PI * k / 256);
    }
}

/* Spectra.  256 real values are 128 pairs; their spectrum is made twice too large: bin k at its
   place, bins 0 and 128, which are real, together at the first; the upper of a pair of bins
   conjugated.  Bin 64 is its own partner: `high` and `low` are one place there, and hold it
   conjugated or not alike in all spectra, so products stay consistent.  The functions below
   differ in what they do with the values while these are at hand. */

/* The two bins k and 128 - k from their places of the complex transform. */
#define SEPARATE(z, k)                                                                             \
    point *low = (z) + fft_place[k], *high = (z) + fft_place[128 - (k)];                           \
    point a = *low, b = *high;                                                                     \
    lanes even_re = a.re + b.re, even_im = a.im - b.im, odd_re = a.im + b.im, odd_im = b.re - a.re; \
    float c = turn256[k][0], s = turn256[k][1];                                                    \
    lanes re = odd_re * c - odd_im * s, im = odd_re * s + odd_im * c;                              \
    point at_high = {even_re - re, even_im - im}, at_low = {even_re + re, even_im + im}

/* Two bins back to their places of the complex transform. */
static inline __attribute__((always_inline)) void join(point *z, int k, point x, point y)
{
    if (k == 64)
        y = (point){x.re, -x.im};
    lanes even_re = x.re + y.re, even_im = x.im + y.im, re = x.re - y.re, im = x.im - y.im;
    float c = turn256[k][0], s = turn256[k][1];
    lanes odd_re = re * c + im * s, odd_im = im * c - re * s;
    z[fft_place[128 - k]] = (point){even_re + odd_im, odd_re - even_im};
    z[fft_place[k]] = (point){even_re - odd_im, even_im + odd_re};
}

static inline void fetch(const void *at)
{
    for (unsigned i = 0; i < sizeof(tap); i += 64) __builtin_prefetch((const char *)at + i, 1, 2);
}
static inline point product(point a, point b) { return (point){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
static inline point one_by_one(point a, point b) { return (point){a.re * b.re, a.im * b.im}; }
static inline __attribute__((always_inline)) void accumulate(point *sum_of, point a, int first)
{
    *sum_of = first ? a : sum(*sum_of, a);
}

/* Steps 2 and 3, one partition: the spectrum of 128 pairs of the ring from `start` on goes to x, times the
   taps to the sums; back NULL: fore only, and x is scratch.  ahead: octets to the same place of the next
   group, which is fetched meanwhile, little by little: the state of 4,096 channels is far larger than any cache.
   record: what else of it is fetched, control values and ring in three parts. */
enum { FETCHED = 5 * 4 * LANES };      /* octets for each of 32 butterflies: 480 lanes, 406 are needed */
static inline __attribute__((always_inline)) void filter(point *x, const lanes_int *far, int start, int ring, const tap *fore, point *fore_sum,
                                                         const tap *back, point *back_sum, int first, int64_t ahead, const char *record)
{
    for (int j = 0; j < 32; j++) {
        point in[4];
        for (int i = 0; i < FETCHED; i += 64)
            __builtin_prefetch(record + FETCHED * j + i, 1, 2);
        for (int i = 0; i < 4; i++) {
            int at = start + j + 32 * i;
            lanes_int pair = far[at < ring ? at : at - ring];
            in[i] = (point){even_samples(pair), odd_samples(pair)};
        }
        butterfly(x + j, 32, j, in[0], in[1], in[2], in[3]);
    }
    fft_rest(x);
    point zero = x[0];
    zero = (point){(zero.re + zero.im) * 2, (zero.re - zero.im) * 2};
    x[0] = zero;
    fetch((const char *)fore + ahead);
    accumulate(fore_sum, one_by_one(zero, wide(fore[0])), first);
    if (back)
        accumulate(back_sum, one_by_one(zero, wide(back[0])), first);
    for (int k = 1; k <= 64; k++) {
        SEPARATE(x, k);
        int64_t l = low - x, h = high - x;
        if (back) {
            *high = at_high;
            *low = at_low;
        }
        fetch((const char *)&fore[l] + ahead);
        accumulate(fore_sum + l, product(at_low, wide(fore[l])), first);
        if (back) {
            fetch((const char *)&back[l] + ahead);
            accumulate(back_sum + l, product(at_low, wide(back[l])), first);
        }
        if (k == 64)
            break;
        fetch((const char *)&fore[h] + ahead);
        accumulate(fore_sum + h, product(at_high, wide(fore[h])), first);
        if (back) {
            fetch((const char *)&back[h] + ahead);
            accumulate(back_sum + h, product(at_high, wide(back[h])), first);
        }
    }
}

/* One copy of each in the code, because together they would not fit the instruction cache. */
static __attribute__((noinline)) void filter_once(point *x, const lanes_int *far, int start, int ring, const tap *fore, point *fore_sum, int first, int64_t ahead, const char *record)
{
    filter(x, far, start, ring, fore, fore_sum, NULL, NULL, first, ahead, record);
}
static __attribute__((noinline)) void filter_twice(point *x, const lanes_int *far, int start, int ring, const tap *fore, point *fore_sum,
                                                   const tap *back, point *back_sum, int first, int64_t ahead, const char *record)
{
    filter(x, far, start, ring, fore, fore_sum, back, back_sum, first, ahead, record);
}

/* Back: 256 times the values, as pairs, of which the last 40 are made. */
static __attribute__((noinline)) void values_of_block(point *z)
{
    point first = z[0];
    z[0] = (point){first.re + first.im, first.re - first.im};
    for (int k = 1; k <= 64; k++)
        join(z, k, z[fft_place[k]], z[fft_place[128 - k]]);
    fft_rest_back(z);
    for (int j = 0; j < 32; j++) {
        point out[4];
        butterfly_back(z + j, 32, j, out);
        if (j >= TAP_PAIRS - 64)
            z[j + 64] = out[2];
        z[j + 96] = out[3];
    }
}

/* The spectrum of the last 40 pairs, all else being zero. */
static __attribute__((noinline)) void spectrum_of_block(point *z)
{
    const point none = {{0}, {0}};
    for (int j = 0; j < 32; j++)
        butterfly(z + j, 32, j, none, none, j >= TAP_PAIRS - 64 ? z[j + 64] : none, z[j + 96]);
    fft_rest(z);
    point first = z[0];
    z[0] = (point){(first.re + first.im) * 2, (first.re - first.im) * 2};
    for (int k = 1; k <= 64; k++) {
        SEPARATE(z, k);
        *high = at_high;
        *low = at_low;
    }
}

/* Step 5, one partition: taps += x z*, constrained to the 176 taps of 256 that the canceller may use.  The sum is
   constrained, not what is added to it, so that what rounding leaves outside does not gather.  Adds their size. */
static __attribute__((noinline)) void learn(tap *taps, const point *x, const point *z, lanes *size_of)
{
    point w[FRAME_PAIRS];
    const point none = {{0}, {0}};
    point zero = sum(wide(taps[0]), one_by_one(x[0], z[0]));
    w[0] = (point){zero.re + zero.im, zero.re - zero.im};
    for (int k = 1; k <= 64; k++) {
        int l = fft_place[k], h = fft_place[128 - k];
        point p = wide(taps[l]), q = wide(taps[h]), xl = x[l], xh = x[h], zl = z[l], zh = z[h];
        p.re += xl.re * zl.re + xl.im * zl.im;
        p.im += xl.re * zl.im - xl.im * zl.re;
        q.re += xh.re * zh.re + xh.im * zh.im;
        q.im += xh.re * zh.im - xh.im * zh.re;
        join(w, k, p, q);
    }
    fft_rest_back(w);
    for (int j = 0; j < 32; j++) {
        point out[4];
        butterfly_back(w + j, 32, j, out);
        for (int i = 0; i < 3; i++)
            out[i] = (point){out[i].re * (1.0f / 512), out[i].im * (1.0f / 512)};
        butterfly(w + j, 32, j, out[0], out[1], j < TAP_PAIRS - 64 ? out[2] : none, none);
    }
    fft_rest(w);
    zero = w[0];
    zero = (point){(zero.re + zero.im) * 2, (zero.re - zero.im) * 2};
    taps[0] = narrow(zero);
    lanes size = zero.re * zero.re + zero.im * zero.im;
    for (int k = 1; k <= 64; k++) {
        SEPARATE(w, k);
        if (k < 64) {
            taps[high - w] = narrow(at_high);
            size += at_high.re * at_high.re + at_high.im * at_high.im;
        }
        taps[low - w] = narrow(at_low);
        size += at_low.re * at_low.re + at_low.im * at_low.im;
    }
    *size_of += size;
}
#endif
