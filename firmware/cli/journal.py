"""Verbs of the command `strowger` about what is kept.

    set-aside [--clear]     what could not be carried out or written for a fault of the firmware
"""

import datetime

VERBS = ("set-aside",)


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    aside = verbs.add_parser("set-aside", parents=[common])
    aside.add_argument("--clear", action="store_true", help="a person has seen to them; the file stays as .seen")


def _set_aside(answer):
    rows = ["%s  %s  %s: %s" % (datetime.datetime.fromtimestamp(row["ts_ms"] / 1000).astimezone().isoformat(timespec="seconds"), row["matter"],
                                str(row["what"])[:120], row["error"]) for row in answer["rows"]]
    return "\n".join([*rows, "%d set aside" % answer["count"]])


def carry_out(client, options):
    """(answer, function that shows it)."""
    if options.clear:
        return client.post("/v1/set_aside/clear"), lambda a: "cleared"
    return client.get("/v1/set_aside"), _set_aside
