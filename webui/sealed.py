"""Passwords and codes on pages: a form has a token in the place of what is secret, and only this process knows what it stands for.

    seal(section, row) -> row with tokens        for the page: inputs, what a form began from, what a preview carries
    opened(section, row) -> (row, [input])       for control; inputs whose token this process does not know (any more): to be typed again
    inputs(section, row) -> {input: token}       what a preview hands on instead of what was typed

The same secret has the same token as long as the process lives, so that two people's edits can be compared.
"""

import collections
import hmac
import os

from firmware.config.schema import Rows, Secret, Section

KEPT = 4096                 # secrets that were typed or shown last; invented
HEAD = "sealed-"

_key = os.urandom(32)
_known = collections.OrderedDict()


def token(secret):
    """What stands for a secret; for "" nothing does."""
    if not secret:
        return ""
    made = HEAD + hmac.new(_key, secret.encode("utf-8", "surrogateescape"), "sha256").hexdigest()[:32]
    _known[made] = secret
    _known.move_to_end(made)
    while len(_known) > KEPT:
        _known.popitem(last=False)
    return made


def seal(section, row):
    """A copy of a row with tokens."""
    return _each(section, row, "", lambda value, name: token(value) if isinstance(value, str) else value)


def opened(section, row):
    """(a copy with the secrets themselves, names of the inputs whose token is not known)."""
    lost = []

    def secret(value, name):
        if value and value not in _known:
            lost.append(name)
        return _known.get(value, "")
    return _each(section, row, "", secret), lost


def inputs(section, row):
    """{name of the input: token} of the secrets of a row with tokens."""
    found = {}
    _each(section, row, "", lambda value, name: found.setdefault(name, value))
    return found


def _each(section, row, prefix, change):
    """A copy of a row in which change(value, name of its input) has been put in the place of each secret."""
    if not isinstance(row, dict):
        return row
    copy = dict(row)
    for name in row:
        field, here = section.fields.get(name), prefix + name
        if isinstance(field, Secret):
            copy[name] = change(row[name], here)
        elif isinstance(field, Section):
            copy[name] = _each(field, row[name], here + ".", change)
        elif isinstance(field, Rows) and isinstance(row[name], list):
            copy[name] = [_each(field.row, each, "%s.%d." % (here, place), change) for place, each in enumerate(row[name])]
    return copy
