/* The far exchange of R2 trunks: libopenr2 on all circuits of one emulated E1, a process of its own.
 *
 * Usage: far-r2 LINE_SOCKET VARIANT MAX_ANI MAX_DNIS ANI_FIRST ADVANCED_FILE|- mfc|dtmf
 *
 * Time is the board's: 10 ms a block.  libopenr2 wants a DAHDI descriptor for each channel: ioctl, read, write and
 * gettimeofday are ours; a channel gets 160 octets of A-law each 20 ms and may write as many, as with DAHDI.  Its own MF
 * receiver and generator are at work.  Framing without CRC-4; CAS multiframe in timeslot 16 (G.704 5.1).
 *
 * Lines in:  call TS ANI|- DNIS CATEGORY | offer accept|nocharge|busy|congestion|unallocated|order | answer MS|never
 *            call TS ANI DNIS CATEGORY proof | proof: a tone of its own for each call (far/proof.h), by what the called number ends with
 *            status | hangup TS [forced] | block TS | idle TS | play TS FILE (A-law octets) | record TS FILE | close TS
 *            line normal|ais|cas_lost | quit
 * Lines out: "event MS TS name words..."; first "ready".  MS: of board time.
 * libopenr2 is LGPL and dynamically linked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "../far/proof.h"
#include <openr2.h>             /* last: it does not include what it needs */

enum { FRAMES = 80, SLOTS = 32, OCTETS = FRAMES * SLOTS, CHUNK = 160, FD = 1000, IDLE = 0xD5, BLOCKED = 0xD };
/* The user interface of DAHDI: numbers of the requests, second octet 0xDA */
enum { NR_FLUSH = 3, NR_PARAMS = 5, NR_EVENT = 8, NR_IOMUX = 9, NR_GAINS = 16, NR_BUFINFO = 27, NR_ECHO = 33, NR_CHANNO = 34,
    NR_LAW = 39, NR_LINEAR = 40, NR_BITS = 43, NR_SPECIFY = 38 };
enum { EVENT_ALARM = 4, EVENT_NOALARM = 5, EVENT_BITS = 13, IOMUX_READ = 1, IOMUX_WRITE = 2, IOMUX_SIGEVENT = 8, SIG_CAS = 1 << 15 };
#define PARAMS_OCTETS 136
#define BUFINFO_OCTETS 24

struct channel {
    openr2_chan_t *r2;
    int timeslot, rx_bits, tx_bits, event, readable, credit, written, answered, sounding;
    long long answer_at;
    uint8_t in[CHUNK], out[CHUNK];
    uint8_t *play;
    long played, play_octets;
    FILE *record;
    int code, busy;             /* code of the tone that proves the call's way, -1: none; busy: registers may be at work */
    struct proof *proof;
    double tone_began;          /* our last register signal */
};

static struct channel channels[SLOTS];
static long long now_ms;
static int offer, answer_after = 100, disturbance, proving;
static int odd;                /* the next block completes a chunk */
enum { NORMAL, AIS, CAS_LOST };

static void say(struct channel *c, const char *format, ...)
{
    va_list list;
    printf("event %lld %d ", now_ms, c->timeslot);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
}

static double mono(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static struct channel *of(openr2_chan_t *r2) { return openr2_chan_get_client_data(r2); }

/* ---- what libopenr2 takes for DAHDI ---- */

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    (void)zone;
    t->tv_sec = 1700000000LL + now_ms / 1000;
    t->tv_usec = now_ms % 1000 * 1000;
    return 0;
}

static struct channel *behind(int fd) { return fd > FD && fd < FD + SLOTS ? &channels[fd - FD] : NULL; }

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    int *value = va_arg(list, int *);
    va_end(list);
    struct channel *c = behind(fd);
    if (!c) return syscall(SYS_ioctl, fd, request, value);
    int writes = request >> 30 & 1;     /* _IOC_WRITE: towards the driver */
    switch (request & 255) {
    case NR_CHANNO: *value = c->timeslot; return 0;
    case NR_PARAMS:
        memset(value, 0, PARAMS_OCTETS);
        value[0] = c->timeslot;
        value[3] = SIG_CAS;
        return 0;
    case NR_BUFINFO:
        if (!writes) memset(value, 0, BUFINFO_OCTETS);
        return 0;
    case NR_FLUSH: c->written = 0; return 0;
    case NR_GAINS: case NR_LAW: case NR_LINEAR: case NR_ECHO: return 0;
    case NR_BITS:
        if (writes) c->tx_bits = *value & 15;
        else *value = c->rx_bits;
        return 0;
    case NR_EVENT: *value = c->event; c->event = 0; return 0;
    case NR_IOMUX:
        *value &= (c->event ? IOMUX_SIGEVENT : 0) | (c->readable ? IOMUX_READ : 0) | (c->credit ? IOMUX_WRITE : 0);
        return 0;
    }
    errno = EINVAL;
    return -1;
}

ssize_t read(int fd, void *to, size_t n)
{
    struct channel *c = behind(fd);
    if (!c) return syscall(SYS_read, fd, to, n);
    if (!c->readable) { errno = EAGAIN; return -1; }
    c->readable = 0;
    if (n > CHUNK) n = CHUNK;
    memcpy(to, c->in, n);
    return n;
}

ssize_t write(int fd, const void *from, size_t n)
{
    struct channel *c = behind(fd);
    if (!c) return syscall(SYS_write, fd, from, n);
    c->credit = 0;
    if (!c->sounding) c->tone_began = mono();
    c->sounding = 2;
    c->written = n < CHUNK ? n : CHUNK;
    memset(c->out, IDLE, CHUNK);
    memcpy(c->out, from, c->written);
    return n;
}

/* ---- calls ---- */

static void end_proof(struct channel *c)
{
    struct proof *p = c->proof;
    c->proof = NULL;
    c->code = -1;
    if (p) say(c, "proof %u %u %u %u %d", p->heard, p->silent, p->other, p->breaks, p->first);
    free(p);
}

static void end_audio(struct channel *c)
{
    end_proof(c);
    if (c->record) fclose(c->record);
    free(c->play);
    c->record = NULL;
    c->play = NULL;
    c->answered = 0;
    c->answer_at = 0;
}

static void answered(struct channel *c, int by_us)
{
    c->answered = 1;
    c->busy = 0;
    if (c->code >= 0 && !c->proof) c->proof = proof_new(c->code, !by_us);
}

static void on_init(openr2_chan_t *r) { of(r)->busy = 1; say(of(r), "init %.6f", mono()); }
static void on_offered(openr2_chan_t *r, const char *ani, const char *dnis, openr2_calling_party_category_t category)
{
    static const openr2_call_disconnect_cause_t causes[] = {OR2_CAUSE_BUSY_NUMBER, OR2_CAUSE_NETWORK_CONGESTION,
        OR2_CAUSE_UNALLOCATED_NUMBER, OR2_CAUSE_OUT_OF_ORDER};
    if (proving) of(r)->code = proof_code(dnis);
    say(of(r), "offered %s %s %d", ani ? (*ani ? ani : "none") : "restricted", dnis, category);
    if (offer < 2) openr2_chan_accept_call(r, offer ? OR2_CALL_NO_CHARGE : OR2_CALL_WITH_CHARGE);
    else openr2_chan_disconnect_call(r, causes[offer - 2]);
}
static void on_accepted(openr2_chan_t *r, openr2_call_mode_t mode)
{
    struct channel *c = of(r);
    say(c, "accepted %d %.6f", mode, c->tone_began);
    if (answer_after >= 0 && openr2_chan_get_direction(r) == OR2_DIR_BACKWARD) c->answer_at = now_ms + answer_after + 1;
}
static void on_answered(openr2_chan_t *r) { answered(of(r), 0); say(of(r), "answered"); }
static void on_disconnect(openr2_chan_t *r, openr2_call_disconnect_cause_t cause)
{
    say(of(r), "disconnect %d", cause);
    end_audio(of(r));
    openr2_chan_disconnect_call(r, OR2_CAUSE_NORMAL_CLEARING);
}
static void on_end(openr2_chan_t *r) { end_audio(of(r)); of(r)->busy = 0; say(of(r), "end"); }
static void on_read(openr2_chan_t *r, const unsigned char *b, int n) { (void)r; (void)b; (void)n; }
static void on_os_error(openr2_chan_t *r, int e) { say(of(r), "os_error %d", e); }
static void on_alarm(openr2_chan_t *r, int a) { say(of(r), "alarm %d", a); }
/* libopenr2 has made the channel idle by itself, and no on_end follows. */
static void on_error(openr2_chan_t *r, openr2_protocol_error_t e) { end_audio(of(r)); of(r)->busy = 0; say(of(r), "error %s", openr2_proto_get_error(e)); }
static void on_blocked(openr2_chan_t *r) { say(of(r), "blocked"); }
static void on_idle(openr2_chan_t *r) { say(of(r), "idle"); }
static int on_dnis(openr2_chan_t *r, char d) { say(of(r), "dnis %c", d); return 1; }
static void on_ani(openr2_chan_t *r, char d) { say(of(r), "ani %c", d); }
static void on_pulse(openr2_chan_t *r) { say(of(r), "metering"); }
static openr2_event_interface_t EVENTS = {.on_call_init = on_init, .on_call_offered = on_offered,
    .on_call_accepted = on_accepted, .on_call_answered = on_answered, .on_call_disconnect = on_disconnect,
    .on_call_end = on_end, .on_call_read = on_read, .on_hardware_alarm = on_alarm, .on_os_error = on_os_error,
    .on_protocol_error = on_error, .on_line_blocked = on_blocked, .on_line_idle = on_idle,
    .on_dnis_digit_received = on_dnis, .on_ani_digit_received = on_ani, .on_billing_pulse_received = on_pulse};
static void quiet(openr2_chan_t *r, openr2_log_level_t l, const char *f, va_list a)
{
    (void)r; (void)l;
    if (getenv("FAR_R2_LOG")) { fprintf(stderr, "%lld ", now_ms); vfprintf(stderr, f, a); }
}

static void load(struct channel *c, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) { say(c, "no_file %s", path); return; }
    fseek(file, 0, SEEK_END);
    c->play_octets = ftell(file);
    rewind(file);
    free(c->play);
    c->play = malloc(c->play_octets + 1);
    c->play_octets = fread(c->play, 1, c->play_octets, file);
    c->played = 0;
    fclose(file);
}

static void command(char *line)
{
    char *word = strtok(line, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n"), *d = strtok(NULL, " \n"), *e = strtok(NULL, " \n");
    if (!word) return;
    if (!strcmp(word, "quit")) exit(0);
    if (!strcmp(word, "proof")) { proving = 1; return; }
    if (!strcmp(word, "status")) {
        for (int t = 1; t < SLOTS; t++)
            if (t != 16) say(&channels[t], "state %d %d %d", channels[t].tx_bits, channels[t].rx_bits, channels[t].busy || channels[t].answered);
        return;
    }
    if (!a) return;
    if (!strcmp(word, "offer")) {
        static const char *names[] = {"accept", "nocharge", "busy", "congestion", "unallocated", "order"};
        for (int i = 0; i < 6; i++)
            if (!strcmp(a, names[i])) offer = i;
        return;
    }
    if (!strcmp(word, "answer")) { answer_after = strcmp(a, "never") ? atoi(a) : -1; return; }
    if (!strcmp(word, "line")) { disturbance = !strcmp(a, "ais") ? AIS : !strcmp(a, "cas_lost") ? CAS_LOST : NORMAL; return; }
    int timeslot = atoi(a);
    if (timeslot < 1 || timeslot >= SLOTS || timeslot == 16) return;
    struct channel *c = &channels[timeslot];
    if (!strcmp(word, "call") && d && e) {
        char *proof = strtok(NULL, " \n");
        c->code = proof ? proof_code(d) : -1;
        c->busy = 1;
        say(c, "call");             /* what it returns says nothing: calls that go out well return -1 as well */
        openr2_chan_make_call(c->r2, *b == '-' ? NULL : b, d, atoi(e));
    } else if (!strcmp(word, "hangup")) {
        end_proof(c);
        openr2_chan_disconnect_call(c->r2, b ? OR2_CAUSE_FORCED_RELEASE : OR2_CAUSE_NORMAL_CLEARING);
    } else if (!strcmp(word, "block")) openr2_chan_set_blocked(c->r2);
    else if (!strcmp(word, "idle")) openr2_chan_set_idle(c->r2);
    else if (!strcmp(word, "play") && b) load(c, b);
    else if (!strcmp(word, "record") && b) { if (c->record) fclose(c->record); c->record = fopen(b, "wb"); }
    else if (!strcmp(word, "close") && c->record) { fclose(c->record); c->record = NULL; say(c, "closed"); }
}

/* ---- the line ---- */

static void take(const uint8_t *block)
{
    uint8_t bits[SLOTS];
    int first = -1;
    for (int f = 0; f < 16 && first < 0; f++)
        if (!(block[f * SLOTS + 16] & 0xF0)) first = f;
    if (first >= 0)
        for (int n = 1; n < 16; n++) {
            uint8_t octet = block[(first + n) * SLOTS + 16];
            bits[n] = octet >> 4;
            bits[n + 16] = octet & 15;
        }
    for (int t = 1; t < SLOTS; t++) {
        struct channel *c = &channels[t];
        if (t == 16) continue;
        for (int f = 0; f < FRAMES; f++) c->in[odd * FRAMES + f] = block[f * SLOTS + t];
        if (c->record) fwrite(c->in + odd * FRAMES, 1, FRAMES, c->record);
        if (first >= 0 && bits[t] != c->rx_bits) {
            c->rx_bits = bits[t];
            c->event = EVENT_BITS;
        }
        if (odd) { c->readable = c->credit = 1; c->written = 0; c->sounding -= c->sounding > 0; }
        if (c->proof && c->answered) proof_check(c->proof, c->in + odd * FRAMES);
        if (c->answer_at && now_ms >= c->answer_at) { c->answer_at = 0; openr2_chan_answer_call(c->r2); answered(c, 1); say(c, "answered_by_us"); }
        /* Without registers there are bits and timers only. */
        for (int k = c->busy || c->event ? 3 : odd; k > 0; k--) openr2_chan_process_event(c->r2);
    }
    odd ^= 1;
}

static void give(uint8_t *block)
{
    memset(block, IDLE, OCTETS);
    for (int f = 0; f < FRAMES; f++) block[f * SLOTS] = f & 1 ? 0xDF : 0x9B;
    for (int t = 1; t < SLOTS; t++) {
        struct channel *c = &channels[t];
        if (t == 16) continue;
        if (c->proof && c->answered) {
            uint8_t samples[FRAMES];
            proof_send(c->proof, samples);
            for (int f = 0; f < FRAMES; f++) block[f * SLOTS + t] = samples[f];
        } else if (c->play && c->answered) {
            for (int f = 0; f < FRAMES && c->played < c->play_octets; f++) block[f * SLOTS + t] = c->play[c->played++];
            if (c->played == c->play_octets) { free(c->play); c->play = NULL; say(c, "play_done"); }
        } else if (c->written) {
            for (int f = 0; f < FRAMES; f++) block[f * SLOTS + t] = c->out[odd * FRAMES + f];
        }
    }
    for (int f = 0; f < FRAMES; f++) {
        int n = f & 15;
        block[f * SLOTS + 16] = n == 0 ? 0x0B : (uint8_t)(channels[n].tx_bits << 4 | channels[n + 16].tx_bits);
        if (disturbance == CAS_LOST) block[f * SLOTS + 16] = 0xFF;
    }
    if (disturbance == AIS) memset(block, 0xFF, OCTETS);
}

int main(int argc, char **argv)
{
    static uint8_t block[OCTETS + 1];
    static char line[65536];
    size_t used = 0;
    if (argc < 8) { fprintf(stderr, "usage: far-r2 LINE_SOCKET VARIANT MAX_ANI MAX_DNIS ANI_FIRST ADVANCED|- mfc|dtmf\n"); return 2; }
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    openr2_context_t *context = openr2_context_new(NULL, &EVENTS, NULL, openr2_proto_get_variant(argv[2]), atoi(argv[3]), atoi(argv[4]));
    if (!context) { fprintf(stderr, "libopenr2 has no variant %s\n", argv[2]); return 3; }
    openr2_context_set_ani_first(context, atoi(argv[5]));
    openr2_context_set_log_level(context, getenv("FAR_R2_LOG") ? OR2_LOG_STACK_TRACE | OR2_LOG_DEBUG | OR2_LOG_CAS_TRACE | OR2_LOG_MF_TRACE : OR2_LOG_NOTHING);
    if (!strcmp(argv[7], "dtmf")) {
        openr2_context_set_dtmf_detection(context, 1);
        openr2_context_set_dtmf_dialing(context, 1, 80, 80);
    }
    if (strcmp(argv[6], "-") && openr2_context_configure_from_advanced_file(context, argv[6])) {
        fprintf(stderr, "libopenr2 refuses %s\n", argv[6]);
        return 4;
    }
    for (int t = 1; t < SLOTS; t++) {
        struct channel *c = &channels[t];
        c->timeslot = t;
        c->code = -1;
        c->rx_bits = c->tx_bits = BLOCKED;
        if (t == 16) continue;
        c->r2 = openr2_chan_new_from_fd(context, FD + t, NULL, NULL);
        if (!c->r2) { fprintf(stderr, "libopenr2 refuses channel %d\n", t); return 5; }
        openr2_chan_set_client_data(c->r2, c);
        openr2_chan_set_logging_func(c->r2, quiet);
        if (!getenv("FAR_R2_LOG")) openr2_chan_set_log_level(c->r2, OR2_LOG_NOTHING);
        openr2_chan_set_idle(c->r2);
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[1]);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 6;
    }
    struct sched_param priority = {.sched_priority = 42};
    sched_setscheduler(0, SCHED_FIFO, &priority);       /* refused: go on without */
    fcntl(0, F_SETFL, O_NONBLOCK);
    printf("ready\n");
    for (;;) {
        struct pollfd waits[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        poll(waits, 2, 1000);
        if (waits[0].revents) {
            ssize_t n = recv(fd, block, sizeof block, 0);
            if (n <= 0) { fprintf(stderr, "the board closed the line\n"); return 7; }
            if (n == OCTETS) {
                now_ms += 10;
                take(block);
                give(block);
                if (send(fd, block, OCTETS, MSG_NOSIGNAL | MSG_DONTWAIT) != OCTETS && errno != EAGAIN) return 7;
            }
        }
        if (waits[1].revents) {
            ssize_t n = read(0, line + used, sizeof line - 1 - used);
            if (n == 0) return 0;
            if (n > 0) {
                used += n;
                line[used] = 0;
                char *end;
                while ((end = strchr(line, '\n'))) {
                    *end = 0;
                    size_t rest = used - (end + 1 - line);
                    command(line);
                    memmove(line, end + 1, rest + 1);
                    used = rest;
                }
            }
        }
    }
}
