"""Prompts that people give: checked, converted, in versions, nothing half applied, found again after a restart."""

import asyncio
import json
import os
import struct

import numpy
import pytest

from firmware.control.client import ControlClient, ControlError
from firmware.errors import LocalError
from firmware.media import prompt
from firmware.media.wav import read_wav
from firmware.storage.prompt_files import KEPT, PromptFiles
from tests.control.test_process import command


def wav(samples, rate=8000, channels=1, code=1, bits=16):
    octets = samples if isinstance(samples, bytes) else samples.astype("<i2").tobytes()
    return b"RIFF" + struct.pack("<I", 36 + len(octets)) + b"WAVEfmt " + struct.pack(
        "<IHHIIHH", 16, code, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits) + b"data" + struct.pack("<I", len(octets)) + octets


def tone(seconds=0.5, rate=8000, hz=440):
    return (8000 * numpy.sin(2 * numpy.pi * hz * numpy.arange(int(seconds * rate)) / rate)).astype(numpy.int16)


def run(site, scenario):
    async def whole():
        house, media, legs = site.house()
        await house.start()
        try:
            await asyncio.to_thread(scenario, ControlClient(site.run), house)
        finally:
            await house.stop()
    asyncio.run(asyncio.wait_for(whole(), 120))


def put(client, octets, file="x.wav", path="en/hello"):
    return client.request("PUT", "/v1/prompts/" + path, octets, {"file": file})


def played(house, name="hello", language="en"):
    (item,), missing = house.media.prompts.items([{"prompt": name, "language": language}])
    return item.get("file")


def test_versions_go_in_force_back_and_away(site, tmp_path):
    def scenario(client, house):
        assert played(house) is None
        stereo = numpy.repeat(tone(1.0, 44100)[:, None], 2, axis=1)
        done = put(client, wav(stereo, 44100, 2), "studio.wav")
        assert done["version"] == 1 and done["form"] == "pcm16" and abs(done["duration_ms"] - 1000) <= 2 and -13 < done["peak_db"] < -11
        first = played(house)
        kind, _, samples = read_wav(first)
        assert kind == "linear" and abs(len(samples) - 8000) < 20 and numpy.corrcoef(samples[500:7500], tone(1.0)[500:7500])[0, 1] > 0.98
        assert put(client, wav(bytes(range(256)) * 20, code=6, bits=8), "a.wav")["form"] == "alaw" and played(house).endswith("hello@2.wav")
        assert put(client, os.urandom(4000), "old.vox")["duration_ms"] == 1000
        assert os.path.exists(first)                        # who hears it hears it to its end
        client.post("/v1/prompts/en/hello/rollback", {"version": 1})
        assert played(house) == first
        row, = client.get("/v1/prompts")["prompts"]
        assert row["current"] == 1 and [one["file"] for one in row["versions"]] == ["studio.wav", "a.wav", "old.vox"]
        assert client.get("/v1/prompts/en/hello/audio")[:4] == b"RIFF" != client.get("/v1/prompts/en/hello/audio", version=2)[44:48]
        assert PromptFiles(site.data / "prompts").rows() == [{"language": "en", "prompt": "hello", **{k: row[k] for k in ("current", "versions")}}]
        assert played(house, language="zh_CN") == first     # no Chinese one: the English stands in
        client.post("/v1/prompts/en/hello/rollback", {"version": None})
        assert played(house) is None
        client.post("/v1/prompts/en/hello/remove")
        assert client.get("/v1/prompts")["prompts"] == [] and not list((site.data / "prompts" / "en").iterdir())
        file = tmp_path / "cli.wav"
        file.write_bytes(wav(tone()))
        for words, said in ((["prompt", "put", "zh_CN", "byte", str(file)], "version 1: pcm16, 500 ms"), (["prompts"], "byte")):
            code, out, err = command(site.run.parent, *words)
            assert code == 0 and said in out, (words, out, err)
    run(site, scenario)


def test_what_is_wrong_is_said_and_nothing_changes(site):
    good = wav(tone())

    def scenario(client, house):
        put(client, good)
        before = (json.dumps(client.get("/v1/prompts")), sorted(str(path) for path in (site.data / "prompts").rglob("*")))
        for octets, words in ((b"", "sound file"), (b"MZ" + bytes(100), "mine.wav: the file is no WAV file; convert it")):
            with pytest.raises(ControlError, match=words) as caught:
                put(client, octets, "mine.wav")
            assert caught.value.status == 422
        for path, status, words in (("xx/../../etc", 404, "nothing at"), ("klingon/hello", 422, "no language"), ("en/a.b", 422, "no name"), ("en/" + "a" * 61, 422, "no name")):
            with pytest.raises(ControlError, match=words) as caught:
                put(client, good, path=path)
            assert caught.value.status == status
        for path, body, words in (("en/hello/rollback", {"version": 9}, "no version 9"), ("en/hello/rollback", {}, "version"), ("en/other/remove", {}, "nobody has given")):
            with pytest.raises(ControlError, match=words):
                client.post("/v1/prompts/" + path, body)
        after = (json.dumps(client.get("/v1/prompts")), sorted(str(path) for path in (site.data / "prompts").rglob("*")))
        assert after == before
        put(client, good, path="en/only_here")
        config = client.get("/v1/configuration")
        config["configuration"]["announcements"] = [{"name": "storm", "label": "Storm", "prompt": "only_here"}]
        client.post("/v1/configuration/apply", config)          # a prompt that was given is one
        with pytest.raises(ControlError, match=r"announcements\[0\].prompt names only_here"):
            client.post("/v1/prompts/en/only_here/remove")
        write = PromptFiles._write
        PromptFiles._write = lambda self, index: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        try:
            with pytest.raises(ControlError, match="nothing was changed") as caught:
                put(client, good)
            assert caught.value.status == 503
        finally:
            PromptFiles._write = write
        assert played(house).endswith("hello@1.wav") and put(client, good)["version"] == 2
    run(site, scenario)


def test_files_that_are_no_prompts_are_told_what_is_wrong(tmp_path):
    good, source = wav(tone()), tmp_path / "mine.wav"
    for octets, words in ((good[:-100], "is cut short: its header tells"), (good[:44] + bytes(len(good) - 44), "silent"), (wav(tone(0.01)), "lasts 10 ms"),
                          (wav(tone(), code=0x55), "is MP3 with"), (wav(tone(), rate=300000), "300000 Hz"), (good[:40], "cut short")):
        source.write_bytes(octets)
        with pytest.raises(LocalError, match=words):
            prompt.prepare(str(source), str(tmp_path / "out.wav"))
        assert not (tmp_path / "out.wav").exists()


def test_the_oldest_versions_go(tmp_path):
    files = PromptFiles(tmp_path)
    for count in range(KEPT + 3):
        version, path = files.next_file("music/new")
        open(path, "wb").close()
        files.put("music/new", version, {"duration_ms": 1})
    assert len(list((tmp_path / "music").iterdir())) == KEPT and files.path("music/new").endswith("new@%d.wav" % (KEPT + 3))
    with pytest.raises(LocalError, match="no version 1 that is kept"):
        files.turn_back("music/new", 1)


def test_an_index_that_is_damaged_is_said_and_the_box_goes_on(tmp_path):
    (tmp_path / "index.json").write_text("{no")
    kept = PromptFiles(tmp_path)
    assert "cannot be used" in kept.fault and kept.rows() == [] and kept.path("en/x") is None
    (tmp_path / "index.json").write_text('{"en/x": {"current": 1, "versions": 5}, "en/y": {"current": null, "versions": []}}')
    assert [row["prompt"] for row in PromptFiles(tmp_path).rows()] == ["y"]
