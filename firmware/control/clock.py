"""The clock of the control process: UTC milliseconds that never jump.

Journal records and all deadlines are in UTC ms, so that they mean the same after a
restart.  A step of the system's clock (NTP, a person) must not fire or freeze every
timer, so the clock runs on CLOCK_MONOTONIC from the UTC seen at start and is drawn
towards the system's UTC by at most SLEW_PPM.
"""

import time

SLEW_PPM = 5000  # half a per cent; invented: a minute's error is worked off in 200 minutes


class Clock:
    """now_ms() and monotonic_s() of one process."""

    def __init__(self, wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns):
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._offset_ns = wall_ns() - monotonic_ns()
        self._slewed_at_ns = monotonic_ns()

    def now_ms(self):
        """UTC milliseconds, whole; never goes back by more than the slew allows."""
        monotonic = self._monotonic_ns()
        passed = monotonic - self._slewed_at_ns
        if passed >= 1_000_000_000:
            error = self._wall_ns() - monotonic - self._offset_ns
            most = passed * SLEW_PPM // 1_000_000
            self._offset_ns += max(-most, min(most, error))
            self._slewed_at_ns = monotonic
        return (monotonic + self._offset_ns) // 1_000_000
