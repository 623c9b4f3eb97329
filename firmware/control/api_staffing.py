"""The part of the local API that says how many agents are needed (acd/staffing.py).

    GET /v1/staffing?calls=100&interval_s=1800&handle_s=180 [&target=0.8&within_s=20&patience_s=120&shrinkage=0.3]
    GET /v1/staffing?queue=sales&day=2026-11-23 [&weeks=4 and as above]     each quarter of an hour, from the same weekday before

    GET /v1/staffing/simulation?calls=100&handle_s=180&agents=14 [&interval_s=1800&patience_s=120&within_s=20&runs=10&seed=1]
    GET /v1/staffing/simulation?day=2026-11-23&hour=9 [&weeks=4&absent=0.1 and as above]     all queues and agents of the configuration with the calls of
                                                 that hour in the weeks before: skills, priorities, levels and overflow as they are (staffing_simulation.py)
    POST /v1/staffing/flows                      through the flows of the configuration: api_flow_staffing.py

Erlang C, or A with patience_s.  Answer: {"model", "agents", "planned" (with shrinkage), figures} or {"intervals": [{"start_ms", "calls",
"handle_s", ...}]}; an interval without history needs nobody."""

import asyncio
import datetime

from firmware.acd import staffing
from firmware.control import apart
from firmware.control.commands import Problem, not_found
from firmware.storage.figures import QUARTER_S, Figures

WEEK_S = 7 * 86400
MOST_VISITS = 200_000   # of a simulation: some ten seconds of a process at the lowest priority, more where callers wait in long rows; invented
MOST_S = 60.0           # then it is ended; invented


class StaffingAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api
        self._one = asyncio.Lock()      # one simulation at a time

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("staffing",), self.staffing), ("GET", ("staffing", "simulation"), self.simulation)]

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

    async def simulation(self, query, body):
        known = {"calls", "interval_s", "handle_s", "agents", "within_s", "patience_s", "runs", "seed", "day", "hour", "weeks", "absent"}
        unknown = set(query) - known
        if unknown:
            raise Problem(400, "bad parameter", "There is no parameter %s." % sorted(unknown)[0][:32])
        within_s, patience_s = _number(query, "within_s", 20, 1, 3600), _number(query, "patience_s", None, 1, 86400)
        asked = {"runs": int(_number(query, "runs", 10, 1, 200)), "seed": int(_number(query, "seed", 1, 0, 1 << 31)), "absent": _number(query, "absent", 0.0, 0.0, 0.9)}
        one = {"within_s": within_s, "patience_s": patience_s}
        if "day" in query:
            if "hour" not in query:
                raise Problem(422, "incomplete", "Give calls, handle_s and agents, or day and hour.")
            question = await self._as_configured(query, asked, one)
        else:
            calls, handle_s, agents = _number(query, "calls", None, 0, 1e6), _number(query, "handle_s", None, 1, 86400), _number(query, "agents", None, 1, 5000)
            if calls is None or handle_s is None or agents is None:
                raise Problem(422, "incomplete", "Give calls, handle_s and agents, or day and hour.")
            interval_s = _number(query, "interval_s", 1800, 60, 86400)
            question = {**asked, "length_s": max(interval_s, 3600), "queues": [{"name": "queue", "rate": calls / interval_s, "handle_s": handle_s, "config": {}, **one}],
                        "agents": [{"queues": {"queue": 1}, "skills": {}}] * int(agents)}
        visits = sum(row["rate"] for row in question["queues"]) * question["length_s"] * question["runs"]
        if visits > MOST_VISITS:
            raise Problem(422, "too much", "That is %d calls to simulate, %d are taken at most; ask for fewer runs." % (visits, MOST_VISITS))
        if self._one.locked():
            raise Problem(503, "busy", "Another simulation is running; they run one at a time, so ask again in a minute.")
        async with self._one:
            found = await _simulated(question)
        needed = {row["name"]: sum(1 for agent in question["agents"] if row["name"] in agent["queues"]) for row in question["queues"]}
        for row, asked_of in zip(found["queues"], question["queues"]):
            row.update(handle_s=asked_of["handle_s"], agents=needed[row["queue"]])
        return {"model": "simulation", "agents": len(question["agents"]), **found}

    async def _as_configured(self, query, asked, one):
        """The question for an hour of a day: the calls of the weeks before, the queues and agents of the configuration and of what supervisors have moved."""
        hour = _number(query, "hour", None, 0, 23)
        if hour is None:
            raise Problem(422, "incomplete", "Give the hour of the day, 0 to 23, as well.")
        hour, weeks = int(hour), int(_number(query, "weeks", 4, 1, 52))
        house = self._api.house
        config, core = house.config.running(), house.switchboard.core
        start_s = midnight_s(house, query.get("day", "")) + hour * 3600

        def read(db):
            found = {}
            for week in range(1, weeks + 1):
                at_s = start_s - week * WEEK_S
                for name, counts in Figures.total(db, "queues", QUARTER_S, at_s, at_s + 3600):
                    found.setdefault(name, {})[week] = (counts["queued"], counts["handled"], counts["handle_ms"])
            return found
        found = await self._api._read(read)
        whole = sorted({week for rows in found.values() for week in rows})
        queues = []
        for row in config["queues"]:
            calls, handle_s = staffing.forecast([found.get(row["name"], {}).get(week, (0, 0, 0)) for week in whole])
            queues.append({"name": row["name"], "rate": calls / 3600 if handle_s else 0.0, "handle_s": handle_s or 1.0, "config": row, **one})
        agents = [{"queues": {queue: level for queue, level, _, _ in core.memberships.get(row["name"]) or ()}, "skills": row["skills"]} for row in config["agents"]]
        return {**asked, "length_s": 3600, "queues": queues, "agents": [row for row in agents if row["queues"]]}

    async def _of_queue(self, query, asked, shrinkage):
        name, house = query["queue"], self._api.house
        if not any(row["name"] == name for row in house.config.running()["queues"]):
            raise not_found("queue", name[:32])
        weeks, start_s = int(_number(query, "weeks", 4, 1, 52)), midnight_s(house, query.get("day", ""))

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
        return {"model": "erlang_a" if asked["patience_s"] else "erlang_c", "queue": name, "day": query["day"], "weeks": len(known),
                "intervals": intervals}


def midnight_s(house, text):
    """The beginning of a day of the site, UTC seconds.  Raises Problem."""
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        raise Problem(422, "bad day", "day must be a date, for example 2026-11-23.") from None
    noon_s = (day - datetime.date(1970, 1, 1)).days * 86400 + 43200
    return noon_s - 43200 - house.utc_offset_ms(noon_s * 1000) // 1000


def number_of(value, name, least, most):
    """A number of a body.  Raises Problem."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise Problem(422, "bad number", "%s must be a number from %g to %g." % (name, least, most))
    return value


async def _simulated(question):
    """By a process at the lowest priority.  It ends with its answer, after MOST_S, or with us; a client that goes away does not end it."""
    try:
        return await apart.ask("firmware.control.staffing_simulation", question, most_s=MOST_S)
    except TimeoutError:
        raise Problem(503, "not possible now", "The simulation was ended after %d s; ask for fewer runs or a shorter time." % MOST_S) from None
    except apart.Unanswered as error:
        raise Problem(503, "not possible now", "The simulation was ended: %s." % error) from None


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
