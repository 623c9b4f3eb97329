"""Pruning of the journal: rows older than is configured go, a few at a time; the sums of reports stay, and are checked for what is kept.

    base   what the rows that are gone said of what goes on after them: who waited, talked, was logged in and held at that moment, and
           the CDRs that were open.  Stored (machine "retention") in one transaction with the number of the last row that is gone

Three steps, each of which may be killed: fold() reads the rows to go, beside the loop, into a new base; keep() stores it, and from then
on they count as gone; delete() removes them in small transactions.  The sums of what is kept can so be made anew from the base and
the rows behind it (storage/figures.py).  Never beyond the last checkpoint, which a start needs.
"""

import json

from firmware.call.records import CDRProjection
from firmware.storage.figures import Figures
from firmware.storage.journal import CHECKPOINT, COLUMNS, as_record

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
    record = as_record(tuple(row))
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
    for row in rows:
        record = as_record(tuple(row))
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
    return connection.execute("DELETE FROM journal WHERE seq IN (SELECT seq FROM journal WHERE seq <= ? AND kind <> ? ORDER BY seq LIMIT ?)",
                              (upto, CHECKPOINT, most)).rowcount


def delete_cdrs(connection, before_ms, most):
    """Remove up to `most` CDRs of calls that ended before a moment (inside the caller's transaction).  Returns how many."""
    return connection.execute("DELETE FROM cdr WHERE number IN (SELECT number FROM cdr ORDER BY number LIMIT ?) AND ended_ms < ?",
                              (most, before_ms)).rowcount


def oldest(connection):
    """(number, ts_ms) of the oldest row, or None."""
    row = connection.execute("SELECT seq, ts_ms FROM journal WHERE kind <> ? ORDER BY seq LIMIT 1", (CHECKPOINT,)).fetchone()
    return None if row is None else (row[0], row[1])
