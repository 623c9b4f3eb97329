"""T.38 in offers and answers (ITU-T T.38 Annex D, RFC 3264): the blocks of real gateways, what is agreed on, what is refused, mutations."""

import random
import shutil
import struct
import subprocess

import pytest

from firmware.errors import RemoteError
from firmware.proto import sdp

WANTED = {"version": 0, "rate": 14400, "recovery": "redundancy", "most_octets": 400}
LOCAL = {"address": "10.0.0.1", "port": 20000, "session": 7, "version": 3, "t38": WANTED}
HEAD = ("v=0", "o=- 1 1 IN IP4 10.0.0.9", "s=-", "c=IN IP4 10.0.0.9", "t=0 0")
# As T.38 D.2.3 shows it, and as gateways of several makers write it: other order, other case, attributes that we do not know.
IMAGE = ("m=image 4004 udptl t38", "a=T38FaxVersion:3", "a=T38MaxBitRate:14400", "a=T38FaxFillBitRemoval", "a=T38FaxTranscodingMMR", "a=T38FaxRateManagement:transferredTCF",
         "a=T38FaxMaxBuffer:262", "a=T38FaxMaxDatagram:176", "a=T38FaxUdpEC:t38UDPRedundancy", "a=T38VendorInfo:181 0 1")
AUDIO = ("m=audio 4000 RTP/AVP 8", "a=sendrecv")


def lines(*more):
    return ("\r\n".join(HEAD + more) + "\r\n").encode()


def blocks(octets):
    return [line for line in octets.decode().split("\r\n") if line.startswith("m=")]


@pytest.mark.conformance("T.38", "D.2.3", "an image block is answered with what both sides have; declared values are each side's own")
def test_an_offer_is_answered():
    octets, chosen = sdp.answer(lines(*IMAGE), LOCAL)
    assert chosen["remote"] == ["10.0.0.9", 4004] and chosen["image_at"] == 0
    assert chosen["t38"] == {"version": 0, "rate": 14400, "recovery": "redundancy", "most_octets": 176}
    assert octets.decode().split("\r\n")[5:] == ["m=image 20000 udptl t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:14400", "a=T38FaxRateManagement:transferredTCF",
                                                 "a=T38FaxMaxBuffer:2000", "a=T38FaxMaxDatagram:400", "a=T38FaxUdpEC:t38UDPRedundancy", ""]


@pytest.mark.parametrize("change, settled", [
    ({"a=T38FaxUdpEC:t38UDPRedundancy": "a=T38FaxUdpEC:t38UDPFEC"}, {"recovery": "fec"}),
    ({"a=T38FaxUdpEC:t38UDPRedundancy": "a=T38FaxUdpEC:t38UDPNoEC"}, {"recovery": "none"}),
    ({"a=T38FaxUdpEC:t38UDPRedundancy": "a=t38faxudpec:T38UDPREDUNDANCY"}, {"recovery": "redundancy"}),
    ({"a=T38MaxBitRate:14400": "a=T38FaxMaxBitRate:9600"}, {"rate": 9600}),
    ({"a=T38MaxBitRate:14400": "a=T38MaxBitRate:33600"}, {"rate": 14400}),
    ({"a=T38MaxBitRate:14400": "a=T38MaxBitRate:2400"}, {"rate": 4800}),
    ({"a=T38MaxBitRate:14400": "a=T38MaxBitRate:many"}, {"rate": 14400}),
    ({"a=T38FaxMaxDatagram:176": "a=T38FaxMaxDatagram:1"}, {"most_octets": 60}),
    ({"a=T38FaxMaxDatagram:176": "a=T38FaxMaxDatagram:999999999"}, {"most_octets": 400}),
    ({"a=T38FaxVersion:3": "a=x"}, {"version": 0})])
def test_what_is_settled(change, settled):
    assert sdp.answer(lines(*[change.get(line, line) for line in IMAGE]), LOCAL)[1]["t38"].items() >= settled.items()


def test_an_attribute_that_was_not_offered_is_not_answered():
    octets, chosen = sdp.answer(lines(IMAGE[0]), LOCAL)
    assert chosen["t38"]["recovery"] == "none" and b"T38FaxUdpEC" not in octets


@pytest.mark.conformance("RFC 3264", "6", "one of two blocks is refused in its place: which one depends on what is meant")
def test_of_sound_and_image_one_is_taken():
    both = lines(*AUDIO, *IMAGE)
    octets, chosen = sdp.answer(both, LOCAL)
    assert "t38" not in chosen and chosen["image_at"] == 1 and blocks(octets) == ["m=audio 20000 RTP/AVP 8", "m=image 0 udptl t38"]
    octets, chosen = sdp.answer(both, dict(LOCAL, t38=dict(WANTED, first=True)))
    assert chosen["t38"] and blocks(octets) == ["m=audio 0 RTP/AVP 8", "m=image 20000 udptl t38"]
    octets, chosen = sdp.answer(lines("m=audio 0 RTP/AVP 8", *IMAGE), LOCAL)
    assert chosen["t38"] and blocks(octets) == ["m=audio 0 RTP/AVP 8", "m=image 20000 udptl t38"]


@pytest.mark.parametrize("block", [
    (IMAGE[0], "a=T38FaxRateManagement:localTCF"), ("m=image 4004 TCP t38",), ("m=image 4004 udptl jpeg",), ("m=image 4004 RTP/AVP 98", "a=rtpmap:98 t38/8000")])
def test_what_cannot_be_carried_is_refused(block):
    with pytest.raises(RemoteError) as caught:
        sdp.answer(lines(*block), LOCAL)
    assert caught.value.status == 488 and "T.38" in str(caught.value)
    octets, chosen = sdp.answer(lines(*AUDIO, *block), dict(LOCAL, t38=dict(WANTED, first=True)))
    assert "t38" not in chosen and blocks(octets)[1].startswith("m=image 0 ")


def test_where_it_is_off_it_is_refused_with_a_sentence():
    with pytest.raises(RemoteError, match="off for this line or trunk") as caught:
        sdp.answer(lines(*IMAGE), dict(LOCAL, t38=None))
    assert caught.value.status == 488
    with pytest.raises(RemoteError, match="nothing can be sent to"):
        sdp.answer(lines(*IMAGE).replace(b"c=IN IP4 10.0.0.9", b"c=IN IP4 224.0.0.1"), LOCAL)


def test_our_offers_keep_the_places_of_blocks():
    fax = sdp.offer(dict(LOCAL, fax=True))
    assert blocks(fax) == ["m=audio 0 RTP/AVP 8", "m=image 20000 udptl t38"]
    assert sdp.read(fax, LOCAL)["t38"] == WANTED
    assert blocks(sdp.offer(dict(LOCAL, image_at=1))) == ["m=audio 20000 RTP/AVP 8 0 101", "m=image 0 udptl t38"]       # back to sound
    assert blocks(sdp.offer(dict(LOCAL, fax=True, image_at=0))) == ["m=image 20000 udptl t38"]
    assert blocks(sdp.offer(dict(LOCAL, image_at=0))) == ["m=audio 20000 RTP/AVP 8 0 101"]
    # its answer refuses the image block: nothing is left
    with pytest.raises(RemoteError):
        sdp.read(lines("m=audio 0 RTP/AVP 8", "m=image 0 udptl t38"), LOCAL)


def test_mutations_end_in_a_description_or_a_refusal():
    chance, whole, taken = random.Random(20261122), lines(*AUDIO, *IMAGE), 0
    for _ in range(4000):
        octets = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(octets))
            octets[at:at + chance.randrange(3)] = bytes(chance.randrange(256) for _ in range(chance.randrange(3)))
        try:
            _, chosen = sdp.answer(bytes(octets), dict(LOCAL, t38=dict(WANTED, first=True)))
        except RemoteError as error:
            assert error.status in (400, 488)
            continue
        if "t38" in chosen:
            taken += 1
            assert chosen["t38"]["rate"] in (4800, 9600, 14400) and 60 <= chosen["t38"]["most_octets"] <= 1400
    assert taken > 100


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_our_offer_and_answer(tmp_path):
    with open(tmp_path / "sdp.pcap", "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for body in (sdp.offer(dict(LOCAL, fax=True)), sdp.answer(lines(*IMAGE), LOCAL)[0]):
            text = (b"INVITE sip:a@10.0.0.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:b@10.0.0.1>;tag=1\r\nTo: <sip:a@10.0.0.9>\r\nCall-ID: 1\r\n"
                    b"CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
            udp = struct.pack(">HHHH", 5060, 5060, 8 + len(text), 0) + text
            packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + b"\x0a\0\0\x01\x0a\0\0\x09" + udp
            file.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    done = subprocess.run(["tshark", "-r", tmp_path / "sdp.pcap", "-T", "fields", "-e", "sdp.media", "-e", "_ws.malformed", "-e", "sdp.media_attr"],
                          capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in done]
    assert [row[0] for row in rows] == ["audio 0 RTP/AVP 8,image 20000 udptl t38", "image 20000 udptl t38"] and not any(row[1] for row in rows)
    assert all("T38FaxUdpEC:t38UDPRedundancy" in row[2] for row in rows), rows
