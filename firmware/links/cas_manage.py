"""CAS circuits managed by people, by the means that each line signalling has.

    lock      no new calls on a circuit; its call is released (cause 41)
    drain     the same, but a call that stands goes on; the circuit is blocked when it is over
    unlock    in service again
    restart   the circuit's call is released and idle is sent; there is no message for it, so the far end just sees it cleared

What the far end sees of a circuit that is out of service:

    R2                      blocked, 1 1 backwards (Q.422): its outgoing calls take another circuit
    E&M, feature groups     off-hook: it takes the circuit for busy, and for a call in which no digits come
    fxo                     the loop closed, as by a telephone whose handset lies beside it (ground start: asked for by ring ground first)
    fxs                     feed open, no battery; ground start: whoever asks by ring ground gets no tip ground

What is locked stands in the circuits' dumps: a restart of control forgets none of it, and a change of the span's settings takes it over.
"""

import logging

from firmware.errors import LocalError
from firmware.links.adapter import tell_restarted
from firmware.proto.cas.circuit import CLEARING

log = logging.getLogger(__name__)

CIRCUIT_VERBS = ("lock", "drain", "unlock", "restart")
TEMPORARY_FAILURE = 41      # Q.850


class CircuitManagement:
    """The part of CASLinks that people command.  Raises LocalError with a sentence; a turn's functions."""

    def manage_circuits(self, number, verb, timeslots, now_ms):
        """One of CIRCUIT_VERBS for some timeslots of a span (None: all)."""
        span = self.spans.get(number)
        if span is None:
            raise LocalError("there is no span %s with channel-associated signalling in service" % str(number)[:20])
        if verb not in CIRCUIT_VERBS:
            raise LocalError("circuits take %s, not %r" % (", ".join(CIRCUIT_VERBS), str(verb)[:40]))
        chosen = span.machine.timeslots if timeslots is None else sorted(set(timeslots))
        for timeslot in chosen:
            if timeslot not in span.machine.circuits:
                raise LocalError("span %s has no circuit in timeslot %s" % (number, str(timeslot)[:20]))
        log.warning("span %s: %s of %s, by hand", number, verb, "all circuits" if timeslots is None else "timeslots %s" % chosen)
        for timeslot in chosen:
            if verb != "restart":
                self._take(span, span.machine.block(timeslot, verb != "unlock", now_ms), now_ms)
            if verb in ("lock", "restart"):
                self._end_call(span, timeslot, now_ms)
        if verb == "restart":
            tell_restarted(self.turns, [(number, timeslot) for timeslot in chosen], "out")
        self._tell(span)

    def _end_call(self, span, timeslot, now_ms):
        """Release what is on a circuit, whether the switchboard knows of it or not."""
        circuit, entry = span.machine.circuits[timeslot], span.entries.get(timeslot)
        if circuit.call is None or circuit.state == CLEARING:
            return
        if entry is not None and entry["leg"] is not None:
            if entry["offered"]:
                self._gone(span, timeslot, TEMPORARY_FAILURE, "near")
            else:
                self.legs.pop(entry["leg"], None)
                self.media.subtract(entry["leg"])
                entry["leg"] = None
        self._request(span, timeslot, "release_request", now_ms, cause=TEMPORARY_FAILURE)

    def described(self):
        """GET /v1/cas."""
        rows = []
        for _, span in sorted(self.spans.items()):
            row = span.describe({})
            rows.append({name: row[name] for name in ("span", "signalling", "variant", "state", "alarms", "counters")} | {"timeslots": [
                {"timeslot": slot["timeslot"], "state": slot["state"], "line": slot["line"], "why": slot["why"],
                 "near": "out_of_service" if span.machine.circuits[slot["timeslot"]].line.blocking else None,
                 "far": "out_of_service" if slot["why"] == "blocked" else None}
                for slot in row["timeslots"] if slot["state"] != "d"]})
        return rows
