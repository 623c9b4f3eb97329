"""The part of the local API that shows the box: alarms, performance, chassis.

    GET /v1/alarms                          {"worst", "alarms"} that stand, worst first
    GET /v1/alarms/history?limit=50&before=ID
    POST /v1/alarms/{id}/acknowledge        {"note"?, "by"?}     somebody cares; it stays until the alarm ends
    GET /v1/performance                     bins that grow now, of every span, and the sums of 7 days
    GET /v1/performance/{span}?length=quarter|day&limit=96     newest first
    GET /v1/chassis                         temperatures, fans, supplies, clock, identity
    GET /v1/clock                           the clock doctor: offset of each span, what is wrong with whose clock, what to do"""

from firmware.chassis.performance import KEEP_S, LENGTH_S
from firmware.control import core_warnings
from firmware.control.commands import Problem
from firmware.control.roles import by
from firmware.jsontext import writable
from firmware.storage.performance import AlarmHistory, PerformanceBins


NOTE_MOST = 200             # characters; invented
RANK = ("critical", "major", "minor", "warning")


def traffic_alarm(row):
    """A raised threshold (core_warnings.snapshot) in the shape of the other alarms."""
    text = "%s %s %s %s" % (row["figure"].replace("_", " "), row["when"], row["limit"], row["unit"])
    told = "acknowledged by %s" % (row["acked"]["by"] or "somebody") if row["acked"] else "nobody has acknowledged it"
    return {"id": "threshold " + row["name"], "kind": "threshold", "severity": row["severity"], "members": ["queue " + row["queue"]], "raised_ms": row["raised_ms"],
            "cleared_ms": None, "acked": row["acked"], "text": "%s: %s" % (row["label"], text.strip()), "advice": "It is %s now; %s." % (row["value"], told), "detail": {}}


def summed(stored, growing):
    """Counts of the bins that are over and of the one that grows."""
    return {name: value + (stored or {}).get(name, 0) for name, value in growing.items() if name != "start_s"}


class ChassisAPI:
    """api: the whole API (house, _read, _whole)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("alarms",), self.alarms), ("GET", ("alarms", "history"), self.history), ("POST", ("alarms", None, "acknowledge"), self.acknowledge),
                ("GET", ("performance",), self.performance), ("GET", ("performance", None), self.of_span),
                ("GET", ("chassis",), self.chassis), ("GET", ("clock",), self.clock)]

    def _keeper(self):
        for adapter in self._api.house.adapters:
            if adapter.name == "chassis":
                return adapter
        raise Problem(404, "not found", "This control process watches no chassis.")

    async def alarms(self, query, body):
        found = self._keeper().list_alarms()
        core = getattr(getattr(self._api.house, "switchboard", None), "core", None)
        traffic = [traffic_alarm(row) for row in (core_warnings.snapshot(core, self._api.house.clock.now_ms()) if core is not None else ())
                   if row["state"] == "raised"]
        if traffic:
            alarms = sorted(found["alarms"] + traffic, key=lambda alarm: (RANK.index(alarm["severity"]) if alarm["severity"] in RANK else len(RANK), alarm["raised_ms"]))
            found = {**found, "alarms": alarms, "worst": alarms[0]["severity"]}
        return found

    async def acknowledge(self, number, query, body):
        keeper, note = self._keeper(), body.get("note")
        if note is not None and (not isinstance(note, str) or not 0 < len(note) <= NOTE_MOST or not note.isprintable() or not writable(note)):
            raise Problem(422, "bad note", "note is a text of 1 to %d printable characters." % NOTE_MOST)
        if not (number.isascii() and number.isdigit() and len(number) < 16) or keeper.alarms.standing(int(number)) is None:
            raise Problem(404, "not found", "No alarm %s of the box stands%s." % (number[:40], "; thresholds are acknowledged by their name" if number.startswith("threshold") else ""))
        acked = {"by": by(body), "ts_ms": self._api.house.clock.now_ms(), "note": note}
        await self._api.house.command({"kind": "command.desk", "record": "alarm.acknowledged", "data": {"alarm": int(number), "by": acked["by"], "note": note}})
        keeper.alarms.acknowledge(int(number), acked)
        return {"ok": True}

    async def history(self, query, body):
        limit, before = self._api._whole(query, "limit", 50, 1, 500), self._api._whole(query, "before", 0, 0, 1 << 53)
        return {"alarms": await self._api._read(lambda db: AlarmHistory(db).page(limit, before))}

    async def performance(self, query, body):
        spans = self._keeper().list_performance()
        since_s = self._api.house.clock.now_ms() // 1000 - KEEP_S["quarter"]
        now_s = max((row["quarter"]["start_s"] for row in spans.values()), default=0)      # what grows is stored each minute only
        totals = await self._api._read(lambda db: PerformanceBins(db).totals("quarter", since_s, now_s))
        return {"spans": {span: {**row, "week": summed(totals.get(int(span)), row["quarter"])} for span, row in spans.items()}}

    async def of_span(self, span, query, body):
        length = query.get("length", "quarter")
        if length not in LENGTH_S:
            raise Problem(400, "bad parameter", "length must be one of %s." % ", ".join(LENGTH_S))
        limit = self._api._whole(query, "limit", 96, 1, 700)
        if not (span.isascii() and span.isdigit() and 1 <= int(span[:4]) <= 64):
            raise Problem(404, "not found", "There is no span %s; spans are 1 to 64." % span[:20])
        bins = await self._api._read(lambda db: PerformanceBins(db).of_span(int(span), length, limit))
        return {"span": int(span), "length": length, "length_s": LENGTH_S[length], "now": self._keeper().list_performance().get(span),
                "bins": bins}

    async def chassis(self, query, body):
        return self._keeper().list_box()

    async def clock(self, query, body):
        return self._keeper().examine_clocks()
