/* Line sockets: for each block that comes, one block goes. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "far.h"

void line_open(struct span *s)
{
    if (s->fd >= 0 || s->disturbance == CUT) return;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if ((size_t)snprintf(a.sun_path, sizeof a.sun_path, "%s/lines/%d.sock", settings.run, s->number) >= sizeof a.sun_path)
        return;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) { close(fd); return; }
    s->fd = fd;
    s->rx = (struct e1_rx){.crc4 = s->rx.crc4, .losses = s->rx.losses, .fas_errors = s->rx.fas_errors,
                           .crc4_errors = s->rx.crc4_errors, .e_bits = s->rx.e_bits};
    s->t1_rx = (struct t1_rx){.losses = s->t1_rx.losses, .f_errors = s->t1_rx.f_errors, .crc_errors = s->t1_rx.crc_errors};
    s->tx.bad_first = s->tx.bad_second = 0;
    s->ais = false;
    s->last_block = 0;
    dchannel_restart(s);
    poller_add(fd, s);
    event(s, "line_up", NULL);
}

void line_close(struct span *s)
{
    if (s->fd < 0) return;
    close(s->fd);       /* leaves the epoll set with its last descriptor */
    s->fd = -1;
    event(s, "line_down", NULL);
    if (s->rx.aligned) { s->rx.aligned = false; s->rx.losses++; event(s, "alignment_lost", NULL); }
}

static void report_changes(struct span *s, bool aligned, bool rai, bool ais)
{
    if (aligned != s->rx.aligned) event(s, s->rx.aligned ? "alignment_found" : "alignment_lost", NULL);
    if (rai != s->rx.rai) event(s, s->rx.rai ? "rai_on" : "rai_off", NULL);
    if (ais != s->ais) event(s, s->ais ? "ais_on" : "ais_off", NULL);
}

static void look(struct span *s, const uint8_t **rx, int octets)
{
    static uint8_t block[BLOCK];
    if (!s->is_t1) { e1_check_block(&s->rx, &s->tx, *rx); return; }
    if (octets == T1_BLOCK) {
        t1_check_block(&s->t1_rx, *rx, block, s->clear);
        *rx = block;
    } else {
        s->t1_rx.aligned = false;       /* the board has not been told yet that this is a T1 */
    }
    s->rx.aligned = s->t1_rx.aligned;
    s->rx.rai = s->t1_rx.rai;
    s->rx.losses = s->t1_rx.losses;
    s->rx.fas_errors = s->t1_rx.f_errors;
    s->rx.crc4_errors = s->t1_rx.crc_errors;
}

static void answer(struct span *s, const uint8_t *rx, int octets)
{
    static uint8_t tx[BLOCK], line[T1_BLOCK];
    const uint8_t *out = tx;
    uint8_t column[FRAMES];
    int length = s->is_t1 ? T1_BLOCK : BLOCK, d = s->d_timeslot;

    bool aligned = s->rx.aligned, rai = s->rx.rai, ais = s->ais;
    /* AIS: less than three zeros in 512 bits (G.775); a block has 40 times as many bits. */
    int zeros = 0;
    for (int i = 0; i < octets && zeros < 120; i++) zeros += 8 - __builtin_popcount(rx[i]);
    s->ais = zeros < 120;
    look(s, &rx, octets);
    report_changes(s, aligned, rai, ais);

    for (int f = 0; f < FRAMES; f++) column[f] = rx[f * TIMESLOTS + d];
    if (d) dchannel_receive(s, column, FRAMES);

    memset(tx, IDLE, sizeof tx);
    calls_block(s, rx, tx);
    if (d) dchannel_transmit(s, column, FRAMES);
    for (int f = 0; d && f < FRAMES; f++) tx[f * TIMESLOTS + d] = column[f];
    s->tx.rai = s->t1_tx.rai = s->forced_rai || !s->rx.aligned;
    if (s->is_t1) { t1_frame_block(&s->t1_tx, tx, line, s->clear); out = line; }
    else e1_frame_block(&s->tx, tx);
    if (s->disturbance == AIS) memset((uint8_t *)out, 0xFF, length);
    if (s->disturbance == SCRAMBLED && s->is_t1) memset(line + FRAMES * T1_TIMESLOTS, 0x55, FRAMES / 8);
    if (s->disturbance == SCRAMBLED)
        for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS] = 0x55;
    s->blocks++;
    if (send(s->fd, out, length, MSG_NOSIGNAL | MSG_DONTWAIT) != length) {
        if (errno == EAGAIN) s->lost_blocks++;
        else line_close(s);
    }
}

void line_ready(struct span *s)
{
    static uint8_t rx[BLOCK + 1];
    for (int taken = 0; s->fd >= 0; taken++) {
        ssize_t n = recv(s->fd, rx, sizeof rx, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) { line_close(s); return; }
        if (n != BLOCK && !(s->is_t1 && n == T1_BLOCK)) {
            event(s, "exchange_error", "\"text\":\"A block of %zd octets came; an E1 block has %d.\"", n, BLOCK);
            continue;
        }
        /* A second block waiting means that the answer to the first came more than 10 ms late. */
        if (taken) s->late_blocks++;
        s->last_block = mono_now();
        s->in_block = true;
        answer(s, rx, (int)n);
        s->in_block = false;
    }
}

const char *line_disturb(struct span *s, const char *state)
{
    s->forced_rai = false;
    if (!strcmp(state, "normal")) s->disturbance = NORMAL;
    else if (!strcmp(state, "rai")) { s->disturbance = NORMAL; s->forced_rai = true; }
    else if (!strcmp(state, "ais")) s->disturbance = AIS;
    else if (!strcmp(state, "scrambled")) s->disturbance = SCRAMBLED;
    else if (!strcmp(state, "cut")) { s->disturbance = CUT; line_close(s); }
    else return "a line's state is normal, rai, ais, scrambled or cut";
    if (s->disturbance != CUT) line_open(s);
    return NULL;
}
