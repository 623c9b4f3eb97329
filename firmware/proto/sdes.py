"""Keys for SRTP in session descriptions: the crypto attribute of RFC 4568, suites of it and of RFC 6188 and 7714.

    sdes.lines({suite: key text}) -> ["a=crypto:1 ...", ...]     an offer; every suite has a key of its own
    sdes.choose(attributes, wanted) -> (tag, suite, their key) or None
    sdes.line(tag, suite, key)                                  an answer: the tag of what was chosen

A key is the base64 text of master key and salt.  Only what carries no session parameter that changes the packets
is taken (no UNENCRYPTED_*, no KDR, one key, no key from a list by MKI, RFC 4568 6.3); the lifetime is accepted, since no call lasts
2^31 packets.  Portable.
"""

import binascii

# Ours, in the order of our offers: suite -> octets of master key and salt.  The first is what every telephone has.
KEY_OCTETS = {"AES_CM_128_HMAC_SHA1_80": 30, "AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44, "AES_CM_128_HMAC_SHA1_32": 30}
SUITES = ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_32")
MOST = 16                   # ours: crypto attributes looked at
_HARMLESS = ("WSH",)        # a hint about the window only (6.3.7)


def new_keys(random):
    """{suite: key text} from random(count) -> octets."""
    keys = {}
    for suite in SUITES:
        keys[suite] = binascii.b2a_base64(random(KEY_OCTETS[suite])).decode("ascii").strip()
    return keys


def key_octets(suite, text):
    """The octets of a key text, None where it is none of that suite."""
    if suite not in KEY_OCTETS or not isinstance(text, str) or len(text) > 64:
        return None
    try:
        octets = binascii.a2b_base64(text.encode("ascii"))
    except (ValueError, UnicodeError):
        return None
    if len(octets) != KEY_OCTETS[suite] or binascii.b2a_base64(octets).decode("ascii").strip() != text:
        return None
    return octets


def lines(keys):
    """The attributes of an offer, as lines."""
    return [line(place + 1, suite, keys[suite]) for place, suite in enumerate([s for s in SUITES if s in keys])]


def line(tag, suite, key):
    """One attribute as a line."""
    return "a=crypto:%d %s inline:%s" % (tag, suite, key)


def _one(value):
    """(tag, suite, key) of an attribute's value, or None where we cannot use it."""
    pieces = value.split()
    if len(pieces) < 3 or not 1 <= len(pieces[0]) <= 9 or any([c not in "0123456789" for c in pieces[0]]):
        return None
    tag, suite, key = int(pieces[0]), pieces[1].upper(), pieces[2]
    if any([parameter.split("=")[0] not in _HARMLESS for parameter in pieces[3:]]) or ";" in key:
        return None
    method, colon, information = key.partition(":")
    if method.lower() != "inline" or not colon:
        return None
    fields = information.split("|")
    if any([":" in field for field in fields[1:]]):
        return None             # an MKI: packets would carry it
    if key_octets(suite, fields[0]) is None:
        return None
    return tag, suite, fields[0]


def choose(attributes, wanted):
    """The first attribute that fits, in the far end's order.  wanted: names of suites."""
    for value in attributes[:MOST]:
        found = _one(value or "")
        if found is not None and found[1] in wanted:
            return found
    return None
