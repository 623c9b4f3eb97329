/* Framing of an E1 in software, for SAToP: what the framer chip does where the line is a stream of bits in packets.
 *
 * G.704 (10/98) 2.3 frame and CRC-4 multiframe, 5.1.3.2 CAS multiframe in timeslot 16; G.706 (04/91) 4.1 loss and search of frame
 * alignment, 4.2 CRC-4 multiframe, 4.3.2 false alignment by 915 wrong CRCs of 1,000; G.775 (10/98) 5.2 AIS.  The stream may
 * begin at any bit.  A block is 80 frames; `offset` is where its first frame with the alignment signal begins.  */
#ifndef STROWGER_E1_FRAME_H
#define STROWGER_E1_FRAME_H

#include <stdint.h>
#include <string.h>

enum { E1_FRAMES = 80, E1_OCTETS = 32, E1_BLOCK = E1_FRAMES * E1_OCTETS, E1_PAIR = 512, E1_KEEP = 2 * E1_OCTETS, FAS = 0x1B,
       MFAS_BITS = 0x0B, FAS_MISSES = 3, FALSE_CRCS = 915 };

struct e1_send {
    int crc4, cas, rai, ais;
    int at;                     /* frame of the multiframe, 0..15 */
    uint8_t crc, crc_sent;      /* of the submultiframe under way, of the one before */
    int e_owed;                 /* E bits that are to say "wrong" */
};

struct e1_receive {
    int crc4, cas;
    int aligned, offset;
    int fas_misses, nfas_misses, ais, ais_run, rai, rai_run;
    uint8_t kept[E1_KEEP + 1];
    uint32_t si;                /* first bits of the odd frames, newest lowest */
    int multiframe, at;         /* CRC-4: found; the next frame's place */
    int searched;               /* frames without it */
    uint8_t crc, crc_before, crc_told;
    int crc_valid, second_crcs, second_wrong;
    int cas_found, cas_at, cas_misses, cas_rai, cas_ones, cas_zeros;
    uint8_t signal[16];         /* timeslot 16 of the CAS multiframe under way */
    uint8_t signal_before;
    uint64_t fas_errors, crc_errors, e_bits, losses;
};

static uint8_t e1_crc_table[256];

static void e1_prepare(void)
{
    int n, k;
    for (n = 0; n < 256; n++) {                 /* x^4 + x + 1, an octet and the register above it */
        int r = n;
        for (k = 0; k < 8; k++)
            r = r & 0x80 ? (r << 1) ^ (0x3 << 4) : r << 1;
        e1_crc_table[n] = (uint8_t)(r >> 4 & 15);
    }
}

static inline uint8_t e1_crc(uint8_t r, const uint8_t *p, int n)
{
    while (n--)
        r = e1_crc_table[(uint8_t)(r << 4) ^ *p++];
    return r;
}

/* frames: E1_BLOCK octets with payload in timeslots 1 to 31; abcd: nibble of each timeslot. */
static void e1_frame(struct e1_send *t, uint8_t *frames, const uint8_t *abcd)
{
    int f;
    for (f = 0; f < E1_FRAMES; f++, t->at = (t->at + 1) & 15) {
        uint8_t *p = frames + f * E1_OCTETS, first = 1;
        if (t->crc4) {
            if (!(t->at & 7)) {
                t->crc_sent = t->crc;
                t->crc = 0;
            }
            if (!(t->at & 1)) {
                first = t->crc_sent >> (3 - (t->at & 7) / 2) & 1;
            } else if (t->at < 13) {
                first = MFAS_BITS >> (5 - t->at / 2) & 1;
            } else if (t->e_owed) {
                t->e_owed--;
                first = 0;
            }
        }
        if (t->at & 1)
            p[0] = (uint8_t)(first << 7 | 0x5F | (t->rai ? 0x20 : 0));
        else
            p[0] = (uint8_t)(first << 7 | FAS);
        if (t->cas)
            p[16] = t->at ? (uint8_t)(abcd[t->at] << 4 | (abcd[t->at + 16] & 15)) : 0x0B;
        if (t->crc4) {
            uint8_t bare = t->at & 1 ? p[0] : p[0] & 0x7F;
            t->crc = e1_crc(e1_crc(t->crc, &bare, 1), p + 1, E1_OCTETS - 1);
        }
    }
    if (t->ais)
        memset(frames, 0xFF, E1_BLOCK);
}

static inline uint8_t octet_at(const uint8_t *p, int bit)
{ return (uint8_t)((p[bit >> 3] << 8 | p[(bit >> 3) + 1]) >> (8 - (bit & 7))); }

/* G.706 4.1.2: the signal, bit 2 of the next frame one, the signal again. */
static int e1_search(const uint8_t *p)
{
    int b;
    for (b = 0; b < E1_PAIR; b++)
        if ((octet_at(p, b) & 0x7F) == FAS && octet_at(p, b + 256) & 0x40 && (octet_at(p, b + 512) & 0x7F) == FAS &&
            octet_at(p, b + 768) & 0x40 && (octet_at(p, b + 1024) & 0x7F) == FAS)
            return b;
    return -1;
}

static void e1_lost(struct e1_receive *r)
{
    if (r->aligned)
        r->losses++;
    r->aligned = r->multiframe = r->cas_found = r->rai = r->rai_run = 0;
    r->fas_misses = r->nfas_misses = r->searched = r->crc_valid = 0;
    r->si = 0xFFFFFFFF;
}

static void e1_multiframe(struct e1_receive *r, const uint8_t *p, int odd, int *e_owed)
{
    uint8_t first = p[0] >> 7, bare;
    if (odd)
        r->si = r->si << 1 | first;
    if (!r->multiframe) {
        r->searched++;
        /* two alignment words 2 ms apart (G.706 4.2): frame 11 has just come */
        if (odd && (r->si & 0x3F) == MFAS_BITS && (r->si >> 8 & 0x3F) == MFAS_BITS) {
            r->multiframe = 1;
            r->at = 12;
            r->crc_valid = -1;                  /* until a submultiframe begins */
        }
        return;
    }
    if (!(r->at & 7)) {
        if (r->crc_valid >= 1) {
            r->second_crcs++;
            if (r->crc_told != r->crc_before) {
                r->crc_errors++;
                r->second_wrong++;
                (*e_owed)++;
            }
            if (r->second_crcs >= 1000) {
                if (r->second_wrong >= FALSE_CRCS)
                    e1_lost(r);
                r->second_crcs = r->second_wrong = 0;
                if (!r->aligned)
                    return;
            }
        }
        r->crc_before = r->crc;
        r->crc = r->crc_told = 0;
        r->crc_valid = r->crc_valid < 0 ? 0 : 1;
    }
    if (!odd)
        r->crc_told = (uint8_t)(r->crc_told << 1 | first);
    else if (r->at >= 13)
        r->e_bits += !first;
    bare = odd ? p[0] : p[0] & 0x7F;
    r->crc = e1_crc(e1_crc(r->crc, &bare, 1), p + 1, E1_OCTETS - 1);
    r->at = (r->at + 1) & 15;
}

static void e1_cas(struct e1_receive *r, uint8_t octet, uint8_t *abcd)
{
    int n;
    if (!r->cas_found) {
        if (!(octet & 0xF0) && r->signal_before & 0xF0) {
            r->cas_found = 1;
            r->cas_at = 0;
            r->cas_misses = 0;
        } else {
            r->signal_before = octet;
            return;
        }
    }
    r->signal[r->cas_at] = octet;
    if (++r->cas_at < 16)
        return;
    r->cas_at = 0;
    r->cas_ones = r->cas_zeros = 1;
    for (n = 0; n < 16; n++) {
        r->cas_ones &= r->signal[n] == 0xFF;
        r->cas_zeros &= r->signal[n] == 0;
    }
    if (r->signal[0] & 0xF0 || r->cas_zeros) {  /* G.732 5.2: lost when two words in a row are wrong */
        if (++r->cas_misses >= 2) {
            r->cas_found = 0;
            r->signal_before = octet;
        }
        return;
    }
    r->cas_misses = 0;
    r->cas_rai = r->signal[0] >> 2 & 1;
    for (n = 1; n < 16; n++) {
        abcd[n] = r->signal[n] >> 4;
        abcd[n + 16] = r->signal[n] & 15;
    }
}

/* A block of the stream -> 80 frames.  abcd: of timeslots, where there is a CAS multiframe.  0: out of frame, all ones. */
static int e1_deframe(struct e1_receive *r, const uint8_t *stream, uint8_t *frames, uint8_t *abcd, int *e_owed)
{
    uint8_t held[E1_KEEP + E1_BLOCK + 2];
    int f, k, n, zeros = 0;
    memcpy(held, r->kept, E1_KEEP);
    memcpy(held + E1_KEEP, stream, E1_BLOCK);
    held[E1_KEEP + E1_BLOCK] = held[E1_KEEP + E1_BLOCK + 1] = 0xFF;
    memcpy(r->kept, stream + E1_BLOCK - E1_KEEP, E1_KEEP);
    for (n = 0; n < E1_BLOCK && zeros < 120; n++)
        zeros += 8 - __builtin_popcount(stream[n]);
    r->ais = zeros < 120 && !r->aligned;        /* fewer than three in each 512 bits */
    if (!r->aligned) {
        int bit = e1_search(held);
        if (bit < 0) {
            memset(frames, 0xFF, E1_BLOCK);
            return 0;
        }
        r->aligned = 1;
        r->offset = bit;
        r->ais = 0;
    }
    for (f = 0; f < E1_FRAMES; f++) {
        uint8_t *p = frames + f * E1_OCTETS;
        int bit = r->offset + f * 256;
        if (bit & 7)
            for (k = 0; k < E1_OCTETS; k++)
                p[k] = octet_at(held, bit + 8 * k);
        else
            memcpy(p, held + (bit >> 3), E1_OCTETS);
        if (!r->aligned) {
            memset(p, 0xFF, E1_OCTETS);
            continue;
        }
        if (!(f & 1)) {
            if ((p[0] & 0x7F) != FAS) {
                r->fas_errors++;
                r->fas_misses++;
            } else
                r->fas_misses = 0;
        } else {
            r->nfas_misses = p[0] & 0x40 ? 0 : r->nfas_misses + 1;
            if ((p[0] >> 5 & 1) != r->rai) {
                if (++r->rai_run >= 3) {
                    r->rai = !r->rai;
                    r->rai_run = 0;
                }
            } else
                r->rai_run = 0;
        }
        if (r->fas_misses >= FAS_MISSES || r->nfas_misses >= FAS_MISSES) {      /* G.706 4.1.1 */
            e1_lost(r);
            continue;
        }
        if (r->crc4)
            e1_multiframe(r, p, f & 1, e_owed);
        if (r->cas && r->aligned)
            e1_cas(r, p[16], abcd);
    }
    return 1;
}

#endif
