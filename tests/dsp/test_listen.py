"""What `make bench` writes to look at and listen to: whole files, and pictures that show what was heard."""

import base64
import re
import struct
import wave
import zlib
from xml.etree import ElementTree

import numpy as np

from dsp import bench_listen


def test_files_and_pictures(tmp_path, monkeypatch, corpus):
    """2 s of each function; the picture of a tone is bright at its frequency and dark elsewhere."""
    monkeypatch.setattr(bench_listen, "FOLDER", tmp_path)
    rows = {row["name"]: row["value"] for row in bench_listen.results(2)}
    names = {path.stem for path in (tmp_path / "listen").glob("*.wav")}
    assert len(names) == rows["dsp.listen.files"] >= 16 and names == {path.stem for path in (tmp_path / "listen").glob("*.svg")}
    page = (tmp_path / "index.html").read_text()
    assert all(f"listen/{name}.svg" in page for name in names) and "echo.svg" in page and (tmp_path / "echo.svg").read_text().endswith("</svg>\n")
    for name in names:
        with wave.open(str(tmp_path / f"listen/{name}.wav")) as file:
            assert file.getframerate() == 8000 and np.frombuffer(file.readframes(1 << 24), "<i2").any()
    bench_listen.write("one", 8000 * np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000))
    picture = (tmp_path / "listen/one.svg").read_text()
    words = [text.text for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert {"0 kHz", "4 kHz", "0 s", "1 s"} <= set(words)
    octets = base64.b64decode(re.search("base64,([^\"]+)", picture).group(1))
    width, height = struct.unpack(">II", octets[16:24])
    rows = np.frombuffer(zlib.decompress(octets[octets.index(b"IDAT") + 4:-16]), np.uint8).reshape(height, width + 1)[:, 1:]
    assert abs(int(rows.mean(1).argmax()) - (height - 1) * 3 / 4) <= 1 and rows[:height // 2].mean() < 5
