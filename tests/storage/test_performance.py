import random
import sqlite3

from firmware.chassis import performance as counting
from firmware.storage import database
from firmware.storage.performance import COUNTS, AlarmHistory, PerformanceBins


def test_the_columns_are_what_is_counted():
    assert COUNTS == counting.COUNTS


def test_bins_are_kept_replaced_summed_and_pruned(tmp_path):
    store = database.Database(tmp_path / "x.db")
    bins = PerformanceBins(store.write)
    generator = random.Random(1)
    rows = [(span, "quarter", start, {name: generator.randrange(900) for name in COUNTS}) for span in (1, 2) for start in range(0, 9000, 900)]
    with store.transaction():
        bins.save(rows)
        bins.save([(1, "quarter", 0, dict.fromkeys(COUNTS, 7)), (1, "day", 0, dict.fromkeys(COUNTS, 1))])
    reader = store.reader()
    assert [row["start_s"] for row in PerformanceBins(reader).of_span(1, "quarter", 3)] == [8100, 7200, 6300]
    assert PerformanceBins(reader).of_span(1, "quarter", 100)[-1] == {"start_s": 0, **dict.fromkeys(COUNTS, 7)}
    totals = PerformanceBins(reader).totals("quarter", 900)
    assert totals[2] == {name: sum(counts[name] for span, _, start, counts in rows if span == 2 and start >= 900) for name in COUNTS}
    assert bins.growing({"quarter": 0, "day": 0}) == {
        1: [("quarter", 0, dict.fromkeys(COUNTS, 7)), ("day", 0, dict.fromkeys(COUNTS, 1))], 2: [("quarter", 0, rows[10][3])]}
    with store.transaction():
        bins.prune("quarter", 8100)
    assert [row["start_s"] for row in bins.of_span(1, "quarter", 100)] == [8100] and len(bins.of_span(1, "day", 9)) == 1
    reader.close()
    store.close()


def test_alarms_of_before(tmp_path):
    store = database.Database(tmp_path / "x.db")
    alarms = AlarmHistory(store.write)
    for number in range(1, 6):
        with store.transaction():
            alarms.save({"id": number, "raised_ms": number, "cleared_ms": None, "kind": "los", "severity": "critical", "members": ["span 1"]})
    with store.transaction():
        alarms.save({"id": 5, "raised_ms": 5, "cleared_ms": 9, "kind": "los", "severity": "critical", "members": ["span 1"]})
    assert [row["id"] for row in alarms.page(2)] == [5, 4] and alarms.page(1)[0]["cleared_ms"] == 9
    assert [row["id"] for row in alarms.page(2, before=3)] == [2, 1] and alarms.last_id() == 5
    store.close()


def test_a_database_of_before_is_migrated(tmp_path):
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(database.migrations()[0][1].read_text() + "PRAGMA user_version=1; INSERT INTO counter VALUES ('l', 5);")
    connection.close()
    store = database.Database(path)
    assert AlarmHistory(store.write).page(1) == [] and store.write.execute("SELECT value FROM counter WHERE name = 'l'").fetchone() == (5,)
    store.close()
