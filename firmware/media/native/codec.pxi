# RTP in other codecs than G.711: G.722, G.726 at 32 kbit/s (both packings of RFC 3551 4.5.4), Opus (RFC 7587).
# Included by _engine.pyx.
#
# The switch is one of A-law octets at 8 kHz: what comes is decoded before the playout buffer, in the order of its
# sequence numbers, and what goes out is coded after the mix.  Packets wait in a place by their number until their
# turn; one that is missing is given up when what follows it is due within GIVE_UP samples, and then
# concealed by the playout as any loss (Opus: by what its successor carries of it, RFC 6716 2.1.7).  G.722 and G.726 are
# coded 10 ms at a time, all legs of a unit side by side (dsp/_g722.pyx, _g726.pyx); Opus leg by leg, at 8 kHz.
# Between 8 and 16 kHz (G.722) lies a half-band filter of 47 taps.

cdef extern from "opus/opus.h" nogil:
    ctypedef struct OpusEncoder:
        pass
    ctypedef struct OpusDecoder:
        pass
    enum: OPUS_APPLICATION_VOIP
    enum: OPUS_OK
    int opus_encoder_get_size(int)
    int opus_decoder_get_size(int)
    int opus_encoder_init(OpusEncoder *, int, int, int)
    int opus_decoder_init(OpusDecoder *, int, int)
    int opus_encode(OpusEncoder *, const int16_t *, int, uint8_t *, int32_t)
    int opus_decode(OpusDecoder *, const uint8_t *, int32_t, int16_t *, int, int)
    int opus_packet_get_nb_samples(const uint8_t *, int32_t, int32_t)

cdef extern from *:
    """
    #include <math.h>
    #include <opus/opus.h>
    /* What the encoder is told: speech, loss that is answered by what a packet carries of the one before, effort. */
    static int opus_set_up(OpusEncoder *e, int bits_a_second, int loss_percent, int effort)
    {
        return opus_encoder_ctl(e, OPUS_SET_BITRATE(bits_a_second)) | opus_encoder_ctl(e, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE))
             | opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(1)) | opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(loss_percent))
             | opus_encoder_ctl(e, OPUS_SET_COMPLEXITY(effort));
    }
    enum { BAND_HALF = 23, BAND_ODD = 24 };
    static float band_taps[BAND_ODD];          /* the taps at odd places, -23 to 23; the others are 0 but for the middle's 1/2 */
    static double bessel0(double x)
    { double s = 1, t = 1; for (int k = 1; k < 30; k++) { t *= x / (2 * k) * (x / (2 * k)); s += t; } return s; }
    static void make_band(void)
    {
        double sum = 0;
        for (int i = 0; i < BAND_ODD; i++) {
            double n = 2 * i - BAND_HALF, w = n / BAND_HALF;
            band_taps[i] = sin(M_PI * n / 2) / (M_PI * n) * bessel0(5 * sqrt(1 - w * w)) / bessel0(5);
            sum += band_taps[i];
        }
        for (int i = 0; i < BAND_ODD; i++) band_taps[i] *= 0.5 / sum;
    }
    static int16_t rounded(float x)
    { x = x > 32767 ? 32767 : x < -32768 ? -32768 : x; return (int16_t)lrintf(x); }
    /* 80 samples to 160; before: the 23 that preceded. */
    static void band_up(int16_t *before, const int16_t *x, int16_t *y)
    {
        int16_t w[BAND_ODD - 1 + 80];
        memcpy(w, before, sizeof(int16_t) * (BAND_ODD - 1));
        memcpy(w + BAND_ODD - 1, x, 160);
        for (int i = 0; i < 80; i++) {
            float s = 0;
            for (int k = 0; k < BAND_ODD; k++) s += band_taps[k] * w[i + k];
            y[2 * i] = w[i + BAND_ODD / 2 - 1];
            y[2 * i + 1] = rounded(2 * s);
        }
        memcpy(before, w + 80, sizeof(int16_t) * (BAND_ODD - 1));
    }
    /* 160 samples to 80; before: the 46 that preceded. */
    static void band_down(int16_t *before, const int16_t *x, int16_t *y)
    {
        int16_t w[2 * BAND_HALF + 160];
        memcpy(w, before, sizeof(int16_t) * 2 * BAND_HALF);
        memcpy(w + 2 * BAND_HALF, x, 320);
        for (int i = 0; i < 80; i++) {
            float s = 0.5f * w[2 * i + BAND_HALF];
            for (int k = 0; k < BAND_ODD; k++) s += band_taps[k] * w[2 * i + 2 * k];
            y[i] = rounded(s);
        }
        memcpy(before, w + 160, sizeof(int16_t) * 2 * BAND_HALF);
    }
    """
    int opus_set_up(OpusEncoder *, int, int, int) noexcept nogil
    void make_band() noexcept nogil
    void band_up(int16_t *, const int16_t *, int16_t *) noexcept nogil
    void band_down(int16_t *, const int16_t *, int16_t *) noexcept nogil

make_band()

cdef enum:
    GIVE_UP = 160                      # samples before its turn
    WAITING_MOST = 8                   # packets, a power of two
    CODED_MOST = 1276                  # octets: Opus's longest packet
    SAMPLES_MOST = 960                 # of a packet: 120 ms
    OPUS_BITS = 16000                  # ours: narrow-band speech of 20 ms a packet
    OPUS_LOSS = 5                      # ours: per cent that it prepares for
    OPUS_EFFORT = 4                    # ours: of 10

cdef enum CodecKind:
    CODEC_G722 = 1
    CODEC_G726 = 2
    CODEC_OPUS = 3
    CODEC_PASSED = 4                   # passed.pxi

cdef struct Coded:                     # one packet that waits for its turn
    uint8_t here
    uint8_t marks                      # of one that is passed on: PASSED_MARKER, PASSED_EVENT
    uint64_t tick                      # of one that is passed on: when it came
    uint16_t seq
    uint32_t ts                        # in samples of 8 kHz
    int32_t n
    int32_t at                         # octets decoded already
    uint8_t octets[CODED_MOST]

cdef struct Codec:
    int32_t kind
    int32_t packing                    # of G.726, dsp/g726.py: 1 LOW_FIRST, 2 HIGH_FIRST (AAL2)
    int32_t clock                      # units of RTP's clock in a sample of 8 kHz
    int32_t begun
    uint16_t next                      # the number whose turn it is
    int32_t waiting
    uint32_t far_base                  # RTP's clock at base
    uint32_t base
    uint64_t recovered                 # samples that came with the packet after
    uint64_t failed                    # packets that the decoder refused, or that nobody was there for
    int32_t peer                       # passed.pxi: 1 + slot of the leg whose packets go out here, 0: none
    uint32_t put                       # packets that waited to be passed on so far ...
    uint32_t got                       # ... and have been
    uint64_t passed                    # went out here
    uint32_t passed_ssrc               # source of those, 0: none yet
    uint16_t seq_offset                # from its numbers to ours
    uint32_t ts_offset
    int16_t before_up[23]
    int16_t before_down[46]
    uint8_t coded[BLOCK]               # this tick's, of G.722 and G.726
    int16_t frame[480]                 # being filled, of Opus
    OpusEncoder *encoder
    OpusDecoder *decoder
    Coded packet[WAITING_MOST]


cdef void codec_begin(Codec *c) noexcept nogil:
    """Another source, or the same from another number: what waits is left out, and the next packet's number is the first."""
    cdef int i
    for i in range(WAITING_MOST):
        c.packet[i].here = 0
    c.waiting = 0
    c.begun = 0


cdef void codec_receive(Rtp *r, uint32_t ts, uint16_t seq, const uint8_t *p, int n) noexcept nogil:
    """A packet of a codec: to its place.  ts: in samples of 8 kHz."""
    cdef Codec *c = r.codec
    cdef Coded *w
    cdef int32_t ahead, lead
    if n > CODED_MOST:
        r.garbage += 1
        return
    if not c.begun:
        c.begun = 1
        c.next = seq
    ahead = <int16_t>(seq - c.next)
    if ahead >= WAITING_MOST or ahead < -1000:
        # A standstill or a restart: what waited is left out.
        for i in range(WAITING_MOST):
            c.packet[i].here = 0
        c.waiting = 0
        c.next = seq
    elif ahead < 0:
        r.late += 1
        quality_thrown(&r.quality, <uint16_t>(r.max_seq - seq))
        return
    if r.playing:
        lead = <int32_t>(ts - r.play_ts)
        if lead < r.margin_now:
            r.margin_now = lead
        if lead > r.lead_now:
            r.lead_now = lead
    w = &c.packet[seq & (WAITING_MOST - 1)]
    w.here = 1
    w.seq = seq
    w.ts = ts
    w.n = n
    w.at = 0
    memcpy(w.octets, p, n)
    c.waiting += 1


cdef Coded *codec_turn(Rtp *r) noexcept nogil:
    """The packet that is to be decoded now, NULL: none is, yet."""
    cdef Codec *c = r.codec
    cdef Coded *w = &c.packet[c.next & (WAITING_MOST - 1)]
    cdef int i
    if not c.waiting:
        return NULL
    if w.here and w.seq == c.next:
        return w
    for i in range(1, WAITING_MOST):
        w = &c.packet[(c.next + i) & (WAITING_MOST - 1)]
        if w.here and w.seq == <uint16_t>(c.next + i):
            if r.playing and <int32_t>(w.ts - r.play_ts) > GIVE_UP:
                return NULL            # what is missing may still come
            if c.kind == CODEC_OPUS and i == 1:
                return w               # with what it carries of the one that is missing
            c.next = w.seq
            return w
    c.waiting = 0                      # cannot be
    return NULL


cdef void codec_done(Codec *c, Coded *w) noexcept nogil:
    w.here = 0
    c.waiting -= 1
    c.next = <uint16_t>(w.seq + 1)


cdef void codec_played(Engine_ *e, Rtp *r, uint32_t ts, const int16_t *x, int n) noexcept nogil:
    """Decoded samples to the playout buffer."""
    cdef uint8_t octets[SAMPLES_MOST]
    e.k.compress(0, x, octets, n)
    r.kept = 1                         # its margin was measured when it came
    playout_insert(r, e.tick, ts, octets, n)
    r.kept = 0


cdef void opus_in(Engine_ *e, Rtp *r) noexcept nogil:
    """All packets of an Opus leg whose turn it is."""
    cdef Codec *c = r.codec
    cdef int16_t x[SAMPLES_MOST]
    cdef int n, missing
    cdef Coded *w = codec_turn(r)
    while w != NULL:
        if w.seq != c.next:
            missing = opus_packet_get_nb_samples(w.octets, w.n, 8000)
            if 0 < missing <= SAMPLES_MOST:
                n = opus_decode(c.decoder, w.octets, w.n, x, missing, 1)
                if n > 0:
                    c.recovered += <uint64_t>n
                    codec_played(e, r, w.ts - <uint32_t>n, x, n)
            c.next = w.seq
        n = opus_decode(c.decoder, w.octets, w.n, x, SAMPLES_MOST, 0)
        if n > 0:
            r.quality.packet_samples = n
            codec_played(e, r, w.ts, x, n)
        else:
            c.failed += 1
        codec_done(c, w)
        w = codec_turn(r)


cdef void codec_in_unit(Engine_ *e, int u) noexcept nogil:
    """Decode what has its turn, on all legs of a unit."""
    cdef Plan *p = &e.plan
    cdef int32_t slots[UNIT]
    cdef int32_t rows[UNIT]
    cdef Coded *now[UNIT]
    cdef uint8_t octets[UNIT * BLOCK]
    cdef int16_t wide[UNIT * 2 * BLOCK]
    cdef int16_t x[BLOCK]
    cdef int i, j, n, slot, kind, packing, chunk
    cdef Rtp *r
    cdef Coded *w
    for i in range(p.coded_from[u], p.coded_from[u + 1]):
        r = e.term[p.coded[i]].rtp
        if r.codec.kind == CODEC_OPUS:
            opus_in(e, r)
    for kind in range(3):              # G.722, G.726 in both packings
        packing = kind
        chunk = BLOCK if kind == 0 else BLOCK // 2
        while True:
            n = 0
            for i in range(p.coded_from[u], p.coded_from[u + 1]):
                slot = p.coded[i]
                r = e.term[slot].rtp
                if r.codec.kind == CODEC_OPUS or (r.codec.kind == CODEC_G722) != (kind == 0) or kind and r.codec.packing != packing:
                    continue
                w = codec_turn(r)
                while w != NULL and w.n - w.at < chunk:
                    r.codec.failed += w.n - w.at != 0
                    codec_done(r.codec, w)
                    w = codec_turn(r)
                if w == NULL:
                    continue
                memcpy(octets + n * BLOCK, w.octets + w.at, chunk)
                slots[n] = slot
                rows[n] = n
                now[n] = w
                n += 1
            if not n:
                break
            if kind == 0:
                e.k.g722_decode(0, 1, e.k.g722_state, slots, octets, BLOCK, rows, wide, 2 * BLOCK, rows, n, 2 * BLOCK)
            else:
                e.k.g726_decode(4, packing, e.k.g726_state, slots, octets, BLOCK, rows, wide, 2 * BLOCK, rows, n, BLOCK)
            for j in range(n):
                r = e.term[slots[j]].rtp
                w = now[j]
                if kind == 0:
                    band_down(r.codec.before_down, wide + j * 2 * BLOCK, x)
                else:
                    memcpy(x, wide + j * 2 * BLOCK, sizeof(x))
                codec_played(e, r, w.ts, x, BLOCK)
                w.ts += BLOCK
                w.at += chunk
                if w.at >= w.n:
                    codec_done(r.codec, w)


cdef void codec_out_unit(Engine_ *e, int u) noexcept nogil:
    """Code this tick's output of all legs of a unit that have G.722 or G.726."""
    cdef Plan *p = &e.plan
    cdef int32_t slots[UNIT]
    cdef int32_t rows[UNIT]
    cdef uint8_t octets[UNIT * BLOCK]
    cdef int16_t wide[UNIT * 2 * BLOCK]
    cdef int16_t x[BLOCK]
    cdef int i, j, n, slot, kind, packing
    cdef Rtp *r
    for kind in range(3):
        packing = kind
        n = 0
        for i in range(p.coded_from[u], p.coded_from[u + 1]):
            slot = p.coded[i]
            r = e.term[slot].rtp
            if r.codec.kind == CODEC_OPUS or (r.codec.kind == CODEC_G722) != (kind == 0) or kind and r.codec.packing != packing:
                continue
            if kind == 0:
                e.k.expand(0, e.octets_out + e.term[slot].out_row * BLOCK, x, BLOCK)
                band_up(r.codec.before_up, x, wide + n * 2 * BLOCK)
            else:
                e.k.expand(0, e.octets_out + e.term[slot].out_row * BLOCK, wide + n * 2 * BLOCK, BLOCK)
            slots[n] = TERMS + slot
            rows[n] = n
            n += 1
        if not n:
            continue
        if kind == 0:
            e.k.g722_encode(0, e.k.g722_state, slots, wide, 2 * BLOCK, rows, octets, BLOCK, rows, n, 2 * BLOCK)
        else:
            e.k.g726_encode(4, packing, e.k.g726_state, slots, wide, 2 * BLOCK, rows, octets, BLOCK, rows, n, BLOCK)
        for j in range(n):
            memcpy(e.term[slots[j] - TERMS].rtp.codec.coded, octets + j * BLOCK, BLOCK)


cdef int codec_fill(Engine_ *e, Rtp *r, const uint8_t *octets, int size) noexcept nogil:
    """Add a tick to the packet being filled (tx_fill: samples, of size).  Returns the octets of its payload when it is full, else 0."""
    cdef Codec *c = r.codec
    cdef int chunk, n
    if c.kind == CODEC_OPUS:
        e.k.expand(0, octets, c.frame + r.tx_fill, BLOCK)
        r.tx_fill += BLOCK
        if r.tx_fill < size:
            return 0
        n = opus_encode(c.encoder, c.frame, size, r.packet + 12, 480)
        return n if n > 0 else 0
    chunk = BLOCK if c.kind == CODEC_G722 else BLOCK // 2
    memcpy(r.packet + 12 + r.tx_fill // BLOCK * chunk, c.coded, chunk)
    r.tx_fill += BLOCK
    return 0 if r.tx_fill < size else size // BLOCK * chunk
