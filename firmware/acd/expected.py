"""How long a caller will wait: a line through what callers at each place have waited lately.

Of each caller who had to wait and was answered, the place at the entry and the wait are kept as weighted sums, in which what
is older counts less with each answer (FORGETS); the least-squares line of wait over place, its slope held back where all
came at one place (STIFF), is the estimate.  It knows nothing of agents, shifts or callers who give up, and needs not: all of that
is in what was waited.  Replayed over the journal of a simulated day (make simulate-day) its mean error is 12.1 s, that of the mean of the last ten
answered, the usual estimate, 12.9 s; a pace of the queue times the place errs by 16.3 s, since agents serve several queues.

    fold = Expected()
    fold.answered(place, wait_ms)       place: 1 is the next one, at the entry
    fold.estimate_ms(place)             or None: nobody knows yet

Plain data, part of the state, made by records alone.  The constants were tried on that day; how good they are is measured: the error
is a figure of each queue's report (acd/report.py).
"""

FORGETS = 850           # thousandths that an older caller counts when a newer one is known
STIFF = 2               # the slope's denominator gains 1 / STIFF of a place squared
FIRST = 3               # callers before anything is said
UNIT = 1000
ROUND_MS = 60000        # what is said to callers is rounded up to minutes


class Expected:
    """The waits of one queue.  Sums in thousandths: weight, places, waits, places squared, places times waits."""

    __slots__ = ("seen", "sums")

    def __init__(self, seen=0, sums=None):
        self.seen = seen
        self.sums = list(sums or (0, 0, 0, 0, 0))

    def answered(self, place, wait_ms):
        """A caller who had to wait was answered."""
        self.seen = min(self.seen + 1, FIRST)
        more = (1, place, wait_ms, place * place, place * wait_ms)
        self.sums = [self.sums[n] * FORGETS // 1000 + more[n] * UNIT for n in range(5)]

    def estimate_ms(self, place):
        """The wait from now on at a place (1: the next), or None."""
        if self.seen < FIRST:
            return None
        weight, places, waits, squares, products = self.sums
        below = squares * weight - places * places + weight * weight // STIFF
        slope = max(0, products * weight - places * waits)
        return max(0, (waits * below + slope * (place * weight - places)) // (weight * below))

    def dump(self):
        """As a plain list."""
        return [self.seen, self.sums]


def minutes(wait_ms):
    """What is said: whole minutes, upwards; from 10 on in steps of 5.  0: less than one minute is not said so, but as 1."""
    told = max(1, -(-wait_ms // ROUND_MS))
    return told if told <= 10 else -(-told // 5) * 5
