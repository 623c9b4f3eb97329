"""Mixing: who hears whom, from index arrays.

`bridges` is the full mesh: every member hears the sum of all others.  The sum
is taken once, in 32 bits, and each member's own part is subtracted before the
only saturation; so the mix is exact up to 65,536 members, and nobody hears
himself.  Two members hear each other bit by bit.  `routes` is topology: a list
of sources with a gain for each hearer (gain 4096 = 0 dB; below 32768, 18 dB).
Rows are int16 (n_rows, n_samples); x is what the members say, y what they
hear; x and y must not overlap.
"""

import numpy as np

from dsp import isa

UNITY = 4096


def gain_of(decibels):
    """Gain for `routes` of a level change in dB, at most +18 dB."""
    return min(round(UNITY * 10 ** (decibels / 20)), 32767)


def _arrays(lists):
    """Lists of row numbers as (start, flat), int32; flat has at least one element so that it has an address."""
    start = np.cumsum([0, *map(len, lists)]).astype(np.int32)
    return start, np.array([row for one in lists for row in one] or [0], np.int32)


def bridges(x, y, members, at=None):
    """members: a list of row numbers for each bridge. Writes the rows of y that are named."""
    start, flat = _arrays(members)
    isa.load("_mix", at).call_bridges(x, y, start, flat)


def routes(x, y, out_rows, sources, gains=None, at=None):
    """out_rows: hearers; sources: a list of rows for each; gains: lists of the same shape, or None."""
    start, flat = _arrays(sources)
    gain = None if gains is None else _arrays(gains)[1]
    isa.load("_mix", at).call_routes(x, y, np.asarray(out_rows, np.int32), start, flat, gain)


def bridges_reference(x, y, members):
    """The same, member by member."""
    for bridge in members:
        for hearer in bridge:
            total = sum((x[row].astype(np.int64) for row in bridge if row != hearer), np.zeros(x.shape[1], np.int64))
            y[hearer] = np.clip(total, -32768, 32767)


def routes_reference(x, y, out_rows, sources, gains=None):
    """The same, source by source."""
    for i, hearer in enumerate(out_rows):
        total = np.zeros(x.shape[1], np.int64)
        for j, row in enumerate(sources[i]):
            gain = UNITY if gains is None else gains[i][j]
            total += (x[row].astype(np.int64) * gain) >> 12
        y[hearer] = np.clip(total, -32768, 32767)
