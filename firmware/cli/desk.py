"""Verbs of the command `strowger` of the desk: customers, tickets, notes, dispositions, articles.

    customers [TEXT];  customer ID;  customer-find NUMBER;  customer-put [--id ID] NAME=VALUE ... (numbers=a;b);  customer-erase ID
    customer-import FILE;  customer-export FILE
    broadcasts [--agent A];  broadcast TEXT [--agents A,B] [--teams T] [--queues Q] [--urgent];  broadcast-seen ID AGENT;  broadcast-withdraw ID
    thresholds;  threshold-history;  threshold-ack NAME [--note T]
    coverage QUEUE DAY [--weeks N --target T ...]      planned agents beside those that the forecast needs
    schedule [--from D] [--to D] [--agent A];  schedule-import FILE;  adherence [--from D] [--to D] [--agent A] [--interval day|whole]
    me;  figures AGENT                who asks (--as USER), today's figures of an agent
    pop CALL;  note CALL TEXT [--agent A];  dispose CALL CODE [--agent A] [--text T];  dispositions
    tickets [--state S] [--owner A] [--queue Q] [--customer C] [--call C];  ticket ID
    ticket-open TEMPLATE TITLE [NAME=VALUE ...] [--call C] [--customer C] [--owner A] [--queue Q] [--text T]
    ticket-change ID [NAME=VALUE ...] [--state S] [--owner A] [--comment T] [--call C]
    articles [TEXT];  article ID;  article-put [--id ID] TITLE FILE [--tags a,b] [--language L];  article-remove ID
"""

import datetime
import json
import re
import urllib.parse

from firmware.errors import LocalError

VERBS = ("me", "figures", "broadcasts", "broadcast", "broadcast-seen", "broadcast-withdraw", "thresholds", "threshold-history", "threshold-ack", "schedule",
         "schedule-import", "adherence", "coverage", "customers", "customer", "customer-find", "customer-put", "customer-erase", "customer-import", "customer-export", "pop", "note", "dispose",
         "dispositions", "tickets", "ticket", "ticket-open", "ticket-change", "articles", "article", "article-put", "article-remove")


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    def verb(name, *words, **options):
        one = verbs.add_parser(name, parents=[common])
        for word in words:
            one.add_argument(word[:-1] if word[-1] in "?*" else word, nargs=word[-1] if word[-1] in "?*" else None)
        for option in options:
            one.add_argument("--" + option)
        return one
    verb("me")
    verb("figures", "agent")
    verb("broadcasts", agent=1)
    one = verb("broadcast", "text", agents=1, teams=1, queues=1)
    one.add_argument("--urgent", action="store_true")
    verb("broadcast-seen", "id", "agent")
    verb("broadcast-withdraw", "id")
    verb("thresholds")
    verb("threshold-history")
    verb("threshold-ack", "name", note=1)
    for name in ("schedule", "adherence"):
        one = verb(name, agent=1)
        one.add_argument("--from", dest="since")
        one.add_argument("--to", dest="until")
        if name == "adherence":
            one.add_argument("--interval", choices=("day", "whole"))
    verb("schedule-import", "file")
    one = verb("coverage", "queue", "day")
    for name in ("weeks", "target", "within-s", "patience-s", "shrinkage"):
        one.add_argument("--" + name, dest=name.replace("-", "_"))
    verb("customers", "text?")
    verb("customer", "id")
    verb("customer-find", "number")
    verb("customer-put", "fields*", id=1)
    verb("customer-erase", "id")
    verb("customer-import", "file")
    verb("customer-export", "file")
    verb("pop", "call")
    verb("note", "call", "text", agent=1)
    verb("dispose", "call", "code", agent=1, text=1)
    verb("dispositions")
    verb("tickets", state=1, owner=1, queue=1, template=1, customer=1, call=1)
    verb("ticket", "id")
    verb("ticket-open", "template", "title", "fields*", call=1, customer=1, owner=1, queue=1, text=1)
    verb("ticket-change", "id", "fields*", state=1, owner=1, comment=1, call=1, queue=1)
    verb("articles", "text?")
    verb("article", "id")
    verb("article-put", "title", "file", id=1, tags=1, language=1)
    verb("article-remove", "id")


def _quoted(text):
    return urllib.parse.quote(text, safe="")


def _read(path):
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise LocalError("%s cannot be read: %s" % (path, error.strerror)) from error
    except UnicodeDecodeError as error:
        with open(path, "rb") as file:
            line = file.read(error.start).count(b"\n") + 1
        raise LocalError("line %d of %s is no UTF-8; save the file as UTF-8" % (line, path)) from error


def _fields(words):
    """{"a": "1"} of ["a=1"]."""
    found = {}
    for word in words:
        name, mark, value = word.partition("=")
        if not mark:
            raise LocalError("%s is no NAME=VALUE" % word)
        found[name] = value
    return found


def _typed(client, words, template):
    """The fields of a ticket, whole numbers and flags as its template has them; `template()` names it."""
    found = _fields(words)
    if found:
        rows = next((row["fields"] for row in client.get("/v1/desk/setup")["templates"] if row["name"] == template()), ())
        kinds = {row["name"]: row["type"] for row in rows}
        for name, value in found.items():
            if kinds.get(name) == "whole" and re.fullmatch(r"-?[0-9]{1,15}", value):
                found[name] = int(value)
            elif kinds.get(name) == "flag":
                found[name] = {"true": True, "false": False}.get(value, value)
    return found


def _given(options, *names):
    return {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}


def _customer_line(row):
    return "%-14s %-24s %-24s %s" % (row["customer"], row.get("name", ""), row.get("company", ""), " ".join(row["numbers"]))


def _ticket_line(row):
    return "%-8s %-8s %-12s %-12s %s" % (row["ticket"], row["state"], row["template"], row["owner"] or "-", row["title"] or "(erased)" if row["erased"] else row["title"])


def _plain(answer):
    return json.dumps(answer, ensure_ascii=False, indent=1)


def carry_out(client, options):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    verb = options.verb
    if verb.startswith("customer"):
        return _customers(client, options)
    if verb.startswith("ticket"):
        return _tickets(client, options)
    if verb.startswith("article"):
        return _articles(client, options)
    if verb.startswith(("broadcast", "threshold", "schedule", "adherence", "coverage")):
        return _floor(client, options)
    if verb == "me":
        return client.get("/v1/me"), _plain
    if verb == "figures":
        return client.get("/v1/agents/%s/figures" % _quoted(options.agent)), lambda a: "\n".join(
            ["%-28s %s" % pair for pair in a["figures"].items()] + ["%s: %s" % pair for pair in a["formulas"].items()])
    if verb == "pop":
        return client.get("/v1/calls/%s/pop" % _quoted(options.call)), _plain
    if verb == "note":
        return client.post("/v1/calls/%s/notes" % _quoted(options.call), _given(options, "text", "agent")), lambda a: "noted"
    if verb == "dispose":
        return client.post("/v1/calls/%s/disposition" % _quoted(options.call), _given(options, "code", "agent", "text")), lambda a: "done"
    return client.get("/v1/dispositions"), lambda a: "\n".join("%-16s %-16s %-12s %6d" % (
        row["queue"] or "-", row["code"] or "(none)", row["agent"] or "-", row["count"]) for row in a["dispositions"]) or "none"


def _clock(ms):
    return datetime.datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="minutes") if ms else "-"


def _floor(client, options):
    """Messages, thresholds, shifts."""
    verb = options.verb
    if verb == "broadcasts":
        return client.get("/v1/broadcasts", agent=options.agent), lambda a: "\n".join("%-8s %s  to %s  %s" % (
            row["broadcast"], _clock(row["at_ms"]), " ".join(row["agents"]), row["text"]) for row in a["broadcasts"]) or "none"
    if verb == "broadcast":
        parts = {part: [name for name in getattr(options, part).split(",") if name] for part in ("agents", "teams", "queues") if getattr(options, part)}
        return client.post("/v1/broadcasts", {"text": options.text, "urgent": options.urgent, **parts}), lambda a: "%s to %s" % (a["broadcast"], " ".join(a["agents"]))
    if verb == "broadcast-seen":
        return client.post("/v1/broadcasts/%s/seen" % _quoted(options.id), {"agent": options.agent}), lambda a: "seen"
    if verb == "broadcast-withdraw":
        return client.post("/v1/broadcasts/%s/withdraw" % _quoted(options.id), {}), lambda a: "withdrawn"
    if verb == "thresholds":
        return client.get("/v1/thresholds"), lambda a: "\n".join("%-16s %-8s %-12s %-18s %s %s %s%s, now %s  %s" % (
            row["name"], row["state"], row["queue"], row["figure"], row["when"], row["limit"], row["unit"], "", row["value"],
            "acknowledged by %s" % row["acked"]["by"] if row["acked"] else "step %d" % row["step"] if row["state"] == "raised" else "") for row in a["thresholds"]) or "none"
    if verb == "threshold-history":
        return client.get("/v1/thresholds/history"), lambda a: "\n".join("%s - %s  %-16s %-12s %s  %s" % (
            _clock(row["raised_ms"]), _clock(row["cleared_ms"]), row["name"], row["queue"], row["value"], row["acked_by"] or "") for row in a["alarms"]) or "none"
    if verb == "threshold-ack":
        return client.post("/v1/thresholds/%s/acknowledge" % _quoted(options.name), _given(options, "note")), lambda a: "acknowledged"
    if verb == "schedule-import":
        return client.post("/v1/schedule/import", {"csv": _read(options.file)}), lambda a: "%(shifts)d shifts on %(days)d days" % a
    if verb == "coverage":
        return client.get("/v1/schedule/coverage", **_given(options, "queue", "day", "weeks", "target", "within_s", "patience_s", "shrinkage")), lambda a: "\n".join(
            "%s  %7.1f calls  needed %4d  plan %4d  scheduled %4d%s" % (_clock(row["start_ms"]), row["calls"], row["agents"], row["planned"], row["scheduled"],
                                                                       "  MISSING %d" % row["missing"] if row["missing"] else "")
            for row in a["intervals"] if row["calls"] or row["scheduled"]) or "neither calls nor shifts"
    query = {"from": options.since, "to": options.until, "agent": options.agent}
    if verb == "schedule":
        return client.get("/v1/schedule", **query), lambda a: "\n".join("%-12s %s - %s  %s" % (
            row["agent"], _clock(row["start_s"] * 1000), _clock(row["end_s"] * 1000), row["activity"]) for row in a["shifts"]) or "none"
    return client.get("/v1/schedule/adherence", interval=options.interval, **query), lambda a: "\n".join(
        ["%-12s %s  planned %6.2f h  adherence %s  conformance %s" % (
            row["agent"], _clock(row["start_s"] * 1000), row["planned_ms"] / 3600_000,
            *("-" if row[name] is None else "%.1f %%" % (100 * row[name]) for name in ("adherence", "conformance"))) for row in a["rows"]]
        + ["%s: %s" % pair for pair in a["formulas"].items()])


def _customers(client, options):
    verb = options.verb
    if verb == "customers":
        return client.get("/v1/customers", text=options.text, limit=200), lambda a: "\n".join(map(_customer_line, a["customers"])) or "none"
    if verb == "customer-find":
        return client.get("/v1/customers", number=options.number), lambda a: "\n".join(map(_customer_line, a["customers"])) or "none"
    if verb == "customer":
        return client.get("/v1/customers/%s" % _quoted(options.id)), _plain
    if verb == "customer-put":
        fields = _fields(options.fields)
        if "numbers" in fields:
            fields["numbers"] = [number for number in fields["numbers"].split(";") if number]
        return (client.post("/v1/customers/%s" % _quoted(options.id) if options.id else "/v1/customers", fields), lambda a: "%(customer)s revision %(revision)d" % a)
    if verb == "customer-erase":
        return client.post("/v1/customers/%s/erase" % _quoted(options.id), {}), lambda a: "erased, and %(texts)d texts" % a
    if verb == "customer-import":
        return client.post("/v1/customers/import", {"csv": _read(options.file)}), lambda a: "%(added)d added, %(changed)d changed" % a
    octets = client.get("/v1/customers", format="csv")
    with open(options.file, "wb") as file:
        file.write(octets)
    return {"file": options.file, "octets": len(octets)}, lambda a: "%(octets)d octets in %(file)s" % a


def _tickets(client, options):
    verb = options.verb
    if verb == "tickets":
        wanted = _given(options, "state", "owner", "queue", "template", "customer", "call")
        return client.get("/v1/tickets", limit=200, **wanted), lambda a: "\n".join(map(_ticket_line, a["tickets"])) or "none"
    if verb == "ticket":
        return client.get("/v1/tickets/%s" % _quoted(options.id)), _plain
    if verb == "ticket-open":
        body = _given(options, "template", "title", "call", "customer", "owner", "queue", "text")
        return client.post("/v1/tickets", {**body, "fields": _typed(client, options.fields, lambda: options.template)}), lambda a: a["ticket"]
    path = "/v1/tickets/%s" % _quoted(options.id)
    body = _given(options, "state", "owner", "comment", "call", "queue")
    known = client.get(path)
    return (client.post(path, {**body, "revision": known["revision"], "fields": _typed(client, options.fields, lambda: known["template"])}),
            lambda a: "revision %(revision)d" % a)


def _articles(client, options):
    verb = options.verb
    if verb == "articles":
        return client.get("/v1/articles", text=options.text, limit=50), lambda a: "\n".join("%-6d %s" % (row["article"], row["title"]) for row in a["articles"]) or "none"
    if verb == "article":
        return client.get("/v1/articles/%s" % _quoted(options.id)), lambda a: "%(title)s\n\n%(body)s" % a
    if verb == "article-remove":
        return client.post("/v1/articles/%s/remove" % _quoted(options.id), {}), lambda a: "removed"
    body = {"title": options.title, "body": _read(options.file), **_given(options, "language")}
    if options.tags is not None:
        body["tags"] = [tag for tag in options.tags.split(",") if tag]
    return (client.post("/v1/articles/%s" % _quoted(options.id) if options.id else "/v1/articles", body), lambda a: "article %(article)d revision %(revision)d" % a)
