/* One channel of DAHDI: read, write and events that do not wait.
 *
 * A channel with something to tell fails both read and write with errno 500 until its event is fetched, and alarms and changed ABCD bits
 * queue up: so all of them are fetched at once, and what was asked is asked again.  A device that has gone away answers ENODEV after a
 * sleep of 5 ms in the kernel (nodev_common() of its dahdi-base.c; with 250 timer ticks a second that is 8 to 12): it is asked once, and
 * reads come when nobody waits for this tick (bearer.h, look).  */
#ifndef STROWGER_DAHDI_IO_H
#define STROWGER_DAHDI_IO_H

#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dahdi_hdlc.h"

enum { DAHDI_NONE, DAHDI_OCTETS, DAHDI_FRAMES, DAHDI_CAS };      /* what a channel gives: octets; HDLC frames; octets and ABCD bits */
enum { DAHDI_EVENT = 500, EVENTS_MOST = 64, EVENT_BITS = 13 };   /* errno ELAST of <dahdi/user.h>; DAHDI_MAX_EVENTSIZE; _BITSCHANGED */
enum { GONE_TICKS = 20 };

struct dahdi_numbers {        /* ioctl numbers; 0: not to be asked (tests) */
    unsigned long get_event, get_rxbits, set_txbits, flush;
};

struct dahdi_channel {
    int fd, kind;
    uint8_t abcd;             /* sent last */
    uint8_t look;             /* ABCD bits may have changed */
    uint8_t bits, fresh;      /* ABCD bits that came, not yet taken */
    struct hdlc_in in;
    struct hdlc_out out;
};

struct dahdi_health {
    int gone, failed;         /* ticks in a row in which the device failed, GONE_TICKS: it is not asked any more; this one */
    int error;                /* errno of that */
    uint64_t events;
};

static inline void dahdi_failed(struct dahdi_health *h, int number)
{
    if (number == EAGAIN || number == EINTR || number == DAHDI_EVENT)
        return;
    h->error = number;
    h->failed = 1;
    if (number == ENODEV || number == ENXIO)
        h->gone = GONE_TICKS;
}

/* Whether there was one. */
static inline int dahdi_event(struct dahdi_health *h, struct dahdi_channel *c, const struct dahdi_numbers *n)
{
    int event = 0;
    if (!n->get_event || ioctl(c->fd, n->get_event, &event) != 0)
        return 0;
    h->events++;
    c->look |= event == EVENT_BITS;
    return 1;
}

/* Octets read; 0: nothing there; -1: the device failed, and it was noted. */
static inline ssize_t dahdi_read(struct dahdi_health *h, struct dahdi_channel *c, const struct dahdi_numbers *numbers, uint8_t *octets, size_t most)
{
    ssize_t n = -1;
    for (int tries = 0; tries <= EVENTS_MOST; tries++) {
        n = read(c->fd, octets, most);
        if (n >= 0 || errno != DAHDI_EVENT || !dahdi_event(h, c, numbers))
            break;
    }
    if (n > 0)
        return n;
    int number = n < 0 ? errno : ENODEV;        /* a channel has no end of file */
    dahdi_failed(h, number);
    return h->failed || h->gone >= GONE_TICKS ? -1 : 0;
}

/* Whether all of it was taken. */
static inline int dahdi_write(struct dahdi_health *h, struct dahdi_channel *c, const struct dahdi_numbers *numbers, const uint8_t *octets, size_t length)
{
    ssize_t n = -1;
    for (int tries = 0; tries <= EVENTS_MOST; tries++) {
        n = write(c->fd, octets, length);
        if (n >= 0 || errno != DAHDI_EVENT || !dahdi_event(h, c, numbers))
            break;
    }
    if (n < 0)
        dahdi_failed(h, errno);
    return n == (ssize_t)length;
}

#endif
