"""The part of the local API for flows, their versions, the calls in a program's hands, and surveys.

    GET  /v1/flows                           [{"name", "version", "nodes", "calls": {version: calls inside}}]
    GET  /v1/flows/{name}?version=K          {"name", "version", "flow", "text"}     text: the form that diffs well (ivr/text.py)
    GET  /v1/flows/{name}/versions           [{"version", "kept_ms", "nodes"}]
    GET  /v1/flows/{name}/diff?from=K&to=K   {"from", "to", "diff"}      default: the version before, the one in force
    POST /v1/flows/{name}/check              {"flow"} or {"text"} -> {"ok", "errors": [{"path", "advice"}], "flow"}
    PUT  /v1/flows/{name}                    the same -> {"version", "revision", "changed"}; the number of the version is given here
    POST /v1/flows/{name}/rollback           {"version"}: that definition comes into force again, as a new version
    POST /v1/calls/{id}/ivr                  an operation of ivr/program.py, for a call in the hands of a program on the CTI link
    GET  /v1/surveys?from=MS&to=MS&survey=S&by=agent|queue      counts and means of the answers

A flow comes into force for new calls; calls inside keep the versions that they have.
"""

import asyncio
import difflib
import re

from firmware.control import commands
from firmware.control.commands import Problem, not_found
from firmware.errors import LocalError
from firmware.ivr import text
from firmware.storage.flow_versions import order
from firmware.storage.personal import told

NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}\Z")


class FlowsAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api
        self.house = api.house

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("flows",), self.all), ("GET", ("flows", None), self.one), ("PUT", ("flows", None), self.put),
                ("GET", ("flows", None, "versions"), self.versions), ("GET", ("flows", None, "diff"), self.diff),
                ("POST", ("flows", None, "check"), self.check), ("POST", ("flows", None, "rollback"), self.rollback),
                ("POST", ("calls", None, "ivr"), self.operate), ("GET", ("surveys",), self.surveys)]

    def _flows(self):
        return self.house.config.running()["ivr"]

    def _running(self, name):
        if name not in self._flows():
            raise not_found("flow", name[:32])
        return self._flows()[name]

    async def _version(self, name, key):
        """A definition: of a version, or the one in force."""
        if key is None:
            return self._running(name)
        return await asyncio.to_thread(self.house.flow_versions.get, name, key)

    async def all(self, query, body):
        inside = {}
        for call in list(self.house.switchboard.core.state.calls.values()):
            for name, key in (call.flow_keys or {}).items():
                if call.state == "ivr":
                    inside.setdefault(name, {})
                    inside[name][key.split("@")[1]] = inside[name].get(key.split("@")[1], 0) + 1
        return {"flows": [{"name": name, "version": flow["version"], "nodes": len(flow["nodes"]), "calls": inside.get(name, {})}
                          for name, flow in sorted(self._flows().items())]}

    async def one(self, name, query, body):
        self._named(name)
        flow = await self._version(name, query.get("version"))
        return {"name": name, "version": query.get("version") or str(flow["version"]), "flow": flow, "text": text.write(flow)}

    async def versions(self, name, query, body):
        self._named(name)
        return {"name": name, "versions": await asyncio.to_thread(self.house.flow_versions.list, name)}

    async def diff(self, name, query, body):
        self._named(name)
        known = [row["version"] for row in await asyncio.to_thread(self.house.flow_versions.list, name)]
        now = query.get("to")
        if now is None:
            now = next((key for key in known if key.rstrip("+") == str(self._running(name)["version"])), None)
        before = query.get("from") or next((key for key in known if now is not None and order(key) < order(now)), None)
        if before is None:
            raise Problem(404, "not found", "There is no earlier version of flow %s." % name)
        old, new = await self._version(name, before), await self._version(name, now)
        lines = difflib.unified_diff(text.write(old).splitlines(), text.write(new).splitlines(), "%s version %s" % (name, before),
                                     "%s version %s" % (name, now), lineterm="")
        return {"from": before, "to": now, "diff": "\n".join(lines)}

    @staticmethod
    def _named(name):
        if not NAME.match(name) or name in (".", ".."):
            raise Problem(422, "bad name", "A flow's name has letters, digits, dot, dash and underline, at most 32.")

    def _given(self, body):
        """The flow of a body: as data or as text."""
        if ("flow" in body) == ("text" in body):
            raise Problem(422, "incomplete", 'Give {"flow": object} or {"text": "..."}.')
        if "flow" in body:
            return body["flow"]
        if not isinstance(body["text"], str):
            raise Problem(422, "bad text", "text must be a text.")
        try:
            return text.read(body["text"])
        except LocalError as error:
            raise Problem(422, "the text is no flow", str(error)) from None

    def _candidate(self, name, flow):
        running = self.house.config.running()
        return {**running, "ivr": {**running["ivr"], name: flow}}

    async def check(self, name, query, body):
        self._named(name)
        flow = self._given(body)
        report = await self.house.propose_configuration(self._candidate(name, flow))
        return {"ok": report["ok"], "errors": report["errors"], "flow": flow}

    async def put(self, name, query, body):
        self._named(name)
        return await self._enforce(name, self._given(body))

    async def _enforce(self, name, flow):
        known = self._flows().get(name)
        if isinstance(flow, dict):
            if known is not None and {**known, "version": 0} == {**flow, "version": 0}:
                return {"version": known["version"], "revision": self.house.config.running()["revision"], "changed": False}
            versions = await asyncio.to_thread(self.house.flow_versions.list, name)
            last = max([order(row["version"])[0] for row in versions] + [known["version"] if known else 0])
            flow = {**flow, "version": last + 1}
        done = await self.house.apply_configuration(self._candidate(name, flow), self.house.config.running()["revision"])
        return {"version": flow["version"], "revision": done["revision"], "changed": True}

    async def rollback(self, name, query, body):
        self._named(name)
        self._running(name)
        if not isinstance(body.get("version"), (str, int)):
            raise Problem(422, "incomplete", 'Give {"version": number}.')
        return await self._enforce(name, await self._version(name, str(body["version"])))

    async def operate(self, call, query, body):
        return {"ok": True, **await operate(self.house, call, body)}

    async def surveys(self, query, body):
        now_ms = self.house.clock.now_ms()
        since_ms = self._api.whole(query, "from", 0, 0, 1 << 53)
        until_ms = self._api.whole(query, "to", now_ms, 0, 1 << 53)
        by = query.get("by")
        if by not in (None, "agent", "queue"):
            raise Problem(400, "bad parameter", "by must be agent or queue.")

        def read(db):
            group = ", " + by if by else ""
            return db.execute("SELECT json_extract(data, '$.survey'), json_extract(data, '$.question'), json_extract(data, '$.answer')%s, count(*) "
                              "FROM journal WHERE kind = 'ivr.survey' AND ts_ms >= ? AND ts_ms < ? GROUP BY 1, 2, 3%s" % (group, ", 4" if by else ""),
                              (since_ms, until_ms + 1)).fetchall()
        rows, found = {}, await self._api.read(lambda db: [(*told(db, row[:3]), *row[3:]) for row in map(tuple, read(db))])
        for survey, question, answer, *who, count in found:
            if query.get("survey") in (None, survey):
                row = rows.setdefault((survey, question, *who), {})
                row[answer] = row.get(answer, 0) + count
        return {"from": since_ms, "to": until_ms, "rows": [_row(key, counts, by) for key, counts in sorted(rows.items(), key=lambda pair: str(pair[0]))],
                "formula": "mean: sum of answer times count, over the count of all answers that are digits"}


def _row(key, counts, by):
    digits = {int(answer): count for answer, count in counts.items() if answer.isdigit()}
    total = sum(digits.values())
    row = {"survey": key[0], "question": key[1], "answers": dict(sorted(counts.items())), "count": sum(counts.values()),
           "mean": round(sum(value * count for value, count in digits.items()) / total, 4) if total else None}
    if by:
        row[by] = key[2]
    return row


async def operate(house, call, operation):
    """What a program on the CTI link or REST wants of a call that it has."""
    commands.check_call_id(call)
    if not house.call_is_open(call):
        raise not_found("open call", call)
    if not isinstance(operation, dict) or not isinstance(operation.get("do"), str):
        raise Problem(422, "incomplete", 'Say what is to be done: {"do": "play", "items": ["greeting"]}.')
    return await house.command({"kind": "command.ivr", "call": call, "operation": operation}) or {}
