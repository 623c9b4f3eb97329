/* The far party's correlation and what a block of errors says of the taps: steps 4 and 5 of dsp/echo.py. */
#ifndef STROWGER_ECHO_SOLVE_H
#define STROWGER_ECHO_SOLVE_H
#include "echo_state.h"

/* Step 4: what the last 80 samples add to the correlation; x: `order` + 80 samples, the last of them
   newest, those of the block before weighted by the root of the fading. */
static inline __attribute__((always_inline)) void correlate_lags(const lanes *x, lanes *correlation, float fading, const int order)
{
    const lanes *now = x + order;
    for (int d = 0; d < order; d += 8) {
        lanes s[8] = {{0}};
        for (int m = 0; m < BLOCK; m++)
            for (int i = 0; i < 8; i++)
                s[i] += now[m] * now[m - d - i];
        for (int i = 0; i < 8; i++)
            correlation[d + i] = correlation[d + i] * fading + s[i];
    }
    lanes s = {0};
    for (int m = 0; m < BLOCK; m++)
        s += now[m] * now[m - order];
    correlation[order] = correlation[order] * fading + s;
}
static __attribute__((noinline)) void correlate_block(const lanes *x, lanes *correlation, float fading)
{
    correlate_lags(x, correlation, fading, ORDER);
}
static __attribute__((noinline)) void correlate_long(const lanes *x, lanes *correlation, float fading)
{
    correlate_lags(x, correlation, fading, LONG_ORDER);
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

/* Step 5: g of (R + load) g = e; returns the trace of load (R + load)^-1, estimated.

   The predictor a of order n - 1 becomes that of order n in one walk from both its ends, which also takes its part in g by the
   error that it left (u), and sums what the next order will need: its own error of e, and the next reflection k.
   So each value is loaded once an order. */
static inline __attribute__((always_inline)) lanes solve_order(const lanes *correlation, lanes load, const lanes *e, lanes *g, const int order)
{
    lanes a[LONG_ORDER + 4], trace, norm = all_lanes(1);
    lanes error = correlation[0] * 1.0001f + load, inverse = reciprocal(error), u = e[0] * inverse, k_sum = correlation[1];
    a[0] = all_lanes(1);
    for (int i = 1; i < order + 4; i++) a[i] = all_lanes(0);
    for (int i = 0; i < BLOCK; i++) g[i] = all_lanes(0);
    trace = inverse;
    for (int n = 1; n <= order; n++) {
        const int next = n < order ? n + 1 : n;         /* the last order has no next: what it sums is not used */
        lanes k = clamp(-k_sum * inverse, -0.9999f, 0.9999f);
        lanes u_low = e[n] + k * e[0], u_high = {0}, k_low = correlation[next] + k * correlation[1], k_high = {0};
        g[n - 1] += u;
        int i = 1;
        for (; 2 * i < n; i++) {
            lanes low = a[i], high = a[n - i];
            g[n - 1 - i] += low * u;
            g[i - 1] += high * u;
            lanes new_low = low + k * high, new_high = high + k * low;
            a[i] = new_low;
            a[n - i] = new_high;
            u_low += new_low * e[n - i];
            u_high += new_high * e[i];
            k_low += new_low * correlation[next - i];
            k_high += new_high * correlation[next - n + i];
        }
        if (2 * i == n) {
            lanes middle = a[i];
            g[i - 1] += middle * u;
            a[i] = middle += k * middle;
            u_low += middle * e[i];
            k_low += middle * correlation[next - i];
        }
        a[n] = k;
        error *= 1 - k * k;
        inverse = reciprocal(higher(error, all_lanes(1e-20f)));
        u = (u_low + u_high) * inverse;
        k_sum = k_low + k_high;
        if (n % 4 == 0) {
            norm = all_lanes(0);
            for (int j = 0; j <= n; j++) norm += a[j] * a[j];
        }
        trace += norm * inverse;
    }
    /* From here the predictor stays: eight errors, then eight values of g, at a time, so that each load of it serves
       eight and the sums do not wait for each other. */
    lanes errors[BLOCK + LONG_ORDER + 8];
    for (int i = 0; i < order; i++) errors[i] = all_lanes(0);
    for (int i = BLOCK; i < BLOCK + order + 8; i++) errors[i] = all_lanes(0);
    for (int n = order; n < BLOCK; n += 8) {
        lanes s[8];
        for (int i = 0; i < 8; i++) s[i] = e[n + i];
        #pragma GCC unroll 4
        for (int j = 1; j <= order; j++)
            for (int i = 0; i < 8; i++) s[i] += a[j] * e[n - j + i];
        for (int i = 0; i < 8; i++) errors[n + i] = s[i] * inverse;
    }
    for (int n = 0; n < BLOCK; n += 8) {
        const int begin = n + 7 < order ? (order - n - 7) & ~3 : 0, end = n + order < BLOCK ? order + 4 : BLOCK - n;   /* beyond these are zeros */
        lanes s[8];
        for (int i = 0; i < 8; i++) s[i] = g[n + i];
        #pragma GCC unroll 4
        for (int j = begin; j < end; j++)
            for (int i = 0; i < 8; i++) s[i] += a[j] * errors[n + j + i];
        for (int i = 0; i < 8; i++) g[n + i] = s[i];
    }
    return (trace + (float)(BLOCK - 1 - order) * norm * inverse) * load;
}
static __attribute__((noinline)) lanes solve(const lanes *correlation, lanes load, const lanes *e, lanes *g)
{
    return solve_order(correlation, load, e, g, ORDER);
}
static __attribute__((noinline)) lanes solve_long(const lanes *correlation, lanes load, const lanes *e, lanes *g)
{
    return solve_order(correlation, load, e, g, LONG_ORDER);
}
#endif
