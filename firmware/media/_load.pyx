"""Load for the benchmark of media: a board and RTP peers in one native thread.

    load = Load(window, sockets, [(address as int, port), ...], speech)
    threading.Thread(target=load.run).start(); ...; load.stop()
    load.add(sock, (address, port))                     more peers, while it runs
    load.shared(sock); load.add_host((address, port))   a peer with an address of its own, all behind one socket
    load.subscribers(octets, [(row, start, length), ...], [(delay, gain / 256), ...])

window: a bench window (firmware.media.bench.Window) whose rx ring already holds
speech.  With subscribers() each row (span index * 32 + timeslot) says its part of
`octets` (A-law, start and length multiples of 80) round and round, and returns an
echo of what media sends, by the taps given: samples of delay and gain.  Each 10 ms the heads advance, half of the peers send one packet of 160
octets and all read what media has sent them.  Peers of add_host() are machines of their own, 127.64.x.y, which one
socket stands for: their packets go and come in batches, since 2,000 sockets of other machines would not be on this
processor either.  Nothing of this counts as media's work: it runs in another process; but what sending costs the
kernel contains the way to the receiver's queue on loopback, so each side pays for the other's receiving.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
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

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <string.h>
    #include <unistd.h>
    #include <stdint.h>
    #include <sys/syscall.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    enum { BATCH = 64, PACKET = 172 };
    struct load_message { struct msghdr h; unsigned int n; };      /* struct mmsghdr, which wants _GNU_SOURCE */
    struct load_info { int interface; struct in_addr from, to; };  /* struct in_pktinfo: the same */
    static struct {
        struct load_message m[BATCH];
        struct iovec piece[BATCH];
        struct sockaddr_in to[BATCH];
        union { char room[CMSG_SPACE(sizeof(struct load_info))]; struct cmsghdr align; } control[BATCH];
        uint8_t octets[BATCH][PACKET];
    } out;
    static void batch_put(int i, uint32_t from, const struct sockaddr_in *to)
    {
        struct cmsghdr *c = (struct cmsghdr *)out.control[i].room;
        struct load_info info = { 0, { from }, { 0 } };
        c->cmsg_level = IPPROTO_IP; c->cmsg_type = 8 /* IP_PKTINFO */; c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
        out.to[i] = *to;
        out.piece[i].iov_base = out.octets[i]; out.piece[i].iov_len = PACKET;
        memset(&out.m[i], 0, sizeof out.m[i]);
        out.m[i].h.msg_name = &out.to[i]; out.m[i].h.msg_namelen = sizeof out.to[i];
        out.m[i].h.msg_iov = &out.piece[i]; out.m[i].h.msg_iovlen = 1;
        out.m[i].h.msg_control = &out.control[i]; out.m[i].h.msg_controllen = sizeof out.control[i];
    }
    static uint8_t *batch_octets(int i) { return out.octets[i]; }
    static long batch_send(int fd, int n)
    {
        long gone = 0;
        for (int i = 0; i < n;) {
            long k = syscall(SYS_sendmmsg, fd, out.m + i, n - i, MSG_DONTWAIT);
            if (k > 0) gone += k;
            i += k > 0 ? k : 1;
        }
        return gone;
    }
    static long batch_receive(int fd, uint8_t *heard)       /* all there is; marks the ports that it came from */
    {
        static struct load_message m[BATCH];
        static struct iovec piece[BATCH];
        static struct sockaddr_in from[BATCH];
        static uint8_t octets[BATCH][PACKET];
        long all = 0;
        for (;;) {
            for (int i = 0; i < BATCH; i++) {
                piece[i].iov_base = octets[i]; piece[i].iov_len = PACKET;
                memset(&m[i], 0, sizeof m[i]);
                m[i].h.msg_name = &from[i]; m[i].h.msg_namelen = sizeof from[i];
                m[i].h.msg_iov = &piece[i]; m[i].h.msg_iovlen = 1;
            }
            long n = syscall(SYS_recvmmsg, fd, m, BATCH, MSG_DONTWAIT, NULL);
            for (long i = 0; i < n; i++) heard[from[i].sin_port] = 1;
            if (n > 0) all += n;
            if (n < BATCH) return all;
        }
    }
    """
    enum: BATCH
    void batch_put(int, uint32_t, const sockaddr_in *) noexcept nogil
    uint8_t *batch_octets(int) noexcept nogil
    long batch_send(int, int) noexcept nogil
    long batch_receive(int, uint8_t *) noexcept nogil


cdef struct Peer:
    int fd                             # -1: behind the shared socket
    uint32_t host                      # then its address, network order
    sockaddr_in to
    uint16_t seq
    uint32_t ts
    int64_t at
    uint64_t received


cdef struct Says:
    int32_t row
    int64_t start
    int64_t length
    int64_t at


cdef enum:
    SUBSCRIBERS = 2048
    PEERS = 4096
    FRAMES = 2048                      # of a ring, as firmware.media.bench.Window lays it out
    COLUMNS = 2048


cdef class Load:
    """See the module docstring.  received, sent, late, missed: figures."""

    cdef Peer *peer
    cdef int n
    cdef uint8_t *base
    cdef const uint8_t *speech
    cdef int64_t speech_octets
    cdef object keep
    cdef int ended
    cdef Says says[SUBSCRIBERS]
    cdef int n_says
    cdef const uint8_t *octets
    cdef int taps
    cdef int64_t delay[8]
    cdef int32_t gain[8]
    cdef int16_t linear[256]
    cdef uint8_t law[8192]
    cdef int shared_fd
    cdef uint64_t shared_received
    cdef uint8_t heard_from[65536]     # by port of media, network order
    cdef readonly uint64_t sent
    cdef readonly uint64_t late          # instants at which this thread itself was over 5 ms late
    cdef readonly uint64_t missed        # blocks that media had not written in time

    def __cinit__(self, window, sockets, addresses, speech):
        cdef int i
        self.keep = [window, sockets, speech]
        self.shared_fd = -1
        self.base = <uint8_t *><uintptr_t>window.address if window is not None else NULL
        self.speech = <const uint8_t *><uintptr_t>speech.ctypes.data
        self.speech_octets = len(speech)
        self.peer = <Peer *>calloc(PEERS, sizeof(Peer))
        for sock, address in zip(sockets, addresses):
            self.add(sock, address)

    def add(self, sock, address):
        """One more RTP peer; the socket must stay open until run() has returned."""
        self.put(sock.fileno(), 0, address)

    def shared(self, sock):
        """The socket of all peers that add_host() makes, bound to any address; it must stay open until run() has returned."""
        self.shared_fd = sock.fileno()

    def add_host(self, address):
        """One more peer behind the shared socket; its address is host_number() of how many there were."""
        self.put(-1, htonl(self.host_number(self.n)), address)

    @staticmethod
    def host_number(n):
        """IPv4 address, as int, of the nth peer that has one of its own."""
        return 0x7F400000 + n + 1

    @property
    def peers(self):
        """How many there are."""
        return self.n

    @property
    def heard(self):
        """How many of media's ports have sent something to the shared socket."""
        return sum(self.heard_from[i] for i in range(65536))

    cdef put(self, int fd, uint32_t host, address):
        cdef Peer *p = &self.peer[self.n]
        if self.n == PEERS:
            raise ValueError("the load holds %d peers" % PEERS)
        p.fd = fd
        p.host = host
        p.to.sin_family = AF_INET
        p.to.sin_addr.s_addr = htonl(address[0])
        p.to.sin_port = htons(address[1])
        p.at = (self.n * 7919 * 160) % (self.speech_octets - 320)
        self.n += 1

    def subscribers(self, octets, rows, taps):
        """See above.  rows: those that are new; the others stay."""
        cdef int i
        from dsp import g711
        import numpy
        self.keep.append(octets)
        self.octets = <const uint8_t *><uintptr_t>octets.ctypes.data
        for i, value in enumerate(g711.expand(numpy.arange(256, dtype=numpy.uint8), 0)):
            self.linear[i] = value
        for i, value in enumerate(g711.compress((numpy.arange(8192) * 8 - 32764).astype(numpy.int16), 0)):
            self.law[i] = value
        for i, (delay, gain) in enumerate(taps):
            self.delay[i], self.gain[i] = delay, round(gain * 256)
        self.taps = len(taps)
        for row, start, length in rows:
            self.says[self.n_says] = Says(row, start, length, start)
            self.n_says += 1

    def __dealloc__(self):
        free(self.peer)

    def stop(self):
        """Let run() return."""
        self.ended = 1

    @property
    def received(self):
        """Packets that have come from media."""
        return self.shared_received + sum(self.peer[i].received for i in range(self.n))

    cdef void fill(self, int i, uint8_t *packet) noexcept nogil:
        """The next packet of a peer: 172 octets."""
        cdef Peer *p = &self.peer[i]
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

    cdef void exchange(self, int phase) noexcept nogil:
        cdef uint8_t packet[172]
        cdef uint8_t buffer[2048]
        cdef int i, n = 0
        cdef Peer *p
        for i in range(self.n):
            p = &self.peer[i]
            if p.fd < 0:
                if i % 2 == phase:
                    self.fill(i, batch_octets(n))
                    batch_put(n, p.host, &p.to)
                    n += 1
                if n == BATCH:
                    self.sent += batch_send(self.shared_fd, n)
                    n = 0
                continue
            if i % 2 == phase:
                self.fill(i, packet)
                if sendto(p.fd, packet, 172, MSG_DONTWAIT, <sockaddr *>&p.to, sizeof(sockaddr_in)) > 0:
                    self.sent += 1
            while recvfrom(p.fd, buffer, sizeof(buffer), MSG_DONTWAIT, NULL, NULL) > 0:
                p.received += 1
        if n:
            self.sent += batch_send(self.shared_fd, n)
        if self.shared_fd >= 0:
            self.shared_received += batch_receive(self.shared_fd, self.heard_from)

    cdef void advance(self) noexcept nogil:
        """One instant of the board, as the emulator does it."""
        cdef uint64_t *rx_head = <uint64_t *>(self.base + 0x040)
        cdef uint64_t *tx_head = <uint64_t *>(self.base + 0x048)
        cdef uint64_t written = load64(<uint64_t *>(self.base + 0x080))
        cdef uint64_t i
        if written and tx_head[0] + 80 > written:
            self.missed += 1
            if self.n_says:             # idle code goes out
                for i in range(tx_head[0], tx_head[0] + 80):
                    memset(self.base + 4096 + (FRAMES + i % FRAMES) * COLUMNS, 0xD5, COLUMNS)
        store64(tx_head, tx_head[0] + 80)
        if self.n_says:
            self.answer(rx_head[0], tx_head[0] - 160)
        store64(rx_head, rx_head[0] + 80)

    cdef void answer(self, uint64_t rx_frame, uint64_t tx_frame) noexcept nogil:
        """80 frames of all subscribers: what they say, and the echo of what was on the line from tx_frame on."""
        cdef uint8_t *rx
        cdef const uint8_t *tx[8]
        cdef const uint8_t *all_tx = self.base + 4096 + FRAMES * COLUMNS
        cdef Says *s
        cdef int f, i, k, taps = self.taps
        cdef int32_t y
        for f in range(80):
            rx = self.base + 4096 + ((rx_frame + f) % FRAMES) * COLUMNS
            for k in range(taps):
                tx[k] = all_tx + ((tx_frame + f + FRAMES - self.delay[k]) % FRAMES) * COLUMNS
            for i in range(self.n_says):
                s = &self.says[i]
                y = self.linear[self.octets[s.at + f]] * 256
                for k in range(taps):
                    y += self.linear[tx[k][s.row]] * self.gain[k]
                y = (y >> 8) + 32768
                rx[s.row] = self.law[(0 if y < 0 else 65535 if y > 65535 else y) >> 3]
        for i in range(self.n_says):
            s = &self.says[i]
            s.at += 80
            if s.at >= s.start + s.length:
                s.at = s.start

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
