"""Patterns for entries: a small part of regular expressions, matched in time that grows with text times pattern.

    .  any character      \\d  a digit      [a-z0-9]  one of, [^...] none of      \\x  the character x
    ?  *  +  {n}  {n,m}   how often the last one      |  at the top level: or

No groups, nothing is looked back for: no pattern of a flow can make the switch slow, as one with nested
repetition does in Python's re.  A pattern fits the whole text.
"""

from firmware.errors import LocalError

LONGEST = 100           # characters of a pattern
MOST = 64               # of a repetition


def matches(pattern, text):
    """Whether a pattern fits the whole text.  Raises LocalError on a pattern that is none."""
    for part in compile(pattern):
        if _fits(part, text):
            return True
    return False


def compile(pattern):
    """[[(set of characters or None, negated, least, most or None)]] of a pattern.  Raises LocalError."""
    if not isinstance(pattern, str) or len(pattern) > LONGEST:
        raise LocalError("a pattern is a text of at most %d characters" % LONGEST)
    parts, now, at = [], [], 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "|":
            parts.append(now)
            now = []
            continue
        if character in "?*+{":
            if not now or now[-1][2:] != (1, 1):
                raise LocalError("in %r nothing stands before %r that could be repeated" % (pattern, character))
            least, most, at = _repetition(pattern, character, at)
            now[-1] = now[-1][:2] + (least, most)
            continue
        if character in "()}]^$":
            raise LocalError("%r has no meaning in %r; groups and anchors are not known, write \\%s for the character" % (character, pattern, character))
        if character == ".":
            found = (None, False)
        elif character == "[":
            found, at = _class(pattern, at)
        elif character == "\\":
            if at >= len(pattern):
                raise LocalError("%r ends in a backslash" % pattern)
            found = ("0123456789" if pattern[at] == "d" else pattern[at], False)
            at += 1
        else:
            found = (character, False)
        now.append(found + (1, 1))
    parts.append(now)
    return parts


def _repetition(pattern, character, at):
    if character == "?":
        return 0, 1, at
    if character in "*+":
        return (0 if character == "*" else 1), None, at
    end = pattern.find("}", at)
    numbers = pattern[at:end].split(",") if end > 0 else []
    if len(numbers) not in (1, 2) or False in [number.isdigit() and len(number) < 3 for number in numbers]:
        raise LocalError("in %r a repetition is {n} or {n,m}" % pattern)
    least, most = int(numbers[0]), int(numbers[-1])
    if least > most or most > MOST:
        raise LocalError("in %r a repetition goes from less to more, at most %d" % (pattern, MOST))
    return least, most, end + 1


def _class(pattern, at):
    negated = pattern[at:at + 1] == "^"
    if negated:
        at += 1
    found = ""
    while at < len(pattern) and pattern[at] != "]":
        if pattern[at] == "\\" and at + 1 < len(pattern):
            at += 1
            found += "0123456789" if pattern[at] == "d" else pattern[at]
            at += 1
        elif pattern[at + 1:at + 2] == "-" and pattern[at + 2:at + 3] not in ("", "]"):
            low, high = ord(pattern[at]), ord(pattern[at + 2])
            if low > high or high - low > 200:
                raise LocalError("in %r the range %s is none" % (pattern, pattern[at:at + 3]))
            found += "".join([chr(code) for code in range(low, high + 1)])
            at += 3
        else:
            found += pattern[at]
            at += 1
    if at >= len(pattern) or not found:
        raise LocalError("in %r a class is empty or does not end" % pattern)
    return (found, negated), at + 1


def _fits(part, text):
    """All places that can be reached, element by element."""
    places = [0]
    for characters, negated, least, most in part:
        reached = {}
        now, count = places, 0
        if least == 0:
            for place in now:
                reached[place] = True
        while now and (most is None or count < most):
            on = {}
            for place in now:
                if place < len(text) and (characters is None or (text[place] in characters) != negated):
                    on[place + 1] = True
            count += 1
            fresh = []
            for place in on:
                if count < least or place not in reached:
                    fresh.append(place)
                    if count >= least:
                        reached[place] = True
            now = fresh
        places = list(reached)
        if not places:
            return False
    return len(text) in places
