"""Scenarios of ISUP: two exchanges with calls, losses, management and a restart; run under both interpreters.

run() returns a trace of messages, events and deadlines: both must give the same one."""

import json

from firmware.errors import LocalError, RemoteError
from firmware.proto.isup import messages
from firmware.proto.isup.node import ISUP


class Random:
    """A small generator that is the same everywhere (numbers of Numerical Recipes)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self.state >> 8) % limit


def rows(event):
    """An event as sorted pairs."""
    return json.loads(json.dumps(sorted([[key, flat(event[key])] for key in event if key != "elements"])))


def flat(value):
    if isinstance(value, dict):
        return sorted([[key, flat(value[key])] for key in value])
    if isinstance(value, list):
        return [flat(one) for one in value]
    return value


def config(variant, own, far):
    return {"variant": variant, "point_code": own, "groups": [
        {"name": "a", "destination": far, "circuits": [[1, 1, 1, 8]], "query": True}]}


def talk(variant, seed):
    trace, random = [], Random(seed)
    configs = [config(variant, 100, 200), config(variant, 200, 100)]
    nodes = [ISUP(configs[0]), ISUP(configs[1])]

    def settle(side, events, now_ms):
        for event in events:
            trace.append([now_ms, side, rows(event)])
        while True:
            moved = [(i, row) for i in (0, 1) for row in nodes[i].take_output()]
            if not moved:
                return
            for i, (dpc, sls, octets) in moved:
                trace.append([now_ms, i, sls, octets.hex()])
                if random.below(30):
                    for event in nodes[1 - i].receive((100, 200)[i], octets, now_ms):
                        trace.append([now_ms, 1 - i, rows(event)])

    primitives = ("alerting_request", "setup_response", "release_request", "progress_request", "suspend_request",
                  "information_request", "clear_request")
    for turn in range(260):
        now_ms = turn * 900
        side = random.below(2)
        node, what, events = nodes[side], random.below(20), []
        try:
            if what < 5 and node.free_circuits("a"):
                call = node.new_call("a")
                events = node.request("setup_request", call, now_ms, called="2150", caller={"number": "139", "type": "national"},
                                      complete=random.below(2) == 0, continuity=(None, None, "this")[random.below(3)])
            elif what == 5:
                events = node.circuit_request(("block", "unblock", "reset", "check")[random.below(4)], "a.%d" % (1 + random.below(8)),
                                              now_ms)
            elif what == 6:
                events = node.group_request(("block", "unblock", "reset", "query")[random.below(4)], "a", now_ms, [2, 3, 5],
                                            random.below(2) == 0)
            elif what == 7:
                events = node.circuit_request("continuity_result", "a.%d" % (1 + random.below(8)), now_ms, ok=random.below(3) > 0)
            elif node.calls():
                calls = node.calls()
                events = node.request(primitives[random.below(len(primitives))], calls[random.below(len(calls))], now_ms, digits="7")
        except LocalError as error:
            trace.append([now_ms, side, "refused", str(error)])
        settle(side, events, now_ms)
        if turn % 90 == 60:
            nodes[side] = ISUP.restore(json.loads(json.dumps(nodes[side].dump())), configs[side])
            settle(side, nodes[side].audit(now_ms, {100: True, 200: True}), now_ms)
        for i in (0, 1):
            settle(i, nodes[i].expire(now_ms), now_ms)
        trace.append([nodes[0].deadline_ms(), nodes[1].deadline_ms()])
    for node in nodes:
        trace.append([sorted([[key, node.counters[key]] for key in node.counters]), flat(node.dump())])
    return json.loads(json.dumps(trace))


def mutations():
    """Random octets: what was made of them."""
    random, made = Random(38), []
    for turn in range(1500):
        variant = ("itu", "ansi", "china")[turn % 3]
        octets = bytes([1, 0, random.below(64)] + [random.below(6) for _ in range(random.below(12))])
        try:
            message = messages.decode(variant, octets)
            made.append([message.kind, flat(message.parameters), message.unknown, sorted(message.faults)])
        except RemoteError as error:
            made.append(str(error))
    return json.loads(json.dumps(made))


def run():
    return [talk("itu", 1), talk("ansi", 2), talk("china", 3), mutations()]
