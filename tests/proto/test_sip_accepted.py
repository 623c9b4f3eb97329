"""A 2xx to an INVITE and its ACK: lost, late, twice, from two far ends.  RFC 6026, RFC 3261 13.2.2.4 and 13.3.1.4."""

import gc

import pytest

from firmware.proto.sip.message import SIPMessage
from tests.proto.sip_calls import incoming
from tests.proto.sip_world import ANSWER, OFFER, Phone, endpoint, header, method, restart, status


@pytest.fixture
def switch():
    return endpoint()


@pytest.fixture
def phone(switch):
    phone = Phone(switch)
    phone.register()
    return phone


def called(switch, phone):
    """An INVITE that rings."""
    switch.request({"kind": "invite_request", "leg": "l1", "line": "1001", "sdp": OFFER, "caller": "1"}, phone.now_ms)
    invite = switch.take_output()[0][0]
    phone.send(phone.respond(invite, 180))
    return invite


def tags(output):
    return [(method(octets), header(octets, "To").partition(";tag=")[2]) for octets in output]


@pytest.mark.conformance("RFC 6026", "7.1", "each 2xx is acknowledged, a second far end's ended by one BYE, also over a restart")
def test_a_second_far_end_gets_one_bye_and_an_ack_for_each_of_its_2xx(switch, phone):
    invite = called(switch, phone)
    events, output = phone.send(phone.respond(invite, 200, body=ANSWER))
    assert [event["kind"] for event in events] == ["answered"] and tags(output) == [("ACK", "phone-tag")]
    first = output[0]
    second = phone.respond(invite, 200, tag="other-tag", body=ANSWER)
    events, output = phone.send(second)
    assert events == [] and tags(output) == [("ACK", "other-tag"), ("BYE", "other-tag")]
    acknowledgement = output[0]
    phone.send(phone.respond(output[1], 200))
    assert phone.send(second) == ([], [acknowledgement]), "the ACK again, octet by octet, and no second BYE"
    assert phone.send(phone.respond(invite, 200, body=ANSWER)) == ([], [first])
    phone.switch = again = restart(switch, 7, phone.now_ms)
    again.resume(phone.now_ms)
    again.take_output()
    assert phone.send(second) == ([], [acknowledgement])
    assert phone.send(phone.respond(invite, 200, body=ANSWER)) == ([], [first])
    assert [row["state"] for row in again.live_legs()] == ["confirmed"]


def test_a_late_2xx_after_a_cancel_is_ended_once(switch, phone):
    invite = called(switch, phone)
    switch.request({"kind": "release_request", "leg": "l1"}, phone.now_ms)
    cancel = switch.take_output()[0][0]
    assert method(cancel) == "CANCEL"
    phone.send(phone.respond(cancel, 200))
    late = phone.respond(invite, 200, body=ANSWER)
    events, output = phone.send(late)
    assert events == [] and tags(output) == [("ACK", "phone-tag"), ("BYE", "phone-tag")]
    assert phone.send(late) == ([], output[:1])
    phone.send(phone.respond(output[1], 200))
    assert phone.send(late) == ([], output[:1])
    for step in range(1, 70):
        switch.expire(phone.now_ms + step * 1000)
    assert not switch.sessions and not switch.transactions.clients, "timer M is over"


@pytest.mark.conformance("RFC 6026", "7.1 (server)", "in Accepted an INVITE that comes again is swallowed, the 2xx goes again by the owner's timer only, until its ACK")
def test_an_invite_that_comes_again_after_its_2xx_is_swallowed(switch, phone):
    phone.cseq = 40
    events, output = phone.invite()
    leg = events[0]["leg"]
    request = {"kind": "answer_request", "leg": leg, "sdp": ANSWER}
    switch.request(request, phone.now_ms)
    answer = switch.take_output()[0][0]
    transaction, = [one for one in switch.transactions.servers.values() if one.method == "INVITE" and one.state == "accepted"]
    again = transaction.request.serialise()
    assert phone.send(again) == ([], [])
    sent = []
    for step in range(1, 80):
        switch.expire(phone.now_ms + step * 50)
        sent += [(step * 50, octets) for octets, _ in switch.take_output()]
    assert [ms for ms, _ in sent] == [500, 1500, 3500] and {octets for _, octets in sent} == {answer} and status(answer) == 200
    assert phone.send(phone.in_dialog(answer, "ACK", cseq=int(header(answer, "CSeq").split()[0]))) == ([], [])
    assert phone.send(again) == ([], []), "acknowledged, and still no second call"
    for step in range(80, 200):
        switch.expire(phone.now_ms + step * 50)
    assert switch.take_output() == [] and [row["state"] for row in switch.live_legs()] == ["confirmed"]


def messages_held():
    gc.collect()
    return sum(isinstance(thing, SIPMessage) for thing in gc.get_objects())


def test_a_call_that_stands_keeps_no_message(switch, phone):
    """Its INVITEs' transactions know copies for half a minute more; a message kept for each would be a fifth of what control holds of a call."""
    before = messages_held()
    phone.send(phone.respond(called(switch, phone), 200, body=ANSWER))
    incoming(switch, phone)
    switch.take_changes()
    assert messages_held() == before
    kept = [*switch.transactions.clients.values(), *switch.transactions.servers.values()]
    assert [one.state for one in kept if one.method == "INVITE"] == ["accepted", "accepted"]
    switch.expire(phone.now_ms + 40000)
    assert not switch.transactions.clients and not switch.transactions.servers
    assert [row["state"] for row in switch.live_legs()] == ["confirmed", "confirmed"]
