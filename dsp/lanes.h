/* What the batched coders share: channels side by side in a vector ("lanes").

   A coder depends on its last sample, so time cannot be spread over a vector;
   channels can.  Rows (one run of memory a channel) are turned into lanes,
   lane[word][channel], and back, by squares of 8 by 8 16-bit words, as many
   squares at once as a vector has quarters of 16 octets.

   GCC lowers vectors wider than the machine's badly, hence one width a build. */

#ifndef STROWGER_LANES_H
#define STROWGER_LANES_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(__AVX512BW__)
#define VECTOR_OCTETS 64
#define UNPACK(what, a, b) ((square)_mm512_unpack##what((__m512i)(a), (__m512i)(b)))
#elif defined(__AVX2__)
#define VECTOR_OCTETS 32
#define UNPACK(what, a, b) ((square)_mm256_unpack##what((__m256i)(a), (__m256i)(b)))
#else
#define VECTOR_OCTETS 16
#if defined(__SSE2__)
#define UNPACK(what, a, b) ((square)_mm_unpack##what((__m128i)(a), (__m128i)(b)))
#else   /* NEON: zip1 and zip2 */
#define UNPACK(what, a, b) unpack_##what(a, b)
#endif
#endif
#define INT_LANES (VECTOR_OCTETS / 4)        /* 32-bit integers in a vector */
#define QUARTERS (VECTOR_OCTETS / 16)
#define SQUARE_LANES (8 * QUARTERS)          /* channels turned at once */

typedef int16_t square __attribute__((vector_size(VECTOR_OCTETS), may_alias));
typedef int16_t quarter __attribute__((vector_size(16), may_alias, aligned(1)));
typedef int64_t pair __attribute__((vector_size(16)));

/* One vector of 16 octets from each of QUARTERS rows, eight rows apart, or of 8 octets and 8 zeros.  In
   registers: quarters stored one by one and read as a whole would stall. */
static inline __attribute__((always_inline)) quarter quarter_of(const uint8_t *octets, int half)
{
    if (!half) return *(const quarter *)octets;
    int64_t eight;
    memcpy(&eight, octets, 8);
    return (quarter)(pair){eight, 0};
}
static inline __attribute__((always_inline)) square quarters_of(const uint8_t *const *row, int64_t at, int half)
{
#if VECTOR_OCTETS == 16
    return quarter_of(row[0] + at, half);
#else
    __m256i low = _mm256_castsi128_si256((__m128i)quarter_of(row[0] + at, half));
    low = _mm256_inserti128_si256(low, (__m128i)quarter_of(row[8] + at, half), 1);
#if VECTOR_OCTETS == 32
    return (square)low;
#else
    __m256i high = _mm256_castsi128_si256((__m128i)quarter_of(row[16] + at, half));
    high = _mm256_inserti128_si256(high, (__m128i)quarter_of(row[24] + at, half), 1);
    return (square)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
#endif
#endif
}

/* The reverse, of two vectors whose quarters follow each other in their rows. */
static inline __attribute__((always_inline)) void store_quarters(square first, square second, uint8_t *const *row, int64_t at)
{
#if VECTOR_OCTETS == 64
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i two[2] = {_mm512_permutex2var_epi64((__m512i)first, low, (__m512i)second), _mm512_permutex2var_epi64((__m512i)first, high, (__m512i)second)};
    for (int i = 0; i < 2; i++) {
        _mm256_storeu_si256((__m256i *)(row[16 * i] + at), _mm512_castsi512_si256(two[i]));
        _mm256_storeu_si256((__m256i *)(row[16 * i + 8] + at), _mm512_extracti64x4_epi64(two[i], 1));
    }
#elif VECTOR_OCTETS == 32
    _mm256_storeu_si256((__m256i *)(row[0] + at), _mm256_permute2x128_si256((__m256i)first, (__m256i)second, 0x20));
    _mm256_storeu_si256((__m256i *)(row[8] + at), _mm256_permute2x128_si256((__m256i)first, (__m256i)second, 0x31));
#else
    *(quarter *)(row[0] + at) = first;
    *(quarter *)(row[0] + at + 16) = second;
#endif
}

#if VECTOR_OCTETS == 16 && !defined(__SSE2__)
typedef int32_t four __attribute__((vector_size(16)));
typedef int64_t two __attribute__((vector_size(16)));
static inline square unpack_lo_epi16(square a, square b) { return __builtin_shuffle(a, b, (square){0, 8, 1, 9, 2, 10, 3, 11}); }
static inline square unpack_hi_epi16(square a, square b) { return __builtin_shuffle(a, b, (square){4, 12, 5, 13, 6, 14, 7, 15}); }
static inline square unpack_lo_epi32(square a, square b) { return (square)__builtin_shuffle((four)a, (four)b, (four){0, 4, 1, 5}); }
static inline square unpack_hi_epi32(square a, square b) { return (square)__builtin_shuffle((four)a, (four)b, (four){2, 6, 3, 7}); }
static inline square unpack_lo_epi64(square a, square b) { return (square)__builtin_shuffle((two)a, (two)b, (two){0, 2}); }
static inline square unpack_hi_epi64(square a, square b) { return (square)__builtin_shuffle((two)a, (two)b, (two){1, 3}); }
#endif

/* In each quarter: out[j][i] = in[i][j], 8 by 8. */
static inline __attribute__((always_inline)) void turn_squares(const square *in, square *out)
{
    square a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = UNPACK(lo_epi16, in[2 * i], in[2 * i + 1]);
        a[2 * i + 1] = UNPACK(hi_epi16, in[2 * i], in[2 * i + 1]);
    }
    for (int half = 0; half < 8; half += 4)
        for (int i = 0; i < 2; i++) {
            b[half + 2 * i] = UNPACK(lo_epi32, a[half + i], a[half + 2 + i]);
            b[half + 2 * i + 1] = UNPACK(hi_epi32, a[half + i], a[half + 2 + i]);
        }
    for (int i = 0; i < 4; i++) {
        out[2 * i] = UNPACK(lo_epi64, b[i], b[4 + i]);
        out[2 * i + 1] = UNPACK(hi_epi64, b[i], b[4 + i]);
    }
}

/* lane[word][channel] = row[channel][word]; `lanes` channels, a multiple of
   SQUARE_LANES; lane is aligned to a vector.  n_octets of a row are read, an odd last octet is the low half
   of its word; lane has room for n_octets rounded up to 16. */
static inline void rows_to_lanes(const uint8_t *const *row, int64_t n_octets, uint16_t *lane, int lanes)
{
    square in[8], out[8];
    for (int first = 0; first < lanes; first += SQUARE_LANES)
        for (int64_t at = 0; at < n_octets; at += 16) {
            int64_t part = n_octets - at;
            if (part >= 16)
                for (int i = 0; i < 8; i++) in[i] = quarters_of(row + first + i, at, 0);
            else if (part == 8)             /* 80 samples of 4 bits end so */
                for (int i = 0; i < 8; i++) in[i] = quarters_of(row + first + i, at, 1);
            else {
                uint8_t rest[SQUARE_LANES][16] = {{0}};
                const uint8_t *rest_row[SQUARE_LANES];
                for (int i = 0; i < SQUARE_LANES; i++) {
                    memcpy(rest[i], row[first + i] + at, part);
                    rest_row[i] = rest[i];
                }
                for (int i = 0; i < 8; i++) in[i] = quarters_of(rest_row + i, 0, 0);
            }
            turn_squares(in, out);
            for (int i = 0; i < 8; i++) *(square *)(lane + (at / 2 + i) * lanes + first) = out[i];
        }
}

static inline __attribute__((always_inline)) void turned_words(const uint16_t *lane, int lanes, square *out)
{
    square in[8];
    for (int i = 0; i < 8; i++) in[i] = *(const square *)(lane + i * lanes);
    turn_squares(in, out);
}

/* The reverse of rows_to_lanes, for the first `channels` of the lanes; n_octets of a row are written. */
static inline void lanes_to_rows(const uint16_t *lane, int lanes, uint8_t *const *row, int64_t n_octets, int channels)
{
    square out[8], more[8];
    for (int first = 0; first < channels; first += SQUARE_LANES) {
        const int all = first + SQUARE_LANES <= channels;
        int64_t at = 0;
        for (; all && at + 32 <= n_octets; at += 32) {
            turned_words(lane + at / 2 * lanes + first, lanes, out);
            turned_words(lane + (at / 2 + 8) * lanes + first, lanes, more);
            for (int i = 0; i < 8; i++) store_quarters(out[i], more[i], row + first + i, at);
        }
        for (; at < n_octets; at += 16) {
            int64_t part = n_octets - at < 16 ? n_octets - at : 16;
            turned_words(lane + at / 2 * lanes + first, lanes, out);
            for (int i = 0; i < 8; i++)
                for (int q = 0; q < QUARTERS; q++) {
                    const uint8_t *octets = (const uint8_t *)&out[i] + 16 * q;
                    if (all && part == 16) memcpy(row[first + 8 * q + i] + at, octets, 16);
                    else if (all && part == 8) memcpy(row[first + 8 * q + i] + at, octets, 8);
                    else if (first + 8 * q + i < channels) memcpy(row[first + 8 * q + i] + at, octets, part);
                }
        }
    }
}

#endif
