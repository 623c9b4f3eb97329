"""RTP as it passes on a network interface: arrival times and audio, apart from any phone.

    with RTPCapture(ports={port}) as capture: ... call ...
    stream = capture.streams()[0]           # Stream: packets, audio(), time_of(sample)

A packet socket with the kernel's own time stamps; needs root or CAP_NET_RAW,
PermissionError says so.  Times are time.monotonic().  A loopback packet
comes by as sent and as received; the received copy is taken.
"""

import socket
import struct
import threading
import time

import numpy as np

from hil.probes import wav

ETH_P_IP = 0x0800
PACKET_HOST = 0
SO_TIMESTAMPNS = 35


class Stream:
    """Packets of one direction of one RTP session.

    source, target: (address, port).  packets: (mono_s, sequence, timestamp, payload type, payload)
    in order of arrival.  missing, reordered: of sequence numbers."""

    def __init__(self, source, target, ssrc):
        self.source, self.target, self.ssrc = source, target, ssrc
        self.packets = []

    @property
    def missing(self):
        numbers = self._extended()
        return max(numbers) - min(numbers) + 1 - len(set(numbers))

    @property
    def reordered(self):
        numbers = self._extended()
        return sum(b < a for a, b in zip(numbers, numbers[1:]))

    def audio(self):
        """A-law or mu-law payloads as int16, laid out by RTP time stamp; 0 where none came.

        Index 0 is the first packet's time stamp.  Other payload types (telephone-event) are left out."""
        voice = [p for p in self.packets if p[3] in (0, 8)]
        first = voice[0][2]
        end = max((p[2] - first & 0xFFFFFFFF) + len(p[4]) for p in voice)
        samples = np.zeros(end, np.int16)
        for _, _, stamp, kind, payload in voice:
            expand = wav.alaw_expand if kind == 8 else wav.ulaw_expand
            at = stamp - first & 0xFFFFFFFF
            samples[at:at + len(payload)] = expand(np.frombuffer(payload, np.uint8))
        return samples

    def time_of(self, sample):
        """Monotonic time at which the packet that holds audio()[sample] passed. Raises LookupError."""
        first = next(p[2] for p in self.packets if p[3] in (0, 8))
        for mono, _, stamp, kind, payload in self.packets:
            if kind in (0, 8) and 0 <= sample - (stamp - first & 0xFFFFFFFF) < len(payload):
                return mono
        raise LookupError(f"No packet from {self.source} held sample {sample}.")

    def _extended(self):
        numbers, last = [], None
        for _, sequence, *_ in self.packets:
            if last is None:
                last = sequence
            last += (sequence - last + 0x8000 & 0xFFFF) - 0x8000
            numbers.append(last)
        return numbers


class RTPCapture:
    """ports: UDP ports to look at (as source or target), or None for all that look like RTP."""

    def __init__(self, ports=None, interface="lo"):
        self.ports = set(ports) if ports is not None else None
        self.interface = interface
        self._streams = {}
        self._lock = threading.Lock()

    def __enter__(self):
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self._socket.bind((self.interface, ETH_P_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.settimeout(0.2)
        # The kernel stamps with the wall clock; ours is the monotonic one.
        self._offset = min((time.time_ns() - time.monotonic_ns() for _ in range(20)))
        self._running = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._running = False
        self._thread.join()
        self._socket.close()

    def streams(self, target=None, source=None):
        """Streams so far, in order of appearance; target, source: port numbers to choose by."""
        with self._lock:
            return [s for s in self._streams.values()
                    if target in (None, s.target[1]) and source in (None, s.source[1])]

    def _run(self):
        while self._running:
            try:
                data, ancillary, _, address = self._socket.recvmsg(4096, 64)
            except TimeoutError:
                continue
            except OSError:
                return
            if address[2] != PACKET_HOST:
                continue
            stamp = time.time_ns()
            for level, kind, body in ancillary:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanos = struct.unpack("@ll", body[:16])
                    stamp = seconds * 1_000_000_000 + nanos
            self._take(data, (stamp - self._offset) / 1e9)

    def _take(self, data, mono):
        if len(data) < 40 or data[0] >> 4 != 4 or data[9] != 17:
            return
        header = (data[0] & 15) * 4
        source, target, length = struct.unpack_from("!HHH", data, header)
        body = data[header + 8:header + length]
        # Version 2; RTCP shares the version and is told apart by its types 200 to 207 (RFC 5761 4).
        if len(body) < 12 or body[0] >> 6 != 2 or 192 <= body[1] <= 223:
            return
        if self.ports is not None and not self.ports & {source, target}:
            return
        sequence, stamp, ssrc = struct.unpack_from("!HII", body, 2)
        skip = 12 + 4 * (body[0] & 15)
        key = (data[12:16], source, data[16:20], target, ssrc)
        with self._lock:
            if key not in self._streams:
                self._streams[key] = Stream((socket.inet_ntoa(key[0]), source), (socket.inet_ntoa(key[2]), target), ssrc)
            self._streams[key].packets.append((mono, sequence, stamp, body[1] & 0x7F, body[skip:]))
