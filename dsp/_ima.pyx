# distutils: include_dirs = dsp
# distutils: depends = dsp/lanes.h dsp/_ima_octets.h
# distutils: extra_compile_args = -Wno-psabi
"""IMA/DVI and Dialogic VOX ADPCM of rows; the public side and the reference are dsp/ima.py.

Channels side by side, 16 bits a channel, as many as two vectors hold (64, 32
or 16).  Everything is unsigned: the predicted value p has half its range added, so
that "add and clamp" upwards is p + min(top - p, v), and downwards the same on
the complement of p.  The number of the step is kept in octets: the step itself
is then found by octet shuffles in tables that stay in registers.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t

from dsp.ima import STEPS

cdef extern from *:
    """
    #include "lanes.h"

    #define LANES VECTOR_OCTETS      /* channels of one go: octets of a vector */
    #define RUN 80                   /* samples of one go */

    typedef uint8_t octets __attribute__((vector_size(VECTOR_OCTETS)));
    typedef uint16_t words __attribute__((vector_size(VECTOR_OCTETS), may_alias));

    static uint16_t step_table[96] __attribute__((aligned(64)));
    static uint8_t step_octets[2][96] __attribute__((aligned(64)));

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
        #define TAKE(part, bit) take = _mm512_cmpge_epu16_mask(rest, (__m512i)(part)); \\
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

    static inline __attribute__((always_inline)) void encode_lanes(int kind, lane_state *state, const uint16_t *x, uint16_t *codes, int64_t n)
    {
        lane_state s = *state;
        for (int64_t at = 0; at < n; at += 4) {
            words packed[2] = {{0}, {0}};
            #pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                if (at + j >= n) break;
                const words *in = (const words *)(x + (at + j) * LANES);
                words step[2], code[2];
                find_steps(s.index, &step[0], &step[1]);
                for (int half = 0; half < 2; half++) {
                    words biased = in[half] + 32768;
                    code[half] = encode_half(kind, kind == VOX ? biased >> 4 : biased, &s.p[half], step[half]);
                    packed[half] |= code[half] << PLACE(kind, j);
                }
                s.index = next_index(kind, s.index, code[0], code[1]);
            }
            words *to = (words *)(codes + at / 4 * LANES);
            to[0] = packed[0];
            to[1] = packed[1];
        }
        *state = s;
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
    #define DECODE(kind, ...) (by_octets ? octet_decoders[kind](__VA_ARGS__) : decode_lanes(kind, __VA_ARGS__))
    #else
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
        for (int i = 0; i < channels; i++) memcpy(slot[i], &whole[i], 4);
    }

    /* way 0 encodes x to octets, way 1 decodes; both row by row. */
    static inline __attribute__((always_inline)) void code_rows(int way, int kind, slot_state *state, const int32_t *slot,
        int16_t *x, int64_t x_stride, const int32_t *x_row,
        uint8_t *octet, int64_t octets_stride, const int32_t *octets_row, int64_t n, int64_t n_samples)
    {
        uint16_t x_lane[(RUN + 8) * LANES] __attribute__((aligned(64))), code_lane[24 * LANES] __attribute__((aligned(64)));
        for (int64_t first = 0; first < n; first += LANES) {
            int channels = n - first < LANES ? n - first : LANES;
            slot_state *s[LANES];
            uint8_t *x_at[LANES], *octets_at[LANES];
            lane_state now;
            for (int i = 0; i < LANES; i++) {       /* lanes beyond the last read its row and are not written */
                int64_t k = first + (i < channels ? i : channels - 1);
                s[i] = state + slot[k];
                x_at[i] = (uint8_t *)(x + x_stride * (x_row ? x_row[k] : k));
                octets_at[i] = octet + octets_stride * (octets_row ? octets_row[k] : k);
            }
            load_state(kind, s, &now);
            for (int64_t at = 0; at < n_samples; at += RUN) {
                int64_t run = n_samples - at < RUN ? n_samples - at : RUN;
                if (way == 0) {
                    rows_to_lanes((const uint8_t *const *)x_at, 2 * run, x_lane, LANES);
                    encode_lanes(kind, &now, x_lane, code_lane, run);
                    lanes_to_rows(code_lane, LANES, octets_at, run / 2, channels);
                } else {
                    rows_to_lanes((const uint8_t *const *)octets_at, run / 2, code_lane, LANES);
                    DECODE(kind, &now, code_lane, x_lane, run);
                    lanes_to_rows(x_lane, LANES, x_at, 2 * run, channels);
                }
                if (at + run < n_samples)
                    for (int i = 0; i < LANES; i++) { x_at[i] += 2 * run; octets_at[i] += run / 2; }
            }
            store_state(kind, s, &now, channels);
        }
    }

    #define ARGUMENTS void *state, const int32_t *slot, int16_t *x, int64_t x_stride, const int32_t *x_row, \\
        uint8_t *octet, int64_t octets_stride, const int32_t *octets_row, int64_t n, int64_t n_samples
    #define PASSED (slot_state *)state, slot, x, x_stride, x_row, octet, octets_stride, octets_row, n, n_samples & ~(int64_t)1
    static void encode_0(ARGUMENTS) { code_rows(0, IMA_LOW_FIRST, PASSED); }
    static void encode_1(ARGUMENTS) { code_rows(0, IMA_HIGH_FIRST, PASSED); }
    static void encode_2(ARGUMENTS) { code_rows(0, VOX, PASSED); }
    static void decode_0(ARGUMENTS) { code_rows(1, IMA_LOW_FIRST, PASSED); }
    static void decode_1(ARGUMENTS) { code_rows(1, IMA_HIGH_FIRST, PASSED); }
    static void decode_2(ARGUMENTS) { code_rows(1, VOX, PASSED); }
    typedef void (*coder)(ARGUMENTS);
    static const coder encoders[3] = {encode_0, encode_1, encode_2}, decoders[3] = {decode_0, decode_1, decode_2};
    """
    ctypedef struct slot_state:
        int16_t predicted
        uint8_t index
    ctypedef void (*coder)(void *, const int32_t *, int16_t *, int64_t, const int32_t *, uint8_t *, int64_t,
                           const int32_t *, int64_t, int64_t) noexcept nogil
    const coder *encoders
    const coder *decoders
    void set_step(int index, int value)
    void prepare_octets()
    int may_use_octets()
    void use_octets(int wish)

cdef int number
for number in range(89):
    set_step(number, STEPS[number])
prepare_octets()


cdef void encode(int32_t kind, void *state, const int32_t *slot, const int16_t *x, int64_t x_stride, const int32_t *x_row,
                 uint8_t *octets, int64_t octets_stride, const int32_t *octets_row, int64_t n, int64_t n_samples) noexcept nogil:
    if 0 <= kind <= 2:
        encoders[kind](state, slot, <int16_t *>x, x_stride, x_row, octets, octets_stride, octets_row, n, n_samples)


cdef void decode(int32_t kind, void *state, const int32_t *slot, const uint8_t *octets, int64_t octets_stride, const int32_t *octets_row,
                 int16_t *x, int64_t x_stride, const int32_t *x_row, int64_t n, int64_t n_samples) noexcept nogil:
    if 0 <= kind <= 2:
        decoders[kind](state, slot, x, x_stride, x_row, <uint8_t *>octets, octets_stride, octets_row, n, n_samples)


cdef void put(int32_t kind, void *state, int32_t slot, int32_t predicted, int32_t index) noexcept nogil:
    cdef slot_state *s = &(<slot_state *>state)[slot]
    cdef int32_t top = 2047 if kind == 2 else 32767, last = 48 if kind == 2 else 88
    s.predicted = <int16_t>(top if predicted > top else (-top - 1 if predicted < -top - 1 else predicted))
    s.index = <uint8_t>(last if index > last else (0 if index < 0 else index))


cdef void reset(void *state, int32_t slot) noexcept nogil:
    put(0, state, slot, 0, 0)


capi = {
    "encode": PyCapsule_New(<void *>encode, "void (int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, int64_t, int64_t)", NULL),
    "decode": PyCapsule_New(<void *>decode, "void (int32_t, void *, const int32_t *, const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, int64_t, int64_t)", NULL),
    "put": PyCapsule_New(<void *>put, "void (int32_t, void *, int32_t, int32_t, int32_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}


def call_encode(int kind, uint8_t[::1] state, const int32_t[::1] slot, const int16_t[:, ::1] x, uint8_t[:, ::1] octets):
    """x: int16 (n, n_samples), n_samples even; octets: uint8 (n, n_samples / 2), written."""
    with nogil:
        encode(kind, &state[0], &slot[0], &x[0, 0], x.shape[1], NULL, &octets[0, 0], octets.shape[1], NULL, x.shape[0], x.shape[1])


def call_decode(int kind, uint8_t[::1] state, const int32_t[::1] slot, const uint8_t[:, ::1] octets, int16_t[:, ::1] x):
    """octets: uint8 (n, n_samples / 2); x: int16 (n, n_samples), written."""
    with nogil:
        decode(kind, &state[0], &slot[0], &octets[0, 0], octets.shape[1], NULL, &x[0, 0], x.shape[1], NULL, x.shape[0], x.shape[1])


def call_put(int kind, uint8_t[::1] state, int slot, int predicted, int index):
    put(kind, &state[0], slot, predicted, index)


OCTETS = bool(may_use_octets())


def call_use_octets(bint wish):
    """Decode as processors without AVX-512 VBMI do, or not; for tests."""
    use_octets(wish)
