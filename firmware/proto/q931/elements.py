"""Q.931 information elements: contents (octets from octet 3) <-> plain data.

decode(name, contents) and encode(name, value); ELEMENTS is the table.  A value
is a dict of JSON-able data as the codecs below say.  Words stand for the usual
codings; a coding that has no word here stays a number and encodes as it came.
decode raises RemoteError(cause=100), encode raises LocalError.
Source: Q.931 (05/1998) 4.5, Q.951 (connected number); identifiers 4.5.1.
"""

from firmware.errors import LocalError, RemoteError

NUMBER_TYPES = ("unknown", "international", "national", "network", "subscriber", 5,
                "abbreviated", 7)
NUMBER_PLANS = ("unknown", "isdn", 2, "data", "telex", 5, 6, 7, "national", "private",
                10, 11, 12, 13, 14, 15)
PRESENTATIONS = ("allowed", "restricted", "not_available", 3)
SCREENINGS = ("user_not_screened", "user_passed", "user_failed", "network")
CAPABILITIES = {0: "speech", 8: "unrestricted_digital", 9: "restricted_digital",
                16: "3.1khz_audio", 17: "7khz_audio", 24: "video"}
LAYER_1 = {1: "v110", 2: "g711_u", 3: "g711_a", 4: "g721", 5: "h221", 8: "v120"}
REDIRECTING_REASONS = {0: "unknown", 1: "busy", 2: "no_reply", 3: "deflection",
                       9: "out_of_order", 10: "forwarded_by_user", 15: "unconditional"}


def _bad(sentence):
    return RemoteError(sentence, cause=100)


def _word(words, number):
    return words.get(number, number)


def _number(words, word, what):
    """The coding of a word of a dict or tuple; a number stands for itself."""
    if isinstance(word, int):
        return word
    pairs = words.items() if isinstance(words, dict) else enumerate(words)
    for number, known in pairs:
        if known == word:
            return number
    raise LocalError("%s: unknown word %r" % (what, word))


def _ia5(octets, what):
    for octet in octets:
        if not 0x20 <= octet <= 0x7E:
            raise _bad("%s: octet %02x is no IA5 character" % (what, octet))
    return "".join([chr(octet) for octet in octets])


def _ia5_octets(text, what):
    octets = bytes([ord(c) & 0x7F for c in text])
    if "".join([chr(o) for o in octets]) != text or any([not 0x20 <= o <= 0x7E for o in octets]):
        raise LocalError("%s: %r is not IA5" % (what, text))
    return octets


def _group(contents, start, what):
    """One octet group: octets until one with its extension bit set."""
    end = start
    while end < len(contents) and not contents[end] & 0x80:
        end += 1
    if end >= len(contents):
        raise _bad("%s: ends inside an octet group" % what)
    return contents[start:end + 1], end + 1


# 4.5.5  {"coding": 0, "capability": word, "mode": 0, "rate": 16, "layer_1": word|None, "rest": hex}

def _decode_bearer(contents):
    first, at = _group(contents, 0, "bearer capability")
    second, at = _group(contents, at, "bearer capability")
    value = {"coding": first[0] >> 5 & 3, "capability": _word(CAPABILITIES, first[0] & 0x1F),
             "mode": second[0] >> 5 & 3, "rate": second[0] & 0x1F, "layer_1": None, "rest": ""}
    if len(first) > 1:
        raise _bad("bearer capability: octet 3 is extended")
    if value["rate"] == 0x18:           # multirate: octet 4.1
        if at >= len(contents):
            raise _bad("bearer capability: multirate without its multiplier")
        value["multiplier"] = contents[at] & 0x7F
        at += 1
    if len(contents) > at and contents[at] >> 5 & 3 == 1:
        group, after = _group(contents, at, "bearer capability")
        if len(group) == 1:
            value["layer_1"] = _word(LAYER_1, group[0] & 0x1F)
            at = after
    value["rest"] = bytes(contents[at:]).hex()
    return value


def _encode_bearer(value):
    octets = [0x80 | value.get("coding", 0) << 5
              | _number(CAPABILITIES, value["capability"], "bearer capability"),
              0x80 | value.get("mode", 0) << 5 | value.get("rate", 16)]
    if "multiplier" in value:
        octets.append(0x80 | value["multiplier"])
    if value.get("layer_1") is not None:
        octets.append(0xA0 | _number(LAYER_1, value["layer_1"], "bearer layer 1"))
    return bytes(octets) + bytes.fromhex(value.get("rest", ""))


# 4.5.6 call identity and all others that are passed on whole: {"octets": hex}

def _decode_octets(contents):
    return {"octets": bytes(contents).hex()}


def _encode_octets(value):
    return bytes.fromhex(value["octets"])


# 4.5.7  {"coding": 0, "state": number}

def _decode_call_state(contents):
    return {"coding": contents[0] >> 6, "state": contents[0] & 0x3F}


def _encode_call_state(value):
    return bytes([value.get("coding", 0) << 6 | value["state"]])


# 4.5.8, 4.5.9 and 4.5.10 (numbers): octet 3 type and plan, octet 3a presentation

def _decode_number(contents, what="number"):
    head, at = _group(contents, 0, what)
    return _number_value(head, _ia5(contents[at:], what))


def _decode_shown_number(contents):
    """A number that is only shown: a far end that writes it in other characters is no reason to lose it.

    An octet that is no IA5 character becomes a question mark."""
    head, at = _group(contents, 0, "number")
    return _number_value(head, "".join([chr(octet) if 0x20 <= octet <= 0x7E else "?" for octet in contents[at:]]))


def _number_value(head, number):
    value = {"type": NUMBER_TYPES[head[0] >> 4 & 7], "plan": NUMBER_PLANS[head[0] & 15], "number": number}
    if len(head) > 1:
        value["presentation"] = PRESENTATIONS[head[1] >> 5 & 3]
        value["screening"] = SCREENINGS[head[1] & 3]
    if len(head) > 2:                   # 4.6.7: reason for redirection
        value["reason"] = _word(REDIRECTING_REASONS, head[2] & 15)
    return value


def _encode_number(value):
    octets = [_number(NUMBER_TYPES, value.get("type", "unknown"), "type of number") << 4
              | _number(NUMBER_PLANS, value.get("plan", "isdn"), "numbering plan")]
    if "presentation" in value or "screening" in value or "reason" in value:
        octets.append(
            _number(PRESENTATIONS, value.get("presentation", "allowed"), "presentation") << 5
            | _number(SCREENINGS, value.get("screening", "user_not_screened"), "screening"))
    if "reason" in value:
        octets.append(_number(REDIRECTING_REASONS, value["reason"], "redirecting reason"))
    octets[-1] |= 0x80
    return bytes(octets) + _ia5_octets(value["number"], "number")


# 4.5.12, Q.850  {"coding", "location", "cause", "recommendation"?, "diagnostics": hex}

def _decode_cause(contents):
    head, at = _group(contents, 0, "cause")
    if at >= len(contents) or not contents[at] & 0x80 or len(head) > 2:
        raise _bad("cause: no cause value")
    value = {"coding": head[0] >> 5 & 3, "location": head[0] & 15, "cause": contents[at] & 0x7F,
             "diagnostics": bytes(contents[at + 1:]).hex()}
    if len(head) > 1:
        value["recommendation"] = head[1] & 0x7F
    return value


def _encode_cause(value):
    octets = [value.get("coding", 0) << 5 | value.get("location", 0)]
    if "recommendation" in value:
        octets.append(value["recommendation"])
    octets[-1] |= 0x80
    octets.append(0x80 | value["cause"])
    return bytes(octets) + bytes.fromhex(value.get("diagnostics", ""))


# 4.5.13  {"selection": "none"|"indicated"|"any", "exclusive": bool, "d_channel": bool,
#          "interface": None|hex, "map": bool, "channels": [number]}

_SELECTIONS = ("none", "indicated", "reserved", "any")


def _decode_channel(contents):
    octet = contents[0]
    if not octet & 0x80:
        raise _bad("channel identification: octet 3 is extended")
    if not octet & 0x20:
        raise _bad("channel identification of a basic access on a primary rate")
    value = {"selection": _SELECTIONS[octet & 3], "exclusive": bool(octet & 8),
             "d_channel": bool(octet & 4), "interface": None, "map": False, "channels": []}
    at = 1
    if octet & 0x40:
        group, at = _group(contents, at, "channel identification")
        value["interface"] = bytes(group).hex()
    if value["selection"] == "reserved":
        raise _bad("channel identification: reserved channel selection")
    if value["selection"] != "indicated" or value["d_channel"] or at >= len(contents):
        return value
    if contents[at] & 0xEF != 0x83:
        raise _bad("channel identification: not an ITU-T B channel")
    value["map"] = bool(contents[at] & 0x10)
    rest = contents[at + 1:]
    if value["map"]:
        if len(rest) not in (3, 4):
            raise _bad("channel identification: slot map of %d octets" % len(rest))
        bits = int.from_bytes(rest, "big")
        # Bit 1 of the last octet is timeslot 0 of an E1, timeslot 1 of a T1.
        first = 0 if len(rest) == 4 else 1
        value["slot_octets"] = len(rest)
        value["channels"] = [n + first for n in range(len(rest) * 8) if bits >> n & 1]
    else:
        numbers, end = _group(rest, 0, "channel identification")
        if end != len(rest):
            raise _bad("channel identification: octets behind the last channel number")
        value["channels"] = [n & 0x7F for n in numbers]
    return value


def _encode_channel(value):
    octet = 0xA0 | _SELECTIONS.index(value["selection"])
    octet |= 8 if value.get("exclusive") else 0
    octet |= 4 if value.get("d_channel") else 0
    interface = value.get("interface")
    octets = [octet | (0x40 if interface else 0)] + list(bytes.fromhex(interface or ""))
    channels = value.get("channels") or []
    if not channels:
        return bytes(octets)
    if value.get("map"):
        size = value.get("slot_octets", 4)
        first = 0 if size == 4 else 1
        bits = 0
        for channel in channels:
            bits |= 1 << (channel - first)
        return bytes(octets + [0x93]) + bits.to_bytes(size, "big")
    numbers = list(channels)
    numbers[-1] |= 0x80
    return bytes(octets + [0x83] + numbers)


# 4.5.16 display, 4.5.18 keypad  {"text": str, "type": octet that says what a display of codeset 0 dialects shows, if any}

def _decode_text(contents):
    start = 1 if len(contents) and contents[0] & 0x80 else 0      # display type of codeset 0 dialects
    value = {"text": "".join([chr(octet & 0x7F) for octet in contents[start:]])}
    if start:
        value["type"] = contents[0]
    return value


def _encode_text(value):
    octets = [ord(character) for character in value["text"]]
    if octets and max(octets) > 0x7F:
        raise LocalError("display: %r has characters beyond IA5" % value["text"])
    return bytes(([value["type"] | 0x80] if "type" in value else []) + octets)


def _decode_keypad(contents):
    return {"text": _ia5(contents, "keypad facility")}


def _encode_keypad(value):
    return _ia5_octets(value["text"], "keypad facility")


# 4.5.22, 4.5.28  {"description": number} of one octet

def _decode_notification(contents):
    group, _ = _group(contents, 0, "notification indicator")
    return {"description": group[0] & 0x7F}


def _encode_notification(value):
    return bytes([0x80 | value["description"]])


# 4.5.23  {"coding", "location", "description"}

def _decode_progress(contents):
    if not contents[0] & 0x80 or not contents[1] & 0x80:
        raise _bad("progress indicator: extended octets")
    return {"coding": contents[0] >> 5 & 3, "location": contents[0] & 15,
            "description": contents[1] & 0x7F}


def _encode_progress(value):
    return bytes([0x80 | value.get("coding", 0) << 5 | value["location"],
                  0x80 | value["description"]])


# 4.5.25  {"class": 0 indicated channels, 6 one interface, 7 all interfaces}

def _decode_restart(contents):
    if contents[0] & 7 not in (0, 6, 7):
        raise _bad("restart indicator: reserved class %d" % (contents[0] & 7))
    return {"class": contents[0] & 7}


def _encode_restart(value):
    return bytes([0x80 | value["class"]])


_RAW = (_decode_octets, _encode_octets)
_NUMBER = (_decode_number, _encode_number)
_SHOWN_NUMBER = (_decode_shown_number, _encode_number)

# identifier: (name, least and most octets of contents, may repeat, decode, encode)
ELEMENTS = {
    0x04: ("bearer_capability", 2, 13, False, _decode_bearer, _encode_bearer),
    0x08: ("cause", 2, 30, False, _decode_cause, _encode_cause),
    0x10: ("call_identity", 1, 8, False) + _RAW,
    0x14: ("call_state", 1, 1, False, _decode_call_state, _encode_call_state),
    0x18: ("channel_identification", 1, 38, False, _decode_channel, _encode_channel),
    0x1C: ("facility", 1, 253, True) + _RAW,
    0x1E: ("progress_indicator", 2, 2, True, _decode_progress, _encode_progress),
    0x20: ("network_specific_facilities", 1, 253, True) + _RAW,
    0x27: ("notification_indicator", 1, 253, True, _decode_notification, _encode_notification),
    0x28: ("display", 0, 82, True, _decode_text, _encode_text),
    0x29: ("date_time", 5, 8, False) + _RAW,
    0x2C: ("keypad_facility", 1, 34, False, _decode_keypad, _encode_keypad),
    0x34: ("signal", 1, 1, False) + _RAW,
    0x4C: ("connected_number", 1, 23, False) + _SHOWN_NUMBER,
    0x4D: ("connected_subaddress", 1, 23, False) + _RAW,
    0x6C: ("calling_party_number", 1, 23, False) + _SHOWN_NUMBER,
    0x6D: ("calling_party_subaddress", 1, 23, False) + _RAW,
    0x70: ("called_party_number", 1, 23, False) + _NUMBER,
    0x71: ("called_party_subaddress", 1, 23, False) + _RAW,
    0x74: ("redirecting_number", 1, 25, True) + _SHOWN_NUMBER,
    0x76: ("redirection_number", 1, 25, False) + _NUMBER,
    0x78: ("transit_network_selection", 1, 253, True) + _RAW,
    0x79: ("restart_indicator", 1, 1, False, _decode_restart, _encode_restart),
    0x7C: ("low_layer_compatibility", 1, 16, True) + _RAW,
    0x7D: ("high_layer_compatibility", 2, 3, True) + _RAW,
    0x7E: ("user_user", 1, 129, False) + _RAW,
}
SENDING_COMPLETE = 0xA1                 # 4.5.27, a single octet: value True
IDENTIFIERS = {"sending_complete": SENDING_COMPLETE}
for _identifier in ELEMENTS:
    IDENTIFIERS[ELEMENTS[_identifier][0]] = _identifier


def decode(name, contents):
    """Decode the contents of an element.  Raises RemoteError(cause=100)."""
    _, least, most, _, function, _ = ELEMENTS[IDENTIFIERS[name]]
    if not least <= len(contents) <= most:
        raise _bad("%s of %d octets, %d to %d are allowed" % (name, len(contents), least, most))
    return function(contents)


def encode(name, value):
    """Encode an element whole (identifier, length, contents).  Raises LocalError."""
    if name == "sending_complete":
        return bytes([SENDING_COMPLETE])
    if name not in IDENTIFIERS:
        raise LocalError("Q.931 has no element %r here" % (name,))
    identifier = IDENTIFIERS[name]
    _, least, most, _, _, function = ELEMENTS[identifier]
    try:
        contents = function(value)
    except (KeyError, ValueError, TypeError) as error:
        raise LocalError("%s: %r cannot be encoded: %r" % (name, value, error))
    if not least <= len(contents) <= most:
        raise LocalError("%s of %d octets, %d to %d are allowed" % (name, len(contents), least, most))
    return bytes([identifier, len(contents)]) + contents
