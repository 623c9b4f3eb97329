"""A telephone adapter with a fax machine that speaks T.38: the probe's SIP, and a process of hil/far/t38.py.

    phone = FaxPhone("1003", password, port)
    phone.machine(send=path)            # or print=path; calls, loss, junk, capture: as there
    phone.start()
    phone.wait_for("t38", 30)           # the other end's re-INVITE to T.38 was answered, or ours was
    phone.to_t38()                      # ask for it ourselves
    phone.to_sound()
    phone.wait_for("fax_done", 240)     # {"status": 0: all went well}

refusal: a status with which re-INVITEs to T.38 are refused; "both": they are answered with both blocks refused.  glare: the first is answered 491,
and one of ours goes out.  silent_packets: sound that is sent before, A-law.  Imports nothing of the product."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

from hil.phone import probe_sip
from hil.phone.probe import T1_S, ProbePhone
from hil.rig import CHECKOUT

IMAGE = ("a=T38FaxVersion:0", "a=T38MaxBitRate:14400", "a=T38FaxRateManagement:transferredTCF", "a=T38FaxMaxBuffer:2000", "a=T38FaxMaxDatagram:400",
         "a=T38FaxUdpEC:t38UDPRedundancy")


class FaxPhone(ProbePhone):
    """See the module's docstring."""

    refusal = None
    glare = False
    single = False          # our image block stands where the sound was, as many gateways have it

    def machine(self, *, send=None, print=None, calls=False, **more):
        """Have a fax machine at hand for the next T.38."""
        words = [sys.executable, "-m", "hil.far.t38"] + (["--calls"] if calls else [])
        for name, value in dict(more, send=send, print=print).items():
            words += ["--" + name, str(value)] if value is not None else []
        self.process = subprocess.Popen(words, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.fax_port = json.loads(self.process.stdout.readline())["port"]
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process):
        for line in process.stdout:
            event = json.loads(line)
            with self._changed:
                self._note("fax_" + event.pop("event"), **event)

    def _fax_description(self, call, single):
        lines = ["v=0", f"o=probe 1 {call.version} IN IP4 {self.host}", "s=-", f"c=IN IP4 {self.host}", "t=0 0"]
        lines += ([] if single else ["m=audio 0 RTP/AVP 8"]) + [f"m=image {self.fax_port} udptl t38", *IMAGE]
        return ("\r\n".join(lines) + "\r\n").encode()

    def _begin(self, body):
        text = body.decode()
        port = int(re.search(r"^m=image (\d+) udptl t38", text, re.M).group(1))
        self.process.stdin.write("%s %d\n" % (re.findall(r"^c=IN IP4 (\S+)", text, re.M)[-1], port))
        self.process.stdin.flush()
        self._call.stream.sending = False
        self._note("t38", text=text)

    def _on_reinvite(self, call, message):
        text = message.body.decode("utf-8", "replace")
        if not re.search(r"^m=image [1-9]", text, re.M):
            super()._on_reinvite(call, message)
            self._note("sound", text=text)
            return
        self._note("asked", text=text)
        if self.glare:
            self.glare = False
            self._respond(message, 491, "Request Pending")
            self.to_t38()
        elif self.refusal == "both":
            call.version += 1
            body = (f"v=0\r\no=probe 1 {call.version} IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
                    "m=audio 0 RTP/AVP 8\r\nm=image 0 udptl t38\r\n").encode()
            self._accept(call, message, body)
        elif self.refusal is not None:
            self._respond(message, self.refusal, "Not Acceptable Here")
        else:
            call.version += 1
            self._accept(call, message, self._fax_description(call, "m=audio" not in text))
            self._begin(message.body)

    def _accept(self, call, message, body):
        call.accepted = self._respond(message, 200, "OK", body=body)
        call.interval, call.due = T1_S, time.monotonic() + T1_S

    def to_t38(self):
        """A re-INVITE of ours."""
        with self._changed:
            self._reinvite(self._fax_description(self._call, self.single), "t38")

    def to_sound(self):
        """Back."""
        with self._changed:
            call = self._call
            call.version += 1
            body = self._description(call)
            self._reinvite(body if self.single else body + b"m=image 0 udptl t38\r\n", "sound")

    def _reinvite(self, body, what):
        call = self._call
        call.version += 1
        call.sequence += 1
        number = call.sequence

        def answered(answer):
            if answer is None or answer.status >= 300:
                self._note("refused_" + what, status=answer.status if answer is not None else 408)
                return
            self._ack(call, number, answer)
            if what == "t38" and re.search(rb"^m=image [1-9]", answer.body, re.M):
                self._begin(answer.body)
            else:
                self._note(what, text=answer.body.decode())
        self._request("INVITE", call.invite.uri("contact"), [
            ("from", self._with_tag(call.invite.get("to"), call.tag)), ("to", call.invite.get("from")), ("call-id", call.invite.get("call-id")),
            ("cseq", f"{number} INVITE"), ("content-type", "application/sdp"), *[("route", value) for value in call.invite.all("record-route")]],
            answered, body, lambda answer: None)

    def _ack(self, call, number, answer):
        self._send(self.message_of("ACK", call, number, answer).octets())

    def message_of(self, method, call, number, answer):
        """A request of the dialog outside of any transaction."""
        return probe_sip.Message(f"{method} {call.invite.uri('contact')} SIP/2.0", [
            ("via", f"SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{os.urandom(8).hex()};rport"), ("max-forwards", "70"),
            ("from", self._with_tag(call.invite.get("to"), call.tag)), ("to", call.invite.get("from")), ("call-id", call.invite.get("call-id")),
            ("cseq", f"{number} {method}")])

    def stop(self):
        """The machine ends with its standard input."""
        super().stop()
        process = getattr(self, "process", None)
        if process is not None:
            process.stdin.close()
            process.wait(10)


class FaxGateway(FaxPhone):
    """The same at the far end of a SIP trunk of kind peer: it registers nowhere.  port: known from the start on."""

    def start(self, timeout_s=10):
        """Bind, listen."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.host, 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._run, name="fax-gateway", daemon=True).start()
        return self
