"""The SIP endpoint after its process was killed: calls, bindings and what was under way, from the records that it left."""

import json
import os

import pytest

from firmware.proto.sip.endpoint import SIPEndpoint
from tests.proto.sip_calls import call_phone, confirmed, incoming
from tests.proto.sip_world import ANSWER, HASHES, OFFER, Ids, header, kinds, method, restart, status


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


def test_records_of_another_version_cost_one_leg(switch, phone):
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
