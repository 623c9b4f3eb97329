"""Requests in the dialog of a call, both ways: hold, glare, digits, whether a silent telephone is there."""

import pytest

from firmware.errors import LocalError
from firmware.proto import sdp
from tests.proto.sip_calls import confirmed
from tests.proto.sip_world import ANSWER, OFFER, header, method, status


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
