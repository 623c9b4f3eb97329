"""Legs of browsers in the media process: ICE checks, DTLS with loss, fingerprints; the far end's DTLS is OpenSSL's, as ours is.

With a far end that is not ours: tests/live/test_sip_transports.py (Chromium), and here OpenSSL's command."""

import hmac
import os
import random
import select
import shutil
import socket
import subprocess
import types

import pytest

from firmware.media import _engine
from firmware.media._dtls import Certificate, DTLSSession
from firmware.media.browsers import CONNECT_S, Browsers, setting
from firmware.errors import LocalError
from firmware.proto import stun

OURS = {"ufrag": "ours1234", "password": "o" * 32}


def check(password=OURS["password"], nominate=True, user=b"ours1234:far"):
    body = stun._attribute(stun.USERNAME, user) + stun._attribute(stun.ICE_CONTROLLING, bytes(8))
    if nominate:
        body += stun._attribute(stun.USE_CANDIDATE, b"")
    return stun._sealed(stun.BINDING_REQUEST, os.urandom(12), body, password, lambda k, o: hmac.digest(k, o, "sha1"))


class World:
    """Browsers with an engine that only notes, and a socket to a far end of the loopback."""

    def __init__(self, **more):
        self.notes, self.queue, self.failed, self.closed, self.now_s = [], [], [], [], 0.0
        self.ours, self.far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (self.ours, self.far):
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(5)
        self.source = (0x7F000001, self.far.getsockname()[1])
        engine = types.SimpleNamespace(
            commit=lambda: None, set_remote=lambda *a: self.notes.append(("remote", *a)),
            set_srtp=lambda slot, inbound, session: self.notes.append(("srtp", inbound, session)))
        self.browsers = Browsers(engine, lambda name, sentence: self.failed.append(sentence), self.closed.append, lambda: self.now_s)
        leg = types.SimpleNamespace(stats=lambda: {"ssrc": 77})
        self.term = types.SimpleNamespace(serial=1, slot=3, id="l1", sockets=(self.ours,), leg=leg, srtp={False: None, True: None}, former=[],
                                          address="127.0.0.1", port=self.ours.getsockname()[1])
        self.browsers.configure(self.term, setting(dict(OURS, **more)))

    def take(self):
        queue, self.queue = self.queue, []
        return queue

    def say(self, octets):
        self.queue.append((1, self.source, octets))
        for row in self.take():
            self.browsers.take(*row)

    def close(self):
        self.ours.close()
        self.far.close()


@pytest.fixture
def far_certificate():
    return Certificate()


def shake(world, session, drop=None):
    """Let both ends talk until both are quiet.  drop(octets): lost on the way."""
    outgoing = session.start() if not session.server else []
    while True:
        for octets in outgoing:
            if drop is None or not drop(octets):
                world.say(octets)
        outgoing = []
        world.far.setblocking(False)
        try:
            while True:
                octets = world.far.recv(4096)
                if octets[0] >= 20 and (drop is None or not drop(octets)):
                    outgoing += session.receive(octets)
        except BlockingIOError:
            pass
        if not outgoing:
            return


def test_ice_then_dtls_then_keys_that_fit(far_certificate):
    world = World(far_ufrag="far1", fingerprint="sha-256 " + far_certificate.fingerprint, role="server")
    far = DTLSSession(far_certificate, False)
    first = far.start()
    world.say(first[0])                         # before any check: not even looked at
    world.say(check(password="x" * 32))
    assert world.far.recv(2048)[:2] == b"\x01\x11" and not world.notes
    world.say(check())
    assert world.far.recv(2048)[:2] == b"\x01\x01" and world.notes == [("remote", 3, *world.source)]
    for octets in first:
        world.say(octets)
    shake(world, far)
    assert far.done and not world.failed and world.browsers.suite(world.term) == far.suite == "AEAD_AES_128_GCM"
    theirs = _engine.SRTPSession(far.suite, far.send_key, 5)
    packet = bytes.fromhex("80080001000000000000000d") + bytes(160)
    packet = packet[:8] + (5).to_bytes(4, "big") + packet[12:]
    assert world.term.srtp[True].unprotect(theirs.protect(packet)) == packet
    assert world.browsers.fingerprint == "sha-256 " + far.far_digest("sha-256")
    world.close()


def relay(world, client, until, seconds=10):
    """Carry datagrams between a client's socket and the world until something is so."""
    with client:
        there = None
        while not until():
            readable, _, _ = select.select([client, world.far], [], [], seconds)
            assert readable, "nobody says anything any more"
            if client in readable:
                octets, there = client.recvfrom(4096)
                world.say(octets)
            if world.far in readable and there is not None:
                client.sendto(world.far.recv(4096), there)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_a_far_end_that_closes_its_association_is_told_once(tmp_path):
    """The far end is OpenSSL's command: it shakes hands, then ends with close_notify."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=far",
                    "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem")], check=True, capture_output=True)
    shown = subprocess.run(["openssl", "x509", "-in", str(tmp_path / "certificate.pem"), "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True, text=True).stdout
    world = World(fingerprint="sha-256 " + shown.strip().partition("=")[2])
    world.say(check())
    assert world.far.recv(2048)[:2] == b"\x01\x01"
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("127.0.0.1", 0))
    with subprocess.Popen(["openssl", "s_client", "-dtls1_2", "-use_srtp", "SRTP_AES128_CM_SHA1_80", "-connect", "127.0.0.1:%d" % client.getsockname()[1],
                           "-cert", str(tmp_path / "certificate.pem"), "-key", str(tmp_path / "key.pem")],
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as far:
        relay(world, client.dup(), lambda: world.browsers.suite(world.term))
        assert not world.closed and not world.failed
        far.stdin.close()               # its end: close_notify
        relay(world, client, lambda: world.closed)
        far.wait(10)
    assert world.closed == ["l1"] and not world.failed
    world.close()


def test_lost_flights_come_again(far_certificate):
    chance = random.Random(6347)
    world = World(fingerprint="sha-256 " + far_certificate.fingerprint)
    world.say(check())
    far = DTLSSession(far_certificate, False)
    lost = [chance.random() < 0.4 for _ in range(6)]
    shake(world, far, lambda octets: bool(lost) and lost.pop())
    for _ in range(60):
        if far.done and world.browsers.suite(world.term):
            break
        # OpenSSL's own clock runs in seconds: wait for it, as the process does
        import time
        time.sleep(0.1)
        if far.timeout_ms() == 0:
            for octets in far.expire():
                world.say(octets)
        world.browsers.look()
        shake_once(world, far)
    assert far.done and world.browsers.suite(world.term) and not world.failed
    world.close()


def shake_once(world, far):
    world.far.setblocking(False)
    try:
        while True:
            octets = world.far.recv(4096)
            if octets[0] >= 20:
                for answer in far.receive(octets):
                    world.say(answer)
    except BlockingIOError:
        pass


def test_what_comes_after_the_keys_does_not_gather(far_certificate):
    """RFC 5764 4.1: application data has no place here; datagrams of many small records, of halves of records, of junk."""
    one, far = DTLSSession(Certificate(), True), DTLSSession(far_certificate, False)
    flight = far.start()
    while flight:
        flight = [answer for octets in flight for reply in one.receive(octets) for answer in far.receive(reply)]
    assert one.done and far.done
    record = bytes((23, 254, 253, 0, 1)) + (77).to_bytes(6, "big") + (40).to_bytes(2, "big") + bytes(40)
    brief = record[:11] + (8).to_bytes(2, "big") + bytes(8)             # too short to be one: OpenSSL may answer the first with an alert
    sizes, answers = [], 0
    for datagram in (record * 25, record[:10], record * 25 + record[:15], b"\x17" * 1400, record * 300, brief * 60):
        for _ in range(20):
            answers += len(one.receive(datagram))
        sizes.append(one.unread())
    assert sizes == [0] * 6 and answers <= 1 and one.fault is None and one.done


def test_another_certificate_is_refused_with_a_sentence(far_certificate):
    world = World(fingerprint="sha-256 " + Certificate().fingerprint)
    world.say(check())
    shake(world, DTLSSession(far_certificate, False))
    assert len(world.failed) == 1 and "not the one that its session description names" in world.failed[0]
    assert not [note for note in world.notes if note[0] == "srtp"]
    world.close()


def test_nobody_checks_and_garbage(far_certificate):
    world = World(fingerprint="sha-256 " + far_certificate.fingerprint)
    world.say(b"\x16\xfe\xfd" + os.urandom(200))
    world.say(b"\x00" + os.urandom(40))
    world.now_s = CONNECT_S + 1
    world.browsers.look()
    assert len(world.failed) == 1 and "let UDP of the RTP ports through" in world.failed[0]
    world.close()
    world = World(fingerprint="sha-256 " + far_certificate.fingerprint)
    world.say(check())
    chance = random.Random(9147)
    for _ in range(300):
        octets = bytes([chance.choice((20, 21, 22, 23, 63))]) + b"\xfe\xfd" + chance.randbytes(chance.randrange(0, 120))
        world.say(octets)
    assert len(world.failed) <= 1
    world.close()
    for wrong in ({}, {"ufrag": "abcd", "password": "short"}, dict(OURS, fingerprint="sha-1 00"), dict(OURS, role="both"), "x"):
        with pytest.raises(LocalError):
            setting(wrong)
