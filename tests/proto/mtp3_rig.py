"""A scripted network around one MTP3 node: MTP2 of each link, and what the adjacent points say.

Q.782 numbers its cases; conformance.tsv gives only its groups, so ours are N.x.1, N.x.2 ... and
stand for the group's purpose, not for Q.782's case of that place."""

import json

import pytest

from firmware.proto.mtp3 import messages
from firmware.proto.mtp3.node import MTP3

GROUPS = {1: "link activation and deactivation", 2: "signalling message handling", 3: "changeover", 4: "changeback",
          5: "forced rerouting", 6: "controlled rerouting", 7: "management inhibiting", 8: "traffic flow control",
          9: "route management (TFP TFA RST TFC)", 10: "signalling point restart", 11: "traffic test",
          12: "signalling link test (SLTM/SLTA)", 13: "invalid messages"}
US, A, B, C = 100, 200, 300, 400        # we; adjacent points A and B; C behind both
EVEN = {"a0": [0, 2, 4, 6, 8, 10, 12, 14], "a1": [1, 3, 5, 7, 9, 11, 13, 15]}      # which SLS goes by which link


def case(group, number, purpose):
    def mark(test):
        for name, text in (("%d.x" % group, GROUPS[group]), ("%d.x.%d" % (group, number), purpose)):
            test = pytest.mark.conformance("Q.782", name, text)(test)
        return test
    return mark


def config(variant="itu", links=2, **more):
    """Two linksets, a to A and b to B, C behind both; a is better."""
    made = {"variant": variant, "network_indicator": 2, "point_code": US, "restart": False,
            "linksets": [{"name": n, "adjacent": pc, "links": [{"name": n + str(i), "slc": i} for i in range(links)]}
                         for n, pc in (("a", A), ("b", B))],
            "routes": [{"destination": C, "linkset": "a", "priority": 0}, {"destination": C, "linkset": "b", "priority": 1},
                       {"destination": A, "linkset": "b", "priority": 1}, {"destination": B, "linkset": "a", "priority": 1}]}
    made.update(more)
    return made


class Rig:
    """The node, with the far ends' manners as switches.

    answers: which MTP2 and management requests are answered by themselves.  said: [(link, name, fields)] of
    management that the node sent; traffic: [(link, label, octets)] of users."""

    def __init__(self, given=None, **more):
        self.config = given or config(**more)
        self.node = MTP3(self.config)
        self.variant = self.node.variant
        self.now_ms = 0
        self.events = []
        self.said = []
        self.traffic = []
        self.asked = []                 # (link, primitive) for MTP2
        self.answers = {"start", "SLTM", "TRA", "COO", "CBD", "LIN", "LUN", "retrieve_bsnt", "retrieve"}
        self.dead = set()               # links that do not align
        self.unacknowledged = {}        # link: octets that MTP2 would hand back
        self.persist = False            # kill control after each step

    def adjacent(self, link):
        return self.node.links[link].linkset.adjacent

    def _after(self, events):
        self.events += events
        while True:
            output = self.node.take_output()
            if self.persist:
                self.node = MTP3.restore(json.loads(json.dumps(self.node.dump())), self.config)
            if not output:
                return
            for link, primitive, octets in output:
                self._carry(link, primitive, octets)

    def _carry(self, link, primitive, octets):
        self.asked.append((link, primitive))
        if primitive == "message":
            label, rest = messages.decode(self.variant, octets)
            if label.si > 2:
                self.traffic.append((link, label, rest))
                return
            name, fields = messages.decode_management(self.variant, label.si, rest)
            fields.setdefault("slc", label.sls & 15)
            self.said.append((link, name, fields))
            back = {"SLTM": "SLTA", "COO": "COA", "CBD": "CBA", "LIN": "LIA", "LUN": "LUA"}.get(name)
            if name == "TRA" and "TRA" in self.answers:
                self.hear(link, "TRA")
            elif back and name in self.answers:
                if name == "COO":
                    fields = dict(fields, fsn=9)
                self.hear(link, back, opc=label.dpc, **fields)
        elif primitive == "start" and "start" in self.answers and link not in self.dead:
            self.event(link, "in_service")
        elif primitive == "stop":
            self.event(link, "out_of_service", "stopped")
        elif primitive == "retrieve_bsnt" and primitive in self.answers:
            self.event(link, "bsnt", 5)
        elif primitive == "retrieve" and primitive in self.answers:
            for message in self.unacknowledged.pop(link, []):
                self.event(link, "retrieved_message", message)
            self.event(link, "retrieval_complete")

    def event(self, link, *event):
        self._after(self.node.link_event(link, event, self.now_ms))

    def hear(self, link, name, opc=None, dpc=US, slc=None, ni=2, **fields):
        """A management or test message from an adjacent point."""
        if slc is None:
            slc = self.node.links[link].slc if name in messages.LINK_MESSAGES else 0
        si = 0
        if name in messages.TEST_HEADINGS:
            si = 2 if self.variant == "ansi" else 1
        octets = messages.encode_label(self.variant, messages.Label(si, ni, dpc, opc or self.adjacent(link), slc))
        self.event(link, "message", octets + messages.encode_management(self.variant, name, slc=slc, **fields))

    def ask(self, primitive, **given):
        self._after(self.node.request(primitive, self.now_ms, **given))

    def send(self, dpc=C, sls=0, octets=b"data"):
        self.ask("transfer", dpc=dpc, si=5, sls=sls, octets=octets)

    def load(self, dpc=C, shares=16):
        """Send one message a share; {link: shares}, what was not sent is under None."""
        self.traffic = []
        for sls in range(shares):
            self.send(dpc, sls, bytes([sls]))
        return self.carried(shares)

    def carried(self, shares=16):
        found, traffic = {}, self.traffic
        self.traffic = []
        for link, label, _ in traffic:
            found.setdefault(link, []).append(label.sls)
        missing = sorted(set(range(shares)) - {s for row in found.values() for s in row})
        if missing:
            found[None] = missing
        return found

    def wait(self, milliseconds):
        end = self.now_ms + milliseconds
        while True:
            deadline = self.node.deadline_ms()
            if deadline is None or deadline > end:
                break
            self.now_ms = max(self.now_ms, deadline)
            self._after(self.node.expire(self.now_ms))
        self.now_ms = end

    def up(self):
        self._after(self.node.start(self.now_ms))
        self.wait(1000)                 # linksets come up one by one: the last rerouting ends
        self.forget()
        return self

    def forget(self):
        self.said, self.traffic, self.events, self.asked = [], [], [], []

    def names(self, *wanted):
        """(link, name) of management sent, forgotten; of some names only if given."""
        said, self.said = self.said, []
        return [(link, name) for link, name, _ in said if not wanted or name in wanted]

    def took(self, name):
        events, self.events = self.events, []
        return [e for e in events if e["event"] == name]

    def fail(self, link):
        self.dead.add(link)
        self.event(link, "out_of_service", "received_sios")

    def mend(self, link):
        """The link comes up at the next attempt of MTP2."""
        self.dead.discard(link)
        self.wait(1000)
        if self.node.links[link].state == "ALIGNING":
            self.event(link, "in_service")


@pytest.fixture(params=[False, True], ids=["kept", "killed"])
def rig(request):
    """All links up; "killed": control is restored from its dump after each step."""
    r = Rig()
    r.persist = request.param
    return r.up()
