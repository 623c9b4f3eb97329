"""The door of the web process: silent connections make room, those in use stay; and what it says is bounded."""

import asyncio
import contextlib
import logging
import socket

import uvicorn

from webui.connections import Door, Punctual, Server, network
from webui.quiet import OF_A_KIND, Quiet

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope, receive, send):
    if scope["path"] == "/slow":
        await asyncio.sleep(3600)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.asynccontextmanager
async def a_door(total=100, per_address=100):
    """A door without TLS; yields (door, coroutine function that connects)."""
    config = uvicorn.Config(application, http=Punctual, ws="none", lifespan="off", log_config=None)
    config.load()
    server = Server(config, total)
    server.lifespan = config.lifespan_class(config)
    sock = socket.create_server(("127.0.0.1", 0))
    door = Door(sock, server._protocol, None, total, per_address)
    writers = []

    async def connect(octets=b""):
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writers.append(writer)
        writer.write(octets)
        return reader
    try:
        yield door, connect
    finally:
        for writer in writers:
            writer.close()
        door.close()
        await door.wait_closed()
        sock.close()


async def taken(door, count):
    while len(door.held) != count:
        await asyncio.sleep(0.005)


async def attack(limits, held, request_of_the_old=b""):
    async with a_door(**limits) as (door, connect):
        old = [await connect(request_of_the_old) for _ in range(held)]
        await taken(door, held)
        await asyncio.sleep(0.1)
        answer = await asyncio.wait_for((await connect(REQUEST)).read(15), 10)
        ended = [reader.at_eof() for reader in old]
        return answer, ended, dict(door.of)


def test_the_oldest_silent_connection_makes_room():
    for limits in ({"per_address": 8}, {"total": 8}):
        answer, ended, of = asyncio.run(asyncio.wait_for(attack(limits, 8), 30))
        assert answer.startswith(b"HTTP/1.1 200")
        assert of == {"127.0.0.1": 8}
        assert ended[0] and not any(ended[1:])


def test_a_finished_request_and_half_a_body_make_room_too():
    for request in (REQUEST, b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"):
        answer, ended, of = asyncio.run(asyncio.wait_for(attack({"per_address": 8}, 8, request), 30))
        assert answer.startswith(b"HTTP/1.1 200") and of == {"127.0.0.1": 8}


def test_connections_in_use_stay():
    answer, ended, of = asyncio.run(asyncio.wait_for(attack({"per_address": 8}, 8, REQUEST.replace(b" / ", b" /slow ")), 30))
    assert answer == b"" and not any(ended) and of == {"127.0.0.1": 8}


def test_what_has_gone_is_not_counted():
    async def run():
        async with a_door() as (door, connect):
            for _ in range(3):
                reader = await connect(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                await reader.read()
            await taken(door, 0)
            assert not door.of
    asyncio.run(asyncio.wait_for(run(), 30))


def test_networks():
    assert network("127.0.0.2") == "127.0.0.2" == network("::ffff:127.0.0.2")
    assert network("fe80::1%eth0") == network("fe80::2:3") == "fe80::/64"


def test_the_log_does_not_grow_without_end():
    now = [0.0]
    quiet = Quiet(lambda: now[0])

    def say(text, *arguments):
        record = logging.LogRecord("x", logging.WARNING, "", 0, text, arguments, None)
        return record.getMessage() if quiet.filter(record) else None
    assert [say("bad %d", n) for n in range(OF_A_KIND)] == [f"bad {n}" for n in range(OF_A_KIND)]
    assert [say("bad %d", 9) for _ in range(1000)] == [None] * 1000
    assert say("other") == "other"
    now[0] = 61.0
    assert say("bad %d", 10) == "bad 10 (1000 more like it were left out)"
    assert say("bad %d", 11) == "bad 11"
