"""Registration at the SIP endpoint, by a telephone by hand: bindings, their time and place, the digest."""

import hashlib
import os

import pytest

from firmware.proto.sip.digest import ha1, response_of
from firmware.proto.sip.endpoint import SIPEndpoint
from tests.proto.sip_world import ANSWER, HASHES, OFFER, Ids, Phone, digest, endpoint, header, headers, kinds, method, status


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
    real = phone.request

    def natted(*args, **named):
        return real(*args, **named).replace(b"SIP/2.0/UDP 203.0.113.9:40001", b"SIP/2.0/UDP 192.168.1.5:5060")
    phone.request = natted
    _, answer = phone.register()
    assert "received=203.0.113.9" in header(answer, "Via") and "rport=40001" in header(answer, "Via")
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "1"}, phone.now_ms)
    octets, destination = switch.take_output()[0]
    assert destination == ("203.0.113.9", 40001) and octets.startswith(b"INVITE sip:1001@192.168.1.5:5060 ")
    # and so is what follows in the dialog
    _, output = phone.send(phone.respond(octets, 200, body=ANSWER))
    assert method(output[0]) == "ACK"
    switch.request({"kind": "release_request", "leg": "l1"}, phone.now_ms)
    octets, destination = switch.take_output()[0]
    assert method(octets) == "BYE" and destination == ("203.0.113.9", 40001)


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
    credentials = digest(headers(output[0], "WWW-Authenticate")[1], "REGISTER", "sip:strowger", "1001", "secret-1")
    phone.now_ms += 300001
    _, output = phone.send(phone.request("REGISTER", "sip:strowger", [("Authorization", credentials)],
                                         to="<sip:1001@strowger>"))
    assert status(output[0]) == 401 and "stale=true" in header(output[0], "WWW-Authenticate")


def test_password_as_ha1():
    switch = endpoint({"1001": {"MD5": hashlib.md5(b"1001:strowger:secret-1").hexdigest()}})
    _, answer = Phone(switch).register()
    assert status(answer) == 200


def test_challenge_keeps_no_state(switch, phone):
    for _ in range(100):
        phone.send(phone.request("INVITE", "sip:1@strowger", [("Contact", "<%s>" % phone.contact())]))
    assert not switch.transactions.servers and not switch.sessions and len(switch.timers) == 0


def test_digest_vectors():
    """RFC 7616 3.9.1 (MD5 and SHA-256) and RFC 2617 3.5."""
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    for name, expected in (("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
                           ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")):
        secret = ha1(HASHES[name], "Mufasa", "http-auth@example.org", "Circle of Life")
        assert response_of(HASHES[name], secret, "GET", "/dir/index.html", nonce, "auth", "00000001", cnonce) == expected
    secret = ha1(HASHES["MD5"], "Mufasa", "testrealm@host.com", "Circle Of Life")
    assert response_of(HASHES["MD5"], secret, "GET", "/dir/index.html", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "auth",
                       "00000001", "0a4f113b") == "6629fae49393a05397450978507c4ef1"


def test_known_and_unknown_users_cost_the_same():
    """The same number and sizes of hashes whether the line exists or not, and whether the password fits."""
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
