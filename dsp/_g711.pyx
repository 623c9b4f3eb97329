# distutils: include_dirs = dsp
# distutils: depends = dsp/_g711_octets.h
# distutils: extra_compile_args = -Wno-psabi
"""G.711 companding of rows; the public side and the reference are dsp/g711.py.

Both laws are floating-point formats in disguise: sign, 3 bits of exponent, 4 of
mantissa.  The exponent is applied as a factor looked up in a register, and found
by three conditional shifts of 4, 2 and 1: everything stays in 16 bits, so that a
vector holds as many samples as it can, and no table in memory is read.  AVX-512 looks up 64 words
in two registers, so there the segment (compression) or the whole value (expansion) comes from such tables;
and 128 octets where it has VBMI (_g711_octets.h).
Rows that follow each other in memory and have one law are one run.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

from dsp.g711 import A_TO_MU, MU_TO_A

cdef uint8_t other_law[2][256]
cdef int octet_value
for octet_value in range(256):
    other_law[0][octet_value] = A_TO_MU[octet_value]
    other_law[1][octet_value] = MU_TO_A[octet_value]


# Sixteen samples at a time, because a row of 80 then leaves no remainder.  They are
# written as vectors since GCC 12's loop vectoriser widens this to 32 bits (measured:
# twice the instructions).  16-octet shuffles exist from SSSE3 and NEON on.
cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    typedef uint8_t octets16 __attribute__((vector_size(16)));
    typedef int8_t signed16 __attribute__((vector_size(16)));
    typedef int16_t samples16 __attribute__((vector_size(32)));

    /* The encoder compares: vectors wider than the machine's would be compared one element at a time. */
    #ifdef __AVX2__
    #define WIDTH 16
    #else
    #define WIDTH 8
    #endif
    typedef int16_t samples __attribute__((vector_size(2 * WIDTH)));
    typedef uint8_t octets __attribute__((vector_size(WIDTH)));

    static inline samples16 widen(octets16 a) { return __builtin_convertvector(a, samples16); }
    static inline samples choose(samples mask, samples a, samples b) { return (a & mask) | (b & ~mask); }
    static inline samples load_samples(const int16_t *x) { samples a; memcpy(&a, x, sizeof a); return a; }
    static inline octets16 load_octets(const uint8_t *x) { octets16 a; memcpy(&a, x, 16); return a; }

    /* (33 + 2 m) 8 2^(segment - 1); segment 0 has the step of segment 1 and no leading one. */
    static inline samples16 expand_a(octets16 in)
    {
        const octets16 power = {1, 1, 2, 4, 8, 16, 32, 64}, leading_one = {0, 32, 32, 32, 32, 32, 32, 32};
        octets16 code = in ^ 0x55, segment = (code >> 4) & 7;
        octets16 base = (code & 15) * 2 + 1 + __builtin_shuffle(leading_one, segment);
        samples16 value = widen(base) * widen(__builtin_shuffle(power, segment)) << 3;
        samples16 negative = ~(__builtin_convertvector((signed16)code, samples16) >> 15);
        return (value ^ negative) - negative;
    }

    /* ((33 + 2 m) 2^segment - 33) times 4: 14 bits, left aligned. */
    static inline samples16 expand_mu(octets16 in)
    {
        const octets16 power = {1, 2, 4, 8, 16, 32, 64, 128};
        octets16 code = in ^ 0xFF, segment = (code >> 4) & 7;
        octets16 base = (code & 15) * 2 + 33;
        samples16 value = (widen(base) * widen(__builtin_shuffle(power, segment)) - 33) << 2;
        samples16 negative = __builtin_convertvector((signed16)code, samples16) >> 15;
        return (value ^ negative) - negative;
    }

    /* 11 bits of magnitude (one's complement below zero, so that the steps are
       symmetric), brought down to 5; below 32 the law is linear. */
    static inline octets compress_a(samples x)
    {
        samples negative = x >> 15, v = (x ^ negative) >> 4, above, code;
        above = v > 255; v = choose(above, v >> 4, v); code = above & 0x40;
        above = v > 63;  v = choose(above, v >> 2, v); code += above & 0x20;
        above = v > 31;  v = choose(above, v >> 1, v); code += above & 0x10;
        return __builtin_convertvector((code + v) ^ 0xD5 ^ (negative & 0x80), octets);
    }

    /* 13 bits of magnitude with the bias of 33, which makes every segment start at a
       power of two, brought down to 6. */
    static inline octets compress_mu(samples x)
    {
        samples negative = x >> 15, v = ((x ^ negative) >> 2) + 33, above, code;
        above = v > 0x1FFF; v = choose(above, above & 0x1FFF, v);
        above = v > 511; v = choose(above, v >> 4, v); code = above & 0x40;
        above = v > 127; v = choose(above, v >> 2, v); code += above & 0x20;
        above = v > 63;  v = choose(above, v >> 1, v); code += above & 0x10;
        return __builtin_convertvector((code + (v >> 1) - 16) ^ 0xFF ^ (negative & 0x80), octets);
    }

    #ifdef __AVX512BW__
    #include <immintrin.h>
    #define RUN 32
    /* Magnitudes of the octets' low 7 bits as they come; segments of A-law magnitudes by their 6 upper bits of 11, and of
       biased mu-law ones by the 6 below the first of 13. */
    static uint16_t magnitude[2][128] __attribute__((aligned(64))), segment_of[2][64] __attribute__((aligned(64)));
    #include "_g711_octets.h"
    static void prepare(void)
    {
        for (int first = 0; first < 128; first += 16) {
            octets16 codes;
            for (int i = 0; i < 16; i++) codes[i] = first + i + 128;
            samples16 a = expand_a(codes), mu = expand_mu(codes);
            for (int i = 0; i < 16; i++) {
                magnitude[0][first + i] = a[i];
                magnitude[1][first + i] = mu[i];
            }
        }
        for (int i = 1; i < 64; i++)
            segment_of[0][i] = segment_of[1][i] = 32 - __builtin_clz(i);
        prepare_octets();
    }

    /* 32 samples.  Octets of either law have their top bit set where the sample is not negative. */
    static inline void expand_32(const uint16_t *table, const uint8_t *octets, int16_t *x)
    {
        __m512i code = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)octets));
        __m512i low = _mm512_permutex2var_epi16(_mm512_load_si512(table), code, _mm512_load_si512(table + 32));
        __m512i high = _mm512_permutex2var_epi16(_mm512_load_si512(table + 64), code, _mm512_load_si512(table + 96));
        __m512i value = _mm512_mask_mov_epi16(low, _mm512_test_epi16_mask(code, _mm512_set1_epi16(0x40)), high);
        value = _mm512_mask_sub_epi16(value, _mm512_testn_epi16_mask(code, _mm512_set1_epi16(0x80)), _mm512_setzero_si512(), value);
        _mm512_storeu_si512(x, value);
    }
    static inline __m512i segments(int64_t law, __m512i at)
    {
        return _mm512_permutex2var_epi16(_mm512_load_si512(segment_of[law]), at, _mm512_load_si512(segment_of[law] + 32));
    }
    static inline void compress_32(int64_t law, const int16_t *x, uint8_t *octets)
    {
        __m512i in = _mm512_loadu_si512(x), negative = _mm512_srai_epi16(in, 15), v = _mm512_xor_si512(in, negative), segment, code;
        __m512i sign = _mm512_and_si512(negative, _mm512_set1_epi16(0x80));
        if (law == 0) {
            v = _mm512_srli_epi16(v, 4);
            segment = segments(law, _mm512_srli_epi16(v, 5));
            code = _mm512_add_epi16(_mm512_srlv_epi16(v, segment), _mm512_slli_epi16(segment, 4));
            code = _mm512_xor_si512(code, _mm512_xor_si512(sign, _mm512_set1_epi16(0xD5)));
        } else {
            v = _mm512_min_epi16(_mm512_add_epi16(_mm512_srli_epi16(v, 2), _mm512_set1_epi16(33)), _mm512_set1_epi16(0x1FFF));
            segment = segments(law, _mm512_srli_epi16(v, 6));
            segment = _mm512_mask_mov_epi16(segment, _mm512_test_epi16_mask(v, _mm512_set1_epi16(0x1000)), _mm512_set1_epi16(7));
            code = _mm512_add_epi16(_mm512_srli_epi16(_mm512_srlv_epi16(v, segment), 1), _mm512_slli_epi16(segment, 4));
            code = _mm512_xor_si512(_mm512_sub_epi16(code, _mm512_set1_epi16(16)), _mm512_xor_si512(sign, _mm512_set1_epi16(0xFF)));
        }
        _mm256_storeu_si256((__m256i *)octets, _mm512_cvtepi16_epi8(code));
    }
    #else
    #define RUN 0
    static void prepare(void) {}
    static int may_use_octets(void) { return 0; }
    static void use_octets(int wish) { (void)wish; }
    #endif

    static inline void expand_run(int64_t law, const uint8_t *octets, int16_t *x, int64_t n)
    {
        int64_t i = 0;
        samples16 y;
    #if RUN
        if (by_octets) i = expand_octets(law != 0, octets, x, n);
        for (; i + RUN <= n; i += RUN) expand_32(magnitude[law != 0], octets + i, x + i);
    #endif
        if (law == 0)
            for (; i + 16 <= n; i += 16) { y = expand_a(load_octets(octets + i)); memcpy(x + i, &y, 32); }
        else
            for (; i + 16 <= n; i += 16) { y = expand_mu(load_octets(octets + i)); memcpy(x + i, &y, 32); }
        if (i < n) {
            octets16 rest = {0};
            memcpy(&rest, octets + i, n - i);
            y = law == 0 ? expand_a(rest) : expand_mu(rest);
            memcpy(x + i, &y, 2 * (n - i));
        }
    }

    static inline void compress_run(int64_t law, const int16_t *x, uint8_t *octets_out, int64_t n)
    {
        int64_t i = 0;
        octets y;
    #if RUN
        if (by_octets && law == 0) i = compress_octets_a(x, octets_out, n);
        if (law == 0)
            for (; i + RUN <= n; i += RUN) compress_32(0, x + i, octets_out + i);
        else
            for (; i + RUN <= n; i += RUN) compress_32(1, x + i, octets_out + i);
    #endif
        if (law == 0)
            for (; i + WIDTH <= n; i += WIDTH) { y = compress_a(load_samples(x + i)); memcpy(octets_out + i, &y, WIDTH); }
        else
            for (; i + WIDTH <= n; i += WIDTH) { y = compress_mu(load_samples(x + i)); memcpy(octets_out + i, &y, WIDTH); }
        if (i < n) {
            samples rest = {0};
            memcpy(&rest, x + i, 2 * (n - i));
            y = law == 0 ? compress_a(rest) : compress_mu(rest);
            memcpy(octets_out + i, &y, n - i);
        }
    }
    """
    void expand_run(int64_t law, const uint8_t *octets, int16_t *x, int64_t n) noexcept nogil
    void compress_run(int64_t law, const int16_t *x, uint8_t *octets, int64_t n) noexcept nogil
    void prepare()
    int may_use_octets()
    void use_octets(int wish)

prepare()


cdef void expand(int64_t law, const uint8_t *octets, int16_t *x, int64_t n) noexcept nogil:
    expand_run(law, octets, x, n)


cdef void compress(int64_t law, const int16_t *x, uint8_t *octets, int64_t n) noexcept nogil:
    compress_run(law, x, octets, n)


cdef void convert(int64_t law, const uint8_t *octets, uint8_t *out, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef const uint8_t *table = other_law[law & 1]
    for i in range(n):
        out[i] = table[octets[i]]


cdef inline int64_t row_of(const int32_t *rows, int64_t i) noexcept nogil:
    return rows[i] if rows != NULL else i


cdef inline int64_t neighbours(const int32_t *octets_row, int64_t octets_stride, const int32_t *x_row, int64_t x_stride,
                               const uint8_t *law, int64_t i, int64_t n, int64_t n_samples) noexcept nogil:
    """How many rows from i on are one run of octets and of samples, and have one law."""
    cdef int64_t k = 1
    if octets_stride != n_samples or x_stride != n_samples:
        return 1
    while i + k < n and law[i + k] == law[i] and row_of(octets_row, i + k) == row_of(octets_row, i) + k and row_of(x_row, i + k) == row_of(x_row, i) + k:
        k += 1
    return k


cdef void expand_rows(const uint8_t *octets, int64_t octets_stride, const int32_t *octets_row,
                      int16_t *x, int64_t x_stride, const int32_t *x_row,
                      const uint8_t *law, int64_t n, int64_t n_samples) noexcept nogil:
    cdef int64_t i = 0, k
    while i < n:
        k = neighbours(octets_row, octets_stride, x_row, x_stride, law, i, n, n_samples)
        expand(law[i], octets + octets_stride * row_of(octets_row, i), x + x_stride * row_of(x_row, i), k * n_samples)
        i += k


cdef void compress_rows(const int16_t *x, int64_t x_stride, const int32_t *x_row,
                        uint8_t *octets, int64_t octets_stride, const int32_t *octets_row,
                        const uint8_t *law, int64_t n, int64_t n_samples) noexcept nogil:
    cdef int64_t i = 0, k
    while i < n:
        k = neighbours(octets_row, octets_stride, x_row, x_stride, law, i, n, n_samples)
        compress(law[i], x + x_stride * row_of(x_row, i), octets + octets_stride * row_of(octets_row, i), k * n_samples)
        i += k


capi = {
    "expand_rows": PyCapsule_New(<void *>expand_rows, "void (const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, const uint8_t *, int64_t, int64_t)", NULL),
    "compress_rows": PyCapsule_New(<void *>compress_rows, "void (const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, const uint8_t *, int64_t, int64_t)", NULL),
    "expand": PyCapsule_New(<void *>expand, "void (int64_t, const uint8_t *, int16_t *, int64_t)", NULL),
    "compress": PyCapsule_New(<void *>compress, "void (int64_t, const int16_t *, uint8_t *, int64_t)", NULL),
    "convert": PyCapsule_New(<void *>convert, "void (int64_t, const uint8_t *, uint8_t *, int64_t)", NULL),
}


def call_expand(int law, const uint8_t[::1] octets, int16_t[::1] x):
    """octets: uint8 (n); x: int16 (n), written."""
    with nogil:
        expand(law, &octets[0], &x[0], octets.shape[0])


def call_compress(int law, const int16_t[::1] x, uint8_t[::1] octets):
    """x: int16 (n); octets: uint8 (n), written."""
    with nogil:
        compress(law, &x[0], &octets[0], x.shape[0])


def call_convert(int law, const uint8_t[::1] octets, uint8_t[::1] out):
    """octets of law: uint8 (n); out: uint8 (n) of the other law, written."""
    with nogil:
        convert(law, &octets[0], &out[0], octets.shape[0])


OCTETS = bool(may_use_octets())


def call_use_octets(bint wish):
    """Work as processors without AVX-512 VBMI do, or not; for tests."""
    use_octets(wish)
