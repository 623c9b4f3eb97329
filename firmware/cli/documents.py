"""Verbs of the command `strowger` for documents that flows send by fax.

    documents                                   what there is, with pages
    document put NAME FILE                      a TIFF of 1 bit a pel, a PBM picture or a PDF; FILE "-": standard input
    document get NAME FILE | document remove NAME
"""

import datetime
import sys
import urllib.parse

from firmware.errors import LocalError

VERBS = ("documents", "document")
TIMEOUT_S = 150.0       # a PDF of many pages is drawn, a TIFF of 32 MiB is read


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("documents", parents=[common])
    document = verbs.add_parser("document", parents=[common])
    document.add_argument("action", choices=("put", "get", "remove"))
    document.add_argument("name")
    document.add_argument("file", nargs="?")


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    if options.verb == "documents":
        return client.get("/v1/documents"), lambda a: table(["DOCUMENT", "PAGES", "OCTETS", "CHANGED"], [
            [row["document"], row["pages"], row["octets"], datetime.datetime.fromtimestamp(row["changed_ms"] / 1000).astimezone().isoformat(timespec="seconds")]
            for row in a["documents"]])
    path = "/v1/documents/%s" % urllib.parse.quote(options.name, safe="")
    if options.action == "remove":
        return client.post(path + "/remove", {}), lambda a: "removed"
    if options.file is None:
        raise LocalError("document %s needs a file" % options.action)
    if options.action == "get":
        octets = client.request("GET", path + "/file", timeout_s=TIMEOUT_S)
        try:
            with (sys.stdout.buffer if options.file == "-" else open(options.file, "wb")) as file:
                file.write(octets)
        except OSError as error:
            raise LocalError("%s cannot be written: %s" % (options.file, error.strerror)) from error
        return {"file": options.file, "octets": len(octets)}, lambda a: "" if options.file == "-" else "%(octets)d octets in %(file)s" % a
    try:
        with (sys.stdin.buffer if options.file == "-" else open(options.file, "rb")) as file:
            octets = file.read()
    except OSError as error:
        raise LocalError("%s cannot be read: %s" % (options.file, error.strerror)) from error
    return client.request("PUT", path, octets, timeout_s=TIMEOUT_S), lambda a: "%(document)s: %(pages)d pages, %(octets)d octets" % a
