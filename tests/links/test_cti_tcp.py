"""The CTI link over a real TCP connection: log-in, records without gap, commands, bad input."""

import asyncio
import json
import socket

import pytest

from firmware.errors import LocalError
from firmware.links import cti_tcp
from firmware.links.cti_tcp import FIELDS, CTIServer


class Journal:
    def __init__(self, count=0):
        self.records = [{"seq": number + 1, "kind": "x"} for number in range(count)]

    def add(self, **data):
        self.records.append(dict(data, seq=len(self.records) + 1))

    def newest(self):
        return len(self.records)

    async def read(self, after, limit):
        return self.records[after:after + limit]


class Client:
    def __init__(self, address):
        self.address = address

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(*self.address, limit=1 << 20)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def read(self):
        line = await asyncio.wait_for(self.reader.readline(), 5)
        return json.loads(line) if line else None

    async def ask(self, **request):
        return await self.raw(json.dumps(request).encode() + b"\n")

    async def raw(self, octets):
        self.writer.write(octets)
        return await self.read()

    async def log_in(self):
        return await self.ask(id=1, do="log_in", user="crm", password="pw")


def run(scenario, journal=None, monkeypatch=None):
    """Start a server on a socket of ours, run scenario(address, server, journal, calls)."""
    journal = journal or Journal()
    calls = []

    async def main():
        async def set_status(user, request):
            calls.append((user, request["agent"], request["status"], request.get("reason")))

        def hangup(user, request):
            if request["call"] != "c1":
                raise LocalError("Call %s is not up; it ended already." % request["call"])
            calls.append((user, "hangup"))
            return {"call": "c1"}

        def broken(user, request):
            return 1 / 0
        server = CTIServer(lambda user, password: user if (user, password) == ("crm", "pw") else None, journal.read,
                           journal.newest, {"agent_status": (FIELDS["agent_status"], set_status),
                                            "hangup": (FIELDS["hangup"], hangup), "broken": ((), broken)})
        sock = socket.create_server(("127.0.0.1", 0))
        await server.start(sock)
        try:
            await asyncio.wait_for(scenario(sock.getsockname(), server, journal, calls), 20)
        finally:
            await server.close()
    asyncio.run(main())


def test_log_in_commands_and_errors():
    async def scenario(address, server, journal, calls):
        async with Client(address) as client:
            assert "Log in first" in (await client.ask(id=0, do="ping"))["error"]
            assert await client.log_in() == {"id": 1, "ok": True, "seq": 0}
            assert await client.ask(id="a", do="ping") == {"id": "a", "ok": True, "seq": 0}
            assert (await client.ask(id=2, do="agent_status", agent="1001", status="on_break", reason="lunch"))["ok"]
            assert await client.ask(id=3, do="hangup", call="c1") == {"id": 3, "ok": True, "call": "c1"}
            assert calls == [("crm", "1001", "on_break", "lunch"), ("crm", "hangup")]
            reply = await client.ask(id=4, do="hangup", call="c2")
            assert reply == {"id": 4, "ok": False, "error": "Call c2 is not up; it ended already."}
            for octets, words in ((b"nonsense\n", "not JSON"), (b"[1]\n", "not a JSON object"), (b"\xff\xfe\n", "not JSON"),
                                  (b'{"do": 5}\n', '"do" is missing'), (b'{"id": {}, "do": "ping"}\n', '"id" must'),
                                  (b'{"do": "fly"}\n', "agent_status"), (b'{"do": "hangup"}\n', 'needs "call"'),
                                  (b'{"do": "subscribe", "after": -1}\n', "sequence number"),
                                  (b'{"do": "subscribe", "after": 9}\n', "newest record is 0"),
                                  (b'{"do": "broken"}\n', "ZeroDivisionError"), (b"[" * 9000 + b"\n", "not JSON"),
                                  (b'{"id": "\\ud83d", "do": "ping"}\n', "half a character"),
                                  (b'{"do": "agent_status", "agent": "1001", "status": "on_break", "reason": "\\ud83d"}\n',
                                   "reason holds half a character")):
                reply = await client.raw(octets)
                assert reply["ok"] is False and words in reply["error"], reply
            assert (await client.ask(do="ping"))["ok"]
    run(scenario)


def test_records_come_once_and_in_order():
    async def scenario(address, server, journal, calls):
        async with Client(address) as client:
            await client.log_in()
            assert (await client.ask(id=2, do="subscribe", after=10))["seq"] == 1000
            for number in range(11, 1001):
                message = await client.read()
                assert message["event"] == number and message["record"]["seq"] == number
            journal.add(kind="call.\u5f20")
            server.wake()
            assert (await client.read())["record"]["kind"] == "call.\u5f20"
            assert (await client.ask(id=3, do="unsubscribe"))["ok"]
            journal.add(kind="unseen")
            server.wake()
            assert (await client.ask(id=4, do="subscribe"))["id"] == 4      # only what is new
            journal.add(kind="seen")
            server.wake()
            assert (await client.read())["record"]["kind"] == "seen"
        async with Client(address) as client:
            await client.log_in()
            await client.ask(id=2, do="subscribe", after=1001)
            assert [(await client.read())["event"] for _ in range(2)] == [1002, 1003]
    run(scenario, Journal(1000))


def test_a_client_that_does_not_read_holds_up_nobody():
    async def scenario(address, server, journal, calls):
        async with Client(address) as slow, Client(address) as quick:
            for client in (slow, quick):
                await client.log_in()
                await client.ask(do="subscribe", after=0)
            for number in range(20000):
                assert (await quick.read())["event"] == number + 1
            assert (await slow.read())["event"] == 1
    run(scenario, Journal(20000))


def test_wrong_passwords(monkeypatch):
    monkeypatch.setattr(cti_tcp, "WRONG_PASSWORD_DELAY_S", 0.01)

    async def scenario(address, server, journal, calls):
        async with Client(address) as client:
            for _ in range(3):
                assert "wrong" in (await client.ask(do="log_in", user="crm", password="no"))["error"]
            assert await client.read() is None
    run(scenario)


def test_limits(monkeypatch):
    monkeypatch.setattr(cti_tcp, "LOG_IN_S", 0.2)
    monkeypatch.setattr(cti_tcp, "MAX_CONNECTIONS", 1)

    async def scenario(address, server, journal, calls):
        async with Client(address) as client:
            assert "No log-in" in (await client.read())["error"]
            assert await client.read() is None
        async with Client(address) as client:
            assert "longer than" in (await client.raw(b"x" * 40000))["error"]
        async with Client(address) as client:
            await client.log_in()
            async with Client(address) as second:
                assert "1 connections are open" in (await second.log_in())["error"]
    run(scenario)


def test_connections_without_log_in_keep_nobody_out():
    async def scenario(address, server, journal, calls):
        clients = [Client(address) for _ in range(cti_tcp.MAX_CONNECTIONS + 10)]
        for client in clients:
            await client.__aenter__()
        async with Client(address) as known:
            assert (await known.log_in())["ok"]
            for _ in range(2 * cti_tcp.MAX_WAITING_OF_HOST):
                clients.append(Client(address))
                await clients[-1].__aenter__()
            assert (await known.ask(do="ping"))["ok"] and len(server.connections) <= cti_tcp.MAX_WAITING_OF_HOST + 1
        for client in clients:
            client.writer.close()
    run(scenario)


def test_a_name_that_is_guessed_at_must_wait(monkeypatch):
    monkeypatch.setattr(cti_tcp, "WRONG_PASSWORD_DELAY_S", 0.0)

    async def scenario(address, server, journal, calls):
        now = [1000.0]
        server.failures = cti_tcp.Failures(lambda: now[0])

        async def attempt(password, user="crm"):
            async with Client(address) as client:
                return await client.ask(do="log_in", user=user, password=password)
        for _ in range(cti_tcp.FAILURES_FREE):
            assert "wrong" in (await attempt("no"))["error"]
        assert "wait 31 seconds" in (await attempt("pw"))["error"]
        now[0] += cti_tcp.FAILURE_WAIT_S + 1
        assert "wrong" in (await attempt("no"))["error"] and "wait" in (await attempt("pw"))["error"]      # one try is free, not five
        now[0] += cti_tcp.FAILURE_WAIT_S + 1
        for _ in range(cti_tcp.FAILURES_OF_HOST):
            assert (await attempt("pw"))["ok"]
        for number in range(cti_tcp.FAILURES_OF_HOST):
            await attempt("no", "user%d" % number)
        assert "wait" in (await attempt("pw"))["error"]
    run(scenario)


@pytest.mark.parametrize("together", [False, True])
def test_an_application_may_log_in_twelve_times_at_once(together):
    async def scenario(address, server, journal, calls):
        async def authenticate(user, password):
            await asyncio.sleep(0.05)           # the real one takes tens of milliseconds
            return user
        server.authenticate = authenticate
        clients = [Client(address) for _ in range(12)]

        async def one(client):
            await client.__aenter__()
            return await client.log_in()
        if together:
            answers = await asyncio.gather(*map(one, clients))
        else:
            for client in clients:
                await client.__aenter__()
            answers = [await client.log_in() for client in clients]
        assert answers == [{"id": 1, "ok": True, "seq": 0}] * 12
        for client in clients:
            client.writer.close()
    run(scenario)


def test_guesses_beside_each_other_get_no_more_answers_than_one_after_the_other(monkeypatch):
    monkeypatch.setattr(cti_tcp, "WRONG_PASSWORD_DELAY_S", 0.0)

    async def scenario(address, server, journal, calls):
        async def authenticate(user, password):
            await asyncio.sleep(0.05 if password == "no" else 0.2)
            return user if password == "pw" else None
        server.authenticate = authenticate

        async def guess(password):
            async with Client(address) as client:
                return await client.ask(do="log_in", user="crm", password=password)
        answers = await asyncio.gather(*[guess("no") for _ in range(20)], guess("pw"))
        assert len([answer for answer in answers if "wrong" in answer["error"]]) == cti_tcp.FAILURES_FREE
        assert "wait" in answers[-1]["error"]           # nor does it learn which of the others was right
    run(scenario)


@pytest.mark.parametrize("pieces", [[b'{"id": 1, "do": "lo', b'g_in", "user": "crm", "password": "pw"}\r\n']])
def test_split_lines(pieces):
    async def scenario(address, server, journal, calls):
        async with Client(address) as client:
            client.writer.write(pieces[0])
            await asyncio.sleep(0.05)
            assert (await client.raw(pieces[1]))["ok"]
    run(scenario)
