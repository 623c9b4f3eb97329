"""What a kernel costs: nanoseconds per sample and channel, beside spandsp in the same run.

    results() -> [{"name", "value", "unit", "reference", "reference_value", "ratio"}]
    python -m dsp.bench        prints them

Input is real speech (the corpus, else the prompts); 4,096 channels, 10 ms
blocks, each channel at another place of the speech; time is the thread's CPU time, the median of
several runs.  Ours is called through the C pointers, as the engine does, once
a tick for all channels.  spandsp is called with a second of one channel at a
time, so that the call from Python (about 1 us) does not count, and its
callbacks go to a C function that does nothing.  spandsp has no mixer: its
place is taken by numpy.  Ratios travel between machines, absolute figures do not.
"""

import ctypes
import ctypes.util
import os
import pathlib
import statistics
import struct
import time

import numpy as np

from dsp import dtmf, g711, hdlc, isa, mix, plc, progress, tone

CHANNELS, TICKS, RUNS = 4096, 12, 9
CHECKOUT = pathlib.Path(__file__).parents[1]
P, I64 = ctypes.c_void_p, ctypes.c_int64
CALLS = {  # argument types of the functions that are measured; see isa.py
    "expand_rows": [P, I64, P, P, I64, P, P, I64, I64], "compress_rows": [P, I64, P, P, I64, P, P, I64, I64],
    "frames_to_rows": [P, I64, P, I64, I64, I64], "detect": [P, P, P, I64, P, I64, P, P, I64],
    "bridges": [P, I64, P, I64, P, P, I64, I64], "generate": [P, P, P, P, I64, P, I64, I64, P],
    "conceal": [P, P, P, P, I64, P, I64], "receive": [P, P, P, I64, P, I64, I64, P, I64, P, I64],
    "transmit": [P, P, P, I64, P, I64, I64]}


def function(kernel, name):
    """One of our C functions as a ctypes function that takes numpy arrays' addresses."""
    return ctypes.CFUNCTYPE(I64, *CALLS[name])(isa.pointer(kernel, name))


def speech():
    """A few minutes of speech, int16 at 8 kHz. Raises FileNotFoundError where there is none."""
    corpus = pathlib.Path(os.environ.get("STROWGER_CORPUS") or CHECKOUT.parent / "shared/corpus")
    prompts = pathlib.Path(os.environ.get("STROWGER_PROMPTS") or CHECKOUT / "build/prompts")
    parts = [_wav(path) for folder in (corpus / "speech", prompts) for path in sorted(folder.rglob("*.wav"))]
    parts = [x for x in parts if x is not None]
    if not parts:
        raise FileNotFoundError(f"dsp/bench: no 8 kHz speech under {corpus} or {prompts}; set STROWGER_CORPUS or make the prompts")
    return np.concatenate(parts)


def _wav(path):
    """Samples of a mono 8 kHz WAV, linear or A-law; None for any other."""
    octets, at, kind = path.read_bytes(), 12, None
    while at + 8 <= len(octets):
        name, length = octets[at:at + 4], struct.unpack_from("<I", octets, at + 4)[0]
        if name == b"fmt ":
            kind = struct.unpack_from("<HHIIHH", octets, at + 8)
        if name == b"data" and kind and kind[1:3] == (1, 8000):
            data = octets[at + 8:at + 8 + length]
            if kind[0] == 1 and kind[5] == 16:
                return np.frombuffer(data[:len(data) & ~1], "<i2")
            return g711.expand(np.frombuffer(data, np.uint8), g711.A) if kind[0] == 6 else None
        at += 8 + length + (length & 1)
    return None


def timed(work, units):
    """Median over RUNS of the thread's CPU time of work(), in ns per unit; the first run warms up."""
    work()
    found = []
    for _ in range(RUNS):
        begin = time.thread_time_ns()
        work()
        found.append((time.thread_time_ns() - begin) / units)
    return statistics.median(found)


class Bench:
    """Inputs of all measurements, and the library beside."""

    def __init__(self):
        x = speech()
        rng = np.random.default_rng(1)
        begins = rng.integers(0, len(x) - 80 * TICKS, CHANNELS)
        self.blocks = np.stack([np.stack([x[b + 80 * t:b + 80 * t + 80] for b in begins]) for t in range(TICKS)])
        self.octets = g711.compress(self.blocks, g711.A)
        self.second = [np.ascontiguousarray(x[b:b + 8000]) for b in rng.integers(0, len(x) - 8000, 48)]
        self.all = np.arange(CHANNELS, dtype=np.int32)
        self.y = np.zeros((CHANNELS, 80), np.int16)
        self.law = np.zeros(CHANNELS, np.uint8)
        name = ctypes.util.find_library("spandsp")
        self.spandsp = ctypes.CDLL(name) if name else None
        self.nothing = ctypes.cast(ctypes.CDLL(None).labs, P)

    def ticks(self, call):
        """ns per sample of call(tick) over all channels."""
        return timed(lambda: [call(t) for t in range(TICKS)], TICKS * CHANNELS * 80)

    def seconds(self, call):
        """ns per sample of call(second of speech)."""
        return timed(lambda: [call(x) for x in self.second], len(self.second) * 8000)

    def state(self, init, *arguments):
        """A state of spandsp; its function must have been given restype."""
        maker = getattr(self.spandsp, init)
        maker.restype = P
        return P(maker(*arguments))

    def g711_expand(self):
        call = function("_g711", "expand_rows")
        ours = self.ticks(lambda t: call(self.octets[t].ctypes.data, 80, None, self.y.ctypes.data, 80, None, self.law.ctypes.data, CHANNELS, 80))
        if not self.spandsp:
            return ours, None
        state, out = self.state("g711_init", None, 0), np.zeros(8000, np.int16)
        coded = {id(x): g711.compress(x, g711.A) for x in self.second}
        return ours, self.seconds(lambda x: self.spandsp.g711_decode(state, P(out.ctypes.data), P(coded[id(x)].ctypes.data), 8000))

    def g711_compress(self):
        call, out = function("_g711", "compress_rows"), np.zeros((CHANNELS, 80), np.uint8)
        ours = self.ticks(lambda t: call(self.blocks[t].ctypes.data, 80, None, out.ctypes.data, 80, None, self.law.ctypes.data, CHANNELS, 80))
        if not self.spandsp:
            return ours, None
        state, out8 = self.state("g711_init", None, 0), np.zeros(8000, np.uint8)
        return ours, self.seconds(lambda x: self.spandsp.g711_encode(state, P(out8.ctypes.data), P(x.ctypes.data), 8000))

    def dtmf_detect(self):
        call, state, events = function("_dtmf", "detect"), dtmf.new_state(CHANNELS), np.zeros(2 * CHANNELS, dtmf.EVENT_DTYPE)
        slots = self.all.ctypes.data
        ours = self.ticks(lambda t: call(state.ctypes.data, slots, slots, CHANNELS, self.blocks[t].ctypes.data, 80, None, events.ctypes.data, len(events)))
        if not self.spandsp:
            return ours, None
        theirs = self.state("dtmf_rx_init", None, None, None)
        return ours, self.seconds(lambda x: self.spandsp.dtmf_rx(theirs, P(x.ctypes.data), 8000))

    def progress(self):
        """The Chinese plan."""
        table, _ = progress.compile_plan({"busy": {"frequencies_hz": [450], "cadence_ms": [350, 350]},
                                          "ringback": {"frequencies_hz": [450], "cadence_ms": [1000, 4000]}})
        call, state = ctypes.CFUNCTYPE(I64, P, *CALLS["detect"][:6], P, I64)(isa.pointer("_progress", "detect")), progress.new_state(CHANNELS)
        events, slots = np.zeros(2 * CHANNELS, progress.EVENT_DTYPE), self.all.ctypes.data
        return self.ticks(lambda t: call(table.ctypes.data, state.ctypes.data, slots, slots, CHANNELS, self.blocks[t].ctypes.data, 80,
                                         events.ctypes.data, len(events))), None

    def mix(self):
        """Bridges of three: every member hears the two others."""
        call = function("_mix", "bridges")
        start = np.arange(0, CHANNELS // 3 * 3 + 1, 3, dtype=np.int32)
        ours = self.ticks(lambda t: call(self.blocks[t].ctypes.data, 80, self.y.ctypes.data, 80, start.ctypes.data, self.all.ctypes.data, len(start) - 1, 80))

        def with_numpy(t):
            x = self.blocks[t][:CHANNELS // 3 * 3].reshape(-1, 3, 80)
            np.clip(x.sum(1, dtype=np.int32)[:, None] - x, -32768, 32767).astype(np.int16)
        return ours, self.ticks(with_numpy)

    def plc(self):
        """2 % of the blocks lost."""
        call, state, rng = function("_plc", "conceal"), plc.new_state(CHANNELS), np.random.default_rng(2)
        lost = (rng.random((TICKS, CHANNELS)) < 0.02).astype(np.uint8)
        slots, work = self.all.ctypes.data, self.blocks.copy()
        ours = self.ticks(lambda t: call(state.ctypes.data, slots, slots, lost[t].ctypes.data, CHANNELS, work[t].ctypes.data, 80))
        if not self.spandsp:
            return ours, None
        theirs = self.state("plc_init", None)
        copies = {id(x): x.copy() for x in self.second}

        def one(x):
            self.spandsp.plc_rx(theirs, P(copies[id(x)].ctypes.data), 7840)
            self.spandsp.plc_fillin(theirs, P(copies[id(x)].ctypes.data), 80)
            self.spandsp.plc_fillin(theirs, P(copies[id(x)].ctypes.data), 80)
        return ours, self.seconds(one)

    def tone(self):
        """A dial tone of two frequencies."""
        table, numbers = tone.compile_plan({"dial": {"frequencies_hz": [350, 440], "level_dbm0": -13}})
        call, state = function("_tone", "generate"), tone.new_state(CHANNELS)
        for slot in range(CHANNELS):
            tone.start(state, slot, numbers["dial"])
        slots = self.all.ctypes.data
        ours = self.ticks(lambda t: call(table.ctypes.data, state.ctypes.data, slots, slots, CHANNELS, self.y.ctypes.data, 80, 80, None))
        if not self.spandsp:
            return ours, None
        descriptor = self.state("tone_gen_descriptor_init", None, 350, -13, 440, -13, 1000, 0, 0, 0, 1)
        theirs, out = self.state("tone_gen_init", None, descriptor), np.zeros(8000, np.int16)
        return ours, self.seconds(lambda x: self.spandsp.tone_gen(theirs, P(out.ctypes.data), 8000))

    def _hdlc(self, octets):
        """octets: (64 channels, TICKS blocks of 80)."""
        n = len(octets)
        call, state, slots = function("_hdlc", "receive"), hdlc.new_rx_state(n), np.arange(n, dtype=np.int32)
        frames, index = np.zeros(n * 1200, np.uint8), np.zeros(n * 30, hdlc.FRAME_DTYPE)
        repeat, s, f, i, where = 20, state.ctypes.data, frames.ctypes.data, index.ctypes.data, slots.ctypes.data
        blocks = [octets[:, t].ctypes.data for t in range(octets.shape[1])]
        ours = timed(lambda: [call(s, where, where, n, block, octets.strides[0], 80, f, len(frames), i, len(index))
                              for _ in range(repeat) for block in blocks], repeat * octets.size)
        if not self.spandsp:
            return ours, None
        theirs = self.state("hdlc_rx_init", None, 0, 0, 1, self.nothing, None)
        mirrored = np.packbits(np.unpackbits(octets.reshape(n, -1), axis=1, bitorder="little"), axis=1)
        return ours, timed(lambda: [self.spandsp.hdlc_rx_put(theirs, P(row.ctypes.data), len(row)) for _ in range(repeat) for row in mirrored], repeat * octets.size)

    def hdlc(self):
        """Frames of 20 to 260 octets without a pause, 64 channels; per octet."""
        rng, state = np.random.default_rng(3), hdlc.new_tx_state(64)
        for slot in range(64):
            while hdlc.put(state, slot, rng.integers(0, 256, rng.integers(20, 260)).astype(np.uint8).tobytes()):
                pass
        return self._hdlc(np.stack([hdlc.transmit(state, 80) for _ in range(60)], 1))

    def hdlc_idle(self):
        """Flags only, 64 channels; per octet."""
        return self._hdlc(np.full((64, 60, 80), 0x7E, np.uint8))

    def turn(self):
        """Frames of the ring to rows; per octet."""
        call, rows = function("_rows", "frames_to_rows"), np.zeros((2048, 80), np.uint8)
        frames = np.ascontiguousarray(self.octets[0, :2048].T)
        return timed(lambda: [call(frames.ctypes.data, 2048, rows.ctypes.data, 80, 80, 2048) for _ in range(10)], 10 * rows.size), None


def results():
    """Measure everything; see the module docstring."""
    bench = Bench()
    rows = []
    for name, reference in (("g711_expand", "spandsp"), ("g711_compress", "spandsp"), ("dtmf_detect", "spandsp"), ("progress", None), ("mix", "numpy"), ("plc", "spandsp"),
                            ("tone", "spandsp"), ("hdlc", "spandsp"), ("hdlc_idle", "spandsp"), ("turn", None)):
        ours, theirs = getattr(bench, name)()
        rows.append({"name": f"dsp.{name}.ns", "value": round(ours, 4), "unit": "ns/sample/channel",
                     "reference": reference if theirs is not None else None,
                     "reference_value": None if theirs is None else round(theirs, 4),
                     "ratio": None if theirs is None else round(theirs / ours, 1)})
    return rows


if __name__ == "__main__":
    print(f"kernels {isa.level()}, {CHANNELS} channels, blocks of 80 samples, real speech")
    for row in results():
        print("{name:24} {value:9.3f} {unit}   {reference} {reference_value}   ratio {ratio}".format(**row))
