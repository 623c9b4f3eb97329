"""Performance bins of the spans and the history of the alarms, as tables.

Written inside the turn's transaction, once a minute and at each alarm; what a kill takes back is at most a minute, and the
bin says so by its `seconds`."""

import json

COUNTS = ("seconds", "es", "ses", "bbe", "uas", "fe_es", "fe_ses", "fe_bbe", "fe_uas", "slips", "blocks_errored", "code_violations")
ALARMS_KEPT = 10_000
_INSERT = "INSERT OR REPLACE INTO performance (span, length, start_s, %s) VALUES (%s)" % (
    ", ".join(COUNTS), ", ".join("?" * (len(COUNTS) + 3)))


class PerformanceBins:
    """connection: the writing one, or a reader's."""

    def __init__(self, connection):
        self._db = connection

    def save(self, bins):
        """bins: [(span, length, start_s, {count: number})]; a bin that stands is replaced."""
        self._db.executemany(_INSERT, [(span, length, start_s, *(counts[name] for name in COUNTS))
                                       for span, length, start_s, counts in bins])

    def prune(self, length, before_s):
        """Forget bins of a length that began before a time."""
        self._db.execute("DELETE FROM performance WHERE length = ? AND start_s < ?", (length, before_s))

    def growing(self, start_s):
        """Bins that may still grow, for a start: {span: [(length, start_s, counts)]}.  start_s: {length: start of the bin now}."""
        found = {}
        for length, begin_s in start_s.items():
            for row in self._db.execute("SELECT span, %s FROM performance WHERE length = ? AND start_s = ?" % ", ".join(COUNTS),
                                        (length, begin_s)):
                found.setdefault(row[0], []).append((length, begin_s, dict(zip(COUNTS, tuple(row)[1:]))))
        return found

    def of_span(self, span, length, limit):
        """Newest bins first: [{"start_s", counts}]."""
        rows = self._db.execute("SELECT start_s, %s FROM performance WHERE span = ? AND length = ? "
                                "ORDER BY start_s DESC LIMIT ?" % ", ".join(COUNTS), (span, length, limit))
        return [dict(zip(("start_s", *COUNTS), tuple(row))) for row in rows]

    def totals(self, length, since_s, before_s=1 << 62):
        """{span: summed counts} of the bins that began since a time and before another."""
        rows = self._db.execute("SELECT span, %s FROM performance WHERE length = ? AND start_s >= ? AND start_s < ? GROUP BY span ORDER BY span"
                                % ", ".join("sum(%s)" % name for name in COUNTS), (length, since_s, before_s))
        return {row[0]: dict(zip(COUNTS, tuple(row)[1:])) for row in rows}


class AlarmHistory:
    """connection: the writing one, or a reader's."""

    def __init__(self, connection):
        self._db = connection

    def save(self, alarm):
        """An alarm as it is now."""
        self._db.execute("INSERT OR REPLACE INTO alarm VALUES (?, ?, ?, ?, ?, ?)", (
            alarm["id"], alarm["raised_ms"], alarm["cleared_ms"], alarm["kind"], alarm["severity"],
            json.dumps(alarm, separators=(",", ":"), ensure_ascii=False)))

    def prune(self):
        """Keep the newest ALARMS_KEPT."""
        self._db.execute("DELETE FROM alarm WHERE id <= (SELECT max(id) FROM alarm) - ?", (ALARMS_KEPT,))

    def last_id(self):
        """The newest id, 0 without one."""
        return self._db.execute("SELECT coalesce(max(id), 0) FROM alarm").fetchone()[0]

    def page(self, limit, before=None):
        """Newest first: [alarm]."""
        rows = self._db.execute("SELECT body FROM alarm WHERE id < ? ORDER BY id DESC LIMIT ?", (before or 1 << 62, limit))
        return [json.loads(row[0]) for row in rows]
