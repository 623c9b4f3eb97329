"""Digits and hook flashes by INFO, as telephones and analog gateways send them.  RFC 6086.

No standard says how: application/dtmf-relay and application/dtmf are what telephones have; for a flash, which is the digit "!", gateways
(AudioCodes' manual lists them by maker) have application/hook-flash "signal=hf", application/dtmf-relay "Signal=16", application/sscc
"event=flashhook" or application/broadsoft "event flashhook".

The half of Session that takes INFO."""

from firmware.proto.sip.headers import media_type
from firmware.proto.sip.text import number
from firmware.proto.sip.text import text as to_text

DTMF_DIGITS = "0123456789*#ABCD"
FLASH = "!"
FLASHES = ("16", "HF", "FLASH", "FLASHHOOK", "EVENT FLASHHOOK")      # words for it in bodies, in upper case
DTMF_TYPES = ("application/dtmf-relay", "application/dtmf")
FLASH_TYPES = ("application/hook-flash", "application/sscc", "application/broadsoft")
DTMF_DEFAULT_MS = 250            # of application/dtmf-relay without a Duration


class DigitsByINFO:
    """See the top."""

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
