"""The log of a child: bounded while the child writes it.

The child has the file open for appending, so it is copied and cut, not renamed; lines that come between the copy and the cut are lost.
"""

import os
import pathlib
import shutil

LARGEST = 4 << 20           # octets; as many again are kept in .log.1
LAST_WORDS = 8192           # octets looked at


class LogFile:
    """path: of the log.  begin() before each start of the child; bound() now and then."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._begun = 0

    def begin(self):
        """A child starts: what it will say begins here."""
        self.bound()
        self._begun = self._size()

    def bound(self):
        """Keep the newest LARGEST octets or so apart; nothing where it is smaller.  A full disk loses the older half."""
        if self._size() <= LARGEST:
            return
        try:
            shutil.copyfile(self.path, self.path.with_suffix(".log.1"))
        except OSError:
            pass                # no room: the log must not take more of it
        try:
            os.truncate(self.path, 0)
        except OSError:
            return
        self._begun = 0

    def last_words(self):
        """The last line that the present child wrote, of the errors where there are any; None when it was silent."""
        try:
            with open(self.path, "rb") as file:
                file.seek(max(self._begun, self._size() - LAST_WORDS))
                lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError:
            return None
        said = [line for line in lines if " INFO " not in line and not line.startswith(" ")]
        return (said or lines or [None])[-1]

    def _size(self):
        try:
            return self.path.stat().st_size
        except OSError:
            return 0
