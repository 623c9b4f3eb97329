/* What carries a span instead of the board: the one interface that the media engine's tick knows.
 *
 * take: the next block from the far end; rows: 32 timeslots of 80 octets, timeslot after timeslot; abcd: 32 nibbles, left as
 *       they are where nothing new has come.
 * give: the block of this tick for the far end.
 * look: NULL, or what asks a device: after give, when the board has what it waits for.  A device that fails may keep the thread for a moment.
 * All are called by the tick thread, once each 10 ms, in this order; they do not wait and allocate nothing.  */
#ifndef STROWGER_BEARER_H
#define STROWGER_BEARER_H

#include <stdint.h>

enum { BEARER_FRAMES = 80, BEARER_SLOTS = 32 };

struct bearer {
    void *state;
    void (*take)(void *state, uint8_t *rows, uint8_t *abcd);
    void (*give)(void *state, const uint8_t *rows, const uint8_t *abcd);
    void (*look)(void *state);
    uint8_t idle;               /* code of timeslots that nobody uses */
};

#endif
