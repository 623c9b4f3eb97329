"""R2 line signalling of one circuit, digital version, both directions.

    line = R2Line({"T_SEIZE": 200}, fixed=1)
    line.start(now_ms)                      # sends idle
    line.bits(0b1001, now_ms); events = line.take_events()

Events (tuples):
  ("seized",)                       the far end seizes; acknowledged already
  ("acknowledged",)  ("answered",)  ("metered",)  ("cleared_back",)  ("forced_release",)
  ("cleared_forward",)              answer with release_request when the equipment is free
  ("seize_failed", reason)          "timeout", "collision", "protocol"; the circuit clears itself
  ("far_idle",)                     the far end went idle in the middle of a call
  ("idle",)                         the circuit is free again
  ("blocked",) ("unblocked",)       by the far end
  ("fault", text)                   something for maintenance

Requests: seize_request, answer_request, double_answer_request, clear_back_request,
forced_release_request, meter_request, release_request, block_request, unblock_request.
block_request in the middle of a call takes effect at its end.  Raises
LocalError on a request that the state does not allow.

Source: Q.421, Q.422, Q.424 (1988).  Portable.
"""

from firmware.errors import LocalError
from firmware.proto.cas import r2_table as t
from firmware.proto.cas.line import Line

REQUESTS = ("seize_request", "answer_request", "double_answer_request", "clear_back_request",
            "forced_release_request", "meter_request", "release_request", "block_request", "unblock_request")


class R2Line(Line):
    """timers: {"T_SEIZE": ms, ...} over r2_table.TIMERS."""

    TABLE = t.TABLE
    INITIAL = t.IDLE
    WATCHES = ("T_SEIZE", "T_METERING", "T_RELEASE")

    def __init__(self, timers=None, invert=0, fixed=1):
        durations = {}
        for name in t.TIMERS:
            durations[name] = t.TIMERS[name][0]
        durations.update(timers or {})
        super().__init__(durations, 2, invert, fixed)
        self.blocking = False

    @property
    def seizable(self):
        """Whether an outgoing call may take the circuit now."""
        return self.state == t.IDLE and self.seen == "10" and not self.in_alarm and not self.blocking

    @property
    def free(self):
        """Whether there is no call on the circuit."""
        return self.state in t.FREE

    def trouble(self):
        """Why no call can be had here, "" if one can or is: see cas/circuit.py, circuit_state."""
        if self.in_alarm:
            return "alarm"
        if self.blocking:
            return "blocking"
        if self.state == t.BLOCKED:
            return "blocked"
        if self.state == t.SEIZE_FAILED:
            return "not_acknowledged"
        return "unknown" if self.seen is None else ""

    def start(self, now_ms):
        """Send idle."""
        self.send("10")

    def request(self, primitive, now_ms):
        """Carry a request out.  Raises LocalError."""
        if primitive not in REQUESTS:
            raise LocalError("R2 line signalling has no request %r" % (primitive,))
        if primitive == "seize_request" and not self.seizable:
            raise LocalError("the circuit can not be seized: state %s, received %s%s" % (
                self.state, self.seen, ", alarm" if self.in_alarm else ""))
        if primitive == "block_request":
            self.blocking = True
            if not self.free:
                return
        elif primitive == "unblock_request":
            self.blocking = False
            if self.state != t.BLOCKING:
                return
        self.step(primitive, now_ms)

    def dump(self):
        """Everything, as a JSON-able dict."""
        return self._dump(("blocking",))

    def illegal(self, name, now_ms, *details):
        """Patterns all have rows or mean nothing here; a request without a row is our caller's error."""
        if name in REQUESTS:
            raise LocalError("%s is not possible in state %s" % (name, self.state))
        self.count("unexpected_inputs")

    # Free

    def _free(self, now_ms):
        """No call any more: idle, or blocked by the far end.  Returns the state.

        Our own blocking waits for the guard: the far end wants to see its release guard."""
        self.send("10")
        if self.seen == "11" and not self.blocking:
            self.emit("idle")
            self.emit("blocked")
            return t.BLOCKED
        self.timers.start("T_GUARD", now_ms)
        return t.GUARD

    def _idle(self, now_ms):
        self.emit("idle")
        if self.seen == "00":           # seized before it saw our release guard
            self._seized(now_ms)
            return t.SEIZED
        if self.blocking:
            self.send("11")
            return t.BLOCKING
        return None

    def _far_idle(self, now_ms):
        if self.state == t.IDLE:
            self.emit("idle")

    def _blocked(self, now_ms):
        self.timers.stop("T_GUARD")
        self.emit("blocked")

    def _unblocked(self, now_ms):
        self.emit("unblocked")
        return self._free(now_ms)

    def _block(self, now_ms):
        self.timers.stop("T_GUARD")
        self.send("11")

    def _unblock(self, now_ms):
        return self._free(now_ms)

    def _fault(self, now_ms):
        self.count("faults")
        self.emit("fault", "the far end sends %s in state %s" % (self.seen, self.state))

    # Outgoing

    def _seize(self, now_ms):
        self.send("00")
        self.timers.start("T_SEIZE", now_ms)

    def _acknowledged(self, now_ms):
        self.timers.stop("T_SEIZE")
        self.emit("acknowledged")

    def _not_acknowledged(self, now_ms):
        self.count("seizures_not_acknowledged")
        self.emit("seize_failed", "timeout")
        self.timers.start("T_ABANDON", now_ms)

    def _answer_too_soon(self, now_ms):
        self.timers.stop("T_SEIZE")
        self.emit("seize_failed", "protocol")
        return self._clear_forward(now_ms) or t.RELEASING

    def _hold_seizure(self, now_ms):
        self.timers.stop("T_SEIZE")
        self.timers.start("T_ABANDON", now_ms)

    def _abandon(self, now_ms):
        if self.timers.running("T_ABANDON"):
            return None
        self.emit("fault", "the far end never acknowledged a seizure")
        return self._free(now_ms)

    def _collision(self, now_ms):
        self.emit("seize_failed", "collision")
        self._collision_late(now_ms)

    def _collision_late(self, now_ms):
        self.timers.stop("T_SEIZE")
        self.timers.stop("T_ABANDON")
        self.count("double_seizures")
        self.timers.start("T_DOUBLE", now_ms)

    def _answered(self, now_ms):
        self.emit("answered")

    def _clear_back_or_pulse(self, now_ms):
        if self.timers.durations_ms["T_METERING"]:
            self.timers.start("T_METERING", now_ms)
            return t.METERING
        self.emit("cleared_back")
        return t.CLEARED_BACK

    def _cleared_back(self, now_ms):
        self.emit("cleared_back")

    def _metered(self, now_ms):
        self.timers.stop("T_METERING")
        self.emit("metered")

    def _forced(self, now_ms):
        self.timers.stop("T_METERING")
        self.emit("forced_release")

    def _far_gave_up(self, now_ms):
        self.emit("far_idle")
        return self._clear_forward(now_ms)

    def _clear_forward(self, now_ms):
        self.stop_timers()
        self.send("10")
        if self.seen == "10":
            return self._released(now_ms)
        self.timers.start("T_RELEASE", now_ms)
        return None

    def _released(self, now_ms):
        self.timers.stop("T_RELEASE")
        return self._free(now_ms)

    def _release_late(self, now_ms):
        self.emit("fault", "the far end does not send the release guard, but %s" % (self.seen,))

    # Incoming

    def _seized(self, now_ms):
        self.timers.stop("T_GUARD")
        self.send("11")
        self.emit("seized")

    def _answer(self, now_ms):
        self.send("01")

    def _answer_twice(self, now_ms):
        self.send("01")
        self.timers.start("T_DOUBLE_ANSWER", now_ms)

    def _second_answer(self, now_ms):
        if self.sent == "01":
            self.send("11")
            self.timers.start("T_DOUBLE_ANSWER", now_ms)
            return None
        self.send("01")
        return t.ANSWER_SENT

    def _clear_back(self, now_ms):
        self.timers.stop("T_PULSE")
        self.timers.stop("T_DOUBLE_ANSWER")
        self.send("11")

    def _force(self, now_ms):
        self.timers.stop("T_PULSE")
        self.timers.stop("T_DOUBLE_ANSWER")
        self.send("00")

    def _meter(self, now_ms):
        self.send("11")
        self.timers.start("T_PULSE", now_ms)

    def _pulse_over(self, now_ms):
        self.send("01")

    def _clear_forward_seen(self, now_ms):
        self.timers.stop("T_PULSE")
        self.timers.stop("T_DOUBLE_ANSWER")
        self.emit("cleared_forward")

    def _release_guard(self, now_ms):
        return self._free(now_ms)
