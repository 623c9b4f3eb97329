"""A process shows that it turns by touching its ready mark each second; the supervisor ends one that stands still.

On the appliance systemd's WatchdogSec does the same.  A process that hangs is worse than a dead one, which is started again: control holds no
call and web no page that would outlive it.
"""

import os
import time

BEAT_S = 1.0
# Looks of the supervisor, a second apart, without a beat between; counting looks, not seconds, excuses a host that
# stood still.  Media's end clears its calls, so it is given longer.  Invented.
LOOKS = {"control": 15, "web": 15, "media": 30}


class Heart:
    """path: the ready mark, which must be there; beat() may be called at any rate."""

    def __init__(self, path):
        self.path = path
        self._last = 0.0

    def beat(self):
        now = time.monotonic()
        if now - self._last >= BEAT_S:
            self._last = now
            try:
                os.utime(self.path)
            except OSError:         # taken away from under us: the supervisor then sees no mark, and does not judge
                pass


class Watch:
    """What the supervisor knows of the beats.  looks: how many without a beat mean that a process hangs."""

    def __init__(self, run_dir, looks=LOOKS):
        self.run_dir, self.looks = run_dir, looks
        self._seen = {}             # name: [mtime of the mark, looks without a change]

    def hung(self):
        """To be called once a second: names of the processes that have shown no sign for too long, each once."""
        found = []
        for name, most in self.looks.items():
            try:
                mark = (self.run_dir / f"{name}.ready").stat().st_mtime_ns
            except OSError:         # it is starting, or has ended
                self._seen.pop(name, None)
                continue
            before, count = self._seen.get(name, (None, 0))
            count = count + 1 if mark == before else 0
            if count >= most:
                found.append(name)
                count = 0
            self._seen[name] = (mark, count)
        return found
