"""The pages and the REST interface (WSGI, bottle): everything that ends.

A signed-in browser (cookie) or a REST client (HTTP Basic, cached after the
first check) may enter; whoever still has the first-boot password sees only the
page that changes it.  A form that changes something must come from our own
pages: the cookie is SameSite=Strict and the Origin header is compared.
"""

import contextlib
import hashlib
import json
import pathlib
import urllib.parse

import bottle

from firmware.control.client import ControlError
from firmware.jsontext import once
from webui import desk, documents, journal, lines, prompts, provision, turn_up
from webui.playable import Playable
from webui.render import LANGUAGES, choose_language, render
from webui.sessions import COOKIE, LIFE_S

HERE = pathlib.Path(__file__).parent
CALLS_A_PAGE = 50
PUBLIC = ("/login", "/static/", "/language", "/health", "/phone", provision.PREFIX)
BUNDLE = HERE.parent / "build/webui"      # what set-up made of the packages in webui/phone
bottle.BaseRequest.MEMFILE_MAX = 4 << 20   # a configuration of 2,000 lines is some hundred kilobytes


def page_parameters(request):
    language = choose_language(request.get_cookie("strowger_language"), request.get_header("Accept-Language"))
    return {"language": language, "user": request.environ.get("strowger.user")}


def build(house, users, sessions, data_dir, site_name):
    """The WSGI application.  site_name: called for the name shown on every page."""
    app = bottle.Bottle()
    request, response = bottle.request, bottle.response
    basic_verified = {}
    playable = Playable(pathlib.Path(data_dir) / "converted")

    def show(template, status=200, **values):
        response.status = status
        response.content_type = "text/html; charset=utf-8"
        return render(template, **page_parameters(request), site=site_name(), path=request.path,
                      role=house.known_role(request.environ.get("strowger.user")), **values)

    def basic_user():
        if request.auth is None or request.auth[1] is None:
            return None
        name, password = request.auth
        key = hashlib.sha256(f"{name}\0{password}".encode()).digest()
        if basic_verified.get(key) == name and users.path.stat().st_mtime_ns == basic_verified.get("changed"):
            return name
        address = request.remote_addr
        if sessions.must_wait(address, name):
            return None
        if not users.verify(name, password):
            sessions.failed(address, name)
            return None
        if len(basic_verified) > 100 or basic_verified.get("changed") != users.path.stat().st_mtime_ns:
            basic_verified.clear()
        basic_verified.update({key: name, "changed": users.path.stat().st_mtime_ns})
        return name

    def refuse(status, title, detail):
        if request.path.startswith("/api/"):
            raise problem(status, title, detail)
        raise bottle.HTTPResponse(show("message.html", status, title=title, detail=detail), status)

    @app.hook("before_request")
    def admit():
        response.set_header("Cache-Control", "no-store")
        api = request.path.startswith("/api/")
        cookie_user = sessions.user(request.get_cookie(COOKIE))
        if cookie_user is not None and not users.known(cookie_user):
            cookie_user = None          # removed by the command line or another administrator
        user = cookie_user or (basic_user() if api else None)
        request.environ["strowger.user"] = user
        if request.path.startswith(PUBLIC):
            return
        if user is None:
            if api:
                raise problem(401, "sign in first", "Send the user name and password with HTTP Basic authentication.",
                              {"WWW-Authenticate": 'Basic realm="strowger"'})
            raise bottle.HTTPResponse("", 303, {"Location": "/login?" + urllib.parse.urlencode({"to": request.path})})
        if request.method != "GET" and cookie_user:
            origin = request.get_header("Origin")
            if origin and urllib.parse.urlsplit(origin).netloc != request.get_header("Host"):
                refuse(403, "foreign page", "This request came from a page that is not ours. Repeat it in our page.")
        if users.must_change(user) and request.path not in ("/password", "/logout"):
            if api:
                raise problem(403, "choose your own password first",
                              "Your password was given to you. Sign in with a browser and choose your own.")
            raise bottle.HTTPResponse("", 303, {"Location": "/password"})

    def problem(status, title, detail, headers=None, **more):
        body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **more})
        return bottle.HTTPResponse(body, status, {"Content-Type": "application/problem+json", **(headers or {})})

    def relay(method, path, body=None, timeout_s=None, **query):
        """Ask control; its refusals go to the client as they are."""
        try:
            return house.client.request(method, path, body=body, query=query, user=request.environ.get("strowger.user"), timeout_s=timeout_s)
        except ControlError as error:
            known = ("type", "title", "status", "detail")
            raise problem(error.status, error.problem.get("title", "control refused"), str(error),
                          **{k: v for k, v in error.problem.items() if k not in known}) from error

    def ask(path, **query):
        """The same for a page."""
        try:
            return house.client.request("GET", path, query=query, user=request.environ.get("strowger.user"))
        except ControlError as error:
            refuse(error.status, {503: "control is not there", 403: "not allowed"}.get(error.status, "not found"), str(error))

    # -- signing in --

    @app.get("/login")
    def login_form():
        return show("login.html", to=safe_path(request.query.getunicode("to")))

    @app.post("/login")
    def login():
        to = safe_path(request.forms.getunicode("to"))
        name = (request.forms.getunicode("user") or "")[:100]
        password = (request.forms.getunicode("password") or "")[:200]
        address = request.remote_addr
        wait_s = sessions.must_wait(address, name)
        if wait_s:
            response.set_header("Retry-After", str(wait_s))
            return show("login.html", 429, to=to, wait_s=wait_s)
        if not users.verify(name, password):
            sessions.failed(address, name)
            return show("login.html", 403, to=to, name=name, wrong=True)
        sessions.succeeded(address, name)
        response.set_cookie(COOKIE, sessions.begin(name), path="/", secure=True, httponly=True,
                            samesite="strict", max_age=LIFE_S)
        response.status = 303
        response.set_header("Location", "/password" if users.must_change(name) else to)
        return ""

    @app.post("/logout")
    def logout():
        sessions.end(request.get_cookie(COOKIE) or "")
        response.delete_cookie(COOKIE, path="/")
        response.status = 303
        response.set_header("Location", "/login")
        return ""

    @app.get("/password")
    def password_form():
        return show("password.html", first=users.must_change(request.environ["strowger.user"]))

    @app.post("/password")
    def password_change():
        user = request.environ["strowger.user"]
        first = users.must_change(user)
        new, again = request.forms.getunicode("new") or "", request.forms.getunicode("again") or ""
        if new != again:
            return show("password.html", 400, first=first, why="The two passwords differ; type the same twice.")
        if not first and not users.verify(user, request.forms.getunicode("old") or ""):
            return show("password.html", 403, first=first, why="The present password is wrong.")
        why = users.change(user, new)
        if why:
            return show("password.html", 400, first=first, why=why)
        sessions.end_others(user, request.get_cookie(COOKIE))
        response.status = 303
        response.set_header("Location", "/")
        return ""

    @app.post("/language")
    def language():
        wanted = request.forms.getunicode("language")
        if wanted in LANGUAGES:
            response.set_cookie("strowger_language", wanted, path="/", secure=True, samesite="strict",
                                max_age=365 * 86400)
        response.status = 303
        response.set_header("Location", safe_path(request.forms.getunicode("to")))
        return ""

    # -- pages --

    @app.get("/")
    def overview():
        if role() == "agent":
            raise bottle.HTTPResponse("", 303, {"Location": "/desk"})
        return show("live.html")

    @app.get("/calls")
    def calls():
        rows = ask("/v1/calls", limit=CALLS_A_PAGE, before=request.query.getunicode("before") or None)["calls"]
        return show("calls.html", calls=rows, zone=zone(), more=len(rows) == CALLS_A_PAGE)

    @app.get("/calls/<call>")
    def one_call(call):
        return show("call.html", call=call, zone=zone(), **ask(f"/v1/calls/{urllib.parse.quote(call, safe='')}"))

    @app.get("/configuration")
    def configuration_form():
        running = ask("/v1/configuration")
        return show("configuration.html", revision=running["revision"], text=as_text(running["configuration"]))

    @app.post("/configuration")
    def configuration_change():
        """Check the text; apply it when the form says so and nothing is wrong."""
        text = request.forms.getunicode("text") or ""
        sent = request.forms.get("revision") or ""
        revision = int(sent) if sent.isdecimal() and len(sent) < 16 else 0
        values = {"revision": revision, "text": text}

        def relayed(path, body):
            return house.client.request("POST", path, body=body, user=request.environ.get("strowger.user"))
        try:
            candidate = json.loads(text, object_pairs_hook=once)
        except (ValueError, RecursionError) as error:
            return show("configuration.html", 400, errors=[{"path": "", "advice": f"This is no JSON: {error}"}], **values)
        if not isinstance(candidate, dict):
            return show("configuration.html", 400, errors=[{"path": "", "advice": "Give an object in braces."}], **values)
        try:
            report = relayed("/v1/configuration/propose", candidate)
            if report["ok"] and request.forms.get("apply"):
                done = relayed("/v1/configuration/apply", {"revision": revision, "configuration": candidate})
                running = ask("/v1/configuration")
                return show("configuration.html", revision=running["revision"], applied=done or True,
                            text=as_text(running["configuration"]), changes=report["changes"])
        except ControlError as error:
            return show("configuration.html", error.status, errors=[{"path": "", "advice": str(error)}], **values)
        return show("configuration.html", 200 if report["ok"] else 400, errors=report["errors"],
                    changes=report["changes"], checked=report["ok"], **values)

    # -- REST --

    provision.mount(app, house, relay)

    @app.get("/api/v1/state")
    def api_state():
        return relay("GET", "/v1/state")

    @app.get("/api/v1/<what:re:health|media>")
    def api_figures(what):
        return relay("GET", f"/v1/{what}")

    @app.get("/api/v1/calls")
    def api_calls():
        query = request.query
        return relay("GET", "/v1/calls", limit=query.get("limit"), before=query.getunicode("before"))

    @app.get("/api/v1/calls/<call>")
    def api_call(call):
        return relay("GET", f"/v1/calls/{urllib.parse.quote(call, safe='')}")

    def stream(name, path, **query):
        """A large answer of control as a file, passed on as it comes."""
        opened = contextlib.ExitStack()
        try:
            kind, pieces = opened.enter_context(house.client.stream(path, user=request.environ.get("strowger.user"), **query))
        except ControlError as error:
            raise problem(error.status, error.problem.get("title", "control refused"), str(error)) from error

        def passed():
            with opened:
                yield from pieces
        response.content_type = kind
        response.set_header("Content-Disposition", 'attachment; filename="%s"' % name)
        return passed()

    @app.get("/api/v1/calls/<call:re:c[0-9]+>/trace")
    def api_call_trace(call):
        return stream(call + ".pcapng", f"/v1/calls/{call}/trace")

    @app.get("/api/v1/trace")
    def api_trace():
        query = {name: request.query.getunicode(name) for name in ("span", "trunk", "from", "to")}
        return stream("trace.pcapng", "/v1/trace", **query)

    @app.post("/api/v1/calls/<call>/hangup")
    def api_hangup(call):
        return relay("POST", f"/v1/calls/{urllib.parse.quote(call, safe='')}/hangup", {})

    @app.post("/api/v1/calls/<call>/<operation:re:network|malicious|hold|retrieve|consult|conference|change_over|transfer|park|pick_up|monitor|ivr|listen|enhance|send|record|play|player|party|room|stream>")
    def api_operation(call, operation):
        body = json_body('{}') if request.content_length > 0 else {}
        if operation == "monitor":
            body.setdefault("by", request.environ["strowger.user"])
        return relay("POST", f"/v1/calls/{urllib.parse.quote(call, safe='')}/{operation}", body)

    @app.post("/api/v1/agents/<agent>/<operation:re:log_in|wrap_up|queues>")
    def api_agent_operation(agent, operation):
        return relay("POST", f"/v1/agents/{urllib.parse.quote(agent, safe='')}/{operation}", json_body('{"line": "1001"}'))

    @app.get("/api/v1/flows")
    def api_flows():
        return relay("GET", "/v1/flows")

    @app.get("/api/v1/surveys")
    def api_surveys():
        return relay("GET", "/v1/surveys", **{name: request.query.getunicode(name) for name in ("from", "to", "survey", "by")})

    @app.route("/api/v1/flows/<name>", method=["GET", "PUT"])
    def api_flow(name):
        path = f"/v1/flows/{urllib.parse.quote(name, safe='')}"
        if request.method == "PUT":
            return relay("PUT", path, json_body('{"text": "flow version 1 ..."}'))
        return relay("GET", path, version=request.query.getunicode("version"))

    @app.route("/api/v1/flows/<name>/<what:re:versions|diff|check|rollback>", method=["GET", "POST"])
    def api_flow_part(name, what):
        path = f"/v1/flows/{urllib.parse.quote(name, safe='')}/{what}"
        if what in ("versions", "diff"):
            return relay("GET", path, **{key: request.query.getunicode(key) for key in ("from", "to")})
        return relay("POST", path, json_body('{"version": 1}'))

    @app.get("/api/v1/reports/<part>")
    def api_report(part):
        query = request.query
        answer = relay("GET", f"/v1/reports/{urllib.parse.quote(part, safe='')}",
                       **{name: query.getunicode(name) for name in ("from", "to", "interval", "name", "format")})
        if isinstance(answer, bytes):
            response.content_type = "text/csv; charset=utf-8"
            response.set_header("Content-Disposition", 'attachment; filename="%s.csv"' % part)
        return answer

    @app.post("/api/v1/reports/check")
    def api_report_check():
        return relay("POST", "/v1/reports/check", {})

    @app.get("/api/v1/campaigns")
    def api_campaigns():
        return relay("GET", "/v1/campaigns")

    @app.get("/api/v1/campaigns/<name:re:[A-Za-z0-9_.-]{1,32}>")
    def api_campaign(name):
        return relay("GET", f"/v1/campaigns/{name}")

    @app.post("/api/v1/campaigns/<name:re:[A-Za-z0-9_.-]{1,32}>")
    def api_campaign_load(name):
        return relay("POST", f"/v1/campaigns/{name}", json_body('{"queue": "sales", "mode": "progressive", "csv": "number,note..."}'))

    @app.post("/api/v1/campaigns/<name:re:[A-Za-z0-9_.-]{1,32}>/<action:re:start|pause|stop|remove>")
    def api_campaign_move(name, action):
        return relay("POST", f"/v1/campaigns/{name}/{action}", json_body("{}") if request.content_length > 0 else {})

    @app.post("/api/v1/staffing/flows")
    def api_staffing_flows():
        return relay("POST", "/v1/staffing/flows", json_body('{"day": "2026-11-23", "hour": 9}'), timeout_s=90.0)

    @app.get("/api/v1/<what:re:announcements|callbacks|mailboxes|mailboxes/[A-Za-z0-9_-]{1,32}|staffing|staffing/simulation>")
    def api_queue_functions(what):
        query = request.query
        return relay("GET", f"/v1/{what}", **{name: query.getunicode(name) for name in query} if what.startswith("staffing") else {})

    @app.get("/api/v1/messages/<message:re:m[0-9]{1,16}>/audio")
    def api_message_audio(message):
        """The sound of a message in a mailbox, a WAV file."""
        answer = relay("GET", f"/v1/messages/{message}/audio")
        response.content_type = "audio/wav"
        return answer

    @app.post("/api/v1/<what:re:callbacks|callbacks/k[0-9]{1,16}/cancel|messages/m[0-9]{1,16}|messages/m[0-9]{1,16}/delete>")
    def api_queue_function(what):
        return relay("POST", f"/v1/{what}", json_body('{"queue": "sales", "number": "13912345678"}') if request.content_length > 0 else {})

    @app.post("/api/v1/announcements/<name:re:[A-Za-z0-9_.-]{1,32}>")
    def api_announcement(name):
        return relay("POST", f"/v1/announcements/{name}", json_body('{"on": true}'))

    @app.post("/api/v1/pick_up")
    def api_pick_up():
        return relay("POST", "/v1/pick_up", json_body('{"target": "1001", "agent": "1002"}'))

    @app.post("/api/v1/parked/<place:int>/fetch")
    def api_fetch(place):
        return relay("POST", f"/v1/parked/{place}/fetch", json_body('{"agent": "1001"}'))

    @app.post("/api/v1/alarms/<number:int>/acknowledge")
    def api_acknowledge(number):
        return relay("POST", f"/v1/alarms/{number}/acknowledge", json_body("{}") if request.content_length > 0 else {})

    @app.get("/api/v1/<what:re:alarms|alarms/history|performance|chassis|clock>")
    def api_box(what):
        query = request.query
        return relay("GET", f"/v1/{what}", limit=query.getunicode("limit"), before=query.getunicode("before"))

    @app.get("/api/v1/routes/<digits:re:[+0-9*#]{1,64}>")
    def api_route(digits):
        return relay("GET", "/v1/routes/" + urllib.parse.quote(digits, safe=""), **{name: request.query.getunicode(name) for name in ("line", "trunk_group", "caller")})

    @app.get("/api/v1/spans/<span:re:[0-9]{1,2}>/timeslots/<timeslot:re:[0-9]{1,2}>")
    def api_timeslot(span, timeslot):
        return relay("GET", f"/v1/spans/{span}/timeslots/{timeslot}", limit=request.query.getunicode("limit"))

    @app.get("/api/v1/pri")
    def api_pri():
        return relay("GET", "/v1/pri")

    @app.post("/api/v1/pri/<span:re:[0-9]{1,2}>/<part:re:channels|d_channel>")
    def api_pri_manage(span, part):
        return relay("POST", f"/v1/pri/{span}/{part}", json_body('{"do": "lock", "timeslots": [1]}'))

    @app.get("/api/v1/cas")
    def api_cas():
        return relay("GET", "/v1/cas")

    @app.post("/api/v1/cas/<span:re:[0-9]{1,2}>/circuits")
    def api_cas_manage(span):
        return relay("POST", f"/v1/cas/{span}/circuits", json_body('{"do": "lock", "timeslots": [1]}'))

    @app.get("/api/v1/ss7")
    def api_ss7():
        return relay("GET", "/v1/ss7")

    @app.post("/api/v1/ss7/<point>/<part:re:links|circuits>/<name>")
    def api_ss7_manage(point, part, name):
        path = "/v1/ss7/" + "/".join(urllib.parse.quote(word, safe="") for word in (point, part, name))
        return relay("POST", path, json_body('{"do": "block", "cics": [1]}'))

    @app.get("/api/v1/<what:re:lines|berts|turn_up|test_calls|lines/[0-9]{1,2}/turn_up>")
    def api_lines(what):
        return relay("GET", f"/v1/{what}")

    @app.post("/api/v1/<what:re:lines/[0-9]{1,2}/(?:loop|code|force|turn_up|turn_up/cancel)|turn_up|turn_up/cancel|test_calls|berts|berts/[A-Za-z0-9_.-]{1,40}/(?:insert|stop)>")
    def api_line_order(what):
        return relay("POST", f"/v1/{what}", json_body('{"kind": "none"}') if request.content_length > 0 else {})

    @app.get("/api/v1/performance/<span:int>")
    def api_performance(span):
        query = request.query
        return relay("GET", f"/v1/performance/{span}", length=query.getunicode("length"), limit=query.getunicode("limit"))

    def json_body(example):
        try:
            body = request.json
        except (bottle.HTTPError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise problem(400, "no JSON object", f"Send {example} as application/json.")
        try:
            json.dumps(body, ensure_ascii=False).encode()
            json.loads(request.body.read(), object_pairs_hook=once)
        except ValueError as error:
            if not isinstance(error, UnicodeError):
                raise problem(400, "no JSON that can be taken", f"The body is no JSON that can be taken: {error}.") from None
            raise problem(400, "no JSON that can be taken", "The body holds half a character (a lone UTF-16 surrogate); write it again.") from None
        except RecursionError:
            raise problem(400, "no JSON that can be taken", "The body holds half a character (a lone UTF-16 surrogate), or is nested too deep; write it again.") from None
        return body

    @app.put("/api/v1/agents/<agent>/status")
    def api_agent_status(agent):
        return relay("PUT", f"/v1/agents/{urllib.parse.quote(agent, safe='')}/status", json_body('{"status": "available"}'))

    @app.get("/api/v1/configuration")
    def api_configuration():
        return relay("GET", "/v1/configuration")

    @app.get("/api/v1/configuration/history")
    def api_configuration_history():
        return relay("GET", "/v1/configuration/history")

    @app.get("/api/v1/configuration/history/<revision:int>")
    def api_configuration_change_of(revision):
        return relay("GET", f"/v1/configuration/history/{revision}")

    @app.post("/api/v1/configuration/<step:re:propose|apply|rollback>")
    def api_configuration_change(step):
        return relay("POST", f"/v1/configuration/{step}", json_body('{"revision": 1, "configuration": {}}'))

    @app.get("/api/v1/calls/<call>/recordings/<recording>")
    def api_recording(call, recording):
        """The recording as a WAV that a browser plays, with byte ranges, so that it can seek; ?original=1: the file as it is stored."""
        found = [r for r in relay("GET", f"/v1/calls/{urllib.parse.quote(call, safe='')}", recording=recording)["recordings"]
                 if r["id"] == recording]
        if not found:
            raise problem(404, "not found", f"Call {call} has no recording {recording}.")
        root = pathlib.Path(data_dir).resolve()
        path = (root / found[0]["path"]).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise problem(410, "the file is gone", f"The file of recording {recording} is not on the disk any more.")
        if not path.stat().st_size:
            raise problem(410, "nothing was recorded", f"The file of recording {recording} is empty: the disk took nothing of it.")
        original = request.query.get("original") == "1"
        try:
            sent = path if original else playable.path(path, found[0].get("format", "alaw"))
        except OSError as error:
            raise problem(500, "it cannot be converted", f"Recording {recording} cannot be converted: {error}; download the original.") from error
        return bottle.static_file(sent.name, root=str(sent.parent), download=path.name if original else False,
                                  mimetype="application/octet-stream" if path.suffix == ".vox" and original else "audio/wav")

    @app.get("/health")
    def health():
        return {"ok": True, "control": not house.away}

    @app.get("/phone")
    def telephone():
        """A telephone in the page, for who knows a line's password; the codes are what any telephone may dial."""
        try:            # for whoever knows a line's password, signed in or not
            rows = house.client.get("/v1/configuration")["configuration"]["feature_codes"]
        except ControlError as error:
            refuse(error.status, "control is not there" if error.status == 503 else "not found", str(error))
        return show("phone.html", codes={row["action"]: row["code"] for row in reversed(rows)})

    @app.get("/static/vendor/jssip.js")
    def jssip():
        answer = bottle.static_file("jssip.js", root=str(BUNDLE), mimetype="text/javascript")
        answer.set_header("Cache-Control", "max-age=3600")
        return answer

    @app.get("/static/<path:path>")
    def static(path):
        answer = bottle.static_file(path, root=str(HERE / "static"))
        answer.set_header("Cache-Control", "max-age=3600")
        return answer

    def failed(status, title, detail):
        """The answer to what no route above took, as the client reads it."""
        if request.path.startswith("/api/"):
            response.status, response.content_type = status, "application/problem+json"
            return json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
        return show("message.html", status, title=title, detail=detail)

    @app.error(404)
    def missing(error):
        return failed(404, "not found", f"There is nothing at {request.path}.")

    @app.error(405)
    def wrong_method(error):
        return failed(405, "method not allowed", f"{request.path} does not take {request.method}.")

    @app.error(500)
    def fault(error):
        return failed(500, "fault", "The web process could not do this; its log says why.")

    def zone():
        return ((house.state()[1] or {}).get("system") or {}).get("timezone", "UTC")

    journal.add(app, relay, stream, json_body, request)
    prompts.add(app, relay, stream, json_body, request, response)
    documents.add(app, relay, stream, json_body, request, response)

    def role():
        """The role of who asks, or None where control does not say."""
        try:
            return house.me(request.environ["strowger.user"])["role"]
        except ControlError:
            return None

    lines.add(app, show, ask, relay, refuse, zone, request, response)
    desk.add(app, show, ask, relay, problem, json_body, zone, request, response, house, users, sessions)
    turn_up.add(app, show, ask, relay, page_parameters, zone, request, response)
    return app


def as_text(configuration):
    return json.dumps(configuration, ensure_ascii=False, indent=2)


def safe_path(path):
    """A path on this site to go on to; never another site."""
    plain = path and path.isprintable() and path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if plain else "/"
