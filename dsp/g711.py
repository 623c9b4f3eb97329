"""G.711: A-law and mu-law companding, and conversion between the laws.

A sample x is int16, 13 (A) or 14 (mu) bits left aligned, as the ITU software
tools have it: the A-law peak is +/-32256, the mu-law peak +/-32124.  A sine of
+3.14 dBm0 (A) or +3.17 dBm0 (mu) just reaches the peak, G.711 clause 4.
Source: ITU-T G.711 (11/1988), tables 1 to 4; quantisation below zero as in
G.191 (one's complement), so that both signs have the same steps.
"""

import numpy as np

from dsp import isa

A, MU = 0, 1

# Tables 3 and 4 as magnitude numbers 0..127 (0 is the smallest step), both
# signs alike.  They are not the same as expanding and compressing again: where
# a value of one law lies between two of the other the Recommendation chooses,
# so that mu to A to mu changes only eight values.
MU_TO_A_MAGNITUDE = [*(m // 2 for m in range(16)), *range(8, 25), 26, 28, 30, *range(32, 44), 45,
                     *range(47, 62), *range(63, 80), *range(81, 128)]
A_TO_MU_MAGNITUDE = [*range(1, 16, 2), *range(16, 33), 32, 33, 33, 34, 34, 35, *range(35, 49), 48, 49,
                     *range(49, 65), *range(64, 81), *range(80, 128)]


def _conversion_tables():
    """(A to mu, mu to A): 256 octets each, as they are on the line."""
    a_to_mu, mu_to_a = np.empty(256, np.uint8), np.empty(256, np.uint8)
    for sign in (0, 0x80):
        for m in range(128):
            a_to_mu[(m | sign) ^ 0x55] = (0x7F - A_TO_MU_MAGNITUDE[m]) | sign
            mu_to_a[(0x7F - m) | sign] = (MU_TO_A_MAGNITUDE[m] | sign) ^ 0x55
    return a_to_mu, mu_to_a


A_TO_MU, MU_TO_A = _conversion_tables()


def expand(octets, law, at=None):
    """octets: uint8, any shape; law: A or MU. Returns int16 of the same shape."""
    octets = np.ascontiguousarray(octets, np.uint8)
    x = np.empty(octets.shape, np.int16)
    if x.size:
        isa.load("_g711", at).call_expand(law, octets.reshape(-1), x.reshape(-1))
    return x


def compress(x, law, at=None):
    """x: int16, any shape; law: A or MU. Returns uint8 of the same shape."""
    x = np.ascontiguousarray(x, np.int16)
    octets = np.empty(x.shape, np.uint8)
    if x.size:
        isa.load("_g711", at).call_compress(law, x.reshape(-1), octets.reshape(-1))
    return octets


def convert(octets, law, at=None):
    """octets of law `law` (A or MU), uint8, any shape. Returns those of the other law (tables 3, 4)."""
    octets = np.ascontiguousarray(octets, np.uint8)
    out = np.empty_like(octets)
    if out.size:
        isa.load("_g711", at).call_convert(law, octets.reshape(-1), out.reshape(-1))
    return out


def _positive_values(law):
    """Table 1a or 2a: output value of each positive magnitude number, and the decision value below it."""
    values, decisions = [], []
    for m in range(128):
        segment, step = m >> 4, m & 15
        if law == A:
            width = 16 << max(segment - 1, 0)
            low = (step + 16 * (segment > 0)) * width
        else:
            width = 8 << segment
            low = (16 + step) * width - 132  # bias of 33 in units of 4; the first step is half outside
        values.append(low + width // 2)
        decisions.append(low)
    return np.array(values), np.array(decisions)


def expand_reference(octets, law):
    """The decoder as a look-up in tables 1 and 2, spelt by segment and step."""
    values, _ = _positive_values(law)
    octets = np.asarray(octets)
    code = octets ^ (0x55 if law == A else 0x7F)
    magnitude = values[code & 0x7F]
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def compress_reference(x, law):
    """The encoder as a search among the decision values of tables 1 and 2."""
    _, decisions = _positive_values(law)
    x = np.asarray(x).astype(np.int32)
    magnitude = np.where(x < 0, ~x, x)
    number = np.searchsorted(decisions, magnitude, side="right") - 1
    code = np.clip(number, 0, 127) | np.where(x < 0, 0, 0x80)
    return (code ^ (0x55 if law == A else 0x7F)).astype(np.uint8)
