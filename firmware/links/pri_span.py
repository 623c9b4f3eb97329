"""One PRI span: its configuration, its Q.931 machine, the legs of its calls, its timeslots."""

from firmware.call.call import UNRESTRICTED
from firmware.links.enhancement import CLEAR, enhancement
from firmware.proto.q931 import codes
from firmware.proto.q931.link import Q931Link

HARMLESS = {"no_crc4", "lmfa", "cas_lfa", "cas_ais", "cas_los", "cas_rai"}     # alarms that leave the B channels usable


def timeslots_of(row):
    """B channels of a span's configuration."""
    last = 31 if row["type"] == "e1" else 24
    return [timeslot for timeslot in range(1, last + 1) if timeslot != row["d_timeslot"]]


def machine_config(row, group):
    """Settings of a span's Q.931 machine that follow the configuration.

    A data call that cannot be carried: "bearer capability not implemented" is the network's answer, "incompatible
    destination" the user's (Q.931 5.1.5.2, 5.2.2)."""
    data = bool(group and group.get("data_calls"))
    return {"timeslots": timeslots_of(row), "overlap_receiving": bool(group and group["overlap_receiving"]),
            "bearers": ["speech", "3.1khz_audio"] + ([UNRESTRICTED] if data else []),
            "bearer_cause": codes.BEARER_NOT_IMPLEMENTED if row["side"] == "network" else codes.INCOMPATIBLE_DESTINATION}


def law_of(row, bearer):
    """The law of media's `add` for an outgoing call."""
    return CLEAR if bearer == UNRESTRICTED else "A" if row["type"] == "e1" else "U"


def link_is_up(audit, link):
    """Whether media's audit says that a data link is established."""
    for row in (audit or {}).get("links") or []:
        if row["link"] == link:
            return row.get("state") == "up"
    return False


class Span:
    """One span: configuration row, Q.931 machine, legs of its calls."""

    def __init__(self, row, group, saved=None, calls=None):
        """group: the row of its trunk group; None for a span that only comes to its end.

        saved, calls: what dump_link() and dump_call() gave, after a restart."""
        self.row, self.number = row, row["span"]
        self.enhance = enhancement(group)
        config = machine_config(row, group)
        if saved is None:
            self.machine = Q931Link(row["side"], row["variant"], config)
        else:
            self.machine = Q931Link.restore(
                {"link": saved, "calls": {call: entry["machine"] for call, entry in calls.items()}}, config)
        self.calls = {call: entry["adapter"] for call, entry in (calls or {}).items()}
        self.alarms = None          # list of names; None: not known yet
        self.opened = False
        self.retry_ms = None
        self.condemned = False      # to be closed in the first turn after the start of the process
        self.closing_ms = (saved or {}).get("closing_ms")   # when its link is closed whatever is up; None: in service
        self.farewell = False       # the data link has been asked to go
        self.closed = False         # media has been asked to close the link

    def change(self, row, group):
        """Take what needs no restart of the span."""
        self.row = row
        self.enhance = enhancement(group)
        self.machine.config.update(machine_config(row, group))

    def sound(self, entry):
        """What is done to the sound of a call (parameters of media's `add`): nothing where it is data."""
        return {} if entry["law"] == CLEAR else self.enhance

    @property
    def state(self):
        """"up", "down" (D channel), "alarm" (no usable bearer) or "unknown"."""
        if self.alarms and not set(self.alarms) <= HARMLESS:
            return "alarm"
        if self.closing_ms is not None:
            return "down"
        return "up" if self.machine.up else "down" if self.opened else "unknown"

    def dump_link(self):
        """What a restart needs of the span, its calls excepted."""
        return dict(self.machine.dump_link(), row=self.row, closing_ms=self.closing_ms)

    def dump_call(self, call):
        """What a restart needs of a call, or None when it is over."""
        machine, adapter = self.machine.dump_call(call), self.calls.get(call)
        return {"machine": machine, "adapter": adapter} if machine is not None and adapter is not None else None

    def deadline_ms(self):
        """The next timer of the machine, a retry of the link, or the end of a closing span."""
        if self.condemned:
            return 0
        deadlines = [at for at in (self.machine.deadline_ms(), self.retry_ms, self.closing_ms) if at is not None]
        return min(deadlines) if deadlines else None

    def describe(self, legs):
        """The span in GET /v1/state.  legs: {leg: call}."""
        held = {}
        for call, entry in self.calls.items():
            timeslot = (self.machine.call_state(call) or {}).get("timeslot") or entry["timeslot"]
            held[timeslot] = legs.get(entry["leg"]) or held.get(timeslot)      # one that is clearing may still be there
        idle = "idle" if self.state == "up" else "blocked"
        d_timeslot = self.row["d_timeslot"]
        slots = [{"timeslot": timeslot, "call": held.get(timeslot),
                  "state": "d" if timeslot == d_timeslot else "busy" if timeslot in held else
                  idle if self.machine.in_service(timeslot, True) else "blocked"}
                 for timeslot in sorted([*self.machine.config["timeslots"], d_timeslot])]
        return {"span": self.number, "type": self.row["type"], "state": self.state, "alarms": self.alarms or [],
                "trunk_group": self.row["trunk_group"], "timeslots": slots, "counters": dict(self.machine.counters)}
