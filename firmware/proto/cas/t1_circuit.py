"""One robbed-bit circuit: E&M, feature groups, loop and ground start, with its digits and calls.

    circuit = T1Circuit({"timeslot": 3, "signalling": "em_wink", "address": "dtmf", "called_length": 4})
circuit.py has the inputs, outputs, primitives and events.

signalling: em_immediate, em_wink, em_delay, fgb, fgd, fxo_loop, fxo_ground
(towards an office, or a channel bank's FXS: analog trunks), fxs_loop, fxs_ground
(towards telephones).  address: "dtmf", "mf", "pulse" or "none"; a feature group has
MF.  config besides: carrier "t1" or "e1" (E&M codes of E1 channel banks), called_length (None: the pause ends the number), direction,
glare ("yield" or "hold"), pilot (the number that a ringing FXO line is taken to
have called), answer_after_ms (FXO: a call out counts as answered so long after its
digits), timers.

Feature group D (GR-690): KP II ANI ST, KP called ST, acknowledgement wink.
Other lines than fgd carry no caller.  Lines without an answer or a seizure
acknowledgement say so in t1_table.py.  Portable.
"""

from firmware.errors import LocalError
from firmware.proto.cas import address, t1_table
from firmware.proto.cas.address import DigitReceiver, DigitSender
from firmware.proto.cas.circuit import CLEARING, Circuit
from firmware.proto.cas.loop_line import OfficeLine, StationLine
from firmware.proto.cas.t1_line import EMLine

TIMERS = {
    "T_ANSWER": (180000, "Q.118: 2 to 4 minutes", "outgoing: the called party does not answer"),
    "T_ASSUME": (0, "ours: loop start has no answer signal", "from the last digit to what counts as answer"),
    "T_ACK": (5000, "ours", "feature group D: no acknowledgement wink, the call goes on without"),
    "T_ALARM": (5000, "ours", "an answered call outlives so long an alarm"),
}
SEIZING, DIALLING, DELIVERED = "SEIZING", "DIALLING", "DELIVERED"
REGISTER, OFFERED, ANSWERED = "REGISTER", "OFFERED", "ANSWERED"
SETTING_UP = (SEIZING, DIALLING, DELIVERED, REGISTER, OFFERED)
# signalling: (start signal of E&M or None, address if not configured)
SIGNALLING = {
    "em_immediate": ("immediate", "dtmf"), "em_wink": ("wink", "dtmf"), "em_delay": ("delay", "dtmf"),
    "fgb": ("wink", "mf"), "fgd": ("wink", "mf"), "fxo_loop": (None, "dtmf"), "fxo_ground": (None, "dtmf"),
    "fxs_loop": (None, "dtmf"), "fxs_ground": (None, "dtmf"),
}
NO_CIRCUIT, OUT_OF_ORDER = 44, 38


class T1Circuit(Circuit):
    """config: see above.  Raises LocalError on a signalling that is not known."""

    def __init__(self, config):
        values = {}
        for rows in (t1_table.TIMERS, address.TIMERS, TIMERS):
            for name in rows:
                values[name] = rows[name][0]
        if config.get("answer_after_ms") is not None:
            values["T_ASSUME"] = config["answer_after_ms"]
        values.update(config.get("timers") or {})
        super().__init__(config, values)
        self.values = values
        self.signalling = config.get("signalling", "em_wink")
        if self.signalling not in SIGNALLING:
            raise LocalError("T1 signalling is one of %s, not %r" % (", ".join(sorted(SIGNALLING)), self.signalling))
        start_signal, plan = SIGNALLING[self.signalling]
        self.plan = config.get("address") or plan
        if self.plan not in ("dtmf", "mf", "pulse", "none"):
            raise LocalError("address signalling is dtmf, mf, pulse or none, not %r" % (self.plan,))
        ground = self.signalling.endswith("ground")
        if config.get("carrier", "t1") not in ("t1", "e1") or (start_signal is None and config.get("carrier") == "e1"):
            raise LocalError("carrier is t1 or e1, and loop or ground start codes are those of T1, not %r with %s"
                             % (config["carrier"], self.signalling))
        if start_signal is not None:
            self.line = EMLine(values, start_signal, config.get("glare", "yield"), config.get("carrier") == "e1")
        elif self.signalling.startswith("fxo"):
            self.line = StationLine(values, ground)
        else:
            self.line = OfficeLine(values, ground)
        self.station = isinstance(self.line, StationLine)
        self.office = isinstance(self.line, OfficeLine)
        self.sender = None
        self.receiver = None
        self.to_send = ""
        self.acked = False              # feature group D: the acknowledgement wink has come

    def parts(self):
        return [self.line] + [part for part in (self.sender, self.receiver) if part is not None]

    def _tone(self, symbol, now_ms):
        if self.receiver is not None:
            self.receiver.tone(symbol, now_ms)

    def _collect(self):
        for bits in self.line.take_output():
            self.put("bits", bits)
        if self.sender is not None:
            for symbol in self.sender.take_output():
                self.put("tone", self.sender.plan, symbol)

    def _end_digits(self):
        if self.sender is not None:
            self.sender.stop()
            self._collect()
            self.sender = None
        self.receiver = None
        self.to_send = ""
        self._listen(None)

    # Line events

    def _line_seized(self, now_ms):
        self.begin(REGISTER, False)
        if self.station or self.plan == "none":
            self.state = OFFERED
            self._indicate(self.config.get("pilot", ""), True)
            return
        self.receiver = DigitReceiver(self.plan, self.values, self.config.get("called_length"),
                                      2 if self.signalling == "fgd" else 1)
        self.receiver.start(now_ms)
        self._listen(None if self.plan == "pulse" else self.plan)
        if self.office:
            self._indicate("", False)           # the layer above gives dial tone

    def _line_ringing(self, now_ms):
        if self.office and self.state == SEIZING:
            self.state = DELIVERED
            self.timers.start("T_ANSWER", now_ms)
            self.event("alerting_indication", {"inband": False, "charge": True, "condition": "free"})

    def _line_acknowledged(self, now_ms):
        if self.state != SEIZING or self.disconnected:
            return
        self.state = DIALLING
        self.acked = False
        self.line_expects_ack(self.signalling == "fgd")
        self._dial(now_ms)

    def line_expects_ack(self, expected):
        """A wink-long off-hook from now on is an acknowledgement, no answer."""
        if not self.station and not self.office:
            self.line.ack_expected = expected

    def _dial(self, now_ms):
        if self.plan in ("dtmf", "mf") and self.to_send:
            self.sender = DigitSender(self.plan, self.values)
            symbols, self.to_send = self.to_send, ""
            self.sender.start(symbols, now_ms)
        else:
            self._next_pulses(now_ms)

    def _next_pulses(self, now_ms):
        if self.to_send and self.plan == "pulse":
            digit, self.to_send = self.to_send[0], self.to_send[1:]
            self.line.request("pulse_request", now_ms, digit)
        else:
            self._dialled(now_ms)

    def _line_pulsed(self, now_ms):
        if self.state == DIALLING and self.line.state == t1_table.DIALLING:
            self._next_pulses(now_ms)

    def _line_pulses(self, now_ms, digit):
        if self.receiver is not None and self.plan in ("pulse", "dtmf"):    # a telephone may do either
            self.receiver.tone(digit, now_ms)
            if self.receiver is not None:
                self.receiver.tone(None, now_ms)

    def _dialled(self, now_ms):
        """All digits are out."""
        self.sender = None
        if self.signalling == "fgd" and not self.acked:
            self.timers.start("T_ACK", now_ms)
        else:
            self._proceeding(now_ms)

    def _proceeding(self, now_ms):
        self.timers.stop("T_ACK")
        self.state = DELIVERED
        self.event("proceeding_indication", {"inband": True})
        self.timers.start("T_ASSUME" if self.station else "T_ANSWER", now_ms)

    def _line_ack_wink(self, now_ms):
        self.acked = True
        if self.state == DIALLING and self.sender is None:
            self._proceeding(now_ms)

    def _line_answered(self, now_ms):
        self._end_digits()
        self.timers.stop_all()
        if self.call is not None and not self.disconnected and self.state not in (CLEARING, ANSWERED):
            self.state = ANSWERED
            self.event("setup_confirm")

    def _line_seize_failed(self, now_ms, reason):
        self._end_digits()
        self.count("seizures_failed_" + reason)
        self.note_end(NO_CIRCUIT, "failure")
        self.finish()

    def _line_cleared_back(self, now_ms):
        self._end_digits()
        self.disconnect(16, "far")

    def _line_cleared_forward(self, now_ms):
        self._end_digits()
        if self.call is None or not self.told:
            self.line.request("release_request", now_ms)
            self.note_end(16, "far")
            self.finish()
        else:
            self.disconnect(16, "far")

    # Digits

    def _register_sent(self, now_ms):
        self._dialled(now_ms)

    def _register_digit(self, now_ms, digit):
        if self.told:
            self.event("information_indication", {"digits": digit, "complete": False})

    def _register_complete(self, now_ms):
        if self.receiver is None or self.state != REGISTER:
            return
        strings = self.receiver.strings
        self.receiver = None
        self._listen(None)
        self.state = OFFERED
        if self.told:
            self.event("information_indication", {"digits": "", "complete": True})
            return
        identity = strings[0] if len(strings) > 1 else ""
        if self.signalling == "fgd":
            self.line.request("wink_request", now_ms)
        self._indicate(strings[-1], True, identity[2:], identity[:2])

    def _register_timeout(self, now_ms):
        self.receiver = None
        self._listen(None)
        self.count("digits_missing")
        if self.told:
            self.event("digits_timeout")
        else:
            self._release(102, "failure", now_ms)

    def _indicate(self, called, complete, caller="", category=""):
        self.told = True
        self.event("setup_indication", {
            "called": called, "called_complete": complete, "caller": caller or None, "category": category,
            "caller_presentation": "allowed" if caller else "unavailable", "prefixes": []})

    # Primitives

    def _setup_request(self, now_ms, given):
        called = given.get("called") or ""
        if self.plan == "mf":
            called = "K" + "".join([c for c in called if c not in "*#"]) + "S"
            if self.signalling == "fgd":
                category = given.get("category") or ""
                called = "K%s%sS" % (category if category.isdigit() else "00", given.get("caller") or "") + called
        elif self.plan == "pulse":
            called = "".join([c for c in called if c not in "*#"])
        self.to_send = "" if self.plan == "none" or self.office else called
        self.state = SEIZING
        self.line.request("seize_request", now_ms)

    def _information_request(self, now_ms, given):
        digits = given.get("digits") or ""
        self._check_number({"called": digits})
        if self.plan not in ("dtmf", "pulse") or self.state not in (SEIZING, DIALLING):
            self.refuse_primitive("information_request")
        if self.sender is not None:
            self.sender.start(digits, now_ms)
        else:
            self.to_send += digits

    def _setup_ack_request(self, now_ms, given):
        if self.state != REGISTER:
            self.refuse_primitive("setup_ack_request")

    def _proceeding_request(self, now_ms, given):
        if self.state == REGISTER:
            self.receiver = None
            self._listen(None)
            self.state = OFFERED
        elif self.state != OFFERED:
            self.refuse_primitive("proceeding_request")

    _alerting_request = _proceeding_request

    def _setup_response(self, now_ms, given):
        if self.state == ANSWERED:
            return
        self._proceeding_request(now_ms, given)
        if self.line.state in (t1_table.WINKING, t1_table.SEIZED):
            # The wink comes first, and what follows it at once would be no answer
            self.timers.start("T_AFTER_WINK", now_ms, self.values["T_WINK_DELAY"] + self.values["T_WINK"]
                              + 3 * self.values["T_AFTER_WINK"])
            return
        self._answer(now_ms)

    def _answer(self, now_ms):
        self.line.request("answer_request", now_ms)
        self.state = ANSWERED
        self.event("setup_complete_indication")

    def _meter_request(self, now_ms, given):
        self.refuse_primitive("meter_request")

    def _release_request(self, now_ms, given):
        self._release(given.get("cause", 16), "near", now_ms)

    def _release(self, cause, by, now_ms):
        """Both ends go on-hook in their own time: the call is over at once, the circuit when the far end is."""
        self.note_end(cause, by)
        self._end_digits()
        self.timers.stop_all()
        if not self.line.free:
            self.line.request("release_request", now_ms)
        self.finish()

    # Time and faults

    def _timeout(self, name, now_ms):
        if name == "T_ASSUME":
            self.line.request("assume_answer", now_ms)
        elif name == "T_ACK":
            self.line_expects_ack(False)
            self.count("acknowledgement_winks_missing")
            self._proceeding(now_ms)
        elif name == "T_AFTER_WINK":
            if self.state == OFFERED:
                self._answer(now_ms)
        elif name == "T_ANSWER":
            self.disconnect(19, "near")
        elif name == "T_ALARM":
            self.disconnect(OUT_OF_ORDER, "failure")

    def _alarm(self, active, now_ms):
        if not active:
            self.timers.stop("T_ALARM")
        elif self.state in SETTING_UP:
            self._end_digits()
            if self.told:
                self.disconnect(OUT_OF_ORDER, "failure")
            else:
                self._release(OUT_OF_ORDER, "failure", now_ms)
        elif self.state == ANSWERED:
            self.timers.start("T_ALARM", now_ms)

    # Persistence

    def dump(self):
        """Everything, as a JSON-able dict."""
        saved = self.dump_circuit()
        saved["to_send"] = self.to_send
        saved["acked"] = self.acked
        if self.sender is not None:
            saved["sender"] = self.sender.dump()
        if self.receiver is not None:
            saved["receiver"] = self.receiver.dump()
        return saved

    @classmethod
    def restore(cls, saved, config):
        """A circuit as dump() wrote it."""
        circuit = cls(config)
        circuit.load_circuit(saved)
        circuit.to_send = saved["to_send"]
        circuit.acked = saved["acked"]
        if "sender" in saved:
            circuit.sender = DigitSender(circuit.plan, circuit.values)
            circuit.sender.load(saved["sender"])
        if "receiver" in saved:
            circuit.receiver = DigitReceiver(circuit.plan, circuit.values, config.get("called_length"),
                                             2 if circuit.signalling == "fgd" else 1)
            circuit.receiver.load(saved["receiver"])
        return circuit

    def resume(self, now_ms, bits=None, tone=None):
        """After restore(): send again what we send, take what is received now.  Returns events."""
        self.line.send_again()
        self._collect()
        self.put("listen", self.listening)
        if self.sender is not None and self.sender.sounding is not None:
            self.put("tone", self.sender.plan, self.sender.sounding)
        if bits is not None:
            self.line.bits(bits & 15, now_ms)
        return self.settle(now_ms)
