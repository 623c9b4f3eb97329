/* The SS7 far exchange: what ss7_link.c and ss7_calls.c share.  Built into far-ss7, which has line, framing, audio and
 * control of the far exchange (far.h) and libss7 in the place of libpri. */
#ifndef STROWGER_FAR_SS7_H
#define STROWGER_FAR_SS7_H

#include <libss7.h>

#include "far.h"

extern struct ss7 *point;
extern unsigned adjacent;
extern bool scripted;                   /* no libss7: a script has levels 2 and up */
void ss7_settle(void);                  /* let libss7 work until it has nothing more to say */
void ss7_take(ss7_event *e);            /* ss7_calls.c: one event of ISUP */
void ss7_again(void);                   /* ss7_calls.c: IAMs to be told once more after a dual seizure */
const char *ss7_network_command(const char *what, const struct json *in);       /* NULL: not one of these */
/* Messages that libss7 cannot make: the next LPA (which it can) of a circuit goes out with these octets, from the message type on,
 * in its place; IAMs of a circuit leave with a continuity check asked for, or without ST.  Messages it cannot read, and while `watch` is
 * on all of them, are told as they are. */
void script_raw(int cic, const uint8_t *octets, int n);
void script_iam(int cic, bool continuity, bool open);
extern bool watch;
void links_block(struct span *s, const uint8_t *rx, uint8_t *tx);

#endif
