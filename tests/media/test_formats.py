"""Recordings in every form of file, read by FFmpeg, sox and libspandsp; marks, other legs, kills, slow and full disks in each of them."""

import ctypes
import resource
import shutil
import struct
import subprocess
import time

import numpy
import pytest

from dsp import g711

ALL = [("alaw", "stereo"), ("alaw", "mono"), ("ulaw", "stereo"), ("ulaw", "mono"), ("pcm16", "stereo"), ("pcm16", "mono"),
       ("ima", "stereo"), ("ima", "mono"), ("g726_16", "mono"), ("g726_24", "mono"), ("g726_32", "mono"), ("g726_40", "mono"), ("vox", "mono")]
LEAST_DB = {"alaw": 30, "ulaw": 30, "pcm16": 60, "ima": 20, "g726_16": 4, "g726_24": 9, "g726_32": 14, "g726_40": 18, "vox": 18}
CODECS = {"alaw": "pcm_alaw", "ulaw": "pcm_mulaw", "pcm16": "pcm_s16le", "ima": "adpcm_ima_wav", "g726": "adpcm_g726"}
HZ = (440, 1000)        # of the left and the right leg

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg") or not shutil.which("sox"), reason="ffmpeg and sox read the files")


class Tone:
    """A sine that goes on from block to block."""

    def __init__(self, hz):
        self.hz, self.at = hz, 0

    def __call__(self, _):
        t = numpy.arange(self.at, self.at + 80) / 8000
        self.at += 80
        return g711.compress((6000 * numpy.sin(2 * numpy.pi * self.hz * t)).round().astype(numpy.int16), 0)


def talk(board, control, span=20):
    """Two legs in a bridge, each with a tone."""
    for n in (1, 2):
        control.do("add", id=f"l{n}", kind="timeslot", span=span, timeslot=n, law="A")
    control.do("bridge", id="b1", legs=["l1", "l2"])
    with board.lock:
        board.far_end = {(span, n): Tone(hz) for n, hz in zip((1, 2), HZ)}


def name_of(form, channels):
    return f"{form}-{channels}" + (".vox" if form == "vox" else ".wav")


def start_all(control, folder, forms=ALL):
    for form, channels in forms:
        control.do("record", id=f"{form}-{channels}", path=str(folder / name_of(form, channels)), left="l1", right="l2",
                   format=form, channels=channels)


def read(path):
    """int16 (n, channels) as FFmpeg or libspandsp read a file."""
    if path.suffix == ".vox":
        return oki(path.read_bytes())
    data = path.read_bytes()
    code, channels = struct.unpack_from("<HH", data, 20)
    if code == 0x45:
        return g726(data, struct.unpack_from("<H", data, 34)[0])
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-"], check=True, capture_output=True)
    assert done.stderr == b"", (path, done.stderr)
    return numpy.frombuffer(done.stdout, "<i2").reshape(-1, channels)


def g726(data, bits):
    """A WAV of G.726 by libspandsp: FFmpeg 5.1 reads the tag, but its decoder is not the Recommendation's at 40 and 16 kbit/s."""
    at = data.index(b"data") + 8
    codes = data[at:at + struct.unpack_from("<I", data, at - 4)[0]]
    library = ctypes.CDLL("libspandsp.so.2")
    library.g726_init.restype = ctypes.c_void_p
    state = library.g726_init(None, bits * 8000, 0, 1)            # linear samples, the first code in the highest bits
    samples = numpy.zeros(len(codes) * 8 // bits + 8, numpy.int16)
    count = library.g726_decode(ctypes.c_void_p(state), samples.ctypes.data_as(ctypes.c_void_p), codes, len(codes))
    return samples[:count, None]


def oki(codes):
    """A file without header by libspandsp; sox reads it too, but drifts by its rounding (tests/dsp/test_vox.py)."""
    library = ctypes.CDLL("libspandsp.so.2")
    library.oki_adpcm_init.restype = ctypes.c_void_p
    samples = numpy.zeros(2 * len(codes) + 8, numpy.int16)
    count = library.oki_adpcm_decode(ctypes.c_void_p(library.oki_adpcm_init(None, 32000)), samples.ctypes.data_as(ctypes.c_void_p), codes, len(codes))
    return samples[:count, None]


def levels(x):
    """Amplitude of each tone."""
    n = numpy.arange(len(x))
    w = numpy.hanning(len(x))
    return [4 * abs((x * w * numpy.exp(-2j * numpy.pi * hz * n / 8000)).sum()) / len(x) for hz in HZ]


def check(path, form, channels, least_s, at_s=0.3):
    """The file holds both tones, each in its place, no noise beyond its coding's."""
    x = read(path).astype(float)
    assert len(x) >= least_s * 8000, (path.name, len(x))
    assert x.shape[1] == (2 if channels == "stereo" else 1)
    part = x[int(at_s * 8000):int(at_s * 8000) + 4000]
    for place in range(part.shape[1]):
        wanted = [6000 if channels == "mono" or place == n else 0 for n in (0, 1)]
        for got, want in zip(levels(part[:, place]), wanted):
            assert abs(got - want) < (500 if form != "g726_16" else 1500), (path.name, place, got, want)
        y, n = part[:, place], numpy.arange(4000)
        basis = numpy.stack([f(2 * numpy.pi * hz * n / 8000) for hz in HZ for f in (numpy.sin, numpy.cos)], 1)
        rest = y - basis @ numpy.linalg.lstsq(basis, y, rcond=None)[0]
        ratio = 10 * numpy.log10((y ** 2).mean() / ((rest ** 2).mean() + 1e-9))
        assert ratio > min(LEAST_DB[form], 28), (path.name, place, ratio)
    return x


@pytest.fixture(autouse=True)
def quiet_again(request):
    board = request.getfixturevalue("board") if "board" in request.fixturenames else None
    yield
    if board is not None:
        with board.lock:
            board.far_end = {}
            board.rx[:, 20] = 0xD5


def test_each_form_is_read_by_ffmpeg_and_sox(board, control, media):
    folder = media.folder / "forms"
    talk(board, control)
    start_all(control, folder)
    rows = {row["id"]: row for row in control.audit()["recordings"]}
    assert len(rows) == 13 and rows["ima-mono"]["format"] == "ima" and rows["vox-mono"]["channels"] == "mono"
    time.sleep(1.3)
    for form, channels in ALL:
        control.do("record_stop", id=f"{form}-{channels}")
    for form, channels in ALL:
        path = folder / name_of(form, channels)
        event = control.event("record_closed", timeout_s=30, id=f"{form}-{channels}")
        x = check(path, form, channels, 1.1)
        assert event["duration_ms"] <= len(x) / 8 <= event["duration_ms"] + 64, path.name      # a block of IMA is filled up
        if form == "vox":
            raw = subprocess.run(["sox", "-t", "vox", "-r", "8000", str(path), "-t", "raw", "-e", "signed", "-b", "16", "-"],
                                 check=True, capture_output=True).stdout
            assert max(abs(level - 6000) for level in levels(numpy.frombuffer(raw, "<i2")[2400:6400].astype(float))) < 500
        else:
            shown = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,channels", "-of", "csv=p=0", str(path)],
                                   check=True, capture_output=True, text=True).stdout.strip()
            assert shown == f"{CODECS[form.partition('_')[0]]},{2 if channels == 'stereo' else 1}"
            if not form.startswith("g726"):      # sox knows no G.726 in WAV
                seconds = float(subprocess.run(["soxi", "-D", str(path)], check=True, capture_output=True, text=True).stdout)
                assert abs(seconds - event["duration_ms"] / 1000) < 0.07, path.name


@pytest.mark.parametrize("wrong, words", [({"format": "mp3"}, "none of alaw"), ({"channels": "surround"}, "stereo or mono"),
                                          ({"format": "g726_32", "channels": "stereo"}, "one channel"), ({"format": 7}, "none of alaw")])
def test_a_wrong_form_is_refused(board, control, media, wrong, words):
    talk(board, control)
    reply = control.raw("record", **{"id": "wrong", "path": str(media.folder / "wrong.wav"), "left": "l1", "right": "l2", **wrong})
    assert not reply["ok"] and words in reply["error"]


def cues(path):
    """[(frame, text)] of a file's marks, by a reader of its own."""
    data, at, frames, texts = path.read_bytes(), 12, {}, {}
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8:at + 8 + size]
        if name == b"cue ":
            frames = {struct.unpack_from("<I", body, 4 + 24 * i)[0]: struct.unpack_from("<I", body, 24 + 24 * i)[0]
                      for i in range(struct.unpack("<I", body[:4])[0])}
        elif name == b"LIST" and body[:4] == b"adtl":
            inner = 4
            while inner < len(body):
                length, number = struct.unpack_from("<II", body, inner + 4)
                texts[number] = body[inner + 12:inner + 8 + length].rstrip(b"\0").decode()
                inner += 8 + length + (length & 1)
        at += 8 + size + (size & 1)
    return [(frames[number], texts[number]) for number in sorted(frames)]


def test_pause_and_other_legs_are_marked(board, control, media):
    """While it is paused nobody's digits are in the file; its time goes on; who is recorded may change."""
    folder = media.folder / "marks"
    talk(board, control)
    control.do("add", id="l3", kind="timeslot", span=20, timeslot=3, law="A")
    forms = [("alaw", "stereo"), ("ima", "stereo"), ("g726_32", "mono"), ("vox", "mono")]
    start_all(control, folder, forms)
    for command in ({"pause": True, "text": "card"}, {"pause": False}):
        time.sleep(0.6)
        for form, channels in forms:
            control.do("record_pause", id=f"{form}-{channels}", **command)
            control.do("record_pause", id=f"{form}-{channels}", **command)      # repeated: no second mark
    time.sleep(0.6)
    for form, channels in forms:
        control.do("record_legs", id=f"{form}-{channels}", left="l1", right="l3", text="agent 1003")
    assert all(row["right"] == "l3" for row in control.audit()["recordings"])
    time.sleep(0.6)
    for form, channels in forms:
        name = f"{form}-{channels}"
        control.do("record_stop", id=name)
        told = [(event["mark"], event["ms"], event["text"]) for event in
                (control.event("record_mark", 30, id=name) for _ in range(3))]
        assert [(mark, text) for mark, _, text in told] == [("paused", "card"), ("resumed", ""), ("segment", "agent 1003")]
        control.event("record_closed", 30, id=name)
        path = folder / name_of(form, channels)
        if form != "vox":
            assert cues(path) == [(ms * 8, text) for ms, text in zip((t[1] for t in told), ("paused card", "resumed", "segment agent 1003"))]
        x = read(path).astype(float)
        first, again, other = (ms * 8 for _, ms, _ in told)
        def loud(a, b): return [max(levels(x[a + 400:b - 400, place])[n] for place in range(x.shape[1])) > 3000 for n in (0, 1)]
        assert loud(0, first) == [True, True] and loud(first, again) == [False, False], name
        assert loud(again, other) == [True, True] and loud(other, other + 3200) == [True, False], name
        assert numpy.abs(x[first + 400:again - 400]).max() < 100, "not a word of what was said in the pause"
    assert "no recording" in control.raw("record_pause", id="gone", pause=True)["error"]


def test_kill_9_leaves_each_form_playable(tmp_path, tools):
    board = tools.Board(tmp_path).start()
    media = tools.Media(tmp_path, ports="31200-31299")
    control = tools.Control(tmp_path)
    talk(board, control)
    began = time.monotonic()
    start_all(control, tmp_path)
    time.sleep(2.2)
    took = time.monotonic() - began
    media.kill()
    for form, channels in ALL:
        check(tmp_path / name_of(form, channels), form, channels, took - 1.1, 0.5)
    board.close()
    media.log.close()


def test_a_full_disk_ends_each_form_with_an_event_and_the_call_goes_on(board, control, media):
    """The disk takes nothing more after some octets (a limit of the process stands for it: EFBIG instead of ENOSPC)."""
    folder = media.folder / "full"
    talk(board, control)
    before = resource.prlimit(media.process.pid, resource.RLIMIT_FSIZE)
    try:
        start_all(control, folder)
        time.sleep(0.5)
        resource.prlimit(media.process.pid, resource.RLIMIT_FSIZE, (2048, before[1]))
        for form, channels in ALL:
            event = control.event("record_failed", 30, id=f"{form}-{channels}")
            assert "free or repair the disk" in event["error"]
    finally:
        resource.prlimit(media.process.pid, resource.RLIMIT_FSIZE, before)
    board.listen(20, 2)
    time.sleep(0.4)
    heard = g711.expand(numpy.frombuffer(board.said(20, 2), numpy.uint8), 0).astype(float)[-1600:]
    assert levels(heard)[0] > 5000
    deadline = time.monotonic() + 30
    while control.audit()["recordings"]:
        assert time.monotonic() < deadline, "the places of failed recordings become free"
        time.sleep(0.05)
    for form, channels in ALL:
        path = folder / name_of(form, channels)
        if path.exists() and path.suffix == ".wav":
            read(path)
