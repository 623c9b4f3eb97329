# Recordings: stereo A-law into a ring in memory (tick), from there into a WAV
# file (disk thread).  Included by _engine.pyx.
#
# The header is rewritten after the samples it counts, so a file is playable at
# any moment; what a killed process loses is what the disk thread had not
# fetched: at most DISK_ROUND_MS.  The ring bridges a disk that stands still for
# RECORD_RING / 16000 = 4 s.

cdef extern from "errno.h":
    enum: EINTR
    enum: EFBIG

cdef enum:
    WAV_HEADER = 58                    # RIFF, fmt of 18 octets, fact, data


cdef void recorder_side(Engine_ *e, int slot, uint8_t *scratch, const uint8_t **octets) noexcept nogil:
    cdef Term *t
    if slot < 0 or e.term[slot].kind == FREE:
        memset(scratch, SILENCE_A, BLOCK)
        octets[0] = scratch
        return
    t = &e.term[slot]
    octets[0] = e.octets_in + t.in_row * BLOCK
    if t.law:
        e.k.convert(1, octets[0], scratch, BLOCK)
        octets[0] = scratch


cdef void record_tick(Engine_ *e) noexcept nogil:
    """Append 10 ms of both legs to each recording."""
    cdef int i, room
    cdef Recording *r
    cdef const uint8_t *left
    cdef const uint8_t *right
    cdef uint8_t a[BLOCK]
    cdef uint8_t b[BLOCK]
    cdef uint8_t both[2 * BLOCK]
    cdef uint32_t at
    for i in range(e.plan.n_recordings):
        r = &e.recording[e.plan.recording[i]]
        if r.head + 2 * BLOCK - load64(&r.tail) > RECORD_RING:
            r.overrun += 2 * BLOCK
            continue
        recorder_side(e, r.left, a, &left)
        recorder_side(e, r.right, b, &right)
        at = <uint32_t>(r.head & (RECORD_RING - 1))
        if at + 2 * BLOCK <= RECORD_RING:
            interleave(r.ring + at, left, right, BLOCK)
        else:
            room = RECORD_RING - at
            interleave(both, left, right, BLOCK)
            memcpy(r.ring + at, both, room)
            memcpy(r.ring, both + room, 2 * BLOCK - room)
        store64(&r.head, r.head + 2 * BLOCK)


cdef void put_le32(uint8_t *p, uint64_t v) noexcept nogil:
    cdef int i
    for i in range(4):
        p[i] = <uint8_t>(v >> (8 * i))


cdef void wav_header(uint8_t *p, uint64_t octets) noexcept nogil:
    """RIFF WAVE, format 6 (A-law), 2 channels, 8000 Hz, with `octets` of data."""
    memset(p, 0, WAV_HEADER)
    memcpy(p, <const char *>b"RIFF", 4)
    put_le32(p + 4, WAV_HEADER - 8 + octets)
    memcpy(p + 8, <const char *>b"WAVEfmt ", 8)
    put_le32(p + 16, 18)
    p[20] = 6
    p[22] = 2
    put_le32(p + 24, 8000)
    put_le32(p + 28, 16000)
    p[32] = 2
    p[34] = 8
    memcpy(p + 38, <const char *>b"fact", 4)
    put_le32(p + 42, 4)
    put_le32(p + 46, octets // 2)
    memcpy(p + 50, <const char *>b"data", 4)
    put_le32(p + 54, octets)


cdef int write_all(int fd, const uint8_t *p, uint64_t n, uint64_t at) noexcept nogil:
    """pwrite until all is there; returns errno or 0."""
    cdef ssize_t done
    while n:
        done = pwrite(fd, p, n, <off_t>at)
        if done < 0:
            if errno == EINTR:
                continue
            return errno
        p += done
        n -= <uint64_t>done
        at += <uint64_t>done
    return 0


cdef int record_drain(Recording *r) noexcept nogil:
    """Disk thread: bring what is in the ring to the file.  Returns errno or 0.

    After an error the ring is still emptied, so that the tick goes on."""
    cdef uint64_t head = load64(&r.head)
    cdef uint64_t tail = r.tail
    cdef uint64_t n, at
    cdef uint8_t header[WAV_HEADER]
    if head == tail:
        return 0
    if r.error:
        store64(&r.tail, head)
        return 0
    if head >> 32 or (head >> 16) == 0xFFFF:
        r.error = EFBIG                # 74 hours: RIFF counts 32 bits
        return r.error
    while tail != head and not r.error:
        at = tail & (RECORD_RING - 1)
        n = head - tail
        if n > RECORD_RING - at:
            n = RECORD_RING - at
        r.error = write_all(r.fd, r.ring + at, n, WAV_HEADER + tail)
        if not r.error:
            tail += n
            store64(&r.tail, tail)
    if not r.error:
        wav_header(header, tail)
        r.error = write_all(r.fd, header, WAV_HEADER, 0)
    return r.error
