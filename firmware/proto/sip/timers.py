"""Timers of SIP: the table of defaults, and the queue of running ones.

RFC 3261 Table 4 with the corrections of RFC 6026.  All values for unreliable transport are
multiples of T1, T2 and T4, so they are given as such.
"""

from heapq import heapify, heappop, heappush

# (letter, unit, multiple, over a reliable transport, clause)
TIMERS = (
    ("A", "t1", 1, None, "17.1.1.2: INVITE again, doubling"),
    ("B", "t1", 64, 64, "17.1.1.2: INVITE unanswered"),
    ("D", "t1", 64, 0, "17.1.1.2: answers to a refused INVITE"),
    ("E", "t1", 1, None, "17.1.2.2: request again, doubling to T2"),
    ("F", "t1", 64, 64, "17.1.2.2: request unanswered"),
    ("G", "t1", 1, None, "17.2.1: refusal again, doubling to T2"),
    ("H", "t1", 64, 64, "17.2.1: no ACK"),
    ("I", "t4", 1, 0, "17.2.1: ACK again"),
    ("J", "t1", 64, 0, "17.2.2: request again"),
    ("K", "t4", 1, 0, "17.1.2.2: response again"),
    ("L", "t1", 64, 64, "RFC 6026 8.7: INVITE again after 2xx"),
    ("M", "t1", 64, 64, "RFC 6026 8.4: 2xx again"),
)
T1_MS = 500
T2_MS = 4000
T4_MS = 5000
PROVISIONAL_MS = 60000           # RFC 3261 13.3.1.1: a provisional response each minute
LEFT_LYING = 64                  # ours: so few cancelled timers are not worth a look


def durations_ms(t1_ms=T1_MS, t2_ms=T2_MS, t4_ms=T4_MS):
    """{letter: (unreliable ms, reliable ms or None)}, and "T1", "T2"."""
    units = {"t1": t1_ms, "t2": t2_ms, "t4": t4_ms}
    out = {"T1": t1_ms, "T2": t2_ms}
    for letter, unit, multiple, reliable, _ in TIMERS:
        out[letter] = (units[unit] * multiple, None if reliable is None else units[unit] * reliable)
    return out


class TimerQueue:
    """Running timers, a binary heap.  An entry is [deadline_ms, number, target or None, name].

    The number is an entry's own, so that comparing two entries never comes to their targets.
    A target has fire(name, now_ms).  Cancelled entries stay until they come to the top, or until they are the most: of a call's
    dozen timers, set for half a minute or a minute, two are left when it stands."""

    def __init__(self):
        self._heap = []
        self._number = 0
        self._cancelled = 0

    def __len__(self):
        return len(self._heap)

    def start(self, deadline_ms, target, name):
        """Start a timer; returns the entry, for cancel."""
        self._number += 1
        entry = [deadline_ms, self._number, target, name]
        heappush(self._heap, entry)
        return entry

    def cancel(self, entry):
        """Stop a timer; None and a fired one are let pass."""
        if entry is None or entry[2] is None:
            return
        entry[2] = None
        self._cancelled += 1
        if self._cancelled > LEFT_LYING and 2 * self._cancelled > len(self._heap):
            self._heap = [row for row in self._heap if row[2] is not None]
            heapify(self._heap)
            self._cancelled = 0

    def deadline_ms(self):
        """When the next timer is due, or None."""
        heap = self._heap
        while heap and heap[0][2] is None:
            heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def fire(self, now_ms):
        """Fire all timers that are due, in order."""
        while True:
            deadline = self.deadline_ms()
            if deadline is None or deadline > now_ms:
                return
            _, _, target, name = entry = heappop(self._heap)
            entry[2] = None
            target.fire(name, now_ms)
