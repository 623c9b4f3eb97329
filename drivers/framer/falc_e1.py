"""Driver of one port of a FALC framer in E1 mode; drivers/framer/falc.py chooses the mode."""

from drivers.framer import falc_regs as r
from drivers.framer.base import ABSENT, ALARM_NAMES, BLOCKING, Framer, check_loop, check_settings
from drivers.framer.falc_line import LineInterface
from drivers.registers import Page
from firmware.errors import DriverError

VERSIONS = {0x00: "1.2", 0x10: "2.1", 0x05: "2.x"}       # VSTR, pef2256-regs.h
RECEIVE_FRAMING = {False: 0, True: 3, "required": 2}     # FMR2.RFS

STATUS_ALARMS = {"LOS": "los", "AIS": "ais", "LFA": "lfa", "RRA": "rai", "NMF": "no_crc4", "LMFA": "lmfa"}
CAS_ALARMS = {"TS16LFA": "cas_lfa", "TS16AIS": "cas_ais", "TS16LOS": "cas_los", "TS16RA": "cas_rai"}


IDLE = 0xD5                              # A-law silence


def wrong_identity(version):
    """As Framer.wrong_identity(); a bus that nobody drives reads as ones."""
    if version in VERSIONS:
        return None
    if version in (ABSENT, 0xFF):
        return "nothing answers where the framer should be: its card is not plugged in, or has failed"
    return "version %02X is no FALC that this driver knows: another card is plugged in, or the board's description is wrong" % version


class FALCE1(Framer):
    """One E1 port.  bus: a RequestRing, or anything with its batch()."""

    STATUS = (r.FRS0, r.FRS1, r.XSP, r.RES)
    COUNTERS = (r.FEC, r.CVC, r.CEC, r.EBC)
    EVENTS = (r.ISR2, r.ISR3)
    TIMESLOTS = 31

    def __init__(self, bus, span):
        super().__init__(bus, span)
        self._page = Page(bus, span)
        self._line = LineInterface({"type": "e1"}, "2.x")

    def identify(self):
        version, wafer = self._page.read(r.VSTR, r.WID)
        sentence = self.wrong_identity(version)
        if sentence:
            raise DriverError("span %d" % self.span, "identify", sentence)
        return {"chip": "FALC", "version": VERSIONS[version], "wafer": wafer}

    IDENTITY = r.VSTR
    wrong_identity = staticmethod(wrong_identity)

    def configure(self, settings):
        check_settings(self.span, settings)
        self._line = LineInterface(settings, self.identify()["version"])
        crc4, cas = settings.get("crc4", False), settings.get("cas", False)
        code = 2 if settings.get("line_code") == "ami" else 3
        wanted = [
            (r.FMR1, r.FMR1.encode(AFR=1, ECM=1, XFS=bool(crc4))),       # first: it chooses E1 or T1
            *self._line.values,
            (r.LOOP, r.LOOP.encode()),
            (r.IDLE, IDLE),
            (r.FMR0, r.FMR0.encode(XC=code, RC=code)),
            (r.FMR2, r.FMR2.encode(RFS=RECEIVE_FRAMING[crc4], AXRA=1)),
            # unused international and national bits are 1 (G.704 table 5)
            (r.XSW, r.XSW.encode(XSIS=1, XY=0x1F)),
            (r.XSP, r.XSP.encode(XSIF=1, AXS=bool(crc4), CASEN=cas)),
        ]
        if not self._different(wanted):
            return False
        self._page.write_values(wanted)
        for register, value, got in self._different(wanted):
            raise DriverError("span %d" % self.span, "configure", "register %r holds %02X after %02X was written: "
                              "the framer has failed" % (register, got, value))
        self._page.write(r.CMDR, RRES=1, XRES=1)
        return True

    def _different(self, wanted):
        values = self._page.read(*[register for register, _ in wanted])
        return [(register, value, got) for (register, value), got in zip(wanted, values) if got != value]

    def decode_status(self, values):
        frs0, frs1, xsp, res = values
        raised = {STATUS_ALARMS[name] for name, value in r.FRS0.decode(frs0).items() if value and name in STATUS_ALARMS}
        if r.XSP.decode(xsp)["CASEN"]:
            raised |= {CAS_ALARMS[name] for name, value in r.FRS1.decode(frs1).items() if value and name in CAS_ALARMS}
        if "no_crc4" in raised:
            raised.discard("lmfa")       # one cause, one alarm
        if raised & {"los", "ais"}:
            raised.discard("lfa")        # follows from the other (G.7710 5.3.1: alarm only the cause)
        if raised & {"los", "ais", "lfa"}:
            raised -= {"lmfa", "cas_lfa", "cas_ais", "cas_los"}
        line = self._line.decode(res, frs1, raised)
        return {**line, "alarms": [name for name in ALARM_NAMES if name in raised], "in_service": not raised & BLOCKING}

    def decode_counters(self, values):
        return dict(zip(("fas_errors", "code_violations", "crc_errors", "e_bits"), values))

    def decode_events(self, values):
        line, other = r.ISR2.decode(values[0]), r.ISR3.decode(values[1])
        return {"second": bool(other["SEC"]), "slips": other["RSN"] + other["RSP"], "slips_left_out": other["RSN"],
                "defects": {kind for name, kind in (("LOS", "los"), ("LFA", "lfa"), ("AIS", "ais"), ("RA", "rai")) if line[name]}}

    def loop(self, kind, timeslot=None):
        check_loop(kind, timeslot, self.TIMESLOTS)
        self._page.write(r.LOOP, ECLB=kind == "timeslot", CLA=timeslot or 0)
        self._page.update(r.LIM0, LL=kind == "local")
        self._page.update(r.LIM1, RL=kind == "remote")
        self._page.update(r.FMR2, PLB=kind == "payload")

    def listen(self, sensitivity):
        self._line.listen(self._page, sensitivity)

    def force(self, rai=False, ais=False):
        self._page.update(r.XSW, XRA=rai)
        self._page.update(r.FMR1, XAIS=ais)
