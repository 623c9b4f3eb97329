"""Services of the network on a PRI: hold (EN 300 141), explicit call transfer (EN 300 369-1), malicious call identification (EN 300 130).

The far end may hold a call of its own, and have us join two of them (leg.transfer, as by a telephone's REFER).  By ours the call is held, ectExecute goes out on the held one, and whom we held is taken back where that is refused;
which two calls belong together stands in the entry of the held one ("joins"), hence in its dump.  Each question that the switchboard asks is answered
once: done, or failed with the reason; what a call leaves open when it ends the switchboard fails itself (core_outside.unanswered).
"""

from firmware.proto.q931 import codes


class NetworkServices:
    """The half of SpanLinks that has to do with them."""

    def _of_leg(self, span, event, kind, **more):
        leg = span.calls[event["call"]]["leg"]
        if leg is not None:
            self.turns.post({"kind": kind, "leg": leg, **more})

    def _on_hold_indication(self, span, event, now_ms):
        self._of_leg(span, event, "leg.held")

    def _on_retrieve_indication(self, span, event, now_ms):
        self._of_leg(span, event, "leg.retrieved")

    def _on_hold_confirm(self, span, event, now_ms):
        entry = span.calls[event["call"]]
        other = entry.get("joins")
        if other is None:
            self._of_leg(span, event, "leg.network", verb="hold", outcome="done")
        elif other in span.calls and self._is_active(span, other):
            self._request(span, "ect_request", event["call"], now_ms)
        else:
            self._not_joined(span, event["call"], "the other call is over", now_ms)

    def _on_hold_failed(self, span, event, now_ms):
        if span.calls[event["call"]].get("joins") is None:
            self._of_leg(span, event, "leg.network", verb="hold", outcome="failed", why=event["why"])
        else:
            self._not_joined(span, event["call"], "HOLD: " + event["why"], now_ms)

    def _on_retrieve_confirm(self, span, event, now_ms):
        self._of_leg(span, event, "leg.network", verb="retrieve", outcome="done")

    def _on_retrieve_failed(self, span, event, now_ms):
        self._of_leg(span, event, "leg.network", verb="retrieve", outcome="failed", why=event["why"])

    def _on_ect_confirm(self, span, event, now_ms):
        """The network clears both calls now."""
        self._joins(span, event["call"], None)
        self._of_leg(span, event, "leg.network", verb="transfer", outcome="done")

    def _on_ect_failed(self, span, event, now_ms):
        self._not_joined(span, event["call"], event["why"], now_ms)

    def _not_joined(self, span, call, why, now_ms):
        """The two parties stay with us; whom we held is taken back."""
        self._joins(span, call, None)
        self._of_leg(span, {"call": call}, "leg.network", verb="transfer", outcome="failed", why=why)
        state = span.machine.call_state(call)
        if state is not None and state.get("holding") == "held":        # None: a RELEASE said it
            self._request(span, "retrieve_request", call, now_ms)

    def _on_ect_indication(self, span, event, now_ms):
        """The far end of a span of ours wants two of its calls joined: the party that it holds gets the other one, as by a telephone's REFER."""
        held, active = (span.calls[event[which]]["leg"] if event[which] in span.calls else None for which in ("held", "active"))
        if held is not None and active is not None:
            self.turns.post({"kind": "leg.transfer", "leg": held, "called": None, "other": active})

    def _joins(self, span, call, other):
        span.calls[call]["joins"] = other
        self._touch(span, call)

    @staticmethod
    def _is_active(span, call):
        state = span.machine.call_state(call)
        return state is not None and codes.state_number(state["state"]) == 10

    def _network(self, span, call, action, now_ms):
        """leg.network: what the network shall do with a call: hold, retrieve, or join it with another one of ours (transfer)."""
        leg, verb, held = action["leg"], action["verb"], (span.machine.call_state(call) or {}).get("holding")
        other = self.legs.get(action.get("other"), (None, None))
        why = None
        if not self._is_active(span, call) or verb == "transfer" and other[0] == span.number and not self._is_active(span, other[1]):
            why = "a call is not answered, or clears"
        elif verb == "transfer" and other[0] != span.number:
            why = "the two calls are not of one D channel"
        elif held and verb != "retrieve" or held != "held" and verb == "retrieve":
            why = "the call is held already" if held else "the call is not held"
        if why is not None:
            self.turns.post({"kind": "leg.network", "leg": leg, "verb": verb, "outcome": "failed", "why": why})
            return
        if verb == "transfer":
            self._joins(span, call, other[1])
        self._request(span, "retrieve_request" if verb == "retrieve" else "hold_request", call, now_ms)

    # -- malicious call identification --

    def _malicious(self, span, call, leg, now_ms):
        """leg.mcid: the network shall register the call."""
        if self._is_active(span, call):
            self._request(span, "mcid_request", call, now_ms)
        else:
            self.turns.post({"kind": "leg.malicious", "leg": leg, "outcome": "failed", "why": "the call is not answered, or clears"})

    def _on_mcid_indication(self, span, event, now_ms):
        self._of_leg(span, event, "leg.malicious", outcome="told")

    def _on_mcid_confirm(self, span, event, now_ms):
        self._of_leg(span, event, "leg.malicious", outcome="registered")

    def _on_mcid_failed(self, span, event, now_ms):
        self._of_leg(span, event, "leg.malicious", outcome="failed", why=event["why"])
