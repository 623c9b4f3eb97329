/* Lanes: one vector element per channel.  A group is LANES channels of neighbouring slots,
   whose state is one run of memory [field][lane].  LANES is what a register of the level
   holds, because GCC lowers wider vectors badly.

   Samples stand in pairs: pair p of a lane is an int32 with sample 2p in its low half and
   2p + 1 in its high half.  So 16-bit rows turn to lanes as 32-bit elements, half the
   shuffles, and a real FFT finds its real and imaginary parts there. */
#ifndef STROWGER_VOICE_H
#define STROWGER_VOICE_H
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
#define BLOCK 80
#define PAIRS 40

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t lanes_int __attribute__((vector_size(4 * LANES)));

static inline lanes all_lanes(float a) { return a - (lanes){0}; }
static inline lanes choose(lanes_int mask, lanes a, lanes b) { return (lanes)(((lanes_int)a & mask) | ((lanes_int)b & ~mask)); }

#if defined(__AVX512F__)
static inline lanes lower(lanes a, lanes b) { return (lanes)_mm512_min_ps((__m512)a, (__m512)b); }
static inline lanes higher(lanes a, lanes b) { return (lanes)_mm512_max_ps((__m512)a, (__m512)b); }
static inline lanes near_reciprocal(lanes a) { return (lanes)_mm512_rcp14_ps((__m512)a); }
#elif defined(__AVX2__)
static inline lanes lower(lanes a, lanes b) { return (lanes)_mm256_min_ps((__m256)a, (__m256)b); }
static inline lanes higher(lanes a, lanes b) { return (lanes)_mm256_max_ps((__m256)a, (__m256)b); }
static inline lanes near_reciprocal(lanes a) { return (lanes)_mm256_rcp_ps((__m256)a); }
#elif defined(__SSE2__)
static inline lanes lower(lanes a, lanes b) { return (lanes)_mm_min_ps((__m128)a, (__m128)b); }
static inline lanes higher(lanes a, lanes b) { return (lanes)_mm_max_ps((__m128)a, (__m128)b); }
static inline lanes near_reciprocal(lanes a) { return (lanes)_mm_rcp_ps((__m128)a); }
#else
static inline lanes lower(lanes a, lanes b) { return choose(a < b, a, b); }
static inline lanes higher(lanes a, lanes b) { return choose(a > b, a, b); }
static inline lanes near_reciprocal(lanes a) { return 1 / a; }
#endif

static inline lanes clamp(lanes a, float low, float high) { return lower(higher(a, all_lanes(low)), all_lanes(high)); }

/* 1 / a for 1e-30 < a < 1e30; a relative error of some 1e-7 (one Newton step). */
static inline lanes reciprocal(lanes a) { lanes r = near_reciprocal(a); return r * (2 - a * r); }

/* Nearest integer for |a| < 2^22: the sum leaves no room for a fraction. */
static inline lanes nearest(lanes a) { return (a + 12582912.0f) - 12582912.0f; }

/* 2^a for -126 < a < 126, relative error below 3e-7 (polynomial fitted on +-0.5). */
static inline lanes power_of_2(lanes a)
{
#if defined(__AVX512F__)
    lanes whole = (lanes)_mm512_roundscale_ps((__m512)a, 0), f = a - whole;
#else
    lanes whole = nearest(a), f = a - whole;
#endif
    lanes p = 1.3333558e-3f * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
#if defined(__AVX512F__)
    return (lanes)_mm512_scalef_ps((__m512)p, (__m512)whole);
#else
    return (lanes)((lanes_int)p + (__builtin_convertvector(whole, lanes_int) << 23));
#endif
}

/* log2(a) for normal a > 0, absolute error below 2e-6: log2((1 + t) / (1 - t)) as a series in t. */
static inline lanes logarithm_2(lanes a)
{
    lanes_int bits = (lanes_int)a - 0x3F3504F3;             /* mantissa to 0.707 .. 1.414 */
    lanes_int exponent = bits >> 23;
    lanes m = (lanes)((bits & 0x7FFFFF) + 0x3F3504F3);
    lanes t = (m - 1) * reciprocal(m + 1), t2 = t * t;
    return __builtin_convertvector(exponent, lanes) + t * (2.8853901f + t2 * (0.96179669f + t2 * (0.57707802f + t2 * 0.41219858f)));
}

/* Two positive numbers in one 32-bit word, 8 bits of mantissa each (the upper half of a float). */
static inline lanes_int pack(lanes high, lanes low)
{
    lanes_int h = ((lanes_int)high + 0x8000) & ~0xFFFF, l = (lanes_int)low + 0x8000;
    return h | (l >> 16);
}
static inline lanes packed_high(lanes_int v) { return (lanes)(v & ~0xFFFF); }
static inline lanes packed_low(lanes_int v) { return (lanes)(v << 16); }

static inline lanes even_samples(lanes_int v) { return __builtin_convertvector((v << 16) >> 16, lanes); }
static inline lanes odd_samples(lanes_int v) { return __builtin_convertvector(v >> 16, lanes); }

/* Two samples a lane, rounded and saturated. */
static inline lanes_int pair_of(lanes even, lanes odd)
{
    lanes_int low = __builtin_convertvector(nearest(clamp(even, -32768, 32767)), lanes_int);
    lanes_int high = __builtin_convertvector(nearest(clamp(odd, -32768, 32767)), lanes_int);
    return (high << 16) | (low & 0xFFFF);
}

/* Transpose LANES x LANES elements: a row and the one half the square further on are
   interleaved, log2(LANES) times. */
static inline void turn_square(lanes_int *v)
{
#if LANES == 16
    const lanes_int low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
    const int rounds = 4;
#elif LANES == 8
    const lanes_int low = {0, 8, 1, 9, 2, 10, 3, 11};
    const int rounds = 3;
#else
    const lanes_int low = {0, 4, 1, 5};
    const int rounds = 2;
#endif
    const lanes_int high = low + LANES / 2;
    lanes_int u[LANES];
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < LANES / 2; i++) {
            u[2 * i] = __builtin_shuffle(v[i], v[i + LANES / 2], low);
            u[2 * i + 1] = __builtin_shuffle(v[i], v[i + LANES / 2], high);
        }
        for (int i = 0; i < LANES; i++)
            v[i] = u[i];
    }
}

/* The first pair of each square; 40 pairs are no multiple of 16, so the last square overlaps. */
static inline int square_at(int i) { return i * LANES + LANES <= PAIRS ? i * LANES : PAIRS - LANES; }
#define SQUARES ((PAIRS + LANES - 1) / LANES)

static inline void rows_to_lanes(int16_t *const *row, lanes_int *pairs)
{
    for (int i = 0; i < SQUARES; i++) {
        lanes_int v[LANES];
        int at = square_at(i);
        for (int k = 0; k < LANES; k++)
            memcpy(&v[k], row[k] + 2 * at, sizeof v[k]);
        turn_square(v);
        for (int k = 0; k < LANES; k++)
            pairs[at + k] = v[k];
    }
}

static inline void lanes_to_rows(const lanes_int *pairs, int16_t *const *row)
{
    for (int i = 0; i < SQUARES; i++) {
        lanes_int v[LANES];
        int at = square_at(i);
        for (int k = 0; k < LANES; k++)
            v[k] = pairs[at + k];
        turn_square(v);
        for (int k = 0; k < LANES; k++)
            memcpy(row[k] + 2 * at, &v[k], sizeof v[k]);
    }
}

/* The rows of the next group in a list of (slot, row); rows of lanes that are not named are
   `other`, a row that nobody needs.  Returns how many entries were taken: they stop where the
   group ends, or names a slot a second time. */
static inline int64_t next_group(const int32_t *slot, const int32_t *row, int64_t n, int16_t *x, int64_t x_stride,
                                 int16_t *other, int16_t **rows, lanes_int *named, int64_t *group)
{
    int32_t mask[LANES] = {0};
    int64_t taken = 0;
    *group = slot[0] / LANES;
    for (int k = 0; k < LANES; k++)
        rows[k] = other;
    while (taken < n && slot[taken] / LANES == *group && !mask[slot[taken] % LANES]) {
        rows[slot[taken] % LANES] = x + x_stride * row[taken];
        mask[slot[taken] % LANES] = -1;
        taken++;
    }
    memcpy(named, mask, sizeof mask);
    return taken;
}

/* Put new lanes beside old ones: those that were not named keep what they had. */
static inline void keep_others(lanes *state, const lanes *work, int64_t n, lanes_int named)
{
    for (int64_t i = 0; i < n; i++)
        state[i] = choose(named, work[i], state[i]);
}

/* Filters that die away reach denormal numbers, which are slow: flush them while a kernel runs. */
#if defined(__SSE2__)
static inline unsigned int flush_denormals(void) { unsigned int old = _mm_getcsr(); _mm_setcsr(old | 0x8040); return old; }
static inline void restore_denormals(unsigned int old) { _mm_setcsr(old); }
#else
static inline unsigned int flush_denormals(void) { return 0; }
static inline void restore_denormals(unsigned int old) { (void)old; }
#endif
#endif
