"""The live feed of committed journal records.

The house publishes after each commit; every event stream follows with a cursor
of its own (the last "seq" it gave out).  The newest records are kept in memory;
who is further behind reads the database.  A slow reader costs nothing: no queue is
kept for it.
"""

import asyncio
import collections

KEPT = 4096  # records in memory: about a minute at full load; invented


class Feed:
    """Committed records, newest last."""

    def __init__(self, last_seq=0):
        self.last_seq = last_seq
        self._kept = collections.deque(maxlen=KEPT)
        self._news = asyncio.Event()

    def publish(self, records):
        """Records just committed, in order."""
        if not records:
            return
        self._kept.extend(records)
        self.last_seq = records[-1]["seq"]
        self._news.set()
        self._news = asyncio.Event()

    def since(self, seq):
        """Records above seq, or None when they are no longer all in memory (read the database)."""
        if seq >= self.last_seq:
            return []
        if not self._kept or self._kept[0]["seq"] > seq + 1:
            return None
        first = max(0, len(self._kept) - (self.last_seq - seq))
        return [record for record in list(self._kept)[first:] if record["seq"] > seq]

    async def wait(self, seq, timeout_s):
        """Wait for records above seq.  Returns False when none came in time."""
        if self.last_seq > seq:
            return True
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except asyncio.TimeoutError:
            return False
        return True
