"""What comes over a WebSocket is measured; the far end's frames are made by wsproto's server half."""

import asyncio
import pathlib
import socket
import ssl

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

from firmware.errors import LocalError
from firmware.streaming import websocket


class Nothing:
    """A writer whose octets go nowhere."""

    def write(self, octets):
        pass


def pair():
    """(client's machine, far end's machine), connected."""
    near, far = WSConnection(ConnectionType.CLIENT), WSConnection(ConnectionType.SERVER)
    far.receive_data(near.send(Request(host="x", target="/", subprotocols=[websocket.SUBPROTOCOL])))
    list(far.events())
    near.receive_data(far.send(AcceptConnection(subprotocol=websocket.SUBPROTOCOL)))
    list(near.events())
    return near, far


def receive(pieces):
    """What the next messages are when the far end sends one text in these pieces."""
    async def run():
        near, far = pair()
        reader = asyncio.StreamReader()
        for n, piece in enumerate(pieces):
            reader.feed_data(far.send(TextMessage(data=piece, message_finished=n == len(pieces) - 1)))
        reader.feed_eof()
        return await websocket.WebSocket(reader, Nothing(), near).receive()
    return asyncio.run(run())


def test_a_message_has_an_end():
    assert receive(["a"] + [""] * 2000 + ["b"]) == ["ab"]
    with pytest.raises(LocalError, match="more than 4096 pieces"):
        receive([""] * 10000)
    with pytest.raises(LocalError, match="more than 1048576 octets"):
        receive(["x" * 65536] * 17)


@pytest.mark.parametrize("unread", [False, True])
def test_a_service_that_dies_is_told_in_one_sentence_whether_it_had_read_everything_or_not(unread):
    """The kernel closes the connections of a killed process; those with octets that nobody read, it resets."""
    async def run():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            far, _ = listener.accept()
        near = websocket.WebSocket(reader, writer, pair()[0])
        assert near.octets(b"what is said")
        waiting = far.recv(1, socket.MSG_PEEK)
        assert waiting
        if not unread:
            far.recv(4096)
        far.close()
        try:
            with pytest.raises(LocalError, match="^the service dropped the connection$"):
                await near.receive()
        finally:
            writer.transport.abort()
    asyncio.run(run())


def test_certificates_are_read_once(monkeypatch):
    websocket._made.cache_clear()
    made, create = [], ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: made.append(create()) or made[-1])
    assert websocket.context(True) is websocket.context(True) and websocket.context(True).verify_mode == ssl.CERT_REQUIRED
    assert websocket.context(False) is websocket.context(False) and websocket.context(False).verify_mode == ssl.CERT_NONE
    assert len(made) == 2
    websocket._made.cache_clear()


@pytest.mark.parametrize("answer, words", [(None, "cannot be reached"), (b"", "closed the connection"), (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "status 403"),
                                           (b"SSH-2.0-x\r\n\r\n", "speaks no WebSocket"), (b"wait", "did not answer")])
def test_no_sentence_holds_the_user_or_password_of_an_address(answer, words):
    """Sentences are logged and journaled."""
    async def run():
        async def far(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            if answer != b"wait":
                writer.write(answer or b"")
                writer.close()
        server = await asyncio.start_server(far, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if answer is None:
            server.close()
            await server.wait_closed()
        try:
            with pytest.raises(LocalError, match=words) as caught:
                await websocket.connect("ws://someone:opensesame@127.0.0.1:%d/x" % port, "", True, 0.5 if answer == b"wait" else 30)
        finally:
            server.close()
        assert str(caught.value).startswith("127.0.0.1:%d" % port) and "opensesame" not in str(caught.value) and "someone" not in str(caught.value)
    asyncio.run(run())


def test_renewed_authorities_are_believed_by_the_next_connection(tmp_path, monkeypatch):
    """The file of the authorities is replaced while a context stands: the next one knows the new authority, the old one is as it was."""
    ours = sorted(path for path in pathlib.Path("/etc/ssl/certs").glob("*.pem"))[:2]
    if len(ours) < 2:
        pytest.skip("no certificates of the system (Debian: ca-certificates)")
    file = tmp_path / "authorities.pem"
    file.write_bytes(ours[0].read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    first = websocket.context(True)
    assert first is websocket.context(True) and len(first.get_ca_certs()) == 1
    renewed = tmp_path / "renewed"
    renewed.write_bytes(ours[0].read_bytes() + b"\n" + ours[1].read_bytes())
    renewed.replace(file)
    second = websocket.context(True)
    assert second is not first and len(second.get_ca_certs()) == 2 and len(first.get_ca_certs()) == 1
    file.unlink()
    assert websocket.context(True).get_ca_certs() == [], "nobody is believed, and nothing fails here"
