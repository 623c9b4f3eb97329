"""Driver of one port of a FALC framer in T1 or J1 mode; drivers/framer/falc.py chooses the mode."""

from drivers.framer import falc_t1_regs as r
from drivers.framer.base import ALARM_NAMES, BLOCKING, LOOP_CODES
from drivers.framer.falc_port import FALCPort
from firmware.errors import LocalError

IDLE = 0x7F                              # mu-law silence with the most ones
BUILD_OUTS = ("0", "7.5", "15", "22.5")  # dB, values of LIM2.LBO
STATUS_ALARMS = {"LOS": "los", "AIS": "ais", "LFA": "lfa", "RRA": "rai"}


class FALCT1(FALCPort):
    """One T1 or J1 port."""

    REGISTERS, KIND, TIMESLOTS, IDENTITY = r, "t1", 24, r.VSTR
    STATUS = (r.FRS0, r.FRS1, r.RFIFO, r.RES)
    COUNTERS = (r.FEC, r.CVC, r.CEC)
    EVENTS = (r.ISR2, r.ISR3)

    def _wanted(self, settings, code, cas):
        esf = settings.get("framing", "esf") == "esf"
        return [
            (r.FMR1, r.FMR1.encode(PMOD=1, CRC=esf, ECM=1)),             # first: it chooses E1 or T1
            *self._line.values,
            (r.LIM2, r.LIM2.encode(LBO=BUILD_OUTS.index(settings.get("build_out_db", "0")), SLT=2, MPAS=1)),
            (r.LOOP, r.LOOP.encode()),
            (r.IDLE, IDLE),
            (r.FMR0, r.FMR0.encode(XC=code, RC=code)),
            (r.FMR2, r.FMR2.encode(MCSP=esf, SSP=esf, DAIS=1, AXRA=1)),
            (r.FMR4, r.FMR4.encode(SSC=1, AUTO=1, FM=2 if esf else 0)),
            (r.FMR5, r.FMR5.encode(EIBR=cas)),
            (r.RC0, r.RC0.encode(SJR=settings["type"] == "j1")),
            *((register, 0) for register in (r.CCB1, r.CCB2, r.CCB3)),
        ]

    def _reset(self):
        self._page.write(r.CMDR, RRES=1, XRES=1, SRES=1)

    def decode_status(self, values):
        frs0, frs1, message, res = values
        raised = {STATUS_ALARMS[name] for name, value in r.FRS0.decode(frs0).items() if value and name in STATUS_ALARMS}
        if raised & {"los", "ais"}:
            raised.discard("lfa")        # follows from the other
        codes = r.FRS1.decode(frs1)
        code = "in_band_up" if codes["LLBAD"] else "in_band_down" if codes["LLBDD"] else None
        if code is None:
            code = next((name for name, (word, _) in LOOP_CODES.items() if word == message), None)
        line = self._line.decode(res, frs1, raised)
        return {**line, "alarms": [name for name in ALARM_NAMES if name in raised], "in_service": not raised & BLOCKING, "code": code}

    def decode_counters(self, values):
        return {**dict(zip(("fas_errors", "code_violations", "crc_errors"), values)), "e_bits": 0}

    def force(self, rai=False, ais=False):
        self._page.update(r.FMR4, XRA=rai)
        self._page.update(r.FMR1, XAIS=ais)

    def send_code(self, name):
        """Send one of LOOP_CODES without end; None ends it.  Codes of the data link need ESF."""
        word = LOOP_CODES[name][0] if name in LOOP_CODES else None
        if name is not None and name not in LOOP_CODES:
            raise LocalError("loop code %r: use one of %s" % (name, ", ".join(LOOP_CODES)))
        self._page.update(r.FMR5, XLU=name == "in_band_up", XLD=name == "in_band_down")
        if word is None:
            self._page.write(r.CMDR, SRES=1)
        else:
            self._page.write_values([(r.XFIFO, 0xFF), (r.XFIFO, word)])
            self._page.write(r.CMDR, XREP=1, XTF=1)
