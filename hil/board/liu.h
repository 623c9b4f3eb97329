/* The analogue side of one port: cable, pairs and levels, and what the chip's line interface makes of them.
 *
 * Nominal pulses: G.703 table 7 (2.37 V over 75 ohm coax, 3.0 V over a 120 ohm pair) and 11.2 (T1, 3.0 V).  The receiver counts no
 * pulse below the threshold LIM1.RIL; the values are those of version 2.x (Linux pef2256-regs.h).  Ours, since no document at
 * hand has them: how many errors a signal near the threshold, a reflection or an overload makes. */
#ifndef HIL_BOARD_LIU_H
#define HIL_BOARD_LIU_H

#include <stdint.h>

#define LIU_MARGIN_DB 2.0        /* nearer to the threshold than that errors come */
#define LIU_WEAK_ERRORS 1e-5     /* a bit */
#define LIU_MISMATCH_ERRORS 2e-6 /* a bit: 75 ohm on a 120 ohm socket reflects, 12.7 dB of return loss */
#define LIU_HOT_ERRORS 1e-4      /* a bit: a repeater that gets more than it takes */

struct liu {
    double rx_loss_db, tx_loss_db; /* of the pairs */
    int rx_open, tx_open, tx_short;
    int exchanged;                 /* our transmit pair on the far end's transmit pair */
    int cable_ohm;                 /* 0: as the port is terminated */
    double far_least_db, far_most_db; /* what the far receiver takes: 0 and 0 for everything */
};

struct liu_result {
    int rx_lost, tx_lost;          /* no pulse comes, or arrives */
    double rx_errors, tx_errors;   /* a bit */
    double level_db;               /* received, below nominal */
    uint8_t res, frs1;             /* registers RES, and XLS and XLO of FRS1 */
};

/* reg: of the port; connected: whether a cable is plugged. */
struct liu_result liu_look(const struct liu *liu, const uint8_t *reg, int t1, int connected);

#endif
