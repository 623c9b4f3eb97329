# distutils: include_dirs = dsp
# distutils: depends = dsp/_correlate.h
# distutils: extra_compile_args = -ffp-contract=off -Wno-psabi
"""Call-progress detector; what it does, the table and the reference are in dsp/progress.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memmove, memset

from dsp import progress as _constants

cdef extern from "_correlate.h":
    void correlate(const int16_t *, const int16_t *, int32_t *) noexcept nogil
    int32_t energy_of(const int16_t *) noexcept nogil

cdef enum:
    MOST_SIGNALS = 8
    MOST_TONES = 32
    MOST_STEPS = 16
    SETTLE = 3
    SHORT_GAP = 6           # blocks between the segments of a sequence

cdef struct tone_pattern:
    int32_t signal
    int32_t n_steps
    int32_t least[MOST_STEPS]
    int32_t most[MOST_STEPS]
    int16_t step[MOST_STEPS]    # signal of each step, -1 for silence
    int32_t once            # a sequence: told when its last step is over
    int32_t not_used

cdef struct progress_table:
    int32_t n_tones
    int32_t n_signals
    uint8_t mask[MOST_SIGNALS]
    uint8_t zero[48]
    int16_t pairs[1280]
    tone_pattern tones[MOST_TONES]

cdef struct progress_slot:
    int32_t signal          # of the present run, -1 for none
    int32_t pending         # of the blocks that differ from it
    int32_t waiting         # how many of these
    int32_t run             # blocks
    int32_t tone            # the one that is on, or -1
    int32_t n_runs
    int16_t run_signal[MOST_STEPS]
    int16_t run_blocks[MOST_STEPS]
    float power[8]          # of the block before
    float energy
    int32_t not_used[1]

cdef struct progress_event:
    int32_t slot
    int16_t tone
    uint8_t on
    uint8_t zero

cdef struct sink:
    progress_event *events
    int64_t max_events
    int64_t count

cdef float power_scale, lowest_energy, share, each, drop
power_scale, lowest_energy, share, each, drop = map(float, _constants.CONSTANTS)


cdef int32_t classify(const progress_table *table, progress_slot *s, const int16_t *x) noexcept nogil:
    """The signal that fills this block and the one before, or -1."""
    cdef int32_t sums[16]
    cdef float power[8]
    cdef float now = <float>energy_of(x), energy = now + s.energy, total, least, most = 0, re, im
    cdef int32_t i, k, best = -1
    cdef bint quiet = now < lowest_energy or now < s.energy * drop
    correlate(x, table.pairs, sums)
    for k in range(8):
        re, im = <float>sums[k], <float>sums[k + 8]
        re = (re * re + im * im) * power_scale
        power[k] = re + s.power[k]
        s.power[k] = re
    s.energy = now
    if quiet:
        return -1
    for i in range(table.n_signals):
        total, least = 0, 1e30
        for k in range(8):
            if (table.mask[i] >> k) & 1:
                total += power[k]
                least = power[k] if power[k] < least else least
        if total >= share * energy and total > most and least >= each * energy:
            best, most = i, total
    return best


cdef bint follows(const tone_pattern *tone, const progress_slot *s) noexcept nogil:
    """Do the last runs make up the sequence, short gaps left out?"""
    cdef int32_t at = s.n_runs - 1, k
    for k in range(tone.n_steps - 1, -1, -1):
        if k < tone.n_steps - 1 and at >= 0 and s.run_signal[at] < 0 and s.run_blocks[at] <= SHORT_GAP:
            at -= 1
        if at < 0 or s.run_signal[at] != tone.step[k] or s.run_blocks[at] < tone.least[k] or s.run_blocks[at] > tone.most[k]:
            return False
        at -= 1
    return True


cdef bint fits(const tone_pattern *tone, const progress_slot *s) noexcept nogil:
    """Do the last runs make up a period, beginning at any step?"""
    cdef int32_t n = tone.n_steps, first, k, step, at
    if n == 0 or s.n_runs < n:
        return False
    if tone.once:
        return follows(tone, s)
    for first in range(n):
        for k in range(n):
            step, at = (first + k) % n, s.n_runs - n + k
            if s.run_signal[at] != tone.step[step]:
                break
            if s.run_blocks[at] < tone.least[step] or s.run_blocks[at] > tone.most[step]:
                break
        else:
            return True
    return False


cdef void change(progress_slot *s, int32_t slot, int32_t tone, sink *out) noexcept nogil:
    cdef int32_t on
    cdef progress_event *event
    if tone == s.tone:
        return
    for on in range(2):
        if (tone if on else s.tone) >= 0 and out.count < out.max_events:
            event = &out.events[out.count]
            event.slot, event.tone, event.on, event.zero = slot, <int16_t>(tone if on else s.tone), <uint8_t>on, 0
            out.count += 1
    s.tone = tone


cdef void end_run(progress_slot *s, int32_t signal) noexcept nogil:
    """Keep the run that is over and begin the next, which is SETTLE blocks old."""
    cdef int32_t blocks = s.run - SETTLE
    if s.n_runs == MOST_STEPS:
        memmove(s.run_signal, s.run_signal + 1, 2 * (MOST_STEPS - 1))
        memmove(s.run_blocks, s.run_blocks + 1, 2 * (MOST_STEPS - 1))
        s.n_runs -= 1
    s.run_signal[s.n_runs] = <int16_t>s.signal
    s.run_blocks[s.n_runs] = <int16_t>(blocks if blocks < 32767 else 32767)
    s.n_runs += 1
    s.signal, s.run, s.waiting = signal, SETTLE, 0


cdef void feed(progress_table *table, progress_slot *s, int32_t slot, const int16_t *x, sink *out) noexcept nogil:
    cdef int32_t signal = classify(table, s, x), t, k, most
    cdef tone_pattern *tone
    if s.run < 0x7FFFFFFF:
        s.run += 1
    if signal == s.signal:
        s.waiting = 0
    else:
        s.waiting = s.waiting + 1 if signal == s.pending else 1
        s.pending = signal
    if s.waiting == SETTLE:
        end_run(s, signal)
        for t in range(table.n_tones):
            if fits(&table.tones[t], s):
                change(s, slot, t, out)
                break
        else:
            change(s, slot, -1, out)
    elif s.tone >= 0:
        tone, most = &table.tones[s.tone], 0
        if tone.once:
            if s.run > 2 * tone.most[0]:
                change(s, slot, -1, out)
        elif tone.n_steps:
            k = 1 if s.signal < 0 else 0
            while k < tone.n_steps:
                most = tone.most[k] if tone.most[k] > most else most
                k += 2
            if s.run > most:
                change(s, slot, -1, out)
    if s.tone < 0 and s.signal >= 0:
        for t in range(table.n_tones):
            tone = &table.tones[t]
            if tone.n_steps == 0 and tone.signal == s.signal and s.run >= tone.least[0]:
                change(s, slot, t, out)
                break


cdef int64_t detect(const void *table, void *state, const int32_t *slot, const int32_t *row, int64_t n,
                    const int16_t *x, int64_t x_stride, void *events, int64_t max_events) noexcept nogil:
    cdef int64_t i
    cdef sink out
    out.events, out.max_events, out.count = <progress_event *>events, max_events, 0
    for i in range(n):
        feed(<progress_table *>table, &(<progress_slot *>state)[slot[i]], slot[i], x + x_stride * row[i], &out)
    return out.count


cdef void reset(void *state, int32_t slot) noexcept nogil:
    cdef progress_slot *s = &(<progress_slot *>state)[slot]
    memset(s, 0, sizeof(progress_slot))
    s.signal = s.pending = s.tone = -1


capi = {
    "detect": PyCapsule_New(<void *>detect, "int64_t (const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}
SLOT_OCTETS, TABLE_OCTETS = sizeof(progress_slot), sizeof(progress_table)


def call_reset(uint8_t[::1] state, int slot):
    reset(&state[0], slot)


def call_detect(const uint8_t[::1] table, uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows,
                const int16_t[:, ::1] x, uint8_t[::1] events):
    """See dsp/progress.py. Returns the number of events."""
    cdef int64_t count
    with nogil:
        count = detect(&table[0], &state[0], &slots[0], &rows[0], slots.shape[0], &x[0, 0], x.shape[1],
                       &events[0], events.shape[0] // <int64_t>sizeof(progress_event))
    return count
