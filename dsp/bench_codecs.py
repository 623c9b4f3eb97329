"""What the coders cost: `results()` for `make bench`, spandsp measured in the same run.

Real speech of the corpus (without it, an error that says so), 1,024 channels, 10 ms a call, state carried from call to call; ours and
spandsp's by turns, thread CPU time, the median of RUNS.  ns are for a sample of
one channel; G.722 samples are 16 kHz ones.  `python -m dsp.bench_codecs` prints.
"""

import ctypes
import ctypes.util
import json
import os
import pathlib
import statistics
import time
import wave

import numpy as np

from dsp import g722, g726, ima, isa

CHANNELS, TICKS, RUNS = 1024, 20, 9
REFERENCE_SAMPLES = 40000
DVI4 = 1                        # spandsp's IMA without block headers


def speech():
    """int16, the corpus's telephone prompts; their rate is 8 kHz."""
    folder = pathlib.Path(os.environ.get("STROWGER_CORPUS") or pathlib.Path(__file__).parents[2] / "shared/corpus") / "speech"
    parts = []
    for path in sorted(folder.glob("asterisk-*/**/*.wav")):
        with wave.open(str(path)) as file:
            if file.getframerate() == 8000 and file.getsampwidth() == 2 and file.getnchannels() == 1:
                parts.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    if sum(map(len, parts)) < 2 * REFERENCE_SAMPLES:
        raise FileNotFoundError(f"bench_codecs: no speech in {folder}; set STROWGER_CORPUS to the corpus")
    return np.concatenate(parts)


def _blocks(x, samples):
    """int16 (TICKS, CHANNELS, samples): each channel another place of the speech."""
    starts = np.arange(CHANNELS) * (len(x) - samples * TICKS) // CHANNELS
    return np.ascontiguousarray(np.stack([x[s:s + samples * TICKS] for s in starts]).reshape(CHANNELS, TICKS, samples).swapaxes(0, 1))


def kernels(x):
    """{name: (samples of a tick, function of a tick's number)}; decoders are given what the encoders made."""
    slots, found = np.arange(CHANNELS, dtype=np.int32), {}

    def pair(name, samples, octets, make, encode, decode):
        blocks, codes = _blocks(x, samples), np.empty((TICKS, CHANNELS, octets), np.uint8)
        states, out = (make(CHANNELS), make(CHANNELS)), np.empty((CHANNELS, samples), np.int16)
        found[name + "_encode"] = samples, lambda tick: encode(states[0], slots, blocks[tick], codes[tick])
        found[name + "_decode"] = samples, lambda tick: decode(states[1], slots, codes[tick], out)

    kernel = isa.load("_ima")
    for name, kind in (("ima", ima.HIGH_FIRST), ("vox", ima.VOX)):
        pair(name, 80, 40, ima.new_state, lambda *a, k=kind: kernel.call_encode(k, *a), lambda *a, k=kind: kernel.call_decode(k, *a))
    for bits in (2, 3, 4, 5):
        pair(f"g726_{8 * bits}", 80, 10 * bits, g726.new_state,
             lambda *a, b=bits: isa.load("_g726").call_encode(b, g726.LOW_FIRST, *a),
             lambda *a, b=bits: isa.load("_g726").call_decode(b, g726.LOW_FIRST, *a))
    pair("g722", 160, 80, g722.new_state, lambda *a: isa.load("_g722").call_encode(0, *a), lambda *a: isa.load("_g722").call_decode(0, 1, *a))
    return found


def references(x):
    """{name: function that handles REFERENCE_SAMPLES samples with spandsp, or None}, one call for all of them."""
    path = ctypes.util.find_library("spandsp")
    if path is None:
        raise OSError("bench_codecs: libspandsp is not installed; `make setup` names the package")
    lib, found = ctypes.CDLL(path), {}
    x = np.ascontiguousarray(x[:REFERENCE_SAMPLES])

    def pair(name, encoder, decoder, init, octets):
        """init: functions that make the two states."""
        codes, out = np.zeros(octets + 64, np.uint8), np.zeros(REFERENCE_SAMPLES + 64, np.int16)
        for function in (encoder, decoder):
            function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int], ctypes.c_int
        states = [ctypes.c_void_p(make()) for make in init]
        found[name + "_encode"] = lambda: encoder(states[0], codes.ctypes.data, x.ctypes.data, len(x))
        found[name + "_decode"] = lambda: decoder(states[1], out.ctypes.data, codes.ctypes.data, octets)

    def made(function, *arguments):
        function.restype = ctypes.c_void_p
        return lambda: function(None, *arguments)

    n = REFERENCE_SAMPLES
    pair("ima", lib.ima_adpcm_encode, lib.ima_adpcm_decode, [made(lib.ima_adpcm_init, DVI4, 0)] * 2, n // 2)
    pair("vox", lib.oki_adpcm_encode, lib.oki_adpcm_decode, [made(lib.oki_adpcm_init, 32000)] * 2, n // 2)
    for bits in (2, 3, 4, 5):
        pair(f"g726_{8 * bits}", lib.g726_encode, lib.g726_decode, [made(lib.g726_init, 8000 * bits, 0, 1)] * 2, n * bits // 8)
    pair("g722", lib.g722_encode, lib.g722_decode, [made(lib.g722_encode_init, 64000, 0), made(lib.g722_decode_init, 64000, 0)], n // 2)
    return found


def _timed(function):
    began = time.thread_time_ns()
    function()
    return time.thread_time_ns() - began


def results():
    """Rows for build/bench.json; ratio is how many times as fast as spandsp."""
    x, rows = speech(), []
    theirs = references(x)
    for name, (samples, tick) in kernels(x).items():
        def ours():
            for number in range(TICKS):
                tick(number)
        times = [(_timed(ours) / (TICKS * CHANNELS * samples), _timed(theirs[name]) / REFERENCE_SAMPLES) for _ in range(RUNS + 1)][1:]
        value, reference = (statistics.median(column) for column in zip(*times))
        rows.append({"name": f"dsp.{name}.ns", "value": round(value, 3), "unit": "ns/sample", "reference": "spandsp, same run",
                     "reference_value": round(reference, 2), "ratio": round(reference / value, 1),
                     "note": f"{isa.level()}, rows of 10 ms, {CHANNELS} channels, corpus speech"})
    return rows


if __name__ == "__main__":
    print(json.dumps(results(), indent=1))
