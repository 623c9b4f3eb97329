"""Trunk groups: which bearer circuits are seized, and which one to take next.

A trunk is (span, timeslot): the number of a span and a timeslot of it, or the name of a SIP trunk and the
number of one of its calls at a time, from 1.  It is seized from the moment a leg holds it until
that leg is released, whoever started it: the trunk group is therefore a fold
over legs, and "nothing stays seized" is simply `seized() == 0`.

Selection for outgoing calls (Q.931 5.1.2 leaves it to the user; the rule should be
the opposite of the far end's so that both do not meet on the same trunk):
ascending, descending; round_robin and round_robin_descending (the next after the one
taken last, up or down); longest_idle (the one that was given back first; those never used come before); opposite (the far
end's order is learnt from what it seizes: each call that comes in on the lowest trunk that was free speaks for ascending, on the
highest for descending, and ours is the other one; before the first call we are descending, since most count upwards).
"""

from firmware.call.signalling_points import bearer_timeslots
from firmware.errors import ConfigError

CAS = ("r2", "cas")             # values of a span's "signalling" whose circuits are signalled by bits
SELECTIONS = ("ascending", "descending", "round_robin", "round_robin_descending", "longest_idle", "opposite")
EVIDENCE_MOST = 8               # ours: so many calls the other way turn an opinion round


def bearers(span):
    """The bearer timeslots of a span's configuration, ascending: E1 1-31 or T1 1-24 without the D channel.

    With channel-associated signalling timeslot 16 of an E1 carries the bits, a T1 has them in its bearers, and
    "circuits" of the signalling's settings says which are in use: "1-15,17"; empty: all."""
    signalling = span.get("signalling", "pri")
    last = 31 if span.get("type", "e1") == "e1" else 24
    nfas = span.get("nfas") or {}
    taken, wanted = None if nfas.get("group") and nfas.get("d_channel") == "none" else span.get("d_timeslot"), ""
    if signalling in CAS:
        taken = 16 if last == 31 else None
        wanted = (span.get(signalling) or {}).get("circuits") or ""
    slots = []
    for timeslot in range(1, last + 1):
        if timeslot != taken and (not wanted or _listed(timeslot, wanted)):
            slots.append(timeslot)
    return slots


LAWS = ("line", "a", "u")


def law_of(span):
    """The law of G.711 in the bearers of a span's configuration, "A" or "U": that of its kind of line, unless it says another."""
    said = span.get("law") or LAWS[0]
    return said.upper() if said != LAWS[0] else "A" if span.get("type", "e1") == "e1" else "U"


def _listed(timeslot, text):
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(first) <= timeslot <= int(last or first):
            return True
    return False


def order_of(trunk):
    """Sort key of trunks: the spans by number, then the SIP trunks by name."""
    return 1 if isinstance(trunk[0], str) else 0, trunk[0], trunk[1]


class TrunkGroup:
    """Interchangeable trunks.

    name, label; selection: one of SELECTIONS; trunks: list of (span, timeslot)."""

    def __init__(self, name, label="", selection="ascending", trunks=()):
        if selection not in SELECTIONS:
            raise ConfigError("trunk_groups", "selection %r of group %s is not known; choose one of %s"
                              % (selection, name, ", ".join(SELECTIONS)))
        self.name = name
        self.label = label or name
        self.selection = selection
        self.trunks = sorted(trunks, key=order_of)
        self._held = {}       # (span, timeslot) -> list of legs: two during glare, until one is released
        self._last = None
        self._idle = {}       # (span, timeslot) -> how many trunks had been given back when this one was
        self._given_back = 0
        self._far = 0         # above 0: the far end counts upwards, below: downwards

    def seize(self, leg, span, timeslot, incoming=False):
        """A leg takes a trunk.  incoming: the far end chose it."""
        if incoming and self.selection == "opposite":
            self._learn((span, timeslot))
        self.hold(leg, span, timeslot)
        self._last = (span, timeslot)

    def _learn(self, trunk):
        free = [other for other in self.trunks if other not in self._held]
        if len(free) > 1 and trunk in (free[0], free[-1]):
            step = 1 if trunk == free[0] else -1
            self._far = max(-EVIDENCE_MOST, min(EVIDENCE_MOST, self._far + step))

    def far(self):
        """What is known of the far end's order: above 0 ascending, below descending."""
        return self._far

    def hold(self, leg, span, timeslot):
        """A leg holds a trunk (said again after a restart)."""
        legs = self._held.setdefault((span, timeslot), [])
        if leg not in legs:
            legs.append(leg)

    def free(self, leg, span, timeslot):
        """The leg is released.  Nothing happens if it did not hold the trunk."""
        legs = self._held.get((span, timeslot))
        if legs and leg in legs:
            legs.remove(leg)
            if not legs:
                del self._held[(span, timeslot)]
                self._given_back += 1
                self._idle[(span, timeslot)] = self._given_back

    def move(self, leg, old, new):
        """The leg has another trunk than was meant for it.  old, new: (span, timeslot)."""
        self.free(leg, old[0], old[1])
        self.seize(leg, new[0], new[1])

    def seized(self):
        """How many trunks are held."""
        return len(self._held)

    def last(self):
        """The trunk taken last, as a list, or None."""
        return list(self._last) if self._last is not None else None

    def idle(self):
        """The trunks in the order in which they were given back, as lists."""
        return [list(trunk) for trunk in sorted(self._idle, key=self._idle_rank)]

    def restore(self, last, idle=(), far=0):
        """Forget all legs; `last`: the trunk taken last, from last(); idle: from idle(); far: from far()."""
        self._held, self._far = {}, far
        self._last = tuple(last) if last is not None else None
        self._idle = {}
        self._given_back = 0
        for trunk in idle:
            self._given_back += 1
            self._idle[tuple(trunk)] = self._given_back

    def take_over(self, old):
        """Continue for another TrunkGroup of the same name (the configuration has changed)."""
        self._held, self._last = old._held, old._last
        self._idle, self._given_back, self._far = old._idle, old._given_back, old._far

    def _idle_rank(self, trunk):
        return self._idle.get(trunk, 0), order_of(trunk)

    def holder(self, span, timeslot):
        """The leg that holds a trunk (the earliest), or None."""
        legs = self._held.get((span, timeslot))
        return legs[0] if legs else None

    def holders(self, span, timeslot):
        """How many hold a trunk: more than one while it is settled whose it is."""
        return len(self._held.get((span, timeslot)) or ())

    def order(self):
        """All trunks in the order in which the next outgoing call asks for them."""
        order = self.trunks
        if self.selection[-10:] == "descending" or (self.selection == "opposite" and self._far >= 0):
            order = list(reversed(order))
        if self.selection[:11] == "round_robin" and self._last in order:
            at = order.index(self._last) + 1
            order = order[at:] + order[:at]
        elif self.selection == "round_robin" and self._last is not None:
            last = order_of(self._last)
            order = [trunk for trunk in order if order_of(trunk) > last] + [trunk for trunk in order if order_of(trunk) <= last]
        elif self.selection == "longest_idle":
            order = sorted(order, key=self._idle_rank)
        return order

    def select(self, usable=None):
        """The trunk that the next outgoing call should take, or None when all are held.

        usable: function(span, timeslot) -> bool, false for blocked trunks and spans that are down."""
        for trunk in self.order():
            if trunk not in self._held and (usable is None or usable(trunk[0], trunk[1])):
                return trunk
        return None


def groups_of(config):
    """{name: TrunkGroup} of a configuration."""
    groups, circuits = {}, bearer_timeslots(config)
    for entry in config.get("trunk_groups") or []:
        trunks = []
        for span in config.get("spans") or []:
            if span.get("trunk_group") == entry["name"] and span.get("enabled", True):
                for timeslot in circuits.get(span["span"], []) if span.get("signalling") == "ss7" else bearers(span):
                    trunks.append((span["span"], timeslot))
        for row in config.get("sip_trunks") or []:
            if row["trunk_group"] == entry["name"] and row.get("enabled", True):
                for channel in range(1, row["channels"] + 1):
                    trunks.append((row["name"], channel))
        groups[entry["name"]] = TrunkGroup(entry["name"], entry.get("label"), entry.get("selection", "ascending"), trunks)
    return groups
