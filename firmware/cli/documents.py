"""Verbs of the command `strowger` for documents that are sent by fax, by flows and to numbers.

    documents                                   what there is, with pages
    document put NAME FILE                      a TIFF of 1 bit a pel, a PBM picture or a PDF; FILE "-": standard input
    document get NAME FILE | document remove NAME
    faxes                                       what is to be sent to numbers, and what became of it
    fax NAME NUMBER [--station S --header H --at-ms MS --note TEXT];  fax-cancel ID
"""

import datetime
import sys
import urllib.parse

from firmware.errors import LocalError

VERBS = ("documents", "document", "faxes", "fax", "fax-cancel")
TIMEOUT_S = 150.0       # a PDF of many pages is drawn, a TIFF of 32 MiB is read


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("documents", parents=[common])
    document = verbs.add_parser("document", parents=[common])
    document.add_argument("action", choices=("put", "get", "remove"))
    document.add_argument("name")
    document.add_argument("file", nargs="?")
    verbs.add_parser("faxes", parents=[common])
    fax = verbs.add_parser("fax", parents=[common])
    fax.add_argument("name", help="of a document")
    fax.add_argument("number")
    fax.add_argument("--station", help="who we say we are: digits")
    fax.add_argument("--header", help="the line at the top of each page")
    fax.add_argument("--at-ms", type=int, help="not before this moment, ms since 1970 UTC")
    fax.add_argument("--note")
    verbs.add_parser("fax-cancel", parents=[common]).add_argument("id")


def _moment(at_ms):
    return datetime.datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(timespec="seconds")


def carry_out(client, options, table):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    if options.verb == "documents":
        return client.get("/v1/documents"), lambda a: table(["DOCUMENT", "PAGES", "OCTETS", "CHANGED"], [
            [row["document"], row["pages"], row["octets"], _moment(row["changed_ms"])]
            for row in a["documents"]])
    if options.verb == "faxes":
        return client.get("/v1/faxes"), lambda a: table(["FAX", "DOCUMENT", "NUMBER", "STATE", "PAGES", "ATTEMPTS", "DUE", "WHY"], [
            [row["fax"], row["document"], row["number"], row["state"], row["pages"], row["attempts"], _moment(row["due_ms"]) if row["state"] == "waiting" else "",
             row["why"] or ""] for row in a["faxes"]])
    if options.verb == "fax":
        more = {name: getattr(options, name) for name in ("station", "header", "at_ms", "note") if getattr(options, name) is not None}
        return client.post("/v1/faxes", {"document": options.name, "number": options.number, **more}), lambda a: "fax " + a["fax"]
    if options.verb == "fax-cancel":
        return client.post("/v1/faxes/%s/cancel" % urllib.parse.quote(options.id, safe=""), {}), lambda a: "cancelled"
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
