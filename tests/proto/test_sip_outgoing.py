"""Calls of the SIP endpoint to a telephone by hand: answered, refused, cancelled, forked, challenged."""

import pytest

from firmware.proto.sip.digest import parse_digest
from firmware.proto.sip.message import parse
from tests.proto.sip_calls import call_phone, confirmed
from tests.proto.sip_world import ANSWER, OFFER, Phone, digest, endpoint, header, headers, kinds, method, status


def test_outgoing_call(switch, phone):
    phone.register()
    invite = call_phone(switch, phone, caller_name="\u5f20\u4e09 \"Boss\"")
    assert parse(invite).fault is None and parse(invite).body == OFFER
    assert "sip:13912345678@127.0.0.1" in header(invite, "From")
    assert header(invite, "From").encode("latin-1").startswith('"\u5f20\u4e09 \\"Boss\\""'.encode())
    events, output = phone.send(phone.respond(invite, 100, tag=None))
    assert events == [] and output == []
    events, output = phone.send(phone.respond(invite, 180))
    assert events == [{"kind": "alerting", "leg": "l1", "status": 180, "sdp": None}]
    events, _ = phone.send(phone.respond(invite, 183, body=ANSWER))
    assert events[0]["status"] == 183 and events[0]["sdp"] == ANSWER
    ok = phone.respond(invite, 200, body=ANSWER)
    events, output = phone.send(ok)
    assert events == [{"kind": "answered", "leg": "l1", "sdp": ANSWER, "host": events[0]["host"]}]
    assert method(output[0]) == "ACK" and header(output[0], "CSeq") == "1 ACK"
    # a 200 again is acknowledged again, and is no event
    events, again = phone.send(ok)
    assert events == [] and again == output
    # the far end hangs up, with a cause
    bye = phone.in_dialog(invite, "BYE", [("Reason", 'SIP;cause=200, Q.850 ;cause=19;text="x"')])
    events, output = phone.send(bye)
    assert events == [{"kind": "released", "leg": "l1", "cause": 19, "by": "far"}] and status(output[0]) == 200
    events, again = phone.send(bye)
    assert events == [] and again == output
    assert switch.live_legs() == [] and "leg/l1" in switch.take_changes()


def test_release_of_a_confirmed_call(switch, phone):
    confirmed(switch, phone)
    assert switch.request({"kind": "bye_request", "leg": "l1", "cause": 16}, phone.now_ms) == [
        {"kind": "released", "leg": "l1", "cause": 16, "by": "near"}]
    bye = switch.take_output()[0][0]
    assert method(bye) == "BYE" and header(bye, "Reason") == 'Q.850;cause=16;text="Normal call clearing"'
    assert header(bye, "CSeq") == "2 BYE" and header(bye, "To").endswith(";tag=phone-tag")
    assert switch.dump()["leg/l1"]["bye"]
    phone.send(phone.respond(bye, 200))
    switch.take_changes()
    assert "leg/l1" not in switch.dump() and switch.live_legs() == []
    # a release of what is gone is let pass
    assert switch.request({"kind": "release_request", "leg": "l1"}, phone.now_ms) == []


def test_cancel_waits_for_a_provisional_response(switch, phone):
    phone.register()
    invite = call_phone(switch, phone)
    events = switch.request({"kind": "cancel_request", "leg": "l1", "cause": 26}, phone.now_ms)
    assert kinds(events) == ["released"] and switch.take_output() == []
    events, output = phone.send(phone.respond(invite, 180))
    assert events == [] and method(output[0]) == "CANCEL"
    assert header(output[0], "Via") == header(invite, "Via") and header(output[0], "CSeq") == "1 CANCEL"
    assert header(output[0], "To") == header(invite, "To")
    assert header(output[0], "Reason").startswith("SIP;cause=200")
    phone.send(phone.respond(output[0], 200))
    events, output = phone.send(phone.respond(invite, 487))
    assert events == [] and method(output[0]) == "ACK"
    for step in range(200):
        switch.expire(phone.now_ms + step * 1000)
    assert switch.sessions == {} and not switch.transactions.clients


def test_answer_that_crosses_the_cancel_is_ended(switch, phone):
    phone.register()
    invite = call_phone(switch, phone)
    phone.send(phone.respond(invite, 180))
    switch.request({"kind": "release_request", "leg": "l1"}, phone.now_ms)
    assert method(switch.take_output()[0][0]) == "CANCEL"
    events, output = phone.send(phone.respond(invite, 200, body=ANSWER))
    assert events == [] and [method(octets) for octets in output] == ["ACK", "BYE"]
    assert header(output[1], "CSeq") == "2 BYE" and header(output[1], "To").endswith(";tag=phone-tag")


@pytest.mark.parametrize("code, extra, cause", [
    (486, (), 17), (404, (), 1), (480, (), 18), (603, (), 21), (500, (), 41), (499, (), 41),
    (480, (("Reason", "Q.850;cause=20"),), 20), (480, (("Reason", "Q.850;cause=999"),), 18)])
def test_rejected(switch, phone, code, extra, cause):
    phone.register()
    invite = call_phone(switch, phone)
    events, output = phone.send(phone.respond(invite, code, "No", extra=extra))
    assert events == [{"kind": "rejected", "leg": "l1", "status": code, "cause": cause, "text": "No", "contacts": []}]
    ack = output[0]
    assert method(ack) == "ACK" and header(ack, "Via") == header(invite, "Via") and "phone-tag" in header(ack, "To")
    assert switch.live_legs() == []


def test_redirect_and_unregistered(switch, phone):
    phone.register()
    invite = call_phone(switch, phone)
    answer = phone.respond(invite, 302, extra=[("Contact", "<sip:1002@10.0.0.1>, <sip:2@x>")])
    events, _ = phone.send(answer)
    assert events[0]["contacts"] == ["sip:1002@10.0.0.1", "sip:2@x"] and events[0]["cause"] == 23
    events = switch.request({"kind": "invite_request", "leg": "l2", "line": "1002", "sdp": OFFER}, phone.now_ms)
    assert events[0]["kind"] == "rejected" and events[0]["status"] == 480 and events[0]["cause"] == 20


def test_no_answer_at_all(switch, phone):
    phone.register()
    call_phone(switch, phone)
    sent = 0
    events = []
    while not events:
        phone.now_ms = switch.deadline_ms()
        events = switch.expire(phone.now_ms)
        sent += sum(1 for octets, _ in switch.take_output() if method(octets) == "INVITE")
    assert kinds(events) == ["line_unregistered", "rejected"]
    assert events[1]["status"] == 408 and events[1]["cause"] == 102
    assert phone.now_ms == 1000000 + 32000 and sent == 6


def test_two_contacts_first_answer_wins(switch):
    desk = Phone(switch)
    soft = Phone(switch, address=("127.0.0.1", 15071))
    soft.cseq = 100
    desk.register()
    soft.call_id = "other"
    soft.register(contact="<sip:1001@127.0.0.1:15071>")
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "1"}, desk.now_ms)
    output = dict((destination, octets) for octets, destination in switch.take_output())
    one, other = output[desk.address], output[soft.address]
    assert header(one, "Call-ID") != header(other, "Call-ID")
    desk.send(desk.respond(one, 180))
    events, _ = soft.send(soft.respond(other, 486))
    assert events == []                                   # the desk telephone still rings
    events, output = desk.send(desk.respond(one, 200, body=ANSWER))
    assert kinds(events) == ["answered"]
    # and the other way round: the loser is cancelled as answered elsewhere
    switch.request({"kind": "release_request", "leg": "l1"}, desk.now_ms)
    switch.take_output()
    switch.request({"kind": "invite_request", "leg": "l2", "line": "1001", "sdp": OFFER, "caller": "1"}, desk.now_ms)
    output = dict((destination, octets) for octets, destination in switch.take_output())
    desk.send(desk.respond(output[desk.address], 180))
    events = switch.receive(soft.respond(output[soft.address], 200, body=ANSWER), soft.address, desk.now_ms)
    assert kinds(events) == ["answered"]
    sent = [(method(octets), destination) for octets, destination in switch.take_output()]
    assert sent == [("ACK", soft.address), ("CANCEL", desk.address)]
    # 6xx of one ends all
    switch.request({"kind": "invite_request", "leg": "l3", "line": "1001", "sdp": OFFER, "caller": "1"}, desk.now_ms)
    output = dict((destination, octets) for octets, destination in switch.take_output())
    desk.send(desk.respond(output[desk.address], 180))
    events = switch.receive(soft.respond(output[soft.address], 603), soft.address, desk.now_ms)
    assert kinds(events) == ["rejected"] and events[0]["status"] == 603
    assert ("CANCEL", desk.address) in [(method(octets), where) for octets, where in switch.take_output()]


def test_record_route(switch, phone):
    phone.register()
    invite = call_phone(switch, phone)
    routes = [("Record-Route", "<sip:127.0.0.1:15070;lr>, <sip:10.0.0.2;lr>")]
    events = switch.receive(phone.respond(invite, 200, body=ANSWER, extra=routes), phone.address, phone.now_ms)
    ack, destination = switch.take_output()[0]
    assert kinds(events) == ["answered"] and method(ack) == "ACK" and destination == ("10.0.0.2", 5060)
    switch.request({"kind": "release_request", "leg": "l1"}, phone.now_ms)
    bye, destination = switch.take_output()[-1]
    assert headers(bye, "Route") == ["<sip:10.0.0.2;lr>", "<sip:127.0.0.1:15070;lr>"]
    assert destination == ("10.0.0.2", 5060) and bye.startswith(b"BYE sip:1001@127.0.0.1:15070 ")


def test_trunk_challenge_is_answered():
    switch = endpoint(credentials={"carrier": ["box", "trunk-secret"]})
    phone = Phone(switch)
    switch.request({"kind": "invite_request", "leg": "l1", "uri": "sip:123@127.0.0.1:15070", "sdp": OFFER,
                    "caller": "1"}, phone.now_ms)
    invite = switch.take_output()[0][0]
    challenge = [("Proxy-Authenticate", 'Digest realm="carrier", nonce="n1", algorithm=MD5, qop="auth,auth-int"')]
    _, output = phone.send(phone.respond(invite, 407, extra=challenge))
    assert [method(octets) for octets in output] == ["ACK", "INVITE"]
    again = output[1]
    given = parse_digest(header(again, "Proxy-Authorization"))
    expected = parse_digest(digest('Digest realm="carrier", nonce="n1", algorithm=MD5', "INVITE", given["uri"], "box",
                                   "trunk-secret", 1, given["cnonce"]))
    assert given["response"] == expected["response"] and header(again, "CSeq") == "2 INVITE"
    events, output = phone.send(phone.respond(again, 200, body=ANSWER))
    assert kinds(events) == ["answered"] and header(output[0], "Proxy-Authorization")
