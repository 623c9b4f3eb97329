"""SIP over TCP, TLS and WebSocket with far ends that we did not write: sipp, baresip, openssl, wsproto's client."""

import asyncio
import contextlib
import datetime
import ipaddress
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from wsproto import ConnectionType, WSConnection
from wsproto import events as web

from firmware.links import sip_streams
from firmware.links.sip_certificates import Certificates
from firmware.links.sip_streams import SIPStreams
from hil.phone.phone import Phone
from firmware.proto.sip.endpoint import SIPEndpoint
from tests.links.sip_rig import HASHES, Rig, bound_socket
from tests.links.test_sip_sipp import CALL, ended
from webui.certificate import ensure


def listener():
    sock = socket.create_server(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


class StreamRig(Rig):
    """A switch with every transport."""

    def __init__(self, folder, **config):
        udp = bound_socket("127.0.0.1", 0)
        sockets, ports = {}, {}
        for transport in ("TCP", "TLS", "WSS"):
            sockets[transport], ports[transport] = listener()
        Rig.__init__(self, udp, port=udp.getsockname()[1], ports=ports, **config)
        key, certificate = ensure(pathlib.Path(folder) / "tls", "127.0.0.1")
        self.certificates = Certificates(certificate, key, str(certificate))
        self.streams = self.link.streams = SIPStreams(
            sockets, self.certificates, lambda address: {"name": "127.0.0.1", "verify": True}, self.link.hear, self.link.lost,
            guard=self.endpoint.guard)


def run(main, tmp_path, **config):
    async def wrapped():
        rig = StreamRig(tmp_path, **config)
        rig.start()
        await asyncio.sleep(0.05)
        try:
            await asyncio.wait_for(main(rig), 60)
        finally:
            rig.close()
    asyncio.run(wrapped())


@pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")
def test_sipp_registers_and_calls_over_tcp(tmp_path):
    async def main(rig):
        scenario = tmp_path / "call.xml"
        scenario.write_text(CALL)
        process = subprocess.Popen(["sipp", "127.0.0.1:%d" % rig.endpoint.config["ports"]["TCP"], "-sf", str(scenario), "-i", "127.0.0.1",
                                    "-t", "t1", "-m", "10", "-r", "20", "-nostdin", "-trace_err", "-error_file", str(tmp_path / "errors")],
                                   cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await ended(process, tmp_path)
        await rig.until_kind("released", 10)
        assert rig.endpoint.counters.get("retransmissions", 0) == 0 and "internal_error" not in rig.endpoint.counters
    run(main, tmp_path)


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed (Debian: baresip-core)")
@pytest.mark.parametrize("transport", ("tcp", "tls"))
def test_baresip_is_called_over_its_own_connection(tmp_path, transport):
    async def main(rig):
        phone = Phone("1001", "secret-1", rig.endpoint.config["ports"][transport.upper()], transport=transport)
        try:
            await asyncio.to_thread(phone.start)
            event = await rig.until_kind("line_registered")
            assert event["contacts"][0]["source"][2] == transport.upper()
            rig.link.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": rig.offer(), "caller": "13912345678"})
            await rig.until_kind("answered")
            assert len(rig.streams.connections) == 1
            rig.link.request({"kind": "release_request", "leg": "l1"})
            await asyncio.to_thread(phone.wait_for, "closed", 5)
        finally:
            await asyncio.to_thread(phone.stop)
        await rig.until(lambda: not rig.streams.connections)
        assert rig.endpoint.counters.get("retransmissions", 0) == 0
    run(main, tmp_path)


async def _connect(rig, transport="TCP", **options):
    return await asyncio.open_connection("127.0.0.1", rig.endpoint.config["ports"][transport], **options)


def options_request(transport, number=1):
    return ("OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/%s 192.0.2.9;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
            "Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n" % (transport, number, number)).encode()


def test_pings_bounds_and_silence(tmp_path, monkeypatch):
    monkeypatch.setattr(sip_streams, "FIRST_MESSAGE_S", 0.3)
    monkeypatch.setattr(sip_streams, "LOOK_S", 0.1)
    monkeypatch.setattr(sip_streams, "MOST_OF_HOST", 5)

    async def main(rig):
        reader, writer = await _connect(rig)
        writer.write(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"
        writer.write(options_request("TCP") + b"\r\n\r\n" + options_request("TCP", 2))
        answer = await reader.readuntil(b"Content-Length: 0\r\n\r\n")
        assert answer.startswith(b"\r\nSIP/2.0 200")            # the pong of the ping in between
        await reader.readuntil(b"Content-Length: 0\r\n\r\n")
        for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"A" * 20000, b"INVITE sip:x SIP/2.0\r\nContent-Length: 4000000000\r\n\r\n"):
            reader2, writer2 = await _connect(rig)
            writer2.write(junk)
            try:
                assert await asyncio.wait_for(reader2.read(), 5) == b""        # closed at once
            except ConnectionResetError:
                pass
            writer2.close()
        quiet = [await _connect(rig) for _ in range(7)]         # more than one host may have; and they say nothing
        await asyncio.sleep(0.05)
        assert rig.streams.refused >= 2
        for reader2, writer2 in quiet:
            try:
                assert await asyncio.wait_for(reader2.read(), 5) == b""
            except ConnectionResetError:
                pass
            writer2.close()
        writer.write(options_request("TCP", 3))                 # who spoke SIP stays
        assert (await reader.readuntil(b"Content-Length: 0\r\n\r\n"))
        writer.close()
    run(main, tmp_path)


def test_certificates_are_checked_and_renewed(tmp_path):
    async def main(rig):
        shown = await asyncio.to_thread(subprocess.run, [
            "openssl", "s_client", "-connect", "127.0.0.1:%d" % rig.endpoint.config["ports"]["TLS"], "-CAfile",
            str(tmp_path / "tls" / "certificate.pem"), "-verify_return_error", "-verify_ip", "127.0.0.1"], input=b"", capture_output=True)
        assert b"Verify return code: 0" in shown.stdout
        old = await asyncio.to_thread(subprocess.run, ["openssl", "s_client", "-tls1_1", "-connect", "127.0.0.1:%d" % (
            rig.endpoint.config["ports"]["TLS"])], input=b"", capture_output=True)
        assert old.returncode != 0
        # a far end that we connect to, whose certificate is another one's
        other_key, other = ensure(tmp_path / "other", "192.0.2.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(other, other_key)
        got = []

        async def far(reader, writer):
            got.append(await reader.read(100))
            writer.close()
        server = await asyncio.start_server(far, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        rig.link.request({"kind": "invite_request", "leg": "l9", "uri": "sip:x@127.0.0.1", "destination": ("127.0.0.1", port, "TLS"),
                          "sdp": rig.offer()})
        event = await rig.until_kind("rejected")
        assert event["status"] == 503 and not any(got)
        server.close()
        # renewed while a connection stands
        context = ssl.create_default_context(cafile=str(tmp_path / "tls" / "certificate.pem"))
        reader, writer = await _connect(rig, "TLS", ssl=context)
        before = writer.get_extra_info("ssl_object").getpeercert(True)
        for path in (tmp_path / "tls").iterdir():
            path.unlink()
        ensure(tmp_path / "tls", "127.0.0.1")
        rig.certificates.look()
        writer.write(options_request("TLS"))
        assert (await reader.readuntil(b"Content-Length: 0\r\n\r\n")).startswith(b"SIP/2.0 200")
        context = ssl.create_default_context(cafile=str(tmp_path / "tls" / "certificate.pem"))
        _, second = await _connect(rig, "TLS", ssl=context)
        assert second.get_extra_info("ssl_object").getpeercert(True) != before
        writer.close()
        second.close()
    run(main, tmp_path)


def _certified(folder, name, address, issuer=None, days=(-1, 30), authority=False):
    """A certificate and its key as files; issuer: (certificate, key) objects, or None for itself.  Returns (path, key path, the two)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer[0].subject if issuer else subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=days[0])).not_valid_after(
                   now + datetime.timedelta(days=days[1])).add_extension(x509.BasicConstraints(authority, None), critical=True))
    if address:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
    made = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    paths = folder / (name + ".pem"), folder / (name + ".key")
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return *paths, (made, key)


@pytest.mark.conformance("RFC 5922", "7.3", "a far end with a certificate of nobody's, an expired one or another's name is refused with a sentence in the log")
def test_bad_expired_and_wrong_names(tmp_path, caplog):
    async def main(rig):
        ca_path, _, ca = _certified(tmp_path, "authority", None, authority=True)
        rig.certificates.authorities = str(ca_path)
        cases = (("right", "127.0.0.1", ca, (-1, 30), None), ("bad", "127.0.0.1", None, (-1, 30), "self-signed certificate"),
                 ("expired", "127.0.0.1", ca, (-30, -1), "certificate has expired"), ("wrong", "192.0.2.1", ca, (-1, 30), "IP address mismatch"))
        for number, (name, address, issuer, days, words) in enumerate(cases):
            path, key, _ = _certified(tmp_path, name, address, issuer, days)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path, key)
            got = []

            async def far(reader, writer, got=got):
                got.append(await reader.read(100))
                writer.close()
            server = await asyncio.start_server(far, "127.0.0.1", 0, ssl=context)
            port = server.sockets[0].getsockname()[1]
            caplog.clear()
            rig.link.request({"kind": "invite_request", "leg": "c%d" % number, "uri": "sip:x@127.0.0.1", "destination": ("127.0.0.1", port, "TLS"), "sdp": rig.offer()})
            event = await rig.until_kind("rejected", number + 1, timeout_s=30)
            assert event["leg"] == "c%d" % number
            if words is None:
                assert got and got[0].startswith(b"INVITE sip:x@127.0.0.1"), (got, caplog.text)
            else:
                assert not any(got) and words in caplog.text and "127.0.0.1:%d" % port in caplog.text, (name, caplog.text)
            server.close()
    run(main, tmp_path)


@pytest.mark.conformance("RFC 7118", "5", "one message a frame, subprotocol sip; a request of ours goes over the browser's own connection")
def test_websocket(tmp_path):
    async def main(rig):
        context = ssl.create_default_context(cafile=str(tmp_path / "tls" / "certificate.pem"))
        reader, writer = await _connect(rig, "WSS", ssl=context)
        client = WSConnection(ConnectionType.CLIENT)
        writer.write(client.send(web.Request(host="127.0.0.1", target="/", subprotocols=["sip"])))

        async def event():
            while True:
                for found in client.events():
                    return found
                client.receive_data(await reader.read(65536))
        assert (await event()).subprotocol == "sip"
        writer.write(client.send(web.Message(data=options_request("WSS").decode())))
        answer = await event()
        assert answer.data.startswith("SIP/2.0 200") and answer.message_finished
        writer.write(client.send(web.Message(data="\r\n\r\n")))
        assert (await event()).data == "\r\n"
        writer.close()
        # without the subprotocol
        reader, writer = await _connect(rig, "WSS", ssl=context)
        client = WSConnection(ConnectionType.CLIENT)
        writer.write(client.send(web.Request(host="127.0.0.1", target="/")))
        client.receive_data(await reader.read(65536))
        assert isinstance(next(iter(client.events())), web.RejectConnection)
        writer.close()
    run(main, tmp_path)


def test_strangers_have_a_deadline_and_few_places(tmp_path, monkeypatch):
    monkeypatch.setattr(sip_streams, "LOOK_S", 0.1)
    monkeypatch.setattr(sip_streams, "STRANGERS_OF_HOST", 3)
    monkeypatch.setattr(sip_streams, "GRACE_S", 0)

    async def main(rig):
        known, writer = await _connect(rig)
        writer.write(options_request("TCP"))
        await known.readuntil(b"Content-Length: 0\r\n\r\n")
        connection, = rig.streams.connections.values()
        assert connection.stranger and rig.streams.describe()["strangers"] == 1
        rig.endpoint.guard.right(connection.address, 0)         # as after a right password; its OPTIONS proved nothing
        assert not connection.stranger
        strangers = [await _connect(rig) for _ in range(5)]
        for reader, _ in strangers[:2]:                         # the oldest made room
            assert await asyncio.wait_for(reader.read(), 30) == b""
        for number, (_, other) in enumerate(strangers[2:]):     # who talks without a password goes, too
            other.write(options_request("TCP", 10 + number))
        for reader, _ in strangers[2:]:
            await asyncio.wait_for(reader.readuntil(b"Content-Length: 0\r\n\r\n"), 30)
        monkeypatch.setattr(sip_streams, "PROOF_S", 0.0)
        for reader, _ in strangers[2:]:
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.write(options_request("TCP", 2))
        await asyncio.wait_for(known.readuntil(b"Content-Length: 0\r\n\r\n"), 30)
        for _ in range(sip_streams.SAID_AT_ONCE + 200):
            writer.write(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):              # closed with octets unread is a reset
            while await asyncio.wait_for(known.read(4096), 30):
                pass
        async with asyncio.timeout(30):
            while rig.streams.connections:
                await asyncio.sleep(0.01)
        assert rig.streams.connections == {}
    run(main, tmp_path)


@pytest.mark.parametrize("every_s", (5, 120))
def test_a_flow_that_is_kept_and_gives_no_pong_is_closed(every_s):
    """However often it is pinged."""
    clock, closed, sent = SimpleNamespace(now=0.0), [], []
    streams = SimpleNamespace(loop=SimpleNamespace(time=lambda: clock.now), complain=lambda connection, what: closed.append(clock.now))
    connection = sip_streams.Connection(streams, "TCP", ("127.0.0.1", 5060, "TCP"))
    connection.transport = SimpleNamespace(write=sent.append, abort=lambda: None, get_write_buffer_size=lambda: 0)
    connection.keep(every_s)
    for _ in range(100):
        clock.now += sip_streams.LOOK_S
        connection.look(clock.now)
        if len(sent) < 3:
            connection.heard_at = clock.now         # the pong
        if closed:
            break
    assert sent == [sip_streams.PING] * 3 and len(closed) == 1 and clock.now <= 3 * max(every_s, sip_streams.LOOK_S) + sip_streams.PONG_S + 3 * sip_streams.LOOK_S


def test_a_new_connection_proves_itself_anew():
    guard = SIPEndpoint({"address": "127.0.0.1", "port": 5060, "realm": "x"}, os.urandom, HASHES, lambda: "l1").guard
    guard.right(("192.0.2.1", 4000, "TLS"), 0)
    assert guard.is_known(("192.0.2.1", 4000, "TLS")) and not guard.is_known(("192.0.2.1", 4001, "TLS"))
    guard.new_connection(("192.0.2.1", 4000, "TLS"))
    assert not guard.is_known(("192.0.2.1", 4000, "TLS"))
