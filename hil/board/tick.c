#define _GNU_SOURCE
#include "tick.h"

#include "e1_registers.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 10000000
#define SLACK_NS 2000000      /* later than this counts as having stood still: chosen, a fifth of a tick */
#define PRIORITY 40
#define WITNESS_PRIORITY 60    /* above everything of a rig and of the product */
#define WITNESS_NS 1000000
#define STALL_NS 300000        /* a witness that late was not let run; stalls come in trains of such, too */
#define SPACING_NS 6000000     /* the least time between two instants while the board is behind */
#define PATIENCE 3             /* instants in a row that somebody may owe before he is not waited for */
#define LOOK_NS 300000         /* how often it looks whether all are done */
#define LOOKS_MOST 500         /* 150 ms at least that it let itself be asked to wait: a board that is silent for longer is dead to media */
#define BREATH_NS 2000000      /* after a long stall: what runs below us shall have run, too */
#define BEHIND_MOST_NS 1000000000 /* beyond that nothing is made up for: the machine was suspended */
#define REQUEST_STEP_NS 1000000
#define REQUEST_QUIET_TICKS 20 /* requests are served each ms while they come, and 200 ms longer */
#define FORGIVE_INSTANTS 25    /* a peer that is late for 250 ms on end is slow, not late */
#define MEDIA_GONE_TICKS 10    /* 100 ms without a heartbeat: media is dead, block the CAS trunks */
#define CAS_BLOCKED 0x0D       /* Q.421: b = 1 blocked, c = 0, d = 1 */
#define BOARD_PAGE 0xFFFFu     /* span field of the board's own registers */
#define BOARD_IDENTITY 0x45363401u /* "E64", revision 1 */

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* ---- the window ---- */

static size_t page(size_t octets)
{
    return (octets + 4095) & ~(size_t)4095;
}

size_t board_window_octets(uint32_t spans)
{
    return page(HEADER_OCTETS + 2 * RING_OCTETS(spans) + 2 * CAS_OCTETS(spans)
                + REQUEST_ENTRIES * sizeof(struct window_request));
}

void board_init(struct board *board, void *window, uint32_t spans, uint8_t idle)
{
    struct window_header *h = window;
    uint8_t *base = window;
    uint32_t generation = h->generation;

    __atomic_store_n(&h->magic, 0, __ATOMIC_SEQ_CST);
    memset(board, 0, sizeof *board);
    board->header = h;
    board->spans = spans;
    h->version = WINDOW_VERSION;
    h->spans = spans;
    h->ring_frames = RING_FRAMES;
    h->frame_rate_hz = FRAME_RATE_HZ;
    h->timeslots = TIMESLOTS;
    h->rx_offset = HEADER_OCTETS;
    h->tx_offset = (uint32_t)(h->rx_offset + RING_OCTETS(spans));
    h->cas_rx_offset = (uint32_t)(h->tx_offset + RING_OCTETS(spans));
    h->cas_tx_offset = (uint32_t)(h->cas_rx_offset + CAS_OCTETS(spans));
    h->request_offset = (uint32_t)(h->cas_tx_offset + CAS_OCTETS(spans));
    h->request_entries = REQUEST_ENTRIES;
    h->burst_frames = BURST_FRAMES;
    h->idle_code = idle;
    board->reference = -1;
    h->rx_head = h->tx_head = h->late_media_frames = h->moved_time_base = 0;
    h->request_next = 0;
    h->tx_written = 0;
    board->rx = base + h->rx_offset;
    board->tx = base + h->tx_offset;
    board->cas_rx = base + h->cas_rx_offset;
    board->cas_tx = base + h->cas_tx_offset;
    board->requests = (struct window_request *)(void *)(base + h->request_offset);
    memset(board->rx, idle, 2 * RING_OCTETS(spans));
    memset(board->cas_rx, 0x0F, CAS_OCTETS(spans));
    memset(board->cas_tx, CAS_BLOCKED, CAS_OCTETS(spans));
    memset(board->requests, 0, REQUEST_ENTRIES * sizeof *board->requests);
    for (uint32_t s = 0; s < MAX_SPANS; s++) {
        port_reset(&board->lines[s].port, idle);
        board->lines[s].fd = -1;
        board->lines[s].rx_from = (int)s;
        h->span_idle[s] = idle;
        board->lines[s].idle_frames = RING_FRAMES;
    }
    __atomic_store_n(&h->generation, generation + 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&h->magic, WINDOW_MAGIC, __ATOMIC_SEQ_CST);
}

/* ---- one line ---- */

int board_attach(struct board *board, uint32_t span, int fd)
{
    struct line *line = &board->lines[span];
    if (__atomic_load_n(&line->fd, __ATOMIC_ACQUIRE) != -1)
        return -1;
    line->sent = line->answered = 0;
    line->wanted = line->due = 0;
    line->extra = line->skip = 0;
    line->missing_run = line->silent_run = 0;
    line->connections++;
    __atomic_store_n(&line->fd, fd, __ATOMIC_RELEASE);
    return 0;
}

static void detach(struct line *line)
{
    close(line->fd);
    line->stored = 0;
    if (!line->plug)
        port_no_signal(&line->port);
    __atomic_store_n(&line->fd, -1, __ATOMIC_RELEASE);
}

/* ---- faults of the cable ---- */

static void replace(uint8_t *block, size_t octets, int fault)
{
    if (fault != FAULT_NONE)
        memset(block, fault == FAULT_AIS ? 0xFF : fault == FAULT_LOF ? 0x55 : 0, octets); /* 0x55: marks, and nowhere a frame */
}

static double random_gap(double rate)
{
    static _Thread_local uint64_t state = 0x9E3779B97F4A7C15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return -log(((double)(state >> 11) + 1.0) / 9007199254740993.0) / rate;
}

static void spoil(struct bit_errors *errors, uint8_t *block, size_t octets, uint32_t timeslots, uint32_t first)
{
    double bits = (double)octets * 8;
    if (errors->rate > 0) {
        while (errors->next < bits) {
            uint32_t at = (uint32_t)errors->next;
            block[at >> 3] ^= (uint8_t)(0x80 >> (at & 7));
            errors->done++;
            errors->next += random_gap(errors->rate);
        }
        errors->next -= bits;
    }
    for (uint32_t f = 0; f < BURST_FRAMES && errors->count; f++, errors->count--, errors->done++) {
        uint32_t t = errors->timeslot ? (uint32_t)errors->timeslot : first + f % (timeslots - first);
        block[f * timeslots + t - (timeslots == T1_TIMESLOTS)] ^= 0x10;
    }
}

static void spoil_line(const struct line *line, struct bit_errors *errors, uint8_t *block)
{
    if (errors->rate > 0 || errors->count)
        spoil(errors, block, port_line_octets(&line->port), line->port.t1_mode ? T1_TIMESLOTS : TIMESLOTS, 1);
}

static void take_frames(const struct board *board, uint32_t span, uint64_t head, uint64_t written, uint8_t *frames)
{
    size_t stride = (size_t)board->spans * TIMESLOTS;
    const uint8_t *ring = board->tx + span * TIMESLOTS;
    int idle = port_idle(&board->lines[span].port);
    for (uint32_t f = 0; f < BURST_FRAMES; f++)
        if (head + f < written)
            memcpy(frames + f * TIMESLOTS, ring + (head + f) % RING_FRAMES * stride, TIMESLOTS);
        else
            memset(frames + f * TIMESLOTS, idle, TIMESLOTS);
}

static void put_frames(const struct board *board, uint32_t span, uint64_t head, const uint8_t *frames)
{
    size_t stride = (size_t)board->spans * TIMESLOTS;
    uint8_t *ring = board->rx + span * TIMESLOTS;
    for (uint32_t f = 0; f < BURST_FRAMES; f++)
        memcpy(ring + (head + f) % RING_FRAMES * stride, frames + f * TIMESLOTS, TIMESLOTS);
}

static void send_block(struct line *line, const uint8_t *block)
{
    size_t octets = port_line_octets(&line->port);
    if (send(line->fd, block, octets, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)octets) {
        line->sent++;
        line->due++;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
        line->not_taken++; /* the peer does not read: no answer is owed for it */
    else
        detach(line);
}

/* The answers to the `due` blocks of the instant before.  An answer that comes after
 * its instant is thrown away, so samples never shift in time; only a peer that is
 * late for FORGIVE_INSTANTS on end is taken as slow and its debt is forgotten. */
static void collect_answers(struct line *line, uint32_t due, uint8_t blocks[][LINE_OCTETS_MOST])
{
    uint8_t spare[LINE_OCTETS_MOST + 1];
    size_t octets = port_line_octets(&line->port);
    uint32_t got_in_time = 0;
    int came = 0;
    for (uint32_t n = 0; n < due; n++)
        memset(blocks[n], 0xFF, octets);
    while (line->answered < line->wanted) {
        ssize_t got = recv(line->fd, spare, sizeof spare, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            detach(line);
            return;
        }
        if (got < 0)
            break;
        came = 1;
        line->answered++;
        if (line->missing_run >= FORGIVE_INSTANTS)
            line->answered = line->wanted;
        if (got != (ssize_t)octets) {
            line->wrong_length++;
            continue;
        }
        if (line->answered + due > line->wanted) {
            memcpy(blocks[line->answered + due - line->wanted - 1], spare, octets);
            got_in_time++;
        }
    }
    line->late += due - got_in_time;
    if (got_in_time == due) {
        line->missing_run = line->silent_run = 0;
    } else {
        line->silent_run++;
        line->missing_run += (uint32_t)came;
    }
}

static void idle_to_ring(struct board *board, uint32_t span, uint64_t head)
{
    uint8_t idle[BLOCK_OCTETS];
    struct line *line = &board->lines[span];
    if (!port_los(&line->port))
        port_no_signal(&line->port);
    if (line->idle_frames >= RING_FRAMES)
        return; /* the whole ring is idle already */
    memset(idle, port_idle(&line->port), sizeof idle);
    put_frames(board, span, head, idle);
    line->idle_frames += BURST_FRAMES;
}

/* ---- the tick ---- */

static uint64_t heartbeat(struct board *board, uint64_t head)
{
    struct window_header *h = board->header;
    uint64_t written = __atomic_load_n(&h->tx_written, __ATOMIC_ACQUIRE);
    if (written > head + RING_FRAMES)
        written = 0; /* of an earlier life of the board */
    uint64_t missing = written >= head + BURST_FRAMES ? 0 : written > head ? head + BURST_FRAMES - written : BURST_FRAMES;
    if (!missing)
        board->media_late_ticks = 0;
    else if (board->media_late_ticks < MEDIA_GONE_TICKS)
        board->media_late_ticks++;
    if (missing && h->media_owner)
        h->late_media_frames += missing;
    return written;
}

/* ---- clocks ----
 *
 * A far end with a clock of its own gives its frames a little faster or slower than the board takes them.  The elastic store
 * of the framer passes on one frame too few or twice, whenever the difference has grown to a frame: a slip.  Blocks are whole, so the
 * frames that it needs besides come 80 at once, by an instant with two blocks; too many of them, by an instant with none.
 * What goes out suffers alike in the far end's store: 80 frames twice, or left out, each time. */

static double drift_ppm(const struct board *board, const struct line *line)
{
    return line->own_clock && !line->plug ? line->ppm - board->ppm : 0.0;
}

static void follow_reference(struct board *board)
{
    const struct line *line = board->reference >= 0 ? &board->lines[board->reference] : NULL;
    if (line && line->own_clock && line->fd >= 0)
        board->ppm = line->ppm; /* else it holds over */
}

/* Frames of a span into its ring, through the elastic store where one is needed.  count: blocks received, 0 to 2. */
static void pass_on(struct board *board, uint32_t span, uint64_t head, const uint8_t *frames, uint32_t count)
{
    struct line *line = &board->lines[span];
    double ppm = drift_ppm(board, line);
    if (ppm == 0.0 && !line->stored && count == 1) {
        put_frames(board, span, head, frames);
        return;
    }
    memcpy(line->store + line->stored * TIMESLOTS, frames, count * BLOCK_OCTETS);
    line->stored += count * BURST_FRAMES;
    line->drift += BURST_FRAMES * ppm * 1e-6;
    uint32_t take = BURST_FRAMES;
    if (line->drift >= 1.0 && line->stored > BURST_FRAMES) {
        take++;
        line->drift -= 1.0;
        line->slips_out++;
        port_isr(&line->port)[3] |= 0x02; /* RSN */
    } else if (line->drift >= 1.0) {
        line->extra = line->due < 2; /* unless they are on their way */
    } else if (line->drift <= -1.0) {
        take--;
        line->drift += 1.0;
        line->slips_twice++;
        port_isr(&line->port)[3] |= 0x01; /* RSP */
    }
    uint8_t out[BLOCK_OCTETS];
    if (take < BURST_FRAMES) {
        memcpy(out, line->last, TIMESLOTS);
        memcpy(out + TIMESLOTS, line->store, take * TIMESLOTS);
    } else if (line->stored >= take) {
        memcpy(out, line->store + (take - BURST_FRAMES) * TIMESLOTS, BLOCK_OCTETS);
    } else { /* an instant without a block came too early: nothing is left */
        memset(out, port_idle(&line->port), sizeof out);
        take = line->stored;
    }
    memcpy(line->last, out + BLOCK_OCTETS - TIMESLOTS, TIMESLOTS);
    line->stored -= take;
    memmove(line->store, line->store + take * TIMESLOTS, line->stored * TIMESLOTS);
    line->skip = line->stored + line->due * BURST_FRAMES >= 2 * BURST_FRAMES && ppm <= 0;
    put_frames(board, span, head, out);
}

/* ---- an instant ---- */

static void send_line(struct line *line, const uint8_t *block)
{
    uint8_t other[LINE_OCTETS_MOST];
    int lost = line->plug || line->seen.tx_lost;
    if (lost || line->tx_fault || line->tx_errors.rate > 0 || line->tx_errors.count || line->tx_weak.rate > 0) {
        memcpy(other, block, port_line_octets(&line->port));
        spoil_line(line, &line->tx_errors, other);
        spoil_line(line, &line->tx_weak, other);
        replace(other, port_line_octets(&line->port), lost ? FAULT_LOS : line->tx_fault);
        block = other;
    }
    send_block(line, block);
}

/* The line interface of a port, before its block goes out and comes in. */
static void look_at_cable(struct line *line)
{
    const uint8_t *reg = port_reg(&line->port);
    int connected = line->fd >= 0 || line->plug;
    uint32_t key = (uint32_t)reg[0x36] | (uint32_t)reg[0x37] << 8 | (uint32_t)reg[0x3A] << 16 | (uint32_t)line->port.t1_mode << 24
                   | (uint32_t)connected << 25 | 1u << 26;
    if (key == line->looked)
        return;
    line->looked = key;
    line->seen = liu_look(&line->liu, reg, line->port.t1_mode, connected);
    line->port.res = line->seen.res;
    line->port.transmit = line->seen.frs1;
    line->rx_weak.rate = line->seen.rx_errors;
    line->tx_weak.rate = line->seen.tx_errors;
}

/* When each defect came and went, in ticks: what a standard's time is measured by. */
static void note_changes(struct board *board, struct line *line)
{
    uint8_t now = port_frs0(&line->port), changed = now ^ line->frs0_before;
    for (int bit = 0; changed >> bit; bit++)
        if (changed >> bit & 1)
            line->changed[bit] = board->ticks;
    line->frs0_before = now;
}

void board_tick(struct board *board)
{
    static _Thread_local uint8_t frames[2 * BLOCK_OCTETS], blocks[MAX_SPANS][LINE_OCTETS_MOST];
    static _Thread_local uint8_t came[MAX_SPANS][2][LINE_OCTETS_MOST];
    static const uint8_t blocked[TIMESLOTS] = { [0 ... TIMESLOTS - 1] = CAS_BLOCKED };
    static const uint8_t on_hook[TIMESLOTS] = { 0 }; /* T1: what waits for an answer of ours gives up */
    struct window_header *h = board->header;
    uint64_t tx = h->tx_head, rx = h->rx_head, written = heartbeat(board, tx);
    int gone = board->media_late_ticks >= MEDIA_GONE_TICKS;
    int fds[MAX_SPANS], counts[MAX_SPANS];

    follow_reference(board);
    for (uint32_t s = 0; s < board->spans; s++) {
        struct line *line = &board->lines[s];
        fds[s] = __atomic_load_n(&line->fd, __ATOMIC_ACQUIRE);
        int looped = (port_reg(&line->port)[0x36] & 0x02) || line->plug;
        look_at_cable(line);
        if (fds[s] < 0 && !looped)
            continue;
        uint32_t due = line->due;
        int exchanges = fds[s] < 0 ? 0 : line->extra ? 2 : line->skip ? 0 : 1;
        line->extra = line->skip = 0;
        line->wanted = line->sent;
        line->due = 0;
        take_frames(board, s, tx, written, frames);
        for (int n = 0; n < exchanges || (n == 0 && looped); n++) {
            port_transmit(&line->port, frames, gone ? line->port.t1_mode ? on_hook : blocked
                          : board->cas_tx + s * TIMESLOTS, blocks[s]);
            if (n < exchanges && line->fd >= 0)
                send_line(line, blocks[s]);
        }
        counts[s] = (int)due;
    }
    __atomic_store_n(&h->tx_head, tx + BURST_FRAMES, __ATOMIC_RELEASE);

    for (uint32_t s = 0; s < board->spans; s++) {
        struct line *line = &board->lines[s];
        int looped = (port_reg(&line->port)[0x36] & 0x02) || line->plug;
        int live = fds[s] >= 0 && line->fd >= 0;
        if (!!looped != line->was_looped) { /* another signal, at another place of its frame: here all begin at the same one, a cable's do not */
            line->was_looped = !!looped;
            if (line->port.t1_mode)
                t1_lose_frame(&line->port.t1);
            else
                e1_lose_frame(&line->port.e1);
        }
        if (live && line->wanted)
            collect_answers(line, (uint32_t)counts[s], came[s]);
        if (looped) {
            memcpy(came[s][0], blocks[s], port_line_octets(&line->port));
            counts[s] = 1;
        } else if (!live || line->fd < 0 || !line->wanted) {
            counts[s] = -1;
        }
    }
    for (uint32_t s = 0; s < board->spans; s++) {
        struct line *line = &board->lines[s];
        int local = port_reg(&line->port)[0x36] & 0x02; /* inside the framer: what the cable does stays outside */
        uint32_t from = local ? s : (uint32_t)line->rx_from;
        int count = counts[from];
        if (count < 0) {
            idle_to_ring(board, s, rx);
            continue;
        }
        if (from != s && line->port.t1_mode != board->lines[from].port.t1_mode)
            count = 0;
        for (int n = 0; n < count; n++) {
            uint8_t *block = came[from][n], other[LINE_OCTETS_MOST];
            if (from != s)
                block = memcpy(other, block, port_line_octets(&line->port));
            if (!local) {
                spoil_line(line, &line->rx_errors, block);
                spoil_line(line, &line->rx_weak, block);
                replace(block, port_line_octets(&line->port), line->seen.rx_lost ? FAULT_LOS : line->rx_fault);
            }
            port_receive(&line->port, block, frames + (uint32_t)n * BLOCK_OCTETS, board->cas_rx + s * TIMESLOTS);
        }
        pass_on(board, s, rx, frames, (uint32_t)count);
        line->idle_frames = 0;
    }
    __atomic_store_n(&h->rx_head, rx + BURST_FRAMES, __ATOMIC_RELEASE);

    ++board->ticks;
    for (uint32_t s = 0; s < board->spans; s++) {
        struct line *line = &board->lines[s];
        if (line->crc_rate > 0)
            for (line->crc_due += line->crc_rate * BURST_FRAMES / FRAME_RATE_HZ; line->crc_due >= 1; line->crc_due--) {
                line->port.e1.rx_crc_errors++;
                line->port.t1.rx_crc_errors++;
            }
        if (board->ticks % (FRAME_RATE_HZ / BURST_FRAMES) == 0)
            port_second(&line->port);
        note_changes(board, line);
    }
    board->quiet_ticks += board->quiet_ticks < REQUEST_QUIET_TICKS;
}

/* ---- registers ---- */

static int board_register(struct board *board, uint32_t op, uint32_t address, uint32_t *data)
{
    if (op)
        return -1;
    switch (address & 0xFFFF) {
    case 0x00: *data = BOARD_IDENTITY; return 0;
    case 0x04: *data = board->spans; return 0;
    case 0x08: *data = (uint32_t)(board->ticks * BURST_FRAMES / FRAME_RATE_HZ); return 0; /* seconds up */
    default: return -1;
    }
}

static int serve(struct board *board, const struct window_request *request, uint32_t *data)
{
    uint32_t span = request->address >> 16, address = request->address & 0xFFFF;
    *data = request->data;
    if (request->op > 1)
        return -1;
    if (span == BOARD_PAGE)
        return board_register(board, request->op, address, data);
    if (span >= board->spans)
        return -1;
    struct port *port = &board->lines[span].port;
    if (!request->op)
        return port_read(port, address, data);
    int before = port->t1_mode, refused = port_write(port, address, request->data);
    board->header->span_idle[span] = port_idle(port);
    if (port->t1_mode != before) { /* another kind of line: its rings and bits begin anew */
        memset(board->cas_rx + span * TIMESLOTS, port->t1_mode ? 0 : 0x0F, TIMESLOTS);
        memset(board->cas_tx + span * TIMESLOTS, port->t1_mode ? 0 : CAS_BLOCKED, TIMESLOTS);
        board->lines[span].idle_frames = board->lines[span].stored = 0;
    }
    return refused;
}

void board_serve_requests(struct board *board)
{
    for (uint32_t n = 0; n < REQUEST_ENTRIES; n++) {
        uint32_t next = board->header->request_next, data;
        struct window_request *request = &board->requests[next];
        if (__atomic_load_n(&request->state, __ATOMIC_ACQUIRE) != REQUEST_ASKED)
            return;
        int refused = serve(board, request, &data) < 0;
        request->data = data;
        board->served++;
        __atomic_store_n(&board->header->request_next, (next + 1) % REQUEST_ENTRIES, __ATOMIC_RELEASE);
        __atomic_store_n(&request->state, refused ? REQUEST_REFUSED : REQUEST_DONE, __ATOMIC_RELEASE);
        board->quiet_ticks = 0;
    }
}

/* ---- time ---- */

static int ask_for_real_time(int priority)
{
    struct sched_param param = { .sched_priority = priority };
    return pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) == 0;
}

struct witness_start {
    struct board *board;
    struct witness *witness;
};

static void *watch(void *argument)
{
    struct witness_start start = *(struct witness_start *)argument;
    struct witness *w = start.witness;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(w->processor, &only);
    free(argument);
    if (pthread_setaffinity_np(pthread_self(), sizeof only, &only) || !ask_for_real_time(WITNESS_PRIORITY))
        return NULL; /* beat_ns stays 0: this processor is not watched */
    while (!__atomic_load_n(&start.board->stop, __ATOMIC_RELAXED)) {
        uint64_t due = now_ns(CLOCK_MONOTONIC) + WITNESS_NS;
        sleep_until(due);
        uint64_t now = now_ns(CLOCK_MONOTONIC);
        __atomic_store_n(&w->beat_ns, now, __ATOMIC_RELEASE); /* first, so that no stall counts twice */
        if (now - due > STALL_NS)
            __atomic_fetch_add(&w->stolen_ns, now - due, __ATOMIC_RELEASE);
        w->stalls += now - due > LONG_STALL_NS;
    }
    return NULL;
}

static void start_witnesses(struct board *board, pthread_t *threads)
{
    cpu_set_t allowed;
    if (!board->fifo || sched_getaffinity(0, sizeof allowed, &allowed))
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE && board->witnesses < MAX_PROCESSORS; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        struct witness_start *start = malloc(sizeof *start);
        struct witness *w = &board->witness[board->witnesses];
        w->processor = cpu;
        w->beat_ns = w->stolen_ns = w->stalls = 0;
        if (!start)
            return;
        *start = (struct witness_start){ board, w };
        if (pthread_create(&threads[board->witnesses], NULL, watch, start)) {
            free(start);
            return;
        }
        board->witnesses++;
    }
}

/* Who looks at the witnesses: what was counted already, and when a long stall was last seen. */
struct outlook {
    uint64_t counted[MAX_PROCESSORS], stalled_at;
};

/* What the host took from a processor since the last look, a stall that is still going on included:
 * of all processors together, since a thread that is moved from one to another suffers both.  A stall that lasts counts
 * bit by bit; its witness tells the sum at its end. */
static uint64_t taken(const struct board *board, struct outlook *outlook)
{
    uint64_t all = 0, now = now_ns(CLOCK_MONOTONIC);
    for (uint32_t n = 0; n < board->witnesses; n++) {
        uint64_t beat = __atomic_load_n(&board->witness[n].beat_ns, __ATOMIC_ACQUIRE);
        uint64_t sum = __atomic_load_n(&board->witness[n].stolen_ns, __ATOMIC_ACQUIRE);
        if (beat && now > beat + WITNESS_NS + STALL_NS)
            sum += now - beat - WITNESS_NS;
        if (sum > outlook->counted[n]) {
            all += sum - outlook->counted[n];
            outlook->counted[n] = sum;
        }
    }
    return all;
}

/* Whether media and every peer have done what they owe for the next instant.  Who has not for PATIENCE instants is not
 * waited for: dead, stopped, or too slow by itself. */
static int all_done(const struct board *board)
{
    const struct window_header *h = board->header;
    struct pollfd polls[MAX_SPANS];
    nfds_t owing = 0;
    if (h->media_owner && board->media_late_ticks < PATIENCE
        && __atomic_load_n(&h->tx_written, __ATOMIC_ACQUIRE) < h->tx_head + BURST_FRAMES)
        return 0;
    for (uint32_t s = 0; s < board->spans; s++) {
        int fd = __atomic_load_n(&board->lines[s].fd, __ATOMIC_ACQUIRE);
        if (fd >= 0 && board->lines[s].silent_run < PATIENCE && board->lines[s].due)
            polls[owing++] = (struct pollfd){ .fd = fd, .events = POLLIN };
    }
    return poll(polls, owing, 0) == (int)owing;
}

/* Wait for the next instant; returns its time.  nominal: when it was due had the host never stood still, last: the
 * instant before.  Everybody has 10 ms from one instant to the next, and longer by what the host took meanwhile, unless all
 * are done before. */
static uint64_t wait_for_instant(struct board *board, uint64_t nominal, uint64_t last, struct outlook *outlook)
{
    uint64_t due = nominal > last + SPACING_NS ? nominal : last + SPACING_NS, lost = 0, now, instant;
    sleep_until(due);
    for (int looks = 0;; looks++) {
        uint64_t more = taken(board, outlook);
        lost += more;
        now = now_ns(CLOCK_MONOTONIC);
        if (more && lost >= LONG_STALL_NS)
            outlook->stalled_at = now;
        uint64_t granted = due > last + TICK_NS + lost ? due : last + TICK_NS + lost;
        if (__atomic_load_n(&board->stop, __ATOMIC_RELAXED) || now >= granted || looks >= LOOKS_MOST) {
            instant = granted < now ? granted : now; /* the time that it takes us to wake up is nobody's */
            break;
        }
        if (now >= outlook->stalled_at + BREATH_NS && all_done(board)) {
            instant = now > due + SLACK_NS ? now : due;
            break;
        }
        sleep_until(now + LOOK_NS < granted ? now + LOOK_NS : granted);
    }
    if (now > instant + SLACK_NS)
        instant = now; /* we came late ourselves */
    if (instant - due > board->worst_late_ns)
        board->worst_late_ns = instant - due;
    if (instant > due + SLACK_NS) {
        board->header->moved_time_base++;
        board->stood_ns += instant - due;
    }
    return instant;
}

void board_run(struct board *board)
{
    pthread_t threads[MAX_PROCESSORS];
    struct outlook outlook = { { 0 }, 0 };
    board->fifo = ask_for_real_time(PRIORITY);
    start_witnesses(board, threads);
    uint64_t last = now_ns(CLOCK_MONOTONIC), nominal = last;
    while (!__atomic_load_n(&board->stop, __ATOMIC_RELAXED)) {
        nominal += TICK_NS;
        uint64_t due = nominal > last + SPACING_NS ? nominal : last + SPACING_NS;
        while (board->quiet_ticks < REQUEST_QUIET_TICKS && now_ns(CLOCK_MONOTONIC) + REQUEST_STEP_NS < due) {
            sleep_until(now_ns(CLOCK_MONOTONIC) + REQUEST_STEP_NS);
            board_serve_requests(board);
        }
        last = wait_for_instant(board, nominal, last, &outlook);
        board_tick(board);
        board_serve_requests(board);
        if (last > nominal + BEHIND_MOST_NS)
            nominal = last;
        board->behind_ns = last > nominal ? last - nominal : 0;
        board->busy_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    }
    for (uint32_t n = 0; n < board->witnesses; n++)
        pthread_join(threads[n], NULL);
    for (uint32_t s = 0; s < board->spans; s++)
        if (board->lines[s].fd >= 0)
            detach(&board->lines[s]);
    __atomic_store_n(&board->header->magic, 0, __ATOMIC_SEQ_CST);
}
