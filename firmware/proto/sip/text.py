"""Octets as text, character classes, numbers and tokens of SIP.

SIP text is kept as str in which each character is one octet (0-255), so nothing
the far end sends can fail to decode and everything goes out again unchanged;
only display() and octet_text() cross to real Unicode, for people.  RFC 3261 25.
"""

import binascii

try:
    _LATIN = b"\xc3\xa4".decode("latin-1") == "\xc3\xa4"
except (UnicodeError, ValueError, LookupError):
    _LATIN = False

if _LATIN:
    def text(octets):
        """Octets to octet text."""
        return octets.decode("latin-1")

    def octets(string):
        """Octet text to octets; a character above 255 becomes its UTF-8 octets."""
        try:
            return string.encode("latin-1")
        except UnicodeError:
            return octet_text(string).encode("latin-1")
else:
    # MicroPython's decode and encode know UTF-8 only
    def text(octets):
        """Octets to octet text."""
        return "".join([chr(octet) for octet in octets])

    def octets(string):
        """Octet text to octets; a character above 255 becomes its UTF-8 octets."""
        if any([ord(character) > 255 for character in string]):
            string = octet_text(string)
        return bytes([ord(character) for character in string])

DIGITS = "0123456789"
HEX = "0123456789abcdefABCDEF"
ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
TOKEN = frozenset(ALPHANUMERIC + "-.!%*_+`'~")
WORD = frozenset(ALPHANUMERIC + "-.!%*_+`'~()<>:\\\"/[]?{}")
UNRESERVED = frozenset(ALPHANUMERIC + "-_.!~*'()")
_DIGIT_SET = frozenset(DIGITS)
_HEX_SET = frozenset(HEX)


def octet_text(unicode_text):
    """Unicode to octet text (UTF-8), for display names that control gives us."""
    return text(unicode_text.encode("utf-8"))


def display(octet_string):
    """Octet text to Unicode for people: UTF-8, or as it stands where it is not UTF-8."""
    try:
        return octets(octet_string).decode("utf-8")
    except (UnicodeError, ValueError):
        return octet_string


def is_token(string):
    """True for one or more token characters."""
    return bool(string) and TOKEN.issuperset(string)


def is_word(string):
    """True for one or more word characters (Call-ID)."""
    return bool(string) and WORD.issuperset(string)


def is_digits(string):
    """True for one or more ASCII digits (str.isdigit takes superscripts too)."""
    return bool(string) and _DIGIT_SET.issuperset(string)


def is_hex(string):
    """True for one or more hexadecimal digits."""
    return bool(string) and _HEX_SET.issuperset(string)


def number(string, highest):
    """ASCII digits to int, or None where they are none or the value is above highest."""
    if not is_digits(string) or len(string) > 64:
        return None
    value = int(string)
    return value if value <= highest else None


def hexadecimal(some_octets):
    """Lower-case hexadecimal text of octets."""
    return binascii.hexlify(some_octets).decode()


def same_text(one, other):
    """Compare in a time that does not tell where two strings differ."""
    difference = len(one) ^ len(other)
    for index in range(min(len(one), len(other))):
        difference |= ord(one[index]) ^ ord(other[index])
    return difference == 0


def quote(string):
    """A quoted-string of octet text; control characters that cannot stand in it become spaces."""
    out = ['"']
    for character in string:
        if character in '"\\':
            out.append("\\")
        out.append(" " if character < " " or character == "\x7f" else character)
    out.append('"')
    return "".join(out)


def unquote(string):
    """Text of a quoted-string with its quoted pairs undone; another string unchanged."""
    if len(string) < 2 or string[0] != '"' or string[-1] != '"':
        return string
    string = string[1:-1]
    if "\\" not in string:
        return string
    out = []
    escaped = False
    for character in string:
        if not escaped and character == "\\":
            escaped = True
        else:
            out.append(character)
            escaped = False
    return "".join(out)


def unescape(string):
    """Undo %HH escapes; a percent sign that starts none stays."""
    if "%" not in string:
        return string
    parts = string.split("%")
    out = [parts[0]]
    for part in parts[1:]:
        if is_hex(part[:2]) and len(part) >= 2:
            out.append(chr(int(part[:2], 16)) + part[2:])
        else:
            out.append("%" + part)
    return "".join(out)


def escape(string, allowed):
    """%HH for each character that is not in allowed (a frozenset)."""
    if allowed.issuperset(string):
        return string
    return "".join([c if c in allowed else "%%%02X" % ord(c) for c in string])


def split_outside(string, separator):
    """Split at a separator that stands outside quoted strings and angle brackets.

    Returns the parts, or None where a quote or bracket is not closed."""
    if '"' not in string:
        if "<" not in string:
            return string.split(separator)
        if separator not in string:
            return None if string.rfind("<") > string.rfind(">") else [string]
    parts = []
    start = 0
    quoted = escaped = bracketed = False
    for index, character in enumerate(string):
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character == "<":
            bracketed = True
        elif character == ">":
            bracketed = False
        elif character == separator and not bracketed:
            parts.append(string[start:index])
            start = index + 1
    if quoted or bracketed:
        return None
    parts.append(string[start:])
    return parts
