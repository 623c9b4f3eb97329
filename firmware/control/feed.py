"""The live feed of committed journal records.

The house publishes after each commit (checkpoints are not for the outside); every event stream follows with a cursor
of its own (the last "seq" it gave out).  The newest records are kept in memory;
who is further behind reads the database.  A slow reader costs nothing: no queue is
kept for it.

While records cannot be written (`trouble`) none come, but the state still changes: wait() then
returns each second, so that followers look at the state again.
"""

import asyncio
import collections
import itertools

from firmware.storage.journal import CHECKPOINT

KEPT = 4096  # records in memory: about a minute at full load; invented
TROUBLE_S = 1.0


class Feed:
    """Committed records, newest last."""

    def __init__(self, last_seq=0):
        self.last_seq = last_seq
        self._kept = collections.deque(maxlen=KEPT)
        self._news = asyncio.Event()
        self.closed = False
        self._trouble = False

    def publish(self, records):
        """Records just committed, in order."""
        records = [record for record in records if record["kind"] != CHECKPOINT]
        if not records:
            return
        self._kept.extend(records)
        self.last_seq = records[-1]["seq"]
        self._wake()

    def forget(self):
        """What is in memory was changed in the database: followers read it there."""
        self._kept.clear()

    def trouble(self, there):
        """Records cannot be written (or can again); every follower is told at once."""
        if there != self._trouble:
            self._trouble = there
            self._wake()

    def close(self):
        """The process ends: every stream ends."""
        self.closed = True
        self._wake()

    def _wake(self):
        self._news.set()
        self._news = asyncio.Event()

    def since(self, seq):
        """Records above seq, or None when they are no longer all in memory (read the database)."""
        if seq >= self.last_seq:
            return []
        if not self._kept or self._kept[0]["seq"] > seq + 1:
            return None
        recent = itertools.takewhile(lambda record: record["seq"] > seq, reversed(self._kept))
        return list(recent)[::-1]

    async def wait(self, seq, timeout_s):
        """Wait for records above seq.  Returns False when none came in time, or the state should be looked at."""
        if self.last_seq > seq or self.closed:
            return True
        try:
            await asyncio.wait_for(self._news.wait(), min(timeout_s, TROUBLE_S) if self._trouble else timeout_s)
        except asyncio.TimeoutError:
            return False
        return self.last_seq > seq or self.closed
