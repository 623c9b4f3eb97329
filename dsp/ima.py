"""IMA (DVI) ADPCM: 4 bits a sample, 32 kbit/s; the kernel also codes VOX (dsp/vox.py).

A code is a sign and three bits of magnitude in units of the step.  The decoder
adds step/8 + (step) + (step/2) + (step/4), each only where its bit is set and
each truncated before the sum, and the step moves along a table of 89.
Source: IMA Digital Audio Focus and Technical Working Groups, Recommended
Practices rev. 3.00 (10/1992), clause 6; RFC 3551 clause 4.5.1 (DVI4).

x: int16 (n_channels, n_samples), n_samples even; octets: uint8 (n_channels,
n_samples / 2).  Which nibble is first:
    LOW_FIRST   WAV files (format 0x11)
    HIGH_FIRST  RTP (DVI4)

C functions of `_ima` (index arrays x_row, octets_row: NULL is 0, 1, 2, ...; slots of one
call are all different; kind: LOW_FIRST, HIGH_FIRST, or VOX of dsp/vox.py)
    encode(kind, state, slot, x, x_stride, x_row, octets, octets_stride, octets_row, n, n_samples)
    decode(kind, state, slot, octets, octets_stride, octets_row, x, x_stride, x_row, n, n_samples)
    put(kind, state, slot, predicted, index)     a header's values, clamped to what is legal
    reset(state, slot)
"""

import numpy as np

from dsp import isa

LOW_FIRST, HIGH_FIRST = 0, 1
VOX = 2                 # for dsp/vox.py: same coder, other range
STATE_OCTETS = 4
STATE_DTYPE = np.dtype([("predicted", "<i2"), ("index", "u1"), ("zero", "u1")])

# Table of step sizes of the Recommended Practices.
STEPS = (7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97,
         107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796,
         876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428,
         4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385,
         24623, 27086, 29794, 32767)
ADJUST = (-1, -1, -1, -1, 2, 4, 6, 8)


def new_state(n_slots):
    """State of n_slots coders (each for one direction), all reset."""
    return isa.aligned(STATE_OCTETS * n_slots)


def encode(x, kind=LOW_FIRST, state=None, at=None):
    """x: int16 (n, n_samples even). Returns octets (n, n_samples / 2); state: new_state(n), updated, or None."""
    x = np.ascontiguousarray(x, np.int16)
    if x.ndim != 2 or x.shape[1] % 2:
        raise ValueError(f"ima.encode: x has shape {x.shape}; give (channels, an even number of samples)")
    octets = np.empty((x.shape[0], x.shape[1] // 2), np.uint8)
    if octets.size:
        isa.load("_ima", at).call_encode(kind, *_slots(state, x.shape[0]), x, octets)
    return octets


def decode(octets, kind=LOW_FIRST, state=None, at=None):
    """octets: uint8 (n, n_octets). Returns int16 (n, 2 n_octets); state as for encode."""
    octets = np.ascontiguousarray(octets, np.uint8)
    if octets.ndim != 2:
        raise ValueError(f"ima.decode: octets have shape {octets.shape}; give (channels, octets)")
    x = np.empty((octets.shape[0], octets.shape[1] * 2), np.int16)
    if x.size:
        isa.load("_ima", at).call_decode(kind, *_slots(state, x.shape[0]), octets, x)
    return x


def put(state, slot, predicted, index, kind=LOW_FIRST, at=None):
    """Set the state of a slot, as a block header does; values out of range are clamped."""
    if not 0 <= slot < len(state) // STATE_OCTETS:
        raise ValueError(f"ima.put: slot {slot} is outside the state of {len(state) // STATE_OCTETS} slots")
    isa.load("_ima", at).call_put(kind, state, slot, predicted, index)


def _slots(state, n):
    state = new_state(n) if state is None else state
    if len(state) < STATE_OCTETS * n:
        raise ValueError(f"ima: state has room for {len(state) // STATE_OCTETS} channels, {n} are given; make it with new_state({n})")
    return state, np.arange(n, dtype=np.int32)


def encode_wav(x, block_octets=256, at=None):
    """A mono WAV's data chunk: x int16 (n). Returns bytes of whole blocks, the last filled with zero codes.

    A block is the first sample, the number of the step, a zero octet, then codes: 2 (block_octets - 4) + 1 samples."""
    per_block = 2 * (block_octets - 4) + 1
    state, out = new_state(1), bytearray()
    for first in range(0, len(x), per_block):
        part = np.zeros(per_block, np.int16)
        part[:len(x) - first] = x[first:first + per_block]
        index = int(state.view(STATE_DTYPE)[0]["index"])
        put(state, 0, int(part[0]), index, at=at)
        out += int(part[0]).to_bytes(2, "little", signed=True) + bytes([index, 0])
        out += encode(part[None, 1:], LOW_FIRST, state, at).tobytes()
    return bytes(out)


def decode_wav(data, block_octets, at=None):
    """Data chunk of a mono WAV of format 0x11. Returns int16 (n); a cut last block gives what it has.

    Raises ValueError where block_octets cannot be."""
    if block_octets < 5:
        raise ValueError(f"ima.decode_wav: a block of {block_octets} octets has no room for codes; read the fmt chunk again")
    state, parts = new_state(1), []
    for first in range(0, len(data) - 3, block_octets):
        block = data[first:first + block_octets]
        predicted = int.from_bytes(block[:2], "little", signed=True)
        put(state, 0, predicted, block[2], at=at)
        codes = np.frombuffer(block, np.uint8, offset=4)[None]
        parts += [np.int16([predicted]), decode(codes, LOW_FIRST, state, at)[0]]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def decode_blocks(data, block_octets, channels, at=None):
    """Data chunk of a WAV of format 0x11, all blocks side by side: int16 (n, channels); a cut last block gives its whole groups.

    A block begins with 4 octets a channel (first sample, step number, 0); then come 4 octets of each channel in turn.
    Raises ValueError where block_octets cannot be."""
    head = 4 * channels
    if block_octets <= head or (block_octets - head) % head and channels > 1:
        raise ValueError(f"ima.decode_blocks: a block of {block_octets} octets does not fit {channels} channels; read the fmt chunk again")
    whole = len(data) // block_octets
    rest = data[whole * block_octets:]
    rest = rest[:head + (len(rest) - head) // head * head] if channels > 1 else rest
    parts = [_blocks(np.frombuffer(part, np.uint8).reshape(count, -1), channels, at)
             for part, count in ((data[:whole * block_octets], whole), (rest, 1)) if count and len(part) >= head]
    return np.concatenate(parts) if parts else np.zeros((0, channels), np.int16)


def _blocks(blocks, channels, at):
    """blocks: uint8 (n, octets).  int16 (samples, channels): each block of each channel is a row of the kernel."""
    n = len(blocks)
    heads = np.ascontiguousarray(blocks[:, :4 * channels]).reshape(n * channels, 4)
    codes = blocks[:, 4 * channels:]
    if channels > 1:
        codes = codes.reshape(n, -1, channels, 4).transpose(0, 2, 1, 3)
    codes = np.ascontiguousarray(codes).reshape(n * channels, -1)
    state = new_state(n * channels)
    view = state[:STATE_OCTETS * n * channels].view(STATE_DTYPE)
    first = np.ascontiguousarray(heads[:, :2]).view("<i2")
    view["predicted"], view["index"] = first[:, 0], np.minimum(heads[:, 2], len(STEPS) - 1)
    x = np.concatenate([first, decode(codes, LOW_FIRST, state, at)], axis=1)
    return x.reshape(n, channels, -1).transpose(0, 2, 1).reshape(-1, channels)


def limits(kind):
    """(lowest, highest predicted value, table of steps) of a kind."""
    return (-2048, 2047, STEPS[8:57]) if kind == VOX else (-32768, 32767, STEPS)


def encode_reference(x, kind=LOW_FIRST, predicted=0, index=0):
    """The coder sample by sample, as the Recommended Practices tell it. Returns octets (n, n_samples / 2)."""
    low, high, steps = limits(kind)
    x = np.asarray(x, np.int64) >> (4 if kind == VOX else 0)
    codes = np.empty(x.shape, np.uint8)
    p, i = np.full(len(x), predicted), np.full(len(x), index)
    for k in range(x.shape[1]):
        step = np.array(steps)[i]
        d = x[:, k] - p
        code, rest = np.where(d < 0, 8, 0), np.abs(d)
        for bit, part in ((4, step), (2, step >> 1), (1, step >> 2)):
            code += bit * (rest >= part)
            rest -= np.where(rest >= part, part, 0)
        codes[:, k] = code
        p, i = _next(p, i, code, low, high, steps)
    first, second = codes[:, 0::2], codes[:, 1::2]
    return first | second << 4 if kind == LOW_FIRST else first << 4 | second


def decode_reference(octets, kind=LOW_FIRST, predicted=0, index=0):
    """The decoder sample by sample. Returns int16 (n, 2 n_octets)."""
    low, high, steps = limits(kind)
    octets = np.asarray(octets, np.uint8)
    pair = (octets & 15, octets >> 4)
    codes = np.stack(pair if kind == LOW_FIRST else pair[::-1], 2).reshape(len(octets), -1)
    p, i = np.full(len(octets), predicted), np.full(len(octets), index)
    x = np.empty(codes.shape, np.int16)
    for k in range(codes.shape[1]):
        p, i = _next(p, i, codes[:, k].astype(int), low, high, steps)
        x[:, k] = p << (4 if kind == VOX else 0)
    return x


def _next(p, i, code, low, high, steps):
    step = np.array(steps)[i]
    move = (step >> 3) + (code >> 2 & 1) * step + (code >> 1 & 1) * (step >> 1) + (code & 1) * (step >> 2)
    return np.clip(np.where(code & 8, p - move, p + move), low, high), np.clip(i + np.array(ADJUST)[code & 7], 0, len(steps) - 1)
