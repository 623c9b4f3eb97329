"""DTMF in the place of the compelled registers: R2 line signals, digits that nobody acknowledges.

Some R2 trunks to a PBX carry the called number so.  Both classes have the methods
and events of outgoing.OutgoingRegister and incoming.IncomingRegister; there is no
caller, no category and no B signal: what a called line does is heard in tones.
More event: ("dialled",), all digits are out.

Portable.
"""

from firmware.errors import LocalError
from firmware.proto.cas.address import SYMBOLS, DigitReceiver, DigitSender
from firmware.proto.machine import Timers
from firmware.proto.r2 import table as t
from firmware.proto.r2.incoming import DEFAULTS

START = "T_DTMF_START"


class DTMFOutgoing:
    """Sends the called number."""

    PLAN, LISTENS = "dtmf", None

    def __init__(self, variant, durations_ms):
        self.state = t.IDLE
        self.timers = Timers(durations_ms)
        self.sender = DigitSender("dtmf", durations_ms)
        self.called = ""
        self._events = []

    def load_call(self, called, complete=True, caller=None, category="subscriber", options=None):
        self.called = called

    def start(self, now_ms):
        """The seizure is acknowledged: the far end may need a moment for its receiver."""
        self.state = t.SENDING
        self.timers.start(START, now_ms)

    def add_digits(self, digits, complete, now_ms):
        self.called += digits
        if self.state == t.DONE or (self.state == t.SENDING and not self.timers.running(START)):
            self._send(now_ms)

    def _send(self, now_ms):
        self.state = t.SENDING
        digits, self.called = self.called, ""
        self.sender.start(digits, now_ms)
        self._look()

    def _look(self):
        for event in self.sender.take_events():
            self.state = t.DONE
            self._events.append(("dialled",))

    def tone(self, symbol, now_ms):
        """Nothing answers DTMF."""

    @staticmethod
    def hears(symbol):
        return False

    def stop(self):
        self.timers.stop_all()
        self.sender.stop()
        self.state = t.DONE

    def deadline_ms(self):
        deadlines = [d for d in (self.timers.deadline_ms(), self.sender.deadline_ms()) if d is not None]
        return min(deadlines) if deadlines else None

    def expire(self, now_ms):
        if self.timers.due(now_ms) is not None:
            self._send(now_ms)
        self._events += [("dialled",)] if self.sender.expire(now_ms) else []
        if self._events:
            self.state = t.DONE
        return self.take_events()

    def take_events(self):
        events, self._events = self._events, []
        return events

    def take_output(self):
        return self.sender.take_output()

    def dump(self):
        return {"state": self.state, "timers": self.timers.dump(), "called": self.called, "sender": self.sender.dump()}

    def load(self, saved):
        self.state, self.called = saved["state"], saved["called"]
        self.timers.restore(saved["timers"])
        self.sender.load(saved["sender"])


class DTMFIncoming:
    """Collects the called number: by its length, by a pause, or as the layer above says."""

    PLAN, LISTENS = None, "dtmf"
    caller = None
    caller_state = "unasked"
    category = ""
    prefixes = ()

    def __init__(self, variant, durations_ms, config):
        self.state = t.IDLE
        self.config = dict(DEFAULTS)
        self.config.update(config)
        self.receiver = DigitReceiver("dtmf", durations_ms)
        self.told = ""
        self._events = []

    @property
    def called(self):
        """The digits so far."""
        return self.receiver.digits

    @property
    def hearing(self):
        return None

    def start(self, now_ms):
        self.state = t.LISTENING
        self.receiver.start(now_ms)

    @staticmethod
    def hears(symbol):
        return symbol is None or (isinstance(symbol, str) and len(symbol) == 1 and symbol in SYMBOLS["dtmf"])

    def tone(self, symbol, now_ms):
        if self.state == t.LISTENING:
            self.receiver.tone(symbol, now_ms)
            self._look()

    def _length(self):
        best, length = -1, self.config["called_length"]
        for prefix in self.config["prefix_lengths"]:
            if self.called.startswith(prefix) and len(prefix) > best:
                best, length = len(prefix), self.config["prefix_lengths"][prefix]
        return length

    def _look(self):
        for event in self.receiver.take_events():
            self._take(event)

    def _take(self, event):
        if self.state != t.LISTENING:
            return
        length = self._length()
        if event[0] == "digit" and length is None:
            self._events.append(("digits", self.called))
        elif event[0] == "complete" or (event[0] == "digit" and len(self.called) >= length):
            self._offer()
        elif event[0] == "timeout":
            self.state = t.FAILED
            self._events.append(("failed", 102, "no digits came"))

    def _offer(self):
        self.receiver.stop()
        self.state = t.DECIDING
        self._events.append(("offered",))

    def more(self, now_ms):
        """Digits come by themselves."""

    def complete(self, now_ms):
        if self.state == t.LISTENING:
            self._offer()

    def accept(self, meaning, now_ms):
        if self.state != t.DECIDING:
            raise LocalError("R2: there is no call to accept in state %s" % self.state)
        self.state = t.DONE
        self._events.append(("done", True))

    def refuse(self, cause, now_ms):
        self.stop()
        self._events.append(("done", False))

    def stop(self):
        self.receiver.stop()
        self.state = t.DONE

    def deadline_ms(self):
        return self.receiver.deadline_ms()

    def expire(self, now_ms):
        for event in self.receiver.expire(now_ms):
            self._take(event)
        return self.take_events()

    def take_events(self):
        events, self._events = self._events, []
        return events

    def take_output(self):
        return []

    def dump(self):
        return {"state": self.state, "receiver": self.receiver.dump()}

    def load(self, saved):
        self.state = saved["state"]
        self.receiver.load(saved["receiver"])
