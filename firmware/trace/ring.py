"""The ring on the disk that keeps all signalling: written as it happens, cut at the oldest, alive after any kill -9.

Segments `<name>-<number>.ring` of SEGMENT_OCTETS in one folder.  A segment is mapped into memory, so that what is written is the
kernel's at once: the death of the writer loses nothing, and no call into the kernel is made for a record.  Its room is reserved
(fallocate) before it is mapped: a full disk takes no record's page away, it makes the ring shorter.  A writer that begins anew begins a
new segment.  The oldest segment goes when there are more than `most`.

A record: u32 octets of the payload, u8 kind, u8 span, u8 timeslot, u8 sent, u64 microseconds since 1970 (UTC), payload; little-endian.
The length is written last: a reader stops where it is 0.
"""

import logging
import mmap
import os
import pathlib
import re
import struct
import threading
import time

log = logging.getLogger("firmware.trace")

LAPD, MTP2, CAS, REGISTER, SIP, NOTE, REFUSED = 1, 2, 3, 4, 5, 6, 7
ERASED = 8                      # of an erased person (forget.py): no content
SEGMENT_OCTETS = 4 << 20
MOST = 128                      # invented: 512 MiB, a day of a busy call centre
HEAD = struct.Struct("<IBBBBQ")
LENGTH = struct.Struct("<I")
PAYLOAD_MOST = 65535


class Writer:
    """One process's ring.  folder: made if it is not there.  name: of its files.  most: segments kept; 0: nothing is.

    put() may be called from any thread.  dropped: records that had no room on the disk."""

    def __init__(self, folder, name, most=MOST, segment_octets=SEGMENT_OCTETS):
        self.folder, self.name, self.most, self.segment_octets = pathlib.Path(folder), name, most and max(2, most), segment_octets
        self.dropped = 0
        self._lock = threading.Lock()
        self._map, self._at, self._retry = None, 0, 0.0
        found = segments(self.folder, name)
        self._number = found[-1][0] if found else 0

    def put(self, kind, span, timeslot, sent, payload):
        """One frame, message or line state."""
        octets = len(payload)
        if octets > PAYLOAD_MOST or not self.most:
            return
        now = time.time_ns() // 1000
        with self._lock:
            at = self._at
            if self._map is None or at + HEAD.size + octets + LENGTH.size > self.segment_octets:
                if not self._next():
                    self.dropped += 1
                    return
                at = 0
            HEAD.pack_into(self._map, at, 0, kind, span, timeslot, sent, now)
            self._map[at + HEAD.size:at + HEAD.size + octets] = payload
            LENGTH.pack_into(self._map, at, octets + 1)     # + 1: an empty payload is a record, too
            self._at = at + HEAD.size + octets

    def resize(self, megabytes):
        """Keep so much from now on; the oldest go with the next segment.  0: nothing, and what there is goes at once."""
        most = megabytes * (1 << 20) // self.segment_octets
        self.most = most and max(2, most)
        if most:
            return
        self.close()
        for _, path in segments(self.folder, self.name):
            try:
                os.unlink(path)
            except OSError as error:
                log.error("trace: %s cannot be removed: %s", path, error)

    def close(self):
        """Let go of the segment; it stays."""
        with self._lock:
            if self._map is not None:
                self._map.close()
                self._map = None

    def _next(self):
        """A new segment.  False: there is no room; tried again each second."""
        if time.monotonic() < self._retry:
            return False
        if self._map is not None:
            self._map.close()
            self._map = None
        while True:
            found = segments(self.folder, self.name)
            try:
                while len(found) >= self.most:
                    os.unlink(found.pop(0)[1])
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.folder / ("%s-%08d.ring" % (self.name, self._number + 1))
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            except OSError as error:
                return self._refused(error)
            try:
                os.posix_fallocate(descriptor, 0, self.segment_octets)
                self._map = mmap.mmap(descriptor, self.segment_octets)
            except OSError as error:
                os.unlink(path)
                if not found:
                    return self._refused(error)
                os.unlink(found[0][1])      # a full disk: the oldest makes room for the newest
                continue
            finally:
                os.close(descriptor)
            self._number += 1
            self._at = 0
            return True

    def _refused(self, error):
        if not self._retry:
            log.error("trace: %s takes no more signalling (%s); calls go on. Look at the data disk", self.folder, error)
        self._retry = time.monotonic() + 1.0
        return False


class Nothing:
    """A ring that keeps nothing."""

    dropped = 0

    def put(self, kind, span, timeslot, sent, payload):
        """Forget it."""

    def close(self):
        """There is nothing to let go of."""

    def resize(self, megabytes):
        """It keeps nothing still."""



def segments(folder, name=None):
    """[(number, path)] of the segments of one writer (None: of all) in a folder, oldest first."""
    found = []
    try:
        for entry in os.scandir(folder):
            match = re.fullmatch(r"([a-z]+)-([0-9]{8,})\.ring", entry.name)
            if match and name in (None, match[1]):
                found.append((int(match[2]), entry.path))
    except OSError:
        return []
    return sorted(found)


def read_segment(path):
    """(kind, span, timeslot, sent, microseconds, payload) of each record; a segment that is cut or damaged ends early."""
    try:
        octets = pathlib.Path(path).read_bytes()
    except OSError:
        return                      # it has just been the oldest
    at = 0
    while at + HEAD.size <= len(octets):
        length, kind, span, timeslot, sent, when = HEAD.unpack_from(octets, at)
        if not length or at + HEAD.size + length - 1 > len(octets):
            return
        yield kind, span, timeslot, sent, when, octets[at + HEAD.size:at + HEAD.size + length - 1]
        at += HEAD.size + length - 1


def _first(path):
    with open(path, "rb") as file:
        head = file.read(HEAD.size)
    length, _, _, _, _, when = HEAD.unpack(head) if len(head) == HEAD.size else (0,) * 6
    return when if length else None


def records(folder, since_us, until_us, read=read_segment):
    """All records of all writers between two moments, by time.  read: read_segment, or what yields the same with more."""
    import heapq
    rings = {}
    for number, path in segments(folder):
        rings.setdefault(os.path.basename(path).partition("-")[0], []).append(path)
    streams = []
    for paths in rings.values():
        firsts = []
        for path in paths:
            try:
                firsts.append((_first(path), path))
            except OSError:
                pass
        wanted = [path for n, (first, path) in enumerate(firsts)
                  if first is not None and first <= until_us and (n + 1 == len(firsts) or firsts[n + 1][0] is None or firsts[n + 1][0] >= since_us)]
        streams.append(record for path in wanted for record in read(path))
    for record in heapq.merge(*streams, key=lambda record: record[4]):
        if since_us <= record[4] <= until_us:
            yield record
