"""The talk-off bench itself: it counts hours rightly, hears digits that are there, and none in a piece of each material."""

import numpy as np

from dsp import bench_talkoff, modem, tone


def test_a_sample_of_the_long_run(corpus):
    """9 s of speech at 14 speeds, 2 levels and 2 positions, 8 minutes: nothing; `make bench` runs the hours."""
    x = bench_talkoff.bench.speech()[:9 * 8000].astype(float)
    counts, hours = bench_talkoff.count(list(bench_talkoff.variants(x)))
    assert abs(hours - 9 / 3600 * 4 * np.sum(1 / np.array(bench_talkoff.SPEEDS))) < 0.01
    assert counts == dict.fromkeys(counts, 0)


def test_a_sample_of_the_music():
    """20 s of synthetic music in all variants, 19 minutes: no digit (spandsp hears some in the hours of `make bench`)."""
    counts, hours = bench_talkoff.count(list(bench_talkoff.variants(bench_talkoff.music(1 / 3))))
    assert hours > 0.3 and counts["dtmf"] == 0


def test_digits_are_counted_where_there_are_some():
    x = np.concatenate([tone.digit_samples(d) for d in "1590#"] + [np.zeros(800)]).astype(np.int16)
    assert bench_talkoff.count([x, x])[0]["dtmf"] == 5 * 2 * len(bench_talkoff.OFFSETS)
    theirs = bench_talkoff.spandsp_counts([x])
    assert theirs["dtmf"] == 5 * len(bench_talkoff.OFFSETS) and not theirs["cng"] and not theirs["ced"]
    tones = [tone.reference(*(lambda t: (t[0], t[1][name]))(tone.compile_plan(modem.plan())), 0, 16000) for name in ("cng", "ced")]
    x = np.concatenate([np.zeros(4000), tones[0], np.zeros(24000), tones[1], np.zeros(4000)]).astype(np.int16)
    theirs, ours = bench_talkoff.spandsp_counts([x], ("cng", "ced")), bench_talkoff.count([x])[0]
    assert all(theirs[kind] >= len(bench_talkoff.OFFSETS) <= ours[kind] for kind in ("cng", "ced")), (theirs, ours)
    assert len(bench_talkoff.music(0.1)) >= 48000
