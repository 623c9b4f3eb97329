"""STUN messages of ICE connectivity checks, for an agent that only answers them.  RFC 8489, RFC 8445 7.3, 2.5 (lite).

    request = parse(octets)                              # Message, or None: no STUN of ICE, nothing to answer
    status = check(request, user, password, hmac_sha1)   # 0: authentic; else the error to answer with
    octets = success(request, (host as int, port), password, hmac_sha1)
    octets = error(request, status)
    octets = keep_alive_answer(octets, (host, port))     # of a SIP telephone (RFC 5626 8); None: no such question

hmac_sha1(key, octets) -> 20 octets is injected; portable.  Only IPv4 addresses are written.
"""

import struct

BINDING_REQUEST, BINDING_INDICATION, BINDING_SUCCESS, BINDING_ERROR = 0x0001, 0x0011, 0x0101, 0x0111     # RFC 8489 5
COOKIE = 0x2112A442
USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES = 0x0006, 0x0008, 0x0009, 0x000A             # 18.3
XOR_MAPPED_ADDRESS, FINGERPRINT = 0x0020, 0x8028
PRIORITY, USE_CANDIDATE, ICE_CONTROLLED, ICE_CONTROLLING = 0x0024, 0x0025, 0x8029, 0x802A                # RFC 8445 16.1
KNOWN = (USERNAME, MESSAGE_INTEGRITY, PRIORITY, USE_CANDIDATE)       # of those that must be understood (below 0x8000)
FINGERPRINT_XOR = 0x5354554E                                          # RFC 8489 14.7
HEAD_OCTETS, INTEGRITY_OCTETS, FINGERPRINT_OCTETS = 20, 24, 8
REASONS = {400: "Bad Request", 401: "Unauthenticated", 420: "Unknown Attribute", 487: "Role Conflict"}
MOST_OCTETS = 1500
MOST_ATTRIBUTES = 32                                                  # ours


class Message:
    """One message.  attributes: [(type, value)] before MESSAGE-INTEGRITY; signed: the octets that it covers, or None."""
    __slots__ = ("kind", "transaction", "attributes", "signed", "integrity", "octets")

    def __init__(self, kind, transaction, octets):
        self.kind = kind
        self.transaction = transaction
        self.octets = octets
        self.attributes = []
        self.signed = self.integrity = None

    def get(self, wanted):
        """Value of the first attribute of a type, or None."""
        for kind, value in self.attributes:
            if kind == wanted:
                return value
        return None

    def has(self, wanted):
        """Whether there is an attribute of a type."""
        return self.get(wanted) is not None


def crc32(octets):
    """ITU-T V.42, as RFC 8489 14.7 names it."""
    value = 0xFFFFFFFF
    for octet in octets:
        value = (value >> 8) ^ _TABLE[(value ^ octet) & 0xFF]
    return value ^ 0xFFFFFFFF


def _table():
    out = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0xEDB88320 if number & 1 else 0)
        out.append(number)
    return out


_TABLE = _table()


def parse(octets):
    """A binding request or indication with the magic cookie; None for what is not, or is malformed (7.3)."""
    if not HEAD_OCTETS <= len(octets) <= MOST_OCTETS:
        return None
    kind, length, cookie = struct.unpack(">HHI", octets[:8])
    if kind not in (BINDING_REQUEST, BINDING_INDICATION) or cookie != COOKIE or length % 4 or HEAD_OCTETS + length != len(octets):
        return None
    message = Message(kind, octets[8:20], octets)
    at, count = HEAD_OCTETS, 0
    while at < len(octets):
        count += 1
        if at + 4 > len(octets) or count > MOST_ATTRIBUTES:
            return None
        attribute, size = struct.unpack(">HH", octets[at:at + 4])
        value = octets[at + 4:at + 4 + size]
        if len(value) != size:
            return None
        if attribute == FINGERPRINT:
            if size != 4 or at + FINGERPRINT_OCTETS != len(octets) or crc32(octets[:at]) ^ FINGERPRINT_XOR != struct.unpack(">I", value)[0]:
                return None
        elif attribute == MESSAGE_INTEGRITY and message.integrity is None:
            if size != 20:
                return None
            message.integrity = value
            message.signed = _with_length(octets[:at], at - HEAD_OCTETS + INTEGRITY_OCTETS)
        elif message.integrity is None:         # what follows it is not authentic (14.5)
            message.attributes.append((attribute, value))
        at += 4 + size + (-size) % 4
    return message


def _with_length(octets, length):
    return octets[:2] + struct.pack(">H", length) + octets[4:]


def check(message, user, password, hmac_sha1):
    """0 where a request is authentic and ours: USERNAME "ours:theirs" begins with user.  Else the status of the error (9.1.3)."""
    name = message.get(USERNAME)
    if name is None or message.integrity is None:
        return 400
    if name.split(b":")[0] != user.encode() or not _same(hmac_sha1(password.encode(), message.signed), message.integrity):
        return 401
    for kind, _ in message.attributes:
        if kind < 0x8000 and kind not in KNOWN:
            return 420
    return 487 if message.has(ICE_CONTROLLED) else 0        # we are lite: always controlled (RFC 8445 6.1.1)


def _same(one, other):
    """Equality in a time that tells nothing."""
    difference = len(one) ^ len(other)
    for left, right in zip(one, other):
        difference |= left ^ right
    return not difference


def success(message, source, password, hmac_sha1):
    """The answer to an authentic request from source (IPv4 address as int, port)."""
    mapped = struct.pack(">BBHI", 0, 1, source[1] ^ COOKIE >> 16, source[0] ^ COOKIE)
    return _sealed(BINDING_SUCCESS, message.transaction, _attribute(XOR_MAPPED_ADDRESS, mapped), password, hmac_sha1)


def keep_alive_answer(octets, source):
    """The answer to a telephone that asks by STUN whether its flow stands (RFC 5626 4.4.2, 8): its address as seen here, unprotected.

    source: (host as text, port).  None where the octets are no binding request."""
    if octets[:2] != b"\x00\x01":
        return None
    message = parse(octets)
    if message is None or message.kind != BINDING_REQUEST:
        return None
    host = _address(source[0])
    if host is None:
        return None
    mask = struct.pack(">I", COOKIE) + message.transaction
    mapped = struct.pack(">BBH", 0, 1 if len(host) == 4 else 2, source[1] ^ COOKIE >> 16) + bytes([one ^ other for one, other in zip(host, mask)])
    body = _attribute(XOR_MAPPED_ADDRESS, mapped)
    return struct.pack(">HHI", BINDING_SUCCESS, len(body), COOKIE) + message.transaction + body


def _address(host):
    """Octets of an address as text, or None where it is no such, or a mixed form ("::ffff:192.0.2.1")."""
    try:
        return _octets_of(host)
    except ValueError:
        return None


def _octets_of(host):
    if ":" not in host:
        parts = host.split(".")
        return bytes([int(part) for part in parts]) if len(parts) == 4 else None
    head, gap, tail = host.split("%")[0].partition("::")
    groups = [[int(word, 16) for word in part.split(":")] if part else [] for part in (head, tail)]
    missing = 8 - len(groups[0]) - len(groups[1])
    if missing < 0 or (missing and not gap):
        return None
    return b"".join([struct.pack(">H", word) for word in groups[0] + [0] * missing + groups[1]])


def error(message, status, password=None, hmac_sha1=None):
    """A refusal; with a password (420, 487) it is protected as well (9.1.3)."""
    body = _attribute(ERROR_CODE, struct.pack(">HBB", 0, status // 100, status % 100) + REASONS[status].encode())
    if status == 420:
        unknown = [kind for kind, _ in message.attributes if kind < 0x8000 and kind not in KNOWN]
        body += _attribute(UNKNOWN_ATTRIBUTES, b"".join([struct.pack(">H", kind) for kind in unknown]))
    return _sealed(BINDING_ERROR, message.transaction, body, password if status in (420, 487) else None, hmac_sha1)


def _attribute(kind, value):
    return struct.pack(">HH", kind, len(value)) + value + bytes((-len(value)) % 4)


def _sealed(kind, transaction, body, password, hmac_sha1):
    octets = struct.pack(">HHI", kind, len(body), COOKIE) + transaction + body
    if password is not None:
        length = len(body) + INTEGRITY_OCTETS
        octets += _attribute(MESSAGE_INTEGRITY, hmac_sha1(password.encode(), _with_length(octets, length)))
        octets = _with_length(octets, length)
    octets = _with_length(octets, len(octets) - HEAD_OCTETS + FINGERPRINT_OCTETS)
    return octets + _attribute(FINGERPRINT, struct.pack(">I", crc32(octets) ^ FINGERPRINT_XOR))
