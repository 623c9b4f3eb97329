"""Browsers that leave in the middle of a call: a page that is closed or loaded anew, a browser that dies, a network that is cut.

A page sends sound all the time, so a silence of RTP is no silence of a person: the others hear music meanwhile (the core's
leg.away and leg.back).  A page that has *left*, whose WebSocket has ended or whose DTLS association was closed, is looked at
sooner (LEFT_TIMEOUT_MS), and its leg ends after PATIENCE_MS in which no sound has come: that is the time in which a page that
is loaded anew registers and takes its dialog over (INVITE with Replaces, proto/sip/requests.py).  A WebSocket that ends alone
(the web process starts anew) is none of all that, for the sound goes on.  Where only the network is cut nothing is closed: then
the patience is dead_s, as with any telephone (sip_probe.py).

As an ICE-lite agent we ask for no consent (RFC 7675 4); sound that comes is the sign of it.

"left_ms" and "away" stand in the stored leg, so that the next process goes on.
"""

import logging

from firmware.links.sip_probe import RTP_TIMEOUT_MS, SilentPhones

LEFT_TIMEOUT_MS = 1500          # ours: silence after which who has left is away
PATIENCE_MS = 10000             # ours: in which a page is loaded anew
GONE_CAUSE = 41                 # Q.850: temporary failure, as of a telephone that died

log = logging.getLogger(__name__)


def sounds(state):
    """Whether a leg's far end is a browser that owes us sound all the time."""
    far = state["far"]
    return bool(far and far.get("browser")) and far["direction"] in ("sendrecv", "recvonly")


def has_left(state):
    """Whether the page of a leg was closed, as far as is known."""
    return state.get("left_ms") is not None


class SIPBrowsers(SilentPhones):
    """The half of SIPLegs that knows whether a browser is there."""

    def _on_flow_lost(self, event, now_ms):
        self._leaves(event["leg"], now_ms)

    def _dtls_closed(self, event, now_ms):
        """Media's word: the far end has closed its association (close_notify)."""
        if event["id"] in self.legs:
            self._leaves(event["id"], now_ms)
        return True

    def _leaves(self, leg, now_ms):
        state = self.legs.get(leg)
        if state is None or state["state"] != "answered" or not (state["far"] or {}).get("browser") or has_left(state):
            return
        self._set(leg, left_ms=now_ms)
        if state.get("silent"):
            self._is_away(leg, now_ms)
        else:
            self.media.command("modify", id=leg, timeout_ms=LEFT_TIMEOUT_MS)

    def _on_flow_back(self, event, now_ms):
        """The same page has a connection again."""
        leg = event["leg"]
        if has_left(self.legs.get(leg, {})):
            self._speaks_again(leg)
            self.media.command("modify", id=leg, timeout_ms=RTP_TIMEOUT_MS)

    def _speaks_again(self, leg):
        """The page is there; its sound will come, or is waited for as any telephone's."""
        self._given_up_at.pop(leg, None)
        if has_left(self.legs.get(leg, {})):
            self._set(leg, left_ms=None)

    def _silence(self, leg, silent, now_ms):
        super()._silence(leg, silent, now_ms)
        state = self.legs.get(leg)
        if state is None:
            return
        if silent and (sounds(state) or has_left(state)):
            self._is_away(leg, now_ms)
        elif not silent and state.get("away"):
            self._given_up_at.pop(leg, None)
            self._set(leg, away=False)
            self.turns.post({"kind": "leg.back", "leg": leg})

    def _is_away(self, leg, now_ms):
        if not self.legs[leg].get("away"):
            self._set(leg, away=True)
            self.turns.post({"kind": "leg.away", "leg": leg})
        if has_left(self.legs[leg]):
            self._given_up_at[leg] = now_ms + PATIENCE_MS

    def _resume_probes(self, now_ms):
        """After a restart: who was away has its whole patience again."""
        super()._resume_probes(now_ms)
        for leg, state in self.legs.items():
            if state.get("away") and has_left(state):
                self._given_up_at[leg] = now_ms + PATIENCE_MS

    def deadline_ms(self):
        """The next question, or the end of a patience."""
        deadlines = [at for at in (super().deadline_ms(), min(self._given_up_at.values(), default=None)) if at is not None]
        return min(deadlines, default=None)

    def expire(self, now_ms):
        """Questions that are due; pages that did not come back."""
        super().expire(now_ms)
        for leg in [leg for leg, at in self._given_up_at.items() if at <= now_ms]:
            del self._given_up_at[leg]
            log.info("sip: %s of %s ends: its page was closed %.0f s ago", leg, self.legs[leg]["line"], (now_ms - self.legs[leg]["left_ms"]) / 1000)
            self._release(leg, GONE_CAUSE, now_ms)
