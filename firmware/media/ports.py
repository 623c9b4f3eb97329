"""UDP sockets of RTP legs: one pair (RTP even, RTCP odd, RFC 3550 11) a leg."""

import errno
import logging
import os
import random
import socket

from firmware.errors import LocalError

log = logging.getLogger("firmware.media")

RANGE = (20000, 29999)          # ours; $STROWGER_RTP_PORTS="20000-29999" overrides
DSCP_EXPEDITED = 46 << 2        # RFC 3246, voice
RAW_MOST = 64                   # ours: raw sockets
RAW_WAYS = 4                    # ours, a power of two: of an address, so that threads at work on neighbouring units do not share one
SO_SNDBUFFORCE, RAW_OCTETS = 32, 4 << 20        # socket(7); ours: what a driver has not sent yet, of all legs
SO_TIMESTAMPNS, IP_RECVERR, IP_MTU_DISCOVER, IP_PMTUDISC_DO = 35, 11, 10, 2     # Linux; socket(7), ip(7)


def configured_range():
    """The range from the environment.  Raises LocalError when it is no range."""
    text = os.environ.get("STROWGER_RTP_PORTS", "")
    if not text:
        return RANGE
    try:
        first, last = (int(part) for part in text.split("-"))
    except ValueError:
        first = last = 0
    if not (1024 <= first < last <= 65535 and last - first >= 3):
        raise LocalError(f"STROWGER_RTP_PORTS is {text!r}; give a range such as 20000-29999")
    return first, last


class Ports:
    """Hands out socket pairs, going round the range so that a port rests before it is used again."""

    def __init__(self, ports=None):
        first, last = ports or configured_range()
        self.first = first + (first & 1)
        self.count = (last - self.first + 1) // 2
        self._next = random.randrange(self.count)
        self._raw = {}          # (address, way): its raw socket, or None

    def open(self, address):
        """Returns (RTP socket, RTCP socket, port).

        address: IPv4 address of this machine.  Raises LocalError (cause 47 when none is free)."""
        for _ in range(self.count):
            port = self.first + 2 * self._next
            self._next = (self._next + 1) % self.count
            pair = []
            try:
                for number in (port, port + 1):
                    pair.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
                    pair[-1].bind((address, number))
                for sock in pair:       # RTCP too: its round trip is to be that of the audio
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, DSCP_EXPEDITED)
                    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                pair[0].setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)    # an ICMP refusal comes back from sending
                # Audio is never cut into fragments, and a packet that must not be needs no number of its own, which costs.
                pair[0].setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
                return pair[0], pair[1], port
            except OSError as error:
                for sock in pair:
                    sock.close()
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise _busy(f"no more files may be open ({error.strerror}); "
                                "raise the limit of open files") from error
                if error.errno != errno.EADDRINUSE:
                    raise LocalError(f"rtp: address {address} cannot be used ({error.strerror}); "
                                     "give an address of this machine") from error
        raise _busy(f"all ports {self.first}-{self.first + 2 * self.count - 1} are in use; widen STROWGER_RTP_PORTS")

    def raw(self, address, unit=0):
        """The file of a raw socket of an address of this machine for the legs of a unit of the tick, or -1."""
        key = address, unit % RAW_WAYS
        if key not in self._raw and len(self._raw) < RAW_MOST:
            self._raw[key] = None if address == "0.0.0.0" else raw_socket(address)
        sock = self._raw.get(key)
        return -1 if sock is None else sock.fileno()


def raw_socket(address):
    """What native/bundle.pxi sends the packets of an address' legs by, bound to it so that the kernel routes by it; None where it is not granted or $STROWGER_RTP_BUNDLES is 0."""
    if os.environ.get("STROWGER_RTP_BUNDLES") == "0":
        return None
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_RAW)
    except OSError as error:
        log.warning("no raw socket (%s): each RTP packet is sent alone, which costs more; give CAP_NET_RAW", error.strerror)
        return None
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, DSCP_EXPEDITED)
    try:
        sock.bind((address, 0))
    except OSError as error:
        sock.close()
        log.warning("no raw socket at %s (%s): each RTP packet is sent alone, which costs more", address, error.strerror)
        return None
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, RAW_OCTETS)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RAW_OCTETS)
    return sock


def _busy(sentence):
    error = LocalError("rtp: " + sentence)
    error.cause = 47             # Q.850: resource unavailable
    return error
