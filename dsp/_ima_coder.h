/* The coders of IMA and VOX on lanes, and rows brought to them; see _ima.pyx.

   A sample waits for the step and the value that the one before it left, some forty cycles in all.  So channels that are encoded
   go in two groups by turns, where there are that many: what one waits for the other does. */
#ifndef STROWGER_IMA_CODER_H
#define STROWGER_IMA_CODER_H
#include "_ima_vectors.h"

enum { RUN = 80 /* samples of one go */, GROUPS = 2 /* of LANES channels, at most */ };

/* What the kinds differ in.  The 49 steps of VOX are numbers 8 to 56 of IMA's. */
enum { IMA_LOW_FIRST = 0, IMA_HIGH_FIRST = 1, VOX = 2 };
#define TOP(kind) ((uint16_t)((kind) == VOX ? 4095 : 65535))
#define MIDDLE(kind) ((uint16_t)((kind) == VOX ? 2048 : 32768))
#define FIRST_STEP(kind) ((kind) == VOX ? 8 : 0)
#define LAST_STEP(kind) ((kind) == VOX ? 56 : 88)
/* place of code j = 0..3 in a 16-bit word (little endian): low nibble first, or high */
#define PLACE(kind, j) ((kind) == IMA_LOW_FIRST ? 4 * (j) : 4 * ((j) ^ 1))

typedef struct { int16_t predicted; uint8_t index, zero; } slot_state;
typedef struct { words p[2]; octets index; } lane_state;
typedef void (*step_finder)(octets index, words *low, words *high);

static const uint8_t adjust_more[16] = {0, 0, 0, 0, 3, 5, 7, 9, 0, 0, 0, 0, 3, 5, 7, 9};  /* one more than it is */

static inline __attribute__((always_inline)) octets next_index(int kind, octets index, words code0, words code1)
{
    octets next = index + look_up(adjust_more, narrow(code0, code1));
    next = max_octets(next, (octets){0} + (uint8_t)(FIRST_STEP(kind) + 1));
    return min_octets(next, (octets){0} + (uint8_t)(LAST_STEP(kind) + 1)) - 1;
}

/* p moved by v, down where `down` is all ones, and clamped. */
static inline words moved(int kind, words p, words v, words down)
{
    words turn = down & TOP(kind), q = p ^ turn;
    q += min_words(TOP(kind) - q, v);
    return q ^ turn;
}

#if VECTOR_OCTETS == 64
/* The same as below; GCC makes no masked instructions of it by itself. */
static inline __attribute__((always_inline)) void decode_half(int kind, words code, words *p, words step)
{
    #define HAS(bit) _mm512_test_epi16_mask((__m512i)code, _mm512_set1_epi16(bit))
    __m512i v = (__m512i)(step >> 3), q;
    const __m512i top = _mm512_set1_epi16(TOP(kind));
    v = _mm512_mask_add_epi16(v, HAS(4), v, (__m512i)step);
    v = _mm512_mask_add_epi16(v, HAS(2), v, (__m512i)(step >> 1));
    v = _mm512_mask_add_epi16(v, HAS(1), v, (__m512i)(step >> 2));
    __m512i up = _mm512_sub_epi16(top, (__m512i)*p);
    q = _mm512_mask_mov_epi16(up, HAS(8), (__m512i)*p);
    v = _mm512_min_epu16(v, q);
    *p = (words)_mm512_mask_sub_epi16(_mm512_add_epi16((__m512i)*p, v), HAS(8), (__m512i)*p, v);
}
static inline __attribute__((always_inline)) words encode_half(int kind, words x, words *predicted, words step)
{
    const __m512i top = _mm512_set1_epi16(TOP(kind));
    __m512i in = (__m512i)x, p = (__m512i)*predicted, d, rest, v, q, code;
    __mmask32 down = _mm512_cmplt_epu16_mask(in, p), take;
    rest = d = _mm512_sub_epi16(_mm512_max_epu16(in, p), _mm512_min_epu16(in, p));
    code = _mm512_maskz_mov_epi16(down, _mm512_set1_epi16(8));
    #define TAKE(part, bit) take = _mm512_cmpge_epu16_mask(rest, (__m512i)(part)); \
        rest = _mm512_mask_sub_epi16(rest, take, rest, (__m512i)(part)); code = _mm512_mask_add_epi16(code, take, code, _mm512_set1_epi16(bit));
    TAKE(step, 4)
    TAKE(step >> 1, 2)
    TAKE(step >> 2, 1)
    v = _mm512_add_epi16((__m512i)(step >> 3), _mm512_sub_epi16(d, rest));
    q = _mm512_mask_mov_epi16(_mm512_sub_epi16(top, p), down, p);
    v = _mm512_min_epu16(v, q);
    *predicted = (words)_mm512_mask_sub_epi16(_mm512_add_epi16(p, v), down, p, v);
    return (words)code;
}
#else
static inline __attribute__((always_inline)) words encode_half(int kind, words x, words *p, words step)
{
    words down = (words)(x < *p), d = ((x - *p) ^ down) - down, rest = d, take, code = down & 8;
    take = (words)(rest >= step); rest -= take & step; code |= take & 4;
    take = (words)(rest >= step >> 1); rest -= take & step >> 1; code |= take & 2;
    take = (words)(rest >= step >> 2); rest -= take & step >> 2; code |= take & 1;
    *p = moved(kind, *p, (step >> 3) + (d - rest), down);
    return code;
}

static inline __attribute__((always_inline)) void decode_half(int kind, words code, words *p, words step)
{
    words v = step >> 3;
    v += (words)((code & 4) != 0) & step;
    v += (words)((code & 2) != 0) & step >> 1;
    v += (words)((code & 1) != 0) & step >> 2;
    *p = moved(kind, *p, v, (words)((code & 8) != 0));
}
#endif

/* x, codes: [word][channel] of `groups` groups; a state for each. */
static inline __attribute__((always_inline)) void encode_lanes(int kind, int groups, step_finder find, lane_state *state, const uint16_t *x, uint16_t *codes, int64_t n)
{
    lane_state s[GROUPS];
    for (int g = 0; g < groups; g++) s[g] = state[g];
    for (int64_t at = 0; at < n; at += 4) {
        words packed[GROUPS][2] = {{{0}}};
        #pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            if (at + j >= n) break;
            #pragma GCC unroll 2
            for (int g = 0; g < groups; g++) {
                const words *in = (const words *)(x + ((at + j) * groups + g) * LANES);
                words step[2], code[2];
                find(s[g].index, &step[0], &step[1]);
                for (int half = 0; half < 2; half++) {
                    words biased = in[half] + 32768;
                    code[half] = encode_half(kind, kind == VOX ? biased >> 4 : biased, &s[g].p[half], step[half]);
                    packed[g][half] |= code[half] << PLACE(kind, j);
                }
                s[g].index = next_index(kind, s[g].index, code[0], code[1]);
            }
        }
        for (int g = 0; g < groups; g++) memcpy(codes + (at / 4 * groups + g) * LANES, packed[g], sizeof packed[g]);
    }
    for (int g = 0; g < groups; g++) state[g] = s[g];
}

static inline __attribute__((always_inline)) void decode_lanes(int kind, lane_state *state, const uint16_t *codes, uint16_t *x, int64_t n)
{
    lane_state s = *state;
    for (int64_t at = 0; at < n; at += 4) {
        const words *packed = (const words *)(codes + at / 4 * LANES);
        #pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            if (at + j >= n) break;
            words *out = (words *)(x + (at + j) * LANES), step[2], code[2];
            find_steps(s.index, &step[0], &step[1]);
            for (int half = 0; half < 2; half++) {
                code[half] = (packed[half] >> PLACE(kind, j)) & 15;
                decode_half(kind, code[half], &s.p[half], step[half]);
                out[half] = kind == VOX ? (s.p[half] - MIDDLE(kind)) << 4 : s.p[half] - MIDDLE(kind);
            }
            s.index = next_index(kind, s.index, code[0], code[1]);
        }
    }
    *state = s;
}

#if VECTOR_OCTETS == 64
#include "_ima_octets.h"
#define ENCODE(kind, groups, ...) (by_octets ? octet_encoders[kind][(groups) - 1](__VA_ARGS__) : encode_lanes(kind, groups, find_steps, __VA_ARGS__))
#define DECODE(kind, ...) (by_octets ? octet_decoders[kind](__VA_ARGS__) : decode_lanes(kind, __VA_ARGS__))
#else
#define ENCODE(kind, groups, ...) encode_lanes(kind, groups, find_steps, __VA_ARGS__)
#define DECODE decode_lanes
static void prepare_octets(void) {}
static int may_use_octets(void) { return 0; }
static void use_octets(int wish) { (void)wish; }
#endif

/* Slots as words of 32 bits: the value below, the number of the step above. */
static void load_state(int kind, slot_state *const *slot, lane_state *s)
{
    uint32_t whole[LANES];
    uint16_t p[LANES], index[LANES];
    words pair[2];
    for (int i = 0; i < LANES; i++) memcpy(&whole[i], slot[i], 4);
    for (int i = 0; i < LANES; i++) {
        p[i] = (uint16_t)whole[i] + MIDDLE(kind);
        index[i] = (whole[i] >> 16 & 255) + FIRST_STEP(kind);
    }
    memcpy(s->p, p, sizeof p);
    memcpy(pair, index, sizeof index);
    s->index = narrow(pair[0], pair[1]);
}

static void store_state(int kind, slot_state *const *slot, const lane_state *s, int channels)
{
    uint32_t whole[LANES];
    uint16_t p[LANES], index[LANES];
    words pair[2] = {widen_low(s->index, (octets){0}), widen_high(s->index, (octets){0})};
    memcpy(p, s->p, sizeof p);
    memcpy(index, pair, sizeof index);
    for (int i = 0; i < LANES; i++) whole[i] = (uint16_t)(p[i] - MIDDLE(kind)) | (uint32_t)(index[i] - FIRST_STEP(kind)) << 16;
    for (int i = 0; i < channels && i < LANES; i++) memcpy(slot[i], &whole[i], 4);
}

typedef struct {
    slot_state *state;
    const int32_t *slot;
    int16_t *x;
    int64_t x_stride;
    const int32_t *x_row;
    uint8_t *octet;
    int64_t octets_stride;
    const int32_t *octets_row;
} rows;

/* The samples of at most `most` rows from `first` on of n: short rows, read here and there, are no stream that a processor foresees. */
static inline void fetch_rows(const rows *r, int64_t first, int64_t most, int64_t n, int64_t n_samples)
{
    for (int64_t k = first; k < n && k < first + most; k++) {
        const int16_t *x = r->x + r->x_stride * (r->x_row ? r->x_row[k] : k);
        for (int64_t i = 0; i < n_samples && i < RUN; i += 32) __builtin_prefetch(x + i);
    }
}

/* way 0 encodes x to octets, way 1 decodes; rows from `first` on, as many as `groups` have room for or fewer. */
static inline __attribute__((always_inline)) void code_some(int way, int kind, int groups, const rows *r, int64_t first, int channels, int64_t n_samples)
{
    enum { MOST = GROUPS * LANES };
    const int lanes = groups * LANES;
    uint16_t x_lane[(RUN + 8) * MOST] __attribute__((aligned(64))), code_lane[24 * MOST] __attribute__((aligned(64)));
    slot_state *slot[MOST];
    uint8_t *x_at[MOST], *octets_at[MOST];
    lane_state now[GROUPS];
    for (int i = 0; i < lanes; i++) {       /* lanes beyond the last read its row and are not written */
        int64_t k = first + (i < channels ? i : channels - 1);
        slot[i] = r->state + r->slot[k];
        x_at[i] = (uint8_t *)(r->x + r->x_stride * (r->x_row ? r->x_row[k] : k));
        octets_at[i] = r->octet + r->octets_stride * (r->octets_row ? r->octets_row[k] : k);
    }
    for (int g = 0; g < groups; g++) load_state(kind, slot + g * LANES, &now[g]);
    for (int64_t at = 0; at < n_samples; at += RUN) {
        int64_t run = n_samples - at < RUN ? n_samples - at : RUN;
        if (way == 0) {
            rows_to_lanes((const uint8_t *const *)x_at, 2 * run, x_lane, lanes);
            ENCODE(kind, groups, now, x_lane, code_lane, run);
            lanes_to_rows(code_lane, lanes, octets_at, run / 2, channels);
        } else {
            rows_to_lanes((const uint8_t *const *)octets_at, run / 2, code_lane, lanes);
            DECODE(kind, now, code_lane, x_lane, run);
            lanes_to_rows(x_lane, lanes, x_at, 2 * run, channels);
        }
        if (at + run < n_samples)
            for (int i = 0; i < lanes; i++) { x_at[i] += 2 * run; octets_at[i] += run / 2; }
    }
    for (int g = 0; g < groups; g++) store_state(kind, slot + g * LANES, &now[g], channels - g * LANES);
}

static inline __attribute__((always_inline)) void code_rows(int way, int kind, rows r, int64_t n, int64_t n_samples)
{
    enum { MOST = GROUPS * LANES };
    int64_t first = 0;
    for (; way == 0 && n - first > LANES; first += MOST) {
        fetch_rows(&r, first + MOST, MOST, n, n_samples);
        code_some(way, kind, GROUPS, &r, first, n - first < MOST ? n - first : MOST, n_samples);
    }
    for (; first < n; first += LANES)
        code_some(way, kind, 1, &r, first, n - first < LANES ? n - first : LANES, n_samples);
}

#define ARGUMENTS void *state, const int32_t *slot, int16_t *x, int64_t x_stride, const int32_t *x_row, \
    uint8_t *octet, int64_t octets_stride, const int32_t *octets_row, int64_t n, int64_t n_samples
#define PASSED (rows){state, slot, x, x_stride, x_row, octet, octets_stride, octets_row}, n, n_samples & ~(int64_t)1
static void encode_0(ARGUMENTS) { code_rows(0, IMA_LOW_FIRST, PASSED); }
static void encode_1(ARGUMENTS) { code_rows(0, IMA_HIGH_FIRST, PASSED); }
static void encode_2(ARGUMENTS) { code_rows(0, VOX, PASSED); }
static void decode_0(ARGUMENTS) { code_rows(1, IMA_LOW_FIRST, PASSED); }
static void decode_1(ARGUMENTS) { code_rows(1, IMA_HIGH_FIRST, PASSED); }
static void decode_2(ARGUMENTS) { code_rows(1, VOX, PASSED); }
typedef void (*coder)(ARGUMENTS);
static const coder encoders[3] = {encode_0, encode_1, encode_2}, decoders[3] = {decode_0, decode_1, decode_2};
#endif
