# Packets for a unit's legs that the kernel has written into a ring in memory.  Included by _engine.pyx.
#
# The writer is the program of firmware/media/packet_rings.py, the ring is the kernel's (BPF_MAP_TYPE_RINGBUF): a page with
# our place, which we write, one with its place, then the records, mapped twice so that none wraps.  A record is 8 octets of head, of
# which the first 4 are its length and two flags, and the packet.  The mapping of the records is read-only.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <unistd.h>
    #include <netinet/in.h>
    enum { RINGED_OCTETS = 288, RING_OCTETS = 1 << 16, RING_HEAD = 8 };
    #define RING_BUSY 0x80000000u
    #define RING_DISCARDED 0x40000000u
    typedef struct { uint64_t ns; uint32_t from_host, to_host; uint16_t from_port, to_port, udp_length, n; uint8_t octets[RINGED_OCTETS]; } ringed;
    typedef struct { uint64_t *ours; uint64_t *theirs; const uint8_t *records; } packet_ring;
    static int ring_map(packet_ring *r, int fd)
    {
        long page = sysconf(_SC_PAGESIZE);
        char *ours = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *theirs;
        if (ours == MAP_FAILED) return -1;
        theirs = mmap(NULL, page + 2 * RING_OCTETS, PROT_READ, MAP_SHARED, fd, page);
        if (theirs == MAP_FAILED) { munmap(ours, page); return -1; }
        r->ours = (uint64_t *)ours; r->theirs = (uint64_t *)theirs; r->records = (uint8_t *)theirs + page;
        return 0;
    }
    static void ring_unmap(packet_ring *r)
    { long page = sysconf(_SC_PAGESIZE); if (r->ours) { munmap(r->ours, page); munmap(r->theirs, page + 2 * RING_OCTETS); r->ours = NULL; } }
    /* Up to `most` packets from *at on, which moves behind them; they stay where they are until ring_release(). */
    static int ring_take(packet_ring *r, uint64_t *at, const ringed **found, int most)
    {
        uint64_t end = __atomic_load_n(r->theirs, __ATOMIC_ACQUIRE);
        int n = 0;
        while (*at < end && n < most) {
            const uint8_t *p = r->records + (*at & (RING_OCTETS - 1));
            uint32_t length = __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
            if (length & RING_BUSY) break;                      /* another processor is writing it */
            if (!(length & RING_DISCARDED)) found[n++] = (const ringed *)(p + RING_HEAD);
            *at += ((length & ~RING_DISCARDED) + RING_HEAD + 7) & ~7u;
        }
        return n;
    }
    static void ring_release(packet_ring *r, uint64_t at) { __atomic_store_n(r->ours, at, __ATOMIC_RELEASE); }
    static void ring_drop(packet_ring *r)
    { if (r->ours) ring_release(r, __atomic_load_n(r->theirs, __ATOMIC_ACQUIRE)); }
    """
    enum: RINGED_OCTETS
    enum: RING_OCTETS
    ctypedef struct ringed:
        uint64_t ns
        uint32_t from_host
        uint32_t to_host
        uint16_t from_port
        uint16_t to_port
        uint16_t n
        uint8_t *octets
    ctypedef struct packet_ring:
        uint64_t *ours
    int ring_map(packet_ring *, int)
    void ring_unmap(packet_ring *)
    int ring_take(packet_ring *, uint64_t *, const ringed **, int) noexcept nogil
    void ring_release(packet_ring *, uint64_t) noexcept nogil
    void ring_drop(packet_ring *) noexcept nogil
