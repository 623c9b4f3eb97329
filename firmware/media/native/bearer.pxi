# Spans that something else than the board carries: drivers/tdm/native/bearer.h.  Included by _engine.pyx.
#
# Their rows are taken over the board's in each block, whether there is a board or not; the board's own line of such a span
# idles.  ABCD bits have a place of their own, since the window may be gone.  While there is no board, or a block comes too late
# for it, only what goes to bearers is worked on by the layer 2 and test kernels: `of_bearers`.

cdef enum:
    BLOCKED_ABCD = 0xD                 # Q.421: nothing has been said yet, by either side

cdef void bearer_switch(Engine_ *e, int span, bearer *b) noexcept nogil:
    """Give a span to a bearer, or (NULL) back to the board."""
    cdef int i
    e.bearer[span] = b
    e.n_bearers = 0
    for i in range(SPANS_MOST):
        if e.bearer[i] != NULL:
            e.bearer_span[e.n_bearers] = i
            e.n_bearers += 1
    memset(e.bearer_abcd_in + span * 32, BLOCKED_ABCD, 32)
    memset(e.bearer_abcd_out + span * 32, BLOCKED_ABCD, 32)
    memset(e.octets_in + span * 32 * BLOCK, SILENCE_A, 32 * BLOCK)
    memset(e.octets_out + span * 32 * BLOCK, idle_of(e, span * 32), 32 * BLOCK)      # who uses a row writes it in this tick


cdef void bearers_in(Engine_ *e) noexcept nogil:
    """octets_in of their spans."""
    cdef int i, span
    for i in range(e.n_bearers):
        span = e.bearer_span[i]
        e.bearer[span].take(e.bearer[span].state, e.octets_in + span * 32 * BLOCK, e.bearer_abcd_in + span * 32)


cdef void bearers_out(Engine_ *e) noexcept nogil:
    """octets_out of their spans."""
    cdef int i, span
    for i in range(e.n_bearers):
        span = e.bearer_span[i]
        e.bearer[span].give(e.bearer[span].state, e.octets_out + span * 32 * BLOCK, e.bearer_abcd_out + span * 32)


cdef void bearers_look(Engine_ *e) noexcept nogil:
    """When the board has its block: what comes next from devices that must be asked."""
    cdef int i
    for i in range(e.n_bearers):
        if e.bearer[e.bearer_span[i]].look != NULL:
            e.bearer[e.bearer_span[i]].look(e.bearer[e.bearer_span[i]].state)


cdef int links_of_bearers(Engine_ *e, int32_t *slots, int32_t *rows) noexcept nogil:
    """Those of the plan's links."""
    cdef int i, n = 0
    for i in range(e.plan.n_links):
        if e.bearer[e.plan.link_row[i] // 32] != NULL:
            slots[n] = e.plan.link_slot[i]
            rows[n] = e.plan.link_row[i]
            n += 1
    return n
