/* A call of the far exchange on libpri: what calls.c, calls_audio.c and calls_commands.c share. */
#ifndef STROWGER_FAR_CALLS_H
#define STROWGER_FAR_CALLS_H

#include "far.h"

enum state { SETUP, OVERLAP, PROCEEDING, ALERTING, ACTIVE, CLEARING };
extern const char *const CALL_STATES[];

struct call {
    struct call *next;
    struct span *span;
    q931_call *reference;
    char id[64];
    int timeslot;
    enum state state;
    bool incoming, told_end;        /* hangup has been reported */
    char called[64];                /* incoming: digits so far */
    char rest[64], *next_digit;     /* overlap sending */
    double digit_due, digit_interval, alert_due, answer_due;

    struct sound *play_at_connect, *play;
    bool repeat_at_connect, repeat;
    int64_t play_from;              /* tx sample of the file's first sample */
    struct recorder *recorder;
    int code;                       /* of the tone that proves the call's way; -1: none */
    struct proof *proof;
    struct fax *fax;
    char record_at_answer[512];
    dtmf_tx_state_t *dtmf;
    bool dtmf_on;
    char dtmf_digits[130];
    bert_state_t *bert, *pattern;   /* a bit pattern is checked, and goes out, from the most significant bit */
    bool data;                      /* octets stay as they are on a T1, too */
};

/* What becomes of calls that come in. */
struct policy {
    enum { ANSWER, ALERT, MANUAL, REFUSE } incoming;
    double alerting_s, answer_s;
    int cause, digits;
    struct sound *play;
    bool repeat, inband, proof;
    char record_dir[400], connected[32];
    bool connected_restricted, refuse_hold, refuse_transfer;
};
extern struct policy policy;

/* ---- calls.c ---- */
struct call *call_find(const char *id);
struct call *call_add(struct span *s, q931_call *reference, const char *id, int timeslot);
void call_forget(struct call *c, int cause);                        /* tells `released` */
void call_ended(struct call *c, int cause, const char *by);         /* tells `hangup`, once */
void call_tell(struct call *c, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void call_set_state(struct call *c, enum state state, const char *name);
void call_alert(struct call *c);
const char *call_answer(struct call *c);                            /* NULL or what is wrong */
int call_channel(const struct call *c);                             /* as libpri names it */
int span_idle_timeslot(const struct span *s);                       /* 0: none */

/* ---- calls_audio.c ---- */
void call_play(struct call *c, struct sound *sound, int64_t from, bool repeat);

#endif
