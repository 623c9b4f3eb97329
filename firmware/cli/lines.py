"""Verbs of the command `strowger` that work on lines: loops, codes, forced alarms, bit error tests, turn-up."""

import time
import urllib.parse

# as drivers/framer/base.py has them, which this process does not need
LOOPS = ("none", "local", "remote", "payload", "timeslot")
LOOP_CODES = ("line_up", "line_down", "payload_up", "payload_down", "all_down", "in_band_up", "in_band_down")
PATTERNS = ("prbs9", "prbs11", "prbs15", "prbs23", "qrss", "fixed")
VERBS = ("lines", "loop", "code", "force", "bert", "turn-up")
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
    turn_up.add_argument("span", type=int)
    turn_up.add_argument("--seconds", type=int, default=10)


def show_lines(answer, table):
    """One line a span."""
    rows = []
    for span, row in answer["lines"].items():
        loop = row["loop"]
        rows.append([span, "%s%s, by %s" % (loop["kind"], " %d" % loop["timeslot"] if loop["timeslot"] else "", loop["by"]) if loop else "none",
                     row["code_sent"], row["code_received"]])
    return table(["SPAN", "LOOP", "CODE SENT", "CODE RECEIVED"], rows)


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


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    verb = options.verb
    if verb == "lines":
        return client.get("/v1/lines"), lambda a: show_lines(a, table)
    if verb == "bert":
        return _bert(client, options, table)
    path = "/v1/lines/%d/" % options.span
    if verb == "loop":
        body = {"kind": options.kind, **({"timeslot": options.timeslot} if options.timeslot else {})}
        return client.post(path + "loop", body), lambda a: "loop: %s" % ((a["loop"] or {}).get("kind", "none"))
    if verb == "code":
        return (client.post(path + "code", {"code": None if options.code == "none" else options.code}),
                lambda a: "code: %s" % (a["code_sent"] or "none"))
    if verb == "force":
        return client.post(path + "force", {"rai": options.rai, "ais": options.ais}), lambda a: "done"
    client.post(path + "turn_up", {"seconds": options.seconds})
    while True:
        report = client.get(path + "turn_up")
        if not report["running"]:
            return report, show_report
        time.sleep(0.5)


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
