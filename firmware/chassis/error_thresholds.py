"""Errored seconds over a threshold: an alarm for a span that works, and works badly.

ITU-T M.2120, in-service thresholds of a path for 15 minutes: 120 ES or 15 SES raise, as multiplexers ship it (Lanex TM-77 manual, table 13:
SES 15 urgent, ES 120 non-urgent).  They reset at 0; ours is a little above for ES, that one bad second in each quarter does not hold the alarm.

    severely_errored_seconds    the quarter that runs has 15 SES or more
    errored_seconds             it has 120 ES or more, and fewer SES than that

What stands ends with the first whole quarter that stayed below the reset thresholds, and is told anew with the counts of each whole quarter before.
While the receiver has no signal (or the far end none) nothing is raised: that is the cause then, and has its own alarm.  A restart of control
takes up what stands from the alarm list, and the counts from the bins."""

from firmware.chassis.performance import QUARTER_S, RUN_S

MINOR, MAJOR = "errored_seconds", "severely_errored_seconds"
KINDS = (MINOR, MAJOR)
RAISE = {MINOR: ("es", 120), MAJOR: ("ses", 15)}
RESET = {"es": 12, "ses": 1}            # a quarter with fewer of both; ours
WHOLE_S = 800                           # seconds counted in a quarter that may end the alarm: a restart costs up to a minute; ours
DECIDED_S = 2 * RUN_S                   # into a quarter, until the one before is counted to its end


class ErrorThresholds:
    """standing: {span: {kind: sentence}} of before a restart."""

    def __init__(self, standing=None):
        self._standing = dict(standing or {})
        self._looked = {}               # span -> start of the quarter whose end was looked at

    def forget(self, span):
        """A span is no more."""
        self._standing.pop(span, None)
        self._looked.pop(span, None)

    def second(self, span, at_s, performance, signal_lost):
        """{kind: sentence} of what stands after a second that was counted."""
        start_s = at_s - at_s % QUARTER_S
        stands = self._standing.get(span, {})
        if stands and at_s - start_s >= DECIDED_S and self._looked.get(span) != start_s:
            self._looked[span] = start_s
            before = performance.quarter(start_s - QUARTER_S)
            if before is not None and before["seconds"] >= WHOLE_S:
                stands = self._reached(before) or ({kind: _said(before) for kind in stands} if _still(before) else {})
        counts = performance.quarter(start_s)
        if counts is not None and not signal_lost:
            reached = self._reached(counts)
            if reached and MAJOR not in stands and set(reached) != set(stands):
                stands = reached
        if stands:
            self._standing[span] = stands
        else:
            self._standing.pop(span, None)
        return stands

    @staticmethod
    def _reached(counts):
        for kind in (MAJOR, MINOR):
            name, least = RAISE[kind]
            if counts[name] >= least:
                return {kind: _said(counts)}
        return {}


def _still(counts):
    return any(counts[name] >= least for name, least in RESET.items())


def _said(counts):
    return "ES %d, SES %d (%d s)" % (counts["es"], counts["ses"], counts["seconds"])
