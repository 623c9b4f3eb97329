/* The far exchange: what its parts share.
 *
 *   exchange.c    options, event loop, timers
 *   line.c        line sockets, one block in, one block out
 *   e1.c          frame alignment, CRC-4, remote alarm (G.704, G.706)
 *   t1.c          the same for T1: extended superframe, CRC-6 (T1.403)
 *   dchannel.c    HDLC (spandsp), libpri, trace
 *   q931_names.c  names of messages and frames, for events only
 *   calls.c       calls: libpri's events; calls_audio.c their sound, calls_commands.c what the socket wants of them (calls.h)
 *   audio.c       files played, recordings, digits
 *   control.c     control socket: commands in, events out
 *   json.c        flat JSON objects
 *   proof.c       tones that prove the way of a call
 *
 * One thread serves sockets and timers; a second writes recordings and traces,
 * so that no block ever waits for a disk.
 */
#ifndef STROWGER_FAR_H
#define STROWGER_FAR_H

#include <libpri.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <spandsp.h>

#include "proof.h"

enum { FRAMES = 80, TIMESLOTS = 32, BLOCK = FRAMES * TIMESLOTS, T1_TIMESLOTS = 24, T1_D_TIMESLOT = 24, T1_BLOCK = FRAMES * T1_TIMESLOTS + FRAMES / 8,
       SPANS_MAX = 64, IDLE = 0xD5, FRAME_MAX = 300, TX_QUEUE = 64 };

struct call;

/* ---- e1.c ---- */
struct e1_tx {
    int position;               /* frame of the CRC-4 multiframe, 0..15 */
    bool crc4, rai;
    uint8_t crc, crc_sent;      /* of the sub-multiframe under way; of the one before */
    int bad_first, bad_second;  /* E bits still to send */
};
struct e1_rx {
    bool crc4, aligned, rai, multiframe;
    int search, odd, misses, rai_run, nfas_misses;
    uint8_t nfas_bits;
    int position, hits, since_hit, filled;
    uint8_t crc, crc_before, crc_told;
    uint64_t losses, fas_errors, crc4_errors, e_bits;
};
void e1_frame_block(struct e1_tx *t, uint8_t *block);
void e1_check_block(struct e1_rx *r, struct e1_tx *t, const uint8_t *block);

/* ---- t1.c ---- */
struct t1_tx { int position, link; bool rai; uint8_t crc, crc_sent; };
struct t1_rx {
    bool aligned, rai;
    uint8_t seen[96];           /* F bits, the newest first */
    unsigned count, wrong;
    int position, whole, alarms, since_alarm;
    uint32_t link;
    uint8_t crc, crc_before, crc_told;
    uint64_t losses, f_errors, crc_errors;
};
/* clear: timeslots whose octets are no A-law and stay as they are: the D channel, data. */
void t1_frame_block(struct t1_tx *t, const uint8_t *block, uint8_t *line, const bool *clear);
void t1_check_block(struct t1_rx *r, const uint8_t *line, uint8_t *block, const bool *clear);

/* ---- span ---- */
enum disturbance { NORMAL, AIS, SCRAMBLED, CUT };

struct tx_frame { int octets; bool bad_fcs; uint8_t data[FRAME_MAX]; };

struct span {
    int number, fd;
    enum disturbance disturbance;
    bool forced_rai;
    uint64_t blocks, late_blocks, lost_blocks;
    double last_block;          /* monotonic time of the last one */
    bool in_block;              /* that one is being answered */
    bool is_t1;                 /* then `rx` mirrors what t1_rx found */
    int d_timeslot, timeslots;  /* 0: no D channel here (NFAS); the highest timeslot */
    bool clear[TIMESLOTS];      /* see t1_frame_block() */
    int side, switch_type;
    bool raw;                   /* no libpri: frames come and go by the control socket */
    bool deaf_to_restart;       /* RESTART of the box is not obeyed, nor answered */
    struct span *leader;        /* the span whose D channel serves this one: NFAS; else itself */
    int interface;              /* the interface identifier of NFAS */
    struct e1_tx tx;
    struct e1_rx rx;
    struct t1_tx t1_tx;
    struct t1_rx t1_rx;
    bool ais;

    struct pri *pri;
    bool link_up;
    hdlc_rx_state_t *hdlc_rx;
    hdlc_tx_state_t *hdlc_tx;
    struct tx_frame queue[TX_QUEUE];
    int queue_head, queue_len;
    uint8_t rx_frame[FRAME_MAX];
    int rx_octets;              /* one frame for libpri to read, FCS included; 0 is none */
    bool in_frame;              /* libpri is at work on a received frame */
    uint64_t rx_frames, tx_frames, fcs_errors, aborts, dropped_frames;
    uint8_t replacement[FRAME_MAX];
    int replacement_octets;
    int rx_expected, tx_expected;   /* N(S) of the next new I frame: later ones are repetitions */
    int trace_fd;

    struct call *calls;         /* all with a libpri reference, and channels of raw spans */
    struct call *by_timeslot[TIMESLOTS];
    unsigned incoming;
};

struct settings {
    const char *run, *control, *trace, *ss7;
    int side, switch_type;
    bool realtime, stdin_ends, debug, facility;
    bool crc4[SPANS_MAX + 1], t1[SPANS_MAX + 1], other_side[SPANS_MAX + 1], raw[SPANS_MAX + 1];
    int switches[SPANS_MAX + 1], nfas[SPANS_MAX + 1];      /* nfas: the leader's number */
};
extern struct settings settings;
extern struct span *spans[SPANS_MAX];
extern int span_count;
struct span *span_find(int number);

double mono_now(void);
double wall_now(void);
uint64_t span_sample(const struct span *s);

/* ---- line.c ---- */
void line_open(struct span *s);         /* tries to connect; quiet when it cannot */
void line_close(struct span *s);
void line_ready(struct span *s);        /* blocks wait */
const char *line_disturb(struct span *s, const char *state);

/* ---- dchannel.c ---- */
void dchannel_init(struct span *s);
void dchannel_receive(struct span *s, const uint8_t *octets, int n);
void dchannel_transmit(struct span *s, uint8_t *octets, int n);
void dchannel_restart(struct span *s);  /* the line came back: forget half a frame */
void dchannel_timers(struct span *s);
bool dchannel_queue(struct span *s, const uint8_t *frame, int octets, bool bad_fcs);
const char *q931_name(int type);
const char *q921_name(int control);

/* ---- audio.c ---- */
struct sound { char *path; uint8_t *alaw; int64_t samples; off_t size; int64_t changed; struct sound *next; };
struct sound *sound_load(const char *path, char *error, size_t room);
struct recorder;
struct recorder *recorder_open(struct span *s, const char *id, const char *path, char *error, size_t room);
void recorder_write(struct recorder *r, const uint8_t *alaw, int n);
void recorder_close(struct recorder *r);

/* fax.c: a fax machine; fax_block() replaces what was heard with what is said */
struct fax { fax_state_t *state; bool over; int status; };
struct fax *fax_new(bool calls, const char *send, const char *print, const char *station);
void fax_block(struct fax *f, uint8_t *samples);
void fax_figures(struct fax *f, char *text, size_t room);
void fax_end(struct fax *f);
void audio_start(void);
void audio_stop(void);                  /* waits until everything is on disk */
int audio_notify_fd(void);              /* readable when recordings were closed */
void audio_notify(void);
void writer_append(int fd, const void *data, size_t n);

/* ---- calls.c, calls_audio.c, calls_commands.c ---- */
struct json;
void calls_event(struct span *s, pri_event *e);
void calls_block(struct span *s, const uint8_t *rx, uint8_t *tx);
void calls_timers(double now);
void calls_close_all(void);
const char *calls_command(const char *what, const struct json *in, char *reply, size_t room);
void calls_status(char **at, char *end);

/* ---- control.c ---- */
void control_open(void);
int control_fd(void);
void control_accept(void);
void control_ready(void *client);
void control_close(void);
void event(const struct span *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
extern int poller;
void poller_add(int fd, void *what);

/* ---- json.c ---- */
enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING };
struct json_member { const char *name, *text; enum json_kind kind; double number; };
struct json { int n; struct json_member member[32]; };
const char *json_parse(char *line, struct json *out);   /* NULL or what is wrong; line is changed */
const struct json_member *json_get(const struct json *j, const char *name);
const char *json_text(const struct json *j, const char *name, const char *otherwise);
double json_number(const struct json *j, const char *name, double otherwise);
bool json_true(const struct json *j, const char *name);
const char *json_quote(const char *text);               /* in a buffer that the eighth next call reuses */

#endif
