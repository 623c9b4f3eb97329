/* Signalling links: HDLC with repeated fill-in units (spandsp), levels 2 and 3 by libss7, a trace of every unit that differs.
 *
 * libss7 believes in a DAHDI driver that repeats FISU and LSSU while it has nothing else and hands each up only once; that
 * driver is here.  --ss7 VARIANT,OPC,DPC,SPAN:TIMESLOT:SLC[,...]
 *
 * libss7 has no 24-bit point codes.  Variant china is its ITU with every label rewritten on the way: the low 14 bits of a
 * point code are libss7's, the others are HIGH.
 *
 * --ss7 script,SPAN:TIMESLOT:SLC[,...]: the links without libss7.  Each unit that differs from the one before is told as `unit`, and what is
 * sent comes by the commands `unit` and `cycle`: levels 2 and up are the script's (ss7_script.py).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "ss7.h"

enum { HIGH = 0x0B4000, LINKS = 16, UNITS = 256, UNIT_MAX = 280, SHORT = 5, CYCLE = 128 };

struct unit { int octets; uint8_t data[UNIT_MAX]; };

struct link {
    int span, timeslot, slc, inner, outer;
    bool up, alarm;
    hdlc_rx_state_t *rx;
    hdlc_tx_state_t *tx;
    struct unit queue[UNITS], fill, last, cycle[CYCLE];
    int head, length, cycled, at;       /* cycle: what a script wants repeated in turn (preventive cyclic retransmission) */
    unsigned long long received, sent, repeated, errors;
};

struct ss7 *point;
unsigned adjacent;
bool scripted;
static struct link links[LINKS];
static int link_count, trace_fd = -1;
static bool settling, started, china;
static uint8_t column_d[SPANS_MAX + 1][FRAMES];

static void trace(const struct link *l, const struct unit *u, bool sent)
{
    if (trace_fd < 0) return;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    struct { uint32_t seconds, micros, kept, length; uint8_t head[4], data[UNIT_MAX]; } packet = {
        t.tv_sec, t.tv_nsec / 1000, u->octets + 4, u->octets + 4, {sent, 0, 0, l - links}};
    memcpy(packet.data, u->data, u->octets);
    writer_append(trace_fd, &packet, 20 + u->octets);
}

static void trace_open(void)
{
    if (!settings.trace) return;
    char path[600];
    snprintf(path, sizeof path, "%s/ss7.pcap", settings.trace);
    trace_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct { uint32_t magic; uint16_t major, minor; uint32_t zone, sigfigs, snap, type; } head = {
        0xA1B2C3D4, 2, 4, 0, 0, 65535, 139};            /* LINKTYPE_MTP2_WITH_PHDR: sent, annex A, link number */
    if (trace_fd >= 0) writer_append(trace_fd, &head, sizeof head);
}

/* ---- labels ---- */

static unsigned le(const uint8_t *p, int n)
{
    unsigned v = 0;
    while (n--) v = v << 8 | p[n];
    return v;
}

static int put_le(uint8_t *p, unsigned v, int n)
{
    for (int i = 0; i < n; i++) p[i] = v >> 8 * i;
    return n;
}

/* SIO, label, the rest: of `from` octets a point code to `to` octets; TFP and its kin name a destination behind their heading. */
static int relabel(const uint8_t *in, int octets, uint8_t *out, bool widen)
{
    int length = octets - 3, label = widen ? 5 : 8, n = 4;
    if ((in[2] & 63) < 3 || length < label + 1) { memcpy(out, in, octets); return octets; }
    const uint8_t *c = in + 3, *rest = c + label;
    memcpy(out, in, 4);
    if (widen) {
        unsigned word = le(c + 1, 4);
        n += put_le(out + n, (word & 0x3FFF) | HIGH, 3);
        n += put_le(out + n, (word >> 14 & 0x3FFF) | HIGH, 3);
        out[n++] = word >> 28;
    } else {
        n += put_le(out + n, (le(c + 1, 3) & 0x3FFF) | (le(c + 4, 3) & 0x3FFF) << 14 | (unsigned)c[7] << 28, 4);
    }
    int left = length - label, size = widen ? 2 : 3;
    if ((c[0] & 15) == 0 && (rest[0] & 15) == 4 && left >= 1 + size) {
        out[n++] = rest[0];
        n += put_le(out + n, widen ? (le(rest + 1, 2) & 0x3FFF) | HIGH : le(rest + 1, 3) & 0x3FFF, widen ? 3 : 2);
        rest += 1 + size;
        left -= 1 + size;
    }
    memcpy(out + n, rest, left);
    n += left;
    out[2] = n - 3 < 63 ? n - 3 : 63;
    return n;
}

/* ---- messages that libss7 cannot make or read ---- */

enum { CICS = 32 * SPANS_MAX, LPA = 0x24, IAM = 0x01, NATIONAL = 0xF8 };

bool watch;
static bool ansi;
static struct { int octets; uint8_t data[260]; bool continuity, open; } script[CICS];

void script_raw(int cic, const uint8_t *octets, int n)
{
    script[cic].octets = n;
    memcpy(script[cic].data, octets, n);
}

void script_iam(int cic, bool continuity, bool open) { script[cic].continuity = continuity; script[cic].open = open; }

/* Place of the CIC in a unit with a label of libss7's, or 0 where it is no message of ISUP. */
static int isup_at(const uint8_t *unit, int octets)
{
    int at = ansi ? 11 : 8;
    return octets > at + 2 && (unit[3] & 15) == 5 ? at : 0;
}

/* Called party number without its last digit, ST: it begins behind the fixed part, from which the first pointer leads to it. */
static int without_st(uint8_t *c, int left)
{
    uint8_t *pointer = c + 3 + 5, *number = pointer + *pointer, *last = number + *number;
    if (number[1] & 0x80) {             /* odd: the last octet holds ST alone */
        memmove(last, last + 1, c + left - last - 1);
        (*number)--;
        if (pointer[1]) pointer[1]--;
        left--;
        number[1] &= 0x7F;
    } else {
        *last &= 15;
        number[1] |= 0x80;
    }
    return left;
}

/* On its way out.  Returns its length. */
static int rewritten(uint8_t *unit, int octets)
{
    int at = isup_at(unit, octets), cic, left = octets - at;
    if (!at) return octets;
    uint8_t *c = unit + at;
    cic = c[0] | c[1] << 8;
    if (cic >= CICS) return octets;
    if (c[2] == LPA && script[cic].octets) {
        memcpy(c + 2, script[cic].data, script[cic].octets);
        left = 2 + script[cic].octets;
        script[cic].octets = 0;
    } else if (c[2] == IAM) {
        if (script[cic].continuity) c[3] = (c[3] & ~0x0C) | 0x04;
        if (script[cic].open) left = without_st(c, left);
        script[cic].continuity = script[cic].open = false;
    }
    octets = at + left;
    unit[2] = octets - 3 < 63 ? octets - 3 : 63;
    return octets;
}

/* Tells a message.  Whether libss7 may have it. */
static bool heard(const uint8_t *unit, int octets)
{
    int at = isup_at(unit, octets);
    if (!at || (!watch && unit[at + 2] < NATIONAL)) return true;
    char hex[600];
    for (int i = at + 2; i < octets; i++) sprintf(hex + 2 * (i - at - 2), "%02x", unit[i]);
    event(NULL, "message", "\"cic\":%d,\"octets\":\"%s\"", unit[at] | unit[at + 1] << 8, hex);
    return unit[at + 2] < NATIONAL;
}

/* ---- from the line ---- */

static void received(void *user, const uint8_t *frame, int octets, int ok)
{
    struct link *l = user;
    if (octets < 0) return;             /* a status of spandsp's */
    if (!ok) { l->errors++; return; }
    if (octets < 3 || octets > UNIT_MAX - 2) return;
    l->received++;
    if (octets <= SHORT && octets == l->last.octets && !memcmp(frame, l->last.data, octets)) { l->repeated++; return; }
    l->last.octets = octets;
    memcpy(l->last.data, frame, octets);
    trace(l, &l->last, false);
    if (scripted) {
        char hex[2 * UNIT_MAX + 1];
        for (int i = 0; i < octets; i++) sprintf(hex + 2 * i, "%02x", frame[i]);
        event(span_find(l->span), "unit", "\"slc\":%d,\"octets\":\"%s\"", l->slc, hex);
        return;
    }
    uint8_t unit[UNIT_MAX + 8];
    if (china) octets = relabel(frame, octets, unit, false);
    else memcpy(unit, frame, octets);
    if (!heard(unit, octets)) {         /* level 2 must have it all the same: as the fill-in unit with its numbers it is acknowledged */
        if (ansi) unit[3] = 0x8F; else unit[3] |= 0x0F;
    }
    unit[octets] = unit[octets + 1] = 0;                /* libss7 wants room for an FCS that it does not look at */
    if (send(l->outer, unit, octets + 2, MSG_DONTWAIT) < 0) l->errors++;
}

/* ---- to the line ---- */

static void feed(void *user)
{
    struct link *l = user;
    struct unit *u = l->length ? &l->queue[l->head] : l->cycled ? &l->cycle[l->at % l->cycled] : &l->fill;
    if (!u->octets || hdlc_tx_frame(l->tx, u->data, u->octets) < 0) return;     /* one is on its way */
    l->sent++;
    if (!l->length) { l->at++; return; }
    l->head = (l->head + 1) % UNITS;
    l->length--;
    if (u->octets <= SHORT) l->fill = *u;
}

static void collect(struct link *l)
{
    struct unit u;
    uint8_t unit[1100];
    for (int n; (n = recv(l->outer, unit, sizeof unit, MSG_DONTWAIT)) > 2;) {
        u.octets = rewritten(unit, n - 2);
        if (u.octets > UNIT_MAX - 4 || l->length == UNITS) continue;
        if (china) u.octets = relabel(unit, u.octets, u.data, true);
        else memcpy(u.data, unit, u.octets);
        l->queue[(l->head + l->length++) % UNITS] = u;
        trace(l, &u, true);
    }
}

/* libss7 2.0 never sees its MTP come up when it starts with a link in alarm. */
static void start_when_all_are_there(void)
{
    if (scripted) return;
    for (struct link *l = links; l < links + link_count; l++) if (l->alarm) return;
    started = true;
    ss7_start(point);
}

void links_block(struct span *s, const uint8_t *rx, uint8_t *tx)
{
    uint8_t column[FRAMES];
    for (struct link *l = links; l < links + link_count; l++) {
        if (l->span != s->number) continue;
        bool alarm = !s->rx.aligned || s->ais;
        if (alarm != l->alarm) {
            l->alarm = alarm;
            if (!started) start_when_all_are_there();
            else if (alarm) ss7_link_alarm(point, l->inner);
            else ss7_link_noalarm(point, l->inner);
        }
        for (int f = 0; f < FRAMES; f++) column[f] = rx[f * TIMESLOTS + l->timeslot];
        if (!alarm) hdlc_rx_put(l->rx, column, FRAMES);
    }
    ss7_settle();
    for (struct link *l = links; l < links + link_count; l++) {
        if (l->span != s->number) continue;
        feed(l);                        /* the first; then spandsp asks for each */
        for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + l->timeslot] = hdlc_tx_get_byte(l->tx);
    }
    /* line.c asks for the D channel's timeslot by itself */
    for (int f = 0; f < FRAMES; f++) column_d[s->number][f] = tx[f * TIMESLOTS + s->d_timeslot];
}

void ss7_settle(void)
{
    if (settling || !started) return;
    settling = true;
    for (bool busy = true; busy;) {
        busy = false;
        ss7_schedule_run(point);
        for (struct link *l = links; l < links + link_count; l++) {
            struct pollfd p = {l->inner, POLLIN, 0};
            while (poll(&p, 1, 0) > 0 && p.revents & POLLIN) { ss7_read(point, l->inner); busy = true; }
            for (int k = 0; k < 64 && ss7_pollflags(point, l->inner) & POLLOUT; k++) ss7_write(point, l->inner);
            collect(l);
        }
        for (ss7_event *e; (e = ss7_check_event(point)); busy = true) {
            if (e->e == SS7_EVENT_UP || e->e == SS7_EVENT_DOWN) event(NULL, e->e == SS7_EVENT_UP ? "ss7_up" : "ss7_down", NULL);
            else if (e->e == MTP2_LINK_UP || e->e == MTP2_LINK_DOWN) event(NULL, e->e == MTP2_LINK_UP ? "link_up" : "link_down", NULL);
            else ss7_take(e);
        }
        ss7_again();
    }
    settling = false;
}

/* ---- what the rest of the exchange calls ---- */

void dchannel_receive(struct span *s, const uint8_t *octets, int n) { }
void dchannel_transmit(struct span *s, uint8_t *octets, int n) { memcpy(octets, column_d[s->number], n); }
bool dchannel_queue(struct span *s, const uint8_t *frame, int octets, bool bad_fcs) { return false; }

void dchannel_restart(struct span *s)
{
    for (struct link *l = links; l < links + link_count; l++)
        if (l->span == s->number) {
            hdlc_rx_restart(l->rx);
            hdlc_rx_set_max_frame_len(l->rx, UNIT_MAX - 2);
            l->last.octets = 0;
        }
}

void dchannel_timers(struct span *s) { if (s == spans[0]) ss7_settle(); }

static void says(struct ss7 *s, char *text) { if (settings.debug) fputs(text, stderr); }

static void complains(struct ss7 *s, char *text)
{
    char line[400];
    snprintf(line, sizeof line, "%s", text);
    line[strcspn(line, "\n")] = 0;
    event(NULL, "exchange_error", "\"text\":%s", json_quote(line));
}

static void load_timers(void)
{
    static const struct { char *name; int ms; } of_mtp3[] = {
        {"t1", 800}, {"t2", 1400}, {"t3", 800}, {"t4", 800}, {"t5", 800}, {"t6", 800}, {"t7", 1500}, {"t10", 45000}, {"t12", 1000},
        {"t13", 1000}, {"t14", 2500}, {"t19", 67000}, {"t21", 63000}, {"t22", 180000}, {"t23", 180000}, {"q707_t1", 8000},
        {"q707_t2", 60000}}, of_isup[] = {
        {"t1", 15000}, {"t2", 180000}, {"t5", 300000}, {"t6", 60000}, {"t7", 20000}, {"t8", 10000}, {"t10", 4000}, {"t12", 15000},
        {"t13", 300000}, {"t14", 15000}, {"t15", 300000}, {"t16", 15000}, {"t17", 300000}, {"t18", 15000}, {"t19", 300000},
        {"t20", 15000}, {"t21", 300000}, {"t22", 15000}, {"t23", 300000}, {"t27", 240000}, {"t33", 12000}, {"t35", 15000}};
    for (size_t k = 0; k < sizeof of_mtp3 / sizeof *of_mtp3; k++) ss7_set_mtp3_timer(point, of_mtp3[k].name, of_mtp3[k].ms);
    for (size_t k = 0; k < sizeof of_isup / sizeof *of_isup; k++) ss7_set_isup_timer(point, of_isup[k].name, of_isup[k].ms);
}

static void link_add(const char *text)
{
    struct link *l = &links[link_count];
    int pair[2];
    if (link_count == LINKS || sscanf(text, "%d:%d:%d", &l->span, &l->timeslot, &l->slc) != 3 || !span_find(l->span)
        || l->timeslot < 1 || l->timeslot >= TIMESLOTS || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair)) {
        fprintf(stderr, "A link is SPAN:TIMESLOT:SLC on one of --spans, at most %d of them; this is not one: %s\n", LINKS, text);
        exit(2);
    }
    l->inner = pair[0];
    l->outer = pair[1];
    l->rx = hdlc_rx_init(NULL, false, true, 1, received, l);
    l->tx = hdlc_tx_init(NULL, false, 1, false, feed, l);
    hdlc_rx_set_max_frame_len(l->rx, UNIT_MAX - 2);
    l->alarm = true;
    link_count++;
    if (point) ss7_add_link(point, SS7_TRANSPORT_DAHDIMTP2, l->inner, l->slc, adjacent);
}

void dchannel_init(struct span *s)
{
    if (point || scripted) return;
    char text[400], *at = text, *variant = "", *own = "", *far = "";
    snprintf(text, sizeof text, "%s", settings.ss7 ? settings.ss7 : "");
    variant = strsep(&at, ",");
    if (!strcmp(variant, "script") && at) {
        scripted = true;
        trace_open();
        while (at) link_add(strsep(&at, ","));
        return;
    }
    own = at ? strsep(&at, ",") : "";
    far = at ? strsep(&at, ",") : "";
    china = !strcmp(variant, "china");
    ansi = !strcmp(variant, "ansi");
    if (!at || (strcmp(variant, "itu") && strcmp(variant, "ansi") && !china)) {
        fprintf(stderr, "--ss7 is wanted: itu, ansi or china, our point code, the other's, then links as SPAN:TIMESLOT:SLC; or script, then links.\n");
        exit(2);
    }
    adjacent = atoi(far);
    ss7_set_message(says);
    ss7_set_error(complains);
    point = ss7_new(strcmp(variant, "ansi") ? SS7_ITU : SS7_ANSI);
    ss7_set_network_ind(point, SS7_NI_NAT);
    ss7_set_pc(point, atoi(own));
    load_timers();
    trace_open();
    while (at) link_add(strsep(&at, ","));
}

/* One unit of hex from `*hex` on, ended by a blank or the end.  Whether it is one. */
static bool unit_of(const char **hex, struct unit *u)
{
    unsigned value;
    while (**hex == ' ') ++*hex;
    for (u->octets = 0; u->octets < UNIT_MAX - 4 && **hex && **hex != ' ' && sscanf(*hex, "%2x", &value) == 1; *hex += 2) u->data[u->octets++] = value;
    return u->octets >= 3 && (**hex == ' ' || !**hex);
}

/* unit: sent once, a short one repeated from then on.  cycle: repeated in turn while nothing else is to be sent; empty: the last short one. */
static const char *script_command(const char *what, const struct json *in)
{
    struct link *l = links;
    const char *hex = json_text(in, "octets", "");
    int slc = json_number(in, "slc", -1);
    while (l < links + link_count && l->slc != slc) l++;
    if (l == links + link_count) return "There is no link with this `slc`.";
    if (!strcmp(what, "unit")) {
        struct unit u;
        if (l->length == UNITS || !unit_of(&hex, &u)) return "`octets` is a signal unit in hex, without FCS; or too many wait already.";
        l->queue[(l->head + l->length++) % UNITS] = u;
        trace(l, &u, true);
        return "";
    }
    l->cycled = 0;
    while (*hex) {
        if (l->cycled == CYCLE || !unit_of(&hex, &l->cycle[l->cycled])) { l->cycled = 0; return "`octets` is at most 128 signal units in hex with blanks between."; }
        l->cycled++;
    }
    return "";
}

const char *ss7_network_command(const char *what, const struct json *in)
{
    if (scripted && (!strcmp(what, "unit") || !strcmp(what, "cycle"))) return script_command(what, in);
    if (strcmp(what, "links")) return NULL;
    for (struct link *l = links; l < links + link_count; l++)
        event(span_find(l->span), "link", "\"slc\":%d,\"received\":%llu,\"repeated\":%llu,\"sent\":%llu,\"errors\":%llu", l->slc,
              l->received, l->repeated, l->sent, l->errors);
    return "";
}
