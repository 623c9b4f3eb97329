"""Tickets, notes and dispositions of the desk as they are read: projections of the journal (desk.py), texts beside them.

Which states a ticket goes through, and what its template asks for, is checked here before anything is written: check_fields, NEXT."""

import json
import re

from firmware.storage.desk import text
from firmware.storage.desk_customers import plain

STATES = ("new", "open", "waiting", "solved", "closed")
NEXT = {"new": ("open", "waiting", "solved", "closed"), "open": ("waiting", "solved", "closed"), "waiting": ("open", "solved", "closed"),
        "solved": ("open", "closed"), "closed": ("open",)}
LONGEST = 4000
_DATE = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\Z")
COLUMNS = "number, revision, template, state, owner, queue, customer, priority, due_ms, opened_ms, changed_ms, closed_ms, key"


def check_fields(template, values, closing, country="86"):
    """(values as they are kept, errors [(field, advice)]).  template: row of ticket_templates; closing: also what must stand at the end."""
    errors, kept, known = [], {}, {row["name"]: row for row in template["fields"]}
    for name in values:
        if name not in known:
            errors.append((name, "is no field of the template %s; it has %s" % (template["name"], ", ".join(known) or "none")))
    for name, row in known.items():
        value = values.get(name)
        if value in (None, ""):
            if row["required"] == "open" or closing and row["required"] == "close":
                errors.append((name, "must be given before the ticket is %s" % ("closed" if row["required"] == "close" else "opened")))
            continue
        advice = _wrong(row, value, country)
        if advice:
            errors.append((name, advice))
        else:
            kept[name] = plain(value, country) if row["type"] == "number" else value
    return kept, errors


def _wrong(row, value, country):
    """What is wrong with a value, or None."""
    kind = row["type"]
    if kind == "flag":
        return None if isinstance(value, bool) else "must be true or false"
    if kind == "whole":
        good = isinstance(value, int) and not isinstance(value, bool) and row["least"] <= value <= row["most"]
        return None if good else "must be a whole number from %d to %d" % (row["least"], row["most"])
    if not isinstance(value, str) or len(value) > LONGEST or any(ord(c) < 32 and c not in "\n\t" for c in value):
        return "must be a text of at most %d characters" % LONGEST
    if kind == "choice":
        return None if value in row["choices"] else "must be one of %s" % ", ".join(row["choices"])
    if kind == "date":
        return None if _DATE.match(value) else "must be a date such as 2026-11-23"
    if kind == "number":
        return None if plain(value, country) else "must be a telephone number"
    if row["pattern"] and not re.fullmatch(row["pattern"], value):
        return "does not fit %s" % (row["hint"] or row["pattern"])
    return None


def number_of(ticket):
    """The number in a ticket's id, or None."""
    return int(ticket[1:]) if re.fullmatch(r"t[0-9]{1,15}", ticket or "") else None


def _row(db, row):
    found = dict(zip(COLUMNS.split(", "), row))
    content = text(db, found["key"])
    found["ticket"] = "t%d" % found.pop("number")
    found["erased"] = content is None and found["key"] is not None
    found.update({"title": (content or {}).get("title", ""), "fields": (content or {}).get("fields", {})})
    return found


def get(db, ticket):
    """A ticket with its history and calls, or None."""
    number = number_of(ticket)
    row = db.execute("SELECT %s FROM ticket WHERE number = ?" % COLUMNS, (number,)).fetchone() if number is not None else None
    if row is None:
        return None
    found = _row(db, row)
    found["calls"] = [one[0] for one in db.execute("SELECT call FROM ticket_call WHERE ticket = ? ORDER BY length(call), call", (number,))]
    found["history"] = []
    for seq, ts_ms, by, data in db.execute("SELECT seq, ts_ms, by, data FROM ticket_event WHERE ticket = ? ORDER BY seq", (number,)):
        changes = json.loads(data)
        comment = changes.pop("comment", None)
        key = changes.pop("key", None)
        entry = {"seq": seq, "ts_ms": ts_ms, "by": by, "changes": changes}
        if comment is not None:
            entry["comment"] = (text(db, comment) or {}).get("text")
        if key is not None:
            entry["content"] = text(db, key)
        found["history"].append(entry)
    return found


def page(db, before=None, limit=50, **wanted):
    """Tickets, newest first.  wanted: state("unfinished": none of solved, closed) owner queue template customer call."""
    where, values = ["number < ?"], [before if before is not None else 1 << 62]
    for name, value in wanted.items():
        if value is None:
            continue
        if name == "call":
            where.append("number IN (SELECT ticket FROM ticket_call WHERE call = ?)")
            values.append(value)
        elif name == "state" and value == "unfinished":
            where.append("state IN ('new', 'open', 'waiting')")
        else:
            where.append("%s = ?" % {"state": "state", "owner": "owner", "queue": "queue", "template": "template", "customer": "customer"}[name])
            values.append(value)
    rows = db.execute("SELECT %s FROM ticket WHERE %s ORDER BY number DESC LIMIT ?" % (COLUMNS, " AND ".join(where)), (*values, limit)).fetchall()
    return [_row(db, row) for row in rows]


def of_calls(db, calls):
    """Ids of the tickets that belong to calls, newest first."""
    marks = ",".join("?" * len(calls))
    return ["t%d" % row[0] for row in db.execute("SELECT DISTINCT ticket FROM ticket_call WHERE call IN (%s) ORDER BY ticket DESC" % marks, tuple(calls))]


def notes(db, call):
    """Notes on a call, oldest first."""
    return [{"ts_ms": ts_ms, "agent": agent, "by": by, "text": (text(db, key) or {}).get("text")} for ts_ms, agent, by, key in
            db.execute("SELECT ts_ms, agent, by, key FROM note WHERE call = ? ORDER BY seq", (call,)).fetchall()]


def dispositions(db, call):
    """What agents say that a call was about."""
    return [{"ts_ms": ts_ms, "agent": agent or None, "queue": queue, "code": code, "text": (text(db, key) or {}).get("text")}
            for agent, ts_ms, queue, code, key in
            db.execute("SELECT agent, ts_ms, queue, code, key FROM disposition WHERE call = ? ORDER BY seq", (call,)).fetchall()]


def disposition_counts(db, from_ms, to_ms):
    """[{"queue", "code"(None: missing), "agent", "count"}] of a time."""
    return [dict(zip(("queue", "code", "agent", "count"), row)) for row in db.execute(
        "SELECT queue, code, agent, count(*) FROM disposition WHERE ts_ms >= ? AND ts_ms < ? GROUP BY queue, code, agent ORDER BY queue, code, agent",
        (from_ms, to_ms))]
