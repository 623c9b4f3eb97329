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
checkpoints, for the same reason.  A passive checkpoint leaves the WAL to be begun anew only where nothing was committed
meanwhile, which at a busy hour is never: it would grow by gigabytes, and a start reads all of it.  So beyond WAL_FRAMES the
writer itself moves the few frames that a passive one has just left (RESTART), after a commit; it waits for readers of an
old view RESTART_WAIT_MS at most, and else tries again after the next passive one.

A disk that is full at the opening: SQLite cannot even make its -shm file then.  The file is opened with that
index in memory (locking_mode EXCLUSIVE): everything can be read, writing is tried and refused as on any full disk,
and `narrow` is set.  Readers share the one connection; once the disk takes data again, a restart is due.

Errors: sqlite3.Error for what the disk refuses, later.  At the opening: Damaged for a file that SQLite calls
damaged (set_aside() makes room for a new one), Unusable for what else a person must mend; both hold a sentence.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import queue
import sqlite3
import threading
import time

from firmware.errors import LocalError
from firmware.storage.personal import Writing, forget

MIGRATIONS = pathlib.Path(__file__).with_name("migrations")
CHECKPOINT_COMMITS = 1000  # invented: about 4 MB of WAL at 3 to 5 pages a commit
WAL_FRAMES = 32_768        # 128 MB: a start reads that in a fraction of a second, and at 40 calls a second it takes some 20 s; invented
FEW_FRAMES = 2000          # 8 MB at most are moved in the control loop; invented
RESTART_WAIT_MS = 50       # the control loop stands for no longer; invented
READ_WAIT_S = 5.0


_REFUSALS = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
             sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}


def _code(error):
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def refused(error):
    """Whether an exception says that the disk (or the machine) refuses for now; the same data may pass later."""
    return (isinstance(error, sqlite3.OperationalError) and not damage(error)
            and (not _code(error) or _code(error) in _REFUSALS))


def damage(error):
    """Whether an exception says that the file itself is broken."""
    return (isinstance(error, Damaged) or _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            or isinstance(error, sqlite3.OperationalError) and "Could not decode to UTF-8" in str(error))


class Unusable(LocalError):
    """The database file cannot serve and will not by another try: a person must act."""

    @classmethod
    def because(cls, path, error):
        """path: the file; error: sqlite3.Error that it gave."""
        return cls("the database %s cannot be used (%s); give the right to it and to its folder, and look at the disk"
                   % (path, error))


class Damaged(LocalError):
    """The database file is broken; set_aside() and a new one help."""


def set_aside(path):
    """Rename a damaged database, with its -wal, so that the next start begins a new one.  Returns the new path.

    No connection of a living process may have it open: SQLite would remove the -wal of the new one.  Raises OSError."""
    path = str(path)
    kept = aside = "%s.damaged-%s" % (path, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    count = 1
    while os.path.exists(kept):
        count += 1
        kept = "%s-%d" % (aside, count)
    for suffix in ("-wal", "-shm", ""):      # the file last: while it has its name, nothing new is begun
        if os.path.exists(path + suffix):
            os.rename(path + suffix, kept + suffix)
    return kept


def set_asides(path):
    """Damaged files that lie beside a database, oldest first."""
    return sorted(str(found) for found in pathlib.Path(path).parent.glob(pathlib.Path(path).name + ".damaged-*")
                  if not found.name.endswith(("-wal", "-shm")))


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


class _Shared:
    """The writing connection in the hands of a reader."""

    def __init__(self, connection):
        self.execute = connection.execute

    def close(self):
        """It stays open."""


class Database:
    """The database file of one control process.

    path: the file; its folder must exist.  `write` is the writing connection,
    to be used inside `transaction()` only.  new: the file was made now.  narrow: opened on a full disk.
    Raises Unusable, Damaged.
    """

    def __init__(self, path):
        self.path = str(path)
        self.narrow = False
        self.new = not os.path.exists(self.path)
        self._commits, self._large = 0, False
        self._asked = queue.SimpleQueue()
        if not self.new and not os.path.getsize(self.path) and not os.path.exists(self.path + "-wal"):
            raise Damaged("the database %s is empty" % self.path)
        try:
            self._open()
        except sqlite3.Error as error:
            self._after(error)
        self._keeper = threading.Thread(target=self._keep, name="storage-keeper", daemon=True)
        self._keeper.start()

    def _connect(self):
        self.write = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False,
                                     cached_statements=256, timeout=READ_WAIT_S, factory=Writing)

    def _open(self):
        self._connect()
        try:
            self.write.execute("PRAGMA journal_mode=WAL")
            self.write.execute("PRAGMA synchronous=NORMAL")
            self.write.execute("PRAGMA wal_autocheckpoint=0")
            self.write.execute("PRAGMA foreign_keys=ON")
            self.write.execute("PRAGMA secure_delete=ON")       # what is erased is overwritten
            migrate(self.write)
            with self.transaction():  # makes sure that the WAL file is there for the keeper
                self.write.execute("INSERT INTO counter VALUES ('opened', 1) "
                                   "ON CONFLICT (name) DO UPDATE SET value = value + 1")
        except BaseException:
            self.write.close()
            raise

    def _after(self, error):
        """The opening failed: raise, or open as a full disk allows."""
        if damage(error):
            raise Damaged("the database %s is damaged (%s)" % (self.path, error)) from error
        if _code(error) not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) or self.new:
            raise Unusable.because(self.path, error) from error
        try:
            self._connect()
            self.write.execute("PRAGMA locking_mode=EXCLUSIVE")
            self.write.execute("PRAGMA synchronous=NORMAL")
            self.write.execute("PRAGMA wal_autocheckpoint=0")
            if self.write.execute("PRAGMA user_version").fetchone()[0] != len(migrations()):
                raise Unusable.because(self.path, error)
            self.write.execute("SELECT count(*) FROM counter").fetchone()
        except sqlite3.Error as second:
            self.write.close()
            if damage(second):
                raise Damaged("the database %s is damaged (%s)" % (self.path, second)) from second
            raise Unusable.because(self.path, second) from error
        self.narrow = True

    @contextlib.contextmanager
    def transaction(self):
        """One transaction; committed at the end of the block, rolled back on an exception."""
        self.write.execute("BEGIN IMMEDIATE")
        try:
            yield self.write
        except BaseException:
            self._roll_back()
            raise
        try:
            self.write.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._count()
        if self._large:
            self._begin_wal_anew()

    def _begin_wal_anew(self):
        self._large = False
        with contextlib.suppress(sqlite3.Error):
            self.write.execute("PRAGMA busy_timeout=%d" % RESTART_WAIT_MS)
            self.write.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        self.write.execute("PRAGMA busy_timeout=%d" % (READ_WAIT_S * 1000))

    def _roll_back(self):
        """SQLite has done so by itself after some errors (a full disk); the first error is the one to be told."""
        forget(self.write)
        if self.write.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self.write.execute("ROLLBACK")

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

    def shorten(self):
        """Ask for the WAL to be moved and emptied, so that nothing that was overwritten stays in it; a Future of whether that could be done."""
        future = concurrent.futures.Future()
        self._asked.put(("shorten", future))
        return future

    def reader(self):
        """A new connection that only reads; rows by name.  The caller closes it."""
        if self.narrow:
            return _Shared(self.write)
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

    @staticmethod
    def _shorten(connection):
        for _ in range(20):         # a reader of an old view keeps it for a while
            try:
                if not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                    return True
            except sqlite3.Error:
                return False
            time.sleep(0.05)
        return False

    def _keep(self):
        """Keeper thread: syncs and checkpoints, never holding the control loop."""
        wal = os.open(self.path + "-wal", os.O_RDWR | os.O_CREAT, 0o600)
        own = None
        if not self.narrow:     # else nobody but the one connection gets in
            own = sqlite3.connect(self.path, isolation_level=None, timeout=READ_WAIT_S)
        try:
            more = True
            while more:
                asked = [self._asked.get()]
                while not self._asked.empty():
                    asked.append(self._asked.get())
                more = None not in asked
                waiting = [item for item in asked if isinstance(item, concurrent.futures.Future)]
                failed = None
                try:
                    if waiting or not more:
                        os.fdatasync(wal)
                except OSError as error:
                    failed = error
                for future in waiting:
                    future.set_exception(failed) if failed else future.set_result(None)
                for future in [item[1] for item in asked if isinstance(item, tuple)]:
                    future.set_result(own is not None and self._shorten(own))
                if "checkpoint" in asked and own is not None:
                    with contextlib.suppress(sqlite3.Error):    # if not, the WAL grows until the next one
                        own.execute("PRAGMA synchronous=NORMAL")
                        _, frames, moved = own.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                        self._large = frames > WAL_FRAMES and frames - moved < FEW_FRAMES    # else a reader holds it: not in the loop
        finally:
            if own is not None:
                own.close()
            os.close(wal)
