"""One Q.931 call, user or network side: the actions of table.ROWS.

A Call belongs to a link.Q931Link, which finds it by call reference, sends its
messages and collects its events.  Everything that must survive a restart of
the process stands in Call.dump().

Error handling of a message before the table sees it: `receive` (5.8.6, 5.8.7).
Status procedures: status.py.
"""

from firmware.errors import LocalError
from firmware.proto.machine import Machine
from firmware.proto.q931 import codes, elements, messages, parameters, party_name
from firmware.proto.q931.facility import Facilities
from firmware.proto.q931.status import StatusProcedures
from firmware.proto.q931.table import TABLES

CLEARING_MESSAGES = ("DISCONNECT", "RELEASE", "RELEASE_COMPLETE")
# Of these the last one sent says where the far end ought to stand: it is what
# T303, T308 and a reconciliation send again.
_STATE_CHANGING = ("SETUP", "SETUP_ACKNOWLEDGE", "CALL_PROCEEDING", "ALERTING", "CONNECT",
                   "CONNECT_ACKNOWLEDGE", "DISCONNECT", "RELEASE")
PRIMITIVES = ("setup_request", "information_request", "setup_ack_request", "proceeding_request",
              "alerting_request", "progress_request", "setup_response", "notify_request",
              "disconnect_request", "release_request", "status_enquiry", "mcid_request", "hold_request", "retrieve_request", "ect_request")
_KEPT = ("reference", "originating", "reference_octets", "timeslot", "exclusive", "responded", "last_sent", "clear",
         "repeated", "enquiries", "enquired_state", "audited", "overlap_timeouts", "held", "asked_mcid",
         "holding", "asked_ect", "urgent", "joining")


class Call(StatusProcedures, Facilities, Machine):
    """A call.  identity: the id in events; originating: whether we sent the SETUP."""

    def __init__(self, link, identity, reference, originating, reference_octets):
        self.TABLE = TABLES[link.role]
        self.INITIAL = codes.state_name(link.role, 0)
        super().__init__(link.timers_ms)
        self.link = link
        self.identity = identity
        self.reference = reference
        self.originating = originating
        self.reference_octets = reference_octets
        self.timeslot = None
        self.exclusive = True
        self.responded = False          # our first response to SETUP has named the channel
        self.last_sent = ""             # hex of the last state-changing message
        self.clear = None               # {"cause", "location", "by"}: who began to clear, and why
        self.repeated = False           # T303 or T308 has expired once
        self.enquiries = 0              # STATUS_ENQUIRY sent and not answered
        self.enquired_state = None
        self.audited = False            # restored, and the far end not yet asked
        self.overlap_timeouts = 0
        self.held = False               # by the far end
        self.asked_mcid = None          # invoke identifier of the last question
        self.holding = ""               # by us: "asking", "held" or "retrieving"
        self.asked_ect = None
        self.urgent = False             # an emergency call: it may have a timeslot that is out of service
        self.joining = None             # invoke identifier by which the user asked us to join the call with another one

    @property
    def number(self):
        """The state's number, as STATUS carries it."""
        return codes.state_number(self.state)

    def dump(self):
        """Everything, as a JSON-able dict."""
        saved = {"state": self.state, "timers": self.timers.dump()}
        for name in _KEPT:
            saved[name] = getattr(self, name)
        return saved

    def load(self, saved):
        """Take what dump() gave."""
        self.state = saved["state"]
        self.timers.restore(saved["timers"])
        for name in _KEPT:
            if name in saved:           # a dump of before there was such a field has none
                setattr(self, name, saved[name])

    # In

    def step(self, name, now_ms, *details):
        """Machine.step; the events of the step tell the state that it ended in."""
        first = len(self.link.events)
        super().step(name, now_ms, *details)
        for event in self.link.events[first:]:
            event["state"] = self.state

    def receive(self, message, now_ms):
        """Take a message with this call's reference."""
        unknown = message.kind is None or message.kind in self.link.rules["not_implemented"]
        if unknown or message.kind in ("RESTART", "RESTART_ACKNOWLEDGE"):
            self.send_status(codes.MESSAGE_NOT_IMPLEMENTED if unknown else codes.MESSAGE_NOT_COMPATIBLE,
                              bytes([message.code]))
            self.report(97 if unknown else 101, "message type %02x is not one of a call" % message.code)
            return
        cause, diagnostics = self._judge(message)
        if cause:
            self.report(cause, "%s: bad or missing element %s" % (message.kind, diagnostics.hex()))
            if message.kind == "SETUP":
                self._fail_setup(cause, diagnostics)
                return
            if message.kind not in CLEARING_MESSAGES:
                self.send_status(cause, diagnostics)
                return
        elif self.link.config["status_on_element_fault"] and message.kind not in CLEARING_MESSAGES:
            for fault, identifier in message.faults[:1]:
                self.send_status(100 if fault == "content" else 99, bytes([identifier]))
        self.step(message.kind, now_ms, message)

    def _judge(self, message):
        """5.8.6 and 5.8.7.1.  Returns (cause or None, diagnostics)."""
        mandatory = list(codes.MANDATORY.get(message.kind, ()))
        rules = self.link.rules
        if message.kind == "SETUP" and self.link.side in rules["channel_in_setup"]:
            mandatory.append("channel_identification")
        if message.kind in ("RELEASE", "RELEASE_COMPLETE") and self.clear is None:
            mandatory.append("cause")
        faulty = {}
        for fault, identifier in message.faults:
            faulty.setdefault(identifier, fault)
        missing = [i for i in sorted(faulty) if faulty[i] == "comprehension" and rules["comprehension"]]
        contents = []
        for name in mandatory:
            if name not in message.elements:
                identifier = elements.IDENTIFIERS[name]
                (contents if identifier in faulty else missing).append(identifier)
        if missing:
            return codes.MANDATORY_ELEMENT_MISSING, bytes(missing)
        if contents:
            return codes.INVALID_ELEMENT_CONTENTS, bytes(contents)
        if message.kind in CLEARING_MESSAGES and rules["unknown_in_clearing"]:
            unknown = [i for i in sorted(faulty) if faulty[i] == "unrecognised"]
            if unknown:
                return codes.ELEMENT_NOT_IMPLEMENTED, bytes(unknown)
        return None, b""

    def illegal(self, name, now_ms, *details):
        """5.8.4 for messages; our caller's mistake, or too late, for primitives."""
        if name in codes.MESSAGE_CODES:
            self.send_status(codes.MESSAGE_NOT_COMPATIBLE, bytes([codes.MESSAGE_CODES[name]]))
            self.report(101, "%s in state %s" % (name, self.state))
        elif name in PRIMITIVES and self.number not in (11, 12, 19):
            raise LocalError("call %s: %s is not possible in state %s" % (self.identity, name, self.state))

    # Out

    def send(self, kind, content):
        message = messages.Message(kind, self.reference, 0 if self.originating else 1, content,
                                   self.reference_octets)
        octets = messages.encode(message)
        if kind in _STATE_CHANGING:
            self.last_sent = octets.hex()
        self.link.send(octets)

    def event(self, name, fields=None):
        event = {"event": name, "call": self.identity, "timeslot": self.timeslot, "state": self.state}
        if fields:
            event.update(fields)
        self.link.events.append(event)

    def report(self, cause, text):
        """Say that the far end broke the protocol; the adapter logs it."""
        self.link.count("protocol_errors")
        self.event("protocol_error", {"cause": cause, "text": text})

    def _cause(self, cause, diagnostics=b""):
        return {"coding": 0, "location": self.link.location, "cause": cause,
                "diagnostics": diagnostics.hex()}

    def send_status(self, cause, diagnostics=b""):
        self.send("STATUS", {"cause": self._cause(cause, diagnostics),
                              "call_state": {"coding": 0, "state": self.number}})

    def _respond(self, kind, given):
        """A message that answers SETUP: the first one names the channel (5.1.2, 5.2.3)."""
        content = parameters.content(given, self.link.location)
        if not self.responded:
            content["channel_identification"] = self.link.channel(self.timeslot, True)
            self.responded = True
        self.send(kind, content)

    def _begin_clearing(self, cause, by, location=None, diagnostics=""):
        if self.clear is None:
            self.clear = {"cause": cause, "by": by, "diagnostics": diagnostics,
                          "location": self.link.location if location is None else location}

    def _stop_all(self):
        """No timer of the call runs on into its clearing; who asked something of the network is told that nobody will answer."""
        self.fail_questions("the call ended before the network answered")
        self.timers.stop_all()

    def end(self, cause, by, maintenance=False):
        """The last thing of every call: one event `released`, and the reference is free."""
        self._begin_clearing(cause, by)
        self._stop_all()
        fields = dict(self.clear)
        fields["maintenance"] = maintenance
        self.state = self.INITIAL
        self.event("released", fields)

    # We originate

    def send_setup(self, now_ms, given):
        if not self.link.up:
            self.end(codes.NETWORK_OUT_OF_ORDER, "failure")
            return self.INITIAL
        content = parameters.setup_content(given, self.link.location, self.link.rules, self.link.side)
        self.timeslot = given.get("timeslot")
        self.exclusive = given.get("exclusive", True)
        content["channel_identification"] = self.link.channel(self.timeslot, self.exclusive)
        self.send("SETUP", content)
        self.timers.start("T303", now_ms)
        return None

    def send_information(self, now_ms, given):
        self.send("INFORMATION", parameters.digits_content(given))
        self.timers.start("T304", now_ms)

    def _take_channel(self, message, now_ms):
        """The far end's first response may move a preferred channel.  Returns whether it fits."""
        if self.responded:
            return True
        self.responded = True
        channel = message.get("channel_identification")
        timeslot = self.timeslot
        if channel is not None and channel["channels"]:
            timeslot = self.link.timeslot_of(channel)
        moved = self.timeslot is not None and timeslot != self.timeslot
        if (moved and self.exclusive) or not self.link.usable(timeslot, self):
            self.link.count("channels_refused")
            return False
        self.timeslot = timeslot
        return True

    def _answered_setup(self, message, now_ms):
        """Common to every answer to SETUP.  Returns None, or the state to go to instead."""
        for name in ("T303", "T304", "T310"):
            self.timers.stop(name)
        if self._take_channel(message, now_ms):
            return None
        return self.begin_disconnect(now_ms, codes.CHANNEL_UNACCEPTABLE)

    def setup_acknowledged(self, now_ms, message):
        refused = self._answered_setup(message, now_ms)
        if not refused:
            self.timers.start("T304", now_ms)
            self.event("setup_ack_indication", parameters.progress_fields(message))
        return refused

    def proceeding(self, now_ms, message):
        refused = self._answered_setup(message, now_ms)
        if not refused:
            fields = parameters.progress_fields(message)
            if not fields["inband"]:
                self.timers.start("T310", now_ms)
            self.event("proceeding_indication", fields)
        return refused

    def alerting(self, now_ms, message):
        refused = self._answered_setup(message, now_ms)
        if not refused:
            self.timers.start("T301", now_ms)
            self.event("alerting_indication", parameters.progress_fields(message))
        return refused

    def progress(self, now_ms, message):
        self.timers.stop("T304")
        self.timers.stop("T310")
        self.event("progress_indication", parameters.progress_fields(message))

    def connected(self, now_ms, message):
        refused = self._answered_setup(message, now_ms)
        if not refused:
            self.timers.stop("T301")
            self.send("CONNECT_ACKNOWLEDGE", {})
            self.event("setup_confirm", parameters.connect_fields(message))
        return refused

    def connected_again(self, now_ms, message):
        if self.originating:
            self.send("CONNECT_ACKNOWLEDGE", {})

    # The far end originates

    def take_setup(self, now_ms, message):
        bearer = message.get("bearer_capability")
        if not parameters.bearer_accepted(bearer, self.link.config):
            return self._fail_setup(self.link.config["bearer_cause"], b"")
        if self.link.is_urgent is not None:
            self.urgent = self.link.is_urgent(parameters.digits_fields(message)["digits"])
        self.timeslot, cause = self.link.choose(message.get("channel_identification"), self)
        if cause:
            return self._fail_setup(cause, b"")
        self.event("setup_indication", parameters.setup_fields(message, self.link.overlap_receiving))
        return None

    def _fail_setup(self, cause, diagnostics):
        """Answer a SETUP that cannot be taken; the layer above never hears of it."""
        self.send("RELEASE_COMPLETE", {"cause": self._cause(cause, diagnostics)})
        self.link.count("setups_refused")
        self.state = self.INITIAL
        return self.INITIAL

    def send_setup_acknowledge(self, now_ms, given):
        self._respond("SETUP_ACKNOWLEDGE", given)
        self.timers.start("T302", now_ms)

    def more_digits(self, now_ms, message):
        if "sending_complete" in message.elements:
            self.timers.stop("T302")
        else:
            self.timers.start("T302", now_ms)
        self.information(now_ms, message)

    def information(self, now_ms, message):
        self.event("information_indication", parameters.digits_fields(message))

    def digits_timeout(self, now_ms):
        """First the layer above decides what to do with the digits there are; left alone
        for as long again, the call is cleared as incomplete (5.2.4)."""
        self.overlap_timeouts += 1
        if self.overlap_timeouts > 1:
            return self.begin_disconnect(now_ms, codes.INVALID_NUMBER_FORMAT, "failure")
        self.timers.start("T302", now_ms)
        self.event("digits_timeout")
        return None

    def send_proceeding(self, now_ms, given):
        self.timers.stop("T302")
        self._respond("CALL_PROCEEDING", given)

    def send_alerting(self, now_ms, given):
        self.timers.stop("T302")
        self._respond("ALERTING", given)

    def send_progress(self, now_ms, given):
        self.send("PROGRESS", parameters.progress_content(given, self.link.location))

    def send_connect(self, now_ms, given):
        self.timers.stop("T302")
        self._respond("CONNECT", given)
        if self.link.role == "user":
            self.timers.start("T313", now_ms)
        else:
            self.event("setup_complete_indication")

    def connect_acknowledged(self, now_ms, message):
        self.timers.stop("T313")
        self.event("setup_complete_indication")

    # While the call is there

    def notified(self, now_ms, message):
        self.event("notify_indication", {"description": message.get("notification_indicator")["description"]})

    def send_notify(self, now_ms, given):
        self.send("NOTIFY", {"notification_indicator": {"description": given["description"]}})

    def facility(self, now_ms, message):
        """A service of facility.py; National ISDN may send the caller's name after SETUP."""
        if self.take_components(now_ms, message):
            return
        name = party_name.of_message(message)
        if name is None:
            self.link.count("facility_ignored")
        else:
            self.event("name_indication", {"caller_name": name})

    def reject_hold(self, now_ms, message):
        self.send("HOLD_REJECT", {"cause": self._cause(codes.FACILITY_NOT_IMPLEMENTED)})

    def reject_retrieve(self, now_ms, message):
        self.send("RETRIEVE_REJECT", {"cause": self._cause(codes.FACILITY_NOT_IMPLEMENTED)})

    # Clearing

    def begin_disconnect(self, now_ms, cause, by="failure", inband=False):
        """Send DISCONNECT.  Returns the state in which we wait."""
        self._begin_clearing(cause, by)
        self._stop_all()
        content = {"cause": self._cause(cause)}
        user = self.link.role == "user"
        inband = inband and self.link.rules["clear_with_tone"]
        if inband:
            content["progress_indicator"] = [parameters.inband_progress(self.link.location)]
        content.update(self.joined())
        self.send("DISCONNECT", content)
        self.timers.start("T306" if inband and not user else "T305", now_ms)
        return codes.state_name(self.link.role, 11 if user else 12)

    def send_disconnect(self, now_ms, given):
        return self.begin_disconnect(now_ms, given.get("cause", 16), "near", given.get("inband", False))

    def reject(self, now_ms, given):
        cause = given.get("cause", 16)
        self.send("RELEASE_COMPLETE", {"cause": self._cause(cause)})
        self.end(cause, "near")

    def forget(self, now_ms, given):
        self.end(given.get("cause", 16), "near")

    def disconnected(self, now_ms, message):
        self.take_components(now_ms, message)       # EN 300 369-1: the answer to a transfer may come with the clearing
        cause, problem = self._cause_of(message)
        self._stop_all()
        self._begin_clearing(cause["cause"], "far", cause["location"], cause["diagnostics"])
        fields = parameters.progress_fields(message)
        fields.update(self.clear)
        self.event("disconnect_indication", fields)
        if problem is None:
            return None
        # 5.8.6, 5.8.7.1: the RELEASE tells what was wrong, and goes at once.
        self._release(now_ms, self._cause(*problem))
        return codes.state_name(self.link.role, 19)

    def _cause_of(self, message):
        """(cause of a clearing message, or 31 where it has none that is readable; what is wrong)."""
        wrong = self._judge(message)
        cause = message.get("cause")
        if cause is None:
            cause = {"cause": codes.NORMAL_UNSPECIFIED, "location": self.link.far_location,
                     "diagnostics": ""}
        return cause, (wrong if wrong[0] else None)

    def _release(self, now_ms, cause):
        self._stop_all()
        self.repeated = False
        self.send("RELEASE", {"cause": cause})
        self.timers.start("T308", now_ms)

    def send_release(self, now_ms, *details):
        """RELEASE: asked for by the layer above, after a collision (5.3.5) or T305."""
        given = details[0] if details and isinstance(details[0], dict) else {}
        self._release(now_ms, self._cause(given.get("cause", self.clear["cause"])))

    def take_release(self, now_ms, message):
        first = self.clear is None
        self.take_components(now_ms, message)
        cause, problem = self._cause_of(message)
        content = {}
        if problem:
            content["cause"] = self._cause(*problem)
        elif first:                     # 5.3.2: RELEASE was the first clearing message
            content["cause"] = self._cause(cause["cause"])
        self._begin_clearing(cause["cause"], "far", cause["location"], cause["diagnostics"])
        self.send("RELEASE_COMPLETE", content)
        self.end(cause["cause"], "far")

    def take_release_complete(self, now_ms, message):
        self.take_components(now_ms, message)
        cause, _ = self._cause_of(message)
        self._begin_clearing(cause["cause"], "far", cause["location"], cause["diagnostics"])
        self.end(cause["cause"], "far")

    # Timers

    def timeout(self, now_ms):
        return self.begin_disconnect(now_ms, codes.RECOVERY_ON_TIMER_EXPIRY)

    def no_answer(self, now_ms):
        return self.begin_disconnect(now_ms, codes.NO_ANSWER)

    def overlap_timeout(self, now_ms):
        return self.begin_disconnect(now_ms, codes.INVALID_NUMBER_FORMAT)

    def proceeding_timeout(self, now_ms):
        return self.begin_disconnect(now_ms, codes.NO_USER_RESPONDING)

    def setup_timeout(self, now_ms):
        if not self.repeated:
            self.repeated = True
            self.link.send(bytes.fromhex(self.last_sent))
            self.timers.start("T303", now_ms)
            return None
        self.send("RELEASE_COMPLETE", {"cause": self._cause(codes.RECOVERY_ON_TIMER_EXPIRY)})
        self.end(codes.NO_USER_RESPONDING, "failure")
        return self.INITIAL

    def release_timeout(self, now_ms):
        if not self.repeated:
            self.repeated = True
            self.link.send(bytes.fromhex(self.last_sent))
            self.timers.start("T308", now_ms)
            return None
        self.end(codes.RECOVERY_ON_TIMER_EXPIRY, "failure", True)
        return self.INITIAL

    def link_timeout(self, now_ms):
        self.link.owe_release(self)
        self.end(codes.DESTINATION_OUT_OF_ORDER, "failure")

    # The data link, restart

    def lost_with_link(self, now_ms):
        self.link.owe_release(self)
        self.end(codes.DESTINATION_OUT_OF_ORDER, "failure")

    def wait_for_link(self, now_ms):
        if not self.link.timers_ms["T309"]:         # none, as the user side may have it
            self.lost_with_link(now_ms)
            return self.INITIAL
        self.timers.stop("T322")
        self.enquiries = 0
        if not self.timers.running("T309"):
            self.timers.start("T309", now_ms)

    def repeat_last(self, now_ms):
        """The clearing message may have been lost with the data link: send it again."""
        self.link.send(bytes.fromhex(self.last_sent))

    def clear_after_reset(self, now_ms):
        return self.begin_disconnect(now_ms, codes.TEMPORARY_FAILURE)

    def restarted(self, now_ms):
        self.end(codes.TEMPORARY_FAILURE, "far")
