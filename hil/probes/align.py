"""Compare what was heard with what was sent.

    match = compare(sent, heard)            # both int16 at 8 kHz
    match.correlation >= 0.95; abs(match.level_db) <= 1; match.slips == []
    cross_talk(heard, other) <= 0.1

All positions are sample indices at 8 kHz.  `lag` is where sent[0] lies in
`heard` (negative: before its beginning).  With the far exchange's figures the
delay from a file's first sample out to its first sample in is
rx_sample + lag - tx_sample (see hil/far/client.py).
"""

import numpy as np

# Invented: long enough to hold several pitch periods, short enough to place a slip within 30 ms.
WINDOW = 400
HOP = 200
SEARCH = 400            # a slip of up to 50 ms is found and measured
LEVEL_FLOOR = 100.0     # rms of the 16-bit scale (-44 dBm0) below which a window says nothing


class Slip:
    """heard lacks samples (inserted < 0) or has too many (inserted > 0) near sent sample `at`."""

    def __init__(self, at, inserted):
        self.at, self.inserted = at, inserted

    def __repr__(self):
        return f"Slip(at={self.at}, inserted={self.inserted})"

    def __eq__(self, other):
        return (self.at, self.inserted) == (other.at, other.inserted)


class Match:
    """Result of compare().

    lag: samples; correlation: of all samples of sent that lie in heard, after
    alignment (piecewise where there are slips: see `straight` for the single
    lag); level_db: heard over sent; overlap: number of samples compared;
    windows: (at, lag, correlation) of each window loud enough to judge;
    slips: list of Slip; worst: lowest correlation of a window.
    """

    __slots__ = ("lag", "correlation", "straight", "level_db", "overlap", "windows", "slips", "worst")

    def __repr__(self):
        return (f"Match(lag={self.lag}, correlation={self.correlation:.4f}, straight={self.straight:.4f}, "
                f"level_db={self.level_db:+.2f}, overlap={self.overlap}, worst={self.worst:.3f}, slips={self.slips})")


def correlation(a, b):
    """Pearson correlation of two equally long arrays; 0 where one is constant."""
    a = np.asarray(a, float) - np.mean(a)
    b = np.asarray(b, float) - np.mean(b)
    scale = np.sqrt(np.dot(a, a) * np.dot(b, b))
    return float(np.dot(a, b) / scale) if scale else 0.0


def correlate(sent, heard, lags=None, share=0.5):
    """Normalised cross-correlation for every lag with enough overlap.

    lags: (first, last) to look at, None for all.  share: least part of the
    shorter signal that must overlap, else the value is 0.  Returns (lags,
    values), computed by FFT; each value is divided by the energy of the very
    samples that overlap.
    """
    sent, heard = np.asarray(sent, float), np.asarray(heard, float)
    sent, heard = sent - sent.mean(), heard - heard.mean()
    n = len(sent) + len(heard) - 1
    size = 1 << (n - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)
    all_lags = np.arange(-(len(sent) - 1), len(heard))
    values = product[all_lags % size]
    energy_sent = np.concatenate(([0.0], np.cumsum(sent ** 2)))
    energy_heard = np.concatenate(([0.0], np.cumsum(heard ** 2)))
    first, last = np.maximum(0, -all_lags), np.minimum(len(sent), len(heard) - all_lags)
    power = ((energy_sent[last] - energy_sent[first])
             * (energy_heard[last + all_lags] - energy_heard[first + all_lags]))
    floor = 1e-6 * max(energy_sent[-1] * energy_heard[-1], 1e-30)
    enough = (last - first >= share * min(len(sent), len(heard))) & (power > floor)
    values = np.where(enough, values / np.sqrt(np.maximum(power, floor)), 0.0)
    if lags is not None:
        chosen = (all_lags >= lags[0]) & (all_lags <= lags[1])
        return all_lags[chosen], values[chosen]
    return all_lags, values


def best_lag(sent, heard, lags=None):
    """(lag, correlation) where heard resembles sent most."""
    # A part that the other side never heard must not hide the lag: unnormalised size decides first.
    places, values = correlate(sent, heard, lags, share=0.02)
    _, solid = correlate(sent, heard, lags, share=0.5)
    pick = solid if np.max(solid, initial=0) >= 0.5 else values
    index = int(np.argmax(pick))
    return int(places[index]), float(pick[index])


def compare(sent, heard, lags=None):
    """Align heard to sent and measure. Raises ValueError where one of them is empty or silent."""
    sent, heard = np.asarray(sent, float), np.asarray(heard, float)
    if not len(sent) or not len(heard) or not np.any(sent) or not np.any(heard):
        raise ValueError("a signal is empty or silent: there is nothing to compare")
    match = Match()
    match.lag, match.straight = best_lag(sent, heard, lags)
    match.windows = _follow(sent, heard, match.lag)
    match.slips = _slips(sent, heard, match.windows)
    pieces = _pieces(sent, heard, match)
    a = np.concatenate([p[0] for p in pieces]) if pieces else np.zeros(0)
    b = np.concatenate([p[1] for p in pieces]) if pieces else np.zeros(0)
    match.overlap = len(a)
    match.correlation = correlation(a, b) if len(a) else 0.0
    match.level_db = level_difference_db(a, b) if len(a) else float("nan")
    match.worst = min((w[2] for w in match.windows), default=0.0)
    return match


def level_difference_db(sent, heard):
    """Level of heard over level of sent, both of the same samples, in dB."""
    return float(10 * np.log10(max(np.mean(np.square(heard, dtype=float)), 1e-9)
                               / max(np.mean(np.square(sent, dtype=float)), 1e-9)))


def cross_talk(heard, other, within=4000):
    """Greatest |correlation| of heard with the other direction's signal at any lag up to `within` samples.

    heard and other must lie on one time line (index 0 of both at the same
    time, to within `within`).  Two independent voices of ten seconds stay below 0.1 by chance alone;
    give it ten or more.
    """
    _, values = correlate(other, heard, (-within, within))
    return float(np.max(np.abs(values), initial=0.0))


# -- along the way --------------------------------------------------------------

def _follow(sent, heard, lag):
    """The lag of each window, looked for around that of the window before."""
    windows = []
    for at in range(0, len(sent) - WINDOW + 1, HOP):
        piece = sent[at:at + WINDOW]
        if np.sqrt(np.mean(piece ** 2)) < LEVEL_FLOOR:
            continue
        start = at + lag
        if start < 0 or start + WINDOW > len(heard):
            continue
        here = correlation(piece, heard[start:start + WINDOW])
        if here < 0.9:
            low = max(0, start - SEARCH)
            place, value = best_lag(piece, heard[low:start + WINDOW + SEARCH], (0, 2 * SEARCH))
            # Only a clear gain is a slip; a window across one fits neither side.
            if value > 0.95 and value > here + 0.05:
                lag, here = low + place - at, value
        windows.append((at, lag, here))
    return windows


def _slips(sent, heard, windows):
    """Where consecutive judged windows disagree on the lag, confirmed by the one after."""
    slips = []
    for index in range(1, len(windows)):
        before, now = windows[index - 1], windows[index]
        if now[1] == before[1]:
            continue
        slips.append(Slip(_place(sent, heard, before, now), now[1] - before[1]))
    # A window across the slip may have settled in between: join what cancels within two windows.
    joined = []
    for slip in slips:
        if joined and slip.at - joined[-1].at < 2 * WINDOW:
            joined[-1].inserted += slip.inserted
            if joined[-1].inserted == 0:
                joined.pop()
        else:
            joined.append(slip)
    return joined


def _place(sent, heard, before, now):
    """The cut between two lags that leaves the smallest error."""
    first, last = before[0], min(now[0] + WINDOW, len(sent))
    at = np.arange(first, last)

    def error(lag):
        index = np.clip(at + lag, 0, len(heard) - 1)
        return (heard[index] - sent[first:last]) ** 2

    left, right = np.cumsum(error(before[1])), np.cumsum(error(now[1])[::-1])[::-1]
    total = np.concatenate(([right[0]], left[:-1] + right[1:], [left[-1]]))
    return int(first + np.argmin(total))


def _pieces(sent, heard, match):
    """Stretches of sent and heard that belong together, slips taken into account."""
    lag = match.windows[0][1] if match.windows else match.lag
    pieces, start = [], 0
    for end, inserted in [(s.at, s.inserted) for s in match.slips] + [(len(sent), 0)]:
        low, high = max(start, -lag), min(end, len(heard) - lag)
        if high > low:
            pieces.append((sent[low:high], heard[low + lag:high + lag]))
        start, lag = end, lag + inserted
    return pieces
