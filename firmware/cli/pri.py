"""Verbs of the command `strowger` for PRI.

    pri                                                     D channels, channels out of service, NFAS groups
    pri-channels SPAN lock|drain|unlock|restart [TIMESLOT ...]      without timeslots: all of the span
    pri-switch SPAN                                         NFAS: the D channel that stands by takes over
"""

import urllib.parse

VERBS = ("pri", "pri-channels", "pri-switch")


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("pri", parents=[common])
    channels = verbs.add_parser("pri-channels", parents=[common])
    channels.add_argument("span")
    channels.add_argument("do", choices=("lock", "drain", "unlock", "restart"))
    channels.add_argument("timeslots", nargs="*", type=int)
    verbs.add_parser("pri-switch", parents=[common]).add_argument("span")


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    if options.verb == "pri":
        return client.get("/v1/pri"), lambda a: show(a["pri"], table)
    path = "/v1/pri/" + urllib.parse.quote(options.span, safe="")
    if options.verb == "pri-switch":
        return client.post(path + "/d_channel", {"do": "switch"}), lambda a: show([a], table)
    body = {"do": options.do, **({"timeslots": options.timeslots} if options.timeslots else {})}
    return client.post(path + "/channels", body), lambda a: show([a], table)


def show(spans, table):
    """Spans and what of them is not in service."""
    if not spans:
        return "no PRI span is in service"
    return table(["SPAN", "VARIANT", "SIDE", "STATE", "D CHANNEL", "NFAS", "OUT OF SERVICE HERE", "THERE", "ALARMS"], [
        [row["span"], row["variant"], row["side"], row["state"], (row["nfas"] or {}).get("d_state") if row["nfas"] else "own",
         row["nfas"] and "%s:%d" % (row["nfas"]["group"], row["nfas"]["interface"]),
         ",".join(str(slot["timeslot"]) for slot in row["timeslots"] if slot["near"]),
         ",".join(str(slot["timeslot"]) for slot in row["timeslots"] if slot["far"]), ",".join(row["alarms"])] for row in spans])
