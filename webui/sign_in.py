"""Pages of who comes and goes: log-in, log-out, a password of one's own, the language."""

from bottle import request, response

from webui.render import LANGUAGES
from webui.sessions import COOKIE, LIFE_S
from webui.web import safe_path

YEAR_S = 365 * 86400


def add(app, web):
    """Add the routes."""
    users, sessions = web.users, web.sessions

    @app.get("/login")
    def login_form():
        return web.show("login.html", to=safe_path(request.query.getunicode("to")))

    @app.post("/login")
    def login():
        to = safe_path(request.forms.getunicode("to"))
        name = (request.forms.getunicode("user") or "")[:100]
        password = (request.forms.getunicode("password") or "")[:200]
        address = request.remote_addr
        wait_s = sessions.must_wait(address, name)
        if wait_s:
            response.set_header("Retry-After", str(wait_s))
            return web.show("login.html", 429, to=to, wait_s=wait_s)
        if not users.verify(name, password):
            sessions.failed(address, name)
            return web.show("login.html", 403, to=to, name=name, wrong=True)
        sessions.succeeded(address, name)
        response.set_cookie(COOKIE, sessions.begin(name), path="/", secure=True, httponly=True,
                            samesite="strict", max_age=LIFE_S)
        return web.see_other("/password" if users.must_change(name) else to)

    @app.post("/logout")
    def logout():
        sessions.end(request.get_cookie(COOKIE) or "")
        response.delete_cookie(COOKIE, path="/")
        return web.see_other("/login")

    @app.get("/password")
    def password_form():
        return web.show("password.html", first=users.must_change(web.user))

    @app.post("/password")
    def password_change():
        first = users.must_change(web.user)
        new, again = request.forms.getunicode("new") or "", request.forms.getunicode("again") or ""
        if new != again:
            return web.show("password.html", 400, first=first, why="The two passwords differ; type the same twice.")
        if not first and not users.verify(web.user, request.forms.getunicode("old") or ""):
            return web.show("password.html", 403, first=first, why="The present password is wrong.")
        why = users.change(web.user, new)
        if why:
            return web.show("password.html", 400, first=first, why=why)
        sessions.end_others(web.user, request.get_cookie(COOKIE))
        return web.see_other("/")

    @app.post("/language")
    def language():
        wanted = request.forms.getunicode("language")
        if wanted in LANGUAGES:
            response.set_cookie("strowger_language", wanted, path="/", secure=True, samesite="strict", max_age=YEAR_S)
        return web.see_other(safe_path(request.forms.getunicode("to")))
