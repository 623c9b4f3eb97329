/* A span of a card that Linux drives through DAHDI: one descriptor a channel, a block of 80 octets each way a tick.
 *
 * All channels of a span run in step, so the first one that carries octets leads: where it has no block, none of the others is asked
 * (`missing`), and where the backlog is too long a block of all is thrown away (`left_out`).  After a block that was missing one
 * is let stand, so that the two clocks may move past each other by a block before the next one is missing.  */
#ifndef STROWGER_DAHDI_SPAN_H
#define STROWGER_DAHDI_SPAN_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bearer.h"
#include "dahdi_hdlc.h"

enum { DAHDI_NONE, DAHDI_OCTETS, DAHDI_FRAMES, DAHDI_CAS };      /* what a channel gives: octets; HDLC frames; octets and ABCD bits */
enum { DAHDI_EVENT = 500, GONE_TICKS = 20, LOOK_TICKS = 50, BACKLOG_MOST = 3 };
enum { SILENT_TICKS = 10 };

struct dahdi_channel {
    int fd, kind;
    uint8_t abcd;             /* sent last */
    struct hdlc_in in;
    struct hdlc_out out;
};

struct dahdi_orders {
    int loop, loop_slot;      /* 0 none, 1 local (towards us), 2 remote, 3 a timeslot towards the far end */
};

struct dahdi_span {
    struct bearer bearer;
    struct dahdi_channel slot[BEARER_SLOTS];
    struct dahdi_orders orders;
    int lead;                 /* slot of the leading channel */
    int gone, failed;         /* ticks in a row in which the device failed; GONE_TICKS: it is not asked any more.  This one */
    int error;                /* errno of that */
    int held, empty;          /* blocks to let stand; ticks in a row without a block */
    unsigned long get_bufinfo, get_rxbits, set_txbits, get_event;      /* ioctl numbers; 0: not to be asked (tests) */
    uint64_t ticks, blocks, missing, left_out, given, not_taken, events;
    uint8_t sent[BEARER_SLOTS * BEARER_FRAMES], came[BEARER_SLOTS * BEARER_FRAMES];
};

struct dahdi_buffers { int txpolicy, rxpolicy, number, size, readable, writable; };

static inline void dahdi_failed(struct dahdi_span *d, int number)
{
    if (number == EAGAIN || number == EINTR)
        return;
    if (number == DAHDI_EVENT) { /* no error: the channel has something to tell */
        d->events++;
        return;
    }
    d->error = number;
    d->failed = 1;
    if (number == ENODEV || number == ENXIO) /* for good; and DAHDI lets whoever still asks sleep for 5 ms each time */
        d->gone = GONE_TICKS;
}

/* The card tells of an event once; the channel gives octets again when it was fetched. */
static inline ssize_t dahdi_read(struct dahdi_span *d, int fd, uint8_t *octets, size_t most)
{
    ssize_t n = read(fd, octets, most);
    if (n < 0 && errno == DAHDI_EVENT && d->get_event) {
        int event = 0;
        d->events++;
        if (ioctl(fd, d->get_event, &event) == 0)
            n = read(fd, octets, most);
    }
    if (n == 0) { /* an end of file, which a channel has not */
        errno = ENODEV;
        n = -1;
    }
    return n;
}

static inline void dahdi_loop_back(struct dahdi_span *d, int first, int last)
{
    memcpy(d->sent + first * BEARER_FRAMES, d->came + first * BEARER_FRAMES, (size_t)(last - first + 1) * BEARER_FRAMES);
}

/* One block of every channel into rows, or nowhere. */
static inline void dahdi_block_in(struct dahdi_span *d, uint8_t *rows, const uint8_t *lead)
{
    for (int s = 1; s < BEARER_SLOTS; s++) {
        struct dahdi_channel *c = &d->slot[s];
        uint8_t block[HDLC_FRAME_MOST + 8];
        if (c->kind != DAHDI_OCTETS && c->kind != DAHDI_CAS)
            continue;
        ssize_t n = BEARER_FRAMES;
        if (d->gone >= GONE_TICKS)
            return;
        if (s != d->lead)
            n = dahdi_read(d, c->fd, block, BEARER_FRAMES);
        else
            memcpy(block, lead, BEARER_FRAMES);
        if (n == BEARER_FRAMES && rows)
            memcpy(rows + s * BEARER_FRAMES, block, BEARER_FRAMES);
        else if (n < 0)
            dahdi_failed(d, errno);
    }
}

static inline void dahdi_frames_in(struct dahdi_span *d, uint8_t *rows)
{
    for (int s = 1; s < BEARER_SLOTS; s++) {
        struct dahdi_channel *c = &d->slot[s];
        if (c->kind != DAHDI_FRAMES)
            continue;
        while (c->out.head - c->out.tail < SENT_FRAMES && d->gone < GONE_TICKS) {
            uint8_t frame[HDLC_FRAME_MOST];
            ssize_t length = dahdi_read(d, c->fd, frame, sizeof frame);
            if (length <= 0) {
                if (length < 0)
                    dahdi_failed(d, errno);
                break;
            }
            hdlc_put(&c->out, frame, (uint32_t)length);
        }
        for (int n = 0; n < BEARER_FRAMES; n++)
            rows[s * BEARER_FRAMES + n] = hdlc_octet_out(&c->out);
    }
}

static inline void dahdi_bits_in(struct dahdi_span *d, uint8_t *abcd)
{
    for (int s = 1; s < BEARER_SLOTS; s++) {
        int bits = 0;
        if (d->slot[s].kind == DAHDI_CAS && d->get_rxbits && d->gone < GONE_TICKS && ioctl(d->slot[s].fd, d->get_rxbits, &bits) == 0)
            abcd[s] = bits & 15; /* what stands above them is none of ours */
    }
}

static void dahdi_take(void *state, uint8_t *rows, uint8_t *abcd)
{
    struct dahdi_span *d = state;
    uint8_t lead[BEARER_FRAMES];

    d->ticks++;
    if (d->orders.loop == 1) {
        memcpy(rows, d->sent, sizeof d->sent);
        return;
    }
    memset(rows, d->bearer.idle, BEARER_SLOTS * BEARER_FRAMES);
    if (d->gone >= GONE_TICKS)
        return;
    if (d->held) {
        d->held--;
    } else {
        ssize_t n = dahdi_read(d, d->slot[d->lead].fd, lead, sizeof lead);
        if (n == BEARER_FRAMES) {
            dahdi_block_in(d, rows, lead);
            d->blocks++;
            d->empty = 0;
        } else {
            if (n < 0)
                dahdi_failed(d, errno);
            d->missing++;
            d->held = 1;
            d->empty++;
        }
        if (d->get_bufinfo && d->ticks % LOOK_TICKS == 0) {
            struct dahdi_buffers buffers = {0};
            if (ioctl(d->slot[d->lead].fd, d->get_bufinfo, &buffers) == 0 && buffers.readable > BACKLOG_MOST
                && read(d->slot[d->lead].fd, lead, sizeof lead) == BEARER_FRAMES) {
                dahdi_block_in(d, NULL, lead);
                d->left_out++;
            }
        }
    }
    dahdi_frames_in(d, rows);
    dahdi_bits_in(d, abcd);
    memcpy(d->came, rows, sizeof d->came);
}

static inline void dahdi_frames_out(struct dahdi_span *d, struct dahdi_channel *c, const uint8_t *row)
{
    for (int n = 0; n < BEARER_FRAMES; n++)
        for (int bit = 7; bit >= 0; bit--)
            if (hdlc_bit_in(&c->in, row[n] >> bit & 1)) {
                if (write(c->fd, c->in.frame, c->in.length) < 0) {
                    dahdi_failed(d, errno);
                    d->not_taken++;
                }
                hdlc_next_in(&c->in);
            }
}

static void dahdi_give(void *state, const uint8_t *rows, const uint8_t *abcd)
{
    struct dahdi_span *d = state;

    memcpy(d->sent, rows, sizeof d->sent);
    if (d->gone >= GONE_TICKS)
        return;
    if (d->orders.loop == 2)
        dahdi_loop_back(d, 1, BEARER_SLOTS - 1);
    else if (d->orders.loop == 3 && d->orders.loop_slot > 0 && d->orders.loop_slot < BEARER_SLOTS)
        dahdi_loop_back(d, d->orders.loop_slot, d->orders.loop_slot);
    ssize_t taken = write(d->slot[d->lead].fd, d->sent + d->lead * BEARER_FRAMES, BEARER_FRAMES);
    if (taken != BEARER_FRAMES) {
        if (taken < 0)
            dahdi_failed(d, errno);
        d->not_taken++;
    }
    for (int s = 1; s < BEARER_SLOTS && d->gone < GONE_TICKS; s++) {
        struct dahdi_channel *c = &d->slot[s];
        if (c->kind == DAHDI_FRAMES) {
            dahdi_frames_out(d, c, d->sent + s * BEARER_FRAMES);
            continue;
        }
        if (c->kind == DAHDI_NONE)
            continue;
        if (c->kind == DAHDI_CAS && d->set_txbits && c->abcd != (abcd[s] & 15)) {
            int bits = c->abcd = abcd[s] & 15;
            ioctl(c->fd, d->set_txbits, &bits);
        }
        if (s != d->lead && taken == BEARER_FRAMES && write(c->fd, d->sent + s * BEARER_FRAMES, BEARER_FRAMES) < 0)
            dahdi_failed(d, errno);
    }
    d->given += taken == BEARER_FRAMES;
    if (d->gone < GONE_TICKS)
        d->gone = d->failed ? d->gone + 1 : 0;
    d->failed = 0;
}

#endif
