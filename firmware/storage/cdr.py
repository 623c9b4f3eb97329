"""The CDR table: one row a call, a projection of the journal.

A CDR is the fold of its call's records (firmware.call.records.CDRProjection); it is
written in the transaction of the record that ends the call.  rebuild() folds the
whole journal again; a difference is a fault of the product.  Numbers in it are keys (storage/personal.py), the call's own: what
write() takes out, get() and page() put back.
"""

import json

from firmware.call.records import CDRProjection
from firmware.jsontext import encoder
from firmware.storage.personal import MARK, keys_of, told

ENCODE = encoder(sort_keys=True)

# What is told of a leg after the CDR was written, set in place: the rest of the CDR, and its indexes, stay as they are.
LATE = ("UPDATE cdr SET body = json_set(iif(json_type(body, '$.quality') = 'object', body, json_set(body, '$.quality', json('{}'))), "
        "'$.quality.\"' || ? || '\"', json(?)) WHERE call = ?")


LOOKED_AT = 50_000          # newest calls among which those of a timeslot are looked for; ours: 0.2 s of the reader


def call_number(call):
    """The number in a call id: "c17" -> 17.  Raises ValueError for what is no call id."""
    if not call.startswith("c") or not (call[1:].isascii() and call[1:].isdigit()):
        raise ValueError("%r is no call id; ids look like c17" % (call,))
    return int(call[1:])


def of_callers(connection, forms, limit):
    """[(call, started_ms, queue, agent, result, called)] of the newest calls of a caller.  forms: the number, as it may have been written."""
    marks = ",".join("?" * len(forms))
    rows = connection.execute(
        "SELECT cdr.call, started_ms, queue, agent, result, called FROM cdr WHERE number IN ("
        "SELECT number FROM cdr WHERE caller IN (%s) UNION SELECT cdr.number FROM personal JOIN cdr ON cdr.call = personal.call "
        "WHERE personal.number IN (%s) AND ltrim(cdr.caller, '+') = ? || personal.key || ?) ORDER BY number DESC LIMIT ?" % (marks, marks),
        (*forms, *forms, MARK, MARK, limit)).fetchall()
    return [(*tuple(row)[:5], called) for row, called in zip(rows, told(connection, [row[5] for row in rows]))]


class CDRs:
    """Write and read CDRs.  connection: the writing one, or a reader's."""

    def __init__(self, connection):
        self._db = connection
        self._fold = CDRProjection()
        self._finished = []
        self._late = []             # (call, leg, quality) of CDRs that are finished

    def fold(self, record):
        """Take a record, in order (replay too).  A CDR that it finishes is kept until save()."""
        cdr = self._fold.apply(record)
        if cdr is not None:
            self._finished.append(cdr)
        late = self._fold.late_quality(record)
        if late is not None:
            self._late.append(late)
        return cdr

    @property
    def finished(self):
        """Finished CDRs that are not saved: [cdr]."""
        return self._finished

    def forget_finished(self):
        """They are committed (or were, before this process: after a replay)."""
        self._finished, self._late = [], []

    def save(self):
        """Write the finished CDRs, and what was told of finished ones later (inside the caller's transaction)."""
        finished = {cdr["call"]: cdr for cdr in self._finished}
        late = []
        for call, leg, quality in self._late:
            if call in finished:
                finished[call]["quality"][leg] = quality
            else:
                late.append((call, leg, quality))
        for cdr in self._finished:
            self.write(cdr)
        for call, leg, quality in late:
            self._amend(call, leg, quality)

    def _amend(self, call, leg, quality):
        keys = keys_of(self._db)
        told_late, rows = keys.split(None, call, {"quality": quality})
        if self._db.execute(LATE, (leg, ENCODE(told_late["quality"]), call)).rowcount and rows:
            keys.write(None, rows)

    def write(self, cdr):
        """Write one CDR (inside the caller's transaction)."""
        keys = keys_of(self._db)
        cdr, rows = keys.split(None, cdr["call"], cdr)
        self._db.execute(
            "INSERT OR REPLACE INTO cdr (number, call, started_ms, ended_ms, caller, called, queue, agent, "
            "result, body) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (call_number(cdr["call"]), cdr["call"], cdr.get("started_ms"), cdr.get("ended_ms"), cdr.get("caller"),
             cdr.get("called"), cdr.get("queue"), cdr.get("agent"), cdr.get("result"), ENCODE(cdr)))
        if rows:
            keys.write(None, rows)

    def get(self, call):
        """One CDR, or None while the call has not ended."""
        row = self._db.execute("SELECT body FROM cdr WHERE call = ?", (call,)).fetchone()
        return None if row is None else json.loads(told(self._db, [row[0]])[0])

    def page(self, limit=50, before=None):
        """Newest first.  before: a call id; only older calls."""
        number = (1 << 62) if before is None else call_number(before)
        rows = self._db.execute("SELECT body FROM cdr WHERE number < ? ORDER BY number DESC LIMIT ?",
                                (number, limit))
        return [json.loads(text) for text in told(self._db, [row[0] for row in rows])]

    def of_timeslot(self, span, timeslot, limit=50):
        """Calls that came in or went out on a timeslot, newest first, of the LOOKED_AT newest.  span: a number, or the name of a SIP trunk."""
        place = (span, timeslot)
        rows = self._db.execute(
            "SELECT body FROM cdr WHERE number > (SELECT coalesce(max(number), 0) FROM cdr) - ? AND ("
            "(json_extract(body, '$.span') = ? AND json_extract(body, '$.timeslot') = ?) OR "
            "(json_extract(body, '$.out_span') = ? AND json_extract(body, '$.out_timeslot') = ?)) ORDER BY number DESC LIMIT ?",
            (LOOKED_AT, *place, *place, limit))
        return [json.loads(text) for text in told(self._db, [row[0] for row in rows])]

    def rebuild(self, journal, base=None):
        """Fold all that is kept of the journal and write every CDR (inside the caller's transaction).  base: storage/retention.py.

        Returns the ids of the calls whose stored CDR was missing or different."""
        fold, differed = CDRProjection(), []
        if base is not None and base["cdrs"] is not None:
            fold.load(base["cdrs"])
        for record in journal.everything(base["seq"] if base is not None else 0):
            cdr = fold.apply(record)
            if cdr is not None:     # with what was told after its end
                for late in journal.of_call(cdr["call"]):
                    if late["kind"] == "leg.quality":
                        cdr["quality"][late["leg"]] = late["data"]["quality"]
            if cdr is not None and self.get(cdr["call"]) != json.loads(json.dumps(cdr)):
                differed.append(cdr["call"])
                self.write(cdr)
        return differed
