"""What all routes share: answers, refusals, what is asked of control, what a client has sent.

Each room of pages or of REST has a function add(app, web), which adds its routes; web is the Web of this page."""

import contextlib
import json

import bottle
from bottle import request, response

from firmware.control.client import ControlError
from firmware.jsontext import once
from webui.render import choose_language, render
from webui.settings import PARTS

PROBLEM = "application/problem+json"
KNOWN = ("type", "title", "status", "detail")        # members of a problem (RFC 9457) that we write ourselves
TITLES = {503: "control is not there", 403: "not allowed", 409: "not possible now"}
NO_JSON = "no JSON that can be taken"


class Web:
    """house: what control says; users, sessions: who may sign in, who has.  site_name: called for the name shown on every page."""

    def __init__(self, house, users, sessions, site_name):
        self.house, self.users, self.sessions, self._site_name = house, users, sessions, site_name

    # -- who asks --

    @property
    def user(self):
        """The name of who is signed in, or None."""
        return request.environ.get("strowger.user")

    @staticmethod
    def language():
        """The language that a page is shown in."""
        return choose_language(request.get_cookie("strowger_language"), request.get_header("Accept-Language"))

    def role(self):
        """The role of who asks, or None where control is not there.  Raises the refusal of who has none."""
        try:
            return self.house.me(self.user)["role"]
        except ControlError as error:
            if error.status != 503:
                self.refuse(error.status, TITLES.get(error.status, "not found"), str(error))
            return None

    # -- answers --

    def show(self, template, status=200, **values):
        """A page."""
        response.status = status
        response.content_type = "text/html; charset=utf-8"
        here = request.path + ("?" + request.query_string if request.query_string else "")
        return render(template, language=self.language(), user=self.user, site=self._site_name(), path=request.path, here=here, parts=PARTS,
                      role=self.house.known_role(self.user), **values)

    @staticmethod
    def see_other(path):
        """Go on to a page of ours."""
        response.status = 303
        response.set_header("Location", path)
        return ""

    @staticmethod
    def problem(status, title, detail, headers=None, **more):
        """To be raised: what a REST client reads."""
        body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **more})
        return bottle.HTTPResponse(body, status, {"Content-Type": PROBLEM, **(headers or {})})

    def refuse(self, status, title, detail):
        """Raises the refusal as the client reads it: a page, or a problem."""
        if request.path.startswith("/api/"):
            raise self.problem(status, title, detail)
        raise bottle.HTTPResponse(self.show("message.html", status, title=title, detail=detail), status)

    @staticmethod
    def as_csv(answer, name):
        """An answer of control that may be a table: then it is a file of that name."""
        if isinstance(answer, bytes):
            response.content_type = "text/csv; charset=utf-8"
            response.set_header("Content-Disposition", 'attachment; filename="%s.csv"' % name)
        return answer

    # -- control --

    def relay(self, method, path, body=None, timeout_s=None, **query):
        """Ask control; its refusals go to the client as they are."""
        try:
            return self.house.client.request(method, path, body=body, query=query, user=self.user, timeout_s=timeout_s)
        except ControlError as error:
            raise self._problem_of(error, **{k: v for k, v in error.problem.items() if k not in KNOWN}) from error

    def ask(self, path, **query):
        """The same for a page."""
        try:
            return self.house.client.request("GET", path, query=query, user=self.user)
        except ControlError as error:
            self.refuse(error.status, TITLES.get(error.status, "not found"), str(error))

    def stream(self, name, path, **query):
        """A large answer of control as a file, passed on as it comes."""
        opened = contextlib.ExitStack()
        try:
            kind, pieces = opened.enter_context(self.house.client.stream(path, user=self.user, **query))
        except ControlError as error:
            raise self._problem_of(error) from error

        def passed():
            with opened:
                yield from pieces
        response.content_type = kind
        response.set_header("Content-Disposition", 'attachment; filename="%s"' % name)
        return passed()

    def _problem_of(self, error, **more):
        return self.problem(error.status, error.problem.get("title", "control refused"), str(error), **more)

    def zone(self):
        """The box's time zone."""
        return ((self.house.state()[1] or {}).get("system") or {}).get("timezone", "UTC")

    # -- what was sent --

    @staticmethod
    def query(*names):
        """{name: text or None} of the query."""
        return {name: request.query.getunicode(name) for name in names}

    def body_if_any(self, example="{}"):
        """The JSON object that was sent, or {}."""
        return self.body(example) if request.content_length > 0 else {}

    def body(self, example):
        """The JSON object that was sent.  Raises a problem that shows the example."""
        try:
            body = request.json
        except (bottle.HTTPError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise self.problem(400, "no JSON object", f"Send {example} as application/json.")
        try:
            json.dumps(body, ensure_ascii=False).encode()
            json.loads(request.body.read(), object_pairs_hook=once)
        except UnicodeError:
            raise self.problem(400, NO_JSON, "The body holds half a character (a lone UTF-16 surrogate); write it again.") from None
        except RecursionError:
            raise self.problem(400, NO_JSON, "The body holds half a character (a lone UTF-16 surrogate), or is nested too deep; write it again.") from None
        except ValueError as error:
            raise self.problem(400, NO_JSON, f"The body is no JSON that can be taken: {error}.") from None
        return body


def safe_path(path):
    """A path on this site to go on to; never another site."""
    plain = path and path.isprintable() and path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if plain else "/"
