"""Frames to rows and back."""

import numpy as np
import pytest

from dsp import rows

KERNEL = "_rows"


@pytest.mark.parametrize("shape", ((80, 2048), (48, 2048), (32, 32), (1, 1), (17, 33), (80, 24), (16, 16), (5, 2048)))
def test_there_and_back(level, shape):
    frames = np.random.default_rng(7).integers(0, 256, shape).astype(np.uint8)
    turned = rows.frames_to_rows(frames, level)
    assert np.array_equal(turned, rows.reference(frames))
    assert np.array_equal(rows.rows_to_frames(turned, level), frames)
