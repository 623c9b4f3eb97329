# distutils: include_dirs = drivers/tdm/native
# distutils: depends = drivers/tdm/native/bearer.h drivers/tdm/native/pseudowire.h drivers/tdm/native/pw_packet.h drivers/tdm/native/pw_playout.h drivers/tdm/native/e1_frame.h
"""The native half of drivers/tdm/cesopsn.py: one Pseudowire, whose `address` the media engine's tick is given.

Who gives it must keep it alive until the tick has let go of it.  take() and give() do by hand what the tick does, for tests:
never both at once."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    enum: AF_INET
    uint16_t htons(uint16_t)
    uint16_t ntohs(uint16_t)
    uint32_t htonl(uint32_t)
    uint32_t ntohl(uint32_t)

cdef extern from "pseudowire.h" nogil:
    enum: CESOPSN, SATOP, LEVELS, WRONGS
    struct bearer:
        void *state
        void (*take)(void *, uint8_t *, uint8_t *) noexcept nogil
        void (*give)(void *, const uint8_t *, const uint8_t *) noexcept nogil
        uint8_t idle
    struct pw_orders:
        int loop, loop_slot, rai, ais
    struct pw_playout:
        int frames, octets, depth, playing, level_mean
        uint64_t received, missing, filled, late, duplicates, reordered, far_away, repeated, left_out, overruns, underruns, resyncs
        uint32_t seconds
        float *level
    struct e1_send:
        int crc4, cas
    struct e1_receive:
        int crc4, cas, aligned, ais, rai, multiframe, searched, cas_found, cas_rai, cas_ones, cas_zeros
        uint32_t si
        uint64_t fas_errors, crc_errors, e_bits, losses
    struct pw:
        bearer bearer
        int fd, kind, rtp, payload_type, n_slots, frames, payload, with_abcd
        uint8_t *slot
        sockaddr_in remote
        pw_orders orders
        uint16_t seq
        uint32_t timestamp, ssrc
        uint64_t sent, send_errors
        int send_errno
        e1_send framer
        pw_playout playout
        e1_receive deframer
        uint64_t ticks
        int silent, ever, bad, remote_loss, remote_rdi
        uint64_t bad_packets
        uint64_t *wrong
        uint64_t strangers, signalling
        int wrong_size
        sockaddr_in stranger
    void pw_take(void *, uint8_t *, uint8_t *) noexcept nogil
    void pw_give(void *, const uint8_t *, const uint8_t *) noexcept nogil
    void e1_prepare() noexcept nogil

KINDS = {"cesopsn": CESOPSN, "satop": SATOP}
WRONG = ("good", "size", "bits", "rtp", "fragment")     # enum pw_wrong
LOOPS = {"none": 0, "local": 1, "remote": 2, "payload": 2, "timeslot": 3}
e1_prepare()


cdef class Pseudowire:
    """One endpoint.  fd: a UDP socket, which the owner keeps open; remote: (IPv4 address as int, port).

    slots: timeslots in the order of the packet; frames: of a packet; depth: frames of the jitter buffer; seq, timestamp, ssrc:
    random start values; abcd: the structure with CAS (CESoPSN), timeslot 16's multiframe (SAToP)."""

    cdef pw *p

    def __cinit__(self, str kind, int fd, remote, slots, int frames, int depth, int idle, rtp_payload_type, int abcd, int crc4,
                  int seq, timestamp, ssrc):
        cdef int k
        self.p = <pw *>calloc(1, sizeof(pw))
        if self.p == NULL:
            raise MemoryError("media: no memory for one more pseudowire")
        self.p.kind = KINDS[kind]
        self.p.fd = fd
        self.p.bearer.state = self.p
        self.p.bearer.take = pw_take
        self.p.bearer.give = pw_give
        self.p.bearer.idle = idle
        self.p.remote.sin_family = AF_INET
        self.p.remote.sin_addr.s_addr = htonl(remote[0])
        self.p.remote.sin_port = htons(remote[1])
        self.p.rtp = rtp_payload_type is not None
        self.p.payload_type = rtp_payload_type or 0
        self.p.frames = self.p.playout.frames = frames
        if self.p.kind == SATOP:
            self.p.n_slots = 32
            self.p.playout.octets = 32
            self.p.framer.crc4 = self.p.deframer.crc4 = crc4
            self.p.framer.cas = self.p.deframer.cas = abcd
            self.p.deframer.si = 0xFFFFFFFF
        else:
            self.p.n_slots = self.p.playout.octets = len(slots)
            for k in range(len(slots)):
                self.p.slot[k] = slots[k]
            self.p.with_abcd = abcd
        self.p.payload = frames * self.p.playout.octets
        self.p.playout.depth = depth
        self.p.seq = seq & 0xFFFF
        self.p.timestamp = timestamp & 0xFFFFFFFF
        self.p.ssrc = ssrc & 0xFFFFFFFF
        self.p.silent = 1

    def __dealloc__(self):
        free(self.p)

    @property
    def address(self):
        """Of its struct bearer."""
        return <uintptr_t>&self.p.bearer

    def order(self, str loop, int timeslot, int rai, int ais):
        """Loop (one of LOOPS), forced RAI and AIS; from the next tick on."""
        self.p.orders.loop_slot = timeslot
        self.p.orders.loop = LOOPS[loop]
        self.p.orders.rai = rai
        self.p.orders.ais = ais

    def take(self, uint8_t[::1] abcd):
        """By hand: the next block, bytes of 32 timeslots times 80; abcd: 32 octets, updated."""
        cdef uint8_t rows[2560]
        pw_take(self.p, rows, &abcd[0])
        return (<char *>rows)[:2560]

    def give(self, bytes rows, bytes abcd=bytes(32)):
        """By hand: one block for the far end."""
        assert len(rows) == 2560 and len(abcd) == 32
        pw_give(self.p, <const uint8_t *><char *>rows, <const uint8_t *><char *>abcd)

    def figures(self):
        """Counters since the start, and what is seen now; addresses as (int, port)."""
        cdef pw *p = self.p
        cdef pw_playout *b = &p.playout
        cdef e1_receive *r = &p.deframer
        told = {"ticks": p.ticks, "ever": bool(p.ever), "silent": bool(p.silent), "bad": bool(p.bad), "remote_loss": bool(p.remote_loss),
                "remote_rdi": bool(p.remote_rdi), "playing": bool(b.playing), "sent": p.sent, "send_errors": p.send_errors,
                "send_errno": p.send_errno, "received": b.received, "frames_played": b.filled, "frames_missing": b.missing,
                "late": b.late, "duplicates": b.duplicates, "reordered": b.reordered, "far_away": b.far_away, "bad_packets": p.bad_packets,
                "slips_repeated": b.repeated, "slips_left_out": b.left_out, "overruns": b.overruns, "underruns": b.underruns,
                "resyncs": b.resyncs, "level_frames": b.level_mean, "strangers": p.strangers, "signalling": p.signalling,
                "stranger": (ntohl(p.stranger.sin_addr.s_addr), ntohs(p.stranger.sin_port)) if p.strangers else None,
                "wrong": {WRONG[n]: p.wrong[n] for n in range(1, WRONGS)}, "wrong_size": p.wrong_size}
        if p.kind == SATOP:
            told["framing"] = {"aligned": bool(r.aligned), "ais": bool(r.ais), "rai": bool(r.rai), "multiframe": bool(r.multiframe),
                               "searched_frames": r.searched, "cas_found": bool(r.cas_found), "cas_rai": bool(r.cas_rai),
                               "cas_ones": bool(r.cas_ones), "cas_zeros": bool(r.cas_zeros), "fas_errors": r.fas_errors,
                               "crc_errors": r.crc_errors, "e_bits": r.e_bits, "losses": r.losses}
        return told

    def levels(self):
        """Mean level of each second, frames, oldest first: what came less what the box's clock took, slips left out of account."""
        cdef uint32_t n = self.p.playout.seconds, i
        return [self.p.playout.level[i % LEVELS] for i in range(n - LEVELS if n > LEVELS else 0, n)]

    def sizes(self):
        """(octets of a packet with its headers, octets of its payload)."""
        headers = 4 + 12 * self.p.rtp
        extra = (self.p.n_slots + 1) // 2 if self.p.with_abcd else 0
        return self.p.payload + headers + extra, self.p.payload + extra
