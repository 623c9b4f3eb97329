"""SS7 settings that can be written and cannot work, or not well: asked only of signalling points that a change brings in anew (feasible.py)."""

from firmware.call.signalling_points import circuits_of, link_places, links_of, point_code
from firmware.errors import ConfigError
from firmware.proto import mtp2_table

LEAST_MS = 50               # ours: a timer that is shorter fills links with repetitions before an answer can be there
MOST_N1 = 127               # Q.703 6.4: sequence numbers have 7 bits
QUEUE = ("QUEUE_ABATED", "QUEUE_CONGESTED", "QUEUE_FULL")       # in the order of their size


def obstacles(running, wanted):
    """ConfigErrors of a checked configuration."""
    before, places, errors = {row["name"]: row for row in running["ss7"]}, link_places(wanted), []
    for index, point in enumerate(wanted["ss7"]):
        if before.get(point["name"]) != point:
            here = "ss7[%d]" % index
            errors += [*_codes(point, here), *_routes(point, here), *_link_codes(point, here), *_empty(point, here, places), *_timers(point, here)]
    return errors + (_shared_spans(wanted) if wanted["ss7"] != running["ss7"] else [])


def _codes(point, here):
    """Point code 0: no exchange has it."""
    named = [(here + ".point_code", point["point_code"])]
    named += [("%s.linksets[%d].adjacent" % (here, i), row["adjacent"]) for i, row in enumerate(point["linksets"])]
    named += [("%s.routes[%d].destination" % (here, i), row["destination"]) for i, row in enumerate(point["routes"])]
    return [ConfigError(path, "is 0, which is no exchange's point code; give the one that the carrier has assigned")
            for path, text in named if not point_code(text, point["variant"])]


def _routes(point, here):
    """The same way twice: one of the two priorities would go unheard."""
    variant = point["variant"]
    ways = {(point_code(row["adjacent"], variant), row["name"]): "linksets[%d]" % i for i, row in enumerate(point["linksets"])}
    for i, row in enumerate(point["routes"]):
        way, path = (point_code(row["destination"], variant), row["linkset"]), "routes[%d]" % i
        first = ways.setdefault(way, path)
        if first.startswith("linksets"):
            yield ConfigError("%s.%s.destination" % (here, path), "linkset %s leads to its neighbour %s without a route; remove this one" % (way[1], row["destination"]))
        elif first != path:
            yield ConfigError("%s.%s" % (here, path), "the way to %s by linkset %s is %s already; remove one of them" % (row["destination"], way[1], first))


def _link_codes(point, here):
    """Links of two linksets to one neighbour: what is said about a link names it by its code alone."""
    seen = {}
    for i, linkset in enumerate(point["linksets"]):
        for k, link in enumerate(linkset["links"]):
            code = point_code(linkset["adjacent"], point["variant"]), link["slc"]
            first = seen.setdefault(code, (i, k))
            if first[0] != i:
                yield ConfigError("%s.linksets[%d].links[%d].slc" % (here, i, k), "%d is that of linksets[%d].links[%d], which leads to the same neighbour; "
                                  "give each link to it its own" % (link["slc"], *first))


def _empty(point, here, places):
    for i, group in enumerate(point["circuit_groups"]):
        if not circuits_of(group, places):
            yield ConfigError("%s.circuit_groups[%d].circuits" % (here, i), "has no circuit; give a timeslot in which no signalling link is, or remove the group")


def _is_time(name):
    """Of the parameters' names: T4N and SLT_T1 are times, TIN and N1 are counts."""
    return name.startswith(("SLT", "ACL")) or (name[0] == "T" and name[1].isdigit())


def _timers(point, here):
    for field in ("mtp2_parameters", "mtp3_timers", "isup_timers"):
        for name, value in point[field].items():
            if value < LEAST_MS and _is_time(name):
                yield ConfigError("%s.%s.%s" % (here, field, name), "is %d ms, too short for any answer; give %d or more" % (value, LEAST_MS))
    given = {name: row[0] for name, row in mtp2_table.PARAMETERS.items()} | point["mtp2_parameters"]
    if given["N1"] > MOST_N1:
        yield ConfigError(here + ".mtp2_parameters.N1", "is %d, but no more than %d messages can wait for their acknowledgement (Q.703 6.4)" % (given["N1"], MOST_N1))
    sizes = [given[name] for name in QUEUE]
    if sorted(set(sizes)) != sizes:
        yield ConfigError(here + ".mtp2_parameters", "%s are %d, %d and %d; each must be larger than the one before" % (", ".join(QUEUE), *sizes))


def _shared_spans(wanted):
    """Spans in which two signalling points of ours have links or circuits: each would tell another state of the span, and calls out would take the first one's."""
    owners, errors = {}, []
    for index, point in enumerate(wanted["ss7"]):
        if not point["enabled"]:
            continue
        rows = list(links_of(point).values()) + [piece for group in point["circuit_groups"] for piece in group["circuits"]]
        shared = [span for span in sorted({row["span"] for row in rows}) if owners.setdefault(span, index) != index]
        if shared:
            errors.append(ConfigError(f"ss7[{index}]", f"has links or circuits in span {shared[0]}, as ss7[{owners[shared[0]]}] has; a span belongs to one signalling "
                                      "point of ours, give this one spans of its own"))
    return errors
