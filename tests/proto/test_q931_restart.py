"""kill -9 of layer 3: dump, restore, audit, repair (Q.931 5.8.10, 5.8.11)."""

import json

import pytest

from firmware.proto.q931.link import Q931Link
from firmware.proto.q931.status import reconcile
from tests.proto.q931_rig import SETUP, CAUSE_16, Pair, build, kinds, link, mark, names, talking


@pytest.mark.parametrize("near, far", [("user", "network"), ("network", "user")])
def test_restored_at_every_step(near, far):
    """Both sides are dumped to JSON and rebuilt after each step; the line shows no difference."""
    def play(restored):
        pair = Pair(overlap_receiving=True)
        trace = []

        def renew():
            if restored:
                for side in ("user", "network"):
                    saved = json.loads(json.dumps(getattr(pair, side).dump()))
                    setattr(pair, side, Q931Link.restore(saved, {"overlap_receiving": True}))

        def step(side, primitive, call, **given):
            made = getattr(pair, side)
            pair.events[side] += made.request(primitive, call, pair.now_ms, **given)
            trace.append([o.hex() for o in getattr(pair, side)._output])
            pair.settle()
            trace.append(pair.take("user") + pair.take("network"))
            trace.append([pair.user.deadline_ms(), pair.network.deadline_ms()])
            renew()

        call = getattr(pair, near).new_call()
        step(near, "setup_request", call, called="021", timeslot=3, complete=False)
        theirs = "f1"
        step(far, "setup_ack_request", theirs)
        step(near, "information_request", call, digits="9")
        step(far, "proceeding_request", theirs)
        step(far, "alerting_request", theirs, inband=True)
        step(far, "setup_response", theirs)
        step(far, "release_request", theirs, cause=31)
        step(near, "release_request", call)
        assert pair.user.calls() == pair.network.calls() == []
        return trace

    assert play(True) == play(False)


def test_timers_fall_due_after_a_restart():
    made = link()
    call = talking(made)
    made.request("release_request", call, 1000, cause=16)
    made.receive(build("DISCONNECT", cause=CAUSE_16), 1000)          # RELEASE sent, T308
    again = Q931Link.restore(json.loads(json.dumps(made.dump())))
    assert again.audit(60000, True) == [] and again.take_output() == []
    again.expire(60000)
    assert kinds(again) == ["RELEASE"]


def test_audit_releases_what_the_far_end_disconnected():
    made = link()
    call = talking(made)
    made.receive(build("DISCONNECT", cause=CAUSE_16), 0)
    again = Q931Link.restore(json.loads(json.dumps(made.dump())))
    again.audit(10, True)
    assert kinds(again) == ["RELEASE"]
    assert names(again.receive(build("RELEASE_COMPLETE"), 20)) == ["released"] and call


@mark("5.8.10", "STATUS ENQUIRY without an answer: three times, then the call is cleared")
def test_audit_without_an_answer():
    made = link()
    talking(made)
    again = Q931Link.restore(json.loads(json.dumps(made.dump())))
    again.audit(0, True)
    events = []
    for now in (4000, 8000, 12000):
        events += again.expire(now)
    assert kinds(again) == ["STATUS_ENQUIRY"] * 3 + ["DISCONNECT"] and names(events) == ["call_lost"]


@mark("5.8.11", "STATUS with state Null: the call is gone")
def test_audit_finds_the_call_gone():
    made = link()
    call = talking(made)
    again = Q931Link.restore(json.loads(json.dumps(made.dump())))
    again.audit(0, True)
    events = again.receive(build("STATUS", 1, 0, cause={"cause": 30, "location": 2}, call_state={"state": 0}), 5)
    assert names(events) == ["status_indication", "call_lost", "released"]
    assert events[-1]["call"] == call and again.calls() == []


@mark("5.8.11", "unsolicited STATUS with another state: we ask before we clear")
def test_unsolicited_status_asks():
    made = link()
    talking(made)
    made.receive(build("STATUS", 1, 0, cause={"cause": 97, "location": 2}, call_state={"state": 10}), 5)
    assert made.take_output() == []
    made.receive(build("STATUS", 1, 0, cause={"cause": 97, "location": 2}, call_state={"state": 2}), 5)
    assert kinds(made) == ["STATUS_ENQUIRY"]
    made.receive(build("STATUS", 1, 0, cause={"cause": 30, "location": 2}, call_state={"state": 2}), 5)
    assert kinds(made) == ["CONNECT"]


@mark("5.8.8, 5.8.11", "after a reset of the data link the far end is found clearing: its DISCONNECT is lost, we release")
@pytest.mark.parametrize("state", [11, 12, 19])
def test_a_far_end_that_is_found_clearing(state):
    made = link()
    call = talking(made)
    made.link_up(5)
    assert kinds(made) == ["STATUS_ENQUIRY"]
    events = made.receive(build("STATUS", 1, 0, cause={"cause": 30, "location": 2}, call_state={"state": state}), 6)
    assert names(events) == ["status_indication", "disconnect_indication"]
    assert (events[-1]["cause"], events[-1]["by"]) == (31, "far")
    assert made.request("release_request", call, 6) == [] and kinds(made) == ["RELEASE"]
    events = made.receive(build("RELEASE_COMPLETE"), 7)
    assert names(events) == ["released"] and made.calls() == [] and made.deadline_ms() is None


def test_setup_that_never_left_is_sent_after_a_restart():
    made = link()
    made.request("setup_request", made.new_call(), 0, called="1", timeslot=1)
    again = Q931Link.restore(json.loads(json.dumps(made.dump())))
    assert again.audit(10, True) == [] and again.take_output() == []
    again.expire(4000)
    assert kinds(again) == ["SETUP"]


@pytest.mark.parametrize("originating, ours, theirs, verdict", [
    (False, 10, 10, "same"), (False, 8, 7, "resend"), (False, 8, 4, "resend"), (False, 8, 10, "connected"),
    (False, 9, 6, "resend"), (False, 9, 1, "resend"), (False, 25, 25, "same"), (False, 9, 10, "mismatch"),
    (False, 10, 8, "same"), (False, 10, 9, "resend"), (False, 11, 10, "resend"), (False, 10, 12, "same"),
    (True, 3, 10, "connected"), (True, 3, 3, "same"), (True, 4, 3, "same"), (True, 10, 8, "resend"),
    (True, 10, 3, "mismatch"), (False, 9, 17, "mismatch"), (True, 9, 8, "connected")])
def test_reconcile(originating, ours, theirs, verdict):
    assert reconcile(originating, ours, theirs) == verdict


def test_repeated_delivery_is_dropped():
    made = link()
    assert names(made.receive(SETUP, 0, sequence=(3, 7))) == ["setup_indication"]
    again = Q931Link.restore(json.loads(json.dumps(made.dump())))
    assert again.receive(SETUP, 0, sequence=(3, 7)) == [] and again.take_output() == []
    assert again.counters == {"repeated_deliveries": 1}
    other = SETUP.replace(b"\0\1\5", b"\0\2\5").replace(b"\x83\x81", b"\x83\x82")
    assert names(again.receive(other, 0, sequence=(4, 1))) == ["setup_indication"]


def test_call_references_are_not_used_again_at_once():
    made = link()
    assert [made.new_call() for _ in range(3)] == ["n1", "n2", "n3"]
    made.request("release_request", "n1", 0)
    again = Q931Link.restore(json.loads(json.dumps(made.dump())))
    assert again.new_call() == "n4"
    again._next_reference = 32767
    assert [again.new_call(), again.new_call()] == ["n32767", "n1"]
