"""Measures reports over a month of 2 million calls and the price of writing 1,000 records a second (make bench).

The month is stored as its sums (200 queues by quarters of an hour and days, 1,000 agents by days), since reports read nothing
else; counts are drawn so that they add up to about 2 million calls."""

import os
import random
import tempfile
import time

from firmware.acd.report import PARTS
from firmware.call.records import make as record
from firmware.storage import reporting as reports
from firmware.storage.figures import DAY_S, HOUR_S, QUARTER_S
from firmware.storage.stores import Stores

QUEUES, AGENTS, DAYS, CALLS = 200, 1000, 30, 2_000_000
START_S = 1753891200            # 2025-07-31 00:00 in Shanghai
EVENTS = 20_000


def shanghai(utc_ms):
    return 28_800_000


def fill(stores):
    """The sums of the month."""
    dice = random.Random(7)
    a_quarter = CALLS / (QUEUES * DAYS * 96)
    for part, names in (("queues", ["queue%03d" % n for n in range(QUEUES)]), ("agents", ["%04d" % n for n in range(1001, 1001 + AGENTS)])):
        columns = PARTS[part]
        insert = "INSERT INTO figures_%s (length, name, start_s, %s) VALUES (?, ?, ?%s)" % (part, ", ".join(columns), ", ?" * len(columns))
        pieces = ((QUARTER_S, 96 * DAYS), (HOUR_S, 24 * DAYS), (DAY_S, DAYS))[2 * (part == "agents"):]
        with stores.database.transaction() as write:
            for length, count in pieces:
                for name in names:
                    most = max(1, round(2 * a_quarter * length / QUARTER_S))
                    drawn = [tuple([dice.randrange(most + 1) for _ in columns]) for _ in range(16)]
                    write.executemany(insert, ((length, name, START_S + at * length, *drawn[at % 16]) for at in range(count)))


def fastest(function, times=3):
    best = None
    for _ in range(times):
        began = time.perf_counter()
        function()
        took = time.perf_counter() - began
        best = took if best is None else min(best, took)
    return best


def results():
    """Rows for tests/bench.py."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        stores = Stores(folder)
        stores.figures.zone(shanghai)
        try:
            fill(stores)
            reader = stores.database.reader()
            end_s = START_S + DAYS * DAY_S

            def report(part, interval, **more):
                return reports.make(reader, {}, part, START_S, end_s, interval, shanghai, **more)
            for name, part, interval, more in (("report.month_s", "queues", "whole", {}), ("report.month_agents_by_day_s", "agents", "day", {}),
                                               ("report.month_quarters_of_a_queue_s", "queues", "quarter", {"name": "queue007"}),
                                               ("report.month_hours_of_all_queues_s", "queues", "hour", {})):
                took = fastest(lambda: report(part, interval, **more))
                rows.append({"name": name, "value": took, "unit": "s", "reference": "issue 7: a month of 2 million calls in under 2 s",
                             "reference_value": 2.0, "ratio": took / 2.0})
            reader.close()
            records = [record("queue.entered" if n % 2 else "queue.left", START_S * 1000 + n, "c%d" % (n // 2), queue="queue%03d" % (n % 200),
                              data={"service_level_ms": 20000, "short_abandon_ms": 5000, "reason": "answered", "wait_ms": 1000}) for n in range(EVENTS)]
            began, used = time.perf_counter(), time.process_time()
            for start in range(0, EVENTS, 8):           # about what a turn makes
                with stores.database.transaction():
                    stores.journal.append(records[start:start + 8])
                    for each in records[start:start + 8]:
                        stores.figures.fold(each)
                    stores.figures.save()
                stores.figures.saved()
            took, used = time.perf_counter() - began, time.process_time() - used
            rows.append({"name": "journal.events_per_second", "value": EVENTS / took, "unit": "1/s", "reference": "issue 7: 1,000 a second",
                         "reference_value": 1000, "ratio": EVENTS / took / 1000})
            share = used / EVENTS * 1000 * 100
            rows.append({"name": "journal.core_at_1000_events_percent", "value": share, "unit": "%",
                         "reference": "issue 7: under 10 % of a core", "reference_value": 10, "ratio": share / 10})
            rows.append({"name": "report.sums_of_a_month_mb", "value": os.path.getsize(stores.database.path) / 1e6, "unit": "MB",
                         "reference": None, "reference_value": None, "ratio": None})
        finally:
            stores.database.close()
    return rows
