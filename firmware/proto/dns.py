"""Questions to a name server, and its answers: what SIP needs of DNS.  Sans-I/O.

    octets = question(number, "example.org", SRV)
    answer = read(octets)           # Answer: number, code, cut, asked (name, kind), records [Record], negative_s
    targets = in_order(records, random)     # SRV records in the order of RFC 2782

Sources: RFC 1035 3, 4 (coding, compression), 2782 (SRV), 3403 (NAPTR), 3596 (AAAA), 6891 (EDNS: a bigger answer), 2308 5 (how long
a "no" holds).  Which questions lead from a name to a SIP server: firmware/links/sip_names.py.
"""

import struct

from firmware.errors import LocalError, RemoteError

A, CNAME, SOA, AAAA, SRV, NAPTR, OPT = 1, 5, 6, 28, 33, 35, 41
IN = 1
OK, NO_SUCH_NAME = 0, 3             # RCODE
ROOM_OCTETS = 1232                  # of an answer in a datagram: what no path breaks up (DNS flag day 2020)
MOST_RECORDS = 100                  # ours: of an answer
MOST_JUMPS = 30                     # ours: compression pointers in one name
RESPONSE, CUT, RECURSION = 0x8000, 0x0200, 0x0100


class Record:
    """One record: name (lower case), kind, ttl_s, value: A, AAAA and CNAME text; SRV (priority, weight, port, target);
    NAPTR (order, preference, flags, service, pattern, replacement)."""
    __slots__ = ("name", "kind", "ttl_s", "value")

    def __init__(self, name, kind, ttl_s, value):
        self.name, self.kind, self.ttl_s, self.value = name, kind, ttl_s, value


class Answer:
    """See the top.  negative_s: how long to believe that there is nothing (None: it does not say)."""
    __slots__ = ("number", "code", "cut", "asked", "records", "negative_s")

    def __init__(self, number, code, cut, asked):
        self.number, self.code, self.cut, self.asked = number, code, cut, asked
        self.records, self.negative_s = [], None

    def of(self, kind):
        """Records of a kind for the name that was asked, aliases followed; and the shortest life on the way."""
        name, life_s, seen = self.asked[0], 1 << 31, 0
        while seen <= len(self.records):
            found = [record for record in self.records if record.kind == kind and record.name == name]
            if found:
                return found, min([life_s] + [record.ttl_s for record in found])
            alias = [record for record in self.records if record.kind == CNAME and record.name == name]
            if not alias:
                break
            name, life_s, seen = alias[0].value, min(life_s, alias[0].ttl_s), seen + 1
        return [], life_s


def _labels(name):
    out = b""
    for label in name.rstrip(".").split("."):
        octets = label.encode()
        if not 0 < len(octets) < 64:
            raise LocalError("%r is no name of a host; give for example sip.example.org" % name)
        out += bytes([len(octets)]) + octets
    if len(out) > 254:
        raise LocalError("%r is longer than a name may be" % name)
    return out + b"\0"


def question(number, name, kind):
    """A question as octets.  Raises LocalError for what is no name."""
    return (struct.pack(">HHHHHH", number, RECURSION, 1, 0, 0, 1) + _labels(name) + struct.pack(">HH", kind, IN)
            + b"\0" + struct.pack(">HHIH", OPT, ROOM_OCTETS, 0, 0))


def _name(octets, at):
    """(name, place after it).  Raises RemoteError."""
    labels, after, jumps, length = [], None, 0, 0
    while True:
        if at >= len(octets):
            raise RemoteError("DNS: a name ends outside of the answer", status=502)
        size = octets[at]
        if size >= 0xC0:
            if at + 1 >= len(octets) or jumps >= MOST_JUMPS:
                raise RemoteError("DNS: a name that leads in circles", status=502)
            if after is None:
                after = at + 2
            at = (size & 0x3F) << 8 | octets[at + 1]
            jumps += 1
            continue
        if size >= 0x40:
            raise RemoteError("DNS: a label of an unknown kind", status=502)
        at += 1
        if not size:
            return ".".join(labels).lower(), at if after is None else after
        length += size + 1
        if at + size > len(octets) or length > 254:
            raise RemoteError("DNS: a name that is too long", status=502)
        labels.append("".join([chr(octet) for octet in octets[at:at + size]]))
        at += size


def _texts(octets, at, end, count):
    out = []
    for _ in range(count):
        if at >= end or at + 1 + octets[at] > end:
            raise RemoteError("DNS: a text ends outside of its record", status=502)
        out.append("".join([chr(octet) for octet in octets[at + 1:at + 1 + octets[at]]]))
        at += 1 + octets[at]
    return out, at


def _value(octets, kind, at, size):
    end = at + size
    if kind == A and size == 4:
        return "%d.%d.%d.%d" % tuple(octets[at:end])
    if kind == AAAA and size == 16:
        return ":".join(["%x" % value for value in struct.unpack(">8H", octets[at:end])])
    if kind == CNAME:
        return _name(octets, at)[0]
    if kind == SRV and size >= 7:
        return struct.unpack(">HHH", octets[at:at + 6]) + (_name(octets, at + 6)[0],)
    if kind == NAPTR and size >= 8:
        texts, after = _texts(octets, at + 4, end, 3)
        return struct.unpack(">HH", octets[at:at + 4]) + (texts[0].lower(), texts[1].lower(), texts[2], _name(octets, after)[0])
    return None


def read(octets):
    """An answer.  Raises RemoteError for what is none."""
    if len(octets) < 12:
        raise RemoteError("DNS: an answer of %d octets" % len(octets), status=502)
    number, flags, questions, answers, authorities, _ = struct.unpack(">HHHHHH", octets[:12])
    if not flags & RESPONSE or questions != 1 or answers > MOST_RECORDS:
        raise RemoteError("DNS: what is no answer to a question of ours", status=502)
    name, at = _name(octets, 12)
    if at + 4 > len(octets):
        raise RemoteError("DNS: it ends in the question", status=502)
    kind = struct.unpack(">H", octets[at:at + 2])[0]
    at += 4
    answer = Answer(number, flags & 15, bool(flags & CUT), (name, kind))
    if answer.cut:
        return answer
    for index in range(answers + authorities):
        name, at = _name(octets, at)
        if at + 10 > len(octets):
            raise RemoteError("DNS: it ends in a record", status=502)
        kind, family, ttl_s, size = struct.unpack(">HHIH", octets[at:at + 10])
        at += 10
        if at + size > len(octets):
            raise RemoteError("DNS: a record ends outside of the answer", status=502)
        if ttl_s >= 1 << 31:
            ttl_s = 0                        # RFC 2181 8
        if index < answers and family == IN:
            value = _value(octets, kind, at, size)
            if value is not None:
                answer.records.append(Record(name, kind, ttl_s, value))
        elif kind == SOA and size >= 22:
            answer.negative_s = min(ttl_s, struct.unpack(">I", octets[at + size - 4:at + size])[0])
        at += size
    return answer


def in_order(records, random):
    """SRV values by priority, by chance among equals as their weights say (RFC 2782).  random(n): a number from 0 to n, both included."""
    out = []
    for priority in sorted(set([record.value[0] for record in records])):
        left = sorted([record.value for record in records if record.value[0] == priority], key=lambda value: (value[1] != 0, value))
        while left:
            mark, total = random(sum([value[1] for value in left])), 0
            for index, value in enumerate(left):
                total += value[1]
                if total >= mark:
                    break
            out.append(left.pop(index))
    return out
