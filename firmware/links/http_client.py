"""HTTP requests of flows: one JSON question, one JSON answer, with limits on time and size.

    client = HTTPClient(service, executor)      service: a row of the setting services
    answer = await client.ask(request)          {"status", "body"}; raises LocalError with a sentence
    client.close()

HTTP/1.1 (RFC 9112) by h11.  Connections are kept for IDLE_S and used again; an answer that comes to a kept connection that has just
died is asked for once more on a new one where the method only reads.  Redirects are not followed: the address is the installer's.
Names are looked up in a thread of our own, since a name server that hangs would fill the loop's.
"""

import asyncio
import base64
import json
import socket
import ssl
import time
import urllib.parse

import h11

from firmware.errors import LocalError
from firmware.ivr.requests import reveal
from firmware.jsontext import parse

IDLE_S = 15.0
KEPT = 8                    # idle connections of a service
READ_OCTETS = 65536
HEAD_OCTETS = 65536
PARSE_BESIDE_OCTETS = 20_000        # longer answers are read in a thread: 200 kB take some ms


class HTTPClient:
    """Questions to one service.  service: {address, user, password, token, connections, timeout_s, max_octets, verify}."""

    def __init__(self, service, executor):
        self.service, self.executor = service, executor
        parts = urllib.parse.urlsplit(service["address"])
        self.secure = parts.scheme == "https"
        self.host, self.port = parts.hostname or "", parts.port or (443 if self.secure else 80)
        self.base = parts.path.rstrip("/")
        self.host_header = parts.netloc.rpartition("@")[2]
        self._idle = []             # [(reader, writer, h11 connection, since)]
        self._gate = asyncio.Semaphore(service["connections"])
        self._context = None

    async def ask(self, request):
        """See the module's docstring.  request: ivr/requests.py."""
        try:
            return await asyncio.wait_for(self._ask(request), min(request["timeout_s"], self.service["timeout_s"]))
        except asyncio.TimeoutError:
            raise LocalError("%s did not answer in time" % self.service["name"]) from None
        except (OSError, ssl.SSLError) as error:
            raise LocalError("%s cannot be reached: %s" % (self.service["name"], error)) from None
        except h11.RemoteProtocolError as error:
            raise LocalError("%s answers with something that is no HTTP: %s" % (self.service["name"], error)) from None
        except h11.LocalProtocolError as error:
            raise LocalError("the request to %s cannot be sent: %s" % (self.service["name"], error)) from None

    async def _ask(self, request):
        async with self._gate:
            kept = self._kept()
            if kept is not None:
                try:
                    return await self._exchange(kept, request)
                except (ConnectionError, EOFError):
                    if request["method"] != "GET":
                        raise LocalError("%s closed the connection before it answered" % self.service["name"]) from None
            try:
                return await self._exchange(await self._connect(), request)
            except EOFError:
                raise LocalError("%s closed the connection before it answered" % self.service["name"]) from None

    def _kept(self):
        while self._idle:
            reader, writer, wire, since_s = self._idle.pop()
            if time.monotonic() - since_s < IDLE_S and not reader.at_eof() and not writer.is_closing():
                return reader, writer, wire
            writer.close()
        return None

    async def _connect(self):
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self.executor, socket.getaddrinfo, self.host, self.port, 0, socket.SOCK_STREAM)
        options = {}
        if self.secure:
            if self._context is None:
                self._context = await loop.run_in_executor(self.executor, self._make_context)
            options = {"ssl": self._context, "server_hostname": self.host}
        last = OSError("no address is known")
        for family, kind, protocol, _, address in found[:4]:
            try:
                reader, writer = await asyncio.open_connection(address[0], address[1], family=family, limit=READ_OCTETS, **options)
                return reader, writer, h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_OCTETS)
            except OSError as error:
                last = error
        raise last

    def _make_context(self):
        context = ssl.create_default_context()
        if not self.service["verify"]:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _head(self, request, body):
        target = self.base + request["path"]
        if request["query"]:
            target += ("&" if "?" in target else "?") + urllib.parse.urlencode([tuple(pair) for pair in request["query"]])
        headers = [("Host", self.host_header), ("User-Agent", "Strowger"), ("Accept", "application/json")]
        if body is not None:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        elif request["method"] != "GET":
            headers.append(("Content-Length", "0"))
        if self.service["token"]:
            headers.append(("Authorization", "Bearer " + self.service["token"]))
        elif self.service["user"]:
            pair = "%s:%s" % (self.service["user"], self.service["password"])
            headers.append(("Authorization", "Basic " + base64.b64encode(pair.encode()).decode()))
        given = {name.lower() for name, _ in headers}
        for name, value in request["headers"]:
            if name.lower() not in given and name.lower() not in ("connection", "transfer-encoding", "upgrade"):
                headers.append((name, value.encode("utf-8")))
        return h11.Request(method=request["method"], target=target, headers=headers)

    async def _exchange(self, connection, request):
        reader, writer, wire = connection
        done = False
        try:
            body = None if request["body"] is None else json.dumps(reveal(request["body"]), ensure_ascii=False).encode()
            octets = wire.send(self._head(request, body))
            if body is not None:
                octets += wire.send(h11.Data(data=body))
            writer.write(octets + wire.send(h11.EndOfMessage()))
            await writer.drain()
            status, kind, data = await self._answer(reader, wire)
            done = wire.our_state is h11.DONE and wire.their_state is h11.DONE
        finally:
            if done and len(self._idle) < KEPT:
                wire.start_next_cycle()
                self._idle.append((reader, writer, wire, time.monotonic()))
            else:
                writer.transport.abort()
        return {"status": status, "body": await self._body(kind, data)}

    async def _answer(self, reader, wire):
        status, kind, data = None, "", []
        size = 0
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                octets = await reader.read(READ_OCTETS)
                if not octets and status is None:
                    raise EOFError
                wire.receive_data(octets)
            elif isinstance(event, h11.Response):
                status = event.status_code
                for name, value in event.headers:
                    if name == b"content-type":
                        kind = value.decode("latin-1").lower()
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > self.service["max_octets"]:
                    raise LocalError("the answer of %s is longer than %d octets" % (self.service["name"], self.service["max_octets"]))
                data.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return status, kind, b"".join(data)
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError

    async def _body(self, kind, data):
        if not data.strip():
            return None
        if kind.startswith("text/plain"):
            return data.decode("utf-8", "replace")
        try:
            if len(data) > PARSE_BESIDE_OCTETS:
                return await asyncio.get_running_loop().run_in_executor(self.executor, parse, data)
            return parse(data)
        except ValueError as error:
            raise LocalError("%s answers with something that is no JSON: %s" % (self.service["name"], error)) from None

    def close(self):
        """Let go of kept connections."""
        for _, writer, _, _ in self._idle:
            writer.transport.abort()
        self._idle = []
