"""What the SIP endpoint is not to be harmed by: primitives that cannot be, junk, messages made to be slow."""

import statistics
import time

import pytest

from firmware.errors import LocalError
from tests.proto.sip_calls import call_phone, confirmed
from tests.proto.sip_world import ANSWER, OFFER, kinds, method, status


def test_primitives_that_cannot_be(switch, phone):
    for primitive in ({"kind": "nonsense", "leg": "l1"}, {"kind": "invite_request", "leg": "l1"},
                      {"kind": "answer_request", "leg": "l1", "sdp": OFFER}, {"kind": "invite_request", "sdp": OFFER},
                      {"kind": "invite_request", "leg": "l1", "sdp": OFFER, "uri": "sip:1@name.example"},
                      {"kind": "invite_request", "leg": "l1", "sdp": OFFER, "uri": "tel:1"}):
        with pytest.raises(LocalError):
            switch.request(primitive, 0)
    confirmed(switch, phone)
    with pytest.raises(LocalError):
        switch.request({"kind": "answer_request", "leg": "l1", "sdp": OFFER}, 0)
    with pytest.raises(LocalError):
        switch.request({"kind": "reinvite_response", "leg": "l1", "sdp": OFFER}, 0)


def test_junk_is_dropped_and_counted(switch):
    for octets in (b"", b"\r\n\r\n", b"\0\0\0\0", b"GET / HTTP/1.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"\xff" * 100,
                   b"INVITE sip:a SIP/2.0\r\n\r\n", b"x" * 40000, b"ACK sip:a SIP/2.0\r\nVia: x\r\n\r\n"):
        assert switch.receive(octets, ("10.0.0.1", 5060), 0) == []
        assert switch.take_output() == []
    assert switch.counters["keep_alives"] == 3 and switch.counters["too_long"] == 1
    assert switch.counters["bad_request"] == 3
    assert len([fault for fault in switch.take_faults() if fault[0] == "bad_request"]) == 1      # told once


def test_malformed_answer_does_not_hang_the_leg(switch, phone):
    phone.register()
    invite = call_phone(switch, phone)
    bad = phone.respond(invite, 200, body=ANSWER).replace(b"Contact: <sip:1001@127.0.0.1:15070>",
                                                          b"Contact: <tel:1001>")
    events, output = phone.send(bad)
    assert kinds(events) == ["answered"] and method(output[0]) == "ACK"


def test_response_classes_beyond_the_standard_are_dropped(switch, phone):
    phone.register()
    invite = call_phone(switch, phone)
    for code in (b"4294967301", b"099", b"700", b"+20", b"\xb2\xb2\xb2"):
        events, output = phone.send(phone.respond(invite, 200).replace(b"SIP/2.0 200", b"SIP/2.0 " + code))
        assert events == [] and output == []
    assert switch.live_legs()[0]["state"] == "calling"


@pytest.mark.parametrize("field", [
    "Via: SIP/2.0/UDP a" + ";x" * 15000, "Via: " + ",".join(["SIP/2.0/UDP a;branch=z9hG4bK"] * 1000),
    "Contact: " + ",".join(["<sip:a@b>"] * 3000), "Contact: <sip:a@b" + ";x" * 10000 + ">",
    "Contact: <sip:a@b?" + "x=y&" * 7000 + "x=y>", "Contact: sip:a@b" + ";p=q" * 7000, "Accept: " + "a/b," * 7000,
    "Authorization: Digest " + "a=b," * 7000, "Authorization: Digest " + '"' * 30000, "X: " + '"\\' * 15000,
    "From: " + '"' * 30000, "Reason: " + "Q.850;cause=1," * 2000, "Subject: " + "\\" * 30000,
    "\r\n".join(["X: y"] * 5000), "\r\n".join([" y"] * 7000)])
def test_no_message_takes_long(switch, phone, field):
    """A message made to be slow costs no more than some dozens of honest ones of a tenth of its length."""
    honest = []
    for number in range(8):
        octets = phone.request("REGISTER", "sip:strowger", [("X-First", "y" * 3000)], to="<sip:1001@strowger>")
        began = time.process_time()
        switch.receive(octets, phone.address, phone.now_ms)
        honest.append(time.process_time() - began)
    octets = phone.request("REGISTER", "sip:strowger", [("X-First", "y")], to="<sip:1001@strowger>")
    octets = octets.replace(b"X-First: y", field.encode())
    assert len(octets) < 32768
    began = time.process_time()
    switch.receive(octets, phone.address, phone.now_ms)
    assert time.process_time() - began < 200 * statistics.median(honest)


@pytest.mark.parametrize("extra", [("Require", '"open'), ("Accept", '"open'), ("Authorization", 'Digest a="b')])
def test_fault_in_a_header_that_is_looked_at_late(switch, phone, extra):
    _, output = phone.send(phone.request("INVITE", "sip:9@strowger", [extra]))
    assert status(output[0]) in (400, 401)
    assert "internal_error" not in switch.counters
