"""Octet by octet: what arrived of what was sent, where nothing on the way may touch it.

    found = match(sent, heard)
    found.exact               # all of sent is in heard, in one piece
    found.at                  # index in heard of sent[0]
    found.pieces              # [(index in sent, index in heard, length)]
    str(found)                # what is missing, inserted or wrong, and where

With all enhancement off a path of one law carries G.711 octets unchanged, so
one octet that differs is concealment, mixing or a slip.  Imports nothing of the product.
"""

import numpy as np

WINDOW = 160              # ours: octets that must agree to say where we are; 20 ms, and speech is not that repetitive
SEARCH = 8000             # ours: a slip of up to a second is found
STEP = 40


class Exact:
    """Result of match().  sent: number of octets sent."""

    def __init__(self, sent, pieces):
        self.sent, self.pieces = sent, pieces

    @property
    def at(self):
        """Index in heard of the first octet sent; None when nothing was found."""
        return self.pieces[0][1] - self.pieces[0][0] if self.pieces else None

    @property
    def exact(self):
        return len(self.pieces) == 1 and self.pieces[0][0] == 0 and self.pieces[0][2] == self.sent

    @property
    def changed(self):
        """Number of octets sent that did not arrive unchanged."""
        return self.sent - sum(length for _, _, length in self.pieces)

    @property
    def slips(self):
        """[(index in sent, octets inserted; negative: missing)] where the alignment changes."""
        return [(two[0], (two[1] - two[0]) - (one[1] - one[0]))
                for one, two in zip(self.pieces, self.pieces[1:]) if two[1] - two[0] != one[1] - one[0]]

    def __str__(self):
        if self.exact:
            return f"all {self.sent} octets, bit by bit, from index {self.at}"
        gaps = [one[0] + one[2] for one in self.pieces]
        return (f"{self.changed} of {self.sent} octets changed, slips {self.slips}, {len(self.pieces)} pieces, "
                f"interrupted at {gaps[:10]}")


def match(sent, heard):
    """Find sent in heard.  Both: octets; sent: at least WINDOW long and beginning with something unique."""
    sent, heard = bytes(sent), bytes(heard)
    a, b = np.frombuffer(sent, np.uint8), np.frombuffer(heard, np.uint8)
    pieces, at, low = [], 0, 0
    while at + WINDOW <= len(sent):
        high = len(heard) if not pieces else min(len(heard), low + (at - pieces[-1][0]) + SEARCH)
        place = _nearest(sent, heard, sent[at:at + WINDOW], low, high, pieces, at)
        if place < 0:
            at += STEP
            continue
        length = _agree(a[at:], b[place:])
        # The window began in the middle of what agrees.
        floor_sent = pieces[-1][0] + pieces[-1][2] if pieces else 0
        back = 0
        while at - back > floor_sent and place - back > low and sent[at - back - 1] == heard[place - back - 1]:
            back += 1
        pieces.append((at - back, place - back, length + back))
        at += length
        low = place + length
    tail = len(sent) - (pieces[-1][0] + pieces[-1][2]) if pieces else 0
    if 0 < tail < WINDOW:                 # too short for a window of its own: at the same alignment or not at all
        first, shift = len(sent) - tail, pieces[-1][1] - pieces[-1][0]
        good = next((n for n in range(tail) if sent[len(sent) - n - 1:len(sent) - n] !=
                     heard[len(sent) - n - 1 + shift:len(sent) - n + shift]), tail)
        if good and good < tail:
            pieces.append((first + tail - good, first + tail - good + shift, good))
    return Exact(len(sent), pieces)


def _nearest(sent, heard, window, low, high, pieces, at):
    """Where the window lies: at the alignment so far if it can, else the first place; -1 where it proves nothing."""
    if pieces:
        expected = at + pieces[-1][1] - pieces[-1][0]
        if expected >= low and heard[expected:expected + len(window)] == window:
            return expected
        # Silence and hum resemble themselves a little later: no proof of a slip.
        if sent.find(window, max(0, at - SEARCH), at + len(window) - 1) >= 0 \
                or sent.find(window, at + 1, at + SEARCH) >= 0:
            return -1
    return heard.find(window, low, high)


def _agree(a, b):
    """Number of leading octets in which two arrays agree."""
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if len(different) else n
