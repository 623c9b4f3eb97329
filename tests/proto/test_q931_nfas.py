"""NFAS: interface identifiers, and the two D channels of a group with back-up.  Live: tests/live/pri_group_cases.py."""

import os
import random

import pytest

from firmware.proto.q931 import maintenance, messages
from firmware.proto.q931.d_channels import DChannels
from firmware.proto.q931.link import Q931Link
from tests.proto.q931_rig import build, kinds, mark, sent

INTERFACES = {0: list(range(1, 24)), 1: list(range(1, 24)), 5: list(range(1, 25))}
TIMESLOTS = [interface << 8 | t for interface in sorted(INTERFACES) for t in INTERFACES[interface]]


def group(side="user", variant="ni2"):
    made = Q931Link(side, variant, {"timeslots": TIMESLOTS, "interfaces": INTERFACES, "own_interface": 0})
    made.link_up(0)
    made.take_output()
    return made


def setup(interface, timeslot, reference=1, exclusive=True):
    named = {"selection": "indicated", "exclusive": exclusive, "channels": [timeslot]}
    if interface is not None:
        named["interface"] = "%02x" % (0x80 | interface)
    return build("SETUP", reference, bearer_capability={"capability": "speech", "layer_1": "g711_u"}, channel_identification=named,
                 called_party_number={"number": "123"})


@mark("4.5.13/interface", "a channel of another interface: named in the SETUP, named in our first answer; without a name it is the D channel's own")
def test_a_call_on_another_interface():
    made = group()
    event = made.receive(setup(5, 24), 0)[0]
    assert (event["event"], event["timeslot"]) == ("setup_indication", 5 << 8 | 24)
    made.request("proceeding_request", event["call"], 0)
    answer = sent(made)[0].get("channel_identification")
    assert (answer["interface"], answer["channels"], answer["exclusive"]) == ("85", [24], True)
    assert made.receive(setup(None, 3, 2), 0)[0]["timeslot"] == 3
    made.receive(setup(0, 24, 3), 0)                        # the D channel's timeslot is no bearer
    assert [(m.kind, m.get("cause")["cause"]) for m in sent(made)] == [("RELEASE_COMPLETE", 82)]
    made.receive(setup(9, 1, 4), 0)                         # an interface that we have not
    assert sent(made)[0].get("cause")["cause"] == 82
    assert made.receive(setup(5, 24, 5, exclusive=False), 0)[0]["timeslot"] == 1, "a preferred one that is taken"


@mark("4.5.13/out", "a call of ours on another interface")
def test_a_call_out():
    made = group()
    call = made.new_call()
    made.request("setup_request", call, 0, called="1", timeslot=1 << 8 | 7, law="U")
    named = sent(made)[0].get("channel_identification")
    assert (named["interface"], named["channels"]) == ("81", [7])
    events = made.receive(build("ALERTING", 1, 1, channel_identification=named), 0)
    assert (events[0]["event"], events[0]["timeslot"]) == ("alerting_indication", 1 << 8 | 7)


@mark("5.5/interfaces", "RESTART of one interface, of channels of two, of all")
def test_restart():
    made = group()
    for interface, reference in ((0, 1), (5, 2)):
        made.receive(setup(interface, 2, reference), 0)
    one = {"selection": "none", "exclusive": True, "interface": "85", "channels": []}
    events = made.receive(build("RESTART", 0, 0, restart_indicator={"class": 6}, channel_identification=one), 0)
    assert [e["event"] for e in events] == ["released", "restart_indication"] and made.calls() == ["f1"]
    assert kinds(made) == ["RESTART_ACKNOWLEDGE"]
    made.restart(0, [1 << 8 | 3, 5 << 8 | 4])
    first = sent(made)[0]
    assert (first.get("channel_identification")["interface"], first.get("channel_identification")["channels"]) == ("81", [3])
    events = made.receive(build("RESTART_ACKNOWLEDGE", 0, 1, restart_indicator={"class": 0}, channel_identification=first.get("channel_identification")), 0)
    assert events[0]["event"] == "restart_confirm" and sent(made)[0].get("channel_identification")["interface"] == "85"
    made.receive(build("RESTART", 0, 0, restart_indicator={"class": 7}), 0)
    assert made.calls() == []


def d_channels():
    return DChannels({0: "primary", 1: "backup"}, lambda kind, flag, status, interface: (kind, interface, status))


def told(kind, interface, status="in_service"):
    return {"kind": kind, "interface": interface, "status": status, "octets": b""}


def up(both=True):
    d = d_channels()
    d.link(0, True, 0)
    if both:
        d.link(1, True, 0)
    d.service(told("SERVICE_ACKNOWLEDGE", 0), 0, 0)
    d.take_output(), d.take_events()
    return d


@mark("F.1/begin", "the primary is brought in service by SERVICE, the back-up stands by")
def test_the_primary_begins():
    d = d_channels()
    d.link(1, True, 0)                                      # the back-up alone: the primary is waited for
    assert d.take_output() == []
    d.link(0, True, 1000)
    assert d.take_output() == [(0, ("SERVICE", 0, "in_service"))] and d.active is None
    d.service(told("SERVICE_ACKNOWLEDGE", 0), 0, 1100)
    assert (d.active, d.states, d.take_events(), d.deadline_ms()) == (0, {0: "in_service", 1: "standby"}, ["switched"], None)


@mark("F.1/back-up first", "a primary that does not come: the back-up begins")
def test_the_back_up_begins():
    d = d_channels()
    d.link(1, True, 0)
    d.expire(d.deadline_ms())
    assert d.take_output() == [(1, ("SERVICE", 1, "in_service"))]


@mark("F.3/T321", "T321: SERVICE once more; unanswered twice, the data link's word counts")
def test_nobody_answers():
    d = up()
    d.link(0, False, 0)
    assert d.take_output() == [(1, ("SERVICE", 1, "in_service"))] and d.take_events() == []
    assert d.deadline_ms() == 30000
    d.expire(30000)
    assert d.take_output() == [(1, ("SERVICE", 1, "in_service"))]
    d.expire(60000)
    assert (d.active, d.take_events(), d.counters["unanswered"]) == (1, ["switched"], 1)


@mark("F.3/both", "both D channels fail: Q.931 5.8.9 applies; the first that comes back serves")
def test_both_fail():
    d = up()
    d.link(0, False, 0)
    d.link(1, False, 10)
    assert d.take_events() == ["down"] and d.active is None
    d.take_output()
    d.link(0, True, 20)
    d.service(told("SERVICE_ACKNOWLEDGE", 0), 0, 30)
    assert d.take_events() == ["switched"]


@mark("F.3/far", "the far end switches over by SERVICE; its out of service of the one that carries the calls moves them")
def test_the_far_end_decides():
    d = up()
    d.service(told("SERVICE", 1), 1, 0)
    assert d.take_output() == [(1, ("SERVICE_ACKNOWLEDGE", 1, "in_service"))]
    assert (d.active, d.states, d.take_events()) == (1, {0: "standby", 1: "in_service"}, ["switched"])
    d.service(told("SERVICE", 1, "out_of_service"), 1, 0)
    assert d.take_output() == [(1, ("SERVICE_ACKNOWLEDGE", 1, "out_of_service")), (0, ("SERVICE", 0, "in_service"))]
    d.service(told("SERVICE_ACKNOWLEDGE", 0), 0, 0)
    assert d.active == 0
    d = up(both=False)
    d.service(told("SERVICE", 0, "out_of_service"), 0, 0)
    assert (d.active, d.take_events()) == (None, ["down"])


@mark("F.3/return", "the primary comes back: it stands by; by hand it takes over again")
def test_the_primary_returns():
    d = up()
    d.link(0, False, 0)
    d.service(told("SERVICE_ACKNOWLEDGE", 1), 1, 0)
    d.link(0, True, 100)
    d.take_output()
    assert d.states == {0: "standby", 1: "in_service"}
    assert d.switch(200) and d.take_output() == [(0, ("SERVICE", 0, "in_service"))]
    d.service(told("SERVICE_ACKNOWLEDGE", 0), 0, 210)
    assert d.active == 0
    assert d.switch(300)
    d.expire(30300)
    d.expire(60300)
    assert d.active == 0, "the far end does not want it: all stays"


@mark("F.3/crossing", "SERVICE messages that cross")
def test_crossing():
    a, b = d_channels(), d_channels()
    for d in (a, b):
        d.link(0, True, 0)
        d.link(1, True, 0)
    for _ in range(4):
        for one, other in ((a, b), (b, a)):
            for on, (kind, interface, status) in one.take_output():
                other.service(told(kind, interface, status), on, 0)
    assert (a.active, b.active, a.states) == (0, 0, b.states)


def test_a_restart_in_the_middle_asks_again():
    d = up()
    d.link(0, False, 0)
    d.take_output()
    other = d_channels()
    other.load(d.dump())
    other.audit({0: False, 1: True}, 50)
    assert other.take_output() == [(1, ("SERVICE", 1, "in_service"))]
    same = d_channels()
    same.load(up().dump())
    same.audit({0: True, 1: True}, 50)
    assert same.take_output() == [] and same.active == 0


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_events_keeps_one_in_service(seed):
    """Two ends, links that come and go, losses: never two in service at one end; at rest both ends agree."""
    rng = random.Random(seed)
    ends, links, now = [d_channels(), d_channels()], {0: False, 1: False}, 0

    def carry(lose):
        moved = True
        while moved:
            moved = False
            for one, other in (ends, ends[::-1]):
                for on, (kind, interface, status) in one.take_output():
                    moved = True
                    if links[on] and not (lose and rng.random() < 0.1):
                        other.service(told(kind, interface, status), on, now)
    for _ in range(400):
        now += rng.choice((10, 1000, 31000))
        which = rng.choice((0, 1))
        if rng.random() < 0.5:
            links[which] = not links[which]
            for d in ends:
                d.link(which, links[which], now)
        elif rng.random() < 0.1:
            rng.choice(ends).switch(now)
        for d in ends:
            d.expire(now)
            d.take_events()
        carry(True)
        for d in ends:
            assert list(d.states.values()).count("in_service") <= 1
            assert (d.active is None) == ("in_service" not in d.states.values())
    for which in (0, 1):
        links[which] = True
        for d in ends:
            d.link(which, True, now)
    for _ in range(10):
        now += 31000
        for d in ends:
            d.expire(now)
        carry(False)
    assert ends[0].active is not None and ends[1].active is not None


@pytest.mark.conformance("bad input", "NFAS SERVICE", "mutations of valid input: no exception, alive afterwards, memory flat")
def test_mutated_service_messages():
    """Maintenance messages with interfaces and D channels, mutated: no exception, every answer decodes."""
    rng = random.Random(77)
    made, now = group(), 0
    heard = []
    made.on_d_channel = lambda what, now_ms: heard.append(what)
    valid = [maintenance.encode(0x43, "SERVICE", 0, "out_of_service", made.channel(5 << 8 | 3, True)),
             maintenance.encode(0x43, "SERVICE", 0, "in_service", {"selection": "none", "exclusive": True, "d_channel": True, "interface": "81"}),
             maintenance.encode(0x03, "SERVICE_ACKNOWLEDGE", 1, "in_service", None), setup(5, 24)]
    for turn in range(int(os.environ.get("STROWGER_MUTATIONS", "4000"))):
        octets = bytearray(rng.choice(valid))
        for _ in range(rng.choice((0, 1, 2, 4))):
            at = rng.randrange(len(octets))
            if rng.random() < 0.5:
                octets[at] = rng.randrange(256)
            else:
                del octets[at:at + rng.randrange(1, 3)]
            if not octets:
                octets = bytearray(b"\x43")
        now += 10
        made.receive(bytes(octets), now)
        for out in made.take_output():
            found = maintenance.decode(out)[0] if out[0] in maintenance.KINDS else messages.decode(out)
            assert [fault for fault in found.faults if fault[1] != maintenance.CHANGE_STATUS] == []
        for call in made.calls():
            made.request("release_request", call, now)
        if turn % 50 == 0:
            made.expire(now)
    assert heard and len(made.counters) < 20
