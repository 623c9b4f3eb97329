"""Speed without change of pitch: the kernel is the reference, pitch and length are right, speech stays speech."""

import numpy as np
import pytest

from dsp import wsola

KERNEL = "_wsola"


@pytest.mark.parametrize("speed", (0.5, 0.8, 1.0, 1.3, 2.0))
def test_the_kernel_is_the_reference(level, speech, speed):
    x = np.concatenate([samples for _, samples in speech[:2]])[:24000]
    assert np.array_equal(wsola.stretch(x, speed, level), wsola.stretch_reference(x, speed)[0])


@pytest.mark.parametrize("speed", (0.5, 0.75, 1.25, 1.5, 2.0))
@pytest.mark.parametrize("hz", (110, 220, 440, 1000, 3000))
def test_tones_keep_their_pitch_and_level(speed, hz):
    x = np.rint(8000 * np.sin(2 * np.pi * hz * np.arange(40000) / 8000)).astype(np.int16)
    y = wsola.stretch(x, speed)
    assert abs(len(y) - len(x) / speed) < 700
    part = y[2000:10000].astype(float)
    spectrum = np.abs(np.fft.rfft(part * np.hanning(8000))) * 4 / 8000
    assert abs(int(spectrum.argmax()) - hz) <= 1 and abs(spectrum.max() - 8000) < 400
    spectrum[max(0, hz - 20):hz + 21] = 0
    assert 20 * np.log10(spectrum.max() / 8000) < -35


def test_a_speed_of_one_is_a_copy(speech):
    x = np.concatenate([samples for _, samples in speech[:6]])[:16000]
    y = wsola.stretch(x, 1)
    assert len(y) > 15000 and np.array_equal(y, x[:len(y)])


@pytest.mark.parametrize("speed", (0.6, 1.7))
def test_speech_keeps_its_spectrum(speech, speed):
    """The long-term spectrum in thirds of an octave moves by less than 1.5 dB; played as a slower tape it would move by whole octaves."""
    x = np.concatenate([samples for _, samples in speech[:6]])[:160000]
    def bands(y):
        blocks = y[:len(y) // 512 * 512].astype(float).reshape(-1, 512) * np.hanning(512)
        power = (np.abs(np.fft.rfft(blocks)) ** 2).mean(axis=0)
        edges = np.rint(512 / 8000 * 200 * 2 ** (np.arange(14) / 3)).astype(int)
        return np.array([10 * np.log10(power[a:max(b, a + 1)].mean()) for a, b in zip(edges, edges[1:])])
    assert np.abs(bands(wsola.stretch(x, speed)) - bands(x)).max() < 1.5


def test_what_cannot_be_is_refused():
    for x, speed in ((np.zeros((2, 80)), 1), (np.zeros(80), 0.4), (np.zeros(80), 2.1)):
        with pytest.raises(ValueError, match="0.5 to 2"):
            wsola.stretch(x, speed)
    assert len(wsola.stretch(np.zeros(100, np.int16), 1.5)) == 0
