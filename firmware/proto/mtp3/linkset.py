"""One linkset: the load shared by 16 slots, and the restart of the adjacent point.

slots[i] names the link that carries slot i; it changes as little as possible:
the slots of a link that fails are spread over the others, and come back to it
and nobody else (Q.704 4.3, 4.4).  While slot i moves, holders[i] is
["changeover" or "changeback", link name] and keeps its messages.  Portable.
"""

from firmware.proto.mtp3.part import Part
from firmware.proto.mtp3.table import DOWN, LINKSET_TABLE, RESTARTING, UP

SLOTS = 16


class Linkset(Part):
    """The links to one adjacent point.  `links` is set by the node, in the order of the configuration."""

    TABLE = LINKSET_TABLE
    INITIAL = DOWN
    FIELDS = ("slots", "holders", "tra")

    def __init__(self, node, name, adjacent):
        super().__init__(node)
        self.name = name
        self.adjacent = adjacent
        self.links = []
        self.slots = [None] * SLOTS
        self.holders = [None] * SLOTS
        self.tra = False                # TRA came since the linkset is back

    def usable_links(self):
        """Links that carry traffic now."""
        return [link for link in self.links if link.usable]

    def spoken_links(self):
        """Links that can carry management, traffic first."""
        return self.usable_links() + [link for link in self.links if link.carries_management and not link.usable]

    def normal(self, slot):
        """The link of a slot when all are well."""
        return self.links[slot % len(self.links)]

    def _pick(self, slot):
        """The link that a slot gets now, or None: its own, else the one that carries the fewest."""
        if self.normal(slot).usable:
            return self.normal(slot).name
        usable = self.usable_links()
        return min(usable, key=lambda link: self.slots.count(link.name)).name if usable else None

    # Traffic

    def send(self, slot, octets, now_ms):
        """Send a message of a user by its slot, or hold it while the slot moves."""
        holder = self.holders[slot]
        if holder is not None:
            getattr(self.node.links[holder[1]], holder[0]).hold(slot, octets)
            return
        if self.slots[slot] is None:
            self.node.count("messages_dropped")
            return
        self.node.put(self.slots[slot], "message", octets)

    def link_changed(self, link, now_ms):
        """A link became usable, or ceased to be."""
        if link.usable:
            self._gained(link, now_ms)
        else:
            self._missed(link, now_ms)

    def _missed(self, link, now_ms):
        link.changeback.step("unavailable", now_ms)
        link.inhibit.step("link_lost", now_ms)
        for other in self.links:
            slots, held = other.changeback.surrender(link.name, now_ms)
            for i in slots:
                self.holders[i] = None
            link.changeover.held += held
        for i in range(SLOTS):
            if self.slots[i] == link.name and self.holders[i] is None:
                self.holders[i] = ["changeover", link.name]
        failed = link.state != "ACTIVE"
        link.changeover.step("fail" if failed else "block", now_ms)
        self.node.carrier_lost(link.name, now_ms)
        if not self.usable_links():
            self.step("last_link", now_ms)
            self.node.routes_changed(now_ms, "link:" + link.name)

    def _gained(self, link, now_ms):
        if link.changeover.busy:
            link.changeover.step("unblock", now_ms)
        groups = []
        for i in range(SLOTS):
            if self.holders[i] is not None:
                continue
            if self.slots[i] is None:
                self.slots[i] = self._pick(i)
            elif self.normal(i) is not link or self.slots[i] == link.name:
                continue
            elif self.state != UP:      # no traffic yet, nothing can be overtaken
                self.slots[i] = link.name
            else:
                same = [g for g in groups if g[0] == self.slots[i]]
                if same:
                    same[0][1].append(i)
                else:
                    groups.append([self.slots[i], [i]])
                self.holders[i] = ["changeback", link.name]
        link.changeback.step("available", now_ms, groups)
        if self.state == DOWN:
            self.step("first_link", now_ms)

    def _freed(self, kind, link, slots=None):
        mine = [i for i in range(SLOTS) if self.holders[i] == [kind, link.name] and (slots is None or i in slots)]
        for i in mine:
            self.holders[i] = None
        return mine

    def moved(self, link, messages, now_ms):
        """A changeover is done: spread the slots, then send what was kept."""
        for i in self._freed("changeover", link):
            self.slots[i] = self._pick(i)
        self.node.link_released(link.name, messages, now_ms)

    def kept(self, link, messages, now_ms, back=False):
        """A changeover or changeback was called off: the slots stay."""
        for i in self._freed("changeback" if back else "changeover", link):
            if self.slots[i] is not None and not self.node.links[self.slots[i]].usable:
                self.slots[i] = self._pick(i)
        self.node.link_released(link.name, messages, now_ms)

    def returned(self, link, slots, messages, now_ms):
        """Slots are back on their link."""
        for i in self._freed("changeback", link, slots):
            self.slots[i] = link.name
        self.node.reroute(messages, now_ms)

    # Restart

    def _begin_restart(self, now_ms):
        early, self.tra = self.tra and self.timers.running("T19"), False
        self.state = RESTARTING
        if not self.node.own_restart(now_ms):           # 9.2: ours comes first
            self.node.send_tra(self, now_ms)
            self.timers.start("T21", now_ms)
        if early:
            self.step("TRA", now_ms)
        return self.state

    def _early_tra(self, now_ms):
        self.tra = True
        self.timers.start("T19", now_ms)                # so long it is worth something

    def _tra(self, now_ms):
        self.tra = True
        if self.node.restarting:
            self.node.own_restart_progress(now_ms)
            return None
        self._restarted(now_ms)
        return UP

    def _restarted(self, now_ms):
        self.timers.stop("T21")
        self.timers.start("T19", now_ms)
        self.state = UP                 # the routes look at it
        self.node.routes_changed(now_ms, "T3")

    def _unexpected_tra(self, now_ms):
        """9.4: the adjacent point restarted without our seeing it; T19 stops a ping-pong."""
        if not self.timers.running("T19"):
            self.timers.start("T19", now_ms)
            self.node.send_tra(self, now_ms)

    def _lost(self, now_ms):
        self.timers.stop("T21")
        self.timers.stop("T19")
        self.tra = False
        self.state = DOWN
        self.node.linkset_lost(self, now_ms)
