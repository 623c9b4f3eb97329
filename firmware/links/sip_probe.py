"""Telephones that fell silent: asked by OPTIONS in their dialog whether they are still there.

A telephone may be silent for good reasons (hold, silence suppression), and its registration outlives
its death by minutes.  So RTP that stops (media: after RTP_TIMEOUT_MS; the core's record leg.rtp_lost)
makes us ask: no answer within PROBE_MS of proto/sip/session.py, or 481, ends the leg as failed.  Any
other answer is a sign of life; while the silence lasts the question comes again.

"silent" stands in the stored leg, so that the next process goes on asking.
"""

from firmware.errors import LocalError

RTP_TIMEOUT_MS = 5000       # ours: silence after which media reports a SIP leg
PROBE_AGAIN_MS = 10000      # ours: between questions to one that is silent and answers


class SilentPhones:
    """The half of SIPLegs that asks silent telephones."""

    def committed(self, records):
        """The core's word that RTP of a leg stopped or came back."""
        for record in records:
            if record["kind"] in ("leg.rtp_lost", "leg.rtp_back") and record["leg"] in self.legs:
                self.turns.run("silence of a telephone", self._silence, record["leg"], record["kind"] == "leg.rtp_lost")

    def _silence(self, leg, silent, now_ms):
        if leg not in self.legs:
            return
        self._set(leg, silent=silent)
        self._probe_at.pop(leg, None)
        if silent:
            self._probe(leg, now_ms)

    def _resume_probes(self, now_ms):
        """After a restart: what was asked is asked again."""
        for leg, state in self.legs.items():
            if state.get("silent"):
                self._probe_at[leg] = now_ms

    def _probe(self, leg, now_ms):
        self._probe_at[leg] = now_ms + PROBE_AGAIN_MS
        try:
            self._take(self.endpoint.request({"kind": "probe_request", "leg": leg}, now_ms), now_ms)
        except LocalError:
            pass                    # not confirmed yet, or over: other timers look after that
        if leg not in self.legs:
            self._probe_at.pop(leg, None)

    def deadline_ms(self):
        """The next question."""
        return min(self._probe_at.values(), default=None)

    def expire(self, now_ms):
        """Questions that are due."""
        for leg in [leg for leg, at in self._probe_at.items() if at <= now_ms]:
            if leg in self.legs:
                self._probe(leg, now_ms)
            else:
                del self._probe_at[leg]
