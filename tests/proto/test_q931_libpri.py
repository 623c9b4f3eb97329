"""Interoperability of our Q.921 and Q.931 with libpri 1.6, both sides, in virtual time.

libpri is one reading of the standard that we did not write.  After each test
tshark reads every frame that went over the line."""

import random

import pytest

from tests.proto.libpri_rig import incoming, needs_peer, outgoing, rig  # noqa: F401

pytestmark = needs_peer


@pytest.mark.parametrize("side", ["user", "network"])
@pytest.mark.parametrize("redirecting", ["4008001000", None])
def test_en_bloc_incoming_cleared_by_the_far_end(rig, side, redirecting):
    r = rig(side)
    far, event = incoming(r, redirecting=redirecting)
    assert event["called_digits"] == "02150801000" and event["called_complete"]
    assert event["caller"] == {"number": "13912345678", "type": "national", "plan": "isdn",
                               "presentation": "allowed", "screening": "network"}
    assert event["timeslot"] == 1 and event["bearer"] == "speech" and event["law"] == "A"
    if redirecting:
        assert event["redirecting"]["number"] == redirecting
        assert event["redirecting"]["reason"] == "unconditional"
    else:
        assert event["redirecting"] is None
    call = event["call"]
    r.say("proceeding_request", call, inband=True)
    # libpri reports the in-band indication: PRI_PROG_INBAND_AVAILABLE is bit 3.
    assert int(r.far.take("proceeding")["progress"]) & 8
    r.say("alerting_request", call, inband=True)
    assert int(r.far.take("ringing")["progress"]) & 8
    r.say("setup_response", call)
    assert r.far.take("answer")["channel"].endswith("1")
    assert r.ours.take("setup_complete_indication")["state"] == ("U10_ACTIVE" if side == "user" else "N10_ACTIVE")
    r.line.run(30000)
    r.tell("hangup", far, 16)
    assert r.ours.take("disconnect_indication")["cause"] == 16
    r.say("release_request", call, cause=16)
    ended = r.ours.take("released")
    assert (ended["cause"], ended["by"], ended["call"]) == (16, "far", call)
    assert r.ours.calls.calls() == [] and len(r.ours.calls.free_timeslots()) == 30


@pytest.mark.parametrize("side", ["user", "network"])
def test_incoming_cleared_by_us(rig, side):
    r = rig(side)
    far, event = incoming(r)
    call = event["call"]
    r.say("proceeding_request", call)
    r.say("setup_response", call)
    r.say("release_request", call, cause=16)
    assert r.far.take("hangup_req")["cause"] == "16"
    r.tell("hangup", far, 16)
    ended = r.ours.take("released")
    assert (ended["cause"], ended["by"]) == (16, "near")


@pytest.mark.parametrize("side", ["user", "network"])
@pytest.mark.parametrize("cause", [17, 1, 21])
def test_incoming_rejected(rig, side, cause):
    r = rig(side)
    far, event = incoming(r)
    r.say("release_request", event["call"], cause=cause)
    assert r.far.take("hangup")["cause"] == str(cause)
    assert r.ours.take("released")["by"] == "near"


@pytest.mark.parametrize("side", ["user", "network"])
def test_overlap_incoming(rig, side):
    """The far end sends SETUP with some digits, the rest one by one."""
    r = rig(side, overlap=True)
    far, event = incoming(r, called="021", complete=0)
    assert event["called_digits"] == "021" and not event["called_complete"]
    call = event["call"]
    r.say("setup_ack_request", call)
    assert r.far.take("setup_ack")
    digits = event["called_digits"]
    for digit in "50801000":
        r.tell("info", far, digit)
        digits += r.ours.take("information_indication")["digits"]
        r.line.run(2000)
    assert digits == "02150801000"
    r.say("proceeding_request", call)
    assert r.far.take("proceeding")
    r.say("alerting_request", call)
    r.say("setup_response", call)
    assert r.far.take("answer")
    r.tell("hangup", far, 16)
    r.say("release_request", call)
    assert r.ours.take("released")["cause"] == 16


def test_overlap_that_stops_short(rig):
    """T302: the layer above is asked, and left alone the call ends with cause 28."""
    r = rig("user", overlap=True)
    far, event = incoming(r, called="021", complete=0)
    r.say("setup_ack_request", event["call"])
    r.line.run(15000)
    assert r.ours.take("digits_timeout")
    r.line.run(15000)
    assert r.far.take("hangup_req")["cause"] == "28"
    r.tell("hangup", far, 28)
    assert r.ours.take("released")["cause"] == 28


@pytest.mark.parametrize("side", ["user", "network"])
def test_outgoing(rig, side):
    r = rig(side)
    call = outgoing(r, redirecting="4008001000")
    ring = r.far.take("ring")
    assert (ring["called"], ring["caller"], ring["redirecting"]) == ("13912345678", "02150801000", "4008001000")
    assert ring["complete"] == "1" and ring["channel"].endswith("5") and ring["flexible"] == "0"
    channel = ring["channel"]
    r.tell("proceeding", ring["call"], channel)
    assert r.ours.take("proceeding_indication")["timeslot"] == 5
    r.tell("alerting", ring["call"], channel)
    assert r.ours.take("alerting_indication")["inband"]
    r.tell("answer", ring["call"], channel)
    assert r.ours.take("setup_confirm")["state"].endswith("10_ACTIVE")
    r.say("release_request", call, cause=16)
    assert r.far.take("hangup_req")["cause"] == "16"
    r.tell("hangup", ring["call"], 16)
    assert r.ours.take("released")["by"] == "near"


@pytest.mark.parametrize("side", ["user", "network"])
def test_outgoing_overlap(rig, side):
    r = rig(side, overlap=True)
    call = outgoing(r, called="139", complete=False)
    ring = r.far.take("ring")
    assert ring["complete"] == "0"
    r.tell("more", ring["call"], ring["channel"])
    assert r.ours.take("setup_ack_indication")["timeslot"] == 5
    got = ring["called"]
    for digit in "12345678":
        r.say("information_request", call, digits=digit)
        got += r.far.take("info")["digits"]
    assert got == "13912345678"
    r.tell("proceeding", ring["call"], ring["channel"])
    r.tell("answer", ring["call"], ring["channel"])
    assert r.ours.take("setup_confirm")
    r.tell("hangup", ring["call"], 16)
    r.say("release_request", call)
    assert r.ours.take("released")["by"] == "far"


def test_outgoing_refused(rig):
    """RELEASE_COMPLETE as the first answer."""
    r = rig()
    outgoing(r)
    r.tell("hangup", r.far.take("ring")["call"], 1)
    ended = r.ours.take("released")
    assert (ended["cause"], ended["by"]) == (1, "far")


def test_outgoing_busy(rig):
    r = rig()
    call = outgoing(r)
    ring = r.far.take("ring")
    r.tell("proceeding", ring["call"], ring["channel"])
    r.tell("hangup", ring["call"], 17)
    assert r.ours.take("disconnect_indication")["cause"] == 17
    r.say("release_request", call)
    assert r.ours.take("released")["cause"] == 17


def test_outgoing_on_a_preferred_channel_is_moved(rig):
    r = rig()
    outgoing(r, exclusive=False)
    ring = r.far.take("ring")
    assert ring["flexible"] == "1"
    r.tell("proceeding", ring["call"], int(ring["channel"]) + 1)
    assert r.ours.take("proceeding_indication")["timeslot"] == 6


def test_two_calls_on_one_timeslot(rig):
    """Exclusive and busy: cause 44; preferred and busy: another timeslot."""
    r = rig()
    far, event = incoming(r, channel=3)
    r.tell("setup", 3, 1, "123", 1, "-", "-")
    assert r.far.take("hangup")["cause"] == "44"
    _, second = incoming(r, channel=3, exclusive=0)
    assert second["timeslot"] == 1
    r.say("proceeding_request", second["call"])
    assert r.far.take("proceeding")["channel"].endswith("1")


def test_status_enquiry(rig):
    r = rig()
    far, event = incoming(r)
    call = event["call"]
    r.say("proceeding_request", call)
    r.say("setup_response", call)
    r.ours.take()
    r.say("status_enquiry", call)
    assert r.ours.take("call_confirmed")["call_state"] == 10
    r.line.run(60000)
    assert r.ours.take() == []


@pytest.mark.parametrize("step", ["proceeding_request", "alerting_request", "setup_response", "release_request"])
def test_killed_before_a_message_left(rig, step):
    """The process dies between the commit and the sending: the audit finds out and repairs."""
    r = rig()
    far, event = incoming(r)
    call = event["call"]
    for name in ("proceeding_request", "alerting_request", "setup_response", "release_request"):
        r.ours.lose_output = name == step
        r.say(name, call)
        if name == step:
            break
    r.far.take()
    r.line.run(500)
    r.ours.kill(r.line.now_ms)
    r.line.settle()
    if step == "release_request":
        assert r.far.take("hangup_req")
        r.tell("hangup", far, 16)
        assert r.ours.take("released")["by"] == "near"
        return
    assert r.far.take({"proceeding_request": "proceeding", "alerting_request": "ringing",
                       "setup_response": "answer"}[step])
    assert r.ours.take("call_confirmed")["repaired"]
    if step != "setup_response":
        r.say("setup_response", call)
    assert r.ours.calls.call_state(call)["state"] == "U10_ACTIVE"
    r.line.run(20000)
    r.tell("hangup", far, 16)
    r.say("release_request", call)
    assert r.ours.take("released")["cause"] == 16


def test_killed_while_talking_and_the_far_end_hung_up_meanwhile(rig):
    r = rig()
    far, event = incoming(r)
    call = event["call"]
    r.say("proceeding_request", call)
    r.say("setup_response", call)
    r.ours.kill(r.line.now_ms)
    r.line.settle()
    assert not r.ours.take("call_confirmed")["repaired"]
    # Layer 3 is dead while DISCONNECT comes; layer 2 (media) keeps it, the new process gets it.
    waiting = []
    r.ours.receive, keep = lambda octets, now: waiting.append(octets), r.ours.receive
    r.tell("hangup", far, 16)
    r.ours.receive = keep
    r.ours.kill(r.line.now_ms)
    for octets in waiting:
        r.ours.receive(octets, r.line.now_ms)
    r.line.settle()
    assert r.ours.take("disconnect_indication")["cause"] == 16
    r.say("release_request", call)
    assert r.ours.take("released")["by"] == "far"


def test_restart_both_ways(rig):
    r = rig()
    far, event = incoming(r, channel=7)
    r.say("proceeding_request", event["call"])
    r.say("setup_response", event["call"])
    r.far.take()
    r.tell("reset", 7)
    events = r.ours.take()
    assert [(e["event"], e.get("cause")) for e in events[-2:]] == [("released", 41), ("restart_indication", None)]
    assert events[-1]["timeslots"] == [7]
    assert r.far.take("restart_ack")["channel"].endswith("7")
    r.ours.restart(r.line.now_ms, [9])
    r.line.settle()
    assert r.far.take("restart")["channel"].endswith("9")
    assert r.ours.take("restart_confirm")["timeslots"] == [9]


def test_line_cut_and_back_keeps_the_talking_call(rig):
    """5.8.9: T309 holds an active call; a set-up is cleared; the status is asked afterwards."""
    r = rig(config={"timers": {"T309": 60000}})
    far, event = incoming(r)
    call = event["call"]
    r.say("proceeding_request", call)
    r.say("setup_response", call)
    _, second = incoming(r, channel=2)
    r.say("proceeding_request", second["call"])
    r.line.cut = True
    r.line.run(20000)
    assert r.ours.take("released")["call"] == second["call"]
    assert r.ours.calls.calls() == [call]
    r.line.cut = False
    r.line.run(8000)
    assert r.ours.link.established
    assert r.ours.take("call_confirmed")["call_state"] == 10
    r.tell("hangup", far, 16)
    r.say("release_request", call)
    assert r.ours.take("released")["cause"] == 16


def test_line_cut_for_good(rig):
    r = rig(config={"timers": {"T309": 60000}})
    far, event = incoming(r)
    r.say("proceeding_request", event["call"])
    r.say("setup_response", event["call"])
    r.line.cut = True
    r.line.run(90000)
    ended = r.ours.take("released")
    assert (ended["cause"], ended["by"]) == (27, "failure")


def test_notify(rig):
    r = rig()
    far, event = incoming(r)
    r.say("proceeding_request", event["call"])
    r.say("setup_response", event["call"])
    r.say("notify_request", event["call"], description=0x79)
    assert r.far.take("notify")["info"] == str(0x79)
    r.tell("notify", far, 1, 0x7A)
    assert r.ours.take("notify_indication")["description"] == 0x7A


def test_thirty_calls_at_once(rig):
    r = rig()
    calls = []
    for channel in [n for n in range(1, 32) if n != 16]:
        far, event = incoming(r, channel=channel)
        r.say("proceeding_request", event["call"])
        r.say("setup_response", event["call"])
        calls.append((far, event["call"]))
    assert r.ours.calls.free_timeslots() == []
    r.tell("setup", 5, 0, "123", 1, "-", "-")
    assert r.far.take("hangup")["cause"] == "34"
    for far, call in calls[::2]:
        r.tell("hangup", far, 16)
        r.say("release_request", call)
    for far, call in calls[1::2]:
        r.say("release_request", call)
        r.tell("hangup", far, 16)
    assert r.ours.calls.calls() == []


@pytest.mark.parametrize("seed", range(4))
def test_calls_over_a_line_that_loses_frames(rig, seed):
    """One frame in twelve is lost both ways: LAPD repairs it, no link goes down, all calls complete."""
    r = rig()
    rng = random.Random(seed)
    r.line.lose = lambda: rng.random() < 1 / 12
    for turn in range(12):
        r.tell("setup", 1 + turn, 1, "02150801000", 1, "139", "-")
        r.line.run(6000)
        far, event = r.far.take("out")["call"], r.ours.take("setup_indication")
        r.say("proceeding_request", event["call"], inband=True)
        r.say("alerting_request", event["call"])
        r.say("setup_response", event["call"])
        r.line.run(6000)
        assert r.ours.take("setup_complete_indication")
        r.tell("hangup", far, 16)
        r.line.run(6000)
        r.say("release_request", event["call"])
        r.line.run(6000)
        assert r.ours.take("released")["cause"] == 16
        assert not [e for e in r.far.take() if e["event"] == "down"]
    assert r.ours.link.counters["retransmissions"] > 0 and r.ours.link.counters.get("reestablishments", 0) == 0


def test_receiver_busy_holds_the_far_end(rig):
    """RNR: libpri keeps its SETUP back and sends it when we are ready again."""
    r = rig()
    r.ours.link.set_busy(True)
    r.line.settle()
    r.tell("setup", 1, 1, "02150801000", 1, "-", "-")
    r.line.run(20000)
    assert r.ours.take() == [] and r.ours.link.established
    r.ours.link.set_busy(False)
    r.line.run(3000)
    assert r.ours.take("setup_indication")["called_digits"] == "02150801000"
