# distutils: include_dirs = dsp
# distutils: depends = dsp/_correlate.h
# distutils: extra_compile_args = -ffp-contract=off -Wno-psabi
"""DTMF receiver; what it does and why is in dsp/dtmf.py.

Nothing is added across lanes (see _correlate.h), so rows need no turning.
Nearly all blocks of speech end at the first energy test.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrtf
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memset

from dsp import dtmf as _constants

cdef extern from *:
    """
    #include "_correlate.h"
    /* [pair of samples][lane][first, second] */
    static int16_t pair_table[PAIRS * 32] __attribute__((aligned(64)));
    """
    int16_t pair_table[1280]
    void correlate_four(const int16_t *const *, const int16_t *, int32_t (*)[16]) noexcept nogil
    int32_t energy_of(const int16_t *) noexcept nogil

cdef struct dtmf_slot:
    float tone[2][2]        # row and column of the last candidate block, complex
    float power[2]
    float energy
    int32_t candidate       # of the last block, or -1
    int32_t hit             # of the last pair of blocks, or -1
    int32_t digit           # the one that is on, or -1
    int32_t misses
    int32_t blocks
    int32_t hits            # in a row
    float power_sum         # over their blocks
    float energy_sum
    float floor             # least energy of late, rising: what the digit came out of

cdef struct dtmf_event:
    int32_t slot
    uint8_t digit
    uint8_t on
    uint16_t duration_ms

cdef float leakage[8][8][2]
cdef float turn[8][2]
cdef float limit[8]
cdef uint8_t digits[16]
cdef float power_scale, lowest_power, high_above_low, low_above_high, candidate_share, fraction, steady, sure_share, long_share, onset, rise, late_share, octave, below
cdef int32_t long_hits = _constants.LONG_HITS, late_hits = _constants.LATE_HITS, end_misses = _constants.END_MISSES
cdef float third = 1 / 3.0, twelfth = 1 / 12.0, least_floor = 1 / 64.0


def take_constants():
    """Copy the tables of dsp/dtmf.py, so that kernel and reference have one source."""
    global power_scale, lowest_power, high_above_low, low_above_high, candidate_share, fraction, steady, sure_share, long_share, onset, rise, late_share, octave, below
    for i in range(80):
        for k in range(16):
            pair_table[32 * (i // 2) + 2 * k + i % 2] = _constants.COEFFICIENTS[i, k]
    for i in range(8):
        limit[i] = _constants.LIMIT[i]
        turn[i][0], turn[i][1] = _constants.TURN[i]
        for k in range(8):
            leakage[i][k][0], leakage[i][k][1] = _constants.LEAKAGE[i, k]
    for i in range(16):
        digits[i] = ord(_constants.DIGITS[i])
    power_scale, lowest_power, high_above_low, low_above_high, candidate_share, fraction, steady, sure_share, long_share, onset, rise, late_share, octave, below = map(float, _constants.CONSTANTS)


take_constants()


cdef inline float greatest(const float *power) noexcept nogil:
    cdef float a = power[0] if power[0] > power[1] else power[1]
    cdef float b = power[2] if power[2] > power[3] else power[3]
    return a if a > b else b


cdef inline int strongest(const float *power) noexcept nogil:
    cdef int best = 0, k
    for k in range(1, 4):
        if power[k] > power[best]:
            best = k
    return best


cdef void find(dtmf_slot *s, const int32_t *sums, float energy) noexcept nogil:
    """Set candidate, tone, power and energy from the correlations of a block."""
    cdef float re[8]
    cdef float im[8]
    cdef float power[8]
    cdef float a, b
    cdef int k, row, column
    s.candidate = -1
    s.energy = energy
    for k in range(8):
        re[k] = <float>sums[k]
        im[k] = <float>sums[k + 8]
    for k in range(8):
        power[k] = (re[k] * re[k] + im[k] * im[k]) * power_scale
    # Most blocks of speech end here; the maxima need no branches.
    if greatest(power) + greatest(power + 4) < candidate_share * energy:
        return
    row = strongest(power)
    column = 4 + strongest(power + 4)
    a, b = leakage[row][column][0], leakage[row][column][1]
    s.tone[0][0] = re[row] - (a * re[column] - b * im[column])
    s.tone[0][1] = im[row] - (a * im[column] + b * re[column])
    a, b = leakage[column][row][0], leakage[column][row][1]
    s.tone[1][0] = re[column] - (a * re[row] - b * im[row])
    s.tone[1][1] = im[column] - (a * im[row] + b * re[row])
    for k in range(2):
        s.power[k] = (s.tone[k][0] * s.tone[k][0] + s.tone[k][1] * s.tone[k][1]) * power_scale
    if s.power[0] < lowest_power or s.power[1] < lowest_power:
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


cdef inline void hear(const int16_t *x, int64_t x_stride, const int32_t *row, int64_t n, float *energy, int32_t (*sums)[16]) noexcept nogil:
    """Energies of the next n rows, at most 4, and correlations, unless all of them are silent."""
    cdef const int16_t *block[4]
    cdef int k, loud = 0
    for k in range(4):
        block[k] = x + x_stride * row[k if k < n else 0]
        energy[k] = <float>energy_of(block[k])
        loud |= energy[k] >= lowest_power
    if loud:
        correlate_four(block, pair_table, sums)


cdef int64_t detect(void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                    uint8_t *present, void *events, int64_t max_events) noexcept nogil:
    cdef int64_t i, count = 0
    cdef int32_t sums[4][16]
    cdef int32_t hit
    cdef float energies[4]
    cdef float energy
    cdef float powers[2]
    cdef bint same, sure
    cdef dtmf_slot *s
    cdef dtmf_slot before
    for i in range(n):
        if i % 4 == 0:
            hear(x, x_stride, row + i, n - i, energies, sums)
        s = &(<dtmf_slot *>state)[slot[i]]
        energy = energies[i % 4]
        hit = -1
        if energy < lowest_power:
            s.candidate = -1
        else:
            if s.candidate >= 0:
                before = s[0]
                find(s, sums[i % 4], energy)
                if s.candidate == before.candidate and matches(s, &before, powers):
                    hit = s.candidate
            else:
                find(s, sums[i % 4], energy)
        same = hit >= 0 and hit == s.hit
        s.hit = hit
        if hit < 0:
            s.floor = s.floor * rise + lowest_power * least_floor
            s.floor = s.floor if s.floor < energy else energy
        if same:
            s.hits += 1
            s.power_sum = s.power_sum + powers[0]
            s.energy_sum = s.energy_sum + energy
        elif hit >= 0:
            s.hits, s.power_sum, s.energy_sum = 1, powers[0] + powers[1], energy + before.energy
        sure = False
        if same:
            if s.floor * (s.hits + 1) <= onset * s.energy_sum:
                sure = s.power_sum >= (long_share if s.hits >= long_hits else sure_share) * s.energy_sum
            else:
                sure = s.hits >= late_hits and s.power_sum >= late_share * s.energy_sum
        if s.digit >= 0:
            s.blocks += 1
            s.misses = 0 if hit == s.digit else s.misses + 1
            if s.misses == end_misses or (same and hit != s.digit):
                count = report(<dtmf_event *>events, count, max_events, slot[i], s.digit, 0, 10 * (s.blocks - s.misses))
                s.digit = -1
        if s.digit < 0 and sure:
            s.digit, s.misses, s.blocks = hit, 0, s.hits + 1
            count = report(<dtmf_event *>events, count, max_events, slot[i], hit, 1, 0)
        if present != NULL:
            present[slot[i]] = 2 if s.digit >= 0 else hit >= 0
    return count


cdef void reset(void *state, int32_t slot) noexcept nogil:
    cdef dtmf_slot *s = &(<dtmf_slot *>state)[slot]
    memset(s, 0, sizeof(dtmf_slot))
    s.candidate = s.hit = s.digit = -1


capi = {
    "detect": PyCapsule_New(<void *>detect, "int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, void *, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}
SLOT_OCTETS = sizeof(dtmf_slot)


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
