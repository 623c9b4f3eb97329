"""Compare what was heard with what was sent.

    match = compare(sent, heard)            # both int16 at 8 kHz
    match.correlation >= 0.95; abs(match.level_db) <= 1; match.gaps == 0
    cross_talk(match.piece(heard), other) <= 0.1

Each may hold more than the other: prompts and music before, a file that was
cut short.  Judged is the stretch from the first window that was found to the last.
All positions are sample indices at 8 kHz.  `lag` is where sent[0] lies in
`heard` (negative: before its beginning).  With the far exchange's figures the
delay from a file's first sample out to its first sample in is
rx_sample + lag - tx_sample (see hil/far/client.py).
"""

import numpy as np

# Invented: long enough to hold several pitch periods, short enough to place a slip within 30 ms.
WINDOW = 400
HOP = 200
SEARCH = 400            # a slip of up to 50 ms is found and measured in one window
# A larger slip, up to a second, is looked for with a longer piece, which resembles nothing else.
FAR_PIECE = 2400
FAR_SEARCH = 8000
FOUND = 0.9             # least correlation of a window that counts as found
LEVEL_FLOOR = 100.0     # rms of the 16-bit scale (-44 dBm0) below which a window says nothing
SILENCE = 23.0          # rms: -57 dBm0, below every comfort noise that we know


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

    lag: samples, of the first window found; first, last: the stretch, in samples of sent; correlation:
    of all its samples, after alignment (piecewise where there are slips); level_db: heard over sent;
    overlap: number of samples compared; windows: (at, lag, correlation) of each window of the stretch
    loud enough to judge; slips: list of Slip; worst: lowest correlation of a window; gaps: how many
    slips, and places where windows do not agree though no slip explains it (concealment, mixing).
    Nothing found: correlation, level, overlap and gaps are 0.
    """

    __slots__ = ("lag", "first", "last", "correlation", "level_db", "overlap", "windows", "slips", "worst", "gaps")

    def __init__(self):
        self.lag = self.first = self.last = self.overlap = self.gaps = 0
        self.correlation = self.level_db = self.worst = 0.0
        self.windows, self.slips = [], []

    @property
    def seconds(self):
        """Length of the stretch."""
        return (self.last - self.first) / 8000

    def piece(self, heard):
        """The samples of heard that the stretch covers."""
        end = self.last + (self.windows[-1][1] if self.windows else 0)
        return heard[max(0, self.first + self.lag):max(0, end)]

    def __repr__(self):
        return (f"Match(lag={self.lag}, correlation={self.correlation:.4f}, level_db={self.level_db:+.2f}, "
                f"overlap={self.overlap}, worst={self.worst:.3f}, gaps={self.gaps}, slips={self.slips})")


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
    # A part that the other side never heard must not hide the lag: where no long overlap fits, a short one may.
    places, values = correlate(sent, heard, lags, share=0.02)
    _, solid = correlate(sent, heard, lags, share=0.5)
    pick = solid if np.max(solid, initial=0) >= 0.5 else values
    index = int(np.argmax(pick))
    return int(places[index]), float(pick[index])


def compare(sent, heard, lags=None):
    """Align heard to sent and measure; see Match.  lags: (first, last) where sent[0] may lie, None for anywhere."""
    sent, heard = np.asarray(sent, float), np.asarray(heard, float)
    match = Match()
    if not np.any(sent) or not np.any(heard):
        return match
    windows = _follow(sent, heard, best_lag(sent, heard, lags)[0])
    found = _found(windows)
    if not found:
        return match
    match.windows = windows = windows[found[0]:found[-1] + 1]
    match.lag = windows[0][1]
    match.slips = _slips(sent, heard, windows)
    match.first, match.last = _reach(sent, heard, windows)
    pieces = _pieces(sent, heard, match)
    a, b = np.concatenate([p[0] for p in pieces]), np.concatenate([p[1] for p in pieces])
    match.overlap = len(a)
    match.correlation = correlation(a, b)
    match.level_db = level_difference_db(a, b)
    match.worst = min(window[2] for window in windows)
    match.gaps = len(match.slips) + _unexplained(match)
    return match


def level_difference_db(sent, heard):
    """Level of heard over level of sent, both of the same samples, in dB."""
    return float(10 * np.log10(max(np.mean(np.square(heard, dtype=float)), 1e-9)
                               / max(np.mean(np.square(sent, dtype=float)), 1e-9)))


def cross_talk(heard, other):
    """Greatest |correlation| of heard with the other direction's signal, wherever they overlap nearly whole.

    Two independent voices of ten seconds stay below 0.1 by chance alone; give it ten or more.
    """
    _, values = correlate(other, heard, share=0.9)
    return float(np.max(np.abs(values), initial=0.0))


def longest_silence_ms(samples, rms=SILENCE):
    """The longest run of pieces of 20 ms below a level (rms of the 16-bit scale)."""
    longest = run = 0
    for start in range(0, len(samples) - 159, 160):
        silent = np.mean(np.square(samples[start:start + 160], dtype=float)) < rms ** 2
        run = run + 1 if silent else 0
        longest = max(longest, run)
    return longest * 20


# -- along the way --------------------------------------------------------------

def _follow(sent, heard, lag):
    """The lag of each window, looked for around that of the window before."""
    windows, lost, far = [], 0, len(heard)     # the first lag may be chance: until a window is found, look everywhere
    for at in range(0, len(sent) - WINDOW + 1, HOP):
        piece = sent[at:at + WINDOW]
        if np.sqrt(np.mean(piece ** 2)) < LEVEL_FLOOR:
            continue
        start = at + lag
        here = correlation(piece, heard[start:start + WINDOW]) if 0 <= start <= len(heard) - WINDOW else 0.0
        if here < FOUND:
            lag, here = _near(sent, heard, at, lag, here, WINDOW, SEARCH)
            if here < FOUND and lost * HOP % FAR_PIECE == 0:
                lag, here = _near(sent, heard, at, lag, here, FAR_PIECE, far)
        if here >= FOUND:
            far = FAR_SEARCH
        lost = 0 if here >= FOUND else lost + 1
        windows.append((at, lag, here))
    return windows


def _found(windows):
    """Indices of the windows that were found.  One alone at its lag is chance."""
    lags = [window[1] if window[2] >= FOUND else None for window in windows]
    return [index for index, lag in enumerate(lags)
            if lag is not None and lag in lags[max(0, index - 1):index] + lags[index + 1:index + 2]]


def _near(sent, heard, at, lag, here, length, search):
    """(lag, correlation) of the piece of sent at `at`, up to `search` from where it should be; as before if in doubt."""
    piece, low = sent[at:at + length], max(0, at + lag - search)
    within = heard[low:max(0, at + lag + length + search)]
    if len(within) < len(piece):
        return lag, here
    place, value = best_lag(piece, within, (0, len(within) - len(piece)))
    # Only a clear gain is a slip; a window across one fits neither side.
    return (low + place - at, value) if value > 0.95 and value > here + 0.05 else (lag, here)


def _reach(sent, heard, windows):
    """The stretch: from the first window found to the last, and on to the ends of the signals where quiet."""
    first, last = windows[0][0], windows[-1][0] + WINDOW
    loud = [at for at in range(0, len(sent) - WINDOW + 1, HOP) if np.sqrt(np.mean(sent[at:at + WINDOW] ** 2)) >= LEVEL_FLOOR]
    if loud[0] == first:
        first = 0
    if loud[-1] + WINDOW == last:
        last = len(sent)
    return max(first, -windows[0][1]), min(last, len(heard) - windows[-1][1])


def _unexplained(match):
    """Number of places in the stretch where windows were not found, apart from those across a slip."""
    places, before = 0, None
    for at, _, value in match.windows:
        if value >= FOUND or any(abs(slip.at - at) <= 2 * WINDOW for slip in match.slips):
            continue
        if before is None or at - before > WINDOW:
            places += 1
        before = at
    return places


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
    lag, start, pieces = match.lag, match.first, []
    for end, inserted in [(s.at, s.inserted) for s in match.slips] + [(match.last, 0)]:
        low, high = max(start, -lag), min(end, len(heard) - lag)
        if high > low:
            pieces.append((sent[low:high], heard[low + lag:high + lag]))
        start, lag = end, lag + inserted
    return pieces
