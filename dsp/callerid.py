"""What caller-identification messages say: MDMF, SDMF over FSK (dsp/fsk.py), and the keypad's form.

    octets = mdmf({"time": "12312359", "number": "13800138000", "name": "LI LEI"})
    parse(kind, body) -> {"time": ..., "number": ...}

Source: Telcordia GR-31-CORE, ETSI EN 300 659-3 (message types and parameters; the
two agree in what is here).  Keypad: A or D, the digits, C as the end (ETSI EN 300 659-1
annex A; China uses D ... C by secondary sources).  Numbers are digits with * and #; names
keep what is printable.  Errors are ValueError: the octets come from outside.
"""

SDMF, MDMF = 0x04, 0x80
PARAMETERS = {"time": 0x01, "number": 0x02, "number_absent": 0x04, "name": 0x07, "name_absent": 0x08}
NAMES = {code: name for name, code in PARAMETERS.items()}
ABSENT = {"P": "private", "O": "unavailable"}


def _message(kind, body):
    if len(body) > 255:
        raise ValueError(f"caller identification: {len(body)} octets; at most 255 fit one message")
    octets = bytes([kind, len(body)]) + body
    return octets + bytes([-sum(octets) & 0xFF])


def _text(name, value):
    octets = value.encode("ascii", "replace")
    if name == "time" and not (len(value) == 8 and value.isdigit()):
        raise ValueError(f"caller identification: time {value!r}; give month, day, hour, minute as 8 digits")
    if name == "number" and (not value or value.strip("0123456789*#")):
        raise ValueError(f"caller identification: number {value!r}; give digits")
    if name.endswith("_absent") and value not in ABSENT:
        raise ValueError(f"caller identification: {name} {value!r}; P for private, O for unavailable")
    return octets


def mdmf(fields):
    """Octets of a multiple data message; fields as PARAMETERS names them, in this order."""
    body = b""
    for name, value in fields.items():
        octets = _text(name, value)
        if len(octets) > 255:
            raise ValueError(f"caller identification: {name} of {len(octets)} characters; at most 255 fit")
        body += bytes([PARAMETERS[name], len(octets)]) + octets
    return _message(MDMF, body)


def sdmf(time, number):
    """Octets of a single data message; number "P" or "O" where it is withheld."""
    return _message(SDMF, _text("time", time) + (number.encode() if number in ABSENT else _text("number", number)))


def parse(kind, body):
    """Fields of a message of dsp.fsk.Receiver. Unknown parameters are left out. Raises ValueError."""
    if kind == SDMF:
        if len(body) < 9:
            raise ValueError("caller identification: a single data message is too short")
        text = body.decode("ascii", "replace")
        return {"time": text[:8], "number_absent" if text[8:] in ABSENT else "number": text[8:]}
    if kind != MDMF:
        raise ValueError(f"caller identification: message type {kind:#04x} is not known")
    fields, at = {}, 0
    while at < len(body):
        if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
            raise ValueError("caller identification: a parameter is longer than the message")
        name = NAMES.get(body[at])
        if name:
            fields[name] = "".join(chr(c) if 32 <= c < 127 else "?" for c in body[at + 2:at + 2 + body[at + 1]])
        at += 2 + body[at + 1]
    return fields


def keypad(number):
    """Digits to dial for a number: D ... C."""
    return "D" + _text("number", number).decode() + "C"


def parse_keypad(digits):
    """Number from received digits, or None while the end is missing. Raises ValueError where there is no begin."""
    if not digits:
        return None
    if digits[0] not in "AD":
        raise ValueError(f"caller identification: {digits[0]!r} does not begin a number; A or D does")
    number, end, _ = digits[1:].partition("C")
    return number if end else None
