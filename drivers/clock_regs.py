"""Registers of the Si5345 clock (Skyworks, formerly Silicon Labs), as far as this firmware uses them.

A register has a page and an offset; the page is chosen by writing register 01 of any page.  Here the page stands in
the upper octet, as in the manual (0536 is page 05, offset 36).
Sources: Si5345/44/42 Rev D family reference manual, chapter 14 (names, addresses, bits), checked in two exports of
ClockBuilder Pro for Si5345 in public repositories (052A, 0535 to 0539) and a public register list of the same
family (000C to 0014, 053F)."""

from drivers.registers import Field, Register

PAGE = Register("PAGE", 0x0001, "page of the registers that follow")
PN_BASE = Register("PN_BASE", 0x0002, "part number, two octets: 45 53")
STATUS = Register("STATUS", 0x000C, "the chip itself", (
    Field("SYSINCAL", 0x01, "calibrates"),
    Field("LOSXAXB", 0x02, "no signal of the crystal"),
    Field("XAXB_ERR", 0x08, "cannot lock to the crystal"),
    Field("SMBUS_TIMEOUT", 0x20, "a transfer was given up")))
INPUTS = Register("INPUTS", 0x000D, "inputs now", (
    Field("OOF", 0xF0, "out of frequency, bit n is input n"),
    Field("LOS", 0x0F, "no signal, bit n is input n")))
LOCK = Register("LOCK", 0x000E, "the loop now", (
    Field("HOLD", 0x20, "holdover or free run"),
    Field("LOL", 0x02, "not locked")))
INPUTS_FLG = Register("INPUTS_FLG", 0x0012, "inputs since cleared; write 0", (
    Field("OOF_FLG", 0xF0, "out of frequency"), Field("LOS_FLG", 0x0F, "no signal")))
LOCK_FLG = Register("LOCK_FLG", 0x0013, "the loop since cleared; write 0", (
    Field("HOLD_FLG", 0x20, "was in holdover"), Field("LOL_FLG", 0x02, "was not locked")))
IN_SEL = Register("IN_SEL", 0x052A, "input", (
    Field("IN_SEL", 0x06, "input 0 to 3"),
    Field("IN_SEL_REGCTRL", 0x01, "1: by this register, 0: by pins")))
FORCE_HOLD = Register("FORCE_HOLD", 0x0535, "", (Field("FORCE_HOLD", 0x01, "hold over whatever the inputs do"),))
SWITCH = Register("SWITCH", 0x0536, "switching", (
    Field("HSW_EN", 0x04, "1: without a phase step"),
    Field("CLK_SWITCH_MODE", 0x03, "0: by IN_SEL, 1: automatic, 2: automatic and revertive")))
IN_MASK = Register("IN_MASK", 0x0537, "alarms that do not count", (
    Field("IN_OOF_MSK", 0xF0, "out of frequency"), Field("IN_LOS_MSK", 0x0F, "no signal")))
HISTORY = Register("HISTORY", 0x053F, "", (
    Field("FASTLOCK_STATUS", 0x04, "locks with the wide bandwidth"),
    Field("HOLD_HIST_VALID", 0x02, "enough history for holdover")))
DEVICE_READY = Register("DEVICE_READY", 0x00FE, "0F when the registers may be used; on every page")

PART = 0x5345
READY = 0x0F
