"""Who says nothing in a bridge, and for how long: the wish "quiet_s" of `detect`, from what the speech detector of the tick tells.

    quiet{id, quiet: true, ms}     for quiet_s nobody has spoken on this leg, from the moment at which it came into its bridge
    quiet{id, quiet: false, ms}    it speaks again, or it left the bridge: ms, how long the silence lasted

A leg outside a bridge (music, a queue, hold) owes nobody a word.  One that gave 2100 Hz carries a fax or a modem, whose signals are no speech: it
counts as speaking from then on, and so does one whose packets are no sound here (G.729 that is passed on, T.38).  Times are those of the command thread, LOOK_S at most behind the tick.
"""

LOOK_S = 0.25               # ours


class _Watched:
    __slots__ = ("since_s", "bridge", "told", "modem")

    def __init__(self, now_s, bridge):
        self.since_s, self.bridge = now_s, bridge       # of the silence
        self.told = self.modem = False


class Quiet:
    """The legs that are watched.  Terminations are those of the table; now_s: seconds of a clock that only goes forward."""

    def __init__(self):
        self._watched, self._looked_s = {}, 0.0

    def watch(self, term, now_s):
        """A termination's wish is another one: it begins anew, or is forgotten."""
        if term.hears["quiet_s"]:
            self._watched[term.id] = _Watched(now_s, term.bridge)
        else:
            self._watched.pop(term.id, None)

    def spoke(self, term, now_s):
        """Speech begins on a leg, or ends (term.speaks)."""
        row = self._watched.get(term.id)
        if row is not None and not term.speaks:
            row.since_s = now_s

    def modem(self, term):
        """What comes from a leg is no speech, and no silence either."""
        row = self._watched.get(term.id)
        if row is not None:
            row.modem = True

    def look(self, terminations, now_s):
        """What is new, as fields of events; each LOOK_S."""
        if not self._watched or now_s - self._looked_s < LOOK_S:
            return []
        self._looked_s = now_s
        found = []
        for name in list(self._watched):
            term, row = terminations.get(name), self._watched[name]
            if term is None or not term.hears["quiet_s"]:
                del self._watched[name]
                continue
            quiet_s, speaks = now_s - row.since_s, term.speaks or row.modem or term.unheard
            moved = term.bridge is not row.bridge
            if row.told and (speaks or moved):
                row.told = False
                found.append({"id": name, "quiet": False, "ms": int(1000 * quiet_s)})
            if moved or term.bridge is None:
                row.bridge, row.since_s = term.bridge, now_s
            elif not speaks and not row.told and quiet_s >= term.hears["quiet_s"]:
                row.told = True
                found.append({"id": name, "quiet": True, "ms": int(1000 * quiet_s)})
        return found
