"""Voice activity: the reference, every instruction set, and rates beside speexdsp and WebRTC.

Labels are made: energy of the clean corpus speech before noise is mixed in
(tests/dsp/noises.py), and espeak-ng's silence of known length; both synthetic.
A hit is a labelled speech block called speech, a false alarm a labelled pause
called speech; hangovers of all three count as they come.
"""

import contextlib
import ctypes
import ctypes.util
import os
import shutil
import subprocess
import sys
import wave

import numpy as np
import pytest

from dsp import vad
from tests.dsp import noises

KERNEL = "_vad"


def ours(x, level=None):
    """Decisions for (n, samples)."""
    state, speech, found = vad.new_state(len(x), level), np.zeros(len(x), np.uint8), []
    for at in range(0, x.shape[1] // 80 * 80, 80):
        vad.detect(state, np.ascontiguousarray(x[:, at:at + 80]), speech, at=level)
        found.append(speech.copy())
    return np.array(found).T


@contextlib.contextmanager
def without_warnings():
    """speexdsp says each time that its detector is to be rewritten; `make bench` would print that hundreds of times."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def speexdsp(x):
    library = ctypes.CDLL(ctypes.util.find_library("speexdsp"))
    library.speex_preprocess_state_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(library.speex_preprocess_state_init(80, 8000))
    with without_warnings():
        library.speex_preprocess_ctl(state, 4, ctypes.byref(ctypes.c_int(1)))   # SPEEX_PREPROCESS_SET_VAD
    y = x.copy()
    return np.array([library.speex_preprocess_run(state, ctypes.c_void_p(y.ctypes.data + 2 * at)) for at in range(0, len(y) // 80 * 80, 80)], bool)


def webrtc(x, mode):
    webrtcvad = pytest.importorskip("webrtcvad", reason="webrtcvad-wheels (PyPI) is the WebRTC detector of this test")
    detector = webrtcvad.Vad(mode)
    return np.array([detector.is_speech(x[at:at + 80].tobytes(), 8000) for at in range(0, len(x) // 80 * 80, 80)])


def samples(x):
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def labelled(speech):
    """[(kind, snr, samples, labels)]; the first second, for learning, is not judged."""
    talkers = [x for name, x in speech if name in ("vm-options.wav", "conf-adminmenu-18.wav")][:2]
    others = [(name, x) for name, x in speech if name.startswith("demo")][1:]
    found = []
    for x in talkers:
        x = noises.at_dbm0(np.concatenate([np.full(12000, 8), x, np.full(12000, 8)]), -20)
        for snr in (5, 10, 20):
            for kind in ("white", "car", "babble"):
                z = noises.babble(len(x), others) if kind == "babble" else getattr(noises, kind)(len(x))
                found.append((kind, snr, samples(noises.noisy(x, z, snr)[0]), noises.speech_blocks(x)))
    return found


def rates(mixtures, decide):
    """(hits, false alarms, text) over all."""
    counts = {}
    for kind, snr, x, label in mixtures:
        found, label = decide(x)[100:len(label)] > 0, label[100:]
        counts.setdefault((kind, snr), []).append((found[label].sum(), label.sum(), found[~label].sum(), (~label).sum()))
    sums = {key: np.sum(value, 0) for key, value in counts.items()}
    total = np.sum(list(sums.values()), 0)
    text = "  ".join(f"{kind} {snr} {c[0] / c[1]:.2f}/{c[2] / c[3]:.2f}" for (kind, snr), c in sums.items())
    return total[0] / total[1], total[2] / total[3], text


def test_hits_and_false_alarms_beside_others(speech):
    mixtures = labelled(speech)
    table = {"ours": lambda x: ours(x[None])[0], "speexdsp": speexdsp, "webrtc 2": lambda x: webrtc(x, 2), "webrtc 3": lambda x: webrtc(x, 3)}
    found = {name: rates(mixtures, decide) for name, decide in table.items()}
    for name, (hits, alarms, text) in found.items():
        print(f"\n{name:9} hits {hits:.3f} false alarms {alarms:.3f}   {text}")
    hits, alarms, _ = found["ours"]
    assert hits > 0.88 and alarms < 0.33
    for name in ("speexdsp", "webrtc 2"):       # webrtc 3 is about as good as ours, see the printed table
        assert hits - alarms > found[name][0] - found[name][1]


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng makes this speech")
def test_known_timing_of_synthetic_speech(tmp_path):
    """espeak-ng between pauses of 1.5 s: no pause is called speech but for the hangover, each word is found."""
    words = []
    for i, text in enumerate(("please hold the line", "four hundred and twelve", "goodbye")):
        path = tmp_path / f"{i}.wav"
        subprocess.run(["espeak-ng", "-v", "en", "-w", str(path), text], check=True)
        with wave.open(str(path)) as file:
            from scipy import signal
            x = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
            words.append(signal.resample_poly(x, 8000, file.getframerate()))
    parts, spans, at = [np.zeros(12000)], [], 12000
    for x in words:
        loud = np.flatnonzero(np.abs(x) > 200)
        x = x[loud[0]:loud[-1]]
        spans.append((at // 80, (at + len(x)) // 80))
        parts += [x, np.zeros(12000)]
        at += len(x) + 12000
    x = np.concatenate(parts) * 0.3 + noises.white(at) * 5
    found = ours(samples(x)[None])[0]
    in_word = np.zeros(len(found), bool)
    for begin, end in spans:
        assert (found[begin:begin + 6] > 0).any() and (found[begin:end] > 0).mean() > 0.8
        in_word[begin - 1:end + 1 + vad.HANGOVER_BLOCKS + 6] = True     # the score and the energies need a moment
    assert (found[100:][~in_word[100:]] > 0).mean() < 0.02


def test_equals_the_reference(level, speech):
    clean = next(x for name, x in speech if name == "vm-options.wav")[:80000].astype(float)
    x = np.stack([samples(noises.noisy(clean, make(80000), snr)[0]) for make in (noises.white, noises.car) for snr in (5, 15)])
    slots = [1, 2, 16, 21]
    state, speech_now, score = vad.new_state(22, level), np.zeros(22, np.uint8), np.zeros(22, np.float32)
    reference = vad.Reference(4)
    for at in range(0, 80000, 80):
        vad.detect(state, np.ascontiguousarray(x[:, at:at + 80]), speech_now, slots, score, level)
        expected = reference.feed(x[:, at:at + 80])
        assert np.allclose(score[slots], reference.score, rtol=1e-3, atol=1e-3)
        sure = np.abs(reference.score - vad.THRESHOLD) > 1e-3
        assert np.array_equal(speech_now[slots][sure], expected[sure])
    assert not score[[0, 3, 17]].any()


@pytest.mark.parametrize("value", (0, 8, -32768))
def test_silence_is_no_speech(level, value):
    x = np.full((3, 16000), value, np.int16)
    assert not ours(x, level)[:, 20:].any()
