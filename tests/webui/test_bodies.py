"""Bodies that come slowly, in chunks, too large or never: the pages go on."""

import asyncio
import base64
import json
import socket
import ssl
import urllib.parse

import pytest

from webui import bodies
from webui.bodies import SMALL, UNPROVEN, Bodies, plain_headers

FORM = b"user=admin&password=first-boot-secret"
BASIC = b"Authorization: Basic " + base64.b64encode(b"admin:wrong") + b"\r\n"


def connect(web):
    address = urllib.parse.urlsplit(web.url)
    plain = socket.create_connection((address.hostname, address.port), timeout=60)
    return ssl._create_unverified_context().wrap_socket(plain)


def status(connection):
    """The status of the answer and all that comes before the server closes."""
    found = b""
    while b"\r\n\r\n" not in found:
        got = connection.recv(65536)
        if not got:
            break
        found += got
    return int(found.split(b" ", 2)[1]), found


def chunked(*parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


def post(path, headers, body=b""):
    return b"POST %s HTTP/1.1\r\nHost: strowger\r\n%s\r\n%s" % (path, headers, body)


def test_connections_that_never_send_their_body_hold_up_nobody(web):
    held = []
    try:
        for path, headers in [(b"/login", b"")] * 20 + [(b"/api/v1/state", BASIC)] * 4:
            held.append(connect(web))
            held[-1].sendall(post(path, headers + b"Content-Length: 1000\r\n", b"user="))
        answer = web.opener.open(web.url + "/login", timeout=60)
        assert answer.status == 200
    finally:
        for connection in held:
            connection.close()


@pytest.mark.conformance("RFC 9112", "7.1", "A body in chunks is read like one with a length")
@pytest.mark.parametrize("parts", [(FORM,), (FORM[:3], FORM[3:20], FORM[20:]), tuple(bytes([o]) for o in FORM)])
def test_signing_in_with_a_chunked_body(web, parts):
    with connect(web) as connection:
        connection.sendall(post(b"/login", b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n",
                                chunked(*parts)))
        code, text = status(connection)
    assert code == 303 and b"location: /password" in text.lower()


def test_a_large_body_is_refused_with_a_sentence(web):
    large = chunked(*[b"x" * 65536] * 48)     # 3 MiB
    for headers, body in ((b"Transfer-Encoding: chunked\r\n", large), (b"Content-Length: 3145728\r\n", b"x" * 3145728),
                          (b"Content-Length: 99999999999\r\n", b"x")):
        with connect(web) as connection:
            connection.sendall(post(b"/login", headers, body))
            code, text = status(connection)
        assert code == 413 and b"connection: close" in text.lower() and b"strict-transport-security" in text.lower()
    with connect(web) as connection:          # a REST client's may be larger; it is the password that is wrong
        connection.sendall(post(b"/api/v1/configuration/propose", BASIC + b"Transfer-Encoding: chunked\r\n", large))
        assert status(connection)[0] == 401
    assert web.opener.open(web.url + "/login", timeout=60).status == 200


# -- the middleware alone --

async def ask(middleware, messages, path="/login", headers=(), **more):
    """Returns (status, body) of the answer, the scope and the body that the application got."""
    sent, left = [], list(messages)

    async def receive():
        if left:
            return left.pop(0)
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await middleware({"type": "http", "path": path, "headers": list(headers), **more}, receive, send)
    return (sent[0]["status"], sent[1]["body"]) if sent else None


def piece(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


class Application:
    got = None

    async def __call__(self, scope, receive, send):
        self.got = (scope["headers"], (await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_a_body_that_stops_is_answered_with_408_and_takes_no_thread():
    application = Application()
    middleware = Bodies(application, lambda scope: "none", small_s=0.01)
    code, text = asyncio.run(ask(middleware, [piece(b"user=")]))
    assert code == 408 and b"did not come within" in text and application.got is None
    code, text = asyncio.run(ask(middleware, [piece(b"user=")], "/api/v1/state"))
    assert code == 408 and json.loads(text)["status"] == 408


def test_a_client_that_leaves_gets_no_answer():
    application = Application()
    middleware = Bodies(application, lambda scope: "none")
    assert asyncio.run(ask(middleware, [piece(b"user="), {"type": "http.disconnect"}])) is None and application.got is None


@pytest.mark.parametrize("octets, code", [(SMALL, 200), (SMALL + 1, 413)])
def test_the_limit_to_the_octet(octets, code):
    application = Application()
    pieces = [piece(b"x" * (octets - 1)), piece(b"x", more=False)]
    assert asyncio.run(ask(Bodies(application, lambda scope: "none"), pieces))[0] == code
    assert code != 200 or application.got[1] == b"x" * octets


def test_an_endless_body_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(bodies, "DISCARD", 1 << 16)
    pieces = [piece(b"x" * 4096)] * 100      # without an end: reading on would wait for ever
    assert asyncio.run(ask(Bodies(Application(), lambda scope: "none"), pieces))[0] == 413


def test_only_so_many_large_bodies_of_clients_that_have_proven_nothing():
    async def all_of_them():
        middleware = Bodies(Application(), lambda scope: scope["path"][1:], large_s=0.2)
        held = [asyncio.ensure_future(ask(middleware, [piece(b"x" * (SMALL + 1))], "/claimed")) for _ in range(UNPROVEN)]
        await asyncio.sleep(0)
        large = [piece(b"x" * (SMALL + 1), more=False)]
        assert (await ask(middleware, large, "/claimed"))[0] == 503
        assert (await ask(middleware, [piece(b"x", more=False)], "/claimed"))[0] == 200
        assert (await ask(middleware, large, "/proven"))[0] == 200
        assert [(await one)[0] for one in held] == [408] * UNPROVEN
        assert middleware.unproven == 0 and (await ask(middleware, large, "/claimed"))[0] == 200
    asyncio.run(all_of_them())


def test_the_pages_see_a_length_and_no_transfer_coding():
    sent = [(b"host", b"a"), (b"transfer-encoding", b"chunked"), (b"transfer_encoding", b"chunked"), (b"content-length", b"9")]
    assert plain_headers(sent, 5) == [(b"host", b"a"), (b"content-length", b"5")]
    assert plain_headers(sent, 0) == [(b"host", b"a"), (b"content-length", b"0")]
    assert plain_headers([(b"host", b"a")], 0) == [(b"host", b"a")]


def test_a_file_that_is_too_large_is_answered_and_not_cut_off():
    """33 MiB where 12 are allowed: read to its end and dropped, so that the client hears the sentence; one that asks first (100-continue) hears it at once."""
    middleware = Bodies(Application(), lambda scope: "claimed")
    file, length = {"method": "PUT", "path": "/api/v1/documents/big"}, (b"content-length", b"%d" % (33 << 20))
    pieces = [piece(b"x" * (1 << 20), more=number < 32) for number in range(33)]
    code, body = asyncio.run(ask(middleware, pieces, headers=[length], **file))
    assert code == 413 and b"12288 KiB" in body and middleware.unproven == 0
    assert asyncio.run(ask(middleware, [], headers=[length, (b"expect", b"100-continue")], **file))[0] == 413
