"""Verb of the command `strowger` for the trace of all signalling.

    trace --span N [--from T] [--to T] FILE      a span's frames (without --span: of all) as pcapng; the last ten minutes
    trace --call ID FILE                         the frames of one call

T: UTC as 2026-11-21T14:03:00, or seconds ago as -600.  FILE "-": standard output.
"""

import datetime
import sys
import time
import urllib.parse

from firmware.errors import LocalError

VERBS = ("trace",)


def add(verbs, common):
    """Add the verb.  verbs: argparse's sub-parsers; common: the parent with --json."""
    trace = verbs.add_parser("trace", parents=[common])
    trace.add_argument("--span", type=int)
    trace.add_argument("--call")
    trace.add_argument("--from", dest="since")
    trace.add_argument("--to", dest="until")
    trace.add_argument("file")


def moment_ms(text):
    """UTC milliseconds of a time as it is given.  Raises LocalError."""
    if text is None:
        return None
    if text.startswith("-") and text[1:].isdecimal():
        return int((time.time() - int(text[1:])) * 1000)
    try:
        return int(datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)
    except ValueError:
        raise LocalError("%s is no time; give UTC as 2026-11-21T14:03:00, or seconds ago as --from=-600" % text[:40]) from None


def carry_out(client, options):
    """(answer, function that shows it)."""
    if options.call:
        octets = client.request("GET", "/v1/calls/%s/trace" % urllib.parse.quote(options.call, safe=""))
    else:
        octets = client.request("GET", "/v1/trace", query={"span": options.span, "from": moment_ms(options.since), "to": moment_ms(options.until)})
    if options.file == "-":
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
        return {}, lambda a: ""
    try:
        with open(options.file, "wb") as file:
            file.write(octets)
    except OSError as error:
        raise LocalError("%s cannot be written: %s" % (options.file, error.strerror)) from error
    return {"file": options.file, "octets": len(octets)}, lambda a: "%(file)s: %(octets)d octets of pcapng" % a
