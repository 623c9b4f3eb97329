"""The Q.931 machine: its table, procedures, channels, timers, data link, RESTART.

Errors of the far end: test_q931_errors.py; kill -9: test_q931_restart.py; random input:
test_q931_random.py; interoperability: test_q931_libpri.py.  Clauses stand in the marks."""

import json

import pytest

from firmware.errors import LocalError
from firmware.proto.q931 import codes
from firmware.proto.q931.call import Call
from firmware.proto.q931.link import Q931Link
from firmware.proto.q931.table import ROWS, TABLES
from tests.proto.q931_rig import (
    SETUP, Pair, build, incoming, kinds, link, mark, names, sent, talking)


# The table itself

def test_every_row_has_an_action_and_a_clause():
    for sides, states, inputs, action, next_state, clause in ROWS:
        assert clause and set(sides) <= {"U", "N"}
        assert action is None or callable(getattr(Call, action))


def test_every_timer_is_used_or_says_why_not():
    for name, (network, user, where, _) in codes.TIMERS.items():
        used = [side for side in TABLES if any(i == name for _, i in TABLES[side])]
        if where.startswith("not used"):
            assert not used
        elif name != "T316":            # of the link, not of a call
            assert used, name
        for side, value in (("network", network), ("user", user)):
            assert not (side in used and value is None), (name, side)


def test_every_message_is_known_to_both_tables():
    for side, table in TABLES.items():
        inputs = {name for _, name in table}
        link_level = {"RESTART", "RESTART_ACKNOWLEDGE"}
        assert set(codes.MESSAGE_CODES) - inputs == link_level


# Procedures

@pytest.mark.parametrize("near, far", [("user", "network"), ("network", "user")])
def test_both_our_sides(near, far):
    pair = Pair(overlap_receiving=True)
    call = getattr(pair, near).new_call()
    pair.request(near, "setup_request", call, called="021", caller={"number": "139", "type": "national"},
                 timeslot=17, complete=False, bearer="3.1khz_audio", display="CALLER")
    setup = pair.take(far)[0]
    assert (setup["timeslot"], setup["called_digits"], setup["called_complete"]) == (17, "021", False)
    assert setup["bearer"] == "3.1khz_audio" and setup["display"] == "CALLER"
    assert setup["caller"]["type"] == "national" and setup["caller"]["presentation"] == "allowed"
    theirs = setup["call"]
    pair.request(far, "setup_ack_request", theirs, inband=True)
    assert pair.take(near)[0]["inband"]
    pair.request(near, "information_request", call, digits="508")
    pair.request(near, "information_request", call, digits="01000", complete=True)
    assert [(e["digits"], e["complete"]) for e in pair.take(far)] == [("508", False), ("01000", True)]
    pair.request(far, "progress_request", theirs, inband=True)
    pair.request(far, "proceeding_request", theirs)
    pair.request(far, "alerting_request", theirs, inband=True)
    pair.request(far, "setup_response", theirs, connected="02150801000")
    events = pair.take(near)
    assert names(events) == ["progress_indication", "proceeding_indication", "alerting_indication", "setup_confirm"]
    assert events[3]["connected"]["number"] == "02150801000"
    assert names(pair.take(far)) == ["setup_complete_indication"]
    assert getattr(pair, near).call_state(call)["state"].endswith("10_ACTIVE")
    assert getattr(pair, far).call_state(theirs)["state"].endswith("10_ACTIVE")
    pair.request(far, "release_request", theirs, cause=16)
    assert [(e["event"], e["cause"], e["by"]) for e in pair.take(near)] == [("disconnect_indication", 16, "far")]
    pair.request(near, "release_request", call)
    assert [(e["event"], e["cause"], e["by"]) for e in pair.take(near) + pair.take(far)] == [
        ("released", 16, "far"), ("released", 16, "near")]
    assert pair.user.calls() == pair.network.calls() == []
    assert pair.user.deadline_ms() is None and pair.network.deadline_ms() is None


@mark("5.3.5", "DISCONNECT from both ends at once")
def test_clear_collision():
    pair = Pair()
    call = pair.user.new_call()
    pair.request("user", "setup_request", call, called="1", timeslot=1)
    theirs = pair.take("network")[0]["call"]
    pair.request("network", "setup_response", theirs)
    pair.user.request("release_request", call, 0)
    pair.network.request("release_request", theirs, 0)
    pair.take("user"), pair.take("network")
    pair.settle()
    assert names(pair.take("user")) == names(pair.take("network")) == ["released"]


@mark("5.7", "channel glare: the call from the network wins")
def test_glare():
    user = link("user")
    ours = user.new_call()
    user.request("setup_request", ours, 0, called="1", timeslot=1)
    user.take_output()
    assert incoming(user) == "f1"                        # the same timeslot 1
    # The network lets our call go on at another one, or on the same, which cannot be.
    user.receive(build("CALL_PROCEEDING", 1, 1), 0)
    assert kinds(user) == ["DISCONNECT"]
    network = link("network")
    theirs = network.new_call()
    network.request("setup_request", theirs, 0, called="1", timeslot=1)
    network.take_output()
    assert network.receive(SETUP, 0) == []
    answer = sent(network)[0]
    assert answer.kind == "RELEASE_COMPLETE" and answer.get("cause")["cause"] == 44


@mark("5.2.3.1", "channel selection in an incoming SETUP")
@pytest.mark.parametrize("channel, answer", [
    ("1803a98381", 1), ("1803a18381", 1), ("1801a3", 1), ("1803a98390", 82), ("1803a983c1", 82),
    ("1803a18390", 1), ("1801a0", 34), ("1806a99300000002", 1),
    ("1806a99380000000", 31), ("1803898381", 100), ("1801a2", 100), ("", 96),
])
def test_channel_of_an_incoming_setup(channel, answer):
    user = link("user")
    events = user.receive(bytes.fromhex("08020001" "05" "04038090a3" + channel + "7005a131323334"), 0)
    if answer in user.config["timeslots"]:
        if names(events) == ["setup_indication"]:
            assert events[0]["timeslot"] == answer
            return
    reply = sent(user)[0]
    assert reply.kind == "RELEASE_COMPLETE" and reply.get("cause")["cause"] == answer
    assert user.calls() == [] and "setup_indication" not in names(events)


def test_consecutive_channel_numbers():
    """Some exchanges count the B channels 1 to 30."""
    user = link("user", channel_numbering="consecutive")
    call = incoming(user, 0, bytes.fromhex("08020001" "05" "04038090a3" "1803a9839e" "7005a131323334"))
    assert user.call_state(call)["timeslot"] == 31
    user.request("proceeding_request", call, 0)
    assert sent(user)[0].get("channel_identification")["channels"] == [30]


@mark("4.5.13/map", "channels named by slot map: one bit a timeslot, the last octet has the first ones; in SETUP, the first answer and RESTART")
@pytest.mark.parametrize("octets, timeslot, named", [
    (4, 1, "a99300000002"), (4, 17, "a99300020000"), (4, 31, "a99380000000"), (3, 1, "a993000001"), (3, 23, "a993400000")])
def test_channels_by_slot_map(octets, timeslot, named):
    """Octets by hand: 0xA9 exclusive, indicated; 0x93 ITU-T coding, slot map, B channels; timeslot 0 of an E1 is the last bit, a T1 has none."""
    user = link("user", slot_map_octets=octets, timeslots=[timeslot])
    call = user.new_call()
    user.request("setup_request", call, 0, called="1", timeslot=timeslot)
    (setup,) = user.take_output()
    element = bytes([0x18, len(named) // 2]) + bytes.fromhex(named)
    assert element in setup
    user = link("user", slot_map_octets=octets, timeslots=[timeslot])
    call = incoming(user, 0, bytes.fromhex("08020001" "05" "04038090a3") + element + bytes.fromhex("7005a131323334"))
    assert user.call_state(call)["timeslot"] == timeslot
    user.request("proceeding_request", call, 0)
    assert element in user.take_output()[0]
    user.restart(1, [timeslot])
    assert element in b"".join(user.take_output())


@mark("5.2.2", "bearer capability that is not offered here")
@pytest.mark.parametrize("bearer", ["04028890", "0403a090a3", "0403c090a3", "0404809882a3", "04038090a8"])
@pytest.mark.parametrize("cause", [88, 65])
def test_bearer(cause, bearer):
    user = link("user", bearer_cause=cause)
    assert user.receive(bytes.fromhex("08020001" "05" + bearer + "1803a98381"), 0) == []
    assert sent(user)[0].get("cause")["cause"] == cause


def test_blocked_timeslots():
    user = link("user")
    user.blocked = [1]
    user.receive(SETUP, 0)
    assert sent(user)[0].get("cause")["cause"] == 44
    call = user.new_call()
    with pytest.raises(LocalError):
        user.request("setup_request", call, 0, called="1", timeslot=1)


def test_an_emergency_call_takes_a_blocked_timeslot():
    """In and out; which numbers these are is asked of the layer above.  Where another timeslot serves, that is taken."""
    user = link("user")
    user.is_urgent = lambda digits: digits == "1234"
    user.blocked = [1]
    call = incoming(user)
    assert user.call_state(call)["timeslot"] == 1 and not sent(user)
    user.receive(SETUP.replace(b"1234", b"1235").replace(b"\x00\x01\x05", b"\x00\x02\x05"), 0)
    assert sent(user)[0].get("cause")["cause"] == 44, "the next call is refused as before"
    assert 1 not in user.free_timeslots(urgent=True) and 2 in user.free_timeslots(urgent=True)
    user.blocked = user.config["timeslots"][:]
    assert user.free_timeslots() == [] and user.free_timeslots(urgent=True)[0] == 2
    out = user.new_call()
    user.request("setup_request", out, 0, called="110", timeslot=2, urgent=True)
    assert sent(user)[0].get("channel_identification")["channels"] == [2]
    restored = Q931Link.restore(user.dump(), user.config)
    restored.receive(bytes.fromhex("08028001" "02" "1803a98382"), 0)
    assert restored.call_state(out)["timeslot"] == 2 and not sent(restored), "CALL PROCEEDING after a death of control"


def test_requests_that_do_not_fit():
    user = link("user")
    call = incoming(user)
    for primitive in ("progress_request", "information_request", "setup_request"):
        with pytest.raises(LocalError):
            user.request(primitive, call, 0, inband=True, called="1")
    with pytest.raises(LocalError):
        user.request("alerting_request", "f99", 0)
    with pytest.raises(LocalError):
        user.request("call_request", call, 0)
    assert user.request("release_request", "f99", 0) == []
    user.request("proceeding_request", call, 0)
    user.request("release_request", call, 0)
    assert user.request("alerting_request", call, 0) == []           # too late, and void
    user.take_output()


def test_setup_without_a_data_link():
    user = Q931Link("user")
    call = user.new_call()
    events = user.request("setup_request", call, 0, called="1")
    assert [(e["event"], e["cause"]) for e in events] == [("released", 38)] and user.calls() == []


# Timers, clause 9

def overlap(made):
    call = incoming(made, 0, SETUP[:-1])
    made.request("setup_ack_request", call, 0)
    return call


def proceeding_out(made, *answers):
    call = made.new_call()
    made.request("setup_request", call, 0, called="1", timeslot=1)
    for kind in answers:
        made.receive(build(kind, 1, 1), 0)
    return call


TIMER_CASES = [
    # timer, side, how to get there, messages at the expiries, cause in the end
    ("T301", "user", lambda m: proceeding_out(m, "ALERTING"), ["DISCONNECT"], 19),
    ("T301", "network", lambda m: proceeding_out(m, "ALERTING"), ["DISCONNECT"], 19),
    ("T302", "user", overlap, [None, "DISCONNECT"], 28),
    ("T302", "network", overlap, [None, "DISCONNECT"], 28),
    ("T303", "user", proceeding_out, ["SETUP", "RELEASE_COMPLETE"], 18),
    ("T303", "network", proceeding_out, ["SETUP", "RELEASE_COMPLETE"], 18),
    ("T304", "user", lambda m: proceeding_out(m, "SETUP_ACKNOWLEDGE"), ["DISCONNECT"], 102),
    ("T304", "network", lambda m: proceeding_out(m, "SETUP_ACKNOWLEDGE"), ["DISCONNECT"], 28),
    ("T310", "user", lambda m: proceeding_out(m, "CALL_PROCEEDING"), ["DISCONNECT"], 102),
    ("T310", "network", lambda m: proceeding_out(m, "CALL_PROCEEDING"), ["DISCONNECT"], 18),
    ("T313", "user", lambda m: m.request("setup_response", incoming(m), 0), ["DISCONNECT"], 102),
]


@mark("9", "timers T301 to T313, then T305 and T308 to the end")
@pytest.mark.parametrize("name, side, begin, expected, cause", TIMER_CASES)
def test_timers(name, side, begin, expected, cause):
    made = link(side, overlap_receiving=True)
    begin(made)
    made.take_output()
    events, now, got = [], 0, []
    for kind in expected:
        assert made.deadline_ms() == now + made.timers_ms[name]
        now = made.deadline_ms()
        events += made.expire(now)
        got += kinds(made) or [None]
    assert got == expected
    if expected[-1] == "DISCONNECT":     # T305, T308, T308
        for timer, kind in (("T305", ["RELEASE"]), ("T308", ["RELEASE"]), ("T308", [])):
            assert made.deadline_ms() == now + made.timers_ms[timer]
            now = made.deadline_ms()
            events += made.expire(now)
            assert kinds(made) == kind
    ended = [e for e in events if e["event"] == "released"]
    assert [(e["cause"], e["by"]) for e in ended] == [(cause, "failure")]
    assert ended[0]["maintenance"] == (expected[-1] == "DISCONNECT")
    assert made.calls() == [] and made.deadline_ms() is None


@mark("5.4.2", "network clears with a tone: T306")
def test_t306():
    network = link("network")
    call = talking(network)
    network.request("disconnect_request", call, 0, cause=16, inband=True)
    assert sent(network)[0].get("progress_indicator")["description"] == 8
    assert network.deadline_ms() == 30000
    network.expire(30000)
    assert kinds(network) == ["RELEASE"]


@mark("5.1.6", "PROGRESS stops T310; ALERTING starts T301")
def test_progress_stops_t310():
    user = link("user")
    proceeding_out(user, "CALL_PROCEEDING")
    events = user.receive(build("PROGRESS", 1, 1, progress_indicator=[{"location": 2, "description": 1}]), 0)
    assert events[0]["inband"] and user.deadline_ms() is None


# The data link: 5.8.8, 5.8.9

@mark("5.8.9", "data link failure: an active call waits T309, others are cleared")
def test_link_failure():
    made = link()
    call = talking(made)
    other = incoming(made, 0, SETUP.replace(b"\0\1\5", b"\0\2\5").replace(b"\x83\x81", b"\x83\x82"))
    events = made.link_down(1000)
    assert [(e["event"], e.get("call")) for e in events] == [("link_state", None), ("released", other)]
    assert made.deadline_ms() == 91000 and made.link_down(2000) == []
    assert names(made.link_up(50000)) == ["link_state"]
    assert kinds(made) == ["RELEASE_COMPLETE", "STATUS_ENQUIRY"]
    events = made.receive(build("STATUS", 1, 0, cause={"cause": 30, "location": 2}, call_state={"state": 10}), 50001)
    assert names(events) == ["status_indication", "call_confirmed"] and made.deadline_ms() is None
    made.link_down(60000)
    assert [(e["event"], e["cause"]) for e in made.expire(150000)] == [("released", 27)]
    assert made.calls() == [] and call


@mark("5.8.9 without T309", "T309 is optional on the user side: without it an active call ends with its data link, cause 27")
def test_link_failure_without_t309():
    made = link(timers={"T309": 0})
    call = talking(made)
    events = made.link_down(1000)
    assert [(e["event"], e.get("call"), e.get("cause")) for e in events] == [("link_state", None, None), ("released", call, 27)]
    assert made.calls() == [] and made.deadline_ms() is None
    made.link_up(2000)
    assert kinds(made) == ["RELEASE_COMPLETE"], "the far end is told"


@mark("5.8.9 told", "calls that end here while the data link is down: the far end, which may have seen a reset only, is told when it is back, over a restart of ours")
@pytest.mark.parametrize("state, primitive", [(6, None), (9, "proceeding_request"), (7, "alerting_request"), (8, "setup_response"), (10, "setup_response")])
def test_a_call_that_ended_without_the_link_is_released_when_it_is_back(state, primitive):
    """A far end that keeps its calls over a reset and asks nothing (5.8.8; libpri) would hold the channel for ever."""
    made = link()
    call = incoming(made)
    if primitive is not None:
        made.request(primitive, call, 0)
    if state == 10:
        made.receive(build("CONNECT_ACKNOWLEDGE"), 0)
    assert codes.state_number(made.call_state(call)["state"]) == state
    made.take_output()
    made.link_down(1000)
    made.expire(1000 + made.timers_ms["T309"])
    assert made.calls() == []
    made = Q931Link.restore(json.loads(json.dumps(made.dump())))
    made.link_up(200000)
    assert [(m.kind, m.reference, m.flag, m.get("cause")["cause"]) for m in sent(made)] == [("RELEASE_COMPLETE", 1, 1, 41)]
    made.link_down(200001)
    made.link_up(200002)
    assert kinds(made) == [], "once"


@mark("5.8.8", "data link reset: a call in overlap is cleared, cause 41; others stay")
def test_link_reset():
    made = link(overlap_receiving=True)
    overlap(made)
    made.take_output()
    made.link_up(5)
    assert [(m.kind, m.get("cause")["cause"]) for m in sent(made)] == [("DISCONNECT", 41)]
    made = link()
    talking(made)
    made.link_up(5)
    assert kinds(made) == ["STATUS_ENQUIRY"]


@mark("5.8.8 clearing", "data link reset while clearing: the message that may be lost is sent again")
@pytest.mark.parametrize("down", [False, True])
def test_link_reset_while_clearing(down):
    made = link()
    call = talking(made)
    if down:
        made.link_down(0)
    made.request("release_request", call, 0, cause=16)
    assert kinds(made) == ([] if down else ["DISCONNECT"])
    made.link_up(5)
    assert kinds(made) == ["DISCONNECT"]


# Restart: 5.5

@mark("5.5.2", "RESTART from the far end")
@pytest.mark.parametrize("octets, timeslots", [("0802000046790187", 30), ("08020000461803a98381790180", 1),
                                               ("08020000461806a99300000006790180", 2)])
def test_restart_received(octets, timeslots):
    made = link()
    call = talking(made)
    events = made.receive(bytes.fromhex(octets), 0)
    assert names(events) == ["released", "restart_indication"] and events[0]["call"] == call
    assert len(events[1]["timeslots"]) == timeslots
    answer = sent(made)[0]
    assert answer.kind == "RESTART_ACKNOWLEDGE" and answer.flag == 1 and answer.reference == 0


@mark("5.5.2", "RESTART that cannot be carried out")
@pytest.mark.parametrize("octets, cause", [("0802000046", 96), ("0802000046790181", 100), ("0802000046790180", 96),
                                           ("08020000461803a983bf790180", 82)])
def test_bad_restart(octets, cause):
    made = link()
    made.receive(bytes.fromhex(octets), 0)
    assert [(m.kind, m.get("cause")["cause"]) for m in sent(made)] == [("STATUS", cause)]


@mark("5.5.1", "RESTART from us: T316 twice, then an alarm")
def test_restart_sent():
    made = link()
    talking(made)
    assert names(made.restart(0, [1])) == ["released"]
    assert kinds(made) == ["RESTART"]
    made.restart(0, [2])
    assert made.take_output() == []                      # one at a time
    made.receive(bytes.fromhex("08028000" "4e" "1803a98381" "790180"), 10)
    assert kinds(made) == ["RESTART"]
    assert made.expire(120010) == [] and kinds(made) == ["RESTART"]
    assert made.expire(240010) == [{"event": "restart_failed", "call": None, "timeslots": [2]}]
    assert made.deadline_ms() is None


def test_a_restart_is_not_ignored_by_who_cannot_hear_it():
    made = link()
    made.restart(0, [2])
    assert made.expire(120000) == [] and kinds(made) == ["RESTART", "RESTART"]
    made.link_down(130000)
    assert made.expire(500000) == [] and kinds(made) == []
    for now_ms in (500000, 600000):                      # a link that comes and goes
        made.link_up(now_ms)
        assert kinds(made) == ["RESTART"]
        made.link_down(now_ms + 50000)
    made.link_up(700000)
    assert made.expire(820000) == [] and kinds(made) == ["RESTART", "RESTART"]
    assert [event["event"] for event in made.expire(940000)] == ["restart_failed"]
