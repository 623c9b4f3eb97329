"""Signal units of Q.703: octets without flags and FCS.

    BSN (7) BIB (1) | FSN (7) FIB (1) | LI (6) spare (2) | status field, or SIO and SIF

The length indicator says the kind: 0 is a FISU, 1 or 2 an LSSU, more an MSU;
63 stands for 63 octets and more.  Source: Q.703 (07/1996) clauses 2 and 11.1;
portable.
"""

STATUS = ("SIO", "SIN", "SIE", "SIOS", "SIPO", "SIB")       # 11.1.3, codes 0 to 5
MAX_MESSAGE = 273                                           # SIO and 272 octets of SIF, 2.3.8


class UnitError(Exception):
    """Octets that are no signal unit: too short, too long, or not as long as LI says."""


class Unit:
    """One signal unit.  kind: "FISU", "MSU", a name of STATUS, or "LSSU" (a code not in use)."""

    __slots__ = ("bsn", "bib", "fsn", "fib", "kind", "message")

    def __init__(self, kind, bsn, bib, fsn, fib, message=b""):
        self.kind = kind
        self.bsn = bsn
        self.bib = bib
        self.fsn = fsn
        self.fib = fib
        self.message = message


def encode(unit):
    """Return the octets of a unit."""
    if unit.kind == "FISU":
        content = b""
    elif unit.kind == "MSU":
        content = unit.message
    else:
        content = bytes([STATUS.index(unit.kind)])
    return bytes([unit.bsn | unit.bib << 7, unit.fsn | unit.fib << 7, min(len(content), 63)]) + content


def decode(octets):
    """Return the Unit.  Raises UnitError."""
    if len(octets) < 3:
        raise UnitError("a signal unit has at least 3 octets, this has %d" % len(octets))
    length = octets[2] & 63
    content = bytes(octets[3:])
    if len(content) != length and (length < 63 or not 63 <= len(content) <= MAX_MESSAGE):
        raise UnitError("LI is %d, %d octets follow" % (length, len(content)))
    if length == 0:
        kind = "FISU"
    elif length > 2:
        kind = "MSU"
    else:
        code = content[0] & 7
        kind = STATUS[code] if code < len(STATUS) else "LSSU"
    return Unit(kind, octets[0] & 127, octets[0] >> 7, octets[1] & 127, octets[1] >> 7,
                content if kind == "MSU" else b"")
