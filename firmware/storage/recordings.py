"""Index of recordings, and its repair after a death of the media process.

A row is committed when the recording starts and completed when media has closed
the file.  Media keeps the WAV header true at least each half second, so after
its death the file on disk says how much there is: measure() reads that header.
Paths are stored relative to the data directory, so that a backup can be
restored elsewhere.
"""

import json
import os
import stat
import struct


ADPCM = (0x11, 0x45)        # codings whose blocks are no frames


def wav_length(path):
    """Length of a recording: (data octets, duration_ms).

    A file named .vox has no header and half an octet a sample.  Else the header counts, of ADPCM its number of samples; where it claims more than the file holds, the file counts.
    Raises ValueError with a sentence when it is no WAV file, OSError when it cannot be read."""
    path = str(path)
    with open(path, "rb") as file:
        head = file.read(4096)
        size = os.fstat(file.fileno()).st_size
    if path.endswith(".vox"):
        return size, size // 4
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise ValueError("%s: not a WAV file" % path)
    place, rate, block, coding, samples = 12, 8000, 2, 6, None
    while place + 8 <= len(head):
        name, octets = head[place:place + 4], struct.unpack_from("<I", head, place + 4)[0]
        if name == b"fmt " and place + 22 <= len(head):
            rate, block = struct.unpack_from("<I", head, place + 12)[0], struct.unpack_from("<H", head, place + 20)[0]
            coding = struct.unpack_from("<H", head, place + 8)[0]
        if name == b"fact" and place + 12 <= len(head):
            samples = struct.unpack_from("<I", head, place + 8)[0]
        if name == b"data":
            octets = min(octets, size - place - 8)
            if not rate or not block:
                raise ValueError("%s: the format chunk has no rate" % path)
            return octets, (samples if coding in ADPCM and samples is not None else octets // block) * 1000 // rate
        place += 8 + octets + (octets & 1)
    raise ValueError("%s: no data chunk in the first 4 KiB" % path)


def measure(path):
    """wav_length(), or (0, 0) for a file that is missing or no WAV."""
    try:
        return wav_length(path)
    except (OSError, ValueError):
        return 0, 0


def settle(path):
    """measure() a file that nobody writes any more; one of 0 octets is removed, there is nothing to keep."""
    try:
        held = os.lstat(path)
        if stat.S_ISREG(held.st_mode) and not held.st_size:
            os.unlink(path)
    except OSError:
        pass
    return measure(path)


def is_free(folder, octets):
    """Whether so much is free; True where that cannot be told."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return True
    return disk.f_bavail * disk.f_frsize >= octets


def has_room(folder, octets):
    """Whether the disk takes data: so much is free, and a trial file can be written, synced and removed."""
    trial = os.path.join(folder, ".trial")
    try:
        os.makedirs(folder, exist_ok=True)
        free = os.statvfs(folder)
        if free.f_bavail * free.f_frsize < octets:
            return False
        descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            os.unlink(trial)
    except OSError:
        return False
    return True


COLUMNS = "id, path, duration_ms, octets, state, form, marks"


class Recordings:
    """The recordings index.  connection: the writing one, or a reader's; root: data directory."""

    def __init__(self, connection, root):
        self._db = connection
        self.root = str(root)

    def started(self, recording, call, path, now_ms, form="alaw stereo"):
        """A recording begins; the same id again changes nothing.  form: format and channels."""
        self._db.execute("INSERT OR IGNORE INTO recording (id, call, path, state, started_ms, form) "
                         "VALUES (?, ?, ?, 'recording', ?, ?)", (recording, call, self.relative(path), now_ms, form))

    def marked(self, recording, ms, mark, text):
        """A place in a recording: a pause, its end, other legs from there on.  The same again changes nothing."""
        row = self._db.execute("SELECT marks FROM recording WHERE id = ?", (recording,)).fetchone()
        marks = json.loads(row[0]) if row else []
        if row and [ms, mark, text] not in marks:
            self._db.execute("UPDATE recording SET marks = ? WHERE id = ?", (json.dumps(marks + [[ms, mark, text]]), recording))

    def closed(self, recording, octets, duration_ms):
        """Media has closed the file."""
        self._db.execute("UPDATE recording SET state = 'closed', octets = ?, duration_ms = ? WHERE id = ?",
                         (octets, duration_ms, recording))

    def failed(self, recording, error):
        """Media could not write it; what is there stays playable."""
        row = self._db.execute("SELECT path FROM recording WHERE id = ?", (recording,)).fetchone()
        octets, duration_ms = measure(self.absolute(row[0])) if row else (0, 0)
        self._db.execute("UPDATE recording SET state = 'failed', error = ?, octets = ?, duration_ms = ? "
                         "WHERE id = ?", (str(error), octets, duration_ms, recording))

    def removed(self, recording):
        """Its file was deleted."""
        self._db.execute("DELETE FROM recording WHERE id = ?", (recording,))

    def opened(self):
        """Recordings that media has not closed: [(id, absolute path)]."""
        return [(row[0], self.absolute(row[1])) for row in self._db.execute(
            "SELECT id, path FROM recording WHERE state = 'recording' ORDER BY started_ms, id")]

    def left_open(self):
        """Recordings that media has not closed: [(id, call)]."""
        return [tuple(row) for row in self._db.execute("SELECT id, call FROM recording WHERE state = 'recording'")]

    def interrupted(self, recording, octets, duration_ms, why="the media process ended during the recording"):
        """Nobody will close it any more; 0 octets: there is nothing to play."""
        self._db.execute(
            "UPDATE recording SET state = ?, octets = ?, duration_ms = ?, error = ? WHERE id = ? AND state = 'recording'",
            ("interrupted" if octets else "failed", octets, duration_ms,
             why, recording))

    def of_call(self, call):
        """Recordings of a call: [{"id", "path", "duration_ms", "octets", "state", "format", "channels", "marks":
        [{"ms", "mark", "text"}]}], path absolute."""
        return [self._view(row) for row in self._db.execute(
            f"SELECT {COLUMNS} FROM recording WHERE call = ? ORDER BY started_ms, id", (call,))]

    def get(self, recording):
        """One recording as of_call() gives it, or None."""
        row = self._db.execute(f"SELECT {COLUMNS} FROM recording WHERE id = ?", (recording,)).fetchone()
        return row and self._view(row)

    def _view(self, row):
        form, _, channels = row[5].partition(" ")
        return {"id": row[0], "path": self.absolute(row[1]), "duration_ms": row[2], "octets": row[3], "state": row[4],
                "format": form, "channels": channels,
                "marks": [{"ms": ms, "mark": mark, "text": text} for ms, mark, text in json.loads(row[6])]}

    def relative(self, path):
        """A path as stored."""
        path = str(path)
        return os.path.relpath(path, self.root) if os.path.isabs(path) else path

    def absolute(self, path):
        """A stored path as the file system wants it."""
        return path if os.path.isabs(path) else os.path.join(self.root, path)
