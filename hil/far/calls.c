/* Calls: their table, what libpri tells of them, their timers. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"

const char *const CALL_STATES[] = {"setup", "overlap", "proceeding", "alerting", "active", "clearing"};
struct policy policy = {.cause = PRI_CAUSE_USER_BUSY};

/* ---- the table ---- */

struct call *call_find(const char *id)
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

int call_channel(const struct call *c) { return channel_on(c->span, c->timeslot); }

/* The span of a channel that libpri named; NULL: there is no such interface. */
static struct span *span_of(struct span *s, int channel)
{
    if (channel < 0 || !is_nfas(s)) return s;
    int interface = channel & 1 << 16 ? channel >> 8 & 0xFF : s->leader->interface;
    for (int i = 0; i < span_count; i++)
        if (spans[i]->leader == s->leader && spans[i]->interface == interface) return spans[i];
    return NULL;
}

int span_idle_timeslot(const struct span *s)
{
    for (int t = 1; t <= s->timeslots; t++)
        if (t != s->d_timeslot && !s->by_timeslot[t]) return t;
    return 0;
}

struct call *call_add(struct span *s, q931_call *reference, const char *id, int timeslot)
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

void call_tell(struct call *c, const char *name, const char *format, ...)
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

void call_forget(struct call *c, int cause)
{
    struct span *s = c->span;
    struct proof *p = c->proof;
    if (p) call_tell(c, "released", "\"cause\":%d,\"heard\":%u,\"silent\":%u,\"other\":%u,\"breaks\":%u,\"first\":%d", cause, p->heard,
                p->silent, p->other, p->breaks, p->first);
    else call_tell(c, "released", "\"cause\":%d", cause);
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

void call_ended(struct call *c, int cause, const char *by)
{
    c->state = CLEARING;
    c->next_digit = NULL;
    c->alert_due = c->answer_due = 0;
    if (c->told_end) return;
    c->told_end = true;
    call_tell(c, "hangup", "\"cause\":%d,\"by\":\"%s\"", cause, by);
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

/* ---- incoming ---- */

void call_set_state(struct call *c, enum state state, const char *name)
{
    c->state = state;
    call_tell(c, name, NULL);
}

void call_alert(struct call *c)
{
    c->alert_due = 0;
    pri_acknowledge(c->span->pri, c->reference, call_channel(c), policy.inband);
    call_set_state(c, ALERTING, "alerting");
    if (policy.inband && c->play_at_connect) call_play(c, c->play_at_connect, span_sample(c->span), c->repeat_at_connect);
}

const char *call_answer(struct call *c)
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
    pri_answer(c->span->pri, c->reference, call_channel(c), 0);
    call_set_state(c, ACTIVE, "connect");
    prove(c);
    if (c->play_at_connect && !c->play) call_play(c, c->play_at_connect, span_sample(c->span), c->repeat_at_connect);
    return wrong;
}

/* All digits are here: what policy says. */
static void complete(struct call *c)
{
    double now = mono_now();
    /* Also before a refusal: libpri 1.6.0 sends nothing when it clears with most causes from Call present. */
    pri_proceeding(c->span->pri, c->reference, call_channel(c), 0);
    call_set_state(c, PROCEEDING, "proceeding");
    if (policy.incoming == REFUSE) {
        call_ended(c, policy.cause, "exchange");
        pri_hangup(c->span->pri, c->reference, policy.cause);
        return;
    }
    if (policy.incoming == MANUAL) return;
    c->alert_due = now + policy.alerting_s;
    if (policy.incoming == ANSWER) c->answer_due = c->alert_due + policy.answer_s;
    if (policy.alerting_s <= 0) call_alert(c);
    if (c->answer_due && policy.alerting_s <= 0 && policy.answer_s <= 0) call_answer(c);
}

static void incoming(struct span *s, pri_event_ring *r)
{
    char id[64];
    int timeslot = r->channel < 0 ? 0 : r->channel & 0xFF;
    if (timeslot == 0xFF) timeslot = 0;
    struct span *d = s;
    if (!(s = span_of(s, r->channel))) { pri_hangup(d->pri, r->call, PRI_CAUSE_REQUESTED_CHAN_UNAVAIL); return; }
    bool unusable = timeslot > s->timeslots || timeslot == s->d_timeslot || (timeslot && s->by_timeslot[timeslot]);
    if (!timeslot || (unusable && r->flexible)) { timeslot = span_idle_timeslot(s); unusable = !timeslot; }
    if (unusable) { pri_hangup(s->pri, r->call, timeslot ? PRI_CAUSE_REQUESTED_CHAN_UNAVAIL : PRI_CAUSE_NORMAL_CIRCUIT_CONGESTION); return; }
    snprintf(id, sizeof id, "in-%d-%u", s->number, ++s->incoming);
    struct call *c = call_add(s, r->call, id, timeslot);
    c->incoming = true;
    c->data = r->ctype == PRI_TRANS_CAP_DIGITAL;
    if (c->data) s->clear[timeslot] = true;
    snprintf(c->called, sizeof c->called, "%.60s", r->callednum);
    c->play_at_connect = policy.play;
    c->repeat_at_connect = policy.repeat;
    if (policy.proof) c->code = proof_code(c->called);
    if (*policy.record_dir) snprintf(c->record_at_answer, sizeof c->record_at_answer, "%s/%s.wav", policy.record_dir, id);
    bool enough = r->complete || (int)strlen(c->called) >= policy.digits;
    call_tell(c, "incoming", "\"caller\":%s,\"called\":%s,\"redirecting\":%s,\"complete\":%s,\"capability\":%d,\"layer1\":%d,"
         "\"presentation\":%d,\"called_plan\":%d,\"name\":%s,\"called_subaddress\":%s,\"user_user\":%s",
         json_quote(r->callingnum), json_quote(r->callednum), json_quote(r->redirectingnum),
         r->complete ? "true" : "false", r->ctype, r->layer1, r->callingpres, r->calledplan, json_quote(r->callingname),
         json_quote(r->called_subaddress.valid ? (char *)r->called_subaddress.data : ""), json_quote(r->useruserinfo));
    if (enough) { complete(c); return; }
    pri_need_more_info(s->pri, r->call, call_channel(c), policy.inband);
    if (policy.inband && c->play_at_connect) call_play(c, c->play_at_connect, span_sample(s), c->repeat_at_connect);
    call_set_state(c, OVERLAP, "setup_ack");
}

static void more_digits(struct call *c, const char *digits)
{
    strncat(c->called, digits, sizeof c->called - 1 - strlen(c->called));
    call_tell(c, "digits", "\"digits\":%s,\"called\":%s", json_quote(digits), json_quote(c->called));
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
        call_ended(c, PRI_CAUSE_NORMAL_TEMPORARY_FAILURE, "box");
        pri_destroycall(s->pri, c->reference);
        call_forget(c, PRI_CAUSE_NORMAL_TEMPORARY_FAILURE);
    }
}

static void clearing(struct span *s, int kind, pri_event_hangup *h)
{
    struct call *c = find_reference(s, h->call);
    int cause = h->cause;
    bool last = kind != PRI_EVENT_HANGUP_REQ;
    /* What no frame brought, a timer did. */
    if (c) call_ended(c, cause, s->in_frame ? "box" : "failure");
    pri_hangup(s->pri, h->call, cause);
    if (c && last) call_forget(c, cause);
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
            call_tell(c, "mcid", "\"originator\":%s,\"answerer\":%s", json_quote(x->u.mcid_req.originator.number.str), json_quote(x->u.mcid_req.answerer.number.str));
        else if (x->cmd == PRI_SUBCMD_MCID_RSP)
            call_tell(c, "mcid_answer", "\"status\":%d", x->u.mcid_rsp.status);
        else if (x->cmd == PRI_SUBCMD_CONNECTED_LINE)
            call_tell(c, "connected_line", "\"number\":%s,\"presentation\":%d", json_quote(x->u.connected_line.id.number.str),
                 x->u.connected_line.id.number.presentation);
        else if (x->cmd == PRI_SUBCMD_TRANSFER_CALL) {
            const struct call *one = the_other(s, x->u.transfer.call_1, c), *two = the_other(s, x->u.transfer.call_2, c);
            call_tell(c, "transfer", "\"first\":%s,\"second\":%s,\"first_held\":%s,\"second_held\":%s", json_quote(one->id), json_quote(two->id),
                 x->u.transfer.is_call_1_held ? "true" : "false", x->u.transfer.is_call_2_held ? "true" : "false");
            pri_transfer_rsp(s->pri, reference, x->u.transfer.invoke_id, !policy.refuse_transfer);
            if (policy.refuse_transfer) continue;
            /* The two parties are joined here; the box has done with both calls. */
            struct call *both[] = {(struct call *)one, (struct call *)two};
            for (int k = 0; k < 2; k++) {
                if (both[k]->state == CLEARING) continue;
                call_ended(both[k], PRI_CAUSE_NORMAL_CLEARING, "exchange");
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
        call_tell(c, "hold", NULL);
        if (policy.refuse_hold) pri_hold_rej(s->pri, c->reference, PRI_CAUSE_FACILITY_REJECTED);
        else pri_hold_ack(s->pri, c->reference);
        break;
    case PRI_EVENT_RETRIEVE:
        if (!(c = find_reference(s, e->retrieve.call))) break;
        pri_retrieve_ack(s->pri, c->reference, call_channel(c));
        call_tell(c, "retrieve", NULL);
        break;
    case PRI_EVENT_HOLD_ACK:
    case PRI_EVENT_HOLD_REJ:
    case PRI_EVENT_RETRIEVE_ACK:
    case PRI_EVENT_RETRIEVE_REJ:
        if ((c = find_reference(s, e->hold_ack.call)))
            call_tell(c, e->e == PRI_EVENT_HOLD_ACK ? "hold_ack" : e->e == PRI_EVENT_HOLD_REJ ? "hold_reject" :
                    e->e == PRI_EVENT_RETRIEVE_ACK ? "retrieve_ack" : "retrieve_reject", NULL);
        break;
    case PRI_EVENT_NOTIFY:
        if ((c = find_reference(s, e->notify.call))) call_tell(c, "notify", "\"description\":%d", e->notify.info);
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
        call_set_state(c, OVERLAP, "setup_ack");
        if (*c->rest) { c->next_digit = c->rest; c->digit_due = mono_now() + c->digit_interval; }
        break;
    case PRI_EVENT_PROCEEDING:
        if (!(c = find_reference(s, e->proceeding.call))) break;
        adopt_timeslot(c, e->proceeding.channel);
        c->next_digit = NULL;       /* the number is complete for the other side */
        call_set_state(c, PROCEEDING, "proceeding");
        break;
    case PRI_EVENT_PROGRESS:
        if ((c = find_reference(s, e->proceeding.call)))
            call_tell(c, "progress", "\"inband\":%s", e->proceeding.progressmask & PRI_PROG_INBAND_AVAILABLE ? "true" : "false");
        break;
    case PRI_EVENT_RINGING:
        if (!(c = find_reference(s, e->ringing.call))) break;
        adopt_timeslot(c, e->ringing.channel);
        c->next_digit = NULL;
        call_set_state(c, ALERTING, "alerting");
        break;
    case PRI_EVENT_ANSWER:
        if (!(c = find_reference(s, e->answer.call))) break;
        adopt_timeslot(c, e->answer.channel);
        c->next_digit = NULL;
        facilities(s, e->answer.call, e->answer.subcmds);
        call_set_state(c, ACTIVE, "connect");
        prove(c);
        if (c->play_at_connect) call_play(c, c->play_at_connect, span_sample(s), c->repeat_at_connect);
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
            if (c->alert_due && now >= c->alert_due) call_alert(c);
            if (c->answer_due && now >= c->answer_due) call_answer(c);
        }
}

void calls_close_all(void)
{
    for (int i = 0; i < span_count; i++)
        for (struct call *c = spans[i]->calls; c; c = c->next)
            if (c->recorder) { recorder_close(c->recorder); c->recorder = NULL; }
}
