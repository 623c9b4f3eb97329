"""The part of the local API that is about campaigns (core_campaigns.py).

    GET  /v1/campaigns                      {"campaigns": [...]}: core_campaigns.snapshot
    GET  /v1/campaigns/{name}               one with its numbers: core_campaigns.told
    POST /v1/campaigns/{name}               {"queue", "mode"? ("progressive"|"preview"), "csv": number,note}: all or none; nothing is called before it is started
    POST /v1/campaigns/{name}/start|pause|stop|remove    {"by"?}

The numbers of the caller_lists of treatment do_not_call are never called.  Prefix, kinds of numbers, hours, attempts and the pause between them are those of the
queue's setting callback."""

import csv
import io
import re

from firmware.config.schema import NAME
from firmware.config.written import dialable
from firmware.control import core_campaigns, roles
from firmware.control.commands import Problem, not_found
from firmware.control.core_callback_rules import no_number
from firmware.storage.desk_customers import COUNTRY, plain

ACTIONS = ("start", "pause", "stop", "remove")
COLUMNS, NOTE_MOST, ERRORS_MOST = ("number", "note"), 200, 50


def parse(text, country=COUNTRY):
    """[[number, note]] of a CSV file with a first line number,note.  Raises Problem 422 with errors [{line, field, advice}]; blanks and dashes in numbers do not count.

    country: as in the section desk; one number written in two ways stands twice."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    rows, seen, errors, ended = [], {}, [], 0

    def wrong(line, field, advice):
        errors.append({"line": line, "field": field, "advice": advice})
    try:
        heads = [head.strip() for head in next(reader, [])]
        for head in heads:
            if head not in COLUMNS or heads.count(head) > 1:
                wrong(1, head[:40] or "(empty)", "is no column, or stands twice; the columns are %s" % ", ".join(COLUMNS))
        if "number" not in heads:
            wrong(1, "number", "is missing; the first line names the columns %s" % ", ".join(COLUMNS))
        ended = reader.line_num
        for cells in [] if errors else reader:
            line, ended = ended + 1, reader.line_num
            if len(errors) >= ERRORS_MOST:
                break
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heads):
                wrong(line, "(line)", "has %d cells, the head has %d" % (len(cells), len(heads)))
                continue
            row = dict(zip(heads, [cell.strip() for cell in cells]))
            number, note = dialable(row["number"]), row.get("note", "")
            why = no_number(number) if number.isascii() and len(number) <= 24 else "%s is no telephone number" % row["number"][:40]
            same = plain(number, country) or number
            if why is not None:
                wrong(line, "number", why)
            elif same in seen:
                wrong(line, "number", "%s stands in line %d already; leave one out" % (number, seen[same]))
            if len(note) > NOTE_MOST or not note.isprintable():
                wrong(line, "note", "must be at most %d printable characters" % NOTE_MOST)
            seen.setdefault(same, line)
            rows.append([number, note])
    except csv.Error as error:
        wrong(ended + 1, "(line)", "is no CSV: %s; look for a quote that is not closed" % error)
    if not errors and not 0 < len(rows) <= core_campaigns.MOST_ROWS:
        wrong(ended, "(file)", "has %d numbers; give 1 to %d" % (len(rows), core_campaigns.MOST_ROWS))
    if errors:
        raise Problem(422, "the file is not usable", "Nothing was taken. " + "; ".join("line %(line)d, %(field)s: %(advice)s" % error for error in errors[:5]), errors=errors)
    return rows


class CampaignsAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._house = api.house

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("campaigns",), self.campaigns), ("GET", ("campaigns", None), self.campaign), ("POST", ("campaigns", None), self.load)] + [
            ("POST", ("campaigns", None, action), self._move(action)) for action in ACTIONS]

    def _core(self):
        return self._house.switchboard.core

    async def campaigns(self, query, body):
        _, served = roles.domain(self._house.config.running(), roles.WHO.get())
        return {"campaigns": [row for row in core_campaigns.snapshot(self._core()) if served is None or row["queue"] in served]}

    async def campaign(self, name, query, body):
        if name not in self._core().state.campaigns:
            raise not_found("campaign", name[:32])
        return core_campaigns.told(self._core(), name)

    async def load(self, name, query, body):
        if not re.fullmatch(NAME, name):
            raise Problem(422, "bad name", "A campaign's name has letters, digits, dot, dash and underline, at most 32.")
        for part in ("queue", "csv"):
            if not isinstance(body.get(part), str):
                raise Problem(422, "incomplete", 'The body must be {"queue", "mode"?, "csv": the text of a file with the columns number and note}.')
        if not isinstance(body.get("mode") or "", str):
            raise Problem(422, "bad mode", "mode must be one of %s." % ", ".join(sorted(core_campaigns.MODES)))
        if set(body) - {"queue", "mode", "csv", "by"}:
            raise Problem(422, "unknown field", "A campaign has queue, mode and csv.")
        rows = parse(body["csv"], self._house.config.running()["desk"]["country"])
        await self._house.command({"kind": "command.campaign_load", "campaign": name, "queue": body["queue"], "mode": body.get("mode") or "progressive", "rows": rows,
                                   "by": roles.by(body)})
        return {"ok": True, "numbers": len(rows)}

    def _move(self, action):
        async def handler(name, query, body):
            if name not in self._core().state.campaigns:
                raise not_found("campaign", name[:32])
            await self._house.command({"kind": "command.campaign", "campaign": name, "action": action, "by": roles.by(body)})
            return {"ok": True}
        return handler
