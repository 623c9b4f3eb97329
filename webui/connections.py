"""Who may hold a connection, and for how long: nobody keeps the others out by doing nothing.

A connection costs a descriptor from accept(2) on, before any handshake.  So the door counts them itself: each address may
hold PER_ADDRESS, all together what descriptors and memory allow.  At a limit, the oldest connection that has no request
at work makes room for the new one.  The TLS handshake and the head of each request have
HEAD_S, the end of TLS CLOSE_S.  A browser opens connections ahead of need, keeps them silent, and opens others without a word when the server
closes them.
"""

import asyncio
import collections
import ipaddress
import logging
import resource
import time
from asyncio import sslproto

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

HEAD_S = 10                 # invented, as are all below
CLOSE_S = 3                 # for the client's close_notify; asyncio's default is 30 s
PER_ADDRESS, TOTAL = 1024, 3072
TLS_BUFFER = 32 << 10       # octets read at once of a connection: two TLS records; asyncio keeps 256 KiB for each
DESCRIPTORS = 4096          # wanted; the hard limit may be lower
OTHER_DESCRIPTORS = 256     # for files, control's socket, the interpreter
SAY_S = 60                  # the door speaks at most this often
ACCEPTS = 64                # connections taken in a row, then the others have their turn


def more_descriptors():
    """Raise the soft limit of open files; returns how many connections that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(64, min(TOTAL, (DESCRIPTORS if soft == resource.RLIM_INFINITY else soft) - OTHER_DESCRIPTORS))


sslproto.SSLProtocol.max_size = TLS_BUFFER


class Punctual(H11Protocol):
    """HTTP/1.1 whose request heads (RFC 9112 clause 2.1) must come within HEAD_S of their first octet, the first one
    within HEAD_S of the handshake.  Between two requests uvicorn's keep-alive time counts.
    gone: set when the connection is lost."""

    head_s = HEAD_S
    _late = None
    upgraded = False            # a WebSocket: what it does with its time is the application's matter

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.gone = asyncio.Event()

    def connection_made(self, transport):
        super().connection_made(transport)
        self._late = self.loop.call_later(self.head_s, transport.abort)

    def data_received(self, data):
        super().data_received(data)
        between = self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE
        if not between:
            self._forget()
        elif self._late is None and self.conn.trailing_data[0]:
            self._late = self.loop.call_later(self.head_s, self.transport.abort)

    def connection_lost(self, exc):
        self._forget()
        self.gone.set()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event):
        self._forget()
        self.upgraded = True
        super().handle_websocket_upgrade(event)
        successor = self.transport.get_protocol()
        ended = successor.connection_lost

        def connection_lost(exc):
            self.gone.set()
            ended(exc)
        successor.connection_lost = connection_lost

    @property
    def working(self):
        """Whether a whole request has come and its answer has not gone."""
        cycle = self.cycle
        return self.upgraded or cycle is not None and not cycle.more_body and not cycle.response_complete

    def _forget(self):
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Door:
    """Takes the connections of a listening socket.  make: returns a Punctual; context: of TLS, None: plain.

    Has close() and wait_closed() of an asyncio server."""

    def __init__(self, sock, make, context, total, per_address=PER_ADDRESS):
        self.sock, self.make, self.context = sock, make, context
        self.total, self.per_address = total, per_address
        self.held = collections.OrderedDict()       # Task: (address, Punctual), oldest first
        self.of = collections.Counter()             # by address
        self._said = {}                             # sentence: [when, how often since]
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        self._loop.add_reader(sock, self._accept)

    def close(self):
        self._loop.remove_reader(self.sock)

    async def wait_closed(self):
        for task in list(self.held):
            task.cancel()

    def _accept(self):
        for _ in range(ACCEPTS):
            try:
                connection, source = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:        # no descriptor, no memory
                self._say("no connection can be taken: %s" % error.strerror)
                self._loop.remove_reader(self.sock)
                self._loop.call_later(1, self._again)
                return
            address = network(source[0])
            if self.of[address] >= self.per_address and not self._make_room(address):
                self._say("%s holds %d connections; more are refused" % (address, self.per_address))
                connection.close()
            elif len(self.held) >= self.total and not self._make_room(None):
                self._say("%d connections are held; more are refused" % self.total)
                connection.close()
            else:
                protocol = self.make()
                task = self._loop.create_task(self._serve(connection, protocol))
                self.held[task] = (address, protocol)
                self.of[address] += 1
                task.add_done_callback(self._left)

    def _again(self):
        if self.sock.fileno() >= 0:
            self._loop.add_reader(self.sock, self._accept)

    def _make_room(self, address):
        """End the oldest connection (of the address; None: of anybody) without a request at work; False: there is none.

        A request is at work from the end of its body to the end of its answer: who sends no body does nothing either."""
        for task, (whose, protocol) in self.held.items():
            if address in (None, whose) and not protocol.working:
                self._left(task)
                task.cancel()
                return True
        return False

    def _left(self, task):
        address, _ = self.held.pop(task, (None, None))
        if address is not None:
            self.of[address] -= 1
            if not self.of[address]:
                del self.of[address]

    async def _serve(self, connection, protocol):
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self.context,
                                                     ssl_handshake_timeout=HEAD_S if self.context else None,
                                                     ssl_shutdown_timeout=CLOSE_S if self.context else None)
            await protocol.gone.wait()
        except (OSError, TimeoutError):     # no handshake; ssl.SSLError is an OSError
            pass
        finally:
            if protocol.transport is not None and not protocol.gone.is_set():
                protocol.transport.abort()

    def _say(self, sentence):
        now = time.monotonic()
        when, more = self._said.get(sentence, (-SAY_S, 0))
        if now - when < SAY_S:
            self._said[sentence] = (when, more + 1)
            return
        self._said = {old: entry for old, entry in self._said.items() if now - entry[0] < SAY_S}
        self._said[sentence] = (now, 0)
        log.warning("web: %s%s", sentence, f" ({more} times more in the minute before)" if more else "")


def network(address):
    """What counts as one client: an IPv4 address, the /64 of an IPv6 one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6 and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found.ipv4_mapped or found) if found.version == 6 else str(found)


class Server(uvicorn.Server):
    """uvicorn behind doors of ours.  total: connections at a time."""

    def __init__(self, config, total):
        super().__init__(config)
        self.total = total

    async def startup(self, sockets=None):
        """sockets: those that listen."""
        await self.lifespan.startup()
        self.servers = [Door(sock, self._protocol, self.config.ssl, self.total) for sock in sockets]
        self.started = True

    def _protocol(self):
        return self.config.http_protocol_class(config=self.config, server_state=self.server_state,
                                               app_state=self.lifespan.state)
