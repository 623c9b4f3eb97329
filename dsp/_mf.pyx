# distutils: include_dirs = dsp
# distutils: depends = dsp/_correlate.h
# distutils: extra_compile_args = -ffp-contract=off -Wno-psabi
"""Receiver of two-of-six signals (R2, R1); what it does, the table and the reference are in dsp/mf.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrtf
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memset

from dsp import mf as _constants

cdef extern from *:
    """
    #include "_correlate.h"
    /* Sum of (x w / 65536)^2; w up to 8192, so it fits 32 bits for any input. */
    static inline int32_t weighted_energy(const int16_t *x, const int16_t *w)
    {
        int32_t sum = 0;
        for (int i = 0; i < 2 * PAIRS; i++) {
            int16_t y = (int16_t)((x[i] * w[i]) >> 16);
            sum += y * y;
        }
        return sum;
    }
    """
    void correlate(const int16_t *, const int16_t *, int32_t *) noexcept nogil
    int32_t energy_of(const int16_t *) noexcept nogil
    int32_t weighted_energy(const int16_t *, const int16_t *) noexcept nogil

cdef enum:
    BLOCK = 80
    BEGIN_WINDOWS = 2
    KP_WINDOWS = 4
    END_WINDOWS = 2
    KP = 13
    KP2 = 14
    ST = 15

cdef struct mf_table:
    float lowest
    float twist
    int32_t locked
    float fraction
    float limit[6]
    float turn[6][2]
    uint8_t signal[64]
    uint8_t pad[36]
    float adjacent
    int16_t rise[1280]
    int16_t fall[1280]
    int16_t window[160]

cdef struct mf_slot:
    int32_t re[6]           # of the block before, in the rising half of the window
    int32_t im[6]
    float energy[6]         # of the last blocks, oldest first
    float tone[4]           # of the last window
    float power[2]
    int32_t weighted
    float full
    float level
    int16_t pair            # of the last window, or -1
    int16_t run             # hits in a row
    uint8_t pending         # the signal of the last hit, 0 for none
    uint8_t signal          # the one that is on, 0 for none
    uint8_t misses
    uint8_t unlocked
    int32_t not_used[3]

cdef struct mf_event:
    int32_t slot
    uint8_t signal
    uint8_t on
    int16_t at

cdef float power_scale, third, steady, keep, full_share, rest_share


def take_constants():
    """Copy the constants of dsp/mf.py, so that kernel and reference have one source."""
    global power_scale, third, steady, keep, full_share, rest_share
    power_scale, third, steady, keep, full_share, rest_share = map(float, _constants.CONSTANTS)


take_constants()


cdef bint matches(const mf_table *table, const float *tone, const float *power, const float *old_tone, const float *old_power,
                  int32_t a, int32_t b) noexcept nogil:
    """Do two neighbouring windows hold the same two tones?"""
    cdef float p, q, re, im, cosine
    cdef const float *now
    cdef const float *then
    cdef int32_t i, k
    for i in range(2):
        k = b if i else a
        p, q = power[i], old_power[i]
        if p > q * steady or q > p * steady:
            return False
        now, then = tone + 2 * i, old_tone + 2 * i
        re = now[0] * then[0] + now[1] * then[1]
        im = now[1] * then[0] - now[0] * then[1]
        cosine = (re * table.turn[k][0] - im * table.turn[k][1]) / sqrtf((now[0] * now[0] + now[1] * now[1]) * (then[0] * then[0] + then[1] * then[1]))
        if cosine < table.limit[k]:
            return False
    return True


cdef int32_t begin_of(const mf_slot *s, int32_t windows) noexcept nogil:
    cdef float now = s.energy[5] if s.energy[5] > s.energy[4] else s.energy[4]
    cdef int32_t j = 5 - windows
    if not s.energy[j] < full_share * now:
        j -= 1
        if not s.energy[j] < full_share * now:
            return BLOCK * (j - 5)
    return BLOCK * (j - 4) - <int32_t>(<float>BLOCK * s.energy[j] / now)


cdef int32_t end_of(const mf_slot *s) noexcept nogil:
    cdef int32_t j
    cdef float share
    for j in range(4, 1, -1):
        if s.energy[j] >= rest_share * s.full:
            share = s.energy[j] / s.full
            return BLOCK * (j - 5) + <int32_t>(<float>BLOCK * (share if share < 1 else <float>1))
    return -3 * BLOCK


cdef int64_t report(mf_event *events, int64_t count, int64_t max_events, int32_t slot, uint8_t signal, uint8_t on, int32_t at) noexcept nogil:
    if count < max_events:
        events[count].slot, events[count].signal, events[count].on, events[count].at = slot, signal, on, <int16_t>at
        count += 1
    return count


cdef int64_t feed(const mf_table *table, mf_slot *s, int32_t slot, const int16_t *x, mf_event *events, int64_t count, int64_t max_events) noexcept nogil:
    cdef int32_t sums[16]
    cdef float re[6]
    cdef float im[6]
    cdef float power[6]
    cdef float old_tone[4]
    cdef float old_power[2]
    cdef float energy, total, weaker, stronger, rest = -1
    cdef int32_t k, a, b, here, needed, old_pair = s.pair
    cdef uint8_t hit = 0, strongest
    cdef bint held, other
    correlate(x, table.fall, sums)
    for k in range(6):
        re[k] = <float>(s.re[k] + sums[k])
        im[k] = <float>(s.im[k] + sums[k + 8])
    energy = <float>(<int64_t>s.weighted + weighted_energy(x, table.window + BLOCK))
    correlate(x, table.rise, sums)
    for k in range(6):
        s.re[k], s.im[k] = sums[k], sums[k + 8]
    s.weighted = weighted_energy(x, table.window)
    for k in range(5):
        s.energy[k] = s.energy[k + 1]
    s.energy[5] = <float>energy_of(x)
    for k in range(6):
        power[k] = (re[k] * re[k] + im[k] * im[k]) * power_scale
    a = 0
    for k in range(1, 6):
        if power[k] > power[a]:
            a = k
    b = 1 if a == 0 else 0
    for k in range(b + 1, 6):
        if k != a and power[k] > power[b]:
            b = k
    for k in range(6):
        if k != a and k != b and power[k] > rest:
            rest = power[k]
    if a > b:
        a, b = b, a
    here = 8 * a + b
    for k in range(4):
        old_tone[k] = s.tone[k]
    old_power[0], old_power[1] = s.power[0], s.power[1]
    s.tone[0], s.tone[1], s.tone[2], s.tone[3] = re[a], im[a], re[b], im[b]
    s.power[0], s.power[1] = power[a], power[b]
    total = power[a] + power[b]
    weaker = power[b] if power[b] < power[a] else power[a]
    stronger = power[a] if power[b] < power[a] else power[b]
    s.pair = -1
    if weaker >= table.lowest and total >= (table.fraction if b - a > 1 else table.adjacent) * energy and rest <= third * weaker and stronger <= weaker * table.twist:
        s.pair = <int16_t>here
        if old_pair == here and matches(table, s.tone, s.power, old_tone, old_power, a, b):
            hit = table.signal[here]
    strongest = table.signal[here]
    s.run = <int16_t>(s.run + 1 if hit and hit == s.pending and s.run < 1000 else 1)
    s.pending = hit
    if s.signal:
        held = strongest == s.signal and total >= keep * s.level
        s.misses = <uint8_t>(0 if held else s.misses + 1)
        other = hit and hit != s.signal
        if s.misses == END_WINDOWS or other:
            count = report(events, count, max_events, slot, s.signal, 0, begin_of(s, BEGIN_WINDOWS) if other else end_of(s))
            s.unlocked, s.signal = s.signal != ST, 0
    if s.signal == 0 and hit:
        needed = BEGIN_WINDOWS
        if table.locked and not s.unlocked:
            needed = KP_WINDOWS if hit == KP or hit == KP2 else 0x7FFFFFFF
        if s.run + 1 >= needed:
            s.signal, s.misses, s.level, s.full, s.unlocked = hit, 0, total, s.energy[5] if s.energy[5] > s.energy[4] else s.energy[4], True
            count = report(events, count, max_events, slot, hit, 1, begin_of(s, needed))
    return count


cdef int64_t detect(const void *table, void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                    void *events, int64_t max_events) noexcept nogil:
    cdef int64_t i, count = 0
    for i in range(n):
        count = feed(<const mf_table *>table, &(<mf_slot *>state)[slot[i]], slot[i], x + x_stride * row[i], <mf_event *>events, count, max_events)
    return count


cdef void reset(void *state, int32_t slot) noexcept nogil:
    cdef mf_slot *s = &(<mf_slot *>state)[slot]
    memset(s, 0, sizeof(mf_slot))
    s.pair = -1


capi = {
    "detect": PyCapsule_New(<void *>detect, "int64_t (const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}
SLOT_OCTETS, TABLE_OCTETS = sizeof(mf_slot), sizeof(mf_table)


def call_reset(uint8_t[::1] state, int slot):
    reset(&state[0], slot)


def call_detect(const uint8_t[::1] table, uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows,
                const int16_t[:, ::1] x, uint8_t[::1] events):
    """See dsp/mf.py. Returns the number of events."""
    cdef int64_t count
    with nogil:
        count = detect(&table[0], &state[0], &slots[0], &rows[0], slots.shape[0], &x[0, 0], x.shape[1],
                       &events[0], events.shape[0] // <int64_t>sizeof(mf_event))
    return count
