"""REST of what is kept: what was set aside, retention, exports, erasures."""


def add(app, web):
    """Add the routes."""

    @app.get("/api/v1/<what:re:set_aside|retention|erasures>")
    def kept(what):
        return web.relay("GET", f"/v1/{what}")

    @app.post("/api/v1/<what:re:set_aside/clear|retention/prune>")
    def order(what):
        return web.relay("POST", f"/v1/{what}", {})

    @app.post("/api/v1/erasures")
    def erase():
        return web.relay("POST", "/v1/erasures", web.body('{"number": "13912345678", "confirm": "13912345678"}'))

    @app.get("/api/v1/export/<what:re:journal|calls|surveys>")
    def export(what):
        query = web.query("from", "to", "format")
        return web.stream(f"{what}.{query['format'] or 'jsonl'}", f"/v1/export/{what}", **query)
