"""The event journal: every state change, one row, append-only.

A record is the switchboard's plain dict {"kind", "call", "leg", "agent",
"queue", "data"}; the store adds "seq" and, where the switchboard gave none,
"ts_ms" (UTC).  append() runs inside the caller's transaction, so that records,
protocol-machine dumps and projections are committed together.

What a restart replays is kept small: the records of calls that have not ended
and, for each agent, the newest record of each kind.
"""

import json

CALL_ENDED = "call.ended"
COLUMNS = "seq, ts_ms, kind, call, leg, agent, queue, data"


def as_record(row):
    """A journal row (by position, COLUMNS) as the dict that the API gives out."""
    return {"seq": row[0], "ts_ms": row[1], "kind": row[2], "call": row[3], "leg": row[4],
            "agent": row[5], "queue": row[6], "data": json.loads(row[7])}


class Journal:
    """Append and read records.  connection: the writing one, or a reader's."""

    def __init__(self, connection):
        self._db = connection

    def append(self, records, now_ms):
        """Write records in order (inside the caller's transaction); each gets "seq" and "ts_ms".

        Keeps open_call and agent_last.  Returns the records."""
        execute = self._db.execute
        for record in records:
            if record.get("ts_ms") is None:
                record["ts_ms"] = now_ms
            call, agent = record.get("call"), record.get("agent")
            seq = execute(
                "INSERT INTO journal (ts_ms, kind, call, leg, agent, queue, data) VALUES (?,?,?,?,?,?,?)",
                (record["ts_ms"], record["kind"], call, record.get("leg"), agent, record.get("queue"),
                 json.dumps(record.get("data") or {}, ensure_ascii=False, separators=(",", ":")))).lastrowid
            record["seq"] = seq
            if call is not None:
                if record["kind"] == CALL_ENDED:
                    execute("DELETE FROM open_call WHERE call = ?", (call,))
                else:
                    execute("INSERT OR IGNORE INTO open_call VALUES (?, ?)", (call, seq))
            if agent is not None:
                execute("INSERT INTO agent_last VALUES (?, ?, ?) "
                        "ON CONFLICT (agent, kind) DO UPDATE SET seq = excluded.seq",
                        (agent, record["kind"], seq))
        return records

    def last_seq(self):
        """Number of the newest record, 0 when there is none."""
        return self._db.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]

    def after(self, seq, limit=500):
        """Up to `limit` records with a number above seq, oldest first."""
        rows = self._db.execute("SELECT %s FROM journal WHERE seq > ? ORDER BY seq LIMIT ?" % COLUMNS,
                                (seq, limit))
        return [as_record(tuple(row)) for row in rows]

    def of_call(self, call):
        """All records of one call, oldest first."""
        rows = self._db.execute("SELECT %s FROM journal WHERE call = ? ORDER BY seq" % COLUMNS, (call,))
        return [as_record(tuple(row)) for row in rows]

    def replay(self):
        """Records that rebuild the switchboard: of open calls, and each agent's newest, in order."""
        rows = self._db.execute(
            "SELECT %s FROM journal WHERE seq IN (SELECT seq FROM agent_last UNION "
            "SELECT j.seq FROM open_call o JOIN journal j ON j.call = o.call) ORDER BY seq" % COLUMNS)
        return [as_record(tuple(row)) for row in rows]

    def open_calls(self):
        """Ids of the calls that have not ended, oldest first."""
        return [row[0] for row in self._db.execute("SELECT call FROM open_call ORDER BY first_seq")]
