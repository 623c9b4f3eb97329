/* The emulated board: window, lines and the 10 ms tick. */
#ifndef HIL_BOARD_TICK_H
#define HIL_BOARD_TICK_H

#include "liu.h"
#include "port.h"

#define MAX_PROCESSORS 64
#define LONG_STALL_NS 5000000 /* half a tick: what is measured in real time may feel it */

enum fault { FAULT_NONE, FAULT_LOS, FAULT_AIS, FAULT_LOF }; /* what replaces the signal of a direction */

/* Bits spoiled in one direction: at random with a rate, or a number of them, one a frame. */
struct bit_errors {
    double rate, next; /* errors a bit; bits until the next one */
    uint32_t count;
    int timeslot;      /* of `count`; 0: any */
    uint64_t done;
};

struct line {
    struct port port;
    int fd;                 /* -1: nobody connected; written by the tick, and by attach when -1 */
    int rx_fault, tx_fault; /* enum fault, injected */
    int was_looped;         /* in the tick before */
    int plug;               /* a loop plug instead of a far end: what we send comes back */
    int rx_from;            /* whose far end our receive pair is connected to: our own index, or another (crossed) */
    struct bit_errors rx_errors, tx_errors;
    struct liu liu;         /* the cable, and what the line interface made of it in this tick */
    struct liu_result seen;
    uint32_t looked;        /* at which registers; 0: look anew */
    struct bit_errors rx_weak, tx_weak; /* errors that follow from it */
    uint64_t changed[8];    /* tick at which each bit of FRS0 changed last, as the emulated board counts */
    uint8_t frs0_before;
    double crc_rate, crc_due; /* wrong CRC blocks a second, received */
    /* the far end's clock, and the elastic store between it and the board's */
    int own_clock;          /* 0: it follows the clock that it receives */
    double ppm;             /* of its own clock */
    double drift;           /* frames that it is ahead of what the elastic store has passed on */
    int extra, skip;        /* the next instant exchanges two blocks, or none */
    uint32_t stored;        /* frames in `store` */
    uint8_t store[3 * BLOCK_OCTETS], last[TIMESLOTS];
    uint64_t slips_out, slips_twice; /* frames left out, frames repeated */
    uint64_t sent;          /* blocks sent since the connection */
    uint64_t answered;      /* answers taken since the connection */
    uint64_t wanted;        /* number of the answer due at this instant: blocks sent before it */
    uint32_t due;           /* how many of them are of the instant before */
    uint32_t silent_run;    /* instants in a row without the answer that was owed */
    uint32_t missing_run;   /* instants in a row in which answers came, all of them too late */
    uint32_t idle_frames;   /* idle frames put into the rx ring in a row, up to RING_FRAMES */
    uint64_t late, wrong_length, not_taken, connections;
};

/* A witness of one processor: sleeps a little again and again above everything else there, so that only
 * the host can make it late. */
struct witness {
    int processor;
    uint64_t beat_ns;   /* when it last ran */
    uint64_t stolen_ns; /* what the host took so far, by its lateness */
    uint64_t stalls;    /* how often it took LONG_STALL_NS or more at once */
};

struct board {
    struct window_header *header;
    uint8_t *rx, *tx, *cas_rx, *cas_tx;
    struct window_request *requests;
    uint32_t spans;
    int stop, fifo;                   /* fifo: SCHED_FIFO was granted */
    uint64_t ticks, served;           /* instants; requests */
    uint32_t quiet_ticks;             /* since the last request */
    uint32_t media_late_ticks;        /* in a row */
    uint64_t busy_ns;                 /* CPU time of the tick thread */
    uint64_t worst_late_ns;           /* since the status was last asked for */
    uint64_t stood_ns;                /* how long the board's time has stood still, in all */
    uint64_t behind_ns;               /* what of that is not made up for yet */
    int reference;                    /* span index whose clock the board follows, or -1 */
    double ppm;                       /* of the board's clock, as it is now */
    uint32_t witnesses;               /* processors watched; 0 without the right to real time */
    struct witness witness[MAX_PROCESSORS];
    struct line lines[MAX_SPANS];
};

/* Lay the window out in memory of board_window_octets(spans); increments the generation. */
size_t board_window_octets(uint32_t spans);
void board_init(struct board *board, void *window, uint32_t spans, uint8_t idle);

/* Give a connected socket to a line.  0, or -1 when somebody is connected. */
int board_attach(struct board *board, uint32_t span, int fd);

/* One instant of the board. */
void board_tick(struct board *board);
void board_serve_requests(struct board *board);

/* Ticks until board->stop.  The time base stands still while the host does: see hil/README.md. */
void board_run(struct board *board);

#endif
