# Conferences: bridges of up to 128 parties with gains, the N loudest talkers, and
# a limiter.  Included by _engine.pyx.
#
# Each party hears the sum of those in the mix, less himself and whom the topology
# keeps from him (one subtraction each, so a mix of 128 costs 128 rows and not
# 128 x 127).  Sums are 32 bits wide; with all in the mix at 0 dB and below full
# scale the result is the exact sum.  Who is in the mix changes at most every
# STAYS ticks and needs 3 dB more than the one whom he pushes out; he is faded in
# and out over a block.  Where a party's speech detector works, what is no speech counts
# 30 dB less, so the noise of a car or a street takes nobody's place.  The limiter acts on all outputs of a conference alike:
# its gain is down at the first sample of a block that would be too loud and
# rises by 1 dB in 100 ms, so nothing is clipped.  Constants are ours.

cdef extern from *:
    """
    #define CONF_LIMIT 32000
    /* part = x * gain / 1024, weighted by a line from `from` to `to` (0 or 1). */
    static void conference_part(const int16_t *restrict x, int32_t *restrict part, int32_t gain, int from, int to)
    {
        for (int i = 0; i < 80; i++) part[i] = (x[i] * gain) >> 10;
        if (from != to)
            for (int i = 0; i < 80; i++) part[i] = (int32_t)((int64_t)part[i] * (to ? i + 1 : 79 - i) / 80);
        else if (!to)
            for (int i = 0; i < 80; i++) part[i] = 0;
    }
    static float conference_power(const int16_t *x, int32_t gain)
    {
        float s = 0, g = gain / 1024.0f;
        for (int i = 0; i < 80; i++) s += (float)x[i] * x[i];
        return s * g * g / 80;
    }
    static void conference_add(int32_t *restrict sum, const int32_t *restrict part, int sign)
    { for (int i = 0; i < 80; i++) sum[i] += sign * part[i]; }
    static int32_t conference_peak(const int32_t *x)
    {
        int32_t p = 0;
        for (int i = 0; i < 80; i++) { int32_t y = x[i] < 0 ? -x[i] : x[i]; p = y > p ? y : p; }
        return p;
    }
    static void conference_write(const int32_t *restrict x, int16_t *restrict y, float from, float to)
    {
        if (from == 1 && to == 1) { for (int i = 0; i < 80; i++) y[i] = (int16_t)x[i]; return; }
        for (int i = 0; i < 80; i++) y[i] = (int16_t)(x[i] * (from + (to - from) * i / 79));
    }
    """
    enum: CONF_LIMIT
    void conference_part(const int16_t *, int32_t *, int32_t, int, int) noexcept nogil
    float conference_power(const int16_t *, int32_t) noexcept nogil
    void conference_add(int32_t *, const int32_t *, int) noexcept nogil
    int32_t conference_peak(const int32_t *) noexcept nogil
    void conference_write(const int32_t *, int16_t *, float, float) noexcept nogil

cdef enum:
    STAYS = 20                         # ticks


cdef inline int hears(Bridge *b, int i, int j) noexcept nogil:
    """Whether the member at place i hears the one at place j."""
    return i != j and (b.hear[i][j >> 6] >> (j & 63)) & 1


cdef void conference_set(Bridge *b, Command *c) noexcept nogil:
    """a: how many are heard, 0 all, -1 no conference; member: gains."""
    cdef int i
    if not b.conference:
        b.limit = 1
        for i in range(MEMBERS):
            b.heard[i] = 0
            b.stays[i] = 0
            b.power[i] = 0
    b.conference = c.a >= 0
    b.loudest = c.a
    for i in range(b.n):
        b.gain[i] = c.member[i]


cdef void conference_members(Bridge *b, Command *c) noexcept nogil:
    """Other members come (before they do): who stays keeps his place in the mix."""
    cdef uint8_t heard[MEMBERS]
    cdef uint8_t stays[MEMBERS]
    cdef float power[MEMBERS]
    cdef int i, j
    if not b.conference:
        return
    for i in range(c.a):
        heard[i] = stays[i] = 0
        power[i] = 0
        b.gain[i] = UNITY              # until conference_set, in the same tick
        for j in range(b.n):
            if b.member[j] == c.member[i]:
                heard[i] = b.heard[j]
                stays[i] = b.stays[j]
                power[i] = b.power[j]
    memcpy(b.heard, heard, c.a)
    memcpy(b.stays, stays, c.a)
    memcpy(b.power, power, c.a * sizeof(float))
    b.conference = c.a > 0


cdef void conference_choose(Engine_ *e, Bridge *b, uint8_t *wanted) noexcept nogil:
    """Who is in the mix of this tick."""
    cdef int i, k, best
    cdef float power, most
    for i in range(b.n):
        power = conference_power(e.linear_in + b.member[i] * BLOCK, b.gain[i])
        if e.term[b.member[i]].enhance & (LEVEL | VAD) and e.speech[b.member[i]] == 0:
            power *= 0.001
        b.power[i] = power if power > b.power[i] else 0.95 * b.power[i]     # falls by 2.2 dB in 100 ms
        wanted[i] = b.loudest == 0 and b.gain[i] != 0
        if b.stays[i]:
            b.stays[i] -= 1
    for k in range(b.loudest):
        best = -1
        most = 0
        for i in range(b.n):
            if wanted[i] or b.gain[i] == 0:
                continue
            power = b.power[i]
            if b.heard[i]:
                power = power * 2 + 1 if b.stays[i] == 0 else 1e12
            if power > most:
                best = i
                most = power
        if best < 0:
            break
        wanted[best] = 1
        if not b.heard[best]:
            b.stays[best] = STAYS


cdef void conference_tick(Engine_ *e, Bridge *b) noexcept nogil:
    """The outputs of one conference in linear_out."""
    cdef uint8_t wanted[MEMBERS]
    cdef int32_t total[BLOCK]
    cdef int32_t y[BLOCK]
    cdef int i, j, way
    cdef int32_t peak = 0, p
    cdef float begin, end
    conference_choose(e, b, wanted)
    memset(total, 0, sizeof(total))
    for i in range(b.n):
        if wanted[i] or b.heard[i]:
            conference_part(e.linear_in + b.member[i] * BLOCK, e.part + i * BLOCK, b.gain[i], b.heard[i], wanted[i])
            conference_add(total, e.part + i * BLOCK, 1)
    begin = end = b.limit
    for way in range(2):               # first the loudest of all outputs, then the outputs
        for i in range(b.n):
            memcpy(y, total, sizeof(y))
            for j in range(0 if b.special else i, b.n if b.special else i + 1):
                if (wanted[j] or b.heard[j]) and not hears(b, i, j):
                    conference_add(y, e.part + j * BLOCK, -1)
            if way:
                conference_write(y, e.linear_out + b.member[i] * BLOCK, begin, end)
            else:
                p = conference_peak(y)
                if p > peak:
                    peak = p
        if way == 0:
            end = b.limit * 1.0116     # 0.1 dB
            if end > 1:
                end = 1
            if peak * end > CONF_LIMIT:
                end = CONF_LIMIT / <float>peak
            if peak * begin > CONF_LIMIT:
                begin = CONF_LIMIT / <float>peak
            b.limit = end
    for i in range(b.n):
        b.heard[i] = wanted[i]
