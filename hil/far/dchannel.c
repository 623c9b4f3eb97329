/* D channel: HDLC by spandsp, layers 2 and 3 by libpri, a trace of every frame.
 *
 * spandsp shifts octets out from the most significant bit, which is also the
 * first on the line in a block: its octets go into the timeslot as they are.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "far.h"

static void trace(struct span *s, const uint8_t *frame, int octets, bool sent)
{
    if (s->trace_fd < 0) return;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    struct { uint32_t seconds, micros, kept, length; uint8_t pseudo[16], frame[FRAME_MAX]; } packet = {
        t.tv_sec, t.tv_nsec / 1000, octets + 16, octets + 16};
    /* LINKTYPE_LINUX_LAPD: packet type (4 outgoing), ARPHRD_LAPD, address length, address (1: we are the network), ETH_P_LAPD. */
    uint8_t pseudo[16] = {0, sent ? 4 : 0, 0x20, 0xFD, 0, 1, s->side == PRI_NETWORK, 0, 0, 0, 0, 0, 0, 0, 0, 0x30};
    memcpy(packet.pseudo, pseudo, 16);
    memcpy(packet.frame, frame, octets);
    writer_append(s->trace_fd, &packet, 32 + octets);
}

static void trace_open(struct span *s)
{
    s->trace_fd = -1;
    if (!settings.trace) return;
    char path[600];
    snprintf(path, sizeof path, "%s/span-%d.pcap", settings.trace, s->number);
    s->trace_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (s->trace_fd < 0) { fprintf(stderr, "The trace %s cannot be written; the calls go on without it.\n", path); return; }
    struct { uint32_t magic; uint16_t major, minor; uint32_t zone, sigfigs, snap, type; } head = {
        0xA1B2C3D4, 2, 4, 0, 0, 65535, 177};
    writer_append(s->trace_fd, &head, sizeof head);
}

/* Tell what a frame carries; it changes nothing. */
static void look(struct span *s, const uint8_t *f, int octets, bool sent)
{
    const char *direction = sent ? "tx" : "rx";
    int *expected = sent ? &s->tx_expected : &s->rx_expected;
    if (octets < 3) return;
    if ((f[2] & 3) == 3) {
        const char *name = q921_name(f[2]);
        if (name) event(s, "layer2", "\"direction\":\"%s\",\"name\":\"%s\"", direction, name);
        if ((f[2] & ~0x10) == 0x6F) s->rx_expected = s->tx_expected = 0;
        return;
    }
    if (f[2] & 1 || octets < 8 || f[4] != 8) return;
    int ns = f[2] >> 1, length = f[5] & 15, reference = 0, at = 6;
    bool repeated = ns != *expected;
    if (!repeated) *expected = (ns + 1) & 127;
    for (int i = 0; i < length && at < octets; i++) reference = reference << 8 | (i ? f[at++] : f[at++] & 0x7F);
    if (at >= octets) return;
    char more[120] = "", *end = more;
    int type = f[at];
    for (at++; at < octets;) {
        int ie = f[at];
        if (ie & 0x80) { at++; continue; }
        if (at + 1 >= octets || at + 2 + f[at + 1] > octets) break;
        const uint8_t *v = f + at + 2;
        int n = f[at + 1];
        if (ie == 0x08 && n >= 2) end += sprintf(end, ",\"cause\":%d", v[n > 2 && !(v[0] & 0x80) ? 2 : 1] & 0x7F);
        else if (ie == 0x14 && n >= 1) end += sprintf(end, ",\"call_state\":%d", v[0] & 0x3F);
        else if (ie == 0x18 && n >= 3) end += sprintf(end, ",\"timeslot\":%d", v[n - 1] & 0x7F);
        at += 2 + n;
        if (end - more > 80) break;
    }
    event(s, "message", "\"direction\":\"%s\",\"name\":\"%s\",\"type\":%d,\"call_reference\":%d,\"repeated\":%s%s",
          direction, q931_name(type), type, reference, repeated ? "true" : "false", more);
}

/* ---- transmit ---- */

static void feed(struct span *s)
{
    while (s->queue_len) {
        struct tx_frame *t = &s->queue[s->queue_head];
        if (hdlc_tx_frame(s->hdlc_tx, t->data, t->octets) < 0) return;  /* one is on its way */
        if (t->bad_fcs) hdlc_tx_corrupt_frame(s->hdlc_tx);
        s->queue_head = (s->queue_head + 1) % TX_QUEUE;
        s->queue_len--;
        s->tx_frames++;
    }
}

static void underflow(void *user) { feed(user); }

bool dchannel_queue(struct span *s, const uint8_t *frame, int octets, bool bad_fcs)
{
    /* Nothing is kept for a line that is not there: layer 2 repeats. */
    if (s->fd < 0 || s->queue_len == TX_QUEUE || octets < 1 || octets > FRAME_MAX) { s->dropped_frames++; return false; }
    struct tx_frame *t = &s->queue[(s->queue_head + s->queue_len++) % TX_QUEUE];
    memcpy(t->data, frame, octets);
    t->octets = octets;
    t->bad_fcs = bad_fcs;
    trace(s, frame, octets, true);
    return true;
}

void dchannel_transmit(struct span *s, uint8_t *octets, int n)
{
    feed(s);
    for (int i = 0; i < n; i++) octets[i] = hdlc_tx_get_byte(s->hdlc_tx);
}

/* ---- libpri ---- */

static int pri_reads(struct pri *pri, void *buffer, int room)
{
    struct span *s = pri_get_userdata(pri);
    int n = s->rx_octets;
    s->rx_octets = 0;
    if (n > room) return 0;
    memcpy(buffer, s->rx_frame, n);
    return n;
}

static int pri_writes(struct pri *pri, void *buffer, int octets)
{
    struct span *s = pri_get_userdata(pri);
    uint8_t frame[FRAME_MAX];
    int n = octets - 2;
    if (n < 1 || n > FRAME_MAX) return octets;
    memcpy(frame, buffer, n);
    if (s->replacement_octets && n > 4 && !(frame[2] & 1)) {
        /* The next information frame keeps its numbers and gets other contents. */
        memcpy(frame + 4, s->replacement, s->replacement_octets);
        n = 4 + s->replacement_octets;
        s->replacement_octets = 0;
    }
    if (dchannel_queue(s, frame, n, false)) look(s, frame, n, true);
    return octets;
}

static void pri_says(struct pri *pri, char *text)
{
    if (settings.debug) fprintf(stderr, "[%d] %s", pri ? ((struct span *)pri_get_userdata(pri))->number : 0, text);
}

static void pri_complains(struct pri *pri, char *text)
{
    char line[400];
    snprintf(line, sizeof line, "%s", text);
    line[strcspn(line, "\n")] = 0;
    event(pri ? pri_get_userdata(pri) : NULL, "exchange_error", "\"text\":%s", json_quote(line));
}

static void handle(struct span *s, pri_event *e)
{
    if (e->e == PRI_EVENT_DCHAN_UP || e->e == PRI_EVENT_DCHAN_DOWN) {
        bool up = e->e == PRI_EVENT_DCHAN_UP;
        if (up != s->link_up) {
            s->link_up = up;
            event(s, up ? "link_up" : "link_down", NULL);
        }
        return;
    }
    calls_event(s, e);
}

void dchannel_timers(struct span *s)
{
    if (s->raw) return;
    struct timeval now, *next = pri_schedule_next(s->pri);
    if (!next) return;
    gettimeofday(&now, NULL);
    if (timercmp(next, &now, >)) return;
    pri_event *e;
    while ((e = pri_schedule_run(s->pri)) != NULL) handle(s, e);
}

/* ---- receive ---- */

static void tell_frame(struct span *s, const char *kind, const uint8_t *frame, int octets)
{
    char hex[2 * FRAME_MAX + 1] = "";       /* of a bad frame there may be no octet */
    for (int i = 0; i < octets; i++) sprintf(hex + 2 * i, "%02x", frame[i]);
    event(s, kind, "\"octets\":\"%s\"", hex);
}

static void received(void *user, const uint8_t *frame, int octets, int ok)
{
    struct span *s = user;
    if (octets < 0) {       /* a status of spandsp's, not a frame */
        if (octets == SIG_STATUS_ABORT) s->aborts++;
        return;
    }
    if (!ok) {
        s->fcs_errors++;
        tell_frame(s, "bad_frame", frame, octets < FRAME_MAX ? octets : FRAME_MAX);
        return;
    }
    if (octets < 3 || octets > FRAME_MAX - 2) return;
    s->rx_frames++;
    trace(s, frame, octets, false);
    memcpy(s->rx_frame, frame, octets);
    if (s->raw) { tell_frame(s, "raw_frame", frame, octets); return; }
    /* Under another protocol discriminator libpri passes a RESTART over, and layer 2 goes on. */
    if (s->deaf_to_restart && octets > 8 && !(frame[2] & 1) && frame[4] == 8 && !frame[6] && !frame[7] && frame[8] == 0x46) s->rx_frame[4] = 0x4F;
    memset(s->rx_frame + octets, 0, 2);     /* libpri wants room for an FCS that it does not look at */
    s->rx_octets = octets + 2;
    look(s, frame, octets, false);
    s->in_frame = true;
    pri_event *e = pri_check_event(s->pri);
    if (e) handle(s, e);
    s->in_frame = false;
    s->rx_octets = 0;
    dchannel_timers(s);     /* libpri hands on further events of the same frame here */
}

void dchannel_receive(struct span *s, const uint8_t *octets, int n)
{
    hdlc_rx_put(s->hdlc_rx, octets, n);
}

void dchannel_restart(struct span *s)
{
    if (!s->hdlc_rx) return;        /* no D channel here */
    hdlc_rx_restart(s->hdlc_rx);
    hdlc_rx_set_max_frame_len(s->hdlc_rx, FRAME_MAX - 2);
}

void dchannel_init(struct span *s)
{
    static bool told;
    if (!told) { pri_set_message(pri_says); pri_set_error(pri_complains); told = true; }
    s->hdlc_rx = hdlc_rx_init(NULL, false, true, 1, received, s);
    s->hdlc_tx = hdlc_tx_init(NULL, false, 1, false, underflow, s);
    trace_open(s);
    dchannel_restart(s);
    if (s->raw) return;
    s->pri = pri_new_cb(-1, s->side, s->switch_type, pri_reads, pri_writes, s);
    if (settings.debug) pri_set_debug(s->pri, PRI_DEBUG_ALL & ~PRI_DEBUG_Q921_RAW);
    pri_set_overlapdial(s->pri, 1);
    pri_hangup_fix_enable(s->pri, 1);       /* clear as Q.931 5.3.2 says */
    /* libpri counts a second HANGUP_REQ where a held call could be transferred by clearing: not asked for. */
    pri_hold_enable(s->pri, 1);
    pri_transfer_enable(s->pri, 1);
    pri_mcid_enable(s->pri, 1);
    pri_set_service_message_support(s->pri, 1);
    if (settings.facility || s->switch_type == PRI_SWITCH_QSIG) pri_facility_enable(s->pri);      /* names of QSIG are operations */
}
