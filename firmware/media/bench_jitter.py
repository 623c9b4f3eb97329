"""The playout buffer on traces of bad networks, beside speexdsp's jitter buffer: `results()` for `make bench`.

Traces are synthetic and seeded: packets of 20 ms, each with its delay in ms (None: lost).  Both buffers get the same
packets at the same ticks of 10 ms.  Told of each: what had to be concealed for want of a packet in time (share of the
time, real losses included), the mean delay from sending to playing, and the R of both by G.107 (native/quality.pxi):
a buffer may trade one for the other, R says which trade was good.  speexdsp (BSD, Debian's library) is loaded by ctypes,
here only; without it the reference is empty.
"""

import ctypes
import ctypes.util
import json
import random

from firmware.media import _engine
from firmware.media.kernels import Kernels

SECONDS = 120
PACKET, TICK = 160, 80          # samples


def traces(seconds=SECONDS):
    """{name: [delay in ms or None of each packet]}"""
    count = seconds * 50

    def rng(seed):
        return random.Random(seed)
    one = rng(1)
    found = {"clean": [5.0] * count}
    one = rng(2)
    found["jitter 10 ms"] = [30 + abs(one.gauss(0, 10)) for _ in range(count)]
    one = rng(3)
    found["jitter 30 ms"] = [40 + abs(one.gauss(0, 30)) for _ in range(count)]
    one, late = rng(4), 0.0
    found["radio: spikes of 80-150 ms"] = []
    for n in range(count):
        late = one.uniform(80, 150) if one.random() < 1 / 250 else max(0.0, late - 20)
        found["radio: spikes of 80-150 ms"].append(10 + one.expovariate(1 / 4) + late)
    one, bad = rng(5), False
    found["bursty loss 5 %"] = []
    for n in range(count):
        bad = one.random() < (0.6 if bad else 0.021)
        found["bursty loss 5 %"].append(None if bad else 30 + abs(one.gauss(0, 5)))
    one = rng(6)
    found["route changes of 60 ms"] = [20 + 60 * (n // 1000 % 2) + abs(one.gauss(0, 4)) for n in range(count)]
    one = rng(7)
    found["far clock 100 ppm fast, jitter 5 ms"] = [60 - n * 20 * 100e-6 + abs(one.gauss(0, 5)) for n in range(count)]
    one = rng(8)
    found["disorder 5 %"] = [20 + (35 if one.random() < 0.05 else 0) + one.uniform(0, 3) for _ in range(count)]
    return found


def arrivals(delays):
    """[(tick, number)] in order of arrival."""
    return sorted((int((20 * n + delay) // 10) + 1, 20 * n + delay, n) for n, delay in enumerate(delays) if delay is not None)


class Ours:
    """The engine's playout buffer."""

    def __init__(self, engine, jitter_ms=40):
        self.leg = _engine.RtpLeg(-1, -1, 8, 0, 0, 1)
        self.playout = _engine.Playout(engine, self.leg, 9, jitter_ms)

    def put(self, n):
        """Packet n has come."""
        self.playout.insert(PACKET * n, bytes([0x55 + n % 7]) * PACKET)

    def get(self):
        """10 ms are over: (timestamp of what is played or None, whether it is real)."""
        at, before = self.playout.position, self._concealed()
        self.playout.block()
        at = at if at is None or at < 1 << 31 else at - (1 << 32)
        return at, at is not None and self._concealed() == before

    def _concealed(self):
        stats = self.leg.stats()
        return stats["concealed_samples"] + stats["waiting_samples"]


class Packet(ctypes.Structure):
    """JitterBufferPacket of speex_jitter.h."""

    _fields_ = [("data", ctypes.c_char_p), ("len", ctypes.c_uint32), ("timestamp", ctypes.c_uint32),
                ("span", ctypes.c_uint32), ("sequence", ctypes.c_uint16), ("user_data", ctypes.c_uint32)]


class Speex:
    """libspeexdsp's jitter buffer, asked for a frame of 20 ms every second time: it gives out whole packets."""

    def __init__(self, library):
        self.library = library
        library.jitter_buffer_init.restype = ctypes.c_void_p
        self.state = ctypes.c_void_p(library.jitter_buffer_init(PACKET))
        self.buffer = ctypes.create_string_buffer(2048)
        self.started, self.ticks, self.last = False, 0, (None, False)

    def put(self, n):
        """Packet n has come."""
        packet = Packet(bytes(PACKET), PACKET, PACKET * n, PACKET, n & 0xFFFF, 0)
        self.library.jitter_buffer_put(self.state, ctypes.byref(packet))
        self.started = True

    def get(self):
        """10 ms are over."""
        if not self.started:
            return None, False
        self.ticks += 1
        if self.ticks % 2 == 0:
            return (self.last[0] + TICK, self.last[1])
        packet, offset = Packet(), ctypes.c_int32()
        packet.data = ctypes.cast(self.buffer, ctypes.c_char_p)
        packet.len = 2048
        code = self.library.jitter_buffer_get(self.state, ctypes.byref(packet), PACKET, ctypes.byref(offset))
        at = ctypes.c_int32(self.library.jitter_buffer_get_pointer_timestamp(self.state)).value - PACKET
        self.library.jitter_buffer_tick(self.state)
        self.last = at, code == 0
        return self.last


def run(buffer, delays):
    """{"concealed": share, "delay_ms": mean} of one buffer on one trace."""
    coming, at = arrivals(delays), 0
    missing = played = 0
    delay = 0.0
    for tick in range(2 * len(delays)):
        while at < len(coming) and coming[at][0] <= tick:
            buffer.put(coming[at][2])
            at += 1
        timestamp, real = buffer.get()
        if timestamp is None:
            continue
        played += 1
        missing += not real
        delay += tick * 10 - timestamp / 8
    share = missing / max(1, played)
    mean = delay / max(1, played)
    return {"concealed": share, "delay_ms": mean, "r": _engine.emodel(share, 1, mean + 20)[0]}


def measure(seconds=SECONDS):
    """[(trace, figures of ours, figures of the reference or None)]"""
    engine = _engine.Engine(Kernels())
    name = ctypes.util.find_library("speexdsp")
    library = ctypes.CDLL(name) if name else None
    rows = []
    for trace, delays in traces(seconds).items():
        rows.append((trace, run(Ours(engine), delays), run(Speex(library), delays) if library else None))
    return rows


def results():
    """Rows for build/bench.json: the mean R over all traces, and the worst trace."""
    rows = measure()
    note = "; ".join(f"{trace}: R {ours['r']:.1f}, {100 * ours['concealed']:.2f} % concealed, {ours['delay_ms']:.0f} ms"
                     + (f" (R {theirs['r']:.1f}, {100 * theirs['concealed']:.2f} %, {theirs['delay_ms']:.0f} ms)" if theirs else "")
                     for trace, ours, theirs in rows)
    ours = sum(row[1]["r"] for row in rows) / len(rows)
    theirs = sum(row[2]["r"] for row in rows) / len(rows) if rows[0][2] else None
    return [{"name": "media.jitter_buffer_mean_r", "value": round(ours, 2), "unit": "R", "reference": "speexdsp 1.2.1, same traces",
             "reference_value": theirs and round(theirs, 2), "ratio": theirs and round(ours / theirs, 3), "note": note}]


if __name__ == "__main__":
    print(json.dumps(results(), indent=1))
