"""Answers that are made while they are sent: whole, broken off, given up, refused."""

import asyncio
import os
import select

import pytest

from firmware.control import streams
from firmware.control.client import ControlClient, ControlError

READS = "import sys; sys.stdin.read(); out = sys.stdout.buffer\n"


@pytest.fixture
def served(site, tmp_path, monkeypatch):
    """A house whose trace is what a program of the test writes: run(program, scenario(client, house))."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def run(program, scenario):
        (folder / "trace_of_the_test.py").write_text(READS + program)
        child = streams.Children.child

        async def other(self, arguments, *more):
            return await child(self, ("trace_of_the_test",), *more)
        monkeypatch.setattr(streams.Children, "child", other)

        async def whole():
            house, media, legs = site.house()
            await house.start()
            try:
                await asyncio.to_thread(scenario, ControlClient(site.run), house)
            finally:
                await house.stop()
        asyncio.run(asyncio.wait_for(whole(), 60))
    return run


def read(client, path="/v1/trace"):
    with client.stream(path) as (kind, pieces):
        return kind, b"".join(pieces)


def test_a_large_answer_comes_in_pieces_and_whole(served):
    def scenario(client, house):
        kind, octets = read(client)
        assert kind == "application/x-pcapng" and len(octets) == 48 << 20 and octets[-1:] == b"z"
    served("for n in range(48): out.write(b'z' * (1 << 20))", scenario)


def test_what_fails_before_the_beginning_is_said_and_after_it_is_broken_off(served):
    def scenario(client, house):
        with pytest.raises(ControlError, match="the ring is gone") as caught:
            read(client)
        assert caught.value.status == 409
    served("sys.exit('the ring is gone')", scenario)

    def broken(client, house):
        with pytest.raises(ControlError, match="broke off") as caught:
            read(client)
        assert caught.value.status == 502 and client.get("/v1/health")["ok"]
    served("out.write(bytes(1 << 20)); out.flush(); sys.exit('half')", broken)


def test_who_goes_away_ends_the_process_and_makes_room_for_others(served):
    def scenario(client, house):
        with client.stream("/v1/trace") as one, client.stream("/v1/trace") as two, client.stream("/v1/trace") as three:
            ends = [os.pidfd_open(int(next(stream[1]).split()[0])) for stream in (one, two, three)]
            with pytest.raises(ControlError, match="3 answers"):
                read(client)
            assert client.get("/v1/health")["ok"]           # the loop is free
        for end in ends:            # readable once the process has ended
            assert select.select([end], [], [], 50)[0]
            os.close(end)
        with client.stream("/v1/trace") as (_, pieces):
            assert next(pieces)
    served("import os\nwhile True: out.write(b'%d ' % os.getpid() + bytes(70000)); out.flush()", scenario)


def test_the_trace_of_a_trunk_that_is_not_there(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        client = ControlClient(site.run)
        try:
            for path, words in (("/v1/trace?trunk=nobody", "no SIP trunk nobody"), ("/v1/trace?span=65", "span is a number"), ("/v1/calls/c9/trace", "no call c9")):
                with pytest.raises(ControlError, match=words):
                    await asyncio.to_thread(read, client, path)
            kind, octets = await asyncio.to_thread(read, client)
            assert octets[:4] == b"\x0a\x0d\x0d\x0a"
        finally:
            await house.stop()
    asyncio.run(scenario())
