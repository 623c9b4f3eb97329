# Packets for a unit's legs, read by one call.  Included by _engine.pyx.
#
# A program in the kernel (firmware/media/steering.py) gives what comes for the ports of a unit's legs to one socket.  Each
# datagram tells which port and address it was sent to, and the table of ports, whose leg that is.  Where the kernel writes into a unit's
# ring (native/ring.pxi) its socket is read only when epoll says that it has something.  What the unit's
# socket does not get (a leg's flood, a leg bound to no particular address, one whose port another address has taken) is
# read from the leg's own, after it: native/rtp.pxi.  Errors that ICMP tells of come to the unit's socket too, with the
# beginning of the packet that was refused: where it was sent to says whose it was, and among legs that send there the SSRC.

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <stdint.h>
    #include <string.h>
    #include <unistd.h>
    #include <time.h>
    #include <sys/syscall.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    #include <linux/errqueue.h>
    enum { GATHERED = 64, GATHERED_ROOM = 2048, GATHERED_STRIDE = GATHERED_ROOM + 64,       /* not all on the same lines of the cache */
           GATHERED_WAITING = 2048 };      /* twice what a tick's legs of a unit may get (steering.py MOST) */
    typedef struct {
        struct { struct msghdr h; unsigned int n; } m[GATHERED];        /* struct mmsghdr, which wants _GNU_SOURCE */
        struct iovec piece[GATHERED];
        struct sockaddr_in from[GATHERED];
        union { char room[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct sockaddr_in))]; struct cmsghdr align; } control[GATHERED];
        uint8_t octets[GATHERED][GATHERED_STRIDE];
    } gathered;
    static long gather_read(gathered *g, int fd)
    {
        for (int i = 0; i < GATHERED; i++) {
            struct msghdr *h = &g->m[i].h;
            g->piece[i].iov_base = g->octets[i];
            g->piece[i].iov_len = GATHERED_ROOM;
            h->msg_name = &g->from[i];
            h->msg_namelen = sizeof g->from[i];
            h->msg_iov = &g->piece[i];
            h->msg_iovlen = 1;
            h->msg_control = &g->control[i];
            h->msg_controllen = sizeof g->control[i];
            h->msg_flags = 0;
        }
        return syscall(SYS_recvmmsg, fd, g->m, GATHERED, MSG_DONTWAIT, NULL);
    }
    /* Length (-1: too long, or from nowhere), to: where it was sent to, ns: when it came (0: not told). */
    static int gathered_one(gathered *g, int i, struct sockaddr_in *to, uint64_t *ns)
    {
        struct msghdr *h = &g->m[i].h;
        *ns = 0;
        to->sin_port = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec t;
                memcpy(&t, CMSG_DATA(c), sizeof t);
                *ns = (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
            } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == 20 /* IP_ORIGDSTADDR */)
                memcpy(to, CMSG_DATA(c), sizeof *to);
        return h->msg_flags & MSG_TRUNC || h->msg_namelen < sizeof(struct sockaddr_in) || !g->from[i].sin_port ? -1 : (int)g->m[i].n;
    }
    /* What came for legs that are gone: while a unit has none its socket is not read, and the port may be another leg's by now. */
    static void gather_drop(int fd)
    {
        char octet;
        for (int i = 0; i < GATHERED_WAITING && (recv(fd, &octet, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN); i++)
            ;
    }
    /* One packet of ours that a host or router has sent back: 1, where it went and its SSRC (has_ssrc); 0 for something else; -1 for nothing. */
    static int gather_refusal(int fd, struct sockaddr_in *to, int *has_ssrc, uint32_t *ssrc)
    {
        uint8_t octets[12];
        union { char room[256]; struct cmsghdr align; } control;
        struct iovec piece = { octets, sizeof octets };
        struct msghdr m = { .msg_name = to, .msg_namelen = sizeof *to, .msg_iov = &piece, .msg_iovlen = 1,
                            .msg_control = control.room, .msg_controllen = sizeof control.room };
        long n = syscall(SYS_recvmsg, fd, &m, MSG_DONTWAIT | MSG_ERRQUEUE);
        int refused = 0;
        if (n < 0)
            return -1;
        *has_ssrc = n >= 12 && octets[0] >> 6 == 2;
        *ssrc = (uint32_t)octets[8] << 24 | (uint32_t)octets[9] << 16 | (uint32_t)octets[10] << 8 | octets[11];
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == 11 /* IP_RECVERR */)
                refused = ((struct sock_extended_err *)CMSG_DATA(c))->ee_origin == SO_EE_ORIGIN_ICMP;
        return refused && m.msg_namelen == sizeof *to;
    }
    """
    enum: GATHERED
    ctypedef struct gathered:
        sockaddr_in *from_ "from"
        uint8_t **octets
    long gather_read(gathered *, int) noexcept nogil
    int gathered_one(gathered *, int, sockaddr_in *, uint64_t *) noexcept nogil
    int gather_refusal(int, sockaddr_in *, int *, uint32_t *) noexcept nogil
    void gather_drop(int) noexcept nogil

cdef enum:
    GATHERS_MOST = 20                  # times GATHERED packets of a unit in a tick: beyond, the rest waits
    REFUSALS_MOST = 64
    GATHER_AHEAD = 4                   # ours: packets; where the next one's sound goes is fetched meanwhile


cdef void steer_leg(Engine_ *e, int slot, Rtp *r) noexcept nogil:
    """A leg has come: its packets go to its unit's socket from now on."""
    cdef Steered *s
    r.steered = 0
    if e.steered == NULL or e.gather_fd[slot // UNIT] < 0 or not r.local.sin_addr.s_addr or not r.local.sin_port:
        return
    s = &e.steered[ntohs(r.local.sin_port)]
    if s.host:
        return                         # this port of another address
    if e.plan.rtp_from[slot // UNIT] == e.plan.rtp_from[slot // UNIT + 1]:
        gather_drop(e.gather_fd[slot // UNIT])
        ring_drop(&e.ring[slot // UNIT])
    r.steered = 1
    e.slot_of_port[ntohs(r.local.sin_port)] = slot
    s.unit = slot // UNIT
    s.tick = s.packets = 0
    store32(&s.host, r.local.sin_addr.s_addr)


cdef void unsteer_leg(Engine_ *e, Rtp *r) noexcept nogil:
    """A leg goes; what still waits in the socket of its unit is nobody's."""
    if r.steered:
        store32(&e.steered[ntohs(r.local.sin_port)].host, 0)
        r.steered = 0


cdef void gather_refusals(Engine_ *e, int u) noexcept nogil:
    """What ICMP has told about packets of a unit's legs."""
    cdef Plan *p = &e.plan
    cdef sockaddr_in to
    cdef int has_ssrc, found, i, j
    cdef uint32_t ssrc
    cdef Rtp *r
    cdef Rtp *whose
    for i in range(REFUSALS_MOST):
        found = gather_refusal(e.gather_fd[u], &to, &has_ssrc, &ssrc)
        if found < 0:
            return
        if not found:
            continue
        whose = NULL
        for j in range(p.rtp_from[u], p.rtp_from[u + 1]):
            r = e.term[p.rtp[j]].rtp
            if same_address(&r.remote, &to) and (whose == NULL or has_ssrc and r.tx_ssrc == ssrc):
                whose = r
        if whose != NULL:
            count_refusals(e, whose, 1)


cdef struct Came:                      # a datagram for some leg of a unit
    uint64_t ns                        # CLOCK_REALTIME of its arrival, 0: not told
    sockaddr_in to                     # where it was sent to
    sockaddr_in source
    uint8_t *octets
    int n                              # -1: too long, or from nowhere


cdef void hand_out(Engine_ *e, int u, Came *came, long n) noexcept nogil:
    """n datagrams that came for a unit: first whose they are, so that what their legs need is on its way when it is needed."""
    cdef Rtp *leg[GATHERED]
    cdef int slot
    cdef long i
    cdef Rtp *r
    for i in range(n):
        slot = e.slot_of_port[ntohs(came[i].to.sin_port)]
        leg[i] = NULL
        if slot // UNIT == u and e.term[slot].kind == RTP:         # else its leg is gone
            leg[i] = e.term[slot].rtp
            prefetch(leg[i], PACKET_LINES)
    for i in range(n):
        if i + GATHER_AHEAD < n and leg[i + GATHER_AHEAD] != NULL:
            r = leg[i + GATHER_AHEAD]
            prefetch(r.data + (r.newest_ts & (JITTER_RING - 1)), 3)
            prefetch(r.valid + (r.newest_ts & (JITTER_RING - 1)) // 64, 1)
        r = leg[i]
        if r == NULL or not r.steered or not same_address(&r.local, &came[i].to):
            continue
        if came[i].n < 0:
            r.garbage += 1
        else:
            rtp_packet(e, e.slot_of_port[ntohs(came[i].to.sin_port)], r, came[i].octets, came[i].n, &came[i].source, came[i].ns)


cdef void ring_unit(Engine_ *e, int u) noexcept nogil:
    """All that the kernel has written for the legs of a unit.  What is read may be changed, and theirs may not: it is copied."""
    cdef const ringed *found[GATHERED]
    cdef uint8_t octets[GATHERED][RINGED_OCTETS]
    cdef Came came[GATHERED]
    cdef packet_ring *ring = &e.ring[u]
    cdef uint64_t at = ring.ours[0]
    cdef int i, n, call
    for call in range(GATHERS_MOST):
        n = ring_take(ring, &at, found, GATHERED)
        for i in range(n):
            came[i].ns = found[i].ns + e.real_ns
            came[i].to.sin_addr.s_addr = found[i].to_host
            came[i].to.sin_port = found[i].to_port
            came[i].source.sin_family = AF_INET
            came[i].source.sin_addr.s_addr = found[i].from_host
            came[i].source.sin_port = found[i].from_port
            came[i].n = found[i].n if found[i].n <= RINGED_OCTETS and found[i].from_port else -1
            came[i].octets = octets[i]
            memcpy(octets[i], found[i].octets, found[i].n if found[i].n <= RINGED_OCTETS else 0)
        ring_release(ring, at)
        add64(&e.gathered, n)
        add64(&e.ringed, n)
        hand_out(e, u, came, n)
        if n < GATHERED:
            return


cdef void gather_unit(Engine_ *e, int u) noexcept nogil:
    """All that has come for the legs of a unit."""
    cdef gathered g
    cdef Came came[GATHERED]
    cdef long n, i
    cdef int call
    for call in range(GATHERS_MOST):
        n = gather_read(&g, e.gather_fd[u])
        if n < 0:
            if errno == EAGAIN:
                return
            gather_refusals(e, u)      # the error of a packet sent is told once, by the next call
            continue
        add64(&e.gathered, n)
        for i in range(n):
            came[i].n = gathered_one(&g, <int>i, &came[i].to, &came[i].ns)
            came[i].source = g.from_[i]
            came[i].octets = g.octets[i]
        hand_out(e, u, came, n)
        if n < GATHERED:
            return
