"""The database and its parts, as one turn of the control process writes them."""

import os
import time

from firmware.storage.cdr import CDRs
from firmware.storage.database import Database
from firmware.storage.figures import Figures
from firmware.storage.journal import Journal
from firmware.storage.machines import Counters, Inbox, Machines, Outbox
from firmware.storage.performance import AlarmHistory, PerformanceBins
from firmware.storage.recordings import Recordings
from firmware.storage.set_aside import SetAside
from firmware.storage.unwritten import Unwritten


def path_of(data_dir):
    """The database file."""
    return os.path.join(data_dir, "strowger.db")


class Stores:
    """data_dir: where strowger.db lies, and the recordings below.  run_dir: where turns wait that the disk refuses."""

    def __init__(self, data_dir, run_dir=None):
        self.database = Database(path_of(data_dir))
        write = self.database.write
        if self.database.new and (os.path.isdir(os.path.join(data_dir, "recordings")) or os.path.exists(os.path.join(data_dir, "desk.db"))):
            self._begin_above(int(time.time()))
        self.journal, self.cdrs, self.figures = Journal(write), CDRs(write), Figures(write)
        self.machines, self.counters = Machines(write), Counters(write)
        self.inbox, self.outbox = Inbox(write), Outbox(write)
        self.recordings = Recordings(write, data_dir)
        self.performance, self.alarms = PerformanceBins(write), AlarmHistory(write)
        self.set_aside = SetAside(data_dir)
        self.unwritten = Unwritten(run_dir)
        self.unwritten.load(self)

    def _begin_above(self, number):
        """The old database is lost, recordings named by its calls are not: no id and no sequence number comes again.

        number: above whatever a switch has counted; seconds since 1970 are, below one call a second."""
        with self.database.transaction() as write:
            write.executemany("INSERT INTO counter VALUES (?, ?)", [(kind, number) for kind in "clbrkmtng"])
            write.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('journal', ?)", (number,))
