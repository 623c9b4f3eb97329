"""One destination: its routes, their state, and what moves its traffic (Q.704 7, 8, 11, 13).

The route in use is the available one of the best priority; two of the same
priority share the load by the lowest bit of the SLS.  A route that only
restricts (TFR) is used where none is allowed.  Portable.
"""

from firmware.proto.mtp3.linkset import SLOTS
from firmware.proto.mtp3.part import Part
from firmware.proto.mtp3.table import UP

ALLOWED, RESTRICTED, PROHIBITED = "allowed", "restricted", "prohibited"
HELD = 2000                             # messages held at most; ours
MAX_LEVEL = 3                           # congestion, 11.2.4


class Destination(Part):
    """One point code that we send to.  routes: [(linkset name, priority), ...], lower is better."""

    FIELDS = ("status", "current", "accessible", "waiting", "level", "congested_sends")
    MESSAGES = ("held",)

    def __init__(self, node, point_code, routes):
        super().__init__(node)
        self.point_code = point_code
        self.routes = routes
        self.status = {}                # linkset: not allowed
        self.current = []
        self.accessible = False
        self.waiting = None             # "T3", "T6", or "link:" and the link whose changeover it awaits
        self.held = []
        self.level = 0
        self.congested_sends = 0

    def choose(self):
        """The linksets to use now, at most two."""
        found = []
        for name, priority in self.routes:
            linkset = self.node.linksets[name]
            status = self.status.get(name, ALLOWED)
            if linkset.state == UP and status != PROHIBITED:
                found.append((status == RESTRICTED, priority, name))
        found.sort()
        return [row[2] for row in found if row[:2] == found[0][:2]][:2]

    def update(self, now_ms, reason):
        """Routes changed.  reason: "TFP" (forced rerouting: at once), "T6" or "T3" (controlled: wait for
        what is under way), "link:..." (behind that link's changeover)."""
        chosen = self.choose()
        if not chosen:
            self._inaccessible(now_ms)
        elif self.node.restarting:
            return
        elif not self.current:
            self.current = chosen
            self._resume(now_ms)
        elif chosen != self.current and self.waiting is None:
            if reason == "TFP":
                self.node.count("forced_reroutings")
                self.current = chosen
            elif reason.startswith("link:") and not self.node.links[reason[5:]].changeover.busy:
                self.current = chosen
            else:
                self.waiting = reason
                if not reason.startswith("link:"):
                    self.node.count("controlled_reroutings")
                    self.timers.start(reason, now_ms)
        elif reason == "TFP" and self.waiting in ("T3", "T6"):
            self._move(now_ms)          # what we waited for can not come any more

    def _inaccessible(self, now_ms):
        self.timers.stop("T3")
        self.timers.stop("T6")
        self.current = []
        self.waiting = None
        self.node.count("messages_dropped", len(self.held))
        self.held = []
        if self.accessible:
            self.accessible = False
            self.node.emit({"event": "pause", "destination": self.point_code})
            self.node.force_uninhibit(self, now_ms)

    def _resume(self, now_ms):
        self.accessible = True
        self.level = 0
        self.node.emit({"event": "resume", "destination": self.point_code})

    def _move(self, now_ms):
        self.timers.stop("T3")
        self.timers.stop("T6")
        self.waiting = None
        chosen = self.choose()
        if chosen:
            self.current = chosen
        held, self.held = self.held, []
        for sls, octets in held:
            self.send(sls, octets, now_ms)

    def link_released(self, name, now_ms):
        """A changeover is done: what waited for it goes on."""
        if self.waiting == "link:" + name:
            self._move(now_ms)

    def send(self, sls, octets, now_ms):
        """Send a message.  Returns whether there is a way."""
        if not self.accessible:
            self.node.count("messages_dropped")
            return False
        if self.waiting is not None:
            if len(self.held) >= HELD:
                self.node.count("messages_dropped")
            else:
                self.held.append([sls, octets])
            return True
        if len(self.current) == 2:
            linkset = self.node.linksets[self.current[sls & 1]]
            slot = (sls >> 1) % SLOTS
        else:
            linkset = self.node.linksets[self.current[0]]
            slot = sls % SLOTS
        linkset.send(slot, octets, now_ms)
        name = linkset.slots[slot]
        if name is not None and self.node.links[name].congested:
            # 11.2.3: the first message and each eighth
            if self.congested_sends % 8 == 0:
                self._congested(self.level)
            self.congested_sends += 1
        else:
            self.congested_sends = 0
        return True

    # What the network tells: 13

    def transfer(self, name, linkset, now_ms):
        """TFP, TFR or TFA from the adjacent point of a linkset."""
        if linkset not in [row[0] for row in self.routes]:
            self.node.count("transfer_messages_ignored")
            return
        if self.point_code == self.node.linksets[linkset].adjacent:
            self.node.count("transfer_messages_ignored")        # nobody can be unreachable for itself
            return
        status = {"TFP": PROHIBITED, "TFR": RESTRICTED, "TFA": ALLOWED}[name]
        if status == ALLOWED:
            self.status.pop(linkset, None)
            self.timers.stop("T10:" + linkset)
        else:
            self.status[linkset] = status
            self.timers.start("T10:" + linkset, now_ms, self.node.durations_ms["T10"])
        self.update(now_ms, "TFP" if name == "TFP" else "T6")

    def linkset_lost(self, name):
        """Its restart will tell anew: 9.3."""
        self.status.pop(name, None)
        self.timers.stop("T10:" + name)

    def _congested(self, level):
        self.node.emit({"event": "status", "destination": self.point_code, "cause": "congestion", "level": level})

    def controlled(self, status, now_ms):
        """TFC: 13.7 (one level) and 13.8 (levels, where nations use them)."""
        self.level = status
        self._congested(status)
        if status:
            self.timers.stop("T16")
            self.timers.start("T15", now_ms)

    # Timers

    def step(self, name, now_ms, *details):
        """Timers bear the linkset in their names; there is no table of states."""
        if name in ("T3", "T6"):
            self._move(now_ms)
        elif name == "T15":             # 13.9: does the congestion last?
            self.node.send_test_of_congestion(self, max(0, self.level - 1), now_ms)
            self.timers.start("T16", now_ms)
        elif name == "T16":
            self.level = max(0, self.level - 1)
            self._congested(self.level)
            if self.level:
                self.node.send_test_of_congestion(self, self.level - 1, now_ms)
                self.timers.start("T16", now_ms)
        else:
            linkset = name[4:]
            status = self.status.get(linkset)
            if status is not None:
                self.node.send_route_test(self, linkset, "RST" if status == PROHIBITED else "RSR", now_ms)
                self.timers.start(name, now_ms, self.node.durations_ms["T10"])
