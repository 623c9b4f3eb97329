"""An emulated I2C bus: octets to chip models and back, with the calls of smbus2.SMBus and faults on demand.

The chips see what real ones see, octets written and octets read, and the bus adds and checks the SMBus packet error code
(PEC) itself.  Faults, per address: "nack" (no answer), "wrong_pec" (the next n answers carry a wrong PEC), "garbage"
(the answer is FF); for the whole bus: stuck.  Errors are those of Linux: OSError with ENXIO, ETIMEDOUT, EBADMSG.
Source: SMBus 3.1, 6.4 (PEC, x8 + x2 + x + 1) and 6.5 (protocols)."""

import errno
import os
import threading


def pec(octets):
    """SMBus packet error code of octets, address octets included."""
    crc = 0
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def _error(number):
    return OSError(number, os.strerror(number))


class Bus:
    """chips: {address: chip}; a chip has write(octets), which may raise Refused, and read(count) -> octets.

    A chip with pec = True answers and wants a PEC when the master uses it (bus.pec = 1)."""

    def __init__(self, chips=()):
        self.chips = dict(chips)
        self.stuck, self.faults, self.pec, self.transfers = False, {}, 0, 0
        self.lock = threading.RLock()

    # -- faults --

    def fault(self, address, kind, count=None):
        """Set a fault: kind "nack", "wrong_pec", "garbage", or None to end it; count: transfers, None for ever."""
        with self.lock:
            if kind is None:
                self.faults.pop(address, None)
            else:
                self.faults[address] = [kind, count]

    def _faulty(self, address, kind):
        row = self.faults.get(address)
        if not row or row[0] != kind:
            return False
        if row[1] is not None:
            row[1] -= 1
            if row[1] <= 0:
                del self.faults[address]
        return True

    # -- the wire --

    def _transfer(self, address, written, count=0, block=False):
        """One transfer: write, then with count read after a repeated start.  Returns the octets read."""
        with self.lock:
            self.transfers += 1
            if self.stuck:
                raise _error(errno.ETIMEDOUT)
            chip = self.chips.get(address)
            if chip is None or self._faulty(address, "nack"):
                raise _error(errno.ENXIO)
            with_pec = bool(self.pec)
            try:
                if written is not None:
                    chip.write(bytes(written))
                got = bytes(chip.read(count)) if count else b""
            except Refused:
                raise _error(errno.ENXIO) from None
            if self._faulty(address, "garbage"):
                got = b"\xff" * len(got)
            if block:
                if not got or got[0] > 32 or got[0] == 0 or len(got) < got[0] + 1:
                    raise _error(errno.EPROTO)
                got = got[:got[0] + 1]
            if with_pec:
                whole = bytes([address << 1]) + bytes(written or b"") + (bytes([address << 1 | 1]) + got if count else b"")
                sent = pec(whole) if getattr(chip, "pec", False) else 0xFF
                if self._faulty(address, "wrong_pec"):
                    sent ^= 0x5A
                if count and sent != pec(whole):
                    raise _error(errno.EBADMSG)
            return got

    # -- smbus2 --

    def read_byte(self, i2c_addr, force=None):
        return self._transfer(i2c_addr, None, 1)[0]

    def write_byte(self, i2c_addr, value, force=None):
        self._transfer(i2c_addr, [value])

    def read_byte_data(self, i2c_addr, register, force=None):
        return self._transfer(i2c_addr, [register], 1)[0]

    def write_byte_data(self, i2c_addr, register, value, force=None):
        self._transfer(i2c_addr, [register, value])

    def read_word_data(self, i2c_addr, register, force=None):
        got = self._transfer(i2c_addr, [register], 2)
        return got[0] | got[1] << 8

    def write_word_data(self, i2c_addr, register, value, force=None):
        self._transfer(i2c_addr, [register, value & 0xFF, value >> 8])

    def read_block_data(self, i2c_addr, register, force=None):
        return list(self._transfer(i2c_addr, [register], 33, block=True)[1:])

    def write_block_data(self, i2c_addr, register, data, force=None):
        self._transfer(i2c_addr, [register, len(data), *data])

    def read_i2c_block_data(self, i2c_addr, register, length, force=None):
        return list(self._transfer(i2c_addr, [register], length))

    def write_i2c_block_data(self, i2c_addr, register, data, force=None):
        self._transfer(i2c_addr, [register, *data])

    def close(self):
        """Nothing to close."""


class Refused(Exception):
    """A chip that answers with a NACK to what was written."""
