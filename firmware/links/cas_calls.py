"""Actions of the switchboard on circuits with channel-associated signalling, and changes of their configuration.

An R2 register has one word for "the line is free" and one for each reason why not (group B); what comes before it is
silence, so leg.proceeding is nothing on the line, and leg.alerting, leg.progress with something to hear and leg.answer
all say "free".  A leg that is answered while digits may still come gets them ended first (the number is complete), and
what was wanted is done when the far register has been told.

A change of a span's settings ends its calls at once: the circuits are blocked for BEGIN_MS, long enough for the far
end to clear, then begin anew.
"""

import logging

from firmware.errors import ConfigError, LocalError
from firmware.links.cas_span import CircuitSpan
from firmware.links.enhancement import enhancement

log = logging.getLogger(__name__)

NETWORK_OUT_OF_ORDER, NO_CIRCUIT, INVALID_NUMBER = 38, 34, 28       # Q.850
BEGIN_MS = 3000             # ours: above the times of Q.422 for clear-back and clear-forward
LIVING = ("trunk_group",)   # settings of a span that need no restart of it
COLLECTING = ("REGISTER",)
OFFERED, ACCEPTED = ("OFFERED",), ("OFFERED", "ACCEPTING", "ALERTING")


def wanted_spans(config):
    """{span number: (row, trunk group, our numbers)} of the CAS spans in service."""
    groups = {group["name"]: group for group in config["trunk_groups"]}
    return {row["span"]: (row, groups[row["trunk_group"]], config["numbers"]) for row in config["spans"]
            if row["enabled"] and row["signalling"] in ("r2", "cas")}


def _kept(row):
    return {key: value for key, value in row.items() if key not in LIVING}


class CircuitCalls:
    """The half of CASLinks that acts."""

    def creates(self, action):
        """Outgoing legs on our spans."""
        return action["tech"] in ("r2", "cas")

    def owns(self, leg):
        return leg in self.legs

    def carry_out(self, action, now_ms):
        """One leg.* action."""
        do, leg = action["do"], action["leg"]
        if do == "leg.create":
            self._create(action, now_ms)
            return
        if do == "leg.release":
            self._release(leg, action["cause"], now_ms)
            return
        number, timeslot = self.legs[leg]
        span = self.spans[number]
        if do == "leg.need_more_digits":
            if span.machine.circuits[timeslot].state in COLLECTING:
                self._request(span, timeslot, "setup_ack_request", now_ms)
        elif do == "leg.proceeding":
            self._want(span, timeslot, None, now_ms)
        elif do == "leg.alerting" or (do == "leg.progress" and action.get("inband")):
            self._want(span, timeslot, "alerting_request", now_ms)
        elif do == "leg.answer":
            self._want(span, timeslot, "setup_response", now_ms)

    def _want(self, span, timeslot, primitive, now_ms):
        """Accept or answer, when the far register is so far."""
        circuit, entry = span.machine.circuits[timeslot], span.entries[timeslot]
        if primitive == "setup_response" and entry["leg"] is not None and circuit.state in COLLECTING + ACCEPTED:
            self.media.hold(entry["leg"])       # until the registers are silent and the answer is on the line
        if circuit.state in COLLECTING:
            if primitive is not None:
                entry["wanted"] = primitive
            self._request(span, timeslot, "proceeding_request", now_ms)
            if circuit.state in COLLECTING or span.variant is not None:
                return                  # the circuit says when it is offered, by information_indication
        if primitive is None or circuit.state not in ACCEPTED:
            return
        entry["wanted"] = None
        given = {}
        if span.variant is not None:
            given["charge"] = span.row["r2"]["charge"]
        self._request(span, timeslot, primitive, now_ms, **given)

    def _request(self, span, timeslot, primitive, now_ms, **given):
        circuit = span.machine.circuits[timeslot]
        if circuit.call is None:
            return
        call = "%d.%s" % (timeslot, circuit.call)
        self._take(span, span.machine.request(primitive, call, now_ms, **given), now_ms)

    def _release(self, leg, cause, now_ms):
        if leg in self.legs:
            number, timeslot = self.legs[leg]
            self._request(self.spans[number], timeslot, "release_request", now_ms, cause=cause)

    # -- outgoing --

    def _create(self, action, now_ms):
        """leg.create: seize a circuit, or released at once where that cannot be."""
        leg = action["leg"]
        if leg in self.legs:
            return
        span = self.spans.get(action["span"])
        if span is None or span.state != "up":
            self._refuse(leg, NETWORK_OUT_OF_ORDER)
            return
        free = [t for t in span.machine.free_timeslots() if t not in span.entries]
        timeslot = action["timeslot"] if action["timeslot"] in free else free[0] if free else None
        if timeslot is None:
            self._refuse(leg, NO_CIRCUIT)
            return
        call = span.machine.new_call(timeslot)
        self._seat(span, timeslot, leg, call.partition(".")[2], offered=True, urgent=bool(action.get("priority")))
        if timeslot != action["timeslot"]:
            self.turns.post({"kind": "leg.seized", "leg": leg, "span": span.number, "timeslot": timeslot})
        caller = action["caller"]
        shown = caller is not None and caller.get("presentation") != "restricted"
        given = {"caller": _digits(caller["number"]) if shown else None}
        if span.variant is not None:
            given["category"] = span.row["r2"]["category"]
        try:
            self._take(span, span.machine.request("setup_request", call, now_ms, called=action["called"]["number"], **given), now_ms)
        except LocalError as error:
            log.warning("span %d: a call to %s cannot be sent: %s", span.number, action["called"]["number"], error)
            span.entries.pop(timeslot, None)
            self.legs.pop(leg, None)
            self._refuse(leg, INVALID_NUMBER)

    def _refuse(self, leg, cause):
        self.turns.post({"kind": "leg.released", "leg": leg, "cause": cause, "by": "failure"})

    def _post(self, span, timeslot, kind, **fields):
        entry = span.entries.get(timeslot)
        if entry is not None and entry["leg"] is not None:
            self.turns.post(dict(fields, kind=kind, leg=entry["leg"]))

    def _on_proceeding_indication(self, span, timeslot, event, now_ms):
        """All digits are out; what the far end has to say is heard (nothing signals that it rings)."""
        self._post(span, timeslot, "leg.progress", inband=True)

    def _on_alerting_indication(self, span, timeslot, event, now_ms):
        self._post(span, timeslot, "leg.alerting", inband=event["inband"])

    def _on_setup_confirm(self, span, timeslot, event, now_ms):
        self._post(span, timeslot, "leg.answered")

    # -- configuration --

    def _load(self, machines, config):
        """At the start of the process: circuits of the dumps where the settings are the same."""
        wanted = wanted_spans(config)
        saved = [int(name[4:]) for name in machines.names("cas/") if name.count("/") == 1]
        for number in sorted(set(saved) - set(wanted)):
            self._removed.append("cas/%d" % number)
        for number in sorted(wanted):
            prefix, row, dumps = "cas/%d/" % number, wanted[number][0], {}
            if number in saved:
                if _kept((machines.load(prefix[:-1]) or {}).get("row") or {}) == _kept(row):
                    dumps = {int(name[len(prefix):]): machines.load(name) for name in machines.names(prefix)}
                else:
                    self._removed.append(prefix[:-1])
            self._begin(*wanted[number], dumps)

    def _begin(self, row, group, numbers, dumps=None):
        try:
            span = CircuitSpan(row, group, numbers, self.load_variant, dumps)
        except (ConfigError, LocalError) as error:
            log.error("span %d is not in service: %s", row["span"], error)
            return None
        self.spans[span.number] = span
        for timeslot, entry in span.entries.items():
            if entry["leg"] is not None:
                self.legs[entry["leg"]] = (span.number, timeslot)
        self._deadlines[span.number] = span.machine.deadline_ms()
        self._touched.setdefault(span.number, set()).update(span.machine.timeslots)
        return span

    def configure(self, config, now_ms):
        """Spans added, changed or removed."""
        wanted = wanted_spans(config)
        for number, span in sorted(self.spans.items()):
            if number in wanted and _kept(wanted[number][0]) == _kept(span.row):
                row, group, numbers = wanted.pop(number)
                span.row, span.enhance = row, enhancement(group)
                span.renumber(group, numbers)
                self._tell(span)
            else:
                self._end(span, now_ms)
                if number in wanted:
                    new = self._begin(*wanted.pop(number))
                    if new is not None:
                        new.alarms, new.begins_ms = span.alarms, now_ms + BEGIN_MS
                        new.keep_blocked(span.machine)
                        self._deadlines[number] = new.begins_ms
        for number in sorted(wanted):
            span = self._begin(*wanted[number])
            if span is not None and self.media.serving:
                self._open(span, now_ms)

    def _end(self, span, now_ms):
        log.warning("span %d: closing for a change of the configuration, %d calls are released", span.number, len(span.entries))
        for timeslot, entry in sorted(span.entries.items()):
            if entry["leg"] is not None and not entry["offered"]:
                self.legs.pop(entry["leg"], None)
                self.media.subtract(entry["leg"])
            self._gone(span, timeslot, NETWORK_OUT_OF_ORDER, "near")
        self.media.command("cas_close", span=span.number, timeslots=span.machine.timeslots)
        del self.spans[span.number]
        self._deadlines.pop(span.number, None)
        self._touched.pop(span.number, None)
        self._removed.append("cas/%d" % span.number)
        self.turns.post({"kind": "span.state", "span": span.number, "state": "down", "alarms": list(span.alarms or [])})


def _digits(number):
    return "".join(c for c in number if c in "0123456789")
