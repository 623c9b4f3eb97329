"""Recordings: files are touched by one disk thread, never by the tick.

The command thread calls start() and stop(); the tick writes into
memory, 4 s of each at most; each ROUND_MS the disk thread codes what is there in the file's form (formats.py), brings
it to the file and then rewrites the header, so that the file is a true one at any moment.  Opening,
closing and every error happen in the disk thread: results() tells them.  disksync.py
brings all to the medium about once a second.
"""

import logging
import os
import queue
import stat
import threading
import time
from collections import OrderedDict

from firmware.errors import LocalError
from firmware.media import _engine, formats
from firmware.media.disksync import DiskSync
from firmware.media.threads import name_thread

log = logging.getLogger("firmware.media.recorder")

ROUND_MS = 250                  # each recording is brought to disk this often
PHASES = 5                      # a fifth of them at a time
OCTETS_A_MS = 16                # in memory
FRAMES_A_MS = 8
REMEMBERED = 4096               # ids of closed recordings, so that a repeated command does no harm


class Recording:
    """One recording.  state: "opening", "running", "stopping", "closed"."""

    def __init__(self, name, index, serial, path, left, right, form):
        self.id, self.index, self.serial = name, index, serial
        self.path, self.left, self.right, self.form = path, left, right, form
        self.legs = (left, right)       # those of now
        self.paused = False
        self.marks = []                 # [(frame, "paused"|"resumed"|"segment", text)]
        self.told = []                  # texts of marks that the tick has yet to set
        self.fd = -1
        self.failed = None


class Recorder(threading.Thread):
    """engine: Engine.  wake(): called from the disk thread when results() has something."""

    def __init__(self, engine, wake):
        super().__init__(name="disk", daemon=True)
        self._engine, self._wake = engine, wake
        self._jobs = queue.SimpleQueue()
        self._results = queue.SimpleQueue()
        self._free = list(range(_engine.CAPACITY["recordings"] - 1, -1, -1))
        self._serial = 0
        self.running = {}               # id: Recording (command thread)
        self.closed = OrderedDict()     # id: path
        self._by_index = {}             # disk thread
        self._sync = DiskSync()
        self._end = False

    # Command thread

    def record(self, name, path, left, right, left_slot, right_slot, form=None):
        """Start a recording; writing begins with the next tick, the file follows.  form: formats.Form."""
        form = form or formats.form("alaw", "stereo")
        if name in self.running:
            held = self.running[name]
            if (held.path, held.left, held.right, held.form.name, held.form.channels) != (path, left, right, form.name, form.channels):
                raise LocalError(f"record: {name} runs with other parameters; stop it first")
            return
        if self.closed.get(name) == path:
            return                      # repeated after it was closed
        if not self._free:
            error = LocalError(f"record: all {_engine.CAPACITY['recordings']} recordings are in use")
            error.cause = 47
            raise error
        self._serial += 1
        recording = Recording(name, self._free.pop(), self._serial, path, left, right, form)
        self._engine.record_open(recording.index, -1, _engine.RECORD_FORMS[form.kind], form.channels, form.bits, form.header, form.fact_at)
        self._engine.record(recording.index, recording.serial, left_slot, right_slot)
        self.running[name] = recording
        self._jobs.put(("open", recording))

    def find(self, name, what):
        """A recording that runs.  Raises LocalError."""
        recording = self.running.get(name)
        if recording is None:
            raise LocalError(f"{what}: no recording {name} runs")
        return recording

    def pause(self, name, paused, text):
        """Silence from now on, or sound again; the mark follows as record_mark."""
        recording = self.find(name, "record_pause")
        if recording.paused != paused:
            recording.paused = paused
            recording.told.append(text)
            self._engine.record_pause(recording.index, recording.serial, paused)

    def legs(self, name, left, right, left_slot, right_slot, text):
        """Other legs are recorded from now on; the mark follows as record_mark."""
        recording = self.find(name, "record_legs")
        if recording.legs != (left, right):
            recording.legs = (left, right)
            recording.told.append(text)
            self._engine.record_legs(recording.index, recording.serial, left_slot, right_slot)

    def marked(self, index, serial, kind, frame):
        """The tick has set a mark.  Returns the event's fields, None when the recording is gone."""
        for recording in self.running.values():
            if recording.index == index and recording.serial == serial:
                text = recording.told.pop(0) if recording.told else ""
                recording.marks.append((frame, kind, text))
                return {"id": recording.id, "mark": kind, "ms": frame // FRAMES_A_MS, "text": text}
        return None

    def record_stop(self, name):
        """Stop a recording; unknown or stopped ones are left alone."""
        recording = self.running.get(name)
        if recording is not None:
            self._engine.record_stop(recording.index, recording.serial)

    def stopped(self, index, serial):
        """The tick has written the last block of a recording."""
        for recording in self.running.values():
            if recording.index == index and recording.serial == serial:
                self._jobs.put(("close", recording))

    def results(self):
        """Events of the disk thread: [(kind, fields)]; recordings that are over become free."""
        events = []
        while not self._results.empty():
            kind, recording, fields = self._results.get()
            if kind == "record_failed":
                self._engine.record_stop(recording.index, recording.serial)
            else:
                self.running.pop(recording.id, None)
                self.closed[recording.id] = recording.path
                while len(self.closed) > REMEMBERED:
                    self.closed.popitem(last=False)
                self._engine.record_free(recording.index)
                self._free.append(recording.index)
                if recording.failed:
                    continue            # that has been told
            events.append((kind, dict(fields, id=recording.id, path=recording.path)))
        return events

    def audit(self):
        """[{id, path, left, right: of now, format, channels, paused, octets, written, lost_octets: of the memory, ms}]"""
        rows = []
        for recording in self.running.values():
            octets, written, lost, _, frames = self._engine.record_state(recording.index)
            rows.append({"id": recording.id, "path": recording.path, "left": recording.legs[0], "right": recording.legs[1],
                         "format": recording.form.name, "channels": ("mono", "stereo")[recording.form.channels - 1],
                         "paused": recording.paused,
                         "octets": octets, "written": written, "lost_octets": lost, "ms": frames // FRAMES_A_MS})
        return rows

    def finish(self, timeout_s=3.0):
        """Process end: what the tick has written is brought to disk.  All were stopped before."""
        deadline = time.monotonic() + timeout_s
        while self.running and time.monotonic() < deadline:
            for event in self._engine.events():
                if event[0] == "record_stopped":
                    self.stopped(event[1], event[2])
            self.results()
            time.sleep(0.01)
        self._end = True
        self._sync.end()
        if self._sync.is_alive():
            self._sync.join(timeout_s)

    # Disk thread

    def run(self):
        name_thread(self.name)
        self._sync.start()
        phase, due = 0, time.monotonic()
        while not self._end:
            due += ROUND_MS / 1000 / PHASES
            delay = due - time.monotonic()
            if delay > 0:
                time.sleep(delay)
            elif delay < -1:
                due = time.monotonic()  # the disk stood still: no rush of rounds afterwards
            try:
                self._work()
                failed = self._engine.record_drain([i for i in self._by_index if i % PHASES == phase])
                if self._by_index:
                    self._sync.wrote()
                for index, number in failed:
                    self._fail(self._by_index[index], os.strerror(number))
            except Exception:           # one bad recording must not end all
                log.exception("the disk thread goes on after an error")
            phase = (phase + 1) % PHASES

    def _work(self):
        while not self._jobs.empty():
            job, recording = self._jobs.get()
            if job == "open":
                self._open(recording)
            else:
                self._close(recording)

    def _open(self, recording):
        self._by_index[recording.index] = recording
        try:
            os.makedirs(os.path.dirname(recording.path) or ".", exist_ok=True)
            # A file that exists may be the only copy of a call: it is never written over.
            recording.fd = os.open(recording.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            self._engine.record_file(recording.index, recording.fd)
            self._engine.record_header(recording.index)
            self._sync.opened(os.path.dirname(recording.path) or ".")
        except (OSError, ValueError) as error:
            self._engine.record_fail(recording.index, getattr(error, "errno", None) or 5)
            self._fail(recording, getattr(error, "strerror", None) or str(error))

    def _fail(self, recording, reason):
        recording.failed = reason
        sentence = f"recording {recording.id} to {recording.path} failed: {reason}; free or repair the disk"
        log.error("%s", sentence)
        self._tell("record_failed", recording, {"error": sentence})

    def _close(self, recording):
        failed = self._engine.record_drain([recording.index], 1)
        if failed and not recording.failed:
            self._fail(recording, os.strerror(failed[0][1]))
        _, _, lost, octets, frames = self._engine.record_state(recording.index)
        if recording.failed:
            octets = frames = 0
        elif recording.marks and recording.form.header:
            self._write_marks(recording, octets)
        if lost:
            log.error("recording %s lacks %d ms: the disk stood still for longer than its memory reaches",
                      recording.id, lost // OCTETS_A_MS)
        del self._by_index[recording.index]
        self._engine.record_file(recording.index, -1)
        if recording.fd >= 0:
            if recording.failed:
                self._remove_empty(recording)
            os.close(recording.fd)
            self._sync.wrote()
        self._tell("record_closed", recording, {"octets": octets, "duration_ms": frames // FRAMES_A_MS})

    @staticmethod
    def _write_marks(recording, octets):
        """Marks behind the audio, then the length that counts them; a disk that refuses costs the marks only."""
        at = len(recording.form.header) + octets
        chunk = b"\0" * (at & 1) + formats.marks_chunk([(frame, " ".join(filter(None, (kind, text)))) for frame, kind, text in recording.marks])
        try:
            if os.pwrite(recording.fd, chunk, at) == len(chunk):
                os.pwrite(recording.fd, (at + len(chunk) - 8).to_bytes(4, "little"), 4)
        except OSError as error:
            log.error("recording %s has no marks in its file: %s", recording.id, error.strerror)

    @staticmethod
    def _remove_empty(recording):
        """A disk that took not even the header leaves a file of 0 octets, which nobody can play."""
        try:
            held = os.fstat(recording.fd)
            if stat.S_ISREG(held.st_mode) and not held.st_size:
                os.unlink(recording.path)
        except OSError as error:
            log.error("the empty file %s cannot be removed: %s", recording.path, error.strerror)

    def _tell(self, kind, recording, fields):
        self._results.put((kind, recording, fields))
        self._wake()
