"""G.711 against the ITU's vectors, the plain reference and spandsp, at every level."""

import ctypes
import ctypes.util

import numpy as np
import pytest

from dsp import g711, isa

KERNEL = "_g711"
ALL_OCTETS = np.arange(256, dtype=np.uint8)
ALL_SAMPLES = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)


@pytest.mark.parametrize("law", (g711.A, g711.MU))
def test_every_value_equals_the_reference(level, law):
    assert np.array_equal(g711.expand(ALL_OCTETS, law, level), g711.expand_reference(ALL_OCTETS, law))
    assert np.array_equal(g711.compress(ALL_SAMPLES, law, level), g711.compress_reference(ALL_SAMPLES, law))


@pytest.mark.parametrize("law, name, decoded", ((g711.A, "sweep-r.a", "sweep-r.rea"), (g711.MU, "sweep-r.u", "sweep-r.reu")))
def test_itu_vectors(level, corpus, law, name, decoded):
    """G.191 STL, sweep over all 16-bit values: encoder and decoder, bit exact."""
    folder = corpus / "codec-stl/g711"
    source = np.fromfile(folder / "sweep.src", "<i2")
    octets = np.fromfile(folder / name, "<i2").astype(np.uint8)
    assert np.array_equal(g711.compress(source, law, level), octets)
    assert np.array_equal(g711.expand(octets, law, level), np.fromfile(folder / decoded, "<i2"))


def test_idle_and_peaks(level):
    assert g711.expand(np.uint8([0xD5, 0x55, 0xAA, 0x2A]), g711.A, level).tolist() == [8, -8, 32256, -32256]
    assert g711.expand(np.uint8([0xFF, 0x7F, 0x80, 0x00]), g711.MU, level).tolist() == [0, 0, 32124, -32124]


@pytest.mark.parametrize("law", (g711.A, g711.MU))
@pytest.mark.parametrize("length", (1, 7, 79, 80, 81, 160, 1000))
def test_any_length(level, law, length):
    rng = np.random.default_rng(length)
    x = rng.integers(-32768, 32768, length).astype(np.int16)
    octets = g711.compress(x, law, level)
    assert np.array_equal(octets, g711.compress_reference(x, law))
    assert np.array_equal(g711.expand(octets, law, level), g711.expand_reference(octets, law))


@pytest.mark.parametrize("law", (g711.A, g711.MU))
def test_alike_without_tables_of_octets(level, law):
    """A processor of this level that lacks AVX-512 VBMI: all samples and all octets, in runs whose ends are no multiple of 64."""
    kernel = isa.load(KERNEL, level)
    if not kernel.OCTETS:
        pytest.skip("this level or this processor has one way only")
    x, octets = np.append(np.arange(-32768, 32768), np.arange(39)).astype(np.int16), np.tile(ALL_OCTETS, 5)[:1219]
    try:
        for wish in (True, False):
            kernel.call_use_octets(wish)
            assert np.array_equal(g711.compress(x, law, level), g711.compress_reference(x, law))
            assert np.array_equal(g711.expand(octets, law, level), g711.expand_reference(octets, law))
    finally:
        kernel.call_use_octets(True)


def test_conversion_tables_are_those_of_spandsp(level):
    """Tables 3 and 4, from an implementation that is not ours."""
    spandsp = ctypes.CDLL(ctypes.util.find_library("spandsp"))
    assert g711.convert(ALL_OCTETS, g711.A, level).tolist() == [spandsp.alaw_to_ulaw(o) & 255 for o in range(256)]
    assert g711.convert(ALL_OCTETS, g711.MU, level).tolist() == [spandsp.ulaw_to_alaw(o) & 255 for o in range(256)]


def test_conversion_and_back_changes_eight_magnitudes_at_most():
    there = g711.convert(ALL_OCTETS, g711.MU)
    back = g711.convert(there, g711.A)
    changed = np.flatnonzero(back != ALL_OCTETS)
    assert len(changed) == 16  # eight magnitudes, both signs


def test_rows_with_index_arrays(level):
    """The call that the engine makes: sparse rows, a law for each row."""
    rng = np.random.default_rng(1)
    octets = rng.integers(0, 256, (9, 96)).astype(np.uint8)
    x = np.full((12, 88), 77, np.int16)
    octets_row, x_row = np.int32([8, 0, 3]), np.int32([1, 11, 4])
    law = np.uint8([0, 1, 0])
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p] * 2, ctypes.c_void_p,
                            ctypes.c_int64, ctypes.c_int64)
    expand_rows = call(isa.pointer(KERNEL, "expand_rows", level))
    compress_rows = call(isa.pointer(KERNEL, "compress_rows", level))
    expand_rows(octets.ctypes.data, 96, octets_row.ctypes.data, x.ctypes.data, 88, x_row.ctypes.data, law.ctypes.data, 3, 80)
    for i in range(3):
        assert np.array_equal(x[x_row[i], :80], g711.expand_reference(octets[octets_row[i], :80], law[i]))
    untouched = np.ones_like(x, bool)
    untouched[x_row, :80] = False
    assert (x[untouched] == 77).all()
    out = np.zeros((3, 80), np.uint8)
    compress_rows(x.ctypes.data, 88, x_row.ctypes.data, out.ctypes.data, 80, None, law.ctypes.data, 3, 80)
    for i in range(3):
        back = g711.compress_reference(g711.expand_reference(octets[octets_row[i], :80], law[i]), law[i])
        assert np.array_equal(out[i], back)


@pytest.mark.parametrize("indexed", (True, False))
def test_rows_behind_each_other_are_one_run_of_their_own_law(level, indexed):
    """Runs end where the law changes, where either side's rows do not follow each other, and with the last row."""
    rng = np.random.default_rng(2)
    law = np.uint8([0, 0, 1, 1, 1, 0, 0, 0, 1])
    octets_row = np.int32([2, 3, 4, 5, 9, 10, 11, 6, 7] if indexed else range(9))
    x_row = np.int32([7, 8, 9, 10, 11, 0, 1, 2, 4] if indexed else range(9))
    rows = [octets_row.ctypes.data, x_row.ctypes.data] if indexed else [None, None]
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p] * 2, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    octets, x = rng.integers(0, 256, (12, 80)).astype(np.uint8), np.full((12, 80), 77, np.int16)
    call(isa.pointer(KERNEL, "expand_rows", level))(octets.ctypes.data, 80, rows[0], x.ctypes.data, 80, rows[1], law.ctypes.data, 9, 80)
    expected = np.full((12, 80), 77, np.int16)
    for i in range(9):
        expected[x_row[i]] = g711.expand_reference(octets[octets_row[i]], law[i])
    assert np.array_equal(x, expected)
    x, octets, expected = rng.integers(-32768, 32768, (12, 80)).astype(np.int16), np.full((12, 80), 78, np.uint8), np.full((12, 80), 78, np.uint8)
    call(isa.pointer(KERNEL, "compress_rows", level))(x.ctypes.data, 80, rows[1], octets.ctypes.data, 80, rows[0], law.ctypes.data, 9, 80)
    for i in range(9):
        expected[octets_row[i]] = g711.compress_reference(x[x_row[i]], law[i])
    assert np.array_equal(octets, expected)
