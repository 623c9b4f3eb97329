"""The event journal: every state change, one row, append-only.

A record is the switchboard's plain dict {"kind", "ts_ms", "call", "leg", "agent",
"queue", "data"}; the store adds "seq".  append() runs inside the caller's
transaction, so that records, protocol-machine dumps and projections are
committed together.

A restart replays from the last "core.checkpoint" on (the whole state of the
switchboard in one record).  One that was made beside the control loop holds in "as_of" the number of the
last record that it contains: records after that come after it in a replay, though their numbers are below its
own.  Older checkpoints say nothing that the other records do not:
they are deleted when a new one is written, and they are not given out.

What is personal in a record stands in rows of its own (storage/personal.py): append() takes it out, whoever reads here gets it back.
"""

import itertools
import json

from firmware.storage.checkpoint import unpack
from firmware.storage.personal import ENCODE, keys_of, told

CHECKPOINT = "core.checkpoint"
PIECE = 256             # rows whose personal part is looked up at once; invented
COLUMNS = "seq, ts_ms, kind, call, leg, agent, queue, data"


def checkpoint_of(row):
    """The row (by position, COLUMNS) of a checkpoint as a record."""
    return _record(row, row[7])


def _record(row, text):
    return {"seq": row[0], "ts_ms": row[1], "kind": row[2], "call": row[3], "leg": row[4],
            "agent": row[5], "queue": row[6], "data": unpack(text) if isinstance(text, bytes) else json.loads(text)}


def as_records(connection, rows):
    """Iterate over journal rows (by position, COLUMNS; no checkpoints) as records."""
    rows = iter(rows)
    while piece := [tuple(row) for row in itertools.islice(rows, PIECE)]:
        for row, text in zip(piece, told(connection, [row[7] for row in piece])):
            yield _record(row, text)


class Journal:
    """Append and read records.  connection: the writing one, or a reader's."""

    def __init__(self, connection):
        self._db = connection

    def append(self, records):
        """Write records in order (inside the caller's transaction); each gets its "seq".  Returns them."""
        execute, keys = self._db.execute, keys_of(self._db)
        for record in records:
            data, rows = record.get("data") or {}, None
            if record["kind"] == CHECKPOINT:
                text = ENCODE(data)
            else:
                text, rows = keys.encoded(record["kind"], record.get("call"), data)
            record["seq"] = execute(
                "INSERT INTO journal (ts_ms, kind, call, leg, agent, queue, data) VALUES (?,?,?,?,?,?,?)",
                (record["ts_ms"], record["kind"], record.get("call"), record.get("leg"), record.get("agent"),
                 record.get("queue"), text)).lastrowid
            if rows:
                keys.write(record["seq"], rows)
            if record["kind"] == CHECKPOINT:
                self._only(record["seq"])
        return records

    def checkpoint(self, ts_ms, octets):
        """Write a checkpoint that pack() made of {"as_of", "state", ...} (inside the caller's transaction)."""
        self._only(self._db.execute("INSERT INTO journal (ts_ms, kind, data) VALUES (?, ?, ?)",
                                    (ts_ms, CHECKPOINT, octets)).lastrowid)

    def _only(self, seq):
        self._db.execute("DELETE FROM journal WHERE kind = 'core.checkpoint' AND seq < ?", (seq,))

    def last_seq(self):
        """Number of the newest record, 0 when there is none."""
        return self._db.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]

    def after(self, seq, limit=500):
        """Up to `limit` records with a number above seq, oldest first; without checkpoints."""
        rows = self._db.execute("SELECT %s FROM journal WHERE seq > ? AND kind <> 'core.checkpoint' "
                                "ORDER BY seq LIMIT ?" % COLUMNS, (seq, limit))
        return list(as_records(self._db, rows))

    def of_call(self, call):
        """All records of one call, oldest first."""
        rows = self._db.execute("SELECT %s FROM journal WHERE call = ? ORDER BY seq" % COLUMNS, (call,))
        return list(as_records(self._db, rows))

    def everything(self, after=0):
        """Iterate over all records above a number, without checkpoints, oldest first."""
        return as_records(self._db, self._db.execute("SELECT %s FROM journal WHERE seq > ? AND kind <> 'core.checkpoint' ORDER BY seq" % COLUMNS, (after,)))

    def replay(self):
        """Iterate over what rebuilds the switchboard: the last checkpoint and all after it."""
        row = self._db.execute("SELECT %s FROM journal WHERE kind = 'core.checkpoint' ORDER BY seq DESC LIMIT 1"
                               % COLUMNS).fetchone()
        start = 0
        if row is not None:
            checkpoint = checkpoint_of(tuple(row))
            start = checkpoint["data"].get("as_of", checkpoint["seq"])
            yield checkpoint
        yield from self.everything(start)
