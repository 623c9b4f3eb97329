"""One PRI span: its configuration, its Q.931 machine, the legs of its calls, its timeslots."""

from firmware.call.call import UNRESTRICTED
from firmware.call.trunk_group import LAWS, bearers, law_of
from firmware.links.enhancement import CLEAR, enhancement
from firmware.proto.q931 import codes, maintenance
from firmware.proto.q931.d_channels import DChannels
from firmware.proto.q931.link import Q931Link

ROWS = "q931.row/"          # and the span's number: the dump of the row that it was opened with, written only when it changes
HARMLESS = {"no_crc4", "lmfa", "cas_lfa", "cas_ais", "cas_los", "cas_rai", "weak", "transmit_open", "transmit_short"}     # alarms that leave the B channels usable


def members_of(row):
    """The spans that a D channel serves: [configuration row], the one with the primary D channel first."""
    return row.get("members") or [row]


def timeslots_of(row):
    """B channels of a D channel's configuration, as Q931Link numbers them."""
    found = []
    for member in members_of(row):
        found += [_interface(row, member) << 8 | timeslot for timeslot in bearers(member)]
    return sorted(found)


def _interface(row, member):
    return member["nfas"]["interface"] if row.get("members") else 0


def machine_config(row, group):
    """Settings of a span's Q.931 machine that follow the configuration.

    A data call that cannot be carried: "bearer capability not implemented" is the network's answer, "incompatible
    destination" the user's (Q.931 5.1.5.2, 5.2.2)."""
    data = bool(group and group.get("data_calls"))
    nfas = {}
    if row.get("members"):
        nfas = {"interfaces": {member["nfas"]["interface"]: bearers(member) for member in row["members"]}, "own_interface": row["nfas"]["interface"]}
    return {**nfas, "timeslots": timeslots_of(row), "timers": dict(row.get("timers") or {}),
            "channel_numbering": row.get("channel_numbering", "timeslot"),
            "slot_map_octets": 0 if row.get("channel_form", "number") == "number" else 4 if row["type"] == "e1" else 3, "overlap_receiving": bool(group and group["overlap_receiving"]),
            "hold": bool(group and group.get("hold", True)), "bearers": ["speech", "3.1khz_audio"] + ([UNRESTRICTED] if data else []),
            "bearer_cause": codes.BEARER_NOT_IMPLEMENTED if row["side"] == "network" else codes.INCOMPATIBLE_DESTINATION}


def law_for(row, bearer, said=None):
    """The law of media's `add` for a call.  said: that of the SETUP of a call in (Q.931 4.5.5), which holds where the configuration names none."""
    if bearer == UNRESTRICTED:
        return CLEAR
    return said if said and row.get("law", LAWS[0]) == LAWS[0] else law_of(row)


def link_is_up(audit, link):
    """Whether media's audit says that a data link is established."""
    for row in (audit or {}).get("links") or []:
        if row["link"] == link:
            return row.get("state") == "up"
    return False


class Span:
    """One D channel and the spans that it serves (one, or an NFAS group): configuration row, Q.931 machine, legs of its calls.

    number: of the span with the (primary) D channel.  links: {layer 2 link, numbered as its span: interface}."""

    def __init__(self, row, group, saved=None, calls=None):
        """group: the row of its trunk group; None for a span that only comes to its end.

        saved, calls: what dump_link() and dump_call() gave, after a restart."""
        self.row, self.number = row, row["span"]
        self.kept_row = None        # the row that is in the database
        self.enhance = enhancement(group)
        config = machine_config(row, group)
        if saved is None:
            self.machine = Q931Link(row["side"], row["variant"], config)
        else:
            self.machine = Q931Link.restore(
                {"link": saved, "calls": {call: entry["machine"] for call, entry in calls.items()}}, config)
        self.calls = {call: entry["adapter"] for call, entry in (calls or {}).items()}
        self.members = {member["span"]: member for member in members_of(row)}
        self.links = {member["span"]: _interface(row, member) for member in members_of(row)
                      if not row.get("members") or member["nfas"]["d_channel"] != "none"}
        self.d_channels = None      # of an NFAS group with back-up
        if len(self.links) > 1:
            self.d_channels = DChannels({member["nfas"]["interface"]: member["nfas"]["d_channel"] for member in members_of(row)
                                         if member["span"] in self.links}, self._maintenance)
            if (saved or {}).get("d_channels"):
                self.d_channels.load(saved["d_channels"])
            self.machine.on_d_channel = self._told_of_d_channel
        self.came_on = self.number  # the link on which the present message came
        self.locked = [list(row) for row in (saved or {}).get("locked") or []]      # [[channel, why]] out of service on our side
        self.restarts_failed = list((saved or {}).get("restarts_failed") or [])     # channels whose RESTART nobody answered
        self.alarmed = {}           # span: list of names; absent: not known yet
        self.opened = False
        self.retry_ms = None
        self.condemned = False      # to be closed in the first turn after the start of the process
        self.closing_ms = (saved or {}).get("closing_ms")   # when its link is closed whatever is up; None: in service
        self.farewell = False       # the data link has been asked to go
        self.closed = False         # media has been asked to close the link
        self.open_links = set()     # data links that layer 2 says are up

    def _told_of_d_channel(self, told, now_ms):
        self.d_channels.service(told, self.links[self.came_on], now_ms)

    def _maintenance(self, kind, flag, status, interface):
        channel = {"selection": "none", "exclusive": True, "d_channel": True, "interface": "%02x" % (0x80 | interface)}
        return maintenance.encode(self.machine.rules["maintenance"], kind, flag, status, channel)

    def change(self, row, group):
        """Take what needs no restart of the span."""
        self.row = row
        self.members = {member["span"]: member for member in members_of(row)}
        self.enhance = enhancement(group)
        self.machine.config.update(machine_config(row, group))

    def sound(self, entry):
        """What is done to the sound of a call (parameters of media's `add`): nothing where it is data."""
        return {} if entry["law"] == CLEAR else self.enhance

    # -- channels: the machine's numbers, and spans with their timeslots --

    def place(self, channel):
        """(span, timeslot) of one of the machine's channels; timeslot None where there is none."""
        if channel is None:
            return self.number, None
        if not self.row.get("members"):
            return self.number, channel
        for number, member in self.members.items():
            if member["nfas"]["interface"] == channel >> 8:
                return number, channel & 0xFF
        return self.number, channel & 0xFF

    def channel(self, number, timeslot):
        """The machine's channel of a timeslot of one of the spans."""
        return (_interface(self.row, self.members[number]) << 8 | timeslot) if number in self.members else None

    @property
    def link(self):
        """The layer 2 link that carries the calls now, or None while no D channel does."""
        if self.d_channels is None:
            return self.number
        for link, interface in self.links.items():
            if interface == self.d_channels.active:
                return link
        return None

    @property
    def up(self):
        """Whether layer 3 messages get through."""
        return self.machine.up and self.link is not None

    @property
    def state(self):
        """That of the span with the primary D channel."""
        return self.state_of(self.number)

    def state_of(self, number):
        """"up", "down" (D channel), "alarm" (no usable bearer) or "unknown"."""
        if not set(self.alarmed.get(number) or ()) <= HARMLESS:
            return "alarm"
        if self.closing_ms is not None:
            return "down"
        return "up" if self.up else "down" if self.opened else "unknown"

    def alarms_of(self, number):
        """Names of what is wrong with a span: the framer's, and ours."""
        found = list(self.alarmed.get(number) or [])
        if [channel for channel in self.restarts_failed if self.place(channel)[0] == number]:
            found.append("restart_ignored")
        return found

    def dump_link(self):
        """What a restart needs of the span, its calls and its row excepted, which is written when it changes (span.py)."""
        return dict(self.machine.dump_link(), closing_ms=self.closing_ms, locked=self.locked, restarts_failed=self.restarts_failed,
                    d_channels=self.d_channels and self.d_channels.dump())

    def dump_call(self, call):
        """What a restart needs of a call, or None when it is over."""
        machine, adapter = self.machine.dump_call(call), self.calls.get(call)
        return {"machine": machine, "adapter": adapter} if machine is not None and adapter is not None else None

    def deadline_ms(self):
        """The next timer of the machine, a retry of the link, or the end of a closing span."""
        if self.condemned:
            return 0
        deadlines = [self.machine.deadline_ms(), self.retry_ms, self.closing_ms, self.d_channels and self.d_channels.deadline_ms()]
        deadlines = [at for at in deadlines if at is not None]
        return min(deadlines) if deadlines else None

    def describe(self, legs):
        """The spans in GET /v1/state.  legs: {leg: call}."""
        held, why = {}, dict(self.locked)
        for call, entry in self.calls.items():
            channel = (self.machine.call_state(call) or {}).get("timeslot") or entry["timeslot"]
            held[channel] = legs.get(entry["leg"]) or held.get(channel)      # one that is clearing may still be there
        found = []
        for number, member in sorted(self.members.items()):
            idle, slots = "idle" if self.state_of(number) == "up" else "blocked", []
            for timeslot in range(1, (31 if member["type"] == "e1" else 24) + 1):
                channel = self.channel(number, timeslot)
                if channel in self.machine.config["timeslots"]:
                    usable = self.machine.in_service(channel, True) and channel not in self.machine.blocked
                    state = "busy" if channel in held else idle if usable else "blocked"
                else:
                    state = "d"
                slots.append({"timeslot": timeslot, "call": held.get(channel), "state": state, **self._service(channel, why)})
            found.append({"span": number, "type": member["type"], "state": self.state_of(number), "alarms": self.alarms_of(number),
                          "trunk_group": member["trunk_group"], "timeslots": slots, "counters": dict(self.machine.counters),
                          **({"nfas": self._nfas(number)} if self.row.get("members") else {})})
        return found

    def _service(self, channel, why):
        """What is known of a channel's service, where it is not plainly in service."""
        told = {"near": why.get(channel) or self.machine.near_status.get(channel), "far": self.machine.far_status.get(channel)}
        return {"service": told} if told["near"] or told["far"] else {}

    def _nfas(self, number):
        d_channels = self.d_channels
        interface = self.members[number]["nfas"]["interface"]
        return {"group": self.row["nfas"]["group"], "interface": interface, "leader": self.number,
                "d_channel": self.members[number]["nfas"]["d_channel"],
                "d_state": None if number not in self.links else d_channels.states[interface] if d_channels else
                "in_service" if self.machine.up else "out_of_service"}
