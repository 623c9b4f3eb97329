#include "port.h"
#include "e1_registers.h"

#include <string.h>

void port_reset(struct port *port, uint8_t idle)
{
    port->t1_mode = 0;
    e1_reset(&port->e1, idle);
    t1_reset(&port->t1, idle);
}

void port_transmit(struct port *port, const uint8_t *frames, const uint8_t *cas, uint8_t *out)
{
    if (port->absent)
        memset(out, 0, port_line_octets(port));
    else if (port->t1_mode)
        t1_transmit(&port->t1, frames, cas, out);
    else
        e1_transmit(&port->e1, frames, cas, out);
}

void port_receive(struct port *port, const uint8_t *block, uint8_t *out, uint8_t *cas)
{
    if (port->absent)
        memset(out, port_idle(port), BLOCK_OCTETS);
    else if (port->t1_mode)
        t1_receive(&port->t1, block, out, cas);
    else
        e1_receive(&port->e1, block, out, cas);
}

void port_no_signal(struct port *port)
{
    if (port->t1_mode)
        t1_no_signal(&port->t1);
    else
        e1_no_signal(&port->e1);
}

void port_second(struct port *port)
{
    if (port->t1_mode)
        t1_second(&port->t1);
    else
        e1_second(&port->e1);
}

int port_read(struct port *port, uint32_t address, uint32_t *data)
{
    if (port->absent) { /* nobody drives the bus */
        *data = 0xFF;
        return 0;
    }
    int refused = port->t1_mode ? t1_read(&port->t1, address, data) : e1_read(&port->e1, address, data);
    if (address == RES)
        *data = port->res;
    else if (address == FRS1)
        *data |= port->transmit;
    else if (address == VSTR && port->identity)
        *data = port->identity;
    return refused;
}

int port_write(struct port *port, uint32_t address, uint32_t data)
{
    if (port->absent)
        return 0;
    if (address == FMR1 && !!(data & FMR1_PMOD) != port->t1_mode) {
        /* another kind of line: the port begins anew, the idle code stays as it was written */
        uint8_t idle = port_idle(port);
        if (data & FMR1_PMOD)
            t1_reset(&port->t1, idle);
        else
            e1_reset(&port->e1, idle);
        port->t1_mode = !!(data & FMR1_PMOD);
    }
    return port->t1_mode ? t1_write(&port->t1, address, data) : e1_write(&port->e1, address, data);
}
