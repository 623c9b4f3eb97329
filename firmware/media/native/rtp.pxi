# RTP of one leg: RFC 3550, RFC 3551 (PCMU 0, PCMA 8), RFC 4733.
# Included by _engine.pyx.  Everything that arrives is hostile until it has
# been measured: lengths are checked before a field is read.

cdef enum:
    SWEEP_MOST = 16                    # packets read from one leg in one tick
    REORDER_MOST = 64                  # width of the bitmap of seen sequence numbers
    EVENT_SEGMENT = 0xF000             # a segment that is followed by another is about as long as can be said
    EVENT_END_TICKS = 15               # an event whose end was lost is over after 150 ms
    ALIVE_TICKS = 10                   # a source that sent within 100 ms is not followed by another
    RELATCH_TICKS = 100                # a source silent for 1 s may be replaced
    MOVED_TICKS = 20                   # ours: one silent for 200 ms by what goes on with its SSRC and numbers: a NAT has bound anew
    MOVED_AHEAD = 1000                 # ours: numbers, 20 s
    EVENT_FLASH = 16                   # RFC 4733 3.2: a hook flash

cdef inline uint32_t be16(const uint8_t *p) noexcept nogil:
    return (<uint32_t>p[0] << 8) | p[1]


cdef inline uint32_t be32(const uint8_t *p) noexcept nogil:
    return (<uint32_t>p[0] << 24) | (<uint32_t>p[1] << 16) | (<uint32_t>p[2] << 8) | p[3]


cdef inline void put16(uint8_t *p, uint32_t v) noexcept nogil:
    p[0] = <uint8_t>(v >> 8)
    p[1] = <uint8_t>v


cdef inline void put32(uint8_t *p, uint32_t v) noexcept nogil:
    put16(p, v >> 16)
    put16(p + 2, v & 0xFFFF)


cdef inline int same_address(sockaddr_in *a, sockaddr_in *b) noexcept nogil:
    return a.sin_port == b.sin_port and a.sin_addr.s_addr == b.sin_addr.s_addr


cdef uint32_t codec_time(Codec *c, uint32_t ts) noexcept nogil:
    """RTP's clock of another rate in samples of 8 kHz, over its wrap."""
    cdef int32_t step
    if not c.begun:
        c.far_base = ts
        c.base = ts // <uint32_t>c.clock
    step = <int32_t>(ts - c.far_base)
    if step > 1 << 28 or step < -(1 << 28):
        c.base += <uint32_t>(step // c.clock)
        c.far_base = ts
        return c.base
    return c.base + <uint32_t>(step // c.clock)


cdef int source_accepted(Engine_ *e, int slot, Rtp *r, sockaddr_in *source, uint16_t seq, uint32_t ssrc) noexcept nogil:
    """Whether packets from this address are ours.

    With latch the first sender of valid RTP becomes the address we answer to
    (symmetric RTP, RFC 4961); another one must show two packets in a row
    and the old one must have been silent for a second, or for MOVED_TICKS where it goes on with that one's SSRC and numbers, which
    nobody off the path knows; but the signalled address itself is believed at once.  Where control has said which host the signalling comes from,
    nobody but that host and the signalled one is latched: who is not on the path cannot
    take audio away; with SRTP whoever has the key is the far end.  Without latch only the
    signalled host counts.
    """
    cdef uint64_t silent = RELATCH_TICKS
    if r.source.sin_port and same_address(source, &r.source):
        r.source_tick = e.tick
        return 1
    if not r.latch:
        if r.remote.sin_port and source.sin_addr.s_addr != r.remote.sin_addr.s_addr:
            r.strangers += 1
            return 0
    elif r.trusted and r.srtp_in == NULL and source.sin_addr.s_addr != r.trusted and source.sin_addr.s_addr != r.signalled.sin_addr.s_addr:
        r.strangers += 1
        return 0
    elif r.source.sin_port and not same_address(source, &r.signalled):
        if r.started and ssrc == r.ssrc and <uint16_t>(seq - r.max_seq) < MOVED_AHEAD:
            silent = MOVED_TICKS
        if e.tick - r.source_tick < silent or not same_address(source, &r.rival) \
                or <uint16_t>(seq - r.rival_seq) != 1:
            r.rival = source[0]
            r.rival_seq = seq
            r.strangers += 1
            return 0
    r.source = source[0]
    r.source_tick = e.tick
    if r.latch:
        r.remote = source[0]
    return 1


cdef void source_restart(Rtp *r, uint32_t ssrc, uint16_t seq) noexcept nogil:
    r.ssrc = ssrc
    r.max_seq = seq
    r.cycles = 0
    r.base_seq = seq
    r.seen = 1
    r.received = 0
    r.expected_prior = 0
    r.received_prior = 0
    r.jitter_q4 = 0
    r.transit = 0
    r.playing = 0
    r.lead_usual = 0
    r.event_active = 0
    r.event_done = 0
    if r.codec != NULL:
        codec_begin(r.codec)
    quality_restart(&r.quality)


cdef int sequence_accepted(Rtp *r, uint64_t e_tick, uint32_t ssrc, uint16_t seq) noexcept nogil:
    """Count one sequence number; 0 for a packet that is not to be played.

    RFC 3550 A.1, with a bitmap for duplicates.  The first source is believed at once;
    another one, or a jump of the numbers, only at its second packet in sequence."""
    cdef uint16_t ahead = <uint16_t>(seq - r.max_seq)
    cdef uint16_t behind = <uint16_t>(r.max_seq - seq)
    if not r.started:
        source_restart(r, ssrc, seq)
    elif ssrc != r.ssrc or (ahead >= 3000 and behind >= 3000):
        if ssrc != r.ssrc and e_tick - r.last_tick < ALIVE_TICKS:
            r.strangers += 1           # the known source is alive: this one was put in from outside, or is too early
            r.on_probation = 0
            return 0
        if not r.on_probation or ssrc != r.new_ssrc or seq != r.new_seq:
            r.on_probation = 1
            r.new_ssrc = ssrc
            r.new_seq = <uint16_t>(seq + 1)
            r.strangers += 1
            return 0
        r.on_probation = 0
        source_restart(r, ssrc, seq)
    elif 0 < ahead < 3000:
        if seq < r.max_seq:
            r.cycles += 65536
        r.seen = (r.seen << ahead) | 1 if ahead < REORDER_MOST else 1
        r.max_seq = seq
        quality_advance(&r.quality, ahead)
    elif behind >= REORDER_MOST:
        r.late += 1                    # older than what we can tell apart
        return 0
    elif (r.seen >> behind) & 1:
        r.duplicates += 1
        return 0
    else:
        r.seen |= (<uint64_t>1) << behind
        r.reordered += 1
        quality_came(&r.quality, behind)
    r.received += 1
    return 1


cdef inline uint8_t event_digit(int code) noexcept nogil:
    """What control is told of an event: the digit, or "!" for a hook flash."""
    return b"0123456789*#ABCD!"[code]


cdef void telephone_event(Engine_ *e, int slot, Rtp *r, uint32_t ts, const uint8_t *p, int n) noexcept nogil:
    """RFC 4733 2.3: event, end bit and volume, duration.  One key press has one timestamp."""
    cdef int code
    if n < 4:
        r.garbage += 1
        return
    code = p[0]
    if code > EVENT_FLASH:
        return                         # no digit
    if code != EVENT_FLASH:            # who tells flashes so may well send digits as tones
        r.events_used = 1
        r.mute_until = e.tick + <uint64_t>(r.jitter_samples // BLOCK) + 4
    if r.event_active and ts != r.event_ts and r.event_digit == event_digit(code) and r.event_duration >= EVENT_SEGMENT \
            and ts == r.event_ts + r.event_duration:
        r.event_before += r.event_duration          # RFC 4733 2.5.1.3: longer than its field can say, 1.4 s at 48 kHz
        r.event_duration = 0
        r.event_ts = ts
    if r.event_active and ts != r.event_ts:
        end_event(e, slot, r)          # its end was lost
    if not r.event_active:
        if r.event_done and <int32_t>(ts - r.event_ts) <= 0:
            return                     # a repeated end, or one that came late
        r.event_active = 1
        r.event_done = 0
        r.event_ts = ts
        begin_event(e, slot, r, code)
    if be16(p + 2) > r.event_duration:
        r.event_duration = <uint16_t>be16(p + 2)
    r.event_tick = e.tick
    if p[1] & 0x80:
        end_event(e, slot, r)


cdef void begin_event(Engine_ *e, int slot, Rtp *r, int code) noexcept nogil:
    """A key is down: its tone is heard from now on."""
    cdef int tone = -1 if code == EVENT_FLASH else e.digit_tone[code]
    r.event_digit = event_digit(code)
    r.event_duration = 0
    r.event_before = 0
    if tone >= 0:
        e.k.tone_start(e.k.tone_state, TERMS + slot, tone, 0)
        e.keys_down[slot] = <uint8_t>(code + 1)


cdef void press_key(Engine_ *e, int slot, Rtp *r, int code, int ticks) noexcept nogil:
    """Control says that a key is pressed, for so long: as an event, of which it need not be told."""
    if r.event_active:
        end_event(e, slot, r)
    r.event_active = 1
    r.event_told = 1
    r.events_used = 1
    r.event_tick = e.tick + <uint64_t>ticks - EVENT_END_TICKS
    r.mute_until = e.tick + <uint64_t>ticks
    begin_event(e, slot, r, code)


cdef void end_event(Engine_ *e, int slot, Rtp *r) noexcept nogil:
    r.event_active = 0
    e.keys_down[slot] = 0
    if r.event_told:
        r.event_told = 0
        return
    r.event_done = 1
    if e.term[slot].detect or r.event_digit == event_digit(EVENT_FLASH):
        add_event(e, EV_DIGIT, slot, e.term[slot].serial, r.event_digit, (r.event_before + r.event_duration) // r.event_clock, 1)


cdef void other_packet(Engine_ *e, int slot, Rtp *r, const uint8_t *p, int n, sockaddr_in *source) noexcept nogil:
    """STUN or DTLS of a browser, or a fax's packet: to the command thread, as far as there is room; both are repeated by who sent them."""
    cdef Other *o
    if r.others_tick != e.tick:
        r.others_tick = e.tick
        r.others = 0
    lock(&e.event_lock)                # legs are read by all threads of the tick
    if n > OTHER_OCTETS or r.others >= OTHERS_OF_LEG or e.other_head - load64(&e.other_tail) >= OTHERS:
        e.others_lost += 1
        unlock(&e.event_lock)
        return
    r.others += 1
    o = &e.other[e.other_head & (OTHERS - 1)]
    o.slot = slot
    o.serial = e.term[slot].serial
    o.host = ntohl(source.sin_addr.s_addr)
    o.port = ntohs(source.sin_port)
    o.n = <uint16_t>n
    memcpy(o.data, p, n)
    store64(&e.other_head, e.other_head + 1)
    e.wake_events = 1
    unlock(&e.event_lock)


cdef void rtp_packet(Engine_ *e, int slot, Rtp *r, uint8_t *p, int n, sockaddr_in *source,
                     uint64_t came_ns) noexcept nogil:
    """One datagram.  came_ns: CLOCK_REALTIME of its arrival, 0: not known."""
    cdef int header, kind, passes, marker
    cdef uint32_t ts, transit
    cdef int32_t d
    cdef uint16_t seq
    if r.fax != NULL:
        if fax_source(r, source):
            other_packet(e, slot, r, p, n, source)
        else:
            r.strangers += 1
        return
    if r.browser and n > 0 and p[0] < 64 and (p[0] < 4 or p[0] >= 20):     # RFC 7983 7
        other_packet(e, slot, r, p, n, source)
        return
    if n < 12 or p[0] >> 6 != 2:
        r.garbage += 1
        return
    if r.rtcp.mux and 192 <= p[1] <= 223:          # RFC 5761 4
        rtcp_packet(e, slot, r, p, n, source, came_ns)
        return
    n = srtp_take(r, p, n, 0)
    if n < 12:
        return
    header = 12 + 4 * (p[0] & 15)
    if p[0] & 0x10:
        if n < header + 4:
            r.garbage += 1
            return
        header += 4 + 4 * <int>be16(p + header + 2)
    if p[0] & 0x20:
        if p[n - 1] == 0 or p[n - 1] > n - 12:
            r.garbage += 1
            return
        n -= p[n - 1]
    kind = p[1] & 127
    marker = PASSED_MARKER if p[1] & 0x80 else 0
    if n < header or (kind != r.payload_type and kind != r.dtmf_payload_type and kind != 13):
        r.garbage += 1
        return
    seq = <uint16_t>be16(p + 2)
    if not source_accepted(e, slot, r, source, seq, be32(p + 8)):
        return
    ts = be32(p + 4)
    if r.codec != NULL and r.codec.clock != 1 and kind == r.payload_type:
        ts = codec_time(r.codec, ts)
    if not sequence_accepted(r, e.tick, be32(p + 8), seq):
        return
    if not r.started or r.timed_out & 2:        # the latter: what was told lost is back
        r.started = 1
        add_event(e, EV_RTP_STARTED, slot, e.term[slot].serial, ntohl(source.sin_addr.s_addr), 0, ntohs(source.sin_port))
    r.last_tick = e.tick
    r.timed_out = 0
    n -= header
    p += header
    passes = r.codec != NULL and r.codec.kind == CODEC_PASSED
    if r.codec != NULL and (kind != r.payload_type or n == 0) and seq == r.codec.next:
        r.codec.next = <uint16_t>(seq + 1)          # no audio, but its number is used
    if passes and kind != 13 and n > 0:
        passed_receive(e, r, ts, seq, marker | (PASSED_EVENT if kind == r.dtmf_payload_type else 0), p, n)
    if kind == r.dtmf_payload_type:
        telephone_event(e, slot, r, ts, p, n)
        return
    if kind == 13 or n == 0:           # comfort noise: the pause is filled by us
        return
    # RFC 3550 A.8, by the kernel's time of arrival: the tick would add its own 10 ms.
    transit = <uint32_t>((came_ns if came_ns else e.now_ns) // 125000) - ts
    if r.transit:
        d = <int32_t>(transit - r.transit)
        if d < 0:
            d = -d
        if d < 80000:
            r.jitter_q4 += <uint32_t>d - ((r.jitter_q4 + 8) >> 4)
            if r.jitter_q4 > r.quality.jitter_most_q4:
                r.quality.jitter_most_q4 = r.jitter_q4
    r.transit = transit
    if n > 1920:                       # a packet of over 240 ms of audio is none
        r.garbage += 1
        return
    if passes:
        return
    if r.codec != NULL:
        codec_receive(r, ts, seq, p, n)
        return
    r.quality.packet_samples = n
    if not playout_insert(r, e.tick, ts, p, n):
        quality_thrown(&r.quality, <uint16_t>(r.max_seq - seq))


cdef void rtp_read(Engine_ *e, int slot, Rtp *r) noexcept nogil:
    """Read what has arrived.  One read a tick follows a steady stream of 20 ms
    packets; a leg that had something in the last tick too is emptied."""
    cdef uint8_t octets[RECEIVE_MOST]
    cdef sockaddr_in source
    cdef uint64_t came_ns
    cdef long n
    cdef int i
    for i in range(SWEEP_MOST):
        n = receive_stamped(r.fd, octets, RECEIVE_MOST, &source, &came_ns)
        if n < 0:
            break
        if n > RECEIVE_MOST or not source.sin_port:
            r.garbage += 1
        else:
            rtp_packet(e, slot, r, octets, <int>n, &source, came_ns)
        if e.tick - r.hit_tick > 1:
            break
    r.hit_tick = e.tick


cdef void refused(Engine_ *e, Rtp *r) noexcept nogil:
    """The far end's host, or a router, has sent packets of ours back."""
    count_refusals(e, r, take_refusals(r.fd))


cdef inline void count_refusals(Engine_ *e, Rtp *r, int n) noexcept nogil:
    if n:
        r.send_errors += n
        r.audio.refused += n
        r.audio.refused_tick = e.tick


cdef void find_sockets(Engine_ *e) noexcept nogil:
    """One question to the kernel: which sockets have something.  They are listed by unit, to be read there."""
    cdef long n = poll_sockets_now(e.epoll_fd, e.ready, SOCKETS)
    cdef long i
    cdef int u
    memset(e.ready_from, 0, sizeof(e.ready_from))
    for i in range(n):
        e.ready_from[<uint32_t>e.ready[i].data.u64 // UNIT + 1] += 1
    for u in range(UNITS):
        e.ready_from[u + 1] += e.ready_from[u]
    for i in range(n - 1, -1, -1):
        # The end of each unit's part moves down to its beginning.
        u = <int>(<uint32_t>e.ready[i].data.u64 // UNIT)
        e.ready_from[u + 1] -= 1
        e.ready_at[e.ready_from[u + 1]] = <int32_t>i
    for u in range(UNITS):
        e.ready_from[u] = e.ready_from[u + 1]
    e.ready_from[UNITS] = <int32_t>n if n > 0 else 0


cdef void read_socket(Engine_ *e, epoll_event *v) noexcept nogil:
    cdef int slot = <int><uint32_t>v.data.u64
    if v.data.u64 & OF_UNIT:
        gather_unit(e, slot // UNIT)
        return
    if e.term[slot].kind != RTP:
        return
    if v.events & EPOLLERR:
        refused(e, e.term[slot].rtp)
    if not v.events & EPOLLIN:
        return
    if v.data.u64 & OF_RTCP:
        rtcp_read(e, slot, e.term[slot].rtp)
    else:
        rtp_read(e, slot, e.term[slot].rtp)


cdef void rtp_times(Engine_ *e, int slot, Rtp *r) noexcept nogil:
    """What happens by itself: ends of events, silence, reports."""
    if r.event_active and <int64_t>(e.tick - r.event_tick) > EVENT_END_TICKS:
        end_event(e, slot, r)
    if r.fax != NULL:
        return
    if r.timeout_ticks and not r.timed_out & 1 and e.tick - r.last_tick >= <uint64_t>r.timeout_ticks:
        r.timed_out = 3
        add_event(e, EV_RTP_TIMEOUT, slot, e.term[slot].serial, 0, (e.tick - r.last_tick) * 10, 0)
    if r.audio.watch:
        watch_audio(e, slot, r)
    if e.tick >= r.rtcp.next_tick:
        rtcp_report(e, r, 0)


cdef void rtp_in(Engine_ *e, int slot, Rtp *r, uint8_t *out) noexcept nogil:
    """This tick's octets of a leg; a key press as telephone-event becomes its tone."""
    cdef int32_t slot32 = TERMS + slot, zero = 0, produced = 0
    cdef int16_t x[BLOCK]
    if r.fax != NULL:
        fax_in(e, r, out)
        return
    playout_block(e, slot, r, out)
    if e.tick <= r.mute_until:
        # The sender may have left the key press in the audio too: heard once only.
        e.k.tone_generate(e.tone_table, e.k.tone_state, &slot32, &zero, 1, x, BLOCK, BLOCK, &produced)
        e.k.compress(r.law, x, out, BLOCK)


cdef void rtp_out(Engine_ *e, int slot, Rtp *r, const uint8_t *octets, bundle *b) noexcept nogil:
    """Put 80 octets into the packet being filled and send it when it is full.

    Legs start in different ticks by their slot, so that the load spreads."""
    cdef int size = r.ptime_ticks * BLOCK
    cdef int n, told, payload = size, kind = r.payload_type | (0x80 if r.tx_marker else 0)
    cdef uint32_t ts = r.tx_timestamp
    if r.fax != NULL:
        fax_out(e, r, octets)
        return
    if r.codec != NULL and r.codec.kind == CODEC_PASSED:
        passed_out(e, r, b)
        return
    if r.tx_fill == 0 and (e.tick + <uint64_t>slot) % <uint64_t>r.ptime_ticks != 0 and r.tx_packets == 0:
        return
    if r.codec != NULL:
        payload = codec_fill(e, r, octets, size)
    else:
        memcpy(r.packet + 12 + r.tx_fill, octets, BLOCK)
        r.tx_fill += BLOCK
    if r.tx_fill < size:
        return
    r.tx_fill = 0
    if r.remote.sin_port and r.sending and payload:
        told = key_packet(e, slot, r) if r.keys == BY_EVENT and r.dtmf_payload_type != 255 else 0
        if told:
            payload, kind, ts = 4, r.dtmf_payload_type | (0x80 if told == 2 else 0), r.key_ts
        r.packet[0] = 0x80
        r.packet[1] = <uint8_t>kind
        put16(r.packet + 2, r.tx_seq)
        put32(r.packet + 4, ts)
        put32(r.packet + 8, r.tx_ssrc)
        n = srtp_give(r, r.packet, 12 + payload, 0)
        if n:
            send_packet(e, r, n, b)
        r.tx_seq = <uint16_t>(r.tx_seq + 1)
        r.tx_packets += 1
        r.tx_octets += payload
        r.tx_marker = 0
    else:
        r.tx_marker = 1                # a new spurt begins when sending does
    r.tx_timestamp += <uint32_t>(size if r.codec == NULL else size * r.codec.clock)
