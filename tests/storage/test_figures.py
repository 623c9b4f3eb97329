"""Sums of reports against a recount from the raw records that knows nothing of the fold, and across deaths of the process."""

import random

import pytest

from firmware.acd import report as formulas
from firmware.acd.statistics import Statistics
from firmware.call.records import make
from firmware.control.zone import offset_of
from firmware.storage import reporting as reports
from firmware.storage.figures import DAY_S, QUARTER_S
from firmware.storage.journal import Journal
from firmware.storage.stores import Stores

START_MS = 1753920000000        # 2025-07-31 00:00 UTC
HOUR_MS = 3600000


def shanghai(utc_ms):
    return 8 * HOUR_MS


def days_work(seed, calls=120, hours=6, first=0, begin_ms=START_MS):
    """Records of callers, agents and trunks, in order of time."""
    dice, records = random.Random(seed), []

    def add(at_ms, kind, call=None, leg=None, agent=None, queue=None, **data):
        records.append((at_ms, len(records), make(kind, at_ms, call, leg, agent, queue, data)))
    for name in ("1", "2"):
        add(begin_ms, "agent.status", agent=name, status="available", reason=None, by="agent")
    busy = {"1": begin_ms, "2": begin_ms}
    for number in range(first, first + calls):
        call, at = "c%d" % number, begin_ms + dice.randrange(hours * HOUR_MS)
        queue, wait = dice.choice(("a", "b")), dice.randrange(60000)
        add(at, "leg.offered", call, "l%d" % number, trunk_group="carrier", span=1, line=None, tech="pri")
        add(at, "leg.answered", call, "l%d" % number, by="near")
        add(at, "queue.entered", call, queue=queue, service_level_ms=20000, short_abandon_ms=5000)
        free = [name for name in busy if busy[name] < at + wait - 10000]
        if free and wait > 10000:
            name = dice.choice(free)
            talk, after = dice.randrange(1000, 1200000), dice.randrange(1, 60000)
            add(at + wait - 5000, "agent.offered", call, agent=name, queue=queue)
            add(at + wait, "queue.left", call, queue=queue, reason="answered", wait_ms=wait)
            add(at + wait, "agent.connected", call, agent=name, queue=queue)
            end = at + wait + talk
            add(end, "agent.wrap_up", call, agent=name, queue=queue)
            add(end + after, "agent.idle", agent=name, queue=queue, reset=True)
            busy[name] = end + after
        else:
            end = at + wait
            add(end, "queue.left", call, queue=queue, reason="abandoned", wait_ms=wait)
        add(end + 100, "leg.released", call, "l%d" % number, cause=16)
    return [record for at_ms, order, record in sorted(records, key=lambda row: row[:2])]


def commit(stores, records):
    with stores.database.transaction():
        stores.journal.append(records)
        for record in records:
            stores.figures.fold(record)
        stores.figures.save()
    stores.figures.saved()


@pytest.fixture
def stores(tmp_path):
    made = Stores(str(tmp_path))
    made.figures.zone(shanghai)
    yield made
    made.database.close()


def test_the_report_of_a_day_is_a_recount_of_its_records(stores):
    records = days_work(1)
    for start in range(0, len(records), 7):
        commit(stores, records[start:start + 7])
    db = stores.database.write
    made = reports.make(db, {}, "queues", START_MS // 1000 - 8 * 3600, START_MS // 1000 + 16 * 3600, "day", shanghai, {"a": "positive"})
    for row in made["rows"]:
        waits = {}
        answered = abandoned = short = within = gone = events = 0
        for record in records:
            if record["queue"] != row["name"] or record["kind"] not in ("queue.entered", "queue.left"):
                continue
            if record["kind"] == "queue.entered":
                waits[record["call"]] = record["ts_ms"]
                continue
            wait = record["ts_ms"] - waits[record["call"]]
            if record["data"]["reason"] == "answered":
                answered += 1
                within += wait <= 20000
                events += 1
            else:
                short += wait < 5000
                abandoned += wait >= 5000
                gone += 5000 <= wait <= 20000
                events += wait >= 5000
        assert (row["queued"], row["answered"], row["abandoned"], row["short_abandoned"]) == (len(waits), answered, abandoned, short)
        wanted = (within + gone) / events if row["name"] == "a" else within / (events - gone)
        assert row["service_level"] == pytest.approx(wanted) and row["abandon_rate"] == abandoned / len(waits)
    held = 0
    begun = {}
    for record in records:
        if record["kind"] == "leg.offered":
            begun[record["leg"]] = record["ts_ms"]
        elif record["kind"] == "leg.released":
            held += record["ts_ms"] - begun.pop(record["leg"])
    trunks = reports.make(db, {}, "trunk_groups", START_MS // 1000 - 8 * 3600, START_MS // 1000 + 40 * 3600, "whole", shanghai)["rows"][0]
    assert (trunks["in_calls"], trunks["in_answered"], trunks["seized_ms"]) == (120, 120, held)
    quarters = reports.make(db, {}, "trunk_groups", START_MS // 1000 - 8 * 3600, START_MS // 1000 + 40 * 3600, "quarter", shanghai)["rows"]
    assert sum(row["seized_ms"] for row in quarters) == held and max(row["erlang"] for row in quarters) < 30 and len(quarters) > 20


def test_every_interval_gives_the_same_sums_and_the_live_fold_too(stores):
    records = days_work(2)
    commit(stores, records)
    now_ms = records[-1]["ts_ms"] + 300000
    running = stores.figures.running(now_ms)
    live = Statistics(shanghai)
    for record in records:
        live.apply(record)
    from_s = START_MS // 1000 - 8 * 3600
    sums = {}
    for interval in reports.INTERVALS:
        made = reports.make(stores.database.write, running, "agents", from_s, from_s + DAY_S, interval, shanghai)
        sums[interval] = [(name, sum(row["talking_ms"] for row in made["rows"] if row["name"] == name),
                           sum(row["available_ms"] for row in made["rows"] if row["name"] == name),
                           sum(row["handled"] for row in made["rows"] if row["name"] == name)) for name in ("1", "2")]
        for row in made["rows"]:
            assert from_s <= row["start_s"] < row["end_s"] <= from_s + DAY_S
    assert len({str(each) for each in sums.values()}) == 1
    for name, talking, available, handled in sums["day"]:
        figures = live.agent_figures(name, now_ms)
        assert (figures["talking_ms"], figures["available_ms"], figures["handled"]) == (talking, available, handled)


def test_a_death_at_any_moment_changes_no_figure(tmp_path):
    records = days_work(3, calls=40)
    (tmp_path / "dying").mkdir()
    dice, at = random.Random(9), 0
    while at < len(records):
        stores = Stores(str(tmp_path / "dying"))
        stores.figures.zone(shanghai)
        for record in stores.journal.replay():
            stores.figures.replay(record)
        stores.figures.forget()
        count = dice.randrange(1, 25)
        commit(stores, records[at:at + count])
        try:
            with stores.database.transaction():         # dies before this commit: it never was
                for record in records[at + count:at + count + 3]:
                    stores.figures.fold(record)
                stores.figures.save()
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        at += count
        assert stores.figures.compare(stores.database.write, Journal(stores.database.write)) == []
        stores.database.close()


def test_a_commit_that_fails_is_made_good_and_a_changed_sum_is_found(stores):
    records = days_work(4, calls=30)
    commit(stores, records[:50])
    with pytest.raises(ZeroDivisionError):
        with stores.database.transaction():
            for record in records[50:60]:
                stores.figures.fold(record)
            stores.figures.save()
            raise ZeroDivisionError
    before = stores.figures.running(records[59]["ts_ms"])
    assert before, "what is not stored yet is in the report all the same"
    with stores.database.transaction():
        stores.journal.append(records[50:])
        for record in records[60:]:
            stores.figures.fold(record)
        stores.figures.save()
    stores.figures.saved()
    journal = Journal(stores.database.write)
    assert stores.figures.compare(stores.database.write, journal) == []
    stores.database.write.execute("UPDATE figures_queues SET queued = queued + 1 WHERE name = 'a' AND length = %d" % DAY_S)
    assert {key[:3] for key in stores.figures.compare(stores.database.write, journal)} == {("queues", DAY_S, "a")}
    with stores.database.transaction():
        stores.figures.rebuild(journal)
    assert stores.figures.compare(stores.database.write, journal) == []


def test_hours_are_the_sums_of_their_quarters_and_are_made_for_a_database_without_them(stores):
    commit(stores, days_work(5))
    db = stores.database.write
    span = (START_MS // 1000 - DAY_S, START_MS // 1000 + 2 * DAY_S)

    def hours(shift=0):
        """A time that begins within an hour is answered from quarters."""
        made = reports.make(db, {}, "queues", span[0] - shift, span[1] + shift, "hour", shanghai)
        return [{name: value for name, value in row.items() if value} for row in made["rows"]]
    stored = hours()
    assert stored and stored == hours(QUARTER_S)
    kept = db.execute("SELECT * FROM figures_queues WHERE length = 3600 ORDER BY name, start_s").fetchall()
    with stores.database.transaction():
        for part in formulas.PARTS:
            db.execute("DELETE FROM figures_%s WHERE length = 3600" % part)
    with stores.database.transaction():
        stores.figures.filled(0)                # as an update finds it
    commit(stores, days_work(6, calls=5, first=5000, begin_ms=START_MS + DAY_S * 1000))      # hours of calls after the update are none of the whole
    fresh = db.execute("SELECT count(*) FROM figures_queues WHERE length = 3600").fetchone()[0]
    assert fresh and not stores.figures.has_hours(db) and hours() == hours(QUARTER_S) and stores.figures.compare(db, Journal(db)) == []
    at_s, last_s, names = stores.figures.without_hours(db)
    days = 0
    while at_s <= last_s:
        with stores.database.transaction():
            stores.figures.fill_hours(names, at_s)
            stores.figures.fill_hours(names[:1], at_s)          # nothing twice
        at_s, days = stores.figures.day_after(at_s), days + 1
        with stores.database.transaction():
            stores.figures.filled(at_s)
        assert stores.figures.without_hours(db)[0] == at_s and not stores.figures.has_hours(db)      # killed here, it goes on here
    with stores.database.transaction():
        stores.figures.filled(None)
    assert days >= 2 and stores.figures.without_hours(db) is None and stores.figures.has_hours(db) and hours() == hours(QUARTER_S)
    assert len(kept) <= db.execute("SELECT count(*) FROM figures_queues WHERE length = 3600").fetchone()[0]
    assert stores.figures.compare(db, Journal(db)) == []


def test_hours_of_a_day_that_is_longer_and_of_a_half_hours_zone(stores):
    for zone in ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"):
        offset = offset_of(zone)
        stores.figures.zone(offset)
        at_s, seen = -(offset(1_735_689_600_000) // 1000) + 1_735_689_600, 0
        for _ in range(366):
            assert (at_s + offset(at_s * 1000) // 1000) % DAY_S == 0
            seen, at_s = seen + 1, stores.figures.day_after(at_s)
        assert at_s == 1_735_689_600 + 366 * DAY_S - offset(at_s * 1000) // 1000, zone


def test_csv_is_safe_and_says_its_formulas():
    report = {"rows": [{"name": "=2+3", "start_s": START_MS // 1000, "end_s": START_MS // 1000 + QUARTER_S, "service_level": 0.777777778, "x": None}],
              "formulas": formulas.FORMULAS["queues"], "booked": formulas.BOOKED}
    octets = reports.as_csv(report, shanghai)
    lines = octets.decode("utf-8-sig").split("\r\n")
    assert octets.startswith(b"\xef\xbb\xbf") and lines[0] == "start,end,name,service_level,x"
    assert lines[1] == "2025-07-31T08:00:00+08:00,2025-07-31T08:15:00+08:00,'=2+3,0.777778,"
    assert any(line.startswith("service_level (ignore),answered within T") for line in lines)


def test_months_of_the_sites_time():
    starts = {reports._starts("month", at_s, 0, shanghai) for at_s in range(START_MS // 1000 - 10 * DAY_S, START_MS // 1000 + 10 * DAY_S, 3600)}
    assert sorted(reports.moment(at_s, shanghai) for at_s in starts) == ["2025-07-01T00:00:00+08:00", "2025-08-01T00:00:00+08:00"]
    assert reports._after("month", min(starts), 1 << 40, shanghai) == max(starts)
