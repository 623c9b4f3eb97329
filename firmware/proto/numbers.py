"""Rules that say how numbers are rewritten: which of them a number falls under.

A rule's "number": digits, x any digit, . at the end any further digits; "." alone is every number.  "strip" characters are taken away, "prefix" is put
before what is left.  Portable."""


def best_rule(rules, number):
    """The rule whose pattern fits best, that is with most fixed digits, or None."""
    best = None
    for rule in rules or ():
        pattern = rule["number"]
        body = pattern[:-1] if pattern[-1:] == "." else pattern
        if len(number) < len(body) or (len(number) > len(body) and body is pattern):
            continue
        if all([symbol == digit or (symbol == "x" and digit in "0123456789") for symbol, digit in zip(body, number)]):
            rank = (len(body) - body.count("x"), len(body))
            if best is None or rank > best[0]:
                best = (rank, rule)
    return None if best is None else best[1]


def apply_rule(rule, number):
    """The number that a rule makes of one that it fits."""
    return rule.get("prefix", "") + number[rule.get("strip", 0):]
