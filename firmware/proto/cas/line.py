"""Base of the line signalling machines of one circuit: ABCD bits, recognition, faults of the span.

    line.bits(0b1001, now_ms)           # what the board receives, A is 8, D is 1
    line.alarm(True, now_ms)            # the span is in alarm: bits mean nothing
    line.request("seize_request", now_ms)
    line.take_output()                  # [ABCD, ...] to send
    line.deadline_ms(); line.expire(now_ms); line.take_events()

A pattern is an input of the table when it has stood for the recognition time
(Q.422: 20 ms), so a shorter one never was.  Inputs are the signalling bits as
text: "10" is A 1, B 0.  While the span is in alarm nothing is recognised and the
bits to send stay as they are (Q.424): a call that stands, stands.

Portable.
"""

from firmware.proto.machine import Machine


class Line(Machine):
    """bits_used: 1, 2 or 4, from A on.  invert: mask of bits that the line has upside down.
    fixed: value of the bits not used."""

    WATCHES = ()        # timers that wait for the far end: stopped by an alarm

    def __init__(self, durations_ms, bits_used=2, invert=0, fixed=1):
        super().__init__(durations_ms)
        self.bits_used = bits_used
        self.invert = invert
        self.fixed = fixed
        self.in_alarm = False
        self.seen = None            # the pattern recognised last
        self.sent = None
        self.counters = {}
        self._raw = None            # the pattern as it stands
        self._output = []

    def pattern(self, bits):
        """ABCD as the text of the bits used."""
        bits = (bits ^ self.invert) & 15
        text = ""
        for n in range(self.bits_used):
            text += "1" if bits & (8 >> n) else "0"
        return text

    def code(self, pattern):
        """The ABCD to send for a pattern."""
        bits = self.fixed & (15 >> self.bits_used)
        for n in range(self.bits_used):
            if pattern[n] == "1":
                bits |= 8 >> n
        return (bits ^ self.invert) & 15

    def bits(self, bits, now_ms):
        """ABCD on the line; the same ones again change nothing."""
        pattern = self.pattern(bits)
        if pattern != self._raw:
            self._raw = pattern
            if not self.in_alarm:
                self._recognise(now_ms)

    def _recognise(self, now_ms):
        self.timers.stop("RECOGNITION")
        if self._raw is not None and self._raw != self.seen:
            self.timers.start("RECOGNITION", now_ms)

    def stop_timers(self):
        """Stop all timers but the recognition of what the far end does now."""
        for name, _ in self.timers.dump():
            if name != "RECOGNITION":
                self.timers.stop(name)

    def alarm(self, active, now_ms):
        """The span enters or leaves an alarm."""
        if active == self.in_alarm:
            return
        self.in_alarm = active
        if active:
            for name in ("RECOGNITION",) + self.WATCHES:
                self.timers.stop(name)
            self._raw = None
        else:
            self._recognise(now_ms)

    def send(self, pattern):
        """Put a pattern on the line."""
        if pattern != self.sent:
            self.sent = pattern
            self._output.append(self.code(pattern))

    def send_again(self):
        """The board may have forgotten what we send (restart of media)."""
        if self.sent is not None:
            self._output.append(self.code(self.sent))

    def take_output(self):
        """Return the ABCD values to send, in order."""
        output, self._output = self._output, []
        return output

    def request(self, primitive, now_ms):
        """A request of the layer above; raises LocalError where the table has no row."""
        self.step(primitive, now_ms)

    def step(self, name, now_ms, *details):
        if name == "RECOGNITION":
            self.seen = name = self._raw
        super().step(name, now_ms, *details)

    def count(self, name):
        self.counters[name] = self.counters.get(name, 0) + 1

    def _dump(self, names):
        saved = {"state": self.state, "timers": self.timers.dump()}
        for name in ("in_alarm", "seen", "sent", "_raw") + names:
            saved[name] = getattr(self, name)
        return saved

    def load(self, saved):
        """Take what dump() gave."""
        self.state = saved["state"]
        self.timers.restore(saved["timers"])
        for name in saved:
            if name not in ("state", "timers"):
                setattr(self, name, saved[name])
