"""Keys in session descriptions (RFC 4568), offer and answer by policy (RFC 8643)."""

import base64
import random

import pytest

from firmware.errors import RemoteError
from firmware.proto import sdes, sdp

KEY = base64.b64encode(bytes(range(30))).decode()
SUITE = "AES_CM_128_HMAC_SHA1_80"


def local(policy=None, seed=1, **more):
    one = random.Random(seed)
    base = {"address": "10.0.0.1", "port": 20000, "session": 1, "version": 1, **more}
    return dict(base, srtp={"policy": policy, "keys": sdes.new_keys(one.randbytes)}) if policy else base


def offer(protocol, *crypto):
    return ("v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
            f"m=audio 4000 {protocol} 8\r\n" + "".join(f"a=crypto:{value}\r\n" for value in crypto)).encode()


@pytest.mark.parametrize("policy, protocol, crypto, encrypted", [
    ("off", "RTP/AVP", (), False), ("off", "RTP/AVP", (f"1 {SUITE} inline:{KEY}",), False),
    ("off", "RTP/SAVP", (f"1 {SUITE} inline:{KEY}",), None),
    ("optional", "RTP/AVP", (), False), ("optional", "RTP/AVP", (f"1 {SUITE} inline:{KEY}",), True),
    ("optional", "RTP/SAVP", (f"1 {SUITE} inline:{KEY}|2^20|1:4", f"2 {SUITE} inline:{KEY}|2^20"), True),
    ("required", "RTP/AVP", (), None), ("required", "RTP/SAVP", (f"7 {SUITE} inline:{KEY}",), True),
    ("required", "RTP/SAVP", ("1 F8_128_HMAC_SHA1_80 inline:" + KEY,), None), ("required", "RTP/SAVP", (), None),
    ("required", "RTP/SAVP", (f"1 {SUITE} inline:{KEY} UNENCRYPTED_SRTP",), None),
    ("required", "RTP/SAVP", (f"1 {SUITE} inline:{KEY[:-4]}",), None),
    ("required", "RTP/SAVP", (f"1 {SUITE} inline:{KEY};inline:{KEY}",), None),
    ("required", "RTP/SAVP", (f"1 {SUITE} inline:{KEY} WSH=64",), True),
])
def test_the_policy_decides(policy, protocol, crypto, encrypted):
    ours = local(None if policy == "off" else policy)
    if encrypted is None:
        with pytest.raises(RemoteError) as error:
            sdp.answer(offer(protocol, *crypto), ours)
        assert error.value.status == 488
        return
    octets, chosen = sdp.answer(offer(protocol, *crypto), ours)
    text = octets.decode()
    assert (chosen["srtp"] is not None) == encrypted == ("a=crypto:" in text) and f"m=audio 20000 {protocol} 8" in text
    if encrypted:
        assert chosen["srtp"] == {"suite": SUITE, "send": ours["srtp"]["keys"][SUITE], "receive": KEY}
        tag = [value for value in crypto if "|1:4" not in value][0].split()[0]
        assert f"a=crypto:{tag} {SUITE} inline:{ours['srtp']['keys'][SUITE]}" in text


@pytest.mark.parametrize("one, other, encrypted", [("optional", "optional", True), ("required", "optional", True), ("required", "required", True),
                                                   ("optional", None, False), ("required", None, None)])
def test_two_of_us_agree(one, other, encrypted):
    ours, theirs = local(one, 1), local(other, 2)
    octets = sdp.offer(ours)
    keys = [line for line in octets.decode().splitlines() if line.startswith("a=crypto")]
    assert len({line.split(":", 2)[2] for line in keys}) == len(sdes.SUITES), "each suite has a key of its own (RFC 4568 6.1)"
    if encrypted is None:
        with pytest.raises(RemoteError):
            sdp.answer(octets, theirs)
        return
    answer, there = sdp.answer(octets, theirs)
    here = sdp.read(answer, ours)
    if encrypted:
        assert here["srtp"]["send"] == there["srtp"]["receive"] and here["srtp"]["receive"] == there["srtp"]["send"]
        assert here["srtp"]["suite"] == there["srtp"]["suite"]
    else:
        assert here["srtp"] is None is there["srtp"]


def test_any_crypto_line_is_survived():
    one = random.Random(4)
    ours = local("optional")
    for _ in range(2000):
        value = f"1 {SUITE} inline:{KEY}|2^20"
        at = one.randrange(len(value))
        value = value[:at] + one.choice(("", " ", "|", ":", "\x00", "é", "9" * 40)) + value[at + one.randrange(3):]
        sdp.answer(offer("RTP/AVP", value), ours)
