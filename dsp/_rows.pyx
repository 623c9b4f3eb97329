"""Frames of the board's ring to rows per timeslot, and back.

The ring is read and written a tile of 16 x 16 octets at a time: four rounds of
octet interleaving turn a tile in registers, where an octet-by-octet copy would
touch a new cache line for each octet.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uintptr_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    typedef uint8_t tile_row __attribute__((vector_size(16)));

    /* Interleave the low (high) halves of two rows: punpcklbw/punpckhbw on x86, zip1/zip2 on aarch64. */
    static inline tile_row low_halves(tile_row a, tile_row b)
    {
        return __builtin_shuffle(a, b, (tile_row){0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
    }
    static inline tile_row high_halves(tile_row a, tile_row b)
    {
        return __builtin_shuffle(a, b, (tile_row){8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
    }

    /* out[j][i] = in[i][j].  A round pairs row i with row i + 8; after four rounds
       each octet's row and column numbers have changed places. */
    static inline void turn_tile(const uint8_t *in, int64_t in_stride, uint8_t *out, int64_t out_stride)
    {
        tile_row a[16], b[16];
        for (int i = 0; i < 16; i++)
            memcpy(&a[i], in + i * in_stride, 16);
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < 8; i++) {
                b[2 * i] = low_halves(a[i], a[i + 8]);
                b[2 * i + 1] = high_halves(a[i], a[i + 8]);
            }
            for (int i = 0; i < 8; i++) {
                a[2 * i] = low_halves(b[i], b[i + 8]);
                a[2 * i + 1] = high_halves(b[i], b[i + 8]);
            }
        }
        for (int i = 0; i < 16; i++)
            memcpy(out + i * out_stride, &a[i], 16);
    }
    """
    void turn_tile(const uint8_t *, int64_t, uint8_t *, int64_t) noexcept nogil


cdef void turn(const uint8_t *source, int64_t source_stride, uint8_t *sink, int64_t sink_stride,
               int64_t height, int64_t width) noexcept nogil:
    """sink[j][i] = source[i][j] for i < height, j < width."""
    cdef int64_t i, j, whole_height = height & ~15, whole_width = width & ~15
    for i in range(0, whole_height, 16):
        for j in range(0, whole_width, 16):
            turn_tile(source + i * source_stride + j, source_stride, sink + j * sink_stride + i, sink_stride)
    for i in range(height):
        for j in range(whole_width if i < whole_height else 0, width):
            sink[j * sink_stride + i] = source[i * source_stride + j]


cdef void frames_to_rows(const uint8_t *frames, int64_t frame_stride, uint8_t *rows, int64_t row_stride,
                         int64_t n_frames, int64_t n_columns) noexcept nogil:
    turn(frames, frame_stride, rows, row_stride, n_frames, n_columns)


cdef void rows_to_frames(const uint8_t *rows, int64_t row_stride, uint8_t *frames, int64_t frame_stride,
                         int64_t n_frames, int64_t n_columns) noexcept nogil:
    turn(rows, row_stride, frames, frame_stride, n_columns, n_frames)


cdef void copy_rows16(const int16_t *source, int64_t source_stride, const int32_t *source_row,
                      int16_t *sink, int64_t sink_stride, const int32_t *sink_row,
                      int64_t n, int64_t n_samples) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        memcpy(sink + sink_stride * (sink_row[i] if sink_row != NULL else i),
               source + source_stride * (source_row[i] if source_row != NULL else i), n_samples * 2)


capi = {
    "frames_to_rows": PyCapsule_New(<void *>frames_to_rows, "void (const uint8_t *, int64_t, uint8_t *, int64_t, int64_t, int64_t)", NULL),
    "rows_to_frames": PyCapsule_New(<void *>rows_to_frames, "void (const uint8_t *, int64_t, uint8_t *, int64_t, int64_t, int64_t)", NULL),
    "copy_rows16": PyCapsule_New(<void *>copy_rows16, "void (const int16_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, int64_t, int64_t)", NULL),
}


def call_frames_to_rows(const uint8_t[:, ::1] frames, uint8_t[:, ::1] rows):
    """frames: uint8 (n_frames, n_columns); rows: uint8 (n_columns, n_frames), written."""
    with nogil:
        frames_to_rows(&frames[0, 0], frames.shape[1], &rows[0, 0], rows.shape[1], frames.shape[0], frames.shape[1])


def call_rows_to_frames(const uint8_t[:, ::1] rows, uint8_t[:, ::1] frames):
    """rows: uint8 (n_columns, n_frames); frames: uint8 (n_frames, n_columns), written."""
    with nogil:
        rows_to_frames(&rows[0, 0], rows.shape[1], &frames[0, 0], frames.shape[1], frames.shape[0], frames.shape[1])
