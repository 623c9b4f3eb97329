"""The line interface of a FALC port: receive sensitivity and termination, what is seen of cable and pairs.

Thresholds.  G.775 4.2: a signal 35 dB below nominal is none, one that the greatest allowed loss and 3 dB more leave (9 dB at 2,048 kbit/s) is
one; the threshold lies between.  Linux's pef2256 takes 210 mV, as "normal" does here: 23 dB below the 3.0 V of a 120 ohm pair
(G.703 table 7), 21 dB below the 2.37 V of 75 ohm coax.  "high" is for long cables, "low" where crosstalk looks like a signal when nothing is plugged."""

import math

from drivers.framer import falc_regs as r

SENSITIVITY_MV = {"normal": 210, "high": 100, "low": 600}
NOMINAL_MV = {"75": 2370, "120": 3000}       # G.703 table 7; a T1 has 3.0 V (11.2)
WEAK_DB = 6.0                                # nearer than this to the threshold a signal is called weak: invented
WEAK_MOVE_DB = 3.0                           # less is not told anew: a level between two steps of RES would be, at each poll.  Invented
OPEN = "nothing is connected to our transmit pair either: the cable is not plugged in"
LOADED = ("something is connected to our transmit pair: the two pairs are exchanged (receive on transmit), the receive pair is broken, or "
          "the far end is switched off")


class LineInterface:
    """settings: as Framer.configure(); version: as identify()."""

    def __init__(self, settings, version):
        self._told_db = None                 # the weak level that was told last
        self._step_db = r.RES_STEP_DB[settings["type"]]
        ohm = settings.get("impedance_ohm", "120") if settings["type"] == "e1" else "120"
        self._thresholds = r.RIL_MV[version]
        code = self._code = self._nearest(settings.get("sensitivity", "normal"))
        self.limit_db = round(20 * math.log10(NOMINAL_MV[ohm] / self._thresholds[code]), 1)
        self.values = [(r.LIM0, r.LIM0.encode(RTRS=ohm == "75", EQON=version != "1.2")), (r.LIM1, r.LIM1.encode(RIL=code))]

    def listen(self, page, sensitivity):
        """Change the threshold on a page; None: as configured."""
        code = self._code if sensitivity is None else self._nearest(sensitivity)
        page.update(r.LIM1, RIL=code)

    def _nearest(self, sensitivity):
        return min(range(len(self._thresholds)), key=lambda n: abs(self._thresholds[n] - SENSITIVITY_MV[sensitivity]))

    def decode(self, res, frs1, raised):
        """What RES and FRS1 say: {"level_db", "limit_db", "transmit", "details"}; raised: set of alarms, to which "weak", "transmit_open" and
        "transmit_short" are added.

        level_db: of the received signal below nominal, None without one; limit_db: where it is lost; transmit: "ok", "open" or "short"."""
        found, status = r.RES.decode(res), r.FRS1.decode(frs1)
        level_db = round(found["RES"] * self._step_db, 1) if found["EV"] == 1 and "los" not in raised else None
        transmit = "open" if status["XLO"] else "short" if status["XLS"] else "ok"
        details = {}
        if "los" in raised:
            details["los"] = OPEN if transmit == "open" else LOADED
        elif transmit != "ok":
            raised.add("transmit_" + transmit)
        if transmit == "short":
            raised.add("transmit_short")
        if level_db is not None and level_db > self.limit_db - WEAK_DB:
            raised.add("weak")
            if self._told_db is None or abs(level_db - self._told_db) >= WEAK_MOVE_DB:
                self._told_db = level_db
            details["weak"] = "-%.0f dB (-%.0f dB)" % (self._told_db, self.limit_db)
        return {"level_db": level_db, "limit_db": self.limit_db, "transmit": transmit, "details": details}
