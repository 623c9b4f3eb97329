"""The desk in the web process: its REST addresses, the agent's page."""

from bottle import request

from webui.rest import path_of

# What is handed to control as it is: method -> patterns of the address below /api.
HANDED = {"GET": r"me|desk/setup|dispositions|customers|customers/[\w.-]{1,40}|customers/[\w.-]{1,40}/history|calls/c[0-9]{1,16}/pop|calls/c[0-9]{1,16}/desk|tickets|tickets/t[0-9]{1,16}"
                 r"|articles|articles/[0-9]{1,12}|agents/[\w.-]{1,32}/figures|broadcasts|thresholds|thresholds/history|schedule|schedule/adherence|schedule/coverage",
          "POST": r"customers|customers/[\w.-]{1,40}|customers/[\w.-]{1,40}/erase|calls/c[0-9]{1,16}/notes|calls/c[0-9]{1,16}/disposition|tickets|tickets/t[0-9]{1,16}"
                  r"|articles|articles/[0-9]{1,12}|articles/[0-9]{1,12}/remove|broadcasts|broadcasts/g[0-9]{1,16}/(?:seen|withdraw)"
                  r"|thresholds/[\w.-]{1,32}/acknowledge|schedule"}


def add(app, web):
    """Add the routes."""
    _handed(app, web)
    _page(app, web)


def _handed(app, web):
    @app.post("/api/v1/<what:re:(?:customers|schedule)/import>")
    def api_import(what):
        """A CSV file: text/csv in UTF-8 (or ?encoding=gb18030), or {"csv": text}."""
        if (request.content_type or "").startswith("application/json"):
            return web.relay("POST", path_of(what), web.body('{"csv": "name,numbers..."}'))
        encoding, octets = request.query.get("encoding", "utf-8"), request.body.read()
        if encoding not in ("utf-8", "gb18030"):
            raise web.problem(422, "unknown encoding", "encoding must be utf-8 or gb18030.")
        try:
            text = octets.decode(encoding)
        except UnicodeDecodeError as error:
            line = octets[:error.start].count(b"\n") + 1
            raise web.problem(422, "nothing was imported", f"Line {line} is no {encoding}; save the file as UTF-8, or say ?encoding=gb18030.",
                              errors=[{"line": line, "field": "(encoding)", "advice": f"is no {encoding}"}]) from error
        return web.relay("POST", path_of(what), {"csv": text})

    @app.get("/api/v1/<what:re:%s>" % HANDED["GET"])
    def api_get(what):
        return web.as_csv(web.relay("GET", path_of(what), **web.query(*request.query)), what.replace("/", "-"))

    @app.post("/api/v1/<what:re:%s>" % HANDED["POST"])
    def api_post(what):
        return web.relay("POST", path_of(what), web.body_if_any())


def _page(app, web):
    def whom():
        """Name of the agent whose page it is: the user's own, else the one that is asked for."""
        own = web.ask("/v1/me")["agent"]
        return own or (request.query.getunicode("agent") or "")[:32]

    @app.get("/desk")
    def desk():
        name, setup = whom(), web.ask("/v1/desk/setup")
        known = {row["name"]: row["label"] for row in setup["agents"]}
        return web.show("desk.html", agent=name if name in known else "", label=known.get(name, ""), setup=setup)

    @app.get("/desk/call/<call:re:c[0-9]{1,16}>")
    def desk_call(call):
        """What is known of a call and its caller, with the forms of the work on it."""
        pop, setup = web.ask("/v1/calls/%s/pop" % call), web.ask("/v1/desk/setup")
        queue = next((row for row in setup["queues"] if row["name"] == pop["queue"]), None)
        return web.show("part_desk_call.html", pop=pop, setup=setup, queue=queue, zone=web.zone())

    @app.get("/desk/figures/<agent:re:[A-Za-z0-9_.-]{1,32}>")
    def desk_figures(agent):
        return web.show("part_desk_figures.html", **web.ask("/v1/agents/%s/figures" % agent))

    @app.get("/desk/articles")
    def desk_articles():
        text = (request.query.getunicode("text") or "")[:200]
        return web.show("part_desk_articles.html", articles=web.ask("/v1/articles", text=text or None, limit=10)["articles"])
