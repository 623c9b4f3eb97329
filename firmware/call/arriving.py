"""How a caller's number that comes in on a trunk group is written for us: as one of our telephones would dial it.

Networks tell a number and its type (Q.931 4.5.10, Q.763 3.10): 2150801000 and "national" is what is dialled as 02150801000.  Rules of the trunk group
(caller_rules) say how; each is for numbers of one type, or any, and the one whose pattern fits best holds.  What came is kept beside it, and is what
goes on where the call leaves again.  SIP trunks have rules of their own (proto/sip/parties.py).  Portable.
"""

from firmware.proto.numbers import apply_rule, best_rule

ANY = "any"


def caller_of(rules, number, kind):
    """What a caller's number becomes: (number, type, None), or where a rule changes it (number, "unknown", {"number", "type"} as it came)."""
    fitting = [rule for rule in rules or () if rule.get("type", ANY) in (ANY, kind or "unknown")]
    rule = best_rule(fitting, number) if number else None
    if rule is None:
        return number, kind, None
    return apply_rule(rule, number), "unknown", {"number": number, "type": kind}
