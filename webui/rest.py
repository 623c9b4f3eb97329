"""REST of the box: what is asked of control as it is, as tables, and what needs a hand of its own.

The desk's part is in desk.py, that of documents in documents.py, of prompts in prompts.py, of what is kept in journal.py."""

import pathlib
import urllib.parse

import bottle
from bottle import request, response

NAME = "[A-Za-z0-9_.-]{1,32}"
ALL = None                  # the whole query is passed on

# Paths below /api/v1 (and below control's /v1) that are read, the names of the query that go with them.
READ = (
    ("state|health|media|flows|campaigns|campaigns/" + NAME, ()),
    ("calls", ("limit", "before")),
    ("calls/[^/]+", ()),
    ("surveys", ("from", "to", "survey", "by")),
    ("flows/[^/]+", ("version",)),
    ("flows/[^/]+/(?:versions|diff)", ("from", "to")),
    ("announcements|callbacks|mailboxes|mailboxes/[A-Za-z0-9_-]{1,32}", ()),
    ("staffing|staffing/simulation", ALL),
    ("alarms|alarms/history|performance|chassis|clock", ("limit", "before")),
    ("performance/-?[0-9]+", ("length", "limit")),
    ("routes/[+0-9*#]{1,64}", ("line", "trunk_group", "caller", "at")),
    ("spans/[0-9]{1,2}/timeslots/[0-9]{1,2}", ("limit",)),
    ("spans/[0-9]{1,2}/history", ("minutes", "to")),
    ("pri|cas|ss7|lines|berts|turn_up|test_calls|lines/[0-9]{1,2}/turn_up", ()),
    ("configuration|configuration/history", ()),
    ("configuration/history/-?[0-9]+", ("whole",)),
)

# Orders: method, path, what a body may look like, whether there must be one.
ORDERS = (
    ("POST", "calls/[^/]+/hangup|reports/check", None, False),
    ("POST", "agents/[^/]+/(?:log_in|wrap_up|queues)", '{"line": "1001"}', True),
    ("PUT", "agents/[^/]+/status", '{"status": "available"}', True),
    ("PUT", "flows/[^/]+", '{"text": "flow version 1 ..."}', True),
    ("POST", "flows/[^/]+/(?:check|rollback)", '{"version": 1}', True),
    ("POST", "campaigns/" + NAME, '{"queue": "sales", "mode": "progressive", "csv": "number,note..."}', True),
    ("POST", "campaigns/" + NAME + "/(?:start|pause|stop|remove)", "{}", False),
    ("POST", "callbacks|callbacks/k[0-9]{1,16}/cancel|messages/m[0-9]{1,16}|messages/m[0-9]{1,16}/delete", '{"queue": "sales", "number": "13912345678"}', False),
    ("POST", "announcements/" + NAME, '{"on": true}', True),
    ("POST", "pick_up", '{"target": "1001", "agent": "1002"}', True),
    ("POST", "parked/-?[0-9]+/fetch", '{"agent": "1001"}', True),
    ("POST", "alarms/-?[0-9]+/acknowledge", "{}", False),
    ("POST", "pri/[0-9]{1,2}/(?:channels|d_channel)|cas/[0-9]{1,2}/circuits", '{"do": "lock", "timeslots": [1]}', True),
    ("POST", "ss7/[^/]+/(?:links|circuits)/[^/]+", '{"do": "block", "cics": [1]}', True),
    ("POST", "lines/[0-9]{1,2}/(?:loop|code|force|turn_up|turn_up/cancel)|turn_up|turn_up/cancel|test_calls|berts|berts/[A-Za-z0-9_.-]{1,40}/(?:insert|stop)",
     '{"kind": "none"}', False),
    ("POST", "configuration/(?:propose|apply|rollback)", '{"revision": 1, "configuration": {}}', True),
)
OPERATIONS = ("network", "malicious", "hold", "retrieve", "consult", "conference", "transfer", "change_over", "park", "pick_up", "monitor", "ivr", "listen", "enhance",
              "send", "record", "play", "player", "party", "room", "stream")
STAFFING_S = 90.0           # callers are sent through the real flows


def path_of(what):
    """Control's path of one below /api/v1."""
    return "/v1/" + urllib.parse.quote(what)


def add(app, web, data_dir, playable):
    """Add the routes.  data_dir: where recordings lie; playable: webui.playable.Playable."""
    for pattern, names in READ:
        _read(app, web, pattern, names)
    for method, pattern, example, needed in ORDERS:
        _order(app, web, method, pattern, example, needed)

    @app.post("/api/v1/calls/<call>/<operation:re:%s>" % "|".join(OPERATIONS))
    def operation(call, operation):
        body = web.body_if_any()
        if operation == "monitor":
            body.setdefault("by", web.user)
        return web.relay("POST", path_of("calls/%s/%s" % (call, operation)), body)

    @app.post("/api/v1/staffing/flows")
    def staffing_flows():
        return web.relay("POST", "/v1/staffing/flows", web.body('{"day": "2026-11-23", "hour": 9}'), timeout_s=STAFFING_S)

    @app.get("/api/v1/reports/<part>")
    def report(part):
        return web.as_csv(web.relay("GET", path_of("reports/" + part), **web.query("from", "to", "interval", "name", "format")), part)

    @app.get("/api/v1/calls/<call:re:c[0-9]+>/trace")
    def call_trace(call):
        return web.stream(call + ".pcapng", f"/v1/calls/{call}/trace")

    @app.get("/api/v1/trace")
    def trace():
        return web.stream("trace.pcapng", "/v1/trace", **web.query("span", "trunk", "from", "to"))

    @app.get("/api/v1/messages/<message:re:m[0-9]{1,16}>/audio")
    def message_audio(message):
        """The sound of a message in a mailbox, a WAV file."""
        answer = web.relay("GET", f"/v1/messages/{message}/audio")
        response.content_type = "audio/wav"
        return answer

    @app.get("/api/v1/calls/<call>/recordings/<recording>")
    def recording_file(call, recording):
        """The recording as a WAV that a browser plays, with byte ranges, so that it can seek; ?original=1: the file as it is stored."""
        found = [r for r in web.relay("GET", path_of("calls/" + call), recording=recording)["recordings"] if r["id"] == recording]
        if not found:
            raise web.problem(404, "not found", f"Call {call} has no recording {recording}.")
        root = pathlib.Path(data_dir).resolve()
        path = (root / found[0]["path"]).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise web.problem(410, "the file is gone", f"The file of recording {recording} is not on the disk any more.")
        if not path.stat().st_size:
            raise web.problem(410, "nothing was recorded", f"The file of recording {recording} is empty: the disk took nothing of it.")
        original = request.query.get("original") == "1"
        try:
            sent = path if original else playable.path(path, found[0].get("format", "alaw"))
        except OSError as error:
            raise web.problem(500, "it cannot be converted", f"Recording {recording} cannot be converted: {error}; download the original.") from error
        return bottle.static_file(sent.name, root=str(sent.parent), download=path.name if original else False,
                                  mimetype="application/octet-stream" if path.suffix == ".vox" and original else "audio/wav")


def _read(app, web, pattern, names):
    @app.get("/api/v1/<what:re:%s>" % pattern)
    def read(what):
        return web.relay("GET", path_of(what), **web.query(*(request.query if names is ALL else names)))


def _order(app, web, method, pattern, example, needed):
    @app.route("/api/v1/<what:re:%s>" % pattern, method=method)
    def order(what):
        return web.relay(method, path_of(what), {} if example is None else web.body(example) if needed else web.body_if_any(example))
