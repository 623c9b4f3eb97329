/* Calls of the SS7 far exchange: commands from the control socket, events of libss7's ISUP, audio of a circuit.
 *
 * CIC 32 k + t is timeslot t of the k-th span of --spans.  What an exchange answers by itself it answers: REL and RSC with
 * RLC, BLO, UBL, GRS, CGB, CGU with their acknowledgements, CQM with CQR.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ss7.h"

enum { CICS = SPANS_MAX * 32 };

struct call {
    bool used, incoming, told_end, clearing;
    int cic;
    struct isup_call *isup;
    unsigned char direction;            /* circuit state of Q.763 3.14: 0x04 incoming, 0x08 outgoing */
    char id[64];
    const char *state;
    double alert_due, answer_due;
    struct sound *play_at_connect, *play;
    bool repeat;
    int64_t play_from;
    struct recorder *recorder;
    int code;                           /* of the tone that proves the call's way; -1: none */
    struct proof *proof;
    char record_at_answer[512];
    dtmf_tx_state_t *dtmf;
    bool dtmf_on;
    bool wants_cot, wants_digits;       /* before it is taken */
};

static struct call calls[CICS];
static bool loops[CICS];                /* continuity: what comes goes back */
static int again[CICS], again_count;
static unsigned numbered;
static struct {
    enum { ANSWER, ALERT, MANUAL, REFUSE } incoming;
    double alerting_s, answer_s;
    int cause;
    int deaf;                           /* a circuit without a loop for continuity */
    bool overlap;                       /* the number comes in pieces, its end is ST */
    struct sound *play;
    bool proof;
    char record_dir[400];
} policy = {.cause = 17};

static struct span *span_of(int cic) { return cic / 32 < span_count ? spans[cic / 32] : NULL; }
static struct call *at(int cic) { return cic >= 0 && cic < CICS && span_of(cic) && cic % 32 ? &calls[cic] : NULL; }

static void tell(struct call *c, const char *name, const char *format, ...)
{
    char more[1500] = "";
    if (format) {
        va_list a;
        va_start(a, format);
        vsnprintf(more, sizeof more, format, a);
        va_end(a);
    }
    event(span_of(c->cic), name, "\"id\":%s,\"cic\":%d,\"timeslot\":%d%s%s", json_quote(c->id), c->cic, c->cic % 32,
          format ? "," : "", more);
}

static void ended(struct call *c, int cause, const char *by)
{
    if (!c->used || c->told_end) return;
    c->told_end = true;
    tell(c, "hangup", "\"cause\":%d,\"by\":\"%s\"", cause, by);
}

static void forget(struct call *c, int cause)
{
    if (!c->used) return;
    ended(c, cause, "failure");
    if (c->recorder) recorder_close(c->recorder);
    if (c->dtmf) dtmf_tx_free(c->dtmf);
    loops[c->cic] = false;
    struct proof *p = c->proof;
    if (p) tell(c, "released", "\"cause\":%d,\"heard\":%u,\"silent\":%u,\"other\":%u,\"breaks\":%u,\"first\":%d", cause, p->heard,
                p->silent, p->other, p->breaks, p->first);
    else tell(c, "released", "\"cause\":%d", cause);
    free(p);
    memset(c, 0, sizeof *c);
}

static struct call *begin(int cic, struct isup_call *isup, const char *id, bool incoming)
{
    struct call *c = at(cic);
    if (!c) return NULL;
    if (c->used) {
        if (!c->incoming && !c->told_end) ended(c, 44, incoming ? "glare" : "failure");      /* dual seizure that the other side wins */
        forget(c, 44);
    }
    *c = (struct call){.used = true, .incoming = incoming, .cic = cic, .isup = isup, .direction = incoming ? 0x04 : 0x08,
                       .state = "setup", .play_from = -1, .code = -1};
    snprintf(c->id, sizeof c->id, "%s", id);
    return c;
}

/* ---- audio ---- */

static void start_play(struct call *c, struct sound *sound, int64_t from, bool repeat)
{
    c->play = sound;
    c->play_from = from;
    c->repeat = repeat;
    tell(c, "play_started", "\"file\":%s,\"tx_sample\":%lld,\"samples\":%lld", json_quote(sound->path), (long long)from,
         (long long)sound->samples);
}

static void fill(struct call *c, int64_t now, uint8_t *out)
{
    memset(out, IDLE, FRAMES);
    if (c->play) {
        struct sound *s = c->play;
        int64_t from = now - c->play_from;
        for (int i = 0; i < FRAMES; i++, from++)
            if (from >= 0 && (from < s->samples || c->repeat)) out[i] = s->alaw[from % s->samples];
        if (from >= s->samples && !c->repeat) {
            c->play = NULL;
            tell(c, "play_done", "\"file\":%s,\"tx_sample\":%lld", json_quote(s->path), (long long)(c->play_from + s->samples));
        }
    }
    if (c->dtmf_on) {
        int16_t tone[FRAMES];
        int n = dtmf_tx(c->dtmf, tone, FRAMES);
        for (int i = 0; i < n; i++) out[i] = linear_to_alaw(tone[i]);
        if (n < FRAMES) {
            c->dtmf_on = false;
            tell(c, "dtmf_done", "\"tx_sample\":%lld", (long long)(now + n));
        }
    }
}

void calls_block(struct span *s, const uint8_t *rx, uint8_t *tx)
{
    uint8_t samples[FRAMES];
    int k = 0;
    while (k < span_count && spans[k] != s) k++;
    for (int t = 1; t < TIMESLOTS; t++) {
        struct call *c = &calls[32 * k + t];
        if (loops[32 * k + t])
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = rx[f * TIMESLOTS + t];
        if (!c->used) continue;
        if (c->recorder) {
            for (int f = 0; f < FRAMES; f++) samples[f] = rx[f * TIMESLOTS + t];
            recorder_write(c->recorder, samples, FRAMES);
        }
        if (c->proof && !c->clearing) {
            for (int f = 0; f < FRAMES; f++) samples[f] = rx[f * TIMESLOTS + t];
            proof_check(c->proof, samples);
            proof_send(c->proof, samples);
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = samples[f];
        } else if (c->play || c->dtmf_on) {
            fill(c, span_sample(s), samples);
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = samples[f];
        }
    }
    links_block(s, rx, tx);
}

/* ---- incoming calls ---- */

static void do_alert(struct call *c)
{
    c->alert_due = 0;
    c->state = "alerting";
    isup_cpg(point, c->isup, CPG_EVENT_ALERTING);
    tell(c, "alerting", NULL);
}

static const char *do_answer(struct call *c)
{
    static char error[700];
    const char *wrong = NULL;
    c->answer_due = 0;
    if (*c->record_at_answer && !c->recorder
        && !(c->recorder = recorder_open(span_of(c->cic), c->id, c->record_at_answer, error, sizeof error))) wrong = error;
    isup_anm(point, c->isup);
    c->state = "active";
    tell(c, "connect", NULL);
    if (c->code >= 0 && !c->proof) c->proof = proof_new(c->code, false);
    if (c->play_at_connect) start_play(c, c->play_at_connect, span_sample(span_of(c->cic)), false);
    return wrong;
}

static void do_release(struct call *c, int cause)
{
    if (c->clearing) return;
    c->clearing = true;
    c->state = "clearing";
    ended(c, cause, "exchange");
    isup_rel(point, c->isup, cause);
}

static void taken(struct call *c);

static void incoming(ss7_event_iam *iam)
{
    char id[64];
    snprintf(id, sizeof id, "in-%d-%u", iam->cic, ++numbered);
    struct call *c = begin(iam->cic, iam->call, id, true);
    if (!c) { isup_rel(point, iam->call, 44); return; }
    if (iam->cot_check_required && policy.deaf != iam->cic) loops[iam->cic] = true;
    if (iam->cot_check_required) tell(c, "continuity", "\"loop\":%s", policy.deaf == iam->cic ? "false" : "true");
    tell(c, "incoming", "\"caller\":%s,\"called\":%s,\"redirecting\":%s,\"nai\":%d", json_quote(iam->calling_party_num),
         json_quote(iam->called_party_num), json_quote(iam->redirecting_num), iam->called_nai);
    c->wants_cot = iam->cot_check_required;
    c->wants_digits = policy.overlap && !strpbrk(iam->called_party_num, "#F");
    if (policy.proof) c->code = proof_code(iam->called_party_num);
    taken(c);
}

/* The number is whole and the circuit has been checked. */
static void taken(struct call *c)
{
    char *id = c->id;
    if (c->wants_cot || c->wants_digits || strcmp(c->state, "setup")) return;
    if (policy.incoming == REFUSE) { do_release(c, policy.cause); return; }
    isup_acm(point, c->isup);
    c->state = "proceeding";
    tell(c, "proceeding", NULL);
    if (*policy.record_dir) snprintf(c->record_at_answer, sizeof c->record_at_answer, "%s/%s.wav", policy.record_dir, id);
    c->play_at_connect = policy.play;
    if (policy.incoming == MANUAL) return;
    c->alert_due = mono_now() + policy.alerting_s;
    if (policy.incoming == ANSWER) c->answer_due = c->alert_due + policy.answer_s;
}

void calls_timers(double now)
{
    for (struct call *c = calls; c < calls + CICS; c++) {
        if (!c->used || c->clearing) continue;
        if (c->alert_due && now >= c->alert_due) do_alert(c);
        if (c->answer_due && now >= c->answer_due) do_answer(c);
    }
    ss7_settle();
}

/* ---- what libss7 says ---- */

static void connected(int cic)
{
    struct call *c = at(cic);
    if (!c || !c->used) return;
    c->state = "active";
    tell(c, "connect", NULL);
    if (c->code >= 0 && !c->proof) c->proof = proof_new(c->code, true);
    if (c->play_at_connect) start_play(c, c->play_at_connect, span_sample(span_of(cic)), c->repeat);
}

static void told(int cic, const char *name)
{
    struct call *c = at(cic);
    if (c && c->used) { c->state = name; tell(c, name, NULL); }
}

static void over(int cic, struct isup_call *isup, int cause, const char *by)
{
    struct call *c = at(cic);
    if (c && c->used) { ended(c, cause, by); c->isup = NULL; forget(c, cause); }
    isup_free_call_if_clear(point, isup);
}

static void group(const char *name, int first, int last) { event(NULL, name, "\"first\":%d,\"last\":%d", first, last); }

void ss7_take(ss7_event *e)
{
    static unsigned char none[255], states[255];
    switch (e->e) {
    case ISUP_EVENT_IAM: incoming(&e->iam); break;
    case ISUP_EVENT_SAM:
        event(NULL, "digits", "\"cic\":%d,\"digits\":%s", e->sam.cic, json_quote(e->sam.called_party_num));
        if (at(e->sam.cic) && at(e->sam.cic)->used && strpbrk(e->sam.called_party_num, "#F")) {
            at(e->sam.cic)->wants_digits = false;
            taken(at(e->sam.cic));
        }
        break;
    case ISUP_EVENT_COT:
        loops[e->cot.cic] = false;
        event(NULL, "cot", "\"cic\":%d,\"passed\":%s", e->cot.cic, e->cot.passed ? "true" : "false");
        if (e->cot.passed && at(e->cot.cic) && at(e->cot.cic)->used) {
            at(e->cot.cic)->wants_cot = false;
            taken(at(e->cot.cic));
        }
        break;
    case ISUP_EVENT_CCR:
        if (policy.deaf != e->ccr.cic) loops[e->ccr.cic] = true;
        event(NULL, "ccr", "\"cic\":%d", e->ccr.cic);
        break;
    case ISUP_EVENT_ACM: told(e->acm.cic, e->acm.called_party_status_ind == 1 ? "alerting" : "proceeding"); break;
    case ISUP_EVENT_CPG: told(e->cpg.cic, e->cpg.event == CPG_EVENT_ALERTING ? "alerting" : "progress"); break;
    case ISUP_EVENT_CON: connected(e->con.cic); break;
    case ISUP_EVENT_ANM: connected(e->anm.cic); break;
    case ISUP_EVENT_REL:
        isup_rlc(point, e->rel.call);
        loops[e->rel.cic] = false;
        over(e->rel.cic, e->rel.call, e->rel.cause, "box");
        break;
    case ISUP_EVENT_RLC: over(e->rlc.cic, e->rlc.call, 16, "exchange"); break;
    case ISUP_EVENT_RSC:
        event(NULL, "reset", "\"cic\":%d", e->rsc.cic);
        isup_rlc(point, e->rsc.call);
        over(e->rsc.cic, e->rsc.call, 41, "box");
        break;
    case ISUP_EVENT_BLO:
    case ISUP_EVENT_UBL:
        group(e->e == ISUP_EVENT_BLO ? "blo" : "ubl", e->blo.cic, e->blo.cic);
        if (e->e == ISUP_EVENT_BLO) isup_bla(point, e->blo.call); else isup_uba(point, e->ubl.call);
        isup_free_call_if_clear(point, e->blo.call);
        break;
    case ISUP_EVENT_BLA:
    case ISUP_EVENT_UBA:
        group(e->e == ISUP_EVENT_BLA ? "bla" : "uba", e->bla.cic, e->bla.cic);
        isup_free_call_if_clear(point, e->bla.call);
        break;
    case ISUP_EVENT_GRS:
        group("grs", e->grs.startcic, e->grs.endcic);
        for (int i = e->grs.startcic; i <= e->grs.endcic && at(i); i++) if (calls[i].used) forget(&calls[i], 41);
        isup_gra(point, e->grs.call, e->grs.endcic, none);
        isup_free_call_if_clear(point, e->grs.call);
        break;
    case ISUP_EVENT_CGB:
        group(e->cgb.type ? "cgb_hardware" : "cgb", e->cgb.startcic, e->cgb.endcic);
        isup_cgba(point, e->cgb.call, e->cgb.endcic, e->cgb.status);
        isup_free_call_if_clear(point, e->cgb.call);
        break;
    case ISUP_EVENT_CGU:
        group(e->cgu.type ? "cgu_hardware" : "cgu", e->cgu.startcic, e->cgu.endcic);
        isup_cgua(point, e->cgu.call, e->cgu.endcic, e->cgu.status);
        isup_free_call_if_clear(point, e->cgu.call);
        break;
    case ISUP_EVENT_GRA:
    case ISUP_EVENT_CGBA:
    case ISUP_EVENT_CGUA:
        group(e->e == ISUP_EVENT_GRA ? "gra" : e->e == ISUP_EVENT_CGBA ? "cgba" : "cgua", e->gra.startcic, e->gra.endcic);
        isup_free_call_if_clear(point, e->gra.call);
        break;
    case ISUP_EVENT_CQM:
        group("cqm", e->cqm.startcic, e->cqm.endcic);
        for (int i = e->cqm.startcic; i <= e->cqm.endcic && i - e->cqm.startcic < 255; i++)
            states[i - e->cqm.startcic] = at(i) && calls[i].used ? calls[i].direction : 0x0C;
        isup_cqr(point, e->cqm.startcic, e->cqm.endcic, adjacent, states);
        isup_free_call_if_clear(point, e->cqm.call);
        break;
    default: event(NULL, "isup", "\"name\":%s", json_quote(ss7_event2str(e->e)));
    }
}

void ss7_again(void)
{
    while (again_count) {
        struct call *c = &calls[again[--again_count]];
        if (c->used && c->isup) {
            isup_clear_callflags(point, c->isup, ISUP_SENT_IAM);
            isup_event_iam(point, c->isup, adjacent);
        }
    }
}

static void call_null(struct ss7 *s, struct isup_call *isup, int lock)
{
    for (struct call *c = calls; c < calls + CICS; c++)
        if (c->used && c->isup == isup) { c->isup = NULL; forget(c, 41); }
}

static int hang_up(struct ss7 *s, int cic, unsigned dpc, int cause, int act)
{
    struct call *c = at(cic);
    if (c && c->used && act == SS7_HANGUP_REEVENT_IAM && again_count < CICS) again[again_count++] = cic;
    return c && c->used ? SS7_CIC_USED : SS7_CIC_IDLE;
}

static void not_in_service(struct ss7 *s, int cic, unsigned dpc) { event(NULL, "no_circuit", "\"cic\":%d", cic); }

__attribute__((constructor)) static void hooks(void)
{
    ss7_set_call_null(call_null);
    ss7_set_hangup(hang_up);
    ss7_set_notinservice(not_in_service);
}

/* ---- commands ---- */

static const char *place(const struct json *in, char *reply, size_t room)
{
    static char error[700];
    struct span *s = span_find(json_number(in, "span", 0));
    const char *id = json_text(in, "id", ""), *called = json_text(in, "called", ""), *caller = json_text(in, "caller", ""),
        *redirecting = json_text(in, "redirecting", NULL), *play = json_text(in, "play", NULL), *record = json_text(in, "record", NULL);
    int k = 0, timeslot = json_number(in, "timeslot", 0);
    if (!s || !*id || !*called) return "`id`, `span` and `called` are wanted.";
    while (spans[k] != s) k++;
    for (int t = 1; !timeslot && t < TIMESLOTS; t++)
        if (t != s->d_timeslot && !calls[32 * k + t].used) timeslot = t;
    struct call *c = at(32 * k + timeslot);
    if (!c || c->used) return "This circuit is busy, or there is none.";
    struct sound *sound = NULL;
    if (play && !(sound = sound_load(play, error, sizeof error))) return error;
    struct isup_call *isup = isup_new_call(point, 32 * k + timeslot, adjacent, 1);
    if (!isup) return "libss7 gives no call for this circuit.";
    c = begin(32 * k + timeslot, isup, id, false);
    c->play_at_connect = sound;
    c->repeat = json_true(in, "repeat");
    c->code = json_true(in, "proof") ? proof_code(called) : -1;
    if (record && !(c->recorder = recorder_open(s, id, record, error, sizeof error))) { forget(c, 41); return error; }
    isup_set_called(isup, called, SS7_NAI_NATIONAL, point);
    if (*caller) isup_set_calling(isup, caller, SS7_NAI_NATIONAL, SS7_PRESENTATION_ALLOWED, SS7_SCREENING_NETWORK_PROVIDED);
    isup_set_tmr(isup, SS7_TMR_3K1_AUDIO);
    if (redirecting) {
        isup_set_redirecting_number(isup, redirecting, SS7_NAI_NATIONAL, 0, 3);
        isup_set_redirection_info(isup, 3, 0, 1, 3);
        isup_set_orig_called_num(isup, redirecting, SS7_NAI_NATIONAL, 0, 3);
    }
    script_iam(c->cic, json_true(in, "continuity"), json_true(in, "open"));
    isup_iam(point, isup);
    tell(c, "setup", NULL);
    snprintf(reply, room, "\"timeslot\":%d,\"sample\":%llu", timeslot, (unsigned long long)span_sample(s));
    ss7_settle();
    return NULL;
}

static const char *set_policy(const struct json *in)
{
    static char error[700];
    static const char *const NAMES[] = {"answer", "alert", "manual", "refuse"};
    const char *name = json_text(in, "incoming", "answer"), *file = json_text(in, "play", NULL);
    int which = 0;
    while (which < 4 && strcmp(NAMES[which], name)) which++;
    if (which == 4) return "`incoming` is answer, alert, manual or refuse.";
    struct sound *sound = NULL;
    if (file && !(sound = sound_load(file, error, sizeof error))) return error;
    policy.incoming = which;
    policy.alerting_s = json_number(in, "alerting_ms", 0) / 1000;
    policy.answer_s = json_number(in, "answer_ms", 0) / 1000;
    policy.cause = json_number(in, "cause", 17);
    policy.play = sound;
    policy.deaf = json_number(in, "deaf", 0);
    policy.overlap = json_true(in, "overlap");
    policy.proof = json_true(in, "proof");
    snprintf(policy.record_dir, sizeof policy.record_dir, "%s", json_text(in, "record_dir", ""));
    return NULL;
}

static const char *supervise(const char *what, const struct json *in)
{
    static unsigned char status[255];
    int first = json_number(in, "first", 0), last = json_number(in, "last", first);
    /* Circuits that are reset have no call (Q.764 2.9.3.2).  libss7 would take that of the first circuit for the reset, and its GRS would go
     * out each T22 for ever, since the end of that call is not the GRA it waits for. */
    for (int i = first; !strcmp(what, "grs") && i <= last && at(i); i++)
        if (calls[i].used) {
            struct isup_call *lost = calls[i].isup;
            calls[i].isup = NULL;
            forget(&calls[i], 41);
            if (lost) isup_free_call(point, lost);
        }
    struct isup_call *isup = isup_new_call(point, first, adjacent, 0);
    memset(status, 1, sizeof status);
    if (!isup) return "libss7 gives no call for this circuit.";
    if (!strcmp(what, "blo")) isup_blo(point, isup);
    else if (!strcmp(what, "ubl")) isup_ubl(point, isup);
    else if (!strcmp(what, "rsc")) isup_rsc(point, isup);
    else if (!strcmp(what, "grs")) isup_grs(point, isup, last);
    else if (!strcmp(what, "cgb")) isup_cgb(point, isup, last, status, json_number(in, "type", 0));
    else isup_cgu(point, isup, last, status, json_number(in, "type", 0));
    ss7_settle();
    return NULL;
}

/* A message from its type on, as hex, for a circuit; script_raw() in ss7.h. */
static const char *raw(const struct json *in)
{
    uint8_t octets[250];
    int n = 0, cic = json_number(in, "cic", 0);
    unsigned value;
    for (const char *hex = json_text(in, "octets", ""); sscanf(hex, "%2x", &value) == 1 && n < (int)sizeof octets; hex += 2) octets[n++] = value;
    if (!n || !at(cic)) return "`cic` and `octets` (hex, from the message type on) are wanted.";
    script_raw(cic, octets, n);
    isup_lpa(point, cic, adjacent);
    ss7_settle();
    return NULL;
}

/* A script's call: what is heard and said in its circuit.  proof: the code of its tone (proof.h), caller: whose end this is. */
static const char *seat(const struct json *in, char *reply, size_t room)
{
    static char error[700];
    int cic = json_number(in, "cic", 0);
    const char *id = json_text(in, "id", ""), *record = json_text(in, "record", NULL);
    if (!*id || !at(cic)) return "`id` and `cic` are wanted.";
    struct call *c = begin(cic, NULL, id, true);
    c->state = "active";
    if (record && !(c->recorder = recorder_open(span_of(cic), id, record, error, sizeof error))) { forget(c, 41); return error; }
    c->proof = proof_new(json_number(in, "proof", -1), json_true(in, "caller"));
    snprintf(reply, room, "\"sample\":%llu", (unsigned long long)span_sample(span_of(cic)));
    return NULL;
}

static const char *with_call(const char *what, struct call *c, const struct json *in, char *reply, size_t room)
{
    static char error[700];
    if (!strcmp(what, "play")) {
        struct sound *sound = sound_load(json_text(in, "file", ""), error, sizeof error);
        if (!sound) return error;
        int64_t from = json_number(in, "at_sample", span_sample(span_of(c->cic)));
        start_play(c, sound, from, json_true(in, "repeat"));
        snprintf(reply, room, "\"tx_sample\":%lld,\"samples\":%lld", (long long)from, (long long)sound->samples);
    } else if (!strcmp(what, "stop_play")) {
        c->play = NULL;
    } else if (!strcmp(what, "dtmf")) {
        if (!c->dtmf) c->dtmf = dtmf_tx_init(NULL);
        dtmf_tx_set_level(c->dtmf, (int)json_number(in, "level_dbm0", -8), 0);
        dtmf_tx_set_timing(c->dtmf, (int)json_number(in, "on_ms", 80), (int)json_number(in, "off_ms", 80));
        if (dtmf_tx_put(c->dtmf, json_text(in, "digits", ""), -1) != 0) return "More digits wait already than fit.";
        c->dtmf_on = true;
    } else if (!strcmp(what, "unseat")) {
        forget(c, 16);
    } else if (scripted) {
        return "Calls are the script's here: play, stop_play, dtmf and unseat only.";
    } else if (!strcmp(what, "hangup")) {
        do_release(c, (int)json_number(in, "cause", 16));
    } else if (!strcmp(what, "alert")) {
        do_alert(c);
    } else if (!strcmp(what, "answer")) {
        const char *record = json_text(in, "record", NULL);
        if (record) snprintf(c->record_at_answer, sizeof c->record_at_answer, "%s", record);
        const char *wrong = do_answer(c);
        if (wrong) return wrong;
    } else {
        return "This command is not known; README.md of hil/far lists them.";
    }
    ss7_settle();
    return NULL;
}

const char *calls_command(const char *what, const struct json *in, char *reply, size_t room)
{
    if (scripted && !strcmp(what, "seat")) return seat(in, reply, room);
    if (!scripted && !strcmp(what, "call")) return place(in, reply, room);
    if (!strcmp(what, "policy")) return set_policy(in);
    if (!scripted && (!strcmp(what, "blo") || !strcmp(what, "ubl") || !strcmp(what, "rsc") || !strcmp(what, "grs") || !strcmp(what, "cgb")
        || !strcmp(what, "cgu"))) return supervise(what, in);
    if (!scripted && !strcmp(what, "raw")) return raw(in);
    if (!strcmp(what, "watch")) { watch = json_true(in, "on"); return NULL; }
    const char *network = ss7_network_command(what, in);
    if (network) return *network ? network : NULL;
    const char *id = json_text(in, "id", "");
    for (struct call *c = calls; c < calls + CICS; c++)
        if (c->used && !strcmp(c->id, id)) return with_call(what, c, in, reply, room);
    return "There is no call with this id (it may have ended).";
}

void calls_status(char **at_, char *end)
{
    bool first = true;
    for (struct call *c = calls; c < calls + CICS; c++) {
        if (!c->used || end - *at_ < 400) continue;
        *at_ += snprintf(*at_, end - *at_, "%s{\"id\":%s,\"span\":%d,\"timeslot\":%d,\"state\":\"%s\",\"incoming\":%s}", first ? "" : ",",
                         json_quote(c->id), span_of(c->cic)->number, c->cic % 32, c->state, c->incoming ? "true" : "false");
        first = false;
    }
}

void calls_close_all(void)
{
    for (struct call *c = calls; c < calls + CICS; c++)
        if (c->used && c->recorder) { recorder_close(c->recorder); c->recorder = NULL; }
}
