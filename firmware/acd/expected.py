"""How long a caller will wait: an estimate from how fast the queue moves, corrected by how wrong it was.

A queue that has callers moves each time somebody is answered; the mean time between two such moments, over the last
LAST of them, times the place is the estimate.  What this does not know (callers before who give up, agents who serve
other queues meanwhile, a shift that ends) shows as a ratio between what callers waited and what was said to them; their
ratio multiplies the next estimate, within LEAST and MOST.

    fold = Expected()
    fold.entered(now_ms)                       somebody has to wait: nobody is ready
    fold.answered(now_ms, left, wait_ms, said_ms)      left: who still waits; said_ms: the estimate at the entry
    fold.estimate_ms(place)                    or None: nobody knows yet

Plain data, part of the state, made by records alone.  All constants are invented; how good they are is measured: the error
is a figure of each queue's report (acd/report.py).
"""

LAST = 30               # how many of the last moments count
LEAST, MOST = 250, 4000     # of the ratio, in thousandths
FIRST = 3               # samples before anything is said
ROUND_MS = 60000        # what is said to callers is rounded up to minutes


class Expected:
    """The pace of one queue."""

    __slots__ = ("interval_ms", "samples", "ratio", "since_ms", "waited_ms", "said_ms")

    def __init__(self, interval_ms=0, samples=0, ratio=1000, since_ms=None, waited_ms=0, said_ms=0):
        self.interval_ms = interval_ms      # mean between two answers while somebody waits
        self.samples = samples
        self.ratio = ratio                  # what was waited / what the pace alone said, in thousandths
        self.waited_ms = waited_ms          # the means of both
        self.said_ms = said_ms
        self.since_ms = since_ms            # of the last answer after which somebody still waited, or when the wait began

    def entered(self, now_ms):
        """Somebody waits, who has to."""
        if self.since_ms is None:
            self.since_ms = now_ms

    def answered(self, now_ms, left, wait_ms, said_ms):
        """A caller was answered.  left: how many still wait; wait_ms: what it was; said_ms: what it was thought to be, None:
        unknown, False: somebody was ready."""
        if self.since_ms is not None and said_ms is not False:
            self.samples = min(self.samples + 1, LAST)
            self.interval_ms += (max(0, now_ms - self.since_ms) - self.interval_ms) // self.samples
        self.since_ms = now_ms if left else None
        if said_ms:
            self.waited_ms += (wait_ms - self.waited_ms) // LAST
            self.said_ms += (said_ms * 1000 // self.ratio - self.said_ms) // LAST
            if self.said_ms > 0:
                self.ratio = max(LEAST, min(MOST, self.waited_ms * 1000 // self.said_ms))

    def left(self, left):
        """A caller went without an answer.  left: how many still wait."""
        if not left:
            self.since_ms = None

    def estimate_ms(self, place):
        """The wait from now on at a place (1: the next), or None."""
        if self.samples < FIRST:
            return None
        return self.interval_ms * place * self.ratio // 1000

    def dump(self):
        """As a plain list."""
        return [self.interval_ms, self.samples, self.ratio, self.since_ms, self.waited_ms, self.said_ms]


def minutes(wait_ms):
    """What is said: whole minutes, upwards; from 10 on in steps of 5.  0: less than one minute is not said so, but as 1."""
    told = max(1, -(-wait_ms // ROUND_MS))
    return told if told <= 10 else -(-told // 5) * 5
