"""WebSockets of browser phones: they outlive control, and end when control wants them to."""

import asyncio

from wsproto import ConnectionType, WSConnection, events

from firmware import sip_web
from webui import telephones
from webui.telephones import Telephones
from webui.websockets import UNREAD_OCTETS, Allowance, WebSocket


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
        assert sip_web.name(await frame_of(reader)) == ("192.0.2.5", 4711, "new")
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
        assert sip_web.name(await frame_of(reader)) == ("192.0.2.5", 4711, "again")
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


class House:
    """Telephones whose control says nothing of itself."""

    def __init__(self, tmp_path):
        self.telephones, self.control, self.tasks = Telephones(tmp_path), Control(tmp_path), []

    def open(self, host="192.0.2.5"):
        browser = Browser()
        browser.scope["client"] = (host, 4711 + len(self.tasks))
        browser.task = asyncio.ensure_future(self.telephones.serve(browser.scope, browser.inbox.get, browser.send))
        self.tasks.append(browser.task)
        return browser

    async def stands(self, host="192.0.2.5"):
        """A telephone that is accepted, and control's end of it."""
        browser = self.open(host)
        assert (await browser.get())["type"] == "websocket.accept"
        browser.reader, browser.writer = await self.control.take()
        assert sip_web.name(await frame_of(browser.reader))[2] == "new"
        return browser

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.control.server.close()


def live(tmp_path, main):
    async def wrapped():
        house = House(tmp_path)
        await house.control.start()
        try:
            await asyncio.wait_for(main(house), 60)
        finally:
            await house.end()
    asyncio.run(wrapped())


def test_strangers_make_room_for_each_other_and_keep_no_telephone_out(tmp_path, monkeypatch):
    monkeypatch.setattr(telephones, "STRANGERS_OF_HOST", 3)
    monkeypatch.setattr(telephones, "STRANGERS", 5)
    monkeypatch.setattr(telephones, "GRACE_S", 0)

    async def main(house):
        known = await house.stands()
        known.writer.write(sip_web.PROVEN)
        while any(place.stranger for place in house.telephones.places):
            await asyncio.sleep(0.01)
        first = await house.stands()
        others = [await house.stands() for _ in range(2)]
        more = await house.stands()                 # the fourth stranger of that host
        assert (await first.get()) == {"type": "websocket.close", "code": telephones.TOO_MANY}
        elsewhere = [await house.stands("198.51.100.%d" % number) for number in range(2)]
        await house.stands("203.0.113.9")           # the sixth stranger of all
        assert (await others[0].get())["type"] == "websocket.close"
        assert house.telephones.count == 6 and not known.task.done() and not more.task.done() and not elsewhere[0].task.done()
        monkeypatch.setattr(telephones, "GRACE_S", 3600)
        assert (await house.open("203.0.113.10").get()) == {"type": "websocket.close", "code": telephones.TOO_MANY}
    live(tmp_path, main)


def test_a_stranger_without_a_password_goes_and_a_telephone_stays(tmp_path, monkeypatch):
    async def main(house):
        known = await house.stands()
        known.writer.write(sip_web.PROVEN)
        monkeypatch.setattr(telephones, "PROOF_S", 0.1)
        stranger = await house.stands()
        assert (await stranger.get())["code"] == telephones.TOO_MANY
        await asyncio.wait_for(stranger.task, 30)
        assert not known.task.done() and house.telephones.count == 1
        house.control.server.close()                # control is started again: it is told that this one is no stranger
        known.writer.close()
        (tmp_path / sip_web.SOCKET).unlink()
        house.control = Control(tmp_path)
        await house.control.start()
        reader, _ = await house.control.take()
        assert sip_web.name(await frame_of(reader))[2] == "proven"
    live(tmp_path, main)


def test_what_waits_is_counted_in_octets_and_what_is_said_in_messages(tmp_path, monkeypatch):
    async def main(house):
        (tmp_path / sip_web.SOCKET).unlink()        # control is away
        for said, count in (("x" * 60000, 4), ("\r\n\r\n", telephones.WAITING + 1), ("x" * 70000, 1)):
            browser = house.open()
            assert (await browser.get())["type"] == "websocket.accept"
            for _ in range(count):
                browser.say(said)
            assert (await browser.get()) == {"type": "websocket.close", "code": telephones.POLICY}, said[:10]
        monkeypatch.setattr(telephones, "WAITING", 10000)
        browser = house.open()
        assert (await browser.get())["type"] == "websocket.accept"
        for _ in range(telephones.SAID_AT_ONCE + 2000):
            browser.say("\r\n\r\n")
        assert (await browser.get()) == {"type": "websocket.close", "code": telephones.POLICY}
    live(tmp_path, main)


def test_pings_are_an_allowance():
    now = [0.0]
    allowance = Allowance(3, 2.0, lambda: now[0])
    assert [allowance.take() for _ in range(5)] == [True] * 3 + [False] * 2
    now[0] = 1.0
    assert [allowance.take() for _ in range(3)] == [True, True, False]


class Transport:
    """What uvicorn's WebSocket writes to."""

    def __init__(self):
        self.written, self.unread, self.aborted = [], 0, False

    def write(self, octets):
        self.written.append(octets)

    def get_write_buffer_size(self):
        return self.unread

    def abort(self):
        self.aborted = True


def test_who_pings_without_end_or_reads_no_pong_is_cut_off():
    for unread, pings in ((0, WebSocket.PINGS + 5), (UNREAD_OCTETS + 1, 1)):
        one = WebSocket.__new__(WebSocket)
        one.pings, one.transport = Allowance(WebSocket.PINGS, 0.0), Transport()
        one.transport.unread = unread
        one.conn = WSConnection(ConnectionType.SERVER)
        client = WSConnection(ConnectionType.CLIENT)
        one.conn.receive_data(client.send(events.Request(host="x", target="/sip", subprotocols=["sip"])))
        list(one.conn.events())
        client.receive_data(one.conn.send(events.AcceptConnection(subprotocol="sip")))
        list(client.events())
        for _ in range(pings):
            one.conn.receive_data(client.send(events.Ping(b"x" * 100)))
            for event in one.conn.events():
                one.handle_ping(event)
        assert one.transport.aborted and len(one.transport.written) == (WebSocket.PINGS if not unread else 0)
