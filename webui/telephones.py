"""WebSockets of browser phones at /sip (RFC 7118), handed on to control: one address, one certificate, one port for all.

The phone authenticates itself to SIP's registrar (digest), not here.  While control is away (a restart takes a second) the
WebSocket stays, what the phone says meanwhile waits, and the connection to control is made again under the same name; so a
restart costs no browser its registration or its calls.
"""

import asyncio
import logging
import os

from firmware import sip_web
from firmware.errors import RemoteError

log = logging.getLogger(__name__)

PATIENCE_S = 30             # for a control process that is away; then the browser connects anew by itself
AGAIN_S = 0.1
WAITING = 50                # messages of one phone that wait for control
LAST_S = 1.0                # for what a phone said before it went, a BYE most of all
GOING_AWAY, UNACCEPTABLE, TOO_MANY = 1001, 1003, 1013       # RFC 6455 7.4.1, and the registry's
MOST = 2048                 # telephones; a house has 2,000 lines


class Telephones:
    """run_dir: where control's socket is."""

    def __init__(self, run_dir):
        self.path = os.path.join(str(run_dir), sip_web.SOCKET)
        self.count = 0

    async def serve(self, scope, receive, send):
        """One WebSocket, as an ASGI application."""
        await receive()         # websocket.connect
        if scope["path"] != "/sip" or "sip" not in scope["subprotocols"] or self.count >= MOST:
            await send({"type": "websocket.close", "code": TOO_MANY if self.count >= MOST else UNACCEPTABLE})
            return
        await send({"type": "websocket.accept", "subprotocol": "sip"})
        self.count += 1
        waiting = asyncio.Queue(WAITING)
        ears = asyncio.ensure_future(self._hear(receive, waiting))
        mouth = asyncio.ensure_future(self._carry(scope["client"], waiting, send))
        try:
            await asyncio.wait((ears, mouth), return_when=asyncio.FIRST_COMPLETED)
            if not ears.done():
                await send({"type": "websocket.close", "code": GOING_AWAY})
            elif not mouth.done():
                if not waiting.full():
                    waiting.put_nowait(None)
                await asyncio.wait((mouth,), timeout=LAST_S)
        finally:
            self.count -= 1
            for task in (ears, mouth):
                task.cancel()
            await asyncio.gather(ears, mouth, return_exceptions=True)

    async def _hear(self, receive, waiting):
        """From the browser, until it is gone or says more than can wait."""
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                return
            octets = event.get("bytes") or (event.get("text") or "").encode()
            try:
                waiting.put_nowait(octets)
            except asyncio.QueueFull:
                log.warning("a browser phone says more than control takes; it is cut off")
                return

    async def _carry(self, client, waiting, send):
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
            writer.write(sip_web.first(client[0], client[1], former is not None))
            former = process
            if held is not None:
                writer.write(sip_web.frame(held))
                held = None
            back = asyncio.ensure_future(self._back(reader, send))
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
    async def _back(reader, send):
        """From control to the browser, until control is gone."""
        left = b""
        while octets := await reader.read(65536):
            try:
                whole, left = sip_web.frames(left + octets)
            except RemoteError:
                return
            for message in whole:
                try:
                    await send({"type": "websocket.send", "text": message.decode("utf-8")})
                except UnicodeDecodeError:
                    await send({"type": "websocket.send", "bytes": message})
