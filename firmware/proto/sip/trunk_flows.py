"""A SIP trunk that keeps several flows: one registration over each of its addresses (edge proxies) at once.  RFC 5626 4.

The registrar knows by instance and reg-id that all are one user agent, and sends a call over one of them.  Calls of ours take the first flow that
stands.  A connection that the registrar keeps as a flow (Require: outbound, 4.2.1) is pinged by its transport (event flow_kept; 4.4.1); over UDP the
OPTIONS of the trunk do that.  A flow that is lost registers again after a time that doubles (4.5), while the others carry the calls; an edge that was dead and answers OPTIONS ends the doubling.
"""

from firmware.proto.sip.text import number

KEPT_S = 120                     # RFC 5626 4.4.1: between pings of a connection, where no Flow-Timer says it
STABLE_MS = 120000               # 4.5: a flow that stood for so long has not failed before
LONGEST_MS = 1800000             # 4.5: between two tries
REFUSED = (401, 403, 404, 407, 420, 439)


class TrunkFlows:
    """The half of Trunk that knows flows: [Registration], empty where the trunk has one registration."""

    @property
    def standing(self):
        """The flows over which calls go."""
        return [flow for flow in self.flows if flow.up_ms is not None]

    def flow_up(self, flow, answer, now_ms):
        """A flow is registered."""
        if flow.up_ms is None:
            flow.up_ms = now_ms
        self.alive[flow.place], self.misses[flow.place] = True, 0
        self._at(flow.refresh_at_ms(now_ms), flow.timer)
        if len(flow.address) > 2 and "outbound" in [token.lower() for token in answer.tokens("Require")]:
            every_s = number((answer.get("Flow-Timer") or "").strip(), 86400) or KEPT_S
            self.agent.emit({"kind": "flow_kept", "address": flow.address, "every_s": every_s})
        self._tell_flows("")

    def flow_lost(self, place, why, now_ms, refused=False):
        """A flow is gone, or could not be had."""
        flow = self.flows[place]
        stable = flow.up_ms is not None and now_ms - flow.up_ms >= STABLE_MS
        if flow.up_ms is None and flow.failures and self.timers.get(flow.timer) is not None and flow.waiting is None:
            return                       # known; its next try is on the way
        if flow.up_ms is not None:
            self.agent.count("trunk_flows_lost")
        flow.up_ms, flow.waiting = None, None
        flow.failures = 0 if stable else flow.failures
        self._at(now_ms + (LONGEST_MS // 30 if refused else self._again_ms(flow)), flow.timer)
        flow.failures += 1
        self._tell_flows(why)

    def flow_heard(self, flow, now_ms):
        """The edge was dead and answers: the pause of its many failures, half an hour at last, is not waited out."""
        if flow.up_ms is None and flow.waiting is None and flow.failures > 1:
            flow.failures = 0
            self._at(now_ms + self._again_ms(flow), flow.timer)

    def _again_ms(self, flow):
        """4.5: a base that is longer while other flows stand, doubled with each failure, half of it by chance."""
        base_ms = self.row["flow_again_s"] * (3000 if self.standing else 1000)
        wait_ms = min(LONGEST_MS, base_ms << min(flow.failures, 10))
        return wait_ms // 2 + wait_ms // 2 * self.agent.random(1)[0] // 255

    def _tell_flows(self, why):
        count = len(self.standing)
        words = "%d of %d flows stand" % (count, len(self.flows)) + ("; " + why if why and count < len(self.flows) else "")
        self._set("up" if count else "down", words if count else why or "no flow stands")
        self.agent.trunk_changed(self)

    def connection_gone(self, address, now_ms):
        """A connection ended, or could not be opened."""
        for flow in self.flows:
            if tuple(flow.address) == tuple(address) and flow.waiting is None:
                self.flow_lost(flow.place, "the connection to %s is gone" % self.spoken(flow.place), now_ms)

    def route_over(self, address):
        """Route values of a call to an address: the way that its registration was told (RFC 3608)."""
        for flow in self.flows:
            if tuple(flow.address) == tuple(address[:len(flow.address)]):
                return list(flow.service_route)
        return list(self.registration.service_route)
