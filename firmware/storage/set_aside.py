"""What could not be carried out or written for a fault of ours: kept aside and named, so that nothing is lost silently.

An event whose handling raises has cost its call and is acknowledged, since it would raise again for ever; a record, CDR or dump
that no try can write is left out of the journal.  Both lie here as a line of JSON each, {"ts_ms", "matter", "what", "error",
"where"}, below the data directory, which a backup holds; health names the newest until a person has seen to it (`clear`).
At most MOST rows and MOST_OCTETS are kept, the oldest, since the first is where it began; all are counted.  What the disk does not
take waits in memory.  Keys that callers pressed are left out.
"""

import json
import logging
import os
import time
import traceback

from firmware.jsontext import clean

log = logging.getLogger(__name__)

NAME = "set_aside.jsonl"
MOST, MOST_OCTETS, ROW_OCTETS = 1000, 4 << 20, 8192     # ours
DEEP = 6                                                # of the traceback


class SetAside:
    """folder: the data directory; None: only in memory."""

    def __init__(self, folder=None):
        self.path = None if folder is None else os.path.join(folder, NAME)
        self.count, self.last, self._waiting = 0, None, []
        for row in self.rows():
            self.count, self.last = self.count + 1, row

    def put(self, matter, what, error):
        """matter: "event" | "record" | "cdr" | "state"; what: plain data, printed where it is none; error: exception or sentence."""
        where = []
        if isinstance(error, BaseException):
            where = ["%s:%d %s" % (os.path.basename(frame.filename), frame.lineno, frame.name)
                     for frame in traceback.extract_tb(error.__traceback__)[-DEEP:]]
            error = "%s: %s" % (type(error).__name__, error)
        row = {"ts_ms": time.time_ns() // 1_000_000, "matter": matter, "what": what, "error": str(error)[:1000], "where": where}
        try:
            text = json.dumps(clean(row), ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            text = ""
        if not text or len(text) > ROW_OCTETS:
            text = json.dumps(clean(dict(row, what=repr(what)[:ROW_OCTETS // 4])))
        self.count, self.last = self.count + 1, json.loads(text)
        self._waiting = (self._waiting + [text])[:MOST]
        self.write()

    def write(self):
        """What waits goes to the disk, if it takes it."""
        if not self._waiting or self.path is None:
            return
        octets = "".join(text + "\n" for text in self._waiting).encode("utf-8", "replace")
        try:
            if self.count - len(self._waiting) >= MOST or os.path.exists(self.path) and os.path.getsize(self.path) > MOST_OCTETS:
                self._waiting = []
                return
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                size = os.fstat(descriptor).st_size
                if os.write(descriptor, octets) < len(octets):
                    os.ftruncate(descriptor, size)
                    return
            finally:
                os.close(descriptor)
        except OSError as error:
            log.error("storage: %s cannot be written (%s); %d rows wait in memory", self.path, error, len(self._waiting))
            return
        self._waiting = []

    def rows(self):
        """All that is kept, oldest first; a line that is no JSON is passed over."""
        found = []
        try:
            with open(self.path or os.devnull, encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        row = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(row, dict):
                        found.append(row)
        except OSError:
            pass
        return found + [json.loads(text) for text in self._waiting]

    def faults(self):
        """Sentences for health."""
        if not self.count:
            return []
        last = self.last or {}
        what = last.get("what")
        name = what.get("kind") if isinstance(what, dict) else what
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime((last.get("ts_ms") or 0) / 1000))
        return ["%d %s could not be carried out or written for a fault of the firmware, and are kept in %s; the last at %s: %s (%s). Its call, if "
                "it was one's, was cleared. Send that file to the maker, then clear it (strowger set-aside --clear)" % (
                    self.count, "thing" if self.count == 1 else "things", self.path or "memory", when, str(name)[:80], str(last.get("error"))[:160])]

    def clear(self):
        """A person has seen to them: the file stays as `.seen`, one of these.  Raises OSError."""
        if self.path is not None and os.path.exists(self.path):
            os.replace(self.path, self.path + ".seen")
        self.count, self.last, self._waiting = 0, None, []
