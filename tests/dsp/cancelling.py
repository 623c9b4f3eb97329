"""Drives the canceller through a line, many channels at once."""

import numpy as np
from scipy import signal

from dsp import echo, g711


def alaw(x):
    """x through an A-law trunk, int16."""
    return g711.expand(g711.compress(np.clip(np.rint(x), -32768, 32767).astype(np.int16), g711.A), g711.A)


class Line:
    """len(paths) channels; run() goes on where the last run() ended."""

    def __init__(self, paths, partitions=echo.TAIL_64_MS, at=None):
        self.n, self.partitions, self.at = len(paths), partitions, at
        self.state = echo.new_state(self.n, partitions, at)
        self.slots = np.arange(self.n)
        self.change(paths)

    def change(self, paths):
        self.paths = [np.asarray(p, float) for p in paths]
        self.past = getattr(self, "past", np.zeros((self.n, 2048)))

    def run(self, far, near=0.0, flags=0):
        """far: (n_samples) or (channels, n_samples), linear; near: what the near party says.
        Returns (echo, send in, send out), float (channels, n_samples)."""
        far = alaw(np.broadcast_to(np.asarray(far, float), (self.n, np.shape(far)[-1])))
        n = far.shape[1] // 80 * 80
        far = np.ascontiguousarray(far[:, :n])
        whole = np.hstack([self.past, far])
        returned = np.stack([signal.oaconvolve(w, p)[2048:2048 + n] for p, w in zip(self.paths, whole)])
        self.past = whole[:, -2048:]
        near = np.broadcast_to(np.asarray(near, float), (self.n, np.shape(near)[-1] if np.ndim(near) else n))[:, :n]
        sent = alaw(returned + near)
        out = np.empty_like(sent)
        flags = np.full(self.n, flags, np.uint8)
        for begin in range(0, n, 80):
            block = np.ascontiguousarray(sent[:, begin:begin + 80])
            echo.cancel(self.state, self.slots, np.ascontiguousarray(far[:, begin:begin + 80]), block, flags,
                        partitions=self.partitions, at=self.at)
            out[:, begin:begin + 80] = block
        return returned, sent.astype(float), out.astype(float)
