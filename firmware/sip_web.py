"""Between the web process, which holds the WebSockets of browser phones, and control: a Unix socket, a connection for each.

Frames both ways: the length in four octets (big-endian), then the octets of one SIP message (or of a ping, CRLF).  The first
frame of a connection is its name, text: the browser's address and port, and "new" or "again".  "again" after control was
away: the WebSocket is the same, so what stood over it stands.  Both ends import this module.
"""

import os
import socket
import struct

from firmware.errors import RemoteError

SOCKET = "sip-web.sock"         # in $STROWGER_RUN
MOST_OCTETS = 65536             # of a frame; ours, as of a SIP message


PROVEN = b"\0\0\0\0"
NEW, AGAIN, KNOWN = "new", "again", "proven"


def listen(run_dir):
    """Control's socket."""
    path = os.path.join(str(run_dir), SOCKET)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    os.chmod(path, 0o600)
    sock.listen(512)
    return sock


def frame(octets):
    """A frame."""
    return struct.pack(">I", len(octets)) + octets


def frames(octets):
    """([whole frames], what is left).  Raises RemoteError."""
    out, at = [], 0
    while at + 4 <= len(octets):
        size, = struct.unpack_from(">I", octets, at)
        if size > MOST_OCTETS:
            raise RemoteError("a frame of %d octets" % size, status=413)
        if at + 4 + size > len(octets):
            break
        out.append(octets[at + 4:at + 4 + size])
        at += 4 + size
    return out, octets[at:]


def first(host, port, kind):
    """The first frame of a connection.  kind: NEW, AGAIN or KNOWN."""
    return frame(b"%s %d %s" % (host.encode(), port, kind.encode()))


def name(octets):
    """(host, port, kind) of it.  Raises RemoteError."""
    try:
        host, port, kind = octets.decode("ascii").split(" ")
        if kind in (NEW, AGAIN, KNOWN):
            return host, int(port), kind
    except ValueError:
        pass
    raise RemoteError("a first frame that names nobody", status=400)
