"""The board's identity in a 24Cxx EEPROM, in the ONIE TlvInfo format.

Read only: this module has no way to write the part, and what it sends to read cannot become a write.  A part with
one address octet (24C01 to 24C16) is read by "address, repeated start, read"; one with two (24C32 and above) by
sending both address octets, which sets the pointer and holds no data, and then reading.  The second on a part of the
first kind would write one octet: the board description says which it is, and `wide` has no default.

Format: "TlvInfo", 0, version 1, length (2, high first), then type, length, value; the last is CRC-32 (type FE) over
everything before its value.  Source: ONIE design specification, "TlvInfo EEPROM format"; Linux
drivers/nvmem/layouts/onie-tlv.c reads the same."""

import struct
import zlib

from drivers.i2c import Device
from firmware.errors import DriverError, LocalError

MAGIC = b"TlvInfo\x00"
OCTETS_MAX = 2048
CRC = 0xFE
# type: name, kind
TYPES = {0x21: ("product", "text"), 0x22: ("part_number", "text"), 0x23: ("serial", "text"), 0x24: ("mac", "mac"),
         0x25: ("made", "text"), 0x26: ("version", "octet"), 0x27: ("label_revision", "text"), 0x28: ("platform", "text"),
         0x2A: ("macs", "word"), 0x2B: ("manufacturer", "text"), 0x2C: ("country", "text"), 0x2D: ("vendor", "text"),
         0x2E: ("diagnostic_version", "text"), 0x2F: ("service_tag", "text")}
NUMBERS = {name: (number, kind) for number, (name, kind) in TYPES.items()}


def _value(name, kind, octets):
    if kind == "mac" and len(octets) == 6:
        return ":".join("%02x" % octet for octet in octets)
    if kind == "octet" and len(octets) == 1:
        return octets[0]
    if kind == "word" and len(octets) == 2:
        return octets[0] << 8 | octets[1]
    if kind == "text" and octets.isascii() and octets.decode("ascii").isprintable():
        return octets.decode("ascii")
    raise ValueError("%s cannot be read" % name)


def parse(octets):
    """The identity of a board: {"serial", "product", "mac", ...}; unknown entries are left out.

    octets: what the EEPROM holds, from its start.  Raises ValueError with what is wrong."""
    if len(octets) < 11 or octets[:8] != MAGIC:
        blank = not octets.strip(b"\xff") or not octets.strip(b"\x00")
        raise ValueError("it is blank" if blank else "it does not begin with TlvInfo: it holds something else")
    if octets[8] != 1:
        raise ValueError("its format has version %d, this firmware knows 1" % octets[8])
    length = octets[9] << 8 | octets[10]
    end = 11 + length
    if length < 6 or end > min(len(octets), OCTETS_MAX):
        raise ValueError("it claims %d octets, there are %d" % (length, len(octets) - 11))
    if octets[end - 6:end - 4] != bytes([CRC, 4]):
        raise ValueError("its last entry is no CRC-32")
    if struct.unpack(">I", octets[end - 4:end])[0] != zlib.crc32(octets[:end - 4]):
        raise ValueError("its check sum is wrong: the part is damaged or was written in part")
    identity, place = {}, 11
    while place < end - 6:
        kind, count = octets[place], octets[place + 1]
        if place + 2 + count > end - 6:
            raise ValueError("entry %02X leaves the block" % kind)
        if kind in TYPES:
            name, form = TYPES[kind]
            identity[name] = _value(name, form, octets[place + 2:place + 2 + count])
        place += 2 + count
    if "serial" not in identity:
        raise ValueError("it has no serial number")
    return identity


def build(identity):
    """The octets of an identity, for the factory's programmer and the tests.  Inverse of parse()."""
    body = b""
    for name, value in sorted(identity.items(), key=lambda item: NUMBERS[item[0]][0]):
        number, kind = NUMBERS[name]
        octets = {"mac": lambda v: bytes.fromhex(v.replace(":", "")), "octet": lambda v: bytes([v]),
                  "word": lambda v: struct.pack(">H", v), "text": lambda v: v.encode("ascii")}[kind](value)
        if len(octets) > 255:
            raise LocalError("%s is too long for an entry: 255 octets" % name)
        body += bytes([number, len(octets)]) + octets
    whole = MAGIC + b"\x01" + struct.pack(">H", len(body) + 6) + body + bytes([CRC, 4])
    return whole + struct.pack(">I", zlib.crc32(whole))


class IdentityEEPROM(Device):
    """bus: smbus2 interface; octets: size of the part; wide: two address octets (24C32 and above)."""

    def __init__(self, bus, address, octets, wide):
        super().__init__(bus, address, "identity EEPROM")
        self.octets, self.wide = octets, wide

    def read(self, offset, count):
        """count octets from offset.  Raises DriverError."""
        if offset < 0 or count < 0 or offset + count > self.octets:
            raise LocalError("the EEPROM has %d octets, not %d" % (self.octets, offset + count))
        got = b""
        while len(got) < count:
            at = offset + len(got)
            if self.wide:
                with self.together():
                    self.call("read", "write_byte_data", at >> 8, at & 0xFF)
                    got += bytes(self.call("read", "read_byte") for _ in range(min(32, count - len(got))))
            else:
                more = self.call("read", "read_i2c_block_data", at, min(32, count - len(got)))
                if not more:
                    raise DriverError(self.name, "read", "it gives nothing")
                got += bytes(more)
        return got

    def identity(self):
        """As parse().  Raises DriverError that says what the part holds instead."""
        head = self.read(0, 11)
        length = (head[9] << 8 | head[10]) if head[:8] == MAGIC else 0
        try:
            if length > min(self.octets, OCTETS_MAX) - 11:
                raise ValueError("it claims %d octets, the part has %d" % (length, self.octets))
            return parse(head + self.read(11, length))
        except ValueError as error:
            raise DriverError(self.name, "read the identity", "%s; the box works, its serial number is not known"
                              % error) from error
