"""The far end of an emulated E1 line: framing, a checker and a socket client.

Written apart from the board's framing (hil/board/e1.c) and by another method, so
that each is evidence for the other: numpy over whole submultiframes here, a
frame at a time and a folded CRC there.

    line = LineClient("/run/strowger/lines/1.sock")
    framer, checker = E1Framer(crc4=True), E1Checker(crc4=True)
    while True:
        frames = checker.take(line.receive())        # uint8 (80, 32), or None while out of frame
        line.send(framer.block(payload))             # payload uint8 (80, 32), timeslot 0 ignored

Octets: 0x80 is first on the line.  Standards: G.704 (10/98) 2.3 and 5.1."""

import socket

import numpy

FRAMES = 80
TIMESLOTS = 32
BLOCK_OCTETS = FRAMES * TIMESLOTS
FAS = 0x1B
MULTIFRAME_BITS = (0, 0, 1, 0, 1, 1)     # bit 1 of frames 1, 3, ..., 11


def crc4_table():
    """CRC-4 contribution of each octet value at each place of a submultiframe: uint8 (256, 256).

    Row n is for octet n of 256.  From a shift register, bit by bit (G.704 2.3.3.5)."""
    def shift(register, bit):
        carry = register >> 3 ^ bit
        return (register << 1 & 0xF) ^ (0x3 if carry else 0)

    last = numpy.zeros(256, numpy.uint8)
    for value in range(256):
        register = 0
        for n in range(8):
            register = shift(register, value >> (7 - n) & 1)
        last[value] = register
    step = numpy.zeros(16, numpy.uint8)  # eight zero bits later
    for register in range(16):
        after = register
        for _ in range(8):
            after = shift(after, 0)
        step[register] = after
    rows = [last]
    for _ in range(255):
        rows.append(step[rows[-1]])
    return numpy.array(rows[::-1])


_TABLE = crc4_table()
_PLACES = numpy.arange(256)


def crc4(submultiframes):
    """CRC-4 of submultiframes: uint8 (n, 8, 32) -> uint8 (n,).  C bits count as zero."""
    octets = submultiframes.copy()
    octets[:, ::2, 0] &= 0x7F
    return numpy.bitwise_xor.reduce(_TABLE[_PLACES, octets.reshape(-1, 256)], axis=1)


class E1Framer:
    """Puts timeslot 0 (and 16, with cas) around payload.

    crc4: CRC-4 multiframe.  cas: CAS multiframe in timeslot 16; cas_bits: uint8 (32,) ABCD.
    rai: A bit.  e_bits: E bit values of frames 13 and 15, to be set by the user from what its checker
    finds.  wrong_fas, wrong_crc: numbers of errors still to be sent."""

    def __init__(self, crc4=False, cas=False):
        self.crc4, self.cas = crc4, cas
        self.rai = False
        self.e_bits = [1, 1]
        self.cas_bits = numpy.full(32, 0xD, numpy.uint8)
        self.cas_alarm = False
        self.wrong_fas = self.wrong_crc = 0
        self._crc = 0                    # of the last submultiframe of the block before

    def block(self, payload=None):
        """One block, bytes of 2560.  payload: uint8 (80, 32), default idle (0xD5)."""
        frames = numpy.full((FRAMES, TIMESLOTS), 0xD5, numpy.uint8) if payload is None else payload.copy()
        frames[0::2, 0] = FAS | 0x80
        frames[1::2, 0] = 0xDF | (0x20 if self.rai else 0)
        for n in range(0, min(2 * self.wrong_fas, FRAMES), 2):
            frames[n, 0] ^= 0x10
            self.wrong_fas -= 1
        if self.cas:
            frames[:, 16] = numpy.resize(self._timeslot_16(), FRAMES)
        if self.crc4:
            self._multiframe(frames)
        return frames.tobytes()

    def _timeslot_16(self):
        bits = self.cas_bits & 0xF
        octets = bits[:16] << 4 | bits[16:]
        octets[0] = 0x0B | (0x04 if self.cas_alarm else 0)
        return octets

    def _multiframe(self, frames):
        ones = numpy.array([*MULTIFRAME_BITS, *self.e_bits], numpy.uint8)
        frames[1::2, 0] = (frames[1::2, 0] & 0x7F) | numpy.resize(ones, FRAMES // 2) << 7
        crcs = crc4(frames.reshape(-1, 8, TIMESLOTS))
        sent = numpy.concatenate(([self._crc], crcs[:-1])).astype(numpy.uint8)
        for n in range(min(self.wrong_crc, len(sent))):
            sent[n] ^= 1
            self.wrong_crc -= 1
        bits = sent[:, None] >> numpy.array([3, 2, 1, 0]) & 1
        frames[0::2, 0] = (frames[0::2, 0] & 0x7F) | bits.reshape(-1).astype(numpy.uint8) << 7
        self._crc = int(crcs[-1])


class E1Checker:
    """Aligns blocks (octet aligned only) and checks the framing.

    Counts: fas_errors, crc_errors, e_errors (E bits 0), blocks.  rai: last A bit.
    cas_bits: uint8 (32,), cas_alarm: y bit; both None until a CAS multiframe was seen.
    offset: octet of the block where a frame starts, None out of frame."""

    def __init__(self, crc4=False, cas=False):
        self.crc4, self.cas = crc4, cas
        self.offset = None
        self.fas_errors = self.crc_errors = self.e_errors = self.crc_checked = self.blocks = 0
        self.rai = None
        self.cas_bits = self.cas_alarm = None
        self._rest = b""
        self._multiframe = numpy.zeros((0, TIMESLOTS), numpy.uint8)
        self._multiframe_found = False
        self._crc = None

    def take(self, block):
        """Aligned frames uint8 (80, 32) that end in this block, or None while out of frame."""
        self.blocks += 1
        stream = self._rest + block
        if self.offset is None:
            self.offset = self._find(stream)
            self._multiframe = self._multiframe[:0]
            self._multiframe_found, self._crc = False, None
            if self.offset is None:
                self._rest = block
                return None
            stream = stream[self.offset:]
        frames = numpy.frombuffer(stream, numpy.uint8, len(stream) // TIMESLOTS * TIMESLOTS).reshape(-1, TIMESLOTS)
        frames = frames[:len(frames) // 2 * 2]
        self._rest = stream[frames.size:]
        wrong = numpy.count_nonzero((frames[0::2, 0] & 0x7F) != FAS)
        self.fas_errors += int(wrong)
        if wrong * 2 >= len(frames) // 2:
            self.offset = None
            self._rest = b""
            return None
        self.rai = bool(frames[-1, 0] & 0x20)
        if self.crc4:
            self._check_multiframe(frames)
        if self.cas:
            self._check_cas(frames)
        return frames

    @staticmethod
    def _find(stream):
        octets = numpy.frombuffer(stream, numpy.uint8)
        span = len(octets) - 4 * TIMESLOTS
        if span <= 0:
            return None
        good = (octets[:span] & 0x7F) == FAS
        for n in (1, 3):
            good &= (octets[n * TIMESLOTS:n * TIMESLOTS + span] & 0x40) != 0
        good &= (octets[2 * TIMESLOTS:2 * TIMESLOTS + span] & 0x7F) == FAS
        places = numpy.flatnonzero(good)
        return int(places[0]) if len(places) else None

    def _check_multiframe(self, frames):
        pending = numpy.concatenate((self._multiframe, frames))
        if not self._multiframe_found:
            ones = pending[1::2, 0] >> 7
            for start in range(0, 8):
                rows = ones[start:start + (len(ones) - start) // 8 * 8].reshape(-1, 8)
                if len(rows) >= 2 and (rows[:, :6] == MULTIFRAME_BITS).all():
                    pending = pending[2 * start:]
                    self._multiframe_found = True
                    break
            else:
                self._multiframe = pending[-160:]
                return
        whole = len(pending) // 16 * 16
        self._multiframe = pending[whole:]
        if not whole:
            return
        multiframes = pending[:whole]
        got = (multiframes[0::2, 0] >> 7).reshape(-1, 4) @ numpy.array([8, 4, 2, 1])
        crcs = crc4(multiframes.reshape(-1, 8, TIMESLOTS))
        expected = crcs[:-1] if self._crc is None else numpy.concatenate(([self._crc], crcs[:-1]))
        told = got[1:] if self._crc is None else got
        self.crc_errors += int(numpy.count_nonzero(told != expected))
        self.crc_checked += len(told)
        self._crc = crcs[-1]
        ones = (multiframes[1::2, 0] >> 7).reshape(-1, 8)
        self.e_errors += int(numpy.count_nonzero(ones[:, 6:] == 0))

    def _check_cas(self, frames):
        octets = frames[:, 16]
        starts = numpy.flatnonzero((octets & 0xF0) == 0)
        if len(starts) and starts[0] + 16 <= len(octets):
            rows = octets[starts[0]:starts[0] + 16]
            self.cas_bits = numpy.concatenate((rows >> 4, rows & 0xF))
            self.cas_alarm = bool(rows[0] & 0x04)


class LineClient:
    """A connection to lines/<span>.sock.  receive() blocks for the board's next block; socket: for a poller."""

    def __init__(self, path, timeout_s=5.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(timeout_s)
        self.socket.connect(path)

    def receive(self):
        """Block of 2560 octets.  Raises ConnectionError when the board closed the line."""
        block = self.socket.recv(BLOCK_OCTETS + 1)
        if not block:
            raise ConnectionError("the board closed the line: it has stopped, or somebody else is connected")
        return block

    def send(self, block):
        """Answer to the block received last."""
        self.socket.send(block)

    def close(self):
        self.socket.close()
