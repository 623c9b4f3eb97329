"""The part of the local API that serves the desk: customers, what is shown at ring, notes, dispositions, tickets, articles.

    GET  /v1/customers?text=&after=&limit=   POST /v1/customers {"name"?, "numbers"?: [...], "company"?, "external"?, "owner"?, ...} -> {"customer", "revision"}
    GET  /v1/customers?number=13912345678    who has the number
    GET  /v1/customers?format=csv            all of them;  POST /v1/customers/import {"csv": text} -> {"added", "changed"}, all or none
    GET, POST /v1/customers/{id}             {"revision"?, fields to change};  GET .../history, POST .../erase
    GET  /v1/calls/{id}/pop                  what the agent is shown: customer, last calls, tickets, callbacks
    GET  /v1/calls/{id}/desk                 notes, dispositions and tickets of a call, over or not
    POST /v1/calls/{id}/notes                {"text", "agent"?}
    POST /v1/calls/{id}/disposition          {"code", "agent"?, "text"?}
    GET  /v1/desk/setup                      dispositions, templates, reasons: what a page of an agent needs
    GET  /v1/dispositions?from_ms=&to_ms=    how often each was given, by queue and agent; code null: none, though the queue wants one
    GET  /v1/tickets?state=&owner=&queue=&template=&customer=&call=&before=&limit=     state "unfinished": new, open and waiting
    POST /v1/tickets                         {"template", "title", "fields"?, "text"?, "state"?, "owner"?, "queue"?, "customer"?, "call"?, "priority"?, "due_ms"?}
    GET, POST /v1/tickets/{id}               {"revision", "state"?, "owner"?, "fields"?, "title"?, "comment"?, "call"?, ...}
    GET  /v1/articles?text=&language=&tag=   full-text search, Chinese too;  POST /v1/articles {"title", "body", "tags"?, "language"?}
    GET, POST /v1/articles/{id}              {"revision"?, ...};  POST /v1/articles/{id}/remove

Who acts is "by" of the body, or the user of the request.  Personal words stand in the desk's database, the journal names their keys."""

import asyncio
import contextlib
import time

from firmware.control.commands import Problem, check_call_id, not_found
from firmware.control.roles import by
from firmware.errors import LocalError
from firmware.jsontext import writable
from firmware.storage import desk as files
from firmware.storage import desk_articles as articles
from firmware.storage import desk_customers as customers
from firmware.storage import desk_tickets as tickets
from firmware.storage.cdr import CDRs

TEXT_MOST = 4000
TITLE_MOST = 200
BODY_MOST = 60_000
PAGE_MOST = 200


def words(body, name, most=TEXT_MOST, required=False):
    """A text of a request, or None.  Raises Problem."""
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > most or not writable(value) or any(ord(c) < 32 and c not in "\n\t" for c in value):
        raise Problem(422, "bad " + name, "%s must be a text of 1 to %d characters." % (name, most))
    return value


def refuse_fields(errors, title):
    """Problem 422 of [(field, advice)], if there are any."""
    if errors:
        raise Problem(422, title, "; ".join("%s: %s" % pair for pair in errors[:5]) + ".", errors=[{"field": field, "advice": advice} for field, advice in errors])


class DeskAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api
        self.house = api.house

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("customers",), self.customers), ("POST", ("customers",), self.customer_new), ("POST", ("customers", "import"), self.customers_import),
                ("GET", ("customers", None), self.customer), ("POST", ("customers", None), self.customer_change),
                ("GET", ("customers", None, "history"), self.customer_history), ("POST", ("customers", None, "erase"), self.customer_erase),
                ("GET", ("calls", None, "pop"), self.pop), ("GET", ("calls", None, "desk"), self.of_call),
                ("POST", ("calls", None, "notes"), self.note), ("POST", ("calls", None, "disposition"), self.disposition),
                ("GET", ("dispositions",), self.dispositions), ("GET", ("desk", "setup"), self.setup),
                ("GET", ("tickets",), self.tickets), ("POST", ("tickets",), self.ticket_new),
                ("GET", ("tickets", None), self.ticket), ("POST", ("tickets", None), self.ticket_change),
                ("GET", ("articles",), self.articles), ("POST", ("articles",), self.article_new),
                ("GET", ("articles", None), self.article), ("POST", ("articles", None), self.article_change),
                ("POST", ("articles", None, "remove"), self.article_remove)]

    @property
    def desk(self):
        """The adapter."""
        for adapter in self.house.adapters:
            if adapter.name == "desk":
                return adapter
        raise Problem(404, "not found", "This control process has no desk.")

    def _now_ms(self):
        return self.house.clock.now_ms()

    async def _record(self, kind, call=None, agent=None, queue=None, **data):
        answer = await self.house.command({"kind": "command.desk", "record": kind, "data": data, "call": call, "agent": agent, "queue": queue})
        return answer or {}

    async def _naming(self, keys, command):
        """A command whose record names texts that were written before it: where it is refused, they go again.

        Not on 503: there the record is, though perhaps not yet on the disk."""
        try:
            return await command
        except Problem as error:
            if error.status == 409:
                for key in keys:
                    with contextlib.suppress(Problem):      # what the request hears is the refusal
                        await self.desk.run(files.drop_text, key)
            raise

    def _agents(self):
        return {row["name"] for row in self.house.config.running()["agents"]}

    # -- customers --

    async def customers(self, query, body):
        desk = self.desk
        if query.get("format") == "csv":
            return await desk.read(customers.export, desk.extra())
        if "number" in query:
            country = desk.country()
            found = await desk.read(lambda db: [customers.get(db, key) for key in customers.by_number(db, query["number"][:40], country)])
            return {"customers": found}
        limit = self._api.whole(query, "limit", 50, 1, PAGE_MOST)
        return {"customers": await desk.read(customers.page, (query.get("text") or "")[:100] or None, query.get("after"), limit)}

    async def customer(self, key, query, body):
        found = await self.desk.read(customers.get, key)
        if found is None:
            raise not_found("customer", key[:32])
        return found

    async def customer_history(self, key, query, body):
        found = await self.customer(key, query, body)
        return {"customer": found, **await self.desk.history(found["numbers"], key)}

    async def customer_new(self, query, body):
        return await self._customer(None, body)

    async def customer_change(self, key, query, body):
        return await self._customer(key, body)

    async def _customer(self, key, body):
        desk, given = self.desk, {name: value for name, value in body.items() if name not in ("by", "revision")}
        revision = body.get("revision")
        if revision is not None and (isinstance(revision, bool) or not isinstance(revision, int)):
            raise Problem(422, "bad revision", "revision is the number that GET gave.")
        async with desk.writing:
            if key is not None:
                before = await self.customer(key, {}, None)
                kept = {name: value for name, value in before.items() if name not in ("customer", "revision", "changed_ms")}
                given = {**kept, **given}
            row, errors = customers.check(given, self._agents(), desk.extra(), desk.country())
            refuse_fields(errors, "the customer is not usable")
            key, revision = await desk.run(customers.put, key, row, self._now_ms(), revision)
        await self._record("desk.changed", what="customer", id=key, revision=revision, by=by(body), change="written")
        return {"customer": key, "revision": revision}

    async def customers_import(self, query, body):
        desk, text = self.desk, body.get("csv")
        if not isinstance(text, str):
            raise Problem(422, "no CSV", 'Send {"csv": the text of the file}; over REST the file itself as text/csv.')
        agents, extra, country = self._agents(), desk.extra(), desk.country()
        began = time.perf_counter()
        try:
            async with desk.writing:
                rows = await asyncio.to_thread(customers.parse, text, agents, extra, country)
                counts = await desk.run(customers.load, rows, self._now_ms())
        except customers.BadRows as error:
            raise Problem(422, "nothing was imported", "%s (%d errors)." % (str(error)[:1].upper() + str(error)[1:], len(error.errors)),
                          errors=error.errors) from error
        await self._record("desk.changed", what="customers", by=by(body), change="imported", count=len(rows))
        return {**counts, "seconds": round(time.perf_counter() - began, 3)}

    async def customer_erase(self, key, query, body):
        async with self.desk.writing:
            texts = await self.desk.run(customers.erase, key)
        await self._record("desk.changed", what="customer", id=key, by=by(body), change="erased")
        return {"erased": key, "texts": texts}

    # -- calls --

    async def pop(self, call, query, body):
        check_call_id(call)
        return await self.desk.pop(call)

    async def of_call(self, call, query, body):
        check_call_id(call)
        await self.desk.settled()
        return await self.desk.run(lambda db: {"notes": tickets.notes(db, call), "dispositions": tickets.dispositions(db, call),
                                               "tickets": tickets.page(db, call=call)})

    async def setup(self, query, body):
        """What an agent's page needs of the configuration, without what is none of an agent's business."""
        config = self.house.config.running()
        return {"queues": [{"name": row["name"], "label": row["label"] or row["name"], "dispositions": row["dispositions"],
                            "disposition_required": row["disposition_required"]} for row in config["queues"]],
                "templates": config["ticket_templates"], "break_reasons": config["break_reasons"],
                "agents": [{"name": row["name"], "label": row["label"] or row["name"]} for row in config["agents"]],
                "teams": [{"name": row["name"], "label": row["label"] or row["name"]} for row in config["teams"]], "states": tickets.STATES,
                "next": tickets.NEXT, "customer_fields": list(self.desk.extra())}

    async def _known_call(self, call):
        """The CDR of a call that is over, None of one that is up; Problem where there is none."""
        check_call_id(call)
        if self.house.call_is_open(call):
            return None
        cdr = await self._api.read(lambda db: CDRs(db).get(call))
        if cdr is None:
            raise not_found("call", call)
        return cdr

    async def _agent(self, body):
        name = body.get("agent")
        if name is not None and not (isinstance(name, str) and self.house.agent_exists(name)):
            raise not_found("agent", str(name)[:32])
        return name

    async def note(self, call, query, body):
        await self._known_call(call)
        agent, text = await self._agent(body), words(body, "text", required=True)
        key = await self.desk.run(files.put_text, "note", self._now_ms(), {"text": text}, None, call)
        await self._naming([key], self._record("call.noted", call=call, agent=agent, key=key, by=by(body)))
        return {"ok": True}

    async def disposition(self, call, query, body):
        cdr = await self._known_call(call)
        agent, code, text = await self._agent(body), words(body, "code", 32, True), words(body, "text")
        if agent is None:
            agent = self._talked(call, cdr)
        event = {"kind": "command.dispose", "call": call, "code": code, "agent": agent, "by": by(body), "queue": cdr["queue"] if cdr else None}
        if text:
            event["key"] = await self.desk.run(files.put_text, "note", self._now_ms(), {"text": text}, None, call)
        await self._naming([event["key"]] if text else [], self.house.command(event))
        return {"ok": True}

    def _talked(self, call, cdr):
        if cdr is not None:
            return cdr["agent"]
        row = next((row for row in self.house.switchboard.snapshot(self._now_ms())["calls"] if row["call"] == call), None)
        return (row or {}).get("agent")

    async def dispositions(self, query, body):
        since = self._api.whole(query, "from_ms", 0, 0, 1 << 48)
        upto = self._api.whole(query, "to_ms", 1 << 48, 0, 1 << 48)
        await self.desk.settled()
        return {"dispositions": await self.desk.run(tickets.disposition_counts, since, upto)}

    # -- tickets --

    async def tickets(self, query, body):
        wanted = {name: query.get(name) for name in ("state", "owner", "queue", "template", "customer", "call")}
        if wanted["state"] not in (None, "unfinished", *tickets.STATES):
            raise Problem(400, "bad parameter", "state must be one of unfinished, %s." % ", ".join(tickets.STATES))
        before = tickets.number_of(query["before"]) if "before" in query else None
        if "before" in query and before is None:
            raise Problem(400, "bad parameter", "before must be a ticket such as t17.")
        limit = self._api.whole(query, "limit", 50, 1, PAGE_MOST)
        await self.desk.settled()
        return {"tickets": await self.desk.run(lambda db: tickets.page(db, before, limit, **wanted))}

    async def ticket(self, name, query, body):
        await self.desk.settled()
        found = await self.desk.run(tickets.get, name)
        if found is None:
            raise not_found("ticket", name[:32])
        return found

    def _template(self, name):
        rows = self.house.config.running()["ticket_templates"]
        found = next((row for row in rows if row["name"] == name), None)
        if found is None:
            raise Problem(422, "bad template", "template must be one of %s." % (", ".join(row["name"] for row in rows) or "ticket_templates, of which the configuration has none"))
        return found

    async def _common(self, body):
        """Checked fields that opening and changing share: {name: value} of those that are there."""
        found, config = {}, self.house.config.running()
        for name, part in (("owner", "agents"), ("queue", "queues")):
            if name in body:
                if body[name] is not None and not any(row["name"] == body[name] for row in config[part]):
                    raise Problem(422, "bad " + name, "There is no %s %s." % (part[:-1], str(body[name])[:32]))
                found[name] = body[name]
        if "customer" in body:
            if body["customer"] is not None and (not isinstance(body["customer"], str) or await self.desk.run(customers.get, body["customer"]) is None):
                raise Problem(422, "bad customer", "There is no customer %s." % str(body["customer"])[:32])
            found["customer"] = body["customer"]
        for name, most in (("priority", 9), ("due_ms", 1 << 48)):
            if name in body:
                value = body[name]
                if not (value is None and name == "due_ms") and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most):
                    raise Problem(422, "bad " + name, "%s must be a whole number from 0 to %d." % (name, most))
                found[name] = value
        if body.get("call") is not None:
            if not isinstance(body["call"], str):
                raise Problem(422, "bad call", "call must be the id of a call.")
            await self._known_call(body["call"])
        return found

    async def ticket_new(self, query, body):
        template = self._template(body.get("template"))
        title, text = words(body, "title", TITLE_MOST, True), words(body, "text")
        state = body.get("state", "new")
        if state not in tickets.STATES:
            raise Problem(422, "bad state", "state must be one of %s." % ", ".join(tickets.STATES))
        values = body.get("fields") or {}
        if not isinstance(values, dict):
            raise Problem(422, "bad fields", "fields must be an object of the template's fields.")
        kept, errors = tickets.check_fields(template, values, state in ("solved", "closed"), self.desk.country())
        refuse_fields(errors, "the ticket is not complete")
        common = await self._common(body)
        if common.get("due_ms") is None and template["due_h"]:
            common["due_ms"] = self._now_ms() + template["due_h"] * 3600_000
        queue = common.pop("queue", None)
        key = await self.desk.run(files.put_text, "ticket", self._now_ms(), {"title": title, "fields": kept, **({"text": text} if text else {})},
                                  common.get("customer"), body.get("call"))
        answer = await self._naming([key], self._record("ticket.opened", call=body.get("call"), agent=common.get("owner"), queue=queue, by=by(body), key=key,
                                                        template=template["name"], state=state, **common))
        return {**answer, "revision": 1}

    async def ticket_change(self, name, query, body):
        revision = body.get("revision")
        if isinstance(revision, bool) or not isinstance(revision, int):
            raise Problem(422, "bad revision", "revision is the number that GET gave; without it a change of somebody else could be lost.")
        desk = self.desk
        async with desk.writing:
            before = await self.ticket(name, {}, None)
            if before["revision"] != revision:
                raise Problem(409, "changed meanwhile", "Ticket %s was changed meanwhile (revision %d, yours began from %d). Load it again and repeat "
                              "the change." % (name, before["revision"], revision))
            changes = {key: value for key, value in (await self._common(body)).items() if value != before[key]}
            state = body.get("state", before["state"])
            if state != before["state"]:
                if state not in tickets.NEXT[before["state"]]:
                    raise Problem(422, "bad state", "A ticket that is %s can become %s." % (before["state"], ", ".join(tickets.NEXT[before["state"]])))
                changes["state"] = state
            values = body.get("fields", {})
            if not isinstance(values, dict):
                raise Problem(422, "bad fields", "fields must be an object of the template's fields.")
            title = words(body, "title", TITLE_MOST) or before["title"]
            content = {"title": title, "fields": {**before["fields"], **values}}
            ends = changes.get("state") in ("solved", "closed")
            if values or title != before["title"] or ends and not before["erased"]:
                content["fields"], errors = tickets.check_fields(self._template(before["template"]), content["fields"], ends, desk.country())
                refuse_fields(errors, "the ticket is not complete")
            if content["fields"] != before["fields"] or title != before["title"]:
                changes["key"] = await desk.run(files.put_text, "ticket", self._now_ms(), content, changes.get("customer", before["customer"]), body.get("call"))
            comment = words(body, "comment")
            more = {"comment": await desk.run(files.put_text, "ticket", self._now_ms(), {"text": comment}, changes.get("customer", before["customer"]),
                                              body.get("call"))} if comment else {}
            if not changes and not more and not body.get("call"):
                return {"ticket": name, "revision": revision}
            keys = [key for key in (changes.get("key"), more.get("comment")) if key]
            await self._naming(keys, self._record("ticket.changed", call=body.get("call"), agent=changes.get("owner", before["owner"]), ticket=name, by=by(body),
                                                  queue=changes.get("queue", before["queue"]), revision=revision + 1, changes=changes, **more))
            await desk.settled()
        return {"ticket": name, "revision": revision + 1}

    # -- articles --

    async def articles(self, query, body):
        limit = self._api.whole(query, "limit", 20, 1, PAGE_MOST)
        return {"articles": await self.desk.run(articles.search, (query.get("text") or "")[:200] or None, query.get("language"), query.get("tag"), limit)}

    @staticmethod
    def _article_id(name):
        if not (name.isascii() and name.isdigit() and len(name) < 12):
            raise not_found("article", name[:32])
        return int(name)

    async def article(self, name, query, body):
        found = await self.desk.run(articles.get, self._article_id(name))
        if found is None:
            raise not_found("article", name[:32])
        return found

    async def _article(self, article, body, before):
        tags = body.get("tags", before.get("tags", []))
        if not isinstance(tags, list) or len(tags) > 30 or any(not isinstance(tag, str) or not 0 < len(tag) <= 40 or not writable(tag) for tag in tags):
            raise Problem(422, "bad tags", "tags must be a list of at most 30 short texts.")
        language = body.get("language", before.get("language", "zh_CN"))
        if language not in ("zh_CN", "en"):
            raise Problem(422, "bad language", "language must be zh_CN or en.")
        given = {"title": words(body, "title", TITLE_MOST, not before) or before.get("title"), "body": words(body, "body", BODY_MOST, not before) or before.get("body"),
                 "tags": tags, "language": language}
        revision = body.get("revision")
        if revision is not None and (isinstance(revision, bool) or not isinstance(revision, int)):
            raise Problem(422, "bad revision", "revision is the number that GET gave.")
        article, revision = await self.desk.run(articles.put, article, given, by(body), self._now_ms(), revision)
        await self._record("desk.changed", what="article", id=article, revision=revision, by=by(body), change="written")
        return {"article": article, "revision": revision}

    async def article_new(self, query, body):
        return await self._article(None, body, {})

    async def article_change(self, name, query, body):
        async with self.desk.writing:
            return await self._article(self._article_id(name), body, await self.article(name, {}, None))

    async def article_remove(self, name, query, body):
        try:
            await self.desk.run(articles.remove, self._article_id(name))
        except LocalError as error:
            raise Problem(404, "not found", str(error)) from error
        await self._record("desk.changed", what="article", id=int(name), by=by(body), change="removed")
        return {"ok": True}
