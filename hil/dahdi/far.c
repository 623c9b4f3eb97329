/* A PRI far end on a span of DAHDI, written apart from the product: libpri on the D channel, read and write on the B channels.
 *
 *     far FIRST NUMBER OURS SECONDS
 *
 * FIRST: the span's first channel (its D channel is FIRST + 15).  Network side.  Answers every call to OURS by sending back what
 * it hears (the loop of a test number); calls NUMBER on the 5th channel, sends 1004 Hz at -10 dBm0 in A-law and measures what
 * comes, twice: while it is silent and while the tone comes.  Prints one line of JSON an event and ends after SECONDS.
 * libpri is GPL: this is a program of its own.  */
#include <dahdi/user.h>
#include <errno.h>
#include <fcntl.h>
#include <libpri.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 160, MOST = 4 };

struct party { int fd, looped; q931_call *call; double samples, re, im, power; long heard, sent; };

static struct party parties[MOST];
static int first;
static const char *number, *ours;
static struct pri *pri;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_channel(int channel)
{
    int fd = open("/dev/dahdi/channel", O_RDWR | O_NONBLOCK), one = 1, size = BLOCK;
    if (fd < 0 || ioctl(fd, DAHDI_SPECIFY, &channel) < 0) {
        fprintf(stderr, "far: channel %d: %s\n", channel, strerror(errno));
        exit(2);
    }
    if (channel != first + 15) {
        struct dahdi_bufferinfo buffers = {.txbufpolicy = DAHDI_POLICY_IMMEDIATE, .rxbufpolicy = DAHDI_POLICY_IMMEDIATE, .numbufs = 8, .bufsize = BLOCK};
        ioctl(fd, DAHDI_AUDIOMODE, &one);
        ioctl(fd, DAHDI_SET_BUFINFO, &buffers);
        ioctl(fd, DAHDI_SET_BLOCKSIZE, &size);
    } else {
        struct dahdi_bufferinfo buffers = {.txbufpolicy = DAHDI_POLICY_IMMEDIATE, .rxbufpolicy = DAHDI_POLICY_IMMEDIATE, .numbufs = 32, .bufsize = 1024};
        ioctl(fd, DAHDI_SET_BUFINFO, &buffers);
    }
    return fd;
}

static int expand(unsigned char octet) /* G.711 table 1a, 16 bits */
{
    octet ^= 0x55;
    int t = (octet & 0xF) << 4, segment = (octet & 0x70) >> 4;
    t += segment ? 0x108 : 8;
    if (segment > 1)
        t <<= segment - 1;
    return octet & 0x80 ? t : -t;
}

static unsigned char compress(int x) /* the nearest one, looked for once */
{
    static unsigned char nearest[4096];
    static int made;
    if (!made) {
        for (int n = 0; n < 4096; n++)
            for (int octet = 0, best = 1 << 30; octet < 256; octet++) {
                int apart = abs(expand((unsigned char)octet) - (n - 2048) * 16 - 8);
                if (apart < best) {
                    best = apart;
                    nearest[n] = (unsigned char)octet;
                }
            }
        made = 1;
    }
    x = (x >> 4) + 2048;
    return nearest[x < 0 ? 0 : x > 4095 ? 4095 : x];
}

static struct party *party_of(q931_call *call)
{
    for (int n = 0; n < MOST; n++)
        if (parties[n].call == call)
            return &parties[n];
    return NULL;
}

static void begin(q931_call *call, int channel, int looped)
{
    struct party *p = party_of(NULL);
    if (!p)
        return;
    memset(p, 0, sizeof *p);
    p->call = call;
    p->looped = looped;
    p->fd = open_channel(first + (channel & 0xFF) - 1);
    unsigned char silence[BLOCK];
    memset(silence, 0xD5, sizeof silence);
    for (int n = 0; n < 3; n++)
        if (write(p->fd, silence, sizeof silence) < 0)
            break;
}

static void end(struct party *p)
{
    if (!p)
        return;
    printf("{\"event\": \"heard\", \"looped\": %d, \"samples\": %ld}\n", p->looped, p->heard);
    close(p->fd);
    p->call = NULL;
}

/* A second of what came: level of all, and of 1020 Hz. */
static void measure(struct party *p, int sample)
{
    double angle = 2 * M_PI * 1020 / 8000 * p->samples;
    p->re += sample * cos(angle);
    p->im += sample * sin(angle);
    p->power += (double)sample * sample;
    if (++p->samples == 8000) {
        double whole = 32768 / sqrt(2) / pow(10, 3.14 / 20), tone = sqrt(2) * hypot(p->re, p->im) / 8000;
        printf("{\"event\": \"second\", \"looped\": %d, \"dbm0\": %.1f, \"tone_1020_dbm0\": %.1f}\n", p->looped,
               20 * log10(sqrt(p->power / 8000) / whole + 1e-9), 20 * log10(tone / whole + 1e-9));
        fflush(stdout);
        p->samples = p->re = p->im = p->power = 0;
    }
}

static void audio(struct party *p)
{
    unsigned char in[BLOCK], out[BLOCK];
    ssize_t n;
    while ((n = read(p->fd, in, sizeof in)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            measure(p, expand(in[i]));
            double peak = 32768 * pow(10, (-10 - 3.14) / 20);
            out[i] = p->looped ? in[i] : compress((int)lrint(peak * sin(2 * M_PI * 1004 / 8000 * (double)p->sent++)));
        }
        p->heard += n;
        if (write(p->fd, out, (size_t)n) < 0 && errno != EAGAIN)
            fprintf(stderr, "far: write: %s\n", strerror(errno));
    }
}

static void event(pri_event *e)
{
    printf("{\"event\": \"%s\", \"at\": %.2f", pri_event2str(e->e), now());
    switch (e->e) {
    case PRI_EVENT_RING:
        printf(", \"called\": \"%s\", \"channel\": %d", e->ring.callednum, e->ring.channel & 0xFF);
        pri_proceeding(pri, e->ring.call, e->ring.channel, 0);
        if (strcmp(e->ring.callednum, ours)) {
            pri_hangup(pri, e->ring.call, PRI_CAUSE_UNALLOCATED);
            break;
        }
        pri_answer(pri, e->ring.call, e->ring.channel, 0);
        begin(e->ring.call, e->ring.channel, 1);
        break;
    case PRI_EVENT_ANSWER:
        begin(e->answer.call, e->answer.channel, 0);
        break;
    case PRI_EVENT_HANGUP_REQ:
    case PRI_EVENT_HANGUP:
        printf(", \"cause\": %d", e->hangup.cause);
        end(party_of(e->hangup.call));
        pri_hangup(pri, e->hangup.call, e->hangup.cause);
        break;
    default:
        break;
    }
    printf("}\n");
    fflush(stdout);
}

static void call_out(void)
{
    q931_call *call = pri_new_call(pri);
    struct pri_sr *sr = pri_sr_new();
    pri_sr_set_channel(sr, 5, 1, 0);
    pri_sr_set_bearer(sr, PRI_TRANS_CAP_3_1K_AUDIO, PRI_LAYER_1_ALAW);
    pri_sr_set_called(sr, (char *)number, PRI_UNKNOWN, 1);
    pri_sr_set_caller(sr, "13912345678", NULL, PRI_NATIONAL_ISDN, PRES_ALLOWED_USER_NUMBER_PASSED_SCREEN);
    if (pri_setup(pri, call, sr))
        fprintf(stderr, "far: the call was not set up\n");
    pri_sr_free(sr);
}

static void say(struct pri *p, char *text)
{
    (void)p;
    fputs(text, stderr);
}

int main(int count, char **words)
{
    if (count != 5)
        return 64;
    first = atoi(words[1]);
    number = words[2];
    ours = words[3];
    double until = now() + atof(words[4]), call_at = 0;
    pri_set_message(say);
    pri_set_error(say);
    int d = open_channel(first + 15);
    pri = pri_new(d, PRI_NETWORK, PRI_SWITCH_EUROISDN_E1);
    printf("{\"event\": \"ready\"}\n");
    fflush(stdout);
    while (now() < until) {
        struct pollfd polled[1 + MOST] = {{.fd = d, .events = POLLIN | POLLPRI}};
        int used = 1;
        for (int n = 0; n < MOST; n++)
            if (parties[n].call)
                polled[used++] = (struct pollfd){.fd = parties[n].fd, .events = POLLIN};
        poll(polled, (nfds_t)used, 20);
        pri_event *e;
        if (polled[0].revents & POLLPRI) {
            int told;
            ioctl(d, DAHDI_GETEVENT, &told);
        }
        while ((e = pri_schedule_run(pri)))
            event(e);
        if (polled[0].revents & POLLIN && (e = pri_check_event(pri))) {
            event(e);
            if (e->e == PRI_EVENT_DCHAN_UP && call_at == 0)
                call_at = now() + 1;
        }
        if (call_at > 0 && now() > call_at) {
            call_out();
            call_at = -1;
        }
        for (int n = 0; n < MOST; n++)
            if (parties[n].call)
                audio(&parties[n]);
    }
    return 0;
}
