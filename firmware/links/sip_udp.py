"""The network of one SIPEndpoint, on asyncio: its datagram socket, and its connections (sip_streams.py) where it has some.

    link = SIPUDPLink(endpoint, sock, now_ms, on_events)      # sock: firmware.sockets.inherited("sip-udp")
    link.start()                 # reads what is in the buffer already: it may have come while control was dead
    link.request(primitive)      # -> events are given to on_events, as those of the network are
    link.close()

on_events(events) is called once for each batch of datagrams, timers or for a primitive, even with
no events where records changed.  It must store endpoint.take_changes() together with its journal rows
before it returns; only then does the link send (an event is committed before it has any effect outside).
It may call link.request() itself: what comes of that is given to it after it returns.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import struct
import time

BATCH = 64                       # datagrams read in one go: one commit for all of them
MAX_DATAGRAM_OCTETS = 65536
BUFFER_OCTETS = 4 << 20          # 500 ms of 2,000 telephones that register at once

SO_TIMESTAMPNS = 35              # Linux: the kernel says when a datagram came, as a timespec
ANCILLARY_OCTETS = socket.CMSG_SPACE(16)

log = logging.getLogger(__name__)


def _waited_ms(ancillary, began_ns):
    """How long a datagram lay in the socket while somebody read it, by the kernel's time stamp; 0 where it has none."""
    for _, kind, octets in ancillary:
        if kind == SO_TIMESTAMPNS and len(octets) >= 16:
            seconds, nanoseconds = struct.unpack("qq", octets[:16])
            return max(0.0, (time.time_ns() - max(began_ns, seconds * 1000000000 + nanoseconds)) / 1e6)
    return 0


class SIPUDPLink:
    """Reads, sends and keeps time for one endpoint."""

    def __init__(self, endpoint, sock, now_ms, on_events):
        self.endpoint = endpoint
        self.socket = sock
        self.now_ms = now_ms
        self.on_events = on_events
        self.send_errors = 0
        self.streams = None         # SIPStreams
        self._loop = None
        self._timer = None
        self._timer_deadline_ms = None
        self._waiting = []
        self._busy = False
        self._unsent = []
        self._began_ns = 0
        sock.setblocking(False)
        with contextlib.suppress(OSError):       # then overload goes unnoticed, nothing else
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_OCTETS)

    def start(self):
        """Begin to read, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._began_ns = time.time_ns()      # what came before waited for a process, not for us
        self._loop.add_reader(self.socket.fileno(), self._readable)
        if self.streams is not None:
            self.streams.start()
        self._settle([])

    def close(self):
        """Stop.  The socket is closed; an inherited one stays open in the supervisor."""
        if self._loop is not None:
            self._loop.remove_reader(self.socket.fileno())
            self._loop.remove_writer(self.socket.fileno())
        if self._timer is not None:
            self._timer.cancel()
        if self.streams is not None:
            self.streams.close()
        self.socket.close()

    def hear(self, messages, source):
        """Messages that came over a connection."""
        events = []
        for octets in messages:
            events.extend(self.endpoint.receive(octets, source, self.now_ms()))
        self._settle(events)

    def lost(self, address, opened):
        """A connection ended, or could not be opened."""
        self._settle(self.endpoint.connection_lost(address, opened, self.now_ms()))

    def back(self, address):
        """A connection of the process before goes on: a browser's, which the web process held."""
        self._settle(self.endpoint.connection_back(address, self.now_ms()))

    def request(self, primitive):
        """Give a primitive to the endpoint.  Raises LocalError."""
        self._settle(self.endpoint.request(primitive, self.now_ms()))

    def settle(self, events):
        """Take events of a call that control made to the endpoint itself (resume, set_lines)."""
        self._settle(events)

    def _readable(self):
        events = []
        for _ in range(BATCH):
            try:
                octets, ancillary, _, source = self.socket.recvmsg(MAX_DATAGRAM_OCTETS, ANCILLARY_OCTETS)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                # an ICMP error to something we sent; the transaction's timers deal with it
                if error.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
                    log.warning("SIP socket cannot be read: %s.", error)
                    break
                continue
            events.extend(self.endpoint.receive(octets, source[:2], self.now_ms(), _waited_ms(ancillary, self._began_ns)))
        self._settle(events)

    def _expired(self):
        self._timer = None
        self._settle(self.endpoint.expire(self.now_ms()))

    def _settle(self, events):
        """Hand events on, then send, then set the timer."""
        self._waiting.append(events)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                batch = []
                for events in self._waiting:
                    batch.extend(events)
                self._waiting = []
                self.on_events(batch)
        finally:
            self._busy = False
            for name, sentence, source in self.endpoint.take_faults():
                log.warning("SIP %s from %s: %s.", name, source[0] if source else "ourselves", sentence)
            self._flush()
            self._set_timer()

    def _flush(self):
        self._unsent.extend(self.endpoint.take_output())
        while self._unsent:
            octets, destination = self._unsent[0]
            if len(destination) > 2:
                if self.streams is not None and self.streams.loop is not None:
                    self.streams.send(octets, destination)
                else:
                    self.send_errors += 1
                self._unsent.pop(0)
                continue
            try:
                self.socket.sendto(octets, destination)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self.socket.fileno(), self._writable)
                return
            except (OSError, ValueError, OverflowError) as error:
                # lost, as the network may lose it too
                self.send_errors += 1
                if self.send_errors == 1:
                    log.warning("SIP cannot send to %s:%s: %s.", destination[0], destination[1], error)
            self._unsent.pop(0)

    def _writable(self):
        self._loop.remove_writer(self.socket.fileno())
        self._flush()

    def _set_timer(self):
        deadline_ms = self.endpoint.deadline_ms()
        if self._timer is not None:
            if self._timer_deadline_ms == deadline_ms:
                return
            self._timer.cancel()
            self._timer = None
        if deadline_ms is not None and self._loop is not None:
            self._timer_deadline_ms = deadline_ms
            self._timer = self._loop.call_later(max(0, deadline_ms - self.now_ms()) / 1000, self._expired)
