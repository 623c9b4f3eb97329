# Key presses from leg to leg (RFC 4733, Q.23): how a far end is told of what the others of its bridge press.
# Included by _engine.pyx.
#
# A key is down at a leg while its telephone-event lasts, while the tone is found in its sound, or for as long as control says (OP_PRESS: INFO).
# BY_EVENT: telephone-events take the place of the sound that goes out as long as the key is down.  Of a tone the first 10 to 40 ms, until it
# is found, go out as sound (Q.24: what lasts 20 ms is no digit, 40 ms may be one; a delay of the sound would cost more).  BY_CONTROL: silence goes out meanwhile, and control is told when the key is up.
# BY_SOUND: the tone is in the sound, that of the leg or the one that is made for its event (rtp.pxi).
# Who hears several is told of the first whose key is down.  In which leg digits are looked for follows from the bridges (plan_keys).

cdef enum:
    KEY_LEAST_MS = 40                  # Q.24: what is shorter need not be taken for a digit
    KEY_ENDS = 3                       # RFC 4733 2.5.1.4
    KEY_VOLUME = 10                    # -dBm0; RFC 4733 2.3.4


cdef inline int is_told(Rtp *r) noexcept nogil:
    """Whether a far end is told of keys apart from the sound."""
    return r.keys == BY_CONTROL or (r.keys == BY_EVENT and r.dtmf_payload_type != 255)


cdef void plan_keys(Engine_ *e, int number, uint8_t *keyed) noexcept nogil:
    """Whose keys each leg of a bridge is told of.  keyed: by slot, in whose sound digits are looked for."""
    cdef Bridge *b = &e.bridge[number]
    cdef Term *t
    cdef Term *other
    cdef int i, j
    for i in range(b.n):
        t = &e.term[b.member[i]]
        if t.kind != RTP or not is_told(t.rtp):
            continue
        e.plan.key_from[b.member[i]] = b.member[1 - i] if b.n == 2 and hears(b, i, 1 - i) else -2 - number
        for j in range(b.n):
            other = &e.term[b.member[j]]
            if hears(b, i, j) and not (other.kind == RTP and (other.rtp.events_used or other.rtp.dtmf_payload_type != 255)):
                keyed[b.member[j]] = 1


cdef int key_heard(Engine_ *e, int slot) noexcept nogil:
    """1 + code of the key that is down at a leg which this one hears, 0 none."""
    cdef int source = e.plan.key_from[slot]
    cdef Bridge *b
    cdef int i, place = 0
    if source >= 0:
        return e.keys_down[source]
    if source == -1:
        return 0
    b = &e.bridge[-2 - source]
    for i in range(b.n):
        if b.member[i] == slot:
            place = i
    for i in range(b.n):
        if e.keys_down[b.member[i]] and hears(b, place, i):
            return e.keys_down[b.member[i]]
    return 0


cdef int key_packet(Engine_ *e, int slot, Rtp *r) noexcept nogil:
    """The payload of an event in the place of this packet's sound: 0 there is none, 1 it is in r.packet, 2 the first of a key."""
    cdef int key = key_heard(e, slot)
    cdef int first = 0, step = r.ptime_ticks * 10 * r.event_clock
    if not r.key:
        if r.key_next:
            key = r.key_next
            r.key_next = 0
        if not key:
            return 0
        r.key = <uint8_t>key
        r.key_ts = r.tx_timestamp
        r.key_long = 0
        first = 1
    elif key and (key != r.key or r.key_ends):
        r.key_next = <uint8_t>key
    if not r.key_ends:
        if r.key_long + step > 0xFFFF:             # RFC 4733 2.5.1.3: longer than its field can say
            r.key_ts += r.key_long
            r.key_long = 0
        r.key_long = <uint16_t>(r.key_long + step)
        if key != r.key and r.key_long >= KEY_LEAST_MS * r.event_clock:
            r.key_ends = KEY_ENDS
    r.packet[12] = <uint8_t>(r.key - 1)
    r.packet[13] = KEY_VOLUME | (0x80 if r.key_ends else 0)
    put16(r.packet + 14, r.key_long)
    if r.key_ends:
        r.key_ends -= 1
        if not r.key_ends:
            r.key = 0
    return 1 + first


cdef void keys_tick(Engine_ *e) noexcept nogil:
    """Far ends that control tells of keys: silence while one is down, and a word to control when it is up."""
    cdef int i, slot, key
    cdef Rtp *r
    for i in range(e.plan.n_told):
        slot = e.plan.told[i]
        r = e.term[slot].rtp
        key = key_heard(e, slot)
        if r.key and key != r.key:
            add_event(e, EV_KEY, slot, e.term[slot].serial, event_digit(r.key - 1), <uint64_t>r.key_long * 10, 0)
            r.key = 0
        if not key:
            continue
        if not r.key:
            r.key = <uint8_t>key
            r.key_long = 0
        if r.key_long < 0xFFFF:
            r.key_long += 1
        memset(e.octets_out + e.term[slot].out_row * BLOCK, silence(e.term[slot].law), BLOCK)


cdef void key_found(Engine_ *e, DTMFEvent *d) noexcept nogil:
    """A tone of the keypad has begun in the sound of a leg, or has ended."""
    cdef int code
    for code in range(16):
        if event_digit(code) == d.digit:
            e.keys_down[d.slot] = <uint8_t>(code + 1) if d.on else 0
