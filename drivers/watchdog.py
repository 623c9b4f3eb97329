"""The hardware watchdog of Linux, /dev/watchdog, through an opened file descriptor.

Once opened it runs.  feed() puts the reset off; disarm() ends it where the driver allows (not with "nowayout").
Source: Linux Documentation/watchdog/watchdog-api.rst; request numbers of include/uapi/linux/watchdog.h."""

import fcntl
import os
import struct

from firmware.errors import DriverError

KEEPALIVE = 0x80045705       # _IOR('W', 5, int)
SETTIMEOUT = 0xC0045706      # _IOWR('W', 6, int)
GETTIMEOUT = 0x80045707      # _IOR('W', 7, int)
GETTIMELEFT = 0x8004570A     # _IOR('W', 10, int)
GETBOOTSTATUS = 0x80045702   # _IOR('W', 2, int)
CARDRESET = 0x0020           # WDIOF_CARDRESET: the last start was the watchdog's doing


class Watchdog:
    """descriptor: of /dev/watchdog, opened for writing.  ioctl: for tests."""

    def __init__(self, descriptor, ioctl=fcntl.ioctl):
        self._descriptor, self._ioctl = descriptor, ioctl

    def _ask(self, operation, request, value=0):
        try:
            return struct.unpack("i", self._ioctl(self._descriptor, request, struct.pack("i", value)))[0]
        except OSError as error:
            raise DriverError("watchdog", operation, error.strerror or str(error)) from error

    def configure(self, timeout_s):
        """Set the time without a feed after which the box is reset.  Returns what the hardware took."""
        return self._ask("set the time", SETTIMEOUT, int(timeout_s))

    def fired(self):
        """Whether the last start of the box was the watchdog's doing; False where the hardware cannot say."""
        try:
            return bool(self._ask("ask for the cause of the start", GETBOOTSTATUS) & CARDRESET)
        except DriverError:
            return False

    def left_s(self):
        """Seconds to the reset."""
        return self._ask("ask for the time left", GETTIMELEFT)

    def feed(self):
        """Put the reset off."""
        self._ask("feed", KEEPALIVE)

    def disarm(self):
        """The magic close: the watchdog ends with the descriptor that the caller closes next."""
        try:
            os.write(self._descriptor, b"V")
        except OSError as error:
            raise DriverError("watchdog", "disarm", error.strerror or str(error)) from error
