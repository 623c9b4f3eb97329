"""Pages of the lines: alarms with a picture of the spans, performance, one line with its tests."""

import urllib.parse

import bottle
from bottle import request

from webui.strip import PERIODS, strip
from webui.typed import whole

SPANS, COLUMNS, WIDTH, HEIGHT = 64, 8, 52, 34
RANK = ("critical", "major", "minor", "warning")
MARKS = {"critical": "■", "major": "■", "minor": "▲", "warning": "▲", "up": "✓", "looped": "↺", "absent": ""}
PATTERNS = ("prbs15", "prbs9", "prbs11", "prbs23", "qrss")
LOOPS = ("none", "local", "remote", "payload")


def picture(alarms, lines):
    """Places of the spans in the picture: [{"span", "x", "y", "state", "mark", "what": alarm or None}].

    alarms: that stand; lines: {span as text: {"loop", ...}} of the spans in service."""
    worst = {}
    for alarm in sorted((a for a in alarms if a["severity"] in RANK), key=lambda a: -RANK.index(a["severity"])):
        for member in alarm["members"]:
            worst[member] = alarm
    ports = []
    for n in range(SPANS):
        line, alarm = lines.get(str(n + 1)), worst.get("span %d" % (n + 1))
        state = "absent" if line is None else "looped" if line["loop"] else alarm["severity"] if alarm else "up"
        ports.append({"span": n + 1, "x": n % COLUMNS * WIDTH, "y": n // COLUMNS * HEIGHT, "state": state, "mark": MARKS[state],
                      "what": alarm if line is not None else None})
    return ports


def add(app, web):
    """Add the routes."""
    box, line = BoxPages(web), LinePages(web)
    app.get("/alarms")(box.alarms)
    app.get("/alarms/now")(box.alarms_now)
    app.get("/performance")(box.performance)
    app.get("/lines/<span:int>")(line.show)
    app.post("/lines/<span:int>")(line.order)
    app.get("/lines/<span:int>/timeslots/<timeslot:int>")(line.timeslot)


class BoxPages:
    """All lines at once.  web: webui.web.Web."""

    def __init__(self, web):
        self.web = web

    def alarms(self):
        return self.web.show("alarms.html", history=self.web.ask("/v1/alarms/history", limit=100)["alarms"], **self._now())

    def alarms_now(self):
        """The part of that page which the browser asks for again and again."""
        return self.web.show("part_alarms_now.html", **self._now())

    def _now(self):
        alarms, lines = self.web.ask("/v1/alarms"), self.web.ask("/v1/lines")["lines"]
        return {"alarms": alarms["alarms"], "ports": picture(alarms["alarms"], lines), "width": COLUMNS * WIDTH,
                "height": SPANS // COLUMNS * HEIGHT, "zone": self.web.zone()}

    def performance(self):
        return self.web.show("performance.html", spans=self.web.ask("/v1/performance")["spans"], zone=self.web.zone())


class LinePages:
    """One line: its state, its tests, its timeslots."""

    def __init__(self, web):
        self.web = web

    def show(self, span, status=200, why=None):
        """why: octets of a refusal that is shown above the forms."""
        ask, lines = self.web.ask, self.web.ask("/v1/lines")["lines"]
        if str(span) not in lines:
            self.web.refuse(404, "not found", "There is no span %d in service." % span)
        report = ask("/v1/lines/%d/turn_up" % span) if lines[str(span)].get("turn_up") else None
        nfas = next((row["nfas"] for row in ask("/v1/pri")["pri"] if row["span"] == span), None)
        past = ask("/v1/performance/%d" % span, limit=24)
        alarms = [a for a in ask("/v1/alarms")["alarms"] if "span %d" % span in a["members"]]
        return self.web.show("line.html", status, span=span, line=lines[str(span)], report=report, alarms=alarms, zone=self.web.zone(), why=why, nfas=nfas,
                             berts=[b for b in ask("/v1/berts")["berts"] if b["span"] == span], patterns=PATTERNS, loops=LOOPS,
                             bins=past["bins"], now=(past["now"] or {}).get("quarter"), **self._history(span))

    def _history(self, span):
        """The strip chart's part of the page; nothing where the history cannot be read: the line's tests are more important."""
        period = whole(request.query.get("minutes"), digits=6, otherwise=PERIODS[0])
        try:
            told = self.web.relay("GET", "/v1/spans/%d/history" % span, minutes=max(1, min(period, PERIODS[-1])))
        except bottle.HTTPResponse as refusal:
            if refusal.status_code != 503:
                raise
            return {}
        return {"strip": strip(told), "whole": told["whole"], "period": period, "periods": PERIODS}

    def timeslot(self, span, timeslot):
        told = self.web.ask("/v1/spans/%d/timeslots/%d" % (span, timeslot), limit=200)
        return self.web.show("timeslot.html", span=span, slot=told["timeslot"], states=told["states"], calls=told["calls"], zone=self.web.zone())

    def order(self, span):
        """One order from the page's forms; what control refuses is shown above them.

        Control answers when it is carried out, so what was ordered shows when the page comes back."""
        ordered = ordered_by(span, request.forms)
        try:
            if ordered:
                self.web.relay("POST", *ordered)
        except bottle.HTTPResponse as refusal:
            return self.show(span, refusal.status_code, refusal.body)
        return self.web.see_other("/lines/%d" % span)


def ordered_by(span, form):
    """What a form of the line's page asks of control: (path, body), or None.  What was typed wrongly control refuses with a sentence."""
    do = form.get("do")
    if do == "turn_up":
        return "/v1/lines/%d/turn_up" % span, {"seconds": whole(form.get("seconds"), digits=4)}
    if do == "cancel":
        return "/v1/lines/%d/turn_up/cancel" % span, {}
    if do == "loop":
        return "/v1/lines/%d/loop" % span, {"kind": form.getunicode("kind")}
    if do == "bert":
        slot = (form.getunicode("timeslot") or "").strip()[:20]
        return "/v1/berts", {"span": span, "pattern": form.getunicode("pattern"), "timeslots": [whole(slot, 2, slot)] if slot else "all"}
    if do in ("insert", "stop"):
        return "/v1/berts/%s/%s" % (urllib.parse.quote(form.getunicode("test") or "", safe=""), do), {"errors": 1} if do == "insert" else {}
    return None
