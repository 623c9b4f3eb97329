/* The far exchange: options, event loop, timers.  See README.md in this folder. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "far.h"

enum { PRIORITY = 42, RETRY_MS = 100 };     /* below media's tick (45), above the board (40) */

struct settings settings = {.side = PRI_NETWORK, .switch_type = PRI_SWITCH_EUROISDN_E1};
struct span *spans[SPANS_MAX];
int span_count;
int poller;

static double clock_now(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
double mono_now(void) { return clock_now(CLOCK_MONOTONIC); }
double wall_now(void) { return clock_now(CLOCK_REALTIME); }

uint64_t span_sample(const struct span *s) { return s->blocks * FRAMES; }

struct span *span_find(int number)
{
    for (int i = 0; i < span_count; i++)
        if (spans[i]->number == number) return spans[i];
    return NULL;
}

void poller_add(int fd, void *what)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = what};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
}

static void fail(const char *text, const char *value)
{
    fprintf(stderr, text, value);
    fputc('\n', stderr);
    exit(2);
}

/* "1,3,5-8" -> takes each number once */
static void numbers(const char *list, void (*take)(int))
{
    for (const char *p = list; *p;) {
        char *end;
        long from = strtol(p, &end, 10), to = from;
        if (end == p) fail("A list of spans is wanted, such as 1,3,5-8; this is not one: %s", list);
        if (*end == '-') to = strtol(end + 1, &end, 10);
        if (from < 1 || to > SPANS_MAX || from > to) fail("Spans are numbered 1 to 64; not so: %s", list);
        while (from <= to) take(from++);
        p = *end == ',' ? end + 1 : end;
        if (*end && *end != ',') fail("A list of spans is wanted, such as 1,3,5-8; this is not one: %s", list);
    }
}

static void take_span(int n)
{
    if (span_find(n) || span_count == SPANS_MAX) return;
    struct span *s = spans[span_count++] = calloc(1, sizeof *s);
    s->number = n;
    s->fd = -1;
    /* Another phase of the multiframe on each span: whoever aligns on it must look for it. */
    s->tx.position = n * 3 % 16;
}

static void take_crc4(int n) { settings.crc4[n] = true; }
static void take_t1(int n) { settings.t1[n] = true; }
static void take_other_side(int n) { settings.other_side[n] = true; }
static void take_raw(int n) { settings.raw[n] = true; }

static int switch_named(const char *name, size_t length)
{
    static const struct { const char *name; int type; } KNOWN[] = {
        {"euroisdn", PRI_SWITCH_EUROISDN_E1}, {"qsig", PRI_SWITCH_QSIG}, {"ni2", PRI_SWITCH_NI2}, {"5ess", PRI_SWITCH_LUCENT5E},
        {"dms100", PRI_SWITCH_DMS100}};
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (strlen(KNOWN[i].name) == length && !strncmp(KNOWN[i].name, name, length)) return KNOWN[i].type;
    return -1;
}

static int chosen;
static void take_switch(int n) { settings.switches[n] = chosen; }
static void take_member(int n) { if (!chosen) chosen = n; settings.nfas[n] = chosen; }

/* "ni2:3-4": the switch type of some spans */
static void switches(const char *text)
{
    const char *colon = strchr(text, ':');
    chosen = colon ? switch_named(text, colon - text) : -1;
    if (chosen < 0) fail("--variant is a switch type and its spans, such as ni2:3-4, not %s", text);
    numbers(colon + 1, take_switch);
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"run", 1, 0, 'r'}, {"control", 1, 0, 'c'}, {"spans", 1, 0, 's'}, {"crc4", 1, 0, '4'}, {"t1", 1, 0, '1'}, {"side", 1, 0, 'S'},
        {"switch", 1, 0, 'w'}, {"trace", 1, 0, 't'}, {"exit-on-stdin-eof", 0, 0, 'e'}, {"debug", 0, 0, 'd'}, {"facility", 0, 0, 'f'}, {"ss7", 1, 0, '7'},
        {"other-side", 1, 0, 'o'}, {"variant", 1, 0, 'v'}, {"raw", 1, 0, 'R'}, {"nfas", 1, 0, 'n'},
        {"help", 0, 0, 'h'}, {0}};
    settings.run = getenv("STROWGER_RUN");
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'r': settings.run = optarg; break;
        case 'c': settings.control = optarg; break;
        case 's': numbers(optarg, take_span); break;
        case '4': numbers(optarg, take_crc4); break;
        case '1': numbers(optarg, take_t1); break;
        case 'S':
            if (!strcmp(optarg, "network")) settings.side = PRI_NETWORK;
            else if (!strcmp(optarg, "cpe")) settings.side = PRI_CPE;
            else fail("--side is network or cpe, not %s", optarg);
            break;
        case 'w':
            if ((settings.switch_type = switch_named(optarg, strlen(optarg))) < 0)
                fail("--switch is euroisdn, qsig, ni2, 5ess or dms100, not %s", optarg);
            break;
        case 'o': numbers(optarg, take_other_side); break;
        case 'v': switches(optarg); break;
        case 'R': numbers(optarg, take_raw); break;
        case 'n': chosen = 0; numbers(optarg, take_member); break;
        case 't': settings.trace = optarg; break;
        case 'e': settings.stdin_ends = true; break;
        case 'd': settings.debug = true; break;
        case 'f': settings.facility = true; break;
        case '7': settings.ss7 = optarg; break;        /* far-ss7 only: ss7_link.c */
        default:
            fprintf(o == 'h' ? stdout : stderr,
                    "far-exchange --run DIR --control SOCKET --spans LIST [--crc4 LIST] [--t1 LIST]\n"
                    "             [--side network|cpe] [--switch euroisdn|qsig|ni2|5ess|dms100] [--trace DIR] [--exit-on-stdin-eof] [--facility] [--debug]\n"
                    "             [--other-side LIST] [--variant SWITCH:LIST]... [--nfas LIST]... [--raw LIST]\n"
                    "             [--ss7 itu|ansi|china,OWN,OTHER,SPAN:TIMESLOT:SLC,...]     (far-ss7 only)\n");
            exit(o == 'h' ? 0 : 2);
        }
    }
    if (!settings.run) fail("%s is wanted: the directory that holds lines/<span>.sock (or set STROWGER_RUN).", "--run");
    if (!settings.control) fail("%s is wanted: the path of the control socket.", "--control");
    if (!span_count) fail("%s is wanted: the spans to attach to, such as 1,3,5-8.", "--spans");
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void serve(int signals)
{
    static char on_signal, on_control, on_stdin, on_audio;
    poller_add(signals, &on_signal);
    poller_add(control_fd(), &on_control);
    poller_add(audio_notify_fd(), &on_audio);
    if (settings.stdin_ends) poller_add(0, &on_stdin);
    double next_try = 0, next_timers = 0;
    for (;;) {
        struct epoll_event ready[128];
        int n = epoll_wait(poller, ready, 128, 20);
        for (int i = 0; i < n; i++) {
            void *what = ready[i].data.ptr;
            char scrap[64];
            if (what == &on_signal) return;
            if (what == &on_stdin) { if (read(0, scrap, sizeof scrap) <= 0) return; continue; }
            if (what == &on_control) { control_accept(); continue; }
            if (what == &on_audio) { audio_notify(); continue; }
            bool line = false;
            for (int k = 0; k < span_count && !line; k++)
                if (what == spans[k]) { line_ready(spans[k]); line = true; }
            if (!line) control_ready(what);
        }
        double now = mono_now();
        if (now >= next_timers) {
            next_timers = now + 0.004;
            for (int k = 0; k < span_count; k++) if (spans[k]->leader == spans[k]) dchannel_timers(spans[k]);
            calls_timers(now);
        }
        if (now >= next_try) {
            next_try = now + RETRY_MS / 1000.0;
            for (int k = 0; k < span_count; k++) line_open(spans[k]);
        }
    }
}

/* Whose D channel it is, and of which kind; leaders stand before their members in --spans. */
static void attach(struct span *s)
{
    int n = s->number;
    s->side = settings.other_side[n] ? PRI_NETWORK + PRI_CPE - settings.side : settings.side;
    s->switch_type = settings.switches[n] ? settings.switches[n] : s->is_t1 ? PRI_SWITCH_NI2 : settings.switch_type;
    s->raw = settings.raw[n];
    s->leader = s;
    if (settings.nfas[n] && settings.nfas[n] != n) {
        s->leader = span_find(settings.nfas[n]);
        if (!s->leader) fail("%s: a span of --nfas is missing in --spans.", "--nfas");
        for (int i = 0; i < span_count && spans[i] != s; i++)
            if (settings.nfas[spans[i]->number] == settings.nfas[n]) s->interface++;
        s->d_timeslot = 0;
        s->pri = s->leader->pri;
        s->trace_fd = -1;
        return;
    }
    s->clear[s->d_timeslot] = true;
    dchannel_init(s);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    int signals = open_signals();
    poller = epoll_create1(EPOLL_CLOEXEC);
    control_open();
    audio_start();      /* before the priority: the writing thread keeps the ordinary one */
    for (int i = 0; i < span_count; i++) {
        spans[i]->is_t1 = settings.t1[spans[i]->number];
        spans[i]->timeslots = spans[i]->is_t1 ? T1_TIMESLOTS : TIMESLOTS - 1;
        spans[i]->d_timeslot = spans[i]->is_t1 ? T1_D_TIMESLOT : 16;
        spans[i]->tx.crc4 = spans[i]->rx.crc4 = settings.crc4[spans[i]->number];
        attach(spans[i]);
    }
    struct sched_param p = {.sched_priority = PRIORITY};
    settings.realtime = sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) == 0;
    if (!settings.realtime)
        fprintf(stderr, "The far exchange runs without real-time priority (%s): blocks may come late.\n", strerror(errno));
    event(NULL, "started", "\"realtime\":%s,\"side\":\"%s\"", settings.realtime ? "true" : "false",
          settings.side == PRI_NETWORK ? "network" : "cpe");
    serve(signals);
    calls_close_all();
    audio_stop();
    audio_notify();
    control_close();
    return 0;
}
