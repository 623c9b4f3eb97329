"""Session descriptions: offers of real telephones, answers, holds, faults."""

import pytest

from firmware.errors import RemoteError
from firmware.proto import sdp

LOCAL = {"address": "10.0.0.1", "port": 20000, "session": 7, "version": 3}


def lines(*more):
    return "\r\n".join(("v=0", "o=- 1 1 IN IP4 10.0.0.9", "s=-", "c=IN IP4 10.0.0.9", "t=0 0") + more).encode() + b"\r\n"


def test_offer_reads_back():
    octets = sdp.offer(LOCAL)
    assert octets.startswith(b"v=0\r\no=strowger 7 3 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
                             b"m=audio 20000 RTP/AVP 8 0 101\r\n")
    assert sdp.read(octets) == {"remote": ["10.0.0.1", 20000], "payload_type": 8, "codec": "PCMA",
                                "dtmf_payload_type": 101, "dtmf_clock_hz": 8000, "ptime_ms": 20, "direction": "sendrecv", "rtcp_mux": False, "rtcp_port": None, "srtp": None}


def test_our_order_of_codecs_and_their_event_type():
    octets, chosen = sdp.answer(lines("m=audio 4000 RTP/AVP 18 0 8 97", "a=rtpmap:18 G729/8000", "a=rtpmap:97 Telephone-Event/8000",
                                      "a=ptime:30"), LOCAL)
    assert chosen == {"remote": ["10.0.0.9", 4000], "payload_type": 8, "codec": "PCMA", "dtmf_payload_type": 97, "dtmf_clock_hz": 8000,
                      "ptime_ms": 30, "direction": "sendrecv", "rtcp_mux": False, "rtcp_port": None, "srtp": None}
    assert b"m=audio 20000 RTP/AVP 8 97\r\n" in octets and b"a=rtpmap:97 telephone-event/8000" in octets
    _, chosen = sdp.answer(lines("m=audio 4000 RTP/AVP 0"), LOCAL)
    assert chosen["codec"] == "PCMU" and chosen["dtmf_payload_type"] is None
    # G.711 under a dynamic type; an event type of another clock rate is not ours
    _, chosen = sdp.answer(lines("m=audio 4000 RTP/AVP 110 101", "a=rtpmap:110 PCMA/8000/1", "a=rtpmap:101 telephone-event/48000"),
                           LOCAL)
    assert chosen["payload_type"] == 110 and chosen["dtmf_payload_type"] is None


def test_every_block_is_answered_in_its_place():
    octets, chosen = sdp.answer(lines("m=video 5000 RTP/AVP 96", "a=rtpmap:96 VP8/90000", "m=audio 4000 RTP/AVP 0",
                                      "c=IN IP4 10.0.0.8", "m=audio 4002 RTP/AVP 8", "m=image 4004 udptl t38"), LOCAL)
    assert chosen["remote"] == ["10.0.0.8", 4000]
    assert [line for line in octets.decode().split("\r\n") if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 96", "m=audio 20000 RTP/AVP 0", "m=audio 0 RTP/AVP 8", "m=image 0 udptl t38"]


@pytest.mark.parametrize("theirs, ours, answer", [
    ("sendrecv", "sendrecv", "sendrecv"), ("sendonly", "sendrecv", "recvonly"), ("recvonly", "sendrecv", "sendonly"),
    ("inactive", "sendrecv", "inactive"), ("sendrecv", "sendonly", "sendonly"), ("sendonly", "sendonly", "inactive")])
def test_directions(theirs, ours, answer):
    octets, chosen = sdp.answer(lines("m=audio 4000 RTP/AVP 8", "a=" + theirs), dict(LOCAL, direction=ours))
    assert chosen["direction"] == answer and ("a=%s\r\n" % answer).encode() in octets


def test_direction_of_the_session_and_the_old_hold():
    octets = lines("m=audio 4000 RTP/AVP 8").replace(b"t=0 0", b"t=0 0\r\na=sendonly")
    assert sdp.read(octets)["direction"] == "recvonly"
    chosen = sdp.read(lines("m=audio 4000 RTP/AVP 8").replace(b"c=IN IP4 10.0.0.9", b"c=IN IP4 0.0.0.0"))
    assert chosen["remote"] is None and chosen["direction"] == "recvonly"


def test_ipv6_and_line_ends():
    octets = b"v=0\no=- 1 1 IN IP6 2001:db8::20\ns= \nc=IN IP6 2001:db8::20\nt=0 0\nm=audio 6000 RTP/AVP 8\n"
    answer, chosen = sdp.answer(octets, dict(LOCAL, address="2001:db8::1"))
    assert chosen["remote"] == ["2001:db8::20", 6000] and b"c=IN IP6 2001:db8::1\r\n" in answer


@pytest.mark.parametrize("octets, status", [
    (b"", 400), (b"v=1\r\n", 400), (b"v=0\r\ns=-\r\nm=audio 1 RTP/AVP 8\r\n", 400), (lines("m=audio x RTP/AVP 8"), 400),
    (lines("m=audio 99999 RTP/AVP 8"), 400), (lines("m=audio 1"), 400), (lines("nonsense"), 400), (b"v=0\r\n" * 600, 400),
    (lines("c=IN IP9 x", "m=audio 1 RTP/AVP 8"), 400), (lines(*["m=audio 1 RTP/AVP 8"] * 17), 400), (b"v" * 20000, 400),
    (b"v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/AVP 8\r\n", 400), (lines(), 488),
    (lines("m=audio 4000 RTP/AVP 18"), 488), (lines("m=audio 0 RTP/AVP 8"), 488), (lines("m=video 1 RTP/AVP 8"), 488),
    (lines("m=audio 1 RTP/SAVP 8"), 488), (lines("m=audio 4000 RTP/AVP 8", "a=rtpmap:8 PCMA/16000"), 488)])
def test_faults(octets, status):
    with pytest.raises(RemoteError) as caught:
        sdp.answer(octets, LOCAL)
    assert caught.value.status == status


@pytest.mark.parametrize("to", ["IP4 999.1.1.1", "IP4 1.2.3", "IP4 1.2.3.4.5", "IP4 01.2.3.4", "IP4 1.2.3.-4", "IP4 1.2..4", "IP4 0.0.0.1",
                                "IP4 224.2.1.1/127", "IP4 239.255.255.255", "IP4 240.0.0.1", "IP4 255.255.255.255", "IP4 phone.example",
                                "IP4 1.2.3.\u0664", "IP4 /", "IP6 ff02::1", "IP6 :::", "IP6 1::2::3", "IP6 12345::", "IP6 1:2:3", "IP6 g::1",
                                "IP6 :1:2:3:4:5:6:7", "IP6 1:2:3:4:5:6:7:", "IP6 1:2:3:4:5:6:7:8:9", "IP6 ::ffff:1.2.3.999"])
def test_an_address_that_nothing_can_be_sent_to(to):
    octets = lines("m=audio 4000 RTP/AVP 8").replace(b"c=IN IP4 10.0.0.9", ("c=IN " + to).encode())
    for function in (lambda: sdp.answer(octets, LOCAL), lambda: sdp.read(octets)):
        with pytest.raises(RemoteError) as caught:
            function()
        assert caught.value.status == 488
    refused = lines("m=video 0 RTP/AVP 96", "c=IN " + to, "m=audio 4000 RTP/AVP 8")
    assert sdp.read(refused)["remote"] == ["10.0.0.9", 4000], "what is not used is not asked"


@pytest.mark.parametrize("to, remote", [("IP4 1.2.3.4", "1.2.3.4"), ("IP4 223.255.255.255", "223.255.255.255"), ("IP4 127.0.0.1", "127.0.0.1"),
                                        ("IP6 ::1", "::1"), ("IP6 1::", "1::"), ("IP6 1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
                                        ("IP6 FE80::1", "FE80::1"), ("IP6 ::ffff:1.2.3.4", "::ffff:1.2.3.4"), ("IP4 0.0.0.0", None), ("IP6 ::", None)])
def test_an_address_of_one_host(to, remote):
    chosen = sdp.read(lines("m=audio 4000 RTP/AVP 8").replace(b"c=IN IP4 10.0.0.9", ("c=IN " + to).encode()))
    assert chosen["remote"] == (remote and [remote, 4000])


def test_the_static_type_comes_before_one_of_their_own():
    chosen = sdp.read(lines("m=audio 4000 RTP/AVP 110 8 35 101", "a=rtpmap:110 PCMA/8000", "a=rtpmap:35 telephone-event/8000",
                            "a=rtpmap:101 telephone-event/8000"))
    assert (chosen["payload_type"], chosen["dtmf_payload_type"]) == (8, 101)


CODED = b"v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 96 97 9 98 8 101\r\n" \
    b"a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 G726-32/8000\r\na=rtpmap:98 AAL2-G726-32/8000/1\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n"


def test_codecs_of_our_order():
    """RFC 7587 7 (opus/48000/2), RFC 3551 4.5.2 (static type 9, clock 8000) and 4.5.4: by each order of ours, under the types of theirs."""
    for codecs, wanted, ptime in ((["OPUS", "PCMA"], (96, "OPUS"), 20), (["G722", "OPUS"], (9, "G722"), 30), (["G726-32"], (97, "G726-32"), 30),
                                  (["AAL2-G726-32", "G722"], (98, "AAL2-G726-32"), 30), (None, (8, "PCMA"), 30)):
        local = dict(LOCAL, codecs=codecs)
        octets, chosen = sdp.answer(CODED, local)
        assert (chosen["payload_type"], chosen["codec"]) == wanted and chosen["ptime_ms"] == ptime and chosen["dtmf_payload_type"] == 101
        found = sdp.read(octets, local)
        assert (found["payload_type"], found["codec"]) == wanted
        if wanted[1] == "OPUS":
            assert b"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1" in octets
    with pytest.raises(RemoteError, match="no PCMU audio in the offer") as error:
        sdp.answer(CODED, dict(LOCAL, codecs=["PCMU"]))
    assert error.value.status == 488
    with pytest.raises(RemoteError):                       # a clock that Opus does not have; G.722 as some write it, with its sampling rate
        sdp.answer(CODED.replace(b"opus/48000/2", b"opus/8000"), dict(LOCAL, codecs=["OPUS"]))


def test_events_have_the_clock_of_the_sound():
    """RFC 4733 2.1: 48000 beside Opus; who has only 8000 there (Firefox) is taken at his word; never 48000 beside G.711."""
    opus = dict(LOCAL, codecs=["OPUS", "PCMA"])
    both = CODED.replace(b"8 101\r\n", b"8 101 110\r\n").replace(b"a=ptime", b"a=rtpmap:110 telephone-event/48000\r\na=ptime")
    for description, local, wanted in ((both, opus, (110, 48000)), (CODED, opus, (101, 8000)), (both, LOCAL, (101, 8000))):
        octets, chosen = sdp.answer(description, local)
        assert (chosen["dtmf_payload_type"], chosen["dtmf_clock_hz"]) == wanted
        assert b"a=rtpmap:%d telephone-event/%d\r\n" % wanted in octets and octets.count(b"telephone-event") == 1
        assert sdp.read(octets, local)["dtmf_clock_hz"] == wanted[1]


def test_an_offer_names_all_codecs_once():
    octets = sdp.offer(dict(LOCAL, codecs=list(sdp.PAYLOADS)))
    assert b"RTP/AVP 8 0 9 102 103 111 18 101 110\r\n" in octets
    for name in sdp.PAYLOADS:
        assert sdp.read(octets, dict(LOCAL, codecs=[name]))["codec"] == name
    assert b"opus" not in sdp.offer(LOCAL)


def test_the_configuration_and_media_know_the_same_codecs():
    from firmware.config.sip import CODECS
    from firmware.media._engine import CODECS as CARRIED
    assert CODECS == tuple(sdp.PAYLOADS) and set(CARRIED) == set(CODECS) - {"PCMA", "PCMU"}


@pytest.mark.parametrize("more", ((), ("a=rtpmap:18 G729/8000",), ("a=rtpmap:18 G729/8000", "a=fmtp:18 annexb=no")))
def test_g729_alone_is_refused_with_what_to_do(more):
    """Its free coder is GPL and not linked; where it is allowed it is chosen, with Annex B off (RFC 4856 2.1.9)."""
    octets, chosen = sdp.answer(lines("m=audio 4000 RTP/AVP 18", *more), dict(LOCAL, codecs=["G729"]))
    assert (chosen["codec"], chosen["payload_type"]) == ("G729", 18) and b"a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n" in octets
    with pytest.raises(RemoteError, match="G.729 is passed on between two SIP legs.*, allow one of the others") as caught:
        sdp.answer(lines("m=audio 4000 RTP/AVP 18", *more), LOCAL)
    assert caught.value.status == 488
    with pytest.raises(RemoteError) as caught:
        sdp.answer(lines("m=audio 4000 RTP/AVP 3"), LOCAL)
    assert "G.729" not in str(caught.value)
