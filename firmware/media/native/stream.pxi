# Audio of legs to and from services outside, by rings in memory that another process shares.
# Included by _engine.pyx.
#
# The tick appends what a leg says (and, where wanted, another leg beside it) to
# `out`, and plays `into` where a playlist has an item of this stream.  It never waits:
# a ring that nobody empties loses its newest audio and counts it, one that nobody
# fills is silent.  firmware/streaming/ is at the other end.  What that process writes is
# measured before it is believed: it may die, or be broken, at any instant.


cdef inline uint64_t stream_held(StreamPage *page) noexcept nogil:
    """Octets that can be played now."""
    cdef uint64_t held = load64(&page.in_head) - page.in_tail
    return held if held <= STREAM_IN else 0


cdef int stream_play(Engine_ *e, StreamPage *page, int law, uint8_t *out, int n) noexcept nogil:
    """Up to n octets for a leg; less: the stream has ended.  A gap within it is silence."""
    cdef uint64_t ended = load64(&page.ended)      # before its head: what came before the end is played
    cdef uint64_t held = stream_held(page)
    cdef uint64_t tail = page.in_tail
    cdef int take = n if held > <uint64_t>n else <int>held
    cdef uint8_t octets[BLOCK]
    cdef int i
    for i in range(take):
        octets[i] = page.into[(tail + <uint64_t>i) & (STREAM_IN - 1)]
    if law:
        e.k.convert(0, octets, out, take)
    else:
        memcpy(out, octets, take)
    store64(&page.in_tail, tail + <uint64_t>take)
    if take == n or ended:
        return take
    memset(out + take, silence(law), n - take)
    if tail:
        store64(&page.starved, page.starved + <uint64_t>(n - take))
    return n


cdef void stream_tick(Engine_ *e) noexcept nogil:
    """Append 10 ms to each stream."""
    cdef int i, at
    cdef uint64_t head
    cdef Stream *s
    cdef StreamPage *page
    cdef const uint8_t *left
    cdef const uint8_t *right
    cdef uint8_t a[BLOCK]
    cdef uint8_t b[BLOCK]
    for i in range(e.plan.n_streams):
        s = &e.stream[e.plan.stream[i]]
        page = &e.stream_page[e.plan.stream[i]]
        head = page.out_head
        if head + 2 * BLOCK - load64(&page.out_tail) > STREAM_OUT:
            store64(&page.out_lost, page.out_lost + 2 * BLOCK)
            continue
        recorder_side(e, s.left, a, &left)
        recorder_side(e, s.right, b, &right)
        at = <int>(head & (STREAM_OUT - 1))
        if at + 2 * BLOCK <= STREAM_OUT:
            interleave(page.out + at, left, right, BLOCK)
        else:                          # the ring's length is no multiple of a block's
            interleave(page.out + at, left, right, (STREAM_OUT - at) // 2)
            interleave(page.out, left + (STREAM_OUT - at) // 2, right + (STREAM_OUT - at) // 2, BLOCK - (STREAM_OUT - at) // 2)
        store64(&page.out_head, head + 2 * BLOCK)
