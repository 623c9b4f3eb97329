"""DNS messages: what is asked and answered, order of SRV records, junk."""

import collections
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.errors import LocalError, RemoteError
from firmware.proto import dns

HERE = b"\xc0\x0c"              # a pointer to the name in the question (RFC 1035 4.1.4)


def name(text, tail=b"\0"):
    """A name's octets; tail: a pointer in place of the end."""
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + tail


def message(kind, rows=(), authority=(), code=0, asked="_sip._udp.carrier.example"):
    """An answer.  rows: (owner octets, kind, ttl, data)."""
    out = struct.pack(">HHHHHH", 0x1234, 0x8180 | code, 1, len(rows), len(authority), 0) + name(asked) + struct.pack(">HH", kind, 1)
    for owner, what, ttl_s, data in (*rows, *authority):
        out += owner + struct.pack(">HHIH", what, 1, ttl_s, len(data)) + data
    return out


def test_a_question():
    octets = dns.question(0x1234, "_sip._udp.carrier.example.", dns.SRV)
    assert octets[:4] == bytes.fromhex("12340100") and name("_sip._udp.carrier.example") + bytes.fromhex("00210001") in octets
    assert octets[-11:] == bytes.fromhex("0000 29 04d0 00000000 0000".replace(" ", ""))        # EDNS, 1,232 octets
    for bad in ("a..b", "x" * 64 + ".example", ".".join(["abcdefgh"] * 40)):
        with pytest.raises(LocalError):
            dns.question(1, bad, dns.A)


def test_records_and_compression():
    tail = b"\xc0" + bytes([12 + 10])          # "carrier.example" of the question
    read = dns.read(message(dns.SRV, [(HERE, dns.SRV, 60, struct.pack(">HHH", 10, 60, 5060) + name("e1", tail))]))
    (record,), life_s = read.of(dns.SRV)
    assert read.number == 0x1234 and read.asked == ("_sip._udp.carrier.example", dns.SRV) and life_s == 60
    assert record.value == (10, 60, 5060, "e1.carrier.example")
    read = dns.read(message(dns.A, [(HERE, dns.CNAME, 10, name("E1", tail)), (name("e1", tail), dns.A, 30, bytes((127, 0, 0, 2)))]))
    records, life_s = read.of(dns.A)
    assert [record.value for record in records] == ["127.0.0.2"] and life_s == 10
    data = struct.pack(">HH", 10, 20) + b"\1S\7SIP+D2U\0" + name("_sip._udp.example")
    (record,), _ = dns.read(message(dns.NAPTR, [(HERE, dns.NAPTR, 100, data)])).of(dns.NAPTR)
    assert record.value == (10, 20, "s", "sip+d2u", "", "_sip._udp.example")
    (record,), _ = dns.read(message(dns.AAAA, [(HERE, dns.AAAA, 5, bytes.fromhex("20010db8000000000000000000000001"))])).of(dns.AAAA)
    assert record.value == "2001:db8:0:0:0:0:0:1"
    circle = [(name("a"), dns.CNAME, 5, name("b")), (name("b"), dns.CNAME, 5, name("a"))]
    assert dns.read(message(dns.A, circle, asked="a")).of(dns.A)[0] == []


def test_a_no_says_how_long():
    soa = name("ns.example") + name("host.example") + struct.pack(">IIIII", 1, 3600, 600, 86400, 30)
    read = dns.read(message(dns.SRV, authority=[(name("example"), dns.SOA, 3600, soa)], code=dns.NO_SUCH_NAME))
    assert read.code == dns.NO_SUCH_NAME and read.of(dns.SRV)[0] == [] and read.negative_s == 30


@pytest.mark.parametrize("octets", (b"", b"\0" * 12, message(dns.A, [(HERE, dns.A, 5, bytes(4))])[:-2], message(dns.A)[:20],
                                    message(dns.A)[:12] + HERE + b"\0\1\0\1"))
def test_what_is_no_answer(octets):
    with pytest.raises(RemoteError):
        dns.read(octets)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 120))
def test_junk_is_refused_or_read(junk, place):
    whole = message(dns.SRV, [(HERE, dns.SRV, 60, struct.pack(">HHH", 10, 60, 5060) + name("e1.example"))])
    for octets in (junk, whole[:place] + junk, whole[:place] + junk[:1] + whole[place + 1:]):
        try:
            dns.read(octets).of(dns.SRV)
        except RemoteError:
            pass


@pytest.mark.conformance("RFC 2782", "order", "priority first, then by weight among equals; weight 0 is rarely first")
def test_order_by_priority_and_weight():
    chance = random.Random(2782)
    records = [dns.Record("x", dns.SRV, 60, value) for value in ((20, 0, 5060, "last"), (10, 60, 5060, "a"), (10, 40, 5060, "b"), (10, 0, 5060, "c"))]
    first = collections.Counter()
    for _ in range(4000):
        order = [value[3] for value in dns.in_order(records, lambda most: chance.randint(0, most))]
        assert sorted(order) == ["a", "b", "c", "last"] and order[-1] == "last"
        first[order[0]] += 1
    assert 2200 < first["a"] < 2600 and 1350 < first["b"] < 1750 and first["c"] < 120
