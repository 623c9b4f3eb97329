"""Person or machine, and the beep: synthetic calls (rates stated), the reference bit by bit, speech without beeps."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import amd, isa, vad
from tests.dsp import answers

KERNEL = "_amd"


def outcome(x, level=None, **parameters):
    """[(kind, value, ms)] of a call."""
    state, listener, speech = amd.new_state(1, level), vad.new_state(1), np.zeros(1, np.uint8)
    amd.start(state, 0, level, **parameters)
    found = []
    for i in range(len(x) // 80):
        row = np.ascontiguousarray(x[None, 80 * i:80 * i + 80])
        vad.detect(listener, row, speech)
        found += [(int(e["kind"]), int(e["hz_or_ms"]), 10 * i) for e in amd.detect(state, row, speech, at=level)]
    return found


def test_rates_on_synthetic_calls():
    """Most persons are persons within 2.5 s of speaking, most machines machines; every beep is heard."""
    if not shutil.which("espeak-ng"):
        assert os.environ.get("CI") != "true", "espeak-ng is missing; `make setup` names it"
        pytest.skip("espeak-ng is not installed")
    counts, beeps, wrong_beeps, late = {False: {}, True: {}}, [], 0, []
    for is_machine, x, beep in answers.calls():
        found = outcome(x)
        kind = next(kind for kind, _, _ in found if kind not in (amd.BEEP, amd.BEEP_END))
        counts[is_machine][amd.NAMES[kind]] = counts[is_machine].get(amd.NAMES[kind], 0) + 1
        heard = [(value, ms) for kind, value, ms in found if kind == amd.BEEP]
        if beep:
            beeps.append(any(abs(hz - beep[1]) < 10 and 0 <= ms - beep[0] / 8 < 200 for hz, ms in heard))
        wrong_beeps += len(heard) - bool(beep and beeps[-1])
        late += [ms for kind, _, ms in found if kind in (amd.PERSON, amd.MACHINE)]
    persons, machines = counts[False], counts[True]
    print("persons", persons, "machines", machines, "beeps heard", sum(beeps), "of", len(beeps), "wrong beeps", wrong_beeps,
          "decided at ms, median and last:", int(np.median(late)), max(late))
    assert persons.get("person", 0) >= 0.9 * sum(persons.values())
    assert machines.get("machine", 0) >= 0.95 * sum(machines.values())
    assert all(beeps) and wrong_beeps == 0


def test_silence_and_noise_and_parameters(level):
    noise = (np.random.default_rng(2).normal(size=64000) * 30).astype(np.int16)
    assert [(kind, value) for kind, value, _ in outcome(noise, level)] == [(amd.SILENCE, 2500)]
    assert [(kind, value) for kind, value, _ in outcome(noise, level, initial_silence_ms=1000)] == [(amd.SILENCE, 1000)]
    with pytest.raises(ValueError, match="amd"):
        amd.start(amd.new_state(1), 0, nonsense=3)
    with pytest.raises(ValueError, match="amd"):
        amd.start(amd.new_state(1), 0, total_ms=0)


@pytest.mark.parametrize("dbm0", (-70, -60, -50))
def test_a_silent_line_that_begins_to_hiss_is_nobody(level, dbm0):
    """Digital silence, then noise: the speech detector hears a step, but nobody has answered."""
    noise = np.random.default_rng(2).normal(size=32000) * 16140 * 10 ** (dbm0 / 20)
    for silent in (0, 800, 4000, 12000):
        x = np.concatenate([np.zeros(silent), noise])[:32000]
        assert [kind for kind, _, _ in outcome(np.rint(x).astype(np.int16), level)] == [amd.SILENCE]


@pytest.mark.parametrize("hz", (350, 440, 1000, 1400, 2000))
def test_beeps_by_level_noise_and_length(level, hz):
    t = np.arange(8000) / 8000
    for dbm0, seconds, snr in ((-6, 0.25, 40), (-20, 0.5, 30), (-34, 1, 30)):
        x = np.concatenate([np.zeros(1633), np.sin(2 * np.pi * (hz + 3) * t[:int(seconds * 8000)]), np.zeros(4000)]) * 22826 * 10 ** (dbm0 / 20)
        x = x + np.random.default_rng(3).normal(size=len(x)) * 16140 * 10 ** ((dbm0 - snr) / 20)
        found = [(kind, value) for kind, value, _ in outcome(np.rint(x).astype(np.int16), level) if kind in (amd.BEEP, amd.BEEP_END)]
        assert [kind for kind, _ in found] == [amd.BEEP, amd.BEEP_END]
        assert abs(found[0][1] - hz - 3) <= (8 if hz < 400 else 4) and abs(found[1][1] - 1000 * seconds) <= 20
    short = np.concatenate([np.zeros(800), np.sin(2 * np.pi * hz * t[:900]) * 8000, np.zeros(4000)]).astype(np.int16)
    assert not [kind for kind, _, _ in outcome(short, level) if kind == amd.BEEP]


def test_speech_does_not_beep(speech):
    """14.5 minutes of speech: at most two beeps (a held tone in music on hold counts as one)."""
    x = np.concatenate([y for _, y in speech])
    state, found = amd.new_state(1), []
    nothing = np.zeros(1, np.uint8)
    for i in range(len(x) // 80):
        found += [(int(e["hz_or_ms"]), i / 100) for e in amd.detect(state, x[None, 80 * i:80 * i + 80], nothing) if e["kind"] == amd.BEEP]
    print("beeps in speech:", found)
    assert len(found) <= 2


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 120)), min_size=1, max_size=20), st.integers(0, 2**32 - 1),
       st.fixed_dictionaries({name: st.integers(1, 3000) for name in amd.PARAMETERS}))
@settings(max_examples=30, deadline=None)
def test_kernel_equals_the_reference(runs, seed, parameters):
    rng = np.random.default_rng(seed)
    speech = np.concatenate([np.full(n, 2 * on, np.uint8) for on, n in runs])
    x = rng.integers(-32768, 32768, (len(speech), 80)).astype(np.int16)
    t = np.arange(len(speech) * 80)
    tone = (rng.uniform(500, 30000) * np.sin(2 * np.pi * rng.uniform(100, 3900) / 8000 * t)).astype(np.int16).reshape(-1, 80)
    x = np.where(rng.random(len(speech)).cumsum()[:, None] % 20 < 16, tone, x)
    for values in ({}, parameters):
        reference = amd.Reference(**values)
        expected = [event for row, on in zip(x, speech) for event in reference.feed(row, on)]
        for level in isa.built_levels(KERNEL):
            state, found = amd.new_state(3, level), []
            amd.start(state, 2, level, **values)
            said = np.zeros(3, np.uint8)
            for row, on in zip(x, speech):
                said[2] = on
                found += [(int(e["kind"]), int(e["words"]), int(e["hz_or_ms"])) for e in amd.detect(state, row[None], said, [2], level)]
            assert found == expected
