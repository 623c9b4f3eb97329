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

As in q921 one list holds all messages: the first `_sent` have a number and wait
for their acknowledgement, `_next` is the one that goes out next.

Ours, not Q.703's: "out_of_service" is also given after "stop"; level 3's
"continue" after a processor outage is implied, only "flush_buffers" is asked for.
Source: Q.703 (07/1996); portable.
"""

from firmware.errors import LocalError
from firmware.proto import mtp2_units as units
from firmware.proto.machine import Machine
from firmware.proto.mtp2_table import (
    ALIGNED_NOT_READY, ALIGNED_READY, ANSI, IN_SERVICE, NUMBERED, OUT_OF_SERVICE, PARAMETERS,
    POWER_OFF, PROVING, REQUESTS, TABLE, UP)

WINDOW = 127                            # 5.2.2: numbers run modulo 128


class MTP2Link(Machine):
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
            room = 1 << 30 if room_octets is None else room_octets
            if self.pcr:
                self._cyclic(output, room)
            else:
                while room > 0 and self._next < len(self._messages) and self._next < WINDOW:
                    room -= self._send(output, self._next)
                    self._next += 1
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

    def _count(self, name, number=1):
        self.counters[name] = self.counters.get(name, 0) + number

    def _clear(self):
        """Numbers and buffers as at the start of an alignment: 7.3, Figures 13 and 14."""
        self._messages = []
        self._fsnf = 0                  # FSN of the oldest message
        self._sent = 0
        self._next = 0
        self._cycle = 0                 # PCR: the message to repeat next
        self._forced = False            # PCR: 6.4
        self._fib = 1
        self._bib = 1
        self._fsnx = 0                  # FSN expected
        self._fibx = 1                  # FIB expected
        self._bsnt = 127                # BSN to send
        self._retransmission_awaited = False            # RTR
        self._bad_bsn = 0               # bits: the last three units, 1 is bad
        self._bad_fib = 0
        self._congestion = None         # None, "accept", "discard"
        self._nack_held = False         # a negative acknowledgement waits for the end of congestion
        self._sib_due = False
        self._far_congested = False
        self._suerm = 0
        self._suerm_units = 0
        self._eim = 0
        self._interval_errored = False
        self._aerm = None
        self._short = False             # emergency proving
        self._further_proving = False
        self._failed_provings = 0

    def _unit(self, kind, message=b"", fsn=None):
        if fsn is None:
            fsn = (self._fsnf + (self._sent if self.pcr else self._next) - 1) % 128
        return units.encode(units.Unit(kind, self._bsnt, self._bib, fsn, self._fib, message))

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

    def _numbered(self, unit, now_ms):
        """A FISU or MSU: 5.2, 5.3, 6.2; Figure 14.  Returns whether its numbers were reasonable."""
        acknowledged = (unit.bsn - self._fsnf + 1) % 128
        bad = acknowledged > self._sent
        self._bad_bsn = (self._bad_bsn << 1 | bad) & 7
        if bad:
            self._count("abnormal_bsn")
            if self._bad_bsn & (self._bad_bsn - 1):             # two of three
                self.step("link_failure", now_ms, "abnormal_bsn")
            return False
        old = False
        if not self.pcr:
            bad = unit.fib != self._fibx
            if bad and self._retransmission_awaited:
                old, bad = True, False
            self._bad_fib = (self._bad_fib << 1 | bad) & 7
            if bad:
                self._count("abnormal_fib")
                if self._bad_fib & (self._bad_fib - 1):
                    self.step("link_failure", now_ms, "abnormal_fib")
                return False
        self._acknowledge(unit, acknowledged, now_ms)
        self.step("FISU_MSU", now_ms)
        if old or self._local_outage or self.state not in UP:
            if unit.kind == "MSU":
                self._count("messages_discarded")
            return True
        if unit.kind == "FISU":
            if not self.pcr:
                if unit.fsn == (self._fsnx - 1) % 128:
                    self._retransmission_awaited = False
                else:
                    self._nack()
        elif unit.fsn == self._fsnx:
            self._accept(unit)
        elif not self.pcr and unit.fsn != (self._fsnx - 1) % 128:
            self._nack()
        else:
            self._count("messages_repeated")
        return True

    def _accept(self, unit):
        if self._congestion == "discard":
            self._count("messages_discarded")
            if not self.pcr:
                self._nack()
            return
        self._retransmission_awaited = False
        self._fsnx = (self._fsnx + 1) % 128
        if self._congestion is None:
            self._bsnt = (self._fsnx - 1) % 128
        self._count("messages_received")
        self.emit("message", unit.message)

    def _nack(self):
        """5.2.3: invert BIB, and take only what comes with an inverted FIB."""
        self._count("nacks_sent")
        self._retransmission_awaited = True
        self._fibx ^= 1
        if self._congestion is None:
            self._bsnt = (self._fsnx - 1) % 128
            self._bib ^= 1
        else:                           # 9.3: no acknowledgement leaves while congested
            self._nack_held = not self._nack_held

    def _acknowledge(self, unit, number, now_ms):
        """Transmission control: 5.2.2, 5.2.3."""
        if number:
            self._messages = self._messages[number:]
            self._fsnf = (self._fsnf + number) % 128
            self._sent -= number
            self._next = max(0, self._next - number)
            self._cycle = max(0, self._cycle - number)
            self._far_congested = False
            self.timers.stop("T6")
            self.timers.stop("T7")
        if not self.pcr and unit.bib != self._fib:
            self._count("nacks_received")
            self._fib = unit.bib
            self._next = 0

    # Transmission

    def _send(self, output, index):
        """Put message `index` out; returns its octets on the line, flag and FCS included."""
        message = self._messages[index]
        if index == self._sent:
            self._sent += 1
            self._count("messages_sent")
        else:
            self._count("retransmissions")
        output.append(self._unit("MSU", message, (self._fsnf + index) % 128))
        return len(message) + 6

    def _over_limits(self):
        """6.4: too much waits for its acknowledgement."""
        return self._sent >= self.values["N1"] or sum(
            [len(m) for m in self._messages[:self._sent]]) >= self.values["N2"]

    def _cyclic(self, output, room):
        """6.3, 6.4: new messages first; else repeat, and under force repeat first."""
        repeated = 0
        while room > 0:
            if not self._forced and self._sent < len(self._messages) and self._sent < WINDOW:
                room -= self._send(output, self._sent)
                if self._over_limits():
                    self._forced = True
                    self._cycle = 0
                    self._count("forced_retransmissions")
                continue
            if self._cycle >= self._sent:
                self._cycle = 0
                if self._forced:
                    self._forced = self._over_limits()
                    if not self._forced:
                        continue
            if not self._sent or repeated >= self._sent:
                break
            room -= self._send(output, self._cycle)
            self._cycle += 1
            repeated += 1
        self._next = self._sent

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

    def _queue(self, now_ms, octets):
        if len(self._messages) >= self.values["QUEUE_FULL"]:
            self._count("messages_dropped")
        else:
            # Also out of service: level 3 may not know yet, and will retrieve it.
            self._messages.append(octets)

    def _retrieve_bsnt(self, now_ms):
        self.emit("bsnt", (self._fsnx - 1) % 128)

    def _retrieve(self, now_ms, fsnc):
        number = self._sent
        if fsnc is not None:
            number = (fsnc - self._fsnf + 1) % 128
            if number > self._sent:     # not a number of ours: nothing is known to have arrived
                number = self._sent
        for message in self._messages[number:]:
            self.emit("retrieved_message", message)
        self._messages = []
        self._fsnf = (self._fsnf + self._sent) % 128
        self._sent = self._next = self._cycle = 0
        self.emit("retrieval_complete")

    def _flush(self, now_ms):
        self._messages = []
        self._sent = self._next = self._cycle = 0

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

    # Flow control

    def _far_busy(self, now_ms):
        """9.3: T6 once, T7 anew with each SIB."""
        if self._local_outage or self._far_outage or not self._messages:
            return
        if not self._far_congested:
            self._far_congested = True
            self.timers.start("T6", now_ms)
        self.timers.start("T7", now_ms)

    def _begin_congestion(self, now_ms, kind):
        begun = self._congestion is None
        self._congestion = kind
        if begun and self.state in UP and not self._local_outage:
            self._repeat_sib(now_ms)

    def _congestion_accept(self, now_ms):
        self._begin_congestion(now_ms, "accept")

    def _congestion_discard(self, now_ms):
        self._begin_congestion(now_ms, "discard")

    def _repeat_sib(self, now_ms):
        self._sib_due = True
        self.timers.start("T5", now_ms)

    def _no_congestion(self, now_ms):
        self._congestion = None
        self._sib_due = False
        self.timers.stop("T5")
        self._bsnt = (self._fsnx - 1) % 128
        if self._nack_held:
            self._nack_held = False
            self._bib ^= 1
