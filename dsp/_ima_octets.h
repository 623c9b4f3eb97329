/* IMA and VOX by tables of octets, for processors that look up 128 of them at once (AVX-512 VBMI); included by
   _ima_coder.h, whose lanes and states it works on.

   Decoding: a step is 8 a + r.  What a code of magnitude m adds, step >> 3 and the parts of the step that its bits choose, each truncated,
   is a (2 m + 1) plus a number that r and m alone decide.  So no part is shifted, tested or masked: a, r, that number and 2 m + 1
   are looked up for 64 channels at a time.  Upwards is a saturating sum, downwards the same on the complement.
   VOX is counted 16 times as large, the 4 bits below all ones, so that its 12 bits saturate where 16 do.
   Encoding: the step comes from two tables of octets instead of three of words. */

#ifndef STROWGER_IMA_OCTETS_H
#define STROWGER_IMA_OCTETS_H
#define WITH_OCTETS __attribute__((target("avx512vbmi")))

typedef struct {
    uint8_t low[128], high[128], rest[128];     /* by number of the step: a in two octets, 8 r */
    uint8_t more[64], odd[64];                  /* by 8 r + m; by code, the same in each quarter */
} octet_tables;
static octet_tables tables_of[2] __attribute__((aligned(64)));      /* IMA, VOX */
static int by_octets;

static int may_use_octets(void) { return __builtin_cpu_supports("avx512vbmi") != 0; }
static void use_octets(int wish) { by_octets = wish && may_use_octets(); }

static void prepare_octets(void)
{
    by_octets = may_use_octets();
    for (int vox = 0; vox < 2; vox++) {
        octet_tables *t = &tables_of[vox];
        const int kind = vox ? VOX : IMA_LOW_FIRST, scale = vox ? 16 : 1;
        for (int i = 0; i <= LAST_STEP(kind) - FIRST_STEP(kind); i++) {
            int step = step_table[i + FIRST_STEP(kind)];
            t->low[i] = (step >> 3) & 255;
            t->high[i] = step >> 11;
            t->rest[i] = (step & 7) << 3;
        }
        for (int i = 0; i < 64; i++) {
            int r = i >> 3;
            t->more[i] = scale * ((i & 4 ? r : 0) + (i & 2 ? r >> 1 : 0) + (i & 1 ? r >> 2 : 0));
            t->odd[i] = scale * (2 * (i & 7) + 1);
        }
    }
}

WITH_OCTETS static inline __m512i look_up_128(const uint8_t *table, __m512i i)
{
    return _mm512_permutex2var_epi8(_mm512_load_si512(table), i, _mm512_load_si512(table + 64));
}

/* What 64 codes add, and the numbers of the steps after them; v: channels as narrow() has them. */
WITH_OCTETS static inline __attribute__((always_inline)) __m512i step_on(const octet_tables *t, int last, __m512i index, __m512i code, __m512i *v)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i low = look_up_128(t->low, index), high = look_up_128(t->high, index), rest = look_up_128(t->rest, index);
    __m512i odd = _mm512_shuffle_epi8(_mm512_load_si512(t->odd), code);
    __m512i place = _mm512_ternarylogic_epi64(rest, code, _mm512_set1_epi8(7), 0xF8);       /* rest | (code & 7) */
    __m512i more = _mm512_permutexvar_epi8(place, _mm512_load_si512(t->more));
    v[0] = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_unpacklo_epi8(low, high), _mm512_unpacklo_epi8(odd, zero)), _mm512_unpacklo_epi8(more, zero));
    v[1] = _mm512_add_epi16(_mm512_mullo_epi16(_mm512_unpackhi_epi8(low, high), _mm512_unpackhi_epi8(odd, zero)), _mm512_unpackhi_epi8(more, zero));
    __m512i adjust = (__m512i)look_up(adjust_more, (octets)code);
    return _mm512_min_epu8(_mm512_subs_epu8(_mm512_add_epi8(index, adjust), _mm512_set1_epi8(1)), _mm512_set1_epi8(last));
}

/* As decode_lanes. */
WITH_OCTETS static inline __attribute__((always_inline)) void decode_by_octets(int kind, lane_state *state, const uint16_t *codes, uint16_t *x, int64_t n)
{
    static const uint8_t turn_low[16] = {0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t turn_high[16] = {128, 128, 128, 128, 128, 128, 128, 128, 127, 127, 127, 127, 127, 127, 127, 127};
    const octet_tables *t = &tables_of[kind == VOX];
    const __m512i sign = _mm512_set1_epi16(-32768), below = _mm512_set1_epi16(15), ones = _mm512_set1_epi8(15);
    __m512i p[2], index = (__m512i)(state->index - (uint8_t)FIRST_STEP(kind));
    for (int half = 0; half < 2; half++) {
        p[half] = (__m512i)state->p[half];
        p[half] = kind == VOX ? _mm512_xor_si512(_mm512_or_si512(_mm512_slli_epi16(p[half], 4), below), sign) : _mm512_xor_si512(p[half], sign);
    }
    for (int64_t at = 0; at < n; at += 4) {
        const __m512i *packed = (const __m512i *)(codes + at / 4 * LANES), low = _mm512_set1_epi16(255);
        __m512i pair[2] = {_mm512_packus_epi16(_mm512_and_si512(packed[0], low), _mm512_and_si512(packed[1], low)),
                           _mm512_packus_epi16(_mm512_srli_epi16(packed[0], 8), _mm512_srli_epi16(packed[1], 8))};
        #pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            if (at + j >= n) break;
            __m512i *out = (__m512i *)(x + (at + j) * LANES), v[2], two = pair[j / 2];
            __m512i code = _mm512_and_si512(PLACE(kind, j) & 4 ? _mm512_srli_epi16(two, 4) : two, ones);
            index = step_on(t, LAST_STEP(kind) - FIRST_STEP(kind), index, code, v);
            __m512i turn_l = (__m512i)look_up(turn_low, (octets)code), turn_h = (__m512i)look_up(turn_high, (octets)code);
            __m512i turn[2] = {_mm512_unpacklo_epi8(turn_l, turn_h), _mm512_unpackhi_epi8(turn_l, turn_h)};
            for (int half = 0; half < 2; half++) {
                p[half] = _mm512_xor_si512(_mm512_adds_epu16(_mm512_xor_si512(p[half], turn[half]), v[half]), turn[half]);
                if (kind == VOX) p[half] = _mm512_or_si512(p[half], below);
                _mm512_store_si512(out + half, kind == VOX ? _mm512_xor_si512(p[half], below) : p[half]);
            }
        }
    }
    for (int half = 0; half < 2; half++) {
        p[half] = _mm512_xor_si512(p[half], sign);
        state->p[half] = (words)(kind == VOX ? _mm512_srli_epi16(p[half], 4) : p[half]);
    }
    state->index = (octets)index + (uint8_t)FIRST_STEP(kind);
}

#define BY_OCTETS(number, kind) WITH_OCTETS static __attribute__((noinline)) void decode_by_octets_##number(lane_state *state, const uint16_t *codes, uint16_t *x, int64_t n) \
    { decode_by_octets(kind, state, codes, x, n); }
BY_OCTETS(0, IMA_LOW_FIRST)
BY_OCTETS(1, IMA_HIGH_FIRST)
BY_OCTETS(2, VOX)
static void (*const octet_decoders[3])(lane_state *, const uint16_t *, uint16_t *, int64_t) = {decode_by_octets_0, decode_by_octets_1, decode_by_octets_2};

WITH_OCTETS static inline void find_steps_by_octets(octets index, words *low, words *high)
{
    __m512i lower = look_up_128(step_octets[0], (__m512i)index), upper = look_up_128(step_octets[1], (__m512i)index);
    *low = (words)_mm512_unpacklo_epi8(lower, upper);
    *high = (words)_mm512_unpackhi_epi8(lower, upper);
}
#define ENCODE_BY_OCTETS(number, kind, groups) WITH_OCTETS static __attribute__((noinline)) void encode_by_octets_##number##_##groups(lane_state *state, const uint16_t *x, uint16_t *codes, int64_t n) \
    { encode_lanes(kind, groups, find_steps_by_octets, state, x, codes, n); }
ENCODE_BY_OCTETS(0, IMA_LOW_FIRST, 1)
ENCODE_BY_OCTETS(0, IMA_LOW_FIRST, 2)
ENCODE_BY_OCTETS(1, IMA_HIGH_FIRST, 1)
ENCODE_BY_OCTETS(1, IMA_HIGH_FIRST, 2)
ENCODE_BY_OCTETS(2, VOX, 1)
ENCODE_BY_OCTETS(2, VOX, 2)
static void (*const octet_encoders[3][2])(lane_state *, const uint16_t *, uint16_t *, int64_t) =
    {{encode_by_octets_0_1, encode_by_octets_0_2}, {encode_by_octets_1_1, encode_by_octets_1_2}, {encode_by_octets_2_1, encode_by_octets_2_2}};
#endif
