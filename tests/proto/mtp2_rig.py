"""A scripted far end of one MTP2 link, in virtual time (Q.781 configuration 1)."""

import pytest

from firmware.proto import mtp2_units as units
from firmware.proto.mtp2 import MTP2Link

MESSAGE = bytes.fromhex("85c8000001" "0102030405")


def mark(number, purpose):
    return pytest.mark.conformance("Q.781", number, purpose)


class Rig:
    """Our link, and the far end's numbers as the script sets them.

    heard: what we sent, as (kind, bsn, bib, fsn, fib); the last FISU or LSSU stands for all that
    follow.  The far end's FISUs and LSSUs are fed once, as the filter below does."""

    def __init__(self, **kwargs):
        self.link = MTP2Link(**kwargs)
        self.now_ms = 0
        self.events = []
        self.heard = []
        self.messages = []              # MSUs that we sent
        self.bsn, self.bib, self.fsn, self.fib = 127, 1, 127, 1
        self.ask("power_on")

    def _after(self, events):
        self.events += events
        for octets in self.link.take_output():
            unit = units.decode(octets)
            self.heard.append((unit.kind, unit.bsn, unit.bib, unit.fsn, unit.fib))
            if unit.kind == "MSU":
                self.messages.append(unit.message)

    def ask(self, primitive, octets=None):
        self._after(self.link.request(primitive, self.now_ms, octets))

    def say(self, kind, message=b"", **numbers):
        """The far end sends a unit with its numbers, or those given."""
        values = {"bsn": self.bsn, "bib": self.bib, "fsn": self.fsn, "fib": self.fib}
        values.update(numbers)
        self._after(self.link.receive(units.encode(units.Unit(
            kind, values["bsn"], values["bib"], values["fsn"], values["fib"], message)), self.now_ms))

    def say_message(self, message=MESSAGE, **numbers):
        """The far end sends its next message."""
        if "fsn" not in numbers:
            self.fsn = (self.fsn + 1) % 128
        self.say("MSU", message, **numbers)

    def repeats(self, number):
        self._after(self.link.receive_repeats(number, self.now_ms))

    def error(self, number=1):
        for _ in range(number):
            self._after(self.link.receive_error(self.now_ms))

    def wait(self, milliseconds):
        end = self.now_ms + milliseconds
        while self.link.deadline_ms() is not None and self.link.deadline_ms() <= end:
            self.now_ms = max(self.now_ms, self.link.deadline_ms())
            self._after(self.link.expire(self.now_ms))
        self.now_ms = end

    def take(self):
        """Kinds of what we sent since the last take()."""
        heard, self.heard = self.heard, []
        return [unit[0] for unit in heard]

    def last(self):
        """The last unit we sent, with its numbers; nothing is forgotten."""
        return self.heard[-1]

    def took(self, name):
        """The events of one name so far, forgotten with all others."""
        events, self.events = self.events, []
        return [e for e in events if e[0] == name]

    def align(self, emergency=False):
        """Both ends up to where we send FISU (or SIPO)."""
        self.ask("start")
        self.say("SIO")
        self.say("SIE" if emergency else "SIN")
        self.wait(self.link.values["T4E" if emergency else "T4N"])

    def up(self):
        """In service, all forgotten."""
        self.align(True)
        self.say("FISU")
        assert self.link.state == "IN_SERVICE"
        self.take()
        self.took("in_service")
        return self

    def outage(self, way="local"):
        """In service, then in processor outage."""
        self.up()
        if way == "local":
            self.ask("local_processor_outage")
        else:
            self.say("SIPO")
        assert self.link.state == "PROCESSOR_OUTAGE"
        self.take()
        return self
