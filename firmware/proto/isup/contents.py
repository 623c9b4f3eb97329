"""Contents of ISUP parameters <-> plain data: the codecs that parameters.PARAMETERS names.

A codec is a pair (decode(octets) -> value, encode(value) -> octets).  Values are
JSON-able dicts.  Words stand for the usual codings; a coding that has no word
stays a number and encodes as it came; spare bits that are set are kept under
"spare".  Decoders raise RemoteError(cause=100), encoders LocalError, KeyError,
ValueError or TypeError (parameters.encode makes a LocalError of each).

Digits are text: 0-9, "B" and "C" are code 11 and code 12 (operators), "A", "D",
"E" spare; ST (code 15) is not a digit but `complete`.
Source: Q.763 (12/1999) 3; T1.113.3 for charge number and ANSI; portable.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.q931 import elements

NUMBER_TYPES = {1: "subscriber", 2: "unknown", 3: "national", 4: "international", 5: "network"}
NUMBER_PLANS = {0: "unknown", 1: "isdn", 3: "data", 4: "telex", 5: "national", 6: "private"}
PRESENTATIONS = {0: "allowed", 1: "restricted", 2: "not_available"}
SCREENINGS = {0: "user_not_screened", 1: "user_passed", 2: "user_failed", 3: "network"}
DIGITS = "0123456789ABCDE"
ST = 15


def bad(sentence):
    """The error of a content that cannot be."""
    return RemoteError(sentence, cause=100)


def word_of(words, number):
    """The word of a coding, or the number."""
    return words.get(number, number)


def number_of(words, word, what):
    """The coding of a word; a number stands for itself.  Raises LocalError."""
    if isinstance(word, bool):
        return int(word)
    if isinstance(word, int):
        return word
    for number in words:
        if words[number] == word:
            return number
    raise LocalError("%s: unknown word %r" % (what, word))


# Passed on whole: {"octets": hex}

def _decode_octets(octets):
    return {"octets": bytes(octets).hex()}


def _encode_octets(value):
    return bytes.fromhex(value["octets"])


OCTETS = (_decode_octets, _encode_octets)


def integer(size):
    """{"value": n}, most significant octet first."""

    def decode(octets):
        return {"value": int.from_bytes(bytes(octets[:size]), "big")}

    def encode(value):
        if not 0 <= value["value"] < 1 << (8 * size):
            raise LocalError("%r does not fit %d octets" % (value["value"], size))
        return value["value"].to_bytes(size, "big")

    return decode, encode


def bits(size, *fields):
    """Bit fields.  fields: (name, lowest bit, width, {coding: word} or None for 0 and 1 as bool).

    Bit 0 is bit A of the first octet.  Octets beyond `size` are dropped (an extension of a later edition)."""

    def decode(octets):
        whole = int.from_bytes(bytes(octets[:size]), "little")
        value = {}
        for name, low, width, words in fields:
            coding = whole >> low & ((1 << width) - 1)
            whole &= ~(((1 << width) - 1) << low)
            value[name] = bool(coding) if words is None else word_of(words, coding)
        if whole:
            value["spare"] = whole
        return value

    def encode(value):
        whole = value.get("spare", 0)
        known = ["spare"]
        for name, low, width, words in fields:
            known.append(name)
            coding = number_of(words or {}, value.get(name, 0), name)
            if not 0 <= coding < 1 << width:
                raise LocalError("%s: %r does not fit %d bits" % (name, coding, width))
            whole |= coding << low
        for name in value:
            if name not in known:
                raise LocalError("there is no field %r" % (name,))
        return whole.to_bytes(size, "little")

    return decode, encode


# 3.9, 3.10 ... : numbers

def _digits(octets, odd, what):
    codes = []
    for octet in octets:
        codes += [octet & 15, octet >> 4]
    if odd and codes:
        codes.pop()
    complete = bool(codes) and codes[-1] == ST
    if complete:
        codes.pop()
    if ST in codes:
        raise bad("%s: ST stands inside the digits" % what)
    return "".join([DIGITS[code] for code in codes]), complete


def _digit_octets(digits, complete, what):
    codes = []
    for digit in digits:
        if digit not in DIGITS:
            raise LocalError("%s: %r is no digit of a number" % (what, digit))
        codes.append(DIGITS.index(digit))
    if complete:
        codes.append(ST)
    odd = len(codes) % 2
    if odd:
        codes.append(0)
    return odd, bytes([codes[i] | codes[i + 1] << 4 for i in range(0, len(codes), 2)])


def number(what, inn=None, presentation=True, screening=True, qualifier=False):
    """A number: {"number", "type", "plan", ...}.

    inn: the name of bit 8 of the second octet, or None; qualifier: generic number, 3.26."""

    def decode(octets):
        octets = bytes(octets)
        value = {}
        if qualifier:
            value["qualifier"] = octets[0]
            octets = octets[1:]
        if len(octets) < 2:
            raise bad("%s of %d octets" % (what, len(octets)))
        value["type"] = word_of(NUMBER_TYPES, octets[0] & 0x7F)
        value["plan"] = word_of(NUMBER_PLANS, octets[1] >> 4 & 7)
        if inn:
            value[inn] = octets[1] >> 7
        if presentation:
            value["presentation"] = word_of(PRESENTATIONS, octets[1] >> 2 & 3)
        if screening:
            value["screening"] = word_of(SCREENINGS, octets[1] & 3)
        value["number"], complete = _digits(octets[2:], octets[0] >> 7, what)
        if complete:
            value["complete"] = True
        return value

    def encode(value):
        odd, digits = _digit_octets(value["number"], value.get("complete"), what)
        second = number_of(NUMBER_PLANS, value.get("plan", "isdn"), "plan") << 4
        if inn:
            second |= value.get(inn, 0) << 7
        if presentation:
            second |= number_of(PRESENTATIONS, value.get("presentation", "allowed"), "presentation") << 2
        if screening:
            second |= number_of(SCREENINGS, value.get("screening", "network"), "screening")
        first = number_of(NUMBER_TYPES, value.get("type", "national"), "type of number")
        head = bytes([value["qualifier"]]) if qualifier else b""
        return head + bytes([odd << 7 | first, second]) + digits

    return decode, encode


# 3.51  {"number", "complete"}

def _decode_subsequent(octets):
    digits, complete = _digits(octets[1:], octets[0] >> 7, "subsequent number")
    return {"number": digits, "complete": complete}


def _encode_subsequent(value):
    odd, digits = _digit_octets(value["number"], value.get("complete"), "subsequent number")
    return bytes([odd << 7]) + digits


SUBSEQUENT = (_decode_subsequent, _encode_subsequent)


# 3.12, Q.850: as in Q.931

def _decode_cause(octets):
    return elements.decode("cause", bytes(octets))


def _encode_cause(value):
    return elements.encode("cause", value)[2:]


CAUSE = (_decode_cause, _encode_cause)


# 3.43  {"range": n, "status": [0 or 1 for each of n + 1 circuits] or None}

def _decode_range(octets):
    value = {"range": octets[0], "status": None}
    if len(octets) > 1:
        if len(octets) - 1 < (octets[0] + 8) // 8:
            raise bad("range %d with %d octets of status" % (octets[0], len(octets) - 1))
        value["status"] = [octets[1 + i // 8] >> (i % 8) & 1 for i in range(octets[0] + 1)]
    return value


def _encode_range(value):
    octets = [value["range"]]
    status = value.get("status")
    if status is not None:
        if len(status) != value["range"] + 1:
            raise LocalError("range %d with %d status bits" % (value["range"], len(status)))
        for at in range(0, len(status), 8):
            octets.append(sum([bit << i for i, bit in enumerate(status[at:at + 8])]))
    return bytes(octets)


RANGE = (_decode_range, _encode_range)


# 3.14  [{"maintenance", "call", "hardware"}]: one octet for each circuit

_BLOCKINGS = {0: "none", 1: "local", 2: "remote", 3: "both"}
_CALLS = {1: "incoming", 2: "outgoing", 3: "idle"}


def _decode_states(octets):
    states = []
    for octet in octets:
        if octet >> 2 & 3 == 0:         # not a call processing state: 00 transient, 11 unequipped
            states.append({"call": "unequipped" if octet & 3 == 3 else "transient",
                           "maintenance": "none", "hardware": "none"})
        else:
            states.append({"call": _CALLS[octet >> 2 & 3], "maintenance": _BLOCKINGS[octet & 3],
                           "hardware": _BLOCKINGS[octet >> 4 & 3]})
    return states


def _encode_states(value):
    octets = []
    for state in value:
        if state["call"] in ("transient", "unequipped"):
            octets.append(3 if state["call"] == "unequipped" else 0)
        else:
            octets.append(number_of(_BLOCKINGS, state["maintenance"], "blocking")
                          | number_of(_CALLS, state["call"], "call") << 2
                          | number_of(_BLOCKINGS, state["hardware"], "blocking") << 4)
    return bytes(octets)


STATES = (_decode_states, _encode_states)


# 3.33 and 3.41: instruction indicators
# {"transit", "release", "notify", "discard_message", "pass_failed"} and for a parameter "discard_parameter" too

def _instructions(octet, parameter):
    found = {"transit": not octet & 1, "release": bool(octet & 2), "notify": bool(octet & 4),
             "discard_message": bool(octet & 8)}
    if parameter:
        found["discard_parameter"] = bool(octet & 16)
        # 3: reserved, taken as 00 (3.41)
        found["pass_failed"] = ("release", "discard_message", "discard_parameter", "release")[octet >> 5 & 3]
    else:
        found["pass_failed"] = "discard_message" if octet & 16 else "release"
    return found


def _instruction_octet(value, parameter):
    octet = (0 if value.get("transit") else 1) | (2 if value.get("release") else 0)
    octet |= (4 if value.get("notify") else 0) | (8 if value.get("discard_message") else 0)
    if parameter:
        words = {0: "release", 1: "discard_message", 2: "discard_parameter"}
        octet |= 16 if value.get("discard_parameter") else 0
        octet |= number_of(words, value.get("pass_failed", "release"), "pass_failed") << 5
    elif value.get("pass_failed", "release") != "release":
        octet |= 16
    return 0x80 | octet


def _decode_message_compatibility(octets):
    return _instructions(octets[0], False)          # more octets: broadband, of no meaning here


def _encode_message_compatibility(value):
    return bytes([_instruction_octet(value, False)])


def _decode_parameter_compatibility(octets):
    """{"parameters": [[code, instructions], ...]}"""
    found, at = [], 0
    while at < len(octets):
        if at + 1 >= len(octets):
            raise bad("parameter compatibility ends behind a parameter name")
        found.append([octets[at], _instructions(octets[at + 1], True)])
        at += 2
        while not octets[at - 1] & 0x80:            # extension octets
            if at >= len(octets):
                raise bad("parameter compatibility ends inside its instructions")
            at += 1
    return {"parameters": found}


def _encode_parameter_compatibility(value):
    octets = []
    for code, instructions in value["parameters"]:
        octets += [code, _instruction_octet(instructions, True)]
    return bytes(octets)


MESSAGE_COMPATIBILITY = (_decode_message_compatibility, _encode_message_compatibility)
PARAMETER_COMPATIBILITY = (_decode_parameter_compatibility, _encode_parameter_compatibility)


# 3.4 etc: TMR and other one octet words

def words(table):
    """One octet as {"value": word or number}."""

    def decode(octets):
        return {"value": word_of(table, octets[0])}

    def encode(value):
        return bytes([number_of(table, value["value"], "value")])

    return decode, encode
