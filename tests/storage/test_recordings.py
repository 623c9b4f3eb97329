"""The recordings index and its repair from the files on disk."""

import struct

import pytest

from firmware.media import formats
from firmware.storage.database import Database
from firmware.storage.recordings import Recordings, measure, wav_length


def wav(octets, claimed=None, rate=8000, channels=2):
    """An A-law WAV with a fact chunk, as recorders write it."""
    data = bytes(octets)
    fmt = struct.pack("<HHIIHHH", 6, channels, rate, rate * channels, channels, 8, 0)
    body = (b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"fact" + struct.pack("<II", 4, 0)
            + b"data" + struct.pack("<I", octets if claimed is None else claimed) + data)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.fixture
def index(tmp_path):
    db = Database(tmp_path / "strowger.db")
    yield Recordings(db.write, tmp_path)
    db.close()


def test_length_is_what_header_and_file_agree_on(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(16000))
    (tmp_path / "b.wav").write_bytes(wav(16000, claimed=8000))
    (tmp_path / "c.wav").write_bytes(wav(16000, claimed=1 << 31))
    assert wav_length(tmp_path / "a.wav") == (16000, 1000)
    assert wav_length(tmp_path / "b.wav") == (8000, 500)
    assert wav_length(tmp_path / "c.wav") == (16000, 1000)
    for name, channels, octets, ms in (("ima", "stereo", 5120, 631), ("g726_24", "mono", 3000, 1000), ("pcm16", "mono", 16000, 1000)):
        form = formats.form(name, channels)
        head = bytearray(form.header)
        head[form.fact_at:form.fact_at + 4] = struct.pack("<I", ms * 8)
        head[-4:] = struct.pack("<I", octets)
        (tmp_path / "e.wav").write_bytes(bytes(head) + bytes(octets))
        assert wav_length(tmp_path / "e.wav") == (octets, ms), name
    (tmp_path / "e.vox").write_bytes(bytes(4000))
    assert wav_length(tmp_path / "e.vox") == (4000, 1000)
    (tmp_path / "d.wav").write_bytes(b"RIFFxxxxWAVE")
    with pytest.raises(ValueError, match="no data chunk"):
        wav_length(tmp_path / "d.wav")


def test_life_of_a_recording(index, tmp_path):
    index.started("r1", "c1", str(tmp_path / "recordings" / "r1.wav"), 100)
    index.started("r1", "c1", str(tmp_path / "recordings" / "r1.wav"), 999)
    assert index.get("r1") == {"id": "r1", "path": str(tmp_path / "recordings/r1.wav"),
                               "duration_ms": 0, "octets": 0, "state": "recording",
                               "format": "alaw", "channels": "stereo", "marks": []}
    index.closed("r1", 32000, 2000)
    assert index.of_call("c1") == [{"id": "r1", "path": str(tmp_path / "recordings/r1.wav"),
                                    "duration_ms": 2000, "octets": 32000, "state": "closed",
                                    "format": "alaw", "channels": "stereo", "marks": []}]
    index.started("r2", "c2", str(tmp_path / "r2.vox"), 200, "vox mono")
    for _ in range(2):
        index.marked("r2", 1500, "paused", "card")
    index.marked("r2", 2500, "resumed", "")
    index.marked("r9", 1, "paused", "")
    row = index.get("r2")
    assert (row["format"], row["channels"], row["marks"]) == ("vox", "mono", [{"ms": 1500, "mark": "paused", "text": "card"},
                                                                              {"ms": 2500, "mark": "resumed", "text": ""}])
    index.closed("r2", 4000, 1000)
    assert index.opened() == []


def test_what_a_death_of_media_leaves_takes_its_length_from_the_file(index, tmp_path):
    (tmp_path / "r1.wav").write_bytes(wav(24000))
    for number in (1, 2):
        index.started("r%d" % number, "c1", "r%d.wav" % number, number)
    assert index.opened() == [("r1", str(tmp_path / "r1.wav")), ("r2", str(tmp_path / "r2.wav"))]
    for recording, path in index.opened():
        index.interrupted(recording, *measure(path))
    assert [(row["state"], row["duration_ms"]) for row in index.of_call("c1")] == [
        ("interrupted", 1500), ("failed", 0)]
    index.failed("r1", "disk full")
    assert index.get("r1")["duration_ms"] == 1500
