"""Any rate to 8 kHz: a windowed-sinc filter in polyphase form, for prompts and uploads (not in real time).

Each output sample is a sum over the input around its place, with one of L filters, where L / M is the ratio of the
rates in lowest terms.  Pass band to 3.4 kHz within 0.1 dB, stop band from 4.6 kHz below -60 dB (Kaiser window, measured
in tests/media/test_resample.py); when rates below 8 kHz are raised, the bands are those of the lower rate.
"""

import math

import numpy

RATE_HZ = 8000
BETA = 6.2              # Kaiser: about 65 dB
HALF_PERIODS = 16       # half the filter, in samples of the lower rate
CUT_OFF = 0.5           # of the lower rate: the middle of the transition band


def to_8k(x, rate_hz):
    """x: 1-d array of any rate from 1 to 384 kHz.  Returns float64 at 8 kHz, of the same duration (rounded up)."""
    x = numpy.asarray(x, float)
    if rate_hz == RATE_HZ or not len(x):
        return x
    common = math.gcd(rate_hz, RATE_HZ)
    up, down = RATE_HZ // common, rate_hz // common
    lower = min(RATE_HZ, rate_hz)
    half = math.ceil(HALF_PERIODS * rate_hz / lower)                # samples of the input
    n_out = -(-len(x) * up // down)
    padded = numpy.concatenate([numpy.zeros(half), x, numpy.zeros(half + down // up + 2)])
    windows = numpy.lib.stride_tricks.sliding_window_view(padded, 2 * half)
    y = numpy.empty(n_out)
    phases = min(up, n_out)
    offsets = numpy.arange(2 * half) - half + 1
    for phase in range(phases):
        first, part = divmod(phase * down, up)                      # place in the input: first + part / up
        t = (offsets - part / up) / rate_hz
        taper = numpy.i0(BETA * numpy.sqrt(numpy.clip(1 - (t * rate_hz / half) ** 2, 0, None))) / numpy.i0(BETA)
        filter_ = numpy.sinc(2 * CUT_OFF * lower * t) * taper
        filter_ /= filter_.sum()
        count = -(-(n_out - phase) // up)
        y[phase::up] = windows[first + 1::down][:count] @ filter_
    return y
