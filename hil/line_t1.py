"""The far end of an emulated T1 or J1 line: framing and a checker.

Written apart from the board's framing (hil/board/t1.c) and by another method, so that each is evidence for the other: here
the bits of the line lie in numpy arrays and a CRC is a sum of residues of x^n.

    line = LineClient("/run/strowger/lines/1.sock")
    framer, checker = T1Framer(), T1Checker()
    while True:
        frames = checker.take(line.receive())        # uint8 (n, 24), or None while out of frame
        line.send(framer.block(payload))             # payload uint8 (80, 24), default mu-law idle

A block has 80 frames of 24 octets, then 10 octets of F bits, the first frame's in the most significant bit.
Standards: ANSI T1.403-1999 8 (frames, ESF, D4), 9 (data link, loop codes); JT-G704 (J1)."""

import numpy

FRAMES = 80
TIMESLOTS = 24
BLOCK_OCTETS = FRAMES * TIMESLOTS + FRAMES // 8
IDLE = 0x7F
FPS = (0, 0, 1, 0, 1, 1)
D4 = (1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0)
# code words of the data link as T1.403 table 4 writes them; the rightmost bit goes first
LINE_LOOP_UP, LINE_LOOP_DOWN, PAYLOAD_LOOP_UP, PAYLOAD_LOOP_DOWN = 0x0E, 0x38, 0x14, 0x32


def residues():
    """x^n modulo x^6 + x + 1 for the bits of a superframe, times x^6: uint8 (4632,), first bit first."""
    result, value = [], 1
    for _ in range(24 * 193 + 6):
        result.append(value)
        value = value << 1 ^ (0x43 if value & 0x20 else 0)
    return numpy.array(result[6:][::-1], numpy.uint8)


_RESIDUES = residues()


def crc6(bits):
    """CRC-6 of a superframe: uint8 (24, 193) of 0 and 1 -> 0..63.  What stands at the F bits counts."""
    return int(numpy.bitwise_xor.reduce(_RESIDUES * bits.reshape(-1)))


def unpack(block):
    """Bits of a block: uint8 (80, 193), the F bit first."""
    octets = numpy.frombuffer(bytes(block), numpy.uint8)
    f_bits = numpy.unpackbits(octets[FRAMES * TIMESLOTS:])[:, None]
    return numpy.hstack((f_bits, numpy.unpackbits(octets[:FRAMES * TIMESLOTS].reshape(FRAMES, TIMESLOTS), axis=1)))


def pack(bits):
    """The block of uint8 (80, 193) bits."""
    return numpy.packbits(bits[:, 1:]).tobytes() + numpy.packbits(bits[:, 0]).tobytes()


class T1Framer:
    """Puts the F bits around payload.

    esf, japan: which frame.  rai: remote alarm.  cas_bits: uint8 (24,) ABCD, or None for clear channels.
    message: a code word for the data link, or None.  shift: bits by which the line comes later (any number).
    wrong_f, wrong_crc: errors still to be sent."""

    def __init__(self, esf=True, japan=False, shift=0):
        self.esf, self.japan = esf, japan
        self.rai = False
        self.cas_bits = None
        self.message = None
        self.wrong_f = self.wrong_crc = 0
        self._frame = self._crc = self._dl = 0
        self._superframe = numpy.zeros((24, 193), numpy.uint8)
        self._held = numpy.ones(shift, numpy.uint8)

    def _data_link(self):
        place, self._dl = self._dl, (self._dl + 1) % 16
        if self.rai and self.japan:
            return 1
        if not self.rai and self.message is None:
            return 0x7E >> (7 - place % 8) & 1
        return 1 if place < 8 else (0 if self.rai else self.message) >> (place - 8) & 1

    def _f(self, n):
        if self.esf:
            if n % 2 == 0:
                return self._data_link()
            if n % 4 == 1:
                return self._crc >> (5 - n // 4) & 1
            value = FPS[n // 4]
        else:
            value = 1 if n % 12 == 11 and self.rai and self.japan else D4[n % 12]
        if self.wrong_f and (self.esf or n % 2 == 0):
            self.wrong_f -= 1
            value ^= 1
        return value

    def block(self, payload=None):
        """One block, bytes of 1930."""
        frames = numpy.full((FRAMES, TIMESLOTS), IDLE, numpy.uint8) if payload is None else payload.copy()
        out = numpy.empty((FRAMES, 193), numpy.uint8)
        for n, octets in enumerate(frames):
            frame = self._frame
            if self.cas_bits is not None and frame % 6 == 5:
                bit = 3 - frame // 6 if self.esf else 3 - frame // 6 % 2
                octets = octets & 0xFE | self.cas_bits >> bit & 1
            if self.rai and not self.esf and not self.japan:
                octets = octets & 0xBF
            out[n, 1:] = numpy.unpackbits(octets)
            out[n, 0] = self._f(frame)
            self._superframe[frame] = out[n]
            if frame == 23 and self.esf:
                counted = self._superframe.copy()
                if not self.japan:
                    counted[:, 0] = 1
                self._crc = crc6(counted)
                if self.wrong_crc:
                    self.wrong_crc -= 1
                    self._crc ^= 1
            self._frame = (frame + 1) % 24
        stream = numpy.concatenate((self._held, out.reshape(-1)))
        self._held = stream[out.size:]
        return pack(stream[:out.size].reshape(FRAMES, 193))


class T1Checker:
    """Aligns blocks that begin with a frame (any one of the superframe) and checks them.

    f_errors, crc_errors, crc_checked, blocks.  message: code word of the data link seen twice in a row, or None; rai.
    cas_bits: uint8 (24,) of the last superframe, or None."""

    def __init__(self, esf=True, japan=False, cas=False):
        self.esf, self.japan, self.cas = esf, japan, cas
        self.f_errors = self.crc_errors = self.crc_checked = self.blocks = 0
        self.rai, self.message, self.cas_bits = None, None, None
        self._rows = numpy.zeros((0, 193), numpy.uint8)
        self.aligned = False
        self._crc = None
        self._dl = ""

    def take(self, block):
        """uint8 (80, 24) of this block, or None while out of frame."""
        self.blocks += 1
        rows = unpack(block)
        self._rows = numpy.concatenate((self._rows, rows))
        if not self.aligned:
            self._find()
        while self.aligned and len(self._rows) >= 24:
            self._superframe(self._rows[:24])
            self._rows = self._rows[24:]
        return numpy.packbits(rows[:, 1:], axis=1) if self.aligned else None

    def _find(self):
        f = self._rows[:, 0]
        for start in range(0, 24):
            part = f[start:start + (len(f) - start) // 24 * 24].reshape(-1, 24)
            if len(part) < 2:
                break
            good = (part[:, 3::4] == FPS).all() if self.esf else (part == D4 * 2)[:, :11].all()
            if good:
                self._rows, self.aligned = self._rows[start:], True
                return
        self._rows = self._rows[-160:]

    def _superframe(self, rows):
        f = rows[:, 0]
        wrong = numpy.count_nonzero(f[3::4] != FPS) if self.esf else numpy.count_nonzero((f != D4 * 2)[::2])
        self.f_errors += int(wrong)
        if wrong >= 4:
            self.aligned, self._crc = False, None
            return
        if self.esf:
            counted = rows.copy()
            if not self.japan:
                counted[:, 0] = 1
            if self._crc is not None:
                self.crc_checked += 1
                self.crc_errors += int(f[1::4] @ numpy.array([32, 16, 8, 4, 2, 1]) != self._crc)
            self._crc = crc6(counted)
            self._dl = (self._dl + "".join(map(str, f[0::2])))[-48:]
            self._look_at_data_link()
        elif self.japan:
            self.rai = bool(f[11] and f[23])
        else:
            self.rai = not rows[:, 2::8].any()
        if self.cas:
            a, b, c, d = (rows[n, 8::8] for n in (5, 11, 17, 23))
            self.cas_bits = (a << 3 | b << 2 | (c << 1 | d if self.esf else a << 1 | b)).astype(numpy.uint8)

    def _look_at_data_link(self):
        self.message = None
        for place in range(16):
            word = self._dl[place:place + 16]
            if word[:8] == "1" * 8 and word[8:9] == "0" == word[15:] and self._dl == (self._dl[:place] + word * 3)[:48]:
                self.message = int(word[8:][::-1], 2)
        self.rai = "0" not in self._dl if self.japan else self.message == 0
