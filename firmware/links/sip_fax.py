"""Faxes on SIP legs: from sound to T.38 and back.  ITU-T T.38 Annex D, RFC 3264.

The switchboard says that a fax machine is heard in the call of a leg (action leg.fax).  Where its line or trunk has t38 "gateway", a re-INVITE offers an
image block in place of the sound; media has a gateway for the leg from their answer on.  A far end that asks for T.38 itself is answered where t38 is not
"off".  Event leg.t38{leg, state: "on"|"off"|"refused", by: "us"|"far", why} tells the switchboard.

Refused, or off: the fax goes on as sound.  What corrects sound harms a modem, so the playout stands still at FIXED_MS from then on (RFC 6913 and V.152
clause 7 want a fixed buffer); the switchboard switches cancellers off.

A leg has "fax": None, "asked", "refused"; "image_at": where image blocks stand in its descriptions (their place is kept).  A kill of control in the middle
touches no fax that runs; a re-INVITE that was out is asked again by the next process, once.
"""

import logging

from firmware.errors import LocalError
from firmware.proto import sdp

log = logging.getLogger(__name__)

FIXED_MS = 100              # ours: above the jitter of a loaded path, and T.30 waits 3 s for an answer (T4)
STARTS = {"flags": ("flags",), "ced": ("flags", "ans", "ansam"), "cng": ("flags", "ans", "ansam", "cng")}       # by sip.t38_on: tones of dsp/modem.py
VERSION = 0


class SIPFax:
    """The half of SIPLegs that deals with faxes."""

    def _t38_of(self, state):
        """off, accept or gateway, of a leg's line or trunk."""
        if state.get("trunk") is None:
            return self.config["t38"].get(state["line"], "off")
        trunk = self.endpoint.trunks.get(state["trunk"])
        return trunk.row.get("t38", "off") if trunk is not None else "accept" if (state["far"] or {}).get("t38") else "off"

    def _t38_local(self, state, policy):
        """What proto/sdp.py is to do with image blocks.  policy: of its encryption."""
        if self._t38_of(state) == "off" or policy == "required" or state.get("web"):
            return None
        fax = self.config["fax"]
        return {"version": VERSION, "rate": int(fax["rate"]), "recovery": fax["recovery"], "most_octets": fax["datagram"], "first": state["state"] == "answered"}

    def _t38_media(self, far):
        """Parameters of media's modify for what was settled."""
        t38 = far.get("t38")
        if not t38:
            return {"t38": None}
        fax = self.config["fax"]
        return {"t38": dict(t38, depth=fax["depth"], span=fax["span"], entries=fax["entries"], ecm=fax["ecm"])}

    def _tell_fax(self, leg, always=False):
        """The leg is a fax from now on, or sound again."""
        state = self.legs.get(leg)
        if state is None:
            return
        on = bool((state["far"] or {}).get("t38"))
        if on or always:
            by = "us" if state.get("fax") == "asked" else "far"
            self._set(leg, fax=None)
            self.turns.post({"kind": "leg.t38", "leg": leg, "state": "on" if on else "off", "by": by, "why": None})

    def _do_fax(self, action, now_ms):
        """A fax machine is heard in the call (tone), the other leg went over to T.38 ("t38"), or back (on false)."""
        leg = action["leg"]
        state = self.legs.get(leg)
        if state is None or state["state"] != "answered":
            return
        runs = bool((state["far"] or {}).get("t38"))
        if not action["on"]:
            if runs:
                self._reoffer(leg, False, now_ms)
            return
        if runs or state.get("fax") is not None:
            return
        if self._t38_of(state) != "gateway" or self._t38_local(state, self._encryption_of(state)) is None or (state["far"] or {}).get("srtp"):
            self._as_sound(leg)
        elif action["tone"] == "t38" or action["tone"] in STARTS[self.config["fax"]["on"]]:
            self._set(leg, fax="asked")
            if not self._reoffer(leg, True, now_ms):
                self._set(leg, fax=None)

    def _reoffer(self, leg, fax, now_ms):
        """A re-INVITE to T.38, or back to sound.  False: another offer is under way."""
        state = self.legs[leg]
        self._set(leg, version=state["version"] + 1)
        try:
            events = self.endpoint.request({"kind": "reinvite_request", "leg": leg, "sdp": sdp.offer(dict(self._local(state, web=False), fax=fax))}, now_ms)
        except LocalError as error:
            log.info("sip: %s: no re-INVITE for a fax: %s", leg, error)
            return False
        if fax and state.get("image_at") is None:
            self._set(leg, image_at=1)
        self._take(events, now_ms)
        return True

    def _fax_refused(self, leg, status, now_ms, answered=False):
        """Our re-INVITE came to nothing.  answered: by an answer that refuses both blocks."""
        state = self.legs.get(leg)
        if state is None or state.get("fax") != "asked":
            return
        self._set(leg, fax=None)
        if (state["far"] or {}).get("t38"):
            return                          # theirs was taken meanwhile
        if status == 500 and not state.get("fax_again"):
            self._set(leg, fax="asked", fax_again=True)         # it was under way when control was killed
            if self._reoffer(leg, True, now_ms):
                return
        if status == 491:
            return                          # an offer of theirs was under way, a hold perhaps; the next tone asks again
        self._set(leg, fax="refused")
        log.info("sip: %s: the far end refuses T.38 with %s; the fax goes on as sound", leg, status)
        self._as_sound(leg)
        self.turns.post({"kind": "leg.t38", "leg": leg, "state": "refused", "by": "far", "why": "the far end refuses T.38 with %s" % status})
        if answered:
            self._reoffer(leg, False, now_ms)                   # sound was out of our offer, too

    def _as_sound(self, leg):
        self.media.command("modify", id=leg, jitter_ms=FIXED_MS, jitter_most_ms=FIXED_MS)
