"""Fan controllers EMC2301 to EMC2305: direct drive, tachometer, and full speed when the host is silent.

The chip's own watchdog is the last line: this driver switches it on, and when nobody has written for four seconds (the
host hangs) the fans go to full speed by themselves.  So drive() is called at least every three seconds, changed or not."""

from drivers import fan_regs as r
from drivers.i2c import Device
from firmware.errors import DriverError, LocalError


class FanController(Device):
    """bus: smbus2 interface.  fans: how many are fitted, or None for all that the chip has."""

    def __init__(self, bus, address, fans=None):
        super().__init__(bus, address, "fan controller")
        self._wanted, self.fans, self.chip = fans, 0, None

    def identify(self):
        """{"chip", "fans"}.  Raises DriverError for another chip."""
        vendor, product = self.get(r.VENDOR), self.get(r.PRODUCT)
        if vendor != r.MANUFACTURER or product not in r.PRODUCTS:
            raise DriverError(self.name, "identify", "identity %02X %02X is no EMC230x: check the board description"
                              % (vendor, product))
        self.chip, fans = r.PRODUCTS[product]
        self.fans = min(fans, self._wanted or fans)
        return {"chip": self.chip, "fans": self.fans}

    def configure(self):
        """Host drive, 5 edges a turn, 1,000 rpm range, the chip's watchdog on.  The drive stays as it is."""
        self.identify()
        for fan in range(self.fans):
            self.change(r.config1(fan), ENAG=0, RNG=1, EDG=1)      # range from 1,000 rpm on
        self.change(r.CONFIG, WD_EN=1, DIS_TO=0)

    def drive(self, percent):
        """Set all fans.  percent: 0 to 100 of full drive."""
        if not 0 <= percent <= 100:
            raise LocalError("a fan is driven with 0 to 100 percent, not %r" % (percent,))
        for fan in range(self.fans):
            self.put(r.setting(fan), int(round(percent * 2.55)))

    def status(self):
        """[{"fan": 1.., "rpm": turns a minute (0: stands), "failed": bool}] and whether the chip's watchdog had fired.

        Returns (rows, watchdog_fired)."""
        summary = self.fields(r.FAN_STATUS)
        broken = self.get(r.FAN_STALL) | self.get(r.FAN_SPIN) | self.get(r.DRIVE_FAIL)
        rows = []
        for fan in range(self.fans):
            with self.together():        # reading the high octet latches the low one
                count = self.get(r.tach_high(fan)) << 5 | r.tach_low(fan).decode(self.get(r.tach_low(fan)))["COUNT"]
            rpm = 0 if count >= r.COUNT_STANDS or not count else r.RPM_FACTOR * 2 // count
            rows.append({"fan": fan + 1, "rpm": rpm, "failed": bool(broken >> fan & 1) or not rpm})
        return rows, bool(summary["WATCH"])
