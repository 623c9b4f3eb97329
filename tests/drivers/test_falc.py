"""The FALC driver on the emulated chip (hil/board/e1.c) with a far end on its line."""

import numpy
import pytest

from drivers.framer import base, falc
from firmware.errors import ConfigError, DriverError, LocalError
from hil import line as far
from hil.board._emulator import Framer


class ChipBus:
    """A bus to one emulated chip; broken: offsets whose writes are lost."""

    def __init__(self):
        self.chip, self.broken = Framer(), set()

    def batch(self, requests, refused=None):
        results = []
        for op, _, offset, value in requests:
            if op and offset not in self.broken:
                self.chip.write(offset, value)
            results.append(0 if op else self.chip.read(offset))
        return results


@pytest.fixture
def bus():
    return ChipBus()


def exchange(bus, sender, checker, blocks):
    for _ in range(blocks):
        checker.take(bus.chip.transmit(bytes(2560)))
        bus.chip.receive(sender.block())


def test_configure_each_crc4_mode(bus):
    driver = falc.FALC(bus, 1)
    for crc4, far_crc4, alarms, in_service in (
            (False, False, [], True), (True, True, [], True), ("required", True, [], True),
            (True, False, ["no_crc4"], True), ("required", False, ["lfa"], False), (False, True, [], True)):
        driver.configure({"type": "e1", "crc4": crc4})
        exchange(bus, far.E1Framer(crc4=far_crc4), far.E1Checker(crc4=far_crc4 and bool(crc4)), 50)
        assert driver.status().items() >= {"alarms": alarms, "in_service": in_service}.items(), (crc4, far_crc4)


def test_configuring_the_same_again_touches_nothing(bus):
    settings = {"type": "e1", "crc4": True, "cas": True}
    sender, checker = far.E1Framer(crc4=True, cas=True), far.E1Checker(crc4=True)
    assert falc.FALC(bus, 1).configure(settings) is True
    exchange(bus, sender, checker, 5)
    bus.chip.read(0x6A)
    assert falc.FALC(bus, 1).configure(settings) is False  # a restarted control
    exchange(bus, sender, checker, 5)
    assert bus.chip.read(0x6A) == 0                        # no change of alignment
    assert checker.fas_errors == checker.crc_errors == 0
    falc.FALC(bus, 1).loop("local")
    assert falc.FALC(bus, 1).configure(settings) is True


def test_alarms_name_the_cause_only(bus):
    driver, sender = falc.FALC(bus, 1), far.E1Framer()
    driver.configure({"type": "e1", "crc4": True, "cas": True})
    assert driver.status()["alarms"] == ["los"]
    bus.chip.receive(b"\xff" * 2560)
    assert driver.status().items() >= {"alarms": ["ais"], "in_service": False}.items()
    sender.rai = True
    for _ in range(45):
        bus.chip.receive(sender.block())
    assert driver.status().items() >= {"alarms": ["rai", "no_crc4", "cas_lfa"], "in_service": False}.items()
    assert set(driver.status()["alarms"]) <= set(base.ALARM_NAMES)


def test_counters_of_the_second_before(bus):
    driver, sender, checker = falc.FALC(bus, 1), far.E1Framer(crc4=True), far.E1Checker(crc4=True)
    driver.configure({"type": "e1", "crc4": True})
    exchange(bus, sender, checker, 20)
    bus.chip.second()
    sender.wrong_crc, sender.wrong_fas = 4, 2
    exchange(bus, sender, checker, 3)
    bus.chip.second()
    counters = driver.counters()
    assert counters["fas_errors"] == 2 and counters["code_violations"] == 0
    # the far end computes its CRC over the spoiled FAS, so that one costs no CRC error
    assert counters["crc_errors"] == 4
    assert driver.counters() == counters  # reading does not clear, the next second does
    bus.chip.second()
    assert driver.counters()["crc_errors"] == 0


def test_loops_and_forced_alarms(bus):
    driver, sender, checker = falc.FALC(bus, 1), far.E1Framer(), far.E1Checker()
    driver.configure({"type": "e1"})
    exchange(bus, sender, checker, 3)
    driver.force(rai=True)
    exchange(bus, sender, checker, 1)
    assert checker.rai
    driver.force(ais=True)
    assert bus.chip.transmit(bytes(2560)) == b"\xff" * 2560
    driver.force()
    block = sender.block()
    driver.loop("remote")
    bus.chip.receive(block)
    assert bus.chip.transmit(bytes(2560)) == block
    driver.loop("none")
    assert bus.chip.transmit(bytes(2560)) != block
    with pytest.raises(LocalError, match="local"):
        driver.loop("sideways")


@pytest.mark.parametrize("kind, timeslot, back", [("payload", None, set(range(1, 32))), ("timeslot", 7, {7}), ("timeslot", 31, {31}), ("none", None, set())])
def test_what_comes_back_through_a_loop(bus, kind, timeslot, back):
    """Each timeslot with an octet of its own; what is not in loop is ours, and the frame is always made anew."""
    driver, sender, checker = falc.FALC(bus, 1), far.E1Framer(crc4=True), far.E1Checker(crc4=True)
    driver.configure({"type": "e1", "crc4": True})
    driver.loop(kind, timeslot)
    came = numpy.tile(numpy.arange(32, dtype=numpy.uint8) | 0x80, (80, 1))
    for _ in range(12):
        bus.chip.receive(sender.block(came))
        frames = checker.take(bus.chip.transmit(b"\x11" * 2560))
    assert {slot for slot in range(1, 32) if (frames[:, slot] == slot | 0x80).all()} == back
    assert {slot for slot in range(1, 32) if (frames[:, slot] == 0x11).all()} == set(range(1, 32)) - back
    assert checker.crc_checked > 20 and checker.crc_errors == 0 and driver.status()["alarms"] == []


@pytest.mark.parametrize("code, bits", [("hdb3", 3), ("ami", 2)])
def test_the_line_code_both_ways(bus, code, bits):
    driver = falc.FALC(bus, 1)
    driver.configure({"type": "e1", **({} if code == "hdb3" else {"line_code": code})})
    value = bus.chip.read(0x1C)                  # FMR0: XC1-0 and RC1-0, 10 is AMI, 11 HDB3
    assert (value >> 6, value >> 4 & 3) == (bits, bits)


def test_bad_settings_and_broken_chips(bus):
    driver = falc.FALC(bus, 7)
    with pytest.raises(ConfigError) as told:
        driver.configure({"type": "t2"})
    assert told.value.path == "spans[6].type"
    with pytest.raises(ConfigError):
        driver.configure({"type": "e1", "crc4": "maybe"})
    bus.broken = {0x1E}
    with pytest.raises(DriverError, match=r"span 7: configure failed: register FMR2 \(1E\)"):
        driver.configure({"type": "e1", "crc4": True})


def test_watch_reads_alarms_and_what_happened_since(bus):
    driver, sender, checker = falc.FALC(bus, 1), far.E1Framer(crc4=True), far.E1Checker(crc4=True)
    driver.configure({"type": "e1", "crc4": True})
    exchange(bus, sender, checker, 20)
    base.watch_all(bus, [driver])
    (status, events), = base.watch_all(bus, [driver])
    assert status["alarms"] == [] and events == {"second": False, "slips": 0, "slips_left_out": 0, "defects": set()}
    bus.chip.second()
    for _ in range(3):
        bus.chip.receive(b"\x00" * 2560)                  # LOS that is over before the next poll
    exchange(bus, sender, checker, 20)
    (status, events), = base.watch_all(bus, [driver])
    assert status["alarms"] == [] and events["second"] and "los" in events["defects"]
    assert base.watch_all(bus, [driver])[0][1] == {"second": False, "slips": 0, "slips_left_out": 0, "defects": set()}     # clear on read
    assert driver.decode_events([0, 0x43]) == {"second": True, "slips": 2, "slips_left_out": 1, "defects": set()}
