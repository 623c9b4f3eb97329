"""A file of frames in room that was taken from the disk beforehand: what is appended fits when the disk is full.

    file     MAGIC, one octet WHOLE or LOSSY, frames, a head of zeros
    frame    length and CRC-32 of the body (12 octets, big-endian), body: zlib's text

The body and the zeros behind it are written first, the head last: a kill in between leaves zeros where the head would
be, so that the frames before count and nothing is torn.  Whatever else does not fit is damage, and is said.
"""

import os
import struct
import zlib

MAGIC = b"STROWGER unwritten 2\n"
WHOLE, LOSSY = b"W", b"L"
FIRST = len(MAGIC) + 1
HEAD = struct.Struct(">QI")
NONE = bytes(HEAD.size)

ROOM_OCTETS = 8 << 20           # some thousands of turns; invented
SHARE = 4                       # of what a small disk has left, at most one part in so many; invented
LEAST_OCTETS = 64 << 10         # invented


class Torn(ValueError):
    """The file is damaged; a sentence."""


class ReservedFile:
    """path: of the file.  Methods raise OSError; read() also Torn."""

    def __init__(self, path):
        self.path = path
        self.room = 0               # octets of the disk that are the file's
        self.end = FIRST            # where the next head goes

    def reserve(self, free=None):
        """Make the file with its room, nothing in it, or give an older one more room.  free: octets, for tests."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self.room = os.fstat(descriptor).st_size
            if free is None:
                disk = os.fstatvfs(descriptor)
                free = disk.f_bavail * disk.f_frsize
            wanted = min(ROOM_OCTETS, max(LEAST_OCTETS, (free + self.room) // SHARE))
            if self.room < wanted:
                try:
                    os.posix_fallocate(descriptor, 0, wanted)
                    self.room = wanted
                except OSError:
                    if not self.room:       # a file of 0 octets would be taken for a damaged one
                        os.unlink(self.path)
                    raise
            if not os.pread(descriptor, 1, 0)[0]:
                os.pwrite(descriptor, MAGIC + WHOLE + NONE, 0)
        finally:
            os.close(descriptor)

    def read(self):
        """(bodies, lossy).  FileNotFoundError where there is none.  The next append goes behind what was read."""
        data = self.path.read_bytes()
        self.room = len(data)
        if not data:
            raise Torn("it is empty")
        if len(data) < FIRST or not data.startswith(MAGIC) or data[FIRST - 1:FIRST] not in (WHOLE, LOSSY):
            raise Torn("it does not begin as such a file does")
        bodies, place = [], FIRST
        while True:
            head = data[place:place + HEAD.size]
            if len(head) < HEAD.size:
                raise Torn("it is cut short after %d octets" % len(data))
            if head == NONE:
                break
            length, check = HEAD.unpack(head)
            body = data[place + HEAD.size:place + HEAD.size + length]
            if len(body) < length or zlib.crc32(body) != check:
                raise Torn("what was written at octet %d is damaged" % place)
            try:
                bodies.append(zlib.decompress(body))
            except zlib.error as error:
                raise Torn("what was written at octet %d cannot be unpacked" % place) from error
            place += HEAD.size + length
        self.end = place
        return bodies, data[FIRST - 1:FIRST] == LOSSY

    def clear(self):
        """Nothing is kept any more; the room stays, no more than is reserved anew."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if self.room > ROOM_OCTETS:
                os.ftruncate(descriptor, ROOM_OCTETS)
                self.room = ROOM_OCTETS
            self._put(descriptor, MAGIC + WHOLE + NONE, 0)
            self._put(descriptor, bytes(max(0, min(self.end, self.room) - FIRST - HEAD.size)), FIRST + HEAD.size)     # nobody's number stays in it
            self.end = FIRST
        finally:
            os.close(descriptor)

    def lossy(self):
        """What comes after is not in the file."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, LOSSY, FIRST - 1)
        finally:
            os.close(descriptor)

    def append(self, text, most):
        """One frame.  most: octets that the file may have."""
        body = zlib.compress(text, 1)
        end = self.end + HEAD.size + len(body)
        if end + HEAD.size > most:
            raise OSError(27, "it would be longer than %d octets" % most)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if self.room < FIRST:
                self._put(descriptor, MAGIC + WHOLE + NONE, 0)
                self.room = FIRST
            self._put(descriptor, body + NONE, self.end + HEAD.size)
            self._put(descriptor, HEAD.pack(len(body), zlib.crc32(body)), self.end)
            self.end, self.room = end, max(self.room, end + HEAD.size)
        finally:
            os.close(descriptor)

    @staticmethod
    def _put(descriptor, octets, place):
        while octets:
            sent = os.pwrite(descriptor, octets, place)
            octets, place = octets[sent:], place + sent
