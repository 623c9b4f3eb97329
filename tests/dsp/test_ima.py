"""IMA and DVI4 ADPCM against the plain reference, spandsp and sox, at every level."""

import ctypes
import ctypes.util
import subprocess
import wave

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from dsp import ima, isa

KERNEL = "_ima"
KINDS = (ima.LOW_FIRST, ima.HIGH_FIRST, ima.VOX)


def hard_signals(channels, samples, seed=1):
    """Noise of many levels, full-scale squares, silence, and extremes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (channels, samples)) * np.geomspace(1, 40000, channels)[:, None]
    x[0] = 0
    x[1] = np.where(np.arange(samples) // 9 % 2, 32767, -32768)
    x[2] = rng.integers(-32768, 32768, samples)
    return np.clip(x, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels, samples", ((3, 2), (1, 80), (16, 158), (65, 160), (130, 406), (200, 82)))
def test_equals_the_reference(level, kind, channels, samples):
    x = hard_signals(max(channels, 3), samples)[:channels]
    octets = ima.encode(x, kind, at=level)
    assert np.array_equal(octets, ima.encode_reference(x, kind))
    assert np.array_equal(ima.decode(octets, kind, at=level), ima.decode_reference(octets, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_codes_alike_without_tables_of_octets(level, kind):
    """A processor of this level that lacks AVX-512 VBMI: the same samples, the same octets and the same states."""
    kernel = isa.load(KERNEL, level)
    if not kernel.OCTETS:
        pytest.skip("this level or this processor has one way only")
    octets, x, found = np.random.default_rng(3).integers(0, 256, (150, 203)).astype(np.uint8), hard_signals(150, 406), []
    try:
        for wish in (True, False):
            kernel.call_use_octets(wish)
            states = ima.new_state(150), ima.new_state(150)
            found.append((ima.decode(octets, kind, states[0], level), ima.encode(x, kind, states[1], level), *states))
    finally:
        kernel.call_use_octets(True)
    assert all(np.array_equal(one, other) for one, other in zip(*found))


@pytest.mark.parametrize("kind", KINDS)
def test_state_goes_on(level, kind):
    x = hard_signals(70, 320)
    whole, state = ima.encode(x, kind, at=level), ima.new_state(70)
    parts = [ima.encode(x[:, k:k + 80], kind, state, level) for k in range(0, 320, 80)]
    assert np.array_equal(np.hstack(parts), whole)
    state = ima.new_state(70)
    parts = [ima.decode(whole[:, k:k + 40], kind, state, level) for k in range(0, 160, 40)]
    assert np.array_equal(np.hstack(parts), ima.decode(whole, kind, at=level))


@settings(deadline=None, max_examples=60)
@given(octets=strategies.binary(min_size=1, max_size=300), kind=strategies.sampled_from(KINDS),
       predicted=strategies.integers(-99999, 99999), index=strategies.integers(-300, 300))
def test_any_octets_decode(octets, kind, predicted, index):
    """Any octets after any header, also an absurd one: in range, equal to the reference at every level."""
    octets = np.frombuffer(octets, np.uint8)[None]
    low, high, steps = ima.limits(kind)
    wanted = ima.decode_reference(octets, kind, min(max(predicted, low), high), min(max(index, 0), len(steps) - 1))
    for level in isa.built_levels(KERNEL):
        state = ima.new_state(1)
        ima.put(state, 0, predicted, index, kind, level)
        assert np.array_equal(ima.decode(octets, kind, state, level), wanted)


def test_rows_with_index_arrays(level):
    """The call of the engine: sparse rows and slots; what is not named stays as it was."""
    x, codes = hard_signals(9, 88), np.full((12, 48), 77, np.uint8)
    state = ima.new_state(20)
    before = state.copy()
    slot, x_row, octets_row = np.int32([13, 2, 7]), np.int32([8, 1, 3]), np.int32([0, 11, 5])
    call = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p] * 2,
                            ctypes.c_int64, ctypes.c_int64)
    call(isa.pointer(KERNEL, "encode", level))(ima.HIGH_FIRST, state.ctypes.data, slot.ctypes.data, x.ctypes.data, 88, x_row.ctypes.data,
                                               codes.ctypes.data, 48, octets_row.ctypes.data, 3, 80)
    assert np.array_equal(codes[octets_row, :40], ima.encode_reference(x[x_row, :80], ima.HIGH_FIRST))
    untouched = np.ones_like(codes, bool)
    untouched[octets_row, :40] = False
    assert (codes[untouched] == 77).all()
    same = state.reshape(20, -1) == before.reshape(20, -1)
    assert same[np.setdiff1d(np.arange(20), slot)].all() and not same[slot].all()


def test_dvi4_equals_spandsp(level, speech):
    """Peer: both directions on real speech, octet for octet; its packets begin with the 4 octets of RFC 3551 4.5.1."""
    lib = ctypes.CDLL(ctypes.util.find_library("spandsp"))
    lib.ima_adpcm_init.restype = ctypes.c_void_p
    x = np.concatenate([samples[:40000] for _, samples in speech[:8]])
    x = np.ascontiguousarray(x[:len(x) & ~1])
    codes, out = np.empty(len(x) + 8, np.uint8), np.empty(len(x) + 8, np.int16)
    state = ctypes.c_void_p(lib.ima_adpcm_init(None, 1, 0))
    length = lib.ima_adpcm_encode(state, codes.ctypes.data_as(ctypes.c_void_p), x.ctypes.data_as(ctypes.c_void_p), len(x))
    assert codes[:4].tolist() == [0, 0, 0, 0] and np.array_equal(ima.encode(x[None], ima.HIGH_FIRST, at=level)[0], codes[4:length])
    state = ctypes.c_void_p(lib.ima_adpcm_init(None, 1, 0))
    count = lib.ima_adpcm_decode(state, out.ctypes.data_as(ctypes.c_void_p), codes.ctypes.data_as(ctypes.c_void_p), length)
    assert count == len(x) and np.array_equal(ima.decode(codes[None, 4:length], ima.HIGH_FIRST, at=level)[0], out[:count])


def data_chunk(path):
    """(block octets, data) of a WAV file, chunk by chunk."""
    octets, at, found = path.read_bytes(), 12, {}
    while at + 8 <= len(octets):
        length = int.from_bytes(octets[at + 4:at + 8], "little")
        found[octets[at:at + 4]] = octets[at + 8:at + 8 + length]
        at += 8 + length + (length & 1)
    return int.from_bytes(found[b"fmt "][12:14], "little"), found[b"data"]


def test_wav_blocks_are_read_as_sox_reads_them(level, speech, tmp_path):
    x = speech[0][1][:20000]
    plain, packed, back = tmp_path / "plain.wav", tmp_path / "ima.wav", tmp_path / "back.wav"
    with wave.open(str(plain), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(x.tobytes())
    subprocess.run(["sox", "-D", plain, "-e", "ima-adpcm", packed], check=True)
    subprocess.run(["sox", "-D", packed, "-e", "signed", "-b", "16", back], check=True)
    with wave.open(str(back)) as file:
        theirs = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    block, data = data_chunk(packed)
    ours = ima.decode_wav(data, block, level)
    assert len(theirs) >= len(x) and np.array_equal(ours[:len(theirs)], theirs)


def test_wav_blocks_round_trip_and_bad_ones(level, speech):
    x = speech[0][1][:5000]
    data = ima.encode_wav(x, 256, level)
    y = ima.decode_wav(data, 256, level)[:5000]
    assert len(data) % 256 == 0 and 10 * np.log10((x.astype(float) ** 2).sum() / ((x.astype(float) - y) ** 2).sum()) > 15
    assert len(ima.decode_wav(data[:100], 256, level)) == 1 + 2 * 96        # cut in the middle
    assert len(ima.decode_wav(b"ab", 256, level)) == 0
    with pytest.raises(ValueError, match="fmt chunk"):
        ima.decode_wav(data, 0, level)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="even"):
        ima.encode(np.zeros((1, 3), np.int16))
    with pytest.raises(ValueError, match="room for 1"):
        ima.encode(np.zeros((2, 4), np.int16), state=ima.new_state(1))
