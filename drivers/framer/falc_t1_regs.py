"""Registers of the FALC family in T1 and J1 mode, where they differ from E1 mode (falc_regs.py).

Sources: D dahdi-linux drivers/dahdi/wct4xxp/base.c and wcte12xp/base.c; C headers of the Linux FALC drivers of pmc and
cyclades cards (names and bits of T1 mode); S the chip's description, without a driver to compare."""

from drivers.framer.falc_regs import CEC, CVC, FEC, ISR2, ISR3, LIM0, LIM1, LOOP, IDLE, RES, VSTR, WID   # noqa: F401  the same in both modes
from drivers.registers import Field, Register

XFIFO = Register("XFIFO", 0x00, "Transmit FIFO of the data link")            # S
RFIFO = Register("RFIFO", 0x00, "Receive FIFO of the data link: the last message")  # S
CMDR = Register("CMDR", 0x02, "Command", (
    Field("RRES", 0x40, "reset the receiver, search frames anew"),           # D
    Field("XREP", 0x20, "with XTF: send the FIFO again and again, without HDLC"),    # S
    Field("XRES", 0x10, "reset the transmitter"),                            # D
    Field("XTF", 0x04, "send the FIFO"),                                     # S
    Field("SRES", 0x01, "reset the transmitter of the data link")))          # S
FMR0 = Register("FMR0", 0x1C, "Framer mode 0", (                             # D
    Field("XC", 0xC0, "transmit code: 2 AMI, 3 B8ZS"),
    Field("RC", 0x30, "receive code: as XC")))
FMR1 = Register("FMR1", 0x1D, "Framer mode 1", (                             # D
    Field("CTM", 0x80, "channel translation mode"),
    Field("PMOD", 0x10, "1: T1 and J1"),
    Field("CRC", 0x08, "CRC-6 in ESF"),
    Field("ECM", 0x04, "counters move to their registers each second"),
    Field("XAIS", 0x01, "send AIS")))
FMR2 = Register("FMR2", 0x1E, "Framer mode 2", (                             # D
    Field("MCSP", 0x80, "with SSP: ESF resynchronises by CRC-6"),
    Field("SSP", 0x40, "see MCSP"),
    Field("DAIS", 0x20, "no AIS to the system while out of frame"),
    Field("PLB", 0x04, "payload loop"),
    Field("AXRA", 0x02, "send RAI by itself while out of frame")))
FMR4 = Register("FMR4", 0x20, "Framer mode 4", (                             # D
    Field("XRA", 0x20, "send RAI"),
    Field("SSC", 0x18, "frame is lost at 2 wrong F bits of: 0 four, 1 five, 2 six"),
    Field("AUTO", 0x04, "search frames anew by itself"),
    Field("FM", 0x03, "0 D4 (F12), 2 ESF (F24)")))
FMR5 = Register("FMR5", 0x21, "Framer mode 5", (
    Field("EIBR", 0x40, "robbed bits"),                                      # D
    Field("XLD", 0x20, "send the in-band code loop down"),                   # D
    Field("XLU", 0x10, "send the in-band code loop up")))                    # D
RC0 = Register("RC0", 0x24, "Receive control 0", (Field("SJR", 0x80, "J1: JT-G704"),))      # D
CCB1 = Register("CCB1", 0x2F, "Clear channels 1 to 8, the first in 80")      # C
CCB2 = Register("CCB2", 0x30, "Clear channels 9 to 16")                      # C
CCB3 = Register("CCB3", 0x31, "Clear channels 17 to 24")                     # C
LIM2 = Register("LIM2", 0x3A, "Line interface mode 2", (                     # D
    Field("LBO", 0xC0, "line build-out: 0, -7.5, -15, -22.5 dB"),
    Field("SLT", 0x30, "slicer: 2 is half the peak"),
    Field("MPAS", 0x01, "multi purpose analogue switch")))

FRS0 = Register("FRS0", 0x4C, "Framer receive status 0", (                   # D
    Field("LOS", 0x80, "loss of signal"),
    Field("AIS", 0x40, "all ones"),
    Field("LFA", 0x20, "loss of frame alignment"),
    Field("RRA", 0x10, "remote alarm received"),
    Field("LMFA", 0x02, "loss of multiframe alignment")))
FRS1 = Register("FRS1", 0x4D, "Framer receive status 1", (                   # D
    Field("EXZD", 0x80, "excessive zeros"),
    Field("PDEN", 0x40, "pulse density violated"),
    Field("LLBDD", 0x10, "in-band code loop down"),
    Field("LLBAD", 0x08, "in-band code loop up"),
    Field("XLS", 0x02, "transmit line short"),
    Field("XLO", 0x01, "transmit line open")))
