"""The memory of a node.ISUP over a restart of its process: dump, restore, audit.

Nothing that is up is reset: an answered call stays, timers go on (those that fell
due meanwhile act at once), a REL that had come is answered.  Where a group has
"query" (CQM is for national use), the circuits with calls are asked for; without,
their dumps are the truth, since they were written before anything left.
Source: Q.764 (12/1999) 2.8.3; portable.
"""

from firmware.proto.isup import codes
from firmware.proto.isup.circuit import KEPT


class AuditProcedures:
    """Another part of node.ISUP."""

    def take_changed(self):
        """Names of the circuits that changed since the last question."""
        changed, self._changed = self._changed, {}
        return sorted(changed)

    def dump_circuit(self, name):
        """A circuit as a JSON-able dict."""
        circuit = self.circuit(name)
        row = {"timers": circuit.timers.dump()}
        for field in KEPT:
            row[field] = getattr(circuit, field)
        return row

    def dump_node(self):
        """What does not belong to a circuit."""
        self.node_changed = False
        return {"pending": self.pending, "timers": self.timers.dump(), "next_id": self._next_id,
                "idle_count": self._idle_count, "congestion_level": self.congestion_level,
                "last_sequence": self._last_sequence,
                "destinations": [self.destinations[code].dump() for code in sorted(self.destinations)]}

    def dump(self):
        """Everything: {"node": dump_node(), "circuits": {name: dump_circuit(name)}}."""
        circuits = {}
        for circuit in self.all_circuits():
            circuits[circuit.name] = self.dump_circuit(circuit.name)
        return {"node": self.dump_node(), "circuits": circuits}

    @classmethod
    def restore(cls, saved, config):
        """Rebuild from dump() and the configuration; a circuit that is not there any more is forgotten."""
        made = cls(config)
        node = saved["node"]
        made.pending = [dict(row) for row in node["pending"]]
        made.timers.restore(node["timers"])
        made._next_id, made._idle_count = node["next_id"], node["idle_count"]
        made.congestion_level, made._last_sequence = node["congestion_level"], node["last_sequence"]
        for row in node["destinations"]:
            if row[0] in made.destinations:
                made.destinations[row[0]].load(row)
        for name in sorted(saved["circuits"]):
            circuit = made._names.get(name)
            if circuit is not None:
                row = saved["circuits"][name]
                for field in KEPT:
                    setattr(circuit, field, row[field])
                circuit.timers.restore(row["timers"])
                made.touch(circuit)
        return made

    def audit(self, now_ms, available=None):
        """After restore().  available: {point code: whether MTP reaches it}, as MTP3's state() has it.  Returns events."""
        for code in sorted(available or {}):
            if code in self.destinations:
                self.destinations[code].available = bool(available[code])
        doubtful = {}
        for circuit in self.all_circuits():
            if circuit.state == codes.FAR_RELEASED and not circuit.rlc_waits:
                circuit.step("release_request", now_ms, {})
            elif circuit.group.get("query") and circuit.state in codes.OUTGOING + codes.INCOMING:
                circuit.confirmed = False
                doubtful.setdefault(circuit.group["name"], []).append(circuit.cic)
            self.touch(circuit)
        events = self.finish()
        for group in sorted(doubtful):
            events += self.group_request("query", group, now_ms, doubtful[group])
        return events
