"""Calls between a switch and a telephone by hand (sip_world.py), as far as a test wants them."""

from tests.proto.sip_world import ANSWER, OFFER, header, kinds, method, status


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
