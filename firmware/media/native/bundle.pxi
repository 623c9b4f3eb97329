# Packets of a unit's legs, sent by one call.  Included by _engine.pyx.
#
# Each leg has a port, hence a socket, of its own, and a call for each packet touches each socket, which with 2,000 of
# them is in no cache: a third of what sending costs.  Where the process may have a raw socket, the packets of a unit
# get their IP and UDP headers here and go through one socket, 64 at a time, which is bound to the legs' address: the kernel
# routes by it as by the leg's own socket, and takes nothing once this machine has that address no more.  The firewall and
# the neighbour's address stay the kernel's, too.  What the raw socket does not take is sent by the leg's own, which
# also gets what ICMP says.  A leg bound to no particular address, large packets and multicast go by their own sockets.

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #include <unistd.h>
    #include <sys/syscall.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    enum { BUNDLE = 64, BUNDLE_OCTETS = 1200 };
    typedef struct {
        int n;
        int fd;                                                         /* of all that are in it */
        struct { struct msghdr h; unsigned int sent; } m[BUNDLE];       /* struct mmsghdr, which wants _GNU_SOURCE */
        struct iovec piece[BUNDLE];
        struct sockaddr_in to[BUNDLE];
        void *leg[BUNDLE];
    } bundle;
    static uint64_t bundle_sum(const void *p, int n)       /* of 16-bit words in the machine's order, RFC 1071; below 2^33 */
    {
        uint64_t sum = 0, w;
        int i = 0;
        for (; i + 8 <= n; i += 8) { memcpy(&w, (const char *)p + i, 8); sum += w; sum += sum < w; }
        if (i < n) { w = 0; memcpy(&w, (const char *)p + i, n - i); sum += w; sum += sum < w; }
        return (sum & 0xFFFFFFFF) + (sum >> 32);
    }
    static uint16_t bundle_folded(uint64_t sum)
    {
        while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
        return (uint16_t)~sum;
    }
    /* host, port: ours, network order; p stays where it is until bundle_send(), and the BUNDLE_HEADER octets in front of it are for the headers. */
    static void bundle_put(bundle *b, uint32_t host, uint16_t port, const struct sockaddr_in *to, void *p, int n, void *leg)
    {
        int i = b->n++;
        uint8_t *octet = (uint8_t *)p - BUNDLE_HEADER;
        uint16_t h[BUNDLE_HEADER / 2] = { 0 };
        uint16_t length = htons((uint16_t)(8 + n));
        uint64_t sum;
        h[0] = htons(0x4500 | 46 << 2);                 /* RFC 3246, as ports.py asks for of the legs' sockets */
        h[1] = htons((uint16_t)(BUNDLE_HEADER + n));
        h[3] = htons(0x4000);                           /* not to be cut into fragments */
        h[4] = htons(64 << 8 | 17);                     /* hops, UDP */
        memcpy(h + 6, &host, 4);
        memcpy(h + 8, &to->sin_addr.s_addr, 4);
        h[10] = port;
        h[11] = to->sin_port;
        h[12] = length;
        sum = bundle_sum(h + 6, 14) + bundle_sum(p, n) + htons(17) + length;
        h[13] = bundle_folded(sum);
        if (!h[13]) h[13] = 0xFFFF;                     /* 0 would say that there is none: RFC 768 */
        memcpy(octet, h, BUNDLE_HEADER);
        b->to[i] = *to;
        b->to[i].sin_port = 0;
        b->piece[i].iov_base = octet;
        b->piece[i].iov_len = BUNDLE_HEADER + n;
        memset(&b->m[i], 0, sizeof b->m[i]);
        b->m[i].h.msg_name = &b->to[i];
        b->m[i].h.msg_namelen = sizeof b->to[i];
        b->m[i].h.msg_iov = &b->piece[i];
        b->m[i].h.msg_iovlen = 1;
        b->leg[i] = leg;
    }
    /* From the ith on; returns the place of one that was not taken, or n. */
    static int bundle_send(bundle *b, int fd, int i)
    {
        while (i < b->n) {
            long k = syscall(SYS_sendmmsg, fd, &b->m[i], b->n - i, MSG_DONTWAIT);
            if (k <= 0) return i;
            i += (int)k;
        }
        return i;
    }
    static int bundle_length(const bundle *b, int i) { return (int)b->piece[i].iov_len - BUNDLE_HEADER; }
    """
    enum: BUNDLE
    enum: BUNDLE_OCTETS
    ctypedef struct bundle:
        int n
        int fd
        void **leg
    void bundle_put(bundle *, uint32_t, uint16_t, const sockaddr_in *, void *, int, void *) noexcept nogil
    int bundle_send(bundle *, int, int) noexcept nogil
    int bundle_length(const bundle *, int) noexcept nogil


cdef void send_alone(Rtp *r, int n) noexcept nogil:
    """The packet that a leg has ready, by its own socket."""
    if sendto(r.fd, r.packet, n, MSG_DONTWAIT, <sockaddr *>&r.remote, sizeof(sockaddr_in)) < 0:
        r.send_errors += 1             # an ICMP answer or a full queue: the next packet tries again


cdef void send_bundle(Engine_ *e, bundle *b) noexcept nogil:
    """What a unit's legs have put into a bundle goes out."""
    cdef int i = 0
    while b.n:
        i = bundle_send(b, b.fd, i)
        if i >= b.n:
            break
        send_alone(<Rtp *>b.leg[i], bundle_length(b, i))       # it tells what is wrong, too
        i += 1
    b.n = 0


cdef void send_packet(Engine_ *e, Rtp *r, int n, bundle *b) noexcept nogil:
    """n octets of r.packet to where the leg sends: at once, or with the others of its unit."""
    if r.raw_fd < 0 or not r.local.sin_addr.s_addr or n > BUNDLE_OCTETS or ntohl(r.remote.sin_addr.s_addr) >> 28 >= 14:
        send_alone(r, n)
        return
    if b.n == BUNDLE or b.n and b.fd != r.raw_fd:
        send_bundle(e, b)
    b.fd = r.raw_fd
    bundle_put(b, r.local.sin_addr.s_addr, r.local.sin_port, &r.remote, r.packet, n, r)
