"""Power, lamps and the watchdog: small policies of the box, pure.

Watchdog: it is fed while both turn: the media process (its transmit heartbeat in the board window moves) and the
control loop (it called).  One that stands for SILENT_S is no longer fed for; the hardware resets the box TIMEOUT_S after
that.  Both may die and come back in between: that is what the supervisor is for, the watchdog is for when it fails."""

TIMEOUT_S = 60.0         # invented: longer than a restart of all three processes, with a database to be set aside
SILENT_S = 15.0          # invented
PSU_KINDS = ("psu_failed", "psu_absent")
NUMBERED = "psu %d"


def power_alarms(supplies):
    """{source: {kind: sentence}} of [{"number", "present", "ok", "faults"}]; ok None: nothing is known of it.

    One that is absent and one that failed are told apart; what is lost is said: redundancy, or nothing more to lose."""
    good = sum(bool(row["ok"]) for row in supplies)
    alarms = {}
    for row in supplies:
        if row["ok"] or row["ok"] is None:
            continue
        rest = "the box runs on one supply" if good == 1 else "no supply says that it is good" if not good else "%d supplies are good" % good
        kind = "psu_failed" if row["present"] else "psu_absent"
        alarms[NUMBERED % row["number"]] = {kind: "%s; %s" % (", ".join(row["faults"]), rest)}
    return alarms


def lamps(worst, supplies, fans, clock_mode, serving):
    """{LED name: state}.  worst: severity; supplies: {number: ok}; fans: whether all turn; clock_mode: see clock_selection."""
    states = {"status": "on" if serving else "slow",
              "alarm_major": {"critical": "fast", "major": "on"}.get(worst, "off"),
              "alarm_minor": "on" if worst in ("minor", "warning") else "off",
              "clock": {"locked": "on", "holdover": "slow", "freerun": "fast"}.get(clock_mode, "off"),
              "fan": "on" if fans else "fast"}
    for number, ok in supplies.items():
        states["psu%d" % number] = "on" if ok else "fast"
    return states


class Heartbeats:
    """Who turns.  names: of those that must."""

    def __init__(self, names, now_ms, silent_s=SILENT_S):
        self._silent_ms = silent_s * 1000
        self._last = {name: (None, now_ms) for name in names}

    def beat(self, name, value, now_ms):
        """value: anything that changes while the thing turns."""
        if self._last[name][0] != value:
            self._last[name] = (value, now_ms)

    def silent(self, now_ms):
        """Names of those that stand, sorted."""
        return sorted(name for name, (_, at) in self._last.items() if now_ms - at > self._silent_ms)
