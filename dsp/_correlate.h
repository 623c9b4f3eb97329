/* Correlation of a block of 80 samples with 16 tables, in integers.
   The 16 correlations are the lanes of a vector: a pair of samples is spread over it
   and multiplied with the pair of coefficients of every lane (pmaddwd).  Coefficients
   of at most +/-1024 keep the sums within 32 bits for any input. */
#ifndef STROWGER_CORRELATE_H
#define STROWGER_CORRELATE_H
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#define PAIRS 40

static inline int32_t pair_at(const int16_t *x) { int32_t pair; memcpy(&pair, x, 4); return pair; }

/* table: [pair of samples][lane][first, second], 64-octet aligned */
static inline void correlate(const int16_t *x, const int16_t *pair_table, int32_t *sums)
{
#if defined(__AVX512BW__)
    __m512i a = _mm512_setzero_si512(), b = a;
    for (int i = 0; i < PAIRS; i += 2) {
        a = _mm512_add_epi32(a, _mm512_madd_epi16(_mm512_set1_epi32(pair_at(x + 2 * i)), _mm512_load_si512(pair_table + 32 * i)));
        b = _mm512_add_epi32(b, _mm512_madd_epi16(_mm512_set1_epi32(pair_at(x + 2 * i + 2)), _mm512_load_si512(pair_table + 32 * i + 32)));
    }
    _mm512_storeu_si512(sums, _mm512_add_epi32(a, b));
#elif defined(__AVX2__)
    __m256i a = _mm256_setzero_si256(), b = a;
    for (int i = 0; i < PAIRS; i++) {
        __m256i pair = _mm256_set1_epi32(pair_at(x + 2 * i));
        const __m256i *table = (const __m256i *)(pair_table + 32 * i);
        a = _mm256_add_epi32(a, _mm256_madd_epi16(pair, table[0]));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(pair, table[1]));
    }
    _mm256_storeu_si256((__m256i *)sums, a);
    _mm256_storeu_si256((__m256i *)sums + 1, b);
#elif defined(__SSE2__)
    __m128i a = _mm_setzero_si128(), b = a, c = a, d = a;
    for (int i = 0; i < PAIRS; i++) {
        __m128i pair = _mm_set1_epi32(pair_at(x + 2 * i));
        const __m128i *table = (const __m128i *)(pair_table + 32 * i);
        a = _mm_add_epi32(a, _mm_madd_epi16(pair, table[0]));
        b = _mm_add_epi32(b, _mm_madd_epi16(pair, table[1]));
        c = _mm_add_epi32(c, _mm_madd_epi16(pair, table[2]));
        d = _mm_add_epi32(d, _mm_madd_epi16(pair, table[3]));
    }
    _mm_storeu_si128((__m128i *)sums, a);
    _mm_storeu_si128((__m128i *)sums + 1, b);
    _mm_storeu_si128((__m128i *)sums + 2, c);
    _mm_storeu_si128((__m128i *)sums + 3, d);
#else
    for (int k = 0; k < 16; k++)
        sums[k] = 0;
    for (int i = 0; i < PAIRS; i++)
        for (int k = 0; k < 16; k++)
            sums[k] += x[2 * i] * pair_table[32 * i + 2 * k] + x[2 * i + 1] * pair_table[32 * i + 2 * k + 1];
#endif
}

/* The same for tables that are counted from the middle of the block: cosines are alike on both sides of it, sines opposite.  So
   samples as far before as after it are added for the one and subtracted for the other, halved to stay in 16 bits (which loses
   nothing of what G.711 can say), and half the products are left.  folded: [pair][sum, sum, difference, difference] from the middle outwards. */
#define FOLDED_PAIRS 20
typedef int16_t eight __attribute__((vector_size(16), may_alias, aligned(2)));
typedef int32_t four __attribute__((vector_size(16), may_alias, aligned(2)));
static inline void fold(const int16_t *x, int16_t *folded)
{
    for (int i = 0; i < 40; i += 8) {
        eight after = *(const eight *)(x + 40 + i) >> 1, before = *(const eight *)(x + 32 - i) >> 1;
        before = __builtin_shuffle(before, (eight){7, 6, 5, 4, 3, 2, 1, 0});
        eight sum = after + before, difference = after - before;
        *(four *)(folded + 2 * i) = __builtin_shuffle((four)sum, (four)difference, (four){0, 4, 1, 5});
        *(four *)(folded + 2 * i + 8) = __builtin_shuffle((four)sum, (four)difference, (four){2, 6, 3, 7});
    }
}

/* Four folded blocks, so that each load of the table serves all of them.  table: [pair][cosine, sine by turns][first, second],
   64-octet aligned; sums by turns, too. */
static inline void correlate_folded(const int16_t (*folded)[2 * PAIRS], const int16_t *table, int32_t (*sums)[16])
{
#if defined(__AVX512BW__)
    __m512i s[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    #pragma GCC unroll 5
    for (int i = 0; i < FOLDED_PAIRS; i++)
        for (int k = 0; k < 4; k++) {
            int64_t pairs;
            memcpy(&pairs, folded[k] + 4 * i, 8);
            s[k] = _mm512_add_epi32(s[k], _mm512_madd_epi16(_mm512_set1_epi64(pairs), _mm512_load_si512(table + 32 * i)));
        }
    for (int k = 0; k < 4; k++) _mm512_storeu_si512(sums[k], s[k]);
#elif defined(__AVX2__)
    __m256i s[8];
    for (int k = 0; k < 8; k++) s[k] = _mm256_setzero_si256();
    for (int i = 0; i < FOLDED_PAIRS; i++) {
        const __m256i *at = (const __m256i *)(table + 32 * i), low = at[0], high = at[1];
        for (int k = 0; k < 4; k++) {
            int64_t pairs;
            memcpy(&pairs, folded[k] + 4 * i, 8);
            s[2 * k] = _mm256_add_epi32(s[2 * k], _mm256_madd_epi16(_mm256_set1_epi64x(pairs), low));
            s[2 * k + 1] = _mm256_add_epi32(s[2 * k + 1], _mm256_madd_epi16(_mm256_set1_epi64x(pairs), high));
        }
    }
    for (int k = 0; k < 8; k++) _mm256_storeu_si256((__m256i *)sums + k, s[k]);
#else
    for (int k = 0; k < 4; k++) {
        const int16_t *x = folded[k];
        for (int lane = 0; lane < 16; lane++) sums[k][lane] = 0;
        for (int i = 0; i < FOLDED_PAIRS; i++) {
#if defined(__SSE2__)
            __m128i pairs = _mm_loadl_epi64((const __m128i *)(x + 4 * i)), *s = (__m128i *)sums[k];
            pairs = _mm_unpacklo_epi64(pairs, pairs);
            for (int part = 0; part < 4; part++)
                _mm_storeu_si128(s + part, _mm_add_epi32(_mm_loadu_si128(s + part), _mm_madd_epi16(pairs, ((const __m128i *)(table + 32 * i))[part])));
#else
            for (int lane = 0; lane < 16; lane++)
                sums[k][lane] += x[4 * i + 2 * (lane & 1)] * table[32 * i + 2 * lane] + x[4 * i + 2 * (lane & 1) + 1] * table[32 * i + 2 * lane + 1];
#endif
        }
    }
#endif
}

/* Sum of (x >> 3)^2, which fits 32 bits for any input. */
static inline int32_t energy_of(const int16_t *x)
{
    int32_t sum = 0;
    for (int i = 0; i < 2 * PAIRS; i++) {
        int16_t y = x[i] >> 3;
        sum += y * y;
    }
    return sum;
}

/* The greatest |sum|^2 of the first four tones, plus that of the other four. */
static inline float loudest_pair(const int32_t *sums, float scale)
{
#if defined(__AVX2__)
    __m256 low = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)sums)), high = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)sums + 1));
    __m256 power = _mm256_hadd_ps(_mm256_mul_ps(low, low), _mm256_mul_ps(high, high));      /* low 0, 1, high 0, 1, low 2, 3, high 2, 3 */
    __m128 greatest = _mm_max_ps(_mm256_castps256_ps128(power), _mm256_extractf128_ps(power, 1));
    greatest = _mm_mul_ps(_mm_max_ps(greatest, _mm_movehdup_ps(greatest)), _mm_set1_ps(scale));
    return _mm_cvtss_f32(_mm_add_ss(greatest, _mm_movehl_ps(greatest, greatest)));
#else
    float greatest[2] = {0, 0};
    for (int k = 0; k < 8; k++) {
        float re = (float)sums[2 * k], im = (float)sums[2 * k + 1], power = re * re + im * im;
        greatest[k / 4] = power > greatest[k / 4] ? power : greatest[k / 4];
    }
    return greatest[0] * scale + greatest[1] * scale;
#endif
}

static inline void fetch_block(const int16_t *x)
{
    for (int i = 0; i < 2 * PAIRS; i += 32) __builtin_prefetch(x + i);
}

/* Energy, and the sum of products of neighbours, both of x >> 3. */
static inline void energy_and_lag(const int16_t *x, int32_t *energy, int32_t *lag)
{
#if defined(__AVX2__)
    const __m256i all_but_first = _mm256_insert_epi16(_mm256_set1_epi16(-1), 0, 0);
    __m256i e = _mm256_setzero_si256(), l = e;
    for (int i = 0; i < 80; i += 16) {
        __m256i now = _mm256_srai_epi16(_mm256_loadu_si256((const __m256i *)(x + i)), 3), before;
        if (i < 64) {
            __m256i after = _mm256_srai_epi16(_mm256_loadu_si256((const __m256i *)(x + i + 1)), 3);
            l = _mm256_add_epi32(l, _mm256_madd_epi16(now, after));
        } else {            /* to the last sample and not beyond: its neighbour before it, of which the first was counted */
            before = _mm256_and_si256(_mm256_srai_epi16(_mm256_loadu_si256((const __m256i *)(x + i - 1)), 3), all_but_first);
            l = _mm256_add_epi32(l, _mm256_madd_epi16(before, now));
        }
        e = _mm256_add_epi32(e, _mm256_madd_epi16(now, now));
    }
    __m256i both = _mm256_hadd_epi32(e, l);
    __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sums = _mm_hadd_epi32(sums, sums);
    *energy = _mm_cvtsi128_si32(sums);
    *lag = _mm_extract_epi32(sums, 1);
#else
    int32_t sum = 0;
    for (int i = 0; i < 2 * PAIRS - 1; i++) {
        int16_t now = x[i] >> 3, after = x[i + 1] >> 3;
        sum += now * after;
    }
    *energy = energy_of(x);
    *lag = sum;
#endif
}
#endif
