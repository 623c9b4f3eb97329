"""SRTP of an RTP leg: each suite, ffmpeg as a far end that we did not write, what must be refused."""

import base64
import hmac
import os
import shutil
import socket
import struct
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware.media import _engine

SUITE = "AES_CM_128_HMAC_SHA1_80"


def text(octets):
    return base64.b64encode(octets).decode()


def row(control):
    return next(row for row in control.audit()["terminations"] if row["id"] == "r")


def keystream(key, counter, octets):
    """AES in counter mode of `cryptography`."""
    return Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(16, "big"))).encryptor().update(bytes(octets))


def protected_by_others(suite, master, packet, roll_over=0):
    """An SRTP packet (header of 12 octets) as RFC 3711 4.1, 4.3 and RFC 7714 8 say, by `cryptography` and hmac; no code of libsrtp2 or of ours."""
    gcm, size = "GCM" in suite, 32 if "256" in suite else 16
    key, salt = master[:size], int.from_bytes(master[size:].ljust(14, b"\0"), "big")
    cipher_key, auth_key, session_salt = (keystream(key, (salt ^ label << 48) << 16, octets) for label, octets in ((0, size), (1, 20), (2, 12 if gcm else 14)))
    ssrc, number = packet[8:12], packet[2:4]
    if gcm:
        iv = bytes(one ^ other for one, other in zip(session_salt, bytes(2) + ssrc + struct.pack(">I", roll_over) + number))
        return packet[:12] + AESGCM(cipher_key).encrypt(iv, packet[12:], packet[:12])
    counter = (int.from_bytes(session_salt, "big") ^ int.from_bytes(ssrc, "big") << 48 ^ roll_over << 16 ^ int.from_bytes(number, "big")) << 16
    stream = keystream(cipher_key, counter, len(packet) - 12)
    body = packet[:12] + bytes(one ^ other for one, other in zip(packet[12:], stream))
    return body + hmac.digest(auth_key, body + struct.pack(">I", roll_over), "sha1")[:4 if suite.endswith("32") else 10]


@pytest.mark.conformance("RFC 3711", "4.1.1, 4.2.1, 4.3", "packets of each suite are octet for octet what another implementation makes of the text of the standard (RFC 7714 for GCM)")
@pytest.mark.parametrize("suite", _engine.SRTP_KEY_OCTETS)
def test_each_suite_makes_what_others_make(suite):
    master = os.urandom(_engine.SRTP_KEY_OCTETS[suite])
    session, other = _engine.SRTPSession(suite, master, 0x5501A0B2), _engine.SRTPSession(suite, master, None)
    for place, size in enumerate((0, 1, 15, 16, 17, 160, 1000)):
        plain = struct.pack(">BBHII", 0x80, 8, (0xFFFD + place) & 0xFFFF, 160 * place, 0x5501A0B2) + os.urandom(size)
        wanted = protected_by_others(suite, master, plain, int(0xFFFD + place > 0xFFFF))      # numbers roll over in the middle
        assert session.protect(plain) == wanted and other.unprotect(wanted) == plain, size


@pytest.mark.parametrize("suite, tag", [(SUITE, 10), ("AES_CM_128_HMAC_SHA1_32", 4), ("AEAD_AES_128_GCM", 16), ("AEAD_AES_256_GCM", 16)])
def test_each_suite_protects_once(suite, tag):
    key = os.urandom(_engine.SRTP_KEY_OCTETS[suite])
    plain = bytes.fromhex("8040f17b8041f8d35501a0b2") + b"Gallia est omnis divisa in partes tres"
    session, other = _engine.SRTPSession(suite, key, 0x5501A0B2), _engine.SRTPSession(suite, key, None)
    packet = session.protect(plain)
    assert len(packet) == len(plain) + tag and packet[:12] == plain[:12] and packet[12:-tag] != plain[12:]
    assert other.unprotect(packet[:-1] + bytes([packet[-1] ^ 1])) is None
    assert other.unprotect(packet) == plain and other.unprotect(packet) is None, "a repetition is refused"


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_ffmpeg_and_we_understand_each_other(board, control, tmp_path):
    """ffmpeg sends us SRTP, and hears from us with SRTP; in the clear nothing is taken."""
    ours, theirs = os.urandom(30), os.urandom(30)
    port = control.do("add", id="r", kind="rtp", address="127.0.0.1", srtp_only=True)["port"]
    control.do("add", id="t", kind="timeslot", span=9, timeslot=1, law="A")
    control.do("bridge", id="b", legs=["t", "r"])
    listen = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listen.bind(("127.0.0.1", 0))
    their_port = listen.getsockname()[1]
    spy = listen.dup()
    control.do("modify", id="r", remote=["127.0.0.1", their_port], latch=False, srtp={"suite": SUITE, "send": text(ours), "receive": text(theirs)})
    board.listen(9, 1)
    sender = subprocess.Popen(["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "sine=frequency=437:sample_rate=8000:duration=3", "-acodec", "pcm_alaw",
                               "-f", "rtp", "-packetsize", "172", "-srtp_out_suite", SUITE, "-srtp_out_params", text(theirs), f"srtp://127.0.0.1:{port}"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # What we send: the ports are ffmpeg's later, so the packets are kept and given to it.
    spy.settimeout(1)
    kept = [spy.recv(2048) for _ in range(50)]
    assert sender.wait(15) == 0, sender.stderr.read()
    room = control.do("stats")["admission"]
    assert set(room["srtp_ns"]) == set(_engine.SRTP_KEY_OCTETS) and min(room["srtp_ns"].values()) > 100, room
    stats = row(control)["stats"]
    assert stats["received"] >= 130 and stats["lost"] == 0 and stats["srtp_refused"] <= 1, stats
    said = board.said(9, 1)
    assert len(set(said[-8000:-4000])) > 20, "the tone is on the timeslot"
    clear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for n in range(10):
        clear.sendto(struct.pack("!BBHII", 0x80, 8, n, 160 * n, 7) + bytes(160), ("127.0.0.1", port))
    forged = bytearray(kept[3])
    forged[40] ^= 1
    clear.sendto(bytes(forged), ("127.0.0.1", port))
    time.sleep(0.3)
    after = row(control)["stats"]
    assert after["received"] == stats["received"] and after["srtp_refused"] == stats["srtp_refused"] + 11
    assert row(control)["srtp"] == SUITE, "an audit tells the suite, never the keys"
    clear.close()
    spy.close()
    listen.close()
    # ffmpeg decrypts what we sent.
    description = tmp_path / "session.sdp"
    description.write_text("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
                           f"m=audio {their_port} RTP/SAVP 8\na=crypto:1 {SUITE} inline:{text(ours)}\n")
    heard = tmp_path / "heard.al"
    receiver = subprocess.Popen(["ffmpeg", "-v", "error", "-protocol_whitelist", "file,udp,rtp,srtp,crypto", "-i", description, "-t", "0.8", "-f", "alaw", "-y", heard],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    octets = bytes(range(256)) * 150
    board.say(9, 1, octets)
    receiver.wait(15)
    found = heard.read_bytes()
    assert len(found) >= 4000 and any(found[at:at + 400] in octets for at in range(800, 3600, 400)), (len(found), receiver.stderr.read())


def test_keys_that_are_none_are_refused_with_a_sentence(control):
    control.do("add", id="r", kind="rtp", address="127.0.0.1")
    for srtp in ({"suite": SUITE, "send": "x", "receive": "y"}, {"suite": "ROT13", "send": text(bytes(30)), "receive": text(bytes(30))}, "x",
                 {"suite": SUITE, "send": text(bytes(30))}):
        reply = control.raw("modify", id="r", srtp=srtp)
        assert not reply["ok"] and "srtp" in reply["error"], reply


def test_numbers_begin_far_from_their_roll_over(control):
    """A far end that hears the first packets late does not miss a roll-over, after which it could take none (RFC 3711 3.3.1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.settimeout(5)
        legs = [f"r{n}" for n in range(12)]
        for leg in legs:
            control.do("add", id=leg, kind="rtp", address="127.0.0.1")
            control.do("modify", id=leg, remote=list(far.getsockname()), latch=False)
        control.do("bridge", id="b", legs=legs)
        first = {}
        while len(first) < len(legs):
            _, _, number, _, ssrc = struct.unpack("!BBHII", far.recv(2048)[:12])
            first.setdefault(ssrc, number)
    assert max(first.values()) < 1 << 15, first
