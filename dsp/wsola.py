"""Playing faster or slower without change of pitch: waveform-similarity overlap-add.

Source: W. Verhelst, M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA)", ICASSP 1993.
Frames of 40 ms, Hann windows that overlap by half; each next frame is taken within 10 ms of where the speed says, where
its beginning is most like what would follow the frame before (cross-correlation, normalised by the candidate's power;
first each 4th place with each 2nd sample, then all places beside the best one).  A speed of 1 copies.  Constants are ours.

speed: 0.5 to 2, in steps of 1/1024.  C functions of `_wsola` (a state is one stream, STATE_OCTETS zeros at first)
    block(state, speed * 1024, out)     80 samples; 0: put() is to bring 80 more
    put(state, x, n)
    ahead(state)                        samples that are in and not yet played
"""

import numpy as np

from dsp import isa

HOP, REACH, COARSE, SPARSE, ROOM = 160, 80, 4, 2, 1024
LEAST, MOST, UNITY = 512, 2048, 1024
RISE = [round(32768 * (0.5 - 0.5 * np.cos(np.pi * (i + 0.5) / HOP))) for i in range(HOP)]
STATE_OCTETS = 24 + 2 * ROOM + 2 * HOP


def new_state(n_streams):
    """State of streams that have not begun."""
    return isa.aligned(STATE_OCTETS * n_streams)


def stretch(x, speed, at=None):
    """x: int16 (n).  Returns int16, the same at a speed; the last 60 ms of x may be missing."""
    x = np.ascontiguousarray(x, np.int16)
    q10 = round(speed * UNITY)
    if x.ndim != 1 or not LEAST <= q10 <= MOST:
        raise ValueError(f"wsola.stretch: shape {x.shape}, speed {speed}; give one row and a speed from 0.5 to 2")
    out = np.zeros(int(len(x) * UNITY / q10) + 4 * HOP, np.int16)
    return out[:isa.load("_wsola", at).call_run(new_state(1), x, q10, out)]


def stretch_reference(x, speed):
    """The same in numpy, frame by frame, with the places chosen: (int16, [place of each frame])."""
    x, q10 = np.asarray(x, np.int64), round(speed * UNITY)
    out, places, natural, ideal = [], [], 0, 0
    rise = np.array(RISE, np.int64)
    while True:
        place = ideal >> 10
        fed = -(-max(place + REACH + 2 * HOP, natural + HOP) // 80) * 80        # the kernel is fed by 80
        if fed > len(x) // 80 * 80:
            return np.concatenate(out or [np.zeros(0)]).astype(np.int16), places
        if place != natural:
            low, high = max(0, place - REACH), place + REACH
            best = _most_alike(x, natural, range(low, high + 1, COARSE), SPARSE)
            best = _most_alike(x, natural, range(max(low, best - COARSE + 1), min(high, best + COARSE - 1) + 1), 1)
        else:
            best = natural
        out.append((rise * x[best:best + HOP] + (32768 - rise) * x[natural:natural + HOP] + 16384) >> 15)
        places.append(best)
        natural = best + HOP
        ideal += HOP * q10


def _most_alike(x, natural, places, step):
    a = x[natural:natural + HOP:step]
    def score(place):
        b = x[place:place + HOP:step]
        cross, power = float((a * b).sum()), float((b * b).sum())
        return abs(cross) * cross / (power + 1)
    return max(places, key=score)               # the first of equals, as the kernel has it
