"""Packets of a unit's legs without a call to read them: the kernel writes them into a ring in memory, the tick reads it.

    attach(engine, [socket of each unit])       # says whether; those of steering.py

A program at a unit's socket (BPF_PROG_TYPE_SOCKET_FILTER with a ring buffer, Linux 5.8; the right is CAP_BPF) sees each datagram after
firewall and checksum.  It copies source, destination, time and octets into the ring and lets the kernel forget the packet, so that it waits in no
queue, wakes nobody, and is freed where it was made; reading it from a socket cost a tenth of a full tick.  What does not fit, a datagram of
more than OCTETS or one that finds the ring full, goes into the socket as without the program.  native/ring.pxi is the other end.
What is in the ring counts for the kernel as thrown away by a filter: InErrors of UDP (netstat -su) and drops of the unit's socket grow with each packet.
$STROWGER_RTP_RINGS=0 turns it off.
"""

import logging
import os
import socket
import struct

from firmware.media import _engine
from firmware.media.bpf import ABOVE, ADD, BELOW, CALL, COPY, EXIT, LOAD, MAP_CREATE, MAP_FD, SET, STORE_16, STORE_64, UNEQUAL, EQUAL, assemble, bpf, load, one, wide

log = logging.getLogger("firmware.media")

OCTETS, PACKET, RING = (_engine.RINGED[name] for name in ("octets", "packet", "ring"))        # of a packet's payload, of a packet in the ring, of the ring
RINGBUF, SOCKET_FILTER, SO_ATTACH_BPF = 27, 1, 50       # linux/bpf.h, socket(7)
TIME, SKB_COPY, SKB_COPY_FROM, RESERVE, SUBMIT, DISCARD = 5, 26, 68, 131, 132, 133          # functions of the kernel
FROM_IP_HEADER, NO_WAKEUP, UDP = 1, 1, 8
ADDRESSES = 12                  # place of the source's address in an IPv4 header; the destination's is behind it
NS, HOSTS, PORTS, LENGTH, PAYLOAD = 0, 8, 16, 22, 24    # places in native/ring.pxi's packet; ports, UDP's length and checksum as they came


def program(ring):
    """Octets of the instructions; ring: descriptor of the map.  What a socket filter sees begins with the UDP header."""
    def copied(function, start, to, length, *more):
        return [one(COPY, 1, 6), one(SET, 2, value=start), one(COPY, 3, 8), one(ADD, 3, value=to), *length, *more, one(CALL, value=function), (UNEQUAL, 0, 0, 0, "discard")]
    eight = [one(SET, 4, value=8)]
    return assemble([
        one(COPY, 6, 1), one(LOAD, 7, 6),               # the packet, its length
        (ABOVE, 7, 0, UDP + OCTETS, "pass"), (BELOW, 7, 0, UDP + 1, "pass"),
        wide(1, MAP_FD, ring), one(SET, 2, value=PACKET), one(SET, 3), one(CALL, value=RESERVE), (EQUAL, 0, 0, 0, "pass"),
        one(COPY, 8, 0),
        one(CALL, value=TIME), one(STORE_64, 8, 0, NS),
        *copied(SKB_COPY_FROM, ADDRESSES, HOSTS, eight, one(SET, 5, value=FROM_IP_HEADER)),
        *copied(SKB_COPY, 0, PORTS, eight),
        one(ADD, 7, value=-UDP),
        *copied(SKB_COPY, UDP, PAYLOAD, [one(COPY, 4, 7)]),
        one(STORE_16, 8, 7, LENGTH),
        one(COPY, 1, 8), one(SET, 2, value=NO_WAKEUP), one(CALL, value=SUBMIT),
        one(SET, 0), one(EXIT),                         # 0 octets of it are wanted
        "discard", one(COPY, 1, 8), one(SET, 2, value=NO_WAKEUP), one(CALL, value=DISCARD),
        "pass", one(SET, 0, value=-1), one(EXIT)])


def attach(engine, sockets):
    """Give each unit's socket its ring, before the tick runs, for good.  Returns whether: else the sockets are read."""
    if os.environ.get("STROWGER_RTP_RINGS") == "0":
        return False
    held = []
    try:
        for unit in range(len(sockets)):
            held.append(bpf(MAP_CREATE, ("IIIII", RINGBUF, 0, 0, RING, 0)))
            engine.ring(unit, held[-1])
        for unit, sock in enumerate(sockets):
            held.append(load(SOCKET_FILTER, program(held[unit]), b"strowger_ring"))
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, struct.pack("i", held[-1]))
    except OSError as error:
        log.warning("RTP is read packet by packet (%s), which costs more; give CAP_BPF, and Linux 5.8", error)
        return False
    finally:
        for fd in held:                 # the sockets and the engine's memory keep them
            os.close(fd)
    return True
