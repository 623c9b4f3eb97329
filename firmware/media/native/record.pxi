# Recordings: stereo A-law into memory (tick; tapes.pxi), from there into a file
# of any form (disk thread: files.pxi).  Included by _engine.pyx.
#
# A disk may stand still for RECORD_MOST / 16000 = 4 s.  A pause
# is recorded as silence of its true length, so that both legs and all marks
# keep their places in time.


cdef void recorder_side(Engine_ *e, int slot, uint8_t *scratch, const uint8_t **octets) noexcept nogil:
    cdef Term *t
    if slot < 0 or e.term[slot].kind == FREE:
        memset(scratch, SILENCE_A, BLOCK)
        octets[0] = scratch
        return
    t = &e.term[slot]
    octets[0] = e.octets_in + t.in_row * BLOCK
    if t.law:
        e.k.convert(1, octets[0], scratch, BLOCK)
        octets[0] = scratch


cdef inline uint8_t *record_room(Engine_ *e, Recording *r) noexcept nogil:
    """Where the next 10 ms of a recording go, NULL where there is no room."""
    cdef uint32_t at = <uint32_t>(r.head % TAPE_OCTETS)
    cdef tape *t
    if r.head + 2 * BLOCK - load64(&r.tail) > RECORD_MOST:
        return NULL
    if at == 0:
        t = tape_take(&e.tapes)
        if t == NULL:
            return NULL
        if r.head:
            r.last.next = t
        else:
            r.first = t
        r.last = t
    return r.last.octets + at


cdef void record_tick(Engine_ *e) noexcept nogil:
    """Append 10 ms of both legs to each recording."""
    cdef int i
    cdef Recording *r
    cdef uint8_t *room
    cdef const uint8_t *left
    cdef const uint8_t *right
    cdef uint8_t a[BLOCK]
    cdef uint8_t b[BLOCK]
    for i in range(e.plan.n_recordings):
        r = &e.recording[e.plan.recording[i]]
        room = record_room(e, r)
        if room == NULL:
            r.overrun += 2 * BLOCK
            continue
        recorder_side(e, -1 if r.paused else r.left, a, &left)
        recorder_side(e, -1 if r.paused else r.right, b, &right)
        interleave(room, left, right, BLOCK)
        store64(&r.head, r.head + 2 * BLOCK)
    if e.plan.n_recordings and tapes_few(&e.tapes, e.plan.n_recordings):
        e.wake_events = 1              # the command thread makes more
