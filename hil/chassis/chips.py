"""Models of the chips on the box's I2C buses, octet by octet as their data sheets say.

Each has write(octets) and read(count), as a chip sees them, and attributes for what the world does to it
(temperature, mains, a finger in a fan).  Sources: LM75B, EMC2305, PCA9551, 24C02/24C64, Si5345 data sheets; PMBus 1.2."""

import math
import struct
import zlib

from hil.chassis.bus import Refused


class RegisterChip:
    """Registers of one octet behind a pointer that moves on."""

    def __init__(self, values=None):
        self.registers, self.pointer = dict(values or {}), 0

    def write(self, octets):
        self.pointer = octets[0]
        for value in octets[1:]:
            self.poke(self.pointer, value)
            self.pointer = (self.pointer + 1) & 0xFF

    def read(self, count):
        values = []
        for _ in range(count):
            values.append(self.peek(self.pointer) & 0xFF)
            self.pointer = (self.pointer + 1) & 0xFF
        return bytes(values)

    def peek(self, offset):
        return self.registers.get(offset, 0)

    def poke(self, offset, value):
        self.registers[offset] = value


class LM75:
    """Temperature sensor.  celsius: what it measures; bits: 9 LM75, 12 TMP75."""

    def __init__(self, celsius=30.0, bits=9):
        self.celsius, self.bits, self.pointer = celsius, bits, 0
        self.conf, self.limits = 0, {2: 75.0, 3: 80.0}

    def _word(self, celsius):
        step = 1 << (16 - self.bits)
        return int(math.floor(celsius * 256.0 / step)) * step & 0xFFFF

    def write(self, octets):
        self.pointer = octets[0] & 3
        if self.pointer == 1 and len(octets) > 1:
            self.conf = octets[1]
        elif self.pointer in self.limits and len(octets) > 2:
            self.limits[self.pointer] = struct.unpack(">h", octets[1:3])[0] / 256.0

    def read(self, count):
        octets = bytes([self.conf]) if self.pointer == 1 else struct.pack(
            ">H", self._word(self.limits.get(self.pointer, self.celsius)))
        return (octets * count)[:count]

    @property
    def output(self):
        """Whether the overtemperature output acts."""
        return self.celsius > self.limits[3]


class EMC2305(RegisterChip):
    """Fan controller with five fans of 12,000 rpm.  blocked: fans (0..4) that stand whatever is driven.

    silent_s: seconds since the host wrote; above 4 with WD_EN the fans go to full speed."""

    FULL_RPM = 12000.0

    def __init__(self):
        super().__init__({0xFD: 0x34, 0xFE: 0x5D, 0xFF: 0x80, 0x20: 0x40,
                          **{0x32 + 0x10 * fan: 0x2B for fan in range(5)}, **{0x30 + 0x10 * fan: 0xFF for fan in range(5)}})
        self.blocked, self.silent_s, self._low = set(), 0.0, {}
        self.watch = self.full = False

    def seconds(self, seconds):
        """Time goes on without a write of the host."""
        self.silent_s += seconds
        if self.registers[0x20] & 0x20 and self.silent_s > 4.0:
            self.watch = self.full = True

    def rpm(self, fan):
        drive = 0xFF if self.full else self.registers[0x30 + 0x10 * fan]
        return 0.0 if fan in self.blocked or drive < 20 else self.FULL_RPM * drive / 255.0

    def _stalled(self):
        return sum(1 << fan for fan in range(5) if self.registers[0x30 + 0x10 * fan] >= 20 and not self.rpm(fan))

    def peek(self, offset):
        fan, part = (offset >> 4) - 3, offset & 0x0F
        if 0 <= fan < 5 and part in (0x0E, 0x0F):
            multiplier = 1 << (self.registers[0x32 + 0x10 * fan] >> 5 & 3)
            rpm = self.rpm(fan)
            count = min(0x1FFF, int(3932160 * multiplier / rpm)) if rpm else 0x1FFF
            if part == 0x0E:
                self._low[fan] = count
                return count >> 5
            return (self._low.get(fan, count) & 0x1F) << 3
        if offset == 0x25:
            return self._stalled()
        if offset == 0x24:
            value = (0x80 if self.watch else 0) | (1 if self._stalled() else 0)
            self.watch = False
            return value
        return super().peek(offset)

    def poke(self, offset, value):
        self.silent_s, self.full = 0.0, False
        if offset < 0xFD:
            super().poke(offset, value)


class PMBusSupply:
    """Power supply, 12 V.  mains_v, load_w, celsius, fan_works: the world; the rest follows."""

    pec = True
    TEXTS = {0x99: b"ACME POWER", 0x9A: b"AP-550-12", 0x9B: b"B2", 0x9E: b"AP550-00017"}
    EXPONENT = -9                # VOUT_MODE 17: 12 V is 6144

    def __init__(self, mains_v=230.0, load_w=180.0):
        self.mains_v, self.load_w, self.celsius, self.fan_works = mains_v, load_w, 38.0, True
        self.on, self.command, self.latched = True, 0, 0

    @staticmethod
    def linear11(value):
        for exponent in range(-16, 16):
            mantissa = int(round(value / 2.0 ** exponent))
            if -1024 <= mantissa < 1024:
                return (exponent & 31) << 11 | mantissa & 0x7FF
        raise ValueError(value)

    @property
    def giving(self):
        return self.on and self.mains_v >= 85.0 and self.celsius < 95.0

    def status(self):
        word = self.latched
        if self.mains_v < 85.0:
            word |= 0x2000 | 0x0008
        if self.celsius >= 95.0:
            word |= 0x0004
        if not self.fan_works:
            word |= 0x0400
        if not self.giving:
            word |= 0x0800 | 0x0040
        return word

    def write(self, octets):
        self.command = octets[0]
        if self.command == 0x03:
            self.latched = 0
        elif self.command not in (0x20, 0x79, 0x88, 0x8B, 0x8C, 0x8D, 0x90, 0x96, *self.TEXTS):
            self.latched |= 0x0002
            raise Refused()

    def read(self, count):
        output_v = 12.0 if self.giving else 0.0
        words = {0x79: self.status(), 0x88: self.linear11(self.mains_v), 0x8B: int(output_v * 2 ** -self.EXPONENT),
                 0x8C: self.linear11(self.load_w / 12.0 if self.giving else 0.0), 0x8D: self.linear11(self.celsius),
                 0x90: self.linear11(8000.0 if self.fan_works else 0.0),
                 0x96: self.linear11(self.load_w if self.giving else 0.0)}
        if self.command == 0x20:
            return bytes([self.EXPONENT & 31])
        if self.command in self.TEXTS:
            text = self.TEXTS[self.command]
            return bytes([len(text)]) + text
        return struct.pack("<H", words[self.command])[:count]


class EEPROM:
    """24Cxx.  wide: two address octets.  writes counts octets stored: a reader must leave it 0."""

    def __init__(self, content=b"", octets=256, wide=False):
        self.cells = bytearray(content.ljust(octets, b"\xff"))
        self.wide, self.pointer, self.writes = wide, 0, 0

    def write(self, octets):
        head = 2 if self.wide else 1
        self.pointer = int.from_bytes(octets[:head], "big") % len(self.cells)
        for value in octets[head:]:
            self.cells[self.pointer] = value
            self.pointer = (self.pointer + 1) % len(self.cells)
            self.writes += 1

    def read(self, count):
        got = bytes(self.cells[(self.pointer + n) % len(self.cells)] for n in range(count))
        self.pointer = (self.pointer + count) % len(self.cells)
        return got


def identity(serial="SW64-0001"):
    """Content of an identity EEPROM (ONIE TlvInfo): product, serial, MAC, version."""
    rows = ((0x21, b"Strowger 64"), (0x23, serial.encode()), (0x24, bytes.fromhex("02005e100001")), (0x26, b"\x03"),
            (0x2A, struct.pack(">H", 4)))
    body = b"".join(bytes([kind, len(value)]) + value for kind, value in rows)
    whole = b"TlvInfo\x00\x01" + struct.pack(">H", len(body) + 6) + body + b"\xfe\x04"
    return whole + struct.pack(">I", zlib.crc32(whole))


class PCA9551(RegisterChip):
    """LED driver with 8 LEDs.  pressed: pins that a button holds low (register 0 reads the pins)."""

    STATES = ("on", "off", "slow", "fast")

    def __init__(self):
        super().__init__({5: 0x55, 6: 0x55})
        self.pressed = []

    def peek(self, offset):
        return 0xFF & ~sum(1 << pin for pin in self.pressed) if offset == 0 else super().peek(offset)

    def write(self, octets):
        self.pointer = octets[0] & 0x0F
        for value in octets[1:2]:
            self.poke(self.pointer, value)

    def led(self, number):
        """What LED 0..7 does: "on", "off", "slow" (PWM0), "fast" (PWM1)."""
        return self.STATES[self.registers[5 + number // 4] >> 2 * (number % 4) & 3]

    def rate_hz(self, number):
        """Of blink register 0 or 1."""
        return 38.0 / (self.registers.get(1 + 2 * number, 0) + 1)


class Si5345(RegisterChip):
    """DPLL.  signal, in_frequency: per input.  Follows IN_SEL; holdover without a good input chosen.

    ready: whether DEVICE_READY says so; crystal: whether there is one."""

    def __init__(self):
        super().__init__({0x0002: 0x45, 0x0003: 0x53, 0x052A: 0x00, 0x0536: 0x01})
        self.page, self.signal, self.in_frequency = 0, [True] * 4, [True] * 4
        self.ready, self.crystal, self.history = True, True, True

    @property
    def following(self):
        """The input that the loop follows, or None in holdover."""
        number = self.registers[0x052A] >> 1 & 3
        if self.registers.get(0x0535, 0) & 1 or not (self.signal[number] and self.in_frequency[number]):
            return None
        return number

    def peek(self, offset):
        if offset == 0xFE:
            return 0x0F if self.ready else 0xF3
        address = self.page << 8 | offset
        hold = self.following is None
        if address == 0x000C:
            return 0 if self.crystal else 0x02
        if address == 0x000D:
            return sum((not self.signal[n]) << n | (not self.in_frequency[n]) << n + 4 for n in range(4))
        if address == 0x000E:
            return (0x22 if hold else 0) if self.crystal else 0x22
        if address == 0x053F:
            return 0x02 if self.history else 0
        return self.page if offset == 1 else self.registers.get(address, 0)

    def poke(self, offset, value):
        if offset == 1:
            self.page = value
        else:
            self.registers[self.page << 8 | offset] = value
