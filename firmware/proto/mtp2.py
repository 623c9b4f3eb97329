"""MTP level 2: one signalling link.

    link = MTP2Link({"T7": 1000}, correction="basic")
    events = link.request("power_on", now_ms); link.request("start", now_ms)
    for octets in link.take_output(room_octets): hdlc.send(octets)
    events = link.receive(octets, now_ms)

Signal units in and out are octets without flags and FCS.  HDLC below repeats
the last FISU or LSSU that it was given whenever it has nothing else to send,
and hands up a received FISU or LSSU only when it differs from the unit before:
  take_output(room_octets)   units to queue now, in order, about as many octets
        as are wanted; the last FISU or LSSU is the one to repeat.  Ask for few
        octets (two ticks' worth): what is queued below can not be overtaken.
        With PCR, ask whenever the queue below runs out: it repeats messages.
  receive(octets, now_ms)    a unit with a good FCS.
  receive_repeats(n, now_ms) that unit came n times more.  To be called before
        the next receive or receive_error, and soon while `attentive` is true.
  receive_error(now_ms)      a unit with a bad FCS or length, or 16 octets in
        octet counting mode (4.1.4).
A FISU or LSSU that came once is taken as still coming when the state changes.

Requests: mtp2_table.REQUESTS; "message" carries SIO and SIF, "retrieve" one
octet, the FSNC of the far end, or none (5.6 of Q.704: messages never sent).
Events are tuples:
    ("in_service",)  ("out_of_service", reason)  ("message", octets)
    ("remote_processor_outage",)  ("remote_processor_recovered",)
    ("congestion", True or False)      the transmit queue, for level 3
    ("bsnt", number)  ("retrieved_message", octets)  ("retrieval_complete",)

Ours, not Q.703's: "out_of_service" is also given after "stop"; level 3's
"continue" after a processor outage is implied, only "flush_buffers" is asked for.
Source: Q.703 (07/1996); portable.
"""

from firmware.errors import LocalError
from firmware.proto import mtp2_units as units
from firmware.proto.mtp2_table import (
    ALIGNED_NOT_READY, ALIGNED_READY, ANSI, IN_SERVICE, NUMBERED, OUT_OF_SERVICE, PARAMETERS,
    POWER_OFF, PROVING, REQUESTS, TABLE)
from firmware.proto.mtp2_transfer import WINDOW, Transfer


class MTP2Link(Transfer):
    """One signalling link.

    parameters: {"T7": ms, "M": count, ...} over PARAMETERS.  variant: "itu",
    "china" or "ansi".  correction: "basic" or "pcr".  monitor: "suerm" or "eim".
    counters: {name: number} since the start."""

    TABLE = TABLE
    INITIAL = POWER_OFF

    def __init__(self, parameters=None, variant="itu", correction="basic", monitor="suerm"):
        if variant not in ("itu", "china", "ansi"):
            raise LocalError("variant of an MTP2 link is itu, china or ansi, not %r" % (variant,))
        if correction not in ("basic", "pcr"):
            raise LocalError("correction of an MTP2 link is basic or pcr, not %r" % (correction,))
        if monitor not in ("suerm", "eim"):
            raise LocalError("monitor of an MTP2 link is suerm or eim, not %r" % (monitor,))
        values = {}
        for name in PARAMETERS:
            values[name] = PARAMETERS[name][0]
        if variant == "ansi":
            values.update(ANSI)
        values.update(parameters or {})
        super().__init__(values)
        self.values = values
        self.pcr = correction == "pcr"
        self.eim = monitor == "eim"
        self.counters = {}
        self._fill = None               # kind of unit to repeat
        self._fill_given = None         # its octets as the layer below has them
        self._heard = None              # FISU or LSSU that the far end repeats, as far as it was good
        self._last = None               # the last unit, good or not
        self._emergency = False
        self._local_outage = False
        self._far_outage = False
        self._queue_congested = False
        self._clear()

    # The outside

    @property
    def in_service(self):
        """Whether messages flow."""
        return self.state == IN_SERVICE

    @property
    def queued_messages(self):
        """Messages not yet acknowledged."""
        return len(self._messages)

    @property
    def has_more(self):
        """Whether take_output would give messages, had it room."""
        if self.state != IN_SERVICE or not self._messages:
            return False
        return self.pcr or (self._next < len(self._messages) and self._next < WINDOW)

    @property
    def local_outage(self):
        """Whether our processor is out (8)."""
        return self._local_outage

    @property
    def monitors_errors(self):
        """Whether a receive_error matters now (10)."""
        return self.state == PROVING or self.state in NUMBERED

    @property
    def attentive(self):
        """Whether receive_repeats must come soon: two of three units decide (5.3), or proving goes on."""
        return bool(self._bad_bsn or self._bad_fib or self._further_proving)

    def receive(self, octets, now_ms):
        """Take one signal unit.  Returns events.  Never raises on what the far end sent."""
        self._count("units_received")
        try:
            unit = units.decode(octets)
        except units.UnitError:
            self._count("invalid_units")
            return self._finish(now_ms)
        self._last = unit
        self._good_units(1, now_ms)
        self._take(unit, now_ms)
        return self._finish(now_ms)

    def receive_repeats(self, number, now_ms):
        """The last FISU or LSSU came `number` times more.  Returns events."""
        if number > 0:
            self._count("units_received", number)
            self._good_units(number, now_ms)
            if self._last is not None and self.attentive:
                for _ in range(min(number, 2)):
                    self._take(self._last, now_ms)
        return self._finish(now_ms)

    def receive_error(self, now_ms):
        """A unit in error, or 16 octets in octet counting mode.  Returns events.  10.2, 10.3."""
        self._count("errors")
        if self.state == PROVING and self._aerm is not None:
            self._aerm += 1
            if self._aerm >= self.values["TIE" if self._short else "TIN"]:
                self._aerm = None       # stopped until the next proving period
                self.step("abort_proving", now_ms)
        elif self.state in NUMBERED:
            if self.eim:
                self._interval_errored = True
            else:
                self._suerm += 1
                self._suerm_count_unit(1)
                if self._suerm >= self.values["SUERM_T"]:
                    self.step("link_failure", now_ms, "excessive_error_rate")
        return self._finish(now_ms)

    def request(self, primitive, now_ms, octets=None):
        """A primitive of level 3 or management.  Returns events.

        Raises LocalError on an unknown primitive or a message that can not be one."""
        if primitive not in REQUESTS:
            raise LocalError("Q.703 has no primitive %r" % (primitive,))
        if primitive == "message":
            if octets is None or not 3 <= len(octets) <= units.MAX_MESSAGE:
                raise LocalError("a message for MTP2 has 3 to %d octets" % units.MAX_MESSAGE)
            self.step(primitive, now_ms, bytes(octets))
        elif primitive == "retrieve":
            if octets and (len(octets) > 1 or octets[0] > 127):
                raise LocalError("retrieve wants the FSNC as one octet below 128, or none")
            self.step(primitive, now_ms, octets[0] if octets else None)
        else:
            self.step(primitive, now_ms)
        return self._finish(now_ms)

    def expire(self, now_ms):
        """Let the timers that have fallen due act.  Returns events."""
        events = super().expire(now_ms)
        return events + self._finish(now_ms)

    def take_output(self, room_octets=None):
        """Return the units to send: about room_octets of messages, then what to repeat after them.

        room_octets None: everything that may go now (with PCR: each message once)."""
        output = []
        if self._sib_due:
            self._sib_due = False
            self._fill_given = None
            output.append(self._unit("SIB"))
        if self.state == IN_SERVICE:
            self._messages_out(output, 1 << 30 if room_octets is None else room_octets)
        if self._fill is not None:
            fill = self._unit(self._fill)
            if fill != self._fill_given:
                self._fill_given = fill
                output.append(fill)
        self._count("units_sent", len(output))
        return output

    def illegal(self, name, now_ms, *details):
        """No row: Q.703 ignores it."""
        self._count("unexpected_inputs")

    # Helpers

    def _clear(self):
        """As at the start of an alignment: 7.3."""
        self._clear_numbers()
        self._suerm = 0
        self._suerm_units = 0
        self._eim = 0
        self._interval_errored = False
        self._aerm = None
        self._short = False             # emergency proving
        self._further_proving = False
        self._failed_provings = 0

    def _set_fill(self, kind):
        self._fill = kind

    def _finish(self, now_ms):
        """The far end goes on sending what it sent last; T7 guards what went out."""
        for _ in range(4):
            state = self.state
            if self._heard is not None and state != self._heard_in:
                self._take(self._heard, now_ms)
            if state == self.state:
                break
        # 5.3.1.  Started here, since the output is taken after each entry.
        if self.state == IN_SERVICE and self._messages and not self.timers.running("T7"):
            self.timers.start("T7", now_ms)
        congested = len(self._messages) >= self.values[
            "QUEUE_ABATED" if self._queue_congested else "QUEUE_CONGESTED"]
        if congested != self._queue_congested:
            self._queue_congested = congested
            self.emit("congestion", congested)
        return self.take_events()

    # Reception

    def _take(self, unit, now_ms):
        state = self.state
        if unit.kind in ("FISU", "MSU"):
            good = False
            if self.state in NUMBERED:
                good = self._numbered(unit, now_ms)
            elif unit.kind == "FISU":
                good = True
        else:
            self.step(unit.kind, now_ms)
            good = unit.kind not in ("SIB", "LSSU")
        if unit.kind == "MSU":
            self._heard = None
        elif good:
            self._heard = unit
            self._heard_in = state

    # Error rate monitors

    def _good_units(self, number, now_ms):
        if self.state in NUMBERED:
            self._suerm_count_unit(number)
        elif self.state == PROVING and self._further_proving:
            self._start_proving(now_ms)

    def _suerm_count_unit(self, number):
        self._suerm_units += number
        whole = self._suerm_units // self.values["SUERM_D"]
        if whole:
            self._suerm_units -= whole * self.values["SUERM_D"]
            self._suerm = max(0, self._suerm - whole)

    def _interval(self, now_ms):
        """A.10.2: 100 ms with or without errors."""
        if self._interval_errored:
            self._eim += self.values["EIM_UE"]
        else:
            self._eim = max(0, self._eim - self.values["EIM_DE"])
        self._interval_errored = False
        self.timers.start("T8", now_ms)
        if self._eim >= self.values["EIM_TE"]:
            return self._lost(now_ms, "excessive_error_rate")
        return None

    # Requests

    def _power_on(self, now_ms):
        self._set_fill("SIOS")

    def _start(self, now_ms):
        self._clear()
        self._set_fill("SIO")
        self.timers.start("T2", now_ms)

    def _stop(self, now_ms):
        self._lost(now_ms, "stopped")

    def _mark_emergency(self, now_ms):
        self._emergency = True

    def _cancel_emergency(self, now_ms):
        self._emergency = False

    def _emergency_aligned(self, now_ms):
        self._emergency = True
        self._short = True
        self._set_fill("SIE")

    def _emergency_proving(self, now_ms):
        self._emergency = True
        self._set_fill("SIE")
        self._short = True
        self._start_proving(now_ms)

    def _mark_outage(self, now_ms):
        self._local_outage = True

    def _cancel_outage(self, now_ms):
        self._local_outage = False

    # Initial alignment

    def _align(self, now_ms):
        self.timers.stop("T2")
        self._short = self._emergency
        self._set_fill("SIE" if self._emergency else "SIN")
        self.timers.start("T3", now_ms)

    def _align_emergency(self, now_ms):
        self._align(now_ms)
        self._short = True

    def _prove(self, now_ms):
        self.timers.stop("T3")
        self._failed_provings = 0
        self._start_proving(now_ms)

    def _prove_emergency(self, now_ms):
        self._short = True
        self._prove(now_ms)

    def _start_proving(self, now_ms):
        self._further_proving = False
        self._aerm = 0
        self.timers.start("T4", now_ms, self.values["T4E" if self._short else "T4N"])

    def _shorten_proving(self, now_ms):
        if not self._short:
            self._short = True
            self._start_proving(now_ms)

    def _align_again(self, now_ms):
        self.timers.stop("T4")
        self._aerm = None
        self._further_proving = False
        self._short = self._emergency
        self.timers.start("T3", now_ms)

    def _abort_proving(self, now_ms):
        self._failed_provings += 1
        if self._failed_provings >= self.values["M"]:
            self._alignment_not_possible(now_ms)
            return OUT_OF_SERVICE
        self._further_proving = True
        return None

    def _proved(self, now_ms):
        if self._further_proving:
            self._start_proving(now_ms)
            return None
        self._aerm = None
        self._suerm = self._suerm_units = self._eim = 0
        self._interval_errored = False
        if self.eim:
            self.timers.start("T8", now_ms)
        self.timers.start("T1", now_ms)
        if self._local_outage:
            self._set_fill("SIPO")
            return ALIGNED_NOT_READY
        self._set_fill("FISU")
        return ALIGNED_READY

    def _alignment_not_possible(self, now_ms):
        self._lost(now_ms, "alignment_not_possible")

    # Link state control

    def _lost(self, now_ms, reason):
        self._count("out_of_service_" + reason)
        self.timers.stop_all()
        self._emergency = False
        self._local_outage = False
        self._far_outage = False
        self._congestion = None
        self._sib_due = False
        self._further_proving = False
        self._bad_bsn = self._bad_fib = 0
        self._set_fill("SIOS")
        self.emit("out_of_service", reason)
        return OUT_OF_SERVICE

    def _lost_sio(self, now_ms):
        self._lost(now_ms, "received_sio")

    def _lost_sin(self, now_ms):
        self._lost(now_ms, "received_sin")

    def _lost_sie(self, now_ms):
        self._lost(now_ms, "received_sie")

    def _lost_sios(self, now_ms):
        self._lost(now_ms, "received_sios")

    def _lost_t1(self, now_ms):
        self._lost(now_ms, "t1_expired")

    def _lost_t6(self, now_ms):
        self._lost(now_ms, "far_end_congested")

    def _lost_t7(self, now_ms):
        self._lost(now_ms, "excessive_delay_of_acknowledgement")

    def _in_service(self, now_ms):
        self.timers.stop("T1")
        self.emit("in_service")

    def _in_service_outage(self, now_ms):
        self._in_service(now_ms)

    # Processor outage

    def _stop_traffic(self):
        """Nothing is acknowledged now: no timer may take that for a fault."""
        for name in ("T5", "T6", "T7"):
            self.timers.stop(name)
        self._far_congested = False
        self._sib_due = False

    def _outage(self, now_ms):
        self._local_outage = True
        self._stop_traffic()
        self._set_fill("SIPO")

    def _recovered(self, now_ms):
        self._local_outage = False
        self._set_fill("FISU")

    def _recovered_in_service(self, now_ms):
        self._recovered(now_ms)
        if self._far_outage:
            return None
        return self._resume(now_ms)

    def _remote_outage_first(self, now_ms):
        self.timers.stop("T1")
        self._remote_out(now_ms)

    def _remote_outage(self, now_ms):
        self._remote_out(now_ms)

    def _remote_out(self, now_ms):
        if not self._far_outage:
            self._far_outage = True
            self._stop_traffic()
            self.emit("remote_processor_outage")

    def _remote_recovered(self, now_ms):
        if self._far_outage:
            self._far_outage = False
            self.emit("remote_processor_recovered")
        if self._local_outage:
            return None
        return self._resume(now_ms)

    def _resume(self, now_ms):
        """What the far end threw away meanwhile it will ask for again; PCR repeats by itself."""
        if self._congestion is not None:
            self._repeat_sib(now_ms)
        return IN_SERVICE
