"""Prompts and numbers to files."""

import pytest

from firmware.links.prompts import Prompts, number_names


def said(number, language):
    return " ".join(name.removeprefix("number_") for name in number_names(number, language))


@pytest.mark.parametrize("number, zh, en", [
    (0, "0", "0"), (7, "7", "7"), (10, "10", "10"), (11, "11", "11"), (20, "20", "20"), (21, "20 1", "20 1"),
    (99, "90 9", "90 9"), (100, "1 hundred", "1 hundred"), (105, "1 hundred 0 5", "1 hundred 5"),
    (110, "1 hundred 1 10", "1 hundred 10"), (115, "1 hundred 1 10 5", "1 hundred 15"),
    (120, "1 hundred 20", "1 hundred 20"), (999, "9 hundred 90 9", "9 hundred 90 9"), (2024, "2 0 2 4", "2 0 2 4")])
def test_numbers(number, zh, en):
    assert said(number, "zh_CN") == zh and said(number, "en") == en


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
