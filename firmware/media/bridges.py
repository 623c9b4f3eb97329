"""Bridges, who hears whom, conferences: a part of the table (table.py)."""

from firmware.media import _engine
from firmware.media.checks import check_id, refuse
from firmware.media.settings import conference, gain_of


class Bridge:
    """legs: ids in order.  blocked: set of (hearer, source).  conference: (loudest, {leg: dB}, {muted legs}) or None."""

    def __init__(self, name, index):
        self.id, self.index = name, index
        self.legs = []
        self.blocked = set()
        self.conference = None


class Bridges:
    """Methods of Table; terminations, bridges, find() and the engine are its own."""

    def bridge(self, p):
        """Set the membership of a bridge."""
        name = check_id(p.get("id"), "bridge: id")
        wanted = p.get("legs")
        if not isinstance(wanted, list) or len(set(map(str, wanted))) != len(wanted):
            refuse("bridge: legs is no list of different leg ids")
        most = _engine.CAPACITY["legs_per_bridge"]
        if len(wanted) > most:
            refuse(f"bridge: {len(wanted)} legs; one bridge holds {most}", 47)
        terms = [self.find(leg, "bridge: leg") for leg in wanted]
        clear = sum(term.clear for term in terms)
        if clear and (clear < len(terms) or clear > 2):
            refuse(f"bridge: {name} would join data with sound, or more than two legs with data; data goes from one leg to one other", 88)
        bridge = self.bridges.get(name)
        if bridge is None:
            if not terms:
                return {}
            if not self._free_bridges:
                refuse(f"all {_engine.CAPACITY['bridges']} bridges are in use", 47)
            bridge = self.bridges[name] = Bridge(name, self._free_bridges.pop())
        if bridge.legs == wanted:
            return {}
        for term in terms:
            if term.bridge not in (None, bridge):
                self._leave(term)
        for leg in bridge.legs:
            if leg not in wanted:
                self.terminations[leg].bridge = None
                self.pass_on(self.terminations[leg])
        for term in terms:
            term.bridge = bridge
        bridge.legs = list(wanted)
        self._write(bridge)
        return {}

    def _leave(self, term):
        bridge, term.bridge = term.bridge, None
        bridge.legs = [leg for leg in bridge.legs if leg != term.id]
        self.pass_on(term)
        self._write(bridge)

    def pass_on(self, term):
        """Whose packets go out on a leg that speaks what is only passed on: those of the only other one, where that is of its kind and heard here."""
        if term is None or term.codec is None or not term.codec.passes:
            return
        other = self.only_peer(term)
        fits = other is not None and other.codec is not None and other.codec.passes and (term.id, other.id) not in term.bridge.blocked
        self._engine.set_passed(term.slot, other.slot if fits else None)

    def _write(self, bridge):
        """Bring a bridge to the engine: membership, then who does not hear everybody."""
        legs = bridge.legs
        bridge.blocked = {pair for pair in bridge.blocked if pair[0] in legs and pair[1] in legs}
        self._engine.set_bridge(bridge.index, [self.terminations[leg].slot for leg in legs])
        for place, hearer in enumerate(legs):
            mask = sum(1 << at for at, source in enumerate(legs)
                       if source != hearer and (hearer, source) not in bridge.blocked)
            if mask != (1 << len(legs)) - 1 & ~(1 << place):
                self._engine.set_hear(bridge.index, place, mask)
        if bridge.conference is not None:
            loudest, gains, muted = bridge.conference
            self._engine.set_conference(bridge.index, loudest,
                                        [0 if leg in muted else gain_of(gains.get(leg, 0)) for leg in legs])
        for leg in legs:
            self.pass_on(self.terminations[leg])
        self._engine.commit()
        if not legs:
            del self.bridges[bridge.id]
            self._free_bridges.append(bridge.index)

    def topology(self, p):
        """Who hears whom within a bridge."""
        bridge = self.bridges.get(check_id(p.get("bridge"), "topology: bridge"))
        if bridge is None:
            refuse(f"topology: there is no bridge {p['bridge']}; set its membership first", 98)
        one, other = p.get("from"), p.get("to")
        for leg in (one, other):
            if leg not in bridge.legs:
                refuse(f"topology: {str(leg)[:40]!r} is no leg of {bridge.id}", 98)
        if one == other or p.get("way") not in ("both", "one", "none"):
            refuse("topology: two different legs and way both, one or none are wanted")
        blocked = bridge.blocked - {(one, other), (other, one)}
        if p["way"] != "both":
            blocked.add((one, other))
        if p["way"] == "none":
            blocked.add((other, one))
        if blocked != bridge.blocked:
            bridge.blocked = blocked
            self._write(bridge)
        return {}

    def conference(self, p):
        """Gains, muted parties and how many are heard at once."""
        bridge = self.bridges.get(check_id(p.get("bridge"), "conference: bridge"))
        if bridge is None:
            refuse(f"conference: there is no bridge {p['bridge']}; set its membership first", 98)
        wanted = conference(p)
        if wanted is not None and any(self.terminations[leg].clear for leg in bridge.legs):
            refuse(f"conference: {bridge.id} carries data, which is not mixed", 88)
        for leg in () if wanted is None else (*wanted[1], *wanted[2]):
            self.find(leg, "conference: leg")       # he may be about to join
        if wanted != bridge.conference:
            bridge.conference = wanted
            if wanted is None:
                self._engine.set_conference(bridge.index, -1, [])
            self._write(bridge)
        return {}
