"""Tones of the house in the configuration: what dsp/tone.py makes of them, and what is refused."""

import numpy as np
import pytest

from dsp import tone
from firmware.config import schema, tones
from tests.config.test_enhancement import configured


def checked(**row):
    data, errors = configured()
    assert not errors
    return schema.check({**data, "tones": [{"name": "own", "frequencies_hz": "440+480", **row}]})


def test_a_tone_sounds_as_it_is_written():
    """1900 and 2300 Hz at -16 dBm0 each, 200 ms on, 100 ms off: levels and cadence measured."""
    result, errors = checked(frequencies_hz="1900+2300", level_dbm0=-16, cadence_ms="200,100")
    assert not errors
    table, names = tone.compile_plan(tones.plan_of(result["tones"]))
    x = tone.reference(table, names["own"], 0, 8 * 900).astype(float)
    assert np.abs(x[1640:2390]).max() == 0 and np.abs(x[800:1500]).max() > 1000
    for hz in (1900, 2300):
        amplitude = 2 * abs(np.mean(x[80:1520] * np.exp(-2j * np.pi * hz * np.arange(80, 1520) / 8000)))
        assert abs(20 * np.log10(amplitude / tone.amplitude_of(-16))) < 0.2


def test_the_limits_are_those_of_the_kernel():
    assert (tones.MOST_FREQUENCIES, tones.HIGHEST_HZ < tone.RATE_HZ / 2, tones.MOST_STEPS <= tone.MOST_SEGMENTS) == (tone.MOST_FREQUENCIES, True, True)


@pytest.mark.parametrize("row, path, words", [
    ({"frequencies_hz": "440+4000"}, "tones[0].frequencies_hz", "4000"), ({"frequencies_hz": "440+440"}, "tones[0].frequencies_hz", "twice"),
    ({"frequencies_hz": "1+2+3+4+5"}, "tones[0].frequencies_hz", "one to four"), ({"level_dbm0": 3}, "tones[0].level_dbm0", "clipped"),
    ({"cadence_ms": "0,100"}, "tones[0].cadence_ms", "0 ms"), ({"cadence_ms": "100;100"}, "tones[0].cadence_ms", "eight"), ({"name": "Große"}, "tones[0].name", "small letters")])
def test_what_cannot_sound_is_refused_with_a_sentence(row, path, words):
    _, errors = checked(**row)
    assert [error.path for error in errors] == [path] and words in str(errors[0])
