"""A WebSocket to a service (RFC 6455), over TCP or TLS: wsproto's machine on asyncio's streams.

Everything that comes is measured: a message longer than MESSAGE_OCTETS ends the connection, as does a service that answers no ping for SILENT_S."""

import asyncio
import functools
import os
import ssl
import time
import urllib.parse

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, RejectConnection, Request, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from firmware.errors import LocalError

SUBPROTOCOL = "strowger.audio.1"
MESSAGE_OCTETS = 1 << 20
MESSAGE_PIECES = 4096                   # ours: of a message, empty ones too
READ_OCTETS = 65536
WAITING_OCTETS = 1 << 17                # ours: 4 s of 16 kHz that the service has not taken
PING_S, SILENT_S = 5, 15                # ours
CLOSE_S = 1


def context(verify):
    """TLS 1.2 or later; verify False: any certificate will do (tests).

    Made once for the authorities that stand on the disk: connections that begin after they were renewed believe the new ones, those
    that are open stay.  To read all certificates takes longer than a pump of the streams may wait, so ask for it in a thread."""
    paths = ssl.get_default_verify_paths()
    marks = []
    for path in (paths.cafile, paths.capath):
        try:
            status = os.stat(path) if path else None
            marks.append(None if status is None else (path, status.st_mtime_ns, status.st_size))
        except OSError:
            marks.append(None)
    return _made(verify, *marks)


@functools.lru_cache(maxsize=4)
def _made(verify, *marks):
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


class WebSocket:
    """An open connection; made by connect()."""

    def __init__(self, reader, writer, machine):
        self._reader, self._writer, self._machine = reader, writer, machine
        self._parts, self._length = [], 0
        self._heard = self._pinged = time.monotonic()
        self.code = None                # of the far end's close

    def _write(self, event):
        try:
            self._writer.write(self._machine.send(event))
        except (LocalProtocolError, RuntimeError, OSError):     # it is closing: the reader will say so
            pass

    @property
    def waiting(self):
        """Octets that the service has not taken yet."""
        return self._writer.transport.get_write_buffer_size()

    def text(self, text):
        """Send a text."""
        self._write(TextMessage(data=text))

    def octets(self, octets):
        """Send octets.  False: too much waits already, they were not sent."""
        if self.waiting > WAITING_OCTETS:
            return False
        self._write(BytesMessage(data=octets))
        return True

    def look(self):
        """Now and then.  Raises LocalError when the service has been silent too long."""
        now = time.monotonic()
        if now - self._heard > SILENT_S:
            raise LocalError("the service has not answered for %d s" % SILENT_S)
        if now - self._pinged > PING_S:
            self._pinged = now
            self._write(Ping(payload=b"still there?"))

    async def receive(self):
        """The next whole messages: [str or bytes], at least one; None when the far end has closed.  Raises LocalError."""
        found = []
        while True:
            try:
                for event in self._machine.events():
                    self._event(event, found)
                    if self.code is not None:
                        return found or None
            except (RemoteProtocolError, LocalProtocolError, UnicodeDecodeError, ValueError) as error:
                raise LocalError("the service speaks no proper WebSocket (%s)" % type(error).__name__) from error
            if found:
                return found
            try:
                data = await self._reader.read(READ_OCTETS)
            except ConnectionError:         # a service that dies before it has read everything resets the connection: the same to whoever reads it
                data = b""
            except OSError as error:
                raise LocalError("the connection broke (%s)" % (error.strerror or type(error).__name__)) from error
            if not data:
                raise LocalError("the service dropped the connection")
            self._heard = time.monotonic()
            try:
                self._machine.receive_data(data)
            except (RemoteProtocolError, LocalProtocolError, ValueError) as error:
                raise LocalError("the service speaks no proper WebSocket (%s)" % type(error).__name__) from error

    def _event(self, event, found):
        if isinstance(event, Ping):
            self._write(event.response())
        elif isinstance(event, CloseConnection):
            self.code = event.code
            self._write(event.response())
        elif isinstance(event, (TextMessage, BytesMessage)):
            self._parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
            self._length += len(event.data)
            if self._length > MESSAGE_OCTETS:
                raise LocalError("the service sends a message of more than %d octets" % MESSAGE_OCTETS)
            if len(self._parts) > MESSAGE_PIECES:
                raise LocalError("the service sends a message in more than %d pieces" % MESSAGE_PIECES)
            if event.message_finished:
                found.append((b"" if isinstance(self._parts[0], bytes) else "").join(self._parts))
                self._parts, self._length = [], 0
        elif not isinstance(event, Pong):
            raise LocalError("the service speaks no proper WebSocket")

    async def close(self, code=1000):
        """Say good-bye, but do not wait for long."""
        self._write(CloseConnection(code=code))
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_S)
        except (OSError, asyncio.TimeoutError, ssl.SSLError):
            self._writer.transport.abort()


def _where(parts):
    """Host and port of an address, without the user and password that may stand before them."""
    return parts.netloc.rpartition("@")[2]


async def connect(url, token, verify, limit_s):
    """A WebSocket that is open.  Raises LocalError with a sentence that names no secret."""
    parts = urllib.parse.urlsplit(url)
    secure, where = parts.scheme == "wss", _where(parts)
    try:
        return await asyncio.wait_for(_connect(parts, secure, token, verify), limit_s)
    except asyncio.TimeoutError as error:
        raise LocalError("%s did not answer in %g s" % (where, limit_s)) from error
    except ssl.SSLError as error:
        raise LocalError("%s: the TLS connection was refused (%s)" % (where, error.reason or "no reason is known")) from error
    except (OSError, ValueError) as error:
        raise LocalError("%s cannot be reached (%s)" % (where, getattr(error, "strerror", None) or error)) from error


async def _connect(parts, secure, token, verify):
    where = _where(parts)
    tls = await asyncio.get_running_loop().run_in_executor(None, context, verify) if secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if secure else 80), ssl=tls)
    try:
        machine = WSConnection(ConnectionType.CLIENT)
        headers = [(b"Authorization", b"Bearer " + token.encode("ascii", "ignore"))] if token else []
        writer.write(machine.send(Request(host=where, target=(parts.path or "/") + ("?" + parts.query if parts.query else ""),
                                          subprotocols=[SUBPROTOCOL], extra_headers=headers)))
        socket = WebSocket(reader, writer, machine)
        accepted = False
        while not accepted:
            data = await reader.read(READ_OCTETS)
            if not data:
                raise LocalError("%s closed the connection instead of opening a WebSocket" % where)
            try:
                machine.receive_data(data)
                for event in machine.events():
                    if isinstance(event, RejectConnection):
                        raise LocalError("%s refused the WebSocket with status %d" % (where, event.status_code))
                    if isinstance(event, AcceptConnection):
                        accepted = True
                        break
            except (RemoteProtocolError, ValueError) as error:
                raise LocalError("%s speaks no WebSocket" % where) from error
        return socket
    except BaseException:
        writer.transport.abort()
        raise
