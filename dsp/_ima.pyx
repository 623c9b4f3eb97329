# distutils: include_dirs = dsp
# distutils: depends = dsp/lanes.h dsp/_ima_vectors.h dsp/_ima_coder.h dsp/_ima_octets.h
# distutils: extra_compile_args = -Wno-psabi
"""IMA/DVI and Dialogic VOX ADPCM of rows; the public side and the reference are dsp/ima.py.

Channels side by side (_ima_coder.h), 16 bits a channel, as many as two vectors hold (64, 32
or 16).  Everything is unsigned: the predicted value p has half its range added, so
that "add and clamp" upwards is p + min(top - p, v), and downwards the same on
the complement of p.  The number of the step is kept in octets: the step itself
is then found by octet shuffles in tables that stay in registers.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t

from dsp.ima import STEPS

cdef extern from "_ima_coder.h" nogil:
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
    """Code as processors without AVX-512 VBMI do, or not; for tests."""
    use_octets(wish)
