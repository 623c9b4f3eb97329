# Bit error tests: a pattern sent in timeslots of one span, and looked for in what comes back.
# Included by _engine.pyx.
#
# Patterns (O.150, O.151, O.152, O.153): a pseudo-random sequence is s[n] = s[n-a] ^ s[n-b].  Both distances are 8 or more,
# so an octet is two shifts of the history; 2^9-1 has 9 and 5, and follows 18 and 10 as well (the square of its
# polynomial).  2^15-1 and 2^23-1 go out inverted.  QRSS is 2^20-1 with a one in place of a zero before which 14
# zeros would stand behind (T1.403): its generator runs 16 bits ahead.
#
# The receiver seeds a generator of its own with what came, believes in it when it foretells OCTETS_SURE octets, and then counts
# every bit that differs.  More than a quarter wrong in a block is another sequence, not errors: it looks anew.

cdef Pattern PATTERN[5]
PATTERN[0] = Pattern(18, 10, 0)        # 2^9-1
PATTERN[1] = Pattern(11, 9, 0)         # 2^11-1
PATTERN[2] = Pattern(15, 14, 1)        # 2^15-1
PATTERN[3] = Pattern(23, 18, 1)        # 2^23-1
PATTERN[4] = Pattern(20, 17, 0)        # QRSS


cdef inline uint8_t pattern_raw(int kind, uint64_t *h) noexcept nogil:
    """The next octet of the bare sequence."""
    cdef uint8_t octet = <uint8_t>((h[0] >> (PATTERN[kind].a - 8)) ^ (h[0] >> (PATTERN[kind].b - 8)))
    h[0] = h[0] << 8 | octet
    return octet


cdef inline uint8_t pattern_next(int kind, uint8_t fixed, uint64_t *h) noexcept nogil:
    """The next octet as it stands on the line."""
    cdef uint8_t octet
    cdef int k
    if kind == FIXED:
        return fixed
    octet = pattern_raw(kind, h)
    if kind != QRSS:
        return octet ^ (0xFF if PATTERN[kind].invert else 0)
    octet = <uint8_t>(h[0] >> 16)
    for k in range(8):
        if not (h[0] >> (2 + k)) & 0x3FFF:
            octet |= <uint8_t>(1 << k)
    return octet


cdef void bert_start(Bert *t, int span, uint32_t mask, int kind, uint8_t octet, uint32_t serial) noexcept nogil:
    cdef int n
    memset(t, 0, sizeof(Bert))
    t.span = span
    t.mask = mask
    t.kind = kind
    t.octet = octet
    t.tx = 0x5A5A5A5A12345678
    for n in range(64):                # the square of 2^9-1 would take any seed for its own
        if kind == 0:
            t.tx = t.tx << 1 | ((t.tx >> 8 ^ t.tx >> 4) & 1)
        elif kind != FIXED:            # whatever the seed: after its history it is the sequence
            pattern_raw(kind, &t.tx)
    t.serial = serial


cdef void bert_look(Bert *t, uint8_t octet) noexcept nogil:
    """Not in step: try to foretell the next octet from those before."""
    cdef uint64_t history = t.rx
    cdef uint8_t plain = octet ^ (0xFF if t.kind != FIXED and PATTERN[t.kind].invert else 0)
    cdef uint8_t wanted = t.octet if t.kind == FIXED else pattern_raw(t.kind, &history)
    t.rx = t.rx << 8 | plain
    if wanted == plain and (t.kind == FIXED or t.rx & 0xFFFFFF):
        t.good += 1
    else:
        t.good = 0
    if t.good < OCTETS_SURE:
        return
    t.synced = t.ever = 1
    t.good = 0
    if t.kind == QRSS:
        pattern_raw(QRSS, &t.rx)
        pattern_raw(QRSS, &t.rx)


cdef void bert_second(Bert *t) noexcept nogil:
    if not t.ever:
        t.unsynced_seconds += 1
    else:
        t.seconds += 1
        if t.second_lost or t.second_errors:
            t.es += 1
        if t.second_lost or t.second_errors * 1000 > t.second_bits:
            t.ses += 1
    t.second_bits = t.second_errors = 0
    t.second_lost = 0 if t.synced else 1


cdef void bert_receive(Engine_ *e, Bert *t) noexcept nogil:
    cdef int frame, slot
    cdef uint64_t bits = 0, wrong = 0
    cdef const uint8_t *rows = e.octets_in + t.span * 32 * BLOCK
    for frame in range(BLOCK):
        for slot in range(1, 32):
            if not t.mask >> slot & 1:
                continue
            if t.synced:
                wrong += popcount(rows[slot * BLOCK + frame] ^ pattern_next(t.kind, t.octet, &t.rx))
                bits += 8
            else:
                bert_look(t, rows[slot * BLOCK + frame])
    if bits and wrong * 4 > bits:
        t.synced = t.good = 0
        t.losses += 1
        t.second_lost = 1
    else:
        t.bits += bits
        t.errors += wrong
        t.second_bits += bits
        t.second_errors += wrong
    t.ticks += 1
    if t.ticks % 100 == 0:
        bert_second(t)


cdef void bert_send(Engine_ *e, Bert *t) noexcept nogil:
    cdef int frame, slot
    cdef uint8_t octet
    cdef uint8_t *rows = e.octets_out + t.span * 32 * BLOCK
    for frame in range(BLOCK):
        for slot in range(1, 32):
            if not t.mask >> slot & 1:
                continue
            octet = pattern_next(t.kind, t.octet, &t.tx)
            if t.insert:
                t.insert -= 1
                t.inserted += 1
                octet ^= 0x08
            rows[slot * BLOCK + frame] = octet


cdef void bert_tick(Engine_ *e, int received, int send) noexcept nogil:
    """All tests, at the end of a tick: what they send stands in place of everything else."""
    cdef int i
    if not e.n_berts:
        return
    for i in range(BERTS):
        if e.bert[i].serial:
            if received or e.bearer[e.bert[i].span] != NULL:
                bert_receive(e, &e.bert[i])
            if send or e.bearer[e.bert[i].span] != NULL:
                bert_send(e, &e.bert[i])


cdef void bert_switch(Engine_ *e, int index, uint32_t serial, uint32_t mask, int span, int kind, uint8_t octet) noexcept nogil:
    """Begin a test, or (mask 0) end it: its timeslots are idle then."""
    cdef Bert *t = &e.bert[index]
    cdef int slot
    if mask:
        if not t.serial:
            e.n_berts += 1
        bert_start(t, span, mask, kind, octet, serial)
    elif t.serial:
        e.n_berts -= 1
        t.serial = 0
        for slot in range(1, 32):
            if t.mask >> slot & 1:
                memset(e.octets_out + (t.span * 32 + slot) * BLOCK, idle_of(e, t.span * 32), BLOCK)
