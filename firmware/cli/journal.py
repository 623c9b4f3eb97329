"""Verbs of the command `strowger` about what is kept.

    set-aside [--clear]     what could not be carried out or written for a fault of the firmware
    retention [--prune]     what was pruned, what is being done; --prune: look for old rows now
    export journal|calls|surveys [--from M] [--to M] [--csv] FILE     as JSON lines, or CSV; FILE "-": standard output
    erase NUMBER --confirm NUMBER [--reason TEXT] [--later]     all that is kept of a person, with --later after a call that goes on;  erasures: those that are not done yet
"""

import datetime

from firmware.cli.trace import save

VERBS = ("set-aside", "retention", "export", "erase", "erasures")


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    aside = verbs.add_parser("set-aside", parents=[common])
    aside.add_argument("--clear", action="store_true", help="a person has seen to them; the file stays as .seen")
    verbs.add_parser("retention", parents=[common]).add_argument("--prune", action="store_true")
    export = verbs.add_parser("export", parents=[common])
    export.add_argument("what", choices=("journal", "calls", "surveys"))
    export.add_argument("--from", dest="since", help="2026-11-22 or 2026-11-22T08:30:00; default: all")
    export.add_argument("--to")
    export.add_argument("--csv", action="store_true")
    export.add_argument("file")
    erase = verbs.add_parser("erase", parents=[common])
    erase.add_argument("number")
    erase.add_argument("--confirm", required=True, help="the number once more")
    erase.add_argument("--reason")
    erase.add_argument("--later", action="store_true", help="a number that is in a call just now: after it, by itself")
    verbs.add_parser("erasures", parents=[common])


def _moment(ms):
    return datetime.datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="seconds")


def _set_aside(answer):
    rows = ["%s  %s  %s: %s" % (_moment(row["ts_ms"]), row["matter"], str(row["what"])[:120], row["error"]) for row in answer["rows"]]
    return "\n".join([*rows, "%d set aside" % answer["count"]])


def _retention(answer):
    return "\n".join([answer["busy"] or "nothing is being done", "pruned since the start: %(rows)d rows of the journal, %(calls)d calls" % answer["pruned"],
                      "the journal begins after record %d" % answer["gone_upto"], _erasures(answer)])


def _erasures(answer):
    rows = ["%s  asked %s by %s%s" % (row["erasure"], _moment(row["asked_ms"]), row["by"] or "nobody named", ", waits for the end of a call" if row["waits"] else "")
            for row in answer["erasures"]]
    return "\n".join([*rows, "%d erasures to be done" % len(rows)])


def carry_out(client, options):
    """(answer, function that shows it)."""
    verb = options.verb
    if verb == "retention":
        if options.prune:
            return client.post("/v1/retention/prune"), lambda a: "old rows are looked for now"
        return client.get("/v1/retention"), _retention
    if verb == "export":
        octets = save(client, "/v1/export/%s" % options.what, {"from": options.since, "to": options.to, "format": "csv" if options.csv else "jsonl"}, options.file)
        return {"file": options.file, "octets": octets}, lambda a: "" if options.file == "-" else "%(file)s: %(octets)d octets" % a
    if verb == "erase":
        return (client.post("/v1/erasures", {"number": options.number, "confirm": options.confirm, "reason": options.reason, "later": options.later}),
                lambda a: "erasure %s %s; forms of the number: %s" % (a["erasure"], "waits for the end of call " + a["waits_for"] if "waits_for" in a else "has begun",
                                                                      ", ".join(a["forms"])) + "".join("\nthe configuration still has it: %s; take it out there" % path for path in a["stands"]))
    if verb == "erasures":
        return client.get("/v1/erasures"), _erasures
    if options.clear:
        return client.post("/v1/set_aside/clear"), lambda a: "cleared"
    return client.get("/v1/set_aside"), _set_aside
