"""JSON at the borders: what may come in, and text that can always be written.

Python holds halves of characters ("\\ud800" alone) that no UTF-8 file, database or socket takes, and
nests deeper than its own writers do.  Neither may come in from a user: parse() refuses them.
What the far end of a line sent cannot be refused, since the call must go on: clean() makes it writable.
"""

import json
from json import encoder as _json

DEEPEST = 64        # levels of lists and objects; invented: a configuration has 7
BROKEN = "holds half a character (a lone UTF-16 surrogate); write it again"


def encoder(ensure_ascii=False, sort_keys=False):
    """A function(value) that gives compact JSON text, as json.dumps() does; the standard library makes a new encoder in C for each text, which costs
    more than a small text.  Raises TypeError, ValueError and RecursionError (circular data, too)."""
    usual = json.JSONEncoder(ensure_ascii=ensure_ascii, check_circular=False, separators=(",", ":"), sort_keys=sort_keys)
    if _json.c_make_encoder is None:
        return usual.encode
    strings = _json.encode_basestring_ascii if ensure_ascii else _json.encode_basestring
    pieces = _json.c_make_encoder(None, usual.default, strings, None, ":", ",", sort_keys, False, True)
    return lambda value: "".join(pieces(value, 0))


_ENCODE = encoder()


def writable(text):
    """Whether a text can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def broken(value, path=""):
    """The first thing that is wrong with plain data, as (path, sentence), or None."""
    level, depth = [(path, value)], 0
    while level:
        depth += 1
        below = []
        for at, found in level:
            if isinstance(found, str):
                if not writable(found):
                    return at, BROKEN
            elif isinstance(found, float):
                if found - found != 0:          # 1e999 is read as infinite, and no JSON can say that
                    return at, "is a number beyond 1e308; give a smaller one"
            elif isinstance(found, dict):
                for key, inner in found.items():
                    if isinstance(key, str) and not writable(key):
                        return at, "a name in it " + BROKEN
                    below.append(("%s.%s" % (at, key) if at else str(key), inner))
            elif isinstance(found, (list, tuple)):
                below += [("%s[%d]" % (at, index), inner) for index, inner in enumerate(found)]
        if below and depth > DEEPEST:
            return below[0][0][:100], "lies deeper than %d levels; make it flatter" % DEEPEST
        level = below
    return None


def once(pairs):
    """An object of JSON; what stands in it twice would be lost without a word.  Raises ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError("%s stands twice in one object; keep one of them" % next(name for name in names if names.count(name) > 1)[:60])
    return found


def _constant(name):
    raise ValueError("%s is no number of JSON" % name)


def parse(octets, pairs=None):
    """The value of a JSON text in UTF-8.  pairs: once() where a name may not stand twice.  Raises ValueError with a sentence for what cannot be taken in."""
    try:
        value = json.loads(octets.decode(), parse_constant=_constant, object_pairs_hook=pairs)
    except UnicodeDecodeError:
        raise ValueError("it is not written in UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested deeper than %d levels" % DEEPEST) from None
    wrong = broken(value)
    if wrong is not None:
        raise ValueError("%s %s" % (wrong[0] or "it", wrong[1]))
    return value


def encode(value):
    """JSON as octets; never fails on text: what cannot be written becomes a question mark."""
    return _ENCODE(value).encode("utf-8", "replace")


def clean(value):
    """Plain data that can be written: the value itself where it can, else a copy with question marks.

    What is no plain data becomes its text."""
    try:
        _ENCODE(value).encode()         # nearly all can; the encoder finds out in a tenth of the time
        return value
    except (TypeError, ValueError, RecursionError):
        return _clean(value)


def _clean(value):
    if isinstance(value, str):
        return value if writable(value) else value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, dict):
        new = {_clean(key): _clean(inner) for key, inner in value.items()}
        same = all(a is b for a, b in zip(new, value)) and all(a is b for a, b in zip(new.values(), value.values()))
        return value if same and len(new) == len(value) else new
    if isinstance(value, (list, tuple)):
        new = [_clean(inner) for inner in value]
        return value if all(a is b for a, b in zip(new, value)) else new
    return _clean(str(value))
