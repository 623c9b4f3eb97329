"""Which legs have an echo canceller of 128 ms: places among the few that the engine keeps for such.

A place costs 9 KB where a canceller of 64 ms costs 4.7, so there are not as many as legs.  Neighbouring places
(a group of 16) share lanes of the processor, hence belong to legs of one unit of the tick, which one thread works on.
"""

import logging

from firmware.media import _engine
from firmware.media.checks import refuse

log = logging.getLogger("firmware.media.long_tails")

PLACES, GROUP, UNIT = (_engine.LONG_TAILS[name] for name in ("places", "group", "unit"))


class LongTails:
    """Command thread only.  A place is given back when the tick no longer uses it."""

    def __init__(self):
        self._unit = [None] * (PLACES // GROUP)             # of each group
        self._free = [set(range(at, at + GROUP)) for at in range(0, PLACES, GROUP)]
        self._said = False                                  # that there is no place

    def take(self, slot, what):
        """A place for the leg of a slot.  Raises LocalError (cause 47)."""
        unit = slot // UNIT
        mine = [group for group, owner in enumerate(self._unit) if owner == unit and self._free[group]]
        fresh = [group for group, owner in enumerate(self._unit) if owner is None]
        if not mine and not fresh:
            refuse(f"{what}: all places for echo cancellers of 128 ms are in use ({self.used()} of {PLACES}); 64 ms are to be had", 47)
        group = mine[0] if mine else fresh[0]
        self._unit[group] = unit
        place = min(self._free[group])
        self._free[group].remove(place)
        return place

    def say_once(self, error):
        """That legs get less than was wanted: once, and again only after half of the places were free."""
        if not self._said:
            self._said = True
            log.warning("%s and are used instead; an audit shows long_tail_refused at such legs", error)

    def give_back(self, place):
        group = place // GROUP
        self._free[group].add(place)
        if len(self._free[group]) == GROUP:
            self._unit[group] = None
        if self._said and self.used() <= PLACES // 2:
            self._said = False

    def used(self):
        """How many places are taken."""
        return PLACES - sum(map(len, self._free))
