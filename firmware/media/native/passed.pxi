# RTP that is passed from one leg to the other of a bridge as it came: payloads that nothing here can decode (G.729).
# Included by _engine.pyx.
#
# What a leg receives in a tick waits in its codec's packets (codec.pxi), in the order of arrival, until the leg that hears it sends, in the
# same tick: numbers and times move by a constant, so the far end sees the loss, the order and the clock of who speaks, and its own
# playout deals with them.  Source, encryption and payload types are each leg's own; key presses (RFC 4733) go along, and are told to
# control as always.  The two sides of a tick are apart (units.pxi), so one thread puts and another takes without a lock.
# Whoever else listens hears silence.

cdef enum:
    PASSED_MARKER = 1
    PASSED_EVENT = 2
    PASSED_OCTETS = 480                # of a payload: what Rtp.packet holds
    PASSED_LATE = 3                    # ours: ticks; what has waited longer was for nobody


cdef void passed_receive(Engine_ *e, Rtp *r, uint32_t ts, uint16_t seq, int marks, const uint8_t *p, int n) noexcept nogil:
    """A packet: to those that wait to be passed on."""
    cdef Codec *c = r.codec
    cdef Coded *w
    if n > PASSED_OCTETS:
        r.garbage += 1
        return
    if c.put - c.got >= WAITING_MOST:
        c.got += 1
        c.failed += 1
    w = &c.packet[c.put & (WAITING_MOST - 1)]
    w.seq = seq
    w.ts = ts
    w.n = n
    w.marks = <uint8_t>marks
    w.tick = e.tick
    memcpy(w.octets, p, n)
    c.put += 1
    if not marks & PASSED_EVENT:
        r.quality.packet_samples = n // 10 * BLOCK


cdef Rtp *passed_from(Engine_ *e, Codec *c) noexcept nogil:
    """The leg whose packets go out here, NULL: none that can be passed."""
    cdef Rtp *r
    if not c.peer or e.term[c.peer - 1].kind != RTP:
        return NULL
    r = e.term[c.peer - 1].rtp
    return r if r.codec != NULL and r.codec.kind == CODEC_PASSED and r.fax == NULL else NULL


cdef void passed_out(Engine_ *e, Rtp *r, bundle *b) noexcept nogil:
    """Send what the other leg has received."""
    cdef Codec *c = r.codec
    cdef Rtp *other = passed_from(e, c)
    cdef Coded *w
    cdef int n, kind, sent = 0
    r.tx_timestamp += BLOCK            # the reports' idea of now, between packets
    if other == NULL:
        c.passed_ssrc = 0
        return
    while other.codec.got != other.codec.put:
        w = &other.codec.packet[other.codec.got & (WAITING_MOST - 1)]
        other.codec.got += 1
        kind = r.dtmf_payload_type if w.marks & PASSED_EVENT else r.payload_type
        if e.tick - w.tick > PASSED_LATE or kind > 127 or not r.remote.sin_port or not r.sending:
            other.codec.failed += 1
            continue
        if not c.passed_ssrc or c.passed_ssrc != other.ssrc:
            c.passed_ssrc = other.ssrc
            c.seq_offset = <uint16_t>(r.tx_seq - w.seq)
            c.ts_offset = r.tx_timestamp - w.ts
            r.tx_marker = 1
        if sent:
            send_bundle(e, b)          # the one before is in r.packet until then
        put16(r.packet + 2, <uint16_t>(w.seq + c.seq_offset))
        put32(r.packet + 4, w.ts + c.ts_offset)
        put32(r.packet + 8, r.tx_ssrc)
        r.packet[0] = 0x80
        r.packet[1] = <uint8_t>(kind | (0x80 if r.tx_marker or w.marks & PASSED_MARKER else 0))
        memcpy(r.packet + 12, w.octets, w.n)
        n = srtp_give(r, r.packet, 12 + w.n, 0)
        if n:
            send_packet(e, r, n, b)
            sent = 1
        if <int16_t>(w.seq + c.seq_offset - r.tx_seq) >= 0:
            r.tx_seq = <uint16_t>(w.seq + c.seq_offset + 1)
            r.tx_timestamp = w.ts + c.ts_offset
        r.tx_packets += 1
        r.tx_octets += w.n
        r.tx_marker = 0
        c.passed += 1
