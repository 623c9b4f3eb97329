"""Load for the benchmark of media: a board and RTP peers in one native thread.

    load = Load(window, sockets, [(address as int, port), ...], speech)
    threading.Thread(target=load.run).start(); ...; load.stop()

window: a bench window (firmware.media.bench.Window) whose rx ring already holds
speech.  Each 10 ms the heads advance, half of the peers send one packet of 160
octets and all read what media has sent them.  Nothing of this counts as
media's work: it runs on another processor, in another process.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from posix.time cimport clock_gettime, clock_nanosleep, timespec, CLOCK_MONOTONIC

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr:
        pass
    uint16_t htons(uint16_t)
    uint32_t htonl(uint32_t)

cdef extern from "sys/socket.h" nogil:
    enum: AF_INET
    enum: MSG_DONTWAIT
    ssize_t recvfrom(int, void *, size_t, int, sockaddr *, unsigned int *)
    ssize_t sendto(int, const void *, size_t, int, const sockaddr *, unsigned int)

cdef extern from *:
    """
    #define LOAD_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define LOAD_LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    """
    void store64 "LOAD_STORE"(uint64_t *, uint64_t) noexcept nogil
    uint64_t load64 "LOAD_LOAD"(uint64_t *) noexcept nogil


cdef struct Peer:
    int fd
    sockaddr_in to
    uint16_t seq
    uint32_t ts
    int64_t at
    uint64_t received


cdef class Load:
    """See the module docstring.  received, sent, late, missed: figures."""

    cdef Peer *peer
    cdef int n
    cdef uint8_t *base
    cdef const uint8_t *speech
    cdef int64_t speech_octets
    cdef object keep
    cdef int ended
    cdef readonly uint64_t sent
    cdef readonly uint64_t late          # instants at which this thread itself was over 5 ms late
    cdef readonly uint64_t missed        # blocks that media had not written in time

    def __cinit__(self, window, sockets, addresses, speech):
        cdef int i
        self.n = len(sockets)
        self.keep = (window, sockets, speech)
        self.base = <uint8_t *><uintptr_t>window.address if window is not None else NULL
        self.speech = <const uint8_t *><uintptr_t>speech.ctypes.data
        self.speech_octets = len(speech)
        self.peer = <Peer *>calloc(self.n + 1, sizeof(Peer))
        for i in range(self.n):
            self.peer[i].fd = sockets[i].fileno()
            self.peer[i].to.sin_family = AF_INET
            self.peer[i].to.sin_addr.s_addr = htonl(addresses[i][0])
            self.peer[i].to.sin_port = htons(addresses[i][1])
            self.peer[i].at = (i * 7919 * 160) % (self.speech_octets - 320)

    def __dealloc__(self):
        free(self.peer)

    def stop(self):
        """Let run() return."""
        self.ended = 1

    @property
    def received(self):
        """Packets that have come from media."""
        return sum(self.peer[i].received for i in range(self.n))

    cdef void exchange(self, int phase) noexcept nogil:
        cdef uint8_t packet[172]
        cdef uint8_t buffer[2048]
        cdef int i
        cdef Peer *p
        for i in range(self.n):
            p = &self.peer[i]
            if i % 2 == phase:
                packet[0] = 0x80
                packet[1] = 8
                packet[2] = p.seq >> 8
                packet[3] = p.seq & 255
                packet[4] = p.ts >> 24
                packet[5] = (p.ts >> 16) & 255
                packet[6] = (p.ts >> 8) & 255
                packet[7] = p.ts & 255
                packet[8] = packet[9] = 0
                packet[10] = (i >> 8) & 255
                packet[11] = i & 255
                memcpy(packet + 12, self.speech + p.at, 160)
                p.at = (p.at + 160) % (self.speech_octets - 320)
                p.seq += 1
                p.ts += 160
                if sendto(p.fd, packet, 172, MSG_DONTWAIT, <sockaddr *>&p.to, sizeof(sockaddr_in)) > 0:
                    self.sent += 1
            while recvfrom(p.fd, buffer, sizeof(buffer), MSG_DONTWAIT, NULL, NULL) > 0:
                p.received += 1

    cdef void advance(self) noexcept nogil:
        """One instant of the board, as the emulator does it."""
        cdef uint64_t *rx_head = <uint64_t *>(self.base + 0x040)
        cdef uint64_t *tx_head = <uint64_t *>(self.base + 0x048)
        cdef uint64_t written = load64(<uint64_t *>(self.base + 0x080))
        if written and tx_head[0] + 80 > written:
            self.missed += 1
        store64(tx_head, tx_head[0] + 80)
        store64(rx_head, rx_head[0] + 80)

    def run(self):
        """Until stop(); without the GIL."""
        cdef timespec t
        cdef int64_t due, now
        cdef int phase = 0
        with nogil:
            clock_gettime(CLOCK_MONOTONIC, &t)
            due = <int64_t>t.tv_sec * 1000000000 + t.tv_nsec
            while not self.ended:
                due += 10000000
                t.tv_sec = <long>(due // 1000000000)
                t.tv_nsec = <long>(due % 1000000000)
                clock_nanosleep(CLOCK_MONOTONIC, 1, &t, NULL)
                clock_gettime(CLOCK_MONOTONIC, &t)
                now = <int64_t>t.tv_sec * 1000000000 + t.tv_nsec
                if now - due > 5000000:
                    self.late += 1
                    due = now
                if self.base != NULL:
                    self.advance()
                self.exchange(phase)
                phase ^= 1
