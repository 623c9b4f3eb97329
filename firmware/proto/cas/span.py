"""The CAS circuits of one span as one machine, in the shape of q931/link.py.

    span = CASSpan(circuits)                    # {timeslot: R2Circuit or T1Circuit}
    events = span.start(now_ms)
    events = span.receive(timeslot, ("bits", 0b1001), now_ms)
    events = span.alarm(True, now_ms)           # the framer: every circuit
    call = span.new_call(timeslot)              # free_timeslots() says which
    events = span.request("setup_request", call, now_ms, called="123")
    for timeslot, item in span.take_output(): ...       # item as in cas/circuit.py
    span.deadline_ms(); events = span.expire(now_ms)

Calls are named "<timeslot>.<call of the circuit>", so a name says where.  Events
are those of cas/circuit.py.  restart_request clears every call of the span and
sends idle: what an operator asks for, R2 has no message for it.

Persistence: after each step write dump(timeslot) for each of take_changed(); after
kill -9 build the circuits with their class's restore() and call resume().

Portable.
"""

from firmware.errors import LocalError
from firmware.proto.cas.circuit import CLEARING


class CASSpan:
    """circuits: {timeslot: circuit}; each circuit's config names the same timeslot."""

    def __init__(self, circuits):
        for timeslot in circuits:
            if circuits[timeslot].timeslot != timeslot:
                raise LocalError("the circuit in timeslot %d was made for timeslot %d"
                                 % (timeslot, circuits[timeslot].timeslot))
        self.circuits = circuits
        self.timeslots = sorted(circuits)
        self._changed = {}
        self._output = []
        self._deadlines = {}
        for timeslot in self.timeslots:
            self._deadlines[timeslot] = circuits[timeslot].deadline_ms()

    def _took(self, timeslot, events):
        """Events of one circuit, with calls named by span."""
        circuit = self.circuits[timeslot]
        for event in events:
            if event["call"] is not None:
                event["call"] = "%d.%s" % (timeslot, event["call"])
        for item in circuit.take_output():
            self._output.append((timeslot, item))
        self._deadlines[timeslot] = circuit.deadline_ms()
        self._changed[timeslot] = True
        return events

    def _all(self, name, *arguments):
        events = []
        for timeslot in self.timeslots:
            events += self._took(timeslot, getattr(self.circuits[timeslot], name)(*arguments))
        return events

    def start(self, now_ms):
        """Send idle everywhere.  Returns events."""
        return self._all("start", now_ms)

    def resume(self, now_ms, received):
        """After a restart.  received: {timeslot: ABCD} as the board has it; what sounds is told by itself.  Returns events."""
        events = []
        for timeslot in self.timeslots:
            circuit = self.circuits[timeslot]
            if circuit.line.sent is None:       # killed before it began
                events += self._took(timeslot, circuit.start(now_ms))
            else:
                events += self._took(timeslot, circuit.resume(now_ms, received.get(timeslot), False))
        return events

    def receive(self, timeslot, item, now_ms):
        """An input of one timeslot; one that has no circuit is ignored.  Returns events."""
        circuit = self.circuits.get(timeslot)
        if circuit is None:
            return []
        return self._took(timeslot, circuit.receive(item, now_ms))

    def alarm(self, active, now_ms):
        """The span enters or leaves an alarm.  Returns events."""
        return self._all("receive", ("alarm", active), now_ms)

    def free_timeslots(self):
        """Timeslots that a new outgoing call may take, ascending."""
        return [t for t in self.timeslots if self.circuits[t].seizable]

    def new_call(self, timeslot):
        """Reserve a timeslot's circuit.  Returns the call's id.  Raises LocalError."""
        if timeslot not in self.circuits:
            raise LocalError("timeslot %r has no circuit" % (timeslot,))
        return "%d.%s" % (timeslot, self.circuits[timeslot].new_call())

    def _find(self, call):
        timeslot, _, name = call.partition(".")
        timeslot = int(timeslot) if timeslot.isdigit() else None
        if timeslot not in self.circuits:
            raise LocalError("there is no circuit for call %r" % (call,))
        return timeslot, name

    def request(self, primitive, call, now_ms, **given):
        """Carry out a primitive for a call.  Returns events.  Raises LocalError."""
        timeslot, name = self._find(call)
        return self._took(timeslot, self.circuits[timeslot].request(primitive, name, now_ms, **given))

    def block(self, timeslot, blocked, now_ms):
        """Take a circuit out of service, or back.  A call on it ends in its own time.  Returns events."""
        if timeslot not in self.circuits:
            raise LocalError("timeslot %r has no circuit" % (timeslot,))
        primitive = "block_request" if blocked else "unblock_request"
        return self._took(timeslot, self.circuits[timeslot].request(primitive, None, now_ms))

    def restart_request(self, now_ms):
        """Clear every call.  Returns events."""
        events = []
        for timeslot in self.timeslots:
            circuit = self.circuits[timeslot]
            if circuit.call is not None and circuit.state != CLEARING:
                events += self._took(timeslot, circuit.request("release_request", circuit.call, now_ms, cause=41))
        return events

    def calls(self):
        """The ids of all calls, by timeslot."""
        return ["%d.%s" % (t, self.circuits[t].call) for t in self.timeslots if self.circuits[t].call is not None]

    def call_state(self, call):
        """{"state", "timeslot", "originating"} of a call, or None."""
        timeslot, name = self._find(call)
        circuit = self.circuits[timeslot]
        if circuit.call != name:
            return None
        return {"state": circuit.state, "timeslot": timeslot, "originating": name.startswith("o")}

    def take_output(self):
        """Return [(timeslot, item), ...]."""
        output, self._output = self._output, []
        return output

    def deadline_ms(self):
        """When to call expire(), or None."""
        deadlines = [d for d in self._deadlines.values() if d is not None]
        return min(deadlines) if deadlines else None

    def expire(self, now_ms):
        """Let the timers that have fallen due act.  Returns events."""
        events = []
        for timeslot in self.timeslots:
            deadline_ms = self._deadlines[timeslot]
            if deadline_ms is not None and deadline_ms <= now_ms:
                events += self._took(timeslot, self.circuits[timeslot].expire(now_ms))
        return events

    def dump(self, timeslot):
        """Everything of one circuit, as a JSON-able dict."""
        return self.circuits[timeslot].dump()

    def take_changed(self):
        """Timeslots whose dump is to be written, ascending."""
        changed, self._changed = sorted(self._changed), {}
        return changed
