"""Pages of the turn-up (spans tested beside one another, test calls, the acceptance report) and of the clock doctor."""

import time
import urllib.parse

from bottle import request, response

from webui import acceptance
from webui.render import LANGUAGES

SHOWN = 20              # test calls


def spans_of(text):
    """"1-4, 7" -> [1, 2, 3, 4, 7]; "" -> "all".  What is no such list stays text, which control refuses with a sentence."""
    found = []
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not (first.isascii() and first.isdecimal() and len(first) < 3 and (not dash or last.isascii() and last.isdecimal() and len(last) < 3)):
            return "all" if not text.strip() else [text[:40]]
        found += range(int(first), int(last if dash else first) + 1)
    return sorted(set(found))


def add(app, web):
    """Add the routes."""

    def clock_now():
        return {"doctor": web.ask("/v1/clock"), "clock": web.ask("/v1/chassis")["clock"], "zone": web.zone()}

    @app.get("/clock")
    def clock():
        return web.show("clock.html", **clock_now())

    @app.get("/clock/now")
    def clock_part():
        return web.show("part_clock_now.html", **clock_now())

    def last_run():
        """The last run, or None."""
        try:
            return web.relay("GET", "/v1/turn_up")
        except Exception as error:
            if getattr(error, "status_code", None) != 409:
                raise
            return None

    def page(status=200, why=None):
        run = last_run()
        return web.show("turn_up.html", status, run=run, spans=acceptance.contents(run, web.language(), web.zone())["spans"] if run else [],
                        calls=web.ask("/v1/test_calls")["test_calls"][:SHOWN], zone=web.zone(), why=why)

    @app.get("/turn_up")
    def turn_up():
        return page()

    @app.post("/turn_up")
    def begin():
        """Begin; what control refuses is shown above the form."""
        form = request.forms

        def whole(name):
            text = form.get(name) or "0"
            return int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else -1
        if form.get("do") in ("cancel", "again"):
            where, body = ("/v1/turn_up/cancel", {}) if form.get("do") == "cancel" else ("/v1/turn_up", {"again": True})
            return ordered(where, body)
        body = {"spans": spans_of(form.getunicode("spans") or ""), "seconds": whole("seconds"), "incoming_s": whole("incoming_s"), "loop": bool(form.get("loop"))}
        if (form.getunicode("number") or "").strip():
            body["number"] = form.getunicode("number").strip()
        return ordered("/v1/turn_up", body)

    def ordered(where, body):
        try:
            web.relay("POST", where, body)
            time.sleep(0.3)             # what was ordered shows when the page comes back
        except Exception as error:
            if not isinstance(getattr(error, "body", None), str):
                raise
            return page(getattr(error, "status_code", 409), error.body)
        return web.see_other("/turn_up")

    @app.get("/turn_up/report.<kind:re:html|pdf>")
    def report(kind):
        run = web.ask("/v1/turn_up")
        language = request.query.get("language")
        language = language if language in LANGUAGES else web.language()
        response.set_header("Content-Disposition", 'inline; filename="turn-up-%d.%s"' % (run["number"], kind))
        if kind == "html":
            response.content_type = "text/html; charset=utf-8"
            return acceptance.as_html(run, language, web.zone())
        response.content_type = "application/pdf"
        return acceptance.as_pdf(run, language, web.zone())

    @app.get("/api/v1/turn_up/report.<kind:re:html|pdf>")
    def api_report(kind):
        return report(kind)
