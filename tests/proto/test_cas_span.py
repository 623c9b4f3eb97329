"""A span of 30 R2 circuits and one of 24 T1 circuits as one machine each: load, restart, what belongs to no circuit."""

import json

import pytest

from boardconfig.r2_variants import load_r2, r2_variants
from boardconfig.schema import countries, load_country
from firmware.errors import LocalError
from firmware.proto.cas.span import CASSpan
from firmware.proto.cas.t1_circuit import T1Circuit
from firmware.proto.r2.circuit import R2Circuit
from firmware.proto.r2.variant import Variant

ITU = Variant(load_r2("itu"))
R2_SLOTS = [n for n in range(1, 32) if n != 16]


def r2_span(**config):
    return CASSpan({n: R2Circuit(ITU, dict({"timeslot": n, "called_length": 4}, **config)) for n in R2_SLOTS})


def t1_span():
    return CASSpan({n: T1Circuit({"timeslot": n, "called_length": 4, "signalling": "em_wink"}) for n in range(1, 25)})


class World:
    """Two spans back to back; the far one answers, both let go when told."""

    def __init__(self, near, far):
        self.spans = (near, far)
        self.events = ([], [])
        self.now_ms = 0
        self.received = ({}, {})
        self._flying = []
        for i in (0, 1):
            self.took(i, self.spans[i].start(0))

    def took(self, i, events):
        self.events[i].extend(events)
        for event in events:
            if event["event"] == "setup_indication":
                self.took(i, self.spans[i].request("alerting_request", event["call"], self.now_ms))
                self.took(i, self.spans[i].request("setup_response", event["call"], self.now_ms))
            elif event["event"] == "disconnect_indication":
                self.took(i, self.spans[i].request("release_request", event["call"], self.now_ms))

    def run(self, ms):
        end = self.now_ms + ms
        while self.now_ms < end:
            self.now_ms += 10
            for i in (0, 1):
                for timeslot, item in self.spans[i].take_output():
                    if item[0] != "listen":
                        delay = 10 if item[0] == "bits" else 30
                        self._flying.append((self.now_ms + delay, 1 - i, timeslot, (item[0], item[-1])))
            due = [row for row in self._flying if row[0] <= self.now_ms]
            self._flying = [row for row in self._flying if row[0] > self.now_ms]
            for _, i, timeslot, item in due:
                if item[0] == "bits":
                    self.received[i][timeslot] = item[1]
                self.took(i, self.spans[i].receive(timeslot, item, self.now_ms))
            for i in (0, 1):
                if (self.spans[i].deadline_ms() or end + 1) <= self.now_ms:
                    self.took(i, self.spans[i].expire(self.now_ms))

    def names(self, i, name):
        return [event for event in self.events[i] if event["event"] == name]


@pytest.mark.parametrize("make, circuits", ((r2_span, 30), (t1_span, 24)))
def test_all_circuits_at_once(make, circuits):
    """Every circuit carries a call; all are cleared by one request; nothing stays."""
    world = World(make(), make())
    near, far = world.spans
    world.run(1000)
    assert near.free_timeslots() == near.timeslots and len(near.timeslots) == circuits
    for n in near.free_timeslots():
        call = near.new_call(n)
        world.took(0, near.request("setup_request", call, world.now_ms, called="1%03d" % n, caller="55%02d" % n))
    world.run(8000)
    assert len(world.names(0, "setup_confirm")) == circuits and len(near.calls()) == len(far.calls()) == circuits
    for event in world.names(1, "setup_indication"):
        assert event["called"] == "1%03d" % event["timeslot"] and event["call"].startswith("%d." % event["timeslot"])
        assert near.call_state(near.calls()[0])["state"] == "ANSWERED"
    world.took(0, near.restart_request(world.now_ms))
    world.run(3000)
    for i in (0, 1):
        assert len(world.names(i, "released")) == circuits and world.spans[i].calls() == []
        assert world.spans[i].free_timeslots() == near.timeslots and world.spans[i].deadline_ms() is None
        assert world.spans[i].take_changed() == near.timeslots and world.spans[i].take_changed() == []


def test_takeover():
    """kill -9 with 30 calls up: all stand, and clear from either end."""
    world = World(r2_span(), r2_span())
    near, far = world.spans
    world.run(1000)
    for n in near.free_timeslots():
        world.took(0, near.request("setup_request", near.new_call(n), world.now_ms, called="1205"))
    world.run(8000)
    saved = {n: json.loads(json.dumps(near.dump(n))) for n in near.timeslots}
    near = CASSpan({n: R2Circuit.restore(saved[n], ITU, {"timeslot": n, "called_length": 4}) for n in saved})
    world.spans = (near, far)
    world.took(0, near.resume(world.now_ms, world.received[0]))
    world.run(1000)
    assert len(near.calls()) == len(far.calls()) == 30 and world.names(1, "disconnect_indication") == []
    for call in near.calls()[:15]:
        world.took(0, near.request("release_request", call, world.now_ms))
    for call in far.calls()[15:]:
        world.took(1, far.request("release_request", call, world.now_ms))
    world.run(3000)
    assert near.calls() == far.calls() == [] and near.free_timeslots() == far.free_timeslots() == R2_SLOTS


def test_alarm_and_blocking():
    world = World(r2_span(), r2_span())
    near, far = world.spans
    world.run(1000)
    world.took(0, near.alarm(True, world.now_ms))
    assert near.free_timeslots() == []
    world.took(0, near.alarm(False, world.now_ms))
    for n, bits in world.received[0].items():
        world.took(0, near.receive(n, ("bits", bits), world.now_ms))
    world.run(1000)
    assert near.free_timeslots() == R2_SLOTS
    world.took(1, far.block(7, True, world.now_ms))
    world.run(500)
    assert 7 not in near.free_timeslots() and len(near.free_timeslots()) == 29
    world.took(1, far.block(7, False, world.now_ms))
    world.run(500)
    assert near.free_timeslots() == R2_SLOTS


def test_what_does_not_exist():
    span = r2_span()
    assert span.receive(16, ("bits", 15), 0) == [] and span.receive(99, ("tone", 1), 0) == []
    for wrong in (lambda: span.new_call(16), lambda: span.request("release_request", "16.o1", 0),
                  lambda: span.request("setup_request", "nonsense", 0), lambda: span.block(0, True, 0),
                  lambda: CASSpan({1: R2Circuit(ITU, {"timeslot": 2})})):
        with pytest.raises(LocalError):
            wrong()
    assert span.call_state("1.o1") is None


def test_countries_name_variants_that_exist():
    named = [load_country(name)["r2_variant"] for name in countries()]
    assert [v for v in named if v is not None and v not in r2_variants()] == []
