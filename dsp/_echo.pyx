# distutils: extra_compile_args = -Wno-psabi -Wno-unused-function
# distutils: include_dirs = dsp/native
# distutils: depends = dsp/native/voice.h dsp/native/fft128.h dsp/native/echo.h dsp/native/echo_state.h dsp/native/echo_spectra.h dsp/native/echo_solve.h
"""Line echo canceller of groups of channels; the public side, the method and the reference are dsp/echo.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

cdef extern from "echo.h":
    int LANES_HERE, CONTROL_LANES
    int64_t echo_group_octets(int64_t) noexcept nogil
    void echo_prepare() noexcept nogil
    void echo_cancel(void *, const int32_t *, const int32_t *, const int32_t *, const uint8_t *, int64_t,
                     const int16_t *, int64_t, int16_t *, int64_t, int64_t) noexcept nogil
    void echo_reset(void *, int32_t, int64_t) noexcept nogil
    void echo_control(const void *, int32_t, int64_t, float *) noexcept nogil
    void echo_response(const void *, int32_t, int64_t, float *) noexcept nogil

LANES = LANES_HERE
echo_prepare()


def group_octets(int64_t partitions):
    """Octets of the state of LANES channels."""
    return echo_group_octets(partitions)


cdef void cancel(void *state, const int32_t *slot, const int32_t *far_row, const int32_t *near_row,
                 const uint8_t *flags, int64_t n, const int16_t *far, int64_t far_stride,
                 int16_t *near, int64_t near_stride, int64_t partitions) noexcept nogil:
    echo_cancel(state, slot, far_row, near_row, flags, n, far, far_stride, near, near_stride, partitions)


cdef void reset(void *state, int32_t slot, int64_t partitions) noexcept nogil:
    echo_reset(state, slot, partitions)


capi = {
    "cancel": PyCapsule_New(<void *>cancel, "void (void *, const int32_t *, const int32_t *, const int32_t *, const uint8_t *, int64_t, const int16_t *, int64_t, int16_t *, int64_t, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t, int64_t)", NULL),
}


def call_cancel(uint8_t[::1] state, const int32_t[::1] slot, const int32_t[::1] far_row, const int32_t[::1] near_row,
                const uint8_t[::1] flags, const int16_t[:, ::1] far, int16_t[:, ::1] near, int64_t partitions):
    """Rows of 80; near is changed in place; see dsp/echo.py."""
    with nogil:
        echo_cancel(&state[0], &slot[0], &far_row[0], &near_row[0], &flags[0], slot.shape[0],
                    &far[0, 0], far.shape[1], &near[0, 0], near.shape[1], partitions)


def call_reset(uint8_t[::1] state, int32_t slot, int64_t partitions):
    echo_reset(&state[0], slot, partitions)


def call_control(const uint8_t[::1] state, int32_t slot, int64_t partitions, float[::1] out):
    """out: float32 (CONTROL_LANES), the control fields of a slot in the order of echo.CONTROL."""
    if out.shape[0] < CONTROL_LANES:
        raise ValueError("echo: no room for the control fields; give a float32 array as long as echo.CONTROL")
    echo_control(&state[0], slot, partitions, &out[0])


def call_response(const uint8_t[::1] state, int32_t slot, int64_t partitions, float[::1] out):
    """out: float32 (176 * partitions), the taps that the output is made with."""
    if out.shape[0] < 176 * partitions:
        raise ValueError("echo: no room for the taps; give a float32 array of 176 a partition")
    echo_response(&state[0], slot, partitions, &out[0])
