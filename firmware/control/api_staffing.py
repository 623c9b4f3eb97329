"""The part of the local API that says how many agents are needed (acd/staffing.py).

    GET /v1/staffing?calls=100&interval_s=1800&handle_s=180 [&target=0.8&within_s=20&patience_s=120&shrinkage=0.3]
    GET /v1/staffing?queue=sales&day=2026-11-23 [&weeks=4 and as above]     each quarter of an hour, from the same weekday before

Erlang C, or A with patience_s.  Answer: {"model", "agents", "planned" (with shrinkage), figures} or {"intervals": [{"start_ms", "calls",
"handle_s", ...}]}; an interval without history needs nobody."""

import datetime

from firmware.acd import staffing
from firmware.control.commands import Problem, not_found
from firmware.storage.figures import QUARTER_S, Figures

WEEK_S = 7 * 86400


class StaffingAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("staffing",), self.staffing)]

    async def staffing(self, query, body):
        unknown = set(query) - {"calls", "interval_s", "handle_s", "target", "within_s", "patience_s", "shrinkage", "queue", "day", "weeks"}
        if unknown:
            raise Problem(400, "bad parameter", "There is no parameter %s." % sorted(unknown)[0][:32])
        asked = {"target": _number(query, "target", 0.8, 0.01, 0.999), "within_s": _number(query, "within_s", 20, 1, 3600),
                 "patience_s": _number(query, "patience_s", None, 1, 86400)}
        shrinkage = _number(query, "shrinkage", 0.0, 0.0, 0.9)
        if "queue" in query:
            return await self._of_queue(query, asked, shrinkage)
        calls, interval_s = _number(query, "calls", None, 0, 1e6), _number(query, "interval_s", 1800, 60, 86400)
        handle_s = _number(query, "handle_s", None, 1, 86400)
        if calls is None or handle_s is None:
            raise Problem(422, "incomplete", "Give calls and handle_s, or queue and day.")
        return {"model": "erlang_a" if asked["patience_s"] else "erlang_c", **_needed(calls, interval_s, handle_s, asked, shrinkage)}

    async def _of_queue(self, query, asked, shrinkage):
        name, house = query["queue"], self._api.house
        if not any(row["name"] == name for row in house.config.running()["queues"]):
            raise not_found("queue", name[:32])
        try:
            day = datetime.date.fromisoformat(query.get("day", ""))
        except ValueError:
            raise Problem(422, "bad day", "day must be a date, for example 2026-11-23.") from None
        weeks = int(_number(query, "weeks", 4, 1, 52))
        noon_s = (day - datetime.date(1970, 1, 1)).days * 86400 + 43200
        start_s = noon_s - 43200 - house.utc_offset_ms(noon_s * 1000) // 1000

        def read(db):
            found = {}
            for week in range(1, weeks + 1):
                at_s = start_s - week * WEEK_S
                for _, quarter_s, counts in Figures.sums(db, "queues", QUARTER_S, at_s, at_s + 86400, name):
                    found[(quarter_s - at_s) // QUARTER_S, week] = (counts["queued"], counts["handled"], counts["handle_ms"])
            return found
        found = await self._api._read(read)
        known = sorted({week for _, week in found})
        intervals = []
        for place in range(86400 // QUARTER_S):
            history = [found.get((place, week), (0, 0, 0)) for week in known]
            calls, handle_s = staffing.forecast(history)
            row = {"start_ms": (start_s + place * QUARTER_S) * 1000, "calls": round(calls, 2), "handle_s": handle_s, "agents": 0, "planned": 0}
            if calls and handle_s:
                row.update(_needed(calls, QUARTER_S, handle_s, asked, shrinkage))
            intervals.append(row)
        return {"model": "erlang_a" if asked["patience_s"] else "erlang_c", "queue": name, "day": day.isoformat(), "weeks": len(known),
                "intervals": intervals}


def _needed(calls, interval_s, handle_s, asked, shrinkage):
    agents, figures = staffing.agents_for(asked["target"], asked["within_s"], calls / interval_s, handle_s, asked["patience_s"])
    return {"agents": agents, "planned": staffing.with_shrinkage(agents, shrinkage), **figures}


def _number(query, name, default, least, most):
    text = query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise Problem(400, "bad parameter", "%s must be a number from %g to %g." % (name, least, most))
    return value
