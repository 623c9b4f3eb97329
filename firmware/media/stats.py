"""Figures of the tick, beside the delay that the host itself caused."""

import collections
import os
import statistics
import time

SECONDS = 5             # the middle one of these counts: two that the host spoilt do not, an overload does in the third
NEAR_SECONDS = 20       # ours: two ticks in so many seconds are one in a thousand
STEPS_A_TICK = 1000     # of the engine's histograms: 10 us each
STEPS_NEAR = 800


def percentile(histogram, share):
    """Upper edge in ms of the 10 us step that the given share of ticks stays below."""
    total = sum(histogram)
    if not total:
        return 0.0
    seen, wanted = 0, share * total
    for step, count in enumerate(histogram):
        seen += count
        if seen >= wanted:
            return (step + 1) / 100
    return len(histogram) / 100


def stolen_ticks():
    """Time that the hypervisor gave to others, all processors, in USER_HZ ticks."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()
    return int(fields[8]) if len(fields) > 8 else 0


class TickStats:
    """tid: thread id of the tick, once known."""

    def __init__(self, engine):
        self._engine = engine
        self.tid = None
        self.realtime = False
        self.locked = False
        self._last = 0.0
        self._wait_ns = None
        self.worst_wait_ms = 0.0        # run-queue wait within one second
        self.wait_ms = 0.0
        self._stolen = stolen_ticks()
        self._before = None             # figures at the last look
        self._work = collections.deque([0] * SECONDS, SECONDS)         # processor ns a tick, of each second
        self._longest = collections.deque([0] * SECONDS, SECONDS)
        self._near = collections.deque([0] * NEAR_SECONDS, NEAR_SECONDS)       # ticks near their end, of each second
        # All are processor time: what the host takes away makes ticks longer, but nobody who is refused would mend it.
        self.work_ns = 0                # of a tick, all its threads: the median of the last seconds' means
        self.longest_ns = 0             # of the tick's own thread, one tick in a hundred takes more: the median of the last seconds
        self.near_seconds = 0           # of the last NEAR_SECONDS those in which the tick's own thread has once computed for 80 % of a tick

    def sample(self):
        """Once a second: how long did the tick thread wait for a processor?"""
        now = time.monotonic()
        if self.tid is None or now - self._last < 1:
            return
        self._last = now
        self._look(self._engine.figures())
        try:
            with open(f"/proc/self/task/{self.tid}/schedstat", encoding="ascii") as file:
                wait_ns = int(file.read().split()[1])
        except (OSError, IndexError, ValueError):
            return
        if self._wait_ns is not None:
            step = (wait_ns - self._wait_ns) / 1e6
            self.wait_ms += step
            self.worst_wait_ms = max(self.worst_wait_ms, step)
        self._wait_ns = wait_ns

    def _look(self, figures):
        before, self._before = self._before, figures
        if before is None or figures["cpu_ns"] < before["cpu_ns"]:
            return                      # the first look, or the figures have been cleared
        counts = [a - b for a, b in zip(figures["cpu_histogram"], before["cpu_histogram"])]
        ticks = sum(counts)
        if ticks > 0 and min(counts) >= 0:
            work = figures["cpu_ns"] - before["cpu_ns"] + figures["helped_cpu_ns"] - before["helped_cpu_ns"]
            self._work.append(work // ticks)
            self.work_ns = statistics.median_low(self._work)
            self._longest.append(round(percentile(counts, 0.99) * 1e6))
            self.longest_ns = statistics.median_low(self._longest)
            self._near.append(sum(counts[STEPS_NEAR:]))
            self.near_seconds = sum(map(bool, self._near))

    def figures(self):
        """Plain dict for the stats command; times in ms; cpu_: of the processor that the tick's thread had, the others by the clock."""
        figures = self._engine.figures()
        histogram, own = figures.pop("histogram"), figures.pop("cpu_histogram")
        measured = max(1, sum(histogram))
        return {"ticks": figures["ticks"], "ticks_with_board": figures["ticks_with_board"],
                "ticks_without_board": figures["ticks_without_board"], "late_ticks": figures["late_ticks"],
                "late_ticks_by_host": figures["late_ticks_by_host"], "blocks_lost": figures["blocks_lost"],
                "helped_units": figures["helped_units"], "helped_ms": round(figures["helped_ns"] / 1e6, 3), "sparing_ticks": figures["sparing_ticks"],
                "helped_cpu_ms": round(figures["helped_cpu_ns"] / 1e6, 3), "cpu_ms": round(figures["cpu_ns"] / 1e6, 3),       # the latter since the last clear
                "cpu_p99_ms": percentile(own, 0.99), "cpu_p999_ms": percentile(own, 0.999), "cpu_longest_ms": round(figures["cpu_longest_ns"] / 1e6, 3),
                "gathered_packets": figures["gathered_packets"], "ringed_packets": figures["ringed_packets"], "events_lost": figures["events_lost"], "frames_lost": figures["frames_lost"],
                "voice_ms": round(figures["voice_ns"] / 1e6, 3),    # processor time, since the last clear
                "mean_ms": round(figures["busy_ns"] / measured / 1e6, 4),
                "longest_ms": round(figures["longest_ns"] / 1e6, 3),
                "over_10_ms": sum(histogram[STEPS_A_TICK:]),        # since the last clear
                "p50_ms": percentile(histogram, 0.5), "p99_ms": percentile(histogram, 0.99),
                "p999_ms": percentile(histogram, 0.999), "run_queue_wait_ms": round(self.wait_ms, 3),
                "worst_wait_in_a_second_ms": round(self.worst_wait_ms, 3),
                "stolen_ms": (stolen_ticks() - self._stolen) * 1000 // os.sysconf("SC_CLK_TCK"),
                "realtime": self.realtime, "memory_locked": self.locked}
