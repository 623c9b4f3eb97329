"""What a journal record says, for a person: [(name, text)], without what only the machine needs."""

import datetime
import zoneinfo

MACHINE = {"actions", "guard_ms", "token", "key", "order", "as_of"}     # bookkeeping of the core
LONG_AGO_MS = 10**11            # above it a number of milliseconds is a moment, below a duration
LONGEST = 200                   # characters of a value; a whole flow can be one
LATEST_MS = 253_402_300_799_000     # the end of the year 9999, the last that datetime knows


def told(data, zone="UTC"):
    """data: of a record, or None.  A caller whose presentation is restricted is left out (Q.931 4.5.10)."""
    data = data or {}
    hidden = MACHINE | ({"caller", "caller_name"} if data.get("caller_presentation") == "restricted" else set())
    found = []
    for name, value in data.items():
        if name in hidden or nothing(value):
            continue
        if isinstance(value, dict):
            found += [(inner.removesuffix("_ms"), words(inner, each, zone)) for inner, each in value.items()
                      if each != 0 and not nothing(each)]      # counters that have not begun
        else:
            found.append((name.removesuffix("_ms"), words(name, value, zone)))
    return found


def nothing(value):
    """Whether a value says nothing: None or empty."""
    return value is None or value == "" or value == [] or value == {}


def words(name, value, zone):
    """A value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_ms") and isinstance(value, (int, float)):
        if LONG_AGO_MS < value < LATEST_MS:
            return f"{datetime.datetime.fromtimestamp(value / 1000, zoneinfo.ZoneInfo(zone)):%H:%M:%S}"
        return f"{value / 1000:g} s"
    if isinstance(value, dict):
        plain = all(isinstance(each, str) for each in value.values())
        return cut(" ".join(str(each) if plain else f"{inner} {words(inner, each, zone)}" for inner, each in value.items()
                            if each is not False and not nothing(each)))
    if isinstance(value, (list, tuple)):
        return cut(", ".join(words("", each, zone) for each in value))
    return cut(str(value))


def cut(text):
    """Text that fits into a line or two."""
    return text if len(text) <= LONGEST else text[:LONGEST] + "\N{HORIZONTAL ELLIPSIS}"
