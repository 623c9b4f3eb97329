"""The clock doctor: which span does not follow the common clock, by how much, and what to do about it.

A slip is a frame of 125 us that was left out (the far end is faster than the box) or repeated (it is slower), so the
offset of a span is 125 ppm times the slips of a second.  The doctor watches each span from when the box last changed
its own clock (slips of before say nothing of now) and from when the span was last out of frame, for WINDOW_MS at most.

    doctor.second(span, now_ms, left_out, repeated, errored)     each second of a span in frame
    doctor.level(span, db, weak)                                 what its line interface sees of the signal, below nominal; None: nothing
    doctor.gone(span)                                            out of frame: what was seen is forgotten
    doctor.reference(name, mode, now_ms)                         what the box follows
    doctor.examine(now_ms, {span: times}) -> {"reference", "mode", "spans": {span: {"ppm", "within_ppm", "slips", "seconds", "errored"}},
                               "findings": [{"finding", "key", "spans", "ppm", "arguments", "text", "advice"}]}

text and advice are English; for other languages there are the sentence's name, `key`, and what stands in it: spans, ppm and arguments.

Pure: time is passed in.  Accuracy of clocks that may be met: 50 ppm of a PBX's own oscillator (G.703 for 2,048 kbit/s), 32 ppm at
1,544 kbit/s, 0.01 ppm and less where everything follows a network (G.811, G.812)."""

import collections

SLIP_PPM = 125.0
WINDOW_MS = 900_000
LEAST_SLIPS = 3             # fewer may be one transient of the network: invented
ONE_WAY = 0.8               # share of the slips in one direction that makes a drift; invented
ERRORED = 0.1               # share of errored seconds from which on the line is to be looked at first; invented
GAP, SECONDS_MS = 4, 2000   # times the mean between slips, and what whole seconds hide: a longer gap is a change; invented
ALIKE = 0.15                # offsets that differ by less than this part (or their resolution) are one clock; invented


class _Span:
    __slots__ = ("since_ms", "slips", "seconds", "errored")

    def __init__(self, now_ms):
        self.since_ms, self.slips, self.seconds, self.errored = now_ms, collections.deque(), 0, 0


class ClockDoctor:
    """See the module's docstring."""

    def __init__(self):
        self._spans, self._reference, self._mode = {}, None, "freerun"
        self._weak = {}                     # span -> dB below nominal, of those whose signal is weak

    def reference(self, name, mode, now_ms):
        """What the box follows ("span 1", "external" or None) and how ("locked", "holdover", "freerun")."""
        if (name, mode) != (self._reference, self._mode):
            self._reference, self._mode = name, mode
            self._spans = {}

    def gone(self, span):
        """The span is out of frame, or no longer there."""
        self._spans.pop(span, None)

    def level(self, span, db, weak):
        """How strong the signal of a span is: a weak one explains errors."""
        if weak and db is not None:
            self._weak[span] = db
        else:
            self._weak.pop(span, None)

    def second(self, span, now_ms, left_out, repeated, errored):
        """One second of a span in frame.  errored: whether blocks came wrong."""
        seen = self._spans.get(span)
        if seen is None:                    # this second may hold slips of before
            self._spans[span] = _Span(now_ms)
            return
        seen.seconds += 1
        slipped = left_out + repeated > 0
        seen.errored += bool(errored) and not slipped       # a slip breaks the multiframe's check by itself
        seen.slips.extend([(now_ms, 1)] * left_out + [(now_ms, -1)] * repeated)
        while seen.slips and seen.slips[0][0] < now_ms - WINDOW_MS:
            seen.slips.popleft()
        if seen.since_ms < now_ms - WINDOW_MS:
            seen.errored -= seen.errored * 1000 // WINDOW_MS
            seen.seconds, seen.since_ms = min(seen.seconds, WINDOW_MS // 1000), now_ms - WINDOW_MS

    def _figures(self, seen, now_ms):
        seconds = max(1.0, (now_ms - seen.since_ms) / 1000)
        net = sum(sign for _, sign in seen.slips)
        within = SLIP_PPM / seconds
        ppm = net * SLIP_PPM / seconds
        recent = _recent(seen.slips)
        between = (seen.slips[-1][0] - recent[0][0]) / 1000 if recent else 0
        if abs(sum(sign for _, sign in recent)) == len(recent) >= LEAST_SLIPS and between:
            ppm = SLIP_PPM * recent[0][1] * (len(recent) - 1) / between         # from slip to slip: nothing is cut off
            within = (SLIP_PPM + abs(ppm)) / between                           # a slip is known to the second
        return {"ppm": round(ppm, 2), "within_ppm": round(within, 2), "slips": len(seen.slips), "seconds": seen.seconds,
                "errored": seen.errored}

    def examine(self, now_ms, unsteady=None):
        """What is found now; without findings where nothing has been watched yet.  unsteady: spans that come and go, how often in ten minutes."""
        spans = {span: self._figures(seen, now_ms) for span, seen in sorted(self._spans.items()) if seen.seconds}
        drifting, restless, bad = {}, [], []
        for span, row in spans.items():
            if row["slips"] < LEAST_SLIPS:
                continue
            one_way = abs(sum(sign for _, sign in self._spans[span].slips)) >= ONE_WAY * row["slips"]
            if row["errored"] > ERRORED * row["seconds"]:
                bad.append(span)
            elif one_way:
                drifting[span] = row["ppm"]
            else:
                restless.append(span)
        return {"reference": self._reference, "mode": self._mode, "spans": {str(span): row for span, row in spans.items()},
                "findings": [*_unsteady(unsteady or {}), *([*self._lines(bad, restless), *self._clocks(drifting, spans)] or self._fine(spans))]}

    def _lines(self, bad, restless):
        for span in [span for span in bad if span in self._weak]:
            yield _finding("bad_line", [span], None, "Span %d slips, and errors come with it; its signal is weak, %.0f dB below nominal: that is the cable, not a clock." % (
                span, self._weak[span]), "shorten or replace the cable, look for a joint on one wire only; where it must be so long, set the "
                "sensitivity of the span to high; judge its clock when the errors are gone", key="bad_line.weak", db=self._weak[span])
        for span in [span for span in bad if span not in self._weak]:
            yield _finding("bad_line", [span], None, "Span %d slips, and errors come with it: that is a bad line rather than a clock." % span,
                           "look at its cable, connectors and level first; loop it and run a bit error test; judge its clock when the errors are gone")
        for span in restless:
            yield _finding("restless", [span], None, "Span %d slips to and fro: its clock wanders, or jumps." % span,
                           "ask its far end what it takes its clock from; a clock that is switched to and fro does this")

    def _clocks(self, drifting, spans):
        reference = int(self._reference.split()[1]) if (self._reference or "").startswith("span ") else None
        groups = _groups(drifting, spans)
        if reference in drifting:
            group = next(group for group in groups if reference in group)
            yield _finding("not_followed", [reference], drifting[reference],
                           "The box says that it follows span %d, and yet that span slips: the oscillator of the board does not follow." % reference,
                           "look at the alarms of the box; if there are none, the input of the clock is wired to another span: check the board description")
            groups = [[span for span in group if span != reference] for group in groups]
            groups = [group for group in groups if group]
        others = [span for span in spans if span != reference]
        if reference is not None and len(groups) == 1 and len(groups[0]) == len(others) >= 2:
            ppm = drifting[groups[0][0]]
            yield _finding("odd_reference", groups[0], ppm,
                           "Span %d, whose clock the box follows, is the odd one: %s agree with one another and are %s." % (
                               reference, _names(groups[0]), _offset(ppm)),
                           "take one of %s as clock source instead, and ask the far end of span %d what its clock is" % (_names(groups[0]), reference),
                           reference=reference)
            return
        if self._mode != "locked" and len(groups) == 1 and groups[0]:
            ppm = drifting[groups[0][0]]
            yield _finding("no_reference", groups[0], ppm, "The box follows no clock, and %s %s." % (
                _names(groups[0]), ("is " if len(groups[0]) == 1 else "are ") + _offset(ppm)),
                "name one of these spans as clock source; or, if the box is to be the master, set the far ends to take their clock from the line")
            return
        of = "the box" if self._mode != "locked" else "span %d, whose clock the box follows" % reference if reference else "the external clock"
        for group in groups:
            ppm = drifting[group[0]]
            yield _finding("own_clock", group, ppm, "%s %s than %s, without errors of the line: %s." % (
                _names(group)[:1].upper() + _names(group)[1:], ("is " if len(group) == 1 else "are ") + _offset(ppm), of,
                "its far end has a clock of its own" if len(group) == 1 else "their far ends have another clock"),
                "the far end is a master too: set it to take its clock from the line; if it belongs to another network, slips stay unless both follow a common one",
                key="own_clock." + ("box" if self._mode != "locked" else "span" if reference else "external"), reference=reference)

    def _fine(self, spans):
        if not spans:
            return []
        within = max(row["within_ppm"] for row in spans.values())
        slips = sum(row["slips"] for row in spans.values())
        text = "All %d spans follow one clock" % len(spans) if len(spans) > 1 else "Span %s and the box have one clock" % next(iter(spans))
        return [_finding("one_clock", list(spans), None, "%s: %s, so they agree to %.3g ppm or better." % (
            text, "%d slips" % slips if slips else "no slips", within), "nothing", slips=slips, within=within)]


def _recent(slips):
    """The slips since the pace last changed much: back to a gap of GAP of those after it."""
    recent = []
    for slip in reversed(slips):
        if len(recent) >= LEAST_SLIPS:
            mean_ms = (recent[-1][0] - recent[0][0]) / -(len(recent) - 1)
            if recent[-1][0] - slip[0] > GAP * mean_ms + SECONDS_MS:
                break
        recent.append(slip)
    return recent[::-1]


def _unsteady(spans):
    for span, times in sorted(spans.items()):
        yield _finding("unsteady", [span], None, "Span %d comes and goes, %d times in ten minutes: its clock cannot be judged." % (span, times),
                       "look for a loose plug or patch cable, from the box to the far end; judge its clock when it stays", times=times)


def _finding(name, spans, ppm, text, advice, key=None, **arguments):
    return {"finding": name, "key": key or name, "spans": spans, "ppm": ppm, "arguments": arguments, "text": text, "advice": advice}


def _groups(drifting, spans):
    """Spans whose offsets are alike, the largest group first."""
    groups = []
    for span in sorted(drifting, key=lambda span: (drifting[span], span)):
        last = groups[-1][-1] if groups else None
        near = last is not None and abs(drifting[span] - drifting[last]) <= max(
            ALIKE * abs(drifting[span]), spans[span]["within_ppm"] + spans[last]["within_ppm"])
        if near and (drifting[span] > 0) == (drifting[last] > 0):
            groups[-1].append(span)
        else:
            groups.append([span])
    return sorted((sorted(group) for group in groups), key=lambda group: (-len(group), group))


def _names(spans):
    return "span %d" % spans[0] if len(spans) == 1 else "spans %s and %d" % (", ".join(str(span) for span in spans[:-1]), spans[-1])


def _offset(ppm):
    return "%.3g ppm %s" % (abs(ppm), "faster" if ppm > 0 else "slower")
