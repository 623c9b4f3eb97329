# distutils: include_dirs = dsp
# distutils: depends = dsp/_correlate.h
# distutils: extra_compile_args = -ffp-contract=off -Wno-psabi
"""Detector of fax and modem tones; what it does and the reference are in dsp/modem.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrtf
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memset

from dsp import modem as _constants

cdef extern from *:
    """
    #include "_correlate.h"
    static int16_t pair_table[PAIRS * 32] __attribute__((aligned(64)));
    """
    int16_t pair_table[1280]
    void correlate(const int16_t *, const int16_t *, int32_t *) noexcept nogil
    int32_t energy_of(const int16_t *) noexcept nogil

cdef enum:
    CNG = 0
    CALLING = 1
    ANS = 2
    ANSAM = 3
    REVERSAL = 4
    FLAGS = 5
    MOST = 1000000

cdef struct modem_slot:
    float tone[3][2]        # of the block before: 1100, 1300, 2100 Hz
    float older[2]          # 2100 Hz, one more block back
    float advance[2]
    float level
    float mean
    float am[2]
    float swing[2]
    float inside
    int32_t run[3]
    int16_t gone[2]
    int32_t since
    int32_t flag_run
    uint8_t missed[3]
    uint8_t on              # bit by tone
    uint8_t quiet
    uint8_t flag_missed
    uint8_t control
    uint8_t spare
    int32_t not_used[7]

cdef struct modem_event:
    int32_t slot
    uint8_t tone
    uint8_t on
    int16_t zero

cdef struct sink:
    modem_event *events
    int64_t max_events
    int64_t count

cdef float scale, share, share_2100, share_flags, low_burst, low_2100, hold, limit, turned, depth, highest, am_keep, swing, flag_keep
cdef float am_re, am_im, flag_re, flag_im, third, twelfth, quarter, half
cdef int32_t ans_blocks = _constants.ANS_BLOCKS, ans_gone = _constants.ANS_GONE, steady_blocks = _constants.STEADY_BLOCKS
cdef int32_t refractory = _constants.REFRACTORY, am_blocks = _constants.AM_BLOCKS, flag_blocks = _constants.FLAG_BLOCKS
cdef int32_t flag_gone = _constants.FLAG_GONE, hold_blocks = _constants.HOLD_BLOCKS, burst_gone = _constants.BURST_GONE
cdef int32_t shortest[2]
cdef int32_t longest[2]


def take_constants():
    """Copy the tables of dsp/modem.py, so that kernel and reference have one source."""
    global scale, share, share_2100, share_flags, low_burst, low_2100, hold, limit, turned, depth, highest, am_keep, swing, flag_keep
    global am_re, am_im, flag_re, flag_im, third, twelfth, quarter, half
    (scale, share, share_2100, share_flags, low_burst, low_2100, hold, limit, turned, depth, highest, am_keep, swing, flag_keep,
     am_re, am_im, flag_re, flag_im, third, twelfth, quarter, half) = map(float, _constants.CONSTANTS)
    for i in range(80):
        for k in range(16):
            pair_table[32 * (i // 2) + 2 * k + i % 2] = _constants.COEFFICIENTS[i, k]
    for k in range(2):
        shortest[k], longest[k] = _constants.BURST_BLOCKS[k]


take_constants()


cdef void put(modem_slot *s, int32_t slot, int32_t tone, bint on, sink *out) noexcept nogil:
    cdef modem_event *event
    if ((s.on >> tone) & 1) == on:
        return
    s.on = <uint8_t>(s.on ^ (1 << tone))
    if out.count < out.max_events:
        event = &out.events[out.count]
        event.slot, event.tone, event.on, event.zero = slot, <uint8_t>tone, on, 0
        out.count += 1


cdef void burst(modem_slot *s, int32_t slot, int32_t k, bint good, sink *out) noexcept nogil:
    if good:
        s.run[k] += 1 + (s.missed[k] if s.run[k] else 0)
        s.run[k] = s.run[k] if s.run[k] < MOST else MOST
        s.missed[k] = 0
    elif s.run[k]:
        s.missed[k] += 1
        if s.missed[k] == 2:
            if shortest[k] <= s.run[k] + 1 <= longest[k]:
                s.gone[k] = 0
                put(s, slot, k, True, out)
            s.run[k] = s.missed[k] = 0
    if (s.on >> k) & 1:
        s.gone[k] += 1
        if s.gone[k] > burst_gone:
            put(s, slot, k, False, out)


cdef void answer(modem_slot *s, int32_t slot, const float *now, float power, bint good, sink *out) noexcept nogil:
    cdef float re, im, size, amplitude, d, step = <float>1 - am_keep, z, sre, sim, real, imag
    if good:
        s.run[2] = s.run[2] + 1 if s.run[2] < MOST else MOST
        s.missed[2] = 0
        re = now[0] * s.tone[2][0] + now[1] * s.tone[2][1]
        im = now[1] * s.tone[2][0] - now[0] * s.tone[2][1]
        size = sqrtf(re * re + im * im)
        if size > 0 and (re * s.advance[0] + im * s.advance[1] >= half * size or s.run[2] < steady_blocks):
            s.advance[0] = s.advance[0] + (re / size - s.advance[0]) * quarter
            s.advance[1] = s.advance[1] + (im / size - s.advance[1]) * quarter
        s.level = s.level + (power - s.level) * quarter
        amplitude = sqrtf(power)
        if s.mean == 0:
            s.mean = amplitude
        s.mean = s.mean + (amplitude - s.mean) * step
        d = (amplitude - s.mean) * step
        re, im = s.am[0], s.am[1]
        s.am[0] = am_keep * (re * am_re - im * am_im) + d
        s.am[1] = am_keep * (re * am_im + im * am_re)
    elif s.run[2]:
        s.missed[2] += 1
        if s.missed[2] == ans_gone:
            s.run[2] = s.missed[2] = 0
            s.mean = s.level = s.am[0] = s.am[1] = 0
            put(s, slot, REVERSAL, False, out)
            put(s, slot, ANSAM, False, out)
            put(s, slot, ANS, False, out)
    s.since = s.since + 1 if s.since < MOST else MOST
    if s.run[2] >= ans_blocks:
        put(s, slot, ANS, True, out)
    if s.run[2] >= am_blocks:
        z = sqrtf(s.am[0] * s.am[0] + s.am[1] * s.am[1]) * <float>2
        if z >= depth * s.mean and z <= highest * s.mean:
            put(s, slot, ANSAM, True, out)
    if s.run[2] >= steady_blocks and s.since > refractory and power >= quarter * s.level:
        re = now[0] * s.older[0] + now[1] * s.older[1]
        im = now[1] * s.older[0] - now[0] * s.older[1]
        sre = s.advance[0] * s.advance[0] - s.advance[1] * s.advance[1]
        sim = <float>2 * s.advance[0] * s.advance[1]
        real = re * sre + im * sim
        imag = im * sre - re * sim
        size = sqrtf(real * real + imag * imag)
        if size > 0 and real <= turned * size:
            s.since = 0
            put(s, slot, REVERSAL, True, out)


cdef void flags(modem_slot *s, int32_t slot, const float *power, float energy, sink *out) noexcept nogil:
    cdef float step = <float>1 - flag_keep, d = 0, inside = 0, re = s.swing[0], im = s.swing[1], z
    if energy >= low_burst:
        d, inside = (power[3] - power[4]) / energy, (power[3] + power[4]) / energy
    s.inside = s.inside + (inside - s.inside) * step
    s.swing[0] = flag_keep * (re * flag_re - im * flag_im) + d * step
    s.swing[1] = flag_keep * (re * flag_im + im * flag_re)
    z = sqrtf(s.swing[0] * s.swing[0] + s.swing[1] * s.swing[1]) * <float>2
    if z >= swing and s.inside >= share_flags:
        s.flag_run = s.flag_run + 1 if s.flag_run < MOST else MOST
        s.flag_missed = 0
        if s.flag_run >= flag_blocks:
            put(s, slot, FLAGS, True, out)
    else:
        s.flag_missed += 1
        if s.flag_missed >= flag_gone:
            s.flag_run = s.flag_missed = 0
            put(s, slot, FLAGS, False, out)


cdef void feed(modem_slot *s, int32_t slot, const int16_t *x, sink *out) noexcept nogil:
    cdef int32_t sums[16]
    cdef float now[5][2]
    cdef float power[5]
    cdef bint good[3]
    cdef float energy = <float>energy_of(x), size, cosine = 0, y, gain
    cdef int32_t k
    correlate(x, pair_table, sums)
    for k in range(5):
        now[k][0], now[k][1] = <float>sums[k], <float>sums[k + 8]
        power[k] = (now[k][0] * now[k][0] + now[k][1] * now[k][1]) * scale
    for k in range(3):
        good[k] = False
        if power[k] >= (low_2100 if k == 2 else low_burst):
            size = (now[k][0] * now[k][0] + now[k][1] * now[k][1]) * (s.tone[k][0] * s.tone[k][0] + s.tone[k][1] * s.tone[k][1])
            cosine = (now[k][0] * s.tone[k][0] + now[k][1] * s.tone[k][1]) / sqrtf(size) if size > 0 else 0
            y = <float>1 - cosine
            gain = <float>1 + (y + y + y * y * third) * twelfth
            good[k] = power[k] * gain >= (share_2100 if k == 2 else share) * energy
    good[2] = good[2] and cosine >= limit
    burst(s, slot, CNG, good[0], out)
    burst(s, slot, CALLING, good[1], out)
    answer(s, slot, now[2], power[2], good[2], out)
    flags(s, slot, power, energy, out)
    s.older[0], s.older[1] = s.tone[2][0], s.tone[2][1]
    for k in range(3):
        s.tone[k][0], s.tone[k][1] = now[k][0], now[k][1]
    if energy >= hold:
        s.quiet = 0
    elif s.quiet < hold_blocks:
        s.quiet += 1
    if s.quiet >= hold_blocks:
        s.control = 0
    else:
        s.control = s.control | 4 | ((s.on >> ANS) & 1) | (((s.on >> REVERSAL) & 1) << 1)


cdef int64_t detect(void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                    uint8_t *control, void *events, int64_t max_events) noexcept nogil:
    cdef int64_t i
    cdef modem_slot *s
    cdef sink out
    out.events, out.max_events, out.count = <modem_event *>events, max_events, 0
    for i in range(n):
        s = &(<modem_slot *>state)[slot[i]]
        feed(s, slot[i], x + x_stride * row[i], &out)
        if control != NULL:
            control[slot[i]] = s.control
    return out.count


cdef void reset(void *state, int32_t slot) noexcept nogil:
    cdef modem_slot *s = &(<modem_slot *>state)[slot]
    memset(s, 0, sizeof(modem_slot))
    s.advance[0] = 1
    s.quiet = <uint8_t>hold_blocks


capi = {
    "detect": PyCapsule_New(<void *>detect, "int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, void *, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}
SLOT_OCTETS = sizeof(modem_slot)


def call_reset(uint8_t[::1] state, int slot):
    reset(&state[0], slot)


def call_detect(uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows, const int16_t[:, ::1] x,
                uint8_t[::1] control, uint8_t[::1] events):
    """See dsp/modem.py. Returns the number of events."""
    cdef int64_t count
    cdef uint8_t *states = NULL
    if control is not None:
        states = &control[0]
    with nogil:
        count = detect(&state[0], &slots[0], &rows[0], slots.shape[0], &x[0, 0], x.shape[1], states,
                       &events[0], events.shape[0] // <int64_t>sizeof(modem_event))
    return count
