/* What the DTMF receiver asks of each block: its energy, how dull it is, and of the bright ones the correlations with the eight
   frequencies.  And what a slot asks that hears no digit, which most do: that its floor rises.  dsp/dtmf.py tells why.

   A batch of rows goes through one test after another, without a branch on what it finds: what passes is gathered for the next.
   Of speech a third to a half is correlated, and one block of a hundred may be a digit's. */
#ifndef STROWGER_DTMF_BLOCKS_H
#define STROWGER_DTMF_BLOCKS_H
#include "_correlate.h"

enum {
    BATCH = 64,
    AHEAD = 12,             /* rows that are fetched from memory meanwhile */
    GROUP = 64,             /* slots whose state is together */
    FOLDED_PAIRS = 20
};

typedef struct {
    float tone[2][2];       /* row and column of the last candidate block, complex */
    float power[2];
    float energy;
    float power_sum;        /* over the hits in a row */
    float energy_sum;
    int32_t hits;
    int32_t blocks;
    int8_t candidate;       /* of the last block, or -1 */
    int8_t hit;             /* of the last pair of blocks, or -1 */
    int8_t digit;           /* the one that is on, or -1 */
    int8_t misses;
} dtmf_slot;

/* What each block needs of each slot stands together: five lines of memory for 64 slots that hear nothing, where their records would be 48. */
typedef struct {
    float floor[GROUP];     /* least energy of late, rising: what a digit came out of */
    int8_t awake[GROUP];    /* a candidate, a hit or a digit there */
    dtmf_slot slot[GROUP];
} dtmf_group;
static inline dtmf_group *group_of(void *state, int32_t slot) { return (dtmf_group *)state + slot / GROUP; }

typedef struct { float power_scale, lowest_power, candidate_share, dull, rise, least_floor; } block_limits;

typedef struct {
    float energy[BATCH];
    int32_t sums[BATCH][16];    /* of those that may be a digit's */
    int8_t found[BATCH];        /* place of a row in sums, or -1 */
} heard;

typedef int16_t eight __attribute__((vector_size(16), may_alias, aligned(2)));
typedef int32_t four __attribute__((vector_size(16), may_alias, aligned(2)));

static int16_t pair_table[FOLDED_PAIRS * 32] __attribute__((aligned(64)));

/* The tables are counted from the middle of the block: cosines are alike on both sides of it, sines opposite.  So samples as far
   before as after it are added for the one and subtracted for the other, halved to stay in 16 bits (which loses nothing of what
   G.711 can say), and half the products are left.  folded: [pair][sum, sum, difference, difference]. */
static inline void fold_eight(const int16_t *x, int i, int16_t *folded)
{
    eight after = *(const eight *)(x + 40 + i) >> 1, before = *(const eight *)(x + 32 - i) >> 1;
    before = __builtin_shuffle(before, (eight){7, 6, 5, 4, 3, 2, 1, 0});
    eight sum = after + before, difference = after - before;
    *(four *)folded = __builtin_shuffle((four)sum, (four)difference, (four){0, 4, 1, 5});
    *(four *)(folded + 8) = __builtin_shuffle((four)sum, (four)difference, (four){2, 6, 3, 7});
}
#if defined(__AVX512BW__)
static inline void fold(const int16_t *x, int16_t *folded)
{
    const __m512i reversed = _mm512_set_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    __m512i after = _mm512_srai_epi16(_mm512_loadu_si512(x + 40), 1), before = _mm512_srai_epi16(_mm512_loadu_si512(x + 8), 1);
    before = _mm512_permutexvar_epi16(reversed, before);
    __m512i sum = _mm512_add_epi16(after, before), difference = _mm512_sub_epi16(after, before);
    _mm512_store_si512(folded, _mm512_unpacklo_epi32(sum, difference));
    _mm512_store_si512(folded + 32, _mm512_unpackhi_epi32(sum, difference));
    fold_eight(x, 32, folded + 64);
}
/* Where a pair, counted from the middle, is in `folded`, and so in the table. */
static int place_of_pair(int pair) { return pair >= 16 ? pair : (pair & 2) * 4 + (pair >> 2) * 2 + (pair & 1); }
#else
static inline void fold(const int16_t *x, int16_t *folded)
{
    for (int i = 0; i < 40; i += 8) fold_eight(x, i, folded + 2 * i);
}
static int place_of_pair(int pair) { return pair; }
#endif

/* Four folded blocks, so that each load of the table serves all of them.  table: [pair][cosine, sine by turns][first, second],
   64-octet aligned; sums by turns, too. */
static inline void correlate_folded(const int16_t (*folded)[2 * PAIRS + 16], const int16_t *table, int32_t (*sums)[16])
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
    for (int k = 0; k < 4; k++) _mm512_store_si512(sums[k], s[k]);
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

/* Of four blocks: the greatest |sum|^2 of the first four tones, plus that of the other four. */
static inline void loudest_pairs(int32_t (*sums)[16], float scale, float *loudest)
{
#if defined(__AVX512BW__)
    __m512 power[4];
    for (int k = 0; k < 4; k++) {
        power[k] = _mm512_cvtepi32_ps(_mm512_load_si512(sums[k]));
        power[k] = _mm512_mul_ps(power[k], power[k]);
    }
    for (int k = 0; k < 2; k++)     /* in each quarter two tones of one block, two of the next */
        power[k] = _mm512_add_ps(_mm512_shuffle_ps(power[2 * k], power[2 * k + 1], 0x88), _mm512_shuffle_ps(power[2 * k], power[2 * k + 1], 0xDD));
    __m512 most = _mm512_max_ps(_mm512_shuffle_ps(power[0], power[1], 0x88), _mm512_shuffle_ps(power[0], power[1], 0xDD));
    most = _mm512_max_ps(most, _mm512_shuffle_f32x4(most, most, 0xB1));
    most = _mm512_mul_ps(most, _mm512_set1_ps(scale));
    _mm_storeu_ps(loudest, _mm_add_ps(_mm512_castps512_ps128(most), _mm512_extractf32x4_ps(most, 2)));
#elif defined(__AVX2__)
    for (int k = 0; k < 4; k++) {
        __m256 low = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)sums[k])), high = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)sums[k] + 1));
        __m256 power = _mm256_hadd_ps(_mm256_mul_ps(low, low), _mm256_mul_ps(high, high));      /* low 0, 1, high 0, 1, low 2, 3, high 2, 3 */
        __m128 greatest = _mm_max_ps(_mm256_castps256_ps128(power), _mm256_extractf128_ps(power, 1));
        greatest = _mm_mul_ps(_mm_max_ps(greatest, _mm_movehdup_ps(greatest)), _mm_set1_ps(scale));
        loudest[k] = _mm_cvtss_f32(_mm_add_ss(greatest, _mm_movehl_ps(greatest, greatest)));
    }
#else
    for (int k = 0; k < 4; k++) {
        float greatest[2] = {0, 0};
        for (int tone = 0; tone < 8; tone++) {
            float re = (float)sums[k][2 * tone], im = (float)sums[k][2 * tone + 1], power = re * re + im * im;
            greatest[tone / 4] = power > greatest[tone / 4] ? power : greatest[tone / 4];
        }
        loudest[k] = greatest[0] * scale + greatest[1] * scale;
    }
#endif
}

static inline void fetch_block(const int16_t *x)
{
    for (int i = 0; i < 2 * PAIRS; i += 32) __builtin_prefetch(x + i);
}

/* Energies of four blocks, and the sums of products of neighbours, both of x >> 3, which fits 32 bits for any input. */
#if defined(__AVX512BW__)
static inline __m512i sums_of_two(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}
static inline __m512i sums_of_four(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}
static inline void energies_and_lags(const int16_t *const *x, int32_t *energy, int32_t *lag)
{
    __m512i e[4], l[4];
    for (int k = 0; k < 4; k++) {
        e[k] = l[k] = _mm512_setzero_si512();
        for (int i = 0; i < 80; i += 32) {      /* of the last 16 samples one has no neighbour after it */
            __m512i now = i < 64 ? _mm512_loadu_si512(x[k] + i) : _mm512_maskz_loadu_epi16(0xFFFF, x[k] + i);
            __m512i after = i < 64 ? _mm512_loadu_si512(x[k] + i + 1) : _mm512_maskz_loadu_epi16(0x7FFF, x[k] + i + 1);
            now = _mm512_srai_epi16(now, 3);
            after = _mm512_srai_epi16(after, 3);
            e[k] = _mm512_add_epi32(e[k], _mm512_madd_epi16(now, now));
            l[k] = _mm512_add_epi32(l[k], _mm512_madd_epi16(now, after));
        }
    }
    __m512i all_e = sums_of_four(sums_of_two(e[0], e[1]), sums_of_two(e[2], e[3])), all_l = sums_of_four(sums_of_two(l[0], l[1]), sums_of_two(l[2], l[3]));
    __m512i half = _mm512_add_epi32(_mm512_shuffle_i64x2(all_e, all_l, 0x44), _mm512_shuffle_i64x2(all_e, all_l, 0xEE));
    half = _mm512_add_epi32(half, _mm512_shuffle_i64x2(half, half, 0xB1));
    _mm_storeu_si128((__m128i *)energy, _mm512_castsi512_si128(half));
    _mm_storeu_si128((__m128i *)lag, _mm512_extracti32x4_epi32(half, 2));
}
#elif defined(__AVX2__)
static inline void energies_and_lags(const int16_t *const *x, int32_t *energy, int32_t *lag)
{
    const __m256i all_but_first = _mm256_insert_epi16(_mm256_set1_epi16(-1), 0, 0);
    for (int k = 0; k < 4; k++) {
        __m256i e = _mm256_setzero_si256(), l = e;
        for (int i = 0; i < 80; i += 16) {
            __m256i now = _mm256_srai_epi16(_mm256_loadu_si256((const __m256i *)(x[k] + i)), 3), before;
            if (i < 64) {
                __m256i after = _mm256_srai_epi16(_mm256_loadu_si256((const __m256i *)(x[k] + i + 1)), 3);
                l = _mm256_add_epi32(l, _mm256_madd_epi16(now, after));
            } else {            /* to the last sample and not beyond: its neighbour before it, of which the first was counted */
                before = _mm256_and_si256(_mm256_srai_epi16(_mm256_loadu_si256((const __m256i *)(x[k] + i - 1)), 3), all_but_first);
                l = _mm256_add_epi32(l, _mm256_madd_epi16(before, now));
            }
            e = _mm256_add_epi32(e, _mm256_madd_epi16(now, now));
        }
        __m256i both = _mm256_hadd_epi32(e, l);
        __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        sums = _mm_hadd_epi32(sums, sums);
        energy[k] = _mm_cvtsi128_si32(sums);
        lag[k] = _mm_extract_epi32(sums, 1);
    }
}
#else
static inline void energies_and_lags(const int16_t *const *x, int32_t *energy, int32_t *lag)
{
    for (int k = 0; k < 4; k++) {
        int32_t sum = 0;
        for (int i = 0; i < 2 * PAIRS - 1; i++) {
            int16_t now = x[k][i] >> 3, after = x[k][i + 1] >> 3;
            sum += now * after;
        }
        energy[k] = energy_of(x[k]);
        lag[k] = sum;
    }
}
#endif

/* Energies of n rows; the rows that are neither silent nor too dull for a digit. Returns how many.  known: rows in the list. */
static inline int bright(heard *h, const block_limits *limits, const int16_t *x, int64_t x_stride, const int32_t *row, int n, int64_t known, int32_t *chosen)
{
    int32_t energy[BATCH], lag[BATCH];
    uint8_t passes[BATCH];
    int count = 0;
    for (int first = 0; first < n; first += 4) {
        const int16_t *four_rows[4];
        for (int k = 0; k < 4; k++) {
            int at = first + k < n ? first + k : n - 1;
            four_rows[k] = x + x_stride * row[at];
            fetch_block(x + x_stride * row[at + AHEAD < known ? at + AHEAD : known - 1]);
        }
        energies_and_lags(four_rows, energy + first, lag + first);
    }
    for (int k = 0; k < n; k++) {
        h->energy[k] = (float)energy[k];
        passes[k] = (h->energy[k] >= limits->lowest_power) & ((float)lag[k] < limits->dull * h->energy[k]);
    }
    for (int k = 0; k < n; k++) {
        chosen[count] = k;
        count += passes[k];
    }
    return count;
}

/* What n rows are: fills h. */
static void hear(heard *h, const block_limits *limits, const int16_t *x, int64_t x_stride, const int32_t *row, int n, int64_t known)
{
    int32_t chosen[BATCH + 4], sums[4][16] __attribute__((aligned(64)));
    int16_t folded[4][2 * PAIRS + 16] __attribute__((aligned(64)));
    int count = bright(h, limits, x, x_stride, row, n, known, chosen), passed = 0;
    memset(h->found, -1, sizeof h->found);
    for (int k = 0; k < 3; k++) chosen[count + k] = chosen[0];      /* to fill the last four */
    for (int first = 0; first < count; first += 4) {
        float loudest[4];
        for (int k = 0; k < 4; k++) fold(x + x_stride * row[chosen[first + k]], folded[k]);
        correlate_folded(folded, pair_table, sums);
        loudest_pairs(sums, limits->power_scale, loudest);
        for (int k = 0; k < 4 && first + k < count; k++) {
            int place = chosen[first + k];
            if (loudest[k] >= limits->candidate_share * h->energy[place]) {
                memcpy(h->sums[passed], sums[k], sizeof sums[k]);
                h->found[place] = passed++;
            }
        }
    }
}

/* A block of slots that are asleep and hear no candidate: their floor rises, no higher than its energy. */
static inline __attribute__((always_inline)) void rest(dtmf_group *g, int place, const block_limits *limits, const float *energy, const int8_t *found, int8_t *busy, int n)
{
    float floor[16];
    for (int k = 0; k < n; k++) busy[k] = g->awake[place + k] | (found[k] >= 0);
    for (int k = 0; k < n; k++) {
        floor[k] = g->floor[place + k] * limits->rise + limits->least_floor;
        floor[k] = floor[k] < energy[k] ? floor[k] : energy[k];
    }
    for (int k = 0; k < n; k++) g->floor[place + k] = busy[k] ? g->floor[place + k] : floor[k];
}

/* The same for n rows, each of another slot, neighbours side by side.  Returns how many rows are left for more than that, and which. */
static int pass_by(void *state, const block_limits *limits, const int32_t *slot, const heard *h, int n, int32_t *left)
{
    int8_t busy[BATCH] = {0};
    int count = 0;
    for (int first = 0; first < n; first += 16) {
        const int place = slot[first] % GROUP;
        int apart = n - first < 16 || place > GROUP - 16;
        for (int k = 0; k < 16 && !apart; k++) apart = slot[first + k] != slot[first] + k;
        if (!apart)
            rest(group_of(state, slot[first]), place, limits, h->energy + first, h->found + first, busy + first, 16);
        else
            for (int k = first; k < n && k < first + 16; k++)
                rest(group_of(state, slot[k]), slot[k] % GROUP, limits, h->energy + k, h->found + k, busy + k, 1);
    }
    for (int first = 0; first < n; first += 8) {
        uint64_t eight_of_them;
        memcpy(&eight_of_them, busy + first, 8);
        for (int k = first; eight_of_them && k < first + 8; k++)
            if (busy[k]) left[count++] = k;
    }
    return count;
}
#endif
