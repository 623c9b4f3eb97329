"""Interoperability of each variant of Q.931 with libpri 1.6 as that switch, both sides; tshark reads every frame."""

import pytest

from tests.proto.libpri_rig import incoming, needs_peer, outgoing, rig  # noqa: F401

pytestmark = needs_peer
AMERICAN = ("ni2", "5ess", "dms100")
SIDES = pytest.mark.parametrize("side", ["user", "network"])
EACH = pytest.mark.parametrize("variant", AMERICAN + ("qsig",))


@EACH
@SIDES
def test_incoming(rig, side, variant):
    r = rig(side, variant=variant)
    far, event = incoming(r, name="ALICE", user_user="HELLO")
    assert event["called_digits"] == "02150801000" and event["called_complete"]
    assert event["caller"]["number"] == "13912345678" and event["caller_name"] == "ALICE"
    assert event["user_user"] == "04" + b"HELLO".hex()
    call = event["call"]
    r.say("proceeding_request", call, inband=True)
    assert int(r.far.take("proceeding")["progress"]) & 8
    r.say("alerting_request", call)
    assert r.far.take("ringing")
    r.say("setup_response", call)
    assert r.far.take("answer")
    assert r.ours.take("setup_complete_indication")["state"].endswith("10_ACTIVE")
    r.say("status_enquiry", call)
    assert r.ours.take("call_confirmed")["call_state"] == 10
    r.tell("hangup", far, 16)
    assert r.ours.take("disconnect_indication")["cause"] == 16
    r.say("release_request", call, cause=16)
    assert r.ours.take("released")["by"] == "far" and r.ours.calls.calls() == []


@EACH
@SIDES
def test_outgoing(rig, side, variant):
    r = rig(side, variant=variant)
    call = outgoing(r, caller_name="Bob")
    ring = r.far.take("ring")
    assert (ring["called"], ring["caller"]) == ("13912345678", "02150801000")
    assert ring["name"] == "Bob"
    r.tell("proceeding", ring["call"], ring["channel"])
    assert r.ours.take("proceeding_indication")["timeslot"] == 5
    r.tell("alerting", ring["call"], ring["channel"])
    assert r.ours.take("alerting_indication")
    r.tell("answer", ring["call"], ring["channel"])
    assert r.ours.take("setup_confirm")["state"].endswith("10_ACTIVE")
    r.say("release_request", call, cause=16)
    assert r.far.take("hangup_req")["cause"] == "16"
    r.tell("hangup", ring["call"], 16)
    assert r.ours.take("released")["by"] == "near"


@EACH
def test_refused_both_ways_and_restart(rig, variant):
    r = rig("user", variant=variant)
    far, event = incoming(r)
    r.say("release_request", event["call"], cause=17)
    assert r.far.take("hangup")["cause"] == "17"
    outgoing(r)
    r.tell("hangup", r.far.take("ring")["call"], 1)
    assert r.ours.take("released")["cause"] == 1
    r.tell("reset", 7)
    assert r.ours.take("restart_indication")["timeslots"] == [7]
    assert r.far.take("restart_ack")
    r.ours.restart(r.line.now_ms, [9])
    r.line.settle()
    assert r.far.take("restart") and r.ours.take("restart_confirm")["timeslots"] == [9]


@pytest.mark.parametrize("variant", AMERICAN)
@SIDES
def test_service(rig, side, variant):
    """The far end takes a channel out of service and back; we do (5ess, dms100: libpri answers NI2 with nonsense)."""
    r = rig(side, variant=variant)
    r.tell("service", 11, 2)
    event = r.ours.take("service_indication")
    assert (event["timeslots"], event["status"]) == ([11], "out_of_service")
    assert 11 not in r.ours.calls.free_timeslots()
    r.line.run(2000)
    r.tell("service", 11, 0)
    assert 11 in r.ours.calls.free_timeslots()
    if variant != "ni2":
        r.far.take()
        r.ours._keep(r.ours.calls.service(r.line.now_ms, 12, "out_of_service"), r.line.now_ms)
        r.line.settle()
        assert r.ours.take("service_confirm")["status"] == "out_of_service"
        assert 12 not in r.ours.calls.free_timeslots()


@SIDES
def test_qsig_overlap(rig, side):
    r = rig(side, overlap=True, variant="qsig")
    far, event = incoming(r, called="021", complete=0)
    assert not event["called_complete"]
    r.say("setup_ack_request", event["call"])
    assert r.far.take("setup_ack")
    r.tell("info", far, "5")
    assert r.ours.take("information_indication")["digits"] == "5"
    call = outgoing(r, called="139", complete=False)
    ring = r.far.take("ring")
    r.tell("more", ring["call"], ring["channel"])
    assert r.ours.take("setup_ack_indication")
    r.say("information_request", call, digits="7")
    assert r.far.take("info")["digits"] == "7"
