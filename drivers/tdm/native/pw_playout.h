/* Jitter buffer of a pseudowire: frames by their number, played at the box's own clock.
 *
 * A frame's number is that of its packet, made longer than 16 bits, times the frames of a packet.  `play` is the number that
 * the line wants next, `end` that behind the newest that has come; between them lie `level` frames.  When it begins, play is
 * set `depth` frames and one block behind end.
 *
 * Two clocks.  The box's clock takes 80 frames a tick, the far end's sends as many as it likes: the level drifts by their
 * difference.  A drift that has eaten half the depth costs a controlled slip of one frame, as the elastic store of a line
 * interface does (G.823), at most ten a second, each counted.  A level that is out of all reason (a host that stood still) is
 * set right at once: counted as an overrun or underrun.  Judged once a second, by the mean of the level.
 *
 * Clock recovery (adaptive, RFC 4197 4.3.2): `raw` is what came less what the clock took, without slips; its slope is the
 * far clock's offset.  The mean of each second is kept; drivers/tdm/cesopsn.py lays a line through them.  */
#ifndef STROWGER_PW_PLAYOUT_H
#define STROWGER_PW_PLAYOUT_H

#include <stdint.h>
#include <string.h>

enum { RING = 4096, PW_FRAME_MOST = 32, TICKS_A_SECOND = 100, SLIPS_A_SECOND = 10, BLOCK_FRAMES = 80, LEVELS = 512,
       FAR_AWAY = 2000, SURE_OF_JUMP = 4, REASON = 240 };

struct pw_playout {
    int frames;                 /* of a packet */
    int octets;                 /* of a frame in the ring */
    int depth;                  /* frames between the newest and what is played, at the beginning */
    int started, playing;
    uint64_t newest;            /* longest number of a packet */
    uint64_t play, end, begin;
    uint16_t jump;              /* a sequence number far away: the one expected behind it */
    int jumps;
    int64_t raw;
    int64_t level_sum, raw_sum;
    int ticks, slips_owed, slip_ticks;
    int hold;                   /* frames of nothing to be put in */
    /* figures */
    uint64_t received, missing, filled, late, duplicates, reordered, far_away, repeated, left_out, overruns, underruns, resyncs;
    int level_mean;
    float level[LEVELS];        /* raw, mean of each second */
    uint32_t seconds;           /* written to level since it was begun anew */
    uint32_t stamp[RING];       /* low half of the number + 1 */
    uint8_t invalid[RING];      /* came with the L bit */
    uint8_t data[RING][PW_FRAME_MOST];
    uint32_t abcd_stamp[RING / 8];
    uint8_t abcd[RING / 8][PW_FRAME_MOST];
};

static inline void playout_restart(struct pw_playout *b)
{
    b->started = b->playing = 0;
    b->jumps = 0;
    b->level_sum = b->raw_sum = b->raw = 0;
    b->ticks = b->slips_owed = b->hold = 0;
    b->seconds = 0;
    /* Numbers are made longer from the same place again: those of before would be taken for doubles, and be played. */
    memset(b->stamp, 0, sizeof b->stamp);
    memset(b->abcd_stamp, 0, sizeof b->abcd_stamp);
}

/* Where a packet of this sequence number belongs: 1 with *frame, 0 for none (too late, known, or far away). */
static inline int playout_place(struct pw_playout *b, uint16_t seq, uint64_t *frame)
{
    int delta;
    uint64_t number;
    if (!b->started) {
        b->started = 1;
        b->newest = (uint64_t)seq + (1 << 20);      /* low 16 bits: seq */
        b->begin = b->end = b->newest * b->frames;
        b->raw = 0;
    }
    delta = (int16_t)(uint16_t)(seq - (uint16_t)b->newest);
    if (delta * b->frames > FAR_AWAY || delta * b->frames < -FAR_AWAY) {
        b->far_away++;
        b->jumps = seq == b->jump ? b->jumps + 1 : 1;
        b->jump = (uint16_t)(seq + 1);
        if (b->jumps < SURE_OF_JUMP)
            return 0;
        b->resyncs++;                               /* the far end began anew */
        playout_restart(b);
        return playout_place(b, seq, frame);
    }
    b->jumps = 0;
    number = b->newest + (int64_t)delta;
    *frame = number * b->frames;
    b->received++;
    if (b->stamp[*frame & (RING - 1)] == (uint32_t)*frame + 1) {
        b->duplicates++;
        return 0;
    }
    if (delta > 0)
        b->newest = number;
    if (*frame + b->frames > b->end) {
        b->raw += (int64_t)(*frame + b->frames - b->end);
        b->end = *frame + b->frames;
    }
    if (*frame < b->begin || (b->playing && *frame < b->play)) {
        b->late++;
        return 0;
    }
    b->reordered += delta < 0;
    return 1;
}

/* A packet's frames; data NULL: it says that they are no good. */
static inline void playout_put(struct pw_playout *b, uint64_t frame, const uint8_t *data)
{
    int f;
    for (f = 0; f < b->frames; f++) {
        uint32_t at = (frame + f) & (RING - 1);
        b->invalid[at] = !data;
        if (data)
            memcpy(b->data[at], data + f * b->octets, b->octets);
        b->stamp[at] = (uint32_t)(frame + f) + 1;
    }
}

static inline void playout_abcd(struct pw_playout *b, uint64_t frame, const uint8_t *nibbles, int n)
{
    uint32_t at = (frame >> 3) & (RING / 8 - 1);
    memcpy(b->abcd[at], nibbles, n);
    b->abcd_stamp[at] = (uint32_t)(frame >> 3) + 1;
}

static inline void playout_second(struct pw_playout *b)
{
    int mean = (int)(b->level_sum / TICKS_A_SECOND), centre = b->depth + BLOCK_FRAMES, now = (int)(b->end - b->play) + BLOCK_FRAMES - centre;
    int slack = b->depth / 2 > b->frames ? b->depth / 2 : b->frames;
    int reason = b->depth > REASON ? b->depth : REASON, over = mean - centre;
    b->level_mean = mean;
    b->level[b->seconds % LEVELS] = (float)b->raw_sum / TICKS_A_SECOND;
    b->seconds++;
    b->level_sum = b->raw_sum = 0;
    b->ticks = 0;
    b->slips_owed = 0;
    if (over > slack + reason || mean < BLOCK_FRAMES) {
        if (over > 0 && now > 0) {
            b->overruns++;
            b->play += now;
            b->seconds = 0;
        } else if (over < 0 && now < 0) {
            b->underruns++;
            b->hold = -now;                         /* what was played is not said again: layer 2 would hear it twice */
            b->seconds = 0;
        }
    } else if (over > slack) {
        b->slips_owed = over - slack < SLIPS_A_SECOND ? over - slack : SLIPS_A_SECOND;
    } else if (over < -slack) {
        b->slips_owed = over + slack > -SLIPS_A_SECOND ? over + slack : -SLIPS_A_SECOND;
    }
}

/* One block.  take(user, f, data, invalid): frame f of the block, data NULL where nothing is there.  0: nothing is played yet. */
static inline int playout_block(struct pw_playout *b, void (*frame)(void *, int, const uint8_t *, int), void *user, const uint8_t **abcd)
{
    int f;
    *abcd = NULL;
    if (b->started && !b->playing && b->end - b->begin >= (uint64_t)(BLOCK_FRAMES + b->depth)) {
        b->playing = 1;
        b->play = b->end - BLOCK_FRAMES - b->depth;
    }
    if (!b->playing)
        return 0;
    b->raw -= BLOCK_FRAMES;
    b->level_sum += (int64_t)(b->end - b->play);
    b->raw_sum += b->raw;
    if (b->slips_owed && --b->slip_ticks <= 0) {
        b->slip_ticks = TICKS_A_SECOND / SLIPS_A_SECOND;
        if (b->slips_owed > 0) {
            b->play++;
            b->left_out++;
            b->slips_owed--;
        } else {
            b->play--;
            b->repeated++;
            b->slips_owed++;
        }
    }
    for (f = 0; f < BLOCK_FRAMES; f++) {
        uint32_t at = b->play & (RING - 1);
        int there;
        if (b->hold) {
            b->hold--;
            frame(user, f, NULL, 0);
            continue;
        }
        there = b->stamp[at] == (uint32_t)b->play + 1;
        if (there)
            frame(user, f, b->data[at], b->invalid[at]);
        else
            frame(user, f, NULL, 0);
        b->filled++;
        b->missing += !there;
        if (!(b->play & 7)) {
            uint32_t mark = (b->play >> 3) & (RING / 8 - 1);
            if (b->abcd_stamp[mark] == (uint32_t)(b->play >> 3) + 1)
                *abcd = b->abcd[mark];
        }
        b->play++;
    }
    if (++b->ticks == TICKS_A_SECOND)
        playout_second(b);
    return 1;
}

#endif
