"""Calls of SS7: events of ISUP become events of the switchboard, its actions become primitives of ISUP.

The circuit of an outgoing call is certain with its IAM; where ISUP holds another call on the one that leg.create
names (one that is clearing, a blocked one), another one of the span is taken and leg.seized tells it.  A circuit that both
ends seized and the far end keeps, or that was at fault (`reattempt`, Q.764 2.9.1, 2.9.3.1, 2.8.2), comes back as cause
44, so that the switchboard hunts on.

Speech path: the exchange of the called party gives ringing tone and announcements in band, so the path is cut through
with the first backward message (Q.764 2.1.1.1 e, 2.1.4.1).

A leg is over for the switchboard when the circuit is; while the far exchange cannot be reached it is over at once, and
the circuit stays busy until REL has been answered.  After the answer: ss7_release.py."""

import logging

from firmware.call import carriage
from firmware.call.call import UNRESTRICTED
from firmware.errors import LocalError
from firmware.links.adapter import tell_restarted
from firmware.links.enhancement import CLEAR, enhancement
from firmware.proto.isup import codes

log = logging.getLogger(__name__)

NO_CIRCUIT, NETWORK_OUT_OF_ORDER, INVALID_NUMBER, TEMPORARY_FAILURE = 34, 38, 28, 41        # Q.850
TYPES = ("international", "national", "network", "subscriber")
PRESENTATION = {"allowed": "allowed", "restricted": "restricted"}
# action: (primitive, states of an incoming call in which it fits)
ACTIONS = {
    "leg.need_more_digits": ("setup_ack_request", (codes.IN_PRESENT,)),
    "leg.proceeding": ("proceeding_request", (codes.IN_PRESENT,)),
    "leg.alerting": ("alerting_request", (codes.IN_PRESENT, codes.IN_WAIT_ANM)),
    "leg.progress": ("progress_request", (codes.IN_PRESENT, codes.IN_WAIT_ANM)),
    "leg.answer": ("setup_response", (codes.IN_PRESENT, codes.IN_WAIT_ANM)),
}


def number_or_none(number):
    """The digits of a number element, or None."""
    return (number or {}).get("number") or None


SUBADDRESSES = {0x71: "called", 0x6D: "calling"}        # Q.931 4.5.8, as they stand in Access transport (Q.763 3.3)


def carried_of(event):
    """What the IAM of a setup_indication brings besides numbers (call/carriage.py), or None."""
    elements, redirecting, subaddresses = event["elements"], event["redirecting"], {}
    octets = bytes.fromhex((elements.get("access_transport") or {}).get("octets", ""))
    while len(octets) > 1 and len(octets) >= 2 + octets[1]:
        if octets[0] in SUBADDRESSES:
            subaddresses[SUBADDRESSES[octets[0]]] = octets[2:2 + octets[1]].hex()
        octets = octets[2 + octets[1]:]
    user_user = elements.get("user_to_user_information")
    return carriage.known({
        "hops": event["hop_counter"], "redirections": (redirecting or {}).get("counter") or (1 if redirecting else None), "subaddresses": subaddresses,
        "redirecting": None if redirecting is None else {key: redirecting[key] for key in redirecting if key not in ("counter", "complete", "screening")},
        "user_user": user_user and user_user["octets"]})


def carry(carried):
    """The same for setup_request: Q.699 for PRI to ISUP."""
    elements, access = {}, ""
    for identifier, party in sorted(SUBADDRESSES.items()):
        octets = (carried.get("subaddresses") or {}).get(party)
        if octets:
            access += "%02x%02x%s" % (identifier, len(octets) // 2, octets)
    if access:
        elements["access_transport"] = {"octets": access}
    if carried.get("user_user"):
        elements["user_to_user_information"] = {"octets": carried["user_user"]}
    return {"elements": elements, "hop_counter": carried.get("hops"), "redirections": carried.get("redirections")}


class Calls:
    """The half of SS7Points that has to do with calls."""

    # -- events of ISUP --

    def _on_setup_indication(self, point, event, now_ms):
        leg = self.ids.next("l")
        caller, redirecting, span = event["caller"] or {}, event["redirecting"] or event["original_called"], event["span"]
        point.calls[event["call"]] = {"leg": leg, "digits": event["called_digits"], "span": span, "timeslot": event["timeslot"],
                                      "data": event["bearer"] == UNRESTRICTED}
        self.legs[leg] = (point.name, event["call"])
        self._terminate(point, event["call"])
        row = point.spans.get(span)
        self.turns.post({
            "kind": "leg.offered", "leg": leg, "tech": "ss7", "trunk_group": row[0]["trunk_group"] if row else None, "span": span,
            "timeslot": event["timeslot"], "caller": number_or_none(caller),
            "caller_presentation": PRESENTATION.get(caller.get("presentation", "allowed" if caller else None), "unavailable"),
            "caller_type": caller.get("type") if caller.get("type") in TYPES else None,
            "bearer": event["bearer"] if event["bearer"] in ("speech", "3.1khz_audio", "unrestricted_digital") else None,
            "called": event["called_digits"], "called_complete": event["called_complete"],
            "redirecting": number_or_none(redirecting), "carried": carried_of(event)})

    def _enhance(self, point, span):
        row = point.spans.get(span)
        return enhancement(row[1]) if row else {}

    def _terminate(self, point, call):
        """Give a call its timeslot termination."""
        entry = point.calls[call]
        leg = entry["leg"]

        def refused(error, now_ms):
            self._release(leg, error.cause, now_ms)
        sound = {"law": CLEAR} if entry.get("data") else dict(self._enhance(point, entry["span"]), law=point.laws[entry["span"]])
        self.media.command("add", None, refused, id=leg, kind="timeslot", span=entry["span"], timeslot=entry["timeslot"],
                           **self.media.urgent(entry["digits"], entry.get("urgent", False)), **sound)

    def _on_information_indication(self, point, event, now_ms):
        entry = point.calls[event["call"]]
        entry["digits"] += event["digits"]
        self._digits(entry, event["complete"])

    def _on_digits_timeout(self, point, event, now_ms):
        self._digits(point.calls[event["call"]], True)

    def _digits(self, entry, complete):
        if entry["leg"] is not None:
            self.turns.post({"kind": "leg.digits", "leg": entry["leg"], "called": entry["digits"], "called_complete": complete})

    def _post(self, point, event, kind, **more):
        entry = point.calls.get(event["call"])
        if entry is not None and entry["leg"] is not None:
            self.turns.post({"kind": kind, "leg": entry["leg"], **more})

    def _on_proceeding_indication(self, point, event, now_ms):
        self._post(point, event, "leg.progress", inband=True)

    def _on_progress_indication(self, point, event, now_ms):
        self._post(point, event, "leg.progress", inband=True)

    def _on_alerting_indication(self, point, event, now_ms):
        self._post(point, event, "leg.alerting", inband=True)

    def _on_setup_confirm(self, point, event, now_ms):
        self._post(point, event, "leg.answered")

    def _on_disconnect_indication(self, point, event, now_ms):
        self._gone(point, event, 44 if event["reattempt"] else event["cause"], "far" if event["reattempt"] else event["by"])
        self._isup(point, point.isup.request("release_request", event["call"], now_ms), now_ms)

    def _on_released(self, point, event, now_ms):
        if event["call"] in point.calls:
            self._gone(point, event, 44 if event["reattempt"] else event["cause"], "far" if event["reattempt"] else event["by"])
            del point.calls[event["call"]]
            point.clocks.pop(event["call"], None)
        if event["maintenance"]:
            log.error("ss7 %s: CIC %d: the far exchange did not answer REL (T5); the circuit is reset", point.name, event["cic"])

    def _gone(self, point, event, cause, by):
        """The switchboard hears once that a leg is over."""
        entry = point.calls[event["call"]]
        leg, entry["leg"] = entry["leg"], None
        if leg is not None:
            self.legs.pop(leg, None)
            self.turns.post({"kind": "leg.released", "leg": leg, "cause": cause, "by": by})

    def _on_call_lost(self, point, event, now_ms):
        log.warning("ss7 %s: CIC %d: the far exchange says that there is no call (circuit query)", point.name, event["cic"])

    def _on_protocol_error(self, point, event, now_ms):
        log.warning("ss7 %s: CIC %d: %s", point.name, event["cic"], event["text"])

    def _on_circuit_fault(self, point, event, now_ms):
        log.error("ss7 %s: CIC %d: %s", point.name, event["cic"], event["text"])

    def _on_group_fault(self, point, event, now_ms):
        log.error("ss7 %s: CICs %d to %d: %s", point.name, event["cic"], event["cic"] + event["range"], event["text"])

    def _on_group_reset_indication(self, point, event, now_ms):
        log.warning("ss7 %s: the far exchange reset CICs %d to %d", point.name, event["cic"], event["cic"] + event["range"])
        self._reset(point, event, "in")

    def _on_group_reset_confirm(self, point, event, now_ms):
        self._reset(point, event, "out")

    def _on_reset_indication(self, point, event, now_ms):
        log.warning("ss7 %s: the far exchange reset CIC %d", point.name, event["cic"])
        tell_restarted(self.turns, [(event["span"], event["timeslot"])], "in")

    def _on_reset_confirm(self, point, event, now_ms):
        tell_restarted(self.turns, [(event["span"], event["timeslot"])], "out")

    def _reset(self, point, event, by):
        first, last = event["cic"], event["cic"] + event["range"]
        tell_restarted(self.turns, [(circuit.span, circuit.timeslot) for circuit in point.isup.all_circuits()
                                    if circuit.dpc == event["destination"] and first <= circuit.cic <= last], by)

    def _on_destination_state(self, point, event, now_ms):
        self._tell(point)

    # -- actions of the switchboard --

    def creates(self, action):
        """Outgoing SS7 legs are ours."""
        return action["tech"] == "ss7"

    def owns(self, leg):
        """Whether a leg is ours."""
        return leg in self.legs

    def carry_out(self, action, now_ms):
        """One leg.* action."""
        do, leg = action["do"], action["leg"]
        if do == "leg.create":
            self._create(action, now_ms)
        elif do == "leg.release":
            self._release(leg, action["cause"], now_ms)
        elif do in ACTIONS:
            name, call = self.legs[leg]
            point = self.points[name]
            primitive, states = ACTIONS[do]
            state = point.isup.call_state(call)
            if state is not None and state["state"] in states:      # else it is done, or too late
                given = {"inband": True} if action.get("inband") else {}
                given.update(self._controlled(point, point.isup.circuit(call.rsplit(".", 1)[0])))
                self._isup(point, point.isup.request(primitive, call, now_ms, **given), now_ms)

    def _create(self, action, now_ms):
        """leg.create: IAM, or released at once where that cannot be."""
        leg, span = action["leg"], action["span"]
        if leg in self.legs:
            return
        point = self._point_of_span(span)
        if point is None or point.span_state(span) != "up":
            self._refuse(leg, NETWORK_OUT_OF_ORDER)
            return
        reached = [circuit for circuit in point.circuits_on(span) if point.is_reached(circuit.dpc)]
        free = [circuit for circuit in reached if circuit.available()] or [circuit for circuit in reached if circuit.available(bool(action.get("locked")))]
        wanted = [circuit for circuit in free if circuit.timeslot == action["timeslot"]]
        if not free:
            self._refuse(leg, NO_CIRCUIT)
            return
        circuit = (wanted or free)[0]
        call = point.isup.new_call(circuit.group["name"], circuit.cic)
        point.calls[call] = {"leg": leg, "digits": action["called"]["number"], "span": span, "timeslot": circuit.timeslot,
                             "data": action["bearer"] == UNRESTRICTED, **({"urgent": True} if action.get("priority") else {})}
        self.legs[leg] = (point.name, call)
        if not wanted:
            self.turns.post({"kind": "leg.seized", "leg": leg, "span": span, "timeslot": circuit.timeslot})
        self._terminate(point, call)
        redirecting, priority = action["redirecting"], bool(action.get("priority"))         # an emergency call: Q.763 3.11; no congestion refuses it
        try:
            events = self._dial(point, call, circuit, action["called"], {
                "caller": action["caller"], "redirecting": redirecting, "bearer": action["bearer"],
                "original_called": None if redirecting is None else {key: redirecting[key] for key in redirecting if key != "reason"},
                "continuity": self._continuity(point, circuit), "priority": priority, "category": "priority" if priority else "ordinary",
                "release_control": self._group_row(point, circuit).get("release_out", "first"), **carry(action.get("carried") or {})}, now_ms)
        except LocalError as error:
            log.warning("ss7 %s: a call to %s cannot be sent: %s", point.name, action["called"]["number"], error)
            del point.calls[call], self.legs[leg]
            self._refuse(leg, INVALID_NUMBER, "far")
            self._touch(point)
            return
        self._isup(point, events, now_ms)

    def _point_of_span(self, span):
        for point in self.points.values():
            if span in point.circuit_spans:
                return point
        return None

    def _refuse(self, leg, cause, by="failure"):
        self.turns.post({"kind": "leg.released", "leg": leg, "cause": cause, "by": by})

    def _release(self, leg, cause, now_ms):
        if leg not in self.legs:
            return
        name, call = self.legs[leg]
        point = self.points[name]
        circuit = point.isup.circuit(call.rsplit(".", 1)[0])
        if self._keep_circuit(point, call, circuit, cause, now_ms):
            return
        self._isup(point, point.isup.request("release_request", call, now_ms, cause=cause), now_ms)
        if leg in self.legs and not point.is_reached(circuit.dpc):
            self._gone(point, {"call": call}, cause, "near")
            self._touch(point)

    def drop(self, leg, now_ms):
        """Handling of a leg failed; the switchboard is told by the turn."""
        if leg in self.legs:
            name, call = self.legs.pop(leg)
            point = self.points[name]
            if call in point.calls:
                point.calls[call]["leg"] = None
            self._isup(point, point.isup.request("release_request", call, now_ms, cause=TEMPORARY_FAILURE), now_ms)
