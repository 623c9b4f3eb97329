"""Labels, management and test messages of MTP level 3, in three variants.

A message is the SIO and what follows, as MTP2 carries it:
    SIO | label | (management and test: heading H0 H1 | fields) or (user: data)

    variant  point code  label                              fields with an SLC
    itu      14 bits     DPC OPC SLS in 32 bits             no
    china    24 bits     DPC OPC SLS (4 of 8 bits)          no
    ansi     24 bits     DPC OPC SLS (5 or 8 of 8 bits)     yes

Source: Q.704 (07/1996) clauses 2.2, 14, 15; Q.707 clause 5; ANSI T1.111.4 for
the second; GF 001-9001 for the third, as far as its labels go.  Portable.
"""

NETWORK_MANAGEMENT = 0                  # service indicators, 14.2.1
TEST = 1
TEST_SPECIAL = 2                        # where ANSI has SLTM and SLTA

ITU, ANSI, CHINA = "itu", "ansi", "china"
VARIANTS = (ITU, ANSI, CHINA)

# name: (H0, H1, fields)
HEADINGS = {
    "COO": (1, 1, ("slc", "fsn")), "COA": (1, 2, ("slc", "fsn")),               # 15.4
    "CBD": (1, 5, ("slc", "code")), "CBA": (1, 6, ("slc", "code")),             # 15.5
    "ECO": (2, 1, ("slc",)), "ECA": (2, 2, ("slc",)),                           # 15.6
    "RCT": (3, 1, ()), "TFC": (3, 2, ("destination", "status")),                # 15.9, 15.10
    "TFP": (4, 1, ("destination",)), "TFR": (4, 3, ("destination",)),           # 15.7
    "TFA": (4, 5, ("destination",)),                                            # 15.8
    "RST": (5, 1, ("destination",)), "RSR": (5, 2, ("destination",)),           # 15.11
    "LIN": (6, 1, ("slc",)), "LUN": (6, 2, ("slc",)), "LIA": (6, 3, ("slc",)),  # 15.12
    "LUA": (6, 4, ("slc",)), "LID": (6, 5, ("slc",)), "LFU": (6, 6, ("slc",)),
    "LLT": (6, 7, ("slc",)), "LRT": (6, 8, ("slc",)),
    "TRA": (7, 1, ()),                                                          # 15.13
    "UPU": (10, 1, ("destination", "user", "cause")),                           # 15.17
}
TEST_HEADINGS = {"SLTM": (1, 1, ("slc", "pattern")), "SLTA": (1, 2, ("slc", "pattern"))}   # Q.707 5.4


def _names(headings):
    found = {}
    for name in headings:
        found[headings[name][1] << 4 | headings[name][0]] = name
    return found


NAMES = _names(HEADINGS)
TEST_NAMES = _names(TEST_HEADINGS)
LINK_MESSAGES = ("COO", "COA", "CBD", "CBA", "ECO", "ECA", "LIN", "LUN", "LIA", "LUA", "LID", "LFU", "LLT", "LRT",
                 "SLTM", "SLTA")


class MessageError(Exception):
    """Octets that are no message of this variant: what is wrong, in a sentence."""


class Label:
    """Who sends to whom, in which service, by which share of the load."""

    __slots__ = ("si", "ni", "priority", "dpc", "opc", "sls")

    def __init__(self, si, ni, dpc, opc, sls, priority=0):
        self.si = si
        self.ni = ni
        self.priority = priority
        self.dpc = dpc
        self.opc = opc
        self.sls = sls


def label_octets(variant):
    """Octets of the label alone."""
    return 4 if variant == ITU else 7


def max_point_code(variant):
    """The largest point code."""
    return 0x3FFF if variant == ITU else 0xFFFFFF


def max_sls(variant):
    """The largest SLS: 4 bits, ANSI up to 8."""
    return 255 if variant == ANSI else 15


def encode_label(variant, label):
    """Return SIO and label."""
    sio = bytes([label.si | label.priority << 4 | label.ni << 6])
    if variant == ITU:
        return sio + (label.dpc | label.opc << 14 | label.sls << 28).to_bytes(4, "little")
    return sio + label.dpc.to_bytes(3, "little") + label.opc.to_bytes(3, "little") + bytes([label.sls])


def decode(variant, octets):
    """Return (Label, octets behind the label).  Raises MessageError."""
    end = 1 + label_octets(variant)
    if len(octets) <= end:
        raise MessageError("a message of variant %s has more than %d octets, this has %d" % (variant, end, len(octets)))
    sio = octets[0]
    if variant == ITU:
        word = int.from_bytes(octets[1:5], "little")
        dpc, opc, sls = word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28
    else:
        dpc, opc = int.from_bytes(octets[1:4], "little"), int.from_bytes(octets[4:7], "little")
        sls = octets[7] if variant == ANSI else octets[7] & 15
    return Label(sio & 15, sio >> 6, dpc, opc, sls, sio >> 4 & 3), bytes(octets[end:])


def encode_management(variant, name, slc=0, fsn=0, code=0, destination=0, status=0, user=0, cause=0, pattern=b""):
    """Return heading and fields of a management or test message."""
    testing = name in TEST_HEADINGS
    h0, h1, fields = (TEST_HEADINGS if testing else HEADINGS)[name]
    out = bytes([h1 << 4 | h0])
    ansi = variant == ANSI
    if testing:
        return out + bytes([len(pattern) << 4 | (slc if ansi else 0)]) + pattern
    if name in ("COO", "COA"):
        return out + ((slc | fsn << 4).to_bytes(2, "little") if ansi else bytes([fsn]))
    if name in ("CBD", "CBA"):
        return out + ((slc | code << 4).to_bytes(2, "little") if ansi else bytes([code]))
    if fields == ("slc",):
        return out + (bytes([slc]) if ansi else b"")
    if "destination" in fields:
        if variant == ITU:              # 15.10: national congestion status in the two bits above
            out += (destination | (status << 14 if name == "TFC" else 0)).to_bytes(2, "little")
        else:
            out += destination.to_bytes(3, "little")
            if name == "TFC":
                out += bytes([status])
        if name == "UPU":
            out += bytes([user | cause << 4])
    return out


def _need(name, octets, number):
    if len(octets) < number:
        raise MessageError("%s has %d octets behind its heading, %d are needed" % (name, len(octets), number))


def decode_management(variant, si, octets):
    """Return (name, {field: value}).  Octets beyond the fields are ignored (14.4).  Raises MessageError."""
    name = (NAMES if si == NETWORK_MANAGEMENT else TEST_NAMES).get(octets[0])
    if name is None:
        raise MessageError("heading 0x%02x with service indicator %d is not known" % (octets[0], si))
    rest = octets[1:]
    ansi = variant == ANSI
    values = {}
    if si != NETWORK_MANAGEMENT:
        _need(name, rest, 1)
        length = rest[0] >> 4
        _need(name, rest, 1 + length)
        values["pattern"] = rest[1:1 + length]
        if ansi:
            values["slc"] = rest[0] & 15
        return name, values
    fields = HEADINGS[name][2]
    if name in ("COO", "COA", "CBD", "CBA"):
        _need(name, rest, 2 if ansi else 1)
        word = int.from_bytes(rest[:2], "little") if ansi else rest[0] << 4
        values[fields[1]] = word >> 4 & (127 if fields[1] == "fsn" else 255)
        if ansi:
            values["slc"] = word & 15
    elif fields == ("slc",) and ansi and rest:
        values["slc"] = rest[0] & 15    # without it (libss7) the label's SLS has to do
    elif "destination" in fields:
        size = 2 if variant == ITU else 3
        _need(name, rest, size + (name == "UPU"))
        word = int.from_bytes(rest[:size], "little")
        values["destination"] = word & max_point_code(variant)
        if name == "TFC":
            # The status is a national matter; a TFC without it is one of one level.
            values["status"] = word >> 14 if variant == ITU else rest[3] & 3 if len(rest) > 3 else 0
        if name == "UPU":
            values["user"] = rest[size] & 15
            values["cause"] = rest[size] >> 4
    return name, values
