"""What enhancement costs: noise reduction, level control, voice activity, beside speexdsp and WebRTC in the same run.

    results() -> rows as dsp/bench.py has them
    python -m dsp.bench_enhance

Real speech, 4,096 channels, 10 ms blocks, all slots, C pointers, thread CPU time,
median of several runs (dsp/bench.py).  What works in place gets a fresh copy of
its block each time, theirs and ours; the copy counts.  The references take a second of one
channel at a time.  Their parts cannot be had alone at their own price: a
speexdsp with the noise reduction off still transforms, and the fair row is
enhance.ns, all three at once.  WebRTC is Debian's webrtc-audio-processing
through tests/dsp/webrtc_apm.cpp, compiled to build/ at the first run; where
compiler or library is missing its rows have no reference.
"""

import contextlib
import ctypes
import ctypes.util
import os
import pathlib
import subprocess

import numpy as np

from dsp import bench, isa, level, noise, vad

CHECKOUT = pathlib.Path(__file__).parents[1]
P, I64 = ctypes.c_void_p, ctypes.c_int64
CHANNELS = bench.CHANNELS
SPEEX = {"denoise": 0, "agc": 2, "vad": 4}      # SPEEX_PREPROCESS_SET_...


def function(kernel, name, n_pointers):
    """(state, slot, row, n, x, stride, ...pointers) of a kernel."""
    return ctypes.CFUNCTYPE(None, P, P, P, I64, P, I64, *[P] * n_pointers)(isa.pointer(kernel, name))


@contextlib.contextmanager
def quiet():
    """What a library says on standard error goes nowhere: speexdsp warns at each detector that it is a simple one."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def webrtc_library():
    """The compiled shim, or None."""
    source, library = CHECKOUT / "tests/dsp/webrtc_apm.cpp", CHECKOUT / "build/webrtc_apm.so"
    try:
        if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "webrtc-audio-processing"], check=True, capture_output=True, text=True).stdout.split()
            subprocess.run(["c++", "-O2", "-w", "-shared", "-fPIC", "-o", str(library), str(source), *flags], check=True, capture_output=True)
        found = ctypes.CDLL(str(library))
    except (OSError, subprocess.CalledProcessError):
        return None
    found.apm_new.restype = P
    return found


class Enhance(bench.Bench):
    """Ours and theirs on the inputs of dsp/bench.py."""

    def __init__(self):
        super().__init__()
        name = ctypes.util.find_library("speexdsp")
        self.speexdsp = ctypes.CDLL(name) if name else None
        self.webrtc = webrtc_library()
        self.work = np.empty_like(self.blocks[0])
        self.slots = self.all.ctypes.data
        self.flags = np.full(CHANNELS, 2, np.uint8)

    def fresh(self, t):
        """Address of a writable copy of block t."""
        np.copyto(self.work, self.blocks[t])
        return self.work.ctypes.data

    def noise(self):
        call, state = function("_noise", "reduce", 0), noise.new_state(CHANNELS)
        return self.ticks(lambda t: call(state.ctypes.data, self.slots, self.slots, CHANNELS, self.fresh(t), 80))

    def vad(self):
        call, state = function("_vad", "detect", 2), vad.new_state(CHANNELS)
        return self.ticks(lambda t: call(state.ctypes.data, self.slots, self.slots, CHANNELS, self.blocks[t].ctypes.data, 80, self.flags.ctypes.data, None))

    def agc(self):
        call, state = function("_level", "control", 1), level.new_state(CHANNELS)
        return self.ticks(lambda t: call(state.ctypes.data, self.slots, self.slots, CHANNELS, self.fresh(t), 80, self.flags.ctypes.data))

    def on_copies(self, call):
        """ns per sample of call(address of a second, writable)."""
        x = np.empty(8000, np.int16)

        def one(second):
            np.copyto(x, second)
            call(x.ctypes.data)
        return self.seconds(one)

    def speex(self, *wanted):
        """speexdsp with these functions on, 20 ms frames (its usual size)."""
        if not self.speexdsp:
            return None
        self.speexdsp.speex_preprocess_state_init.restype = P
        state = P(self.speexdsp.speex_preprocess_state_init(160, 8000))
        for name, request in SPEEX.items():
            with quiet():
                self.speexdsp.speex_preprocess_ctl(state, request, ctypes.byref(ctypes.c_int(name in wanted)))
        run = self.speexdsp.speex_preprocess_run
        return self.on_copies(lambda x: [run(state, P(x + 2 * at)) for at in range(0, 8000, 160)])

    def apm(self, noise_on, level_on, voice_on):
        """webrtc-audio-processing with these functions on."""
        if not self.webrtc:
            return None
        state = P(self.webrtc.apm_new(noise_on, level_on, voice_on))
        first = self.second[0].copy()
        assert self.webrtc.apm_run(state, P(first.ctypes.data), 8000) == 0
        return self.on_copies(lambda x: self.webrtc.apm_run(state, P(x), 8000))


def results():
    """Measure everything; see the module docstring."""
    b = Enhance()
    ours = {"noise": b.noise(), "vad": b.vad(), "agc": b.agc()}
    ours["enhance"] = sum(ours.values())
    speex = {"noise": b.speex("denoise"), "vad": b.speex("vad"), "agc": b.speex("agc"), "enhance": b.speex("denoise", "agc", "vad")}
    webrtc = {"noise": b.apm(1, 0, 0), "vad": b.apm(0, 0, 1), "agc": b.apm(0, 1, 0), "enhance": b.apm(1, 1, 1)}
    rows = []
    for library, theirs, suffix in (("speexdsp", speex, ""), ("webrtc-audio-processing", webrtc, "_webrtc")):
        for name, value in ours.items():
            other = theirs[name]
            rows.append({"name": f"dsp.{name}{suffix}.ns", "value": round(value, 4), "unit": "ns/sample/channel", "reference": library if other else None,
                         "reference_value": other and round(other, 4), "ratio": other and round(other / value, 1)})
    octets = noise.slot_octets() + vad.slot_octets() + level.SLOT_OCTETS
    rows.append({"name": "dsp.enhance.state_octets", "value": octets, "unit": "octets/channel", "reference": None, "reference_value": None, "ratio": None})
    return rows


if __name__ == "__main__":
    print(f"kernels {isa.level()}, {CHANNELS} channels, blocks of 80 samples, real speech")
    for row in results():
        print("{name:26} {value:9.3f} {unit}   {reference} {reference_value}   ratio {ratio}".format(**row))
