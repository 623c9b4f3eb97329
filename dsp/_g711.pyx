"""G.711 companding of rows; the public side and the reference are dsp/g711.py.

Both laws are floating-point formats in disguise (sign, 3 bits of exponent, 4 of
mantissa), so a sample goes through an IEEE single: its exponent and the top of
its mantissa are the octet.  That has no table look-up and vectorises at every
instruction-set level.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t

from dsp.g711 import A_TO_MU, MU_TO_A

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint32_t float_bits(float value) { uint32_t bits; memcpy(&bits, &value, 4); return bits; }
    static inline float bits_float(uint32_t bits) { float value; memcpy(&value, &bits, 4); return value; }
    """
    uint32_t float_bits(float) noexcept nogil
    float bits_float(uint32_t) noexcept nogil

cdef uint8_t other_law[2][256]
cdef int octet_value
for octet_value in range(256):
    other_law[0][octet_value] = A_TO_MU[octet_value]
    other_law[1][octet_value] = MU_TO_A[octet_value]


cdef void expand_a(const uint8_t *octets, int16_t *x, int64_t n) noexcept nogil:
    # (33 + 2 m) 2^(segment + 2) from segment 1 on; segment 0 has the step of
    # segment 1 but no leading one: 256 less.
    cdef int64_t i
    cdef int32_t code, segment, magnitude
    for i in range(n):
        code = octets[i] ^ 0x55
        segment = (code >> 4) & 7
        magnitude = <int32_t>bits_float(((segment + (segment == 0) + 134) << 23) | ((2 * (code & 15) + 1) << 18))
        magnitude -= (segment == 0) << 8
        x[i] = <int16_t>(magnitude if code & 0x80 else -magnitude)


cdef void expand_mu(const uint8_t *octets, int16_t *x, int64_t n) noexcept nogil:
    # ((33 + 2 m) 2^segment - 33) times 4: 14 bits, left aligned.
    cdef int64_t i
    cdef int32_t code, magnitude
    for i in range(n):
        code = octets[i] ^ 0xFF
        magnitude = <int32_t>bits_float(((((code >> 4) & 7) + 134) << 23) | ((2 * (code & 15) + 1) << 18)) - 132
        x[i] = <int16_t>(-magnitude if code & 0x80 else magnitude)


cdef void compress_a(const int16_t *x, uint8_t *octets, int64_t n) noexcept nogil:
    # 12 bits of magnitude (one's complement below zero, so that the steps are
    # symmetric); below 32 the law is linear.
    cdef int64_t i
    cdef int32_t magnitude, code
    for i in range(n):
        magnitude = (x[i] ^ (x[i] >> 15)) >> 4
        code = <int32_t>(float_bits(<float>magnitude) >> 19) - (130 << 4)
        code = magnitude if magnitude < 32 else code
        octets[i] = <uint8_t>((code | (0x80 if x[i] >= 0 else 0)) ^ 0x55)


cdef void compress_mu(const int16_t *x, uint8_t *octets, int64_t n) noexcept nogil:
    # 13 bits of magnitude plus the bias of 33, which makes every segment start at a power of two.
    cdef int64_t i
    cdef int32_t magnitude, code
    for i in range(n):
        magnitude = ((x[i] ^ (x[i] >> 15)) >> 2) + 33
        magnitude = magnitude if magnitude < 0x1FFF else 0x1FFF
        code = <int32_t>(float_bits(<float>magnitude) >> 19) - (132 << 4)
        octets[i] = <uint8_t>((code | (0 if x[i] >= 0 else 0x80)) ^ 0xFF)


cdef void expand(int64_t law, const uint8_t *octets, int16_t *x, int64_t n) noexcept nogil:
    if law == 0:
        expand_a(octets, x, n)
    else:
        expand_mu(octets, x, n)


cdef void compress(int64_t law, const int16_t *x, uint8_t *octets, int64_t n) noexcept nogil:
    if law == 0:
        compress_a(x, octets, n)
    else:
        compress_mu(x, octets, n)


cdef void convert(int64_t law, const uint8_t *octets, uint8_t *out, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef const uint8_t *table = other_law[law & 1]
    for i in range(n):
        out[i] = table[octets[i]]


cdef void expand_rows(const uint8_t *octets, int64_t octets_stride, const int32_t *octets_row,
                      int16_t *x, int64_t x_stride, const int32_t *x_row,
                      const uint8_t *law, int64_t n, int64_t n_samples) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        expand(law[i], octets + octets_stride * (octets_row[i] if octets_row != NULL else i),
               x + x_stride * (x_row[i] if x_row != NULL else i), n_samples)


cdef void compress_rows(const int16_t *x, int64_t x_stride, const int32_t *x_row,
                        uint8_t *octets, int64_t octets_stride, const int32_t *octets_row,
                        const uint8_t *law, int64_t n, int64_t n_samples) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        compress(law[i], x + x_stride * (x_row[i] if x_row != NULL else i),
                 octets + octets_stride * (octets_row[i] if octets_row != NULL else i), n_samples)


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
