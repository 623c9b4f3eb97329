/* HDLC between the octets of a timeslot and whole frames, for D channels of which DAHDI gives frames (ISO/IEC 13239; Q.921 2).
 *
 * The first bit on the line is 0x80 of an octet of the timeslot, and 0x01 of an octet of a frame.  Frames have their FCS (2 octets,
 * X.25) behind them both ways: DAHDI wants room for it when it is written to, and gives it when it is read.  */
#ifndef STROWGER_DAHDI_HDLC_H
#define STROWGER_DAHDI_HDLC_H

#include <stdint.h>
#include <string.h>

enum { HDLC_FRAME_MOST = 520, SENT_FRAMES = 16 };

struct hdlc_in {                  /* timeslot -> frame */
    uint32_t ones, bits, octet, inside, length;
    uint16_t fcs;
    uint8_t frame[HDLC_FRAME_MOST];
    uint64_t frames, wrong;
};

struct hdlc_out {                 /* frames -> timeslot */
    uint8_t frame[SENT_FRAMES][HDLC_FRAME_MOST];
    uint16_t length[SENT_FRAMES];
    uint32_t head, tail, octet, bit, ones, flag_bit;
    int sending, zero;
    uint64_t frames, dropped;
};

static inline uint16_t hdlc_fcs(uint16_t fcs, uint8_t octet)
{
    fcs ^= octet;
    for (int n = 0; n < 8; n++)
        fcs = fcs & 1 ? fcs >> 1 ^ 0x8408 : fcs >> 1;
    return fcs;
}

/* One bit from our side.  Returns 1 when a whole, right frame stands in h->frame (h->length octets, FCS included). */
static inline int hdlc_bit_in(struct hdlc_in *h, int bit)
{
    if (bit) {
        if (++h->ones > 6) /* an abort, or an idle line */
            h->inside = 0;
        if (h->ones >= 6)
            return 0;
    } else if (h->ones == 5) { /* stuffed */
        h->ones = 0;
        return 0;
    } else if (h->ones >= 6) {
        int whole = h->ones == 6 && h->inside && h->bits == 6 && h->length >= 4, right = whole && h->fcs == 0xF0B8;
        h->wrong += (uint64_t)(h->ones == 6 && h->inside && h->length >= 3 && !right);
        h->inside = h->ones == 6; /* a flag closes and opens */
        h->ones = 0;
        h->frames += (uint64_t)right;
        if (!right) {
            h->length = h->bits = 0;
            h->fcs = 0xFFFF;
        }
        return right;
    } else {
        h->ones = 0;
    }
    if (!h->inside)
        return 0;
    h->octet = h->octet >> 1 | (bit ? 0x80u : 0);
    if (++h->bits == 8) {
        h->bits = 0;
        if (h->length == HDLC_FRAME_MOST) {
            h->inside = 0;
            h->wrong++;
            return 0;
        }
        h->frame[h->length++] = (uint8_t)h->octet;
        h->fcs = hdlc_fcs(h->fcs, (uint8_t)h->octet);
    }
    return 0;
}

static inline void hdlc_next_in(struct hdlc_in *h)
{
    h->length = h->bits = 0;
    h->fcs = 0xFFFF;
}

/* A frame of the far end, its FCS behind it (which is made anew). */
static inline void hdlc_put(struct hdlc_out *h, const uint8_t *frame, uint32_t length)
{
    if (length < 4 || length > HDLC_FRAME_MOST || h->head - h->tail == SENT_FRAMES) {
        h->dropped++;
        return;
    }
    uint8_t *kept = h->frame[h->head % SENT_FRAMES];
    uint16_t fcs = 0xFFFF;
    memcpy(kept, frame, length - 2);
    for (uint32_t n = 0; n < length - 2; n++)
        fcs = hdlc_fcs(fcs, kept[n]);
    kept[length - 2] = (uint8_t)~fcs;
    kept[length - 1] = (uint8_t)(~fcs >> 8);
    h->length[h->head % SENT_FRAMES] = (uint16_t)length;
    h->head++;
}

static inline int hdlc_bit_out(struct hdlc_out *h)
{
    if (!h->sending) { /* flags, and at the end of one a frame that waits */
        int bit = h->flag_bit != 0 && h->flag_bit != 7;
        if (++h->flag_bit == 8) {
            h->flag_bit = 0;
            if (h->head != h->tail) {
                h->sending = 1;
                h->octet = h->bit = h->ones = 0;
            }
        }
        return bit;
    }
    if (h->ones == 5) {
        h->ones = 0;
        return 0;
    }
    int bit = h->frame[h->tail % SENT_FRAMES][h->octet] >> h->bit & 1;
    h->ones = bit ? h->ones + 1 : 0;
    if (++h->bit == 8) {
        h->bit = 0;
        h->octet++;
    }
    if (h->octet == h->length[h->tail % SENT_FRAMES]) {
        /* the last octet may end in five ones: then a zero comes before the flag */
        if (h->ones < 5) {
            h->sending = 0;
            h->tail++;
            h->frames++;
        } else {
            h->zero = 1;
        }
    }
    return bit;
}

/* 8 bits of the line. */
static inline uint8_t hdlc_octet_out(struct hdlc_out *h)
{
    unsigned octet = 0;
    for (int n = 0; n < 8; n++) {
        int bit;
        if (h->zero) {
            bit = h->zero = h->sending = 0;
            h->tail++;
            h->frames++;
        } else {
            bit = hdlc_bit_out(h);
        }
        octet = octet << 1 | (unsigned)bit;
    }
    return (uint8_t)octet;
}

#endif
