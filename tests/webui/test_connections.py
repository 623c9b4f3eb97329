"""Connections that say nothing, or half of something, are closed; the others are served meanwhile."""

import socket
import ssl
import urllib.parse

WHOLE = b"GET /login HTTP/1.1\r\nHost: strowger\r\n\r\n"
CLOSED_WITHIN_S = 40        # uvicorn and asyncio by themselves: 60 s for a handshake, for ever for a request's head


def plain(web):
    address = urllib.parse.urlsplit(web.url)
    return socket.create_connection((address.hostname, address.port), timeout=CLOSED_WITHIN_S)


def signed(web):
    return ssl._create_unverified_context().wrap_socket(plain(web))


def answer(connection):
    """Status and body of one response with a Content-Length."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(65536)
    head, _, body = found.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split(b" ", 2)[1]), body


def ended(connection):
    """Whether the server closes the connection without another octet."""
    try:
        return connection.recv(1) == b""
    except (ConnectionResetError, ssl.SSLError):
        return True


def test_silent_and_half_connections_are_closed(web):
    no_handshake = [plain(web) for _ in range(40)]
    no_request, half_head, half_second = signed(web), signed(web), signed(web)
    half_head.sendall(WHOLE[:30])
    half_second.sendall(WHOLE)
    assert answer(half_second)[0] == 200
    half_second.sendall(WHOLE[:20])
    with signed(web) as other:
        other.sendall(WHOLE[:10])
        other.sendall(WHOLE[10:])
        assert answer(other)[0] == 200
    for connection in (*no_handshake, no_request, half_head, half_second):
        assert ended(connection)
        connection.close()
    with signed(web) as other:
        other.sendall(WHOLE)
        assert answer(other)[0] == 200
