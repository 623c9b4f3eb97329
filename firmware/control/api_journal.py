"""The part of the local API that is about what is kept, for how long, and how it leaves the box.

    GET  /v1/set_aside                 {"count", "rows"}: what could not be carried out or written for a fault of ours, oldest first
    POST /v1/set_aside/clear           a person has seen to it
    GET  /v1/retention                 {"busy", "pruned", "gone_upto", "erasures"}; how long is kept is configuration (retention)
    POST /v1/retention/prune           look for old rows now
    GET  /v1/export/{journal|calls|surveys}?from=M&to=M&format=jsonl|csv     streamed; moments as of reports, any second; default: all
    POST /v1/erasures                  {"number", "confirm": the same, "by"?, "reason"?, "later"?}: all that is kept of a person, by the number; later: a number
                                       that is in a call just now is erased by itself after it, else that is refused.  Answer: {"erasure", "forms", "waits_for"?,
                                       "stands": places of the configuration (lists of callers, home telephones) that name it: there a person must take it out}
    GET  /v1/erasures                  {"erasures": those that are not done yet}; done ones are records person.erased"""

import asyncio
import datetime
import json

from firmware.control.commands import Problem
from firmware.control.roles import by
from firmware.storage.export import PARTS

FORMATS = {"jsonl": b"application/x-ndjson", "csv": b"text/csv; charset=utf-8"}


def named_in(value, forms, path=""):
    """The places of a configuration where one of these numbers stands, alone or as a list's entry: [path]."""
    if isinstance(value, dict):
        return [found for name in value for found in named_in(value[name], forms, "%s.%s" % (path, name) if path else name)]
    if isinstance(value, list):
        return [found for index, inner in enumerate(value) for found in named_in(inner, forms, "%s[%d]" % (path, index))]
    return [path] if isinstance(value, str) and value.lstrip("+") in forms else []


class JournalAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api, self._house = api, api.house

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("set_aside",), self.set_aside), ("POST", ("set_aside", "clear"), self.clear),
                ("GET", ("retention",), self.retention), ("POST", ("retention", "prune"), self.prune),
                ("GET", ("export", None), self.export), ("GET", ("erasures",), self.erasures), ("POST", ("erasures",), self.erase)]

    async def set_aside(self, query, body):
        kept = self._house.stores.set_aside
        return {"count": kept.count, "rows": await asyncio.to_thread(kept.rows)}

    async def clear(self, query, body):
        self._house.stores.set_aside.clear()
        return {"ok": True}

    async def retention(self, query, body):
        return self._house.keeping.status()

    async def prune(self, query, body):
        self._house.keeping.look_now()
        return self._house.keeping.status()

    async def erasures(self, query, body):
        return {"erasures": self._house.keeping.status()["erasures"]}

    async def erase(self, query, body):
        number, confirm = body.get("number"), body.get("confirm")
        if not isinstance(number, str):
            raise Problem(422, "incomplete", 'Send {"number": the person\'s, "confirm": the same once more}.')
        if not isinstance(body.get("later", False), bool):
            raise Problem(422, "bad later", "later must be true or false.")
        found = await self._house.keeping.erase(number, confirm, by(body), body.get("reason"), body.get("later", False))
        return {**found, "stands": named_in(self._house.config.running(), found["forms"])}

    def _moment_ms(self, query, name, default_ms):
        text = query.get(name)
        if not text:
            return default_ms
        offset = self._house.utc_offset_ms
        try:
            if text.isascii() and text.isdigit() and len(text) < 12:
                return int(text) * 1000
            when = datetime.datetime.fromisoformat(text.replace(" ", "+"))
            at_ms = int(when.replace(tzinfo=when.tzinfo or datetime.timezone.utc).timestamp() * 1000)
            return at_ms if when.tzinfo is not None else at_ms - offset(at_ms - offset(at_ms))
        except (ValueError, OverflowError):
            raise Problem(400, "bad parameter", "%s must be a moment such as 2026-11-22 or 2026-11-22T08:30:00, not %s." % (name, text[:40])) from None

    async def export(self, what, query, body):
        form = query.get("format", "jsonl")
        if what not in PARTS:
            raise Problem(404, "not found", "There are exports of %s." % ", ".join(PARTS))
        if form not in FORMATS:
            raise Problem(400, "bad parameter", "format must be %s." % " or ".join(FORMATS))
        question = {"what": what, "format": form, "since_ms": self._moment_ms(query, "from", 0), "until_ms": self._moment_ms(query, "to", 1 << 60)}
        if question["until_ms"] <= question["since_ms"]:
            raise Problem(400, "bad parameter", "to must be later than from.")
        return await self._api.children.child(("firmware.storage.export", self._house.database.path), json.dumps(question).encode(), FORMATS[form],
                                              "the export")
