"""Messages out of a stream: any cut of it gives the same messages; what cannot be framed ends it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.errors import RemoteError
from firmware.proto.sip.message import MAX_MESSAGE_OCTETS
from firmware.proto.sip.stream import MAX_HEAD_OCTETS, StreamFramer


def message(body=b"", name=b"Content-Length"):
    return b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bKx\r\n%s: %d\r\n\r\n" % (name, len(body)) + body


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=300), st.sampled_from([b"Content-Length", b"l", b"L", b"CONTENT-LENGTH "]),
                          st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n"])), max_size=8), st.integers(0, 2 ** 32))
def test_any_cut_gives_the_same_messages(rows, seed):
    whole = [message(body, name) for body, name, _ in rows]
    stream = b"".join(gap + octets for octets, (_, _, gap) in zip(whole, rows))
    for largest in (1, 7, len(stream) + 1):
        chance, framer, got, at = random.Random(seed), StreamFramer(), [], 0
        while at < len(stream):
            step = chance.randint(1, largest)
            got += framer.feed(stream[at:at + step])
            at += step
        assert [octets for octets in got if octets] == whole and framer.is_idle()


@pytest.mark.conformance("RFC 5626", "4.4.1", "two CRLF between messages are a ping, one is a pong")
def test_pings():
    framer = StreamFramer()
    assert framer.feed(b"\r\n") == [] and framer.feed(b"\r\n") == [b""]
    assert framer.feed(message() + b"\r\n\r\n" + message(b"x")) == [message(), b"", message(b"x")]
    assert framer.feed(b"\r\n" + message()) == [message()]


@pytest.mark.conformance("RFC 3261", "18.3", "a message on a stream needs a Content-Length")
@pytest.mark.parametrize("octets", [
    b"OPTIONS sip:x SIP/2.0\r\nVia: a\r\n\r\n", b"OPTIONS sip:x SIP/2.0\r\nContent-Length: x\r\n\r\n",
    b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n", b"OPTIONS sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n",
    b"OPTIONS sip:x SIP/2.0\r\nContent-Length: %d\r\n\r\n" % MAX_MESSAGE_OCTETS, b"A" * (MAX_HEAD_OCTETS + 1),
    b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 99999999999999999999999\r\n\r\n"])
def test_what_cannot_be_framed(octets):
    with pytest.raises(RemoteError):
        StreamFramer().feed(octets)
    with pytest.raises(RemoteError):
        framer = StreamFramer()
        for index in range(len(octets)):
            framer.feed(octets[index:index + 1])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600))
def test_noise_never_does_more_than_refuse(octets):
    framer = StreamFramer()
    try:
        for message in framer.feed(octets):
            assert len(message) <= MAX_MESSAGE_OCTETS
    except RemoteError:
        pass
