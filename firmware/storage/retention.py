"""Pruning of the journal: rows older than is configured go, a few at a time; the sums of reports stay, and are checked for what is kept.

    base   what the rows that are gone said of what goes on after them: who waited, talked, was logged in and held at that moment, and
           the CDRs that were open.  Stored (machine "retention") in one transaction with the number of the last row that is gone

Three steps, each of which may be killed: fold() reads the rows to go, beside the loop, into a new base; keep() stores it, and from then
on they count as gone; delete() removes them in small transactions, and with a call's last row what is personal in it (storage/personal.py).  The sums of what is kept can so be made anew from the base and
the rows behind it (storage/figures.py).  Never beyond the last checkpoint, which a start needs.
"""

import json

from firmware.call.records import CDRProjection
from firmware.storage.figures import Figures
from firmware.storage.journal import CHECKPOINT, COLUMNS, as_records, checkpoint_of
from firmware.storage.personal import forget, named

NAME = "retention"
EMPTY = {"seq": 0, "before_ms": 0, "figures": None, "cdrs": None}


def base_of(connection):
    """The base that stands."""
    row = connection.execute("SELECT state FROM machine WHERE name = ?", (NAME,)).fetchone()
    return dict(EMPTY, **json.loads(row[0])) if row else dict(EMPTY)


def limit_of(connection):
    """Number of the last row that may go: a start replays what is behind it."""
    row = connection.execute("SELECT %s FROM journal WHERE kind = ? ORDER BY seq DESC LIMIT 1" % COLUMNS, (CHECKPOINT,)).fetchone()
    if row is None:
        return 0
    record = checkpoint_of(tuple(row))
    return record["data"].get("as_of", record["seq"] - 1)


def fold(connection, base, cutoff_ms, most, offset):
    """(new base, whether there is more to fold before cutoff_ms), in a reader's thread.  offset: function(utc_ms) of the site's time."""
    figures, cdrs = Figures(None, offset), CDRProjection()
    if base["figures"] is not None:
        figures.begin(base["figures"])
        cdrs.load(base["cdrs"])
    last, count, more = base["seq"], 0, False
    rows = connection.execute("SELECT %s FROM journal WHERE seq > ? AND seq <= ? AND kind <> ? ORDER BY seq" % COLUMNS,
                              (base["seq"], limit_of(connection), CHECKPOINT))
    for record in as_records(connection, rows):
        if record["ts_ms"] >= cutoff_ms:
            break
        if count >= most:
            more = True
            break
        figures.fold(record)
        cdrs.apply(record)
        last, count = record["seq"], count + 1
    # What is checked begins at the cutoff, also while rows before it are still there.
    return {"seq": last, "before_ms": max(base["before_ms"], cutoff_ms), "figures": figures.open(), "cdrs": cdrs.dump()}, more


def keep(connection, base):
    """Store a base (inside the caller's transaction): the rows up to its number are gone from now on."""
    connection.execute("INSERT INTO machine VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state",
                       (NAME, json.dumps(base, separators=(",", ":"))))


def delete(connection, upto, most):
    """Remove up to `most` rows with numbers up to `upto`, the oldest (inside the caller's transaction).  Returns how many."""
    gone = connection.execute("DELETE FROM journal WHERE seq IN (SELECT seq FROM journal WHERE seq <= ? AND kind <> ? ORDER BY seq LIMIT ?) RETURNING seq, call",
                              (upto, CHECKPOINT, most)).fetchall()
    if gone:
        _forget_calls(connection, {call for _, call in gone if call is not None})
        connection.execute("DELETE FROM personal WHERE call IS NULL AND seq <= ?", (max(seq for seq, _ in gone),))
    return len(gone)


def delete_cdrs(connection, before_ms, most):
    """Remove up to `most` CDRs of calls that ended before a moment (inside the caller's transaction).  Returns how many."""
    gone = connection.execute("DELETE FROM cdr WHERE number IN (SELECT number FROM cdr ORDER BY number LIMIT ?) AND ended_ms < ? RETURNING call",
                              (most, before_ms)).fetchall()
    _forget_calls(connection, {call for call, in gone})
    return len(gone)


def _forget_calls(connection, calls):
    """What is personal in calls whose rows go: of one that has none in the journal all but what its CDR names."""
    for call in calls:
        if connection.execute("SELECT 1 FROM journal WHERE call = ? LIMIT 1", (call,)).fetchone():
            continue
        row = connection.execute("SELECT caller, called, body FROM cdr WHERE call = ?", (call,)).fetchone()
        stay, look = set(), {key for text in row or () for key in named(text or "")}
        while look:                 # and what these name
            stay |= look
            values = connection.execute("SELECT value FROM personal WHERE value IS NOT NULL AND key IN (SELECT value FROM json_each(?))", (json.dumps(sorted(look)),)).fetchall()
            look = {key for value, in values for key in named(value)} - stay
        connection.execute("DELETE FROM personal WHERE call = ? AND key NOT IN (SELECT value FROM json_each(?))", (call, json.dumps(sorted(stay))))
    forget(connection)


def oldest(connection):
    """(number, ts_ms) of the oldest row, or None."""
    row = connection.execute("SELECT seq, ts_ms FROM journal WHERE kind <> ? ORDER BY seq LIMIT 1", (CHECKPOINT,)).fetchone()
    return None if row is None else (row[0], row[1])
