/* G.711 by tables of octets, 64 samples at a time, for processors that look up 128 of them at once (AVX-512 VBMI); included by
   _g711.pyx, whose run functions it stands before.

   Expansion: a value's lower and upper octet come from two tables of 128 for each sign.  A-law compression of v, the upper 11 bits
   of a magnitude: from 256 on the step is 16 or more, so v >> 4 decides; below, v >> 1 does, but for the first 32, where the code
   is v itself: no code is greater than its v, so the lesser of v and the greatest code for v >> 1 is right there, too.
   mu-law would need three such ranges; it stays with the segments. */

#ifndef STROWGER_G711_OCTETS_H
#define STROWGER_G711_OCTETS_H
#define WITH_OCTETS __attribute__((target("avx512vbmi")))

static uint8_t value_octets[2][2][256] __attribute__((aligned(64)));    /* [law][lower, upper][code] */
static uint8_t code_above[128] __attribute__((aligned(64))), code_below[128] __attribute__((aligned(64)));
static int by_octets;

static int may_use_octets(void) { return __builtin_cpu_supports("avx512vbmi") != 0; }
static void use_octets(int wish) { by_octets = wish && may_use_octets(); }

static void prepare_octets(void)
{
    for (int law = 0; law < 2; law++)
        for (int code = 0; code < 256; code++) {
            int value = code & 0x80 ? magnitude[law][code & 127] : -magnitude[law][code & 127];
            value_octets[law][0][code] = value & 255;
            value_octets[law][1][code] = value >> 8 & 255;
        }
    for (int i = 0; i < 128; i++) {
        int above = i << 4, below = i << 1 | 1, shift_above = above > 1023 ? 6 : above > 511 ? 5 : 4, shift_below = below > 127 ? 3 : below > 63 ? 2 : below > 31 ? 1 : 0;
        code_above[i] = (above >> shift_above) + 16 * shift_above;
        code_below[i] = (below >> shift_below) + 16 * shift_below;
    }
    use_octets(1);
}

WITH_OCTETS static inline __m512i look_up_128(const uint8_t *table, __m512i i)
{
    return _mm512_permutex2var_epi8(_mm512_load_si512(table), i, _mm512_load_si512(table + 64));
}

WITH_OCTETS static __attribute__((noinline)) int64_t expand_octets(int64_t law, const uint8_t *octets, int16_t *x, int64_t n)
{
    const uint8_t (*table)[256] = value_octets[law];
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);     /* so that what unpacking parts is together */
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        __m512i code = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(octets + i)), octet[2];
        __mmask64 not_negative = _mm512_movepi8_mask(code);
        for (int k = 0; k < 2; k++)
            octet[k] = _mm512_mask_mov_epi8(look_up_128(table[k], code), not_negative, look_up_128(table[k] + 128, code));
        _mm512_storeu_si512(x + i, _mm512_unpacklo_epi8(octet[0], octet[1]));
        _mm512_storeu_si512(x + i + 32, _mm512_unpackhi_epi8(octet[0], octet[1]));
    }
    return i;
}

WITH_OCTETS static __attribute__((noinline)) int64_t compress_octets_a(const int16_t *x, uint8_t *octets, int64_t n)
{
    static const uint8_t counted[64] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62,
        64, 66, 68, 70, 72, 74, 76, 78, 80, 82, 84, 86, 88, 90, 92, 94, 96, 98, 100, 102, 104, 106, 108, 110, 112, 114, 116, 118, 120, 122, 124, 126};
    const __m512i lower = _mm512_loadu_si512(counted), upper = _mm512_add_epi8(lower, _mm512_set1_epi8(1));
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        __m512i first = _mm512_loadu_si512(x + i), second = _mm512_loadu_si512(x + i + 32);
        __m512i high = _mm512_permutex2var_epi8(first, upper, second);
        __m512i v = _mm512_permutex2var_epi8(_mm512_srli_epi16(first, 4), lower, _mm512_srli_epi16(second, 4));     /* its lower octet */
        __m512i negative = _mm512_movm_epi8(_mm512_movepi8_mask(high)), above = _mm512_xor_si512(high, negative);
        v = _mm512_xor_si512(v, negative);
        __m512i code = _mm512_min_epu8(v, look_up_128(code_below, _mm512_srli_epi16(v, 1)));
        code = _mm512_mask_mov_epi8(code, _mm512_cmpgt_epu8_mask(above, _mm512_set1_epi8(15)), look_up_128(code_above, above));
        /* code ^ 0xD5, and the sign */
        code = _mm512_ternarylogic_epi64(code, high, _mm512_set1_epi8(-128), 0x78);
        _mm512_storeu_si512(octets + i, _mm512_xor_si512(code, _mm512_set1_epi8((char)0xD5)));
    }
    return i;
}
#endif
