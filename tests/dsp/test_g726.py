"""G.726 against all sequences of G.191, the plain reference and spandsp, at every level.

Names of the files: r after reset, h after homing; n normal, v overload, i for
the decoder alone; 16 to 40; fa A-law, fm mu-law, fx A-law in and mu-law out, fc the reverse.
"""

import ctypes
import ctypes.util
import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from dsp import g711, g726, isa

KERNEL = "_g726"
CHANNELS = 35           # full goes and a part of one, at every width
LAWS = {"a": g711.A, "m": g711.MU, "x": g711.MU, "c": g711.A}      # of the output
HOMING = 3496           # words of the homing files; the rest of the last block is the text of a dump


def words(corpus, name):
    return np.fromfile(corpus / "codec-stl/g726" / name, "<u2")


def octets(corpus, name):
    values = words(corpus, name)
    values = values[:HOMING] if "ini" in name else values
    assert values.max() < 256
    return values.astype(np.uint8)


def many(row):
    return np.repeat(row[None], CHANNELS, 0)


def sequences(corpus, ending):
    """(name, start r or h, signal n, v or i, bits, law letter) of all files."""
    found = []
    for path in sorted((corpus / "codec-stl/g726").glob(f"*.{ending}")):
        match = re.fullmatch(r"([rh])([nvi])(\d\d)f([amxc])\." + ending, path.name)
        if match:
            found.append((path.name, match[1], match[2], int(match[3]) // 8, match[4]))
    return found


def test_all_encoder_sequences(level, corpus):
    found = sequences(corpus, "i")
    assert len(found) == 32
    for name, start, signal, bits, letter in found:
        state, law = g726.new_state(CHANNELS), LAWS[letter]
        if start == "h":
            g726.encode(many(g711.expand(octets(corpus, f"pcm_init.{letter}"), law)), bits, state=state, at=level)
        x = g711.expand(octets(corpus, {"n": "nrm.", "v": "ovr."}[signal] + letter), law)
        assert (g726.encode(many(x), bits, state=state, at=level) == octets(corpus, name)).all(), name


def test_all_decoder_sequences(level, corpus):
    """The homing codes are those of the law that comes out.  hn16fc.o alone, though named h, begins
    after reset: all 16384 octets are met so, and 1457 are not after homing."""
    found = sequences(corpus, "o")
    assert len(found) == 80
    for name, start, signal, bits, letter in found:
        state, law = g726.new_state(CHANNELS), LAWS[letter]
        if start == "h" and name != "hn16fc.o":
            homing = octets(corpus, f"i_ini_{8 * bits}.{'am'[law]}")
            g726.decode(many(homing), bits, law=law, state=state, at=level)
        source = f"i{8 * bits}" if signal == "i" else name[:5] + ("a.i" if letter in "ax" else "m.i")
        assert (g726.decode(many(octets(corpus, source)), bits, law=law, state=state, at=level) == octets(corpus, name)).all(), name


def test_variable_rate(level, corpus):
    """G.191's rate-switching example on speech: 16, 24, 32, 40, 32, 24 kbit/s by turns of 16 samples.

    (Its .arf and .urf files come from linear samples read as if they were octets, which no line carries.)"""
    x = words(corpus, "voice.src").view(np.int16)
    x = g711.expand(g711.compress(x, g711.A), g711.A)[None]
    sender, receiver, parts = g726.new_state(1), g726.new_state(1), []
    for k in range(0, x.shape[1], 16):
        bits = (2, 3, 4, 5, 4, 3)[k // 16 % 6]
        codes = g726.encode(x[:, k:k + 16], bits, state=sender, at=level)
        parts.append(g726.decode(codes, bits, law=g711.A, state=receiver, at=level)[0])
    y = g711.expand(np.concatenate(parts), g711.A)
    assert np.array_equal(y, words(corpus, "voicevbr.lrf").view(np.int16))
    assert np.array_equal(y, words(corpus, "voicvbrl.tst").view(np.int16))


@pytest.mark.parametrize("bits", (2, 3, 4, 5))
def test_reference_passes_too(corpus, bits):
    x, codes = g711.expand(octets(corpus, "ovr.a"), g711.A)[None, :1000], octets(corpus, f"rv{8 * bits}fa.i")[None, :1000]
    assert np.array_equal(g726.Reference(1, bits).encode(x), codes)
    for letter in "ax":
        wanted = octets(corpus, f"rv{8 * bits}f{letter}.o")[:1000]
        assert np.array_equal(g726.Reference(1, bits).decode(codes, LAWS[letter])[0], wanted)


@pytest.mark.parametrize("bits", (2, 3, 4, 5))
def test_hard_signals_equal_the_reference_in_any_portions(level, bits):
    rng = np.random.default_rng(bits)
    x = np.clip(rng.normal(0, 1, (CHANNELS, 400)) * np.geomspace(1, 90000, CHANNELS)[:, None], -32768, 32767).astype(np.int16)
    state, reference, codes = g726.new_state(CHANNELS), g726.Reference(CHANNELS, bits), []
    for begin, end in ((0, 1), (1, 80), (80, 247), (247, 400)):
        codes.append(g726.encode(x[:, begin:end], bits, state=state, at=level))
        assert np.array_equal(codes[-1], reference.encode(x[:, begin:end]))
    codes = np.hstack(codes)
    for law in (g726.A, g726.MU, g726.LINEAR):
        state, reference = g726.new_state(CHANNELS), g726.Reference(CHANNELS, bits)
        for begin, end in ((0, 3), (3, 83), (83, 400)):
            part = codes[:, begin:end]
            assert np.array_equal(g726.decode(part, bits, law=law, state=state, at=level), reference.decode(part, law))


@pytest.mark.parametrize("bits", (2, 3, 4, 5))
@pytest.mark.parametrize("samples", (8, 80, 160, 248))
def test_packing(level, bits, samples):
    """RFC 3551 4.5.4, spelt with big integers."""
    rng = np.random.default_rng(samples)
    x = rng.integers(-9000, 9000, (CHANNELS, samples)).astype(np.int16)
    codes = g726.encode(x, bits, at=level)
    low, high = (g726.encode(x, bits, packing, at=level) for packing in (g726.LOW_FIRST, g726.HIGH_FIRST))
    for row in (0, CHANNELS - 1):
        little = sum(int(code) << (bits * k) for k, code in enumerate(codes[row]))
        assert low[row].tobytes() == little.to_bytes(samples * bits // 8, "little")
        big = sum(int(code) << (bits * k) for k, code in enumerate(codes[row][::-1]))
        assert high[row].tobytes() == big.to_bytes(samples * bits // 8, "big")
    for law in (g726.MU, g726.LINEAR):
        wanted = g726.decode(codes, bits, law=law, at=level)
        assert np.array_equal(g726.decode(low, bits, g726.LOW_FIRST, law, at=level), wanted)
        assert np.array_equal(g726.decode(high, bits, g726.HIGH_FIRST, law, at=level), wanted)


@settings(deadline=None, max_examples=25)
@given(codes=strategies.binary(min_size=1, max_size=200), bits=strategies.sampled_from((2, 3, 4, 5)),
       law=strategies.sampled_from((g726.A, g726.MU, g726.LINEAR)))
def test_any_octets_decode(codes, bits, law):
    """Octets with bits set above the code too: those are ignored."""
    codes = np.frombuffer(codes, np.uint8)[None]
    wanted = g726.Reference(1, bits).decode(codes, law)
    for level in isa.built_levels(KERNEL):
        assert np.array_equal(g726.decode(codes, bits, law=law, at=level), wanted)


@pytest.mark.parametrize("bits", (2, 3, 4, 5))
def test_spandsp_hears_us(level, speech, bits):
    """Peer: spandsp decodes our packed codes to what our decoder makes of them (its linear output keeps more bits)."""
    lib = ctypes.CDLL(ctypes.util.find_library("spandsp"))
    lib.g726_init.restype = ctypes.c_void_p
    x = np.concatenate([samples[:16000] for _, samples in speech[:4]])
    x = g711.expand(g711.compress(x[:len(x) // 8 * 8], g711.A), g711.A)
    packed = g726.encode(x[None], bits, g726.LOW_FIRST, at=level)
    out = np.zeros(len(x) + 64, np.int16)
    state = ctypes.c_void_p(lib.g726_init(None, 8000 * bits, 0, 2))
    lib.g726_decode(state, out.ctypes.data_as(ctypes.c_void_p), packed.ctypes.data_as(ctypes.c_void_p), packed.shape[1])
    ours = g726.decode(packed, bits, g726.LOW_FIRST, at=level)[0]
    assert np.abs(out[:len(x)].astype(int) - ours).max() <= 4


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="2, 3, 4 or 5"):
        g726.encode(np.zeros((1, 8), np.int16), 6)
    with pytest.raises(ValueError, match="multiple of 8"):
        g726.encode(np.zeros((1, 9), np.int16), 4, g726.LOW_FIRST)
