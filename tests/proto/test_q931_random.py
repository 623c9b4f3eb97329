"""Random input to the Q.931 machine: octets, mutations, and calls in any order."""

import json
import os
import random

import pytest
from hypothesis import given, settings, strategies as st

from firmware.errors import LocalError
from firmware.proto.q931 import messages
from tests.proto.q931_rig import SETUP, Pair, link

MUTATIONS = int(os.environ.get("STROWGER_MUTATIONS", "4000"))


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


@pytest.mark.conformance("bad input", "Q.931 messages", "mutations of valid input: no exception, alive afterwards, memory flat")
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
