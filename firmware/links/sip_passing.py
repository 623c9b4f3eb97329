"""Sound that is only passed on: G.729 between two SIP legs that both have it (its free coder is GPL, so nothing here can decode it).

A line or trunk that has G729 among its codecs offers and takes it where the switch need not hear: the caller's INVITE is not answered yet, its description
lists G.729, the call goes on over another SIP leg whose line or trunk has it, and nothing will be recorded.  What the called far end
chooses, the caller gets.  Media passes the packets (media/native/passed.pxi).

A leg has "passes": None (G.729 is not spoken of), "only" (its far end has nothing else), "also".

Where the switch's sound is needed later (hold with music, recording, a third party, listening in, something played, transfer to what is no such leg), both
legs get a re-INVITE without G.729 and stay with what they choose.  A far end that has nothing else is refused with a sentence: at its INVITE 488, cause 65;
later its leg ends with cause 65.
"""

import asyncio
import logging

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.errors import RemoteError
from firmware.proto import sdp

log = logging.getLogger(__name__)

PASSED = "G729"                 # of proto/sdp.py
CAUSE = 65                      # Q.850: bearer capability not implemented
UNDER_WAY, KILLED = 491, 500    # answers to our re-INVITE that say nothing about G.729


class SIPPassing:
    """The half of SIPLegs that deals with it."""

    def _begin_passed(self):
        self._passed = set()        # legs that speak it now
        self._looking = False

    def _note_passed(self, leg, far):
        """What a leg speaks from now on; far None: it is gone."""
        if far is not None and far["codec"] == PASSED:
            self._passed.add(leg)
        else:
            self._passed.discard(leg)

    def _spoken(self, state, names):
        """The codecs of a leg's description.  names: of its line or trunk, None: those that everybody has."""
        if not names or PASSED not in names:
            return names
        passes, others = state.get("passes"), [name for name in names if name != PASSED]
        if passes == "only":
            return [PASSED]
        if not passes:
            return others
        return [PASSED] + others if (state["far"] or {}).get("codec") == PASSED else names

    def _has_passed(self, state):
        """Whether a leg's line or trunk may speak it."""
        return PASSED in (self._codecs_of(state) or ())

    def _offers_passed(self, state):
        """Whether it is in the description that came with a leg's INVITE."""
        if state["offer"] is None or not self._has_passed(state):
            return False
        try:
            sdp.answer(state["offer"].encode("utf-8", "surrogateescape"), self._local(dict(state, passes="only"), web=False))
        except RemoteError:
            return False
        return True

    def _only_passed(self, state, error):
        """What an offer chose that has nothing else, or the error is raised."""
        if not self._offers_passed(state):
            raise error
        state["passes"] = "only"
        return sdp.answer(state["offer"].encode("utf-8", "surrogateescape"), self._local(state))[1]

    def _begin_passing(self, leg, state, call_id):
        """A leg out: whether it may speak G.729 with the caller of its call.  False: it must, and cannot; then the leg has ended."""
        core = self._core()
        call, made = core.state.calls.get(call_id), core.state.legs.get(leg)
        caller = self.legs.get(call.caller_leg) if call is not None else None
        if caller is None or made is None or made.role != legs.CALLEE or caller["direction"] != "in" or caller["state"] == "answered":
            return True
        only = caller.get("passes") == "only"
        fits = self._has_passed(state) and (only or self._offers_passed(caller)) and not self._will_be_heard(core, call)
        if fits:
            state.update(passes="only" if only else "also", through=call.caller_leg)
        elif only:
            self._say_refused(caller["line"] or "trunk %s" % caller.get("trunk"), "its telephone offers G.729 alone, and %s" % (
                "the call is recorded" if self._has_passed(state) else "%s does not have it (codecs)" % (state["line"] or "trunk %s" % state.get("trunk"))), self.now_ms())
            self._ended(leg, CAUSE, "failure")
        return fits or not only

    def _will_be_heard(self, core, call):
        """Whether something here wants the call's sound as soon as it talks."""
        recorded = call.recorded_as != "off" and (call.recorded_as is not None or (core.config.get("recording") or {}).get("enabled", True))
        return recorded or self.house_config()["siprec"]["enabled"]

    def _partner(self, leg):
        """The leg out that speaks G.729 with the far end of this one's call, or None."""
        for other in self._passed:
            state = self.legs[other]
            if state.get("through") == leg and state["state"] != "releasing":
                return state
        return None

    def _answered_as(self, leg):
        """Our description for the caller: G.729 where its partner chose that.  None: it has nothing else, and the switch would have to hear it."""
        state = self.legs[leg]
        spoken = bool(state.get("early")) and (state["far"] or {}).get("codec") == PASSED
        if self._partner(leg) is not None or spoken:
            state["passes"] = "only"
        elif state.get("passes") == "only":
            return None
        body, far = sdp.answer(state["offer"].encode("utf-8", "surrogateescape"), self._local(state))
        if state.get("passes"):
            if far["codec"] != (state["far"] or {}).get("codec") or far["payload_type"] != state["far"]["payload_type"]:
                self._join(leg, far)
            self._set(leg, passes="also")
        return body

    # -- what the switch must hear --

    def _look_at_passing(self):
        """After a commit: legs whose sound is needed here leave G.729, in a turn of their own."""
        if self._passed and not self._looking and any(self._must_sound(leg, self.legs[leg]) for leg in self._passed):
            self._looking = True
            asyncio.get_running_loop().call_soon(self.turns.run, "legs that pass G.729 on", self._to_sound)

    def _must_sound(self, leg, state):
        """Whether a leg speaks G.729 and may not, and nothing is being done about it."""
        return (state["state"] == "answered" and (state["far"] or {}).get("codec") == PASSED and not state["far"].get("t38") and not state.get("sounding")
                and not self._may_pass(leg))

    def _may_pass(self, leg):
        """Whether the leg talks with one other that speaks it, and nobody else is there, nothing played, nothing recorded."""
        core = self._core()
        call = core.call_of(leg)
        if call is None or call.state != calls.TALKING or call.held or call.consult is not None or call.members or call.monitors or call.signal is not None:
            return False
        both = (call.caller_leg, call.agent_leg)
        floor = core.state.floors.get(call.id)
        recorded = call.recording is not None and core.state.recordings[call.recording]["state"] == "open"
        if leg not in both or recorded or (floor and floor["plays"]):
            return False
        for each in both:
            state, known = self.legs.get(each), core.state.legs.get(each)
            if state is None or known is None or known.held or (state["far"] or {}).get("codec") != PASSED:
                return False
        return True

    def _to_sound(self, now_ms):
        self._looking = False
        for leg in sorted(self._passed):
            if leg in self.legs and self._must_sound(leg, self.legs[leg]):
                self._set(leg, passes=None, sounding=True)
                log.info("sip: %s leaves G.729: its sound is needed here, or its other side has left it", leg)
                if not self._reoffer(leg, False, now_ms):
                    self._set(leg, passes="also", sounding=False)       # another offer is under way; the next commit asks again

    def _sounding_ended(self, leg, status, now_ms):
        """What came of that re-INVITE.  status: 200, or its refusal.  Whether the leg goes on."""
        state = self.legs.get(leg)
        if state is None or not state.get("sounding"):
            return True
        self._set(leg, sounding=False)
        if status in (200, UNDER_WAY, KILLED):
            return True
        log.warning("sip: %s ends: its far end has nothing but G.729 (it refuses the others with %s), and its sound is needed here", leg, status)
        self._release(leg, CAUSE, now_ms)
        return False
