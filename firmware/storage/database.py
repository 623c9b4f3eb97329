"""The one SQLite file of the control process: open, migrate, commit, sync.

One connection writes; it belongs to the thread of the control loop.  Readers
(API pages, event streams) have connections of their own: in WAL mode neither
waits for the other.

Durability, as the journal asks.  Every commit is written to the WAL with
synchronous=NORMAL: it survives the death of the process at once, a power cut
after the next sync.  What must survive a power cut (CDR, acknowledged API
writes) asks for a sync with `sync()`: a keeper thread calls fdatasync on the WAL,
which is what synchronous=FULL does at a commit, but one sync serves
all that wait and the control loop is not held by the disk.  The caller
acknowledges only when the future is done.  The keeper also runs the
checkpoints, for the same reason.

Errors: sqlite3.Error for what the disk refuses, later; at the opening that and a file
of a newer version of the product are Unusable, with a sentence for the person who must act.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import queue
import sqlite3
import threading

from firmware.errors import LocalError

MIGRATIONS = pathlib.Path(__file__).with_name("migrations")
CHECKPOINT_COMMITS = 1000  # invented: about 4 MB of WAL at 3 to 5 pages a commit
READ_WAIT_S = 5.0


class Unusable(LocalError):
    """The database file cannot serve and will not by another try: a person must act."""

    @classmethod
    def because(cls, path, error):
        """path: the file; error: sqlite3.Error that it gave."""
        if isinstance(error, sqlite3.OperationalError):     # rights, a full or failing disk, a lock
            advice = "give the right to it and to its folder, and look at the disk"
        else:
            advice = ("restore it from a backup, or move it away together with its -wal and -shm: an empty one is made, "
                      "recordings and configuration stay")
        return cls("the database %s cannot be used (%s); %s" % (path, error, advice))


def migrations():
    """Numbered migrations in order: [(number, path)]."""
    found = sorted((int(path.name[:4]), path) for path in MIGRATIONS.glob("[0-9]*.sql"))
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise LocalError("storage/migrations: numbers must run 1, 2, 3 without a gap; rename the files")
    return found


def migrate(connection):
    """Bring the file to the newest schema, each step in a transaction of its own."""
    have = connection.execute("PRAGMA user_version").fetchone()[0]
    steps = migrations()
    if have > len(steps):
        raise Unusable("the database has schema %d, this firmware knows %d: install the newer firmware again "
                       "or restore a backup" % (have, len(steps)))
    for number, path in steps[have:]:
        connection.executescript("BEGIN IMMEDIATE;\n%s\nPRAGMA user_version=%d;\nCOMMIT;"
                                 % (path.read_text(encoding="utf-8"), number))


class Database:
    """The database file of one control process.

    path: the file; its folder must exist.  `write` is the writing connection,
    to be used inside `transaction()` only.  Raises Unusable.
    """

    def __init__(self, path):
        self.path = str(path)
        self._commits = 0
        self._asked = queue.SimpleQueue()
        try:
            self.write = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False,
                                         cached_statements=256, timeout=READ_WAIT_S)
            self._open()
        except sqlite3.Error as error:
            raise Unusable.because(self.path, error) from error
        self._keeper = threading.Thread(target=self._keep, name="storage-keeper", daemon=True)
        self._keeper.start()

    def _open(self):
        self.write.execute("PRAGMA journal_mode=WAL")
        self.write.execute("PRAGMA synchronous=NORMAL")
        self.write.execute("PRAGMA wal_autocheckpoint=0")
        self.write.execute("PRAGMA foreign_keys=ON")
        migrate(self.write)
        with self.transaction():  # makes sure that the WAL file is there for the keeper
            self.write.execute("INSERT INTO counter VALUES ('opened', 1) "
                               "ON CONFLICT (name) DO UPDATE SET value = value + 1")

    @contextlib.contextmanager
    def transaction(self):
        """One transaction; committed at the end of the block, rolled back on an exception."""
        self.write.execute("BEGIN IMMEDIATE")
        try:
            yield self.write
        except BaseException:
            self.write.execute("ROLLBACK")
            raise
        self.write.execute("COMMIT")
        self._count()

    def _count(self):
        self._commits += 1
        if self._commits >= CHECKPOINT_COMMITS:
            self._commits = 0
            self._asked.put("checkpoint")

    def sync(self):
        """Ask for all commits so far to be on the disk; a concurrent.futures.Future."""
        future = concurrent.futures.Future()
        self._asked.put(future)
        return future

    def reader(self):
        """A new connection that only reads; rows by name.  The caller closes it."""
        connection = sqlite3.connect("file:%s?mode=ro" % self.path, uri=True, isolation_level=None,
                                     check_same_thread=False, timeout=READ_WAIT_S)
        connection.row_factory = sqlite3.Row
        return connection

    def close(self):
        """Sync, end the keeper, close."""
        if self._keeper.is_alive():
            self._asked.put(None)
            self._keeper.join()
        self.write.close()

    def _keep(self):
        """Keeper thread: syncs and checkpoints, never holding the control loop."""
        wal = os.open(self.path + "-wal", os.O_RDWR)
        own = sqlite3.connect(self.path, isolation_level=None, timeout=READ_WAIT_S)
        own.execute("PRAGMA synchronous=NORMAL")
        try:
            more = True
            while more:
                asked = [self._asked.get()]
                while not self._asked.empty():
                    asked.append(self._asked.get())
                more = None not in asked
                waiting = [item for item in asked if isinstance(item, concurrent.futures.Future)]
                try:
                    if waiting or not more:
                        os.fdatasync(wal)
                    if "checkpoint" in asked:
                        own.execute("PRAGMA wal_checkpoint(PASSIVE)")
                except (OSError, sqlite3.Error) as error:
                    for future in waiting:
                        future.set_exception(error)
                    continue
                for future in waiting:
                    future.set_result(None)
        finally:
            own.close()
            os.close(wal)
