"""Deadlines of the switchboard, part of its state.

A deadline is wall-clock UTC ms and stands in the record that set it, so it outlives
the process.  Keys are (kind, id), for example ("wait", "c17").  The heap only
finds the next one fast; the dict is the truth, and a heap entry that the dict no
longer confirms is thrown away when it comes up.
"""

import heapq


class Timers:
    """A set of named deadlines."""

    def __init__(self):
        self._at = {}
        self._heap = []

    def set(self, kind, name, at_ms):
        """Set or move a deadline; None cancels it."""
        if at_ms is None:
            self.cancel(kind, name)
            return
        self._at[(kind, name)] = at_ms
        heapq.heappush(self._heap, (at_ms, kind, name))

    def cancel(self, kind, name):
        """Forget a deadline, if it is set."""
        self._at.pop((kind, name), None)

    def get(self, kind, name):
        """The deadline, or None."""
        return self._at.get((kind, name))

    def next_ms(self):
        """The earliest deadline, or None."""
        while self._heap:
            at_ms, kind, name = self._heap[0]
            if self._at.get((kind, name)) == at_ms:
                return at_ms
            heapq.heappop(self._heap)
        return None

    def due(self, now_ms):
        """The earliest deadline that is over, as (at_ms, kind, name), or None.

        It stays set: only a record may change state, so what answers it emits one that moves or cancels it."""
        at_ms = self.next_ms()
        if at_ms is None or at_ms > now_ms:
            return None
        return self._heap[0]

    def dump(self):
        """As sorted lists."""
        return sorted([kind, name, self._at[(kind, name)]] for kind, name in self._at)

    def load(self, dumped):
        """Take dump() back."""
        self._at = {}
        self._heap = []
        for kind, name, at_ms in dumped:
            self.set(kind, name, at_ms)
