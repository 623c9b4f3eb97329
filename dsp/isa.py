"""Choose the build of the kernels that fits this processor, and hand out their C functions.

Each `_name.pyx` here is compiled for x86-64-v2, v3 and v4 into
dsp/_isa/<level>/_name.so.  The level comes from the flags in /proc/cpuinfo;
STROWGER_ISA=v2|v3|v4 overrides it.  On another architecture there is one
build, called v2.

    module = isa.load("_g711")             the build for this processor
    isa.capsules("_g711")                  {"expand_rows": PyCapsule, ...}
    isa.pointer("_g711", "expand_rows")    address as int, for uintptr_t

The name of a capsule is the C signature of the function (the strings below,
one line, without parameter names); PyCapsule_GetPointer with the signature
that the engine was written for therefore refuses a kernel that changed.
All functions are noexcept, nogil, allocate nothing and touch no Python.

Layouts
  rows    one row per channel: int16 x[row][80] or uint8 octets[row][80]; a
          *stride* is the distance of two rows in elements (80, or more).
          This is what RTP, files and bridges use: a row is one run of memory.
  frames  what the board's ring holds: uint8 [frame][2048]; `_rows` turns
          frames to rows and back.
Index arrays are int32.  `slot` numbers a state record of a kernel, `row` a
row; both are chosen by the caller and may be sparse.  Where a NULL index
array is allowed it means 0, 1, 2, ...  n is the length of the index arrays.
Voice kernels (_echo, _noise, _level, _vad) take rows too and work on lanes inside:
LANES slots that are neighbours (16, 8 or 4 by level) are one group, whose state
is one run of memory and stays in the first-level cache.  A list of slots is to be
in ascending order, each slot once; a group costs the same however many of its
slots are named, so slots that are in use together are to be neighbours.  DTMF
needs no lanes: its correlations run along the row.

State arrays are made at start by `<module>.new_state(n)` (numpy uint8, 64-octet
aligned, keep the object alive, pass `.ctypes.data`) and need no other
initialisation than what new_state does.

C functions (capsule key: signature; then the meaning)
_rows  (public: dsp/rows.py)
  frames_to_rows: void (const uint8_t *, int64_t, uint8_t *, int64_t, int64_t, int64_t)
      (frames, frame_stride 2048, rows, row_stride, n_frames, n_columns)
      rows[c][f] = frames[f][c]; a block that wraps in the ring is two calls, the
      second with rows + n_first.
  rows_to_frames: void (const uint8_t *, int64_t, uint8_t *, int64_t, int64_t, int64_t)
      (rows, row_stride, frames, frame_stride, n_frames, n_columns)   the reverse
  copy_rows16: void (const int16_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, int64_t, int64_t)
      (from, from_stride, from_row, to, to_stride, to_row, n, n_samples)
_g711  (dsp/g711.py)  law: 0 = A, 1 = mu
  expand_rows: void (const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, const uint8_t *, int64_t, int64_t)
      (octets, octets_stride, octets_row, x, x_stride, x_row, law, n, n_samples)
      law: uint8 [n], one a row; index arrays may be NULL.  x is 16 bit, left aligned (+3.14 dBm0 sine = 32124 for A-law 32256)
  compress_rows: void (const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, const uint8_t *, int64_t, int64_t)
      (x, x_stride, x_row, octets, octets_stride, octets_row, law, n, n_samples)
  expand: void (int64_t, const uint8_t *, int16_t *, int64_t)      (law, octets, x, n_samples)
  compress: void (int64_t, const int16_t *, uint8_t *, int64_t)    (law, x, octets, n_samples)
  convert: void (int64_t, const uint8_t *, uint8_t *, int64_t)     (law from, in, out, n): to the other law, G.711 tables 3, 4; in place allowed
_mix  (dsp/mix.py)
  bridges: void (const int16_t *, int64_t, int16_t *, int64_t, const int32_t *, const int32_t *, int64_t, int64_t)
      (x, x_stride, y, y_stride, start, member, n_bridges, n_samples)
      bridge b joins the rows member[start[b]:start[b+1]]; y[m] = all others of x, saturated.
      One member hears silence, two are copied crosswise.  Rows not named are left alone.
  routes: void (const int16_t *, int64_t, int16_t *, int64_t, const int32_t *, const int32_t *, const int32_t *, const int32_t *, int64_t, int64_t)
      (x, x_stride, y, y_stride, out_row, start, source, gain, n_outs, n_samples)
      y[out_row[i]] = saturated sum over j in start[i]:start[i+1] of x[source[j]] * gain[j] / 4096; gain NULL = all 0 dB.
      This is topology: one way, whisper, level per pair.
_dtmf  (dsp/dtmf.py)  new_state(n_slots)
  detect: int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, void *, int64_t)
      (state, slot, row, n, x, x_stride, present, events, max_events) -> number of events written
      Always 80 samples a call, each slot once.  present: uint8 by slot, or NULL: 0 nothing, 1 perhaps a digit (mute
      towards a bridge from here: at most 28 ms have leaked), 2 a digit.
      event: {int32 slot; uint8 digit (ASCII); uint8 on (1 begin, 0 end); uint16 duration_ms (at end)}, dtmf.EVENT_DTYPE
  reset: void (void *, int32_t)      (state, slot): forget; no end event is sent
_tone  (dsp/tone.py)  new_state(n_slots); table from tone.compile_plan(plan) -> (uint8 array, {name: tone number})
  start: void (void *, int32_t, int32_t, int64_t)      (state, slot, tone, position_samples)
  stop: void (void *, int32_t)
  generate: void (const void *, void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, int64_t, int32_t *)
      (table, state, slot, row, n, x, x_stride, n_samples, produced)
      Fills n_samples of each row; a tone that ends (digits, tones with "repeat") leaves zeros after
      produced[i] samples and produced[i] < n_samples; produced may be NULL.  DTMF digits are tones
      "dtmf_0" .. "dtmf_9" "dtmf_A" .. "dtmf_D" "dtmf_*" "dtmf_#" of every table (70 ms on, 70 ms off, once).
_progress  (dsp/progress.py)  call-progress detector; new_state(n_slots), table from progress.compile_plan(plan)
  detect: int64_t (const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t)
      (table, state, slot, row, n, x, x_stride, events, max_events) -> number of events
      event: {int32 slot; int16 tone; uint8 on; uint8 0}, progress.EVENT_DTYPE
  reset: void (void *, int32_t)
_mf  (dsp/mf.py)  R2 and R1 receivers; new_state(n_slots), table from mf.table("r2_forward" | "r2_backward" | "r1"); what is sent: tones of mf.plan()
  detect: int64_t (const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t)
      (table, state, slot, row, n, x, x_stride, events, max_events) -> number of events, at most 2 a row
      event: {int32 slot; uint8 signal (1 to 15); uint8 on; int16 at}, mf.EVENT_DTYPE; at: samples from the
      first of this block, negative before it.  One call a table; reset a slot before another table.
  reset: void (void *, int32_t)
_modem  (dsp/modem.py)  fax and modem tones; new_state(n_slots); what is sent: tones of modem.plan()
  detect: int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, void *, int64_t)
      (state, slot, row, n, x, x_stride, control, events, max_events) -> number of events, at most 6 a row
      control: uint8 by slot, or NULL: modem.TONE | CANCELLER | HELD, the disabler's state of one direction
      event: {int32 slot; uint8 tone; uint8 on; int16 0}, modem.EVENT_DTYPE
  reset: void (void *, int32_t)
_fsk  (dsp/fsk.py)  caller identification; new_rx_state(n), new_tx_state(n), table from fsk.table("bell202" | "v23")
  detect: as _mf's; at most 10 events a row: {int32 slot; uint8 kind; uint8 octet; uint16 gap}, fsk.EVENT_DTYPE, for fsk.Receiver
  generate: as _tone's, (table, tx_state, slot, row, n, x, x_stride, n_samples, produced)
  put: int32_t (void *, int32_t, const uint8_t *, int64_t, int32_t, int32_t, float)
      (tx_state, slot, octets, length, seizure_bits, mark_bits, amplitude) -> 1, or 0 where something is out of range
  rx_reset, tx_reset: void (void *, int32_t)
_amd  (dsp/amd.py)  person or machine, and beeps; new_state(n_slots), idle until started
  detect: int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, const uint8_t *, void *, int64_t)
      (state, slot, row, n, x, x_stride, speech, events, max_events); speech: uint8 by slot, of _vad in the same tick
      event: {int32 slot; uint8 kind; uint8 words; uint16 hz_or_ms}, amd.EVENT_DTYPE, at most 2 a row
  start: void (void *, int32_t, const int32_t *)     (state, slot, 7 parameters in the order of amd.PARAMETERS, times in blocks)
  reset: void (void *, int32_t)                      idle again
_plc  (dsp/plc.py)  new_state(n_slots)
  conceal: void (void *, const int32_t *, const int32_t *, const uint8_t *, int64_t, int16_t *, int64_t)
      (state, slot, row, lost, n, x, x_stride)  80 samples a call, in place; lost[i] != 0: the row's
      content is ignored and filled.  Output is 30 samples (3.75 ms) late, as G.711 Appendix I wants.
  reset: void (void *, int32_t)
_echo  (dsp/echo.py)  new_state(n_slots, partitions); partitions: 3 for 64 ms, 6 for 128 ms
  cancel: void (void *, const int32_t *, const int32_t *, const int32_t *, const uint8_t *, int64_t, const int16_t *, int64_t, int16_t *, int64_t, int64_t)
      (state, slot, far_row, near_row, flags, n, far, far_stride, near, near_stride, partitions)
      80 samples a call; near in place; flags: uint8 [n], one an entry, CLOSED 1, NLP_OFF 2, FREEZE 4, NOISE_OFF 8.
      far is what left for the line at the time at which near came from it, or earlier by less than the tail.
  reset: void (void *, int32_t, int64_t)      (state, slot, partitions): a new call
_noise  (dsp/noise.py)  new_state(n_slots)
  reduce: void (void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t)
      (state, slot, row, n, x, x_stride)  80 samples a call, in place, 80 samples late
  reset: void (void *, int32_t)      the first 100 ms after it are taken for noise
_vad  (dsp/vad.py)  new_state(n_slots)
  detect: void (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, float *)
      (state, slot, row, n, x, x_stride, speech, score)
      speech: uint8 by slot, written: 0 none, 1 hangover, 2 speech; score: float32 by slot, or NULL
  reset: void (void *, int32_t)
_level  (dsp/level.py)  new_state(n_slots, preset)
  control: void (void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, const uint8_t *)
      (state, slot, row, n, x, x_stride, speech)  80 samples a call, in place; speech: by slot as _vad writes it, or NULL
  configure: void (void *, int32_t, float, float, float, float, float)
      (state, slot, target, highest, lowest, rise, fall)  the numbers of level.parameters(); forgets the past
_hdlc  (dsp/hdlc.py)  new_rx_state(n_slots), new_tx_state(n_slots)
  receive: int64_t (void *, const int32_t *, const int32_t *, int64_t, const uint8_t *, int64_t, int64_t, uint8_t *, int64_t, void *, int64_t)
      (rx_state, slot, row, n, octets, stride, n_octets, frames, frames_octets, index, max_index) -> number of good frames
      frames: the frames without flags and FCS, one after the other; index: {int32 slot; int32 offset;
      int32 length; int32 0}, hdlc.FRAME_DTYPE.  No room left: counted as overrun.
      Give frames_octets >= n * (n_octets + 1024) and nothing is ever lost.
  rx_reset: void (void *, int32_t)
  transmit: void (void *, const int32_t *, const int32_t *, int64_t, uint8_t *, int64_t, int64_t)
      (tx_state, slot, row, n, octets, stride, n_octets)  queued frames, flags when there is none
  put: int32_t (void *, int32_t, const uint8_t *, int64_t)
      (tx_state, slot, frame, length) -> 1 queued, 0 no room or a wrong length.  One other
      thread may call it while the tick transmits (single producer, single consumer).
  room: int64_t (void *, int32_t)      octets free in the queue of a slot (a frame takes length + 2)
  tx_reset: void (void *, int32_t)     drop the queue (call it from the transmitting thread)
      Counters: hdlc.RX_DTYPE / TX_DTYPE are structured views of the states (`hdlc.rx_view(state)`).
"""

import ctypes
import functools
import importlib.machinery
import importlib.util
import os
import pathlib
import platform
import threading

import numpy as np

LEVELS = ("v2", "v3", "v4")

# What a level asks beyond the one before it, by the names of /proc/cpuinfo
# (x86-64 psABI, micro-architecture levels; abm stands for lzcnt, pni for SSE3).
FLAGS = {
    "v2": "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3",
    "v3": "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
    "v4": "avx512f avx512bw avx512cd avx512dq avx512vl",
}
BUILDS = pathlib.Path(__file__).parent / "_isa"


def level_of(flags):
    """Highest level whose flags are all in the given set; None below v2."""
    best = None
    for level in LEVELS:
        if not set(FLAGS[level].split()) <= flags:
            break
        best = level
    return best


@functools.cache
def level():
    """The level in use.  Raises ImportError where the processor or the wish fits none."""
    wish = os.environ.get("STROWGER_ISA")
    if wish:
        if wish not in LEVELS:
            raise ImportError(f"STROWGER_ISA={wish!r} is no instruction-set level; use one of {', '.join(LEVELS)}")
        return wish
    found = _processor_level()
    if found is None:
        raise ImportError("dsp: this processor is older than x86-64-v2 (SSE4.2); the kernels need a newer one")
    return found


_loading = threading.Lock()     # two threads that load a kernel at once: one had it before its names were there


@functools.cache
def load(name, at=None):
    """The compiled module `name` ("_g711") at a level (default: level()).

    Raises ImportError when it is not built."""
    at = at or level()
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    paths = [BUILDS / at / (name + suffix) for suffix in suffixes]
    path = next((p for p in paths if p.exists()), None)
    if path is None:
        raise ImportError(f"dsp: kernel {name} is not built for {at} ({BUILDS / at}); run `make setup`")
    full_name = f"dsp._isa.{at}.{name}"
    spec = importlib.util.spec_from_file_location(full_name, path)
    with _loading:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def built_levels(name):
    """Levels for which a kernel is built and that this processor can run."""
    able = LEVELS[:LEVELS.index(_processor_level()) + 1]
    return [at for at in able if any((BUILDS / at / (name + s)).exists() for s in importlib.machinery.EXTENSION_SUFFIXES)]


def _processor_level():
    """Level of this processor; an architecture without levels has one build, called v2."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return "v2"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        flags = next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())
    return level_of(flags)


def capsules(name, at=None):
    """{"function": PyCapsule} of a kernel; the capsule's name is the C signature."""
    return load(name, at).capi


def pointer(name, function, at=None):
    """Address of a kernel's C function as int."""
    capsule = capsules(name, at)[function]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    address_of = ctypes.pythonapi.PyCapsule_GetPointer
    address_of.restype, address_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return address_of(capsule, name_of(capsule))


def aligned(octets, alignment=64):
    """A zeroed numpy uint8 array of that size whose first octet is aligned."""
    whole = np.zeros(octets + alignment, np.uint8)
    skip = -whole.ctypes.data % alignment
    return whole[skip:skip + octets]
