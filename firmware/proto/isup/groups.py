"""Circuit group messages: CGB, CGU, GRS, CQM and their answers, on top of a node.ISUP.

A pending one is a row {"id", "kind", "dpc", "cic", "range", "status", "type"};
its two timers (short: once more; long: maintenance) bear its id.  A range has 2
to 32 circuits; a single one is reset by RSC and, for hardware blocking, goes
into a range of two with one status bit.
Source: Q.764 (12/1999) 2.8.2, 2.8.3, 2.9.3.2; Q.763 3.13, 3.14, 3.43.  Portable.
"""

from firmware.errors import LocalError
from firmware.proto.isup import codes, messages

SHORT = {"CGB": "T18", "CGU": "T20", "GRS": "T22", "CQM": "T28"}
LONG = {"CGB": "T19", "CGU": "T21", "GRS": "T23", "CQM": None}
ANSWERS = {"CGBA": "CGB", "CGUA": "CGU", "GRA": "GRS", "CQR": "CQM"}
MOST = 32


def runs(cics, whole):
    """Split CICs into ranges [(first, [wanted: 0 or 1 for each])].  whole: no gaps (GRS, CQM)."""
    found, cics = [], sorted(cics)
    while cics:
        first, status = cics[0], []
        while cics and cics[0] - first < MOST and (not whole or cics[0] == first + len(status)):
            status += [0] * (cics[0] - first - len(status)) + [1]
            cics.pop(0)
        found.append((first, status))
    return found


class GroupProcedures:
    """The half of a node.ISUP that has to do with groups of circuits."""

    # Ours

    def group_request(self, primitive, group, now_ms, cics=None, hardware=False):
        """block, unblock, reset or query circuits of a group (None: all).  Returns events.  Raises LocalError."""
        kinds = {"block": "CGB", "unblock": "CGU", "reset": "GRS", "query": "CQM"}
        if primitive not in kinds or group not in self.groups:
            raise LocalError("group_request: %r of circuit group %r; block, unblock, reset, query of %s"
                             % (primitive, group, ", ".join(sorted(self.groups))))
        mine = [c.cic for c in self.group_circuits(group)]
        wanted = mine if cics is None else list(cics)
        for cic in wanted:
            if cic not in mine:
                raise LocalError("circuit group %s has no CIC %r" % (group, cic))
        kind, dpc = kinds[primitive], self.groups[group]["destination"]
        for first, status in runs(wanted, kind in ("GRS", "CQM")):
            if len(status) == 1 and kind == "GRS":
                self.circuits[(dpc, first)].step("reset_request", now_ms)
                continue
            if len(status) == 1 and kind in ("CGB", "CGU"):
                status = status + [0]
            self._begin({"kind": kind, "dpc": dpc, "cic": first, "range": len(status) - 1,
                         "status": status if kind in ("CGB", "CGU") else None,
                         "type": "hardware" if hardware else "maintenance"}, now_ms)
        return self.finish()

    def _named(self, row):
        """The circuits of a range whose status bit is set (all, if it has none), that exist."""
        found = []
        for i in range(row["range"] + 1):
            circuit = self.circuits.get((row["dpc"], row["cic"] + i))
            if circuit is not None and (row["status"] is None or row["status"][i]):
                found.append(circuit)
        return found

    def take_back(self, kinds, dpc, cics, type_):
        """A later order about these circuits: older ones that are not acknowledged let go of them."""
        kept = []
        for old in self.pending:
            if old["kind"] in kinds and old["dpc"] == dpc and (old["type"] == type_ or old["status"] is None):
                if old["status"] is None:
                    bits = 0 if old["cic"] in cics else 1
                else:
                    old["status"] = [0 if old["cic"] + i in cics else bit for i, bit in enumerate(old["status"])]
                    bits = sum(old["status"])
                if not bits:
                    self._stop(old)
                    continue
            kept.append(old)
        self.pending = kept
        self.node_changed = True

    def _begin(self, row, now_ms):
        if row["kind"] in ("CGB", "CGU"):
            self.take_back(("CGB", "CGU"), row["dpc"], [c.cic for c in self._named(row)], row["type"])
        else:
            self.take_back((row["kind"],), row["dpc"], [row["cic"]], row["type"])
        hardware = row["type"] == "hardware"
        for circuit in self._named(row):
            if row["kind"] == "GRS":
                circuit.step("group_reset_request", now_ms)
            elif row["kind"] != "CQM":
                self._mark(circuit, row["kind"] == "CGB", hardware, now_ms)
        self._next_id += 1
        row["id"] = self._next_id
        self.pending.append(row)
        self._send_pending(row, now_ms)
        self._start(row, SHORT, now_ms)
        self._start(row, LONG, now_ms)
        self.node_changed = True

    def _mark(self, circuit, block, hardware, now_ms):
        """The local side of CGB or CGU."""
        if hardware:
            circuit.local_hardware = block
            if block and circuit.state in codes.OUTGOING + codes.INCOMING:
                circuit.state = circuit.begin_release(now_ms, codes.TEMPORARY_FAILURE)
        else:
            circuit._stop()
            circuit.local = "blocking" if block else "unblocking"
        circuit.tell("circuit_state", circuit.blocking())
        self.touch(circuit)

    def _send_pending(self, row, now_ms):
        content = {"range_and_status": {"range": row["range"], "status": row["status"]}}
        if row["kind"] in ("CGB", "CGU"):
            content["supervision_type"] = {"type": row["type"]}
        self.send(row["dpc"], messages.Message(row["kind"], row["cic"], content))

    def _start(self, row, table, now_ms):
        name = table[row["kind"]]
        if name is not None:
            self.timers.start("%s %d" % (name, row["id"]), now_ms, self.durations_ms[name])

    def _stop(self, row):
        for table in (SHORT, LONG):
            self.timers.stop("%s %d" % (table[row["kind"]], row["id"]))

    def group_timer(self, name, now_ms):
        """T18 to T23, T28."""
        timer, number = name.split(" ")
        for row in self.pending:
            if row["id"] == int(number):
                self._group_timeout(row, timer, now_ms)
                return

    def _group_timeout(self, row, timer, now_ms):
        if row["kind"] == "CQM":
            self.pending = [other for other in self.pending if other is not row]
            self.fault(row, "CQM is not answered (T28)")
            return
        if timer == LONG[row["kind"]]:
            self.timers.stop("%s %d" % (SHORT[row["kind"]], row["id"]))
            self._start(row, LONG, now_ms)
            self.fault(row, "%s is not acknowledged (%s)" % (row["kind"], timer))
        else:
            self._start(row, SHORT, now_ms)
        self._send_pending(row, now_ms)

    def fault(self, row, text):
        """Tell maintenance about a range."""
        self.events.append({"event": "group_fault", "call": None, "destination": row["dpc"], "cic": row["cic"],
                            "range": row["range"], "text": text})

    def repeat_hardware(self, circuit, now_ms):
        """A call came where hardware blocking of ours should be known."""
        self._begin({"kind": "CGB", "dpc": circuit.dpc, "cic": circuit.cic, "range": 1, "status": [1, 0],
                     "type": "hardware"}, now_ms)

    # The far end's

    def receive_group(self, dpc, message, now_ms):
        """A group message."""
        given = message.get("range_and_status")
        row = {"kind": message.kind, "dpc": dpc, "cic": message.cic, "range": given["range"], "status": given["status"],
               "type": (message.get("supervision_type") or {"type": None})["type"]}
        if not self._sound(row):
            self.count("group_messages_discarded")      # 2.9.5.1: no answer
            return
        if message.kind in ANSWERS:
            self._answered_group(row, message, now_ms)
        elif message.kind == "GRS":
            self._take_grs(row, now_ms)
        elif message.kind == "CQM":
            self._take_cqm(row)
        else:
            self._take_cgb(row, now_ms)

    def _sound(self, row):
        """Whether range, status and type can be (Q.763 3.13, 3.43)."""
        if row["kind"] in ("CQM", "CQR"):
            return row["range"] < MOST
        if row["kind"] in ("GRS", "GRA"):
            return 1 <= row["range"] < MOST and (row["kind"] == "GRS" or row["status"] is not None)
        return (row["range"] >= 1 and row["status"] is not None and sum(row["status"]) <= MOST
                and row["type"] in ("maintenance", "hardware"))

    def _take_grs(self, row, now_ms):
        row["status"] = None
        there = self._named(row)
        if not there:
            self.unequipped(row["dpc"], row["cic"], "GRS")
            return
        status = [0] * (row["range"] + 1)
        hardware = []
        for circuit in there:
            circuit.step("group_reset", now_ms)
            status[circuit.cic - row["cic"]] = 1 if circuit.local == "blocked" else 0
            if circuit.local_hardware:
                hardware.append(circuit.cic)
        for first, bits in runs(hardware, False):       # 2.9.3.2: said again before GRA
            bits = bits + [0] if len(bits) == 1 else bits
            self._begin({"kind": "CGB", "dpc": row["dpc"], "cic": first, "range": len(bits) - 1, "status": bits,
                         "type": "hardware"}, now_ms)
        self.send(row["dpc"], messages.Message("GRA", row["cic"], {
            "range_and_status": {"range": row["range"], "status": status}}))
        self.events.append({"event": "group_reset_indication", "call": None, "destination": row["dpc"],
                            "cic": row["cic"], "range": row["range"]})

    def _take_cgb(self, row, now_ms):
        block = row["kind"] == "CGB"
        there = self._named(row)
        if not there and sum(row["status"]):
            self.unequipped(row["dpc"], row["cic"], row["kind"])
            return
        acknowledged = [0] * (row["range"] + 1)
        for circuit in there:
            acknowledged[circuit.cic - row["cic"]] = 1
        self.send(row["dpc"], messages.Message(row["kind"] + "A", row["cic"], {
            "supervision_type": {"type": row["type"]},
            "range_and_status": {"range": row["range"], "status": acknowledged}}))
        for circuit in there:
            circuit.set_remote(row["type"] == "hardware", block, now_ms)

    def _take_cqm(self, row):
        states = []
        for i in range(row["range"] + 1):
            circuit = self.circuits.get((row["dpc"], row["cic"] + i))
            states.append({"call": "unequipped", "maintenance": "none", "hardware": "none"} if circuit is None
                          else circuit.indicator())
        self.send(row["dpc"], messages.Message("CQR", row["cic"], {
            "range_and_status": {"range": row["range"], "status": None}, "circuit_state_indicator": states}))

    # Answers

    def _answered_group(self, row, message, now_ms):
        kind = ANSWERS[message.kind]
        for asked in self.pending:
            same = (asked["kind"], asked["dpc"], asked["cic"], asked["range"]) == (kind, row["dpc"], row["cic"], row["range"])
            if same and (kind not in ("CGB", "CGU") or asked["type"] == row["type"]):
                self.pending = [other for other in self.pending if other is not asked]
                self._stop(asked)
                self.node_changed = True
                getattr(self, "_confirmed_" + kind.lower())(asked, row, message, now_ms)
                return
        self.count("group_answers_unexpected")

    def _confirmed_grs(self, asked, row, message, now_ms):
        for circuit in self._named(asked):
            if circuit.state == codes.RESETTING:        # else something else has ended it before
                circuit.set_remote(False, bool(row["status"][circuit.cic - row["cic"]]), now_ms)
                circuit.step("group_reset_confirmed", now_ms, "group")
        self.events.append({"event": "group_reset_confirm", "call": None, "destination": row["dpc"], "cic": row["cic"],
                            "range": row["range"]})

    def _confirmed_cgb(self, asked, row, message, now_ms):
        for circuit in self._named(asked):
            if not row["status"][circuit.cic - row["cic"]]:
                self.fault(row, "CGBA leaves out CIC %d" % circuit.cic)
            elif asked["type"] == "maintenance" and circuit.local == "blocking":
                circuit.local = "blocked"
                circuit.tell("circuit_state", circuit.blocking())
                circuit.blocked_now(now_ms)
            self.touch(circuit)

    def _confirmed_cgu(self, asked, row, message, now_ms):
        for circuit in self._named(asked):
            if not row["status"][circuit.cic - row["cic"]]:
                self.fault(row, "CGUA leaves out CIC %d" % circuit.cic)
            elif asked["type"] == "maintenance" and circuit.local == "unblocking":
                circuit.local = "unblocked"
                circuit.tell("circuit_state", circuit.blocking())
            self.touch(circuit)

    def _confirmed_cqm(self, asked, row, message, now_ms):
        states = message.get("circuit_state_indicator")
        for i, state in enumerate(states[:row["range"] + 1]):
            circuit = self.circuits.get((row["dpc"], row["cic"] + i))
            if circuit is not None:
                self.reconcile(circuit, state, now_ms)
        self.events.append({"event": "query_confirm", "call": None, "destination": row["dpc"], "cic": row["cic"],
                            "states": states})
