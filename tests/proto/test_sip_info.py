"""Digits that a far end is told of by INFO: one after the other, challenged or not answered.  RFC 6086; what comes in: test_sip_in_dialog.py."""

import pytest

from firmware.errors import LocalError
from tests.proto.sip_world import ANSWER, OFFER, Phone, endpoint, header, method


@pytest.fixture
def switch():
    return endpoint(credentials={"phone": ["u", "p"]})


@pytest.fixture
def phone(switch):
    """In a call that we have placed."""
    phone = Phone(switch)
    phone.register()
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "1"}, phone.now_ms)
    invite = switch.take_output()[0][0]
    with pytest.raises(LocalError):
        tell(switch, phone, "1")
    phone.send(phone.respond(invite, 200, body=ANSWER))
    return phone


def tell(switch, phone, digit, **more):
    """What leaves when a digit is to be told."""
    switch.request({"kind": "info_request", "leg": "l1", "digit": digit, **more}, phone.now_ms)
    return [octets for octets, _ in switch.take_output()]


def body(octets):
    return octets.partition(b"\r\n\r\n")[2]


def test_digits_leave_one_by_one(switch, phone):
    first, = tell(switch, phone, "5", duration_ms=160)
    assert method(first) == "INFO" and header(first, "Content-Type") == "application/dtmf-relay" and body(first) == b"Signal=5\r\nDuration=160\r\n"
    assert tell(switch, phone, "#") == [] and tell(switch, phone, "A") == []
    _, output = phone.send(phone.respond(first, 200))
    assert [body(octets) for octets in output] == [b"Signal=#\r\nDuration=250\r\n"]
    _, output = phone.send(phone.respond(output[0], 415))
    assert [body(octets)[:8] for octets in output] == [b"Signal=A"], "what it does not take is left out"
    assert phone.send(phone.respond(output[0], 200)) == ([], [])
    assert len(tell(switch, phone, "1")) == 1


def test_each_digit_may_be_challenged(switch, phone):
    for digit in "123":
        out, = tell(switch, phone, digit)
        _, output = phone.send(phone.respond(out, 401, extra=[("WWW-Authenticate", 'Digest realm="phone", nonce="n%s", algorithm=MD5' % digit)]))
        assert body(output[0]) == body(out) and header(output[0], "Authorization")
        assert phone.send(phone.respond(output[0], 200)) == ([], [])


def test_who_does_not_answer_is_not_told_the_rest(switch, phone):
    tell(switch, phone, "5")
    tell(switch, phone, "6")
    for step in range(1, 40):
        switch.expire(phone.now_ms + step * 1000)
    assert not [octets for octets, _ in switch.take_output() if body(octets).startswith(b"Signal=6")]
    phone.now_ms += 40000
    assert len(tell(switch, phone, "7")) == 1
    for number in range(100):
        tell(switch, phone, "8")
    assert len(switch.sessions["l1"].untold) == 32
