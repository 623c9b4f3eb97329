"""Telephones that fell silent: asked by OPTIONS in their dialog whether they are still there.

A telephone may be silent for good reasons (hold, silence suppression), and its registration outlives
its death by minutes.  So RTP that stops (media: after RTP_TIMEOUT_MS; the core's record leg.rtp_lost)
makes us ask.  481 ends the leg as failed: the telephone is there and knows nothing of the call.  Any other answer is a sign
of life; while the silence lasts the question comes again.  No answer is a telephone that died, or a network that is cut: people
expect their call to be there when the network is back, so the leg ends only when neither sound nor an answer has
come for dead_s of its line or trunk.  A telephone that unregisters by itself while it is silent gets no such patience.

"silent" and "heard_ms" (its last sign of life) stand in the stored leg, so that the next process goes on asking.

Hundreds may fall silent in the same moment, and a restart finds all of them: they are asked BURST in BURST_MS, who has waited longest
first.  All at once, questions and answers would overflow the socket of a carrier that has them all, or ours, and who is not
heard in time is hung up.
"""

from firmware.errors import LocalError
from firmware.proto.sip.session import PROBE_MS

RTP_TIMEOUT_MS = 5000       # ours: silence after which media reports a SIP leg
PROBE_AGAIN_MS = 10000      # ours: between questions to one that is silent
DEAD_S = 60                 # of a line or trunk whose configuration does not say it; the same as config/sip.py
BURST, BURST_MS = 10, 100   # ours: 500 calls (1,000 legs) in PROBE_AGAIN_MS


class SilentPhones:
    """The half of SIPLegs that asks silent telephones."""

    _burst_at, _asked = 0, 0        # when the last burst began; its questions

    def committed(self, records):
        """The core's word that RTP of a leg stopped or came back."""
        for record in records:
            if record["kind"] in ("leg.rtp_lost", "leg.rtp_back") and record["leg"] in self.legs:
                self.turns.run("silence of a telephone", self._silence, record["leg"], record["kind"] == "leg.rtp_lost")

    def _silence(self, leg, silent, now_ms):
        if leg not in self.legs:
            return
        self._set(leg, silent=silent, heard_ms=now_ms - RTP_TIMEOUT_MS if silent else now_ms)
        self._probe_at.pop(leg, None)
        if silent:
            self._probe_at[leg] = now_ms        # asked as soon as this turn is over

    def _resume_probes(self, now_ms):
        """After a restart: what was asked is asked again."""
        for leg, state in self.legs.items():
            if state.get("silent"):
                self._probe_at[leg] = now_ms

    def _may_ask(self, now_ms):
        """Whether the burst of now has room for one more question."""
        if not self._burst_at <= now_ms < self._burst_at + BURST_MS:
            self._burst_at, self._asked = now_ms, 0
        return self._asked < BURST

    def _telephone_left(self, line, now_ms):
        """The line's telephone has unregistered by its own word: where it is silent, the next question must be answered."""
        for leg, state in self.legs.items():
            if state["line"] == line and state.get("silent"):
                self._set(leg, heard_ms=0)
                self._probe_at[leg] = now_ms

    def _on_alive(self, event, now_ms):
        self._set(event["leg"], heard_ms=now_ms)

    def _dead_ms(self, state):
        """How long the far end of a leg may give no sign of life."""
        if state.get("trunk") is None:
            return self.config["dead_s"].get(state["line"], DEAD_S) * 1000
        trunk = self.endpoint.trunks.get(state["trunk"])
        return (trunk.row.get("dead_s", DEAD_S) if trunk is not None else DEAD_S) * 1000

    def _probe(self, leg, now_ms):
        """Ask.  The last question goes out in time for its answer, but not before the one before it has had its time."""
        self._asked += 1
        until_ms = self.legs[leg].get("heard_ms", now_ms) + self._dead_ms(self.legs[leg])
        next_ms, last_ms = now_ms + PROBE_AGAIN_MS, until_ms - PROBE_MS
        near_the_end = now_ms < last_ms < next_ms + PROBE_MS
        self._probe_at[leg] = max(last_ms, now_ms + PROBE_MS) if near_the_end else next_ms
        try:
            self._take(self.endpoint.request({"kind": "probe_request", "leg": leg, "until_ms": until_ms}, now_ms), now_ms)
        except LocalError:
            pass                    # not confirmed yet, or over: other timers look after that
        if leg not in self.legs:
            self._probe_at.pop(leg, None)

    def deadline_ms(self):
        """The next question."""
        at = min(self._probe_at.values(), default=None)
        return max(at, self._burst_at + BURST_MS) if at is not None and self._asked >= BURST else at

    def expire(self, now_ms):
        """Questions that are due."""
        for at, leg in sorted((at, leg) for leg, at in self._probe_at.items() if at <= now_ms):
            if leg not in self.legs:
                del self._probe_at[leg]
            elif not self._may_ask(now_ms):
                break
            else:
                self._probe(leg, now_ms)
