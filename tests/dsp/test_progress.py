"""Call-progress tones: the Chinese and the North American plan, made by dsp/tone.py, and speech."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import isa, progress, tone

KERNEL = "_progress"
CHINA = {
    "dial": {"frequencies_hz": [450]},
    "ringback": {"frequencies_hz": [450], "cadence_ms": [1000, 4000]},
    "busy": {"frequencies_hz": [450], "cadence_ms": [350, 350]},
    "congestion": {"frequencies_hz": [450], "cadence_ms": [700, 700]},
    "vacant": {"frequencies_hz": [450], "cadence_ms": [100, 100, 100, 100, 100, 100, 400, 400]},
    "call_waiting": {"frequencies_hz": [450], "cadence_ms": [400, 4000]},
    "sit": {"segments": [[330, [950]], [330, [1400]], [330, [1800]], [1000, []]]},
}
NORTH_AMERICA = {
    "dial": {"frequencies_hz": [350, 440], "level_dbm0": -13},
    "ringback": {"frequencies_hz": [440, 480], "level_dbm0": -19, "cadence_ms": [2000, 4000]},
    "busy": {"frequencies_hz": [480, 620], "level_dbm0": -24, "cadence_ms": [500, 500]},
    "reorder": {"frequencies_hz": [480, 620], "level_dbm0": -24, "cadence_ms": [250, 250]},
}


def sounded(plan, name, seconds, off_hz=0, level_db=0):
    """A tone of a plan with a frequency error and a level change, begun in the middle of its period."""
    one = dict(plan[name], frequencies_hz=[f + off_hz for f in plan[name]["frequencies_hz"]])
    table, numbers = tone.compile_plan({name: one})
    return np.rint(tone.reference(table, numbers[name], 1234, seconds * 8000) * 10 ** (level_db / 20)).astype(np.int16)


def heard(plan, x, level=None):
    """[(name, on, ms)] for samples."""
    table, numbers = progress.compile_plan(plan)
    names, state, found = {v: k for k, v in numbers.items()}, progress.new_state(1, level), []
    for i in range(len(x) // 80):
        found += [(names[e["tone"]], int(e["on"]), 10 * i) for e in progress.detect(table, state, x[None, 80 * i:80 * i + 80].copy(), at=level)]
    return found


@pytest.mark.parametrize("plan, name", [(CHINA, name) for name in CHINA if name != "sit"] + [(NORTH_AMERICA, name) for name in NORTH_AMERICA],
                         ids=lambda v: v if isinstance(v, str) else "plan")
@pytest.mark.parametrize("off_hz, level_db", ((0, 0), (20, 0), (-20, -10), (0, 6)))
def test_every_tone_is_known_and_ends(level, plan, name, off_hz, level_db):
    if plan is NORTH_AMERICA and off_hz:
        off_hz //= 4  # that plan's tones are exact within 0.5 %
    x = np.concatenate([sounded(plan, name, 15, off_hz, level_db), np.zeros(80000, np.int16)])
    found = heard(plan, x, level)
    assert [(tone_name, on) for tone_name, on, _ in found] == [(name, 1), (name, 0)]
    period = sum(plan[name].get("cadence_ms") or [progress.CONTINUOUS_MS])
    assert found[0][2] <= 2 * period + 100


def test_china_far_off_frequency_is_no_tone(level):
    assert heard(CHINA, sounded(CHINA, "busy", 5, 60), level) == []
    assert heard(CHINA, sounded(CHINA, "busy", 5, 0, -40), level) == []


def test_a_click_does_not_break_a_tone(level):
    x = sounded(CHINA, "ringback", 20)
    x[8000 * 8:8000 * 8 + 60] = 20000
    assert [(n, on) for n, on, _ in heard(CHINA, x, level)] == [("ringback", 1)]


def sequence(*segments, level_dbm0=-12):
    """Samples of [(ms, Hz)], 0 Hz is silence."""
    return np.concatenate([np.zeros(800)] + [tone.amplitude_of(level_dbm0) * np.sin(2 * np.pi * hz * np.arange(ms * 8) / 8000) for ms, hz in segments] + [np.zeros(800)])


# E.180 6.5: 330 +/- 70 ms, 950, 1400, 1800 +/- 50 Hz (a block of 10 ms tells 35), gaps up to 30 ms; the others: the four of Telcordia GR-1162 (intercept, vacant, reorder, no circuit).
SEQUENCES = {"E.180": ((330, 950), (330, 1400), (330, 1800)), "E.180 short": ((262, 930), (262, 1420), (262, 1830)), "E.180 gaps": ((400, 950), (30, 0), (330, 1400), (30, 0), (330, 1800)),
             "intercept": ((274, 913.8), (274, 1370.6), (380, 1776.7)), "vacant": ((380, 985.2), (274, 1370.6), (380, 1776.7)),
             "reorder": ((274, 913.8), (380, 1428.5), (380, 1776.7)), "no circuit": ((380, 985.2), (380, 1428.5), (380, 1776.7))}


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("offset", (0, 27, 61))
def test_special_information_tones_are_told_once_whatever_follows(speech, name, offset):
    x = np.concatenate([np.zeros(offset), sequence(*SEQUENCES[name]), speech[0][1][:40000]])
    x = (x + np.random.default_rng(1).normal(size=len(x)) * 20).astype(np.int16)
    for plan in (CHINA, NORTH_AMERICA | {"sit": CHINA["sit"], "vacant": CHINA["sit"]}):
        assert [(n, on) for n, on, _ in heard(plan, x)] == [("sit", 1), ("sit", 0)]


@pytest.mark.parametrize("wrong", (((330, 1400), (330, 950), (330, 1800)), ((330, 950), (330, 1400)), ((150, 950), (330, 1400), (330, 1800)), ((330, 950), (150, 0), (330, 1400), (330, 1800))))
def test_other_sequences_are_no_special_information(wrong):
    assert heard(CHINA, sequence(*wrong).astype(np.int16)) == []


def test_speech_is_no_tone(speech):
    """14.5 minutes of speech: nothing cadenced, nothing continuous, in both plans."""
    x = np.concatenate([y for _, y in speech])
    for plan in (CHINA, NORTH_AMERICA):
        assert heard(plan, x) == []


@given(st.lists(st.tuples(st.sampled_from([name for name in CHINA if name != 'sit']), st.integers(1, 6), st.integers(-40, 40), st.integers(-35, 6)), min_size=1, max_size=4),
       st.sampled_from([0, 100, 2000]), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_kernel_equals_the_reference(parts, noise, seed):
    x = np.concatenate([sounded(CHINA, *part) for part in parts] + [sequence(*SEQUENCES["E.180"])])
    x = (x + np.random.default_rng(seed).normal(size=len(x)) * noise).clip(-32768, 32767).astype(np.int16)
    table, _ = progress.compile_plan(CHINA)
    reference = progress.Reference(table)
    expected = [event for i in range(len(x) // 80) for event in reference.feed(x[80 * i:80 * i + 80])]
    for level in isa.built_levels(KERNEL):
        state, found = progress.new_state(1, level), []
        for i in range(len(x) // 80):
            found += [(int(e["tone"]), int(e["on"])) for e in progress.detect(table, state, x[None, 80 * i:80 * i + 80].copy(), at=level)]
        assert found == expected


@pytest.mark.parametrize("plan, words", (
    ({str(i): {"frequencies_hz": [300 + 100 * i]} for i in range(9)}, "frequencies"),
    ({str(i): {"frequencies_hz": [450]} for i in range(33)}, "tones"),
    ({"x": {"frequencies_hz": [450], "cadence_ms": [1]}}, "cadence")))
def test_too_much_is_refused(plan, words):
    with pytest.raises(ValueError, match=words):
        progress.compile_plan(plan)
