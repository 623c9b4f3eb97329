"""Where the emulated board keeps its window.

A shared file on a journalling file system is written back every few seconds,
and a writer of a page under write-back waits for the disk: tens of ms, in the
middle of a tick.  So where $STROWGER_RUN is not on a tmpfs the memory lies in
/dev/shm and <run>/board/window is a symbolic link to it."""

import fcntl
import hashlib
import mmap
import os

SHARED_MEMORY = "/dev/shm"


class BoardBusy(Exception):
    """Another emulator serves this directory, or it cannot be used.  The text is for the user."""


def _is_memory(directory):
    """Whether the directory is on a tmpfs."""
    best, kind = "", ""
    target = os.path.realpath(directory)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for row in mounts:
            point, fs = row.split()[1:3]
            if (target == point or target.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
                best, kind = point, fs
    return kind in ("tmpfs", "ramfs")


class WindowFile:
    """The window's file, mapped.  One emulator a directory: held by a lock.

    An emulator that was killed leaves the file; the next one takes the same
    file, so what mapped it sees the generation move.  close() removes it."""

    def __init__(self, run_dir, octets):
        self.directory = os.path.join(run_dir, "board")
        self.path = os.path.join(self.directory, "window")
        try:
            os.makedirs(self.directory, exist_ok=True)
            self._lock = open(os.path.join(self.directory, "lock"), "w", encoding="utf-8")
        except OSError as error:
            raise BoardBusy("cannot write in %s (%s): choose another --run directory"
                            % (self.directory, error.strerror)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BoardBusy("another board emulator serves %s: stop it or choose another --run directory"
                            % run_dir) from error
        self._memory = self._place(run_dir)
        with open(self._memory, "a+b") as file:
            if os.fstat(file.fileno()).st_size != octets:
                os.ftruncate(file.fileno(), 0)
                os.ftruncate(file.fileno(), octets)
            self.map = mmap.mmap(file.fileno(), octets, mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0))

    def _place(self, run_dir):
        if _is_memory(self.directory) or not os.access(SHARED_MEMORY, os.W_OK):
            if os.path.islink(self.path):
                os.unlink(self.path)
            return self.path
        name = "strowger-board-" + hashlib.sha256(os.path.realpath(run_dir).encode()).hexdigest()[:16]
        memory = os.path.join(SHARED_MEMORY, name)
        if not (os.path.islink(self.path) and os.readlink(self.path) == memory):
            if os.path.lexists(self.path):
                os.unlink(self.path)
            os.symlink(memory, self.path)
        return memory

    def close(self):
        """Remove the file; mappings of others stay valid but show magic 0."""
        for path in {self.path, self._memory}:
            if os.path.lexists(path):
                os.unlink(path)
        self._lock.close()
