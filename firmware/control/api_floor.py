"""The part of the local API for supervisors: messages to agents, thresholds with their alarms, shifts.

    GET  /v1/broadcasts?agent=A              messages that wait to be seen;  POST /v1/broadcasts {"text", "agents"?, "teams"?, "queues"?, "urgent"?, "expires_s"?}
    POST /v1/broadcasts/{id}/seen            {"agent"};  POST /v1/broadcasts/{id}/withdraw
    GET  /v1/thresholds                      how each stands;  GET /v1/thresholds/history?limit=&before=SEQ
    POST /v1/thresholds/{name}/acknowledge   {"note"?, "by"?}
    GET  /v1/schedule?from=&to=&agent=       shifts (from, to: days, 2026-11-23; to is included)
    POST /v1/schedule                        {"agent", "date", "shifts": [{"from": "08:30", "to": "17:00", "activity"?: "work"|"break"|reason}]}: the whole day
    POST /v1/schedule/import                 {"csv": agent,date,from,to,activity}: these agents' days, all or none
    GET  /v1/schedule/coverage?queue=&day=   planned agents of a queue beside those that the forecast needs (further parameters: api_staffing.py)
    GET  /v1/schedule/adherence?from=&to=&agent=&interval=day|whole    planned and actual, with the formulas"""

import asyncio
import datetime

from firmware.control import api_staffing, core_warnings, roles
from firmware.control.api_desk import words
from firmware.control.commands import Problem, not_found
from firmware.control.roles import by
from firmware.errors import LocalError
from firmware.storage import desk_shifts as shifts
from firmware.storage.figures import QUARTER_S

DAYS_MOST = 400


def _names(body, part):
    value = body.get(part)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > 2000 or any(not isinstance(name, str) for name in value):
        raise Problem(422, "bad " + part, "%s must be a list of names." % part)
    return value


class FloorAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api
        self.house = api.house

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("broadcasts",), self.broadcasts), ("POST", ("broadcasts",), self.broadcast),
                ("POST", ("broadcasts", None, "seen"), self.seen), ("POST", ("broadcasts", None, "withdraw"), self.withdraw),
                ("GET", ("thresholds",), self.thresholds), ("GET", ("thresholds", "history"), self.history),
                ("POST", ("thresholds", None, "acknowledge"), self.acknowledge),
                ("GET", ("schedule",), self.schedule), ("POST", ("schedule",), self.schedule_day), ("POST", ("schedule", "import"), self.schedule_import),
                ("GET", ("schedule", "adherence"), self.adherence), ("GET", ("schedule", "coverage"), self.coverage)]

    @property
    def _desk(self):
        for adapter in self.house.adapters:
            if adapter.name == "desk":
                return adapter
        raise Problem(404, "not found", "This control process has no desk.")

    def _domain(self):
        return roles.domain(self.house.config.running(), roles.WHO.get())

    # -- messages --

    async def broadcasts(self, query, body):
        mine, agent = self._domain()[0], query.get("agent")
        rows = self.house.switchboard.snapshot(self.house.clock.now_ms())["broadcasts"]
        return {"broadcasts": [row for row in rows if (agent is None or agent in row["agents"]) and (mine is None or mine & {*row["agents"], *row["seen"]})]}

    async def broadcast(self, query, body):
        text = words(body, "text", 1000, True)
        parts = {part: _names(body, part) for part in ("agents", "teams", "queues")}
        expires_s = body.get("expires_s")
        if expires_s is not None and (isinstance(expires_s, bool) or not isinstance(expires_s, int) or not 10 <= expires_s <= 31 * 86400):
            raise Problem(422, "bad expires_s", "expires_s must be a whole number from 10 to 2678400.")
        if not isinstance(body.get("urgent", False), bool):
            raise Problem(422, "bad urgent", "urgent must be true or false.")
        return await self.house.command({"kind": "command.broadcast", "text": text, **parts, "by": by(body), "urgent": bool(body.get("urgent")),
                                         "expires_s": expires_s})

    async def seen(self, name, query, body):
        agent = body.get("agent")
        if not isinstance(agent, str):
            raise Problem(422, "bad agent", "agent must name who has seen it.")
        await self.house.command({"kind": "command.broadcast_seen", "broadcast": name, "agent": agent})
        return {"ok": True}

    async def withdraw(self, name, query, body):
        await self.house.command({"kind": "command.broadcast_withdraw", "broadcast": name, "by": by(body)})
        return {"ok": True}

    # -- thresholds --

    async def thresholds(self, query, body):
        watch = next((adapter for adapter in self.house.adapters if adapter.name == "watch"), None)
        now_ms, served = self.house.clock.now_ms(), self._domain()[1]
        rows = core_warnings.snapshot(self.house.switchboard.core, now_ms, watch.counted if watch is not None else {})
        return {"thresholds": [row for row in rows if served is None or row["queue"] in served]}

    async def history(self, query, body):
        limit, before, served = self._api.whole(query, "limit", 100, 1, 500), self._api.whole(query, "before", 1 << 53, 0, 1 << 53), self._domain()[1]
        await self._desk.settled()
        names = ("seq", "name", "queue", "severity", "value", "limit", "since_ms", "raised_ms", "cleared_ms", "step", "acked_by", "acked_ms")
        rows = await self._desk.run(lambda db: db.execute("SELECT * FROM warning WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before, limit)).fetchall())
        return {"alarms": [dict(zip(names, row)) for row in rows if served is None or row[2] in served]}

    async def acknowledge(self, name, query, body):
        if not any(row["name"] == name for row in self.house.config.running()["thresholds"]):
            raise not_found("threshold", name[:32])
        await self.house.command({"kind": "command.threshold_ack", "threshold": name, "by": by(body), "note": words(body, "note", 500)})
        return {"ok": True}

    # -- shifts --

    def day_of(self, date, minutes):
        """UTC seconds of a moment of a day of the site, None where the date is none."""
        try:
            day = datetime.date.fromisoformat(date)
        except ValueError:
            return None
        if not 2000 <= day.year < 2100:
            return None
        local_s, offset = (day - datetime.date(1970, 1, 1)).days * 86400 + minutes * 60, self.house.utc_offset_ms
        guess_s = local_s - offset(local_s * 1000) // 1000
        return local_s - offset(guess_s * 1000) // 1000

    def _days(self, query):
        """(from_s, to_s) of a query."""
        now_ms = self.house.clock.now_ms()
        today = datetime.datetime.fromtimestamp((now_ms + self.house.utc_offset_ms(now_ms)) / 1000, datetime.timezone.utc).date().isoformat()
        since = query.get("from", today)
        until = query.get("to", since)
        found = [self.day_of(since, 0), self.day_of(until, 1440)]
        for name, text, value in (("from", since, found[0]), ("to", until, found[1])):
            if value is None:
                raise Problem(400, "bad parameter", "%s must be a day such as 2026-11-23, not %s." % (name, text[:20]))
        if not 0 < found[1] - found[0] <= DAYS_MOST * 86400:
            raise Problem(400, "bad parameter", "to must not be before from, nor more than %d days after it." % DAYS_MOST)
        return found

    def _known(self):
        """Names of all agents, in whosever teams."""
        return {row["name"] for row in self.house.config.running()["agents"]}

    def _agents(self, query):
        agents, mine = [row["name"] for row in self.house.config.running()["agents"]], self._domain()[0]
        wanted = query.get("agent")
        if wanted is not None and wanted not in agents:
            raise not_found("agent", wanted[:32])
        return [name for name in agents if (mine is None or name in mine) and wanted in (None, name)]

    async def schedule(self, query, body):
        from_s, to_s = self._days(query)
        agents = set(self._agents(query))
        rows = await self._desk.run(shifts.page, from_s, to_s, query.get("agent"))
        return {"shifts": [row for row in rows if row["agent"] in agents]}

    async def schedule_day(self, query, body):
        agent, date, given = body.get("agent"), body.get("date"), body.get("shifts")
        if not isinstance(given, list) or len(given) > 100 or any(not isinstance(row, dict) for row in given):
            raise Problem(422, "bad shifts", "shifts must be a list of {\"from\", \"to\", \"activity\"?}.")
        agents, others = set(self._agents({})), self._known()
        if isinstance(agent, str) and agent in others - agents:
            raise Problem(403, "not allowed", "%s is in none of your teams; only an administrator or who looks after that team plans these shifts." % agent)
        if not isinstance(agent, str) or agent not in agents:
            raise not_found("agent", str(agent)[:32])
        if not isinstance(date, str) or self.day_of(date, 0) is None:
            raise Problem(422, "bad date", "date must be a day such as 2026-11-23.")
        made = []
        for place, row in enumerate(given):
            shift, errors = shifts.check({**row, "agent": agent, "date": date}, agents, self.day_of)
            if errors:
                raise Problem(422, "nothing was written", "shifts[%d].%s: %s." % (place, *errors[0]),
                              errors=[{"field": "shifts[%d].%s" % (place, field), "advice": advice} for field, advice in errors])
            if any(shift[2] < other[3] and other[2] < shift[3] for other in made):
                raise Problem(422, "nothing was written", "shifts[%d].from: the time overlaps that of another of these shifts; an agent does one thing at a time." % place,
                              errors=[{"field": "shifts[%d].from" % place, "advice": "overlaps another of these shifts"}])
            made.append(shift)
        return await self._load(made, body, [(agent, date)])

    async def _load(self, made, body, also=()):
        try:
            counts = await self._desk.run(shifts.load, made, self.day_of, also)
        except LocalError as error:
            if isinstance(error, Problem):
                raise
            raise Problem(422, "nothing was written", str(error)[:1].upper() + str(error)[1:] + ".") from error
        await self.house.command({"kind": "command.desk", "record": "desk.changed", "data": {"what": "shifts", "by": by(body), "change": "written",
                                                                                            "count": len(made)}})
        return counts

    async def schedule_import(self, query, body):
        text = body.get("csv")
        if not isinstance(text, str):
            raise Problem(422, "no CSV", 'Send {"csv": the text of the file}; over REST the file itself as text/csv.')
        agents = set(self._agents({}))
        try:
            rows = await asyncio.to_thread(shifts.parse, text, agents, self.day_of, self._known())
        except shifts.BadRows as error:
            raise Problem(422, "nothing was imported", "%s (%d errors)." % (str(error)[:1].upper() + str(error)[1:], len(error.errors)), errors=error.errors) from error
        return await self._load([shift for _, shift in rows], body)

    async def coverage(self, query, body):
        """Each quarter of an hour of a day: how many agents of a queue are planned to work, and how many the forecast asks for."""
        if "queue" not in query:
            raise Problem(422, "incomplete", "Give queue and day.")
        needed = await api_staffing.StaffingAPI(self._api).staffing(query, None)
        config = self.house.config.running()
        members = {row["name"] for row in config["agents"] if any(member["queue"] == query["queue"] for member in row["queues"])}
        start_s, end_s = needed["intervals"][0]["start_ms"] // 1000, needed["intervals"][-1]["start_ms"] // 1000 + QUARTER_S
        planned = [row for row in await self._desk.run(shifts.page, start_s, end_s) if row["agent"] in members and row["activity"] == shifts.WORK]
        for row in needed["intervals"]:
            at_s = row["start_ms"] // 1000
            row["scheduled"] = sum(shift["start_s"] <= at_s and at_s + QUARTER_S <= shift["end_s"] for shift in planned)
            row["missing"] = max(0, row["planned"] - row["scheduled"])
        return needed

    async def adherence(self, query, body):
        from_s, to_s = self._days(query)
        interval, agents, now_ms = query.get("interval", "whole"), self._agents(query), self.house.clock.now_ms()
        if interval not in ("whole", "day"):
            raise Problem(400, "bad parameter", "interval must be whole or day.")
        await self._desk.settled()

        def read(db):
            pieces, start_s = [], from_s
            while start_s < to_s:
                end_s = to_s
                if interval == "day":
                    noon_s = start_s + 12 * 3600
                    local = datetime.datetime.fromtimestamp(noon_s + self.house.utc_offset_ms(noon_s * 1000) // 1000, datetime.timezone.utc).date().isoformat()
                    end_s = min(to_s, self.day_of(local, 1440))
                if start_s * 1000 < now_ms:
                    pieces += [{"start_s": start_s, "end_s": end_s, **row}
                               for row in shifts.adherence(db, start_s * 1000, min(end_s * 1000, now_ms), agents)]
                start_s = end_s
            return pieces
        return {"rows": await self._desk.run(read), "formulas": shifts.FORMULAS}
