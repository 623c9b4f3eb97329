"""Octets and ABCD bits through drivers/tdm/dahdi.py, the other end read and written here by plain calls.

All 31 timeslots carry random octets both ways at once, and each must arrive octet by octet.  With channel-associated signalling all 16 patterns
go over 30 circuits both ways while they do: a changed bit is an event of DAHDI's, which fails reads and writes until it is fetched."""

import errno
import fcntl
import os
import random
import struct
import time

import numpy

from drivers.tdm import dahdi
from hil.far.dahdi import again, open_channel
from hil.probes import exact
from tests.dahdi import cards

BLOCK, TICK_S, AHEAD = 80, 0.01, 3
SETTXBITS, GETRXBITS = 0x4004DA2B, 0x8004DA2B           # <dahdi/user.h>


class Pair:
    """Our driver on span 1, plain channels on span 2, ticks of both."""

    def __init__(self, seed, slots):
        self.card = dahdi.DAHDISpan(1, cards.ROW)
        self.far = {slot: open_channel(31 + slot) for slot in slots}
        self.chance, self.slots = random.Random(seed), slots
        self.sent = {slot: bytearray() for slot in slots}           # by us
        self.said = {slot: bytearray() for slot in slots}           # by the far end
        self.heard = {slot: bytearray() for slot in slots}          # by us
        self.there = {slot: bytearray() for slot in slots}          # by the far end
        self.abcd, self.ours = numpy.zeros(32, numpy.uint8), bytearray(32)
        self.next, self.ahead = time.monotonic(), AHEAD

    def tick(self, speak=True):
        self.next += TICK_S
        time.sleep(max(0.0, self.next - time.monotonic()))
        rows = self.card.wire.take(self.abcd)
        out = bytearray(b"\xd5" * 32 * BLOCK)
        for slot in self.slots:
            self.heard[slot] += rows[slot * BLOCK:(slot + 1) * BLOCK]
            if speak:
                octets = self.chance.randbytes(BLOCK)
                self.sent[slot] += octets
                out[slot * BLOCK:(slot + 1) * BLOCK] = octets
        self.card.wire.give(bytes(out), bytes(self.ours))
        for slot, fd in self.far.items():
            while (octets := again(fd, lambda fd=fd: os.read(fd, BLOCK))) is not None:
                self.there[slot] += octets
            for _ in range(self.ahead):
                again(fd, lambda fd=fd: os.write(fd, b"\xd5" * BLOCK))
            octets = self.chance.randbytes(BLOCK) if speak else b"\xd5" * BLOCK
            if again(fd, lambda fd=fd, octets=octets: os.write(fd, octets)) is None:
                raise OSError(errno.EAGAIN, "the far end's buffers are full")
            if speak:
                self.said[slot] += octets
        self.ahead = 0

    def run(self, ticks, speak=True):
        for _ in range(ticks):
            self.tick(speak)

    def judge(self):
        """Timeslots whose octets did not all arrive, with what came instead."""
        wrong = {}
        for slot in self.slots:
            for way, sent, heard in (("to us", self.said, self.heard), ("from us", self.sent, self.there)):
                found = exact.match(sent[slot], heard[slot])
                if not found.exact:
                    wrong["timeslot %d %s" % (slot, way)] = str(found)
        return wrong

    def close(self):
        self.card.leave()
        self.card.close()
        for fd in self.far.values():
            os.close(fd)


def octets(seconds=3):
    """31 clear channels."""
    cards.configure(*cards.OCTETS, *cards.FAR_OCTETS)
    pair = Pair(1, range(1, 32))
    try:
        pair.run(10, speak=False)
        pair.run(int(seconds / TICK_S))
        pair.run(20, speak=False)
        return {"octets_a_timeslot": len(pair.sent[1]), "timeslots": len(pair.slots), "wrong": pair.judge(), "figures": pair.card.status()["figures"]}
    finally:
        pair.close()
        cards.destroy()


def signalling():
    """30 circuits with ABCD bits."""
    cards.configure(*cards.CAS)
    slots = [slot for slot in range(1, 32) if slot != 16]
    pair, patterns, wrong = Pair(2, slots), 0, []
    try:
        pair.run(10, speak=False)
        for value in range(16):
            for slot, fd in pair.far.items():
                again(fd, lambda fd=fd, slot=slot: fcntl.ioctl(fd, SETTXBITS, struct.pack("=i", value + slot & 15)))
                pair.ours[slot] = value + 3 * slot & 15
            pair.run(5)
            for slot, fd in pair.far.items():
                bits = bytearray(4)
                fcntl.ioctl(fd, GETRXBITS, bits)
                patterns += 2
                if bits[0] & 15 != pair.ours[slot]:
                    wrong.append("timeslot %d: %x came out as %x" % (slot, pair.ours[slot], bits[0] & 15))
                if pair.abcd[slot] != value + slot & 15:
                    wrong.append("timeslot %d: %x came in as %x" % (slot, value + slot & 15, pair.abcd[slot]))
        pair.run(20, speak=False)
        figures = pair.card.status()["figures"]
        return {"patterns": patterns, "wrong_bits": wrong, "wrong": pair.judge(), "events": figures["events"],
                "kinds": sorted({kind for _, kind in pair.card._channels.values()}), "figures": figures}
    finally:
        pair.close()
        cards.destroy()


def verdict(seen):
    """What is wrong, in sentences."""
    wrong = ["octets: %s: %s" % row for row in seen["octets"]["wrong"].items()] + ["CAS: %s: %s" % row for row in seen["cas"]["wrong"].items()]
    wrong += ["CAS: " + sentence for sentence in seen["cas"]["wrong_bits"]]
    for name in ("octets", "cas"):
        figures = seen[name]["figures"]
        for counter in ("missing", "left_out", "uneven", "starved", "resyncs", "not_taken"):
            if figures[counter]:
                wrong.append("%s: %s is %d" % (name, counter, figures[counter]))
    if seen["cas"]["kinds"] != ["cas", "frames"] or seen["cas"]["events"] < 100:
        wrong.append("CAS: the channels are %s, with %d events" % (seen["cas"]["kinds"], seen["cas"]["events"]))
    return wrong
