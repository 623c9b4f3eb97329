/* T1 extended superframe: F bits, CRC-6, remote alarm (ANSI T1.403 8 and 9), and the block of the line socket.
 *
 * Inside this program a T1 span looks as an E1 span does: 80 frames of 32 octets, timeslot n in column n (1..24), audio in
 * A-law; the law is changed here, both ways, except in the timeslot of the D channel.
 */
#include <string.h>

#include "far.h"

static const uint8_t PATTERN[6] = {0, 0, 1, 0, 1, 1};   /* frames 4, 8, ..., 24 */
static const uint8_t ALARM[16] = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};
static const uint8_t FLAG[8] = {0, 1, 1, 1, 1, 1, 1, 0};

static uint8_t to_alaw[256], to_ulaw[256];
static uint8_t crc_table[64][256];                       /* register after one more octet */

static uint8_t shift(uint8_t r, int bit)
{
    int feed = (r >> 5 ^ bit) & 1;
    r = r << 1 & 63;
    return feed ? r ^ 3 : r;
}

static void build_tables(void)
{
    for (int i = 0; i < 256; i++) { to_alaw[i] = ulaw_to_alaw(i); to_ulaw[i] = alaw_to_ulaw(i); }
    for (int r = 0; r < 64; r++)
        for (int octet = 0; octet < 256; octet++) {
            uint8_t x = r;
            for (int bit = 7; bit >= 0; bit--) x = shift(x, octet >> bit & 1);
            crc_table[r][octet] = x;
        }
}

/* block: 80x32, timeslots ready; line: T1_BLOCK octets. */
void t1_frame_block(struct t1_tx *t, const uint8_t *block, uint8_t *line, const bool *clear)
{
    if (!crc_table[1][1]) build_tables();
    uint8_t *f_bits = line + FRAMES * T1_TIMESLOTS;
    memset(f_bits, 0, FRAMES / 8);
    for (int f = 0; f < FRAMES; f++, block += TIMESLOTS, line += T1_TIMESLOTS) {
        int p = t->position, bit;
        if (p % 2 == 0) {
            bit = t->rai ? ALARM[t->link] : FLAG[t->link % 8];
            t->link = (t->link + 1) % 16;
        } else if (p % 4 == 1) {
            bit = t->crc_sent >> (5 - p / 4) & 1;
        } else {
            bit = PATTERN[p / 4];
        }
        if (bit) f_bits[f / 8] |= 0x80 >> f % 8;
        t->crc = shift(t->crc, 1);                        /* the F bit counts as one */
        for (int i = 1; i <= T1_TIMESLOTS; i++) {
            uint8_t octet = clear[i] ? block[i] : to_ulaw[block[i]];
            line[i - 1] = octet;
            t->crc = crc_table[t->crc][octet];
        }
        if (p == 23) { t->crc_sent = t->crc; t->crc = 0; }
        t->position = (p + 1) % 24;
    }
}

/* Look at a received line block; block gets its timeslots.  Frames begin with the block; any frame may be the first. */
void t1_check_block(struct t1_rx *r, const uint8_t *line, uint8_t *block, const bool *clear)
{
    if (!crc_table[1][1]) build_tables();
    const uint8_t *f_bits = line + FRAMES * T1_TIMESLOTS;
    memset(block, IDLE, BLOCK);
    for (int f = 0; f < FRAMES; f++, block += TIMESLOTS, line += T1_TIMESLOTS) {
        int bit = f_bits[f / 8] >> (7 - f % 8) & 1;
        for (int i = 1; i <= T1_TIMESLOTS; i++) block[i] = clear[i] ? line[i - 1] : to_alaw[line[i - 1]];
        for (int k = 95; k > 0; k--) r->seen[k] = r->seen[k - 1];
        r->seen[0] = bit;
        r->count++;
        if (!r->aligned) {
            bool good = r->count >= 96;
            for (int k = 0; k < 24 && good; k++) good = r->seen[k * 4] == PATTERN[5 - k % 6];
            if (good) { r->aligned = true; r->position = 0; r->wrong = 0; r->whole = 0; r->crc = 0; }
            continue;
        }
        int p = r->position;
        if (p % 4 == 3) {
            r->wrong = (r->wrong << 1 | (bit != PATTERN[p / 4])) & 0x1F;
            if (r->wrong & 1) r->f_errors++;
            if (__builtin_popcount(r->wrong) >= 2) { r->aligned = r->rai = false; r->count = 0; r->losses++; continue; }
        }
        if (p % 4 == 1) r->crc_told = (r->crc_told << 1 | bit) & 63;
        if (p % 2 == 0) {
            r->link = r->link << 1 | bit;
            if ((uint16_t)r->link == 0xFF00) { r->alarms++; r->since_alarm = 0; }
            else if (++r->since_alarm > 40) r->alarms = 0;
            r->rai = r->alarms >= 4;
        }
        r->crc = shift(r->crc, 1);
        for (int i = 0; i < T1_TIMESLOTS; i++) r->crc = crc_table[r->crc][line[i]];
        if (p == 23) {
            if (r->whole >= 2 && r->crc_told != r->crc_before) r->crc_errors++;
            r->whole++;
            r->crc_before = r->crc;
            r->crc = 0;
        }
        r->position = (p + 1) % 24;
    }
}
