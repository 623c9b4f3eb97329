"""REST of documents that are sent by fax, by flows and to numbers."""

import urllib.parse

from bottle import request

NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(?!\n)"       # the end of a path is before a newline, too, to bottle
TIMEOUT_S = 150.0       # a long PDF is drawn


def add(app, web):
    """Add the routes."""

    def path_of(name, *more):
        return "/v1/documents/" + "/".join((urllib.parse.quote(name, safe=""), *more))

    @app.get("/api/v1/documents")
    def documents():
        return web.relay("GET", "/v1/documents")

    @app.put(f"/api/v1/documents/<name:re:{NAME}>")
    def put(name):
        return web.relay("PUT", path_of(name), request.body.read(), timeout_s=TIMEOUT_S)

    @app.get(f"/api/v1/documents/<name:re:{NAME}>/file")
    def file(name):
        return web.stream(f"{name}.tif", path_of(name, "file"))

    @app.post(f"/api/v1/documents/<name:re:{NAME}>/remove")
    def remove(name):
        return web.relay("POST", path_of(name, "remove"), web.body_if_any())

    @app.get("/api/v1/faxes")
    def faxes():
        return web.relay("GET", "/v1/faxes")

    @app.post("/api/v1/faxes")
    def fax():
        return web.relay("POST", "/v1/faxes", web.body('{"document": "offer", "number": "13912345678"}'))

    @app.post("/api/v1/faxes/<name:re:f[0-9]+>/cancel")
    def cancel(name):
        return web.relay("POST", f"/v1/faxes/{name}/cancel", web.body_if_any())
