# Recordings: stereo A-law into a ring in memory (tick), from there into a file
# of any form (disk thread: files.pxi).  Included by _engine.pyx.
#
# The ring bridges a disk that stands still for RECORD_RING / 16000 = 4 s.  A pause
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


cdef void record_tick(Engine_ *e) noexcept nogil:
    """Append 10 ms of both legs to each recording."""
    cdef int i, room
    cdef Recording *r
    cdef const uint8_t *left
    cdef const uint8_t *right
    cdef uint8_t a[BLOCK]
    cdef uint8_t b[BLOCK]
    cdef uint8_t both[2 * BLOCK]
    cdef uint32_t at
    for i in range(e.plan.n_recordings):
        r = &e.recording[e.plan.recording[i]]
        if r.head + 2 * BLOCK - load64(&r.tail) > RECORD_RING:
            r.overrun += 2 * BLOCK
            continue
        recorder_side(e, -1 if r.paused else r.left, a, &left)
        recorder_side(e, -1 if r.paused else r.right, b, &right)
        at = <uint32_t>(r.head & (RECORD_RING - 1))
        if at + 2 * BLOCK <= RECORD_RING:
            interleave(r.ring + at, left, right, BLOCK)
        else:
            room = RECORD_RING - at
            interleave(both, left, right, BLOCK)
            memcpy(r.ring + at, both, room)
            memcpy(r.ring, both + room, 2 * BLOCK - room)
        store64(&r.head, r.head + 2 * BLOCK)
