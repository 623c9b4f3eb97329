"""One chip on an I2C bus, and what it means when it does not answer.

The bus is opened by somebody else and has the calls of smbus2.SMBus; the drivers of this folder add what a chip
means.  Device is also a bus for drivers.registers.Page, so a chip's registers are declared as those of a framer:

    FAN_SETTING = Register("FAN1_SETTING", 0x30, "drive, 255 is full")
    device.get(FAN_SETTING), device.put(FAN_SETTING, 128), device.fields(FAN_STATUS)

Errors: DriverError with the chip's name, what was tried, and a sentence of what to look at.  A transfer that was
disturbed (PEC, arbitration) is tried RETRIES times more; an absent chip and a stuck bus are told at once.
Sources: errno values as in Linux Documentation/i2c/fault-codes.rst; SMBus 3.1 6.5 (PEC)."""

import contextlib
import errno
import threading
import weakref

from drivers.registers import READ
from firmware.errors import DriverError

RETRIES = 2              # invented: a disturbed transfer is rare, three in a row are a fault
DISTURBED = (errno.EBADMSG, errno.EAGAIN)
SENTENCES = {
    errno.ENXIO: "nothing answers at address %02X: the part is missing, has no power, or the board description names a wrong address",
    errno.ETIMEDOUT: "the bus is stuck: a part holds its data or clock line (address asked: %02X)",
    errno.EBADMSG: "the check octet (PEC) of address %02X was wrong each time: a disturbed or overloaded bus",
    errno.EAGAIN: "the bus was never free for address %02X: another master, or a part that holds a line",
    errno.EPROTO: "the answer of address %02X breaks the SMBus rules: another part than the board description says",
}
SENTENCES[errno.EREMOTEIO] = SENTENCES[errno.ENXIO]

_locks = weakref.WeakKeyDictionary()     # bus -> lock: a PEC switch and a page register belong to the transfer after them


class Device:
    """A chip.  bus: smbus2 interface; address: 7 bits; name: for people ("fan controller"); pec: SMBus PEC on."""

    def __init__(self, bus, address, name, pec=False):
        self.bus, self.address, self.name, self.pec = bus, address, name, bool(pec)
        self._lock = _locks.setdefault(bus, threading.RLock())

    @contextlib.contextmanager
    def together(self):
        """Nobody else on the bus between the transfers of the block."""
        with self._lock:
            yield

    def call(self, operation, function, *arguments):
        """bus.<function>(address, *arguments); operation: for the error."""
        with self._lock:
            for left in range(RETRIES, -1, -1):
                try:
                    if bool(getattr(self.bus, "pec", False)) != self.pec:
                        self.bus.pec = self.pec
                    return getattr(self.bus, function)(self.address, *arguments)
                except OSError as error:
                    if left and error.errno in DISTURBED:
                        continue
                    sentence = SENTENCES.get(error.errno)
                    raise DriverError(self.name, operation, sentence % self.address if sentence else
                                      "address %02X: %s" % (self.address, error.strerror or error)) from error

    def get(self, register):
        """Value of a register of one octet, or of two, low octet first."""
        function = "read_byte_data" if register.octets == 1 else "read_word_data"
        return self.call("read " + register.name, function, register.offset)

    def put(self, register, value):
        """Write a register of one or two octets."""
        function = "write_byte_data" if register.octets == 1 else "write_word_data"
        self.call("write " + register.name, function, register.offset, value)

    def fields(self, register):
        """{field: value} of a register, read now."""
        return register.decode(self.get(register))

    def change(self, register, **fields):
        """Change the named fields only; bits that have no name stay as read."""
        with self._lock:
            self.put(register, register.encode(self.get(register), **fields))

    def batch(self, requests):
        """As a request ring's, so that drivers.registers.Page works on a chip."""
        results = []
        for op, _, offset, value in requests:
            if op == READ:
                results.append(self.call("read", "read_byte_data", offset))
            else:
                self.call("write", "write_byte_data", offset, value)
                results.append(value)
        return results
