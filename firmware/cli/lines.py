"""Verbs of the command `strowger` that work on lines: loops, codes, forced alarms, bit error tests, turn-up."""

import json
import pathlib
import subprocess
import sys
import time
import urllib.parse

from firmware.errors import LocalError

# as drivers/framer/base.py has them, which this process does not need
LOOPS = ("none", "local", "remote", "payload", "timeslot")
LOOP_CODES = ("line_up", "line_down", "payload_up", "payload_down", "all_down", "in_band_up", "in_band_down")
PATTERNS = ("prbs9", "prbs11", "prbs15", "prbs23", "qrss", "fixed")
VERBS = ("lines", "loop", "code", "force", "bert", "turn-up", "test-call")
MARKS = {"pass": "good", "fail": "WRONG", "note": "note"}


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("lines", parents=[common])
    loop = verbs.add_parser("loop", parents=[common])
    loop.add_argument("span", type=int)
    loop.add_argument("kind", choices=LOOPS)
    loop.add_argument("--timeslot", type=int)
    code = verbs.add_parser("code", parents=[common])
    code.add_argument("span", type=int)
    code.add_argument("code", choices=(*LOOP_CODES, "none"))
    force = verbs.add_parser("force", parents=[common])
    force.add_argument("span", type=int)
    force.add_argument("--rai", action="store_true")
    force.add_argument("--ais", action="store_true")
    bert = verbs.add_parser("bert", parents=[common])
    bert.add_argument("do", choices=("start", "stop", "insert", "show"))
    bert.add_argument("which", nargs="?", help="start: the span; stop and insert: the test's id")
    bert.add_argument("--timeslot", type=int, action="append", help="again for more; default all that carry calls")
    bert.add_argument("--pattern", choices=PATTERNS, default="prbs15")
    bert.add_argument("--octet", type=int, default=255)
    bert.add_argument("--errors", type=int, default=1)
    turn_up = verbs.add_parser("turn-up", parents=[common])
    turn_up.add_argument("span", nargs="+", help="numbers, all; show: the report of the last run; again: the last run's spans and options; "
                         "cancel [SPAN]: end the run that the span is in, or all")
    turn_up.add_argument("--seconds", type=int, default=10)
    turn_up.add_argument("--number", help="is called over each span; default: the configured one; none: no call")
    turn_up.add_argument("--incoming", type=int, default=0, metavar="SECONDS", help="wait for a call to a test number of ours over each span")
    turn_up.add_argument("--loop", action="store_true", help="our own loop with PRBS first: no call may be up on the span")
    turn_up.add_argument("--html", metavar="FILE", help="write the acceptance report")
    turn_up.add_argument("--pdf", metavar="FILE", help="write it as PDF")
    turn_up.add_argument("--language", choices=("en", "zh_CN"), default="en", help="of the acceptance report")
    test_call = verbs.add_parser("test-call", parents=[common])
    test_call.add_argument("span", type=int, nargs="?", help="call over this span and measure; without: what was measured")
    test_call.add_argument("number", nargs="?")


def show_lines(answer, table):
    """One line a span."""
    rows = []
    for span, row in answer["lines"].items():
        loop = row["loop"]
        rows.append([span, "%s%s, by %s" % (loop["kind"], " %d" % loop["timeslot"] if loop["timeslot"] else "", loop["by"]) if loop else "none",
                     " ".join(row["forced"]).upper() or "none", row["code_sent"], row["code_received"], level(row), carried_by(row["bearer"])])
    return table(["SPAN", "LOOP", "FORCED", "CODE SENT", "CODE RECEIVED", "SIGNAL", "BEARER"], rows)


def level(row):
    """What a line interface sees of the received signal and of our transmit pair."""
    if "level_db" not in row:
        return None
    heard = "none" if row["level_db"] is None else "-%.0f of -%.0f dB" % (row["level_db"], row["limit_db"])
    return heard if row["transmit"] == "ok" else "%s; our transmit pair is %s" % (heard, {"open": "open", "short": "short-circuited"}[row["transmit"]])


def carried_by(bearer):
    """What carries a span, in one line."""
    if bearer["kind"] == "board":
        return "board"
    words = ["%s %s" % (bearer["kind"], bearer["local"] if bearer["remote"] == bearer["local"] else "%s - %s" % (bearer["local"], bearer["remote"]))]
    figures = bearer.get("figures")
    if bearer["fault"]:
        words.append(bearer["fault"])
    if figures:
        words.append("%.0f ms waiting, %d of %d frames lost, %d late, %d slips" % (
            bearer["level_ms"], figures["frames_missing"], figures["frames_played"], figures.get("late", 0),
            figures["slips_repeated"] + figures["slips_left_out"]))
        if bearer["ppm"] is not None:
            words.append("far clock %+.1f ppm (+- %.1f)" % (bearer["ppm"], bearer["within_ppm"]))
    return "; ".join(words)


def show_berts(answer, table):
    """One line a test."""
    if not answer["berts"]:
        return "no test runs"
    return table(["TEST", "SPAN", "SLOTS", "PATTERN", "IN STEP", "SECONDS", "BITS", "ERRORS", "RATE", "ES", "SES", "LOSSES", "INSERTED"],
                 [[b["id"], b["span"], len(b["timeslots"]), b["pattern"], "yes" if b["synced"] else "NO", b["seconds"] + b["unsynced_seconds"],
                   b["bits"], b["errors"], "%.1e" % (b["errors"] / b["bits"]) if b["bits"] else None, b["es"], b["ses"], b["losses"],
                   b["inserted"]] for b in answer["berts"]])


def show_report(report):
    """The turn-up report as text."""
    return "\n".join(["span %d (%s): %s" % (report["span"], report["type"].upper(), (report["verdict"] or "runs").upper())]
                     + ["%-6s %s" % (MARKS[f["result"]], f["text"]) for f in report["findings"]])


def show_run(run):
    """Reports of a run as text, those that failed at last, where a person looks first."""
    reports = sorted(run["spans"], key=lambda report: (report["verdict"] == "fail", report["span"]))
    failed = [str(report["span"]) for report in reports if report["verdict"] == "fail"]
    cut = ["%s %s" % (report["span"], report["verdict"].upper()) for report in reports if report["verdict"] in ("cancelled", "interrupted")]
    told = "%d spans: %s" % (len(reports), "; ".join(["span %s FAILED" % ", ".join(failed)] * bool(failed) + ["span %s" % ", ".join(cut)] * bool(cut)) or "all PASSED")
    return "\n".join([*(show_report(report) for report in reports), *([told] if len(reports) > 1 else [])])


def show_test_calls(answer, table):
    """One line a test call."""
    def level(row, name, form="%.1f"):
        value = (row["figures"] or {}).get(name)
        return None if value is None else form % value
    return table(["CALL", "WAY", "SPAN", "SLOT", "NUMBER", "CAUSE", "HEARS HZ", "DBM0", "LEVEL DBM0", "ERL DB", "LOOPED", "WHY"], [
        [row["call"], row["way"], row["span"], row["timeslot"], row["number"], row["cause"], level(row, "heard_hz", "%.0f"), level(row, "heard_dbm0"),
         level(row, "level_dbm0"), (">= " if (row["figures"] or {}).get("erl_is_least") else "") + (level(row, "erl_db") or "-"),
         "yes" if (row["figures"] or {}).get("looped") else "no", row["why"]] for row in answer["test_calls"]])


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    verb = options.verb
    if verb == "lines":
        return client.get("/v1/lines"), lambda a: show_lines(a, table)
    if verb == "bert":
        return _bert(client, options, table)
    if verb == "turn-up":
        return _turn_up(client, options), show_run
    if verb == "test-call":
        return _test_call(client, options), lambda a: show_test_calls(a, table)
    path = "/v1/lines/%d/" % options.span
    if verb == "loop":
        body = {"kind": options.kind, **({"timeslot": options.timeslot} if options.timeslot else {})}
        return client.post(path + "loop", body), lambda a: "loop: %s" % ((a["loop"] or {}).get("kind", "none"))
    if verb == "code":
        return (client.post(path + "code", {"code": None if options.code == "none" else options.code}),
                lambda a: "code: %s" % (a["code_sent"] or "none"))
    return client.post(path + "force", {"rai": options.rai, "ais": options.ais}), lambda a: "done"


def _turn_up(client, options):
    if options.span[0] == "cancel" and len(options.span) <= 2:
        return client.post("/v1/lines/%s/turn_up/cancel" % urllib.parse.quote(options.span[1], safe="") if options.span[1:] else "/v1/turn_up/cancel")
    if options.span == ["again"]:
        client.post("/v1/turn_up", {"again": True})
    elif options.span != ["show"]:
        spans = "all" if options.span == ["all"] else [int(span) if span.isdecimal() else span for span in options.span]
        number = "" if options.number == "none" else options.number
        client.post("/v1/turn_up", {"spans": spans, "seconds": options.seconds, "incoming_s": options.incoming, "loop": options.loop,
                                    **({} if number is None else {"number": number})})
    try:
        while (run := client.get("/v1/turn_up"))["running"]:
            time.sleep(0.5)
    except KeyboardInterrupt:
        print("strowger: the test goes on; strowger turn-up show waits for it, strowger turn-up cancel ends it", file=sys.stderr)
        raise
    for kind in ("html", "pdf"):
        if getattr(options, kind):
            # The words and the layout are the web process's; here it lends them as a program.
            zone = client.get("/v1/state")["system"].get("timezone", "UTC")
            done = subprocess.run([sys.executable, "-m", "webui.acceptance", kind, str(pathlib.Path(getattr(options, kind)).absolute()), "--language",
                                   options.language, "--zone", zone], input=json.dumps(run).encode(), cwd=pathlib.Path(__file__).resolve().parents[2])
            if done.returncode:
                raise LocalError("the acceptance report was not written; the reason stands above")
    return run


def _test_call(client, options):
    if options.span is None:
        return client.get("/v1/test_calls")
    call = client.post("/v1/test_calls", {"span": options.span, **({"number": options.number} if options.number else {})})["call"]
    while True:
        row = next((row for row in client.get("/v1/test_calls")["test_calls"] if row["call"] == call), None)
        if row is None or row["ended_ms"] is not None:
            return {"test_calls": [row] if row else []}
        time.sleep(0.3)


def _bert(client, options, table):
    if options.do == "show" or options.which is None:
        return client.get("/v1/berts"), lambda a: show_berts(a, table)
    if options.do == "start":
        span = int(options.which) if options.which.isdecimal() else options.which
        return client.post("/v1/berts", {"span": span, "timeslots": options.timeslot or "all", "pattern": options.pattern,
                                         "octet": options.octet}), lambda a: a["id"]
    name = "/v1/berts/" + urllib.parse.quote(options.which, safe="")
    if options.do == "insert":
        return client.post(name + "/insert", {"errors": options.errors}), lambda a: "%d errors" % options.errors
    return client.post(name + "/stop"), lambda a: show_berts({"berts": [a]}, table)
