/* One T1 or J1 line of the emulated board: framing both ways and the registers that steer it.
 *
 * A block is 80 frames of 24 octets, timeslot 1 first, then 10 octets with the F bits of the 80 frames, the first
 * in the most significant bit.  On the line the F bit stands before its frame's octets; 0x80 of an octet is first.
 * Towards the board's rings a frame has 32 octets, timeslot n in place n (1..24), the others idle.
 * Standards: ANSI T1.403-1999 frame, superframe (D4), extended superframe (ESF), data link, loop codes;
 * T1.231-1997 LOS and AIS; JT-G704 (2002) for J1. */
#ifndef HIL_BOARD_T1_H
#define HIL_BOARD_T1_H

#include "e1.h"

#define T1_TIMESLOTS 24u
#define T1_BLOCK_OCTETS (BURST_FRAMES * T1_TIMESLOTS + BURST_FRAMES / 8)
#define T1_STREAKS 4 /* superframes in a row before alignment is believed */
#define NO_CODE 0xFF

struct t1_row { /* the 193 bits of a frame time, first bit in bit 63 of w[0]; w[3] holds one */
    uint64_t w[4];
};

struct t1 {
    uint8_t reg[256];     /* what the firmware wrote */
    uint8_t idle;

    /* transmit */
    uint8_t tx_frame;     /* 0..23, frame 1 is 0; a D4 superframe is 12 */
    uint8_t tx_crc;       /* CRC-6 of the superframe before */
    uint64_t tx_fold;
    uint32_t tx_crc_errors, tx_fas_errors;
    uint8_t tx_cas[T1_TIMESLOTS + 1]; /* ABCD of the superframe under way */
    uint8_t tx_fifo[2], tx_code;      /* message that repeats in the data link, or NO_CODE */
    uint8_t tx_dl_place;
    uint8_t tx_loop_place;            /* bit of the in-band loop code */

    /* receive */
    struct t1_row row;    /* of the frame time before */
    int framed, phase;    /* phase: bit of a row that is the F bit, 0..192 */
    uint8_t rx_frame;     /* 0..23 of the frame that comes next */
    struct t1_row f_bits[24];               /* the last 24 rows, for the search */
    struct t1_row streak[T1_STREAKS][24];   /* phases at which the pattern ended that often, by frame modulo 24 */
    uint32_t searched;    /* rows since the search began */
    int search_from;      /* phases before it are taken last: an alignment that proved false */
    uint8_t bad_f;        /* the last F bits of the pattern that were wrong, newest in bit 0 */
    uint8_t bad_superframe;
    int los, ais, rai;
    int ais_frames, ais_zeros, rai_run;
    uint64_t rx_fold;
    uint8_t rx_crc, rx_crc_bits;
    int rx_crc_valid;
    uint32_t second_errors, second_checked, rx_crc_errors;
    uint8_t rx_cas[T1_TIMESLOTS + 1];
    /* data link */
    uint16_t dl;
    uint8_t dl_code, dl_since, dl_run, rx_code; /* rx_code: the message that is being received, or NO_CODE */
    uint8_t dl_ones;
    int loop_up, loop_down;                     /* frames of the in-band codes; above LOOP_FRAMES it is told */

    struct e1_counters running, latched, total;
    uint8_t isr[6];
    uint8_t force_rai;
    uint8_t payload[BLOCK_OCTETS];
    uint8_t in[T1_BLOCK_OCTETS]; /* the line as it came, for the remote loop */
};

void t1_reset(struct t1 *line, uint8_t idle);

/* frames: 80x32 octets of payload; cas: nibbles to send by timeslot; out: T1_BLOCK_OCTETS for the line. */
void t1_transmit(struct t1 *line, const uint8_t *frames, const uint8_t *cas, uint8_t *out);

/* block: T1_BLOCK_OCTETS from the line; out: 80x32 octets; cas: nibbles by timeslot, updated each superframe. */
void t1_receive(struct t1 *line, const uint8_t *block, uint8_t *out, uint8_t *cas);

void t1_no_signal(struct t1 *line);
void t1_lose_frame(struct t1 *line);
void t1_second(struct t1 *line);
int t1_read(struct t1 *line, uint32_t address, uint32_t *data);
int t1_write(struct t1 *line, uint32_t address, uint32_t data);
uint8_t t1_frs0(const struct t1 *line);
uint8_t t1_frs1(const struct t1 *line);
int t1_in_frame(const struct t1 *line);

/* Registers of the T1 page that differ from the E1 page.  Sources: dahdi-linux wct4xxp/base.c and wcte12xp/base.c (FMR1,
 * FMR2, FMR4, FMR5, RC0, LIM, FRS1), the headers of the Linux pc300 driver (CCB, LOOP, IDLE, RS); the messages of the data link
 * through XFIFO with XREP and XTF, and through RFIFO with RME, from the chip's description without a driver to compare. */
enum { CMDR_XREP = 0x20, CMDR_XTF = 0x04, CMDR_SRES = 0x01 };
enum { XFIFO = 0x00, T1_LOOP = 0x1F, FMR4 = 0x20, FMR5 = 0x21, RC0 = 0x24, IDLE = 0x2B, CCB1 = 0x2F, RBC = 0x66 };
enum { FMR1_PMOD = 0x10, FMR1_CRC = 0x08 };
enum { FMR2_T1_PLB = 0x04, FMR2_T1_AXRA = 0x02 };
enum { FMR4_XRA = 0x20, FMR4_SSC = 0x18, FMR4_AUTO = 0x04, FMR4_FM = 0x03, FMR4_ESF = 0x02 };
enum { FMR5_EIBR = 0x40, FMR5_XLD = 0x20, FMR5_XLU = 0x10 };
enum { RC0_SJR = 0x80 };
enum { FRS1_LLBDD = 0x10, FRS1_LLBAD = 0x08 };
enum { LOOP_FRAMES = 800 }; /* our time until an in-band code is told: 100 ms */

static inline int t1_esf(const struct t1 *line) { return (line->reg[FMR4] & FMR4_FM) == FMR4_ESF; }
static inline int t1_japan(const struct t1 *line) { return line->reg[RC0] & RC0_SJR; }

#endif
