/* Registers of one E1 port that act in the emulator: offsets and bits of the FALC family.
 *
 * Sources: Linux pef2256-regs.h, pc300-falc-lh.h, dahdi-linux wct4xxp/base.c. */
#ifndef HIL_BOARD_E1_REGISTERS_H
#define HIL_BOARD_E1_REGISTERS_H

#include "e1.h"

enum {
    CMDR = 0x02, IERR = 0x1B, FMR1 = 0x1D, FMR2 = 0x1E, E1_LOOP = 0x1F, XSW = 0x20, XSP = 0x21, E1_IDLE = 0x2B,
    LIM0 = 0x36, LIM1 = 0x37, VSTR = 0x4A, RES = 0x4B, FRS0 = 0x4C, FRS1 = 0x4D,
    FEC = 0x50, CVC = 0x52, CEC = 0x54, EBC = 0x56, BEC = 0x58, DEC = 0x60,
    ISR0 = 0x68, ISR2 = 0x6A, ISR3 = 0x6B, ISR5 = 0x6D, GIS = 0x6E, CIS = 0x6F,
    RS1 = 0x70, PRBSSTA = 0xDA, WID = 0xEC,
};
enum { FMR1_XFS = 0x08, FMR1_ECM = 0x04, FMR1_XAIS = 0x01 };
enum { FMR2_RFS = 0xC0, FMR2_PLB = 0x04, FMR2_AXRA = 0x02 };
enum { XSW_XSIS = 0x80, XSW_XRA = 0x20, XSW_XY = 0x1F };
enum { XSP_CASEN = 0x40, XSP_XSIF = 0x04 };
enum { ISR2_FAR = 0x80, ISR2_LFA = 0x40, ISR2_MFAR = 0x20, ISR2_T400MS = 0x10,
       ISR2_AIS = 0x08, ISR2_LOS = 0x04, ISR2_RAR = 0x02, ISR2_RA = 0x01 };

enum crc_mode { CRC_OFF, CRC_MANDATORY, CRC_AUTOMATIC };

static inline enum crc_mode crc_mode(const struct e1 *line)
{
    switch (line->reg[FMR2] & FMR2_RFS) {
    case 0x80: return CRC_MANDATORY;
    case 0xC0: return CRC_AUTOMATIC;
    default: return CRC_OFF;
    }
}

/* Give up frame alignment; the search begins where the caller sets search_bit. */
void e1_lose_frame(struct e1 *line);

#endif
