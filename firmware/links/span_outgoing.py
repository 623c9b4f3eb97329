"""Outgoing PRI calls: a leg that the switchboard creates becomes a SETUP of ours, and its answers events.

The timeslot that leg.create names is the trunk group's choice by what the switchboard knows; a call that
is still clearing, or a restart, may hold it, then another of the span is taken.  The far end may move a
preferred channel with its first answer (Q.931 5.1.2, 5.2.3.1), and glare is decided there too (5.7: on the
user side the network's call wins, ours is refused or moved; on the network side the far end's SETUP is).
So the termination in media is made with that first answer, and the switchboard is told of a change by
leg.seized.  A refused channel comes back as released with cause 6, 44 or 82, and the switchboard hunts on.

Numbers are sent whole with Sending complete; a far end that asks for more digits all the same
(SETUP ACKNOWLEDGE) is told again that these are all.  In overlap sending (leg.create with complete false) digits go out in
INFORMATION messages once the far end has acknowledged the SETUP; what waits for that is in the call's dump.

DISCONNECT with in-band information before the answer (5.3.4.1: an announcement, a tone) is not answered at once: the
caller listens until the network releases (its T306), the caller hangs up, or the switchboard has waited enough.
Not so where the cause makes the switchboard try another way.
"""

import logging

from firmware.call.outside import ANOTHER_TRUNK, ANOTHER_WAY
from firmware.errors import LocalError
from firmware.links.pri_span import law_for
from firmware.proto.q931 import codes

log = logging.getLogger(__name__)

TYPES = ("international", "national", "network", "subscriber")
OVERLAP_SENDING = (2, 25)       # states of a call of ours: user side, network side (Q.931 2.1)
NETWORK_OUT_OF_ORDER, NO_CIRCUIT, INVALID_NUMBER = 38, 34, 28       # Q.850


class OutgoingCalls:
    """The half of SpanLinks that calls out."""

    def creates(self, action):
        """Outgoing PRI legs are ours."""
        return action["tech"] == "pri"

    def _create(self, action, now_ms):
        """leg.create: SETUP, or released at once where that cannot be."""
        leg = action["leg"]
        if leg in self.legs:
            return
        span = self.span_with(action["span"])
        if span is None or span.state_of(action["span"]) != "up":
            self._refuse(leg, NETWORK_OUT_OF_ORDER)
            return
        machine = span.machine
        wanted = span.channel(action["span"], action["timeslot"])
        urgent = bool(action.get("locked"))      # the last hope of an emergency call
        free = [channel for channel in machine.free_timeslots(urgent) if span.state_of(span.place(channel)[0]) == "up"]
        near = [channel for channel in free if span.place(channel)[0] == action["span"]]       # else another span of the same D channel
        timeslot = wanted if wanted in free else (near or free or [None])[0]
        if timeslot is None:
            self._refuse(leg, NO_CIRCUIT)
            return
        call = machine.new_call()
        span.calls[call] = {"leg": leg, "digits": action["called"]["number"], "law": law_for(span.row, action["bearer"]),
                            "timeslot": None, "orphan": None, "listens": True}
        if action.get("priority"):
            span.calls[call]["urgent"] = True
        complete = action.get("complete", True) or not machine.rules["overlap"]
        if not complete:
            span.calls[call]["overlap"] = {"digits": "", "complete": False}
        self.legs[leg] = (span.number, call)
        if timeslot != wanted:
            self._seized(span, leg, timeslot)
        try:
            called = action["called"] if complete or action["called"]["number"] else None
            self._request(span, "setup_request", call, now_ms, called=called, complete=complete, caller=action["caller"],
                          redirecting=action["redirecting"], bearer=action["bearer"], law=span.calls[call]["law"], **_carried(action),
                          timeslot=timeslot, exclusive=action["exclusive"], urgent=urgent)
        except LocalError as error:
            log.warning("span %d: a call to %s cannot be sent: %s", span.number, action["called"]["number"], error)
            self._request(span, "release_request", call, now_ms, cause=INVALID_NUMBER)

    def _refuse(self, leg, cause):
        self.turns.post({"kind": "leg.released", "leg": leg, "cause": cause, "by": "failure"})

    def _seized(self, span, leg, channel):
        number, timeslot = span.place(channel)
        self.turns.post({"kind": "leg.seized", "leg": leg, "span": number, "timeslot": timeslot})

    def _first_answer(self, span, event):
        """The channel is certain now.  Returns the leg, or None when the switchboard has done with it."""
        entry = span.calls[event["call"]]
        if entry["leg"] is not None and entry["timeslot"] is None:
            entry["timeslot"] = event["timeslot"]
            self._terminate(span, event["call"])
            self._seized(span, entry["leg"], event["timeslot"])     # no news, mostly
        return entry["leg"]

    def _on_setup_ack_indication(self, span, event, now_ms):
        leg = self._first_answer(span, event)
        waiting = span.calls[event["call"]].get("overlap")
        if waiting is None:
            self._request(span, "information_request", event["call"], now_ms, digits="", complete=True)
            return
        self._send_digits(span, event["call"], now_ms)
        if leg is not None:
            self.turns.post({"kind": "leg.wants_digits", "leg": leg, "inband": event["inband"]})

    def _dial_on(self, leg, digits, complete, now_ms):
        """leg.digits: sent as soon as the far end has asked for them; none once it has enough."""
        number, call = self.legs[leg]
        span = self.spans[number]
        waiting = span.calls[call].get("overlap")
        if waiting is None:
            return
        span.calls[call]["overlap"] = {"digits": waiting["digits"] + digits, "complete": waiting["complete"] or complete}
        self._touch(span, call)
        if codes.state_number(span.machine.call_state(call)["state"]) in OVERLAP_SENDING:
            self._send_digits(span, call, now_ms)

    def _send_digits(self, span, call, now_ms):
        """What waits, in one INFORMATION."""
        waiting = span.calls[call]["overlap"]
        if waiting["digits"] or waiting["complete"]:
            span.calls[call]["overlap"] = {"digits": "", "complete": False}
            self._request(span, "information_request", call, now_ms, digits=waiting["digits"], complete=waiting["complete"])

    def _enough_digits(self, span, call):
        entry = span.calls[call]
        if entry.pop("overlap", None) is not None and entry["leg"] is not None:
            self.turns.post({"kind": "leg.accepted", "leg": entry["leg"]})

    def _on_proceeding_indication(self, span, event, now_ms):
        self._enough_digits(span, event["call"])
        self._progress(span, event)

    def _on_progress_indication(self, span, event, now_ms):
        self._progress(span, event)

    def _progress(self, span, event):
        leg = self._first_answer(span, event)
        if leg is not None and event["inband"]:
            self.turns.post({"kind": "leg.progress", "leg": leg, "inband": True})

    def _on_alerting_indication(self, span, event, now_ms):
        self._enough_digits(span, event["call"])
        leg = self._first_answer(span, event)
        if leg is not None:
            self.turns.post({"kind": "leg.alerting", "leg": leg, "inband": event["inband"]})

    def _announces(self, span, event):
        """Whether a DISCONNECT is to be listened to."""
        entry = span.calls[event["call"]]
        if (entry["leg"] is None or not entry.get("listens") or not event["inband"] or entry["timeslot"] is None
                or event["cause"] in ANOTHER_TRUNK + ANOTHER_WAY):
            return False
        self.turns.post({"kind": "leg.progress", "leg": entry["leg"], "inband": True})
        return True

    def _on_setup_confirm(self, span, event, now_ms):
        self._enough_digits(span, event["call"])
        leg = self._first_answer(span, event)
        span.calls[event["call"]]["listens"] = False
        if leg is not None:
            connected = event["connected"]
            self.turns.post({"kind": "leg.answered", "leg": leg, **({"connected": {
                "number": connected["number"], "type": connected["type"] if connected["type"] in TYPES else "unknown",
                "presentation": "restricted" if connected.get("presentation") == "restricted" else "allowed"}}
                if connected and (connected["number"] or connected.get("presentation") == "restricted") else {})})


def _carried(action):
    """What a call brings besides numbers, as setup_request takes it."""
    carried, elements = action.get("carried") or {}, {}
    for key, octets in sorted((carried.get("subaddresses") or {}).items()):
        elements[key + "_party_subaddress"] = {"octets": octets}
    if carried.get("user_user"):
        elements["user_user"] = {"octets": carried["user_user"]}
    shown = action["caller"] is not None and action["caller"].get("presentation") != "restricted"
    return {"caller_name": carried.get("caller_name") if shown else None, "elements": elements}
