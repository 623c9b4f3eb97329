"""Scenarios of the D channel: Q.921 over a bad line, Q.931 calls, faults, restart; run under CPython and MicroPython.

run() returns a trace of every frame, event and deadline: both interpreters must give the same one."""

import json

from firmware.errors import LocalError
from firmware.proto.q921 import Q921Link
from firmware.proto.q931 import messages
from firmware.proto.q931.link import Q931Link


class Random:
    """A small generator that is the same everywhere (numbers of Numerical Recipes)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self.state >> 8) % limit


class Side:
    """Layer 2 and layer 3 of one end."""

    def __init__(self, name, trace):
        self.name = name
        self.trace = trace
        self.link = Q921Link(name, 0, 0, {"N200": 20}, 5000)
        self.calls = Q931Link(name, "etsi", {"overlap_receiving": True})
        self.events = []

    def take(self, layer_2_events, now_ms):
        for event in layer_2_events:
            if event[0] in ("dl_establish_indication", "dl_establish_confirm"):
                self.note(self.calls.link_up(now_ms), now_ms)
            elif event[0] in ("dl_release_indication", "dl_release_confirm"):
                self.note(self.calls.link_down(now_ms), now_ms)
            elif event[0] == "dl_data_indication":
                self.note(self.calls.receive(event[1], now_ms), now_ms)

    def note(self, events, now_ms):
        self.events += events
        self.trace += events
        for octets in self.calls.take_output():
            self.link.request("dl_data_request", now_ms, octets)

    def request(self, primitive, call, now_ms, **given):
        self.note(self.calls.request(primitive, call, now_ms, **given), now_ms)

    def expire(self, now_ms):
        self.take(self.link.expire(now_ms), now_ms)
        self.note(self.calls.expire(now_ms), now_ms)

    def restart(self, now_ms):
        """kill -9 of layer 3."""
        saved = json.loads(json.dumps(self.calls.dump()))
        self.calls = Q931Link.restore(saved, {"overlap_receiving": True})
        self.note(self.calls.audit(now_ms, self.link.established), now_ms)


class World:
    """Two ends, a line that loses one frame of `lose`, and a trace."""

    def __init__(self, lose, seed):
        self.trace = []
        self.sides = (Side("user", self.trace), Side("network", self.trace))
        self.lose = lose
        self.random = Random(seed)
        self.now_ms = 0

    def settle(self):
        while True:
            moved = [(1 - i, octets) for i in (0, 1) for octets in self.sides[i].link.take_output()]
            if not moved:
                return
            for to, octets in moved:
                lost = self.lose and self.random.below(self.lose) == 0
                self.trace.append([self.now_ms, to, octets.hex(), lost])
                if not lost:
                    self.sides[to].take(self.sides[to].link.receive(octets, self.now_ms), self.now_ms)

    def run(self, milliseconds):
        end = self.now_ms + milliseconds
        self.settle()
        while True:
            due = [d for side in self.sides for d in (side.link.deadline_ms(), side.calls.deadline_ms()) if d is not None]
            if not due or min(due) > end:
                break
            self.now_ms = max(self.now_ms, min(due))
            for side in self.sides:
                side.expire(self.now_ms)
            self.settle()
        self.now_ms = end

    def take(self, index):
        events, self.sides[index].events = self.sides[index].events, []
        return [event["event"] for event in events]


def call(lose, seed, caller):
    """One overlap call with a restart of each layer 3 in its middle; returns the trace."""
    world = World(lose, seed)
    near, far = world.sides[caller], world.sides[1 - caller]
    near.link.request("dl_establish_request", 0)
    world.run(60000)
    assert world.take(0) == world.take(1) == ["link_state"]
    name = near.calls.new_call()
    near.request("setup_request", name, world.now_ms, called={"number": "021", "type": "national"}, timeslot=17,
                 caller="13912345678", redirecting={"number": "4008001000", "reason": "unconditional"}, complete=False)
    world.run(3000)
    assert world.take(1 - caller) == ["setup_indication"]
    far.request("setup_ack_request", "f1", world.now_ms)
    world.run(3000)
    near.request("information_request", name, world.now_ms, digits="50801000", complete=True)
    world.run(3000)
    far.restart(world.now_ms)
    world.run(3000)
    far.request("proceeding_request", "f1", world.now_ms, inband=True)
    far.request("alerting_request", "f1", world.now_ms, inband=True)
    world.run(3000)
    far.request("setup_response", "f1", world.now_ms)
    world.run(5000)
    near.restart(world.now_ms)
    world.run(5000)
    assert near.calls.call_state(name)["state"].endswith("10_ACTIVE")
    near.request("release_request", name, world.now_ms, cause=16)
    world.run(5000)
    far.request("release_request", "f1", world.now_ms)
    world.run(10000)
    assert near.calls.calls() == far.calls.calls() == []
    assert world.take(0)[-1] == world.take(1)[-1] == "released"
    return world.trace


def faults():
    """Messages with errors; returns what was answered."""
    made = Q931Link("user", "etsi", {})
    made.link_up(0)
    answers = []
    for octets in ("", "08", "0802000105", "0802000205", "080200010504038090a31803a98381", "08020001420102", "0802000145",
                   "080200017d08028290", "0802000046790187", "080280034d08028290", "0802000305040388", "080200055d"):
        events = made.receive(bytes.fromhex(octets), 10)
        answers.append([octets, [event["event"] for event in events], [o.hex() for o in made.take_output()]])
    try:
        made.request("alerting_request", "f99", 0)
        raise AssertionError("no LocalError")
    except LocalError:
        pass
    return answers


def mutations():
    """Random octets to both layers; returns a count of what happened."""
    random = Random(99)
    valid = bytes.fromhex("080200010504038090a31803a983816c0c2183313339313233343536377005a131323334a1")
    calls, link = Q931Link("network"), Q921Link("network", 0, 0, None, 5000)
    calls.link_up(0)
    link.request("dl_establish_request", 0)
    happened = {}
    for turn in range(1500):
        octets = list(valid)
        for _ in range(random.below(4)):
            octets[random.below(len(octets))] = random.below(256)
        if random.below(3) == 0:
            octets = octets[:random.below(len(octets))]
        for event in calls.receive(bytes(octets), turn * 100) + calls.expire(turn * 100):
            happened[event["event"]] = happened.get(event["event"], 0) + 1
        for out in calls.take_output():
            assert messages.decode(out).faults == []
        for event in link.receive(bytes([0, 1] + octets[:6]), turn) + link.expire(turn * 100):
            happened[event[0]] = happened.get(event[0], 0) + 1
        link.take_output()
    return sorted(happened.items())


def run():
    return [call(0, 1, 0), call(0, 1, 1), call(6, 5, 0), call(6, 11, 1), faults(), mutations()]
