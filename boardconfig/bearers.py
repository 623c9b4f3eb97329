"""What carries a span: the board, or a bearer of its own named here.  One line a span in a board's "bearers":

    {"span": 2, "kind": "cesopsn", "local": "192.0.2.10:2142", "remote": "192.0.2.20:2142", "timeslots": "1-31"}

kind      board (as if the line were not there), cesopsn (RFC 5086), satop (RFC 4553: the whole E1, bit by bit), dahdi (a span of a
          card that Linux drives)
dahdi_span  dahdi: the number of the card's span, as lsdahdi shows it; the fields below are not for it
local, remote   IPv4 address and UDP port of this box and of the far end; both ends name each other
timeslots of a CESoPSN structure, in the order of the packet: "1-31", "1-15,17-31"
cas       CESoPSN: the structure with signalling of RFC 5086 4.6 (E1); SAToP: a CAS multiframe in timeslot 16
packet_ms what a packet holds; jitter_ms: how late a packet may come
rtp       with an RTP header, of rtp_payload_type

The same fields stand in a span's row of the configuration ("bearer"), which wins."""

import re

from firmware.errors import ConfigError

PSEUDOWIRES = ("cesopsn", "satop")
DAHDI = "dahdi"
KINDS = ("board", *PSEUDOWIRES, DAHDI)
DAHDI_SPANS = (1, 128)              # DAHDI_MAX_SPANS of its kernel.h
DEFAULTS = {"kind": "board", "dahdi_span": 0, "local": "", "remote": "", "timeslots": "1-31", "cas": False, "packet_ms": 1, "jitter_ms": 20,
            "rtp": False, "rtp_payload_type": 96}
PACKET_MS, JITTER_MS, RTP_TYPES = (1, 5), (2, 200), (96, 127)
PACKET_MOST = 1472              # of UDP in an Ethernet frame
ENDPOINT = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3}):(\d{1,5})")


def endpoint(text):
    """("192.0.2.1", 2142) of "192.0.2.1:2142".  Raises ValueError."""
    found = ENDPOINT.fullmatch(text if isinstance(text, str) else "")
    if not found or any(int(part) > 255 for part in found.groups()[:4]) or not 1 <= int(found.group(5)) <= 65535:
        raise ValueError(text)
    return ".".join(str(int(part)) for part in found.groups()[:4]), int(found.group(5))


def timeslots_of(text):
    """[1, 2, ...] of "1-15,17-31", in that order.  Raises ValueError."""
    found = []
    for part in text.split(",") if isinstance(text, str) else [""]:
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(text)
        found += range(int(first), int(last if dash else first) + 1)
    if not found or len(set(found)) != len(found) or not all(1 <= slot <= 31 for slot in found):
        raise ValueError(text)
    return found


def payload_octets(row):
    """Octets of the largest packet's payload."""
    slots = 32 if row["kind"] == "satop" else len(timeslots_of(row["timeslots"]))
    return slots * row["packet_ms"] * 8 + ((slots + 1) // 2 if row["cas"] and row["kind"] == "cesopsn" else 0)


def check_bearer(path, row, span=None):
    """Errors of one bearer with all its fields.  span: {"type", "signalling", "d_timeslot"} of its line, where known."""
    if row["kind"] == "board":
        return []
    errors = []

    def wrong(name, advice):
        errors.append(ConfigError("%s.%s" % (path, name), advice))
    if row["kind"] == DAHDI:
        if isinstance(row["dahdi_span"], bool) or not isinstance(row["dahdi_span"], int) or not DAHDI_SPANS[0] <= row["dahdi_span"] <= DAHDI_SPANS[1]:
            wrong("dahdi_span", "%r: give the number of the card's span as lsdahdi shows it, %d to %d" % (row["dahdi_span"], *DAHDI_SPANS))
        return errors
    ends = {}
    for name, whose in (("local", "of this box"), ("remote", "of the far end")):
        try:
            ends[name] = endpoint(row[name])
        except ValueError:
            wrong(name, "%r: give the address and UDP port %s, for example 192.0.2.10:2142" % (row[name], whose))
    if "local" in ends and ends["local"][0].startswith(("0.", "255.")):
        wrong("local", "%s is no address of this box; name the one that the far end sends to" % ends["local"][0])
    if "remote" in ends and ends["remote"][0].startswith(("0.", "255.")):
        wrong("remote", "%s is no address of a far end" % ends["remote"][0])
    if len(ends) == 2 and ends["local"] == ends["remote"]:
        wrong("remote", "is this box itself; name the far end's address and port")
    for name, (low, high) in (("packet_ms", PACKET_MS), ("jitter_ms", JITTER_MS), ("rtp_payload_type", RTP_TYPES)):
        if isinstance(row[name], bool) or not isinstance(row[name], int) or not low <= row[name] <= high:
            wrong(name, "%r: give a whole number from %d to %d" % (row[name], low, high))
    for name in ("cas", "rtp"):
        if not isinstance(row[name], bool):
            wrong(name, "%r: give true or false" % (row[name],))
    slots = None
    try:
        slots = timeslots_of(row["timeslots"])
    except ValueError:
        wrong("timeslots", "%r: give timeslots from 1 to 31 such as 1-31 or 1-15,17-31, each once" % (row["timeslots"],))
    if errors:
        return errors
    if row["cas"] and row["kind"] == "cesopsn" and row["packet_ms"] not in (1, 2):
        wrong("packet_ms", "the structure with CAS goes in packets of 2 ms (a whole multiframe) or 1 ms (half of one); use 1 or 2")
    if payload_octets(row) + 4 + 12 * row["rtp"] > PACKET_MOST:
        wrong("packet_ms", "packets would have %d octets, more than an Ethernet frame takes; make them shorter or leave timeslots out"
              % (payload_octets(row) + 4 + 12 * row["rtp"]))
    if span is not None:
        errors += _fits(path, row, slots, span)
    return errors


def _fits(path, row, slots, span):
    """The bearer and what its span is to carry."""
    errors = []

    def wrong(name, advice):
        errors.append(ConfigError("%s.%s" % (path, name), advice))
    kind, signalling = span.get("type", "e1"), span.get("signalling", "none")
    by_bits = signalling in ("r2", "cas")
    if kind != "e1" and row["kind"] == "satop":
        wrong("kind", "SAToP carries E1 only here; use cesopsn for a T1 or J1")
    if kind != "e1" and row["cas"]:
        wrong("cas", "the structure with CAS is for E1 only here; a T1 over cesopsn carries pri")
    if kind != "e1" and row["kind"] == "cesopsn" and max(slots) > 24:
        wrong("timeslots", "a T1 or J1 has timeslots 1 to 24, not %d" % max(slots))
        return errors
    if by_bits and not row["cas"]:
        wrong("cas", "signalling %s needs the ABCD bits; set cas, at both ends" % signalling)
    if row["kind"] == "cesopsn":
        every = list(range(1, 32 if kind == "e1" else 25))
        if signalling == "pri" and sorted(slots) != every:
            wrong("timeslots", "a PRI uses timeslots 1 to %d with its D channel; carry all of them, at both ends" % every[-1])
        if row["cas"] and 16 in slots:
            wrong("timeslots", "with cas the signalling of timeslot 16 goes in the packets' last part; use 1-15,17-31")
    return errors


def check_bearers(rows, spans):
    """Errors of all bearers: [(path, span number, row with all its fields, the span's row or None)]."""
    errors, locals_, remotes, cards = [], {}, {}, {}
    for path, number, row, span in rows:
        found = check_bearer(path, row, span)
        errors += found
        if found or row["kind"] == "board":
            continue
        if row["kind"] == DAHDI:
            if row["dahdi_span"] in cards:
                errors.append(ConfigError(path + ".dahdi_span", "%d is that of span %d too; each has a span of a card to itself"
                                          % (row["dahdi_span"], cards[row["dahdi_span"]])))
            cards.setdefault(row["dahdi_span"], number)
            continue
        for name, seen in (("local", locals_), ("remote", remotes)):
            if row[name] in seen:
                errors.append(ConfigError("%s.%s" % (path, name), "%s is that of span %d too; each pseudowire has ports of its own"
                                          % (row[name], seen[row[name]])))
            seen.setdefault(row[name], number)
    return errors


def end_of(row):
    """Our end of a bearer, which no other may have."""
    return "DAHDI span %d" % row["dahdi_span"] if row["kind"] == DAHDI else row["local"]


def far_of(row):
    """What a bearer leads to, for people."""
    return end_of(row) if row["kind"] == DAHDI else row["remote"]


def complete(row):
    """A bearer with what it does not name."""
    return {**DEFAULTS, **{name: value for name, value in row.items() if name not in ("span", "note")}}


def check_list(rows, spans):
    """Raise ConfigError unless a board description's "bearers" can be used.  spans: how many the board has."""
    if not isinstance(rows, list):
        raise ConfigError("bearers", "%r: give a list" % (rows,))
    seen, known = set(), []
    for n, row in enumerate(rows):
        path = "bearers[%d]" % n
        if not isinstance(row, dict):
            raise ConfigError(path, "%r: give a span and its bearer in braces" % (row,))
        for unknown in sorted(set(row) - set(DEFAULTS) - {"span", "note"}):
            raise ConfigError("%s.%s" % (path, unknown), "is not known: use span, %s" % ", ".join(DEFAULTS))
        number = row.get("span")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= spans:
            raise ConfigError(path + ".span", "%r: give a span from 1 to %d" % (number, spans))
        if number in seen:
            raise ConfigError(path + ".span", "span %d stands there twice; remove one line" % number)
        seen.add(number)
        if row.get("kind", "board") not in KINDS:
            raise ConfigError(path + ".kind", "%r: use one of %s" % (row.get("kind"), ", ".join(KINDS)))
        known.append((path, number, complete(row), None))
    for error in check_bearers(known, spans):
        raise error
