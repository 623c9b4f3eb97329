"""HDLC framing on the octets of a timeslot: D channels and signalling links.

Between frames there are flags 01111110.  Inside a frame a zero is put in after
five ones; seven ones are an abort.  The last two octets are the FCS: the
complement of the remainder of x^16 + x^12 + x^5 + 1, lowest bit first.  One
flag may both end a frame and begin the next, and two flags may share a zero.
Source: ITU-T Q.921 (09/1997) clause 2; ISO/IEC 13239 for the abort.

A receiver keeps max_octets (default 512, at most LONGEST) and min_octets (default 3) per slot, both
without FCS; they may be changed through rx_view.  It hunts for a flag after
rx_reset, after an abort and after a frame that is too long.  Counters are in
the views: frames octets fcs_errors aborts giants shorts residues overruns.

Signal units of SS7 (Q.703 clauses 4 and 10.2) are the same frames without pauses; set_mtp2 makes a slot
one of theirs.  Its transmitter repeats the last FISU or LSSU instead of flags.  Its receiver hands up a
FISU or LSSU once and counts its repetitions; errors are units that are wrong, and each 16 octets of the
octet counting mode, which begins with an abort or a unit that is too long and ends with a good unit.  Both
counts come with the next unit (receive_units), or at the end of a run of octets where `tell` asks for
that: TELL_ERRORS, TELL_REPEATS.
"""

import numpy as np

from dsp import isa

MAX_OCTETS, MIN_OCTETS, LONGEST = 512, 3, 1024

RX_COUNTERS = ("frames", "octets", "fcs_errors", "aborts", "giants", "shorts", "residues", "overruns")
RX_DTYPE = np.dtype({
    "names": [*RX_COUNTERS, "max_octets", "min_octets", "in_frame", "mtp2", "tell", "repeats", "errors"],
    "formats": [*["<u8"] * 8, "<u4", "<u4", "<u4", "<u4", "<u4", "<u8", "<u8"],
    "offsets": [*range(0, 64, 8), 64, 68, 84, 96, 100, 120, 128], "itemsize": 1280})
TX_DTYPE = np.dtype({
    "names": ["frames", "octets", "flags", "mtp2", "fills"], "formats": ["<u8"] * 3 + ["<u4", "<u8"],
    "offsets": [8, 16, 24, 56, 88], "itemsize": 128 + 8192})
FRAME_DTYPE = np.dtype([("slot", "<i4"), ("offset", "<i4"), ("length", "<i4"), ("zero", "<i4"), ("repeats", "<u4"),
                        ("errors", "<u4")])
TELL_ERRORS, TELL_REPEATS = 1, 2
UNIT_OCTETS = 276                   # of the longest signal unit without FCS: Q.703 2.3.3, 2.3.8


def new_rx_state(n_slots, at=None):
    """Receivers for slots 0 to n_slots - 1, hunting for a flag: uint8, aligned."""
    kernel = isa.load("_hdlc", at)
    assert kernel.RX_SLOT_OCTETS == RX_DTYPE.itemsize
    state = isa.aligned(n_slots * RX_DTYPE.itemsize)
    view = rx_view(state)
    view["max_octets"], view["min_octets"] = MAX_OCTETS, MIN_OCTETS
    for slot in range(n_slots):
        kernel.call_rx_reset(state, slot)
    return state


def new_tx_state(n_slots, at=None):
    """Transmitters for slots 0 to n_slots - 1 with empty queues: uint8, aligned."""
    assert isa.load("_hdlc", at).TX_SLOT_OCTETS == TX_DTYPE.itemsize
    return isa.aligned(n_slots * TX_DTYPE.itemsize)


def rx_view(state):
    """Counters and limits of the receivers, one record a slot."""
    return state.view(RX_DTYPE)


def tx_view(state):
    """Counters of the transmitters, one record a slot."""
    return state.view(TX_DTYPE)


def set_mtp2(rx, tx, slot, on=True):
    """Make a slot one of signal units, or of plain frames again; rx, tx: the states.  Reset the slot afterwards."""
    view = rx_view(rx)[slot:slot + 1]
    view["mtp2"] = tx_view(tx)[slot:slot + 1]["mtp2"] = on
    view["tell"] = 0
    view["max_octets"], view["min_octets"] = UNIT_OCTETS if on else MAX_OCTETS, MIN_OCTETS


def receive_units(state, octets, slots=None, at=None):
    """As receive: [(slot, unit as bytes or b"", repetitions of the unit before, errors before)]."""
    frames, index = _received(state, octets, slots, at)
    return [(int(i["slot"]), frames[i["offset"]:i["offset"] + i["length"]].tobytes(), int(i["repeats"]), int(i["errors"]))
            for i in index]


def receive(state, octets, slots=None, at=None):
    """octets: uint8 (n, n_octets), row i of slot slots[i] (default i).

    Returns [(slot, frame as bytes)], good frames only, in the order of their ends per row."""
    frames, index = _received(state, octets, slots, at)
    return [(int(i["slot"]), frames[i["offset"]:i["offset"] + i["length"]].tobytes()) for i in index]


def _received(state, octets, slots, at):
    octets = np.ascontiguousarray(octets, np.uint8)
    n, n_octets = octets.shape
    slots = np.arange(n, dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    frames = np.empty(n * (n_octets + LONGEST), np.uint8)
    index = np.empty(n * (n_octets // 4 + 3), FRAME_DTYPE)
    count = isa.load("_hdlc", at).call_receive(state, slots, np.arange(n, dtype=np.int32), octets, frames, index.view(np.uint8))
    return frames, index[:count]


def transmit(state, n_octets, slots=None, at=None):
    """Next n_octets of each slot: uint8 (n, n_octets)."""
    slots = np.arange(len(tx_view(state)), dtype=np.int32) if slots is None else np.asarray(slots, np.int32)
    octets = np.empty((len(slots), n_octets), np.uint8)
    isa.load("_hdlc", at).call_transmit(state, slots, np.arange(len(slots), dtype=np.int32), octets)
    return octets


def put(state, slot, frame, at=None):
    """Queue a frame (bytes without FCS). False: no room, or empty, or longer than LONGEST."""
    return len(frame) > 0 and bool(isa.load("_hdlc", at).call_put(state, slot, np.frombuffer(frame, np.uint8)))


def fcs_reference(octets):
    """FCS-16 of bytes, bit by bit, as the two octets that are sent."""
    register = 0xFFFF
    for octet in octets:
        for i in range(8):
            register = (register >> 1) ^ (0x8408 if (register ^ (octet >> i)) & 1 else 0)
    return bytes([~register & 0xFF, (~register >> 8) & 0xFF])


def bits_reference(frames, flags_before=1):
    """Frames as a list of bits in line order: flags, the stuffed frame, one flag."""
    flag = [0, 1, 1, 1, 1, 1, 1, 0]
    bits = flag * flags_before
    for frame in frames:
        ones = 0
        for octet in frame + fcs_reference(frame):
            for i in range(8):
                bit = (octet >> i) & 1
                bits.append(bit)
                ones = ones + 1 if bit else 0
                if ones == 5:
                    bits.append(0)
                    ones = 0
        bits += flag
    return bits


def octets_reference(bits):
    """Bits in line order as TDM octets; a last broken octet is dropped."""
    return np.packbits(np.array(bits[:len(bits) // 8 * 8], np.uint8))


def receive_reference(bits, max_octets=MAX_OCTETS, min_octets=MIN_OCTETS):
    """Bits in line order. Returns (frames, counters as a dict), starting in hunt."""
    frames, counters = [], dict.fromkeys(RX_COUNTERS[:-1], 0)
    content, ones = None, 7  # content: the destuffed bits since the flag, None while hunting
    for bit in bits:
        if bit:
            ones = min(ones + 1, 7)
            if ones == 7:
                counters["aborts"] += content is not None and len(content) >= 8
                content = None
            elif content is not None:
                content.append(1)
        elif ones == 6:
            if content is not None and len(content) >= 8:
                _judge(content, min_octets, frames, counters)
            content, ones = [], 0
        else:
            if content is not None and ones != 5:
                content.append(0)
            ones = 0
        if content is not None and len(content) >= 8 * (max_octets + 3):
            counters["giants"] += 1
            content = None
    return frames, counters


def _judge(content, min_octets, frames, counters):
    """content ends in the closing flag's zero and six ones."""
    length = len(content) // 8
    octets = bytes(sum(content[8 * i + k] << k for k in range(8)) for i in range(length))
    if len(content) % 8 != 7:
        counters["residues"] += 1
    elif length < min_octets + 2:
        counters["shorts"] += 1
    elif fcs_reference(octets[:-2]) != octets[-2:]:
        counters["fcs_errors"] += 1
    else:
        frames.append(octets[:-2])
        counters["frames"] += 1
        counters["octets"] += length - 2
