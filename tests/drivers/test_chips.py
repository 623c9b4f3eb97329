"""The chip drivers on the emulated bus, sound and with faults; the bus itself against smbus2's calls."""

import inspect
import struct

import pytest
import smbus2
from hypothesis import given
from hypothesis import strategies as st

from drivers import eeprom, pmbus_regs
from drivers.clock import DPLL
from drivers.eeprom import IdentityEEPROM
from drivers.fan import FanController
from drivers.i2c import RETRIES, Device
from drivers.led import LEDs
from drivers.psu import PowerSupply
from drivers.thermal import TemperatureSensor, from_celsius, to_celsius
from drivers.watchdog import KEEPALIVE, SETTIMEOUT, Watchdog
from firmware.errors import ConfigError, DriverError, LocalError
from hil.chassis import chips
from hil.chassis.bus import Bus, pec


def test_the_bus_has_the_calls_of_smbus2():
    for name in ("read_byte", "write_byte", "read_byte_data", "write_byte_data", "read_word_data", "write_word_data",
                 "read_block_data", "write_block_data", "read_i2c_block_data", "write_i2c_block_data"):
        real, ours = (inspect.signature(getattr(kind, name)).parameters for kind in (smbus2.SMBus, Bus))
        assert list(real) == list(ours), name
    assert pec(b"123456789") == 0xF4           # CRC-8, polynomial 07: the check value of every catalogue


# LM75B data sheet table 7 and TMP102 data sheet table 8-2: degrees and their codes
@pytest.mark.parametrize("word, bits, celsius", [
    (0x7D00, 9, 125.0), (0x1900, 9, 25.0), (0x0080, 9, 0.5), (0x0000, 9, 0.0), (0xFF80, 9, -0.5), (0xE700, 9, -25.0),
    (0xC900, 9, -55.0), (0x7FF0, 12, 127.9375), (0x1900, 12, 25.0), (0x0040, 12, 0.25), (0xFFC0, 12, -0.25), (0xE700, 12, -25.0)])
def test_temperatures_as_in_the_data_sheets(word, bits, celsius):
    assert to_celsius(word, bits) == celsius and from_celsius(celsius, bits) == word


def test_temperature_sensor():
    bus = Bus({0x48: chips.LM75(31.6), 0x49: chips.LM75(-12.3, bits=12)})
    sensor = TemperatureSensor(bus, 0x48)
    sensor.configure(70.0)
    assert sensor.celsius() == 31.5 and bus.chips[0x48].limits == {2: 65.0, 3: 70.0}
    assert TemperatureSensor(bus, 0x49, "tmp75", "inlet").celsius() == pytest.approx(-12.3, abs=0.0625)
    bus.fault(0x48, "garbage")
    assert sensor.celsius() == -0.5            # all ones is a temperature: only configure() can tell
    with pytest.raises(DriverError, match="no sensor of this kind"):
        sensor.configure(70.0)
    bus.chips[0x48].celsius = -99.0
    bus.fault(0x48, None)
    with pytest.raises(DriverError, match="beyond what the part measures"):
        sensor.celsius()


def test_faults_of_the_bus_say_what_and_where():
    bus = Bus({0x48: chips.LM75()})
    with pytest.raises(DriverError, match="temperature sensor inlet: read TEMP failed: nothing answers at address 4F"):
        TemperatureSensor(bus, 0x4F, "lm75", "inlet").celsius()
    bus.stuck = True
    with pytest.raises(DriverError, match="the bus is stuck"):
        TemperatureSensor(bus, 0x48).celsius()
    bus.stuck = False
    assert TemperatureSensor(bus, 0x48).celsius() == 30.0


def test_a_disturbed_transfer_is_repeated_and_then_told():
    bus = Bus({0x58: chips.PMBusSupply()})
    supply = PowerSupply(bus, 0x58, 1)
    bus.fault(0x58, "wrong_pec", RETRIES)
    assert supply.present() and bus.transfers == RETRIES + 1
    bus.fault(0x58, "wrong_pec")
    with pytest.raises(DriverError, match=r"power supply 1: .* \(PEC\) of address 58 was wrong each time"):
        supply.status()
    assert Device(bus, 0x58, "x").bus.pec == 1                         # the next chip without PEC switches it off
    bus.chips[0x48] = chips.LM75()
    assert TemperatureSensor(bus, 0x48).celsius() == 30.0 and bus.pec == 0


# PMBus part II 7.1: mantissa times 2^exponent, by hand
@pytest.mark.parametrize("word, value", [(0xE0E6, 14.375), (0x0001, 1.0), (0x07FF, -1.0), (0xF803, 1.5),
                                         (0x0BFF, 2046.0), (0xD300, 12.0), (0xCC00, -8.0)])
def test_linear11(word, value):
    assert pmbus_regs.linear11(word) == value


@given(st.floats(-30000, 30000))
def test_linear11_round_trip(value):
    assert pmbus_regs.linear11(pmbus_regs.to_linear11(value)) == pytest.approx(value, rel=1 / 1000, abs=2 ** -17)


def test_power_supply():
    bus = Bus({0x58: chips.PMBusSupply()})
    supply = PowerSupply(bus, 0x58, 1)
    assert supply.identity() == {"maker": "ACME POWER", "model": "AP-550-12", "revision": "B2", "serial": "AP550-00017"}
    assert supply.status() == {
        "present": True, "ok": True, "faults": [], "output_v": 12.0, "input_v": 230.0, "output_a": 15.0,
        "output_w": 180.0, "temperature_c": 38.0, "fan_rpm": 8000.0}     # READ_IIN and READ_PIN it does not have
    bus.chips[0x58].mains_v = 0.0
    status = supply.status()
    assert status["faults"] == ["no or low mains"] and not status["ok"] and status["output_v"] == 0.0
    bus.chips[0x58].mains_v, bus.chips[0x58].fan_works = 230.0, False
    assert supply.status()["faults"] == ["its fan fails"]
    pulled = bus.chips.pop(0x58)
    assert supply.status() == {"present": False, "ok": False, "faults": ["not in its slot"]}
    bus.chips[0x58] = pulled
    pulled.fan_works = True
    supply.clear_faults()
    assert supply.status()["ok"]
    bus.stuck = True
    with pytest.raises(DriverError, match="stuck"):
        supply.status()


def test_fan_controller():
    bus = Bus({0x4D: chips.EMC2305()})
    fans = FanController(bus, 0x4D, 4)
    fans.configure()
    assert fans.identify() == {"chip": "EMC2305", "fans": 4}
    fans.drive(50)
    rows, fired = fans.status()
    assert not fired and [row["failed"] for row in rows] == [False] * 4
    assert rows[0]["rpm"] == pytest.approx(6000, rel=0.01)
    bus.chips[0x4D].blocked = {2}
    assert [row["failed"] for row in fans.status()[0]] == [False, False, True, False]
    bus.chips[0x4D].blocked = set()
    bus.chips[0x4D].seconds(5)                                           # the host hangs
    assert bus.chips[0x4D].rpm(0) == 12000
    rows, fired = fans.status()
    assert fired and rows[0]["rpm"] == pytest.approx(12000, rel=0.01)
    bus.chips[0x4D].registers[0xFE] = 0x11
    with pytest.raises(DriverError, match="identity 11 34 is no EMC230x"):
        fans.identify()
    with pytest.raises(LocalError, match="0 to 100"):
        fans.drive(101)


@pytest.mark.parametrize("octets, wide", [(256, False), (8192, True)])
def test_identity_eeprom_is_read_and_never_written(octets, wide):
    model = chips.EEPROM(chips.identity(), octets, wide)
    identity = IdentityEEPROM(Bus({0x50: model}), 0x50, octets, wide).identity()
    assert identity == {"product": "Strowger 64", "serial": "SW64-0001", "mac": "02:00:5e:10:00:01", "version": 3, "macs": 4}
    assert model.writes == 0
    assert eeprom.build(identity) == chips.identity()                     # two writers, one format


@pytest.mark.parametrize("content, sentence", [
    (b"", "it is blank"), (b"\x00" * 256, "it is blank"), (b"IPMI FRU is another format", "holds something else"),
    (chips.identity()[:-1] + b"\x00", "check sum is wrong"), (chips.identity()[:9] + b"\x7f\xff" + chips.identity()[11:], "the part has"),
    (chips.identity().replace(b"SW64", b"SW65"), "check sum is wrong"), (b"TlvInfo\x00\x02" + bytes(20), "has version 2")])
def test_a_garbage_eeprom_is_told(content, sentence):
    with pytest.raises(DriverError, match="identity EEPROM: read the identity failed: .*" + sentence):
        IdentityEEPROM(Bus({0x50: chips.EEPROM(content)}), 0x50, 256, False).identity()


@given(st.binary(max_size=300), st.integers(0, 80), st.integers(0, 255))
def test_no_octets_break_the_identity_parser(noise, place, value):
    damaged = bytearray(chips.identity())
    damaged[place % len(damaged)] = value
    for octets in (noise, bytes(damaged), eeprom.MAGIC + b"\x01" + noise):
        try:
            assert "serial" in eeprom.parse(octets)
        except ValueError as error:
            assert str(error)


def test_leds():
    model = chips.PCA9551()
    bus = Bus({0x60: model})
    leds = LEDs(bus, 0x60, ["status", "alarm_major", "alarm_minor", "clock", "psu1", "psu2", "fan", None])
    leds.configure()
    assert model.rate_hz(0) == pytest.approx(0.5, rel=0.02) and model.rate_hz(1) == pytest.approx(2, rel=0.02)
    leds.show({"status": "on", "alarm_major": "fast", "clock": "slow", "fan": "on"})
    assert [model.led(n) for n in range(8)] == ["on", "fast", "off", "slow", "off", "off", "on", "off"]
    poked = []
    model.poke = lambda offset, value, poke=model.poke: (poked.append(offset), poke(offset, value))
    leds.show({"status": "on", "fan": "on"})
    assert poked == []                                                   # nothing changed, nothing written
    model.registers[5] = 0x55                                            # the chip was reset
    leds.show({})
    assert poked == [5] and model.led(0) == "on"
    with pytest.raises(LocalError, match="LED 'power'"):
        leds.show({"power": "on"})
    with pytest.raises(ConfigError, match="has 8 LEDs, 9"):
        LEDs(bus, 0x60, list("abcdefghi"))


def test_dpll():
    model = chips.Si5345()
    bus = Bus({0x68: model})
    dpll = DPLL(bus, 0x68)
    dpll.configure()
    assert model.registers[0x0536] & 7 == 4 and model.registers[0x052A] & 1     # by register, without a phase step
    dpll.select(2)
    assert model.following == 2
    status = dpll.status()
    assert status["locked"] and status["selected"] == 2 and not status["holdover"] and not status["faults"]
    model.signal[2] = False
    model.in_frequency[3] = False
    status = dpll.status()
    assert not status["locked"] and status["holdover"] and status["history"]
    assert status["inputs"][2] == {"signal": False, "in_frequency": True} and not status["inputs"][3]["in_frequency"]
    dpll.select(0)
    assert dpll.status()["locked"]
    dpll.select(None)
    assert dpll.status()["holdover"] and dpll.status()["forced"]
    model.page = 9                                                        # somebody else, or a reset of the chip
    bus.stuck = True
    with pytest.raises(DriverError, match="DPLL"):
        dpll.status()
    bus.stuck = False
    assert dpll.status()["holdover"]                                      # the page is chosen anew after a fault
    model.ready = False
    with pytest.raises(DriverError, match="it is not"):
        dpll.identify()
    model.ready, model.registers[0x0003] = True, 0x12
    with pytest.raises(DriverError, match="part number 1245 is no Si5345"):
        dpll.identify()


def test_configuring_a_running_dpll_writes_nothing():
    bus = Bus({0x68: chips.Si5345()})
    DPLL(bus, 0x68).configure()
    before = dict(bus.chips[0x68].registers)
    poked = []
    bus.chips[0x68].poke = lambda offset, value, poke=bus.chips[0x68].poke: (
        poked.append(offset) if offset != 1 else None, poke(offset, value))
    DPLL(bus, 0x68).configure()
    assert bus.chips[0x68].registers == before and poked == []


def test_watchdog():
    asked = []

    def ioctl(descriptor, request, octets):
        asked.append((request, struct.unpack("i", octets)[0]))
        if request == SETTIMEOUT:
            return struct.pack("i", 60)                                   # the hardware rounds
        if request == 0x80045702:
            raise OSError(25, "Inappropriate ioctl for device")
        return octets
    watchdog = Watchdog(7, ioctl)
    assert watchdog.configure(45) == 60 and asked == [(SETTIMEOUT, 45)]
    watchdog.feed()
    assert asked[-1][0] == KEEPALIVE and watchdog.fired() is False
