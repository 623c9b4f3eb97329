"""HDLC on timeslots; the public side and the reference are dsp/hdlc.py.

Bits of a TDM octet go out most significant first, an HDLC octet least
significant first: a TDM octet is mirrored once, then both sides work on words
whose least significant bit is the oldest.  An octet without a flag or an abort
is (de)stuffed by one table look-up; only the others are gone through bit by
bit.  A channel that idles repeats one octet and does not change its state: such
octets are skipped.

A slot with `mtp2` set carries signal units (dsp/hdlc.py): the transmitter repeats the last short
unit instead of flags, the receiver hands up a short unit once and counts its
repetitions and what Q.703 10.2 takes for errors.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef extern from *:
    """
    #define take_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
    #define give_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
    """
    uint64_t take_acquire(const uint64_t *) noexcept nogil
    void give_release(uint64_t *, uint64_t) noexcept nogil

cdef enum:
    LONGEST = 1024      # octets of a frame without FCS that a slot can hold
    QUEUE = 8192        # octets of a transmit queue, a power of two
    FLAG = 0x7E
    NOTHING_STEADY = 256
    SHORT = 5           # octets of the longest unit that is repeated (LSSU), Q.703 2.2
    COUNTED = 16        # octets that are an error in octet counting mode, Q.703 4.1.4
    TELL_ERRORS = 1     # bits of rx_slot.tell
    TELL_REPEATS = 2

cdef struct rx_slot:
    uint64_t frames         # good ones
    uint64_t octets         # of good ones, without FCS
    uint64_t fcs_errors
    uint64_t aborts
    uint64_t giants
    uint64_t shorts
    uint64_t residues       # not a whole number of octets
    uint64_t overruns       # good, but the caller had no room
    uint32_t max_octets
    uint32_t min_octets
    uint32_t ones           # run of ones so far; 7 means 7 or more
    uint32_t bits           # not yet an octet, oldest is the lowest bit
    uint32_t n_bits
    uint32_t in_frame
    uint32_t length
    uint32_t steady         # the octet that would change nothing
    uint32_t mtp2           # this slot carries signal units
    uint32_t tell           # what is handed up without a unit: TELL_ERRORS, TELL_REPEATS
    uint32_t counting       # octet counting mode
    uint32_t counted        # octets of it since the last error
    uint32_t repeats        # of the last short unit, and errors: since the last time that they were handed up
    uint32_t errors
    uint64_t all_repeats
    uint64_t all_errors
    uint32_t last_octets
    uint8_t last[12]
    uint8_t buffer[LONGEST + 104]

cdef struct tx_slot:
    uint64_t head           # consumer's
    uint64_t frames
    uint64_t octets
    uint64_t flags
    uint64_t bits
    uint32_t n_bits
    uint32_t ones
    uint32_t remaining      # octets of the frame being sent, FCS included
    uint32_t closing        # the flag behind a frame is due
    uint32_t mtp2           # repeat the last short unit instead of flags
    uint32_t fill_octets    # of that unit, FCS included
    uint64_t tail           # producer's, on a cache line of its own
    uint8_t fill[8]
    uint32_t from_fill      # the frame being sent is the repeated one
    uint32_t not_used_too
    uint64_t fills
    uint64_t not_used_three[4]
    uint8_t queue[QUEUE]

cdef struct frame_place:
    int32_t slot
    int32_t offset
    int32_t length          # 0: no unit, only what follows
    int32_t zero
    uint32_t repeats        # mtp2: of the unit before this one
    uint32_t errors         # mtp2: before this one

cdef struct destuffed:
    uint8_t bits
    uint8_t n_bits
    uint8_t ones
    uint8_t special         # a sixth one in it: bit by bit

cdef struct stuffed:
    uint16_t bits
    uint8_t n_bits
    uint8_t ones

cdef uint8_t mirror[256]
cdef uint16_t fcs_table[256]
cdef destuffed destuff[6][256]
cdef stuffed stuff[5][256]


cdef void make_tables() noexcept:
    cdef int octet, i, ones, bit
    cdef uint32_t value
    for octet in range(256):
        value = 0
        for i in range(8):
            value |= ((octet >> i) & 1) << (7 - i)
        mirror[octet] = <uint8_t>value
        value = octet
        for i in range(8):
            value = (value >> 1) ^ (0x8408 if value & 1 else 0)
        fcs_table[octet] = <uint16_t>value
    for ones in range(6):
        for octet in range(256):
            make_destuff(&destuff[ones][octet], ones, octet)
            if ones < 5:
                make_stuff(&stuff[ones][octet], ones, octet)


cdef void make_destuff(destuffed *entry, int ones, int octet) noexcept:
    cdef int i, bit
    memset(entry, 0, sizeof(destuffed))
    for i in range(8):
        bit = (octet >> i) & 1
        if bit:
            ones += 1
            if ones == 6:
                entry.special = 1
                return
            entry.bits |= <uint8_t>(1 << entry.n_bits)
            entry.n_bits += 1
        else:
            if ones < 5:
                entry.n_bits += 1
            ones = 0
    entry.ones = <uint8_t>ones


cdef void make_stuff(stuffed *entry, int ones, int octet) noexcept:
    cdef int i
    memset(entry, 0, sizeof(stuffed))
    for i in range(8):
        if (octet >> i) & 1:
            entry.bits |= <uint16_t>(1 << entry.n_bits)
            entry.n_bits += 1
            ones += 1
            if ones == 5:
                entry.n_bits += 1
                ones = 0
        else:
            entry.n_bits += 1
            ones = 0
    entry.ones = <uint8_t>ones


make_tables()


cdef inline uint16_t fcs_of(const uint8_t *octets, int64_t length) noexcept nogil:
    """The register after these octets, started with ones; 0xF0B8 over a good frame with its FCS."""
    cdef uint32_t register = 0xFFFF
    cdef int64_t i
    for i in range(length):
        register = (register >> 8) ^ fcs_table[(register ^ octets[i]) & 0xFF]
    return <uint16_t>register


cdef inline void keep_octets(rx_slot *s) noexcept nogil:
    """Move whole octets from the bits to the buffer; a frame that grows too long is given up."""
    while s.n_bits >= 8:
        if s.in_frame:
            if s.length >= s.max_octets + 2:
                s.giants += 1
                s.in_frame = 0
                s.counting = s.mtp2
            else:
                s.buffer[s.length] = <uint8_t>s.bits
                s.length += 1
        s.bits >>= 8
        s.n_bits -= 8


cdef struct sink:
    uint8_t *frames
    int64_t frames_octets
    int64_t used
    frame_place *index
    int64_t max_index
    int64_t count


cdef inline void error(rx_slot *s) noexcept nogil:
    s.errors += s.mtp2
    s.all_errors += s.mtp2


cdef inline void unit_error(rx_slot *s) noexcept nogil:
    """A unit in error; in octet counting mode its octets are counted already."""
    if not s.counting:
        error(s)


cdef int32_t hand_up(rx_slot *s, int32_t slot, int64_t length, sink *out) noexcept nogil:
    """A frame in the buffer, or with length 0 only the counts.  0: no room."""
    cdef frame_place *place
    if out.count >= out.max_index or out.used + length > out.frames_octets:
        return 0
    place = &out.index[out.count]
    place.slot, place.offset, place.length, place.zero = slot, <int32_t>out.used, <int32_t>length, 0
    place.repeats, place.errors = s.repeats, s.errors
    s.repeats = s.errors = 0
    memcpy(out.frames + out.used, s.buffer, length)
    out.count += 1
    out.used += length
    return 1


cdef inline int32_t is_repeated(rx_slot *s, int64_t length) noexcept nogil:
    """Whether a good unit is the short one that came last."""
    return s.mtp2 and length == s.last_octets and memcmp(s.buffer, s.last, length) == 0


cdef void frame_end(rx_slot *s, int32_t slot, sink *out) noexcept nogil:
    """A flag: what lies between it and the one before is judged.

    A flag leaves its zero and six ones in the bits, so 7 bits over are right."""
    cdef int64_t length
    if not s.in_frame or s.length == 0:
        return
    if s.n_bits != 7:
        s.residues += 1
        unit_error(s)
    elif s.length < s.min_octets + 2:
        s.shorts += 1
        unit_error(s)
    elif fcs_of(s.buffer, s.length) != 0xF0B8:
        s.fcs_errors += 1
        unit_error(s)
    else:
        length = s.length - 2
        s.counting = s.counted = 0
        if is_repeated(s, length):
            s.repeats += 1
            s.all_repeats += 1
        elif not hand_up(s, slot, length, out):
            s.overruns += 1
            s.last_octets = 0
            return
        elif s.mtp2:
            s.last_octets = <uint32_t>length if length <= SHORT else 0
            memcpy(s.last, s.buffer, s.last_octets)
        s.frames += 1
        s.octets += length


cdef void receive_octet(rx_slot *s, int32_t slot, uint32_t octet, sink *out) noexcept nogil:
    """octet: mirrored, oldest bit lowest."""
    cdef destuffed *entry
    cdef uint32_t i
    if s.ones < 6:
        entry = &destuff[s.ones][octet]
        if not entry.special:
            s.bits |= <uint32_t>entry.bits << s.n_bits
            s.n_bits += entry.n_bits
            s.ones = entry.ones
            keep_octets(s)
            return
    for i in range(8):
        if (octet >> i) & 1:
            if s.ones < 7:
                s.ones += 1
                if s.ones == 7:
                    if s.in_frame and s.length > 0:
                        s.aborts += 1
                    s.in_frame = 0
                    s.counting = s.mtp2
                else:
                    s.bits |= 1 << s.n_bits
                    s.n_bits += 1
        elif s.ones == 6:
            frame_end(s, slot, out)
            s.in_frame = 1
            s.length = s.bits = s.n_bits = s.ones = 0
        else:
            if s.ones != 5:
                s.n_bits += 1
            s.ones = 0
        keep_octets(s)


cdef int64_t receive(void *state, const int32_t *slot, const int32_t *row, int64_t n,
                     const uint8_t *octets, int64_t stride, int64_t n_octets,
                     uint8_t *frames, int64_t frames_octets, void *index, int64_t max_index) noexcept nogil:
    cdef int64_t i
    cdef sink out
    out.frames, out.frames_octets, out.used = frames, frames_octets, 0
    out.index, out.max_index, out.count = <frame_place *>index, max_index, 0
    for i in range(n):
        receive_row(&(<rx_slot *>state)[slot[i]], slot[i], octets + stride * row[i], n_octets, &out)
        if (<rx_slot *>state)[slot[i]].mtp2:
            tell(&(<rx_slot *>state)[slot[i]], slot[i], &out)
    return out.count


cdef void tell(rx_slot *s, int32_t slot, sink *out) noexcept nogil:
    """Behind a run of octets: what the layer above has asked to be told at once."""
    if (s.tell & TELL_ERRORS and s.errors) or (s.tell & TELL_REPEATS and s.repeats):
        hand_up(s, slot, 0, out)


cdef void count_octets(rx_slot *s, int64_t n_octets) noexcept nogil:
    """Octet counting mode."""
    s.counted += <uint32_t>n_octets
    while s.counted >= COUNTED:
        s.counted -= COUNTED
        error(s)


cdef void receive_row(rx_slot *s, int32_t slot, const uint8_t *octets, int64_t n_octets, sink *out) noexcept nogil:
    """A run of octets.  Inside a frame the state stays in registers until an octet is special."""
    cdef int64_t j = 0, before
    cdef uint32_t octet, ones, bits, n_bits, length, room
    cdef destuffed entry
    while j < n_octets:
        if octets[j] == s.steady:
            if s.counting:
                count_octets(s, 1)
            j += 1
            continue
        before = j
        if s.in_frame and s.ones < 6:
            s.steady = NOTHING_STEADY
            ones, bits, n_bits, length, room = s.ones, s.bits, s.n_bits, s.length, s.max_octets + 2
            while j < n_octets:
                entry = destuff[ones][mirror[octets[j]]]
                if entry.special or length >= room:
                    break
                bits |= <uint32_t>entry.bits << n_bits
                n_bits += entry.n_bits
                ones = entry.ones
                # The octet is written always and counted when it is whole: no branch to guess.
                s.buffer[length] = <uint8_t>bits
                length += n_bits >> 3
                bits >>= n_bits & 8
                n_bits &= 7
                j += 1
            s.ones, s.bits, s.n_bits, s.length = ones, bits, n_bits, length
            if s.counting:
                count_octets(s, j - before)
            if j == n_octets:
                return
        octet = octets[j]
        ones, bits, n_bits, room = s.ones, s.bits, s.n_bits, s.in_frame
        receive_octet(s, slot, mirror[octet], out)
        if s.ones == ones and s.bits == bits and s.n_bits == n_bits and s.in_frame == room and (s.length == 0 or not room):
            s.steady = octet
        else:
            s.steady = NOTHING_STEADY
        if s.counting:
            count_octets(s, 1)
        j += 1


cdef void rx_reset(void *state, int32_t slot) noexcept nogil:
    cdef rx_slot *s = &(<rx_slot *>state)[slot]
    s.ones = 7
    s.bits = s.n_bits = s.in_frame = s.length = 0
    s.steady = NOTHING_STEADY
    s.counting = s.mtp2
    s.counted = s.repeats = s.errors = s.last_octets = 0


cdef inline uint8_t queue_octet(tx_slot *s) noexcept nogil:
    cdef uint8_t octet = s.queue[s.head & (QUEUE - 1)]
    give_release(&s.head, s.head + 1)
    return octet


cdef void next_bits(tx_slot *s) noexcept nogil:
    """Append the next octet, stuffed, or a flag."""
    cdef stuffed *entry
    cdef uint32_t length, i
    cdef uint8_t octet
    if s.remaining == 0 and not s.closing and s.flags > 0:
        if take_acquire(&s.tail) != s.head:
            length = queue_octet(s)
            s.remaining = (length << 8) | queue_octet(s)
            s.from_fill = 0
            if s.mtp2 and s.remaining <= SHORT + 2:
                s.fill_octets = s.remaining
                for i in range(s.fill_octets):
                    s.fill[i] = s.queue[(s.head + i) & (QUEUE - 1)]
        elif s.mtp2 and s.fill_octets:
            s.remaining = s.fill_octets
            s.from_fill = 1
            s.fills += 1
    if s.remaining:
        octet = s.fill[s.fill_octets - s.remaining] if s.from_fill else queue_octet(s)
        entry = &stuff[s.ones][octet]
        s.bits |= <uint64_t>entry.bits << s.n_bits
        s.n_bits += entry.n_bits
        s.ones = entry.ones
        s.remaining -= 1
        s.octets += 1
        s.closing = s.remaining == 0
        return
    s.frames += s.closing
    s.flags += 1
    s.closing = 0
    s.bits |= <uint64_t>FLAG << s.n_bits
    s.n_bits += 8
    s.ones = 0


cdef void transmit(void *state, const int32_t *slot, const int32_t *row, int64_t n,
                   uint8_t *octets, int64_t stride, int64_t n_octets) noexcept nogil:
    cdef int64_t i, j
    cdef tx_slot *s
    cdef uint8_t *out
    for i in range(n):
        s = &(<tx_slot *>state)[slot[i]]
        out = octets + stride * row[i]
        for j in range(n_octets):
            while s.n_bits < 8:
                next_bits(s)
            out[j] = mirror[s.bits & 0xFF]
            s.bits >>= 8
            s.n_bits -= 8


cdef int32_t put(void *state, int32_t slot, const uint8_t *frame, int64_t length) noexcept nogil:
    cdef tx_slot *s = &(<tx_slot *>state)[slot]
    cdef uint64_t tail = s.tail
    cdef uint32_t fcs
    cdef int64_t i
    if length < 1 or length > LONGEST or room(state, slot) < length + 2:
        return 0
    fcs = fcs_of(frame, length) ^ 0xFFFF
    s.queue[tail & (QUEUE - 1)] = <uint8_t>((length + 2) >> 8)
    s.queue[(tail + 1) & (QUEUE - 1)] = <uint8_t>(length + 2)
    tail += 2
    for i in range(length):
        s.queue[(tail + i) & (QUEUE - 1)] = frame[i]
    tail += length
    s.queue[tail & (QUEUE - 1)] = <uint8_t>fcs
    s.queue[(tail + 1) & (QUEUE - 1)] = <uint8_t>(fcs >> 8)
    give_release(&s.tail, tail + 2)
    return 1


cdef int64_t room(void *state, int32_t slot) noexcept nogil:
    cdef tx_slot *s = &(<tx_slot *>state)[slot]
    # Two octets less, so that a frame takes length + 2 of it (its own length goes in front).
    return QUEUE - <int64_t>(take_acquire(&s.tail) - take_acquire(&s.head)) - 2


cdef void tx_reset(void *state, int32_t slot) noexcept nogil:
    cdef tx_slot *s = &(<tx_slot *>state)[slot]
    give_release(&s.head, take_acquire(&s.tail))
    s.bits = s.n_bits = s.ones = s.remaining = s.closing = 0
    s.flags = 0
    s.fill_octets = s.from_fill = 0


capi = {
    "receive": PyCapsule_New(<void *>receive, "int64_t (void *, const int32_t *, const int32_t *, int64_t, const uint8_t *, int64_t, int64_t, uint8_t *, int64_t, void *, int64_t)", NULL),
    "rx_reset": PyCapsule_New(<void *>rx_reset, "void (void *, int32_t)", NULL),
    "transmit": PyCapsule_New(<void *>transmit, "void (void *, const int32_t *, const int32_t *, int64_t, uint8_t *, int64_t, int64_t)", NULL),
    "put": PyCapsule_New(<void *>put, "int32_t (void *, int32_t, const uint8_t *, int64_t)", NULL),
    "room": PyCapsule_New(<void *>room, "int64_t (void *, int32_t)", NULL),
    "tx_reset": PyCapsule_New(<void *>tx_reset, "void (void *, int32_t)", NULL),
}
RX_SLOT_OCTETS, TX_SLOT_OCTETS, LONGEST_FRAME = sizeof(rx_slot), sizeof(tx_slot), LONGEST


def call_rx_reset(uint8_t[::1] state, int slot):
    rx_reset(&state[0], slot)


def call_tx_reset(uint8_t[::1] state, int slot):
    tx_reset(&state[0], slot)


def call_receive(uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows,
                 const uint8_t[:, ::1] octets, uint8_t[::1] frames, uint8_t[::1] index):
    """See dsp/hdlc.py. Returns the number of frames."""
    cdef int64_t count
    with nogil:
        count = receive(&state[0], &slots[0], &rows[0], slots.shape[0], &octets[0, 0], octets.shape[1], octets.shape[1],
                        &frames[0], frames.shape[0], &index[0], index.shape[0] // <int64_t>sizeof(frame_place))
    return count


def call_transmit(uint8_t[::1] state, const int32_t[::1] slots, const int32_t[::1] rows, uint8_t[:, ::1] octets):
    with nogil:
        transmit(&state[0], &slots[0], &rows[0], slots.shape[0], &octets[0, 0], octets.shape[1], octets.shape[1])


def call_put(uint8_t[::1] state, int slot, const uint8_t[::1] frame):
    return put(&state[0], slot, &frame[0], frame.shape[0])


def call_room(uint8_t[::1] state, int slot):
    return room(&state[0], slot)
