"""The caller's name: text <-> elements of SETUP or FACILITY.

Three ways: a plain display; a display whose first octet says what it shows
(0xB1: the calling party's name); a Facility element with the invoke
callingName of ISO/IEC 13868 (QSIG) or ANSI T1.641 (National ISDN).  Names are
shown, never acted upon: what cannot be read is no name, and no fault.
"""

CALLING_NAME_DISPLAY = 0xB1
_PROFILES = (0x91, 0x92, 0x9F)          # ROSE, CMIP, networking extensions: octet 3 of Facility
_LEADING = (0xAA, 0x8B)                 # network facility extension, interpretation (ISO/IEC 11582 11.3)
_HEAD = {
    # networking extensions; from end to end (QSIG only); who does not know it discards it
    "facility_qsig": bytes.fromhex("9f" "aa06800100820100" "8b0100"),
    "facility_ni": bytes.fromhex("9f" "8b0100"),
}
_OPERATION = {
    "facility_qsig": bytes.fromhex("020100"),           # local value 0
    "facility_ni": bytes.fromhex("06072a8648ce150004"), # 1.2.840.10005.0.4
}
_GLOBAL_QSIG = bytes.fromhex("06042b0c0900")            # 1.3.12.9.0, the same as a global value
_MOST = {"facility_qsig": 50, "facility_ni": 15, "display": 20, "typed_display": 15}
_INVOKE_ID = bytes.fromhex("020101")


def content(name, way):
    """Elements that carry a name.  way: a value of caller_name in variants.py; None: nothing.

    A character that is not IA5 goes as "?"; what is too long is cut."""
    if not name or way is None:
        return {}
    text = "".join([c if 0x20 <= ord(c) <= 0x7E else "?" for c in name])[:_MOST[way]]
    if way == "display":
        return {"display": [{"text": text}]}
    if way == "typed_display":
        return {"display": [{"text": text, "type": CALLING_NAME_DISPLAY}]}
    data = bytes([ord(c) for c in text])
    invoke = _INVOKE_ID + _OPERATION[way] + bytes([0x80, len(data)]) + data
    return {"facility": [{"octets": (_HEAD[way] + bytes([0xA1, len(invoke)]) + invoke).hex()}]}


def of_message(message):
    """The name in a SETUP or FACILITY, or None: of a Facility, else of a display.

    A display that does not say what it shows is the caller's name in a SETUP only."""
    for value in message.elements.get("facility", []):
        name = _of_facility(bytes.fromhex(value["octets"]))
        if name:
            return name
    for value in message.elements.get("display", []):
        known = value.get("type") == CALLING_NAME_DISPLAY or ("type" not in value and message.kind == "SETUP")
        if known and value["text"].strip():
            return value["text"].strip()
    return None


def _items(octets):
    """[(tag, contents)] of BER with short tags and lengths below 128 in one octet or below 256 in two.

    It ends where the octets cannot be read on."""
    found, at = [], 0
    while at + 2 <= len(octets):
        tag, size, start = octets[at], octets[at + 1], at + 2
        if size == 0x81 and at + 3 <= len(octets):
            size, start = octets[at + 2], at + 3
        if (size & 0x80 and start == at + 2) or start + size > len(octets):
            break
        found.append((tag, octets[start:start + size]))
        at = start + size
    return found


def _of_facility(octets):
    if not octets or octets[0] not in _PROFILES:
        return None
    for tag, component in _items(octets[1:]):
        if tag in _LEADING or tag != 0xA1:
            continue
        items = _items(component)
        if len(items) < 3 or items[0][0] != 2:
            continue
        operation = bytes([items[1][0], len(items[1][1])]) + bytes(items[1][1])
        if operation in (_OPERATION["facility_qsig"], _OPERATION["facility_ni"], _GLOBAL_QSIG):
            return _of_argument(items[2])
    return None


def _of_argument(item):
    """Name of ISO/IEC 13868: [0] allowed, [1] allowed with its character set; [2] to [7] are not to be shown."""
    tag, contents = item
    if tag == 0x30:                     # with extensions
        inner = _items(contents)
        return _of_argument(inner[0]) if inner else None
    if tag == 0xA1:
        inner = _items(contents)
        contents = inner[0][1] if inner and inner[0][0] == 4 else b""
    elif tag != 0x80:
        return None
    text = "".join([chr(o) if 0x20 <= o <= 0x7E or o >= 0xA0 else "?" for o in contents]).strip()
    return text or None
