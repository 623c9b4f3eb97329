"""Verbs of the command `strowger` for prompts that people give.

    prompts                                     those that were given, with their versions
    prompt put LANGUAGE NAME FILE               WAV of any usual kind, or .vox; LANGUAGE music: music
    prompt get LANGUAGE NAME FILE [--version N]
    prompt rollback LANGUAGE NAME N|box         another version is played; box: the one that came with it
    prompt remove LANGUAGE NAME
"""

import os

from firmware.cli.trace import save
from firmware.errors import LocalError

VERBS = ("prompts", "prompt")
TIMEOUT_S = 150.0       # a long file is converted


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    verbs.add_parser("prompts", parents=[common])
    prompt = verbs.add_parser("prompt", parents=[common])
    prompt.add_argument("action", choices=("put", "get", "rollback", "remove"))
    prompt.add_argument("language")
    prompt.add_argument("name")
    prompt.add_argument("what", nargs="?", help="the file, or the version")
    prompt.add_argument("--version", type=int)


def carry_out(client, options, table):
    """(answer, function that shows it)."""
    if options.verb == "prompts":
        return client.get("/v1/prompts"), lambda a: table(
            ["LANGUAGE", "PROMPT", "PLAYED", "VERSIONS", "SECONDS", "FORM", "FILE"],
            [[row["language"], row["prompt"], row["current"] or "of the box", " ".join(str(one["version"]) for one in row["versions"]),
              "%.1f" % (row["versions"][-1]["duration_ms"] / 1000), row["versions"][-1]["form"], row["versions"][-1]["file"]] for row in a["prompts"]])
    path = "/v1/prompts/%s/%s" % (options.language, options.name)
    if options.action == "remove":
        return client.post(path + "/remove"), lambda a: "removed"
    if options.what is None:
        raise LocalError("say which file, or which version")
    if options.action == "rollback":
        if options.what != "box" and not options.what.isdecimal():
            raise LocalError("a version is a number, or box")
        return client.post(path + "/rollback", {"version": None if options.what == "box" else int(options.what)}), lambda a: "version %s is played" % options.what
    if options.action == "get":
        octets = save(client, path + "/audio", {"version": options.version}, options.what)
        return {"file": options.what, "octets": octets}, lambda a: "" if options.what == "-" else "%(file)s: %(octets)d octets" % a
    try:
        with open(options.what, "rb") as file:
            octets = file.read()
    except OSError as error:
        raise LocalError("%s cannot be read: %s" % (options.what, error.strerror)) from error
    answer = client.request("PUT", path, octets, {"file": os.path.basename(options.what)}, timeout_s=TIMEOUT_S)
    return answer, lambda a: "version %(version)d: %(form)s, %(duration_ms)d ms, loudest %(peak_db)s dB" % a
