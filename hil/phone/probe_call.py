"""Calls that the probe phone places: UAC of INVITE, ACK and CANCEL.  RFC 3261 13.2, 17.1.1, 22.2.

    phone.dial("913912345678")
    phone.wait_for("ringing", 5)       # 180: the phone would make its own ringing tone
    phone.wait_for("early", 5)         # 183 (or 180) with a session description: it listens from here on
    phone.wait_for("answered", 5)      # 200, and our ACK is out
    phone.wait_for("refused", 5)       # {"status", "text"}: a final error; "closed" follows

hangup() before the answer sends CANCEL.  Imports nothing of the product."""

import os
import time

from hil.phone import probe_sip
from hil.phone.probe_rtp import RTPStream


class Dialling:
    """The half of ProbePhone that calls."""

    def dial(self, number, headers=()):
        """Send INVITE.  headers: further ones.  Raises RuntimeError when there is a call already."""
        with self._changed:
            if self._call is not None:
                raise RuntimeError(f"The phone {self.user} is in a call.")
            self.stream = RTPStream(self.host, self.clock)
            call = self._call = OutgoingCall(self, number, self.stream)
            call.further = list(headers)
            self._invite(call)

    def _invite(self, call, challenge=None):
        call.number += 1
        headers = [("from", call.own), ("to", call.other), ("call-id", call.call_id), ("cseq", f"{call.number} INVITE"),
                   ("content-type", "application/sdp"), ("allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"), *call.further]
        if challenge:
            name = "proxy-authorization" if challenge.status == 407 else "authorization"
            value = challenge.get("proxy-authenticate" if challenge.status == 407 else "www-authenticate")
            headers.append((name, probe_sip.authorization(value, self.user, self.password, "INVITE", call.uri)))
        call.branch = self._request("INVITE", call.uri, headers, lambda answer: self._invited(call, answer),
                                    probe_sip.describe(self.host, call.stream.port, 1, payload_types=self.payload_types), lambda answer: self._told(call, answer))

    def understood(self, body, stream):
        """Media of their description; the stream speaks what both have, by our order.  Raises ValueError."""
        media = probe_sip.read_description(body, self.payload_types)
        stream.speak(next(number for number in self.payload_types if number in media.payload_types))
        return media

    def _listen(self, call, answer):
        call.media = self.understood(answer.body, call.stream)
        call.stream.start((call.media.host, call.media.port))

    def _told(self, call, answer):
        """A provisional response."""
        if answer.status > 100 and self._call is call:
            if answer.body and call.media is None:
                self._listen(call, answer)
                self._note("early", status=answer.status)
            elif answer.status == 180:
                self._note("ringing", status=180)

    def _invited(self, call, answer):
        """The final response, or None."""
        if answer is None:
            self._close(call, "failure")
            return
        if answer.status < 300:
            if call.media is None:
                self._listen(call, answer)
            call.become(answer)
            self._acknowledge(answer, call.invite.uri("contact"), call)
            if call.state == "cancelled":       # it crossed with our CANCEL
                call.state = "confirmed"
                self.hangup()
                return
            call.state = "confirmed"
            self._note("answered", text=f"{call.media.host}:{call.media.port}")
            return
        self._acknowledge(answer, call.uri, call, call.branch)
        if answer.status in (401, 407) and call.number == 1:
            self._invite(call, answer)
            return
        self._note("refused", status=answer.status, text=answer.get("reason"))
        self._close(call, "near" if call.state == "cancelled" else "far", answer.get("reason"))

    def _acknowledge(self, answer, uri, call, branch=None):
        branch = branch or "z9hG4bK" + os.urandom(8).hex()
        self._send(probe_sip.Message(f"ACK {uri} SIP/2.0", [
            ("via", f"SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport"), ("max-forwards", "70"), ("from", call.own),
            ("to", answer.get("to")), ("call-id", call.call_id), ("cseq", f"{call.number} ACK")]).octets())

    def _cancel(self, call):
        call.state = "cancelled"
        self._send(probe_sip.Message(f"CANCEL {call.uri} SIP/2.0", [
            ("via", f"SIP/2.0/UDP {self.host}:{self.port};branch={call.branch};rport"), ("max-forwards", "70"), ("from", call.own),
            ("to", call.other), ("call-id", call.call_id), ("cseq", f"{call.number} CANCEL")]).octets())


class OutgoingCall:
    """Like the phone's incoming one once become() was called: the dialog, seen as if the far end had sent the INVITE."""

    def __init__(self, phone, number, stream):
        self.stream, self.media, self.state = stream, None, "calling"
        self.tag, self.call_id = os.urandom(6).hex(), os.urandom(8).hex()
        self.uri = f"sip:{number}@{phone.host}:{phone.registrar[1]}"
        self.own = f"<sip:{phone.user}@{phone.host}>;tag={self.tag}"
        self.other = f"<sip:{number}@{phone.host}>"
        self.number, self.branch, self.further = 0, "", []
        self.version, self.accepted, self.interval, self.due = 1, None, 0.0, time.monotonic()
        self.invite = probe_sip.Message("", [("call-id", self.call_id)])

    @property
    def sequence(self):
        """CSeq of the last request."""
        return self.number

    @sequence.setter
    def sequence(self, value):
        self.number = value

    def become(self, answer):
        """A dialog from a 200."""
        self.invite = probe_sip.Message("INVITE - SIP/2.0", [
            ("from", answer.get("to")), ("to", self.own.split(";tag=")[0]), ("call-id", self.call_id),
            ("contact", answer.get("contact")), ("cseq", "0 INVITE"),
            *[("record-route", value) for value in reversed(answer.all("record-route"))]])
