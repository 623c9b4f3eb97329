#include "e1.h"
#include "e1_registers.h"

#include <endian.h>
#include <string.h>

enum { FAS = 0x1B, FAS_MASK = 0x7F, NFAS_ONE = 0x40, A_BIT = 0x20, SI_BIT = 0x80 };
enum { MFAS = 0x0B, MFAS_MASK = 0x3F }; /* 001011 in bit 1 of frames 1,3,...,11 */
#define FRAMES_8_MS 64u
#define FRAMES_400_MS 3200u
#define LOS_POSITIONS 255 /* G.775 4.2: 10 to 255 */
#define SIGNAL_PULSES 5    /* of timeslot 0 alone, in a double frame */

/* ---- CRC-4: x^4 + x + 1 over a submultiframe, bits in line order (G.704 2.3.3) ----
 *
 * The polynomial has order 15, so x^64 = x^4 modulo it: a submultiframe folds
 * into 64 bits with a shift and two exclusive-ors a word.  The bits lost on the
 * left by the shift (x^64..x^67) come back as x^4..x^7. */
static uint64_t fold(uint64_t sum, uint64_t word)
{
    return (sum << 4) ^ (sum >> 60 << 4) ^ word;
}

static uint64_t fold_frame(uint64_t sum, const uint8_t *frame, uint8_t first)
{
    uint64_t words[4];
    memcpy(words, frame, 32);
    sum = fold(sum, (be64toh(words[0]) & ~(0xFFull << 56)) | (uint64_t)first << 56);
    for (int n = 1; n < 4; n++)
        sum = fold(sum, be64toh(words[n]));
    return sum;
}

static uint8_t crc_of_fold(uint64_t sum)
{
    uint8_t crc = 0;
    for (int n = 60; n >= 0; n -= 4) {
        crc ^= sum >> n & 0xF;
        /* times x^4 = x + 1 times the nibble */
        crc = (uint8_t)((crc << 1 ^ crc) ^ (crc >> 3) * 0x13) & 0xF;
    }
    return crc;
}

/* ---- transmit ---- */

static uint8_t spare_one(uint8_t octet, int one)
{
    return (uint8_t)(one ? octet | SI_BIT : octet & ~SI_BIT);
}

static int send_rai(const struct e1 *line)
{
    if (line->reg[XSW] & XSW_XRA)
        return 1;
    return (line->reg[FMR2] & FMR2_AXRA) && !e1_in_frame(line);
}

static uint8_t e_bit(struct e1 *line, int submultiframe)
{
    if (crc_mode(line) == CRC_OFF || line->no_crc_far)
        return 1;
    if (!line->multiframed) /* G.706 B.2.2: 0 until the multiframe is found */
        return 0;
    if (!line->e_pending[submultiframe])
        return 1;
    line->e_pending[submultiframe]--;
    return 0;
}

static uint8_t timeslot_0(struct e1 *line, int crc, int rai)
{
    int n = line->tx_frame, one;
    uint8_t octet;
    if (n & 1) {
        octet = NFAS_ONE | (rai ? A_BIT : 0) | (line->reg[XSW] & XSW_XY);
        if (!crc)
            one = line->reg[XSW] & XSW_XSIS;
        else if (n < 12)
            one = MFAS >> (5 - n / 2) & 1;
        else
            one = e_bit(line, n == 15);
    } else {
        octet = FAS;
        if (line->tx_fas_errors) {
            line->tx_fas_errors--;
            octet ^= 0x08;
        }
        one = crc ? line->tx_crc >> (3 - n / 2 % 4) & 1 : line->reg[XSP] & XSP_XSIF;
    }
    return spare_one(octet, one);
}

static uint8_t timeslot_16(const struct e1 *line, const uint8_t *cas)
{
    int n = line->tx_cas_frame;
    if (n == 0) /* 0000 1y11: y tells the far end that we lost its multiframe */
        return 0x0B | (line->cas_framed ? 0 : 0x04);
    return (uint8_t)(cas[n] << 4 | (cas[n + 16] & 0xF));
}

void e1_transmit(struct e1 *line, const uint8_t *frames, const uint8_t *cas, uint8_t *out)
{
    int crc = line->reg[FMR1] & FMR1_XFS, rai = send_rai(line);
    if (line->reg[LIM1] & 0x02) { /* remote loop: the line as it came */
        memcpy(out, line->in + HISTORY_OCTETS, BLOCK_OCTETS);
        return;
    }
    if (line->reg[FMR1] & FMR1_XAIS) {
        memset(out, 0xFF, BLOCK_OCTETS);
        return;
    }
    if (line->reg[FMR2] & FMR2_PLB)
        frames = line->payload;
    memcpy(out, frames, BLOCK_OCTETS);
    if ((line->reg[E1_LOOP] & 0x20) && (line->reg[E1_LOOP] & 0x1F)) /* the loop of one timeslot */
        for (unsigned f = 0, t = line->reg[E1_LOOP] & 0x1F; f < BURST_FRAMES; f++)
            out[f * TIMESLOTS + t] = line->payload[f * TIMESLOTS + t];
    for (unsigned f = 0; f < BURST_FRAMES; f++, out += TIMESLOTS) {
        out[0] = timeslot_0(line, crc, rai);
        if (line->reg[XSP] & XSP_CASEN)
            out[16] = timeslot_16(line, cas);
        line->tx_cas_frame = (line->tx_cas_frame + 1) & 15;
        if (crc) {
            /* the C bits count as zero: bit 1 of the frames with the FAS */
            line->tx_fold = fold_frame(line->tx_fold, out, line->tx_frame & 1 ? out[0] : out[0] & FAS_MASK);
            if ((line->tx_frame & 7) == 7) {
                line->tx_crc = crc_of_fold(line->tx_fold);
                line->tx_fold = 0;
                if (line->tx_crc_errors) {
                    line->tx_crc_errors--;
                    line->tx_crc ^= 1;
                }
            }
        }
        line->tx_frame = (line->tx_frame + 1) & 15;
    }
}

/* ---- receive ---- */

void e1_lose_frame(struct e1 *line)
{
    if (line->framed)
        line->isr[2] |= ISR2_LFA;
    line->framed = line->multiframed = line->no_crc_far = line->cas_framed = 0;
    line->bad_fas = line->bad_nfas = 0;
}

static void lose_signal_levels(struct e1 *line, const uint8_t *block)
{
    /* G.775 4.2: LOS is 10..255 pulse positions without a pulse.  We take 255, counted bit by bit from wherever they begin
     * (a frame of zeros has a pulse each 249: no payload is a LOS), and clear when a double frame has no such gap and a
     * frame alignment signal's worth of pulses.
     * G.775 5.2: AIS is at most 2 zeros in each of two double frames, and ends at more in each of two. */
    for (unsigned f = 0; f < BURST_FRAMES; f += 2) {
        int ones = 0, lost = 0;
        for (unsigned h = 0; h < 2; h++) {
            uint64_t words[4];
            memcpy(words, block + (f + h) * TIMESLOTS, 32);
            for (int n = 0; n < 4; n++) {
                ones += __builtin_popcountll(words[n]);
                if (!words[n]) {
                    line->zero_run += 64;
                } else {
                    uint64_t w = be64toh(words[n]);
                    lost |= line->zero_run + __builtin_clzll(w) >= LOS_POSITIONS;
                    line->zero_run = __builtin_ctzll(w);
                }
            }
            lost |= line->zero_run >= LOS_POSITIONS;
            line->zero_run = line->zero_run > LOS_POSITIONS ? LOS_POSITIONS : line->zero_run;
        }
        if (lost && !line->los) {
            line->los = 1;
            line->isr[2] |= ISR2_LOS;
        } else if (!lost && ones >= SIGNAL_PULSES) {
            line->los = 0;
        }
        int quiet = ones >= 512 - 2;
        if (quiet == line->ais)
            line->ais_run = 0;
        else if (++line->ais_run == 2) {
            line->ais = quiet;
            line->ais_run = 0;
            if (quiet)
                line->isr[2] |= ISR2_AIS;
        }
    }
}

static int bits8(const uint8_t *octets, int bit)
{
    return (octets[bit >> 3] << 8 | octets[(bit >> 3) + 1]) >> (8 - (bit & 7)) & 0xFF;
}

/* FAS at p, bit 2 of the octet a frame later is 1, FAS two frames later (G.706 4.1.2).
 * 56 bits at a time: a bit of `hits` is 1 where the seven bits behind it are 0011011. */
static int find_frame(struct e1 *line)
{
    const uint8_t *in = line->in;
    int limit = (HISTORY_OCTETS + BLOCK_OCTETS) * 8 - 512 - 8;
    for (int octet = line->search_bit >> 3; octet * 8 <= limit; octet += 7) {
        uint64_t w;
        memcpy(&w, in + octet, 8);
        w = be64toh(w);
        uint64_t hits = ~(w << 1) & ~(w << 2) & w << 3 & w << 4 & ~(w << 5) & w << 6 & w << 7;
        hits &= ~0xFFull;
        while (hits) {
            int p = octet * 8 + __builtin_clzll(hits);
            hits &= ~(1ull << 63 >> (p - octet * 8));
            if (p < line->search_bit || p > limit)
                continue;
            if ((bits8(in, p + 256) & NFAS_ONE) && (bits8(in, p + 512) & FAS_MASK) == FAS)
                return p;
        }
    }
    line->search_bit = limit + 1;
    return -1;
}

static int frame_bit(const struct e1 *line, int frame)
{
    return HISTORY_OCTETS * 8 + frame * 256 + line->phase - (line->phase ? 256 : 0);
}

static void enter_frame(struct e1 *line)
{
    line->framed = 1;
    line->expect_fas = 1;
    line->bad_fas = line->bad_nfas = line->rai_run = 0;
    line->framed_frames = 0;
    line->multiframed = line->no_crc_far = 0;
    line->mfas_bits = 0xFF;
    memset(line->mfas_hits, 0, sizeof line->mfas_hits);
    line->cas_framed = 0;
    line->cas_last = 0;
    line->isr[2] |= ISR2_FAR;
}

static void check_crc(struct e1 *line, int submultiframe)
{
    if (!line->rx_crc_valid)
        return;
    int wrong = (line->rx_crc_bits & 0xF) != line->rx_crc;
    if (line->rx_crc_errors) {
        line->rx_crc_errors--;
        wrong = 1;
    }
    line->second_checked++;
    if (wrong) {
        line->second_errors++;
        line->running.cec++;
        line->total.cec++;
        line->e_pending[submultiframe]++;
    }
}

static void multiframe_found(struct e1 *line)
{
    line->multiframed = 1;
    line->crc_failed = 0;
    line->rx_frame = 12; /* the next one */
    line->rx_crc_valid = 0;
    line->rx_fold = 0;
    line->e_pending[0] = line->e_pending[1] = 0;
    line->second_errors = line->second_checked = 0;
    line->isr[2] |= ISR2_MFAR;
}

/* One frame in basic alignment, CRC-4 in use.  Returns 0 when alignment was spurious. */
static int crc_frame(struct e1 *line, const uint8_t *frame)
{
    int one = frame[0] >> 7, n = line->rx_frame;
    if (!line->multiframed) {
        if (!line->expect_fas && !line->no_crc_far) {
            int place = line->framed_frames / 2 % 8;
            line->mfas_bits = (uint8_t)(line->mfas_bits << 1 | one);
            /* two of them in 8 ms, a multiple of 2 ms apart (G.706 4.2) */
            if ((line->mfas_bits & MFAS_MASK) == MFAS && ++line->mfas_hits[place] == 2)
                multiframe_found(line);
            if (line->framed_frames % FRAMES_8_MS == FRAMES_8_MS - 1 && !line->multiframed) {
                memset(line->mfas_hits, 0, sizeof line->mfas_hits);
                if (crc_mode(line) == CRC_MANDATORY) {
                    line->crc_failed = 1;
                    return 0;
                }
            }
            if (line->framed_frames >= FRAMES_400_MS && !line->multiframed) {
                line->no_crc_far = 1; /* G.706 annex B: far end without CRC-4 */
                line->isr[2] |= ISR2_T400MS;
            }
        }
        return 1;
    }
    line->rx_fold = fold_frame(line->rx_fold, frame, line->expect_fas ? frame[0] & FAS_MASK : frame[0]);
    if (line->expect_fas) {
        line->rx_crc_bits = (uint8_t)(line->rx_crc_bits << 1 | one);
        if (n == 6)
            check_crc(line, 1); /* tells of submultiframe II of the multiframe before */
        else if (n == 14)
            check_crc(line, 0);
    } else if (n >= 13 && !one) {
        line->running.ebc++;
        line->total.ebc++;
    }
    if ((n & 7) == 7) {
        /* the first submultiframe after alignment began in its middle */
        line->rx_crc = crc_of_fold(line->rx_fold);
        line->rx_crc_valid = line->rx_crc_valid || n == 7;
        line->rx_fold = 0;
    }
    line->rx_frame = (n + 1) & 15;
    return 1;
}

static void cas_multiframe_end(struct e1 *line, uint8_t *cas)
{
    if (!line->cas_nonzero) { /* G.732 5.2: a multiframe of zeros only */
        line->cas_framed = 0;
        return;
    }
    if (line->cas_bad)
        return;
    for (int n = 1; n < 16; n++) {
        cas[n] = line->cas_octets[n] >> 4;
        cas[n + 16] = line->cas_octets[n] & 0xF;
    }
    line->cas_rai = line->cas_octets[0] >> 2 & 1;
}

static void cas_octet(struct e1 *line, uint8_t octet, uint8_t *cas)
{
    if (!line->cas_framed) {
        line->cas_all_zero_run = octet ? 0 : line->cas_all_zero_run + (line->cas_all_zero_run < 1000);
        line->cas_all_ones = octet == 0xFF ? line->cas_all_ones + (line->cas_all_ones < 1000) : 0;
        if (!(octet & 0xF0) && line->cas_last) { /* G.732 5.2.2 */
            line->cas_framed = 1;
            line->cas_frame = 0;
            line->cas_bad = 0;
            line->cas_all_ones = line->cas_all_zero_run = 0;
        }
    }
    line->cas_last = octet;
    if (!line->cas_framed)
        return;
    if (line->cas_frame == 0) {
        line->cas_nonzero = 0;
        if (octet & 0xF0) {
            if (++line->cas_bad == 2) { /* two wrong ones in a row */
                line->cas_framed = 0;
                return;
            }
        } else {
            line->cas_bad = 0;
        }
    }
    line->cas_nonzero |= octet;
    line->cas_octets[line->cas_frame] = octet;
    if (line->cas_frame == 15)
        cas_multiframe_end(line, cas);
    line->cas_frame = (line->cas_frame + 1) & 15;
}

/* One frame in basic alignment.  Returns 0 when alignment is lost with it. */
static int take_frame(struct e1 *line, const uint8_t *frame, uint8_t *cas)
{
    uint8_t octet = frame[0];
    if (line->expect_fas) {
        if ((octet & FAS_MASK) == FAS) {
            line->bad_fas = 0;
        } else {
            line->running.fec++;
            line->total.fec++;
            if (++line->bad_fas == 3) /* G.706 4.1.1 */
                return 0;
        }
    } else {
        if (octet & NFAS_ONE)
            line->bad_nfas = 0;
        else if (++line->bad_nfas == 3)
            return 0;
        int a = octet >> 5 & 1; /* our persistence: three in a row */
        if (a == line->rai)
            line->rai_run = 0;
        else if (++line->rai_run == 3) {
            line->rai = a;
            line->rai_run = 0;
            line->isr[2] |= a ? ISR2_RA : ISR2_RAR;
        }
    }
    if (crc_mode(line) != CRC_OFF && !crc_frame(line, frame))
        return 0;
    if (line->reg[XSP] & XSP_CASEN)
        cas_octet(line, frame[16], cas);
    line->expect_fas = !line->expect_fas;
    line->framed_frames++;
    return 1;
}

static void copy_frame(const struct e1 *line, int bit, uint8_t *out)
{
    const uint8_t *in = line->in + (bit >> 3);
    int shift = bit & 7;
    if (!shift) {
        memcpy(out, in, TIMESLOTS);
        return;
    }
    for (unsigned n = 0; n < TIMESLOTS; n++)
        out[n] = (uint8_t)((in[n] << 8 | in[n + 1]) >> (8 - shift));
}

void e1_receive(struct e1 *line, const uint8_t *block, uint8_t *out, uint8_t *cas)
{
    memmove(line->in, line->in + BLOCK_OCTETS, HISTORY_OCTETS);
    memcpy(line->in + HISTORY_OCTETS, block, BLOCK_OCTETS);
    line->search_bit = line->search_bit > (int)BLOCK_OCTETS * 8 ? line->search_bit - (int)BLOCK_OCTETS * 8 : 0;
    lose_signal_levels(line, block);
    for (int f = 0; f < (int)BURST_FRAMES;) {
        if (!line->framed) {
            int p = find_frame(line), first = BURST_FRAMES;
            if (p >= 0) {
                line->phase = p & 255;
                enter_frame(line);
                first = (p + 512 - frame_bit(line, 0)) >> 8;
            }
            for (; f < first && f < (int)BURST_FRAMES; f++)
                memset(out + f * TIMESLOTS, line->idle, TIMESLOTS);
            continue;
        }
        int bit = frame_bit(line, f);
        uint8_t *frame = out + f * TIMESLOTS;
        copy_frame(line, bit, frame);
        if (!take_frame(line, frame, cas)) {
            e1_lose_frame(line);
            line->search_bit = bit + 1;
        }
        if (!line->framed || line->crc_failed)
            memset(frame, line->idle, TIMESLOTS);
        f++;
    }
    if (line->framed) {
        line->ais = 0; /* a signal with frame alignment is no AIS (G.775 5.2) */
        line->search_bit = 0;
    } else {
        line->rai = 0;
    }
    if (crc_mode(line) != CRC_MANDATORY)
        line->crc_failed = 0;
    memcpy(line->payload, out, BLOCK_OCTETS);
}

void e1_no_signal(struct e1 *line)
{
    if (!line->los)
        line->isr[2] |= ISR2_LOS;
    e1_lose_frame(line);
    line->los = 1;
    line->ais = line->rai = 0;
    line->search_bit = 0;
    memset(line->in, 0, sizeof line->in);
    memset(line->payload, line->idle, sizeof line->payload);
}
