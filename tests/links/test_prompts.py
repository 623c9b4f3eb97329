"""Prompts and numbers to files."""

import pytest

from firmware.links.prompts import Prompts


@pytest.fixture
def prompts(tmp_path):
    for name in ("zh_CN/greeting", "en/greeting", "en/menu", "music"):
        path = tmp_path / (name + ".wav")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(60))
    return Prompts(tmp_path)


def test_files_tones_and_what_is_missing(prompts):
    root = str(prompts.folder)
    items, missing = prompts.items([
        {"prompt": "greeting", "language": "en"}, {"tone": "busy"}, {"prompt": "menu", "language": "zh_CN"},
        {"music": "default"}, {"prompt": "nothing", "language": "en"}, {"silence_ms": 5}])
    assert items == [{"file": root + "/en/greeting.wav"}, {"tone": "busy"}, {"file": root + "/en/menu.wav"},
                     {"file": root + "/music.wav"}, {"silence_ms": 5}]
    assert len(missing) == 1 and "en/nothing.wav" in missing[0]


def test_nothing_left_is_a_short_silence_so_that_its_end_is_told(prompts):
    assert prompts.items([{"prompt": "nothing"}])[0] == [{"silence_ms": 100}]


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "a/b", "", None, "x" * 100])
def test_names_that_leave_the_folder_are_not_followed(prompts, name):
    (prompts.folder.parent / "etc").mkdir(exist_ok=True)
    assert prompts.items([{"prompt": name, "language": "en"}])[1]
    assert prompts.items([{"prompt": "greeting", "language": "../" + str(name)}])


def test_a_prompt_that_comes_later_is_found(prompts):
    assert prompts.items([{"prompt": "late"}])[1]
    (prompts.folder / "zh_CN" / "late.wav").write_bytes(bytes(60))
    assert not prompts.items([{"prompt": "late"}])[1]


def test_spoken_values_are_fragments_and_what_cannot_be_said_is_told(prompts):
    for name in ("number_liang", "money_cny", "number_5", "jiao"):
        (prompts.folder / "zh_CN" / (name + ".wav")).write_bytes(bytes(60))
    items, missing = prompts.items([{"money": "2.50", "language": "zh_CN"}, {"date": "never", "language": "zh_CN"}])
    assert [item["file"].rpartition("/")[2] for item in items] == ["number_liang.wav", "money_cny.wav", "number_5.wav", "jiao.wav"]
    assert len(missing) == 1 and "never" in missing[0]
