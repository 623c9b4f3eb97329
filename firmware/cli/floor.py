"""Verbs of the command `strowger` that play into calls and set conferences.

    play ID prompt|number|digits|music|tone WHAT [--leg LEG] [--language L] [--repeat N] [--start-ms MS] [--resume] [--volume-db DB] [--speed S]
    player ID [--leg LEG] [--pause | --go-on] [--seek-ms MS] [--volume-db DB] [--speed S] [--stop]
    party ID LEG [--mute | --unmute] [--gain-db DB]
    room ID [LOUDEST] [--tones on|off]                how many are heard at once, 0: all; whether tones tell who comes and goes
"""

import urllib.parse

from firmware.errors import LocalError

VERBS = ("play", "player", "party", "room")


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    for name in VERBS:
        one = verbs.add_parser(name, parents=[common])
        one.add_argument("id")
        if name == "play":
            one.add_argument("kind", choices=("prompt", "number", "digits", "music", "tone"))
            one.add_argument("what")
            one.add_argument("--language")
            one.add_argument("--repeat", type=int, help="0: for ever")
            one.add_argument("--start-ms", type=int)
            one.add_argument("--resume", action="store_true", help="where it was stopped last")
        if name == "player":
            way = one.add_mutually_exclusive_group()
            way.add_argument("--pause", action="store_true")
            way.add_argument("--go-on", action="store_true")
            one.add_argument("--seek-ms", type=int)
            one.add_argument("--stop", action="store_true")
        if name in ("play", "player"):
            one.add_argument("--leg", help="a leg's id, caller or agent")
            one.add_argument("--volume-db", type=int)
            one.add_argument("--speed", type=float, help="0.5 to 2")
        if name == "party":
            one.add_argument("leg")
            way = one.add_mutually_exclusive_group()
            way.add_argument("--mute", action="store_true", help="listens only")
            way.add_argument("--unmute", action="store_true")
            one.add_argument("--gain-db", type=int)
        if name == "room":
            one.add_argument("loudest", type=int, nargs="?")
            one.add_argument("--tones", choices=("on", "off"), help="when somebody comes or goes; the configuration says it for all conferences")
        one.add_argument("--by", help="agent or line that acts")


def carry_out(client, options):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    fields = ("leg", "language", "repeat", "start_ms", "resume", "volume_db", "speed", "pause", "seek_ms", "stop", "mute", "gain_db", "loudest", "by")
    body = {name: getattr(options, name) for name in fields if getattr(options, name, None) not in (None, False)}
    if getattr(options, "go_on", False):
        body["pause"] = False
    if getattr(options, "unmute", False):
        body["mute"] = False
    if options.verb == "play":
        body[options.kind] = options.what
        if options.kind == "number":
            if not (options.what.isascii() and options.what.isdigit() and len(options.what) < 10):
                raise LocalError("a number is a whole number from 0 to 99999, not %s" % options.what[:40])
            body[options.kind] = int(options.what)
    if getattr(options, "tones", None) is not None:
        body["tones"] = options.tones == "on"
    return client.post("/v1/calls/%s/%s" % (urllib.parse.quote(options.id, safe=""), options.verb), body), lambda a: "done"
