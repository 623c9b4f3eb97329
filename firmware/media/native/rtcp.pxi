# RTCP of one leg: RFC 3550 6 (SR, RR, SDES, BYE), RFC 3611 (VoIP metrics), RFC 5761 (on the RTP port).
# Included by _engine.pyx.
#
# Reports go out each 5 s on average (6.2), spread over half to one and a half of it (6.3.1), the first
# after half the time.  A report from another host than the leg's far end is not looked at; nothing that
# a report says changes where audio goes or ends a call.

cdef enum:
    RTCP_TICKS = 500                   # 5 s, RFC 3550 6.2
    RTCP_MOST = 4                      # datagrams read from one leg in one tick
    UNAVAILABLE = 127                  # RFC 3611 4.7.4


cdef uint64_t rtcp_random(Rtcp *c) noexcept nogil:
    """A number for the spread (splitmix64)."""
    cdef uint64_t x
    c.random += <uint64_t>0x9E3779B97F4A7C15
    x = c.random
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef void rtcp_start(Engine_ *e, Rtp *r) noexcept nogil:
    cdef int i
    cdef uint64_t x
    r.rtcp.random = (<uint64_t>r.tx_ssrc << 32) ^ r.tx_timestamp ^ e.now_ns
    x = rtcp_random(&r.rtcp)
    for i in range(12):                # RFC 7022: a name that tells nothing about the machine
        r.rtcp.cname[i] = b"0123456789abcdefghijklmnopqrstuvwxyz"[x % 36]
        x //= 36
    r.rtcp.far_r = UNAVAILABLE
    r.rtcp.far_mos_lq = r.rtcp.far_mos_cq = UNAVAILABLE
    r.rtcp.next_tick = e.tick + RTCP_TICKS // 4 + rtcp_random(&r.rtcp) % (RTCP_TICKS // 2)


cdef inline uint64_t ntp(uint64_t ns) noexcept nogil:
    """NTP time stamp (RFC 3550 4), seconds from 1900, of CLOCK_REALTIME."""
    return ((ns // 1000000000 + <uint64_t>2208988800UL) << 32) | (((ns % 1000000000) << 32) // 1000000000)


cdef inline void put64(uint8_t *p, uint64_t v) noexcept nogil:
    put32(p, <uint32_t>(v >> 32))
    put32(p + 4, <uint32_t>v)


cdef inline uint32_t tenths(double mos) noexcept nogil:
    return <uint32_t>(mos * 10 + 0.5)


cdef inline uint32_t most(double value, uint32_t highest) noexcept nogil:
    return highest if value > highest else <uint32_t>(value + 0.5) if value > 0 else 0


cdef uint8_t *put_voip_metrics(Rtp *r, uint8_t *p) noexcept nogil:
    """RFC 3611 4.7: what arrives here, whole life of the leg.  Returns the end."""
    cdef Quality q = quality_now(&r.quality)
    cdef double with_delay = heard_here(r, &q, 1), alone = heard_here(r, &q, 0)
    cdef double packet_ms = q.packet_samples / 8.0
    cdef uint64_t gap = q.packets - q.burst_packets
    cdef int32_t held = <int32_t>(r.newest_ts - r.play_ts) if r.playing else 0
    memset(p, 0, 44)
    p[0] = 0x80
    p[1] = 207
    put16(p + 2, 10)
    put32(p + 4, r.tx_ssrc)
    p[8] = 7
    put16(p + 10, 8)
    put32(p + 12, r.ssrc)
    if q.packets:
        p[16] = <uint8_t>most(256.0 * q.lost / q.packets, 255)
        p[17] = <uint8_t>most(256.0 * q.discarded / q.packets, 255)
    if q.burst_packets:
        p[18] = <uint8_t>most(256.0 * q.burst_bad / q.burst_packets, 255)
        put16(p + 20, most(packet_ms * q.burst_packets / q.bursts, 65535))
    if gap:
        p[19] = <uint8_t>most(256.0 * q.gap_bad / gap, 255)
        put16(p + 22, most(packet_ms * gap / (q.bursts + 1), 65535))
    put16(p + 24, most(r.rtcp.trip_us / 1000.0, 65535))
    put16(p + 26, most(mean_delay_ms(r) + HOUSE_MS + packet_ms, 65535))
    p[28] = p[29] = p[30] = UNAVAILABLE
    p[31] = GMIN
    p[32] = UNAVAILABLE if with_delay < 0 else <uint8_t>most(with_delay, 100)
    p[33] = UNAVAILABLE
    p[34] = UNAVAILABLE if alone < 0 else <uint8_t>tenths(opinion(alone))
    p[35] = UNAVAILABLE if with_delay < 0 else <uint8_t>tenths(opinion(with_delay))
    p[36] = 0xB0                       # enhanced concealment (2), adaptive buffer (3); its rate is not said
    put16(p + 38, r.jitter_samples // 8)
    put16(p + 40, most(held / 8.0, 65535))
    put16(p + 42, (JITTER_RING - 800) // 8)
    return p + 44


cdef void rtcp_report(Engine_ *e, Rtp *r, int bye) noexcept nogil:
    """Send SR or RR, CNAME, VoIP metrics, and BYE when the leg ends."""
    cdef uint8_t p[256 + 144]
    cdef int n
    cdef sockaddr_in to
    cdef uint8_t *q
    cdef uint64_t expected, extended, now
    cdef int64_t lost, lost_now, expected_now
    cdef int blocks = 1 if r.started else 0
    r.rtcp.next_tick = e.tick + RTCP_TICKS // 2 + rtcp_random(&r.rtcp) % RTCP_TICKS
    if r.rtcp_fd < 0 or not (r.remote.sin_port or r.rtcp.source.sin_port) or not (r.tx_packets or blocks):
        return
    now = clock_ns(CLOCK_REALTIME)
    memset(p, 0, sizeof(p))
    p[0] = 0x80 | blocks
    put32(p + 4, r.tx_ssrc)
    q = p + 8
    if r.tx_packets != r.rtcp.tx_prior:            # 6.4: a sender since its last reports
        p[1] = 200
        put64(q, ntp(now))
        put32(q + 8, r.tx_timestamp + <uint32_t>(r.tx_fill if r.codec == NULL else r.tx_fill * r.codec.clock))
        put32(q + 12, <uint32_t>r.tx_packets)
        put32(q + 16, <uint32_t>r.tx_octets)
        q += 20
    else:
        p[1] = 201
    r.rtcp.tx_prior = r.tx_packets
    if blocks:
        extended = r.cycles + r.max_seq
        expected = extended - r.base_seq + 1
        lost = <int64_t>expected - <int64_t>r.received
        lost = -0x800000 if lost < -0x800000 else 0x7FFFFF if lost > 0x7FFFFF else lost
        expected_now = <int64_t>(expected - r.expected_prior)
        lost_now = expected_now - <int64_t>(r.received - r.received_prior)
        r.expected_prior = expected
        r.received_prior = r.received
        put32(q, r.ssrc)
        put32(q + 4, <uint32_t>(lost & 0xFFFFFF))
        q[4] = <uint8_t>((lost_now << 8) // expected_now if lost_now < expected_now else 255) if expected_now > 0 and lost_now > 0 else 0
        put32(q + 8, <uint32_t>extended)
        put32(q + 12, (r.jitter_q4 >> 4) * <uint32_t>(1 if r.codec == NULL else r.codec.clock))
        if r.rtcp.sr_middle:
            put32(q + 16, r.rtcp.sr_middle)
            put32(q + 20, <uint32_t>(((now - r.rtcp.sr_ns) << 16) // 1000000000) if now > r.rtcp.sr_ns else 0)
        q += 24
    put16(p + 2, <uint32_t>((q - p) // 4 - 1))
    q[0] = 0x81                        # SDES, one chunk: CNAME and its end
    q[1] = 202
    put16(q + 2, 5)
    put32(q + 4, r.tx_ssrc)
    q[8] = 1
    q[9] = 12
    memcpy(q + 10, r.rtcp.cname, 12)
    q += 24
    if blocks and not bye:
        q = put_voip_metrics(r, q)
    if bye:
        q[0] = 0x81
        q[1] = 203
        put16(q + 2, 1)
        put32(q + 4, r.tx_ssrc)
        q += 8
    if r.rtcp.source.sin_port:
        to = r.rtcp.source
    else:
        to = r.remote
        if not r.rtcp.mux:
            to.sin_port = htons(r.rtcp.port if r.rtcp.port else <uint16_t>(ntohs(to.sin_port) + 1))
    n = srtp_give(r, p, <int>(q - p), 1)
    if n and sendto(r.fd if r.rtcp.mux else r.rtcp_fd, p, n, MSG_DONTWAIT, <sockaddr *>&to, sizeof(sockaddr_in)) > 0:
        r.rtcp.sent += 1


cdef int rtcp_valid(const uint8_t *p, int n) noexcept nogil:
    """RFC 3550 A.2: version, kind of the first, padding only in the last, lengths that add up."""
    cdef int at = 0, length
    if n < 8 or n & 3 or p[1] not in (200, 201) or p[0] & 0x20 and ((be16(p + 2) + 1) << 2) != <uint32_t>n:
        return 0
    while at < n:
        if n - at < 4 or p[at] >> 6 != 2:
            return 0
        length = <int>((be16(p + at + 2) + 1) << 2)
        if length > n - at or (p[at] & 0x20 and at + length != n):
            return 0
        at += length
    return 1


cdef void rtcp_packet(Engine_ *e, int slot, Rtp *r, uint8_t *p, int n, sockaddr_in *source,
                      uint64_t came_ns) noexcept nogil:
    """One compound packet."""
    cdef int length, count, i
    cdef const uint8_t *q
    cdef const uint8_t *end
    cdef uint32_t host = r.source.sin_addr.s_addr if r.source.sin_port else r.remote.sin_addr.s_addr
    if not host or source.sin_addr.s_addr != host:
        r.strangers += 1
        return
    n = srtp_take(r, p, n, 1)
    if n < 0:
        return
    end = p + n
    if not rtcp_valid(p, n):
        r.rtcp.bad += 1
        return
    if came_ns == 0:
        came_ns = clock_ns(CLOCK_REALTIME)
    r.rtcp.source = source[0]
    r.rtcp.received += 1
    if r.rtcp.heard == 0:
        r.rtcp.heard = 1
    while p < end:
        length = <int>((be16(p + 2) + 1) << 2)
        count = p[0] & 31
        q = p + 8
        if p[1] == 200 and length >= 28:
            rtcp_sender(e, r, p, came_ns)
            q = p + 28
        if p[1] in (200, 201):
            for i in range(count):
                if q + 24 > p + length:
                    r.rtcp.bad += 1
                    break
                if be32(q) == r.tx_ssrc:
                    rtcp_about_us(e, r, q, came_ns)
                q += 24
            if count == 0 and e.tick - r.audio.since_tick > WATCH_TICKS and r.audio.watch & TO_FAR:
                r.rtcp.far_deaf += 1       # it has nobody to report about, though we have been sending for seconds
        elif p[1] == 203:
            for i in range(count):
                if 8 + 4 * i <= length and be32(p + 4 + 4 * i) == r.ssrc and r.started:
                    r.rtcp.bye = 1
        elif p[1] == 207:
            rtcp_extended(r, p, length)
        p += length


cdef void rtcp_sender(Engine_ *e, Rtp *r, const uint8_t *p, uint64_t came_ns) noexcept nogil:
    """The far end's own figures (6.4.1)."""
    cdef uint32_t packets = be32(p + 20)
    r.rtcp.sr_middle = be32(p + 10)
    r.rtcp.sr_ns = came_ns
    r.rtcp.sr_tick = e.tick
    r.rtcp.far_sends = <int32_t>(packets - r.rtcp.far_packets) > 0
    r.rtcp.far_packets = packets


cdef void rtcp_about_us(Engine_ *e, Rtp *r, const uint8_t *q, uint64_t came_ns) noexcept nogil:
    """A report block whose source is us: loss, jitter, and the round trip (6.4.1)."""
    cdef uint32_t highest = be32(q + 8), echo = be32(q + 16), late = be32(q + 20), trip
    cdef uint64_t us
    cdef int32_t lost = <int32_t>(be32(q + 4) & 0xFFFFFF)
    if lost & 0x800000:
        lost -= 0x1000000
    if r.rtcp.heard < 2:
        r.rtcp.heard = 2
        r.rtcp.far_first = highest - <uint32_t>(lost if lost > 0 else 0)
        if r.tx_packets < 65536 and <uint16_t>r.tx_seq - r.tx_packets <= (highest & 0xFFFF):
            r.rtcp.far_first = highest - ((highest & 0xFFFF) - <uint16_t>(r.tx_seq - r.tx_packets))
        r.rtcp.far_deaf = 0
    elif r.tx_packets - r.rtcp.far_tx_prior >= 50 and highest == r.rtcp.far_highest:
        r.rtcp.far_deaf += 1           # a second of ours and more has gone nowhere
    elif highest != r.rtcp.far_highest:
        r.rtcp.far_deaf = 0
    r.rtcp.far_tx_prior = r.tx_packets
    r.rtcp.far_lost = lost
    r.rtcp.far_fraction = q[4]
    r.rtcp.far_highest = highest
    r.rtcp.far_jitter = be32(q + 12)
    if echo == 0:
        return
    trip = <uint32_t>(ntp(came_ns) >> 16) - echo - late
    if <int32_t>trip < 0:
        trip = 0                       # clocks of different steps: less than nothing is nothing
    us = (<uint64_t>trip * 1000000) >> 16
    if us > 60000000:
        return                         # a minute is none, but a far end that cannot reckon
    r.rtcp.trip_us = <uint32_t>us
    if not r.rtcp.trips or us < r.rtcp.trip_least_us:
        r.rtcp.trip_least_us = <uint32_t>us
    if us > r.rtcp.trip_most_us:
        r.rtcp.trip_most_us = <uint32_t>us
    r.rtcp.trip_sum_us += us
    r.rtcp.trip_last_us[r.rtcp.trips % 5] = <uint32_t>us
    r.rtcp.trips += 1


cdef void rtcp_extended(Rtp *r, const uint8_t *p, int length) noexcept nogil:
    """The far end's VoIP metrics about us; other blocks are passed over."""
    cdef int at = 8, size
    while at + 4 <= length:
        size = <int>((be16(p + at + 2) + 1) << 2)
        if size > length - at:
            r.rtcp.bad += 1
            return
        if p[at] == 7 and size == 36 and be32(p + at + 4) == r.tx_ssrc:
            r.rtcp.far_r = p[at + 24]
            r.rtcp.far_mos_lq = p[at + 26]
            r.rtcp.far_mos_cq = p[at + 27]
        at += size


cdef void rtcp_read(Engine_ *e, int slot, Rtp *r) noexcept nogil:
    cdef uint8_t octets[RECEIVE_MOST]
    cdef sockaddr_in source
    cdef uint64_t came_ns
    cdef long n
    cdef int i
    for i in range(RTCP_MOST):
        n = receive_stamped(r.rtcp_fd, octets, RECEIVE_MOST, &source, &came_ns)
        if n < 0:
            return
        if n > RECEIVE_MOST or not source.sin_port:
            r.rtcp.bad += 1
        else:
            rtcp_packet(e, slot, r, octets, <int>n, &source, came_ns)
