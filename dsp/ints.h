/* Integers of 32 bits side by side, one a channel: what the coders of G.726 and G.722 count with. */

#ifndef STROWGER_INTS_H
#define STROWGER_INTS_H

#include "lanes.h"

typedef int32_t ints __attribute__((vector_size(VECTOR_OCTETS)));
typedef float floats __attribute__((vector_size(VECTOR_OCTETS)));
typedef uint16_t halves __attribute__((vector_size(VECTOR_OCTETS)));
typedef int16_t narrow __attribute__((vector_size(VECTOR_OCTETS / 2)));
typedef uint16_t unsigned_narrow __attribute__((vector_size(VECTOR_OCTETS / 2)));

#define INLINE static inline __attribute__((always_inline))
INLINE ints choose(ints mask, ints a, ints b) { return (a & mask) | (b & ~mask); }
#if VECTOR_OCTETS == 64
INLINE ints smaller(ints a, ints b) { return (ints)_mm512_min_epi32((__m512i)a, (__m512i)b); }
INLINE ints larger(ints a, ints b) { return (ints)_mm512_max_epi32((__m512i)a, (__m512i)b); }
INLINE floats at_least_half(floats a) { return (floats)_mm512_max_ps((__m512)a, _mm512_set1_ps(0.5f)); }
INLINE ints look_up(const int32_t *table, ints i) { return (ints)_mm512_permutexvar_epi32((__m512i)i, _mm512_load_si512(table)); }
#elif VECTOR_OCTETS == 32
INLINE ints smaller(ints a, ints b) { return (ints)_mm256_min_epi32((__m256i)a, (__m256i)b); }
INLINE ints larger(ints a, ints b) { return (ints)_mm256_max_epi32((__m256i)a, (__m256i)b); }
INLINE floats at_least_half(floats a) { return (floats)_mm256_max_ps((__m256)a, _mm256_set1_ps(0.5f)); }
INLINE ints look_up(const int32_t *table, ints i)
{
    ints low = (ints)_mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i *)table), (__m256i)i);
    ints high = (ints)_mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i *)(table + 8)), (__m256i)i);
    return choose((ints)(i > 7), high, low);
}
#else
#if defined(__SSE4_1__)
INLINE ints smaller(ints a, ints b) { return (ints)_mm_min_epi32((__m128i)a, (__m128i)b); }
INLINE ints larger(ints a, ints b) { return (ints)_mm_max_epi32((__m128i)a, (__m128i)b); }
#else
INLINE ints smaller(ints a, ints b) { return choose((ints)(a < b), a, b); }
INLINE ints larger(ints a, ints b) { return choose((ints)(a > b), a, b); }
#endif
INLINE floats at_least_half(floats a) { return (floats)larger((ints)a, (ints)((floats){0} + 0.5f)); }     /* a >= 0 */
INLINE ints look_up(const int32_t *table, ints i) { return (ints){table[i[0]], table[i[1]], table[i[2]], table[i[3]]}; }
#endif
INLINE ints clamp(ints a, ints low, ints high) { return smaller(larger(a, low), high); }
INLINE ints absolute(ints a) { ints s = a >> 31; return (a ^ s) - s; }
INLINE ints negated(ints a, ints mask) { return (a ^ mask) - mask; }
INLINE ints signed16(ints a) { return (a << 16) >> 16; }
INLINE ints product(ints a, ints b) { return (ints)((halves)a * (halves)b); }     /* of numbers below 256 */
INLINE ints float_bits(ints a) { return (ints)__builtin_convertvector(a, floats); }

INLINE ints from_narrow(const uint16_t *x) { narrow a; memcpy(&a, x, sizeof a); return __builtin_convertvector(a, ints); }
INLINE ints from_unsigned(const uint16_t *x) { unsigned_narrow a; memcpy(&a, x, sizeof a); return __builtin_convertvector(a, ints); }
INLINE void to_narrow(uint16_t *x, ints a) { unsigned_narrow n = __builtin_convertvector(a, unsigned_narrow); memcpy(x, &n, sizeof n); }

/* Any table, one element a channel; all indices are inside it. */
#if VECTOR_OCTETS == 64
INLINE ints gather(const int32_t *table, ints i) { return (ints)_mm512_i32gather_epi32((__m512i)i, table, 4); }
#elif VECTOR_OCTETS == 32
INLINE ints gather(const int32_t *table, ints i) { return (ints)_mm256_i32gather_epi32((const int *)table, (__m256i)i, 4); }
#else
INLINE ints gather(const int32_t *table, ints i) { return look_up(table, i); }
#endif
INLINE ints saturated(ints a) { return clamp(a, (ints){0} - 32768, (ints){0} + 32767); }

#endif
