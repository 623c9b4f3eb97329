/* A complex FFT of 128 points on lanes, in place, and its inverse (unscaled).

   Forward is decimation in frequency, radix 4, 4, 4, 2; inverse runs it backwards.  So the
   spectrum is in digit-reversed order between them and nothing is ever sorted: bin k stands
   at fft_place[k].  The caller brings the first and the last pass (fft_first, fft_last),
   because that is where windows are applied without another walk through memory. */
#ifndef STROWGER_FFT128_H
#define STROWGER_FFT128_H
#include <math.h>
#include "voice.h"

typedef struct { lanes re, im; } point;

static float fft_turn[96][2];       /* exp(-2 pi i k / 128) */
static int32_t fft_place[128];

static void fft_prepare(void)
{
    for (int k = 0; k < 96; k++) {
        fft_turn[k][0] = (float)cos(2 * M_PI * k / 128);
        fft_turn[k][1] = (float)-sin(2 * M_PI * k / 128);
    }
    for (int k = 0; k < 128; k++)   /* k = 4 (4 (4 d + c) + b) + a in digits a, b, c of 4 and d of 2 */
        fft_place[k] = (k & 3) * 32 + (k >> 2 & 3) * 8 + (k >> 4 & 3) * 2 + (k >> 6);
}

static inline point turned(point a, int k)
{
    float c = fft_turn[k][0], s = fft_turn[k][1];
    return (point){a.re * c - a.im * s, a.re * s + a.im * c};
}

static inline point turned_back(point a, int k)
{
    float c = fft_turn[k][0], s = fft_turn[k][1];
    return (point){a.re * c + a.im * s, a.im * c - a.re * s};
}

static inline point sum(point a, point b) { return (point){a.re + b.re, a.im + b.im}; }
static inline point difference(point a, point b) { return (point){a.re - b.re, a.im - b.im}; }

/* Four points `quarter` apart; step: how far a turn of this pass goes in the table. */
static inline void butterfly(point *z, int quarter, int k, point a, point b, point c, point d)
{
    point t0 = sum(a, c), t1 = difference(a, c), t2 = sum(b, d), u = difference(b, d);
    point t3 = {u.im, -u.re};
    z[0] = sum(t0, t2);
    z[quarter] = turned(sum(t1, t3), k);
    z[2 * quarter] = turned(difference(t0, t2), 2 * k);
    z[3 * quarter] = turned(difference(t1, t3), 3 * k);
}

static inline void butterfly_back(const point *z, int quarter, int k, point *out)
{
    point a = z[0], b = turned_back(z[quarter], k), c = turned_back(z[2 * quarter], 2 * k), d = turned_back(z[3 * quarter], 3 * k);
    point t0 = sum(a, c), t1 = difference(a, c), t2 = sum(b, d), u = difference(b, d);
    point t3 = {-u.im, u.re};
    out[0] = sum(t0, t2);
    out[1] = sum(t1, t3);
    out[2] = difference(t0, t2);
    out[3] = difference(t1, t3);
}

/* The last passes of the forward transform: n = 32, and n = 8 with the radix-2 pass of its pairs. */
static inline void fft_rest(point *z)
{
    for (int at = 0; at < 128; at += 32) {
        for (int j = 0; j < 8; j++) {
            point *p = z + at + j;
            butterfly(p, 8, 4 * j, p[0], p[8], p[16], p[24]);
        }
        for (int in = at; in < at + 32; in += 8) {
            point *p = z + in;
            butterfly(p, 2, 0, p[0], p[2], p[4], p[6]);
            p++;
            butterfly(p, 2, 16, p[0], p[2], p[4], p[6]);
            p--;
            for (int k = 0; k < 8; k += 2) {
                point a = p[k], b = p[k + 1];
                p[k] = sum(a, b);
                p[k + 1] = difference(a, b);
            }
        }
    }
}

static inline void fft_rest_back(point *z)
{
    point out[4];
    for (int at = 0; at < 128; at += 32) {
        for (int in = at; in < at + 32; in += 8) {
            point *p = z + in;
            for (int k = 0; k < 8; k += 2) {
                point a = p[k], b = p[k + 1];
                p[k] = sum(a, b);
                p[k + 1] = difference(a, b);
            }
            for (int j = 0; j < 2; j++, p++) {
                butterfly_back(p, 2, 16 * j, out);
                p[0] = out[0]; p[2] = out[1]; p[4] = out[2]; p[6] = out[3];
            }
        }
        for (int j = 0; j < 8; j++) {
            point *p = z + at + j;
            butterfly_back(p, 8, 4 * j, out);
            p[0] = out[0]; p[8] = out[1]; p[16] = out[2]; p[24] = out[3];
        }
    }
}
#endif
