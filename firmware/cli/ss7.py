"""Verbs of the command `strowger` for SS7.

    ss7                                                   links, destinations and circuit groups
    ss7-link POINT LINK activate|deactivate|inhibit|uninhibit
    ss7-circuits POINT GROUP block|unblock|reset [CIC ...]      without CICs: all of the group
    ss7-circuits POINT GROUP check CIC                    continuity check of an idle circuit
    ss7-circuits POINT GROUP suspend|resume|meter|operator CIC ...     SUS, RES, MPM, OPR of the answered calls there
"""

import urllib.parse

VERBS = ("ss7", "ss7-link", "ss7-circuits")


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("ss7", parents=[common])
    link = verbs.add_parser("ss7-link", parents=[common])
    link.add_argument("point")
    link.add_argument("link")
    link.add_argument("do", choices=("activate", "deactivate", "inhibit", "uninhibit"))
    circuits = verbs.add_parser("ss7-circuits", parents=[common])
    circuits.add_argument("point")
    circuits.add_argument("group")
    circuits.add_argument("do", choices=("block", "unblock", "reset", "check", "suspend", "resume", "meter", "operator"))
    circuits.add_argument("cics", nargs="*", type=int)


def _path(*parts):
    return "/v1/ss7/" + "/".join([urllib.parse.quote(part, safe="") for part in parts])


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    if options.verb == "ss7":
        return client.get("/v1/ss7"), lambda a: show(a["ss7"], table)
    if options.verb == "ss7-link":
        answer = client.post(_path(options.point, "links", options.link), {"do": options.do})
    else:
        body = {"do": options.do, **({"cics": options.cics} if options.cics else {})}
        answer = client.post(_path(options.point, "circuits", options.group), body)
    return answer, lambda a: show([a], table)


def show(points, table):
    """Points, their links, destinations and circuits."""
    lines = [] if points else ["no signalling point is configured"]
    for point in points:
        lines += ["%s  %s  %s%s" % (point["name"], point["point_code"], point["variant"],
                                    "  (restarting)" if point["restarting"] else ""), table(
            ["LINK", "SPAN", "SLOT", "SLC", "LINKSET", "STATE", "TRAFFIC", "INHIBITED"],
            [[row["link"], row["span"], row["timeslot"], row["slc"], row["linkset"], row["state"], "yes" if row["usable"] else "no",
              ",".join(word for word, on in zip(("near", "far"), row["inhibited"]) if on) or "no"] for row in point["links"]]), table(
            ["GROUP", "DESTINATION", "REACHED", "CIRCUITS", "AVAILABLE", "BUSY"],
            [[row["name"], row["destination"], "yes" if row["reached"] else "NO", row["circuits"], row["available"], row["busy"]]
             for row in point["circuit_groups"]])]
    return "\n".join(lines)
