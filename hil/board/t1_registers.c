#include "t1.h"
#include "e1_registers.h"

#include <string.h>

int t1_in_frame(const struct t1 *line)
{
    return line->framed && !line->los;
}

uint8_t t1_frs0(const struct t1 *line)
{
    uint8_t status = 0;
    if (line->los)
        status |= 0x80;
    if (line->ais)
        status |= 0x40;
    if (!t1_in_frame(line))
        status |= 0x22; /* LFA, LMFA */
    if ((line->rai && line->framed) || line->force_rai)
        status |= 0x10;
    return status;
}

uint8_t t1_frs1(const struct t1 *line)
{
    return (line->loop_up >= LOOP_FRAMES ? FRS1_LLBAD : 0) | (line->loop_down >= LOOP_FRAMES ? FRS1_LLBDD : 0);
}

static void move_counter(uint32_t *latched, uint32_t *running)
{
    *latched = *running;
    *running = 0;
}

void t1_second(struct t1 *line)
{
    if (line->reg[FMR1] & FMR1_ECM) {
        move_counter(&line->latched.fec, &line->running.fec);
        move_counter(&line->latched.cec, &line->running.cec);
    }
    line->isr[3] |= 0x40;
    /* 320 wrong of 333 (T1.231: a severely errored second): a false alignment, look elsewhere */
    if (line->second_errors >= 320) {
        line->search_from = line->phase + 1;
        t1_lose_frame(line);
    } else if (line->second_checked && !line->second_errors) {
        line->search_from = 0;
    }
    line->second_errors = line->second_checked = 0;
}

void t1_reset(struct t1 *line, uint8_t idle)
{
    memset(line, 0, sizeof *line);
    line->idle = idle;
    line->reg[IDLE] = idle;
    line->reg[FMR1] = FMR1_PMOD | FMR1_ECM;
    line->reg[FMR2] = FMR2_T1_AXRA;
    line->reg[FMR4] = FMR4_ESF | FMR4_AUTO;
    line->tx_code = line->rx_code = line->dl_code = NO_CODE;
    line->los = 1;
    memset(line->payload, idle, sizeof line->payload);
}

static int known(uint32_t address)
{
    static const struct { uint8_t first, last; } ranges[] = {
        { 0x00, 0x03 }, { 0x08, 0x3B }, { 0x3E, 0x40 }, { 0x44, 0x47 }, { 0x4A, 0x4D }, { 0x50, 0x5A },
        { 0x60, 0x60 }, { 0x66, 0x7B }, { 0x80, 0x86 }, { 0x92, 0x99 }, { 0xA8, 0xA8 }, { 0xDA, 0xDA }, { 0xEC, 0xEC },
    };
    for (unsigned n = 0; n < sizeof ranges / sizeof *ranges; n++)
        if (address >= ranges[n].first && address <= ranges[n].last)
            return 1;
    return 0;
}

static uint32_t counter(const struct t1 *line, uint32_t address)
{
    uint32_t value = 0;
    switch (address & ~1u) {
    case FEC: value = line->latched.fec; break;
    case CEC: value = line->latched.cec; break;
    }
    if (value > 0xFFFF)
        value = 0xFFFF;
    return address & 1 ? value >> 8 : value & 0xFF;
}

/* RS1..RS12: A and B (and C and D) bits of two timeslots each, as the superframe has them. */
static uint32_t signalling(const struct t1 *line, uint32_t n)
{
    return (uint32_t)(line->rx_cas[2 * n + 1] << 4 | (line->rx_cas[2 * n + 2] & 0xF)) & 0xFF;
}

int t1_read(struct t1 *line, uint32_t address, uint32_t *data)
{
    *data = 0;
    if (!known(address))
        return -1;
    if (address >= FEC && address <= BEC + 1)
        *data = counter(line, address);
    else if (address >= ISR0 && address <= ISR5) { /* clear on read */
        *data = line->isr[address - ISR0];
        line->isr[address - ISR0] = 0;
    } else if (address >= RS1 && address < RS1 + 12)
        *data = signalling(line, address - RS1);
    else
        switch (address) {
        case XFIFO: *data = line->rx_code; break; /* RFIFO: the message of the data link */
        case RBC: *data = line->rx_code != NO_CODE; break;
        case FRS0: *data = t1_frs0(line); break;
        case FRS1: *data = t1_frs1(line); break;
        case VSTR: *data = 0x05; break;
        case WID: *data = 0x40; break;
        case PRBSSTA: break;
        case GIS:
            for (int n = 0; n < 6; n++)
                *data |= line->isr[n] ? 1u << n : 0;
            break;
        case CIS: break;
        default: *data = line->reg[address];
        }
    return 0;
}

int t1_write(struct t1 *line, uint32_t address, uint32_t data)
{
    if (!known(address) || (address >= VSTR && address <= BEC + 2) || (address >= RBC && address <= CIS)
        || address == PRBSSTA || address == WID)
        return -1;
    uint32_t changed = line->reg[address] ^ data;
    line->reg[address] = (uint8_t)data;
    switch (address) {
    case XFIFO:
        line->tx_fifo[0] = line->tx_fifo[1];
        line->tx_fifo[1] = (uint8_t)data;
        break;
    case CMDR:
        if (data & 0x40) { /* receiver reset: search anew */
            line->search_from = 0;
            t1_lose_frame(line);
        }
        if (data & CMDR_SRES)
            line->tx_code = NO_CODE;
        if ((data & CMDR_XREP) && (data & CMDR_XTF)) /* the FIFO goes out again and again, without HDLC */
            line->tx_code = line->tx_fifo[1];
        line->reg[CMDR] = 0;
        break;
    case IERR:
        line->tx_crc_errors += data >> 3 & 1;
        line->tx_fas_errors += data >> 5 & 1;
        line->reg[IERR] = 0;
        break;
    case DEC:
        if (data & 0x01)
            move_counter(&line->latched.fec, &line->running.fec);
        if (data & 0x08)
            move_counter(&line->latched.cec, &line->running.cec);
        line->reg[DEC] = 0;
        break;
    case IDLE:
        line->idle = (uint8_t)data;
        break;
    case FMR4:
        if (changed & FMR4_FM)
            t1_lose_frame(line);
        break;
    case RC0:
        if (changed & RC0_SJR)
            t1_lose_frame(line);
        break;
    }
    return 0;
}
