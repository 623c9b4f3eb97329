"""WebSockets of browser phones at /sip (RFC 7118), handed on to control: one address, one certificate, one port for all.

The phone authenticates itself to SIP's registrar (digest), not here; control says when it has shown a right password (sip_web.PROVEN).  Until
then it is a stranger, who has PROOF_S for it and one of few places, of which one host holds fewer; the oldest stranger makes room for
the next one.  So strangers keep no telephone out.  What a phone may say is bounded in octets that wait and in messages a second.

While control is away (a restart takes a second) the
WebSocket stays, what the phone says meanwhile waits, and the connection to control is made again under the same name; so a
restart costs no browser its registration or its calls.
"""

import asyncio
import logging
import os

from firmware import sip_web
from firmware.errors import RemoteError
from webui.connections import network
from webui.websockets import Allowance

log = logging.getLogger(__name__)

PATIENCE_S = 30             # for a control process that is away; then the browser connects anew by itself
AGAIN_S = 0.1
WAITING, WAITING_OCTETS = 50, 128 << 10      # messages of one phone that wait for control, and their octets together
SAID_AT_ONCE, SAID_A_SECOND = 200, 50.0      # messages and pings of one phone; a busy telephone says five a second
LAST_S = 1.0                # for what a phone said before it went, a BYE most of all
GOING_AWAY, UNACCEPTABLE, POLICY, TOO_MANY = 1001, 1003, 1008, 1013       # RFC 6455 7.4.1, and the registry's
MOST = 2560                 # telephones; a house has 2,000 lines
STRANGERS, STRANGERS_OF_HOST = 512, 128      # of them without a right password yet; all figures here are invented
PROOF_S = 45                # for that password; control's own limit is shorter, this one counts while control is away, too
GRACE_S = 3                 # a stranger who came so lately does not make room


class Place:
    """What one telephone holds."""

    def __init__(self, host, now):
        self.host, self.since = network(host), now
        self.stranger = True
        self.leave = asyncio.Event()         # set: it has to go


class Waiting:
    """Messages of one telephone for control, in order; bounded."""

    def __init__(self):
        self.queue, self.octets = asyncio.Queue(), 0

    def put(self, octets):
        """False: there is no room."""
        size = len(octets) if octets is not None else 0
        if self.queue.qsize() >= WAITING or self.octets + size > WAITING_OCTETS and self.queue.qsize():
            return False
        self.octets += size
        self.queue.put_nowait(octets)
        return True

    async def get(self):
        octets = await self.queue.get()
        self.octets -= len(octets) if octets is not None else 0
        return octets


class Telephones:
    """run_dir: where control's socket is."""

    def __init__(self, run_dir):
        self.path = os.path.join(str(run_dir), sip_web.SOCKET)
        self.places = {}            # Place: True, the oldest first

    @property
    def count(self):
        """How many telephones there are."""
        return len(self.places)

    def _admit(self, host):
        """A place for a telephone, or None."""
        now = asyncio.get_running_loop().time()
        place = Place(host, now)
        strangers = [other for other in self.places if other.stranger]
        of_host = [other for other in strangers if other.host == place.host]
        for row, most in ((of_host, STRANGERS_OF_HOST), (strangers, min(STRANGERS, MOST - (len(self.places) - len(strangers))))):
            if len(row) < most:
                continue
            if not row or now - row[0].since < GRACE_S:
                return None
            row[0].leave.set()
            self.places.pop(row[0], None)
            if row is of_host:
                strangers.remove(row[0])
        self.places[place] = True
        return place

    async def serve(self, scope, receive, send):
        """One WebSocket, as an ASGI application."""
        await receive()         # websocket.connect
        if scope["path"] != "/sip" or "sip" not in scope["subprotocols"]:
            await send({"type": "websocket.close", "code": UNACCEPTABLE})
            return
        place = self._admit(scope["client"][0])
        if place is None:
            await send({"type": "websocket.close", "code": TOO_MANY})
            return
        waiting = Waiting()
        tasks = []
        try:
            await send({"type": "websocket.accept", "subprotocol": "sip"})
            ears = asyncio.ensure_future(self._hear(receive, waiting))
            mouth = asyncio.ensure_future(self._carry(scope["client"], waiting, send, place))
            watch = asyncio.ensure_future(self._watch(place))
            tasks = [ears, mouth, watch]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if watch.done() or ears.done() and ears.result() is not None:
                await asyncio.wait_for(send({"type": "websocket.close", "code": TOO_MANY if watch.done() else ears.result()}), LAST_S)
            elif not ears.done():
                await send({"type": "websocket.close", "code": GOING_AWAY})
            elif not mouth.done():
                waiting.put(None)
                await asyncio.wait((mouth,), timeout=LAST_S)
        except TimeoutError:
            pass                # it reads nothing; its connection ends with us
        finally:
            self.places.pop(place, None)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _watch(place):
        """Until the telephone has to go: it has shown no password in time, or makes room."""
        try:
            await asyncio.wait_for(place.leave.wait(), PROOF_S)
        except TimeoutError:
            if not place.stranger:
                await place.leave.wait()

    @staticmethod
    async def _hear(receive, waiting):
        """From the browser, until it is gone (None) or says more than it may (why it is cut off, as a code)."""
        allowance = Allowance(SAID_AT_ONCE, SAID_A_SECOND)
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                return None
            octets = event.get("bytes") or (event.get("text") or "").encode()
            if not allowance.take() or len(octets) > sip_web.MOST_OCTETS or not waiting.put(octets):
                log.warning("a browser phone says more than control takes; it is cut off")
                return POLICY

    async def _carry(self, client, waiting, send, place):
        """To control and back, over one connection after the other, until None waits.

        A connection that the same control process ended was ended on purpose (it says nothing, or too much): so is the WebSocket."""
        former = held = None
        while True:
            try:
                reader, writer, process = await self._connect()
            except TimeoutError:
                return
            if process == former:
                writer.close()
                return
            kind = sip_web.NEW if former is None else sip_web.AGAIN if place.stranger else sip_web.KNOWN
            writer.write(sip_web.first(client[0], client[1], kind))
            former = process
            if held is not None:
                writer.write(sip_web.frame(held))
                held = None
            back = asyncio.ensure_future(self._back(reader, send, place))
            try:
                while not back.done():
                    said = asyncio.ensure_future(waiting.get())
                    await asyncio.wait((said, back), return_when=asyncio.FIRST_COMPLETED)
                    if not said.done():
                        said.cancel()
                        break
                    held = said.result()
                    if held is None:
                        return
                    if back.done():
                        break
                    writer.write(sip_web.frame(held))
                    await writer.drain()
                    held = None
            except OSError:
                pass
            finally:
                writer.close()
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)

    async def _connect(self):
        end = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            try:
                mark = os.stat(self.path)       # each control process makes its socket anew
                return *await asyncio.open_unix_connection(self.path), (mark.st_ino, mark.st_ctime_ns)
            except OSError:
                if asyncio.get_running_loop().time() > end:
                    raise TimeoutError from None
                await asyncio.sleep(AGAIN_S)

    @staticmethod
    async def _back(reader, send, place):
        """From control to the browser, until control is gone."""
        left = b""
        while octets := await reader.read(65536):
            try:
                whole, left = sip_web.frames(left + octets)
            except RemoteError:
                return
            for message in whole:
                if not message:
                    place.stranger = False
                    continue
                try:
                    await send({"type": "websocket.send", "text": message.decode("utf-8")})
                except UnicodeDecodeError:
                    await send({"type": "websocket.send", "bytes": message})
