# distutils: include_dirs = drivers/tdm/native
# distutils: depends = drivers/tdm/native/bearer.h drivers/tdm/native/dahdi_span.h drivers/tdm/native/dahdi_io.h drivers/tdm/native/dahdi_hdlc.h
"""The native half of drivers/tdm/dahdi.py: one Span, whose `address` the media engine's tick is given.

Who gives it must keep it alive until the tick has let go of it.  take() and give() do by hand what the tick does, for tests:
never both at once."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

cdef extern from "dahdi_span.h" nogil:
    enum: DAHDI_NONE, DAHDI_OCTETS, DAHDI_FRAMES, DAHDI_CAS, GONE_TICKS, SILENT_TICKS
    struct bearer:
        void *state
        void (*take)(void *, uint8_t *, uint8_t *) noexcept nogil
        void (*give)(void *, const uint8_t *, const uint8_t *) noexcept nogil
        void (*look)(void *) noexcept nogil
        uint8_t idle
    struct hdlc_in:
        uint32_t ones
        uint16_t fcs
        uint64_t frames, wrong
    struct hdlc_out:
        uint64_t frames, dropped
    struct dahdi_channel:
        int fd, kind
        uint8_t abcd, look
        hdlc_in inward "in"
        hdlc_out out
    struct dahdi_orders:
        int loop, loop_slot
    struct dahdi_numbers:
        unsigned long get_event, get_rxbits, set_txbits, flush
    struct dahdi_health:
        int gone, error
        uint64_t events
    struct dahdi_span:
        bearer bearer
        dahdi_channel *slot
        dahdi_orders orders
        dahdi_numbers numbers
        dahdi_health health
        int lead, running, empty
        uint32_t head, tail
        uint64_t ticks, blocks, missing, left_out, given, not_taken, uneven, starved, resyncs
        uint8_t *sent
    void dahdi_take(void *, uint8_t *, uint8_t *) noexcept nogil
    void dahdi_give(void *, const uint8_t *, const uint8_t *) noexcept nogil
    void dahdi_look(void *) noexcept nogil
    void hdlc_next_in(hdlc_in *) noexcept nogil

KINDS = {"octets": DAHDI_OCTETS, "frames": DAHDI_FRAMES, "cas": DAHDI_CAS}
LOOPS = {"none": 0, "local": 1, "remote": 2, "payload": 2, "timeslot": 3}


cdef class Span:
    """channels: {timeslot: (descriptor, one of KINDS)}, which the owner keeps open; ioctls: (GETEVENT, GETRXBITS, SETTXBITS,
    FLUSH), 0: not to be asked."""

    cdef dahdi_span *p

    def __cinit__(self, dict channels, int idle, ioctls):
        cdef int slot
        self.p = <dahdi_span *>calloc(1, sizeof(dahdi_span))
        if self.p == NULL:
            raise MemoryError("media: no memory for one more span")
        self.p.bearer.state = self.p
        self.p.bearer.take = dahdi_take
        self.p.bearer.give = dahdi_give
        self.p.bearer.look = dahdi_look
        self.p.bearer.idle = idle
        self.p.numbers.get_event, self.p.numbers.get_rxbits, self.p.numbers.set_txbits, self.p.numbers.flush = ioctls
        for slot, (fd, kind) in sorted(channels.items()):
            self.p.slot[slot].fd = fd
            self.p.slot[slot].kind = KINDS[kind]
            self.p.slot[slot].abcd = 0xFF
            hdlc_next_in(&self.p.slot[slot].inward)
            if kind != "frames":
                self.p.lead = slot                  # the last one
        self.p.empty = SILENT_TICKS

    def __dealloc__(self):
        free(self.p)

    @property
    def address(self):
        """Of its struct bearer."""
        return <uintptr_t>&self.p.bearer

    def order(self, str loop, int timeslot):
        """Loop (one of LOOPS); from the next tick on."""
        self.p.orders.loop_slot = timeslot
        self.p.orders.loop = LOOPS[loop]

    def take(self, uint8_t[::1] abcd):
        """By hand, after a look: the next block, bytes of 32 timeslots times 80; abcd: 32 octets, updated."""
        cdef uint8_t rows[2560]
        dahdi_look(self.p)
        dahdi_take(self.p, rows, &abcd[0])
        return (<char *>rows)[:2560]

    def give(self, bytes rows, bytes abcd=bytes(32)):
        """By hand: one block for the far end."""
        assert len(rows) == 2560 and len(abcd) == 32
        dahdi_give(self.p, <const uint8_t *><char *>rows, <const uint8_t *><char *>abcd)

    def figures(self):
        """Counters since the start, and what is seen now."""
        cdef dahdi_span *p = self.p
        cdef int s
        frames = {"in": 0, "out": 0, "wrong": 0, "dropped": 0}
        for s in range(1, 32):
            frames["in"] += p.slot[s].out.frames
            frames["out"] += p.slot[s].inward.frames
            frames["wrong"] += p.slot[s].inward.wrong
            frames["dropped"] += p.slot[s].out.dropped
        return {"ticks": p.ticks, "blocks": p.blocks, "missing": p.missing, "left_out": p.left_out, "given": p.given,
                "not_taken": p.not_taken, "uneven": p.uneven, "starved": p.starved, "resyncs": p.resyncs, "events": p.health.events,
                "queued": (p.head - p.tail) if p.running else 0, "frames": frames, "gone": p.health.gone >= GONE_TICKS,
                "errno": p.health.error, "silent": p.empty >= SILENT_TICKS}
