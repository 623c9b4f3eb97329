"""Verbs of the command `strowger` about who may sign in.

    users                    who, and who still has a password for one log-in
    user-password NAME       asks for it without an echo, or reads one line of standard input; never an argument, which everybody on the machine could read
    user-remove NAME
"""

import getpass
import sys
import urllib.parse

from firmware.errors import LocalError

VERBS = ("users", "user-password", "user-remove")


def asked(what):
    """A secret from the terminal, without an echo, or the first line of standard input.  Raises LocalError."""
    if sys.stdin.isatty():
        found = getpass.getpass(what + ": ")
        if found != getpass.getpass(what + " once more: "):
            raise LocalError("the two are not the same; nothing was changed")
    else:
        found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise LocalError("no %s was given" % what.lower())
    return found


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("users", parents=[common])
    for name in VERBS[1:]:
        verbs.add_parser(name, parents=[common]).add_argument("name")


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    if options.verb == "users":
        return client.get("/v1/users"), lambda a: table(["USER", "PASSWORD"], [[row["name"], "for one log-in" if row["must_change"] else "own"] for row in a["users"]])
    path = "/v1/users/%s" % urllib.parse.quote(options.name, safe="")
    if options.verb == "user-remove":
        return client.post(path + "/remove", {}), lambda a: "removed"
    return client.put(path + "/password", {"password": asked("Password")}), lambda a: "the user signs in with it once and chooses another"
