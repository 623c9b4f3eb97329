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


class _Node:
    """Where all patterns stand that begin with the same symbols."""

    def __init__(self):
        self.next = {}              # symbol of a pattern -> node
        self.whole = None           # (rank, entry) of the best pattern that ends here
        self.open = None            # ... of the best one that ends here in "."


class NumberPlan:
    """Look digits up in a list of entries (dicts with "number").  Raises ConfigError on a bad pattern.

    The patterns are kept as a tree, so that thousands of them cost a number no more than a few do."""

    def __init__(self, entries):
        self._root = _Node()
        for index in range(len(entries)):
            entry = entries[index]
            pattern = entry["number"]
            check_pattern(pattern, "numbers[%d].number" % index)
            open_end = pattern[-1] == "."
            body = pattern[:-1] if open_end else pattern
            found = ((-(len(body) - body.count("x")), -len(body), index), entry)
            node = self._root
            for symbol in body:
                if symbol not in node.next:
                    node.next[symbol] = _Node()
                node = node.next[symbol]
            if open_end:
                node.open = _better(node.open, found)
            else:
                node.whole = _better(node.whole, found)

    def find(self, digits, complete):
        """Look up the digits received so far.

        complete: no more digits will come.  Returns (MATCH, entry), or MORE, INCOMPLETE or UNKNOWN with None."""
        count = len(digits)
        signs = count                   # from here on there are digits 0-9 only
        while signs and digits[signs - 1] in "0123456789":
            signs -= 1
        best, longer, nodes = None, False, [self._root]
        for index in range(count):
            digit, further = digits[index], []
            for node in nodes:
                if node.open is not None and index >= signs:
                    best, longer = _better(best, node.open), True
                if digit in node.next and digit != "x":
                    further.append(node.next[digit])
                if "x" in node.next and digit in "0123456789":
                    further.append(node.next["x"])
            nodes = further
        for node in nodes:
            best = _better(_better(best, node.whole), node.open)
            longer = longer or node.open is not None or len(node.next) > 0
        if longer and not complete:
            return MORE, None
        if best is not None:
            return MATCH, best[1]
        return (INCOMPLETE if longer else UNKNOWN), None


    def settled(self, digits):
        """The open entry that digits belong to whatever follows them, or None: no other pattern can still win."""
        nodes, best = [self._root], None
        for index in range(len(digits)):
            digit, further = digits[index], []
            for node in nodes:
                if node.open is not None and digits[index:].isdigit():
                    best = _better(best, node.open)
                if digit in node.next and digit != "x":
                    further.append(node.next[digit])
                if "x" in node.next and digit in "0123456789":
                    further.append(node.next["x"])
            nodes = further
        for node in nodes:
            best = _better(best, node.open)
            if len(node.next) > 0 or node.whole is not None:
                return None
        return None if best is None else best[1]


def _better(one, other):
    """Of two (rank, entry), None for none, the one whose rank is lower."""
    if one is None or (other is not None and other[0] < one[0]):
        return other
    return one
