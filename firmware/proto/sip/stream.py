"""SIP messages out of a stream of octets: TCP, TLS.  RFC 3261 7.5, 18.3; keep-alives of RFC 5626 4.4.1.

    framer = StreamFramer()
    for message in framer.feed(octets):      # b"" is a ping (two CRLF): answer it with PONG
        ...

What cannot be framed cannot be skipped either: feed() raises RemoteError, and the connection is to be closed.
"""

from firmware.errors import RemoteError
from firmware.proto.sip.message import MAX_MESSAGE_OCTETS
from firmware.proto.sip.text import number, text

PING = b"\r\n\r\n"
PONG = b"\r\n"
MAX_HEAD_OCTETS = 16384          # ours: a head without an end would fill the memory


class StreamFramer:
    """One direction of one connection."""

    def __init__(self):
        self._buffer = b""
        self._wanted = 0             # octets of the message that has begun, once its head is here
        self._searched = 0

    def feed(self, octets):
        """Take octets; returns the messages that are whole now.  Raises RemoteError."""
        self._buffer += octets
        out = []
        while True:
            if not self._wanted:
                if not self._begin(out):
                    return out
            if len(self._buffer) < self._wanted:
                return out
            out.append(self._buffer[:self._wanted])
            self._buffer = self._buffer[self._wanted:]
            self._wanted = self._searched = 0

    def _begin(self, out):
        """Look for a head.  False: it is not whole yet."""
        while self._buffer[:2] == PONG:
            if self._buffer[:4] == PING:
                out.append(b"")
                self._buffer = self._buffer[4:]
            elif len(self._buffer) < 4 and self._buffer == PING[:len(self._buffer)]:
                return False         # half a ping, or a pong; more will tell
            else:
                self._buffer = self._buffer[2:]
        end = self._buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched > MAX_HEAD_OCTETS:
                raise RemoteError("a message head without an end within %d octets" % MAX_HEAD_OCTETS, status=400)
            return False
        if end > MAX_HEAD_OCTETS:
            raise RemoteError("a message head longer than %d octets" % MAX_HEAD_OCTETS, status=400)
        length = content_length(text(self._buffer[:end]))
        if length is None:
            raise RemoteError("a message without a usable Content-Length on a stream", status=400)
        self._wanted = end + 4 + length
        if self._wanted > MAX_MESSAGE_OCTETS:
            raise RemoteError("a message of %d octets" % self._wanted, status=413)
        return True

    def is_idle(self):
        """Whether no message has begun."""
        return not self._buffer


def content_length(head):
    """Content-Length of a head (octet text), or None where it is missing, malformed or said twice differently."""
    found = None
    for line in head.split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() in ("content-length", "l"):
            length = number(value.strip(), MAX_MESSAGE_OCTETS * 1000)
            if length is None or (found is not None and found != length):
                return None
            found = length
    return found
