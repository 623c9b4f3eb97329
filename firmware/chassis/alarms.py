"""The alarm list: from what is polled to what a person is told.

    raw     report(source, kinds, now_ms): all kinds of a family that a source shows now
    failure declared when a kind has lasted its declare time, ended when it was absent for its clear time (alarm_table)
    alarm   one failure, or the same failure of many sources that came together: one alarm with members

Against floods:
* A kind that comes and goes faster than it can be declared: FLAP_ONSETS onsets in FLAP_WINDOW_MS raise one "flapping" alarm.
* A failure that was declared REPEATS times in REPEAT_WINDOW_MS waits longer to clear, twice each time, at most CLEAR_MOST_MS:
  so one source makes a few alarms an hour at worst, and the alarm stands while the fault goes on.
  There is one such alarm at a time: whatever begins to flap while it stands becomes a member.
* A fault that comes and goes is told as that, not as one that lasts: COMINGS onsets in COMINGS_MS, declared or not, and the sentence of its source says
  how often it came, again when that has doubled; it says what the source reported again once the fault lasts for STEADY_MS.
* GROUP_LEAST failures of one kind within GROUP_MS become one alarm; later ones join it for JOIN_MS.
An alarm that somebody has acknowledged is nobody's again when a source joins it that was never a member: who cared has not seen that one.

Pure: time is passed in, events are taken with take(): {"do": "raise" | "change" | "clear", "alarm": {...}}.
An alarm: {"id", "kind", "severity", "type", "cause", "text", "advice", "members": [sources, sorted], "detail": {source: sentence},
"raised_ms", "cleared_ms" or None, "repeats", "acked": {by ts_ms note} or None}."""

import bisect
import collections
import functools
import re

from firmware.chassis.alarm_table import KINDS, SEVERITIES
from firmware.errors import LocalError

GROUP_MS, GROUP_LEAST, JOIN_MS = 300, 3, 60_000            # invented; GROUP_MS stays within G.7710's 0.5 s
FLAP_ONSETS, FLAP_WINDOW_MS = 6, 60_000                    # invented
REPEATS, REPEAT_WINDOW_MS, CLEAR_MOST_MS = 3, 3_600_000, 600_000   # invented
COMINGS, COMINGS_MS, STEADY_MS = 4, 600_000, 60_000        # invented
PLUGS = ("los", "lfa", "rai", "transmit_open", "transmit_short", "weak")           # what a loose plug makes
COMES = (*PLUGS, "ais", "lmfa", "no_crc4", "cas_lfa", "cas_ais", "cas_los", "cas_rai")
COMES_AND_GOES = "comes and goes: "
UNFLAPPED = ("flapping", "configuration", "identity", "d_channel_down")


@functools.lru_cache(8192)
def natural(source):
    """Sort key: "span 2" before "span 10"."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", source))


def of_journal(row):
    """An alarm that stands by the journal (control/core_state_trail.py), in full; None: of a kind that another version knew."""
    known = KINDS.get(row["kind"])
    if known is None:
        return None
    alarm = {"cleared_ms": None, **{name: known[name] for name in ("kind", "severity", "type", "cause", "text", "advice")}}
    for name in ("id", "raised_ms", "repeats", "acked"):
        alarm[name] = row[name]
    for name in ("members", "all_members"):
        alarm[name] = sorted(row[name], key=natural)
    return {**alarm, "detail": dict(row["detail"])}


class _Failure:
    """One kind at one source."""

    __slots__ = ("present", "since_ms", "declared", "declared_ms", "detail", "reported", "comings", "told", "onsets", "declarations", "alarm", "hidden")

    def __init__(self):
        self.present, self.since_ms, self.declared, self.declared_ms = False, 0, False, 0
        self.detail, self.reported, self.onsets, self.declarations, self.alarm = None, None, [], [], None
        self.hidden = False             # it went because of what we did ourselves: its coming back is none
        self.comings, self.told = collections.deque(maxlen=1000), 0     # onsets of the last COMINGS_MS; how many of them the sentence tells


def _comes_and_goes(kind, comings):
    """The sentence; the pages know it by its form (webui/sayings.py)."""
    minutes = -(-max(1, comings[-1] - comings[0]) // 60_000)
    return COMES_AND_GOES + "%d times in %d minute%s%s" % (len(comings), minutes, "s" * (minutes > 1), ", a loose plug or patch cable" * (kind in PLUGS))


class Alarms:
    """The alarm list of the box.  dump: of an earlier one, as dump() gave it."""

    def __init__(self, dump=None):
        self._failures = {}            # (source, kind) -> _Failure
        self._alarms = {}              # id -> alarm that stands
        self._fresh = []               # (declared ms, source, kind): declared, not yet told
        self._last_id, self._events = 0, []
        self._open = {}                # kind -> [id of its group alarm, until when others join]
        for row in (dump or {}).get("alarms", ()):
            self._restore(row)
        self._last_id = max(self._last_id, (dump or {}).get("last_id", 0))

    def _restore(self, row):
        if row["kind"] not in KINDS:
            return                     # of another version
        row.setdefault("acked", None)  # of a version that knew none
        self._alarms[row["id"]] = row
        self._last_id = max(self._last_id, row["id"])
        for source in row["members"]:
            failure = self._failures.setdefault((source, row["kind"]), _Failure())
            failure.present = failure.declared = True
            failure.since_ms = failure.declared_ms = row["raised_ms"]
            failure.declarations = [row["raised_ms"]] * row.get("repeats", 1)
            failure.detail = failure.reported = row["detail"].get(source)
            if (failure.detail or "").startswith(COMES_AND_GOES):
                # Its onsets are forgotten: it says so again if it still does, and else nothing that was true before the restart.
                failure.reported, failure.told = None, COMINGS
                failure.comings.append(row["raised_ms"])
            failure.alarm = row["id"]

    def dump(self):
        """What survives a restart: the alarms that stand."""
        return {"alarms": self.active(), "last_id": self._last_id}

    def active(self):
        """Alarms that stand, worst first, then newest first."""
        return sorted(self._alarms.values(), key=lambda alarm: (SEVERITIES.index(alarm["severity"]), -alarm["raised_ms"], alarm["id"]))

    def standing(self, number):
        """The alarm of an id that stands, or None."""
        return self._alarms.get(number)

    def acknowledge(self, number, acked):
        """Somebody cares about an alarm.  acked: {"by", "ts_ms", "note"}."""
        alarm = self._alarms.get(number)
        if alarm is not None:
            alarm["acked"] = acked
            self._tell("change", alarm)

    def worst(self):
        """The worst severity that stands, or "cleared"."""
        return min((alarm["severity"] for alarm in self._alarms.values()), key=SEVERITIES.index, default="cleared")

    def number_above(self, number):
        """Ids go on above a number."""
        self._last_id = max(self._last_id, number)

    def sources(self):
        """(source, kind) of everything that was reported and is not forgotten."""
        return list(self._failures)

    def shows(self, source, kind):
        """Whether a source shows a kind now, told or not."""
        failure = self._failures.get((source, kind))
        return failure is not None and failure.present

    def stands(self, source, kind):
        """Whether a failure is declared."""
        failure = self._failures.get((source, kind))
        return failure is not None and failure.declared

    def take(self):
        """Events since the last call."""
        events, self._events = self._events, []
        return events

    # -- raw --

    def report(self, source, kinds, family, now_ms, own=False):
        """What a source shows now.  kinds: {kind: sentence or None}, or a set; family: all kinds that this caller watches.

        own: what it shows is our own doing (a loop, a lowered threshold): what goes now and is there afterwards has not come anew."""
        details = kinds if isinstance(kinds, dict) else dict.fromkeys(kinds)
        for kind in details:
            if kind not in family:
                raise LocalError("alarm %r is not of the family reported" % kind)
        for kind in family:
            failure = self._failures.get((source, kind))
            if kind in details:
                if failure is None:
                    failure = self._failures[source, kind] = _Failure()
                self._seen(source, kind, failure, details[kind], now_ms)
            elif failure is not None and failure.present:
                failure.present, failure.since_ms, failure.hidden = False, now_ms, own
            elif failure is not None and not own:
                failure.hidden = False

    def forget(self, source, now_ms):
        """A source is no more (a span taken out of the configuration): its alarms end at once."""
        for (name, kind), failure in list(self._failures.items()):
            if name == source:
                if failure.declared:
                    self._end(source, kind, failure, now_ms)
                del self._failures[name, kind]

    def _seen(self, source, kind, failure, detail, now_ms):
        if detail is not None and detail != failure.reported:
            failure.reported = detail
            if not failure.told:
                self._say(source, failure, detail)
        if failure.present:
            return
        hidden, failure.present, failure.since_ms, failure.hidden = failure.hidden, True, now_ms, False
        if kind in UNFLAPPED or hidden:
            return
        self._comes(source, kind, failure, now_ms)
        if not failure.declared:
            failure.onsets = [at for at in failure.onsets if at > now_ms - FLAP_WINDOW_MS][-FLAP_ONSETS + 1:] + [now_ms]
            if len(failure.onsets) >= FLAP_ONSETS:
                flap = self._failures.setdefault((source, "flapping"), _Failure())
                flap.present, flap.since_ms = True, now_ms
                self._say(source, flap, "%s: %s" % (KINDS[kind]["text"], failure.detail if failure.told else "%d times in %d s" % (
                    len(failure.onsets), max(1, (now_ms - failure.onsets[0]) // 1000))))

    def _comes(self, source, kind, failure, now_ms):
        if kind not in COMES:
            return
        failure.comings.append(now_ms)
        while failure.comings[0] <= now_ms - COMINGS_MS:
            failure.comings.popleft()
        if len(failure.comings) >= max(COMINGS, 2 * failure.told):
            failure.told = len(failure.comings)
            self._say(source, failure, _comes_and_goes(kind, failure.comings))

    def _say(self, source, failure, detail):
        """Another sentence of a source."""
        if detail == failure.detail:
            return
        failure.detail = detail
        if failure.alarm is not None:
            alarm = self._alarms[failure.alarm]
            alarm["detail"] = {name: text for name, text in {**alarm["detail"], source: detail}.items() if text is not None}
            self._tell("change", alarm)

    def comings(self, source, since_ms, now_ms):
        """How often something of PLUGS came at a source since then (of COMINGS_MS at most): the most of one kind."""
        return max((sum(since_ms <= at > now_ms - COMINGS_MS for at in failure.comings) for kind in PLUGS if (failure := self._failures.get((source, kind)))), default=0)

    # -- time --

    def expire(self, now_ms):
        """Let time pass: declare, clear, group.  Call it a few times a second."""
        for (source, kind), failure in list(self._failures.items()):
            row = KINDS[kind]
            if kind == "flapping" and failure.present and now_ms - failure.since_ms >= row["clear_ms"]:
                failure.present = False           # no onset renewed it
            if failure.told and now_ms - (failure.since_ms if failure.present else failure.comings[-1]) >= (STEADY_MS if failure.present else COMINGS_MS):
                failure.told = 0
                failure.comings.clear()
                self._say(source, failure, failure.reported)
            if failure.present and not failure.declared:
                if now_ms - failure.since_ms >= row["declare_ms"]:
                    self._declare(source, kind, failure, now_ms)
            elif failure.declared and not failure.present:
                if now_ms - failure.since_ms >= (0 if kind == "flapping" else self._clear_ms(row, failure, now_ms)):
                    self._end(source, kind, failure, now_ms)
            elif not failure.present and not failure.declared and now_ms - failure.since_ms > REPEAT_WINDOW_MS:
                del self._failures[source, kind]
        self._group(now_ms)

    @staticmethod
    def _clear_ms(row, failure, now_ms):
        count = sum(at > now_ms - REPEAT_WINDOW_MS for at in failure.declarations)
        return min(max(row["clear_ms"], CLEAR_MOST_MS if count >= REPEATS else 0), row["clear_ms"] << max(0, count - REPEATS + 1))

    def _declare(self, source, kind, failure, now_ms):
        failure.declared, failure.declared_ms = True, now_ms
        failure.declarations = [at for at in failure.declarations if at > now_ms - REPEAT_WINDOW_MS][-19:] + [now_ms]
        self._fresh.append((now_ms, source, kind))

    def _end(self, source, kind, failure, now_ms):
        failure.declared = False
        failure.onsets = []
        self._fresh = [row for row in self._fresh if row[1:] != (source, kind)]
        if failure.alarm is None:
            return
        alarm, failure.alarm = self._alarms[failure.alarm], None
        alarm["members"] = [member for member in alarm["members"] if member != source]
        alarm["detail"].pop(source, None)
        if alarm["members"]:
            self._tell("change", alarm)
            return
        alarm["cleared_ms"] = now_ms
        alarm["members"] = alarm.pop("all_members")
        del self._alarms[alarm["id"]]
        if self._open.get(kind, (None,))[0] == alarm["id"]:
            del self._open[kind]
        self._tell("clear", alarm)

    def _group(self, now_ms):
        fresh = {}
        for at, source, kind in self._fresh:
            fresh.setdefault(kind, []).append((at, source))
        for kind, rows in fresh.items():
            number, until_ms = self._open.get(kind, (None, 0))
            all_one = kind == "flapping"    # in a storm spans begin and cease to flap all the time: one alarm tells of all
            if all_one:
                number, until_ms = next((n for n, alarm in self._alarms.items() if alarm["kind"] == kind), None), now_ms
            if number in self._alarms and now_ms <= until_ms:
                for _, source in rows:
                    self._join(self._alarms[number], source)
                self._tell("change", self._alarms[number])
            elif now_ms - rows[0][0] >= GROUP_MS or KINDS[kind]["severity"] == "critical" and len(rows) >= 64:
                if len(rows) >= GROUP_LEAST or all_one:
                    alarm = self._new(kind, [source for _, source in rows], rows[0][0])
                    self._open[kind] = (alarm["id"], now_ms + JOIN_MS)
                else:
                    for at, source in rows:
                        self._new(kind, [source], at)
            else:
                continue
            told = {source for _, source in rows}
            self._fresh = [row for row in self._fresh if not (row[2] == kind and row[1] in told)]

    def _new(self, kind, sources, at_ms):
        row = KINDS[kind]
        self._last_id += 1
        alarm = {"id": self._last_id, **{name: row[name] for name in ("kind", "severity", "type", "cause", "text", "advice")},
                 "members": [], "all_members": [], "detail": {}, "raised_ms": at_ms, "cleared_ms": None, "repeats": 1, "acked": None}
        self._alarms[alarm["id"]] = alarm
        for source in sources:
            self._join(alarm, source)
        self._tell("raise", alarm)
        return alarm

    def _join(self, alarm, source):
        failure = self._failures[source, alarm["kind"]]
        failure.alarm = alarm["id"]
        if source not in alarm["all_members"]:
            alarm["acked"] = None
        for name in ("members", "all_members"):
            if source not in alarm[name]:
                alarm[name] = list(alarm[name])         # others may hold the one before
                bisect.insort(alarm[name], source, key=natural)
        if failure.detail:
            alarm["detail"][source] = failure.detail
        alarm["repeats"] = max(alarm["repeats"], len(failure.declarations))

    def _tell(self, what, alarm):
        if what == "change" and any(row["alarm"] is alarm and row["do"] != "clear" for row in self._events):
            return
        self._events.append({"do": what, "alarm": alarm})
