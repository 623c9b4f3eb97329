"""ISUP of one signalling point: its circuit groups, and the calls on them.

    isup = ISUP(config)
    events = isup.mtp_event(event, now_ms)               # what MTP3 gave: transfer, pause, resume, status
    call = isup.new_call("a")                            # or new_call("a", cic)
    events = isup.request("setup_request", call, now_ms, called="02150801000", caller="13912345678")
    events = isup.circuit_request("block", "a.5", now_ms)
    events = isup.group_request("reset", "a", now_ms, cics=[1, 2, 3])
    for dpc, sls, octets in isup.take_output(): ...      # MTP3's request("transfer", si=5, ...)
    isup.deadline_ms(); events = isup.expire(now_ms)

config: {"variant": "itu"|"ansi"|"china", "point_code": 100, "groups": [row, ...], "location": 4,
    "exchange": "a" (ends calls or interworks) | "b" (transit), "ucic": bool, "confusion": bool (send CFN), "timers": {"T7": ms}}
A row: {"name": "a", "destination": 200, "circuits": [[first CIC, span, first timeslot, how many], ...],
    "law": "A"|"u", "overlap": True, "send_st": bool, "control": None (by point code)|"all"|"none"|"even"|"odd",
    "charge": "charge"|"no_charge"|"none", "transit": bool (unknown parameters of an IAM are kept), "query": bool (circuit query after a restart), "loop_acknowledge": bool}
"circuits" maps consecutive CICs to consecutive timeslots, so a gap (timeslot 16) begins a new piece.

Primitives of a call (request): as in Q.931: setup_request(called, caller, redirecting, original_called,
bearer, complete, category, continuity: None|"this"|"previous", release_control, transit, priority, elements),
information_request(digits, complete), setup_ack_request, proceeding_request (ACM), alerting_request,
progress_request(inband, cause, description), setup_response, release_request(cause); and
clear_request (our party hung up: REL, or CCL or SUS where the other one controls the release),
cannot_release, suspend_request(by), resume_request(by), information_demand, forward_transfer_request,
charge_request(charge), operator_request, segment_request(elements), message_request(message, parameters).
release_request may be given at any time.  Others raise LocalError where the state forbids them.
circuit_request: block, unblock, reset, check (continuity), continuity_result(ok).

Events: dicts {"event", "call", "group", "cic", "span", "timeslot", "state", ...}:
  setup_indication{caller, called, called_digits, called_complete, redirecting, original_called, bearer, law, category,
      inband, progress, display, unknown, elements}   information_indication{digits, complete}   digits_timeout{}
  proceeding_indication, alerting_indication, progress_indication{inband, cause, charge, description}
  setup_confirm{connected}   setup_complete_indication   suspend_indication, resume_indication{by}
  disconnect_indication{cause, location, by, reattempt}    answer: release_request (void if `by` is not "far")
  released{cause, location, by, reattempt, maintenance}    exactly one for each call the layer above knows, its last;
      reattempt: the circuit was at fault, another one should be tried
  caller_indication, calling_clear_indication, charge_indication, operator_indication, forward_transfer_indication,
  message_indication{message, parameters, octets}, pass_on{octets}, protocol_error, call_confirmed, call_lost
and with call None: circuit_state{local, remote, ...}, circuit_fault{text}, continuity_tone{on},
continuity_loop{on}, continuity_confirm{ok}, reset_indication, reset_confirm, group_reset_indication,
group_reset_confirm, query_confirm, group_fault, destination_state{available, step, level}, unequipped_indication.

Persistence: after each step write dump_circuit(n) for n in take_changed() and dump_node(); restore() and then
audit(now_ms) bring everything back after kill -9, without RSC or GRS.  receive() takes the number of a
message as sequence=(generation, n) and drops what is not beyond the last, as Q931Link does.
Source: Q.764 (12/1999), T1.113.4, YDN 038; portable.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.isup import codes, compatibility, messages
from firmware.proto.isup.audit import AuditProcedures
from firmware.proto.isup.availability import AvailabilityProcedures, Destination
from firmware.proto.isup.circuit import Circuit
from firmware.proto.isup.groups import GroupProcedures
from firmware.proto.isup.message_table import GROUP_MESSAGES, NEVER_CONFUSED
from firmware.proto.isup.reconcile import ReconcileProcedures
from firmware.proto.isup.table import ROWS
from firmware.proto.machine import Timers

PRIMITIVES = []
for _row in ROWS:
    for _name in _row[1] if isinstance(_row[1], tuple) else (_row[1],):
        if _name == _name.lower() and _name not in PRIMITIVES:
            PRIMITIVES.append(_name)
_NOT_FOR_CALLS = ("group_reset", "group_reset_request", "group_reset_confirmed", "reset_request", "check_request")
SUPERVISION = ("BLO", "BLA", "UBL", "UBA")
# What goes into a segment first when an IAM is too long: 2.1.12
SEGMENTABLE = ("user_to_user_information", "access_transport", "generic_digits", "generic_notification", "generic_number")


class ISUP(GroupProcedures, AvailabilityProcedures, ReconcileProcedures, AuditProcedures):
    """One signalling point's ISDN user part."""

    def __init__(self, config):
        self.config = config
        self.variant = config.get("variant", "itu")
        if self.variant not in messages.VARIANTS:
            raise LocalError("variant of ISUP is itu, ansi or china, not %r" % (self.variant,))
        self.point_code = config["point_code"]
        self.exchange = config.get("exchange", "a")
        self.location = config.get("location", 4)       # Q.850: public network serving the remote user
        self.ucic = config.get("ucic", self.variant == "ansi")
        self.durations_ms = codes.timers_ms(config.get("timers"))
        self.timers = Timers(self.durations_ms)
        self.congestion_level = 0
        self.counters = {}
        self.events = []
        self.pending = []
        self.node_changed = False
        self.groups, self.circuits, self.destinations = {}, {}, {}
        self._names, self._order = {}, []
        self._output, self._changed = [], {}
        self._deadlines = {}            # place in _order -> when: most circuits have no timer
        self._next_id = self._idle_count = 0
        self._last_sequence = None
        for row in config["groups"]:
            self._add_group(row)

    def _add_group(self, row):
        row = dict(row)
        row.setdefault("law", "u" if self.variant == "ansi" else "A")
        row.setdefault("overlap", self.variant != "ansi")
        if row["name"] in self.groups or "." in row["name"]:
            raise LocalError("circuit group %r: a name of its own without a point" % (row["name"],))
        self.groups[row["name"]] = row
        dpc = row["destination"]
        self.destinations.setdefault(dpc, Destination(dpc))
        for first, span, timeslot, count in row["circuits"]:
            for i in range(count):
                if (dpc, first + i) in self.circuits or not 0 <= first + i < 1 << messages.CIC_BITS[self.variant]:
                    raise LocalError("circuit group %s: CIC %d is double or too high" % (row["name"], first + i))
                circuit = Circuit(self, row, first + i, span, timeslot + i)
                circuit.index = len(self._order)
                self.circuits[(dpc, first + i)] = circuit
                self._names[circuit.name] = circuit
                self._order.append(circuit)

    # For the parts

    def count(self, name):
        """Count one more of a name."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def put(self, dpc, cic, octets):
        """Hand a whole message to MTP.  All messages of a circuit go one way: the SLS is its CIC's end."""
        if not self.destinations[dpc].available:
            self.count("messages_without_route")
            return
        self._output.append((dpc, cic & (31 if self.variant == "ansi" else 15), octets))

    def send(self, dpc, message):
        """Encode and send."""
        self.put(dpc, message.cic, messages.encode(self.variant, message))

    def send_octets(self, dpc, cic, octets):
        """Send what is encoded."""
        self.put(dpc, cic, octets)

    def split(self, message):
        """Shorten an IAM that is too long: returns the parameters of its SGM, or None.  2.1.12."""
        segment = {}
        for name in SEGMENTABLE:
            if len(messages.encode(self.variant, message, False)) <= messages.MAX_OCTETS[self.variant]:
                break
            if name in message.parameters:
                segment[name] = message.parameters.pop(name)
                known = dict(message.parameters.get("optional_forward_call_indicators") or {})
                known["segmentation"] = True
                message.parameters["optional_forward_call_indicators"] = known
        return segment or None

    def touch(self, circuit):
        """Note that a circuit changed."""
        self._changed[circuit.name] = True
        deadline_ms = circuit.deadline_ms()
        if deadline_ms is None:
            self._deadlines.pop(circuit.index, None)
        else:
            self._deadlines[circuit.index] = deadline_ms

    def fell_idle(self, circuit, now_ms):
        """For choose(): who is idle for how long."""
        self._idle_count += 1
        circuit.idle_since = self._idle_count
        self.node_changed = True

    def finish(self):
        """Hand the events on."""
        events, self.events = self.events, []
        return events

    def controls(self, circuit):
        """2.9.1.4: the higher point code controls the even CICs."""
        rule = circuit.group.get("control")
        if rule in ("all", "none"):
            return rule == "all"
        if rule in ("even", "odd"):
            return circuit.cic % 2 == (0 if rule == "even" else 1)
        return circuit.cic % 2 == (0 if self.point_code > circuit.dpc else 1)

    def group_circuits(self, group):
        """The circuits of a group in the order of the configuration."""
        return [c for c in self._order if c.group["name"] == group]

    def all_circuits(self):
        """Every circuit in the order of the configuration."""
        return list(self._order)

    def circuit(self, name):
        """A circuit by its name.  Raises LocalError."""
        if name not in self._names:
            raise LocalError("there is no circuit %r" % (name,))
        return self._names[name]

    # Messages in

    def receive(self, opc, octets, now_ms, sequence=None):
        """Take one message of a far exchange.  Returns events; never raises on what it sent."""
        if sequence is not None:
            sequence = list(sequence)
            if self._last_sequence is not None and sequence <= self._last_sequence:
                self.count("repeated_deliveries")
                return []
            self._last_sequence = sequence
            self.node_changed = True
        destination = self.destinations.get(opc)
        if destination is None:
            self.count("unknown_points")
            return []
        try:
            message = messages.decode(self.variant, octets)
        except RemoteError:
            self.count("ignored_messages")              # 2.9.5.1: format errors
            return self.finish()
        self.user_heard(destination, now_ms)
        if message.kind == "UPT":
            self.send(opc, messages.Message("UPA", message.cic))
        elif message.kind == "UPA":
            pass
        elif message.kind in GROUP_MESSAGES:
            self.receive_group(opc, message, now_ms)
        else:
            circuit = self.circuits.get((opc, message.cic))
            if circuit is None:
                self.unequipped(opc, message.cic, message.kind)
            else:
                self._receive_circuit(circuit, message, bytes(octets), now_ms)
        return self.finish()

    def unequipped(self, dpc, cic, kind):
        """2.12: a message about a circuit that is not here."""
        self.count("unequipped_circuits")
        if self.ucic and kind in ("IAM", "CCR", "CVT", "BLO", "UBL", "RSC", "GRS", "CGB", "CGU"):
            self.send(dpc, messages.Message("UCIC", cic))
        self.events.append({"event": "unequipped_indication", "call": None, "destination": dpc, "cic": cic,
                            "message": kind})

    def _receive_circuit(self, circuit, message, octets, now_ms):
        transit = circuit.transit or bool(circuit.group.get("transit"))
        action, cause, notify = compatibility.judge(message, transit, self.exchange)
        if notify is not None and message.kind != "REL" and self.config.get("confusion", True):
            circuit.send("CFN", {"cause_indicators": circuit.cause(notify[0], notify[1])})
            self.count("confusions_sent")
        if action == "discard":
            self.count("messages_discarded")
        elif action == "pass":
            circuit.event("pass_on", {"octets": octets[2:].hex()})
        elif action == "release":
            self._refuse(circuit, message, cause, now_ms)
        elif message.kind in SUPERVISION or (message.kind == "UCIC" and (circuit.state, "UCIC") not in circuit.TABLE):
            circuit.receive_supervision(message, now_ms)
        elif message.kind == "REL" and circuit.state not in codes.CLEARING + (codes.IDLE, codes.RESETTING):
            if notify is not None and not transit:
                message.unknown = message.unknown or [[int(notify[1][:2], 16), ""]]
            circuit.step("REL", now_ms, message)
        elif message.kind in ("CVT", "CRM") and self.variant == "ansi":
            self._ansi(circuit, message)
        else:
            circuit.step(message.kind, now_ms, message)

    def _refuse(self, circuit, message, cause, now_ms):
        """2.9.5.3: release the call because of what its message holds."""
        diagnostics = bytes([message.code if message.kind is None else message.unknown[0][0]]).hex()
        if circuit.state == codes.IDLE and message.kind == "IAM":
            circuit.serial += 1
            circuit.state = circuit.begin_release(now_ms, cause, "failure", diagnostics)
        elif circuit.state in codes.OUTGOING + codes.INCOMING:
            circuit.state = circuit.begin_release(now_ms, cause, "failure", diagnostics)
        elif message.kind not in NEVER_CONFUSED and message.kind is not None:
            circuit.step(message.kind, now_ms, message)
        else:
            self.count("messages_discarded")
        self.touch(circuit)

    def _ansi(self, circuit, message):
        """T1.113.4 2.8.4 and 2.1.9: circuit validation; a reservation is acknowledged."""
        if message.kind == "CRM":
            circuit.send("CRA")
        else:
            # carrier type digital (10), control as the group says, no continuity demand: T1.113.3
            circuit.send("CVR", {"circuit_validation_response": {"success": True},
                                 "circuit_group_characteristic": {"octets": "02"}})

    # The layer above

    def free_circuits(self, group):
        """[{"cic", "span", "timeslot"}] that a new call may take, in the order of the configuration."""
        if not self.destinations[self.groups[group]["destination"]].available:
            return []
        return [{"cic": c.cic, "span": c.span, "timeslot": c.timeslot} for c in self.group_circuits(group) if c.available()]

    def choose(self, group):
        """A circuit as 2.9.1.3 (method 2) has it: of ours the longest idle, of theirs the one idle for the shortest time."""
        free = [c for c in self.group_circuits(group) if c.available()]
        ours = [c for c in free if self.controls(c)]
        best = None
        for circuit in ours or free:
            if best is None or (circuit.idle_since < best.idle_since if ours else circuit.idle_since > best.idle_since):
                best = circuit
        return best

    def new_call(self, group, cic=None):
        """Take a circuit for an outgoing call.  Returns the call's id.  Raises LocalError if none is free."""
        if group not in self.groups:
            raise LocalError("there is no circuit group %r" % (group,))
        if cic is None:
            circuit = self.choose(group)
        else:
            circuit = self.circuits.get((self.groups[group]["destination"], cic))
        if circuit is None or not circuit.available() or circuit.group["name"] != group:
            raise LocalError("circuit group %s: no circuit is free%s" % (group, "" if cic is None else ": CIC %d" % cic))
        circuit.serial += 1
        self.touch(circuit)
        return circuit.call

    def request(self, primitive, call, now_ms, **given):
        """Carry out a primitive for a call.  Returns events.  Raises LocalError."""
        if primitive not in PRIMITIVES or primitive in _NOT_FOR_CALLS:
            raise LocalError("ISUP has no primitive %r" % (primitive,))
        circuit = self._names.get(call.rsplit(".", 1)[0])
        if circuit is None:
            raise LocalError("%s: there is no call %r" % (primitive, call))
        if primitive == "setup_request":
            return self._setup(circuit, call, now_ms, given)
        if circuit.call != call:
            if primitive in ("release_request", "clear_request"):
                return []
            raise LocalError("%s: the call %r is over" % (primitive, call))
        circuit.step(primitive, now_ms, given)
        return self.finish()

    def _setup(self, circuit, call, now_ms, given):
        destination, cause, reattempt = self.destinations[circuit.dpc], None, True
        if circuit.call != call or not circuit.available(bool(given.get("priority"))):
            cause = codes.CIRCUIT_NOT_AVAILABLE
        elif not destination.available or not destination.user_available:
            cause, reattempt = codes.NETWORK_OUT_OF_ORDER, False
        elif not given.get("priority") and destination.refuses():
            cause, reattempt = codes.CONGESTION, False
        if cause is None:
            circuit.step("setup_request", now_ms, given)
        else:
            self.count("setups_refused")
            self.events.append({"event": "released", "call": call, "group": circuit.group["name"], "cic": circuit.cic,
                                "span": circuit.span, "timeslot": circuit.timeslot, "state": codes.IDLE, "cause": cause,
                                "by": "failure", "location": self.location, "diagnostics": "", "reattempt": reattempt,
                                "maintenance": False})
        return self.finish()

    def circuit_request(self, primitive, circuit, now_ms, **given):
        """Management of one circuit ("GROUP.CIC").  Returns events.  Raises LocalError."""
        circuit = self.circuit(circuit)
        if primitive == "block":
            circuit.block(now_ms)
        elif primitive == "unblock":
            circuit.unblock(now_ms)
        elif primitive in ("reset", "check"):
            circuit.step(primitive + "_request", now_ms)
        elif primitive == "continuity_result":
            circuit.step(primitive, now_ms, given)
        else:
            raise LocalError("a circuit has no request %r" % (primitive,))
        self.touch(circuit)
        return self.finish()

    def calls(self):
        """Ids of the calls that the layer above knows."""
        return [c.call for c in self._order if not c.call_over]

    def call_state(self, call):
        """{"state", "cic", "span", "timeslot", "originating"} of a call, or None."""
        circuit = self._names.get(call.rsplit(".", 1)[0])
        if circuit is None or circuit.call != call or circuit.state == codes.IDLE:
            return None
        return {"state": circuit.state, "cic": circuit.cic, "span": circuit.span, "timeslot": circuit.timeslot,
                "originating": circuit.iam is not None}

    def take_output(self):
        """Return the messages to send: [(point code, SLS, octets), ...]."""
        output, self._output = self._output, []
        return output

    def deadline_ms(self):
        """When to call expire(), or None."""
        found = list(self._deadlines.values())
        if self.timers.deadline_ms() is not None:
            found.append(self.timers.deadline_ms())
        return min(found) if found else None

    def expire(self, now_ms):
        """Let every timer that has fallen due act.  Returns events."""
        for index in sorted([i for i in self._deadlines if self._deadlines[i] <= now_ms]):
            self._order[index].expire(now_ms)
            self.touch(self._order[index])
        while True:
            name = self.timers.due(now_ms)
            if name is None:
                return self.finish()
            if name.split(" ")[0] in ("T4", "T29", "T30", "ACL"):
                self.destination_timer(name, now_ms)
            else:
                self.group_timer(name, now_ms)
