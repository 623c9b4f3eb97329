"""Continuity checks of SS7 circuits: what ISUP wants (a tone and its receiver, or a loop) is done in media.

A check on the circuit of a call that the switchboard knows uses that call's termination; any other one, the far end's
loops included, has a termination of its own, which stands in the circuit's dump.  Sound enhancement is off while
the tone is on: an echo canceller would take the tone that comes back for an echo.

How many of our calls are checked says the circuit group ("continuity", per cent: T1.113 leaves it to the
networks, 12 is usual); of a call that is, the far end hears nothing of the caller before COT has gone.
Source: Q.764 2.1.8, 2.8.1; Q.724 7."""

import logging

from firmware.errors import LocalError
from firmware.links.enhancement import OFF, put

log = logging.getLogger(__name__)

TONE_HZ = {"ansi": 2010}        # T1.113.4; Q.724 7.1: 2000


class Continuity:
    """The part of SS7Points that checks circuits.  A point's `checks`: {circuit's name: termination of its own}."""

    def _on_continuity_tone(self, point, event, now_ms):
        circuit = point.isup.circuit(event["circuit"])
        if not event["on"]:
            self._unseat(point, circuit, "check", tone_hz=None)
            return
        leg = self._seat(point, circuit)
        self.media.command("enhance", id=leg, **OFF)
        self.media.command("check", None, self._cannot(point, circuit), id=leg, tone_hz=TONE_HZ.get(point.row["variant"], 2000))

    def _on_continuity_loop(self, point, event, now_ms):
        circuit = point.isup.circuit(event["circuit"])
        if event["on"]:
            self.media.command("loop", None, self._cannot(point, circuit), id=self._seat(point, circuit), on=True)
        else:
            self._unseat(point, circuit, "loop", on=False)

    @staticmethod
    def _cannot(point, circuit):
        """The far end's timers end the check."""
        return lambda error, now_ms: log.error("ss7 %s: CIC %d: no continuity check: %s", point.name, circuit.cic, error)

    def _leg_on(self, point, circuit):
        found = point.call_on(circuit)
        return found[1]["leg"] if found else None

    def _seat(self, point, circuit):
        """The termination of a check on a circuit."""
        leg = self._leg_on(point, circuit) or point.checks.get(circuit.name)
        if leg is None:
            leg = point.checks[circuit.name] = self.ids.next("l")
            self._add_timeslot(point, circuit, leg)
        return leg

    def _add_timeslot(self, point, circuit, leg):
        self.media.command("add", None, self._cannot(point, circuit), id=leg, kind="timeslot", span=circuit.span, timeslot=circuit.timeslot,
                           law=point.laws[circuit.span])

    def _unseat(self, point, circuit, command, **off):
        """The check is over.  In order: the timeslot may be a call's with the next command."""
        own, leg = point.checks.pop(circuit.name, None), self._leg_on(point, circuit)
        if own is not None:
            self.media.command("subtract", id=own)
        if leg is not None:
            self.media.command(command, id=leg, **off)
            if command == "check":
                put(self.media, leg, dict(OFF, **self._enhance(point, circuit.span).get("enhance", {})))

    def _check_heard(self, event, now_ms):
        """Media: the tone of a check is there."""
        for point in self.points.values():
            for name, leg in list(point.checks.items()):
                if leg == event["id"]:
                    return self._heard(point, point.isup.circuit(name), event["on"], now_ms)
        if event["id"] in self.legs:
            name, call = self.legs[event["id"]]
            self._heard(self.points[name], self.points[name].isup.circuit(call.rsplit(".", 1)[0]), event["on"], now_ms)
        return True

    def _heard(self, point, circuit, on, now_ms):
        if on and circuit.tone_on:
            point.isup.count("continuity_checks_passed")
            self._isup(point, point.isup.circuit_request("continuity_result", circuit.name, now_ms, ok=True), now_ms)
        return True

    def _on_continuity_confirm(self, point, event, now_ms):
        point.checked[event["circuit"]] = event["ok"]
        log.warning("ss7 %s: CIC %d: the continuity check %s", point.name, event["cic"], "passed" if event["ok"] else "failed")

    def _continuity(self, point, circuit):
        """Whether a call of ours is checked: "this" or None."""
        wanted = self._group_row(point, circuit).get("continuity", 0)
        point.unchecked += wanted
        if point.unchecked < 100:
            return None
        point.unchecked -= 100
        return "this"

    @staticmethod
    def _group_row(point, circuit):
        return [row for row in point.row["circuit_groups"] if row["name"] == circuit.group["name"]][0]

    def _dial(self, point, call, circuit, called, given, now_ms):
        """IAM, and SAMs behind it where the far exchange wants the number in pieces.  Returns events; raises LocalError."""
        first = self._group_row(point, circuit).get("overlap_digits", 0)
        digits = called["number"]
        if not first or len(digits) <= first:
            return point.isup.request("setup_request", call, now_ms, called=called, **given)
        events = point.isup.request("setup_request", call, now_ms, called=dict(called, number=digits[:first]), complete=False, **given)
        if point.isup.call_state(call) is None:
            return events
        return events + point.isup.request("information_request", call, now_ms, digits=digits[first:],
                                           complete=bool(circuit.group["send_st"]))

    def _found_checks(self, point, there):
        """After a restart: checks that stand, again in media where it does not have them."""
        for name, leg in sorted(point.checks.items()):
            if leg not in there:
                self._add_timeslot(point, point.isup.circuit(name), leg)
        for circuit in point.isup.all_circuits():
            if circuit.tone_on:
                self._on_continuity_tone(point, {"circuit": circuit.name, "on": True}, 0)
            if circuit.loop_on_circuit:
                self._on_continuity_loop(point, {"circuit": circuit.name, "on": True}, 0)


def check_request(point, group, cics, now_ms):
    """A test by hand (CCR) of one idle circuit.  Returns events.  Raises LocalError."""
    if cics is None or len(cics) != 1:
        raise LocalError("a continuity check is of one circuit; give one CIC")
    circuit = point.isup.circuit("%s.%d" % (group, cics[0]))
    if circuit.state != "IDLE":
        raise LocalError("CIC %d of %s is %s; a check needs an idle circuit" % (cics[0], group, circuit.state.lower().replace("_", " ")))
    point.checked.pop(circuit.name, None)
    return point.isup.circuit_request("check", circuit.name, now_ms)
