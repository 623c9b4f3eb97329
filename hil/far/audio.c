/* Files played and recorded.  A second thread does all writing. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "far.h"

/* ---- sounds: A-law in memory, one copy for all calls that play the same file ---- */

static struct sound *sounds;

static uint32_t le(const uint8_t *p, int n)
{
    uint32_t v = 0;
    while (n--) v = v << 8 | p[n];
    return v;
}

static const char *decode(struct sound *s, const uint8_t *d, size_t n)
{
    int format = 0, bits = 0;
    if (n < 12 || memcmp(d, "RIFF", 4) || memcmp(d + 8, "WAVE", 4)) return "is not a WAV file";
    for (size_t at = 12; at + 8 <= n;) {
        size_t length = le(d + at + 4, 4), room = n - at - 8;
        const uint8_t *chunk = d + at + 8;
        if (length > room) length = room;
        if (!memcmp(d + at, "fmt ", 4) && length >= 16) {
            format = le(chunk, 2);
            bits = le(chunk + 14, 2);
            if (format == 0xFFFE && length >= 26) format = le(chunk + 24, 2);
            if (le(chunk + 2, 2) != 1 || le(chunk + 4, 4) != 8000) return "is not 8 kHz mono";
        } else if (!memcmp(d + at, "data", 4)) {
            if (format == 6 && bits == 8) {
                s->samples = length;
                s->alaw = malloc(length + 1);
                memcpy(s->alaw, chunk, length);
            } else if (format == 1 && bits == 16) {
                s->samples = length / 2;
                s->alaw = malloc(s->samples + 1);
                for (int64_t i = 0; i < s->samples; i++)
                    s->alaw[i] = linear_to_alaw((int16_t)le(chunk + 2 * i, 2));
            } else {
                return "is neither A-law nor 16-bit PCM";
            }
            return s->samples ? NULL : "holds no samples";
        }
        at += 8 + length + (length & 1);
    }
    return "has no data chunk";
}

struct sound *sound_load(const char *path, char *error, size_t room)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        snprintf(error, room, "The file %s cannot be read: %s.", path, strerror(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    int64_t changed = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
    for (struct sound *s = sounds; s; s = s->next)
        if (!strcmp(s->path, path) && s->size == st.st_size && s->changed == changed) { close(fd); return s; }
    uint8_t *data = malloc(st.st_size + 1);
    ssize_t n = read(fd, data, st.st_size);
    close(fd);
    struct sound *s = calloc(1, sizeof *s);
    const char *wrong = n < 0 ? "cannot be read" : decode(s, data, n);
    free(data);
    if (wrong) {
        snprintf(error, room, "The file %s %s.", path, wrong);
        free(s->alaw);
        free(s);
        return NULL;
    }
    s->path = strdup(path);
    s->size = st.st_size;
    s->changed = changed;
    s->next = sounds;
    return sounds = s;
}

/* ---- the writing thread ---- */

enum { HEADER = 58, CHUNK = 4000 };     /* half a second */

struct recorder {
    int fd, span;
    char id[64], path[512];
    int64_t written;
    int used;
    bool failed;
    uint8_t *chunk;
    struct recorder *next;
};

struct job { struct job *next; struct recorder *recorder; int fd; bool closes; size_t n; uint8_t *data; };

static struct job *first, **last = &first;
static struct recorder *closed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static bool ending;
static int notify = -1;

static void give(struct job *j)
{
    pthread_mutex_lock(&lock);
    *last = j;
    last = &j->next;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

static void write_header(struct recorder *r)
{
    uint8_t h[HEADER] = "RIFF....WAVEfmt \x12\0\0\0\x06\0\x01\0\x40\x1F\0\0\x40\x1F\0\0\x01\0\x08\0\0\0fact\x04\0\0\0....data....";
    uint32_t n = r->written, riff = HEADER - 8 + n + (n & 1);
    for (int i = 0; i < 4; i++) {
        h[4 + i] = riff >> 8 * i;
        h[46 + i] = h[54 + i] = n >> 8 * i;
    }
    if (pwrite(r->fd, h, HEADER, 0) != HEADER) r->failed = true;
}

static void carry_out(struct job *j)
{
    struct recorder *r = j->recorder;
    if (!r) {
        if (write(j->fd, j->data, j->n) < 0) { /* a trace that cannot be written is not worth a call */ }
        return;
    }
    if (j->n) {
        if (pwrite(r->fd, j->data, j->n, HEADER + r->written) != (ssize_t)j->n) r->failed = true;
        r->written += j->n;
    }
    if (j->closes && r->written & 1) {
        uint8_t pad = 0;
        if (pwrite(r->fd, &pad, 1, HEADER + r->written) != 1) r->failed = true;
    }
    write_header(r);
    if (j->closes) {
        close(r->fd);
        uint64_t one = 1;
        pthread_mutex_lock(&lock);
        r->next = closed;
        closed = r;
        pthread_mutex_unlock(&lock);
        if (write(notify, &one, sizeof one) < 0) { /* the counter is full: it is readable anyway */ }
    }
}

static void *writer(void *unused)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!first && !ending) pthread_cond_wait(&wake, &lock);
        struct job *j = first;
        if (!j) break;
        if (!(first = j->next)) last = &first;
        pthread_mutex_unlock(&lock);
        carry_out(j);
        free(j->data);
        free(j);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

void audio_start(void)
{
    notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_create(&thread, NULL, writer, NULL);
}

void audio_stop(void)
{
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

int audio_notify_fd(void) { return notify; }

void audio_notify(void)
{
    uint64_t count;
    if (read(notify, &count, sizeof count) < 0 && errno == EAGAIN) return;
    pthread_mutex_lock(&lock);
    struct recorder *r = closed, *next;
    closed = NULL;
    pthread_mutex_unlock(&lock);
    for (; r; r = next) {
        next = r->next;
        event(span_find(r->span), "record_closed", "\"id\":%s,\"file\":%s,\"samples\":%lld,\"failed\":%s",
              json_quote(r->id), json_quote(r->path), (long long)r->written, r->failed ? "true" : "false");
        free(r->chunk);
        free(r);
    }
}

void writer_append(int fd, const void *data, size_t n)
{
    struct job *j = calloc(1, sizeof *j);
    j->fd = fd;
    j->n = n;
    memcpy(j->data = malloc(n), data, n);
    give(j);
}

/* ---- recordings ---- */

struct recorder *recorder_open(struct span *s, const char *id, const char *path, char *error, size_t room)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        snprintf(error, room, "The recording %s cannot be written: %s.", path, strerror(errno));
        return NULL;
    }
    struct recorder *r = calloc(1, sizeof *r);
    r->fd = fd;
    r->span = s->number;
    snprintf(r->id, sizeof r->id, "%s", id);
    snprintf(r->path, sizeof r->path, "%s", path);
    r->chunk = malloc(CHUNK);
    event(s, "record_started", "\"id\":%s,\"file\":%s,\"rx_sample\":%llu", json_quote(id), json_quote(path),
          (unsigned long long)span_sample(s));
    return r;
}

static void pass_on(struct recorder *r, bool closes)
{
    struct job *j = calloc(1, sizeof *j);
    j->recorder = r;
    j->closes = closes;
    j->n = r->used;
    j->data = r->chunk;
    r->chunk = closes ? NULL : malloc(CHUNK);
    r->used = 0;
    give(j);
}

void recorder_write(struct recorder *r, const uint8_t *alaw, int n)
{
    while (n) {
        int part = n < CHUNK - r->used ? n : CHUNK - r->used;
        memcpy(r->chunk + r->used, alaw, part);
        r->used += part;
        alaw += part;
        n -= part;
        if (r->used == CHUNK) pass_on(r, false);
    }
}

void recorder_close(struct recorder *r) { pass_on(r, true); }
