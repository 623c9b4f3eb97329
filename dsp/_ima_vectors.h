/* Vectors of octets and of words for the coders of IMA and VOX, and where a step is found by its number: by octet shuffles in tables
   that stay in registers, or by word shuffles where a processor has them. */
#ifndef STROWGER_IMA_VECTORS_H
#define STROWGER_IMA_VECTORS_H
#include "lanes.h"

#define LANES VECTOR_OCTETS      /* channels whose step numbers are one vector */

typedef uint8_t octets __attribute__((vector_size(VECTOR_OCTETS)));
typedef uint16_t words __attribute__((vector_size(VECTOR_OCTETS), may_alias));

static uint16_t step_table[96] __attribute__((aligned(64)));
static uint8_t step_octets[2][128] __attribute__((aligned(64)));

static void set_step(int index, int value)
{
    step_table[index] = value;
    step_octets[0][index] = value & 255;
    step_octets[1][index] = value >> 8;
}

/* Two vectors of words hold the channels of one vector of octets; in which
   order does not matter, as long as `narrow` undoes `widen`. */
#if VECTOR_OCTETS == 64
static inline words min_words(words a, words b) { return (words)_mm512_min_epu16((__m512i)a, (__m512i)b); }
static inline octets min_octets(octets a, octets b) { return (octets)_mm512_min_epu8((__m512i)a, (__m512i)b); }
static inline octets max_octets(octets a, octets b) { return (octets)_mm512_max_epu8((__m512i)a, (__m512i)b); }
static inline octets narrow(words a, words b) { return (octets)_mm512_packus_epi16((__m512i)a, (__m512i)b); }
static inline words widen_low(octets a, octets b) { return (words)_mm512_unpacklo_epi8((__m512i)a, (__m512i)b); }
static inline words widen_high(octets a, octets b) { return (words)_mm512_unpackhi_epi8((__m512i)a, (__m512i)b); }
static inline octets look_up(const uint8_t *table, octets i)
{ return (octets)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table)), (__m512i)i); }
static inline words word_table(words i)
{
    __m512i low = _mm512_permutex2var_epi16(_mm512_load_si512(step_table), (__m512i)i, _mm512_load_si512(step_table + 32));
    __m512i high = _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)(step_table + 64)));
    high = _mm512_inserti64x4(high, _mm256_load_si256((const __m256i *)(step_table + 80)), 1);
    return (words)_mm512_mask_permutexvar_epi16(low, _mm512_cmpgt_epu16_mask((__m512i)i, _mm512_set1_epi16(63)), (__m512i)i, high);
}
static inline void find_steps(octets index, words *low, words *high)
{
    *low = word_table(widen_low(index, (octets){0}));
    *high = word_table(widen_high(index, (octets){0}));
}
#else
#if VECTOR_OCTETS == 32
static inline words min_words(words a, words b) { return (words)_mm256_min_epu16((__m256i)a, (__m256i)b); }
static inline octets min_octets(octets a, octets b) { return (octets)_mm256_min_epu8((__m256i)a, (__m256i)b); }
static inline octets max_octets(octets a, octets b) { return (octets)_mm256_max_epu8((__m256i)a, (__m256i)b); }
static inline octets add_saturated(octets a, octets b) { return (octets)_mm256_adds_epu8((__m256i)a, (__m256i)b); }
static inline octets narrow(words a, words b) { return (octets)_mm256_packus_epi16((__m256i)a, (__m256i)b); }
static inline words widen_low(octets a, octets b) { return (words)_mm256_unpacklo_epi8((__m256i)a, (__m256i)b); }
static inline words widen_high(octets a, octets b) { return (words)_mm256_unpackhi_epi8((__m256i)a, (__m256i)b); }
static inline octets look_up(const uint8_t *table, octets i)
{ return (octets)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)), (__m256i)i); }
#elif defined(__SSSE3__) && defined(__SSE4_1__)
static inline words min_words(words a, words b) { return (words)_mm_min_epu16((__m128i)a, (__m128i)b); }
static inline octets min_octets(octets a, octets b) { return (octets)_mm_min_epu8((__m128i)a, (__m128i)b); }
static inline octets max_octets(octets a, octets b) { return (octets)_mm_max_epu8((__m128i)a, (__m128i)b); }
static inline octets add_saturated(octets a, octets b) { return (octets)_mm_adds_epu8((__m128i)a, (__m128i)b); }
static inline octets narrow(words a, words b) { return (octets)_mm_packus_epi16((__m128i)a, (__m128i)b); }
static inline words widen_low(octets a, octets b) { return (words)_mm_unpacklo_epi8((__m128i)a, (__m128i)b); }
static inline words widen_high(octets a, octets b) { return (words)_mm_unpackhi_epi8((__m128i)a, (__m128i)b); }
static inline octets look_up(const uint8_t *table, octets i)
{ return (octets)_mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)table), (__m128i)i); }
#else   /* any other machine with vectors of 16 octets; the same meaning, spelt out */
static inline words min_words(words a, words b) { words less = (words)(a < b); return (a & less) | (b & ~less); }
static inline octets min_octets(octets a, octets b) { octets less = (octets)(a < b); return (a & less) | (b & ~less); }
static inline octets max_octets(octets a, octets b) { octets less = (octets)(a < b); return (b & less) | (a & ~less); }
static inline octets add_saturated(octets a, octets b) { return a + min_octets(~a, b); }
static inline octets narrow(words a, words b)
{ return __builtin_shuffle((octets)a, (octets)b, (octets){0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30}); }
static inline words widen_low(octets a, octets b)
{ return (words)__builtin_shuffle(a, b, (octets){0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}); }
static inline words widen_high(octets a, octets b)
{ return (words)__builtin_shuffle(a, b, (octets){8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31}); }
static inline octets look_up(const uint8_t *table, octets i)
{ octets t; memcpy(&t, table, 16); return __builtin_shuffle(t, i) & (octets)(i < 128); }
#endif
/* Six tables of 16: a number outside the table's 16 gets its top bit set, which reads as 0.
   The first 32 steps are below 256. */
static inline void find_steps(octets index, words *low, words *high)
{
    octets low_octet = {0}, high_octet = {0};
    for (int block = 0; block < 6; block++) {
        octets within = add_saturated(index - (uint8_t)(16 * block), (octets){0} + 0x70);
        low_octet |= look_up(step_octets[0] + 16 * block, within);
        if (block >= 2) high_octet |= look_up(step_octets[1] + 16 * block, within);
    }
    *low = widen_low(low_octet, high_octet);
    *high = widen_high(low_octet, high_octet);
}
#endif
#endif
