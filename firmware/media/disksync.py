"""Recordings against a power cut: what was written is on the medium about a second later.

The disk thread's writes are safe from the death of a process at once, from a power cut only once the kernel has
brought them to the medium, which by itself it does after some 30 s.  So each SYNC_S, where something was written,
this thread calls syncfs(2) on the recordings' file system: one call for all files, which brings audio, headers and
the folders that name new files, in order.  A thread of its own, since a sync takes as long as the disk likes and the
disk thread must not wait: its memory holds 4 s.
"""

import ctypes
import logging
import os
import threading

from firmware.media.threads import name_thread

log = logging.getLogger("firmware.media.disksync")

SYNC_S = 1.0        # from the end of one sync to the begin of the next; ours

_libc = ctypes.CDLL(None, use_errno=True)


def syncfs(descriptor):
    """syncfs(2) of the file system that a descriptor lies on.  Raises OSError; no GIL while the disk works."""
    if _libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class DiskSync(threading.Thread):
    """opened() and wrote() are called by the disk thread, end() by anyone.  count: syncs done."""

    def __init__(self, sync=syncfs):
        super().__init__(name="disk-sync", daemon=True)
        self._sync = sync
        self._folders = {}              # device number: descriptor of a folder on it
        self._dirty = False
        self._over = threading.Event()
        self.count = 0
        self.failed = None              # the last error, or None

    def opened(self, folder):
        """A file was made in this folder."""
        device = os.stat(folder).st_dev
        if device not in self._folders:
            self._folders[device] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._dirty = True

    def wrote(self):
        """Something was written."""
        self._dirty = True

    def end(self):
        """One more sync, then the thread ends."""
        self._over.set()

    def run(self):
        name_thread(self.name)
        over = False
        while not over:
            over = self._over.wait(SYNC_S)
            if self._dirty:
                self._dirty = False     # what is written from here on belongs to the next one
                self._round()
        for descriptor in self._folders.values():
            os.close(descriptor)

    def _round(self):
        error = None
        for descriptor in list(self._folders.values()):
            try:
                self._sync(descriptor)
            except OSError as found:
                error = found
        if error is not None and self.failed is None:
            log.error("recordings do not reach the disk (%s): a power cut would lose them; look at the disk", error)
        elif error is None and self.failed is not None:
            log.warning("recordings reach the disk again")
        self.failed = error
        self.count += 1
