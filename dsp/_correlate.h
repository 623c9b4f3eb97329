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
#endif
