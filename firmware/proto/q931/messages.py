"""Q.931 messages: octets <-> Message.

A message that 5.8.1 to 5.8.3.1 tell us to ignore raises RemoteError; every
other fault is survived and stands in `faults` beside what could be read:
    ("content", identifier)          a known element with bad contents
    ("comprehension", identifier)    unknown, and must not be ignored (4.5.1)
    ("unrecognised", identifier)     unknown
The machines judge them by message and state (5.8.6, 5.8.7).
Elements are taken in any order (5.8.5.1 leaves that to us); of one that must
not repeat the first counts (5.8.5.2).  Source: Q.931 (05/1998) 4 and 5.8.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.q931 import codes, elements


class Message:
    """One message.

    kind: "SETUP" ..., or None for an unknown type (then `code` tells it);
    reference: call reference value, 0 is the global one, None the dummy one;
    flag: 1 if sent to the side that chose the reference;
    elements: {name: value}, a list of values for those that may repeat;
    other: [(codeset, identifier, contents)] that were not decoded."""

    __slots__ = ("kind", "code", "reference", "flag", "elements", "other", "faults", "reference_octets")

    def __init__(self, kind, reference, flag, content=None, reference_octets=2, code=None):
        self.kind = kind
        self.code = codes.MESSAGE_CODES[kind] if code is None else code
        self.reference = reference
        self.flag = flag
        self.reference_octets = reference_octets
        self.elements = content if content is not None else {}
        self.other = []
        self.faults = []

    def get(self, name):
        """The value of an element, the first one if it may repeat, or None."""
        value = self.elements.get(name)
        if isinstance(value, list):
            return value[0] if value else None
        return value

    def __repr__(self):
        return "<%s reference %r flag %d %r faults %r>" % (
            self.kind or "type %02x" % self.code, self.reference, self.flag, self.elements, self.faults)


def encode(message):
    """Encode a Message.  Elements in ascending order of identifier (4.5.1).

    Raises LocalError."""
    size = message.reference_octets
    if message.reference is None:
        head = bytes([codes.PROTOCOL_DISCRIMINATOR, 0])
    else:
        if not 0 <= message.reference < 1 << (8 * size - 1):
            raise LocalError("call reference %r does not fit %d octets" % (message.reference, size))
        value = message.flag << (8 * size - 1) | message.reference
        head = bytes([codes.PROTOCOL_DISCRIMINATOR, size]) + value.to_bytes(size, "big")
    parts = []
    for name, value in message.elements.items():
        if name not in elements.IDENTIFIERS:
            raise LocalError("Q.931 has no element %r here" % (name,))
        # Sending complete stands first, as in the tables of 3.1.
        order = 0 if name == "sending_complete" else elements.IDENTIFIERS[name]
        for one in (value if isinstance(value, list) else [value]):
            parts.append((order, len(parts), elements.encode(name, one)))
    parts.sort()
    return head + bytes([message.code]) + b"".join([part[2] for part in parts])


def decode(octets, discriminator=codes.PROTOCOL_DISCRIMINATOR, kinds=codes.MESSAGES):
    """Decode octets.  Raises RemoteError on what is to be ignored."""
    if len(octets) < 1 or octets[0] != discriminator:
        raise RemoteError("not a Q.931 message: protocol discriminator")         # 5.8.1
    if len(octets) < 3:
        raise RemoteError("message of %d octets is too short" % len(octets))     # 5.8.2
    size = octets[1]
    if size > 2:
        raise RemoteError("call reference length octet %02x" % size)             # 5.8.3.1
    if len(octets) < 3 + size:
        raise RemoteError("message ends inside its call reference or type")
    reference, flag = None, 0
    if size:
        flag = octets[2] >> 7
        reference = int.from_bytes(octets[2:2 + size], "big") & ((1 << (8 * size - 1)) - 1)
    code = octets[2 + size]
    message = Message(kinds.get(code), reference, flag, {}, size or 2, code)
    _decode_elements(message, octets[3 + size:])
    return message


def _decode_elements(message, octets):
    codeset = locked = 0
    at = 0
    while at < len(octets):
        identifier = octets[at]
        if identifier & 0x80:                           # single octet
            at += 1
            if identifier & 0xF0 == 0x90:               # 4.5.2 shift
                codeset = identifier & 7
                if not identifier & 8:
                    locked = codeset
                continue
            if codeset == 0 and identifier == elements.SENDING_COMPLETE:
                message.elements["sending_complete"] = True
            else:
                message.other.append((codeset, identifier, b""))
            codeset = locked
            continue
        contents = octets[at + 2:at + 2 + octets[at + 1]] if at + 1 < len(octets) else b""
        cut = at + 1 >= len(octets) or len(contents) < octets[at + 1]
        at += 2 + len(contents)
        if codeset != 0:
            message.other.append((codeset, identifier, bytes(contents)))
        else:
            _take(message, identifier, contents, cut)
        codeset = locked


def _take(message, identifier, contents, cut):
    """Take one variable length element of codeset 0."""
    if not contents and not cut:
        return                          # 4.5.1: an empty element counts as absent
    row = elements.ELEMENTS.get(identifier)
    if row is None:
        # 4.5.1, note to Table 4-3: identifiers 0000 xxxx demand comprehension.
        message.faults.append(("comprehension" if identifier < 0x10 else "unrecognised", identifier))
        message.other.append((0, identifier, bytes(contents)))
        return
    name, repeats = row[0], row[3]
    if name in message.elements and not repeats:
        return
    try:
        if cut:
            raise RemoteError("%s runs over the end of the message" % name, cause=100)
        value = elements.decode(name, contents)
    except RemoteError:
        message.faults.append(("content", identifier))
        return
    if repeats:
        message.elements.setdefault(name, []).append(value)
    else:
        message.elements[name] = value
