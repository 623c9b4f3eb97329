"""One span with channel-associated signalling: its configuration, its circuits' machines, the legs of their calls."""

from firmware.call.trunk_group import bearers, law_of
from firmware.links.enhancement import enhancement
from firmware.proto.cas.span import CASSpan
from firmware.proto.cas.t1_circuit import T1Circuit
from firmware.proto.r2.circuit import R2Circuit
from firmware.proto.r2.variant import Variant

HARMLESS = {"no_crc4", "lmfa", "weak", "transmit_open", "transmit_short"}      # alarms that leave bearers and bits usable; those of the CAS multiframe do not; a far end that hears nothing says so by RAI
SUPERVISED = ("ALERTING", "DELIVERED", "ACCEPTING")
BUSY_PULSES = 1                     # hold of the bits where dial pulses come: 10 to 20 ms of a make of 33 ms
STATES = {"ANSWERED": "answered", "SUSPENDED": "answered", "CLEARING": "releasing"}


def circuit_config(row, group, numbers):
    """What one circuit's machine takes, without its timeslot.  numbers: rows of the configuration."""
    settings = row[row["signalling"]]
    # The bits that media tells have stood for the recognition time already.
    config = {"direction": settings["direction"], "timers": dict(settings["timers"], RECOGNITION=0),
              "called_length": settings["called_length"] or common_length(group, numbers)}
    if row["signalling"] == "cas":
        config.update(signalling=settings["protocol"], glare=settings["glare"], pilot=settings["pilot"],
                      carrier="e1" if row["type"] == "e1" else "t1", answer_after_ms=1000 * settings["answer_after_s"],
                      address=None if settings["address"] == "protocol" else settings["address"])
        return config
    # A number of unknown length is shown to the switchboard from its first digit on, and with it the caller.
    after = settings["caller_after"] or (None if config["called_length"] else 1)
    config.update(address=settings["address"], caller=settings["caller"], caller_after=after,
                  caller_length=settings["caller_length"] or None, pulse_caller=settings["pulse_caller"],
                  immediate=settings["immediate"], double_answer=settings["double_answer"],
                  hold_clear_back_ms=1000 * settings["hold_clear_back_s"], charge=settings["charge"])
    return config


def common_length(group, numbers):
    """The length that all our numbers have, or None; a group that may dial through has no such length."""
    lengths = {len(row["number"]) for row in numbers}
    return lengths.pop() if len(lengths) == 1 and not (group or {}).get("classes") else None


class CircuitSpan:
    """row: of the span; group: of its trunk group; numbers: our numbers; load_variant(name): R2 data."""

    def __init__(self, row, group, numbers, load_variant, saved=None):
        """saved: {timeslot: what dump() gave}, after a restart."""
        self.row, self.number = row, row["span"]
        self.kept_row = None        # the row that is in the database
        self.enhance = enhancement(group)
        self.config = circuit_config(row, group, numbers)
        self.variant = Variant(load_variant(row["r2"]["variant"])) if row["signalling"] == "r2" else None
        saved = saved or {}
        self.machine = CASSpan({t: self._circuit(t, (saved.get(t) or {}).get("machine")) for t in bearers(row)})
        # timeslot: {"leg", "call", "offered", "digits", "wanted"}
        self.entries = {t: saved[t]["entry"] for t in self.machine.timeslots if (saved.get(t) or {}).get("entry")}
        self.restored = bool(saved)
        self.opened = False         # media follows the bits, in this life of media
        self.alarms = None          # list of names; None: not known yet
        self.begins_ms = None       # blocked until then, after a change of the configuration
        self.told = None            # the state that the switchboard knows
        self.reasons = {}           # timeslot: why it is not usable
        self.tones = 0              # register signals heard and sent since the start

    def _circuit(self, timeslot, saved):
        config = dict(self.config, timeslot=timeslot)
        if self.variant is not None:
            return R2Circuit(self.variant, config) if saved is None else R2Circuit.restore(saved, self.variant, config)
        return T1Circuit(config) if saved is None else T1Circuit.restore(saved, config)

    @property
    def hold(self):
        """How often media reads a pattern again until it counts."""
        return BUSY_PULSES if self.variant is None else 2

    @property
    def office(self):
        """Whether telephones are at its circuits, which want dial tone."""
        return self.row["signalling"] == "cas" and self.row["cas"]["protocol"][:3] == "fxs"

    @property
    def harmed(self):
        """Whether an alarm makes the circuits useless."""
        return bool(self.alarms) and not set(self.alarms) <= HARMLESS

    @property
    def state(self):
        """"up", "down" (every circuit is blocked), "alarm" or "unknown"."""
        if self.harmed:
            return "alarm"
        if self.begins_ms is not None:
            return "down"
        if not self.opened or self.alarms is None:
            return "unknown"
        return "up" if any(not self.machine.circuits[t].trouble() for t in self.machine.timeslots) else "down"

    def renumber(self, group, numbers):
        """Our numbers have changed: registers of new calls ask for as many digits."""
        self.config = circuit_config(self.row, group, numbers)
        for circuit in self.machine.circuits.values():
            circuit.config.update(self.config)

    def keep_blocked(self, old):
        """What people have taken out of service stays so when the span begins anew (before start()).  old: the CASSpan before."""
        for timeslot, circuit in self.machine.circuits.items():
            before = old.circuits.get(timeslot)
            circuit.line.blocking = before is not None and before.line.blocking

    def law(self):
        return law_of(self.row)

    def leg_state(self, timeslot):
        """State of a circuit's call in the words of live_legs()."""
        state = self.machine.circuits[timeslot].state
        return STATES.get(state) or ("alerting" if state in SUPERVISED else "setup")

    def dump(self, timeslot):
        return {"machine": self.machine.dump(timeslot), "entry": self.entries.get(timeslot)}

    def counters(self):
        """Sums over the circuits."""
        total = {"register_signals": self.tones}
        for circuit in self.machine.circuits.values():
            for part in (circuit.counters, circuit.line.counters):
                for name in part:
                    total[name] = total.get(name, 0) + part[name]
        return total

    def describe(self, legs):
        """The span in GET /v1/state.  legs: {leg: call}."""
        slots, up = [], self.state == "up"
        for timeslot, circuit in self.machine.circuits.items():
            entry = self.entries.get(timeslot)
            reason = circuit.trouble()
            # what a circuit of a span in alarm shows is not its far end's word
            busy = circuit.call is not None or not (self.harmed or circuit.line.free or circuit.line.state == "SEIZE_FAILED" or reason == "blocked")
            slots.append({"timeslot": timeslot, "call": legs.get(entry["leg"]) if entry else None, "line": circuit.line.state,
                          "state": "busy" if busy else "idle" if up and not reason else "blocked", "why": reason})
        if self.row["type"] == "e1":
            slots.append({"timeslot": 16, "call": None, "state": "d", "line": "", "why": ""})
        settings = self.row[self.row["signalling"]]
        return {"span": self.number, "type": self.row["type"], "state": self.state, "alarms": self.alarms or [],
                "signalling": self.row["signalling"], "variant": settings.get("variant") or settings.get("protocol"),
                "trunk_group": self.row["trunk_group"], "timeslots": sorted(slots, key=lambda slot: slot["timeslot"]),
                "counters": self.counters()}
