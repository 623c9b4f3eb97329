"""CTI link: JSON lines over TCP for the business application.

One JSON object a line, UTF-8, each way.  A request has "do" and an optional "id", which its reply
repeats; a reply is {"id", "ok": true, ...} or {"id", "ok": false, "error": sentence}.

    {"id": 1, "do": "log_in", "user": "crm", "password": "..."}
    {"id": 2, "do": "subscribe", "after": 0}         journal records after that sequence number follow:
        {"event": 17, "record": {"seq": 17, "ts_ms": ..., "kind": ..., "call": ..., "data": {...}}}
    {"id": 3, "do": "unsubscribe"}
    {"id": 4, "do": "ping"}                          -> {"id": 4, "ok": true, "seq": newest number}
    {"id": 5, "do": "agent_status", "agent": "1001", "status": "on_break", "reason": "lunch"}
    {"id": 6, "do": "hangup", "call": "c17"}
    {"id": 8, "do": "transfer", "call": "c17", "to": "queue", "target": "sales"}   and the other operations of control/operations.py
    {"id": 9, "do": "ivr", "call": "c17", "operation": {"do": "collect", "items": ["enter"], "length": 4}}      for a call that a flow has given
        to a program (node cti: record ivr.asked): what came of it is the record ivr.told
    {"id": 7, "do": "answer", "leg": "l17"}          where control offers it
The record agent.popped (an agent's telephone rings, and it is known who calls) brings "pop" along while the call is up: customer, last calls,
tickets, callbacks; the journal itself holds keys only.  Who may ask what, and sees which records: control/roles.py.
    {"id": 10, "do": "ticket_open", "template": "repair", "title": "...", "fields": {...}, "call": "c17"}     and pop, note, disposition, customer_find,
        tickets, ticket, ticket_change, articles, broadcasts, broadcast, broadcast_seen, thresholds, threshold_acknowledge, figures (control/cti.py, DESK)
An idle subscription gets {"alive": newest number} every ALIVE_S.  A client that reconnects subscribes
after the last number it has dealt with, so nothing is missed and nothing comes twice.

    server = CTIServer(authenticate, read_events, newest, commands, visible)      visible(user, record): whether the user's role shows it
    await server.start(sock)       # a listening socket, or (address, port)
    server.wake()                  # control: the journal has new rows
    await server.close()

authenticate(user, password) -> what stands for the user in commands, or None; may be a coroutine.
read_events(after, limit) -> list of records in order (may be a coroutine); newest() -> int.
commands: {name: (field names, function(user, request) -> dict or None)}, coroutine or not; LocalError,
RemoteError and ConfigError become the sentence of the reply.  FIELDS tells what agent_status, hangup and
answer must bring.
Each subscriber reads the journal at its own pace, so a slow one costs nothing but its own delay.
"""

import asyncio
import inspect
import logging
import socket
import time

from firmware import jsontext
from firmware.errors import StrowgerError

MAX_LINE_OCTETS = 16384          # ours; the longest request is under 300
MAX_CONNECTIONS = 64             # logged in; ours: business applications, not agents
MAX_WAITING = 256                # not logged in, of all hosts; beyond it the oldest goes
MAX_WAITING_OF_HOST = 64         # ... of one host, so that one that only connects keeps nobody else out; as many as may log in; invented
FAILURES_FREE = 5                # wrong passwords of a name at a host before both must wait, as for the pages; invented
FAILURES_OF_HOST = 50            # the same for all names together; invented
FAILURE_WAIT_S = 30.0
LOG_IN_S = 10.0                  # time a new connection has to log in
LOG_IN_TRIES = 3
WRONG_PASSWORD_DELAY_S = 1.0
BATCH = 200                      # records read at a time
ALIVE_S = 30.0
STUCK_S = 60.0                   # a client that takes nothing for so long is cut off

FIELDS = {"agent_status": ("agent", "status"), "hangup": ("call",), "answer": ("leg",)}

log = logging.getLogger(__name__)


class _Refused(Exception):
    """A request that cannot be served; its text is the sentence of the reply."""


async def _value(result):
    return await result if inspect.isawaitable(result) else result


class Failures:
    """Wrong passwords: who must wait before another try.  clock_s: monotonic seconds."""

    def __init__(self, clock_s=time.monotonic):
        self._clock_s = clock_s
        self._counts = {}            # (host, name) or host -> (count, when the last was)

    def wait_s(self, host, name):
        """Seconds that a name must wait at a host, 0: none."""
        waits = [0]
        for who, free in (((host, name), FAILURES_FREE), (host, FAILURES_OF_HOST)):
            count, last_s = self._counts.get(who, (0, 0.0))
            if count >= free:
                waits.append(last_s + FAILURE_WAIT_S - self._clock_s())
        return max(waits)

    def failed(self, host, name):
        """One more; after a wait one try is free, not all."""
        if len(self._counts) > 10000:
            self._counts.clear()
        now = self._clock_s()
        for who, free in (((host, name), FAILURES_FREE), (host, FAILURES_OF_HOST)):
            count, last_s = self._counts.get(who, (0, now))
            self._counts[who] = (min(count, free - 1) + 1 if now - last_s > FAILURE_WAIT_S else count + 1, now)

    def succeeded(self, host, name):
        """The name is who it says: its failures are forgotten, those of other names at its host are not."""
        self._counts.pop((host, name), None)


class CTIConnection:
    """One client."""

    def __init__(self, server, reader, writer):
        self.server = server
        self.reader = reader
        self.writer = writer
        self.user = None
        self.tries = 0
        self.verifying = False
        self.position = None         # last sequence number sent, or None where not subscribed
        self.news = asyncio.Event()
        self.feeder = None
        self.peer = (writer.get_extra_info("peername") or ("?",))[0]

    async def send(self, message):
        """Send one line; a client that does not read is cut off."""
        self.writer.write(jsontext.encode(message) + b"\n")
        await asyncio.wait_for(self.writer.drain(), STUCK_S)

    async def run(self):
        """Serve until the client goes."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOG_IN_S
        while True:
            try:
                wait_s = None if self.user is not None else max(0.0, deadline - loop.time())
                line = await asyncio.wait_for(self.reader.readuntil(b"\n"), wait_s)
            except asyncio.LimitOverrunError:
                await self.send({"ok": False, "error": "The line is longer than %d octets; the connection is closed."
                                                       % MAX_LINE_OCTETS})
                return
            except asyncio.IncompleteReadError:
                return
            except asyncio.TimeoutError:
                await self.send({"ok": False, "error": "No log-in came within %d seconds; connect again." % LOG_IN_S})
                return
            if not line.strip():
                continue
            if not await self.serve(line):
                return

    async def serve(self, line):
        """One request.  Returns False where the connection is to be closed."""
        number = None
        try:
            try:
                request = jsontext.parse(line)
            except ValueError as error:
                raise _Refused("The line is not JSON that can be taken (%s); send one JSON object a line." % error) from None
            if not isinstance(request, dict):
                raise _Refused("The line is not a JSON object; send {\"id\": 1, \"do\": ...}.")
            number = request.get("id")
            if not isinstance(number, (int, str, type(None))) or len(str(number)) > 64:
                number = None
                raise _Refused("\"id\" must be a number or a short text.")
            reply = {"id": number, "ok": True}
            reply.update(await self.carry_out(request) or {})
        except _Refused as refusal:
            reply = {"id": number, "ok": False, "error": str(refusal)}
        except StrowgerError as error:
            reply = {"id": number, "ok": False, "error": str(error)}
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            # a fault of ours: the client hears of it, the other clients do not
            log.exception("CTI request of %s failed.", self.peer)
            reply = {"id": number, "ok": False, "error": "The switch failed at this request: %s." % type(error).__name__}
        await self.send(reply)
        if reply["ok"] and self.position is not None and self.feeder is None:
            self.feeder = asyncio.ensure_future(self.feed())
        return self.tries < LOG_IN_TRIES

    async def carry_out(self, request):
        """Returns what the reply holds.  Raises _Refused."""
        name = request.get("do")
        if not isinstance(name, str):
            raise _Refused("\"do\" is missing; it names the request: %s." % ("log_in" if self.user is None else self.requests()))
        if name == "log_in":
            return await self.log_in(request)
        if self.user is None:
            raise _Refused("Log in first: {\"do\": \"log_in\", \"user\": ..., \"password\": ...}.")
        if name == "ping":
            return {"seq": self.server.newest()}
        if name == "subscribe":
            return self.subscribe(request)
        if name == "unsubscribe":
            self.stop_feeding()
            return None
        entry = self.server.commands.get(name)
        if entry is None:
            raise _Refused("%r is not a request of this link; it knows %s." % (name[:40], self.requests()))
        fields, function = entry
        for field in fields:
            if not isinstance(request.get(field), str) or not request[field]:
                raise _Refused("%s needs \"%s\" as a text." % (name, field))
        return await _value(function(self.user, request))

    def requests(self):
        """What "do" may be, as a text."""
        return ", ".join(sorted(["log_in", "ping", "subscribe", "unsubscribe"] + list(self.server.commands)))

    async def log_in(self, request):
        user, password = request.get("user"), request.get("password")
        if not isinstance(user, str) or not isinstance(password, str):
            raise _Refused("log_in needs \"user\" and \"password\" as texts.")
        failures, name = self.server.failures, user[:100]
        self._refuse_who_must_wait(name)
        self.verifying = True
        try:
            found = await _value(self.server.authenticate(user, password))
        finally:
            self.verifying = False
        # Of tries beside each other only as many are answered as of tries one after the other.
        self._refuse_who_must_wait(name)
        if found is None:
            failures.failed(self.peer, name)
            self.tries += 1
            log.warning("CTI log-in from %s failed.", self.peer)
            await asyncio.sleep(WRONG_PASSWORD_DELAY_S)
            raise _Refused("User or password is wrong.")
        failures.succeeded(self.peer, name)
        if self.user is None and self.server.logged_in() >= MAX_CONNECTIONS:
            raise _Refused("%d connections are open already; close one first." % MAX_CONNECTIONS)
        self.user = found
        self.tries = 0
        return {"seq": self.server.newest()}

    def _refuse_who_must_wait(self, name):
        wait_s = self.server.failures.wait_s(self.peer, name)
        if wait_s > 0:
            self.tries += 1
            raise _Refused("Too many log-ins failed; wait %d seconds." % (wait_s + 1))

    def subscribe(self, request):
        after = request.get("after", None)
        newest = self.server.newest()
        if after is None:
            after = newest
        if isinstance(after, bool) or not isinstance(after, int) or after < 0:
            raise _Refused("\"after\" must be a sequence number: 0 or higher, or left out for what is new.")
        if after > newest:
            raise _Refused("\"after\" is %d, but the newest record is %d; subscribe after that one or an older one."
                           % (after, newest))
        self.stop_feeding()
        self.position = after
        return {"seq": newest}

    def stop_feeding(self):
        """End the subscription."""
        self.position = None
        if self.feeder is not None:
            self.feeder.cancel()
            self.feeder = None

    async def feed(self):
        """Send records from the position on, for ever."""
        try:
            while True:
                self.news.clear()
                records = await _value(self.server.read_events(self.position, BATCH))
                for record in records:
                    if self.server.visible(self.user, record):
                        await self.send({"event": record["seq"], "record": record})
                    self.position = record["seq"]
                if records:
                    continue
                try:
                    await asyncio.wait_for(self.news.wait(), ALIVE_S)
                except asyncio.TimeoutError:
                    await self.send({"alive": self.server.newest()})
        except (ConnectionError, asyncio.TimeoutError):
            self.writer.close()
        except Exception:
            log.exception("CTI subscription of %s ended.", self.peer)
            self.writer.close()

    async def close(self):
        """Drop the connection."""
        self.stop_feeding()
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (OSError, asyncio.CancelledError):
            pass


class CTIServer:
    """See the top of this module."""

    def __init__(self, authenticate, read_events, newest, commands, visible=None):
        self.authenticate = authenticate
        self.visible = visible or (lambda user, record: True)
        self.read_events = read_events
        self.newest = newest
        self.commands = commands
        self.connections = set()
        self.failures = Failures()
        self._waiting = []           # connections without log-in, oldest first
        self._tasks = set()
        self._server = None

    async def start(self, where):
        """Listen.  where: a listening socket that the supervisor holds, or (address, port).  Raises OSError."""
        if isinstance(where, socket.socket):
            where.setblocking(False)
            self._server = await asyncio.start_server(self._connected, sock=where, limit=MAX_LINE_OCTETS)
        else:
            self._server = await asyncio.start_server(self._connected, where[0], where[1], limit=MAX_LINE_OCTETS)

    def logged_in(self):
        """How many connections have logged in."""
        return len([connection for connection in self.connections if connection.user is not None])

    def _make_room(self, peer):
        """Drop the oldest that only waits, of this host or of all.  False: all that wait are at their log-in."""
        self._waiting = [one for one in self._waiting if one in self.connections and one.user is None]
        for most, some in ((MAX_WAITING_OF_HOST, [one for one in self._waiting if one.peer == peer]), (MAX_WAITING, self._waiting)):
            if len(some) >= most:
                idle = [one for one in some if not one.verifying]
                if not idle:
                    return False
                self._waiting.remove(idle[0])
                idle[0].writer.transport.abort()
        return True

    def wake(self):
        """The journal has new rows."""
        for connection in self.connections:
            connection.news.set()

    async def close(self):
        """Stop listening and drop all clients; they reconnect to the next process."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        connection = CTIConnection(self, reader, writer)
        sock = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            if not self._make_room(connection.peer):
                await connection.send({"ok": False, "error": "Too many log in at once; connect again in a moment."})
                return
            self.connections.add(connection)
            self._waiting.append(connection)
            await connection.run()
        except (OSError, asyncio.TimeoutError):
            pass
        finally:
            self.connections.discard(connection)
            await connection.close()
            self._tasks.discard(asyncio.current_task())
