"""UDPTL against the octets of T.38 9.1 written out by hand, its error recovery, and what may come from anybody."""

import random

import pytest
from hypothesis import given, settings, strategies as st

from firmware.errors import LocalError, RemoteError
from firmware.proto.udptl import HISTORY, UDPTL, ifp_length, parse

NO_SIGNAL, CNG = b"\x00", b"\x02"
DATA = bytes((0x80 | 0x01 << 1, 1, 0x80 | 0x03 << 4, 0, 2, 0xFF, 0x03, 0x20))      # V.21 data, one field with 3 octets: version 0


@pytest.mark.conformance("T.38", "9.1", "datagrams of redundancy and of FEC, octet by octet")
def test_datagrams_written_out():
    line = UDPTL("redundancy", depth=2)
    assert [line.send(ifp).hex() for ifp in (NO_SIGNAL, CNG, DATA, CNG)] == [
        "0000" "0100" "0000", "0001" "0102" "00010100", "0002" "08" + DATA.hex() + "0002" "0102" "0100",
        "0003" "0102" "0002" "08" + DATA.hex() + "0102"]
    fec = UDPTL("fec", span=2, entries=1)
    assert [fec.send(ifp).hex() for ifp in (NO_SIGNAL, CNG, DATA)] == ["000001000000", "000101020000", "0002" "08" + DATA.hex() + "80" "0102" "01" "0102"]
    assert parse(bytes.fromhex("0002" "0102" "80" "0102" "01" "0102")) == (2, CNG, [], (2, [CNG]))
    long = bytes(200)
    assert UDPTL("none").send(long)[2:4].hex() == "80c8" and parse(UDPTL("none").send(long))[1] == long


@pytest.mark.parametrize("recovery, pattern, mended, lost", [
    ("redundancy", (3, 4, 5), 3, 0), ("redundancy", (3, 4, 5, 6), 3, 1), ("fec", (6,), 1, 0), ("fec", (6, 7), 2, 0), ("none", (3,), 0, 1)])
def test_what_was_lost_is_mended_in_order(recovery, pattern, mended, lost):
    far, near = UDPTL(recovery, depth=3, span=3, entries=2), UDPTL(recovery)
    sent = [bytes((0x82, 1, 0xB0, 0, n % 5)) + bytes((n + k & 255 for k in range(n % 5 + 1))) for n in range(14)]
    got = []
    for number, ifp in enumerate(sent):
        datagram = far.send(ifp)
        if number not in pattern:
            got += near.receive(datagram)
    assert (near.mended, near.lost) == (mended, lost)
    assert [number for number, _ in got] == sorted(number for number, _ in got)
    assert all(sent[number] == ifp for number, ifp in got) and len(got) == len(sent) - lost


def test_the_structure_of_packets():
    assert ifp_length(DATA) == len(DATA) and ifp_length(DATA + bytes(9)) == len(DATA) and ifp_length(CNG + b"\x00") == 1
    assert ifp_length(DATA[:-1]) == 0 and ifp_length(b"") == 0 and ifp_length(b"\x80") == 0
    one = bytes((0x82, 1, 0x80 | 0x03 << 3, 0, 0, 0x55))
    assert ifp_length(one + b"\x00", 3) == 6
    extended = bytes((0x82, 1, 0xC0, 0x40, 0, 0, 0x55))
    assert ifp_length(extended + b"\x00", 3) == 7


def test_repeated_late_and_turned_round():
    far, near = UDPTL(), UDPTL()
    sent = [far.send(bytes((n,))) for n in range(6)]
    near.receive(sent[0])
    assert near.receive(sent[2]) == [(1, b"\x01"), (2, b"\x02")] and near.receive(sent[1]) == [] and near.receive(sent[2]) == []
    assert [n for n, _ in near.receive(sent[5])] == [3, 4, 5] and near.lost == 0
    near.expected = 0xFFFE
    near.there = {}
    far.number, far.sent = 0xFFFE, []
    assert [n for _ in range(4) for n, _ in near.receive(far.send(CNG))] == [0xFFFE, 0xFFFF, 0, 1], "numbers wrap"
    far.number = 5000
    assert len(near.receive(far.send(CNG))) <= HISTORY and len(near.there) <= HISTORY + 1


def test_the_far_ends_limit_is_kept():
    line = UDPTL(depth=8, most_octets=100)
    sizes = [len(line.send(bytes(30))) for _ in range(10)]
    assert max(sizes) <= 100 and sizes[-1] > 60


@pytest.mark.parametrize("octets", ["", "0001", "000102", "00010102", "0001c002", "0001050102", "000101020005", "000101020021" + "0101" * 33,
                                    "00010102800203", "0001010280", "00010102008101"])
def test_what_is_no_datagram(octets):
    with pytest.raises(RemoteError, match="^UDPTL: "):
        UDPTL().receive(bytes.fromhex(octets))
    with pytest.raises(RemoteError, match="at most"):
        parse(bytes(1500))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(("redundancy", "fec", "none")))
def test_mutations_do_no_harm(seed, recovery):
    chance = random.Random(seed)
    far, near = UDPTL(recovery), UDPTL(recovery)
    for _ in range(60):
        datagram = bytearray(far.send(bytes(chance.randrange(256) for _ in range(chance.randrange(1, 40)))))
        if chance.random() < 0.5:
            datagram[chance.randrange(len(datagram))] ^= 1 << chance.randrange(8)
        try:
            for number, ifp in near.receive(bytes(datagram)):
                assert 0 <= number < 65536 and isinstance(ifp, bytes)
        except RemoteError:
            pass
        assert len(near.there) <= 2 * HISTORY + 1


@pytest.mark.parametrize("settings_", [{"recovery": "x"}, {"depth": 9}, {"span": 8, "entries": 8}, {"span": 0}])
def test_settings_that_cannot_be(settings_):
    with pytest.raises(LocalError, match="UDPTL"):
        UDPTL(**settings_)
