"""The board's T1 and J1 framing (hil/board/t1.c) and its driver against hil/line_t1.py and a bit-serial CRC."""

import numpy
import pytest

from drivers.framer.falc import FALC
from firmware.errors import LocalError
from hil import line_t1 as far
from hil.board._emulator import Framer

KINDS = [("t1", "esf"), ("t1", "d4"), ("j1", "esf"), ("j1", "d4")]


class Port:
    """An emulated port, its driver, a far end."""

    def __init__(self, kind="t1", framing="esf", cas=False, shift=0, **settings):
        self.chip = Framer()
        self.driver = FALC(self, 1)
        self.driver.configure({"type": kind, "framing": framing, "cas": cas, **settings})
        self.sender = far.T1Framer(framing == "esf", kind == "j1", shift)
        self.checker = far.T1Checker(framing == "esf", kind == "j1", cas)
        self.random = numpy.random.default_rng(5)

    def batch(self, requests, refused=None):
        results = []
        for op, _, offset, value in requests:
            if op:
                self.chip.write(offset, value)
            results.append(0 if op else self.chip.read(offset))
        return results

    def run(self, blocks=40, payload=True):
        for _ in range(blocks):
            out = self.random.integers(0, 256, (80, 32), dtype=numpy.uint8)
            back = self.random.integers(0, 256, (80, 24), dtype=numpy.uint8) if payload else None
            self.sent, self.back = out, back
            self.got = self.checker.take(self.chip.transmit(out.tobytes()))
            self.received = numpy.frombuffer(self.chip.receive(self.sender.block(back)), numpy.uint8).reshape(80, 32)
        return self.driver.status()


def test_the_peer_counts_crc6_as_a_shift_register_does():
    bits = numpy.random.default_rng(1).integers(0, 2, (24, 193), dtype=numpy.uint8)
    register = 0
    for bit in [*bits.reshape(-1), *[0] * 6]:
        register = register << 1 | int(bit)
        register ^= 0x43 if register & 0x40 else 0
    assert far.crc6(bits) == register


@pytest.mark.conformance("T1.403", "8", "superframe and extended superframe: alignment at any bit, CRC-6, remote alarm")
@pytest.mark.parametrize("kind, framing", KINDS)
@pytest.mark.parametrize("shift", [0, 1, 100, 192])
def test_frames_both_ways(kind, framing, shift):
    port = Port(kind, framing, shift=shift)
    assert port.run().items() >= {"alarms": [], "in_service": True, "code": None}.items()
    assert port.checker.aligned and port.checker.f_errors == port.checker.crc_errors == 0
    assert (port.checker.crc_checked > 100) == (framing == "esf")
    assert (port.got == port.sent[:, 1:25]).all()
    if not shift:
        assert (port.received[:, 1:25] == port.back).all()
        assert (port.received[:, 25:] == 0x7F).all() and (port.received[:, 0] == 0x7F).all()
    port.sender.rai = True
    assert port.run()["alarms"] == ["rai"]
    port.sender.rai = False
    assert port.run()["alarms"] == []
    port.driver.force(rai=True)
    port.run()
    assert port.checker.rai


@pytest.mark.parametrize("kind, framing", KINDS)
def test_robbed_bits(kind, framing):
    port = Port(kind, framing, cas=True)
    port.sender.cas_bits = numpy.arange(24, dtype=numpy.uint8) % 16
    port.chip.set_cas(bytes([0, *[(15 - n) % 16 for n in range(24)], *[0] * 7]))
    port.run()
    def seen(nibbles):
        return [n if framing == "esf" else (n >> 2) * 5 for n in nibbles]
    assert list(port.chip.cas()[1:25]) == seen(n % 16 for n in range(24))
    assert list(port.checker.cas_bits) == seen((15 - n) % 16 for n in range(24))
    before = port.chip.cas()
    port.chip.receive(b"\xff" * far.BLOCK_OCTETS)           # out of frame: they stand
    port.sender.cas_bits[:] = 0
    assert port.chip.cas() == before
    differing = (port.got ^ port.sent[:, 1:25]) & 0xFE
    assert not differing.any()                              # seven bits of each octet are the talker's


@pytest.mark.conformance("T1.231", "6.1", "LOS, AIS and loss of frame: detection and end")
def test_alarms_and_counters():
    port = Port()
    port.run()
    port.chip.second()
    for block, alarm in ((bytes(far.BLOCK_OCTETS), "los"), (b"\xff" * far.BLOCK_OCTETS, "ais"),
                         (b"\x55" * far.BLOCK_OCTETS, "lfa")):
        for _ in range(5):
            port.chip.receive(block)
        assert port.driver.status()["alarms"] == [alarm]
    port.run(10)
    assert port.driver.status()["alarms"] == []
    port.chip.second()
    port.driver.counters()
    port.sender.wrong_crc, port.sender.wrong_f = 7, 1
    port.run(60)
    assert port.driver.status()["alarms"] == []
    port.chip.second()
    assert port.driver.counters() == {"fas_errors": 1, "crc_errors": 7, "code_violations": 0, "e_bits": 0}


def test_a_j1_far_end_shows_as_wrong_crc():
    port = Port("t1")
    port.sender = far.T1Framer(japan=True)
    port.run(20)
    port.chip.second()
    assert port.driver.counters()["crc_errors"] > 40


@pytest.mark.conformance("T1.403", "9", "loop codes of the data link and in band")
def test_loop_codes_both_ways():
    port = Port()
    for name, word in (("line_up", far.LINE_LOOP_UP), ("line_down", far.LINE_LOOP_DOWN), ("payload_up", far.PAYLOAD_LOOP_UP)):
        port.sender.message = word
        assert port.run()["code"] == name
        port.driver.send_code(name)
        port.run()
        assert port.checker.message == word
    port.sender.message = None
    port.driver.send_code(None)
    assert port.run()["code"] is None and port.checker.message is None
    for framing in ("esf", "d4"):
        sender, receiver = Port("t1", framing), Port("t1", framing)
        sender.run(10)                                      # in frame: a D4 alarm would stand in the code
        for name in ("in_band_up", "in_band_down", None):
            sender.driver.send_code(name)
            for _ in range(60):
                receiver.chip.receive(sender.chip.transmit(b"\x7f" * 2560))
            assert receiver.driver.status()["code"] == name
    with pytest.raises(LocalError, match="loop code"):
        port.driver.send_code("sideways")


def test_loops():
    port = Port()
    port.run()
    port.driver.loop("timeslot", 7)
    port.run(2)
    last = port.back
    port.run(1)
    assert (port.got[:, 6] == last[:, 6]).all() and (port.got[:, 5] == port.sent[:, 6]).all()
    port.driver.loop("payload")
    port.run(2)
    last = port.back
    port.run(1)
    assert (port.got == last).all()
    port.driver.loop("remote")
    block = port.sender.block()
    port.chip.receive(block)
    assert port.chip.transmit(bytes(2560)) == block
    with pytest.raises(LocalError, match="timeslot from 1 to 24"):
        port.driver.loop("timeslot", 25)


def test_a_port_changes_its_kind_and_back():
    port = Port()
    port.run()
    assert port.driver.configure({"type": "t1"}) is False
    port.driver.configure({"type": "e1", "crc4": True})
    assert len(port.chip.transmit(bytes(2560))) == 2560 and port.chip.read(0x2B) == 0xD5
    port.driver.configure({"type": "j1", "framing": "d4", "line_code": "ami", "build_out_db": "15"})
    assert len(port.chip.transmit(bytes(2560))) == far.BLOCK_OCTETS and port.chip.read(0x3A) == 0xA1


# ---- JT-G704: a generator and a checker that divide bit by bit, of lists; they share nothing with the board and with hil/line_t1.py ----

def divide(bits):
    """Remainder of bits * x^6 by x^6 + x + 1, as six bits, the highest first."""
    rest = list(bits) + [0] * 6
    for n in range(len(bits)):
        if rest[n]:
            for place, one in enumerate((1, 0, 0, 0, 0, 1, 1)):
                rest[n + place] ^= one
    return rest[-6:]


def multiframe(payload, crc, alarm, place):
    """24 frames of 193 bits.  payload: 24 lists of 192 bits; crc: of the multiframe before; alarm: remote alarm; place: of the link's flags."""
    frames = []
    for n in range(24):
        if n % 4 == 3:
            f = (0, 0, 1, 0, 1, 1)[n // 4]
        elif n % 4 == 1:
            f = crc[n // 4]
        else:
            f = 1 if alarm else (0, 1, 1, 1, 1, 1, 1, 0)[(place + n // 2) % 8]
        frames.append([f] + payload[n])
    return frames


def to_blocks(frames):
    """Blocks of 80 frames as the line socket has them."""
    for start in range(0, len(frames) - 79, 80):
        part = frames[start:start + 80]
        yield (numpy.packbits([bit for frame in part for bit in frame[1:]]).tobytes() + numpy.packbits([frame[0] for frame in part]).tobytes())


@pytest.mark.conformance("JT-G704", "CRC-6", "J1: the check covers the F bits as they are sent, those of T1 count as ones; remote alarm is a data link of ones")
@pytest.mark.parametrize("kind", ["j1", "t1"])
def test_j1_against_a_division_bit_by_bit(kind):
    port, rng = Port(kind), numpy.random.default_rng(6)
    crc, frames, link = [0] * 6, [], 0
    for count in range(40):
        payload = rng.integers(0, 2, (24, 192)).tolist()
        frames += multiframe(payload, crc, alarm=count >= 20, place=link)
        link += 12
        crc = divide([bit for frame in frames[-24:] for bit in (frame if kind == "j1" else [1] + frame[1:])])
    seen = []
    for number, block in enumerate(to_blocks(frames)):
        port.chip.receive(block)
        if number in (5, 11):
            seen.append(port.driver.status()["alarms"])
    port.chip.second()
    assert port.driver.counters()["crc_errors"] == 0 and port.driver.counters()["fas_errors"] == 0
    assert seen == [[], ["rai"] if kind == "j1" else []]       # a T1 waits for 0 and ones in turn
    sent = []
    for _ in range(12):
        out = rng.integers(0, 256, (80, 32), dtype=numpy.uint8)
        sent += far.unpack(port.chip.transmit(out.tobytes())).tolist()
    start = next(n for n in range(24) if [sent[n + k][0] for k in range(3, 24, 4)] == [0, 0, 1, 0, 1, 1])
    groups = [sent[n:n + 24] for n in range(start, len(sent) - 23, 24)]
    checks = [[frame[0] for frame in group[1::4]] for group in groups]
    wanted = [divide([bit for frame in group for bit in (frame if kind == "j1" else [1] + frame[1:])]) for group in groups]
    assert len(groups) > 30 and checks[1:] == wanted[:-1]
    other = [divide([bit for frame in group for bit in (frame if kind == "t1" else [1] + frame[1:])]) for group in groups]
    assert checks[1:] != other[:-1]


@pytest.mark.conformance("JT-G704", "12 frames", "J1 with 12 frames: remote alarm is the F bit of frame 12, speech is left alone")
def test_the_remote_alarm_of_a_j1_with_12_frames():
    port, rng = Port("j1", "d4"), numpy.random.default_rng(7)
    pattern = (1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0)
    port.driver.force(rai=True)
    frames = [[1 if n % 12 == 11 and n >= 480 else pattern[n % 12], *rng.integers(0, 2, 192).tolist()] for n in range(960)]
    seen = []
    for number, block in enumerate(to_blocks(frames)):
        port.chip.receive(block)
        seen.append(port.driver.status()["alarms"])
    assert seen[5] == [] and seen[-1] == ["rai"]
    out = rng.integers(0, 256, (80, 32), dtype=numpy.uint8)
    bits = far.unpack(port.chip.transmit(out.tobytes()))
    f = bits[:, 0].tolist()
    start = next(n for n in range(12) if all(f[n + k] == pattern[k] for k in range(11)))
    assert all(f[n] == 1 for n in range(start + 11, 80, 12))
    assert (numpy.packbits(bits[:, 1:], axis=1) == out[:, 1:25]).all()
