"""INVITE with Replaces (RFC 3891): a telephone's call goes on at another one of the same line, as at a page that was loaded anew."""

import pytest

from tests.proto.sip_world import ANSWER, OFFER, Phone, header, method, restart, status

OTHER = ("127.0.0.1", 15071)


def in_call(switch):
    """(phone, leg, our 200) of a call of line 1001 that stands."""
    phone = Phone(switch)
    events, _ = phone.invite("5001")
    switch.request({"kind": "answer_request", "leg": events[0]["leg"], "sdp": ANSWER}, phone.now_ms)
    answer = [octets for octets, _ in switch.take_output()][-1]
    phone.send(phone.in_dialog(answer, "ACK", cseq=phone.cseq))
    return phone, events[0]["leg"], answer


def replaces(answer, more=""):
    """The header that names the dialog of our answer, as its far end has it: our tag is its remote one."""
    return ("Replaces", "%s;to-tag=%s;from-tag=%s%s" % (header(answer, "Call-ID"), header(answer, "To").split(";tag=")[1], header(answer, "From").split(";tag=")[1], more))


def successor(switch, line="1001", call_id="anew@phone"):
    phone = Phone(switch, line, "secret-" + line[-1], OTHER)
    phone.call_id = call_id
    return phone


def challenged(phone, *extra):
    """An INVITE with its credentials: (events, what came)."""
    return phone.challenged("INVITE", "sip:5001@strowger", [("Contact", "<%s>" % phone.contact()), ("Content-Type", "application/sdp"), *extra], OFFER)[:2]


@pytest.mark.conformance("RFC 3891", "3", "an INVITE of the same line takes a confirmed dialog over: the leg stays, the old dialog gets BYE")
def test_a_dialog_is_taken_over(switch):
    phone, leg, answer = in_call(switch)
    new = successor(switch)
    events, output = challenged(new, replaces(answer), ("Require", "replaces"), ("Record-Route", "<sip:127.0.0.1:5070;lr>"))
    assert events == [{"kind": "reinvite", "leg": leg, "sdp": OFFER, "host": OTHER[0]}] and status(output[0]) == 100
    switch.request({"kind": "reinvite_response", "leg": leg, "sdp": ANSWER}, new.now_ms)
    sent = switch.take_output()
    bye, = [octets for octets, destination in sent if destination == phone.address]
    assert method(bye) == "BYE" and header(bye, "Call-ID") == header(answer, "Call-ID")
    taken, = [octets for octets, destination in sent if destination == OTHER]
    assert status(taken) == 200 and taken.endswith(ANSWER) and header(taken, "Record-Route") == "<sip:127.0.0.1:5070;lr>"
    new.send(new.in_dialog(taken, "ACK", cseq=new.cseq))
    events, output = phone.send(phone.in_dialog(answer, "BYE"))
    assert not events and status(output[0]) == 481, "the dialog before is over"
    assert [row["leg"] for row in switch.live_legs()] == [leg]
    assert switch.dialog_name(leg) == (new.call_id, header(taken, "To").split(";tag=")[1], "phone-tag")

    later = restart(switch, 2, new.now_ms)          # control is killed: the leg has its new dialog
    later.resume(new.now_ms)
    later.take_output()
    new.switch = later
    events, output = new.send(new.in_dialog(taken, "BYE"))
    assert [(event["kind"], event["leg"], event["by"]) for event in events] == [("released", leg, "far")] and status(output[0]) == 200


def test_a_call_has_the_name_of_the_telephone_that_answered(switch):
    """Two telephones of a line ring, each in a dialog of its own; lamps are told which one can be joined."""
    for phone in (Phone(switch), successor(switch)):
        phone.branches = phone.cseq = 10 * phone.address[1]       # no request of one is the other's
        phone.register(contact="<%s>" % phone.contact())
    switch.take_output()
    switch.request({"kind": "invite_request", "leg": "out", "line": "1001", "sdp": OFFER, "caller": "9"}, phone.now_ms)
    ringing = dict((destination, octets) for octets, destination in switch.take_output())
    assert len(ringing) == 2 and switch.dialog_name("out")[2] is None
    phone.send(phone.respond(ringing[OTHER], 200, "OK", tag="answered", body=ANSWER))
    assert switch.dialog_name("out") == (header(ringing[OTHER], "Call-ID"), header(ringing[OTHER], "From").split(";tag=")[1], "answered")


@pytest.mark.conformance("RFC 3891", "3", "what rings at a line is taken by another telephone of the line: the leg is answered, those that ring get CANCEL")
@pytest.mark.parametrize("rings", (True, False))
def test_another_telephone_of_the_line_takes_what_rings_there(switch, rings):
    phone = Phone(switch)
    phone.register()
    switch.take_output()
    switch.request({"kind": "invite_request", "leg": "out", "line": "1001", "sdp": OFFER, "caller": "9"}, phone.now_ms)
    (ringing, _), = switch.take_output()
    phone.send(phone.respond(ringing, *((180, "Ringing") if rings else (100, "Trying")), tag="rings" if rings else None))
    new = successor(switch)
    named = ("Replaces", "%s;to-tag=%s;from-tag=%s;early-only" % (header(ringing, "Call-ID"), header(ringing, "From").split(";tag=")[1], "rings" if rings else "0"))
    events, output = challenged(new, named, ("Require", "replaces"))
    assert events == [{"kind": "reinvite", "leg": "out", "sdp": OFFER, "host": OTHER[0]}] and status(output[0]) == 100
    assert switch.request({"kind": "reinvite_response", "leg": "out", "sdp": ANSWER}, new.now_ms) == [{"kind": "taken", "leg": "out"}]
    sent = switch.take_output()
    cancel, = [octets for octets, destination in sent if destination == phone.address]
    assert method(cancel) == "CANCEL" and header(cancel, "Call-ID") == header(ringing, "Call-ID") and "completed elsewhere" in header(cancel, "Reason")
    taken, = [octets for octets, destination in sent if destination == OTHER]
    assert status(taken) == 200 and taken.endswith(ANSWER)
    new.send(new.in_dialog(taken, "ACK", cseq=new.cseq))
    phone.send(phone.respond(cancel, 200, "OK"))
    events, output = phone.send(phone.respond(ringing, 487, "Request Terminated", tag="rings"))
    assert not events and method(output[0]) == "ACK" and switch.dialog_name("out")[0] == new.call_id
    late, _ = challenged(successor(switch, call_id="late@phone"), named)
    assert not late, "it was answered: early-only names nothing any more"
    new.switch = later = restart(switch, 2, new.now_ms)
    later.resume(new.now_ms)
    later.take_output()
    events, output = new.send(new.in_dialog(taken, "BYE"))
    assert [(event["kind"], event["leg"], event["by"]) for event in events] == [("released", "out", "far")] and status(output[0]) == 200


def test_what_rings_ends_while_it_is_being_taken(switch):
    phone = Phone(switch)
    phone.register()
    switch.take_output()
    switch.request({"kind": "invite_request", "leg": "out", "line": "1001", "sdp": OFFER, "caller": "9"}, phone.now_ms)
    (ringing, _), = switch.take_output()
    phone.send(phone.respond(ringing, 180, "Ringing", tag="rings"))
    new = successor(switch)
    named = ("Replaces", "%s;to-tag=%s;from-tag=rings" % (header(ringing, "Call-ID"), header(ringing, "From").split(";tag=")[1]))
    challenged(new, named)
    switch.request({"kind": "release_request", "leg": "out", "cause": 16}, new.now_ms)
    sent = {destination: octets for octets, destination in switch.take_output()}
    assert method(sent[phone.address]) == "CANCEL" and status(sent[OTHER]) == 487 and ";tag=" in header(sent[OTHER], "To")


@pytest.mark.conformance("RFC 3891", "3", "control is killed while a takeover waits for its answer: the next process answers it, and the dialog moves")
def test_a_takeover_that_is_pending_outlives_a_kill(switch):
    phone, leg, answer = in_call(switch)
    new = successor(switch)
    challenged(new, replaces(answer))
    new.switch = phone.switch = later = restart(switch, 2, new.now_ms)
    assert later.resume(new.now_ms) == [{"kind": "reinvite", "leg": leg, "sdp": OFFER, "host": OTHER[0]}]
    later.take_output()
    later.request({"kind": "reinvite_response", "leg": leg, "sdp": ANSWER}, new.now_ms)
    sent = later.take_output()
    assert [method(octets) for octets, destination in sent if destination == phone.address] == ["BYE"]
    taken, = [octets for octets, destination in sent if destination == OTHER]
    assert status(taken) == 200 and later.dialog_name(leg) == (new.call_id, header(taken, "To").split(";tag=")[1], "phone-tag")
    new.send(new.in_dialog(taken, "ACK", cseq=new.cseq))
    events, output = new.send(new.in_dialog(taken, "BYE"))
    assert events[0]["kind"] == "released" and status(output[0]) == 200


def test_an_offer_that_fits_nothing_leaves_the_call_as_it_was(switch):
    phone, leg, answer = in_call(switch)
    new = successor(switch)
    challenged(new, replaces(answer))
    switch.request({"kind": "reinvite_response", "leg": leg, "status": 488}, new.now_ms)
    (octets, destination), = switch.take_output()
    assert status(octets) == 488 and destination == OTHER
    events, output = phone.send(phone.in_dialog(answer, "BYE"))
    assert events[0]["kind"] == "released" and status(output[0]) == 200


@pytest.mark.conformance("RFC 3891", "3", "what is no dialog: 481, 486 for early-only, 400; of another line it is the switchboard's to refuse")
@pytest.mark.parametrize("more, wanted", [(";early-only", 486), ("x", 481), ("broken", 400), (";to-tag=again", 400), (",other@phone;a=1;b=2", 400)])
def test_what_is_refused(switch, more, wanted):
    phone, leg, answer = in_call(switch)
    new = successor(switch)
    events, output = challenged(new, ("Replaces", "nothing") if more == "broken" else replaces(answer, more))
    assert not events and status(output[-1]) == wanted
    assert phone.send(phone.in_dialog(answer, "BYE"))[0][0]["leg"] == leg


def test_a_stranger_is_challenged_first(switch):
    _, _, answer = in_call(switch)
    new = successor(switch)
    events, output = new.send(new.request("INVITE", "sip:5001@strowger", [("Contact", "<%s>" % new.contact()), replaces(answer)], OFFER))
    assert not events and status(output[0]) == 401


def test_a_call_that_still_rings_is_no_dialog_to_replace(switch):
    phone = Phone(switch)
    events, _ = phone.invite("5001")
    switch.request({"kind": "alerting_request", "leg": events[0]["leg"]}, phone.now_ms)
    ringing = [octets for octets, _ in switch.take_output()][-1]
    events, output = challenged(successor(switch), replaces(ringing))
    assert not events and status(output[-1]) == 481
