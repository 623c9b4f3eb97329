"""Whether this machine can carry a configuration out: what the schema cannot know.

Asked before a configuration is applied, because afterwards it would be too late: a switch that cannot open its
sockets does not start, and has no page on which that could be mended.  Only what a change brings in
anew is looked at, so that a disk or network that is poorer today keeps nobody from changing something else.

    addresses and ports    a socket is opened there and closed again; ports that this switch holds are taken as free
    prompts and music      the file must be there
"""

import os

from firmware import sockets
from firmware.config.schema import ANY_ADDRESS, LISTENERS
from firmware.errors import ConfigError, LocalError

SOCKETS = {"sip": "sip-udp", "web": "web-https", "cti": "cti-tcp"}      # as the supervisor hands them on
RTP_PORTS = "20000-29999"       # as media/ports.py has it; a test compares
PROMPT_KEYS = ("prompts", "invalid", "no_input")


def listening(config):
    """{(kind, port)} that this switch holds, when it starts with a configuration: its own are no obstacle."""
    held = set()
    for part, kind in LISTENERS.items():
        sock = sockets.inherited(SOCKETS[part])
        held.add((kind, config[part]["port"] if sock is None else sock.getsockname()[1]))
        if sock is not None:
            sock.close()
    return held


def obstacles(running, wanted, held, prompts):
    """What hinders a checked configuration here: a list of ConfigError.  May wait for the disk.

    held: see listening().  prompts: links/prompts.Prompts."""
    return _sockets(running, wanted, held) + _prompts(running, wanted, prompts)


def _sockets(running, wanted, held):
    errors = []
    for part, kind in LISTENERS.items():
        address, port = wanted[part]["address"], wanted[part]["port"]
        changed = [name for name in ("address", "port") if wanted[part][name] != running[part][name]]
        if not changed:
            continue
        first, last = _rtp_ports()
        if kind == "udp" and "port" in changed and first <= port <= last:
            errors.append(ConfigError(f"{part}.port", f"UDP ports {first} to {last} are kept for the sound of calls "
                                      "($STROWGER_RTP_PORTS); give one outside of them"))
            continue
        try:
            # Port 0: any that is free, to try the address alone.
            sockets.open_listener(part, kind, address, 0 if (kind, port) in held else port).close()
        except LocalError as error:
            reason = error.__cause__
            path = f"{part}.address" if "address" in changed and reason.errno not in sockets.OF_THE_PORT else f"{part}.port"
            advice = ("give a port that is free, above 1023" if path.endswith("port") else
                      f"give an address of this machine, or {' or '.join(ANY_ADDRESS)} for all of them")
            errors.append(ConfigError(path, f"{kind.upper()} port {port} on {address} cannot be opened on this machine "
                                      f"({reason.strerror}); {advice}"))
    return errors


def _rtp_ports():
    """The range of media's RTP ports, (0, -1) where it is none: media says so itself."""
    first, _, last = (os.environ.get("STROWGER_RTP_PORTS") or RTP_PORTS).partition("-")
    return (int(first), int(last)) if first.isdecimal() and last.isdecimal() else (0, -1)


def _named(config):
    """{symbolic item as a pair: first path} of all prompts and music that a configuration names."""
    found = {}
    for name, flow in config["ivr"].items():
        for node_name, node in flow["nodes"].items():
            for key in PROMPT_KEYS:
                for index, prompt in enumerate(node.get(key) or ()):
                    found.setdefault(("prompt", prompt), f"ivr.{name}.nodes.{node_name}.{key}[{index}]")
    for index, queue in enumerate(config["queues"]):
        found.setdefault(("music", queue["music"]), f"queues[{index}].music")
    return found


def _prompts(running, wanted, prompts):
    known, errors = _named(running), []
    for (kind, name), path in _named(wanted).items():
        if (kind, name) not in known and not prompts.has({kind: name}):
            where = "music" if kind == "music" else "<language>"
            errors.append(ConfigError(path, f"there is no {kind} {name!r}: put the file {where}/{name}.wav below "
                                      f"{prompts.folder}, or choose another name"))
    return errors


def notice(paths):
    """The sentence for changes that wait for a restart, or None."""
    return f"Saved; a restart of the switch is needed before this takes effect: {', '.join(paths)}." if paths else None
