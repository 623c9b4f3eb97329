"""G.722 against the sequences of Appendix II and G.191, the plain reference, at every level."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from dsp import g722, isa

KERNEL = "_g722"
CHANNELS = 19           # a full go and a part of one, at every width


def sequence(corpus, name):
    """(16-bit words without the marked ones, marks): big endian, the lowest bit tells that the coder is held in reset."""
    words = np.fromfile(corpus / "codec-g722-itu" / name, ">u2")
    running = np.flatnonzero((words & 1) == 0)
    assert running[-1] - running[0] + 1 == len(running)
    return words.astype(np.int16)[running[0]:running[-1] + 1]


def many(row):
    return np.repeat(row[None], CHANNELS, 0)


@pytest.mark.parametrize("source, coded", (("bt1c1.xmt", "bt2r1.cod"), ("bt1c2.xmt", "bt2r2.cod")))
def test_appendix_ii_encoder(level, corpus, source, coded):
    """Appendix II, configuration 1: both bands get the same signal, without the filters."""
    x = np.repeat(sequence(corpus, source) >> 1, 2)
    assert (g722.encode(many(x), bands=True, at=level) == sequence(corpus, coded).view(np.uint16) >> 8).all()


@pytest.mark.parametrize("mode", (1, 2, 3))
@pytest.mark.parametrize("coded, number", (("bt2r1.cod", 1), ("bt2r2.cod", 2), ("bt1d3.cod", 3)))
def test_appendix_ii_decoder(level, corpus, coded, number, mode):
    """Appendix II, configuration 2."""
    octets = (sequence(corpus, coded).view(np.uint16) >> 8).astype(np.uint8)
    x = g722.decode(many(octets), mode, bands=True, at=level)
    assert (x[:, 0::2] == sequence(corpus, f"bt3l{number}.rc{mode}") >> 1).all()
    assert (x[:, 1::2] == sequence(corpus, f"bt3h{number}.rc0") >> 1).all()


def test_g191_speech(level, corpus):
    """With the filters, in each mode."""
    folder = corpus / "codec-stl/g722"
    octets = np.fromfile(folder / "codspw.cod", "<u2").astype(np.uint8)
    assert (g722.encode(many(np.fromfile(folder / "inpsp.bin", "<i2")), at=level) == octets).all()
    swapped = np.fromfile(folder / "codsp.cod", np.uint8).reshape(-1, 2)[:, ::-1].reshape(-1)    # two octets a word
    assert np.array_equal(swapped, octets)
    for mode in (1, 2, 3):
        assert (g722.decode(many(octets), mode, at=level) == np.fromfile(folder / f"outsp{mode}.bin", "<i2")).all()


def test_reference_passes_too(corpus):
    folder = corpus / "codec-stl/g722"
    octets = np.fromfile(folder / "codspw.cod", "<u2").astype(np.uint8)[None, :1000]
    assert np.array_equal(g722.Reference(1).encode(np.fromfile(folder / "inpsp.bin", "<i2")[None, :2000]), octets)
    for mode in (1, 2, 3):
        assert np.array_equal(g722.Reference(1).decode(octets, mode)[0], np.fromfile(folder / f"outsp{mode}.bin", "<i2")[:2000])


@pytest.mark.parametrize("bands", (False, True))
def test_hard_signals_equal_the_reference_in_any_portions(level, bands):
    rng = np.random.default_rng(3)
    x = np.clip(rng.normal(0, 1, (CHANNELS, 700)) * np.geomspace(1, 60000, CHANNELS)[:, None], -32768, 32767).astype(np.int16)
    octets, state, reference = [], g722.new_state(CHANNELS), g722.Reference(CHANNELS)
    for begin, end in ((0, 2), (2, 160), (160, 540), (540, 700)):
        octets.append(g722.encode(x[:, begin:end], state, bands, level))
        assert np.array_equal(octets[-1], reference.encode(x[:, begin:end], bands))
    octets, state, reference = np.hstack(octets), g722.new_state(CHANNELS), g722.Reference(CHANNELS)
    for begin, end in ((0, 1), (1, 80), (80, 350)):
        part = octets[:, begin:end]
        assert np.array_equal(g722.decode(part, 2, state, bands, level), reference.decode(part, 2, bands))


@settings(deadline=None, max_examples=25)
@given(octets=strategies.binary(min_size=1, max_size=200), mode=strategies.sampled_from((1, 2, 3)))
def test_any_octets_decode(octets, mode):
    octets = np.frombuffer(octets, np.uint8)[None]
    wanted = g722.Reference(1).decode(octets, mode)
    for level in isa.built_levels(KERNEL):
        assert np.array_equal(g722.decode(octets, mode, at=level), wanted)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="even"):
        g722.encode(np.zeros((1, 3), np.int16))
    with pytest.raises(ValueError, match="mode"):
        g722.decode(np.zeros((1, 3), np.uint8), 4)
