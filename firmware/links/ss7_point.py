"""One SS7 signalling point of ours: its configuration, its MTP3 and ISUP machines, the legs of its calls.

State is kept in pieces: "ss7/NAME" has the row and the span types that it was made with, so that a restart with
another configuration ends the old one in order (ss7_change.py); "ss7/NAME/node" what changes and is no circuit's;
"ss7/NAME/CIRCUIT" one circuit and the leg on it."""

from firmware.call.signalling_points import code_text, isup_config, link_places, links_of, mtp3_config
from firmware.call.trunk_group import LAWS, law_of
from firmware.links.pri_span import HARMLESS
from firmware.proto.isup import codes
from firmware.proto.isup.node import ISUP
from firmware.proto.mtp3.node import MTP3

HARDWARE_MS = 3000          # ours: a span in alarm for so long is blocked for hardware reasons, which ends its calls (Q.764 2.8.2.2)


def basis(point, config):
    """What a point is made of: any change needs a restart of it.  {"row", "places", "types", "enabled", "laws"?: those that are not the line's}."""
    spans = sorted({link["span"] for link in links_of(point).values()}
                   | {piece["span"] for group in point["circuit_groups"] for piece in group["circuits"]})
    rows = {row["span"]: row for row in config["spans"]}
    laws = [[span, law_of(rows[span])] for span in spans if span in rows and rows[span].get("law", LAWS[0]) != LAWS[0]]
    return {**({"laws": laws} if laws else {}), "row": point, "places": sorted([span, timeslot] for span, timeslot in link_places(config)),
            "types": [[span, rows[span]["type"]] for span in spans if span in rows],
            "enabled": [span for span in spans if span in rows and rows[span]["enabled"]]}


class Point:
    """made_of: basis().  spans: {span: (row, trunk group)} of the configuration, may change.  saved, circuits: dumps."""

    def __init__(self, made_of, spans, saved=None, circuits=None):
        self.made_of, self.row, self.name = made_of, made_of["row"], made_of["row"]["name"]
        self.spans = spans
        places = {tuple(place): True for place in made_of["places"]}
        self.types = {span: kind for span, kind in made_of["types"]}
        self.laws = {**{span: law_of({"type": kind}) for span, kind in self.types.items()}, **{span: law for span, law in made_of.get("laws", ())}}
        self.enabled = set(made_of["enabled"])
        mtp3, isup = mtp3_config(self.row), isup_config(self.row, places, {span: law.replace("U", "u") for span, law in self.laws.items()})
        self.links = links_of(self.row)
        self.calls = {}             # call -> {"leg", "digits", "span", "timeslot"}
        self.alarms, self.alarm_since = {}, {}
        self.opened, self.retry_ms = set(), None
        self.checks = {}            # circuit -> termination of a continuity check: ss7_continuity.py
        self.checked = {}           # circuit -> how its last check by hand ended
        self.unchecked = 0          # per cent of a call that is due to be checked
        self._reach = None
        self.clocks = {}            # call -> the next of its timers: ss7_release.py
        self.settles_ms, self.lacking = None, {}        # linkset -> what is said of it: ss7_linksets.py
        self.told = {}              # span -> state that the switchboard knows
        self.closing_ms = self.closed_ms = None
        self.restored = saved is not None
        self.condemned = self.kept = False      # kept: made_of is in the database
        if saved is None:
            self.mtp3, self.isup = MTP3(mtp3), ISUP(isup)
            self.resets = sorted(self.isup.groups)      # to be reset when they can be reached: nothing of ours is up
            self.hardware, self.deactivated = set(), set()
            for code in sorted(self.isup.destinations):
                self.isup.mtp_event({"event": "pause", "destination": code}, 0)
            self.isup.finish()
        else:
            self.mtp3 = MTP3.restore(saved["mtp3"], mtp3)
            self.isup = ISUP.restore({"node": saved["isup"], "circuits": {
                name: row["circuit"] for name, row in circuits.items()}}, isup)
            self.resets, self.hardware, self.closing_ms = saved["resets"], set(saved["hardware"]), saved["closing_ms"]
            self.deactivated = set(saved["deactivated"])            # links that a person took out
            for row in circuits.values():
                if row["call"] is not None:
                    self.calls[row["call"][0]] = row["call"][1]
            for call, entry in self.calls.items():
                due = [entry[name] for name in ("until_ms", "meter_ms") if entry.get(name) is not None]
                if due:
                    self.clocks[call] = min(due)
            self.checks = {name: row["check"] for name, row in circuits.items() if row.get("check") is not None}
        self.places = {(circuit.span, circuit.timeslot): circuit for circuit in self.isup.all_circuits()}
        self._on_span, self._in_group = {}, {name: [] for name in self.isup.groups}
        for place in sorted(self.places):
            self._on_span.setdefault(place[0], []).append(self.places[place])
            self._in_group[self.places[place].group["name"]].append(self.places[place])
        self.circuit_spans = sorted(self._on_span)

    # -- what the adapter asks --

    def circuits_on(self, span):
        """Circuits of a span by timeslot."""
        return self._on_span.get(span, [])

    def call_on(self, circuit):
        """[call, entry] of a circuit, or None."""
        return [circuit.call, self.calls[circuit.call]] if circuit.call in self.calls else None

    def is_reached(self, code):
        """Whether the far exchange and its ISUP can be spoken to."""
        destination = self.isup.destinations[code]
        return destination.available and destination.user_available

    def reach_changed(self):
        """Whether a far exchange can be spoken to, and could not when this was asked last, or the reverse."""
        reach = [(destination.available, destination.user_available) for destination in self.isup.destinations.values()]
        if reach == self._reach:
            return False
        self._reach = reach
        return True

    def in_alarm(self, span):
        """Whether the bearers of a span are of no use."""
        return bool(self.alarms.get(span)) and not set(self.alarms[span]) <= HARMLESS

    def span_state(self, span):
        """"up", "down" (no signalling), "alarm" or "unknown", as for PRI."""
        if self.in_alarm(span):
            return "alarm"
        if self.closing_ms is not None or span not in self.enabled:
            return "down"
        if not self.opened:
            return "unknown"
        return "up" if any(self.is_reached(circuit.dpc) for circuit in self.circuits_on(span)) or (
            span not in self.circuit_spans and any(self.mtp3.links[name].usable for name, link in self.links.items()
                                                   if link["span"] == span)) else "down"

    def soaks(self):
        """[(when, span)]: spans in alarm that are not blocked yet."""
        return [(since + HARDWARE_MS, span) for span, since in self.alarm_since.items()
                if span not in self.hardware and span in self.circuit_spans]

    def deadline_ms(self):
        """The next timer of the machines, of an alarm, of a link to open again, of the end."""
        if self.condemned:
            return 0
        found = [self.mtp3.deadline_ms(), self.isup.deadline_ms(), self.retry_ms, self.closing_ms, self.settles_ms or None] + list(self.clocks.values()) + [at for at, _ in self.soaks()]
        return min((at for at in found if at is not None), default=None)

    # -- dumps --

    def dump(self):
        """What changes and is no circuit's."""
        return {"mtp3": self.mtp3.dump(), "isup": self.isup.dump_node(), "resets": self.resets,
                "hardware": sorted(self.hardware), "deactivated": sorted(self.deactivated), "closing_ms": self.closing_ms}

    def dump_circuit(self, name):
        """One circuit and its leg."""
        return {"circuit": self.isup.dump_circuit(name), "call": self.call_on(self.isup.circuit(name)), "check": self.checks.get(name)}

    # -- display --

    def describe_span(self, span, legs):
        """A span in GET /v1/state.  legs: {leg: call}."""
        state, slots, seen = self.span_state(span), [], self.mtp3.state()["links"]
        for circuit in self.circuits_on(span):
            entry = self.calls.get(circuit.call)
            slot = {"timeslot": circuit.timeslot, "cic": circuit.cic, "group": circuit.group["name"],
                    "call": legs.get(entry["leg"]) if entry else None,
                    "state": "busy" if circuit.state != codes.IDLE else "idle" if state == "up" and circuit.available() else "blocked"}
            why = [word for word, on in (("near", circuit.local != "unblocked"), ("far", circuit.remote),
                                         ("near_hardware", circuit.local_hardware), ("far_hardware", circuit.remote_hardware),
                                         ("unequipped", circuit.unequipped)) if on]
            if why:
                slot["blocked_by"] = why
            if circuit.name in self.checked:
                slot["continuity"] = "passed" if self.checked[circuit.name] else "failed"
            slots.append(slot)
        links = [{"link": name, "timeslot": row["timeslot"], "slc": row["slc"], "linkset": row["linkset"],
                  **seen[name]} for name, row in sorted(self.links.items()) if row["span"] == span]
        slots += [{"timeslot": link["timeslot"], "call": None, "state": "d"} for link in links]
        group = self.spans.get(span)
        return {"span": span, "type": self.types.get(span, "e1"), "state": state, "alarms": self.alarms.get(span) or [],
                "signalling": "ss7", "point": self.name, "trunk_group": group[0]["trunk_group"] if group else None, "links": links,
                "timeslots": sorted(slots, key=lambda slot: slot["timeslot"]), "counters": {}}

    def describe(self):
        """The point in GET /v1/state."""
        variant, seen = self.row["variant"], self.mtp3.state()
        groups = []
        for name in sorted(self.isup.groups):
            circuits = self._in_group[name]
            groups.append({"name": name, "destination": code_text(self.isup.groups[name]["destination"], variant),
                           "circuits": len(circuits), "available": len([c for c in circuits if c.available()]),
                           "busy": len([c for c in circuits if c.state != codes.IDLE]),
                           "reached": self.is_reached(self.isup.groups[name]["destination"])})
        return {"name": self.name, "variant": variant, "point_code": code_text(self.mtp3.point_code, variant),
                "restarting": seen["restarting"], "linksets": seen["linksets"],
                "links": [{"link": name, "span": self.links[name]["span"], "timeslot": self.links[name]["timeslot"],
                           "slc": self.links[name]["slc"], "linkset": self.links[name]["linkset"], **seen["links"][name]}
                          for name in sorted(self.links)],
                "destinations": [{"point_code": code_text(code, variant), "accessible": accessible}
                                 for code, accessible in sorted(seen["destinations"].items())],
                "circuit_groups": groups, "counters": {"mtp3": dict(self.mtp3.counters), "isup": dict(self.isup.counters)}}
