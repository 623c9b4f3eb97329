"""The Q.931 machine: procedures, timers, error handling (5.8), persistence, random input.

Interoperability is in test_q931_libpri.py.  The clause stands in the conformance marker."""

import json
import os
import random

import pytest
from hypothesis import given, settings, strategies as st

from firmware.errors import LocalError
from firmware.proto.q931 import codes, messages
from firmware.proto.q931.call import Call
from firmware.proto.q931.link import Q931Link
from firmware.proto.q931.table import ROWS, TABLES, reconcile

MUTATIONS = int(os.environ.get("STROWGER_MUTATIONS", "4000"))


def mark(clause, purpose):
    return pytest.mark.conformance("Q.931", clause, purpose)


def link(side="user", **config):
    made = Q931Link(side, "etsi", config)
    made.link_up(0)
    made.take_output()
    return made


def build(kind, reference=1, flag=0, **content):
    return messages.encode(messages.Message(kind, reference, flag, content))


SETUP = bytes.fromhex("08020001" "05" "04038090a3" "1803a98381" "7005a131323334" "a1")
CAUSE_16 = {"cause": 16, "location": 2}


def sent(made):
    """Messages that went out, decoded."""
    return [messages.decode(octets) for octets in made.take_output()]


def kinds(made):
    return [m.kind for m in sent(made)]


def names(events):
    return [e["event"] for e in events]


def incoming(made, now_ms=0, octets=SETUP):
    """A call from the far end; returns its id."""
    events = made.receive(octets, now_ms)
    assert names(events) == ["setup_indication"]
    return events[0]["call"]


def talking(made, now_ms=0):
    """An answered call from the far end."""
    call = incoming(made, now_ms)
    made.request("proceeding_request", call, now_ms)
    made.request("setup_response", call, now_ms)
    made.receive(build("CONNECT_ACKNOWLEDGE"), now_ms)
    made.take_output()
    assert made.call_state(call)["state"].endswith("10_ACTIVE")
    return call


class Pair:
    """Our user side and our network side, joined without a data link."""

    def __init__(self, **config):
        self.user, self.network = link("user", **config), link("network", **config)
        self.events = {"user": [], "network": []}
        self.now_ms = 0

    def settle(self):
        while True:
            up, down = self.user.take_output(), self.network.take_output()
            if not up and not down:
                return
            for octets in up:
                self.events["network"] += self.network.receive(octets, self.now_ms)
            for octets in down:
                self.events["user"] += self.user.receive(octets, self.now_ms)

    def request(self, side, primitive, call, **given):
        made = getattr(self, side)
        self.events[side] += made.request(primitive, call, self.now_ms, **given)
        self.settle()

    def take(self, side):
        events, self.events[side] = self.events[side], []
        return events


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
        link_level = {"RESTART", "RESTART_ACKNOWLEDGE", "HOLD_REJECT", "RETRIEVE_REJECT"}
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


@mark("5.2.2", "bearer capability that is not offered here")
@pytest.mark.parametrize("cause", [88, 65])
def test_bearer(cause):
    user = link("user", bearer_cause=cause)
    assert user.receive(bytes.fromhex("08020001" "05" "04028890" "1803a98381"), 0) == []
    assert sent(user)[0].get("cause")["cause"] == cause


def test_blocked_timeslots():
    user = link("user")
    user.blocked = [1]
    user.receive(SETUP, 0)
    assert sent(user)[0].get("cause")["cause"] == 44
    call = user.new_call()
    with pytest.raises(LocalError):
        user.request("setup_request", call, 0, called="1", timeslot=1)


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


# 5.8 errors.  (octets, reply kind or None, cause, state in STATUS)

@mark("5.8.1", "protocol discriminator, length, call reference")
@pytest.mark.parametrize("octets", ["", "08", "0802", "080200", "08020001", "0302000105", "08030000010005",
                                    "08f2000105", "0800", "080062", "08028001" "05"])
def test_ignored_messages(octets):
    for side in ("user", "network"):
        made = link(side)
        assert made.receive(bytes.fromhex(octets), 0) == [] and made.take_output() == []
        assert sum(made.counters.values()) == 1


@mark("5.8.3.2", "messages with a call reference that nobody has")
@pytest.mark.parametrize("kind, reply, cause", [
    ("CONNECT", "RELEASE_COMPLETE", 81), ("RELEASE", "RELEASE_COMPLETE", 81), ("DISCONNECT", "RELEASE_COMPLETE", 81),
    ("RELEASE_COMPLETE", None, None), ("STATUS_ENQUIRY", "STATUS", 30)])
@pytest.mark.parametrize("flag", [0, 1])
def test_unknown_call_reference(kind, reply, cause, flag):
    made = link()
    assert made.receive(build(kind, 77, flag, cause=CAUSE_16), 0) == []
    replies = sent(made)
    if reply is None:
        assert replies == []
        return
    answer = replies[0]
    assert (answer.kind, answer.get("cause")["cause"]) == (reply, cause)
    assert (answer.reference, answer.flag) == (77, 1 - flag)
    if reply == "STATUS":
        assert answer.get("call_state")["state"] == 0


@mark("5.8.11", "STATUS for a call reference that nobody has")
@pytest.mark.parametrize("state, reply", [(0, []), (10, ["RELEASE_COMPLETE"])])
def test_status_without_a_call(state, reply):
    made = link()
    made.receive(build("STATUS", 77, 0, cause={"cause": 30, "location": 2}, call_state={"state": state}), 0)
    replies = sent(made)
    assert [m.kind for m in replies] == reply
    assert [m.get("cause")["cause"] for m in replies] == [101] * len(reply)


@mark("5.8.3.2", "global call reference")
@pytest.mark.parametrize("octets, state", [("0802000005", 0), ("0802000075", 0), ("0802800046790187", 0),
                                           ("080200004e790187", 0)])
def test_global_call_reference(octets, state):
    made = link()
    made.receive(bytes.fromhex(octets), 0)
    answer = sent(made)[0]
    assert (answer.kind, answer.get("cause")["cause"], answer.get("call_state")["state"]) == ("STATUS", 81, state)
    assert answer.reference == 0


ERRORS = [
    # clause, message to a call in U10, reply, cause, diagnostics
    ("5.8.4", "08020001" "42", "STATUS", 97, "42"),
    ("5.8.4", "08020001" "0d", "STATUS", 101, "0d"),
    ("5.8.4", "08020001" "01", "STATUS", 101, "01"),
    ("5.8.4", "08020001" "46790180", "STATUS", 101, "46"),
    ("5.8.6.1", "08020001" "6e", "STATUS", 96, "27"),
    ("5.8.6.1", "08020001" "7d14010a", "STATUS", 96, "08"),
    ("5.8.6.1", "08020001" "45", "RELEASE", 96, "08"),
    ("5.8.6.1", "08020001" "4d", "RELEASE_COMPLETE", 96, "08"),
    ("5.8.6.2", "08020001" "45080180", "RELEASE", 100, "08"),
    ("5.8.6.2", "08020001" "45080280", "RELEASE", 100, "08"),
    ("5.8.6.2", "08020001" "4d080100", "RELEASE_COMPLETE", 100, "08"),
    ("5.8.6.1", "08020001" "6e2700", "STATUS", 96, "27"),
    ("5.8.6.2", "08020001" "7d0802829e14020a0a", "STATUS", 100, "14"),
    ("5.8.7.1", "08020001" "7b070155", "STATUS", 96, "07"),
    ("5.8.7.1", "08020001" "4508028290" "5d0100", "RELEASE", 99, "5d"),
    ("5.8.7.1", "08020001" "4d08028290" "5d0100", "RELEASE_COMPLETE", 99, "5d"),
]


@pytest.mark.parametrize("clause, octets, reply, cause, diagnostics", ERRORS)
def test_errors_in_a_call(clause, octets, reply, cause, diagnostics):
    made = link()
    call = talking(made)
    events = made.receive(bytes.fromhex(octets), 0)
    answer = sent(made)[0]
    assert (answer.kind, answer.get("cause")["cause"], answer.get("cause")["diagnostics"]) == (reply, cause, diagnostics)
    if reply == "STATUS":
        assert answer.get("call_state")["state"] == 10 and made.call_state(call)["state"] == "U10_ACTIVE"
        assert names(events) == ["protocol_error"]
    elif reply == "RELEASE":
        assert made.call_state(call)["state"] == "U19_RELEASE_REQUEST"
        assert "disconnect_indication" in names(events)
    else:
        assert made.calls() == [] and events[-1]["event"] == "released"


for _case in ERRORS:                    # one verdict a clause
    mark(_case[0], "error in a message to an active call")(test_errors_in_a_call)


@mark("5.8.6", "SETUP with a bad or missing mandatory element")
@pytest.mark.parametrize("body, cause, diagnostics", [
    ("1803a98381", 96, "04"), ("040180" "1803a98381", 100, "04"), ("04038090a3", 96, "18"),
    ("04038090a3" "1803a98301", 100, "18"), ("04038090a3" "1803a98381" "030101", 96, "03"),
    ("04ff80", 96, "18")])
def test_errors_in_setup(body, cause, diagnostics):
    made = link()
    events = made.receive(bytes.fromhex("08020001" "05" + body), 0)
    answer = sent(made)[0]
    assert answer.kind == "RELEASE_COMPLETE" and made.calls() == []
    assert answer.get("cause")["cause"] == cause and answer.get("cause")["diagnostics"][:2] == diagnostics
    assert names(events) == ["protocol_error"]


@mark("5.8.7", "elements that are optional, unknown, repeated, out of order or in another codeset")
@pytest.mark.parametrize("extra", ["6c00", "5d0155", "9f0105", "95080101", "90", "740400", "7002a139", "28028142",
                                   "1e0100", "d0", "b5", "7e0304aabb", "7c038090a3"])
def test_setup_survives(extra):
    made = link()
    events = made.receive(SETUP + bytes.fromhex(extra), 0)
    assert names(events) == ["setup_indication"] and events[0]["called_digits"] == "1234"


def test_status_on_element_fault():
    made = link(status_on_element_fault=True)
    made.receive(SETUP + bytes.fromhex("5d0155"), 0)
    assert [(m.kind, m.get("cause")["cause"]) for m in sent(made)] == [("STATUS", 99)]


@mark("5.8.3.2", "SETUP with a call reference in use is ignored")
def test_repeated_setup():
    made = link()
    incoming(made)
    assert made.receive(SETUP, 0) == [] and made.take_output() == [] and len(made.calls()) == 1


@mark("5.8.4", "unexpected RELEASE and RELEASE COMPLETE end the call in every state")
@pytest.mark.parametrize("kind", ["RELEASE", "RELEASE_COMPLETE"])
def test_release_in_every_state(kind):
    for primitives in ([], ["setup_ack_request"], ["proceeding_request"], ["alerting_request"], ["setup_response"],
                       ["setup_response", "release_request"]):
        made = link()
        call = incoming(made)
        for primitive in primitives:
            made.request(primitive, call, 0)
        made.take_output()
        events = made.receive(build(kind, 1, 0, cause={"cause": 38, "location": 2}), 0)
        assert names(events) == ["released"] and made.calls() == []
        assert kinds(made) == (["RELEASE_COMPLETE"] if kind == "RELEASE" else [])


@pytest.mark.parametrize("kind, reply", [("HOLD", "HOLD_REJECT"), ("RETRIEVE", "RETRIEVE_REJECT")])
def test_hold_is_refused(kind, reply):
    made = link()
    talking(made)
    made.receive(build(kind), 0)
    assert [(m.kind, m.get("cause")["cause"]) for m in sent(made)] == [(reply, 69)]


def test_facility_is_ignored():
    made = link()
    talking(made)
    assert made.receive(build("FACILITY", facility=[{"octets": "91a1"}]), 0) == [] and made.take_output() == []


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
    assert kinds(made) == ["STATUS_ENQUIRY"]
    events = made.receive(build("STATUS", 1, 0, cause={"cause": 30, "location": 2}, call_state={"state": 10}), 50001)
    assert names(events) == ["status_indication", "call_confirmed"] and made.deadline_ms() is None
    made.link_down(60000)
    assert [(e["event"], e["cause"]) for e in made.expire(150000)] == [("released", 27)]
    assert made.calls() == [] and call


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


# Persistence

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


# Random input

@settings(max_examples=200)
@given(st.lists(st.binary(max_size=40), max_size=8), st.sampled_from(["user", "network"]))
def test_any_octets_are_survived(octets, side):
    made = link(side)
    for one in octets:
        made.receive(one, 0)
        made.receive(b"\x08\x02\x00\x01" + one, 0)
    for out in made.take_output():
        messages.decode(out)


def seeds():
    """Valid messages to begin a mutation with."""
    pair = Pair()
    log = []
    for made in (pair.user, pair.network):
        keep = made.take_output
        made.take_output = lambda keep=keep: [log.append(o) or o for o in keep()]
    call = pair.user.new_call()
    pair.request("user", "setup_request", call, called="123", caller="456", redirecting="789", timeslot=2, display="x")
    pair.request("network", "proceeding_request", "f1", inband=True)
    pair.request("network", "alerting_request", "f1")
    pair.request("network", "setup_response", "f1")
    pair.request("network", "status_enquiry", "f1")
    pair.request("network", "notify_request", "f1", description=1)
    pair.request("user", "release_request", call)
    pair.request("network", "release_request", "f1")
    return log + [SETUP, bytes.fromhex("08020000461803a98381790180"), bytes.fromhex("0802000046790187"),
                  bytes.fromhex("080200017b70028035")]


def test_mutated_messages():
    """Mutations of valid messages to links with calls in all states: no exception, every
    answer is a message that decodes without a fault, and a dump that JSON takes."""
    rng = random.Random(921931)
    valid = seeds()
    made, now = None, 0
    for turn in range(MUTATIONS):
        if turn % 200 == 0:
            made = link(rng.choice(("user", "network")), overlap_receiving=rng.random() < 0.5)
        octets = bytearray(rng.choice(valid))
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            what, at = rng.randrange(4), rng.randrange(len(octets)) if octets else 0
            if what == 0 and octets:
                octets[at] = rng.randrange(256)
            elif what == 1 and octets:
                del octets[at:at + rng.randrange(1, 4)]
            elif what == 2:
                octets[at:at] = bytes([rng.randrange(256) for _ in range(rng.randrange(1, 4))])
            elif octets:
                octets[at] ^= 1 << rng.randrange(8)
        if len(octets) > 3 and rng.random() < 0.5:
            octets[2] = rng.choice((0, 0x80))            # mostly one of few calls
            octets[3] = rng.choice((1, 1, 2))
        now += rng.choice((0, 0, 10, 5000))
        events = made.receive(bytes(octets), now) + made.expire(now)
        for event in events:
            if event["event"] in ("setup_indication", "disconnect_indication") and rng.random() < 0.8:
                primitive = "release_request" if event["event"] != "setup_indication" else rng.choice(
                    ("proceeding_request", "setup_ack_request", "alerting_request", "setup_response"))
                made.request(primitive, event["call"], now)
        for out in made.take_output():
            assert messages.decode(out).faults == []
        if turn % 100 == 0:
            json.dumps([made.dump(), events])
    assert len(made.calls()) <= 30


@pytest.mark.parametrize("seed", range(6))
def test_nothing_stays_seized(seed):
    """Two of our links, random requests, losses and link failures: when everybody lets go
    and time passes, both are empty, and each call ended with exactly one `released`."""
    rng = random.Random(seed)
    pair = Pair(overlap_receiving=True)
    seen = {"user": {}, "network": {}}

    def note():
        for side in seen:
            for event in pair.take(side):
                call = event["call"]
                if event["event"] in ("setup_indication", "released") and call:
                    seen[side].setdefault(call, []).append(event["event"])

    primitives = ["setup_ack_request", "proceeding_request", "alerting_request", "setup_response", "release_request",
                  "progress_request", "information_request", "notify_request", "status_enquiry"]
    for _ in range(600):
        pair.now_ms += rng.choice((0, 50, 3000))
        side = rng.choice(("user", "network"))
        made = getattr(pair, side)
        roll = rng.random()
        try:
            if roll < 0.15 and made.free_timeslots():
                call = made.new_call()
                seen[side].pop(call, None)
                pair.events[side] += made.request("setup_request", call, pair.now_ms, called="12",
                                                  timeslot=rng.choice(made.free_timeslots()),
                                                  exclusive=rng.random() < 0.5, complete=rng.random() < 0.5)
            elif made.calls():
                call = rng.choice(made.calls())
                pair.events[side] += made.request(rng.choice(primitives), call, pair.now_ms, digits="1",
                                                  description=1, inband=True)
        except LocalError:
            pass
        if roll > 0.97:
            made.take_output()                           # lost
        if roll > 0.99:
            for other in ("user", "network"):
                pair.events[other] += getattr(pair, other).link_down(pair.now_ms)
                pair.events[other] += getattr(pair, other).link_up(pair.now_ms)
        for other in ("user", "network"):
            pair.events[other] += getattr(pair, other).expire(pair.now_ms)
        pair.settle()
        held = [c.timeslot for c in pair.user._calls.values() if c.timeslot and c.number not in (1, 11, 12, 19)]
        assert len(held) == len(set(held))               # never two calls on one timeslot
        note()
    for _ in range(100):
        pair.now_ms += 4000
        for side in ("user", "network"):
            made = getattr(pair, side)
            pair.events[side] += made.expire(pair.now_ms)
            for call in made.calls():
                pair.events[side] += made.request("release_request", call, pair.now_ms)
        pair.settle()
        note()
    assert pair.user.calls() == pair.network.calls() == []
    for side in seen:
        for call, history in seen[side].items():
            assert history.count("released") >= 1 and history[-1] == "released"
            if call[0] == "f":
                assert history == ["setup_indication", "released"] * (len(history) // 2)
