"""Legs on circuits with channel-associated signalling: R2 (China No.1 and ten more), E&M, loop and ground start.

One CircuitSpan for each such span.  The machines (proto/r2, proto/cas) live here; media reads and writes the bits
of each timeslot, hears register signals on the timeslot's termination and sends ours at its next tick.  Its events are
at-least-once and in order, so a call in the middle of its digits survives a kill -9 of this process as long as
the far register's timers do (Q.476: 15 s): the machine is rebuilt from its dump and hears what came meanwhile.
Bits stay as they are until then.  Of a call that the switchboard does not know yet only this adapter knows the leg;
its id is taken at the seizure, since register signals need a termination.

    seizure -> leg id, termination, receiver -> digits -> leg.offered -> ... -> leg.answer -> answer bits
    leg.create -> termination, seizure -> digits -> leg.alerting (group B, or all digits are out) -> leg.answered

When media dies, the board sends 1101 on all circuits: calls are cleared, and what is idle is opened again with the next media.
Outgoing calls and changes of the configuration: cas_calls.py; circuits that people take out of service: cas_manage.py.
"""

import logging

from firmware.links.adapter import Adapter
from firmware.links.cas_calls import CircuitCalls
from firmware.links.cas_manage import CircuitManagement
from firmware.links.enhancement import put, renew
from firmware.proto.cas.circuit import CLEARING

log = logging.getLogger(__name__)

TEMPORARY_FAILURE, NO_CIRCUIT, OUT_OF_ORDER = 41, 44, 38       # Q.850
R1_SYMBOLS = {**{n: str(n % 10) for n in range(1, 11)}, 13: "K", 15: "S"}
R2_PLANS = ("r2_forward", "r2_backward")


class CASLinks(CircuitCalls, CircuitManagement, Adapter):
    """The adapter of all spans with channel-associated signalling.  load_variant(name): data of an R2 variant."""

    name = "circuits"

    def __init__(self, house, load_variant):
        self.turns, self.media, self.ids = house.turns, house.media, house.stores.counters
        self.load_variant = load_variant
        self.legs = {}              # leg -> (span number, timeslot)
        self.spans = {}
        self._touched, self._removed = {}, []
        self._deadlines = {}
        self.media.listeners.update(cas=self._bits, mf=self._mf, digit=self._digit)
        self._load(house.stores.machines, house.config.running())

    # -- what media says --

    def _bits(self, event, now_ms):
        span = self.spans.get(event["span"])
        if span is not None and span.opened and span.begins_ms is None:
            self._receive(span, event["timeslot"], ("bits", event["bits"]), now_ms)
        return True

    def _mf(self, event, now_ms):
        """A signal is the circuit's while its registers speak, else of a leg that a command listens to."""
        place = self.legs.get(event["id"])
        if place is None:
            return False
        span, timeslot = self.spans[place[0]], place[1]
        plan, signal = span.machine.circuits[timeslot].listening, event["signal"] or None
        if plan is None:
            return False
        if plan == "mf" and event["plan"] == "r1":
            signal = signal and R1_SYMBOLS.get(signal, "?")
        elif plan != event["plan"]:
            return True                 # the tail of what is not listened to any more
        span.tones += 1
        self._receive(span, timeslot, ("tone", signal), now_ms)
        return True

    def _digit(self, event, now_ms):
        """A key press is the circuit's while it collects digits, else the switchboard's."""
        place = self.legs.get(event["id"])
        if place is None or self.spans[place[0]].machine.circuits[place[1]].listening != "dtmf":
            return False
        span, timeslot = self.spans[place[0]], place[1]
        self._receive(span, timeslot, ("tone", event["digit"]), now_ms)
        self._receive(span, timeslot, ("tone", None), now_ms)
        return True

    def _receive(self, span, timeslot, item, now_ms):
        events = span.machine.receive(timeslot, item, now_ms)
        if span.machine.deadline_ms() is not None and span.machine.deadline_ms() <= now_ms:
            events += span.machine.expire(now_ms)       # the recognition time is over: media has waited for it
        self._take(span, events, now_ms)

    # -- what the machines say --

    def _take(self, span, events, now_ms):
        """Events of one span's machines, then what they send; a failing event costs its call only."""
        for event in events:
            handler = getattr(self, "_on_" + event["event"], None)
            entry = span.entries.get(event["timeslot"])
            if handler is not None:
                self.turns.guard(event, entry and entry["leg"], handler, span, event["timeslot"], event, now_ms)
        self._send(span)
        changed = span.machine.take_changed()
        for timeslot in changed:
            self._forget_unoffered(span, timeslot)
        self._touched.setdefault(span.number, set()).update(changed)
        self._deadlines[span.number] = span.begins_ms or span.machine.deadline_ms()
        self._tell(span)

    def _send(self, span):
        """Bits, tones and receivers that the machines want."""
        for timeslot, item in span.machine.take_output():
            if not span.opened:
                continue                # media_found() says all of it
            if item[0] == "bits":
                self.media.command("cas_send", span=span.number, timeslot=timeslot, bits=item[1])
            elif item[0] == "tone":
                self._sound(span, timeslot, item[1], item[2])
            else:
                self._listen(span, timeslot, item[1])

    def _sound(self, span, timeslot, plan, signal):
        entry = span.entries.get(timeslot)
        if entry is None or entry["leg"] is None or (signal is None and plan not in R2_PLANS):
            return                      # R1 and DTMF symbols end by themselves
        self.media.command("mf_send", id=entry["leg"], plan="r1" if plan == "mf" else plan, signal=signal)
        span.tones += 1

    def _listen(self, span, timeslot, plan):
        entry = span.entries.get(timeslot)
        if plan is not None:
            entry = self._seated(span, timeslot)
        if entry is None or entry["leg"] is None:
            return
        before, entry["listens"] = entry.get("listens"), plan
        if "dtmf" in (before, plan):
            self.media.command("detect", id=entry["leg"], dtmf=plan == "dtmf")
        if plan != "dtmf" and (plan or before not in (None, "dtmf")):
            self.media.command("mf_listen", id=entry["leg"], plan="r1" if plan == "mf" else plan)
        if plan is None and span.enhance:       # an echo canceller is no good between registers
            put(self.media, entry["leg"], span.enhance["enhance"])

    def _seated(self, span, timeslot):
        """The entry of the call on a timeslot; a new call gets a leg id and a termination."""
        call = span.machine.circuits[timeslot].call
        entry = span.entries.get(timeslot)
        if entry is not None and entry["call"] != call:
            self._gone(span, timeslot, TEMPORARY_FAILURE, "failure")
            self._forget_unoffered(span, timeslot)
            entry = None
        if entry is None:
            entry = self._seat(span, timeslot, self.ids.next("l"), call)
        return entry

    def _seat(self, span, timeslot, leg, call, offered=False, urgent=False):
        entry = span.entries[timeslot] = {"leg": leg, "call": call, "offered": offered, "digits": "", "wanted": None}
        if urgent:
            entry["urgent"] = True
        self.legs[leg] = (span.number, timeslot)
        self._terminate(span, timeslot)
        return entry

    def _terminate(self, span, timeslot):
        leg = span.entries[timeslot]["leg"]

        def refused(error, now_ms):
            self._release(leg, error.cause, now_ms)
        self.media.command("add", None, refused, id=leg, kind="timeslot", span=span.number, timeslot=timeslot, law=span.law(),
                           **self.media.urgent("", span.entries[timeslot].get("urgent", False)))

    def _forget_unoffered(self, span, timeslot):
        """A call that is over and that the switchboard never heard of: its termination is ours to remove."""
        entry = span.entries.get(timeslot)
        if entry is None or entry["call"] == span.machine.circuits[timeslot].call:
            return
        del span.entries[timeslot]
        if entry["leg"] is not None:
            self.legs.pop(entry["leg"], None)
            if entry["offered"]:
                self.turns.post({"kind": "leg.released", "leg": entry["leg"], "cause": TEMPORARY_FAILURE, "by": "failure"})
            else:
                self.media.subtract(entry["leg"])

    def _on_setup_indication(self, span, timeslot, event, now_ms):
        entry = self._seated(span, timeslot)
        entry["offered"], entry["digits"] = True, event["called"]
        self.turns.post({
            "kind": "leg.offered", "leg": entry["leg"], "tech": span.row["signalling"], "trunk_group": span.row["trunk_group"],
            "span": span.number, "timeslot": timeslot, "caller": event["caller"] or None,
            "caller_presentation": event["caller_presentation"], "caller_type": None, "bearer": "3.1khz_audio",
            "called": event["called"], "called_complete": event["called_complete"], "redirecting": None,
            **({"dial_tone": True} if span.office else {})})

    def _on_setup_complete_indication(self, span, timeslot, event, now_ms):
        """Registers are silent and the answer is on the line."""
        entry = span.entries.get(timeslot)
        if entry is not None and entry["leg"] is not None:
            self.media.ready(entry["leg"], now_ms)

    def _on_information_indication(self, span, timeslot, event, now_ms):
        entry = span.entries[timeslot]
        entry["digits"] += event["digits"]
        if event["complete"] and entry["wanted"] is not None:
            self._want(span, timeslot, entry["wanted"], now_ms)
        elif entry["leg"] is not None:
            self.turns.post({"kind": "leg.digits", "leg": entry["leg"], "called": entry["digits"],
                             "called_complete": event["complete"]})

    def _on_digits_timeout(self, span, timeslot, event, now_ms):
        entry = span.entries[timeslot]
        self.turns.post({"kind": "leg.digits", "leg": entry["leg"], "called": entry["digits"], "called_complete": True})

    def _on_disconnect_indication(self, span, timeslot, event, now_ms):
        self._gone(span, timeslot, event["cause"], event["by"])
        self._request(span, timeslot, "release_request", now_ms)

    def _on_released(self, span, timeslot, event, now_ms):
        self._gone(span, timeslot, event["cause"], event["by"])
        span.entries.pop(timeslot, None)

    def _gone(self, span, timeslot, cause, by):
        """The switchboard hears once that a leg is over, if it knew of it."""
        entry = span.entries.get(timeslot)
        if entry is None or entry["leg"] is None or not entry["offered"]:
            return
        leg, entry["leg"] = entry["leg"], None
        self.legs.pop(leg, None)
        # A circuit that could not be seized, or was seized by both ends, is the far end's no: another one is tried (Q.422).
        by = "far" if cause == NO_CIRCUIT else by
        self.turns.post({"kind": "leg.released", "leg": leg, "cause": cause, "by": by})

    def _on_circuit_state(self, span, timeslot, event, now_ms):
        before, span.reasons[timeslot] = span.reasons.get(timeslot), event["reason"]
        if event["reason"] in ("blocked", "not_acknowledged") or before in ("blocked", "not_acknowledged"):
            log.info("span %d: timeslot %d is %s", span.number, timeslot, event["reason"] or "free again")

    def _on_protocol_error(self, span, timeslot, event, now_ms):
        count = span.counters().get("protocol_errors", 0)
        if count <= 10 or count % 1000 == 0:
            log.warning("span %d: timeslot %d: %s (%d so far)", span.number, timeslot, event["text"], count)

    def _tell(self, span):
        if span.state != span.told:
            span.told = span.state
            log.info("span %d: %s", span.number, span.state)
            self.turns.post({"kind": "span.state", "span": span.number, "state": span.state, "alarms": list(span.alarms or [])})

    # -- the turn --

    def dirty(self):
        return bool(self._touched or self._removed)

    def save(self, stores):
        """Write the dumps of circuits that changed (inside the transaction)."""
        for name in self._removed:
            for key in [name, *stores.machines.names(name + "/")]:
                stores.machines.save(key, None)
        for number, timeslots in self._touched.items():
            span = self.spans.get(number)
            if span is not None:
                if span.row is not span.kept_row:
                    stores.machines.save("cas/%d" % number, {"row": span.row})
                for timeslot in sorted(timeslots):
                    stores.machines.save("cas/%d/%d" % (number, timeslot), span.dump(timeslot))

    def saved(self):
        for number in self._touched:
            if number in self.spans:
                self.spans[number].kept_row = self.spans[number].row
        self._touched, self._removed = {}, []

    def deadline_ms(self):
        return min((at for at in self._deadlines.values() if at is not None), default=None)

    def expire(self, now_ms):
        """Timers of the circuits; spans that begin anew."""
        for number, deadline in list(self._deadlines.items()):
            if deadline is None or deadline > now_ms:
                continue
            span = self.spans[number]
            if span.begins_ms is not None:
                span.begins_ms = None
                if self.media.serving:
                    self._open(span, now_ms)
            self._take(span, span.machine.expire(now_ms), now_ms)

    def drop(self, leg, now_ms):
        """Handling of a leg failed; the switchboard is told by the turn."""
        if leg in self.legs:
            number, timeslot = self.legs.pop(leg)
            span = self.spans[number]
            span.entries[timeslot]["leg"] = None
            self._request(span, timeslot, "release_request", now_ms, cause=TEMPORARY_FAILURE)

    # -- life --

    def live_legs(self):
        return {leg: {"state": self.spans[number].leg_state(timeslot)} for leg, (number, timeslot) in self.legs.items()
                if self.spans[number].entries[timeslot]["offered"]}

    def media_found(self, audit, now_ms):
        """Let media follow the circuits; give it what it does not have of ours."""
        there = {row["id"] for row in audit.get("terminations") or []}
        received = {}
        for row in audit.get("circuits") or []:
            received.setdefault(row["span"], {})[row["timeslot"]] = row["received"]
        for number in received:
            span = self.spans.get(number)
            strays = sorted(set(received[number]) - set(span.machine.timeslots if span is not None and span.begins_ms is None else ()))
            if strays:
                self.media.command("cas_close", span=number, timeslots=strays)
        unoffered = set()
        for number, span in sorted(self.spans.items()):
            for timeslot, entry in sorted(span.entries.items()):
                if entry["leg"] is None:
                    continue
                if entry["leg"] not in there:
                    self._terminate(span, timeslot)
                    audit.setdefault("terminations", []).append({"id": entry["leg"]})
                if not entry["offered"]:
                    unoffered.add(entry["leg"])
            if span.begins_ms is None:
                self._open(span, now_ms)
        wanted = {leg: self.spans[number].enhance for leg, (number, timeslot) in self.legs.items()
                  if self.spans[number].machine.circuits[timeslot].listening is None}
        renew(self.media, audit, wanted)
        # The switchboard would take what it does not know for a stray.
        audit["terminations"] = [row for row in audit.get("terminations") or [] if row["id"] not in unoffered]

    def _open(self, span, now_ms):
        """Bits of all circuits in one command, then what else the machines want to say again.

        Changes that came while control was away follow as events; what stands there is taken from the reply only by
        circuits that know of nothing."""
        events = span.machine.resume(now_ms, {}) if span.restored else span.machine.start(now_ms)
        if span.machine.deadline_ms() is not None and span.machine.deadline_ms() <= now_ms:
            events += span.machine.expire(now_ms)
        span.restored = span.opened = True
        output = span.machine.take_output()
        bits = {timeslot: item[1] for timeslot, item in output if item[0] == "bits"}

        def refused(error, now_ms):
            log.error("span %d: its circuits cannot be opened: %s", span.number, error)

        def opened(reply, now_ms):
            for timeslot, found in reply["received"]:
                if self.spans.get(span.number) is span and found is not None and span.machine.circuits[timeslot].line.seen is None:
                    self._receive(span, timeslot, ("bits", found), now_ms)
        self.media.command("cas_open", opened, refused, span=span.number, hold=span.hold,
                           circuits=[[timeslot, bits[timeslot]] for timeslot in sorted(bits)])
        for timeslot, entry in span.entries.items():
            if entry["leg"] is not None and getattr(span.machine.circuits[timeslot], "sounding", None) is None:
                self._sound(span, timeslot, R2_PLANS[0], None)     # the end of a tone may not have reached media
        for timeslot, item in output:
            if item[0] == "tone":
                self._sound(span, timeslot, item[1], item[2])
            elif item[0] == "listen" and item[1] is not None:
                self._listen(span, timeslot, item[1])
        self._take(span, events, now_ms)

    def media_lost(self, now_ms):
        """The board blocks the circuits by itself; calls that the switchboard does not know are ended here."""
        for span in self.spans.values():
            span.opened = False
            for timeslot, entry in sorted(span.entries.items()):
                if not entry["offered"] and span.machine.circuits[timeslot].state != CLEARING:
                    if entry["leg"] is not None:
                        self.legs.pop(entry["leg"], None)
                        entry["leg"] = None
                    self._request(span, timeslot, "release_request", now_ms, cause=TEMPORARY_FAILURE)
            self._tell(span)

    def alarms(self, number, alarms, now_ms):
        """What the framer sees on a span; a turn's function."""
        span = self.spans.get(number)
        if span is None or span.alarms == alarms:
            return
        span.alarms, span.told = alarms, None
        self._take(span, span.machine.alarm(span.harmed, now_ms), now_ms)

    def describe(self, state, legs):
        """GET /v1/state: spans and their timeslots."""
        state["spans"] += [span.describe(legs) for _, span in sorted(self.spans.items())]
        state["spans"].sort(key=lambda span: span["span"])
