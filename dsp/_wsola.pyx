"""Speed of playing without change of pitch (WSOLA); the public side and the reference are dsp/wsola.py.

A state is one stream.  All sums are whole numbers, so that the reference chooses the same places."""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memmove

cdef extern from *:
    """
    #include <stdint.h>
    enum { HOP = 160, REACH = 80, ROOM = 1024, COARSE = 4, SPARSE = 2 };
    typedef struct { int32_t have, natural, at, reserved; int64_t ideal; int16_t x[ROOM]; int16_t out[HOP]; } stretch;
    static int32_t rise[HOP];
    static double likeness(const int16_t *a, const int16_t *b, int step)
    {
        int64_t cross = 0, power = 0;
        for (int i = 0; i < HOP; i += step) { cross += (int32_t)a[i] * b[i]; power += (int32_t)b[i] * b[i]; }
        return (cross < 0 ? -(double)cross : (double)cross) * (double)cross / (double)(power + 1);
    }
    """
    enum: HOP
    enum: REACH
    enum: ROOM
    enum: COARSE
    enum: SPARSE
    ctypedef struct stretch:
        int32_t have, natural, at
        int64_t ideal
        int16_t x[1024]
        int16_t out[160]
    int32_t rise[160]
    double likeness(const int16_t *, const int16_t *, int) noexcept nogil

from dsp.wsola import RISE

cdef int k_
for k_ in range(HOP):
    rise[k_] = RISE[k_]


cdef int32_t best_place(stretch *s, int32_t place) noexcept nogil:
    """The start within REACH of `place` whose first HOP samples are most like what would come naturally."""
    cdef int32_t c, best = -1, low = place - REACH if place > REACH else 0, high = place + REACH, last
    cdef double score, most = 0
    cdef const int16_t *natural = s.x + s.natural
    c = low
    while c <= high:
        score = likeness(natural, s.x + c, SPARSE)
        if best < 0 or score > most:
            best = c
            most = score
        c += COARSE
    low = best - COARSE + 1 if best - COARSE + 1 > low else low
    last = best + COARSE - 1 if best + COARSE - 1 < high else high
    best = -1
    for c in range(low, last + 1):
        score = likeness(natural, s.x + c, 1)
        if best < 0 or score > most:
            best = c
            most = score
    return best


cdef int32_t block(void *state, int32_t speed, int16_t *out) noexcept nogil:
    """80 samples at speed / 1024 (512 to 2048).  Returns 1, or 0 where put() must bring more first."""
    cdef stretch *s = <stretch *>state
    cdef int32_t i, c, place, base
    if s.at == 0:
        place = <int32_t>(s.ideal >> 10)
        if s.have < place + REACH + 2 * HOP or s.have < s.natural + HOP:
            return 0
        c = s.natural if place == s.natural else best_place(s, place)
        for i in range(HOP):
            s.out[i] = <int16_t>((rise[i] * s.x[c + i] + (32768 - rise[i]) * s.x[s.natural + i] + 16384) >> 15)
        s.natural = c + HOP
        s.ideal += HOP * <int64_t>speed
        base = <int32_t>(s.ideal >> 10) - REACH
        base = base if base < s.natural else s.natural
        base = 0 if base < 0 else base
        base = s.have if base > s.have else base
        memmove(s.x, s.x + base, 2 * (s.have - base))
        s.have -= base
        s.natural -= base
        s.ideal -= <int64_t>base << 10
    memcpy(out, s.out + s.at, 160)
    s.at = 80 if s.at == 0 else 0
    return 1


cdef void put(void *state, const int16_t *x, int32_t n) noexcept nogil:
    """More of the source; at most 160 samples after each block() that returned 0."""
    cdef stretch *s = <stretch *>state
    if n > ROOM - s.have:
        n = ROOM - s.have
    memcpy(s.x + s.have, x, 2 * n)
    s.have += n


cdef int32_t ahead(const void *state) noexcept nogil:
    """Samples of the source that are in, but not yet played."""
    cdef const stretch *s = <const stretch *>state
    return s.have - s.natural + (80 if s.at else 0)


capi = {
    "block": PyCapsule_New(<void *>block, "int32_t (void *, int32_t, int16_t *)", NULL),
    "put": PyCapsule_New(<void *>put, "void (void *, const int16_t *, int32_t)", NULL),
    "ahead": PyCapsule_New(<void *>ahead, "int32_t (const void *)", NULL),
}


def call_run(uint8_t[::1] state, const int16_t[::1] x, int speed, int16_t[::1] out):
    """Feed x (n), write whole blocks to out; returns how many samples were written."""
    cdef int64_t at = 0, done = 0
    while done + 80 <= out.shape[0]:
        if block(&state[0], speed, &out[done]):
            done += 80
        elif at + 80 <= x.shape[0]:
            put(&state[0], &x[at], 80)
            at += 80
        else:
            break
    return done


def call_ahead(uint8_t[::1] state):
    return ahead(&state[0])
