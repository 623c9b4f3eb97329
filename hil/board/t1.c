#include "t1.h"
#include "e1_registers.h"

#include <endian.h>
#include <string.h>

static const uint8_t FPS[6] = { 0, 0, 1, 0, 1, 1 };                           /* frames 4, 8, ..., 24 of ESF */
static const uint8_t D4[12] = { 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0 };         /* F bits of frames 1..12 */
enum { RAI_CODE = 0x00, RAI_MATCHES = 8, D4_RAI_FRAMES = 24, J1_RAI_ONES = 128 };

/* ---- CRC-6: x^6 + x + 1 over a superframe (T1.403 8.2.3) ----
 *
 * The polynomial is primitive, so x^63 = 1 and x^64 = x: a superframe folds into 64 bits with one multiplication
 * by x and one exclusive-or a word. */
static uint64_t times_x(uint64_t sum)
{
    return sum << 1 ^ sum >> 63 << 1;
}

static uint64_t fold_frame(uint64_t sum, int f, const uint64_t *words)
{
    sum = times_x(sum) ^ (uint64_t)f; /* one bit, not a word */
    for (int n = 0; n < 3; n++)
        sum = times_x(sum) ^ words[n];
    return sum;
}

static uint8_t crc_of_fold(uint64_t sum)
{
    uint8_t crc = 0;
    for (int n = 63; n >= 0; n--) {
        crc = (uint8_t)(crc << 1 | (sum >> n & 1));
        if (crc & 0x40)
            crc ^= 0x43;
    }
    for (int n = 0; n < 6; n++) { /* times x^6 */
        crc = (uint8_t)(crc << 1);
        if (crc & 0x40)
            crc ^= 0x43;
    }
    return crc;
}

static void load_words(uint64_t *words, const uint8_t *octets)
{
    memcpy(words, octets, 24);
    for (int n = 0; n < 3; n++)
        words[n] = be64toh(words[n]);
}

static int clear_channel(const struct t1 *line, unsigned timeslot)
{
    return line->reg[CCB1 + (timeslot - 1) / 8] >> (7 - (timeslot - 1) % 8) & 1;
}

/* ---- transmit ---- */

static int send_rai(const struct t1 *line)
{
    return (line->reg[FMR4] & FMR4_XRA) || ((line->reg[FMR2] & FMR2_T1_AXRA) && !t1_in_frame(line));
}

/* Next bit of the ESF data link: RAI, a message that repeats, or flags (T1.403 8.4, 9). */
static int data_link_bit(struct t1 *line, int rai)
{
    int place = line->tx_dl_place;
    line->tx_dl_place = (uint8_t)((place + 1) & 15);
    if (rai && t1_japan(line))
        return 1;
    if (!rai && line->tx_code == NO_CODE)
        return 0x7E >> (7 - (place & 7)) & 1;
    if (place < 8)
        return 1;
    return (rai ? RAI_CODE : line->tx_code) >> (place - 8) & 1; /* least significant first */
}

static int f_bit(struct t1 *line, int rai)
{
    int n = line->tx_frame;
    if (!t1_esf(line)) {
        int f = rai && t1_japan(line) && n % 12 == 11 ? 1 : D4[n % 12];
        if (!(n & 1) && line->tx_fas_errors) {
            line->tx_fas_errors--;
            f ^= 1;
        }
        return f;
    }
    if (!(n & 1))
        return data_link_bit(line, rai);
    if (n % 4 == 1)
        return line->reg[FMR1] & FMR1_CRC ? line->tx_crc >> (5 - n / 4) & 1 : 1;
    if (line->tx_fas_errors) {
        line->tx_fas_errors--;
        return !FPS[n / 4];
    }
    return FPS[n / 4];
}

/* The bit that is robbed in this frame: 3 A, 2 B, 1 C, 0 D, or -1. */
static int robbed(const struct t1 *line, int frame)
{
    if (!(line->reg[FMR5] & FMR5_EIBR) || frame % 6 != 5)
        return -1;
    return t1_esf(line) ? 3 - frame / 6 : 3 - frame / 6 % 2;
}

static void rob(struct t1 *line, uint8_t *octets, const uint8_t *cas)
{
    int bit = robbed(line, line->tx_frame);
    if (line->tx_frame == 0 || (line->tx_frame == 12 && !t1_esf(line)))
        for (unsigned t = 1; t <= T1_TIMESLOTS; t++)
            line->tx_cas[t] = cas[t];
    if (bit < 0)
        return;
    for (unsigned t = 1; t <= T1_TIMESLOTS; t++)
        if (!clear_channel(line, t))
            octets[t - 1] = (uint8_t)((octets[t - 1] & 0xFE) | (line->tx_cas[t] >> bit & 1));
}

/* In-band loop codes 00001 (up) and 001 (down) over the payload; F bits stand in them (T1.403 9.4.1). */
static void loop_code(struct t1 *line, uint8_t *octets, int up)
{
    int length = up ? 5 : 3, place = line->tx_loop_place + 1;
    for (unsigned n = 0; n < T1_TIMESLOTS; n++)
        for (int bit = 7; bit >= 0; bit--, place++) {
            uint8_t one = (uint8_t)(1u << bit);
            octets[n] = place % length == length - 1 ? octets[n] | one : octets[n] & (uint8_t)~one;
        }
    line->tx_loop_place = (uint8_t)(place % length);
}

void t1_transmit(struct t1 *line, const uint8_t *frames, const uint8_t *cas, uint8_t *out)
{
    int rai = send_rai(line), looped = line->reg[T1_LOOP] & 0x20 ? line->reg[T1_LOOP] & 0x1F : 0;
    uint8_t *f_bits = out + BURST_FRAMES * T1_TIMESLOTS;
    if (line->reg[LIM1] & 0x02) { /* remote loop: the line as it came */
        memcpy(out, line->in, T1_BLOCK_OCTETS);
        return;
    }
    if (line->reg[FMR1] & FMR1_XAIS) {
        memset(out, 0xFF, T1_BLOCK_OCTETS);
        return;
    }
    if (line->reg[FMR2] & FMR2_T1_PLB)
        frames = line->payload;
    memset(f_bits, 0, BURST_FRAMES / 8);
    for (unsigned f = 0; f < BURST_FRAMES; f++, frames += TIMESLOTS, out += T1_TIMESLOTS) {
        uint64_t words[3];
        memcpy(out, frames + 1, T1_TIMESLOTS);
        if (looped >= 1 && looped <= (int)T1_TIMESLOTS)
            out[looped - 1] = line->payload[f * TIMESLOTS + (unsigned)looped];
        rob(line, out, cas);
        if (line->reg[FMR5] & (FMR5_XLU | FMR5_XLD))
            loop_code(line, out, line->reg[FMR5] & FMR5_XLU);
        if (rai && !t1_esf(line) && !t1_japan(line))
            for (unsigned n = 0; n < T1_TIMESLOTS; n++)
                out[n] &= 0xBF;
        int bit = f_bit(line, rai);
        f_bits[f >> 3] |= (uint8_t)(bit << (7 - (f & 7)));
        if (t1_esf(line)) {
            load_words(words, out);
            line->tx_fold = fold_frame(line->tx_fold, t1_japan(line) ? bit : 1, words);
            if (line->tx_frame == 23) {
                line->tx_crc = crc_of_fold(line->tx_fold);
                line->tx_fold = 0;
                if (line->tx_crc_errors) {
                    line->tx_crc_errors--;
                    line->tx_crc ^= 1;
                }
            }
        }
        line->tx_frame = (uint8_t)((line->tx_frame + 1) % 24);
    }
}

/* ---- receive ---- */

static void row_of(struct t1_row *row, int f, const uint8_t *octets)
{
    uint64_t words[3];
    load_words(words, octets);
    row->w[0] = (uint64_t)f << 63 | words[0] >> 1;
    row->w[1] = words[0] << 63 | words[1] >> 1;
    row->w[2] = words[1] << 63 | words[2] >> 1;
    row->w[3] = words[2] << 63;
}

static uint64_t bits64(const uint64_t *words, int at)
{
    int word = at >> 6, shift = at & 63;
    return shift ? words[word] << shift | words[word + 1] >> (64 - shift) : words[word];
}

/* The frame that begins at bit `phase` of the row before: its F bit, its 192 bits. */
static int cut_frame(const struct t1_row *before, const struct t1_row *now, int phase, uint64_t *words)
{
    uint64_t both[8] = { before->w[0], before->w[1], before->w[2], before->w[3] | now->w[0] >> 1,
                         now->w[0] << 63 | now->w[1] >> 1, now->w[1] << 63 | now->w[2] >> 1,
                         now->w[2] << 63 | now->w[3] >> 1, 0 };
    for (int n = 0; n < 3; n++)
        words[n] = bits64(both, phase + 1 + 64 * n);
    return (int)(both[phase >> 6] >> (63 - (phase & 63)) & 1);
}

void t1_lose_frame(struct t1 *line)
{
    if (line->framed)
        line->isr[2] |= ISR2_LFA;
    line->framed = 0;
    line->bad_f = 0;
    line->searched = 0;
    line->rai = line->rai_run = 0;
    line->dl_run = line->dl_ones = 0;
    line->rx_code = line->dl_code = NO_CODE;
    line->loop_up = line->loop_down = 0;
    memset(line->streak, 0, sizeof line->streak);
}

static void signal_levels(struct t1 *line, const struct t1_row *row)
{
    int marks = 0;
    for (int n = 0; n < 4; n++)
        marks += __builtin_popcountll(row->w[n]);
    /* T1.231 6.1.2.1.1: LOS is 175 +/- 75 pulse positions without a pulse; we take a frame.  It ends at a density of 12.5 %. */
    if (!marks && !line->los) {
        line->los = 1;
        line->isr[2] |= ISR2_LOS;
    } else if (marks >= 24) {
        line->los = 0;
    }
    /* T1.231 6.1.2.2.3: AIS is unframed, 99.9 % ones; we take 3 ms with at most 4 zeros. */
    line->ais_zeros += 193 - marks;
    if (++line->ais_frames == 24) {
        int ais = line->ais_zeros <= 4 && !line->framed;
        if (ais && !line->ais)
            line->isr[2] |= ISR2_AIS;
        line->ais = ais;
        line->ais_frames = line->ais_zeros = 0;
    }
}

static const struct t1_row *row_ago(const struct t1 *line, unsigned ago)
{
    return &line->f_bits[(line->searched + 24 * 2 - ago) % 24];
}

/* One row of the search: all 193 phases at once.  A phase counts when the pattern of a superframe has ended there T1_STREAKS
 * times, a superframe apart.  Returns the phase, or -1. */
static int search_row(struct t1 *line, const struct t1_row *row)
{
    unsigned place = line->searched % 24;
    int length = t1_esf(line) ? 6 : 12, step = t1_esf(line) ? 4 : 1, found = -1, first = -1;
    struct t1_row match = { { ~0ull, ~0ull, ~0ull, 1ull << 63 } };
    line->f_bits[place] = *row;
    for (int k = 0; k < length; k++) {
        const struct t1_row *at = row_ago(line, (unsigned)((length - 1 - k) * step));
        if (step == 1 && k == 11 && t1_japan(line))
            continue; /* carries the remote alarm */
        uint64_t flip = (t1_esf(line) ? FPS[k] : D4[k]) ? 0 : ~0ull;
        for (int n = 0; n < 4; n++)
            match.w[n] &= at->w[n] ^ flip;
    }
    if (line->searched < 24)
        memset(&match, 0, sizeof match);
    /* a D4 superframe ends twice in 24 rows: the streak of 12 rows before counts */
    unsigned before = t1_esf(line) ? place : (place + 12) % 24;
    struct t1_row run = match;
    for (int s = 0; s < T1_STREAKS; s++) {
        struct t1_row old = line->streak[s][before];
        line->streak[s][place] = run;
        for (int n = 0; n < 4; n++)
            run.w[n] = match.w[n] & old.w[n];
    }
    const struct t1_row *sure = &line->streak[T1_STREAKS - 1][place];
    for (int n = 0; n < 4; n++)
        for (uint64_t w = sure->w[n]; w; w &= ~(1ull << (63 - __builtin_clzll(w)))) {
            int phase = n * 64 + __builtin_clzll(w);
            if (phase > 192)
                break;
            first = first < 0 ? phase : first;
            if (phase >= line->search_from && found < 0)
                found = phase;
        }
    line->searched++;
    return found >= 0 ? found : first;
}

static void enter_frame(struct t1 *line, int phase)
{
    line->framed = 1;
    line->phase = phase;
    line->rx_frame = phase ? 23 : 0; /* the frame whose F bit was just seen is not whole yet, unless it began the row */
    line->bad_f = line->bad_superframe = 0;
    line->rx_fold = 0;
    line->rx_crc_valid = 0;
    line->second_errors = line->second_checked = 0;
    line->isr[2] |= ISR2_FAR | ISR2_MFAR;
}

static void set_rai(struct t1 *line, int rai)
{
    if (line->rai != rai)
        line->isr[2] |= rai ? ISR2_RA : ISR2_RAR;
    line->rai = rai;
}

static uint8_t reversed(uint8_t octet)
{
    uint8_t result = 0;
    for (int n = 0; n < 8; n++)
        result |= (uint8_t)((octet >> n & 1) << (7 - n));
    return result;
}

/* A bit of the data link: messages of eight ones, 0, six bits, 0 (T1.403 9.2.1). */
static void data_link(struct t1 *line, int bit)
{
    line->dl = (uint16_t)(line->dl << 1 | bit);
    line->dl_ones = (uint8_t)(bit ? line->dl_ones + (line->dl_ones < 255) : 0);
    line->dl_since = (uint8_t)(line->dl_since + (line->dl_since < 255));
    if (line->dl >> 8 == 0xFF && !(line->dl & 0x81)) {
        uint8_t code = reversed((uint8_t)line->dl);
        line->dl_run = (uint8_t)(line->dl_since == 16 && code == line->dl_code ? line->dl_run + (line->dl_run < 255) : 1);
        line->dl_code = code;
        line->dl_since = 0;
        if (line->dl_run == RAI_MATCHES) {
            line->rx_code = code;
            if (code != RAI_CODE)
                line->isr[0] |= 0x80; /* RME: a message is in the receive FIFO */
        }
    } else if (line->dl_since > 32) {
        line->dl_run = 0;
        line->rx_code = NO_CODE;
    }
    set_rai(line, t1_japan(line) ? line->dl_ones >= J1_RAI_ONES : line->rx_code == RAI_CODE);
}

static void d4_rai(struct t1 *line, int f, const uint64_t *words)
{
    int alarm;
    if (t1_japan(line)) {
        if (line->rx_frame % 12 != 11)
            return;
        alarm = f;
    } else {
        alarm = !((words[0] | words[1] | words[2]) & 0x4040404040404040u);
    }
    if (alarm == line->rai)
        line->rai_run = 0;
    else if (++line->rai_run == (t1_japan(line) ? 3 : D4_RAI_FRAMES)) {
        set_rai(line, alarm);
        line->rai_run = 0;
    }
}

static void in_band_codes(struct t1 *line, const uint8_t *octets)
{
    int up = 0, down = 0;
    if (octets[0] == octets[5] && !memcmp(octets, octets + 5, 19)) {
        uint64_t w = octets[0] >> 3 & 0x1F;
        up = w == 1 || w == 2 || w == 4 || w == 8 || w == 16;
        for (int n = 5; up && n < 40; n++) /* every bit as the one five before */
            up = (octets[n / 8] >> (7 - n % 8) & 1) == (octets[(n - 5) / 8] >> (7 - (n - 5) % 8) & 1);
    } else if (octets[0] == octets[3] && !memcmp(octets, octets + 3, 21)) {
        down = octets[0] == 0x24 ? octets[1] == 0x92 && octets[2] == 0x49
             : octets[0] == 0x92 ? octets[1] == 0x49 && octets[2] == 0x24
             : octets[0] == 0x49 && octets[1] == 0x24 && octets[2] == 0x92;
    }
    /* a frame with an error costs ten good ones: detection holds at an error rate of 1 in 1,000 bits and more */
    line->loop_up = up ? line->loop_up + (line->loop_up < 2 * LOOP_FRAMES) : line->loop_up > 10 ? line->loop_up - 10 : 0;
    line->loop_down = down ? line->loop_down + (line->loop_down < 2 * LOOP_FRAMES) : line->loop_down > 10 ? line->loop_down - 10 : 0;
}

static void superframe_end(struct t1 *line, uint8_t *cas)
{
    if (!line->bad_superframe && (line->reg[FMR5] & FMR5_EIBR))
        for (unsigned t = 1; t <= T1_TIMESLOTS; t++)
            if (!clear_channel(line, t))
                cas[t] = t1_esf(line) ? line->rx_cas[t] & 0xF : (uint8_t)((line->rx_cas[t] >> 2 & 3) * 5);
    line->bad_superframe = 0;
}

static void check_crc(struct t1 *line)
{
    uint8_t crc = crc_of_fold(line->rx_fold);
    if (line->rx_crc_valid == 2) {
        int wrong = (line->rx_crc_bits & 0x3F) != line->rx_crc;
        if (line->rx_crc_errors) {
            line->rx_crc_errors--;
            wrong = 1;
        }
        line->second_checked++;
        if (wrong) {
            line->second_errors++;
            line->running.cec++;
            line->total.cec++;
        }
    }
    line->rx_crc_valid += line->rx_crc_valid < 2; /* the superframe in which alignment was found is not whole */
    line->rx_crc = crc;
    line->rx_fold = 0;
}

/* One frame in alignment.  Returns 0 when alignment is lost with it. */
static int take_frame(struct t1 *line, int f, const uint64_t *words, const uint8_t *octets, uint8_t *cas)
{
    static const uint8_t LIMIT[4] = { 0x0F, 0x1F, 0x3F, 0x0F }; /* 2 of 4, 5 or 6 framing bits wrong (FMR4.SSC) */
    int n = line->rx_frame, esf = t1_esf(line), pattern = esf ? n % 4 == 3 : !(n & 1);
    int expected = esf ? FPS[n / 4] : D4[n % 12];
    if (pattern) {
        int wrong = f != expected;
        line->bad_f = (uint8_t)(line->bad_f << 1 | wrong);
        if (wrong) {
            line->running.fec++;
            line->total.fec++;
            line->bad_superframe = 1;
            uint8_t recent = line->bad_f & LIMIT[(line->reg[FMR4] & FMR4_SSC) >> 3];
            if (recent & (recent - 1))
                return 0;
        }
    }
    if (esf && !(n & 1))
        data_link(line, f);
    if (esf && n % 4 == 1)
        line->rx_crc_bits = (uint8_t)(line->rx_crc_bits << 1 | f);
    if (!esf)
        d4_rai(line, f, words);
    if (esf) {
        line->rx_fold = fold_frame(line->rx_fold, t1_japan(line) ? f : 1, words);
        if (n == 23)
            check_crc(line);
    }
    int bit = robbed(line, n);
    if (bit >= 0)
        for (unsigned t = 1; t <= T1_TIMESLOTS; t++)
            line->rx_cas[t] = (uint8_t)((line->rx_cas[t] & ~(1u << bit)) | (unsigned)(octets[t - 1] & 1) << bit);
    if (n == 23 || (!esf && n == 11))
        superframe_end(line, cas);
    in_band_codes(line, octets);
    line->rx_frame = (uint8_t)((n + 1) % 24);
    return 1;
}

void t1_receive(struct t1 *line, const uint8_t *block, uint8_t *out, uint8_t *cas)
{
    const uint8_t *f_bits = block + BURST_FRAMES * T1_TIMESLOTS;
    memcpy(line->in, block, T1_BLOCK_OCTETS);
    for (unsigned n = 0; n < BURST_FRAMES; n++, out += TIMESLOTS) {
        const uint8_t *octets = block + n * T1_TIMESLOTS;
        int f = f_bits[n >> 3] >> (7 - (n & 7)) & 1;
        struct t1_row row;
        uint64_t words[3];
        uint8_t aligned[T1_TIMESLOTS];
        row_of(&row, f, octets);
        signal_levels(line, &row);
        memset(out, line->idle, TIMESLOTS);
        if (!line->framed) {
            int phase = search_row(line, &row);
            if (phase >= 0)
                enter_frame(line, phase);
        } else {
            if (line->phase) {
                f = cut_frame(&line->row, &row, line->phase, words);
                for (int w = 0; w < 3; w++) {
                    uint64_t big = htobe64(words[w]);
                    memcpy(aligned + 8 * w, &big, 8);
                }
                octets = aligned;
            } else {
                load_words(words, octets);
            }
            if (take_frame(line, f, words, octets, cas))
                memcpy(out + 1, octets, T1_TIMESLOTS);
            else
                t1_lose_frame(line);
        }
        line->row = row;
    }
    if (line->framed)
        line->ais = 0;
    memcpy(line->payload, out - BLOCK_OCTETS, BLOCK_OCTETS);
}

void t1_no_signal(struct t1 *line)
{
    if (!line->los)
        line->isr[2] |= ISR2_LOS;
    t1_lose_frame(line);
    line->los = 1;
    line->ais = 0;
    memset(line->in, 0, sizeof line->in);
    memset(line->payload, line->idle, sizeof line->payload);
}
