"""The outgoing R2 register: answers what the incoming one asks.

    register = OutgoingRegister(variant, timers)
    register.load_call(called="1234", complete=True, caller="5551000", category="subscriber")
    register.start(now_ms)
    register.tone(5, now_ms)            # backward signal 5 is heard; None: it ended
    register.take_output()              # [signal or None, ...] to send forward

Events (tuples): ("proceeding", meaning) for A-6 and B signals that mean a free line;
("refused", cause, meaning); ("failed", cause, text); ("digits_wanted",).

Source: Q.440, Q.441, Q.460-Q.465, Q.476 (1988).  Portable.
"""

from firmware.proto.machine import Machine
from firmware.proto.r2 import table as t
from firmware.proto.r2.variant import CAUSES, FREE

DIGITS = "0123456789"
BACK = {"previous_digit": 1, "digit_n_2": 2, "digit_n_3": 3}
_KEPT = ("group", "called", "complete", "caller", "category", "position", "phase", "caller_position", "category_sent",
         "heard", "hearing", "sending", "options")


def signal_of(digit):
    """The Group I signal of a digit: 1-9, and 10 for 0 (Q.441)."""
    return 10 if digit == "0" else int(digit)


class OutgoingRegister(Machine):
    """variant: a Variant.  timers: {name: ms} over table.TIMERS."""

    TABLE = t.OUTGOING
    INITIAL = t.IDLE
    PLAN, LISTENS = "r2_forward", "r2_backward"

    def __init__(self, variant, timers):
        super().__init__(timers)
        self.variant = variant
        self._output = []
        self.group = "A"                # of the backward signals that we expect
        self.called = ""
        self.complete = True
        self.caller = None
        self.category = "subscriber"
        self.options = {}
        self.position = -1              # of the called digit sent last
        self.phase = "called"           # which number is being sent: "called", "caller", "address"
        self.caller_position = -1
        self.category_sent = False
        self.heard = None               # the backward signal to act on when it ends
        self.hearing = None             # what is on now
        self.sending = None

    def load_call(self, called, complete=True, caller=None, category="subscriber", options=None):
        """What there is to send.  options: {"country_code_indicator", "language", "satellite_included", ...}."""
        self.called, self.complete, self.caller, self.category = called, complete, caller, category
        self.options = dict(options or {})

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

    def take_output(self):
        """Return the signals to send: 1 to 15, None for silence."""
        output, self._output = self._output, []
        return output

    def start(self, now_ms):
        """The seizure is acknowledged: send the first digit."""
        self.step("start", now_ms)

    def tone(self, signal, now_ms):
        """A backward signal begins (1-15) or ends (None); told twice, it is one."""
        if signal == self.hearing:
            return
        self.hearing = signal
        if signal is None:
            self.step("off", now_ms)
        else:
            self.step("on", now_ms, signal)

    def add_digits(self, digits, complete, now_ms):
        """More of the called number."""
        self.called += digits
        self.complete = complete
        self.step("digits", now_ms)

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

    def _send(self, signal):
        if signal != self.sending:
            self.sending = signal
            self._output.append(signal)

    def _forward(self, signal, now_ms):
        self._send(signal)
        self.timers.stop("T2")
        self.timers.start("T1", now_ms)
        return t.SENDING

    def _silent(self, now_ms):
        self.timers.start("T2", now_ms)
        if not self.complete:
            self.emit("digits_wanted")
        return t.SILENT

    def _fail(self, cause, text):
        self.timers.stop_all()
        self._send(None)
        self.emit("failed", cause, text)
        return t.FAILED

    # Rows

    def _first_digit(self, now_ms):
        first = self.options.get("country_code_indicator")
        if first:
            return self._forward(first, now_ms)
        return self._next_called(now_ms)

    def _stop_signal(self, now_ms, signal):
        self.heard = signal
        self.timers.stop("T1")
        self.timers.start("T2", now_ms)
        self._send(None)

    def _pulse(self, now_ms, signal):
        self._stop_signal(now_ms, signal)

    def _changed(self, now_ms, signal):
        self.heard = signal

    def _no_answer(self, now_ms):
        return self._fail(102, "no backward signal for %d ms" % self.timers.durations_ms["T1"])

    def _stuck(self, now_ms):
        return self._fail(102, "the far register stands still (%s)" % self.state)

    def _more(self, now_ms):
        return self._next_called(now_ms)

    # Answers

    def _act(self, now_ms):
        """A backward signal has ended: do what it asked.  Returns the state."""
        signal, self.heard = self.heard, None
        self.timers.stop("T2")
        meanings = self.variant.meanings(self.group, signal)
        if not meanings:
            return self._fail(111, "signal %s-%d is not in use" % (self.group, signal))
        if self.group == "B":
            return self._result(meanings[0])
        meaning = self._choose(meanings)
        if meaning == "caller_digit":
            return self._next_caller(now_ms)
        if meaning in ("category", "category_c"):
            if meaning == "category_c":
                self.group = "C"
            self.category_sent = True
            self.phase = "caller"
            return self._forward(self._category(self.variant.categories), now_ms)
        if meaning == "next_digit":
            if self.group == "C":
                self.group = "A"
            self.phase = "called"
            return self._next_called(now_ms)
        if meaning in BACK or meaning == "first_digit":
            self.group = "A"
            self.phase = "called"
            self.position = -2 if meaning == "first_digit" else self.position - BACK[meaning] - 1
            self.position = max(-1, self.position)
            return self._next_called(now_ms)
        if meaning == "change_to_b":
            self.group = "B"
            self.phase = "address"
            return self._forward(self._category(self.variant.group_ii), now_ms)
        if meaning == "free_charge_now":
            return self._result("free_charge")
        if meaning in CAUSES:
            return self._result(meaning)
        return self._extra(meaning, now_ms)

    def _choose(self, meanings):
        if len(meanings) > 1:
            if "category" in meanings:
                return "caller_digit" if self.category_sent else "category"
            if "caller_digit" in meanings and "next_digit" in meanings:
                return "caller_digit" if self.phase == "caller" else "next_digit"
        return meanings[0]

    def _category(self, table):
        return table.get(self.category) or table.get("subscriber") or min(table.values())

    def _next_called(self, now_ms):
        if self.position + 1 < len(self.called):
            self.position += 1
            return self._forward(signal_of(self.called[self.position]), now_ms)
        if self.complete and self.variant.end_of_pulsing is not None and self.position < len(self.called):
            self.position = len(self.called)
            return self._forward(self.variant.end_of_pulsing, now_ms)
        return self._silent(now_ms)

    def _next_caller(self, now_ms):
        self.phase = "caller"
        number = self.caller or ""
        if self.caller_position + 1 < len(number):
            self.caller_position += 1
            return self._forward(signal_of(number[self.caller_position]), now_ms)
        restricted = self.variant.caller_restricted if self.caller is None else None
        end = restricted if restricted is not None else self.variant.caller_end
        if end is None:
            return self._silent(now_ms)
        # Where the next digit of either number is asked for by one signal, the end of this one turns back
        self.phase = "called"
        return self._forward(end, now_ms)

    def _extra(self, meaning, now_ms):
        """Q.441 group A-11 to A-14: international circuits."""
        forward, options = self.variant.forward, self.options
        if meaning == "country_code_indicator":
            signal = options.get("country_code_indicator") or forward.get("country_code_indicator")
        elif meaning == "language":
            signal = options.get("language") or forward.get("language")
        elif meaning == "circuit_nature":
            signal = forward.get("satellite_included" if options.get("satellite") else "satellite_none")
        else:
            signal = forward.get("echo_suppressor")
        if signal is None:
            signal = forward.get("not_possible")
        if signal is None:
            return self._fail(111, "the far register asks for what we do not have: %s" % meaning)
        return self._forward(signal, now_ms)

    def _result(self, meaning):
        self.timers.stop_all()
        self._send(None)
        if meaning in FREE:
            self.emit("proceeding", meaning)
        else:
            self.emit("refused", CAUSES[meaning], meaning)
        return t.DONE
