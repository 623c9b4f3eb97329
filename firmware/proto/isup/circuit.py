"""One circuit of ISUP: its call, as actions of table.ROWS.

A Circuit belongs to a node.ISUP, which finds it by point code and CIC, sends
its messages and collects its events.  Its other halves: continuity.py (checks),
supervision.py (blocking, reset).  A call on it has a name of its own,
"GROUP.CIC.SERIAL", so that a late request for a call before it is void.
What must survive a restart of the process stands in KEPT.  Portable.
"""

from firmware.errors import LocalError
from firmware.proto.isup import codes, fields, messages
from firmware.proto.isup.continuity import ContinuityProcedures
from firmware.proto.isup.release import ReleaseProcedures
from firmware.proto.isup.supervision import SUPERVISION_TIMERS, SupervisionProcedures
from firmware.proto.isup.table import TABLE
from firmware.proto.machine import Machine

KEPT = ("state", "serial", "call_over", "digits", "complete", "setup", "clear", "transit", "control", "overlap_timeouts",
        "local", "local_wanted", "remote", "local_hardware", "remote_hardware", "confirmed", "failures", "idle_since",
        "iam", "pending_backward", "rlc_waits", "suspensions", "unequipped", "tone_on", "loop_on_circuit")


class Circuit(ReleaseProcedures, ContinuityProcedures, SupervisionProcedures, Machine):
    """A circuit.  group: the configuration row of its circuit group."""

    TABLE = TABLE
    INITIAL = codes.IDLE

    def __init__(self, node, group, cic, span, timeslot):
        Machine.__init__(self, node.durations_ms)
        self.node, self.group = node, group
        self.cic, self.span, self.timeslot = cic, span, timeslot
        self.name = "%s.%d" % (group["name"], cic)
        self.dpc = group["destination"]
        self.index = 0                  # place among the circuits of the node
        self.serial = 0
        self.call_over = True           # the layer above has had its `released`, or never knew
        self.idle_since = 0
        self.local = "unblocked"        # blocked by us: unblocked, blocking, blocked, unblocking
        self.local_wanted = None
        self.remote = False             # blocked by the far end
        self.local_hardware = self.remote_hardware = False
        self.failures = 0               # continuity checks in a row that failed
        self.unequipped = False
        self._clean()

    def _clean(self):
        self.digits, self.complete = "", False
        self.setup = None               # the IAM received, until it is presented: octets as hex
        self.iam = None                 # [digits sent, caller, category]: for INR
        self.clear = None
        self.transit = False
        self.control = "first"          # who controls the release: first, caller, called
        self.overlap_timeouts = 0
        self.pending_backward = None
        self.rlc_waits = False          # RLC goes when BLA comes (2.9.6)
        self.suspensions = []           # by whom: "user", "network"
        self.confirmed = True

    @property
    def call(self):
        """The name of the present call."""
        return "%s.%d" % (self.name, self.serial)

    # What all actions use

    def send(self, kind, content=None, unknown=()):
        """Send a message about this circuit."""
        message = messages.Message(kind, self.cic, content or {})
        message.unknown = [list(row) for row in unknown]
        self.node.send(self.dpc, message)

    def event(self, name, more=None):
        """Tell the layer above about the call."""
        if self.call_over:
            return
        event = {"event": name, "call": self.call, "group": self.group["name"], "cic": self.cic, "span": self.span,
                 "timeslot": self.timeslot, "state": self.state}
        event.update(more or {})
        self.node.events.append(event)

    def tell(self, name, more=None):
        """Tell management about the circuit."""
        event = {"event": name, "call": None, "circuit": self.name, "group": self.group["name"], "cic": self.cic,
                 "span": self.span, "timeslot": self.timeslot}
        event.update(more or {})
        self.node.events.append(event)

    def step(self, name, now_ms, *details):
        """As Machine.step; notes when the circuit fell idle, and that it changed."""
        before, told = self.state, len(self.node.events)
        if name in SUPERVISION_TIMERS:
            self.supervision_timer(name, now_ms)
        else:
            Machine.step(self, name, now_ms, *details)
        if self.state == codes.IDLE and before != codes.IDLE:
            for timer in [row[0] for row in self.timers.dump()]:
                if timer not in SUPERVISION_TIMERS:
                    self.timers.stop(timer)
            self._clean()
            self.node.fell_idle(self, now_ms)
        for event in self.node.events[told:]:
            if "state" in event and event["call"] == self.call:
                event["state"] = self.state
        self.node.touch(self)

    def illegal(self, name, now_ms, *details):
        """2.9.5.1: unreasonable signalling information; or a caller of ours that erred."""
        if name in codes.TIMERS:
            return
        if name != name.upper():
            if self.state in codes.CLEARING + (codes.RESETTING, codes.IDLE):
                self.node.count("requests_too_late")
                return
            raise LocalError("%s: not in state %s of circuit %s" % (name, self.state, self.name))
        self.node.count("unreasonable_messages")
        if name in ("CFN", "LPA", "CRA", "CVR", "EXM"):                 # harm nobody
            return
        if self.state == codes.IDLE:
            self.tell("unreasonable_message", {"message": name, "state": self.state})
            Machine.step(self, "reset_request", now_ms)
        elif self.state in (codes.OUT_WAIT_COT, codes.OUT_WAIT_ACM) and name not in ("FOT", "CCL", "MPM"):
            # 2.9.5.1: before the backward message that the set-up waits for: reset, and another circuit
            self.end(codes.TEMPORARY_FAILURE, "failure", reattempt=True)
            Machine.step(self, "reset_request", now_ms)

    # We originate

    def send_iam(self, now_ms, given):
        control = given.get("release_control", "first")
        if control not in ("first", "caller", "called"):
            raise LocalError("setup_request: release_control is first, caller or called, not %r" % (control,))
        content = fields.iam_content(self.node.variant, self.group, given)
        message = messages.Message("IAM", self.cic, content)
        segment = self.node.split(message)
        octets = messages.encode(self.node.variant, message)
        self.node.send_octets(self.dpc, self.cic, octets)
        if segment:
            self.send("SGM", segment)
        self.call_over = False
        self.control, self.transit = control, bool(given.get("transit"))
        self.digits = content["called_party_number"]["number"]
        self.iam = [content.get("calling_party_number"), content["calling_party_category"]]
        self.timers.start("T7", now_ms)
        if given.get("continuity") == "this":
            self.start_check(now_ms)
            return codes.OUT_WAIT_COT
        return codes.OUT_WAIT_ACM

    def send_sam(self, now_ms, given):
        self.send("SAM", {"subsequent_number": {"number": given["digits"], "complete": bool(given.get("complete"))}})
        self.digits += given["digits"]
        self.timers.start("T7", now_ms)

    def address_complete(self, now_ms, message):
        self.timers.stop("T7")
        self.timers.start("T9", now_ms)
        backward = message.get("optional_backward_call_indicators") or {}
        found = fields.backward_fields(message)
        name = "alerting_indication" if found["called_status"] == "free" else "proceeding_indication"
        if backward.get("segmentation"):
            self.pending_backward = [name, found]
            self.timers.start("T34", now_ms)
        else:
            self.event(name, found)

    def call_progress(self, now_ms, message):
        event = message.get("event_information")["event"]
        found = fields.backward_fields(message)
        found["description"] = event
        found["inband"] = found["inband"] or event == "inband"
        self.event("alerting_indication" if event == "alerting" else "progress_indication", found)

    def connected(self, now_ms, message):
        self.timers.stop("T7")
        self._answer(message)

    def answered(self, now_ms, message):
        self.timers.stop("T9")
        self._answer(message)

    def _answer(self, message):
        if self.pending_backward:
            self.timers.stop("T34")
            self.segment_missing(0)
        self.event("setup_confirm", fields.backward_fields(message))

    def backward_segment(self, now_ms, message):
        if self.pending_backward is None:
            self.node.count("late_segments")
            return
        self.pending_backward[1]["elements"].update(fields.other_elements(message))
        self.timers.stop("T34")
        self.segment_missing(now_ms)

    def segment_missing(self, now_ms):
        name, found = self.pending_backward
        self.pending_backward = None
        self.event(name, found)

    def answer_inr(self, now_ms, message):
        asked = message.get("information_request_indicators")
        caller, category = self.iam or [None, None]
        content = {"information_indicators": {"calling_address": "not_included", "solicited": "solicited"}}
        if asked["calling_address"]:
            content["information_indicators"]["calling_address"] = "included" if caller else "not_available"
            if caller:
                content["calling_party_number"] = caller
        if asked["category"] and category:
            content["information_indicators"]["category"] = True
            content["calling_party_category"] = category
        self.send("INF", content)

    def send_inr(self, now_ms, given):
        self.send("INR", {"information_request_indicators": {
            "calling_address": given.get("calling_address", True), "category": given.get("category", False)}})
        self.timers.start("T33", now_ms)

    def information_received(self, now_ms, message):
        self.timers.stop("T33")
        self.event("caller_indication", {"caller": message.get("calling_party_number"),
                                         "category": (message.get("calling_party_category") or {}).get("value")})

    # The far end originates

    def take_iam(self, now_ms, message):
        """IAM on an idle circuit."""
        if self.local == "blocked" or self.local_hardware:
            self.iam_on_blocked(now_ms)
            return None
        if self.remote or self.remote_hardware:         # 2.8.2.3: it is not blocked there any more
            self.remote = self.remote_hardware = False
            self.tell("circuit_state", self.blocking())
        self._clean()
        self.serial += 1
        self.call_over = True           # until it is presented
        self.setup = messages.encode(self.node.variant, message).hex()
        number = message.get("called_party_number")
        self.digits, self.complete = number["number"], bool(number.get("complete")) or not self.group.get("overlap", True)
        continuity = message.get("nature_of_connection")["continuity"]
        if continuity in ("this", "previous"):
            self.timers.start("T8", now_ms)
            self.loop(continuity == "this")
            return codes.IN_WAIT_COT
        return self.after_continuity(now_ms)

    def after_continuity(self, now_ms):
        """Wait for a segment, or present the call."""
        optional = self.kept_iam().get("optional_forward_call_indicators") or {}
        if optional.get("segmentation"):
            self.timers.start("T34", now_ms)
            return codes.IN_WAIT_SGM
        return self.present(now_ms)

    def kept_iam(self):
        """The IAM of the present call."""
        return messages.decode(self.node.variant, bytes.fromhex(self.setup))

    def keep_digits(self, now_ms, message):
        more = message.get("subsequent_number")
        self.digits += more["number"]
        self.complete = self.complete or more["complete"]

    def keep_segment(self, now_ms, message):
        kept = self.kept_iam()
        for name in message.parameters:
            kept.parameters.setdefault(name, message.parameters[name])
        try:
            self.setup = messages.encode(self.node.variant, kept).hex()
        except LocalError:              # together longer than a message: keep what is longest there
            self.node.count("segments_too_long")

    def segment(self, now_ms, message):
        self.timers.stop("T34")
        return self.present(now_ms, message)

    def present(self, now_ms, segment=None):
        """Give the call to the layer above."""
        message = self.kept_iam()
        if segment is not None:
            for name in segment.parameters:
                message.parameters.setdefault(name, segment.parameters[name])
        if fields.bearer_of(message) in fields.MULTIRATE:               # more circuits than one: not here
            return self.begin_release(now_ms, codes.BEARER_NOT_IMPLEMENTED)
        found = fields.setup_fields(message)
        found.update({"called_digits": self.digits, "called_complete": self.complete, "law": self.group["law"],
                      "inband": False, "progress": [], "unknown": message.unknown})
        self.state = codes.IN_PRESENT
        self.call_over = False
        self.event("setup_indication", found)
        if self.complete:
            self.timers.start("T11", now_ms)
        else:
            self.timers.start("T35", now_ms)
        return codes.IN_PRESENT

    def wait_for_digits(self, now_ms, given):
        self.timers.stop("T11")
        self.timers.start("T35", now_ms)

    def more_digits(self, now_ms, message):
        self.keep_digits(now_ms, message)
        self.timers.stop("T35")
        self.timers.start("T11" if self.complete else "T35", now_ms)
        more = message.get("subsequent_number")
        self.event("information_indication", {"digits": more["number"], "complete": more["complete"]})

    def late_digits(self, now_ms, message):
        more = message.get("subsequent_number")
        self.event("information_indication", {"digits": more["number"], "complete": more["complete"]})

    def digits_timeout(self, now_ms):
        """First the layer above decides with the digits there are; left alone for as long again: released."""
        self.overlap_timeouts += 1
        if self.overlap_timeouts > 1:
            return self.begin_release(now_ms, codes.INVALID_NUMBER_FORMAT)
        self.timers.start("T35", now_ms)
        self.event("digits_timeout")
        return None

    def _backward(self, given):
        self.timers.stop("T11")
        self.timers.stop("T35")
        if given.get("transit"):
            self.transit = True
        if given.get("release_control"):
            self.control = given["release_control"]

    def send_acm(self, now_ms, given):
        self._backward(given)
        self.send("ACM", fields.backward_content(given, self.group))

    def interworking_acm(self, now_ms):
        self.send_acm(now_ms, {})

    def send_acm_free(self, now_ms, given):
        self._backward(given)
        self.send("ACM", fields.backward_content(given, self.group, "free"))

    def send_acm_progress(self, now_ms, given):
        self._backward(given)
        content = fields.backward_content(given, self.group)
        if given.get("cause"):
            content["cause_indicators"] = self.cause(given["cause"])
        self.send("ACM", content)

    def send_cpg_alerting(self, now_ms, given):
        self.send("CPG", fields.with_inband({"event_information": {"event": "alerting"}}, given))

    def send_cpg(self, now_ms, given):
        event = given.get("description") or ("inband" if given.get("inband") else "progress")
        content = fields.with_inband({"event_information": {"event": event}}, given)
        if given.get("cause"):
            content["cause_indicators"] = self.cause(given["cause"])
        self.send("CPG", content)

    def send_con(self, now_ms, given):
        self._backward(given)
        if self.node.variant == "ansi":                 # T1.113 has no CON
            self.send("ACM", fields.backward_content({}, self.group))
            self.send("ANM", fields.with_inband({}, given))
        else:
            self.send("CON", fields.backward_content(given, self.group))
        self._answered()

    def send_anm(self, now_ms, given):
        self._backward(given)
        self.send("ANM", fields.with_inband({}, given))
        self._answered()

    def _answered(self):
        self.state = codes.IN_ANSWERED
        self.event("setup_complete_indication")

    def send_sgm(self, now_ms, given):
        self.send("SGM", dict(given.get("elements") or {}))

    # While the call is there

    def passed(self, now_ms, message):
        """A message of a service: the layer above may hand it on."""
        self.event("message_indication", {"message": message.kind, "parameters": message.parameters,
                                          "unknown": message.unknown, "octets": message.raw.hex()})

    def send_message(self, now_ms, given):
        """message_request(message, parameters) or (code, octets): as it is."""
        made = messages.Message(given.get("message"), self.cic, dict(given.get("parameters") or {}), given.get("code"))
        made.raw = bytes.fromhex(given.get("octets", ""))
        made.unknown = [list(row) for row in given.get("unknown") or []]
        self.node.send(self.dpc, made)

    def forward_transfer(self, now_ms, message):
        self.event("forward_transfer_indication")

    def send_fot(self, now_ms, given):
        self.send("FOT")

    def confused(self, now_ms, message):
        cause = message.get("cause_indicators")
        self.node.count("confusions_received")
        self.event("protocol_error", {"cause": cause["cause"], "text": "the far end does not know something we sent (CFN)",
                                      "diagnostics": cause["diagnostics"]})

    def calling_cleared(self, now_ms, message):
        self.event("calling_clear_indication")

    def metered(self, now_ms, message):
        self.event("charge_indication", {"charge": message.get("charge_information")["value"]})

    def send_mpm(self, now_ms, given):
        self.send("MPM", {"charge_information": {"value": given["charge"]}})

    def operator(self, now_ms, message):
        self.event("operator_indication")

    def send_opr(self, now_ms, given):
        self.send("OPR")
