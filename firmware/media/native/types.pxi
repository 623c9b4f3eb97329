# C declarations and the structures of the tick.  Included by _engine.pyx.
#
# Rows.  octets_in and octets_out hold 80 law octets a row: row span*32+timeslot
# for a timeslot, TDM_ROWS+slot for an RTP termination.  linear_in and linear_out
# hold int16 samples, row = slot; only rows that the plan names are filled.

from libc.stdint cimport (int8_t, int16_t, int32_t, int64_t, intptr_t, uint8_t, uint16_t,
                          uint32_t, uint64_t, uintptr_t)
cdef extern from *:
    int popcount "__builtin_popcount"(unsigned int) nogil

from libc.string cimport memcmp, memcpy, memset
from libc.stdlib cimport calloc, free
from libc.math cimport cos, sin
from libc.errno cimport EAGAIN, errno
from posix.types cimport off_t
from posix.mman cimport mmap, munmap, MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE
from posix.unistd cimport read, write, close, pwrite, pread
from posix.time cimport (clock_gettime, clock_nanosleep, timespec, CLOCK_MONOTONIC,
                         CLOCK_REALTIME, CLOCK_THREAD_CPUTIME_ID)

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
    uint16_t ntohs(uint16_t)
    uint32_t htonl(uint32_t)
    uint32_t ntohl(uint32_t)

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    enum: EPOLL_CLOEXEC
    enum: EPOLLIN
    enum: EPOLLERR
    int epoll_create1(int)

cdef extern from *:
    """
    #include <stdint.h>
    #include <xmmintrin.h>
    #define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    /* Denormals to zero: the flag is per thread (MXCSR bits 15 and 6). */
    static void flush_denormals(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }
    static void interleave(uint8_t *restrict to, const uint8_t *restrict left, const uint8_t *restrict right, int n)
    { for (int i = 0; i < n; i++) { to[2 * i] = left[i]; to[2 * i + 1] = right[i]; } }
    /* Zeroed memory in pages of 2 MB where the kernel has them: a tick walks through all of it, and on pages of 4 KB
       most of its walk would miss the processor's table of pages as well as its caches.  All memory of media is locked, so the kernel finds
       the pages as soon as they may be written: not before it knows that they shall be large, nor for what lies around them. */
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    enum { LARGE_PAGE = 2 << 20 };
    static size_t large_octets(size_t n) { return (n + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE; }
    static void *large_calloc(size_t n)
    {
        size_t whole = large_octets(n);
        char *all = mmap(NULL, whole + LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p;
        if (all == MAP_FAILED)
            return NULL;
        p = (char *)large_octets((uintptr_t)all);
        if (p > all)
            munmap(all, p - all);
        munmap(p + whole, all + LARGE_PAGE - p);
        madvise(p, whole, MADV_HUGEPAGE);
        if (mprotect(p, whole, PROT_READ | PROT_WRITE)) {
            munmap(p, whole);
            return NULL;
        }
        return memset(p, 0, whole);
    }
    static void large_free(void *p, size_t n) { if (p) munmap(p, large_octets(n)); }
    /* Pieces of one size, many to a page; kept for ever, used again.  Command thread only. */
    static struct piece { struct piece *next; } *pieces;
    static void *take_piece(size_t n)
    {
        n = (n + 63) / 64 * 64;
        if (!pieces) {
            char *page = large_calloc(LARGE_PAGE);
            if (!page)
                return NULL;
            for (size_t at = LARGE_PAGE / n * n; at; at -= n) {
                struct piece *p = (struct piece *)(page + at - n);
                p->next = pieces;
                pieces = p;
            }
        }
        struct piece *p = pieces;
        pieces = p->next;
        return memset(p, 0, n);
    }
    static void give_piece(void *p)
    { if (p) { ((struct piece *)p)->next = pieces; pieces = p; } }
    static inline void prefetch(const void *p, int lines)
    { for (int i = 0; i < lines; i++) __builtin_prefetch((const char *)p + 64 * i, 1, 3); }
    static int64_t dot(const int16_t *a, const int16_t *b, int n)
    { int64_t s = 0; for (int i = 0; i < n; i++) s += (int32_t)a[i] * b[i]; return s; }
    /* The C library's own calls are cancellation points, which costs a tenth of the tick. */
    #include <sys/syscall.h>
    #include <unistd.h>
    #define receive_from(fd, p, n, flags, from, length) syscall(SYS_recvfrom, (fd), (p), (n), (flags), (from), (length))
    #define send_to(fd, p, n, flags, to, length) syscall(SYS_sendto, (fd), (p), (n), (flags), (to), (length))
    /* One datagram and when the kernel got it (SO_TIMESTAMPNS; 0 where it does not say).  The length may be above n. */
    #include <string.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    #include <sys/epoll.h>
    #include <time.h>
    static long receive_stamped(int fd, void *p, size_t n, struct sockaddr_in *from, uint64_t *ns)
    {
        union { char room[64]; struct cmsghdr align; } control;
        struct iovec piece = { p, n };
        struct msghdr m = { .msg_name = from, .msg_namelen = sizeof *from, .msg_iov = &piece, .msg_iovlen = 1,
                            .msg_control = control.room, .msg_controllen = sizeof control.room };
        long got = syscall(SYS_recvmsg, fd, &m, MSG_DONTWAIT | MSG_TRUNC);
        *ns = 0;
        if (got < 0)
            return got;
        if (m.msg_namelen < sizeof *from)
            from->sin_port = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec t;
                memcpy(&t, CMSG_DATA(c), sizeof t);
                *ns = (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
            }
        return got;
    }
    /* How many of our packets the far host refused (ICMP port, host or net unreachable, ip(7) IP_RECVERR). */
    #include <linux/errqueue.h>
    static int take_refusals(int fd)
    {
        int refused = 0;
        for (int i = 0; i < 8; i++) {
            char octets[64];
            union { char room[128]; struct cmsghdr align; } control;
            struct iovec piece = { octets, sizeof octets };
            struct msghdr m = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room };
            if (syscall(SYS_recvmsg, fd, &m, MSG_DONTWAIT | MSG_ERRQUEUE) < 0)
                break;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
                if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR)
                    refused += ((struct sock_extended_err *)CMSG_DATA(c))->ee_origin == SO_EE_ORIGIN_ICMP;
        }
        return refused;
    }
    enum { BUNDLE_HEADER = 28 };       /* octets of IPv4 and UDP in front of a packet: native/bundle.pxi */
    /* What is watched: the slot and whether it is the RTCP socket, or that of the slot's unit. */
    #define OF_RTCP ((uint64_t)1 << 32)
    #define OF_UNIT ((uint64_t)1 << 33)
    static int watch_socket(int epoll_fd, int fd, uint64_t what)
    { struct epoll_event v = { .events = EPOLLIN, .data.u64 = what }; return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &v); }
    static int unwatch_socket(int epoll_fd, int fd)
    { struct epoll_event v = { 0 }; return epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, &v); }
    #define poll_sockets_now(fd, v, n) syscall(SYS_epoll_wait, (fd), (v), (n), 0)
    """
    long receive_stamped(int, void *, size_t, sockaddr_in *, uint64_t *) noexcept nogil
    int take_refusals(int) noexcept nogil
    enum: BUNDLE_HEADER
    uint64_t OF_RTCP
    uint64_t OF_UNIT
    int watch_socket(int, int, uint64_t) noexcept nogil
    int unwatch_socket(int, int) noexcept nogil
    long poll_sockets_now(int, epoll_event *, int) noexcept nogil
    uint64_t load64 "LOAD"(uint64_t *) noexcept nogil
    uint32_t load32 "LOAD"(uint32_t *) noexcept nogil
    void store64 "STORE"(uint64_t *, uint64_t) noexcept nogil
    void store32 "STORE"(uint32_t *, uint32_t) noexcept nogil
    void flush_denormals() noexcept nogil
    void prefetch(const void *, int) noexcept nogil
    enum: LARGE_PAGE
    void *large_calloc(size_t)
    void large_free(void *, size_t)
    void *take_piece(size_t)
    void give_piece(void *)
    void interleave(uint8_t *, const uint8_t *, const uint8_t *, int) noexcept nogil
    int64_t dot(const int16_t *, const int16_t *, int) noexcept nogil

cdef extern from "fax_line.h" nogil:
    struct fax_line:                   # _t38.pyx
        void *state
        void (*speak)(void *, int16_t *, int) noexcept nogil
        int (*hear)(void *, const int16_t *, int) noexcept nogil

cdef extern from "bearer.h" nogil:
    struct bearer:                     # drivers/tdm/native/
        void *state
        void (*take)(void *, uint8_t *, uint8_t *) noexcept nogil
        void (*give)(void *, const uint8_t *, const uint8_t *) noexcept nogil
        void (*look)(void *) noexcept nogil
        uint8_t idle

cdef extern from "sys/socket.h" nogil:
    enum: AF_INET
    enum: MSG_DONTWAIT
    enum: MSG_TRUNC

cdef extern from "<semaphore.h>" nogil:
    ctypedef struct sem_t:
        pass
    int sem_init(sem_t *, int, unsigned int)
    int sem_post(sem_t *)
    int sem_wait(sem_t *)
    int sem_trywait(sem_t *)

cdef extern from *:
    """
    #include <sched.h>
    #define ADD(p, n) __atomic_fetch_add((p), (n), __ATOMIC_ACQ_REL)
    static void lock(uint32_t *p)
    { for (int i = 0; __atomic_exchange_n(p, 1, __ATOMIC_ACQUIRE); i++) if (i < 1000) _mm_pause(); else sched_yield(); }
    static void unlock(uint32_t *p) { __atomic_store_n(p, 0, __ATOMIC_RELEASE); }
    #include <linux/futex.h>
    /* Sleep until wake_word(), 1 ms at most, or not at all where the word has another value already. */
    static void wait_word(uint32_t *p, uint32_t value)
    { struct timespec most = { 0, 1000000 }; syscall(SYS_futex, p, FUTEX_WAIT_PRIVATE, value, &most, NULL, 0); }
    static void wake_word(uint32_t *p) { syscall(SYS_futex, p, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }
    """
    void wait_word(uint32_t *, uint32_t) noexcept nogil
    void wake_word(uint32_t *) noexcept nogil
    uint32_t add32 "ADD"(uint32_t *, uint32_t) noexcept nogil
    uint64_t add64 "ADD"(uint64_t *, uint64_t) noexcept nogil
    void lock(uint32_t *) noexcept nogil
    void unlock(uint32_t *) noexcept nogil
    void pause_processor "_mm_pause"() noexcept nogil
    int sched_yield() noexcept nogil

cdef extern from *:
    ssize_t recvfrom "receive_from"(int, void *, size_t, int, sockaddr *, unsigned int *) noexcept nogil
    ssize_t sendto "send_to"(int, const void *, size_t, int, const sockaddr *, unsigned int) noexcept nogil

# Kernels of dsp/: the signatures are checked against the capsules' names.
ctypedef int64_t (*AMDDetect)(void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, const uint8_t *, void *, int64_t) noexcept nogil
ctypedef void (*AMDStart)(void *, int32_t, const int32_t *) noexcept nogil
ctypedef void (*FramesToRows)(const uint8_t *, int64_t, uint8_t *, int64_t, int64_t, int64_t) noexcept nogil
ctypedef void (*ExpandRows)(const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, const uint8_t *, int64_t, int64_t) noexcept nogil
ctypedef void (*CompressRows)(const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, const uint8_t *, int64_t, int64_t) noexcept nogil
ctypedef void (*Expand)(int64_t, const uint8_t *, int16_t *, int64_t) noexcept nogil
ctypedef void (*Compress)(int64_t, const int16_t *, uint8_t *, int64_t) noexcept nogil
ctypedef void (*Convert)(int64_t, const uint8_t *, uint8_t *, int64_t) noexcept nogil
ctypedef void (*MixBridges)(const int16_t *, int64_t, int16_t *, int64_t, const int32_t *, const int32_t *, int64_t, int64_t) noexcept nogil
ctypedef void (*MixRoutes)(const int16_t *, int64_t, int16_t *, int64_t, const int32_t *, const int32_t *, const int32_t *, const int32_t *, int64_t, int64_t) noexcept nogil
ctypedef int64_t (*DTMFDetect)(void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, void *, int64_t) noexcept nogil
ctypedef void (*ResetSlot)(void *, int32_t) noexcept nogil
ctypedef int32_t (*WSOLABlock)(void *, int32_t, int16_t *) noexcept nogil
ctypedef void (*WSOLAPut)(void *, const int16_t *, int32_t) noexcept nogil
ctypedef int32_t (*WSOLAAhead)(const void *) noexcept nogil
ctypedef void (*IMAEncode)(int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t,
                           const int32_t *, int64_t, int64_t) noexcept nogil
ctypedef void (*G726Encode)(int32_t, int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t,
                            const int32_t *, int64_t, int64_t) noexcept nogil
ctypedef void (*G726Decode)(int32_t, int32_t, void *, const int32_t *, const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t,
                            const int32_t *, int64_t, int64_t) noexcept nogil
ctypedef void (*G722Encode)(int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t,
                            const int32_t *, int64_t, int64_t) noexcept nogil
ctypedef void (*ToneStart)(void *, int32_t, int32_t, int64_t) noexcept nogil
ctypedef void (*ToneGenerate)(const void *, void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, int64_t, int32_t *) noexcept nogil
ctypedef void (*PLCConceal)(void *, const int32_t *, const int32_t *, const uint8_t *, int64_t, int16_t *, int64_t) noexcept nogil
ctypedef int64_t (*HDLCReceive)(void *, const int32_t *, const int32_t *, int64_t, const uint8_t *, int64_t, int64_t, uint8_t *, int64_t, void *, int64_t) noexcept nogil
ctypedef void (*HDLCTransmit)(void *, const int32_t *, const int32_t *, int64_t, uint8_t *, int64_t, int64_t) noexcept nogil
ctypedef int64_t (*HDLCRoom)(void *, int32_t) noexcept nogil
ctypedef int32_t (*HDLCPut)(void *, int32_t, const uint8_t *, int64_t) noexcept nogil
ctypedef void (*EchoCancel)(void *, const int32_t *, const int32_t *, const int32_t *, const uint8_t *, int64_t, const int16_t *, int64_t, int16_t *, int64_t, int64_t) noexcept nogil
ctypedef void (*EchoReset)(void *, int32_t, int64_t) noexcept nogil
ctypedef void (*NoiseReduce)(void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t) noexcept nogil
ctypedef void (*LevelControl)(void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, const uint8_t *) noexcept nogil
ctypedef void (*LevelConfigure)(void *, int32_t, float, float, float, float, float) noexcept nogil
ctypedef void (*VADDetect)(void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, float *) noexcept nogil

ctypedef int64_t (*MFDetect)(const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t) noexcept nogil

cdef struct Kernels:
    FramesToRows frames_to_rows
    FramesToRows rows_to_frames
    ExpandRows expand_rows
    CompressRows compress_rows
    Expand expand
    Compress compress
    Convert convert
    WSOLABlock wsola_block
    WSOLAPut wsola_put
    WSOLAAhead wsola_ahead
    IMAEncode ima_encode
    G726Encode g726_encode
    ResetSlot g726_reset
    G726Decode g726_decode
    G722Encode g722_encode
    G726Decode g722_decode             # one shape
    ResetSlot g722_reset
    void *g722_state
    void *g726_state
    MixBridges mix_bridges
    MixRoutes mix_routes
    DTMFDetect dtmf_detect
    DTMFDetect modem_detect            # one shape
    AMDDetect amd_detect
    AMDStart amd_start
    ResetSlot modem_reset
    void *modem_state
    void *amd_state
    ResetSlot dtmf_reset
    ToneStart tone_start
    ToneGenerate tone_generate
    PLCConceal plc_conceal
    ResetSlot plc_reset
    HDLCReceive hdlc_receive
    HDLCTransmit hdlc_transmit
    HDLCPut hdlc_put
    HDLCRoom hdlc_room
    ResetSlot hdlc_rx_reset
    ResetSlot hdlc_tx_reset
    EchoCancel echo_cancel
    EchoReset echo_reset
    NoiseReduce noise_reduce
    ResetSlot noise_reset
    LevelControl level_control
    LevelConfigure level_configure
    VADDetect vad_detect
    ResetSlot vad_reset
    MFDetect mf_detect
    ResetSlot mf_reset
    MFDetect progress_detect           # one shape
    ResetSlot progress_reset
    void *progress_state
    MFDetect fsk_detect
    ResetSlot fsk_reset
    void *fsk_state
    void *mf_state
    void *echo_state
    void *long_state                   # of cancellers with a long tail
    void *noise_state
    void *level_state
    void *vad_state
    void *dtmf_state
    void *tone_state
    void *plc_state
    void *hdlc_rx_state
    void *hdlc_tx_state

cdef struct DTMFEvent:                 # dsp/dtmf.py EVENT_DTYPE
    int32_t slot
    uint8_t digit
    uint8_t on
    uint16_t duration_ms

cdef struct MFEvent:                   # dsp/mf.py EVENT_DTYPE
    int32_t slot
    uint8_t signal
    uint8_t on
    int16_t at

cdef struct ModemEvent:                # dsp/modem.py EVENT_DTYPE
    int32_t slot
    uint8_t tone
    uint8_t on
    int16_t zero

cdef struct AMDEvent:                  # dsp/amd.py EVENT_DTYPE
    int32_t slot
    uint8_t kind
    uint8_t words
    uint16_t hz_or_ms

cdef struct ProgressEvent:             # dsp/progress.py EVENT_DTYPE
    int32_t slot
    int16_t tone
    uint8_t on
    uint8_t zero

cdef struct FSKEvent:                  # dsp/fsk.py EVENT_DTYPE
    int32_t slot
    uint8_t kind
    uint8_t octet
    uint16_t gap

cdef struct HDLCFrame:                 # dsp/hdlc.py FRAME_DTYPE
    int32_t slot
    int32_t offset
    int32_t length
    int32_t reserved
    uint32_t repeats
    uint32_t errors

cdef enum:
    UNIT = 64                          # neighbouring slots that one thread works on at a time: whole groups of lanes
    UNITS = 64                         # of TERMS
    BLOCK = 80                         # samples of a tick: 10 ms
    TERMS = 4096                       # terminations
    TDM_ROWS = 2048                    # 64 spans of 32 timeslots
    SPANS_MOST = 64
    ROWS = 6144                        # TDM_ROWS + TERMS
    BRIDGES = 2048
    MEMBERS = 128                      # legs of one bridge: the bits of a hear mask
    LOUDEST_MOST = 16                  # talkers that a conference may mix
    UNITY = 1024                       # 0 dB of a party's gain
    RECORDINGS = 2048
    LINKS = 64
    COMMANDS = 8192                    # entries of the command ring, a power of two
    EVENTS = 8192                      # entries of the event ring, a power of two
    FRAME_RING = 262144                # octets of the ring of received HDLC frames
    STRETCH = 2392                     # octets of a state of dsp/wsola.py (kernels.py compares)
    STREAMS = 256                      # legs whose audio goes to and from services: native/stream.pxi
    STREAM_OUT = 32768                 # octets of a leg's audio on its way there: 2.048 s of both channels
    STREAM_IN = 16384                  # octets of audio on its way to the leg: 2.048 s
    JITTER_RING = 4096                 # octets of the playout ring: 512 ms
    JITTER_WORDS = 64                  # a bit of each
    HISTOGRAM = 2048                   # tick durations in steps of 10 us
    PORTS = 65536
    SOCKETS = 8192                     # RTP and RTCP of all terminations
    RECEIVE_MOST = 2048                # octets of a datagram
    PARTITIONS = 3                     # of the echo canceller: 66 ms (dsp/echo.py TAIL_64_MS)
    LONG_PARTITIONS = 6                # of one with a long tail: 132 ms (dsp/echo.py TAIL_128_MS)
    LONGS = 1024                       # places for those; firmware/media/long_tails.py gives them out
    LONG_GROUP = 16                    # neighbouring places that belong to one unit: whole groups of lanes
    LOOP_BLOCKS = 2                    # what is written in a tick can be heard back two ticks later, no sooner
    FLOOR_BLOCKS = 210                 # after its start a canceller does not know the near noise
    RESETS_MOST = 256                  # enhancement commands of a tick: clearing a canceller takes microseconds
    SILENCE_A = 0xD5
    SILENCE_U = 0xFF
    MF_KINDS = 3                       # receivers of native/circuit.pxi: R2 forward, R2 backward, R1
    FSK_KINDS = 2                      # receivers of native/hear.pxi: Bell 202, V.23
    FSK_EVENTS = 10                    # of a block at most
    FADE = 16                          # samples: the end of a register's tone, 2 ms as its beginning
    SOUNDING = 1
    FADING = 2

cdef enum Kind:
    FREE = 0
    TIMESLOT = 1
    RTP = 2

cdef enum ItemKind:
    ITEM_LAW = 0
    ITEM_LINEAR = 1
    ITEM_TONE = 2
    ITEM_SILENCE = 3
    ITEM_STREAM = 4

cdef enum EventKind:
    EV_SIGNAL = 1                      # a: reason, number: position in samples, other: player serial
    EV_DIGIT = 2                       # a: digit, number: duration ms, other: 0 in band 1 telephone-event
    EV_RTP_STARTED = 3                 # a: address, other: port (both host order)
    EV_RTP_TIMEOUT = 4                 # number: silent ms
    EV_RECORD_CLOSED = 5               # slot: recording: the tick has written its last block
    EV_BOARD = 6                       # a: 1 present 0 absent, number: generation
    EV_VOICE = 7                       # a: 1 speech begins 0 ends
    EV_TONE_2100 = 8                   # a: 0 gone 1 plain 2 with phase reversals
    EV_MODEM = 22                      # a: tone of dsp/modem.py, number: 1 begins 0 ends
    EV_ANSWER = 23                     # a: kind of dsp/amd.py, number: Hz or ms, other: words
    EV_RECORD_MARK = 10                # slot: recording, a: RecordMark, number: frames written before
    EV_AUDIO = 9                       # a: 0 from the far end 1 to it; number: 1 missing 0 back, other: AudioReason
    EV_PROGRESS = 24                   # a: tone of the country's plan, number: 1 begins 0 ends, other: serial of the plan
    EV_FSK = 25                        # a: kind of dsp/fsk.py, number: octet, other: gap before it
    EV_CAS = 20                        # slot: row of the timeslot, a: ABCD
    EV_MF = 21                         # a: signal, 0 for its end, number: kind of receiver, other: place in samples (signed)
    EV_KEY = 41                        # a: digit that a far end is to be told of by control, number: duration ms
    EV_CHECK = 40                      # a: 1 the tone of a continuity check is heard, 0 it is gone

cdef enum KeysBy:                      # how a far end is told of key presses: native/keys.pxi
    BY_SOUND = 0
    BY_EVENT = 1                       # telephone-event
    BY_CONTROL = 2                     # event EV_KEY

cdef enum Enhancement:                 # bits of Term.enhance
    ECHO = 1
    NOISE = 2
    LEVEL = 4
    VAD = 8

cdef enum AudioReason:                 # why a direction of an RTP leg carries nothing
    WHY_NOTHING = 0                    # nothing arrives
    WHY_FOREIGN = 1                    # something arrives from another address than the far end's
    WHY_TYPE = 2                       # something arrives that is no RTP of the agreed payload types
    WHY_SENT = 3                       # the far end's reports say that it sends, the network loses it
    WHY_SILENT = 4                     # the far end's reports say that it sends nothing
    WHY_UNHEARD = 5                    # the far end's reports say that nothing of ours arrives
    WHY_REFUSED = 6                    # the far end's host refuses our packets (ICMP)

cdef enum SignalReason:
    DONE = 0
    STOPPED = 1
    REPLACED = 2

cdef struct Event:
    uint32_t kind
    int32_t slot
    uint32_t serial                    # of the termination or recording, so that a reused slot is told apart
    uint32_t a
    uint64_t number
    uint64_t other
    uint64_t tick_ms

cdef struct Item:
    int32_t kind
    int32_t law
    int32_t tone
    int32_t reserved
    int64_t length                     # samples; -1: until the tone itself ends
    const uint8_t *data                # octets, int16 samples, or the tone table

cdef struct Player:
    uint32_t serial                    # 0: nothing plays
    int32_t n_items
    int32_t current
    int32_t repeat                     # rounds, 0 for ever
    int32_t round
    int32_t started                    # the tone of the current item has been started
    int64_t at                         # samples into the current item
    int64_t played                     # samples since the start of the playlist
    int32_t paused
    int32_t gain                       # in 1 / UNITY
    int32_t speed                      # of stretch, in 1 / 1024
    int32_t ahead                      # samples of `played` that are in stretch only
    int32_t padded                     # samples of silence put into it after the end
    void *stretch                      # NULL: as it is
    Item *items

cdef struct Rtcp:                      # native/rtcp.pxi
    uint8_t mux                        # RTCP on the RTP port (RFC 5761)
    uint8_t heard                      # 1 with a report, 2 with one about us
    uint8_t bye
    uint8_t cname[12]
    sockaddr_in source                 # where accepted RTCP comes from, port 0: not known yet
    uint64_t next_tick
    uint64_t random
    uint64_t sent
    uint64_t received
    uint64_t bad
    uint64_t tx_prior                  # packets sent at our last report
    uint16_t port                      # the far end's, host order (RFC 3605); 0: the one above RTP's
    # sender report of the far end
    uint32_t sr_middle                 # its NTP time, middle 32 bits; 0: none yet
    uint64_t sr_ns                     # when it came
    uint64_t sr_tick
    uint32_t far_packets
    uint8_t far_sends                  # it had sent more than at its report before
    # report block about us
    int32_t far_lost
    uint8_t far_fraction
    uint32_t far_jitter
    uint32_t far_highest
    uint32_t far_first                 # highest at its first report
    uint64_t far_tx_prior              # packets that we had sent at its report before
    int32_t far_deaf                   # reports in a row that say that nothing of ours comes
    uint32_t trips
    uint32_t trip_us
    uint32_t trip_least_us
    uint32_t trip_most_us
    uint64_t trip_sum_us
    uint32_t trip_last_us[5]           # the last five, newest at trips % 5
    uint8_t far_r                      # of an XR VoIP metrics block, 127: not said
    uint8_t far_mos_lq                 # times 10
    uint8_t far_mos_cq

cdef struct Quality:                   # native/quality.pxi
    uint64_t seen                      # bit n: max_seq - n was played, or can be
    uint64_t thrown                    # bit n: it came, too late
    int32_t pending                    # numbers in the window
    int32_t packet_samples             # of the last packet
    uint64_t packets                   # whose fate is decided
    uint64_t lost
    uint64_t discarded
    uint64_t runs                      # of losses in a row
    uint8_t in_run
    # RFC 3611 4.7.2 and its appendix: bursts end with GMIN good packets in a row
    uint32_t since                     # good packets since the last bad one
    uint32_t burst_now                 # packets of the burst that runs
    uint32_t burst_bad_now
    uint64_t burst_packets
    uint64_t burst_bad
    uint64_t bursts
    uint64_t gap_bad
    uint32_t jitter_most_q4
    uint64_t delay_sum                 # samples held, once a second
    uint32_t delay_count
    int32_t delay_most

cdef struct Audio:                     # is there sound both ways?  native/watch.pxi
    uint8_t watch                      # bit 0: something must come, bit 1: something must arrive there
    uint8_t missing                    # same bits: reported
    uint64_t since_tick
    uint64_t garbage_prior
    uint64_t strangers_prior
    int32_t refused                    # packets that the far host refused, without a pause
    uint64_t refused_tick              # of the last

cdef struct Steered:                   # what the kernel's program reads: firmware/media/steering.py, by port
    uint32_t host                      # network order, 0: no leg
    uint32_t unit
    uint32_t tick
    uint32_t packets

cdef struct Rtp:
    # set by commands
    uint8_t steered                    # its packets come by its unit's socket: native/gather.pxi
    int raw_fd                         # its packets go through it with others': native/bundle.pxi; -1: none
    int fd
    int rtcp_fd
    sockaddr_in local                  # what fd is bound to; no address: packets go by fd alone
    uint8_t law
    uint8_t kept                       # what is put into the playout has waited: its margin is known
    Codec *codec                       # native/codec.pxi; NULL: G.711
    fax_line *fax                      # native/fax.pxi; NULL: sound
    uint8_t payload_type
    uint8_t dtmf_payload_type          # 255: none
    uint8_t event_clock                # of its durations: units in a ms
    uint8_t latch
    uint8_t sending
    int32_t ptime_ticks
    int32_t jitter_samples             # playout delay at the start, and its floor
    int32_t most_samples               # its ceiling
    int32_t timeout_ticks              # 0: never
    sockaddr_in remote                 # where we send; sin_port 0: not known yet
    sockaddr_in signalled              # what control gave
    uint32_t trusted                   # the only other host that may be latched, network order; 0: any
    # sending
    uint16_t tx_seq
    uint8_t tx_marker
    int32_t tx_fill
    uint32_t tx_timestamp
    uint32_t tx_ssrc
    uint8_t keys                       # how its far end is told of keys that others press: KeysBy
    uint8_t key                        # native/keys.pxi: 1 + code of the one that it is told of, 0 none
    uint8_t key_next                   # one that came meanwhile
    uint8_t key_ends                   # packets with its end that are left
    uint16_t key_long                  # of its event, in the event's clock; by control: in ticks
    uint32_t key_ts
    void *srtp_out                     # native/srtp.pxi; NULL: in the clear
    void *srtp_in
    uint8_t srtp_only                  # nothing goes or comes in the clear
    uint8_t browser                    # STUN and DTLS come on this port too: they go to the command thread
    uint8_t others                     # of them taken in this tick
    uint64_t others_tick
    uint64_t srtp_refused              # not authentic, repeated, or in the clear
    uint64_t tx_packets
    uint64_t tx_octets
    uint64_t send_errors
    # receiving
    uint8_t started
    uint8_t timed_out                  # 1: no packet for timeout_ticks; 2: that has been told, and none has come since
    uint64_t hit_tick                  # of the last read
    sockaddr_in source                 # where accepted packets come from
    uint64_t source_tick
    sockaddr_in rival                  # another source, not yet believed
    uint16_t rival_seq
    uint64_t last_tick
    uint32_t ssrc
    uint16_t max_seq
    uint32_t cycles
    uint32_t base_seq                  # extended
    uint64_t seen                      # bit n: max_seq - n has arrived
    uint64_t received
    uint64_t expected_prior
    uint64_t received_prior
    uint32_t transit
    uint32_t jitter_q4                 # RFC 3550 A.8, times 16
    uint64_t late
    uint64_t duplicates
    uint64_t reordered
    uint64_t garbage                   # no RTP, or not of our payload types
    uint32_t new_ssrc                  # a source that has sent one packet: not one yet (RFC 3550 A.1)
    uint16_t new_seq                   # the number that its second packet must bear
    uint8_t on_probation
    uint64_t strangers                 # from an address that we do not talk to, or of a source on probation
    uint64_t resyncs
    # telephone-event (RFC 4733)
    uint8_t event_active
    uint8_t event_digit
    uint8_t events_used                # this sender uses events: its in-band digits are echoes of them
    uint8_t event_done                 # event_ts has been reported
    uint8_t event_told                 # control has said it, and is not told
    uint16_t event_duration
    uint32_t event_before              # of its segments that are over
    uint32_t event_ts
    uint64_t event_tick
    uint64_t mute_until
    Audio audio
    # playout
    uint8_t playing
    uint32_t play_ts
    uint32_t newest_ts                 # end of the newest audio held
    int32_t expanded                   # samples given out while play_ts stood still
    int32_t margin[8]                  # least lead of a packet, one second each
    int32_t lead_now                   # largest lead of this second
    int32_t lead_usual                 # of the last whole second with packets: what a new spurt starts with
    int32_t margin_now
    int32_t margin_at
    int32_t margin_ticks
    int32_t adjust                     # +1 stretch wanted, -1 shrink wanted
    int32_t adjust_ticks
    uint64_t concealed
    uint64_t inserted
    uint64_t removed
    uint64_t skipped                   # left out: too old
    int32_t plc_left                   # samples in plc_ahead; -1: not concealing
    Quality quality
    Rtcp rtcp
    int16_t plc_ahead[320]
    uint8_t headers[BUNDLE_HEADER]     # of IP and UDP: native/bundle.pxi; in front of packet
    uint8_t packet[12 + 480 + 144]     # being filled, and what SRTP adds; the large ones last: what is looked at in each tick is together, in the order of LEG_LINES
    uint64_t valid[JITTER_WORDS]       # bits
    uint8_t data[JITTER_RING]

cdef struct Disabler:                  # 2100 Hz: native/disabler.pxi; index 0 received, 1 sent
    uint8_t state                      # 0 none, 1 plain, 2 with phase reversals
    uint8_t gone                       # blocks without any signal
    uint8_t run[2]                     # blocks of tone so far
    uint8_t missed[2]                  # the last block was none
    uint8_t reversed[2]                # blocks since a reversal
    float last[2][2]                   # phase of the last block with it
    float turn[2][2]                   # by which a block differs from the one before

cdef struct Term:
    uint8_t kind
    uint8_t law
    uint8_t detect
    uint8_t keyed                      # digits are looked for, so that others of its bridge can be told: native/keys.pxi
    uint8_t modem                      # tones of fax machines and modems are told
    uint8_t answer                     # who answers is told
    uint8_t progress                   # call progress tones are told
    uint8_t fsk                        # caller identification: 1 + its kind, 0 none
    uint8_t enhance                    # bits of Enhancement
    uint8_t level                      # preset of the level control: 1 AGC, 2 ALC
    int32_t long_place                 # of a canceller with a long tail: 1 + its place in long_state, else 0
    uint8_t mf                         # receiver of register signals: 1 + its kind, 0 none
    uint8_t sounding                   # a tone to the far register: SOUNDING, FADING
    int32_t register_tone              # which one, of kernels.register_table
    int32_t tap                        # 1 + slot of a leg whose input it hears outside of any bridge; 0 none
    uint8_t loop                       # hears itself: continuity.pxi
    uint8_t check                      # receiver of the check tone: 1 2000 Hz, 2 2010 Hz, 0 none
    uint8_t check_heard
    uint8_t check_run                  # blocks in a row that say otherwise
    uint32_t serial
    int32_t in_row
    int32_t out_row
    Rtp *rtp
    Player player

cdef struct Bridge:
    int32_t n
    int32_t special                    # some hear mask is not "all others"
    uint16_t member[MEMBERS]
    uint64_t hear[MEMBERS][2]          # bit m: this member hears member m
    # conference: native/conference.pxi
    int32_t conference
    int32_t loudest                    # how many are heard, 0: all
    float limit                        # gain of the limiter
    uint16_t gain[MEMBERS]             # in 1 / UNITY; 0: not heard
    uint8_t heard[MEMBERS]             # is in the mix
    uint8_t stays[MEMBERS]             # ticks that he stays in it at least
    float power[MEMBERS]

cdef enum FileForm:                    # of recordings; firmware/media/formats.py
    FORM_A = 0
    FORM_U = 1
    FORM_PCM = 2
    FORM_IMA = 3
    FORM_G726 = 4
    FORM_VOX = 5

cdef enum RecordMark:
    MARK_PAUSED = 1
    MARK_RESUMED = 2
    MARK_LEGS = 3

cdef struct Recording:
    uint32_t serial                    # 0: free
    int32_t left                       # slot, -1: silence
    int32_t right
    int32_t fd                         # owned by the disk thread
    int32_t error                      # errno of the disk thread
    int32_t stopped                    # set by the tick: head moves no more
    int32_t paused                     # silence is written
    uint64_t head                      # octets written by the tick: 2 a frame, both legs in A-law
    uint64_t tail                      # octets of these that are coded and on disk
    uint64_t overrun                   # octets dropped since the disk was too far behind
    tape *first                        # with the octet before tail (disk thread); NULL: none was written
    tape *last                         # with the octet before head (tick)
    # the file: native/files.pxi, disk thread
    int32_t form
    int32_t channels
    int32_t bits                       # of a G.726 code
    int32_t header_size                # 0: no header
    int32_t fact_at                    # place of the number of frames in the header
    uint64_t frames                    # in the file
    uint64_t octets                    # of audio in the file
    uint8_t header[64]
    uint8_t *coder                     # states of the ADPCM coders; NULL: none has begun here yet

cdef struct StreamPage:                # shared with the streaming process: firmware/streaming/rings.py
    # written by the tick
    uint64_t out_head                  # octets of the leg's audio, 2 a frame, A-law
    uint64_t out_lost                  # octets thrown away: nobody took them
    uint64_t in_tail                   # octets played
    uint64_t starved                   # frames of silence played since nothing was there
    uint64_t tick_reserved[4]
    # written by the other process: measured before it is believed
    uint64_t out_tail
    uint64_t in_head
    uint64_t ended                     # nothing follows in_head
    uint64_t process_reserved[5]
    uint8_t out[STREAM_OUT]
    uint8_t into[STREAM_IN]

cdef struct Stream:
    uint32_t serial                    # 0: free
    int32_t left                       # slot, -1: silence
    int32_t right

cdef struct Link:
    uint32_t serial                    # 0: closed
    int32_t row
    int32_t mtp2                       # signal units: a unit that is lost on its way up is not repeated by itself

cdef enum:
    OTHERS = 128                       # packets that wait for the command thread
    OTHER_OCTETS = 1500
    OTHERS_OF_LEG = 4                  # taken from one leg in one tick

cdef struct Other:                     # what came on a port of RTP and is neither RTP nor RTCP (RFC 7983)
    int32_t slot
    uint32_t serial
    uint32_t host                      # host order
    uint16_t port
    uint16_t n
    uint8_t data[OTHER_OCTETS]

cdef struct CasCircuit:                # ABCD bits of a timeslot
    uint8_t on
    uint8_t sent
    uint8_t told                       # to control; 0xFF: nothing yet
    uint8_t seen
    uint8_t run                        # how often again
    uint8_t hold                       # ... until it is told

cdef enum:                             # native/bert.pxi
    BERTS = 64
    OCTETS_SURE = 8
    FIXED = 5
    QRSS = 4

cdef struct Pattern:
    int32_t a, b
    uint8_t invert

cdef struct Bert:
    uint32_t serial                    # 0: free
    int32_t span
    uint32_t mask                      # bit n: timeslot n
    int32_t kind                       # place in PATTERN, or FIXED
    uint8_t octet                      # of FIXED
    int32_t insert                     # errors still to be sent, one an octet
    uint64_t tx, rx
    int32_t synced, good, ever
    uint64_t ticks, inserted, bits, errors, losses
    uint64_t seconds, es, ses, unsynced_seconds
    uint64_t second_bits, second_errors
    int32_t second_lost

cdef enum Op:
    OP_ADD = 1
    OP_SUBTRACT = 2
    OP_RTP = 3
    OP_BRIDGE = 4
    OP_HEAR = 5
    OP_PLAY = 6
    OP_STOP = 7
    OP_DETECT = 8
    OP_RECORD = 9
    OP_RECORD_STOP = 10
    OP_RECORD_LEG = 11
    OP_STREAM = 61                     # a, b: slots of left and right; serial 0: no more
    OP_RECORD_PAUSE = 60               # a: 1 silence from now on, 0 sound
    OP_LINK = 12
    OP_LINK_CLOSE = 13
    OP_WINDOW = 14
    OP_ENHANCE = 15
    OP_CONFERENCE = 16
    OP_PLAYER = 17
    OP_HEAR_TONES = 23
    OP_PROGRESS = 24                   # a: on
    OP_PROGRESS_PLAN = 25              # pointer: table, serial: its number
    OP_FSK = 26                        # a: 1 + kind, 0 none
    OP_SRTP = 18                       # a: 0 outbound 1 inbound 2 nothing in the clear
    OP_TAP = 63                        # a: slot, -1 none
    OP_CODEC = 62                      # pointer: of an RTP leg, NULL for G.711
    OP_PASSED = 65                     # a: 1 + slot of the leg whose packets go out here, 0 none
    OP_FAX = 64                        # pointer: fax_line of an RTP leg, NULL for sound
    OP_REMOTE = 19                     # mask[0]: IPv4 address, a: port that is sent to from now on
    OP_CAS = 20
    OP_MF_LISTEN = 21
    OP_MF_SEND = 22
    OP_PRESS = 66                      # a: code of the digit that an RTP leg presses, b: ticks
    OP_CHECK = 40                      # a: receiver of the check tone: 1 2000 Hz, 2 2010 Hz, 0 none
    OP_LOOP = 41                       # a: what is heard goes back
    OP_BERT = 30
    OP_BERT_INSERT = 31
    OP_BEARER = 70                     # slot: span, pointer: bearer, NULL for the board

cdef struct Command:
    int32_t op
    int32_t slot
    uint32_t serial
    int32_t a
    int32_t b
    int32_t c
    int64_t number
    void *pointer
    uint64_t mask[2]
    uint16_t member[MEMBERS]
    sockaddr_in address

cdef struct Window:
    uint8_t *base                      # NULL: no board
    uint64_t *rx_head
    uint64_t *tx_head
    uint64_t *tx_written
    uint32_t *generation
    uint32_t *idle_code
    uint8_t *span_idle                 # idle code of each span; 0: idle_code
    uint32_t *magic
    uint8_t *rx
    uint8_t *tx
    uint8_t *cas_rx
    uint8_t *cas_tx
    uint32_t ring_frames
    uint32_t spans

# What a tick does with the output of each termination, made anew when anything
# about terminations or bridges changes; index arrays as the kernels want them.
cdef struct Plan:
    int32_t n_timeslots, n_rtp, n_expand, n_detect, n_copy, n_convert, n_idle, n_compress
    int32_t n_bridges, n_routes, n_links, n_spans, n_recordings, n_streams
    int32_t timeslot[TERMS]
    int32_t rtp[TERMS]
    int32_t expand_row[TERMS]
    int32_t expand_slot[TERMS]
    uint8_t expand_law[TERMS]
    int32_t detect[TERMS]
    int32_t key_from[TERMS]            # by slot: the one that is heard and whose keys are told, -2 less the bridge's number for several, -1 none
    int32_t n_told
    int32_t told[TERMS]                # RTP legs whose far end control tells of keys
    int32_t n_coded
    int32_t coded[TERMS]               # RTP legs with a codec of their own
    int32_t coded_from[UNITS + 1]
    int32_t n_modem, n_amd, n_progress
    int32_t progress[TERMS]
    int32_t n_fsk[FSK_KINDS]
    int32_t fsk[FSK_KINDS][TERMS]
    int32_t modem[TERMS]
    int32_t amd[TERMS]
    int32_t copy_from[TERMS]
    int32_t copy_to[TERMS]
    int32_t convert_from[TERMS]
    int32_t convert_to[TERMS]
    uint8_t convert_law[TERMS]
    int32_t idle_row[TERMS]
    uint8_t idle_law[TERMS]
    int32_t compress_slot[TERMS]
    int32_t compress_row[TERMS]
    uint8_t compress_law[TERMS]
    int32_t n_check
    int32_t check[TERMS]
    int32_t n_mf[MF_KINDS]
    int32_t mf[MF_KINDS][TERMS]
    int32_t n_echo, n_noise, n_level, n_vad, n_back
    int32_t echo[TERMS]                # slots, ascending: neighbours share a group of lanes
    int32_t echo_out_row[TERMS]
    uint8_t echo_law[TERMS]
    int32_t n_long                     # with a long tail: apart, since their states are; by unit, in it by place
    int32_t long_slot[LONGS]
    int32_t long_place[LONGS]
    int32_t long_out_row[LONGS]
    uint8_t long_law[LONGS]
    int32_t noise[TERMS]
    int32_t level[TERMS]
    int32_t vad[TERMS]
    int32_t back_slot[TERMS]           # enhanced: octets are made anew from linear samples
    int32_t back_row[TERMS]
    uint8_t back_law[TERMS]
    int32_t bridge_start[BRIDGES + 1]
    int32_t bridge_member[TERMS]
    int32_t route_out[TERMS]
    int32_t route_start[TERMS + 1]
    int32_t route_source[TERMS * (MEMBERS - 1)]
    int32_t n_conferences
    int32_t conference[BRIDGES]
    int32_t link_slot[LINKS]
    int32_t link_row[LINKS]
    int32_t span[64]
    int32_t recording[RECORDINGS]
    int32_t stream[STREAMS]
    uint8_t heard[TERMS]               # has a source: a player is mixed, not copied
    # where the slots of each unit begin in the lists above, which are in ascending order (native/units.pxi)
    int32_t n_units
    int32_t unit[UNITS]                # units with any work
    int32_t rtp_from[UNITS + 1]
    int32_t expand_from[UNITS + 1]
    int32_t detect_from[UNITS + 1]
    int32_t modem_from[UNITS + 1]
    int32_t amd_from[UNITS + 1]
    int32_t progress_from[UNITS + 1]
    int32_t fsk_from[FSK_KINDS][UNITS + 1]
    int32_t echo_from[UNITS + 1]
    int32_t long_from[UNITS + 1]
    int32_t noise_from[UNITS + 1]
    int32_t level_from[UNITS + 1]
    int32_t vad_from[UNITS + 1]
    int32_t back_from[UNITS + 1]

cdef struct Engine_:
    Kernels k
    Window w
    Plan plan
    Term term[TERMS]
    Bridge bridge[BRIDGES]
    Recording recording[RECORDINGS]
    tape_store tapes                   # of all recordings: native/tapes.pxi
    Stream stream[STREAMS]
    StreamPage *stream_page            # STREAMS of them; NULL: none yet
    Link link[LINKS]
    const uint8_t *tone_table          # digits, for telephone-events
    int32_t digit_tone[16]             # by RFC 4733 event code
    uint8_t keys_down[TERMS]           # 1 + code of the key that is down at a leg, 0 none: native/keys.pxi
    int32_t playing[TERMS]             # slots whose player is at work
    int32_t n_playing
    # circuits
    const void *mf_table[MF_KINDS]
    const void *progress_table         # of the country's tones; NULL: none yet
    uint32_t progress_plan             # its serial
    const void *fsk_table[FSK_KINDS]
    const uint8_t *mf_tones            # of registers
    CasCircuit cas[TDM_ROWS]
    int32_t cas_row[TDM_ROWS]          # the ones that are followed
    int32_t n_cas
    int32_t sounding[TERMS]            # slots that send a register's tone
    int32_t n_sounding
    int32_t taps                       # legs that hear another one outside of bridges
    int32_t dirty
    # rings
    Command command[COMMANDS]
    uint64_t command_head              # next to write (command thread)
    uint64_t command_tail              # applied (tick)
    Event event[EVENTS]
    uint64_t other_head                # tick
    uint64_t other_tail                # command thread
    uint64_t others_lost
    Other other[OTHERS]
    uint64_t event_head                # tick
    uint64_t event_tail                # command thread
    uint64_t events_lost
    uint8_t frame[FRAME_RING]
    uint64_t frame_head                # tick
    uint64_t frame_tail                # layer 2 thread
    uint64_t frames_lost
    int32_t event_fd
    int32_t frame_fd
    int32_t epoll_fd
    int32_t gather_fd[UNITS]           # sockets of the units' legs: native/gather.pxi; -1: none
    Steered *steered                   # PORTS of them; NULL: the kernel does not steer
    uint32_t *steer_clock
    uint64_t gathered                  # packets read from them
    packet_ring ring[UNITS]            # of the units: native/ring.pxi
    uint64_t ringed                    # packets read from these
    uint64_t real_ns                   # CLOCK_REALTIME less CLOCK_MONOTONIC
    int32_t slot_of_port[PORTS]
    epoll_event ready[SOCKETS]
    int32_t wake_events
    # time
    int32_t stop
    uint8_t idle                       # idle code of the board
    int32_t n_berts                    # bit error tests: native/bert.pxi
    Bert bert[BERTS]
    uint8_t span_idle[SPANS_MOST]      # of each span, where it tells; 0: idle
    bearer *bearer[SPANS_MOST]         # NULL: the board; native/bearer.pxi
    int32_t bearer_span[SPANS_MOST]
    int32_t n_bearers
    uint8_t bearer_abcd_in[TDM_ROWS]
    uint8_t bearer_abcd_out[TDM_ROWS]
    int32_t bearer_link_slot[LINKS]    # scratch
    int32_t bearer_link_row[LINKS]
    int32_t attached                   # the heads of the board are being followed
    uint32_t board_generation
    uint64_t rx_next
    uint64_t tick
    uint64_t now_ns                    # CLOCK_MONOTONIC at the start of the tick
    uint64_t now_ms                    # UTC ms at the start of the tick
    # figures
    uint64_t ticks_board
    uint64_t ticks_free
    uint64_t late_ticks                # the board had taken our frames before they were there
    uint64_t late_by_host              # of these: the thread had not had the time to be so late by its own work
    uint64_t blocks_lost               # received frames that the ring overtook
    uint64_t busy_ns                   # wall time in ticks
    uint64_t longest_ns
    uint32_t histogram[HISTOGRAM]
    uint64_t cpu_ns                    # processor time of the tick thread in ticks
    uint64_t cpu_longest_ns
    uint64_t cpu_last_ns               # of the last tick
    uint32_t cpu_histogram[HISTOGRAM]
    # scratch
    uint8_t octets_in[ROWS * BLOCK]
    uint8_t octets_out[ROWS * BLOCK]
    int16_t linear_in[TERMS * BLOCK]
    int16_t linear_out[TERMS * BLOCK]
    float level_preset[3][5]
    int16_t far[LOOP_BLOCKS][TERMS * BLOCK]     # what was sent, by slot, until its echo can be there
    int32_t tx_lost                    # the board did not get the frames of this tick in their time
    int32_t sent                       # the board has it
    int32_t tx_strange                 # ticks in a row in which tx_head was not where it was expected
    int64_t tx_lead                    # tx_head - rx_head
    uint8_t speech[TERMS]              # by slot: vad.NONE, HANGOVER, SPEECH
    uint8_t said[TERMS]                # speech was reported
    uint8_t echo_flags[TERMS]          # by place in plan.echo
    uint8_t long_flags[LONGS]          # by place in plan.long_slot
    uint8_t hold[TERMS]                # by slot: ticks that noise reduction still waits
    int32_t now[TERMS]                 # slots that a function works on in this tick, those of a unit from its first on
    Disabler disabler[TERMS]
    int32_t part[MEMBERS * BLOCK]      # of a conference: what each member says, weighted
    uint64_t voice_ns                  # processor time in voice_tick
    DTMFEvent dtmf[2 * TERMS]          # those of a unit from twice its first slot on
    MFEvent mf_event[2 * TERMS]
    ModemEvent modem_event[4 * TERMS]
    AMDEvent amd_event[2 * TERMS]
    uint8_t hdlc[LINKS * 1280]
    HDLCFrame hdlc_index[LINKS * 32]
    # work shared by threads: native/units.pxi
    int32_t phase
    uint64_t unit_state                # how many there are (upper half) and the next to take, in one word
    uint32_t unit_done
    uint32_t unit_waits                # the tick thread sleeps until unit_done changes
    uint32_t event_lock
    uint32_t helpers                   # threads in help()
    uint64_t helped                    # units that they have done
    uint64_t helped_ns                 # and the time in them
    uint64_t helped_cpu_ns             # and the processor time
    uint64_t helped_before             # at the end of the tick before
    uint32_t help_ticks                # they are woken in so many ticks still
    int32_t ready_from[UNITS + 1]      # sockets that have something, by unit: places in ready_at, which are places in ready
    int32_t ready_at[SOCKETS]
    uint64_t spent_ns                  # processor time of the tick thread at the beginning of the tick
    int32_t spare                      # what the cancellers are asked to spare: native/enhance.pxi
    int32_t spare_ticks
    int32_t spare_least                # what they spare in any case: the box is hot
    int32_t pressed                    # long ticks in a row
    uint64_t spared                    # ticks with any of it
    sem_t work


cdef inline uint64_t clock_ns(int which) noexcept nogil:
    cdef timespec t
    clock_gettime(which, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec
