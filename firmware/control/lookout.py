"""What the control process looks after each second, beside its turns.

    the disk         one that refused is tried again.  A process that cannot write for another reason than the
                     disk, or began on a full disk that now has room, asks to be started again (house.again)
    recordings       those that nobody closed are measured and closed in the index
    failed ones      their calls are recorded anew once the disk has room (core_recordings.py)
"""

import asyncio
import logging
import os
import sqlite3
import time

from firmware.storage.database import damage
from firmware.storage.recordings import has_room, is_free, settle

log = logging.getLogger(__name__)

LOOK_S = 1.0
HOPELESS_S = 10.0            # of commits that fail for no reason of the disk's; invented
DAMAGED_S = 600.0            # with a damaged file, while calls stand: a restart would cost them; invented
RECORD_AGAIN_LOOKS = 5       # between trials of a disk that refused a recording; invented
ROOM_OCTETS = 16 << 20       # that must be free before recordings begin again, with a minute of every call; invented
MINUTE_OCTETS = 60 * 16000   # of a stereo recording
MOST_NAMED = 5               # recordings in a sentence; invented
LEFT_OPEN_LOOKS = 90         # above the core's guard of 60 s for a recording's end; invented


class Lookout:
    """house: the House, with database, stores, turns, media, calls.  unrecorded: a recording failed, none began since."""

    def __init__(self, house):
        self.house, self.turns, self.database = house, house.turns, house.database
        self.index = house.stores.recordings
        self.unrecorded = False
        self.cramped = False            # at the last trial
        self.forgotten = []             # "timeslot 5 of span 1": media had it for a call that nobody knows, since turns were lost
        self.empty = []                 # recordings without an octet, whose end nobody told
        self._trial_due = True          # one at a start: the failure may be older than this process
        self._failures = 0
        self._left_open = set()

    def faults(self):
        """Sentences for health."""
        faults, least = [], self._wanted() >> 20
        if self.unrecorded:
            faults.append("a recording failed; calls go on without, and are recorded again once the data disk takes data and "
                          "%d MiB are free on it. Free space on it" % least)
        elif self.cramped:
            faults.append("less than %d MiB are free on the data disk, or it takes no data: recordings may fail, and those "
                          "that do are not begun again. Free space on it" % least)
        if self.forgotten:
            faults.append("turns were lost on a full disk, and with them the calls of %s: they were taken down here, on PRI also "
                          "at the far end. Look whether the far end holds them otherwise" % ", ".join(self.forgotten))
        if self.empty:
            faults.append("recording %s holds nothing: its call was not recorded. Look at the data disk" %
                          ", ".join(self.empty[-MOST_NAMED:]))
        return faults

    def _wanted(self):
        return ROOM_OCTETS + MINUTE_OCTETS * len(self.house.calls)

    async def run(self):
        """Look for ever."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_S)
            looks += 1
            self._disk()
            if looks % RECORD_AGAIN_LOOKS == 0:
                await self._try_recording()
            if looks % LEFT_OPEN_LOOKS == 0:
                await self._close_left_open()

    def made(self, record):
        """Each record as it is made, before it is on the disk."""
        if record["kind"] == "recording.failed":
            self.unrecorded = True
            self._failures += 1

    def committed(self, records):
        """After a commit: recordings that the switchboard gave up without a word of media."""
        lost = {record["data"]["recording"] for record in records
                if record["kind"] == "recording.closed" and record["data"]["reason"] in ("not_found", "unconfirmed")}
        if lost:
            self.repair([row for row in self.index.opened() if row[0] in lost])

    def over(self, but):
        """Recordings that are open in the index though their call is over: [(id, path)]."""
        over = {recording for recording, call in self.index.left_open()
                if call not in self.house.calls and recording not in but}
        return [row for row in self.index.opened() if row[0] in over] if over else []

    def repair(self, opened, *why):
        """Measure recordings [(id, path)] and close them in the index; soon."""
        self.house.spawn(self._repair(opened, *why))

    def _disk(self):
        if self.turns.fault:
            self.turns.try_again()
        else:
            self.house.stores.unwritten.look()
        self.house.stores.set_aside.write()
        if self.turns.hopeless:
            error, since = self.turns.hopeless
            patience_s = DAMAGED_S if damage(error) and self.house.calls else HOPELESS_S
            if time.monotonic() - since > patience_s:
                log.critical("control: nothing can be written (%s); starting again", error)
                self.house.again.set()
        elif self.database.narrow and not self.turns.fault:
            log.warning("control: the data disk has room again and all is written; starting again to use it fully")
            self.house.again.set()

    async def _try_recording(self):
        """Recordings failed: begin new ones for who still talks, if the disk takes data now."""
        folder = os.path.join(self.house.data_dir, "recordings")
        again, failures = self.unrecorded or self._trial_due, self._failures
        self.cramped = not await asyncio.to_thread(has_room if again else is_free,
                                                    folder if again else self.house.data_dir, self._wanted())
        if again and not self.cramped and failures == self._failures:     # else one failed since the trial
            if self.unrecorded:
                log.warning("control: the disk takes recordings again")
            self.unrecorded = self._trial_due = False
            self.turns.handle({"kind": "recording.room"})

    async def _close_left_open(self):
        """What was over at the last look and is still open has lost its end."""
        try:
            over = self.over(())
        except sqlite3.Error as error:
            log.error("control: the recordings index cannot be read: %s", error)
            return
        for recording in await self._repair([row for row in over if row[0] in self._left_open], "its end was never told"):
            if recording not in self.empty:
                self.empty.append(recording)
        self._left_open = {row[0] for row in over}

    async def _repair(self, opened, *why):
        measured = await asyncio.to_thread(lambda: [(recording, *settle(path), *why) for recording, path in opened])
        for recording, octets, *_ in measured:
            if not octets:
                log.error("recording %s is lost: its file holds nothing. Look at the data disk", recording)
        if measured:
            self.turns.run("repair of the recordings index", lambda now_ms: self.house.media.repair_index(measured))
        return [recording for recording, octets, *_ in measured if not octets]
