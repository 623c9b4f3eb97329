"""The RTP capture against packets that the test itself sends."""

import os
import socket
import struct
import time

import numpy as np
import pytest

from hil.probes import wav
from hil.probes.rtp import RTPCapture

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a packet socket needs root")


def test_times_and_audio_of_a_stream_with_a_lost_packet():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    port = receiver.getsockname()[1]
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    octets = np.arange(1600, dtype=np.int64).astype(np.uint8)
    with RTPCapture(ports={port}) as capture:
        sent = []
        for n in range(10):
            sequence, stamp = (65530 + n) & 0xFFFF, (0xFFFFFF00 + 160 * n) & 0xFFFFFFFF
            if n != 6:
                sent.append(time.monotonic())
                sender.sendto(struct.pack("!BBHII", 0x80, 8, sequence, stamp, 5)
                              + octets[160 * n:160 * n + 160].tobytes(), ("127.0.0.1", port))
            sender.sendto(struct.pack("!BBHII", 0x80, 200, 6, 0, 5), ("127.0.0.1", port))     # RTCP: not taken
            time.sleep(0.005)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and sum(len(s.packets) for s in capture.streams()) < 9:
            time.sleep(0.01)
        stream, = capture.streams(target=port)
    assert (len(stream.packets), stream.missing, stream.reordered) == (9, 1, 0)
    expected = wav.alaw_expand(octets)
    expected[960:1120] = 0
    assert (stream.audio() == expected).all()
    assert max(abs(p[0] - t) for p, t in zip(stream.packets, sent)) < 0.002
    assert stream.time_of(170) == stream.packets[1][0]
    with pytest.raises(LookupError):
        stream.time_of(1000)
