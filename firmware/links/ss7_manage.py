"""Management of SS7 by people: links activated, deactivated, inhibited; circuits blocked, unblocked, reset, checked; calls suspended, metered."""

import logging

from firmware.errors import LocalError
from firmware.links.ss7_continuity import check_request
from firmware.links.ss7_release import CALL_VERBS

log = logging.getLogger(__name__)

LINK_VERBS = ("activate", "deactivate", "inhibit", "uninhibit")
CIRCUIT_VERBS = ("block", "unblock", "reset", "check") + CALL_VERBS


class Management:
    """The half of SS7Points that people command.  Raises LocalError with a sentence; a turn's functions."""

    def _named(self, name):
        point = self.points.get(name)
        if point is None:
            raise LocalError("there is no signalling point %r; there are %s" % (str(name)[:40], ", ".join(sorted(self.points)) or "none"))
        return point

    def manage_link(self, name, link, verb, now_ms):
        """One of LINK_VERBS."""
        point = self._named(name)
        if verb not in LINK_VERBS:
            raise LocalError("a signalling link takes %s, not %r" % (", ".join(LINK_VERBS), str(verb)[:40]))
        if link not in point.links:
            raise LocalError("%s has no signalling link %r; it has %s" % (point.name, str(link)[:40], ", ".join(sorted(point.links))))
        log.warning("ss7 %s: %s link %s, by hand", point.name, verb, link)
        if verb == "deactivate":
            point.deactivated.add(link)
        elif verb == "activate":
            point.deactivated.discard(link)
        self._mtp3(point, point.mtp3.request(verb, now_ms, link=link), now_ms)

    def manage_circuits(self, name, group, verb, cics, now_ms):
        """One of CIRCUIT_VERBS for some circuits of a group (None: all)."""
        point = self._named(name)
        if verb not in CIRCUIT_VERBS:
            raise LocalError("circuits take %s, not %r" % (", ".join(CIRCUIT_VERBS), str(verb)[:40]))
        if group not in point.isup.groups:
            raise LocalError("%s has no circuit group %r; it has %s" % (point.name, str(group)[:40],
                                                                        ", ".join(sorted(point.isup.groups))))
        mine = [circuit.cic for circuit in point.isup.group_circuits(group)]
        for cic in cics or []:
            if cic not in mine:
                raise LocalError("circuit group %s has no CIC %r" % (group, cic))
        log.warning("ss7 %s: %s circuits %s of %s, by hand", point.name, verb, "all" if cics is None else cics, group)
        if verb in CALL_VERBS:
            self._order_calls(point, group, verb, cics, now_ms)
            return
        if verb == "check":
            events = check_request(point, group, cics, now_ms)
        elif cics is not None and len(cics) == 1:
            events = point.isup.circuit_request(verb, "%s.%d" % (group, cics[0]), now_ms)
        else:
            events = point.isup.group_request(verb, group, now_ms, cics)
        self._isup(point, events, now_ms)
