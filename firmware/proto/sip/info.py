"""Digits by INFO: application/dtmf-relay and application/dtmf, as telephones send them.  RFC 6086.

The half of Session that takes INFO."""

from firmware.proto.sip.headers import media_type
from firmware.proto.sip.text import number
from firmware.proto.sip.text import text as to_text

DTMF_DIGITS = "0123456789*#ABCD"
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
        if message.body and kind not in ("application/dtmf-relay", "application/dtmf"):
            self.agent.respond(transaction, 415, now_ms, tag=tag,
                               headers=(("Accept", "application/dtmf-relay, application/dtmf"),))
            return
        self.agent.respond(transaction, 200, now_ms, tag=tag)
        if message.body:
            digit, duration_ms = parse_dtmf(to_text(message.body))
            if digit:
                self.agent.emit({"kind": "dtmf", "leg": self.leg, "digit": digit, "duration_ms": duration_ms})


def parse_dtmf(body):
    """Body of application/dtmf-relay ("Signal=5 Duration=160") or application/dtmf ("5").

    Returns (digit or "", duration_ms)."""
    digit = ""
    duration_ms = DTMF_DEFAULT_MS
    for line in body.replace("\r", "\n").split("\n"):
        name, equals, value = line.partition("=")
        name = name.strip().lower()
        value = value.strip()
        if not equals and not digit:
            digit = name.upper()
        elif name == "signal":
            digit = value.upper()
        elif name == "duration":
            duration_ms = number(value, 10000) or DTMF_DEFAULT_MS
    digit = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}.get(digit, digit)
    return (digit, duration_ms) if len(digit) == 1 and digit in DTMF_DIGITS else ("", duration_ms)
