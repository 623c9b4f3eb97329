"""Verbs of the command `strowger` for flows: versions, checks, and a caller in text.

    flows                                        those in force, and calls inside by version
    flow show NAME [--version K] | versions NAME | diff NAME [--from K] [--to K]
    flow check NAME FILE | put NAME FILE | rollback NAME VERSION        FILE: the text form, or JSON
    simulate FILE [SCRIPT...] [--with NAME=FILE] [--least PERCENT]      without a running switch: runs scripts (ivr/simulator.py) through a flow,
                                                 shows what is heard and which ways nobody took; exit code 1 where an expectation fails
    ivr CALL OPERATION                           JSON: what a program wants of a call that it has
    surveys [--survey S] [--by agent|queue]
"""

import json
import pathlib
import sys
import urllib.parse

from firmware.errors import LocalError
from firmware.ivr import simulator, text
from firmware.ivr.flow import check
from firmware.jsontext import once

VERBS = ("flows", "flow", "ivr", "surveys")


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("flows", parents=[common])
    flow = verbs.add_parser("flow", parents=[common])
    flow.add_argument("action", choices=("show", "versions", "diff", "check", "put", "rollback"))
    flow.add_argument("name")
    flow.add_argument("argument", nargs="?")
    flow.add_argument("--version")
    flow.add_argument("--from", dest="since")
    flow.add_argument("--to")
    simulate = verbs.add_parser("simulate", parents=[common])
    simulate.add_argument("file")
    simulate.add_argument("scripts", nargs="*")
    simulate.add_argument("--with", dest="others", action="append", default=[], metavar="NAME=FILE")
    simulate.add_argument("--least", type=float, default=0, help="fails where fewer percent of the ways were taken")
    ivr = verbs.add_parser("ivr", parents=[common])
    ivr.add_argument("id")
    ivr.add_argument("operation")
    surveys = verbs.add_parser("surveys", parents=[common])
    surveys.add_argument("--survey")
    surveys.add_argument("--by", choices=("agent", "queue"))


def load(path):
    """A flow of a file: text or JSON.  Raises LocalError."""
    try:
        octets = sys.stdin.read() if path == "-" else pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LocalError("%s cannot be read: %s" % (path, error)) from error
    if not octets.lstrip().startswith("{"):
        try:
            return text.read(octets)
        except LocalError as error:
            raise LocalError("%s: %s" % (path, error)) from None
    try:
        return json.loads(octets, object_pairs_hook=once)
    except ValueError as error:
        raise LocalError("%s is no JSON: %s" % (path, error)) from error


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    if options.verb == "flows":
        return client.get("/v1/flows"), lambda a: table(["FLOW", "VERSION", "NODES", "CALLS INSIDE"], [
            [row["name"], row["version"], row["nodes"], ", ".join("%s: %d" % pair for pair in sorted(row["calls"].items()))] for row in a["flows"]])
    if options.verb == "surveys":
        return client.get("/v1/surveys", survey=options.survey, by=options.by), lambda a: table(
            ["SURVEY", "QUESTION", (options.by or "").upper(), "COUNT", "MEAN", "ANSWERS"],
            [[row["survey"], row["question"], row.get(options.by), row["count"], row["mean"], " ".join("%s:%d" % pair for pair in row["answers"].items())]
             for row in a["rows"]])
    if options.verb == "ivr":
        try:
            operation = json.loads(options.operation)
        except ValueError as error:
            raise LocalError("the operation is no JSON: %s" % error) from error
        return client.post("/v1/calls/%s/ivr" % urllib.parse.quote(options.id, safe=""), operation), lambda a: "done"
    path = "/v1/flows/%s" % urllib.parse.quote(options.name, safe="")
    if options.action == "show":
        return client.get(path, version=options.version), lambda a: a["text"].rstrip("\n")
    if options.action == "versions":
        return client.get(path + "/versions"), lambda a: table(["VERSION", "NODES"], [[row["version"], row["nodes"]] for row in a["versions"]])
    if options.action == "diff":
        return client.get(path + "/diff", **{"from": options.since, "to": options.to}), lambda a: a["diff"] or "no difference"
    if options.argument is None:
        raise LocalError("flow %s needs %s" % (options.action, "a version" if options.action == "rollback" else "a file"))
    if options.action == "rollback":
        return client.post(path + "/rollback", {"version": options.argument}), _in_force
    if options.action == "check":
        answer = client.post(path + "/check", {"flow": load(options.argument)})
        if not answer["ok"]:
            raise LocalError("\n".join("%s: %s" % (error["path"], error["advice"]) for error in answer["errors"]))
        return answer, lambda a: "right"
    return client.put(path, {"flow": load(options.argument)}), _in_force


def _in_force(answer):
    return "version %s is in force" % answer["version"] if answer["changed"] else "no change; version %s stays in force" % answer["version"]


def simulate(options):
    """The verb simulate; needs no switch.  Returns (answer, shown text, exit code)."""
    flows = {"main": load(options.file)}
    for pair in options.others:
        name, sign, path = pair.partition("=")
        if not sign:
            raise LocalError("--with needs NAME=FILE, not %s" % pair)
        flows[name] = load(path)
    wrong = [str(error) for name in sorted(flows) for error in check(flows[name], name, flows={other: True for other in flows})]
    if wrong:
        raise LocalError("\n".join(wrong))
    results = []
    for path in options.scripts:
        try:
            script = pathlib.Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise LocalError("%s cannot be read: %s" % (path, error)) from error
        results.append(simulator.run(flows, "main", script, path))
    taken, every, missing = simulator.coverage(flows, results)
    percent = 100.0 * taken / every if every else 100.0
    lines = []
    for result in results:
        lines += ["%s: %s" % (result.name, "FAILED" if result.failures else "ok")] + ["  " + line for line in result.transcript + result.failures] + [""]
    lines.append("%d of %d ways taken (%.0f %%)" % (taken, every, percent))
    lines += ["  not taken: %s.%s.%s" % way for way in missing]
    bad = any(result.failures for result in results) or percent < options.least
    answer = {"scripts": [{"name": result.name, "failures": result.failures, "transcript": result.transcript} for result in results],
              "taken": taken, "ways": every, "missing": [".".join(way) for way in missing]}
    return answer, "\n".join(lines), 1 if bad else 0
