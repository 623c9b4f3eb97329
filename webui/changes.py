"""What a change of the configuration does, row by row: for the preview before it is applied, and for the history.

Rows are told by their key (span 3, route 90.), not by their place, so that a row taken out is one line and not a change of all that follow.

    between(old, new) -> [{"part", "row", "kind"(changed|added|removed|moved), "field", "old", "new", "impact"}]
    merged(began, now, mine) -> (row, [field that both changed])     two people at one row
"""

from firmware.config.schema import SCHEMA, Rows, Secret, Section

SHOWN = 200                 # characters of a value; invented
FEW = 8                     # values of a list that are named; invented
HIDDEN = "•••"              # a password or a code


def between(old, new):
    """What differs between two whole configurations, in the order of the schema."""
    found = []
    for part, field in SCHEMA.fields.items():
        before, after = old.get(part), new.get(part)
        if part == "revision" or before == after:
            continue
        if isinstance(field, Rows) and field.key:
            found += _rows(part, field, before or [], after or [])
        else:
            found += [{"part": part, "row": None, "kind": "changed", **one} for one in _fields(field, before, after, "")]
    return found


def _rows(part, field, before, after):
    old, new = ({row.get(field.key): row for row in rows} for rows in (before, after))
    found = []
    for key, row in old.items():
        if key not in new:
            found.append({"part": part, "row": key, "kind": "removed", "field": "", "old": None, "new": None, "impact": field.row.fields[field.key].impact})
        elif row != new[key]:
            found += [{"part": part, "row": key, "kind": "changed", **one} for one in _fields(field.row, row, new[key], "")]
    for key, row in new.items():
        if key not in old:
            given = [one for one in _fields(field.row, _empty(field.row), row, "") if one["field"] != field.key]
            found += [{"part": part, "row": key, "kind": "added", **one} for one in given] or [
                {"part": part, "row": key, "kind": "added", "field": "", "old": None, "new": None, "impact": field.row.fields[field.key].impact}]
    stay = [key for key in old if key in new]
    if stay != [key for key in new if key in old]:
        found.append({"part": part, "row": None, "kind": "moved", "field": "", "old": text(stay), "new": text([key for key in new if key in old]), "impact": field.impact})
    return found


def _empty(section):
    return {name: field.make_default() if hasattr(field, "make_default") else field.default for name, field in section.fields.items()}


def _fields(field, before, after, path):
    """Changes inside one value: [{"field", "old", "new", "impact"}]."""
    if before == after:
        return []
    if isinstance(field, Section) and isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name, inner in field.fields.items():
            found += _fields(inner, before.get(name), after.get(name), path + "." + name if path else name)
        return found
    if isinstance(field, Rows) and isinstance(before, list) and isinstance(after, list):
        found = []
        for place in range(max(len(before), len(after))):
            one, other = (rows[place] if place < len(rows) else None for rows in (before, after))
            here = "%s.%d" % (path, place + 1)
            if one is not None and other is not None:
                found += _fields(field.row, one, other, here)
            elif other is not None:
                found += _fields(field.row, _empty(field.row), other, here)
            else:
                found.append({"field": here, "old": text(one), "new": None, "impact": field.impact})
        return found
    if isinstance(field, Secret):
        return [{"field": path, "old": HIDDEN if before else "", "new": HIDDEN if after else "", "impact": field.impact}]
    old, new = (text(before), text(after)) if not _is_plain_list(before, after) else _lists(before, after)
    return [{"field": path, "old": old, "new": new, "impact": field.impact}]


def _is_plain_list(before, after):
    return isinstance(before, list) and isinstance(after, list) and len(before) + len(after) > FEW


def _lists(before, after):
    """Of long lists only what comes and goes."""
    old, new = {str(value) for value in before}, {str(value) for value in after}
    return _some([value for value in map(str, before) if value not in new]), _some([value for value in map(str, after) if value not in old])


def _some(values):
    return ", ".join(values[:FEW]) + (" … (%d)" % len(values) if len(values) > FEW else "")


def text(value):
    """A value as it stands in a table; None: nothing."""
    if isinstance(value, dict):
        value = ", ".join("%s %s" % (name, text(inner)) for name, inner in value.items() if inner not in (None, "", [], {}))
    elif isinstance(value, list):
        value = ", ".join(str(text(one)) for one in value)
    elif value is not None and not isinstance(value, bool):
        value = str(value)
    return value if not isinstance(value, str) or len(value) <= SHOWN else value[:SHOWN] + "…"


def merged(began, now, mine):
    """Two people have changed one row: what each changed alone, and of what both changed mine.

    began: the row that I began from; now: as somebody has left it.  Returns (row, names of the fields that both changed)."""
    row, both = {}, []
    for name in list(dict.fromkeys([*now, *mine])):
        theirs_changed, mine_changed = now.get(name) != began.get(name), mine.get(name) != began.get(name)
        row[name] = mine.get(name) if mine_changed or not theirs_changed else now.get(name)
        if theirs_changed and mine_changed and now.get(name) != mine.get(name):
            both.append(name)
    return row, both
