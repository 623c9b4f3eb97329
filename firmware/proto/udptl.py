"""UDPTL: T.38 fax packets (IFP) over UDP, with redundancy or forward error correction.  ITU-T T.38 (2015) clause 9.1, Annex A.

    line = UDPTL("redundancy", depth=3)            # or UDPTL("fec", span=3, entries=3), UDPTL("none")
    datagram = line.send(ifp)                      # octets of one IFP packet -> octets of a datagram
    packets = line.receive(datagram)               # [(number, ifp)] that are new, in order; what was lost and could be mended among them
    line.lost, line.mended                         # counters: numbers that never came; those that came by the others

A datagram: number (2 octets), the IFP packet, then either the packets before it, latest first (redundancy), or sums modulo 2 of
`span` packets each (fec): sum m of `entries` covers number + m - k * entries for k = 1..span.  A mended packet of a sum is padded
with zeros, so its own length is found by its structure (A.2).  Numbers start at 0 and wrap; 32 that never came are given up at once.
Portable.  RemoteError on what is no datagram of UDPTL.
"""

from firmware.errors import LocalError, RemoteError

HISTORY = 32                # packets that are remembered, each way; more than any sum reaches back
MOST_ENTRIES = 8            # ours: sums or packets in one datagram
MOST_OCTETS = 1400          # of a datagram that is taken; ours, below any Ethernet's MTU


def _bad(sentence):
    return RemoteError("UDPTL: " + sentence, status=400)


def _length(count):
    """A length determinant of aligned PER (X.691 11.9)."""
    if count < 128:
        return bytes((count,))
    return bytes((0x80 | count >> 8, count & 255))


def _take_length(octets, at):
    if at >= len(octets):
        raise _bad("it ends before a length")
    first = octets[at]
    if first < 128:
        return first, at + 1
    if first & 0x40 or at + 1 >= len(octets):
        raise _bad("a length that no packet has")
    return (first & 0x3F) << 8 | octets[at + 1], at + 2


def _take(octets, at):
    count, at = _take_length(octets, at)
    if at + count > len(octets):
        raise _bad("it ends in the middle of a packet")
    return octets[at:at + count], at + count


def ifp_length(octets, version=0):
    """How long an IFP packet is by its structure, 0 where it is none.  version: of T.38, that both sides agreed on.

    Source: T.38 Annex A.2; since version 1 (A.3) the type of a field has an extension bit."""
    if not octets:
        return 0
    at = 2 if octets[0] & 0x20 else 1
    if not octets[0] & 0x80:
        return at if at <= len(octets) else 0
    if at >= len(octets) or octets[at] > 127:
        return 0
    fields, at = octets[at], at + 1
    for _ in range(fields):
        if at >= len(octets):
            return 0
        has = octets[at] & 0x80
        at += 2 if version > 0 and octets[at] & 0x40 else 1
        if has:
            if at + 2 > len(octets):
                return 0
            at += 2 + (octets[at] << 8 | octets[at + 1]) + 1
    return at if at <= len(octets) else 0


def parse(octets):
    """(number, ifp, [packets before it, latest first], (span, [sums]) or None) of a datagram.  Raises RemoteError."""
    if len(octets) > MOST_OCTETS:
        raise _bad("a datagram of %d octets; at most %d are taken" % (len(octets), MOST_OCTETS))
    if len(octets) < 3:
        raise _bad("a datagram of %d octets" % len(octets))
    number = octets[0] << 8 | octets[1]
    ifp, at = _take(octets, 2)
    if at >= len(octets):
        raise _bad("it ends behind the packet, where the kind of error recovery is due")
    kind, at = octets[at], at + 1
    rows = []
    if kind & 0x80:
        if at + 1 >= len(octets) or octets[at] != 1:
            raise _bad("a span of error correction that is no small number")
        span, at = octets[at + 1], at + 2
    count, at = _take_length(octets, at)
    if count > HISTORY:
        raise _bad("%d packets in one datagram" % count)
    for _ in range(count):
        row, at = _take(octets, at)
        rows.append(row)
    if kind & 0x80:
        return number, ifp, [], (span, rows)
    return number, ifp, rows, None


class UDPTL:
    """One fax session, both ways.  most_octets: of a datagram that the far end takes (T38FaxMaxDatagram)."""

    def __init__(self, recovery="redundancy", depth=3, span=3, entries=3, most_octets=400, version=0):
        if recovery not in ("redundancy", "fec", "none"):
            raise LocalError("UDPTL: %r is no way of error recovery; use redundancy, fec or none" % recovery)
        if not 0 <= depth <= MOST_ENTRIES or not 1 <= span <= MOST_ENTRIES or not 1 <= entries <= MOST_ENTRIES or span * entries > HISTORY // 2:
            raise LocalError("UDPTL: depth %d, span %d, entries %d; each is at most %d, span times entries at most %d"
                             % (depth, span, entries, MOST_ENTRIES, HISTORY // 2))
        self.recovery, self.depth, self.span, self.entries = recovery, depth, span, entries
        self.most_octets, self.version = most_octets, version
        self.number = 0                 # of the next that is sent
        self.sent = []                  # (number, ifp), the last HISTORY
        self.expected = None            # of the next that is due
        self.there = {}                 # number -> ifp, of the last HISTORY that came
        self.lost = self.mended = 0

    def send(self, ifp):
        """The next packet as a datagram."""
        head = bytes((self.number >> 8, self.number & 255)) + _length(len(ifp)) + ifp
        datagram = head + b"\x00\x00"
        if self.recovery == "redundancy":
            rows = b""
            count = 0
            for _, before in reversed(self.sent[-self.depth:] if self.depth else []):
                row = _length(len(before)) + before
                if len(head) + 2 + len(rows) + len(row) > self.most_octets:
                    break
                rows, count = rows + row, count + 1
            datagram = head + bytes((0, count)) + rows
        elif self.recovery == "fec" and len(self.sent) >= self.span * self.entries:
            sums = [_sum([self.sent[place - k * self.entries][1] for k in range(1, self.span + 1)])
                    for place in range(len(self.sent), len(self.sent) + self.entries)]
            tail = b"".join([_length(len(row)) + row for row in sums])
            if len(head) + 4 + len(tail) <= self.most_octets:
                datagram = head + bytes((0x80, 1, self.span, self.entries)) + tail
        self.sent.append((self.number, ifp))
        del self.sent[:-HISTORY]
        self.number = self.number + 1 & 0xFFFF
        return datagram

    def receive(self, datagram):
        """New packets in order, [(number, ifp)].  Raises RemoteError."""
        number, ifp, before, fec = parse(datagram)
        if self.expected is None:
            self.expected = number
        ahead = number - self.expected & 0xFFFF
        if ahead >= 0x8000:
            return []                   # late, or once more: others have brought it, or it was given up
        self.there[number] = ifp
        for place in range(len(before)):
            self._mend(number - 1 - place & 0xFFFF, before[place])
        if fec is not None:
            self._correct(number, fec[0], fec[1])
        out = []
        if ahead > HISTORY:             # the far end began anew, or was away for long
            self.lost += ahead - HISTORY
            self.expected = number - HISTORY & 0xFFFF
        while self.expected != number + 1 & 0xFFFF:
            if self.expected in self.there:
                out.append((self.expected, self.there[self.expected]))
            else:
                self.lost += 1
            self.expected = self.expected + 1 & 0xFFFF
        for old in [old for old in self.there if (number - old & 0xFFFF) > HISTORY]:
            del self.there[old]
        return out

    def _mend(self, number, ifp):
        """A packet that another one brought."""
        if number not in self.there and (number - self.expected & 0xFFFF) < 0x8000 and ifp:
            self.there[number] = ifp
            self.mended += 1

    def _correct(self, number, span, sums):
        for place in range(len(sums)):
            covered = [number + place - k * len(sums) & 0xFFFF for k in range(1, span + 1)]
            missing = [each for each in covered if each not in self.there]
            if len(missing) == 1:
                found = _sum([sums[place]] + [self.there[each] for each in covered if each != missing[0]])
                count = ifp_length(found, self.version)
                if count:
                    self._mend(missing[0], found[:count])


def _sum(rows):
    """The sum modulo 2 of octets, the shorter ones padded with zeros."""
    total = bytearray(max([len(row) for row in rows]))
    for row in rows:
        for place in range(len(row)):
            total[place] ^= row[place]
    return bytes(total)
