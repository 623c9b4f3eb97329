# distutils: extra_compile_args = -ffp-contract=off
"""Answering machine and beep detection; the method and the reference are in dsp/amd.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport acos, fabs
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memset

from dsp import amd as _constants

cdef extern from *:
    """
    /* With y = x >> 3, a = y[n] + y[n-2], b = y[n-1]: sums of b b, a b, a a, which need more than 32 bits only for the last two. */
    static void predict_sums(const int16_t *x, int64_t *middle, int64_t *cross, int64_t *outer)
    {
        int32_t m = 0;
        int64_t c = 0, o = 0;
        for (int i = 2; i < 80; i += 6) {           /* 78 products, six at a time: 6 * 2^26 fits */
            int32_t cc = 0, oo = 0;
            for (int k = i; k < i + 6; k++) {
                int32_t b = x[k - 1] >> 3, a = (x[k] >> 3) + (x[k - 2] >> 3);
                m += b * b;
                cc += a * b;
                oo += a * a;
            }
            c += cc;
            o += oo;
        }
        *middle = m; *cross = c; *outer = o;
    }
    """
    void predict_sums(const int16_t *, int64_t *, int64_t *, int64_t *) noexcept nogil

cdef enum:
    UNSURE = 1
    PERSON = 2
    MACHINE = 3
    SILENCE = 4
    BEEP = 5
    BEEP_END = 6
    MOST = 30000

cdef struct amd_slot:
    int16_t initial_silence
    int16_t greeting
    int16_t after_silence
    int16_t word_pause
    int16_t least_word
    int16_t most_words
    int16_t total
    int16_t blocks
    int16_t speech
    int16_t word
    int16_t pause
    int16_t words
    int32_t run
    uint8_t deciding
    uint8_t beep
    uint8_t misses
    uint8_t loud            # the sound that goes on has been as loud as speech
    double hz
    int32_t not_used[6]

cdef struct amd_event:
    int32_t slot
    uint8_t kind
    uint8_t words
    uint16_t hz_or_ms

cdef struct sink:
    amd_event *events
    int64_t max_events
    int64_t count

cdef double pure, lowest, most_cosine, least_cosine, to_hz, drift, faint
pure, lowest, most_cosine, least_cosine, to_hz, drift, faint = map(float, _constants.CONSTANTS)
cdef int32_t beep_blocks = _constants.BEEP_BLOCKS, beep_misses = _constants.BEEP_MISSES


cdef void put(int32_t slot, int32_t kind, int32_t words, int32_t value, sink *out) noexcept nogil:
    cdef amd_event *event
    if out.count < out.max_events:
        event = &out.events[out.count]
        event.slot, event.kind = slot, <uint8_t>kind
        event.words = <uint8_t>(words if words < 255 else 255)
        event.hz_or_ms = <uint16_t>(value if value < 65535 else 65535)
        out.count += 1


cdef int32_t decide(amd_slot *s, bint on) noexcept nogil:
    """The decision, or 0."""
    s.blocks += 1
    if on:
        s.word += 1
        if s.word == s.least_word:
            s.words += 1
            s.speech += s.word + (s.pause if s.words > 1 and s.pause <= s.word_pause else 0)
        elif s.word > s.least_word:
            s.speech += 1
        if s.word >= s.least_word:
            s.pause = 0
    else:
        if s.word < s.least_word:
            s.pause += s.word
            s.word = 0
        s.pause += 1
        if s.pause > s.word_pause:
            s.word = 0
    if s.words == 0:
        if s.blocks >= s.initial_silence and s.word == 0:
            return SILENCE
    elif s.speech >= s.greeting or s.words > s.most_words:
        return MACHINE
    elif s.pause >= s.after_silence:
        return PERSON
    return UNSURE if s.blocks >= s.total else 0


cdef double tone_of(int64_t middle, int64_t cross, int64_t outer) noexcept nogil:
    cdef double c
    if <double>middle < lowest:
        return 0
    c = <double>cross / (2 * <double>middle)
    if c > most_cosine or c < least_cosine or <double>outer - 2 * c * <double>cross > pure * <double>middle:
        return 0
    return to_hz * acos(c)


cdef void listen(amd_slot *s, int32_t slot, double hz, sink *out) noexcept nogil:
    if hz > 0 and (s.run == 0 or fabs(hz - s.hz) <= drift):
        s.hz = s.hz + (hz - s.hz) * 0.25 if s.run else hz
        s.run = s.run + 1 + s.misses if s.run < MOST else MOST
        s.misses = 0
    elif s.run:
        s.misses += 1
        if not s.beep or s.misses >= beep_misses:
            if s.beep:
                put(slot, BEEP_END, 0, 10 * s.run, out)
            s.beep, s.run, s.misses, s.hz = 0, hz > 0, 0, hz
    if s.run >= beep_blocks and not s.beep:
        s.beep = 1
        put(slot, BEEP, 0, <int32_t>(s.hz + 0.5), out)


cdef int64_t detect(void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                    const uint8_t *speech, void *events, int64_t max_events) noexcept nogil:
    cdef int64_t i, middle, cross, outer
    cdef int32_t kind
    cdef bint on
    cdef amd_slot *s
    cdef sink out
    out.events, out.max_events, out.count = <amd_event *>events, max_events, 0
    for i in range(n):
        s = &(<amd_slot *>state)[slot[i]]
        predict_sums(x + x_stride * row[i], &middle, &cross, &outer)
        if s.deciding:
            on = speech[slot[i]] != 0
            s.loud = on and (s.loud or <double>middle >= faint)
            kind = decide(s, s.loud)
            if kind:
                s.deciding = 0
                put(slot[i], kind, s.words, 10 * s.blocks, &out)
        listen(s, slot[i], tone_of(middle, cross, outer), &out)
    return out.count


cdef void start(void *state, int32_t slot, const int32_t *parameters) noexcept nogil:
    """parameters: 7 numbers in the order of dsp.amd.PARAMETERS, times in blocks of 10 ms, each 1 to 6000."""
    cdef amd_slot *s = &(<amd_slot *>state)[slot]
    memset(s, 0, sizeof(amd_slot))
    s.initial_silence, s.greeting, s.after_silence, s.word_pause = <int16_t>parameters[0], <int16_t>parameters[1], <int16_t>parameters[2], <int16_t>parameters[3]
    s.least_word, s.most_words, s.total = <int16_t>parameters[4], <int16_t>parameters[5], <int16_t>parameters[6]
    s.deciding = 1


cdef void reset(void *state, int32_t slot) noexcept nogil:
    memset(&(<amd_slot *>state)[slot], 0, sizeof(amd_slot))


capi = {
    "detect": PyCapsule_New(<void *>detect, "int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, const uint8_t *, void *, int64_t)", NULL),
    "start": PyCapsule_New(<void *>start, "void (void *, int32_t, const int32_t *)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}
SLOT_OCTETS = sizeof(amd_slot)


def call_start(uint8_t[::1] state, int slot, const int32_t[::1] parameters):
    start(&state[0], slot, &parameters[0])


def call_detect(uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows, const int16_t[:, ::1] x,
                const uint8_t[::1] speech, uint8_t[::1] events):
    """See dsp/amd.py. Returns the number of events."""
    cdef int64_t count
    with nogil:
        count = detect(&state[0], &slots[0], &rows[0], slots.shape[0], &x[0, 0], x.shape[1], &speech[0],
                       &events[0], events.shape[0] // <int64_t>sizeof(amd_event))
    return count
