"""Line echo canceller for many channels, by blocks of 10 ms; 64 ms of echo path, or 128 ms.

Why it is hard: the echo of a hybrid lies somewhere in the path, speech excites a
few directions of the 528 unknowns at a time, and the near party speaks whenever
he likes.  A sample-wise NLMS needs seconds on speech and 2 x 512 multiplications
a sample; a frequency-domain filter with a step per bin is cheap and slow.  Here
each block of 80 errors is one linear problem, nearly exactly solved:

 1. The mean of the error is taken off the near signal (a slow tracker; G.168 test 15).
 2. Two echo estimates, from the *foreground* taps, that make the output, and the
    *background* taps, that learn; overlap-save, 256 samples at odd multiples of half a bin, partitions of 176 taps.
 3. e = near - background estimate.
 4. The far signal's correlation r(0..48), fading by 0.85 a block (128 ms: r(0..72), 0.94).  The fading is
    put on the samples, so r is a true autocorrelation, and the Toeplitz matrix R
    of it bounds the matrix X X' of the block from above (as far as the echo path
    reaches): no step overshoots, without any search.
 5. g = (R + (noise / p) I)^-1 e by Levinson's recursion, predictor order 48 (it
    must reach the pitch; 72 for 128 ms, where a block of 80 errors says less of twice the taps); taps += X' g, constrained to 176 a partition.  p is the
    power of a tap's error, as in a Kalman filter with p I: it falls as directions
    are learnt, and rises slowly (LEAK).  This is affine projection of order 80.
 6. Control.  *Young* (not yet converged): every error counts as echo.  Later an
    error beyond 8 times what p explains is near speech, it counts as noise, and
    the step vanishes: double-talk.  Where that lasts, a *rescue* is tried: the
    background learns with a large p for up to 40 blocks; it must bring its error
    below a quarter of the foreground's, else it was double-talk and is thrown
    away.  Path change: the channel is young again.  A background that is worse
    than the foreground is always replaced by it; one that is better by more than
    half of the distance of the two estimates replaces it.
 7. Non-linear processor: an error 17 dB below the near signal's last 50 ms or
    within the floor, while the far party speaks, is replaced by noise at the
    near floor (minimum of the last 1 to 2 s).  In the first 1.5 s of far speech a
    young channel also loses what is below far - 6 dB: no echo ever leaves.

 8. Rest.  Nearly all of the cost is learning (the background estimate, step 5
    and two transforms a partition), so a lane looks at its background only when it
    is *due*: in each block while it is young, is being rescued, or in its first 10 s of far speech
    (FRESH) as long as it has not settled; then in each 4th block.  One that has settled (p 30 dB below its
    taps, error near the noise, or near speech that a rescue was just tried on in vain) is due in each 4th
    block of its first 10 s and in each 8th after that.  The blocks are
    the same for all lanes of a group, which saves only where none is due.  A rescue
    spends one of three tries (one grows back in 10 s of far speech); without any it
    begins in a window of 160 ms each 5 s.  Nobody stays young for more than 4 s of far
    speech; who has never seen a quarter of an error explained has no echo (*foreign*),
    learns nothing from the near party's speech, and is tried in those windows.  What he has learnt was
    chance and is forgotten: his foreground is *blank*, and a group of blank lanes is neither filtered nor,
    but for a quarter of a second before its windows, correlated.
    Who is short of time asks for less by SPARE times 1, 2 or 3: then learning blocks are rarer (SCHEDULE in
    native/echo.h), convergence is slower in the same measure, and the figures of G.168 are no longer promised.

Tones (G.168 test 6) make R singular; R + 1e-4 r(0) I is solved, so g stays bounded.
A single tone has all of R in two directions, which each block would solve anew and exactly,
for what the near party sends beside it, too: so long as the far signal can be predicted
(order 4, to 20 dB), up to 60 r(0) are put on R: steps of a part, over which that averages out.
FREEZE inhibits learning from outside, as tests 2C and 3 ask.

The tone detector tells 2100 Hz by flags, G.168 clause 7: plain 2100 Hz ->
NLP_OFF; with phase reversals -> CLOSED (the near signal passes bit by bit and
nothing is learnt) until the signal is gone.

Sources: ITU-T G.168 (04/2015); the two-path model after Ochiai, Araseki and
Ogihara 1977; Levinson 1947.  All constants are measured compromises, see
tests/dsp/test_echo.py.  In a list of slots they stand in ascending order, each once;
a slot of a group that is not named hears silence and is closed for that block.
Samples are int16, left aligned as dsp/g711.py has them; no delay is added.  Taps are kept in half precision
where the processor has it (all but x86-64-v2): memory is what a full board's cancellers cost most.
"""

import numpy as np

from dsp import isa

BLOCK, TAPS, ORDER, LONG_ORDER = 80, 176, 48, 72
TAIL_64_MS, TAIL_128_MS = 3, 6          # partitions of 22 ms: 66 ms and 132 ms
CLOSED, NLP_OFF, FREEZE, NOISE_OFF = 1, 2, 4, 8
SPARE = 16                              # times 0 to 3, alike in all slots of a call

# The control fields of a slot, in the order of the kernel's record.
CONTROL = ("p fore_power back_power apart_power expected_power fore_slow back_slow near_slow far_power "
           "floor_now floor_past floor_mean ticks since surprise rescue p_before young converged offset gain "
           "spoken near_hold far_peak floor active better seen size tries age hits foreign settled learnt blank seed").split()

FADING, LONG_FADING, LARGEST_P, SMALLEST_P, LEAK = 0.85, 0.94, 2e-4, 1e-12, 1e-5


def new_state(n_slots, partitions=TAIL_64_MS, at=None):
    """State of slots 0 to n_slots - 1: uint8, aligned; keep it alive."""
    kernel = isa.load("_echo", at)
    groups = -(-n_slots // kernel.LANES)
    state = isa.aligned(groups * kernel.group_octets(partitions))
    for slot in range(groups * kernel.LANES):
        kernel.call_reset(state, slot, partitions)
    return state


def octets_per_channel(partitions=TAIL_64_MS, at=None):
    kernel = isa.load("_echo", at)
    return kernel.group_octets(partitions) / kernel.LANES


def cancel(state, slots, far, near, flags=None, far_rows=None, near_rows=None, partitions=TAIL_64_MS, at=None):
    """One block: far, near: int16 (n_rows, 80), C order; near is changed in place.

    far is what goes to the line (receive out), near what comes from it (send in).
    slots: ascending; rows: 0, 1, 2, ... where not given; flags: uint8 a slot."""
    slots = np.ascontiguousarray(slots, np.int32)
    rows = np.arange(len(slots), dtype=np.int32)
    flags = np.zeros(len(slots), np.uint8) if flags is None else np.ascontiguousarray(flags, np.uint8)
    take = lambda given: rows if given is None else np.ascontiguousarray(given, np.int32)
    isa.load("_echo", at).call_cancel(state, slots, take(far_rows), take(near_rows), flags, far, near, partitions)


def reset(state, slot, partitions=TAIL_64_MS, at=None):
    """Forget the echo path of a slot (a new call)."""
    isa.load("_echo", at).call_reset(state, slot, partitions)


def control(state, slot, partitions=TAIL_64_MS, at=None):
    """{field: value} of a slot, to look at."""
    out = np.zeros(len(CONTROL), np.float32)
    isa.load("_echo", at).call_control(state, slot, partitions, out)
    return dict(zip(CONTROL, out.tolist()))


def response(state, slot, partitions=TAIL_64_MS, at=None):
    """The learnt echo path: float32 (176 * partitions)."""
    out = np.zeros(TAPS * partitions, np.float32)
    isa.load("_echo", at).call_response(state, slot, partitions, out)
    return out


def tone_load(r):
    """Step 5: what is put on R so long as the far signal is a tone; r: as below."""
    a, error = np.ones(1), r[0] * 1.0001 + 1
    for n in range(1, 5):
        k = np.clip(-(a @ r[n:0:-1]) / error, -0.9999, 0.9999)
        a = np.append(a, 0)
        a = a + k * a[::-1]
        error *= 1 - k * k
    return 60 * r[0] * np.clip(1 - 100 * error / (r[0] * 1.0001 + 1), 0, 1)


def solve_reference(r, load, e):
    """Step 5 for one channel: g, and the trace of load (R + load)^-1, in float64.

    r: order + 1 correlations; the inverse is built from predictors of growing
    order, which stay as they are from `order` on."""
    order = len(r) - 1
    a, error = np.ones(1), r[0] * 1.0001 + load
    g, trace, norm = np.zeros(BLOCK), 0.0, 1.0
    for n in range(BLOCK):
        if 1 <= n <= order:
            k = np.clip(-(a @ r[n:0:-1]) / error, -0.9999, 0.9999)
            a = np.append(a, 0)
            a = a + k * a[::-1]
            error *= 1 - k * k
            norm = a @ a if n % 4 == 0 else norm
        q = len(a) - 1
        part = e[n - q:n + 1][::-1]
        g[n - q:n + 1] += a[::-1] * (a @ part) / error
        trace += norm / error
    return g, trace * load


class Reference:
    """One young channel, learning only (steps 2 to 5 without control and processor), in float64.

    step(far, near, noise, p): float (80) each; returns the error before learning."""

    def __init__(self, partitions=TAIL_64_MS):
        self.taps = np.zeros(TAPS * partitions)
        self.far = np.zeros(len(self.taps) + BLOCK)
        long = partitions > TAIL_64_MS
        self.order, self.fading = (LONG_ORDER, LONG_FADING) if long else (ORDER, FADING)
        self.r = np.zeros(self.order + 1)

    def step(self, far, near, noise, p):
        self.far = np.append(self.far[BLOCK:], far)
        x = np.lib.stride_tricks.sliding_window_view(self.far, len(self.taps))[1:, ::-1]
        e = near - x @ self.taps
        before = self.far[-BLOCK - self.order:-BLOCK] * self.fading ** 0.5
        window = np.append(before, far)
        self.r = self.r * self.fading + [far @ window[self.order - d:self.order - d + BLOCK] for d in range(self.order + 1)]
        g, _ = solve_reference(self.r, noise / p + tone_load(self.r), e)
        self.taps = self.taps + x.T @ g
        return e
