/* The board window as the board sees it: hil/'s table of the layout.
 *
 * The firmware has a table of its own (drivers/tdm/ring.py); a test compares the
 * two.  Little-endian.  hil/README.md explains the fields. */
#ifndef HIL_BOARD_LAYOUT_H
#define HIL_BOARD_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define WINDOW_MAGIC 0x57525453u /* "STRW" */
#define WINDOW_VERSION 1u
#define HEADER_OCTETS 4096u
#define RING_FRAMES 2048u /* 256 ms each way */
#define TIMESLOTS 32u
#define BURST_FRAMES 80u /* 10 ms */
#define FRAME_RATE_HZ 8000u
#define MAX_SPANS 64u
#define REQUEST_ENTRIES 256u
#define BLOCK_OCTETS (BURST_FRAMES * TIMESLOTS)

struct window_header {
    uint32_t magic, version, spans, ring_frames;                 /* 0x000 */
    uint32_t frame_rate_hz, timeslots, rx_offset, tx_offset;     /* 0x010 */
    uint32_t cas_rx_offset, cas_tx_offset;                       /* 0x020 */
    uint32_t request_offset, request_entries;
    uint32_t burst_frames, generation, idle_code, pad_3c;        /* 0x030 */
    uint64_t rx_head, tx_head;                                   /* 0x040 board */
    uint64_t late_media_frames;                                  /* 0x050 */
    uint32_t request_next, pad_5c;                               /* 0x058 */
    uint64_t moved_time_base;                                    /* 0x060 */
    uint64_t pad_68[3];
    uint64_t tx_written;                                         /* 0x080 media */
    uint32_t media_owner, media_generation;
    uint64_t pad_90[6];
    uint32_t control_owner, pad_c4;                              /* 0x0c0 control */
    uint64_t pad_c8[7];
    uint8_t span_idle[MAX_SPANS];                                /* 0x100 board: idle code of each span */
};

enum { REQUEST_FREE, REQUEST_ASKED, REQUEST_DONE, REQUEST_REFUSED };

struct window_request {
    uint32_t state;
    uint32_t op;      /* 0 read, 1 write */
    uint32_t address; /* span index << 16 | register */
    uint32_t data;
};

/* A ring is octets [frame % RING_FRAMES][span][timeslot]: its stride follows the header's spans. */
#define RING_OCTETS(spans) ((size_t)RING_FRAMES * (spans) * TIMESLOTS)
#define CAS_OCTETS(spans) ((size_t)(spans) * TIMESLOTS)

#endif
