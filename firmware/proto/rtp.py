"""RTP packets and telephone-events: parse and serialise, for tools and tests.

The media process has its own native code for the audio path; this is the
readable twin.  RFC 3550 5.1 (header), 5.3.1 (extension), RFC 4733 2.3 (event).
Portable: runs under MicroPython.
"""

import struct

from firmware.errors import LocalError, RemoteError

VERSION = 2
PCMU, PCMA = 0, 8                       # RFC 3551 table 4
DIGITS = "0123456789*#ABCD"             # event codes 0 to 15, RFC 4733 3.2
_HEADER = "!BBHII"


class RTPPacket:
    """One packet.  extension: (profile, octets) or None; csrc: list of ints."""

    __slots__ = ("payload_type", "marker", "sequence", "timestamp", "ssrc", "csrc", "extension", "payload")

    def __init__(self, payload_type, sequence, timestamp, ssrc, payload, marker=False, csrc=(), extension=None):
        self.payload_type = payload_type
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
        self.marker = marker
        self.csrc = list(csrc)
        self.extension = extension

    def encode(self):
        """Octets on the wire.  Raises LocalError on values that do not fit."""
        if not 0 <= self.payload_type < 128 or len(self.csrc) > 15:
            raise LocalError("RTP: payload type %r or %d contributing sources do not fit the header"
                             % (self.payload_type, len(self.csrc)))
        first = VERSION << 6 | len(self.csrc) | (0x10 if self.extension is not None else 0)
        second = self.payload_type | (0x80 if self.marker else 0)
        octets = struct.pack(_HEADER, first, second, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF,
                             self.ssrc & 0xFFFFFFFF)
        for source in self.csrc:
            octets += struct.pack("!I", source)
        if self.extension is not None:
            profile, data = self.extension
            if len(data) % 4:
                raise LocalError("RTP: a header extension has %d octets, not a multiple of 4" % len(data))
            octets += struct.pack("!HH", profile, len(data) // 4) + data
        return octets + self.payload


def decode(octets):
    """Parse one packet.  Raises RemoteError with what is wrong."""
    if len(octets) < 12:
        raise RemoteError("RTP: %d octets are no header" % len(octets))
    first, second, sequence, timestamp, ssrc = struct.unpack(_HEADER, octets[:12])
    if first >> 6 != VERSION:
        raise RemoteError("RTP: version %d" % (first >> 6))
    at = 12 + 4 * (first & 15)
    end = len(octets)
    extension = None
    if first & 0x20:
        padding = octets[-1]
        if padding == 0 or padding > end - 12:
            raise RemoteError("RTP: %d octets of padding in a packet of %d" % (padding, end))
        end -= padding
    if first & 0x10:
        if end < at + 4:
            raise RemoteError("RTP: the header extension is cut")
        profile, words = struct.unpack("!HH", octets[at:at + 4])
        extension = (profile, octets[at + 4:at + 4 + 4 * words])
        at += 4 + 4 * words
    if end < at:
        raise RemoteError("RTP: the header is longer than the packet")
    csrc = [struct.unpack("!I", octets[12 + 4 * n:16 + 4 * n])[0] for n in range(first & 15)]
    return RTPPacket(second & 127, sequence, timestamp, ssrc, octets[at:end], bool(second & 0x80), csrc, extension)


class TelephoneEvent:
    """Payload of one telephone-event packet.  duration: in timestamp units; volume: -dBm0."""

    __slots__ = ("event", "end", "volume", "duration")

    def __init__(self, event, duration, end=False, volume=10):
        self.event = event
        self.duration = duration
        self.end = end
        self.volume = volume

    @property
    def digit(self):
        """The key, or None for other events."""
        return DIGITS[self.event] if self.event < len(DIGITS) else None

    def encode(self):
        """Four octets."""
        return struct.pack("!BBH", self.event, (0x80 if self.end else 0) | (self.volume & 63), self.duration)


def decode_event(octets):
    """Parse a telephone-event payload.  Raises RemoteError."""
    if len(octets) < 4:
        raise RemoteError("telephone-event: %d octets, 4 are wanted" % len(octets))
    event, flags, duration = struct.unpack("!BBH", octets[:4])
    return TelephoneEvent(event, duration, bool(flags & 0x80), flags & 63)
