"""Pages of the lines: alarms with a picture of the spans, performance, one line with its tests."""

import urllib.parse

from bottle import request

from webui.strip import PERIODS, strip

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

    def now():
        alarms, lines = web.ask("/v1/alarms"), web.ask("/v1/lines")["lines"]
        return {"alarms": alarms["alarms"], "ports": picture(alarms["alarms"], lines), "width": COLUMNS * WIDTH,
                "height": SPANS // COLUMNS * HEIGHT, "zone": web.zone()}

    @app.get("/alarms")
    def alarms():
        return web.show("alarms.html", history=web.ask("/v1/alarms/history", limit=100)["alarms"], **now())

    @app.get("/alarms/now")
    def alarms_now():
        return web.show("part_alarms_now.html", **now())

    @app.get("/performance")
    def performance():
        return web.show("performance.html", spans=web.ask("/v1/performance")["spans"], zone=web.zone())

    @app.get("/lines/<span:int>")
    def line(span):
        return one(span)

    def history(span):
        """The strip chart's part of the page; nothing where the history cannot be read: the line's tests are more important."""
        minutes = request.query.get("minutes") or ""
        period = int(minutes) if minutes.isascii() and minutes.isdecimal() and len(minutes) < 7 else PERIODS[0]
        try:
            told = web.relay("GET", "/v1/spans/%d/history" % span, minutes=max(1, min(period, PERIODS[-1])))
        except Exception as error:
            if getattr(error, "status_code", None) != 503:
                raise
            return {}
        return {"strip": strip(told), "whole": told["whole"], "period": period, "periods": PERIODS}

    def one(span, status=200, why=None):
        lines = web.ask("/v1/lines")["lines"]
        if str(span) not in lines:
            web.refuse(404, "not found", "There is no span %d in service." % span)
        report = None
        if lines[str(span)].get("turn_up"):
            report = web.ask("/v1/lines/%d/turn_up" % span)
        nfas = next((row["nfas"] for row in web.ask("/v1/pri")["pri"] if row["span"] == span), None)
        past = web.ask("/v1/performance/%d" % span, limit=24)
        alarms = [a for a in web.ask("/v1/alarms")["alarms"] if "span %d" % span in a["members"]]
        return web.show("line.html", status, span=span, line=lines[str(span)], report=report, alarms=alarms, zone=web.zone(), why=why, nfas=nfas, **history(span),
                        berts=[b for b in web.ask("/v1/berts")["berts"] if b["span"] == span], patterns=PATTERNS, loops=LOOPS,
                        bins=past["bins"], now=(past["now"] or {}).get("quarter"))

    @app.get("/lines/<span:int>/timeslots/<timeslot:int>")
    def one_timeslot(span, timeslot):
        told = web.ask("/v1/spans/%d/timeslots/%d" % (span, timeslot), limit=200)
        return web.show("timeslot.html", span=span, slot=told["timeslot"], states=told["states"], calls=told["calls"], zone=web.zone())

    @app.post("/lines/<span:int>")
    def order(span):
        """One order from the page's forms; what control refuses is shown above them.

        Control answers when it is carried out, so what was ordered shows when the page comes back."""
        form = request.forms
        do = form.get("do")
        try:
            if do == "turn_up":
                seconds = form.get("seconds") or ""
                web.relay("POST", "/v1/lines/%d/turn_up" % span, {"seconds": int(seconds) if seconds.isdecimal() and len(seconds) < 5 else 0})
            elif do == "cancel":
                web.relay("POST", "/v1/lines/%d/turn_up/cancel" % span, {})
            elif do == "loop":
                web.relay("POST", "/v1/lines/%d/loop" % span, {"kind": form.getunicode("kind")})
            elif do == "bert":
                slot = (form.getunicode("timeslot") or "").strip()[:20]
                plain = slot.isascii() and slot.isdecimal() and len(slot) < 3
                web.relay("POST", "/v1/berts", {"span": span, "pattern": form.getunicode("pattern"),
                                                "timeslots": ([int(slot)] if plain else [slot]) if slot else "all"})
            elif do in ("insert", "stop"):
                web.relay("POST", "/v1/berts/%s/%s" % (urllib.parse.quote(form.getunicode("test") or "", safe=""), do),
                          {"errors": 1} if do == "insert" else {})
        except Exception as error:
            body = getattr(error, "body", None)
            if not isinstance(body, str):
                raise
            return one(span, getattr(error, "status_code", 409), body)
        return web.see_other("/lines/%d" % span)
