"""What a port of a FALC framer does in E1 and in T1 mode alike: identity, set-up with its check, events, loops.

The two modes have registers of their own (falc_regs.py, falc_t1_regs.py); those named here have the same fields in both."""

from drivers.framer.base import ABSENT, Framer, check_loop, check_settings
from drivers.framer.falc_line import LineInterface
from drivers.registers import Page
from firmware.errors import DriverError

VERSIONS = {0x00: "1.2", 0x10: "2.1", 0x05: "2.x"}       # VSTR, pef2256-regs.h
LINE_CODES = {"ami": 2, "standard": 3}                   # FMR0.XC and RC; standard: HDB3 or B8ZS
DEFECTS = {"LOS": "los", "LFA": "lfa", "AIS": "ais", "RA": "rai"}        # of ISR2


class FALCPort(Framer):
    """bus: a RequestRing, or anything with its batch().  A mode gives REGISTERS (its module of tables), KIND and _wanted()."""

    REGISTERS = None
    KIND = None                              # "e1" or "t1", until configure() says which

    def __init__(self, bus, span):
        super().__init__(bus, span)
        self._page = Page(bus, span)
        self._line = LineInterface({"type": self.KIND}, "2.x")

    @staticmethod
    def wrong_identity(version):
        """A sentence, or None; a bus that nobody drives reads as ones."""
        if version in VERSIONS:
            return None
        if version in (ABSENT, 0xFF):
            return "nothing answers where the framer should be: its card is not plugged in, or has failed"
        return "version %02X is no FALC that this driver knows: another card is plugged in, or the board's description is wrong" % version

    def identify(self):
        version, wafer = self._page.read(self.REGISTERS.VSTR, self.REGISTERS.WID)
        sentence = self.wrong_identity(version)
        if sentence:
            raise DriverError("span %d" % self.span, "identify", sentence)
        return {"chip": "FALC", "version": VERSIONS[version], "wafer": wafer}

    def configure(self, settings):
        check_settings(self.span, settings)
        self._line = LineInterface(settings, self.identify()["version"])
        wanted = self._wanted(settings, LINE_CODES[settings.get("line_code", "standard")], settings.get("cas", False))
        if not self._different(wanted):
            return False
        self._page.write_values(wanted)
        for register, value, got in self._different(wanted):
            raise DriverError("span %d" % self.span, "configure", "register %r holds %02X after %02X was written: "
                              "the framer has failed" % (register, got, value))
        self._reset()
        return True

    def _wanted(self, settings, code, cas):
        """[(register, value)] in the order of writing.  code: of LINE_CODES."""
        raise NotImplementedError

    def _reset(self):
        """Receiver and transmitter begin anew with what was written."""
        raise NotImplementedError

    def _different(self, wanted):
        values = self._page.read(*[register for register, _ in wanted])
        return [(register, value, got) for (register, value), got in zip(wanted, values) if got != value]

    def decode_events(self, values):
        line, other = self.REGISTERS.ISR2.decode(values[0]), self.REGISTERS.ISR3.decode(values[1])
        return {"second": bool(other["SEC"]), "slips": other["RSN"] + other["RSP"], "slips_left_out": other["RSN"],
                "defects": {kind for name, kind in DEFECTS.items() if line[name]}}

    def loop(self, kind, timeslot=None):
        r = self.REGISTERS
        check_loop(kind, timeslot, self.TIMESLOTS)
        self._page.write(r.LOOP, ECLB=kind == "timeslot", CLA=timeslot or 0)
        self._page.update(r.LIM0, LL=kind == "local")
        self._page.update(r.LIM1, RL=kind == "remote")
        self._page.update(r.FMR2, PLB=kind == "payload")

    def listen(self, sensitivity):
        self._line.listen(self._page, sensitivity)
