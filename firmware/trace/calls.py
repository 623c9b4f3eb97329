"""Which records of the ring belong to one call: by call reference on a D channel, by circuit in ISUP, by timeslot with CAS.

A leg is {"tech", "span", "timeslot", "from_us", "until_us", "cic"? , "codes"?: both point codes}; one over IP {"tech": "sip", "leg", times}.
One of PRI has "numbering" where its channels are not timeslots of the span that carries the D channel: {"spans": those that may carry it, "interface":
the leg's or None, "own_interface": the one that is meant where none is named, "consecutive": 1 to 30 of an E1} (Q.931 4.5.13).
Chosen from what the ring holds, so a call of yesterday needs nothing but its place and time.  Of a long time only what could be the
call's is held in memory (`candidates`).
"""

import json

from firmware.trace import ring, sip

BEFORE_US, AFTER_US, NEAR_US = 3_000_000, 10_000_000, 3_000_000      # ours: clocks of records and frames; clearing
REGISTERS_US = 30_000_000       # ours: digits come before the leg is offered
SETUP, CHANNEL, IAM, R2_IDLE = 0x05, 0x18, 0x01, 0b1001


def q931(payload):
    """(whether the sender of the frame allocated the call reference, reference, type, channel or None: see _channel()) of a frame, or None.

    payload: our side, then the frame of layer 2 (address on, without FCS)."""
    frame = payload[1:]
    if len(frame) < 8 or frame[2] & 1 or frame[4] != 8 or not 1 <= frame[5] & 15 <= 4:
        return None
    length = frame[5] & 15
    if len(frame) < 7 + length:
        return None
    reference, theirs = int.from_bytes(frame[6:6 + length], "big"), bool(frame[6] & 0x80)
    reference &= (1 << (8 * length - 1)) - 1
    if not reference:
        return None                 # the global one: of no call
    return not theirs, reference, frame[6 + length] & 0x7F, _channel(frame[7 + length:])


def _channel(elements):
    """(interface or None, number, whether it comes from a map) of the first Channel identification, or None where it names no single channel."""
    at = 0
    while at < len(elements):
        if elements[at] & 0x80:
            at += 1
            continue
        if at + 1 >= len(elements):
            break
        value = elements[at + 2:at + 2 + elements[at + 1]]
        if elements[at] == CHANNEL:
            return _one_channel(value)
        at += 2 + elements[at + 1]
    return None


def _one_channel(value):
    interface, at = None, 1
    if len(value) > 1 and value[0] & 0x40:
        interface = value[1] & 0x7F
        while at < len(value) and not value[at] & 0x80:
            at += 1
        at += 1
    rest = value[at + 1:]
    if not rest:
        return None
    if not value[at] & 0x10:
        return interface, rest[0] & 0x7F, False
    bits = int.from_bytes(rest, "big")
    if bits == 0 or bits & bits - 1:
        return None                 # none, or several
    return interface, bits.bit_length() - (1 if len(rest) == 4 else 0), True


def _names(leg, channel):
    """Whether a channel is the leg's timeslot."""
    interface, number, mapped = channel
    numbering = leg.get("numbering") or {}
    if numbering.get("consecutive") and number >= 16 and not mapped:
        number += 1
    mine = numbering.get("interface")
    return number == leg["timeslot"] and (mine is None or mine == (numbering["own_interface"] if interface is None else interface))


def _carriers(leg):
    """The spans that may carry the D channel of a leg."""
    return (leg.get("numbering") or {}).get("spans") or [leg["span"]]


def isup_circuit(unit, wide):
    """((point codes of both ends), CIC) of an ISUP message, or None.  unit: of MTP2; wide: 24-bit point codes."""
    if len(unit) < 4 or unit[2] & 63 < 3 or unit[3] & 15 != 5:
        return None
    label, rest = unit[4:], 7 if wide else 4
    if len(label) < rest + 2:
        return None
    if wide:
        codes = int.from_bytes(label[0:3], "little"), int.from_bytes(label[3:6], "little")
    else:
        word = int.from_bytes(label[:4], "little")
        codes = word & 0x3FFF, word >> 14 & 0x3FFF
    return frozenset(codes), int.from_bytes(label[rest:rest + 2], "little")


def call_ids(records, legs):
    """The Call-IDs (octets) that notes in the ring give for legs over IP.  records: an iterable; read through once."""
    names, found = {leg["leg"] for leg in legs if leg["tech"] == "sip"}, set()
    for record in records:
        if record[0] == ring.NOTE and names:
            try:
                note = json.loads(record[5])
                if note["leg"] in names:
                    found.add(note["call_id"].encode("latin-1"))
            except (ValueError, LookupError, TypeError, AttributeError):
                continue            # a damaged segment
    return found


def candidates(records, legs, wide, known):
    """Those of the records that could belong to a call's legs; the others need not be held.  known: call_ids()."""
    spans = {span for leg in legs if leg["tech"] == "pri" for span in _carriers(leg)}
    circuits = {leg["cic"] for leg in legs if leg["tech"] == "ss7"}
    places = {(leg["span"], leg["timeslot"]) for leg in legs if leg["tech"] not in ("pri", "ss7", "sip")}
    for record in records:
        kind, span, timeslot, _, _, payload = record
        if kind == ring.LAPD:
            if span in spans and q931(payload) is not None:
                yield record
        elif kind == ring.MTP2:
            place = isup_circuit(payload, wide) if circuits else None
            if place is not None and place[1] in circuits:
                yield record
        elif kind in (ring.CAS, ring.REGISTER):
            if (span, timeslot) in places:
                yield record
        elif kind == ring.SIP and known and sip.call_id(payload) in known:
            yield record


def of_legs(records, legs, wide=False):
    """The records of a call's legs, in order.  records: a list."""
    wanted = set()
    for at, record in enumerate(records):
        if record[0] == ring.SIP:       # chosen by their Call-IDs already
            wanted.add(at)
    for leg in legs:
        if leg["tech"] == "sip":
            continue
        choose = {"pri": _of_pri, "ss7": _of_ss7}.get(leg["tech"], _of_circuit)
        wanted |= choose(records, leg, wide)
    return [records[at] for at in sorted(wanted)]


def _in_time(leg, when):
    return leg["from_us"] - BEFORE_US <= when <= leg["until_us"] + AFTER_US


def _of_pri(records, leg, wide):
    calls, mine, spans = {}, [], _carriers(leg)
    for at, (kind, span, _, sent, when, payload) in enumerate(records):
        if kind != ring.LAPD or span not in spans or not _in_time(leg, when):
            continue
        found = q931(payload)
        if found is None:
            continue
        allocated, reference, message, channel = found
        key = (bool(sent) == allocated, reference)          # ours or theirs
        if key not in calls or message == SETUP and calls[key]["answered"]:     # a reference used again is another call; T303 says SETUP twice
            calls[key] = {"from": when, "setup": message == SETUP, "answered": False, "fits": False, "at": []}
            mine.append(calls[key])
        call = calls[key]
        call["at"].append(at)
        call["answered"] = call["answered"] or message != SETUP
        call["fits"] = call["fits"] or channel is not None and _names(leg, channel)
    fitting = [call for call in mine if call["fits"] and (not call["setup"] or abs(call["from"] - leg["from_us"]) <= NEAR_US)]
    best = min(fitting, key=lambda call: abs(call["from"] - leg["from_us"]), default=None)
    return set(best["at"]) if best else set()


def _of_ss7(records, leg, wide):
    runs = [[]]                     # each begins with an IAM
    for at, (kind, _, _, _, when, payload) in enumerate(records):
        if kind == ring.MTP2 and _in_time(leg, when):
            place = isup_circuit(payload, wide)
            if place is not None and place[1] == leg["cic"] and leg["codes"] in (None, place[0]):
                message = payload[13 if wide else 10] if len(payload) > (13 if wide else 10) else 0
                if message == IAM and runs[-1]:
                    runs.append([])
                runs[-1].append(at)
    return set(min((run for run in runs if run), key=lambda run: abs(records[run[0]][4] - leg["from_us"]), default=()))


def _of_circuit(records, leg, wide):
    """From the last moment before the leg at which the circuit was idle both ways until it is so again."""
    found, bits = [], {}
    for at, (kind, span, timeslot, sent, when, payload) in enumerate(records):
        if kind not in (ring.CAS, ring.REGISTER) or (span, timeslot) != (leg["span"], leg["timeslot"]) or not (
                leg["from_us"] - REGISTERS_US <= when <= leg["until_us"] + AFTER_US):
            continue
        found.append(at)
        if kind == ring.CAS:
            bits[sent] = payload[0] & 15 if payload else None
            if bits.get(0) == bits.get(1) == R2_IDLE:
                if when > leg["until_us"]:
                    break
                if when <= leg["from_us"]:
                    found.clear()
    return set(found)
