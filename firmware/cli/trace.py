"""Verb of the command `strowger` for the trace of all signalling.

    trace --span N [--from T] [--to T] FILE      a span's frames as pcapng; the last ten minutes
    trace --trunk NAME ... FILE                  the messages of a SIP trunk; neither: everything
    trace --call ID FILE                         the frames and messages of one call, from its beginning to its end

T: UTC as 2026-11-21T14:03:00, or seconds ago as -600.  FILE "-": standard output.
"""

import contextlib
import datetime
import os
import struct
import sys
import time
import urllib.parse

from firmware.errors import LocalError

VERBS = ("trace",)


def add(verbs, common):
    """Add the verb.  verbs: argparse's sub-parsers; common: the parent with --json."""
    trace = verbs.add_parser("trace", parents=[common])
    trace.add_argument("--span", type=int)
    trace.add_argument("--trunk", help="a SIP trunk")
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
    path, query = "/v1/trace", {"span": options.span, "trunk": options.trunk, "from": moment_ms(options.since), "to": moment_ms(options.until)}
    if options.call:
        if any(value is not None for value in query.values()):
            raise LocalError("--call asks for all that belongs to one call; leave --span, --trunk, --from and --to out")
        path, query = "/v1/calls/%s/trace" % urllib.parse.quote(options.call, safe=""), {}
    octets = save(client, path, query, options.file)
    return {"file": options.file, "octets": octets, "empty": options.file != "-" and _is_empty(options.file)}, show


def _is_empty(file):
    """Whether there is nothing behind the head of a pcapng file."""
    with open(file, "rb") as read:
        head = read.read(8)
        return len(head) < 8 or struct.unpack("<4xI", head)[0] == os.stat(file).st_size


def show(answer):
    """One line, nothing where the file itself is on standard output."""
    if answer["file"] == "-":
        return ""
    return "%s: %d octets of pcapng%s" % (answer["file"], answer["octets"], ", but no message in it: nothing was signalled then, or the ring keeps "
                                          "it no longer (trace.signalling_mb, trace.sip_mb)" if answer["empty"] else "")


def save(client, path, query, file):
    """Write a streamed answer to a file, "-": standard output.  Returns its octets.  The file is there when it is whole."""
    octets, beside = 0, file + ".part"
    with client.stream(path, **query) as (_, pieces):
        try:
            with contextlib.ExitStack() as stack:
                out = sys.stdout.buffer if file == "-" else stack.enter_context(open(beside, "wb"))
                for piece in pieces:
                    octets += len(piece)
                    out.write(piece)
                out.flush()
            if file != "-":
                os.replace(beside, file)
        except OSError as error:
            raise LocalError("%s cannot be written: %s" % (file, error.strerror)) from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(beside)
    return octets
