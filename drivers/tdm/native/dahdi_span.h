/* A span of a card that Linux drives through DAHDI: one descriptor a channel, a block of 80 octets each way a tick.
 *
 * DAHDI does not tell how full its buffers are (GET_BUFINFO answers -1), so each tick takes all that is there into a queue of blocks of
 * all channels, whose level is known.  All channels of a span run in step, chunk by chunk in the order of their numbers; the last one that
 * carries octets leads: it is flushed last, so where it has a whole block the others have theirs.
 *
 * A card receives and sends by one clock.  So what is queued here and what the card still has to send add up to a constant, and a
 * slip is one for both ways: a block that is `missing` here is one that the card had too many of, so none is written in that tick; where
 * the queue has been longer than needed for SETTLE_TICKS a block is left out, and written twice the other way.  Where more came than was
 * written, we stood still and the card has sent idle code: both ways begin anew.  */
#ifndef STROWGER_DAHDI_SPAN_H
#define STROWGER_DAHDI_SPAN_H

#include <stdint.h>
#include <string.h>

#include "bearer.h"
#include "dahdi_io.h"

enum { BUFFERS_MOST = 32, QUEUE_BLOCKS = 48 };                   /* of a channel, DAHDI_MAX_NUM_BUFS; ours */
enum { START_BLOCKS = 2, AHEAD_BLOCKS = 2 };                     /* ours: queued before the first is played; written before the first */
enum { SPARE_BLOCKS = 2, SETTLE_TICKS = 200 };                   /* ours: the queue was never shorter for so long */
enum { SILENT_TICKS = 10, LOOK_TICKS = 50 };
enum { BLOCK_OCTETS = BEARER_SLOTS * BEARER_FRAMES };

struct dahdi_orders {
    int loop, loop_slot;      /* 0 none, 1 local (towards us), 2 remote, 3 a timeslot towards the far end */
};

struct dahdi_span {
    struct bearer bearer;
    struct dahdi_channel slot[BEARER_SLOTS];
    struct dahdi_orders orders;
    struct dahdi_numbers numbers;
    struct dahdi_health health;
    int lead;                 /* slot of the leading channel */
    int running, flushed;     /* blocks are played; all channels were brought in step */
    int slip;                 /* blocks to write twice (1) or not at all (-1) in this tick */
    int ahead;                /* blocks of idle code to write first */
    int unsent;               /* blocks that the card has still to send, at most */
    int filled;               /* blocks that came since the last tick */
    int empty;                /* ticks in a row without a block of the card */
    int least, settled;       /* shortest queue, and ticks, since the last look */
    uint32_t head, tail;
    uint64_t ticks, blocks, missing, left_out, given, not_taken, uneven, starved, resyncs;
    uint8_t sent[BLOCK_OCTETS], came[BLOCK_OCTETS];
    uint8_t queue[QUEUE_BLOCKS][BLOCK_OCTETS];
};

static inline int dahdi_is_octets(const struct dahdi_channel *c)
{
    return c->kind == DAHDI_OCTETS || c->kind == DAHDI_CAS;
}

static inline int dahdi_gone(const struct dahdi_span *d)
{
    return d->health.gone >= GONE_TICKS;
}

/* Empty both ways, the leading channel last; blocks of all begin together. */
static inline void dahdi_begin(struct dahdi_span *d)
{
    for (int s = 1; d->numbers.flush && s < BEARER_SLOTS; s++) {
        int both = 3;
        if (dahdi_is_octets(&d->slot[s]) && ioctl(d->slot[s].fd, d->numbers.flush, &both) < 0) {
            dahdi_failed(&d->health, errno);
            return;
        }
    }
    d->flushed = 1;
    d->running = 0;
    d->head = d->tail = 0;
}

/* All blocks that the card has, into the queue.  Returns how many. */
static inline int dahdi_fill(struct dahdi_span *d)
{
    int count = 0;
    while (d->head - d->tail < QUEUE_BLOCKS) {
        uint8_t *rows = d->queue[d->head % QUEUE_BLOCKS];
        uint8_t lead[BEARER_FRAMES];
        if (dahdi_read(&d->health, &d->slot[d->lead], &d->numbers, lead, sizeof lead) != BEARER_FRAMES)
            break;
        memset(rows, d->bearer.idle, BLOCK_OCTETS);
        memcpy(rows + d->lead * BEARER_FRAMES, lead, BEARER_FRAMES);
        for (int s = 1; s < BEARER_SLOTS; s++) {
            uint8_t block[BEARER_FRAMES];
            if (s == d->lead || !dahdi_is_octets(&d->slot[s]))
                continue;
            if (dahdi_read(&d->health, &d->slot[s], &d->numbers, block, sizeof block) == BEARER_FRAMES)
                memcpy(rows + s * BEARER_FRAMES, block, BEARER_FRAMES);
            else
                d->uneven++;
            if (dahdi_gone(d))
                return count;
        }
        d->head++;
        count++;
    }
    return count;
}

/* The block of this tick, or none; what is too much, or missing. */
static inline void dahdi_block_in(struct dahdi_span *d, uint8_t *rows)
{
    int came = d->filled;
    d->filled = 0;
    d->empty = came ? 0 : d->empty + 1;
    d->unsent -= came;
    if (came >= BUFFERS_MOST - 1) {     /* we stood still for so long that blocks may be lost, and the card has nothing to send */
        d->resyncs++;
        dahdi_begin(d);
        return;
    }
    if (!d->running) {
        if (d->head - d->tail < START_BLOCKS)
            return;
        d->running = 1;
        d->unsent = 0;
        d->ahead = AHEAD_BLOCKS;
        d->least = QUEUE_BLOCKS;
        d->settled = 0;
    }
    if (d->unsent < 0) {
        uint32_t late = d->head - d->tail > START_BLOCKS ? d->head - d->tail - START_BLOCKS : 0;
        d->tail += late;
        d->left_out += late;
        d->starved++;
        d->unsent = 0;
        d->ahead = AHEAD_BLOCKS;
    }
    if (d->head == d->tail) {
        d->missing++;
        d->slip = -1;
        return;
    }
    memcpy(rows, d->queue[d->tail++ % QUEUE_BLOCKS], BLOCK_OCTETS);
    d->blocks++;
    int level = (int)(d->head - d->tail);
    if (level < d->least)
        d->least = level;
    if (++d->settled == SETTLE_TICKS) {
        if (d->least >= SPARE_BLOCKS) {
            d->tail++;
            d->left_out++;
            d->slip = 1;
        }
        d->settled = 0;
        d->least = QUEUE_BLOCKS;
    }
}

static inline void dahdi_frames_in(struct dahdi_span *d, uint8_t *rows)
{
    for (int s = 1; s < BEARER_SLOTS; s++)
        if (d->slot[s].kind == DAHDI_FRAMES)
            for (int n = 0; n < BEARER_FRAMES; n++)
                rows[s * BEARER_FRAMES + n] = hdlc_octet_out(&d->slot[s].out);
}

static inline void dahdi_read_frames(struct dahdi_span *d)
{
    for (int s = 1; s < BEARER_SLOTS; s++) {
        struct dahdi_channel *c = &d->slot[s];
        if (c->kind != DAHDI_FRAMES)
            continue;
        while (c->out.head - c->out.tail < SENT_FRAMES && !dahdi_gone(d)) {
            uint8_t frame[HDLC_FRAME_MOST];
            ssize_t length = dahdi_read(&d->health, c, &d->numbers, frame, sizeof frame);
            if (length <= 0)
                break;
            hdlc_put(&c->out, frame, (uint32_t)length);
        }
    }
}

static inline void dahdi_bits_in(struct dahdi_span *d, uint8_t *abcd)
{
    for (int s = 1; s < BEARER_SLOTS; s++)
        if (d->slot[s].fresh) {
            d->slot[s].fresh = 0;
            abcd[s] = d->slot[s].bits;
        }
}

/* By the card's events, and now and then without. */
static inline void dahdi_read_bits(struct dahdi_span *d)
{
    int all = d->ticks % LOOK_TICKS <= 1;
    for (int s = 1; s < BEARER_SLOTS; s++) {
        struct dahdi_channel *c = &d->slot[s];
        int bits = 0;
        if (c->kind != DAHDI_CAS || !(all || c->look) || !d->numbers.get_rxbits || dahdi_gone(d))
            continue;
        c->look = 0;
        if (ioctl(c->fd, d->numbers.get_rxbits, &bits) == 0) {
            c->bits = bits & 15; /* what stands above them is none of ours */
            c->fresh = 1;
        }
    }
}

static void dahdi_take(void *state, uint8_t *rows, uint8_t *abcd)
{
    struct dahdi_span *d = state;

    d->ticks++;
    d->slip = 0;
    memset(rows, d->bearer.idle, BLOCK_OCTETS);
    if (!dahdi_gone(d)) {
        dahdi_block_in(d, rows);
        dahdi_frames_in(d, rows);
        dahdi_bits_in(d, abcd);
    }
    memcpy(d->came, rows, sizeof d->came);
    if (d->orders.loop == 1)
        memcpy(rows, d->sent, sizeof d->sent);
}

/* All that the card has for us: what take() gives next. */
static void dahdi_look(void *state)
{
    struct dahdi_span *d = state;

    if (!dahdi_gone(d) && !d->flushed)
        dahdi_begin(d);
    if (!dahdi_gone(d)) {
        d->filled += dahdi_fill(d);
        dahdi_read_frames(d);
        dahdi_read_bits(d);
    }
    if (!dahdi_gone(d))
        d->health.gone = d->health.failed ? d->health.gone + 1 : 0;
    d->health.failed = 0;
}

static inline void dahdi_loop_back(struct dahdi_span *d, int first, int last)
{
    memcpy(d->sent + first * BEARER_FRAMES, d->came + first * BEARER_FRAMES, (size_t)(last - first + 1) * BEARER_FRAMES);
}

static inline void dahdi_frames_out(struct dahdi_span *d, struct dahdi_channel *c, const uint8_t *row)
{
    for (int n = 0; n < BEARER_FRAMES; n++)
        for (int bit = 7; bit >= 0; bit--)
            if (hdlc_bit_in(&c->in, row[n] >> bit & 1)) {
                if (!dahdi_gone(d) && !dahdi_write(&d->health, c, &d->numbers, c->in.frame, c->in.length))
                    d->not_taken++;
                hdlc_next_in(&c->in);
            }
}

/* A block of all channels that carry octets.  The leading one goes first: where it has no room the others are not asked. */
static inline void dahdi_block_out(struct dahdi_span *d, const uint8_t *rows)
{
    if (dahdi_gone(d))
        return;
    if (!dahdi_write(&d->health, &d->slot[d->lead], &d->numbers, rows + d->lead * BEARER_FRAMES, BEARER_FRAMES)) {
        d->not_taken++;
        return;
    }
    for (int s = 1; s < BEARER_SLOTS && !dahdi_gone(d); s++)
        if (s != d->lead && dahdi_is_octets(&d->slot[s]))
            dahdi_write(&d->health, &d->slot[s], &d->numbers, rows + s * BEARER_FRAMES, BEARER_FRAMES);
    d->given++;
    d->unsent++;
}

static void dahdi_give(void *state, const uint8_t *rows, const uint8_t *abcd)
{
    struct dahdi_span *d = state;

    memcpy(d->sent, rows, sizeof d->sent);
    if (dahdi_gone(d))
        return;
    if (d->orders.loop == 2)
        dahdi_loop_back(d, 1, BEARER_SLOTS - 1);
    else if (d->orders.loop == 3 && d->orders.loop_slot > 0 && d->orders.loop_slot < BEARER_SLOTS)
        dahdi_loop_back(d, d->orders.loop_slot, d->orders.loop_slot);
    if (d->ahead) {
        uint8_t quiet[BLOCK_OCTETS];
        memset(quiet, d->bearer.idle, sizeof quiet);
        for (; d->ahead; d->ahead--)
            dahdi_block_out(d, quiet);
    }
    for (int n = d->running ? 1 + d->slip : 0; n > 0; n--)
        dahdi_block_out(d, d->sent);
    for (int s = 1; s < BEARER_SLOTS && !dahdi_gone(d); s++) {
        struct dahdi_channel *c = &d->slot[s];
        if (c->kind == DAHDI_FRAMES)
            dahdi_frames_out(d, c, d->sent + s * BEARER_FRAMES);
        if (c->kind == DAHDI_CAS && d->numbers.set_txbits && c->abcd != (abcd[s] & 15)) {
            int bits = c->abcd = abcd[s] & 15;
            ioctl(c->fd, d->numbers.set_txbits, &bits);
        }
    }
}

#endif
