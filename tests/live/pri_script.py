"""A scripted far end of PRI in a live house: the far exchange frames the line and carries HDLC (`--raw`), this says what is said.

    end = ScriptedEnd(house.far, (13, 14), side="network")
    end.start(); end.wait_up(13)
    end.say(13, "SETUP", 5, 0, bearer_capability=..., ...)      # reference 5, flag 0
    message = end.heard("CONNECT", reference=5)                 # messages.Message; end.service("SERVICE") for maintenance messages
    end.silent.add(13)                                          # frames of that D channel are passed over from now on

Layer 2 and the codecs are the product's own: what is proved with it is the procedure of layer 3, beside libpri, which cannot
do it; tshark reads what was said in the end."""

import threading
import time

from firmware.errors import RemoteError
from firmware.proto.q921 import Q921Link
from firmware.proto.q931 import maintenance, messages

BEARER = {"coding": 0, "capability": "3.1khz_audio", "mode": 0, "rate": 16, "layer_1": "g711_u"}


class ScriptedEnd:
    """D channels of raw spans of a far exchange."""

    def __init__(self, far, spans, side="network"):
        self.far, self.links = far, {span: Q921Link(side) for span in spans}
        self.up, self.messages, self.silent = set(), [], set()
        self._lock, self._seen, self._ended = threading.RLock(), 0, False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._ended = True
        self._thread.join(5)

    @staticmethod
    def _now():
        return int(time.monotonic() * 1000)

    def _run(self):
        while not self._ended:
            with self._lock:
                events = self.far.events("raw_frame", since=self._seen)
                for event in events:
                    self._seen = event["n"]
                    if event["span"] in self.links and event["span"] not in self.silent:
                        self._layer_2(event["span"], self.links[event["span"]].receive(bytes.fromhex(event["octets"]), self._now()))
                for span, link in self.links.items():
                    self._layer_2(span, link.expire(self._now()))
                    self._flush(span)
            time.sleep(0.01)

    def _flush(self, span):
        for octets in self.links[span].take_output():
            if span not in self.silent:
                self.far.frame(span, octets)

    def _layer_2(self, span, events):
        for event in events:
            if event[0] in ("dl_establish_indication", "dl_establish_confirm"):
                self.up.add(span)
            elif event[0] in ("dl_release_indication", "dl_release_confirm"):
                self.up.discard(span)
            elif event[0] == "dl_data_indication":
                self.messages.append((span, bytes(event[1])))

    def wait(self, condition, what, timeout_s=15):
        """What condition() gives once it is true."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with self._lock:
                found = condition()
            if found:
                return found
            time.sleep(0.01)
        raise AssertionError(f"Waited {timeout_s} s in vain for {what}; heard {[(s, o.hex()) for s, o in self.messages[-8:]]}")

    def wait_up(self, *spans):
        self.wait(lambda: set(spans) <= self.up, f"the data links of {spans}")

    def send(self, span, octets):
        """Octets of layer 3."""
        with self._lock:
            self.links[span].request("dl_data_request", self._now(), octets)
            self._flush(span)

    def say(self, span, kind, reference, flag, **content):
        self.send(span, messages.encode(messages.Message(kind, reference, flag, content)))

    def release_link(self, span):
        """DISC, and silence from then on."""
        with self._lock:
            self.links[span].request("dl_release_request", self._now())
            self._flush(span)
            self.silent.add(span)
            self.up.discard(span)

    def awake(self, span):
        """The D channel is there again: layer 2 begins anew."""
        with self._lock:
            self.links[span] = Q921Link(self.links[span].side)
            self.silent.discard(span)

    def _read(self, span, octets):
        try:
            return span, messages.decode(octets)
        except RemoteError:
            return span, None

    def heard(self, kind, since=0, on=None, **fields):
        """(span, Message) of the first message of a kind after `since` messages.  on: on that span only."""
        def look():
            for span, octets in self.messages[since:]:
                if octets[0] != 8 or on not in (None, span):
                    continue
                message = self._read(span, octets)[1]
                if message is not None and message.kind == kind and all(getattr(message, name) == value for name, value in fields.items()):
                    return span, message
            return None
        return self.wait(look, f"{kind} {fields}")

    def service(self, kind, since=0, d_channel=True):
        """(span, interface or channel number, status) of the first SERVICE or SERVICE_ACKNOWLEDGE after `since` messages."""
        def look():
            for span, octets in self.messages[since:]:
                if octets[0] in maintenance.KINDS:
                    message, status = maintenance.decode(octets)
                    channel = message.get("channel_identification")
                    if message.kind == kind and channel["d_channel"] == d_channel:
                        return span, int(channel["interface"], 16) & 0x7F if d_channel else channel["channels"][0], status
            return None
        return self.wait(look, kind)

    def answer_service(self, span, interface, status="in_service", kind="SERVICE_ACKNOWLEDGE"):
        channel = {"selection": "none", "exclusive": True, "d_channel": True, "interface": "%02x" % (0x80 | interface)}
        self.send(span, maintenance.encode(0x43, kind, 1 if kind[-3:] == "DGE" else 0, status, channel))

    def mark(self):
        with self._lock:
            return len(self.messages)
