"""The sound of SIP legs: RTP terminations in media, and what the two session descriptions settled.

A leg has its termination before its INVITE goes out or is offered to the switchboard, and media has taken the far
address before the switchboard hears of it, so that no call is without sound.

A browser: ICE-lite and DTLS-SRTP (media/browsers.py); "web" in a leg is our half of it.  A line that has browsers and other
telephones offers each kind what it can do; the one that answers decides.

Hold: a far end that stops listening (sendonly, inactive, address 0.0.0.0) is held; media sends it nothing.
"""

import functools
import logging
import os
import time

from firmware.errors import LocalError, RemoteError
from firmware.links.sip_probe import RTP_TIMEOUT_MS
from firmware.proto import sdes, sdp, sdp_web
from firmware.sockets import is_broadcast

log = logging.getLogger(__name__)

NO_TERMINATION_CAUSE = 47   # Q.850: resource unavailable, unspecified
BROADCAST_S = 10            # ours: so long the kernel's word on an address is remembered
NOT_CARRIED_CAUSE = 65      # Q.850: bearer capability not implemented; 488 to a telephone (proto/sip/causes.py)


@functools.lru_cache(1024)
def _is_broadcast(address, now):
    """is_broadcast(), asked again when `now` is another number: it costs three system calls, and each leg asks twice."""
    return is_broadcast(address)


def carried(far):
    """What proto/sdp.py chose, where media can carry it.  Raises RemoteError(488)."""
    if far["codec"] in ("PCMA", "PCMU") and far["payload_type"] not in (0, 8):
        raise RemoteError("SDP: %s has payload type %d; only its static one is carried" % (far["codec"], far["payload_type"]), status=488)
    if far["remote"] is not None and ":" in far["remote"][0]:
        raise RemoteError("SDP: audio to %s: IPv6 is not carried" % far["remote"][0][:60], status=488)
    if far["remote"] is not None and _is_broadcast(far["remote"][0], time.monotonic() // BROADCAST_S):
        raise RemoteError("SDP: audio to %s: that is a broadcast address" % far["remote"][0][:60], status=488)
    return far


def _host(text):
    """An IPv4 address that audio may come from besides the described one: the telephone's behind NAT; None for others."""
    return text if text and text.count(".") == 3 and ":" not in text else None


def new_credentials():
    """Our half of ICE (RFC 8445 5.3: 24 and 128 bits of chance at least)."""
    return {"ufrag": os.urandom(4).hex(), "password": os.urandom(16).hex()}


def is_browser(offer):
    """Whether an offer, as octets, wants DTLS."""
    return any(protocol.encode() in offer for protocol in sdp_web.PROTOCOLS)


class SIPMedia:
    """The half of SIPLegs that deals with media."""

    def _allocate(self, leg):
        state = self.legs[leg]
        if state["line"] is not None and state["direction"] == "out" and any(
                contact["source"][2:] in (["WS"], ["WSS"]) for contact in self.endpoint.contacts(state["line"])):
            state["web"] = new_credentials()
        web = {"browser": {part: state["web"][part] for part in ("ufrag", "password")}} if state.get("web") else {}
        asked = dict(id=leg, address=self.config["address"], srtp_only=bool(web) or self._encryption_of(state) == "required", **web, **self._enhancement_of(state),
                     **self.media.urgent(state.get("called") if state["direction"] == "in" else "", state.get("urgent", False)))

        def plainly(error=None, now_ms=None):
            self.media.reserve(lambda reply, now_ms: self._allocated(leg, reply, now_ms), lambda error, now_ms: self._no_termination(leg, error, now_ms), **asked)
        if state["direction"] == "in" and state["far"] is not None and not web and not state["far"].get("t38"):
            # Where it is to send is known: one command for both.  Refused: apart, so that it is known which of them was.
            self.media.reserve(lambda reply, now_ms: self._allocated(leg, reply, now_ms, joined=True), plainly, **{**asked, **self._far_media(state, state["far"])})
        else:
            plainly()

    def _allocated(self, leg, reply, now_ms, joined=False):
        """Media has the termination.  joined: and knows where the far end listens."""
        state = self.legs.get(leg)
        if state is None:
            self.media.subtract(leg)
            return
        if state["state"] != "allocating":
            return
        self._set(leg, port=reply["port"])
        if state.get("web"):
            self._set(leg, web=dict(state["web"], fingerprint=reply["fingerprint"]))
        if state["direction"] == "in":
            if state["far"] is not None and not joined:
                self._join(leg, state["far"], lambda reply, now_ms: self._offer(leg))
            else:
                if joined:
                    self._note_far(leg, state["far"])
                self._offer(leg)
            return
        self._set(leg, state="setup")
        if state.get("trunk") is not None:
            self._invite_trunk(leg, state, now_ms)
            return
        try:
            events = self.endpoint.request({"kind": "invite_request", "leg": leg, "line": state["line"],
                                            "caller": state["caller"], "caller_name": state["caller_name"],
                                            "auto_answer": state.get("auto_answer", False), "waiting": state.get("waiting", False), "referred_by": state.get("referred_by"),
                                            "sdp": sdp.offer(self._local(state)),
                                            "sdp_web": sdp.offer(self._local(state, web=True)) if state.get("web") else None}, now_ms)
        except LocalError as error:
            log.info("sip: line %s cannot be called: %s", state["line"], error)
            self._ended(leg, 20, "failure", 480)    # Q.850: subscriber absent
            return
        self._take(events, now_ms)

    def _offer(self, leg):
        """Media can carry the call of a telephone: the switchboard may have it."""
        state = self.legs.get(leg)
        if state is None or state["state"] != "allocating":
            return
        self._set(leg, state="setup")
        if state.get("trunk") is not None:
            self._offer_trunk(leg, state)
            return
        self.turns.post({"kind": "leg.offered", "leg": leg, "tech": "sip", "trunk_group": None, "span": None,
                         "timeslot": None, "caller": state["caller"], "caller_presentation": state.get("caller_presentation") or "allowed",
                         "called": state["called"], "called_complete": True, "redirecting": None, "line": state["line"],
                         **{name: state[name] for name in ("joins", "replaces", "carried") if state.get(name)}})

    def _no_termination(self, leg, error, now_ms):
        state = self.legs.get(leg)
        if state is None:
            return
        log.warning("sip: no RTP termination for %s: %s", leg, error)
        if state["direction"] == "in":
            self._forget(leg)
            self._take(self.endpoint.request({"kind": "reject_request", "leg": leg, "status": 503}, now_ms), now_ms)
        else:
            self._ended(leg, NO_TERMINATION_CAUSE, "failure")

    def _encryption_of(self, state):
        """The policy of a leg's line or trunk; a trunk that the configuration does not have any more: what the call began with."""
        if state.get("trunk") is None:
            return self.config["encryption"].get(state["line"], "off")
        trunk = self.endpoint.trunks.get(state["trunk"])
        return trunk.row.get("encryption", "off") if trunk is not None else "optional" if state.get("keys") else "off"

    def _codecs_of(self, state):
        """The codecs of a leg's line or trunk, the best first; None: those that everybody has."""
        if state.get("trunk") is None:
            return self.config["codecs"].get(state["line"])
        trunk = self.endpoint.trunks.get(state["trunk"])
        return trunk.row.get("codecs") if trunk is not None else None

    def _coder_of(self, state, codec):
        """What media is to speak where this was agreed on, None for G.711.  Some pack G726-32 as AAL2 does (RFC 3551 4.5.4 tells them apart)."""
        if state.get("trunk") is None:
            upper_first = self.config["g726_upper_first"].get(state["line"], False)
        else:
            trunk = self.endpoint.trunks.get(state["trunk"])
            upper_first = trunk is not None and trunk.row.get("g726_upper_first", False)
        return None if codec in ("PCMA", "PCMU") else "AAL2-G726-32" if codec == "G726-32" and upper_first else codec

    def _local(self, state, web=None):
        """Our half of a session, as firmware/proto/sdp.py wants it.  The keys of a leg are made once and kept with it.

        web: whether ICE and DTLS are in it; None: where the far end is a browser."""
        if web is None:
            web = bool(state["far"] and state["far"].get("browser"))
        policy = self._encryption_of(state)
        if policy != "off" and not state.get("keys"):
            state["keys"] = sdes.new_keys(os.urandom)
        return {"address": state["host"], "port": state["port"] or 9, "codecs": self._spoken(state, self._codecs_of(state)), "session": state["session"],
                "version": state["version"], "t38": self._t38_local(state, policy), "image_at": state.get("image_at"), "srtp": {"policy": policy, "keys": state["keys"]} if policy != "off" else None,
                "browser": state.get("web") if web else None, "events": self._wants_events(state)}

    def _far(self, leg, body):
        """Take the far end's answer.  False when it is unusable."""
        if leg not in self.legs:
            return True
        try:
            if body is None:
                raise RemoteError("no SDP came with the answer", status=488)
            self._join(leg, carried(sdp.read(body, self._local(self.legs[leg], web=True))))
        except RemoteError as error:
            log.warning("sip: %s: %s", leg, error)
            return False
        return True

    def _join(self, leg, far, done=None):
        """Tell media where the far end listens; tell the switchboard about hold.  done(reply, now_ms): media has taken it."""
        state = self.legs[leg]
        self.media.command("modify", done, lambda error, now_ms: self._not_carried(leg, error, now_ms), id=leg, **self._far_media(state, far))
        self._note_far(leg, far)

    @staticmethod
    def _listens(far):
        """Whether a far end wants to hear anything."""
        return (far["remote"] is not None or far.get("browser") is not None) and far["direction"] in ("sendrecv", "sendonly")

    def _far_media(self, state, far):
        """Where a far end listens and what it speaks, as media wants it."""
        browser, web = far.get("browser"), {}
        if state.get("web"):
            ours = {part: state["web"][part] for part in ("ufrag", "password")}
            web = {"browser": dict(ours, **browser) if browser is not None else None,
                   "srtp_only": browser is not None or self._encryption_of(state) == "required"}
        return dict(remote=far["remote"], payload_type=far["payload_type"], codec=self._coder_of(state, far["codec"]), dtmf_payload_type=far["dtmf_payload_type"],
                    dtmf_clock_hz=far.get("dtmf_clock_hz", 8000), ptime_ms=far["ptime_ms"], send=self._listens(far),
                    timeout_ms=RTP_TIMEOUT_MS, rtcp_mux=far.get("rtcp_mux", False), rtcp_port=far.get("rtcp_port"),
                    source_host=_host(state.get("sip_host")), srtp=far.get("srtp"), **self._keys_media(state, far), **self._t38_media(far), **web)

    def _note_far(self, leg, far):
        """Keep what was settled; tell the switchboard about hold."""
        state, held = self.legs[leg], not self._listens(far)
        if held != state["held"] and state["state"] == "answered":
            self.turns.post({"kind": "leg.held" if held else "leg.retrieved", "leg": leg})
        was_fax = bool((state["far"] or {}).get("t38"))
        self._note_passed(leg, far)
        self._set(leg, far=far, held=held, image_at=far.get("image_at", state.get("image_at")))
        self._watch(leg)
        if was_fax != bool(far.get("t38")) and state["state"] == "answered":
            self._tell_fax(leg, always=True)

    def _watch(self, leg):
        """Sound both ways is owed from the answer on, unless one side holds."""
        state = self.legs.get(leg)
        if state is not None and state["state"] == "answered" and state["far"] is not None:
            both = state["far"]["direction"] == "sendrecv" and not state["held"] and not state["far"].get("t38")
            self.media.command("watch", id=leg, sound="both" if both else "none")

    def _answer_offer(self, leg, offer):
        """(answer, what was chosen) to an offer within a call; an ICE restart (RFC 8839 4.4.3) gets new credentials.  Raises RemoteError."""
        state = self.legs[leg]
        body, far = sdp.answer(offer, self._local(state, web=True))
        old, new = (state["far"] or {}).get("browser"), far.get("browser")
        if old and new and old["far_ufrag"] != new["far_ufrag"]:
            self._set(leg, web=dict(state["web"], **new_credentials()))
            body, far = sdp.answer(offer, self._local(state, web=True))
        return body, far

    def _dtls_failed(self, event, now_ms):
        """Media says why a browser's call has no sound: it ends."""
        leg = event["id"]
        if leg in self.legs:
            log.warning("sip: %s of %s ends without sound: %s", leg, self.legs[leg]["line"] or "a trunk", event["error"])
            self._release(leg, NOT_CARRIED_CAUSE, now_ms)
        return True

    def _not_carried(self, leg, error, now_ms):
        """Media will not have the far end's address or codec: no call without sound."""
        log.warning("sip: %s ends, media cannot reach its far end: %s", leg, error)
        self._release(leg, NOT_CARRIED_CAUSE, now_ms)
