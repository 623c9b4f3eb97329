"""Scenarios of SS7 links: two points with two links each over bad lines, a cut, a restart; run under both interpreters.

run() returns a trace of units, events and deadlines: both must give the same one."""

import json

from firmware.errors import LocalError
from firmware.proto.mtp2 import MTP2Link
from firmware.proto.mtp3 import messages
from firmware.proto.mtp3.node import MTP3


class Random:
    """A small generator that is the same everywhere (numbers of Numerical Recipes)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self.state >> 8) % limit


class Point:
    """MTP2 and MTP3 of one signalling point."""

    def __init__(self, own, far, variant, correction, trace):
        self.config = {"variant": variant, "network_indicator": 2, "point_code": own, "restart": False,
                       "linksets": [{"name": "a", "adjacent": far, "links": [{"name": "k0", "slc": 0}, {"name": "k1", "slc": 1}]}]}
        self.node = MTP3(self.config)
        self.links = [MTP2Link({"T4N": 600}, variant, correction), MTP2Link({"T4N": 600}, variant, correction)]
        self.trace = trace
        self.far = far
        for link in self.links:
            link.request("power_on", 0)

    def take(self, events, now_ms):
        for event in events:
            row = sorted([(key, event[key].hex() if isinstance(event[key], bytes) else event[key]) for key in event])
            self.trace.append([now_ms, json.loads(json.dumps(row))])
        for name, primitive, octets in self.node.take_output():
            index = int(name[1])
            self.up(index, self.links[index].request(primitive, now_ms, octets), now_ms)

    def up(self, index, events, now_ms):
        for event in events:
            self.take(self.node.link_event("k%d" % index, event, now_ms), now_ms)

    def expire(self, now_ms):
        for index in (0, 1):
            self.up(index, self.links[index].expire(now_ms), now_ms)
        self.take(self.node.expire(now_ms), now_ms)

    def restart(self):
        self.node = MTP3.restore(json.loads(json.dumps(self.node.dump())), self.config)


def talk(variant, correction, seed):
    """Traffic both ways; link 1 is cut for a while; control dies twice."""
    trace, random = [], Random(seed)
    points = [Point(100, 200, variant, correction, trace), Point(200, 100, variant, correction, trace)]
    for point in points:
        point.take(point.node.start(0), 0)
    number = 0
    fills = {}
    for tick in range(1200):
        now_ms = tick * 10
        cut = 500 <= tick < 800
        if 300 <= tick < 1000 and tick % 20 == 0:
            for point in points:
                if point.node.state()["destinations"][point.far]:
                    point.take(point.node.request("transfer", now_ms, dpc=point.far, si=5, sls=number % 16,
                                                  octets=bytes([number % 256, 1, 2])), now_ms)
            number += 1
        if tick in (600, 900):
            points[tick % 1000 // 900].restart()
        for i in (0, 1):
            for index in (0, 1):
                far = points[1 - i]
                line = points[i].links[index].take_output(80)
                if not line:            # the layer below repeats
                    line = [fills[(i, index)]]
                if line[-1][2] & 63 < 3:
                    fills[(i, index)] = line[-1]
                for octets in line:
                    if (cut and index == 1) or random.below(200) == 0:
                        far.up(index, far.links[index].receive_error(now_ms), now_ms)
                    else:
                        if octets[2] & 63 > 2 and tick % 7 == 0:
                            trace.append([now_ms, i, index, octets.hex()])
                        far.up(index, far.links[index].receive(octets, now_ms), now_ms)
                if cut and index == 1:
                    far.up(index, far.links[index].receive_error(now_ms), now_ms)
                else:
                    far.up(index, far.links[index].receive_repeats(8, now_ms), now_ms)
        for point in points:
            point.expire(now_ms)
    for point in points:
        counters = point.node.counters
        trace.append(sorted([(key, counters[key]) for key in counters]))
        trace.append([[link.state, sorted([(k, link.counters[k]) for k in link.counters])] for link in point.links])
        assert [link.in_service for link in point.links] == [True, True] and point.node.state()["destinations"][point.far]
    return json.loads(json.dumps(trace))


def mutations():
    """Random octets to both layers; returns what was counted."""
    random = Random(4711)
    link = MTP2Link()
    link.request("power_on", 0)
    link.request("start", 0)
    node = MTP3({"point_code": 100, "linksets": [{"name": "a", "adjacent": 200, "links": [{"name": "k", "slc": 0}]}]})
    node.start(0)
    node.link_event("k", ("in_service",), 0)
    node.take_output()
    for turn in range(2000):
        octets = bytes([random.below(256) for _ in range(random.below(9))])
        link.receive(octets, turn * 50)
        link.expire(turn * 50)
        link.take_output(100)
        label = messages.encode_label("itu", messages.Label(random.below(3), 2, 100, 200, random.below(2)))
        node.link_event("k", ("message", label + octets), turn * 50)
        node.expire(turn * 50)
        node.take_output()
    try:
        node.request("transfer", 0, dpc=999, si=5, sls=0, octets=b"x")
        raise AssertionError("no LocalError")
    except LocalError:
        pass
    return [sorted([(k, node.counters[k]) for k in node.counters]), sorted([(k, link.counters[k]) for k in link.counters])]


def run():
    return [talk("itu", "basic", 1), talk("china", "pcr", 2), talk("ansi", "basic", 3), mutations()]
