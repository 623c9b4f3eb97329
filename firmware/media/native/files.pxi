# Recordings from memory to their files: coding and headers, in the disk thread.
# Included by _engine.pyx.
#
# The header is rewritten after the samples it counts, so a file is playable at
# any moment; what a killed process loses is what the disk thread had not
# fetched (a round of it), and of IMA a block that was not full (63 ms).  Headers are made by
# formats.py; here only the counters in them change.

cdef extern from "stdlib.h":
    void *aligned_alloc(size_t, size_t) noexcept nogil

cdef extern from "errno.h":
    enum: EINTR
    enum: EFBIG

cdef enum:
    CHUNK = 4040                       # frames coded at once: whole blocks of IMA, octets of G.726 and VOX
    IMA_BLOCK = 256                    # octets of a block, for each channel (formats.py)
    IMA_FRAMES = 505                   # in a block
    IMA_STATE = 4                      # octets of a coder's state
    CODER = 64                         # octets of all states of a recording: two of IMA's, or one of G.726's


cdef void put_le32(uint8_t *p, uint64_t v) noexcept nogil:
    cdef int i
    for i in range(4):
        p[i] = <uint8_t>(v >> (8 * i))


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


cdef int write_header(Recording *r) noexcept nogil:
    """The header with the counters of now; returns errno or 0."""
    if not r.header_size:
        return 0
    put_le32(r.header + 4, r.header_size - 8 + r.octets)
    put_le32(r.header + r.fact_at, r.frames)
    put_le32(r.header + r.header_size - 4, r.octets)
    return write_all(r.fd, r.header, r.header_size, 0)


cdef void tapes_read(Recording *r, uint8_t *to, uint32_t n) noexcept nogil:
    """The n octets of a recording from r.tail on, which are there; they stay."""
    cdef tape *t = r.first
    cdef uint32_t at = <uint32_t>(r.tail % TAPE_OCTETS), here
    if at == 0 and r.tail:
        t = t.next
    while n:
        here = TAPE_OCTETS - at if TAPE_OCTETS - at < n else n
        memcpy(to, t.octets + at, here)
        to += here
        n -= here
        at = 0
        if n:
            t = t.next


cdef void tapes_pass(Engine_ *e, Recording *r, uint64_t tail) noexcept nogil:
    """What lies before tail is done with.  The tape that ends there stays: the tick will link the next one to it."""
    cdef uint64_t n = (tail - 1) // TAPE_OCTETS - (r.tail - 1 if r.tail else 0) // TAPE_OCTETS
    cdef tape *passed
    while n:
        passed = r.first
        r.first = passed.next
        tapes_give(&e.tapes, passed, passed)
        n -= 1
    store64(&r.tail, tail)


cdef void together(Engine_ *e, const uint8_t *frames, int16_t *x, int n) noexcept nogil:
    """Both legs in one: their sum, clipped.  frames: n of A-law octets, left and right."""
    cdef int16_t both[2 * CHUNK]
    cdef int i
    e.k.expand(0, frames, both, 2 * n)
    for i in range(n):
        x[i] = clip(<int32_t>both[2 * i] + both[2 * i + 1])


cdef void ima_block(Engine_ *e, Recording *r, const int16_t *x, int stride, uint8_t *out) noexcept nogil:
    """One block of 505 frames: per channel first sample and step number, then codes, 4 octets of each channel in turn."""
    cdef uint8_t codes[2 * (IMA_BLOCK - 4)]
    cdef int32_t slots[2]
    cdef int c, i
    for c in range(r.channels):
        slots[c] = c
        (<int16_t *>(r.coder + IMA_STATE * c))[0] = x[c * stride]      # the step's number stays
        memcpy(out + 4 * c, r.coder + IMA_STATE * c, 3)
        out[4 * c + 3] = 0
    e.k.ima_encode(0, r.coder, slots, x + 1, stride, NULL, codes, IMA_BLOCK - 4, NULL, r.channels, IMA_FRAMES - 1)
    out += 4 * r.channels
    for i in range((IMA_BLOCK - 4) // 4):
        for c in range(r.channels):
            memcpy(out, codes + c * (IMA_BLOCK - 4) + 4 * i, 4)
            out += 4


cdef int64_t encode_frames(Engine_ *e, Recording *r, const uint8_t *frames, int n, uint8_t *out) noexcept nogil:
    """Code n frames (at most CHUNK; of IMA whole blocks).  Returns the octets written to out."""
    cdef int16_t x[2 * CHUNK]
    cdef int32_t zero = 0
    cdef int i, block
    if r.channels == 2 and r.form == FORM_PCM:
        e.k.expand(0, frames, <int16_t *>out, 2 * n)
        return 4 * n
    if r.channels == 2 and r.form == FORM_U:
        e.k.convert(0, frames, out, 2 * n)
        return 2 * n
    if r.channels == 2 and r.form == FORM_A:
        memcpy(out, frames, 2 * n)
        return 2 * n
    if r.channels == 2:                # IMA: rows of its own for each leg
        e.k.expand(0, frames, <int16_t *>out, 2 * n)
        for i in range(n):
            x[i] = (<int16_t *>out)[2 * i]
            x[CHUNK + i] = (<int16_t *>out)[2 * i + 1]
    else:
        together(e, frames, x, n)
    if r.form == FORM_PCM:
        memcpy(out, x, 2 * n)
        return 2 * n
    if r.form == FORM_A or r.form == FORM_U:
        e.k.compress(1 if r.form == FORM_U else 0, x, out, n)
        return n
    if r.form == FORM_G726:
        e.k.g726_encode(r.bits, 2, r.coder, &zero, x, CHUNK, NULL, out, CHUNK, NULL, 1, n)
        return n * r.bits // 8
    if r.form == FORM_VOX:
        e.k.ima_encode(2, r.coder, &zero, x, CHUNK, NULL, out, CHUNK, NULL, 1, n)
        return n // 2
    for block in range(n // IMA_FRAMES):
        ima_block(e, r, x + block * IMA_FRAMES, CHUNK, out + block * IMA_BLOCK * r.channels)
    return <int64_t>(n // IMA_FRAMES) * IMA_BLOCK * r.channels


cdef int record_drain(Engine_ *e, Recording *r, int last) noexcept nogil:
    """Disk thread: bring what the tick has written to the file; last: the end of it, too.  Returns errno or 0.

    After an error it is thrown away, so that the tick goes on."""
    cdef uint64_t head = load64(&r.head)
    cdef uint64_t tail = r.tail
    cdef uint8_t frames[2 * CHUNK]
    cdef uint8_t out[4 * CHUNK]
    cdef uint64_t octets
    cdef int n, true_n, whole
    if head == tail:
        return 0
    if r.error:
        tapes_pass(e, r, head)
        return 0
    whole = IMA_FRAMES if r.form == FORM_IMA else 8
    while tail != head and not r.error:
        n = CHUNK if head - tail > 2 * CHUNK else <int>((head - tail) // 2)
        true_n = n
        if n % whole:
            if n < whole and not last:
                break                  # the rest of a block is still to come
            n -= n % whole
            if n == 0:
                n = whole
            else:
                true_n = n
        if (r.octets + 4 * CHUNK) >> 16 >= 0xFFFF:
            r.error = EFBIG            # RIFF counts 32 bits
            break
        memset(frames, SILENCE_A, sizeof(frames))
        tapes_read(r, frames, 2 * true_n)
        octets = <uint64_t>encode_frames(e, r, frames, n, out)
        r.error = write_all(r.fd, out, octets, r.header_size + r.octets)
        if not r.error:
            tail += 2 * <uint64_t>true_n
            r.octets += octets
            r.frames += <uint64_t>true_n
            tapes_pass(e, r, tail)
    if not r.error:
        r.error = write_header(r)
    return r.error
