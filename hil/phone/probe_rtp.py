"""The RTP side of the probe phone: a steady sender, an exact witness, a source of faults.

    stream = RTPStream()                         # stream.port: even UDP port on 127.0.0.1
    stream.start(("127.0.0.1", 20000))           # sends one packet of 160 A-law octets each 20 ms
    play = stream.play(octets)                   # queued; play.wait(10); play.sent: [Sent]
    stream.press(16).wait(5)                     # an event of RFC 4733 in place of some packets
    stream.fault("loss", 3)                      # the next three packets of its own are not sent
    stream.inject(b"garbage")                    # these octets, now, from the socket of the stream
    stream.inject(b"garbage", stranger=True)     # from another port
    stream.stop()

Packets leave at the sender's own time base (CLOCK_MONOTONIC, start + n * 20 ms),
or at that of a hil.board.clock.BoardClock, which stands still while the host does;
a delayed one is sent at once and the time base stays, as a telephone's crystal
would have it; `worst_lateness_s` says how far off the worst was.  Between the
words of play() the sender sends A-law silence (0xD5).

Only packets from where its peer listens count (RFC 4961: the address of its session description): what another program of a
shared machine sends to the port by mistake is `foreign`.

A received packet's time is when the kernel took it in (SO_TIMESTAMPNS),
moved to the scale of time.monotonic(), so that a busy Python does not count.
RFC 3550 5.1 (header), RFC 3551 (PCMA is 8).  Imports nothing of the product.
"""

import collections
import os
import select
import socket
import struct
import threading
import time

PCMA = 8
FRAME = 160                    # samples in a packet of 20 ms, and octets of PCMA
EVENT = 101                    # payload type of events
EVENT_FRAMES, EVENT_PAUSE, EVENT_VOLUME = 5, 3, 10      # an event lasts 100 ms; its end is said three times (RFC 4733 2.5.1.4), while nothing else is
OCTETS = {0: FRAME, 8: FRAME, 18: 20}    # of such a packet, by payload type
FRAME_S = 0.020
SILENCE = 0xD5
PRIORITY = 41                  # SCHED_FIFO: above the board emulator (40), below the far exchange (42)
SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)      # Linux; Python 3.11 does not name it
FAULTS = ("loss", "duplicate", "reorder", "truncate")

LOOK_S = 0.001                 # how often the board's clock is looked at

# frames: the board's time, None without its clock
Packet = collections.namedtuple("Packet", "mono seq timestamp payload payload_type ssrc marker source frames")
Sent = collections.namedtuple("Sent", "mono seq timestamp payload frames")


def alaw_table():
    """16-bit linear value of each A-law octet (G.711 table 1a, even bits inverted)."""
    table = []
    for octet in range(256):
        code = octet ^ 0x55
        segment, step = code >> 4 & 7, code & 15
        value = (step << 4) + 8 if segment == 0 else (step << 4) + 0x108 << segment - 1
        table.append(value if code & 0x80 else -value)
    return table


def bound_pair(address="127.0.0.1"):
    """(RTP socket on an even port, RTCP socket on the next).  Raises OSError when no pair is free."""
    for _ in range(100):
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            rtp.bind((address, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0:
                rtcp.bind((address, port + 1))
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
    raise OSError(f"no free pair of UDP ports was found on {address}")


class Play:
    """Octets on their way out.  sent: the Sent of each packet that bears some of them.

    The last packet is filled up with silence.  A packet lost by fault() is not in sent."""

    def __init__(self, octets):
        self.octets = octets
        self.sent = []
        self._done = threading.Event()

    def wait(self, timeout_s):
        """Wait until all is sent.  Raises TimeoutError."""
        if not self._done.wait(timeout_s):
            raise TimeoutError(f"{len(self.sent)} packets were sent in {timeout_s} s, not all of the file yet")
        return self


class Press:
    """An event on its way out."""

    def __init__(self, code):
        self.code, self.at, self.timestamp = code, 0, None
        self._done = threading.Event()

    def wait(self, timeout_s):
        """Wait until it is over.  Raises TimeoutError."""
        if not self._done.wait(timeout_s):
            raise TimeoutError("the event was not sent")

    def next(self, timestamp):
        """(payload, timestamp, whether it is the first, whether it is the last) of its next packet."""
        if self.timestamp is None:
            self.timestamp = timestamp
        self.at += 1
        lasted, last = min(self.at, EVENT_FRAMES) * FRAME, self.at == EVENT_FRAMES + EVENT_PAUSE
        if last:
            self._done.set()
        return struct.pack("!BBH", self.code, EVENT_VOLUME | (0x80 if self.at > EVENT_FRAMES else 0), lasted), self.timestamp, self.at == 1, last


class RTPStream:
    """address: to bind.  clock: a BoardClock to send by, None: CLOCK_MONOTONIC.
    source: function, the octets of the next packet where nothing is queued, in place of silence; sink: function of each packet that came.
    packets: [Packet] received from the remote, in order of arrival; malformed: number of others of its own; foreign: [(source, octets)] of
    who else sent something."""

    payload_type = PCMA

    def __init__(self, address="127.0.0.1", clock=None):
        self.clock = clock
        self._socket, self._rtcp = bound_pair(address)
        self._stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stranger.bind((address, 0))
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        except OSError:
            pass                        # then the time of reading counts
        self.port = self._socket.getsockname()[1]
        self.remote = None
        self.sending = True
        self.packets, self.foreign = [], []
        self.malformed = self.sent_packets = self.send_errors = 0
        self.worst_lateness_s = 0.0
        self.realtime = False
        self._ssrc = int.from_bytes(os.urandom(4), "big")
        self._seq = int.from_bytes(os.urandom(2), "big")
        self._timestamp = int.from_bytes(os.urandom(4), "big")
        self._queue = collections.deque()        # [Play, offset]
        self._faults = collections.deque()       # (kind, octets)
        self._presses = collections.deque()
        self.source = self.sink = None
        self._held = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = None

    # -- what a test asks for --

    def start(self, remote):
        """Begin to send to (host, port), or go on to another address."""
        self.remote = remote
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="probe-rtp", daemon=True)
            self._thread.start()

    def speak(self, payload_type):
        """What play() sends from the next packet on."""
        self.payload_type = payload_type

    def stop(self):
        """End the thread, close the sockets.  packets stays."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(2)
        for each in (self._socket, self._rtcp, self._stranger):
            each.close()

    def play(self, octets):
        """Send these A-law octets after what is queued already; returns Play."""
        play = Play(bytes(octets))
        with self._lock:
            self._queue.append([play, 0])
        return play

    def press(self, code):
        """An event of RFC 4733, after those queued already; returns Press."""
        press = Press(code)
        with self._lock:
            self._presses.append(press)
        return press

    def fault(self, kind, count=1, octets=0):
        """Spoil the next `count` packets of our own, after those spoilt already.

        loss: not sent.  duplicate: sent twice.  reorder: sent after the one that
        follows.  truncate: cut to `octets` octets (header included)."""
        if kind not in FAULTS:
            raise ValueError(f"{kind} is no fault; there are {', '.join(FAULTS)}")
        with self._lock:
            self._faults.extend([(kind, octets)] * count)

    def inject(self, octets, stranger=False):
        """Send any octets at once; stranger: from another port than the stream's."""
        self._send(bytes(octets), self._stranger if stranger else self._socket)

    def packet(self, payload, payload_type=PCMA, seq=0, timestamp=0, ssrc=None, first=0x80):
        """Octets of an RTP packet, for inject().  first: the octet with version and flags."""
        return struct.pack("!BBHII", first, payload_type, seq & 0xFFFF, timestamp & 0xFFFFFFFF,
                           self._ssrc if ssrc is None else ssrc) + bytes(payload)

    @property
    def position(self):
        """(sequence number, timestamp, SSRC) of the next packet of our own."""
        return self._seq, self._timestamp, self._ssrc

    # -- the thread --

    def _run(self):
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
            self.realtime = True
        except OSError:
            pass                        # without the right: worst_lateness_s will tell
        # now, due and step are seconds, or frames of the board
        now_is, step, second = (self.clock.frames, FRAME, 8000) if self.clock else (time.monotonic, FRAME_S, 1)
        due = now_is()
        while not self._ending.is_set():
            now = now_is()
            if self.clock and due - now > FRAME:
                due = now               # the board began anew
            if now >= due:
                self.worst_lateness_s = max(self.worst_lateness_s, (now - due) / second)
                self._next_packet()
                due += step
                continue
            if select.select([self._socket], [], [], LOOK_S if self.clock else due - now)[0]:
                self._receive()

    def _next_event(self):
        with self._lock:
            press = self._presses[0] if self._presses else None
        if press is None:
            return False
        payload, timestamp, first, last = press.next(self._timestamp)
        self._send(self.packet(payload, EVENT | (0x80 if first else 0), self._seq, timestamp), self._socket)
        if last:
            with self._lock:
                self._presses.popleft()
        self._seq = self._seq + 1 & 0xFFFF
        self._timestamp = self._timestamp + FRAME & 0xFFFFFFFF
        return True

    def _next_packet(self):
        if self._next_event():
            return
        play, payload = self._next_payload()
        octets = self.packet(payload, self.payload_type, self._seq, self._timestamp)
        with self._lock:
            kind, size = self._faults.popleft() if self._faults else (None, 0)
        sent = Sent(time.monotonic(), self._seq, self._timestamp, payload, self._frames())
        held, self._held = self._held, None
        if self.sending and kind == "reorder":
            self._held = octets
        elif self.sending and kind != "loss":
            self._send(octets[:size] if kind == "truncate" else octets, self._socket)
            if kind == "duplicate":
                self._send(octets, self._socket)
        if held:
            self._send(held, self._socket)
        self._seq = self._seq + 1 & 0xFFFF
        self._timestamp = self._timestamp + FRAME & 0xFFFFFFFF
        if play is not None:
            play[0].sent.extend([sent] if kind != "loss" and self.sending else [])
            if play[1] >= len(play[0].octets):
                with self._lock:
                    self._queue.popleft()
                play[0]._done.set()

    def _next_payload(self):
        with self._lock:
            play = self._queue[0] if self._queue else None
        size = OCTETS[self.payload_type]
        if play is None:
            return None, bytes([SILENCE]) * size if self.source is None else self.source()
        payload = play[0].octets[play[1]:play[1] + size]
        play[1] += size
        return play, payload.ljust(size, bytes([SILENCE]))

    def _send(self, octets, sock):
        try:
            sock.sendto(octets, self.remote)
            self.sent_packets += 1
        except OSError:
            self.send_errors += 1       # an ICMP answer to an earlier one, or a full queue: as the network loses

    def _receive(self):
        try:
            octets, notes, _, source = self._socket.recvmsg(4096, 128, socket.MSG_DONTWAIT)
        except OSError:
            return
        if source != self.remote:
            self.foreign.append((source, octets))
            return
        mono, wall = time.monotonic(), time.time()
        for level, kind, data in notes:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= 16:
                seconds, nanoseconds = struct.unpack("qq", data[:16])
                mono -= max(0.0, wall - seconds - nanoseconds / 1e9)
        if len(octets) < 12 or octets[0] != 0x80:    # our peer sends neither CSRC, extension nor padding
            self.malformed += 1
            return
        _, kind, seq, timestamp, ssrc = struct.unpack("!BBHII", octets[:12])
        self.packets.append(Packet(mono, seq, timestamp, octets[12:], kind & 127, ssrc, kind >> 7, source,
                                   self._frames()))
        if self.sink is not None:
            self.sink(self.packets[-1])

    def _frames(self):
        return self.clock.frames() if self.clock else None

    # -- what was heard --

    def breaks(self, first=0, last=None):
        """Where received packets do not follow each other: [(index, what)] for packets[first:last].

        Contiguous means one SSRC, sequence numbers one apart, timestamps as far apart as the payload is
        long, payload type 8."""
        found = []
        packets = self.packets[first:last]
        for index, (one, two) in enumerate(zip(packets, packets[1:]), first + 1):
            if two.ssrc != one.ssrc:
                found.append((index, "SSRC changed"))
            elif two.seq - one.seq & 0xFFFF != 1:
                found.append((index, f"sequence {one.seq} to {two.seq}"))
            elif two.timestamp - one.timestamp & 0xFFFFFFFF != len(one.payload):
                found.append((index, f"timestamp {one.timestamp} to {two.timestamp}"))
            if two.payload_type != PCMA:
                found.append((index, f"payload type {two.payload_type}"))
        return found

    def received_octets(self, first=0, last=None):
        """The payloads of packets[first:last] one after the other, in order of arrival: see breaks()."""
        return b"".join(packet.payload for packet in self.packets[first:last])

    def received_samples(self, first=0, last=None):
        """The same as 16-bit linear samples, a list."""
        table = alaw_table()
        return [table[octet] for octet in self.received_octets(first, last)]
