# How well one RTP leg is heard: losses as they fell, R-factor and MOS.
# Included by _engine.pyx.  RFC 3611 4.7 (bursts and gaps), ITU-T G.107 (06/2015), G.113 Appendix I (05/2007).
#
# A number's fate is decided when it leaves the window of 64: until then a packet that
# was overtaken may still come.  Lost: it never came.  Discarded: it came when its
# time was over.  Both are bad; the others are good.
#
# R = 93.2 - Id - Ie,eff with all of G.107's defaults (quiet rooms, ordinary telephones, echo well cancelled):
# Id is Idd, the delay alone (7-27); Ie,eff the loss (7-29) with Ie 0 and Bpl 25.1 of G.711 with
# concealment.  BurstR is measured: the mean run of losses over that of random loss of the same share.

from libc.math cimport log10, pow

cdef enum:
    GMIN = 16                          # RFC 3611 4.7.2: good packets that end a burst
    WINDOW = 64
    PACKETS_LEAST = 50                 # ours: one second; fewer say nothing
    HOUSE_MS = 20                      # ours: the way through the box, both windows of 10 ms


cdef inline void quality_decide(Quality *q, int came, int thrown) noexcept nogil:
    cdef int bad = not came or thrown
    q.packets += 1
    if not came:
        q.lost += 1
        if not q.in_run:
            q.runs += 1
    elif thrown:
        q.discarded += 1
        if not q.in_run:
            q.runs += 1
    q.in_run = bad
    if not bad:
        q.since += 1
        return
    if q.burst_now == 0 or q.since >= GMIN:
        quality_close(q)
        q.burst_now = q.burst_bad_now = 1
    else:
        q.burst_now += q.since + 1
        q.burst_bad_now += 1
    q.since = 0


cdef inline void quality_close(Quality *q) noexcept nogil:
    """The cluster of bad packets is over: several are a burst, a lonely one belongs to the gap."""
    if q.burst_bad_now > 1:
        q.bursts += 1
        q.burst_packets += q.burst_now
        q.burst_bad += q.burst_bad_now
    elif q.burst_bad_now == 1:
        q.gap_bad += 1
    q.burst_now = q.burst_bad_now = 0


cdef void quality_restart(Quality *q) noexcept nogil:
    """A new source: what was counted stays, the numbers begin anew."""
    q.seen = 1
    q.thrown = 0
    q.pending = 1


cdef void quality_advance(Quality *q, int ahead) noexcept nogil:
    """The newest number is now `ahead` further on, and has come."""
    cdef int i
    for i in range(ahead):
        if q.pending == WINDOW:
            quality_decide(q, q.seen >> (WINDOW - 1), <int>(q.thrown >> (WINDOW - 1)))
        else:
            q.pending += 1
        q.seen <<= 1
        q.thrown <<= 1
    q.seen |= 1


cdef inline void quality_came(Quality *q, int behind) noexcept nogil:
    q.seen |= (<uint64_t>1) << behind


cdef inline void quality_thrown(Quality *q, int behind) noexcept nogil:
    if behind < WINDOW:
        q.thrown |= (<uint64_t>1) << behind


cdef Quality quality_now(const Quality *running) noexcept nogil:
    """The counts with everything in the window decided, as if the stream ended here."""
    cdef Quality q = running[0]
    cdef int i
    for i in range(q.pending - 1, -1, -1):
        quality_decide(&q, <int>(q.seen >> i & 1), <int>(q.thrown >> i & 1))
    q.pending = 0
    quality_close(&q)
    return q


cdef double delay_impairment(double ms) noexcept nogil:
    """Idd of a one-way delay (G.107 7-27)."""
    cdef double x
    if ms <= 100:
        return 0
    x = log10(ms / 100) / log10(2.0)
    return 25 * (pow(1 + pow(x, 6), 1 / 6.0) - 3 * pow(1 + pow(x / 3, 6), 1 / 6.0) + 2)


cdef double rating(double bad_share, double burst_ratio, double delay_ms, double ie, double bpl) noexcept nogil:
    """R.  bad_share: 0 to 1, lost and discarded; burst_ratio: BurstR, 1 for random loss; delay_ms: mouth to ear."""
    cdef double ppl = 100 * bad_share
    cdef double effective = ie + (95 - ie) * ppl / (ppl / burst_ratio + bpl) if ppl > 0 else ie
    cdef double r = 93.2 - delay_impairment(delay_ms) - effective
    return 0 if r < 0 else r


cdef double opinion(double r) noexcept nogil:
    """MOS-CQE of R (G.107 Annex B)."""
    if r <= 0:
        return 1
    if r >= 100:
        return 4.5
    r = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6
    return 1 if r < 1 else r


cdef double burst_ratio(const Quality *q) noexcept nogil:
    """Mean run of bad packets over that of random loss, at least 1."""
    cdef double bad = <double>(q.lost + q.discarded), ratio
    if not q.runs or not q.packets:
        return 1
    ratio = bad / q.runs * (1 - bad / q.packets)
    return ratio if ratio > 1 else 1


cdef void codec_impairment(const Rtp *r, double *ie, double *bpl) noexcept nogil:
    """Ie and Bpl of a codec: G.113 Appendix I, tables I.1 (G.726 at 32 kbit/s: 7) and I.4 (G.711 with concealment of its Appendix I, which works on
    whatever was decoded here; what is passed on is G.729, whose row is that of G.729-A with VAD).  G.722 and Opus are 8 kHz here: supposed as good as G.711."""
    ie[0] = 7 if r.codec != NULL and r.codec.kind == CODEC_G726 else 0
    bpl[0] = 25.1
    if r.codec != NULL and r.codec.kind == CODEC_PASSED:
        ie[0] = 11
        bpl[0] = 19.0


cdef double mean_delay_ms(const Rtp *r) noexcept nogil:
    """In the playout buffer, over the life of the leg."""
    return r.quality.delay_sum / 8.0 / r.quality.delay_count if r.quality.delay_count else r.jitter_samples / 8.0


cdef double one_way_ms(const Rtp *r) noexcept nogil:
    """Half of the round trip: the median of the last five, so that one report that lay about somewhere does not count; 0 without."""
    cdef uint32_t value[5]
    cdef uint32_t held
    cdef int n = 5 if r.rtcp.trips > 5 else <int>r.rtcp.trips
    cdef int i, j
    if n == 0:
        return 0
    for i in range(n):
        held = r.rtcp.trip_last_us[i]
        j = i
        while j > 0 and value[j - 1] > held:
            value[j] = value[j - 1]
            j -= 1
        value[j] = held
    return value[(n - 1) // 2] / 2000.0


cdef double heard_here(const Rtp *r, const Quality *q, int with_delay) noexcept nogil:
    """R of what this leg's far end says, as it is heard here; -1: too little came."""
    cdef double ie, bpl, ms = 0
    if q.packets < PACKETS_LEAST:
        return -1
    codec_impairment(r, &ie, &bpl)
    if with_delay:
        ms = one_way_ms(r) + mean_delay_ms(r) + HOUSE_MS + q.packet_samples / 8.0
    return rating(<double>(q.lost + q.discarded) / q.packets, burst_ratio(q), ms, ie, bpl)


cdef double heard_there(const Rtp *r) noexcept nogil:
    """R of what we say, as the far end's reports of loss and the round trip tell; -1: no report.

    Its playout delay is not reported: 40 ms are supposed."""
    cdef double ie, bpl, expected, share
    if r.rtcp.heard < 2:
        return -1
    expected = <double>(r.rtcp.far_highest - r.rtcp.far_first) + 1
    if expected < PACKETS_LEAST:
        return -1
    share = r.rtcp.far_lost / expected if r.rtcp.far_lost > 0 else 0
    if share > 1:
        share = 1
    codec_impairment(r, &ie, &bpl)
    return rating(share, 1, one_way_ms(r) + 40 + HOUSE_MS + r.ptime_ticks * 10, ie, bpl)
