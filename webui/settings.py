"""Pages that set up trunks and routing with forms: spans, SIP trunks, trunk groups, routes, numbers, areas, lists of callers; and the history with its undo.

    list -> form -> preview (what will change, nothing is done yet) -> apply -> list, with an undo

One row is edited at a time, and the whole configuration is applied or nothing is.  A form carries the revision and the row that it began from: where
somebody else has changed that row meanwhile, both changes are put together and shown again; where anything else has changed, the preview is shown again,
against what is in force now.  The revision that was previewed is the one that control must still have when it applies.

Rows have tokens in place of passwords (sealed.py) from the store to the page and back; candidate() gets them opened.
"""

import json
import urllib.parse

from bottle import request

from firmware.config.schema import SCHEMA
from firmware.control.client import ControlError
from firmware.jsontext import once
from webui import changes, forms, sealed

COLUMNS = {"spans": ("type", "signalling", "variant", "side", "trunk_group", "enabled"), "sip_trunks": ("label", "kind", "trunk_group", "addresses", "channels", "enabled"),
           "trunk_groups": ("label", "selection", "caller_number", "classes", "reserved"),
           "routes": ("label", "class", "choices"), "numbers": ("label", "application", "target"), "caller_lists": ("treatment", "numbers"),
           "areas": ("label", "province", "mobile")}
PARTS = tuple(COLUMNS)
IN_ORDER = ("caller_lists",)            # of these the first that fits decides
# Of parts with many fields those that nearly every row needs; the others are folded away while they are as the schema has them.
COMMON = {"sip_trunks": ("name", "label", "trunk_group", "enabled", "kind", "addresses", "sources", "channels", "domain", "user", "password", "incoming_user", "incoming_password",
                         "encryption", "codecs")}
LOST = "is not known any more, since the web pages were started anew; type it again"
OFFERED = {("spans", "trunk_group"): "trunk_groups", ("sip_trunks", "trunk_group"): "trunk_groups", ("routes", "choices.trunk_group"): "trunk_groups", ("caller_lists", "prompt"): None}
CARRIED = ("do", "revision", "began")   # inputs that are not the row's


def row_schema(part):
    """The section of one row of a part."""
    return SCHEMA.fields[part].row


def key_of(part):
    """The field that names a row."""
    return SCHEMA.fields[part].key


def find(config, part, key):
    """(place, row) of the row with a key, given as text; (None, None)."""
    name = key_of(part)
    return next(((place, row) for place, row in enumerate(config[part]) if str(row[name]) == key), (None, None))


def filled(part, row):
    """A row with every default; what is wrong in it stays."""
    return row_schema(part).check(row, "", [])


def candidate(config, part, key, row, place=None):
    """The configuration with one row put in (key None), changed, or taken out (row None).  Returns (configuration, place of the row).

    place: where the row goes among those of its part; None: where it is, or the end.  A trunk group takes what refers to it along to its new name."""
    wanted = json.loads(json.dumps(config))
    rows, at = wanted[part], find(wanted, part, key)[0] if key is not None else None
    if at is not None:
        del rows[at]
    if row is None:
        return wanted, at
    at = max(0, min(place, len(rows))) if place is not None else len(rows) if at is None else at
    rows.insert(at, row)
    if part == "trunk_groups" and key is not None and isinstance(row.get("name"), str) and row["name"] != key:
        _rename(wanted, key, row["name"])
    return wanted, at


def _rename(value, old, new):
    """Every reference to a trunk group, wherever it stands."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if name == "trunk_group" and inner == old:
            value[name] = new
        elif name == "trunk_groups" and isinstance(inner, list) and old in inner:
            value[name] = [new if each == old else each for each in inner]
        else:
            _rename(inner, old, new)


def offered(config, part):
    """{name of an input without numbers: values to choose from}."""
    return {name: [row[key_of(to)] for row in config[to]] for (here, name), to in OFFERED.items() if here == part and to}


def targets(config):
    """What a number of ours may lead to, for the list that the browser offers."""
    found = list(config["ivr"])
    for part in ("queues", "agents", "lines", "mailboxes", "duty"):
        found += [row["name"] for row in config[part]]
    return sorted(dict.fromkeys(found))


def sorted_errors(part, place, errors):
    """({name of an input: [sentence]}, [errors that belong elsewhere]).  errors: [{"path", "advice"}] of control."""
    beside, others, head = {}, [], "%s[%s]" % (part, place)
    for error in errors:
        path = error["path"]
        name = forms.field_of(row_schema(part), path[len(head) + 1:]) if path.startswith(head + ".") else None
        if name is None:
            others.append(error)
        else:
            beside.setdefault(name, []).append(error["advice"])
    return beside, others


def forgiven(part, row, began, errors):
    """A row with tokens in which a wrong password is the one of before again: left empty, it stays."""
    wrong = [name for name in sealed.inputs(row_schema(part), row) if name in errors]
    return {**row, **{name: (began or {}).get(name) or "" for name in wrong if name in row}}


def cell(part, name, value):
    """A value in the list."""
    if name == "choices":
        return ", ".join("%s%s%s" % (way.get("trunk_group"), " -%d" % way["strip"] if way.get("strip") else "", " +%s" % way["prefix"] if way.get("prefix") else "")
                         for way in value)
    if name == "addresses":
        return ", ".join("%s%s/%s" % (row["address"], ":%d" % row["port"] if row["port"] else "", row["transport"]) for row in value)
    if name in ("numbers", "mobile"):
        words = value if isinstance(value, list) else [word for word in value.split(",") if word]
        return ", ".join(words[:changes.FEW]) + (" … (%d)" % len(words) if len(words) > changes.FEW else "")
    return changes.text(value)


class Form:
    """What a browser sent: the row as it is filled in, and where it began."""

    def __init__(self, part, sent, key):
        self.part, self.sent, self.key = part, sent, key
        self.do = sent.get("do") or "preview"
        self.is_removal = self.do == "remove" or sent.get("removal") == "1"
        revision = sent.get("revision") or ""
        self.revision = int(revision) if revision.isascii() and revision.isdecimal() and len(revision) < 16 else 0
        try:
            self.began = json.loads(sent.get("began") or "null", object_pairs_hook=once)
        except (ValueError, RecursionError):
            self.began = None
        self.began = self.began if isinstance(self.began, dict) else None
        place = sent.get("place") or ""
        is_moved = part in IN_ORDER and place != sent.get("was")       # where nobody moved it, it stays behind the row that it is behind now
        self.place = int(place) - 1 if is_moved and place.isascii() and place.isdecimal() and len(place) < 6 else None
        self.row = forms.read(row_schema(part), sent)

    def carried(self):
        """Inputs of the form that a preview hands on."""
        hidden = sealed.inputs(row_schema(self.part), self.row)
        passed = {*CARRIED, "removal", *(name + more for name in hidden for more in ("", ".kept", ".none"))}
        kept = [(name, value) for name in self.sent for value in self.sent.getall(name) if name not in passed]
        kept += [(name + ".kept", token) for name, token in hidden.items()]
        return kept + [("removal", "1")] if self.is_removal else kept


def add(app, web):
    """Add the routes."""
    parts = "|".join(PARTS)

    def asked(path, body):
        return web.house.client.request("POST", path, body=body, user=web.user)

    def running():
        answer = web.ask("/v1/configuration")
        return answer["revision"], answer["configuration"]

    @app.get("/configuration/<part:re:%s>" % parts)
    def rows(part):
        revision, config = running()
        applied = request.query.get("applied") or ""
        table = [{"key": row[key_of(part)], "cells": [cell(part, name, row[name]) for name in COLUMNS[part]]} for row in config[part]]
        return web.show("settings_list.html", part=part, key_name=key_of(part), columns=COLUMNS[part], rows=table, in_order=part in IN_ORDER, revision=revision,
                    applied=applied if applied == str(revision) else None)

    def form_page(part, form_or_row, status=200, **more):
        """more: key, place, was(the place that the form began with), revision, began, errors, others, notice, both."""
        _, config = running()
        values = {"errors": {}, "others": [], "notice": None, "both": [], "place": None, "was": None, **more}
        controls = forms.controls(row_schema(part), form_or_row, values["errors"], offered(config, part))
        common = COMMON.get(part) or [one["name"] for one in controls]
        return web.show("settings_form.html", status, part=part, controls=[one for one in controls if one["name"] in common],
                    further=[one for one in controls if one["name"] not in common], targets=targets(config) if part == "numbers" else [], in_order=part in IN_ORDER, began_text=json.dumps(values["began"], ensure_ascii=False), **values)

    @app.get("/configuration/<part:re:%s>/edit" % parts)
    def edit(part):
        revision, config = running()
        key, copied = request.query.getunicode("key"), request.query.getunicode("copy")
        place, row = find(config, part, key if key is not None else copied or "")
        if key is not None and row is None:
            web.refuse(404, "not found", "There is no %s in %s." % (key[:40], part))
        if key is None:
            row = {name: value for name, value in sealed.seal(row_schema(part), row or {}).items() if name != key_of(part)}
            return form_page(part, row, key=None, revision=revision, began=None, place=len(config[part]) + 1, was=len(config[part]) + 1)
        row = sealed.seal(row_schema(part), row)
        return form_page(part, row, key=key, revision=revision, began=row, place=place + 1, was=place + 1)

    @app.post("/configuration/<part:re:%s>/edit" % parts)
    def change(part):
        try:
            sent = request.forms.decode()
        except UnicodeError:
            web.refuse(400, "no text", "The form holds what is no text in UTF-8.")
        form = Form(part, sent, request.query.getunicode("key"))
        at = {"key": form.key, "revision": form.revision, "began": form.began, "place": sent.get("place"), "was": sent.get("was")}
        if form.do == "edit":
            return form_page(part, form.row, **at)
        if form.do.partition(":")[1]:
            forms.edit_rows(form.row, form.do)
            return form_page(part, form.row, **at)
        revision, config = running()
        now = sealed.seal(row_schema(part), find(config, part, form.key)[1]) if form.key is not None else None
        if now != form.began:
            return conflict(part, form, at, revision, now)
        return decide(part, form, at, revision, config)

    def conflict(part, form, at, revision, now):
        """Somebody has changed the row since the form was opened."""
        at = {**at, "revision": revision, "began": now}
        if now is None:             # taken out: what is in the form would put it in anew
            return form_page(part, form.row, 409, **{**at, "key": None}, notice="removed")
        row, both = changes.merged(form.began or {}, now, filled(part, form.row)) if not form.is_removal else (now, [])
        return form_page(part, row, 409, **{**at, "key": str(now[key_of(part)])}, notice="merged", both=both)

    def decide(part, form, at, revision, config):
        row, lost = sealed.opened(row_schema(part), form.row)
        if lost and not form.is_removal:
            errors = {name: [LOST] for name in lost}
            return form_page(part, forgiven(part, form.row, form.began, errors), 400, **{**at, "revision": revision}, errors=errors)
        wanted, place = candidate(config, part, form.key, None if form.is_removal else row, form.place)
        try:
            report = asked("/v1/configuration/propose", wanted)
            errors, late = report["errors"], form.do == "apply" and form.revision != revision
            if report["ok"] and form.do == "apply" and not late:
                done = asked("/v1/configuration/apply", {"revision": revision, "configuration": wanted})
                return web.see_other("/configuration/%s?applied=%d" % (part, done["revision"]))
        except ControlError as error:
            errors, report = error.problem.get("errors") or [{"path": "", "advice": str(error)}], None
        if errors:
            beside, others = sorted_errors(part, place, errors)
            row = forgiven(part, form.row, form.began, beside) if not form.is_removal else form.began
            return form_page(part, row, 400 if report else 409, **{**at, "revision": revision}, errors=beside, others=others)
        return web.show("settings_preview.html", part=part, key=form.key, revision=revision, changes=changes.between(config, report["configuration"]),
                    restart=report["restart"], carried=form.carried(), began_text=json.dumps(form.began, ensure_ascii=False), late=late, removal=form.is_removal,
                    action="/configuration/%s/edit%s" % (part, "" if form.key is None else "?key=" + urllib.parse.quote(form.key, safe="")))

    # -- history and undo --

    @app.get("/configuration/history")
    def history():
        revision, _ = running()
        return web.show("settings_history.html", part="history", rows=web.ask("/v1/configuration/history")["changes"], revision=revision, zone=web.zone())

    def earlier(revision):
        return web.ask("/v1/configuration/history/%d" % revision, whole=1)["configuration"]

    @app.get("/configuration/history/<number:int>")
    def one_change(number):
        return web.show("settings_change.html", part="history", number=number, changes=changes.between(earlier(number - 1), earlier(number)), revision=running()[0])

    @app.get("/configuration/history/<number:int>/back")
    def back_preview(number, why=None, status=200):
        revision, config = running()
        try:
            report = asked("/v1/configuration/propose", earlier(number))
        except ControlError as error:
            web.refuse(error.status, "not possible now", str(error))
        return web.show("settings_preview.html", status, part="history", number=number, revision=revision, restart=report.get("restart") or [], carried=[],
                    changes=changes.between(config, report["configuration"]) if report["ok"] else [], errors=report["errors"], why=why,
                    action="/configuration/history/%d/back" % number)

    @app.post("/configuration/history/<number:int>/back")
    def back(number):
        sent = request.forms.get("revision") or ""
        try:
            done = asked("/v1/configuration/rollback", {"revision": number, "from": int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 16 else 0})
        except ControlError as error:
            return back_preview(number, str(error), error.status)
        return web.see_other("/configuration/history?applied=%d" % done["revision"])
