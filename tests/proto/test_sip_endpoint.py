"""The SIP endpoint against a telephone by hand: registration, calls both ways, faults, restart."""

import json
import statistics
import time

import pytest

from firmware.errors import LocalError
from firmware.proto import sdp
from firmware.proto.sip.message import parse
from tests.proto.sip_world import (ANSWER, OFFER, Phone, endpoint, header, headers, method, restart, status)


def kinds(events):
    return [event["kind"] for event in events]


@pytest.fixture
def switch():
    return endpoint()


@pytest.fixture
def phone(switch):
    return Phone(switch)


def call_phone(switch, phone, leg="l1", **extra):
    """INVITE from the switch to the registered phone; returns the INVITE octets."""
    primitive = {"kind": "invite_request", "leg": leg, "line": phone.line, "sdp": OFFER, "caller": "13912345678"}
    primitive.update(extra)
    assert switch.request(primitive, phone.now_ms) == []
    output = [octets for octets, destination in switch.take_output() if destination == phone.address]
    assert method(output[0]) == "INVITE"
    return output[0]


def confirmed(switch, phone, leg="l1"):
    """A call from the switch, answered; returns the INVITE octets."""
    phone.register()
    invite = call_phone(switch, phone, leg)
    events, output = phone.send(phone.respond(invite, 200, "OK", body=ANSWER))
    assert kinds(events) == ["answered"] and method(output[0]) == "ACK"
    return invite


def incoming(switch, phone, leg_answer=True):
    """A call of the phone, answered and acknowledged; returns (leg, 200 octets)."""
    events, output = phone.invite("5001")
    assert kinds(events) == ["invite_indication"] and status(output[0]) == 100
    leg = events[0]["leg"]
    switch.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, phone.now_ms)
    ok = switch.take_output()[0][0]
    events, _ = phone.send(phone.in_dialog(ok, "ACK", cseq=int(header(ok, "CSeq").split()[0])))
    assert switch.live_legs()[0]["state"] == "confirmed"
    return leg, ok


# whether a silent telephone is there

def ask(switch, phone, until_ms):
    switch.request({"kind": "probe_request", "leg": "l1", "until_ms": until_ms}, phone.now_ms)
    return [octets for octets, _ in switch.take_output() if method(octets) == "OPTIONS" and header(octets, "To").endswith("tag=phone-tag")][-1]


def test_a_silent_telephone_has_until_its_limit_to_answer(switch, phone):
    confirmed(switch, phone)
    limit_ms = phone.now_ms + 60000
    ask(switch, phone, limit_ms)
    assert switch.expire(phone.now_ms + 4000) == [], "a network may be back in a minute"
    phone.now_ms += 10000
    events, _ = phone.send(phone.respond(ask(switch, phone, limit_ms), 200, "OK"))
    assert events == [{"kind": "alive", "leg": "l1"}]
    phone.now_ms = limit_ms - 4000
    ask(switch, phone, limit_ms)
    assert switch.expire(limit_ms - 1) == []
    assert [(event["kind"], event["by"], event["cause"]) for event in switch.expire(limit_ms)] == [("released", "failure", 41)]


def test_the_word_of_a_proxy_that_the_flow_is_gone_is_no_sign_of_life(switch, phone):
    """RFC 5626 11.6: the telephone may open another one before its limit."""
    confirmed(switch, phone)
    limit_ms = phone.now_ms + 60000
    assert phone.send(phone.respond(ask(switch, phone, limit_ms), 430, "Flow Failed"))[0] == []
    phone.now_ms = limit_ms
    events, _ = phone.send(phone.respond(ask(switch, phone, limit_ms), 430, "Flow Failed"))
    assert [(event["kind"], event["by"], event["cause"]) for event in events] == [("released", "failure", 41)]


def test_a_telephone_that_does_not_know_the_call_ends_it_at_once(switch, phone):
    confirmed(switch, phone)
    events, _ = phone.send(phone.respond(ask(switch, phone, phone.now_ms + 60000), 481, "Call/Transaction Does Not Exist"))
    assert [(event["kind"], event["by"]) for event in events] == [("released", "failure")]


# registration

@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_register(switch, phone, algorithm):
    events, answer = phone.register(algorithm=algorithm)
    assert status(answer) == 200
    assert events == [{"kind": "line_registered", "line": "1001", "contacts": switch.contacts("1001")}]
    assert switch.contacts("1001")[0]["uri"] == phone.contact()
    assert header(answer, "Contact").endswith(";expires=600")
    assert header(answer, "Via").endswith("rport=15070;received=127.0.0.1") or "rport=15070" in header(answer, "Via")
    # a refresh is no event, but a change to be stored
    switch.take_changes()
    phone.now_ms += 100000
    events, answer = phone.register(algorithm=algorithm)
    assert events == [] and status(answer) == 200
    assert switch.take_changes()["line/1001"]["bindings"][0]["expires_ms"] == phone.now_ms + 600000
    # expiry
    assert switch.expire(phone.now_ms + 599999) == []
    assert switch.expire(phone.now_ms + 600000) == [{"kind": "line_unregistered", "line": "1001", "contacts": [], "left": False}]
    assert switch.take_changes() == {"line/1001": None}


def test_unregister_and_wildcard(switch, phone):
    phone.register()
    events, answer = phone.register(expires=0)
    assert kinds(events) == ["line_unregistered"] and events[0]["left"] and header(answer, "Contact") is None
    phone.register()
    events, output, _ = phone.challenged("REGISTER", "sip:strowger", [("Contact", "*"), ("Expires", "0")],
                                         to="<sip:1001@strowger>")
    assert kinds(events) == ["line_unregistered"]
    _, output, _ = phone.challenged("REGISTER", "sip:strowger", [("Contact", "*")], to="<sip:1001@strowger>")
    assert status(output[0]) == 400


def test_two_contacts_and_limit():
    switch = endpoint(contacts_per_line=2)
    phone = Phone(switch)
    phone.register()
    events, answer = phone.register(contact="<sip:1001@127.0.0.1:15071>;q=0.5")
    assert len(events[0]["contacts"]) == 2 and len(headers(answer, "Contact")) == 2
    events, _ = phone.register(contact="<sip:1001@127.0.0.1:15072>")
    assert [contact["uri"] for contact in events[0]["contacts"]] == ["sip:1001@127.0.0.1:15072",
                                                                     "sip:1001@127.0.0.1:15071"]


def test_instance_replaces(switch, phone):
    phone.register(contact='<sip:1001@127.0.0.1:15071>;+sip.instance="<urn:uuid:1>"')
    events, _ = phone.register(contact='<sip:1001@127.0.0.1:15072>;+sip.instance="<urn:uuid:1>"')
    assert [contact["uri"] for contact in events[0]["contacts"]] == ["sip:1001@127.0.0.1:15072"]


def test_brief_and_long_intervals(switch, phone):
    _, answer = phone.register(expires=10)
    assert status(answer) == 423 and header(answer, "Min-Expires") == "60"
    _, answer = phone.register(expires=100000)
    assert header(answer, "Contact").endswith(";expires=3600")


def test_register_out_of_order(switch, phone):
    phone.register()
    phone.cseq -= 2
    phone.now_ms += 33000
    switch.expire(phone.now_ms)          # the transaction of the first is over; till then it would be merged, 482
    events, answer = phone.register()    # CSeq 1 and 2 again with new branches
    assert status(answer) == 500 and events == []


def test_retransmitted_register_gets_the_same_answer(switch, phone):
    uri = "sip:strowger"
    _, output, credentials = phone.challenged("REGISTER", uri, [("Contact", "<%s>" % phone.contact())],
                                              to="<sip:1001@strowger>")
    again = phone.request("REGISTER", uri, [("Contact", "<%s>" % phone.contact()), ("Authorization", credentials)],
                          to="<sip:1001@strowger>", cseq=phone.cseq, branch="z9hG4bKphone1001-2")
    events, second = phone.send(again)
    assert events == [] and second == output


def test_nat_binding_is_called_at_its_source(switch):
    phone = Phone(switch, address=("203.0.113.9", 40001))
    uri = "sip:1001@192.168.1.5:5060"
    phone.contact = lambda: uri
    via = "SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bKnat;rport"
    real = phone.request

    def natted(*args, **named):
        return real(*args, **named).replace(b"SIP/2.0/UDP 203.0.113.9:40001", b"SIP/2.0/UDP 192.168.1.5:5060")
    phone.request = natted
    _, answer = phone.register()
    assert "received=203.0.113.9" in header(answer, "Via") and "rport=40001" in header(answer, "Via") and via
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "1"}, phone.now_ms)
    octets, destination = switch.take_output()[0]
    assert destination == ("203.0.113.9", 40001) and octets.startswith(b"INVITE sip:1001@192.168.1.5:5060 ")
    # and so is what follows in the dialog
    _, output = phone.send(phone.respond(octets, 200, body=ANSWER))
    assert method(output[0]) == "ACK"
    switch.request({"kind": "release_request", "leg": "l1"}, phone.now_ms)
    octets, destination = switch.take_output()[0]
    assert method(octets) == "BYE" and destination == ("203.0.113.9", 40001)


# digest

def test_wrong_password_unknown_user_and_replay(switch, phone):
    answers = []
    for line, password in (("1001", "wrong"), ("9999", "wrong")):
        other = Phone(switch, line, password)
        _, first = other.send(other.request("REGISTER", "sip:strowger", to="<sip:%s@strowger>" % line, branch="z9hG4bKa"))
        _, answer = other.register()
        assert status(answer) == 401
        shape = b"\r\n".join([row for row in answer.split(b"\r\n") if row.startswith((b"SIP/2.0", b"WWW", b"Server"))])
        answers.append((shape.split(b"nonce=")[0], len(headers(answer, "WWW-Authenticate"))))
    assert answers[0] == answers[1]
    assert switch.counters["authentication_failed"] == 2
    # the same credentials with a new request: a used count is stale, not accepted
    _, output, credentials = phone.challenged("REGISTER", "sip:strowger", to="<sip:1001@strowger>")
    assert status(output[0]) == 200
    _, output = phone.send(phone.request("REGISTER", "sip:strowger", [("Authorization", credentials)],
                                         to="<sip:1001@strowger>"))
    assert status(output[0]) == 401 and "stale=true" in header(output[0], "WWW-Authenticate")


def test_old_nonce_is_stale(switch, phone):
    _, output = phone.send(phone.request("REGISTER", "sip:strowger", to="<sip:1001@strowger>"))
    from tests.proto.sip_world import digest
    credentials = digest(headers(output[0], "WWW-Authenticate")[1], "REGISTER", "sip:strowger", "1001", "secret-1")
    phone.now_ms += 300001
    _, output = phone.send(phone.request("REGISTER", "sip:strowger", [("Authorization", credentials)],
                                         to="<sip:1001@strowger>"))
    assert status(output[0]) == 401 and "stale=true" in header(output[0], "WWW-Authenticate")


def test_password_as_ha1():
    import hashlib
    switch = endpoint({"1001": {"MD5": hashlib.md5(b"1001:strowger:secret-1").hexdigest()}})
    _, answer = Phone(switch).register()
    assert status(answer) == 200


def test_challenge_keeps_no_state(switch, phone):
    for _ in range(100):
        phone.send(phone.request("INVITE", "sip:1@strowger", [("Contact", "<%s>" % phone.contact())]))
    assert not switch.transactions.servers and not switch.sessions and len(switch.timers) == 0


def test_digest_vectors():
    """RFC 7616 3.9.1 (MD5 and SHA-256) and RFC 2617 3.5."""
    from firmware.proto.sip.digest import ha1, response_of
    from tests.proto.sip_world import HASHES
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    for name, expected in (("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
                           ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")):
        secret = ha1(HASHES[name], "Mufasa", "http-auth@example.org", "Circle of Life")
        assert response_of(HASHES[name], secret, "GET", "/dir/index.html", nonce, "auth", "00000001", cnonce) == expected
    secret = ha1(HASHES["MD5"], "Mufasa", "testrealm@host.com", "Circle Of Life")
    assert response_of(HASHES["MD5"], secret, "GET", "/dir/index.html", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "auth",
                       "00000001", "0a4f113b") == "6629fae49393a05397450978507c4ef1"


# outgoing calls

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
    invite = confirmed(switch, phone)
    assert switch.request({"kind": "bye_request", "leg": "l1", "cause": 16}, phone.now_ms) == [
        {"kind": "released", "leg": "l1", "cause": 16, "by": "near"}]
    bye = switch.take_output()[0][0]
    assert method(bye) == "BYE" and header(bye, "Reason") == 'Q.850;cause=16;text="Normal call clearing"'
    assert header(bye, "CSeq") == "2 BYE" and header(bye, "To").endswith(";tag=phone-tag")
    assert switch.dump()["leg/l1"]["bye"]
    phone.send(phone.respond(bye, 200))
    switch.take_changes()
    assert switch.sessions == {} and not [key for key in switch.dump() if key.startswith("leg")] or invite
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


def test_trunk_challenge_is_answered(phone):
    switch = endpoint(credentials={"carrier": ["box", "trunk-secret"]})
    phone = Phone(switch)
    switch.request({"kind": "invite_request", "leg": "l1", "uri": "sip:123@127.0.0.1:15070", "sdp": OFFER,
                    "caller": "1"}, phone.now_ms)
    invite = switch.take_output()[0][0]
    challenge = [("Proxy-Authenticate", 'Digest realm="carrier", nonce="n1", algorithm=MD5, qop="auth,auth-int"')]
    _, output = phone.send(phone.respond(invite, 407, extra=challenge))
    assert [method(octets) for octets in output] == ["ACK", "INVITE"]
    again = output[1]
    from firmware.proto.sip.digest import parse_digest
    given = parse_digest(header(again, "Proxy-Authorization"))
    from tests.proto.sip_world import digest
    expected = parse_digest(digest('Digest realm="carrier", nonce="n1", algorithm=MD5', "INVITE", given["uri"], "box",
                                   "trunk-secret", 1, given["cnonce"]))
    assert given["response"] == expected["response"] and header(again, "CSeq") == "2 INVITE"
    events, output = phone.send(phone.respond(again, 200, body=ANSWER))
    assert kinds(events) == ["answered"] and header(output[0], "Proxy-Authorization")


# incoming calls

def test_incoming_call(switch, phone):
    events, output = phone.invite("5001")
    leg = events[0]["leg"]
    assert events == [{"kind": "invite_indication", "leg": leg, "line": "1001", "called": "5001", "caller": "1001",
                       "caller_name": "", "sdp": OFFER, "host": events[0]["host"]}]
    switch.request({"kind": "alerting_request", "leg": leg}, phone.now_ms)
    ringing = switch.take_output()[0][0]
    assert status(ringing) == 180 and ";tag=" in header(ringing, "To") and header(ringing, "Contact")
    # each minute again
    switch.expire(phone.now_ms + 60000)
    assert switch.take_output()[0][0] == ringing
    switch.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, phone.now_ms + 60000)
    ok = switch.take_output()[0][0]
    assert status(ok) == 200 and header(ok, "To") == header(ringing, "To") and ok.endswith(ANSWER)
    # again until the ACK
    switch.expire(phone.now_ms + 60500)
    assert switch.take_output()[0][0] == ok
    events, _ = phone.send(phone.in_dialog(ok, "ACK", cseq=phone.cseq))
    assert events == [] and switch.live_legs()[0]["state"] == "confirmed"
    switch.expire(phone.now_ms + 70000)
    assert switch.take_output() == []
    events, output = phone.send(phone.in_dialog(ok, "BYE"))
    assert events == [{"kind": "released", "leg": leg, "cause": 16, "by": "far"}] and status(output[0]) == 200


def test_answer_is_never_acknowledged(switch, phone):
    events, _ = phone.invite()
    leg = events[0]["leg"]
    switch.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, phone.now_ms)
    events = []
    while not events:
        events = switch.expire(switch.deadline_ms())
    assert events == [{"kind": "released", "leg": leg, "cause": 102, "by": "failure", "sip_status": 408}]
    assert method(switch.take_output()[-1][0]) == "BYE"


def test_release_before_the_ack_waits_for_it(switch, phone):
    events, _ = phone.invite()
    leg = events[0]["leg"]
    switch.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, phone.now_ms)
    ok = switch.take_output()[0][0]
    assert kinds(switch.request({"kind": "release_request", "leg": leg, "cause": 31}, phone.now_ms)) == ["released"]
    assert switch.take_output() == []
    _, output = phone.send(phone.in_dialog(ok, "ACK", cseq=phone.cseq))
    assert method(output[0]) == "BYE" and "cause=31" in header(output[0], "Reason")


def test_cancel_of_the_far_end(switch, phone):
    extra = [("Contact", "<%s>" % phone.contact()), ("Content-Type", "application/sdp")]
    events, output, _ = phone.challenged("INVITE", "sip:9@strowger", extra, OFFER)
    leg = events[0]["leg"]
    cancel = phone.request("CANCEL", "sip:9@strowger", [("Reason", "Q.850;cause=16")], cseq=phone.cseq,
                           branch="z9hG4bKphone1001-2")
    events, output = phone.send(cancel)
    assert events == [{"kind": "released", "leg": leg, "cause": 16, "by": "far", "sip_status": 487}]
    assert sorted(status(octets) for octets in output) == [200, 487]
    events, output = phone.send(cancel)
    assert events == [] and [status(octets) for octets in output] == [200]
    ack = phone.request("ACK", "sip:9@strowger", cseq=phone.cseq, branch="z9hG4bKphone1001-2")
    assert phone.send(ack) == ([], [])
    _, output = phone.send(phone.request("CANCEL", "sip:9@strowger", cseq=77, branch="z9hG4bKnone"))
    assert status(output[0]) == 481


def test_reject(switch, phone):
    for number, (primitive, code, reason) in enumerate((
            ({"cause": 17}, 486, "cause=17"), ({"status": 603}, 603, None), ({"status": 486, "cause": 17}, 486, "17"))):
        phone.call_id = "reject-%d" % number
        events, _ = phone.invite()
        leg = events[0]["leg"]
        events = switch.request(dict(primitive, kind="reject_request", leg=leg), phone.now_ms)
        assert kinds(events) == ["released"] and events[0]["sip_status"] == code
        answer = switch.take_output()[0][0]
        assert status(answer) == code and (reason is None or reason in header(answer, "Reason"))


def test_delayed_offer(switch, phone):
    events, _ = phone.invite(body=b"")
    assert events[0]["sdp"] is None
    switch.request({"kind": "answer_request", "leg": events[0]["leg"], "sdp": OFFER}, phone.now_ms)
    ok = switch.take_output()[0][0]
    events, _ = phone.send(phone.in_dialog(ok, "ACK", cseq=phone.cseq, body=ANSWER))
    assert kinds(events) == ["sdp_answer"] and events[0]["sdp"] == ANSWER


def test_merged_and_overload(phone):
    switch = endpoint(max_legs=1)
    phone = Phone(switch)
    events, _ = phone.invite()
    # the same request by another way (another branch)
    _, output = phone.send(phone.request("INVITE", "sip:9@strowger", [("Contact", "<%s>" % phone.contact())],
                                         cseq=phone.cseq))
    assert status(output[0]) == 482
    _, output = phone.send(phone.request("INVITE", "sip:9@strowger", call_id="another"))
    assert status(output[0]) == 503 and header(output[0], "Retry-After")
    assert len(switch.live_legs()) == 1


def test_a_leg_that_has_ended_takes_no_place():
    """It is known for 32 s (timer M), for a 2xx that comes once more; at 150 calls a second those were all of max_legs."""
    switch = endpoint(max_legs=1)
    phone = Phone(switch)
    invite = confirmed(switch, phone, leg="out")
    events, output = phone.send(phone.request("INVITE", "sip:9@strowger", [("Contact", "<%s>" % phone.contact())], call_id="full"))
    assert events == [] and status(output[0]) == 503
    events, _ = phone.send(phone.in_dialog(invite, "BYE"))
    assert kinds(events) == ["released"] and "out" in switch.sessions and not switch.standing
    events, output = phone.invite()
    assert kinds(events) == ["invite_indication"] and status(output[0]) == 100 and list(switch.standing) == [events[0]["leg"]]
    restored = restart(switch, 2, phone.now_ms, max_legs=1)
    restored.resume(phone.now_ms)
    assert list(restored.standing) == list(restored.sessions) == [events[0]["leg"]], "what has ended is not taken over"
    assert "leg/out" not in switch.dump() and switch.take_changes()["leg/out"] is None
    ok = phone.respond(invite, 200, "OK", body=ANSWER)
    assert method(phone.send(ok)[1][0]) == "ACK", "the 2xx once more"


# in the dialog

def test_hold_and_retrieve(switch, phone):
    invite = confirmed(switch, phone)
    held = sdp.offer({"address": "127.0.0.1", "port": 30000, "session": 2, "version": 2, "direction": "sendonly"})
    events, output = phone.send(phone.in_dialog(invite, "INVITE", [("Contact", "<%s>" % phone.contact())], held))
    assert events == [{"kind": "reinvite", "leg": "l1", "sdp": held}] and status(output[0]) == 100
    octets, chosen = sdp.answer(held, {"address": "127.0.0.1", "port": 20000, "session": 1, "version": 2})
    assert chosen["direction"] == "recvonly" and b"a=recvonly" in octets
    # another one meanwhile
    _, output = phone.send(phone.in_dialog(invite, "INVITE", [("Contact", "<%s>" % phone.contact())], held))
    assert status(output[0]) == 500 and header(output[0], "Retry-After")
    refused = phone.in_dialog(invite, "ACK", cseq=phone.cseq)
    via = [line for line in output[0].split(b"\r\n") if line.startswith(b"Via")][0]
    phone.send(b"\r\n".join([via if line.startswith(b"Via") else line for line in refused.split(b"\r\n")]))
    switch.request({"kind": "reinvite_response", "leg": "l1", "sdp": octets}, phone.now_ms)
    ok = switch.take_output()[0][0]
    assert status(ok) == 200 and ok.endswith(octets)
    phone.send(phone.in_dialog(invite, "ACK", cseq=int(header(ok, "CSeq").split()[0])))
    switch.expire(phone.now_ms + 5000)
    assert switch.take_output() == []
    # refused: the session goes on
    phone.send(phone.in_dialog(invite, "INVITE", [("Contact", "<%s>" % phone.contact())], b"v=nonsense"))
    switch.request({"kind": "reinvite_response", "leg": "l1", "status": 488}, phone.now_ms)
    assert status(switch.take_output()[0][0]) == 488
    assert switch.live_legs()[0]["state"] == "confirmed"
    # UPDATE without offer: a refresh
    events, output = phone.send(phone.in_dialog(invite, "UPDATE", [("Contact", "<%s>" % phone.contact())]))
    assert events == [] and status(output[0]) == 200


def test_our_reinvite_and_glare(switch, phone):
    invite = confirmed(switch, phone)
    switch.request({"kind": "reinvite_request", "leg": "l1", "sdp": OFFER}, phone.now_ms)
    ours = switch.take_output()[0][0]
    assert method(ours) == "INVITE" and header(ours, "CSeq") == "2 INVITE"
    with pytest.raises(LocalError):
        switch.request({"kind": "reinvite_request", "leg": "l1", "sdp": OFFER}, phone.now_ms)
    _, output = phone.send(phone.in_dialog(invite, "INVITE", [("Contact", "<%s>" % phone.contact())], OFFER))
    assert status(output[0]) == 491
    events, output = phone.send(phone.respond(ours, 491))
    assert events == [] and method(output[0]) == "ACK"
    retry = None
    while retry is None:
        phone.now_ms = switch.deadline_ms()
        switch.expire(phone.now_ms)
        for octets, _ in switch.take_output():
            retry = octets if method(octets) == "INVITE" else retry
    assert 2100 <= phone.now_ms - 1000000 <= 4000 and header(retry, "CSeq") == "3 INVITE"
    events, output = phone.send(phone.respond(retry, 200, body=ANSWER))
    assert events == [{"kind": "reinvited", "leg": "l1", "sdp": ANSWER}] and method(output[0]) == "ACK"
    switch.request({"kind": "reinvite_request", "leg": "l1", "sdp": OFFER}, phone.now_ms)
    ours = switch.take_output()[-1][0]
    events, _ = phone.send(phone.respond(ours, 488))
    assert events == [{"kind": "reinvite_failed", "leg": "l1", "status": 488}]
    assert switch.live_legs()[0]["state"] == "confirmed"
    switch.request({"kind": "reinvite_request", "leg": "l1", "sdp": OFFER}, phone.now_ms)
    events, _ = phone.send(phone.respond(switch.take_output()[-1][0], 481))
    assert events == [{"kind": "released", "leg": "l1", "cause": 41, "by": "failure", "sip_status": 481}]


def test_an_offer_that_waits_out_a_glare_is_given_up_where_theirs_is_taken(switch, phone):
    """It was made before theirs changed the session (RFC 3261 14.1 lets it wait, not outlive them)."""
    invite = confirmed(switch, phone)
    switch.request({"kind": "reinvite_request", "leg": "l1", "sdp": OFFER}, phone.now_ms)
    events, _ = phone.send(phone.respond(switch.take_output()[0][0], 491))
    assert events == []
    their = phone.in_dialog(invite, "INVITE", [("Contact", "<%s>" % phone.contact())], OFFER)
    events, _ = phone.send(their)
    assert [event["kind"] for event in events] == ["reinvite"]
    events = switch.request({"kind": "reinvite_response", "leg": "l1", "sdp": ANSWER}, phone.now_ms)
    assert events == [{"kind": "reinvite_failed", "leg": "l1", "status": 491}]
    assert status(switch.take_output()[-1][0]) == 200
    phone.send(phone.in_dialog(invite, "ACK"))
    sent = []
    for _ in range(20):
        if switch.deadline_ms() is None or switch.deadline_ms() > phone.now_ms + 10000:
            break
        phone.now_ms = max(phone.now_ms, switch.deadline_ms())
        switch.expire(phone.now_ms)
        sent += [method(octets) for octets, _ in switch.take_output()]
    assert "INVITE" not in sent


@pytest.mark.parametrize("kind, body, digit, duration", [
    ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5", 160),
    ("application/dtmf-relay", b"Signal= *\nDuration= 100", "*", 100),
    ("application/dtmf", b"#", "#", 250), ("application/dtmf", b"11", "#", 250),
    # what analog gateways send for a hook flash; AudioCodes' manual, HookFlashOption, has each with the maker of its exchange
    ("application/hook-flash", b"signal=hf", "!", 250), ("application/hook-flash", b" ", "!", 250), ("application/dtmf-relay", b"Signal=16", "!", 250),
    ("application/sscc", b"event=flashhook", "!", 250), ("application/broadsoft; version=1.0", b"event flashhook\r\n", "!", 250)])
def test_info(switch, phone, kind, body, digit, duration):
    invite = confirmed(switch, phone)
    request = phone.in_dialog(invite, "INFO", body=body).replace(b"application/sdp", kind.encode())
    events, output = phone.send(request)
    assert events == [{"kind": "dtmf", "leg": "l1", "digit": digit, "duration_ms": duration}]
    assert status(output[0]) == 200


def test_other_requests_in_and_out_of_a_dialog(switch, phone):
    invite = confirmed(switch, phone)
    assert status(phone.send(phone.in_dialog(invite, "OPTIONS"))[1][0]) == 200
    _, output = phone.send(phone.in_dialog(invite, "MESSAGE"))
    assert status(output[0]) == 405 and "INVITE" in header(output[0], "Allow")
    assert status(phone.send(phone.in_dialog(invite, "XYZZY"))[1][0]) == 501
    assert status(phone.send(phone.in_dialog(invite, "INFO", body=b"x"))[1][0]) == 415
    assert status(phone.send(phone.in_dialog(invite, "INFO", cseq=1))[1][0]) == 500          # out of order
    assert status(phone.send(phone.request("BYE", "sip:9@x", to="<sip:9@x>;tag=none"))[1][0]) == 481
    assert status(phone.send(phone.request("NOTIFY", "sip:9@x"))[1][0]) == 405
    assert status(phone.send(phone.request("INFO", "sip:9@x"))[1][0]) == 481
    _, output = phone.send(phone.request("OPTIONS", "sip:9@x"))
    assert status(output[0]) == 200 and "INVITE" in header(output[0], "Allow")
    # a far end that knows the Call-ID but not the tags is nobody
    assert status(phone.send(phone.in_dialog(invite, "BYE").replace(b"phone-tag", b"guess"))[1][0]) == 481
    assert switch.live_legs()[0]["state"] == "confirmed"


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


# a new process

def test_confirmed_call_lives_on_after_a_restart(switch, phone):
    invite = confirmed(switch, phone)
    new = restart(switch, 2, phone.now_ms)
    assert new.resume(phone.now_ms) == []
    assert new.live_legs() == [{"leg": "l1", "direction": "out", "state": "confirmed", "line": "1001"}]
    assert new.contacts("1001") == switch.contacts("1001")
    phone.switch = new
    # the 200 again (its ACK was lost): the same ACK again
    _, output = phone.send(phone.respond(invite, 200, body=ANSWER))
    assert [method(octets) for octets in output] == ["ACK"]
    # re-INVITE and BYE of the far end
    events, _ = phone.send(phone.in_dialog(invite, "INVITE", [("Contact", "<%s>" % phone.contact())], OFFER))
    assert kinds(events) == ["reinvite"]
    # killed again while control owes an answer
    third = restart(new, 3, phone.now_ms)
    assert third.resume(phone.now_ms) == [{"kind": "reinvite", "leg": "l1", "sdp": OFFER}]
    third.request({"kind": "reinvite_response", "leg": "l1", "sdp": ANSWER}, phone.now_ms)
    ok = third.take_output()[0][0]
    assert status(ok) == 200
    # and while the ACK to that is missing: the 200 goes out again
    fourth = restart(third, 4, phone.now_ms)
    fourth.resume(phone.now_ms)
    fourth.expire(phone.now_ms + 500)
    assert fourth.take_output()[0][0] == ok
    phone.switch = fourth
    phone.send(phone.in_dialog(invite, "ACK", cseq=int(header(ok, "CSeq").split()[0])))
    events, output = phone.send(phone.in_dialog(invite, "BYE"))
    assert kinds(events) == ["released"] and status(output[0]) == 200


@pytest.mark.parametrize("direction", ["out", "in"])
def test_our_bye_after_a_restart(switch, phone, direction):
    if direction == "out":
        confirmed(switch, phone)
        leg = "l1"
    else:
        leg, _ = incoming(switch, phone)
    new = restart(switch, 2, phone.now_ms)
    new.resume(phone.now_ms)
    assert kinds(new.request({"kind": "release_request", "leg": leg}, phone.now_ms)) == ["released"]
    bye, destination = new.take_output()[0]
    assert method(bye) == "BYE" and destination == phone.address and header(bye, "To").endswith(";tag=phone-tag")
    # killed before the BYE was answered: it goes out again, as a new request
    third = restart(new, 3, phone.now_ms)
    assert third.resume(phone.now_ms) == [] and third.live_legs() == []
    again = third.take_output()[0][0]
    assert method(again) == "BYE" and header(again, "Via") != header(bye, "Via")
    assert int(header(again, "CSeq").split()[0]) == int(header(bye, "CSeq").split()[0]) + 1
    phone.switch = third
    phone.send(phone.respond(again, 481))
    for _ in range(10):
        third.expire(third.deadline_ms() or 0)
    assert third.sessions == {} and not third.take_changes()["leg/" + leg]


@pytest.mark.parametrize("provisional", [True, False])
def test_pending_outgoing_invite_is_cancelled_on_restart(switch, phone, provisional):
    phone.register()
    invite = call_phone(switch, phone)
    if provisional:
        phone.send(phone.respond(invite, 180))
    new = restart(switch, 2, phone.now_ms)
    assert new.resume(phone.now_ms) == [{"kind": "released", "leg": "l1", "cause": 41, "by": "failure"}]
    phone.switch = new
    output = [octets for octets, _ in new.take_output()]
    if not provisional:
        assert output == []
        _, output = phone.send(phone.respond(invite, 180))
    cancel = output[0]
    assert method(cancel) == "CANCEL" and header(cancel, "Via") == header(invite, "Via")
    # a 200 that was on its way is acknowledged and ended
    events, output = phone.send(phone.respond(invite, 200, body=ANSWER))
    assert events == [] and [method(octets) for octets in output] == ["ACK", "BYE"]


def test_pending_incoming_invite_goes_on_after_a_restart(switch, phone):
    events, _ = phone.invite()
    leg = events[0]["leg"]
    switch.request({"kind": "alerting_request", "leg": leg}, phone.now_ms)
    ringing = switch.take_output()[0][0]
    new = restart(switch, 2, phone.now_ms)
    assert new.resume(phone.now_ms) == [] and new.live_legs()[0]["state"] == "alerting"
    phone.switch = new
    new.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, phone.now_ms)
    ok = new.take_output()[0][0]
    assert status(ok) == 200 and header(ok, "To") == header(ringing, "To")
    third = restart(new, 3, phone.now_ms)
    third.resume(phone.now_ms)
    phone.switch = third
    phone.send(phone.in_dialog(ok, "ACK", cseq=phone.cseq))
    assert third.live_legs()[0]["state"] == "confirmed"


def test_changes_equal_the_dump(switch, phone):
    rows = {}

    def store():
        for key, record in switch.take_changes().items():
            if record is None:
                rows.pop(key, None)
            else:
                rows[key] = json.loads(json.dumps(record))
    phone.register()
    store()
    invite = call_phone(switch, phone)
    store()
    for octets in (phone.respond(invite, 180), phone.respond(invite, 200, body=ANSWER),
                   phone.in_dialog(invite, "INVITE", [("Contact", "<%s>" % phone.contact())], OFFER)):
        phone.send(octets)
        store()
        assert rows == json.loads(json.dumps(switch.dump()))
    switch.request({"kind": "release_request", "leg": "l1"}, phone.now_ms)
    for octets, _ in switch.take_output():
        if method(octets) == "BYE":
            phone.send(phone.respond(octets, 200))
    while switch.transactions.clients:
        switch.expire(switch.deadline_ms())
    store()
    assert list(rows) == ["line/1001"]


def test_expired_binding_is_not_restored(switch, phone):
    phone.register()
    new = restart(switch, 2, phone.now_ms + 600001)
    assert new.contacts("1001") == [] and new.take_changes() == {"line/1001": None}
    new = restart(switch, 2, phone.now_ms, lines={"1002": "x"})
    assert new.contacts("1001") == [] and new.take_changes() == {"line/1001": None}
    assert kinds(switch.set_lines({"1002": "x"}, phone.now_ms)) == ["line_unregistered"]


# bad input

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


def test_known_and_unknown_users_cost_the_same():
    """The same number and sizes of hashes whether the line exists or not, and whether the password fits."""
    import hashlib
    from firmware.proto.sip.endpoint import SIPEndpoint
    from tests.proto.sip_world import HASHES, Ids
    import os
    calls = []

    def counted(octets):
        calls.append(len(octets))
        return hashlib.md5(octets).digest()
    switch = SIPEndpoint({"address": "127.0.0.1", "port": 15060, "realm": "strowger", "lines": {"1001": "secret-1"}},
                         os.urandom, {"MD5": counted, "SHA-256": HASHES["SHA-256"]}, Ids())
    costs = []
    for line, password in (("1001", "wrong-01"), ("9999", "wrong-01"), ("1001", "wrong-02")):
        del calls[:]
        _, answer = Phone(switch, line, password).register()
        assert status(answer) == 401
        costs.append(list(calls))
    assert costs[0] == costs[1] == costs[2]


def test_records_of_another_version_cost_one_leg(switch, phone):
    from firmware.proto.sip.endpoint import SIPEndpoint
    from tests.proto.sip_world import HASHES, Ids
    import os
    confirmed(switch, phone)
    records = switch.dump()
    records["leg/l8"] = {"direction": "out"}
    records["leg/l9"] = dict(records["leg/l1"], dialog={"call_id": 5})
    records["line/1002"] = {"bindings": 7}
    new = SIPEndpoint.restore(records, switch.config, os.urandom, HASHES, Ids(), phone.now_ms)
    new.resume(phone.now_ms)
    assert [leg["leg"] for leg in new.live_legs()] == ["l1"]
    assert new.counters["not_restored"] == 3
    changes = new.take_changes()
    assert changes["leg/l8"] is None and changes["leg/l9"] is None and changes["line/1002"] is None


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
