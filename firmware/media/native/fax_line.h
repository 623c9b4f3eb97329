/* Who takes an RTP leg's sound and gives the leg's own while it carries a fax as packets: _t38.pyx, called by the tick (fax.pxi). */
#ifndef STROWGER_FAX_LINE_H
#define STROWGER_FAX_LINE_H
#include <stdint.h>

struct fax_line {
    void *state;
    void (*speak)(void *state, int16_t *samples, int count);        /* what the switch is to hear of the leg */
    int (*hear)(void *state, const int16_t *samples, int count);    /* what the leg is sent; whether packets wait to be fetched */
};
#endif
