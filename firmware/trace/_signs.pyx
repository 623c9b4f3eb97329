"""Which secrets a SIP message may hold, by one look at each octet: nearly all messages hold none, and cost no search.

    found = signs(octets)           # bits: 1 << n for SIGNS[n], in whatever letters it stands; PASSWORD
    found == 0                      # there is nothing to mask

PASSWORD: before an @, behind what ends a piece of a header (white space, quote, angle bracket), stand two colons, as in "sip:user:password@host".
A bit says that something may be there; firmware/trace/sip.py looks exactly.
"""

from libc.stdint cimport uint8_t

SIGNS = (b"inline:", b"\nk=", b"ice-pwd:", b"basic", b"signal", b"application/dtmf")       # in small letters
PASSWORD = 1 << 8

cdef enum:
    PLAIN, ENDS, COLON, AT, BEGINS, BOTH        # BEGINS: a sign may begin there; BOTH: it ends a piece, too
    SIGNS_MOST = 8

cdef uint8_t KINDS[256]
cdef const uint8_t *_texts[SIGNS_MOST]
cdef Py_ssize_t _lengths[SIGNS_MOST]
cdef int _count = len(SIGNS)


cdef void _prepare() except *:
    cdef int n
    for n in range(256):
        KINDS[n] = PLAIN
    for octet in b" \t\n\v\f\r\"<>":
        KINDS[octet] = ENDS
    KINDS[b":"[0]], KINDS[b"@"[0]] = COLON, AT
    for n in range(_count):
        text = <bytes> SIGNS[n]
        _texts[n], _lengths[n] = <const uint8_t *> <const char *> text, len(text)
        first = text[0]
        KINDS[first] = BOTH if KINDS[first] == ENDS else BEGINS
        for octet in text[:1].upper():
            KINDS[octet] = KINDS[first]


_prepare()


cdef inline uint8_t _small(uint8_t octet) noexcept nogil:
    return octet + 32 if 65 <= octet <= 90 else octet


cdef int _signs_at(const uint8_t *at, Py_ssize_t left) noexcept nogil:
    """The signs that begin here, as bits."""
    cdef int n, found = 0
    cdef Py_ssize_t i
    for n in range(_count):
        if _lengths[n] > left:
            continue
        i = 0
        while i < _lengths[n] and _small(at[i]) == _texts[n][i]:
            i += 1
        if i == _lengths[n]:
            found |= 1 << n
    return found


def signs(bytes octets not None):
    """Bits of what may be in a message."""
    cdef const uint8_t *at = <const uint8_t *> <const char *> octets
    cdef Py_ssize_t i, length = len(octets)
    cdef int found = 0, colons = 0
    cdef uint8_t kind
    for i in range(length):
        kind = KINDS[at[i]]
        if kind == PLAIN:
            continue
        if kind >= BEGINS:
            found |= _signs_at(at + i, length - i)
        if kind == ENDS or kind == BOTH:
            colons = 0
        elif kind == COLON:
            colons += 1
        elif kind == AT:
            if colons > 1:
                found |= 256        # PASSWORD
            colons = 0
    return found
