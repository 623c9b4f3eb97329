"""Who may enter, looked at before every request.

A signed-in browser (cookie) or a REST client (HTTP Basic, cached after the first check) may; whoever still has a
password that was given sees only the page that changes it.  A form that changes something must come from our own
pages: the cookie is SameSite=Strict and the Origin header is compared.
"""

import hashlib
import urllib.parse

import bottle
from bottle import request, response

from webui import provision
from webui.sessions import COOKIE

PUBLIC = ("/login", "/static/", "/language", "/health", "/phone", provision.PREFIX)
VERIFIED_MOST = 100         # passwords of REST clients that were right, kept as hashes


class Admission:
    """web: webui.web.Web."""

    def __init__(self, web):
        self._web, self._users, self._sessions = web, web.users, web.sessions
        self._verified, self._verified_at = {}, None        # hash of name and password -> name; as of which change of the file

    def admit(self):
        """Raises the answer to who may not."""
        response.set_header("Cache-Control", "no-store")
        api = request.path.startswith("/api/")
        cookie_user = self._sessions.user(request.get_cookie(COOKIE))
        if cookie_user is not None and not self._users.known(cookie_user):
            cookie_user = None          # removed by the command line or another administrator
        user = cookie_user or (self._basic_user() if api else None)
        request.environ["strowger.user"] = user
        if request.path.startswith(PUBLIC):
            return
        if user is None:
            if api:
                raise self._web.problem(401, "sign in first", "Send the user name and password with HTTP Basic authentication.",
                                        {"WWW-Authenticate": 'Basic realm="strowger"'})
            raise bottle.HTTPResponse("", 303, {"Location": "/login?" + urllib.parse.urlencode({"to": request.path})})
        if request.method != "GET" and cookie_user:
            origin = request.get_header("Origin")
            if origin and urllib.parse.urlsplit(origin).netloc != request.get_header("Host"):
                self._web.refuse(403, "foreign page", "This request came from a page that is not ours. Repeat it in our page.")
        if self._users.must_change(user) and request.path not in ("/password", "/logout"):
            if api:
                raise self._web.problem(403, "choose your own password first",
                                        "Your password was given to you. Sign in with a browser and choose your own.")
            raise bottle.HTTPResponse("", 303, {"Location": "/password"})

    def _basic_user(self):
        if request.auth is None or request.auth[1] is None:
            return None
        name, password = request.auth
        key = hashlib.sha256(f"{name}\0{password}".encode()).digest()
        changed = self._users.path.stat().st_mtime_ns
        if self._verified.get(key) == name and changed == self._verified_at:
            return name
        address = request.remote_addr
        if self._sessions.must_wait(address, name):
            return None
        if not self._users.verify(name, password):
            self._sessions.failed(address, name)
            return None
        if len(self._verified) >= VERIFIED_MOST or changed != self._verified_at:
            self._verified = {}
        self._verified[key], self._verified_at = name, changed
        return name
