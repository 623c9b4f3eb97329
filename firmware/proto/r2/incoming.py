"""The incoming R2 register: asks for the digits, the caller, and says what becomes of the call.

    register = IncomingRegister(variant, timers, config)
    register.start(now_ms)
    register.tone(3, now_ms)            # forward signal 3 is heard; None: it ended
    register.take_output()              # [signal or None, ...] to send backward

Events (tuples):
  ("digits", called)        the length is not known: answer with more() or complete()
  ("offered",)              everything is known: answer with accept() or refuse()
  ("done", accepted)        the register signalling is over, both ends are silent
  ("failed", cause, text)   given up; the far end has been told with A-4 where it listens

config: called_length (None: ask above), prefix_lengths {prefix: length}, min_digits,
caller "number", "category" or "none", caller_after (called digits before the
caller is asked for; None: after the last), caller_length (None: until its end
signal), immediate (answer A-6 instead of A-3 and a B signal), pulse_caller
(ask for the caller by a pulsed signal where the number ended by silence).

Source: Q.440-Q.442, Q.464, Q.471, Q.474, Q.476 (1988).  Portable.
"""

from firmware.errors import LocalError
from firmware.proto.machine import Machine
from firmware.proto.r2 import table as t

DEFAULTS = {"called_length": None, "prefix_lengths": {}, "min_digits": 1, "caller": "number", "caller_after": None,
            "caller_length": None, "immediate": False, "pulse_caller": False}
MOST_DIGITS = 40                # ours: beyond it the number is taken as complete
_KEPT = ("group", "sent_group", "expected", "called", "complete_now", "caller", "caller_state", "category_signal", "after_address",
         "prefixes", "hearing", "sending", "final", "refusal", "stage", "repeats")
CONGESTED = (34, 38, 41, 42, 44, 47, 102)


class IncomingRegister(Machine):
    """variant: a Variant.  timers: {name: ms} over table.TIMERS."""

    TABLE = t.INCOMING
    INITIAL = t.IDLE
    PLAN, LISTENS = "r2_backward", "r2_forward"

    def __init__(self, variant, timers, config):
        super().__init__(timers)
        self.variant = variant
        self.config = dict(DEFAULTS)
        for name in DEFAULTS:
            if name in config:
                self.config[name] = config[name]
        self._output = []
        self.group = "A"
        self.sent_group = "A"           # of the backward signal sent last
        self.expected = "digit"         # what the next forward signal is: digit, category, caller, group_ii
        self.called = ""
        self.complete_now = False
        self.caller = None              # text, or None where none came
        self.caller_state = "unasked"   # "unasked", "asked", "ended", "restricted"
        self.category_signal = None
        self.after_address = False      # category_signal came in answer to A-3
        self.prefixes = []              # I-11 to I-15 ahead of the digits: KC, KE, language, country code
        self.hearing = None
        self.sending = None
        self.final = None               # True or False once the last backward signal is on
        self.refusal = None
        self.stage = None               # "digits" or "offer" while DECIDING
        self.repeats = 0

    def dump(self):
        saved = {"state": self.state, "timers": self.timers.dump()}
        for name in _KEPT:
            saved[name] = getattr(self, name)
        return saved

    def load(self, saved):
        self.state = saved["state"]
        self.timers.restore(saved["timers"])
        for name in _KEPT:
            setattr(self, name, saved[name])

    @property
    def category(self):
        """The caller's category by name, "" if not known."""
        if self.category_signal is None:
            return ""
        return self.variant.category(self.category_signal, self.after_address)

    def take_output(self):
        """Return the signals to send: 1 to 15, None for silence."""
        output, self._output = self._output, []
        return output

    def start(self, now_ms):
        """The seizure is acknowledged: listen."""
        self.step("start", now_ms)

    def tone(self, signal, now_ms):
        """A forward signal begins (1-15) or ends (None); told twice, it is one."""
        if signal == self.hearing:
            return
        self.hearing = signal
        if signal is None:
            self.step("off", now_ms)
        else:
            self.step("on", now_ms, signal)

    # The layer above

    def more(self, now_ms):
        """The number needs another digit."""
        if self.state == t.DECIDING and self.stage == "digits":
            self.step("answer", now_ms, self.variant.signal("A", "next_digit"), "digit", None)

    def complete(self, now_ms):
        """The number is complete."""
        self.complete_now = True
        if self.state == t.DECIDING and self.stage == "digits":
            self.state = self._next(now_ms)

    def accept(self, meaning, now_ms):
        """The called line is free.  meaning: one of variant.FREE.  Raises LocalError if nothing is offered."""
        if self.state != t.DECIDING or self.stage != "offer":
            raise LocalError("R2: there is no call to accept in state %s" % self.state)
        if self.group == "B":
            signal = self.variant.first_signal("B", (meaning, "free_charge", "free", "free_no_charge"))
        else:
            signal = self.variant.signal("A", "free_charge_now")
        self.step("answer", now_ms, signal, None, True)

    def refuse(self, cause, now_ms):
        """The call can not be.  cause: Q.850.  Told at once, or at the next forward signal, or by a pulse."""
        if self.state == t.DECIDING:
            if self.group == "A" and cause not in CONGESTED and self.variant.signal("A", "unallocated") is None:
                self.refusal = cause        # group B says it better
                self.step("answer", now_ms, self.variant.signal("A", "change_to_b"), "group_ii", None)
                return
            self.step("answer", now_ms, self._refusal(cause), None, False)
        elif self.state in (t.LISTENING, t.ANSWERING):
            self.refusal = cause
            if self.state == t.LISTENING and self.expected != "group_ii":
                self.step("pulse", now_ms, self._refusal(cause), None, False)

    def stop(self):
        """The call is over: be silent."""
        self.timers.stop_all()
        self._send(None)
        self.state = t.DONE

    @staticmethod
    def hears(symbol):
        """Whether this can be a signal, or the end of one."""
        return symbol is None or (isinstance(symbol, int) and 1 <= symbol <= 15)

    def illegal(self, name, now_ms, *details):
        """Nothing a far end plays may hurt."""

    # Helpers

    def _send(self, signal):
        if signal != self.sending:
            self.sending = signal
            self._output.append(signal)

    def _refusal(self, cause):
        if self.group == "C":
            return self.variant.signal("C", "congestion")
        return self.variant.refusal(self.group, cause)

    def _fail(self, cause, text):
        self.timers.stop_all()
        self._send(None)
        self.emit("failed", cause, text)
        return t.FAILED

    def _length(self):
        """How many digits the called number has, or None."""
        best, length = -1, self.config["called_length"]
        for prefix in self.config["prefix_lengths"]:
            if self.called.startswith(prefix) and len(prefix) > best:
                best, length = len(prefix), self.config["prefix_lengths"][prefix]
        return length

    def _is_complete(self):
        length = self._length()
        return self.complete_now or len(self.called) >= MOST_DIGITS or (length is not None and len(self.called) >= length)

    # Forward signals

    def _listen(self, now_ms):
        self.timers.start("T3", now_ms)

    def _forward(self, now_ms, signal):
        """A forward signal: Q.441 says what it is by what was asked.  Returns the state."""
        self.timers.stop("T3")
        self.timers.stop("T_DIGIT")
        if self.refusal is not None and self.expected != "group_ii":
            return self._say(now_ms, self._refusal(self.refusal), None, False)
        if self.expected == "digit":
            if signal <= 10:
                self.called += "0" if signal == 10 else str(signal)
            elif signal == self.variant.end_of_pulsing:
                self.complete_now = True
            else:
                self.prefixes.append(signal)
                self.repeats += 1
                if self.repeats > MOST_DIGITS:
                    return self._fail(111, "no digits, but signals above 10 only")
                return self._say(now_ms, self.variant.signal("A", "next_digit"), "digit", None)
            return self._next(now_ms)
        if self.expected == "category":
            self.category_signal = signal
            if self.config["caller"] == "number":
                return self._next_caller(now_ms)
            self.caller_state = "ended"
            return self._next(now_ms)
        if self.expected == "caller":
            return self._take_caller(signal, now_ms)
        if self.category_signal is None or not self.variant.category(self.category_signal, False):
            self.category_signal = signal
            self.after_address = True
        if self.refusal is not None:
            return self._say(now_ms, self._refusal(self.refusal), None, False)
        return self._offer(now_ms)

    def _next(self, now_ms):
        """A called digit, or the end of the caller's number, is in.  Returns the state."""
        complete = self._is_complete()
        after = self.config["caller_after"]
        if self.config["caller"] != "none" and self.caller_state == "unasked" and (
                complete or (after is not None and len(self.called) >= after)):
            return self._ask_caller(now_ms)
        if complete:
            return self._address_complete(now_ms)
        if self._length() is None:
            self.stage = "digits"
            self.timers.start("T_DECIDE", now_ms)
            self.emit("digits", self.called)
            return t.DECIDING
        return self._ask_digit(now_ms)

    def _ask_digit(self, now_ms):
        state = self._say(now_ms, self.variant.signal(self.group, "next_digit"), "digit", None)
        self.group = "A"
        return state

    def _ask_caller(self, now_ms):
        self.caller_state = "asked"
        signal, group = self.variant.signal("A", "category"), "A"
        if signal is None:
            signal, group = self.variant.signal("A", "category_c"), "C"
            if signal is None:
                self.caller_state = "ended"
                return self._next(now_ms)
        state = self._say(now_ms, signal, "category", None)
        self.group = group
        return state

    def _next_caller(self, now_ms):
        return self._say(now_ms, self.variant.signal(self.group, "caller_digit"), "caller", None)

    def _take_caller(self, signal, now_ms):
        if signal <= 10:
            self.caller = (self.caller or "") + ("0" if signal == 10 else str(signal))
            length = self.config["caller_length"]
            if (length is None or len(self.caller) < length) and len(self.caller) < MOST_DIGITS:
                return self._next_caller(now_ms)
            self.caller_state = "ended"
        else:
            restricted = not self.caller and signal == self.variant.caller_restricted
            self.caller_state = "restricted" if restricted else "ended"
        return self._next(now_ms)

    def _address_complete(self, now_ms):
        if self.config["immediate"] and self.group == "A" and self.variant.signal("A", "free_charge_now") is not None:
            return self._offer(now_ms)
        signal = self.variant.signal(self.group, "change_to_b")
        return self._say(now_ms, signal, "group_ii", None)

    def _offer(self, now_ms):
        self.stage = "offer"
        self.timers.start("T_DECIDE", now_ms)
        self.emit("offered")
        return t.DECIDING

    # Backward signals

    def _say(self, now_ms, signal, expected, final):
        """Send a backward signal.  expected: what it asks for; final: True or False if it is the last."""
        for name in ("T_DECIDE", "T_DIGIT"):
            self.timers.stop(name)
        if signal is None:
            return self._fail(111, "the variant has no signal for this")
        self.sent_group = self.group
        if expected == "group_ii":
            self.group = "B"
        if expected is not None:
            self.expected = expected
        self.final = final
        self._send(signal)
        self.timers.start("T3", now_ms)
        return t.ANSWERING

    def _answer(self, now_ms, signal, expected, final):
        return self._say(now_ms, signal, expected, final)

    def _undecided(self, now_ms):
        if self.stage == "digits":
            return self._say(now_ms, self.variant.signal("A", "next_digit"), "digit", None)
        self.emit("overdue")
        return None

    def _end_signal(self, now_ms):
        self.timers.stop("T3")
        self._send(None)
        if self.final is not None:
            self.emit("done", self.final)
            return t.DONE
        self.timers.start("T3", now_ms)
        if self.expected == "digit" and len(self.called) >= self.config["min_digits"]:
            self.timers.start("T_DIGIT", now_ms)
        return t.LISTENING

    def _broken(self, now_ms, signal):
        return self._fail(111, "forward signal %d without a gap" % signal)

    def _stuck(self, now_ms):
        return self._fail(102, "a forward signal does not end")

    def _lost_forward(self, now_ms):
        """The far end did not wait for our answer; what it hears of it is its own affair."""
        self.timers.stop("T_DECIDE")
        return self._fail(111, "the forward signal ended before it was answered")

    def _silence(self, now_ms):
        """Q.476: no forward signal; A-4 by a pulse, then release."""
        self.timers.stop_all()
        self.emit("failed", 102, "no forward signal for %d ms" % self.timers.durations_ms["T3"])
        if self.group != "B":
            return self._gap(now_ms, self._refusal(42), None, False) or t.GAP
        return t.FAILED

    # Pulsed signals, Q.442

    def _no_more_digits(self, now_ms):
        self.complete_now = True
        self.sent_group = self.group
        self.timers.stop("T3")
        if self.config["caller"] != "none" and self.caller_state == "unasked" and self.config["pulse_caller"]:
            self.caller_state = "asked"
            signal = self.variant.signal("A", "category")
            if signal is None:
                signal = self.variant.signal("A", "category_c")
                self.group = "C"
            return self._gap(now_ms, signal, "category", None) or t.GAP
        signal = self.variant.signal(self.group, "change_to_b")
        self.group = "B"
        return self._gap(now_ms, signal, "group_ii", None) or t.GAP

    def _gap(self, now_ms, signal, expected, final):
        for name in ("T3", "T_DIGIT"):
            self.timers.stop(name)
        if signal is None:
            return t.FAILED
        self.stage = signal
        if expected is not None:
            self.expected = expected
        self.final = final
        self.timers.start("T_PULSE_DELAY", now_ms)
        return None

    def _pulse(self, now_ms):
        self._send(self.stage)
        self.timers.start("T_PULSE", now_ms)

    def _pulse_over(self, now_ms):
        self._send(None)
        self.timers.start("T_DEAF", now_ms, max(0, self.timers.durations_ms["T_DEAF"] - self.timers.durations_ms["T_PULSE"]))

    def _after_pulse(self, now_ms):
        if self.final is not None:
            self.emit("done", self.final)
            return t.DONE
        if self.hearing is not None:
            return self._forward(now_ms, self.hearing)
        self.timers.start("T3", now_ms)
        return t.LISTENING
