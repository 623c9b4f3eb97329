"""What the echo canceller costs and reaches, beside spandsp's in the same run.

    results() -> rows as in dsp/bench.py
    python -m dsp.bench_echo

4,096 channels of real speech, each with an echo of its own (a decaying path 25 ms
away, 10 dB down), 10 ms blocks.  dsp.echo_64ms.ns is the dear case: all channels are in their first
second and learn in each block, as spandsp's does for ever.  dsp.echo_64ms.conversation.ns is 1,024 channels after 18 s in which both
parties have spoken in turns of 2 s.  spandsp's
echo_can_update prints for every sample in 0.0.6; a small library built on the
spot hides that (LD_PRELOAD cannot, the printing is inside): its printf is bound
to a function that does nothing.  Where no C compiler is, there is no reference.
"""

import ctypes
import ctypes.util
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from dsp import bench, echo, g711, isa

P, I64 = ctypes.c_void_p, ctypes.c_int64
TICKS = 100
STUB = """
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
int printf(const char *f, ...) { (void)f; return 0; }
int __printf_chk(int l, const char *f, ...) { (void)l; (void)f; return 0; }
int puts(const char *s) { (void)s; return 0; }
int putchar(int c) { return c; }
typedef struct echo_can_state_s echo_can_state_t;
echo_can_state_t *echo_can_init(int, int);
int16_t echo_can_update(echo_can_state_t *, int16_t, int16_t);
#include <time.h>
int main(int n, char **v) {
    static int16_t x[80000], y[80000];
    FILE *in = fopen(v[1], "rb");
    if (!in || fread(x, 2, 80000, in) != 80000 || fread(y, 2, 80000, in) != 80000) return 1;
    double best = 1e9;
    for (int run = 0; run < 5; run++) {
        echo_can_state_t *s = echo_can_init(512, 1 | 2 | 4);
        struct timespec a, b;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        int sum = 0;
        for (int i = 0; i < 80000; i++) sum += echo_can_update(s, x[i], y[i]);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        double ns = ((b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec) / 80000;
        if (ns < best) best = ns;
        if (sum == 1) return 2;
    }
    fprintf(stderr, "%f", best);
    return 0;
}
"""


def _echo_of(x):
    """x through a decaying path of 12 ms, 25 ms away, 10 dB down."""
    rng = np.random.default_rng(8)
    taps = rng.normal(size=96) * np.exp(-np.arange(96) / 20)
    taps *= 10 ** (-10 / 20) / np.sqrt((taps ** 2).sum())
    return np.convolve(x, np.append(np.zeros(200), taps))[:len(x)]


def spandsp_ns(far, near):
    """ns per sample of spandsp's 64 ms canceller, best of five runs; None where it cannot be built."""
    library = ctypes.util.find_library("spandsp")
    if library is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "stub.c").write_text(STUB)
        np.concatenate([far[:80000], near[:80000]]).astype("<i2").tofile(folder / "samples")
        build = ["cc", "-O2", "-fno-builtin", "-rdynamic", "-w", "-o", folder / "stub", folder / "stub.c", f"-l:{library}", "-lm"]
        try:
            subprocess.run(build, check=True, capture_output=True)
            run = subprocess.run([folder / "stub", folder / "samples"], check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError):
            return None
        return float(run.stderr)


def results():
    x = bench.speech().astype(float)
    near = g711.expand(g711.compress(np.clip(np.rint(_echo_of(x)), -32768, 32767).astype(np.int16), g711.A), g711.A)
    x = x.astype(np.int16)
    begins = np.random.default_rng(1).integers(0, len(x) - 80 * TICKS, bench.CHANNELS)
    slots, flags = np.arange(bench.CHANNELS, dtype=np.int32), np.zeros(bench.CHANNELS, np.uint8)
    call = ctypes.CFUNCTYPE(None, P, P, P, P, P, I64, P, I64, P, I64, I64)(isa.pointer("_echo", "cancel"))
    rows = []
    reference = spandsp_ns(x, near)
    for name, partitions in (("echo_64ms", echo.TAIL_64_MS), ("echo_128ms", echo.TAIL_128_MS)):
        state, spent, powers = echo.new_state(bench.CHANNELS, partitions), [], []
        for tick in range(TICKS):
            at = (begins + 80 * tick)[:, None] + np.arange(80)
            far_rows, rows_in = np.ascontiguousarray(x[at]), np.ascontiguousarray(near[at])
            before = np.mean(rows_in.astype(float) ** 2)
            work = lambda: call(state.ctypes.data, slots.ctypes.data, slots.ctypes.data, slots.ctypes.data, flags.ctypes.data,
                                bench.CHANNELS, far_rows.ctypes.data, 80, rows_in.ctypes.data, 80, partitions)
            begin = bench.time.thread_time_ns()
            work()
            spent.append((bench.time.thread_time_ns() - begin) / (bench.CHANNELS * 80))
            powers.append(10 * np.log10(before / (np.mean(rows_in.astype(float) ** 2) + 1)))
        ns = float(np.median(spent))
        rows.append({"name": f"dsp.{name}.ns", "value": ns, "unit": "ns/sample", "reference": "spandsp echo_can_update, 64 ms",
                     "reference_value": reference, "ratio": reference / ns if reference else None})
        rows.append({"name": f"dsp.{name}.state_octets", "value": echo.octets_per_channel(partitions), "unit": "octets",
                     "reference": None, "reference_value": None, "ratio": None})
        rows.append({"name": f"dsp.{name}.loss_db", "value": float(np.median(powers[-20:])), "unit": "dB, processor on",
                     "reference": None, "reference_value": None, "ratio": None})
    ns = conversation_ns(x, near, call)
    rows.append({"name": "dsp.echo_64ms.conversation.ns", "value": ns, "unit": "ns/sample", "reference": "spandsp echo_can_update, 64 ms",
                 "reference_value": reference, "ratio": reference / ns if reference else None})
    return rows


def conversation_ns(x, near, call, channels=1024, ticks=1800, measured=200):
    """ns per sample, mean of the last blocks, long after the start; the near party speaks in each second turn, the far one always."""
    rng = np.random.default_rng(5)
    begins, others = rng.integers(0, len(x) - 80 * ticks, channels), rng.integers(0, len(x) - 80 * ticks, channels)
    turns, slots, flags = rng.integers(0, 400, channels), np.arange(channels, dtype=np.int32), np.zeros(channels, np.uint8)
    state, spent = echo.new_state(channels), []
    for tick in range(ticks):
        at = 80 * tick + np.arange(80)
        speaks = ((tick + turns) // 200 % 2)[:, None]
        far = np.ascontiguousarray(x[begins[:, None] + at])
        sent = np.clip(near[begins[:, None] + at].astype(np.int32) + speaks * x[others[:, None] + at], -32768, 32767).astype(np.int16)
        begin = bench.time.thread_time_ns()
        call(state.ctypes.data, slots.ctypes.data, slots.ctypes.data, slots.ctypes.data, flags.ctypes.data, channels, far.ctypes.data, 80,
             sent.ctypes.data, 80, echo.TAIL_64_MS)
        if tick >= ticks - measured:
            spent.append((bench.time.thread_time_ns() - begin) / (channels * 80))
    return float(np.mean(spent))


if __name__ == "__main__":
    for row in results():
        print(*row.values(), file=sys.stdout)
