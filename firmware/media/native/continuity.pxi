# The continuity check of circuits: its tone's receiver, and the loop at the other end.
# Included by _engine.pyx.
#
# Receiver (Q.724 clause 7, T1.113.4 2.1.8): a 10 ms block holds the tone where CHECK_SHARE of its energy lies within
# the main lobe round 2000 or 2010 Hz (0.6 is met up to 38 Hz beside it, and by no tone 100 Hz away) at -20 dBm0 or more (heard
# from -18 on, not at -22); CHECK_BEGINS blocks in a row are the tone (30 to 60 ms), CHECK_ENDS blocks below -24.5 dBm0 or of
# something else its end.  Speech is never four blocks of one frequency; what is heard is told once at each change.

cdef enum:
    CHECK_BEGINS = 4
    CHECK_ENDS = 2
    CHECKS = 2

cdef double CHECK_COSINE[2]
cdef double CHECK_SINE[2]
CHECK_COSINE[0], CHECK_SINE[0] = cos(2 * pi * 2000 / 8000), sin(2 * pi * 2000 / 8000)
CHECK_COSINE[1], CHECK_SINE[1] = cos(2 * pi * 2010 / 8000), sin(2 * pi * 2010 / 8000)
cdef double CHECK_SHARE = 0.6
cdef double CHECK_ENERGY = 2.07e8           # sum of squares of a block at -20 dBm0
cdef double CHECK_REST = 7.35e7           # -24.5 dBm0


cdef double check_power(const int16_t *x, int kind) noexcept nogil:
    """Energy of a block's component at the check tone (Goertzel)."""
    cdef double s = 0, s1 = 0, s2 = 0, re, im
    cdef int i
    for i in range(BLOCK):
        s = x[i] + 2 * CHECK_COSINE[kind] * s1 - s2
        s2 = s1
        s1 = s
    re = s1 - s2 * CHECK_COSINE[kind]
    im = s2 * CHECK_SINE[kind]
    return 2 * (re * re + im * im) / BLOCK


cdef void check_tick(Engine_ *e) noexcept nogil:
    """All receivers, after the expansion of this tick's octets."""
    cdef Plan *p = &e.plan
    cdef int i, j, good
    cdef double energy, tone
    cdef const int16_t *x
    cdef Term *t
    for i in range(p.n_check):
        t = &e.term[p.check[i]]
        x = e.linear_in + p.check[i] * BLOCK
        energy = 0
        for j in range(BLOCK):
            energy += <double>x[j] * x[j]
        tone = check_power(x, t.check - 1)
        good = tone >= CHECK_SHARE * energy and tone >= (CHECK_REST if t.check_heard else CHECK_ENERGY)
        t.check_run = t.check_run + 1 if good != t.check_heard else 0
        if t.check_run >= (CHECK_ENDS if t.check_heard else CHECK_BEGINS):
            t.check_heard = good
            t.check_run = 0
            add_event(e, EV_CHECK, p.check[i], t.serial, good, 0, 0)
