"""What every timeslot was and when: a file of its own, timeslots.db, bounded by rows of a timeslot.

It is a projection of the journal with a cursor, written once a second by a thread beside the control loop.  What a kill takes back is read from the
journal at the next start, so nothing is missing.  A damaged file is set aside and begun anew; calls have nothing to do with it.

A row: {"at_ms", "part", "state", "why", "call", "leg"}.
    part call      seized (why: "in" by the far end, "out" by us), connected, clearing, idle (why: "cause 16", "moved")
    part service   in_service, locked, blocked (by the far end), alarm, down (no signalling), out_of_service, unconfigured
    part event     restarted (why: "in" by the far end, "out" by us): a moment, not a state
"""

import contextlib
import os
import sqlite3

KEPT = {"call": 1000, "service": 200, "event": 100}     # rows of a timeslot and part; invented: 64 spans keep 220 MB at most
PRUNE_EVERY = 100           # rows of a timeslot and part beyond that; invented
SPAN_ROWS_MOST = 50_000     # of one answer; invented
COLUMNS = ("at_ms", "part", "state", "why", "call", "leg")
TABLES = """
CREATE TABLE IF NOT EXISTS timeslot_state (id INTEGER PRIMARY KEY, span INTEGER, timeslot INTEGER, part TEXT, at_ms INTEGER, state TEXT, why TEXT, call TEXT, leg TEXT);
CREATE INDEX IF NOT EXISTS of_timeslot ON timeslot_state (span, timeslot, part, id);
CREATE TABLE IF NOT EXISTS cursor (seq INTEGER);
"""
PLACE = "span = ? AND timeslot = ? AND part = ?"
LAST = """
WITH RECURSIVE spans(span) AS (VALUES(1) UNION ALL SELECT span + 1 FROM spans WHERE span < 64),
    slots(slot) AS (VALUES(1) UNION ALL SELECT slot + 1 FROM slots WHERE slot < 31)
SELECT span, timeslot, %s FROM timeslot_state WHERE id IN (
    SELECT (SELECT max(id) FROM timeslot_state AS one WHERE one.span = spans.span AND one.timeslot = slot AND one.part = ?) FROM spans, slots)
"""                         # 1,984 looks into the index, not a walk through millions of rows: control waits for it when it begins


def path_of(data_dir):
    """The file."""
    return os.path.join(data_dir, "timeslots.db")


class TimeslotHistory:
    """path: the file.  Used by one thread at a time.  Raises sqlite3.Error where the disk refuses."""

    def __init__(self, path):
        self.path = path
        self._new = {}              # (span, timeslot, part) -> rows since it was pruned
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self._begin_anew()

    def _open(self):
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")        # a kill costs nothing; what a power cut damages is begun anew
        self._db.executescript(TABLES)

    def _begin_anew(self):
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path + suffix, self.path + ".damaged" + suffix)
        self._open()

    def check(self):
        """Look through the whole file, which takes a second where it is full; a damaged one is set aside.  Returns whether it was whole."""
        try:
            whole = self._db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            whole = False
        if not whole:
            self._db.close()
            self._begin_anew()
        return whole

    def cursor(self):
        """Number of the last journal record that is in here, or None: nothing is."""
        return self._db.execute("SELECT max(seq) FROM cursor").fetchone()[0]

    def write(self, rows, seq):
        """rows: [(span, timeslot, part, at_ms, state, why, call, leg)], oldest first, of records up to seq."""
        self._db.execute("BEGIN")
        try:
            self._db.executemany("INSERT INTO timeslot_state (span, timeslot, part, at_ms, state, why, call, leg) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._db.execute("DELETE FROM cursor")
            self._db.execute("INSERT INTO cursor VALUES (?)", (seq,))
            for row in rows:
                self._new[row[:3]] = self._new.get(row[:3], 0) + 1
            for place in [place for place, count in self._new.items() if count >= PRUNE_EVERY]:
                self._prune(place)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _prune(self, place):
        self._db.execute("DELETE FROM timeslot_state WHERE %s AND id <= (SELECT id FROM timeslot_state WHERE %s ORDER BY id DESC LIMIT 1 OFFSET ?)" % (PLACE, PLACE),
                         (*place, *place, KEPT[place[2]]))
        self._new[place] = 0

    def of_timeslot(self, span, timeslot, limit):
        """The newest rows of a timeslot, newest first."""
        rows = self._db.execute("SELECT %s FROM timeslot_state WHERE span = ? AND timeslot = ? ORDER BY id DESC LIMIT ?" % ", ".join(COLUMNS), (span, timeslot, limit))
        return [dict(zip(COLUMNS, row)) for row in rows]

    def of_span(self, span, from_ms, to_ms):
        """({timeslot: rows between two moments, oldest first; before them what each part was at the first}, whether that is all of them)."""
        found, count = {}, 0
        places = self._db.execute("SELECT DISTINCT timeslot, part FROM timeslot_state WHERE span = ?", (span,)).fetchall()
        for timeslot, part in places:
            place, rows = (span, timeslot, part), []
            before = self._db.execute("SELECT %s FROM timeslot_state WHERE %s AND at_ms < ? ORDER BY id DESC LIMIT 1" % (", ".join(COLUMNS), PLACE), (*place, from_ms)).fetchone()
            if before is not None and part != "event":
                rows.append(before)
            rows += self._db.execute("SELECT %s FROM timeslot_state WHERE %s AND at_ms >= ? AND at_ms < ? ORDER BY id LIMIT ?" % (", ".join(COLUMNS), PLACE),
                                     (*place, from_ms, to_ms, max(0, SPAN_ROWS_MOST - count))).fetchall()
            count += len(rows)
            found.setdefault(timeslot, []).extend(dict(zip(COLUMNS, row)) for row in rows)
        for rows in found.values():
            rows.sort(key=lambda row: row["at_ms"])
        return found, count < SPAN_ROWS_MOST

    def last(self, part):
        """{(span, timeslot): row} of a part: what each was last."""
        rows = self._db.execute(LAST % ", ".join(COLUMNS), (part,))
        return {row[:2]: dict(zip(COLUMNS, row[2:])) for row in rows}

    def close(self):
        self._db.close()
