"""Packets for many RTP ports by few sockets: a program in the kernel that chooses the socket by port and address.

    steered = start(engine)     # None where it is not granted; keep it as long as the engine

Each leg has a port, hence a socket, of its own.  With 2,000 of them each is in no cache when a packet comes or
is read, and each packet costs calls of its own: half of what receiving costs.  A program at the point where the
kernel looks for the socket of a datagram (BPF_PROG_TYPE_SK_LOOKUP, Linux 5.9; the right is CAP_NET_ADMIN with CAP_BPF)
gives those of a unit's legs (64) to one socket, which native/gather.pxi reads.  Firewall, checksums and fragments
stay the kernel's.  The legs keep their sockets: these hold the port, get what is too much (MOST packets of a leg
between two ticks, so a flood to one port does not fill its neighbours' socket), and everything where there is no
program: another kernel, no right, $STROWGER_RTP_STEERING=0.

The program runs for each datagram to this network namespace; what is not found in the table passes as if it were not there.
It is gone when the process is: nothing is left behind by a kill.

The table has an entry for each port: struct {u32 address, network order, 0: none; u32 unit; u32 tick; u32 packets in it};
the tick writes them when legs come and go, and counts the ticks in a word beside.
"""

import ctypes
import logging
import mmap
import os
import socket
import struct

from firmware.media.bpf import (ABOVE, ADD, CALL, COPY, EQUAL, EQUAL_REGISTER, EXIT, LINK_CREATE, LOAD, MAP_CREATE, MAP_FD, MAP_UPDATE, MAP_VALUE, SET,
                                STORE, UNEQUAL, UNEQUAL_REGISTER, assemble, bpf, load, one, wide)
from firmware.media.ports import IP_RECVERR, SO_TIMESTAMPNS

log = logging.getLogger("firmware.media")

PORTS, ENTRY = 65536, struct.Struct("<IIII")
MOST = 16                       # packets of a leg in a tick by its unit's socket: native/rtp.pxi SWEEP_MOST
SO_RCVBUFFORCE, UNIT_OCTETS = 33, 4 << 20       # socket(7); ours: MOST packets of each leg, as large as drivers make them
IP_RECVORIGDSTADDR = 20         # ip(7): the port that a packet was sent to

# linux/bpf.h
ARRAY, SOCKMAP, MMAPABLE = 2, 15, 1 << 10
SK_LOOKUP_PROGRAM, SK_LOOKUP = 30, 36           # kind of program; where it is attached
LOOKUP, RELEASE, ASSIGN = 1, 86, 124            # functions of the kernel
FAMILY, PROTOCOL, LOCAL_ADDRESS, LOCAL_PORT = 8, 12, 40, 60     # places in struct bpf_sk_lookup


def program(table, clock, sockets):
    """Octets of the instructions; table, clock, sockets: descriptors of the maps."""
    find = lambda fd: one(COPY, 2, 10) + one(ADD, 2, value=-4) + wide(1, MAP_FD, fd) + one(CALL, value=LOOKUP)
    return assemble([
        one(COPY, 6, 1),
        one(LOAD, 1, 6, FAMILY), (UNEQUAL, 1, 0, socket.AF_INET, "pass"),
        one(LOAD, 1, 6, PROTOCOL), (UNEQUAL, 1, 0, socket.IPPROTO_UDP, "pass"),
        one(LOAD, 1, 6, LOCAL_PORT), one(STORE, 10, 1, -4),
        find(table), (EQUAL, 0, 0, 0, "pass"),
        one(COPY, 7, 0),
        one(LOAD, 1, 7, 0), one(LOAD, 2, 6, LOCAL_ADDRESS), (UNEQUAL_REGISTER, 1, 2, 0, "pass"),
        wide(1, MAP_VALUE, clock), one(LOAD, 3, 1, 0), one(LOAD, 4, 7, 8),
        one(LOAD, 5, 7, 12), (EQUAL_REGISTER, 3, 4, 0, "same tick"), one(SET, 5), "same tick",
        one(ADD, 5, value=1), one(STORE, 7, 3, 8), one(STORE, 7, 5, 12), (ABOVE, 5, 0, MOST, "pass"),
        one(LOAD, 1, 7, 4), one(STORE, 10, 1, -4),
        find(sockets), (EQUAL, 0, 0, 0, "pass"),
        one(COPY, 7, 0), one(COPY, 1, 6), one(COPY, 2, 7), one(SET, 3), one(CALL, value=ASSIGN),
        one(COPY, 1, 7), one(CALL, value=RELEASE),
        "pass", one(SET, 0, value=1), one(EXIT)])       # SK_PASS: the socket that was assigned, or the search goes on


class Steering:
    """The program with its tables.  sockets: of the units.  Raises OSError where it is not granted."""

    def __init__(self, engine, units):
        self._held, self.sockets = [], []
        try:
            table = self._hold(bpf(MAP_CREATE, ("IIIII", ARRAY, 4, ENTRY.size, PORTS, MMAPABLE)))
            clock = self._hold(bpf(MAP_CREATE, ("IIIII", ARRAY, 4, 8, 1, MMAPABLE)))
            sockets = self._hold(bpf(MAP_CREATE, ("IIIII", SOCKMAP, 4, 8, units, 0)))
            loaded = self._hold(load(SK_LOOKUP_PROGRAM, program(table, clock, sockets), b"strowger_rtp", SK_LOOKUP))
            for unit in range(units):
                self.sockets.append(unit_socket())
                self._assign(sockets, unit, self.sockets[-1].fileno())
            self._table, self._clock = mmap.mmap(table, PORTS * ENTRY.size), mmap.mmap(clock, mmap.PAGESIZE)
            namespace = self._hold(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
            self._hold(bpf(LINK_CREATE, ("IIII", loaded, namespace, SK_LOOKUP, 0)))
            engine.gather([sock.fileno() for sock in self.sockets], self._address(self._table), self._address(self._clock))
        except OSError:
            self.close()
            raise

    def _hold(self, fd):
        self._held.append(fd)
        return fd

    @staticmethod
    def _assign(sockets, unit, fd):
        key, value = ctypes.create_string_buffer(struct.pack("<I", unit), 4), ctypes.create_string_buffer(struct.pack("<Q", fd), 8)
        bpf(MAP_UPDATE, ("I4xQQQ", sockets, ctypes.addressof(key), ctypes.addressof(value), 0))

    @staticmethod
    def _address(memory):
        return ctypes.addressof(ctypes.c_char.from_buffer(memory))

    def close(self):
        """Packets go to the legs' sockets again; not while the tick runs, which writes into the table."""
        for fd in reversed(self._held):
            os.close(fd)
        for sock in self.sockets:
            sock.close()
        self._held, self.sockets = [], []


def unit_socket():
    """The socket of a unit's legs; its own port is nobody's."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind(("127.0.0.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVORIGDSTADDR, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)           # what ICMP says of a leg's packets comes here, too
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, UNIT_OCTETS)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNIT_OCTETS)
    return sock


def start(engine, units):
    """The steering of an engine that does not run yet, or None: then each leg's packets are read from its own socket."""
    if os.environ.get("STROWGER_RTP_STEERING") == "0":
        return None
    try:
        return Steering(engine, units)
    except (OSError, KeyError) as error:
        log.warning("RTP ports are not gathered (%s): each packet is read alone, which costs more; give CAP_NET_ADMIN and CAP_BPF", error)
        return None
