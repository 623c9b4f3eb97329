"""Whether this machine can carry a configuration out: what the schema cannot know.

Asked before a configuration is applied, because afterwards it would be too late: a switch that cannot open its
sockets does not start, and has no page on which that could be mended.  Only what a change brings in
anew is looked at, so that a disk or network that is poorer today keeps nobody from changing something else.

    addresses and ports    sockets are opened there, all at once, and closed again; what this switch holds is taken as free;
                           no broadcast or multicast address, no IPv6 for SIP, whose sound has none
    prompts and music      the file must be there, and hold something
    languages of flows     those of the prompts
    emergency routes       whole numbers, with a choice that is never shut
    areas of choices       are in the table, the site's own too where a 0 goes before mobile numbers
    spans of SS7            belong to one signalling point of ours
    reserved trunks        are not all that a group has, where other than emergency calls go out by it
    home telephones        a number that a route leads to and the line may call, nobody else's, none of ours
    files of SIP over TLS  certificate, key and authorities can be read
"""

import errno
import ipaddress
import os
import socket
import stat
import sys

from firmware import sockets
from firmware.call import outside
from firmware.call.trunk_group import groups_of
from firmware.config import field, home, sip
from firmware.config.schema import ANY_ADDRESS, LANGUAGES, LISTENERS
from firmware.control import feasible_ss7
from firmware.errors import ConfigError, LocalError

SOCKETS = {"sip": "sip-udp", "web": "web-https", "cti": "cti-tcp"}      # as the supervisor hands them on
RTP_PORTS = "20000-29999"       # as media/ports.py has it; a test compares
PROMPT_KEYS = ("prompts", "invalid", "no_input")


def listening(config):
    """{(kind, address, port)} that this switch holds, when it starts with a configuration: its own are no obstacle."""
    held = set()
    for name, (kind, part, address, port) in _listeners(config).items():
        sock = sockets.inherited(SOCKETS.get(name, name))
        if sock is not None:
            address, port = sock.getsockname()[:2]
            sock.close()
        held.add((kind, address, port))
    return held


def _listeners(config):
    """{name: (kind, path of the setting of the port, address, port)} of all that a configuration wants to listen on."""
    found = {part: (kind, f"{part}.port", config[part]["address"], config[part]["port"]) for part, kind in LISTENERS.items()}
    for transport, port in sip.stream_ports(config).items():
        name = {"TCP": "port", "TLS": "tls_port", "WSS": "wss_port"}[transport]
        found[sip.STREAMS[transport]] = ("tcp", f"sip.{name}", config["sip"]["address"], port)
    return found


def obstacles(running, wanted, held, prompts):
    """What hinders a checked configuration here: a list of ConfigError.  May wait for the disk.

    held: see listening().  prompts: links/prompts.Prompts."""
    return _sockets(running, wanted, held) + _prompts(running, wanted, prompts) + _languages(running, wanted) + _emergency(running, wanted) + (
        _areas(running, wanted) + _files(running, wanted)) + _homes(running, wanted) + _reserved(running, wanted) + feasible_ss7.obstacles(running, wanted)


def _sockets(running, wanted, held):
    """The whole new set is opened at once: what is new beside each other, and beside what this switch holds."""
    errors, opened, before = [], [], _listeners(running)
    try:
        for name, (kind, path, address, port) in _listeners(wanted).items():
            if before.get(name) == (kind, path, address, port):
                continue
            old = before.get(name, (kind, path, None, None))
            advice = _unfit(name, address) if address != old[2] else None
            if advice:
                errors.append(ConfigError("%s.address" % path.split(".")[0], advice))
                continue
            first, last = _rtp_ports()
            if kind == "udp" and port != old[3] and first <= port <= last:
                errors.append(ConfigError(path, f"UDP ports {first} to {last} are kept for the sound of calls "
                                          "($STROWGER_RTP_PORTS); give one outside of them"))
                continue
            ours = [there for there in held if there[0] == kind and there[2] == port and _overlap(there[1], address)]
            error = _refusal(name, kind, address, port, ours, opened)
            if error is not None:
                errors.append(_sentence(kind, path, address, port, address != old[2], error))
    finally:
        for sock in opened:
            sock.close()
    # SIP over TCP has the port and address of SIP over UDP: one sentence is enough
    return list({error.path: error for error in reversed(errors)}.values())[::-1]


def _refusal(name, kind, address, port, ours, opened):
    """OSError that opening a socket would bring, or None.  ours: what we hold there; it is closed before the new one is opened."""
    try:
        # Port 0: any that is free, to try the address alone.
        opened.append(sockets.open_listener(name, kind, address, 0 if ours else port))
    except LocalError as error:
        return error.__cause__
    if ours and address in ANY_ADDRESS and not any(there[1] in ANY_ADDRESS for there in ours):
        own = {there[1] for there in ours}
        if any(other not in own for other in _held_by_anybody(kind, port)):
            return OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    return None


def _sentence(kind, path, address, port, moved, reason):
    if moved and reason.errno not in sockets.OF_THE_PORT:
        path = "%s.address" % path.split(".")[0]
    advice = ("give an address of this machine, or %s for all of them" % " or ".join(ANY_ADDRESS) if path.endswith(".address")
              else "give a port that is free, above 1023")
    return ConfigError(path, f"{kind.upper()} port {port} on {address} cannot be opened on this machine ({reason.strerror}); {advice}")


def _overlap(one, other):
    return one == other or one in ANY_ADDRESS or other in ANY_ADDRESS


def _unfit(name, address):
    """Why nobody can be reached at an address though a socket may be opened there, or None."""
    where = ipaddress.ip_address(address)
    if where.version == 6 and name in ("sip", *sip.STREAMS.values()):
        return f"{address} is an IPv6 address, and the sound of calls goes over IPv4 only; give an IPv4 address"
    if where.is_multicast:
        return f"{address} is a multicast address, at which nobody is reached; give an address of this machine"
    if where.version == 4 and sockets.is_broadcast(address):
        return f"{address} is a broadcast address, at which nobody is reached; give an address of this machine"
    return None


def _held_by_anybody(kind, port):
    """Addresses at which a port is listened on: /proc/net/tcp and its like, whose addresses are words in the machine's order."""
    found = []
    for table, family in ((kind, socket.AF_INET), (kind + "6", socket.AF_INET6)):
        try:
            with open("/proc/net/" + table, encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        for row in rows:
            address, _, number = row[1].partition(":")
            if int(number, 16) == port and (kind == "udp" or row[3] == "0A"):       # LISTEN
                words = b"".join(int(address[i:i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(address), 8))
                found.append(field.plain(socket.inet_ntop(family, words)))
    return found


def _rtp_ports():
    """The range of media's RTP ports, (0, -1) where it is none: media says so itself."""
    first, _, last = (os.environ.get("STROWGER_RTP_PORTS") or RTP_PORTS).partition("-")
    return (int(first), int(last)) if first.isdecimal() and last.isdecimal() else (0, -1)


def named(config):
    """{symbolic item as a pair: first path} of all prompts and music that a configuration names."""
    found = {}
    for name, flow in config["ivr"].items():
        for node_name, node in flow["nodes"].items():
            for key in PROMPT_KEYS:
                for index, prompt in enumerate(node.get(key) or ()):
                    if isinstance(prompt, str):         # spoken values are fragments, which came with the box
                        found.setdefault(("prompt", prompt), f"ivr.{name}.nodes.{node_name}.{key}[{index}]")
    for index, row in enumerate(config.get("mailboxes") or ()):
        found.setdefault(("prompt", row["greeting"]), f"mailboxes[{index}].greeting")
    for index, row in enumerate(config.get("caller_lists") or ()):
        if row["prompt"]:
            found.setdefault(("prompt", row["prompt"]), f"caller_lists[{index}].prompt")
    for index, row in enumerate(config.get("announcements") or ()):
        found.setdefault(("prompt", row["prompt"]), f"announcements[{index}].prompt")
    for index, line in enumerate(config["lines"]):
        if line["home"]["number"] and line["home"]["announce"] not in home.NO_PROMPTS:
            found.setdefault(("prompt", line["home"]["announce"]), f"lines[{index}].home.announce")
    for index, queue in enumerate(config["queues"]):
        for place, message in enumerate(queue.get("comfort") or ()):
            found.setdefault(("prompt", message["prompt"]), f"queues[{index}].comfort[{place}].prompt")
        found.setdefault(("music", queue["music"]), f"queues[{index}].music")
    return found


def _prompts(running, wanted, prompts):
    known, errors = named(running), []
    for (kind, name), path in named(wanted).items():
        if (kind, name) not in known and not prompts.has({kind: name}):
            where = "music" if kind == "music" else "<language>"
            errors.append(ConfigError(path, f"there is no {kind} {name!r}: put the file {where}/{name}.wav below "
                                      f"{prompts.folder}, or choose another name"))
    return errors


def _languages(running, wanted):
    """Languages of flows that this switch does not speak."""
    errors = []
    for name, flow in wanted["ivr"].items():
        if flow["languages"] != running["ivr"].get(name, {}).get("languages"):
            for index, language in enumerate(flow["languages"]):
                if language not in LANGUAGES:
                    errors.append(ConfigError(f"ivr.{name}.languages[{index}]", f"there are no prompts in {language!r}; choose "
                                              f"among {', '.join(LANGUAGES)}"))
    return errors


def _files(running, wanted):
    """Files of SIP over TLS that are named and cannot be read."""
    errors = []
    for name in ("certificate", "key", "authorities"):
        path = wanted["sip"][name]
        if not path or path == running["sip"][name]:
            continue
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):         # a pipe would hold us up
                raise OSError(errno.EINVAL, "it is no file")
            with open(path, "rb") as file:
                file.read(1)
        except OSError as error:
            errors.append(ConfigError(f"sip.{name}", f"{path} cannot be read by the switch ({error.strerror}); put the file there, "
                                      "give the right to read it, or name another one"))
    return errors


def _emergency(running, wanted):
    """Emergency routes that are open: everybody might call whatever begins so."""
    before = {row["number"]: row for row in running["routes"] if row["class"] == outside.EMERGENCY}
    shut = [ConfigError(f"routes[{index}].choices", f"each way of the emergency number {row['number']} can be shut by hours, days or areas, or sends what is no national "
                        "number; leave one choice without them")
            for index, row in enumerate(wanted["routes"])
            if row["class"] == outside.EMERGENCY and outside.is_whole(row["number"]) and before.get(row["number"]) != row and not outside.always_open(row)]
    return shut + [ConfigError(f"routes[{index}].class", f"{row['number']} stands for many numbers, and everybody may call emergency numbers; "
                        "give whole numbers, or another class")
            for index, row in enumerate(wanted["routes"])
            if row["class"] == outside.EMERGENCY and not outside.is_whole(row["number"]) and row["number"] not in before]


def _areas(running, wanted):
    """Areas that choices name and the table does not have: such a way would never be taken."""
    rows, errors = wanted.get("areas") or [], []
    known = {row["code"] for row in rows} | {row["province"] for row in rows if row.get("province")}
    table_is_old = running.get("areas") == wanted.get("areas") and running["site"]["area"] == wanted["site"]["area"]
    for index, row in enumerate(wanted["routes"]):
        if table_is_old and row in running["routes"]:
            continue
        for place, choice in enumerate(row["choices"]):
            here = f"routes[{index}].choices[{place}]"
            missing = [name.strip() for name in (choice.get("areas") or "").split(",") if name.strip() and name.strip() not in known]
            if missing:
                errors.append(ConfigError(f"{here}.areas", f"there is no area or province {missing[0]!r} in areas; add it with its code, or choose another"))
            if choice.get("mobile_zero") and wanted["site"]["area"] not in {row["code"] for row in rows}:
                errors.append(ConfigError(f"{here}.mobile_zero", f"asks which mobile numbers are of the own area {wanted['site']['area']!r}, and areas does not have it; "
                                          "add it with its blocks of mobile numbers"))
    return errors


def _reserved(running, wanted):
    """Trunk groups that keep all they have for emergency calls, though other routes lead to them: no such call would ever go out."""
    before = {row["name"]: row["reserved"] for row in running["trunk_groups"]}
    groups, errors = groups_of(wanted), []
    for index, row in enumerate(wanted["trunk_groups"]):
        count = len(groups[row["name"]].trunks)
        users = [route["number"] for route in wanted["routes"] if route["class"] != outside.EMERGENCY and row["name"] in [c["trunk_group"] for c in route["choices"]]]
        if users and 0 < count <= row["reserved"] and before.get(row["name"]) != row["reserved"]:
            errors.append(ConfigError(f"trunk_groups[{index}].reserved", f"{row['reserved']} are kept of the {count} trunks that {row['name']} has, so no call of the "
                                      f"route {users[0]} would ever go out by it; keep fewer, or take the group out of that route"))
    return errors


def _homes(running, wanted):
    """Numbers of home telephones that could never be called, of lines that are new or have another one.

    That a route is there and open to the line says nothing of its hours: those of now are not those of tonight."""
    errors, plan = [], outside.OutsidePlan(wanted)
    before = {line["name"]: (line["home"]["number"], line["classes"]) for line in running["lines"]}
    ours = {row["number"] for row in wanted["numbers"]} | {line["name"] for line in wanted["lines"]}
    for index, line in enumerate(wanted["lines"]):
        number, advice = line["home"]["number"], None
        if not number or before.get(line["name"]) == (number, line["classes"]):
            continue
        others = [other["name"] for other in wanted["lines"] if other["home"]["number"] == number and other is not line]
        allowed = {*line["classes"], outside.EMERGENCY}
        if number in ours:
            advice = f"{number} is a number of this switch itself, at which it would call itself; give the agent's own"
        elif others:
            advice = f"{number} is the home telephone of line {others[0]!r} as well, which can ring for one only; give each its own, or let both agents log in at one line"
        elif plan.find(number, True, outside.CLASSES)[0] != outside.MATCH:
            advice = f"no route leads to {number}, so it could never be called; add a route, or give the number as one of our telephones would dial it"
        elif plan.find(number, True, allowed)[0] != outside.MATCH:
            advice = f"line {line['name']!r} may not call {number}; allow the class of its route (lines[{index}].classes), or give another number"
        if advice:
            errors.append(ConfigError(f"lines[{index}].home.number", advice))
    return errors


def notice(paths):
    """The sentence for changes that wait for a restart, or None."""
    return f"Saved; a restart of the switch is needed before this takes effect: {', '.join(paths)}." if paths else None
