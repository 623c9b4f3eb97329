"""Signalling link management (Q.704 12.2) and the signalling link test (Q.707 2.2) of one link.

A link is usable, that is carries traffic, when it has passed its test, no
processor is out and nobody inhibits it.  Portable.
"""

from firmware.proto.mtp3.changeover import Changeback, Changeover
from firmware.proto.mtp3.inhibit import Inhibit
from firmware.proto.mtp3.part import Part
from firmware.proto.mtp3.table import ACTIVE, INACTIVE, LINK_TABLE, TESTING, WAITING

PATTERN_OCTETS = 4                      # ours; Q.707 5.4 allows 1 to 15


class Link(Part):
    """One signalling link of a linkset."""

    TABLE = LINK_TABLE
    INITIAL = INACTIVE
    FIELDS = ("usable", "far_outage", "congested", "tests", "attempts")

    def __init__(self, node, linkset, name, slc):
        super().__init__(node)
        self.linkset = linkset
        self.name = name
        self.slc = slc
        self.usable = False
        self.far_outage = False
        self.congested = False
        self.tests = 0                  # the pattern differs from test to test
        self.attempts = 0
        self.changeover = Changeover(node, self)
        self.changeback = Changeback(node, self)
        self.inhibit = Inhibit(node, self)

    @property
    def parts(self):
        """The machines of the link, in a fixed order."""
        return (self, self.changeover, self.changeback, self.inhibit)

    def handle(self, name, now_ms, *details):
        """Carry an input out, and tell the linkset when traffic must move."""
        self.step(name, now_ms, *details)
        self.update(now_ms)

    def expire(self, now_ms):
        """Let the timers that have fallen due act."""
        super().expire(now_ms)
        self.update(now_ms)

    def update(self, now_ms):
        """Compare what the link can carry now with what it could before."""
        if self.state != ACTIVE:
            self.congested = False
        usable = self.state == ACTIVE and not self.far_outage and not self.inhibit.local and not self.inhibit.remote
        if usable == self.usable:
            return
        self.usable = usable
        reason = "in_service" if usable else "failed" if self.state != ACTIVE else (
            "processor_outage" if self.far_outage else "inhibited")
        self.node.emit({"event": "link_state", "link": self.name, "available": usable, "reason": reason})
        self.linkset.link_changed(self, now_ms)

    def send(self, name, now_ms, **fields):
        """Send a message about this link over this link."""
        self.node.put(self.name, "message", self.node.management(self.linkset.adjacent, name, self.slc, **fields))

    # Activation and restoration

    def _align(self, now_ms):
        if self.changeover.busy:        # MTP2 must not forget yet what is to be retrieved
            self.timers.start("T17", now_ms)
            return WAITING
        self.far_outage = False
        # 12.2: haste where nothing else carries the traffic
        self.node.put(self.name, "emergency_ceases" if self.linkset.usable_links() else "emergency")
        self.node.put(self.name, "start")
        return "ALIGNING"

    def _failed_alignment(self, now_ms, reason=None):
        self.timers.stop("SLT_T1")
        self.timers.start("T17", now_ms)

    def _failed(self, now_ms, reason=None):
        self.timers.stop_all()
        self.timers.start("T17", now_ms)

    def _deactivate(self, now_ms):
        self.timers.stop_all()
        self.node.put(self.name, "stop")

    def _far_changed_over(self, now_ms):
        """5.3.2: the far end holds the link for failed; so must we."""
        self.node.put(self.name, "stop")
        self._failed(now_ms)

    # Signalling link test

    def pattern(self):
        """The octets of the test under way."""
        return bytes([(self.tests * 37 + i * 85 + 90) % 256 for i in range(PATTERN_OCTETS)])

    def _test(self, now_ms):
        self.attempts = 1
        self.tests = (self.tests + 1) % 256
        self._send_test(now_ms)

    def _found_in_service(self, now_ms):
        self.timers.stop("T17")
        self._test(now_ms)

    def _send_test(self, now_ms):
        self.send("SLTM", now_ms, pattern=self.pattern())
        self.timers.start("SLT_T1", now_ms)

    def _test_again(self, now_ms):
        if self.attempts < 2:
            self.attempts += 1
            self._send_test(now_ms)
            return None
        self.node.count("link_tests_failed")
        self._test_failed(now_ms)
        return WAITING

    def _test_failed(self, now_ms):
        self._failed(now_ms)
        self.node.put(self.name, "stop")

    def _available(self, now_ms):
        self._tested(now_ms)

    def _tested(self, now_ms):
        self.timers.stop("SLT_T1")
        self.timers.start("SLT_T2", now_ms)

    def test_message(self, name, label, fields, now_ms):
        """An SLTM or SLTA that came over this link.  Q.707 2.2: who, over which link, what."""
        slc = fields.get("slc", label.sls & 15)
        right = label.opc == self.linkset.adjacent and slc == self.slc
        if name == "SLTM":
            if right:
                self.send("SLTA", now_ms, pattern=fields["pattern"])
            else:
                self.node.count("link_tests_refused")
        elif self.timers.running("SLT_T1"):
            if right and fields["pattern"] == self.pattern():
                self.handle("SLTA", now_ms)
            else:                       # a wrong answer is none: SLT_T1 decides
                self.node.count("link_tests_wrong")

    # Processor outage

    def _far_outage(self, now_ms):
        self.far_outage = True

    def _far_recovered(self, now_ms):
        self.far_outage = False

    @property
    def carries_management(self):
        """Whether messages about this link can go over it."""
        return self.state in (TESTING, ACTIVE) and not self.far_outage
