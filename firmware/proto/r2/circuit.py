"""One R2 circuit: line signalling, registers and the call, in both directions.

    variant = Variant(load_r2("mx"))
    circuit = R2Circuit(variant, {"timeslot": 5, "called_length": 4})
    events = circuit.start(now_ms)
cas/circuit.py has the inputs, outputs, primitives and events.

config besides those of incoming.DEFAULTS: address "mfc" or "dtmf" (see dtmf.py); direction "both", "in" or "out" (who
may begin a call here); timers {name: ms} over cas/r2_table.TIMERS, table.TIMERS
and TIMERS below; hold_clear_back_ms (0: clear-back ends the call at once, as a
call centre wants it; else suspend_indication and Q.118's wait); double_answer
(refuses collect calls, Brazil).

After kill -9: restore(dump) and resume(now_ms, bits, tone) with what the board
receives now; a register that lost nothing goes on, one that lost a tone is ended
by its own timers.

Source: Q.421-Q.424, Q.440-Q.480, Q.118 (1988).  Portable.
"""

from firmware.errors import LocalError
from firmware.proto.cas import address
from firmware.proto.cas import r2_table as line_table
from firmware.proto.cas.circuit import CLEARING, Circuit
from firmware.proto.cas.r2_line import R2Line
from firmware.proto.r2 import table
from firmware.proto.r2.dtmf import START, DTMFIncoming, DTMFOutgoing
from firmware.proto.r2.incoming import IncomingRegister
from firmware.proto.r2.outgoing import OutgoingRegister

# name: (default ms, source, what it does)
TIMERS = {
    "T_ANSWER": (180000, "Q.118: 2 to 4 minutes", "outgoing: the called party does not answer"),
    "T_CLEAR_BACK": (90000, "Q.118: 1 to 2 minutes", "outgoing: after clear-back, if the call is held"),
    "T_HELD": (120000, "ours", "incoming: we have ended the call, the caller does not clear: tell maintenance"),
    START: (200, "ours", "DTMF: from the acknowledgement to the first digit"),
    "T_ALARM": (5000, "ours; Q.424 keeps the circuit as it is", "an answered call outlives so long an alarm"),
}

SEIZING = "SEIZING"
DIALLING = "DIALLING"
DELIVERED = "DELIVERED"         # outgoing: the far end has said that the line is free
REGISTER = "REGISTER"           # incoming: digits come
OFFERED = "OFFERED"
ACCEPTING = "ACCEPTING"         # the last backward signal is on
ALERTING = "ALERTING"
ANSWERED = "ANSWERED"
SUSPENDED = "SUSPENDED"

NO_CIRCUIT, OUT_OF_ORDER = 44, 38
SETTING_UP = (SEIZING, DIALLING, DELIVERED, REGISTER, OFFERED, ACCEPTING, ALERTING)


def durations(variant, config):
    """Every timer of a circuit: tables, then the variant, then the configuration."""
    values = {}
    for rows in (line_table.TIMERS, table.TIMERS, address.TIMERS, TIMERS):
        for name in rows:
            values[name] = rows[name][0]
    values["T_METERING"] = variant.line["metering_ms"]
    values.update(variant.timers)
    values.update(config.get("timers") or {})
    if config.get("hold_clear_back_ms"):
        values["T_CLEAR_BACK"] = config["hold_clear_back_ms"]
    return values


REGISTERS = {"mfc": (OutgoingRegister, IncomingRegister), "dtmf": (DTMFOutgoing, DTMFIncoming)}


class R2Circuit(Circuit):
    """variant: a Variant.  config: see above."""

    def __init__(self, variant, config):
        values = durations(variant, config)
        super().__init__(config, values)
        self.variant = variant
        self.values = values
        self.line = R2Line(values, variant.line["invert"], variant.line["fixed"])
        if config.get("address", "mfc") not in REGISTERS:
            raise LocalError("address signalling of R2 is mfc or dtmf, not %r" % (config["address"],))
        self.outgoing_class, self.incoming_class = REGISTERS[config.get("address", "mfc")]
        self.register = None
        self.sounding = None            # [plan, symbol] while a tone is sent
        self.answer_wanted = False
        self.early_answer = False

    def parts(self):
        return [self.line] + ([self.register] if self.register is not None else [])

    def _tone(self, symbol, now_ms):
        if self.register is not None:
            if self.register.hears(symbol):
                self.register.tone(symbol, now_ms)
            else:
                self.count("unknown_tones")

    def _collect(self):
        """Move what the parts send to our output."""
        for bits in self.line.take_output():
            self.put("bits", bits)
        if self.register is not None:
            for symbol in self.register.take_output():
                self.sounding = None if symbol is None else [self.register.PLAN, symbol]
                self.put("tone", self.register.PLAN, symbol)

    def _end_register(self):
        if self.register is not None:
            self.register.stop()
            self._collect()
            self.register = None
        self._listen(None)

    # Line events

    def _line_seized(self, now_ms):
        self.begin(REGISTER, False)
        self.answer_wanted = False
        self.register = self.incoming_class(self.variant, self.values, self.config)
        self._listen(self.register.LISTENS)
        self.register.start(now_ms)
        if self.config.get("direction") == "out" or self.line.blocking:
            self.report("the far end seized a circuit that is not for its calls")
            self._refuse(42, "near", now_ms)

    def _line_acknowledged(self, now_ms):
        if self.state != SEIZING or self.disconnected:
            return
        self.state = DIALLING
        self._listen(self.register.LISTENS)
        self.register.start(now_ms)

    def _line_seize_failed(self, now_ms, reason):
        self._end_register()
        self.count("seizures_failed_" + reason)
        self.disconnect(NO_CIRCUIT, "failure")

    def _line_answered(self, now_ms):
        if self.disconnected:
            return
        if self.state == SUSPENDED:
            self.timers.stop("T_CLEAR_BACK")
            self.state = ANSWERED
            self.event("resume_indication")
        elif self.state == DIALLING and self.register is not None and self.register.state != table.DONE:
            self.early_answer = True        # line signals are faster than tones
        elif self.state in (DIALLING, DELIVERED):
            self._confirm()

    def _confirm(self):
        self.timers.stop("T_ANSWER")
        self._end_register()
        self.state = ANSWERED
        self.event("setup_confirm")

    def _line_metered(self, now_ms):
        if self.call is not None:
            self.event("metering_indication")

    def _line_cleared_back(self, now_ms):
        if self.state == ANSWERED and self.config.get("hold_clear_back_ms"):
            self.state = SUSPENDED
            self.timers.start("T_CLEAR_BACK", now_ms)
            self.event("suspend_indication")
        elif self.state != CLEARING:
            self.disconnect(16, "far")

    def _line_forced_release(self, now_ms):
        self._end_register()
        self.disconnect(31, "far")

    def _line_far_idle(self, now_ms):
        self._end_register()
        self.disconnect(41, "far")

    def _line_cleared_forward(self, now_ms):
        self._end_register()
        self.timers.stop("T_ANSWER_DELAY")
        if self.call is None:
            self.line.request("release_request", now_ms)
        elif self.state == CLEARING or not self.told:
            self.note_end(16, "far")
            self.line.request("release_request", now_ms)
            self.finish()
        else:
            self.disconnect(16, "far")

    # Register events

    def _register_digits_wanted(self, now_ms):
        self.event("setup_ack_indication")

    def _register_proceeding(self, now_ms, meaning):
        self._listen(None)
        if self.state != DIALLING:
            return
        self.state = DELIVERED
        self.timers.start("T_ANSWER", now_ms)
        self.event("alerting_indication", {"inband": True, "charge": meaning != "free_no_charge", "condition": meaning})
        if self.early_answer:
            self._confirm()

    def _register_dialled(self, now_ms):
        if self.state == DIALLING:
            self.state = DELIVERED
            self.timers.start("T_ANSWER", now_ms)
            self.event("proceeding_indication", {"inband": True})
            if self.early_answer:
                self._confirm()

    def _register_refused(self, now_ms, cause, meaning):
        self._listen(None)
        self.disconnect(cause, "far")

    def _register_failed(self, now_ms, cause, text):
        self.report("register signalling: " + text)
        self.count("registers_failed")
        if self.state == REGISTER and not self.told:
            self.note_end(cause, "failure")
            self.state = CLEARING
        elif self.state != CLEARING:
            self.disconnect(cause, "failure")

    def _register_digits(self, now_ms, called):
        if self.told:
            self.event("information_indication", {"digits": called[-1:], "complete": False})
        else:
            self._indicate(called, False)

    def _register_offered(self, now_ms):
        if self.state == REGISTER:
            self.state = OFFERED
        if self.told:
            fields = self._party()
            fields.update({"digits": "", "complete": True})
            self.event("information_indication", fields)
        else:
            self._indicate(self.register.called, True)

    def _register_overdue(self, now_ms):
        """A way further on is slow (a tandem call): the far register would give up (T1) before it knows.  So it hears that the
        line is free, and the caller what the way says: ringing tone, or why not, before the line is cleared."""
        self.count("accepted_undecided")
        if self.state == OFFERED:
            self._alerting_request(now_ms, {"charge": self.config.get("charge", True)})
        elif self.register.state == table.DECIDING:
            self.register.refuse(41, now_ms)

    def _party(self):
        register = self.register
        restricted = register.caller_state == "restricted"
        presentation = "restricted" if restricted else "allowed" if register.caller else "unavailable"
        return {"caller": register.caller, "caller_presentation": presentation, "category": register.category}

    def _indicate(self, called, complete):
        self.told = True
        fields = self._party()
        fields.update({"called": called, "called_complete": complete, "prefixes": list(self.register.prefixes)})
        self.event("setup_indication", fields)

    def _register_done(self, now_ms, accepted):
        self._listen(None)
        if accepted and self.state == ACCEPTING:
            self.state = ALERTING
            if self.answer_wanted:
                self.timers.start("T_ANSWER_DELAY", now_ms)

    # Primitives

    def _setup_request(self, now_ms, given):
        called = given.get("called") or ""
        self.early_answer = False
        self.register = self.outgoing_class(self.variant, self.values)
        if self.register.PLAN != "dtmf":
            called = "".join([c for c in called if c not in "*#"])
        self.register.load_call(
            called, given.get("complete", True), given.get("caller"),
            given.get("category", "subscriber"), given.get("options"))
        self.state = SEIZING
        self.line.request("seize_request", now_ms)

    def _information_request(self, now_ms, given):
        if self.state not in (SEIZING, DIALLING):
            self.refuse_primitive("information_request")
        digits = given.get("digits") or ""
        self._check_number({"called": digits})
        self.register.add_digits(digits, given.get("complete", False), now_ms)

    def _setup_ack_request(self, now_ms, given):
        if self.state != REGISTER:
            self.refuse_primitive("setup_ack_request")
        self.register.more(now_ms)

    def _proceeding_request(self, now_ms, given):
        if self.state == REGISTER:
            self.register.complete(now_ms)
        elif self.state not in (OFFERED, ACCEPTING, ALERTING):
            self.refuse_primitive("proceeding_request")

    def _alerting_request(self, now_ms, given):
        if self.state == OFFERED:
            self.state = ACCEPTING
            condition = "free_charge" if given.get("charge", True) else "free_no_charge"
            self.register.accept(given.get("condition") or condition, now_ms)
        elif self.state not in (ACCEPTING, ALERTING):
            self.refuse_primitive("alerting_request")

    def _setup_response(self, now_ms, given):
        if self.state == ANSWERED:
            return
        if self.state == OFFERED:
            self._alerting_request(now_ms, given)
        elif self.state not in (ACCEPTING, ALERTING):
            self.refuse_primitive("setup_response")
        elif self.state == ALERTING and not self.answer_wanted:
            self.timers.start("T_ANSWER_DELAY", now_ms)
        self.answer_wanted = True

    def _meter_request(self, now_ms, given):
        if self.state != ANSWERED:
            self.refuse_primitive("meter_request")
        self.line.request("meter_request", now_ms)

    def _release_request(self, now_ms, given):
        self._refuse(given.get("cause", 16), "near", now_ms)

    def _refuse(self, cause, by, now_ms):
        """The call is to end, whatever it is at."""
        if self.state == CLEARING:
            return
        self.note_end(cause, by)
        state, self.state = self.state, CLEARING
        self.timers.stop_all()
        if self.line.state in line_table.CALLED:
            if state in (REGISTER, OFFERED) and self.register is not None:
                self.register.refuse(cause, now_ms)
            else:
                self._end_register()
                answered = state in (ANSWERED, SUSPENDED)
                forced = self.variant.line["forced_release"] and not answered
                if self.line.state not in (line_table.CLEAR_BACK_SENT, line_table.FORCED_SENT):
                    self.line.request("forced_release_request" if forced else "clear_back_request", now_ms)
            if not self.line.in_alarm:
                self.timers.start("T_HELD", now_ms)
                return                  # until the far end clears forward
            self._end_register()
        else:
            self._end_register()
            if not self.line.free:
                self.line.request("release_request", now_ms)
        self.finish()

    # Time and faults

    def _timeout(self, name, now_ms):
        if name == "T_ANSWER_DELAY":
            if self.state == ALERTING:
                self.line.request("double_answer_request" if self.config.get("double_answer") else "answer_request",
                                  now_ms)
                self.state = ANSWERED
                self.event("setup_complete_indication")
        elif name == "T_ANSWER":
            self.disconnect(19, "near")
        elif name == "T_HELD":
            self.report("the far end does not clear a call that we have ended")
        elif name == "T_CLEAR_BACK":
            self.disconnect(16, "far")
        elif name == "T_ALARM":
            self.disconnect(OUT_OF_ORDER, "failure")

    def _alarm(self, active, now_ms):
        if not active:
            self.timers.stop("T_ALARM")
        elif self.state in SETTING_UP:
            self._end_register()
            if self.told:
                self.disconnect(OUT_OF_ORDER, "failure")
            else:
                self.note_end(OUT_OF_ORDER, "failure")
                self.state = CLEARING
        elif self.state in (ANSWERED, SUSPENDED):
            self.timers.start("T_ALARM", now_ms)
        elif self.state == CLEARING and self.line.state in line_table.CALLED:
            self._end_register()
            self.finish()

    # Persistence

    def dump(self):
        """Everything, as a JSON-able dict."""
        saved = self.dump_circuit()
        for name in ("sounding", "answer_wanted", "early_answer"):
            saved[name] = getattr(self, name)
        if self.register is not None:
            saved["outgoing" if self.register.PLAN in ("r2_forward", "dtmf") else "incoming"] = self.register.dump()
        return saved

    @classmethod
    def restore(cls, saved, variant, config):
        """A circuit as dump() wrote it."""
        circuit = cls(variant, config)
        circuit.load_circuit(saved)
        for name in ("sounding", "answer_wanted", "early_answer"):
            setattr(circuit, name, saved[name])
        if "outgoing" in saved:
            circuit.register = circuit.outgoing_class(variant, circuit.values)
            circuit.register.load(saved["outgoing"])
        elif "incoming" in saved:
            circuit.register = circuit.incoming_class(variant, circuit.values, config)
            circuit.register.load(saved["incoming"])
        return circuit

    def resume(self, now_ms, bits=None, tone=None):
        """After restore(): send again what we send, take what is received now.  Returns events.

        tone: False where what came meanwhile will be told all the same."""
        self.line.send_again()
        self._collect()
        self.put("listen", self.listening)
        if self.sounding is not None:
            self.put("tone", self.sounding[0], self.sounding[1])
        if bits is not None:
            self.line.bits(bits & 15, now_ms)
        if self.register is not None and tone is not False:
            self.register.tone(tone, now_ms)
        return self.settle(now_ms)
