/* One E1 line of the emulated board: framing both ways and the registers that steer it.
 *
 * Blocks are 2560 octets, 80 frames; 0x80 of an octet is first on the line.
 * Standards: G.704 (10/98) 2.3 frame and CRC-4 multiframe, 5.1 CAS; G.706 (04/91)
 * alignment; G.775 (10/98) LOS and AIS; G.732 (11/88) consequent actions. */
#ifndef HIL_BOARD_E1_H
#define HIL_BOARD_E1_H

#include "layout.h"

#define HISTORY_OCTETS 96 /* three frames: the search needs FAS, NFAS, FAS */

struct e1_counters {
    uint32_t fec, cec, ebc; /* wrong FAS, wrong CRC-4 submultiframes, E bits received as 0 */
};

struct e1 {
    uint8_t reg[256];     /* what the firmware wrote */
    uint8_t idle;         /* code of a timeslot without signal */

    /* transmit */
    uint8_t tx_frame;     /* 0..15 in the CRC-4 multiframe */
    uint8_t tx_crc;       /* CRC of the submultiframe before, to be sent in this one */
    uint8_t tx_cas_frame; /* 0..15 in the CAS multiframe */
    uint64_t tx_fold;
    uint32_t tx_crc_errors, tx_fas_errors; /* still to be injected */
    uint32_t e_pending[2]; /* submultiframes I, II received wrong and not yet told by an E bit */

    /* receive */
    uint8_t in[HISTORY_OCTETS + BLOCK_OCTETS + 8];
    int framed;           /* basic frame alignment */
    int phase;            /* bit of the block at which a frame starts, 0..255 */
    int expect_fas;       /* next frame carries the FAS */
    int bad_fas, bad_nfas;
    int search_bit;       /* first bit of `in` not yet tried as a FAS */
    int rai_run;          /* consecutive A bits that differ from `rai` */
    int los, ais, rai;
    int zero_run;                  /* bits without a pulse so far */
    int ais_run;
    /* CRC-4 multiframe */
    int multiframed, no_crc_far; /* no_crc_far: 400 ms without, mode automatic */
    int crc_failed;       /* 8 ms without, mode mandatory: frame alignment counts as spurious */
    uint32_t framed_frames; /* frames since basic alignment */
    uint8_t mfas_bits, mfas_hits[8];
    uint8_t rx_frame;     /* 0..15 */
    uint8_t rx_crc_bits, rx_crc;
    int rx_crc_valid;
    uint64_t rx_fold;
    uint32_t second_errors, second_checked;
    uint32_t rx_crc_errors; /* still to be injected */
    /* CAS multiframe */
    int cas_framed, cas_bad, cas_rai, cas_all_zero_run, cas_all_ones;
    uint8_t cas_frame, cas_last, cas_nonzero, cas_zeros;
    uint8_t cas_octets[16];

    struct e1_counters running, latched, total;
    uint8_t isr[6];
    uint8_t force_rai;    /* injected on the receive side */
    uint8_t payload[BLOCK_OCTETS]; /* last received, for the payload loop */
};

void e1_reset(struct e1 *line, uint8_t idle);

/* frames: 80x32 octets of payload; cas: 32 nibbles to send; out: the block for the line. */
void e1_transmit(struct e1 *line, const uint8_t *frames, const uint8_t *cas, uint8_t *out);

/* block: from the line; out: 80x32 aligned octets, idle while out of frame;
 * cas: 32 nibbles, updated at each good CAS multiframe. */
void e1_receive(struct e1 *line, const uint8_t *block, uint8_t *out, uint8_t *cas);

/* Nobody connected: loss of signal. */
void e1_no_signal(struct e1 *line);

/* Once a second: counters move to the registers when FMR1.ECM asks for it. */
void e1_second(struct e1 *line);

/* Registers.  Return 0, or -1 for a register the chip does not have. */
int e1_read(struct e1 *line, uint32_t address, uint32_t *data);
int e1_write(struct e1 *line, uint32_t address, uint32_t data);

uint8_t e1_frs0(const struct e1 *line);
uint8_t e1_frs1(const struct e1 *line);
int e1_in_frame(const struct e1 *line);

#endif
