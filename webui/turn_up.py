"""Pages of the turn-up (spans tested beside one another, test calls, the acceptance report) and of the clock doctor."""

import time

import bottle
from bottle import request, response

from webui import acceptance
from webui.render import LANGUAGES
from webui.typed import whole

SHOWN = 20              # test calls
SETTLE_S = 0.3          # after an order, so that what was ordered shows when the page comes back; invented


def spans_of(text):
    """"1-4, 7" -> [1, 2, 3, 4, 7]; "" -> "all".  What is no such list stays text, which control refuses with a sentence."""
    found = []
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not (first.isascii() and first.isdecimal() and len(first) < 3 and (not dash or last.isascii() and last.isdecimal() and len(last) < 3)):
            return "all" if not text.strip() else [text[:40]]
        found += range(int(first), int(last if dash else first) + 1)
    return sorted(set(found))


def asked_by(form):
    """What the form of the page asks of control: (path, body).  What was typed wrongly control refuses with a sentence."""
    if form.get("do") == "cancel":
        return "/v1/turn_up/cancel", {}
    if form.get("do") == "again":
        return "/v1/turn_up", {"again": True}
    body = {"spans": spans_of(form.getunicode("spans") or ""), "loop": bool(form.get("loop"))}
    body.update({name: whole(form.get(name) or "0", digits=4, otherwise=-1) for name in ("seconds", "incoming_s")})
    number = (form.getunicode("number") or "").strip()
    return "/v1/turn_up", {**body, **({"number": number} if number else {})}


def add(app, web):
    """Add the routes."""
    pages = TurnUpPages(web)
    app.get("/clock")(pages.clock)
    app.get("/clock/now")(pages.clock_now)
    app.get("/turn_up")(pages.show)
    app.post("/turn_up")(pages.begin)
    app.get("/turn_up/report.<kind:re:html|pdf>")(pages.report)
    app.get("/api/v1/turn_up/report.<kind:re:html|pdf>")(pages.report)


class TurnUpPages:
    """web: webui.web.Web."""

    def __init__(self, web):
        self.web = web

    def clock(self):
        return self.web.show("clock.html", **self._clock())

    def clock_now(self):
        """The part of that page which the browser asks for again and again."""
        return self.web.show("part_clock_now.html", **self._clock())

    def _clock(self):
        return {"doctor": self.web.ask("/v1/clock"), "clock": self.web.ask("/v1/chassis")["clock"], "zone": self.web.zone()}

    def show(self, status=200, why=None):
        """why: octets of a refusal that is shown above the form."""
        run, zone = self._last_run(), self.web.zone()
        return self.web.show("turn_up.html", status, run=run, spans=acceptance.contents(run, self.web.language(), zone)["spans"] if run else [],
                             calls=self.web.ask("/v1/test_calls")["test_calls"][:SHOWN], zone=zone, why=why)

    def _last_run(self):
        """The last run, or None."""
        try:
            return self.web.relay("GET", "/v1/turn_up")
        except bottle.HTTPResponse as refusal:
            if refusal.status_code != 409:
                raise
            return None

    def begin(self):
        """Begin; what control refuses is shown above the form."""
        try:
            self.web.relay("POST", *asked_by(request.forms))
            time.sleep(SETTLE_S)
        except bottle.HTTPResponse as refusal:
            return self.show(refusal.status_code, refusal.body)
        return self.web.see_other("/turn_up")

    def report(self, kind):
        """The acceptance report."""
        run = self.web.ask("/v1/turn_up")
        language = request.query.get("language")
        language = language if language in LANGUAGES else self.web.language()
        response.set_header("Content-Disposition", 'inline; filename="turn-up-%d.%s"' % (run["number"], kind))
        if kind == "html":
            response.content_type = "text/html; charset=utf-8"
            return acceptance.as_html(run, language, self.web.zone())
        response.content_type = "application/pdf"
        return acceptance.as_pdf(run, language, self.web.zone())
