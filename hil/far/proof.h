/* A tone of its own for each call and direction, by which a far exchange proves that a call's sound comes from where its signalling says.
 *
 * Two frequencies that are multiples of 10/3 Hz, so a tone repeats each 2,400 samples and is known octet by octet; 10,000 calls times two
 * directions have 20,000 different pairs.  All lie above R2's register signals (Q.441: 540 to 1,980 Hz): libopenr2 listens for them until
 * the answer's line signal, which follows the called party's tone by some 50 ms, and took a low tone for an invalid signal.  Both ends know the code from the called number's last four digits, whoever they are: no
 * word passes between the far ends.  A switch that copies octets must give back exactly those, wherever in the tone they begin.
 */
#ifndef STROWGER_PROOF_H
#define STROWGER_PROOF_H

#include <stdbool.h>
#include <stdint.h>

enum { PROOF_PERIOD = 2400, PROOF_BLOCK = 80, PROOF_CODES = 10000 };

struct proof {
    uint8_t send[PROOF_PERIOD + PROOF_BLOCK], expect[PROOF_PERIOD + PROOF_BLOCK];
    int sent, place;                    /* place: of the next block in `expect`; -1: not found yet */
    unsigned heard, silent, other, breaks;      /* blocks, silent and other since the tone was heard first; breaks: it went on at another place, or stopped */
    int before, first;                  /* blocks before that (ringing tone, silence); first: as many, -1 if it was never heard */
};

/* The last four digits of a number; -1 if it has fewer. */
int proof_code(const char *called);
struct proof *proof_new(int code, bool caller);         /* free() ends it */
void proof_send(struct proof *p, uint8_t *block);
void proof_check(struct proof *p, const uint8_t *block);

#endif
