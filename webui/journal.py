"""REST of what is kept: what was set aside, retention, exports, erasures."""


def add(app, relay, stream, json_body, request):
    """Add the routes.  The functions are those of webui.pages."""

    @app.get("/api/v1/<what:re:set_aside|retention|erasures>")
    def kept(what):
        return relay("GET", f"/v1/{what}")

    @app.post("/api/v1/<what:re:set_aside/clear|retention/prune>")
    def order(what):
        return relay("POST", f"/v1/{what}", {})

    @app.post("/api/v1/erasures")
    def erase():
        return relay("POST", "/v1/erasures", json_body('{"number": "13912345678", "confirm": "13912345678"}'))

    @app.get("/api/v1/export/<what:re:journal|calls|surveys>")
    def export(what):
        query = {name: request.query.getunicode(name) for name in ("from", "to", "format")}
        return stream(f"{what}.{query['format'] or 'jsonl'}", f"/v1/export/{what}", **query)
