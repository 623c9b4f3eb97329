"""Live PRI channels: in and out of service, RESTART both ways, glare, numbering; collected in test_outgoing.py, in the house of pri_house.py."""

import pytest

from tests.conftest import WHOLE_ONLY
from tests.live.pri_house import bits_pass, channels, hang_up, hang_up_one, slot, talk_through
from tests.live.pri_script import BEARER
from tests.live.routing_cases import configured


@pytest.mark.conformance("Q.931", "5.2.3.1/locked", "a locked channel: an exclusive offer is refused with 44, a preferred one moved; drained, its call goes on; unlocked, it is there; libpri")
def test_channels_are_locked_drained_and_unlocked(house, phone):
    house.far.policy()
    channels(house, 3, "lock", 7)
    name = house.place(span=3, called="02150801912", timeslot=7, record=False)
    assert house.far.wait_for("hangup", 30, id=name)["cause"] == 44
    name, out = talk_through(house, 3, 12, timeslot=7, preferred=True, record=False)
    taken = next(row for row in house.far.status()["calls"] if row["id"] == name)["timeslot"]
    assert taken != 7 and slot(house, 3, 7)["state"] == "blocked"
    channels(house, 3, "drain", taken)
    house.kill("control")
    house.wait(lambda s: s["calls"], 30, "the call after the kill")
    assert slot(house, 3, taken)["service"] == {"near": "locked", "far": None} and slot(house, 3, 7)["state"] == "blocked", "kept over a restart"
    hang_up(house, name, out["id"])
    assert slot(house, 3, taken)["state"] == "blocked"
    channels(house, 3, "unlock", 7, taken)
    name, out = talk_through(house, 3, 12, timeslot=7, record=False)
    channels(house, 3, "lock", 7)                       # with its call
    assert house.far.wait_for("hangup", 30, id=name)["cause"] == 41
    for each in (name, out["id"]):
        house.far.wait_for("released", 30, id=each)
    channels(house, 3, "unlock")
    assert slot(house, 3, 7) == {"timeslot": 7, "call": None, "state": "idle"}


@pytest.mark.conformance("Q.931", "Q.850/8", "all channels taken or locked: an emergency call gets the channel of another call, which ends with cause 8 at libpri, both ends of it")
def test_an_emergency_call_takes_the_circuit_of_another(house, phone):
    house.far.policy()
    house.wait_agent_idle(phone.user, 30)
    channels(house, 12, "drain", *range(2, 16), *range(17, 32))
    name, out = talk_through(house, 1, 12, record=False)
    assert (out["span"], out["timeslot"]) == (12, 1)
    lost, mark, rings = house.wait_call("talking")["call"], house.far.mark(), phone.mark()
    phone.dial("110")
    for each in (name, out["id"]):
        assert house.far.wait_for("hangup", 30, since=mark, id=each)["cause"] == 8
    help_comes = house.far.wait_for("incoming", 30, since=mark, span=12)
    assert (help_comes["called"], help_comes["timeslot"]) == ("110", 1)
    phone.wait_for("answered", 30, since=rings)
    phone.hangup()
    house.far.wait_for("released", 30, id=help_comes["id"])
    house.wait_idle(30)
    channels(house, 12, "unlock")
    cdr = house.cdr(lost)["cdr"]
    assert (cdr["cause"], cdr["result"], cdr["released_by"]) == (8, "answered", "switch")


def test_service_both_ways(house, phone):
    """DMS-100, 5ESS and National ISDN: the far end takes a channel out of service and back, and so do we; libpri."""
    for span in (5, 8, 10):
        mark = house.far.mark()
        house.far.command("service", span=span, timeslot=3, status=2)
        house.wait(lambda s: slot(house, span, 3).get("service") == {"near": None, "far": "out_of_service"}, 30, "the far end's SERVICE")
        house.far.command("service", span=span, timeslot=3, status=0)
        house.wait(lambda s: slot(house, span, 3)["state"] == "idle", 30, "the far end's SERVICE")
        channels(house, span, "lock", 4)
        assert house.far.wait_for("service", 30, since=mark, span=span, timeslot=4)
        house.wait(lambda s: slot(house, span, 4)["state"] == "blocked", 30, "our SERVICE's answer")
        channels(house, span, "unlock", 4)
        house.wait(lambda s: slot(house, span, 4)["state"] == "idle", 30, "our SERVICE's answer")


@pytest.mark.conformance("Q.931", "5.5.2/live", "RESTART of a channel with a call, by the far end and by us: acknowledged, that call ends at both ends of the switch, the one beside it stands bit for bit; libpri")
def test_restart_both_ways(house, phone):
    house.far.policy()
    ended, beside, last = (talk_through(house, 3, 12, timeslot=timeslot, record=False) for timeslot in (7, 8, 9))
    mark = house.far.mark()
    house.far.restart(3, 7)
    house.far.wait_for("restart_ack", 30, since=mark, span=3, timeslot=7)
    house.far.wait_for("released", 30, since=mark, id=ended[1]["id"])
    house.wait(lambda s: slot(house, 3, 7)["state"] == "idle", 30, "the restarted channel")
    house.far.hangup(ended[0])                  # libpri keeps the call of a channel that it restarts: we know it no more (5.8.3.2)
    house.far.wait_for("released", 30, since=mark, id=ended[0])
    bits_pass(house, beside[0], beside[1]["id"])
    channels(house, 3, "restart", 8)
    house.far.wait_for("restart", 30, since=mark, span=3, timeslot=8)
    for each in (beside[0], beside[1]["id"]):
        house.far.wait_for("released", 30, since=mark, id=each)
    house.wait(lambda s: [slot(house, 3, timeslot)["state"] for timeslot in (7, 8, 9)] == ["idle", "idle", "busy"], 30, "the channels after both")
    bits_pass(house, last[0], last[1]["id"])
    again, out = talk_through(house, 3, 12, timeslot=8, record=False)
    for each in ((again, out["id"]), (last[0], last[1]["id"])):
        hang_up_one(house, *each)
    house.wait_idle(30)


@WHOLE_ONLY
@pytest.mark.conformance("Q.931", "5.5.1.1/live", "RESTART that libpri's exchange passes over: T316 twice, alarm, out of service; a later one is answered, all is well")
def test_a_far_end_that_ignores_restart(house, phone):
    house.far.command("deaf", span=3, on=True)
    channels(house, 3, "restart", 9)
    house.wait(lambda s: slot(house, 3, 9)["state"] == "blocked", 30, "T316 twice")
    row = next(row for row in house.state()["spans"] if row["span"] == 3)
    assert row["state"] == "up" and row["alarms"] == ["restart_ignored"] and slot(house, 3, 9)["service"]["near"] == "restart_ignored"
    alarm = house.wait(lambda s: [a for a in house.product.get("/alarms")["alarms"] if a["kind"] == "restart_ignored"], 30, "the alarm")
    assert "9" in str(alarm[0])
    house.far.command("deaf", span=3, on=False)
    mark = house.far.mark()
    channels(house, 3, "restart", 9)
    house.far.wait_for("restart", 30, since=mark, span=3, timeslot=9)
    house.wait(lambda s: slot(house, 3, 9)["state"] == "idle", 30, "the channel in service")
    assert next(row for row in house.state()["spans"] if row["span"] == 3)["alarms"] == []


def e1_channel(*numbers, whole_map=False, exclusive=True):
    named = {"selection": "indicated", "exclusive": exclusive, "channels": list(numbers)}
    return dict(named, map=True, slot_octets=4) if whole_map else named


@pytest.mark.conformance("Q.931", "4.5.13/numbering", "consecutive numbers 1 to 30 and the slot map by timeslot, live with a scripted far end")
@pytest.mark.conformance("Q.931", "5.7/live", "glare on a live span: the network's SETUP for our channel wins, our call takes another")
@pytest.mark.conformance("Q.931", "5.8.10/live", "STATUS ENQUIRY on a live call is answered; a STATUS that does not fit is asked for, then the call is cleared with 101")
def test_glare_status_and_numbering(house, phone, script):
    alaw = dict(BEARER, layer_1="g711_a")
    called = {"type": "unknown", "plan": "isdn", "number": "02150801912"}
    house.far.policy()
    # Our SETUP and the network's for the same channel cross: channel 1 by number.
    at, mark = script.mark(), house.far.mark()
    name = house.place(span=12, called="02150801918", record=False)
    _, ours = script.heard("SETUP", since=at, on=18)
    wanted = ours.get("channel_identification")["channels"]
    script.say(18, "SETUP", 40, 0, bearer_capability=alaw, channel_identification=e1_channel(*wanted), called_party_number=called, sending_complete=True)
    script.say(18, "RELEASE_COMPLETE", ours.reference, 1, cause={"cause": 44, "location": 2})
    _, again = script.heard("SETUP", since=at + 2, on=18)
    _, answer = script.heard("CALL_PROCEEDING", since=at, on=18, reference=40)
    assert answer.get("channel_identification")["channels"] == wanted and again.get("channel_identification")["channels"] != wanted
    script.heard("CONNECT", since=at, on=18, reference=40)
    script.say(18, "CONNECT_ACKNOWLEDGE", 40, 0)
    script.say(18, "RELEASE_COMPLETE", again.reference, 1, cause={"cause": 17, "location": 2})
    assert house.far.wait_for("hangup", 30, since=mark, id=name)["cause"] == 17
    # Channel 20 is timeslot 21; in a map timeslot 22 is itself.
    for reference, named, timeslot in ((41, e1_channel(20), 21), (42, e1_channel(22, whole_map=True), 22)):
        script.say(18, "SETUP", reference, 0, bearer_capability=alaw, channel_identification=named, called_party_number=called, sending_complete=True)
        script.heard("CONNECT", since=at, on=18, reference=reference)
        script.say(18, "CONNECT_ACKNOWLEDGE", reference, 0)
        assert slot(house, 18, timeslot)["state"] == "busy"
    # The far end asks, and tells nonsense.
    script.say(18, "STATUS_ENQUIRY", 41, 0)
    _, status = script.heard("STATUS", since=at, on=18, reference=41)
    assert (status.get("cause")["cause"], status.get("call_state")["state"]) == (30, 10)
    script.say(18, "STATUS", 42, 0, cause={"cause": 101, "location": 2}, call_state={"state": 17})
    script.heard("STATUS_ENQUIRY", since=at, on=18, reference=42)
    script.say(18, "STATUS", 42, 0, cause={"cause": 30, "location": 2}, call_state={"state": 17})
    _, gone = script.heard("DISCONNECT", since=at, on=18, reference=42)
    assert gone.get("cause")["cause"] == 101
    script.say(18, "RELEASE", 42, 0)
    for reference in (40, 41):
        script.say(18, "DISCONNECT", reference, 0, cause={"cause": 16, "location": 2})
        script.heard("RELEASE", since=at, on=18, reference=reference)
        script.say(18, "RELEASE_COMPLETE", reference, 0)
    house.wait_idle(30)


@pytest.mark.conformance("Q.931", "4.5.13/map sent", "a span that names channels by slot map: SETUP out and the first answer to a SETUP; scripted far end, read by tshark at the end")
def test_channels_are_named_by_slot_map(house, phone, script):
    def by_map(configuration):
        next(span for span in configuration["spans"] if span["span"] == 18).update(channel_form="map", channel_numbering="timeslot")

    def begun_anew(at):
        _, restart = script.heard("RESTART", since=at, on=18, reference=0)
        script.say(18, "RESTART_ACKNOWLEDGE", 0, 1, restart_indicator=restart.get("restart_indicator"))
        house.wait(lambda s: next(row for row in s["spans"] if row["span"] == 18)["state"] == "up", 60, "the span after its change")
    house.far.policy()
    at = script.mark()
    with configured(house, by_map):
        begun_anew(at)
        at = script.mark()
        name = house.place(span=12, called="02150801918", record=False)
        _, ours = script.heard("SETUP", since=at, on=18)
        named = ours.get("channel_identification")
        assert named["map"] and named["slot_octets"] == 4 and len(named["channels"]) == 1
        script.say(18, "RELEASE_COMPLETE", ours.reference, 1, cause={"cause": 17, "location": 2})
        assert house.far.wait_for("hangup", 30, id=name)["cause"] == 17
        script.say(18, "SETUP", 50, 0, bearer_capability=dict(BEARER, layer_1="g711_a"), channel_identification=e1_channel(22),
                   called_party_number={"type": "unknown", "plan": "isdn", "number": "02150801912"}, sending_complete=True)
        _, answer = script.heard("CALL_PROCEEDING", since=at, on=18, reference=50)
        assert answer.get("channel_identification")["map"] and answer.get("channel_identification")["channels"] == [22]
        script.heard("CONNECT", since=at, on=18, reference=50)
        script.say(18, "CONNECT_ACKNOWLEDGE", 50, 0)
        assert slot(house, 18, 22)["state"] == "busy"
        script.say(18, "DISCONNECT", 50, 0, cause={"cause": 16, "location": 2})
        script.heard("RELEASE", since=at, on=18, reference=50)
        script.say(18, "RELEASE_COMPLETE", 50, 0)
        house.wait_idle(30)
        at = script.mark()
    begun_anew(at)
