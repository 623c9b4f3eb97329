"""ISUP messages: octets <-> Message.

    CIC (2 octets, low one first) | type | fixed part | pointers | variable part | optional part

decode raises RemoteError on what must be thrown away: too short, a pointer that
leads outside, a mandatory parameter that cannot be read (Q.764 2.9.5.1).  What is
survived stands beside the message:
    unknown   [[code, hex contents]]  parameters that nobody here knows (2.9.5.3)
    faults    [name]                  optional ones with bad contents: taken as absent
A message of unknown type has kind None, its parameters are read only if it bears
message compatibility information in an optional part that nothing precedes.
Source: Q.763 (12/1999) 1, T1.113.3.  Portable.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.isup import parameters
from firmware.proto.isup.message_table import NAMES, TABLES

VARIANTS = ("itu", "ansi", "china")
CIC_BITS = {"itu": 12, "ansi": 14, "china": 12}         # 1.2; T1.113.3 1.2
MAX_OCTETS = {"itu": 268, "ansi": 265, "china": 265}    # what MTP3 carries behind the label
MAX_LENGTH = 255


class Message:
    """One message.  kind: "IAM" ... or None (then `code` tells it); parameters: {name: value}."""

    __slots__ = ("kind", "code", "cic", "parameters", "unknown", "faults", "raw")

    def __init__(self, kind, cic, content=None, code=None):
        self.kind = kind
        self.code = code
        self.cic = cic
        self.parameters = content if content is not None else {}
        self.unknown = []
        self.faults = []
        self.raw = b""                  # what follows the type

    def get(self, name):
        """The value of a parameter, or None."""
        return self.parameters.get(name)

    def __repr__(self):
        return "<%s CIC %d %r unknown %r faults %r>" % (
            self.kind or "type %02x" % (self.code or 0), self.cic, self.parameters, self.unknown, self.faults)


def encode(variant, message, limit=True):
    """Encode a Message.  limit: no longer than MTP3 carries.  Raises LocalError."""
    if not 0 <= message.cic < 1 << CIC_BITS[variant]:
        raise LocalError("CIC %r does not fit %d bits" % (message.cic, CIC_BITS[variant]))
    head = message.cic.to_bytes(2, "little")
    if message.kind is None:
        return head + bytes([message.code]) + message.raw
    if message.kind not in TABLES[variant]:
        raise LocalError("ISUP (%s) has no message %r" % (variant, message.kind))
    code, _, fixed, variable, optional = TABLES[variant][message.kind]
    head += bytes([code])
    if optional == "raw":
        return head + message.raw
    for name in fixed + variable:
        if name not in message.parameters:
            raise LocalError("%s lacks %s" % (message.kind, name))
    for name in fixed:
        head += parameters.encode(variant, name, message.parameters[name])
    contents = [parameters.encode(variant, name, message.parameters[name]) for name in variable]
    others = _optional_part(variant, message, fixed + variable, optional)
    pointers, body = b"", b""
    at = len(contents) + (1 if optional else 0)
    for octets in contents:
        pointers += bytes([at - len(pointers) + len(body)])
        body += bytes([len(octets)]) + octets
    if optional:
        pointers += bytes([at - len(pointers) + len(body) if others else 0])
    whole = head + pointers + body + others
    if limit and len(whole) > MAX_OCTETS[variant]:
        raise LocalError("%s of %d octets, %d are allowed" % (message.kind, len(whole), MAX_OCTETS[variant]))
    return whole


def _optional_part(variant, message, mandatory, optional):
    parts = []
    for name in message.parameters:
        if name in mandatory:
            continue
        octets = parameters.encode(variant, name, message.parameters[name])
        parts.append((parameters.CODES[name], octets))
    parts.sort()
    parts += [(code, bytes.fromhex(contents)) for code, contents in message.unknown]
    if parts and not optional:
        raise LocalError("%s has no optional part" % message.kind)
    if not parts:
        return b""
    return b"".join([bytes([code, len(octets)]) + octets for code, octets in parts]) + b"\x00"


def decode(variant, octets):
    """Decode octets.  Raises RemoteError on what is to be thrown away."""
    octets = bytes(octets)
    if len(octets) < 3:
        raise RemoteError("ISUP message of %d octets" % len(octets))
    cic = (octets[0] | octets[1] << 8) & ((1 << CIC_BITS[variant]) - 1)
    kind = NAMES[variant].get(octets[2])
    message = Message(kind, cic, {}, octets[2])
    message.raw = octets[3:]
    if kind is None:
        _look_for_compatibility(variant, message)
        return message
    _, _, fixed, variable, optional = TABLES[variant][kind]
    if optional == "raw":
        return message
    at = 3
    for name in fixed:
        code = parameters.CODES[name]
        size = len_of_fixed(variant, code)
        if at + size > len(octets):
            raise RemoteError("%s ends inside %s" % (kind, name))
        message.parameters[name] = parameters.decode(variant, code, octets[at:at + size])
        at += size
    for name in variable:
        contents = _pointed(octets, at, kind)
        if contents is None:
            raise RemoteError("%s: the pointer to %s is 0" % (kind, name))
        message.parameters[name] = parameters.decode(variant, parameters.CODES[name], contents)
        at += 1
    if optional and at < len(octets) and octets[at]:    # an end without a pointer: an older edition
        _decode_optional(variant, message, octets, at + octets[at])
    return message


def len_of_fixed(variant, code):
    """Octets of a parameter in the fixed part."""
    table = parameters.PARAMETERS if code in parameters.PARAMETERS else parameters.ANSI
    row = table.get(code) or parameters.CHINA[code]
    return row[3]


def _pointed(octets, at, kind):
    """The contents that a pointer leads to; None for pointer 0."""
    if at >= len(octets):
        raise RemoteError("%s ends before a pointer" % kind)
    if not octets[at]:
        return None
    start = at + octets[at]
    if start >= len(octets) or start + 1 + octets[start] > len(octets):
        raise RemoteError("%s: a pointer leads outside of the message" % kind)
    return octets[start + 1:start + 1 + octets[start]]


def _decode_optional(variant, message, octets, at):
    if at >= len(octets):
        raise RemoteError("%s: the pointer to the optional part leads outside" % (message.kind,))
    while at < len(octets) and octets[at]:
        if at + 1 >= len(octets) or at + 2 + octets[at + 1] > len(octets):
            raise RemoteError("%s: a parameter runs over the end" % (message.kind,))
        code, contents = octets[at], octets[at + 2:at + 2 + octets[at + 1]]
        at += 2 + len(contents)
        name = parameters.name_of(variant, code)
        if name is None:
            message.unknown.append([code, contents.hex()])
        elif name not in message.parameters:            # of repeated ones the first counts
            try:
                message.parameters[name] = parameters.decode(variant, code, contents)
            except RemoteError:
                message.faults.append(name)
    # No end octet: the end of the message does as well.


def _look_for_compatibility(variant, message):
    """3.33: a message of later editions has an optional part only, so that everybody finds its compatibility."""
    copy = Message(None, message.cic, {}, message.code)
    if not message.raw or not message.raw[0]:
        return
    try:
        _decode_optional(variant, copy, message.raw, message.raw[0])
    except RemoteError:
        return
    found = copy.get("message_compatibility")
    if found is not None:
        message.parameters["message_compatibility"] = found
