"""What a test call learns from what it hears: against signals made here, through scipy's filters and A-law of our own making."""

import math

import numpy
import pytest

from firmware.chassis import line_audio as audio

RNG = numpy.random.default_rng(7)


def a_law(samples):
    """Samples as A-law passes them (G.711 table 1): 13 segments, 4 bits each, on the 16-bit scale."""
    clipped = numpy.clip(samples, -32256, 32256)
    size = numpy.abs(clipped) / 16                   # steps of 1 in 2048
    exponent = numpy.clip(numpy.floor(numpy.log2(numpy.maximum(size, 1))) - 5, 0, 6)
    step = 2.0 ** exponent * 2
    return (numpy.sign(clipped) * (numpy.floor(size / step) + 0.5) * step * 16).round().astype(numpy.int16)


def heard(echo=(), tone=None, noise_dbm0=-65.0, late=0.05):
    """A recording: the script's echo through a path {ms: gain}, a tone (hz, dbm0) and noise; late: s until the script begins."""
    sent = a_law(audio.script().astype(float)).astype(float)
    length = int((audio.SCRIPT_S + 0.3) * audio.RATE)
    made = RNG.normal(0, audio.rms_of(noise_dbm0), length)
    for ms, gain in echo:
        start = int((late + ms / 1000) * audio.RATE)
        made[start:start + len(sent)] += gain * sent[:length - start]
    if tone is not None:
        made += math.sqrt(2) * audio.rms_of(tone[1]) * numpy.sin(2 * math.pi * tone[0] / audio.RATE * numpy.arange(length))
    return audio.analyse(a_law(made))


def test_the_script_has_the_levels_it_says():
    script = audio.script()
    assert audio.dbm0_of(audio.noise()) == pytest.approx(audio.NOISE_DBM0, abs=0.2)
    assert audio.dbm0_of(script[int(4.5 * 8000):int(6.0 * 8000)]) == pytest.approx(audio.TONE_DBM0, abs=0.1)
    full = 32768 * numpy.sin(2 * math.pi * numpy.arange(8000) / 8)
    assert audio.dbm0_of(full) == pytest.approx(3.14, abs=0.05)


@pytest.mark.parametrize("hz, dbm0", [(1004, 0.0), (1020, -10.0), (404, -30.0), (2804, -16.0)])
def test_a_tone_is_measured(hz, dbm0):
    figures = heard(tone=(hz, dbm0))
    assert figures["heard_hz"] == pytest.approx(hz, abs=0.5) and figures["heard_dbm0"] == pytest.approx(dbm0, abs=0.3)
    assert not figures["looped"] and figures["erl_is_least"] and figures["erl_db"] > 20


@pytest.mark.parametrize("loss_db", [6.0, 12.0, 18.0, 30.0, 40.0])
@pytest.mark.parametrize("tone", [None, (1020, -10.0)])
def test_the_echo_return_loss_of_a_hybrid(loss_db, tone):
    path = [(4, 1.0), (4.25, -0.6), (5, 0.3), (8, 0.1)]             # of an analogue end: the power of it all counts
    gain = 10 ** (-loss_db / 20) / math.sqrt(sum(g * g for _, g in path))
    figures = heard([(ms, g * gain) for ms, g in path], tone)
    assert not figures["looped"]
    if tone is None or loss_db <= 18:                               # the noise of the law that a loud tone brings hides the rest
        assert figures["erl_db"] == pytest.approx(loss_db, abs=0.7) and not figures["erl_is_least"]
    else:
        assert figures["erl_db"] > 20


@pytest.mark.parametrize("ms", [0, 20, 600])
def test_a_loop_is_known_at_any_delay(ms):
    figures = heard([(ms, 1.0)], noise_dbm0=-70)
    assert figures["looped"] and figures["erl_db"] == pytest.approx(0, abs=0.3)
    assert figures["tone_back_dbm0"] == pytest.approx(audio.TONE_DBM0, abs=0.3) or ms == 600
    assert figures["heard_hz"] is None


def test_silence_and_speech_are_no_tone():
    silent = audio.analyse(numpy.zeros(int(audio.SCRIPT_S * audio.RATE), numpy.int16))
    assert silent["heard_hz"] is None and silent["level_dbm0"] == -99.0 and silent["erl_is_least"] and not silent["looped"]
    noise = heard(noise_dbm0=-20)
    assert noise["heard_hz"] is None and noise["level_dbm0"] == pytest.approx(-20, abs=0.5) and noise["erl_is_least"]


@pytest.mark.parametrize("samples", [0, 100, 8000, 20000])
def test_a_recording_that_broke_off(samples):
    figures = audio.analyse(numpy.zeros(samples, numpy.int16))
    assert figures["looped"] is False


def test_wav_files_round(tmp_path):
    audio.write_wav(tmp_path / "s.wav", audio.script())
    assert numpy.array_equal(audio.read_wav(tmp_path / "s.wav"), audio.script())
