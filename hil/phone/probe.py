"""A probe telephone in Python: what baresip cannot tell, octet by octet and with the time of each.

    phone = ProbePhone("1001", "secret", 5060)
    phone.start()                                 # registers; raises TimeoutError
    phone.wait_for("incoming", 20); phone.answer(); phone.wait_for("answered", 5)
    play = phone.play(octets); play.wait(10)      # A-law octets; play.sent: when each packet left
    phone.packets                                 # [Packet(mono, seq, timestamp, payload, ...)]
    phone.received_octets(); phone.received_samples(); phone.breaks()
    phone.fault("loss", 2); phone.inject(b"junk") # see probe_rtp.py
    phone.hangup(); phone.wait_for("closed", 5); phone.stop()

The interface is that of hil/phone/phone.py, without files.  answer: "auto"
answers at once, "manual" rings (180) until answer().  One call at a time; a
second is refused with 486.  Events: registered, unregistered, incoming, answered
(their ACK is here), reinvite, options, closed (with "by": "far" | "near" | "failure").

It calls, too: probe_call.py; keys and hook flashes: probe_keys.py.  RFC 3261: UAS of INVITE, ACK, CANCEL, BYE, OPTIONS, INFO and re-INVITE; UAC of
REGISTER and BYE; retransmissions over UDP (T1, T2).  Imports nothing of the product.
"""

import collections
import os
import re
import select
import socket
import threading
import time

from hil.phone import probe_sip
from hil.phone.probe_call import Dialling
from hil.phone.probe_keys import Keys
from hil.phone.probe_rtp import EVENT, RTPStream

T1_S, T2_S, TIMER_B_S = 0.5, 4.0, 32.0     # RFC 3261 17, appendix A
KEPT_RESPONSES = 64
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"


class _Request:
    """One request of ours and its retransmission."""

    def __init__(self, octets, on_response, on_provisional):
        self.octets, self.on_response, self.on_provisional = octets, on_response, on_provisional
        self.interval, self.began = T1_S, time.monotonic()
        self.due = self.began + T1_S


class _Call:
    """The one dialog.  state: ringing, accepted (200 sent), confirmed (ACK is here), closing."""

    def __init__(self, invite, stream, media):
        self.invite, self.stream, self.media = invite, stream, media
        self.tag = os.urandom(6).hex()
        self.state = "ringing"
        self.sequence = 0                  # CSeq of our own requests in the dialog
        self.version = 1                   # of our session description
        self.accepted = None               # octets of the 200, until the ACK
        self.interval = self.due = 0.0


class ProbePhone(Dialling, Keys):
    """user, password: of the line.  registrar_port: UDP port of the registrar on host.

    answer: "auto" or "manual".  expires_s: of the registration.  clock: a BoardClock to send audio by."""

    payload_types = (8,)                   # what it speaks, the best first: 0 PCMU, 8 PCMA, 18 G.729 (any octets, 20 a packet: nothing is coded here), 101 events

    def __init__(self, user, password, registrar_port, answer="auto", expires_s=60, host="127.0.0.1", clock=None):
        self.clock = clock
        self.user, self.password, self.registrar = user, password, (host, registrar_port)
        self.answer_mode, self.expires_s, self.host = answer, expires_s, host
        self.stream = None                 # of the present or the last call
        self.log = collections.deque(maxlen=400)     # (mono, "rx" | "tx", octets)
        self._socket = None
        self._call = None
        self._requests = {}                # branch: _Request
        self._answered = collections.OrderedDict()   # (branch, method): octets of our final response
        self._events = []
        self._changed = threading.Condition(threading.RLock())
        self._ending = threading.Event()
        self._register = {"call_id": os.urandom(8).hex(), "tag": os.urandom(6).hex(), "sequence": 0}
        self._register_due = None

    # -- as hil.phone.phone.Phone --

    def open(self):
        """Be there without a registration: a far end of a SIP trunk that is known by its address."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.host, 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._run, name=f"probe-sip-{self.user}", daemon=True).start()
        return self

    def start(self, timeout_s=10):
        """Register.  Raises TimeoutError with the last answer."""
        self.open()
        self._send_register(self.expires_s)
        self.wait_for("registered", timeout_s)
        return self

    def stop(self):
        """Hang up, take the registration back, close."""
        if self._socket is None or self._ending.is_set():
            return
        with self._changed:
            call = self._call
        if call is not None:
            self.hangup()
        if self.events("registered"):
            mark = self.mark()
            self._send_register(0)
            try:
                self.wait_for("unregistered", 1.0, since=mark)
            except TimeoutError:
                pass                       # the registrar may be gone already
        self._ending.set()
        with self._changed:
            if self._call is not None:
                self._close(self._call, "near")
        self._socket.close()

    def answer(self):
        """200 to the INVITE that rings.  Raises RuntimeError when nothing rings."""
        with self._changed:
            call = self._call
            if call is None or call.state != "ringing":
                raise RuntimeError(f"The phone {self.user} does not ring.")
            call.state = "accepted"
            call.stream.start((call.media.host, call.media.port))
            call.accepted = self._respond(call.invite, 200, "OK", body=self._description(call))
            call.interval, call.due = T1_S, time.monotonic() + T1_S

    def refuse(self, status=486, reason="Busy Here"):
        """A final error to the INVITE that rings."""
        with self._changed:
            call = self._call
            if call is None or call.state != "ringing":
                raise RuntimeError(f"The phone {self.user} does not ring.")
            self._respond(call.invite, status, reason)
            self._close(call, "near")

    def hangup(self):
        """BYE, or 486 while it rings; nothing when there is no call."""
        with self._changed:
            call = self._call
            if call is None or call.state == "cancelled":
                return
            if call.state == "calling":
                self._cancel(call)
                return
            if call.state == "ringing":
                self.refuse()
                return
            call.state, call.accepted = "closing", None
            call.sequence += 1
            self._request("BYE", call.invite.uri("contact"), [
                ("from", self._with_tag(call.invite.get("to"), call.tag)), ("to", call.invite.get("from")),
                ("call-id", call.invite.get("call-id")), ("cseq", f"{call.sequence} BYE"),
                *[("route", value) for value in call.invite.all("record-route")]],
                lambda answer: self._close(call, "near" if answer and answer.status < 300 else "failure"))

    def mark(self):
        """How many events there were; pass it as `since` to wait for later ones only."""
        with self._changed:
            return len(self._events)

    def events(self, kind=None, since=0):
        with self._changed:
            return [e for e in self._events[since:] if kind in (None, e["event"])]

    def wait_for(self, kind, timeout_s=10, since=0):
        """The first event of that kind, past or to come.  Raises TimeoutError."""
        def found():
            return next((e for e in self._events[since:] if e["event"] == kind), None)
        with self._changed:
            self._changed.wait_for(found, timeout_s)
            event = found()
            last = [e["event"] for e in self._events[-6:]]
            heard = next((octets[:200] for _, way, octets in reversed(self.log) if way == "rx"), b"nothing")
        if event is None:
            raise TimeoutError(f"The phone {self.user} was not {kind} within {timeout_s} s; its last events: {last}; "
                               f"the last message: {heard!r}")
        return event

    # -- what only the probe has --

    @property
    def packets(self):
        return self.stream.packets if self.stream else []

    def play(self, octets):
        """Queue A-law octets for sending in the present call; returns probe_rtp.Play."""
        return self.stream.play(octets)

    def fault(self, kind, count=1, octets=0):
        self.stream.fault(kind, count, octets)

    def inject(self, octets, stranger=False):
        self.stream.inject(octets, stranger)

    def received_octets(self, first=0, last=None):
        return self.stream.received_octets(first, last)

    def received_samples(self, first=0, last=None):
        return self.stream.received_samples(first, last)

    def breaks(self, first=0, last=None):
        return self.stream.breaks(first, last)

    # -- our own requests --

    def _send_register(self, expires_s, challenge=None, attempts=3):
        """One REGISTER; a challenge is answered, at most `attempts` times."""
        with self._changed:
            register = self._register
            register["sequence"] += 1
            address = f"<sip:{self.user}@{self.host}>"
            uri = f"sip:{self.host}:{self.registrar[1]}"
            headers = [("from", f"{address};tag={register['tag']}"), ("to", address), ("call-id", register["call_id"]),
                       ("cseq", f"{register['sequence']} REGISTER"), ("expires", str(expires_s))]
            if challenge:
                headers.append(("authorization", probe_sip.authorization(challenge, self.user, self.password,
                                                                         "REGISTER", uri)))
            self._request("REGISTER", uri, headers,
                          lambda answer: self._registered(answer, expires_s, attempts))

    def _registered(self, answer, expires_s, attempts):
        if answer is not None and answer.status == 401 and attempts > 1:
            self._send_register(expires_s, answer.get("www-authenticate"), attempts - 1)
            return
        good = answer is not None and answer.status == 200
        self._register_due = time.monotonic() + (expires_s / 2 if good else 5) if expires_s else None
        self._note("registered" if good and expires_s else "unregistered",
                   text=answer.start if answer else "no answer")

    def _request(self, method, uri, headers, on_response, body=b"", on_provisional=None):
        branch = "z9hG4bK" + os.urandom(8).hex()
        message = probe_sip.Message(f"{method} {uri} SIP/2.0", [
            ("via", f"SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport"), ("max-forwards", "70"), *headers,
            ("contact", self._contact()), ("user-agent", "probe")], body)
        with self._changed:
            octets = message.octets()
            self._requests[branch] = _Request(octets, on_response, on_provisional)
            self._send(octets)
        return branch

    # -- the thread --

    def _run(self):
        while not self._ending.is_set():
            try:
                if select.select([self._socket], [], [], 0.05)[0]:
                    octets, source = self._socket.recvfrom(65535)
                    self.log.append((time.monotonic(), "rx", octets))
                    self._message(probe_sip.parse(octets), source)
                self._timers(time.monotonic())
            except ConnectionError:
                pass                       # an ICMP answer: the registrar is not there at the moment
            except ValueError as error:
                self._note("nonsense", text=str(error))
            except OSError:
                if not self._ending.is_set():
                    raise

    def _timers(self, now):
        with self._changed:
            for branch, request in list(self._requests.items()):
                if now - request.began > TIMER_B_S:
                    del self._requests[branch]
                    request.on_response(None)
                elif now >= request.due:
                    request.interval = min(2 * request.interval, T2_S)
                    request.due = now + request.interval
                    self._send(request.octets)
            call = self._call
            if call is not None and call.accepted and now >= call.due:
                call.interval = min(2 * call.interval, T2_S)
                call.due = now + call.interval
                self._send(call.accepted)
            if self._register_due is not None and now >= self._register_due:
                self._register_due = None
                self._send_register(self.expires_s)

    def _message(self, message, source):
        with self._changed:
            if message.status:
                waits = self._requests.get(message.branch)
                if message.status < 200 and waits is not None and waits.on_provisional and message.method == "INVITE":
                    waits.due = waits.began = float("inf")      # 17.1.1.2: in Proceeding nothing is repeated
                    waits.on_provisional(message)
                elif message.status >= 200 and message.method != "CANCEL":
                    request = self._requests.pop(message.branch, None)
                    if request is not None:
                        request.on_response(message)
                return
            kept = self._answered.get((message.branch, message.method))
            if kept is not None:
                self._send(kept)
                return
            handler = getattr(self, "_on_" + message.method.lower(), None)
            if handler is None:
                self._respond(message, 405, "Method Not Allowed", [("allow", ALLOW)])
            else:
                handler(message)

    def _on_invite(self, message):
        call = self._call
        if call is not None and self._of(call, message):
            self._on_reinvite(call, message)
            return
        if call is not None and not message.tag("to") and message.branch == call.invite.branch:
            return                         # the first INVITE once more: 180 or 200 are out
        if message.tag("to"):
            self._respond(message, 481, "Call/Transaction Does Not Exist")
            return
        if call is not None:
            self._respond(message, 486, "Busy Here")
            return
        stream = RTPStream(self.host, self.clock)
        try:
            media = self.understood(message.body, stream)
        except ValueError:
            stream.stop()
            self._respond(message, 488, "Not Acceptable Here")
            return
        self.stream = stream
        self._call = call = _Call(message, self.stream, media)
        self._respond(message, 180, "Ringing", keep=False)
        self._note("incoming", text=message.get("from"), peer=message.uri("from"), invite=message)
        if self.answer_mode == "auto":
            self.answer()

    def _on_reinvite(self, call, message):
        if message.body:
            try:
                media = call.media = self.understood(message.body, call.stream)
            except ValueError:
                self._respond(message, 488, "Not Acceptable Here")
                return
            call.stream.sending = media.direction in ("sendrecv", "recvonly")
            call.stream.start((media.host, media.port))
        call.version += 1
        call.accepted = self._respond(message, 200, "OK", body=self._description(call))
        call.interval, call.due = T1_S, time.monotonic() + T1_S
        self._note("reinvite", text=call.media.direction)

    def _on_ack(self, message):
        call = self._call
        if call is None or not self._of(call, message):
            return
        call.accepted = None
        if call.state == "accepted":
            call.state = "confirmed"
            self._note("answered", text=f"{call.media.host}:{call.media.port}")

    def _on_bye(self, message):
        call = self._call
        if call is None or not self._of(call, message):
            self._respond(message, 481, "Call/Transaction Does Not Exist")
            return
        self._respond(message, 200, "OK")
        self._close(call, "far", message.get("reason"))

    def _on_cancel(self, message):
        call = self._call
        if call is None or call.state != "ringing" or message.branch != call.invite.branch:
            self._respond(message, 481, "Call/Transaction Does Not Exist")
            return
        self._respond(message, 200, "OK")
        self._respond(call.invite, 487, "Request Terminated")
        self._close(call, "far", message.get("reason"))

    def _on_options(self, message):
        self._respond(message, 200, "OK", [("allow", ALLOW), ("accept", "application/sdp")])
        self._note("options")

    def _on_info(self, message):
        self._respond(message, 200, "OK")

    # -- small things --

    @staticmethod
    def _of(call, request):
        """Whether a request belongs to the dialog (RFC 3261 12.2.2): Call-ID and both tags."""
        return (request.get("call-id") == call.invite.get("call-id") and request.tag("to") == call.tag
                and request.tag("from") == call.invite.tag("from"))

    def _respond(self, request, status, reason, headers=(), body=b"", keep=True):
        """Send a response and keep a final one for retransmissions; returns its octets."""
        call = self._call
        tag = call.tag if call is not None and request.get("call-id") == call.invite.get("call-id") else os.urandom(6).hex()
        fields = [("contact", self._contact()), *headers]
        if body:
            fields.append(("content-type", "application/sdp"))
        octets = probe_sip.response(request, status, reason, tag, fields, body).octets()
        if keep:
            self._answered[(request.branch, request.method)] = octets
            while len(self._answered) > KEPT_RESPONSES:
                self._answered.popitem(last=False)
        self._send(octets)
        return octets

    def _description(self, call):
        direction = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(call.media.direction, call.media.direction)
        events = tuple(number for number in self.payload_types if number == EVENT and number in call.media.payload_types)
        return probe_sip.describe(self.host, call.stream.port, call.version, direction, (call.stream.payload_type, *events))

    def _contact(self):
        return f"<sip:{self.user}@{self.host}:{self.port}>"

    @staticmethod
    def _with_tag(value, tag):
        return value if re.search(r";\s*tag=", value) else f"{value};tag={tag}"

    def _close(self, call, by, text=""):
        if self._call is call:
            self._call = None
            call.stream.stop()
            self._note("closed", by=by, text=text)

    def _send(self, octets):
        self.log.append((time.monotonic(), "tx", octets))
        try:
            self._socket.sendto(octets, self.registrar)
        except OSError:
            pass                           # an ICMP answer to an earlier one: retransmission tries again

    def _note(self, kind, **fields):
        with self._changed:
            self._events.append({"event": kind, "mono": time.monotonic(), "text": "", "peer": "", **fields})
            self._changed.notify_all()
