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

from firmware.media.ports import IP_RECVERR, SO_TIMESTAMPNS

log = logging.getLogger("firmware.media")

PORTS, ENTRY = 65536, struct.Struct("<IIII")
MOST = 16                       # packets of a leg in a tick by its unit's socket: native/rtp.pxi SWEEP_MOST
SO_RCVBUFFORCE, UNIT_OCTETS = 33, 4 << 20       # socket(7); ours: MOST packets of each leg, as large as drivers make them
IP_RECVORIGDSTADDR = 20         # ip(7): the port that a packet was sent to

# linux/bpf.h, bpf(2)
SYS_BPF = {"x86_64": 321, "aarch64": 280}
MAP_CREATE, MAP_UPDATE, PROG_LOAD, LINK_CREATE = 0, 2, 5, 28
ARRAY, SOCKMAP, MMAPABLE = 2, 15, 1 << 10
SK_LOOKUP_PROGRAM, SK_LOOKUP = 30, 36           # kind of program; where it is attached
LOOKUP, RELEASE, ASSIGN = 1, 86, 124            # functions of the kernel
FAMILY, PROTOCOL, LOCAL_ADDRESS, LOCAL_PORT = 8, 12, 40, 60     # places in struct bpf_sk_lookup
LOAD, STORE, COPY, SET, ADD, CALL, EXIT = 0x61, 0x63, 0xBF, 0xB7, 0x07, 0x85, 0x95
EQUAL, UNEQUAL, UNEQUAL_REGISTER, ABOVE = 0x15, 0x55, 0x5D, 0x25
WIDE, MAP_FD, MAP_VALUE = 0x18, 1, 2


def bpf(command, *fields):
    """The system call.  fields: (format, values ...) of its attributes in order.  Raises OSError."""
    attributes = b"".join(struct.pack("<" + form, *values) for form, *values in fields).ljust(128, b"\0")
    memory = ctypes.create_string_buffer(attributes, 128)
    result = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF[os.uname().machine], command, memory, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def program(table, clock, sockets):
    """Octets of the instructions; table, clock, sockets: descriptors of the maps."""
    one = lambda code, to=0, of=0, offset=0, value=0: struct.pack("<BBhi", code, to | of << 4, offset, value)
    wide = lambda to, kind, fd: one(WIDE, to, kind, 0, fd) + one(0)
    find = lambda fd: one(COPY, 2, 10) + one(ADD, 2, value=-4) + wide(1, MAP_FD, fd) + one(CALL, value=LOOKUP)
    parts = [                                   # one(...): an instruction; (code, ...): a jump to the end, or over `skip` parts
        one(COPY, 6, 1),
        one(LOAD, 1, 6, FAMILY), (UNEQUAL, 1, 0, socket.AF_INET),
        one(LOAD, 1, 6, PROTOCOL), (UNEQUAL, 1, 0, socket.IPPROTO_UDP),
        one(LOAD, 1, 6, LOCAL_PORT), one(STORE, 10, 1, -4),
        find(table), (EQUAL, 0, 0, 0),
        one(COPY, 7, 0),
        one(LOAD, 1, 7, 0), one(LOAD, 2, 6, LOCAL_ADDRESS), (UNEQUAL_REGISTER, 1, 2, 0),
        wide(1, MAP_VALUE, clock), one(LOAD, 3, 1, 0), one(LOAD, 4, 7, 8),
        one(LOAD, 5, 7, 12), one(0x1D, 3, 4, 1), one(SET, 5),   # equal ticks: go on counting; else begin at 0
        one(ADD, 5, value=1), one(STORE, 7, 3, 8), one(STORE, 7, 5, 12), (ABOVE, 5, 0, MOST),
        one(LOAD, 1, 7, 4), one(STORE, 10, 1, -4),
        find(sockets), (EQUAL, 0, 0, 0),
        one(COPY, 7, 0), one(COPY, 1, 6), one(COPY, 2, 7), one(SET, 3), one(CALL, value=ASSIGN),
        one(COPY, 1, 7), one(CALL, value=RELEASE)]
    length = sum(1 if isinstance(part, tuple) else len(part) // 8 for part in parts)
    out = b""
    for part in parts:
        if isinstance(part, tuple):
            code, to, of, value = part
            part = one(code, to, of, length - len(out) // 8 - 1, value)
        out += part
    return out + one(SET, 0, value=1) + one(EXIT)       # SK_PASS: the socket that was assigned, or the search goes on


class Steering:
    """The program with its tables.  Raises OSError where it is not granted."""

    def __init__(self, engine, units):
        self._held, self._sockets = [], []
        try:
            table = self._hold(bpf(MAP_CREATE, ("IIIII", ARRAY, 4, ENTRY.size, PORTS, MMAPABLE)))
            clock = self._hold(bpf(MAP_CREATE, ("IIIII", ARRAY, 4, 8, 1, MMAPABLE)))
            sockets = self._hold(bpf(MAP_CREATE, ("IIIII", SOCKMAP, 4, 8, units, 0)))
            octets = ctypes.create_string_buffer(program(table, clock, sockets))
            licence = ctypes.create_string_buffer(b"Proprietary")
            loaded = self._hold(bpf(PROG_LOAD, ("IIQQ", SK_LOOKUP_PROGRAM, (len(octets) - 1) // 8, ctypes.addressof(octets), ctypes.addressof(licence)),
                                    ("IIQII16sII", 0, 0, 0, 0, 0, b"strowger_rtp", 0, SK_LOOKUP)))
            for unit in range(units):
                self._sockets.append(unit_socket())
                self._assign(sockets, unit, self._sockets[-1].fileno())
            self._table, self._clock = mmap.mmap(table, PORTS * ENTRY.size), mmap.mmap(clock, mmap.PAGESIZE)
            namespace = self._hold(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
            self._hold(bpf(LINK_CREATE, ("IIII", loaded, namespace, SK_LOOKUP, 0)))
            engine.gather([sock.fileno() for sock in self._sockets], self._address(self._table), self._address(self._clock))
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
        for sock in self._sockets:
            sock.close()
        self._held, self._sockets = [], []


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
