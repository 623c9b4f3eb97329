"""Dialogic VOX ADPCM against spandsp (bit exact) and sox (same format, other rounding)."""

import ctypes
import ctypes.util
import subprocess

import numpy as np

from dsp import vox

KERNEL = "_ima"


def real_speech(speech):
    x = np.concatenate([samples[:40000] for _, samples in speech[:8]])
    return np.ascontiguousarray(x[:len(x) & ~1])


def test_steps_are_those_of_the_application_note():
    assert len(vox.STEPS) == 49 and vox.STEPS[0] == 16 and vox.STEPS[24] == 157 and vox.STEPS[-1] == 1552


def test_equals_spandsp(level, speech):
    lib, x = ctypes.CDLL(ctypes.util.find_library("spandsp")), real_speech(speech)
    lib.oki_adpcm_init.restype = ctypes.c_void_p
    codes, out = np.empty(len(x), np.uint8), np.empty(len(x) + 8, np.int16)
    state = ctypes.c_void_p(lib.oki_adpcm_init(None, 32000))
    length = lib.oki_adpcm_encode(state, codes.ctypes.data_as(ctypes.c_void_p), x.ctypes.data_as(ctypes.c_void_p), len(x))
    assert np.array_equal(vox.encode(x[None], at=level)[0], codes[:length])
    state = ctypes.c_void_p(lib.oki_adpcm_init(None, 32000))
    count = lib.oki_adpcm_decode(state, out.ctypes.data_as(ctypes.c_void_p), codes.ctypes.data_as(ctypes.c_void_p), length)
    assert np.array_equal(vox.decode(codes[None, :length], at=level)[0], out[:count])


def test_sox_plays_our_files_and_we_play_its(level, speech, tmp_path):
    """sox multiplies before it divides, the application note divides first: up to two units of the 12
    bits a sample, which add up to a slow drift.  Compared are the moves from sample to sample."""
    x = real_speech(speech)[:80000]
    mine, theirs = tmp_path / "mine.vox", tmp_path / "theirs.vox"
    mine.write_bytes(vox.encode(x[None], at=level)[0].tobytes())
    raw = ["-t", "raw", "-e", "signed", "-b", "16", "-r", "8000", "-c", "1"]
    (tmp_path / "x.raw").write_bytes(x.tobytes())
    subprocess.run(["sox", "-D", *raw, tmp_path / "x.raw", "-r", "8000", theirs], check=True, stderr=subprocess.DEVNULL)
    for path in (mine, theirs):
        subprocess.run(["sox", "-D", "-t", "vox", "-r", "8000", path, *raw, tmp_path / "back.raw"], check=True)
        played = np.fromfile(tmp_path / "back.raw", "<i2").astype(float)
        ours = vox.decode(np.frombuffer(path.read_bytes(), np.uint8)[None], at=level)[0].astype(float)
        assert abs(len(played) - len(ours)) <= 2
        n = min(len(played), len(ours))
        moves, difference = np.diff(ours[:n]), np.diff(ours[:n] - played[:n])
        free = (np.abs(ours[1:n]) < 30000) & (np.abs(played[1:n]) < 30000)     # neither is held by its limit
        assert np.abs(difference[free]).max() <= 2 * 16
        assert 10 * np.log10((moves ** 2).sum() / (difference ** 2).sum()) > 15, path.name
