"""Registers of the fan controllers EMC2301, EMC2302, EMC2303 and EMC2305 (Microchip).

Sources: data sheet EMC2301/2/3/5 (DS20006532), table 5-1 and 5-2; offsets, identities and the tachometer formula
checked in Linux drivers/hwmon/emc2305.c.  Fan n (0..4) has its registers 0x10 * n above those of fan 0."""

from drivers.registers import Field, Register

CONFIG = Register("CONFIG", 0x20, "configuration", (
    Field("MASK", 0x80, "no alert output"),
    Field("DIS_TO", 0x40, "1: no SMBus time-out"),
    Field("WD_EN", 0x20, "1: full speed when the host writes nothing for 4 s"),
    Field("DRECK", 0x02, "clock output"),
    Field("USECK", 0x01, "external clock")))
FAN_STATUS = Register("FAN_STATUS", 0x24, "summary", (
    Field("WATCH", 0x80, "the host watchdog has expired; read clears it"),
    Field("DVFAIL", 0x04, "a fan does not reach its speed"),
    Field("FNSPIN", 0x02, "a fan did not spin up"),
    Field("FNSTL", 0x01, "a fan stands")))
FAN_STALL = Register("FAN_STALL", 0x25, "which fans stand, bit n is fan n")
FAN_SPIN = Register("FAN_SPIN", 0x26, "which did not spin up")
DRIVE_FAIL = Register("DRIVE_FAIL", 0x27, "which do not reach their speed")
PRODUCT = Register("PRODUCT", 0xFD, "product identity")
VENDOR = Register("VENDOR", 0xFE, "manufacturer: 5D")

PRODUCTS = {0x34: ("EMC2305", 5), 0x35: ("EMC2303", 3), 0x36: ("EMC2302", 2), 0x37: ("EMC2301", 1)}   # name, fans
MANUFACTURER = 0x5D


def setting(fan):
    """Drive of a fan, 255 is full speed."""
    return Register("FAN%d_SETTING" % (fan + 1), 0x30 + 0x10 * fan, "drive, 255 is full")


def config1(fan):
    """Configuration 1 of a fan."""
    return Register("FAN%d_CONFIG1" % (fan + 1), 0x32 + 0x10 * fan, "configuration 1", (
        Field("ENAG", 0x80, "1: the chip controls the speed, 0: the host sets the drive"),
        Field("RNG", 0x60, "tachometer range: count is multiplied by 1, 2, 4, 8"),
        Field("EDG", 0x18, "edges of a turn: 0 3, 1 5, 2 7, 3 9"),
        Field("UDT", 0x07, "update time")))


def minimum(fan):
    """Least drive of a fan."""
    return Register("FAN%d_MIN_DRIVE" % (fan + 1), 0x38 + 0x10 * fan, "least drive in speed control")


def tach_high(fan):
    """Tachometer count, bits 12 to 5."""
    return Register("TACH%d_HIGH" % (fan + 1), 0x3E + 0x10 * fan, "count, bits 12 to 5")


def tach_low(fan):
    """Tachometer count, bits 4 to 0 in the upper five bits."""
    return Register("TACH%d_LOW" % (fan + 1), 0x3F + 0x10 * fan, "count", (Field("COUNT", 0xF8, "bits 4 to 0"),))


RPM_FACTOR = 3932160     # data sheet equation 4-2, for a fan whose edges are 2 * poles + 1; times the RNG multiplier
COUNT_STANDS = 0x1FFF    # the counter's end: no turn was seen
