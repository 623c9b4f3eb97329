"""How far the kernels of a full board are from what the machine could do: 4,096 channels, none of them in a cache.

    results() -> rows as in dsp/bench.py: ns per sample and channel beside the bound
    python -m dsp.bench_roofline

The channels are gone through as the tick does it: 64 neighbours pass all functions, then the
next 64, so each function finds the state of 64 channels cold and its samples warm.  The bound is the greater of

    octets   that a channel's block moves at least (state read, what changes of it written, its rows),
             over the bandwidth of a copy of 256 MB, measured in the same run
    flops    counted by hand from the code, over what dsp-figures.md gives for a core and its registers

ratio: bound over ours; 1 is the roof.  Time is the thread's CPU time, medians.
"""

import ctypes
import time

import numpy as np

from dsp import bench, dtmf, echo, isa, level, noise, vad

P, I64 = ctypes.c_void_p, ctypes.c_int64
CHANNELS, UNIT, TICKS, LEARN_TICKS = bench.CHANNELS, 64, 16, 12
GFLOPS = {"v2": 48, "v3": 96, "v4": 194}    # dsp-figures.md, one core of some 3.4 GHz; v2 is half of v3
ROWS = 3 * 160                              # far, near in and out: int16
TRANSFORM = 5100                            # of 256 real values: radix 4, 4, 4, 2 and the separation


def pieces():
    """{name: (octets, flops) of a channel's block of 80}."""
    control, correlation, ring, taps = 37 * 4, 49 * 4, 304 * 4, echo.octets_per_channel() - 37 * 4 - 50 * 4 - 320 * 4
    rest = 2 * (control + correlation) + ring + 160 + taps / 2 + ROWS
    convolve, correlate, solve = 3 * 128 * 8, 49 * 80 * 2, 23000
    return {"echo_rest": (rest, 4 * TRANSFORM + convolve + correlate + 3000),
            "echo_learning": (rest + taps, 12 * TRANSFORM + 3 * convolve + correlate + solve + 4000),
            "noise": (2 * noise.slot_octets() + ROWS, 2 * TRANSFORM + 129 * 110),
            "vad": (2 * vad.slot_octets() + 160, 80 * 12),
            "level": (2 * level.SLOT_OCTETS + 2 * 160, 80 * 12),
            "dtmf": (2 * 4 + 1 + 160, 40 * 16 * 2 + 80 * 5)}


def copy_gbps():
    """Octets read and written by a copy far larger than a cache, in GB/s: the best of some."""
    a, b, best = np.ones(1 << 25, np.float64), np.zeros(1 << 25, np.float64), 0.0
    for _ in range(5):
        began = time.thread_time_ns()
        np.copyto(b, a)
        best = max(best, 2 * a.nbytes / (time.thread_time_ns() - began))
    return best


def measured():
    """{name: ns a sample and channel}."""
    x = bench.speech()
    rng = np.random.default_rng(4)
    begins = rng.integers(0, len(x) - 80 * (TICKS + LEARN_TICKS), CHANNELS)
    states = {"echo": echo.new_state(CHANNELS), "noise": noise.new_state(CHANNELS), "vad": vad.new_state(CHANNELS),
              "level": level.new_state(CHANNELS), "dtmf": dtmf.new_state(CHANNELS)}
    call = {name: ctypes.CFUNCTYPE(None, *types)(isa.pointer("_" + name, function)) for name, function, types in (
        ("echo", "cancel", (P, P, P, P, P, I64, P, I64, P, I64, I64)), ("noise", "reduce", (P, P, P, I64, P, I64)),
        ("vad", "detect", (P, P, P, I64, P, I64, P, P)), ("level", "control", (P, P, P, I64, P, I64, P)),
        ("dtmf", "detect", (P, P, P, I64, P, I64, P, P, I64)))}
    slots, said = np.arange(CHANNELS, dtype=np.int32), np.zeros(CHANNELS, np.uint8)
    events, found = np.zeros(2 * CHANNELS, dtmf.EVENT_DTYPE), {}
    address = {name: state.ctypes.data for name, state in states.items()}
    for tick in range(LEARN_TICKS + TICKS):
        flags = np.full(CHANNELS, echo.FREEZE if tick >= LEARN_TICKS else 0, np.uint8)
        far = np.ascontiguousarray(x[(begins + 80 * tick)[:, None] + np.arange(80)])
        near = far // 4 + rng.integers(-60, 60, far.shape).astype(np.int16)
        spent = dict.fromkeys(states, 0)
        for first in range(0, CHANNELS, UNIT):
            at, rows, flag = slots.ctypes.data + 4 * first, near.ctypes.data, flags.ctypes.data + first
            for name, work in (("echo", lambda: call["echo"](address["echo"], at, at, at, flag, UNIT, far.ctypes.data, 80, rows, 80, 3)),
                               ("noise", lambda: call["noise"](address["noise"], at, at, UNIT, rows, 80)),
                               ("vad", lambda: call["vad"](address["vad"], at, at, UNIT, rows, 80, said.ctypes.data, None)),
                               ("level", lambda: call["level"](address["level"], at, at, UNIT, rows, 80, said.ctypes.data)),
                               ("dtmf", lambda: call["dtmf"](address["dtmf"], at, at, UNIT, rows, 80, None, events.ctypes.data, 2 * UNIT))):
                began = time.thread_time_ns()
                work()
                spent[name] += time.thread_time_ns() - began
        for name, ns in spent.items():
            name = name if name != "echo" else "echo_rest" if tick >= LEARN_TICKS else "echo_learning"
            found.setdefault(name, []).append(ns / CHANNELS / 80)
    return {name: float(np.median(values[2:])) for name, values in found.items()}


def results():
    gbps, gflops, rows = copy_gbps(), GFLOPS[isa.level()], []
    ours = measured()
    for name, (octets, flops) in pieces().items():
        memory, arithmetic = octets / 80 / gbps, flops / 80 / gflops
        bound = max(memory, arithmetic)
        rows.append({"name": f"dsp.roofline.{name}.ns", "value": round(ours[name], 4), "unit": "ns/sample/channel",
                     "reference": f"roofline: memory {memory:.2f} ns at {gbps:.1f} GB/s, arithmetic {arithmetic:.2f} ns at {gflops} GFLOP/s",
                     "reference_value": round(bound, 4), "ratio": round(bound / ours[name], 3)})
    return rows


if __name__ == "__main__":
    for row in results():
        print("{name:34} {value:9.3f} {unit}   {reference_value} ({reference})   ratio {ratio}".format(**row))
