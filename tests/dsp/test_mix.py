"""Mixing against the plain reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import isa, mix

KERNEL = "_mix"


def rows(seed, n_rows, n_samples, peak=32767):
    return np.random.default_rng(seed).integers(-peak - 1, peak + 1, (n_rows, n_samples)).astype(np.int16)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(0, 2**32 - 1), st.sampled_from([1, 80, 95, 160, 200]))
@settings(max_examples=60, deadline=None)
def test_bridges_equal_the_reference(sizes, seed, n_samples):
    order = np.random.default_rng(seed).permutation(80)
    members, used = [], 0
    for size in sizes:
        members.append(order[used:used + size].tolist())
        used += size
    x = rows(seed, 80, n_samples)
    expected = np.full_like(x, 123)
    mix.bridges_reference(x, expected, members)
    for level in isa.built_levels(KERNEL):
        y = np.full_like(x, 123)
        mix.bridges(x, y, members, level)
        assert np.array_equal(y, expected)


@given(st.lists(st.lists(st.tuples(st.integers(0, 19), st.integers(-32767, 32767) | st.just(4096)), max_size=6), min_size=1, max_size=10),
       st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_routes_equal_the_reference(hearers, with_gain, seed):
    x = rows(seed, 20, 80)
    out_rows = np.random.default_rng(seed).permutation(20)[:len(hearers)].tolist()
    sources = [[row for row, _ in one] for one in hearers]
    gains = [[gain for _, gain in one] for one in hearers] if with_gain else None
    expected = np.full_like(x, 123)
    mix.routes_reference(x, expected, out_rows, sources, gains)
    for level in isa.built_levels(KERNEL):
        y = np.full_like(x, 123)
        mix.routes(x, y, out_rows, sources, gains, level)
        assert np.array_equal(y, expected)


def test_two_parties_hear_each_other_bit_by_bit(level):
    x, y = rows(1, 2, 80), np.zeros((2, 80), np.int16)
    mix.bridges(x, y, [[0, 1]], level)
    assert np.array_equal(y, x[::-1])


def test_128_loud_parties_do_not_wrap(level):
    x = np.full((128, 80), 32767, np.int16)
    x[:, 40:] = -32768
    y = np.zeros_like(x)
    mix.bridges(x, y, [list(range(128))], level)
    assert (y[:, :40] == 32767).all() and (y[:, 40:] == -32768).all()


def test_own_voice_is_not_heard_even_where_the_sum_saturates(level):
    """The subtraction comes before the saturation."""
    x = np.zeros((3, 80), np.int16)
    x[0], x[1] = 30000, 30000
    y = np.ones_like(x)
    mix.bridges(x, y, [[0, 1, 2]], level)
    assert (y[0] == 30000).all() and (y[1] == 30000).all() and (y[2] == 32767).all()


@pytest.mark.parametrize("decibels, gain", ((0, 4096), (-6.0206, 2048), (-100, 0), (30, 32767)))
def test_gain_of(decibels, gain):
    assert mix.gain_of(decibels) == gain
