"""Random input to the ISUP machine: octets, mutations, and two exchanges that do anything in any order."""

import json
import os
import random

import pytest
from hypothesis import given, settings, strategies as st

from firmware.errors import LocalError
from firmware.proto.isup import messages
from firmware.proto.isup.message_table import TABLES
from firmware.proto.isup.node import PRIMITIVES, ISUP
from tests.proto.isup_rig import A, B, config
from tests.proto.test_isup_messages import every_message

MUTATIONS = int(os.environ.get("STROWGER_MUTATIONS", "4000"))
SEEDS = {variant: [messages.encode(variant, m) for _, m in every_message(variant)] for variant in TABLES}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=8), st.sampled_from(sorted(TABLES)))
def test_any_octets_are_survived(octets, variant):
    node = ISUP(config(variant))
    for one in octets:
        node.receive(B, one, 0)
        node.receive(B, b"\x01\x00" + one, 0)
    for _, _, out in node.take_output():
        messages.decode(variant, out)


@pytest.mark.conformance("bad input", "ISUP node", "mutations of valid input: no exception, alive afterwards, memory flat")
@pytest.mark.parametrize("variant", sorted(TABLES))
def test_mutated_messages(variant):
    """Mutations of every message to circuits in all states: no exception, answers that decode, a dump that JSON takes."""
    rng = random.Random(variant)
    node, now, groups = None, 0, 0
    for turn in range(MUTATIONS // 3):
        if turn % 250 == 0:
            node = ISUP(config(variant, node={"ucic": True, "exchange": rng.choice("ab")}, transit=rng.random() < 0.3))
        octets = bytearray(rng.choice(SEEDS[variant]))
        octets[0] = rng.randrange(1, 6)
        for _ in range(rng.choice((0, 0, 1, 1, 3))):
            if len(octets) < 3:
                break
            at = rng.randrange(2, len(octets))
            what = rng.randrange(3)
            if what == 0:
                octets[at] = rng.randrange(256)
            elif what == 1:
                del octets[at:at + rng.randrange(1, 3)]
            else:
                octets[at:at] = bytes([rng.randrange(256) for _ in range(rng.randrange(1, 3))])
        now += rng.choice((0, 0, 10, 5000, 20000))
        events = node.receive(B, bytes(octets), now) + node.expire(now)
        for event in events:
            if event["event"] in ("setup_indication", "disconnect_indication") and rng.random() < 0.8:
                primitive = rng.choice(("proceeding_request", "alerting_request", "setup_response", "release_request"))
                if event["event"] == "disconnect_indication":
                    primitive = "release_request"
                try:
                    node.request(primitive, event["call"], now)
                except LocalError:      # a message behind it in the same turn changed the state
                    groups += 1
        if rng.random() < 0.1 and node.free_circuits("a"):
            node.request("setup_request", node.new_call("a"), now, called="12",
                         continuity=rng.choice((None, None, "this", "previous")))
        for _, _, out in node.take_output():
            assert messages.decode(variant, out).faults == []
        if turn % 100 == 0:
            json.dumps([node.dump(), events])
    assert groups < MUTATIONS // 20


class Pair:
    """Two nodes and a line that may lose messages."""

    def __init__(self, variant, rng):
        self.rng, self.variant, self.now_ms = rng, variant, 0
        self.config = {A: config(variant, A, B, count=6, circuits=[[1, 1, 1, 6]], query=variant != "china"),
                       B: config(variant, B, A, count=6, circuits=[[1, 2, 1, 6]])}
        self.node = {A: ISUP(self.config[A]), B: ISUP(self.config[B])}
        self.history = {A: {}, B: {}}

    def note(self, side, events):
        for event in events:
            if event["call"] is not None:
                assert self.history[side].setdefault(event["call"], [])[-1:] != ["released"], event
                self.history[side][event["call"]].append(event["event"])

    def settle(self, loss=0.0):
        for _ in range(200):
            moved = [(to, sender, octets) for to, sender in ((B, A), (A, B)) for _, _, octets in self.node[sender].take_output()]
            if not moved:
                return
            for to, sender, octets in moved:
                if self.rng.random() >= loss:
                    self.note(to, self.node[to].receive(sender, octets, self.now_ms))
        raise AssertionError("the exchanges do not come to rest")

    def expire(self):
        for side in (A, B):
            self.note(side, self.node[side].expire(self.now_ms))


@pytest.mark.parametrize("seed", range(int(os.environ.get("STROWGER_SEEDS", "9"))))
def test_nothing_stays_seized(seed):
    """Random requests, management, losses, pauses and deaths of the process: when everybody lets go and time passes, both
    exchanges are idle, agree about blocking, and each call ended with exactly one `released`."""
    rng = random.Random(seed)
    variant = ("itu", "china", "ansi")[seed % 3]
    pair = Pair(variant, rng)
    for _ in range(700):
        pair.now_ms += rng.choice((0, 50, 3000))
        side = rng.choice((A, B))
        node, roll, events = pair.node[side], rng.random(), []
        try:
            if roll < 0.2 and node.free_circuits("a"):
                call = node.new_call("a")
                events = node.request("setup_request", call, pair.now_ms, called="12", complete=rng.random() < 0.5,
                                      continuity=rng.choice((None, None, None, "this")))
            elif roll < 0.24:
                events = node.circuit_request(rng.choice(("block", "unblock", "reset", "check")), "a.%d" % rng.randrange(1, 7),
                                              pair.now_ms)
            elif roll < 0.26:
                events = node.group_request(rng.choice(("block", "unblock", "reset", "query")), "a", pair.now_ms,
                                            rng.sample(range(1, 7), rng.randrange(1, 6)), rng.random() < 0.5)
            elif roll < 0.3:
                events = node.circuit_request("continuity_result", "a.%d" % rng.randrange(1, 7), pair.now_ms, ok=rng.random() < 0.7)
            elif node.calls():
                primitive = rng.choice([p for p in PRIMITIVES if p not in ("setup_request", "cannot_release", "message_request")])
                events = node.request(primitive, rng.choice(node.calls()), pair.now_ms, digits="1", charge=1, ok=True)
        except LocalError:
            pass
        pair.note(side, events)
        if roll > 0.97:
            event = {"event": rng.choice(("pause", "resume", "resume")), "destination": A + B - side}
            pair.note(side, node.mtp_event(event, pair.now_ms))
        elif roll > 0.95:
            pair.node[side] = ISUP.restore(json.loads(json.dumps(node.dump())), pair.config[side])
            pair.note(side, pair.node[side].audit(pair.now_ms))
        pair.settle(loss=0.05)
        pair.expire()
        pair.settle(loss=0.05)
    for side in (A, B):
        pair.note(side, pair.node[side].mtp_event({"event": "resume", "destination": A + B - side}, pair.now_ms))
        for hardware in (False, True):
            pair.note(side, pair.node[side].group_request("unblock", "a", pair.now_ms, None, hardware))
    for _ in range(300):
        pair.now_ms += 4000
        pair.expire()
        for side in (A, B):
            node = pair.node[side]
            for call in node.calls():
                pair.note(side, node.request("release_request", call, pair.now_ms))
            for cic in range(1, 7):
                if node.circuits[(A + B - side, cic)].tone_on:
                    pair.note(side, node.circuit_request("continuity_result", "a.%d" % cic, pair.now_ms, ok=True))
        pair.settle()
    for side in (A, B):
        node = pair.node[side]
        assert node.calls() == [] and node.pending == [], (side, node.dump())
        assert [(c.cic, c.state, c.blocking()) for c in node.all_circuits() if not c.available()] == []
        for call, history in pair.history[side].items():
            assert history.count("released") == 1, (call, history)
