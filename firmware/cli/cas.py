"""Verbs of the command `strowger` for channel-associated signalling (R2, E&M, loop and ground start).

    cas                                                     circuits out of service, at which end
    cas-circuits SPAN lock|drain|unlock|restart [TIMESLOT ...]      without timeslots: all of the span
"""

import urllib.parse

VERBS = ("cas", "cas-circuits")


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("cas", parents=[common])
    circuits = verbs.add_parser("cas-circuits", parents=[common])
    circuits.add_argument("span")
    circuits.add_argument("do", choices=("lock", "drain", "unlock", "restart"))
    circuits.add_argument("timeslots", nargs="*", type=int)


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    if options.verb == "cas":
        return client.get("/v1/cas"), lambda a: show(a["cas"], table)
    body = {"do": options.do, **({"timeslots": options.timeslots} if options.timeslots else {})}
    return client.post("/v1/cas/%s/circuits" % urllib.parse.quote(options.span, safe=""), body), lambda a: show([a], table)


def show(spans, table):
    """Spans and what of them is not in service."""
    if not spans:
        return "no span with channel-associated signalling is in service"
    return table(["SPAN", "SIGNALLING", "STATE", "BUSY", "OUT OF SERVICE HERE", "THERE", "ALARMS"], [
        [row["span"], "%s %s" % (row["signalling"], row["variant"]), row["state"],
         len([slot for slot in row["timeslots"] if slot["state"] == "busy"]),
         ",".join(str(slot["timeslot"]) for slot in row["timeslots"] if slot["near"]),
         ",".join(str(slot["timeslot"]) for slot in row["timeslots"] if slot["far"]), ",".join(row["alarms"])] for row in spans])
