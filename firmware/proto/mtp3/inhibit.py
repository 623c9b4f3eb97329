"""Management inhibiting of one link: Q.704 clause 10.

local: we inhibited it; remote: the far end did.  The link stays up and tested,
but carries no traffic of users.  Portable.
"""

from firmware.proto.mtp3.part import Part
from firmware.proto.mtp3.table import FORCING, IDLE, INHIBIT_TABLE, INHIBITING, UNINHIBITING


class Inhibit(Part):
    """One link's inhibition."""

    TABLE = INHIBIT_TABLE
    INITIAL = IDLE
    FIELDS = ("local", "remote", "attempts")

    def __init__(self, node, link):
        super().__init__(node)
        self.link = link
        self.local = False
        self.remote = False
        self.attempts = 0

    def handle(self, name, now_ms):
        """Carry an input out; the link sees whether it is usable."""
        self.step(name, now_ms)
        self.link.update(now_ms)

    def expire(self, now_ms):
        """Let the timers that have fallen due act."""
        super().expire(now_ms)
        self.link.update(now_ms)

    def _send(self, name, now_ms):
        self.node.send_near(self.link, name, now_ms)

    def _tell(self, result):
        self.node.emit({"event": "inhibit", "link": self.link.name, "result": result,
                        "local": self.local, "remote": self.remote})

    def _ask(self, name, timer, now_ms):
        self.attempts += 1
        self._send(name, now_ms)
        self.timers.start(timer, now_ms)

    def _ask_inhibit(self, now_ms):
        if self.local:
            self._tell("inhibited")
            return None
        if self.link.usable and not self.node.may_inhibit(self.link):
            self._tell("denied_here")           # 10.2: a destination would become inaccessible
            return None
        self.attempts = 0
        self._ask("LIN", "T14", now_ms)
        return INHIBITING

    def _inhibited(self, now_ms):
        self.timers.stop("T14")
        self.local = True
        self.timers.start("T22", now_ms)
        self._tell("inhibited")

    def _denied(self, now_ms):
        self.timers.stop("T14")
        self._tell("denied")

    def _repeat_inhibit(self, now_ms):
        if self.attempts >= 2:
            self._tell("no_answer")
            return IDLE
        self._ask("LIN", "T14", now_ms)
        return None

    def _ask_uninhibit(self, now_ms):
        self.timers.stop("T13")
        if not self.local:
            self._tell("uninhibited")
            return IDLE
        self.attempts = 0
        self._ask("LUN", "T12", now_ms)
        return UNINHIBITING

    def _uninhibited(self, now_ms):
        self.timers.stop("T12")
        self.timers.stop("T22")
        self.local = False
        self._tell("uninhibited")

    def _repeat_uninhibit(self, now_ms):
        if self.attempts >= 2:
            self._tell("no_answer")
            return IDLE
        self._ask("LUN", "T12", now_ms)
        return None

    def _ask_force(self, now_ms):
        if not self.remote:
            return None
        self.attempts = 0
        self._ask("LFU", "T13", now_ms)
        return FORCING

    def _repeat_force(self, now_ms):
        if self.attempts >= 2:
            return IDLE
        self._ask("LFU", "T13", now_ms)
        return None

    def _far_inhibits(self, now_ms):
        if self.remote or not self.link.usable or self.node.may_inhibit(self.link):
            self.remote = True
            self._send("LIA", now_ms)
            self.timers.start("T23", now_ms)
            self._tell("inhibited_by_far_end")
        else:
            self._send("LID", now_ms)

    def _far_uninhibits(self, now_ms):
        self.timers.stop("T13")
        self.timers.stop("T23")
        was, self.remote = self.remote, False
        self._send("LUA", now_ms)
        if was:
            self._tell("uninhibited_by_far_end")

    def _far_forces(self, now_ms):
        return self._ask_uninhibit(now_ms) if self.local else None

    def _far_tests_local(self, now_ms):
        """LLT: the far end holds the link for inhibited by itself.  10.5."""
        if not self.remote:
            self._send("LFU", now_ms)

    def _far_tests_remote(self, now_ms):
        """LRT: the far end holds the link for inhibited by us.  10.5."""
        if not self.local:
            self._send("LUN", now_ms)

    def _test_local(self, now_ms):
        if self.local:
            self._send("LLT", now_ms)
            self.timers.start("T22", now_ms)

    def _test_remote(self, now_ms):
        if self.remote:
            self._send("LRT", now_ms)
            self.timers.start("T23", now_ms)

    def _forget(self, now_ms):
        """A request under way is void when the link fails; the inhibition is not."""
        for name in ("T12", "T13", "T14"):
            self.timers.stop(name)
