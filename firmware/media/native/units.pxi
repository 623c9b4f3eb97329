# The parts of a tick that concern one leg alone, done by several threads.
# Included by _engine.pyx.
#
# The legs are cut into units of 64 neighbouring slots.  The tick thread wakes the
# helpers (Engine.help(), a thread each, of the same priority) and then takes units
# itself, as they do, from one counter, until none is left; it waits only for
# units that a helper is in the middle of.  A helper that the host keeps from
# running therefore costs nothing but its help.  No unit touches what another one
# does: rows, states and scratch are by slot, events have a lock.  Bridges, players,
# links, the board and recordings stay with the tick thread, between the two phases.
# A helper that wakes late finds nothing left, or takes part in the next phase.
#
# Helpers go before all other processes as the tick does, and on two processors that
# leaves none to control and SIP while the tick is at work.  So they help only where a tick
# has needed more than HELP_FROM_NS lately, and take no unit later than HELP_UNTIL_NS after the
# tick's beginning: what is left then the tick thread does alone.  Work is the same whoever does it: a helper that stopped
# sooner would only make the tick longer.  Of a helper's processor everybody else has a fifth but for a unit, and never waits
# longer for it than those 8 ms and a unit.

cdef enum:
    HELP_UNITS = 4                     # fewer are done sooner than a helper is awake
    HELP_FROM_NS = 2500000             # work of a tick, all threads together
    HELP_UNTIL_NS = 8000000
    HELP_TICKS = 100                   # how long a tick that needed help is remembered
    SPINS = 1000                       # ours: some 30 to 60 us
    SENT_LINES = 4                     # of 64 octets: of an Rtp, what a packet out needs
    LEG_LINES = 10                     # and what a block of its playout needs
    PACKET_LINES = 13                  # and what a packet in needs
    PHASE_IN = 0                       # packets in, their playout, voice functions
    PHASE_OUT = 1                      # what was sent is kept for the cancellers, packets out


cdef inline void fetch_leg(Engine_ *e, int i, int last) noexcept nogil:
    """What the next legs of the list need: with 2,000 of them each is out of the caches again in every tick."""
    cdef Rtp *r
    if i + 2 < last:
        r = e.term[e.plan.rtp[i + 2]].rtp
        prefetch(r, LEG_LINES if e.phase == PHASE_IN else SENT_LINES)
        if e.phase == PHASE_IN:
            prefetch(&r.rtcp, 1)
    if i + 1 < last:
        r = e.term[e.plan.rtp[i + 1]].rtp
        if e.phase == PHASE_IN:
            prefetch(r.data + (r.play_ts & (JITTER_RING - 1)), 2)
            prefetch(r.valid + (r.play_ts & (JITTER_RING - 1)) // 64, 1)
        else:
            prefetch(r.packet + r.tx_fill, 3)


cdef void do_unit(Engine_ *e, int u) noexcept nogil:
    cdef Plan *p = &e.plan
    cdef int i, slot
    cdef bundle b
    if e.phase == PHASE_IN:
        if p.rtp_from[u] != p.rtp_from[u + 1]:
            if e.ring[u].ours != NULL:
                ring_unit(e, u)
            elif e.gather_fd[u] >= 0:
                gather_unit(e, u)
        for i in range(e.ready_from[u], e.ready_from[u + 1]):
            read_socket(e, &e.ready[e.ready_at[i]])
        if p.coded_from[u] != p.coded_from[u + 1]:
            codec_in_unit(e, u)
        for i in range(p.rtp_from[u], p.rtp_from[u + 1]):
            fetch_leg(e, i, p.rtp_from[u + 1])
            slot = p.rtp[i]
            rtp_times(e, slot, e.term[slot].rtp)
            rtp_in(e, slot, e.term[slot].rtp, e.octets_in + e.term[slot].in_row * BLOCK)
        voice_unit(e, u)
    else:
        b.n = 0
        remember_sent(e, u)
        if p.coded_from[u] != p.coded_from[u + 1]:
            codec_out_unit(e, u)
        for i in range(p.rtp_from[u], p.rtp_from[u + 1]):
            fetch_leg(e, i, p.rtp_from[u + 1])
            slot = p.rtp[i]
            rtp_out(e, slot, e.term[slot].rtp, e.octets_out + e.term[slot].out_row * BLOCK, &b)
        send_bundle(e, &b)


cdef int take_units(Engine_ *e, int helper) noexcept nogil:
    """Do units until none is left, or a helper's time is over; returns how many."""
    cdef int done = 0
    cdef uint64_t state
    while True:
        if helper and clock_ns(CLOCK_MONOTONIC) - load64(&e.now_ns) > HELP_UNTIL_NS:
            return done
        state = add64(&e.unit_state, 1)
        if <uint32_t>state >= state >> 32:
            return done
        do_unit(e, e.plan.unit[<uint32_t>state])
        add32(&e.unit_done, 1)
        if load32(&e.unit_waits):
            wake_word(&e.unit_done)
        done += 1


cdef void all_units(Engine_ *e, int phase) noexcept nogil:
    """One phase of the tick, in the tick thread."""
    cdef uint32_t i
    cdef uint64_t n = e.plan.n_units
    cdef uint32_t done
    cdef int spins = 0
    if not n:
        return
    # Nobody is in a unit now.  A helper that comes late takes a number of the phase before, which has run out, or one
    # of this phase: number and count are one word, so never the one of the old and the other of the new.
    e.phase = phase
    store32(&e.unit_done, 0)
    store64(&e.unit_state, n << 32)
    if n >= HELP_UNITS and e.help_ticks:
        for i in range(load32(&e.helpers)):
            sem_post(&e.work)
    take_units(e, 0)
    # A unit takes some 0.3 ms.  A helper that the host keeps from running takes any time, and this thread may be on the
    # processor that it waits for: then sleep, and be woken.
    while (done := load32(&e.unit_done)) != n:
        spins += 1
        if spins < SPINS:
            pause_processor()
        else:
            store32(&e.unit_waits, 1)
            wait_word(&e.unit_done, done)
    store32(&e.unit_waits, 0)


cdef void help(Engine_ *e) noexcept nogil:
    """The loop of a helper until e.stop."""
    cdef uint64_t began, spent
    cdef int done
    flush_denormals()
    add32(&e.helpers, 1)
    while not load32(<uint32_t *>&e.stop):
        sem_wait(&e.work)
        while sem_trywait(&e.work) == 0:
            pass                       # woken for phases that are over
        began = clock_ns(CLOCK_MONOTONIC)
        spent = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        done = take_units(e, 1)
        if done:
            add64(&e.helped, done)
            add64(&e.helped_ns, clock_ns(CLOCK_MONOTONIC) - began)
            add64(&e.helped_cpu_ns, clock_ns(CLOCK_THREAD_CPUTIME_ID) - spent)
