"""Who may end a call over an SS7 circuit, calls that are suspended, metering pulses, operators.

A circuit group says who controls the release of its calls ("release_in", "release_out"):

    first    either party: REL, as everywhere
    caller   on a call to us: what we release is told by SUS (network), and the far exchange releases, at once or when its
             T6 is over (Q.764 2.4.3, Q.118).  On a call of ours nothing changes: we are the caller.
    called   China (YDN 038).  On a call of ours: what we release is told by CCL, and the far exchange releases.  On a call to us:
             its CCL says that the caller has hung up; the leg is held, and our party ends the call

The switchboard has done with such a leg at once; the circuit stays busy until the far exchange releases it, or "hold_s" is over: then REL
goes.  A call that the far exchange suspends is held until RES, or until T2 or T6 of ISUP end it.

Metering (YDN 038): MPM that come are added up on the leg (leg.heard "charge", and in the CDR); of calls to us that are
answered we send one at the answer and one each "metering_s" with "metering_units".  OPR of an operator is noted on the leg."""

import logging

from firmware.errors import LocalError
from firmware.proto.isup import codes

log = logging.getLogger(__name__)

CALL_VERBS = ("suspend", "resume", "meter", "operator")
ANSWERED = (codes.OUT_ANSWERED, codes.IN_ANSWERED)
HOLD_S = 90                 # ours: what the configuration says by default


class ReleaseControl:
    """The part of SS7Points that has to do with calls after their answer.

    An entry of a point's calls may have besides: "until_ms", when a held circuit is released; "meter_ms", when the next MPM is
    due; "units" and "operators", what came so far.  Point.clocks: {call: the next of both}."""

    def _clock(self, point, call):
        """The next deadline of a call, for Point.deadline_ms()."""
        entry = point.calls.get(call)
        due = [entry[name] for name in ("until_ms", "meter_ms") if entry.get(name) is not None] if entry else []
        if due:
            point.clocks[call] = min(due)
        else:
            point.clocks.pop(call, None)
        circuit = call.rsplit(".", 1)[0]
        self._touched.setdefault(point.name, set()).add(circuit)
        self._deadlines[point.name] = point.deadline_ms()

    def _controlled(self, point, circuit):
        """release_control of an incoming call's answer, as a field of its requests."""
        rule = self._group_row(point, circuit).get("release_in", "first")
        return {} if rule == "first" else {"release_control": rule}

    def _hold_s(self, point, circuit):
        return self._group_row(point, circuit).get("hold_s", HOLD_S)

    def _keep_circuit(self, point, call, circuit, cause, now_ms):
        """Our party has hung up on a call whose release the other one controls: say so, and keep the circuit.  False: REL is right."""
        if cause != codes.NORMAL or circuit.state not in ANSWERED or circuit.call != call or not point.is_reached(circuit.dpc):
            return False
        if circuit.clear_by_user({}) is None:
            return False
        entry = point.calls[call]
        entry["until_ms"], entry["meter_ms"] = now_ms + 1000 * self._hold_s(point, circuit), None
        self._isup(point, point.isup.request("clear_request", call, now_ms), now_ms)
        point.isup.count("circuits_held")
        self._gone(point, {"call": call}, cause, "near")
        self._clock(point, call)
        return True

    def _on_calling_clear_indication(self, point, event, now_ms):
        """CCL: the caller has hung up.  Where the called party controls the release, our party keeps the call; else nobody holds who left."""
        call = event["call"]
        circuit, entry = point.isup.circuit(call.rsplit(".", 1)[0]), point.calls[call]
        point.isup.count("calling_party_clears")
        if circuit.control == "called" and entry["leg"] is not None:
            log.info("ss7 %s: CIC %d: the caller has hung up; the call is held for our party to end it", point.name, event["cic"])
            entry["until_ms"] = now_ms + 1000 * self._hold_s(point, circuit)
            self._clock(point, call)
            self._post(point, event, "leg.held")
            return
        self._gone(point, event, codes.NORMAL, "far")
        self._isup(point, point.isup.request("release_request", call, now_ms, cause=codes.NORMAL), now_ms)

    def _on_suspend_indication(self, point, event, now_ms):
        point.isup.count("suspends_received")
        self._post(point, event, "leg.held")

    def _on_resume_indication(self, point, event, now_ms):
        point.isup.count("resumes_received")
        self._post(point, event, "leg.retrieved")

    def _on_charge_indication(self, point, event, now_ms):
        """MPM: its charge counts, in the units of the network."""
        entry = point.calls.get(event["call"])
        if entry is None or entry["leg"] is None:
            return
        entry["units"] = entry.get("units", 0) + event["charge"]
        point.isup.count("metering_pulses_received")
        self.turns.post({"kind": "media.heard", "leg": entry["leg"], "what": "charge", "value": {"units": entry["units"], "last": event["charge"]}})
        self._clock(point, event["call"])

    def _on_operator_indication(self, point, event, now_ms):
        entry = point.calls.get(event["call"])
        if entry is None or entry["leg"] is None:
            return
        entry["operators"] = entry.get("operators", 0) + 1
        point.isup.count("operator_signals_received")
        log.info("ss7 %s: CIC %d: the operator signals (OPR)", point.name, event["cic"])
        self.turns.post({"kind": "media.heard", "leg": entry["leg"], "what": "operator", "value": {"count": entry["operators"]}})
        self._clock(point, event["call"])

    def _on_setup_complete_indication(self, point, event, now_ms):
        """We have answered: metering begins, where the group has it."""
        row = self._group_row(point, point.isup.circuit(event["call"].rsplit(".", 1)[0]))
        entry = point.calls.get(event["call"])
        if entry is not None and row.get("metering_s"):
            entry["meter_ms"] = now_ms
            self._clock(point, event["call"])

    def _clocks_due(self, point, now_ms):
        """Timers of calls that are answered."""
        for call, at in list(point.clocks.items()):
            if at > now_ms:
                continue
            entry = point.calls.get(call)
            if entry is None:
                point.clocks.pop(call, None)
                continue
            if entry.get("meter_ms") is not None and entry["meter_ms"] <= now_ms:
                self._meter(point, call, entry, now_ms)
            if entry.get("until_ms") is not None and entry["until_ms"] <= now_ms:
                entry["until_ms"] = None
                log.warning("ss7 %s: %s: nobody released the circuit that was held; it is released here", point.name, call)
                self._gone(point, {"call": call}, codes.NORMAL, "far")
                self._isup(point, point.isup.request("release_request", call, now_ms, cause=codes.NORMAL), now_ms)
            self._clock(point, call)

    def _meter(self, point, call, entry, now_ms):
        circuit = point.isup.circuit(call.rsplit(".", 1)[0])
        row = self._group_row(point, circuit)
        entry["meter_ms"] = None
        if circuit.call == call and circuit.state == codes.IN_ANSWERED and row.get("metering_s"):
            entry["meter_ms"] = now_ms + 1000 * row["metering_s"]
            self._isup(point, point.isup.request("charge_request", call, now_ms, charge=row["metering_units"]), now_ms)

    def _order_calls(self, point, group, verb, cics, now_ms):
        """One of CALL_VERBS for the answered calls of some circuits, by hand.  Raises LocalError."""
        if not cics:
            raise LocalError("%s is of the call on a circuit; give its CIC" % verb)
        if verb in ("meter", "operator") and point.row["variant"] != "china":
            raise LocalError("%s is a message of China's ISUP (YDN 038); %s is %s" % (verb, point.name, point.row["variant"]))
        circuits = [point.isup.circuit("%s.%d" % (group, cic)) for cic in cics]
        for circuit in circuits:
            if circuit.state not in ANSWERED:
                raise LocalError("CIC %d of %s has no answered call" % (circuit.cic, group))
            if verb == "meter" and circuit.state != codes.IN_ANSWERED:
                raise LocalError("CIC %d of %s has a call of ours; metering pulses go backward, to a caller" % (circuit.cic, group))
        for circuit in circuits:
            primitive = {"suspend": "suspend_request", "resume": "resume_request", "meter": "charge_request",
                         "operator": "operator_request"}[verb]
            given = {"charge": max(1, self._group_row(point, circuit).get("metering_units", 1))} if verb == "meter" else {}
            self._isup(point, point.isup.request(primitive, circuit.call, now_ms, **given), now_ms)
