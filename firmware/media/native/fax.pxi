# An RTP leg that carries a fax as packets (T.38) in place of sound: its gateway stands where its codec would.
# Included by _engine.pyx.
#
# Datagrams of the leg's port go to the command thread, where UDPTL is (faxes.py), as far as they come from a host that the
# leg talks to; what it makes of them waits in the gateway for the next tick.  Nothing is owed while a fax runs: who only
# receives a page is silent for minutes, so neither RTCP nor the watches have their say.

cdef int fax_source(Rtp *r, sockaddr_in *source) noexcept nogil:
    """Whether a datagram comes from the signalled host or the one that the signalling comes from; latching is the command thread's."""
    if not r.signalled.sin_port and not r.trusted:
        return 1
    return (r.signalled.sin_port and source.sin_addr.s_addr == r.signalled.sin_addr.s_addr) or (r.trusted and source.sin_addr.s_addr == r.trusted)


cdef void fax_in(Engine_ *e, Rtp *r, uint8_t *out) noexcept nogil:
    """This tick's octets of the leg."""
    cdef int16_t x[BLOCK]
    r.fax.speak(r.fax.state, x, BLOCK)
    e.k.compress(r.law, x, out, BLOCK)


cdef void fax_out(Engine_ *e, Rtp *r, const uint8_t *octets) noexcept nogil:
    """What the leg is sent in this tick."""
    cdef int16_t x[BLOCK]
    e.k.expand(r.law, octets, x, BLOCK)
    if r.fax.hear(r.fax.state, x, BLOCK):
        lock(&e.event_lock)            # legs are served by all threads of the tick
        e.wake_events = 1
        unlock(&e.event_lock)


cdef void fax_switch(Engine_ *e, Rtp *r, fax_line *line) noexcept nogil:
    """From sound to packets, or back: the playout begins anew, and what was silent meanwhile is not missing."""
    r.fax = line
    r.tx_fill = 0
    r.tx_marker = 1
    r.playing = 0
    r.plc_left = -1
    r.event_active = 0
    r.timed_out = 0
    r.last_tick = e.tick
