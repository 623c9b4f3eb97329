/* Far ends of the sound of many calls: one UDP port each, which the session descriptions of all its calls name.
 *
 *     sound-ends PORT... [every N beyond M]
 *
 * Each end sends, by its own clock, an RTP packet of 20 ms to each leg that it hears of, and notes of each leg by the
 * kernel's time stamps what came.  "every N beyond M": legs beyond the first M of an end get every Nth packet only, which
 * keeps their calls alive and spares the machine; what comes from them is noted all the same.
 *
 * Orders come on standard input, a line each; an answer is one line of JSON, a list with an entry for each port:
 *     legs     [how many legs are heard, ...]
 *     watch    figures begin anew                               [0, ...]
 *     count    [{"legs": [[packets, longest gap in us, numbers missing], ...], "dropped": n, "sent": n, "late_us": n}, ...]
 * dropped: packets that the kernel threw away because this program did not read (SO_RXQ_OVFL): they are among the missing
 * numbers and no fault of who sent them.  late_us: the longest time by which this program itself came late to its clock.
 * The gap reaches to the moment of "count" where nothing came any more.  End of input ends it. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>

enum { PORTS = 4, LEGS = 4096, SLICES = 10, SLICE_NS = 2000000, BATCH = 64, ROUNDS = 64, HEAD = 12, OCTETS = 160, BUFFER = 32 << 20 };
/* SLICES of SLICE_NS are the 20 ms of a packet: so many parts the legs have turns in, so that no burst meets who is tested.
 * ROUNDS of BATCH packets are read at most before it is the turn of sending. */

struct leg {
    uint16_t port, number;      /* of the far end, network order; its last sequence number */
    int64_t at, gap;            /* last arrival; longest gap, ns */
    int64_t packets, missing;
};

struct end {
    int fd;
    int n;
    struct leg legs[LEGS];
    uint16_t of_port[65536];    /* port: its leg's number and one */
    uint16_t number;
    int64_t sent;
    uint32_t dropped, dropped_before;
};

static struct end ends[PORTS];
static int n_ends, every = 1, beyond = LEGS;
static int64_t late;

static int64_t now_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void open_end(struct end *end, int port)
{
    int yes = 1, octets = BUFFER;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    end->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (end->fd < 0 || bind(end->fd, (struct sockaddr *)&address, sizeof address)) {
        fprintf(stderr, "sound-ends: port %d: %s\n", port, strerror(errno));
        exit(1);
    }
    if (setsockopt(end->fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets))        /* the administrator's right */
        setsockopt(end->fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    if (setsockopt(end->fd, SOL_SOCKET, SO_SNDBUFFORCE, &octets, sizeof octets))
        setsockopt(end->fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof octets);
    setsockopt(end->fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    setsockopt(end->fd, SOL_SOCKET, SO_RXQ_OVFL, &yes, sizeof yes);
}

static void take(struct end *end, const uint8_t *octets, size_t length, uint16_t port, int64_t at)
{
    if (length < HEAD || octets[0] >> 6 != 2 || (octets[1] >= 200 && octets[1] <= 207))        /* not RTP, or RTCP */
        return;
    uint16_t number = octets[2] << 8 | octets[3];
    if (!end->of_port[port]) {
        if (end->n == LEGS)
            return;
        end->legs[end->n] = (struct leg){ .port = port, .number = number, .at = at, .packets = 1 };
        end->of_port[port] = ++end->n;
        return;
    }
    struct leg *leg = &end->legs[end->of_port[port] - 1];
    uint16_t ahead = number - leg->number;
    leg->packets++;
    if (at - leg->at > leg->gap)
        leg->gap = at - leg->at;
    if (at > leg->at)
        leg->at = at;
    if (ahead == 0 || ahead >= 0x8000) {        /* twice, or late: it had counted as missing */
        leg->missing -= ahead != 0;
        return;
    }
    leg->missing += ahead - 1;
    leg->number = number;
}

static void receive(struct end *end)
{
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    static struct sockaddr_in from[BATCH];
    static uint8_t octets[BATCH][2048];
    static union { char room[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))]; struct cmsghdr align; } more[BATCH];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BATCH; i++) {
            pieces[i] = (struct iovec){ octets[i], sizeof octets[i] };
            messages[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &pieces[i], .msg_iovlen = 1,
                                                   .msg_control = &more[i], .msg_controllen = sizeof more[i] };
        }
        int n = recvmmsg(end->fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            struct msghdr *head = &messages[i].msg_hdr;
            int64_t at = 0;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
                    struct timespec t;
                    memcpy(&t, CMSG_DATA(c), sizeof t);
                    at = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
                } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
                    memcpy(&end->dropped, CMSG_DATA(c), sizeof end->dropped);
                }
            }
            take(end, octets[i], messages[i].msg_len, from[i].sin_port, at ? at : now_of(CLOCK_REALTIME));
        }
        if (n < BATCH)
            return;
    }
}

static void flush(struct end *end, struct mmsghdr *messages, int n)
{
    for (int done = 0; done < n;) {
        int k = sendmmsg(end->fd, messages + done, n - done, MSG_DONTWAIT);
        end->sent += k > 0 ? k : 0;
        done += k > 0 ? k : 1;          /* its port is gone: the call has ended */
    }
}

static void say(struct end *end, int slice)
{
    static struct mmsghdr messages[BATCH];
    static struct sockaddr_in to[BATCH];
    static uint8_t octets[HEAD + OCTETS];
    static struct iovec piece = { octets, sizeof octets };
    int n = 0;
    if (slice == 0)
        end->number++;
    uint32_t stamp = (uint32_t)end->number * OCTETS;
    uint8_t head[HEAD] = { 0x80, 8, end->number >> 8, end->number & 255, stamp >> 24, stamp >> 16 & 255, stamp >> 8 & 255, stamp & 255, 0, 0, 0x51, 0x57 };
    memcpy(octets, head, HEAD);
    memset(octets + HEAD, 0xD5, OCTETS);        /* silence in A-law */
    for (int i = slice; i < end->n; i += SLICES) {
        if (i >= beyond && (end->number + i / SLICES) % every)
            continue;
        to[n] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = end->legs[i].port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        messages[n] = (struct mmsghdr){ .msg_hdr = { .msg_name = &to[n], .msg_namelen = sizeof to[n], .msg_iov = &piece, .msg_iovlen = 1 } };
        if (++n == BATCH) {
            flush(end, messages, n);
            n = 0;
        }
    }
    flush(end, messages, n);
}

static void answer(const char *order)
{
    int64_t now = now_of(CLOCK_REALTIME);
    for (int k = 0; k < n_ends; k++) {
        struct end *end = &ends[k];
        fputs(k ? ", " : "[", stdout);
        if (!strcmp(order, "count")) {
            fputs("{\"legs\": [", stdout);
            for (int i = 0; i < end->n; i++) {
                struct leg *leg = &end->legs[i];
                int64_t gap = now - leg->at > leg->gap ? now - leg->at : leg->gap;
                printf("%s[%lld, %lld, %lld]", i ? ", " : "", (long long)leg->packets, (long long)gap / 1000, (long long)leg->missing);
            }
            printf("], \"dropped\": %u, \"sent\": %lld, \"late_us\": %lld}", end->dropped - end->dropped_before, (long long)end->sent,
                   (long long)late / 1000);
        } else if (!strcmp(order, "watch")) {
            for (int i = 0; i < end->n; i++)
                end->legs[i].gap = end->legs[i].packets = end->legs[i].missing = 0;
            end->sent = late = 0;
            end->dropped_before = end->dropped;
            fputs("0", stdout);
        } else {
            printf("%d", end->n);
        }
    }
    puts("]");
    fflush(stdout);
}

static int obey(void)           /* 0: the input has ended */
{
    static char line[256];
    static size_t filled;
    struct pollfd input = { .fd = 0, .events = POLLIN };
    if (poll(&input, 1, 0) <= 0)
        return 1;
    ssize_t n = read(0, line + filled, sizeof line - 1 - filled);
    if (n <= 0)
        return 0;
    filled += n;
    line[filled] = 0;
    for (char *end; (end = strchr(line, '\n')) != NULL;) {
        *end = 0;
        answer(line);
        filled -= end + 1 - line;
        memmove(line, end + 1, filled + 1);
    }
    return filled < sizeof line - 1;
}

int main(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && strcmp(argv[i], "every"); i++) {
        if (n_ends == PORTS)
            break;
        open_end(&ends[n_ends++], atoi(argv[i]));
    }
    if (i + 3 < argc) {
        every = atoi(argv[i + 1]);
        beyond = atoi(argv[i + 3]);
    }
    if (!n_ends || every < 1) {
        fputs("usage: sound-ends PORT... [every N beyond M]\n", stderr);
        return 2;
    }
    setpriority(PRIO_PROCESS, 0, -11);          /* who measures must not wait for what is measured; refused: go on */
    int64_t due = now_of(CLOCK_MONOTONIC);
    for (int slice = 0;; slice = (slice + 1) % SLICES) {
        due += SLICE_NS;
        struct timespec until = { due / 1000000000, due % 1000000000 };
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
            ;
        int64_t behind = now_of(CLOCK_MONOTONIC) - due;
        if (behind > late)
            late = behind;
        if (behind > 200000000)         /* what was missed so long ago is not made up for */
            due += behind;
        for (int k = 0; k < n_ends; k++) {
            receive(&ends[k]);
            say(&ends[k], slice);
        }
        if (!obey())
            return 0;
    }
}
