/* E1 framing in timeslot 0: FAS, NFAS and CRC-4 multiframe (G.704 2.3, G.706 4). */
#include <string.h>

#include "far.h"

/* Bit 1 of the frames without FAS: 001011 in frames 1 to 11; frames 13 and 15 carry the E bits. */
static const uint8_t MULTIFRAME[8] = {0, 0, 1, 0, 1, 1, 0, 0};

/* Remainder of an octet times x^4 by x^4 + x + 1 (G.704 2.3.3.5). */
static uint8_t crc_table[256];

static void build_table(void)
{
    for (int octet = 0; octet < 256; octet++) {
        int r = 0;
        for (int bit = 7; bit >= 0; bit--) {
            int feed = (r >> 3 ^ octet >> bit) & 1;
            r = r << 1 & 15;
            if (feed) r ^= 3;
        }
        crc_table[octet] = r;
    }
}

static uint8_t crc_frame(uint8_t crc, const uint8_t *frame, uint8_t first)
{
    crc = crc_table[crc << 4 ^ first];
    for (int i = 1; i < TIMESLOTS; i++) crc = crc_table[crc << 4 ^ frame[i]];
    return crc;
}

/* Fill timeslot 0 of a block of which all other timeslots are ready. */
void e1_frame_block(struct e1_tx *t, uint8_t *block)
{
    if (!crc_table[1]) build_table();
    for (int f = 0; f < FRAMES; f++, block += TIMESLOTS) {
        int p = t->position;
        uint8_t octet;
        if (p & 1) {
            octet = 0x5F | (t->rai ? 0x20 : 0);
            if (!t->crc4) octet |= 0x80;
            else if (p == 13) { if (t->bad_first) t->bad_first--; else octet |= 0x80; }
            else if (p == 15) { if (t->bad_second) t->bad_second--; else octet |= 0x80; }
            else if (MULTIFRAME[p >> 1]) octet |= 0x80;
        } else {
            octet = 0x1B;
            if (!t->crc4 || t->crc_sent & 8 >> (p >> 1 & 3)) octet |= 0x80;
        }
        block[0] = octet;
        if (t->crc4) {
            /* The C bits themselves count as zero. */
            t->crc = crc_frame(t->crc, block, p & 1 ? octet : octet & 0x7F);
            if ((p & 7) == 7) { t->crc_sent = t->crc; t->crc = 0; }
        }
        t->position = (p + 1) & 15;
    }
}

static void lose(struct e1_rx *r)
{
    r->aligned = r->multiframe = false;
    r->search = r->hits = r->filled = 0;
    r->losses++;
}

/* CRC-4 multiframe: found by two alignment words 2 ms apart (G.706 4.2). */
static void follow_multiframe(struct e1_rx *r, struct e1_tx *t, const uint8_t *frame)
{
    uint8_t octet = frame[0];
    r->position = (r->position + 1) & 15;
    r->since_hit++;
    if (r->odd) {
        r->nfas_bits = (r->nfas_bits << 1 | octet >> 7) & 0x3F;
        if (!r->multiframe && r->nfas_bits == 0x0B) {
            if (r->hits && r->since_hit % 16 == 0 && r->since_hit <= 64) {
                r->multiframe = true; r->position = 11; r->filled = 0; r->misses = 0;
                r->crc = 0;
                return;
            }
            r->hits = 1; r->since_hit = 0;
        } else if (r->multiframe && r->position == 11 && r->nfas_bits != 0x0B) {
            if (++r->misses >= 8) { r->multiframe = false; r->hits = 0; }
        } else if (r->multiframe && (r->position == 13 || r->position == 15) && !(octet & 0x80)) {
            r->e_bits++;
        }
    }
    if (!r->multiframe) return;
    if ((r->position & 7) == 0) r->crc_told = 0;
    if (!r->odd) r->crc_told = (r->crc_told << 1 | octet >> 7) & 15;
    r->crc = crc_frame(r->crc, frame, r->odd ? octet : octet & 0x7F);
    if ((r->position & 7) == 7) {
        /* The first sub-multiframe after alignment is incomplete, the second has nothing to compare with. */
        if (r->filled >= 2 && r->crc_told != r->crc_before) {
            r->crc4_errors++;
            if (r->position == 7) t->bad_second++; else t->bad_first++;
        }
        r->filled++;
        r->crc_before = r->crc;
        r->crc = 0;
    }
}

/* Look at timeslot 0 of a received block; t takes the E bits that answer CRC errors. */
void e1_check_block(struct e1_rx *r, struct e1_tx *t, const uint8_t *block)
{
    if (!crc_table[1]) build_table();
    for (int f = 0; f < FRAMES; f++, block += TIMESLOTS) {
        bool fas = (block[0] & 0x7F) == 0x1B;
        bool nfas = block[0] & 0x40;
        if (!r->aligned) {
            /* FAS, then bit 2 set, then FAS again (G.706 4.1.2). */
            if (r->search == 0) r->search = fas;
            else if (r->search == 1) r->search = nfas ? 2 : fas;
            else if (fas) {
                r->aligned = true; r->odd = r->search = r->misses = r->nfas_misses = r->hits = 0;
                r->multiframe = false;
            } else r->search = 0;
            continue;
        }
        r->odd ^= 1;
        if (r->odd) {
            r->nfas_misses = nfas ? 0 : r->nfas_misses + 1;
            bool rai = nfas && block[0] & 0x20;
            r->rai_run = rai == r->rai ? 0 : r->rai_run + 1;
            if (r->rai_run >= 4) { r->rai = rai; r->rai_run = 0; }
        } else if (fas) {
            r->search = 0;
        } else {
            r->fas_errors++;
            r->search++;        /* consecutive wrong words; three are a loss (G.706 4.1.1) */
        }
        if ((!r->odd && r->search >= 3) || r->nfas_misses >= 3) { lose(r); continue; }
        if (r->crc4) follow_multiframe(r, t, block);
    }
}
