# distutils: extra_compile_args = -ffp-contract=off
"""Packet-loss concealment; what it does and the reference are in dsp/plc.py.

The history is a ring of six blocks, so a good block costs two short copies.  A
lost one costs a search for the
pitch (sums of 16-bit products in 32 bits, which vectorise), about half a
microsecond: all streams may lose a block in the same tick.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport floor, sqrt
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

cdef enum:
    BLOCK = 80
    DELAY = 30
    HISTORY = 390
    HALF = 195
    PITCH_LEAST = 40
    PITCH_MOST = 120
    WINDOW = 160
    LEAST_ENERGY = 500
    MORE_OVERLAP = 32
    SILENT_BLOCKS = 6
    RING = 6

cdef double FADE = 0.2

cdef struct plc_slot:
    int32_t lost            # blocks of the present loss
    int32_t pitch
    int32_t overlap
    int32_t periods
    int32_t offset          # in the repeated part of the source
    int32_t newest          # block of the ring
    int32_t not_used[10]
    int16_t ring[RING][BLOCK]
    int16_t source[HISTORY] # the history at the begin of the loss, its end joined
    int16_t tail[DELAY]     # its end as it was
    int16_t not_used_too[28]


cdef inline int16_t rounded(double value) noexcept nogil:
    value = floor(value + 0.5)
    value = value if value > -32768 else -32768
    return <int16_t>(value if value < 32767 else 32767)


cdef void blend(const int16_t *out_going, const int16_t *in_coming, int16_t *x, int32_t n) noexcept nogil:
    """Cross-fade; x may be in_coming."""
    cdef int32_t i
    cdef double weight
    for i in range(n):
        weight = (i + 1.0) / (n + 1.0)
        x[i] = rounded(out_going[i] * (1.0 - weight) + in_coming[i] * weight)


cdef inline int32_t product(const int16_t *a, const int16_t *b, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef int32_t total = 0
    for i in range(n):
        total += a[i] * b[i]
    return total


cdef double likeness(const int16_t *x, int64_t length, int64_t window, int64_t lag) noexcept nogil:
    """Normalised correlation of the last `window` of x with what was `lag` before."""
    cdef const int16_t *recent = x + length - window
    cdef const int16_t *earlier = recent - lag
    cdef int32_t energy = product(earlier, earlier, window)
    return <double>product(recent, earlier, window) / sqrt(<double>(energy if energy > LEAST_ENERGY else LEAST_ENERGY))


cdef int32_t find_pitch(const int16_t *history) noexcept nogil:
    cdef int16_t coarse[HALF]
    cdef int16_t fine[HISTORY]
    cdef int32_t i, lag, best = PITCH_LEAST, least, most
    cdef double likely, most_likely = -1e300
    for i in range(HISTORY):
        fine[i] = <int16_t>(history[i] >> 4)
    for i in range(HALF):
        coarse[i] = fine[2 * i]
    for lag in range(20, 61):
        likely = likeness(coarse, HALF, 80, lag)
        if likely > most_likely:
            best, most_likely = 2 * lag, likely
    least = best - 1 if best > PITCH_LEAST else PITCH_LEAST
    most = best + 1 if best < PITCH_MOST else PITCH_MOST
    most_likely = -1e300
    for lag in range(least, most + 1):
        likely = likeness(fine, HISTORY, WINDOW, lag)
        if likely > most_likely:
            best, most_likely = lag, likely
    return best


cdef void join(plc_slot *s) noexcept nogil:
    """Let the end of the source lead into where the repetition begins."""
    cdef int32_t n = s.overlap
    blend(s.tail, s.source + HISTORY - n - s.periods * s.pitch, s.source + HISTORY - n, n)


cdef void synthesise(const plc_slot *s, int16_t *x, int32_t n) noexcept nogil:
    cdef int32_t length = s.periods * s.pitch, done = 0, run, offset = s.offset
    while done < n:
        run = length - offset
        run = run if run < n - done else n - done
        memcpy(x + done, s.source + HISTORY - length + offset, 2 * run)
        done += run
        offset = 0


cdef void take_history(plc_slot *s) noexcept nogil:
    """The last HISTORY samples of the ring, in order, to the source: 70 of the oldest of five blocks, then four."""
    cdef int32_t k
    memcpy(s.source, s.ring[(s.newest + RING - 4) % RING] + 5 * BLOCK - HISTORY, 2 * (HISTORY - 4 * BLOCK))
    for k in range(4):
        memcpy(s.source + HISTORY - (4 - k) * BLOCK, s.ring[(s.newest + RING - 3 + k) % RING], 2 * BLOCK)


cdef void made(plc_slot *s, int16_t *block) noexcept nogil:
    """The block that stands for a lost one."""
    cdef int16_t old[DELAY]
    cdef int32_t i
    cdef double gain
    if s.lost >= SILENT_BLOCKS:
        memset(block, 0, 2 * BLOCK)
        return
    if s.lost == 0:
        take_history(s)
        s.pitch = find_pitch(s.source)
        s.overlap, s.periods, s.offset = s.pitch // 4, 1, 0
        memcpy(s.tail, s.source + HISTORY - s.overlap, 2 * s.overlap)
        join(s)
        memcpy(s.ring[s.newest] + BLOCK - s.overlap, s.source + HISTORY - s.overlap, 2 * s.overlap)
    if 1 <= s.lost < 3:
        synthesise(s, old, s.overlap)
        s.periods += 1
        join(s)
    synthesise(s, block, BLOCK)
    s.offset = (s.offset + BLOCK) % (s.periods * s.pitch)
    if 1 <= s.lost < 3:
        blend(old, block, block, s.overlap)
    if s.lost >= 1:
        for i in range(BLOCK):
            gain = 1.0 - FADE * (s.lost - 1) - i * (FADE / BLOCK)
            block[i] = rounded(block[i] * gain)


cdef void after(plc_slot *s, int16_t *block) noexcept nogil:
    """Fade the first good block in."""
    cdef int16_t old[BLOCK]
    cdef int32_t i, n = s.overlap + MORE_OVERLAP * (s.lost - 1)
    cdef double gain = 0.0 if s.lost >= SILENT_BLOCKS else 1.0 - FADE * (s.lost - 1)
    n = n if n < BLOCK else BLOCK
    synthesise(s, old, n)
    for i in range(n):
        old[i] = rounded(old[i] * gain)
    blend(old, block, block, n)


cdef void conceal(void *state, const int32_t *slot, const int32_t *row, const uint8_t *lost, int64_t n,
                  int16_t *x, int64_t x_stride) noexcept nogil:
    cdef int64_t i
    cdef int16_t *block
    cdef int16_t *before
    cdef plc_slot *s
    for i in range(n):
        s = &(<plc_slot *>state)[slot[i]]
        block = x + x_stride * row[i]
        if lost[i]:
            made(s, block)
            if s.lost < SILENT_BLOCKS:
                s.lost += 1
        elif s.lost:
            after(s, block)
            s.lost = 0
        before = s.ring[s.newest]
        s.newest = s.newest + 1 if s.newest < RING - 1 else 0
        memcpy(s.ring[s.newest], block, 2 * BLOCK)
        memcpy(block + DELAY, s.ring[s.newest], 2 * (BLOCK - DELAY))
        memcpy(block, before + BLOCK - DELAY, 2 * DELAY)


cdef void reset(void *state, int32_t slot) noexcept nogil:
    memset(&(<plc_slot *>state)[slot], 0, sizeof(plc_slot))


capi = {
    "conceal": PyCapsule_New(<void *>conceal, "void (void *, const int32_t *, const int32_t *, const uint8_t *, int64_t, int16_t *, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}
SLOT_OCTETS = sizeof(plc_slot)


def call_conceal(uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows, const uint8_t[::1] lost, int16_t[:, ::1] x):
    """See dsp/plc.py."""
    with nogil:
        conceal(&state[0], &slots[0], &rows[0], &lost[0], slots.shape[0], &x[0, 0], x.shape[1])


def call_reset(uint8_t[::1] state, int slot):
    reset(&state[0], slot)
