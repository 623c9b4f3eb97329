"""The CDR table: one row a call, a projection of the journal.

A CDR is computed from the records of its call alone (firmware.call.cdr.project),
in the transaction that ends the call; rebuild() computes all of them
again, and a difference is a fault of the product.
"""

import json

from firmware.storage.journal import CALL_ENDED, Journal


def call_number(call):
    """The number in a call id: "c17" -> 17.  Raises ValueError for what is no call id."""
    if not call.startswith("c") or not call[1:].isdigit():
        raise ValueError("%r is no call id; ids look like c17" % (call,))
    return int(call[1:])


class CDRs:
    """Write and read CDRs.  connection: the writing one, or a reader's."""

    def __init__(self, connection, project=None):
        """project: function(records of one call) -> CDR dict; needed for writing only."""
        self._db = connection
        self._project = project

    def write(self, call):
        """Project the CDR of an ended call (inside the caller's transaction).  Returns it."""
        cdr = self._project(Journal(self._db).of_call(call))
        self._db.execute(
            "INSERT OR REPLACE INTO cdr (number, call, started_ms, ended_ms, caller, called, queue, agent, "
            "result, body) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (call_number(call), call, cdr.get("started_ms"), cdr.get("ended_ms"), cdr.get("caller"),
             cdr.get("called"), cdr.get("queue"), cdr.get("agent"), cdr.get("result"),
             json.dumps(cdr, ensure_ascii=False, separators=(",", ":"), sort_keys=True)))
        return cdr

    def get(self, call):
        """One CDR, or None while the call has not ended."""
        row = self._db.execute("SELECT body FROM cdr WHERE call = ?", (call,)).fetchone()
        return None if row is None else json.loads(row[0])

    def page(self, limit=50, before=None):
        """Newest first.  before: a call id; only older calls."""
        number = (1 << 62) if before is None else call_number(before)
        rows = self._db.execute("SELECT body FROM cdr WHERE number < ? ORDER BY number DESC LIMIT ?",
                                (number, limit))
        return [json.loads(row[0]) for row in rows]

    def rebuild(self):
        """Compute every CDR again (inside the caller's transaction).  Returns the ids that differed."""
        differed = []
        for (call,) in self._db.execute("SELECT call FROM journal WHERE kind = ? ORDER BY seq",
                                        (CALL_ENDED,)).fetchall():
            before = self.get(call)
            if self.write(call) != before:
                differed.append(call)
        return differed
