"""Registers of the Infineon FALC family, E1 mode, as far as this firmware uses them.

One page a port: FALC56 PEF 2256, QuadFALC PEF 22554, OctalFALC PEF 22558.
Sources, each field checked in at least one of them:
K  Linux drivers/net/wan/framer/pef2256/pef2256-regs.h (names and bits of the data sheet)
D  dahdi-linux drivers/dahdi/wct4xxp/base.c and wct4xxp.h (counters, loops, error insertion)
P  Linux 2.6 drivers/net/wan/pc300-falc-lh.h (E1 status, XSW, XSP, FMR bits)
T, R  headers of other public drivers of the family: LIM0.RTRS of the Octal, RES with its EV and RES bits; what a step of RES is worth
   stands in the chip's description only"""

from drivers.registers import Field, Register

# ---- command and control ----
CMDR = Register("CMDR", 0x02, "Command", (                                   # K
    Field("RRES", 0x40, "reset the receiver, search frames anew"),
    Field("XRES", 0x10, "reset the transmitter"),
    Field("SRES", 0x01, "reset the HDLC transmitter")))
IERR = Register("IERR", 0x1B, "Insert one error", (                          # D
    Field("IFASE", 0x20, "frame alignment signal"),
    Field("IMFE", 0x10, "multiframe"),
    Field("ICRCE", 0x08, "CRC"),
    Field("ICASE", 0x04, "CAS"),
    Field("IPE", 0x02, "PRBS"),
    Field("IBV", 0x01, "bipolar violation")))
FMR0 = Register("FMR0", 0x1C, "Framer mode 0", (                             # K
    Field("XC", 0xC0, "transmit code: 0 NRZ, 1 CMI, 2 AMI, 3 HDB3"),
    Field("RC", 0x30, "receive code: as XC"),
    Field("SIM", 0x01, "simulate alarms")))                                  # D
FMR1 = Register("FMR1", 0x1D, "Framer mode 1", (
    Field("MFCS", 0x80, "search the multiframe anew"),                       # P
    Field("AFR", 0x40, "search frames anew by itself"),                      # P
    Field("ENSA", 0x20, "Sa bits from registers"),                           # P
    Field("PMOD", 0x10, "1: T1, 0: E1"),                                     # P
    Field("XFS", 0x08, "send the CRC-4 multiframe"),                         # K
    Field("ECM", 0x04, "counters move to their registers each second"),      # K
    Field("XAIS", 0x01, "send AIS")))                                        # P
FMR2 = Register("FMR2", 0x1E, "Framer mode 2", (
    Field("RFS", 0xC0, "receive: 0 double frame, 2 CRC-4, 3 CRC-4 with interworking (G.706 annex B)"),  # K
    Field("RTM", 0x20, "receive transparent"),                               # P
    Field("DAIS", 0x10, "no AIS to the system while out of frame"),          # P
    Field("SAIS", 0x08, "AIS to the system"),                                # P
    Field("PLB", 0x04, "payload loop"),                                      # D, P
    Field("AXRA", 0x02, "send RAI by itself while out of frame")))           # K
LOOP = Register("LOOP", 0x1F, "Loop of one timeslot", (                      # C, header of a Linux FALC driver
    Field("ECLB", 0x20, "the timeslot goes back to the line"),
    Field("CLA", 0x1F, "which timeslot")))
IDLE = Register("IDLE", 0x2B, "Code of timeslots without signal")            # C
XSW = Register("XSW", 0x20, "Transmit service word", (                       # P
    Field("XSIS", 0x80, "Si bit of frames without the FAS"),
    Field("XTM", 0x40, "transparent"),
    Field("XRA", 0x20, "send RAI"),
    Field("XY", 0x1F, "Sa4 to Sa8")))
XSP = Register("XSP", 0x21, "Transmit spare bits", (                         # P
    Field("XAP", 0x80, "auxiliary pattern"),
    Field("CASEN", 0x40, "CAS multiframe in timeslot 16"),
    Field("TT0", 0x20, "timeslot 0 transparent"),
    Field("EBP", 0x10, "E bit polarity while out of multiframe"),
    Field("AXS", 0x08, "E bits by itself"),
    Field("XSIF", 0x04, "Si bit of frames with the FAS"),
    Field("XS13", 0x02, "E bit of frame 13"),
    Field("XS15", 0x01, "E bit of frame 15")))
LIM0 = Register("LIM0", 0x36, "Line interface mode 0", (
    Field("RTRS", 0x20, "receive termination: 0 as fitted, 1 with 300 ohm beside it, for 75 ohm"),      # T
    Field("EQON", 0x08, "receive equalizer; version 2.x wants it set"),      # P, K
    Field("LL", 0x02, "local loop: what we send comes back"),                # D
    Field("MAS", 0x01, "clock master")))                                     # K
LIM1 = Register("LIM1", 0x37, "Line interface mode 1", (
    Field("RIL", 0x70, "threshold of the LOS detector, see RIL_MV"),         # K
    Field("RL", 0x02, "remote loop: what comes goes back")))                 # D
DEC = Register("DEC", 0x60, "Move counters to their registers now", (        # D, P
    Field("DBEC", 0x10, "BEC"), Field("DCEC", 0x08, "CEC"), Field("DEBC", 0x04, "EBC"),
    Field("DCVC", 0x02, "CVC"), Field("DFEC", 0x01, "FEC")))

# ---- status ----
VSTR = Register("VSTR", 0x4A, "Version")                                     # K: 05 is PEF 2256 2.x
RES = Register("RES", 0x4B, "Receive equalizer status", (                    # R
    Field("EV", 0xC0, "1: RES holds"),
    Field("RES", 0x1F, "attenuation of the line in steps, see RES_STEP_DB")))
FRS0 = Register("FRS0", 0x4C, "Framer receive status 0", (                   # P
    Field("LOS", 0x80, "loss of signal"),
    Field("AIS", 0x40, "alarm indication signal: all ones"),
    Field("LFA", 0x20, "loss of frame alignment"),
    Field("RRA", 0x10, "remote alarm received"),
    Field("API", 0x08, "auxiliary pattern"),
    Field("NMF", 0x04, "no CRC-4 multiframe in 400 ms"),
    Field("LMFA", 0x02, "loss of CRC-4 multiframe alignment"),
    Field("FSRF", 0x01, "spare bit")))
FRS1 = Register("FRS1", 0x4D, "Framer receive status 1", (                   # P
    Field("TS16RA", 0x40, "remote alarm in the CAS multiframe"),
    Field("TS16LOS", 0x20, "timeslot 16 all zeros"),
    Field("TS16AIS", 0x10, "timeslot 16 all ones"),
    Field("TS16LFA", 0x08, "loss of CAS multiframe alignment"),
    Field("XLS", 0x02, "transmit line short"),
    Field("XLO", 0x01, "transmit line open")))
WID = Register("WID", 0xEC, "Wafer identity")                                # K

# ---- counters, of the second before with FMR1.ECM ---- D
FEC = Register("FEC", 0x50, "Framing errors", octets=2)
CVC = Register("CVC", 0x52, "Code violations", octets=2)
CEC = Register("CEC", 0x54, "CRC-4 errors", octets=2)
EBC = Register("EBC", 0x56, "E bits received as 0", octets=2)

# ---- interrupt status, clear on read ---- P
ISR2 = Register("ISR2", 0x6A, "Interrupt status 2", (
    Field("FAR", 0x80, "frame alignment recovered"),
    Field("LFA", 0x40, "loss of frame alignment"),
    Field("MFAR", 0x20, "multiframe alignment recovered"),
    Field("T400MS", 0x10, "400 ms without a multiframe"),
    Field("AIS", 0x08, "AIS"),
    Field("LOS", 0x04, "LOS"),
    Field("RAR", 0x02, "remote alarm over"),
    Field("RA", 0x01, "remote alarm")))
ISR3 = Register("ISR3", 0x6B, "Interrupt status 3", (
    Field("ES", 0x80, "errored second"),
    Field("SEC", 0x40, "a second is over"),
    Field("RSN", 0x02, "receive slip: a frame was left out"),                # D
    Field("RSP", 0x01, "receive slip: a frame was repeated")))

# ---- figures of the line interface ----
RIL_MV = {"1.2": (910, 740, 590, 420, 320, 210, 160, 100)}                   # K: below it there is no pulse; by VSTR
RIL_MV["2.1"] = RIL_MV["2.x"] = (2250, 1100, 600, 350, 210, 140, 100, 50)    # K
RES_STEP_DB = {"e1": 1.7, "t1": 1.4, "j1": 1.4}                              # S: about
