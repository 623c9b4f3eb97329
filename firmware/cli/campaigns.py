"""Verbs of the command `strowger` for campaigns.

    campaigns;  campaign NAME                   the numbers with what became of them
    campaign-load NAME QUEUE FILE [--mode progressive|preview]       a CSV file with the columns number and note
    campaign-start NAME;  campaign-pause NAME;  campaign-stop NAME;  campaign-remove NAME
"""

import sys
import urllib.parse

from firmware.errors import LocalError

ACTIONS = ("start", "pause", "stop", "remove")
VERBS = ("campaigns", "campaign", "campaign-load", *("campaign-" + action for action in ACTIONS))


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("campaigns", parents=[common])
    for verb in VERBS[1:]:
        one = verbs.add_parser(verb, parents=[common])
        one.add_argument("name")
        if verb == "campaign-load":
            one.add_argument("queue")
            one.add_argument("file", help="CSV; -: standard input")
            one.add_argument("--mode", choices=("progressive", "preview"), default="progressive")


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    if options.verb == "campaigns":
        return client.get("/v1/campaigns"), lambda a: table(["CAMPAIGN", "QUEUE", "MODE", "STATE", "NUMBERS", "LEFT", "IN WORK", "RESULTS"], [
            [row["campaign"], row["queue"], row["mode"], row["state"], row["rows"], row["left"], row["waiting"],
             ", ".join("%s %d" % pair for pair in sorted(row["results"].items()))] for row in a["campaigns"]])
    path = "/v1/campaigns/" + urllib.parse.quote(options.name, safe="")
    if options.verb == "campaign":
        return client.get(path), lambda a: table(["ROW", "NUMBER", "STATE", "ATTEMPTS", "CALL", "DISPOSITION", "NOTE"], [
            [row["row"], row["number"], row["state"], row["attempts"], row["call"] or "", row["disposition"] or "", row["note"]] for row in a["numbers"]])
    if options.verb == "campaign-load":
        try:
            with (sys.stdin if options.file == "-" else open(options.file, encoding="utf-8", newline="")) as file:
                text = file.read()
        except (OSError, ValueError) as error:
            raise LocalError("%s cannot be read: %s" % (options.file, error)) from error
        return client.post(path, {"queue": options.queue, "mode": options.mode, "csv": text}), lambda a: "%(numbers)d numbers" % a
    action = options.verb.partition("-")[2]
    return client.post("%s/%s" % (path, action), {}), lambda a: "done"
