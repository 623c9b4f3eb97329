# distutils: extra_compile_args = -ffp-contract=off
"""FSK sender and receiver at 1200 bit/s; what they do, the table and the references are in dsp/fsk.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabsf, floorf
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from dsp import fsk as _constants
from dsp import tone as _tone

cdef extern from *:
    """
    enum { FSK_BLOCK = 80, FSK_WINDOW = 7 };
    typedef struct {
        float mark_cos[8], mark_sin[8], space_cos[8], space_sin[8], lowest, purity;
        uint32_t increment[2];
        int32_t zero[12];
    } fsk_table;

    /* one: mark beats space, smoothed; old: the last two differences; pure: nearly all of it is mark; alive: loud enough. line: 6 old samples, then the block. */
    static void correlate_bits(const fsk_table *t, const float *line, float *old, uint8_t *one, uint8_t *pure, uint8_t *alive)
    {
        float g[FSK_BLOCK + 2], a[FSK_BLOCK] = {0}, b[FSK_BLOCK] = {0}, c[FSK_BLOCK] = {0}, d[FSK_BLOCK] = {0}, e[FSK_BLOCK] = {0};
        for (int k = 0; k < FSK_WINDOW; k++) {
            const float *y = line + FSK_WINDOW - 1 - k;
            float p = t->mark_cos[k], q = t->mark_sin[k], r = t->space_cos[k], s = t->space_sin[k];
            for (int i = 0; i < FSK_BLOCK; i++) {
                a[i] += p * y[i]; b[i] += q * y[i]; c[i] += r * y[i]; d[i] += s * y[i]; e[i] += y[i] * y[i];
            }
        }
        for (int i = 0; i < FSK_BLOCK; i++) {
            float mark = a[i] * a[i] + b[i] * b[i], space = c[i] * c[i] + d[i] * d[i];
            g[i + 2] = mark - space;
            alive[i] = e[i] >= t->lowest;
            pure[i] = (mark >= t->purity * e[i]) & (e[i] >= t->lowest);
        }
        g[0] = old[0];
        g[1] = old[1];
        for (int i = 0; i < FSK_BLOCK; i++)
            one[i] = g[i + 2] + (g[i + 1] + g[i + 1]) + g[i] > 0;
        old[0] = g[FSK_BLOCK];
        old[1] = g[FSK_BLOCK + 1];
    }
    """
    ctypedef struct fsk_table:
        float lowest
        float purity
        uint32_t increment[2]
    void correlate_bits(const fsk_table *, const float *, float *, uint8_t *, uint8_t *, uint8_t *) noexcept nogil

cdef enum:
    BLOCK = 80
    OLD = 6
    MOST_OCTETS = 260
    OCTET = 0
    LOCKED = 1
    LOST = 2

cdef struct rx_slot:
    float history[OLD]
    int32_t mark_run
    int32_t gap
    int32_t clock
    uint8_t bit
    uint8_t octet
    uint8_t locked
    uint8_t spare
    float old[2]
    int32_t not_used[4]

cdef struct tx_slot:
    int32_t length          # octets, 0 when there is nothing to send
    int32_t seizure
    int32_t mark
    int32_t sample          # sent
    uint32_t phase
    float amplitude
    uint8_t octets[MOST_OCTETS]
    int32_t not_used[9]

cdef struct fsk_event:
    int32_t slot
    uint8_t kind
    uint8_t octet
    uint16_t gap

cdef int32_t lock_samples = _constants.LOCK_SAMPLES
cdef float c1 = _tone.SINE[0], c3 = _tone.SINE[1], c5 = _tone.SINE[2], c7 = _tone.SINE[3]


cdef int64_t report(fsk_event *events, int64_t count, int64_t max_events, int32_t slot, uint8_t kind, uint8_t octet, int32_t gap) noexcept nogil:
    if count < max_events:
        events[count].slot, events[count].kind, events[count].octet, events[count].gap = slot, kind, octet, <uint16_t>gap
        count += 1
    return count


cdef int64_t detect(const void *table, void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                    void *events, int64_t max_events) noexcept nogil:
    cdef int64_t i, count = 0
    cdef int32_t k
    cdef float line[BLOCK + OLD]
    cdef uint8_t one[BLOCK]
    cdef uint8_t pure[BLOCK]
    cdef uint8_t alive[BLOCK]
    cdef rx_slot *s
    cdef const int16_t *block
    cdef fsk_event *out = <fsk_event *>events
    for i in range(n):
        s = &(<rx_slot *>state)[slot[i]]
        block = x + x_stride * row[i]
        memcpy(line, s.history, sizeof(s.history))
        for k in range(BLOCK):
            line[OLD + k] = block[k]
        memcpy(s.history, line + BLOCK, sizeof(s.history))
        correlate_bits(<const fsk_table *>table, line, s.old, one, pure, alive)
        for k in range(BLOCK):
            s.mark_run = s.mark_run + 1 if pure[k] and one[k] and s.mark_run < 65535 else (s.mark_run if pure[k] and one[k] else 0)
            if not s.locked:
                if s.mark_run >= lock_samples:
                    s.locked, s.bit, s.gap = 1, 0, s.mark_run
                    count = report(out, count, max_events, slot[i], LOCKED, 0, 0)
            elif not alive[k]:
                s.locked = 0
                count = report(out, count, max_events, slot[i], LOST, 0, 0)
            elif s.bit == 0:
                s.gap = s.gap + 1 if s.gap < 65535 else 65535
                if not one[k]:
                    s.bit, s.clock, s.octet = 1, 10, 0
            else:
                s.clock -= 3
                if s.clock > 0:
                    continue
                s.clock += 20
                if s.bit == 1:
                    s.bit = 0 if one[k] else 2
                elif s.bit < 10:
                    s.octet = <uint8_t>((s.octet >> 1) | (one[k] << 7))
                    s.bit += 1
                elif one[k]:
                    count = report(out, count, max_events, slot[i], OCTET, s.octet, s.gap)
                    s.bit, s.gap = 0, 0
                else:
                    s.locked = 0
                    count = report(out, count, max_events, slot[i], LOST, 0, 0)
    return count


cdef void rx_reset(void *state, int32_t slot) noexcept nogil:
    memset(&(<rx_slot *>state)[slot], 0, sizeof(rx_slot))


cdef inline int32_t bit_at(const tx_slot *s, int32_t bit) noexcept nogil:
    """1 for mark; beyond the octets mark."""
    cdef int32_t octet, place
    if bit < s.seizure:
        return bit & 1
    bit -= s.seizure + s.mark
    if bit < 0 or bit >= 10 * s.length:
        return 1
    octet, place = bit // 10, bit % 10
    if place == 0 or place == 9:
        return place == 9
    return (s.octets[octet] >> (place - 1)) & 1


cdef void generate(const void *table, void *state, const int32_t *slot, const int32_t *row, int64_t n,
                   int16_t *x, int64_t x_stride, int64_t n_samples, int32_t *produced) noexcept nogil:
    cdef int64_t i, k, left, made
    cdef tx_slot *s
    cdef int16_t *y
    cdef int32_t turn
    cdef float u, square, sine
    cdef const fsk_table *t = <const fsk_table *>table
    for i in range(n):
        s = &(<tx_slot *>state)[slot[i]]
        y = x + x_stride * row[i]
        left = 0
        if s.length:
            left = ((s.seizure + s.mark + 10 * s.length + 12) * 20 + 2) // 3 - s.sample
        made = n_samples if left > n_samples else left
        for k in range(made):
            turn = <int32_t>s.phase
            u = <float>1 - fabsf(fabsf(<float>turn * <float>2.3283064365386963e-10) - <float>0.25) * <float>4
            square = u * u
            sine = u * (c1 + square * (c3 + square * (c5 + square * c7)))
            sine = -sine if turn < 0 else sine
            y[k] = <int16_t>floorf(sine * s.amplitude + <float>0.5)
            s.phase += t.increment[0 if bit_at(s, (s.sample * 3) // 20) else 1]
            s.sample += 1
        memset(y + made, 0, 2 * (n_samples - made))
        if made < n_samples:
            s.length = 0
        if produced != NULL:
            produced[i] = <int32_t>made


cdef int32_t put(void *state, int32_t slot, const uint8_t *octets, int64_t length, int32_t seizure_bits, int32_t mark_bits, float amplitude) noexcept nogil:
    cdef tx_slot *s = &(<tx_slot *>state)[slot]
    if length < 1 or length > MOST_OCTETS or seizure_bits < 0 or mark_bits < 0 or seizure_bits > 10000 or mark_bits > 10000:
        return 0
    memcpy(s.octets, octets, length)
    s.length, s.seizure, s.mark, s.sample, s.phase = <int32_t>length, seizure_bits, mark_bits, 0, 0
    s.amplitude = amplitude if amplitude < 32000 else <float>32000
    return 1


cdef void tx_reset(void *state, int32_t slot) noexcept nogil:
    memset(&(<tx_slot *>state)[slot], 0, sizeof(tx_slot))


capi = {
    "detect": PyCapsule_New(<void *>detect, "int64_t (const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t)", NULL),
    "rx_reset": PyCapsule_New(<void *>rx_reset, "void (void *, int32_t)", NULL),
    "generate": PyCapsule_New(<void *>generate, "void (const void *, void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, int64_t, int32_t *)", NULL),
    "put": PyCapsule_New(<void *>put, "int32_t (void *, int32_t, const uint8_t *, int64_t, int32_t, int32_t, float)", NULL),
    "tx_reset": PyCapsule_New(<void *>tx_reset, "void (void *, int32_t)", NULL),
}
RX_OCTETS, TX_OCTETS, TABLE_OCTETS = sizeof(rx_slot), sizeof(tx_slot), sizeof(fsk_table)


def call_detect(const uint8_t[::1] table, uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows,
                const int16_t[:, ::1] x, uint8_t[::1] events):
    """See dsp/fsk.py. Returns the number of events."""
    cdef int64_t count
    with nogil:
        count = detect(&table[0], &state[0], &slots[0], &rows[0], slots.shape[0], &x[0, 0], x.shape[1],
                       &events[0], events.shape[0] // <int64_t>sizeof(fsk_event))
    return count


def call_generate(const uint8_t[::1] table, uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows,
                  int16_t[:, ::1] x, int32_t[::1] produced):
    """See dsp/fsk.py."""
    with nogil:
        generate(&table[0], &state[0], &slots[0], &rows[0], slots.shape[0], &x[0, 0], x.shape[1], x.shape[1], &produced[0])


def call_put(uint8_t[::1] state, int slot, const uint8_t[::1] octets, int seizure_bits, int mark_bits, float amplitude):
    """1 where it is sent; see dsp/fsk.py."""
    return put(&state[0], slot, &octets[0], octets.shape[0], seizure_bits, mark_bits, amplitude)


def call_rx_reset(uint8_t[::1] state, int slot):
    rx_reset(&state[0], slot)
