/* The far party's correlation and what a block of errors says of the taps: steps 4 and 5 of dsp/echo.py. */
#ifndef STROWGER_ECHO_SOLVE_H
#define STROWGER_ECHO_SOLVE_H
#include "echo_state.h"

/* Step 4: what the last 80 samples add to the correlation; x: 128 samples, the last of them
   newest, those of the block before weighted by the root of the fading. */
static __attribute__((noinline)) void correlate_block(const lanes *x, lanes *correlation, float fading)
{
    const lanes *now = x + 48;
    for (int d = 0; d < 48; d += 8) {
        lanes s[8] = {{0}};
        for (int m = 0; m < BLOCK; m++)
            for (int i = 0; i < 8; i++)
                s[i] += now[m] * now[m - d - i];
        for (int i = 0; i < 8; i++)
            correlation[d + i] = correlation[d + i] * fading + s[i];
    }
    lanes s = {0};
    for (int m = 0; m < BLOCK; m++)
        s += now[m] * now[m - 48];
    correlation[48] = correlation[48] * fading + s;
}

/* Sum of n products; b is gone through forwards or (way -1) backwards.  Four sums, that the processor need not wait for one. */
static inline __attribute__((always_inline)) lanes dot(const lanes *a, const lanes *b, int way, int n)
{
    lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int j = 0;
    for (; j + 3 < n; j += 4) {
        s0 += a[j] * b[way * j];
        s1 += a[j + 1] * b[way * (j + 1)];
        s2 += a[j + 2] * b[way * (j + 2)];
        s3 += a[j + 3] * b[way * (j + 3)];
    }
    for (; j < n; j++) s0 += a[j] * b[way * j];
    return (s0 + s1) + (s2 + s3);
}

/* Step 5: error of a predictor of order 4 over the power.  A tone through A-law leaves 0.001 to 0.005 (its fading is most of
   that), speech falls below 0.01 in one block of 400. */
static inline lanes unpredicted(const lanes *correlation)
{
    lanes a[5], error = correlation[0] * 1.0001f + 1, whole = reciprocal(error), inverse = whole;
    a[0] = all_lanes(1);
    for (int n = 1; n <= 4; n++) {
        lanes k = {0};
        for (int i = 0; i < n; i++) k -= a[i] * correlation[n - i];
        k = clamp(k * inverse, -0.9999f, 0.9999f);
        a[n] = all_lanes(0);
        for (int i = 0; 2 * i <= n; i++) {
            lanes low = a[i], high = a[n - i];
            a[i] = low + k * high;
            a[n - i] = high + k * low;
        }
        error *= 1 - k * k;
        inverse = reciprocal(higher(error, all_lanes(1e-20f)));
    }
    return error * whole;
}

/* Step 5: g of (R + load) g = e; returns the trace of load (R + load)^-1, estimated. */
static __attribute__((noinline)) lanes solve(const lanes *correlation, lanes load, const lanes *e, lanes *g)
{
    lanes a[ORDER + 1], r[ORDER + 1], trace = {0}, norm = all_lanes(1);
    lanes error = correlation[0] * 1.0001f + load, inverse = reciprocal(error);
    for (int i = 0; i <= ORDER; i++)
        r[i] = correlation[ORDER - i];      /* reversed, so that both run upwards */
    a[0] = all_lanes(1);
    g[0] = e[0] * inverse;
    trace += inverse;
    for (int n = 1; n < BLOCK; n++) {
        if (n <= ORDER) {
            lanes k = -dot(a, r + ORDER - n, 1, n) * inverse;
            k = clamp(k, -0.9999f, 0.9999f);
            for (int i = 1; 2 * i <= n; i++) {
                lanes low = a[i], high = a[n - i];
                a[i] = low + k * high;
                a[n - i] = high + k * low;
            }
            a[n] = k;
            error *= 1 - k * k;
            inverse = reciprocal(higher(error, all_lanes(1e-20f)));
            if (n % 4 == 0) {
                norm = all_lanes(0);
                for (int i = 0; i <= n; i++) norm += a[i] * a[i];
            }
        }
        trace += norm * inverse;
        if (n > ORDER)
            continue;
        lanes u = dot(a, e + n, -1, n + 1) * inverse;
        lanes *to = g + n;
        *to = u;
        for (int j = 1; j <= n; j++) to[-j] += a[j] * u;
    }
    /* From here the predictor stays: eight errors, then eight values of g, at a time, so that each load of it serves
       eight and the sums do not wait for each other. */
    lanes u[BLOCK + ORDER];
    for (int i = 0; i <= ORDER; i++) u[i] = all_lanes(0);
    for (int i = BLOCK; i < BLOCK + ORDER; i++) u[i] = all_lanes(0);
    for (int n = ORDER; n < BLOCK; n += 8) {
        lanes s[8] = {{0}};
        for (int j = 0; j <= ORDER; j++)
            for (int i = 0; i < 8; i++) s[i] += a[j] * e[n - j + i];
        for (int i = n == ORDER; i < 8; i++) u[n + i] = s[i] * inverse;
    }
    for (int i = ORDER + 1; i < BLOCK; i++) g[i] = all_lanes(0);
    for (int n = 0; n < BLOCK; n += 8) {
        lanes s[8];
        for (int i = 0; i < 8; i++) s[i] = g[n + i];
        for (int j = 0; j <= ORDER; j++)
            for (int i = 0; i < 8; i++) s[i] += a[j] * u[n + j + i];
        for (int i = 0; i < 8; i++) g[n + i] = s[i];
    }
    return trace * load;
}
#endif
