#include "e1_registers.h"

#include <string.h>

int e1_in_frame(const struct e1 *line)
{
    return line->framed && !line->crc_failed && !line->los;
}

uint8_t e1_frs0(const struct e1 *line)
{
    uint8_t status = 0;
    if (line->los)
        status |= 0x80;
    if (line->ais)
        status |= 0x40;
    if (!e1_in_frame(line))
        status |= 0x20;
    if ((line->rai && line->framed) || line->force_rai)
        status |= 0x10;
    if (line->no_crc_far)
        status |= 0x04;
    if (crc_mode(line) != CRC_OFF && !line->multiframed)
        status |= 0x02;
    return status;
}

uint8_t e1_frs1(const struct e1 *line)
{
    uint8_t status = 0;
    if (!(line->reg[XSP] & XSP_CASEN))
        return 0;
    if (!line->cas_framed) {
        status |= 0x08;
        if (line->cas_all_ones >= 32 && line->framed)
            status |= 0x10;
        if (line->cas_all_zero_run >= 16 && line->framed)
            status |= 0x20;
    } else if (line->cas_rai) {
        status |= 0x40;
    }
    return status;
}

static void move_counter(uint32_t *latched, uint32_t *running)
{
    *latched = *running;
    *running = 0;
}

void e1_second(struct e1 *line)
{
    if (line->reg[FMR1] & FMR1_ECM) {
        move_counter(&line->latched.fec, &line->running.fec);
        move_counter(&line->latched.cec, &line->running.cec);
        move_counter(&line->latched.ebc, &line->running.ebc);
    }
    line->isr[3] |= 0x40;
    /* G.706 4.3.2: 915 wrong of 1000 means a false alignment */
    if (line->second_errors >= 915 && line->second_checked <= 1000) {
        e1_lose_frame(line);
        line->search_bit = HISTORY_OCTETS * 8 + 1;
    }
    line->second_errors = line->second_checked = 0;
}

void e1_reset(struct e1 *line, uint8_t idle)
{
    memset(line, 0, sizeof *line);
    line->idle = idle;
    line->los = 1;
    line->reg[E1_IDLE] = idle;
    line->reg[FMR2] = FMR2_AXRA;
    line->reg[FMR1] = FMR1_ECM;
    line->reg[XSW] = XSW_XSIS | XSW_XY;
    line->reg[XSP] = XSP_XSIF;
    memset(line->payload, idle, sizeof line->payload);
}

static int known(uint32_t address)
{
    static const struct { uint8_t first, last; } ranges[] = {
        { 0x02, 0x03 }, { 0x08, 0x3B }, { 0x3E, 0x40 }, { 0x44, 0x47 }, { 0x4A, 0x4D }, { 0x50, 0x5A },
        { 0x60, 0x60 }, { 0x68, 0x86 }, { 0x92, 0x99 }, { 0xA8, 0xA8 }, { 0xDA, 0xDA }, { 0xEC, 0xEC },
    };
    for (unsigned n = 0; n < sizeof ranges / sizeof *ranges; n++)
        if (address >= ranges[n].first && address <= ranges[n].last)
            return 1;
    return 0;
}

static uint32_t counter(const struct e1 *line, uint32_t address)
{
    uint32_t value = 0;
    switch (address & ~1u) {
    case FEC: value = line->latched.fec; break;
    case CEC: value = line->latched.cec; break;
    case EBC: value = line->latched.ebc; break;
    }
    if (value > 0xFFFF)
        value = 0xFFFF;
    return address & 1 ? value >> 8 : value & 0xFF;
}

int e1_read(struct e1 *line, uint32_t address, uint32_t *data)
{
    *data = 0;
    if (!known(address))
        return -1;
    if (address >= FEC && address <= BEC + 1)
        *data = counter(line, address);
    else if (address >= ISR0 && address <= ISR5) { /* clear on read */
        *data = line->isr[address - ISR0];
        line->isr[address - ISR0] = 0;
    } else if (address >= RS1 && address < RS1 + 16)
        *data = line->cas_octets[address - RS1];
    else
        switch (address) {
        case FRS0: *data = e1_frs0(line); break;
        case FRS1: *data = e1_frs1(line); break;
        case VSTR: *data = 0x05; break; /* PEF 2256 version 2.x */
        case WID: *data = 0x40; break;  /* 2.2 */
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

int e1_write(struct e1 *line, uint32_t address, uint32_t data)
{
    if (!known(address) || (address >= VSTR && address <= BEC + 2) || (address >= ISR0 && address <= CIS)
        || address == PRBSSTA || address == WID)
        return -1;
    uint32_t changed = line->reg[address] ^ data;
    line->reg[address] = (uint8_t)data;
    switch (address) {
    case CMDR:
        if (data & 0x40) { /* receiver reset: search anew */
            e1_lose_frame(line);
            line->search_bit = HISTORY_OCTETS * 8 + 1;
        }
        line->reg[CMDR] = 0;
        break;
    case IERR:
        line->tx_crc_errors += data >> 3 & 1;
        line->tx_fas_errors += data >> 5 & 1;
        line->reg[IERR] = 0;
        break;
    case E1_IDLE:
        line->idle = (uint8_t)data;
        break;
    case DEC: /* move the counter to its register now */
        if (data & 0x01)
            move_counter(&line->latched.fec, &line->running.fec);
        if (data & 0x08)
            move_counter(&line->latched.cec, &line->running.cec);
        if (data & 0x04)
            move_counter(&line->latched.ebc, &line->running.ebc);
        line->reg[DEC] = 0;
        break;
    case FMR2:
        if (!(changed & FMR2_RFS))
            break;
        line->no_crc_far = line->crc_failed = line->multiframed = 0;
        line->framed_frames = 0;
        line->mfas_bits = 0xFF;
        memset(line->mfas_hits, 0, sizeof line->mfas_hits);
        break;
    case XSP:
        if (!(changed & XSP_CASEN))
            break;
        line->cas_framed = 0;
        line->cas_last = 0;
        break;
    }
    return 0;
}
