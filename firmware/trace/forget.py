"""Takes one person out of the ring: what names the number, and all that was signalled in the calls of that number.

    forget(folder, forms, calls) -> {"masked": records, "dropped": records}
    python -m firmware.trace.forget FOLDER < {"forms": [..], "calls": [{"legs", "wide"}]} > the counts as JSON

forms: the number as it may have been sent, 5 digits and more.  calls: legs as in calls.py, of each call that is the person's, so that digits
sent one by one (overlap, registers, SAM) go as well.

A record of such a call becomes one of kind ERASED without content, of the same length; in all others the number's digits become zeros (SIP:
X), as text in Q.931 and SIP, in semi-octets in ISUP (Q.763 3.9: first digit in bits 4-1).  In SIP the number must stand alone, since tags and times are digits,
too; elsewhere it goes as part of a longer one as well: a filler is no different from a digit, nor is the next element's name (Signal, 0x34).  Octets are written in place over what is already complete, so writers and
readers go on meanwhile, and doing it again after a kill changes nothing more.  Frames of a call that goes on are not its last: ask after its end.
"""

import bisect
import json
import os
import pathlib
import re
import sys

from firmware.trace import calls, ring

LEAST_DIGITS = 5                # shorter numbers are ours, and would be found everywhere
EARLIER_US, LATER_US = 5_000_000, 15_000_000        # as a trace of the call looks


class Placed(tuple):
    """A record and where it is: path, at (of its head)."""

    def __new__(cls, record, path, at):
        self = super().__new__(cls, record)
        self.path, self.at = path, at
        return self


def placed(path):
    """The records of a segment with their places."""
    at = 0
    for record in ring.read_segment(path):
        yield Placed(record, path, at)
        at += ring.HEAD.size + len(record[5])


def as_text(forms):
    """(finds a number in ASCII, finds one that stands alone among digits)."""
    any_of = b"|".join(form.encode() for form in sorted(forms, key=len, reverse=True))
    return re.compile(any_of), re.compile(b"(?<![0-9])(?:%s)(?![0-9])" % any_of)


def as_semi_octets(forms):
    """Finds a number's digits in semi-octets, from either half of an octet on: the groups "w" + n are whole octets, so that the half before
    and behind stays.  Returns [(pattern, whether the first octet is shared, whether the last one is)]."""
    found = []
    for form in sorted(forms, key=len, reverse=True):
        digits = [int(digit) for digit in form]
        for shift in (0, 1):
            octets, body = b"", digits[shift:]
            if shift:
                octets += _any_of(digits[0] << 4 | low for low in range(16))
            for first, second in zip(body[::2], body[1::2], strict=False):
                octets += re.escape(bytes([second << 4 | first]))
            if len(body) % 2:
                octets += _any_of(high << 4 | body[-1] for high in range(16))
            found.append((re.compile(octets, re.DOTALL), bool(shift), bool(len(body) % 2)))
    return found


def _any_of(values):
    return b"[" + b"".join(b"\\x%02x" % value for value in values) + b"]"


def masked(kind, payload, text, halves):
    """A record's payload without the number, of the same length."""
    if kind == ring.MTP2:
        for pattern, first_shared, last_shared in halves:
            payload = pattern.sub(lambda match, a=first_shared, b=last_shared: _zeroed(match.group(), a, b), payload)
        return payload
    if kind == ring.LAPD:
        return text[0].sub(lambda match: b"0" * len(match.group()), payload)
    if kind == ring.SIP:
        return text[1].sub(lambda match: b"X" * len(match.group()), payload)
    return payload


def _zeroed(octets, first_shared, last_shared):
    out = bytearray(len(octets))
    if first_shared:
        out[0] = octets[0] & 0x0F
    if last_shared:
        out[-1] |= octets[-1] & 0xF0
    return bytes(out)


def forget(folder, forms, asked=()):
    """See the module's docstring.  asked: [{"legs", "wide"}].  Returns the counts.  Raises ValueError where forms are none, OSError of the disk."""
    if not all(form.isascii() and form.isdecimal() and len(form) >= LEAST_DIGITS for form in forms):
        raise ValueError("A number to forget has %d digits or more, and nothing but digits; %s." % (LEAST_DIGITS, ", ".join(forms)))
    dropped = _drop(folder, asked)
    return {"masked": _mask(folder, forms) if forms else 0, "dropped": dropped}


def _drop(folder, asked):
    """Changes are kept for each segment until all calls have been looked at: one write to the disk for each, not one for each record."""
    changes, oldest = {}, next(ring.records(folder, 0, 1 << 62), (0,) * 5)[4] if asked else 0
    for call in asked:
        legs = [dict(leg, codes=leg.get("codes") and frozenset(leg["codes"])) for leg in call["legs"]]
        if not legs or max(leg["until_us"] for leg in legs) + LATER_US < oldest:
            continue                # before all that is kept
        wide = call.get("wide", False)
        span = min(leg["from_us"] for leg in legs) - EARLIER_US - calls.REGISTERS_US, max(leg["until_us"] for leg in legs) + LATER_US

        def found(span=span):
            return ring.records(folder, *span, placed)
        known = calls.call_ids(found(), legs) if any(leg["tech"] == "sip" for leg in legs) else set()
        mine = calls.of_legs(list(calls.candidates(found(), legs, wide, known)), legs, wide)
        names = {leg["leg"] for leg in legs if leg["tech"] == "sip"}
        for record in mine + [record for record in found() if names and record[0] == ring.NOTE and _note_of(record[5]) in names]:
            changes.setdefault(record.path, {})[record.at] = len(record[5])
    return sum(len(octets) for path, octets in changes.items() if _write(
        path, [change for at, length in octets.items() for change in ((at + 4, bytes([ring.ERASED])), (at + ring.HEAD.size, bytes(length)))]))


def _note_of(payload):
    try:
        return json.loads(payload)["leg"]
    except (ValueError, LookupError, TypeError):
        return None


def _mask(folder, forms):
    """A segment is looked through as a whole; its records are read only where something was found."""
    text, halves, count = as_text(forms), as_semi_octets(forms), 0
    for _, path in ring.segments(folder):
        try:
            octets = pathlib.Path(path).read_bytes()
        except OSError:
            continue                # it has just been the oldest
        places = sorted({match.start() for pattern in (text[0], *(row[0] for row in halves)) for match in pattern.finditer(octets)})
        if not places:
            continue
        changes = []
        for record in placed(path):
            begin = record.at + ring.HEAD.size
            nearest = bisect.bisect_left(places, begin)
            if nearest < len(places) and places[nearest] < begin + len(record[5]):
                new = masked(record[0], record[5], text, halves)
                if new != record[5]:
                    changes.append((begin, new))
        count += _write(path, changes) and len(changes)
    return count


def _write(path, changes):
    """[(place, octets)] over what is there, and to the disk.  Returns whether the segment was still there."""
    if not changes:
        return False
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        for at, octets in changes:
            os.pwrite(descriptor, octets, at)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    return True


def main():
    os.nice(19)
    question = json.load(sys.stdin)
    json.dump(forget(sys.argv[1], question["forms"], question.get("calls") or ()), sys.stdout)


if __name__ == "__main__":
    main()
