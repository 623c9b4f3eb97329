/* State of a group of the echo canceller: control values, a ring of far samples and two sets of taps in one run of memory;
   see echo.h. */
#ifndef STROWGER_ECHO_STATE_H
#define STROWGER_ECHO_STATE_H
#include <stddef.h>
#include "fft128.h"

enum { TAPS = 176, TAP_PAIRS = TAPS / 2, FRAME_PAIRS = 128, ORDER = 48, LONG_ORDER = 72 /* of the long tail */, MOST_PARTITIONS = 6,
       CLOSED = 1, NLP_OFF = 2, FREEZE = 4, NOISE_OFF = 8, SPARE = 16 /* times 0 to 3 */ };

/* One lane a channel; echo.CONTROL names them in this order. */
typedef struct {
    lanes p, fore_power, back_power, apart_power, expected_power, fore_slow, back_slow, near_slow, far_power,
        floor_now, floor_past, floor_mean, ticks, since, surprise, rescue, p_before, young, converged, offset, gain,
        spoken, near_hold, far_peak, floor, active, back_better, seen, size, tries, age, hits, foreign, settled, learnt, blank;
    lanes_int seed;
} control;

#if defined(__F16C__)
typedef int16_t half __attribute__((vector_size(2 * LANES)));
#if LANES == 16
static inline lanes widened(half a) { return (lanes)_mm512_cvtph_ps((__m256i)a); }
static inline half narrowed(lanes a) { return (half)_mm512_cvtps_ph((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
#else
static inline lanes widened(half a) { return (lanes)_mm256_cvtph_ps((__m128i)a); }
static inline half narrowed(lanes a) { return (half)_mm256_cvtps_ph((__m256)a, _MM_FROUND_TO_NEAREST_INT); }
#endif
static inline half chosen_half(lanes_int mask, half a, half b)
{
    half m = __builtin_convertvector(mask, half);
    return (a & m) | (b & ~m);
}
#else
typedef lanes half;
static inline lanes widened(half a) { return a; }
static inline half narrowed(lanes a) { return a; }
static inline half chosen_half(lanes_int mask, half a, half b) { return choose(mask, a, b); }
#endif
typedef struct { half re, im; } tap;
static inline point wide(tap a) { return (point){widened(a.re), widened(a.im)}; }
static inline tap narrow(point a) { return (tap){narrowed(a.re), narrowed(a.im)}; }
/* An infinite tap would stay so: half precision ends at 65504. */
static const float LARGEST = 6e4f;
static inline point limited(point a) { return (point){clamp(a.re, -LARGEST, LARGEST), clamp(a.im, -LARGEST, LARGEST)}; }

typedef struct {
    control c;
    lanes_int turn;     /* blocks so far, the same in all lanes: place in the ring, and which of them rested lanes learn in */
    /* lanes correlation[order + 1], lanes_int far[ring_pairs], tap fore[128 a partition], tap back[128 a partition] follow */
    lanes rest[];
} echo_group;

/* 88 pairs a partition and 128 are looked at; whole blocks, a power of two of them. */
static inline int64_t ring_pairs(int64_t partitions) { return partitions <= 3 ? 8 * PAIRS : 16 * PAIRS; }
static inline int order_of(int64_t partitions) { return partitions <= 3 ? ORDER : LONG_ORDER; }
static inline lanes_int *far_of(echo_group *g, int64_t partitions) { return (lanes_int *)(g->rest + order_of(partitions) + 1); }
static inline tap *fore_of(echo_group *g, int64_t partitions) { return (tap *)(far_of(g, partitions) + ring_pairs(partitions)); }
static inline tap *back_of(echo_group *g, int64_t partitions) { return fore_of(g, partitions) + FRAME_PAIRS * partitions; }
static int64_t echo_group_octets(int64_t partitions)
{
    return sizeof(echo_group) + sizeof(lanes) * (order_of(partitions) + 1 + ring_pairs(partitions)) + 2 * sizeof(tap) * FRAME_PAIRS * partitions;
}
static inline echo_group *group_at(void *state, int64_t group, int64_t partitions)
{
    return (echo_group *)((char *)state + group * echo_group_octets(partitions));
}

static inline lanes energy(const lanes *x)
{
    lanes s0 = {0}, s1 = {0};
    for (int i = 0; i < BLOCK; i += 2) { s0 += x[i] * x[i]; s1 += x[i + 1] * x[i + 1]; }
    return (s0 + s1) * (1.0f / BLOCK);
}

static inline void copy_chosen(tap *to, const tap *from, int64_t n, lanes_int mask)
{
    for (int64_t i = 0; i < n; i++) {
        to[i].re = chosen_half(mask, from[i].re, to[i].re);
        to[i].im = chosen_half(mask, from[i].im, to[i].im);
    }
}

static inline void clear_chosen(tap *taps, int64_t n, lanes_int mask)
{
    const tap nothing = {{0}, {0}};
    for (int64_t i = 0; i < n; i++) {
        taps[i].re = chosen_half(mask, nothing.re, taps[i].re);
        taps[i].im = chosen_half(mask, nothing.im, taps[i].im);
    }
}

static inline lanes any(lanes_int mask) { return choose(mask, all_lanes(1), all_lanes(0)); }
static inline int none_of(lanes_int mask)
{
    int32_t found = 0;
    for (int i = 0; i < LANES; i++) found |= mask[i];
    return !found;
}
#endif
