#include "liu.h"

#include <math.h>

enum { LIM0 = 0x36, LIM1 = 0x37, LIM2 = 0x3A };
enum { LIM0_RTRS = 0x20, LIM1_RIL = 0x70, LIM2_LBO = 0xC0, FRS1_XLS = 0x02, FRS1_XLO = 0x01, RES_VALID = 0x40, RES_MOST = 31 };

static const double THRESHOLD_MV[8] = { 2250, 1100, 600, 350, 210, 140, 100, 50 };
static const double BUILD_OUT_DB[4] = { 0, 7.5, 15, 22.5 };

struct liu_result liu_look(const struct liu *liu, const uint8_t *reg, int t1, int connected)
{
    struct liu_result r = { 0 };
    int port_ohm = t1 ? 100 : reg[LIM0] & LIM0_RTRS ? 75 : 120;
    int cable_ohm = liu->cable_ohm ? liu->cable_ohm : port_ohm;
    double nominal_mv = cable_ohm == 75 ? 2370 : 3000;
    double level_mv = nominal_mv * pow(10, -liu->rx_loss_db / 20) * 2 * port_ohm / (port_ohm + cable_ohm);
    double threshold_mv = THRESHOLD_MV[(reg[LIM1] & LIM1_RIL) >> 4];

    r.rx_lost = !connected || liu->rx_open || liu->exchanged || level_mv < threshold_mv;
    r.level_db = 20 * log10((port_ohm == 75 ? 2370 : 3000) / level_mv);
    if (level_mv < threshold_mv * pow(10, LIU_MARGIN_DB / 20))
        r.rx_errors = LIU_WEAK_ERRORS;
    if (cable_ohm != port_ohm) {
        r.rx_errors += LIU_MISMATCH_ERRORS;
        r.tx_errors += LIU_MISMATCH_ERRORS;
    }
    /* steps of about 1.7 dB (E1) and 1.4 dB (T1) */
    if (!r.rx_lost) {
        double steps = floor((r.level_db > 0 ? r.level_db : 0) / (t1 ? 1.4 : 1.7) + 0.5);
        r.res = RES_VALID | (uint8_t)(steps > RES_MOST ? RES_MOST : steps);
    }

    double arrives_db = liu->tx_loss_db + (t1 ? BUILD_OUT_DB[(reg[LIM2] & LIM2_LBO) >> 6] : 0);
    r.tx_lost = !connected || liu->tx_open || liu->tx_short || liu->exchanged || (liu->far_least_db > 0 && arrives_db > liu->far_least_db);
    if (arrives_db < liu->far_most_db)
        r.tx_errors += LIU_HOT_ERRORS;
    if (!connected || liu->tx_open)
        r.frs1 |= FRS1_XLO;
    if (connected && liu->tx_short)
        r.frs1 |= FRS1_XLS;
    return r;
}
