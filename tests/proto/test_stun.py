"""STUN of connectivity checks: the vectors of RFC 5769, and what a hostile sender may try."""

import hmac
import random

import pytest

from firmware.proto import stun

# RFC 5769 2.1, password and padding (0x20) as printed there
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36"
    "000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf")
PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"


def sha1(key, octets):
    return hmac.digest(key, octets, "sha1")


def request(attributes, password=PASSWORD):
    return stun._sealed(stun.BINDING_REQUEST, bytes(range(12)), b"".join(stun._attribute(k, v) for k, v in attributes), password, sha1)


@pytest.mark.conformance("RFC 5769", "2.1", "sample request: integrity and fingerprint of the printed octets hold")
def test_sample_request():
    message = stun.parse(REQUEST)
    assert message is not None and message.get(stun.USERNAME) == b"evtj:h6vY"
    # authentic; it says ICE-CONTROLLED, and a lite agent is always controlled (RFC 8445 7.3.1.1)
    assert stun.check(message, "evtj", PASSWORD, sha1) == 487
    assert stun.check(message, "evtj", PASSWORD + "x", sha1) == 401
    assert stun.check(message, "other", PASSWORD, sha1) == 401


@pytest.mark.conformance("RFC 5769", "2.2", "sample IPv4 response: 192.0.2.1:32853 as XOR-MAPPED-ADDRESS")
def test_mapped_address():
    answer = stun.success(stun.parse(REQUEST), (0xC0000201, 32853), PASSWORD, sha1)
    assert bytes.fromhex("002000080001a147e112a643") in answer
    assert answer[:2] == b"\x01\x01" and answer[8:20] == REQUEST[8:20] and len(answer) == 20 + int.from_bytes(answer[2:4], "big")
    assert stun.crc32(answer[:-8]) ^ stun.FINGERPRINT_XOR == int.from_bytes(answer[-4:], "big")


def test_each_octet_counts():
    for at in range(len(REQUEST) - 8):          # behind them stands the fingerprint itself
        wrong = bytearray(REQUEST)
        wrong[at] ^= 0x10
        assert stun.parse(bytes(wrong)) is None, at           # the fingerprint is over all of it


def test_what_follows_the_integrity_is_not_believed():
    good = request([(stun.USERNAME, b"ours:their"), (stun.ICE_CONTROLLING, bytes(8))])
    assert stun.check(stun.parse(good), "ours", PASSWORD, sha1) == 0
    body = good[20:-8] + stun._attribute(stun.USE_CANDIDATE, b"")
    forged = stun._sealed(stun.BINDING_REQUEST, bytes(range(12)), body, None, sha1)
    assert not stun.parse(forged).has(stun.USE_CANDIDATE)
    unknown = stun.parse(request([(stun.USERNAME, b"ours:their"), (0x7FFF, b"")]))
    assert stun.check(unknown, "ours", PASSWORD, sha1) == 420
    assert b"\x00\x0a\x00\x02\x7f\xff" in stun.error(unknown, 420, PASSWORD, sha1)
    assert stun.check(stun.parse(request([(stun.USERNAME, b"ours:their")], None)), "ours", PASSWORD, sha1) == 400


def test_garbage_raises_nothing():
    chance = random.Random(5769)
    for _ in range(3000):
        octets = bytearray(REQUEST)
        for _ in range(chance.randrange(1, 6)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        octets = bytes(octets[:chance.randrange(len(octets) + 1)])
        stun.parse(octets)
        stun.parse(octets[:2] + (len(octets) - 20 & 0xFFFF).to_bytes(2, "big") + octets[4:])


def test_a_keep_alive_from_an_address_in_a_mixed_form_gets_no_answer():
    """What a socket of both families may say; none of ours is one, and no octets of the outside may raise."""
    ask = bytes.fromhex("000100002112a442") + bytes(range(12))
    assert stun.keep_alive_answer(ask, ("192.0.2.1", 5060)) is not None and stun.keep_alive_answer(ask, ("2001:db8::1", 5060)) is not None
    for host in ("::ffff:192.0.2.1", "192.0.2", "host", "1:2", "300.1.1.1"):
        assert stun.keep_alive_answer(ask, (host, 5060)) is None, host
