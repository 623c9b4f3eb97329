"""The network of one SIPEndpoint, on asyncio: its datagram socket, and its connections (sip_streams.py) where it has some.

    link = SIPUDPLink(endpoint, sock, now_ms, on_events)      # sock: firmware.sockets.inherited("sip-udp")
    link.start()                 # reads what is in the buffer already: it may have come while control was dead
    link.request(primitive)      # -> events are given to on_events, as those of the network are
    link.close()

The socket is read empty before anything is done with what was in it: calls that stand come first, and new work that would wait too
long is refused before it costs anything (proto/sip/intake.py).  Refusals leave at once; all else after its commit.

on_events(events) is called once for each batch of datagrams, timers or for a primitive, even with
no events where records changed.  It must store endpoint.take_changes() together with its journal rows
before it returns; only then does the link send (an event is committed before it has any effect outside).  Where it returns
False it has not yet: then nothing is sent before settle() is called.
It may call link.request() itself: what comes of that is given to it after it returns.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import struct
import time

from firmware.proto.sip.intake import Intake

MOST_AT_ONCE = 1024              # datagrams read in one go, so that a flood does not keep us from all else
MOST_WAITING = 4096              # messages for calls that have been read and wait for their turn
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
        self.trace = None           # function(sent, octets, far address): told of each message
        self.trace_refused = None   # function([(octets, far address)]): of those that refuse new work in overload
        self._loop = None
        self._timer = None
        self._timer_deadline_ms = None
        self._waiting = []
        self._busy = False
        self._unsent = []
        self._began_ns = 0
        self._again = False         # _go_on() will be called
        self.intake = Intake(endpoint)
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
            self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        if self.streams is not None:
            self.streams.close()
        self.socket.close()
        self.trace = self.trace_refused = None

    def hear(self, messages, source):
        """Messages that came over a connection."""
        now_ms = self.now_ms()
        for octets in messages:
            self.intake.take(octets, source, 0, now_ms)
        self._work()
        while len(self.intake.first) > MOST_WAITING:
            self._work()

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
        self._read()
        self._work()

    def _read(self):
        """Empty the socket."""
        now_ms = self.now_ms()
        for _ in range(min(MOST_AT_ONCE, MOST_WAITING - len(self.intake.first))):      # what is too much waits, or is lost, outside
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
            self.intake.take(octets, source[:2], _waited_ms(ancillary, self._began_ns), now_ms)
        self._refuse()

    def _refuse(self):
        """Refusals are no state: they need not wait for a commit."""
        refusals = self.intake.refusals()
        if refusals:
            if self.trace_refused is not None:
                self.trace_refused(refusals)
            self._unsent.extend(refusals)
            self._send_unsent()

    def _work(self):
        """A turn for what comes first of what waits; the rest has its turns after those of others."""
        events, now_ms = [], self.now_ms()
        messages = self.intake.some(now_ms)
        self._refuse()
        for octets, source, waited_ms in messages:
            self._note(False, octets, source)
            events.extend(self.endpoint.receive(octets, source, now_ms, waited_ms, True))
        if messages:
            self._settle(events)
        if self.intake.waiting() and not self._again and self._loop is not None:
            self._again = True
            self._loop.call_soon(self._go_on)

    def _go_on(self):
        self._again = False
        if self._loop is not None:
            self._readable()

    def _expired(self):
        self._timer = None
        self._settle(self.endpoint.expire(self.now_ms()))

    def _settle(self, events):
        """Hand events on, then send, then set the timer."""
        self._waiting.append(events)
        if self._busy:
            return
        self._busy, held = True, False
        try:
            while self._waiting:
                batch = []
                for events in self._waiting:
                    batch.extend(events)
                self._waiting = []
                held = self.on_events(batch) is False
        finally:
            self._busy = False
            for name, sentence, source in self.endpoint.take_faults():
                log.warning("SIP %s from %s: %s.", name, source[0] if source else "ourselves", sentence)
            if not held:
                self._flush()
            self._set_timer()

    def _flush(self):
        output = self.endpoint.take_output()
        for octets, destination in output:
            self._note(True, octets, destination)
        self._unsent.extend(output)
        self._send_unsent()

    def _send_unsent(self):
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

    def _note(self, sent, octets, far):
        if self.trace is not None:
            self.trace(sent, octets, far)

    def _writable(self):
        self._loop.remove_writer(self.socket.fileno())
        self._send_unsent()

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
