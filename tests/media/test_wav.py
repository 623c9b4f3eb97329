"""Prompt files: every coding, and whatever else may stand in a file."""

import re
import shutil
import struct
import subprocess

import numpy
import pytest
from hypothesis import given, settings, strategies as st

from dsp import g711, g726, ima
from firmware.errors import LocalError
from firmware.media import wav
from firmware.media.resample import to_8k

X = (6000 * numpy.sin(2 * numpy.pi * 440 * numpy.arange(4000) / 8000)).astype(numpy.int16)


def made(code, bits, octets, block=1, channels=1, rate=8000, extra=b""):
    form = struct.pack("<HHIIHHH", code, channels, rate, rate * bits // 8, block, bits, len(extra)) + extra
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(octets)) + octets
    return b"RIFF" + struct.pack("<I", len(body)) + body


def snr(x):
    n = min(len(x), len(X))
    return 10 * numpy.log10((X[:n].astype(float) ** 2).mean() / (((x[:n].astype(float) - X[:n]) ** 2).mean() + 1e-9))


@pytest.mark.parametrize("data, least_db", [
    (made(1, 16, X.tobytes()), 90), (made(6, 8, g711.compress(X, 0).tobytes()), 30), (made(7, 8, g711.compress(X, 1).tobytes()), 30),
    (made(0x11, 4, ima.encode_wav(X), 256, extra=struct.pack("<H", 505)), 20),
    *[(made(0x45, bits, g726.encode(X[None], bits, g726.HIGH_FIRST).tobytes()), 5) for bits in (2, 3, 4, 5)],
    (made(0x45, 2, g726.encode(X[None], 2, g726.LOW_FIRST).tobytes()), 5),
    (made(0x45, 3, g726.encode(X[None], 3, g726.LOW_FIRST).tobytes()), 10),
    (made(0x45, 4, g726.encode(X[None], 4, g726.LOW_FIRST).tobytes()), 15),
    (made(0x45, 5, g726.encode(X[None], 5, g726.LOW_FIRST).tobytes()), 20)])
def test_each_coding_is_the_same_sound(tmp_path, data, least_db):
    path = tmp_path / "p.wav"
    path.write_bytes(data)
    kind, law, array = wav.read_wav(str(path))
    assert snr(g711.expand(array, law) if kind == "law" else array) > least_db


@pytest.mark.skipif(not shutil.which("sox"), reason="sox is not installed")
@pytest.mark.parametrize("coding", (["-e", "ima-adpcm"], ["-e", "u-law"], ["-e", "signed", "-b", "16"]))
def test_what_sox_writes_is_read(tmp_path, coding):
    (tmp_path / "in.wav").write_bytes(made(1, 16, X.tobytes()))
    subprocess.run(["sox", "in.wav", *coding, "out.wav"], cwd=tmp_path, check=True)
    kind, law, array = wav.read_wav(str(tmp_path / "out.wav"))
    assert snr(g711.expand(array, law) if kind == "law" else array) > 20


@pytest.mark.parametrize("data", [
    made(0x11, 4, b"1" * 300, block=0), made(0x11, 4, b"1" * 300, block=3), made(0x45, 6, b"11"), made(0x55, 0, b""),
    made(6, 8, b"1", channels=3), made(1, 16, b"11", rate=3000), made(1, 16, b"11", rate=400000), made(1, 12, b"111"),
    made(0x45, 4, b"1" * 8, channels=2), made(0x11, 4, b"1" * 300, block=9, channels=2), made(1, 16, b"1" * 100)[:-50], made(6, 8, b""),
    made(1, 16, b"1" * 100)[:40], made(0xFFFE, 16, b"1")[:45], b"", b"RIFF", b"RIFF....WAVE",
    b"RIFF....WAVEfmt " + b"\xff" * 8, b"RIFF....WAVEdata" + struct.pack("<I", 0xFFFFFFFF)])
def test_what_is_no_prompt_gets_a_sentence(tmp_path, data):
    path = tmp_path / "p.wav"
    path.write_bytes(data)
    with pytest.raises(LocalError, match="prompt") as refusal:
        wav.read_wav(str(path))
    assert not re.search(r"fmt|chunk|unpack|buffer|reshape|dsp|ima[.:]|g726[.:]|octets? does not", str(refusal.value)), refusal.value     # no programmer's words
    assert re.search("copy it|convert it|split it", str(refusal.value))


@pytest.mark.parametrize("data, words", [(b"ID3\x03" + bytes(60), "an MP3 file"), (b"OggS" + bytes(60), "an Ogg file"), (b"", "is empty"), (bytes(4) + b"ftypM4A " + bytes(40), "M4A"),
                                         (made(0x55, 16, bytes(200)), "is MP3 with 16 bits"), (made(1, 12, bytes(200)), "is PCM with 12 bits"), (made(0x9999, 4, bytes(200)), "unknown here"),
                                         (made(0x11, 4, bytes(200), 3), "what its header says"), (made(6, 8, bytes(200))[:30], "cut short")])
def test_a_sentence_says_what_it_is(tmp_path, data, words):
    (tmp_path / "p.wav").write_bytes(data)
    with pytest.raises(LocalError, match=words):
        wav.read_wav(str(tmp_path / "p.wav"))


def tone(rate, channels):
    """A second of 440 Hz, in two channels 440 and 1000 Hz at half the level."""
    t = numpy.arange(rate) / rate
    one, two = (8000 * numpy.sin(2 * numpy.pi * hz * t) for hz in (440, 1000))
    return (one if channels == 1 else numpy.stack([one, two], 1)).round().astype("<i2")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
@pytest.mark.parametrize("rate", (8000, 16000, 44100))
@pytest.mark.parametrize("channels", (1, 2))
def test_what_ffmpeg_writes_at_each_rate_is_the_same_sound(tmp_path, rate, channels):
    """Each coding at each rate, in one channel and two, read as 8 kHz: the tones keep pitch and level."""
    (tmp_path / "in.wav").write_bytes(made(1, 16, tone(rate, channels).tobytes(), 2 * channels, channels, rate))
    codings = ["pcm_alaw", "pcm_mulaw", "pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le", "adpcm_ima_wav"]
    out = [part for coding in codings for part in ("-c:a", coding, f"{coding}.wav")]
    subprocess.run(["ffmpeg", "-v", "error", "-i", "in.wav", *out], cwd=tmp_path, check=True)
    if channels == 1 and rate == 8000:
        subprocess.run(["ffmpeg", "-v", "error", "-i", "in.wav", "-c:a", "g726", "-b:a", "32k", "g726.wav"], cwd=tmp_path, check=True)
        subprocess.run(["sox", "in.wav", "-t", "vox", "vox.vox"], cwd=tmp_path, check=True)
        codings += ["g726", "vox"]
    for coding in codings:
        kind, law, array = wav.read_wav(str(tmp_path / (coding + (".vox" if coding == "vox" else ".wav"))))
        x = (g711.expand(array, law) if kind == "law" else array).astype(float)
        assert 7990 <= len(x) <= 8600, coding                     # IMA fills its last block
        spectrum = numpy.abs(numpy.fft.rfft(x[1000:7000] * numpy.hanning(6000))) * 4 / 6000
        for hz, level in ((440, 8000 if channels == 1 else 4000), (1000, 0 if channels == 1 else 4000)):
            peak = spectrum[round(hz * 6000 / 8000) - 2:round(hz * 6000 / 8000) + 3].max()
            assert abs(peak - level) < 0.04 * 8000, (coding, hz, peak)
        if coding in ("pcm_s16le", "pcm_f32le", "pcm_s24le"):
            clean = spectrum.copy()
            for hz in (440, 1000):
                clean[round(hz * 6000 / 8000) - 3:round(hz * 6000 / 8000) + 4] = 0
            assert 20 * numpy.log10(clean.max() / 4000) < -60, coding


def test_the_resampler_passes_speech_and_stops_the_rest():
    """Figures of resample.py's first lines: gain in the pass band, images and aliases."""
    for rate in (16000, 44100, 48000, 11025):
        t = numpy.arange(rate) / rate
        for hz, least, most in ((300, -0.1, 0.1), (1000, -0.1, 0.1), (3400, -0.1, 0.1), (4600, -200, -60), (5400, -200, -60)):
            if hz > rate / 2 - 100:
                continue
            y = to_8k(10000 * numpy.sin(2 * numpy.pi * hz * t), rate)[1000:7000]
            level = 20 * numpy.log10(numpy.sqrt((y ** 2).mean()) * 2 ** 0.5 / 10000 + 1e-12)
            assert least <= level <= most, (rate, hz, level)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.sampled_from((1, 3, 6, 7, 0x11, 0x45, 0xFFFE)), st.integers(0, 70000), st.integers(0, 17), st.integers(0, 200))
def test_no_octets_do_harm(octets, code, block, bits, cut):
    data = made(code, bits, octets, block & 0xFFFF)
    try:
        kind, law, array = wav.parse_wav(data[:len(data) - cut], "p")
        assert kind in ("law", "linear") and law in (0, 1) and array.ndim == 1
    except (LocalError, ValueError, struct.error):
        pass
