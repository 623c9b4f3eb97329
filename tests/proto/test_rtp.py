"""RTP packets: octets that other programs sent, round trips, garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import RemoteError
from firmware.proto import rtp

# Built by hand from RFC 3550 5.1: V=2, marker, PT 0, sequence 15133, and a payload of mu-law silence.
PLAIN = bytes.fromhex("80803b1d00000280deadbeef") + b"\xff" * 8
# With one contributing source, an extension of one word and 4 octets of padding.
FULL = bytes.fromhex("b1080001000000a01234567801020304" "bede0001" "51000000" "d5d5d5d5" "00000004")


def test_fields_of_a_plain_packet():
    packet = rtp.decode(PLAIN)
    assert (packet.marker, packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc) == \
        (True, rtp.PCMU, 15133, 640, 0xDEADBEEF)
    assert packet.payload == b"\xff" * 8 and packet.encode() == PLAIN


def test_padding_sources_and_extension_are_taken_off():
    packet = rtp.decode(FULL)
    assert packet.csrc == [0x01020304] and packet.extension == (0xBEDE, bytes.fromhex("51000000"))
    assert packet.payload == b"\xd5" * 4


@pytest.mark.parametrize("octets, word", [
    (b"", "no header"), (PLAIN[:11], "no header"), (b"\x40" + PLAIN[1:], "version"),
    (b"\x8f" + PLAIN[1:12], "longer"), (b"\x90" + PLAIN[1:12], "cut"), (FULL[:-1] + b"\0", "padding"),
    (FULL[:-1] + b"\xff", "padding"), (FULL[:16] + b"\xbe\xde\x00\x09" + FULL[20:], "longer")])
def test_what_is_wrong_is_said(octets, word):
    with pytest.raises(RemoteError, match=word):
        rtp.decode(octets)


def test_telephone_event():
    event = rtp.decode_event(bytes.fromhex("0b8a0320"))
    assert (event.digit, event.end, event.volume, event.duration) == ("#", True, 10, 800)
    assert event.encode() == bytes.fromhex("0b8a0320")
    assert rtp.decode_event(b"\x10\0\0\0").digit is None
    with pytest.raises(RemoteError):
        rtp.decode_event(b"\1\2\3")


@given(st.builds(rtp.RTPPacket, st.integers(0, 127), st.integers(0, 65535), st.integers(0, 2**32 - 1),
                 st.integers(0, 2**32 - 1), st.binary(max_size=200), st.booleans(),
                 st.lists(st.integers(0, 2**32 - 1), max_size=15),
                 st.none() | st.tuples(st.integers(0, 65535), st.binary(max_size=8).map(lambda b: b + bytes(-len(b) % 4)))))
def test_round_trip(packet):
    again = rtp.decode(packet.encode())
    for name in rtp.RTPPacket.__slots__:
        assert getattr(again, name) == getattr(packet, name)


@given(st.binary(max_size=64))
def test_any_octets_give_a_packet_or_a_word(octets):
    try:
        rtp.decode(octets)
        rtp.decode_event(octets)
    except RemoteError as error:
        assert str(error)
