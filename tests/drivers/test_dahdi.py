"""DAHDI spans through a layer of files of our own: sockets in the place of channels; the ABI's own numbers; HDLC both ways.

What a real DAHDI does is proved in a virtual machine: make hil-dahdi."""

import errno
import os
import random
import socket
import struct

import numpy
import pytest

from drivers.tdm import dahdi
from firmware.errors import DriverError, LocalError


class Files:
    """A card whose channels are socket pairs; far[n]: the far end of channel n."""

    ioctls = (0, 0, 0, 0)

    def __init__(self, channels=31, first=1, kinds=None):
        self.channels, self.first, self.kinds = channels, first, kinds or {}
        self.far, self.alarms, self.there, self.wrong = {}, 0, True, {}

    def info(self, span):
        if not self.there:
            raise OSError(errno.ENODEV, "gone")
        if span > 9:
            raise OSError(errno.EINVAL, "none")
        return {"name": "LOC/1", "alarms": self.alarms, "channels": self.channels, "first": self.first}

    def spans(self):
        return [1, 2]

    def open(self, channel, law):
        if channel in self.wrong:
            raise OSError(self.wrong[channel], "refused")
        near, self.far[channel] = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near.setblocking(False), self.far[channel].setblocking(False)
        return near.detach(), self.kinds.get(channel, "octets")


ROW = {"kind": "dahdi", "dahdi_span": 1, "type": "e1"}


def noise(seed):
    return random.Random(seed).randbytes(32 * 80)


def channel(rows, slot):
    return rows[slot * 80:(slot + 1) * 80]


def test_the_numbers_are_those_of_the_abi():
    """Against the C compiler's reading of <dahdi/user.h>: Debian's, x86-64."""
    assert (dahdi.SPECIFY, dahdi.SET_BLOCKSIZE, dahdi.AUDIOMODE, dahdi.FLUSH) == (0x4004DA26, 0x4004DA01, 0x4004DA20, 0x4004DA03)
    assert (dahdi.GETRXBITS, dahdi.SETTXBITS, dahdi.HDLCFCSMODE) == (0x8004DA2B, 0x4004DA2B, 0x4004DA25)
    assert (dahdi.PARAMS.size, dahdi.BUFINFO.size) == (136, 24)


class Line:
    """A card and the ticks of both its ends, one after the other."""

    def __init__(self, files, span=1):
        self.files, self.card = files, dahdi.DAHDISpan(span, ROW, files)
        self.abcd = numpy.zeros(32, numpy.uint8)

    def far(self, rows):
        """A block comes."""
        for slot in range(1, 32):
            self.files.far[self.files.first + slot - 1].send(channel(rows, slot))

    def number(self, value):
        self.far(bytes([value]) * 2560)

    def tick(self, sent=bytes(2560)):
        """What was taken."""
        rows = self.card.wire.take(self.abcd)
        self.card.wire.give(sent)
        return rows

    def there(self, slot):
        """All that came out of one timeslot."""
        found = []
        while True:
            try:
                found.append(self.files.far[self.files.first + slot - 1].recv(80))
            except BlockingIOError:
                return found

    def figures(self):
        return self.card.status()["figures"]


QUIET = b"\xd5" * 80


def test_blocks_go_through_octet_by_octet_in_their_timeslots():
    line = Line(Files(first=32), 5)
    line.far(noise(100))
    assert line.tick(noise(99)) == b"\xd5" * 2560 and line.there(7) == [], "one block is no reserve"
    for number in range(5):
        line.far(noise(101 + number))
        taken = line.tick(noise(number))
        assert taken[80:] == noise(100 + number)[80:] and channel(taken, 0) == QUIET
        for slot in range(1, 32):
            assert line.there(slot) == ([] if number else [QUIET, QUIET]) + [channel(noise(number), slot)]
    assert line.card.status()["alarms"] == {} and (line.figures()["blocks"], line.figures()["missing"], line.figures()["given"]) == (5, 0, 7)
    line.card.close()


def test_a_clock_that_is_slower_costs_whole_blocks_of_all_channels_both_ways():
    line, taken = Line(Files()), []
    for tick in range(12):
        if tick not in (5, 8):
            line.number(tick)
        rows = line.tick()
        assert len({channel(rows, slot) for slot in range(1, 32)}) == 1, "the channels stay in step"
        taken.append(channel(rows, 7)[0])
    assert taken == [0xD5, 0, 1, 2, 3, 4, 6, 7, 0xD5, 9, 10, 11] and line.figures()["slips_repeated"] == 1
    assert {len(line.there(slot)) for slot in range(1, 32)} == {2 + 10}, "none is written where none was there"
    for _ in range(20):
        line.tick()
    assert "its clock stands" in line.card.status()["alarms"]["los"]
    line.card.close()


def test_a_clock_that_is_faster_costs_whole_blocks_of_all_channels_both_ways():
    line, taken = Line(Files()), []
    for number in range(3):
        line.number(number)
    for tick in range(403):
        line.number((3 + tick) % 200)
        taken.append(channel(line.tick(), 9)[0])
        assert len(line.there(9)) == (3 if not tick else 2 if tick in (199, 399) else 1)
        for slot in set(range(1, 32)) - {9}:
            line.there(slot)
    assert taken[:200] == list(range(200)) and taken[200:400] == [(201 + n) % 200 for n in range(200)]
    assert taken[400:] == [2, 3, 4] and line.figures()["slips_left_out"] == 2 and line.figures()["queued"] == 1
    line.card.close()


def test_a_media_process_that_stood_still_begins_anew_with_what_is_new():
    line = Line(Files())
    for number in range(4):
        line.number(number)
        line.tick()
    for slot in range(1, 32):
        line.there(slot)
    for number in range(4, 14):
        line.number(number)
    assert channel(line.tick(b"\x11" * 2560), 3)[0] == 12 and line.there(3) == [QUIET, QUIET, b"\x11" * 80]
    assert (line.figures()["starved"], line.figures()["left_out"], line.figures()["queued"]) == (1, 9, 1)
    line.card.close()


def lapd_frames(count, seed=3):
    chance = random.Random(seed)
    return [chance.randbytes(chance.randint(2, 260)) for _ in range(count)]


def fcs(octets):
    """X.25's, made here."""
    value = 0xFFFF
    for octet in octets:
        for bit in range(8):
            value = value >> 1 ^ (0x8408 if (value ^ octet >> bit) & 1 else 0)
    return struct.pack("<H", value ^ 0xFFFF)


def test_a_d_channel_of_frames_becomes_bits_that_our_kernel_reads():
    """DAHDI's frames -> timeslot 16 -> dsp/hdlc.py, and back; stuffing, shared flags, frames that end in ones."""
    files = Files(kinds={16: "frames"})
    card = dahdi.DAHDISpan(1, ROW, files)
    abcd = numpy.zeros(32, numpy.uint8)
    frames = [b"\xff" * 40, b"\x7e" * 9, b"\x00\xf8", *lapd_frames(40)]
    stream = b""
    waiting = list(frames)
    for tick in range(400):
        for _ in range(3 if tick % 8 == 0 else 0):
            if waiting:
                octets = waiting.pop(0)
                files.far[16].send(octets + b"??")                  # what stands in the last two is the card's business
        for slot in range(1, 32):
            if slot != 16:
                files.far[slot].send(b"\xd5" * 80)
        stream += channel(card.wire.take(abcd), 16)
    assert hdlc_frames(stream) == frames
    # and back: the same bits from our side are frames at the card
    back = []
    for start in range(0, len(stream), 80):
        rows = bytearray(32 * 80)
        rows[16 * 80:17 * 80] = stream[start:start + 80]
        card.wire.give(bytes(rows))
        for slot in range(1, 32):
            while True:
                try:
                    octets = files.far[slot].recv(1000)
                except BlockingIOError:
                    break
                if slot == 16:
                    back.append(octets)
    assert back == [octets + fcs(octets) for octets in frames]
    assert card.status()["figures"]["frames"] == {"in": len(frames), "out": len(frames), "wrong": 0, "dropped": 0}
    card.close()


def hdlc_frames(stream):
    """Frames of a timeslot's octets, first bit 0x80: a plain receiver of this test."""
    bits = "".join(format(octet, "08b") for octet in stream)
    found = []
    for part in bits.split("01111110"):
        plain = part.replace("111110", "11111")
        if len(plain) >= 32 and len(plain) % 8 == 0 and "1111110" not in part:
            octets = bytes(int(plain[n:n + 8][::-1], 2) for n in range(0, len(plain), 8))
            assert fcs(octets[:-2]) == octets[-2:]
            found.append(octets[:-2])
    return found


def test_garbage_on_the_d_channel_is_counted_and_costs_nothing_else():
    files = Files(kinds={16: "frames"})
    card = dahdi.DAHDISpan(1, ROW, files)
    chance = random.Random(9)
    for _ in range(300):
        card.wire.give(chance.randbytes(32 * 80))
        for slot in range(1, 32):
            while True:
                try:
                    files.far[slot].recv(1000)
                except BlockingIOError:
                    break
    assert card.status()["figures"]["frames"]["wrong"] > 0
    card.close()


def test_a_card_that_is_taken_out_is_one_alarm_and_no_more_reads():
    files = Files()
    card = dahdi.DAHDISpan(3, ROW, files)
    abcd = numpy.zeros(32, numpy.uint8)
    for far in files.far.values():
        far.close()
    files.there = False
    for _ in range(30):
        rows = card.wire.take(abcd)
        card.wire.give(noise(1))
    assert card.gone and set(channel(rows, 9)) == {0xD5}
    alarms = card.status()["alarms"]
    assert list(alarms) == ["card"] and "DAHDI span 1 (LOC/1)" in alarms["card"] and "taken out" in alarms["card"]
    card.leave()
    card.close()


@pytest.mark.parametrize("bits, kind", [(1 << 8, "los"), (1 << 3, "lfa"), (1 << 4, "ais"), (1 << 2, "rai"), (1 << 3 | 1 << 2, "lfa"), (0, None)])
def test_alarms_of_the_card_bear_our_names(bits, kind):
    files = Files()
    card = dahdi.DAHDISpan(1, ROW, files)
    abcd = numpy.zeros(32, numpy.uint8)
    for far in files.far.values():
        far.send(b"\xd5" * 80)
    card.wire.take(abcd)
    files.alarms = bits
    assert list(card.status()["alarms"]) == ([kind] if kind else [])
    card.close()


def test_loops():
    files = Files()
    card = dahdi.DAHDISpan(1, ROW, files)
    abcd = numpy.zeros(32, numpy.uint8)
    card.order(loop="local")
    sent = noise(1)
    card.wire.give(sent)
    assert card.wire.take(abcd) == sent
    line = Line(files)
    line.card.order(loop="remote")
    line.number(7), line.number(8)
    line.tick(sent)
    assert line.there(5) == [QUIET, QUIET, bytes([7]) * 80]
    for orders, why in (({"loop": "odd"}, "use one of"), ({"loop": "timeslot"}, "give one from"), ({"rai": True}, "the card itself")):
        with pytest.raises(LocalError, match=why):
            card.order(**orders)
    card.close()


def test_a_machine_without_dahdi_says_so(tmp_path):
    with pytest.raises(DriverError, match="DAHDI span 1 failed: there is no .*load DAHDI"):
        dahdi.DAHDISpan(2, ROW, dahdi.Card(str(tmp_path)))
    files = Files(kinds=dict.fromkeys(range(1, 32), "frames"))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DriverError, match="none of its channels gives octets"):
        dahdi.DAHDISpan(2, ROW, files)
    for far in files.far.values():
        far.close()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("number, wrong, why", [
    (12, {}, "DAHDI span 12 failed: DAHDI has no such span .*, only 1, 2; give a number"),
    (1, {9: errno.EBUSY}, r"DAHDI span 1 \(LOC/1\) failed: its channel 9 \(timeslot 9\) is in use by another program; end that one"),
    (1, {31: errno.ENXIO}, r"its channel 31 \(timeslot 31\) is not set up; .*run dahdi_cfg")])
def test_a_card_that_cannot_be_had_says_why_and_nothing_stays_open(number, wrong, why):
    files = Files()
    files.wrong = wrong
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DriverError, match=why):
        dahdi.DAHDISpan(2, {**ROW, "dahdi_span": number}, files)
    for far in files.far.values():
        far.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_card_with_cas_keeps_timeslot_16_to_itself():
    files = Files(kinds=dict.fromkeys(range(1, 32), "cas"))
    files.wrong = {16: errno.ENXIO}
    card = dahdi.DAHDISpan(1, ROW, files)
    assert sorted(files.far) == [slot for slot in range(1, 32) if slot != 16]
    card.close()
    files = Files(channels=30)
    card = dahdi.DAHDISpan(1, ROW, files)
    assert sorted(files.far) == list(range(1, 31)) and sorted(card._channels) == [slot for slot in range(1, 32) if slot != 16]
    card.close()
