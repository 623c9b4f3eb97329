"""Sums of reports: the journal's fold of acd/statistics.py in quarters of an hour, and in hours and days of the site.

The same fold gives the live figures (buckets of a day, in the switchboard) and these; what it books between two commits is
added to the stored sums in the transaction of the records that it comes from, so after a kill -9 they are what they were.
compare() folds the whole journal again; a difference is a fault of the product (or records that a full disk cost).

    figures.replay(record) ... forget()      at a start
    figures.fold(record)              each record in order
    figures.save() ... saved()        inside the transaction; after its commit
    figures.running(now_ms)           what would be added if all that runs ended now
    Figures.sums(connection, ...)     what is stored
"""

from firmware.acd.report import PARTS, add
from firmware.acd.statistics import Statistics

QUARTER_S, HOUR_S, DAY_S = 900, 3600, 86400
LENGTHS = (QUARTER_S, HOUR_S, DAY_S)


class Figures:
    """connection: the writing one.  utc_offset_ms: function(utc_ms) of the site, for its days."""

    def __init__(self, connection, utc_offset_ms=None):
        self._db = connection
        self._offset = utc_offset_ms or (lambda utc_ms: 0)
        self._fold = Statistics(None, QUARTER_S * 1000, kept=None)
        self._pending = {}          # (part, length, name, start_s): counts that are not committed
        self._statements = {}

    def zone(self, utc_offset_ms):
        """The site's time, known when the configuration is."""
        self._offset = utc_offset_ms

    def fold(self, record):
        """Take a record, in order.  A checkpoint says nothing new."""
        if record["kind"] != "core.checkpoint":
            self._fold.apply(record)

    def replay(self, record):
        """Take a record of the journal at a start; a checkpoint brings who waits, talks and is held."""
        if record["kind"] != "core.checkpoint" or "statistics" in record["data"]:
            self._fold.apply(record)

    def begin(self, dumped):
        """Who waits, talks and is held at the beginning: open() of an earlier fold."""
        self._fold.load(dumped)

    def open(self):
        """Who waits, talks and is held, as plain data; what was booked is forgotten."""
        self.forget()
        return self._fold.dump()

    def forget(self):
        """After a replay: what was booked is stored."""
        self._fold.take()
        self._pending = {}

    def rows(self, taken):
        """{(part, length, name, start_s): counts} of what take() or running() gave."""
        rows = {}
        for part, table in taken.items():
            for name, buckets in table.items():
                for bucket, counts in buckets.items():
                    start_s = bucket * QUARTER_S
                    offset_s = self._offset(start_s * 1000) // 1000
                    told = {key: value for key, value in counts.items() if value}
                    for length in LENGTHS:
                        at_s = (start_s + offset_s) // length * length - offset_s
                        add(rows.setdefault((part, length, name, at_s), {}), told)
        return {key: counts for key, counts in rows.items() if counts}

    def _take(self):
        for key, counts in self.rows(self._fold.take()).items():
            add(self._pending.setdefault(key, {}), counts)

    def save(self):
        """Add what was booked to the stored sums (inside the caller's transaction)."""
        self._take()
        for (part, length, name, start_s), counts in self._pending.items():
            names = tuple(counts)
            self._db.execute(self._statement(part, names), (length, name, start_s, *counts.values()))

    def saved(self):
        """The transaction is committed."""
        self._pending = {}

    def _statement(self, part, names):
        if (part, names) not in self._statements:
            self._statements[part, names] = (
                "INSERT INTO figures_%s (length, name, start_s, %s) VALUES (?, ?, ?%s) ON CONFLICT DO UPDATE SET %s"
                % (part, ", ".join(names), ", ?" * len(names), ", ".join("%s = %s + excluded.%s" % (n, n, n) for n in names)))
        return self._statements[part, names]

    def running(self, now_ms):
        """{(part, length, name, start_s): counts}: what is not stored yet, what runs now included."""
        self._take()
        rows = {key: dict(counts) for key, counts in self._pending.items()}
        for key, counts in self.rows(self._fold.running(now_ms)).items():
            add(rows.setdefault(key, {}), counts)
        return rows

    @staticmethod
    def sums(connection, part, length, from_s, to_s, name=None):
        """[(name, start_s, counts)] stored with from_s <= start_s < to_s, by name, then time."""
        names = [name] if name is not None else [row[0] for row in connection.execute(
            "SELECT DISTINCT name FROM figures_%s WHERE length = %d" % (part, DAY_S))]
        query = "SELECT start_s, %s FROM figures_%s WHERE length = ? AND name = ? AND start_s >= ? AND start_s < ? ORDER BY start_s" % (
            ", ".join(PARTS[part]), part)
        found, plain = [], connection.cursor()
        plain.row_factory = None        # tuples: of the hours of a month there are 144,000
        for one in sorted(names):
            found.extend([(one, row[0], dict(zip(PARTS[part], row[1:]))) for row in plain.execute(query, (length, one, from_s, to_s))])
        return found

    @staticmethod
    def total(connection, part, length, from_s, to_s, name=None):
        """The same, summed over the time: [(name, counts)]."""
        where, values = ("AND name = ?", (name,)) if name is not None else ("", ())
        rows = connection.execute(
            "SELECT name, %s FROM figures_%s WHERE length = ? AND start_s >= ? AND start_s < ? %s GROUP BY name ORDER BY name" % (
                ", ".join("sum(%s)" % n for n in PARTS[part]), part, where), (length, from_s, to_s, *values))
        return [(row[0], dict(zip(PARTS[part], tuple(row)[1:]))) for row in rows]

    @staticmethod
    def has_hours(connection):
        """Whether the hours are whole: not while those of an older database are being made."""
        row = connection.execute("SELECT upto_s FROM figures_filled WHERE length = ?", (HOUR_S,)).fetchone()
        return row is not None and row[0] is None

    @staticmethod
    def without_hours(connection):
        """(at_s, last_s, [(part, name)]): the days whose hours are to be made and of whom; None where all are.  Reads all days: in a thread."""
        row = connection.execute("SELECT upto_s FROM figures_filled WHERE length = ?", (HOUR_S,)).fetchone()
        if row is not None and row[0] is None:
            return None
        first, last, names = [], [], []
        for part in PARTS:
            for name, from_s, to_s in connection.execute("SELECT name, min(start_s), max(start_s) FROM figures_%s WHERE length = ? GROUP BY name" % part, (DAY_S,)):
                names.append((part, name))
                first.append(from_s)
                last.append(to_s)
        return max([row[0] if row is not None else 0, *([min(first)] if first else [])]), max(last, default=0), names

    def day_after(self, at_s):
        """The site's midnight after the one at at_s."""
        at_s += DAY_S + HOUR_S              # where a day has 23 hours or 25, too
        offset_s = self._offset(at_s * 1000) // 1000
        return (at_s + offset_s) // DAY_S * DAY_S - offset_s

    def _hour(self, start_s):
        offset_s = self._offset(start_s * 1000) // 1000
        return (start_s + offset_s) // HOUR_S * HOUR_S - offset_s

    def fill_hours(self, names, at_s):
        """Hours of a day of the quarters of names [(part, name)] (inside the caller's transaction); a second time changes nothing."""
        self._db.create_function("hour_of_site", 1, self._hour)
        upto_s = self.day_after(at_s)
        for part, name in names:
            columns = PARTS[part]
            self._db.execute("DELETE FROM figures_%s WHERE length = ? AND name = ? AND start_s >= ? AND start_s < ?" % part, (HOUR_S, name, at_s, upto_s))
            self._db.execute("INSERT INTO figures_%s (length, name, start_s, %s) SELECT %d, name, hour_of_site(start_s) AS hour, %s FROM figures_%s "
                             "WHERE length = ? AND name = ? AND start_s >= ? AND start_s < ? GROUP BY hour" % (
                                 part, ", ".join(columns), HOUR_S, ", ".join("sum(%s)" % n for n in columns), part), (QUARTER_S, name, at_s, upto_s))

    def filled(self, upto_s):
        """Hours are whole before upto_s; None: all are (inside the caller's transaction)."""
        self._db.execute("INSERT OR REPLACE INTO figures_filled (length, upto_s) VALUES (?, ?)", (HOUR_S, upto_s))

    def is_empty(self):
        """Whether nothing is stored, as in a database of before there were sums."""
        return not any(self._db.execute("SELECT 1 FROM figures_%s LIMIT 1" % part).fetchone() for part in PARTS)

    def again(self, journal, base=None):
        """{(part, length, name, start_s): counts} of all that is kept of the journal, folded once more.  base: storage/retention.py."""
        other, from_s = Figures(self._db, self._offset), 0
        if base is not None and base["figures"] is not None:
            other.begin(base["figures"])
            from_s = base["before_ms"] // 1000
        for record in journal.everything(base["seq"] if base is not None else 0):
            other.fold(record)
        return {key: counts for key, counts in other.rows(other._fold.take()).items() if key[3] >= from_s}

    def compare(self, connection, journal, base=None):
        """[(part, length, name, start_s)] whose stored sums are not what the journal gives.  connection, journal: of one view.

        base: what was pruned; then only what begins after it is compared."""
        wanted, stored = self.again(journal, base), {}
        from_s = base["before_ms"] // 1000 if base is not None else 0
        hours = self.has_hours(connection)
        if not hours:           # still being made
            wanted = {key: counts for key, counts in wanted.items() if key[1] != HOUR_S}
        for part in PARTS:
            for row in connection.execute("SELECT length, name, start_s, %s FROM figures_%s" % (", ".join(PARTS[part]), part)):
                row = tuple(row)
                counts = {key: value for key, value in zip(PARTS[part], row[3:]) if value}
                if counts and row[2] >= from_s and (row[0] != HOUR_S or hours):
                    stored[(part, *row[:3])] = counts
        return sorted(key for key in set(wanted) | set(stored) if wanted.get(key) != stored.get(key))

    def rebuild(self, journal, base=None):
        """Fold all that is kept of the journal and store its sums anew (inside the caller's transaction); older sums stay."""
        wanted = self.again(journal, base)
        for part in PARTS:
            self._db.execute("DELETE FROM figures_%s WHERE start_s >= ?" % part, (base["before_ms"] // 1000 if base is not None else 0,))
        for (part, length, name, start_s), counts in wanted.items():
            self._db.execute(self._statement(part, tuple(counts)), (length, name, start_s, *counts.values()))
