# distutils: include_dirs = dsp
# distutils: depends = dsp/_dtmf_blocks.h dsp/_correlate.h
# distutils: extra_compile_args = -ffp-contract=off -Wno-psabi
"""DTMF receiver; what it does and why is in dsp/dtmf.py.

Nothing is added across lanes (see _correlate.h), so rows need no turning.  _dtmf_blocks.h has what each block is asked, and the
state; here is what becomes of a block that may be a digit's.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrtf
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memset

from dsp import dtmf as _constants

cdef extern from "_dtmf_blocks.h" nogil:
    enum:
        BATCH, GROUP
    int16_t pair_table[640]
    int place_of_pair(int)
    ctypedef struct dtmf_slot:
        float tone[2][2]
        float power[2]
        float energy, power_sum, energy_sum
        int32_t hits, blocks
        int8_t candidate, hit, digit, misses
    ctypedef struct dtmf_group:
        float floor[64]
        int8_t awake[64]
        dtmf_slot slot[64]
    ctypedef struct block_limits:
        float power_scale, lowest_power, candidate_share, dull, rise, least_floor
    ctypedef struct heard:
        float energy[64]
        int32_t sums[64][16]
        int8_t found[64]
    dtmf_group *group_of(void *, int32_t) noexcept
    void hear(heard *, const block_limits *, const int16_t *, int64_t, const int32_t *, int, int64_t) noexcept
    int pass_by(void *, const block_limits *, const int32_t *, const heard *, int, int32_t *) noexcept

cdef struct dtmf_event:
    int32_t slot
    uint8_t digit
    uint8_t on
    uint16_t duration_ms

cdef float leakage[8][8]
cdef float turn[8][2]
cdef float limit[8]
cdef uint8_t digits[16]
cdef block_limits limits
cdef float high_above_low, low_above_high, fraction, steady, sure_share, long_share, onset, late_share, octave, below
cdef int32_t long_hits = _constants.LONG_HITS, late_hits = _constants.LATE_HITS, end_misses = _constants.END_MISSES
cdef float third = 1 / 3.0, twelfth = 1 / 12.0


def take_constants():
    """Copy the tables of dsp/dtmf.py, so that kernel and reference have one source."""
    global high_above_low, low_above_high, fraction, steady, sure_share, long_share, onset, late_share, octave, below
    for i in range(40):
        for k in range(16):
            pair_table[32 * place_of_pair(i // 2) + 2 * k + i % 2] = _constants.COEFFICIENTS[i, k]
    for i in range(8):
        limit[i] = _constants.LIMIT[i]
        turn[i][0], turn[i][1] = _constants.TURN[i]
        for k in range(8):
            leakage[i][k] = _constants.LEAKAGE[i, k]
    for i in range(16):
        digits[i] = ord(_constants.DIGITS[i])
    (limits.power_scale, limits.lowest_power, high_above_low, low_above_high, limits.candidate_share, fraction, steady, sure_share, long_share, onset,
     limits.rise, late_share, octave, below, limits.dull) = map(float, _constants.CONSTANTS)
    limits.least_floor = limits.lowest_power / 64


take_constants()


cdef inline int strongest(const float *power) noexcept nogil:
    cdef int best = 0, k
    for k in range(1, 4):
        if power[k] > power[best]:
            best = k
    return best


cdef void find(dtmf_slot *s, const int32_t *sums, float energy) noexcept nogil:
    """Set candidate, tone, power and energy from the correlations of a block."""
    cdef float power[8]
    cdef float share
    cdef int k, part, row, column
    s.energy = energy
    for k in range(8):
        power[k] = (<float>sums[2 * k] * <float>sums[2 * k] + <float>sums[2 * k + 1] * <float>sums[2 * k + 1]) * limits.power_scale
    row = strongest(power)
    column = 4 + strongest(power + 4)
    share = leakage[row][column]        # the same both ways
    for part in range(2):
        s.tone[0][part] = <float>sums[2 * row + part] - share * <float>sums[2 * column + part]
        s.tone[1][part] = <float>sums[2 * column + part] - share * <float>sums[2 * row + part]
    for k in range(2):
        s.power[k] = (s.tone[k][0] * s.tone[k][0] + s.tone[k][1] * s.tone[k][1]) * limits.power_scale
    if s.power[0] < limits.lowest_power or s.power[1] < limits.lowest_power:
        return
    if s.power[1] > s.power[0] * high_above_low or s.power[0] > s.power[1] * low_above_high:
        return
    s.candidate = 4 * row + column - 4


cdef bint matches(dtmf_slot *s, dtmf_slot *before, float *powers) noexcept nogil:
    """Do two neighbouring blocks with the same candidate hold the same two tones?"""
    cdef float now = 0, then = 0, p, q, cosine, y, gain, size
    cdef float re[2]
    cdef float im[2]
    cdef float *a
    cdef float *b
    cdef int i, k
    for i in range(2):
        k = (s.candidate >> 2) if i == 0 else 4 + (s.candidate & 3)
        p, q = s.power[i], before.power[i]
        if p > q * steady or q > p * steady:
            return False
        a, b = s.tone[i], before.tone[i]
        size = sqrtf((a[0] * a[0] + a[1] * a[1]) * (b[0] * b[0] + b[1] * b[1]))
        re[i] = (a[0] * b[0] + a[1] * b[1]) / size
        im[i] = (a[1] * b[0] - a[0] * b[1]) / size
        cosine = re[i] * turn[k][0] - im[i] * turn[k][1]
        if cosine < limit[k]:
            return False
        # A deviation of phi a block costs 1 - phi^2 / 12 of the power; phi^2 from its cosine.
        y = 1 - cosine
        gain = 1 + (y + y + y * y * third) * twelfth
        now = now + p * gain
        then = then + q * gain
    # A voice's second harmonic is exactly twice its tone, a digit's column never.
    k = s.candidate >> 2
    if s.candidate % 5 == 1 and re[0] * turn[k][1] + im[0] * turn[k][0] < below and (re[0] * re[0] - im[0] * im[0]) * re[1] + (re[0] * im[0] + re[0] * im[0]) * im[1] > octave:
        return False
    powers[0], powers[1] = now, then
    return now >= fraction * s.energy and then >= fraction * before.energy


cdef inline int64_t report(dtmf_event *events, int64_t count, int64_t max_events, int32_t slot, int32_t digit,
                           uint8_t on, int32_t duration_ms) noexcept nogil:
    if count < max_events:
        events[count].slot, events[count].digit, events[count].on = slot, digits[digit], on
        events[count].duration_ms = <uint16_t>(duration_ms if duration_ms < 65535 else 65535)
        count += 1
    return count


cdef inline int64_t advance(dtmf_group *g, int32_t slot, float energy, const int32_t *sums, uint8_t *present,
                            dtmf_event *events, int64_t count, int64_t max_events) noexcept nogil:
    """One block of a slot; sums: NULL where it is no digit's. Returns the number of events."""
    cdef dtmf_slot *s = &g.slot[slot % GROUP]
    cdef int32_t hit = -1, before_candidate = s.candidate
    cdef float floor = g.floor[slot % GROUP]
    cdef float powers[2]
    cdef bint same, sure = False
    cdef dtmf_slot before
    s.candidate = -1
    if sums != NULL:
        before = s[0]
        find(s, sums, energy)
        if s.candidate >= 0 and s.candidate == before_candidate and matches(s, &before, powers):
            hit = s.candidate
    same = hit >= 0 and hit == s.hit
    s.hit = hit
    if hit < 0:
        floor = floor * limits.rise + limits.least_floor
        g.floor[slot % GROUP] = floor = floor if floor < energy else energy
    if same:
        s.hits += 1
        s.power_sum = s.power_sum + powers[0]
        s.energy_sum = s.energy_sum + energy
        if floor * (s.hits + 1) <= onset * s.energy_sum:
            sure = s.power_sum >= (long_share if s.hits >= long_hits else sure_share) * s.energy_sum
        else:
            sure = s.hits >= late_hits and s.power_sum >= late_share * s.energy_sum
    elif hit >= 0:
        s.hits, s.power_sum, s.energy_sum = 1, powers[0] + powers[1], energy + before.energy
    if s.digit >= 0:
        s.blocks += 1
        s.misses = 0 if hit == s.digit else s.misses + 1
        if s.misses == end_misses or (same and hit != s.digit):
            count = report(events, count, max_events, slot, s.digit, 0, 10 * (s.blocks - s.misses))
            s.digit = -1
    if s.digit < 0 and sure:
        s.digit, s.misses, s.blocks = hit, 0, s.hits + 1
        count = report(events, count, max_events, slot, hit, 1, 0)
    if present != NULL:
        present[slot] = 2 if s.digit >= 0 else hit >= 0
    g.awake[slot % GROUP] = s.candidate >= 0 or s.digit >= 0        # a hit is a candidate
    return count


cdef int64_t detect(void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                    uint8_t *present, void *events, int64_t max_events) noexcept nogil:
    cdef int64_t first = 0, count = 0
    cdef int i, k, rows, left
    cdef int32_t busy[BATCH]
    cdef heard h
    while first < n:
        rows = <int>(n - first if n - first < BATCH else BATCH)
        hear(&h, &limits, x, x_stride, row + first, rows, n - first)
        left = pass_by(state, &limits, slot + first, &h, rows, busy)
        if present != NULL:
            for k in range(rows):
                present[slot[first + k]] = 0
        for i in range(left):
            k = busy[i]
            count = advance(group_of(state, slot[first + k]), slot[first + k], h.energy[k], h.sums[h.found[k]] if h.found[k] >= 0 else NULL,
                            present, <dtmf_event *>events, count, max_events)
        first += rows
    return count


cdef void reset(void *state, int32_t slot) noexcept nogil:
    cdef dtmf_group *g = group_of(state, slot)
    cdef dtmf_slot *s = &g.slot[slot % GROUP]
    memset(s, 0, sizeof(dtmf_slot))
    s.candidate = s.hit = s.digit = -1
    g.floor[slot % GROUP], g.awake[slot % GROUP] = 0, 0


capi = {
    "detect": PyCapsule_New(<void *>detect, "int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, void *, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}
GROUP_SLOTS, GROUP_OCTETS = GROUP, sizeof(dtmf_group)


def call_reset(uint8_t[::1] state, int slot):
    reset(&state[0], slot)


def call_detect(uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows, const int16_t[:, ::1] x,
                uint8_t[::1] present, uint8_t[::1] events):
    """See dsp/dtmf.py. Returns the number of events."""
    cdef int64_t count
    cdef uint8_t *seen = NULL
    if present is not None:
        seen = &present[0]
    with nogil:
        count = detect(&state[0], &slots[0], &rows[0], slots.shape[0], &x[0, 0], x.shape[1], seen,
                       &events[0], events.shape[0] // <int64_t>sizeof(dtmf_event))
    return count
