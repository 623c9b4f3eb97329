"""Verbs of the command `strowger` for desk phones that the box sets up.

    phones;  phone-enrol MAC;  phone-revoke MAC
"""

VERBS = ("phones", "phone-enrol", "phone-revoke")


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("phones", parents=[common])
    for name in VERBS[1:]:
        verbs.add_parser(name, parents=[common]).add_argument("mac")


def carry_out(client, arguments, table):
    """(answer, function that shows it)."""
    def show(answer):
        return table(["mac", "model", "line", "state", "from"], [[row["mac"], row["model"], row["line"], row["state"], row["host"]]
                                                                for row in answer["phones"]])
    if arguments.verb == "phones":
        return client.get("/v1/phones"), show
    mac = arguments.mac.lower().replace(":", "").replace("-", "")
    if arguments.verb == "phone-revoke":
        return client.post("/v1/phones/%s/revoke" % mac), show
    return client.post("/v1/phones/%s/enrol" % mac), lambda answer: "%s  (its file: %s; works once, within a day)" % (answer["url"], answer["file"])
