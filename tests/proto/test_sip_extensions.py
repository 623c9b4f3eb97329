"""SIP trunks against a carrier by hand: reliable progress, UPDATE and session timers, both ways."""

import pytest

from tests.proto.sip_carrier import T0, Far, call, incoming, started, trunk
from tests.proto.sip_world import ANSWER, OFFER, header, kinds, method, status


# 100rel and UPDATE.

@pytest.mark.conformance("RFC 3262", "4", "a reliable provisional response is acknowledged by PRACK once; BYE goes on counting")
def test_reliable_progress_of_the_far_end():
    switch, _ = started(trunk())
    far = Far(switch)
    call(switch)
    invite = far.taken()[0]
    reliable = [("Require", "100rel"), ("RSeq", "77"), ("Record-Route", "<sip:10.0.0.1;lr>")]
    events, output = far.reply(invite, 183, body=ANSWER, extra=reliable)
    assert (events[0]["kind"], events[0]["status"], events[0]["sdp"]) == ("alerting", 183, ANSWER)
    prack = output[0]
    assert method(prack) == "PRACK" and header(prack, "RAck") == "77 1 INVITE" and header(prack, "CSeq") == "2 PRACK"
    assert header(prack, "Route") == "<sip:10.0.0.1;lr>"
    far.reply(prack, 200)
    assert far.reply(invite, 183, body=ANSWER, extra=reliable) == ([], [])                  # repeated
    assert far.reply(invite, 180, extra=[("Require", "100rel"), ("RSeq", "79")]) == ([], [])      # one is missing
    events, output = far.reply(invite, 180, extra=[("Require", "100rel"), ("RSeq", "78")])
    assert events[0]["status"] == 180 and header(output[0], "RAck") == "78 1 INVITE"
    # an UPDATE with another session before the answer (RFC 3311)
    events, _ = far.send(far.in_dialog(invite, "UPDATE", [("Contact", "<sip:gw@10.0.0.1>")], OFFER, cseq=5))
    assert kinds(events) == ["reinvite"]
    switch.request({"kind": "reinvite_response", "leg": "l1", "sdp": ANSWER}, T0)
    assert status(far.taken()[-1]) == 200
    events, output = far.reply(invite, 200)
    assert events[0]["sdp"] == ANSWER and header(output[0], "CSeq") == "1 ACK"
    switch.request({"kind": "release_request", "leg": "l1"}, T0)
    assert header(far.taken()[-1], "CSeq") == "4 BYE"


@pytest.mark.conformance("RFC 3262", "3", "our reliable provisional response is repeated until its PRACK; the answer waits for it")
def test_our_reliable_progress():
    switch, _ = started(trunk())
    far = Far(switch)
    invite = incoming(far, extra=[("Supported", "100rel")])
    events, _ = far.send(invite)
    leg = events[0]["leg"]
    switch.request({"kind": "alerting_request", "leg": leg, "status": 183, "sdp": ANSWER}, T0)
    progress = far.taken()[-1]
    assert status(progress) == 183 and header(progress, "Require") == "100rel"
    rseq = header(progress, "RSeq")
    switch.request({"kind": "alerting_request", "leg": leg}, T0)            # 180 must wait
    switch.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, T0)      # so must the answer
    assert not far.taken()
    _, got = far.pass_ms(1600)
    assert got == [progress, progress]                                     # after 0.5 and 1 s more
    wrong = far.in_dialog(progress, "PRACK", [("RAck", "%d 1 INVITE" % (int(rseq) + 1))])
    assert status(far.send(wrong)[1][0]) == 481
    _, output = far.send(far.in_dialog(progress, "PRACK", [("RAck", "%s %s" % (rseq, header(invite, "CSeq")))]))
    assert [status(octets) for octets in output] == [200, 200] and header(output[0], "CSeq").endswith("PRACK")
    assert header(output[1], "CSeq").endswith("INVITE")
    far.send(far.in_dialog(output[1], "ACK", cseq=int(header(invite, "CSeq").split()[0])))
    assert switch.live_legs()[0]["state"] == "confirmed"


def test_no_prack_ends_the_call():
    switch, _ = started(trunk())
    far = Far(switch)
    events, _ = far.send(incoming(far, extra=[("Require", "100rel")]))
    switch.request({"kind": "alerting_request", "leg": events[0]["leg"]}, T0)
    far.taken()
    events, got = far.pass_ms(33000)
    assert kinds(events) == ["released"] and [status(octets) for octets in got if status(octets) >= 300][:1] == [504]


# Session timers.

@pytest.mark.conformance("RFC 4028", "7.1", "422 is answered by a new INVITE with the longer interval")
def test_interval_too_small():
    switch, _ = started(trunk(session_s=90))
    far = Far(switch)
    call(switch)
    _, output = far.reply(far.taken()[0], 422, extra=[("Min-SE", "300")])
    again = [octets for octets in output if method(octets) == "INVITE"][0]
    assert header(again, "Session-Expires") == "300" and header(again, "Min-SE") == "300" and header(again, "P-Asserted-Identity")


@pytest.mark.conformance("RFC 4028", "10", "the refresher refreshes at half the interval; without refresh the other side ends the session")
def test_refresh_by_update_and_expiry():
    switch, _ = started(trunk(session_s=120))
    far = Far(switch)
    call(switch)
    invite = far.taken()[0]
    far.reply(invite, 200, body=ANSWER, extra=[("Session-Expires", "120;refresher=uac"), ("Require", "timer"), ("Allow", "INVITE, UPDATE")])
    _, got = far.pass_ms(60000)
    update = [octets for octets in got if method(octets) == "UPDATE"][0]
    assert header(update, "Session-Expires") == "120;refresher=uac" and b"\r\n\r\n" == update[-4:]
    far.reply(update, 200, extra=[("Session-Expires", "120;refresher=uas")])        # now it is theirs
    events, got = far.pass_ms(87000)
    assert not got
    events, got = far.pass_ms(2000)
    assert events[0]["kind"] == "released" and events[0]["by"] == "failure" and method(got[0]) == "BYE"


def test_refresh_by_reinvite_where_update_is_not_allowed():
    switch, _ = started(trunk(session_s=120))
    far = Far(switch)
    call(switch)
    far.reply(far.taken()[0], 200, body=ANSWER)
    events, _ = far.pass_ms(60000)
    assert {"kind": "refresh", "leg": "l1"} in events
    switch.request({"kind": "reinvite_request", "leg": "l1", "sdp": OFFER}, far.now_ms)
    again = far.taken()[0]
    assert header(again, "Session-Expires") == "120;refresher=uac"


@pytest.mark.conformance("RFC 4028", "9", "the UAS answers 422 below the minimum, else says who refreshes")
def test_timer_of_an_incoming_call():
    switch, _ = started(trunk(session_s=0))
    far = Far(switch)
    _, output = far.send(incoming(far, extra=[("Supported", "timer"), ("Session-Expires", "60")]))
    assert status(output[0]) == 422 and header(output[0], "Min-SE") == "90"
    events, _ = far.send(incoming(far, extra=[("Supported", "timer"), ("Session-Expires", "90")], call_id="again"))
    switch.request({"kind": "answer_request", "leg": events[0]["leg"], "sdp": ANSWER}, T0)
    answer = far.taken()[-1]
    assert header(answer, "Session-Expires") == "90;refresher=uac" and header(answer, "Require") == "timer"
