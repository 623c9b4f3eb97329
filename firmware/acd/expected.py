"""How long a caller will wait: a line through what callers with as much before them have waited lately.

What is before a caller is a load: those who are served earlier, over all queues whose agents are the caller's agents, each with the
share of that queue's agents who are (control/core_ahead.py), the caller too, for each agent who is at work now, in tenths of a second of a
call of HANDLE_DS.  Agents at work hang up at such distances.  Of each caller who had to wait and was answered, load and wait are kept as
weighted sums, in which what is older counts less with each answer (FORGETS); the least-squares line of wait over load, its slope held
back where all came with one load (STIFF), is the estimate.  So the true handle time, callers who give up and offers in vain are in the slope: they are
in what was waited.  In the simulated day of 1,000 agents (make simulate-day, its first 14 hours with the rush, 35,999 callers) its mean error is
8.7 s, that of the mean of the last ten answered, the usual estimate, 12.7 s; a line over the place in the own queue errs by 11.2 s (another day).

    fold = Expected()
    fold.answered(load, wait_ms)        the load at the entry
    fold.estimate_ms(load)              or None: nobody knows yet

Plain data, part of the state, made by records alone.  The constants were tried on that day; how good they are is measured: the error
is a figure of each queue's report (acd/report.py).
"""

FORGETS = 950           # thousandths that an older caller counts when a newer one is known
STIFF = 50              # the slope's denominator gains this, in tenths of a second squared
FIRST = 3               # callers before anything is said
UNIT = 1000
HANDLE_DS = 1800        # of one agent's call, nominal: three minutes, as the mission has it
ROUND_MS = 60000        # what is said to callers is rounded up to minutes


class Expected:
    """The waits of one queue.  Sums in thousandths: weight, loads, waits, loads squared, loads times waits."""

    __slots__ = ("seen", "sums")

    def __init__(self, seen=0, sums=None):
        self.seen = seen
        self.sums = list(sums or (0, 0, 0, 0, 0))

    def answered(self, load, wait_ms):
        """A caller who had to wait was answered."""
        self.seen = min(self.seen + 1, FIRST)
        more = (1, load, wait_ms, load * load, load * wait_ms)
        self.sums = [self.sums[n] * FORGETS // 1000 + more[n] * UNIT for n in range(5)]

    def estimate_ms(self, load):
        """The wait from now on with a load, or None."""
        if self.seen < FIRST:
            return None
        weight, loads, waits, squares, products = self.sums
        below = squares * weight - loads * loads + weight * weight * STIFF
        slope = max(0, products * weight - loads * waits)
        return max(0, (waits * below + slope * (load * weight - loads)) // (weight * below))

    def dump(self):
        """As a plain list."""
        return [self.seen, self.sums]


def load_of(before, busy):
    """What is before a caller, in tenths of a second.  before: thousandths of callers, the caller too; busy: agents at work."""
    return HANDLE_DS * before // (1000 * max(1, busy))


def minutes(wait_ms):
    """What is said: whole minutes, upwards; from 10 on in steps of 5.  0: less than one minute is not said so, but as 1."""
    told = max(1, -(-wait_ms // ROUND_MS))
    return told if told <= 10 else -(-told // 5) * 5
