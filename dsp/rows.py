"""Frames of the board's ring to rows per timeslot, and back.

The board delivers uint8 [frame][column], column = 32 * span + timeslot; all
that follows wants a timeslot's octets of a block in one run: [column][frame].
"""

import numpy as np

from dsp import isa


def frames_to_rows(frames, at=None):
    """frames: uint8 (n_frames, n_columns), C order. Returns uint8 (n_columns, n_frames)."""
    rows = np.empty(frames.shape[::-1], np.uint8)
    isa.load("_rows", at).call_frames_to_rows(frames, rows)
    return rows


def rows_to_frames(rows, at=None):
    """rows: uint8 (n_columns, n_frames), C order. Returns uint8 (n_frames, n_columns)."""
    frames = np.empty(rows.shape[::-1], np.uint8)
    isa.load("_rows", at).call_rows_to_frames(rows, frames)
    return frames


def reference(frames):
    """The same, plainly."""
    return np.ascontiguousarray(frames.T)
