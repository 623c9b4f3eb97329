"""Which clock source the box follows: quality, priority, hold-off, wait-to-restore, holdover, free run.

A source is a span's received clock or an external one.  Of those that are usable the best quality wins, then the lowest
priority number; between equals the one that is followed stays (no switch-back, which would be a phase step for nothing).
    hold-off         a failure shorter than HOLD_OFF_MS changes nothing                        G.781: 300 to 1,800 ms
    wait-to-restore  a source that failed must be good for WAIT_TO_RESTORE_MS before it counts  G.781: 0 to 12 min, 5 by default
    holdover         nothing usable, the DPLL has history: it keeps the last frequency
    free run         nothing usable and no history, or nothing configured
When nothing at all is usable, a source that waits counts after BARE_WAIT_MS: a clock that came back a moment ago is better
than none (our decision; G.781 leaves it open).  A source may be locked out, or forced, by a person.

Qualities are those of G.781 option I, best first (SSM code of the Sa bits, G.704 table 5D): PRC 2, SSU-A 4, SSU-B 8, SEC B, DNU F.
A span whose far end sends no SSM has the quality that the configuration gives it.  Pure: time is passed in."""

from firmware.errors import ConfigError, LocalError

HOLD_OFF_MS, WAIT_TO_RESTORE_MS, BARE_WAIT_MS = 1000, 300_000, 10_000
QUALITIES = ("prc", "ssu_a", "ssu_b", "sec", "dnu")
SSM = {0x2: "prc", 0x4: "ssu_a", 0x8: "ssu_b", 0xB: "sec", 0xF: "dnu"}
ALARMS = ("clock_holdover", "clock_freerun")
BAD_FOR_CLOCK = ("los", "lfa", "ais", "board")       # RAI does not touch the received clock


class _Source:
    __slots__ = ("name", "priority", "assigned", "quality", "good", "since_ms", "state", "reason", "locked_out")

    def __init__(self, row, now_ms):
        self.name, self.priority = row["source"], row["priority"]
        self.assigned = row.get("quality", "sec")
        if self.assigned not in QUALITIES:
            raise ConfigError("clock.sources", "%r: quality is one of %s" % (self.assigned, ", ".join(QUALITIES)))
        self.quality, self.good, self.since_ms, self.reason = self.assigned, False, now_ms, "nothing heard of it yet"
        self.state = "failed"                        # failed, waiting (to be restored), usable
        self.locked_out = False


class ClockSelection:
    """sources: [{"source", "priority": 1.., "quality"}], in any order."""

    def __init__(self, sources, now_ms, hold_off_ms=HOLD_OFF_MS, wait_to_restore_ms=WAIT_TO_RESTORE_MS):
        self._sources = [_Source(row, now_ms) for row in sources]
        names = [source.name for source in self._sources]
        if len(set(names)) != len(names):
            raise ConfigError("clock.sources", "a source stands twice: %s" % ", ".join(sorted(names)))
        self._hold_off_ms, self._wait_ms = hold_off_ms, wait_to_restore_ms
        self._never_failed = set(names)
        self.selected, self.forced, self.history = None, None, False
        self.switches = 0
        self.why = "no source has been heard of"

    def _find(self, name):
        for source in self._sources:
            if source.name == name:
                return source
        raise LocalError("%r is no clock source, there are %s" % (name, ", ".join(s.name for s in self._sources) or "none"))

    def report(self, name, good, now_ms, reason="", ssm=None):
        """What is seen of a source now.  ssm: code of its Sa bits, or None; reason: why it is not good."""
        source = self._find(name)
        quality = SSM.get(ssm, "dnu") if ssm is not None else source.assigned
        if quality == "dnu":
            good, reason = False, "its far end says that it must not be used (SSM DNU)"
        source.quality = quality
        if good != source.good:
            source.good, source.since_ms = good, now_ms
        source.reason = "" if good else reason or "not good"

    def lock_out(self, name, locked_out):
        """Keep a source from being followed, or let it be."""
        self._find(name).locked_out = bool(locked_out)

    def force(self, name):
        """Follow a source whatever the others are, while it is good; None ends it."""
        if name is not None:
            self._find(name)
        self.forced = name

    def expire(self, now_ms):
        """Let time pass.  Returns the source to follow, or None."""
        for source in self._sources:
            lasted = now_ms - source.since_ms
            if not source.good:
                if lasted >= self._hold_off_ms:
                    if source.state != "failed":
                        self._never_failed.discard(source.name)
                    source.state = "failed"
            elif source.state == "failed":
                source.state = "waiting"
            if source.state == "waiting" and source.good:
                wait_ms = self._hold_off_ms if source.name in self._never_failed else self._wait_ms
                if lasted >= wait_ms:
                    source.state = "usable"
        self._choose(now_ms)
        return self.selected

    def _choose(self, now_ms):
        usable = [source for source in self._sources if source.state == "usable" and not source.locked_out]
        if not usable:
            usable = [source for source in self._sources if source.state == "waiting" and source.good and not source.locked_out
                      and now_ms - source.since_ms >= min(BARE_WAIT_MS, self._wait_ms)]
        best = min(usable, default=None, key=lambda s: (
            s.name != self.forced, QUALITIES.index(s.quality), s.priority, s.name != self.selected))
        name = best.name if best else None
        if name == self.selected:
            return
        before, self.selected = self.selected, name
        self.switches += 1
        if name is None:
            self.why = "%s is lost (%s) and no other source is usable" % (before, self._find(before).reason)
        elif before is None:
            self.why = "%s is the best of what is usable" % name
        elif name == self.forced:
            self.why = "%s was forced by a person" % name
        else:
            old = self._find(before)
            self.why = "%s is lost (%s); %s is the next" % (before, old.reason, name) if old.state == "failed" else \
                "%s is better than %s (quality %s, priority %d)" % (name, before, best.quality, best.priority)

    def mode(self, dpll):
        """"locked", "holdover" or "freerun", from the DPLL's own word.  dpll: {"locked", "history"}, or None: absent."""
        if self.selected is not None and (dpll is None or dpll["locked"]):
            return "locked"
        return "holdover" if dpll is not None and dpll["history"] else "freerun"

    def alarms(self, mode):
        """{"clock": {kind: sentence}} for the alarm list."""
        if mode == "locked" or not self._sources:
            return {}
        return {"clock": {"clock_" + mode: self.why}}

    def describe(self):
        """[{"source", "state", "quality", "priority", "selected", "locked_out", "reason"}], as configured."""
        return [{"source": s.name, "state": s.state, "quality": s.quality, "priority": s.priority,
                 "selected": s.name == self.selected, "locked_out": s.locked_out, "reason": s.reason} for s in self._sources]
