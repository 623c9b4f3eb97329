"""REST of prompts: files that flows, queues and mailboxes play by name."""

import urllib.parse

from bottle import request

NAME = r"[A-Za-z0-9_-]{1,60}(?!\n)"         # the end of a path is before a newline, too, to bottle
TIMEOUT_S = 150.0       # a long file is converted


def add(app, web):
    """Add the routes."""

    def path_of(*parts):
        return "/v1/prompts/" + "/".join(urllib.parse.quote(part, safe="") for part in parts)

    @app.get("/api/v1/prompts")
    def prompts():
        return web.relay("GET", "/v1/prompts")

    @app.put(f"/api/v1/prompts/<language:re:[A-Za-z_]{{2,10}}>/<name:re:{NAME}>")
    def put(language, name):
        return web.relay("PUT", path_of(language, name), request.body.read(), timeout_s=TIMEOUT_S, file=request.query.getunicode("file"))

    @app.get(f"/api/v1/prompts/<language:re:[A-Za-z_]{{2,10}}>/<name:re:{NAME}>/audio")
    def audio(language, name):
        return web.stream(f"{name}.wav", path_of(language, name, "audio"), version=request.query.getunicode("version"))

    @app.post(f"/api/v1/prompts/<language:re:[A-Za-z_]{{2,10}}>/<name:re:{NAME}>/<what:re:rollback|remove>")
    def change(language, name, what):
        return web.relay("POST", path_of(language, name, what), web.body_if_any('{"version": 1}'))
