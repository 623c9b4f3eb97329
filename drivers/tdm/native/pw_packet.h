/* Packets of a TDM pseudowire over UDP: RTP header (optional), control word, payload.
 *
 * Order over UDP: RTP before the control word (RFC 5086 4.1 and RFC 4553 4.1, figures for IP with UDP demultiplexing).
 * Control word: four zero bits, L, R, M (2), FRG (2), LEN (6), sequence number (16) (RFC 5086 4.3, RFC 4553 4.3).
 *   L        the payload is no good: the far attachment circuit has failed; the payload may be left out
 *   R        the sender does not get our packets
 *   M        with L = 0: 00 nothing, 10 the far attachment circuit receives RDI, 11 signalling packets, 01 reserved
 *   FRG      structure with CAS: 00 a whole multiframe, 01 its first, 11 a middle, 10 its last part; else 00
 *   LEN      octets of headers and payload where they are fewer than 64, else 0; what follows is padding  */
#ifndef STROWGER_PW_PACKET_H
#define STROWGER_PW_PACKET_H

#include <stdint.h>
#include <string.h>

enum { PW_MOST = 1472, PW_RTP = 12, PW_WORD = 4, FRG_WHOLE = 0, FRG_FIRST = 1, FRG_LAST = 2, FRG_MIDDLE = 3, M_RDI = 2, M_SIGNALLING = 3 };

struct pw_header {
    int bad, remote_loss, m, frg;       /* bad: L bit */
    uint16_t seq;
    uint32_t timestamp, ssrc;
};

/* Why a packet is not taken; names in cesopsn.py. */
enum pw_wrong { PW_GOOD, PW_SIZE, PW_BITS, PW_RTP_HEADER, PW_FRAGMENT };

static inline uint32_t be32(const uint8_t *p)
{ return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static inline void put32(uint8_t *p, uint32_t v)
{ p[0] = (uint8_t)(v >> 24); p[1] = (uint8_t)(v >> 16); p[2] = (uint8_t)(v >> 8); p[3] = (uint8_t)v; }

/* Octets of headers written; the payload goes behind them. */
static inline int pw_write(uint8_t *p, const struct pw_header *h, int rtp, int payload_type, int payload)
{
    int at = 0, total = (rtp ? PW_RTP : 0) + PW_WORD + payload;
    if (rtp) {
        p[0] = 0x80;
        p[1] = (uint8_t)(payload_type & 127);
        p[2] = (uint8_t)(h->seq >> 8);
        p[3] = (uint8_t)h->seq;
        put32(p + 4, h->timestamp);
        put32(p + 8, h->ssrc);
        at = PW_RTP;
    }
    put32(p + at, (uint32_t)h->bad << 27 | (uint32_t)h->remote_loss << 26 | (uint32_t)h->m << 24 | (uint32_t)h->frg << 22 |
          (uint32_t)(total < 64 ? total : 0) << 16 | h->seq);
    return at + PW_WORD;
}

/* n octets as they came.  *payload, *length: what is carried.  The length of the payload is for the caller to judge. */
static inline enum pw_wrong pw_read(const uint8_t *p, int n, int rtp, int payload_type, struct pw_header *h, const uint8_t **payload, int *length)
{
    int at = 0, told;
    uint32_t word;
    memset(h, 0, sizeof *h);
    if (rtp) {
        if (n < PW_RTP + PW_WORD)
            return PW_SIZE;
        if (p[0] != 0x80 || (p[1] & 127) != payload_type)
            return PW_RTP_HEADER;
        h->timestamp = be32(p + 4);
        h->ssrc = be32(p + 8);
        at = PW_RTP;
    }
    if (n < at + PW_WORD)
        return PW_SIZE;
    word = be32(p + at);
    if (word >> 28)
        return PW_BITS;
    h->bad = word >> 27 & 1;
    h->remote_loss = word >> 26 & 1;
    h->m = word >> 24 & 3;
    h->frg = word >> 22 & 3;
    h->seq = (uint16_t)word;
    if (rtp && h->seq != (uint16_t)(p[2] << 8 | p[3]))      /* RFC 5086 4.4: one number space */
        return PW_RTP_HEADER;
    at += PW_WORD;
    told = word >> 16 & 63;
    if (told && (told < at || told > n))
        return PW_SIZE;
    *payload = p + at;
    *length = (told ? told : n) - at;
    return PW_GOOD;
}

#endif
