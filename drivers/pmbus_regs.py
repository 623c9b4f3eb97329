"""PMBus commands that a power supply of the box answers, and the two number formats.

Source: PMBus Power System Management Protocol Specification 1.2, part II: 7.1 (LINEAR11), 8.3.1 (LINEAR16), 17 (status),
18 (readings), appendix I (command codes); checked in Linux drivers/hwmon/pmbus/pmbus.h."""

from drivers.registers import Field, Register

CLEAR_FAULTS = 0x03      # a command without data
VOUT_MODE = Register("VOUT_MODE", 0x20, "how output voltages are coded", (
    Field("MODE", 0xE0, "0: LINEAR16"),
    Field("EXPONENT", 0x1F, "two's complement")))
STATUS_WORD = Register("STATUS_WORD", 0x79, "what is wrong", (
    Field("VOUT", 0x8000, "output voltage"),
    Field("IOUT_POUT", 0x4000, "output current or power"),
    Field("INPUT", 0x2000, "input voltage, current or power"),
    Field("MFR", 0x1000, "the manufacturer's own"),
    Field("POWER_GOOD_N", 0x0800, "output is not good"),
    Field("FANS", 0x0400, "a fan of the supply"),
    Field("OTHER", 0x0200, "see STATUS_OTHER"),
    Field("UNKNOWN", 0x0100, "a fault without a name"),
    Field("BUSY", 0x0080, "was busy and could not answer"),
    Field("OFF", 0x0040, "gives no power"),
    Field("VOUT_OV", 0x0020, "output overvoltage"),
    Field("IOUT_OC", 0x0010, "output overcurrent"),
    Field("VIN_UV", 0x0008, "input undervoltage"),
    Field("TEMPERATURE", 0x0004, "too hot"),
    Field("CML", 0x0002, "communication, memory or logic"),
    Field("NONE_OF_THE_ABOVE", 0x0001, "another fault")), octets=2)
READ_VIN = Register("READ_VIN", 0x88, "input V, LINEAR11", octets=2)
READ_IIN = Register("READ_IIN", 0x89, "input A, LINEAR11", octets=2)
READ_VOUT = Register("READ_VOUT", 0x8B, "output V, LINEAR16", octets=2)
READ_IOUT = Register("READ_IOUT", 0x8C, "output A, LINEAR11", octets=2)
READ_TEMPERATURE_1 = Register("READ_TEMPERATURE_1", 0x8D, "C, LINEAR11", octets=2)
READ_FAN_SPEED_1 = Register("READ_FAN_SPEED_1", 0x90, "rpm, LINEAR11", octets=2)
READ_POUT = Register("READ_POUT", 0x96, "output W, LINEAR11", octets=2)
READ_PIN = Register("READ_PIN", 0x97, "input W, LINEAR11", octets=2)
MFR_ID, MFR_MODEL, MFR_REVISION, MFR_SERIAL = 0x99, 0x9A, 0x9B, 0x9E     # blocks of text


def linear11(word):
    """The number of a LINEAR11 word: 5 bits exponent, 11 bits mantissa, both two's complement.  Part II 7.1."""
    exponent, mantissa = word >> 11 & 0x1F, word & 0x7FF
    exponent -= 32 if exponent & 0x10 else 0
    mantissa -= 2048 if mantissa & 0x400 else 0
    return mantissa * 2.0 ** exponent


def to_linear11(value):
    """The most exact LINEAR11 word of a number.  Raises OverflowError beyond its range."""
    for exponent in range(-16, 16):
        mantissa = round(value / 2.0 ** exponent)
        if -1024 <= mantissa <= 1023:
            return (exponent & 0x1F) << 11 | mantissa & 0x7FF
    raise OverflowError("%r does not fit LINEAR11" % (value,))


def linear16(word, mode):
    """Volt of a LINEAR16 word with the exponent of VOUT_MODE (octet).  Part II 8.3.1."""
    exponent = mode & 0x1F
    return word * 2.0 ** (exponent - 32 if exponent & 0x10 else exponent)
