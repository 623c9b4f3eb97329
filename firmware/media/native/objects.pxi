# What the command thread owns and the tick reads: RTP legs, playlists, windows.
# Included by _engine.pyx.  Each object must outlive the command that took it away.

cdef class RtpLeg:
    """Memory of one RTP leg, owned by the command thread."""

    cdef Rtp *r

    def __cinit__(self, int fd, int rtcp_fd, int payload_type, int sequence, timestamp, ssrc, local=None, int raw_fd=-1):
        """sequence, timestamp, ssrc: random start values (RFC 3550 5.1); local: (IPv4 address as int, port) of fd, and
        raw_fd: a raw socket bound to its address, which stays the caller's (ports.py)."""
        self.r = <Rtp *>take_piece(sizeof(Rtp))
        if self.r == NULL:
            raise MemoryError("media: no memory for one more RTP leg")
        self.r.fd = fd
        self.r.rtcp_fd = rtcp_fd
        self.r.raw_fd = raw_fd
        self.r.law = 1 if payload_type == 0 else 0
        self.r.payload_type = payload_type
        self.r.dtmf_payload_type = 255
        self.r.event_clock = 8
        self.r.ptime_ticks = 2
        self.r.jitter_samples = 320
        self.r.most_samples = 1600
        self.r.latch = 1
        self.r.sending = 1
        self.r.tx_marker = 1
        self.r.plc_left = -1
        self.r.tx_seq = sequence & 0xFFFF
        self.r.tx_timestamp = timestamp
        self.r.tx_ssrc = ssrc
        if local is not None:
            self.r.local.sin_addr.s_addr = htonl(local[0])
            self.r.local.sin_port = htons(local[1])

    def __dealloc__(self):
        give_piece(self.r)

    def stats(self):
        """Counters for the audit."""
        cdef Rtp *r = self.r
        cdef uint64_t expected = r.cycles + r.max_seq - r.base_seq + 1 if r.started else 0
        return {"received": r.received, "lost": max(0, <int64_t>expected - <int64_t>r.received),
                "late": r.late, "duplicates": r.duplicates, "reordered": r.reordered, "garbage": r.garbage,
                "strangers": r.strangers, "resyncs": r.resyncs, "concealed_samples": r.concealed, "waiting_samples": r.expanded if r.playing else 0,
                "inserted_samples": r.inserted, "removed_samples": r.removed,
                "skipped_samples": r.skipped,
                "jitter_ms": round((r.jitter_q4 >> 4) / 8, 2),
                "delay_ms": max(0, <int32_t>(r.newest_ts - r.play_ts)) // 8 if r.playing else 0,
                "sent": r.tx_packets, "send_errors": r.send_errors, "rtcp_received": r.rtcp.received,
                "rtcp_sent": r.rtcp.sent, "rtcp_bad": r.rtcp.bad,
                "remote": address_of(&r.remote), "source": address_of(&r.source), "ssrc": r.tx_ssrc,
                "send_law": "U" if r.law else "A",
                "srtp_refused": r.srtp_refused}

    def quality(self):
        """How the far end was heard ("in"), how it heard us by its own reports ("out", None without), the round trip.

        R and MOS: native/quality.pxi; None where too little came.  Shares are of 1, times in ms."""
        cdef Rtp *r = self.r
        cdef Quality q = quality_now(&r.quality)
        cdef double here = heard_here(r, &q, 1), there = heard_there(r)
        cdef double expected = <double>(r.rtcp.far_highest - r.rtcp.far_first) + 1
        trips = r.rtcp.trips
        return {
            "in": {"packets": q.packets, "lost": q.lost, "discarded": q.discarded, "duplicates": r.duplicates,
                   "reordered": r.reordered, "bursts": q.bursts, "burst_ratio": round(burst_ratio(&q), 2),
                   "jitter_ms": round((r.jitter_q4 >> 4) / 8, 2), "jitter_most_ms": round((r.quality.jitter_most_q4 >> 4) / 8, 2),
                   "delay_ms": round(mean_delay_ms(r), 1), "concealed_ms": r.concealed // 8,
                   "srtp_refused": r.srtp_refused, "garbage": r.garbage, "strangers": r.strangers,
                   "r": None if here < 0 else round(here, 1), "mos": None if here < 0 else round(opinion(here), 2)},
            "out": None if r.rtcp.heard < 2 else {
                   "packets": r.tx_packets, "lost": r.rtcp.far_lost, "lost_share": round(max(0, r.rtcp.far_lost) / max(1, expected), 4),
                   "jitter_ms": round(r.rtcp.far_jitter / 8, 2), "r": None if there < 0 else round(there, 1),
                   "mos": None if there < 0 else round(opinion(there), 2),
                   "far_r": None if r.rtcp.far_r > 100 else r.rtcp.far_r,
                   "far_mos": None if r.rtcp.far_mos_cq > 50 else r.rtcp.far_mos_cq / 10},
            "round_trip_ms": None if not trips else {
                   "mean": round(r.rtcp.trip_sum_us / trips / 1000, 2), "least": round(r.rtcp.trip_least_us / 1000, 2),
                   "most": round(r.rtcp.trip_most_us / 1000, 2)},
            "rtcp": {"sent": r.rtcp.sent, "received": r.rtcp.received, "bad": r.rtcp.bad, "bye": bool(r.rtcp.bye)}}


cdef class RtpCodec:
    """Coders of one RTP leg, owned by the command thread.  name: of CODECS."""

    cdef Codec *c
    cdef readonly str name

    def __cinit__(self, str name):
        kind, packing, clock = CODECS[name]
        self.name = name
        self.c = <Codec *>calloc(1, sizeof(Codec))
        if self.c == NULL:
            raise MemoryError("media: no memory for a codec")
        self.c.kind, self.c.packing, self.c.clock = kind, packing, clock
        if kind == CODEC_OPUS:
            self.c.encoder = <OpusEncoder *>calloc(1, opus_encoder_get_size(1))
            self.c.decoder = <OpusDecoder *>calloc(1, opus_decoder_get_size(1))
            if self.c.encoder == NULL or self.c.decoder == NULL:
                raise MemoryError("media: no memory for Opus")
            if opus_encoder_init(self.c.encoder, 8000, 1, OPUS_APPLICATION_VOIP) != OPUS_OK or opus_decoder_init(self.c.decoder, 8000, 1) != OPUS_OK \
                    or opus_set_up(self.c.encoder, OPUS_BITS, OPUS_LOSS, OPUS_EFFORT) != OPUS_OK:
                raise LocalError("media: the Opus library refuses its settings")

    def __dealloc__(self):
        if self.c != NULL:
            free(self.c.encoder)
            free(self.c.decoder)
            free(self.c)

    def stats(self):
        """Samples that were recovered from the packet after, packets that were no speech of this codec."""
        return {"codec": self.name, "recovered_samples": self.c.recovered, "failed_packets": self.c.failed, **({"passed": self.c.passed} if self.passes else {})}

    @property
    def passes(self):
        """Whether it is only passed on."""
        return self.c.kind == CODEC_PASSED

    def cost_ns(self, Engine engine, packets):
        """Processor time of one packet of 20 ms both ways, alone; engine lends its kernels and their last slot, so only before the tick runs."""
        cdef int16_t x[320]
        cdef uint8_t octets[480]
        cdef int32_t slot = TERMS - 1, zero = 0
        cdef int i, j, n = 0, count = packets
        cdef uint64_t began
        cdef Kernels *k = &engine.e.k
        if self.passes:
            return 0
        for i in range(320):
            x[i] = <int16_t>(8000 * sin(i * 0.3) + 3000 * sin(i * i * 0.01))
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        for i in range(count):
            if self.c.kind == CODEC_OPUS:
                n = opus_encode(self.c.encoder, x, 160, octets, 480)
                opus_decode(self.c.decoder, octets, n, x, 320, 0)
            else:
                for j in range(2):
                    if self.c.kind == CODEC_G722:
                        k.g722_encode(0, k.g722_state, &slot, x, 320, &zero, octets, 480, &zero, 1, 160)
                        k.g722_decode(0, 1, k.g722_state, &slot, octets, 480, &zero, x, 320, &zero, 1, 160)
                    else:
                        k.g726_encode(4, self.c.packing, k.g726_state, &slot, x, 320, &zero, octets, 480, &zero, 1, 80)
                        k.g726_decode(4, self.c.packing, k.g726_state, &slot, octets, 480, &zero, x, 320, &zero, 1, 80)
        return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - began) // <uint64_t>count


def emodel(double bad_share, double ratio=1, double delay_ms=0, double ie=0, double bpl=25.1):
    """(R, MOS) as the engine reckons them: native/quality.pxi."""
    cdef double r = rating(bad_share, ratio, delay_ms, ie, bpl)
    return r, opinion(r)


cdef address_of(sockaddr_in *a):
    cdef uint32_t host = ntohl(a.sin_addr.s_addr)
    if a.sin_port == 0:
        return None
    return [f"{host >> 24}.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}", ntohs(a.sin_port)]


cdef class Playout:
    """One playout buffer alone, in time that the caller counts: for tests and for
    judging a setting on a recorded arrival pattern.  engine lends its kernels only."""

    cdef Engine engine
    cdef RtpLeg leg
    cdef int slot

    def __cinit__(self, Engine engine, RtpLeg leg, int slot, int jitter_ms=40, int most_ms=200):
        self.engine, self.leg, self.slot = engine, leg, slot
        leg.r.jitter_samples = jitter_ms * 8
        leg.r.most_samples = most_ms * 8
        if engine.e.tick == 0:
            engine.e.tick = 1           # no key press mutes from the start

    def insert(self, timestamp, bytes octets):
        """A packet has come."""
        playout_insert(self.leg.r, 1, <uint32_t>(timestamp & 0xFFFFFFFF), <const uint8_t *><char *>octets, len(octets))

    @property
    def position(self):
        """Timestamp of what comes next, None while nothing plays."""
        return self.leg.r.play_ts if self.leg.r.playing else None

    def block(self):
        """The next 80 octets."""
        cdef uint8_t out[BLOCK]
        playout_block(self.engine.e, self.slot, self.leg.r, out)
        return (<char *>out)[:BLOCK]


cdef class Playlist:
    """Items as the tick reads them.  items: [(kind, law, length, object, tone)] with
    kind "law" (uint8 array), "linear" (int16 array), "tone" (table array), "silence" (None), "stream" (Engine.stream_address);
    length in samples, -1: until the tone ends.  The objects are kept alive."""

    cdef Item *items
    cdef int n
    cdef object keep
    cdef void *stretch                  # state of dsp/wsola.py, once another speed was wanted

    def __cinit__(self, items):
        cdef int i
        kinds = {"law": ITEM_LAW, "linear": ITEM_LINEAR, "tone": ITEM_TONE, "silence": ITEM_SILENCE, "stream": ITEM_STREAM}
        self.items = <Item *>calloc(len(items) + 1, sizeof(Item))
        if self.items == NULL:
            raise MemoryError("media: no memory for a playlist")
        self.n = len(items)
        self.keep = [item[3] for item in items]
        for i, (kind, law, length, array, tone) in enumerate(items):
            self.items[i].kind = kinds[kind]
            self.items[i].law = law
            self.items[i].length = length
            self.items[i].tone = tone
            if kind == "stream":
                self.items[i].data = <const uint8_t *><uintptr_t>array
            elif array is not None:
                self.items[i].data = <const uint8_t *><uintptr_t>array.ctypes.data

    cdef void *stretched(self) except NULL:
        if self.stretch == NULL:
            self.stretch = calloc(1, STRETCH)
            if self.stretch == NULL:
                raise MemoryError("media: no memory for another speed")
        return self.stretch

    def __dealloc__(self):
        free(self.items)
        free(self.stretch)


cdef class BoardWindow:
    """Pointers into a mapped window.  window: drivers.tdm.ring.Window, kept alive."""

    cdef Window w
    cdef readonly object window

    def __cinit__(self, window=None):
        cdef uint8_t *base
        memset(&self.w, 0, sizeof(Window))
        self.window = window
        if window is None:
            return
        base = <uint8_t *><uintptr_t>window.address
        at = window.offsets
        self.w.base = base
        self.w.rx_head = <uint64_t *>(base + <int>at["rx_head"])
        self.w.tx_head = <uint64_t *>(base + <int>at["tx_head"])
        self.w.tx_written = <uint64_t *>(base + <int>at["tx_written"])
        self.w.generation = <uint32_t *>(base + <int>at["generation"])
        self.w.idle_code = <uint32_t *>(base + <int>at["idle_code"])
        self.w.span_idle = base + <int>at["span_idle"]
        self.w.magic = <uint32_t *>(base + <int>at["magic"])
        self.w.rx = base + <int>at["rx"]
        self.w.tx = base + <int>at["tx"]
        self.w.cas_rx = base + <int>at["cas_rx"]
        self.w.cas_tx = base + <int>at["cas_tx"]
        self.w.ring_frames = window.ring_frames
        self.w.spans = window.spans


cdef BoardWindow NO_WINDOW = BoardWindow()
