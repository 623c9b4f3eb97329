"""Calls of a telephone by hand to the SIP endpoint: answered, refused, cancelled, and how many there may be."""

from tests.proto.sip_calls import confirmed
from tests.proto.sip_world import ANSWER, OFFER, Phone, endpoint, header, kinds, method, restart, status


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


def test_merged_and_overload():
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
    switch.set_guard({}, ["9"])
    _, output = phone.send(phone.request("INVITE", "sip:9@strowger", call_id="urgent"))
    assert status(output[0]) == 401, "an emergency number: the password is all that is asked"


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
