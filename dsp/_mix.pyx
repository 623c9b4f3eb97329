"""Mixing of rows; the public side and the reference are dsp/mix.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

cdef enum:
    RUN = 80            # samples that are summed at a time; one block (the steps below, too)
    UNITY = 4096


cdef inline int16_t saturated(int32_t value) noexcept nogil:
    value = value if value > -32768 else -32768
    return <int16_t>(value if value < 32767 else 32767)


cdef inline void add(int32_t *total, const int16_t *x, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        total[i] += x[i]


cdef inline void add_scaled(int32_t *total, const int16_t *x, int32_t gain, int64_t n) noexcept nogil:
    # The shift goes down (towards minus infinity) at every level alike.
    cdef int64_t i
    for i in range(n):
        total[i] += (x[i] * gain) >> 12


cdef inline void all_but(const int32_t *total, const int16_t *x, int16_t *y, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        y[i] = saturated(total[i] - x[i])


cdef inline void saturate(const int32_t *total, int16_t *y, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        y[i] = saturated(total[i])


cdef void bridges(const int16_t *x, int64_t x_stride, int16_t *y, int64_t y_stride,
                  const int32_t *start, const int32_t *member, int64_t n_bridges, int64_t n_samples) noexcept nogil:
    cdef int64_t b, i, at, run, first, size
    cdef int32_t total[RUN]
    cdef const int32_t *who
    for b in range(n_bridges):
        size, who = start[b + 1] - start[b], member + start[b]
        if size == 1:
            memset(y + y_stride * who[0], 0, 2 * n_samples)
        elif size == 2:
            memcpy(y + y_stride * who[0], x + x_stride * who[1], 2 * n_samples)
            memcpy(y + y_stride * who[1], x + x_stride * who[0], 2 * n_samples)
        elif size > 2:
            for at in range(0, n_samples, 80):
                run = n_samples - at if n_samples - at < RUN else RUN
                memset(total, 0, sizeof(total))
                for i in range(size):
                    add(total, x + x_stride * who[i] + at, run)
                for i in range(size):
                    all_but(total, x + x_stride * who[i] + at, y + y_stride * who[i] + at, run)


cdef void routes(const int16_t *x, int64_t x_stride, int16_t *y, int64_t y_stride, const int32_t *out_row,
                 const int32_t *start, const int32_t *source, const int32_t *gain,
                 int64_t n_outs, int64_t n_samples) noexcept nogil:
    cdef int64_t i, j, at, run
    cdef int32_t total[RUN]
    cdef int16_t *out
    for i in range(n_outs):
        out = y + y_stride * out_row[i]
        j = start[i]
        if start[i + 1] - j == 1 and (gain == NULL or gain[j] == UNITY):
            memcpy(out, x + x_stride * source[j], 2 * n_samples)
            continue
        for at in range(0, n_samples, 80):
            run = n_samples - at if n_samples - at < RUN else RUN
            memset(total, 0, sizeof(total))
            for j in range(start[i], start[i + 1]):
                if gain == NULL or gain[j] == UNITY:
                    add(total, x + x_stride * source[j] + at, run)
                else:
                    add_scaled(total, x + x_stride * source[j] + at, gain[j], run)
            saturate(total, out + at, run)


capi = {
    "bridges": PyCapsule_New(<void *>bridges, "void (const int16_t *, int64_t, int16_t *, int64_t, const int32_t *, const int32_t *, int64_t, int64_t)", NULL),
    "routes": PyCapsule_New(<void *>routes, "void (const int16_t *, int64_t, int16_t *, int64_t, const int32_t *, const int32_t *, const int32_t *, const int32_t *, int64_t, int64_t)", NULL),
}


def call_bridges(const int16_t[:, ::1] x, int16_t[:, ::1] y, const int32_t[::1] start, const int32_t[::1] member):
    """Rows of x and y: int16 (n_rows, n_samples); see dsp/mix.py."""
    with nogil:
        bridges(&x[0, 0], x.shape[1], &y[0, 0], y.shape[1], &start[0], &member[0], start.shape[0] - 1, x.shape[1])


def call_routes(const int16_t[:, ::1] x, int16_t[:, ::1] y, const int32_t[::1] out_row,
                const int32_t[::1] start, const int32_t[::1] source, const int32_t[::1] gain):
    """gain may be None; see dsp/mix.py."""
    cdef const int32_t *gains = NULL
    if gain is not None:
        gains = &gain[0]
    with nogil:
        routes(&x[0, 0], x.shape[1], &y[0, 0], y.shape[1], &out_row[0], &start[0], &source[0], gains,
               out_row.shape[0], x.shape[1])
