# distutils: extra_compile_args = -ffp-contract=off
"""Tone generator; the public side, the table and the reference are dsp/tone.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabsf, floorf
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from dsp import tone as _constants

cdef enum:
    RUN = 80
    MOST_SEGMENTS = 32
    MOST_FREQUENCIES = 4
    HEADER = 64
    RAMP = 16
    REVERSED = 0x80

cdef struct tone_entry:
    uint32_t increment[MOST_FREQUENCIES]
    float amplitude[MOST_FREQUENCIES]
    int64_t period
    int64_t total           # samples; 0 is for ever
    int32_t n_segments
    int32_t not_used[3]
    int32_t end[MOST_SEGMENTS]
    uint8_t mask[MOST_SEGMENTS]
    uint8_t not_used_too[32]

cdef struct tone_slot:
    int32_t tone
    int32_t zero
    int64_t position

cdef float ramp[RAMP]
for _i in range(RAMP):
    ramp[_i] = _constants.RAMP[_i]
cdef float c1 = _constants.SINE[0], c3 = _constants.SINE[1], c5 = _constants.SINE[2], c7 = _constants.SINE[3]


cdef void add_sine(float *total, uint32_t phase, uint32_t increment, float amplitude, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef int32_t turn
    cdef float u, square, sine
    for i in range(n):
        turn = <int32_t>(phase + <uint32_t>i * increment)
        u = <float>1 - fabsf(fabsf(<float>turn * <float>2.3283064365386963e-10) - <float>0.25) * <float>4
        square = u * u
        sine = u * (c1 + square * (c3 + square * (c5 + square * c7)))
        sine = -sine if turn < 0 else sine
        total[i] += sine * amplitude


cdef void sound(const tone_entry *entry, uint8_t mask, int64_t position, int16_t *x, int64_t n, int64_t since, int64_t until) noexcept nogil:
    """n samples of the frequencies in mask; since, until: samples from where it rises and to where it falls."""
    cdef float total[RUN]
    cdef float value
    cdef int64_t at, i, run
    cdef int k
    if mask == 0:
        memset(x, 0, 2 * n)
        return
    at = 0
    while at < n:
        run = n - at if n - at < RUN else RUN
        memset(total, 0, sizeof(total))
        for k in range(MOST_FREQUENCIES):
            if (mask >> k) & 1:
                add_sine(total, <uint32_t>(position + at) * entry.increment[k], entry.increment[k], entry.amplitude[k], run)
        if mask & REVERSED:
            for i in range(run):
                total[i] = -total[i]
        if since + at < RAMP:
            for i in range(run if run < RAMP - since - at else RAMP - since - at):
                total[i] = total[i] * ramp[since + at + i]
        if until - at - run < RAMP:
            for i in range(until - at - RAMP if until - at > RAMP else 0, run):
                total[i] = total[i] * ramp[until - at - 1 - i]
        for i in range(run):
            value = floorf(total[i] + <float>0.5)
            value = value if value > -32768 else -32768
            x[at + i] = <int16_t>(value if value < 32767 else 32767)
        at += run


cdef inline bint goes_on(uint8_t mask, uint8_t neighbour) noexcept nogil:
    """Is there no edge between two segments?"""
    return ((mask ^ neighbour) & 0x7F) == 0


cdef int64_t fill(const tone_entry *entry, int64_t position, int16_t *x, int64_t n) noexcept nogil:
    """n samples from position on. Returns how many of them are before the end of the tone."""
    cdef int64_t done = 0, run, place, produced = n, since, until, begin
    cdef int32_t k = 0, last = entry.n_segments - 1
    if entry.total:
        produced = entry.total - position
        produced = 0 if produced < 0 else (n if produced > n else produced)
    place = position % entry.period
    while done < produced:
        while entry.end[k] <= place:
            k += 1
        run = entry.end[k] - place
        run = produced - done if run > produced - done else run
        # The tone rises at its very begin and after another set of frequencies, and falls before another and at its very end.
        begin = entry.end[k - 1] if k else 0
        since = place - begin
        if goes_on(entry.mask[k], entry.mask[k - 1 if k else last]) and position + done >= since + RAMP:
            since = RAMP
        until = entry.end[k] - place
        if goes_on(entry.mask[k], entry.mask[k + 1 if k < last else 0]) and not (entry.total and position + done + until >= entry.total):
            until += RAMP
        sound(entry, entry.mask[k], position + done, x + done, run, since, until)
        done += run
        place += run
        if place == entry.period:
            place = k = 0
    memset(x + produced, 0, 2 * (n - produced))
    return produced


cdef void generate(const void *table, void *state, const int32_t *slot, const int32_t *row, int64_t n,
                   int16_t *x, int64_t x_stride, int64_t n_samples, int32_t *produced) noexcept nogil:
    cdef int64_t i, made
    cdef tone_slot *s
    cdef int32_t count = (<const int32_t *>table)[0]
    cdef const tone_entry *entries = <const tone_entry *>(<const uint8_t *>table + HEADER)
    for i in range(n):
        s = &(<tone_slot *>state)[slot[i]]
        if s.tone < 0 or s.tone >= count:
            memset(x + x_stride * row[i], 0, 2 * n_samples)
            made = 0
        else:
            made = fill(&entries[s.tone], s.position, x + x_stride * row[i], n_samples)
            s.position += made
            if made < n_samples:
                s.tone = -1
        if produced != NULL:
            produced[i] = <int32_t>made


cdef void start(void *state, int32_t slot, int32_t tone, int64_t position) noexcept nogil:
    cdef tone_slot *s = &(<tone_slot *>state)[slot]
    s.tone, s.position = tone, position if position > 0 else 0


cdef void stop(void *state, int32_t slot) noexcept nogil:
    (<tone_slot *>state)[slot].tone = -1


capi = {
    "start": PyCapsule_New(<void *>start, "void (void *, int32_t, int32_t, int64_t)", NULL),
    "stop": PyCapsule_New(<void *>stop, "void (void *, int32_t)", NULL),
    "generate": PyCapsule_New(<void *>generate, "void (const void *, void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, int64_t, int32_t *)", NULL),
}
SLOT_OCTETS, ENTRY_OCTETS = sizeof(tone_slot), sizeof(tone_entry)


def call_start(uint8_t[::1] state, int slot, int tone, int64_t position):
    start(&state[0], slot, tone, position)


def call_stop(uint8_t[::1] state, int slot):
    stop(&state[0], slot)


def call_generate(const uint8_t[::1] table, uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows,
                  int16_t[:, ::1] x, int32_t[::1] produced):
    """See dsp/tone.py."""
    with nogil:
        generate(&table[0], &state[0], &slots[0], &rows[0], slots.shape[0], &x[0, 0], x.shape[1], x.shape[1], &produced[0])
