/* Commands of the control socket that are about calls. */
#include <stdlib.h>
#include <string.h>

#include "calls.h"

/* ---- commands that name no call yet ---- */

static const char *place(const struct json *in, char *reply, size_t room)
{
    static char error[700];
    struct span *s = span_find(json_number(in, "span", 0));
    const char *id = json_text(in, "id", ""), *called = json_text(in, "called", ""), *caller = json_text(in, "caller", "");
    const char *redirecting = json_text(in, "redirecting", NULL), *play = json_text(in, "play", NULL), *record = json_text(in, "record", NULL);
    if (!s) return "There is no such span here; name one of --spans.";
    if (!*id || strlen(id) > 60) return "A call wants an `id` of 1 to 60 characters.";
    if (call_find(id)) return "A call with this id is still there; take another id or wait for `released`.";
    if (strlen(called) > 31 || strlen(caller) > 31) return "A number has at most 31 digits here.";
    if (!s->pri || !s->leader->link_up) return "The data link of this span is down; wait for `link_up`.";
    int timeslot = json_number(in, "timeslot", 0);
    if (!timeslot && !(timeslot = span_idle_timeslot(s))) return "All timeslots of this span are taken.";
    if (timeslot < 1 || timeslot > s->timeslots || timeslot == s->d_timeslot) return "A call's timeslot is 1 to 15 or 17 to 31, on a T1 1 to 23.";
    if (s->by_timeslot[timeslot]) return "This timeslot is taken; wait for `released` or leave `timeslot` out.";
    struct sound *sound = NULL;
    if (play && !(sound = sound_load(play, error, sizeof error))) return error;

    double interval = json_number(in, "overlap", 0);
    bool overlap = interval > 0 || json_true(in, "overlap");
    char digits[64];
    const char *capability = json_text(in, "capability", "3.1khz");
    bool data = !strcmp(capability, "data");
    struct call *c = call_add(s, pri_new_call(s->pri), id, timeslot);
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
        call_forget(c, 0);
        return error;
    }
    struct pri_sr *sr = pri_sr_new();
    pri_sr_set_channel(sr, call_channel(c), !json_true(in, "preferred"), 0);
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
    if (wrong) { pri_destroycall(s->pri, c->reference); call_forget(c, 0); return "libpri refused to send SETUP."; }
    call_set_state(c, SETUP, "setup");
    snprintf(reply, room, "\"timeslot\":%d,\"sample\":%llu", timeslot, (unsigned long long)span_sample(s));
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

/* A timeslot of a raw span, whose signalling the script does. */
static const char *channel(const struct json *in)
{
    struct span *s = span_find(json_number(in, "span", 0));
    const char *id = json_text(in, "id", "");
    int timeslot = json_number(in, "timeslot", 0);
    if (!s || !s->leader->raw) return "A channel is of a span of --raw.";
    if (!*id || strlen(id) > 60 || call_find(id)) return "A channel wants an `id` of 1 to 60 characters that no other has.";
    if (timeslot < 1 || timeslot > s->timeslots || timeslot == s->d_timeslot || s->by_timeslot[timeslot]) return "This timeslot is not free.";
    struct call *c = call_add(s, NULL, id, timeslot);
    c->state = ACTIVE;
    if ((c->data = json_true(in, "data"))) s->clear[timeslot] = true;
    return NULL;
}

/* ---- commands to a call ---- */

static const char *play(struct call *c, const struct json *in, char *reply, size_t room)
{
    static char error[700];
    struct sound *sound = sound_load(json_text(in, "file", ""), error, sizeof error);
    if (!sound) return error;
    int64_t now = span_sample(c->span), from = json_number(in, "at_sample", now);
    if (from < now) return "`at_sample` is in the past.";
    call_play(c, sound, from, json_true(in, "repeat"));
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
    call_tell(c, "dtmf_started", "\"digits\":%s,\"tx_sample\":%llu", json_quote(digits), (unsigned long long)span_sample(c->span));
    snprintf(reply, room, "\"tx_sample\":%llu", (unsigned long long)span_sample(c->span));
    return NULL;
}

static const char *fax(struct call *c, const struct json *in, char *reply, size_t room)
{
    const char *send = json_text(in, "send", ""), *print = json_text(in, "print", "");
    if (!*send && !*print) return "`fax` needs `send` or `print`, a TIFF file.";
    fax_end(c->fax);
    c->fax = fax_new(json_true(in, "calls"), send, print, json_text(in, "station", ""));
    call_tell(c, "fax_started", NULL);
    return NULL;
}

static const char *answer(struct call *c, const struct json *in, char *reply, size_t room)
{
    static char error[700];
    const char *file = json_text(in, "play", NULL), *record = json_text(in, "record", NULL);
    if (!c->incoming || c->state == ACTIVE || c->state == CLEARING) return "Only an incoming call that is not answered can be answered.";
    if (file && !(c->play_at_connect = sound_load(file, error, sizeof error))) return error;
    if (file) c->repeat_at_connect = json_true(in, "repeat");
    if (record) snprintf(c->record_at_answer, sizeof c->record_at_answer, "%s", record);
    return call_answer(c);
}

/* Asked for again: the figures begin anew, what goes out goes on. */
static const char *bert(struct call *c, const struct json *in, char *reply, size_t room)
{
    if (!c->pattern) c->pattern = bert_init(NULL, 0, BERT_PATTERN_ITU_O152_11, 300, 20);
    if (c->bert) bert_free(c->bert);
    c->bert = bert_init(NULL, 0, BERT_PATTERN_ITU_O152_11, 300, 20);
    return c->bert ? NULL : "spandsp gave no bit error test.";
}

static const char *bert_figures(struct call *c, const struct json *in, char *reply, size_t room)
{
    bert_results_t found;
    if (!c->bert) return "No bit error test runs on this call; `bert` begins one.";
    bert_result(c->bert, &found);
    snprintf(reply, room, "\"bits\":%d,\"bad_bits\":%d,\"resyncs\":%d", found.total_bits, found.bad_bits, found.resyncs);
    return NULL;
}

static const char *stop_play(struct call *c, const struct json *in, char *reply, size_t room)
{
    c->play = NULL;
    return NULL;
}

static const char *hold(struct call *c, const struct json *in, char *reply, size_t room)
{
    return pri_hold(c->span->pri, c->reference) ? "libpri refused to hold this call." : NULL;
}

static const char *retrieve(struct call *c, const struct json *in, char *reply, size_t room)
{
    return pri_retrieve(c->span->pri, c->reference, call_channel(c)) ? "libpri refused to retrieve this call." : NULL;
}

static const char *digit(struct call *c, const struct json *in, char *reply, size_t room)
{
    for (const char *d = json_text(in, "digits", ""); *d; d++) pri_information(c->span->pri, c->reference, *d);
    return NULL;
}

static const char *record(struct call *c, const struct json *in, char *reply, size_t room)
{
    static char error[700];
    return c->recorder || (c->recorder = recorder_open(c->span, c->id, json_text(in, "file", ""), error, sizeof error)) ? NULL : error;
}

static const char *mcid(struct call *c, const struct json *in, char *reply, size_t room)
{
    return pri_mcid_req_send(c->span->pri, c->reference) ? "libpri refused to ask for MCID." : NULL;
}

static const char *hangup(struct call *c, const struct json *in, char *reply, size_t room)
{
    int cause = json_number(in, "cause", PRI_CAUSE_NORMAL_CLEARING);
    if (!c->reference) { call_forget(c, 0); return NULL; }
    if (c->state == CLEARING) return NULL;
    call_ended(c, cause, "exchange");
    pri_hangup(c->span->pri, c->reference, cause);
    return NULL;
}

static const char *alert(struct call *c, const struct json *in, char *reply, size_t room)
{
    if (!c->incoming || c->state > PROCEEDING) return "Only an incoming call that does not ring yet can be alerted.";
    call_alert(c);
    return NULL;
}

static const struct {
    const char *name;
    const char *(*carry_out)(struct call *c, const struct json *in, char *reply, size_t room);         /* NULL or what is wrong */
} COMMANDS[] = {
    {"play", play}, {"stop_play", stop_play}, {"dtmf", dtmf}, {"hangup", hangup}, {"alert", alert}, {"answer", answer}, {"bert", bert},
    {"bert_figures", bert_figures}, {"hold", hold}, {"retrieve", retrieve}, {"digit", digit}, {"record", record}, {"mcid", mcid}, {"fax", fax},
};

const char *calls_command(const char *what, const struct json *in, char *reply, size_t room)
{
    if (!strcmp(what, "call")) return place(in, reply, room);
    if (!strcmp(what, "policy")) return set_policy(in);
    if (!strcmp(what, "channel")) return channel(in);
    for (size_t k = 0; k < sizeof COMMANDS / sizeof *COMMANDS; k++) {
        if (strcmp(COMMANDS[k].name, what)) continue;
        struct call *c = call_find(json_text(in, "id", ""));
        return c ? COMMANDS[k].carry_out(c, in, reply, room) : "There is no call with this id (it may have ended).";
    }
    return "This command is not known; README.md of hil/far lists them.";
}

void calls_status(char **at, char *end)
{
    bool first = true;
    for (int i = 0; i < span_count; i++)
        for (struct call *c = spans[i]->calls; c; c = c->next) {
            if (end - *at < 400) return;
            *at += snprintf(*at, end - *at, "%s{\"id\":%s,\"span\":%d,\"timeslot\":%d,\"state\":\"%s\",\"incoming\":%s",
                            first ? "" : ",", json_quote(c->id), c->span->number, c->timeslot, CALL_STATES[c->state],
                            c->incoming ? "true" : "false");
            if (c->proof)
                *at += snprintf(*at, end - *at, ",\"heard\":%u,\"silent\":%u,\"other\":%u,\"breaks\":%u", c->proof->heard,
                                c->proof->silent, c->proof->other, c->proof->breaks);
            *at += snprintf(*at, end - *at, "}");
            first = false;
        }
}
