"""Q.931 for one D channel: call references, restart, status, and its calls.

    link = Q931Link("user", "etsi", config)
    events = link.link_up(now_ms)                        # dl_establish_indication / _confirm
    events = link.receive(octets, now_ms)                # dl_data_indication
    events = link.request("proceeding_request", call, now_ms, inband=True)
    for octets in link.take_output(): ...                # dl_data_request each
    link.deadline_ms(); events = link.expire(now_ms)

Calls are named by text: "f5" bears the far end's call reference 5, "n5" one of
ours.  An outgoing call begins with `call = link.new_call()`.

Primitives (request): setup_request(called, caller, redirecting, bearer, law,
caller_name, timeslot, exclusive, complete), information_request(digits, complete),
setup_ack_request, proceeding_request, alerting_request, progress_request,
setup_response (= CONNECT), notify_request(description), disconnect_request
and release_request (cause), status_enquiry, mcid_request, hold_request, retrieve_request, ect_request.  inband=True, display="" and
elements={} go with any that answers a SETUP; parameters.py has the details.
release_request may be given at any time and does what the state needs
(RELEASE_COMPLETE, DISCONNECT or RELEASE; nothing if the call is over).  Other
primitives raise LocalError where the state forbids them, and are void while
the call clears.

Events: dicts {"event", "call", "timeslot", "state", ...}:
  setup_indication{caller, caller_name, called, called_digits, called_complete, redirecting,
      bearer, law, inband, progress, display, subaddresses, user_user}
  setup_ack_indication, proceeding_indication, alerting_indication,
      progress_indication{inband, progress, cause, display}
  setup_confirm{connected, ...}      the far end has answered our SETUP
  setup_complete_indication          our CONNECT has been acknowledged
  information_indication{digits, complete}   digits_timeout{}
  disconnect_indication{cause, location, by, inband}   answer: release_request
  released{cause, location, by: "far"|"near"|"failure", maintenance}
      exactly one for each call of which the layer above knows, and its last
  call_confirmed{call_state, repaired}, call_lost{cause}   after audit()
  status_indication{cause, call_state}, notify_indication, protocol_error{cause, text}
  hold_indication, retrieve_indication     the far end holds the call, comes back (answered already)
  ect_indication{held, active}       the far end, a user, wants these two of its calls joined: done when we disconnect both, else it is refused in 5 s
  mcid_indication                    the far end, a user, says that its caller is malicious (answered already)
  mcid_confirm, mcid_failed{why}     the answer to mcid_request
  hold_confirm, hold_failed{why}, retrieve_confirm, retrieve_failed{why}, ect_confirm, ect_failed{why}       the answers to hold_request,
      retrieve_request (we hold the call) and ect_request (the network joins this call, which we hold, and our active one)
  name_indication{caller_name}       a name that comes after SETUP
and of the whole link (call None): link_state{up}, restart_indication
{timeslots}, restart_confirm{timeslots}, restart_failed{timeslots}; with
service(), of the North American variants: service_indication{timeslots,
status}, service_confirm, service_failed.

Persistence: after each step write dump_call(c) for c in take_changed() and
dump_link(); restore() and then audit(now_ms, up) bring the link back after
kill -9.  now_ms must come from a clock that goes on over a restart.  Layer 2
may deliver a message twice after that: give receive() its number as
sequence=(generation, n) and what is not beyond the last is dropped.

Where we are milder than 5.8: a first answer to SETUP without Channel
identification is taken as "the channel that was asked for"; errors of optional
elements are answered with STATUS only if status_on_element_fault.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.machine import Timers
from firmware.proto.q931 import codes, messages
from firmware.proto.q931.call import PRIMITIVES, Call
from firmware.proto.q931.maintenance import KINDS, T3M1_MS, MaintenanceProcedures
from firmware.proto.q931.restart import RestartProcedures
from firmware.proto.q931.variants import NAMES, VARIANTS

# Every setting of a link.  None: the default depends on the side.
DEFAULTS = {
    "timeslots": [n for n in range(1, 32) if n != 16],
    # NFAS (one D channel for several interfaces): {interface identifier: [timeslots]}, and that of the D channel.  A channel is then the
    # number identifier * 256 + timeslot, in "timeslots" as in events; None: the interface is the D channel's own and not named.
    "interfaces": None,
    "own_interface": 0,
    "channel_numbering": "timeslot",    # "timeslot" 1-31, or "consecutive" 1-30
    "slot_map_octets": 0,               # 0: channels are named by number; by slot map: 4 on an E1, 3 on a T1 (4.5.13, note 3)
    "overlap_receiving": False,
    "hold": False,                      # whether the far end may hold its calls (EN 300 141); else HOLD REJECT 69
    "bearers": ["speech", "3.1khz_audio"],
    "bearer_cause": codes.INCOMPATIBLE_DESTINATION,     # or 65
    "location": None,                   # of our causes; user side 1, network side 2
    "status_on_element_fault": False,
    "reference_octets": 2,
    "timers": {},                       # {"T303": ms, ...} over codes.TIMERS
}


class Q931Link(RestartProcedures, MaintenanceProcedures):
    """Layer 3 of one D channel.  side: "user" or "network"; variant: one of variants.NAMES."""

    def __init__(self, side, variant="etsi", config=None):
        if side not in ("user", "network") or variant not in VARIANTS:
            raise LocalError("Q931Link: side %r, variant %r; user or network, %s"
                             % (side, variant, ", ".join(NAMES)))
        self.side = side
        self.variant = variant
        self.rules = VARIANTS[variant]
        self.role = "user" if self.rules["symmetrical"] else side       # whose state table runs
        self.config = dict(DEFAULTS)
        self.config.update(config or {})
        timers = {"T3M1": T3M1_MS}
        timers.update(self.rules["timers"])
        timers.update(self.config["timers"])
        self.timers_ms = codes.timers_ms(self.role, timers)
        self.location = self.config["location"]
        if self.location is None:
            self.location = self.rules["location"][side]
        self.far_location = self.rules["location"]["network" if side == "user" else "user"]
        self.up = False
        self.blocked = []               # timeslots out of service: refused, never chosen, but for what is urgent
        self.is_urgent = None           # function(called digits): whether a SETUP to them is let in on a timeslot that is out of service
        self.counters = {}
        self.events = []
        self._output = []
        self._calls = {}
        self._changed = {}
        self._next_reference = 1
        self._last_sequence = None
        self._timers = Timers(self.timers_ms)
        self._owed = []                 # [reference, flag, octets of it] of calls that ended while the data link was down
        self._restarts = []             # [[timeslots], tries]; the first one is under way
        self.near_status, self.far_status = {}, {}      # {timeslot: status} of those that are not in service
        self.on_d_channel = None        # function(what a SERVICE says of a D channel, now_ms), where d_channels.py keeps several
        self._services_answered = {}    # {hex: ms}
        self._services = []             # [timeslot, status, tries]; the first one is under way

    @property
    def overlap_receiving(self):
        """Whether digits may follow a SETUP from the far end."""
        return self.rules["overlap"] and self.config["overlap_receiving"]

    # What a Call asks of its link

    def count(self, name):
        """Count one more of a name; returns how many there are."""
        self.counters[name] = self.counters.get(name, 0) + 1
        return self.counters[name]

    def send(self, octets):
        """Put a message out; without a data link it is lost, as 5.8.9 has it."""
        if self.up:
            self._output.append(octets)
        else:
            self.count("messages_without_link")

    def channel(self, timeslot, exclusive):
        """A Channel identification for one timeslot, or "any" for None."""
        if timeslot is None:
            return {"selection": "any", "exclusive": False}
        return self.channels([timeslot], exclusive)

    def channels(self, timeslots, exclusive=True):
        """A Channel identification for timeslots of one interface."""
        named = {"selection": "indicated", "exclusive": bool(exclusive)}
        if self.config["slot_map_octets"]:
            named.update(map=True, slot_octets=self.config["slot_map_octets"], channels=[timeslot & 0xFF for timeslot in timeslots])
        else:
            named["channels"] = [self._channel_number(timeslot) for timeslot in timeslots]
        if self.config["interfaces"] is not None:
            named["interface"] = "%02x" % (0x80 | timeslots[0] >> 8)
        return named

    def interface_of(self, channel):
        """The interface that a Channel identification names or leaves to be the D channel's (4.5.13, octet 3.1); None: none of ours."""
        if self.config["interfaces"] is None:
            return 0
        if channel is None or channel.get("interface") is None:
            return self.config["own_interface"]
        octets = bytes.fromhex(channel["interface"])
        known = len(octets) == 1 and octets[0] & 0x7F in self.config["interfaces"]
        return octets[0] & 0x7F if known else None

    def timeslot_of(self, channel):
        """The timeslot a Channel identification names, or None."""
        interface = self.interface_of(channel)
        if len(channel["channels"]) != 1 or interface is None:
            return None
        number = channel["channels"][0]
        if self.config["channel_numbering"] == "consecutive" and number >= 16 and not channel["map"]:
            number += 1
        return interface << 8 | number

    def timeslots_of(self, channel):
        """All timeslots that a Channel identification names, an interface without channels whole; unknown ones are None."""
        if not channel["channels"]:
            interface = self.interface_of(channel)
            return [t for t in self.config["timeslots"] if t >> 8 == interface]
        return [self.timeslot_of(dict(channel, channels=[number])) for number in channel["channels"]]

    def _channel_number(self, timeslot):
        number = timeslot & 0xFF
        if self.config["channel_numbering"] == "consecutive" and number > 16:
            return number - 1
        return number

    def usable(self, timeslot, call):
        """Whether a timeslot exists, is in service, and no other call holds it.

        5.7: the call from the network wins, so on the user side an unanswered
        SETUP of ours does not hold its timeslot."""
        if timeslot not in self.config["timeslots"] or timeslot in self.blocked and not call.urgent:
            return False
        if not self.in_service(timeslot, call.originating) and (call.originating or not call.urgent):
            return False
        for other in self._calls.values():
            if other is not call and other.timeslot == timeslot:
                if not (self.side == "user" and other.number == 1 and not call.originating):
                    return False
        return True

    def choose(self, channel, call):
        """The timeslot for an incoming SETUP: (timeslot, None) or (None, cause).  5.1.2, 5.2.3.1."""
        if channel is None:
            channel = {"selection": "any", "d_channel": False}
        if channel["selection"] == "none" or channel["d_channel"]:
            return None, codes.NO_CIRCUIT_AVAILABLE
        if channel["selection"] == "indicated":
            timeslot = self.timeslot_of(channel)
            if timeslot is not None and self.usable(timeslot, call):
                return timeslot, None
            if channel["exclusive"]:
                exists = timeslot in self.config["timeslots"]
                return None, (codes.REQUESTED_CIRCUIT_NOT_AVAILABLE if exists
                              else codes.CHANNEL_DOES_NOT_EXIST)
        for timeslot in self.config["timeslots"]:
            if self.usable(timeslot, call):
                return timeslot, None
        if not [t for t in self.config["timeslots"] if t not in self.blocked]:
            return None, codes.NETWORK_OUT_OF_ORDER
        return None, codes.NO_CIRCUIT_AVAILABLE

    # The data link

    def link_up(self, now_ms):
        """The data link is established.  If it was up before, it has been reset (5.8.8)."""
        name = "link_reset" if self.up else "link_up"
        if not self.up:
            self.up = True
            self._services_after_link_up(now_ms)
            self.events.append({"event": "link_state", "call": None, "up": True})
        self._send_owed()
        self._step_all(name, now_ms)
        if self._restarts:
            self._send_restart(now_ms)
        return self._finish()

    def link_down(self, now_ms):
        """The data link is released or has failed (5.8.9)."""
        if self.up:
            self.up = False
            self.count("link_failures")
            self._restart_interrupted()
            self.events.append({"event": "link_state", "call": None, "up": False})
            self._step_all("link_down", now_ms)
        return self._finish()

    def owe_release(self, call):
        """A call ends here while the data link is down (5.8.9).  The far end may have seen no more than a reset, where it keeps what it has (5.8.8), or nothing
        (our layer 2 died and came back): it is told when the link is up.  RELEASE_COMPLETE ends a call in any state, and one that is gone ignores it (5.8.3.2)."""
        self._owed.append([call.reference, 0 if call.originating else 1, call.reference_octets])

    def _send_owed(self):
        owed, self._owed = self._owed, []
        for reference, flag, octets in owed:
            self.send(messages.encode(messages.Message("RELEASE_COMPLETE", reference, flag, {"cause": {
                "coding": 0, "location": self.location, "cause": codes.TEMPORARY_FAILURE, "diagnostics": ""}}, octets)))

    def active_calls(self):
        """The calls that are answered."""
        return [self._calls[identity] for identity in self.calls() if self._calls[identity].number == 10]

    def _step_all(self, name, now_ms):
        for identity in self.calls():
            self._calls[identity].step(name, now_ms)
            self._touch(identity)

    # Messages in

    def receive(self, octets, now_ms, sequence=None):
        """Take one message.  Returns events; never raises on what the far end sent."""
        if sequence is not None:
            sequence = list(sequence)
            if self._last_sequence is not None and sequence <= self._last_sequence:
                self.count("repeated_deliveries")
                return []
            self._last_sequence = sequence
        if self.rules["maintenance"] is not None and octets and octets[0] in KINDS:
            self._receive_maintenance(octets, now_ms)
            return self._finish()
        try:
            message = messages.decode(octets)
        except RemoteError:
            self.count("ignored_messages")
            return []
        if message.reference is None:
            self.count("dummy_reference_messages")
        elif message.reference == 0:
            self._receive_global(message, now_ms)
        else:
            self._receive_call(message, now_ms)
        return self._finish()

    def _receive_call(self, message, now_ms):
        identity = "%s%d" % ("n" if message.flag else "f", message.reference)
        call = self._calls.get(identity)
        if call is not None and call.number != 0:
            if message.kind == "SETUP":
                self.count("setups_repeated")           # 5.8.3.2 e
                return
            call.receive(message, now_ms)
            self._touch(identity)
        elif message.kind == "SETUP":
            if message.flag:
                self.count("ignored_messages")          # 5.8.3.2 d
                return
            call = Call(self, identity, message.reference, False, message.reference_octets)
            self._calls[identity] = call
            call.receive(message, now_ms)
            self._touch(identity)
        else:
            self._unknown_reference(message)

    def _unknown_reference(self, message):
        """5.8.3.2 and, for status, 5.8.10 and 5.8.11."""
        if message.kind == "RELEASE_COMPLETE":
            return
        self.count("unknown_references")
        if message.kind == "STATUS_ENQUIRY":
            self._send_for(message, "STATUS", codes.RESPONSE_TO_STATUS_ENQUIRY, 0)
        elif message.kind == "STATUS":
            state = message.get("call_state")
            if state is not None and state["state"] != 0:
                self._send_for(message, "RELEASE_COMPLETE", codes.MESSAGE_NOT_COMPATIBLE)
        else:
            self._send_for(message, "RELEASE_COMPLETE", codes.INVALID_CALL_REFERENCE)

    def _send_for(self, message, kind, cause, call_state=None, diagnostics=""):
        """Answer a message that belongs to no call, with its own reference."""
        content = {"cause": {"coding": 0, "location": self.location, "cause": cause,
                             "diagnostics": diagnostics}}
        if call_state is not None:
            content["call_state"] = {"coding": 0, "state": call_state}
        self.send(messages.encode(messages.Message(
            kind, message.reference, 1 - message.flag, content, message.reference_octets)))

    # The layer above

    def new_call(self):
        """Reserve a call reference for an outgoing call.  Returns the call's id."""
        limit = (1 << (8 * self.config["reference_octets"] - 1)) - 1
        for _ in range(limit):
            reference = self._next_reference
            self._next_reference = reference % limit + 1
            identity = "n%d" % reference
            if identity not in self._calls:
                self._calls[identity] = Call(self, identity, reference, True,
                                            self.config["reference_octets"])
                return identity
        raise LocalError("no call reference is free")

    def request(self, primitive, call, now_ms, **given):
        """Carry out a primitive for a call.  Returns events.  Raises LocalError."""
        if primitive not in PRIMITIVES:
            raise LocalError("Q.931 has no primitive %r" % (primitive,))
        machine = self._calls.get(call)
        if machine is None:
            if primitive in ("release_request", "disconnect_request"):
                return []
            raise LocalError("%s: there is no call %r on this D channel" % (primitive, call))
        if primitive == "setup_ack_request" and not self.rules["overlap"]:
            raise LocalError("%s: variant %s has no overlap receiving" % (primitive, self.variant))
        if primitive == "setup_request":
            timeslot, machine.urgent = given.get("timeslot"), bool(given.get("urgent"))
            if timeslot is not None and not self.usable(timeslot, machine):
                raise LocalError("setup_request: timeslot %r is not free" % (timeslot,))
        machine.step(primitive, now_ms, given)
        self._touch(call)
        return self._finish()

    def calls(self):
        """The ids of all calls, in a fixed order."""
        return sorted(self._calls)

    def call_state(self, call):
        """{"state", "timeslot", "originating", "holding"} of a call, or None."""
        machine = self._calls.get(call)
        if machine is None:
            return None
        return {"state": machine.state, "timeslot": machine.timeslot, "originating": machine.originating, "holding": machine.holding}

    def free_timeslots(self, urgent=False):
        """Timeslots that a new outgoing call may take, ascending; an urgent one, where these are none, also those that we have out of service."""
        held = [c.timeslot for c in self._calls.values()]
        idle = [t for t in self.config["timeslots"] if t not in held and self.in_service(t, True)]
        serving = [t for t in idle if t not in self.blocked]
        return serving or (idle if urgent else [])

    def take_output(self):
        """Return the messages to send, as a list of bytes."""
        output, self._output = self._output, []
        return output

    def deadline_ms(self):
        """When to call expire(), or None."""
        deadlines = [c.deadline_ms() for c in self._calls.values()] + [self._timers.deadline_ms()]
        deadlines = [d for d in deadlines if d is not None]
        return min(deadlines) if deadlines else None

    def expire(self, now_ms):
        """Let the timers that have fallen due act.  Returns events."""
        while True:
            name = self._timers.due(now_ms)
            if name is None:
                break
            if name == "T316":
                self._restart_timeout(now_ms)
            else:
                self._service_timeout(now_ms)
        for identity in self.calls():
            deadline_ms = self._calls[identity].deadline_ms()
            if deadline_ms is not None and deadline_ms <= now_ms:
                self._calls[identity].expire(now_ms)
                self._touch(identity)
        return self._finish()

    def _touch(self, identity):
        self._changed[identity] = True

    def _finish(self):
        """Forget the calls that are over and hand the events on."""
        for identity in self._changed:
            call = self._calls.get(identity)
            if call is not None and call.number == 0:
                del self._calls[identity]
        events, self.events = self.events, []
        return events

    # Persistence

    def take_changed(self):
        """Ids of the calls that changed since the last question (dump_call: None = delete)."""
        changed, self._changed = self._changed, {}
        return sorted(changed)

    def dump_call(self, call):
        """A call as a JSON-able dict, or None if it is over."""
        machine = self._calls.get(call)
        return None if machine is None else machine.dump()

    def dump_link(self):
        """What does not belong to a call, as a JSON-able dict."""
        state = self._dump_maintenance()
        state.update({"side": self.side, "variant": self.variant, "up": self.up,
                "next_reference": self._next_reference, "last_sequence": self._last_sequence,
                "owed": self._owed, "restarts": self._restarts, "timers": self._timers.dump(),
                "blocked": list(self.blocked)})
        return state

    def dump(self):
        """Everything: {"link": dump_link(), "calls": {id: dump_call(id)}}."""
        calls = {}
        for identity in self.calls():
            calls[identity] = self.dump_call(identity)
        return {"link": self.dump_link(), "calls": calls}

    @classmethod
    def restore(cls, saved, config=None):
        """Rebuild a link from dump() and its configuration.  Follow with audit()."""
        state = saved["link"]
        link = cls(state["side"], state["variant"], config)
        link.up = state["up"]
        link.blocked = list(state["blocked"])
        link._next_reference = state["next_reference"]
        link._last_sequence = state["last_sequence"]
        link._owed = [list(row) for row in state.get("owed", ())]       # none in a dump of before there was it
        link._restarts = [list(restart) for restart in state["restarts"]]
        link._restore_maintenance(state)
        link._timers.restore(state["timers"])
        for identity in sorted(saved["calls"]):
            kept = saved["calls"][identity]
            call = Call(link, identity, kept["reference"], kept["originating"],
                        kept["reference_octets"])
            call.load(kept)
            call.audited = True
            link._calls[identity] = call
        return link

    def audit(self, now_ms, up):
        """After restore(): where the far end may not have had our last message, ask it.

        up: whether layer 2 is up now.  No RESTART, nothing is cleared on
        suspicion.  Each call that is asked gives call_confirmed, or call_lost
        and released.  A call whose DISCONNECT had come is released now; timers
        that ran are running again and repeat SETUP and RELEASE by themselves."""
        if not up:
            return self.link_down(now_ms)
        if not self.up:
            return self.link_up(now_ms)
        disconnected = 12 if self.role == "user" else 11
        for identity in self.calls():
            call = self._calls[identity]
            call.timers.stop("T322")    # a question asked before may never have left
            if call.number == disconnected:
                call.step("release_request", now_ms, {})
            elif call.number != 19 and not (call.originating and call.number in (1, 6)):
                call.step("status_enquiry", now_ms)
            self._touch(identity)
        return self._finish()
