"""Address signalling by tones that nobody acknowledges: DTMF and R1 MF, sender and receiver.

    sender = DigitSender("mf", timers); sender.start("K5551212S", now_ms)
    receiver = DigitReceiver("dtmf", timers, length); receiver.tone("5", now_ms); receiver.tone(None, now_ms)

MF symbols: 0 to 9, "K" is KP, "S" is ST.  A symbol counts when it begins, once.
Sender events: ("sent",).  Receiver events: ("digit", text), ("complete",), ("timeout",).

Source: Q.23 (DTMF), Q.320-Q.322 (MF of System R1).  Portable.
"""

from firmware.proto.machine import Timers

# name: (default ms, source, what it does)
TIMERS = {
    "T_DTMF_ON": (80, "Q.24 receivers want 40 ms", "a DTMF digit that we send"),
    "T_DTMF_OFF": (80, "Q.24 receivers want 40 ms", "the pause after it"),
    "T_MF_KP": (100, "Q.322: 100 +/- 10 ms", "KP that we send"),
    "T_MF_ON": (68, "Q.322: 68 +/- 7 ms", "an MF digit that we send"),
    "T_MF_OFF": (68, "Q.322: 68 +/- 7 ms", "the pause after it"),
    "T_FIRST_DIGIT": (15000, "Q.118 and national: 10 to 20 s", "the first digit does not come"),
    "T_INTERDIGIT": (5000, "Q.120: 4 to 6 s", "no further digit: the number is complete"),
}
SYMBOLS = {"dtmf": "0123456789*#ABCD", "mf": "0123456789KS"}
MOST = 40


class DigitSender:
    """plan: "dtmf" or "mf"."""

    def __init__(self, plan, durations_ms):
        self.plan = plan
        self.timers = Timers(durations_ms)
        self.left = ""
        self.sounding = None
        self._output = []
        self._events = []

    def start(self, symbols, now_ms):
        """Send these after what is still to be sent."""
        idle = not self.left and self.deadline_ms() is None
        self.left += symbols
        if idle:
            self._next(now_ms)

    def stop(self):
        """Be silent."""
        self.timers.stop_all()
        self.left = ""
        self._sound(None)

    @property
    def busy(self):
        """Whether something is being sent."""
        return self.deadline_ms() is not None

    def _sound(self, symbol):
        if symbol != self.sounding:
            self.sounding = symbol
            self._output.append(symbol)

    def _next(self, now_ms):
        if not self.left:
            self._events.append(("sent",))
            return
        symbol, self.left = self.left[0], self.left[1:]
        self._sound(symbol)
        name = "T_DTMF_ON" if self.plan == "dtmf" else "T_MF_KP" if symbol == "K" else "T_MF_ON"
        self.timers.start(name, now_ms)

    def deadline_ms(self):
        return self.timers.deadline_ms()

    def expire(self, now_ms):
        """Returns events."""
        while True:
            name = self.timers.due(now_ms)
            if name is None:
                break
            if name in ("T_DTMF_OFF", "T_MF_OFF"):
                self._next(now_ms)
            else:
                self._sound(None)
                self.timers.start("T_DTMF_OFF" if self.plan == "dtmf" else "T_MF_OFF", now_ms)
        return self.take_events()

    def take_events(self):
        events, self._events = self._events, []
        return events

    def take_output(self):
        """Return the symbols to send, None for silence."""
        output, self._output = self._output, []
        return output

    def dump(self):
        return {"plan": self.plan, "left": self.left, "sounding": self.sounding, "timers": self.timers.dump()}

    def load(self, saved):
        self.plan, self.left, self.sounding = saved["plan"], saved["left"], saved["sounding"]
        self.timers.restore(saved["timers"])


class DigitReceiver:
    """plan: "dtmf", "mf" or "pulse".  length: digits of the number, or None.  fields: strings KP to ST that come."""

    def __init__(self, plan, durations_ms, length=None, fields=1):
        self.plan = plan
        self.timers = Timers(durations_ms)
        self.length = length
        self.fields = fields
        self.strings = []               # MF: what came between KP and ST, the last one still open
        self.open = plan != "mf"
        if self.open:
            self.strings = [""]
        self.done = False
        self.hearing = None
        self._events = []

    @property
    def digits(self):
        """The digits of the string that came last."""
        return self.strings[-1] if self.strings else ""

    def start(self, now_ms):
        self.timers.start("T_FIRST_DIGIT", now_ms)

    def stop(self):
        self.timers.stop_all()
        self.done = True

    def tone(self, symbol, now_ms):
        """A symbol begins, or None: it ended.  Told twice it is one; what the plan does not have is ignored."""
        if symbol == self.hearing:
            return
        self.hearing = symbol
        if self.done or not isinstance(symbol, str) or len(symbol) != 1:
            return
        if self.plan == "mf":
            self._mf(symbol, now_ms)
        elif symbol in SYMBOLS["dtmf"]:
            self._digit(symbol, now_ms)

    def _mf(self, symbol, now_ms):
        if symbol == "K":
            if self.open:
                self.strings.pop()      # KP again: the sender begins anew
            self.open = True
            self.strings.append("")
            self._wait(now_ms)
        elif symbol == "S":
            if self.open:
                self.open = False
                if len(self.strings) >= self.fields:
                    self._complete()
                else:
                    self._wait(now_ms)
        elif self.open and symbol in SYMBOLS["mf"]:
            self._digit(symbol, now_ms)

    def _wait(self, now_ms):
        self.timers.stop("T_FIRST_DIGIT")
        self.timers.start("T_INTERDIGIT", now_ms)

    def _digit(self, symbol, now_ms):
        self._wait(now_ms)
        if len(self.strings[-1]) >= MOST:
            return
        self.strings[-1] += symbol
        self._events.append(("digit", symbol))
        if self.plan != "mf" and self.length is not None and len(self.strings[-1]) >= self.length:
            self._complete()

    def _complete(self):
        self.stop()
        self._events.append(("complete",))

    def deadline_ms(self):
        return self.timers.deadline_ms()

    def expire(self, now_ms):
        """Returns events.  A pause after DTMF or pulses ends the number; MF without ST is a fault."""
        name = self.timers.due(now_ms)
        if name is not None:
            self.timers.stop_all()
            self.done = True
            good = name == "T_INTERDIGIT" and self.plan != "mf"
            self._events.append(("complete",) if good else ("timeout",))
        return self.take_events()

    def take_events(self):
        events, self._events = self._events, []
        return events

    def dump(self):
        return {"strings": list(self.strings), "open": self.open, "done": self.done, "hearing": self.hearing,
                "timers": self.timers.dump()}

    def load(self, saved):
        self.strings, self.open, self.done = list(saved["strings"]), saved["open"], saved["done"]
        self.hearing = saved["hearing"]
        self.timers.restore(saved["timers"])
