"""A witness of the host: when did this machine itself stand still?

    watch = HostWatch().start()
    ... watch.stalls(since)      # [(time.monotonic(), milliseconds)]
    watch.stop()

One small process a processor, pinned to it, sleeps 4 ms again and again under
SCHED_FIFO above everything of the rig and the product.  Only the host (a
hypervisor that gave the processor to somebody else) can make it late by
STALL_MS, so its word excuses a measurement in real time, and nothing else does.
Without the right to real time it says nothing.
"""

import os
import subprocess
import sys
import tempfile
import time

PERIOD_S = 0.004
STALL_MS = 5.0           # half a tick: what comes later than that may cost the media process its block
PRIORITY = 60
CALM_S, CALM_WITHIN_S = 5, 30        # invented


def metronome(processor, descriptor):
    """Never returns; writes a line for each stall."""
    try:
        os.sched_setaffinity(0, {processor})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        return
    parent = os.getppid()
    while os.getppid() == parent:
        before = time.monotonic()
        time.sleep(PERIOD_S)
        late_ms = 1000 * (time.monotonic() - before - PERIOD_S)
        if late_ms >= STALL_MS:
            os.write(descriptor, b"%.4f %.1f\n" % (before, late_ms))


class HostWatch:
    """The metronomes of all processors."""

    def start(self):
        self._said = tempfile.TemporaryFile()           # of all: they write at one common place, we read from the beginning
        told = self._said.fileno()
        self._processes = [subprocess.Popen([sys.executable, os.path.abspath(__file__), str(cpu), str(told)],
                                            stdin=subprocess.DEVNULL, pass_fds=[told], start_new_session=True)
                           for cpu in sorted(os.sched_getaffinity(0))]
        return self

    def stalls(self, since=0.0):
        """Stalls that ended after time.monotonic() `since`."""
        told = self._said.fileno()
        whole = os.pread(told, os.fstat(told).st_size, 0).decode().rpartition("\n")[0]         # the last line may be half written
        rows = (row for row in (line.split() for line in whole.splitlines()) if len(row) == 2)
        return [(float(at), float(late)) for at, late in rows if float(at) + float(late) / 1000 >= since]

    def wait_for_calm(self):
        """Until the host has not stood still for CALM_S, at most CALM_WITHIN_S."""
        deadline = time.monotonic() + CALM_WITHIN_S
        while time.monotonic() < deadline and self.stalls(time.monotonic() - CALM_S):
            time.sleep(0.5)

    def stop(self):
        for process in self._processes:
            process.terminate()
            process.wait()
        self._said.close()


if __name__ == "__main__":
    metronome(int(sys.argv[1]), int(sys.argv[2]))
