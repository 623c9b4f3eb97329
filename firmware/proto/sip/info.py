"""Digits and hook flashes by INFO, as telephones and analog gateways send them.  RFC 6086.

No standard says how: application/dtmf-relay and application/dtmf are what telephones have; for a flash, which is the digit "!", gateways
(AudioCodes' manual lists them by maker) have application/hook-flash "signal=hf", application/dtmf-relay "Signal=16", application/sscc
"event=flashhook" or application/broadsoft "event flashhook".

The half of Session that takes INFO, and sends it where a far end is to be told of a digit so (info_request)."""

from firmware.proto.sip.headers import media_type
from firmware.proto.sip.text import number
from firmware.proto.sip.text import octets as to_octets
from firmware.proto.sip.text import text as to_text

DTMF_DIGITS = "0123456789*#ABCD"
FLASH = "!"
FLASHES = ("16", "HF", "FLASH", "FLASHHOOK", "EVENT FLASHHOOK")      # words for it in bodies, in upper case
DTMF_TYPES = ("application/dtmf-relay", "application/dtmf")
FLASH_TYPES = ("application/hook-flash", "application/sscc", "application/broadsoft")
DTMF_DEFAULT_MS = 250            # of application/dtmf-relay without a Duration
MOST_WAITING = 32                # ours: digits that wait until the far end has answered for the one before


class DigitsByINFO:
    """See the top.  telling: client transaction of the digit that is out; untold: [(digit, ms)], it and those after it.  Not stored: a digit is of its moment."""

    telling, untold = None, ()

    def do_info(self, request, now_ms):
        """Tell the far end of a digit.  One at a time: datagrams may overtake each other."""
        if len(self.untold) < MOST_WAITING:
            self.untold += ((request["digit"], request.get("duration_ms") or DTMF_DEFAULT_MS),)
        if self.telling is None:
            self._tell(None, now_ms)

    def _tell(self, authorization, now_ms):
        message = self.dialog.request("INFO", self.agent.identity)
        message.add("Content-Type", DTMF_TYPES[0])
        message.body = to_octets("Signal=%s\r\nDuration=%d\r\n" % self.untold[0])
        if authorization:
            message.add(authorization[0], authorization[1])
        self.telling = self.send_request(message, now_ms)
        if self.telling is None:
            self.untold = ()

    def digit_told(self, response, now_ms):
        """The answer to our INFO, or None where there is none: then the digits after it are of no use."""
        if response is not None and response.status < 200:
            return
        request, self.telling = self.telling.request, None
        authorization = None if response is None else self.authorization(response, request, now_ms)
        if authorization is None:
            self.challenged.pop("INFO", None)
            self.untold = self.untold[1:] if response is not None else ()
        if self.untold and self.state == "confirmed":
            self._tell(authorization, now_ms)

    def receive_info(self, transaction, now_ms):
        """INFO: digits of telephones that send them so."""
        message = transaction.request
        kind = media_type(message.get("Content-Type") or "")
        tag = message.to_tag
        if message.get("Info-Package") is not None:
            self.agent.respond(transaction, 469, now_ms, tag=tag, headers=(("Recv-Info", ""),))
            return
        if message.body and kind not in DTMF_TYPES + FLASH_TYPES:
            self.agent.respond(transaction, 415, now_ms, tag=tag, headers=(("Accept", ", ".join(DTMF_TYPES + FLASH_TYPES)),))
            return
        self.agent.respond(transaction, 200, now_ms, tag=tag)
        if kind == "application/hook-flash":
            self.agent.emit({"kind": "dtmf", "leg": self.leg, "digit": FLASH, "duration_ms": DTMF_DEFAULT_MS})      # some have no body
        elif message.body:
            digit, duration_ms = parse_dtmf(to_text(message.body))
            if digit:
                self.agent.emit({"kind": "dtmf", "leg": self.leg, "digit": digit, "duration_ms": duration_ms})


def parse_dtmf(body):
    """Body of application/dtmf-relay ("Signal=5 Duration=160"), application/dtmf ("5") or one that tells a flash.

    Returns (digit, FLASH or "", duration_ms)."""
    digit = ""
    duration_ms = DTMF_DEFAULT_MS
    for line in body.replace("\r", "\n").split("\n"):
        name, equals, value = line.partition("=")
        name = name.strip().lower()
        value = value.strip()
        if not equals and not digit:
            digit = name.upper()
        elif name == "signal" or name == "event":
            digit = value.upper()
        elif name == "duration":
            duration_ms = number(value, 10000) or DTMF_DEFAULT_MS
    digit = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}.get(digit, digit)
    if digit in FLASHES:
        return FLASH, duration_ms
    return (digit, duration_ms) if len(digit) == 1 and digit in DTMF_DIGITS else ("", duration_ms)
