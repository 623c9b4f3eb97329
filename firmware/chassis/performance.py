"""Performance of a span: errored seconds and what follows from them, in bins of 15 minutes and of a day.

G.826 (12/2002), for a 2048 kbit/s path with CRC-4, where a block is a sub-multiframe (1,000 a second, annex B):
    ES   a second with at least one errored block or defect                                   3.1.3
    SES  a second with 30 % errored blocks or more, or a defect (LOS, AIS, loss of frame)       3.1.4
    BBE  an errored block outside an SES                                                      3.1.5
    unavailable time begins with the first of ten SES in a row, ends with the first of ten seconds in a row that are no SES;
    those ten count to what begins (annex A).  In it nothing but UAS is counted.
Without CRC-4 the frame alignment signal is all there is: ES is a second with one wrong FAS, SES one with 28 or more (M.2100
table of in-service thresholds; 4,000 FAS a second).  T1 (T1.231, RFC 4805 3.4.3): with ESF a block is a CRC-6
multiframe (333 a second) and SES has 320 or more; with SF it has 8 or more wrong framing bits.
Far end: E bits and RAI tell what the far end counts of our sending.

Each second is counted ten seconds late at most, in the bin that it belongs to.  A bin whose `seconds` is below its length
is suspect: the box was off, or nobody watched.  Pure: time is passed in; times are UTC seconds."""

from firmware.errors import LocalError

QUARTER_S, DAY_S = 900, 86_400
KEEP_S = {"quarter": 7 * DAY_S, "day": 366 * DAY_S}
LENGTH_S = {"quarter": QUARTER_S, "day": DAY_S}
RUN_S = 10                                       # annex A
# framing: blocks a second whose errors are counted, errors a second that make an SES, source
FRAMINGS = {"e1_crc4": (1000, 300, "G.826 annex B: 30 % of 1,000"), "e1": (4000, 28, "M.2100: 28 FAS"),
            "packets": (1000, 300, "ours, after G.826: a thousandth of a second's frames is a block; one that did not come in time is errored"),
            "t1_esf": (333, 320, "T1.231: 320 CRC-6"), "t1_sf": (8000, 8, "T1.231: 8 framing bits")}
COUNTS = ("seconds", "es", "ses", "bbe", "uas", "fe_es", "fe_ses", "fe_bbe", "fe_uas", "slips", "blocks_errored", "code_violations")
DEFECTS = ("los", "lfa", "ais")


class _Side:
    """Availability of one direction: seconds wait until it is known how they count."""

    __slots__ = ("available", "pending")

    def __init__(self):
        self.available, self.pending = True, []

    def second(self, at_s, ses, es, bbe):
        """Returns the seconds that are decided now: [(at_s, "es", "ses", "bbe" and "uas" counts)]."""
        turning = ses == self.available          # a second of the other kind than the state
        if not turning:
            decided, self.pending = self.pending, []
            return [self._count(row) for row in decided + [(at_s, ses, es, bbe)]]
        self.pending.append((at_s, ses, es, bbe))
        if len(self.pending) < RUN_S:
            return []
        self.available = not self.available
        decided, self.pending = self.pending, []
        return [self._count(row) for row in decided]

    def _count(self, row):
        at_s, ses, es, bbe = row
        return (at_s, int(es), int(ses), bbe, 0) if self.available else (at_s, 0, 0, 0, 1)


class Performance:
    """One span.  framing: one of FRAMINGS; failed: an alarm of before a restart stands: unavailable, if the first second is severely errored, too.

    spoilt: whether the path is unavailable for ten seconds that were severely errored though frames came."""

    def __init__(self, framing="e1_crc4", failed=False):
        if framing not in FRAMINGS:
            raise LocalError("there is no counting for %r, use one of %s" % (framing, ", ".join(FRAMINGS)))
        self.framing = framing
        self._sides = {"near": _Side(), "far": _Side()}
        self._bins = {}                          # (length name, start_s) -> counts
        self._spoilt_s, self.spoilt = 0, False   # severely errored seconds in a row, without a defect
        self._failed = failed
        self._dirty = set()

    def load(self, bins):
        """Bins of before a restart that may still grow: [(length name, start_s, counts)]."""
        for name, start_s, counts in bins:
            if name in LENGTH_S:
                self._bins[name, start_s] = {key: int(counts.get(key, 0)) for key in COUNTS}

    @property
    def available(self):
        """Whether the span is available in the sense of annex A (our receiving)."""
        return self._sides["near"].available

    def second(self, at_s, counters, defects=()):
        """One second is over.  at_s: UTC second; defects: kinds of the framer present in it.

        counters: {"crc_errors", "fas_errors", "e_bits", "code_violations", "slips"}, missing ones are 0."""
        blocks, severe, _ = FRAMINGS[self.framing]
        errors = counters.get("crc_errors" if self.framing in ("e1_crc4", "t1_esf") else "fas_errors", 0)
        if self.framing == "e1_crc4" and counters.get("fas_errors", 0) and not errors:
            errors = min(blocks, counters["fas_errors"])
        errors = min(errors, blocks)
        defect = any(kind in DEFECTS for kind in defects)
        slips = counters.get("slips", 0)
        ses = defect or errors >= severe
        self._spoilt_s = self._spoilt_s + 1 if ses and not defect else 0
        if self._failed:
            self._failed, self._sides["near"].available, self.spoilt = False, not ses, ses
        self._add(at_s, seconds=1, slips=slips, blocks_errored=0 if defect else errors,
                  code_violations=0 if defect else counters.get("code_violations", 0))
        # a slip makes the second errored (G.821 does not count it, T1.231 does: SES is not touched)
        self._decide("near", at_s, ses, ses or errors > 0 or slips > 0, 0 if ses else errors)
        # a signal that was lost and is found is no bad line, although the path is unavailable for ten seconds more
        self.spoilt = not defect and not self.available and (self.spoilt or self._spoilt_s >= RUN_S)
        # while our receiver has lost the signal nothing is known of the far end: its second is not errored
        if not defect:
            far = min(counters.get("e_bits", 0), 1000) if self.framing == "e1_crc4" else 0
            far_ses = "rai" in defects or far >= FRAMINGS["e1_crc4"][1]
            self._decide("far", at_s, far_ses, far_ses or far > 0, 0 if far_ses else far)

    def _decide(self, side, at_s, ses, es, bbe):
        head = "" if side == "near" else "fe_"
        for second_s, errored, severe, blocks, unavailable in self._sides[side].second(at_s, ses, es, bbe):
            self._add(second_s, **{head + "es": errored, head + "ses": severe, head + "bbe": blocks, head + "uas": unavailable})

    def _add(self, at_s, **values):
        for length, seconds in LENGTH_S.items():
            key = (length, at_s - at_s % seconds)
            counts = self._bins.get(key)
            if counts is None:
                counts = self._bins[key] = dict.fromkeys(COUNTS, 0)
            for name, value in values.items():
                counts[name] += value
            self._dirty.add(key)

    def flush(self):
        """Bins that changed since the last call: [(length name, start_s, counts)]; forgets bins that are over."""
        changed = [(length, start_s, dict(self._bins[length, start_s])) for length, start_s in sorted(self._dirty)]
        self._dirty.clear()
        newest = max((start_s for length, start_s in self._bins if length == "quarter"), default=0)
        for length, start_s in list(self._bins):
            if start_s + LENGTH_S[length] + 2 * RUN_S < newest:
                del self._bins[length, start_s]
        return changed

    def quarter(self, start_s):
        """Counts of the quarter of an hour that began then, or None."""
        return self._bins.get(("quarter", start_s))

    def current(self):
        """{"quarter": (start_s, counts), "day": (start_s, counts)} of the bins that grow now."""
        newest = {}
        for (length, start_s), counts in self._bins.items():
            if start_s >= newest.get(length, (-1,))[0]:
                newest[length] = (start_s, dict(counts))
        return newest

