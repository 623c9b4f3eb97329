"""Settings of SS7: signalling points, linksets, routes, circuit groups; what they must have in common."""

from firmware.call.signalling_points import CIC_BITS, circuits_of, link_places, point_code
from firmware.config.field import IMPACT_SPAN, Rows, Section, Switch, Table, Text, Whole
from firmware.errors import ConfigError

NAME = r"[A-Za-z0-9_-]{1,32}"
CODE = r"[0-9]{1,8}|[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}"
VARIANTS = ("itu", "china", "ansi")
RELEASES = ("first", "caller", "called")
CONTROLS = ("point_code", "all", "none", "even", "odd")
# Names of timers and parameters: proto/mtp2_table.py, mtp3/table.py, isup/codes.py; a test compares.
MTP2_PARAMETERS = ("T1", "T2", "T3", "T4N", "T4E", "T5", "T6", "T7", "T8", "TIN", "TIE", "M", "SUERM_T", "SUERM_D", "EIM_TE",
                   "EIM_UE", "EIM_DE", "N1", "N2", "QUEUE_CONGESTED", "QUEUE_ABATED", "QUEUE_FULL")
MTP3_TIMERS = ("T1", "T2", "T3", "T4", "T5", "T6", "T10", "T12", "T13", "T14", "T15", "T16", "T17", "T19", "T20", "T21", "T22",
               "T23", "SLT_T1", "SLT_T2")
ISUP_TIMERS = tuple("T%d" % number for number in range(1, 40)) + ("ACL",)


def _name(help):
    return Text(help, pattern=NAME, hint="use letters, digits, dash and underline, at most 32", required=True, impact=IMPACT_SPAN)


def _code(help):
    return Text(help, pattern=CODE, hint="give 3 numbers with dashes or one number", required=True, impact=IMPACT_SPAN)


def _place(what):
    return {"span": Whole("the span " + what, 1, 64, required=True, impact=IMPACT_SPAN),
            "timeslot": Whole("the timeslot " + what, 1, 31, required=True, impact=IMPACT_SPAN)}


LINK = Section("a signalling link", {
    **_place("that carries it"),
    "slc": Whole("the signalling link code; the same at both ends", 0, 15, required=True, impact=IMPACT_SPAN),
    "correction": Text("basic, or pcr (preventive cyclic retransmission) on very long ways", choices=("basic", "pcr"), default="basic",
                       impact=IMPACT_SPAN)})

LINKSET = Section("the signalling links to one neighbour", {
    "name": _name("the name used in routes"),
    "adjacent": _code("the neighbour's point code"),
    "links": Rows("the links", LINK, most=16, required=True)})

ROUTE = Section("a way to a signalling point behind a neighbour", {
    "destination": _code("the point code at the end of the way"),
    "linkset": _name("the linkset that leads there"),
    "priority": Whole("0 goes first; equal ones share the load", 0, 9, default=0, impact=IMPACT_SPAN)})

CIRCUITS = Section("circuits in a row", {
    "cic": Whole("the circuit identification code of the first", 0, 16383, required=True, impact=IMPACT_SPAN),
    **_place("of the first"),
    "count": Whole("how many; a timeslot with a signalling link is left out together with its code", 1, 31, default=31,
                   impact=IMPACT_SPAN)})

GROUP = Section("the circuits to one exchange", {
    "name": _name("the name used in commands"),
    "destination": _code("the exchange's point code"),
    "circuits": Rows("which code is which timeslot", CIRCUITS, most=64, required=True),
    "control": Text("which circuits are ours when both ends seize one: by point_code the higher has the even ones (Q.764 2.9.1.4)",
                    choices=CONTROLS, default="point_code", impact=IMPACT_SPAN),
    "overlap": Switch("accept numbers digit by digit", default=True, impact=IMPACT_SPAN),
    "send_st": Switch("end the numbers that we send with ST", default=True, impact=IMPACT_SPAN),
    "overlap_digits": Whole("send the number in pieces: how many digits in the IAM, the others in SAM; 0: whole", 0, 15, default=0,
                            impact=IMPACT_SPAN),
    "continuity": Whole("how many of our calls begin with a continuity check of their circuit, in per cent (Q.764 2.1.8)", 0, 100,
                        default=0, impact=IMPACT_SPAN),
    "charge": Text("what our ACM says about the charge of calls to us", choices=("charge", "no_charge", "none"), default="charge",
                   impact=IMPACT_SPAN),
    "release_in": Text("who ends calls to us: first, either party; caller, what we release is told by SUS and the far exchange releases; called, "
                       "a caller who hangs up (CCL) is held until our party ends the call (China only)", choices=RELEASES, default="first",
                       impact=IMPACT_SPAN),
    "release_out": Text("who ends our calls: first or caller, either party; called, what we release is told by CCL and the far exchange "
                        "releases (China only)", choices=RELEASES, default="first", impact=IMPACT_SPAN),
    "hold_s": Whole("how long a circuit is kept for the party that controls the release; then it is released", 1, 3600, unit="s", default=90,
                    impact=IMPACT_SPAN),
    "metering_s": Whole("callers are charged by metering pulses (MPM, China only): one at the answer and one in each of these; 0: none", 0, 3600, unit="s",
                        default=0, impact=IMPACT_SPAN),
    "metering_units": Whole("what each metering pulse charges", 1, 65535, default=1, impact=IMPACT_SPAN),
    "query": Switch("ask for the state of circuits with calls after a restart (CQM; not in every network)", default=False,
                    impact=IMPACT_SPAN)})


def _timers(what):
    return Table(what, Whole("the value", 1, 1000000), impact=IMPACT_SPAN)


POINT = Section("a signalling point of ours", {
    "name": _name("the name on pages and in commands"),
    "enabled": Switch("in service", default=True, impact=IMPACT_SPAN),
    "variant": Text("itu, 14-bit point codes; china, 24-bit (YDN 038); ansi, 24-bit (T1.113)", choices=VARIANTS, default="china",
                    impact=IMPACT_SPAN),
    "network_indicator": Whole("0 international, 2 national, 1 and 3 their spares", 0, 3, default=2, impact=IMPACT_SPAN),
    "point_code": _code("our point code"),
    "location": Whole("the location in causes that we give (Q.850): 4 public network serving the remote user", 0, 15, default=4,
                      impact=IMPACT_SPAN),
    "restart": Switch("wait for the neighbours' word at the start (Q.704 clause 9)", default=True, impact=IMPACT_SPAN),
    "linksets": Rows("the linksets", LINKSET, key="name", most=16, required=True),
    "routes": Rows("ways behind the neighbours", ROUTE, most=256),
    "circuit_groups": Rows("the circuits", GROUP, key="name", most=64),
    "mtp2_parameters": _timers("timers and thresholds of level 2 that are not the standard's, ms or units"),
    "mtp3_timers": _timers("timers of level 3 that are not the standard's, in ms"),
    "isup_timers": _timers("timers of ISUP that are not the standard's, in ms")})

POINTS = Rows("our signalling points in SS7 networks", POINT, key="name", most=16, impact=IMPACT_SPAN)


def check(config):
    """ConfigErrors of the whole configuration's "ss7"; its values have the right types."""
    errors, spans, used, own = [], {row["span"]: row for row in config["spans"]}, {}, {}
    for i, point in enumerate(config["ss7"]):
        here = "ss7[%d]" % i
        errors += _names_of_timers(point, here)
        if not _codes(point, here, errors):
            continue
        network = point["variant"], point["network_indicator"], point_code(point["point_code"], point["variant"])
        if point["enabled"] and own.setdefault(network, here) != here:
            errors.append(ConfigError(here + ".point_code", "%s is that of %s in the same network; put linksets and circuits into one of them, "
                                      "or give the other code" % (point["point_code"], own[network])))
        for j, linkset in enumerate(point["linksets"]):
            seen = {}
            for k, link in enumerate(linkset["links"]):
                path = "%s.linksets[%d].links[%d]" % (here, j, k)
                _take(path, link["span"], link["timeslot"], "a signalling link", spans, used if point["enabled"] else {}, errors)
                if link["slc"] in seen:
                    errors.append(ConfigError(path + ".slc", "%d is already used by links[%d]; give each link of a linkset its own"
                                              % (link["slc"], seen[link["slc"]])))
                seen[link["slc"]] = k
            if not linkset["links"]:
                errors.append(ConfigError("%s.linksets[%d].links" % (here, j), "is empty; a linkset has 1 to 16 links"))
    places = link_places(config)
    for i, point in enumerate(config["ss7"]):
        errors += _circuits(point, "ss7[%d]" % i, spans, places, used)
    return errors


def _names_of_timers(point, here):
    errors = []
    for field, known in (("mtp2_parameters", MTP2_PARAMETERS), ("mtp3_timers", MTP3_TIMERS), ("isup_timers", ISUP_TIMERS)):
        for name in point[field]:
            if name not in known:
                errors.append(ConfigError("%s.%s" % (here, field), "there is no %r; known are %s" % (name[:32], ", ".join(known))))
    return errors


def _codes(point, here, errors):
    """Whether all point codes of a row are right, and lead somewhere."""
    variant, before = point["variant"], len(errors)

    def code(text, path):
        try:
            return point_code(text, variant, path)
        except ConfigError as error:
            errors.append(error)
            return None
    own = code(point["point_code"], here + ".point_code")
    reached = set()
    names = {row["name"] for row in point["linksets"]}
    for j, row in enumerate(point["linksets"]):
        path = "%s.linksets[%d].adjacent" % (here, j)
        value = code(row["adjacent"], path)
        reached.add(value)
        if value is not None and value == own:
            errors.append(ConfigError(path, "is our own point code; give the neighbour's"))
    for j, row in enumerate(point["routes"]):
        path = "%s.routes[%d].destination" % (here, j)
        value = code(row["destination"], path)
        reached.add(value)
        if value is not None and value == own:
            errors.append(ConfigError(path, "is our own point code; a route leads to another exchange"))
        if row["linkset"] not in names:
            errors.append(ConfigError("%s.routes[%d].linkset" % (here, j), "there is no linkset %r; choose one of %s"
                                      % (row["linkset"], ", ".join(sorted(names)) or "(none)")))
    for j, row in enumerate(point["circuit_groups"]):
        path = "%s.circuit_groups[%d].destination" % (here, j)
        value = code(row["destination"], path)
        if variant == "ansi" and row["overlap_digits"]:
            errors.append(ConfigError("%s.circuit_groups[%d].overlap_digits" % (here, j), "is %d, but ANSI (T1.113) sends numbers whole; give 0"
                                      % row["overlap_digits"]))
        for name, wrong in (("release_in", row["release_in"] == "called"), ("release_out", row["release_out"] == "called"),
                            ("metering_s", bool(row["metering_s"]))):
            if wrong and variant != "china":
                errors.append(ConfigError("%s.circuit_groups[%d].%s" % (here, j, name), "is %s, but CCL and MPM are messages of China's ISUP; "
                                          "give %s" % (row[name], "0" if name == "metering_s" else "first or caller")))
        if value is not None and value not in reached:
            errors.append(ConfigError(path, "no linkset leads to %s; give its neighbour's code, or add a route" % row["destination"]))
    return len(errors) == before


def _take(path, span, timeslot, what, spans, used, errors):
    """One timeslot for one purpose."""
    row = spans.get(span)
    if row is None or row["signalling"] != "ss7":
        errors.append(ConfigError(path + ".span", "span %d is %s; give a span whose signalling is ss7"
                                  % (span, "not configured" if row is None else "signalled by " + row["signalling"])))
    elif timeslot > (31 if row["type"] == "e1" else 24):
        errors.append(ConfigError(path + ".timeslot", "a T1 or J1 span has timeslots 1 to 24, not %d" % timeslot))
    elif (span, timeslot) in used:
        errors.append(ConfigError(path + ".timeslot", "timeslot %d of span %d is already %s of %s"
                                  % (timeslot, span, *used[(span, timeslot)])))
    else:
        used[(span, timeslot)] = (what, path)


def _exchange(text, variant):
    """What tells exchanges apart: a point code in either notation is one; a wrong one, which _codes() tells of, is itself."""
    try:
        return point_code(text, variant)
    except ConfigError:
        return text


def _circuits(point, here, spans, places, used):
    errors, codes = [], {}
    for j, group in enumerate(point["circuit_groups"]):
        far = _exchange(group["destination"], point["variant"])
        for k, piece in enumerate(group["circuits"]):
            path = "%s.circuit_groups[%d].circuits[%d]" % (here, j, k)
            if piece["timeslot"] + piece["count"] > 32:
                errors.append(ConfigError(path + ".count", "timeslots %d to %d are more than a span has; give at most %d"
                                          % (piece["timeslot"], piece["timeslot"] + piece["count"] - 1, 32 - piece["timeslot"])))
                continue
            before = len(errors)
            for cic, span, timeslot in circuits_of({"circuits": [piece]}, places):
                if len(errors) > before:        # one sentence a piece
                    break
                if cic >= 1 << CIC_BITS[point["variant"]]:
                    errors.append(ConfigError(path + ".cic", "%d does not fit the %d bits of a CIC"
                                              % (cic, CIC_BITS[point["variant"]])))
                elif (far, cic) in codes:
                    errors.append(ConfigError(path + ".cic", "CIC %d to %s is already used by %s" % (
                        cic, group["destination"], codes[(far, cic)])))
                else:
                    codes[(far, cic)] = path
                    _take(path, span, timeslot, "a circuit", spans, used if point["enabled"] else {}, errors)
    return errors
