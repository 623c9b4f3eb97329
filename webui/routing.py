"""Why a number would go where it goes: the page that asks control before anybody dials (control/core_explain.py)."""

import urllib.parse

from bottle import request

from firmware.control.client import ControlError

FIELDS = ("digits", "who", "caller", "at")
LONGEST = 200               # of what is passed on; control refuses what is too long; invented


def add(app, web):
    """Add the route."""

    @app.get("/route")
    def route():
        asked = {name: (request.query.getunicode(name) or "").strip()[:LONGEST] for name in FIELDS}
        config, told, why, tidied = web.ask("/v1/configuration")["configuration"], None, None, []
        if asked["digits"]:
            kind, _, name = asked["who"].partition(":")
            query = {"line" if kind == "line" else "trunk_group": name, "at": asked["at"] or None}
            if kind != "line":
                query["caller"] = asked["caller"] or None
            try:
                told = web.house.client.request("GET", "/v1/routes/" + urllib.parse.quote(asked["digits"], safe=""), query=query, user=web.user)
                tidied = [(asked[name], told[name]) for name in ("digits", "caller") if told[name] is not None and told[name] != asked[name]]
                asked.update(digits=told["digits"], caller=asked["caller"] if told["caller"] is None else told["caller"])
            except ControlError as error:
                why = str(error)
        return web.show("route.html", part="route", asked=asked, told=told, why=why, tidied=tidied, groups=[row["name"] for row in config["trunk_groups"]],
                    lines=[row["name"] for row in config["lines"]])
