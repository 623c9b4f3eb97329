"""Session descriptions of browsers: an offer of Chromium's, ours, and what is refused."""

import pytest

from firmware.errors import RemoteError
from firmware.proto import sdp

PRINT = ":".join("%02X" % n for n in range(32))
LOCAL = {"address": "192.0.2.7", "port": 20000, "session": 5, "version": 1,
         "browser": {"ufrag": "abcd1234", "password": "p" * 32, "fingerprint": "sha-256 " + PRINT}}
# As Chromium offers (shortened: fewer codecs and extensions).
OFFER = ("v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS x\r\n"
         "m=audio 58177 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
         "a=candidate:1 1 udp 2113937151 9c8f2d6e-aaaa.local 58177 typ host generation 0 network-cost 999\r\na=ice-ufrag:Ay4u\r\n"
         "a=ice-pwd:rk+UrF2jY1GvH9Yy1xM0d3Qz\r\na=ice-options:trickle\r\na=fingerprint:sha-256 " + PRINT.lower() + "\r\na=setup:actpass\r\na=mid:0\r\n"
         "a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n"
         "a=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n").encode()


@pytest.mark.conformance("RFC 8839", "4.2.5", "a lite agent answers with ice-lite and its host candidate, DTLS passive, bundled as offered")
def test_answer_to_chromium():
    body, chosen = sdp.answer(OFFER, LOCAL)
    lines = body.decode().split("\r\n")
    assert chosen["browser"] == {"far_ufrag": "Ay4u", "fingerprint": "sha-256 " + PRINT, "role": "server"}
    assert (chosen["codec"], chosen["dtmf_payload_type"], chosen["direction"], chosen["remote"], chosen["rtcp_mux"]) == ("PCMA", 126, "sendrecv", None, True)
    assert "m=audio 20000 UDP/TLS/RTP/SAVPF 8 126" in lines and "a=ice-lite" in lines and "a=group:BUNDLE 0" in lines and "a=mid:0" in lines
    assert "a=setup:passive" in lines and "a=rtcp-mux" in lines and "a=candidate:1 1 UDP 2130706431 192.0.2.7 20000 typ host" in lines
    assert lines.index("a=ice-lite") < lines.index("m=audio 20000 UDP/TLS/RTP/SAVPF 8 126")
    held, chosen = sdp.answer(OFFER.replace(b"a=sendrecv", b"a=sendonly"), LOCAL)
    assert b"a=recvonly" in held and chosen["direction"] == "recvonly"
    assert b"a=setup:active" in sdp.answer(OFFER.replace(b"actpass", b"passive"), LOCAL)[0]


def test_our_offer_reads_back():
    found = sdp.read(sdp.offer(LOCAL).replace(b"actpass", b"active"), LOCAL)
    assert found["browser"]["far_ufrag"] == "abcd1234" and found["browser"]["role"] == "server" and found["remote"] is None
    assert b"UDP/TLS" not in sdp.offer({k: v for k, v in LOCAL.items() if k != "browser"})


@pytest.mark.parametrize("old,new", ((b"a=fingerprint:sha-256", b"a=fingerprint:sha-1"), (b"a=ice-ufrag:Ay4u", b"a=ice-ufrag:A"), (b"a=rtcp-mux\r\n", b""),
                                     (b"a=fingerprint:sha-256 ", b"a=fingerprint:sha-256 XX"), (b"a=ice-ufrag:Ay4u\r\n", b"")))
def test_half_a_browser_is_refused(old, new):
    with pytest.raises(RemoteError) as error:
        sdp.answer(OFFER.replace(old, new), LOCAL)
    assert error.value.status == 488


def test_who_is_no_browser_for_us_gets_488():
    with pytest.raises(RemoteError):
        sdp.answer(OFFER, {k: v for k, v in LOCAL.items() if k != "browser"})
