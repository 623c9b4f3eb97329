"""Driver of one port of a FALC framer in E1 mode; drivers/framer/falc.py chooses the mode."""

from drivers.framer import falc_regs as r
from drivers.framer.base import ALARM_NAMES, BLOCKING
from drivers.framer.falc_port import FALCPort

IDLE = 0xD5                              # A-law silence
RECEIVE_FRAMING = {False: 0, True: 3, "required": 2}     # FMR2.RFS
STATUS_ALARMS = {"LOS": "los", "AIS": "ais", "LFA": "lfa", "RRA": "rai", "NMF": "no_crc4", "LMFA": "lmfa"}
CAS_ALARMS = {"TS16LFA": "cas_lfa", "TS16AIS": "cas_ais", "TS16LOS": "cas_los", "TS16RA": "cas_rai"}


class FALCE1(FALCPort):
    """One E1 port."""

    REGISTERS, KIND, TIMESLOTS, IDENTITY = r, "e1", 31, r.VSTR
    STATUS = (r.FRS0, r.FRS1, r.XSP, r.RES)
    COUNTERS = (r.FEC, r.CVC, r.CEC, r.EBC)
    EVENTS = (r.ISR2, r.ISR3)

    def _wanted(self, settings, code, cas):
        crc4 = settings.get("crc4", False)
        return [
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

    def _reset(self):
        self._page.write(r.CMDR, RRES=1, XRES=1)

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

    def force(self, rai=False, ais=False):
        self._page.update(r.XSW, XRA=rai)
        self._page.update(r.FMR1, XAIS=ais)
