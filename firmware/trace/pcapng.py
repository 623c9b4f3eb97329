"""Writes pcapng (draft-ietf-opsawg-pcapng): one interface a span and kind of signalling, times in microseconds.

Link types (tcpdump.org/linktypes.html): 177 LAPD with the pseudo-header of Linux, 140 MTP2, 252 Wireshark's upper PDU, which
carries what no link type has: CAS bits and register signals as a line of text.
"""

import struct

from firmware.trace import ring, sip

LINUX_LAPD, MTP2, UPPER_PDU = 177, 140, 252
DISSECTOR_NAME, END = 12, 0                         # tags of an upper PDU (Wireshark, epan/exported_pdu.h)
ADDRESSES = {4: (20, 21), 6: (22, 23)}              # of the sender, the receiver
PORT_TYPE, PORTS = 24, (25, 26)
PORT_TYPES = {"UDP": 3, "TCP": 2, "TLS": 2, "WSS": 2}
LINK_TYPES = {ring.LAPD: LINUX_LAPD, ring.MTP2: MTP2, ring.CAS: UPPER_PDU, ring.REGISTER: UPPER_PDU, ring.SIP: UPPER_PDU,
              ring.REFUSED: UPPER_PDU}
WHAT = {ring.LAPD: "D channel", ring.MTP2: "signalling link", ring.CAS: "CAS", ring.REGISTER: "CAS", ring.SIP: "SIP", ring.REFUSED: "SIP"}


def _block(kind, body):
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def _option(code, text):
    octets = text.encode()
    return struct.pack("<HH", code, len(octets)) + octets + b"\0" * (-len(octets) % 4)


def text_of(kind, timeslot, sent, payload):
    """A line state or register signal in words."""
    way = "we send" if sent else "far end sends"
    if kind == ring.CAS:
        return "timeslot %d: %s ABCD %s" % (timeslot, way, format(payload[0] & 15, "04b"))
    return "timeslot %d: %s %s" % (timeslot, way, payload.decode("utf-8", "replace"))


class PcapngWriter:
    """out: a binary file.  comment: of the whole file."""

    def __init__(self, out, comment=""):
        self.out, self._interfaces = out, {}
        options = (_option(1, comment) if comment else b"") + _option(4, "Strowger trace") + struct.pack("<I", 0)
        out.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options))

    def _interface(self, kind, span, timeslot):
        key = (LINK_TYPES[kind], WHAT[kind], span, timeslot if kind in (ring.LAPD, ring.MTP2) else 0)
        number = self._interfaces.get(key)
        if number is None:
            number = self._interfaces[key] = len(self._interfaces)
            name = "span %d %s%s" % (span, WHAT[kind], " timeslot %d" % timeslot if key[3] else "") if span else WHAT[kind]
            self.out.write(_block(1, struct.pack("<HHI", key[0], 0, 65535) + _option(2, name) + struct.pack("<I", 0)))
        return number

    def put(self, record):
        """One record of the ring."""
        kind, span, timeslot, sent, when, payload = record
        if kind not in LINK_TYPES:
            return
        number, comment = self._interface(kind, span, timeslot), None
        if kind == ring.LAPD:
            # Packet type 4 is outgoing; ARPHRD_LAPD; address octet: 1 where we are the network; ETH_P_LAPD.  payload: side, frame.
            payload = struct.pack(">HHH8sH", 4 if sent else 0, 0x20FD, 1, bytes([payload[0]]) + bytes(7), 0x30) + payload[1:]
        elif kind in (ring.CAS, ring.REGISTER):
            comment = text_of(kind, timeslot, sent, payload)
            payload = _upper("data-text-lines", ("span %d %s" % (span, comment)).encode())
        elif kind == ring.REFUSED:
            known = sip.refusals(payload)
            if known is None:
                return
            comment = known[2]
            payload = _upper("data-text-lines", comment.encode())
        elif kind == ring.SIP:
            known = sip.unpack(payload)
            if known is None:
                return
            transport, sender, receiver, message = known
            tags = [(PORT_TYPE, struct.pack(">I", PORT_TYPES[transport]))]
            for which, (address, port) in enumerate((sender, receiver)):
                tags += [(ADDRESSES[address.version][which], address.packed), (PORTS[which], struct.pack(">I", port))]
            payload, comment = _upper("sip", message, tags), transport
        body = struct.pack("<IIIII", number, when >> 32, when & 0xFFFFFFFF, len(payload), len(payload)) + payload + b"\0" * (-len(payload) % 4)
        options = struct.pack("<HHI", 2, 4, 2 if sent else 1) + (_option(1, comment) if comment else b"") + struct.pack("<I", 0)
        self.out.write(_block(6, body + options))


def _upper(dissector, payload, tags=()):
    name = dissector.encode()
    name += b"\0" * (-len(name) % 4)
    tags = [(DISSECTOR_NAME, name), *tags, (END, b"")]
    return b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in tags) + payload
