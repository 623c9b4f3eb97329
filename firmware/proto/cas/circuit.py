"""The common shape of every CAS circuit: one timeslot, its calls, its inputs and outputs.

    circuit = R2Circuit(variant, config)        # or T1Circuit(config)
    events = circuit.start(now_ms)
    events = circuit.receive(("bits", 0b1001), now_ms)
    events = circuit.receive(("tone", 5), now_ms)       # a symbol begins; ("tone", None): it ended
    events = circuit.receive(("alarm", True), now_ms)   # the span: bits and tones mean nothing now
    events = circuit.request("setup_request", call, now_ms, called="123", ...)
    circuit.take_output()
    circuit.deadline_ms(); events = circuit.expire(now_ms)

Output, in order: ("bits", ABCD), ("tone", plan, symbol) with symbol None for
silence, ("listen", plan) with plan None for no detector.  Plans: "r2_forward",
"r2_backward" (symbols 1-15), "dtmf" (text), "mf" (R1: text, "K" is KP, "S" is ST).

A call is begun by new_call() (ours) or by an event; it is named by text, and a
circuit has one at a time.  Primitives: setup_request(called, caller, category,
complete), information_request(digits, complete), setup_ack_request (more
digits), proceeding_request (the number is complete), alerting_request(charge, or
condition: one of r2/variant.py's FREE), setup_response (answer), meter_request, disconnect_request and
release_request(cause), of the circuit: block_request, unblock_request.
release_request may come at any time, and twice.  Others raise LocalError where the
state forbids them, and are void while the call clears.

Events, dicts {"event", "call", "timeslot", "state", ...}, in the words of q931/link.py:
  setup_indication{caller, caller_presentation, called, called_complete, category}
  information_indication{digits}      digits_timeout{}
  setup_ack_indication{}              the outgoing register wants digits that we have not
  proceeding_indication{inband}       alerting_indication{inband, charge, condition}
  setup_confirm{}                     the far end answered
  suspend_indication{} resume_indication{}    clear-back and answer again (hold_clear_back_ms)
  metering_indication{}
  disconnect_indication{cause, by}    answer: release_request
  released{cause, by: "far"|"near"|"failure"}   one for each call, and its last: the timeslot is free
  circuit_state{usable, reason}       call None; reason "unknown" (nothing received yet), "alarm", "blocked" (by the
      far end), "blocking" (by us), "not_acknowledged"; the first comes from start()
  protocol_error{text}

Portable.
"""

from firmware.errors import LocalError
from firmware.proto.machine import Timers

PRIMITIVES = ("setup_request", "information_request", "setup_ack_request", "proceeding_request", "alerting_request",
              "setup_response", "meter_request", "disconnect_request", "release_request", "block_request",
              "unblock_request")
NULL = "NULL"
CLEARING = "CLEARING"
_KEPT = ("state", "call", "cause", "by", "last_number", "told", "disconnected", "usable", "listening")


class Circuit:
    """config: {"timeslot": n, ...}.

    A subclass has self.line, the call's procedures (_setup_request ...), _line_* for the
    events of the line, _register_* for those of its other parts, _tone, _alarm,
    _timeout and _collect."""

    def __init__(self, config, durations_ms):
        self.config = config
        self.timeslot = config.get("timeslot", 0)
        self.timers = Timers(durations_ms)
        self.state = NULL
        self.call = None
        self.cause = None           # why the call ends
        self.by = None
        self.told = False           # the layer above knows of the call
        self.disconnected = False   # disconnect_indication has been given
        self.last_number = 0
        self.usable = None
        self.listening = None       # the plan of the detector that we asked for
        self.counters = {}
        self._events = []
        self._output = []

    # For subclasses

    def event(self, name, fields=None, call=True):
        """Add an event for the layer above."""
        event = {"event": name, "call": self.call if call else None, "timeslot": self.timeslot, "state": self.state}
        if fields:
            event.update(fields)
        self._events.append(event)

    def count(self, name):
        self.counters[name] = self.counters.get(name, 0) + 1

    def put(self, *output):
        self._output.append(output)

    def report(self, text):
        """Say that the far end broke the protocol, or a fault; the adapter logs it."""
        self.count("protocol_errors")
        self.event("protocol_error", {"text": text})

    def begin(self, state, told):
        """A call of the far end begins; one that the layer above has not let go of is over."""
        if self.call is not None:
            self.finish()
        self.last_number += 1
        self._take("i%d" % self.last_number, state, told)

    def _take(self, call, state, told):
        self.call, self.state, self.told = call, state, told
        self.cause = self.by = None
        self.disconnected = False

    def note_end(self, cause, by):
        """The first who ends a call says why."""
        if self.cause is None:
            self.cause, self.by = cause, by

    def disconnect(self, cause, by):
        """Tell the layer above, once, that the call ends; it answers with release_request."""
        self.note_end(cause, by)
        if self.told and not self.disconnected:
            self.disconnected = True
            self.event("disconnect_indication", {"cause": self.cause, "by": self.by})

    def finish(self):
        """The circuit is free: the last event of the call."""
        if self.call is not None and self.told:
            self.state = NULL
            self.event("released", {"cause": 16 if self.cause is None else self.cause, "by": self.by or "far"})
        self._take(None, NULL, False)
        self.timers.stop_all()

    def trouble(self):
        """Why maintenance must not count on the circuit, "" if all is well."""
        return self.line.trouble()

    def note_usable(self):
        """Tell maintenance and the trunk group when the circuit becomes usable or not."""
        reason = self.trouble()
        if reason != self.usable:
            self.usable = reason
            self.event("circuit_state", {"usable": not reason, "reason": reason}, call=False)

    # Inputs and time

    def start(self, now_ms):
        """Send idle, or blocked where that was asked for before.  Returns events."""
        self.line.start(now_ms)
        if self.line.blocking:
            self.line.request("block_request", now_ms)
        return self.settle(now_ms)

    def receive(self, item, now_ms):
        """Take an input.  Returns events; never raises on what the far end did."""
        kind, value = item
        if kind == "bits":
            self.line.bits(value & 15, now_ms)
        elif kind == "tone":
            if not self.line.in_alarm:
                self._tone(value, now_ms)
        elif kind == "alarm" and bool(value) != self.line.in_alarm:
            self.line.alarm(bool(value), now_ms)
            self._alarm(bool(value), now_ms)
        return self.settle(now_ms)

    def expire(self, now_ms):
        """Let the timers that have fallen due act.  Returns events."""
        self._carry_out("_line_", self.line.expire(now_ms), now_ms)
        for part in self.parts()[1:]:
            self._carry_out("_register_", part.expire(now_ms), now_ms)
        while True:
            name = self.timers.due(now_ms)
            if name is None:
                break
            self._timeout(name, now_ms)
        return self.settle(now_ms)

    def settle(self, now_ms):
        """Let the parts speak until all is quiet.  Returns events."""
        for _ in range(16):
            events = self.line.take_events()
            self._carry_out("_line_", events, now_ms)
            for part in self.parts()[1:]:
                more = part.take_events()
                self._carry_out("_register_", more, now_ms)
                events = events + more
            self._collect()
            if not events:
                break
        self.note_usable()
        events, self._events = self._events, []
        return events

    def _carry_out(self, prefix, events, now_ms):
        for event in events:
            getattr(self, prefix + event[0])(now_ms, *event[1:])

    def _listen(self, plan):
        """Ask for a detector, or for none."""
        if plan != self.listening:
            self._collect()             # what was to be sent before
            self.listening = plan
            self.put("listen", plan)

    def _line_idle(self, now_ms):
        """Free again: note_usable says what there is to say."""

    _line_blocked = _line_unblocked = _line_idle

    def _line_fault(self, now_ms, text):
        self.report(text)

    # The outside

    @property
    def seizable(self):
        """Whether an outgoing call may take the circuit now."""
        return self.call is None and self.config.get("direction", "both") != "in" and self.line.seizable

    def new_call(self):
        """Reserve the circuit for an outgoing call.  Returns the call's id.  Raises LocalError."""
        if not self.seizable:
            raise LocalError("timeslot %d can not take a call: state %s of the line" % (self.timeslot, self.line.state))
        self.last_number += 1
        return "o%d" % self.last_number

    def request(self, primitive, call, now_ms, **given):
        """Carry out a primitive.  Returns events.  Raises LocalError."""
        if primitive not in PRIMITIVES:
            raise LocalError("CAS has no primitive %r" % (primitive,))
        if primitive in ("block_request", "unblock_request"):
            self.line.request(primitive, now_ms)
            return self.settle(now_ms)
        if primitive == "setup_request":
            if not self.seizable or call != "o%d" % self.last_number:
                raise LocalError("setup_request: timeslot %d can not be seized for call %r" % (self.timeslot, call))
            self._check_number(given)
            self._take(call, NULL, True)
        elif call != self.call or call is None:
            if primitive in ("release_request", "disconnect_request"):
                return []
            raise LocalError("%s: there is no call %r on timeslot %d" % (primitive, call, self.timeslot))
        elif self.state == CLEARING or self.disconnected:
            if primitive not in ("release_request", "disconnect_request"):
                return []
        getattr(self, "_" + primitive)(now_ms, given)
        return self.settle(now_ms)

    @staticmethod
    def _check_number(given):
        for name in ("called", "caller"):
            number = given.get(name)
            if number is not None and not (isinstance(number, str) and all([c in "0123456789*#" for c in number])):
                raise LocalError("setup_request: %s %r: digits only" % (name, number))

    def _disconnect_request(self, now_ms, given):
        self._release_request(now_ms, given)

    def refuse_primitive(self, primitive):
        raise LocalError("%s is not possible in state %s of timeslot %d" % (primitive, self.state, self.timeslot))

    def take_output(self):
        """Return what to send; see the module."""
        output, self._output = self._output, []
        return output

    def parts(self):
        """The line, then what else has timers of its own."""
        return [self.line]

    def deadline_ms(self):
        """When to call expire(), or None."""
        deadlines = [self.timers.deadline_ms()] + [part.deadline_ms() for part in self.parts()]
        deadlines = [d for d in deadlines if d is not None]
        return min(deadlines) if deadlines else None

    def dump_circuit(self):
        saved = {"timers": self.timers.dump(), "line": self.line.dump()}
        for name in _KEPT:
            saved[name] = getattr(self, name)
        return saved

    def load_circuit(self, saved):
        self.timers.restore(saved["timers"])
        self.line.load(saved["line"])
        for name in _KEPT:
            setattr(self, name, saved[name])
