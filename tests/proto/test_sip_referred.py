"""Who has transferred a call: Referred-By (RFC 3892) taken from REFER and INVITE, and put into the INVITE that comes of it."""

import pytest

from tests.proto.sip_carrier import Far, call, incoming, started, trunk
from tests.proto.sip_world import ANSWER, OFFER, Phone, endpoint, header, kinds, method, status


OTHER = '"Eve" <sip:1002@10.9.9.9>'


@pytest.fixture
def switch():
    return endpoint()


@pytest.fixture
def phone(switch):
    phone = Phone(switch)
    phone.register()
    return phone


def rings(switch, phone, **more):
    """The INVITE to the telephone."""
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "1", **more}, phone.now_ms)
    return switch.take_output()[0][0]


@pytest.mark.conformance("RFC 3892", "2.1", "a REFER's Referred-By counts where it is the telephone's own line; its token (cid) goes no further; else the line is named")
@pytest.mark.parametrize("said, by", (("<sip:1001@strowger>", "<sip:1001@strowger>"), ("sip:1001@strowger;cid=\"2@phone\"", "<sip:1001@strowger>"),
                                      ('"Al" <sip:1001@strowger>;x=y', '"Al" <sip:1001@strowger>;x=y'), (OTHER, "1001"), ("<no uri", "1001"), (None, "1001")))
def test_who_asks_for_a_transfer(switch, phone, said, by):
    invite = rings(switch, phone)
    phone.send(phone.respond(invite, 200, body=ANSWER))
    extra = [("Refer-To", "<sip:1002@strowger>")] + ([("Referred-By", said)] if said else [])
    events, output = phone.send(phone.in_dialog(invite, "REFER", extra))
    assert status(output[0]) == 202 and [(event["kind"], event["by"]) for event in events] == [("refer", by)]


@pytest.mark.conformance("RFC 3892", "2.2", "the INVITE that comes of it names who asked, and so does the next one where it is challenged")
@pytest.mark.parametrize("by, told", ((OTHER, OTHER), ("1002", "<sip:1002@127.0.0.1>"), ("J\u00f6 2", "<sip:J%C3%B6%202@127.0.0.1>")))
def test_the_call_that_comes_of_it_names_who_asked(by, told):
    switch = endpoint(credentials={"phone": ["u", "p"]})
    phone = Phone(switch)
    phone.register()
    invite = rings(switch, phone, referred_by=by)
    assert header(invite, "Referred-By") == told
    _, output = phone.send(phone.respond(invite, 401, extra=[("WWW-Authenticate", 'Digest realm="phone", nonce="n", algorithm=MD5')]))
    again = [octets for octets in output if method(octets) == "INVITE"]
    assert again and header(again[0], "Referred-By") == told
    assert header(rings(switch, phone, leg="l2"), "Referred-By") is None


@pytest.mark.conformance("RFC 3892", "2.3", "a call that comes with a Referred-By goes on with it: from telephones, and from and to trusted trunks only")
def test_a_call_that_was_referred_elsewhere_stays_so(switch, phone):
    events, _ = phone.invite("1002", fields=[("Referred-By", OTHER + ";cid=\"a@b\"")])
    assert events[0]["carried"] == {"referred_by": OTHER}
    for trusted in (True, False):
        switch, _ = started(trunk(trusted=trusted))
        far = Far(switch)
        events, _ = far.send(incoming(far, extra=[("Referred-By", "<sip:5@carrier>")]))
        assert kinds(events) == ["invite_indication"] and events[0]["carried"]["referred_by"] == ("<sip:5@carrier>" if trusted else None)
        call(switch, "l5", carried={"referred_by": "<sip:5@carrier>"})
        assert header(far.taken()[-1], "Referred-By") == ("<sip:5@carrier>" if trusted else None)


@pytest.mark.parametrize("value", ("<sip:1001@x>, <sip:1002@x>", "", "<sip:%s@x>" % ("9" * 300), "<tel:+12;x=%00>"))
def test_a_value_that_cannot_be_used_refuses_no_call(switch, phone, value):
    events, _ = phone.invite("1002", fields=[("Referred-By", value)])
    assert events[0]["kind"] == "invite_indication" and events[0].get("carried") in (None, {"referred_by": "<tel:+12;x=%00>"})
