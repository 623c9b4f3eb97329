"""The rings of one stream, as this process sees them; the media process's tick is at the other end (media/native/stream.pxi).

A page of the shared memory: 8 words that the tick writes (octets put out, octets thrown away, octets played, frames of silence), 8 that we
write (octets taken, octets put in, whether nothing follows), the ring of the leg's audio (2 octets a frame, left and right, A-law), the ring of
audio for the leg (A-law).  A word is 8 octets, aligned, and written at once; x86 keeps the order of the writes, and between the audio and the
word that tells of it an interpreter does so much that a weaker machine has none left to turn round either.
"""

OUT_OCTETS, IN_OCTETS = 32768, 16384
HEADER_OCTETS = 128
PAGE_OCTETS = HEADER_OCTETS + OUT_OCTETS + IN_OCTETS
OUT_HEAD, OUT_LOST, IN_TAIL, STARVED, OUT_TAIL, IN_HEAD, ENDED = 0, 1, 2, 3, 8, 9, 10


class Page:
    """memory: of all streams, writable.  index: which one."""

    def __init__(self, memory, index):
        page = memoryview(memory)[index * PAGE_OCTETS:(index + 1) * PAGE_OCTETS]
        self._words = page[:HEADER_OCTETS].cast("Q")
        self._out = page[HEADER_OCTETS:HEADER_OCTETS + OUT_OCTETS]
        self._in = page[HEADER_OCTETS + OUT_OCTETS:]
        self.begin()

    def begin(self):
        """What has been there before is not ours."""
        self._words[OUT_TAIL] = self._words[OUT_HEAD]
        self._words[IN_HEAD] = self._words[IN_TAIL]
        self._words[ENDED] = 0

    def take(self, most=OUT_OCTETS):
        """What the leg has said since: octets, 2 a frame."""
        tail = self._words[OUT_TAIL]
        count = min(self._words[OUT_HEAD] - tail, most)
        if not 0 < count <= OUT_OCTETS:
            return b""
        at = tail % OUT_OCTETS
        octets = bytes(self._out[at:at + count])
        octets += bytes(self._out[:count - len(octets)])
        self._words[OUT_TAIL] = tail + count
        return octets

    @property
    def lost(self):
        """Octets of the leg that were thrown away, since nobody took them."""
        return self._words[OUT_LOST]

    def room(self):
        """Octets that may be put in now."""
        return max(0, IN_OCTETS - (self._words[IN_HEAD] - self._words[IN_TAIL]))

    def put(self, octets):
        """Audio for the leg; at most room()."""
        head = self._words[IN_HEAD]
        at = head % IN_OCTETS
        first = min(len(octets), IN_OCTETS - at)
        self._in[at:at + first] = octets[:first]
        self._in[:len(octets) - first] = octets[first:]
        self._words[IN_HEAD] = head + len(octets)

    def end(self):
        """Nothing follows."""
        self._words[ENDED] = 1

    @property
    def played(self):
        """Octets that the leg has got since the stream was opened in media."""
        return self._words[IN_TAIL]
