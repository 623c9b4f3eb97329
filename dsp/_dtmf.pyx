# distutils: include_dirs = dsp
# distutils: depends = dsp/_correlate.h
# distutils: extra_compile_args = -ffp-contract=off -Wno-psabi
"""DTMF receiver; what it does and why is in dsp/dtmf.py.

Nothing is added across lanes (see _correlate.h), so rows need no turning.
A batch of rows goes through one test after another, each without a branch on what it finds: what passes is
gathered for the next.  Of speech a third is correlated, and one block of a hundred comes to `find`.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrtf
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memset

from dsp import dtmf as _constants

cdef extern from *:
    """
    #include "_correlate.h"
    /* See correlate_folded. */
    static int16_t pair_table[FOLDED_PAIRS * 32] __attribute__((aligned(64)));
    """
    int16_t pair_table[640]
    void fold(const int16_t *, int16_t *) noexcept nogil
    float loudest_pair(const int32_t *, float) noexcept nogil
    void fetch_block(const int16_t *) noexcept nogil
    void correlate_folded(const int16_t (*)[80], const int16_t *, int32_t (*)[16]) noexcept nogil
    void energy_and_lag(const int16_t *, int32_t *, int32_t *) noexcept nogil

cdef enum:
    BATCH = 64
    AHEAD = 12      # rows that are fetched from memory meanwhile

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

cdef float leakage[8][8]
cdef float turn[8][2]
cdef float limit[8]
cdef uint8_t digits[16]
cdef float power_scale, lowest_power, high_above_low, low_above_high, candidate_share, fraction, steady, sure_share, long_share, onset, rise, late_share, octave, below, dull
cdef int32_t long_hits = _constants.LONG_HITS, late_hits = _constants.LATE_HITS, end_misses = _constants.END_MISSES
cdef float third = 1 / 3.0, twelfth = 1 / 12.0, least_floor = 1 / 64.0


def take_constants():
    """Copy the tables of dsp/dtmf.py, so that kernel and reference have one source."""
    global power_scale, lowest_power, high_above_low, low_above_high, candidate_share, fraction, steady, sure_share, long_share, onset, rise, late_share, octave, below, dull
    for i in range(40):
        for k in range(16):
            pair_table[32 * (i // 2) + 2 * k + i % 2] = _constants.COEFFICIENTS[i, k]
    for i in range(8):
        limit[i] = _constants.LIMIT[i]
        turn[i][0], turn[i][1] = _constants.TURN[i]
        for k in range(8):
            leakage[i][k] = _constants.LEAKAGE[i, k]
    for i in range(16):
        digits[i] = ord(_constants.DIGITS[i])
    power_scale, lowest_power, high_above_low, low_above_high, candidate_share, fraction, steady, sure_share, long_share, onset, rise, late_share, octave, below, dull = map(float, _constants.CONSTANTS)


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
        power[k] = (<float>sums[2 * k] * <float>sums[2 * k] + <float>sums[2 * k + 1] * <float>sums[2 * k + 1]) * power_scale
    row = strongest(power)
    column = 4 + strongest(power + 4)
    share = leakage[row][column]        # the same both ways
    for part in range(2):
        s.tone[0][part] = <float>sums[2 * row + part] - share * <float>sums[2 * column + part]
        s.tone[1][part] = <float>sums[2 * column + part] - share * <float>sums[2 * row + part]
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


ctypedef struct batch:
    float energy[BATCH]
    int32_t sums[BATCH][16]     # of those that may be a digit
    int32_t found[BATCH]        # place of a row in sums, or -1


cdef inline int gather(batch *b, const int16_t *x, int64_t x_stride, const int32_t *row, int n, int32_t *chosen) noexcept nogil:
    """Energies of n rows; the rows that are neither silent nor too dull for a digit. Returns how many."""
    cdef int32_t energy[BATCH]
    cdef int32_t lag[BATCH]
    cdef int k, count = 0
    for k in range(n):
        fetch_block(x + x_stride * row[k + AHEAD if k + AHEAD < n else n - 1])
        energy_and_lag(x + x_stride * row[k], &energy[k], &lag[k])
    for k in range(n):
        b.energy[k] = <float>energy[k]
        b.found[k] = -1
        chosen[count] = k
        count += (b.energy[k] >= lowest_power) & (<float>lag[k] < dull * b.energy[k])
    return count


cdef void hear(batch *b, const int16_t *x, int64_t x_stride, const int32_t *row, int n) noexcept nogil:
    """Fill the batch with n rows."""
    cdef int32_t chosen[BATCH + 4]
    cdef int16_t folded[4][80]
    cdef int32_t sums[4][16]
    cdef int first, k, place, count, passed = 0
    count = gather(b, x, x_stride, row, n, chosen)
    for k in range(4):
        chosen[count + k] = chosen[0]       # to fill the last four
    for first in range(0, count, 4):
        for k in range(4):
            fold(x + x_stride * row[chosen[first + k]], folded[k])
        correlate_folded(folded, pair_table, sums)
        for k in range(4 if count - first > 4 else count - first):
            place = chosen[first + k]
            memcpy(b.sums[passed], sums[k], sizeof(sums[k]))
            if loudest_pair(sums[k], power_scale) >= candidate_share * b.energy[place]:
                b.found[place] = passed
                passed += 1


cdef inline int64_t advance(dtmf_slot *s, int32_t slot, float energy, const int32_t *sums, uint8_t *present,
                            dtmf_event *events, int64_t count, int64_t max_events) noexcept nogil:
    """One block of a slot; sums: NULL where it is no digit's. Returns the number of events."""
    cdef int32_t hit = -1, before_candidate = s.candidate
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
        s.floor = s.floor * rise + lowest_power * least_floor
        s.floor = s.floor if s.floor < energy else energy
    if same:
        s.hits += 1
        s.power_sum = s.power_sum + powers[0]
        s.energy_sum = s.energy_sum + energy
        if s.floor * (s.hits + 1) <= onset * s.energy_sum:
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
    return count


cdef int64_t detect(void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                    uint8_t *present, void *events, int64_t max_events) noexcept nogil:
    cdef int64_t first = 0, count = 0
    cdef int k, rows
    cdef batch b
    while first < n:
        rows = <int>(n - first if n - first < BATCH else BATCH)
        hear(&b, x, x_stride, row + first, rows)
        for k in range(rows):
            count = advance(&(<dtmf_slot *>state)[slot[first + k]], slot[first + k], b.energy[k],
                            b.sums[b.found[k]] if b.found[k] >= 0 else NULL, present, <dtmf_event *>events, count, max_events)
        first += rows
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
