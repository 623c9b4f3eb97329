"""The board's DPLL, Si5345: which input it follows, whether it has locked, holdover.

Which input is right is decided above (firmware/chassis/clock_selection.py); the chip is set to follow the register,
switches without a phase step, and goes to holdover by itself when the input chosen fails.  The frequency plan is in the
chip's own memory, written by the factory: this driver never touches it."""

from drivers import clock_regs as r
from drivers.i2c import Device
from firmware.errors import DriverError, LocalError

INPUTS = 4


class DPLL(Device):
    """bus: smbus2 interface."""

    def __init__(self, bus, address):
        super().__init__(bus, address, "DPLL")
        self._page = None

    def call(self, operation, function, *arguments):
        """As Device.call; the offset's upper octet chooses the page.  A failed transfer forgets the page."""
        if not arguments or function not in ("read_byte_data", "write_byte_data"):
            return super().call(operation, function, *arguments)
        page, offset = arguments[0] >> 8, arguments[0] & 0xFF
        with self.together():
            try:
                if page != self._page and offset != r.DEVICE_READY.offset:
                    super().call("choose page %02X" % page, "write_byte_data", r.PAGE.offset, page)
                    self._page = page
                return super().call(operation, function, offset, *arguments[1:])
            except DriverError:
                self._page = None
                raise

    def identify(self):
        """{"chip"}.  Raises DriverError for another part or one that is not ready."""
        self._check_ready()
        self._page = None
        low, high = self.batch([(0, 0, r.PN_BASE.offset, 0), (0, 0, r.PN_BASE.offset + 1, 0)])
        if high << 8 | low != r.PART:
            raise DriverError(self.name, "identify", "part number %02X%02X is no Si5345: check the board description"
                              % (high, low))
        return {"chip": "Si5345"}

    def _check_ready(self):
        ready = self.get(r.DEVICE_READY)
        if ready != r.READY:
            raise DriverError(self.name, "ask whether it is ready", "it is not (%02X): no power, or its memory is empty" % ready)

    def configure(self):
        """Selection by register, switching without a phase step.  A clock that runs is not disturbed."""
        self.identify()
        wanted = r.SWITCH.encode(self.get(r.SWITCH), CLK_SWITCH_MODE=0, HSW_EN=1)
        if self.get(r.SWITCH) != wanted:
            self.put(r.SWITCH, wanted)
        if not self.fields(r.IN_SEL)["IN_SEL_REGCTRL"]:
            self.change(r.IN_SEL, IN_SEL_REGCTRL=1)

    def select(self, number):
        """Follow input 0 to 3, or None: hold over (free run where there is no history)."""
        if number is None:
            self.change(r.FORCE_HOLD, FORCE_HOLD=1)
            return
        if not 0 <= number < INPUTS:
            raise LocalError("the DPLL has inputs 0 to %d, not %r" % (INPUTS - 1, number))
        self.change(r.IN_SEL, IN_SEL=number, IN_SEL_REGCTRL=1)
        self.change(r.FORCE_HOLD, FORCE_HOLD=0)

    def status(self):
        """{"locked", "holdover", "history", "selected", "forced", "inputs": [{"signal", "in_frequency"}], "faults": []}."""
        self._check_ready()
        own, inputs, lock = self.fields(r.STATUS), self.fields(r.INPUTS), self.fields(r.LOCK)
        faults = [text for name, text in (("LOSXAXB", "the crystal has no signal"), ("XAXB_ERR", "the crystal is wrong"),
                                          ("SYSINCAL", "it calibrates")) if own[name]]
        return {"locked": not lock["LOL"] and not lock["HOLD"], "holdover": bool(lock["HOLD"]),
                "history": bool(self.fields(r.HISTORY)["HOLD_HIST_VALID"]),
                "selected": self.fields(r.IN_SEL)["IN_SEL"], "forced": bool(self.fields(r.FORCE_HOLD)["FORCE_HOLD"]),
                "inputs": [{"signal": not inputs["LOS"] >> n & 1, "in_frequency": not inputs["OOF"] >> n & 1}
                           for n in range(INPUTS)], "faults": faults}
