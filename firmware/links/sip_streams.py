"""SIP over connections: TCP, TLS and secure WebSocket.  RFC 3261 18, RFC 5626 (keep-alive), RFC 7118.

    streams = SIPStreams(listeners, certificates, peer_of, hear, lost, back, guard)
    streams.start(); streams.send(octets, (host, port, "TCP")); streams.close()

listeners: {"TCP"|"TLS"|"WSS": socket, "web": the Unix socket of sip_web.py}.  back(address): such a connection goes on.  hear(messages, source): whole messages of one connection.  lost(address, opened):
a connection is gone, or could not be opened ("opened": it had been; then nothing of it can be sent any more).
peer_of(address): {"name": server name, "verify": bool} of a TLS far end that we connect to.

A connection bears the address of its far end and is used both ways, whoever opened it.  One that says nothing whole
within FIRST_MESSAGE_S is closed; so is one that is idle for IDLE_S, sends what is no SIP, or takes nothing of us any more.
At most MOST connections stand, MOST_OF_HOST of one host.

guard (proto/sip/guard.py) knows who has shown a right password, and who is a trunk.  All others are strangers: they have PROOF_S for
it, and STRANGERS places, STRANGERS_OF_HOST of one host, where the oldest makes room for the next.  A stranger's messages and pings are
counted (SAID_A_SECOND), a telephone's too; a trunk's are not.  Connections die with this process; the far ends open new ones.
"""

import asyncio
import logging
import random
import socket
import ssl

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Message, Ping, RejectConnection, Request, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from firmware import sip_web
from firmware.errors import RemoteError
from firmware.proto.sip.message import MAX_MESSAGE_OCTETS
from firmware.proto.sip.stream import PING, PONG, StreamFramer

log = logging.getLogger(__name__)

FIRST_MESSAGE_S = 15
IDLE_S = 7200
PONG_S = 10                  # RFC 5626 4.4.1: until a ping of ours must be answered
CONNECT_S = 5
LOOK_S = 5                   # between looks at idle connections and at the certificate
MOST = 4500                  # 2,000 lines with two telephones, and trunks
MOST_OF_HOST = 2048          # a company behind one NAT
MOST_UNSENT_OCTETS = 1 << 20
PROOF_S = 35                 # for a right password: longer than a REGISTER is repeated (timer F, 32 s)
STRANGERS, STRANGERS_OF_HOST = 1024, 256     # connections of whom nothing is known yet; invented
GRACE_S = 3                  # a stranger who came so lately does not make room
SAID_AT_ONCE, SAID_A_SECOND = 400, 50        # messages and pings of one connection that is no trunk's; invented


class Connection(asyncio.Protocol):
    """One connection.  address: (host, port, transport) of the far end."""

    def __init__(self, streams, transport_name, address=None):
        self.streams, self.transport_name, self.address = streams, transport_name, address
        self.transport = None
        self.framer = StreamFramer()
        self.heard_at = self.opened_at = 0.0
        self.spoke = False
        self.waiting = []           # octets until it stands
        self.refused = False
        self.theirs = address is None       # the far end opened it
        self.stranger = False               # of whom nothing is known yet
        self.allowance, self.allowed_at = SAID_AT_ONCE, 0.0
        self.every_s = self.pinged_at = None    # of a flow that we keep
        self.ping_at = 0.0

    def keep(self, every_s):
        """Ping it from now on; what says nothing PONG_S after a ping is gone."""
        self.every_s = every_s
        self.ping_at = self.streams.loop.time() + every_s * random.uniform(0.8, 1)

    def look(self, now):
        """Now and then, of one that is kept."""
        if self.pinged_at is not None and self.heard_at < self.pinged_at:
            if now - self.pinged_at > PONG_S:
                self.streams.complain(self, "gives no answer to a ping; the connection is closed")
                self.transport.abort()
        elif now >= self.ping_at:
            self.pinged_at = now
            self.write(PING)
            self.keep(self.every_s)

    def connection_made(self, transport):
        self.transport = transport
        self.opened_at = self.heard_at = self.streams.loop.time()
        if self.address is None:
            self.address = (*transport.get_extra_info("peername")[:2], self.transport_name)
            if not self.streams.admit(self):
                self.refused = True
                transport.abort()
                return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting, self.waiting = self.waiting, []
        for octets in waiting:
            self.write(octets)

    def data_received(self, octets):
        self.heard_at = self.streams.loop.time()
        try:
            messages = self.messages(octets)
        except RemoteError as error:
            self.streams.complain(self, "sends %s; the connection is closed" % error)
            self.transport.abort()
            return
        if not self.streams.may_say(self, len(messages)):
            self.streams.complain(self, "sends more than %d messages a second; the connection is closed" % SAID_A_SECOND)
            self.transport.abort()
            return
        whole = [message for message in messages if message]
        if len(whole) < len(messages):
            self.pong()
        if whole:
            self.spoke = True
            self.streams.hear(whole, self.address)

    def messages(self, octets):
        """Whole messages in octets that came.  Raises RemoteError."""
        return self.framer.feed(octets)

    def pong(self):
        """Answer a ping."""
        self.write(PONG)

    def proven(self):
        """A right password came over it."""

    def write(self, octets):
        """Send, or keep until the connection stands."""
        if self.transport is None:
            if len(self.waiting) < 100:
                self.waiting.append(octets)
            return
        self.transport.write(octets)
        if self.transport.get_write_buffer_size() > MOST_UNSENT_OCTETS:
            self.streams.complain(self, "takes nothing any more; the connection is closed")
            self.transport.abort()

    def send(self, octets):
        """One message."""
        self.write(octets)

    def connection_lost(self, error):
        if not self.refused:
            self.streams.gone(self)


class WebSocketConnection(Connection):
    """A browser's: one message a frame, text (RFC 7118 5); subprotocol sip."""

    def __init__(self, streams, transport_name):
        super().__init__(streams, transport_name)
        self.web = WSConnection(ConnectionType.SERVER)
        self.text = ""
        self.data = b""

    def messages(self, octets):
        """Frames, joined to messages."""
        out = []
        try:
            self.web.receive_data(octets)
            for event in self.web.events():
                if isinstance(event, Request):
                    fits = "sip" in event.subprotocols
                    self.write(self.web.send(AcceptConnection(subprotocol="sip") if fits else RejectConnection(status_code=400)))
                    if not fits:
                        raise RemoteError("a WebSocket without the subprotocol sip", status=400)
                elif isinstance(event, Ping):
                    if not self.streams.may_say(self, 1):
                        raise RemoteError("too many pings", status=429)
                    self.write(self.web.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self.write(self.web.send(event.response()))
                    self.transport.close()
                elif isinstance(event, (TextMessage, BytesMessage)):
                    self.data += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                    if len(self.data) > MAX_MESSAGE_OCTETS:
                        raise RemoteError("a message of more than %d octets" % MAX_MESSAGE_OCTETS, status=413)
                    if event.message_finished:
                        out.append(self.data.lstrip(b"\r\n"))     # empty: a ping (RFC 5626)
                        self.data = b""
        except (RemoteProtocolError, LocalProtocolError) as error:
            raise RemoteError("what is no WebSocket (%s)" % error, status=400) from error
        return out

    def pong(self):
        self.send(PONG)

    def send(self, octets):
        try:
            try:
                message = Message(data=octets.decode("utf-8"))
            except UnicodeDecodeError:
                message = Message(data=octets)
            self.write(self.web.send(message))
        except LocalProtocolError:
            pass                    # it is closing; connection_lost follows


class WebConnection(Connection):
    """A browser's that the web process holds: frames of sip_web.py, the first of which says who it is."""

    def __init__(self, streams):
        super().__init__(streams, "WSS")
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport
        self.refused = True             # until it has said its name
        self.opened_at = self.heard_at = self.streams.loop.time()

    def messages(self, octets):
        self.data += octets
        frames, self.data = sip_web.frames(self.data)
        if self.address is None and frames:
            host, port, kind = sip_web.name(frames.pop(0))
            self.address = (host, port, "WSS")
            former = self.streams.connections.get(self.address)
            if former is not None and former.transport is not None:
                former.transport.abort()
                self.streams.gone(former)
            if not self.streams.admit(self, kind == sip_web.KNOWN):
                self.transport.abort()
                return []
            self.refused = False
            again = kind != sip_web.NEW
            if again and self.streams.back is not None:
                self.spoke = True
                self.streams.back(self.address)
        return [frame.lstrip(b"\r\n") for frame in frames]

    def pong(self):
        self.send(PONG)

    def proven(self):
        self.write(sip_web.PROVEN)

    def send(self, octets):
        self.write(sip_web.frame(octets))


class SIPStreams:
    """See the top."""

    def __init__(self, listeners, certificates, peer_of, hear, lost, back=None, guard=None):
        self.back, self.guard = back, guard
        self.strangers = {}          # Connection: True, the oldest first
        self.listeners, self.certificates, self.peer_of = listeners, certificates, peer_of
        self.hear, self.lost = hear, lost
        self.connections = {}        # address -> Connection
        self.by_host = {}            # host -> how many
        self.refused = 0
        self.loop = None
        self._servers = []
        self._tasks = set()
        self._look = None
        self._complained = set()
        self._closing = False
        if guard is not None:
            guard.told = self._told

    def start(self):
        """Accept, in the running loop."""
        self.loop = asyncio.get_running_loop()
        for transport, sock in self.listeners.items():
            self._spawn(self._serve(transport, sock))
        self._look = self.loop.call_later(LOOK_S, self._looked)

    async def _serve(self, transport, sock):
        sock.setblocking(False)
        if transport == "web":
            self._servers.append(await self.loop.create_unix_server(lambda: WebConnection(self), sock=sock))
            return
        context = self.certificates.server_context() if transport != "TCP" else None
        if transport != "TCP" and context is None:
            log.error("SIP over %s is not served: %s", transport, self.certificates.fault)
            return
        kind = WebSocketConnection if transport == "WSS" else Connection
        server = await self.loop.create_server(lambda: kind(self, transport), sock=sock, ssl=context,
                                               **({"ssl_handshake_timeout": CONNECT_S} if context else {}))
        self._servers.append(server)

    def close(self):
        """End; listening sockets that were inherited stay open in the supervisor."""
        self._closing = True
        if self._look is not None:
            self._look.cancel()
        for task in list(self._tasks):
            task.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self.connections.values()):
            if connection.transport is not None:
                connection.transport.abort()
        self.connections = {}

    def admit(self, connection, proven=False):
        """A far end has opened a connection.  False: there are too many.  proven: it showed a right password before."""
        host = connection.address[0]
        stranger = self.guard is not None and not proven and not self.guard.is_trusted(host)
        if stranger:
            self.guard.new_connection(connection.address)
            self._make_room(host)
        strangers = [other for other in self.strangers if other.address[0] == host] if stranger else ()
        if (len(self.connections) >= MOST or self.by_host.get(host, 0) >= MOST_OF_HOST
                or stranger and (len(self.strangers) >= STRANGERS or len(strangers) >= STRANGERS_OF_HOST)):
            self.refused += 1
            self.complain(connection, "is refused: %d connections stand, %d of this host, %d of strangers" % (
                len(self.connections), self.by_host.get(host, 0), len(self.strangers)))
            return False
        self._add(connection)
        if stranger:
            connection.stranger = True
            self.strangers[connection] = True
        return True

    def _make_room(self, host):
        """The oldest stranger goes where there are as many as may be: of the host, or of all."""
        of_host = [other for other in self.strangers if other.address[0] == host]
        row = of_host if len(of_host) >= STRANGERS_OF_HOST else list(self.strangers) if len(self.strangers) >= STRANGERS else []
        for other in row:
            if self.is_known(other):
                continue
            if self.loop.time() - other.opened_at >= GRACE_S:
                self.complain(other, "has shown no password and makes room for others")
                other.transport.abort()
                self.gone(other)
                other.refused = True
            return

    def is_known(self, connection):
        """Whether it is no stranger's, or no longer."""
        if connection.stranger and self.guard.is_known(connection.address):
            connection.stranger = False
            self.strangers.pop(connection, None)
            connection.proven()
        return not connection.stranger

    def _told(self, address):
        connection = self.connections.get(address)
        if connection is not None:
            self.is_known(connection)

    def may_say(self, connection, count):
        """Whether a connection may say so much more now."""
        if self.guard is None or connection.address is None or not connection.theirs or self.guard.is_trusted(connection.address[0]):
            return True
        now = self.loop.time()
        connection.allowance = min(SAID_AT_ONCE, connection.allowance + (now - connection.allowed_at) * SAID_A_SECOND) - count
        connection.allowed_at = now
        return connection.allowance >= 0

    def _add(self, connection):
        self.connections[connection.address] = connection
        host = connection.address[0]
        self.by_host[host] = self.by_host.get(host, 0) + 1

    def gone(self, connection):
        """A connection has ended."""
        self.strangers.pop(connection, None)
        if self.connections.get(connection.address) is connection:
            del self.connections[connection.address]
            host = connection.address[0]
            self.by_host[host] -= 1
            if not self.by_host[host]:
                del self.by_host[host]
            if not self._closing:
                self.lost(connection.address, True)

    def complain(self, connection, what):
        """Say it, once of each host and reason."""
        if connection.address is None:
            log.warning("SIP: the web process %s.", what)
            return
        mark = (connection.address[0], what[:30] if connection.theirs else what[:80])      # why we cannot reach somebody is told in full
        if mark not in self._complained and len(self._complained) < 1000:
            self._complained.add(mark)
            log.warning("SIP: %s:%d (%s) %s.", *connection.address[:3], what)

    def send(self, octets, address):
        """Send over the connection to an address; opens one where there is none."""
        connection = self.connections.get(address)
        if connection is None:
            if address[2] == "WSS" or len(self.connections) >= MOST:
                self._spawn(self._unreachable(address))     # a browser listens nowhere
                return
            connection = Connection(self, address[2], address)
            self._add(connection)
            self._spawn(self._connect(connection))
        connection.send(octets)

    def keep(self, address, every_s):
        """The connection to an address is a flow of ours (RFC 5626): it is pinged."""
        if address in self.connections:
            self.connections[address].keep(every_s)

    async def _unreachable(self, address):
        self.lost(address, False)

    async def _connect(self, connection):
        host, port, transport = connection.address
        options = {}
        if transport == "TLS":
            peer = self.peer_of(connection.address)
            options = {"ssl": self.certificates.client_context(peer["verify"]), "server_hostname": peer["name"],
                       "ssl_handshake_timeout": CONNECT_S}
        try:
            await asyncio.wait_for(self.loop.create_connection(lambda: connection, host, port, **options), CONNECT_S + 1)
        except (OSError, ssl.SSLError, asyncio.TimeoutError, ValueError) as error:
            reason = {ssl.SSLCertVerificationError: "its certificate is refused: %s" % getattr(error, "verify_message", error),
                      asyncio.TimeoutError: "no answer within %d s" % CONNECT_S}.get(type(error), str(error))
            self.complain(connection, "cannot be reached: %s" % reason)
            if connection.transport is None:
                self.refused += 1
                if self.connections.get(connection.address) is connection:
                    del self.connections[connection.address]
                    self.by_host[host] -= 1
                    if not self.by_host[host]:
                        del self.by_host[host]
                self.lost(connection.address, False)

    def _looked(self):
        """Each few seconds: who is idle, is there a new certificate."""
        now = self.loop.time()
        for connection in list(self.connections.values()):
            if connection.every_s is not None and connection.transport is not None:
                connection.look(now)
            if connection.transport is not None and (
                    not self.is_known(connection) and now - connection.opened_at > PROOF_S
                    or now - connection.heard_at > IDLE_S
                    or (connection.theirs and not connection.spoke and now - connection.opened_at > FIRST_MESSAGE_S)):
                connection.transport.abort()
        self.certificates.look()
        self._look = self.loop.call_later(LOOK_S, self._looked)

    def _spawn(self, coroutine):
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def describe(self):
        """Figures for GET /v1/state."""
        count = {}
        for address in self.connections:
            count[address[2]] = count.get(address[2], 0) + 1
        return {"connections": count, "refused": self.refused, "strangers": len(self.strangers), "listening": sorted(self.listeners)}
