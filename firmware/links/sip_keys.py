"""Keys of SIP telephones and trunks: how each tells its own, and is told of those of others (lines[].dtmf, sip_trunks[].dtmf).

    auto      telephone-events (RFC 4733) where the descriptions agree on them, else tones in the sound; INFO is understood besides
    rfc4733   telephone-events; tones in its sound are no digits
    info      INFO with application/dtmf-relay (RFC 6086); no events are agreed on, and tones in its sound are no digits
    inband    tones; no events are agreed on, and digits by INFO are passed over

Media translates between the legs of a bridge (media/native/keys.pxi).  What comes by INFO is said to media as a key press, what must go by INFO media
tells as its event "key".  A hook flash ("!") is no digit: it counts in each mode.
"""

import logging

from firmware.errors import LocalError
from firmware.proto.sip.info import FLASH

log = logging.getLogger(__name__)

# mode: how the far end is told, by media's names; whether tones in its sound are digits
MODES = {"auto": ("event", True), "rfc4733": ("event", False), "info": ("control", False), "inband": ("sound", True)}
EVENTS = ("auto", "rfc4733")            # modes that agree on telephone-events
BY_INFO = ("auto", "info")              # and that take digits by INFO
SHORTEST_MS, LONGEST_MS = 40, 8000      # of a key press that a telephone tells; Q.24, and the field of an event


class SIPKeys:
    """The half of SIPLegs that deals with them."""

    def _dtmf_of(self, state):
        """The mode of a leg's line or trunk."""
        if state.get("trunk") is None:
            return self.config["dtmf"].get(state["line"], "auto")
        trunk = self.endpoint.trunks.get(state["trunk"])
        return trunk.row.get("dtmf", "auto") if trunk is not None else "auto"

    def _wants_events(self, state):
        return self._dtmf_of(state) in EVENTS

    def _keys_media(self, state, far):
        """What media is to do about a leg's keys.  far: what the descriptions have settled."""
        keys, tones = MODES[self._dtmf_of(state)]
        return {"keys": "sound" if keys == "event" and far["dtmf_payload_type"] is None else keys, "tones": tones}

    def _on_dtmf(self, event, now_ms):
        """A digit by INFO: for the switchboard, and for who hears the telephone."""
        leg, digit = event["leg"], event["digit"]
        state = self.legs.get(leg)
        if state is None or (digit != FLASH and self._dtmf_of(state) not in BY_INFO):
            return
        if digit != FLASH:
            self.media.command("press", None, self._not_pressed, id=leg, digit=digit, duration_ms=max(SHORTEST_MS, min(event["duration_ms"], LONGEST_MS)))
        self.turns.post({"kind": "media.digit", "leg": leg, "digit": digit, "duration_ms": event["duration_ms"]})

    @staticmethod
    def _not_pressed(error, now_ms):
        log.warning("sip: a digit that came by INFO is not passed on: %s", error)

    def _tell_key(self, event, now_ms):
        """Media says that the far end of a leg is to be told of a key by INFO."""
        leg = event["id"]
        if leg in self.legs:
            try:
                self._take(self.endpoint.request({"kind": "info_request", "leg": leg, "digit": event["digit"], "duration_ms": event["duration_ms"]}, now_ms), now_ms)
            except LocalError as error:
                log.info("sip: a key is not told: %s", error)      # before the answer, or it has hung up
        return True
