"""Where the corpus is, and at which instruction-set levels a kernel can be tested here."""

import wave

import numpy as np
import pytest
from scipy import signal

from tests.corpus import part


@pytest.fixture(scope="session")
def corpus():
    """Path of the corpus; skipped by name where it is absent, an error where CI=true."""
    return part("")


def pytest_generate_tests(metafunc):
    """A test that takes `level` runs once for each built level that this processor has."""
    if "level" in metafunc.fixturenames:
        from dsp import isa
        kernel = getattr(metafunc.module, "KERNEL")
        metafunc.parametrize("level", isa.built_levels(kernel) or ["none built"])


@pytest.fixture(scope="session")
def speech(corpus):
    """The corpus's speech at 8 kHz: [(name, int16 samples)], about 14 minutes."""
    return corpus_speech(corpus)


def corpus_speech(corpus):
    """The same for benches."""
    found = []
    folder = corpus / "speech"
    for path in sorted(folder.rglob("*.wav")):
        with wave.open(str(path)) as file:
            x = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())[:, 0]
            rate = file.getframerate()
        found.append((path.name, at_8_khz(x, rate)))
    found += [(path.name, at_8_khz(np.fromfile(path, "<i2"), 16000)) for path in sorted(folder.glob("*.raw"))]
    found += [(path.name, at_8_khz(np.fromfile(path, "<i2"), 48000)) for path in sorted(folder.glob("*.pcm"))]
    return found


def at_8_khz(x, rate):
    """x at another rate, through a low-pass filter."""
    if rate == 8000:
        return x
    return np.clip(np.rint(signal.resample_poly(x.astype(float), 8000, rate)), -32768, 32767).astype(np.int16)
