# Memory of recordings, lent a tape at a time.  Included by _engine.pyx.
#
# The disk thread is a quarter of a second behind the tick, four seconds where the disk stands still: memory for all four that each
# recording had for itself was most of what a recorded call cost.  So a recording holds the tapes between its two ends only:
# the tick takes one where the one before is full (record.pxi), the disk thread gives back what it has read (files.pxi).
#
# All memory of media is locked, so what is there is paid for, and the tick must not ask the kernel for more: in the middle of a disk's stall it
# might wait for that disk.  The command thread makes tapes, many at once, so that some are always ahead of the recordings; the tick
# wakes it where they become few, until there is what all recordings that run can fill.
#
# The tick alone takes, any thread gives: what was given is a list that the tick takes whole, so neither waits for the other.

from libc.stdint cimport uint8_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <stddef.h>
    enum { TAPE_OCTETS = 12 * 160,                  /* 0.12 s of both legs: whole ticks, whole lines of the cache */
           RECORD_MOST = 65536,                     /* octets of one recording that wait for the disk: 4.096 s */
           TAPES_AHEAD = 2,                         /* ours, for each recording: the command thread is awake within 0.01 s */
           TAPES_EACH = RECORD_MOST / TAPE_OCTETS + 3,    /* that a recording can hold: one begun at either end, and the last one read */
           REELS = 128 };                           /* of 2 MB: more than all recordings can hold */
    typedef struct tape { uint8_t octets[TAPE_OCTETS] __attribute__((aligned(64))); struct tape *next; } tape;
    typedef struct {
        void *reel[REELS];                          /* what tapes are cut from; command thread */
        int reels;
        uint64_t made;                              /* command thread */
        uint64_t taken;                             /* tick */
        uint64_t given;
        tape *spare;                                /* tick */
        tape *back;                                 /* given */
    } tape_store;
    static uint64_t tapes_made(const tape_store *s) { return __atomic_load_n(&s->made, __ATOMIC_RELAXED); }
    static int tapes_few(const tape_store *s, uint64_t recordings)
    {
        uint64_t made = tapes_made(s), lent = __atomic_load_n(&s->taken, __ATOMIC_RELAXED) - __atomic_load_n(&s->given, __ATOMIC_RELAXED);
        return made < lent + recordings * TAPES_AHEAD && made < recordings * TAPES_EACH && s->reels < REELS;
    }
    /* NULL: none is left. */
    static tape *tape_take(tape_store *s)
    {
        tape *t = s->spare ? s->spare : __atomic_exchange_n(&s->back, NULL, __ATOMIC_ACQUIRE);
        if (!t) return NULL;
        s->spare = t->next;
        __atomic_store_n(&s->taken, s->taken + 1, __ATOMIC_RELAXED);
        return t;
    }
    static void tapes_link(tape_store *s, tape *first, tape *last)
    {
        last->next = __atomic_load_n(&s->back, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&s->back, &last->next, first, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            ;
    }
    /* A run of tapes that a recording had, linked from first to last. */
    static void tapes_give(tape_store *s, tape *first, tape *last)
    {
        uint64_t n = 1;
        for (tape *t = first; t != last; t = t->next) n++;
        tapes_link(s, first, last);
        __atomic_fetch_add(&s->given, n, __ATOMIC_RELAXED);
    }
    /* octets of zeroed memory, which its owner frees as s->reel. */
    static void tapes_cut(tape_store *s, void *memory, size_t octets)
    {
        tape *t = memory;
        size_t n = octets / sizeof(tape);
        for (size_t i = 0; i + 1 < n; i++) t[i].next = &t[i + 1];
        s->reel[s->reels++] = memory;
        __atomic_store_n(&s->made, s->made + n, __ATOMIC_RELAXED);
        tapes_link(s, t, &t[n - 1]);
    }
    """
    enum: TAPE_OCTETS
    enum: RECORD_MOST
    ctypedef struct tape:
        uint8_t *octets
        tape *next
    ctypedef struct tape_store:
        void **reel
        int reels
    uint64_t tapes_made(const tape_store *) noexcept nogil
    int tapes_few(const tape_store *, uint64_t) noexcept nogil
    tape *tape_take(tape_store *) noexcept nogil
    void tapes_give(tape_store *, tape *, tape *) noexcept nogil
    void tapes_cut(tape_store *, void *, size_t)
