/* Control socket: JSON lines.  Every client that subscribed gets every event; the last ones are kept for those who come later. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "far.h"

enum { CLIENTS = 16, KEPT = 1 << 15, IN_MAX = 1 << 16, OUT_MAX = 1 << 25 };

struct client { int fd; bool subscribed; char only[200], *in, *out; size_t in_used, out_used, out_room; };

static struct client clients[CLIENTS];
static int listener = -1;
static char *kept[KEPT];
static unsigned long long event_count;

static void drop(struct client *c)
{
    if (c->fd < 0) return;
    close(c->fd);
    free(c->in);
    free(c->out);
    *c = (struct client){.fd = -1};
}

static void watch(struct client *c)
{
    struct epoll_event e = {.events = EPOLLIN | (c->out_used ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static void flush_out(struct client *c)
{
    size_t sent = 0;
    while (sent < c->out_used) {
        ssize_t n = send(c->fd, c->out + sent, c->out_used - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR) break;
            drop(c);
            return;
        }
        sent += n;
    }
    memmove(c->out, c->out + sent, c->out_used - sent);
    c->out_used -= sent;
    watch(c);
}

static void put(struct client *c, const char *text, size_t n)
{
    if (c->fd < 0) return;
    if (c->out_used + n > OUT_MAX) { drop(c); return; }     /* it does not read: others must not suffer */
    if (c->out_used + n > c->out_room) {
        c->out_room = (c->out_used + n) * 2;
        c->out = realloc(c->out, c->out_room);
    }
    bool idle = c->out_used == 0;
    memcpy(c->out + c->out_used, text, n);
    c->out_used += n;
    if (idle) flush_out(c);
}

/* `only`: names with a comma before and behind each; empty: all events. */
static bool wants(const struct client *c, const char *name)
{
    char word[64];
    snprintf(word, sizeof word, ",%s,", name);
    return !*c->only || strstr(c->only, word);
}

void event(const struct span *s, const char *name, const char *format, ...)
{
    char line[3000];
    size_t n = snprintf(line, sizeof line, "{\"event\":\"%s\",\"n\":%llu,\"time\":%.6f,\"mono\":%.6f", name,
                        ++event_count, wall_now(), mono_now());
    if (s) {
        n += snprintf(line + n, sizeof line - n, ",\"span\":%d,\"sample\":%llu", s->number,
                      (unsigned long long)span_sample(s));
        /* When that sample comes by: now, where its block is at work, else 10 ms after the last block. */
        if (s->last_block > 0)
            n += snprintf(line + n, sizeof line - n, ",\"sample_mono\":%.6f",
                          s->last_block + (s->in_block ? 0 : FRAMES / 8000.0));
    }
    if (format) {
        va_list a;
        line[n++] = ',';
        va_start(a, format);
        n += vsnprintf(line + n, sizeof line - n - 3, format, a);
        va_end(a);
        if (n > sizeof line - 3) n = sizeof line - 3;
    }
    line[n++] = '}';
    line[n++] = '\n';
    char **slot = &kept[event_count % KEPT];
    free(*slot);
    *slot = strndup(line, n);
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i].fd >= 0 && clients[i].subscribed && wants(&clients[i], name)) put(&clients[i], line, n);
}

static void subscribe(struct client *c, unsigned long long after)
{
    unsigned long long oldest = event_count > KEPT - 1 ? event_count - (KEPT - 1) : 1;
    for (unsigned long long n = after + 1 < oldest ? oldest : after + 1; n <= event_count; n++)
        put(c, kept[n % KEPT], strlen(kept[n % KEPT]));
    c->subscribed = true;
}

static void status(char *reply, size_t room)
{
    char *at = reply, *end = reply + room;
    at += snprintf(at, end - at, "\"realtime\":%s,\"events\":%llu,\"spans\":[", settings.realtime ? "true" : "false", event_count);
    for (int i = 0; i < span_count; i++) {
        struct span *s = spans[i];
        int calls = 0;
        for (int t = 0; t < TIMESLOTS; t++) calls += s->by_timeslot[t] != NULL;
        at += snprintf(at, end - at,
            "%s{\"span\":%d,\"line\":%s,\"aligned\":%s,\"crc4\":%s,\"multiframe\":%s,\"rai\":%s,\"ais\":%s,\"link\":%s,"
            "\"blocks\":%llu,\"late_blocks\":%llu,\"lost_blocks\":%llu,\"alignment_losses\":%llu,\"fas_errors\":%llu,"
            "\"crc4_errors\":%llu,\"e_bits\":%llu,\"rx_frames\":%llu,\"tx_frames\":%llu,\"fcs_errors\":%llu,"
            "\"aborts\":%llu,\"dropped_frames\":%llu,\"calls\":%d}",
            i ? "," : "", s->number, s->fd >= 0 ? "true" : "false", s->rx.aligned ? "true" : "false",
            s->rx.crc4 ? "true" : "false", s->rx.multiframe ? "true" : "false", s->rx.rai ? "true" : "false",
            s->ais ? "true" : "false", s->link_up ? "true" : "false",
            (unsigned long long)s->blocks, (unsigned long long)s->late_blocks, (unsigned long long)s->lost_blocks,
            (unsigned long long)s->rx.losses, (unsigned long long)s->rx.fas_errors,
            (unsigned long long)s->rx.crc4_errors, (unsigned long long)s->rx.e_bits,
            (unsigned long long)s->rx_frames, (unsigned long long)s->tx_frames, (unsigned long long)s->fcs_errors,
            (unsigned long long)s->aborts, (unsigned long long)s->dropped_frames, calls);
    }
    at += snprintf(at, end - at, "],\"calls\":[");
    calls_status(&at, end);
    snprintf(at, end - at, "]");
}

static const char *span_command(const char *what, const struct json *in)
{
    struct span *s = span_find(json_number(in, "span", 0));
    if (!s) return "There is no such span here; name one of --spans.";
    if (!strcmp(what, "line")) return line_disturb(s, json_text(in, "state", ""));
    if (!strcmp(what, "deaf")) { s->deaf_to_restart = json_true(in, "on"); return NULL; }
    if (!strcmp(what, "restart") || !strcmp(what, "service")) {
        if (!s->pri) return "There is no libpri on this span.";
        int channel = (int)json_number(in, "timeslot", 1);
        if (s->interface) channel |= s->interface << 8 | 1 << 16;
        if (*what == 'r') pri_reset(s->pri, channel);
        else pri_maintenance_service(s->pri, s->interface, channel, (int)json_number(in, "status", 0));
        return NULL;
    }
    uint8_t octets[FRAME_MAX];
    const char *hex = json_text(in, "octets", "");
    int n = 0;
    unsigned v;
    for (; n < FRAME_MAX - 8 && sscanf(hex + 2 * n, "%2x", &v) == 1; n++) octets[n] = v;
    if (!n) return "`octets` is wanted: hexadecimal digits.";
    if (!strcmp(what, "frame"))
        return dchannel_queue(s, octets, n, json_true(in, "bad_fcs")) ? NULL : "The frame cannot be sent: the line is down or its queue is full.";
    memcpy(s->replacement, octets, n);
    s->replacement_octets = n;
    return NULL;
}

static void command(struct client *c, char *line)
{
    static char reply[1 << 19], out[(1 << 19) + 600];
    struct json in;
    const char *wrong = json_parse(line, &in), *what = wrong ? "" : json_text(&in, "do", "");
    reply[0] = 0;
    if (!wrong) {
        if (!strcmp(what, "status")) status(reply, sizeof reply);
        else if (!strcmp(what, "subscribe")) {
            const char *only = json_text(&in, "only", "");
            snprintf(c->only, sizeof c->only, *only ? ",%s," : "%s", only);
            subscribe(c, json_number(&in, "after", event_count));
        }
        else if (!strcmp(what, "line") || !strcmp(what, "frame") || !strcmp(what, "restart") || !strcmp(what, "replace_next")
                 || !strcmp(what, "service") || !strcmp(what, "deaf"))
            wrong = span_command(what, &in);
        else wrong = calls_command(what, &in, reply, sizeof reply);
    } else {
        in.n = 0;
    }
    int n = wrong ? snprintf(out, sizeof out, "{\"seq\":%.0f,\"ok\":false,\"error\":%s}\n", json_number(&in, "seq", 0), json_quote(wrong))
                  : snprintf(out, sizeof out, "{\"seq\":%.0f,\"ok\":true%s%s}\n", json_number(&in, "seq", 0), *reply ? "," : "", reply);
    put(c, out, n);
}

void control_ready(void *which)
{
    struct client *c = which;
    if (c->fd < 0) return;
    if (c->out_used) flush_out(c);
    while (c->fd >= 0) {
        ssize_t n = recv(c->fd, c->in + c->in_used, IN_MAX - 1 - c->in_used, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) { drop(c); return; }
        c->in_used += n;
        char *start = c->in, *end;
        while (c->fd >= 0 && (end = memchr(start, '\n', c->in + c->in_used - start)) != NULL) {
            *end = 0;
            if (end > start) command(c, start);
            start = end + 1;
        }
        if (c->fd < 0) return;
        c->in_used -= start - c->in;
        memmove(c->in, start, c->in_used);
        if (c->in_used == IN_MAX - 1) { drop(c); return; }  /* no command is that long */
    }
}

void control_accept(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i].fd < 0) {
            clients[i] = (struct client){.fd = fd, .in = malloc(IN_MAX)};
            poller_add(fd, &clients[i]);
            return;
        }
    close(fd);
}

int control_fd(void) { return listener; }

void control_open(void)
{
    for (int i = 0; i < CLIENTS; i++) clients[i].fd = -1;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(settings.control) >= sizeof a.sun_path) {
        fprintf(stderr, "The control path %s is longer than a socket's path may be (107); choose a shorter one.\n", settings.control);
        exit(2);
    }
    strcpy(a.sun_path, settings.control);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(a.sun_path);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(listener, CLIENTS) < 0) {
        fprintf(stderr, "The control socket %s cannot be opened: %s.\n", a.sun_path, strerror(errno));
        exit(2);
    }
}

void control_close(void)
{
    for (int i = 0; i < CLIENTS; i++) drop(&clients[i]);
    unlink(settings.control);
}
