"""What is said again and again is said a few times a minute, with how often more."""

import logging
import time

A_MINUTE, OF_A_KIND = 60.0, 5       # invented


class Quiet(logging.Filter):
    """Of one place in the code, OF_A_KIND messages a minute pass; then one says how many were left out.

    now: seconds that only go forward."""

    def __init__(self, now=time.monotonic):
        super().__init__()
        self.now = now
        self._kinds = {}            # (logger, message before its arguments): [minute's begin, passed, left out]

    def filter(self, record):
        key, now = (record.name, str(record.msg)[:200]), self.now()
        if len(self._kinds) > 1000:
            self._kinds.clear()
        began, passed, left_out = self._kinds.get(key, (now, 0, 0))
        if now - began >= A_MINUTE:
            if left_out:
                record.msg, record.args = f"{record.getMessage()} ({left_out} more like it were left out)", ()
            began, passed, left_out = now, 0, 0
        if passed >= OF_A_KIND:
            self._kinds[key] = (began, passed, left_out + 1)
            return False
        self._kinds[key] = (began, passed + 1, left_out)
        return True
