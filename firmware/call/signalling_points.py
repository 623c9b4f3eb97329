"""SS7 signalling points of the configuration: point codes, links, circuits, and what the protocol machines are made with.

A row of the configuration's "ss7" is one signalling point of ours:

    {"name": "cn", "variant": "china", "network_indicator": 2, "point_code": "11-22-33", "linksets": [
        {"name": "a", "adjacent": "11-22-44", "links": [{"span": 1, "timeslot": 16, "slc": 0}, ...]}],
     "routes": [{"destination": "11-22-55", "linkset": "a", "priority": 0}],
     "circuit_groups": [{"name": "g", "destination": "11-22-44",
        "circuits": [{"cic": 1, "span": 1, "timeslot": 1, "count": 31}, ...]}]}

A piece of circuits maps consecutive CICs to consecutive timeslots; one that carries a signalling link, of
whichever point, is left out together with its CIC, so that "CIC 1, timeslot 1, 31 of them" means what a carrier's
engineer means by it (Q.763 1.2: the low 5 bits of a CIC are usually the timeslot).

A link's name, here and in media, is "s<span>.<timeslot>".  Point codes: 14 bits as 3-8-3 or a number (ITU,
Q.708), 24 bits as 8-8-8 or a number (China, ANSI).  Portable.
"""

from firmware.errors import ConfigError

FIELDS = {"itu": (3, 8, 3), "china": (8, 8, 8), "ansi": (8, 8, 8)}
CIC_BITS = {"itu": 12, "china": 12, "ansi": 14}


def point_code(text, variant, path="point_code"):
    """The number of a point code.  Raises ConfigError."""
    sizes = FIELDS[variant]
    parts = str(text).split("-")
    form = "give %s, for example %s, or one number" % ("3 numbers with dashes (%d, %d and %d bits)" % sizes,
                                                       "2-130-5" if variant == "itu" else "11-22-33")
    if len(parts) not in (1, 3) or not all([part and part == "".join([c for c in part if c in "0123456789"]) for part in parts]):
        raise ConfigError(path, "%r is no point code; %s" % (text, form))
    if len(parts) == 1:
        value = int(parts[0])
    else:
        value = 0
        for part, size in zip(parts, sizes):
            if int(part) >= 1 << size:
                raise ConfigError(path, "%s in %s is too large for %d bits; %s" % (part, text, size, form))
            value = value << size | int(part)
    if value >= 1 << sum(sizes):
        raise ConfigError(path, "%s is too large for the %d bits of a point code; %s" % (text, sum(sizes), form))
    return value


def code_text(code, variant):
    """A point code as people write it."""
    first, second, third = FIELDS[variant]
    return "%d-%d-%d" % (code >> (second + third), code >> third & (1 << second) - 1, code & (1 << third) - 1)


def link_name(span, timeslot):
    """The name of a signalling link."""
    return "s%d.%d" % (span, timeslot)


def links_of(point):
    """{link name: {"span", "timeslot", "slc", "linkset", ...}} of a row."""
    found = {}
    for linkset in point["linksets"]:
        for row in linkset["links"]:
            found[link_name(row["span"], row["timeslot"])] = dict(row, linkset=linkset["name"])
    return found


def link_places(config):
    """{(span, timeslot): link name} of all points in service."""
    places = {}
    for point in config.get("ss7") or []:
        if point.get("enabled", True):
            for name, row in links_of(point).items():
                places[(row["span"], row["timeslot"])] = name
    return places


def circuits_of(group, places):
    """[(CIC, span, timeslot)] of a circuit group, in the order of the configuration.  places: link_places()."""
    found = []
    for piece in group["circuits"]:
        for i in range(piece["count"]):
            if (piece["span"], piece["timeslot"] + i) not in places:
                found.append((piece["cic"] + i, piece["span"], piece["timeslot"] + i))
    return found


def bearer_timeslots(config):
    """{span: timeslots that are circuits, ascending} of the spans with SS7 circuits."""
    found, places = {}, link_places(config)
    for point in config.get("ss7") or []:
        if point.get("enabled", True):
            for group in point["circuit_groups"]:
                for _, span, timeslot in circuits_of(group, places):
                    found.setdefault(span, []).append(timeslot)
    for span in found:
        found[span].sort()
    return found


def mtp3_config(point):
    """The configuration of proto/mtp3/node.MTP3."""
    variant = point["variant"]
    return {"variant": variant, "network_indicator": point["network_indicator"],
            "point_code": point_code(point["point_code"], variant), "users": [5], "restart": point["restart"],
            "timers": point["mtp3_timers"],
            "linksets": [{"name": row["name"], "adjacent": point_code(row["adjacent"], variant),
                          "links": [{"name": link_name(link["span"], link["timeslot"]), "slc": link["slc"]} for link in row["links"]]}
                         for row in point["linksets"]],
            "routes": [{"destination": point_code(row["destination"], variant), "linkset": row["linkset"],
                        "priority": row["priority"]} for row in point["routes"]]}


def isup_config(point, places, laws):
    """The configuration of proto/isup/node.ISUP.  laws: {span: "A" | "u"}."""
    variant, groups = point["variant"], []
    for group in point["circuit_groups"]:
        pieces = []
        for cic, span, timeslot in circuits_of(group, places):
            last = pieces[-1] if pieces else None
            if last and (cic, span, timeslot) == (last[0] + last[3], last[1], last[2] + last[3]):
                last[3] += 1
            else:
                pieces.append([cic, span, timeslot, 1])
        groups.append({"name": group["name"], "destination": point_code(group["destination"], variant), "circuits": pieces,
                       "law": laws.get(pieces[0][1], "A") if pieces else "A", "overlap": group["overlap"],
                       "send_st": group["send_st"] and variant != "ansi",         # T1.113 ends no number with ST
                       "control": None if group["control"] == "point_code" else group["control"],
                       "charge": group["charge"], "query": group["query"]})
    return {"variant": variant, "point_code": point_code(point["point_code"], variant), "location": point["location"],
            "timers": point["isup_timers"], "groups": groups}
