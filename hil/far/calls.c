/* Calls: commands from the control socket, events from libpri, audio of a timeslot. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "far.h"

enum state { SETUP, OVERLAP, PROCEEDING, ALERTING, ACTIVE, CLEARING };
static const char *const STATES[] = {"setup", "overlap", "proceeding", "alerting", "active", "clearing"};

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

static struct {
    enum { ANSWER, ALERT, MANUAL, REFUSE } incoming;
    double alerting_s, answer_s;
    int cause, digits;
    struct sound *play;
    bool repeat, inband, proof;
    char record_dir[400], connected[32];
    bool connected_restricted, refuse_hold, refuse_transfer;
} policy = {.cause = PRI_CAUSE_USER_BUSY};

/* ---- the table ---- */

static struct call *find_id(const char *id)
{
    for (int i = 0; i < span_count; i++)
        for (struct call *c = spans[i]->calls; c; c = c->next)
            if (!strcmp(c->id, id)) return c;
    return NULL;
}

static struct call *find_reference(struct span *s, q931_call *reference)
{
    for (int i = 0; i < span_count; i++)        /* NFAS: several spans have one D channel */
        if (spans[i]->leader == s->leader)
            for (struct call *c = spans[i]->calls; c; c = c->next)
                if (c->reference && c->reference == reference) return c;
    return NULL;
}

static bool is_nfas(const struct span *s) { return settings.nfas[s->number] != 0; }

/* A channel as libpri names it: with its interface, where there are several. */
static int channel_on(const struct span *s, int timeslot)
{
    return is_nfas(s) ? timeslot | s->interface << 8 | 1 << 16 : timeslot;
}

static int channel_of(const struct call *c) { return channel_on(c->span, c->timeslot); }

/* The span of a channel that libpri named; NULL: there is no such interface. */
static struct span *span_of(struct span *s, int channel)
{
    if (channel < 0 || !is_nfas(s)) return s;
    int interface = channel & 1 << 16 ? channel >> 8 & 0xFF : s->leader->interface;
    for (int i = 0; i < span_count; i++)
        if (spans[i]->leader == s->leader && spans[i]->interface == interface) return spans[i];
    return NULL;
}

static int idle_timeslot(const struct span *s)
{
    for (int t = 1; t <= s->timeslots; t++)
        if (t != s->d_timeslot && !s->by_timeslot[t]) return t;
    return 0;
}

static struct call *add(struct span *s, q931_call *reference, const char *id, int timeslot)
{
    struct call *c = calloc(1, sizeof *c);
    c->span = s;
    c->reference = reference;
    snprintf(c->id, sizeof c->id, "%s", id);
    c->timeslot = timeslot;
    c->play_from = -1;
    c->code = -1;
    c->next = s->calls;
    s->calls = c;
    if (timeslot) s->by_timeslot[timeslot] = c;
    return c;
}

static void tell(struct call *c, const char *name, const char *format, ...)
{
    char more[1800] = "";
    if (format) {
        va_list a;
        va_start(a, format);
        more[0] = ',';
        vsnprintf(more + 1, sizeof more - 1, format, a);
        va_end(a);
    }
    event(c->span, name, "\"id\":%s,\"timeslot\":%d%s", json_quote(c->id), c->timeslot, more);
}

static void forget(struct call *c, int cause)
{
    struct span *s = c->span;
    struct proof *p = c->proof;
    if (p) tell(c, "released", "\"cause\":%d,\"heard\":%u,\"silent\":%u,\"other\":%u,\"breaks\":%u,\"first\":%d", cause, p->heard,
                p->silent, p->other, p->breaks, p->first);
    else tell(c, "released", "\"cause\":%d", cause);
    free(p);
    fax_end(c->fax);
    if (c->recorder) recorder_close(c->recorder);
    if (c->dtmf) dtmf_tx_free(c->dtmf);
    if (c->bert) bert_free(c->bert);
    if (c->pattern) bert_free(c->pattern);
    if (c->data && c->timeslot) s->clear[c->timeslot] = false;
    if (c->timeslot && s->by_timeslot[c->timeslot] == c) s->by_timeslot[c->timeslot] = NULL;
    for (struct call **p = &s->calls; *p; p = &(*p)->next)
        if (*p == c) { *p = c->next; break; }
    free(c);
}

/* From the answer until the first word of clearing. */
static void prove(struct call *c)
{
    if (c->code >= 0 && !c->proof) c->proof = proof_new(c->code, !c->incoming);
}

static void ended(struct call *c, int cause, const char *by)
{
    c->state = CLEARING;
    c->next_digit = NULL;
    c->alert_due = c->answer_due = 0;
    if (c->told_end) return;
    c->told_end = true;
    tell(c, "hangup", "\"cause\":%d,\"by\":\"%s\"", cause, by);
}

/* The other side may name another timeslot in its first answer (Q.931 5.2.3.1). */
static void adopt_timeslot(struct call *c, int channel)
{
    int t = channel & 0xFF;
    struct span *s = c->span;
    if (span_of(s, channel) != s) {         /* another span of the NFAS group */
        struct span *to = span_of(s, channel);
        if (!to || t < 1 || t > to->timeslots || to->by_timeslot[t]) return;
        for (struct call **p = &s->calls; *p; p = &(*p)->next)
            if (*p == c) { *p = c->next; break; }
        s->by_timeslot[c->timeslot] = NULL;
        c->next = to->calls;
        to->calls = c;
        c->span = to;
        to->by_timeslot[c->timeslot = t] = c;
        return;
    }
    if (channel < 0 || t == c->timeslot || t < 1 || t > s->timeslots || t == s->d_timeslot || s->by_timeslot[t]) return;
    if (c->timeslot) s->by_timeslot[c->timeslot] = NULL;
    s->by_timeslot[c->timeslot = t] = c;
}

/* ---- audio of a call ---- */

static void start_play(struct call *c, struct sound *sound, int64_t from, bool repeat)
{
    c->play = sound;
    c->play_from = from;
    c->repeat = repeat;
    tell(c, "play_started", "\"file\":%s,\"tx_sample\":%lld,\"samples\":%lld", json_quote(sound->path),
         (long long)from, (long long)sound->samples);
}

static void fill(struct call *c, int64_t now, uint8_t *out)
{
    memset(out, IDLE, FRAMES);
    if (c->play) {
        struct sound *s = c->play;
        int64_t at = now - c->play_from;
        for (int i = 0; i < FRAMES; i++, at++) {
            if (at < 0) continue;
            if (at < s->samples) out[i] = s->alaw[at];
            else if (c->repeat) out[i] = s->alaw[at % s->samples];
        }
        if (at >= s->samples && !c->repeat) {
            c->play = NULL;
            tell(c, "play_done", "\"file\":%s,\"tx_sample\":%lld", json_quote(s->path), (long long)(c->play_from + s->samples));
        }
    }
    if (c->dtmf_on) {
        /* A key pressed silences the microphone. */
        int16_t tone[FRAMES];
        int n = dtmf_tx(c->dtmf, tone, FRAMES);
        for (int i = 0; i < n; i++) out[i] = linear_to_alaw(tone[i]);
        if (n < FRAMES) {
            c->dtmf_on = false;
            tell(c, "dtmf_done", "\"digits\":%s,\"tx_sample\":%lld", json_quote(c->dtmf_digits), (long long)(now + n));
            c->dtmf_digits[0] = 0;
        }
    }
}

void calls_block(struct span *s, const uint8_t *rx, uint8_t *tx)
{
    uint8_t samples[FRAMES];
    for (int t = 1; t < TIMESLOTS; t++) {
        struct call *c = s->by_timeslot[t];
        if (!c) continue;
        if (c->recorder) {
            for (int f = 0; f < FRAMES; f++) samples[f] = rx[f * TIMESLOTS + t];
            recorder_write(c->recorder, samples, FRAMES);
        }
        if (c->proof && c->state == ACTIVE) {
            for (int f = 0; f < FRAMES; f++) samples[f] = rx[f * TIMESLOTS + t];
            proof_check(c->proof, samples);
            proof_send(c->proof, samples);
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = samples[f];
        } else if (c->fax && !c->fax->over) {
            for (int f = 0; f < FRAMES; f++) samples[f] = rx[f * TIMESLOTS + t];
            fax_block(c->fax, samples);
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = samples[f];
            if (c->fax->over) {
                char figures[400];
                fax_figures(c->fax, figures, sizeof figures);
                tell(c, "fax_done", "%s", figures);
            }
        } else if (c->bert) {
            for (int f = 0; f < FRAMES; f++) {
                uint8_t in = rx[f * TIMESLOTS + t], out = 0;
                for (int bit = 7; bit >= 0; bit--) {
                    bert_put_bit(c->bert, in >> bit & 1);
                    out = out << 1 | (bert_get_bit(c->pattern) & 1);
                }
                tx[f * TIMESLOTS + t] = out;
            }
        } else if (c->play || c->dtmf_on) {
            fill(c, span_sample(s), samples);
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = samples[f];
        }
    }
}

/* ---- incoming ---- */

static void set_state(struct call *c, enum state state, const char *name)
{
    c->state = state;
    tell(c, name, NULL);
}

static void do_alert(struct call *c)
{
    c->alert_due = 0;
    pri_acknowledge(c->span->pri, c->reference, channel_of(c), policy.inband);
    set_state(c, ALERTING, "alerting");
    if (policy.inband && c->play_at_connect) start_play(c, c->play_at_connect, span_sample(c->span), c->repeat_at_connect);
}

static const char *do_answer(struct call *c)
{
    static char error[700];
    c->answer_due = 0;
    const char *wrong = NULL;
    if (*c->record_at_answer && !c->recorder
        && !(c->recorder = recorder_open(c->span, c->id, c->record_at_answer, error, sizeof error)))
        wrong = error;
    if (*policy.connected) {
        struct pri_party_connected_line line = {0};
        line.id.number.valid = 1;
        line.id.number.presentation = policy.connected_restricted ? PRES_PROHIB_USER_NUMBER_PASSED_SCREEN : PRES_ALLOWED_USER_NUMBER_PASSED_SCREEN;
        line.id.number.plan = PRI_NATIONAL_ISDN;
        snprintf(line.id.number.str, sizeof line.id.number.str, "%s", policy.connected);
        pri_connected_line_update(c->span->pri, c->reference, &line);
    }
    pri_answer(c->span->pri, c->reference, channel_of(c), 0);
    set_state(c, ACTIVE, "connect");
    prove(c);
    if (c->play_at_connect && !c->play) start_play(c, c->play_at_connect, span_sample(c->span), c->repeat_at_connect);
    return wrong;
}

/* All digits are here: what policy says. */
static void complete(struct call *c)
{
    double now = mono_now();
    /* Also before a refusal: libpri 1.6.0 sends nothing when it clears with most causes from Call present. */
    pri_proceeding(c->span->pri, c->reference, channel_of(c), 0);
    set_state(c, PROCEEDING, "proceeding");
    if (policy.incoming == REFUSE) {
        ended(c, policy.cause, "exchange");
        pri_hangup(c->span->pri, c->reference, policy.cause);
        return;
    }
    if (policy.incoming == MANUAL) return;
    c->alert_due = now + policy.alerting_s;
    if (policy.incoming == ANSWER) c->answer_due = c->alert_due + policy.answer_s;
    if (policy.alerting_s <= 0) do_alert(c);
    if (c->answer_due && policy.alerting_s <= 0 && policy.answer_s <= 0) do_answer(c);
}

static void incoming(struct span *s, pri_event_ring *r)
{
    char id[64];
    int timeslot = r->channel < 0 ? 0 : r->channel & 0xFF;
    if (timeslot == 0xFF) timeslot = 0;
    struct span *d = s;
    if (!(s = span_of(s, r->channel))) { pri_hangup(d->pri, r->call, PRI_CAUSE_REQUESTED_CHAN_UNAVAIL); return; }
    bool unusable = timeslot > s->timeslots || timeslot == s->d_timeslot || (timeslot && s->by_timeslot[timeslot]);
    if (!timeslot || (unusable && r->flexible)) { timeslot = idle_timeslot(s); unusable = !timeslot; }
    if (unusable) { pri_hangup(s->pri, r->call, timeslot ? PRI_CAUSE_REQUESTED_CHAN_UNAVAIL : PRI_CAUSE_NORMAL_CIRCUIT_CONGESTION); return; }
    snprintf(id, sizeof id, "in-%d-%u", s->number, ++s->incoming);
    struct call *c = add(s, r->call, id, timeslot);
    c->incoming = true;
    c->data = r->ctype == PRI_TRANS_CAP_DIGITAL;
    if (c->data) s->clear[timeslot] = true;
    snprintf(c->called, sizeof c->called, "%.60s", r->callednum);
    c->play_at_connect = policy.play;
    c->repeat_at_connect = policy.repeat;
    if (policy.proof) c->code = proof_code(c->called);
    if (*policy.record_dir) snprintf(c->record_at_answer, sizeof c->record_at_answer, "%s/%s.wav", policy.record_dir, id);
    bool enough = r->complete || (int)strlen(c->called) >= policy.digits;
    tell(c, "incoming", "\"caller\":%s,\"called\":%s,\"redirecting\":%s,\"complete\":%s,\"capability\":%d,\"layer1\":%d,"
         "\"presentation\":%d,\"called_plan\":%d,\"name\":%s,\"called_subaddress\":%s,\"user_user\":%s",
         json_quote(r->callingnum), json_quote(r->callednum), json_quote(r->redirectingnum),
         r->complete ? "true" : "false", r->ctype, r->layer1, r->callingpres, r->calledplan, json_quote(r->callingname),
         json_quote(r->called_subaddress.valid ? (char *)r->called_subaddress.data : ""), json_quote(r->useruserinfo));
    if (enough) { complete(c); return; }
    pri_need_more_info(s->pri, r->call, channel_of(c), policy.inband);
    if (policy.inband && c->play_at_connect) start_play(c, c->play_at_connect, span_sample(s), c->repeat_at_connect);
    set_state(c, OVERLAP, "setup_ack");
}

static void more_digits(struct call *c, const char *digits)
{
    strncat(c->called, digits, sizeof c->called - 1 - strlen(c->called));
    tell(c, "digits", "\"digits\":%s,\"called\":%s", json_quote(digits), json_quote(c->called));
    if (c->state == OVERLAP && (int)strlen(c->called) >= policy.digits) complete(c);
}

/* ---- events of libpri ---- */

static void restarted(struct span *s, int channel)
{
    int t = channel < 0 ? -1 : channel & 0xFF;
    if (!(s = span_of(s, channel))) return;
    event(s, "restart", "\"timeslot\":%d", t);
    for (struct call *c = s->calls, *next; c; c = next) {
        next = c->next;
        if (t > 0 && t < TIMESLOTS && c->timeslot != t) continue;
        ended(c, PRI_CAUSE_NORMAL_TEMPORARY_FAILURE, "box");
        pri_destroycall(s->pri, c->reference);
        forget(c, PRI_CAUSE_NORMAL_TEMPORARY_FAILURE);
    }
}

static void clearing(struct span *s, int kind, pri_event_hangup *h)
{
    struct call *c = find_reference(s, h->call);
    int cause = h->cause;
    bool last = kind != PRI_EVENT_HANGUP_REQ;
    /* What no frame brought, a timer did. */
    if (c) ended(c, cause, s->in_frame ? "box" : "failure");
    pri_hangup(s->pri, h->call, cause);
    if (c && last) forget(c, cause);
}

static const struct call *the_other(struct span *s, q931_call *reference, const struct call *c)
{
    const struct call *other = find_reference(s, reference);
    return other ? other : c;
}

/* What came with a message beside the message itself. */
static void facilities(struct span *s, q931_call *reference, const struct pri_subcommands *list)
{
    struct call *c = reference ? find_reference(s, reference) : NULL;
    for (int i = 0; list && c && i < list->counter_subcmd; i++) {
        const struct pri_subcommand *x = &list->subcmd[i];
        if (x->cmd == PRI_SUBCMD_MCID_REQ)
            tell(c, "mcid", "\"originator\":%s,\"answerer\":%s", json_quote(x->u.mcid_req.originator.number.str), json_quote(x->u.mcid_req.answerer.number.str));
        else if (x->cmd == PRI_SUBCMD_MCID_RSP)
            tell(c, "mcid_answer", "\"status\":%d", x->u.mcid_rsp.status);
        else if (x->cmd == PRI_SUBCMD_CONNECTED_LINE)
            tell(c, "connected_line", "\"number\":%s,\"presentation\":%d", json_quote(x->u.connected_line.id.number.str),
                 x->u.connected_line.id.number.presentation);
        else if (x->cmd == PRI_SUBCMD_TRANSFER_CALL) {
            const struct call *one = the_other(s, x->u.transfer.call_1, c), *two = the_other(s, x->u.transfer.call_2, c);
            tell(c, "transfer", "\"first\":%s,\"second\":%s,\"first_held\":%s,\"second_held\":%s", json_quote(one->id), json_quote(two->id),
                 x->u.transfer.is_call_1_held ? "true" : "false", x->u.transfer.is_call_2_held ? "true" : "false");
            pri_transfer_rsp(s->pri, reference, x->u.transfer.invoke_id, !policy.refuse_transfer);
            if (policy.refuse_transfer) continue;
            /* The two parties are joined here; the box has done with both calls. */
            struct call *both[] = {(struct call *)one, (struct call *)two};
            for (int k = 0; k < 2; k++) {
                if (both[k]->state == CLEARING) continue;
                ended(both[k], PRI_CAUSE_NORMAL_CLEARING, "exchange");
                pri_hangup(both[k]->span->pri, both[k]->reference, PRI_CAUSE_NORMAL_CLEARING);
            }
        }
    }
}

void calls_event(struct span *s, pri_event *e)
{
    struct call *c;
    switch (e->e) {
    case PRI_EVENT_FACILITY:
        facilities(s, e->facility.subcall ? e->facility.subcall : e->facility.call, e->facility.subcmds);
        break;
    case PRI_EVENT_HOLD:
        if (!(c = find_reference(s, e->hold.call))) break;
        tell(c, "hold", NULL);
        if (policy.refuse_hold) pri_hold_rej(s->pri, c->reference, PRI_CAUSE_FACILITY_REJECTED);
        else pri_hold_ack(s->pri, c->reference);
        break;
    case PRI_EVENT_RETRIEVE:
        if (!(c = find_reference(s, e->retrieve.call))) break;
        pri_retrieve_ack(s->pri, c->reference, channel_of(c));
        tell(c, "retrieve", NULL);
        break;
    case PRI_EVENT_HOLD_ACK:
    case PRI_EVENT_HOLD_REJ:
    case PRI_EVENT_RETRIEVE_ACK:
    case PRI_EVENT_RETRIEVE_REJ:
        if ((c = find_reference(s, e->hold_ack.call)))
            tell(c, e->e == PRI_EVENT_HOLD_ACK ? "hold_ack" : e->e == PRI_EVENT_HOLD_REJ ? "hold_reject" :
                    e->e == PRI_EVENT_RETRIEVE_ACK ? "retrieve_ack" : "retrieve_reject", NULL);
        break;
    case PRI_EVENT_NOTIFY:
        if ((c = find_reference(s, e->notify.call))) tell(c, "notify", "\"description\":%d", e->notify.info);
        break;
    case PRI_EVENT_SERVICE:
    case PRI_EVENT_SERVICE_ACK: {
        struct span *to = span_of(s, e->service.channel);
        event(to ? to : s, e->e == PRI_EVENT_SERVICE ? "service" : "service_ack", "\"timeslot\":%d,\"status\":%d", e->service.channel & 0xFF,
              e->service.changestatus);
        break;
    }
    case PRI_EVENT_RING:
        incoming(s, &e->ring);
        break;
    case PRI_EVENT_INFO_RECEIVED:
        if ((c = find_reference(s, e->ring.call))) more_digits(c, e->ring.callednum);
        break;
    case PRI_EVENT_KEYPAD_DIGIT:
        if ((c = find_reference(s, e->digit.call))) more_digits(c, e->digit.digits);
        break;
    case PRI_EVENT_SETUP_ACK:
        if (!(c = find_reference(s, e->setup_ack.call))) break;
        adopt_timeslot(c, e->setup_ack.channel);
        set_state(c, OVERLAP, "setup_ack");
        if (*c->rest) { c->next_digit = c->rest; c->digit_due = mono_now() + c->digit_interval; }
        break;
    case PRI_EVENT_PROCEEDING:
        if (!(c = find_reference(s, e->proceeding.call))) break;
        adopt_timeslot(c, e->proceeding.channel);
        c->next_digit = NULL;       /* the number is complete for the other side */
        set_state(c, PROCEEDING, "proceeding");
        break;
    case PRI_EVENT_PROGRESS:
        if ((c = find_reference(s, e->proceeding.call)))
            tell(c, "progress", "\"inband\":%s", e->proceeding.progressmask & PRI_PROG_INBAND_AVAILABLE ? "true" : "false");
        break;
    case PRI_EVENT_RINGING:
        if (!(c = find_reference(s, e->ringing.call))) break;
        adopt_timeslot(c, e->ringing.channel);
        c->next_digit = NULL;
        set_state(c, ALERTING, "alerting");
        break;
    case PRI_EVENT_ANSWER:
        if (!(c = find_reference(s, e->answer.call))) break;
        adopt_timeslot(c, e->answer.channel);
        c->next_digit = NULL;
        facilities(s, e->answer.call, e->answer.subcmds);
        set_state(c, ACTIVE, "connect");
        prove(c);
        if (c->play_at_connect) start_play(c, c->play_at_connect, span_sample(s), c->repeat_at_connect);
        break;
    case PRI_EVENT_HANGUP:
    case PRI_EVENT_HANGUP_REQ:
    case PRI_EVENT_HANGUP_ACK:
        clearing(s, e->e, &e->hangup);
        break;
    case PRI_EVENT_RESTART:
        restarted(s, e->restart.channel);
        break;
    case PRI_EVENT_RESTART_ACK:
        event(s, "restart_ack", "\"timeslot\":%d", e->restartack.channel & 0xFF);
        break;
    case PRI_EVENT_CONFIG_ERR:
        event(s, "exchange_error", "\"text\":%s", json_quote(e->err.err));
        break;
    }
}

/* ---- timers ---- */

void calls_timers(double now)
{
    for (int i = 0; i < span_count; i++)
        for (struct call *c = spans[i]->calls; c; c = c->next) {
            if (c->next_digit && now >= c->digit_due) {
                pri_information(c->span->pri, c->reference, *c->next_digit++);
                if (!*c->next_digit) c->next_digit = NULL;
                c->digit_due += c->digit_interval;
            }
            if (c->alert_due && now >= c->alert_due) do_alert(c);
            if (c->answer_due && now >= c->answer_due) do_answer(c);
        }
}

void calls_close_all(void)
{
    for (int i = 0; i < span_count; i++)
        for (struct call *c = spans[i]->calls; c; c = c->next)
            if (c->recorder) { recorder_close(c->recorder); c->recorder = NULL; }
}

/* ---- commands ---- */

static const char *place(const struct json *in, char *reply, size_t room)
{
    static char error[700];
    struct span *s = span_find(json_number(in, "span", 0));
    const char *id = json_text(in, "id", ""), *called = json_text(in, "called", ""), *caller = json_text(in, "caller", "");
    const char *redirecting = json_text(in, "redirecting", NULL), *play = json_text(in, "play", NULL), *record = json_text(in, "record", NULL);
    if (!s) return "There is no such span here; name one of --spans.";
    if (!*id || strlen(id) > 60) return "A call wants an `id` of 1 to 60 characters.";
    if (find_id(id)) return "A call with this id is still there; take another id or wait for `released`.";
    if (strlen(called) > 31 || strlen(caller) > 31) return "A number has at most 31 digits here.";
    if (!s->pri || !s->leader->link_up) return "The data link of this span is down; wait for `link_up`.";
    int timeslot = json_number(in, "timeslot", 0);
    if (!timeslot && !(timeslot = idle_timeslot(s))) return "All timeslots of this span are taken.";
    if (timeslot < 1 || timeslot > s->timeslots || timeslot == s->d_timeslot) return "A call's timeslot is 1 to 15 or 17 to 31, on a T1 1 to 23.";
    if (s->by_timeslot[timeslot]) return "This timeslot is taken; wait for `released` or leave `timeslot` out.";
    struct sound *sound = NULL;
    if (play && !(sound = sound_load(play, error, sizeof error))) return error;

    double interval = json_number(in, "overlap", 0);
    bool overlap = interval > 0 || json_true(in, "overlap");
    char digits[64];
    const char *capability = json_text(in, "capability", "3.1khz");
    bool data = !strcmp(capability, "data");
    struct call *c = add(s, pri_new_call(s->pri), id, timeslot);
    c->data = data;
    if (data) s->clear[timeslot] = true;
    snprintf(digits, sizeof digits, "%s", called);
    if (overlap) {
        size_t now = json_number(in, "initial_digits", 0);
        if (now > strlen(called)) now = strlen(called);
        digits[now] = 0;
        snprintf(c->rest, sizeof c->rest, "%s", called + now);
        c->digit_interval = (interval > 0 ? interval : 100) / 1000;
    }
    c->play_at_connect = sound;
    c->repeat_at_connect = json_true(in, "repeat");
    c->code = json_true(in, "proof") ? proof_code(called) : -1;
    if (record && !(c->recorder = recorder_open(s, id, record, error, sizeof error))) {
        pri_destroycall(s->pri, c->reference);
        forget(c, 0);
        return error;
    }
    struct pri_sr *sr = pri_sr_new();
    pri_sr_set_channel(sr, channel_of(c), !json_true(in, "preferred"), 0);
    pri_sr_set_bearer(sr, data ? PRI_TRANS_CAP_DIGITAL : !strcmp(capability, "speech") ? PRI_TRANS_CAP_SPEECH : PRI_TRANS_CAP_3_1K_AUDIO,
                      data ? -1 : s->is_t1 ? PRI_LAYER_1_ULAW : PRI_LAYER_1_ALAW);
    const char *subaddress = json_text(in, "subaddress", NULL), *user_user = json_text(in, "user_user", NULL);
    if (user_user) pri_sr_set_useruser(sr, user_user);
    pri_sr_set_called(sr, digits, (int)json_number(in, "called_plan", PRI_UNKNOWN), !overlap);
    if (subaddress) {               /* behind the number, with which libpri begins the party anew */
        struct pri_party_subaddress a = {.valid = 1, .length = (int)strlen(subaddress) < 20 ? (int)strlen(subaddress) : 20};
        memcpy(a.data, subaddress, a.length);
        pri_sr_set_called_subaddress(sr, &a);
    }
    if (*caller)
        pri_sr_set_caller(sr, (char *)caller, (char *)json_text(in, "name", NULL), (int)json_number(in, "caller_plan", PRI_NATIONAL_ISDN),
                          json_true(in, "caller_restricted") ? PRES_PROHIB_USER_NUMBER_PASSED_SCREEN : PRES_ALLOWED_USER_NUMBER_PASSED_SCREEN);
    if (redirecting)
        pri_sr_set_redirecting(sr, (char *)redirecting, PRI_UNKNOWN, PRES_ALLOWED_USER_NUMBER_PASSED_SCREEN, PRI_REDIR_UNCONDITIONAL);
    int wrong = pri_setup(s->pri, c->reference, sr);
    pri_sr_free(sr);
    if (wrong) { pri_destroycall(s->pri, c->reference); forget(c, 0); return "libpri refused to send SETUP."; }
    set_state(c, SETUP, "setup");
    snprintf(reply, room, "\"timeslot\":%d,\"sample\":%llu", timeslot, (unsigned long long)span_sample(s));
    return NULL;
}

static const char *play(struct call *c, const struct json *in, char *reply, size_t room)
{
    static char error[700];
    struct sound *sound = sound_load(json_text(in, "file", ""), error, sizeof error);
    if (!sound) return error;
    int64_t now = span_sample(c->span), from = json_number(in, "at_sample", now);
    if (from < now) return "`at_sample` is in the past.";
    start_play(c, sound, from, json_true(in, "repeat"));
    snprintf(reply, room, "\"tx_sample\":%lld,\"samples\":%lld", (long long)from, (long long)sound->samples);
    return NULL;
}

static const char *dtmf(struct call *c, const struct json *in, char *reply, size_t room)
{
    const char *digits = json_text(in, "digits", "");
    if (!*digits || strspn(digits, "0123456789*#ABCD") != strlen(digits) || strlen(digits) > MAX_DTMF_DIGITS)
        return "`digits` are 1 to 128 of 0-9 * # A-D.";
    if (!c->dtmf) c->dtmf = dtmf_tx_init(NULL);
    if (!c->dtmf_on) dtmf_tx_init(c->dtmf);
    dtmf_tx_set_level(c->dtmf, (int)json_number(in, "level_dbm0", -8), (int)json_number(in, "twist_db", 0));
    dtmf_tx_set_timing(c->dtmf, (int)json_number(in, "on_ms", 80), (int)json_number(in, "off_ms", 80));
    if (dtmf_tx_put(c->dtmf, digits, -1) != 0) return "More digits wait already than fit; wait for `dtmf_done`.";
    strncat(c->dtmf_digits, digits, sizeof c->dtmf_digits - 1 - strlen(c->dtmf_digits));
    c->dtmf_on = true;
    tell(c, "dtmf_started", "\"digits\":%s,\"tx_sample\":%llu", json_quote(digits), (unsigned long long)span_sample(c->span));
    snprintf(reply, room, "\"tx_sample\":%llu", (unsigned long long)span_sample(c->span));
    return NULL;
}

static const char *fax(struct call *c, const struct json *in)
{
    const char *send = json_text(in, "send", ""), *print = json_text(in, "print", "");
    if (!*send && !*print) return "`fax` needs `send` or `print`, a TIFF file.";
    fax_end(c->fax);
    c->fax = fax_new(json_true(in, "calls"), send, print, json_text(in, "station", ""));
    tell(c, "fax_started", NULL);
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
    policy.cause = json_number(in, "cause", PRI_CAUSE_USER_BUSY);
    policy.digits = json_number(in, "digits", 0);
    policy.play = sound;
    policy.repeat = json_true(in, "repeat");
    policy.inband = json_true(in, "inband");
    policy.proof = json_true(in, "proof");
    snprintf(policy.connected, sizeof policy.connected, "%s", json_text(in, "connected", ""));
    policy.connected_restricted = json_true(in, "connected_restricted");
    policy.refuse_hold = json_true(in, "refuse_hold");
    policy.refuse_transfer = json_true(in, "refuse_transfer");
    snprintf(policy.record_dir, sizeof policy.record_dir, "%s", json_text(in, "record_dir", ""));
    return NULL;
}

static const char *answer(struct call *c, const struct json *in)
{
    static char error[700];
    const char *file = json_text(in, "play", NULL), *record = json_text(in, "record", NULL);
    if (!c->incoming || c->state == ACTIVE || c->state == CLEARING) return "Only an incoming call that is not answered can be answered.";
    if (file && !(c->play_at_connect = sound_load(file, error, sizeof error))) return error;
    if (file) c->repeat_at_connect = json_true(in, "repeat");
    if (record) snprintf(c->record_at_answer, sizeof c->record_at_answer, "%s", record);
    return do_answer(c);
}

/* Asked for again: the figures begin anew, what goes out goes on. */
static const char *bert_begin(struct call *c)
{
    if (!c->pattern) c->pattern = bert_init(NULL, 0, BERT_PATTERN_ITU_O152_11, 300, 20);
    if (c->bert) bert_free(c->bert);
    c->bert = bert_init(NULL, 0, BERT_PATTERN_ITU_O152_11, 300, 20);
    return c->bert ? NULL : "spandsp gave no bit error test.";
}

static const char *bert_figures(struct call *c, char *reply, size_t room)
{
    bert_results_t found;
    if (!c->bert) return "No bit error test runs on this call; `bert` begins one.";
    bert_result(c->bert, &found);
    snprintf(reply, room, "\"bits\":%d,\"bad_bits\":%d,\"resyncs\":%d", found.total_bits, found.bad_bits, found.resyncs);
    return NULL;
}

/* A timeslot of a raw span, whose signalling the script does. */
static const char *channel(const struct json *in)
{
    struct span *s = span_find(json_number(in, "span", 0));
    const char *id = json_text(in, "id", "");
    int timeslot = json_number(in, "timeslot", 0);
    if (!s || !s->leader->raw) return "A channel is of a span of --raw.";
    if (!*id || strlen(id) > 60 || find_id(id)) return "A channel wants an `id` of 1 to 60 characters that no other has.";
    if (timeslot < 1 || timeslot > s->timeslots || timeslot == s->d_timeslot || s->by_timeslot[timeslot]) return "This timeslot is not free.";
    struct call *c = add(s, NULL, id, timeslot);
    c->state = ACTIVE;
    if ((c->data = json_true(in, "data"))) s->clear[timeslot] = true;
    return NULL;
}

const char *calls_command(const char *what, const struct json *in, char *reply, size_t room)
{
    if (!strcmp(what, "call")) return place(in, reply, room);
    if (!strcmp(what, "policy")) return set_policy(in);
    if (!strcmp(what, "channel")) return channel(in);
    static const char *const KNOWN[] = {"play", "stop_play", "dtmf", "hangup", "alert", "answer", "bert", "bert_figures", "hold", "retrieve", "digit",
                                        "record", "mcid", "fax"};
    size_t k = 0;
    while (k < sizeof KNOWN / sizeof *KNOWN && strcmp(KNOWN[k], what)) k++;
    if (k == sizeof KNOWN / sizeof *KNOWN) return "This command is not known; README.md of hil/far lists them.";
    struct call *c = find_id(json_text(in, "id", ""));
    if (!c) return "There is no call with this id (it may have ended).";
    switch (k) {
    case 0: return play(c, in, reply, room);
    case 1: c->play = NULL; return NULL;
    case 2: return dtmf(c, in, reply, room);
    case 6: return bert_begin(c);
    case 7: return bert_figures(c, reply, room);
    case 8: return pri_hold(c->span->pri, c->reference) ? "libpri refused to hold this call." : NULL;
    case 9: return pri_retrieve(c->span->pri, c->reference, channel_of(c)) ? "libpri refused to retrieve this call." : NULL;
    case 10:
        for (const char *d = json_text(in, "digits", ""); *d; d++) pri_information(c->span->pri, c->reference, *d);
        return NULL;
    case 11: {
        static char error[700];
        return c->recorder || (c->recorder = recorder_open(c->span, c->id, json_text(in, "file", ""), error, sizeof error)) ? NULL : error;
    }
    case 13: return fax(c, in);
    case 12: return pri_mcid_req_send(c->span->pri, c->reference) ? "libpri refused to ask for MCID." : NULL;
    case 3:
        if (!c->reference) { forget(c, 0); return NULL; }
        if (c->state == CLEARING) return NULL;
        ended(c, (int)json_number(in, "cause", PRI_CAUSE_NORMAL_CLEARING), "exchange");
        pri_hangup(c->span->pri, c->reference, (int)json_number(in, "cause", PRI_CAUSE_NORMAL_CLEARING));
        return NULL;
    case 4:
        if (!c->incoming || c->state > PROCEEDING) return "Only an incoming call that does not ring yet can be alerted.";
        do_alert(c);
        return NULL;
    default: return answer(c, in);
    }
}

void calls_status(char **at, char *end)
{
    bool first = true;
    for (int i = 0; i < span_count; i++)
        for (struct call *c = spans[i]->calls; c; c = c->next) {
            if (end - *at < 400) return;
            *at += snprintf(*at, end - *at, "%s{\"id\":%s,\"span\":%d,\"timeslot\":%d,\"state\":\"%s\",\"incoming\":%s",
                            first ? "" : ",", json_quote(c->id), c->span->number, c->timeslot, STATES[c->state],
                            c->incoming ? "true" : "false");
            if (c->proof)
                *at += snprintf(*at, end - *at, ",\"heard\":%u,\"silent\":%u,\"other\":%u,\"breaks\":%u", c->proof->heard,
                                c->proof->silent, c->proof->other, c->proof->breaks);
            *at += snprintf(*at, end - *at, "}");
            first = false;
        }
}
