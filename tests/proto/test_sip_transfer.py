"""What a telephone may do with its calls by name: REFER, and an INVITE with Replaces or Join."""

import pytest

from tests.proto.sip_carrier import Far, call, incoming, started, trunk
from tests.proto.sip_world import ANSWER, Phone, header, method, status


# Transfer by a telephone.

def talking(switch, line, port):
    """A telephone in a call that it made: (phone, leg, our 200)."""
    phone = Phone(switch, line, "secret-" + line[-1], ("10.1.1.1", port))
    events, _ = phone.invite("5001")
    switch.request({"kind": "answer_request", "leg": events[0]["leg"], "sdp": ANSWER}, phone.now_ms)
    answer = [octets for octets, _ in switch.take_output()][-1]
    phone.send(phone.in_dialog(answer, "ACK", cseq=phone.cseq))
    return phone, events[0]["leg"], answer


@pytest.mark.conformance("RFC 3515", "2.4", "REFER is accepted with 202, its progress and end are told by NOTIFY with a sipfrag")
@pytest.mark.parametrize("outcome", (200, 603))
def test_blind_transfer(outcome):
    switch, _ = started(trunk())
    phone, leg, answer = talking(switch, "1001", 5060)
    assert "REFER" in header(answer, "Allow") and header(answer, "Supported") == "replaces, join"
    events, output = phone.send(phone.in_dialog(answer, "REFER", [("Refer-To", "<sip:1002@strowger>"), ("Referred-By", "<sip:1001@strowger>")]))
    assert events == [{"kind": "refer", "leg": leg, "called": "1002", "other": None, "by": "<sip:1001@strowger>"}]
    assert status(output[0]) == 202 and method(output[1]) == "NOTIFY" and b"SIP/2.0 100 Trying" in output[1]
    number = header(answer, "CSeq").split()[0]
    assert header(output[1], "Event").startswith("refer;id=") and header(output[1], "Subscription-State").startswith("active")
    switch.request({"kind": "refer_outcome", "leg": leg, "status": outcome}, phone.now_ms)
    last = [octets for octets, _ in switch.take_output() if method(octets) == "NOTIFY"][-1]
    assert header(last, "Subscription-State").startswith("terminated") and b"SIP/2.0 %d " % outcome in last and number


@pytest.mark.conformance("RFC 3891", "3", "Replaces in Refer-To names the second call by its tags, in either order")
def test_attended_transfer():
    switch, _ = started(trunk())
    phone, leg, answer = talking(switch, "1001", 5060)
    phone.call_id = "second-call"
    events, _ = phone.invite("5002")
    other = events[0]["leg"]
    switch.request({"kind": "answer_request", "leg": other, "sdp": ANSWER}, phone.now_ms)
    second = [octets for octets, _ in switch.take_output()][-1]
    tags = [header(second, name).split(";tag=")[1] for name in ("To", "From")]
    for one, two in (tags, tags[::-1]):
        refer = "<sip:5002@strowger?Replaces=second-call%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>" % (one, two)
        events, _ = phone.send(phone.in_dialog(answer, "REFER", [("Refer-To", refer)]))
        assert (events[0]["kind"], events[0]["other"]) == ("refer", other)
        switch.request({"kind": "refer_outcome", "leg": leg, "status": 603}, phone.now_ms)
        switch.take_output()
    events, output = phone.send(phone.in_dialog(answer, "REFER", [("Refer-To", refer.replace("second", "no"))]))
    assert not events and status(output[0]) == 481


def test_who_may_not_refer():
    switch, _ = started(trunk())
    far = Far(switch)
    call(switch)
    invite = far.taken()[0]
    far.reply(invite, 200, body=ANSWER)
    events, output = far.send(far.in_dialog(invite, "REFER", [("Refer-To", "<sip:premium@x>")], cseq=9))
    assert not events and status(output[0]) == 403
    stranger = Phone(switch, "1001", "secret-1", ("10.1.1.1", 5060))
    _, output = stranger.send(stranger.request("REFER", "sip:x@strowger", [("Refer-To", "<sip:1@x>")]))
    assert status(output[0]) == 403
    phone, leg, answer = talking(switch, "1001", 5060)
    for bad in ((), (("Refer-To", "<sip:1@x>"), ("Refer-To", "<sip:2@x>")), (("Refer-To", "<sip:x"),), (("Refer-To", "<sip:strowger>"),)):
        events, output = phone.send(phone.in_dialog(answer, "REFER", list(bad)))
        assert not events and status(output[0]) == 400


def named_world():
    """A telephone's call and another telephone: (switch, leg, other telephone, {name: value of a header that names the call})."""
    switch, _ = started(trunk())
    phone, leg, answer = talking(switch, "1001", 5060)
    other = Phone(switch, "1002", "secret-2", ("10.1.1.9", 5060))
    other.register()
    tags = [header(answer, name).split(";tag=")[1] for name in ("To", "From")]
    return switch, leg, other, "%s;to-tag=%s;from-tag=%s" % (header(answer, "Call-ID"), *tags)


@pytest.mark.conformance("RFC 3911", "4", "an INVITE with Join names a call by Call-ID and tags; Require: join is known; what it cannot name is 481, two names are 400")
@pytest.mark.conformance("RFC 3891", "4", "Replaces in an INVITE, early-only of an answered call is 486")
def test_an_invite_that_names_a_call():
    switch, leg, other, name = named_world()
    for kind, value, wanted in (("Join", name, "joins"), ("Replaces", name, "replaces")):
        other.call_id = "names-" + kind
        events, output = other.invite("1001", fields=[(kind, value), ("Require", kind.lower())])
        assert [event.get(wanted) for event in events if event["kind"] == "invite_indication"] == [leg], (kind, events, output)
        switch.request({"kind": "reject_request", "leg": events[-1]["leg"], "status": 603}, other.now_ms)
        switch.take_output()
    for fields, wanted in (([("Join", name.replace("to-tag=", "to-tag=x"))], 481), ([("Join", "nobody;to-tag=1;from-tag=2")], 481), ([("Join", "nobody")], 400),
                           ([("Join", name), ("Replaces", name)], 400), ([("Replaces", name + ";early-only")], 486)):
        other.call_id += "x"
        events, output = other.invite("1001", fields=fields)
        assert not events and status(output[-1]) == wanted, (fields, output)


def test_a_trunk_names_no_calls():
    switch, leg, other, name = named_world()
    far = Far(switch)
    events, output = far.send(incoming(far, extra=[("Require", "join"), ("Join", name)]))
    assert not events and status(output[-1]) == 420 and header(output[-1], "Unsupported") == "join"
