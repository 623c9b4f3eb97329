"""WebSockets of browser phones: they outlive control, and end when control wants them to."""

import asyncio

from firmware import sip_web
from webui.telephones import Telephones


class Browser:
    """The ASGI side of a browser."""

    def __init__(self, path="/sip", subprotocols=("sip",)):
        self.scope = {"path": path, "subprotocols": list(subprotocols), "client": ("192.0.2.5", 4711)}
        self.inbox, self.events = asyncio.Queue(), asyncio.Queue()
        self.inbox.put_nowait({"type": "websocket.connect"})

    async def send(self, event):
        await self.events.put(event)

    async def get(self):
        return await asyncio.wait_for(self.events.get(), 30)

    def say(self, text):
        self.inbox.put_nowait({"type": "websocket.receive", "text": text})


class Control:
    """A control process's end: what came, by connection."""

    def __init__(self, run_dir):
        self.run_dir, self.connections = run_dir, asyncio.Queue()

    async def start(self):
        self.server = await asyncio.start_unix_server(self._serve, sock=sip_web.listen(self.run_dir))

    async def _serve(self, reader, writer):
        await self.connections.put((reader, writer))

    async def take(self):
        return await asyncio.wait_for(self.connections.get(), 30)


async def frame_of(reader):
    size = int.from_bytes(await asyncio.wait_for(reader.readexactly(4), 30), "big")
    return await asyncio.wait_for(reader.readexactly(size), 30)


def test_a_restart_of_control_is_not_noticed_and_an_end_by_control_is(tmp_path):
    async def main():
        telephones, browser, control = Telephones(tmp_path), Browser(), Control(tmp_path)
        await control.start()
        task = asyncio.ensure_future(telephones.serve(browser.scope, browser.inbox.get, browser.send))
        assert (await browser.get()) == {"type": "websocket.accept", "subprotocol": "sip"}
        reader, writer = await control.take()
        assert sip_web.name(await frame_of(reader)) == ("192.0.2.5", 4711, False)
        browser.say("REGISTER one")
        assert await frame_of(reader) == b"REGISTER one"
        writer.write(sip_web.frame(b"SIP/2.0 200 OK") + sip_web.frame(b"\xff"))
        assert (await browser.get())["text"] == "SIP/2.0 200 OK" and (await browser.get())["bytes"] == b"\xff"

        control.server.close()              # control dies; what is said meanwhile waits
        writer.close()
        (tmp_path / sip_web.SOCKET).unlink()
        await asyncio.sleep(0.1)
        browser.say("INVITE two")
        await asyncio.sleep(0.3)
        control = Control(tmp_path)
        await control.start()
        reader, writer = await control.take()
        assert sip_web.name(await frame_of(reader)) == ("192.0.2.5", 4711, True)
        assert await frame_of(reader) == b"INVITE two"

        writer.close()                      # the same process ends it: so does the WebSocket
        assert (await browser.get())["type"] == "websocket.close"
        await asyncio.wait_for(task, 30)
        assert telephones.count == 0
        control.server.close()
    asyncio.run(main())


def test_others_are_refused(tmp_path):
    async def main():
        for browser in (Browser(path="/other"), Browser(subprotocols=())):
            await asyncio.wait_for(Telephones(tmp_path).serve(browser.scope, browser.inbox.get, browser.send), 30)
            assert (await browser.get())["type"] == "websocket.close"
    asyncio.run(main())
