# The playout (jitter) buffer of one RTP leg.  Included by _engine.pyx.
#
# data[] holds law octets by RTP timestamp modulo its length, a bit each of valid[] says which
# are there: reordering and duplicates need no further care, and what has been
# played stays behind as the history that concealment works from.
#
# play_ts advances 80 a tick while there is something to play.  When nothing is
# there it stands still and the gap is concealed: a late packet is then played
# in full and the delay has grown by the wait; if the packet was lost, the next
# one shows the hole and play_ts skips what has been concealed already.  So
# nothing is adjusted on a steady stream, and law octets pass unchanged.
#
# The margin of a packet is its lead: how many samples before its turn it came.
# A least margin of several seconds that stays high shrinks the delay, one that
# nears zero (the far clock is slower) stretches it, both by one best-matching
# overlap of at most 10 ms, in a pause of speech if there is one.
#
# The delay stays between jitter_samples and most_samples: a burst after a standstill of
# the network longer than that is cut at its old end.  A stream that pauses (silence suppression)
# goes on with the delay that it needed before.

cdef enum:
    SHRINK_SAMPLES = 80                # ours: hysteresis above the wanted margin
    STRETCH_MARGIN = 80                # a lead under one tick over two seconds: the next step would be a gap
    QUIET = 300                        # ours: peak that counts as a pause, 16-bit scale (about -41 dBm0)
    PATIENCE_TICKS = 300               # ours: wait this long for a pause
    IDLE_SAMPLES = 4000                # ours: after 0.5 s without audio the stream starts anew


cdef inline uint8_t silence(int law) noexcept nogil:
    return SILENCE_U if law else SILENCE_A


cdef void ring_copy(const uint8_t *ring, uint32_t at, uint8_t *to, int n) noexcept nogil:
    cdef int first
    at &= JITTER_RING - 1
    first = JITTER_RING - at
    if first > n:
        first = n
    memcpy(to, ring + at, first)
    memcpy(to + first, ring, n - first)


cdef void ring_put(uint8_t *ring, uint32_t at, const uint8_t *octets, int n) noexcept nogil:
    cdef int first
    at &= JITTER_RING - 1
    first = JITTER_RING - at
    if first > n:
        first = n
    memcpy(ring + at, octets, first)
    memcpy(ring, octets + first, n - first)


cdef extern from *:
    """
    #include <stdint.h>
    /* Bits of a ring of samples, `ring` of them (a power of two, 64 at least). */
    static inline uint64_t bits_mask(uint32_t at, int n) { return (n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1) << (at & 63); }
    static void bits_put(uint64_t *bits, uint32_t ring, uint32_t at, int n, int value)
    {
        while (n > 0) {
            int here = 64 - (int)(at & 63) < n ? 64 - (int)(at & 63) : n;
            uint64_t *word = &bits[(at & (ring - 1)) / 64], mask = bits_mask(at, here);
            *word = value ? *word | mask : *word & ~mask;
            at += here; n -= here;
        }
    }
    static int bits_all(const uint64_t *bits, uint32_t ring, uint32_t at, int n)
    {
        while (n > 0) {
            int here = 64 - (int)(at & 63) < n ? 64 - (int)(at & 63) : n;
            if (~bits[(at & (ring - 1)) / 64] & bits_mask(at, here)) return 0;
            at += here; n -= here;
        }
        return 1;
    }
    """
    void bits_put(uint64_t *, uint32_t, uint32_t, int, int) noexcept nogil
    int bits_all(const uint64_t *, uint32_t, uint32_t, int) noexcept nogil


cdef inline void mark_held(Rtp *r, uint32_t at, int n, int value) noexcept nogil:
    bits_put(r.valid, JITTER_RING, at, n, value)


cdef inline int all_held(Rtp *r, uint32_t at, int n) noexcept nogil:
    return bits_all(r.valid, JITTER_RING, at, n)


cdef void margins_reset(Rtp *r) noexcept nogil:
    cdef int i
    for i in range(8):
        r.margin[i] = 1 << 20
    r.margin_now = 1 << 20
    r.margin_ticks = 0
    r.adjust = 0
    r.adjust_ticks = 0


cdef void margins_shift(Rtp *r, int samples) noexcept nogil:
    """The delay has changed by samples: what was measured before changes with it."""
    cdef int i
    for i in range(8):
        r.margin[i] += samples
    r.margin_now += samples


cdef void playout_start(Rtp *r, uint32_t ts) noexcept nogil:
    """Begin, with the delay that the stream needed before its pause."""
    cdef int32_t delay = r.lead_usual
    if delay < r.jitter_samples:
        delay = r.jitter_samples
    elif delay > r.most_samples:
        delay = r.most_samples
    r.playing = 1
    r.play_ts = ts - <uint32_t>delay
    memset(r.valid, 0, sizeof(r.valid))
    # What lies before the first packet was never sent: silence, not loss.
    memset(r.data, silence(r.law), JITTER_RING)
    mark_held(r, r.play_ts, delay, 1)
    r.newest_ts = ts
    r.expanded = 0
    r.plc_left = -1
    margins_reset(r)


cdef int playout_insert(Rtp *r, uint64_t tick, uint32_t ts, const uint8_t *octets, int n) noexcept nogil:
    """Take the audio of one packet (law octets).  Returns 0 when all of it came too late."""
    cdef int32_t lead, skip
    if r.playing:
        lead = <int32_t>(ts - r.play_ts)
        if lead < -IDLE_SAMPLES or lead + n > JITTER_RING - 800:
            r.resyncs += 1
            r.playing = 0
    if not r.playing:
        playout_start(r, ts)
    lead = <int32_t>(ts - r.play_ts)
    if r.expanded and <int32_t>(r.newest_ts - r.play_ts) <= 0 and lead > 0:
        skip = lead if lead < r.expanded else r.expanded
        r.play_ts += <uint32_t>skip
        lead -= skip
    if lead + n > 0 and r.expanded:
        # Only now is it known that the stream had a gap and not its end.
        if tick > r.mute_until:
            r.concealed += <uint64_t>r.expanded
        r.expanded = 0
    if not r.kept:
        if lead < r.margin_now:
            r.margin_now = lead
        if lead > r.lead_now:
            r.lead_now = lead
    if lead < 0:
        r.late += 1
        if lead + n <= 0:
            return 0
        octets -= lead
        n += lead
        ts = r.play_ts
    ring_put(r.data, ts, octets, n)
    mark_held(r, ts, n, 1)
    if <int32_t>(ts + <uint32_t>n - r.newest_ts) > 0:
        r.newest_ts = ts + <uint32_t>n
    if lead > r.most_samples and r.plc_left >= 0:
        # The network stood still and gives all at once: what is too old is not made up for.
        skip = lead - r.most_samples
        r.play_ts += <uint32_t>skip
        r.skipped += <uint64_t>skip
        margins_shift(r, -skip)
    return 1


cdef void conceal(Engine_ *e, int slot, Rtp *r, int16_t *y, int n, int keep) noexcept nogil:
    """y: n concealed samples from play_ts on; at least `keep` more stay in plc_ahead.

    The kernel's output is 30 samples late, so it runs one block ahead here and
    starts from the history only when something is missing: a stream without
    loss does not pass through it.
    """
    cdef int32_t zero = 0, slot32 = slot
    cdef uint8_t good = 0, lost = 1
    cdef uint8_t octets[BLOCK]
    cdef int16_t x[BLOCK]
    cdef int i, step
    cdef int32_t difference
    if r.plc_left < 0:
        e.k.plc_reset(e.k.plc_state, slot)
        for i in range(5, 0, -1):
            ring_copy(r.data, r.play_ts - <uint32_t>(BLOCK * i), octets, BLOCK)
            e.k.expand(r.law, octets, x, BLOCK)
            step = x[BLOCK - 1]
            e.k.plc_conceal(e.k.plc_state, &slot32, &zero, &good, 1, x, BLOCK)
        e.k.plc_conceal(e.k.plc_state, &slot32, &zero, &lost, 1, x, BLOCK)
        # The kernel smoothed the last 30 good samples, which have been played
        # already: carry their difference over into the first of ours.
        difference = step - x[29]
        for i in range(16):
            x[30 + i] = clip(x[30 + i] + difference * (16 - i) // 17)
        memcpy(r.plc_ahead, x + 30, 50 * sizeof(int16_t))
        r.plc_left = 50
    while r.plc_left < n + keep:
        memset(x, 0, sizeof(x))
        e.k.plc_conceal(e.k.plc_state, &slot32, &zero, &lost, 1, x, BLOCK)
        memcpy(r.plc_ahead + r.plc_left, x, sizeof(x))
        r.plc_left += BLOCK
    if n:
        memcpy(y, r.plc_ahead, n * sizeof(int16_t))
        r.plc_left -= n
        for i in range(r.plc_left):
            r.plc_ahead[i] = r.plc_ahead[i + n]


cdef inline int16_t clip(int32_t x) noexcept nogil:
    return 32767 if x > 32767 else (-32768 if x < -32768 else <int16_t>x)


cdef int best_lag(const int16_t *x, const int16_t *from_, int least, int most, int way) noexcept nogil:
    """Lag whose 80 samples from_[way * lag] look most like x[0:80]: largest
    normalised cross-correlation, compared as squares."""
    cdef int lag, best = most
    cdef int64_t c, p
    cdef double score, top = -1.0
    for lag in range(least, most + 1):
        c = dot(x, from_ + way * lag, BLOCK)
        if c <= 0:
            continue
        p = dot(from_ + way * lag, from_ + way * lag, BLOCK)
        score = <double>c * <double>c / <double>(p + 1)
        if score > top:
            top = score
            best = lag
    return best


cdef int adjust_delay(Engine_ *e, Rtp *r, uint8_t *out) noexcept nogil:
    """Play one block while shortening or lengthening the delay.  Returns 1 if done."""
    cdef uint8_t octets[4 * BLOCK]
    cdef int16_t x[4 * BLOCK]
    cdef int16_t y[BLOCK]
    cdef int i, lag, peak = 0
    cdef int16_t *now = x + BLOCK
    if not all_held(r, r.play_ts, 3 * BLOCK if r.adjust < 0 else BLOCK):
        return 0
    ring_copy(r.data, r.play_ts - <uint32_t>BLOCK, octets, 4 * BLOCK)
    e.k.expand(r.law, octets, x, 4 * BLOCK)
    for i in range(BLOCK):
        if now[i] > peak:
            peak = now[i]
        elif -now[i] > peak:
            peak = -now[i]
    r.adjust_ticks += 1
    if peak > QUIET and r.adjust_ticks < PATIENCE_TICKS:
        return 0
    if r.adjust < 0:
        lag = best_lag(now, now, 40, 80, 1)
        for i in range(BLOCK):
            y[i] = <int16_t>((now[i] * (BLOCK - i) + now[lag + i] * i) // BLOCK)
        mark_held(r, r.play_ts, BLOCK + lag, 0)
        r.play_ts += <uint32_t>(BLOCK + lag)
        r.removed += lag
        margins_shift(r, -lag)
    else:
        lag = best_lag(now, now, 40, 80, -1)
        for i in range(BLOCK):
            y[i] = <int16_t>((now[i] * (BLOCK - i) + now[i - lag] * i) // BLOCK)
        mark_held(r, r.play_ts, BLOCK - lag, 0)
        r.play_ts += <uint32_t>(BLOCK - lag)
        r.inserted += lag
        margins_shift(r, lag)
    e.k.compress(r.law, y, out, BLOCK)
    r.adjust = 0
    r.adjust_ticks = 0
    return 1


cdef void watch_margin(Rtp *r) noexcept nogil:
    """Once a second: is the delay too long or too short?"""
    cdef int i, least = 1 << 20
    cdef int recent
    r.margin_ticks += 1
    if r.margin_ticks < 100:
        return
    r.margin_ticks = 0
    i = <int32_t>(r.newest_ts - r.play_ts)
    if i > 0:
        r.quality.delay_sum += <uint64_t>i
        r.quality.delay_count += 1
        if i > r.quality.delay_most:
            r.quality.delay_most = i
    if r.margin_now < 1 << 19:
        r.lead_usual = r.lead_now
    r.lead_now = 0
    recent = r.margin[r.margin_at]
    r.margin_at = (r.margin_at + 1) & 7
    r.margin[r.margin_at] = r.margin_now
    if r.margin_now < recent:
        recent = r.margin_now
    r.margin_now = 1 << 20
    for i in range(8):
        if r.margin[i] < least:
            least = r.margin[i]
        if r.margin[i] >= 1 << 19:     # not yet eight seconds of packets
            least = -1
            break
    if r.adjust == 0:
        if least >= r.jitter_samples + SHRINK_SAMPLES:
            r.adjust = -1
        elif 0 <= recent < STRETCH_MARGIN:
            r.adjust = 1


cdef void playout_block(Engine_ *e, int slot, Rtp *r, uint8_t *out) noexcept nogil:
    """The next 80 law octets of a leg."""
    cdef int32_t held, i, missing
    cdef int16_t real[BLOCK]
    cdef int16_t fill[BLOCK]
    if not r.playing:
        memset(out, silence(r.law), BLOCK)
        return
    watch_margin(r)
    if r.adjust and r.plc_left < 0 and adjust_delay(e, r, out):
        return
    if all_held(r, r.play_ts, BLOCK):
        ring_copy(r.data, r.play_ts, out, BLOCK)
        mark_held(r, r.play_ts, BLOCK, 0)
        r.play_ts += BLOCK
        if r.plc_left >= 0:            # the loss is over: lead over into what is real
            e.k.expand(r.law, out, real, BLOCK)
            conceal(e, slot, r, fill, 40, 0)
            for i in range(40):
                real[i] = <int16_t>((real[i] * (i + 1) + fill[i] * (40 - i)) // 41)
            e.k.compress(r.law, real, out, BLOCK)
            r.plc_left = -1
        return
    held = <int32_t>(r.newest_ts - r.play_ts)
    if held < 0:
        held = 0
    if held >= BLOCK:
        held = BLOCK
    ring_copy(r.data, r.play_ts, out, BLOCK)
    e.k.expand(r.law, out, real, BLOCK)
    conceal(e, slot, r, fill, BLOCK, 0)
    missing = 0
    for i in range(BLOCK):
        if i >= held or not all_held(r, r.play_ts + <uint32_t>i, 1):
            real[i] = fill[i]
            missing += 1
    e.k.compress(r.law, real, out, BLOCK)
    mark_held(r, r.play_ts, held, 0)
    # A hole becomes history as it was heard.
    ring_put(r.data, r.play_ts, out, held)
    r.play_ts += <uint32_t>held
    if e.tick > r.mute_until:
        r.concealed += <uint64_t>(missing - (BLOCK - held))
    r.expanded += BLOCK - held
    if r.expanded >= IDLE_SAMPLES:
        r.playing = 0
        r.plc_left = -1
