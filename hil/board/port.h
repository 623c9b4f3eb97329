/* One port of the framer chip: E1, or T1 and J1 by FMR1.PMOD. */
#ifndef HIL_BOARD_PORT_H
#define HIL_BOARD_PORT_H

#include "t1.h"

#define LINE_OCTETS_MOST BLOCK_OCTETS

struct port {
    int t1_mode;
    struct e1 e1;
    struct t1 t1;
    int absent;            /* nothing is plugged where the chip should be */
    uint8_t identity;      /* another chip says so in VSTR; 0: the right one */
    uint8_t res, transmit; /* of the line interface: RES, and XLS and XLO of FRS1 (liu.h) */
};

void port_reset(struct port *port, uint8_t idle);

/* frames: 80x32 octets for the timeslots; out: port_line_octets(port) for the line. */
void port_transmit(struct port *port, const uint8_t *frames, const uint8_t *cas, uint8_t *out);
void port_receive(struct port *port, const uint8_t *block, uint8_t *out, uint8_t *cas);
void port_no_signal(struct port *port);
void port_second(struct port *port);

/* Registers: 0, or -1 for one that the chip does not have in this mode. */
int port_read(struct port *port, uint32_t address, uint32_t *data);
int port_write(struct port *port, uint32_t address, uint32_t data);

static inline size_t port_line_octets(const struct port *port) { return port->t1_mode ? T1_BLOCK_OCTETS : BLOCK_OCTETS; }
static inline int port_los(const struct port *port) { return port->t1_mode ? port->t1.los : port->e1.los; }
static inline uint8_t port_frs0(const struct port *port) { return port->t1_mode ? t1_frs0(&port->t1) : e1_frs0(&port->e1); }
static inline uint8_t port_frs1(const struct port *port) { return port->t1_mode ? t1_frs1(&port->t1) : e1_frs1(&port->e1); }
static inline uint8_t *port_isr(struct port *port) { return port->t1_mode ? port->t1.isr : port->e1.isr; }
static inline uint8_t port_idle(const struct port *port) { return port->t1_mode ? port->t1.idle : port->e1.idle; }
static inline const uint8_t *port_reg(const struct port *port) { return port->t1_mode ? port->t1.reg : port->e1.reg; }
static inline const struct e1_counters *port_total(const struct port *port)
{
    return port->t1_mode ? &port->t1.total : &port->e1.total;
}

#endif
