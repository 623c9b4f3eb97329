"""HTTP questions of flows against servers of every temper; the good one is Python's own."""

import asyncio
import contextlib
import json

import pytest

from firmware.errors import LocalError
from firmware.ivr.requests import Hidden
from firmware.links.http_client import HTTPClient

REQUEST = {"service": "crm", "timeout_s": 20, "method": "GET", "path": "/a%2Fb", "query": [["q", "x & y"]], "headers": [["X-Call", "c1"]], "body": None}


def service(port, **more):
    return {"name": "crm", "address": "http://127.0.0.1:%d/api" % port, "user": "", "password": "", "token": "t0k", "connections": 4, "timeout_s": 30,
            "max_octets": 1000, "verify": True, **more}


class Server:
    """Reads one request after the other, answers what it is told to."""

    def __init__(self, answer):
        self.answer, self.requests, self.connections = answer, [], 0

    async def serve(self, reader, writer):
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")]
                body = await reader.readexactly(length[0]) if length else b""
                self.requests.append((head, body))
                answer = self.answer(len(self.requests)) if callable(self.answer) else self.answer
                if answer is None:
                    await asyncio.sleep(60)
                if answer == "endless":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
                    while True:
                        writer.write(b" " * 65536)
                        await writer.drain()
                writer.write(answer)
                await writer.drain()
                if b"close" in answer:
                    break
        writer.close()


def ask(answer, request=None, questions=1, **more):
    """(answers or sentences, the server) of questions one after the other."""
    async def work():
        server = Server(answer)
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        client = HTTPClient(service(listener.sockets[0].getsockname()[1], **more), None)
        found = []
        for _ in range(questions):
            try:
                found.append(await client.ask({**REQUEST, **(request or {})}))
            except LocalError as error:
                found.append(str(error))
        client.close()
        listener.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        return found, server
    return asyncio.run(work())


def reply(body, status="200 OK", kind="application/json", more=""):
    return ("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n" % (status, kind, len(body), more)).encode() + body


def test_question_and_answer_on_one_connection():
    found, server = ask(reply(b'{"balance": "12.50"}'), {"method": "POST", "body": Hidden({"pin": "0909", "name": "李"})}, questions=2)
    assert found == [{"status": 200, "body": {"balance": "12.50"}}] * 2 and server.connections == 1
    head, body = server.requests[0]
    assert head.startswith("POST /api/a%2Fb?q=x+%26+y HTTP/1.1\r\n") and "Authorization: Bearer t0k" in head and "X-Call: c1" in head
    assert json.loads(body) == {"pin": "0909", "name": "李"}


def test_other_answers():
    assert ask(reply(b"", "204 No Content"))[0] == [{"status": 204, "body": None}]
    assert ask(reply(b"hello", kind="text/plain"))[0] == [{"status": 200, "body": "hello"}]
    assert ask(reply(b"{}", "404 Not Found"))[0] == [{"status": 404, "body": {}}]
    assert ask(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")[0] == [
        {"status": 200, "body": [1, 2]}]
    found, server = ask(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    assert found == [{"status": 302, "body": None}] and len(server.requests) == 1       # no redirect is followed


@pytest.mark.parametrize("answer, word", [
    (b"\x00\xffrubbish\r\n\r\n" * 30, "no HTTP"), (reply(b"<html>"), "no JSON"), (reply(b"[" * 900), "no JSON"), (reply(b'"\\ud800"'), "no JSON"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{}", "no HTTP"), (b"close", "closed the connection"),
    (reply(b" " * 5000), "longer than 1000"), ("endless", "longer than 1000"), (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000, "no HTTP")])
def test_bad_answers_are_sentences(answer, word):
    found, _ = ask(answer)
    assert isinstance(found[0], str) and word in found[0], found


def test_a_server_that_hangs_is_left():
    found, _ = ask(None, {"timeout_s": 0.2})
    assert found == ["crm did not answer in time"]


def test_nobody_there():
    async def work():
        listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        listener.close()
        await listener.wait_closed()
        with pytest.raises(LocalError, match="cannot be reached"):
            await HTTPClient(service(port), None).ask(REQUEST)
        with pytest.raises(LocalError, match="cannot be reached"):
            await HTTPClient({**service(port), "address": "http://no-such-name.invalid/"}, None).ask(REQUEST)
    asyncio.run(work())


def test_a_kept_connection_that_died_is_replaced_for_questions_that_read():
    def answer(number):
        return reply(b"1") if number != 2 else b"close"
    found, server = ask(answer, questions=2)
    # the server's "close" has no head: h11 calls that no HTTP, a bare close is asked again
    assert found[0] == {"status": 200, "body": 1} and server.connections >= 1
