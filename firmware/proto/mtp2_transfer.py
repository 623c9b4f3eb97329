"""Numbers, acknowledgements and flow control of one MTP2 link: reception and transmission control.

MTP2Link (mtp2.py) is the link state control around it.  As in q921 one list
holds all messages: the first `_sent` have a number and wait for their
acknowledgement, `_next` is the one that goes out next.  Going back is
therefore "_next = 0" and nothing else.

Source: Q.703 (07/1996) clauses 5, 6, 9, Figures 13 and 14; portable.
"""

from firmware.proto import mtp2_units as units
from firmware.proto.machine import Machine
from firmware.proto.mtp2_table import UP

WINDOW = 127                            # 5.2.2: numbers run modulo 128


class Transfer(Machine):
    """The half of a link that moves messages.  Actions as in mtp2_table."""

    def _count(self, name, number=1):
        self.counters[name] = self.counters.get(name, 0) + number

    def _clear_numbers(self):
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

    def _unit(self, kind, message=b"", fsn=None):
        if fsn is None:
            fsn = (self._fsnf + (self._sent if self.pcr else self._next) - 1) % 128
        return units.encode(units.Unit(kind, self._bsnt, self._bib, fsn, self._fib, message))

    # Reception

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

    def _messages_out(self, output, room):
        """Put out about `room` octets of messages."""
        if self.pcr:
            self._cyclic(output, room)
            return
        while room > 0 and self._next < len(self._messages) and self._next < WINDOW:
            room -= self._send(output, self._next)
            self._next += 1

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

    # Requests of level 3

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
