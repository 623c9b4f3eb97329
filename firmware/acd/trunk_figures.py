"""Figures of trunk groups, computed from journal records and from nothing else: a part of acd/statistics.py.

    in_calls      calls that came in;  in_answered  those that we answered
    out_attempts  trunks seized for calls out;  out_answered  those that were answered
    seized_ms     time for which trunks were held, from the seizure to the end of the release; divided by the length
                  of the interval it is the traffic in Erlang (ITU-T E.600 2.1)

Counts are booked in the interval of their moment, held time is split where an interval ends.
"""

TRUNK_COUNTS = ("in_calls", "in_answered", "out_attempts", "out_answered", "seized_ms")
ERLANG = "seized_ms / length of the interval"


class TrunkFigures:
    """book(group, field, ts_ms, amount) counts; span_of_time(group, field, from_ms, to_ms) books a time, split."""

    def __init__(self, book, span_of_time):
        self._book, self._time = book, span_of_time
        self._held = {}         # leg -> [group, "in"|"out", since_ms]

    def apply(self, record, kind):
        """Take one record."""
        leg, data = record["leg"], record["data"]
        if kind == "leg.offered" or kind == "leg.created":
            if data.get("span") is not None and data.get("trunk_group") is not None:
                way = "in" if kind == "leg.offered" else "out"
                self._held[leg] = [data["trunk_group"], way, record["ts_ms"]]
                self._book(data["trunk_group"], "in_calls" if way == "in" else "out_attempts", record["ts_ms"], 1)
        elif leg in self._held:
            group, way, since_ms = self._held[leg]
            if kind == "leg.answered":
                self._book(group, way + "_answered", record["ts_ms"], 1)
            elif kind == "leg.released":
                del self._held[leg]
                self._time(group, "seized_ms", since_ms, record["ts_ms"])

    def running(self):
        """[(group, since_ms)] of what is held now, in a fixed order."""
        return [(self._held[leg][0], self._held[leg][2]) for leg in sorted(self._held)]

    def dump(self):
        """As plain lists."""
        return [[leg] + self._held[leg] for leg in sorted(self._held)]

    def load(self, dumped):
        """Take dump() back."""
        self._held = {}
        for row in dumped:
            self._held[row[0]] = list(row[1:])
