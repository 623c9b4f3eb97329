"""The lines' half of the keeper (keeper.py): looks at framers and at spans that media carries, to alarms, seconds, slips and clocks."""

import time

from drivers.framer.base import ALARM_NAMES
from firmware.chassis import error_thresholds
from firmware.chassis.alarms import COMINGS
from firmware.chassis.clock_doctor import ClockDoctor
from firmware.chassis.error_thresholds import ErrorThresholds
from firmware.chassis.performance import DEFECTS, LENGTH_S, Performance

LINE = (*ALARM_NAMES, "configuration", "pw_stranger", "pw_mismatch", "card")
QUALITY = ("excessive_errors", "slips")
D_CHANNEL = ("d_channel_down",)
EXAMINE_MS = 10_000         # between looks of the clock doctor for the texts of alarms; ours
AFTER_LOOP_S = 3            # seconds after our own loop, or a framer set up anew, that are our doing too: frames are found anew; invented
SLIPS_LEAST, SLIPS_WINDOW_MS = 2, 600_000          # invented: G.822 allows 5 in a day of an international connection


class LineKeeper:
    """Mixed into Keeper: uses alarms, clock_selection, _clock, _stores, _beats, _pulse."""

    def _begin_lines(self, now_ms):
        self._spans = {}                  # span -> Performance
        self._in_service = None           # spans, as of the last change of the configuration; None: there was none
        self.looks = 0                    # at the framers so far
        self._seconds = {}                # span -> {"defects", "slips", "left_out"} of the second that runs
        self._slips = {}                  # span -> [ms]
        self._thresholds = ErrorThresholds(self._standing_errors())
        self._loops = {}                  # span -> the loop ordered on it
        self._hear_us = set()             # spans that hear what we send: a loop at the far end, a plug, crossed cables
        self.data_links = dict            # {span: sentence, "" (all is well) or None (not known)} of the PRI spans (compose.py)
        self.tested = dict                # {span: "running", ...} of the turn-up (compose.py)
        self.asked = tuple                # spans on which the turn-up sends all ones, or listens closely, now (compose.py)
        self._found, self._found_ms = [], -EXAMINE_MS
        self._packets = set()             # spans that come in packets: no clock of theirs reaches the DPLL
        self._sums = {}                   # span -> counts since this process started
        starts = {length: now_ms // 1000 - now_ms // 1000 % seconds for length, seconds in LENGTH_S.items()}
        self._growing = self._stores.performance.growing(starts)
        self._bins, self._flushed_s = [], time.monotonic()
        self.doctor = ClockDoctor()

    def _standing_errors(self):
        found = {}
        for alarm in self.alarms.active():
            for member in alarm["members"] if alarm["kind"] in error_thresholds.KINDS else ():
                found.setdefault(int(member.split()[1]), {})[alarm["kind"]] = alarm["detail"].get(member)
        return found

    def framers(self, polled):
        """One poll of the framers (chassis/framers.py, _told)."""
        now_ms = self._clock.now_ms()
        self.alarms.report("board", {"board": polled["board"]} if polled["board"] else {}, ("board",), now_ms)
        if polled["board"]:
            return
        self._pulse["board"] = polled.get("heartbeat")
        self._beats.beat("media", tuple(self._pulse.values()), now_ms)
        self._packets -= set(polled["spans"])
        self._lines(polled, now_ms)
        self.looks += 1

    def bearers(self, polled):
        """One look at the spans that media carries (chassis/bearers.py)."""
        now_ms = self._clock.now_ms()
        self._pulse["ticks"] = polled["heartbeat"]
        self._beats.beat("media", tuple(self._pulse.values()), now_ms)
        self._packets |= set(polled["spans"])
        self._lines({**polled, "spans": {span: ({"alarms": kinds}, events) for span, (kinds, events) in polled["spans"].items()}}, now_ms)

    def _look_at_data_links(self, now_ms):
        """A D channel that does not come up on a span that is neither looped by us nor in turn-up."""
        links, tested = self.data_links(), self.tested()
        others = {int(source.split()[1]) for source, kind in self.alarms.sources() if kind in D_CHANNEL} - set(links)
        for span, sentence in [*links.items(), *((span, "") for span in others)]:
            if sentence is not None:       # else nothing is known of it: what stood stands
                quiet = not sentence or self._loops.get(span) or tested.get(span) == "running"
                self.alarms.report("span %d" % span, {} if quiet else {D_CHANNEL[0]: sentence}, D_CHANNEL, now_ms)

    def hears_us(self, span, does):
        """Whether what comes on a span is what we send (the turn-up tells): then its clock is ours, and says nothing of a far end's.

        True until the line is lost, or slips, which one that hears us cannot."""
        if does:
            self._hear_us.add(span)
            self.doctor.gone(span)
        else:
            self._hear_us.discard(span)

    def _lines(self, polled, now_ms):
        """{"spans": {span: (status, events)}, "loops", "seconds", "settings"}; alarms: kinds, or their sentences by kind."""
        asked = self.asked()
        for span, (status, events) in polled["spans"].items():
            if self._in_service is not None and span not in self._in_service:
                continue                  # looked at while it was taken out of the configuration: nobody would end its alarms
            kinds = set(status["alarms"])
            row = self._seconds.setdefault(span, {"defects": set(), "slips": 0, "left_out": 0, "own": 0, "hush": 0, "now": kinds})
            row["now"] = kinds
            row["defects"] |= kinds | events["defects"]
            row["slips"] += events["slips"]
            row["left_out"] += events.get("slips_left_out", 0)
            loop = self._loops[span] = polled.get("loops", {}).get(span)
            local = bool(loop) and loop["kind"] == "local"
            if local or span in polled.get("configured", ()):
                row["own"] = AFTER_LOOP_S + 1
            if local or span in asked:
                row["hush"] = AFTER_LOOP_S + 1
            details = status.get("details", {})
            details = status["alarms"] if isinstance(status["alarms"], dict) else {kind: details.get(kind) for kind in kinds}
            if row["hush"]:               # what begins now is our own doing; what is none is there afterwards
                details = {kind: detail for kind, detail in details.items() if self.alarms.shows("span %d" % span, kind)}
            self.alarms.report("span %d" % span, details, LINE, now_ms, own=row["hush"] > 0)
            self.doctor.level(span, status.get("level_db"), "weak" in kinds)
            self.alarms.report("span %d" % span, {"looped": "%s loop, ordered by %s" % (loop["kind"], loop["by"])} if loop else {},
                               ("looped",), now_ms)
            if span in polled["seconds"]:
                self._second(span, row, polled["seconds"][span], polled["settings"].get(span, {}), now_ms)

    def _second(self, span, row, counters, settings, now_ms):
        framing = "e1_crc4" if settings.get("crc4") and "no_crc4" not in row["now"] else "e1"
        if settings.get("kind") == "cesopsn":
            framing = "packets"
        elif settings.get("type", "e1") != "e1":
            framing = "t1_esf" if settings.get("framing") == "esf" else "t1_sf"
        performance = self._spans.get(span)
        if performance is None:
            performance = self._spans[span] = Performance(framing, any(self.alarms.stands("span %d" % span, kind) for kind in (*DEFECTS, QUALITY[0])))
            performance.load(self._growing.pop(span, []))
        performance.framing = framing
        if not row["own"]:                # in our own loop we hear ourselves, a framer set up anew hears nothing: that is nothing of the line's quality
            performance.second(now_ms // 1000, {**counters, "slips": row["slips"]}, row["defects"])
        sums = self._sums.setdefault(span, dict.fromkeys(("seconds", "errors", "far_errors", "slips"), 0))
        crc = framing in ("e1_crc4", "t1_esf")
        for name, value in (("seconds", 1), ("errors", counters.get("crc_errors" if crc else "fas_errors", 0)),
                            ("far_errors", counters.get("e_bits", 0) if framing == "e1_crc4" else 0), ("slips", row["slips"])):
            sums[name] += value
        slips = self._slips[span] = [at for at in self._slips.get(span, ()) if at > now_ms - SLIPS_WINDOW_MS] + [now_ms] * row["slips"]
        lost = (row["now"] | row["defects"]) & set(DEFECTS)
        if lost or row["slips"]:
            self._hear_us.discard(span)
        if lost or row["own"] or span in self._hear_us:
            self.doctor.gone(span)
        else:
            self.doctor.second(span, now_ms, row["left_out"], row["slips"] - row["left_out"],
                               counters.get("crc_errors" if crc else "fas_errors", 0) or counters.get("code_violations", 0))
        quality = {}
        if performance.spoilt and not row["now"] & set(DEFECTS):
            quality["excessive_errors"] = None
        if len(slips) >= SLIPS_LEAST:
            found = [row["text"] for row in self._findings(now_ms) if span in row["spans"] and row["finding"] != "one_clock"]
            quality["slips"] = " ".join(["%d in %d minutes." % (len(slips), SLIPS_WINDOW_MS // 60_000), *found])
        self.alarms.report("span %d" % span, quality, QUALITY, now_ms)
        uncounted = row["own"] or row["now"] & {*DEFECTS, "rai"}
        self.alarms.report("span %d" % span, self._thresholds.second(span, now_ms // 1000, performance, bool(uncounted)), error_thresholds.KINDS, now_ms)
        row.update(defects=set(row["now"]), slips=0, left_out=0, own=max(0, row["own"] - 1), hush=max(0, row["hush"] - 1))

    def _findings(self, now_ms):
        """What the doctor finds, looked at each EXAMINE_MS: it costs all slips of all spans, and each span asks each second."""
        if not self._found_ms <= now_ms < self._found_ms + EXAMINE_MS:
            self._found, self._found_ms = self.examine_clocks()["findings"], now_ms
        return self._found

    def _raw(self, source):
        span = int(source.split()[1]) if source.startswith("span ") else None
        return self._seconds.get(span, {}).get("now", set())

    def _flush_bins(self):
        self._flushed_s = time.monotonic()
        for span, performance in self._spans.items():
            self._bins += [(span, *row) for row in performance.flush()]

    def sums(self, span):
        """{"seconds", "errors" (blocks that came wrong), "far_errors" (that arrived wrong there), "slips"} since the start."""
        return dict(self._sums.get(span) or dict.fromkeys(("seconds", "errors", "far_errors", "slips"), 0))

    def defects(self, span):
        """Kinds of what the framer sees on a span now, without any soak."""
        return set(self._seconds.get(span, {}).get("now", ()))

    def list_performance(self):
        """{span: {"available", "framing", "quarter": {...}, "day": {...}}} of the bins that grow, of spans of which a second was counted."""
        answer = {}
        for span, performance in sorted(self._spans.items()):
            bins = performance.current()
            if bins:
                answer[str(span)] = {"available": performance.available, "framing": performance.framing, **{
                    length: {"start_s": start_s, **counts} for length, (start_s, counts) in bins.items()}}
        return answer

    def examine_clocks(self):
        """What the clock doctor finds: chassis/clock_doctor.py."""
        now_ms = self._clock.now_ms()
        comings = {span: self.alarms.comings("span %d" % span, 0, now_ms) for span in self._spans}
        return self.doctor.examine(now_ms, {span: count for span, count in comings.items() if count >= COMINGS})

    def comings(self, span, since_ms):
        """How often the line of a span came and went since then, of the last ten minutes."""
        return self.alarms.comings("span %d" % span, since_ms, self._clock.now_ms())
