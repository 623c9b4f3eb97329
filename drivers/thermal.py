"""Temperature sensors: LM75 and those that are read alike (TMP75, TMP1075, TMP102, TMP112).

Registers have two octets, the more significant first (an SMBus word is the other way round).  Sources: data sheets
LM75B (NXP, 7.4), TMP102 (TI SBOS397), TMP1075 (TI SBOS854); Linux drivers/hwmon/lm75.c for the resolutions."""

from drivers.i2c import Device
from drivers.registers import Field, Register
from firmware.errors import DriverError, LocalError

TEMP = Register("TEMP", 0x00, "temperature, two's complement, left-aligned", octets=2)
CONF = Register("CONF", 0x01, "configuration, LM75 layout", (
    Field("QUEUE", 0x18, "faults in a row before the output acts"),
    Field("POLARITY", 0x04, "1: output active high"),
    Field("INTERRUPT", 0x02, "1: interrupt, 0: comparator"),
    Field("SHUTDOWN", 0x01, "1: no conversions")))
THYST = Register("THYST", 0x02, "the overtemperature output ends below", octets=2)
TOS = Register("TOS", 0x03, "the overtemperature output acts above", octets=2)

CHIPS = {"lm75": 9, "tmp75": 12, "tmp1075": 12, "tmp102": 12, "tmp112": 12}     # chip: bits of a temperature
PLAUSIBLE_C = (-55.0, 150.0)     # what the parts are specified for, with TMP112's 150


def swap(word):
    """Exchange the octets of a word."""
    return (word >> 8 | word << 8) & 0xFFFF


def to_celsius(word, bits):
    """Degrees Celsius of a register word, more significant octet first, with `bits` significant bits."""
    word &= 0xFFFF << (16 - bits)
    return (word - 0x10000 if word & 0x8000 else word) / 256.0


def from_celsius(celsius, bits):
    """The register word of a temperature; inverse of to_celsius within the resolution."""
    step = 1 << (16 - bits)
    return int(round(celsius * 256.0 / step)) * step & 0xFFFF


class TemperatureSensor(Device):
    """bus: smbus2 interface; chip: one of CHIPS; place: what it measures ("board", "inlet")."""

    def __init__(self, bus, address, chip="lm75", place="board"):
        if chip not in CHIPS:
            raise LocalError("there is no driver for the sensor %r, use one of %s" % (chip, ", ".join(CHIPS)))
        super().__init__(bus, address, "temperature sensor " + place)
        self.bits, self.place, self.chip = CHIPS[chip], place, chip

    def _read(self, register):
        return to_celsius(swap(self.get(register)), self.bits)

    def configure(self, limit_c, hysteresis_c=5.0):
        """Set the overtemperature output, which cuts the supply by hardware, and wake the part."""
        self.put(TOS, swap(from_celsius(limit_c, 9)))
        self.put(THYST, swap(from_celsius(limit_c - hysteresis_c, 9)))
        if self.chip in ("lm75", "tmp75", "tmp1075"):       # CONF of TMP102 and TMP112 has two octets, awake at power on
            self.change(CONF, SHUTDOWN=0, INTERRUPT=0)
        got = self._read(TOS)
        if abs(got - limit_c) > 0.5:
            raise DriverError(self.name, "configure", "the limit reads %.1f C after %.1f C was written: "
                              "no sensor of this kind, or a failed one" % (got, limit_c))

    def celsius(self):
        """Degrees Celsius now.  Raises DriverError also for a value that the part cannot have."""
        value = self._read(TEMP)
        if not PLAUSIBLE_C[0] <= value <= PLAUSIBLE_C[1]:
            raise DriverError(self.name, "read", "%.1f C is beyond what the part measures: it has failed" % value)
        return value
