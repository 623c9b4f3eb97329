"""Prompt files: every coding, and whatever else may stand in a file."""

import shutil
import struct
import subprocess

import numpy
import pytest
from hypothesis import given, settings, strategies as st

from dsp import g711, g726, ima
from firmware.errors import LocalError
from firmware.media import wav

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
    made(6, 8, b"1", channels=2), made(1, 16, b"11", rate=44100), made(1, 24, b"111"), made(0xFFFE, 16, b"1")[:45], b"", b"RIFF", b"RIFF....WAVE",
    b"RIFF....WAVEfmt " + b"\xff" * 8, b"RIFF....WAVEdata" + struct.pack("<I", 0xFFFFFFFF)])
def test_what_is_no_prompt_gets_a_sentence(tmp_path, data):
    path = tmp_path / "p.wav"
    path.write_bytes(data)
    with pytest.raises(LocalError, match="prompt"):
        wav.read_wav(str(path))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.sampled_from((1, 6, 7, 0x11, 0x45, 0xFFFE)), st.integers(0, 70000), st.integers(0, 17), st.integers(0, 200))
def test_no_octets_do_harm(octets, code, block, bits, cut):
    data = made(code, bits, octets, block & 0xFFFF)
    try:
        kind, law, array = wav.parse_wav(data[:len(data) - cut], "p")
        assert kind in ("law", "linear") and law in (0, 1) and array.ndim == 1
    except (LocalError, ValueError, struct.error):
        pass
