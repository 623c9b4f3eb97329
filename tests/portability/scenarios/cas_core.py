"""Scenarios of CAS: a span of R2 and T1 circuits against a mirror of itself, a kill -9, noise; run under both interpreters.

run() returns a trace of inputs, events and deadlines: both must give the same one."""

import json

from firmware.errors import ConfigError, LocalError
from firmware.proto.cas.span import CASSpan
from firmware.proto.cas.t1_circuit import T1Circuit
from firmware.proto.r2.circuit import R2Circuit
from firmware.proto.r2.variant import Variant

VARIANT = {
    "variant": "test", "name": "ITU's signals", "source": "boardconfig/r2/itu.json",
    "line": {"fixed": 1, "invert": 0, "metering_ms": 400, "forced_release": True},
    "backward": {"A": {"1": "next_digit", "2": "previous_digit", "3": "change_to_b", "4": "congestion",
                       "5": ["category", "caller_digit"], "6": "free_charge_now"},
                 "B": {"3": "busy", "4": "congestion", "5": "unallocated", "6": "free_charge", "7": "free_no_charge"}},
    "end_of_pulsing": 15, "caller_end": 15, "caller_restricted": 12, "categories": {"subscriber": 1, "priority": 2},
}
KINDS = ("em_wink", "em_immediate", "fgd", "fxo_loop", "fxs_loop", "fxo_ground", "fxs_ground")
MIRROR = {"fxo_loop": "fxs_loop", "fxs_loop": "fxo_loop", "fxo_ground": "fxs_ground", "fxs_ground": "fxo_ground"}


class Random:
    """A small generator that is the same everywhere (numbers of Numerical Recipes)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self.state >> 8) % limit


class End:
    """A span of ours and a call layer that answers."""

    def __init__(self, mirror, variant, trace):
        self.variant = variant
        self.trace = trace
        self.configs = {}
        circuits = {}
        for timeslot in (1, 2, 3):
            self.configs[timeslot] = {"timeslot": timeslot, "called_length": 4, "caller_after": timeslot - 1}
            circuits[timeslot] = R2Circuit(variant, self.configs[timeslot])
        for n, kind in enumerate(KINDS):
            timeslot = 4 + n
            self.configs[timeslot] = {"timeslot": timeslot, "called_length": 4, "pilot": "8000",
                                      "signalling": MIRROR.get(kind, kind) if mirror else kind}
            circuits[timeslot] = T1Circuit(self.configs[timeslot])
        self.span = CASSpan(circuits)
        self.received = {}

    def took(self, events, now_ms):
        for event in events:
            self.trace.append([now_ms, sorted([[key, event[key]] for key in event])])
            call = event["call"]
            if event["event"] == "setup_indication" and event["called_complete"]:
                self.ask("alerting_request", call, now_ms)
                self.ask("setup_response", call, now_ms)
            elif event["event"] == "information_indication" and event["complete"]:
                self.ask("setup_response", call, now_ms)
            elif event["event"] == "disconnect_indication":
                self.ask("release_request", call, now_ms)

    def ask(self, primitive, call, now_ms, **given):
        try:
            self.took(self.span.request(primitive, call, now_ms, **given), now_ms)
        except LocalError as error:
            self.trace.append([now_ms, str(error)])

    def kill(self, now_ms):
        saved = {}
        for timeslot in self.span.timeslots:
            saved[timeslot] = json.loads(json.dumps(self.span.dump(timeslot)))
        circuits = {}
        for timeslot in self.span.timeslots:
            config = self.configs[timeslot]
            if "signalling" in config:
                circuits[timeslot] = T1Circuit.restore(saved[timeslot], config)
            else:
                circuits[timeslot] = R2Circuit.restore(saved[timeslot], self.variant, config)
        self.span = CASSpan(circuits)
        self.took(self.span.resume(now_ms, self.received), now_ms)


def talk(seed):
    """Calls on every circuit; the near end releases; both die in between; then noise."""
    trace, random = [], Random(seed)
    variant = Variant(VARIANT)
    ends = [End(False, variant, trace), End(True, variant, trace)]
    for end in ends:
        end.took(end.span.start(0), 0)
    flying = []
    placed = {}
    now_ms = 0
    for tick in range(4000):
        now_ms = tick * 5
        for i in (0, 1):
            for timeslot, item in ends[i].span.take_output():
                if item[0] != "listen":
                    delay = 5 if item[0] == "bits" else 25 + 5 * random.below(4)
                    flying.append((now_ms + delay, i, timeslot, item[0], item[-1]))
        for row in [r for r in flying if r[0] <= now_ms]:
            flying.remove(row)
            end = ends[1 - row[1]]
            if row[3] == "bits":
                end.received[row[2]] = row[4]
            end.took(end.span.receive(row[2], (row[3], row[4]), now_ms), now_ms)
        if tick == 300:
            for timeslot in ends[0].span.free_timeslots():
                placed[timeslot] = ends[0].span.new_call(timeslot)
                ends[0].ask("setup_request", placed[timeslot], now_ms, called="1205", caller="5551000")
        if tick in (500, 3000):
            ends[tick // 3000].kill(now_ms)
        if tick == 3200:
            ends[0].took(ends[0].span.restart_request(now_ms), now_ms)
        for end in ends:
            deadline_ms = end.span.deadline_ms()
            if deadline_ms is not None and deadline_ms <= now_ms:
                end.took(end.span.expire(now_ms), now_ms)
        if tick == 3100:
            trace.append([[call, end.span.call_state(call)["state"]] for end in ends for call in end.span.calls()])
            assert len(ends[0].span.calls()) == len(ends[1].span.calls()) == 10
    for _ in range(2000):                       # noise
        now_ms += 1 + random.below(300)
        timeslot = 1 + random.below(12)
        kind = random.below(3)
        item = ("bits", random.below(16)) if kind else ("tone", (None, 1, 5, 15, "5", "K")[random.below(6)])
        end = ends[random.below(2)]
        end.took(end.span.receive(timeslot, item, now_ms), now_ms)
        end.took(end.span.expire(now_ms), now_ms)
        end.span.take_output()
    trace.append([end.span.take_changed() for end in ends])
    return trace


def run():
    """Both seeds, and data that is no variant."""
    wrong = []
    for change in ({"backward": {}}, {"caller_end": 99}, {"categories": {"king": 1}}):
        data = dict(VARIANT)
        data.update(change)
        try:
            Variant(data)
        except ConfigError as error:
            wrong.append(str(error))
    traces = [talk(1), talk(2)]
    states = [state for row in traces[0] if row and isinstance(row[0], list) and len(row) == 20 for _, state in row]
    assert states.count("ANSWERED") == 20, states
    return [wrong, traces]
