"""A telephone that withholds its number (RFC 3323): what its INVITE becomes for the switch."""

import pytest

from tests.proto.sip_world import Phone, endpoint, status


@pytest.mark.parametrize("value, presentation", [("id", "restricted"), ("header;id", "restricted"), ("user; critical", "restricted"), ("none", None), ("session", None), (None, None)])
def test_privacy_of_a_line(value, presentation):
    phone = Phone(endpoint())
    phone.register()
    events, _ = phone.invite("5001", fields=[("Privacy", value)] if value else [])
    (event,) = events
    assert event.get("caller_presentation") == presentation and event["line"] == event["caller"] == phone.line


class Nobody(Phone):
    """A telephone whose From tells nobody's name (RFC 3323 4.1.1.3) as soon as it is registered."""

    hidden = False

    def request(self, name, *rest, **more):
        octets = super().request(name, *rest, **more)
        return octets.replace(b"From: <sip:1001@strowger>", b'From: "Anonymous" <sip:anonymous@anonymous.invalid>') if self.hidden else octets


def test_a_line_without_a_name_is_known_by_its_password():
    phone = Nobody(endpoint())
    phone.register()
    phone.hidden = True
    events, _ = phone.invite("5001")
    (event,) = events
    assert (event["line"], event["caller"], event["caller_name"], event["caller_presentation"]) == (phone.line, phone.line, "", "restricted")
    phone.password = "guessed"
    events, output = phone.invite("5001")
    assert not events and status(output[0]) == 401
