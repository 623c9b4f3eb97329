"""Changeover and changeback of one link: Q.704 clauses 5 and 6.

Both hold the messages of the slots that move, so that none overtakes another:
the linkset asks `hold` for each message of such a slot.  `held` is a list of
[slot, octets] in the order of arrival.  Portable.
"""

from firmware.proto.mtp3.part import Part
from firmware.proto.mtp3.table import (
    ACKNOWLEDGEMENT_AWAITED, ACTIVE, CHANGEBACK_TABLE, CHANGEOVER_TABLE, IDLE, RETRIEVING, TIMED)

HELD = 2000                             # messages held at most; ours


class Holder(Part):
    """What changeover and changeback share."""

    INITIAL = IDLE
    MESSAGES = ("held",)

    def __init__(self, node, link):
        super().__init__(node)
        self.link = link
        self.held = []

    @property
    def busy(self):
        """Whether the procedure is under way."""
        return self.state != IDLE

    def hold(self, slot, octets):
        """Keep a message until its slot has moved."""
        if len(self.held) >= HELD:
            self.node.count("messages_dropped")
        else:
            self.held.append([slot, octets])


class Changeover(Holder):
    """Moves the traffic of a link that can not carry it."""

    TABLE = CHANGEOVER_TABLE
    FIELDS = ("bsnt", "fsnc", "ordered", "carrier")
    MESSAGES = ("held", "retrieved")

    def __init__(self, node, link):
        super().__init__(node, link)
        self.retrieved = []
        self.bsnt = None                # the last number that we took; None: not known
        self.fsnc = None                # the last number that the far end took
        self.ordered = False            # COO or ECO came before our own
        self.carrier = None             # name of the link by which our order went last

    def load(self, saved):
        """Take what dump() gave; that of before there was a carrier has none."""
        super().load(dict({"carrier": None}, **saved))

    def _send(self, name, now_ms, **fields):
        return self.node.send_around(self.link, name, now_ms, **fields)

    def _acknowledge(self, now_ms):
        if self.bsnt is None:
            self._send("ECA", now_ms)
        else:
            self._send("COA", now_ms, fsn=self.bsnt)

    def _begin_timed(self, now_ms):
        self.bsnt = self.fsnc = None
        self.ordered = False
        self.timers.start("T1", now_ms)

    def _begin(self, now_ms):
        """5.3.1; 5.6.2 when no path leads to the far end but this link."""
        self._begin_timed(now_ms)
        if self.node.path_around(self.link) is None:
            return TIMED
        self.timers.stop("T1")
        self.timers.start("T2", now_ms)
        self.node.put(self.link.name, "retrieve_bsnt")
        return "BSNT_AWAITED"

    def _early_order(self, now_ms, fsn=None):
        self.ordered = True
        self.fsnc = fsn

    def _order(self, now_ms, bsnt=None):
        """bsnt: None where MTP2 does not say what it took last (5.6.1: emergency changeover)."""
        self.bsnt = bsnt
        if self.ordered:
            self._acknowledge(now_ms)
            return self._retrieve(now_ms, self.fsnc)
        self._send_order(now_ms)
        return ACKNOWLEDGEMENT_AWAITED

    def _send_order(self, now_ms):
        self.carrier = self._send("ECO", now_ms) if self.bsnt is None else self._send("COO", now_ms, fsn=self.bsnt)
        self.timers.start("T2", now_ms)

    def carrier_lost(self, name, now_ms):
        """A link carries no traffic any more.  An order that went by it may be lost with it, and is not among what is retrieved: another one carries it.

        Links fail together (a span, a line card), and level 3 hears of one after the other; T2 lasts longer than T7 of level 2, so that one that died
        unnoticed is known in time.  Where no link is left, or the answer fails to come all the same, T2 decides (5.7.2)."""
        if self.state == ACKNOWLEDGEMENT_AWAITED and self.carrier == name and self.node.path_around(self.link) is not None:
            self.node.count("changeover_orders_repeated")
            self._send_order(now_ms)

    def _crossing_order(self, now_ms, fsn=None):
        self._acknowledge(now_ms)
        self._retrieve(now_ms, fsn)

    def _late_order(self, now_ms, fsn=None):
        self._acknowledge(now_ms)

    def _retrieve(self, now_ms, fsn=None):
        self.timers.stop("T2")
        self.timers.start("T1", now_ms)         # should MTP2 not answer; ours
        self.node.put(self.link.name, "retrieve", b"" if fsn is None else bytes([fsn]))
        return RETRIEVING

    def _retrieve_unsent(self, now_ms):
        """5.7.2: nobody said what arrived; only what never left is safe to send."""
        self.node.count("changeovers_without_acknowledgement")
        self._retrieve(now_ms)

    def _collect(self, now_ms, octets):
        if len(self.retrieved) < HELD:
            self.retrieved.append([0, octets])

    def _timed_out(self, now_ms):
        if self.link.state == ACTIVE:           # blocked only: MTP2 still has its own
            self._divert(now_ms)
            return IDLE
        return self._retrieve(now_ms)

    def _take(self):
        messages = [octets for _, octets in self.retrieved + self.held]
        self.retrieved = []
        self.held = []
        return messages

    def _divert(self, now_ms):
        self.timers.stop_all()
        self.link.linkset.moved(self.link, self._take(), now_ms)

    def _resume(self, now_ms):
        """Usable again within T1: nothing moves."""
        self.timers.stop_all()
        self.link.linkset.kept(self.link, self._take(), now_ms)


class Changeback(Holder):
    """Moves the traffic of a link back to it from the links that carried it meanwhile.

    groups: [[code, link name, slots], ...] not yet acknowledged."""

    TABLE = CHANGEBACK_TABLE
    FIELDS = ("groups", "codes")

    def __init__(self, node, link):
        super().__init__(node, link)
        self.groups = []
        self.codes = 0

    def _begin(self, now_ms, groups):
        """groups: [[link name, slots], ...]."""
        if not groups:
            return None
        for name, slots in groups:
            self.codes = (self.codes + 1) % 256
            self.groups.append([self.codes, name, slots])
        self._declare(now_ms)
        self.timers.start("T4", now_ms)
        return "DECLARED"

    def _declare(self, now_ms):
        for code, name, _ in self.groups:
            # 6.3.2: behind the last message on the link that the traffic leaves
            self.node.put(name, "message", self.node.management(
                self.link.linkset.adjacent, "CBD", self.link.slc, code=code))

    def _declare_again(self, now_ms):
        self._declare(now_ms)
        self.timers.start("T5", now_ms)

    def _finish(self, group, now_ms):
        slots = group[2]
        messages = [octets for slot, octets in self.held if slot in slots]
        self.held = [row for row in self.held if row[0] not in slots]
        self.link.linkset.returned(self.link, slots, messages, now_ms)

    def _acknowledged(self, now_ms, code):
        for group in self.groups:
            if group[0] == code:
                self.groups.remove(group)
                self._finish(group, now_ms)
                break
        if self.groups:
            return None
        self.timers.stop_all()
        return IDLE

    def _release(self, now_ms):
        self.node.count("changebacks_without_acknowledgement")
        groups, self.groups = self.groups, []
        for group in groups:
            self._finish(group, now_ms)

    def surrender(self, name, now_ms):
        """The link that slots were leaving failed: its changeover moves them.  Returns (slots, held)."""
        slots = []
        for group in [g for g in self.groups if g[1] == name]:
            self.groups.remove(group)
            slots += group[2]
        held = [row for row in self.held if row[0] in slots]
        self.held = [row for row in self.held if row[0] not in slots]
        if slots and not self.groups:
            self.timers.stop_all()
            self.state = IDLE
        return slots, held

    def _give_up(self, now_ms):
        """The link failed again: the traffic stays where it was."""
        self.timers.stop_all()
        self.groups = []
        held, self.held = self.held, []
        self.link.linkset.kept(self.link, [octets for _, octets in held], now_ms, True)
