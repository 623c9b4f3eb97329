"""The pages and the REST interface (WSGI, bottle): everything that ends.

Who may enter is admission.py's, what all routes share is web.py's; rooms of their own add their routes."""

import json
import pathlib
import urllib.parse

import bottle
from bottle import request, response

from firmware.control.client import ControlError
from firmware.jsontext import once
from webui import desk, documents, journal, lines, prompts, provision, rest, routing, settings, sign_in, turn_up, user_passwords
from webui.admission import Admission
from webui.playable import Playable
from webui.typed import whole
from webui.web import PROBLEM, Web

HERE = pathlib.Path(__file__).parent
CALLS_A_PAGE = 50
BUNDLE = HERE.parent / "build/webui"      # what set-up made of the packages in webui/phone
STATIC_AGE = "max-age=3600"
bottle.BaseRequest.MEMFILE_MAX = 4 << 20   # a configuration of 2,000 lines is some hundred kilobytes


def build(house, users, sessions, data_dir, site_name):
    """The WSGI application.  site_name: called for the name shown on every page."""
    app, web = bottle.Bottle(), Web(house, users, sessions, site_name)
    app.add_hook("before_request", Admission(web).admit)
    sign_in.add(app, web)
    _calls(app, web)
    _configuration(app, web)
    rest.add(app, web, data_dir, Playable(pathlib.Path(data_dir) / "converted"))
    for room in (provision, journal, prompts, documents, lines, desk, user_passwords, turn_up, settings, routing):
        room.add(app, web)
    _files(app, web)
    _faults(app, web)
    return app


def _calls(app, web):
    @app.get("/")
    def overview():
        return web.see_other("/desk") if web.role() == "agent" else web.show("live.html")

    @app.get("/calls")
    def calls():
        rows = web.ask("/v1/calls", limit=CALLS_A_PAGE, **web.query("before"))["calls"]
        return web.show("calls.html", calls=rows, zone=web.zone(), more=len(rows) == CALLS_A_PAGE)

    @app.get("/calls/<call>")
    def one_call(call):
        return web.show("call.html", call=call, zone=web.zone(), **web.ask(f"/v1/calls/{urllib.parse.quote(call, safe='')}"))

    @app.get("/phone")
    def telephone():
        """A telephone in the page, for who knows a line's password; the codes are what any telephone may dial."""
        try:            # for whoever knows a line's password, signed in or not
            rows = web.house.client.get("/v1/configuration")["configuration"]["feature_codes"]
        except ControlError as error:
            web.refuse(error.status, "control is not there" if error.status == 503 else "not found", str(error))
        return web.show("phone.html", codes={row["action"]: row["code"] for row in reversed(rows)})


def _configuration(app, web):
    def running():
        found = web.ask("/v1/configuration")
        return {"revision": found["revision"], "text": as_text(found["configuration"]), "part": "text"}

    @app.get("/configuration")
    def configuration_form():
        return web.show("configuration.html", **running())

    @app.post("/configuration")
    def configuration_change():
        """Check the text; apply it when the form says so and nothing is wrong."""
        text = request.forms.getunicode("text") or ""
        revision = whole(request.forms.get("revision"))
        values = {"revision": revision, "text": text, "part": "text"}

        def wrong(status, advice):
            return web.show("configuration.html", status, errors=[{"path": "", "advice": advice}], **values)

        def order(path, body):
            return web.house.client.request("POST", path, body=body, user=web.user)
        try:
            candidate = json.loads(text, object_pairs_hook=once)
        except (ValueError, RecursionError) as error:
            return wrong(400, f"This is no JSON: {error}")
        if not isinstance(candidate, dict):
            return wrong(400, "Give an object in braces.")
        try:
            report = order("/v1/configuration/propose", candidate)
            if report["ok"] and request.forms.get("apply"):
                done = order("/v1/configuration/apply", {"revision": revision, "configuration": candidate})
                return web.show("configuration.html", applied=done or True, changes=report["changes"], **running())
        except ControlError as error:
            return wrong(error.status, str(error))
        return web.show("configuration.html", 200 if report["ok"] else 400, errors=report["errors"],
                        changes=report["changes"], checked=report["ok"], **values)


def _files(app, web):
    @app.get("/health")
    def health():
        return {"ok": True, "control": not web.house.away}

    @app.get("/static/vendor/jssip.js")
    def jssip():
        answer = bottle.static_file("jssip.js", root=str(BUNDLE), mimetype="text/javascript")
        answer.set_header("Cache-Control", STATIC_AGE)
        return answer

    @app.get("/static/<path:path>")
    def static(path):
        answer = bottle.static_file(path, root=str(HERE / "static"))
        answer.set_header("Cache-Control", STATIC_AGE)
        return answer


def _faults(app, web):
    def failed(status, title, detail):
        """The answer to what no route took, as the client reads it."""
        if request.path.startswith("/api/"):
            response.status, response.content_type = status, PROBLEM
            return json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
        return web.show("message.html", status, title=title, detail=detail)

    @app.error(404)
    def missing(error):
        return failed(404, "not found", f"There is nothing at {request.path}.")

    @app.error(405)
    def wrong_method(error):
        return failed(405, "method not allowed", f"{request.path} does not take {request.method}.")

    @app.error(500)
    def fault(error):
        return failed(500, "fault", "The web process could not do this; its log says why.")


def as_text(configuration):
    """As the page shows it."""
    return json.dumps(configuration, ensure_ascii=False, indent=2)
