"""The checkers of audio, checked: each must see the fault that it is there for."""

import ctypes
import subprocess

import numpy as np
import pytest

from hil import speech
from hil.probes import align, dtmf, wav


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    paths = speech.choose(11, 2, 12, tmp_path_factory.mktemp("speech"))
    return [wav.read_mono(p) for p in paths]


def test_alaw_agrees_with_sox(tmp_path):
    every = np.arange(-32768, 32768, dtype=np.int32).astype("<i2")
    wav.write_pcm(tmp_path / "a.wav", every)
    subprocess.run(["sox", "-D", tmp_path / "a.wav", "-e", "a-law", tmp_path / "b.wav"], check=True)
    wav.write_alaw(tmp_path / "c.wav", every)
    ours, theirs = wav.read(tmp_path / "c.wav")[0], wav.read(tmp_path / "b.wav")[0]
    # sox rounds where G.711 truncates: one step apart at the decision values only.
    assert np.mean(ours != theirs) < 0.03
    codes = np.arange(256, dtype=np.uint8)
    assert (wav.alaw_compress(wav.alaw_expand(codes)) == codes).all()
    subprocess.run(["sox", tmp_path / "c.wav", "-b", "16", "-e", "signed", tmp_path / "d.wav"], check=True)
    assert (wav.read(tmp_path / "d.wav")[0] == ours).all()


def test_a_cut_file_is_read_as_far_as_it_goes(tmp_path, voices):
    wav.write_alaw(tmp_path / "a.wav", voices[0])
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[:1058])
    assert len(wav.read_mono(tmp_path / "a.wav")) == 1000
    (tmp_path / "b.wav").write_bytes(b"RIFX" + data[4:])
    with pytest.raises(ValueError):
        wav.read(tmp_path / "b.wav")


def test_delay_level_and_noise(voices):
    sent = voices[0]
    heard = np.concatenate((np.zeros(1234), sent * 0.8912, np.zeros(500)))     # -1 dB
    match = align.compare(sent, heard)
    assert (match.lag, match.slips) == (1234, [])
    assert match.correlation > 0.999 and match.level_db == pytest.approx(-1.0, abs=0.05)
    assert match.overlap == len(sent)
    noisy = heard + np.random.default_rng(1).normal(0, np.std(sent), len(heard))
    assert 0.5 < align.compare(sent, noisy).correlation < 0.9


def test_the_beginning_or_end_may_be_missing(voices):
    sent = voices[0]
    assert align.compare(sent, sent[3000:]).lag == -3000
    assert align.compare(sent, sent[:40000]).lag == 0
    assert align.compare(sent, sent[8000:40000]).correlation > 0.999


def test_a_part_among_other_things_is_found_and_judged_alone(voices):
    """As in a call: prompts before, a file that was cut short, the other's words after."""
    sent, other = voices
    heard = np.concatenate((other[:50000], sent[20000:64000], other[50000:]))
    match = align.compare(sent, heard)
    assert (match.lag, match.gaps, match.slips) == (30000, 0, [])
    assert match.correlation > 0.999 and abs(match.level_db) < 0.01
    spoken = 20000 + np.flatnonzero(np.abs(sent[20000:64000]) > 500)        # a pause at an end of the part is nowhere to be found
    assert abs(match.first - spoken[0]) < 2400 and abs(match.last - spoken[-1]) < 2400
    assert match.seconds == (match.last - match.first) / 8000
    assert (match.piece(heard) == sent[match.first:match.last]).all()


@pytest.mark.parametrize("size", [-8000, -1600, 1600, 8000])
def test_a_large_slip_does_not_end_the_comparison(voices, size):
    sent, at = voices[0], 48000
    heard = np.concatenate((sent[:at], np.zeros(max(size, 0), np.int16), sent[at + max(-size, 0):]))
    match = align.compare(sent, heard)
    assert sum(s.inserted for s in match.slips) == size and match.gaps >= 1
    assert match.last == len(sent)


def test_nothing_of_it_is_nothing(voices):
    for heard in (voices[1], np.zeros(20000, np.int16), np.zeros(0, np.int16)):
        match = align.compare(voices[0], heard)
        assert match.correlation == 0 and match.overlap == 0 and len(match.piece(heard)) == 0


def test_silence_is_measured(voices):
    samples = np.concatenate((voices[0][:16000] | 64, np.full(4000, 8, np.int16), voices[0][:16000] | 64))
    assert align.longest_silence_ms(samples) in (480, 500)


@pytest.mark.parametrize("size", [1, 8, 80, 160, 320])
@pytest.mark.parametrize("sign", [-1, 1])
def test_slips_are_found_and_measured(voices, size, sign):
    sent = voices[0].astype(float)
    at = 48123
    if sign < 0:
        heard = np.concatenate((sent[:at], sent[at + size:]))
    else:
        heard = np.concatenate((sent[:at], sent[at - size:at], sent[at:]))
    match = align.compare(sent, np.concatenate((np.zeros(700), heard)))
    assert [s.inserted for s in match.slips] == [sign * size]
    assert abs(match.slips[0].at - at) < 2 * align.WINDOW + size
    assert match.correlation > 0.98


def test_two_slips(voices):
    sent = voices[0]
    heard = np.concatenate((sent[:20000], sent[20080:60000], sent[59920:]))
    assert [s.inserted for s in align.compare(sent, heard).slips] == [-80, 80]


def test_concealment_shows_as_a_bad_window(voices):
    heard = voices[0].copy()
    loud = int(np.argmax(np.convolve(np.square(heard, dtype=float), np.ones(160), "valid")))
    heard[loud:loud + 160] = 0
    match = align.compare(voices[0], heard)
    assert match.worst < 0.9 and match.slips == [] and match.gaps == 1
    assert align.compare(voices[0], voices[0]).worst > 0.999


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_different_voices_do_not_correlate_and_a_leak_does(tmp_path, seed):
    a, b = (wav.read_mono(p).astype(float) for p in speech.choose(seed, 2, 15, tmp_path))
    assert align.cross_talk(a, b) < 0.1
    assert align.cross_talk(a + 0.3 * np.roll(b, 333), b) > 0.2


def test_speech_is_a_matter_of_the_seed(tmp_path):
    first = [p.read_bytes() for p in speech.choose(5, 2, 4, tmp_path / "a")]
    assert first == [p.read_bytes() for p in speech.choose(5, 2, 4, tmp_path / "b")]
    assert first[0] != first[1]
    assert first != [p.read_bytes() for p in speech.choose(6, 2, 4, tmp_path / "c")]


def test_speech_without_the_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(speech, "corpus", lambda: None)
    a, b = (wav.read_mono(p) for p in speech.choose(1, 2, 6, tmp_path))
    assert len(a) == len(b) == 48000 and np.std(a.astype(float)) > 300


def spandsp_digits(text, on_ms, off_ms, level=-8):
    lib = ctypes.CDLL("libspandsp.so.2")
    lib.dtmf_tx_init.restype = ctypes.c_void_p
    lib.dtmf_tx_init.argtypes = [ctypes.c_void_p]
    for name in ("dtmf_tx_set_level", "dtmf_tx_set_timing", "dtmf_tx_put", "dtmf_tx", "dtmf_tx_free"):
        getattr(lib, name).argtypes = {
            "dtmf_tx_put": [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int],
            "dtmf_tx": [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int],
            "dtmf_tx_free": [ctypes.c_void_p]}.get(name, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int])
    state = lib.dtmf_tx_init(None)
    lib.dtmf_tx_set_level(state, level, 0)
    lib.dtmf_tx_set_timing(state, on_ms, off_ms)
    lib.dtmf_tx_put(state, text.encode(), -1)
    samples = np.zeros(len(text) * 8 * (on_ms + off_ms) + 800, np.int16)
    n = lib.dtmf_tx(state, samples.ctypes.data, len(samples))
    lib.dtmf_tx_free(state)
    return samples[:n]


@pytest.mark.parametrize("on_ms, off_ms, level", [(80, 80, -8), (50, 50, -8), (40, 40, -20), (200, 60, -3)])
def test_digits_of_another_generator(on_ms, off_ms, level):
    text = "0123456789*#ABCD1122"
    silence = np.zeros(1600, np.int16)
    samples = np.concatenate((silence, spandsp_digits(text, on_ms, off_ms, level), silence))
    found = dtmf.digits(wav.alaw_expand(wav.alaw_compress(samples)))
    assert "".join(d.digit for d in found) == text
    for index, digit in enumerate(found):
        assert abs(digit.start - (1600 + index * 8 * (on_ms + off_ms))) < 160
        assert abs(digit.samples - 8 * on_ms) < 160


def test_speech_holds_no_digits(voices):
    for voice in voices:
        assert dtmf.text(voice) == ""
