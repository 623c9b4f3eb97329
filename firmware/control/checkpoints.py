"""When the whole state goes into the journal, so that a replay need not begin at the first call.

At a start in the first turn.  Later beside the turns: one turn copies the state, a thread encodes the copy
(storage/checkpoint.py), and it is stored with the number of the last record in it ("as_of").
"""

import asyncio
import logging
import sqlite3
import time

from firmware.errors import LocalError
from firmware.storage.checkpoint import pack

log = logging.getLogger(__name__)

RECORDS = 10_000    # between two: bounds a replay to about a fifth of a second; invented
SHARE = 0.02        # of the time, at most: with 1,800 calls the copy takes 35 ms of the loop, the rest 0.15 s of a thread; at 40 calls a
                    # second 0.005 let 76,000 records pass, and a kill was out of service for 4 s of replay
AGAIN_S = 10        # after one that could not be made; invented
WHOLE_WORK = 5      # the copy's time, times this, is all the work; measured


class Checkpoints:
    """house: the House, with switchboard, stores, database, turns."""

    def __init__(self, house):
        self.house, self.turns, self.journal = house, house.turns, house.stores.journal
        self.busy = False           # one is being written out
        self.made = 0
        self._since = 0
        self._next = 0.0

    def begin(self, now_ms):
        """The first one, inside the first turn."""
        self._since = 0
        self.house.switchboard.checkpoint(now_ms)

    async def make(self):
        """Make one now.  Raises LocalError where that cannot be done."""
        for _ in range(600):
            if not self.busy:
                break
            await asyncio.sleep(0.1)
        before, self.busy = self.made, True
        self.turns.run("checkpoint", self._copy)
        while self.busy:
            await asyncio.sleep(0.02)
        if self.made == before:
            raise LocalError("a checkpoint of the state cannot be written now; the log of control says why")

    def committed(self, records):
        """After a commit: count, and make one when it is time."""
        self._since += len(records)
        if self._since >= RECORDS and time.monotonic() >= self._next and not self.busy:
            self.busy = True
            self.turns.run("checkpoint", self._copy)

    def _copy(self, now_ms):
        """A turn's function."""
        stored = None
        try:
            if self.turns.fault:    # what is not in the journal has no number
                return
            self._since, self._next = 0, time.monotonic() + AGAIN_S
            began = time.perf_counter()
            data = {"as_of": self.journal.last_seq(), **self.house.switchboard.whole(now_ms)}
            self._next = time.monotonic() + WHOLE_WORK * (time.perf_counter() - began) / SHARE
            stored = self._store(now_ms, data)
            self.house.spawn(stored)
        finally:
            if stored is None:      # or what it raised is the turn's matter; a later one may succeed
                self.busy = False

    async def _store(self, now_ms, data):
        try:
            octets = await asyncio.to_thread(pack, data)
            if self.turns.fault:        # it would stand before the turns that wait for the disk (storage/unwritten.py)
                return
            with self.house.database.transaction():
                self.journal.checkpoint(now_ms, octets)
            self.made += 1
        except sqlite3.Error as error:
            log.error("control: a checkpoint cannot be written (%s); the next start replays more records", error)
        except Exception:
            log.exception("control: a checkpoint cannot be made; the next start replays more records")
        finally:
            self.busy = False
