"""Base of the T1 line machines: repeated bits, dial pulses both ways, release and guard.

Events beside those of r2_line.py: ("acknowledged",) means "send the digits";
("pulses", digit) a dial-pulsed digit came; ("pulsed",) ours has gone;
("ack_wink",) feature group D; ("ringing",) each ring of an office.

Portable.
"""

from firmware.errors import LocalError
from firmware.proto.cas import t1_table as t
from firmware.proto.cas.line import Line

REQUESTS = ("seize_request", "answer_request", "release_request", "block_request", "unblock_request", "pulse_request",
            "wink_request", "assume_answer")


class T1Line(Line):
    """timers: {name: ms} over t1_table.TIMERS.  ON, OFF: the patterns that we send for on-hook and off-hook."""

    INITIAL = t.IDLE
    IDLE_SEEN = ("0",)              # what the far end sends where there is no call
    ON, OFF = "0", "1"
    KEPT = ("blocking", "pulses_left", "pulses_heard")

    def __init__(self, timers, bits_used):
        durations = {}
        for name in t.TIMERS:
            durations[name] = t.TIMERS[name][0]
        durations.update(timers or {})
        super().__init__(durations, bits_used)
        self.blocking = False
        self.pulses_left = 0
        self.pulses_heard = 0

    def code(self, pattern):
        """ABCD of a pattern: C and D repeat."""
        text = (pattern * 4)[:4]
        return int(text, 2)

    def start(self, now_ms):
        """Send on-hook."""
        self.send(self.ON)

    def trouble(self):
        if self.in_alarm:
            return "alarm"
        if self.blocking:
            return "blocking"
        if self.state in (t.HELD, t.RELEASING) and not self.timers.running("T_RELEASE"):
            return "blocked"            # it stays off-hook: busied out there, or in trouble
        return "unknown" if self.seen is None else ""

    @property
    def seizable(self):
        """Whether an outgoing call may take the circuit now."""
        return self.state == t.IDLE and self.seen in self.IDLE_SEEN and not self.in_alarm and not self.blocking

    @property
    def free(self):
        """Whether there is no call on the circuit."""
        return self.state in (t.IDLE, t.GUARD, t.BLOCKED)

    def request(self, primitive, now_ms, *details):
        """Carry a request out.  Raises LocalError."""
        if primitive not in REQUESTS:
            raise LocalError("T1 line signalling has no request %r" % (primitive,))
        if primitive == "seize_request" and not self.seizable:
            raise LocalError("the circuit can not be seized: state %s, received %s%s" % (
                self.state, self.seen, ", alarm" if self.in_alarm else ""))
        if primitive in ("block_request", "unblock_request"):
            self.blocking = primitive == "block_request"
            if (self.state, primitive) not in self.TABLE:
                return
        self.step(primitive, now_ms, *details)

    def illegal(self, name, now_ms, *details):
        if name in REQUESTS:
            raise LocalError("%s is not possible in state %s" % (name, self.state))
        self.count("unexpected_inputs")

    def dump(self):
        """Everything, as a JSON-able dict."""
        return self._dump(self.KEPT)

    # Free

    def _free(self, now_ms):
        self.stop_timers()
        if self.blocking and (t.GUARD, "block_request") in self.TABLE:
            self._block(now_ms)
            self.emit("idle")
            return t.BLOCKED
        self.send(self.ON)
        self.timers.start("T_GUARD", now_ms)
        return t.GUARD

    def _idle(self, now_ms):
        self.emit("idle")
        if self.seen is not None and self.seen not in self.IDLE_SEEN:
            row = self.TABLE.get((t.IDLE, self.seen))       # it came while we were not looking
            if row is not None and row[0] is not None:
                return getattr(self, row[0])(now_ms) or row[1]
        return None

    def _block(self, now_ms):
        self.stop_timers()
        self.send(self.OFF)

    def _unblock(self, now_ms):
        return self._free(now_ms)

    def _release_late(self, now_ms):
        self.emit("fault", "the far end stays off-hook: it has blocked the circuit, or is in trouble")

    # Dial pulses out

    def _start_dialling(self, now_ms):
        self.stop_timers()
        self.emit("acknowledged")

    def _pulse_digit(self, now_ms, digit):
        self.pulses_left = 10 if digit == "0" else int(digit)
        return self._break_out(now_ms)

    def _break_out(self, now_ms):
        self.pulses_left -= 1
        self.send(self.ON)
        self.timers.start("T_BREAK", now_ms)
        return t.BREAK

    def _make(self, now_ms):
        self.send(self.OFF)
        self.timers.start("T_MAKE" if self.pulses_left else "T_PAUSE", now_ms)

    def _next_pulse(self, now_ms):
        return self._break_out(now_ms)

    def _pulsed(self, now_ms):
        """The digit is out; what the far end did meanwhile counts now.  Returns the state."""
        self.emit("pulsed")
        row = self.TABLE.get((t.DIALLING, self.seen))
        if row is None or row[0] is None:
            return None
        return getattr(self, row[0])(now_ms) or row[1]

    # Dial pulses in

    def _break(self, now_ms):
        self.timers.stop("T_DIGIT_END")
        self.timers.start("T_DISCONNECT", now_ms)

    def _pulse(self, now_ms):
        self.timers.stop("T_DISCONNECT")
        self.pulses_heard += 1
        self.timers.start("T_DIGIT_END", now_ms)

    def _digit(self, now_ms):
        pulses, self.pulses_heard = self.pulses_heard, 0
        if 1 <= pulses <= 10:
            self.emit("pulses", "0" if pulses == 10 else str(pulses))
        else:
            self.count("pulse_trains_too_long")

    # Supervision

    def _on_hook(self, now_ms):
        self.timers.start("T_DISCONNECT", now_ms)

    def _hit(self, now_ms):
        self.timers.stop("T_DISCONNECT")

    def _answered(self, now_ms):
        self.stop_timers()
        self.emit("answered")

    def _cleared_back(self, now_ms):
        self.emit("cleared_back")

    def _cleared_forward(self, now_ms):
        self.stop_timers()
        self.emit("cleared_forward")

    def _abandoned(self, now_ms):
        self.stop_timers()
        self.emit("cleared_forward")


class EMLine(T1Line):
    """E&M.  start_signal: "immediate", "wink" or "delay".  glare: "yield" or "hold" (one end of a span each).

    e1: codes of an E1 channel bank, where 0 0 0 0 would be the multiframe alignment."""

    TABLE = t.EM
    WATCHES = ("T_WINK_WAIT", "T_WINK_MAX", "T_DISCONNECT", "T_DELAY_MAX")
    KEPT = T1Line.KEPT + ("ack_expected", "in_glare")

    def __init__(self, timers=None, start_signal="wink", glare="yield", e1=False):
        if start_signal not in ("immediate", "wink", "delay") or glare not in ("yield", "hold"):
            raise LocalError("E&M starts by immediate, wink or delay, not %r; glare is yield or hold, not %r"
                             % (start_signal, glare))
        super().__init__(timers, 1)
        self.start_signal = start_signal
        self.glare = glare
        self.e1 = e1
        self.ack_expected = False       # feature group D: the digits are out, a wink is due
        self.in_glare = False           # both have seized, and the far end is to yield

    def code(self, pattern):
        """ABCD of on-hook and off-hook."""
        if self.e1:
            return 0b1101 if pattern == "1" else 0b0001
        return super().code(pattern)

    def _seize(self, now_ms):
        self.send("1")
        self.ack_expected = self.in_glare = False
        self.timers.start("T_START_DELAY" if self.start_signal == "immediate" else "T_WINK_WAIT", now_ms)

    def _off_hook(self, now_ms):
        self.stop_timers()
        if self.start_signal == "delay":
            self.timers.start("T_DELAY_MAX", now_ms)
        else:
            self.timers.start("T_WINK_MIN", now_ms)
            self.timers.start("T_WINK_MAX", now_ms)

    def _early_off_hook(self, now_ms):
        self._off_hook(now_ms)

    def step(self, name, now_ms, *details):
        if name != "T_WINK_MIN":        # it is asked whether it runs, and means nothing when it ends
            super().step(name, now_ms, *details)

    def _start_signal(self, now_ms):
        short = self.timers.running("T_WINK_MIN")
        self.stop_timers()
        if short:
            self.count("hits")
        if short or (self.in_glare and self.start_signal == "wink"):
            self.in_glare = False       # it has yielded: its wink is still to come
            self.timers.start("T_WINK_WAIT", now_ms)
            return t.SEIZING
        self.timers.start("T_AFTER_WINK", now_ms)
        return t.START_DELAY

    def _no_start(self, now_ms):
        self.emit("seize_failed", "timeout")
        return self._release(now_ms) or t.RELEASING

    def _glare(self, now_ms):
        """Both have seized: who yields goes on-hook and serves the far end's call."""
        self.count("double_seizures")
        if self.glare == "hold":
            self.in_glare = True
            self.timers.start("T_DELAY_MAX", now_ms)
            return None
        self.emit("seize_failed", "collision")
        self.send("0")
        return self._seized(now_ms) or t.SEIZED

    def _off_hook_later(self, now_ms):
        if self.ack_expected:
            self.timers.start("T_WINK_MAX", now_ms)
            return t.ACK_WINK
        self._answered(now_ms)
        return t.ANSWERED

    def _ack_wink(self, now_ms):
        self.stop_timers()
        self.ack_expected = False
        self.emit("ack_wink")

    def _release(self, now_ms):
        self.stop_timers()
        self.send("0")
        if self.seen == "0":
            return self._free(now_ms)
        self.timers.start("T_RELEASE", now_ms)
        return None

    def _released(self, now_ms):
        return self._free(now_ms)

    # Incoming

    def _seized(self, now_ms):
        self.stop_timers()
        self.pulses_heard = 0
        self.emit("seized")
        if self.start_signal == "immediate":
            return t.RECEIVING
        if self.start_signal == "delay":
            self.send("1")
            self.timers.start("T_START_DELAY", now_ms)
        else:
            self.timers.start("T_WINK_DELAY", now_ms)
        return t.SEIZED

    def _ready(self, now_ms):
        self.send("0")

    def _wink(self, now_ms):
        self.send("1")
        self.timers.start("T_WINK", now_ms)

    def _wink_over(self, now_ms):
        self.send("0")

    def _answer(self, now_ms):
        self.timers.stop("T_DIGIT_END")
        if self.state == t.RECEIVING:
            self.timers.stop("T_DISCONNECT")
        self.send("1")

    def _hold(self, now_ms):
        self.stop_timers()
        self.send("0")
        if self.seen == "0":
            return self._free(now_ms)
        self.timers.start("T_RELEASE", now_ms)
        return None

    def _far_released(self, now_ms):
        return self._free(now_ms)

    def _let_go(self, now_ms):
        return self._free(now_ms)
