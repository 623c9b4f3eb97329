"""Number plan: from the digits that a trunk sent to the entry they belong to.

Overlap receiving makes this a question with three answers.  Digits arrive one by
one, so a number may be known, may still become known, or can never be known:

    plan = NumberPlan([{"number": "02150801000", ...}, {"number": "0215080xxxx", ...}])
    plan.find("0215080", complete=False)  -> (MORE, None)
    plan.find("02150801000", False)       -> (MATCH, entry)
    plan.find("0215080", complete=True)   -> (INCOMPLETE, None)    Q.850 cause 28
    plan.find("99", False)                -> (UNKNOWN, None)       Q.850 cause 1

A pattern is digits (with * # and a leading +), "x" for any one digit, and may end
in "." for any further digits 0-9, none included: * # and + stand only where a pattern names
them.  The longest match wins: most fixed
digits, then the longer pattern, then the earlier entry.  While digits may still
come and a longer pattern could still match, the answer is MORE; the adapter's
inter-digit timer (T302) then decides by sending the number as complete.
Source: overlap receiving as in Q.931 5.2.4.
"""

from firmware.errors import ConfigError

MATCH = "match"
MORE = "more"
INCOMPLETE = "incomplete"
UNKNOWN = "unknown"

DIGITS = "0123456789*#"


def check_pattern(pattern, path):
    """Refuse a pattern that can never match.  Raises ConfigError."""
    body = pattern[1:] if pattern[:1] == "+" else pattern
    if body[-1:] == ".":
        body = body[:-1]
    if not body:
        raise ConfigError(path, "the number is empty; write the digits as the carrier sends them, for example 02150801000")
    for character in body:
        if character not in DIGITS and character != "x":
            raise ConfigError(path, "%r is not allowed in a number; use digits, x for any digit, and . at the end for any "
                                    "further digits" % character)


def _fits(symbol, digit):
    return symbol == digit or (symbol == "x" and digit in "0123456789")


class NumberPlan:
    """Look digits up in a list of entries (dicts with "number").  Raises ConfigError on a bad pattern."""

    def __init__(self, entries):
        self._patterns = []
        for index in range(len(entries)):
            entry = entries[index]
            pattern = entry["number"]
            check_pattern(pattern, "numbers[%d].number" % index)
            open_end = pattern[-1] == "."
            body = pattern[:-1] if open_end else pattern
            fixed = len(body) - body.count("x")
            self._patterns.append(((-fixed, -len(body), index), body, open_end, entry))
        self._patterns.sort(key=_rank)

    def find(self, digits, complete):
        """Look up the digits received so far.

        complete: no more digits will come.  Returns (MATCH, entry), or MORE, INCOMPLETE or UNKNOWN with None."""
        best = None
        longer = False
        for rank, body, open_end, entry in self._patterns:
            common = min(len(body), len(digits))
            if not _matches(body, digits, common):
                continue
            if len(digits) < len(body):
                longer = True
                continue
            if len(digits) > len(body) and not (open_end and _are_decimal(digits, len(body))):
                continue
            if best is None:
                best = entry
            if open_end:
                longer = True
        if longer and not complete:
            return MORE, None
        if best is not None:
            return MATCH, best
        return (INCOMPLETE if longer else UNKNOWN), None


def _rank(pattern):
    return pattern[0]


def _are_decimal(digits, begin):
    for index in range(begin, len(digits)):
        if digits[index] not in "0123456789":
            return False
    return True


def _matches(body, digits, count):
    for index in range(count):
        if not _fits(body[index], digits[index]):
            return False
    return True
