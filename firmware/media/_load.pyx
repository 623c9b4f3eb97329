"""Load for the benchmark of media: a board and RTP peers in one native thread.

    load = Load(window, sockets, [(address as int, port), ...], speech)
    threading.Thread(target=load.run).start(); ...; load.stop()
    load.add(sock, (address, port))                     more peers, while it runs
    load.shared(socks); load.add_host((address, port))  a peer with an address of its own, HOSTS of them behind one of the sockets
    load.subscribers(octets, [(row, start, length), ...], [(delay, gain / 256), ...])
    load.first_host = 0x0AFB0001                        # before add_host(): the address of the first of them
    load.pace = 3                                       # before run(): the world's clock is three times slower

window: a bench window (firmware.media.bench.Window) whose rx ring already holds
speech.  With subscribers() each row (span index * 32 + timeslot) says its part of
`octets` (A-law, start and length multiples of 80) round and round, and returns an
echo of what media sends, by the taps given: samples of delay and gain.  Each 10 ms the heads advance, half of the peers send one packet of 160
octets and all read what media has sent them.  Peers of add_host() are machines of their own, from 127.64.0.1 on where nothing else is given, for HOSTS of which
one socket stands: their packets go and come in batches, since 2,000 sockets of other machines would not be on this
processor either.  Subscribers are worked on row by row with the kernels of dsp/: they would not be on it either.  Nothing of this counts as media's work: it runs in another process; but what sending costs the
kernel contains the way to the receiver's queue on loopback, so each side pays for the other's receiving: send_ns is this side's part
(bench_far.py has a network in which it is not).

With a pace of n the board hands over its 10 ms of sound each n * 10 ms.  All that it says is worked out before its heads move; from
then on this thread is still for half of that time, in which media's tick has all processors, and packets go and come in the other
half.  What media does in a tick is the same as at pace 1.
"""

from dsp import isa

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.time cimport clock_gettime, clock_nanosleep, timespec, CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID

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
    /* 80 samples that a subscriber says, and what comes back of h, which he hears: gains in 1 / 256. */
    static void with_echo(const int16_t *x, const int16_t *h, const int64_t *delay, const int32_t *gain, int taps, int16_t *y)
    {
        int32_t s[80];
        for (int f = 0; f < 80; f++) s[f] = x[f] * 256;
        for (int k = 0; k < taps; k++) {
            const int16_t *back = h - delay[k];
            for (int f = 0; f < 80; f++) s[f] += back[f] * gain[k];
        }
        for (int f = 0; f < 80; f++) {
            int32_t v = s[f] >> 8;
            y[f] = (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
        }
    }
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
    void with_echo(const int16_t *, const int16_t *, const int64_t *, const int32_t *, int, int16_t *) noexcept nogil
    void batch_put(int, uint32_t, const sockaddr_in *) noexcept nogil
    uint8_t *batch_octets(int) noexcept nogil
    long batch_send(int, int) noexcept nogil
    long batch_receive(int, uint8_t *) noexcept nogil


cdef struct Peer:
    int fd                             # -1: behind a shared socket
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
    HOSTS = 2 * BATCH                  # behind one socket: half of them send in a tick
    SHARED = PEERS // HOSTS
    BLOCK = 80
    TICK_NS = 10000000
    LATE_NS = 5000000

cdef inline uint64_t clock_ns(int which) noexcept nogil:
    cdef timespec t
    clock_gettime(which, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef void sleep_until(uint64_t ns) noexcept nogil:
    cdef timespec t
    t.tv_sec = <long>(ns // 1000000000)
    t.tv_nsec = <long>(ns % 1000000000)
    clock_nanosleep(CLOCK_MONOTONIC, 1, &t, NULL)


ctypedef void (*Turn)(const uint8_t *, int64_t, uint8_t *, int64_t, int64_t, int64_t) noexcept nogil
ctypedef void (*Expand)(int64_t, const uint8_t *, int16_t *, int64_t) noexcept nogil
ctypedef void (*Compress)(int64_t, const int16_t *, uint8_t *, int64_t) noexcept nogil


HOSTS_A_SOCKET = HOSTS


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
    cdef Turn to_rows, to_frames
    cdef Expand expand
    cdef Compress compress
    cdef int16_t heard_of[SUBSCRIBERS][2 * BLOCK]   # what a subscriber hears, this block and the one before
    cdef uint8_t line[2][COLUMNS * BLOCK]           # what media had written when the head passed it, by row: this block and the one before
    cdef uint8_t rows[COLUMNS * BLOCK]
    cdef int instant
    cdef int shared_fd[SHARED]
    cdef uint64_t shared_received
    cdef uint8_t heard_from[65536]     # by port of media, network order
    cdef readonly uint64_t sent
    cdef readonly uint64_t late          # instants at which this thread itself was over 5 ms late
    cdef readonly uint64_t send_ns       # processor time of sending, the way into media's queues with it
    cdef readonly uint64_t work_ns       # all of this thread's
    cdef public int pace
    cdef public uint32_t first_host
    cdef readonly uint64_t missed        # blocks that media had not written in time

    def __cinit__(self, window, sockets, addresses, speech):
        cdef int i
        self.pace = 1
        self.first_host = 0x7F400001
        self.keep = [window, sockets, speech]
        for i in range(SHARED):
            self.shared_fd[i] = -1
        self.base = <uint8_t *><uintptr_t>window.address if window is not None else NULL
        self.speech = <const uint8_t *><uintptr_t>speech.ctypes.data
        self.speech_octets = len(speech)
        self.peer = <Peer *>calloc(PEERS, sizeof(Peer))
        for sock, address in zip(sockets, addresses):
            self.add(sock, address)

    def add(self, sock, address):
        """One more RTP peer; the socket must stay open until run() has returned."""
        self.put(sock.fileno(), 0, address)

    def shared(self, socks):
        """The sockets of the peers that add_host() makes, HOSTS each in their order, bound to any address; they must stay open until run() has returned."""
        for i, sock in enumerate(socks):
            self.shared_fd[i] = sock.fileno()

    def add_host(self, address):
        """One more peer behind its shared socket; its address is host_number() of how many there were."""
        self.put(-1, htonl(self.host_number(self.n)), address)

    def host_number(self, n):
        """IPv4 address, as int, of the nth peer that has one of its own."""
        return self.first_host + n

    @property
    def peers(self):
        """How many there are."""
        return self.n

    @property
    def heard(self):
        """How many of media's ports have sent something to a shared socket."""
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
        p.at = <int64_t>self.n * 7919 * 160 % (self.speech_octets - 320)
        self.n += 1

    def subscribers(self, octets, rows, taps):
        """See above.  rows: those that are new; the others stay."""
        cdef int i
        self.keep.append(octets)
        if not self.n_says:
            self.to_rows = <Turn><uintptr_t>isa.pointer("_rows", "frames_to_rows")
            self.to_frames = <Turn><uintptr_t>isa.pointer("_rows", "rows_to_frames")
            self.expand = <Expand><uintptr_t>isa.pointer("_g711", "expand")
            self.compress = <Compress><uintptr_t>isa.pointer("_g711", "compress")
        self.octets = <const uint8_t *><uintptr_t>octets.ctypes.data
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

    cdef void send(self, int fd, int n) noexcept nogil:
        """What batch_put() has prepared."""
        cdef uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        self.sent += batch_send(fd, n)
        self.send_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began

    cdef void exchange(self, int phase) noexcept nogil:
        cdef uint8_t packet[172]
        cdef uint8_t buffer[2048]
        cdef int i, n = 0
        cdef Peer *p
        for i in range(self.n):
            p = &self.peer[i]
            if n and i % HOSTS == 0:
                self.send(self.shared_fd[i // HOSTS - 1], n)
                n = 0
            if p.fd < 0:
                if i % 2 == phase:
                    self.fill(i, batch_octets(n))
                    batch_put(n, p.host, &p.to)
                    n += 1
                continue
            if i % 2 == phase:
                self.fill(i, packet)
                if sendto(p.fd, packet, 172, MSG_DONTWAIT, <sockaddr *>&p.to, sizeof(sockaddr_in)) > 0:
                    self.sent += 1
            while recvfrom(p.fd, buffer, sizeof(buffer), MSG_DONTWAIT, NULL, NULL) > 0:
                p.received += 1
        if n:
            self.send(self.shared_fd[(self.n - 1) // HOSTS], n)
        for i in range((self.n + HOSTS - 1) // HOSTS):
            if self.shared_fd[i] >= 0:
                self.shared_received += batch_receive(self.shared_fd[i], self.heard_from)

    cdef void advance(self) noexcept nogil:
        """One instant of the board, as the emulator does it."""
        cdef uint64_t *rx_head = <uint64_t *>(self.base + 0x040)
        cdef uint64_t *tx_head = <uint64_t *>(self.base + 0x048)
        cdef uint64_t written = load64(<uint64_t *>(self.base + 0x080))
        cdef int late = written and tx_head[0] + 80 > written
        self.missed += late
        self.instant ^= 1
        if self.n_says and late:        # idle code goes out
            memset(self.line[self.instant], 0xD5, sizeof(self.line[0]))
        elif self.n_says:
            self.turn(self.base + 4096 + FRAMES * COLUMNS, tx_head[0], self.line[self.instant], 1)
        store64(tx_head, tx_head[0] + 80)
        if self.n_says:
            self.answer(rx_head[0], self.line[self.instant ^ 1])
        store64(rx_head, rx_head[0] + 80)

    cdef void turn(self, uint8_t *ring, uint64_t frame, uint8_t *rows, int to_rows) noexcept nogil:
        """80 frames of a ring from `frame` on to rows, or back."""
        cdef int64_t at = <int64_t>(frame % FRAMES), first = min(BLOCK, FRAMES - at)
        cdef Turn way = self.to_rows if to_rows else self.to_frames
        if to_rows:
            way(ring + at * COLUMNS, COLUMNS, rows, BLOCK, first, COLUMNS)
            if first < BLOCK:
                way(ring, COLUMNS, rows + first, BLOCK, BLOCK - first, COLUMNS)
        else:
            way(rows, BLOCK, ring + at * COLUMNS, COLUMNS, first, COLUMNS)
            if first < BLOCK:
                way(rows + first, BLOCK, ring, COLUMNS, BLOCK - first, COLUMNS)

    cdef void answer(self, uint64_t rx_frame, const uint8_t *line) noexcept nogil:
        """80 frames of all subscribers: what they say, and the echo of what was on the line, by row."""
        cdef int16_t x[BLOCK]
        cdef int16_t *heard
        cdef Says *s
        cdef int i
        for i in range(self.n_says):
            s = &self.says[i]
            heard = self.heard_of[i]
            memcpy(heard, heard + BLOCK, BLOCK * sizeof(int16_t))
            self.expand(0, line + s.row * BLOCK, heard + BLOCK, BLOCK)
            self.expand(0, self.octets + s.at, x, BLOCK)
            with_echo(x, heard + BLOCK, self.delay, self.gain, self.taps, x)
            self.compress(0, x, self.rows + s.row * BLOCK, BLOCK)
        self.turn(self.base + 4096, rx_frame, self.rows, 0)
        for i in range(self.n_says):
            s = &self.says[i]
            s.at += 80
            if s.at >= s.start + s.length:
                s.at = s.start

    def run(self):
        """Until stop(); without the GIL."""
        cdef uint64_t due, now, period = <uint64_t>self.pace * TICK_NS
        cdef int phase = 0
        with nogil:
            due = clock_ns(CLOCK_MONOTONIC)
            while not self.ended:
                due += period
                sleep_until(due)
                now = clock_ns(CLOCK_MONOTONIC)
                if now > due + LATE_NS:
                    self.late += 1
                    due = now
                if self.base != NULL:
                    self.advance()
                if self.pace > 1:
                    sleep_until(due + period // 2)
                self.exchange(phase)
                phase ^= 1
                self.work_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID)
