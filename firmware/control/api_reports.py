"""The part of the local API that reports.

    GET /v1/reports/queues|agents|trunk_groups?from=M&to=M&interval=I&name=N&format=json|csv
        from, to   moments: 2026-11-22, 2026-11-22T08:30 (site's time), with an offset, or seconds of UTC; multiples of 15 min;
                   default: today, until its end
        interval   quarter, half, hour, day, month, whole (default)
    POST /v1/reports/check    folds all that is kept of the journal again -> {"differed": [...]}: stored sums that are not what it gives

Rows, figures and formulas: storage/reporting.py, acd/report.py."""

import asyncio
import datetime

from firmware.acd.report import PARTS
from firmware.storage import reporting as reports
from firmware.control import roles
from firmware.control.commands import Problem
from firmware.storage.figures import DAY_S, QUARTER_S
from firmware.storage.journal import Journal
from firmware.storage.retention import base_of


class ReportsAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api
        self._connection = None
        self._one = asyncio.Lock()

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("reports", None), self.report), ("POST", ("reports", "check"), self.check)]

    def _moment(self, query, name, default_s):
        text = query.get(name)
        if text is None:
            return default_s
        offset = self._api.house.utc_offset_ms
        try:
            if text.isascii() and text.isdigit() and len(text) < 12:
                at_s = int(text)
            else:
                when = datetime.datetime.fromisoformat(text.replace(" ", "+"))
                at_s = int(when.replace(tzinfo=when.tzinfo or datetime.timezone.utc).timestamp())
                if when.tzinfo is None:
                    at_s -= offset(at_s * 1000 - offset(at_s * 1000)) // 1000
        except (ValueError, OverflowError):
            raise Problem(400, "bad parameter", "%s must be a moment such as 2026-11-22 or 2026-11-22T08:30, not %s." % (name, text[:40])) from None
        if at_s % QUARTER_S:
            raise Problem(400, "bad parameter", "%s must lie at a quarter of an hour: sums are kept for these." % name)
        return at_s

    async def report(self, part, query, body):
        house = self._api.house
        if part not in PARTS:
            raise Problem(404, "not found", "There are reports of %s." % ", ".join(PARTS))
        interval, kind = query.get("interval", "whole"), query.get("format", "json")
        if interval not in reports.INTERVALS:
            raise Problem(400, "bad parameter", "interval must be one of %s." % ", ".join(reports.INTERVALS))
        if kind not in ("json", "csv"):
            raise Problem(400, "bad parameter", "format must be json or csv.")
        now_ms, offset = house.clock.now_ms(), house.utc_offset_ms
        shift = offset(now_ms) // 1000
        today = (now_ms // 1000 + shift) // DAY_S * DAY_S - shift
        from_s = self._moment(query, "from", today)
        to_s = self._moment(query, "to", max(from_s + DAY_S, today + DAY_S))
        if to_s <= from_s:
            raise Problem(400, "bad parameter", "to must be later than from.")
        pieces = (to_s - from_s) // reports.PIECES_S.get(interval, DAY_S)
        if interval in reports.PIECES_S and query.get("name") is None and pieces * 200 > reports.MOST_ROWS * 10:
            raise Problem(400, "too much", "Ask for a shorter time, a longer interval, or one name.")
        abandons = {row["name"]: row["service_level_abandons"] for row in house.config.running()["queues"]}
        async with self._one:
            made = await self._fixed(now_ms, lambda connection, running: reports.make(
                connection, running, part, from_s, to_s, interval, offset, abandons, query.get("name")))
        mine, served = roles.domain(house.config.running(), roles.WHO.get())
        if mine is not None:
            made["rows"] = [row for row in made["rows"] if row["name"] in (mine if part == "agents" else served)]
        return reports.as_csv(made, offset) if kind == "csv" else made

    async def _fixed(self, now_ms, function):
        """function(connection, running) in the reader's thread: the view of the database is fixed here, in the loop, where
        nothing is committed meanwhile."""
        house = self._api.house
        if self._connection is None:
            self._connection = house.database.reader()
        connection = self._connection
        connection.execute("BEGIN")
        try:
            connection.execute("SELECT count(*) FROM counter").fetchone()
            running = house.stores.figures.running(now_ms)
            return await self._api.in_reader(lambda: function(connection, running))
        finally:
            connection.execute("ROLLBACK")

    async def check(self, query, body):
        figures = self._api.house.stores.figures
        async with self._one:
            differed = await self._fixed(self._api.house.clock.now_ms(),
                                         lambda connection, running: figures.compare(connection, Journal(connection), base_of(connection)))
        return {"differed": [{"part": key[0], "length": key[1], "name": key[2], "start_s": key[3]} for key in differed]}
