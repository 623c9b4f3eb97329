/* One pseudowire: CESoPSN (RFC 5086) or SAToP (RFC 4553) over UDP, a bearer of the media engine.
 *
 * The tick thread owns it.  What another thread sets while it runs (struct pw_orders) are single words; figures are read as
 * they are.  Time is counted in ticks of 10 ms, so that it is the board's and a test's.
 *
 * Lost packets: CESoPSN puts idle code in their place, SAToP all ones (RFC 4553 5.2.2); the L bit gives all ones in both, so
 * that the span shows AIS.  No packets for SILENT_TICKS is the loss-of-packets state: R goes out until they have come for
 * CLEAR_TICKS in a row.  Towards the far end we are the terminal equipment, too: RDI goes out (M 10, or the A bit of SAToP)
 * while nothing usable comes in (G.732 table 2).  */
#ifndef STROWGER_PSEUDOWIRE_H
#define STROWGER_PSEUDOWIRE_H

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bearer.h"
#include "e1_frame.h"
#include "pw_packet.h"
#include "pw_playout.h"

enum { CESOPSN = 0, SATOP = 1, BATCH = 16, BATCHES = 8, ROOM = 1600, SILENT_TICKS = 10, CLEAR_TICKS = 10, HELD = 2 * 80, LOOP_NONE = 0, LOOP_LOCAL = 1,
       LOOP_FAR = 2, LOOP_SLOT = 3, NIBBLES = BEARER_SLOTS, WRONGS = 5 };

struct pw_orders {
    int loop, loop_slot;        /* LOOP_SLOT: that timeslot goes back to the far end */
    int rai, ais;               /* forced */
};

struct pw {
    struct bearer bearer;
    /* settings */
    int fd, kind, rtp, payload_type, cas, n_slots, frames, payload, with_abcd;
    uint8_t slot[BEARER_SLOTS];
    struct sockaddr_in remote;
    volatile struct pw_orders orders;
    /* to the far end */
    uint16_t seq;
    uint32_t timestamp, ssrc;
    int held, held_at;          /* frames in `out`; part of the multiframe that goes next */
    uint8_t out[HELD][PW_FRAME_MOST];
    uint8_t nibbles[NIBBLES];
    struct e1_send framer;
    uint64_t sent, send_errors;
    int send_errno;
    /* from the far end */
    struct pw_playout playout;
    struct e1_receive deframer;
    uint64_t ticks;
    uint64_t last_good;
    int silent, good_ticks, good, ever;
    int bad, remote_loss, remote_rdi;           /* of the newest packet */
    uint64_t bad_packets, wrong[WRONGS], strangers, signalling;
    int wrong_size;
    struct sockaddr_in stranger;
    uint8_t *rows;
    uint8_t stream[E1_BLOCK];
    uint8_t taken[BEARER_SLOTS * BEARER_FRAMES], given[BEARER_SLOTS * BEARER_FRAMES];
    int block_bad;
};

/* Datagrams without the C library's cancellation points. */
#define pw_receive_many(fd, v, n) syscall(SYS_recvmmsg, (fd), (v), (n), MSG_DONTWAIT | MSG_TRUNC, NULL)
#define pw_send_many(fd, v, n) syscall(SYS_sendmmsg, (fd), (v), (n), MSG_DONTWAIT)

static int pw_fragments(const struct pw *p)
{ return p->with_abcd ? 16 / p->frames : 1; }

static int pw_frg(int part, int parts)
{ return parts == 1 ? FRG_WHOLE : part == 0 ? FRG_FIRST : part == parts - 1 ? FRG_LAST : FRG_MIDDLE; }

static void pw_packet(struct pw *p, const uint8_t *octets, int n, const struct sockaddr_in *from)
{
    struct pw_header h = { 0 };
    const uint8_t *payload = NULL;
    int length = 0, k, expected = p->payload, last, parts = pw_fragments(p);
    uint64_t frame;
    enum pw_wrong wrong;
    if (from->sin_addr.s_addr != p->remote.sin_addr.s_addr || from->sin_port != p->remote.sin_port) {
        p->strangers++;
        p->stranger = *from;
        return;
    }
    wrong = n > ROOM ? PW_SIZE : pw_read(octets, n, p->rtp, p->payload_type, &h, &payload, &length);
    if (wrong == PW_GOOD && !h.bad && h.m == M_SIGNALLING) {
        p->signalling++;                        /* RFC 5086 4.7.2, signalling packets: their state comes with the structure here */
        return;
    }
    last = h.frg == FRG_LAST || h.frg == FRG_WHOLE;
    if (p->with_abcd && last)
        expected += (p->n_slots + 1) / 2;
    if (wrong == PW_GOOD && (p->with_abcd ? (parts == 1) != (h.frg == FRG_WHOLE) || (parts == 2 && h.frg == FRG_MIDDLE) : h.frg != 0))
        wrong = PW_FRAGMENT;
    if (wrong == PW_GOOD && length != expected && !(h.bad && length == 0))
        wrong = PW_SIZE;
    if (wrong != PW_GOOD) {
        p->wrong[wrong]++;
        if (wrong == PW_SIZE)
            p->wrong_size = n;
        return;
    }
    p->last_good = p->ticks;
    p->ever = p->good = 1;
    p->bad = h.bad;
    p->remote_loss = h.remote_loss;
    p->remote_rdi = !h.bad && h.m == M_RDI;
    p->bad_packets += h.bad;
    if (!playout_place(&p->playout, h.seq, &frame))
        return;
    playout_put(&p->playout, frame, h.bad ? NULL : payload);
    if (p->with_abcd && last && !h.bad) {
        uint8_t abcd[NIBBLES] = { 0 };
        const uint8_t *at = payload + p->payload;
        for (k = 0; k < p->n_slots; k++)
            abcd[k] = k & 1 ? at[k / 2] & 15 : at[k / 2] >> 4;
        playout_abcd(&p->playout, frame, abcd, p->n_slots);
    }
}

static void pw_receive(struct pw *p)
{
    uint8_t room[BATCH][ROOM];
    struct sockaddr_in from[BATCH];
    struct iovec piece[BATCH];
    struct mmsghdr m[BATCH];
    int i, n, batches = BATCHES;
    if (p->fd < 0)
        return;
    do {
        for (i = 0; i < BATCH; i++) {
            piece[i] = (struct iovec){ room[i], ROOM };
            m[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &piece[i], .msg_iovlen = 1 };
        }
        n = (int)pw_receive_many(p->fd, m, BATCH);
        for (i = 0; i < n; i++)
            pw_packet(p, room[i], (int)m[i].msg_len, &from[i]);
    } while (n == BATCH && --batches);
}

static void pw_take_frame(void *user, int f, const uint8_t *data, int invalid)
{
    struct pw *p = user;
    int k;
    if (p->kind == SATOP) {
        if (data && !invalid)
            memcpy(p->stream + f * E1_OCTETS, data, E1_OCTETS);
        else
            memset(p->stream + f * E1_OCTETS, 0xFF, E1_OCTETS);
        return;
    }
    for (k = 0; k < p->n_slots; k++)
        p->rows[p->slot[k] * BEARER_FRAMES + f] = invalid ? 0xFF : data ? data[k] : p->bearer.idle;
}

static void pw_watch(struct pw *p)
{
    int silent = p->ticks - p->last_good >= SILENT_TICKS || !p->ever;
    p->good_ticks = p->good ? p->good_ticks + 1 : 0;
    p->good = 0;
    if (silent && !p->silent) {
        p->silent = 1;
        playout_restart(&p->playout);
    } else if (p->silent && p->good_ticks >= CLEAR_TICKS)
        p->silent = 0;
    if (p->silent && !p->good_ticks)
        p->bad = p->remote_loss = p->remote_rdi = 0;
}

/* Nothing usable comes in. */
static int pw_down(const struct pw *p)
{ return p->silent || p->bad || (p->kind == SATOP && !p->deframer.aligned); }

static void pw_take(void *state, uint8_t *rows, uint8_t *abcd)
{
    struct pw *p = state;
    const uint8_t *news;
    int f, k, played;
    p->ticks++;
    pw_receive(p);
    pw_watch(p);
    p->rows = rows;
    memset(rows, p->bearer.idle, BEARER_SLOTS * BEARER_FRAMES);
    played = playout_block(&p->playout, pw_take_frame, p, &news);
    if (p->kind == SATOP) {
        uint8_t frames[E1_BLOCK];
        if (!played)
            memset(p->stream, 0xFF, E1_BLOCK);
        e1_deframe(&p->deframer, p->stream, frames, abcd, &p->framer.e_owed);
        for (k = 1; k < BEARER_SLOTS; k++)
            for (f = 0; f < BEARER_FRAMES; f++)
                rows[k * BEARER_FRAMES + f] = frames[f * E1_OCTETS + k];
    } else if (news) {
        for (k = 0; k < p->n_slots; k++)
            abcd[p->slot[k]] = news[k];
    }
    if (p->orders.loop == LOOP_LOCAL)
        memcpy(rows, p->given, sizeof p->given);
    memcpy(p->taken, rows, sizeof p->taken);
}

static void pw_flush(struct pw *p, struct mmsghdr *m, int n)
{
    int done = 0;
    while (done < n) {
        int went = (int)pw_send_many(p->fd, m + done, n - done);
        if (went > 0) {
            p->sent += went;
            done += went;
        } else {
            p->send_errors++;
            p->send_errno = errno;
            done++;                     /* that one is lost, as any may be */
        }
    }
}

static void pw_give(void *state, const uint8_t *rows, const uint8_t *abcd)
{
    struct pw *p = state;
    uint8_t room[BATCH][ROOM], frames[E1_BLOCK], looped[BEARER_SLOTS * BEARER_FRAMES];
    struct iovec piece[BATCH];
    struct mmsghdr m[BATCH];
    struct pw_header h;
    int f, k, n = 0, at = 0, parts = pw_fragments(p), down = pw_down(p);
    memcpy(p->given, rows, sizeof p->given);
    if (p->orders.loop == LOOP_FAR)
        rows = p->taken;
    else if (p->orders.loop == LOOP_SLOT) {
        memcpy(looped, rows, sizeof looped);
        k = p->orders.loop_slot & 31;
        memcpy(looped + k * BEARER_FRAMES, p->taken + k * BEARER_FRAMES, BEARER_FRAMES);
        rows = looped;
    }
    if (p->fd < 0)
        return;
    if (p->kind == SATOP) {
        for (f = 0; f < BEARER_FRAMES; f++)
            for (k = 0; k < BEARER_SLOTS; k++)
                frames[f * E1_OCTETS + k] = rows[k * BEARER_FRAMES + f];
        p->framer.rai = down || p->orders.rai;
        p->framer.ais = p->orders.ais;
        e1_frame(&p->framer, frames, abcd);
    }
    for (f = 0; f < BEARER_FRAMES; f++) {
        uint8_t *to = p->out[p->held++];
        if (p->kind == SATOP)
            memcpy(to, frames + f * E1_OCTETS, E1_OCTETS);
        else
            for (k = 0; k < p->n_slots; k++)
                to[k] = rows[p->slot[k] * BEARER_FRAMES + f];
    }
    memset(&h, 0, sizeof h);
    while (p->held - at >= p->frames) {
        int octets = p->payload, part = p->held_at, headers;
        uint8_t *to;
        h.seq = p->seq++;
        h.timestamp = p->timestamp;
        h.ssrc = p->ssrc;
        h.bad = p->kind == CESOPSN && p->orders.ais;
        h.remote_loss = p->silent;
        h.m = !h.bad && p->kind == CESOPSN && (down || p->orders.rai) ? M_RDI : 0;
        h.frg = p->with_abcd ? pw_frg(part, parts) : 0;
        if (p->with_abcd && part == parts - 1)
            octets += (p->n_slots + 1) / 2;
        headers = pw_write(room[n], &h, p->rtp, p->payload_type, octets);
        to = room[n] + headers;
        for (f = 0; f < p->frames; f++, to += p->playout.octets)
            memcpy(to, p->out[at + f], p->playout.octets);
        if (p->with_abcd && part == parts - 1)
            for (k = 0; k < p->n_slots; k += 2)
                *to++ = (uint8_t)((abcd[p->slot[k]] & 15) << 4 | (k + 1 < p->n_slots ? abcd[p->slot[k + 1]] & 15 : 0));
        at += p->frames;
        p->timestamp += p->frames;
        p->held_at = (part + 1) % parts;
        piece[n] = (struct iovec){ room[n], headers + octets };
        m[n].msg_hdr = (struct msghdr){ .msg_name = &p->remote, .msg_namelen = sizeof p->remote, .msg_iov = &piece[n], .msg_iovlen = 1 };
        if (++n == BATCH) {
            pw_flush(p, m, n);
            n = 0;
        }
    }
    pw_flush(p, m, n);
    p->held -= at;
    memmove(p->out[0], p->out[at], (size_t)p->held * PW_FRAME_MOST);
}

#endif
